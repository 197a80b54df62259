"""What is said: a session's statements put into words, answered, and surrounded by other talk."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from sample_source.bars import NAMES, Bar, Bars, price, rounded
from sample_source.draw import Draw, fields
from sample_source.story import Fact, Session

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_FILLS = "quote averages levels compare sizing hedge vol event range check".split()
_FREE = [kind for kind in _FILLS if kind != "sizing"]
"""What the assistant may bring up unasked."""


@dataclass
class Exchange:
    """A question or statement and its answer."""

    said: str
    answer: str
    symbol: str | None
    facts: Sequence[Fact] = ()


class Talk:
    """One analyst's way of talking with the assistant."""

    def __init__(self, analyst: dict[str, Any], replies: dict[str, Any], bars: Bars, facts: Sequence[Fact]) -> None:
        self.analyst, self.replies, self.bars, self.facts = analyst, replies, bars, facts
        traded = [fact for fact in facts if fact.trade and fact.attribute != "size"]
        self.reserved = {(fact.symbol or "", fact.value) for fact in traded}
        """Symbols and prices that only the analyst says, so that evidence is complete."""
        self.draw = Draw(f"talk of {analyst['name']}")
        self.told: dict[str, set[str]] = {}

    def messages(self, session: Session) -> list[dict[str, Any]]:
        """Give a session's messages and note in its facts where they stand."""
        draw = self.draw
        now = datetime.combine(session.day, time(14, 35), UTC) + timedelta(seconds=draw.whole(0, 13_000))
        found: list[dict[str, Any]] = []
        name, watched = session.name, session.symbol or draw.one(["AAPL", "GOOG", "MSFT", "IBM"])
        if session.kind != "review" and draw.chance(0.1):
            watched = draw.one([s for s in ("AAPL", "GOOG", "IBM", "MSFT") if s != session.symbol])
        follows = session.kind == "review"

        def add(role: str, text: str, symbol: str | None) -> dict[str, Any]:
            message = {
                "role": role,
                "text": text,
                "created_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "session_id": name,
                "symbol": symbol,
                "speaker": self.analyst["name"] if role == "user" else None,
                "key": f"{name}:{len(found) + 1}",
                "conversation": None,
            }
            found.append(message)
            return message

        for exchange in self._exchanges(session):
            symbol = exchange.symbol if follows and exchange.symbol and draw.chance(0.92) else watched
            message = add("user", exchange.said, None if session.kind == "desk" and draw.chance(0.5) else symbol)
            for fact in exchange.facts:
                fact.session, fact.key, fact.text, fact.at = name, message["key"], exchange.said, now
            now += timedelta(seconds=draw.whole(7, 40))
            add("assistant", exchange.answer, message["symbol"])
            now += timedelta(seconds=draw.whole(40, 320))
        for fact in session.facts:
            fact.conversation = session.conversation
            fact.ended = datetime.fromisoformat(found[-1]["created_at"]) + timedelta(minutes=30)
        return found

    def _exchanges(self, session: Session) -> list[Exchange]:
        draw, kind = self.draw, session.kind
        if kind == "desk":
            return self._desk(session)
        stated, facts = [], list(session.facts)
        while facts:
            taken = [facts.pop(0)]
            joined = facts and facts[0].symbol == taken[0].symbol and "said" not in (facts[0].phrase, taken[0].phrase)
            if joined and draw.chance(0.3):
                taken.append(facts.pop(0))
            stated.append(self._statement(session, taken, opening=not stated))
        if kind == "review":
            open_with = [self._recap(session), *([self._small()] if draw.chance(0.5) else [])]
            others = [self._fill(session, long=True) for _ in range(max(14, 20 - len(stated)))]
            first, rest = others[:3], others[3:]
            mixed = draw.shuffled([*stated[1:], *first]) if len(stated) > 1 else first
            rest.insert(draw.whole(2, len(rest) - 1), self._small())
            return [*open_with, *stated[:1], *mixed, *rest]
        fills = [self._fill(session, long=draw.chance(0.4)) for _ in range(draw.whole(1, 3))]
        before = [fills.pop()] if draw.chance(0.35) else []
        small = [self._small()] if draw.chance(0.15) else []
        for fill in fills:
            stated.insert(draw.whole(1, len(stated)), fill)
        return [*before, *stated, *small]

    def _statement(self, session: Session, facts: list[Fact], *, opening: bool) -> Exchange:
        """Say one or two facts; the answer never repeats what they are about."""
        draw, first = self.draw, facts[0]
        said = [self._said(fact) for fact in facts]
        parts = [text for text, _ in said]
        if opening or draw.chance(0.12):
            parts.insert(0, draw.line(self.analyst["open"]))
        closing = draw.chance(0.5 if first.trade else 0.3)
        if closing:
            parts.append(draw.line(self.analyst["close"]))
        about = first.symbol or session.symbol
        paragraphs = [" ".join(answer for _, answer in said)]
        for older in self._older(first)[-1:]:
            if first.phrase in {"raise", "retarget"} and draw.chance(0.35):
                values = self._values(first.symbol or "", session) | {"old": older.value}
                paragraphs[0] += " " + draw.line(self.replies["ack"]["older"]["lines"], values)
                older.echoed = "assistant"
        if about in self._known(session):
            more = draw.whole(1, 3) if session.kind == "review" else draw.whole(int(closing), 2)
            paragraphs += [self._paragraph(draw.one(_FREE), about, session) for _ in range(more)]
            if draw.chance(0.15):
                paragraphs.append(self._table(session, about))
        return Exchange(_speak(parts, lower=self.analyst["lower"]), _text(paragraphs), about, facts)

    def _said(self, fact: Fact) -> tuple[str, str]:
        """Put a fact into words and answer it."""
        if not fact.trade:
            return fact.said["text"], fact.said["reply"]
        words = fact.words | {"s": self._name(fact.symbol), "p": fact.value, "z": fact.value}
        text = self.draw.line(self.analyst[fact.phrase], words)
        for older in self._older(fact):
            if re.search(rf"(?<![\d.]){re.escape(older.value)}(?![\d.]*\d)", text):
                older.echoed = older.echoed or "user"
        return text, self._ack(fact)

    def _older(self, fact: Fact) -> list[Fact]:
        """Give earlier statements of the same trade and attribute, oldest first."""
        facts = [f for f in self.facts if f.trade == fact.trade and f.attribute == fact.attribute and f.day < fact.day]
        return facts if fact.trade else []

    def _fill(self, session: Session, *, long: bool) -> Exchange:
        """Ask something of the market, and answer at some length."""
        draw = self.draw
        symbol = session.symbol or draw.one(self._known(session))
        if draw.chance(0.15 if session.symbol else 0.0):
            symbol = draw.one(self._known(session))
        if symbol not in self._known(session):
            symbol = draw.one(self._known(session))
        values = self._values(symbol, session)
        kinds = [
            k
            for k in draw.shuffled(_FILLS)
            if any(fields(one) <= values.keys() for one in self.replies["fill"][k]["one"])
        ]
        asked = draw.line(self.replies["fill"][kinds[0]]["ask"], values)
        paragraphs = [self._paragraph(kinds[0], symbol, session, values)]
        more = draw.whole(1, 4) if long else draw.whole(0, 1)
        paragraphs += [self._paragraph(kind, symbol, session) for kind in [k for k in kinds[1:] if k in _FREE][:more]]
        if long and draw.chance(0.75):
            paragraphs.insert(1, self._background(symbol, session))
        if draw.chance(0.35 if long else 0.15):
            paragraphs.insert(draw.whole(1, len(paragraphs)), self._table(session, symbol))
        if draw.chance(0.4):
            paragraphs.append(draw.line(self.replies["older"]["lines"], self._values(symbol, session)))
        opened = [draw.line(self.analyst["open"])] if draw.chance(0.08) else []
        return Exchange(_speak([*opened, asked], lower=self.analyst["lower"]), _text(paragraphs), symbol)

    def _small(self) -> Exchange:
        asked, answer = self._unsaid(self.replies["talk"]["small"])
        return Exchange(_speak([asked], lower=self.analyst["lower"]), answer, None)

    def _unsaid(self, pairs: list[list[str]]) -> list[str]:
        """Give a pair that this analyst has used least."""
        asked = self.draw.line([pair[0] for pair in pairs])
        return next(pair for pair in pairs if pair[0] == asked)

    def _desk(self, session: Session) -> list[Exchange]:
        """Talk of nothing that is worth remembering."""
        draw, found = self.draw, []
        for _ in range(draw.whole(2, 4)):
            if draw.chance(0.35):
                found.append(self._recap(session))
            elif draw.chance(0.3):
                found.append(self._fill(session, long=draw.chance(0.5)))
            else:
                asked, answer = self._unsaid(self.replies["talk"]["desk"])
                found.append(Exchange(_speak([asked], lower=self.analyst["lower"]), answer, None))
        return found

    def _recap(self, session: Session) -> Exchange:
        talk, draw = self.replies["talk"], self.draw
        known = self._known(session)
        figures = {symbol: self.bars.figures(symbol, session.day) for symbol in known}
        week = {
            s: self.bars.before(s, session.day)[-1].close / self.bars.before(s, session.day)[-6].close for s in known
        }
        ranked = sorted(known, key=lambda s: (-week[s], s))
        values = {"day": figures["IBM"]["day"], "best": ranked[0], "worst": ranked[-1]}
        rows = [[s, f["px"], f["chg5"], f.get("chg20", "-"), f["lo20"], f["hi20"]] for s, f in figures.items()]
        table = _rows(["", "close", "5 days", "20 days", "20-day low", "20-day high"], rows)
        answer = "\n\n".join([draw.line(talk["recap_one"], values), table, draw.line(talk["recap_last"], values)])
        asked = draw.line(talk["recap_ask"])
        return Exchange(_speak([asked], lower=self.analyst["lower"]), answer, None)

    def _known(self, session: Session) -> list[str]:
        return [symbol for symbol in NAMES if self.bars.figures(symbol, session.day)]

    def _name(self, symbol: str | None) -> str:
        name: str = self.draw.one(NAMES[symbol or "IBM"])
        lower = self.analyst["lower"] and name not in {"IBM", symbol}
        return name.lower() if lower else name

    def _values(self, symbol: str, session: Session) -> dict[str, Any]:
        """Give every number that can be said of a symbol, and of another one beside it."""
        draw, day = self.draw, session.day
        mine = self.bars.figures(symbol, day)
        other = draw.one([s for s in self._known(session) if s != symbol])
        its = self.bars.figures(other, day)
        values = mine | {f"o{name}": value for name, value in its.items()}
        values |= {"s": draw.one(NAMES[symbol]), "o": draw.one(NAMES[other])}
        if not mine:
            return values
        px, atr = mine["_px"], mine["_atr"]
        below, above, deep = px - 2.2 * atr, px + 2.4 * atr, px - 4.5 * atr
        below, above, deep = (rounded(level) for level in (below, above, deep))
        cash = draw.one([400, 500, 800, 1000, 1500, 2000, 2500])
        count = int(cash / (px - below))
        moved = list(zip(*(_steps(self.bars.before(name, day)[-61:]) for name in (symbol, other)), strict=False))
        values |= {
            "alt1": price(below), "alt2": price(above), "alt3": price(deep), "oalt": price(rounded(its["_px"] * 0.96)),
            "cash": f"{cash}", "risk": f"{px - below:.2f}", "count": f"{count}", "count2": f"{int(cash / (px - deep))}",
            "value": f"{round(count * px, -2):,.0f}", "omore": "more" if its["_vol"] > mine["_vol"] else "less",
            "cmpvol": "calm" if its["_vol"] > mine["_vol"] else "lively", "ocorr": f"{_correlation(moved):.1f}",
        }  # fmt: skip
        if "_60" in mine and "_60" in its:
            values["stronger"] = values["s"] if mine["_60"] > its["_60"] else values["o"]
            values["oside"] = "in an up" if its["_px"] > float(its["ma50"]) else "below its"
        return values

    def _ack(self, fact: Fact) -> str:
        """Answer a statement with figures around it, but not with its own."""
        values = self._values(
            fact.symbol or "IBM", Session(analyst=self.analyst, day=fact.day, symbol=None, kind="trade")
        )
        pool = self.replies["ack"][fact.attribute]["lines"]
        if "_px" not in values:
            return self.draw.line([line for line in pool if "{" not in line.replace("{s}", "")], values)
        if fact.attribute in {"stop", "target", "level"}:
            level, px, atr = float(fact.value), values["_px"], values["_atr"]
            ranges = abs(px - level) / atr
            values |= {
                "gap": f"{100 * abs(level / px - 1):.1f}",
                "ranges": f"{ranges:.0f}" if ranges >= 1.5 else "one or two",
                "days": f"{max(2, ranges):.0f}",
                "noise": "outside of ordinary noise" if ranges > 2.5 else "within reach of ordinary noise",
                "where": "below" if level < float(values["lo20"]) else "above",
            }
            if "ma50" in values:
                values["where50"] = "below" if level < float(values["ma50"]) else "above"
        return self._checked(lambda: self.draw.line(pool, values), fact.symbol)

    def _paragraph(self, kind: str, symbol: str, session: Session, asked: dict[str, Any] | None = None) -> str:
        """Give a paragraph of a kind, with the values that the question named if it named any."""
        lists = self.replies["fill"][kind]

        def made() -> str:
            values = asked or self._values(symbol, session)
            one = self.draw.line(lists["one"], values)
            rest = [self.draw.line(lists["two"], values), self.draw.line(lists["three"], values)]
            return " ".join(filter(None, [one, *rest[: self.draw.one([1, 2, 2])]])) if one else ""

        return self._checked(made, symbol)

    def _checked(self, make: Any, symbol: str | None) -> str:
        """Make a text that holds no price which only the analyst may say of the symbol; empty if that cannot be."""
        for _ in range(12):
            text: str = make()
            numbers = {price(float(n.replace(",", ""))) for n in _NUMBER.findall(text)}
            if not any((symbol or "", number) in self.reserved for number in numbers):
                return text
        return ""

    def _background(self, symbol: str, session: Session) -> str:
        """Give what is known of the company around that month, if this session has not heard it."""
        month = f"{session.day:%Y-%m}"
        told = self.told.setdefault(session.name, set())
        for start, stop, text in self.draw.shuffled(self.replies["background"][symbol]):
            if start <= month <= stop and text not in told:
                told.add(text)
                return str(text)
        return ""

    def _table(self, session: Session, symbol: str) -> str:
        """Give a table of figures, without the analyst's own."""

        def made() -> str:
            values = self._values(symbol, session)
            if self.draw.chance(0.5):
                bars = self.bars.before(symbol, session.day)[-5:]
                rows = [[f"{b.day:%d %b}", price(b.open), price(b.high), price(b.low), price(b.close)] for b in bars]
                return _rows([symbol, "open", "high", "low", "close"], rows)
            names = {"alt1": "two ranges down", "alt2": "two ranges up", "lo20": "20-day low", "hi20": "20-day high"}
            names |= {
                "ma50": "50-day average",
                "lo52": "52-week low",
                "hi52": "52-week high",
                "ma200": "200-day average",
            }
            chosen = [n for n in self.draw.shuffled(list(names)) if n in values][:5]
            ranked = sorted(chosen, key=lambda n: float(values[n]))
            rows = [[names[n], values[n], f"{100 * (float(values[n]) / values['_px'] - 1):+.1f}%"] for n in ranked]
            return _rows([symbol, "price", "from the close"], rows)

        return self._checked(made, symbol)


def _text(paragraphs: list[str]) -> str:
    return "\n\n".join(filter(None, (each.strip() for each in paragraphs))) or "Noted."


def _rows(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _speak(parts: list[str], *, lower: bool) -> str:
    """Join what is said into one message; whoever writes in lower case also drops the last full stop."""
    found = []
    for part in parts:
        ended = part if part[-1] in ".?!:," else part + "."
        found.append(ended if lower else ended[0].upper() + ended[1:])
    text = " ".join(found)
    return text.removesuffix(".") if lower else re.sub(r"\bi\b", "I", text)


def _steps(bars: list[Bar]) -> list[float]:
    """Give the daily changes, newest first, so that those of two symbols fall on the same days."""
    return [b.close / a.close - 1 for a, b in pairwise(bars)][::-1]


def _correlation(pairs: list[tuple[float, float]]) -> float:
    mean_a, mean_b = (math.fsum(pair[i] for pair in pairs) / len(pairs) for i in (0, 1))
    both = math.fsum((a - mean_a) * (b - mean_b) for a, b in pairs)
    return both / math.sqrt(
        math.fsum((a - mean_a) ** 2 for a, _ in pairs) * math.fsum((b - mean_b) ** 2 for _, b in pairs)
    )

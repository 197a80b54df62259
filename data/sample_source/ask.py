"""What is asked of the lab, with answer and evidence."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from sample_source.bars import NAMES
from sample_source.draw import Draw
from sample_source.learn import Record, iso, line_of, replaced_by
from sample_source.story import MONTHS, Fact

END = datetime(2013, 3, 1, 22, tzinfo=UTC)
FAR = 10_500
"""Characters, over 2,000 tokens: evidence so far back has left the newest 2,000 tokens of its session."""
_SHORT = frozenset(
    "a about am an and any are as at be been by can could did do does for from had has have he her him his how i if in "
    "into is it its just me my no not of on or our she so than that the their them then there they this those to us "
    "was we were what when where which who why will with would you your".split()
)
_QUESTION = frozenset("At Below How Near Under Up What When Where Which Who Why For In By Of".split())


def starts(text: str) -> set[str]:
    """Give how a text's words begin: two texts that share none of these share no word, however it is inflected."""
    return {w[:4] for w in re.findall(r"[a-z]+|\d+(?:\.\d+)?", text.lower().replace("'s", "")) if w not in _SHORT}


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _fit(pattern: str, ask: str) -> str:
    """Set a question into a pattern; inside of a sentence it starts small, unless with a name."""
    small = not pattern.startswith("{ask}") and ask.split(maxsplit=1)[0] in _QUESTION
    return pattern.replace("{ask}", ask[0].lower() + ask[1:] if small else ask)


class Asker:
    """Makes questions of every kind; `questions` takes as many of each as the sample needs."""

    def __init__(self, facts: Sequence[Fact], messages: Sequence[Record], words: Record) -> None:
        self.facts, self.words = facts, words
        self.draw = Draw("questions")
        self.talk: dict[str, list[Record]] = {}
        for message in messages:
            self.talk.setdefault(message["session_id"], []).append(message)

    def record(  # noqa: PLR0913 - what a record holds
        self, kind: str, text: str, answer: str, evidence: Sequence[Fact], asked: datetime, *, inside: bool = False
    ) -> Record:
        """Make a question's record."""
        first, keys = evidence[0], list(dict.fromkeys(fact.key for fact in sorted(evidence, key=lambda f: f.at)))
        return {
            "text": text,
            "answer": answer,
            "kind": kind,
            "asked_at": iso(asked),
            "session_id": first.session if inside else None,
            "symbol": first.symbol if self.draw.chance(0.85) else None,
            "evidence": keys,
            "conversation": first.conversation,
            "insight": self._insight(evidence, asked) if not inside else None,
        }

    def _insight(self, evidence: Sequence[Fact], asked: datetime) -> str | None:
        """Name the insight that answers at that moment: from all of the evidence, known by then and not replaced."""
        if len(evidence) > 1 or not evidence[0].insight or evidence[0].ended > asked:
            return None
        newer = replaced_by(evidence[0], self.facts)
        replaced = newer and newer.insight and newer.ended <= asked
        return None if replaced else evidence[0].insight

    def words_of(self, phrase: str, fact: Fact, *, me: bool = False, **more: str) -> str:
        """Put a question into words, about the analyst or by the analyst."""
        name, analyst = fact.name, fact.analyst
        them = analyst["them"] if re.search(r"{who|{other", phrase) else name
        who = {"who": name, "whom": name, "whose": f"{name}'s", "them": them, "does": "does"}
        who |= {"they": analyst["they"], "their": analyst["their"]}
        if me:
            who = {"who": "I", "whom": "me", "whose": "my", "them": "me", "does": "do", "they": "I", "their": "my"}
        names = NAMES.get(fact.symbol or "", ("",))
        same = [name for name in names if name.lower() in fact.text.lower()]
        values = who | {"s": self.draw.one(same if same and self.draw.chance(0.9) else names)} | more
        if fact.trade:
            values["month"] = self._month(self._opened(fact))
        return self._upper(phrase.format_map(values))

    @staticmethod
    def _upper(text: str) -> str:
        return text[0].upper() + text[1:]

    @staticmethod
    def _month(day: date | datetime) -> str:
        return f"{MONTHS[day.month - 1]} {day.year}"

    def _opened(self, fact: Fact) -> date:
        return next(f.day for f in self.facts if (f.name, f.trade, f.attribute) == (fact.name, fact.trade, "entry"))

    def answer(self, fact: Fact) -> str:
        """Give what answers a question about a statement."""
        if fact.attribute == "call":
            return f"{fact.words['d']} {fact.value} by {fact.words['m']}"
        return fact.value + ("%" if fact.attribute == "size" else "")

    def between(self, start: datetime, stop: datetime | None = None, most: int = 365) -> datetime | None:
        """Give a moment of a working day between two, sooner more often than later."""
        last = min(stop or END, END, start + timedelta(days=most)) - timedelta(hours=1)
        room = (last - start).days
        if room < 1:
            return None
        ahead = min(self.draw.whole(1, room), self.draw.whole(1, room))
        day = (start + timedelta(days=ahead)).date()
        found = datetime.combine(day, time(12, 30), UTC) + timedelta(seconds=self.draw.whole(0, 30_000))
        found -= timedelta(days=max(0, found.weekday() - 4))
        return found if start < found < last else None

    def later(self, fact: Fact, *, far: bool) -> datetime | None:
        """Give a moment later in the statement's own session: some way on, or beyond the newest 2,000 tokens."""
        talk = self.talk[fact.session]
        place = next(i for i, message in enumerate(talk) if message["key"] == fact.key)
        total, fitting = sum(len(m["text"]) for m in talk[: place + 1]), []
        behind = 0
        for message in talk[place + 1 :]:
            behind += len(message["text"])
            total += len(message["text"])
            enough = behind > FAR and total > 15_500 if far else behind > 800
            if enough and message["role"] == "assistant":
                fitting.append(_at(message["created_at"]) + timedelta(seconds=25))
        return self.draw.one(fitting) if fitting else None

    def current(self, fact: Fact, at: datetime) -> bool:
        """Say whether a statement is the newest of its line in its session up to a moment."""
        return not any(f.session == fact.session and fact.at < f.at < at for f in line_of(fact, self.facts))

    def traded(self) -> Iterator[Record]:
        """Ask for single statements on trades: the only one, the newest, or one of a time."""
        for fact in (f for f in self.facts if f.trade):
            line = line_of(fact, self.facts)
            place = line.index(fact)
            after = line[place + 1].at if place + 1 < len(line) else None
            over = next(
                (f.at for f in self.facts if (f.name, f.trade, f.attribute) == (fact.name, fact.trade, "exit")), None
            )
            lasts = fact.attribute in {"exit", "call", "entry", "level"}
            until = after if lasts or not over else min(after or over, over)
            asked = self.between(fact.ended, until if place else after)
            if asked:
                now = self.words["attribute"][fact.attribute]["now"]
                kind, phrase = ("changed fact", self._now(fact, now)) if place else ("single fact", self._past(fact))
                yield self.record(kind, self.words_of(phrase, fact), self.answer(fact), [fact], asked)
                text = self._apart(fact)
                if text and not place:
                    yield self.record("paraphrase", text, self.answer(fact), [fact], asked)
            if not fact.echoed and (place or after):
                yield from self._timed(fact, line, self._past(fact))

    def _past(self, fact: Fact) -> str:
        """Take a question in common words or in the analyst's own; every other time one that shares a word."""
        phrases = [*self.words["attribute"][fact.attribute]["past"], *fact.analyst["ask"][fact.attribute]]
        said = starts(fact.text) - starts(" ".join(NAMES[fact.symbol or "IBM"]))
        near = [phrase for phrase in phrases if starts(phrase) & said]
        return str(self.draw.one(near if near and self.draw.chance(0.6) else phrases))

    def _now(self, fact: Fact, phrases: list[str]) -> str:
        """Take a question for the newest of several."""
        if self.draw.chance(0.2):
            return self.draw.line(phrases)
        return _fit(self.draw.line(self.words["time"]["latest"]), self._past(fact))

    def _apart(self, fact: Fact) -> str | None:
        """Put a question into words that do not stand in the evidence; half of the time the symbol's name may."""
        phrases = [*self.words["attribute"][fact.attribute]["past"], *fact.analyst["ask"][fact.attribute]]
        names = starts(" ".join(NAMES[fact.symbol or "IBM"])) if self.draw.chance(0.5) else set()
        for phrase in self.draw.shuffled(phrases):
            text = self.words_of(phrase, fact)
            if not starts(text) & starts(fact.text) - names:
                return text
        return None

    def _timed(self, fact: Fact, line: Sequence[Fact], phrase: str) -> Iterator[Record]:
        """Ask for what held at a time, where newer or older statements say otherwise."""
        day = fact.at.date()
        ask = self.words_of(phrase, fact)
        if sum(f.at.date().replace(day=1) == day.replace(day=1) for f in line) == 1:
            asked = self.between(fact.ended + timedelta(days=32))
            if asked:
                pattern = self.draw.line(self.words["time"]["month"])
                text = _fit(pattern, ask).replace("{when}", self._month(day))
                yield self.record("time", text, self.answer(fact), [fact], asked)
        week = day - timedelta(days=day.weekday())
        windows = [
            ("yesterday", day, day, day + timedelta(days=1)),
            ("last week", week, week + timedelta(days=6), week + timedelta(days=7 + self.draw.whole(0, 4))),
            ("the week before last", week, week + timedelta(days=6), week + timedelta(days=14 + self.draw.whole(0, 4))),
        ]
        when, start, stop, then = self.draw.one(windows)
        asked = datetime.combine(then, time(12, 50), UTC) + timedelta(seconds=self.draw.whole(0, 9_000))
        if sum(start <= f.at.date() <= stop for f in line) == 1 and fact.ended < asked < END and then.weekday() < 5:
            pattern = self.draw.line(self.words["time"]["relative"])
            text = _fit(pattern, ask).replace("{when}", when).replace("{When}", self._upper(when))
            yield self.record("time", text, self.answer(fact), [fact], asked)

    def said(self) -> Iterator[Record]:
        """Ask for what the analysts' files write out."""
        for fact in (f for f in self.facts if f.said):
            said, newer = fact.said, replaced_by(fact, self.facts)
            older = next(
                (f for f in self.facts if f.name == fact.name and f.said.get("id", 1) == said.get("replaces")), None
            )
            for kind, phrase in (
                ("changed fact" if older else "single fact", said["ask"]),
                ("paraphrase", said.get("other")),
            ):
                asked = self.between(fact.ended, newer.at if newer else None)
                text = self.words_of(phrase or "-", fact)
                if asked and phrase and not (kind == "paraphrase" and starts(text) & starts(fact.text)):
                    yield self.record(kind, text, fact.value, [fact], asked)
            if newer:
                asked = self.between(newer.ended)
                day, pattern = fact.at.date(), self.draw.line(self.words["time"]["month"])
                ask = self.words_of(said["ask"], fact)
                if asked and asked.date().replace(day=1) > newer.day.replace(day=1) > day.replace(day=1):
                    text = _fit(pattern, ask).replace("{when}", self._month(day))
                    yield self.record("time", text, fact.value, [fact], asked)
                asked = self.between(newer.ended)
                if asked:
                    text = _fit(self.draw.line(self.words["combine"]["rule"]), ask)
                    yield self.record("several facts", text, f"{fact.value}; {newer.value}", [fact, newer], asked)

    def inside(self, *, far: bool) -> Iterator[Record]:
        """Ask in mid-session, in the first person, for what was stated earlier in the same session."""
        for fact in self.facts:
            if (asked := self.later(fact, far=far)) and self.current(fact, asked):
                if fact.said:
                    kind = "changed fact" if "replaces" in fact.said else "single fact"
                    text = self.words_of(fact.said["ask"], fact, me=True)
                    yield self.record(kind, text, fact.value, [fact], asked, inside=True)
                    text = self.words_of(fact.said.get("other", "-"), fact, me=True)
                    if "other" in fact.said and not starts(text) & starts(fact.text):
                        yield self.record("paraphrase", text, fact.value, [fact], asked, inside=True)
                    continue
                place = line_of(fact, self.facts).index(fact)
                now = self.words["attribute"][fact.attribute]["now"]
                text = self.words_of(self._now(fact, now) if place else self._past(fact), fact, me=True)
                kind = "changed fact" if place else "single fact"
                yield self.record(kind, text, self.answer(fact), [fact], asked, inside=True)
                if place:
                    text = self.words_of(
                        _fit(self.draw.line(self.words["time"]["today"]), self._past(fact)), fact, me=True
                    )
                    yield self.record("time", text, self.answer(fact), [fact], asked, inside=True)

    def several(self) -> Iterator[Record]:
        """Ask for what takes two to four messages to answer."""
        trades: dict[tuple[str, int], list[Fact]] = {}
        for fact in (f for f in self.facts if f.trade):
            trades.setdefault((fact.name, fact.trade), []).append(fact)
        for parts in trades.values():
            first = {f.attribute: f for f in reversed(parts)}
            stops = [f for f in parts if f.attribute == "stop"]
            plan = [first[attribute] for attribute in ("entry", "stop", "target")]
            moved = [newer.at for newer in (replaced_by(fact, self.facts) for fact in plan) if newer]
            yield from self._joined("plan", plan, min(moved, default=None))
            if "assistant" not in [fact.echoed for fact in stops]:
                yield from self._joined("history", stops)
            if "exit" in first:
                yield from self._joined("round", [first["entry"], first["exit"]])
        yield from self._two()
        entries = [f for f in self.facts if f.attribute == "entry"]
        for one in entries:
            for two in entries:
                if one.symbol == two.symbol and one.name != two.name and one.at < two.at:
                    later = [
                        f.at
                        for f in entries
                        if f.symbol == one.symbol and f.name in {one.name, two.name} and f.at > two.at
                    ]
                    if not any(
                        one.at < f.at < two.at and f.name == one.name and f.symbol == one.symbol for f in entries
                    ):
                        yield from self._joined("peers", [one, two], min(later, default=None), other=two.name)

    def _two(self) -> Iterator[Record]:
        """Ask for the stops of two holdings of an analyst at once."""
        stops = [f for f in self.facts if f.attribute == "stop"]
        for one in stops:
            for two in stops:
                if one.name != two.name or one.symbol == two.symbol or not one.ended < two.ended:
                    continue
                ends = [f.at for f in (replaced_by(one, self.facts), replaced_by(two, self.facts)) if f]
                if min(ends, default=END) > two.ended:
                    yield from self._joined("two", [one, two], min(ends, default=END), o=NAMES[two.symbol or "IBM"][0])

    def _joined(
        self, phrase: str, parts: Sequence[Fact], until: datetime | None = None, **more: str
    ) -> Iterator[Record]:
        """Ask for several statements at once, for the first time after the last of them."""
        count = len({fact.key for fact in parts})
        asked = self.between(max(fact.ended for fact in parts), until)
        if asked and 2 <= count <= 4:
            if phrase in {"plan", "round", "two"} and self.draw.chance(0.85):
                own = [self.draw.line(fact.analyst["ask"][fact.attribute]) for fact in parts]
                first, *rest = map(self.words_of, own, parts)
                text = " ".join([first, *(_fit("And {ask}", each) for each in rest)])
                if phrase != "two":
                    text = self.words_of(_fit(self.draw.line(self.words["combine"]["trade"]), text), parts[0])
            else:
                text = self.words_of(self.draw.line(self.words["combine"][phrase]), parts[0], **more)
            yield self.record("several facts", text, ", ".join(self.answer(f) for f in parts), parts, asked)

    def unanswered(self, people: Sequence[Record]) -> Iterator[Record]:
        """Ask for what nobody ever said, some of it in mid-session."""
        for analyst in people:
            mine = [f for f in self.facts if f.name == analyst["name"]]
            for phrase in analyst["nothing"]:
                fact = self.draw.one(mine)
                asked = self.between(fact.ended)
                while not asked:
                    fact = self.draw.one(mine)
                    asked = self.between(fact.ended)
                within = self.later(fact, far=False) if self.draw.chance(0.3) else None
                found = self.record(
                    "no answer",
                    self.words_of(phrase, fact, me=bool(within)),
                    "",
                    [fact],
                    within or asked,
                    inside=bool(within),
                )
                named = [s for s, names in NAMES.items() if any(name in phrase for name in names)]
                yield found | {"answer": None, "evidence": [], "insight": None, "symbol": named[0] if named else None}


LEAST = {"single fact": 90, "several facts": 72, "changed fact": 84, "time": 84, "paraphrase": 84, "no answer": 60}
INSIDE = {"single fact": 32, "changed fact": 32, "time": 20, "paraphrase": 24}
"""How many of them are asked in mid-session."""


def questions(
    facts: Sequence[Fact], people: Sequence[Record], messages: Sequence[Record], words: Record
) -> list[Record]:
    """Choose as many questions of each kind as the sample holds, spread over analysts, and put them in order."""
    asker = Asker(facts, messages, words)
    outside = [*asker.traded(), *asker.said(), *asker.several(), *asker.unanswered(people)]
    far, near = (list(asker.inside(far=far)) for far in (True, False))
    chosen: dict[tuple[str, str | None], Record] = {}

    def take(records: list[Record], kind: str, count: int) -> None:
        fresh = [q for q in records if q["kind"] == kind and (q["text"], q["session_id"]) not in chosen]
        for question in _spread(asker.draw, fresh)[: max(count, 0)]:
            chosen[question["text"], question["session_id"]] = question

    for kind, least in LEAST.items():
        count, before = INSIDE.get(kind, 0), len(chosen)
        take(far, kind, count // 2)
        take(near, kind, count - (len(chosen) - before))
        take(outside, kind, least - (len(chosen) - before))
    return sorted(chosen.values(), key=lambda q: (q["asked_at"], q["text"]))


def _spread(draw: Draw, records: list[Record]) -> list[Record]:
    """Put records in an order that takes from each conversation in turn, and each text once."""
    turns: dict[str, int] = {}
    ranked, seen = [], set()
    for number, record in enumerate(draw.shuffled(records)):
        if (record["text"], record["session_id"]) in seen:
            continue
        seen.add((record["text"], record["session_id"]))
        turn = turns[record["conversation"]] = turns.get(record["conversation"], 0) + 1
        ranked.append((turn, number, record))
    return [record for _, _, record in sorted(ranked, key=lambda each: each[:2])]

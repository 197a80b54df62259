"""A symbol's daily bars with what is held of it, what was said of it, and what an idea would do."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from gallump_lab.lazy import alt, pd
from gallump_lab.market.market_context import usd
from gallump_lab.memory.insights import ANALYST
from gallump_lab.memory.rules import FAR
from gallump_lab.memory.text import one_line
from gallump_lab.reading.numbers import numbers
from gallump_lab.store import times
from gallump_lab.study.colours import INK
from gallump_lab.study.pictures import DIGITS, Picture, picture

if TYPE_CHECKING:
    from gallump_lab.brain.answer import Recommendation
    from gallump_lab.market.market_context import Position
    from gallump_lab.memory.ledger import Known

COLOURS = {"entry": "#2a86c4", "stop": "#D55E00", "target": "#009E73", "entry level": "#9467bd"}
"""Of the levels that are drawn; the bars are grey."""
LEVELS = {"position": "entry"} | {name: name for name in ("stop", "target", "entry level")}
"""What is drawn of what was stated, by the attribute."""
BARS = {"up": "#a6a6a6", "down": "#707070"}
MARK = "#CC79A7"
DASHES = {"holds": [1, 0], "idea": [5, 4]}
PALE = 0.4
WIDTH, HEIGHT, STUB = 520, 280, 12
LONGEST = 160
"""Characters of a statement that are shown."""


def price_chart(  # noqa: PLR0913 (what it shows)
    symbol: str,
    bars: "pd.DataFrame",
    held: "Sequence[Position]",
    said: "Sequence[Known]",
    *,
    now: datetime,
    idea: "Recommendation | None" = None,
    problems: Sequence[str] = (),
) -> Picture:
    """Draw daily bars, levels as lines from when they were stated until they ended, and statements as marks.

    A level more than `FAR` times off the close of its day is left out: it was misread, or is of before a split.
    """
    days, closes = [*bars["date"].dt.strftime("%Y-%m-%d")], [*bars["close"].round(DIGITS)]
    lines, marks = _recommended(idea) if idea else [], list[dict[str, Any]]()
    own = ((each.entry, f"{each.quantity:,.10g} held") for each in held)
    lines += [_line("entry", entry, words, "portfolio") for entry, words in own if entry is not None]
    known = {each.insight_id: each for each in said}
    for each in said:
        since, ended = _day(each.valid_from, now), _day(each.ended or each.valid_until, now)
        place = max(bisect_right(days, since) - 1, 0)
        told = _told(each, known.get(each.superseded_by or 0), now)
        if since >= days[0]:
            marks.append({"day": days[place], "close": closes[place], **told})
        price = _price(each)
        if price and closes[place] / FAR <= price <= closes[place] * FAR and (ended or days[-1]) >= days[0]:
            span = {"since": days[place], "until": min(ended or days[-1], days[-1])}
            lines.append({"level": LEVELS[each.attribute or ""], "price": price, **told, **span})
    holding = [_label(line) for line in lines if line["state"] == "holds"]
    ideas = [_label(line) for line in lines if line["state"] == "idea"]
    ended = sum(mark["state"] == "ended" for mark in marks)
    close = f"{symbol} closed at {closes[-1]:,.2f} on {days[-1]}"
    facts = [
        *holding,
        *[f"recommended: {', '.join(ideas)}"][: len(ideas)],
        f"{len(marks)} statements" + f", {ended} of them superseded or over (pale)" * bool(ended),
        *problems,
    ]
    frame = bars[["open", "high", "low", "close", "volume"]].round(DIGITS).assign(date=days, day=days)
    drawn = _drawn(frame, _labelled(lines, frame), marks)
    return picture(drawn, "; ".join([close, *facts]), close, " \u00b7 ".join(facts), width=WIDTH, height=HEIGHT)


def _drawn(bars: "pd.DataFrame", lines: Sequence[Mapping[str, Any]], marks: Sequence[Mapping[str, Any]]) -> Any:
    y = partial(alt.Y, title="USD", scale=alt.Scale(zero=False))
    own, pale = alt.Color("colour:N", scale=None), alt.Opacity("opacity:Q", scale=None)
    rising = bars["close"] >= bars["open"]
    base = alt.Chart(bars.assign(colour=rising.map({True: BARS["up"], False: BARS["down"]}))).encode(
        x=alt.X("date:T", title=None, scale=alt.Scale(type="utc")),
        color=own,  # a day is the same day everywhere
    )
    width = WIDTH / len(bars)
    figures = [name for name in ("open", "high", "low", "close", "volume") if bars[name].notna().any()]
    told = [alt.Tooltip("day:N", title="date"), *(alt.Tooltip(f"{name}:Q", format=",.10~g") for name in figures)]
    layers = [
        base.mark_line(strokeWidth=1).encode(y=y("close:Q"), color=alt.value(INK))
        if (bars["high"] == bars["low"]).all()
        else base.mark_rule().encode(y=y("low:Q"), y2="high:Q")
        + base.mark_bar(size=max(0.7 * width, 1)).encode(y=y("open:Q"), y2="close:Q"),
        base.mark_bar(size=width, opacity=0).encode(  # a day's whole height answers the pointer
            y=alt.value(0), y2=alt.value(HEIGHT), tooltip=told
        ),
    ]
    said = ["said:N", "by:N", "when:N", "holds:N"]
    if lines:
        level = alt.Chart(pd.DataFrame(lines)).encode(color=own, opacity=pale)
        ended, lasts = "datum.state == 'ended'", "datum.state != 'ended'"
        label = level.mark_text(align="left", dx=STUB + 4).transform_filter(lasts)
        label = label.encode(x="until:T", y="label_at:Q", text="label:N")
        dash = alt.StrokeDash("state:N", scale=alt.Scale(domain=[*DASHES], range=[*DASHES.values()]), legend=None)
        level = level.encode(x="since:T", x2="until:T", y=y("price:Q"), tooltip=["label:N", *said])
        holds = level.mark_rule(strokeWidth=2, x2Offset=STUB).encode(strokeDash=dash)  # seen even if of today
        layers += [level.mark_rule(strokeWidth=2).transform_filter(ended), holds.transform_filter(lasts), label]
    if marks:
        mark = alt.Chart(pd.DataFrame(marks)).mark_point(filled=True, size=60, shape="diamond", color=MARK)
        layers.append(mark.encode(x="day:T", y=y("close:Q"), opacity=pale, tooltip=said))
    return alt.layer(*layers)


def _labelled(lines: Sequence[dict[str, Any]], bars: "pd.DataFrame") -> list[dict[str, Any]]:
    """Complete the lines; the labels of those that hold stand apart."""
    whole = {"since": bars["date"].iloc[0], "until": bars["date"].iloc[-1]}
    prices = [bars["low"].min(), bars["high"].max(), *(line["price"] for line in lines)]
    apart, last = 0.05 * (max(prices) - min(prices)), float("-inf")
    found = []
    for line in sorted(lines, key=itemgetter("price")):
        place = line["price"] if line["state"] == "ended" else max(line["price"], last + apart)
        last = last if line["state"] == "ended" else place
        more = {"label": _label(line), "label_at": round(place, DIGITS), "colour": COLOURS[line["level"]]}
        found.append({**whole, **line, **more})
    return found


def _label(line: Mapping[str, Any]) -> str:
    return f"{line['level']} {usd(line['price']).removesuffix('.00')}" + f", {line['speaker']}" * bool(line["speaker"])


def _recommended(idea: "Recommendation") -> list[dict[str, Any]]:
    given = {"entry": idea.entry, "stop": idea.stop, "target": idea.target}
    said = f"{idea.action} {idea.symbol}"
    return [_line(name, price, said, "recommended", "idea") for name, price in given.items() if price is not None]


def _line(name: str, price: float, said: str, by: str, state: str = "holds") -> dict[str, Any]:
    more = {"said": said, "by": by, "when": "", "holds": "", "speaker": None, "opacity": 1.0}
    return {"level": name, "price": round(price, DIGITS), "state": state, **more}


def _told(each: "Known", newer: "Known | None", now: datetime) -> dict[str, Any]:
    """Return in words what was said, by whom, when, and whether it holds."""
    over = each.ended or (each.valid_until if each.valid_until and each.valid_until < times.naive(now) else None)
    holds = "yes" if over is None else f"until {_day(over, now)}" + (f", then: {_short(newer.text)}" if newer else "")
    return {
        "said": _short(each.text),
        "by": each.speaker or ANALYST,
        "speaker": each.speaker,
        "when": f"{times.aware(each.valid_from, now.tzinfo):%Y-%m-%d %H:%M}",
        "holds": holds,
        "state": "ended" if over else "holds",
        "opacity": PALE if over else 1.0,
    }


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= LONGEST else f"{line[:LONGEST].rstrip()}\u2026"


def _day(at: datetime | None, now: datetime) -> str:
    """Return the analyst's day of a time; "" for none."""
    return f"{times.aware(at, now.tzinfo):%Y-%m-%d}" if at else ""


def _price(each: "Known") -> float | None:
    """Return the price of what was stated, if it is drawn: a level's, or what a position that is open was paid."""
    value = each.value or ""
    if each.attribute == "position":
        value = "" if value.startswith("closed") else value.partition("at ")[2]
    stated = numbers(value) if each.attribute in LEVELS else ()
    return next((float(one.value) for one in stated if one.value and not one.unit), None)

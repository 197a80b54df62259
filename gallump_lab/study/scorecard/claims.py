"""Support: does what an insight says stand in the messages that it cites?

Each part is a metric of its own; `support` is the least of them, since one wrong detail makes a statement wrong.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from gallump_lab.memory.records import Message
from gallump_lab.study.scorecard.directions import DEAL, TO, Pointer, agreement, pointers
from gallump_lab.study.scorecard.reader import Reader, soft
from gallump_lab.study.scorecard.reading import Date, Reading, Word, bare, same
from gallump_lab.study.scorecard.records import Score, Stated

NEAR = 0.5
"""What stands in a neighbouring message of the session, not in a cited one, counts so much."""
BEFORE, AFTER = 3, 2
"""So many neighbours before and after a cited message are looked at."""
DECIDED = 4.0
_NOTHING = "It cites no message that is there."


def support(insight: Stated, reader: Reader) -> Score:
    """Give the least of `numbers`, `dates`, `names`, `direction` and `claim`; NaN if none of them can be scored.

    An insight is as true as its worst detail, which a mean would hide: one changed number among nine right words.
    """
    found = {name: metric(insight, reader) for name, metric in PARTS.items()}
    scored = {name: score for name, score in found.items() if not math.isnan(score.value)}
    if not scored:
        return Score(value=math.nan, why=found["claim"].why)
    worst = min(scored, key=lambda name: scored[name].value)
    return scored[worst]


def numbers(insight: Stated, reader: Reader) -> Score:
    """Tell whether its numbers stand in a cited message: the least of its numbers.

    A number counts 1 if a cited message has it (1,250.50 = 1250.5; 4% = four percent = 0.04; 60m = 60 million), or if it
    is a price that its symbol's market paid on the message's day, on a named one, or on the bar before; `NEAR` if a
    neighbouring message has it; else 0.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return Score(value=math.nan, why=_NOTHING)
    stated = reader.stated(insight)
    said = [number.value for each in cited for number in _and_dated(reader.of(each))]
    nearby = [number.value for each in _neighbours(cited, reader) for number in _and_dated(reader.of(each))]
    days = [each.created_at.date() for each in cited] + [each.first for each in stated.dates if each.first == each.last]
    scores = {}
    for number in stated.numbers:
        paid = reader.paid(number, _symbols(insight, reader), days)
        if paid or any(same(number.value, other) for other in said):
            scores[number.text] = 1.0
        else:
            scores[number.text] = NEAR if any(same(number.value, other) for other in nearby) else 0.0
    return _least(scores, "It names no number.")


def dates(insight: Stated, reader: Reader) -> Score:
    """Tell whether its dates stand in a cited message: the least of its dates.

    A date counts 1 if it is the day of a cited message or a time around it (its month, its year), or holds a time that
    a cited message names ("by May", "last week", "Q3": counted from the message's day); `NEAR` if a neighbouring
    message names it, or if it is a day within a vaguer time that a cited message names; else 0.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return Score(value=math.nan, why=_NOTHING)
    said = [(named, each) for each in cited for named in reader.of(each).dates]
    nearby = [(named, each) for each in _neighbours(cited, reader) for named in reader.of(each).dates]
    own = [each.created_at.date() for each in cited]
    scores = {}
    for stated in reader.stated(insight).dates:
        if any(stated.first <= day <= stated.last for day in own) or any(_holds(stated, named) for named, _ in said):
            scores[stated.text] = 1.0
        elif any(_holds(stated, named) for named, _ in nearby) or any(_vaguer(named, stated) for named, _ in said):
            scores[stated.text] = NEAR
        else:
            scores[stated.text] = 0.0
    return _least(scores, "It names no date.")


def names(insight: Stated, reader: Reader) -> Score:
    """Tell whether its names stand in a cited message: the least of its names, its symbol and its speaker.

    A symbol counts 1 if a cited message speaks of it, by any name learnt from the history; what a message speaks of is
    what it names, and only if it names none, what was spoken of just before or its field. A person counts 1 who speaks
    or is named in a cited message; someone else of the same session `NEAR`, or 1 beside the speaker. Other names count
    1 if a cited message has them, `NEAR` if a neighbouring one has; else 0.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return Score(value=math.nan, why=_NOTHING)
    stated = reader.stated(insight)
    spoken = {symbol for each in cited for symbol in reader.meant(each)}
    said, nearby = _vocabulary(cited), _vocabulary(_neighbours(cited, reader))
    speakers = {bare(each.speaker) for each in cited if each.speaker}
    present = {bare(m.speaker) for each in cited for m in reader.history.sessions[each.session_id] if m.speaker}
    found = [bare(name) for name in reader.names(stated)] + ([bare(insight.speaker)] if insight.speaker else [])
    scores: dict[str, float] = {}
    for symbol in _symbols(insight, reader):
        scores[symbol] = 1.0 if symbol in spoken else 0.0
    people = [name for name in found if name in reader.speakers]
    for name in found:
        if name in reader.aliases:
            continue
        if name in reader.speakers:
            if name in speakers:
                scores[name] = 1.0
            elif name == people[0]:
                scores[name] = NEAR / 2 if name in present or _among(name, said) else 0.0
            else:
                scores[name] = 1.0 if name in present or _among(name, said) else 0.0
        else:
            scores[name] = 1.0 if _among(name, said | speakers) else NEAR if _among(name, nearby | present) else 0.0
    return _least(scores, "It names nothing.")


def direction(insight: Stated, reader: Reader) -> Score:
    """Tell whether it points where the cited messages point: the least of its words of direction.

    A word that points (above, sell, never, ...) counts 1 if a cited message has it, or another that points the same way,
    in the words most like those around it; 0 if it has only one that points the other way, or if the market
    contradicts it: a price above the close cannot be fallen to. Words that no message and no price can judge are not scored.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return Score(value=math.nan, why=_NOTHING)
    said = [pointer for each in cited for pointer in pointers(each.text)]
    scores: dict[str, float] = {}
    for pointer in pointers(insight.text):
        evidence = [found for other in said if (found := _weighed(pointer, other, reader))]
        told = _of_prices(pointer, insight, reader, cited[-1])
        if evidence or told:
            total = max([*evidence, 0.0]) + min([*evidence, 0.0]) + told
            value = 1 / (1 + math.exp(-DECIDED * total))
            scores[pointer.word] = min(value, scores.get(pointer.word, 1.0))
    return _least(scores, "It has no word whose direction the messages or prices tell.", enough=0.5)


def _weighed(pointer: Pointer, other: Pointer, reader: Reader) -> float:
    """Weigh how far another word points the same way by what both stand beside."""
    agreed = agreement(pointer, other)
    if not agreed:
        return 0.0
    shared = sum(reader.bits(term) for term in sorted(pointer.about & other.about))
    return agreed * (0.4 + min(shared / 10, 2.0))


def _of_prices(pointer: Pointer, insight: Stated, reader: Reader, cited: Message) -> float:
    """Say what prices tell: a price above the day's cannot be fallen to, nor one below them be risen to.

    One buys below the market and sells above it, unless it is a stop; that tells less.
    """
    symbols = _symbols(insight, reader)
    day = reader.day(symbols[0], cited.created_at.date()) if symbols else None
    after = [each.value for each in reader.stated(insight).numbers if each.start > pointer.start]
    if day is None or not after or not day[2] / 2 < after[0] < day[1] * 2 or day[2] <= after[0] <= day[1]:
        return 0.0
    above = 1 if after[0] > day[1] else -1
    pairs = {pair: sign for _, pair, sign in pointer.poles}
    return above * (2.0 * pairs.get(TO, 0) - 0.5 * pairs.get(DEAL, 0))


def claim(insight: Stated, reader: Reader) -> Score:
    """Tell whether its words stand in the cited messages: its worst clause."""
    cited = reader.history.cited(insight)
    if not cited:
        return Score(value=math.nan, why=_NOTHING)
    worst = None
    for text, parts in carried(insight, reader, cited):
        missing = sum(bits * (1 - share) for _, bits, share in parts)
        total = sum(bits for _, bits, share in parts)
        value = 1 / (1 + (missing / 20) ** 2)
        if worst is None or value < worst[0]:
            worst = value, text, parts
    if worst is None:
        return Score(value=math.nan, why="It has no words.")
    lacks = [word for word, _, share in worst[2] if share < 0.5]
    return Score(value=worst[0], why=f"{', '.join(lacks)} stand in no cited message" if lacks else "")


def carried(
    insight: Stated, reader: Reader, cited: Sequence[Message]
) -> Iterator[tuple[str, list[tuple[str, float, float]]]]:
    """Give each clause's content words with their bits and how far the cited messages carry them."""
    stated = reader.stated(insight)
    known = {bare(each.speaker) for each in cited if each.speaker}
    spoken = {symbol for each in cited for symbol in reader.meant(each)}
    own = list(dict.fromkeys(w.text.lower() for each in cited for w in reader.of(each).words))
    terms = {w.term for each in cited for w in reader.of(each).words}
    near = list(dict.fromkeys(w.text.lower() for each in _neighbours(cited, reader) for w in reader.of(each).words))
    nterms = {w.term for each in _neighbours(cited, reader) for w in reader.of(each).words}
    named = {bare(n) for n in reader.names(stated)}
    words = [w for w in stated.words if bare(w.text) not in named]
    like = reader.likeness([w.text.lower() for w in words], own)
    like2 = reader.likeness([w.text.lower() for w in words], near)
    share = {}
    for row, w in enumerate(words):
        a = 1.0 if w.term in terms else soft(float(like[row].max(initial=0)))
        b = NEAR * (1.0 if w.term in nterms else soft(float(like2[row].max(initial=0))))
        share[w.start] = max(a, b)
    for begin, end in stated.clauses:
        parts = [(w.text, reader.bits(w.term), share[w.start]) for w in words if begin <= w.start < end]
        if parts:
            yield stated.text[begin:end], parts


PARTS: Mapping[str, Callable[[Stated, Reader], Score]] = {
    "numbers": numbers,
    "dates": dates,
    "names": names,
    "direction": direction,
    "claim": claim,
}


def _least(scores: Mapping[str, float], nothing: str, *, enough: float = 1.0) -> Score:
    if not scores:
        return Score(value=math.nan, why=nothing)
    low = min(scores.values())
    lacks = [name for name, value in scores.items() if value < enough]
    return Score(value=low, why=f"{', '.join(lacks)} stands in no cited message." if lacks else "")


def _neighbours(cited: Sequence[Message], reader: Reader) -> list[Message]:
    own = {each.message_id for each in cited}
    found = {each.message_id: each for message in cited for each in reader.around(message, BEFORE, AFTER)}
    return [each for key, each in found.items() if key not in own]


def _and_dated(reading: Reading):
    yield from reading.numbers


def _symbols(insight: Stated, reader: Reader) -> list[str]:
    named = reader.mentioned(insight.text)
    return list(dict.fromkeys([*named, *([insight.symbol] if insight.symbol else [])]))


def _vocabulary(messages: Sequence[Message]) -> set[str]:
    return {bare(word) for each in messages for word in re.findall(r"[^\W_]+(?:['\u2019][^\W_]+)?", each.text)}


def _among(name: str, words: set[str]) -> bool:
    """Tell whether a name is among words, in short or inflected too: Mel is Melanie, Europeans are European."""
    parts = [part for part in re.split(r"[^\w]+", name) if part]
    return all(
        part in words
        or any(len(word) >= 3 and len(part) >= 3 and (part.startswith(word) or word.startswith(part)) for word in words)
        for part in parts
    )


def _holds(stated: Date, named: Date) -> bool:
    if stated.yearless and named.first.timetuple()[1:3] == stated.first.timetuple()[1:3]:
        return (named.last - named.first) <= (stated.last - stated.first)
    return stated.first <= named.first and named.last <= stated.last


def _vaguer(named: Date, stated: Date) -> bool:
    return named.first <= stated.first and stated.last <= named.last and (named.last - named.first).days <= 100

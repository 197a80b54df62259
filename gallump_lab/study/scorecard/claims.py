"""Support: whether what an insight says stands in the messages that it cites.

Each part is a metric of its own; `support` is the least of them, since one wrong detail makes a statement wrong.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence

from gallump_lab.memory.records import Message
from gallump_lab.memory.text import terms
from gallump_lab.reading.dates import Named
from gallump_lab.study.scorecard.prose import (
    DEAL,
    PLAN,
    TO,
    Amount,
    Pointer,
    Word,
    agreement,
    bare,
    denials,
    pointers,
    same,
)
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.stated import Score, Stated

NEAR = 0.5
"""What stands in a neighbouring message of the session, not in a cited one, counts so much."""
BEFORE, AFTER = 3, 2
"""So many neighbours before and after a cited message are looked at."""
ANOTHER = 0.1
"""What is told of one of a session on another's word: a slip as a rule, at times what both knew."""
GIVEN = 10.0
"""Bits that a clause is given beside its own: a word or two (eight bits at most each) may only say it otherwise."""
DECIDED, DOUBT = 4.0, 1.0
"""How steeply evidence of direction decides, and the benefit of the doubt: with none on either side it is 0.73."""
BESIDE, MOST = 0.4, 2.0
"""What a word's direction weighs beside none of the same words, and what same words around it add at most."""
MOVED, DEALT, PLANNED = 2.0, 0.5, 1.0
"""What the market tells against rising to a lower price, against buying above it (a breakout may), and against a target
below it (one who is short has it there)."""
DENIED = 0.25
"""A denial that one of both lacks: mostly the opposite, at times only another way to say it."""
_NOTHING = Score(value=math.nan, why="It cites no message that is there.")


def support(insight: Stated, reader: Reader) -> Score:
    """Return the least of `numbers`, `dates`, `names`, `direction` and `claim`; NaN if none of them can be scored.

    An insight is as true as its worst detail, which a mean would hide: one changed number among nine right words.
    """
    found = [part(insight, reader) for part in PARTS.values()]
    scored = [score for score in found if not math.isnan(score.value)]
    return min(scored, key=lambda score: score.value) if scored else found[-1]


def numbers(insight: Stated, reader: Reader) -> Score:
    """Return whether its numbers stand in a cited message: the least of its numbers.

    A number counts 1 if a cited message has it (1,250.50 = 1250.5; 4% = four percent = 0.04; 60m = 60 million), or if
    it is a price that its symbol's market paid on the message's day, on a named one, or on the bar before; `NEAR` if a
    neighbouring message has it; else 0.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return _NOTHING
    stated, symbols = reader.stated(insight), reader.symbols(insight)
    said, nearby = ([each for m in ms for each in _amounts(m, reader)] for ms in (cited, _neighbours(cited, reader)))
    days = [each.created_at.date() for each in cited] + [each.first for each in stated.dates if each.first == each.last]
    scores = {}
    for number in stated.numbers:
        there = any(same(number, other) for other in said) or reader.paid(number, symbols, days)
        scores[number.text] = 1.0 if there else NEAR * any(same(number, other) for other in nearby)
    return _least(scores, "It names no number.")


def dates(insight: Stated, reader: Reader) -> Score:
    """Return whether its dates stand in a cited message: the least of its dates.

    A date counts 1 if it is the day of a cited message or a time around it (its month, its year), or holds a time that
    a cited message names ("by May", "last week", "Q3": counted from the message's day); `NEAR` if a neighbouring
    message names it; else 0.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return _NOTHING
    said, nearby = ([each for m in ms for each in reader.of(m).dates] for ms in (cited, _neighbours(cited, reader)))
    own = [each.created_at.date() for each in cited]
    scores = {}
    for date in reader.stated(insight).dates:
        there = any(date.first <= day <= date.last for day in own) or any(_holds(date, each) for each in said)
        scores[date.text] = 1.0 if there else NEAR * any(_holds(date, each) for each in nearby)
    return _least(scores, "It names no date.")


def names(insight: Stated, reader: Reader) -> Score:
    """Return whether its names stand in a cited message: the least of its names, its symbol and its speaker.

    A symbol counts 1 if a cited message speaks of it: by what the message names, and only if it names none, by what was
    named just before or by its field. The first speaker that it names, or its own, must have said a cited message; one
    of the session who did not counts `ANOTHER`. Others of the session count 1, and so does any name that a cited
    message has; `NEAR` if only a neighbouring one has it; else 0.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return _NOTHING
    spoken = {symbol for each in cited for symbol in reader.meant(each)}
    speakers = {bare(each.speaker) for each in cited if each.speaker}
    present = {bare(m.speaker) for each in cited for m in reader.history.sessions[each.session_id] if m.speaker}
    said = speakers.union(*map(reader.words, cited))
    nearby = present.union(*map(reader.words, _neighbours(cited, reader)))
    found = [bare(name) for name in reader.names(reader.stated(insight)) if not reader.mentioned(name)]
    found += [bare(insight.speaker)] if insight.speaker else []
    first = next((name for name in found if name in reader.speakers), None)
    scores = {symbol: float(symbol in spoken) for symbol in reader.symbols(insight)}
    for name in found:
        if name == first and name not in speakers:
            scores[name] = ANOTHER * (name in present or _among(name, said))
        else:
            there = _among(name, said) or (name in reader.speakers and name in present)
            scores[name] = 1.0 if there else NEAR * _among(name, nearby)
    return _least(scores, "It names nothing.")


def direction(insight: Stated, reader: Reader) -> Score:
    """Return whether it points where the cited messages point: the least of its words of direction.

    Evidence for a word (above, sell, never, ...) is the best of the cited messages' words that point the same way, less
    the worst of those that point the other way, each weighed by whether it is of the same pair (`agreement`) and by the
    bits of the words that both stand beside, and what prices tell (a price above the day's cannot be fallen to). A word
    counts 1 / (1 + exp(-`DECIDED` evidence - `DOUBT`)); one without
    evidence is not scored. What denies where the cited messages do not, or affirms what they deny, counts `DENIED`.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return _NOTHING
    said = [pointer for each in cited for pointer in pointers(each.text)]
    scores: dict[str, float] = {}
    for pointer in pointers(insight.text):
        evidence = [found for other in said if (found := _weighed(pointer, other, reader))]
        told = _of_prices(pointer, insight, reader, cited[-1])
        if evidence or told:
            total = max([*evidence, 0.0]) + min([*evidence, 0.0]) + told
            value = 1 / (1 + math.exp(-DECIDED * total - DOUBT))
            scores[pointer.word] = min(value, scores.get(pointer.word, 1.0))
    if denied := _denied(insight.text, cited):
        scores[denied] = DENIED
    return _least(scores, "It has no word whose direction the messages or prices tell.", enough=0.5)


def _denied(text: str, cited: Sequence[Message]) -> str:
    """Return a word that denies what the cited messages affirm, or one of theirs that denies what the insight affirms.

    A denial is answered by one of the other side about some of the same words; where the other side denies something
    else, two words must be affirmed there.
    """
    mine, said = denials(text), [pointer for each in cited for pointer in denials(each.text)]
    known = {term for each in cited for term in terms(each.text)}
    for each in mine:
        if len(known.intersection(each.after)) > bool(said) and not _answered(each, said):
            return each.word
    stated = set(terms(text))
    affirmed = (each for each in said if len(each.after) >= 2 and stated.issuperset(each.after))
    return next((each.word for each in affirmed if not _answered(each, mine)), "")


def _answered(denial: Pointer, others: Sequence[Pointer]) -> bool:
    return any(not (other.about | {*other.after}).isdisjoint(denial.after) for other in others)


def _weighed(pointer: Pointer, other: Pointer, reader: Reader) -> float:
    """Weigh how far another word points the same way by what both stand beside."""
    agreed = agreement(pointer, other)
    if not agreed:
        return 0.0
    shared = sum(reader.bits(term) for term in sorted(pointer.about & other.about))
    return agreed * (BESIDE + min(shared / 10, MOST))


def _of_prices(pointer: Pointer, insight: Stated, reader: Reader, cited: Message) -> float:
    """Return what prices tell: a price above the day's cannot be fallen to, nor one below them be risen to.

    One buys below the market and sells above it, unless it is a stop, and has targets above and stops below; that tells
    less.
    """
    symbols = reader.symbols(insight)
    day = reader.day(symbols[0], cited.created_at.date()) if symbols else None
    after = [each.value for each in reader.stated(insight).numbers if each.start > pointer.start]
    if day is None or not after or not day[2] / 2 < after[0] < day[1] * 2 or day[2] <= after[0] <= day[1]:
        return 0.0
    above = 1 if after[0] > day[1] else -1
    pairs = {pair: sign for _, pair, sign in pointer.poles}
    return above * (MOVED * pairs.get(TO, 0) - DEALT * pairs.get(DEAL, 0) + PLANNED * pairs.get(PLAN, 0))


def claim(insight: Stated, reader: Reader) -> Score:
    """Return whether its words stand in the cited messages: its worst clause, 0 to 1.

    A clause counts ((held + `GIVEN`) / (all + `GIVEN`))^2, where all are the bits that its words tell (`Reader.told`;
    numbers, dates and names have metrics of their own) and held are those that the cited messages have: all of a word's
    that stands there, a share of one that has the like of it there, `NEAR` of what the neighbours have. So a clause
    that was made up shows, however much the rest is supported, and a word or two that only say it otherwise do not.
    """
    cited = reader.history.cited(insight)
    if not cited:
        return _NOTHING
    stated = reader.stated(insight)
    named = {bare(name) for name in reader.names(stated)}
    words = [word for word in stated.words if bare(word.text) not in named]
    own, near = _had(words, cited, reader), _had(words, _neighbours(cited, reader), reader)
    worst, lacks = math.nan, ""
    for begin, end in stated.clauses:
        parts = [
            (word.text, reader.told(word), max(mine, NEAR * other))
            for word, mine, other in zip(words, own, near, strict=True)
            if begin <= word.start < end
        ]
        total, held = sum(bits for _, bits, _ in parts), sum(bits * share for _, bits, share in parts)
        value = ((held + GIVEN) / (total + GIVEN)) ** 2
        if parts and not worst <= value:
            worst, lacks = value, ", ".join(word for word, _, share in parts if share < 0.5)
    why = "It has no words." if math.isnan(worst) else f"No cited message says: {lacks}." if lacks else ""
    return Score(value=worst, why=why)


def _had(words: Sequence[Word], messages: Sequence[Message], reader: Reader) -> list[float]:
    """Return how far messages have each word: 1 if they do, else by its likest there."""
    said = {word.text.lower(): word.term for each in messages for word in reader.of(each).words}
    known = {*said.values()}
    like = reader.likeness([word.text.lower() for word in words], [*said])
    found = []
    for word, row in zip(words, like, strict=True):
        found.append(1.0 if word.term in known else float(row.max(initial=0)))
    return found


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
    stand = "stands" if len(lacks) == 1 else "stand"
    return Score(value=low, why=f"{', '.join(lacks)} {stand} in no cited message." if lacks else "")


def _neighbours(cited: Sequence[Message], reader: Reader) -> list[Message]:
    own = {each.message_id for each in cited}
    found = {each.message_id: each for message in cited for each in reader.around(message, BEFORE, AFTER)}
    return [each for key, each in found.items() if key not in own]


def _amounts(message: Message, reader: Reader) -> list[Amount]:
    """Return a message's numbers, and those that were read as years."""
    reading = reader.of(message)
    years = [
        Amount(float(each.text), None, each.text, each.start, each.stop)
        for each in reading.dates
        if each.text.isdigit()
    ]
    return [*reading.numbers, *years]


def _among(name: str, words: Collection[str]) -> bool:
    """Return whether a name is among words, in short or inflected too: Mel is Melanie, Europeans are European."""
    parts = [part for part in re.split(r"[^\w]+", name) if part]
    return all(
        part in words
        or any(len(word) >= 3 and len(part) >= 3 and (part.startswith(word) or word.startswith(part)) for word in words)
        for part in parts
    )


def _holds(stated: Named, named: Named) -> bool:
    """Return whether a stated time holds a named one; without a year, by day and month."""
    if stated.yearless and named.first.timetuple()[1:3] == stated.first.timetuple()[1:3]:
        return (named.last - named.first) <= (stated.last - stated.first)
    return stated.first <= named.first and named.last <= stated.last

"""Support: whether what an insight says stands in the messages that it cites.

Each part is a metric of its own; `support` is the least of them, since one wrong detail makes a statement wrong.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from gallump_lab.lazy import regex
from gallump_lab.memory.records import Message
from gallump_lab.memory.text import terms
from gallump_lab.reading.dates import Named
from gallump_lab.reading.names import key
from gallump_lab.study.scorecard.history import Score, Stated
from gallump_lab.study.scorecard.reader import Amount, Reader, bare

ANOTHER = 0.1
"""What is told of one of a session on another's word: a slip as a rule, at times what both knew."""
GIVEN = 10.0
"""Bits that a clause is given beside its own: a word or two (eight bits at most each) may only say it otherwise."""
DECIDED, DOUBT = 4.0, 1.0
"""How steeply evidence of direction decides, and the benefit of the doubt: with none on either side it is 0.73."""
BESIDE, SHARED = 0.4, 0.3
"""What a word's direction weighs beside none of the same words, and what each same word around it adds."""
UNCITED = Score(value=math.nan, why="It cites no message that is there.")

# What points up, in or yes | what points down, out or no; a pair of opposites a piece.
_OPPOSITES = """
    above over exceed surpass beyond | below under beneath; up upward upside | down downward downside; rise rising rose
    climb grow grew growth increase jump rally soar surge rebound recover | fall fell fallen drop decline decrease slide
    slid slump sink sank plunge dip tumble; raise | lower cut reduce; high higher highest peak top | low lower lowest
    trough bottom; more greater larger bigger | less fewer smaller; most | least; maximum max ceiling cap | minimum min
    floor; gain profit win won winner | loss lose lost loser; plus | negative minus; better best | worse worst;
    double | halve; strong | weak; bullish bull optimistic | bearish bear pessimistic; expensive | cheap; overweight |
    underweight; buy bought buyer purchase acquire accumulate | sell sold sale seller dump trim unload realise stop;
    enter entry open opened add | exit leave left quit; long | short; own hold held keep kept | part ended;
    target objective goal profit | stop floor invalidation bail; always | never; allow permit accept | forbid reject
    refuse; before | after; start began begun | stop stopped end finish; early earlier | late later; first | last; love
    like enjoy | hate dislike; trust | distrust; prefer want | avoid; happy glad excited | sad unhappy upset; great good
    favorite | terrible bad boring; easy | hard difficult; safe | risky dangerous; agree | disagree; remember | forget
    forgot; support | oppose
"""
_SIDES: dict[str, frozenset[tuple[int, int]]] = {}
for _pair, _text in enumerate(_OPPOSITES.split(";")):
    for _side, _words in zip((1, -1), _text.split("|"), strict=True):
        for _word in _words.split():
            for _key in {_word, *terms(_word)}:
                _SIDES[_key] = _SIDES.get(_key, frozenset()) | {(_pair, _side)}
_DENY = frozenset("not no none nothing nobody never neither nor without cannot".split())
_PIECE = regex(r"\d[\d,]*(?:\.\d+)?|[^\W_]+(?:['\u2019][^\W_]+)?")
_ROUND, _DENIED = 5, 3
"""So many words before and after one that points say what it points at; what denies stands so many before it."""


def support(insight: Stated, reader: Reader) -> Score:
    """Return the least of `numbers`, `dates`, `names`, `direction` and `claim`; NaN if none of them can be scored.

    An insight is as true as its worst detail, which a mean would hide: one changed number among nine right words.
    """
    found = [part(insight, reader) for part in PARTS.values()]
    scored = [score for score in found if not math.isnan(score.value)]
    return min(scored, key=lambda score: score.value) if scored else found[-1]


def numbers(insight: Stated, reader: Reader) -> Score:
    """Return whether its numbers stand in a cited message: 1 if all do, else 0.

    A number stands there (1,250.50 = 1250.5; 4% = four percent = 0.04; 60m = 60 million), or is a price that its
    symbol's market paid on the message's day, on a named one, or on the bar before.
    """
    cited, stated, symbols = reader.history.cited(insight), reader.stated(insight), reader.symbols(insight)
    said = [number for each in cited for number in _amounts(each, reader)]
    days = [each.created_at.date() for each in cited] + [each.first for each in stated.dates if each.first == each.last]
    scores = {each.text: float(each.same(said) or reader.paid(each, symbols, days)) for each in stated.numbers}
    return _least(scores, "It names no number.") if cited else UNCITED


def dates(insight: Stated, reader: Reader) -> Score:
    """Return whether its dates stand in a cited message: 1 if all do, else 0.

    A date is the day of a cited message or a time around it (its month, its year), or holds a time that a cited message
    names ("by May", "last week", "Q3": counted from the message's day).
    """
    cited = reader.history.cited(insight)
    said = [date for each in cited for date in reader.of(each).dates]
    own = [each.created_at.date() for each in cited]
    scores = {
        date.text: float(any(date.first <= day <= date.last for day in own) or any(_holds(date, each) for each in said))
        for date in reader.stated(insight).dates
    }
    return _least(scores, "It names no date.") if cited else UNCITED


def names(insight: Stated, reader: Reader) -> Score:
    """Return whether its names stand in a cited message: the least of its names, its symbol and its speaker.

    A symbol counts 1 if a cited message speaks of it: by what the message names, and only if it names none, by what was
    named just before or by its field. The first speaker that it names, or its own, must have said a cited message; one
    of the session who did not counts `ANOTHER`. Others of the session count 1, and so does any name that a cited
    message has, in short or inflected too; else 0.
    """
    cited = reader.history.cited(insight)
    spoken = {key(symbol) for each in cited for symbol in reader.meant(each)}
    speakers = {bare(each.speaker) for each in cited if each.speaker}
    present = {bare(m.speaker) for each in cited for m in reader.history.sessions[each.session_id] if m.speaker}
    said = speakers.union(*map(reader.words, cited))
    found = [bare(name) for name in reader.names(reader.stated(insight)) if not reader.mentioned(name)]
    found += [bare(insight.speaker)] if insight.speaker else []
    first = next((name for name in found if name in reader.speakers), None)
    scores = {symbol: float(key(symbol) in spoken) for symbol in reader.symbols(insight)}
    for name in found:
        there = name in present or _among(name, said)
        scores[name] = ANOTHER * there if name == first and name not in speakers else float(there)
    return _least(scores, "It names nothing.") if cited else UNCITED


def direction(insight: Stated, reader: Reader) -> Score:
    """Return whether it points where the cited messages point: the least of its words of direction.

    Evidence for a word (above, sell, never, ...) is the best of the cited messages' words on the same side of a pair of
    opposites, less the worst of those on the other side, each weighed by the words that both stand beside. A word
    counts 1 / (1 + exp(-`DECIDED` evidence - `DOUBT`)); one without evidence is not scored.
    """
    cited = reader.history.cited(insight)
    said = [pointer for each in cited for pointer in pointers(each.text)]
    scores: dict[str, float] = {}
    for pointer in pointers(insight.text):
        if evidence := [found for other in said if (found := _agreement(pointer, other))]:
            total = max([*evidence, 0.0]) + min([*evidence, 0.0])
            value = 1 / (1 + math.exp(-DECIDED * total - DOUBT))
            scores[pointer.word] = min(value, scores.get(pointer.word, 1.0))
    return _least(scores, "It has no word whose direction the messages tell.", enough=0.5) if cited else UNCITED


class Pointer(NamedTuple):
    """A word that points somewhere."""

    word: str
    sides: frozenset[tuple[int, int]]
    """Its pairs of opposites, and its side there, 1 or -1; what is denied is on the other side."""
    about: frozenset[str]
    """The terms around it."""


@lru_cache(maxsize=50_000)
def pointers(text: str) -> Sequence[Pointer]:
    """Return the words of a text that point somewhere, in its order."""
    words = _PIECE.findall(re.sub(r"n['\u2019]t\b", " not", text.lower()))
    stems = [terms(word) for word in words]
    found = []
    for place, word in enumerate(words):
        sides = next((_SIDES[each] for each in (word, *stems[place]) if each in _SIDES), None)
        if sides:
            if not _DENY.isdisjoint(words[max(place - _DENIED, 0) : place]):
                sides = frozenset((pair, -side) for pair, side in sides)
            around = [*stems[max(place - _ROUND, 0) : place], *stems[place + 1 : place + 1 + _ROUND]]
            found.append(Pointer(word, sides, frozenset(term for each in around for term in each)))
    return found


def opposed(one: str, other: str) -> bool:
    """Return whether two texts have words on opposite sides of one pair (buy, sell), and neither has both."""
    mine, its = ({side for pointer in pointers(text) for side in pointer.sides} for text in (one, other))
    return any((p, -side) in its and (p, side) not in its and (p, -side) not in mine for p, side in mine)


def _agreement(one: Pointer, other: Pointer) -> float:
    """Return how far two words point one way, below 0 where they point apart, by how many words stand around both."""
    apart = any((pair, -side) in other.sides for pair, side in one.sides)
    agreed = 1 if one.sides & other.sides else -1 if apart else 0
    return agreed * (BESIDE + SHARED * len(one.about & other.about))


def claim(insight: Stated, reader: Reader) -> Score:
    """Return whether its words stand in the cited messages: its worst clause, 0 to 1.

    A clause counts ((held + `GIVEN`) / (all + `GIVEN`))^2, where all are the bits that its words tell (`Reader.told`;
    numbers, dates and names have metrics of their own) and held are those of the words that a cited message has. So a
    clause that was made up shows, however much the rest is supported, and a word that only says it otherwise does not.
    """
    cited, stated = reader.history.cited(insight), reader.stated(insight)
    named = {bare(name) for name in reader.names(stated)}
    said = {word.term for each in cited for word in reader.of(each).words}
    worst, lacks = math.nan, ""
    for begin, end in stated.clauses:
        words = [word for word in stated.words if begin <= word.start < end and bare(word.text) not in named]
        missing = [word for word in words if word.term not in said]
        total, missed = (sum(map(reader.told, each)) for each in (words, missing))
        value = ((total - missed + GIVEN) / (total + GIVEN)) ** 2
        if words and not worst <= value:
            worst, lacks = value, ", ".join(word.text for word in missing)
    why = "It has no words." if math.isnan(worst) else f"No cited message says {lacks}." if lacks else ""
    return Score(value=worst, why=why) if cited else UNCITED


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
    lacks = [name for name, value in scores.items() if value < enough]
    said = ", ".join(f"'{name}'" for name in lacks)
    return Score(value=min(scores.values()), why=f"No cited message says {said}." if lacks else "")


def _amounts(message: Message, reader: Reader) -> list[Amount]:
    """Return a message's numbers, and those that were read as years."""
    years = [each for each in reader.of(message).dates if each.text.isdigit()]
    return [*reader.of(message).numbers, *(Amount(float(each.text), None, each.text, 0, 0) for each in years)]


def _among(name: str, words: Collection[str]) -> bool:
    """Return whether a name is among words, in short or inflected too: Mel is Melanie, Europeans are European."""
    parts = [part for part in re.split(r"[^\w]+", name) if part]
    return all(
        part in words
        or any(min(len(word), len(part)) >= 3 and (part.startswith(word) or word.startswith(part)) for word in words)
        for part in parts
    )


def _holds(stated: Named, named: Named) -> bool:
    """Return whether a stated time holds a named one; without a year, by day and month."""
    if stated.yearless and named.first.timetuple()[1:3] == stated.first.timetuple()[1:3]:
        return (named.last - named.first) <= (stated.last - stated.first)
    return stated.first <= named.first and named.last <= stated.last

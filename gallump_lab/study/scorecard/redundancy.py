"""How an insight stands to the others beside it: whether one says it already, or the contrary.

Both are decided by `memory.relation`, as the ledger and the prompt do. What it calls neither is still ranked, below
every verdict, by how near it comes: a model may have said the same in other words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from gallump_lab.memory.relation import relation
from gallump_lab.study.scorecard.prose import Amount, bare, pointers, same
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.stated import Score, Stated

SUSPECTED = 0.49
"""What likeness alone gives at most."""
TOGETHER = timedelta(days=1)
"""Of two statements further apart the later one is an update of the earlier, and no contradiction."""
_ALONE = Score(value=math.nan, why="There is no other insight.")


def redundancy(insight: Stated, others: Sequence[Stated], reader: Reader) -> Score:
    """Return how surely another insight says it already: 1 where it says no more, else a share of its words.

    That is the greatest share of its words, by their bits, that another about the same symbol and person has or has the
    like of, times `SUSPECTED`; 0 if it has a number or a date that the other has not. A price of its day counts as no
    number, since it can be looked up. NaN if there is no other insight. Novelty is 1 minus it.
    """
    return _most(insight, others, reader, "same", "says it")


def contradiction(insight: Stated, others: Sequence[Stated], reader: Reader) -> Score:
    """Return how surely another insight states the opposite at the same time: 1 where both cannot be true.

    Else the share of words that both have, times `SUSPECTED`, if they are of the same symbol, person, times and
    attribute, of one day, and differ in a number or a word's opposite. NaN if there is no other insight.
    """
    return _most(insight, others, reader, "contradicts", "says otherwise")


def repeated(insights: Sequence[Stated]) -> Score:
    """Return the share of insights that say no more than an earlier one; NaN if there are fewer than two."""
    ordered = sorted(insights, key=lambda each: (each.valid_from, each.insight_id))
    if len(ordered) < 2:
        return Score(value=math.nan, why="There are fewer than two insights.")
    again = [
        each for place, each in enumerate(ordered) if any(relation(other, each) == "same" for other in ordered[:place])
    ]
    ids = ", ".join(str(each.insight_id) for each in again)
    return Score(value=len(again) / len(ordered), why=f"Said before: {ids}." if again else "")


def _most(insight: Stated, others: Sequence[Stated], reader: Reader, kind: str, says: str) -> Score:
    found = []
    for each in others:
        if each.insight_id != insight.insight_id:
            decided = relation(each, insight) == kind or (kind == "contradicts" and relation(insight, each) == kind)
            near = _near_same if kind == "same" else _near_contrary
            value = 1.0 if decided else SUSPECTED * near(about(insight, reader), about(each, reader), reader)
            found.append((value, -each.insight_id, each.text))
    if not found:
        return _ALONE
    value, negative_id, text = max(found)
    return Score(value=value, why=f"Insight {-negative_id} {says}: {text}" if value == 1 else "")


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What an insight speaks of, made ready to be compared."""

    insight: Stated
    subject: tuple[frozenset[str], frozenset[str]]
    """Its symbols, and the person it is of."""
    numbers: Sequence[Amount]
    """Without prices of its day, unless it has no other."""
    times: Sequence[tuple[date, date]]
    """The times that it names, from and to, but for the days on which it was said."""
    words: Sequence[tuple[str, str, float]]
    """Its other words: term, lower case, bits."""


def about(insight: Stated, reader: Reader) -> Compared:
    """Make an insight ready to be compared, once."""
    found: Compared | None = reader.kept.get(insight)
    if found is None:
        stated, cited = reader.stated(insight), reader.history.cited(insight)
        days = [each.created_at.date() for each in cited] or [insight.valid_from.date()]
        symbols = frozenset(reader.symbols(insight))
        named = {bare(name) for name in reader.names(stated)}
        of = [bare(name) for name in (insight.speaker, *(each.speaker for each in cited)) if name]
        people = (named & reader.speakers) or {*of[:1]}
        found = reader.kept[insight] = Compared(
            insight=insight,
            subject=(symbols, frozenset(people)),
            numbers=[each for each in stated.numbers if not reader.paid(each, symbols, days)] or stated.numbers,
            times=[
                (each.first, each.last)
                for each in stated.dates
                if not any(each.first <= day <= each.last for day in days)
            ],
            words=[
                (word.term, word.text.lower(), reader.bits(word.term))
                for word in stated.words
                if bare(word.text) not in named | people
            ],
        )
    return found


def _near_same(one: Compared, two: Compared, reader: Reader) -> float:
    if one.subject != two.subject or not all(any(same(mine, its) for its in two.numbers) for mine in one.numbers):
        return 0.0
    if not all(any((a <= c and d <= b) or (c <= a and b <= d) for c, d in two.times) for a, b in one.times):
        return 0.0
    return _shared(one.words, two.words, reader) * (0.2 if _opposed(one, two) else 1.0)


def _near_contrary(one: Compared, two: Compared, reader: Reader) -> float:
    apart = abs(one.insight.valid_from - two.insight.valid_from) > TOGETHER
    attributes = {one.insight.attribute, two.insight.attribute} - {None}
    if (
        one.subject != two.subject
        or apart
        or len(attributes) > 1
        or (one.times and two.times and one.times != two.times)
    ):
        return 0.0
    mine = [each for each in one.numbers if not any(same(each, its) for its in two.numbers)]
    its = [each for each in two.numbers if not any(same(each, other) for other in one.numbers)]
    if not _opposed(one, two) and not (mine and len(mine) == len(its)):
        return 0.0
    return min(_shared(one.words, two.words, reader), _shared(two.words, one.words, reader))


def _shared(words: Sequence[tuple[str, str, float]], others: Sequence[tuple[str, str, float]], reader: Reader) -> float:
    """Return the share of words, by their bits, that others have or have the like of; 1 if there are none."""
    total = sum(bits for _, _, bits in words)
    terms = {term for term, _, _ in others}
    like = reader.likeness([text for _, text, _ in words], [text for _, text, _ in others])
    held = (
        bits * (1.0 if term in terms else float(row.max(initial=0)))
        for (term, _, bits), row in zip(words, like, strict=True)
    )
    return sum(held) / total if total else 1.0


def _opposed(one: Compared, two: Compared) -> bool:
    """Return whether two statements have words on opposite sides of one pair (buy, sell), and neither has both."""
    mine, its = (
        {(pair, sign) for pointer in pointers(each.insight.text) for _, pair, sign in pointer.poles}
        for each in (one, two)
    )
    return any((pair, -sign) in its and (pair, sign) not in its and (pair, -sign) not in mine for pair, sign in mine)

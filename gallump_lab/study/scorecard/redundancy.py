"""Redundancy: whether another insight says it already."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from gallump_lab.study.scorecard.directions import pointers
from gallump_lab.study.scorecard.reader import Reader, soft
from gallump_lab.study.scorecard.reading import Amount, bare, same
from gallump_lab.study.scorecard.stated import Score, Stated

SAYS_IT = 0.5
"""From here on an insight says no more than another."""
AGREED = 0.5
"""What the same number, of the same subject, leaves of what the words alone do not share."""
ALONE = Score(value=math.nan, why="There is no other insight.")


def redundancy(insight: Stated, others: Sequence[Stated], reader: Reader) -> Score:
    """Return how much of it another insight says, in the same or in other words: the most of `said_by`, 0 to 1.

    NaN if there is no other. Novelty is 1 minus it.
    """
    scores = [(said_by(insight, each, reader), each) for each in others if each.insight_id != insight.insight_id]
    if not scores:
        return ALONE
    value, most = max(scores, key=lambda score: (score[0], -score[1].insight_id))
    return Score(value=value, why=f"Insight {most.insight_id} says it: {most.text}" if value >= SAYS_IT else "")


def repeated(insights: Sequence[Stated], reader: Reader) -> Score:
    """Return the share of insights that say no more than an earlier one; NaN if there are fewer than two.

    The earlier one came into force before it, or at once with it under a smaller id; `said_by` reaches `SAYS_IT`.
    """
    ordered = sorted(insights, key=lambda each: (each.valid_from, each.insight_id))
    if len(ordered) < 2:
        return Score(value=math.nan, why="There are fewer than two insights.")
    again = [
        each
        for place, each in enumerate(ordered)
        if any(said_by(each, earlier, reader) >= SAYS_IT for earlier in ordered[:place])
    ]
    return Score(
        value=len(again) / len(ordered),
        why=f"Said before: {', '.join(str(each.insight_id) for each in again)}." if again else "",
    )


def said_by(insight: Stated, other: Stated, reader: Reader) -> float:
    """Return the share of an insight's words, weighed by their bits, that another says in the same or like words.

    0 if they speak of another symbol or person, or if it has a number or a date that the other has not; a price of its
    day does not count, since it can be looked up. A telling number in common vouches for half of the words that differ
    (`AGREED`). Words that point to opposite sides (buy, sell) take away four fifths.
    """
    one, two = about(insight, reader), about(other, reader)
    if one.symbols != two.symbols or one.people != two.people:
        return 0.0
    if not all(any(same(mine, its) for its in two.values) for mine in one.values):
        return 0.0
    if not all(
        any((a <= its[0] and its[1] <= b) or (its[0] <= a and b <= its[1]) for its in (*two.times, *two.days))
        for a, b in one.times
    ):
        return 0.0
    share = shared(one, two, reader)
    if any(_telling(each.value) for each in one.values):
        share = 1 - AGREED * (1 - share)
    return share * (0.2 if opposed(insight.text, other.text) else 1.0)


def _telling(value: float) -> bool:
    """Return whether a number is rarely said twice by chance: it has three significant digits."""
    return len(f"{value:.6g}".replace(".", "").strip("0")) >= 3


@dataclass(frozen=True, kw_only=True)
class About:
    """What an insight speaks of, made ready to be compared."""

    symbols: frozenset[str]
    people: frozenset[str]
    numbers: Sequence[Amount]
    values: Sequence[Amount]
    """Its numbers without prices of its day, unless it has no other."""
    times: Sequence[tuple[date, date]]
    """The times that it names, from and to."""
    days: Sequence[tuple[date, date]]
    """The days of its sources."""
    words: Sequence[tuple[str, str, float]]
    """Its other words: term, lower case, bits."""


def about(insight: Stated, reader: Reader) -> About:
    """Make an insight ready to be compared."""
    found = reader.kept.get(insight)
    if found is None:
        found = reader.kept[insight] = _about(insight, reader)
    return found


def _about(insight: Stated, reader: Reader) -> About:
    stated, cited = reader.stated(insight), reader.history.cited(insight)
    days = [each.created_at.date() for each in cited] or [insight.valid_from.date()]
    symbols = frozenset([*reader.mentioned(insight.text), *filter(None, [insight.symbol])])
    named = [bare(name) for name in reader.names(stated)]
    people = [name for name in named if name in reader.speakers]
    people = people or [bare(name) for name in (insight.speaker, *(each.speaker for each in cited)) if name][:1]
    skip = {*named, *people}
    return About(
        symbols=symbols,
        people=frozenset(people),
        numbers=[n.amount for n in stated.numbers],
        values=[n.amount for n in stated.numbers if not reader.paid(n, symbols, days)]
        or [n.amount for n in stated.numbers],
        times=[(each.first, each.last) for each in stated.dates],
        days=[(day, day) for day in days],
        words=[(w.term, w.text.lower(), reader.bits(w.term)) for w in stated.words if bare(w.text) not in skip],
    )


def shared(one: About, two: About, reader: Reader) -> float:
    """Return the share of one's words, by their bits, that the other has or has the like of; 1 if it has none."""
    total = sum(bits for _, _, bits in one.words)
    if not total:
        return 1.0
    terms = {term for term, _, _ in two.words}
    like = reader.likeness([text for _, text, _ in one.words], [text for _, text, _ in two.words])
    found = sum(
        bits * (1.0 if term in terms else soft(float(like[row].max(initial=0))))
        for row, (term, _, bits) in enumerate(one.words)
    )
    return found / total


def opposed(text: str, other: str) -> bool:
    """Return whether two statements have words on opposite sides of one pair (buy, sell), and neither has both."""
    mine = {(pair, sign) for pointer in pointers(text) for _, pair, sign in pointer.poles}
    its = {(pair, sign) for pointer in pointers(other) for _, pair, sign in pointer.poles}
    return any((pair, -sign) in its and (pair, sign) not in its and (pair, -sign) not in mine for pair, sign in mine)

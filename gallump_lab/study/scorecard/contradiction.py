"""Contradiction: whether another insight states the opposite at the same time."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from gallump_lab.study.scorecard.directions import PLAN, pointers
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.reading import same
from gallump_lab.study.scorecard.redundancy import About, about, opposed, shared
from gallump_lab.study.scorecard.stated import Score, Stated

TOGETHER = timedelta(days=1)
"""Of two statements further apart the later one is an update of the earlier."""


def contradiction(insight: Stated, others: Sequence[Stated], reader: Reader) -> Score:
    """Return how surely another insight states the opposite at the same time, 0 to 1: the most of `against`.

    NaN if there is no other.
    """
    scores = [(against(insight, each, reader), each) for each in others if each.insight_id != insight.insight_id]
    if not scores:
        return Score(value=math.nan, why="There is no other insight.")
    value, most = max(scores, key=lambda score: (score[0], -score[1].insight_id))
    return Score(value=value, why=f"Insight {most.insight_id} says otherwise: {most.text}" if value >= 0.5 else "")


def against(insight: Stated, other: Stated, reader: Reader) -> float:
    """Return the likeness of two statements that differ in one point, 0 if they do not.

    Likeness is the share of the words (with bits) of the one that the other has, the smaller of both ways, leaving
    out numbers, dates and words that point. They differ if one has a number where the other has another, or points
    to the opposite side, or denies what the other does not. 0 also if they speak of other symbols, persons or
    attributes (a stop here, a target there), name other times, do not hold at the same time, or came more than
    `TOGETHER` apart: then the later one is an update. What both say of different days is no contradiction.
    """
    one, two = about(insight, reader), about(other, reader)
    if one.symbols != two.symbols or one.people != two.people or not _at_once(insight, other):
        return 0.0
    if insight.attribute and other.attribute and insight.attribute != other.attribute:
        return 0.0
    if not _when(one, two) or not _differ(insight, other, one, two) or _other_level(insight.text, other.text, one, two):
        return 0.0
    return min(_alike(one, two, reader), _alike(two, one, reader))


def _at_once(insight: Stated, other: Stated) -> bool:
    first, second = sorted((insight, other), key=lambda each: each.valid_from)
    alive = first.valid_until is None or second.valid_from < first.valid_until
    return alive and second.valid_from - first.valid_from <= TOGETHER


def _when(one: About, two: About) -> bool:
    """Return whether two insights name the same times, apart from the days on which they were said."""
    mine, its = (
        {time for time in each.times if not any(time[0] <= day <= time[1] for day, _ in each.days)}
        for each in (one, two)
    )
    return not mine or not its or mine == its


def _other_level(text: str, other: str, one: About, two: About) -> bool:
    """Return whether one states a stop and the other a target, elsewhere: both may stand."""
    mine, its = ({sign for pair, sign in _poles(each) if pair == PLAN} for each in (text, other))
    return len(mine) == len(its) == 1 and mine != its and not any(same(a, b) for a in one.numbers for b in two.numbers)


def _differ(insight: Stated, other: Stated, one: About, two: About) -> bool:
    if opposed(insight.text, other.text) or _denies(insight.text) != _denies(other.text):
        return True
    mine = [each for each in one.numbers if not any(same(each, its) for its in two.numbers)]
    its = [each for each in two.numbers if not any(same(each, mine) for mine in one.numbers)]
    return bool(mine) and len(mine) == len(its)


def _denies(text: str) -> bool:
    """Return whether a statement has an odd number of negations."""
    return sum(axis == "not" for pointer in pointers(text) for axis, _, _ in pointer.poles) % 2 == 1


def _alike(one: About, two: About, reader: Reader) -> float:
    """Return `shared` of the words that do not point away from one of the other."""
    mine, its = (frozenset(pole for word in each.words for pole in _poles(word[1])) for each in (one, two))
    return shared(replace(one, words=_still(one, its)), replace(two, words=_still(two, mine)), reader)


def _still(one: About, others: frozenset[tuple[str, int]]) -> Sequence[tuple[str, str, float]]:
    return [word for word in one.words if not any((pair, -sign) in others for pair, sign in _poles(word[1]))]


def _poles(text: str) -> list[tuple[str, int]]:
    return [(pair, sign) for pointer in pointers(text) for _, pair, sign in pointer.poles]

"""Contradiction: does another insight state the opposite at the same time?"""

import math
from collections.abc import Sequence
from datetime import timedelta

from gallump_lab.study.scorecard.directions import pointers
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.reading import same
from gallump_lab.study.scorecard.records import Score, Stated
from gallump_lab.study.scorecard.redundancy import About, about, likeness

TOGETHER = timedelta(days=1)
"""Of two statements further apart the later one is an update of the earlier."""


def contradiction(insight: Stated, others: Sequence[Stated], reader: Reader) -> Score:
    """Give how surely another insight states the opposite at the same time, 0 to 1: the most of `against`.

    NaN if there is no other.
    """
    scores = [(against(insight, each, reader), each) for each in others if each.insight_id != insight.insight_id]
    if not scores:
        return Score(value=math.nan, why="There is no other insight.")
    value, most = max(scores, key=lambda score: (score[0], -score[1].insight_id))
    return Score(value=value, why=f"Insight {most.insight_id} says otherwise: {most.text}" if value >= 0.5 else "")


def against(insight: Stated, other: Stated, reader: Reader) -> float:
    """Give the likeness of two statements that differ in one point, 0 if they do not.

    Likeness is the share of the words (with bits) of the one that the other has, the smaller of both ways, leaving
    out numbers, dates and words that point. They differ if one has a number where the other has another, or points
    to the opposite side, or denies what the other does not. 0 also if they speak of other symbols, persons or
    attributes, name other times, do not hold at the same time, or came more than `TOGETHER` apart: then the later one
    is an update. What both say of different days is no contradiction.
    """
    one, two = about(insight, reader), about(other, reader)
    if one.symbols != two.symbols or one.people != two.people or not _at_once(insight, other):
        return 0.0
    if insight.attribute and other.attribute and insight.attribute != other.attribute:
        return 0.0
    if _when(one) != _when(two) or not _differ(insight, other, one, two):
        return 0.0
    return min(likeness(one, two, reader), likeness(two, one, reader))


def _at_once(insight: Stated, other: Stated) -> bool:
    first, second = sorted((insight, other), key=lambda each: each.valid_from)
    alive = first.valid_until is None or second.valid_from < first.valid_until
    return alive and second.valid_from - first.valid_from <= TOGETHER

"""Specificity: how much an insight tells for its tokens."""

import math

from gallump_lab import tokens
from gallump_lab.reading.dates import Named
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.reading import Number, bare
from gallump_lab.study.scorecard.stated import Score, Stated

SPAN = 365 * 30
"""A date is one of so many days."""
LINE = 3
"""Tokens that any statement costs in a prompt beside its own: short ones are not rewarded for being short."""


def specificity(insight: Stated, reader: Reader) -> Score:
    """Return the bits that it tells per cl100k token, `LINE` added; more than 1 is possible. NaN if it has no token.

    Bits are self-information: of a word by its rarity and its vector (`Reader.told`, each word once, names of speakers
    aside), of a number by its significant digits, of a date by how few of thirty years' days it leaves.
    """
    count = tokens.count(insight.text)
    if not count:
        return Score(value=math.nan, why="It is empty.")
    stated = reader.stated(insight)
    words = {word.term: reader.told(word) for word in stated.words if bare(word.text) not in reader.speakers}
    told = sum(words.values()) + sum(map(digits, stated.numbers)) + sum(map(days, stated.dates))
    lacks = [name for name, found in (("number", stated.numbers), ("date", stated.dates)) if not found]
    return Score(value=told / (count + LINE), why=f"It names no {' and no '.join(lacks)}." if lacks else "")


def digits(number: Number) -> float:
    """Return what a number tells: the bits of its significant digits."""
    figures = f"{number.value:.6g}".replace(".", "").strip("0")
    return math.log2(10) * max(len(figures), 1)


def days(named: Named) -> float:
    """Return what a date tells: the bits of how few of `SPAN` days it leaves."""
    return math.log2(SPAN / ((named.last - named.first).days + 1))

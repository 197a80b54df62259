"""The numbers of a statement: which may be prices, which are percentages, and which of several is the one meant."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gallump_lab.reading.periods import MONTH


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number, with what stands beside it."""

    value: str
    whole: bool
    """Without decimals."""
    before: str
    after: str


NUMBER = re.compile(r"(?<![\w.,])(?<!\d[:/])\$?(\d[\d,]{0,14}(?:\.\d{1,6})?)(?![\d\w])", re.ASCII)
_SHARE = re.compile(
    r"\W{0,2}(?:percent|per cent|pct)? ?(?:confidence|certain|sure|likely|of (?:all )?(?:cases|trades|months"
    r"|days|times))\b"
)
_PERCENT = re.compile(r"\s?(?:%|percent\b|per cent\b|pct\b)")
_UNIT = re.compile(
    r"(?:[ -]?(?:day|session|week|month|year|hour|minute|quarter|million|billion|mn|bn|times|sigma|point|bps"
    r"|cent|ticket"
    r"|percent|dollars? (?:of|worse|better|more|less|higher|lower|a|an|per)|case|people|client|name|position"
    r"|stock|trade|call|put|contract|am|pm|ms)s?\b|\s(?:a|per|each|every) (?:day|week|month|quarter|year|hour"
    r"|trade)\b|[ -]?(?:%|x\b|(?:st|nd|rd|th)\b|:\d|/\d))",
    re.IGNORECASE,
)
_DATE = re.compile(rf"\s+(?:of\s+)?(?!may\b|mar\b|march\b|sep\b)(?:(?i:{MONTH})\b)")
_COUNT = re.compile(
    r" (?!is\b|as\b|was\b|has\b|this\b|shares\b|stops\b|targets\b|tops\b|bucks\b|dollars\b|plus\b|minus\b|always\b"
    r"|less\b|lots\b|looks\b|seems\b|means\b|unless\b|gets\b|makes\b|gives\b|goes\b|does\b|us\b|regardless\b)"
    r"[a-z]{2,}s\b"
)
"""A number of things: "450 reasons"."""
_YEAR_ALONE = re.compile(r"19[89]\d|20[0-4]\d")
SHARES = re.compile(r"\s+(?:shares?|of (?:them|it)|lots?)\b", re.IGNORECASE)
_ARROW = r"(?:-+>|=+>|>+|\u2192|\u21d2)"
_OLD = re.compile(
    r"(?:\bwas|\bwere|\bisn['\u2019]t|\bisnt|\bwasn['\u2019]t|\bfrom|\bnot|\bno longer|\bforget|\binstead of"
    r"|\brather than|\bold|\bprevious|\bthan"
    r"|\bdreaming with|\bnot at|\bused to be|\bunlike|\breplac(?:es|ed|ing)"
    rf"|\b(?:{MONTH})\.?|\bin|\bsince|\brisk)\s+\$?$",
    re.IGNORECASE,
)
_FROM = re.compile(r"\bfrom\s+\$?$", re.IGNORECASE)
_TO = re.compile(r"\bto \$?\d", re.IGNORECASE)
_RETAKEN = r"(?:no,?\s+)?(?:wait|scratch that|i mean|i meant|make (?:that|it)|correction|typo|sorry)\b"
RETAKEN = re.compile(_RETAKEN, re.IGNORECASE)
"""What was just said is taken back."""
_GIVES_WAY = re.compile(
    rf"\s*(?:{_ARROW}\s*\$?\d|(?:is |was |now )?(?:replaced by|becomes|gives way to)\b|(?:\W{{0,5}}\s*){_RETAKEN})",
    re.IGNORECASE,
)
_TAKES_OVER = re.compile(
    rf"(?:{_ARROW}|\breplaced by|\bbecomes|\bnow(?: at| is)?|{_RETAKEN}[,:]?)\s*\$?$", re.IGNORECASE
)
_NEW = re.compile(
    rf"(?:\bto|\bnow|\bbut|=|{_ARROW}|\bat|@|\bis|\bit['\u2019]s|\bstays|:|\bbelow|\bunder|\babove|\bover"
    rf"|\breplaced by|{_RETAKEN}[,:]?"
    r"|\b(?:sl|tp|tgt|pt|stops?|targets?))\s*\$?$",
    re.IGNORECASE,
)
PAID = re.compile(
    r"(?:@|\bat|\bcost(?: of| is| was)?|\bpaid|\bfor|\bfrom|\bprice(?: of)?|\baveraged?|\bfill|,|\bavg\.?)\s*\$?$",
    re.IGNORECASE,
)
_APART = re.compile(
    r"(?<![\w.,])\$?\d[\d.,]*(?<![.,])\s+\$?\d"  # 4 3 0: a row of a table
    r"|(?<![\w)])[-\u2212]\$?\d"  # below nothing
    r"|\d\s*[-\u2013]\s*\$?\d|\d\s*/\s*\$?\d|\d\s+or\s+\$?\d|\bbetween\s+\$?\d[\d.,]*\s+and\s+\$?\d",  # from ... to
    re.IGNORECASE,
)


def spoilt(text: str) -> bool:
    """Say whether numbers stand in a text that are no single price: a range, a row of a table, below nothing."""
    return _APART.search(text) is not None


def read(text: str) -> tuple[list[Figure], list[Figure]]:
    """Find the numbers that may be prices, and the percentages; without those that others take the place of."""
    prices, percents = [], []
    moved = _TO.search(text) is not None
    for match in NUMBER.finditer(text):
        before, after = text[max(match.start() - 24, 0) : match.start(1)], text[match.end() : match.end() + 24]
        number = Figure(value=plain(match[1]), whole="." not in match[1], before=before, after=after)
        if _PERCENT.match(after):
            if _SHARE.match(after):
                continue
            percents.append(number)
        elif not (_UNIT.match(after) or _DATE.match(after) or (_COUNT.match(after) and "$" not in match[0])) and not (
            _YEAR_ALONE.fullmatch(match[0]) and not _NEW.search(before)
        ):
            prices.append(number)
    newer = [number for number in prices if not _old(number, moved=moved)]
    return newer, [number for number in percents if not _old(number, moved=moved)] or percents


def _old(number: Figure, *, moved: bool) -> bool:
    if _GIVES_WAY.match(number.after):
        return True
    if _TAKES_OVER.search(number.before):
        return False
    if _FROM.search(number.before):
        return moved
    return _OLD.search(number.before) is not None


def meant(numbers: Sequence[Figure]) -> str | None:
    """Give the one of several numbers that is meant; None where it may be this one or that."""
    fitting = [number for number in numbers if not SHARES.match(number.after)]
    for chosen in (
        fitting,
        [number for number in fitting if _TAKES_OVER.search(number.before)],
        [number for number in fitting if _NEW.search(number.before)],
    ):
        if len(values := {number.value for number in chosen}) == 1:
            return values.pop()
    return None


def plain(number: str) -> str:
    """Write a number without separators and idle zeros."""
    number = number.replace(",", "")
    whole, point, part = number.partition(".")
    part = part.rstrip("0")
    return (whole.lstrip("0") or "0") + (f"{point}{part}" if part else "")

"""Numbers as people write them: 1,250.50, 1.250,50, 1'250, 95.5k, 2.5bn, 3 crore, 8%, 25 bps, 25x."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Unit = Literal["", "%", "bps", "x"]

_SCALES = {
    "k": 3, "thousand": 3, "m": 6, "mm": 6, "mn": 6, "mio": 6, "million": 6, "b": 9, "bn": 9, "billion": 9,
    "tn": 12, "trillion": 12, "lakh": 5, "lakhs": 5, "crore": 7, "crores": 7, "cr": 7,
}  # fmt: skip
"""Powers of ten."""
_UNITS: dict[str, Unit] = {
    "%": "%", "percent": "%", "per cent": "%", "pct": "%", "prozent": "%", "bp": "bps", "bps": "bps", "x": "x",
}  # fmt: skip
_NUMBER = re.compile(
    r"(?<![\w.,'])(?P<sign>[-\u2212])?(?P<money>[$\u20ac\u00a3\u00a5]\s?)?(?P<figures>\d+(?:[.,'\u2019]\d+)*)"
    rf"(?:\s?(?P<scale>{'|'.join(sorted(_SCALES, key=len, reverse=True))})\b)?"
    rf"(?:\s?(?P<unit>%|(?:{'|'.join(unit for unit in _UNITS if unit != '%')})\b))?(?![\w])",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number in a text."""

    start: int
    stop: int
    """Characters, from and to, with its sign, currency, scale and unit."""
    value: Decimal | None
    """None where it can be read in two ways, such as 1.250."""
    unit: Unit
    money: bool
    """Whether a sign of a currency stands before it."""
    whole: bool
    """Whether it is written without decimals and without a scale, as a count is."""

    def __str__(self) -> str:
        """Write the value without separators and idle zeros; empty where it is ambiguous."""
        return "" if self.value is None else plain(self.value)


def plain(value: Decimal) -> str:
    """Write a number without separators, exponent and idle zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def numbers(text: str) -> Iterator[Number]:
    """Find the numbers of a text, in its order.

    A number such as 1.250 can be read in two ways and has no value, unless another of the text shows how its author
    writes: 1.250,50 or 1,250.50.
    """
    found = [*_NUMBER.finditer(text)]
    comma = next((way for match in found if (way := _decimal_comma(match["figures"])) is not None), None)
    for match in found:
        value = number(match["figures"], decimal_comma=comma)
        scale = (match["scale"] or "").lower()
        if value is not None:
            value = value.scaleb(_SCALES[scale]) if scale else value
            value = -value if match["sign"] else value
        yield Number(
            start=match.start(),
            stop=match.end(),
            value=value,
            unit=_UNITS.get((match["unit"] or "").lower(), ""),
            money=match["money"] is not None,
            whole=not scale
            and value is not None
            and value == value.to_integral_value()
            and "." not in match["figures"],
        )


def number(figures: str, *, decimal_comma: bool | None = None) -> Decimal | None:
    """Return what a run of figures and separators is worth; None where two readings are possible.

    Parameters
    ----------
    figures : str
        Figures with points, commas or apostrophes between them.
    decimal_comma : bool, optional
        How its author writes, where that is known.
    """
    figures = figures.replace("\u2019", "'")
    way = _decimal_comma(figures)
    way = decimal_comma if way is None else way
    if "'" in figures:
        way = False if "." in figures else way or False
    marks = {mark for mark in ".," if mark in figures}
    if marks and way is None:
        if marks == {","}:  # 1,250 is how English groups; what else it could be is a price with three decimals
            way = False
        else:
            return None
    grouping = "." if way else ","
    point = "," if way else "."
    whole, *part = figures.replace("'", grouping).split(point)
    groups = whole.split(grouping)
    if len(part) > 1 or any(grouping in each for each in part) or not _grouped(groups):
        return None
    return Decimal(".".join(["".join(groups), *part]))


def _grouped(groups: Sequence[str]) -> bool:
    """Tell whether figures are grouped as people do: by three, or as in India, where only the last has three."""
    return len(groups) == 1 or (
        len(groups[-1]) == 3
        and (all(len(each) == 3 for each in groups[1:]) or all(len(each) == 2 for each in groups[1:-1]))
    )


def _decimal_comma(figures: str) -> bool | None:
    """Say whether figures show that a comma, not a point, stands before decimals; None where they don't show it."""
    points, commas = figures.count("."), figures.count(",")
    if points and commas:
        return figures.rfind(",") > figures.rfind(".")
    if points + commas != 1:
        return None if not (points or commas) else bool(points)
    mark = "," if commas else "."
    before, after = figures.split(mark)
    grouped = len(after) == 3 and 1 <= len(before.replace("'", "")) <= 3 and not before.startswith("0")
    return None if grouped else mark == ","

"""Numbers as people and programs write them: 1234.5, 1,234.56, 1.234,56, 1'234, 1,50,000, $1,234.56, (50)."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

Decimal = Literal[".", ","]
"""The sign before a number's fraction."""

NOTHING = frozenset({"", "nan", "null", "none", "n/a", "na", "-", "--"})
"""What stands, in any case, where a number is not known."""
SURE = 0.9
"""More than this share of what is telling must speak for one sign."""

_PLAIN = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?", re.ASCII)
_SPACES = "'\u2019 \u00a0\u2009\u202f"
_LEAD = re.compile(r"([+-]?)\s*(?:\$|USD)?\s*([+-]?)\s*")
_WAYS: Mapping[Decimal, re.Pattern[str]] = {
    ".": re.compile(
        rf"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d{{1,3}}([,{_SPACES}])\d{{3}}(?:\1\d{{3}})*(?:\.\d*)?"
        r"|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d*)?",
        re.ASCII,
    ),
    ",": re.compile(rf"\d+(?:,\d*)?|,\d+|\d{{1,3}}([.{_SPACES}])\d{{3}}(?:\1\d{{3}})*(?:,\d*)?", re.ASCII),
}


class NumberError(ValueError):
    """A text is no number, or may be two; the message, which follows the text, says which and what would do."""


def readings(text: str) -> dict[Decimal, float]:
    """Return what a text may mean, by the decimal sign that this takes for granted; empty where it is no number.

    >>> readings("1,234"), readings("139,50")
    ({'.': 1234.0, ',': 1.234}, {',': 139.5})
    """
    text = text.strip().replace("\u2212", "-")
    bracketed = text[:1] == "(" and text[-1:] == ")"
    text = (text[1:-1].strip() if bracketed else text).removesuffix("USD").rstrip()
    lead = _LEAD.match(text)
    signs = "(" * bracketed + (lead[1] + lead[2] if lead else "")
    if len(signs) > 1:
        return {}
    body = text[lead.end() if lead else 0 :]
    values: dict[Decimal, float] = {}
    for sign, way in _WAYS.items():
        if way.fullmatch(body):
            other = "," if sign == "." else "."
            value = float(body.translate(str.maketrans(sign, ".", other + _SPACES)))
            if math.isfinite(value) and not body.startswith("0" + other):  # 0,567 has no thousands
                values[sign] = -value if signs in ("(", "-") else value
    return values


def decimal_sign(texts: Iterable[str]) -> Decimal | None:
    """Return the decimal sign of numbers that were written alike, such as a file's; None where they do not tell.

    Only what has one reading tells: 139,50 does, 1,234 does not. Where nothing does and no comma stands in any of them,
    it is the point, as programs write.
    """
    texts = tuple(texts)
    if all(map(_PLAIN.fullmatch, texts)):
        return "."
    telling: Counter[Decimal] = Counter()
    comma = False
    for text in texts:
        comma = comma or "," in text
        found = readings(text)
        if len(found) == 1:
            telling.update(found)
    for sign, count in telling.items():
        if count > SURE * telling.total():
            return sign
    return None if comma else "."


def read_number(text: str, decimal: Decimal | None = None) -> float:
    """Return the number that a text states.

    Parameters
    ----------
    text : str
        Perhaps with thousands apart (by comma, point, apostrophe or space, in lakhs too), a `$` or USD, in brackets if
        it is negative.
    decimal : {".", ","}, optional
        The decimal sign of the texts around it, which settles what 1,234 is; see `decimal_sign`.

    Raises
    ------
    NumberError
        If it is no number, or may be two and `decimal` is None.
    """
    if decimal == "." and _PLAIN.fullmatch(text):
        return float(text)
    found = readings(text)
    if not found:
        msg = "is no number; write it as 1234.5"
        raise NumberError(msg)
    if decimal in found:
        return found[decimal]
    if len(set(found.values())) > 1:
        msg = f"may be {found['.']:.12g} or {found[',']:.12g}; write it without thousands, as 1234.5"
        raise NumberError(msg)
    return next(iter(found.values()))

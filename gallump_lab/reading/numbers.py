"""Numbers as people and programs write them: 1,234.56, 1.234,56, 1'234, 1,50,000, $1,234.56, (50); 95.5k."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from gallump_lab.lazy import regex

Decimal = Literal[".", ","]
"""The sign before a number's fraction."""

NOTHING = frozenset({"", "nan", "nat", "null", "none", "n/a", "na", "<na>", "-", "--"})
"""What stands, in any case, where a number is not known."""

_SCALES = {
    "k": 3, "thousand": 3, "m": 6, "mm": 6, "mn": 6, "mio": 6, "million": 6, "b": 9, "bn": 9, "billion": 9,
    "tn": 12, "trillion": 12, "lakh": 5, "lakhs": 5, "crore": 7, "crores": 7, "cr": 7,
}  # fmt: skip
"""Powers of ten."""
_SCALE = "|".join(sorted(_SCALES, key=len, reverse=True))
_PLAIN = regex(r"-?\d{1,30}(?:\.\d{1,30})?", re.ASCII)
_SPACES = "'\u2019 \u00a0\u2009\u202f"
_SCALED = regex(rf"(?<=\d)\s?({_SCALE})$", re.IGNORECASE)
_LEAD = regex(r"([+-]?)\s*(?:\$|USD)?\s*([+-]?)\s*")
_WAYS: Mapping[Decimal, re.Pattern[str]] = {
    ".": regex(
        rf"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d{{1,3}}([,{_SPACES}])\d{{3}}(?:\1\d{{3}})*(?:\.\d*)?"
        r"|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d*)?",
        re.ASCII,
    ),
    ",": regex(rf"\d+(?:,\d*)?|,\d+|\d{{1,3}}([.{_SPACES}])\d{{3}}(?:\1\d{{3}})*(?:,\d*)?", re.ASCII),
}
_PLAINLY = {".": str.maketrans("", "", "," + _SPACES), ",": str.maketrans(",", ".", "." + _SPACES)}

_SIGNS = {
    "\u20ac": "EUR", "\u00a3": "GBP", "\u00a5": "JPY", "\u20b9": "INR", "US$": "USD", "C$": "CAD", "CA$": "CAD",
    "A$": "AUD", "AU$": "AUD", "HK$": "HKD", "NZ$": "NZD", "S$": "SGD", "R$": "BRL", "GBp": "GBX",
}  # fmt: skip
CURRENCIES = frozenset(
    "USD EUR GBP GBX JPY CHF CAD AUD NZD HKD SGD CNY INR KRW TWD SEK NOK DKK PLN CZK HUF ILS ZAR BRL MXN TRY".split()
)
_CURRENCY = regex(
    rf"(?<![A-Za-z])(?:[A-Z]{{1,2}}\$|[\u20ac\u00a3\u00a5\u20b9]|(?:GBp|{'|'.join(sorted(CURRENCIES))})(?![A-Za-z]))"
)


def currency(text: str) -> tuple[str, str]:
    """Return a text without the currency that it names, and its code; empty where it names none, or a bare $.

    >>> currency("1.234,56 \u20ac"), currency("(C$50)"), currency("$7")
    (('1.234,56', 'EUR'), ('(50)', 'CAD'), ('$7', ''))
    """
    found = _CURRENCY.search(text)
    code = _SIGNS.get(found[0], found[0]) if found else ""
    if found is None or code not in CURRENCIES:
        return text, ""
    return (text[: found.start()] + text[found.end() :]).strip(), code


def readings(text: str) -> dict[Decimal, float]:
    """Return what a text may mean, by the decimal sign that this takes for granted; empty where it is no number.

    >>> readings("1,234"), readings("139,50"), readings("1.2M")
    ({'.': 1234.0, ',': 1.234}, {',': 139.5}, {'.': 1200000.0})
    """
    text = text.strip().replace("\u2212", "-")
    bracketed = text[:1] == "(" and text[-1:] == ")"
    text = (text[1:-1].strip() if bracketed else text).removesuffix("USD").rstrip()
    scale = _SCALED.search(text)
    text = text[: scale.start()] if scale else text
    lead = _LEAD.match(text)
    signs = "(" * bracketed + (lead[1] + lead[2] if lead else "")
    if len(signs) > 1:
        return {}
    body = text[lead.end() if lead else 0 :]
    values: dict[Decimal, float] = {}
    for sign, way in _WAYS.items():
        if way.fullmatch(body):
            value = float(body.translate(_PLAINLY[sign]))
            if math.isfinite(value) and not body.startswith(("0,", "0.")[sign == ","]):  # 0,567 has no thousands
                values[sign] = _scaled(-value if signs in ("(", "-") else value, scale[1] if scale else "")
    return values


def _scaled(value: float, scale: str) -> float:
    return round(value * 10.0 ** _SCALES[scale.lower()], 10) if scale else value


def decimal_sign(texts: Iterable[str]) -> Decimal | None:
    """Return the decimal sign of numbers that were written alike, such as a file's; None where they do not tell.

    Only what has one reading tells: 139,50 does, 1,234 does not, and all that tells must agree. Where nothing does and
    no comma stands in any of them, it is the point, as programs write.
    """
    texts = tuple(texts)
    if all(map(_PLAIN.fullmatch, texts)):
        return "."
    signs = {sign for text in texts if len(found := readings(text)) == 1 for sign in found}
    if len(signs) == 1:
        return signs.pop()
    return None if signs or any("," in text for text in texts) else "."


def read_number(text: str, decimal: Decimal | None = None) -> float:
    """Return the number that a text states.

    Parameters
    ----------
    text : str
        Perhaps with thousands apart (by comma, point, apostrophe or space, in lakhs too), a scale (1.2M, 3 crore), a
        `$` or USD, in brackets if it is negative.
    decimal : {".", ","}, optional
        The decimal sign of the texts around it, which settles what 1,234 is; see `decimal_sign`.

    Raises
    ------
    ValueError
        If it is no number, or may be two and `decimal` is None; the message goes on from the number's name.
    """
    if decimal == "." and _PLAIN.fullmatch(text):
        return float(text)
    found = readings(text)
    if not found:
        msg = f"must be a number such as 1234.5, not {text!r:.60}"
        raise ValueError(msg)
    if decimal in found:
        return found[decimal]
    if len(set(found.values())) > 1:
        both = f"{found['.']:.12g} or {found[',']:.12g}"
        msg = f"must be a number without thousands such as 1234.5, not {text!r:.60}, which may be {both}"
        raise ValueError(msg)
    return next(iter(found.values()))


SPELT = dict(zip("one two three four five six seven eight nine ten eleven twelve".split(), range(1, 13), strict=True))
"""Numbers as words."""
Unit = Literal["", "%", "bps", "x"]
_UNITS: Mapping[str, Unit] = {
    "%": "%", "percent": "%", "per cent": "%", "pct": "%", "prozent": "%", "bp": "bps", "bps": "bps", "x": "x",
}  # fmt: skip
_IN_PROSE = regex(
    r"(?<![\w.,'])(?P<sign>[-\u2212])?(?:[$\u20ac\u00a3\u00a5\u20b9]\s?)?(?P<figures>\d+(?:[.,'\u2019]\d+)*)"
    rf"(?:\s?(?P<scale>{_SCALE})\b)?"
    rf"(?:\s?(?P<unit>%|(?:{'|'.join(unit for unit in _UNITS if unit != '%')})\b))?(?![\w])",
    re.IGNORECASE,
)

_FIGURE = regex(r"\d")


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number in prose."""

    start: int
    stop: int
    """Characters, from and to, with its sign, currency, scale and unit."""
    value: float | None
    """None where it can be read in two ways, such as 1.250."""
    unit: Unit

    def __str__(self) -> str:
        """Write the value without separators and idle zeros; empty where it is ambiguous."""
        return "" if self.value is None else f"{self.value:.10f}".rstrip("0").rstrip(".")


def numbers(text: str) -> Iterator[Number]:
    """Find the numbers of a text, in its order: 95.5k, 2.5bn, 3 crore, 8%, 25 bps, 31x; of "430ish" none.

    A comma before three figures is taken for English thousands; a point before three can be either and has no value,
    unless another number of the text shows its author's way: 1.250,50 or 340,50.
    """
    found = [(match, readings(match["figures"])) for match in _in_prose(text)]
    own = next((sign for _, values in found if len(values) == 1 for sign in values), None)
    for match, values in found:
        value = values.get(own, None) if own in values else next(iter(values.values()), None)
        if own is None and len({*values.values()}) > 1:
            value = None if "." in match["figures"] else values["."]
        if value is not None:
            value = _scaled(-value if match["sign"] else value, match["scale"] or "")
        yield Number(
            start=match.start(), stop=match.end(), value=value, unit=_UNITS.get((match["unit"] or "").lower(), "")
        )


def _in_prose(text: str) -> Iterator[re.Match[str]]:
    """Find the numbers of a text; no more than a sign, a currency and a space stand before the figures of one."""
    end = 0
    while (figure := _FIGURE.search(text, end)) and (match := _IN_PROSE.search(text, max(figure.start() - 3, end))):
        yield match
        end = match.end()

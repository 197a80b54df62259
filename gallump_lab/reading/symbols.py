"""Symbols: what counts as one, the one form in which it is kept, and which of them a text names."""

import re
from collections.abc import Iterable
from functools import lru_cache

from gallump_lab.lazy import regex
from gallump_lab.masking import masked

LONGEST = 15
"""Characters of the longest symbol that is no option's."""

_SYMBOL = regex(r"\^?[A-Za-z0-9]+(?:[.\-=/:&][A-Za-z0-9]+)*!?")
_OPTION = regex(r"([A-Z]{1,6}) *(\d{6}[CP]\d{8})")
"""An option of a US exchange (OCC): root, day of expiry, call or put, strike in thousandths of a dollar."""
_CLASS = regex(r"([A-Z]{1,5})[.\-/]([A-Z])|([A-Z]{2,5}) ([AB])")
"""A class of shares. After a space A and B alone are classes: other letters are likelier to be a symbol."""
# A word, or a cashtag such as $ibm (but not $190), with at most one short suffix: BRK.B, BRK B, M&M.NS, BTC-USD, ES1!.
_NAMED = regex(
    r"(?<![\w$^])(\$(?=[A-Za-z^]))?(\^?[A-Za-z0-9]+(?:&[A-Za-z0-9]+)?)([.\-=/][A-Za-z0-9]{1,3}| [AB]|!)?(?!\w)",
    re.ASCII,
)
# The two English words of one letter; the symbols A and I are named by $A and $I.
_WORDS = frozenset({"A", "I"})


class SymbolError(ValueError):
    """A text is not a symbol; the message names it and says what a symbol is."""


def validate_symbol(text: str, name: str = "symbol") -> str:
    """Check a symbol and return the one form in which it is kept and compared.

    Parameters
    ----------
    text : str
        1 to 15 ASCII letters and digits, joined by single `.`, `-`, `=`, `/`, `:` or `&`, perhaps after a `^` or before
        a `!`: AAPL, brk.b, BTC-USD, EURUSD=X, ^GSPC, 7203.T, M&M.NS, ES1!. Or an option's symbol of up to 21 signs
        (AAPL240119C00190000), or a broker's SPAXX** for SPAXX.
    name : str
        What the message calls it.

    Returns
    -------
    str
        In capitals; a class of shares after a dot: BRK-B, BRK/B and BRK B are BRK.B.

    Raises
    ------
    SymbolError
        If it is anything else: empty, too long, with another space, a line break or markup.
    """
    found = text.upper() if isinstance(text, str) and text.isascii() else ""
    if option := _OPTION.fullmatch(found):
        return option[1] + option[2]
    plain = canonical(found.removesuffix("**"))
    if len(plain) > LONGEST or not _SYMBOL.fullmatch(plain):
        msg = (
            f"{name} must be 1 to {LONGEST} letters and digits, such as 'AAPL', 'BRK.B' or '^GSPC', "
            f"without spaces or $, not {masked(repr(text)):.60}."
        )
        raise SymbolError(msg)
    return plain


def validate_symbols(symbols: Iterable[str], name: str = "watchlist") -> tuple[str, ...]:
    """Check each of a list's symbols, as `validate_symbol` does; each comes once, in the list's order.

    Raises
    ------
    SymbolError
        If one of them is not a symbol, or it is no list; `name` is what the message calls it.
    """
    if isinstance(symbols, str) or not isinstance(symbols, Iterable):
        msg = f"{name} must be a list of symbols, such as ['AAPL', 'MSFT'], not {masked(repr(symbols)):.60}."
        raise SymbolError(msg)
    return tuple(dict.fromkeys(map(validate_symbol, symbols)))


def split_symbols(text: str) -> tuple[str, ...]:
    """Return the symbols that stand in a text between commas or spaces, each once: "AAPL, brk b" are AAPL and BRK.B.

    Raises
    ------
    SymbolError
        If something between them is not a symbol.
    """
    parts = (part.strip() for part in text.split(","))
    return validate_symbols(
        one for part in parts for one in ([part] if _CLASS.fullmatch(part.upper()) else part.split())
    )


def canonical(symbol: str) -> str:
    """Return a symbol in capitals in the form that all its spellings share, unchecked; what has none stays."""
    found = _CLASS.fullmatch(symbol.upper())
    return f"{found[1] or found[3]}.{found[2] or found[4]}" if found else symbol.upper()


@lru_cache(maxsize=16)
def _canonical(universe: frozenset[str]) -> frozenset[str]:
    return frozenset(map(canonical, universe))


def symbols_in(prompt: str, universe: Iterable[str]) -> tuple[str, ...]:
    """Find the symbols that a prompt names, each once, in the order of the text, as `validate_symbol` returns them.

    A cashtag (`$ibm`, `$BRK.B`) always counts. A word counts if it is in capitals and in `universe`, so CEO and USA do
    not; `AAPL/MSFT` names two symbols unless the universe knows it as one.
    """
    known = _canonical(frozenset(universe))
    found: dict[str, None] = {}
    for match in _NAMED.finditer(prompt):
        cashtag, base, suffix = match[1], match[2], match[3] or ""
        whole = canonical(base + suffix)
        joined = suffix[:1] not in (" ", "!")  # else the base alone is what was meant, unless the whole is known
        if cashtag:
            parts = [base.upper(), *([suffix[1:].upper()] if joined and suffix[1:].isupper() else [])]
            named = [part for part in parts if part in known] or [whole if joined else base.upper()]
        else:
            parts = list(dict.fromkeys([base, *re.split(r"[.\-=/& !]", base + suffix)]))
            named = [part for part in parts if part.isupper() and part in known and part not in _WORDS]
        if whole in known and (cashtag or ((base + suffix).isupper() and whole not in _WORDS)):
            named = [whole]
        found.update(dict.fromkeys(symbol for symbol in named if len(symbol) <= LONGEST or _OPTION.fullmatch(symbol)))
    return tuple(found)

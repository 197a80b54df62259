"""Symbols: what counts as one, and which of them a prompt names."""

import re
from collections.abc import Iterable

from gallump_lab.secrets import masked

LONGEST = 15
"""Characters of the longest symbol."""

_SYMBOL = re.compile(r"\^?[A-Za-z0-9]+(?:[.\-=/:][A-Za-z0-9]+)*")
# A word, or a cashtag such as $ibm (but not $190), with at most one short suffix: BRK.B, BTC-USD, EURUSD=X.
_NAMED = re.compile(
    r"(?<![\w$^])(\$(?=[A-Za-z^]))?(\^?[A-Za-z0-9]+)([.\-=/][A-Za-z0-9]{1,3})?(?!\w)",
    re.ASCII,
)
# The two English words of one letter; the symbols A and I are named by $A and $I.
_WORDS = frozenset({"A", "I"})


class SymbolError(ValueError):
    """A text is not a symbol; the message names it and says what a symbol is."""


def validate_symbol(text: str) -> str:
    """Check a symbol and give it in capitals.

    Parameters
    ----------
    text : str
        1 to 15 ASCII letters and digits, joined by single `.`, `-`, `=`, `/` or `:`, perhaps after a `^`: AAPL, brk.b,
        BTC-USD, EURUSD=X, ^GSPC, 7203.T.

    Raises
    ------
    SymbolError
        If it is anything else: empty, too long, with a space, a line break or markup.
    """
    if not isinstance(text, str) or len(text) > LONGEST or not _SYMBOL.fullmatch(text):
        msg = (
            f"symbol must be 1 to {LONGEST} letters and digits, such as 'AAPL', 'BRK.B' or '^GSPC', "
            f"without spaces or $, not {masked(repr(text)):.60}."
        )
        raise SymbolError(msg)
    return text.upper()


def validate_symbols(symbols: Iterable[str], name: str = "watchlist") -> tuple[str, ...]:
    """Check each of a list's symbols, as `validate_symbol` does; each comes once, in the list's order.

    Raises
    ------
    SymbolError
        If one of them is not a symbol, or the list is a single text; `name` is what the message calls it.
    """
    if isinstance(symbols, str):
        msg = f"{name} must be a list of symbols, such as ['AAPL', 'MSFT'], not the text {masked(repr(symbols)):.60}."
        raise SymbolError(msg)
    return tuple(dict.fromkeys(map(validate_symbol, symbols)))


def symbols_in(prompt: str, universe: Iterable[str]) -> tuple[str, ...]:
    """Find the symbols that a prompt names, each once, in the order of the text.

    A cashtag (`$ibm`, `$BRK.B`) always counts. A word counts if it is in capitals and in `universe`, so CEO and USA do
    not; `AAPL/MSFT` names two symbols unless the universe knows it as one.
    """
    known = frozenset(universe)
    found: dict[str, None] = {}
    for match in _NAMED.finditer(prompt):
        cashtag, base, suffix = match[1], match[2], match[3] or ""
        whole = (base + suffix).upper()
        if cashtag:
            parts = [base.upper(), *([suffix[1:].upper()] if suffix[1:].isupper() else [])]
            named = [whole] if whole in known else [part for part in parts if part in known] or [whole]
        else:
            parts = [base + suffix, base, suffix[1:]]
            capitals = [part for part in parts if part.isupper() and part not in _WORDS and part in known]
            named = [whole] if whole in capitals else capitals
        found.update(dict.fromkeys(symbol for symbol in named if len(symbol) <= LONGEST))
    return tuple(found)

"""What takes long to make, made when it is first used: large packages, and regular expressions, of which are many."""

import importlib
import re
import sys
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

__all__ = ["alt", "any_of", "duckdb", "finder", "finder_of", "np", "pd", "regex"]


class _Lazy:
    def __init__(self, make: Callable[[], object]) -> None:
        self._make = cache(make)

    def __getattr__(self, name: str) -> Any:
        self.__dict__[name] = found = getattr(self._make(), name)
        return found


def regex(source: str, flags: int = 0) -> re.Pattern[str]:
    """Return a pattern as `re.compile` does."""
    return cast("re.Pattern[str]", _Lazy(partial(re.compile, source, flags)))


def any_of(*words: str) -> re.Pattern[str]:
    """Return a pattern that finds any of some patterns as whole words, in whatever case."""
    return regex(_whole(*words), re.IGNORECASE)


def finder(source: str) -> Callable[[str], bool]:
    """Return what tells whether a pattern, in lower case, is in a text of any case: thrice as fast as IGNORECASE."""
    pattern = regex(source)
    return lambda text: pattern.search(text.lower()) is not None


def finder_of(*words: str) -> Callable[[str], bool]:
    """Return a `finder` of any of some patterns as whole words."""
    return finder(_whole(*words))


def _whole(*words: str) -> str:
    return rf"\b(?:{'|'.join(words)})(?!\w)"


def _altair() -> object:
    """Import altair without the second and a half in which jsonschema makes a grammar of IRIs that no chart has.

    Whoever checks an IRI later has it made then.
    """
    name = "rfc3987_syntax"
    stand_in: Any = ModuleType(name)
    stand_in.is_valid_syntax = lambda *given: importlib.import_module(name).is_valid_syntax(*given)
    known = sys.modules.setdefault(name, stand_in)
    try:
        return importlib.import_module("altair")
    finally:
        if known is stand_in:
            del sys.modules[name]


if TYPE_CHECKING:
    import altair as alt
    import duckdb
    import numpy as np
    import pandas as pd
else:
    alt = _Lazy(_altair)
    duckdb, np, pd = (_Lazy(partial(importlib.import_module, name)) for name in ("duckdb", "numpy", "pandas"))

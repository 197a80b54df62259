"""What takes long to make, made when it is first used: large packages, regular expressions, what `help()` tells."""

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache, partial
from itertools import pairwise
from textwrap import indent
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast

__all__ = ["alt", "any_of", "duckdb", "fields_told", "finder", "finder_of", "np", "pd", "regex", "told_by"]


_Told = TypeVar("_Told", bound=Callable[..., object])
_Record = TypeVar("_Record")


class Fields:
    """A record's docstring, with those that stand under its fields as its attributes."""

    def __init__(self, kind: type) -> None:
        self.words = inspect.cleandoc(kind.__doc__ or "")

    def __get__(self, _: object, kind: type) -> str:
        sources = (inspect.getsource(each) for each in reversed(kind.__mro__) if is_dataclass(each))
        records = (cast("ast.ClassDef", ast.parse(source).body[0]) for source in sources)
        told = [self.words, "", "Attributes", "----------"]
        for field, words in (pair for record in records for pair in pairwise(record.body)):
            match field, words:
                case ast.AnnAssign(), ast.Expr(value=ast.Constant(value=str() as said)):
                    told.append(f"{ast.unparse(field.target)} : {ast.unparse(field.annotation)}")
                    told.append(indent(inspect.cleandoc(said), "    "))
        return "\n".join(told)


def fields_told(kind: type[_Record]) -> type[_Record]:
    """Let `help()` of a record tell its fields too: a decorator."""
    kind.__doc__ = cast("str", Fields(kind))
    return kind


def told_by(inner: Callable[..., object]) -> Callable[[_Told], _Told]:
    """Let `help()` of a method tell all that is said of a function that it calls: a decorator."""
    _, _, more = (inspect.getdoc(inner) or "").partition("\n\n")

    def told(method: _Told) -> _Told:
        method.__doc__ = f"{method.__doc__}\n\n{more}"
        return method

    return told


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

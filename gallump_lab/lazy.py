"""What takes long to make, made when it is first used: numpy, and regular expressions, of which there are many."""

import importlib
import re
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

__all__ = ["any_of", "np", "regex"]


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
    return regex(rf"\b(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


if TYPE_CHECKING:
    import numpy as np
else:
    np = _Lazy(partial(importlib.import_module, "numpy"))

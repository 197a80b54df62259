"""Choices that come out the same on every machine and Python: only `random.Random(text).random()` is used."""

import random
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any


class Draw:
    """Seeded choices; each list of phrases is gone through in a shuffled order before one of them comes again."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed).random  # noqa: S311 - seeded, so that the sample is the same each time
        self._left: dict[tuple[str, ...], list[str]] = {}

    def chance(self, share: float) -> bool:
        """Say yes in that share of cases."""
        return self._random() < share

    def whole(self, low: int, high: int) -> int:
        """Give a whole number from low to high, both included."""
        return low + int(self._random() * (high - low + 1))

    def one(self, items: Sequence[Any]) -> Any:
        """Give any of the items."""
        return items[self.whole(0, len(items) - 1)]

    def shuffled(self, items: Sequence[Any]) -> list[Any]:
        """Give the items in another order."""
        left, found = list(items), []
        while left:
            found.append(left.pop(self.whole(0, len(left) - 1)))
        return found

    def line(self, items: Sequence[str], values: Mapping[str, Any] | None = None) -> str:
        """Give the next phrase of a list for which there are all values, filled in; empty if there is none.

        Without values it is given as it is written.
        """
        left = self._left.setdefault(tuple(items), [])
        for _ in range(2):
            for number, item in enumerate(left):
                if values is None or fields(item) <= values.keys():
                    return left.pop(number) if values is None else left.pop(number).format_map(values)
            left[:] = self.shuffled(items)
        return ""


def fields(phrase: str) -> set[str]:
    """Give the names of the values that a phrase needs."""
    return {name for _, name, _, _ in Formatter().parse(phrase) if name}

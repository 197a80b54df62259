"""Texts that hold values: JSON from a file that anybody may have written."""

import json
from typing import Any

DEEPEST = 100
"""Brackets inside of brackets; nothing that is read here goes deeper than a tenth of that."""


def parsed(text: str) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        If it is no JSON, or nested more than `DEEPEST` deep.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        found = None
        deep = True
    else:
        deep = _deep(found)
    if deep:
        msg = f"it is nested more than {DEEPEST} deep"
        raise ValueError(msg)
    return found


def _deep(value: Any) -> bool:
    """Say, without recursion, whether a value is nested too deep to be walked through or shown."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            part
            for each in level
            if isinstance(each, (dict, list))
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, (dict, list))
        ]
        if not level:
            return False
    return True

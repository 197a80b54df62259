"""Values as SQL writes them, for the few places where DuckDB takes no parameters."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KINDS: Mapping[str, str] = {
    "bool": "boolean",
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "uint8": "utinyint",
    "uint16": "usmallint",
    "uint32": "uinteger",
    "uint64": "ubigint",
    "float32": "float",
    "float64": "double",
}


def quoted(text: str) -> str:
    """Return a text as a literal.

    Raises
    ------
    ValueError
        If it holds a NUL, which no statement carries.
    """
    if "\0" in text:
        msg = f"A text for the lab must not hold the character NUL (at {text.index(chr(0))}). Leave it out."
        raise ValueError(msg)
    return "'" + text.replace("'", "''") + "'"


def literal(value: Any) -> str:  # noqa: PLR0911 (one return a type)
    """Return a parameter's value as a literal of the type that DuckDB's client would bind it as.

    Raises
    ------
    ValueError
        If it is of a kind that has none.
    """
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # one of numpy's scalars
        value = value.item()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{int(value)}::bigint" if -(2**63) < value < 2**63 else f"'{value}'::hugeint"
    if isinstance(value, float):
        return f"'{float(value)!r}'::double"
    if isinstance(value, str):
        return quoted(str(value))
    if isinstance(value, dt.datetime):
        return f"'{value.isoformat(' ')}'::{'timestamp' if value.tzinfo is None else 'timestamptz'}"
    if isinstance(value, dt.date):
        return f"'{value.isoformat()}'::date"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    msg = f"A value of the type {type(value).__name__} cannot be sent to a lab's server. Give a number, text or time."
    raise ValueError(msg)


def column(values: "NDArray[Any]") -> str:
    """Return an array as an expression of one row a value: a long text, which DuckDB reads far faster than a list."""
    kind = values.dtype
    if kind.kind == "M":
        micros = values.astype("datetime64[us]").astype("int64")
        return f"make_timestamp(unnest('{micros.tolist()}'::bigint[]))"
    if kind.kind == "O":
        said = quoted(json.dumps(list(values), ensure_ascii=False))
        return f"""unnest(from_json({said}, '["VARCHAR"]'))"""
    return f"unnest('{values.tolist()}'::{_KINDS[kind.name]}[])"

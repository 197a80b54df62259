"""Files of rows: CSV whatever its separator, encoding and broken quotes, each row under the number of its line."""

import csv
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = ",;\t"
LONGEST = 10_000_000
"""Characters of the longest field that is read."""

_BYTES = re.compile("[\udc80-\udcff]")


class RowsError(ValueError):
    """A file cannot be read as rows of text; the message names no file."""


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a text in UTF-8 or UTF-16, with or without a byte order mark; see `damaged` for what is neither."""
    with path.open("rb") as file:
        encoding = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        with path.open(encoding=encoding, errors="surrogateescape", newline="") as text:
            yield text
    except UnicodeDecodeError as error:
        msg = f"it is not {encoding} ({error.reason})"
        raise RowsError(msg) from error


def damaged(text: str) -> bool:
    """Return whether a text of an `opened` file held bytes that are no UTF-8; they come as single surrogates."""
    return not text.isascii() and _BYTES.search(text) is not None


def read_csv(path: Path) -> "tuple[pd.DataFrame, list[tuple[str, str]]]":
    """Read a CSV file: a header, and below it a row a record.

    Commas, semicolons or tabs separate; the header tells which. A row that cannot be read is left out and named. Where
    a quote is not closed, the line that opens it is left out and the next is read as a row again.

    Returns
    -------
    frame : pandas.DataFrame
        The cells as texts, None where a row is short, by the header's names (none if the file is empty). The index,
        "line", holds the line on which a row begins, 1 for the header's.
    left_out : list of (str, str)
        Where a row stands that was left out, and why.

    Raises
    ------
    RowsError
        If the file is no text.
    """
    import pandas as pd

    numbers, rows, left_out = [], [], []
    with opened(path) as text, _long_fields():
        header = [text.readline()]
        names, by = max(
            ((next(csv.reader(header, delimiter=by), []), by) for by in SEPARATORS), key=lambda found: len(found[0])
        )
        for first, last, row in _records(text, by):
            where = f"line {first}" if first == last else f"lines {first} to {last}"
            if isinstance(row, str):
                left_out.append((where, row))
            elif len(row) > len(names):
                left_out.append((where, f"it has {len(row)} fields, the header {len(names)}"))
            elif damaged("".join(row)):
                left_out.append((where, "it is not UTF-8"))
            elif row:
                numbers.append(first)
                rows.append([*row, *[None] * (len(names) - len(row))])
    index = pd.Index(numbers, name="line", dtype="int64")
    return pd.DataFrame(rows, columns=names, index=index, dtype=object), left_out


@contextmanager
def _long_fields() -> Iterator[None]:
    limit = csv.field_size_limit(LONGEST)
    try:
        yield
    except csv.Error as error:  # rows have their own handling
        msg = f"its header is not CSV ({error})"
        raise RowsError(msg) from error
    finally:
        csv.field_size_limit(limit)


def _records(text: TextIO, by: str) -> Iterator[tuple[int, int, list[str] | str]]:
    """Yield each record after the header with its first and last line: its fields, or why it cannot be read."""
    again: deque[str] = deque()  # lines after one that opens a quote and does not close it
    taken: list[str] = []

    def lines() -> Iterator[str]:
        while line := again.popleft() if again else text.readline():
            taken.append(line)
            yield line

    reader, before = csv.reader(lines(), delimiter=by, strict=True), 1
    while True:
        taken.clear()
        try:
            row: list[str] | str = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row = f"it is not CSV ({error})"
            if len(taken) > 1:
                row += f": a quote opens here, and lines {before + 1} to {before + len(taken)} would be one row"
            again.extendleft(reversed(taken[1:]))
            del taken[1:]
            reader = csv.reader(lines(), delimiter=by, strict=True)
        yield before + 1, before + len(taken), row
        before += len(taken)

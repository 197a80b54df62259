"""Files that anybody may have written: their size, JSON and CSV record by record, and what was wrong in them."""

import csv
import json
import re
import stat
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from zipfile import ZipInfo

    import pandas as pd

LARGEST_FILE = 1_000_000_000
"""Bytes of a file, or of what a .zip unpacks to, of which no more than a piece is in memory at a time."""
LARGEST_JSON = 32_000_000
"""Bytes of what is parsed as JSON in one piece, which takes up to 25 times as much memory."""
LARGEST_FIELD = 10_000_000
"""Characters of a CSV file's longest field."""
SEPARATORS = ",;\t"
DEEPEST = 100
"""Brackets inside of brackets; nothing that is read here goes deeper than a tenth of that."""
NAMED = 30
"""So many problems of a sort are told one by one; the rest are counted."""

_PIECE = 1_000_000
_SPACE = re.compile(r"[ \t\n\r]*")
_BYTES = re.compile("[\udc80-\udcff]")


def check_readable(path: Path, error: type[Exception], *, most: int = LARGEST_FILE) -> Path:
    """Return a path whose file can be read: no device or pipe, which never ends, and not larger than `most` bytes.

    Raises
    ------
    Exception
        As `error`, if it is another kind of file, is missing or may not be looked at, or is too large.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as fault:
        msg = f"{path} cannot be read: {getattr(fault, 'strerror', None) or fault}. Give the path of a file."
        raise error(msg) from fault
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, pipe or the like"
        msg = f"{path} is {what}, not a file. Give the path of a file."
        raise error(msg)
    if found.st_size > most:
        msg = f"{path} has {found.st_size:,} bytes; at most {most:,} are read. Split it."
        raise error(msg)
    return path


def check_unpacked(path: Path, members: "list[ZipInfo]", error: type[Exception]) -> None:
    """Check that what is wanted of a .zip is not too large once unpacked; a read stops at the size that was claimed.

    Raises
    ------
    Exception
        As `error`, if it claims more than `LARGEST_FILE`.
    """
    size = sum(member.file_size for member in members)
    if size > LARGEST_FILE:
        msg = f"{path} would unpack to {size:,} bytes; at most {LARGEST_FILE:,} are read. Unpack and split it."
        raise error(msg)


def parse_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        If it is no JSON, or nested more than `DEEPEST` deep.
    """
    msg = f"it is nested more than {DEEPEST} deep"
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError(msg) from error
    level = [found]  # without recursion, which would be as deep
    for _ in range(DEEPEST + 1):
        parts = (part for each in level for part in (each.values() if isinstance(each, dict) else each))
        level = [part for part in parts if isinstance(part, (dict, list))]
    if level:
        raise ValueError(msg)
    return found


def json_elements(file: TextIO) -> Iterator[Any]:
    """Yield the elements of a JSON list one by one, so that a large file's need not all be there; else the one value.

    Raises
    ------
    ValueError
        If it is no JSON, or an element is longer than `LARGEST_JSON` characters.
    RecursionError
        If an element is nested too deep.
    """
    text = _JsonText(file)
    if text.sign() != "[":
        yield text.value()
    else:
        text.at += 1
        while text.sign() != "]":
            yield text.value()
            if text.sign() == ",":
                text.at += 1
            elif text.sign() != "]":
                msg = "Expecting ',' delimiter"
                raise ValueError(msg)
        text.at += 1
    if text.sign():
        msg = "Extra data"
        raise ValueError(msg)


class _JsonText:
    """A file's text, of which only as much is in memory as the next value needs."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._decoder = file, json.JSONDecoder()
        self._text, self.at = "", 0

    def sign(self) -> str:
        """Return the next character that is no space, or '' at the end."""
        while True:
            space = _SPACE.match(self._text, self.at)
            self.at = space.end() if space else self.at
            if self.at < len(self._text) or not self._read_on():
                return self._text[self.at : self.at + 1]

    def value(self) -> Any:
        """Parse one value."""
        self.sign()
        while True:
            if len(self._text) - self.at > LARGEST_JSON:
                msg = f"A conversation is longer than {LARGEST_JSON:,} characters"
                raise ValueError(msg)
            try:
                found, end = self._decoder.raw_decode(self._text, self.at)
            except json.JSONDecodeError:
                if not self._read_on():
                    raise
            else:
                if end < len(self._text) or not self._read_on():  # else a number may go on
                    self.at = end
                    return found

    def _read_on(self) -> bool:
        """Read a piece, or as much again as a value has already, so that it is not parsed over and over."""
        there = len(self._text) - self.at
        piece = self._file.read(max(_PIECE, min(there, LARGEST_JSON + 1 - there)))
        if piece:
            self._text, self.at = self._text[self.at :] + piece, 0
        return piece != ""


class RowsError(ValueError):
    """A file cannot be read as rows of text; the message names no file."""


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a text in UTF-8 or UTF-16, with or without a byte order mark; see `is_damaged` for what is neither."""
    with path.open("rb") as file:
        encoding = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        with path.open(encoding=encoding, errors="surrogateescape", newline="") as text:
            yield text
    except UnicodeDecodeError as error:
        msg = f"it is not {encoding} ({error.reason})"
        raise RowsError(msg) from error


def is_damaged(text: str) -> bool:
    """Return whether a text of an opened file held bytes that are no UTF-8; they come as single surrogates."""
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
    with open_text(path) as text, _long_fields():
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
            elif is_damaged("".join(row)):
                left_out.append((where, "it is not UTF-8"))
            elif row:
                numbers.append(first)
                rows.append([*row, *[None] * (len(names) - len(row))])
    index = pd.Index(numbers, name="line", dtype="int64")
    return pd.DataFrame(rows, columns=names, index=index, dtype=object), left_out


@contextmanager
def _long_fields() -> Iterator[None]:
    limit = csv.field_size_limit(LARGEST_FIELD)
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


def counted(number: int, what: str) -> str:
    """Return a number and what it counts, written in the plural; of one, the first word that ends in s loses it.

    >>> counted(1, "rows of bars"), counted(2_000, "rows of bars")
    ('1 row of bars', '2,000 rows of bars')
    """
    if number == 1:
        what = re.sub(r"s\b", "", what, count=1)
    return f"{number:,} {what}"


class Problems:
    """What was wrong with single records and what was taken otherwise: the first are named, the rest counted."""

    def __init__(self) -> None:
        self.left_out = 0
        """How many records could not be used."""
        self._named: dict[str, list[str]] = {"left out": [], "noted": []}
        self._count = Counter[str]()

    def leave_out(self, where: str, why: str, records: int = 1) -> None:
        """Count records that cannot be used, and keep where they stand and why."""
        self.left_out += records
        self._keep("left out", f"{where}: {why.rstrip('.')}; left out.")

    def note(self, words: str) -> None:
        """Keep what was taken otherwise than it stands."""
        self._keep("noted", words)

    def describe(self) -> tuple[str, ...]:
        """Return the problems in words, what was left out first."""
        found: list[str] = []
        for sort, named in self._named.items():
            unnamed = self._count[sort] - len(named)
            found += [*named, f"... and {unnamed:,} more."] if unnamed else named
        return tuple(found)

    def _keep(self, sort: str, words: str) -> None:
        self._count[sort] += 1
        if self._count[sort] <= NAMED:
            self._named[sort].append(words)

"""Files that anybody may have written: their size, CSV and JSON record by record, and what was wrong in them."""

import csv
import json
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from gallump_lab.lazy import pd, regex

LARGEST_FILE = 1_000_000_000
"""Bytes of a file, or of what a .zip unpacks to, of which no more than a piece is in memory at a time."""
LARGEST_JSON = 32_000_000
"""Bytes of what is parsed as JSON in one piece, which takes up to 25 times as much memory."""
LARGEST_FIELD = 10_000_000
"""Characters of a CSV file's longest field."""
SEPARATORS = ",;\t"
LONGEST_PREAMBLE = 100
"""Lines among which a header is looked for."""

_PIECE = LARGEST_JSON // 2
_SPACE = regex(r"[ \t\n\r]*")


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


def json_elements(file: TextIO) -> Iterator[Any]:
    """Yield the elements of a JSON list one by one, so that a large file's need not all be there; else the one value.

    Raises
    ------
    ValueError
        If it is no JSON, or an element is longer than half of `LARGEST_JSON` characters.
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
    """A file's text, of which a little more than the longest element is in memory."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._ended = file, "", False
        self.at = 0

    def sign(self) -> str:
        """Return the next character that is no space; '' at the end."""
        while True:
            space = _SPACE.match(self._text, self.at)
            self.at = space.end() if space else self.at
            if self._ended or len(self._text) - self.at > _PIECE:
                return self._text[self.at : self.at + 1]
            more = self._file.read(_PIECE)
            self._text, self.at, self._ended = self._text[self.at :] + more, 0, not more

    def value(self) -> Any:
        """Parse one value."""
        self.sign()
        try:
            found, self.at = json.JSONDecoder().raw_decode(self._text, self.at)
        except json.JSONDecodeError:
            if self._ended:
                raise
            msg = f"A conversation is longer than {_PIECE:,} characters, or broken"
            raise ValueError(msg) from None
        return found


@contextmanager
def open_text(path: Path, other: str = "") -> Iterator[TextIO]:
    """Open a text in UTF-8 or UTF-16, with or without a byte order mark.

    What is neither is read in the `other` encoding, if there is one, and else raises UnicodeDecodeError.
    """
    with path.open("rb") as file:
        encoding = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if other and encoding == "utf-8-sig":
        try:
            with path.open(encoding=encoding) as text:
                while text.read(_PIECE):
                    pass
        except UnicodeDecodeError:
            encoding = other
    with path.open(encoding=encoding, newline="") as text:
        yield text


def read_csv(
    path: Path | TextIO, problems: "Problems", is_header: Callable[[list[str]], bool] | None = None
) -> "pd.DataFrame":
    """Read a CSV file or text: a header, and below it a row a record.

    Commas, semicolons or tabs separate; the header tells which. What cannot be read is left out and told; a quote that
    is not closed takes the lines up to the next one with it. The header is the first line that `is_header` takes for
    one; where it is not given, or there is none such, the first line of all. With `is_header` the file is one that
    people keep: further headers begin sections with other columns, and what is no UTF-8 is taken for Windows-1252.

    Returns
    -------
    pandas.DataFrame
        The cells as texts, None where a row is short, by the header's names (none if the file is empty). The index,
        "line", holds the line on which a row begins, 1 for the header's.

    Raises
    ------
    ValueError
        If the file is no text; the message goes on from its name.
    """
    numbers, rows = [], []
    limit = csv.field_size_limit(LARGEST_FIELD)
    try:
        other = "cp1252" if is_header else ""
        with open_text(path, other) if isinstance(path, Path) else nullcontext(path) as text:
            if other and text.encoding == other:
                problems.read.append("no UTF-8, read as Windows-1252")
            names, by, line = _header(text, is_header or bool)
            columns = first_columns = [*range(len(names))]
            known = {*names} - {""}
            for first, last, row in _records(csv.reader(text, delimiter=by, strict=True), line):
                while is_header and len(row) > len(columns) and isinstance(row, list) and not row[-1].strip():
                    row.pop()  # a separator at the end of each line
                if is_header and isinstance(row, list) and not known.isdisjoint(row) and is_header(row):
                    names += [name for name in row if name not in names]
                    columns = [*map(names.index, row)]
                    continue
                where = f"line {first}" if first == last else f"lines {first} to {last}"
                if isinstance(row, str):
                    opened = ": a quote is open on the first of them" if first < last else ""
                    problems.leave_out(where, f"it is not CSV ({row}){opened}", last - first + 1)
                elif len(row) > len(columns):
                    problems.leave_out(where, f"it must have {len(columns)} fields as the header has, not {len(row)}")
                elif row:
                    numbers.append(first)
                    cells = dict(zip(columns, row, strict=False)) if columns is not first_columns else {}
                    rows.append([*map(cells.get, range(len(names)))] if cells else row)
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"cannot be read as CSV: {error}. Save it as UTF-8."
        raise ValueError(msg) from error
    finally:
        csv.field_size_limit(limit)
    rows = [[*row, *[None] * (len(names) - len(row))] for row in rows]
    return pd.DataFrame(rows, columns=names, index=pd.Index(numbers, name="line", dtype="int64"), dtype=object)


def _header(text: TextIO, is_header: Callable[[list[str]], bool]) -> tuple[list[str], str, int]:
    """Read up to the header, and return its names, what separates them, and its line."""
    fullest: tuple[list[str], str, int] = [], SEPARATORS[0], 1
    for number, line in enumerate(islice(iter(text.readline, ""), LONGEST_PREAMBLE), 1):
        names, by = _split(line)
        if is_header(names):
            return names, by, number
        if sum(map(bool, names)) > 2 * sum(map(bool, fullest[0])):  # a title is shorter
            fullest = names, by, number
    text.seek(0)
    for _ in range(fullest[2]):
        text.readline()
    return fullest


def _split(line: str) -> tuple[list[str], str]:
    ways = ((next(csv.reader([line], delimiter=by), []), by) for by in SEPARATORS)
    return max(ways, key=lambda each: len(each[0]))


def _records(reader: Any, header: int) -> Iterator[tuple[int, int, list[str] | str]]:
    """Yield each record after the header's line with its first and last line: its fields, or why it cannot be read."""
    while True:
        first = reader.line_num + header + 1
        try:
            row: list[str] | str = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row = str(error)
        yield first, reader.line_num + header, row


def counted(number: int, what: str) -> str:
    """Return a number and what it counts, written in the plural; of one, the first word that ends in s loses it.

    >>> counted(1, "rows of bars"), counted(2_000, "rows of bars")
    ('1 row of bars', '2,000 rows of bars')
    """
    if number == 1:
        what = re.sub(r"s\b", "", what, count=1)
    return f"{number:,} {what}"


class Problems:
    """What was wrong with single records and what was taken otherwise: of each kind one example, the rest counted.

    Reasons are of one kind if they differ only in what was found, which follows ", not " in them.

    >>> problems = Problems()
    >>> problems.leave_out("line 3", "role must be 'user' or 'assistant', not 'bot'")
    >>> problems.leave_out("line 7", "role must be 'user' or 'assistant', not 'me'")
    >>> problems.leave_out("empty messages")
    >>> problems.describe()
    ("line 3 and 1 more: role must be 'user' or 'assistant', not 'bot'; left out.", '1 empty message; left out.')
    """

    def __init__(self) -> None:
        self.left_out = 0
        """How many records could not be used."""
        self.read: list[str] = []
        """What was understood of the whole, in words; no problem."""
        self._first: dict[tuple[str, str], tuple[str, str]] = {}
        self._counts = Counter[tuple[str, str]]()

    def leave_out(self, where: str, why: str = "", records: int = 1) -> None:
        """Count records that cannot be used: where they stand and why, or what they are, in the plural."""
        self.left_out += records
        self._keep("; left out.", where, why)

    def note(self, where: str, why: str = "") -> None:
        """Count what was taken otherwise than it stands: where and how, or what it is, in the plural."""
        self._keep(".", where, why)

    def describe(self) -> tuple[str, ...]:
        """Return the problems in words, what was left out first."""
        found = []
        for end, kind in sorted(self._first, key=lambda each: each[0], reverse=True):
            where, why = self._first[end, kind]
            count = self._counts[end, kind]
            more = f" and {count - 1:,} more" if count > 1 else ""
            found.append(f"{where}{more}: {why}{end}" if why else counted(count, where) + end)
        return tuple(found)

    def _keep(self, end: str, where: str, why: str) -> None:
        why = why.rstrip(".")
        kind = (end, why.partition(", not ")[0] or where)
        self._first.setdefault(kind, (where, why))
        self._counts[kind] += 1

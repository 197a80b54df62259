"""Conversations of one's own: CSV or JSONL, or a frame, a row a message; questions and insights likewise."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gallump_lab.datasets.records import INSIGHTS, MESSAGES, QUESTIONS, TIMES, Dataset, DatasetError, Problems, frame

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "role": ("sender",),
    "text": ("content", "message", "body", "question"),
    "created_at": ("time", "timestamp", "datetime", "date", "at"),
    "session_id": ("session", "thread_id", "thread", "chat_id"),
    "symbol": ("ticker",),
    "speaker": ("name", "author", "analyst"),
    "key": ("message_id", "id"),
    "conversation": ("conversation_id",),
    "answer": ("reference",),
    "kind": ("category", "type"),
    "asked_at": ("created_at", "time", "timestamp", "datetime", "date", "at"),
    "evidence": ("sources",),
}
"""Other names of a column, which count where the first name is missing."""

_WORDS = ("session_id", "symbol", "speaker", "key", "conversation")
_NOTHING = frozenset({"", "nan", "NaN", "NaT", "None", "null"})
_BYTES = re.compile("[\udc80-\udcff]")
_FIELD = 10_000_000
"""Characters of the longest field that a CSV file may have; what is too long for a message is told later, by line."""


def read(path: Path) -> Dataset:
    """Read a CSV or JSONL file of messages, or a folder with such files: messages, and perhaps questions and insights.

    CSV is UTF-8 or UTF-16, separated by commas, semicolons or tabs, with a header; JSONL has an object a line. Messages
    have the columns role, text and created_at (or time), and perhaps session_id (or session), symbol, speaker, key and
    conversation.

    Raises
    ------
    DatasetError
        If a column that is needed is missing, or a file is in neither form.
    """
    problems = Problems()
    if not path.is_dir():
        parts = {"messages": path}
    else:
        parts = {
            name: found for name in ("messages", "questions", "insights") for found in sorted(path.glob(f"{name}.*"))
        }
    if "messages" not in parts:
        msg = f"{path} holds no messages.csv or messages.jsonl."
        raise DatasetError(msg)
    listed = {name: _records(part, problems) for name, part in parts.items()}
    return Dataset(
        messages=messages(listed["messages"], problems),
        questions=questions(listed["questions"], problems) if "questions" in listed else frame((), QUESTIONS),
        insights=insights(listed["insights"], problems) if "insights" in listed else frame((), INSIGHTS),
        problems=problems.told(),
        left_out=problems.left_out,
    )


def messages(given: "pd.DataFrame", problems: Problems) -> "pd.DataFrame":
    """Give a frame of messages as a dataset has them; rows that cannot be used are left out and told.

    Columns may have other names (time, content, session, ...). Times are aware, or naive and then taken as UTC, which
    is told; or text in ISO 8601.

    Raises
    ------
    DatasetError
        If role, text or created_at is missing.
    """

    def check(row: Row) -> None:
        role = _word(row["role"]) or ""
        row["role"] = role.casefold()
        if row["role"] not in ("user", "assistant"):
            msg = f"role must be 'user' or 'assistant', not {row['role'] and role!r:.60}"
            raise ValueError(msg)
        if not isinstance(row["text"], str) or not row["text"].strip():
            msg = f"text must be words to remember, not {row['text']!r:.60}"
            raise ValueError(msg)

    return _checked(given, MESSAGES, ("role", "text", "created_at"), problems, check)


def questions(given: "pd.DataFrame", problems: Problems) -> "pd.DataFrame":
    """Give a frame of questions as a dataset has them; rows that cannot be used are left out and told.

    Evidence is a list of message keys, or a text of them between white space, commas or semicolons.

    Raises
    ------
    DatasetError
        If text or asked_at is missing.
    """

    def check(row: Row) -> None:
        if not isinstance(row["text"], str) or not row["text"].strip():
            msg = f"text must be a question, not {row['text']!r:.60}"
            raise ValueError(msg)
        row["answer"], row["kind"] = _word(row["answer"]), _word(row["kind"]) or "question"
        row["evidence"] = _keys(row["evidence"])

    return _checked(given, QUESTIONS, ("text", "asked_at"), problems, check)


def insights(given: "pd.DataFrame", problems: Problems) -> "pd.DataFrame":
    """Give a frame of insights as a dataset has them; rows that cannot be used are left out and told.

    So are those that supersede each other in a circle.

    Raises
    ------
    DatasetError
        If text or known_from is missing.
    """

    def check(row: Row) -> None:
        if not isinstance(row["text"], str) or not row["text"].strip():
            msg = f"text must be one statement, not {row['text']!r:.60}"
            raise ValueError(msg)
        row["kind"], row["superseded_by"] = _word(row["kind"]) or "fact", _word(row["superseded_by"])
        row["sources"] = _keys(row["sources"])

    learnt = _checked(given, INSIGHTS, ("text", "known_from"), problems, check)
    circles = _circles(dict(zip(learnt["key"], learnt["superseded_by"], strict=True)))
    for where, key, newer in learnt.loc[learnt["key"].isin(circles), ["key", "superseded_by"]].itertuples():
        why = f"superseded_by {newer!r:.60} leads back to {key!r:.60}, so which one holds cannot be known"
        problems.leave_out(f"{given.index.name or 'row'} {where}", why)
    return learnt[~learnt["key"].isin(circles)]


def _circles(newer: dict[str | None, str | None]) -> set[str | None]:
    """Return the keys from which what takes the place of what leads back to them."""
    circles, seen = set[str | None](), set[str | None]({None})
    for start in newer:
        path, key = list[str | None](), start
        while key in newer and key not in seen:
            seen.add(key)
            path.append(key)
            key = newer[key]
        circles.update(path[path.index(key) :] if key in path else ())
    return circles


def _checked(
    given: "pd.DataFrame",
    columns: tuple[str, ...],
    needed: Sequence[str],
    problems: Problems,
    check: Callable[[Row], None],
) -> "pd.DataFrame":
    import pandas as pd

    if not isinstance(given, pd.DataFrame):
        msg = f"A pandas DataFrame is needed, a row a record, not {type(given).__name__}."
        raise DatasetError(msg)
    values = _columns(given, columns, needed)
    moments, words = ([name for name in columns if name in names] for names in (TIMES, _WORDS))
    label = given.index.name or "row"
    kept, index, naive = [], [], 0
    for where, *cells in zip(given.index, *values.values(), strict=True):
        row = dict(zip(values, cells, strict=True))
        try:
            for name in moments:
                row[name], zoneless = _time(row[name], name, optional=name not in needed)
                naive += zoneless
            for name in words:
                row[name] = _word(row[name])
            check(row)
        except ValueError as error:
            problems.leave_out(f"{label} {where}", str(error))
        else:
            kept.append(row)
            index.append(where)
    if naive:
        problems.note(f"{naive:,} times have no time zone; they were taken as UTC.")
    return frame(kept, columns, pd.Index(index, name=given.index.name))


def _columns(given: "pd.DataFrame", columns: tuple[str, ...], needed: Sequence[str]) -> dict[str, list[Any]]:
    """Give each column's cells, None where there is nothing, by the name that it has in a dataset."""
    there = {re.sub(r"[\s-]+", "_", str(name).strip().casefold()): name for name in reversed(given.columns)}
    found: dict[str, list[Any]] = {}
    taken: set[Any] = set()
    for name in columns:
        names = (name, *_SYNONYMS.get(name, ()))
        known = next((there[each] for each in names if each in there and there[each] not in taken), None)
        if known is None:
            if name in needed:
                others = f" (or {', '.join(names[1:])})" if names[1:] else ""
                has = ", ".join(map(str, given.columns)) or "no columns"
                msg = f"A column {name}{others} is missing; there is: {has}."
                raise DatasetError(msg)
            found[name] = [None] * len(given)
            continue
        taken.add(known)
        column = given.iloc[:, list(given.columns).index(known)]
        empty = column.isna()
        found[name] = [None if no else cell for cell, no in zip(column.astype(object), empty, strict=True)]
    return found


def _time(value: Any, name: str, *, optional: bool) -> tuple[datetime | None, bool]:
    """Give a time as UTC, and whether it had no time zone."""
    if optional and (value is None or (isinstance(value, str) and value.strip() in _NOTHING)):
        return None, False
    try:
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
        if not isinstance(moment, datetime) and isinstance(moment, date):
            moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 (counted as naive below)
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC), True
        return moment.astimezone(UTC), False
    except (AttributeError, ValueError, OverflowError):
        msg = f"{name} must be a time such as 2024-05-31T09:30:00Z, not {value!r:.60}"
        raise ValueError(msg) from None


def _word(value: Any) -> str | None:
    """Give a name or number as text; None where there is nothing."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of numbers with gaps
    word = "" if value is None else str(value).strip()
    return None if word in _NOTHING else word


def _keys(value: Any) -> list[str]:
    if value is None or isinstance(value, str):
        value = re.split(r"[\s,;]+", value or "")
    elif not hasattr(value, "__iter__"):
        value = [value]
    return list(dict.fromkeys(filter(None, map(_word, value))))


def _records(path: Path, problems: Problems) -> "pd.DataFrame":
    """Give a file's records, each under the number of its line."""
    with path.open("rb") as file:
        encoding = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    json_lines = path.suffix.lower() in (".jsonl", ".ndjson")
    # What is not UTF-8 comes as single surrogates, so that its record can be told from the others.
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as text:
        return _json_lines(text, problems) if json_lines else _csv(path, text, problems)


def _csv(path: Path, text: TextIO, problems: Problems) -> "pd.DataFrame":
    import pandas as pd

    header = text.readline()
    names, by = max(
        ((next(csv.reader([header], delimiter=by), []), by) for by in ",;\t"), key=lambda found: len(found[0])
    )
    if not names:
        msg = f"{path} is empty; it needs a header such as role,text,created_at and a line for each message."
        raise DatasetError(msg)
    numbers, rows = [], []
    for number, row in _csv_rows(text, by, problems):
        if len(row) > len(names):
            problems.leave_out(f"line {number}", f"it has {len(row)} fields, the header {len(names)}")
        elif any(map(_BYTES.search, row)):
            problems.leave_out(f"line {number}", "it is not UTF-8")
        elif row:
            numbers.append(number)
            rows.append([*row, *[None] * (len(names) - len(row))])
    return pd.DataFrame(rows, columns=names, index=pd.Index(numbers, name="line"), dtype=object)


def _csv_rows(text: TextIO, by: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    limit = csv.field_size_limit(_FIELD)
    reader = csv.reader(text, delimiter=by, strict=True)
    try:
        while True:
            number = reader.line_num + 2  # where the row begins; the header was the first line
            try:
                yield number, next(reader)
            except csv.Error as error:
                problems.leave_out(f"line {number}", f"it is not CSV ({error})")
            except StopIteration:
                return
    finally:
        csv.field_size_limit(limit)


def _json_lines(text: TextIO, problems: Problems) -> "pd.DataFrame":
    import pandas as pd

    numbers, rows = [], []
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            problems.leave_out(f"line {number}", f"it is not JSON ({error})")
            continue
        if _BYTES.search(line):
            problems.leave_out(f"line {number}", "it is not UTF-8")
        elif not isinstance(row, dict):
            problems.leave_out(
                f"line {number}", f"it must be an object with role, text and created_at, not {row!r:.40}"
            )
        else:
            numbers.append(number)
            rows.append(row)
    return pd.DataFrame(rows, index=pd.Index(numbers, name="line"), dtype=object)

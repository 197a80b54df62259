"""Conversations of one's own: CSV or JSONL, or a frame, a row a message; questions and insights likewise."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gallump_lab.datasets.records import INSIGHTS, MESSAGES, QUESTIONS, TIMES, Dataset, DatasetError, Problems, frame
from gallump_lab.reading import dates, rows
from gallump_lab.reading.files import readable
from gallump_lab.reading.text import parsed

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Names = Mapping[str, str]
"""What the user calls a dataset's columns."""

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
    """Return a frame of messages as a dataset has them; rows that cannot be used are left out and told.

    Columns may have other names (time, content, session, ...). Times are aware, or naive and then taken as UTC, which
    is told; or text in ISO 8601; or seconds or milliseconds since 1970.

    Raises
    ------
    DatasetError
        If role, text or created_at is missing.
    """

    def check(row: Row, own: Names) -> None:
        role = _word(row["role"]) or ""
        row["role"] = role.casefold()
        if row["role"] not in ("user", "assistant"):
            msg = f"{own['role']} must be 'user' or 'assistant', not {row['role'] and role!r:.60}"
            raise ValueError(msg)
        if not isinstance(row["text"], str) or not row["text"].strip():
            msg = f"{own['text']} must be words to remember, not {row['text']!r:.60}"
            raise ValueError(msg)

    return _checked(given, MESSAGES, ("role", "text", "created_at"), problems, check)


def questions(given: "pd.DataFrame", problems: Problems) -> "pd.DataFrame":
    """Return a frame of questions as a dataset has them; rows that cannot be used are left out and told.

    Evidence is a list of message keys, or a text of them between white space, commas or semicolons.

    Raises
    ------
    DatasetError
        If text or asked_at is missing.
    """

    def check(row: Row, own: Names) -> None:
        if not isinstance(row["text"], str) or not row["text"].strip():
            msg = f"{own['text']} must be a question, not {row['text']!r:.60}"
            raise ValueError(msg)
        row["answer"], row["kind"] = _word(row["answer"]), _word(row["kind"]) or "question"
        row["evidence"] = _keys(row["evidence"])

    return _checked(given, QUESTIONS, ("text", "asked_at"), problems, check)


def insights(given: "pd.DataFrame", problems: Problems) -> "pd.DataFrame":
    """Return a frame of insights as a dataset has them; rows that cannot be used are left out and told.

    So are those that supersede each other in a circle.

    Raises
    ------
    DatasetError
        If text or known_from is missing.
    """

    def check(row: Row, own: Names) -> None:
        if not isinstance(row["text"], str) or not row["text"].strip():
            msg = f"{own['text']} must be one statement, not {row['text']!r:.60}"
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
    check: Callable[[Row, Names], None],
) -> "pd.DataFrame":
    import pandas as pd

    if not isinstance(given, pd.DataFrame):
        msg = f"A pandas DataFrame is needed, a row a record, not {type(given).__name__}."
        raise DatasetError(msg)
    values, own = _columns(given, columns, needed)
    moments, words = ([name for name in columns if name in names] for names in (TIMES, _WORDS))
    label = given.index.name or "row"
    kept, index, naive = [], [], 0
    for where, *cells in zip(given.index, *values.values(), strict=True):
        row = dict(zip(values, cells, strict=True))
        try:
            for name in moments:
                row[name], zoneless = _time(row[name], own[name], optional=name not in needed)
                naive += zoneless
            for name in words:
                row[name] = _word(row[name])
            check(row, own)
        except ValueError as error:
            problems.leave_out(f"{label} {where}", str(error))
        else:
            kept.append(row)
            index.append(where)
    if naive:
        problems.note(f"{naive:,} times have no time zone; they were taken as UTC.")
    found = frame(kept, columns, pd.Index(index, name=given.index.name))
    found.attrs["names"] = own
    return found


def _columns(
    given: "pd.DataFrame", columns: tuple[str, ...], needed: Sequence[str]
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Return each column's cells, None where there is nothing, and the user's name for it, by that of a dataset."""
    earlier = given.attrs.get("names", {})  # of a file whose rows were checked before
    own = {name: earlier.get(name, name) for name in columns}
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
        own[name] = earlier.get(name, str(known))
        column = given.iloc[:, list(given.columns).index(known)]
        empty = column.isna()
        found[name] = [None if no else cell for cell, no in zip(column.astype(object), empty, strict=True)]
    return found, own


def _time(value: Any, name: str, *, optional: bool) -> tuple[datetime | None, bool]:
    """Return a time as UTC, and whether it had no time zone."""
    if optional and (value is None or (isinstance(value, str) and value.strip() in _NOTHING)):
        return None, False
    try:
        return dates.instant(value), getattr(dates.parse(value), "tzinfo", None) is None
    except ValueError as error:
        msg = f"{name} {error}"
        raise ValueError(msg) from None


def _word(value: Any) -> str | None:
    """Return a name or number as text; None where there is nothing."""
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
    """Return a file's records, each under the number of its line."""
    readable(path, DatasetError)
    try:
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            with rows.opened(path) as text:
                return _json_lines(text, problems)
        found, left_out = rows.read_csv(path)
    except rows.RowsError as error:
        msg = f"{path} cannot be read: {error}. Save it as UTF-8."
        raise DatasetError(msg) from error
    if not len(found.columns):
        msg = f"{path} is empty; it needs a header such as role,text,created_at and a line for each message."
        raise DatasetError(msg)
    for where, why in left_out:
        problems.leave_out(where, why)
    return found


def _json_lines(text: TextIO, problems: Problems) -> "pd.DataFrame":
    import pandas as pd

    numbers, found = [], []
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            row = parsed(line)
        except ValueError as error:
            problems.leave_out(f"line {number}", f"it is not JSON ({error})")
            continue
        if rows.damaged(line):
            problems.leave_out(f"line {number}", "it is not UTF-8")
        elif not isinstance(row, dict):
            problems.leave_out(
                f"line {number}", f"it must be an object with role, text and created_at, not {row!r:.40}"
            )
        else:
            numbers.append(number)
            found.append(row)
    return pd.DataFrame(found, index=pd.Index(numbers, name="line"), dtype=object)

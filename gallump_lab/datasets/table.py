"""A dataset as the lab takes it, and its plainest source: CSV, JSONL or a frame with a row a message."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gallump_lab.reading import dates
from gallump_lab.reading.text_files import (
    Problems,
    RowsError,
    check_readable,
    counted,
    is_damaged,
    open_text,
    parse_json,
    read_csv,
)

if TYPE_CHECKING:
    import pandas as pd

MESSAGES = ("role", "text", "created_at", "session_id", "symbol", "speaker", "key", "conversation")
QUESTIONS = ("text", "answer", "kind", "asked_at", "session_id", "symbol", "evidence", "conversation")
INSIGHTS = ("kind", "symbol", "text", "sources", "valid_from", "known_from", "key", "superseded_by", "conversation")
TIMES = frozenset({"created_at", "asked_at", "valid_from", "known_from"})

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
_KEYS = frozenset({"evidence", "sources"})
_NOTHING = frozenset({"", "nan", "NaN", "NaT", "None", "null"})


class DatasetError(ValueError):
    """A file, folder or frame is no dataset that can be read; the message says why and what would do."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Conversations from a source, ready for `Lab.import_dataset`.

    An evidence or source key names the message of that key in the same conversation.
    """

    messages: "pd.DataFrame"
    """role, text, created_at (UTC), session_id, symbol, speaker, key, conversation: a row a message, in order of
    arrival; sessions without an id are cut by silence."""
    questions: "pd.DataFrame"
    """text, answer (None: there is none), kind, asked_at (UTC; nothing later may be used), session_id (the one in which
    it is asked, or None), symbol, evidence (a list of message keys), conversation."""
    insights: "pd.DataFrame"
    """kind, symbol, text, sources (a list of message keys), valid_from, known_from (UTC), key, superseded_by (the key
    of a later insight, or None), conversation (None: the one that its sources stand in)."""
    problems: tuple[str, ...] = ()
    """What was wrong or taken otherwise, in words."""
    left_out: int = 0
    """How many records could not be used."""

    def split(self) -> "list[Dataset]":
        """Return a dataset for each conversation, in order, with its questions and the insights that rest on it."""
        import numpy as np

        def where(rows: "pd.DataFrame", wanted: Iterable[bool]) -> "pd.DataFrame":
            return rows[np.array(list(wanted), bool)]  # an empty list would choose no columns instead of no rows

        names = list(dict.fromkeys(self.messages["conversation"]))
        if len(names) < 2:
            return [self]
        found = []
        for name in names:
            messages = where(self.messages, (own == name for own in self.messages["conversation"]))
            questions = where(self.questions, (own == name for own in self.questions["conversation"]))
            keys = set(messages["key"])
            rests = zip(self.insights["sources"], self.insights["conversation"], strict=True)
            insights = where(self.insights, (own == name if own else not keys.isdisjoint(each) for each, own in rests))
            found.append(replace(self, messages=messages, questions=questions, insights=insights))
        return found

    def __repr__(self) -> str:
        """Count what there is, then tell the problems."""
        said = self.messages
        head = (
            f"Dataset: {counted(len(said), 'messages')} in "
            f"{counted(said['conversation'].nunique(dropna=False), 'conversations')}, "
            f"{counted(len(self.questions), 'questions')}, {counted(len(self.insights), 'insights')}; "
            f"{counted(self.left_out, 'records')} left out"
        )
        return "\n".join([head, *self.problems])


def dataset(
    problems: Problems,
    messages: Iterable[Mapping[str, Any]] = (),
    questions: Iterable[Mapping[str, Any]] = (),
    insights: Iterable[Mapping[str, Any]] = (),
) -> Dataset:
    """Build a dataset of rows that were checked before."""
    return Dataset(
        messages=frame(messages, MESSAGES),
        questions=frame(questions, QUESTIONS),
        insights=frame(insights, INSIGHTS),
        problems=problems.describe(),
        left_out=problems.left_out,
    )


def frame(
    rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...], index: "pd.Index | None" = None
) -> "pd.DataFrame":
    """Return rows as a frame of these columns: times are UTC, all else is objects, None where there is nothing."""
    import pandas as pd

    rows = list(rows)
    kinds = {name: "datetime64[us, UTC]" if name in TIMES else object for name in columns}
    series = {name: pd.Series([row.get(name) for row in rows], dtype=kind, index=index) for name, kind in kinds.items()}
    return pd.DataFrame(series)


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
    parts = {"messages": path}
    if path.is_dir():
        names = ("messages", "questions", "insights")
        parts = {name: part for name in names for part in sorted(path.glob(f"{name}.*"))}
    if "messages" not in parts:
        msg = f"{path} holds no messages.csv or messages.jsonl."
        raise DatasetError(msg)
    listed = {name: _records(part, problems) for name, part in parts.items()}
    return Dataset(
        messages=messages(listed["messages"], problems),
        questions=questions(listed["questions"], problems) if "questions" in listed else frame((), QUESTIONS),
        insights=insights(listed["insights"], problems) if "insights" in listed else frame((), INSIGHTS),
        problems=problems.describe(),
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
    return _checked(given, MESSAGES, ("role", "text", "created_at"), problems)


def questions(given: "pd.DataFrame", problems: Problems) -> "pd.DataFrame":
    """Return a frame of questions as a dataset has them; rows that cannot be used are left out and told.

    Evidence is a list of message keys, or a text of them between white space, commas or semicolons.

    Raises
    ------
    DatasetError
        If text or asked_at is missing.
    """
    return _checked(given, QUESTIONS, ("text", "asked_at"), problems, kind="question")


def insights(given: "pd.DataFrame", problems: Problems) -> "pd.DataFrame":
    """Return a frame of insights as a dataset has them; rows that cannot be used are left out and told.

    So are those that supersede each other in a circle.

    Raises
    ------
    DatasetError
        If text or known_from is missing.
    """
    learnt = _checked(given, INSIGHTS, ("text", "known_from"), problems, kind="fact")
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
    given: "pd.DataFrame", columns: tuple[str, ...], needed: tuple[str, ...], problems: Problems, kind: str = ""
) -> "pd.DataFrame":
    """Return the rows that can be used; `kind` is what one is of that does not say it."""
    import pandas as pd

    if not isinstance(given, pd.DataFrame):
        msg = f"A pandas DataFrame is needed, a row a record, not {type(given).__name__}."
        raise DatasetError(msg)
    values, own = _columns(given, columns, needed)
    label = given.index.name or "row"
    kept, index, naive = [], [], 0
    for where, *cells in zip(given.index, *values.values(), strict=True):
        row = dict(zip(columns, cells, strict=True))
        for name, cell in row.items():
            try:
                row[name] = _value(name, cell, needed=name in needed)
            except ValueError as error:
                problems.leave_out(f"{label} {where}", f"{own[name]} {error}")
                break
        else:
            naive += sum(
                getattr(dates.parse(cell), "tzinfo", None) is None
                for name, cell in zip(columns, cells, strict=True)
                if name in TIMES and row[name] is not None
            )
            kept.append(row | {"kind": row["kind"] or kind} if kind else row)
            index.append(where)
    if naive:
        problems.note(f"{naive:,} times have no time zone; they were taken as UTC.")
    found = frame(kept, columns, pd.Index(index, name=given.index.name))
    found.attrs["names"] = own
    return found


def _columns(
    given: "pd.DataFrame", columns: tuple[str, ...], needed: tuple[str, ...]
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Return each column's cells, None where there is nothing, and the user's name for it, by that of a dataset."""
    earlier = given.attrs.get("names", {})  # of a file whose rows were checked before
    own = {name: earlier.get(name, name) for name in columns}
    there = {re.sub(r"[\s-]+", "_", str(name).strip().casefold()): name for name in reversed(given.columns)}
    found: dict[str, list[Any]] = {}
    for name in columns:
        names = (name, *_SYNONYMS.get(name, ()))
        known = next((each for each in names if each in there), None)
        if known is not None:
            column = given.iloc[:, list(given.columns).index(there[known])]
            own[name] = earlier.get(name, str(there.pop(known)))
            found[name] = [None if no else cell for cell, no in zip(column.astype(object), column.isna(), strict=True)]
        elif name in needed:
            others = f" (or {', '.join(names[1:])})" if names[1:] else ""
            has = ", ".join(map(str, given.columns)) or "no columns"
            msg = f"A column {name}{others} is missing; there is: {has}."
            raise DatasetError(msg)
        else:
            found[name] = [None] * len(given)
    return found, own


def _value(name: str, cell: Any, *, needed: bool) -> Any:
    """Return a cell as its column has it.

    Raises
    ------
    ValueError
        If it can't be; the message goes on from the column's name.
    """
    if name in TIMES:
        return dates.instant(cell) if needed or _word(cell) else None
    if name in _KEYS:
        return _keys(cell)
    if name == "role":
        role = (_word(cell) or "").casefold()
        if role not in ("user", "assistant"):
            msg = f"must be 'user' or 'assistant', not {cell!r:.60}"
            raise ValueError(msg)
        return role
    if name == "text":
        if not isinstance(cell, str) or not cell.strip():
            msg = f"must be words, not {cell!r:.60}"
            raise ValueError(msg)
        return cell
    return _word(cell)


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
    check_readable(path, DatasetError)
    try:
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            with open_text(path) as text:
                return _json_lines(text, problems)
        found, left_out = read_csv(path)
    except RowsError as error:
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
            row = parse_json(line)
        except ValueError as error:
            problems.leave_out(f"line {number}", f"it is not JSON ({error})")
            continue
        if is_damaged(line):
            problems.leave_out(f"line {number}", "it is not UTF-8")
        elif not isinstance(row, dict):
            why = f"it must be an object with role, text and created_at, not {row!r:.40}"
            problems.leave_out(f"line {number}", why)
        else:
            numbers.append(number)
            found.append(row)
    return pd.DataFrame(found, index=pd.Index(numbers, name="line"), dtype=object)

"""A dataset as the lab takes it, and its plainest source: CSV, JSONL or a frame with a row a message."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gallump_lab.lazy import fields_told, pd
from gallump_lab.reading import dates
from gallump_lab.reading.columns import places
from gallump_lab.reading.shown import visible
from gallump_lab.reading.text_files import Problems, check_readable, counted, open_text, read_csv

MESSAGES = ("role", "text", "created_at", "session_id", "symbol", "speaker", "key", "conversation")
QUESTIONS = ("text", "answer", "kind", "asked_at", "session_id", "symbol", "evidence", "stale", "conversation")
INSIGHTS = ("kind", "symbol", "text", "sources", "valid_from", "known_from", "key", "superseded_by", "conversation")
TIMES = frozenset({"created_at", "asked_at", "valid_from", "known_from"})

_TIME = ("time", "timestamp", "datetime", "date", "at", "when")
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "role": ("sender",),
    "text": ("content", "message", "body", "question"),
    "created_at": _TIME,
    "session_id": ("session", "thread_id", "thread", "chat_id"),
    "symbol": ("ticker",),
    "speaker": ("name", "author", "analyst"),
    "key": ("message_id", "id"),
    "conversation": ("conversation_id",),
    "answer": ("reference",),
    "kind": ("category", "type"),
    "asked_at": ("created_at", *_TIME),
    "evidence": ("sources",),
}
"""Other names of a column, which count where the first name is missing."""
_ROLES = dict.fromkeys(("human", "me"), "user") | dict.fromkeys(("ai", "chatgpt", "claude", "model"), "assistant")
"""Other names of a role."""
_NOTHING = frozenset({"", "nan", "NaN", "NaT", "None", "null"})


class DatasetError(ValueError):
    """A file, folder or frame is no dataset that can be read; the message says why and what would do."""


@fields_told
@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Conversations from a source, ready for `Lab.import_dataset`.

    An evidence, stale or source key names the message of that key in the same conversation.
    """

    messages: "pd.DataFrame"
    """role, text, created_at (UTC), session_id, symbol, speaker, key, conversation: a row a message, in order of
    arrival; sessions without an id are cut by silence."""
    questions: "pd.DataFrame"
    """text, answer (None: there is none), kind, asked_at (UTC; nothing later may be used), session_id (the one in which
    it is asked, or None), symbol, evidence and stale (lists of message keys: what the answer rests on, and what states
    an outdated, planned or reported value that must not be taken for it), conversation."""
    insights: "pd.DataFrame"
    """kind, symbol, text, sources (a list of message keys), valid_from, known_from (UTC), key, superseded_by (the key
    of a later insight, or None), conversation (None: the one that its sources stand in)."""
    problems: tuple[str, ...] = ()
    """What was wrong or taken otherwise, in words."""
    left_out: int = 0
    """How many records could not be used."""

    def split(self) -> "list[Dataset]":
        """Return a dataset for each conversation, in order, with its questions and the insights that rest on it."""
        found = []
        for name, said in self.messages.groupby("conversation", sort=False, dropna=False):
            keys = set(said["key"])
            rests = [
                own == name if own else not keys.isdisjoint(sources)
                for own, sources in zip(self.insights["conversation"], self.insights["sources"], strict=True)
            ]
            asked = self.questions[self.questions["conversation"] == name]
            found.append(replace(self, messages=said, questions=asked, insights=self.insights.loc[rests]))
        return found if len(found) > 1 else [self]

    def __repr__(self) -> str:
        """Count what there is, then tell the problems."""
        conversations = self.messages["conversation"].nunique(dropna=False)
        head = (
            f"Dataset: {counted(len(self.messages), 'messages')} in {counted(conversations, 'conversations')}, "
            f"{counted(len(self.questions), 'questions')}, {counted(len(self.insights), 'insights')}; "
            f"{counted(self.left_out, 'records')} left out"
        )
        return visible("\n".join([head, *self.problems]))


def dataset(
    problems: Problems, messages: Iterable[Mapping[str, Any]], questions: Iterable[Mapping[str, Any]] = ()
) -> Dataset:
    """Build a dataset of rows that were checked before."""
    return Dataset(
        messages=frame(messages, MESSAGES),
        questions=frame(({"stale": []} | dict(row) for row in questions), QUESTIONS),
        insights=frame((), INSIGHTS),
        problems=problems.describe(),
        left_out=problems.left_out,
    )


def frame(
    rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...], index: "pd.Index | None" = None
) -> "pd.DataFrame":
    """Return rows as a frame of these columns: times are UTC, all else is objects, None where there is nothing."""
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
    checks = {"messages": messages, "questions": questions, "insights": insights}
    parts = {"messages": path}
    if path.is_dir():
        parts = {name: part for name in checks for part in sorted(path.glob(f"{name}.*"))}
    if "messages" not in parts:
        msg = f"{path} holds no messages.csv or messages.jsonl."
        raise DatasetError(msg)
    found = {"questions": frame((), QUESTIONS), "insights": frame((), INSIGHTS)}
    found |= {name: checks[name](_records(part, problems), problems) for name, part in parts.items()}
    return Dataset(**found, problems=problems.describe(), left_out=problems.left_out)


def messages(given: "pd.DataFrame", problems: Problems) -> "pd.DataFrame":
    """Return a frame of messages as a dataset has them; rows that cannot be used are left out and told.

    Columns may have other names (time, content, session, ...). Times are aware, or naive and then taken as UTC, which
    is told; or text in ISO 8601, or with the year last if together they tell whether the day or the month is first; or
    seconds or milliseconds since 1970.

    Raises
    ------
    DatasetError
        If role, text or created_at is missing.
    """
    return _checked(given, MESSAGES, ("role", "text", "created_at"), problems)


def questions(given: "pd.DataFrame", problems: Problems) -> "pd.DataFrame":
    """Return a frame of questions as a dataset has them; rows that cannot be used are left out and told.

    Evidence and stale are lists of message keys, or texts of them between white space, commas or semicolons.

    Raises
    ------
    DatasetError
        If text or asked_at is missing.
    """
    return _checked(given, QUESTIONS, ("text", "asked_at"), problems, kind="question")


def insights(given: "pd.DataFrame", problems: Problems) -> "pd.DataFrame":
    """Return a frame of insights as a dataset has them; rows that cannot be used are left out and told.

    Raises
    ------
    DatasetError
        If text or known_from is missing.
    """
    return _checked(given, INSIGHTS, ("text", "known_from"), problems, kind="fact")


def _checked(
    given: "pd.DataFrame", columns: tuple[str, ...], needed: tuple[str, ...], problems: Problems, kind: str = ""
) -> "pd.DataFrame":
    """Return the rows that can be used; `kind` is what one is of that does not say it."""
    if not isinstance(given, pd.DataFrame):
        msg = f"A pandas DataFrame is needed, a row for each, not {type(given).__name__}."
        raise DatasetError(msg)
    found = _columns(given, columns, needed)
    own = {name: column.name for name, column in found.items()}
    for name in TIMES.intersection(columns):
        told = dates.iso_days(cell for cell in found[name] if isinstance(cell, str))
        cells = [told.get(cell, cell) if isinstance(cell, str) else cell for cell in found[name]]
        found[name] = pd.Series(cells, dtype=object, index=given.index)
        for text, iso in [*told.items()][:1]:
            problems.note(f"{own[name]} {text}", f"read as {iso}, and the others alike")
    kept, index = [], []
    for where, *cells in zip(given.index, *found.values(), strict=True):
        row = dict(zip(columns, cells, strict=True))
        for name, cell in row.items():
            try:
                row[name] = _value(name, cell, needed=name in needed)
            except ValueError as error:
                problems.leave_out(f"{given.index.name or 'row'} {where}", f"{own[name]} {error}")
                break
        else:
            for name, cell in zip(columns, cells, strict=True):
                if name in TIMES and row[name] and getattr(dates.parse(cell), "tzinfo", None) is None:
                    problems.note("times without a time zone, taken as UTC")
            kept.append(row | {"kind": row["kind"] or kind} if kind else row)
            index.append(where)
    return frame(kept, columns, pd.Index(index, name=given.index.name))


def _columns(given: "pd.DataFrame", columns: tuple[str, ...], needed: tuple[str, ...]) -> "dict[str, pd.Series[Any]]":
    """Return each column under its name here, itself named as it is given; None where there is nothing."""
    there = places(given.columns, {name: _SYNONYMS.get(name, ()) for name in columns})
    found: dict[str, pd.Series[Any]] = {}
    for name in columns:
        if name in there:
            column = given.iloc[:, there[name]]
            found[name] = column.astype(object).where(column.notna(), None)
        elif name not in needed:
            found[name] = pd.Series([None] * len(given), dtype=object, name=name)
        else:
            others = f" (or {', '.join(_SYNONYMS[name])})" if name in _SYNONYMS else ""
            has = ", ".join(map(str, given.columns)) or "no columns"
            mend = f"Give one of yours that name, in the file's header or by frame.rename(columns={{...: {name!r}}})."
            msg = f"A column {name}{others} is missing; there is: {has}. {mend}"
            raise DatasetError(msg)
    return found


def _value(name: str, cell: Any, *, needed: bool) -> Any:
    """Return a cell as its column has it.

    Raises
    ------
    ValueError
        If it can't be; the message goes on from the column's name.
    """
    if name in TIMES:
        return dates.instant(cell) if needed or _word(cell) else None
    if name in {"evidence", "stale", "sources"}:
        cells = re.split(r"[\s,;]+", cell or "") if cell is None or isinstance(cell, str) else cell
        cells = cells if hasattr(cells, "__iter__") else [cells]
        return list(dict.fromkeys(filter(None, map(_word, cells))))
    if name == "role":
        role = (_word(cell) or "").casefold()
        role = _ROLES.get(role, role)
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


def _records(path: Path, problems: Problems) -> "pd.DataFrame":
    """Return a file's records, each under the number of its line."""
    check_readable(path, DatasetError)
    try:
        found = (
            _json_lines(path, problems) if path.suffix.lower() in (".jsonl", ".ndjson") else read_csv(path, problems)
        )
    except ValueError as error:
        msg = f"{path} {error}"
        raise DatasetError(msg) from error
    if not len(found.columns):
        msg = f"{path} is empty; it needs role, text and created_at of each message."
        raise DatasetError(msg)
    return found


def _json_lines(path: Path, problems: Problems) -> "pd.DataFrame":
    numbers, found = [], []
    try:
        with open_text(path) as text:
            for number, line in enumerate(text, 1):
                try:
                    row = json.loads(line) if line.strip() else None
                except ValueError:
                    row = line.strip()
                if isinstance(row, dict):
                    numbers.append(number)
                    found.append(row)
                elif line.strip():
                    why = f"it must be a JSON object with role, text and created_at, not {row!r:.40}"
                    problems.leave_out(f"line {number}", why)
    except UnicodeDecodeError as error:
        msg = f"cannot be read as JSON: {error}. Save it as UTF-8."
        raise ValueError(msg) from error
    return pd.DataFrame(found, index=pd.Index(numbers, name="line"), dtype=object)

"""Bulk import: messages, questions and insights from elsewhere, in batches, each once however often it is done."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any

from gallump_lab.datasets import table
from gallump_lab.datasets.table import Dataset, DatasetError
from gallump_lab.lazy import fields_told, np
from gallump_lab.masking import masked
from gallump_lab.memory import labels, ledger
from gallump_lab.memory.messages import (
    Draft,
    checked_name,
    checked_text,
    draft,
    prepare,
    registered,
    run,
    sort,
    write,
)
from gallump_lab.memory.records import Learnt
from gallump_lab.memory.text import storable
from gallump_lab.reading.shown import visible
from gallump_lab.reading.symbols import validate_symbol
from gallump_lab.reading.text_files import Problems, counted
from gallump_lab.store import Store, times
from gallump_lab.store.store import COMPRESS

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

MESSAGES = 5_000
CHARACTERS = 2_000_000
"""A batch holds at most so many messages of so many characters together, so that its step on the lab is short."""
INSIGHTS = 100
"""So many insights are stored in one step."""

_MASKED = "held what looked like a key or a password; it was masked. If it is real, revoke it"
_Row = tuple[str, dict[str, Any]]
"""Where a record stands, in words, and its values."""
_SESSIONS = """
insert into sessions (session_id, created_at, last_at, messages)
select session_id, $now::timestamp, $now::timestamp, 0
from (select unnest($sessions::varchar[]) as session_id) anti join sessions using (session_id)
"""


@fields_told
@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import brought."""

    messages: int = 0
    """Messages that are new in the lab."""
    sessions: int = 0
    """Sessions that they belong to."""
    questions: int = 0
    """Questions that are new in the lab."""
    insights: int = 0
    """Insights that are new in the lab."""
    already: int = 0
    """Records that had been imported before (forgotten messages too: they stay forgotten)."""
    left_out: int = 0
    """Records that could not be used."""
    problems: tuple[str, ...] = ()
    """Why not, and what was taken otherwise, in words."""

    def __post_init__(self) -> None:
        """Mask what the problems quote."""
        object.__setattr__(self, "problems", tuple(map(masked, self.problems)))

    def __repr__(self) -> str:
        """Count what came, then tell the problems."""
        came = (
            [f"{counted(self.messages, 'messages')} in {counted(self.sessions, 'sessions')}"] if self.messages else []
        )
        came += [counted(self.questions, "questions")] if self.questions else []
        came += [counted(self.insights, "insights")] if self.insights else []
        head = f"Imported {', '.join(came) or 'nothing new'}; {self.already:,} were there, {self.left_out:,} left out"
        return visible("\n".join([head, *self.problems]))

    def __add__(self, other: "Imported") -> "Imported":
        """Add the counts, and put the problems one after the other."""
        return Imported(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})


@dataclass(slots=True, kw_only=True)
class _Waiting:
    """A message that has been checked."""

    draft: Draft
    conversation: str
    session_id: str | None
    hash: int
    """What tells it from all others; the same each time it is imported."""
    source: int | None
    """What its conversation and key come to, by which questions and insights name it."""


def dataset(store: Store, given: Dataset, *, clock: Callable[[], datetime], session_minutes: float) -> Imported:
    """Import a dataset's messages, then its questions and insights with what they rest on.

    Importing the same again adds what is missing and nothing twice.

    Parameters
    ----------
    dataset : Dataset
        Its frames and their columns are told by `help(datasets.Dataset)`.

    Returns
    -------
    Imported
        Counts; records that cannot be used are left out and told in its `problems`.

    Examples
    --------
    >>> lab.import_dataset(datasets.read("conversations.zip"))  # an export of Claude or ChatGPT
    """
    if not isinstance(given, Dataset):
        other = f"not {type(given).__name__}; a frame of messages goes to lab.import_messages"
        msg = f"A Dataset is needed, as in lab.import_dataset(datasets.read('talk.csv')), {other}."
        raise DatasetError(msg)
    said = messages(store, given.messages, clock=clock, session_minutes=session_minutes)
    asked = questions(store, given.questions, clock=clock)
    of = dict(zip(given.messages["key"], given.messages["conversation"], strict=True))
    learnt = insights(store, given.insights, clock=clock, conversations=of)
    return Imported(left_out=given.left_out, problems=given.problems) + said + asked + learnt


def messages(store: Store, given: "pd.DataFrame", *, clock: Callable[[], datetime], session_minutes: float) -> Imported:
    """Import messages in the order of their rows, batch by batch.

    A batch is in the lab whole or not at all. After an interrupt or an error the batches so far stay, and importing the
    same again goes on where it stopped: a message that was imported before (the same conversation, session, key, role,
    speaker, time and text; equal ones are counted) is not imported again, even if it was forgotten since.

    A row's symbol is what its message is about if that names none. Rows without a session are put into sessions by
    their time: within a conversation, a silence of more than `session_minutes` begins another, named after its first
    message.

    Raises
    ------
    DatasetError
        If a column that is needed is missing.
    """
    from gallump_lab.progress import progress

    problems = Problems()
    waiting = _checked(table.messages(given, problems), times.naive(clock(), "clock()"), problems)
    _name_sessions(waiting, timedelta(minutes=session_minutes))
    with store.read() as con:
        fresh = _unknown(con, waiting)
    added: list[_Waiting] = []
    with progress(total=len(fresh), desc="Importing", unit=" messages", unit_scale=True, delay=1) as bar:
        for batch in _batches(fresh):
            added += _stored(store, batch)
            bar.update(len(batch))
    sort(store)
    sessions = len({each.session_id for each in added})
    return _imported(problems, messages=len(added), sessions=sessions, already=len(waiting) - len(added))


def _checked(said: "pd.DataFrame", now: datetime, problems: Problems) -> list[_Waiting]:
    """Return the messages that can be stored, in order of arrival; tell of the others."""
    waiting: list[_Waiting] = []
    seen: Counter[int] = Counter()
    named = cache(checked_name)
    for where, row in _rows(said):
        conversation, session, key = row.pop("conversation"), row.pop("session_id"), row.pop("key")
        try:
            each = draft(**row, now=now, named=named)
            session_id = None if session is None else named(session, "session_id")
        except ValueError as error:
            problems.leave_out(where, str(error))
            continue
        whole = storable(row["text"])  # whichever keys were known when it was imported before
        if each.text != whole:
            problems.note(f"messages {_MASKED}")
        same = _hash(conversation, session, key, each.role, row["speaker"], each.created_at.isoformat(), whole)
        waiting.append(
            _Waiting(
                draft=each,
                conversation=conversation or "",
                session_id=session_id,
                hash=_hash(same, seen[same]) if seen[same] else same,
                source=None if key is None else _hash(conversation, key),
            )
        )
        seen[same] += 1
    return waiting


def _imported(problems: Problems, **counts: int) -> Imported:
    return Imported(left_out=problems.left_out, problems=problems.describe(), **counts)


def _name_sessions(waiting: Iterable[_Waiting], silence: timedelta) -> None:
    """Name the session of every message; in each conversation those without one are cut by silence."""
    loose = [each for each in waiting if each.session_id is None]
    loose.sort(key=lambda each: (each.conversation, each.draft.created_at))
    before = None
    for each in loose:
        apart = before is None or before.conversation != each.conversation
        if before is None or apart or each.draft.created_at - before.draft.created_at > silence:
            each.session_id = f"{each.hash % 2**64:016x}"
        else:
            each.session_id = before.session_id
        before = each


def _hash(*parts: Any) -> int:
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def _unknown(con: "DuckDBPyConnection", waiting: list[_Waiting]) -> list[_Waiting]:
    """Return those messages that have not been imported before."""
    hashes = {"hash": np.array([each.hash for each in waiting], np.int64)}
    known = set(run(con, "select hash from imported semi join given using (hash)", hashes))
    return [each for each in waiting if (each.hash,) not in known]


def _batches(waiting: list[_Waiting]) -> Iterator[list[_Waiting]]:
    filled = accumulate(max(CHARACTERS // MESSAGES, len(each.draft.text)) for each in waiting)
    for _, batch in groupby(zip(filled, waiting, strict=True), lambda pair: (pair[0] - 1) // CHARACTERS):
        yield [each for _, each in batch]


def _stored(store: Store, batch: list[_Waiting]) -> list[_Waiting]:
    """Write a batch in one step; return those of it that nobody else has imported meanwhile."""
    while batch:
        prepared = prepare([each.draft for each in batch])
        sessions = [each.session_id or "" for each in batch]
        with store.write() as con:
            if store.exclusive:  # a server's settings are locked
                con.execute(COMPRESS)
            fresh = _unknown(con, batch)
            if len(fresh) == len(batch):
                con.execute(_SESSIONS, {"now": batch[0].draft.arrived_at, "sessions": [*dict.fromkeys(sessions)]})
                given = {
                    "hash": np.array([each.hash for each in batch], np.int64),
                    "source": np.array([each.source or 0 for each in batch], np.int64),
                    "message_id": np.array(write(con, sessions, prepared)),
                }
                run(con, "insert into imported select hash, nullif(source, 0), message_id from given", given)
                return batch
        batch = fresh
    return batch


def questions(store: Store, frame: "pd.DataFrame", *, clock: Callable[[], datetime]) -> Imported:
    """Import questions, each once; their evidence becomes labels of grade 3, what is stale outdated ones of grade 0.

    Both are the keys of imported messages of the same conversation, or of no conversation. Where a key was imported
    more than once, the newest message holds.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a question: text and asked_at (UTC), and perhaps answer, kind, session_id (in which it is asked), symbol,
        conversation, evidence and stale (lists of message keys). What cannot be used is told in what comes back, in
        its `problems`.

    Raises
    ------
    DatasetError
        If a column that is needed is missing.

    Examples
    --------
    >>> asked = {"text": ["Where is my stop on AAPL?"], "asked_at": ["2026-03-09"], "evidence": [["m-17"]]}
    >>> imported = lab.import_questions(pd.DataFrame(asked))
    """
    problems = Problems()
    asked = table.questions(frame, problems)
    rows = list(_rows(asked))
    found: list[labels.Question] = []
    evidence, stale = (_sources(store, rows, column, problems) for column in ("evidence", "stale"))
    for (where, row), rests_on, wrong in zip(rows, evidence, stale, strict=True):
        looked_secret = _mask(row)
        try:
            row["text"] = checked_text(row["text"])
            row["symbol"] = None if row["symbol"] is None else validate_symbol(row["symbol"])
        except ValueError as error:
            problems.leave_out(where, str(error))
            continue
        if looked_secret:
            problems.note(f"questions {_MASKED}")
        checked = {"asked_at": times.naive(row["asked_at"]), "evidence": rests_on, "stale": wrong}
        found.append(labels.Question(**row | checked))
    added = sum(new for _, new in labels.add(store, found, clock(), origin="reader", labeller="import"))
    return _imported(problems, questions=added, already=len(found) - added)


def insights(
    store: Store,
    given: "pd.DataFrame",
    *,
    clock: Callable[[], datetime],
    conversations: Mapping[str, str | None] | None = None,
) -> Imported:
    """Import insights in the order of their rows, each once, some in a step; then which took the place of which.

    `conversations` says in which one a source's key stands, where it is in any and the insight does not name its own.

    Raises
    ------
    DatasetError
        If a column that is needed is missing.
    """
    problems = Problems()
    rows = list(_rows(table.insights(given, problems)))
    sources = _sources(store, rows, "sources", problems, conversations or {})
    now = times.naive(clock(), "clock()")
    done: dict[str | None, int] = {}
    added = already = 0
    for begin in range(0, len(rows), INSIGHTS):
        part = slice(begin, begin + INSIGHTS)
        with store.write() as con:
            for (where, row), ids in zip(rows[part], sources[part], strict=True):
                looked_secret = _mask(row)
                try:
                    insight_id, new = _once(con, row, ids, now)
                except ValueError as error:  # nothing of it has been written
                    problems.leave_out(where, str(error))
                    continue
                added, already = added + new, already + (not new)
                if looked_secret:
                    problems.note(f"insights {_MASKED}")
                done[row["key"]] = insight_id
    with store.write() as con:
        for where, row in rows:
            old, newer = (done.get(row[name]) if row[name] else None for name in ("key", "superseded_by"))
            if old is not None and newer is not None:
                try:
                    ledger.supersede(con, old, newer, now)
                except ValueError:  # by what the lab knows already, or in a circle
                    problems.note(where, "what supersedes it gave way to it itself, so both stay as they are")
    return _imported(problems, insights=added, already=already)


def _once(con: "DuckDBPyConnection", row: dict[str, Any], ids: tuple[int, ...], now: datetime) -> tuple[int, bool]:
    """Store an insight unless an equal one is there; return its id and whether it is new."""
    given = Learnt(text=row["text"], kind=row["kind"], symbol=row["symbol"], sources=ids, valid_from=row["valid_from"])
    made = ledger.checked(con, given, row["known_from"], now)
    found = con.execute(
        "select insight_id from insights where text = ? and kind = ? and list_contains(?, coalesce(symbol, '')) "
        "and known_from = ? and valid_from = ?",
        [made.text, made.kind, [made.symbol or ""], made.known_from, made.valid_from],
    ).fetchone()
    return (int(found[0]), False) if found else (ledger.write(con, made, now, "import"), True)


def _rows(found: "pd.DataFrame") -> Iterator[_Row]:
    """Yield the records of a checked frame, each with where it stands in the user's own; None is nothing."""
    label, names = found.index.name or "row", [*map(str, found.columns)]
    times = found.select_dtypes("datetimetz")  # pandas' own times are slow to work with, one by one
    found = found.assign(**{str(name): times[name].dt.to_pydatetime().to_numpy(object) for name in times})
    for where, *cells in found.astype(object).where(found.notna(), None).itertuples(name=None):
        yield f"{label} {where}", dict(zip(names, cells, strict=True))


def _mask(row: dict[str, Any]) -> bool:
    """Mask what looks like a secret in a record's words; return whether anything did."""
    words = {name: storable(value) for name, value in row.items() if isinstance(value, str)}
    safe = {name: masked(value) for name, value in words.items()}
    row.update(safe)
    return safe != words


def _sources(
    store: Store, rows: Iterable[_Row], column: str, problems: Problems, conversations: Mapping[str, str | None] = {}
) -> list[tuple[int, ...]]:
    """Return the imported messages that each row's keys name, in its conversation or in none; the newest of a name."""
    named = [[(row["conversation"] or conversations.get(key), key) for key in row[column]] for _, row in rows]
    hashes = {name: (_hash(*name), _hash(None, name[1])) for names in named for name in names}
    with store.read() as con, registered(con, {"source": np.array([*hashes.values()], np.int64).ravel()}):
        newest = dict(
            con.execute(
                "select source, max(message_id) from imported semi join messages using (message_id) "
                "where source in (select source from given) group by source"
            ).fetchall()
        )
    ids = {name: newest.get(here, newest.get(anywhere)) for name, (here, anywhere) in hashes.items()}
    found = []
    for (where, _), names in zip(rows, named, strict=True):
        if strangers := [key for conversation, key in names if ids[conversation, key] is None]:
            why = f"{column} must name imported messages of this lab, not {', '.join(strangers)}; passed over"
            problems.note(where, why)
        found.append(tuple(dict.fromkeys(each for name in names if (each := ids[name]) is not None)))
    return found

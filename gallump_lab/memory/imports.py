"""Bulk import: messages, questions and insights from elsewhere, in batches, each once however often it is done."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gallump_lab.datasets import table
from gallump_lab.datasets.table import Dataset
from gallump_lab.memory import index, labels, ledger
from gallump_lab.memory.messages import Draft, checked_name, checked_text, checked_time, prepare, write
from gallump_lab.memory.records import Learnt
from gallump_lab.memory.text import storable
from gallump_lab.reading.symbols import spellings, validate_symbol
from gallump_lab.reading.text_files import Problems
from gallump_lab.secrets import masked
from gallump_lab.store import Store, times

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    Hashes = NDArray[np.int64]

_Name = tuple[str | None, str]
"""A conversation, or None, and a message's key in it."""
MESSAGES = 5_000
CHARACTERS = 2_000_000
"""A batch holds at most so many messages of so many characters together: its step on the lab stays under 2 seconds."""
INSIGHTS = 100
"""So many insights are stored in one step."""


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
        came = [f"{self.messages:,} messages in {self.sessions:,} sessions"] if self.messages else []
        came += [f"{self.questions:,} questions"] if self.questions else []
        came += [f"{self.insights:,} insights"] if self.insights else []
        head = f"Imported {', '.join(came) or 'nothing new'}; {self.already:,} were there, {self.left_out:,} left out"
        return "\n".join([head, *self.problems])

    def __add__(self, other: "Imported") -> "Imported":
        """Add the counts, and put the problems one after the other."""
        names = ("messages", "sessions", "questions", "insights", "already", "left_out", "problems")
        return Imported(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    """Checked messages in order of arrival."""

    drafts: list[Draft]
    sessions: list[str]
    hashes: "Hashes"
    sources: list[int | None]


def dataset(store: Store, given: Dataset, *, clock: Callable[[], datetime], session_minutes: float) -> Imported:
    """Import a dataset's messages, then its questions and insights with what they rest on."""
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

    Rows without a session are put into sessions by their time: within a conversation, a silence of more than
    `session_minutes` begins another, named after its first message.

    Raises
    ------
    DatasetError
        If a column that is needed is missing.
    """
    import numpy as np
    from tqdm import tqdm  # type: ignore[import-untyped]

    problems = Problems()
    now = times.naive(clock(), "clock()")
    waiting = _checked(table.messages(given, problems), now, timedelta(minutes=session_minutes), problems)
    with store.read() as con:
        fresh = np.flatnonzero(~np.isin(waiting.hashes, _known(con, waiting.hashes)))
    added = 0
    sessions: set[str] = set()
    with tqdm(total=len(fresh), desc="Importing", unit=" messages", unit_scale=True, delay=1) as bar:
        for batch in _batches(waiting, fresh):
            stored = _stored(store, waiting, batch)
            added += len(stored)
            sessions.update(waiting.sessions[place] for place in stored)
            bar.update(len(batch))
    left = index.sort(store, index.BULK)
    with tqdm(total=left, desc="Sorting the index", unit=" slices", delay=1) as bar:
        while left:
            before, left = left, index.sort(store, index.BULK)
            bar.update(before - left)
    return Imported(
        messages=added,
        sessions=len(sessions),
        already=len(waiting.drafts) - added,
        left_out=problems.left_out,
        problems=problems.describe(),
    )


def _checked(said: "pd.DataFrame", now: datetime, silence: timedelta, problems: Problems) -> _Waiting:
    import numpy as np

    drafts: list[Draft] = []
    sessions: list[str | None] = []
    conversations: list[str] = []
    hashes: list[int] = []
    sources: list[int | None] = []
    seen: Counter[int] = Counter()
    hidden = 0
    label = said.index.name or "row"
    own = said.attrs["names"]
    naive = said["created_at"].dt.tz_localize(None).dt.to_pydatetime()
    others = (said[name] for name in ("role", "text", "session_id", "symbol", "speaker", "key", "conversation"))
    for where, at, role, text, session, symbol, speaker, key, conversation in zip(
        said.index, naive, *others, strict=True
    ):
        try:
            draft = Draft(
                role=role,
                text=checked_text(text, own["text"]),
                symbol=None if symbol is None else validate_symbol(symbol, own["symbol"]),
                created_at=checked_time(at, now, own["created_at"]),
                arrived_at=now,
                speaker=None if speaker is None else checked_name(speaker, own["speaker"]),
            )
            sessions.append(None if session is None else checked_name(session, own["session_id"]))
        except ValueError as error:
            problems.leave_out(f"{label} {where}", str(error))
            continue
        drafts.append(draft)
        conversations.append(conversation or "")
        whole = storable(text)  # whichever keys were known when it was imported before
        hidden += draft.text != whole
        same = _hash(conversation, session, key, role, speaker, at.isoformat(), whole)
        hashes.append(_hash(same, seen[same]) if seen[same] else same)
        seen[same] += 1
        sources.append(None if key is None else _hash(conversation, key))
    _note_hidden(hidden, "messages", problems)
    named = _named(sessions, conversations, [draft.created_at for draft in drafts], hashes, silence)
    return _Waiting(drafts=drafts, sessions=named, hashes=np.array(hashes, np.int64), sources=sources)


def _note_hidden(number: int, what: str, problems: Problems) -> None:
    if number:
        counted = f"{number:,} {what}" if number > 1 else f"1 {what.removesuffix('s')}"
        problems.note(
            f"In {counted} something looked like a key or a password; it was masked. If it is real, revoke it."
        )


def _named(
    sessions: list[str | None],
    conversations: list[str],
    at: list[datetime],
    hashes: list[int],
    silence: timedelta,
) -> list[str]:
    """Return every message its session; those without one are cut by silence."""
    found = list(sessions)
    loose = [place for place, session in enumerate(sessions) if session is None]
    loose.sort(key=lambda place: (conversations[place], at[place]))
    before = None
    for place in loose:
        if before is None or conversations[before] != conversations[place] or at[place] - at[before] > silence:
            name = f"{hashes[place] % 2**64:016x}"
        found[place] = name
        before = place
    return [session or "" for session in found]


def _hash(*parts: Any) -> int:
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def _known(con: "DuckDBPyConnection", hashes: "Hashes") -> "Hashes":
    import numpy as np

    with index.registered(con, {"hash": hashes}):
        found = con.execute("select hash from imported where hash in (select hash from given)").fetchnumpy()
    return np.asarray(found["hash"], np.int64)


def _batches(waiting: _Waiting, places: "Hashes") -> "Iterator[Hashes]":
    import numpy as np

    characters = np.cumsum([len(waiting.drafts[place].text) for place in places], dtype=np.int64)
    begin = 0
    while begin < len(places):
        full = np.searchsorted(characters, (characters[begin - 1] if begin else 0) + CHARACTERS, side="right")
        end = max(begin + 1, min(int(full), begin + MESSAGES))
        yield places[begin:end]
        begin = end


def _stored(store: Store, waiting: _Waiting, places: "Hashes") -> "Hashes":
    """Write a batch in one step; give those of its places that nobody else has imported meanwhile."""
    import numpy as np

    while len(places):
        batch = prepare([waiting.drafts[place] for place in places])
        hashes = waiting.hashes[places]
        sessions = [waiting.sessions[place] for place in places]
        sources = [waiting.sources[place] for place in places]
        has_source = np.array([source is not None for source in sources])
        given = {"hash": hashes, "source": np.array([source or 0 for source in sources]), "has_source": has_source}
        with store.write() as con:
            known = _known(con, hashes)
            if not len(known):
                with index.registered(con, {"session_id": np.array(sessions, object)}):
                    con.execute(
                        "insert into sessions (session_id, created_at, last_at, messages) select distinct session_id, "
                        "$now::timestamp, $now::timestamp, 0 from given anti join sessions using (session_id)",
                        {"now": waiting.drafts[0].arrived_at},
                    )
                ids = write(con, sessions, batch)
                with index.registered(con, given | {"message_id": np.array(ids)}):
                    con.execute("insert into imported select hash, if(has_source, source, null), message_id from given")
                return places
        places = places[~np.isin(hashes, known)]
    return places


def questions(store: Store, given: "pd.DataFrame", *, clock: Callable[[], datetime]) -> Imported:
    """Import questions, each once; their evidence becomes labels of grade 3.

    Evidence is the keys of imported messages of the same conversation, or of no conversation. Where a key was imported
    more than once, the newest message holds.

    Parameters
    ----------
    store : Store
        The lab file.
    given : pandas.DataFrame
        A row a question: text and asked_at, and perhaps answer, kind, session_id, symbol, conversation, and evidence.
    clock : callable
        Tells the time, UTC.

    Raises
    ------
    DatasetError
        If a column that is needed is missing.
    """
    problems = Problems()
    asked = table.questions(given, problems)
    label, own = asked.index.name or "row", asked.attrs["names"]
    rows = list(zip(asked.index, _rows(asked), strict=True))
    names = [[(row["conversation"], key) for key in row.pop("evidence")] for _, row in rows]
    ids = _resolved(store, names)
    hidden = 0
    found: list[labels.Question] = []
    for (where, row), wanted in zip(rows, names, strict=True):
        here = f"{label} {where}"
        try:
            row["text"] = checked_text(said := row["text"], own["text"])
            row["symbol"] = None if row["symbol"] is None else validate_symbol(row["symbol"], own["symbol"])
        except ValueError as error:
            problems.leave_out(here, str(error))
            continue
        safe = {name: row[name] and masked(row[name]) for name in ("answer", "kind", "session_id", "conversation")}
        hidden += row["text"] != storable(said) or any(row[name] != value for name, value in safe.items())
        row.update(safe)
        row["asked_at"] = times.naive(row["asked_at"])
        found.append(labels.Question(**row, evidence=_messages_of(wanted, ids, here, problems)))
    _note_hidden(hidden, "questions", problems)
    added = sum(new for _, new in labels.add(store, found, clock(), origin="reader", labeller="import"))
    return Imported(
        questions=added, already=len(found) - added, left_out=problems.left_out, problems=problems.describe()
    )


def insights(
    store: Store,
    given: "pd.DataFrame",
    *,
    clock: Callable[[], datetime],
    conversations: Mapping[str, str | None] | None = None,
) -> Imported:
    """Import insights in the order of their rows, each once, some in a step.

    `conversations` says in which one a source's key stands, where it is in any and the insight does not name its own.

    Raises
    ------
    DatasetError
        If a column that is needed is missing.
    """
    problems = Problems()
    learnt = table.insights(given, problems)
    label = learnt.index.name or "row"
    rows = [
        (where, row, [(row["conversation"] or (conversations or {}).get(key), key) for key in row["sources"]])
        for where, row in zip(learnt.index, _rows(learnt), strict=True)
    ]
    sources = _resolved(store, (names for *_, names in rows))
    done, now = dict[str, int](), times.naive(clock(), "clock()")
    added = already = hidden = 0
    replaces: dict[str, list[str]] = {}
    for _, row, _ in rows:
        replaces.setdefault(row["superseded_by"], []).append(row["key"])
    for begin in range(0, len(rows), INSIGHTS):
        with store.write() as con:
            for where, row, wanted in rows[begin : begin + INSIGHTS]:
                here = f"{label} {where}"
                older = [done[old] for old in replaces.get(row["key"], ()) if old in done]
                try:
                    given_so = Learnt(
                        text=masked(row["text"]),
                        kind=row["kind"],
                        symbol=row["symbol"],
                        sources=_messages_of(wanted, sources, here, problems),
                        valid_from=row["valid_from"],
                    )
                    insight_id, new = _once(con, given_so, row["known_from"], now)
                except ValueError as error:  # nothing of it has been written
                    problems.leave_out(here, str(error))
                    continue
                pairs = [(old, insight_id) for old in older]
                if row["superseded_by"] in done:
                    pairs.append((insight_id, done[row["superseded_by"]]))
                for old, newer in pairs:
                    try:
                        ledger.supersede(con, old, newer, now)
                    except ValueError as error:  # by what the lab knows already
                        problems.note(f"{here}: {error} Both stay as they are.")
                added, already = added + new, already + (not new)
                hidden += given_so.text != row["text"]
                if row["key"] is not None:
                    done[row["key"]] = insight_id
    _note_hidden(hidden, "insights", problems)
    return Imported(
        insights=added,
        already=already,
        left_out=problems.left_out,
        problems=problems.describe(),
    )


def _once(con: "DuckDBPyConnection", given: Learnt, known_from: datetime, now: datetime) -> tuple[int, bool]:
    """Store an insight unless an equal one is there; say if it is new."""
    made = ledger.checked(con, given, known_from, now)
    found = con.execute(
        "select insight_id from insights where text = ? and kind = ? and list_contains(?, coalesce(symbol, '')) "
        "and known_from = ? and valid_from = ?",
        [made.text, made.kind, list(spellings(made.symbol or "")), made.known_from, made.valid_from],
    ).fetchone()
    return (int(found[0]), False) if found else (ledger.write(con, made, now, "import"), True)


def _rows(found: "pd.DataFrame") -> list[dict[str, Any]]:
    import pandas as pd

    return [
        {str(name): None if value is pd.NaT else value for name, value in zip(found.columns, row, strict=True)}
        for row in found.itertuples(index=False, name=None)
    ]


def _resolved(store: Store, names: Iterable[Sequence[_Name]]) -> dict[_Name, int]:
    """Find the imported messages of these names, or of the same key in no conversation; the newest of each."""
    import numpy as np

    wanted = {name: (_hash(*name), _hash(None, name[1])) for each in names for name in each}
    hashes = np.array(list(wanted.values()), np.int64).ravel()
    with store.read() as con, index.registered(con, {"source": hashes}):
        found = con.execute(
            "select source, max(message_id) from imported semi join messages using (message_id) "
            "where source in (select source from given) group by source"
        ).fetchall()
    ids = dict(found)
    resolved = {name: ids.get(here, ids.get(anywhere)) for name, (here, anywhere) in wanted.items()}
    return {name: message_id for name, message_id in resolved.items() if message_id is not None}


def _messages_of(names: Sequence[_Name], ids: Mapping[_Name, int], where: str, problems: Problems) -> tuple[int, ...]:
    if strangers := [key for conversation, key in names if (conversation, key) not in ids]:
        problems.note(f"{where}: {', '.join(strangers)} is no imported message of this lab; passed over.")
    return tuple(dict.fromkeys(ids[name] for name in names if name in ids))

"""Messages on their way into a lab: checked, cut into passages and embedded outside of any step, then written.

With a message go its index rows, in one transaction: its passages, their terms (postings) and what they mean (codes).
Codes of other models than the built-in one follow in batches, the oldest passage first: so a model has codes of all
passages up to one of them, and what is missing is the newest.

Postings are read by term, so a bulk import leaves them sorted by term; what is said after it stands unsorted at the end
until the next.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

from gallump_lab import tokens
from gallump_lab.lazy import np, regex
from gallump_lab.masking import masked
from gallump_lab.memory import vectors
from gallump_lab.memory.index import indexed
from gallump_lab.memory.kinds import parted, traits
from gallump_lab.memory.records import Role
from gallump_lab.memory.text import passages, storable
from gallump_lab.reading.names import reader
from gallump_lab.reading.symbols import validate_symbol
from gallump_lab.store import Store, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]
    Columns = dict[str, NDArray[Any]]

MAX_CHARACTERS = 200_000
MAX_NAME = 100
State = Literal["complete", "stopped", "cut", "refused", "failed"]
_ROLES, _STATES = get_args(Role), get_args(State)
AHEAD = timedelta(minutes=1)
"""So far ahead of this clock another machine's may be."""
SLICE = 500_000
"""About so many postings are sorted in one step: 0.3 s, up to 1 s with a very common word among them."""
UNSORTED = 3_000
"""So many passages, or a twentieth of all if that is more, may stand unsorted after an import."""
BATCH = 128
"""So many passages are embedded between two steps on the lab; an interrupt loses no more."""
SOON = 64
"""So many missing ones are embedded before a question; where more are missing, it does not wait for them."""

FEW = 256
"""So many rows at most are bound to a statement instead of registered."""

TITLE = "left(trim(regexp_replace(text, '\\s+', ' ', 'g')), 80)"
"""What a session is called by, of its first question."""
_BLANK = regex(r"[\t\n\f\r ]+")
_INTO_MESSAGES = """
insert into messages select message_id, session_id, role, text, nullif(symbol, ''), created_at, arrived_at, tokens,
state, nullif(speaker, '') from given
"""
_SESSIONS = """
update sessions set created_at = if(messages = 0, first, least(created_at, first)),
last_at = if(messages = 0, last, greatest(last_at, last)), messages = messages + number,
title = coalesce(title, nullif(new_title, '')), symbol = coalesce(symbol, nullif(new_symbol, '')) from given
where given.session_id = sessions.session_id
"""
_CODES = [f"c{i}" for i in range(vectors.CODE)]
_INTO_PASSAGES = (
    "insert into passages select passage_id, message, start, stop, tokens, terms, stated, traits from given"
)
_INTO_POSTINGS = "insert into postings select term, passage, frequency, terms from given"
_INTO_EMBEDDINGS = f"insert into embeddings select model, passage_id, {', '.join(_CODES)} from given"  # noqa: S608
_WANTED = """
 semi join passages using (passage_id)
anti join (from embeddings where model = $model and passage_id between $first and $last) using (passage_id)
returning passage_id
"""
_LACKING = """
passages anti join (from embeddings where model = $model and passage_id > $after) using (passage_id)
where passage_id > $after
"""
_NEXT = f"""
with lacking as (select passage_id, message_id, start, stop from {_LACKING} order by passage_id limit $limit)
select passage_id, text[start + 1 : stop] from lacking join messages using (message_id) order by passage_id
"""  # noqa: S608 (constants)


def checked_text(text: str, name: str = "text") -> str:
    """Return a text as it can be stored: what looks like a key or a password is masked.

    Raises
    ------
    ValueError
        If it is no text, empty or too long; `name` is what the message calls it.
    """
    if not isinstance(text, str) or not text.strip():
        msg = f"{name} must be words to remember, not {masked(repr(text)):.60}."
        raise ValueError(msg)
    if len(text) > MAX_CHARACTERS:
        msg = f"{name} has {len(text):,} characters; a message takes at most {MAX_CHARACTERS:,}. Split it."
        raise ValueError(msg)
    return masked(storable(text))


def checked_name(name: str, what: str) -> str:
    """Return a speaker's name or a session's id as it can be stored.

    Raises
    ------
    ValueError
        If it is not a short text on one line; `what` is what the message calls it.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        msg = f"{what} must be a name of at most {MAX_NAME} characters on one line, not {masked(repr(name)):.60}."
        raise ValueError(msg)
    return masked(name)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A message that is checked but not stored; its times are naive UTC."""

    role: Role
    text: str
    symbol: str | None
    created_at: datetime
    arrived_at: datetime
    state: State = "complete"
    speaker: str | None = None


def draft(  # noqa: PLR0913 (a message's fields)
    role: Role,
    text: str,
    *,
    now: datetime,
    symbol: str | None = None,
    created_at: datetime | None = None,
    state: State = "complete",
    speaker: str | None = None,
    named: Callable[[str, str], str] = checked_name,
) -> Draft:
    """Check a message; what looks like a key or a password in it is masked.

    Parameters
    ----------
    now : datetime
        The clock's time, naive UTC.
    created_at : datetime, optional
        The time it speaks of, with a time zone; `now` by default.
    named : callable
        Checks a name; whoever has many messages checks each name once.

    Raises
    ------
    ValueError
        If a field cannot be used; the message says which and how to mend it.
    """
    for name, value, known in (("role", role, _ROLES), ("state", state, _STATES)):
        if value not in known:
            msg = f"{name} must be {' or '.join(map(repr, known))}, not {value!r}."
            raise ValueError(msg)
    at = now if created_at is None else times.naive(created_at)
    if at > now + AHEAD:
        msg = f"created_at {at} UTC lies in the future (it is {now}). Check its year and time zone."
        raise ValueError(msg)
    return Draft(
        role=role,
        text=checked_text(text),
        symbol=None if symbol is None else validate_symbol(symbol),
        created_at=at,
        arrived_at=now,
        state=state,
        speaker=None if speaker is None else named(speaker, "speaker"),
    )


def reply(text: str, *, now: datetime, symbol: str | None, state: State) -> Draft:
    """Make a draft of a reply, of any length; what looks like a key or a password in it is masked."""
    said = masked(storable(text))
    return Draft(role="assistant", text=said, symbol=symbol, created_at=now, arrived_at=now, state=state)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Messages and their index rows as arrays, ready to be written; what has no id yet is a place."""

    messages: "Columns"
    """Their columns, a value a message; `symbol` is the first that it names, else what was given."""
    passages: "Columns"
    """message (its place among the messages), start, stop, tokens and terms, a value a passage."""
    postings: "Columns"
    """term, passage (its place among the passages), frequency and terms, a value a posting, sorted by term."""
    codes: "vectors.Codes"
    """A row a passage."""


def prepare(drafts: Sequence[Draft], known: Collection[str] = ()) -> Batch:
    """Do all that takes its time before the lab is held: count, cut into passages, find symbols and terms, embed."""
    texts = [each.text for each in drafts]
    words = ("role", "text", "symbol", "speaker", "state")  # "" is nothing: a column must not begin with None alone
    said: Columns = {name: np.array([getattr(each, name) or "" for each in drafts], object) for name in words}
    said |= {
        name: np.array([getattr(each, name) for each in drafts], "M8[us]") for name in ("created_at", "arrived_at")
    }
    found = [(place, *passage) for place, text in enumerate(texts) for passage in passages(text)]
    message, start, stop, cost = np.array(found, np.int64).reshape(-1, 4).T
    said["tokens"] = np.array([tokens.count(text) for text in texts], np.int64)
    roles = [drafts[place].role for place, *_ in found]
    pieces = [texts[place][begin:end] for place, begin, end, _ in found]
    halves = [*map(parted, pieces, roles)]
    given = [drafts[place].symbol for place, *_ in found]
    index, postings, codes, named = indexed(pieces, halves, given, reader(frozenset(known)))
    for place, symbol in zip(message[::-1].tolist(), named[::-1], strict=True):
        said["symbol"][place] = symbol or said["symbol"][place]
    cut: Columns = {"message": message, "start": start, "stop": stop, "tokens": cost} | index
    cut["traits"] = np.array([traits(stated, role) for (stated, _), role in zip(halves, roles, strict=True)], np.int64)
    return Batch(messages=said, passages=cut, postings=postings, codes=codes)


def write(con: "DuckDBPyConnection", session_ids: Sequence[str], batch: Batch) -> list[int]:
    """Write messages and their index rows, and what their sessions' rows say, inside the caller's transaction.

    The sessions are there already. Ids follow the order of the batch.
    """
    said = batch.passages["message"]
    ids, passage_ids = next_ids(con, ("message_ids", len(session_ids)), ("passage_ids", len(said)))
    run(con, _INTO_MESSAGES, batch.messages | {"message_id": ids, "session_id": np.array(session_ids, object)})
    run(con, _SESSIONS, _sessions(session_ids, batch.messages))
    run(con, _INTO_PASSAGES, batch.passages | {"passage_id": passage_ids, "message": ids[said]})
    run(con, _INTO_EMBEDDINGS, _coded(vectors.BUILT_IN.name, passage_ids, batch.codes))
    run(con, _INTO_POSTINGS, batch.postings | {"passage": passage_ids[batch.postings["passage"]]})
    return [int(each) for each in ids]


def _sessions(session_ids: Sequence[str], said: "Columns") -> "Columns":
    """Return what messages say of their sessions, a value a session."""
    found: dict[str, dict[str, Any]] = {}
    for session, role, text, symbol, at in zip(
        session_ids, *(said[name] for name in ("role", "text", "symbol", "created_at")), strict=True
    ):
        new = {"session_id": session, "first": at, "last": at, "number": 0, "new_title": "", "new_symbol": symbol}
        row = found.setdefault(session, new)
        row |= {"first": min(row["first"], at), "last": max(row["last"], at), "number": row["number"] + 1}
        row["new_symbol"] = row["new_symbol"] or symbol
        if role == "user" and not row["new_title"]:
            row["new_title"] = _BLANK.sub(" ", text).strip(" ")[:80]
    kinds = {"first": "M8[us]", "last": "M8[us]", "number": "i8"}
    return {name: np.array([row[name] for row in found.values()], kinds.get(name, object)) for name in new}


def _coded(model: str, passage_ids: "Ids", codes: "vectors.Codes") -> "Columns":
    columns: Columns = {name: codes[:, i].copy() for i, name in enumerate(_CODES)}
    return columns | {"passage_id": passage_ids, "model": np.full(len(codes), model, object)}


def next_ids(con: "DuckDBPyConnection", *wanted: tuple[str, int]) -> "list[Ids]":
    """Take ids, in order, of sequences: of each so many."""
    lists = ", ".join(["(select list(nextval(?)) from range(?))"] * len(wanted))
    found = con.execute(f"select {lists}", [*chain(*wanted)]).fetchall()[0]
    return [np.sort(np.array(ids or [], np.int64)) for ids in found]


def run(con: "DuckDBPyConnection", sql: str, given: "Mapping[str, NDArray[Any]]") -> list[Any]:
    """Return the rows of a statement on arrays, its table `given`; a few go as parameters, in half the time."""
    number = len(next(iter(given.values())))
    if number > FEW:
        with registered(con, given):
            return con.execute(sql).fetchall()
    cells = {name: column.tolist() for name, column in given.items()}
    if number == 1:
        cells = {name: cell for name, (cell,) in cells.items()}
    marks = ", ".join(f"${name} as {name}" if number == 1 else f"unnest(${name}) as {name}" for name in given)
    return con.execute(f"with given as (select {marks}) {sql}", cells).fetchall()


@contextmanager
def registered(con: "DuckDBPyConnection", given: "Mapping[str, NDArray[Any]]") -> Iterator[None]:
    """Let statements of a step read arrays as the table `given`; after an error the step's connection goes anyway."""
    import duckdb

    try:
        con.register("given", dict(given))
        yield
        con.unregister("given")
    except duckdb.Error as error:
        if "KeyboardInterrupt" in str(error).strip().splitlines()[-1]:  # so it comes while DuckDB looks at an array
            raise KeyboardInterrupt from error
        raise


def embed_all(store: Store, embedder: vectors.Embedder) -> int:
    """Embed every passage that a model has no code of yet; see `Lab.embed`."""
    from gallump_lab.progress import progress

    done = after = 0
    with store.read() as con:
        counted = con.execute(f"select count(*) from {_LACKING}", {"model": embedder.name, "after": 0}).fetchone()  # noqa: S608
    with progress(
        total=counted and counted[0], desc=f"Embedding ({embedder.name})", unit=" passages", unit_scale=True, delay=1
    ) as bar:
        while texts := _lacking(store, embedder.name, after, BATCH):
            done += _take_in(store, embedder, texts)
            after = texts[-1][0]
            bar.update(len(texts))
    return done


def embed_newest(store: Store, embedder: vectors.Embedder, after: int) -> None:
    """Embed what has just arrived, after a passage up to which nothing is missing, unless it is much."""
    texts = _lacking(store, embedder.name, after, SOON + 1)
    if 0 < len(texts) <= SOON:
        _take_in(store, embedder, texts)


def _lacking(store: Store, model: str, after: int, most: int) -> list[tuple[int, str]]:
    """Return the oldest passages after one that have no code, each with its text."""
    with store.read() as con:
        found = con.execute(_NEXT, {"model": model, "after": after, "limit": most}).fetchall()
    return [(passage, masked(text)) for passage, text in found]  # a lab may be older than masking


def _take_in(store: Store, embedder: vectors.Embedder, texts: list[tuple[int, str]]) -> int:
    """Embed passages; write those that are still there and that nobody else has embedded meanwhile."""
    ids = np.array([passage for passage, _ in texts], np.int64)
    codes = vectors.encode(vectors.of(embedder, [text for _, text in texts]))
    span = {"model": embedder.name, "first": texts[0][0], "last": texts[-1][0]}
    with store.write() as con, registered(con, _coded(embedder.name, ids, codes)):
        return len(con.execute(_INTO_EMBEDDINGS + _WANTED, span).fetchall())


def sort(store: Store) -> None:
    """Sort the postings by term if much of them stands unsorted, a slice of the terms' range in a step."""
    with store.read() as con:
        newest, ordered, number = con.execute(
            "select (select coalesce(max(passage_id), 0) from passages), sorted_passage, "
            "(select count(*) from postings) from sorting"
        ).fetchone() or (0, 0, 0)
    if newest - ordered <= max(UNSORTED, newest // 20):
        return
    slices = max(1, number // SLICE)
    bounds = [-(2**63) + 2**64 * part // slices for part in range(slices + 1)]
    for low, high in pairwise(bounds):
        span = [low, high - 1]
        with store.write() as con:
            con.execute("create or replace temp table slice as from postings limit 0")
            con.execute("insert into slice from postings where term between ? and ? order by term, passage_id", span)
            con.execute("delete from postings where term between ? and ?", span)
            con.execute("insert into postings from slice")
            con.execute("drop table slice")
    with store.write() as con:
        con.execute("update sorting set sorted_passage = greatest(sorted_passage, ?)", [newest])

"""Recall's own tables: a message's passages, their terms and their codes, written in the message's transaction.

Postings are read by term, so they are kept sorted by term; new ones stand unsorted at the end until a pass of `sort`
takes them in. It goes by slices of the terms' range, each short enough for one step, so the lab is never held for long.

Codes of other models than the built-in one follow the messages, in batches, the oldest passage first. So a model has
codes of all passages up to one of them, and what is missing is the newest.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from gallump_lab.masking import masked
from gallump_lab.memory import vectors
from gallump_lab.memory.text import passages, term_id, terms
from gallump_lab.store import Store

SLICE = 50_000
"""About so many postings are a slice; sorting one holds a lab of a million messages for some 50 ms."""
BULK = 10
"""So many slices are sorted in one step after a bulk import: 0.3 s, up to 1 s with a very common word among them."""
UNSORTED = 3_000
"""So many passages, or a twentieth of all if that is more, may stand unsorted before a pass begins."""
BATCH = 128
"""So many passages are embedded between two steps on the lab; an interrupt loses no more."""
SOON = 64
"""So many missing ones are embedded before a question; where more are missing, it does not wait for them."""

_LACKING = """
passages anti join (from embeddings where model = $model and passage_id > $after) using (passage_id)
where passage_id > $after
"""
_NEXT = f"""
with lacking as (select passage_id, message_id, start, stop from {_LACKING} order by passage_id limit $limit)
select passage_id, text[start + 1 : stop] from lacking join messages using (message_id) order by passage_id
"""  # noqa: S608 (constants)
_WANTED = """
select passage_id from given semi join passages using (passage_id)
anti join (from embeddings where model = $model and passage_id between $first and $last) using (passage_id)
"""

if TYPE_CHECKING:
    import numpy as np
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    from gallump_lab.memory.vectors import Codes

    Ids = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The index rows of some messages as arrays, postings sorted by term; what is not known yet is a place."""

    passages: "dict[str, NDArray[Any]]"
    """message (its place among the messages), start, stop, tokens and terms, a value a passage."""
    postings: "dict[str, NDArray[Any]]"
    """term, passage (its place among the passages), frequency and terms, a value a posting."""
    codes: "Codes"
    """A row a passage."""


def rows(texts: Sequence[str]) -> Rows:
    """Cut the texts of some messages into passages, count their terms and embed them, laid out for `write`.

    All that takes its time happens here, before the step that writes, so that the lab is not held for it.
    """
    import numpy as np

    found = [(place, p) for place, text in enumerate(texts) for p in passages(text)]
    said = [texts[place][p.start : p.stop] for place, p in found]
    counts = [Counter(map(term_id, terms(each))) for each in said]
    held = np.array([len(count) for count in counts], np.int64)
    lengths = np.array([count.total() for count in counts], np.int32)
    terms_held = np.fromiter(chain.from_iterable(counts), np.int64, held.sum())
    passage = np.repeat(np.arange(len(counts)), held)
    frequency = np.fromiter(chain.from_iterable(count.values() for count in counts), np.int64, held.sum())
    order = np.lexsort((passage, terms_held))
    return Rows(
        passages={
            "message": np.array([place for place, _ in found], np.int64),
            "start": np.array([p.start for _, p in found], np.int32),
            "stop": np.array([p.stop for _, p in found], np.int32),
            "tokens": np.array([p.tokens for _, p in found], np.int32),
            "terms": lengths,
        },
        postings={
            "term": terms_held[order],
            "passage": passage[order],
            "frequency": frequency[order],
            "terms": lengths[passage[order]],
        },
        codes=vectors.encode(vectors.BUILT_IN.embed(said)),
    )


def write(con: "DuckDBPyConnection", message_ids: "Ids", found: Rows) -> None:
    """Write the index rows of messages inside the caller's transaction."""
    ids = next_ids(con, "passage_ids", len(found.passages["message"]))
    with registered(con, found.passages | {"passage_id": ids, "message": message_ids[found.passages["message"]]}):
        con.execute("insert into passages select passage_id, message, start, stop, tokens, terms from given")
    embed(con, vectors.BUILT_IN.name, ids, found.codes)
    with registered(con, found.postings | {"passage": ids[found.postings["passage"]]}):
        con.execute("insert into postings select term, passage, frequency, terms from given")


def embed(con: "DuckDBPyConnection", model: str, passage_ids: "Ids", codes: "Codes") -> None:
    """Write what passages mean to a model."""
    columns = [f"c{i}" for i in range(vectors.CODE)]
    given = {name: codes[:, i].copy() for i, name in enumerate(columns)} | {"passage_id": passage_ids}
    with registered(con, given):
        con.execute(f"insert into embeddings select ?, passage_id, {', '.join(columns)} from given", [model])  # noqa: S608


def embed_all(store: Store, embedder: vectors.Embedder) -> int:
    """Embed every passage that a model has no code of yet; see `Lab.embed`."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    done = after = 0
    with store.read() as con:
        counted = con.execute(f"select count(*) from {_LACKING}", {"model": embedder.name, "after": 0}).fetchone()  # noqa: S608
    with tqdm(
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
    import numpy as np

    ids = np.array([passage for passage, _ in texts], np.int64)
    codes = vectors.encode(vectors.of(embedder, [text for _, text in texts]))
    span = {"model": embedder.name, "first": int(ids[0]), "last": int(ids[-1])}
    with store.write() as con:
        with registered(con, {"passage_id": ids}):
            wanted = np.isin(ids, con.execute(_WANTED, span).fetchnumpy()["passage_id"])
        if wanted.any():
            embed(con, embedder.name, ids[wanted], codes[wanted])
    return int(wanted.sum())


def next_ids(con: "DuckDBPyConnection", sequence: str, number: int) -> "Ids":
    """Take so many ids from a sequence, in order."""
    import numpy as np

    found = con.execute("select nextval(?) as id from range(?)", [sequence, number]).fetchnumpy()
    return np.sort(np.asarray(found["id"], np.int64))


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


def sort(store: Store, slices: int = 1) -> int:
    """Sort the next slices of the postings in one step, if a pass is running or due.

    Returns
    -------
    int
        How many slices of the pass are left to do.
    """
    with store.read() as con:
        if not any(_due(con)):
            return 0
    with store.write() as con:
        begin, running = _due(con)
        if begin:
            con.execute(
                "update sorting set target_passage = (select max(passage_id) from passages), done = 0, "
                "slices = greatest(1, (select count(*) from postings) // ?)",
                [SLICE],
            )
        elif not running:
            return 0
        total, done = con.execute("select slices, done from sorting").fetchone() or (1, 0)
        until = min(done + slices, total)
        low, high = (-(2**63) + 2**64 * part // total for part in (done, until))
        span = [low, min(high, 2**63 - 1)]
        con.execute("create temp table slice as from postings limit 0")
        con.execute("insert into slice from postings where term between ? and ? order by term, passage_id", span)
        con.execute("delete from postings where term between ? and ?", span)
        con.execute("insert into postings from slice")
        con.execute("drop table slice")
        con.execute("update sorting set done = ?", [until])
        con.execute("update sorting set sorted_passage = target_passage where done = slices")
        return int(total - until)


def _due(con: "DuckDBPyConnection") -> tuple[bool, bool]:
    """Return whether a pass should begin, and whether one is running."""
    newest, ordered, slices, done = con.execute(
        "select (select coalesce(max(passage_id), 0) from passages), sorted_passage, slices, done from sorting"
    ).fetchone() or (0, 0, 0, 0)
    running = done < slices
    return not running and newest - ordered > max(UNSORTED, newest // 20), running

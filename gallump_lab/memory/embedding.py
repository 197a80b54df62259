"""Codes of other models than the built-in one: they follow the messages, in batches, the oldest passage first.

So a model has codes of all passages up to one of them, and what is missing is the newest.
"""

from typing import TYPE_CHECKING

from gallump_lab.memory import index, vectors
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.vectors import BUILT_IN, Embedder
from gallump_lab.secrets import masked
from gallump_lab.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH = 128
"""So many passages are embedded between two steps on the lab; an interrupt loses no more."""
SOON = 64
"""So many missing ones are embedded before a question; where more are missing, it does not wait for them."""

_LACKING = """
passages anti join (from embeddings where model = $model and passage_id > $after) using (passage_id)
where passage_id > $after
"""
_COUNT = f"select count(*) from {_LACKING}"  # noqa: S608 (only constants)
_NEXT = f"""
with lacking as (select passage_id, message_id, start, stop from {_LACKING} order by passage_id limit $limit)
select passage_id, text[start + 1 : stop] from lacking join messages using (message_id) order by passage_id
"""  # noqa: S608 (only constants)
_WANTED = """
select passage_id from given semi join passages using (passage_id)
anti join (from embeddings where model = $model and passage_id between $first and $last) using (passage_id)
"""

_Texts = list[tuple[int, str]]


def embed(store: Store, embedder: Embedder) -> int:
    """Embed every passage that a model has no code of yet; see `Lab.embed`."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    done = after = 0
    with store.read() as con:
        (total,) = con.execute(_COUNT, {"model": embedder.name, "after": after}).fetchone() or (0,)
    with tqdm(total=total, desc=f"Embedding ({embedder.name})", unit=" passages", unit_scale=True, delay=1) as bar:
        while texts := _next(store, embedder.name, after, BATCH):
            done += _take_in(store, embedder, texts)
            after = texts[-1][0]
            bar.update(len(texts))
    return done


def catch_up(store: Store, corpus: Corpus, model: str) -> None:
    """Embed what has just arrived, unless it is much."""
    if model == BUILT_IN.name:
        return
    texts = _next(store, model, corpus.embedded(model), SOON + 1)
    if 0 < len(texts) <= SOON:
        _take_in(store, corpus.embedder(model), texts)


def _next(store: Store, model: str, after: int, most: int) -> _Texts:
    """Return the oldest passages after one that have no code, each with its text."""
    with store.read() as con:
        found: _Texts = con.execute(_NEXT, {"model": model, "after": after, "limit": most}).fetchall()
    return [(passage, masked(text)) for passage, text in found]  # a lab may be older than masking


def _take_in(store: Store, embedder: Embedder, texts: _Texts) -> int:
    """Embed passages; write those that are still there and that nobody else has embedded meanwhile."""
    import numpy as np

    ids = np.array([passage for passage, _ in texts], np.int64)
    codes = vectors.encode(vectors.of(embedder, [text for _, text in texts]))
    with store.write() as con:
        wanted = np.isin(ids, _wanted(con, embedder.name, ids))
        if wanted.any():
            index.embed(con, embedder.name, ids[wanted], codes[wanted])
    return int(wanted.sum())


def _wanted(con: "DuckDBPyConnection", model: str, ids: "index.Ids") -> "index.Ids":
    import numpy as np

    with index.registered(con, {"passage_id": ids}):
        span = {"model": model, "first": int(ids[0]), "last": int(ids[-1])}
        return np.asarray(con.execute(_WANTED, span).fetchnumpy()["passage_id"])

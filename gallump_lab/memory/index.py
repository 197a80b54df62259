"""From passages to their index rows: the terms and symbols of each, and what it means."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from gallump_lab.lazy import np
from gallump_lab.memory import vectors
from gallump_lab.memory.kinds import ASKED
from gallump_lab.memory.text import held, runs, symbol_id, term_id
from gallump_lab.reading.names import Symbols, calls, key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns = dict[str, NDArray[Any]]


def indexed(
    pieces: Sequence[str], halves: Sequence[tuple[str, str]], given: Sequence[str | None], symbols: Symbols
) -> "tuple[Columns, Columns, vectors.Codes, list[str | None]]":
    """Return passages' numbers of terms, their postings, what they mean, and the first symbol that each names.

    A passage comes as a whole and parted: what states something, what does not (see `gallump_lab.memory.kinds`); and
    with the symbol that was given with its message.
    """
    numbers: defaultdict[str, int] = defaultdict(count().__next__)  # each run's, in order of appearance
    found = [runs(half) for pair in halves for half in pair]
    held = np.fromiter(map(len, found), np.int64, len(found))
    run = np.fromiter(map(numbers.__getitem__, chain.from_iterable(found)), np.int64, held.sum())
    half = np.repeat(np.arange(len(found)), held)
    known = [*map(_held, numbers)]
    token, whose = _spread([held for held, _ in known], run, half)
    codes = vectors.encode(vectors.summed(token, np.bincount(whose // 2, minlength=len(pieces))))
    term, whose = _spread([held for _, held in known], run, half)
    lengths = np.bincount(whose, minlength=len(found)).reshape(-1, 2)
    named = [{one: 0} if one and calls(piece, one) else {} for piece, one in zip(pieces, given, strict=True)]
    read = [*map(symbols.read, numbers)]
    telling = np.fromiter((each != () for each in read), bool, len(read))[run]
    for place, each in zip(half[telling].tolist(), run[telling].tolist(), strict=True):
        for symbol in read[each] or symbols.all(pieces[place // 2]):
            named[place // 2].setdefault(symbol, place % 2)
    naming = [
        (symbol_id(symbol), 2 * place + part) for place, parts in enumerate(named) for symbol, part in parts.items()
    ]
    term, whose = np.concatenate([[term, whose], np.array(naming, np.int64).reshape(-1, 2).T], axis=1)
    order = np.argsort(term, kind="stable")  # by term, then passage, what states something first
    term, whose, passage = term[order], whose[order], whose[order] // 2
    first = np.flatnonzero(np.append(True, (term[1:] != term[:-1]) | (passage[1:] != passage[:-1]))[: len(term)])
    postings: Columns = {
        "term": term[first],
        "passage": passage[first],
        "frequency": np.minimum(np.diff(first, append=len(term)), ASKED - 1) + ASKED * (whose[first] % 2),
        "terms": lengths.sum(1)[passage[first]],
    }
    firsts = [
        one if symbol and one and key(symbol) == key(one) else symbol
        for symbol, one in zip((next(iter(parts), None) for parts in named), given, strict=True)
    ]
    return {"terms": lengths.sum(1), "stated": lengths[:, 0]}, postings, codes, firsts


@lru_cache(maxsize=100_000)
def _held(run: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the built-in embedder's tokens and the terms' numbers of what recurs more than texts do."""
    pieces = held(run)
    words = (word for _, word in pieces if word)
    return tuple(vectors.tokens_of(words)), tuple(term_id(term) for terms, _ in pieces for term in terms)


def _spread(
    holds: Sequence[tuple[int, ...]], runs: "NDArray[np.int64]", passages: "NDArray[np.int64]"
) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Return what each of the runs holds, run after run, and the passage of each."""
    number = np.fromiter(map(len, holds), np.int64, len(holds))
    values = np.fromiter(chain.from_iterable(holds), np.int64, number.sum())
    many = number[runs]
    shift = np.repeat((np.cumsum(number) - number)[runs] - (np.cumsum(many) - many), many)
    return values[np.arange(len(shift)) + shift], np.repeat(passages, many)

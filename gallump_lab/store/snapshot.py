"""A frozen copy of a lab in memory: a study on it holds nothing, and its data cannot move."""

import itertools
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gallump_lab.store import instance, query
from gallump_lab.store.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

_NUMBERS = itertools.count(1)


class Snapshot:
    """What a lab held at one moment; `lab.snapshot()` makes it."""

    def __init__(self, alias: str, source: Path) -> None:
        self._alias, self.source = alias, source
        self._finalizer = weakref.finalize(self, _detach, alias)

    @classmethod
    def take(cls, store: Store) -> Self:
        """Copy a lab into memory in one step.

        Raises
        ------
        StoreError
            If the lab cannot be read.
        """
        alias = f"snapshot_{next(_NUMBERS)}"
        owner = instance.cursor()
        owner.execute(f"attach ':memory:' as {alias}")
        owner.close()
        snapshot = cls(alias, store.path)
        with store.write() as con:  # reads the lab and writes the copy; a read-only transaction could not
            con.execute(f"copy from database {store.alias} to {alias}")
        return snapshot

    @contextmanager
    def read(self) -> Iterator["DuckDBPyConnection"]:
        """Give a connection to the copy inside one read-only transaction, as long as need be."""
        con = instance.cursor()
        try:
            con.execute(f"use {self._alias}")
            con.execute("begin transaction read only")
            yield con
        finally:
            con.close()

    def sql(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """Run one reading statement on the copy, however long it takes; see `gallump_lab.store.frame`."""
        return query.frame(self, sql, params)

    def close(self) -> None:
        """Free the memory; the snapshot cannot be read after that."""
        self._finalizer()

    def __repr__(self) -> str:
        """Name the lab it was taken of."""
        return f"<Snapshot of {self.source.name}>"


def _detach(alias: str) -> None:
    con = instance.cursor()
    con.execute(f"detach {alias}")
    con.close()

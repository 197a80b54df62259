"""A frozen copy of a lab in memory: a study on it holds nothing, and its data cannot move."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gallump_lab.store import query
from gallump_lab.store.errors import StoreError
from gallump_lab.store.instance import Instance, seal
from gallump_lab.store.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection


class Snapshot:
    """What a lab held at one moment; `lab.snapshot()` makes it."""

    def __init__(self, copy: Instance, source: Path) -> None:
        self._copy: Instance | None = copy
        self.source = source

    @classmethod
    def take(cls, store: Store) -> Self:
        """Copy a lab into memory in one step.

        Raises
        ------
        StoreError
            If the lab cannot be read.
        """
        copy = Instance()
        with store.lend(copy) as con:
            con.execute("copy from database lab to memory")
        with copy.cursor() as con:
            seal(con)
        return cls(copy, store.path)

    @contextmanager
    def read(self) -> Iterator["DuckDBPyConnection"]:
        """Give a connection to the copy inside one read-only transaction, as long as need be.

        Raises
        ------
        StoreError
            If the snapshot is closed.
        """
        if self._copy is None:
            msg = f"This snapshot of {self.source} is closed. Take another: lab.snapshot()."
            raise StoreError(msg)
        with self._copy.cursor() as con:
            con.execute("begin transaction read only")
            yield con

    sealed = read

    def sql(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """Run one reading statement on the copy, however long it takes; see `gallump_lab.store.frame`."""
        return query.frame(self, sql, params)

    def close(self) -> None:
        """Free the memory; the snapshot cannot be read after that."""
        if self._copy is not None:
            self._copy.close()
        self._copy = None

    def __repr__(self) -> str:
        """Name the lab it was taken of."""
        return f"<Snapshot of {self.source.name}>"

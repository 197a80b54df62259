"""A frozen copy of a lab in memory: a study on it holds nothing, and its data cannot move."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

from gallump_lab.store import content, files, query, schema
from gallump_lab.store.errors import DamagedFile, NotALab, StoreError, told
from gallump_lab.store.instance import Instance, seal
from gallump_lab.store.literal import quoted
from gallump_lab.store.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection


class Snapshot:
    """What a lab held at one moment; `lab.snapshot()` makes it.

    Attributes
    ----------
    source : Path
        The lab it was taken of, or the file it was loaded from.
    """

    def __init__(self, copy: Instance, source: Path) -> None:
        self._copy: Instance | None = copy
        self.source = source
        # The one folder that a sealed copy can be saved to; it is there only meanwhile.
        self._outlet = Path(tempfile.gettempdir()).resolve() / f"gallump-snapshot-{uuid.uuid4()}"
        with copy.cursor() as con:
            seal(con, self._outlet)

    @classmethod
    def take(cls, store: Store) -> Self:
        """Copy a lab into memory in one step.

        Raises
        ------
        StoreError
            If the lab cannot be read.
        """
        copy = Instance()
        store.copy(copy)
        return cls(copy, store.path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; a file of an older version is brought up to date in memory and stays as it is.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        StoreError
            If it is no snapshot, was written by a newer version, or does not hold what its hash says.
        """
        store = Store(files.place(path))
        if not store.path.exists():
            msg = f"There is no file {store.path}. Give the path that snapshot.save(path) wrote to."
            raise FileNotFoundError(msg)
        copy = Instance()
        with store.lend(copy) as con:
            missing = schema.missing(con, store.path)
            if not schema.is_snapshot(con):
                msg = f"{store.path} is a lab and not a saved snapshot of one: Lab.open(path).snapshot() takes one."
                raise NotALab(msg)
            con.execute("copy from database lab to memory")
        with copy.cursor() as con:
            recorded, found = con.execute("select hash from snapshot").fetchone(), content.digest(con)
            if recorded != (found,):
                msg = (
                    f"{store.path} does not hold what was saved: its content's hash is {found[:16]}, not the recorded "
                    f"{recorded[0][:16] if recorded else 'one'}. It was changed or damaged; get another copy."
                )
                raise DamagedFile(msg)
            for migration in missing:
                schema.apply(con, migration)
        return cls(copy, store.path)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied; `save` is for that."""
        msg = "A snapshot cannot be pickled or copied. Save it: snapshot.save(path); Snapshot.load(path) reads it."
        raise TypeError(msg)

    @cached_property
    def hash(self) -> str:
        """The content's hash: 64 hexadecimal digits, the same for the same data on any machine.

        It changes with messages, insights, turns, questions, labels and configurations, and not with the search index,
        the cache, drafts, or the time at which a thing was imported.
        """
        with self.read() as con:
            return content.digest(con)

    def save(self, path: str | Path) -> Path:
        """Write the snapshot to one new file, whole or not at all, for `Snapshot.load` on any machine.

        Raises
        ------
        FileExistsError
            If something stands at `path` already.
        StoreError
            If it cannot be written, or the snapshot is closed.
        """
        target, found = files.place(path), self.hash
        with files.fresh(target, "snapshot") as draft, told(target), self._cursor() as con:
            self._outlet.mkdir(mode=0o700)
            try:
                con.execute(f"attach {quoted(str(self._outlet / 'copy.duckdb'))} as target (type duckdb)")
                try:
                    con.execute("copy from database memory to target")
                    con.execute("create or replace table target.snapshot as select ? as hash", [found])
                finally:
                    con.execute("detach target")
                shutil.move(self._outlet / "copy.duckdb", draft)
            finally:
                shutil.rmtree(self._outlet)
        return target

    @contextmanager
    def read(self) -> Iterator["DuckDBPyConnection"]:
        """Give a connection to the copy inside one read-only transaction, as long as need be.

        Raises
        ------
        StoreError
            If the snapshot is closed.
        """
        with told(self.source), self._cursor() as con:
            con.execute("begin transaction read only")
            yield con

    sealed = read

    def _cursor(self) -> "DuckDBPyConnection":
        if self._copy is None:
            msg = f"This snapshot of {self.source} is closed. Take another: lab.snapshot()."
            raise StoreError(msg)
        return self._copy.cursor()

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

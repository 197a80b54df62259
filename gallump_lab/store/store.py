"""A lab file, attached for one step at a time so that it belongs to nobody."""

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from gallump_lab.store import instance, schema
from gallump_lab.store.errors import LabBusy, NotALab, holder, is_locked, is_unfinished, translated

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Catalogue(Protocol):
    """Whatever can be read like a lab: the file itself or a snapshot of it."""

    def read(self) -> AbstractContextManager["DuckDBPyConnection"]:
        """Give a connection inside one read-only transaction."""
        ...


@dataclass
class _File:
    """What the threads of this process share of one lab file: they take turns, so the file is attached once."""

    alias: str
    turn: threading.Lock = field(default_factory=threading.Lock)
    owner: int | None = None


_NUMBERS = itertools.count(1)
_FILES: dict[Path, _File] = {}
_FILES_LOCK = threading.Lock()


class Store:
    """One lab file.

    Every step attaches the file, runs one transaction and detaches it: within about 2 ms for a read, 10 ms for a write.
    Between steps the file is free for other notebooks, so a step never waits for a model or a computation.

    Parameters
    ----------
    path : Path
        The file; `Store.open` makes it when it is missing.
    wait : float
        Seconds that a step tries while another process holds the file.
    """

    def __init__(self, path: Path, *, wait: float = 10.0) -> None:
        self.path, self.wait = path, wait
        with _FILES_LOCK:
            self._file = _FILES.setdefault(path, _File(f"lab_{next(_NUMBERS)}"))

    @property
    def alias(self) -> str:
        """The name under which this process attaches the file."""
        return self._file.alias

    @classmethod
    def open(cls, path: str | Path, *, wait: float = 10.0) -> Self:
        """Open a lab file, make it if it is missing, and bring its tables up to date.

        Raises
        ------
        StoreError
            NotALab, NewerLab, NoPermission, DiskFull, DamagedFile or LabBusy; the file is left as it was.
        """
        if str(path) in ("", ":memory:"):
            msg = f"A lab is a file; give its path, such as 'lab.duckdb', not {str(path)!r}."
            raise NotALab(msg)
        store = cls(Path(path).expanduser().resolve(), wait=wait)
        with store.read() as con:
            missing = schema.missing(con, store.path)
        for migration in missing:
            with store.write() as con:
                schema.apply(con, migration)
        return store

    def read(self) -> AbstractContextManager["DuckDBPyConnection"]:
        """Give a connection to the lab inside one read-only transaction, at most 100 ms long.

        Raises
        ------
        StoreError
            If the file cannot be used (LabBusy after `wait` seconds).
        """
        return self._step("begin transaction read only")

    def write(self) -> AbstractContextManager["DuckDBPyConnection"]:
        """Give a connection to the lab inside one transaction; it is committed at the end or, after an error, undone.

        Raises
        ------
        StoreError
            As `read`.
        """
        return self._step("begin transaction")

    @contextmanager
    def _step(self, begin: str) -> Iterator["DuckDBPyConnection"]:
        import duckdb

        if self._file.owner == threading.get_ident():
            msg = "A step on the lab inside another step: finish the first one."
            raise RuntimeError(msg)
        with self._file.turn:
            self._file.owner = threading.get_ident()
            con = instance.cursor()
            try:
                self._attach(con)
                try:
                    con.execute(f"use {self.alias}")
                    con.execute(begin)
                    yield con
                    con.execute("commit")
                except BaseException:
                    with contextlib.suppress(duckdb.Error):  # an aborted transaction may already be gone
                        con.execute("rollback")
                    raise
                finally:
                    self._detach(con)
            except duckdb.Error as error:
                mine = translated(error, self.path)
                if mine is None:
                    raise
                raise mine from error
            finally:
                con.close()
                self._file.owner = None

    def _attach(self, con: "DuckDBPyConnection") -> None:
        import duckdb

        begun = time.monotonic()
        while True:
            try:
                con.execute(f"attach ? as {self.alias} (type duckdb)", [str(self.path)])
            except duckdb.Error as error:
                waited = time.monotonic() - begun
                # A file that another process is creating looks too short for a moment; half a second settles it.
                patience = (
                    self.wait if is_locked(error) else min(self.wait, 0.5) if is_unfinished(error, self.path) else 0
                )
                if waited < patience:
                    time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 (spreads the tries of several processes)
                elif is_locked(error):
                    raise LabBusy(self.path, holder(error), waited) from error
                else:
                    raise
            else:
                return

    def _detach(self, con: "DuckDBPyConnection") -> None:
        con.execute("use memory")
        con.execute(f"detach {self.alias}")

    def backup(self, path: str | Path) -> Path:
        """Copy the lab into a new file, in one step, while others go on using it.

        Raises
        ------
        FileExistsError
            If something stands at `path` already.
        StoreError
            If the lab cannot be read or the copy not be written.
        """
        target = Path(path).expanduser().resolve()
        if target.exists():
            msg = f"{target} exists already; a backup never overwrites. Give another path or delete it."
            raise FileExistsError(msg)
        copy = Store(target, wait=self.wait)
        other = instance.cursor()
        try:
            copy._attach(other)
            try:
                with self._step("begin transaction") as con:
                    con.execute(f"copy from database {self.alias} to {copy.alias}")
            finally:
                copy._detach(other)
        except BaseException:
            target.unlink(missing_ok=True)  # half a copy is none
            raise
        finally:
            other.close()
        return target

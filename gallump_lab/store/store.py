"""A lab file, attached for one step at a time so that it belongs to nobody."""

import contextlib
import os
import random
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gallump_lab.lazy import duckdb
from gallump_lab.store import files, schema
from gallump_lab.store.errors import LabBusy, NotALab, StoreError, busy, translated
from gallump_lab.store.locks import Instance, queued

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# For good; a file system that is left would let the attached file itself be read.
_SEAL = """
set memory_limit = '2GB'; set temp_directory = ''; set enable_external_access = false;
set disabled_filesystems = 'LocalFileSystem'; set lock_configuration = true
"""
# With a table's new row DuckDB writes up to 2,047 before it anew; to compress their texts takes longer than all else.
_PLAIN = "set global disabled_compression_methods = 'dict_fsst,fsst,zstd'"
COMPRESS = "set global disabled_compression_methods = ''"
"""Has the texts of a step that writes many compressed all the same."""


class _Undo(Exception):
    """Undoes a step on the lab."""


class _Shared:
    """What the threads of this process share of a lab: they take turns, so the file is attached once."""

    def __init__(self, only: Path | None) -> None:
        self._only = only
        self.renew()

    def renew(self) -> None:
        self.turn, self.owner = threading.RLock(), 0
        self.instance = Instance(only=self._only)


_SHARED: weakref.WeakValueDictionary[Path, _Shared] = weakref.WeakValueDictionary()
_SHARED_LOCK = threading.Lock()


def _forked() -> None:
    """Begin anew in a forked child: the threads that had their turn are not there, and the locks are its parent's."""
    global _SHARED_LOCK  # noqa: PLW0603
    _SHARED_LOCK = threading.Lock()
    for shared in _SHARED.values():
        shared.renew()


os.register_at_fork(after_in_child=_forked)


class Store:
    """One lab file.

    Every step attaches the file, runs one transaction and detaches it: within about 2 ms for a read, 10 ms for a write.
    Between steps the file is free for other notebooks, so a step never waits for a model or a computation.

    Parameters
    ----------
    path : Path
        The file; `Store.open` makes it when it is missing.
    wait : float
        Seconds that a step tries while another thread or process holds the file.

    Examples
    --------
    >>> store = Store.open("lab.duckdb")
    >>> with store.read() as con:
    ...     con.execute("select count(*) from messages").fetchone()
    """

    exclusive = True
    """Whether a step that only reads keeps everyone else out, too, so that it must not last."""

    def __init__(self, path: Path, *, wait: float = 10.0, key: Path | None = None) -> None:
        self.path, self.wait = path, wait
        self._known: tuple[int, ...] | None = None
        with _SHARED_LOCK:
            self._shared = _SHARED.setdefault(key or path, _Shared(path if self.exclusive else None))

    @classmethod
    def open(cls, path: str | Path, *, wait: float = 10.0) -> Self:
        """Open a lab file; make it, with its tables, if it is missing.

        Raises
        ------
        StoreError
            NotALab, OtherVersion, NoPermission, DiskFull, DamagedFile or LabBusy; the file is left as it was.
        """
        store = cls(files.place(path), wait=wait)
        with store.write() as con:
            if not schema.recognize(con, store.path):
                schema.create(con)
            elif schema.is_snapshot(con):
                msg = f"{store.path} is a saved snapshot, which nothing may change; study.Snapshot.load(path) reads it."
                raise NotALab(msg)
        return store

    def read(self) -> AbstractContextManager["DuckDBPyConnection"]:
        """Return a connection to the lab inside one transaction that only reads, at most 100 ms long.

        Raises
        ------
        StoreError
            If the file cannot be used (LabBusy after `wait` seconds).
        """
        return self.lend()

    def write(self) -> AbstractContextManager["DuckDBPyConnection"]:
        """Return a connection to the lab inside one transaction; it is committed at the end or, after an error, undone.

        An interrupt that comes during the commit carries a note that the step may have been written.

        Raises
        ------
        StoreError
            As `read`.
        """
        return self.lend(write=True)

    @contextmanager
    def undone(self) -> Iterator["DuckDBPyConnection"]:
        """Return a connection inside one transaction that is undone at its end, so that nothing is written."""
        with contextlib.suppress(_Undo), self.write() as con:
            yield con
            raise _Undo

    @property
    def elsewhere(self) -> tuple[Path, str | None]:
        """Where another process finds the lab."""
        return self.path, None

    @contextmanager
    def sealed(self) -> Iterator["DuckDBPyConnection"]:
        """Return a connection that only reads the lab and reaches nothing else: no file, setting or Python variable.

        Raises
        ------
        StoreError
            As `read`.
        """
        alone = Instance(threads=None)
        with contextlib.closing(alone), self.lend(alone) as con:
            con.execute(_SEAL)
            yield con

    @contextmanager
    def lend(
        self, instance: Instance | None = None, *, write: bool = False, begin: str = "begin transaction"
    ) -> Iterator["DuckDBPyConnection"]:
        """Attach the lab as `lab` for one step and one transaction, to this process's own instance or to another.

        Raises
        ------
        StoreError
            As `read`.
        """
        with self._turn() as (own, deadline), self._admitted(deadline, write=write):
            used = instance or own
            near = used.cursor()
            used.clean = False
            try:
                con = self._begun(near, deadline, begin, write=write)
                yield con
                self._end(con, "commit" if write or instance else "rollback")
                used.clean = self._let_go(near, own=used is own)
            finally:
                near.close()
                if not used.clean:
                    used.close()

    @contextmanager
    def _admitted(self, deadline: float, *, write: bool) -> Iterator[None]:
        """Wait for the use of the file, and raise what is wrong with it as ours."""
        with queued(self.path, deadline, write=write), translated(self.path):
            try:
                yield
            finally:
                if write:
                    files.close_log(self.path)

    def _begun(self, near: "DuckDBPyConnection", deadline: float, begin: str, *, write: bool) -> "DuckDBPyConnection":
        """Attach the lab and begin a transaction; return the connection for the step."""
        self._attach(near, deadline, write=write)
        self._recognize(near)
        if write:
            near.execute(_PLAIN)
        return near.execute(begin)

    def _end(self, con: "DuckDBPyConnection", how: str) -> None:
        """End the transaction; note where nobody can tell whether it was written."""
        try:
            con.execute(how)
        except (duckdb.Error, RuntimeError, KeyboardInterrupt) as error:
            if "COMMIT succeeded and is durable" in str(error):  # the log was written, only the file could not be
                return
            if how == "commit" and not (self.exclusive and isinstance(error, duckdb.Error)):
                error.add_note(f"The step on {self.path} may have been written: look before you repeat it.")
            raise

    def _let_go(self, con: "DuckDBPyConnection", *, own: bool) -> bool:  # noqa: ARG002 (a server's stays attached)
        """Detach the file; return whether the instance can be used again."""
        clean = False
        # On a full disk the log holds what was committed, and whoever attaches the file next finishes the work.
        with contextlib.suppress(duckdb.Error):
            con.execute("use memory")
            con.execute("detach lab")
            clean = True
        self._known = self._look()
        return clean

    @contextmanager
    def _turn(self) -> Iterator[tuple[Instance, float]]:
        """Wait until no other thread uses the lab; give its instance, and until when to wait for other processes."""
        shared, me, begun = self._shared, threading.get_ident(), time.monotonic()
        if shared.owner == me:
            msg = "A step on the lab inside another step: finish the first one."
            raise RuntimeError(msg)
        try:
            if not shared.turn.acquire(timeout=self.wait):
                raise LabBusy(self.path, "another thread of this process: let its step finish", self.wait, os.getpid())
            shared.owner = me
            yield shared.instance, begun + self.wait
        finally:
            if shared.owner == me:
                shared.owner = 0
            with contextlib.suppress(RuntimeError):  # it is not ours when the wait was in vain
                shared.turn.release()

    def _attach(self, con: "DuckDBPyConnection", deadline: float, *, write: bool) -> None:
        """Attach the file; for a step that writes, with what a killed process left in its log put into the file."""
        new = self._look() is None
        while True:
            if self._known is not None and self._look() is None:
                msg = f"{self.path} was moved or deleted while it was in use. Put it back, or open it where it is now."
                raise StoreError(msg)
            try:
                con.execute(f"attach {files.quoted(self.path)} as lab (type duckdb{'' if write else ', read_only'})")
                if write and files.log_of(self.path).exists():
                    con.execute("checkpoint lab")  # the next commit would leave out what an index should get of it
                break
            except duckdb.Error as error:
                held = busy(self.path, error, self.wait)
                if held is not None and time.monotonic() < deadline:
                    time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 (spreads the tries of several processes)
                elif held is not None:
                    raise held from error
                elif not files.mend_log(self.path, error):
                    raise
        if new:
            self.path.chmod(files.PRIVATE)
        if write:
            files.open_log(self.path)

    def _look(self) -> tuple[int, ...] | None:
        with contextlib.suppress(OSError):
            found = self.path.stat()
            return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
        return None

    def _recognize(self, con: "DuckDBPyConnection") -> None:
        """Check that a file which others have written, or put in the known one's place, is a lab like it."""
        found = self._look()
        if self._known is None or found is None or self._known[:2] != found[:2]:  # else others wrote
            schema.refuse_code(con, self.path)
        con.execute("use lab")
        if self._known not in (None, found) and not schema.recognize(con, self.path):
            msg = f"{self.path} was replaced by an empty database. Put the lab back, or open it again as a new one."
            raise StoreError(msg)

    def backup(self, path: str | Path) -> Path:
        """Copy the lab into a new file; others are kept waiting only while it is copied into memory.

        Raises
        ------
        FileExistsError
            If something stands at `path` already.
        StoreError
            If the lab cannot be read or the copy not be written.
        """
        target = files.place(path)
        with files.fresh(target, "backup") as draft, contextlib.closing(Instance()) as alone:
            self.copy(alone)
            with translated(target):
                alone.save(draft)
        return target

    def copy(self, instance: Instance) -> None:
        """Copy the lab, in one step, into an empty instance.

        Raises
        ------
        StoreError
            If the lab cannot be read.
        """
        with self.lend(instance) as con:
            self._copy(con)

    def _copy(self, con: "DuckDBPyConnection") -> None:
        con.execute("use memory")
        schema.refuse_code(con, self.path)  # a copy is read where more than the lab can be reached
        con.execute("copy from database lab to memory")

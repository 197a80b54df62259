"""What can go wrong with a lab file, one class each; the message says what to do."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


class StoreError(Exception):
    """A lab file could not be used; it was left as it was."""


class NotALab(StoreError):
    """The path is a directory, another kind of file, or a DuckDB database that is not a lab."""


class NewerLab(StoreError):
    """The file was written by a later version of gallump_lab or DuckDB."""


class NoPermission(StoreError):
    """The file or its folder may not be read or written, or the folder does not exist."""


class DiskFull(StoreError):
    """The disk, the quota or the file size limit left no room; the step was undone."""


class DamagedFile(StoreError):
    """The file is a DuckDB database whose contents do not match their checksums."""


class LabBusy(StoreError):
    """Another process or thread held the file for the whole wait.

    Attributes
    ----------
    pid : int or None
        The process that holds it, where the system says.
    waited : float
        Seconds.
    """

    def __init__(
        self, path: Path, pid: int | None, waited: float, *, thread: bool = False, served: bool = False
    ) -> None:
        self.pid, self.waited = os.getpid() if thread else pid, waited
        if served:
            super().__init__(
                f"Others write to {path} all the time, or one of them went away in the midst of a step, which the "
                f"server notices after a while. Waited {waited:.1f} s; this step changed nothing. Try it again."
            )
            return
        if thread:
            who = "another thread of this process: let its step finish"
        elif pid == os.getpid():
            who = "this process, through a DuckDB connection or result of its own: close it"
        elif pid is not None:
            who = f"process {pid}: close what it runs, or let it finish"
        else:
            who = "another process: close what uses it, or let it finish"
        super().__init__(
            f"{path} is held by {who}. Waited {waited:.1f} s; this step changed nothing. Several notebooks can share a "
            "lab, but a program that keeps the file open locks everyone else out."
        )


class QueryRefused(StoreError, ValueError):
    """`sql` takes one statement that only reads, and one that is done soon."""


_NOT_A_DATABASE = "not a valid DuckDB database file"
_LOCKED = re.compile(r"Could not set lock on file|Conflicting lock is held|being used by another process")
_TWICE = re.compile(r"Unique file handle conflict")
_FULL = re.compile(r"No space left on device|File too large|Disk quota exceeded|not enough space|Could not write")
_UNWRITTEN = re.compile(r"TransactionContext Error: Failed to commit: (Could not write|Checkpoint failed|Corrupt)")
_LOG = re.compile(
    r"Failure while replaying WAL file|Could not (open|read from) file \"[^\"]*\.wal|This WAL was created"
)
_DENIED = re.compile(r"Permission denied|Read-only file system|Access is denied|Operation not permitted")
_NEWER = re.compile(
    r"version number \d+, but we can only read|requires a newer|newer version of DuckDB|serialized .* newer"
)
_DAMAGED = re.compile(r"[Cc]orrupt|checksum|Failed to load metadata|Could not read enough bytes|invalidated")


def is_locked(error: Exception) -> bool:
    """Whether another process (or another instance in this one) holds the file."""
    return bool(_LOCKED.search(str(error)) or _TWICE.search(str(error)))


def is_unfinished(error: Exception, path: Path) -> bool:
    """Whether the file may be one that another process is creating right now: too short to be a database."""
    try:
        return _NOT_A_DATABASE in str(error) and path.stat().st_size < 3 * 4096
    except OSError:
        return False


def holder(error: Exception) -> int | None:
    """Read the holder's PID from DuckDB's message."""
    if _TWICE.search(str(error)):
        return os.getpid()
    found = re.search(r"\(PID (\d+)\)", str(error))
    return int(found[1]) if found else None


def is_durable(error: Exception) -> bool:
    """Whether a commit that failed has been done all the same: its log was written, the file itself could not be."""
    return "COMMIT succeeded and is durable" in str(error)


@contextmanager
def told(path: Path, source: Path | None = None) -> Iterator[None]:
    """Raise DuckDB's errors about a file as ours, and its way of saying that Ctrl-C was pressed as Python's.

    `source` is the file that is read while `path` is written: it is what is damaged.
    """
    import duckdb

    try:
        yield
    except RuntimeError as error:
        if str(error) != "Query interrupted":
            raise
        interrupt = KeyboardInterrupt()
        for note in getattr(error, "__notes__", ()):
            interrupt.add_note(note)
        raise interrupt from error
    except duckdb.Error as error:
        mine = _translated(error, path, source or path)
        if mine is None:
            raise
        raise mine from error


def _translated(error: "duckdb.Error", path: Path, source: Path) -> StoreError | None:  # noqa: PLR0911 (one return a trouble)
    """Turn DuckDB's error into ours; None when it is none of the file's troubles."""
    import duckdb

    text = str(error)
    about_file = isinstance(error, (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException))
    unwritten = isinstance(error, duckdb.TransactionException) and _UNWRITTEN.match(text)
    if not (about_file or unwritten or type(error) is duckdb.Error):  # other classes may quote the user's own words
        return None
    if _FULL.search(text):
        return DiskFull(f"No room to write {path}: {_first(text)} The step was undone; free some space.")
    if _DENIED.search(text):
        return NoPermission(f"{path} may not be opened for writing. Change its permissions or use another place.")
    if _LOG.search(text):
        return DamagedFile(
            f"{path} cannot be opened because of what lies at {path}.wal, where DuckDB keeps a file's log: "
            f"{_first(text)} If it is not this lab's, move it away; if it is, restore a backup. Nothing was changed."
        )
    if _NEWER.search(text):
        return NewerLab(f"{path} was written by a newer DuckDB. Upgrade gallump_lab and duckdb; the file is unchanged.")
    if _NOT_A_DATABASE in text:
        return NotALab(f"{path} is not a DuckDB database. Give another path; the file is unchanged.")
    if not path.parent.is_dir():
        return NoPermission(f"The folder {path.parent} does not exist. Create it first.")
    if _DAMAGED.search(text):
        return DamagedFile(
            f"{source} is damaged: {_first(text)} Restore a backup (lab.backup makes them); this file is unchanged."
        )
    return None


def _first(text: str) -> str:
    return text.splitlines()[0].removesuffix(".") + "."

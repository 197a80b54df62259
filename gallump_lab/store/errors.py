"""What can go wrong with a lab file, one class each; the message says what to do."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gallump_lab.lazy import duckdb, regex


class StoreError(Exception):
    """A lab file could not be used; it was left as it was."""


class NotALab(StoreError):
    """The path is a directory, another kind of file, or a DuckDB database that is not a lab."""


class OtherVersion(StoreError):
    """The file was written by a gallump_lab with other tables, or by a newer DuckDB."""


class NoPermission(StoreError):
    """The file or its folder may not be read or written, or the folder does not exist."""


class DiskFull(StoreError):
    """The disk, the quota or the file size limit left no room; the step was undone."""


class DamagedFile(StoreError):
    """The file is a DuckDB database whose contents do not match their checksums."""


class NoServer(StoreError):
    """No lab's server answers at the address, it refuses the token, or the connection broke off."""


class QueryRefused(StoreError, ValueError):
    """`sql` takes one statement that only reads, and one that is done soon."""


class LabBusy(StoreError):
    """Another process or thread held the lab for the whole wait.

    Attributes
    ----------
    pid : int or None
        The process that holds it, where the system says.
    waited : float
        Seconds.
    """

    def __init__(self, path: Path, who: str, waited: float, pid: int | None = None) -> None:
        super().__init__(path, who, waited, pid)  # as `args`, from which another process makes it anew
        self.waited, self.pid = waited, pid

    def __str__(self) -> str:
        """Return what to do, in a sentence."""
        path, who, waited, _ = self.args
        return f"{path} is held by {who}. Waited {waited:.1f} s; this step changed nothing. Try it again."


_HELD = regex(r"Could not set lock on file|Conflicting lock is held")
_HELD_HERE = "Unique file handle conflict"
_UNWRITTEN = regex(r"TransactionContext Error: Failed to commit: (Could not write|Checkpoint failed|Corrupt)")
_TROUBLES = (
    (
        DiskFull,
        r"No space left on device|File too large|Disk quota exceeded|Could not write",
        "No room to write {path}: {first} The step was undone; free some space.",
    ),
    (
        NoPermission,
        r"Permission denied|Read-only file system|Operation not permitted|No such file or directory|Not a directory",
        "{path} may not be opened: {first} Its folder must exist, and both be yours to write to.",
    ),
    (
        DamagedFile,
        r"Failure while replaying WAL file|Could not (open|read from) file \"[^\"]*\.wal|This WAL was created",
        "{path} cannot be opened because of its log {path}.wal: {first} If that is another's, move it away.",
    ),
    (
        OtherVersion,
        r"version number \d+, but we can only read|requires a newer|newer version of DuckDB|serialized .* newer",
        "{path} was written by a newer DuckDB. Upgrade gallump_lab and duckdb; the file is unchanged.",
    ),
    (
        NotALab,
        r"not a valid DuckDB database file",
        "{path} is not a DuckDB database. Give another path; the file is unchanged.",
    ),
    (
        DamagedFile,
        r"[Cc]orrupt|checksum|Failed to load metadata|Could not read enough bytes|invalidated",
        "{path} is damaged: {first} Restore a backup (lab.backup makes them); this file is unchanged.",
    ),
)
"""What DuckDB says of a file, in order of trust: the first that fits names the trouble."""


def busy(path: Path, error: Exception, waited: float) -> LabBusy | None:
    """Return the error that names who holds a file, as far as DuckDB's message says it; None if nobody does."""
    if _HELD_HERE in str(error):
        pid: int | None = os.getpid()
    elif _HELD.search(str(error)):
        found = re.search(r"\(PID (\d+)\)", str(error))
        pid = int(found[1]) if found else None
    else:
        return None
    who = f"process {pid}: close what it runs, or let it finish" if pid else "another process"
    if pid == os.getpid():
        who = "this process, through a DuckDB connection or result of its own: close it"
    return LabBusy(path, who, waited, pid)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise DuckDB's errors about a file as ours, and its way of saying that Ctrl-C was pressed as Python's."""
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
        ours = _ours(error, path)
        if ours is None:
            raise
        raise ours from error


def _ours(error: "duckdb.Error", path: Path) -> StoreError | None:
    """Return what DuckDB's error says of a file; None where it is about something else."""
    text = str(error)
    about_file = isinstance(error, (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException))
    unwritten = isinstance(error, duckdb.TransactionException) and _UNWRITTEN.match(text)
    if not (about_file or unwritten or type(error) is duckdb.Error):  # other classes may quote the user's own words
        return None
    first = text.splitlines()[0].removesuffix(".") + "."
    for kind, pattern, words in _TROUBLES:
        if re.search(pattern, text):
            return kind(words.format(path=path, first=first))
    return None

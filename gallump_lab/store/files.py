"""Files of the lab's kind: where one is, writing one whole or not at all, and the log that DuckDB keeps beside it."""

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gallump_lab.store.errors import DamagedFile, DiskFull, NoPermission, NotALab, StoreError

PRIVATE = 0o600
_STALE = re.compile(r"File checkpoint iteration: (\d+), WAL checkpoint iteration: (\d+)")
_BROKEN = re.compile(r"Corrupt WAL file: entry at byte position (\d+)")


def place(path: str | Path) -> Path:
    """Return a file's whole path.

    Raises
    ------
    NotALab
        If it can be no file's path, or something else than a file stands there.
    DamagedFile
        If something else than a log stands where DuckDB keeps it.
    """
    if str(path) in ("", ".", ":memory:") or "\0" in str(path):
        msg = f"A lab is a file; give its path, such as 'lab.duckdb', not {str(path)!r}."
        raise NotALab(msg)
    try:
        found = Path(path).expanduser().resolve()
        mode = found.stat().st_mode if found.exists() else 0
        log = log_of(found)  # its name has to be short enough, too
        logged = log.stat().st_mode if log.exists() else 0
    except PermissionError:  # whoever uses it says so
        return found
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, nobody's home, half a character
        why = getattr(error, "strerror", None) or str(error).rstrip(".")
        msg = f"{str(path)!r:.100} can be no file's path: {why}. Give another, such as 'lab.duckdb'."
        raise NotALab(msg) from error
    if logged and not (stat.S_ISREG(logged) or stat.S_ISDIR(logged)):
        msg = f"{log}, where DuckDB keeps a lab's log, is a pipe, a socket or a device; move it away."
        raise DamagedFile(msg)
    if not mode:
        return found
    if stat.S_ISDIR(mode):
        msg = f"{found} is a directory. Give the path of a file, such as {found / 'lab.duckdb'}."
        raise NotALab(msg)
    if not stat.S_ISREG(mode):
        msg = f"{found} is no ordinary file but a pipe, a socket or a device. Give another path."
        raise NotALab(msg)
    return found


@contextmanager
def fresh(target: Path, what: str) -> Iterator[Path]:
    """Return a path to write a new file to, which takes its place at `target` once it is whole.

    Raises
    ------
    FileExistsError
        If something stands at `target` already.
    StoreError
        NoPermission or DiskFull, if it cannot be written there.
    """
    try:
        target.touch(PRIVATE, exist_ok=False)
    except FileExistsError:
        msg = f"{target} exists already; a {what} never overwrites. Give another path or delete it."
        raise FileExistsError(msg) from None
    except OSError as error:
        raise _unwritten(error, target, what) from error
    try:  # half a copy is none: the whole one takes the place of the empty file
        with tempfile.TemporaryDirectory(prefix=f".{what}-", dir=target.parent) as folder:
            draft = Path(folder, target.name)
            yield draft
            draft.chmod(PRIVATE)
            draft.replace(target)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritten(error, target, what) from error
        raise


def _unwritten(error: OSError, target: Path, what: str) -> StoreError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return DiskFull(f"No room to write {target}: {error.strerror}. Free some space.")
    return NoPermission(f"The {what} {target} cannot be written: {error.strerror}. Give another path.")


def quoted(text: str | Path) -> str:
    """Return a text as SQL writes it, for the places where DuckDB takes no parameters."""
    return "'" + str(text).replace("'", "''") + "'"


def log_of(path: Path) -> Path:
    """Return where DuckDB keeps the log of a lab's file: there only while a step is written, or after a kill."""
    return path.with_name(f"{path.name}.wal")


def open_log(path: Path) -> None:
    """Create a lab's log, empty, for no other eyes than the lab itself; DuckDB would let everybody read it."""
    with contextlib.suppress(OSError):  # DuckDB will meet the same trouble, and say so
        log = os.open(log_of(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        try:
            log_of(path).chmod(stat.S_IMODE(path.stat().st_mode))
        finally:
            os.close(log)


def close_log(path: Path) -> None:
    """Remove a log into which nothing was written."""
    with contextlib.suppress(OSError):
        if not log_of(path).stat().st_size:
            log_of(path).unlink()


def mend_log(path: Path, error: Exception) -> bool:
    """Cut a log that keeps its lab from being opened back to what can be used of it, and say so in a warning.

    DuckDB 2.0.0 could leave the torn log of a killed process beside a file that went on; all of it that was ever
    committed is in the file. One that lost power in a commit is damaged from a record on; what stands before is whole.

    Returns
    -------
    bool
        Whether the log was the trouble, and is none any more. The whole of it is kept under another name.
    """
    stale, broken = _STALE.search(str(error)), _BROKEN.search(str(error))
    if not broken and not (stale and int(stale[2]) < int(stale[1])):
        return False
    log, number = log_of(path), 1
    while (kept := log.with_name(f"{log.name}.{number}")).exists():
        number += 1
    try:
        shutil.copy2(log, kept)
        os.truncate(log, int(broken[1]) if broken else 0)
    except OSError:
        return False
    lost = "its last step may be missing" if broken else "nothing is missing"
    words = (
        f"A process that used {path} was ended in the midst of a step, and its log could not be read. The lab was "
        f"mended: {lost}. The log is kept as {kept}; delete it once the lab is as you expect."
    )
    warnings.warn(words, RuntimeWarning, stacklevel=2)
    return True

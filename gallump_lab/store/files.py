"""Files of the lab's kind: where one is, writing one whole or not at all, and the log that DuckDB keeps beside it."""

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gallump_lab.lazy import regex
from gallump_lab.store.errors import DiskFull, NoPermission, NotALab

PRIVATE = 0o600
_BROKEN = regex(r"Corrupt WAL file: entry at byte position (\d+)")


def place(path: str | Path) -> Path:
    """Return a file's whole path.

    Raises
    ------
    NotALab
        If it can be no file's path, or something else than a file stands there.
    """
    try:
        found = Path(path).expanduser().resolve()
        other = found.is_symlink() or (found.exists() and not found.is_file())  # 3.13 resolves a loop to itself
    except PermissionError:  # whoever uses it says so
        return found
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, nobody's home, half a character
        why = getattr(error, "strerror", None) or str(error).rstrip(".")
        msg = f"{str(path)!r:.100} can be no file's path: {why}. Give another, such as 'lab.duckdb'."
        raise NotALab(msg) from error
    if other or str(path) == ":memory:":
        msg = f"{str(path)!r:.100} is no file but a folder, a pipe or a loop. Give another, such as 'lab.duckdb'."
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
    if target.exists():
        msg = f"{target} exists already; a {what} never overwrites. Give another path or delete it."
        raise FileExistsError(msg)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{what}-", dir=target.parent) as folder:
            draft = Path(folder, target.name)
            yield draft
            draft.chmod(PRIVATE)
            draft.replace(target)
    except OSError as error:
        kind = DiskFull if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} else NoPermission
        msg = f"The {what} {target} cannot be written: {error.strerror}. Free some space, or give another path."
        raise kind(msg) from error


def quoted(text: str | Path) -> str:
    """Return a text as SQL writes it, for the places where DuckDB takes no parameters."""
    return "'" + str(text).replace("'", "''") + "'"


def log_of(path: Path) -> Path:
    """Return where DuckDB keeps the log of a lab's file: there only while a step is written, or after a kill."""
    return path.with_name(f"{path.name}.wal")


def open_log(path: Path) -> None:
    """Create a lab's log, empty, for no other eyes than the lab itself; DuckDB would let everybody read it."""
    with contextlib.suppress(OSError):  # DuckDB will meet the same trouble, and say so
        log_of(path).touch(PRIVATE)
        log_of(path).chmod(stat.S_IMODE(path.stat().st_mode))


def close_log(path: Path) -> None:
    """Remove a log into which nothing was written."""
    with contextlib.suppress(OSError):
        if not log_of(path).stat().st_size:
            log_of(path).unlink()


def mend_log(path: Path, error: Exception) -> bool:
    """Cut a log that keeps its lab from being opened back to what can be used of it, and say so in a warning.

    One that lost power in a commit is damaged from a record on; what stands before is whole.

    Returns
    -------
    bool
        Whether the log was the trouble, and is none any more. The whole of it is kept under another name.
    """
    broken = _BROKEN.search(str(error))
    if not broken:
        return False
    log, number, whole = log_of(path), 1, int(broken[1])
    while (kept := log.with_name(f"{log.name}.{number}")).exists():
        number += 1
    try:
        if log.stat().st_size <= whole:  # then it is the file itself
            return False
        shutil.copy2(log, kept)
        os.truncate(log, whole)
    except OSError:
        return False
    words = (
        f"A process that used {path} was ended amid a step, and its log could not be read. The lab was mended: "
        f"its last step may be missing. The log is kept as {kept}."
    )
    warnings.warn(words, RuntimeWarning, stacklevel=2)
    return True

"""Files of the lab's kind: where one is, and writing one whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gallump_lab.store.errors import NoPermission, NotALab


def place(path: str | Path) -> Path:
    """Give a file's whole path.

    Raises
    ------
    NotALab
        If it can be no file's path.
    """
    if str(path) in ("", ".", ":memory:") or "\0" in str(path):
        msg = f"A lab is a file; give its path, such as 'lab.duckdb', not {str(path)!r}."
        raise NotALab(msg)
    return Path(path).expanduser().resolve()


@contextmanager
def fresh(target: Path, what: str) -> Iterator[Path]:
    """Give a path to write a new file to, which takes its place at `target` once it is whole.

    Raises
    ------
    FileExistsError
        If something stands at `target` already.
    NoPermission
        If nothing can be written there.
    """
    try:
        target.touch(exist_ok=False)
    except FileExistsError:
        msg = f"{target} exists already; a {what} never overwrites. Give another path or delete it."
        raise FileExistsError(msg) from None
    except OSError as error:
        msg = f"The {what} {target} cannot be written: {error.strerror}. Give another path."
        raise NoPermission(msg) from error
    try:  # half a copy is none: the whole one takes the place of the empty file
        with tempfile.TemporaryDirectory(prefix=f".{what}-", dir=target.parent) as folder:
            draft = Path(folder, target.name)
            yield draft
            draft.replace(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise

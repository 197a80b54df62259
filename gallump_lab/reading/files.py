"""Which files are read at all: regular ones, of a size that this machine's memory bears."""

import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zipfile import ZipInfo

LARGEST = 1_000_000_000
"""Bytes of a file, or of what a .zip unpacks to, of which no more than a piece is in memory at a time."""
LONGEST = 32_000_000
"""Bytes of what is parsed as JSON in one piece, which takes up to 25 times as much memory."""


def readable(path: Path, error: type[Exception], *, most: int = LARGEST) -> Path:
    """Return a path whose file can be read: no device or pipe, which never ends, and not larger than `most` bytes.

    Raises
    ------
    Exception
        As `error`, if it is another kind of file, is missing or may not be looked at, or is too large.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as fault:
        msg = f"{path} cannot be read: {getattr(fault, 'strerror', None) or fault}. Give the path of a file."
        raise error(msg) from fault
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, pipe or the like"
        msg = f"{path} is {what}, not a file. Give the path of a file."
        raise error(msg)
    if found.st_size > most:
        msg = f"{path} has {found.st_size:,} bytes; at most {most:,} are read. Split it."
        raise error(msg)
    return path


def unpacked(path: Path, members: "list[ZipInfo]", error: type[Exception], *, most: int = LARGEST) -> None:
    """See that what is wanted of a .zip does not unpack to more than `most` bytes; a read stops at what was claimed.

    Raises
    ------
    Exception
        As `error`, if it claims more.
    """
    size = sum(member.file_size for member in members)
    if size > most:
        msg = f"{path} would unpack to {size:,} bytes; at most {most:,} are read. Unpack and split it."
        raise error(msg)

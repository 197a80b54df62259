"""The files of an export of Claude or ChatGPT: a .json file, a folder or the .zip as it comes, read piece by piece."""

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from gallump_lab.datasets.records import DatasetError

Source = Literal["claude", "chatgpt", "locomo"]

LARGEST = 1_000_000_000
"""Bytes that the conversations of one .zip may unpack to; whatever claims more is not read."""

_NAME = re.compile(r"conversations(-\d+)?\.(json|zip)", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\n\r]*")


def parts(folder: Path) -> list[Path]:
    """Give a folder's files of conversations, in order: conversations.json, conversations-000.json, a .zip of such."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file())


def conversations(path: Path) -> Iterator[Any]:
    """Give what a file, folder or .zip lists as conversations, one after the other; only one is in memory at a time.

    Raises
    ------
    DatasetError
        If a file is not JSON, or a .zip cannot be read, holds no conversations or is too large.
    """
    for name, text in _texts(path):
        try:
            yield from _elements(text)
        except (ValueError, RecursionError) as error:
            msg = f"{name} cannot be read as JSON: {error}. Take it as the export gave it, or export again."
            raise DatasetError(msg) from error


def source(path: Path) -> Source | None:
    """Tell by the conversations that it holds whose they are; None if they are nobody's that is known.

    Raises
    ------
    DatasetError
        As `conversations`, or if it only lists where an export's files are.
    """
    for found in conversations(path):
        if not isinstance(found, dict):
            continue
        if isinstance(found.get("data_files"), list):
            msg = f"{path} only lists the files of an export. Read the conversations-000.zip that it names."
            raise DatasetError(msg)
        if isinstance(found.get("chat_messages"), list):
            return "claude"
        if isinstance(found.get("mapping"), dict):
            return "chatgpt"
        if "conversation" in found:
            return "locomo"
    return None


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """Give each file of conversations as its name and its text."""
    if path.is_dir():
        found = parts(path)
        if not found:
            msg = f"{path} holds no conversations.json, conversations-000.json or conversations-000.zip of an export."
            raise DatasetError(msg)
        for part in found:
            yield from _texts(part)
    elif path.suffix.lower() == ".zip":
        yield from _zipped(path)
    else:
        yield str(path), _decoded(str(path), path.read_bytes())


def _zipped(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [(info, info.filename.rsplit("/", 1)) for info in archive.infolist()]
            files = [
                info
                for info, (*folder, name) in inside
                if _NAME.fullmatch(name) and name.lower().endswith(".json") and "__MACOSX" not in "".join(folder)
            ]
            if not files:
                msg = f"{path} holds no conversations.json. Give the .zip with the conversations as the export gave it."
                raise DatasetError(msg)
            if (size := sum(info.file_size for info in files)) > LARGEST:
                msg = (
                    f"{path} would unpack to {size:,} bytes of conversations; from a .zip at most {LARGEST:,} are "
                    "read. If you trust it, unpack it and give the folder."
                )
                raise DatasetError(msg)
            for info in sorted(files, key=lambda info: info.filename):  # a read stops at the size that was claimed
                name = f"{path}, {info.filename}"
                yield name, _decoded(name, archive.read(info))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read as a .zip: {error}. Download it again, or unpack it and give the folder."
        raise DatasetError(msg) from error


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{name} cannot be read as JSON: it is not UTF-8 ({error.reason}). Take the file as the export gave it."
        raise DatasetError(msg) from error


def _elements(text: str) -> Iterator[Any]:
    """Parse a list element by element, so that a large file's objects need not all be there; anything else as one."""
    decoder = json.JSONDecoder()
    at = _after_space(text, 0)
    if text[at : at + 1] != "[":
        yield decoder.decode(text)
        return
    at = _after_space(text, at + 1)
    more = text[at : at + 1] != "]"
    while more:
        element, at = decoder.raw_decode(text, at)
        yield element
        at = _after_space(text, at)
        more = text[at : at + 1] == ","
        if more:
            at = _after_space(text, at + 1)
    if text[at : at + 1] != "]":
        msg = "Expecting ',' delimiter"
        raise json.JSONDecodeError(msg, text, at)
    at = _after_space(text, at + 1)
    if at != len(text):
        msg = "Extra data"
        raise json.JSONDecodeError(msg, text, at)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at

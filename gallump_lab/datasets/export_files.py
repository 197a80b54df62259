"""The files of an export of Claude or ChatGPT: a .json file, a folder or the .zip as it comes, read piece by piece."""

import re
import zipfile
import zlib
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal, TextIO

from gallump_lab.datasets.table import DatasetError
from gallump_lab.reading.text_files import check_readable, check_unpacked, json_elements

Source = Literal["claude", "chatgpt", "locomo"]

_NAME = re.compile(r"conversations(-\d+)?\.(json|zip)", re.IGNORECASE)


def parts(folder: Path) -> list[Path]:
    """Return a folder's files of conversations in order: conversations.json, conversations-000.json, a .zip of such."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file())


def conversations(path: Path) -> Iterator[Any]:
    """Return what a file, folder or .zip lists as conversations, one after the other; only one is in memory at a time.

    Raises
    ------
    DatasetError
        If a file is not JSON, or a .zip cannot be read, holds no conversations or is too large.
    """
    try:
        for name, text in _texts(path):
            try:
                yield from json_elements(text)
            except (ValueError, RecursionError) as error:
                why = f"it is not UTF-8 ({error.reason})" if isinstance(error, UnicodeDecodeError) else error
                msg = f"{name} cannot be read as JSON: {why}. Take it as the export gave it, or export again."
                raise DatasetError(msg) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        kind = "" if isinstance(error, OSError) else " as a .zip"
        msg = f"{path} cannot be read{kind}: {error}. Download it again, or unpack it and give the folder."
        raise DatasetError(msg) from error


def source(path: Path) -> Source | None:
    """Return whose the conversations are that it holds; None if they are nobody's that is known.

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


def _texts(path: Path) -> Iterator[tuple[str, TextIO]]:
    """Return each file of conversations as its name and its text."""
    if path.is_dir():
        found = parts(path)
        if not found:
            msg = f"{path} holds no conversations.json, conversations-000.json or conversations-000.zip of an export."
            raise DatasetError(msg)
        for part in found:
            yield from _texts(part)
    elif check_readable(path, DatasetError).suffix.lower() == ".zip":
        yield from _zipped(path)
    else:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield str(path), text


def _zipped(path: Path) -> Iterator[tuple[str, TextIO]]:
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
        check_unpacked(path, files, DatasetError)
        for info in sorted(files, key=lambda info: info.filename):
            with archive.open(info) as data, TextIOWrapper(data, encoding="utf-8-sig", newline="") as text:
                yield f"{path}, {info.filename}", text

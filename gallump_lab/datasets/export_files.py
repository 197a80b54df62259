"""The files of an export of Claude or ChatGPT: a .json file, a folder or the .zip as it comes, read piece by piece."""

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal, NoReturn, TextIO

from gallump_lab.datasets.records import DatasetError
from gallump_lab.reading.files import LONGEST, readable, unpacked

Source = Literal["claude", "chatgpt", "locomo"]

_NAME = re.compile(r"conversations(-\d+)?\.(json|zip)", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\n\r]*")
_PIECE = 1_000_000


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
                yield from _elements(text)
            except (ValueError, RecursionError) as error:
                why = f"it is not UTF-8 ({error.reason})" if isinstance(error, UnicodeDecodeError) else error
                msg = f"{name} cannot be read as JSON: {why}. Take it as the export gave it, or export again."
                raise DatasetError(msg) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        kind = "" if isinstance(error, OSError) else " as a .zip"
        msg = f"{path} cannot be read{kind}: {error}. Download it again, or unpack it and give the folder."
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


def _texts(path: Path) -> Iterator[tuple[str, TextIO]]:
    """Return each file of conversations as its name and its text."""
    if path.is_dir():
        found = parts(path)
        if not found:
            msg = f"{path} holds no conversations.json, conversations-000.json or conversations-000.zip of an export."
            raise DatasetError(msg)
        for part in found:
            yield from _texts(part)
    elif readable(path, DatasetError).suffix.lower() == ".zip":
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
        unpacked(path, files, DatasetError)
        for info in sorted(files, key=lambda info: info.filename):
            with archive.open(info) as data, TextIOWrapper(data, encoding="utf-8-sig", newline="") as text:
                yield f"{path}, {info.filename}", text


class _Text:
    """A file's text, of which only as much is in memory as the next value needs."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._decoder = file, json.JSONDecoder()
        self._text, self._at, self._left, self._ended = "", 0, 0, False

    def sign(self, *wanted: str) -> str:
        """Return the next character that is no space, or '' at the end; leave it behind if it is one that is wanted."""
        while (at := _after_space(self._text, self._at)) == len(self._text) and not self._ended:
            self._at = at
            self._read_on()
        found = self._text[at : at + 1]
        self._at = at + (found in wanted)
        return found

    def value(self) -> Any:
        """Parse one value."""
        while True:
            self.sign()
            if len(self._text) - self._at > LONGEST:
                self.refuse(f"A conversation is longer than {LONGEST:,} characters")
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended:
                    self.refuse(error.msg, error.pos)
            else:
                if end < len(self._text) or self._ended:  # else a number may go on
                    self._at = end
                    return value
            self._read_on()

    def refuse(self, words: str, at: int | None = None) -> NoReturn:
        """Raise what is wrong, and where."""
        msg = f"{words} after {self._left + (self._at if at is None else at):,} characters"
        raise ValueError(msg)

    def _read_on(self) -> None:
        """Read a piece, or as much again as a value has already, so that it is not parsed over and over."""
        self._left += self._at
        self._text, self._at = self._text[self._at :], 0
        found = self._file.read(max(_PIECE, min(len(self._text), LONGEST + 1 - len(self._text))))
        self._text, self._ended = self._text + found, not found


def _elements(file: TextIO) -> Iterator[Any]:
    """Parse a list element by element, so that a large file's objects need not all be there; anything else as one."""
    text = _Text(file)
    if text.sign("[") != "[":
        yield text.value()
    elif text.sign("]") != "]":
        yield text.value()
        while (sign := text.sign(",", "]")) == ",":
            yield text.value()
        if sign != "]":
            text.refuse("Expecting ',' delimiter")
    if text.sign():
        text.refuse("Extra data")


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at

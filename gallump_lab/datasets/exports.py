"""Exports of Claude and ChatGPT: the thread of each conversation that was seen last, and a count of all else."""

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal, TextIO

from gallump_lab.datasets.table import Dataset, DatasetError, dataset
from gallump_lab.lazy import regex
from gallump_lab.reading import dates
from gallump_lab.reading.text_files import LARGEST_FILE, Problems, check_readable, json_elements

Service = Literal["claude", "chatgpt"]

_FILE = regex(r"conversations(-\d+)?\.(json|zip)", re.IGNORECASE)
_ZIPPED = regex(r"(^|/)conversations(-\d+)?\.json$", re.IGNORECASE)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_THINKING, _TOOLS, _FILES = "thinking", "calls or results of tools", "images, audio or files"
_HIDDEN, _EMPTY, _MALFORMED = "the system, settings or hidden ones", "an empty text", "an unknown form"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """A message of a conversation's tree."""

    key: str | None = None
    """The source's own id of the message."""
    role: str = "user"
    text: str = ""
    at: datetime | None = None
    """When it was said, UTC."""
    left: str | None = None
    """As what it is left out; None: it is not, if it is in the thread."""
    beside: Sequence[str] = ()
    """What stood in it beside its text and is not taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Talk:
    """A conversation as a tree."""

    name: str
    begun: datetime | None
    entries: Sequence[_Entry | None]
    """None is a node without a message, and counts for nothing."""
    parents: Sequence[int | None]
    """For each entry the place of the one that it follows, or None."""
    current: int | None
    """The place at which the thread ends; None: it ends with the newest entry."""


def read(path: Path, service: Service) -> Dataset:
    """Read an export: conversations.json or conversations-000.json, a folder with such, or the .zip as it comes.

    Of a message its text is taken, what was dictated included; thinking, calls and results of tools, system and hidden
    messages, custom instructions, images and files are left out, and the marks of citations in replies. Conversations
    come in the order in which they began, each with the thread that was seen last: the one that the export names, or
    the one with the newest message. Every message of the export is a row or counted in `left_out`.

    Raises
    ------
    DatasetError
        If it cannot be read or holds no conversation of this service.
    """
    problems = Problems()
    seen = set[tuple[str, str | None]]()
    threads: list[list[dict[str, Any]]] = []
    number = 0
    for found in _conversations(path):
        talk = _TALKS[service](found) if isinstance(found, dict) else None
        if talk is None:
            problems.leave_out("records that are no conversation")
            continue
        number += 1
        if rows := list(_said(talk, f"conversation {number}", seen, problems)):
            threads.append(rows)
    if not number:
        msg = f"{path} holds no conversation of {service}. Give its export as it comes: the .zip or conversations.json."
        raise DatasetError(msg)
    threads.sort(key=lambda rows: rows[0]["created_at"])
    return dataset(problems, [row for rows in threads for row in rows])


def service_of(path: Path) -> Literal["claude", "chatgpt", "locomo"] | None:
    """Return whose conversations a file, folder or .zip holds; None if they are nobody's that is known.

    Raises
    ------
    DatasetError
        If a file is not JSON, or a .zip cannot be read, holds no conversations or is too large.
    """
    for found in _conversations(path):
        if isinstance(found, dict):
            if isinstance(found.get("chat_messages"), list):
                return "claude"
            if isinstance(found.get("mapping"), dict):
                return "chatgpt"
            if "conversation" in found:
                return "locomo"
    return None


def parts(folder: Path) -> list[Path]:
    """Return a folder's files of conversations in order: conversations.json, conversations-000.json, a .zip of such."""
    return sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name) and path.is_file())


def _conversations(path: Path) -> Iterator[Any]:
    """Yield what a file, folder or .zip lists as conversations, one after the other; only one is in memory at a time.

    Raises
    ------
    DatasetError
        As `service_of`.
    """
    try:
        for text in _texts(path):
            yield from json_elements(text)
    except (ValueError, RecursionError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        if isinstance(error, DatasetError):
            raise
        kind = "a .zip" if isinstance(error, (zipfile.BadZipFile, zlib.error, EOFError)) else "JSON"
        msg = f"{path} cannot be read as {kind}: {error}. Take it as the export gave it, or export again."
        raise DatasetError(msg) from error


def _texts(path: Path) -> Iterator[TextIO]:
    """Yield the text of each file of conversations; nothing is unpacked onto the disk."""
    if path.is_dir():
        for part in parts(path):
            yield from _texts(part)
    elif check_readable(path, DatasetError).suffix.lower() != ".zip":
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield text
    else:
        with zipfile.ZipFile(path) as archive:
            found = [info for info in archive.infolist() if _ZIPPED.search(info.filename)]
            files = [info for info in found if "__MACOSX" not in info.filename]
            if (size := sum(info.file_size for info in files)) > LARGEST_FILE:  # a read stops at what was claimed
                msg = f"{path} would unpack to {size:,} bytes; at most {LARGEST_FILE:,} are read. Unpack and split it."
                raise DatasetError(msg)
            for info in sorted(files, key=lambda info: info.filename):
                with archive.open(info) as data, TextIOWrapper(data, encoding="utf-8-sig", newline="") as text:
                    yield text


def _said(talk: _Talk, number: str, seen: set[tuple[str, str | None]], problems: Problems) -> Iterator[dict[str, Any]]:
    """Yield the messages of the thread that was seen last, and count all others; `seen` holds those before."""
    name = talk.name or next((entry.key for entry in talk.entries if entry and entry.key), number)
    thread = _thread(talk)
    for place, entry in enumerate(talk.entries):
        if entry and (entry.left or place not in thread):
            problems.leave_out(f"messages of {entry.left or 'other branches'}")
    latest = talk.begun
    for entry in (talk.entries[place] for place in thread):
        latest = (entry and entry.at) or latest
        if entry is None or entry.left:
            continue
        if latest is None:
            problems.leave_out("messages without a time")
        elif (name, entry.key) in seen:
            problems.leave_out("messages that were read before")
        else:
            if entry.key:
                seen.add((name, entry.key))
            if entry.at is None:
                problems.note("messages without a time, given that of the one before or of the conversation")
            for what in entry.beside:
                problems.note(f"messages with {what} beside the text, which alone was taken")
            row = {"role": entry.role, "text": entry.text, "created_at": latest, "key": entry.key}
            yield row | {"conversation": name}


def _thread(talk: _Talk) -> dict[int, None]:
    """Return the places from a root to the current entry, or to the newest one; a circle is walked once."""
    dated = [(entry.at or _EARLIEST, place) for place, entry in enumerate(talk.entries) if entry]
    place = max(dated, default=(_EARLIEST, None))[1] if talk.current is None else talk.current
    found = dict[int, None]()
    while place is not None and place not in found:
        found[place] = None
        place = talk.parents[place]
    return dict.fromkeys(reversed(found))


# Claude: a list of messages, with blocks of content and parents.

_BLOCKS = {
    "thinking": _THINKING,
    "redacted_thinking": _THINKING,
    "tool_use": _TOOLS,
    "tool_result": _TOOLS,
}
_PLACEHOLDER = regex(r"```\s*This block is not supported on your current device yet\.\s*```")


def _claude(found: Mapping[str, Any]) -> _Talk | None:
    listed = found.get("chat_messages")
    if not isinstance(listed, list):
        return None
    places = {_word(_fields(message).get("uuid")): place for place, message in reversed([*enumerate(listed)])}
    parents: list[int | None] = []
    for place, message in enumerate(listed):
        parent = _word(_fields(message).get("parent_message_uuid"))
        before = place - 1 if place else None  # as in older exports, which name no parents
        parents.append(places.get(parent) if parent else before)  # a first message's parent is an id of no message
    leaf = _word(found.get("current_leaf_message_uuid"))
    return _Talk(
        name=_word(found.get("uuid")),
        begun=_time(found.get("created_at")),
        entries=[_claude_entry(message) for message in listed],
        parents=parents,
        current=places.get(leaf) if leaf else None,
    )


def _claude_entry(message: object) -> _Entry:
    given = _fields(message)
    blocks = [block for block in _items(given.get("content")) if isinstance(block, dict)]
    texts = [_PLACEHOLDER.sub("", _word(given.get("text")))]  # in newer exports all blocks in one, thinking included
    beside: dict[str, None] = {}
    if blocks:
        spoken = [block for block in blocks if block.get("type") in ("text", "voice_note")]
        texts = [_word(block.get("text")) or _word(block.get("transcript")) for block in spoken]
        others = [_word(block.get("type")) for block in blocks if block not in spoken]
        beside = dict.fromkeys(_BLOCKS.get(kind, _FILES) for kind in others)
    if any(_items(given.get(name)) for name in ("attachments", "files", "files_v2")):
        beside[_FILES] = None
    text = "\n\n".join(filter(None, map(str.strip, texts)))
    left = None if text else next(iter(sorted(beside)), _EMPTY)
    sender = given.get("sender")
    if sender not in ("human", "assistant"):
        left = _HIDDEN if sender == "system" else _MALFORMED
    return _Entry(
        key=_word(given.get("uuid")) or None,
        role="user" if sender == "human" else "assistant",
        text=text,
        at=_time(given.get("created_at")),
        left=left,
        beside=[*beside],
    )


# ChatGPT: a tree of nodes, and the node that was seen last.

_KINDS = {
    "user_editable_context": _HIDDEN,
    "model_editable_context": _HIDDEN,
    "thoughts": _THINKING,
    "reasoning_recap": _THINKING,
    **dict.fromkeys(("execution_output", "tether_quote", "tether_browsing_display", "sonic_webpage"), _TOOLS),
    **dict.fromkeys(("computer_output", "citable_code_output", "system_error"), _TOOLS),
}
# A mark is a name and its fields between characters that no font has; in older replies 4\u2020source in brackets.
_MARK = regex(
    "(?<![ \t])[ \t]*(?:\ue200([^\ue200\ue201\n]*)(?:\ue201|$)"
    "|\u3010[^\u3010\u3011\u2020\n]{0,200}\u2020[^\u3010\n]{0,200}\u3011)"
)
_SINGLE = regex("[\ue200-\ue206]")
_NAMED = regex(r'(?:entity\ue202\s*\[\s*"[^"]*"\s*,\s*"|(?:url|link_title)\ue202)([^"\ue202]*)')


def _chatgpt(found: Mapping[str, Any]) -> _Talk | None:
    mapping = found.get("mapping")
    if not isinstance(mapping, dict):
        return None
    places = {key: place for place, key in enumerate(mapping)}
    nodes = [_fields(node) for node in mapping.values()]
    return _Talk(
        name=_word(found.get("conversation_id")) or _word(found.get("id")),
        begun=_time(found.get("create_time")),
        entries=[_chatgpt_entry(key, node.get("message")) for key, node in zip(mapping, nodes, strict=True)],
        parents=[places.get(_word(node.get("parent"))) for node in nodes],
        current=places.get(_word(found.get("current_node"))),
    )


def _chatgpt_entry(key: str, message: object) -> _Entry | None:
    if message is None:
        return None
    given = _fields(message)
    role = _word(_fields(given.get("author")).get("role"))
    metadata, content = _fields(given.get("metadata")), _fields(given.get("content"))
    kind = _word(content.get("content_type")) or "text"
    texts, files = [], bool(_items(metadata.get("attachments")))
    for part in _items(content.get("parts")) or [content.get("text")]:
        if isinstance(part, dict) and part.get("content_type") not in ("text", "audio_transcription"):
            files = True
        else:
            texts.append(_word(part.get("text") if isinstance(part, dict) else part))
    text = "\n".join(filter(str.strip, texts)).strip()
    if role == "assistant":
        text = _SINGLE.sub("", _MARK.sub(_shown, text)).strip()
    reasons = (
        (role == "system" or metadata.get("is_visually_hidden_from_conversation") is True, _HIDDEN),
        (metadata.get("is_user_system_message") is True, _HIDDEN),
        (kind in _KINDS, _KINDS.get(kind, "")),
        (role == "tool", _TOOLS),
        (given.get("channel") == "analysis", _THINKING),
        (role == "assistant" and (kind == "code" or (given.get("recipient") or "all") != "all"), _TOOLS),
        (role not in ("user", "assistant") or kind not in ("text", "multimodal_text"), _MALFORMED),
        (not text, _FILES if files else _EMPTY),
    )
    return _Entry(
        key=_word(given.get("id")) or key,
        role=role,
        text=text,
        at=_time(given.get("create_time")),
        left=next((what for holds, what in reasons if holds), None),
        beside=[_FILES] * files,
    )


def _shown(mark: re.Match[str]) -> str:
    """Return what a mark of a citation names, such as a place or a link's title, with the spaces before it."""
    named = _NAMED.match(mark[1] or "")
    return mark[0].partition("\ue200")[0] + named[1] if named else ""


_TALKS: Mapping[Service, Callable[[Mapping[str, Any]], _Talk | None]] = {"claude": _claude, "chatgpt": _chatgpt}


# Fields of foreign objects, which may hold anything: what is of another type is nothing.


def _time(value: object) -> datetime | None:
    try:
        return dates.instant(value)
    except ValueError:
        return None


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _fields(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

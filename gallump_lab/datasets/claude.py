"""Claude's export of an account's conversations: a list of messages each, with blocks of content and parents."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gallump_lab.datasets import exports
from gallump_lab.datasets.exports import Conversation, Entry, fields, items, moment, word
from gallump_lab.datasets.records import Dataset

_ROLES: dict[str, exports.Role] = {"human": "user", "assistant": "assistant"}
_TEXTS = frozenset({"text", "voice_note"})
_BLOCKS = {
    "thinking": exports.THINKING,
    "redacted_thinking": exports.THINKING,
    "tool_use": exports.CALLS,
    "tool_result": exports.RESULTS,
    "image": exports.FILES,
    "document": exports.FILES,
}
_ALONE = (exports.FILES, exports.CALLS, exports.RESULTS, exports.THINKING)
"""As which of them a message without text is left out: the first that it holds."""
_PLACEHOLDER = re.compile(r"```\s*This block is not supported on your current device yet\.\s*```")


def read(path: Path) -> Dataset:
    """Read Claude's export: conversations.json, a folder with it, or the .zip.

    Of a message its text is taken, what was dictated included. Thinking, calls and results of tools, attachments (their
    extracted text too) and images are left out. A message follows the one that it names as its parent, or, in older
    exports, the one before it; the thread with the newest message is taken.

    Raises
    ------
    DatasetError
        If it cannot be read or is not Claude's.
    """
    return exports.read(path, "Claude", _conversation)


def _conversation(found: dict[str, Any]) -> Conversation | None:
    listed = found.get("chat_messages")
    if not isinstance(listed, list):
        return None
    entries = [_entry(message) for message in listed]
    places: dict[str, int] = {}
    for place, message in enumerate(listed):
        places.setdefault(word(fields(message).get("uuid")), place)
    parents: list[int | None] = []
    for place, message in enumerate(listed):
        parent = word(fields(message).get("parent_message_uuid"))
        before = place - 1 if place else None
        parents.append(places.get(parent) if parent else before)  # a first message's parent is an id of no message
    leaf = word(found.get("current_leaf_message_uuid"))
    return Conversation(
        name=word(found.get("uuid")) or None,
        title=word(found.get("name")),
        begun=moment(found.get("created_at")),
        entries=entries,
        parents=parents,
        current=places.get(leaf) if leaf else None,
    )


def _entry(message: object) -> Entry:
    if not isinstance(message, dict):
        return Entry(left=exports.UNREADABLE)
    sender = word(message.get("sender"))
    texts: list[str] = []
    beside: dict[str, None] = {}
    for text, what in _pieces(message):
        if what:
            beside[what] = None
        else:
            texts.append(text)
    text = "\n\n".join(filter(None, texts))
    left = None if text else next((what for what in _ALONE if what in beside), exports.EMPTY)
    if sender not in _ROLES:
        left = exports.SYSTEM if sender == "system" else f"messages of the sender {sender!r:.40}"
    return Entry(
        key=word(message.get("uuid")) or None,
        role=_ROLES.get(sender, "user"),
        text=text,
        at=moment(message.get("created_at")),
        left=left,
        beside=tuple(beside),
    )


def _pieces(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return each piece of a message: its text, or '' and what it is instead."""
    blocks = [block for block in items(message.get("content")) if isinstance(block, dict)]
    for block in blocks:
        kind = word(block.get("type"))
        if kind in _TEXTS:
            yield (word(block.get("text")) or word(block.get("transcript"))).strip(), ""
        else:
            yield "", _BLOCKS.get(kind, f"blocks of the kind {kind!r:.40}")
    if not blocks:  # otherwise this is all blocks in one, thinking included
        text, tools = _PLACEHOLDER.subn("", word(message.get("text")))
        yield text.strip(), ""
        if tools:
            yield "", exports.CALLS
    if any(items(message.get(name)) for name in ("attachments", "files", "files_v2")):
        yield "", exports.FILES

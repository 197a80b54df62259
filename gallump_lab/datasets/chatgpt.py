"""ChatGPT's export of an account's conversations: a tree of nodes each, and the node that was seen last."""

import re
from pathlib import Path
from typing import Any

from gallump_lab.datasets import exports
from gallump_lab.datasets.exports import Conversation, Entry, fields, items, moment, word
from gallump_lab.datasets.records import Dataset

_ROLES: dict[str, exports.Role] = {"user": "user", "assistant": "assistant"}
_TEXTS = ("text", "multimodal_text")
_INSTRUCTIONS = ("user_editable_context", "model_editable_context")
_THINKING = ("thoughts", "reasoning_recap")
_RESULTS = (
    "execution_output",
    "tether_quote",
    "tether_browsing_display",
    "sonic_webpage",
    "computer_output",
    "citable_code_output",
    "system_error",
)
_SPOKEN = ("text", "audio_transcription")
_CITATIONS = "marks of citations"

# A mark is a name and its fields between characters that no font has; or, in older replies, 【4†source】.
_MARK = re.compile("(?<![ \t])[ \t]*\ue200([^\ue200\ue201\n]*)(?:\ue201|$)")
_OLD_MARK = re.compile("(?<![ \t])[ \t]*【[^【】†\n]{0,200}†[^【】\n]{0,200}】")
_SINGLE = re.compile("[\ue200-\ue206]")
_NAME = re.compile(r'\s*\[\s*"[^"]*"\s*,\s*"([^"]*)"')


def read(path: Path) -> Dataset:
    """Read ChatGPT's export: conversations.json or conversations-000.json, a folder with such, or the .zip.

    Of a message its text is taken, what was spoken included. System and hidden messages, custom instructions, thinking,
    calls and results of tools, images and files are left out, and the marks of citations in replies. The thread from
    the first message to `current_node` is taken, or, where that is missing, the one with the newest message.

    Raises
    ------
    DatasetError
        If it cannot be read or is not ChatGPT's.
    """
    return exports.read(path, "ChatGPT", _conversation)


def _conversation(found: dict[str, Any]) -> Conversation | None:
    mapping = found.get("mapping")
    if not isinstance(mapping, dict):
        return None
    places = {key: place for place, key in enumerate(mapping)}
    nodes = [fields(node) for node in mapping.values()]
    parents = [places.get(word(node.get("parent"))) for node in nodes]
    for place, node in enumerate(nodes):
        for child in (places.get(word(key)) for key in items(node.get("children"))):
            if child is not None and parents[child] is None:
                parents[child] = place
    current = places.get(word(found.get("current_node")))
    return Conversation(
        name=word(found.get("conversation_id")) or word(found.get("id")) or None,
        title=word(found.get("title")),
        begun=moment(found.get("create_time")),
        entries=[_entry(key, node.get("message")) for key, node in zip(mapping, nodes, strict=True)],
        parents=parents,
        current=current,
        unmarked=current is None,
    )


def _entry(key: str, message: object) -> Entry:
    if not isinstance(message, dict):
        return Entry(silent=True) if message is None else Entry(left=exports.UNREADABLE)
    role = word(fields(message.get("author")).get("role"))
    content = message.get("content")
    content = {"parts": [content]} if isinstance(content, str) else fields(content)
    texts, files = [], bool(items(fields(message.get("metadata")).get("attachments")))
    for part in items(content.get("parts")) or [content.get("text")]:
        if isinstance(part, dict) and word(part.get("content_type")) not in _SPOKEN:
            files = True
        else:
            texts.append(word(part.get("text") if isinstance(part, dict) else part))
    text = "\n".join(filter(str.strip, texts)).strip()
    cleaned = _uncited(text) if role == "assistant" else text
    beside = [exports.FILES] * files + [_CITATIONS] * (cleaned != text)
    left = _left(role, word(content.get("content_type")) or "text", message)
    if not left and not cleaned:
        left = exports.FILES if files else exports.EMPTY
    return Entry(
        key=word(message.get("id")) or key,
        role=_ROLES.get(role, "user"),
        text=cleaned,
        at=moment(message.get("create_time")),
        left=left,
        beside=tuple(beside),
    )


def _left(role: str, kind: str, message: dict[str, Any]) -> str | None:
    """Say as what a message is left out, whatever its text."""
    metadata = fields(message.get("metadata"))
    reasons = (
        (kind in _INSTRUCTIONS or metadata.get("is_user_system_message") is True, exports.INSTRUCTIONS),
        (role == "system", exports.SYSTEM),
        (metadata.get("is_visually_hidden_from_conversation") is True, exports.HIDDEN),
        (role == "tool" or kind in _RESULTS, exports.RESULTS),
        (kind in _THINKING or message.get("channel") == "analysis", exports.THINKING),
        (role == "assistant" and (kind == "code" or (message.get("recipient") or "all") != "all"), exports.CALLS),
        (role not in _ROLES, f"messages of the role {role!r:.40}"),
        (kind not in _TEXTS, f"messages of the kind {kind!r:.40}"),
    )
    return next((what for holds, what in reasons if holds), None)


def _uncited(text: str) -> str:
    """Take the marks of citations out of a reply; what a mark names, such as a place or a link's title, stays."""
    return _SINGLE.sub("", _OLD_MARK.sub("", _MARK.sub(_shown, text))).strip()


def _shown(mark: re.Match[str]) -> str:
    name, *rest = mark[1].split("\ue202")
    shown = ""
    if rest and name == "entity":
        named = _NAME.match(rest[0])
        shown = named[1] if named else ""
    elif rest and name in ("url", "link_title"):
        shown = rest[0]
    before = mark[0][: mark[0].index("\ue200")]
    return before + shown if shown else ""

"""Exports of Claude and ChatGPT: the thread of each conversation that was seen last, and a count of all else."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from gallump_lab.datasets.export_files import conversations
from gallump_lab.datasets.table import MESSAGES, Dataset, DatasetError, dataset, frame
from gallump_lab.reading import dates
from gallump_lab.reading.text_files import Problems, counted

Service = Literal["claude", "chatgpt"]
_NAMES: Mapping[Service, str] = {"claude": "Claude", "chatgpt": "ChatGPT"}
_MOST = 2_000_000
_EARLIEST = datetime.min.replace(tzinfo=UTC)

_THINKING, _CALLS, _RESULTS = "messages of thinking", "calls of tools", "results of tools"
_FILES, _EMPTY, _SYSTEM = "messages of images, audio or files alone", "empty messages", "system messages"
_INSTRUCTIONS, _MALFORMED = "messages of custom instructions or memories", "malformed messages"
_WHY: Mapping[str, str] = {
    _SYSTEM: "not said by anybody",
    "hidden messages": "not shown in the conversation",
    _INSTRUCTIONS: "settings, not said in the conversation",
    _THINKING: "thinking is not part of a reply",
    _CALLS: "searches, code and the like, written for a tool",
    _RESULTS: "pages, the output of code and the like, given by a tool",
    _FILES: "without a text",
    _EMPTY: "without a text",
    _MALFORMED: "a message must have an author and a content",
    "messages of other branches": "edited, regenerated or cut off, not in the thread that was seen last",
    "repeated messages": "one of the same id and conversation was read before",
    "messages without a time": "what is before has none either, nor has the conversation",
    "records": "not in the form of a conversation",
}
_BESIDE: Mapping[str, str] = {_FILES: "images, audio or files", _THINKING: "thinking"}
_UNDATED = "messages had no time; each was given that of the one before, or of its conversation."
_UNMARKED = "conversations did not say which thread was seen last; the newest was taken."
_BARE = "conversations held no messages."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """A node of a conversation's tree."""

    key: str | None = None
    """The source's own id of the message."""
    role: str = "user"
    text: str = ""
    at: datetime | None = None
    """When it was said, UTC."""
    left: str | None = None
    """As what it is left out; None: it is not, if it is in the thread."""
    silent: bool = False
    """It is a node without a message, and counts for nothing."""
    beside: tuple[str, ...] = ()
    """What stood in it beside its text and is not taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Thread:
    name: str
    title: str
    begun: datetime | None
    entries: Sequence[_Entry]
    parents: Sequence[int | None]
    """For each entry the place of the one that it follows, or None."""
    current: int | None
    """The place at which the thread ends; None: it ends with the newest entry."""
    unmarked: bool = False
    """It should have said where the thread ends and did not."""


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
    import pandas as pd

    understood = _claude if service == "claude" else _chatgpt
    account = _Account()
    threads: list[list[dict[str, Any]]] = []
    number = entries = 0
    for found in conversations(path):
        conversation = understood(found) if isinstance(found, dict) else None
        if conversation is None:
            account.left["records"] += 1
            continue
        number += 1
        entries += len(conversation.entries)
        if entries > _MOST:
            msg = f"{path} holds more than {_MOST:,} messages; no more are read at once. Give its parts one by one."
            raise DatasetError(msg)
        if rows := list(_said(conversation, f"conversation {number}", account)):
            threads.append(rows)
    if not number:
        msg = f"{path} holds no conversation of {_NAMES[service]}. "
        raise DatasetError(msg + "Give its export as it comes: the .zip or conversations.json.")
    threads.sort(key=lambda rows: rows[0]["created_at"])
    messages = [row for rows in threads for row in rows]
    index = pd.Index([row["where"] for row in messages], dtype=object, name="message")
    return replace(dataset(account.problems()), messages=frame(messages, MESSAGES, index))


class _Account:
    """What became of everything in an export, counted by kind."""

    def __init__(self) -> None:
        self.left, self.beside, self.notes = Counter[str](), Counter[str](), Counter[str]()
        self.seen: set[tuple[str, str | None]] = set()
        """The conversation and key of each message that was taken."""

    def problems(self) -> Problems:
        problems = Problems()
        for what, count in self.left.most_common():
            problems.leave_out(counted(count, what), _WHY.get(what, "not known as something that is said"), count)
        for what, count in self.beside.most_common():
            had = f"{counted(count, 'messages')} had {_BESIDE.get(what, what)}"
            problems.note(f"{had} beside the text, which alone was taken.")
        for words in (_UNDATED, _UNMARKED, _BARE):
            if count := self.notes[words]:
                problems.note(counted(count, words))
        return problems


def _said(conversation: _Thread, number: str, account: _Account) -> Iterator[dict[str, Any]]:
    """Return the messages of the thread that was seen last, and put all others into the account."""
    entries = conversation.entries
    bare = all(entry.silent for entry in entries)
    account.notes[_BARE] += bare
    account.notes[_UNMARKED] += conversation.unmarked and not bare
    name = conversation.name or next((entry.key for entry in entries if entry.key), number)
    along = _thread(entries, conversation.parents, conversation.current)
    in_thread = set(along)
    for place, entry in enumerate(entries):
        if not entry.silent and (entry.left or place not in in_thread):
            account.left[entry.left or "messages of other branches"] += 1
    latest = conversation.begun
    for entry in (entries[place] for place in along):
        latest = entry.at or latest
        if entry.silent or entry.left:
            continue
        if latest is None:
            account.left["messages without a time"] += 1
            continue
        if entry.key and (name, entry.key) in account.seen:
            account.left["repeated messages"] += 1
            continue
        account.seen.add((name, entry.key))
        account.notes[_UNDATED] += entry.at is None
        account.beside.update(entry.beside)
        yield {
            "role": entry.role,
            "text": entry.text,
            "created_at": latest,
            "key": entry.key,
            "conversation": name,
            "where": f"{entry.key} of {conversation.title or name!r:.60}",
        }


def _thread(entries: Sequence[_Entry], parents: Sequence[int | None], current: int | None) -> list[int]:
    """Return the places from a root to the current entry, or to the newest leaf; a circle is walked once."""
    if not entries:
        return []
    found = dict[int, None]()
    place: int | None = _newest_leaf(entries, parents) if current is None else current
    while place is not None and place not in found:
        found[place] = None
        place = parents[place]
    return list(reversed(found))


def _newest_leaf(entries: Sequence[_Entry], parents: Sequence[int | None]) -> int:
    """Return the newest entry, or what follows it without a time of its own."""
    by_age = sorted(range(len(entries)), key=lambda place: (entries[place].at or _EARLIEST, place))
    newest = {parent: place for place in by_age if (parent := parents[place]) is not None}  # that follows an entry
    place, seen = by_age[-1], set[int]()
    while place in newest and place not in seen:
        seen.add(place)
        place = newest[place]
    return place


# Claude: a list of messages, with blocks of content and parents.

_BLOCKS = {
    "thinking": _THINKING,
    "redacted_thinking": _THINKING,
    "tool_use": _CALLS,
    "tool_result": _RESULTS,
    "image": _FILES,
    "document": _FILES,
}
_PLACEHOLDER = re.compile(r"```\s*This block is not supported on your current device yet\.\s*```")


def _claude(found: dict[str, Any]) -> _Thread | None:
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
    return _Thread(
        name=_word(found.get("uuid")),
        title=_word(found.get("name")),
        begun=_time(found.get("created_at")),
        entries=[_claude_entry(message) for message in listed],
        parents=parents,
        current=places.get(leaf) if leaf else None,
    )


def _claude_entry(message: object) -> _Entry:
    if not isinstance(message, dict):
        return _Entry(left=_MALFORMED)
    sender = _word(message.get("sender"))
    texts: list[str] = []
    beside: dict[str, None] = {}
    blocks = [block for block in _items(message.get("content")) if isinstance(block, dict)]
    for block in blocks:
        kind = _word(block.get("type"))
        if kind in ("text", "voice_note"):
            texts.append((_word(block.get("text")) or _word(block.get("transcript"))).strip())
        else:
            beside[_BLOCKS.get(kind, f"blocks of the kind {kind!r:.40}")] = None
    if not blocks:  # otherwise this is all blocks in one, thinking included
        text, tools = _PLACEHOLDER.subn("", _word(message.get("text")))
        texts.append(text.strip())
        beside |= {_CALLS: None} if tools else {}
    if any(_items(message.get(name)) for name in ("attachments", "files", "files_v2")):
        beside[_FILES] = None
    text = "\n\n".join(filter(None, texts))
    left = None if text else next((what for what in (_FILES, _CALLS, _RESULTS, _THINKING) if what in beside), _EMPTY)
    if sender not in ("human", "assistant"):
        left = _SYSTEM if sender == "system" else f"messages of the sender {sender!r:.40}"
    return _Entry(
        key=_word(message.get("uuid")) or None,
        role="user" if sender == "human" else "assistant",
        text=text,
        at=_time(message.get("created_at")),
        left=left,
        beside=tuple(beside),
    )


# ChatGPT: a tree of nodes, and the node that was seen last.

_KINDS = {
    "user_editable_context": _INSTRUCTIONS,
    "model_editable_context": _INSTRUCTIONS,
    "thoughts": _THINKING,
    "reasoning_recap": _THINKING,
    "execution_output": _RESULTS,
    "tether_quote": _RESULTS,
    "tether_browsing_display": _RESULTS,
    "sonic_webpage": _RESULTS,
    "computer_output": _RESULTS,
    "citable_code_output": _RESULTS,
    "system_error": _RESULTS,
}
# A mark is a name and its fields between characters that no font has; or, in older replies, 【4†source】.
_MARK = re.compile("(?<![ \t])[ \t]*\ue200([^\ue200\ue201\n]*)(?:\ue201|$)")
_OLD_MARK = re.compile("(?<![ \t])[ \t]*【[^【】†\n]{0,200}†[^【】\n]{0,200}】")
_SINGLE = re.compile("[\ue200-\ue206]")
_NAME = re.compile(r'\s*\[\s*"[^"]*"\s*,\s*"([^"]*)"')


def _chatgpt(found: dict[str, Any]) -> _Thread | None:
    mapping = found.get("mapping")
    if not isinstance(mapping, dict):
        return None
    places = {key: place for place, key in enumerate(mapping)}
    nodes = [_fields(node) for node in mapping.values()]
    parents = [places.get(_word(node.get("parent"))) for node in nodes]
    for place, node in enumerate(nodes):
        for child in (places.get(_word(key)) for key in _items(node.get("children"))):
            if child is not None and parents[child] is None:
                parents[child] = place
    current = places.get(_word(found.get("current_node")))
    return _Thread(
        name=_word(found.get("conversation_id")) or _word(found.get("id")),
        title=_word(found.get("title")),
        begun=_time(found.get("create_time")),
        entries=[_chatgpt_entry(key, node.get("message")) for key, node in zip(mapping, nodes, strict=True)],
        parents=parents,
        current=current,
        unmarked=current is None,
    )


def _chatgpt_entry(key: str, message: object) -> _Entry:
    if not isinstance(message, dict):
        return _Entry(silent=True) if message is None else _Entry(left=_MALFORMED)
    role = _word(_fields(message.get("author")).get("role"))
    content = message.get("content")
    content = {"parts": [content]} if isinstance(content, str) else _fields(content)
    texts, files = [], bool(_items(_fields(message.get("metadata")).get("attachments")))
    for part in _items(content.get("parts")) or [content.get("text")]:
        if isinstance(part, dict) and _word(part.get("content_type")) not in ("text", "audio_transcription"):
            files = True
        else:
            texts.append(_word(part.get("text") if isinstance(part, dict) else part))
    text = "\n".join(filter(str.strip, texts)).strip()
    cleaned = _without_citations(text) if role == "assistant" else text
    left = _left(role, _word(content.get("content_type")) or "text", message)
    if not left and not cleaned:
        left = _FILES if files else _EMPTY
    return _Entry(
        key=_word(message.get("id")) or key,
        role=role,
        text=cleaned,
        at=_time(message.get("create_time")),
        left=left,
        beside=tuple([_FILES] * files + ["marks of citations"] * (cleaned != text)),
    )


def _left(role: str, kind: str, message: dict[str, Any]) -> str | None:
    """Return as what a message is left out, whatever its text."""
    metadata, known = _fields(message.get("metadata")), _KINDS.get(kind)
    reasons = (
        (known == _INSTRUCTIONS or metadata.get("is_user_system_message") is True, _INSTRUCTIONS),
        (role == "system", _SYSTEM),
        (metadata.get("is_visually_hidden_from_conversation") is True, "hidden messages"),
        (role == "tool" or known == _RESULTS, _RESULTS),
        (known == _THINKING or message.get("channel") == "analysis", _THINKING),
        (role == "assistant" and (kind == "code" or (message.get("recipient") or "all") != "all"), _CALLS),
        (role not in ("user", "assistant"), f"messages of the role {role!r:.40}"),
        (kind not in ("text", "multimodal_text"), f"messages of the kind {kind!r:.40}"),
    )
    return next((what for holds, what in reasons if holds), None)


def _without_citations(text: str) -> str:
    """Return a reply without the marks of citations; what a mark names, such as a place or a link's title, stays."""
    return _SINGLE.sub("", _OLD_MARK.sub("", _MARK.sub(_shown, text))).strip()


def _shown(mark: re.Match[str]) -> str:
    name, *rest = mark[1].split("\ue202")
    shown = ""
    if rest and name == "entity":
        named = _NAME.match(rest[0])
        shown = named[1] if named else ""
    elif rest and name in ("url", "link_title"):
        shown = rest[0]
    return mark[0].partition("\ue200")[0] + shown if shown else ""


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

"""What exports of Claude and ChatGPT have in common: the thread that was seen last, and an account of all else."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from gallump_lab.datasets import export_files
from gallump_lab.datasets.records import INSIGHTS, MESSAGES, QUESTIONS, Dataset, DatasetError, Problems, counted, frame
from gallump_lab.reading import dates

Role = Literal["user", "assistant"]

SYSTEM = "system messages"
HIDDEN = "hidden messages"
INSTRUCTIONS = "messages of custom instructions or memories"
THINKING = "messages of thinking"
CALLS = "calls of tools"
RESULTS = "results of tools"
FILES = "messages of images, audio or files alone"
EMPTY = "empty messages"
UNREADABLE = "malformed messages"
_BRANCHES = "messages of other branches"
_REPEATED = "repeated messages"
_TIMELESS = "messages without a time"
_WHY: Mapping[str, str] = {
    SYSTEM: "not said by anybody",
    HIDDEN: "not shown in the conversation",
    INSTRUCTIONS: "settings, not said in the conversation",
    THINKING: "thinking is not part of a reply",
    CALLS: "searches, code and the like, written for a tool",
    RESULTS: "pages, the output of code and the like, given by a tool",
    FILES: "without a text",
    EMPTY: "without a text",
    UNREADABLE: "a message must have an author and a content",
    _BRANCHES: "edited, regenerated or cut off, not in the thread that was seen last",
    _REPEATED: "one of the same id and conversation was read before",
    _TIMELESS: "what is before has none either, nor has the conversation",
}
_BESIDE: Mapping[str, str] = {FILES: "images, audio or files", THINKING: "thinking"}
_MOST = 2_000_000
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A node of a conversation's tree."""

    key: str | None = None
    """The source's own id of the message."""
    role: Role = "user"
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
class Conversation:
    """A conversation as an export has it: a tree, of which one thread was seen last."""

    name: str | None
    title: str
    begun: datetime | None
    entries: Sequence[Entry]
    parents: Sequence[int | None]
    """For each entry the place of the one that it follows, or None."""
    current: int | None
    """The place at which the thread ends; None: it ends with the newest entry."""
    unmarked: bool = False
    """It should have said where the thread ends and did not."""


def read(path: Path, service: str, understood: Callable[[dict[str, Any]], Conversation | None]) -> Dataset:
    """Read an export with a function that understands one conversation of it, or gives None if it is none.

    Conversations come in the order in which they began, each with the thread that was seen last. Sessions are left to
    silence, as in a table. Every message of the export is a row or counted in `left_out`.

    Raises
    ------
    DatasetError
        If it cannot be read or holds no conversation of this service.
    """
    import pandas as pd

    account = _Account()
    threads: list[list[dict[str, Any]]] = []
    number = entries = 0
    for found in export_files.conversations(path):
        conversation = understood(found) if isinstance(found, dict) else None
        if conversation is None:
            account.strangers += 1
            continue
        number += 1
        entries += len(conversation.entries)
        if entries > _MOST:
            msg = f"{path} holds more than {_MOST:,} messages; no more are read at once. Give its parts one by one."
            raise DatasetError(msg)
        if rows := list(_said(conversation, f"conversation {number}", account)):
            threads.append(rows)
    if not number:
        msg = f"{path} holds no conversation of {service}. Give its export as it comes: the .zip or conversations.json."
        raise DatasetError(msg)
    threads.sort(key=lambda rows: rows[0]["created_at"])
    messages = [row for rows in threads for row in rows]
    problems = account.told()
    return Dataset(
        messages=frame(messages, MESSAGES, pd.Index([row["where"] for row in messages], dtype=object, name="message")),
        questions=frame((), QUESTIONS),
        insights=frame((), INSIGHTS),
        problems=problems.told(),
        left_out=problems.left_out,
    )


class _Account:
    """What became of everything in an export, counted by kind."""

    def __init__(self) -> None:
        self.left = Counter[str]()
        self.beside = Counter[str]()
        self.strangers = self.undated = self.unmarked = self.bare = 0
        self.seen: set[tuple[str, str]] = set()
        """The conversation and key of each message that was taken."""

    def told(self) -> Problems:
        problems = Problems()
        for what, count in self.left.most_common():
            problems.leave_out(counted(count, what), _WHY.get(what, "not known as something that is said"), count)
        if self.strangers:
            problems.leave_out(counted(self.strangers, "records"), "not in the form of a conversation", self.strangers)
        for what, count in self.beside.most_common():
            had = f"{counted(count, 'messages')} had {_BESIDE.get(what, what)}"
            problems.note(f"{had} beside the text, which alone was taken.")
        for count, words in (
            (self.undated, "messages had no time; each was given that of the one before, or of its conversation."),
            (self.unmarked, "conversations did not say which thread was seen last; the newest was taken."),
            (self.bare, "conversations held no messages."),
        ):
            if count:
                problems.note(counted(count, words))
        return problems


def _said(conversation: Conversation, number: str, account: _Account) -> Iterator[dict[str, Any]]:
    """Return the messages of the thread that was seen last, and put all others into the account."""
    entries = conversation.entries
    account.bare += all(entry.silent for entry in entries)
    account.unmarked += conversation.unmarked and any(not entry.silent for entry in entries)
    name = conversation.name or next((entry.key for entry in entries if entry.key), number)
    along = thread(entries, conversation.parents, conversation.current)
    in_thread = set(along)
    for place, entry in enumerate(entries):
        if not entry.silent and (entry.left or place not in in_thread):
            account.left[entry.left or _BRANCHES] += 1
    latest = conversation.begun
    for entry in (entries[place] for place in along):
        latest = entry.at or latest
        if entry.silent or entry.left:
            continue
        if latest is None:
            account.left[_TIMELESS] += 1
            continue
        if entry.key is not None:
            if (name, entry.key) in account.seen:
                account.left[_REPEATED] += 1
                continue
            account.seen.add((name, entry.key))
        account.undated += entry.at is None
        account.beside.update(dict.fromkeys(entry.beside, 1))
        yield {
            "role": entry.role,
            "text": entry.text,
            "created_at": latest,
            "key": entry.key,
            "conversation": name,
            "where": f"{entry.key} of {conversation.title or name!r:.60}",
        }


def thread(entries: Sequence[Entry], parents: Sequence[int | None], current: int | None) -> list[int]:
    """Return the places from a root to the current entry, or to the newest leaf; a circle is walked once."""
    if not entries:
        return []
    if current is None:
        current = _newest_leaf(entries, parents)
    found = dict[int, None]()
    place: int | None = current
    while place is not None and place not in found:
        found[place] = None
        place = parents[place]
    return list(reversed(found))


def _newest_leaf(entries: Sequence[Entry], parents: Sequence[int | None]) -> int:
    """Return the newest entry, or what follows it without a time of its own."""

    def age(place: int) -> tuple[datetime, int]:
        return entries[place].at or _EARLIEST, place

    newest = dict[int, int]()  # the newest of those that follow an entry
    for place in sorted(range(len(entries)), key=age):
        parent = parents[place]
        if parent is not None:
            newest[parent] = place
    place, seen = max(range(len(entries)), key=age), set[int]()
    while place in newest and place not in seen:
        seen.add(place)
        place = newest[place]
    return place


def moment(value: object) -> datetime | None:
    """Return a time, UTC, which is also taken where it has no zone; None if it is none."""
    try:
        return dates.instant(value)
    except ValueError:
        return None


def word(value: object) -> str:
    """Return a text; anything else is ''."""
    return value if isinstance(value, str) else ""


def fields(value: object) -> dict[str, Any]:
    """Return an object; anything else is {}."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return a list; anything else is []."""
    return value if isinstance(value, list) else []

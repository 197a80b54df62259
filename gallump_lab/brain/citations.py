"""What a reply cites of what was recalled: which passage or insight, and where in its text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gallump_lab.memory.records import ContextItem
from gallump_lab.memory.text import one_line

QUOTED = 200
"""So many characters of what is cited a note repeats."""


@dataclass(frozen=True, kw_only=True)
class Citation:
    """One note of a reply."""

    number: int
    """From 1, in the order in which the reply first cites it."""
    kind: str
    """"passage" or "insight"."""
    item_id: int
    message_id: int | None
    """The message that the passage stands in; None for an insight."""
    title: str
    """Its day, its symbol and who said it."""
    text: str
    """How it begins."""
    places: tuple[int, ...]
    """Where in the reply's text the note stands: behind so many characters."""

    def __str__(self) -> str:
        return f"[{self.number}] {self.title}: {self.text}"


def read(cited: Iterable[tuple[int, int]], results: Sequence[ContextItem]) -> tuple[Citation, ...]:
    """Return the notes of a reply, from the places of the search results that it cites and its own places."""
    places: dict[int, list[int]] = {}
    for result, place in cited:
        if 0 <= result < len(results) and place not in places.setdefault(result, []):
            places[result].append(place)
    return tuple(_note(number, results[each], where) for number, (each, where) in enumerate(places.items(), 1))


def _note(number: int, slot: ContextItem, places: Sequence[int]) -> Citation:
    text = one_line(slot.text)
    return Citation(
        number=number,
        kind=slot.kind,
        item_id=slot.item_id,
        message_id=slot.message_id,
        title=titled(slot),
        text=text if len(text) <= QUOTED else f"{text[:QUOTED]}...",
        places=tuple(places),
    )


def titled(slot: ContextItem) -> str:
    """Return what a passage or an insight is called where it is cited: its day, its symbol, who said it."""
    day = f"{slot.created_at:%Y-%m-%d}" if slot.created_at else ""
    who = "learnt" if slot.kind == "insight" else slot.speaker or slot.role
    return ", ".join(filter(None, (day, slot.symbol, who)))


def recorded(notes: Sequence[Citation]) -> list[dict[str, Any]]:
    """Return what a turn records of its notes: nothing that was said, which may be forgotten."""
    return [{"kind": note.kind, "item_id": note.item_id, "places": note.places} for note in notes]


def again(given: Iterable[Mapping[str, Any]], items: Mapping[tuple[str, int], ContextItem]) -> list[Citation]:
    """Return notes as a turn recorded them, by what there still is of the items that they cite."""
    numbered = [(number, each, items.get((each["kind"], each["item_id"]))) for number, each in enumerate(given, 1)]
    return [_note(number, slot, each["places"]) for number, each, slot in numbered if slot]


def marked(text: str, notes: Sequence[Citation]) -> str:
    """Return a reply's text with the numbers of its notes in brackets where they belong."""
    for place, number in placed(text, notes):
        text = f"{text[:place]}[{number}]{text[place:]}"
    return text


def placed(text: str, notes: Sequence[Citation]) -> list[tuple[int, int]]:
    """Return where numbers of notes belong in a reply's text, right behind a word, with these; the last comes first."""
    at = {(len(text[:place].rstrip()), note.number) for note in notes for place in note.places}
    return sorted(at, reverse=True)


def noted(text: str, notes: Sequence[Citation]) -> str:
    """Return a reply's text with its notes listed under it; as it is where there are none."""
    listed = "\n".join(map(str, notes))
    return f"{marked(text, notes)}\n\n{listed}" if notes else text

"""What a prompt carries, as the context inspector shows it: JSON values, text made visible."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gallump_lab.memory import packing
from gallump_lab.memory.records import ContextItem, Item, Overrides
from gallump_lab.memory.text import one_line, terms
from gallump_lab.store import StoreError
from gallump_lab.ui.entries import entry, words
from gallump_lab.ui.markdown import visible

if TYPE_CHECKING:
    from gallump_lab.lab import Lab

SNIPPET = 300
"""So many characters of an item are shown; a click leads to all of it."""

_REASONS = {
    "over budget": "no room left in the budget",
    "over window": "no room left in the window",
    "in HOT": "HOT shows it already",
    "in WARM": "WARM shows it already",
    "duplicate": "said again elsewhere",
    "superseded": "something newer holds",
    "below threshold": "too far from the question",
    "excluded": "excluded by you",
}
_SIGNALS = {"dates": "time", "pin": "pinned by you"}


def preview(  # noqa: PLR0913 (a question's givens)
    lab: "Lab",
    session_id: str | None,
    *,
    text: str,
    watchlist: str,
    pinned: Sequence[Item],
    excluded: Sequence[Item],
    budget: Mapping[str, int] | None,
) -> dict[str, Any]:
    """Return what a question would carry; for one that cannot be asked, the problem."""
    question = text.strip() or "?"  # before anything is typed: what any question would carry
    try:
        config = lab.config
        if budget:
            config = replace(config, budget=replace(config.budget, **budget))
        found = lab.preview(
            question,
            watchlist=watchlist.replace(",", " ").split(),
            session_id=session_id,
            overrides=Overrides(pinned=tuple(pinned), excluded=tuple(excluded)),
            config=config,
        )
    except (ValueError, StoreError) as error:
        return {"problem": words(error)}
    sections = {section.name: section.tokens for section in found.prompt.sections}
    limits = {name: getattr(found.budget, name) for name in ("hot", "warm", "cold", "window", "reply")}
    items = found.budget.hot_messages is not None or found.budget.cold_insights is not None
    notice = found.prompt.session_context.notice
    about = {"cost": found.cost_usd, "most": found.most_usd, "items": items, "notice": notice}
    return _told(sections, packing.used(found.slots), limits, found.slots, question) | about


def carried(lab: "Lab", message_id: int) -> dict[str, Any]:
    """Return what the turn of a reply did carry.

    Raises
    ------
    ValueError
        If the reply, or its turn, has been forgotten.
    """
    if (turn := _message(lab, message_id)["turn"]) is None:
        msg = f"Nothing is recorded of the turn of message {message_id} any more: its question was forgotten."
        raise ValueError(msg)
    question = _message(lab, turn["question_id"])
    return _told(turn["tokens"], turn["used"], turn["budget"], lab.slots(turn["turn_id"]), question["text"])


def source(lab: "Lab", *, kind: str, item: int, message: int | None) -> dict[str, Any]:
    """Return where an item comes from: its message with the two before it, or the messages that an insight rests on.

    Raises
    ------
    ValueError
        If the message has been forgotten.
    """
    if kind == "insight":
        frame = lab.insights.frame
        sources = frame.loc[frame["insight_id"] == item, "sources"].explode().dropna()
        rows = [row for each in sources for row in lab.transcript(limit=1, before=int(each) + 1)]
        rows = [row for row in rows if row["message_id"] in set(sources)]  # one may have been forgotten
    else:
        found = _message(lab, message or item)
        rows = lab.transcript(limit=3, before=found["message_id"] + 1, session_id=found["session_id"])
    return {"message": message, "kind": kind, "entries": [entry(row) for row in rows]}


def _message(lab: "Lab", message_id: int) -> dict[str, Any]:
    """Return a message, and none that stands before it where it has been forgotten meanwhile."""
    for row in lab.transcript(limit=1, before=message_id + 1):
        if row["message_id"] == message_id:
            return row
    msg = f"Message {message_id} has been forgotten."
    raise ValueError(msg)


def _told(
    sections: Mapping[str, int],
    used: Mapping[str, int],
    budget: Mapping[str, int],
    slots: Sequence[ContextItem],
    question: str,
) -> dict[str, Any]:
    total = sum(sections.values())
    parts = {tier.upper(): used[tier] for tier in packing.TIERS}
    parts["Market"] = sections.get("market", 0) + sections.get("portfolio", 0)
    parts["Question"] = sections.get("question", 0)
    parts["Instructions"] = total - sum(parts.values())  # the headings of the tiers too
    asked = set(terms(question))
    return {
        "parts": [{"name": name, "tokens": count, "budget": budget.get(name.lower())} for name, count in parts.items()],
        "tokens": total,
        "window": budget["window"],
        "reply": budget["reply"],
        "slots": [_slot(slot, asked) for slot in slots],
    }


def _slot(slot: ContextItem, asked: set[str]) -> dict[str, Any]:
    said = (word.strip(".,;:!?()[]\"'*_`") for word in slot.text.split())
    shared = dict.fromkeys(word.casefold() for word in said if asked.intersection(terms(word)))
    text = visible(one_line(slot.text))
    return {
        "tier": slot.tier,
        "kind": slot.kind,
        "item": slot.item_id,
        "message": slot.message_id,
        "role": slot.role,
        "symbol": slot.symbol,
        "at": slot.created_at and slot.created_at.isoformat(),
        "text": text if len(text) <= SNIPPET else f"{text[:SNIPPET]}\u2026",
        "tokens": slot.tokens,
        "kept": slot.kept,
        "why": _why(slot, [visible(word) for word in shared]),
    }


def _why(slot: ContextItem, shared: Sequence[str]) -> str:
    """Return why an item stands in the prompt, or why it does not."""
    if not slot.kept:
        return _REASONS[slot.reason]
    said = [f"{_SIGNALS.get(name, name)} {gain / 1e6:.2f}" for name, gain in slot.signals.items() if gain]
    if slot.tier == "hot":
        said.insert(0, "newest of this session")
    elif slot.tier == "cold" and slot.signals.get("pin"):
        said = ["pinned by you"]
    if shared and slot.tier != "hot":
        said.append(f"shares {', '.join(shared[:6])}")
    return " \u00b7 ".join(said)

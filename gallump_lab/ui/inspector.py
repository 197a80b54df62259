"""What a prompt carries: the context inspector, in the chat or on one question (`Explorer`), and a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from gallump_lab.lazy import alt, pd
from gallump_lab.memory import records
from gallump_lab.memory.kinds import parted
from gallump_lab.memory.outdated import told
from gallump_lab.memory.recall import why
from gallump_lab.memory.records import ContextItem, Item, Overrides
from gallump_lab.memory.text import one_line, shared, terms
from gallump_lab.reading.shown import unmarked, visible
from gallump_lab.store import StoreError
from gallump_lab.study.colours import COLOURS, INK
from gallump_lab.study.pictures import PARTS, Picture, picture
from gallump_lab.ui.widget import Widget, entry, joined, plain, words

if TYPE_CHECKING:
    from gallump_lab.brain.preview import Preview
    from gallump_lab.lab import Lab

SNIPPET = 300
"""So many characters of an item are shown; a click leads to all of it."""

_REASONS = {
    "over budget": "no room left in the budget",
    "over window": "no room left in the window",
    "in HOT": "HOT shows it already",
    "in WARM": "WARM shows it already",
    "duplicate": "another item says the same",
    "superseded": "replaced by something newer",
    "below threshold": "too little to do with the question",
    "excluded": "excluded by you",
}
_NOTHING = {
    "hot": "nothing yet, the session begins here",
    "warm": "nothing, no past session speaks of this",
    "cold": "nothing, no insights on this",
}
"""Of a tier without candidates."""


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
    about = {"cost": found.cost_usd, "most": found.most_usd, "items": items, "notice": found.notice}
    return _describe(sections, records.used(found.slots), limits, found.slots, question) | about


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
    question, rewritten = _message(lab, turn["question_id"])["text"], turn["rewritten"]
    found = _describe(turn["tokens"], turn["used"], turn["budget"], lab.slots(turn["turn_id"]), rewritten or question)
    return found | {"notice": rewritten and f"Recall looked for: {visible(rewritten)}"}


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


def _describe(
    sections: Mapping[str, int],
    used: Mapping[str, int],
    budget: Mapping[str, int],
    slots: Sequence[ContextItem],
    question: str,
) -> dict[str, Any]:
    total = sum(sections.values())
    parts = {tier.upper(): used[tier] for tier in records.TIERS}
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
        "nothing": {tier: _nothing(tier, slots) for tier in records.TIERS},
    }


def _nothing(tier: str, slots: Sequence[ContextItem]) -> str:
    """Return what to say of a tier that keeps nothing: why not even its first candidate."""
    reason = next((slot.reason for slot in slots if slot.tier == tier and not slot.kept), None)
    if reason is None:
        return _NOTHING[tier]
    return "nothing matches well" if reason == "below threshold" else f"nothing, {_REASONS[reason]}"


def _slot(slot: ContextItem, asked: set[str]) -> dict[str, Any]:
    names = ("tier", "kind", "item_id", "message_id", "role", "symbol", "created_at", "tokens", "kept")
    found: dict[str, Any] = plain({name: getattr(slot, name) for name in names})
    text = visible(one_line(unmarked(slot.text)))
    found["text"] = text if len(text) <= SNIPPET else f"{text[:SNIPPET]}\u2026"
    said = dict.fromkeys(slot.text[start:stop].casefold() for start, stop in shared(slot.text, asked))
    return found | {"why": _why(slot, [*said])}


def _why(slot: ContextItem, shared: Sequence[str]) -> str:
    """Return why an item stands in the prompt, or why it does not."""
    mark = [told(against)] if (against := slot.outdated or slot.unconfirmed) else []
    if not slot.kept:
        silent = slot.reason == "below threshold" and slot.role and not parted(slot.text, slot.role)[0]
        return " \u00b7 ".join([*mark, "states nothing" if silent else _REASONS[slot.reason]])
    said = [why(slot)] if slot.signals else []
    if slot.tier == "hot":
        said.insert(0, "newest of this session")
    elif slot.tier == "cold" and slot.signals.get("pin"):
        said = ["pinned by you"]
    if shared and slot.tier != "hot":
        said.append(f"shares {', '.join(shared[:6])}")
    if slot.cited is not None:
        said.append("cited" if slot.cited else "not cited")
    return " \u00b7 ".join([*mark, *said])


class Inspecting(Widget):
    """A widget that has the context inspector in it."""

    lab: "Lab"
    session_id: str | None

    def _on_preview(self, view: str, serial: int, **asked: Any) -> None:
        found = preview(self.lab, self.session_id, **asked)
        self.send({"type": "inspected", "view": view, "of": None, "serial": serial, **found})

    def _on_source(self, view: str, **item: Any) -> None:
        self.send({"type": "source", "view": view, **source(self.lab, **item)})


class Explorer(Inspecting):
    """One question's prompt under budgets that sliders set; nothing is sent or applied.

    Parameters
    ----------
    lab : Lab
        Whose memory is shown.
    question : str
        What would be asked.
    watchlist : sequence of str
        Its symbols.
    session_id : str, optional
        The session to carry on.

    Attributes
    ----------
    preview : Preview
        What the question would send under the budgets in force.

    Raises
    ------
    ValueError, PromptTooLong, StoreError
        As `Lab.ask`.

    Examples
    --------
    >>> lab.explore("Where is my AAPL stop?", watchlist=["AAPL"])
    """

    _esm = joined("parts.js", "entries.js", "inspector.js", "explorer.js")
    _css = joined("chat.css", "inspector.css")

    def __init__(self, lab: "Lab", question: str, watchlist: Sequence[str] = (), session_id: str | None = None) -> None:
        self.lab, self.session_id = lab, session_id
        self.preview = lab.preview(question, watchlist, session_id)
        self._asked = {"text": question, "watchlist": ", ".join(watchlist)}
        super().__init__()

    def __repr__(self) -> str:
        """Return how full the budgets are; a notebook's file holds nothing of what was said."""
        return repr(self.preview)

    def _static(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"

    def _on_ready(self, view: str) -> None:
        budget = {tier: getattr(self.preview.budget, tier) for tier in records.TIERS}
        self.send({"type": "question", "view": view, "budget": budget, **self._asked})


_LABELS = {
    "hot": "the current session",
    "warm": "relevant earlier talk",
    "cold": "insights",
    "market": "market data",
    "question": "the question",
    "schema": "recommendation schema",
}
"""Of a prompt's sections; the others go by their names."""


def prompt_tokens(preview: "Preview") -> Picture:
    """Draw what a question would carry: one bar a section, in the prompt's order, in the model's tokens."""
    used = records.used(preview.slots)
    spent = {tier: f"  ({number:,} of {getattr(preview.budget, tier):,} used)" for tier, number in used.items()}
    rows = [
        {
            "section": _LABELS.get(section.name, section.name),
            "part": PARTS.get(section.name, "instructions"),
            "tokens": section.tokens,
            "label": f"{section.tokens:,}{spent.get(section.name, '')}",
        }
        for section in preview.prompt.sections
    ]
    frame, plain = pd.DataFrame(rows), alt.Axis(grid=False)
    room = alt.Scale(domainMax=1.5 * frame["tokens"].max())
    bars = (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("tokens:Q", title="tokens, headings included", axis=plain, scale=room),
            y=alt.Y("section:N", sort=None, title=None, axis=plain),
            color=alt.Color("part:N", title=None, scale=alt.Scale(domain=[*COLOURS], range=[*COLOURS.values()])),
            tooltip=["section", "part", "tokens"],
        )
    )
    labels = bars.mark_text(align="left", dx=4).encode(text="label:N", color=alt.value(INK))
    words = ", ".join(f"{row['section']} {row['tokens']:,}" for row in rows)
    left = preview.budget.window - preview.budget.reply - preview.tokens
    return picture(
        bars + labels,
        f"Tokens by section: {words}",
        f"This question would carry {preview.tokens:,} tokens",
        f"{left:,} of the window's tokens stay free",
        width=460,
        height=24 * len(rows),
    )

"""What another configuration would have changed of one past turn's prompt, in words and item by item."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gallump_lab.brain.prompt import Prompt
from gallump_lab.memory.records import ContextItem

if TYPE_CHECKING:
    import pandas as pd

    from gallump_lab.study.replay import Replayed

SHOWN = 5
"""So many items of each kind the words quote."""
_QUOTED = 90  # characters of each


def beyond(prompt: Prompt | None, other: Prompt | None) -> list[ContextItem]:
    """Return what stands in one prompt and not in another; moving to another tier is no difference.

    An item is a passage or an insight. The guide's message of 200 characters is an item of its own.
    """
    there = {(slot.kind, slot.item_id) for slot in _kept(other)}
    return [slot for slot in _kept(prompt) if (slot.kind, slot.item_id) not in there]


def _kept(prompt: Prompt | None) -> list[ContextItem]:
    return [slot for slot in prompt.slots if slot.kept] if prompt else []


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One turn's prompt under its own configuration and under the one that was tried."""

    turn: "Replayed"

    @property
    def frame(self) -> "pd.DataFrame":
        """One row an item that stands in either prompt.

        Returns
        -------
        pandas.DataFrame
            tier, kind, item_id, message_id, tokens, before, after, why, text. `before` and `after`: whether it stands
            in the prompt of the turn's own configuration and in the one tried, `why` what the latter says of it (kept,
            over budget, in HOT, ...; missing: it was no near miss). The rest is as in the latter if it stands there.
        """
        import pandas as pd

        before, after = (
            {(slot.kind, slot.item_id): slot for slot in _kept(prompt)}
            for prompt in (self.turn.before, self.turn.prompt)
        )
        why = {(slot.kind, slot.item_id): slot.reason for slot in (self.turn.prompt.slots if self.turn.prompt else ())}
        rows = [
            {name: getattr(slot, name) for name in ("tier", "kind", "item_id", "message_id", "tokens", "text")}
            | {"before": item in before, "after": item in after, "why": why.get(item)}
            for item, slot in (before | after).items()
        ]
        columns = ["tier", "kind", "item_id", "message_id", "tokens", "before", "after", "why", "text"]
        found = pd.DataFrame(rows, columns=columns).astype({"message_id": "Int64"})
        return found.sort_values("tier", key=lambda tier: tier.map(_ORDER), kind="stable", ignore_index=True)

    def __repr__(self) -> str:
        """Return what is other, in tokens, USD and items."""
        turn = self.turn
        head = f"Turn {turn.turn_id}, {_quoted(turn.past.question or 'its question was forgotten')}"
        if turn.prompt is None or turn.before is None:
            return f"{head}\ncannot be compared: {turn.problem}"
        if turn.prompt is turn.before:
            changed = f"not called the same, for these have changed: {', '.join(turn.changed)}"
            same = "byte for byte as sent" if turn.identical else "not the bytes that were sent"
            return f"{head}\n{changed if turn.changed else same}: {turn.prompt.tokens:,} tokens"
        lines = [
            head,
            f"{tokens(turn.before.tokens, turn.prompt.tokens)}, {dollars(turn.cost_before, turn.cost)} for the prompt",
            *_listed("came in", turn.came_in),
            *_listed("fell out", turn.fell_out),
        ]
        if turn.changed:
            lines.append(
                f"Compared with its own replay, which is not what was sent: {', '.join(turn.changed)} changed."
            )
        return "\n".join(lines)


_ORDER = {"hot": 0, "warm": 1, "cold": 2}


def _listed(what: str, slots: Sequence[ContextItem]) -> list[str]:
    lines = [f"{slot.tier.upper()}, {slot.tokens} tokens: {_quoted(slot.text)}" for slot in slots[:SHOWN]]
    more = len(slots) - len(lines)
    return [f"{len(slots)} {what}{':' if lines else ''}", *(f"  {line}" for line in lines)] + (
        [f"  and {more} more"] if more else []
    )


def _quoted(text: str) -> str:
    words = " ".join(text.split())
    return f'"{words if len(words) <= _QUOTED else words[:_QUOTED] + "..."}"'


def tokens(before: float, after: float) -> str:
    """Return how a number of tokens changes."""
    if math.isnan(before) or math.isnan(after):
        return "tokens not known"
    share = f", {after / before - 1:+.0%}" if before else ""
    return f"{before:,.0f} -> {after:,.0f} tokens ({after - before:+,.0f}{share})"


def dollars(before: float | None, after: float | None) -> str:
    """Return how a cost in USD changes."""
    if before is None or after is None or math.isnan(before) or math.isnan(after):
        return "price not known"
    return f"${before:.4f} -> ${after:.4f} ({after - before:+.4f})"

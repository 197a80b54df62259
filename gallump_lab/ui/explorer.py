"""Sliders under a prompt: move a tier's budget and see what comes in and what falls out."""

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets  # type: ignore[import-untyped]

from gallump_lab.config import ConfigError
from gallump_lab.memory import packing
from gallump_lab.picture import COLOURS
from gallump_lab.secrets import masked

if TYPE_CHECKING:
    from gallump_lab.brain.conversation import Preview
    from gallump_lab.lab import Lab
    from gallump_lab.memory.records import ContextItem

MOST = {"hot": 4_000, "warm": 2_000, "cold": 800}
"""How far each slider goes, in the model's tokens; further where more is applied."""
STEP = 50
NEXT = 5
"""So many of those that no longer fit are shown."""


class Explorer(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
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
    """

    def __init__(self, lab: "Lab", question: str, watchlist: Sequence[str] = (), session_id: str | None = None) -> None:
        self._lab, self._question = lab, question
        self._watchlist, self._session_id = tuple(watchlist), session_id
        budget = lab.config.budget
        self.sliders = {
            tier: widgets.IntSlider(
                value=getattr(budget, tier),
                max=max(most, getattr(budget, tier)),
                step=STEP,
                description=tier.upper(),
                style={"handle_color": COLOURS[tier.upper()]},
                layout=widgets.Layout(width="28em"),
            )
            for tier, most in MOST.items()
        }
        self._shown = widgets.HTML()
        super().__init__([*self.sliders.values(), self._shown])
        for slider in self.sliders.values():
            slider.observe(self._redraw, names="value")
        self._redraw()

    @property
    def preview(self) -> "Preview":
        """What the question would send under the sliders' budgets."""
        config = self._lab.config
        values = {tier: slider.value for tier, slider in self.sliders.items()}
        tried = replace(config, budget=replace(config.budget, **values))
        return self._lab.preview(self._question, self._watchlist, self._session_id, config=tried)

    def __repr__(self) -> str:
        """Return how full the budgets are; a notebook's file holds nothing of what was said."""
        return repr(self.preview)

    def _repr_mimebundle_(self, **given: Any) -> dict[str, Any]:
        """Return what a notebook shows and, for where it cannot, how full the budgets are."""
        return {**super()._repr_mimebundle_(**given), "text/html": _filled(self.preview)}

    def _redraw(self, _change: Any = None) -> None:
        try:
            self._shown.value = _drawn(self.preview)
        except ConfigError as error:
            self._shown.value = f"<p>{escape(str(error))}</p>"


def _filled(preview: "Preview") -> str:
    """Draw how full the budgets are, as bars and counts."""
    used = packing.used(preview.slots)
    limits = {tier: getattr(preview.budget, tier) for tier in used}
    whole = max(sum(limits.values()), sum(used.values()), 1)
    bars = "".join(_bar(tier.upper(), spent / whole, max(limits[tier], spent) / whole) for tier, spent in used.items())
    count = ", ".join(f"{tier.upper()} {spent:,} of {limits[tier]:,}" for tier, spent in used.items())
    cost = "" if preview.cost_usd is None else f", ${preview.cost_usd:.4f}"
    return f'<div aria-hidden="true">{bars}</div><p>{count}; the whole prompt {preview.tokens:,} tokens{cost}</p>'


def _drawn(preview: "Preview") -> str:
    """Draw the budgets, every kept slot and the next in line; what was said is escaped."""
    kept = "".join(_line(slot) for slot in preview.slots if slot.kept)
    missed = [
        slot for tier in packing.TIERS for slot in preview.slots if slot.tier == tier and slot.reason == "over budget"
    ]
    rest = f"<p>Over budget, next in line:</p>{''.join(map(_line, missed[:NEXT]))}" if missed else ""
    return (
        f'{_filled(preview)}<div style="max-height:22em;overflow:auto">{kept}<div style="opacity:.6">{rest}</div></div>'
    )


def _bar(tier: str, used: float, room: float) -> str:
    """Draw a tier's budget as a frame, filled as far as it is used; widths are shares of all budgets."""
    return (
        f'<span title="{tier}" style="display:inline-block;height:1em;width:{40 * room:.2f}em;margin-right:2px;'
        f'box-shadow:inset 0 0 0 1px {COLOURS[tier]}"><span style="display:block;height:1em;width:{40 * used:.2f}em;'
        f'background:{COLOURS[tier]}"></span></span>'
    )


def _line(slot: "ContextItem") -> str:
    tier = slot.tier.upper()
    return (
        f'<div style="border-left:4px solid {COLOURS[tier]};margin:2px 0;padding-left:6px;line-height:1.35">'
        f'<span style="opacity:.65">{tier} {slot.tokens}</span> {escape(masked(" ".join(slot.line.split())))}</div>'
    )

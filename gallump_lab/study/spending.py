"""Spending: a lab's recorded costs by day, model and section of the prompt."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from gallump_lab.brain import prices
from gallump_lab.brain.answer import Usage
from gallump_lab.brain.models import price_of_answer
from gallump_lab.reading.text_files import counted
from gallump_lab.store import Catalogue, runs
from gallump_lab.study import pictures
from gallump_lab.study.pictures import Picture

NOTHING = "Nothing was spent: no call of these days has a recorded cost."

_TOKENS = [each.name for each in fields(Usage)]
_CALLS = f"""
select began_at, r.model, r.cost_usd, kind, sections::text as sections, rewriting::text as rewriting, answered,
       stop_reason, toml, {", ".join(_TOKENS)}
from {prices.RECORDED} r left join turns using (turn_id) left join configs using (config_id)
where r.cost_usd is distinct from 0 and began_at >= coalesce($since, began_at)
"""  # noqa: S608


@dataclass(frozen=True, kw_only=True, eq=False)
class Spending:
    """What a lab spent on what; `lab.spending` makes it."""

    frame: pd.DataFrame
    """One row a day, model and section: day (its first moment, UTC), model (as asked for), section and usd.

    Sections are the prompt's, which share what the fresh input cost by their tokens as estimated; then "cache read",
    "cache write", "reply", "thinking", "rewriting", "distilling" and "batch". "not told" is what cannot be shared out:
    a turn under way, at most, and one whose server did not tell all of its usage, from above."""
    spent: prices.Spent
    """Today's and this month's."""
    unpriced: int
    """Calls of these days of which no cost is known; no figure holds them."""

    def by(self, column: str) -> "pd.Series[float]":
        """Sum USD by "day", "model" or "section", the largest first."""
        return self.frame.groupby(column)["usd"].sum().sort_values(ascending=False, kind="stable")

    def plot(self) -> Picture:
        """Draw what each day cost, stacked by section.

        Raises
        ------
        ValueError
            If nothing was spent.
        """
        if self.frame.empty:
            raise ValueError(NOTHING)
        return pictures.spending(self)

    def __repr__(self) -> str:
        """Sum up."""
        today, month = prices.usd(self.spent.today), prices.usd(self.spent.month)
        lines = [f"Spent {today} today, {month} this month (UTC days, recorded costs)"]
        if self.frame.empty:
            lines.append(NOTHING)
        else:
            models, sections = self.by("model"), self.by("section")
            lines.append(f"By model: {', '.join(f'{name} {prices.usd(usd)}' for name, usd in models.items())}")
            share = sections.iloc[0] / sections.sum()
            lines.append(f"Largest section: {sections.index[0]}, {prices.usd(sections.iloc[0])} ({share:.0%})")
        if self.unpriced:
            lines.append(f"Not in these sums: {counted(self.unpriced, 'calls')} of which no cost is known")
        return "\n".join(lines)


def spending(catalogue: Catalogue, now: datetime, days: int | None = None) -> Spending:
    """Return what was spent on what in the last so many UTC days, or ever; see `Lab.spending`."""
    since = None if days is None else prices.midnight(now) - timedelta(days=days - 1)
    with catalogue.read() as con:
        spent, found = prices.spent(con, now), con.execute(_CALLS, {"since": since})
        names = [column[0] for column in found.description]
        calls = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    priced = [call for call in calls if call["cost_usd"] is not None]
    rows = [[call["began_at"], call["model"], *part] for call in priced for part in _parts(call).items()]
    frame = pd.DataFrame(rows, columns=["day", "model", "section", "usd"]).astype({"day": "datetime64[us]"})
    frame["day"] = frame["day"].dt.floor("D").dt.tz_localize("UTC")
    frame = frame.astype({"usd": "float64"}).groupby(["day", "model", "section"], as_index=False).sum()
    return Spending(frame=frame, spent=spent, unpriced=len(calls) - len(priced))


def _parts(call: Mapping[str, Any]) -> dict[str, float]:
    """Share out what a call cost, USD; a turn by the prices of its time."""
    cost = call["cost_usd"]
    if call["kind"] != "turn":
        return {call["kind"]: cost}
    before = json.loads(call["rewriting"] or "{}").get("cost_usd") or 0.0
    known = price_of_answer(call["model"], call["answered"], runs.read(call["toml"]).model)
    parts: dict[str, float] = {}
    if known and call["stop_reason"] and call["input_tokens"] is not None:
        usage = Usage(**{name: call[name] or 0 for name in _TOKENS})
        parts = known.parts(usage)
        parts["thinking"] = parts["output"] * usage.thinking_tokens / max(usage.output_tokens, 1)
        parts["reply"] = parts.pop("output") - parts["thinking"]
        parts |= _shares(parts.pop("input"), json.loads(call["sections"]))
    return _shares(cost - before, parts) | ({"rewriting": before} if before else {})


def _shares(amount: float, weights: Mapping[str, float]) -> dict[str, float]:
    """Share out an amount by weights; where there are none it is not told what it was for."""
    total = sum(weights.values())
    if total <= 0:
        return {"not told": amount} if amount else {}
    return {name: amount * weight / total for name, weight in weights.items() if weight and amount}

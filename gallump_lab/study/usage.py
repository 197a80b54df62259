"""Tokens: what turns were estimated at and what they took, where it went, what was cut, and what it costs."""

import json
import math
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from gallump_lab.brain.answer import Usage
from gallump_lab.brain.models import Price, price
from gallump_lab.brain.prompt import SECTIONS
from gallump_lab.config import Budget, Config, Model
from gallump_lab.memory import records
from gallump_lab.memory.context import learnt_factor, prepare
from gallump_lab.memory.corpus import Corpus
from gallump_lab.progress import progress
from gallump_lab.reading.text_files import counted
from gallump_lab.store import Snapshot, query, runs
from gallump_lab.study import pictures
from gallump_lab.study.pictures import Picture
from gallump_lab.study.rank import checked_snapshot
from gallump_lab.study.replay import Prices, past_turns
from gallump_lab.tokens import OFFLINE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PRESETS = {
    "the guide's 5 messages and 10 insights": Config.guide(),
    "80/15/5 percent of 2,700 tokens": Config(budget=Budget.shares(2_700, 0.80, 0.15, 0.05)),
    "2,000/500/200 tokens": Config(),
}
"""What `Tokens.guide` compares."""
MONTH = 365.25 / 12
"""Days."""
ITEMS = {"hot": "messages", "warm": "passages", "cold": "insights"}
NOTHING = "No turn is recorded in this snapshot: ask something (lab.ask, lab.chat), then take another."

_TURNS = """
select turn_id, asked_at, model, token_factor, sections::text as sections, input_tokens, output_tokens,
       cache_read_tokens, cache_write_tokens, rewriting::text as rewriting
from turns order by turn_id
"""
_CUT = """
select tier,
       count(*) filter (kept) as kept,
       count(*) filter (reason = 'over budget') as over_budget,
       count(*) filter (reason = 'over window') as over_window,
       count(*) filter (reason not in ('kept', 'over budget', 'over window')) as passed_over,
       count(distinct turn_id) filter (reason = 'over budget') as turns_over_budget,
       count(distinct turn_id) filter (reason = 'over window') as turns_over_window
from slots group by tier order by array_position(['hot', 'warm', 'cold'], tier)
"""


@dataclass(frozen=True, kw_only=True)
class Billed:
    """What turns cost, USD, at list prices or the user's; NaN where nothing is priced."""

    mean: float
    """A turn, on average."""
    p50: float
    p95: float
    month: float
    """A month at the lab's own pace."""
    words: str
    """What the month assumes, and what could not be priced."""

    def __repr__(self) -> str:
        """Return the figures in a line, and what they rest on."""
        if math.isnan(self.mean):
            return f"cost not known: {self.words}"
        turn = f"${self.mean:.4f} a turn (median {self.p50:.4f}, p95 {self.p95:.4f})"
        return f"{turn}, ${self.month:,.2f} a month: {self.words}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokens:
    """What the turns of a snapshot took; `study.tokens` makes it."""

    turns: pd.DataFrame
    """One row a turn: turn_id, asked_at (UTC), model, factor, estimated (the prompt's tokens), actual (as the server
    counted them; missing: it did not say), reply (tokens), cost (USD), and the tokens of each section, as estimated."""
    by_model: pd.DataFrame
    """One row a model: turns; estimated and actual (prompt tokens of the turns whose server said) and their ratio;
    learnt_factor (its tokens per cl100k token, in use now)."""
    cut: pd.DataFrame
    """One row a tier, over all turns: items that were kept, over_budget, over_window and passed_over (in HOT,
    duplicate, ...), and in how many turns (turns_over_budget, turns_over_window). Of what was not kept a turn records
    a tier's first 20, so more may have wanted in."""
    snapshot: Snapshot = field(repr=False)

    @property
    def sections(self) -> pd.DataFrame:
        """One row a section, in the prompt's order: mean, p95 and max tokens a turn, and share of all prompt tokens."""
        given = self.turns[list(SECTIONS)].astype("float64")
        share = given.sum() / (given.sum().sum() or math.nan)
        found = {"mean": given.mean(), "p95": given.quantile(0.95), "max": given.max(), "share": share}
        return pd.DataFrame(found).rename_axis("section").reset_index()

    @property
    def by_month(self) -> bool:
        """Whether `over_time` goes by month: the turns lie more than 92 days apart."""
        return bool((self.turns["asked_at"].max() - self.turns["asked_at"].min()).days > 92)

    @property
    def over_time(self) -> pd.DataFrame:
        """One row a day or month with turns; see `by_month`.

        Returns
        -------
        pandas.DataFrame
            period (its first moment, UTC), turns, cost (USD), reply (tokens), and each section's tokens in all.
        """
        naive = self.turns["asked_at"].dt.tz_localize(None)
        period = naive.dt.to_period("M" if self.by_month else "D").dt.start_time.dt.tz_localize("UTC")
        grouped = self.turns.groupby(period.rename("period"))
        found = grouped[["cost", "reply", *SECTIONS]].sum(min_count=1)
        found.insert(0, "turns", grouped.size())
        return found.reset_index()

    @property
    def cost(self) -> Billed:
        """What a turn costs, and a month at the lab's own pace."""
        known, number, notes = self.turns["cost"].dropna(), len(self.turns), []
        month = math.nan
        if len(known):
            a_month, words = pace(self.turns["asked_at"])
            month = float(known.mean()) * number * a_month
            notes.append(words)
        if unpriced := number - len(known):
            notes.append(f"{unpriced:,} of {number:,} turns have no price or no usage and are left out")
        if (self.turns["model"] == OFFLINE).any() and not known.any():
            notes.append(f"the offline analyst is free (prices={{{OFFLINE!r}: (USD in, USD out)}} prices its tokens)")
        p50, p95 = known.quantile([0.5, 0.95])
        return Billed(mean=float(known.mean()), p50=p50, p95=p95, month=month, words="; ".join(notes) or NOTHING)

    @cached_property
    def guide(self) -> pd.DataFrame:
        """What these turns would have used of each tier under each of `PRESETS`; replays them, once.

        Returns
        -------
        pandas.DataFrame
            preset, tier, budget, mean and p95 (of the model's tokens, used by a turn), unused (share of the budget, on
            average; negative where the guide's count of items takes more), turns (that could be replayed).
        """
        corpus, presets, used = Corpus(), [*PRESETS.values()], []
        prepare(corpus, self.snapshot)
        with self.snapshot.read() as con:
            turns = [turn for turn in past_turns(con) if not turn.gone]
            for turn in progress(turns, desc="Replaying", unit=" turns", delay=2):
                found = (turn.context(con, corpus, config, turn.token_factor) for config in presets)
                used.append([records.used(each.slots) for each in found])
        rows = []
        for place, (preset, config) in enumerate(PRESETS.items()):
            for tier in records.TIERS:
                spent = pd.Series([each[place][tier] for each in used], dtype="float64")
                budget, mean = getattr(config.budget, tier), spent.mean()
                rows.append([preset, tier, budget, mean, spent.quantile(0.95), 1 - mean / budget, len(turns)])
        table = pd.DataFrame(rows, columns=["preset", "tier", "budget", "mean", "p95", "unused", "turns"])
        return table.round({"mean": 0, "p95": 0, "unused": 2}).astype({"mean": "Int64", "p95": "Int64"})

    def plot(self) -> Picture:
        """Draw where tokens went over time; its words say how near the estimates came to what the server counted.

        Raises
        ------
        ValueError
            If there is no turn.
        """
        if self.turns.empty:
            raise ValueError(NOTHING)
        return pictures.tokens(self)

    def __repr__(self) -> str:
        """Sum up."""
        if self.turns.empty:
            return NOTHING
        lines = [f"Tokens of {len(self.turns):,} turns: {self.turns['estimated'].mean():,.0f} a prompt, as estimated"]
        shares = self.sections.set_index("section")["share"]
        lines.append(", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share > 0))
        for row in self.by_model.to_dict("records"):
            factor = (
                f"; {row['learnt_factor']:.3f} of its tokens to a cl100k token" if row["learnt_factor"] != 1 else ""
            )
            lines.append(f"{row['model']}: {counted(row['turns'], 'turns')}; {pictures.counts(row['ratio'])}{factor}")
        for row in self.cut.to_dict("records"):
            budget, window = (
                f"{row[f'over_{what}']:,} (in {counted(row[f'turns_over_{what}'], 'turns')})"
                if row[f"over_{what}"]
                else "none"
                for what in ("budget", "window")
            )
            kept = f"{row['tier'].upper()}: {row['kept']:,} {ITEMS[row['tier']]} kept"
            lines.append(f"{kept}; {budget} did not fit its budget; {window} hit the model's window")
        return "\n".join([*lines, repr(self.cost)])


def pace(asked_at: "pd.Series[Any]") -> tuple[float, str]:
    """Return a month as a multiple of what these turns are, at their own pace, and that pace in words."""
    first, last = asked_at.min(), asked_at.max()
    days = (last.normalize() - first.normalize()).days + 1
    there = f"{first:%Y-%m-%d} to {last:%Y-%m-%d} ({len(asked_at):,} in {counted(days, 'days')})"
    return MONTH / days, f"as many turns a day as from {there}, for {MONTH:.1f} days"


def tokens(snapshot: Snapshot, prices: Prices | None = None) -> Tokens:
    """Return what turns were estimated at and what they took, where it went, what was cut, and what it costs.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gave.
    prices : mapping of str to (float, float), optional
        USD per million tokens, in and out, by model name; they win over those of the configuration in force, and they
        over the list prices.

    Returns
    -------
    Tokens
        Without turns it says so, and its figures are NaN.

    Raises
    ------
    ConfigError
        If a price is no price.

    Examples
    --------
    >>> study.tokens(lab.snapshot(), prices={"qwen3:8b": (0.1, 0.4)}).cost
    """
    checked_snapshot(snapshot)
    mine = Model(prices=prices or {}).prices
    with snapshot.read() as con:
        config = runs.applied(con)
        turns = _turns(con, {**config.model.prices, **mine})
        by_model = _by_model(con, turns, config)
        return Tokens(turns=turns, by_model=by_model, cut=query.table(con, _CUT), snapshot=snapshot)


def _turns(con: "DuckDBPyConnection", prices: Prices) -> pd.DataFrame:
    rows = []
    for turn_id, at, model, factor, text, *given, before in con.execute(_TURNS).fetchall():
        sections, known = json.loads(text), price(model, prices)
        actual = reply = cost = None
        if None not in given[:2]:
            sent, reply, read, written = (number or 0 for number in given)
            usage = Usage(input_tokens=sent, output_tokens=reply, cache_read_tokens=read, cache_write_tokens=written)
            actual, cost = usage.prompt_tokens, known and known.cost(usage) + _rewriting(before, known)
        estimated = (sections.get(name, 0) for name in SECTIONS)
        rows.append([turn_id, at, model, factor, sum(sections.values()), actual, reply, cost, *estimated])
    columns = ["turn_id", "asked_at", "model", "factor", "estimated", "actual", "reply", "cost", *SECTIONS]
    kinds = dict.fromkeys(["actual", "reply", "cost"], "float64") | {"asked_at": "datetime64[us]"}
    found = pd.DataFrame(rows, columns=columns).astype(kinds)
    return found.assign(asked_at=found["asked_at"].dt.tz_localize("UTC"))


def _rewriting(recorded: str | None, known: Price) -> float:
    """Return what rewriting a question cost: its tokens at this price, or as recorded where they are not known."""
    took = json.loads(recorded or "{}")
    tokens = {each.name: took[each.name] for each in fields(Usage) if each.name in took}
    return known.cost(Usage(**tokens)) if tokens else float(took.get("cost_usd") or 0.0)


def _by_model(con: "DuckDBPyConnection", turns: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Return what each model's turns were estimated at and took."""
    told = turns[turns["actual"].notna()].groupby("model")[["estimated", "actual"]].sum()
    found = turns.groupby("model").size().rename("turns").to_frame().join(told.astype("float64"))
    found["ratio"] = found["actual"] / found["estimated"]
    found["learnt_factor"] = [learnt_factor(con, str(model), config) for model in found.index]
    return found.reset_index()

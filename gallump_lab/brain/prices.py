"""What a call costs, and what a day may: list prices, USD per million tokens, are in data/models.toml.

They move: `Model.prices` overrides them. Of a model that is not listed no cost is known, which is not a cost of 0.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, final

from gallump_lab import tokens
from gallump_lab.brain.answer import Usage
from gallump_lab.bundled import bundled
from gallump_lab.config import Model
from gallump_lab.store import times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_CACHE_READ, _CACHE_WRITE = 0.1, 1.25  # times the input price; a write lasts 5 minutes


@final
@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model's tokens cost, in USD per million."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    """Into the cache of 5 minutes."""
    longest_prompt: float = math.inf
    """Prompt tokens up to which this is the price."""
    longer: "Price | None" = None
    """The price of a call with a longer prompt."""

    def cost(self, usage: Usage) -> float:
        """Return what a call cost, in USD."""
        if self.longer and usage.prompt_tokens > self.longest_prompt:
            return self.longer.cost(usage)
        return (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_read_tokens * self.cache_read
            + usage.cache_write_tokens * self.cache_write
        ) / 1e6


def _price(row: Mapping[str, Any]) -> Price:
    """Build a price from a row of the list; what a read or write of the cache costs follows the input's price."""
    longer = row.get("longer")
    return Price(
        input=row["input"],
        output=row["output"],
        cache_read=row.get("cache_read", row["input"] * _CACHE_READ),
        cache_write=row["input"] * _CACHE_WRITE,
        longest_prompt=row.get("longest_prompt", math.inf),
        longer=_price(longer) if longer else None,
    )


@cache
def models() -> dict[str, Any]:
    """Read what ships about models: `as_of`, the day the list prices are of, and `prices` by model name."""
    return tomllib.loads(bundled("models.toml").read_text(encoding="utf-8"))


def price(model: str, overrides: Mapping[str, tuple[float, float]] | None = None) -> Price | None:
    """Find a model's price: the longest known name that its own name begins with.

    A snapshot ("claude-sonnet-5-5-20260901", "...-latest", "...@20260901") costs what its model costs, and a provider's
    prefix ("anthropic/", "us.anthropic.") is passed over. A further version number makes another model:
    "claude-sonnet-5" does not price "claude-sonnet-5-7".

    Parameters
    ----------
    model : str
        The model's name, as its server knows it.
    overrides : mapping of str to (float, float), optional
        USD per million tokens, in and out, by model name; they win over the list.

    Examples
    --------
    >>> price("claude-haiku-4-5").cost(Usage(input_tokens=1_000_000, output_tokens=0))
    1.0
    """
    mine = {name: {"input": given, "output": taken} for name, (given, taken) in (overrides or {}).items()}
    for table in (mine, models()["prices"] | {tokens.OFFLINE: {"input": 0, "output": 0}}):
        fitting = [name for name in table if _is(_plain(name), _plain(model))]
        if fitting:
            return _price(table[max(fitting, key=len)])
    return None


def confirmed(words: str) -> bool:
    """Show the user what asking a model will take, and return whether to go on; the way to ask where none is given."""
    return input(f"{words}\nGo on? [y/N] ").strip().lower() in {"y", "yes"}


class PriceUnknown(RuntimeError):
    """A spending limit is set, but no price is known for the model, so it could not be kept; nothing was asked."""


class SpendingLimit(RuntimeError):
    """The day's recorded costs have reached the configured limit; nothing was asked.

    Attributes
    ----------
    spent, limit : float
        USD.
    """

    def __init__(self, spent: float, limit: float) -> None:
        self.spent, self.limit = spent, limit
        super().__init__(
            f"Today's replies cost {_usd(spent)} (UTC day), the limit is {_usd(limit)}. "
            "Raise model.max_usd_per_day, or wait for tomorrow; nothing was asked."
        )


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 0.1 or not amount else f"${amount:.2g}"


def check_spending(con: "DuckDBPyConnection", now: datetime, model: Model, coming: float = 0.0) -> None:
    """Stop a call once the UTC day's recorded costs have reached the limit, if one is set, or would with `coming` USD.

    Raises
    ------
    SpendingLimit
        With both figures, USD.
    PriceUnknown
        If the model has no price to keep the limit by.
    """
    limit, name = model.max_usd_per_day, model.answering
    if limit is None:
        return
    if price(name, model.prices) is None:
        msg = (
            f"No price is known for {name}, so model.max_usd_per_day cannot be kept; nothing was asked. "
            f"Set model.prices[{name!r}] = (USD in, USD out), per million tokens."
        )
        raise PriceUnknown(msg)
    if (spent := spent_today(con, now)) + coming >= limit:
        raise SpendingLimit(spent, limit)


def spent_today(con: "DuckDBPyConnection", now: datetime) -> float:
    """Sum the recorded costs of the UTC day, USD: those of turns, under way ones at most, and of distilling."""
    day = times.naive(now).replace(hour=0, minute=0, second=0, microsecond=0)
    (spent,) = con.execute(
        "select coalesce(sum(cost_usd), 0) from (select cost_usd, asked_at as began_at from turns "
        "union all select (turn->>'cost_usd')::double, (turn->>'asked_at')::timestamp from drafts "
        "union all select cost_usd, began_at from distillings) where began_at >= $day and began_at < $next",
        {"day": day, "next": day + timedelta(days=1)},
    ).fetchone() or (0.0,)
    return float(spent)


def _plain(name: str) -> str:
    return re.sub(r"(?<=\d)\.(?=\d)", "-", name.lower())  # some providers write 4.5 for 4-5


def _is(name: str, model: str) -> bool:
    return bool(re.search(rf"(?:^|[./]){re.escape(name)}(?![a-z0-9])(?!-\d{{1,2}}(?!\d))", model))

"""What a day may cost: the recorded costs of a lab, held to the configured limit."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gallump_lab.brain.models import price
from gallump_lab.config import Model
from gallump_lab.store import times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def confirmed(words: str) -> bool:
    """Show the user what asking a model will take, and return whether to go on; the way to ask where none is given."""
    try:
        return input(f"{words}\nGo on? [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, NotImplementedError):  # a script without a terminal; a kernel that nobody sits at
        msg = f"{words} Nobody is there to say yes: pass confirm=lambda words: True to go on. Nothing was asked."
        raise RuntimeError(msg) from None


class PriceUnknown(RuntimeError):
    """A spending limit is set, but no price is known for the model, so it could not be kept; nothing was asked."""


class SpendingLimit(RuntimeError):
    """The day's recorded costs have reached the configured limit; nothing was asked.

    Attributes
    ----------
    spent, limit : float
        USD.
    """

    def __init__(self, spent: float, limit: float, coming: float = 0.0) -> None:
        self.spent, self.limit = spent, limit
        more = f"this may cost {_usd(coming)} more, " if coming else ""
        super().__init__(
            f"Today's replies cost {_usd(spent)} (UTC day), {more}the limit is {_usd(limit)}. "
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
            "Say, per million tokens: lab.apply(replace(lab.config, model=replace(lab.config.model, "
            f"prices={{{name!r}: (USD in, USD out)}})))"
        )
        raise PriceUnknown(msg)
    if (spent := spent_today(con, now)) + coming >= limit:
        raise SpendingLimit(spent, limit, coming)


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

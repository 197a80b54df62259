"""What a day may cost: the recorded costs of a lab, held to the configured limit."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from gallump_lab.brain.models import price
from gallump_lab.config import Model
from gallump_lab.store import times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RECORDED = """(
    select asked_at as began_at, model, cost_usd, 'turn' as kind, turn_id from turns
    union all
    select (turn->>'asked_at')::timestamp, turn->>'model', (turn->>'cost_usd')::double, 'not told', null from drafts
    union all
    select began_at, distiller, cost_usd, if(latency is null, 'batch', 'distilling'), null from distillings
    where state != 'running' or owner not like '% %'
)"""
"""Every recorded cost, USD: a turn's with its rewriting, at most while it is under way (a draft), and a distilling's;
missing where no price is known. A batch's answers have no latency; a live distilling under way has no cost yet."""
_SPENT = f"""
select coalesce(sum(cost_usd) filter (began_at >= $day), 0), coalesce(sum(cost_usd) filter (began_at >= $month), 0),
       count(*) filter (cost_usd is null and began_at >= $month), count(*) filter (cost_usd is distinct from 0) > 0
from {RECORDED} where began_at < $next
"""  # noqa: S608


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
        more = f"this may cost {usd(coming)} more, " if coming else ""
        super().__init__(
            f"Today's replies cost {usd(spent)} (UTC day), {more}the limit is {usd(limit)}. "
            "Raise model.max_usd_per_day, or wait for tomorrow; nothing was asked."
        )


def usd(amount: float) -> str:
    """Return an amount in words, so that a small one does not become zero."""
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
    if (today := spent(con, now).today) + coming >= limit:
        raise SpendingLimit(today, limit, coming)


class Spent(NamedTuple):
    """What a lab's recorded costs come to, USD; see `RECORDED`."""

    today: float
    """The UTC day's."""
    month: float
    """The UTC month's, until the day's end."""
    unpriced: int
    """The month's calls of which no cost is known; the sums leave them out."""
    ever: bool
    """Whether any call, of whenever, was not free."""


def spent(con: "DuckDBPyConnection", now: datetime) -> Spent:
    """Sum the recorded costs of the UTC day and month."""
    day = midnight(now)
    found = con.execute(_SPENT, {"day": day, "month": day.replace(day=1), "next": day + timedelta(days=1)}).fetchone()
    return Spent(*found or (0.0, 0.0, 0, False))


def midnight(now: datetime) -> datetime:
    """Return when the UTC day began, as the lab records times."""
    return times.naive(now).replace(hour=0, minute=0, second=0, microsecond=0)

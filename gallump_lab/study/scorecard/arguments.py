"""What `study.insights` was given, checked, and which insights it is to judge."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gallump_lab.config import Budget
from gallump_lab.study.rankings import Rankings
from gallump_lab.study.scorecard.recorded import Recorded
from gallump_lab.study.scorecard.records import Stated

if TYPE_CHECKING:
    import pandas as pd


def check(ranks: Any, budget: Any, broker: Any) -> None:
    """Refuse what is of another kind; None is always right.

    Raises
    ------
    ValueError
        Naming the argument, what was given and the mend.
    """
    if ranks is not None and not isinstance(ranks, Rankings):
        msg = f"ranks must be what study.rank(snapshot) gives, not {ranks!r}; leave it out to rank here."
        raise ValueError(msg)
    if budget is not None and not isinstance(budget, Budget):
        msg = f"budget must be a Budget, such as Budget(cold=300), not {budget!r}."
        raise ValueError(msg)
    if broker is not None and not callable(getattr(broker, "bars", None)):
        msg = (
            f"broker must have a method bars(symbol, days), as FileBroker has; {type(broker).__name__} has none. "
            "Leave it out for the bundled bars."
        )
        raise ValueError(msg)


def moment(found: Recorded, at: datetime | None) -> datetime | None:
    """Return the moment to judge for: the one asked for, or the newest message's; None where nothing was ever said.

    Raises
    ------
    ValueError
        If nothing had been said by then.
    """
    said = [each.created_at for each in found.messages]
    if at is not None and said and at < min(said):
        msg = (
            f"at is {at:%Y-%m-%d %H:%M}, and the talk begins on {min(said):%Y-%m-%d %H:%M}: nothing is known yet. "
            "Give a later moment, or leave it out for the newest message's."
        )
        raise ValueError(msg)
    return at or max(said, default=None)


def judged(
    found: Recorded, chosen: "pd.DataFrame | None", at: datetime | None
) -> tuple[list[Stated], Mapping[str, int]]:
    """Return the insights to judge, in order of arrival, and of the others how many are left out for which reason.

    Raises
    ------
    ValueError
        If there are none, or `chosen` is no frame of insights that are there.
    """
    wanted = None if chosen is None else _ids(found, chosen)
    reasons = [_left_out(each, found, wanted, at) for each in found.insights]
    kept = [each for each, reason in zip(found.insights, reasons, strict=True) if not reason]
    if not kept:
        msg = (
            f"None of {len(found.insights):,} insights is to be judged. Distil some (lab.distill()), add some "
            "(lab.insights.add(...)), or choose others: study.insights(snapshot, chosen=lab.insights.frame)."
        )
        raise ValueError(msg)
    return kept, Counter(filter(None, reasons))


def _left_out(each: Stated, found: Recorded, wanted: frozenset[int] | None, at: datetime | None) -> str:
    if wanted is not None:
        return "" if each.insight_id in wanted else "not chosen"
    if each.insight_id in found.superseded:
        return "superseded"
    if each.insight_id in found.retired:
        return "retired"
    over = at is not None and each.valid_until is not None and each.valid_until < at
    return "past their own horizon" if over else ""


def _ids(found: Recorded, chosen: Any) -> frozenset[int]:
    import pandas as pd

    if not isinstance(chosen, pd.DataFrame) or "insight_id" not in chosen:
        has = (
            f"one with the columns {', '.join(map(str, chosen))}" if isinstance(chosen, pd.DataFrame) else repr(chosen)
        )
        msg = (
            f"chosen must be a DataFrame with the column insight_id, not {has}. Choose rows: "
            "lab.insights.frame.query('insight_id in [1, 2]')."
        )
        raise ValueError(msg)
    known = [each.insight_id for each in found.insights]
    there = chosen["insight_id"].isin(known)
    if not there.all():
        unknown: Sequence[Any] = chosen["insight_id"][~there].tolist()
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        msg = (
            f"chosen names insights that the snapshot has not: {', '.join(map(str, unknown[:5]))}{more}. Take rows of "
            "lab.insights.frame, and a snapshot made after them."
        )
        raise ValueError(msg)
    return frozenset(map(int, chosen["insight_id"]))

"""What the scorecard works on: insights as they were stated, the recorded talk that they rest on, and scores."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from gallump_lab.config import Config
from gallump_lab.memory import ledger
from gallump_lab.memory.records import Learnt, Message, check_rows
from gallump_lab.store import Snapshot, runs, times


@dataclass(frozen=True, kw_only=True)
class Stated(Learnt):
    """One insight as it is judged; it holds until its own horizon, or until the day on which another took its place."""

    insight_id: int
    valid_from: datetime
    """Since when it holds, UTC."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a metric gives an insight."""

    value: float
    """NaN where there is nothing to score."""
    why: str = ""
    """In words: why it is NaN, or what was missing for the best value."""


class History:
    """The recorded talk, by message and by session.

    Parameters
    ----------
    messages : iterable of Message
        In order of arrival.
    """

    def __init__(self, messages: Iterable[Message]) -> None:
        self.messages: Mapping[int, Message] = {message.message_id: message for message in messages}

    def cited(self, insight: Stated) -> list[Message]:
        """Return the messages that an insight cites and that are there, in order of arrival."""
        return [self.messages[each] for each in sorted(set(insight.sources)) if each in self.messages]

    @cached_property
    def sessions(self) -> Mapping[str, Sequence[Message]]:
        """Each session's messages, in order of arrival."""
        found: dict[str, list[Message]] = {}
        for message in self.messages.values():
            found.setdefault(message.session_id, []).append(message)
        return found


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A snapshot's insights and talk."""

    insights: Sequence[Stated]
    """All of them, in order of arrival."""
    gone: Mapping[int, str]
    """Why an insight no longer stands: "superseded" or "retired", by its id."""
    grades: Mapping[int, int]
    """People's newest grades, by insight id."""
    history: History
    config: Config
    """What is applied in the lab."""


def recorded(snapshot: Snapshot) -> Recorded:
    """Read a snapshot's insights, superseded and retired ones too, its messages and its config."""
    with snapshot.read() as con:
        found = con.execute(ledger.FRAME, ledger.EVER)
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        said = con.execute(f"select {Message.COLUMNS} from messages order by message_id").fetchall()  # noqa: S608
        applied = runs.applied(con)
    began = {row["insight_id"]: row["valid_from"] for row in rows}
    insights, gone = [], {}
    for row in rows:
        ends = [each for each in (row["valid_until"], began.get(row["superseded_by"])) if each is not None]
        row |= {"valid_from": times.aware(row["valid_from"]), "valid_until": times.aware(min(ends)) if ends else None}
        row["sources"] = tuple(sorted(set(row["sources"])))
        insights.append(Stated(**{name: row[name] for name in Stated.__dataclass_fields__.keys() & row.keys()}))
        if row["retired"] or row["superseded_by"] is not None:
            gone[row["insight_id"]] = "retired" if row["superseded_by"] is None else "superseded"
    return Recorded(
        insights=insights,
        gone=gone,
        grades={row["insight_id"]: row["grade"] for row in rows if row["grade"] is not None},
        history=History(map(Message.of, said)),
        config=applied,
    )


def moment_of(found: Recorded, at: datetime | None) -> datetime | None:
    """Return the moment to judge for: the one asked for, or the newest message's; None where nothing was ever said."""
    said = [each.created_at for each in found.history.messages.values()]
    if at is None:
        return max(said, default=None)
    times.naive(at, "at")
    if said and at < min(said):
        msg = f"at is {at:%Y-%m-%d %H:%M}, before the talk began on {min(said):%Y-%m-%d %H:%M}. Give a later moment."
        raise ValueError(msg)
    return at


def chosen_of(found: Recorded, chosen: Any, at: datetime | None) -> tuple[list[Stated], Mapping[str, int]]:
    """Return the insights to judge, in order of arrival, and of the others how many are left out for which reason."""
    wanted = None if chosen is None else _wanted(found, chosen)
    kept, left_out = [], Counter[str]()
    for each in found.insights:
        over = at is not None and each.valid_until is not None and each.valid_until < at
        reason = found.gone.get(each.insight_id, "past their own horizon" if over else "")
        if wanted is not None:
            reason = "" if each.insight_id in wanted else "not chosen"
        left_out[reason] += 1
        kept += [] if reason else [each]
    if not kept:
        msg = (
            f"None of {len(found.insights):,} insights is to be judged. Distil some (lab.distill()), add some "
            "(lab.insights.add(...)), or choose others: study.insights(snapshot, chosen=lab.insights.frame)."
        )
        raise ValueError(msg)
    del left_out[""]
    return kept, left_out


def _wanted(found: Recorded, chosen: Any) -> frozenset[int]:
    """Return the ids of the rows that a caller chose."""
    check_rows(chosen, "chosen", "lab.insights.frame", "insight_id")
    wanted = frozenset(chosen["insight_id"])
    if unknown := wanted - {each.insight_id for each in found.insights}:
        some = ", ".join(map(str, sorted(unknown, key=str)[:5]))
        msg = f"chosen names {len(unknown):,} insights that the snapshot has not, such as {some}."
        raise ValueError(msg)
    return wanted

"""What a scorecard reads of a snapshot: its insights as they were stated, its messages, what people think of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gallump_lab.config import Config
from gallump_lab.memory import ledger
from gallump_lab.memory.records import Message
from gallump_lab.store import Snapshot, runs, times
from gallump_lab.study.scorecard.records import Stated

_MESSAGE = ("message_id", "session_id", "role", "text", "symbol", "created_at", "state", "speaker")


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A snapshot's insights and talk."""

    insights: Sequence[Stated]
    """All of them, in order of arrival; one that was superseded held until then."""
    superseded: frozenset[int]
    """The ids of those whose place another has taken."""
    retired: frozenset[int]
    grades: Mapping[int, int]
    """People's newest grades, by insight id."""
    messages: Sequence[Message]
    config: Config
    """What is applied in the lab."""


def recorded(snapshot: Snapshot) -> Recorded:
    """Read a snapshot."""
    with snapshot.read() as con:
        found = con.execute(ledger.FRAME, ledger.EVER)
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        said = con.execute(f"select {', '.join(_MESSAGE)} from messages order by message_id").fetchall()  # noqa: S608
        applied = runs.applied(con)
    began = {row["insight_id"]: row["valid_from"] for row in rows}
    return Recorded(
        insights=[_stated(row, began.get(row["superseded_by"])) for row in rows],
        superseded=frozenset(row["insight_id"] for row in rows if row["superseded_by"] is not None),
        retired=frozenset(row["insight_id"] for row in rows if row["retired"]),
        grades={row["insight_id"]: row["grade"] for row in rows if row["grade"] is not None},
        messages=[
            Message(**dict(zip(_MESSAGE, row, strict=True)) | {"created_at": times.aware(row[5])}) for row in said
        ],
        config=applied,
    )


def _stated(row: Mapping[str, Any], superseded: Any) -> Stated:
    given = {name: row[name] for name in Stated.__dataclass_fields__}
    ends = [each for each in (row["valid_until"], superseded) if each is not None]
    given["sources"] = tuple(sorted(set(row["sources"])))
    given["valid_from"] = times.aware(row["valid_from"])
    given["valid_until"] = times.aware(min(ends)) if ends else None
    return Stated(**given)

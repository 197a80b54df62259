"""What the analyst decided on recommendations: a record, never an order."""

import json
from datetime import datetime
from typing import Literal, get_args

from gallump_lab import secrets as masking
from gallump_lab.memory.text import storable
from gallump_lab.secrets import masked
from gallump_lab.store import Store, times

Verdict = Literal["accepted", "rejected"]
MAX_CHARACTERS = 2_000


def decide(  # noqa: PLR0913 (a decision's fields)
    store: Store, now: datetime, turn_id: int, position: int, *, verdict: Verdict, note: str = ""
) -> None:
    """Record a decision; see `Lab.decide`."""
    if verdict not in get_args(Verdict):
        msg = f"verdict must be 'accepted' or 'rejected', not {verdict!r}."
        raise ValueError(msg)
    if not isinstance(note, str) or len(note) > MAX_CHARACTERS:
        msg = f"note must be text of at most {MAX_CHARACTERS:,} characters, not {masked(str(note))[:40]!r}."
        raise ValueError(msg)
    masking.warn("note", note, stacklevel=3)
    with store.write() as con:
        found = con.execute("select recommendations::text from turns where turn_id = ?", [turn_id]).fetchone()
        given = json.loads(found[0] or "[]") if found else []
        if not isinstance(position, int) or not 0 <= position < len(given):
            msg = f"position {position!r} of turn {turn_id!r} is no recommendation; the turn has {len(given)}, from 0."
            raise ValueError(msg)
        con.execute(
            "insert into decisions values (nextval('decision_ids'), ?, ?, ?, ?, ?, ?)",
            [turn_id, position, given[position]["symbol"], verdict, masked(storable(note)), times.naive(now)],
        )

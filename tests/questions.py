"""A lab of rules, one a day, and labelled questions about them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from gallump_lab import Lab

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
Asked = tuple[str, int, Sequence[int]]
"""A text, the day on which it is asked, the days of what was said that it rests on."""


def lab_of(path: Path, names: Sequence[str], asked: Iterable[Asked], talk: int = 0) -> Lab:
    """Make a lab where names are ruled out, one a day and a session each, and so much is said in the session `now`."""
    lab = Lab.open(path, clock=lambda: START + timedelta(days=90))
    said: list[dict[str, Any]] = [
        {"text": f"Rule {day}: never buy {name}.", "session_id": f"s{day}", "created_at": START + timedelta(days=day)}
        for day, name in enumerate(names)
    ]
    said += [
        {"text": f"Nothing of note happened in minute {minute} of a long day.", "session_id": "now"}
        | {"created_at": START + timedelta(days=40, minutes=minute)}
        for minute in range(talk)
    ]
    lab.import_messages(pd.DataFrame(said).assign(role="user", key=[str(place) for place in range(len(said))]))
    rows = [
        {"text": text, "asked_at": START + timedelta(days=day, hours=1), "evidence": [str(each) for each in evidence]}
        for text, day, evidence in asked
    ]
    lab.import_questions(pd.DataFrame(rows).assign(**({"session_id": "now"} if talk else {})))
    return lab

"""Any frame, imported in any batches, twice, interrupted anywhere, is what its messages are when added one by one."""

import itertools
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gallump_lab import Lab
from gallump_lab.memory import imports

NOW = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)
TABLES = {
    "messages": "message_id",
    "sessions": "session_id",
    "passages": "passage_id",
    "postings": "term, passage_id",
}
COLUMNS = ["role", "text", "created_at", "session_id", "symbol", "speaker", "conversation"]
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant"]),
            "text": st.sampled_from(
                ["Buy AAPL.", "MU and qzxt: stop 40", "Sell. " * 90, "🚀 東京", "Why?\nBecause BRK.B fell 12%."]
            )
            | st.text(),
            "created_at": st.integers(0, 6).map(lambda step: NOW - timedelta(minutes=20 * step)),
            "session_id": st.sampled_from([None, "one", "two"]),
            "symbol": st.sampled_from([None, "AAPL", "msft", "QZXT"]),
            "speaker": st.sampled_from([None, "Ann"]),
            "conversation": st.sampled_from([None, "c"]),
        }
    ),
    max_size=12,
)


def tables(lab: Lab) -> dict[str, list]:
    return {name: lab.sql(f"select * from {name} order by {by}").to_csv() for name, by in TABLES.items()}  # noqa: S608


@settings(max_examples=8)
@given(rows=ROWS, size=st.integers(1, 5), stops=st.lists(st.integers(0, 4), max_size=3))
def test_an_import_is_its_messages_added_one_by_one(anew, rows: list[dict], size: int, stops: list[int]) -> None:
    frame = pd.DataFrame(rows, columns=COLUMNS)
    with pytest.MonkeyPatch.context() as patch:
        lab = anew("imported", clock=lambda: NOW)
        patch.setattr(imports, "MESSAGES", size)
        for stop in stops:
            with pytest.MonkeyPatch.context() as fault:
                calls = itertools.count()

                def ready(drafts, usual=imports.prepare, stop=stop, calls=calls):
                    if next(calls) == stop:
                        raise KeyboardInterrupt
                    return usual(drafts)

                fault.setattr(imports, "prepare", ready)
                try:
                    lab.import_messages(frame)
                except KeyboardInterrupt:
                    continue
        found = lab.import_messages(frame)
        once = tables(lab)
        again = lab.import_messages(frame)
        assert (again.messages, again.already) == (0, len(lab.messages))
        assert found.left_out == len(rows) - len(lab.messages)
        assert tables(lab) == once

        names: list[str] = []
        single = anew("single", clock=lambda: NOW, ids=lambda: names[-1])
        for said in lab.messages.astype(object).where(lab.messages.notna(), None).to_dict("records"):
            if said["session_id"] not in names:
                names.append(said["session_id"])
                single.sessions.get_or_create_session()
            given = [said[name] for name in ("session_id", "role", "text", "symbol")]
            single.sessions.add_message(*given, said["created_at"].to_pydatetime(), speaker=said["speaker"])
        assert tables(single) == once

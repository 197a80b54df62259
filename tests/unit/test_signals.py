"""What each signal gives to which passage."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pandas as pd

from gallump_lab import Config, Lab
from gallump_lab.config import Recall
from gallump_lab.memory.signals import MILLION, SIGNALS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOTHING = Recall(
    **dict.fromkeys((each.name for each in fields(Recall) if each.name not in {"k1", "b", "embedder"}), 0.0)
)


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def remember(tmp_path, *rows):
    """Make a lab of messages, an hour apart and in one session unless said otherwise."""
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: NOW)
    said = [
        {"role": "user", "session_id": "s", "created_at": NOW - timedelta(hours=len(rows) - i), **row}
        for i, row in enumerate(rows)
    ]
    lab.import_messages(pd.DataFrame(said))
    return lab


def gains(lab, question, about=None, **weights):
    """Give what the signals that are on give to each message's first passage."""
    lab.apply(Config(recall=replace(NOTHING, **weights)))
    slots = lab.recall(question, symbol=about, tokens=100_000 - 7_000).slots
    return {slot.message_id: dict(slot.signals) for slot in reversed(slots)}


def test_each_signal_has_a_weight_and_can_be_turned_off(tmp_path):
    lab = remember(tmp_path, {"text": "My stop is always 400", "symbol": "AAPL", "speaker": "Ann"})
    with lab.store.write() as con:
        con.execute("insert into hints values (nextval('insight_event_ids'), 1, 'Where?  Stop of Ann', '2012-01-01')")
    for name in SIGNALS.keys() - {"answered"}:  # it takes a turn
        (found,) = gains(lab, "Where was Ann's stop today?", "AAPL", **{name: 0.5}).values()
        assert list(found) == [name]
        assert 0 < found[name] <= MILLION
    assert gains(lab, "Where was Ann's stop today?", "AAPL") == {1: {}}


def test_rare_words_count_more_than_common_ones_and_words_beside_count_too(tmp_path):
    texts = ("The stop is tight.", "The stop is wide.", "The stop is where the halibut swims.", "Quite.", "Indeed.")
    lab = remember(tmp_path, *({"text": text} for text in texts))
    found = gains(lab, "stop halibut", words=1.0)
    assert found[3]["words"] > found[1]["words"] > 0
    assert 4 not in found or found[4] == {"words": 0}
    found = gains(lab, "halibut", words=1.0, neighbours=1.0)
    assert found[3]["words"] > found[4]["words"] > found[5]["words"] > 0


def test_neighbours_end_with_the_session_and_the_analysts_own_words_count_more(tmp_path):
    rows = ({"text": "halibut"}, {"text": "Quite.", "session_id": "t"}, {"text": "Indeed.", "role": "assistant"})
    found = gains(remember(tmp_path, *rows), "halibut", words=1.0, neighbours=1.0, role=0.4)
    assert found[1]["words"] > found[3]["words"] > 0
    assert found.get(2, {}).get("words", 0) == 0
    assert (found[1]["role"], found[3]["role"]) == (400_000, 0)


def test_what_means_the_same_is_found_without_a_word_in_common(tmp_path):
    texts = ("The physician examined my child.", "Crude oil fell on Monday.", "The bond auction went badly.")
    found = gains(remember(tmp_path, *({"text": text} for text in texts)), "a doctor for kids", meaning=1.0)
    assert found[1]["meaning"] > 1.5 * max(found[2]["meaning"], found[3]["meaning"])


def test_a_speaker_who_is_named_counts_with_or_without_accents_and_the_name_is_not_looked_for(tmp_path):
    rows = ({"text": "I sell now.", "speaker": "Zo\u00eb"}, {"text": "Zoe Zoe Zoe", "speaker": "Bj\u00f6rn"})
    lab = remember(tmp_path, *rows)
    found = gains(lab, "What did zoe sell?", speaker=0.5, words=1.0)
    assert found[1]["speaker"] == MILLION // 2
    assert found.get(2, {"speaker": 0, "words": 0}) == {"speaker": 0, "words": 0}
    for question, speaks in (("And ZO\u00cb?", 1), ("bjorn?", 2), ("Bj\u00f6rn's stop?", 2)):
        found = gains(lab, question, speaker=0.5)
        assert {message for message, gained in found.items() if gained["speaker"]} == {speaks}


def test_of_two_like_passages_the_newer_holds(tmp_path):
    rows = ({"text": "old", "created_at": NOW - timedelta(days=90)}, {"text": "new", "created_at": NOW})
    found = gains(remember(tmp_path, *rows), "x", recency=1.0)
    assert found == {1: {"recency": 500_000}, 2: {"recency": 1_000_000}}


def test_a_date_without_a_year_is_that_day_of_any_year(tmp_path):
    rows = [{"text": "x", "created_at": day(at)} for at in ("2024-05-07", "2025-05-12", "2026-02-01")]
    found = gains(remember(tmp_path, *rows), "What happened on 7 May?", dates=1.0)
    assert [found[i]["dates"] for i in (1, 2, 3)] == [1_000_000, 500_000, 0]


def test_a_single_chinese_character_is_found_too(tmp_path):
    lab = remember(tmp_path, {"text": "\u8cb7"}, {"text": "\u682a\u4fa1"})
    found = gains(lab, "\u8cb7 \u682a\u4fa1\u304c", words=1.0)
    assert found[1]["words"] > 0
    assert found[2]["words"] > 0

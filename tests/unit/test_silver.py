"""Silver labels: which shown items a recorded reply used, worked out by hand on replies put into recorded turns."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from clock import Clock

from gallump_lab import Config, Recall, study
from gallump_lab.market import FileBroker
from gallump_lab.study.labelling import marks

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SAID = (
    "My halibut stop stands at 432.10, as Priya wanted.",
    "The halibut crate cost 1,250.50 and Tom paid.",
    "Halibut season opens late when the northern ice holds.",
    "I sold half of the halibut crates at 77 last spring.",
)


@pytest.fixture
def lab(anew):
    """Give a lab that remembers four sessions of one sentence each."""
    everything = Config(recall=Recall(least=0.0, share=0.0))
    lab = anew(clock=Clock(START + timedelta(days=4)), broker=FileBroker(), config=everything)
    said = {"text": SAID, "session_id": SAID, "created_at": [START + timedelta(days=day) for day in range(4)]}
    lab.import_messages(pd.DataFrame(said).assign(role="user"))
    return lab


def say(lab, text):
    lab.sessions.add_message(lab.sessions.get_or_create_session(), "user", text)
    lab._clock.now += timedelta(days=1)


def ask(lab, question="What do you know of halibut?", watchlist=()):
    """Ask in a session of its own; give the turn."""
    lab._clock.now += timedelta(days=1)
    return lab.ask(question, watchlist).turn_id


def used(lab, turn, reply):
    """Give what is found to be used once a turn's reply reads so, by message or insight, with the evidence."""
    with lab.store.write() as con:
        con.execute(
            "update messages set text = ? from turns where message_id = reply_id and turn_id = ?", [reply, turn]
        )
    frame = study.silver(lab.snapshot()).frame
    rows = frame[frame["used"] & (frame["turn_id"] == turn)].itertuples()
    return {(row.kind, row.item_id if row.kind == "insight" else row.message_id): row.evidence for row in rows}


def test_a_number_a_name_or_three_words_in_a_row_tell_use(lab):
    turn = ask(lab)
    for reply, words in (
        ("Keep the level of $432.1 for now.", {1: ["432.1"]}),
        ("It was 1250.50 in all.", {2: ["1250.5"]}),
        ("Then ask Priya or perhaps TOM about it.", {1: ["priya"], 2: ["tom"]}),
        ("Watch the **northern ice**: holding on means waiting.", {3: ["northern ice hold"]}),
        ("You should wait, and think of the fish.", {}),  # a paraphrase shares no mark
        ("Halibut, halibut, halibut.", {}),  # all items say so, and the question
        ("Half of it for 432.11, or 43210.", {}),
    ):
        assert used(lab, turn, reply) == {("passage", message): each for message, each in words.items()}, reply


def test_what_two_items_share_or_the_question_the_market_or_the_instructions_say_tells_nothing(lab):
    lab.insights.add("Tom pays 1250.50 a crate, and 61 for ice.", kind="fact")
    assert used(lab, ask(lab, "Is it 77, or who pays?"), "Tom gave 1,250.5; it was 77.") == {}
    assert used(lab, ask(lab, "What does he pay for ice?"), "Ice cost 61.") == {("insight", 1): ["61"]}
    say(lab, "Halibut at 430.47 and 182, said FRED.")
    turn = ask(lab, "What of halibut?", ["AAPL"])
    assert "430.47" in lab.preview("?", ["AAPL"]).prompt.text
    (evidence,) = used(lab, turn, "430.47 and 182, said FRED.").values()
    assert evidence == ["182 say fred", "430.47 182 say", "fred"]


def test_what_is_no_number_and_no_name_is_no_mark():
    text = "1. On 2026-03-02 at 15:30, in 2011, by 7 May or May 12, or 1/2/2013: 5.\n23) Then 12.5% and $2,000."
    names = "However, Priya asked Tom-Ann in May. On Monday IBM fell. The Line held the line. BRK.B too."
    assert {word for kind, word in marks(text) if kind == "number"} == {"12.5", "2000"}
    assert {word for kind, word in marks(names) if kind == "name"} == {"priya", "tom", "ibm", "brk.b"}


def test_a_manner_of_speaking_is_no_mark(lab):
    say(lab, "Halibut: mind gutted weight always.")
    for number in range(1, 5):
        used(lab, ask(lab), f"Mind gutted weight, number {number}.")
        frame = study.silver(lab.snapshot()).frame
        first = frame[frame["used"] & (frame["turn_id"] == 1)]
        assert first["evidence"].tolist() == ([["mind gut weight"]] if number < 4 else [])


def test_use_by_tier_counts_whole_replies_alone_and_is_nan_where_nothing_was_shown(lab):
    assert "nothing was shown" in repr(study.silver(lab.snapshot()))
    for reply in ("432.10", "1,250.50", "Nothing.", "Ask Priya: 432.10.", "77 is what you got.", "432.10"):
        used(lab, ask(lab), reply)
    with lab.store.write() as con:
        con.execute("update messages set state = 'failed' from turns where message_id = reply_id and turn_id = 6")
    found = study.silver(lab.snapshot())
    warm = found.frame[found.frame["tier"] == "warm"]
    row = found.shares().loc["warm"]
    assert (found.turns, found.left) == (5, 1)
    assert row["share"] == warm["used"].sum() / len(warm)
    assert row["low"] < row["share"] < row["high"]
    assert row["tokens"] == warm.loc[warm["used"], "tokens"].sum() / warm["tokens"].sum()
    assert found.shares().loc["cold", ["share", "tokens"]].isna().all()
    assert "5 replies" in repr(found)
    assert "1 without a whole reply left out" in repr(found)

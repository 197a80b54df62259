"""Silver labels: which shown items a recorded reply used, worked out by hand on scripted turns."""

from datetime import UTC, datetime, timedelta

import pytest
from clock import Clock
from messages_server import MessagesServer, Status, say

from gallump_lab import Config, Lab, Model, study
from gallump_lab.brain.answer import ModelError
from gallump_lab.study.labelling import marks

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SAID = (
    "My halibut stop stands at 432.10, as Priya wanted.",
    "The halibut crate cost 1,250.50 and Tom paid.",
    "Halibut season opens late when the northern ice holds.",
    "I sold half of the halibut crates at 77 last spring.",
)


@pytest.fixture
def claude(monkeypatch):
    with MessagesServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield server


@pytest.fixture
def clock():
    return Clock(START)


@pytest.fixture
def lab(tmp_path, clock):
    """Give a lab that remembers four sessions of one sentence each."""
    lab = Lab.open(tmp_path / "lab.duckdb", clock=clock, config=Config(model=Model(max_retries=0)))
    for text in SAID:
        clock.now += timedelta(days=1)
        lab.sessions.add_message(lab.sessions.get_or_create_session(), "user", text)
    clock.now += timedelta(days=1)
    return lab


def ask(lab, claude, reply, question="What do you know of halibut?"):
    """Ask in a session of its own; give what was found to be used, by message or insight text, with the evidence."""
    claude.queue(say(reply))
    turn = lab.ask(question).turn_id
    frame = study.silver(lab.snapshot()).frame
    used = frame[frame["used"] & (frame["turn_id"] == turn)]
    return {
        (row.kind, row.item_id if row.kind == "insight" else row.message_id): row.evidence for row in used.itertuples()
    }


@pytest.mark.parametrize(
    ("reply", "used"),
    [
        ("Keep the level of $432.1 for now.", {1: ["432.1"]}),
        ("It was 1250.50 in all.", {2: ["1250.5"]}),
        ("Then ask Priya or perhaps TOM about it.", {1: ["priya"], 2: ["tom"]}),
        ("Watch the **northern ice**: holding on means waiting.", {3: ["northern ice hold"]}),
        ("You should wait, and think of the fish.", {}),  # a paraphrase shares no mark
        ("Halibut, halibut, halibut.", {}),  # all items say so, and the question
        ("Half of it for 432.11, or 43210.", {}),
    ],
)
def test_a_number_a_name_or_three_words_in_a_row_tell_use(lab, claude, reply, used):
    assert ask(lab, claude, reply) == {("passage", message): words for message, words in used.items()}


def test_what_two_items_share_or_the_question_the_market_or_the_instructions_say_tells_nothing(lab, claude, clock):
    lab.insights.add("Tom pays 1250.50 a crate, and 61 for ice.", kind="fact")
    known = {"question": "Is it 77, or who pays?"}
    assert ask(lab, claude, "Tom paid 1,250.5; it was 77.", **known) == {}
    assert ask(lab, claude, "Ice cost 61.", question="What does he pay for ice?") == {("insight", 1): ["61"]}
    lab.sessions.add_message(lab.sessions.get_or_create_session(), "user", "Halibut at 430.47 and 182, said FRED.")
    clock.now += timedelta(days=1)
    claude.queue(say("430.47 and 182, said FRED."))
    turn = lab.ask("What of halibut?", ["AAPL"]).turn_id
    frame = study.silver(lab.snapshot()).frame
    used = frame[frame["used"] & (frame["turn_id"] == turn)]
    assert "430.47" in lab.preview("?", ["AAPL"]).prompt.text
    assert used["evidence"].tolist() == [["182 said fred", "430.47 182 said", "fred"]]


def test_years_dates_times_lists_and_single_digits_are_no_numbers():
    text = "1. On 2026-03-02 at 15:30, in 2011, by 7 May or May 12, or 1/2/2013: 5 of them.\n23) Then 12.5% and $2,000."
    assert {word for kind, word in marks(text) if kind == "number"} == {"12.5", "2000"}


def test_months_days_and_first_words_are_no_names():
    text = "However, Priya asked Tom-Ann in May. On Monday IBM fell. The Line held the line. BRK.B too."
    assert {word for kind, word in marks(text) if kind == "name"} == {"priya", "tom", "ibm", "brk.b"}


def test_a_manner_of_speaking_is_no_mark(lab, claude, clock):
    lab.sessions.add_message(lab.sessions.get_or_create_session(), "user", "Halibut: mind gutted weight always.")
    for number in range(1, 5):
        clock.now += timedelta(days=1)
        ask(lab, claude, f"Mind gutted weight, number {number}.")
        frame = study.silver(lab.snapshot()).frame
        first = frame[frame["used"] & (frame["turn_id"] == 1)]
        assert first["evidence"].tolist() == ([["mind gut weight"]] if number < 4 else [])


def test_use_by_tier_counts_whole_replies_alone_and_is_nan_where_nothing_was_shown(lab, claude, clock):
    assert "nothing was shown" in repr(study.silver(lab.snapshot()))
    for reply in ("432.10", "1,250.50", "Nothing.", "Ask Priya: 432.10.", "77 is what you got."):
        clock.now += timedelta(days=1)
        ask(lab, claude, reply)
    claude.queue(Status.error(400, "invalid_request_error", "No"))
    clock.now += timedelta(days=1)
    with pytest.raises(ModelError):
        lab.ask("halibut?")
    found = study.silver(lab.snapshot())
    shares, frame = found.shares(), found.frame
    warm = frame[frame["tier"] == "warm"]
    assert (found.turns, found.left) == (5, 1)
    assert shares.loc["warm", "share"] == warm["used"].sum() / len(warm)
    assert shares.loc["warm", "low"] < shares.loc["warm", "share"] < shares.loc["warm", "high"]
    assert shares.loc["warm", "tokens"] == warm.loc[warm["used"], "tokens"].sum() / warm["tokens"].sum()
    assert shares.loc["cold", ["share", "tokens"]].isna().all()
    assert "5 replies" in repr(found)
    assert "1 without a whole reply left out" in repr(found)
    assert lab.labels.empty
    assert lab.questions.empty

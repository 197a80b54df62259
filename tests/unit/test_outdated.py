"""What no longer holds stands behind what holds instead, and says so."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pandas as pd
import pytest

from gallump_lab import Config, Lab, Recall, datasets, study
from gallump_lab.memory.figures import replaced

MONDAY = datetime(2026, 3, 2, 15, tzinfo=UTC)


@pytest.fixture
def now() -> list[datetime]:
    return [MONDAY]


@pytest.fixture
def lab(anew, now) -> Lab:
    return anew(clock=lambda: now[0], config=Config(recall=Recall(least=0.0, share=0.0)))


def tell(lab: Lab, now: list[datetime], *said: str, role: str = "user", **given) -> None:
    """Say something in a session of its own, a minute apart, and let a day pass."""
    session = lab.sessions.get_or_create_session()
    for text in said:
        lab.sessions.add_message(session, role, text, **given)
        now[0] += timedelta(minutes=1)
    now[0] += timedelta(days=1)


def outdated(lab: Lab, question: str, tokens: int = 500) -> dict[str, str | None]:
    """Give what is recalled, best first, each with why it is outdated."""
    return {slot.text: slot.outdated for slot in lab.recall(question, tokens=tokens).slots if slot.kept}


def test_a_stop_that_was_moved_stands_behind_and_is_marked(lab: Lab, now) -> None:
    tell(lab, now, "My stop on AAPL is 420, hard, not mental.")
    tell(lab, now, "AAPL looks fine. I moved the AAPL stop to 455 today.")
    found = outdated(lab, "Where is my stop on AAPL?")
    assert [*found] == [
        "AAPL looks fine. I moved the AAPL stop to 455 today.",
        "My stop on AAPL is 420, hard, not mental.",
    ]
    assert [*found.values()] == [None, "455 since 2026-03-03"]
    reply = lab.ask("Where is my stop on AAPL?", watchlist=["AAPL"])
    assert "[superseded: 455 since 2026-03-03] 2026-03-02" in reply.prompt.user
    assert "455" in reply.text
    assert "420" not in reply.text


@pytest.mark.parametrize("symbol", [None, "AAPL"])
@pytest.mark.parametrize("question", ["Where is my stop?", "What are my stops?", "Where are all my stops now?"])
def test_levels_without_a_symbol_are_those_of_each_symbol(lab: Lab, now, question, symbol) -> None:
    tell(lab, now, "My stop on AAPL is 420, hard, not mental.", "Stop on IBM: 180", "My stop on CAT is at 512.")
    tell(lab, now, "Stop on KO: 60", "PG stop at 160.")
    tell(lab, now, "I moved the AAPL stop to 455 today.", "The IBM stop goes to 190.", "No stop on KO, I just hold.")
    tell(lab, now, "Sold all my PG at 170.", "No stop on XOM, I hold for the dividend.")
    recalled = lab.recall(question, symbol=symbol).slots
    assert {slot.text: slot.outdated for slot in recalled if slot.outdated} == {
        "My stop on AAPL is 420, hard, not mental.": "455 since 2026-03-04",
        "Stop on IBM: 180": "190 since 2026-03-04",
        "Stop on KO: 60": "none since 2026-03-04",
        "PG stop at 160.": "closed since 2026-03-05",
    }
    assert not any(slot.outdated for slot in lab.recall("Which stops did I set so far?").slots)


def test_who_repeats_the_old_one_is_marked_too(lab: Lab, now) -> None:
    tell(lab, now, "My stop on AAPL is 420.")
    tell(lab, now, "With the AAPL stop at 420 you risk 6 percent.", role="assistant")
    tell(lab, now, "AAPL stop to 455 from now on.")
    found = outdated(lab, "What is my AAPL stop now?")
    assert found["With the AAPL stop at 420 you risk 6 percent."] == "455 since 2026-03-04"
    assert found["AAPL stop to 455 from now on."] is None


def test_whoever_asks_what_was_before_gets_the_old_one_first_and_marked(lab: Lab, now) -> None:
    tell(lab, now, "My stop on AAPL is 420.")
    tell(lab, now, "Moved it up, AAPL stop 455 now, as the 50 day is there.")
    question = "What was my stop on AAPL before I moved it?"
    assert outdated(lab, question)["My stop on AAPL is 420."] == "455 since 2026-03-03"
    assert next(iter(outdated(lab, question))) == "My stop on AAPL is 420."
    assert "420" in lab.ask(question, watchlist=["AAPL"]).text  # the offline analyst quotes what is asked for


@pytest.mark.parametrize(
    ("old", "new", "question"),
    [
        (
            "I never hold through earnings.",
            "From now on I may hold half through earnings, new rule.",
            "What was my rule on earnings before I changed it?",
        ),
        (
            "No trades after 1am.",
            "The cutoff is midnight from now on, not 1am.",
            "What was my cutoff before I changed it?",
        ),
    ],
)
def test_what_was_before_is_recalled_in_whatever_words_it_was_told(anew, now, old, new, question) -> None:
    lab = anew(clock=lambda: now[0])
    for said in (old, "Oil looks heavy.", "I think rates stay here.", "Lunch with Ada.", new, "Gold is dull."):
        tell(lab, now, said)
    assert {old, new} <= outdated(lab, question).keys()


@pytest.mark.parametrize(
    ("first", "then", "question", "why"),
    [
        (
            "AAPL long 30 at 522, stop 480.",
            "AAPL stopped out at 480.",
            "Do I still have AAPL?",
            "closed since 2026-03-03",
        ),
        (
            "Put in a limit order for MSFT at 301.",
            "Cancelled the MSFT order.",
            "Is my MSFT order still in?",
            "closed since",
        ),
        (
            "Max per name is 5% of the book.",
            "Cut the max per name from 5% to 4%.",
            "What is my max per name?",
            "4% since",
        ),
        ("The account is about 240k.", "Account is 251k now.", "How big is the account?", "251k since 2026-03-03"),
        (
            "Long 2 gold at 2,410, tgt 2,480.",
            "Bringing the gold target in to 2,455.",
            "What is my gold target?",
            "2,455 since",
        ),
        (
            "I own 400 Shell at 27.10.",
            "Sold half of the Shell, 200 left.",
            "How many Shell shares do I own?",
            "200 since",
        ),
        (
            "Daily loss limit is 2,000.",
            "Daily loss limit from 2,000 to 2,500.",
            "What is my daily loss limit?",
            "2,500 since",
        ),
        ("Our VaR limit is 400k.", "Risk cut the VaR limit to 350k.", "What VaR limit do we use?", "350k since"),
        ("Bid for 10 cotton at 68.20.", "The cotton bid is cancelled.", "Is my cotton bid still in?", "closed since"),
        ("Duration is 5.2 years.", "Took duration down to 4.6.", "What duration are we running?", "4.6 since"),
        ("Bought NVDA at 121.5, stop 114.", "nvda stop to breakeven", "Where's my nvda stop?", "breakeven since"),
        ("GLD long, stop 180.", "Took the stop off GLD.", "What is my GLD stop?", "none since 2026-03-03"),
        ("I sold 2 XOM 105 puts.", "Sorry, 3 XOM puts, not 2.", "How many XOM puts did I sell?", "3 since 2026-03-03"),
    ],
)
def test_what_was_closed_cancelled_changed_or_corrected(lab: Lab, now, *, first, then, question, why) -> None:
    tell(lab, now, first)
    tell(lab, now, then)
    found = outdated(lab, question)
    assert (found[first] or "").startswith(why)
    assert found[then] is None


@pytest.mark.parametrize(
    ("first", "then", "question"),
    [
        ("AAPL stop 420.", "MSFT stop 28.", "Where is my AAPL stop?"),
        ("AAPL stop 420.", "AAPL target 560 now.", "Where is my AAPL stop?"),
        ("Bought 30 AAPL at 522.", "AAPL is at 540 now, stop to 510.", "What did I pay for AAPL?"),
        ("AAPL stop 420.", "If AAPL gets to 560 I'd move the stop to 530.", "Where is my AAPL stop?"),
        ("AAPL target 560.", "A guy on the podcast says AAPL goes to target 900.", "What is my AAPL target?"),
        ("AAPL stop 420.", "Where is my AAPL stop, 455?", "Where is my AAPL stop?"),
        ("I risk 1% per trade.", "This trade risks 0.6%, a small one.", "What is my risk per trade?"),
        ("Consensus CPI is 3.1.", "CPI came in at 2.9 now.", "What was the CPI forecast?"),
        ("At most 5 positions.", "I have 4 positions on now.", "What is my most positions at once?"),
        ("I own 400 Shell at 27.10.", "Shell pays 0.34, a yield of 4.1%.", "How many shares of Shell do I own?"),
        ("Bought 300 NVDA at 184.", "Sold half the NVDA at 205.", "Do I still own NVDA?"),
        ("NVDA stop 181.", "NVDA fine, leave it. Picked up AMD at 214, stop 204.", "Where is my NVDA stop?"),
        ("NVDA stop 181, AMD stop 204.", "Moved the AMD stop to 210.", "Where is my NVDA stop?"),
        ("Bought 30 NVDA at 184.", "Sold the AMD at 227, NVDA stays.", "Do I still own NVDA?"),
        ("Bought 300 NVDA at 184.", "AMD: 150 shares left, NVDA unchanged.", "How many NVDA do I own?"),
        ("Long 2 gold at 2,410.", "Closed the silver at 29.10.", "Do I still hold gold?"),
    ],
)
def test_what_is_of_another_thing_or_no_fact_takes_no_place(lab: Lab, now, first, then, question) -> None:
    tell(lab, now, first)
    tell(lab, now, then)
    assert outdated(lab, question)[first] is None


SLANG = "AAPL got knocked out at 402|Got tagged out of AAPL|Bailed on AAPL at 402|Ditched my apple|AAPL: punted it|\
Sold the lot, AAPL at 402|AAPL, booked it at 440|In cash now, AAPL too|Flattened AAPL|Ejected from AAPL|Puked AAPL|\
AAPL stop got hit at 400|Bailed at 402"
STAYS = "Trimmed half of AAPL|Bailed on half the AAPL|AAPL not stopped out yet|I haven't sold AAPL|\
Sold 10 of my 30 AAPL at 440|AAPL almost got stopped out|If AAPL breaks 400 I bail"


@pytest.mark.parametrize(
    ("said", "closed"), [*((said, True) for said in SLANG.split("|")), *((said, False) for said in STAYS.split("|"))]
)
def test_an_exit_counts_in_whatever_words_it_is_told_and_a_part_of_it_does_not(lab: Lab, now, said, closed) -> None:
    tell(lab, now, "Bought 30 AAPL at 422, stop 400.")
    tell(lab, now, "AAPL looks weak.", said)
    why = outdated(lab, "Do I still have AAPL?")["Bought 30 AAPL at 422, stop 400."]
    assert why == ("closed since 2026-03-03" if closed else None)


@pytest.mark.parametrize("question", ["NVDA and AMD stops?", "What are my stops on AMD and NVDA?", "AMD vs NVDA stop?"])
def test_of_several_symbols_each_is_decided_by_itself(lab: Lab, now, question) -> None:
    for said in ("NVDA stop 110.", "AMD stop 149.", "I moved my AMD stop to 155", "I raised the NVDA stop to 117"):
        tell(lab, now, said)
    assert outdated(lab, question) == {
        "NVDA stop 110.": "117 since 2026-03-05",
        "AMD stop 149.": "155 since 2026-03-04",
        "I moved my AMD stop to 155": None,
        "I raised the NVDA stop to 117": None,
    }


def test_after_buying_again_the_new_stop_holds_and_not_the_sale(lab: Lab, now) -> None:
    for said in ("NVDA stop at 117.", "Sold all my NVDA at 150.", "Bought NVDA again at 131, stop 124."):
        tell(lab, now, said)
    found = outdated(lab, "Where's my NVDA stop?")
    assert found["NVDA stop at 117."].startswith("124 since")
    order = [slot.text for slot in lab.recall("Where's my NVDA stop?").slots]
    assert order.index("Bought NVDA again at 131, stop 124.") < order.index("NVDA stop at 117.")


def test_what_states_two_levels_is_outdated_once_neither_holds(lab: Lab, now) -> None:
    both = "NVDA stop 181, AMD stop 204."
    tell(lab, now, both)
    tell(lab, now, "Moved the AMD stop to 210.")
    assert outdated(lab, "NVDA and AMD stops?")[both] is None
    tell(lab, now, "Moved the NVDA stop to 190.")
    assert outdated(lab, "NVDA and AMD stops?")[both] is not None


def test_hearsay_and_plans_are_told_as_such(lab: Lab, now) -> None:
    tell(lab, now, "AAPL target 560.")
    tell(lab, now, "A friend says the AAPL target is 900.")
    tell(lab, now, "If AAPL gets to 530 I'd put the target at 600.")
    found = outdated(lab, "What is my AAPL target?")
    assert found == {
        "AAPL target 560.": None,
        "A friend says the AAPL target is 900.": "hearsay",
        "If AAPL gets to 530 I'd put the target at 600.": "a plan",
    }
    assert (
        outdated(lab, "What did my friend say about the AAPL target?")["A friend says the AAPL target is 900."] is None
    )


def test_what_others_say_beside_it_makes_no_hearsay_of_ones_own_sale(lab: Lab, now) -> None:
    tell(lab, now, "My stop on AAPL is 420.")
    sold = "My wife says I should stop looking, but here I am. The AAPL shares are gone at 523.29, as agreed."
    tell(lab, now, sold)
    found = outdated(lab, "Where is my stop on AAPL?")
    assert found == {sold: None, "My stop on AAPL is 420.": "closed since 2026-03-03"}


@pytest.mark.parametrize(
    "said",
    [
        "My brother in law reckons the AAPL target is 500.",
        "I read on reddit that the AAPL target is 500.",
        "My boss told me to put the AAPL target at 500.",
        "Saw a tweet, AAPL target 500.",
        "Analysts have an AAPL target of 500.",
        "The street has AAPL at 500, that is the target.",
        "AAPL target: consensus 500.",
    ],
)
def test_what_others_say_takes_no_place_whoever_they_are(lab: Lab, now, said) -> None:
    tell(lab, now, "AAPL target 560.")
    tell(lab, now, said)
    assert outdated(lab, "What is my AAPL target?") == {"AAPL target 560.": None, said: "hearsay"}


@pytest.mark.parametrize(
    "said",
    [
        "My broker filled me on AAPL at 522, target 500.",
        "As I told you, my AAPL target is 500.",
        "My plan says AAPL target 500.",
        "My AAPL target is 500, like I said. The street is at 610.",
    ],
)
def test_what_the_analyst_says_is_no_hearsay(lab: Lab, now, said) -> None:
    tell(lab, now, "AAPL target 560.")
    tell(lab, now, said)
    found = outdated(lab, "What is my AAPL target?")
    assert found == {"AAPL target 560.": "500 since 2026-03-03", said: None}


def test_an_old_level_that_was_not_said_again_tells_its_age_and_is_not_outdated(lab: Lab, now) -> None:
    tell(lab, now, "My stop on AAPL is 420.", symbol="AAPL")
    tell(lab, now, "AAPL target 560, bought 30 of them.", symbol="AAPL")
    now[0] += timedelta(days=20)
    tell(lab, now, "The AAPL target of 560 stands.", symbol="AAPL")
    now[0] += timedelta(days=20)
    found = {slot.text: slot for slot in lab.recall("What are my AAPL stop and target?").slots}
    aged = {text: slot.unconfirmed for text, slot in found.items() if slot.unconfirmed}
    assert aged == {"My stop on AAPL is 420.": "not confirmed for 6 weeks"}
    stop = found["My stop on AAPL is 420."]
    assert stop.line.startswith("[not confirmed for 6 weeks] 2026-03-02")
    assert stop.outdated is None
    lab.ask("What is my AAPL stop?", watchlist=["AAPL"])
    (turn,) = lab.turns["turn_id"]
    assert "not confirmed for 6 weeks" in {slot.unconfirmed for slot in lab.slots(turn)}
    assert study.replay(lab.snapshot()).frame["identical"].all()


def test_what_was_moved_in_this_session_outdates_what_was_said_in_another(lab: Lab, now) -> None:
    tell(lab, now, "My stop on AAPL is 420.")
    session = lab.ask("I moved the AAPL stop to 455.", watchlist=["AAPL"]).session_id
    prompt = lab.preview("Where is my stop on AAPL?", watchlist=["AAPL"], session_id=session).prompt
    marked = {slot.text: (slot.tier, slot.outdated) for slot in prompt.slots if slot.kept}
    assert marked["My stop on AAPL is 420."] == ("warm", "455 since 2026-03-03")
    assert marked["I moved the AAPL stop to 455."] == ("hot", None)


def test_what_was_imported_is_read_by_the_same_rules(lab: Lab) -> None:
    said = [("2026-02-02 10:00", "Micron stop is 247."), ("2026-02-20 10:00", "MU looks strong, stop to 274 now.")]
    rows = [{"role": "user", "text": text, "created_at": at, "key": at} for at, text in said]
    lab.import_messages(pd.DataFrame(rows))
    assert outdated(lab, "Where is my micron stop?")["Micron stop is 247."] == "274 since 2026-02-20"


def test_nothing_is_marked_where_it_is_asked_why_or_for_all_of_it(lab: Lab, now) -> None:
    tell(lab, now, "My stop on AAPL is 420.")
    tell(lab, now, "I moved the AAPL stop to 455.")
    for question in ("Why did I move my AAPL stop?", "How has my AAPL stop changed, every step?"):
        assert set(outdated(lab, question).values()) == {None}


def test_another_analysts_stop_is_not_mine(lab: Lab, now) -> None:
    tell(lab, now, "AAPL stop 420.", speaker="Ann")
    tell(lab, now, "AAPL stop to 455 now.", speaker="Bob")
    assert set(outdated(lab, "Where is the AAPL stop?").values()) == {None}


def test_a_larger_budget_loses_no_item_and_says_the_same(lab: Lab, now) -> None:
    for stop in range(400, 460, 5):
        tell(lab, now, f"I moved the AAPL stop to {stop}, the day's low.")
    found = [outdated(lab, "Where is my AAPL stop now?", tokens) for tokens in (40, 80, 160, 320, 640)]
    for smaller, larger in pairwise(found):
        assert [*larger][: len(smaller)] == [*smaller]
        assert all(larger[text] == why for text, why in smaller.items())
    assert next(iter(found[0])).startswith("I moved the AAPL stop to 455")
    assert sum(why is None for why in found[-1].values()) == 1


def test_the_marks_are_paid_for_recorded_replayed_and_ranked_alike(lab: Lab, now) -> None:
    tell(lab, now, "My stop on AAPL is 420.")
    tell(lab, now, "I moved the AAPL stop to 455.")
    reply = lab.ask("Where is my stop on AAPL?", watchlist=["AAPL"])
    warm = [slot for slot in reply.prompt.slots if slot.tier == "warm"]
    (old,) = [slot for slot in warm if slot.outdated]
    assert old.line.startswith("[superseded: 455 since 2026-03-03] ")
    (turn,) = lab.turns["turn_id"]
    assert [slot.outdated for slot in lab.slots(turn) if slot.tier == "warm"] == [slot.outdated for slot in warm]
    assert study.replay(lab.snapshot()).frame["identical"].all()


def test_a_study_ranks_and_marks_as_the_chat_does(anew) -> None:
    lab = anew()
    talk = datasets.desk().split()[0]
    lab.import_dataset(talk)
    ranks = study.rank(lab.snapshot())
    asked_at = lab.questions.set_index("question_id")
    marked = 0
    for place, asked in enumerate(ranks.asked):
        row = asked_at.loc[asked.question_id]
        symbol = row["symbol"] if isinstance(row["symbol"], str) else None
        live = lab.recall(asked.text, symbol=symbol, as_of=row["asked_at"].to_pydatetime(), tokens=2_000).slots
        there = ranks.warm("applied", place)[: len(live)]
        assert [(slot.item_id, slot.outdated, slot.line) for slot in live] == [
            (slot.item_id, slot.outdated, slot.line) for slot in there
        ]
        marked += sum(slot.outdated is not None for slot in live)
    assert marked > 10


def test_what_was_forgotten_supersedes_nothing(lab: Lab, now) -> None:
    tell(lab, now, "My stop on AAPL is 420.")
    tell(lab, now, "I moved the AAPL stop to 455.")
    newest = int(lab.messages["message_id"].max())
    lab.forget(newest)
    assert outdated(lab, "Where is my stop on AAPL?") == {"My stop on AAPL is 420.": None}


def test_nothing_of_what_was_forgotten_stays_in_the_marks_of_past_turns(lab: Lab, now) -> None:
    tell(lab, now, "My stop on AAPL is 420.")
    tell(lab, now, "I moved the AAPL stop to 455.")
    newest = int(lab.messages["message_id"].max())
    lab.ask("Where is my stop on AAPL?", watchlist=["AAPL"])
    (turn,) = lab.turns["turn_id"]
    assert "455 since 2026-03-03" in {slot.outdated for slot in lab.slots(turn)}
    lab.forget(newest)
    assert {slot.outdated for slot in lab.slots(turn)} == {None}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("moved it from 440 to 455", [({"440"}, "455")]),
        ("455, not 440", [({"440"}, "455")]),
        ("found it, 440. moving it to 455 anyway", [({"440"}, "455")]),
        ("0.5% instead of 0.75", [({"0.75"}, "0.5")]),
        ("bought 30 at 522", []),
        ("stop 440, target 560", []),
    ],
)
def test_what_a_text_itself_replaces(text, found) -> None:
    assert [({*olds}, new.key) for olds, new in replaced(text)][:1] == found

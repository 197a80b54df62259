"""What holds evidence: what states something, by whom it is asked for."""

import pandas as pd
import pytest

from gallump_lab.memory import kinds

ECHO = [
    ("user", "I'm long 30 AAPL at 522. My stop is 420, hard, not mental."),
    ("assistant", "Noted. With the stop at 420 the position risks 3,060 dollars."),
    ("user", "Where did I want my stop on AAPL?"),
    ("assistant", "I can't see that in this conversation, so I won't guess at your stop on AAPL."),
    ("user", "ok thanks"),
    ("user", "where is my stop on AAPL, pop quiz"),
    ("assistant", "For AAPL I would rather put the stop at 435, below the gap."),
]


@pytest.fixture
def lab(anew):
    lab = anew()
    rows = [
        {
            "role": role,
            "text": text,
            "session_id": "s",
            "created_at": pd.Timestamp("2026-03-02T15:00Z") + place * MINUTE,
        }
        for place, (role, text) in enumerate(ECHO)
    ]
    lab.import_messages(pd.DataFrame(rows))
    return lab


MINUTE = pd.Timedelta(minutes=1)


def kept(lab, question):
    return [slot.text for slot in lab.recall(question).slots if slot.kept]


def test_the_answer_is_recalled_and_neither_its_echoes_nor_thanks_nor_a_disclaimer(lab) -> None:
    assert kept(lab, "Where did I want my stop on AAPL?") == [ECHO[0][1]]


def test_what_the_assistant_said_is_recalled_where_it_is_asked_for(lab) -> None:
    assert kept(lab, "Where would you have put the stop on AAPL?")[0] == ECHO[6][1]
    assert kept(lab, "What did I tell you about my AAPL stop?")[0] == ECHO[0][1]


def test_where_nobody_spoke_of_it_nothing_is_shown(lab) -> None:
    for question in ("Where is my stop on NVDA?", "How do I bake bread?", "What did Marguerite say of the stop?"):
        assert kept(lab, question) == []


@pytest.mark.parametrize(
    ("said", "states"),
    [
        ("long 30 at 522, too much?", True),
        ("My stop is 420. Is it too tight?", True),
        ("where is my stop now", False),
        ("remind me what my stop is", False),
        ("what would you do?", False),
        ("ok thanks, great", False),
        ("thanks, sold it at 430", True),
        ("When it breaks 430 I sell half", True),
        ("What I want is 475", True),
        ("NVDA", True),
    ],
)
def test_a_question_that_also_states_is_a_statement(said, states) -> None:
    assert bool(kinds.parted(said, "user")[0]) == states


def test_what_does_not_state_keeps_no_word_but_lends_it(lab) -> None:
    rows = lab.sql("select stated, terms, text from passages join messages using (message_id) order by passage_id")
    assert (rows["stated"] > 0).tolist() == [True, True, False, False, False, False, True]
    assert (rows["terms"] >= rows["stated"]).all()


def test_a_wish_of_the_analysts_stands_out_and_an_assistants_does_not() -> None:
    wish = "Always confirm the stop when I ask about an order."
    assert kinds.traits(wish, "user") == kinds.WISH
    assert kinds.traits(wish, "assistant") == 0
    assert kinds.traits("I risk 0.75% a trade", "user") == kinds.FIGURES

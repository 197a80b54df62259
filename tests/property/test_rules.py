"""Whatever a session holds, what is distilled of it stands in it, fits the budget and comes out the same again."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gallump_lab import tokens
from gallump_lab.memory import rules
from gallump_lab.memory.price_levels import VALUED
from gallump_lab.memory.records import Message
from gallump_lab.memory.text import terms

BEGIN = datetime(2024, 5, 2, 9, tzinfo=UTC)
WORDS = (
    "AAPL apple MSFT stop 321 330.50 bought sold it at by May never because I target is so, please 4% you thanks"
    " not my no now -> from to trail breakeven if out size buddy says - -5 10,000 support options trades day"
)
PIECES = st.sampled_from([*WORDS.split(), "?", ".", ":", ", ", "\n", "```", "<b>", "> ", "東京", "\u202e"])
TEXTS = st.lists(PIECES, max_size=25).map(" ".join) | st.text(max_size=200)
SESSIONS = st.lists(
    st.tuples(st.sampled_from(["user", "assistant"]), st.sampled_from([None, "Ann", "Bob"]), TEXTS), max_size=8
).map(
    lambda said: [
        Message(
            message_id=number,
            session_id="s",
            role=role,
            text=text,
            symbol="MSFT" if number % 2 else None,
            created_at=BEGIN + timedelta(minutes=number),
            speaker=speaker if role == "user" else None,
        )
        for number, (role, speaker, text) in enumerate(said, 10)
    ]
)


@settings(max_examples=100)
@given(session=SESSIONS, budget=st.integers(0, 300))
def test_every_word_of_a_statement_stands_in_the_message_that_it_cites(session, budget):
    said = {message.message_id: message for message in session}
    found = rules.distil(session, tokens=budget, known=["AAPL"])
    for learnt in found:
        cited = [said[number] for number in learnt.sources]
        assert {source.role for source in cited} == {"user"}
        assert learnt.speaker == cited[-1].speaker
        words = {term for source in cited for term in terms(f"{source.text} {source.speaker or ''}")}
        assert set(terms(learnt.text)) <= words
        assert learnt.symbol in {None, "AAPL", "MSFT"}
    assert sum(tokens.count(f"- {learnt.text}\n") + rules.LABEL for learnt in found) <= budget
    assert [learnt.sources for learnt in found] == sorted(learnt.sources for learnt in found)
    assert found == rules.distil(session, tokens=budget, known=["AAPL"])


@settings(max_examples=100)
@given(session=SESSIONS)
def test_what_is_not_meant_gives_no_value(session):
    joked = [replace(each, text=f"{each.text} (just kidding)") for each in session]
    assert all(each.value is None for each in rules.distil(joked, known=["AAPL"]))


@settings(max_examples=100)
@given(session=SESSIONS)
def test_a_level_or_a_trade_is_of_a_symbol_and_its_numbers_stand_in_the_message(session):
    said = {message.message_id: message for message in session}
    for learnt in rules.distil(session, known=["AAPL"]):
        if learnt.attribute in VALUED:
            assert learnt.symbol is not None
            assert set(re.findall(r"\d[\d.]*", learnt.value)) <= {*terms(said[learnt.sources[0]].text)}

"""Laws of the scorecard's text metrics, whatever is said."""

import math
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gallump_lab.memory.records import Message
from gallump_lab.study.scorecard import support
from gallump_lab.study.scorecard.history import History, Stated
from gallump_lab.study.scorecard.metrics import coverage, specificity
from gallump_lab.study.scorecard.reader import Reader
from gallump_lab.study.scorecard.standing import contradiction, redundancy, staleness

START = datetime(2012, 2, 29, 15, tzinfo=UTC)
PIECES = """ACME acme Ada Bob stop sell bought above below never not 91.50 1,250 4% 31 29 February may May 30th of by
last week quarter Q3 999 years ago -5 $2m half thousand \u0663 2012-02-30 ( ) ; , . ? ! and \u4e2d\u6587 \U0001f600"""
TEXTS = st.lists(st.sampled_from(PIECES.split()) | st.text(max_size=4), max_size=14).map(" ".join)


def said(number, text):
    return Message(
        message_id=number,
        session_id="s",
        role="user",
        text=text,
        symbol="ACME",
        created_at=START + timedelta(days=number),
        speaker="Ada",
    )


def stated(number, text):
    return Stated(insight_id=number, kind="level", text=text, sources=(1,), symbol="ACME", valid_from=START)


def whole(score):
    return (math.isnan(score.value) and score.why) or 0 <= score.value <= 1


@settings(max_examples=30)
@given(talk=st.lists(TEXTS, min_size=1, max_size=4), text=TEXTS, other=TEXTS)
def test_every_metric_gives_a_share_or_says_why_not(talk, text, other):
    messages = [said(number, each) for number, each in enumerate(talk, 1)]
    reader = Reader(History(messages))
    one, two = stated(1, text), stated(2, other)
    parts = [metric(one, reader) for metric in support.PARTS.values()]
    least = support.support(one, reader)
    assert all(map(whole, [*parts, least]))
    scored = [part.value for part in parts if not math.isnan(part.value)]
    assert least.value == min(scored)
    assert whole(redundancy(one, [two], reader))
    assert whole(contradiction(one, [two], reader))
    assert contradiction(one, [two], reader).value == contradiction(two, [one], reader).value
    assert whole(staleness(one, reader, START + timedelta(days=9)))
    assert whole(coverage(messages, [one, two], reader))
    assert specificity(one, reader).value >= 0 or not text


@settings(max_examples=30)
@given(text=TEXTS)
def test_what_was_said_word_for_word_is_supported_and_redundant(text):
    reader = Reader(History([said(1, text)]))
    one, again = stated(1, text), stated(2, text)
    assert support.claim(one, reader).value == 1 or math.isnan(support.claim(one, reader).value)
    assert support.dates(one, reader).value == 1 or not reader.stated(one).dates
    assert support.numbers(one, reader).value == 1 or not reader.stated(one).numbers
    assert redundancy(again, [one], reader).value >= 0.49
    assert contradiction(again, [one], reader).value == 0

"""What the scorecard's text metrics see, on histories small enough to judge by eye."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from gallump_lab.memory.records import Message
from gallump_lab.study.scorecard import support
from gallump_lab.study.scorecard.history import History, Stated
from gallump_lab.study.scorecard.metrics import LINE, coverage, days, salient, specificity
from gallump_lab.study.scorecard.reader import Reader, read
from gallump_lab.study.scorecard.standing import (
    ENDED,
    NEW_VALUE,
    PAST,
    contradiction,
    redundancy,
    repeated,
    staleness,
)

START = datetime(2012, 3, 14, 15, tzinfo=UTC)
SAID = date(2012, 3, 14)  # a Wednesday


def message(number, text, *, day=0, symbol=None, speaker="Ada", role="user", session=None):
    return Message(
        message_id=number,
        session_id=session or f"s{day}",
        role=role,
        text=text,
        symbol=symbol,
        created_at=START + timedelta(days=day, minutes=number),
        speaker=speaker if role == "user" else None,
    )


def stated(text, *sources, number=1, kind="level", symbol=None, day=0, **rest):
    return Stated(
        insight_id=number,
        kind=kind,
        text=text,
        sources=sources,
        symbol=symbol,
        valid_from=START + timedelta(days=day),
        **rest,
    )


def reader(*messages, bars=None):
    return Reader(History(messages), bars)


def bars(symbol):
    """Two weeks of quiet prices: 99 to 101 around 100."""
    found = [SAID + timedelta(days=each) for each in range(-4, 15)] if symbol == "ACME" else []
    prices = {"open": 99.5, "high": 101.0, "low": 99.0, "close": 100.25}
    return pd.DataFrame({"date": found} | {name: [price] * len(found) for name, price in prices.items()})


STOP = message(1, "stop on acme goes to 91.50, i sell below that by the end of May", symbol="ACME")
TALK = reader(STOP, message(2, "rain all day here", symbol="ACME"))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("0.62", "62 percent", True),
        ("50 bps", "0.5%", True),
        ("two and a half", "2.5", True),
        ("1.5 million", "1,500,000", True),
        ("340", "3.4", False),
        ("0.62", "62", False),
        ("50 percent", "0.05%", False),
    ],
)
def test_numbers_are_the_same_however_written_and_a_percentage_its_fraction_only_where_a_sign_says_so(
    one, other, alike
):
    (mine,), (its,) = (read(text, SAID).numbers for text in (one, other))
    assert mine.same([its]) == its.same([mine]) == alike


def test_support_is_its_worst_part_and_says_what_lacked():
    good = stated("Ada's stop on ACME is 91.50, valid by May", 1)
    assert support.support(good, TALK).value > 0.5
    wrong = support.support(replace(good, text="Ada's stop on ACME is 95.50, valid by May"), TALK)
    assert (wrong.value, wrong.why) == (0, "No cited message says '95.50'.")
    assert math.isnan(support.numbers(stated("Ada has a stop", 1), TALK).value)
    for metric in (support.support, *support.PARTS.values()):
        score = metric(stated("Ada sells at 91.50", 99), TALK)
        assert math.isnan(score.value)
        assert score.why == "It cites no message that is there."


def test_a_price_that_was_paid_that_day_needs_no_message():
    insight = stated("Ada's stop on ACME is 91.50 (close 100.25)", 1, symbol="ACME")
    assert support.numbers(insight, TALK).value == 0
    assert support.numbers(insight, reader(STOP, bars=bars)).value == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [("by May", 1), ("since 2012-03-14", 1), ("in 2012", 1), ("by June", 0), ("since 2012-03-15", 0), ("in 2011", 0)],
)
def test_dates_are_those_of_the_message_or_those_it_names(text, value):
    assert support.dates(stated(f"Ada holds ACME {text}", 1), TALK).value == value


def test_a_message_speaks_of_what_it_names_and_only_else_of_its_field():
    talk = reader(
        message(1, "selling apple", symbol="IBM"),
        message(2, "and ibm is next", symbol="AAPL", day=1),
        message(3, "sold it", symbol="IBM", day=2),
    )
    for symbol, source, value in (("AAPL", 1, 1), ("IBM", 1, 0), ("IBM", 3, 1)):
        assert support.names(stated(f"Ada sells {symbol}", source, symbol=symbol), talk).value == value


def test_a_symbol_that_was_renamed_is_the_same():
    talk = reader(message(1, "sold facebook", symbol="META"), message(2, "FB at 31.16, out", symbol="FB"))
    assert [support.names(stated("Ada sold FB", source, symbol="FB"), talk).value for source in (1, 2)] == [1, 1]


def test_the_one_it_speaks_of_must_have_said_it():
    talk = reader(
        message(1, "thanks Bob, i quit smoking"),
        message(2, "well done", speaker="Bob"),
        message(3, "rain", speaker="Eve", day=3),
    )
    assert support.names(stated("Ada quit smoking, as Bob heard", 1), talk).value == 1
    assert support.names(stated("Bob quit smoking", 1), talk).value == support.ANOTHER
    assert support.names(stated("Eve quit smoking", 1), talk).value == 0


NEVER = reader(message(1, "i never sell naked options"))


@pytest.mark.parametrize(
    ("talk", "right", "wrong", "says"),
    [
        (TALK, "Ada sells ACME below 91.50", "Ada buys ACME below 91.50", "buys"),
        (TALK, "Ada sells ACME below 91.50", "Ada sells ACME above 91.50", "above"),
        (TALK, "Ada sells ACME below 91.50", "Ada does not sell ACME below 91.50", "sell"),
        (NEVER, "Ada never sells naked options", "Ada sells naked options", "sells"),
    ],
)
def test_a_turned_direction_and_a_denial_show(talk, right, wrong, says):
    assert support.direction(stated(right, 1), talk).value > 0.8
    found = support.direction(stated(wrong, 1), talk)
    assert found.value < 0.4
    assert says in found.why


def test_an_invented_clause_is_the_worst_one():
    good = stated("Ada sells below the stop on ACME", 1)
    invented = replace(
        good, text="Ada sells below the stop on ACME, after her dentist praised the zoo director's memoirs"
    )
    assert support.claim(good, TALK).value > 0.8
    assert support.claim(invented, TALK).value < 0.4
    assert "dentist" in support.claim(invented, TALK).why


def test_what_says_no_more_repeats_and_other_words_only_come_near():
    first = stated("Ada's stop on ACME is 91.50", 1, number=1, symbol="ACME")
    again = stated("Ada's stop on ACME is 91.50.", 1, number=2, symbol="ACME", day=1)
    near = stated("Ada leaves ACME at 91.50, her stop", 1, number=3, symbol="ACME")
    other = stated("Ada's stop on ACME is 93.50", 1, number=4, symbol="ACME")
    bob = stated("Bob's stop on ACME is 91.50", 2, number=5, symbol="ACME")
    talk = reader(STOP, message(2, "my stop on acme is 91.50 too", speaker="Bob", symbol="ACME"))
    assert redundancy(again, [first, again], talk).value == 1
    assert redundancy(again, [first], talk).why == f"Insight 1 says it: {first.text}"
    assert 0.2 < redundancy(near, [first], talk).value < 0.5
    assert redundancy(other, [first], talk).value == 0
    assert redundancy(bob, [first], talk).value == 0
    assert repeated([first, again, other, bob]).value == 0.25


def test_alone_nothing_is_redundant_or_contradicted():
    only = stated("Ada's stop on ACME is 91.50", 1)
    assert math.isnan(redundancy(only, [only], TALK).value)
    assert math.isnan(contradiction(only, [], TALK).value)
    assert math.isnan(repeated([only]).value)


def test_specificity_is_bits_per_token():
    insight = stated("91.50", 1)  # three tokens, three significant digits
    assert specificity(insight, TALK).value == pytest.approx(math.log2(10) * 3 / (3 + LINE))
    assert math.isnan(specificity(stated("", 1), TALK).value)
    (month,) = read("by May", SAID).dates
    assert days(month) == pytest.approx(math.log2(365 * 30 / 31))


@pytest.mark.parametrize("text", ["Ada's stop on ACME is 88 since May", "Ada's stop on ACME is not 91.50 since May"])
def test_another_value_or_a_denial_at_the_same_time_contradicts(text):
    first = stated("Ada's stop on ACME is 91.50 since May", 1, number=1)
    other = stated(text, 1, number=2)
    assert contradiction(first, [other], TALK).value == 1
    assert contradiction(other, [first], TALK).why == f"Insight 1 says otherwise: {first.text}"


def test_an_update_another_attribute_and_another_person_contradict_nothing():
    first = stated("Ada's stop on ACME is 91.50", 1, number=1, attribute="stop")
    later = stated("Ada's stop on ACME is 95", 2, number=2, day=9)
    bob = stated("Bob's stop on ACME is 95", 3, number=3)
    target = stated("Ada's target on ACME is 95", 1, number=4, attribute="target")
    talk = reader(STOP, message(2, "95 now", day=9), message(3, "stop on acme 95", speaker="Bob"))
    assert contradiction(first, [later, bob, target], talk).value == 0


def test_a_horizon_that_is_over_is_stale():
    by_may = stated("Ada expects ACME above 120 by May", 1, kind="thesis")
    assert staleness(by_may, TALK, datetime(2012, 5, 31, 20, tzinfo=UTC)).value == 0
    over = staleness(by_may, TALK, datetime(2012, 6, 2, tzinfo=UTC))
    assert over.value == PAST
    assert over.why == "Its time was over on 2012-05-31."
    until = stated("Ada is away", 1, valid_until=START + timedelta(days=2))
    assert staleness(until, TALK, START + timedelta(days=4)).value == PAST


def test_another_value_on_the_same_side_of_the_market_replaces_it():
    talk = reader(
        message(1, "stop acme 91.50", symbol="ACME"),
        message(2, "selling acme at 120", symbol="ACME", day=1),
        message(3, "acme line is 94 from here on", symbol="ACME", day=2),
        message(4, "acme line at 95", symbol="ACME", day=2, speaker="Bob"),
        bars=bars,
    )
    stop = stated("Ada's stop on ACME is 91.50", 1, symbol="ACME")
    assert staleness(stop, talk, START + timedelta(days=1, hours=1)).value < 0.5  # a target is no stop
    replaced = staleness(stop, talk, START + timedelta(days=5))
    assert replaced.value == NEW_VALUE
    assert replaced.why == "Message 3 says 94: acme line is 94 from here on"


@pytest.mark.parametrize("known", [bars, None])
@pytest.mark.parametrize(
    ("later", "value", "says"),
    [
        ("sold acme, 100.10", ENDED, "ends it"),
        ("acme stop is 94.25 now", NEW_VALUE, "says 94.25"),
        ("acme: target 130, and the stop goes to 95", NEW_VALUE, "says 95"),
        ("sold half the acme at 100.10", None, ""),
        ("acme target cut to 97", None, ""),
        ("stop on bolt is 93, acme looks calm", None, ""),
        ("if acme drops below 98 i buy more", None, ""),
    ],
)
def test_a_sale_ends_a_stop_and_a_stop_takes_its_place_but_nothing_else_does_and_no_fill_changes(
    known, later, value, says
):
    talk = reader(
        message(1, "bought 50 acme at 99.90", symbol="ACME"),
        message(2, "my acme stop is 91.50", symbol="ACME"),
        message(3, "calm day", symbol="BOLT"),
        message(4, later, symbol="ACME", day=2),
        bars=known,
    )
    found = staleness(stated("Ada's ACME stop is 91.50", 2, symbol="ACME"), talk, START + timedelta(days=3))
    assert found.value == value if value else found.value < 0.5
    assert says in found.why
    bought = stated("Ada bought 50 ACME at 99.90", 1, kind="position", symbol="ACME")
    assert staleness(bought, talk, START + timedelta(days=3)).value < 0.5


def test_a_rule_that_was_changed_is_staler_than_one_that_was_not():
    talk = reader(
        message(1, "rule: no more than 4 percent of the account in one name"),
        message(2, "i read a book about whales"),
        message(3, "changing the rule: up to 6 percent of the account in one name", day=5),
    )
    rule = stated("Ada's rule: at most 4 percent of the account in one name", 1, kind="preference")
    whales = stated("Ada read a book about whales", 2, kind="fact")
    at = START + timedelta(days=9)
    assert 0.25 < staleness(rule, talk, at).value < 0.5
    assert staleness(whales, talk, at).value < 0.1


def test_coverage_counts_what_an_analyst_would_remember():
    session = [
        message(1, "hello there. my stop on acme is 91.50 now. what do you think?", symbol="ACME"),
        message(2, "A stop at 91.50 gives up nine percent; I would rather take 95.", role="assistant", symbol="ACME"),
        message(3, "i never trade options before earnings, they burnt me twice", symbol="ACME"),
        message(4, "show me the chart of acme for 200 days", symbol="ACME"),
    ]
    talk = reader(*session)
    assert [each.text for each in salient(session, talk)] == [
        "my stop on acme is 91.50 now",
        "i never trade options before earnings, they burnt me twice",
    ]
    stop = stated("Ada's stop on ACME is 91.50", 1, symbol="ACME")
    rule = stated("Ada never trades options before earnings", 3, number=2)
    assert coverage(session, [stop], talk).value == 0.5
    assert coverage(session, [stop], talk).why.startswith("1 of 2 missed: i never trade options")
    assert coverage(session, [stop, rule], talk).value == 1
    assert coverage(session, [replace(stop, sources=(4,))], talk).value == 0  # it must cite the message
    assert math.isnan(coverage(session[3:], [stop], talk).value)

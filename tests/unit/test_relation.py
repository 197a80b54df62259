"""What a new insight does to those that stand: it says the same again, takes one's place, comes late, contradicts."""

from datetime import UTC, datetime

import pytest

from gallump_lab import Lab
from gallump_lab.memory import ledger
from gallump_lab.memory.records import AsOf, Learnt
from gallump_lab.memory.relation import relation

NOW = datetime(2026, 3, 20, 9, tzinfo=UTC)


def day(number):
    return datetime(2026, 3, number, tzinfo=UTC)


@pytest.fixture
def lab(anew) -> Lab:
    made = anew(clock=lambda: NOW)
    session = made.sessions.get_or_create_session()
    for number in (1, 2, 3):
        made.sessions.add_message(session, "user", f"Message {number}.", created_at=day(number))
    return made


def add(lab, text, number, **given):
    """Add what was said and learnt on a day of March."""
    return lab.insights.add(text, **{"valid_from": day(number), "known_from": day(number), **given})


def stop(lab, value, number, **given):
    named = {"symbol": "AAPL", "speaker": "Ann", "attribute": "stop", "value": str(value)}
    return add(lab, f"Ann: the stop is at {value}", number, **named | given)


def alive(lab, as_of=None):
    with lab.store.read() as con:
        moment = AsOf(at=NOW, seen_message=9, seen_insight=2**62, as_of=as_of and day(as_of))
        return [each.insight_id for each in ledger.alive(con, moment)]


def row(lab, insight_id):
    return lab.insights.frame.set_index("insight_id").loc[insight_id]


def disputes(lab):
    return [[] if ids is None else list(ids) for ids in lab.insights.frame["disputed_by"].replace({float("nan"): None})]


def said(text, number=1, **given):
    return Learnt(text=text, kind="fact", sources=(), valid_from=day(number), **given)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Ann never holds AAPL through earnings", "Well, Ann never holds AAPL through the earnings!", "same"),
        ("Ann never holds AAPL through earnings", "Ann never holds MSFT through earnings", None),
        ("Ann buys AAPL with a plan", "Ann buys AAPL without a plan", "contradicts"),
        ("Ann always sells AAPL on gaps", "Ann never sells AAPL on gaps", "contradicts"),
        ("AAPL doesn't trade above its mean", "AAPL trades below its mean", None),
        ("The AAPL dividend is 3 dollars", "The AAPL dividend is 4 dollars", "contradicts"),
        ("AAPL gained 3 percent in January", "AAPL gained 5 percent in April", None),
        ("AAPL gained 3 percent in January", "AAPL gained 5 percent in January", "contradicts"),
        ("AAPL rose on Monday, up on volume", "AAPL fell on Tuesday, down on volume", None),
        ("Ann bought 50 AAPL at 448", "Ann sold half the AAPL at 462", None),
        ("Ann bought AAPL at 448", "Ann bought AAPL at 452", None),
        ("Ann bought AAPL at 448", "Ann sold AAPL at 448", "contradicts"),
    ],
)
def test_the_same_words_are_said_again_and_denials_opposites_and_other_numbers_contradict(old, new, expected):
    assert relation(said(old), said(new, 2)) == expected


def test_of_values_of_an_attribute_the_later_is_newer_and_those_of_one_moment_contradict():
    given = {"symbol": "AAPL", "attribute": "stop"}
    old, new = said("stop 300", 1, value="300", **given), said("stop 310", 2, value="310", **given)
    assert (relation(old, new), relation(new, old)) == ("newer", "older")
    assert relation(old, said("stop 310", 1, value="310", **given)) == "contradicts"
    assert relation(old, said("it stays at 300", 2, value="300", **given)) == "same"
    for other in ({"symbol": "MSFT"}, {"speaker": "Bob"}, {"attribute": "target"}):
        assert relation(old, said("stop 310", 2, value="310", **given | other)) is None


def test_readings_of_other_days_and_agreeing_theses_are_no_contradiction():
    assert relation(said("AAPL yields 3 percent", 1), said("AAPL yields 4 percent", 9)) is None
    given = {"symbol": "AAPL", "attribute": "thesis"}
    assert relation(said("AAPL is cheap on cash flow", **given), said("Margins of AAPL will widen", **given)) is None


def test_what_is_over_is_not_said_again_nor_contradicted():
    over, again = (said("AAPL stays above 400", on, valid_until=day(until)) for on, until in ((1, 5), (8, 28)))
    below = said("AAPL stays below 400", 9)
    assert relation(over, again) is None
    assert relation(over, below) is None
    assert relation(again, below) == "contradicts"


def test_what_says_the_same_adds_its_sources_and_counts_as_said_again(lab):
    first = add(lab, "Ann never holds AAPL through earnings", 1, sources=[1])
    again = add(lab, "Well, Ann never holds AAPL through the earnings!", 9, sources=[3, 1, 2], distiller="rules-1")
    assert again == first
    assert row(lab, first)["sources"].tolist() == [1, 2, 3]
    assert row(lab, first)["text"] == "Ann never holds AAPL through earnings"
    assert lab.insights.sources(first)["message_id"].tolist() == [1, 2, 3]
    events = lab.insights.history(first)
    assert events["event"].tolist() == ["added", "supported"]
    assert events["sources"].iloc[1].tolist() == [2, 3]
    with lab.store.read() as con:
        (known,) = ledger.standing(con)
    assert known.confirmed == datetime(2026, 3, 9)  # noqa: DTZ001 (naive UTC, as in the tables)


def test_a_newer_value_takes_the_older_ones_place_whoever_distils_it_and_one_that_comes_back_is_new(lab):
    old, new = stop(lab, 341.5, 1), stop(lab, 350, 2, distiller="rules-1")
    assert alive(lab) == [new]
    assert row(lab, old)["superseded_by"] == new
    assert lab.insights.history(old)["event"].tolist() == ["added", "superseded"]
    assert alive(lab, as_of=1) == [old]
    third = stop(lab, 341.5, 3)
    assert third not in {old, new}
    assert alive(lab) == [third]


def test_a_value_that_comes_late_stands_only_in_the_past(lab):
    first, second, newest = stop(lab, 300, 1), stop(lab, 310, 5), stop(lab, 350, 9)
    late = stop(lab, 305, 3)
    assert [alive(lab, as_of=on) for on in (2, 4, 6, 10)] == [[first], [late], [second], [newest]]
    assert lab.insights.frame["superseded_by"].fillna(0).tolist() == [late, newest, 0, second]


def test_what_was_learnt_late_is_not_known_before(lab):
    first, last = stop(lab, 300, 1), stop(lab, 320, 9)
    late = stop(lab, 310, 5, known_from=day(12))
    assert [alive(lab, as_of=on) for on in (6, 10, 13)] == [[first], [last], [last]]
    assert row(lab, first)["superseded_by"] == last  # which was known first
    assert row(lab, late)["superseded_by"] == last


def test_what_contradicts_is_kept_and_both_say_so(lab):
    one = add(lab, "Ann: AAPL holds above its old high", 1, symbol="AAPL")
    other = add(lab, "Ann: AAPL holds below its old high", 2, symbol="AAPL")
    third = add(lab, "Ann: AAPL does not hold above its old high", 3, symbol="AAPL")
    assert alive(lab) == [one, other, third]
    assert disputes(lab) == [[other, third], [one], [one]]
    assert lab.insights.history(other)["other_id"].tolist()[1] == one


def test_what_was_retired_does_not_come_back_by_distilling_and_does_by_the_analysts_hand(lab):
    rule = "Ann never holds AAPL through earnings"
    wrong = add(lab, rule, 1, distiller="rules-1")
    lab.insights.retire(wrong, "misread")
    assert add(lab, rule, 9, sources=[1], distiller="model") == wrong
    assert alive(lab) == []
    assert add(lab, rule, 9) == wrong
    assert alive(lab) == [wrong]
    assert lab.insights.history(wrong)["event"].tolist() == ["added", "retired", "supported", "supported", "restored"]


def test_a_retired_value_gives_way_to_a_newer_one_and_not_an_older_one_to_it(lab):
    retired = stop(lab, 341.5, 5)
    lab.insights.retire(retired)
    late = stop(lab, 330, 2)
    assert alive(lab) == [late]
    newer = stop(lab, 350, 9)
    assert alive(lab) == [newer]
    with pytest.raises(ValueError, match=f"superseded by {newer} already"):
        lab.insights.restore(retired)


def test_a_pin_goes_over_to_the_newer_value_and_only_once(lab):
    first = stop(lab, 300, 1)
    lab.insights.pin(first)
    second = stop(lab, 320, 9)
    assert row(lab, second)["pinned"]
    lab.insights.unpin(second)
    late, third = stop(lab, 310, 5), stop(lab, 330, 12)
    assert not any(row(lab, each)["pinned"] for each in (late, second, third))

"""What a new insight does to those that stand: it says the same again, takes one's place, comes late, contradicts."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gallump_lab import Lab
from gallump_lab.memory import ledger
from gallump_lab.memory.records import AsOf

NOW = datetime(2026, 3, 20, 9, tzinfo=UTC)


def day(number):
    return datetime(2026, 3, number, tzinfo=UTC)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab.open(tmp_path / "lab.duckdb", clock=lambda: NOW)
    session = made.sessions.get_or_create_session()
    for number in (1, 2, 3):
        made.sessions.add_message(session, "user", f"Message {number}.", created_at=day(number))
    return made


def add(lab, text, number, **given):
    """Add what was said and learnt on a day of March."""
    return lab.insights.add(text, **{"valid_from": day(number), "known_from": day(number), **given})


def stop(lab, value, number, **given):
    return add(
        lab,
        f"Ann: the stop is at {value}",
        number,
        **{"symbol": "AAPL", "speaker": "Ann", "attribute": "stop", "value": str(value), **given},
    )


def alive(lab, as_of=None):
    with lab.store.read() as con:
        moment = AsOf(at=NOW, seen_message=9, seen_insight=2**62, as_of=as_of and day(as_of))
        return [each.insight_id for each in ledger.alive(con, moment)]


def row(lab, insight_id):
    return lab.insights.frame.set_index("insight_id").loc[insight_id]


def test_what_says_the_same_adds_its_sources_and_counts_as_said_again(lab):
    first = add(lab, "Ann never holds AAPL through earnings", 1, sources=[1])
    again = add(lab, "Well, Ann never holds AAPL through the earnings!", 9, sources=[3, 1, 2], distiller="rules-1")
    assert again == first
    assert len(lab.insights) == 1
    assert row(lab, first)["sources"].tolist() == [1, 2, 3]
    assert row(lab, first)["text"] == "Ann never holds AAPL through earnings"
    assert lab.insights.sources(first)["message_id"].tolist() == [1, 2, 3]
    events = lab.insights.history(first)
    assert events["event"].tolist() == ["added", "supported"]
    assert events["sources"].iloc[1].tolist() == [2, 3]
    with lab.store.read() as con:
        (known,) = ledger.standing(con)
    assert known.confirmed == datetime(2026, 3, 9)  # noqa: DTZ001 (naive UTC, as in the tables)


@pytest.mark.parametrize(
    "other",
    [
        {"text": "Ann never holds MSFT through earnings"},
        {"text": "Ann holds AAPL through earnings"},
        {"text": "Ann never holds 100 AAPL through earnings"},
        {"symbol": "AAPL"},
        {"speaker": "Ann"},
    ],
)
def test_another_name_number_symbol_speaker_or_a_denial_is_another_statement(lab, other):
    first = add(lab, "Ann never holds AAPL through earnings", 1)
    assert add(lab, **{"text": "Ann never holds AAPL through earnings", "number": 2} | other) != first
    assert len(alive(lab)) == 2


def test_a_newer_value_takes_the_older_ones_place_whoever_distils_it(lab):
    old, new = stop(lab, 341.5, 1), stop(lab, 350, 2, distiller="rules-1")
    assert alive(lab) == [new]
    assert row(lab, old)["superseded_by"] == new
    assert lab.insights.history(old)["event"].tolist() == ["added", "superseded"]
    assert alive(lab, as_of=1) == [old]


@pytest.mark.parametrize("other", [{"symbol": "MSFT"}, {"speaker": "Bob"}, {"attribute": "target"}])
def test_another_symbol_speaker_or_attribute_keeps_its_own_value(lab, other):
    assert alive(lab) == []
    both = [stop(lab, 341.5, 1), stop(lab, 350, 2, **other)]
    assert alive(lab) == both


def test_a_value_that_comes_back_is_new_again(lab):
    first, second, third = stop(lab, 341.5, 1), stop(lab, 350, 2), stop(lab, 341.5, 3)
    assert len({first, second, third}) == 3
    assert alive(lab) == [third]


def test_an_older_value_that_comes_late_stands_only_in_the_past(lab):
    first, newest = stop(lab, 300, 1), stop(lab, 350, 9)
    late = stop(lab, 341.5, 5)
    assert alive(lab) == [newest]
    assert row(lab, late)["superseded_by"] == newest
    assert row(lab, first)["superseded_by"] == late
    assert [alive(lab, as_of=on) for on in (1, 4, 5, 8, 9)] == [[first], [first], [late], [late], [newest]]


def test_a_value_may_come_late_between_any_two(lab):
    first, second, third = stop(lab, 300, 1), stop(lab, 310, 5), stop(lab, 320, 9)
    late = stop(lab, 305, 3)
    assert [alive(lab, as_of=on) for on in (2, 4, 6, 10)] == [[first], [late], [second], [third]]
    assert lab.insights.frame["superseded_by"].fillna(0).tolist() == [late, third, 0, second]


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
    assert [list(ids) for ids in lab.insights.frame["disputed_by"]] == [[other, third], [one], [one]]
    assert lab.insights.history(other)["other_id"].tolist()[1] == one


@pytest.mark.parametrize(
    ("said", "against", "contradicts"),
    [
        ("Ann buys AAPL with a plan", "Ann buys AAPL without a plan", True),
        ("Ann always sells AAPL on gaps", "Ann never sells AAPL on gaps", True),
        ("The AAPL dividend is 3 dollars", "The AAPL dividend is 4 dollars", True),
        ("AAPL doesn't trade above its mean", "AAPL trades below its mean", False),
        ("Ann bought AAPL for cash flow", "Ann bought AAPL for its buybacks", False),
        ("Ann is bullish on AAPL", "Rates are bearish for banks", False),
        ("AAPL gained 3 percent in January", "AAPL gained 5 percent in April", False),
        ("AAPL gained 3 percent in January", "AAPL gained 5 percent in January", True),
        ("AAPL gained 3 percent in 2024", "AAPL gained 3 percent in 2025", False),
        ("AAPL closed at 180 on 5 March", "AAPL closed at 180 on 6 March", False),
        ("AAPL rose on Monday, up on volume", "AAPL fell on Tuesday, down on volume", False),
        ("Screen 17 of AAPL gained 3 percent", "Screen 18 of AAPL gained 5 percent", False),
    ],
)
def test_denials_opposites_and_other_numbers_contradict(lab, said, against, contradicts):
    both = [add(lab, said, 1), add(lab, against, 2)]
    assert alive(lab) == both
    assert lab.insights.frame["disputed_by"].notna().tolist() == [contradicts, contradicts]


def test_readings_of_other_days_are_no_contradiction(lab):
    both = [add(lab, "AAPL yields 3 percent", 1), add(lab, "AAPL yields 4 percent", 9)]
    assert alive(lab) == both
    assert lab.insights.frame["disputed_by"].isna().all()


def test_a_hundred_like_figures_do_not_each_speak_against_all_the_others(lab):
    """What is stored of an insight, and so what every prompt sums up, does not grow with how many are like it."""
    for number in range(25):
        add(lab, f"AAPL gained {number} percent after its results", 1, symbol="AAPL")
    events = lab.sql("select insight_id, count(*) as number from insight_events group by insight_id")
    assert events["number"].max() == 3
    assert lab.insights.frame["disputed_by"].notna().all()


def test_two_values_of_one_moment_contradict_each_other(lab):
    one, other = stop(lab, 341.5, 1), stop(lab, 350, 1)
    assert alive(lab) == [one, other]
    assert [list(ids) for ids in lab.insights.frame["disputed_by"]] == [[other], [one]]


def test_two_theses_of_one_message_that_agree_do_not_contradict_each_other(lab):
    given = {"symbol": "AAPL", "attribute": "thesis", "kind": "thesis"}
    both = [add(lab, "AAPL is cheap on cash flow", 1, **given), add(lab, "Margins of AAPL will widen", 1, **given)]
    assert alive(lab) == both
    assert lab.insights.frame["disputed_by"].isna().all()


def test_what_is_over_is_not_said_again_nor_contradicted(lab):
    over = add(lab, "AAPL stays above 400", 1, symbol="AAPL", valid_until=day(5))
    again = add(lab, "AAPL stays above 400", 8, symbol="AAPL", valid_until=day(28))
    assert again != over
    assert alive(lab) == [again]
    below = add(lab, "AAPL stays below 400", 9, symbol="AAPL")
    assert [
        ids is not None and list(ids) for ids in lab.insights.frame["disputed_by"].replace({float("nan"): None})
    ] == [
        False,
        [below],
        [again],
    ]


def test_another_horizon_is_another_statement(lab):
    friday, monday = (stop(lab, 341.5, on, valid_until=day(until)) for on, until in ((1, 25), (2, 28)))
    assert alive(lab) == [monday]
    assert row(lab, friday)["superseded_by"] == monday


def test_what_was_retired_does_not_come_back_by_distilling_and_does_by_the_analysts_hand(lab):
    said = "Ann never holds AAPL through earnings"
    wrong = add(lab, said, 1, distiller="rules-1")
    lab.insights.retire(wrong, "misread")
    assert add(lab, said, 9, sources=[1], distiller="model") == wrong
    assert alive(lab) == []
    assert add(lab, said, 9) == wrong
    assert alive(lab) == [wrong]
    assert lab.insights.history(wrong)["event"].tolist() == ["added", "retired", "supported", "supported", "restored"]


def test_a_newer_value_takes_the_place_of_a_retired_one_too(lab):
    retired, newer = stop(lab, 341.5, 1), None
    lab.insights.retire(retired)
    newer = stop(lab, 350, 2)
    assert alive(lab) == [newer]
    with pytest.raises(ValueError, match=f"superseded by {newer} already"):
        lab.insights.restore(retired)


def test_an_old_value_stands_where_the_newer_one_was_retired(lab):
    wrong = stop(lab, 350, 9)
    lab.insights.retire(wrong)
    late = stop(lab, 341.5, 5)
    assert alive(lab) == [late]


def test_a_pin_goes_over_to_the_newer_value_and_only_once(lab):
    first = stop(lab, 300, 1)
    lab.insights.pin(first)
    second = stop(lab, 320, 9)
    assert row(lab, second)["pinned"]
    lab.insights.unpin(second)
    late = stop(lab, 310, 5)
    assert not row(lab, late)["pinned"]
    assert not row(lab, second)["pinned"]
    third = stop(lab, 330, 12)
    assert not row(lab, third)["pinned"]

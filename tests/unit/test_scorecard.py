"""The scorecard as its user reads it: each insight judged, the set's worth, what the metrics see of faults."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from benchmarks import faults

from gallump_lab import study
from gallump_lab.study.scorecard.scorecard import VERDICTS
from gallump_lab.study.scorecard.utility import WAYS

DAY = datetime(2012, 3, 1, 15, tzinfo=UTC)
SAID = [
    ("s1", "user", "My stop on AAPL is 512.40, and I never hold it over earnings."),
    ("s1", "assistant", "Noted. The stop stands under the February low."),
    ("s2", "user", "I moved my AAPL stop up to 540.25 after the product event."),
    ("s2", "assistant", "That locks in the gain."),
    ("s3", "user", "Warehouse visits taught me that IBM ships on Fridays."),
    ("s3", "assistant", "A useful habit to know."),
    ("s4", "user", "Thanks, that is all for this quarter."),
    ("s4", "assistant", "Have a good weekend."),
]


@pytest.fixture(scope="module")
def talk():
    """Give messages, a session a month."""
    return pd.DataFrame(
        [
            {
                "role": role,
                "text": text,
                "created_at": DAY + timedelta(days=30 * int(session[1]), minutes=place),
                "session_id": session,
                "symbol": "IBM" if session == "s3" else "AAPL",
            }
            for place, (session, role, text) in enumerate(SAID)
        ]
    )


@pytest.fixture
def lab(anew, talk):
    lab = anew(clock=lambda: DAY + timedelta(days=200))
    lab.import_messages(talk)
    return lab


def add(lab, text, *sources, symbol="AAPL", month=1, **given):
    when = DAY + timedelta(days=30 * month, hours=1)
    return lab.insights.add(text, symbol=symbol, sources=sources, valid_from=when, known_from=when, **given)


def verdict(card, insight_id):
    row = card.frame.set_index("insight_id").loc[insight_id]
    return row["verdict"], row["why"]


def test_what_nobody_said_is_not_supported_and_what_a_later_message_changed_is_out_of_date(lab):
    bad = add(lab, "Stop on AAPL at 519.40", 1)
    good = add(lab, "Never holds AAPL over earnings", 1, kind="preference")
    old = add(lab, "Stop on AAPL at 512.40", 1, kind="level")
    card = study.insights(lab.snapshot())
    name, why = verdict(card, bad)
    assert name == "not supported"
    assert "519.4" in why
    support = card.frame.set_index("insight_id")["support"]
    assert support[bad] == 0
    assert support[good] > 0.8
    name, why = verdict(card, old)
    assert name == "out of date"
    assert "540.25" in why
    before = study.insights(lab.snapshot(), at=DAY + timedelta(days=31))
    assert verdict(before, old)[0] != "out of date"


def test_without_labelled_questions_nothing_is_against_a_good_insight_and_the_reason_stands_once(lab):
    kept = add(lab, "IBM ships on Fridays", 5, symbol="IBM", month=3)
    unsourced = add(lab, "Sells winners too early")
    frame = lab.insights.frame
    alone = study.insights(lab.snapshot(), chosen=frame[frame["insight_id"] == unsourced])
    assert verdict(alone, unsourced) == ("not measured", "It cites no message that is there.")
    card = study.insights(lab.snapshot())
    assert card.utility is None
    assert card.frame["shown"].isna().all()
    assert verdict(card, kept) == ("nothing against it", "Scored: support, staleness, contradiction, redundancy.")
    name, why = verdict(card, unsourced)
    assert name == "nothing against it"
    assert why == "Scored: contradiction, redundancy. Not support: It cites no message that is there."
    assert "lab.labeller()" in card.trouble
    assert repr(card).count(card.trouble) == 1
    assert "nothing against it: 2" in repr(card)
    with pytest.raises(study.NothingToMeasure, match="grade 3"):
        card.plot()


def test_an_insight_that_a_question_needs_helps_and_is_worth_what_is_lost_without_it(lab):
    needed = add(lab, "Warehouse visits: IBM ships on Fridays", 5, symbol="IBM", month=3)
    idle = add(lab, "IBM: a useful habit to know", 6, symbol="IBM", month=3)
    question = lab.add_question("On which day does IBM ship?", answer="Fridays", symbol="IBM")
    lab.label(question, 5, 3)
    budget = study.rank(lab.snapshot()).config.budget
    card = study.insights(lab.snapshot(), budget=type(budget)(hot=0, warm=0, cold=100))
    frame = card.frame.set_index("insight_id")
    assert frame.loc[needed, ["shown", "helped", "recall_lost", "coverage_lost"]].tolist() == [1, 1, 1, 1]
    assert frame.loc[idle, ["shown", "helped", "recall_lost"]].tolist() == [1, 0, 0]
    assert [frame.loc[each, "verdict"] for each in (needed, idle)] == ["helps", "shown, helped nobody"]
    held = {way: card.utility.measured[way]["recall"].tolist() for way in WAYS}
    assert held == {"with COLD": [1], "its tokens to WARM": [1], "without COLD": [0]}
    assert np.isnan(card.utility.difference()).tolist() == [False, True, True]  # one conversation gives no interval
    assert card.trouble == ""
    first, recall, _, last = repr(card.utility).splitlines()
    assert first == "Utility of 100 tokens of offline-analyst for insights, on 1 question"
    assert recall.startswith("evidence recall: with COLD 1.000, its tokens to WARM 1.000, without COLD 0.000; ")
    assert recall.endswith("; with COLD against its tokens to WARM +0.000")
    assert last == "shown to some question: 2 insights; of these help one: 1"


def test_a_forecast_is_judged_by_the_bars_after_it(lab):
    right = add(lab, "Expects AAPL above 620 by May", 1, kind="thesis")
    wrong = add(lab, "Expects AAPL above 1,000 by May, after all", 1, kind="thesis", speaker="Tom")
    card = study.insights(lab.snapshot())
    frame = card.frame.set_index("insight_id")
    assert frame.loc[[right, wrong], "outcome"].tolist() == [1, 0]
    assert 0 < frame.loc[right, "base_rate"] < 1
    assert [each.forecast.level for each in card.outcomes] == [620, 1_000]
    assert repr(card.outcome).startswith("Outcome: 2 of 2 are testable, 2 of these are decided: 1 came true, 1 did not")


def test_what_is_said_of_a_session_that_no_insight_carries_lowers_coverage(lab):
    add(lab, "IBM ships on Fridays", 5, symbol="IBM", month=3)
    before = study.insights(lab.snapshot())
    missed = before.sessions.set_index("session_id")["coverage"]
    add(lab, "Stop on AAPL at 512.40; never holds it over earnings", 1)
    after = study.insights(lab.snapshot()).sessions.set_index("session_id")["coverage"]
    assert missed["s1"] == 0
    assert after["s1"] == 1
    assert np.isnan(after["s4"])  # nothing there is worth remembering


def test_the_first_line_says_how_many_are_not_judged_and_why(lab):
    add(lab, "Stop on AAPL at 512.40", 1, attribute="stop", value="512.4")
    add(lab, "Stop on AAPL at 540.25", 3, attribute="stop", value="540.25", month=2)
    kept = add(lab, "IBM ships on Fridays", 5, symbol="IBM", month=3)
    lab.insights.retire(add(lab, "IBM is slow", 5, symbol="IBM", month=3))
    add(lab, "Away until May", 1, valid_until=DAY + timedelta(days=60))
    card = study.insights(lab.snapshot())
    assert card.left_out == {"superseded": 1, "retired": 1, "past their own horizon": 1}
    first = "Scorecard of 2 insights at 2012-06-29, of 5; not judged: 1 past their own horizon, 1 retired, 1 superseded"
    assert repr(card).splitlines()[0] == first
    frame = lab.insights.frame
    one = study.insights(lab.snapshot(), chosen=frame[frame["insight_id"] == kept])
    assert repr(one).splitlines()[0] == "Scorecard of 1 insights at 2012-06-29, of 5; not judged: 4 not chosen"
    assert study.insights(lab.snapshot(), chosen=frame).left_out == {}


def test_grades_say_which_metric_agrees_with_people(lab):
    good = [add(lab, "Never holds AAPL over earnings", 1), add(lab, "IBM ships on Fridays", 5, symbol="IBM", month=3)]
    bad = add(lab, "Stop on AAPL at 519.40", 1)
    assert study.insights(lab.snapshot()).grades().empty
    for each, grade in [*((each, 3) for each in good), (bad, 0)]:
        lab.insights.grade(each, grade)
    card = study.insights(lab.snapshot())
    found = card.grades().set_index("metric")
    assert found.loc["support", ["auc", "n_good", "n_bad"]].tolist() == [1, 2, 1]
    assert card.frame["grade"].tolist() == [3, 3, 0]


def test_bad_arguments_and_a_lab_without_insights_are_named(lab):
    with pytest.raises(ValueError, match=r"lab\.distill\(\)"):
        study.insights(lab.snapshot())
    with pytest.raises(ValueError, match="snapshot must be what"):
        study.insights(lab)
    add(lab, "IBM ships on Fridays", 5, symbol="IBM", month=3)
    snapshot = lab.snapshot()
    for given, words in (
        ({"at": datetime(2012, 5, 1)}, "at must be a datetime with a time zone"),  # noqa: DTZ001
        ({"at": DAY}, "at is 2012-03-01 15:00, before the talk began on 2012-03-31 15:00"),
        ({"chosen": pd.DataFrame({"insight_id": []})}, "None of 1 insights is to be judged"),
        ({"chosen": pd.DataFrame({"a": [1]})}, "chosen must be rows of lab.insights.frame"),
        ({"chosen": [1, 2]}, r"chosen must be rows of lab.insights.frame.* not \[1, 2\]"),
        ({"chosen": pd.DataFrame({"insight_id": [1, 7, 8]})}, "2 insights that the snapshot has not, such as 7, 8"),
        ({"budget": 200}, r"budget must be a Budget, such as Budget\(cold=300\), not 200"),
        ({"ranks": "x"}, r"ranks must be what study.rank\(snapshot\) gives, not 'x'"),
        ({"broker": object()}, r"broker must be a broker with a method bars\(symbol, days\), not <object"),
    ):
        with pytest.raises(ValueError, match=words):
            study.insights(snapshot, **given)


@pytest.fixture(scope="module")
def judged(sampled):
    """Judge every third insight of the sample, with a question in twelve; give the snapshot and the ranks too."""
    lab = sampled()
    snapshot = lab.snapshot()
    ranks = study.rank(snapshot, questions=lab.questions.iloc[::12], hot=2_000, warm=700, cold=200)
    frame = lab.insights.frame
    return snapshot, ranks, study.insights(snapshot, ranks, chosen=frame[frame["superseded_by"].isna()].iloc[::3])


@pytest.fixture(scope="module")
def sample(judged):
    return judged[2]


def test_the_same_snapshot_gives_the_same_figures(judged):
    snapshot, ranks, card = judged
    some = study.insights(snapshot, ranks, chosen=card.frame.iloc[:8]).frame
    alone = ["support", "specificity", "staleness", "helped"]  # the others are judged beside all insights
    pd.testing.assert_frame_equal(some[alone], card.frame.iloc[:8][alone])


LEAST = {"direction": 0.85, "clause": 0.85, "vague": 0.85, "stale": 0.9}


def test_the_metrics_see_what_they_claim_on_the_sample(sample):
    found = faults.table(sample, seed=11, metrics=[*{*faults.SEES.values()}]).set_index(["fault", "metric"])
    assert {*found.index.unique("fault")} == {*faults.SEES}
    for fault, metric in faults.SEES.items():
        row = found.loc[(fault, metric)]
        assert row["auc"] >= LEAST.get(fault, 0.95), fault
        assert row["low"] <= row["auc"] <= row["high"]
    assert "number" in repr(faults.picture(found.reset_index()))


def test_a_fault_is_what_it_is_called_and_comes_again_with_the_seed(sample):
    found = [*faults.inject(sample, 3)]
    assert found == [*faults.inject(sample, 3)]
    assert found != [*faults.inject(sample, 4)]
    for name, good, bad in found:
        assert (bad.text == good.text) == (name == "source")
        assert (bad.sources == good.sources) == (name not in {"source", "stale"})
        assert (bad.insight_id == good.insight_id) == (name not in {"duplicate", "contradiction"})
        assert not re.search(r"  | [.,;]|\b(the|a|an) (the|a|an)\b|\bnot not\b|[{}]", bad.text, re.IGNORECASE)


def test_charts_show_their_figures_in_words(sample):
    assert "with COLD" in repr(sample.plot())
    assert str(sample.frame["verdict"].value_counts().iloc[0]) in repr(sample.plot_verdicts())
    assert set(sample.frame["verdict"]) <= set(VERDICTS)
    for picture in (sample.plot(), sample.plot_verdicts()):
        assert picture.png().startswith(b"\x89PNG")

"""What a study advises: on labs where the right advice is known, and what it says where nothing carries one."""

import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from gallump_lab import Budget, Config, Lab, study
from gallump_lab.study import advice as advice_of
from gallump_lab.study.change import Change

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SONNET = "claude-sonnet-5-5"
WORDS = "stop level trend volume close sector earnings margin risk size entry target hedge cash week".split()
LARGE = Config(budget=Budget(hot=4_000, warm=200, cold=0), layout="single")


def desk(path, sessions, turns=10, *, minutes=3, labels=True, config=LARGE):
    """Make a lab of sessions of codes and long replies, a pause after each; questions rest on the last exchanges."""
    dice, said, asked = random.Random(3), [], []
    lab = Lab.open(path, clock=lambda: START + timedelta(days=90))
    for session in range(sessions):
        at = START + timedelta(days=session)
        for turn in range(turns):
            code = f"{session}-{turn}"
            told = f"Remember the code {code} of {' '.join(dice.choices(WORDS, k=6))}."
            reply = f"Noted. {' '.join(dice.choices(WORDS, k=120))}."
            for role, text in (("user", told), ("assistant", reply)):
                said.append({"text": text, "role": role, "session_id": f"s{session}", "created_at": at})
                at += timedelta(minutes=minutes)
        for back in (1, 2, 3):
            evidence = [str(len(said) - 2 * back)]
            asked.append({"text": f"What of that, {back} before?", "session_id": f"s{session}", "asked_at": at})
            asked[-1]["evidence"] = evidence
    lab.import_messages(pd.DataFrame(said).assign(key=[str(place) for place in range(len(said))]))
    if labels:
        lab.import_questions(pd.DataFrame(asked))
    lab.apply(config)
    return lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Make a lab whose pauses outlast the prompt cache, so that all of HOT is paid in full."""
    return desk(tmp_path_factory.mktemp("desk") / "lab.duckdb", 30)


@pytest.fixture(scope="module")
def advice(lab):
    return study.advise(lab.snapshot(), model=SONNET)


def test_a_smaller_hot_that_holds_as_much_is_advised_with_what_it_saves(lab, advice):
    row = advice.frame[advice.frame["advised"]].squeeze()
    assert advice.config.budget.hot < 4_000
    assert row["recall"] == 0
    assert -0.05 < row["recall_low"] < 0 < row["usd_turn_low"] <= row["usd_turn"] <= row["usd_turn_high"]
    assert row["conversations"] == 15  # the half that had no part in the choice
    configs = {"now": lab.config, "then": advice.config}
    usd = study.cost(lab.snapshot(), configs, models=SONNET).frame.set_index("config")[["usd_turn", "usd_month"]]
    saved = usd.loc["now"] - usd.loc["then"]  # WARM and COLD in full
    measured = 2e-6 * (lab.config.budget.warm - advice.config.budget.warm)
    assert row["usd_turn"] == pytest.approx(saved["usd_turn"], abs=measured)
    assert row["usd_month"] / row["usd_turn"] == pytest.approx(saved["usd_month"] / saved["usd_turn"])
    what, sure, surer = str(advice).splitlines()
    assert what.startswith(f"Set HOT to {advice.config.budget.hot:,} tokens (from 4,000)")
    assert f"that saves ${row['usd_turn']:.4f} [" in what
    assert "on 15 conversations, a loss of more than 0.05 is excluded" in sure
    assert "nothing here measures what it brings" in sure
    assert "lab.labeller()" in surer


def test_what_is_advised_is_put_in_force_with_its_grounds_and_taken_back(lab, advice):
    before = lab.config
    lab.apply(advice)
    run = lab.runs.iloc[-1]
    assert lab.config == advice.config != before
    assert (run["study"], run["words"], run["data_hash"]) == ("advise", str(advice), advice.run["data_hash"])
    assert run["figures"]["model"] == SONNET
    assert run["figures"]["gain"][1] > -0.05
    assert lab.revert() == before


def test_a_margin_that_the_interval_does_not_exclude_carries_nothing_and_more_labels_are_asked_for(lab):
    found = study.advise(lab.snapshot(), study.rank(lab.snapshot(), model=SONNET), margin=0.01)
    assert str(found).startswith("Change nothing")
    assert "a loss of more than 0.01 is not excluded" in str(found)
    assert found.config == lab.config
    number = int(str(found).split("To be surer: label about ")[1].split(" questions")[0].replace(",", ""))
    assert number > 90
    with pytest.raises(ValueError, match=r"Nothing was put in force\. No setting is advised\. Label about"):
        lab.apply(found)


def test_of_what_takes_more_and_holds_no_more_it_is_said_that_labels_hardly_help(lab):
    swept = study.sweep(study.rank(lab.snapshot(), model=SONNET))
    held = Change(what="", config=lab.config, priced=lab.config, gain=(-0.003, -0.018, 0.012))
    dearer, cheaper = (replace(held, turn=turn) for turn in ((-0.002, -0.003, -0.001), (0.002, 0.001, 0.003)))
    assert (dearer.bar(0.01), cheaper.bar(0.01)) == (0, -0.01)
    assert "more labels would hardly help" in advice_of._surer(dearer, swept, 0.01)
    assert re.match(r"label about \d+ questions of \d+ conversations more", advice_of._surer(cheaper, swept, 0.01))


def test_too_few_conversations_carry_nothing(tmp_path):
    lab = desk(tmp_path / "lab.duckdb", 7)
    found = study.advise(lab.snapshot(), model=SONNET)
    assert not found.frame["advised"].any()
    assert "on 3 conversations; an interval needs 5" in str(found)
    assert "label about 9 questions of 3 conversations more (lab.labeller())" in str(found)


def test_more_recall_beyond_chance_is_advised_with_what_it_costs(tmp_path):
    lab = desk(tmp_path / "lab.duckdb", 20, config=Config(budget=Budget(hot=0, warm=0, cold=0)))
    found = study.advise(lab.snapshot(), model=SONNET)
    row = found.frame[found.frame["advised"]].squeeze()
    assert row["recall_low"] > 0 > row["usd_turn_high"]
    assert f"that costs ${-row['usd_turn']:.4f} [" in str(found)
    assert "better beyond chance" in str(found)


@pytest.mark.parametrize(("turns", "carried"), [(3, True), (30, False)])
def test_without_labels_a_layout_is_advised_only_where_prompts_hold_the_same(tmp_path, turns, carried):
    lab = desk(tmp_path / "lab.duckdb", 8, turns=turns, minutes=1, labels=False)
    found = study.advise(lab.snapshot(), model=SONNET)
    assert found.config == replace(lab.config, layout="conversation" if carried else "single")
    assert found.frame["usd_turn_low"].iloc[0] > 0
    why = "HOT holds every session whole in either layout" if carried else "there are no labels"
    assert why in found.frame["why"].iloc[0]
    assert "Give some of these grade 3 (lab.label(...) or lab.labeller())" in str(found)
    assert bool(found.against) is not carried


@pytest.mark.parametrize(
    ("model", "words"), [(None, "The offline analyst is free"), ("mine", "No price is known for mine: give one")]
)
def test_without_a_price_nothing_is_told_in_dollars_and_no_layout_is_advised(lab, model, words):
    found = study.advise(lab.snapshot(), model=model)
    assert words in str(found)
    assert "$" not in str(found)
    assert found.frame["usd_turn"].isna().all()
    assert found.config.layout == "single"
    assert found.config.budget.hot < 4_000  # its tokens are known all the same
    assert "tokens a question less" in str(found)


def test_a_lab_without_talk_is_told_what_is_missing(tmp_path):
    lab = Lab.open(tmp_path / "lab.duckdb")
    found = study.advise(lab.snapshot(), model=SONNET)
    assert str(found).startswith("Change nothing")
    assert "nothing could be judged" in str(found)
    assert "has a reply: ask something (lab.ask, lab.chat) or import talk" in str(found)
    assert found.frame.empty


def test_effort_is_never_advised_and_costs_what_it_is_assumed_to_think(tmp_path):
    lab = desk(tmp_path / "lab.duckdb", 6, turns=3, labels=False)
    found = study.advise(lab.snapshot(), model=SONNET, thinking={"low": 200, "high": 2_000})
    efforts = found.frame[found.frame["change"].str.startswith("effort")]
    assert efforts["usd_turn"].tolist() == [-0.002, -0.02]
    assert not efforts["advised"].any()


def test_insights_that_helped_nobody_are_to_be_retired_where_the_other_half_loses_nothing_without_them(tmp_path):
    path = tmp_path / "lab.duckdb"
    early = Lab.open(path, clock=lambda: START - timedelta(days=1))
    said = ("What of that tea before?", "That was two before Monday.")
    useless = [early.insights.add(text, kind="preference") for text in said]
    lab = desk(path, 30, config=Config(budget=Budget(hot=4_000, warm=0, cold=200)))
    found = study.advise(lab.snapshot(), model=SONNET)
    row = found.frame[found.frame["change"].str.startswith("retire 2 insights")].squeeze()
    assert found.retire == useless
    assert row["advised"]
    assert row["recall"] == 0
    assert row["tokens"] > 0
    assert 0 < row["usd_turn_low"] <= row["usd_month"]
    assert "without these insights evidence recall +0.000" in str(found)
    assert "retire 2 insights that helped no question of one half (Advice.retire): that saves $" in str(found)


def test_what_cannot_be_used_is_refused_in_words(lab):
    snapshot = lab.snapshot()
    with pytest.raises(ValueError, match="margin must be a share of recall"):
        study.advise(snapshot, margin=2)
    with pytest.raises(ValueError, match="snapshot must be what"):
        study.advise(lab)
    other = study.rank(snapshot, "BM25", model=SONNET)
    with pytest.raises(ValueError, match="ranks must be of this snapshot and model, 'applied' among its retrievers"):
        study.advise(snapshot, other)

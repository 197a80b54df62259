"""What was put in force is recorded with its grounds, can be listed and compared, and taken back."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gallump_lab import Budget, Config, ConfigError, Lab, Model, Recall

NOW = datetime(2013, 2, 28, 15, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Best:
    config: Config
    run: dict[str, Any]


@pytest.fixture
def lab(anew) -> Lab:
    now = [NOW]

    def clock():
        now[0] += timedelta(minutes=1)
        return now[0]

    return anew(clock=clock)


def sweep(lab: Lab, warm: int, recall: float) -> Best:
    return Best(
        Config(budget=Budget(warm=warm)),
        {
            "study": "sweep",
            "retriever": "all signals",
            "data_hash": lab.snapshot().hash,
            "figures": {"recall": recall, "interval": [recall - 0.1, recall + 0.1], "coverage": float("nan")},
            "words": f"The smallest budget within 0.01 of the best: {warm} tokens.",
        },
    )


def test_a_studys_winner_is_in_force_and_recorded_with_its_grounds(lab: Lab) -> None:
    assert lab.runs.empty
    found = sweep(lab, 800, 0.7)
    lab.apply(found)
    assert lab.config == Lab.open(lab.store.path).config == found.config
    lab.apply(Config(recall=Recall(words=0.5)))
    first, second = lab.runs.itertuples()
    assert (first.run_id, first.study, first.retriever, first.config_id) == (1, "sweep", "all signals", found.config.id)
    assert (first.data_hash, first.words) == (found.run["data_hash"], found.run["words"])
    assert first.figures == {"recall": 0.7, "interval": [0.7 - 0.1, 0.7 + 0.1], "coverage": None}
    assert (second.figures, second.before) == (None, found.config.id)
    assert lab.runs["study"].isna().tolist() == [False, True]
    assert lab.runs["before"].isna().tolist() == [True, False]
    assert str(lab.runs["applied_at"].dt.tz) == "UTC"
    assert (lab.runs["version"] != "").all()


def test_two_runs_are_compared_by_settings_and_figures(lab: Lab) -> None:
    lab.apply(sweep(lab, 800, 0.7))
    lab.apply(sweep(lab, 600, 0.72))
    lab.apply(Config(model=Model(prices={"mine": (1, 2)})))
    rows = {setting: (a, b) for setting, a, b in lab.compare(1, 2).itertuples(index=False)}
    assert rows["budget.warm"] == (800, 600)
    assert rows["figures.recall"] == (0.7, 0.72)
    assert "data_hash" in rows  # the first one's configuration was not in the lab yet when the first was found
    assert not any(setting.startswith(("recall", "model")) for setting in rows)
    rows = {setting: (a, b) for setting, a, b in lab.compare(2).itertuples(index=False)}
    assert rows["model.prices.mine"] == (None, (1.0, 2.0))
    assert rows["budget.warm"] == (600, 500)
    with pytest.raises(ValueError, match=r"run_id 9 is not in this lab; lab\.runs lists them"):
        lab.compare(9)


def test_a_run_is_reverted_and_the_revert_too(lab: Lab) -> None:
    with pytest.raises(ValueError, match="Nothing was ever applied"):
        lab.revert()
    best, other = sweep(lab, 800, 0.7), Config(budget=Budget(warm=100))
    lab.apply(best)
    lab.apply(other)
    assert lab.revert() == lab.config == best.config
    assert lab.runs["study"].iloc[-1] == "revert"
    assert lab.runs["words"].iloc[-1] == "What was in force before run 2"
    assert lab.revert() == other  # the newest run is the revert itself
    assert lab.revert(1) == Config()
    assert lab.runs["words"].iloc[-1] == "What was in force before run 1 (sweep)"
    assert len(lab.runs) == 5


def test_a_configuration_given_to_the_object_gives_way_and_its_server_stays(tmp_path: Path) -> None:
    mine = Config(model=Model(base_url="http://127.0.0.1:9"))
    lab = Lab.open(tmp_path / "lab.duckdb", config=mine)
    lab.apply(Config(budget=Budget(warm=100), model=mine.model))
    lab.apply(Config(model=mine.model))
    assert lab.revert().budget.warm == 100
    assert lab.config.model.base_url == "http://127.0.0.1:9"
    lab.apply(Config())
    assert lab.config.model.base_url == "http://127.0.0.1:9"
    assert not lab.sql("from configs where contains(toml, '127.0.0.1')")["toml"].tolist()


def test_a_daily_limit_is_not_lost_without_a_word(lab: Lab) -> None:
    lab.apply(Config(model=Model(max_usd_per_day=5)))
    with pytest.warns(UserWarning, match=r"No daily limit holds any more: it was \$5\.00"):
        lab.apply(Config(budget=Budget(warm=100)))


def test_what_is_no_finding_is_refused(lab: Lab) -> None:
    with pytest.raises(ConfigError, match="must be a gallump_lab"):
        lab.apply(Best(None, {}))
    assert lab.runs.empty

"""The tunables: defaults, the guide's presets, TOML both ways, and what is refused."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallump_lab import Budget, Config, ConfigError, Model, Recall

budgets = st.builds(
    Budget,
    hot=st.integers(0, 9_000),
    warm=st.integers(0, 9_000),
    cold=st.integers(0, 9_000),
    window=st.integers(40_000, 200_000),
    reply=st.integers(1, 8_000),
    hot_messages=st.none() | st.integers(1, 50),
    hot_characters=st.none() | st.integers(1, 500),
    cold_insights=st.none() | st.integers(1, 50),
)
names = st.text(min_size=1, max_size=20).filter(str.strip)
models = st.builds(
    Model,
    name=names,
    timeout=st.floats(0.1, 1000),
    max_usd_per_day=st.none() | st.floats(0, 100),
    prices=st.dictionaries(names, st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=3),
    factors=st.dictionaries(names, st.floats(0.5, 3), max_size=3),
)
configs = st.builds(
    Config,
    budget=budgets,
    recall=st.builds(Recall, k1=st.floats(0, 10), b=st.floats(0, 1)),
    model=models,
    template=st.sampled_from(["default", "guide"]),
    session_minutes=st.floats(1, 1000),
)


def test_the_defaults_are_the_guides_numbers() -> None:
    budget = Config().budget
    assert (budget.hot, budget.warm, budget.cold, budget.window) == (2_000, 500, 200, 100_000)
    assert Config().session_minutes == 30


def test_the_guides_percentages_are_another_division_than_its_numbers() -> None:
    shares = Budget.shares(2_700, 0.80, 0.15, 0.05)
    assert (shares.hot, shares.warm, shares.cold) == (2_160, 405, 135)


def test_the_guides_preset_is_five_messages_of_200_characters_and_ten_insights() -> None:
    budget = Budget.guide()
    assert (budget.hot_messages, budget.hot_characters, budget.cold_insights) == (5, 200, 10)
    assert Config.guide().template == "guide"


@given(configs)
def test_toml_gives_back_the_same_configuration(config: Config) -> None:
    again = Config.from_toml(config.to_toml())
    assert again == config
    assert again.id == config.id


def test_a_part_of_the_toml_is_enough() -> None:
    assert Config.from_toml("[budget]\nwarm = 800") == Config(budget=Budget(warm=800))


def test_a_configuration_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().template = "guide"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("budget = 5", "'budget' must be a table"),
        ("[budget]\nwram = 5", r"Unknown setting budget\.wram\. Did you mean budget\.warm\?"),
        ("tempalte = 'guide'", "Did you mean template"),
        ("template = 'other'", "must be one of default, guide, not 'other'"),
        ("[budget]\nwarm = -1", r"Budget\.warm must be a whole number of at least 0, not -1"),
        ("[budget]\nwarm = 1.5", r"Budget\.warm must be a whole number"),
        ("[budget]\nwarm = true", r"Budget\.warm must be a whole number"),
        ("[budget]\nwindow = 3000", "hot, warm, cold and reply take 6,796 tokens, but the window has 3,000"),
        ("[budget]\nhot_messages = 0", "at least 1"),
        ("[recall]\nb = 2", "from 0 to 1, not 2"),
        ("[recall]\nembedder = ' '", "must be an embedder's name"),
        ("[model]\nname = ' '", "must be a model's name"),
        ("[model]\nbase_url = 'ftp://x'", "must start with http"),
        ("[model]\ntools = 'sometimes'", "must be one of auto, always, never"),
        ("[model.prices]\nx = [1]", "USD in, USD out"),
        ("[model.prices]\nx = [1, -1]", "from 0"),
        ("[model.factors]\nx = 99", "from 0.1 to 10"),
        ("[model]\nmax_usd_per_day = -1", "max_usd_per_day"),
        ("session_minutes = 0", "session_minutes"),
        ("a = [", "not TOML"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_name(toml: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Config.from_toml(toml)


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"sum to 1, not 0\.9"):
        Budget.shares(1_000, 0.5, 0.3, 0.1)


def test_a_part_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Config\.budget must be a Budget"):
        Config(budget={"hot": 5})  # type: ignore[arg-type]

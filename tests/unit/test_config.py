"""The tunables: defaults, the guide's presets, TOML both ways, and what is refused."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallump_lab import Budget, Config, ConfigError, Model, Recall

few = st.integers(0, 9_000)
bound = st.none() | st.integers(1, 50)
budgets = st.builds(Budget, hot=few, warm=few, cold=few, hot_messages=bound, hot_characters=bound, cold_insights=bound)
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


def test_the_defaults_and_presets_are_the_guides_numbers() -> None:
    budget = Config().budget
    assert (budget.hot, budget.warm, budget.cold, budget.window) == (2_000, 500, 200, 100_000)
    assert Config().session_minutes == 30
    shares = Budget.shares(2_700, 0.80, 0.15, 0.05)  # the guide's percentages are another division than its numbers
    assert (shares.hot, shares.warm, shares.cold) == (2_160, 405, 135)
    guide = Config.guide()
    assert (guide.budget.hot_messages, guide.budget.hot_characters, guide.budget.cold_insights) == (5, 200, 10)
    assert guide.template == "guide"


@given(configs)
def test_toml_gives_back_the_same_configuration(config: Config) -> None:
    again = Config.from_toml(config.to_toml())
    assert again == config
    assert again.id == config.id


def test_a_part_of_the_toml_is_enough_and_nothing_changes_in_place() -> None:
    assert Config.from_toml("[budget]\nwarm = 800") == Config(budget=Budget(warm=800))
    with pytest.raises(FrozenInstanceError):
        Config().template = "guide"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("budget = 5", "'budget' must be a table"),
        ("[budget]\nwram = 5", r"Unknown setting budget\.wram\. Known are: hot, warm"),
        ("tempalte = 'guide'", "Unknown setting tempalte"),
        ("[budget]\nwarm = -1", r"Budget\.warm must be a whole number of at least 0, not -1"),
        ("[budget]\nwarm = true", r"Budget\.warm must be a whole number"),
        ("[budget]\nwindow = 3000", "hot, warm, cold and reply take 6,796 tokens, but the window has 3,000"),
        ("[recall]\nb = 2", "from 0 to 1, not 2"),
        ("[recall]\nembedder = ' '", r"Recall\.embedder must be a name"),
        ("[model]\nbase_url = 'ftp://x'", "must start with http"),
        ("[model]\ntools = 'sometimes'", "must be one of auto, always, never"),
        ("[model.prices]\nx = [1]", "USD in, USD out"),
        ("[model.prices]\nx = [1, -1]", "from 0"),
        ("[model.factors]\nx = 99", "from 0.1 to 10"),
        ("a = [", "not TOML"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_name(toml: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Config.from_toml(toml)
    with pytest.raises(ConfigError, match=r"sum to 1, not 0\.9"):
        Budget.shares(1_000, 0.5, 0.3, 0.1)
    with pytest.raises(ConfigError, match=r"Config\.budget must be a Budget"):
        Config(budget={"hot": 5})  # type: ignore[arg-type]

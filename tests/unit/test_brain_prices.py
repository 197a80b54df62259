import pytest

from gallump_lab.brain.answer import Usage
from gallump_lab.brain.models import listed, price


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("claude-sonnet-5", (2, 10)),
        ("claude-sonnet-5-5", (2, 10)),
        ("claude-sonnet-5-5-20260901", (2, 10)),
        ("claude-sonnet-5-5-latest", (2, 10)),
        ("claude-sonnet-5-5@20260901", (2, 10)),
        ("anthropic/claude-opus-5.5", (4, 20)),
        ("us.anthropic.claude-opus-4-6-v1:0", (5, 25)),
        ("Claude-Haiku-4-5", (1, 5)),
        ("claude-haiku-5-5", (0.1, 0.5)),
        ("offline-analyst", (0, 0)),
    ],
)
def test_a_model_costs_its_list_price_under_any_of_its_names(model, dollars):
    found = price(model)
    assert (found.input, found.output) == dollars


@pytest.mark.parametrize(
    "model", ["claude-sonnet-5-7", "claude-sonnet-50", "claude-opus-6", "llama3.2", "my-claude-sonnet-5", "claude", ""]
)
def test_a_model_that_is_not_listed_has_no_price(model):
    assert price(model) is None


def test_the_users_price_wins_and_also_prices_snapshots():
    mine = {"claude-sonnet-5-5": (1.0, 2.0), "llama3": (0.0, 0.0)}
    assert (price("claude-sonnet-5-5-20260901", mine).input, price("llama3:8b", mine).output) == (1.0, 0.0)
    assert price("claude-opus-5-5", mine).input == 4


def test_each_kind_of_token_has_its_price():
    usage = Usage(input_tokens=1_000, output_tokens=2_000, cache_read_tokens=30_000, cache_write_tokens=4_000)
    # Sonnet 5: 1,000 x $2 + 2,000 x $10 + 30,000 x $0.20 + 4,000 x $2.50, per million
    assert price("claude-sonnet-5").cost(usage) == pytest.approx(0.038)
    # Sonnet 5.5 reads its cache at half that: 30,000 x $0.10
    assert price("claude-sonnet-5-5").cost(usage) == pytest.approx(0.035)


def test_a_long_prompt_costs_what_long_prompts_cost():
    haiku = price("claude-haiku-5-5")
    assert haiku.cost(Usage(input_tokens=100_000, output_tokens=1_000)) == pytest.approx(0.0105)
    # one token more: 60,000 x $0.50 + 40,001 x $0.05 + 1,000 x $2.50, per million
    longer = Usage(input_tokens=60_000, output_tokens=1_000, cache_read_tokens=40_001)
    assert haiku.cost(longer) == pytest.approx(0.03450005)


def test_the_list_says_of_which_day_it_is():
    assert listed()["as_of"] == "2026-10-24"

"""The laws of packing: nested, never over budget, nothing twice; and what is sent keeps to the window."""

import json
from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from messages_models import MODELS, known

from gallump_lab import Budget, Config, Lab, Model, tokens
from gallump_lab.brain.brain import Brain
from gallump_lab.brain.prompt import PromptTooLong
from gallump_lab.memory.context import FIRST, NEAR_MISSES, already_said, newest_first, pack, shown
from gallump_lab.memory.records import ContextItem


@st.composite
def slots(draw: st.DrawFn, tier: str = "warm") -> list[ContextItem]:
    costs = draw(st.lists(st.integers(1, 60), max_size=60))
    texts = draw(st.lists(st.sampled_from("abcdefghij"), min_size=len(costs), max_size=len(costs)))
    return [
        ContextItem(
            tier=tier,  # type: ignore[arg-type]
            kind="passage",
            item_id=rank,
            message_id=rank // 3,
            rank=rank,
            text=text,
            line=text,
            tokens=cost,
        )
        for rank, (cost, text) in enumerate(zip(costs, texts, strict=True), 1)
    ]


def pack_warm(found: list[ContextItem], standing: list[ContextItem], budget: int) -> list[ContextItem]:
    return pack(newest_first(found), budget, passed_over=already_said(standing))


def kept(found: list[ContextItem]) -> list[int]:
    return [slot.item_id for slot in found if slot.kept]


@given(slots(), slots("hot"), st.integers(0, 800), st.integers(0, 200), st.integers(0, 400))
def test_a_larger_budget_keeps_all_that_a_smaller_one_kept(
    found: list[ContextItem], hot: list[ContextItem], budget: int, more: int, hot_budget: int
) -> None:
    standing = pack(hot, hot_budget)
    small, large = pack_warm(found, standing, budget), pack_warm(found, standing, budget + more)
    assert kept(large)[: len(kept(small))] == kept(small)


@given(slots(), st.integers(0, 60), st.integers(0, 800))
def test_looking_at_more_candidates_changes_nothing_among_the_first(
    found: list[ContextItem], few: int, budget: int
) -> None:
    found = [*found, *found]
    few = FIRST + few
    assert [slot.text for slot in newest_first(found)[:few]] == [slot.text for slot in newest_first(found[:few])]
    one, other = pack_warm(found[:few], [], budget), pack_warm(found, [], budget)
    assert kept(other)[: len(kept(one))] == kept(one)


@given(slots(), slots("hot"), st.integers(0, 800), st.integers(0, 400))
def test_what_is_kept_fits_stands_once_and_is_not_in_hot_and_a_turn_records_the_first_near_misses(
    found: list[ContextItem], hot: list[ContextItem], budget: int, hot_budget: int
) -> None:
    standing = pack(hot, hot_budget)
    packed = pack_warm(found, standing, budget)
    texts = [slot.text for slot in packed if slot.kept]
    assert sorted(slot.item_id for slot in packed) == [slot.item_id for slot in found]
    assert sum(slot.tokens for slot in packed if slot.kept) <= budget
    assert len(texts) == len(set(texts))
    assert not set(texts) & {slot.text for slot in standing if slot.kept}
    recorded, missed = shown(packed), [slot.item_id for slot in packed if not slot.kept]
    assert kept(recorded) == kept(packed)
    assert [slot.item_id for slot in recorded if not slot.kept] == missed[:NEAR_MISSES]


@given(slots(), st.integers(0, 800))
def test_the_first_that_does_not_fit_ends_it(found: list[ContextItem], budget: int) -> None:
    packed = pack(found, budget)
    assert kept(packed) == list(range(1, len(kept(packed)) + 1))
    if len(kept(packed)) < len(packed):
        assert sum(slot.tokens for slot in packed[: len(kept(packed)) + 1]) > budget
        assert packed[len(kept(packed))].reason == "over budget"


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Give a lab with sixty messages, half of them in the session `new`, and thirty lessons."""
    now = datetime(2013, 2, 28, 15, tzinfo=UTC)
    lab = Lab.open(tmp_path_factory.mktemp("talk") / "lab.duckdb", clock=lambda: now)
    texts = [
        f"Thought {i}: the AAPL stop belongs under {400 + i} \u2013 \u0110\u00e9j\u00e0 vu?! "
        + "No, wait:\n\n- why?  " * (i % 5)
        for i in range(60)
    ]
    said = pd.DataFrame({"text": texts, "session_id": ["old"] * 30 + ["new"] * 30})
    lab.import_messages(said.assign(role="user", created_at=now))
    for i in range(30):
        lab.insights.add(f"Lesson {i}: AAPL stops under round numbers get hit at {300 + i}.")
    return lab


@st.composite
def budgets(draw: st.DrawFn) -> Budget:
    tiers = {tier: draw(st.integers(0, most)) for tier, most in {"hot": 1_500, "warm": 800, "cold": 400}.items()}
    reply = draw(st.integers(1, 4_096))
    most = draw(st.none() | st.integers(1, 5))
    window = reply + max(sum(tiers.values()), draw(st.integers(800, 3_500)))
    return Budget(**tiers, reply=reply, window=window, cold_insights=most)


def texts(value: object) -> list[str]:
    """Return every text of a message's content."""
    if isinstance(value, dict):
        return texts([each for name, each in value.items() if name not in {"type", "cache_control"}])
    return [text for each in value for text in texts(each)] if isinstance(value, list) else [str(value)]


FORMS = [("default", "single"), ("default", "conversation"), ("guide", "single")]


@settings(max_examples=80)
@given(budgets(), st.sampled_from([*MODELS, "qwen3:8b"]), st.floats(0.5, 2), st.sampled_from(FORMS))
def test_what_is_sent_keeps_to_the_window_whatever_the_model_and_each_tier_to_its_budget(
    talk: Lab, budget: Budget, name: str, factor: float, form: tuple[str, str]
) -> None:
    model = Model(name=name, base_url="http://127.0.0.1:9", factors={name: factor}, citations=budget.reply % 2 == 1)
    template, layout = form
    config = Config(budget=budget, model=model, template=template, layout=layout)  # type: ignore[arg-type]
    limit = budget.window - budget.reply
    try:
        prompt = talk.preview("Where is my AAPL stop?", ["AAPL"], "new", config=config).prompt
    except PromptTooLong:
        reject()
    body, facts = Brain(model=model, budget=budget).request(prompt).body(model), known(name)
    sent = [
        *texts([body.get("system", []), *(each["content"] for each in body["messages"])]),
        json.dumps(body["tools"][0]),
    ]
    hidden = facts.tools_prompt if facts else 0
    assert hidden + tokens.scaled(sum(map(tokens.count, sent)), factor) <= prompt.tokens <= limit
    assert body["max_tokens"] == budget.reply + (model.thinking if facts and facts.thinks else 0)
    for tier in ("hot", "warm", "cold"):
        kept = [slot for slot in prompt.slots if slot.tier == tier and slot.kept]
        assert all(slot.line in prompt.text for slot in kept)
        if tier != "cold" or budget.cold_insights is None:
            lines = "\n".join(slot.line for slot in kept)
            assert (
                tokens.scaled(tokens.count(lines), factor) <= sum(slot.tokens for slot in kept) <= getattr(budget, tier)
            )

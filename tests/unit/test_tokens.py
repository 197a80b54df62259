"""Counting tokens, offline, in the model's own measure."""

from functools import cache

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from gallump_lab import tokens


@cache
def _reference() -> tiktoken.Encoding:
    """tiktoken's own constructor data, with special tokens left out."""
    return tiktoken.Encoding(
        "reference",
        pat_str=tokens._load()._pat_str,
        mergeable_ranks=tokens._load()._mergeable_ranks,
        special_tokens={"<|endoftext|>": 100257},
    )


def test_known_counts_and_what_looks_like_a_special_token_is_text() -> None:
    assert [tokens.count(text) for text in ("", "hello world", "Apple closed at $190.50.", "东京")] == [0, 2, 8, 2]
    assert tokens.count("<|endoftext|>") == len(_reference().encode("<|endoftext|>", disallowed_special=())) > 1


@given(st.text(st.sampled_from("aB 1.'\n\t\u3000é东🚀"), max_size=80))
def test_a_text_counts_what_it_does_as_a_whole_wherever_its_white_space_stands(text: str) -> None:
    assert tokens.count(text) == len(_reference().encode(text, disallowed_special=()))


@pytest.mark.parametrize("text", ["." * 200_000, "x" * 200_000, "🚀" * 50_000])
def test_what_no_tokenizer_likes_is_counted_all_the_same(text: str) -> None:
    assert 0 < tokens.count(text) <= 3 * len(text)


def test_counting_works_without_network_from_the_first_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    tokens._load.cache_clear()
    assert tokens.count("hello world") == 2


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-sonnet-5-5", "claude-newer"),
        ("claude-opus-4-7", "claude-newer"),
        ("claude-opus-4-6", "claude-older"),
        ("claude-haiku-4-5-20251001", "claude-older"),
        ("claude-haiku-5-5", "claude-newer"),
        ("claude-3-5-sonnet-20241022", "claude-older"),
        ("us.anthropic.claude-sonnet-4-5-v1:0", "claude-older"),
        ("anthropic/claude-sonnet-4-6", "claude-older"),
        ("qwen3:8b", "other"),
        ("/home/claude/models/SmolLM2-135M-Instruct.gguf", "other"),
        (tokens.OFFLINE, "offline"),
    ],
)
def test_a_models_family_is_read_from_its_name(model: str, family: str) -> None:
    assert tokens.family(model) == family


def test_the_factor_starts_at_the_table_and_is_learnt() -> None:
    assert tokens.learnt_factor("claude-sonnet-5-5", 0, 0) == 1.55
    assert tokens.learnt_factor("claude-sonnet-5-5", 2_800, 2_000) == 1.475  # halfway from 1.55 to 1.40
    assert tokens.learnt_factor("claude-sonnet-5-5", 140_000_000, 100_000_000) == 1.4
    assert tokens.learnt_factor("claude-sonnet-5-5", 10**9, 1) == 3.1  # never more than twice the table's
    assert tokens.learnt_factor("claude-sonnet-5-5", 2_800, 2_000, {"claude-sonnet-5-5": 1.3}) == 1.3


@given(st.integers(0, 10**9), st.integers(100, 10_000))
def test_scaling_rounds_up_without_floating_error(count: int, thousandths: int) -> None:
    scaled = tokens.scaled(count, thousandths / 1000)
    assert scaled * 1000 >= count * thousandths > (scaled - 1) * 1000 or count == scaled == 0

"""What of a request is read from the prompt cache, written to it, and neither.

The examples are worked by hand after platform.claude.com/docs/en/build-with-claude/prompt-caching (by its headings) and
.../about-claude/pricing; the package's model and the tests' strict server, which share no code, both meet them.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from messages_cache import Cache

from gallump_lab.study.prompt_cache import Block, PromptCache, Sent

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SONNET, OPUS, OLDER, HAIKU, LOCAL = (
    "claude-sonnet-5-5",
    "claude-opus-5-5",
    "claude-sonnet-4-6",
    "claude-haiku-4-5",
    "qwen3:8b",
)
HIDDEN = {SONNET: 286, OPUS: 286, OLDER: 497, HAIKU: 497, LOCAL: 0}
FORM = {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}}


class Asked(NamedTuple):
    """One request: seconds since the first, its blocks, who is asked, its format and effort; what is expected of it."""

    after: int
    blocks: list
    expected: tuple
    why: str = ""
    model: str = SONNET
    form: bool = False
    effort: str = "high"


def tools(tokens, number=0):
    return "tools", number, tokens, False


def system(tokens, number=0):
    return "system", number, tokens, True


def said(tokens, number=0):
    return "messages", number, tokens, False


def marked(tokens, number=0):
    return "messages", number, tokens, True


def growing(last, *breakpoints):
    return [marked(100, i) if i in breakpoints else said(100, i) for i in range(1, last + 1)]


MINUTE = 60
EXAMPLES = {
    "Lookback in a growing conversation": [
        Asked(0, growing(10, 10), (0, 1_000, 0), "first of its kind"),
        Asked(1, growing(15, 15), (1_000, 500, 0)),
        Asked(2, growing(35, 15, 35), (1_500, 2_000, 0)),
        Asked(3, growing(55, 55), (0, 5_500, 0), "more than 20 blocks since"),
    ],
    "Common mistake: Breakpoint on content that changes every request": [
        Asked(0, [*(said(200, i) for i in range(5)), marked(50, 6)], (0, 1_050, 0), "first of its kind"),
        Asked(1, [*(said(200, i) for i in range(5)), marked(50, 7)], (0, 1_050, 0), "HOT begins elsewhere"),
    ],
    "Understanding the token breakdown: 100,000 read, 0 written, 50 after": [
        Asked(0, [system(100_000), said(40, 1)], (0, 100_000, 40), "first of its kind"),
        Asked(1, [system(100_000), said(50, 2)], (100_000, 0, 50)),
    ],
    "Cache lifetime: five minutes from the start of the request that used it last": [
        Asked(0, [system(600), said(10, 1)], (0, 600, 10), "first of its kind"),
        Asked(299, [system(600), said(10, 2)], (600, 0, 10)),
        Asked(598, [system(600), said(10, 3)], (600, 0, 10)),
        Asked(598 + 7 * MINUTE, [system(600), said(10, 4)], (0, 600, 10), "life ran out (7 min since)"),
        Asked(598 + 12 * MINUTE, [system(600), said(10, 5)], (0, 600, 10), "life ran out (5 min since)"),
    ],
    "Cache limitations: 512 tokens": [
        Asked(0, [system(511), said(2, 1)], (0, 0, 513), "too short"),
        Asked(1, [system(512), said(2, 1)], (0, 512, 2), "first of its kind"),
    ],
    "Cache limitations: 1,024 tokens": [
        Asked(0, [system(1_023), said(1, 1)], (0, 0, 1_024), "too short", OLDER),
        Asked(1, [system(1_024), said(1, 1)], (0, 1_024, 1), "first of its kind", OLDER),
    ],
    "Cache limitations: 4,096 tokens": [
        Asked(0, [system(4_095), said(1, 1)], (0, 0, 4_096), "too short", HAIKU),
        Asked(1, [system(4_096), said(1, 1)], (0, 4_096, 1), "first of its kind", HAIKU),
    ],
    "Cache limitations: the prefix counts as a whole, and tools bring a hidden prompt (about-claude/pricing)": [
        Asked(0, [tools(400), system(100), said(9, 1)], (0, 0, 509), "too short"),
        Asked(1, [tools(400), system(112), said(9, 1)], (0, 512, 9), "first of its kind"),
        Asked(2, [tools(400), system(112), said(9, 2)], (512, 0, 9)),
        Asked(3, [tools(401, 1), system(112), said(9, 2)], (0, 513, 9), "instructions changed"),
    ],
    "What invalidates the cache: effort and format": [
        Asked(0, [tools(900), system(700), marked(400, 1), said(9, 2)], (0, 2_000, 9), "first of its kind"),
        Asked(1, [tools(900), system(700), marked(400, 1), said(9, 3)], (2_000, 0, 9)),
        Asked(
            2, [tools(900), system(700), marked(400, 1), said(9, 4)], (1_600, 400, 9), "settings changed", effort="low"
        ),
        Asked(3, [tools(900), system(700), marked(400, 1), said(9, 5)], (2_000, 0, 9), "", effort="high"),
        Asked(4, [tools(900), system(700), marked(400, 1), said(9, 6)], (0, 2_000, 9), "settings changed", form=True),
    ],
    "What invalidates the cache: the system prompt, and another model's cache is its own": [
        Asked(0, [tools(900), system(700), said(9, 1)], (0, 1_600, 9), "first of its kind"),
        Asked(1, [tools(900), system(701, 1), said(9, 1)], (0, 1_601, 9), "instructions changed"),
        Asked(2, [tools(900), system(701, 1), said(9, 1)], (0, 1_601, 9), "other model", OPUS),
        Asked(3, [tools(900), system(701, 1), said(9, 1)], (1_601, 0, 9), "", OPUS),
    ],
    "A session's turns after the system prompt: HOT begins elsewhere, and only the system prompt is read": [
        Asked(0, [system(600), said(9, 1)], (0, 600, 9), "first of its kind"),
        Asked(60, [system(600), said(50, 2), marked(70, 3), said(9, 4)], (600, 120, 9)),
        Asked(120, [system(600), said(50, 2), said(70, 3), said(20, 5), marked(30, 6), said(9, 7)], (720, 50, 9)),
        Asked(180, [system(600), said(20, 5), marked(30, 6), said(9, 8)], (600, 50, 9), "HOT begins elsewhere"),
    ],
    "A model of which nothing is known caches nothing": [
        Asked(0, [system(9_000), said(9, 1)], (0, 0, 9_009), "not cached", LOCAL),
        Asked(1, [system(9_000), said(9, 1)], (0, 0, 9_009), "not cached", LOCAL),
    ],
}


def told(usage):
    """Give what the server counted as read, written and fresh."""
    return tuple(
        usage.get(name, 0) for name in ("cache_read_input_tokens", "cache_creation_input_tokens", "input_tokens")
    )


def by_model(life):
    """Ask the package's model."""
    cache = PromptCache(life)

    def use(asked):
        blocks = [Block(*each) for each in asked.blocks]
        settings = (asked.form, asked.effort)
        counted = cache.use(
            START + timedelta(seconds=asked.after), Sent(model=asked.model, blocks=blocks, settings=settings)
        )
        assert counted.why == asked.why
        return counted[:3]

    return use


def by_server(life):
    """Ask the tests' server, with texts of four characters a token."""
    cache = Cache()

    def use(asked):
        control = {"cache_control": {"type": "ephemeral", "ttl": life}}
        body = {"model": asked.model, "output_config": {"effort": asked.effort}, "messages": []}
        body |= {"output_config": {"effort": asked.effort, "format": FORM}} if asked.form else {}
        content = []
        for part, number, tokens, ends in asked.blocks:
            block = {"type": "text", "text": f"{number:03} " * tokens} | (control if ends else {})
            if part == "tools":
                tool = {"name": "recommend", "input_schema": {}, "description": f"{number:03}"}
                shell = len(json.dumps(["tools", tool]))
                tool["description"] += "x" * (4 * (tokens - HIDDEN[asked.model]) - shell)
                body["tools"] = [tool]
            elif part == "system":
                body["system"] = [block]
            else:
                content.append(block)
        body["messages"] = [{"role": "user", "content": content}]
        return told(cache.use(body, asked.after))

    return use


@pytest.mark.parametrize("caching", [by_model, by_server])
@pytest.mark.parametrize("page", EXAMPLES)
def test_the_documented_examples_count_as_worked_by_hand(caching, page):
    use = caching("5m")
    for asked in EXAMPLES[page]:
        assert use(asked) == asked.expected


@pytest.mark.parametrize("caching", [by_model, by_server])
def test_an_hours_entries_outlive_a_pause_of_59_minutes(caching):
    """1-hour cache duration."""
    use, sent = caching("1h"), [system(600), said(10, 1)]
    for after, read, why in (
        (0, 0, "first of its kind"),
        (3_599, 600, ""),
        (7_198, 600, ""),
        (10_798, 0, "life ran out (60 min since)"),
    ):
        assert use(Asked(after, sent, (), why)) == (read, 600 - read, 10)

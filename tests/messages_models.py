"""What is documented of each model, for `messages_server`: a table of its own, so that no mistake is made twice.

Pages stand under platform.claude.com/docs/en and were read in autumn 2026; no live model was asked. How long a model
thinks is this server's own.
"""

from dataclasses import dataclass

THINKING = {"low": 200, "medium": 1_000, "high": 5_000, "xhigh": 10_000, "max": 20_000}
"""Tokens of thinking by effort."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is documented of a model."""

    page: str
    thinks: bool = True
    """Whether it thinks where nothing is said of it; build-with-claude/thinking."""
    thinking: tuple[str, ...] = ("adaptive",)
    """The types that `thinking` takes, the same page."""
    shown: bool = False
    """Whether thinking is summarised unless asked otherwise; else it is omitted."""
    efforts: tuple[str, ...] = tuple(THINKING)
    """build-with-claude/effort"""
    effort: str = "high"
    """Where none is asked for."""
    forced_tools: bool = False
    """Whether `tool_choice` may be tool or any; agents-and-tools/tool-use/define-tools."""
    prefill: bool = False
    """api/errors"""
    samples: bool = False
    """Whether temperature, top_p and top_k are free."""
    cache_minimum: int = 512
    """Tokens; build-with-claude/prompt-caching."""
    tools_prompt: int = 286
    """Hidden tokens that tools cost; about-claude/pricing."""


MODELS = {
    "claude-sonnet-5-5": Facts(page="models/sonnet-5-5/migration-guide", thinking=("adaptive", "between_tools")),
    "claude-opus-5-5": Facts(page="models/opus-5-5/whats-new-opus-5-5", effort="medium"),
    "claude-haiku-5-5": Facts(
        page="models/haiku-5-5/migration-guide", effort="medium", thinking=("adaptive", "disabled"), forced_tools=True
    ),
    "claude-sonnet-4-6": Facts(
        page="models/sonnet-5-5/migration-guide",
        thinks=False,
        thinking=("adaptive", "disabled", "enabled"),
        shown=True,
        efforts=("low", "medium", "high", "max"),
        forced_tools=True,
        samples=True,
        cache_minimum=1_024,
        tools_prompt=497,
    ),
    "claude-haiku-4-5": Facts(
        page="models/haiku-5-5/migration-guide",
        thinks=False,
        thinking=("disabled", "enabled"),
        shown=True,
        efforts=(),
        forced_tools=True,
        prefill=True,
        samples=True,
        cache_minimum=4_096,
        tools_prompt=497,
    ),
}
"""Any other name is a small local server's: it knows none of this, and ignores fields that it does not know."""


def known(model: str) -> Facts | None:
    return next((MODELS[name] for name in MODELS if f"{model}-".startswith(f"{name}-")), None)


def forced(body: dict) -> bool:
    return (body.get("tool_choice") or {}).get("type") in {"any", "tool"}


def thinking(body: dict, facts: Facts) -> dict:
    return body.get("thinking") or {"type": "adaptive" if facts.thinks else "disabled"}


def effort(body: dict, facts: Facts) -> str:
    return (body.get("output_config") or {}).get("effort") or facts.effort


def thinking_tokens(body: dict) -> int:
    """Return how many tokens the model would think before it answers, if there were room."""
    facts = known(body["model"])
    asked = thinking(body, facts) if facts else {}
    if not facts or forced(body) or asked["type"] not in {"adaptive", "enabled"}:
        return 0
    return asked.get("budget_tokens") or THINKING[effort(body, facts)]


def thinking_shown(body: dict) -> bool:
    facts = known(body["model"])
    return bool(facts) and thinking(body, facts).get("display", "summarized" if facts.shown else 0) == "summarized"

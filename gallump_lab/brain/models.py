"""What is known of models: what they cost, whether they think, what they take; it ships as data/models.toml.

It moves: `Model.prices` overrides prices. Of a model that is not listed nothing is known, which is not a cost of 0.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, final, get_args

from gallump_lab import tokens
from gallump_lab.brain.answer import Usage
from gallump_lab.bundled import bundled
from gallump_lab.config import Effort, Model

Life = Literal["5m", "1h"]
"""How long the prompt cache keeps what is written to it."""
_READ, _WRITE, _WRITE_HOUR = 0.1, 1.25, 2.0  # of the cache, times the input's price


@final
@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model's tokens cost, in USD per million."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    """Into the cache of 5 minutes."""
    cache_write_hour: float
    """Into that of an hour."""
    longest_prompt: float = math.inf
    """Prompt tokens up to which this is the price."""
    longer: "Price | None" = None
    """The price of a call with a longer prompt."""

    def cost(self, usage: Usage) -> float:
        """Return what a call cost, in USD."""
        return sum(self.parts(usage).values()) / 1e6

    def parts(self, usage: Usage) -> dict[str, float]:
        """Return what each kind of a call's tokens cost, in millionths of USD."""
        if self.longer and usage.prompt_tokens > self.longest_prompt:
            return self.longer.parts(usage)
        return {
            "input": usage.input_tokens * self.input,
            "output": usage.output_tokens * self.output,
            "cache read": usage.cache_read_tokens * self.cache_read,
            "cache write": usage.cache_write_tokens * self.cache_write,
        }


def _price(row: Mapping[str, Any]) -> Price:
    """Build a price from a row of the list."""
    given, longer = row["input"], row.get("longer")
    return Price(
        input=given,
        output=row["output"],
        cache_read=row.get("read", given * _READ),
        cache_write=row.get("write", given * _WRITE),
        cache_write_hour=row.get("write_hour", given * _WRITE_HOUR),
        longest_prompt=row.get("longest_prompt", math.inf),
        longer=_price(longer) if longer else None,
    )


@final
@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a model."""

    name: str
    price: Price
    thinks: bool
    """Whether it thinks without being asked to."""
    efforts: tuple[Effort, ...]
    """What effort may be asked of it; empty where it takes none."""
    own_effort: Effort
    """How hard it tries where nothing is asked of it."""
    tool_tokens: int
    """The hidden prompt that tools bring."""
    cache_from: int
    """Tokens below which a prefix is not cached; 0 where it is not known."""

    def effort(self, wanted: Effort) -> Effort | None:
        """Return the effort to ask for: the one that is wanted, or the next lower one that it takes; None for none."""
        levels = get_args(Effort)
        return next((e for e in reversed(self.efforts) if levels.index(e) <= levels.index(wanted)), None)

    def lower(self, asked: Effort | None) -> Effort | None:
        """Return the effort below the one that was asked for, or below its own; None where there is none."""
        return dict(zip(self.efforts[1:], self.efforts, strict=False)).get(asked or self.own_effort)


@cache
def listed() -> dict[str, Any]:
    """Read what ships: `as_of`, the day of the prices, `sources` by fact, `batch`, and `models` by name."""
    return tomllib.loads(bundled("models.toml").read_text(encoding="utf-8"))


@cache
def facts(model: str) -> Facts | None:
    """Find what is known of a model: that of the longest known name that its own name begins with, as `price`."""
    known = listed()["models"]
    if (name := _found(model, known)) is None:
        return None
    row = known[name]
    return Facts(
        name=name,
        price=_price(row["price"]),
        thinks=row.get("thinks", False),
        efforts=tuple(row.get("efforts", ())),
        own_effort=row.get("effort", "high"),
        tool_tokens=row.get("tools", 0),
        cache_from=row.get("cache", 0),
    )


def price(model: str, overrides: Mapping[str, tuple[float, float]] | None = None) -> Price | None:
    """Find a model's price: the longest known name that its own name begins with.

    A snapshot ("claude-sonnet-5-5-20260901", "...-latest", "...@20260901") costs what its model costs, and a provider's
    prefix ("anthropic/", "us.anthropic.") is passed over. A further version number makes another model:
    "claude-sonnet-5" does not price "claude-sonnet-5-7".

    Parameters
    ----------
    model : str
        The model's name, as its server knows it.
    overrides : mapping of str to (float, float), optional
        USD per million tokens, in and out, by model name; they win over the list.

    Examples
    --------
    >>> price("claude-haiku-4-5").cost(Usage(input_tokens=1_000_000, output_tokens=0))
    1.0
    """
    mine = overrides or {}
    if (name := _found(model, mine)) is not None:
        given, taken = mine[name]
        return _price({"input": given, "output": taken})
    if model == tokens.OFFLINE:
        return _price({"input": 0, "output": 0})
    known = facts(model)
    return known and known.price


def price_of_answer(asked: str, answered: str | None, model: Model) -> Price | None:
    """Find the price of a reply: by whom its server says that it is, else by whom was asked."""
    names = (asked, answered) if answered is None or _found(asked, model.prices) else (answered, asked)
    return next(filter(None, (price(name, model.prices) for name in names if name)), None)


def thinking_usd(turn: Mapping[str, Any], model: Model) -> float | None:
    """Return what the thinking of a turn of the transcript cost, as the output that it is billed as; None for none."""
    known, thought = price_of_answer(turn["asked"], turn["model"], model), turn["thinking_tokens"]
    if not known or not thought:
        return None
    prompt = Usage(input_tokens=turn["input_tokens"], output_tokens=0)  # its length decides on the price
    return known.cost(replace(prompt, output_tokens=thought)) - known.cost(prompt)


def saved_usd(turn: Mapping[str, Any], model: Model) -> float | None:
    """Return what a turn of the transcript would have cost more, had nothing come from the cache; None for nothing."""
    known, read = price_of_answer(turn["asked"], turn["model"], model), turn["cache_read_tokens"]
    if not known or not read:
        return None
    fresh = Usage(input_tokens=turn["input_tokens"], output_tokens=0)
    cached = replace(fresh, input_tokens=fresh.input_tokens - read, cache_read_tokens=read)
    return known.cost(fresh) - known.cost(cached)


def room(model: Model) -> int:
    """Return how many tokens a model may think beside its reply; 0 for one that is not known to."""
    known = facts(model.answering)
    return model.thinking if known and known.thinks else 0


def tool_tokens(definition: int, model: str, factor: float) -> int:
    """Return the model's tokens of a tool, as estimated: its definition, in cl100k tokens, and the hidden prompt."""
    known = facts(model)
    return tokens.scaled(definition, factor) + (known.tool_tokens if known else 0)


def _found(model: str, names: Mapping[str, object]) -> str | None:
    fitting = [name for name in names if _is(_plain(name), _plain(model))]
    return max(fitting, key=len, default=None)


def _plain(name: str) -> str:
    return re.sub(r"(?<=\d)\.(?=\d)", "-", name.lower())  # some providers write 4.5 for 4-5


def _is(name: str, model: str) -> bool:
    return bool(re.search(rf"(?:^|[./]){re.escape(name)}(?![a-z0-9])(?!-\d{{1,2}}(?!\d))", model))

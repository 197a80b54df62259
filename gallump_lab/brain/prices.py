"""What a call costs, by list price.

List prices in USD per million tokens, as Anthropic's model pages and public price tables gave them on 24 October 2026.
They move: `Model.prices` overrides them. Of a model that is not listed no cost is known, which is not a cost of 0.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from gallump_lab import tokens
from gallump_lab.brain.records import Usage

AS_OF = "2026-10-24"
"""The day the list prices are of."""

_CACHE_READ, _CACHE_WRITE = 0.1, 1.25  # times the input price; a write lasts 5 minutes


@final
@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model's tokens cost, in USD per million."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    """Into the cache of 5 minutes."""
    longest_prompt: float = math.inf
    """Prompt tokens up to which this is the price."""
    longer: "Price | None" = None
    """The price of a call with a longer prompt."""

    def cost(self, usage: Usage) -> float:
        """Return what a call cost, in USD."""
        if self.longer and usage.prompt_tokens > self.longest_prompt:
            return self.longer.cost(usage)
        return (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_read_tokens * self.cache_read
            + usage.cache_write_tokens * self.cache_write
        ) / 1e6


def _price(dollars_in: float, dollars_out: float, read: float = _CACHE_READ, **tier: Any) -> Price:
    return Price(
        input=dollars_in,
        output=dollars_out,
        cache_read=dollars_in * read,
        cache_write=dollars_in * _CACHE_WRITE,
        **tier,
    )


LIST: Mapping[str, Price] = {
    "claude-fable-5": _price(10, 50),
    "claude-fable-5-1": _price(10, 50, 0.025),
    "claude-haiku-4-5": _price(1, 5),
    "claude-haiku-5-5": _price(0.1, 0.5, longest_prompt=100_000, longer=_price(0.5, 2.5)),
    "claude-opus-4-5": _price(5, 25),
    "claude-opus-4-6": _price(5, 25),
    "claude-opus-4-7": _price(5, 25),
    "claude-opus-4-8": _price(5, 25),
    "claude-opus-5": _price(5, 25),
    "claude-opus-5-5": _price(4, 20, 0.05),
    "claude-sonnet-4-5": _price(3, 15),
    "claude-sonnet-4-6": _price(3, 15),
    "claude-sonnet-5": _price(2, 10),
    "claude-sonnet-5-5": _price(2, 10, 0.05),
    tokens.OFFLINE: _price(0, 0),
}
"""List prices by model name."""


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
    """
    mine = {name: _price(*pair) for name, pair in (overrides or {}).items()}
    for table in (mine, LIST):
        fitting = [name for name in table if _is(_plain(name), _plain(model))]
        if fitting:
            return table[max(fitting, key=len)]
    return None


def confirmed(words: str) -> bool:
    """Tell the user what asking a model will take, and say whether to go on; the way to ask where none is given."""
    return input(f"{words}\nGo on? [y/N] ").strip().lower() in {"y", "yes"}


def _plain(name: str) -> str:
    return re.sub(r"(?<=\d)\.(?=\d)", "-", name.lower())  # some providers write 4.5 for 4-5


def _is(name: str, model: str) -> bool:
    return bool(re.search(rf"(?:^|[./]){re.escape(name)}(?![a-z0-9])(?!-\d{{1,2}}(?!\d))", model))

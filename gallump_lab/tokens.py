"""Counting tokens: cl100k_base from the bundled vocabulary, times a factor that says how the model counts.

Claude's tokenizers are not public. On chat text the older one (up to Opus 4.6, Sonnet 4.6, Haiku 4.5) gives 1.03 to
1.12 times cl100k_base's count and the newer one 1.44 to 1.66 times, so a budget in the model's tokens is a cl100k count
times a factor. `FACTORS` is where it starts; recorded replies teach it from there (`learnt_factor`).
"""

import binascii
import re
import threading
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from gallump_lab.bundled import bundled
from gallump_lab.lazy import regex

if TYPE_CHECKING:
    import tiktoken

VOCABULARY = "cl100k_base.tiktoken"
# cl100k_base's own splitting rule, as tiktoken publishes it.
_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)

OFFLINE = "offline-analyst"
FACTORS: Mapping[str, float] = {"claude-newer": 1.55, "claude-older": 1.08, "offline": 1.0, "other": 1.2}
"""Tokens of a model family per token of cl100k_base, before anything was learnt."""

PRIOR_TOKENS = 2_000
"""How many cl100k tokens of replies the table's factor weighs as much as."""

_LOCK = threading.Lock()
RUN = 1_000
_ENDLESS = regex(rf"\S{{{RUN}}}")
_ADDS_UP = regex(rf"\S(?:.{{0,{RUN - 3}}}\S)?\n*", re.DOTALL)
MOST = 200_000
"""So many words' counts are kept, about 20 MB."""
_TOGETHER = 2**40
"""Stands for a count that is no sum: the text has to be counted as a whole."""


@cache
def _load() -> "tiktoken.Encoding":
    import tiktoken

    pairs = (line.split() for line in bundled(VOCABULARY).read_bytes().splitlines())
    ranks = {binascii.a2b_base64(token): int(rank) for token, rank in pairs}
    return tiktoken.Encoding("cl100k_base_plain", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})


def _encoding() -> "tiktoken.Encoding":
    with _LOCK:
        return _load()


def count(text: str) -> int:
    """Count a text's cl100k_base tokens; what looks like a special token counts as the text it is.

    A run of over 1,000 characters without white space is counted in parts, since the tokenizer takes a time for it that
    grows with its square.
    """
    first, *others = text.split(" ")
    found = sum(map(_AFTER_SPACE.__getitem__, others), _ALONE[first] if first else 0)
    return found if found < _TOGETHER else _whole(text)


def _whole(text: str) -> int:
    if len(text) > RUN and (runs := _ENDLESS.findall(text)):
        return len(_encoding().encode_ordinary(_ENDLESS.sub("", text))) + sum(map(_whole, runs))
    return len(_encoding().encode_ordinary(text))


class _Counts(dict[str, int]):
    """What words add to a text's count behind what stands `before` each; words recur, so their counts are kept.

    No token holds a space behind anything else, so what stands between single spaces is counted by itself: but only if
    no other white space stands beside one of these.
    """

    def __init__(self, before: str) -> None:
        self._before = before

    def __missing__(self, word: str) -> int:
        if len(self) >= MOST:
            self.clear()
        add_up = _ADDS_UP.fullmatch(word)
        found = self[word] = len(_encoding().encode_ordinary(self._before + word)) if add_up else _TOGETHER
        return found


_ALONE, _AFTER_SPACE = _Counts(""), _Counts(" ")


def scaled(tokens: int, factor: float) -> int:
    """Turn cl100k tokens into the model's, rounded up, by a factor of three decimals (so that integers do it)."""
    return -(-tokens * round(factor * 1000) // 1000)


def family(model: str) -> str:
    """Return which of `FACTORS` a model's name belongs to.

    Opus 4.7 and later, and every later generation (Sonnet 5, Haiku 5, ...), count with the newer tokenizer.
    """
    if model == OFFLINE:
        return "offline"
    name = model.lower().rpartition("/")[2]  # a local file may lie anywhere
    if "claude" not in name:
        return "other"
    found = re.search(r"(opus|sonnet|haiku)-(\d{1,2})(?:-(\d{1,2}))?(?!\d)", name)
    if not found:  # claude-3-5-sonnet and older put the version first; a family not known yet is taken as new
        return "claude-older" if re.search(r"claude-(v?[123]\b|instant)", name) else "claude-newer"
    kind, version = found[1], (int(found[2]), int(found[3] or 0))
    return "claude-newer" if version >= ((4, 7) if kind == "opus" else (5, 0)) else "claude-older"


def learnt_factor(model: str, billed: int, counted: int, overrides: Mapping[str, float] | None = None) -> float:
    """Return how many of the model's tokens one cl100k token is, three decimals.

    Parameters
    ----------
    model : str
        The model's name.
    billed, counted : int
        Sums over recorded plain replies (text alone, no tool call): output tokens by the API's usage, and the same
        replies' cl100k tokens. Both 0 when nothing is recorded.
    overrides : mapping of str to float, optional
        Factors by model name that win over everything.

    Returns
    -------
    float
        (table's factor x `PRIOR_TOKENS` + billed) / (`PRIOR_TOKENS` + counted), within half and twice the table's.
    """
    if overrides and model in overrides:
        return round(overrides[model], 3)
    start = FACTORS[family(model)]
    learnt = (start * PRIOR_TOKENS + billed) / (PRIOR_TOKENS + counted)
    return round(min(max(learnt, start / 2), start * 2), 3)

"""The prompt cache as it is documented: what of a request is read from it, written to it, and neither.

A request is a row of blocks: tools, system, messages. Up to each breakpoint it is written, and found again as long as
nothing before the breakpoint has changed (platform.claude.com/docs/en/build-with-claude/prompt-caching).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Literal, NamedTuple, Self, get_args

from gallump_lab import tokens
from gallump_lab.brain.models import Life, facts
from gallump_lab.brain.prompt import Prompt, Section
from gallump_lab.config import Model
from gallump_lab.memory.hot import TURN

LIVES: dict[str, timedelta] = dict(zip(get_args(Life), (timedelta(minutes=5), timedelta(hours=1)), strict=True))
LOOK_BACK = 20
"""So many blocks are looked at for what is there already, the breakpoint's own the first."""
LEAST = 1_024
"""Tokens below which nothing is cached, where it is not known of a model."""
FIRST, SHORT, NONE = "first of its kind", "too short", "not cached"
NO_MISS = ("", FIRST, SHORT, NONE)
"""What is said of a request where nothing that had been cached was lost."""


class Block(NamedTuple):
    """A part of a request."""

    part: Literal["tools", "system", "messages"]
    key: Hashable
    """Equal where the same stands there, to the byte."""
    tokens: int
    """The model's; with the first of the tools the hidden prompt that they bring."""
    marked: bool = False
    """Whether it ends with a breakpoint."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request as the cache sees it."""

    model: str
    blocks: Sequence[Block]
    settings: tuple[Hashable, Hashable] = (None, None)
    """What is written into the system prompt (citations, an answer's format), and before the messages (tool choice,
    thinking, effort): another one changes all that follows it."""
    session: str = ""
    """With whose request before it is compared, to say why the cache was missed."""

    @classmethod
    def of(cls, prompt: Prompt, model: Model, answering: str, session: str = "") -> Self:
        """Return a prompt as it is sent to who answers: what follows the last breakpoint is one block."""
        places: dict[str, list[Section]] = {"tools": [], "system": [], "turns": [], "user": []}
        for section in prompt.sections:
            places[section.place].append(section)
        sums = {place: sum(section.tokens for section in sections) for place, sections in places.items()}
        factor = prompt.session_context.token_factor
        said = [Block("messages", turn, tokens.scaled(tokens.count(turn[1]) + TURN, factor)) for turn in prompt.turns]
        blocks = [
            Block("tools", "".join(tool.text for tool in places["tools"]), sums["tools"]),
            Block("system", prompt.system, sums["system"], marked=True),
            *(block._replace(marked=block is said[-1]) for block in said),
            Block("messages", prompt.user, sums["user"]),
        ]
        given = settings(model, answering, cites=bool(prompt.results))
        return cls(model=answering, blocks=[each for each in blocks if each.tokens], settings=given, session=session)


class Counted(NamedTuple):
    """A prompt's tokens as they are billed."""

    read: int
    written: int
    fresh: int
    """Neither read nor written."""
    why: str = ""
    """Why what was sent before, or all of it, was not read; empty where nothing was missed."""


def settings(model: Model, answering: str, *, cites: bool = False) -> tuple[Hashable, Hashable]:
    """Return `Sent.settings` of who answers; a default is as good as said."""
    known = facts(answering)
    asked = None if model.effort == "default" else model.effort
    return cites, known and ((asked and known.effort(asked)) or known.own_effort)


def least(model: str) -> int | None:
    """Return the tokens below which a model's prefix is not cached; None where nothing is known of the model."""
    known = facts(model)
    return known and (known.cache_from or LEAST)


class PromptCache:
    """What a server keeps of requests, each model's apart; it is fed with token counts and needs no server.

    Parameters
    ----------
    life : {"5m", "1h"}
        How long an entry lives from the start of the request that used it last.

    Examples
    --------
    >>> cache, sent = PromptCache(), Sent(model="claude-sonnet-5-5", blocks=[Block("system", "Be brief.", 900, True)])
    >>> cache.use(datetime(2026, 3, 2, 9), sent).written, cache.use(datetime(2026, 3, 2, 9, 4), sent).read
    (900, 900)
    """

    def __init__(self, life: Life = "5m") -> None:
        self.life = LIVES[life]
        self._prefixes: dict[Hashable, int] = {}
        self._used: dict[int, datetime] = {}  # entries, those that ran out too: a miss is explained by them
        self._before: dict[str | None, tuple[Sent, list[int], int]] = {}  # a session's last request; None: the last

    def use(self, at: datetime, sent: Sent) -> Counted:
        """Return what of a request is read, written and fresh; requests come in order of time."""
        sums = [*accumulate(block.tokens for block in sent.blocks)]
        floor, prefixes = least(sent.model), self._numbered(sent)
        marked = [] if floor is None else [place for place, block in enumerate(sent.blocks) if block.marked]
        marks = [place for place in marked if sums[place] >= (floor or 0)]
        near = [each for mark in reversed(marks) for each in range(mark, max(mark - LOOK_BACK, -1), -1)]
        kept = {place: at - self._used[prefixes[place]] for place in near if prefixes[place] in self._used}
        hit = next((place for place in near if place in kept and kept[place] < self.life), -1)
        late = max((place for place in kept if place > hit), default=None)
        if not marks:
            why = SHORT if marked else NONE
        elif late is not None:
            why = f"life ran out ({kept[late] / timedelta(minutes=1):,.0f} min since)"
        else:
            why = "" if hit == marks[-1] else self._why(sent, prefixes, hit)
        read, end = (sums[hit] if hit >= 0 else 0), (sums[marks[-1]] if marks else 0)
        for place in {hit, *marks} - {-1}:
            self._used[prefixes[place]] = at
        self._before[sent.session] = self._before[None] = sent, prefixes, marks[-1] if marks else -1
        return Counted(read, end - read, sum(block.tokens for block in sent.blocks) - end, why)

    def _numbered(self, sent: Sent) -> list[int]:
        """Return each block's prefix as a number: equal where all up to there is."""
        found, part, prefix = list[int](), "", -1
        written = {"tools": (sent.model,), "system": (sent.model, sent.settings[0])}
        for block in sent.blocks:
            begun = () if block.part == part else written.get(block.part, (sent.model, *sent.settings))
            part = block.part
            prefix = self._prefixes.setdefault((prefix, part, begun, block.key), len(self._prefixes))
            found.append(prefix)
        return found

    def _why(self, sent: Sent, prefixes: Sequence[int], hit: int) -> str:
        """Return in what a request differs from the one before, as far as that was cached and is not read."""
        if not (found := self._before.get(sent.session) or (self._before.get(None) if hit < 0 else None)):
            return FIRST if hit < 0 else ""
        before, others, end = found
        if before.model != sent.model:
            return "other model"
        same = next((n for n, (one, other) in enumerate(zip(prefixes, others, strict=False)) if one != other), end + 1)
        if same > end:  # all that was cached stands here too
            return "" if hit >= end >= 0 else FIRST if end < 0 else f"more than {LOOK_BACK} blocks since"
        part = before.blocks[same].part
        if before.settings[: 1 + (part == "messages")] != sent.settings[: 1 + (part == "messages")]:
            return "settings changed"
        if part != "messages":
            return "instructions changed"
        return "HOT begins elsewhere" if before.session == sent.session else FIRST

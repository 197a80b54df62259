"""Tempo: a lab's turns when they came, each as the request that a configuration makes of it.

A recorded turn's prompt is built again, to the byte. Talk without turns (imported talk, the sample) is counted: a
question that has a reply is a turn, and HOT holds of its session what the same boundaries give it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple, Self

import pandas as pd

from gallump_lab.brain.models import Life, Price, price
from gallump_lab.brain.prompt import PromptBuilder
from gallump_lab.config import Budget, Config, Layout
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory.hot import TURN, starts
from gallump_lab.memory.records import SessionContext
from gallump_lab.study.prompt_cache import Block, PromptCache, Sent
from gallump_lab.tokens import scaled

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RECORDS = 550
"""The cl100k tokens of market data and portfolio where no turn has recorded any: two symbols, the bundled portfolio."""
PROMPT = ("read", "written", "fresh")
PARTS = (*PROMPT, "reply", "thinking")
"""Of a turn's tokens, each with a price of its own."""
_SAID = "select session_id, message_id, role, created_at, tokens from messages order by message_id"
_RECORDS = """
select avg((coalesce((sections->>'market')::int, 0) + coalesce((sections->>'portfolio')::int, 0)) / token_factor)
from turns
"""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One turn: when it came, what was sent, and what came back, in the tokens of who answers."""

    turn_id: int
    """The question's message id where talk is counted."""
    at: datetime
    """Naive UTC."""
    sent: Sent
    reply: float
    """Without what was thought."""
    thinking: int | None
    """As recorded; None where nobody said."""


class Said(NamedTuple):
    """One message of a session."""

    message_id: int
    role: str
    at: datetime
    tokens: int
    """cl100k."""


@dataclass(frozen=True, kw_only=True)
class Talk:
    """What was said, by session."""

    sessions: dict[str, list[Said]]
    records: int
    """The cl100k tokens that a prompt has of market data and portfolio."""
    words: str
    """How turns are made of it, in a sentence or two."""

    @classmethod
    def of(cls, con: "DuckDBPyConnection") -> Self:
        """Read a lab's talk."""
        sessions: dict[str, list[Said]] = {}
        for session_id, *message in con.execute(_SAID).fetchall():
            sessions.setdefault(session_id, []).append(Said(*message))
        (mean,) = con.execute(_RECORDS).fetchone() or (None,)
        records, whose = (RECORDS, "assumed") if mean is None else (round(mean), "the mean of recorded turns")
        words = (
            f"Talk is counted, a question and its reply as a turn; market data and portfolio {records:,} cl100k tokens"
        )
        return cls(sessions=sessions, records=records, words=f"{words} ({whose})")

    def __len__(self) -> int:
        """Count its turns."""
        return sum(len(_questions(said)) for said in self.sessions.values())

    def turns(self, config: Config, answering: str, factor: float, memory: int = 0) -> list[Timed]:
        """Return its turns in order of time, each with so many tokens of WARM and COLD."""
        builder = PromptBuilder.of(config, answering)
        fixed = builder.build_trading_prompt("", MarketContext(), SessionContext(token_factor=factor))
        sent, found = Sent.of(fixed, config.model, answering), list[Timed]()
        *stable, last = sent.blocks
        rest = last.tokens + scaled(self.records, factor) + memory
        budget, as_turns = config.budget, config.layout == "conversation"
        for session_id, said in self.sessions.items():
            questions = _questions(said)
            hot = _as_turns(said, budget, factor, questions) if as_turns else _as_text(said, budget, factor, questions)
            for place, (blocks, shown) in zip(questions, hot, strict=True):
                asked, answer = said[place : place + 2]
                whole = Block("messages", asked.message_id, rest + shown + scaled(asked.tokens, factor))
                request = Sent(
                    model=answering, blocks=[*stable, *blocks, whole], settings=sent.settings, session=session_id
                )
                reply = scaled(answer.tokens, factor)
                found.append(Timed(turn_id=asked.message_id, at=asked.at, sent=request, reply=reply, thinking=None))
        return sorted(found, key=lambda turn: turn.at)


def layouts(config: Config) -> list[Layout]:
    """Return the layouts that a configuration's template has."""
    return ["single"] if config.template == "guide" else ["single", "conversation"]


_Hot = list[tuple[list[Block], int]]
"""Of each question, the blocks that HOT is sent as, and its tokens in the last message."""


def _questions(said: Sequence[Said]) -> list[int]:
    """Return the places of what a reply follows."""
    return [n for n, (one, next_) in enumerate(pairwise(said)) if (one.role, next_.role) == ("user", "assistant")]


def _as_turns(said: list[Said], budget: Budget, factor: float, questions: list[int]) -> _Hot:
    blocks = [Block("messages", each.message_id, scaled(each.tokens + TURN, factor)) for each in said]
    ends = [*accumulate((block.tokens for block in blocks), initial=0)]
    begun, found = starts(((each.role, each.tokens) for each in said), budget.hot_step), _Hot()
    asked = [place for place, each in enumerate(said) if each.role == "user"]
    for place in questions:
        newest = max((each for each in begun if each < place), default=place)
        may = [each for each in asked if each < place and (each >= newest or each in begun)]
        fits = (each for each in may if ends[place] - ends[each] <= budget.hot)
        first = next((each for each in fits if place - each <= (budget.hot_messages or place)), place)
        shown = blocks[first:place]
        cut = min(ends[place] - ends[may[-1]], budget.hot) if may and not shown else 0
        found.append(([*shown[:-1], *(block._replace(marked=True) for block in shown[-1:])], cut))
    return found


def _as_text(said: list[Said], budget: Budget, factor: float, questions: list[int]) -> _Hot:
    most = (budget.hot_characters or 0) // 4
    shown = [scaled(min(each.tokens, most or each.tokens), factor) for each in said]
    ends = [*accumulate(shown, initial=0)]
    few, most = budget.hot_messages, budget.hot
    if few:
        return [([], ends[place] - ends[max(place - few, 0)]) for place in questions]
    return [([], min(ends[place], most)) for place in questions]


def usage(
    found: Sequence[Timed],
    model: str,
    prices: Mapping[str, tuple[float, float]],
    life: Life = "5m",
    assumed: tuple[float | None, float | None] = (None, None),
) -> pd.DataFrame:
    """Return what turns take through a prompt cache of their own, and cost: `Cost.turns` of one model.

    Parameters
    ----------
    found : sequence of Timed
        In order of time.
    model : str
        Who answers.
    prices : mapping of str to (float, float)
        The user's own.
    life : {"5m", "1h"}
        Of what is written to the cache.
    assumed : (float, float), optional
        Tokens of a reply and of what is thought before it, instead of those recorded.
    """
    cache, before, rows = PromptCache(life), dict[str, datetime](), []
    for turn in found:
        session = turn.sent.session
        gap = (turn.at - before.get(session, turn.at)) / timedelta(minutes=1)
        *spent, why = cache.use(turn.at, turn.sent)
        written = turn.reply if assumed[0] is None else assumed[0]
        thought = turn.thinking if assumed[1] is None else assumed[1]
        rows.append(
            [turn.turn_id, session, turn.at, gap if session in before else math.nan, *spent, written, thought, why]
        )
        before[session] = turn.at
    turns = pd.DataFrame(rows, columns=["turn_id", "session_id", "asked_at", "gap", *PARTS, "why"])
    turns = turns.astype(dict.fromkeys(["reply", "thinking"], "float64") | {"asked_at": "datetime64[us]"})
    turns["asked_at"] = turns["asked_at"].dt.tz_localize("UTC")
    known = price(model, prices)
    tokens = turns[[*PARTS]].fillna(0)
    usd = tokens * _rates(known, life)
    if known and known.longer:
        usd = usd.where(tokens[[*PROMPT]].sum(axis=1) <= known.longest_prompt, tokens * _rates(known.longer, life))
    return turns.join(usd.add_prefix("usd_")).assign(usd=usd.sum(axis=1, skipna=False))


def _rates(known: Price | None, life: Life) -> list[float]:
    """Return the USD of a token of each of `PARTS`; NaN where no price is known."""
    if known is None:
        return [math.nan] * len(PARTS)
    write = known.cache_write if life == "5m" else known.cache_write_hour
    return [each / 1e6 for each in (known.cache_read, write, known.input, known.output, known.output)]

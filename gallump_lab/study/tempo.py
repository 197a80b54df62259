"""Tempo: a lab's turns when they came, each as the request that a configuration makes of it.

A recorded turn's prompt is built again, to the byte. Talk without turns (imported talk, the sample) is counted: a
question that has a reply is a turn, and HOT holds of its session what the same boundaries give it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple, Self

from gallump_lab.brain.prompt import PromptBuilder
from gallump_lab.config import Budget, Config
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.hot import TURN, starts
from gallump_lab.memory.records import SessionContext
from gallump_lab.study.prompt_cache import Block, Sent
from gallump_lab.study.replay import Past
from gallump_lab.tokens import scaled

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RECORDS = 550
"""The cl100k tokens of market data and portfolio where no turn has recorded any: two symbols, the bundled portfolio."""
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

    def turns(self, config: Config, answering: str, factor: float, memory: int = 0) -> list[Timed]:
        """Return its turns in order of time, each with so many tokens of WARM and COLD."""
        builder = PromptBuilder.of(config, answering)
        fixed = builder.build_trading_prompt("", MarketContext(), SessionContext(token_factor=factor))
        sent, found = Sent.of(fixed, config.model, answering), list[Timed]()
        *stable, last = sent.blocks
        rest = last.tokens + scaled(self.records, factor) + memory
        budget, as_turns = config.budget, config.layout == "conversation"
        for session_id, said in self.sessions.items():
            questions = [
                n for n, (one, next_) in enumerate(pairwise(said)) if (one.role, next_.role) == ("user", "assistant")
            ]
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


_Hot = list[tuple[list[Block], int]]
"""Of each question, the blocks that HOT is sent as, and its tokens in the last message."""


def _as_turns(said: list[Said], budget: Budget, factor: float, questions: list[int]) -> _Hot:
    blocks = [Block("messages", each.message_id, scaled(each.tokens + TURN, factor)) for each in said]
    ends = [*accumulate((block.tokens for block in blocks), initial=0)]
    begun, found = starts(((each.role, each.tokens) for each in said), budget.hot_step), _Hot()
    for place in questions:
        fits = (each for each in begun if each < place and ends[place] - ends[each] <= budget.hot)
        first = next((each for each in fits if place - each <= (budget.hot_messages or place)), place)
        shown = blocks[first:place]
        found.append(([*shown[:-1], *(block._replace(marked=True) for block in shown[-1:])], 0))
    return found


def _as_text(said: list[Said], budget: Budget, factor: float, questions: list[int]) -> _Hot:
    most = (budget.hot_characters or 0) // 4
    shown = [scaled(min(each.tokens, most or each.tokens), factor) for each in said]
    ends = [*accumulate(shown, initial=0)]
    few, most = budget.hot_messages, budget.hot
    if few:
        return [([], ends[place] - ends[max(place - few, 0)]) for place in questions]
    return [([], min(ends[place], most)) for place in questions]


def recorded(
    con: "DuckDBPyConnection", corpus: Corpus, past: Iterable[Past], config: Config | None, answering: str | None = None
) -> tuple[list[Timed], Counter[str]]:
    """Return recorded turns under a configuration, or each under its own; and how many cannot be built, by reason."""
    found, problems = list[Timed](), Counter[str]()
    for turn in past:
        tried, who = config or (turn.config if turn.toml else Config()), answering or turn.model
        prompt, problem = turn.build(con, corpus, tried, who)
        if prompt is None:
            problems[problem or ""] += 1
            continue
        factor = prompt.session_context.token_factor
        reply = float(scaled(turn.said or 0, factor))
        if turn.output_tokens is not None:
            reply = (turn.output_tokens - (turn.thinking_tokens or 0)) * (factor / turn.token_factor)
        sent = Sent.of(prompt, tried.model, who, turn.session_id)
        thought = turn.thinking_tokens
        found.append(Timed(turn_id=turn.turn_id, at=turn.asked_at, sent=sent, reply=reply, thinking=thought))
    return sorted(found, key=lambda turn: turn.at), problems

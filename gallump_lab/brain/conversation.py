"""One turn, front to back: market and memory into a prompt, the prompt into a reply, the reply into the lab."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from gallump_lab.brain import turns
from gallump_lab.brain.brain import Brain
from gallump_lab.brain.prices import price
from gallump_lab.brain.prompt import Prompt, PromptBuilder
from gallump_lab.brain.records import Usage
from gallump_lab.brain.reply import Preview, Reply
from gallump_lab.config import Config
from gallump_lab.market.context_builder import ContextBuilder
from gallump_lab.memory import context as memory
from gallump_lab.memory.records import AsOf, Overrides
from gallump_lab.memory.sessions import Received, SessionManager
from gallump_lab.secrets import masked
from gallump_lab.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def who_answers(config: Config) -> str:
    """Name who answers under a configuration: its model, or the offline analyst."""
    return Brain(model=config.model).model_name


def check_arguments(overrides: object, on_text: object = None, stop: object = None) -> None:
    """See that what comes with a question can be used, before anything is stored.

    Raises
    ------
    ValueError
        If one of them is of another kind; the message names it.
    """
    for name, value, fits, wanted in (
        (
            "overrides",
            overrides,
            isinstance(overrides, Overrides),
            "an Overrides, such as Overrides(pinned=[('passage', 12)])",
        ),
        ("on_text", on_text, on_text is None or callable(on_text), "a function of one text"),
        ("stop", stop, stop is None or isinstance(stop, threading.Event), "a threading.Event"),
    ):
        if not fits:
            msg = f"{name} must be {wanted}, not {value!r:.60}."
            raise ValueError(msg)


class Conversation:
    """Answers questions that a lab has received.

    Parameters
    ----------
    store : Store
        The lab file.
    sessions : SessionManager
        Its sessions.
    market : ContextBuilder
        Gives the market of a prompt.
    clock : callable
        Tells the time, UTC.
    """

    def __init__(
        self, store: Store, sessions: SessionManager, market: ContextBuilder, clock: Callable[[], datetime]
    ) -> None:
        self._store, self._sessions, self._market, self._clock = store, sessions, market, clock

    def check(self, con: "DuckDBPyConnection", config: Config, question: str) -> None:
        """Stop what cannot be answered before it is stored.

        Raises
        ------
        PromptTooLong
            If the question alone does not fit the window.
        SpendingLimit, PriceUnknown
            See `turns.check_spending`.
        """
        brain = Brain(model=config.model)
        factor = memory.learnt_factor(con, brain.model_name, config)
        PromptBuilder(config.template, config.budget).check(question, factor)
        if not brain.offline:
            turns.check_spending(con, self._clock(), config.model, brain.model_name)

    def prompt(  # noqa: PLR0913 (a moment's givens)
        self,
        question: str,
        *,
        symbols: Sequence[str],
        session_id: str | None,
        moment: AsOf,
        config: Config,
        overrides: Overrides,
    ) -> Prompt:
        """Build the prompt of a question at a moment."""
        market = self._market.build(symbols=symbols, user_prompt=question, watchlist=symbols)
        market = replace(market, problems=tuple(map(masked, market.problems)))  # a broker's error may quote its URL
        memory.prepare(self._sessions.corpus, self._store, config.recall.embedder)
        with self._store.read() as con:
            session = memory.context(
                con,
                self._sessions.corpus,
                question,
                session_id=session_id,
                symbol=symbols[0] if symbols else None,
                symbols=market.symbols,
                moment=moment,
                config=config,
                factor=memory.learnt_factor(con, who_answers(config), config),
                overrides=overrides,
            )
        return PromptBuilder(config.template, config.budget).build_trading_prompt(question, market, session)

    def preview(  # noqa: PLR0913 (a moment's givens)
        self,
        question: str,
        *,
        symbols: Sequence[str],
        session_id: str | None,
        moment: AsOf,
        config: Config,
        overrides: Overrides,
    ) -> Preview:
        """Build the prompt of a question that is not asked, and estimate what asking would cost."""
        built = self.prompt(
            question, symbols=symbols, session_id=session_id, moment=moment, config=config, overrides=overrides
        )
        model = who_answers(config)
        known = price(model, config.model.prices)
        cost = known and known.cost(Usage(input_tokens=built.tokens, output_tokens=0))
        most = known and known.cost(Usage(input_tokens=built.tokens, output_tokens=config.budget.reply))
        return Preview(prompt=built, model=model, budget=config.budget, cost_usd=cost, most_usd=most)

    def answer(
        self,
        received: Received,
        symbols: Sequence[str],
        overrides: Overrides,
        *,
        on_text: Callable[[str], None] | None,
        stop: threading.Event | None,
    ) -> Reply:
        """Ask, store the reply with its turn, and raise what went wrong once that is done."""
        config = received.config
        brain = Brain(model=config.model, budget=config.budget)
        built = self.prompt(
            received.text,
            symbols=symbols,
            session_id=received.session_id,
            moment=received.moment,
            config=config,
            overrides=overrides,
        )
        with turns.Turn(
            self._store,
            self._sessions,
            received,
            built,
            model=brain.model_name,
            symbol=symbols[0] if symbols else None,
            watchlist=symbols,
            overrides=overrides,
            most_usd=_most(built, brain),
        ) as turn:

            def hear(piece: str) -> None:
                turn.hear(piece)
                if on_text is not None:
                    on_text(piece)

            answer = brain.send(built, on_text=hear, stop=stop)
            turn_id, reply_id = turn.finish(answer)
        reply = Reply(
            answer=answer,
            prompt=built,
            session_id=received.session_id,
            trouble=received.trouble,
            turn_id=turn_id,
            question_id=received.question_id,
            reply_id=reply_id,
            budget=config.budget,
        )
        if answer.fault is not None:
            answer.fault.reply = reply
        answer.raise_if_failed()
        return reply


def _most(prompt: Prompt, brain: Brain) -> float | None:
    """Estimate from above what a prompt and its reply cost, USD: all of it written to the cache, no word spared."""
    known = price(brain.model_name, brain.model.prices)
    usage = Usage(input_tokens=0, cache_write_tokens=prompt.tokens, output_tokens=brain.budget.reply)
    return known and known.cost(usage)

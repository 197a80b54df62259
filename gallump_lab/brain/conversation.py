"""One turn, front to back: market and memory into a prompt, the prompt into a reply, the reply into the lab.

A turn of a lab in use is three steps on it: the question is stored, the context read, the reply stored with its turn.
What a new session waits for comes on top: sessions that have ended since are distilled first.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from gallump_lab.brain import claude, rewriting, turns
from gallump_lab.brain.answer import EmptyReply, Usage
from gallump_lab.brain.brain import Brain
from gallump_lab.brain.distiller import AutoDistiller
from gallump_lab.brain.models import price, room
from gallump_lab.brain.preview import Preview
from gallump_lab.brain.prices import check_spending
from gallump_lab.brain.prompt import Prompt, PromptBuilder
from gallump_lab.brain.reply import Reply
from gallump_lab.config import Config, Model
from gallump_lab.market.context_builder import ContextBuilder
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory import context as memory
from gallump_lab.memory import distilling
from gallump_lab.memory.messages import checked_text
from gallump_lab.memory.records import NO_OVERRIDES, AsOf, Overrides, SessionContext, check_asked, whole
from gallump_lab.memory.sessions import Received, SessionId, SessionManager
from gallump_lab.reading.symbols import validate_symbols
from gallump_lab.store import Store, StoreError, runs
from gallump_lab.tokens import OFFLINE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Conversation:
    """The half of `Lab` that asks: it answers questions, and remembers them and their replies."""

    store: Store
    sessions: SessionManager
    _market: ContextBuilder
    _distiller: AutoDistiller
    _clock: Callable[[], datetime]
    _in_force: runs.InForce

    def ask(  # noqa: PLR0913 (the guide's arguments and the seams)
        self,
        prompt: str,
        watchlist: Sequence[str] = (),
        session_id: str | None = None,
        *,
        overrides: Overrides = NO_OVERRIDES,
        on_text: Callable[[str], None] | None = None,
        on_thinking: Callable[[], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Reply:
        """Ask a question, and remember it and its reply.

        Parameters
        ----------
        prompt : str
            The question.
        watchlist : sequence of str
            Symbols to show the market of; the first is what a question is about that names none.
        session_id : str, optional
            The session to carry on; a new one if it is None, unknown or ended.
        overrides : Overrides
            Items of the context to pin or to exclude.
        on_text : callable, optional
            Gets each piece of the reply's text as it arrives, on the calling thread.
        on_thinking : callable, optional
            Called on the calling thread once the model begins to think.
        stop : threading.Event, optional
            Once set, the reply ends where it is and is kept so far.

        Returns
        -------
        Reply

        Raises
        ------
        ValueError
            If the question or another argument cannot be used; nothing is stored.
        PromptTooLong
            If the question alone does not fit the window; nothing is stored.
        SpendingLimit, PriceUnknown
            If the day's costs have reached `model.max_usd_per_day`, or no price is known to keep it by; nothing is
            stored or asked.
        ModelError
            If no reply came or it broke off; question and partial reply are stored, and `.reply` holds them.
        KeyboardInterrupt
            If the cell was interrupted; the reply is kept so far, as "stopped".
        StoreError
            If the lab cannot be used; a note says so if the question is stored by then.

        Examples
        --------
        >>> reply = lab.ask("Is AAPL worth buying?", watchlist=["AAPL"])
        >>> reply.recommendations[0].action
        'buy'
        """
        checked_text(prompt, "prompt")
        symbols = validate_symbols(watchlist)
        check_asked(overrides, on_text, stop, on_thinking)
        question = self.sessions.question(prompt, symbols)
        claude.find_model(self._in_force.last.model)
        with self.store.write() as con:
            config = self.sessions.config(con)
            self._check(con, config, question.draft.text)
            received = self.sessions.receive(con, config, question, session_id)
            waiting = self._distiller.waiting(con, config) if received.session_id.new else []
        try:
            if waiting:
                self._distiller.catch_up(config, waiting)
                with self.store.read() as con:  # the first question of a session sees what was learnt before
                    moment = replace(received.moment, seen_insight=memory.newest(con)[1])
                received = replace(received, moment=moment)
            received = replace(received, trouble=self._distiller.trouble())
            return self._answer(received, symbols, overrides, (on_text, on_thinking), stop)
        except StoreError as error:
            error.add_note(f"The question is kept: lab.retry({received.question_id}) asks it again.")
            raise

    def retry(
        self,
        question_id: int,
        *,
        model: Model | None = None,
        on_text: Callable[[str], None] | None = None,
        on_thinking: Callable[[], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Reply:
        """Ask a stored question again that got no reply, or one that failed or was stopped; it is not stored twice.

        Parameters
        ----------
        question_id : int
            The question's message id; its symbols and overrides are those of its last turn.
        model : Model, optional
            Whom to ask and how this time: another model, less effort, more room to think. Where it names none, server
            and day's limit are the lab's.
        on_text, on_thinking, stop
            As in `ask`.

        Raises
        ------
        ValueError
            If there is no such question, or it has a whole reply, or one is coming.
        SpendingLimit, PriceUnknown, PromptTooLong, ModelError, StoreError
            As `ask`.
        """
        check_asked(on_text=on_text, stop=stop, on_thinking=on_thinking, model=model)
        turns.recover(self.store, self.sessions)
        with self.store.read() as con:
            config = self.sessions.config(con)
        if model is not None:
            lab = config.model
            model = replace(
                model,
                base_url=model.base_url or lab.base_url,
                max_usd_per_day=lab.max_usd_per_day if model.max_usd_per_day is None else model.max_usd_per_day,
                prices={**lab.prices, **model.prices},
                factors={**lab.factors, **model.factors},
            )
            config = replace(config, model=model)
        claude.find_model(config.model)
        with self.store.read() as con:
            now = self.sessions.here(config)
            received, symbols, overrides = turns.again(con, config, now, whole(question_id, "question_id"))
            self._check(con, config, received.text)
        return self._answer(received, symbols, overrides, (on_text, on_thinking), stop)

    def preview(  # noqa: PLR0913 (as asking, and what may be tried)
        self,
        prompt: str,
        watchlist: Sequence[str] = (),
        session_id: str | None = None,
        *,
        overrides: Overrides = NO_OVERRIDES,
        config: Config | None = None,
        exact: bool = False,
    ) -> Preview:
        """Show what a question would send now: the exact prompt, its sections, slots, tokens and cost.

        Nothing is sent, nor written but another embedding model's vectors; what the rules will learn of ended sessions
        before it is asked counts as learnt. `overrides` is as in `ask`; `config` is one to try instead. With `exact`
        the prompt does go to the model's server, to be counted (count_tokens), which costs nothing: `Preview.counted`.

        Raises
        ------
        ValueError, PromptTooLong, StoreError
            As `ask`.
        ModelError
            If the server was to count and could not.
        """
        check_asked(overrides)
        text, symbols = checked_text(prompt, "prompt"), validate_symbols(watchlist)
        claude.find_model((config or self._in_force.last).model)
        with self.store.read() as con:
            in_force = self.sessions.config(con)
            config = config or in_force
            if session_id is not None and not self.sessions.is_live(con, session_id, in_force.session_minutes):
                session_id = None
            message, insight = memory.newest(con)
            unasked = session_id is None and in_force.cold.distiller == "rules"  # as asking would; a model is not asked
            waiting = self._distiller.waiting(con, in_force) if unasked else []
        asked = Received(
            session_id=SessionId(session_id or ""),
            question_id=message + 1,
            text=text,
            moment=AsOf(at=self.sessions.here(config), seen_message=message, seen_insight=insight),
            config=config,
        )
        learning = self._distiller.by_rules(in_force, waiting) if waiting else ()
        built = self._prompt(asked, symbols, overrides, learning)
        known, before = price(config.model.answering, config.model.prices), rewriting.most_usd(built, config)
        cost = known and known.cost(Usage(input_tokens=built.tokens, output_tokens=0))
        most = known and known.cost(Usage(input_tokens=built.tokens, output_tokens=_longest(config)))
        brain, counted = Brain(model=config.model, budget=config.budget), None
        if exact and not brain.offline:
            counted = claude.count(brain.request(built), config.model)
        return Preview(
            exact=exact,
            counted=counted,
            prompt=built,
            model=config.model.answering,
            budget=config.budget,
            cost_usd=cost,
            most_usd=most and most + (before or 0.0),
            rewriting_usd=before,
        )

    @property
    def now(self) -> datetime:
        """The time by the lab's clock."""
        return self._clock()

    def quotes(self, symbols: Sequence[str]) -> MarketContext:
        """Ask the market for the last prices of some symbols; `market.freshness` tells how old each is.

        Raises
        ------
        SymbolError
            If something is not a symbol.
        """
        return self._market.quotes(validate_symbols(symbols, "symbols"))

    def _check(self, con: "DuckDBPyConnection", config: Config, question: str) -> None:
        """Stop what cannot be answered before it is stored.

        Raises
        ------
        PromptTooLong
            If the question alone does not fit the window.
        SpendingLimit, PriceUnknown
            See `prices.check_spending`.
        """
        factor = memory.learnt_factor(con, config.model.answering, config)
        least = SessionContext(token_factor=factor)
        builder = PromptBuilder.of(config)
        builder.build_trading_prompt(question, MarketContext(), least)
        if config.model.answering != OFFLINE:
            check_spending(con, self._clock(), config.model)

    def _prompt(
        self, received: Received, symbols: Sequence[str], overrides: Overrides, learning: Sequence[Any] = ()
    ) -> Prompt:
        """Build a question's prompt, as if what `learning` holds had been learnt (see `Store.undone`)."""
        question, moment, config = received.text, received.moment, received.config
        market = self._market.build(symbols=symbols, user_prompt=question, watchlist=symbols)
        memory.prepare(self.sessions.corpus, self.store, config.recall.embedder)
        with self.store.undone() if learning else self.store.read() as con:
            if learning:
                distilling.keep(con, learning, self._clock(), config.session_minutes)
                moment = replace(moment, seen_insight=memory.newest(con)[1])
            session = memory.context(
                con,
                self.sessions.corpus,
                received.rewritten or question,
                session_id=received.session_id or None,
                symbol=symbols[0] if symbols else None,
                symbols=market.symbols,
                moment=moment,
                config=config,
                factor=memory.learnt_factor(con, config.model.answering, config),
                overrides=overrides,
            )
            before = turns.last_message(con, received.session_id)
        builder = PromptBuilder.of(config)
        return replace(builder.build_trading_prompt(question, market, session), previous=before)

    def _answer(
        self,
        received: Received,
        symbols: Sequence[str],
        overrides: Overrides,
        hear: tuple[Callable[[str], None] | None, Callable[[], None] | None],
        stop: threading.Event | None,
    ) -> Reply:
        """Ask, store the reply with its turn, and raise what went wrong once that is done."""
        config, (on_text, on_thinking) = received.config, hear
        built = self._prompt(received, symbols, overrides)
        received, asked = rewriting.ask(self.store, received, built, stop)
        if asked and received.rewritten:
            built = self._prompt(received, symbols, overrides)
        known = price(config.model.answering, config.model.prices)
        # At most: all of the prompt written to the cache, and no word spared.
        usage = Usage(input_tokens=0, cache_write_tokens=built.tokens, output_tokens=_longest(config))
        most_usd = known and known.cost(usage) + (asked.cost_usd or 0.0 if asked else 0.0)
        with turns.Turn(self.store, self.sessions, received, built, symbols, overrides, most_usd) as turn:

            def heard(piece: str) -> None:
                turn.hear(piece)
                if on_text is not None:
                    on_text(piece)

            brain = Brain(model=config.model, budget=config.budget)
            sending = partial(brain.send, built, on_text=heard, on_thinking=on_thinking, stop=stop)
            answer = rewriting.followed(asked, sending)
            if isinstance(answer.fault, EmptyReply):
                answer.fault.kept += f" lab.retry({received.question_id}, model=...) asks it again."
            turn_id, reply_id = turn.finish(answer)
        reply = Reply(
            **vars(answer),
            prompt=built,
            session_id=received.session_id,
            trouble=received.trouble,
            rewritten=received.rewritten,
            turn_id=turn_id,
            question_id=received.question_id,
            reply_id=reply_id,
            budget=config.budget,
        )
        if answer.fault is not None:
            answer.fault.reply = reply
        answer.raise_if_failed()
        return reply


def _longest(config: Config) -> int:
    """Return how many tokens a model may write at most, thinking included."""
    return config.budget.reply + room(config.model)

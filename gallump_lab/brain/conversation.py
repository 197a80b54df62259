"""One turn, front to back: market and memory into a prompt, the prompt into a reply, the reply into the lab.

A turn of a lab in use is three steps on it: the question is stored, the context read, the reply stored with its turn.
What a new session waits for comes on top: sessions that have ended since are distilled first.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gallump_lab.brain import turns
from gallump_lab.brain.answer import Answer, Usage
from gallump_lab.brain.brain import Brain
from gallump_lab.brain.distiller import AutoDistiller
from gallump_lab.brain.prices import price
from gallump_lab.brain.prompt import Prompt, PromptBuilder
from gallump_lab.config import Budget, Config
from gallump_lab.market.context_builder import ContextBuilder
from gallump_lab.memory import context as memory
from gallump_lab.memory import distilling, packing
from gallump_lab.memory.messages import checked_text
from gallump_lab.memory.records import NO_OVERRIDES, AsOf, ContextItem, Overrides
from gallump_lab.memory.sessions import Received, SessionId, SessionManager
from gallump_lab.reading.symbols import validate_symbols
from gallump_lab.store import Store, StoreError
from gallump_lab.tokens import OFFLINE

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection


class Conversation:
    """Answers questions, and remembers them and their replies; see `Lab.ask`, `Lab.retry` and `Lab.preview`.

    Parameters
    ----------
    store : Store
        The lab file.
    sessions : SessionManager
        Its sessions.
    market : ContextBuilder
        Gives the market of a prompt.
    distiller : AutoDistiller
        Distils a chat's sessions that have ended before a new one begins.
    clock : callable
        Tells the time, UTC.
    """

    def __init__(
        self,
        store: Store,
        sessions: SessionManager,
        market: ContextBuilder,
        distiller: AutoDistiller,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._sessions, self._market, self._clock = store, sessions, market, clock
        self._distiller = distiller

    def ask(  # noqa: PLR0913, PLR0917 (what `Lab.ask` takes)
        self,
        prompt: str,
        watchlist: Sequence[str],
        session_id: str | None,
        overrides: Overrides,
        on_text: Callable[[str], None] | None,
        stop: threading.Event | None,
    ) -> "Reply":
        """Store a question, ask it, and store the reply with its turn."""
        _check_arguments(overrides, on_text, stop)
        symbols = validate_symbols(watchlist)
        question = self._sessions.question(prompt, symbols[0] if symbols else None)
        with self._store.write() as con:
            config = self._sessions.config(con)
            self._check(con, config, question.text)
            received = self._sessions.receive(con, config, question, session_id)
            waiting = self._distiller.waiting(con, config) if received.session_id.new else []
        try:
            if waiting:
                self._distiller.catch_up(config, waiting)
                with self._store.read() as con:  # the first question of a session sees what was learnt before
                    moment = replace(received.moment, seen_insight=memory.newest(con)[1])
                received = replace(received, moment=moment)
            received = replace(received, trouble=self._distiller.trouble())
            return self._answer(received, symbols, overrides, on_text, stop)
        except StoreError as error:
            error.add_note(f"The question is kept: lab.retry({received.question_id}) asks it again.")
            raise

    def retry(self, question_id: int, on_text: Callable[[str], None] | None, stop: threading.Event | None) -> "Reply":
        """Ask a stored question again that got no whole reply."""
        _check_arguments(NO_OVERRIDES, on_text, stop)
        turns.recover(self._store, self._sessions)
        with self._store.read() as con:
            config = self._sessions.config(con)
            received, symbols, overrides = turns.again(con, config, self._sessions.here(config), question_id)
            self._check(con, config, received.text)
        return self._answer(received, symbols, overrides, on_text, stop)

    def preview(
        self,
        prompt: str,
        watchlist: Sequence[str],
        session_id: str | None,
        overrides: Overrides,
        config: Config | None,
    ) -> "Preview":
        """Build the prompt of a question that is not asked, and estimate what asking would cost; nothing is written."""
        _check_arguments(overrides)
        text, symbols = checked_text(prompt, "prompt"), validate_symbols(watchlist)
        with self._store.read() as con:
            in_force = self._sessions.config(con)
            config = config or in_force
            if session_id is not None and not self._sessions.is_live(con, session_id, in_force.session_minutes):
                session_id = None
            message, insight = memory.newest(con)
            unasked = session_id is None and in_force.cold.distiller == "rules"  # as asking would; a model is not asked
            waiting = self._distiller.waiting(con, in_force) if unasked else []
        built = self._prompt(
            text,
            symbols=symbols,
            session_id=session_id,
            moment=AsOf(at=self._sessions.here(config), seen_message=message, seen_insight=insight),
            config=config,
            overrides=overrides,
            learning=self._distiller.by_rules(in_force, waiting) if waiting else (),
        )
        known = price(config.model.answering, config.model.prices)
        cost = known and known.cost(Usage(input_tokens=built.tokens, output_tokens=0))
        most = known and known.cost(Usage(input_tokens=built.tokens, output_tokens=config.budget.reply))
        return Preview(prompt=built, model=config.model.answering, budget=config.budget, cost_usd=cost, most_usd=most)

    def _check(self, con: "DuckDBPyConnection", config: Config, question: str) -> None:
        """Stop what cannot be answered before it is stored.

        Raises
        ------
        PromptTooLong
            If the question alone does not fit the window.
        SpendingLimit, PriceUnknown
            See `turns.check_spending`.
        """
        factor = memory.learnt_factor(con, config.model.answering, config)
        PromptBuilder(config.template, config.budget).check(question, factor)
        if config.model.answering != OFFLINE:
            turns.check_spending(con, self._clock(), config.model)

    def _prompt(  # noqa: PLR0913 (a moment's givens)
        self,
        question: str,
        *,
        symbols: Sequence[str],
        session_id: str | None,
        moment: AsOf,
        config: Config,
        overrides: Overrides,
        learning: Sequence[Any] = (),
    ) -> Prompt:
        """Build the prompt of a question at a moment, as if what `learning` holds had been learnt (see `_undone`)."""
        market = self._market.build(symbols=symbols, user_prompt=question, watchlist=symbols)
        memory.prepare(self._sessions.corpus, self._store, config.recall.embedder)
        with _undone(self._store) if learning else self._store.read() as con:
            if learning:
                distilling.keep(con, learning, self._clock(), config.session_minutes)
                moment = replace(moment, seen_insight=memory.newest(con)[1])
            session = memory.context(
                con,
                self._sessions.corpus,
                question,
                session_id=session_id,
                symbol=symbols[0] if symbols else None,
                symbols=market.symbols,
                moment=moment,
                config=config,
                factor=memory.learnt_factor(con, config.model.answering, config),
                overrides=overrides,
            )
        return PromptBuilder(config.template, config.budget).build_trading_prompt(question, market, session)

    def _answer(
        self,
        received: Received,
        symbols: Sequence[str],
        overrides: Overrides,
        on_text: Callable[[str], None] | None,
        stop: threading.Event | None,
    ) -> "Reply":
        """Ask, store the reply with its turn, and raise what went wrong once that is done."""
        config = received.config
        brain = Brain(model=config.model, budget=config.budget)
        built = self._prompt(
            received.text,
            symbols=symbols,
            session_id=received.session_id,
            moment=received.moment,
            config=config,
            overrides=overrides,
        )
        known = price(config.model.answering, config.model.prices)
        # At most: all of the prompt written to the cache, and no word spared.
        usage = Usage(input_tokens=0, cache_write_tokens=built.tokens, output_tokens=config.budget.reply)
        with turns.Turn(
            self._store,
            self._sessions,
            received,
            built,
            watchlist=symbols,
            overrides=overrides,
            most_usd=known and known.cost(usage),
        ) as turn:

            def hear(piece: str) -> None:
                turn.hear(piece)
                if on_text is not None:
                    on_text(piece)

            answer = brain.send(built, on_text=hear, stop=stop)
            turn_id, reply_id = turn.finish(answer)
        reply = Reply(
            **vars(answer),
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


def _check_arguments(overrides: object, on_text: object = None, stop: object = None) -> None:
    """Check that what comes with a question can be used, before anything is stored.

    Raises
    ------
    ValueError
        If one of them is of another kind; the message names it.
    """
    wanted: dict[str, tuple[object, Any, str]] = {
        "overrides": (overrides, Overrides, "an Overrides, such as Overrides(pinned=[('passage', 12)])"),
        "on_text": (on_text, Callable | None, "a function of one text"),
        "stop": (stop, threading.Event | None, "a threading.Event"),
    }
    for name, (value, kind, words) in wanted.items():
        if not isinstance(value, kind):
            msg = f"{name} must be {words}, not {value!r:.60}."
            raise ValueError(msg)  # noqa: TRY004 (every bad argument is a ValueError)


class _Undo(Exception):
    """Undoes a step on the lab."""


@contextmanager
def _undone(store: Store) -> Iterator["DuckDBPyConnection"]:
    """Return a connection inside one transaction that is undone at its end, so that nothing is written."""
    with suppress(_Undo), store.write() as con:
        yield con
        raise _Undo


@dataclass(frozen=True, kw_only=True, repr=False)
class Reply(Answer):
    """A reply, as `lab.ask` gives it: the answer and its turn; everything in it stands in the lab too."""

    prompt: Prompt
    session_id: SessionId
    trouble: str | None = None
    """In words, why past sessions could not be distilled: for whoever runs the lab."""
    turn_id: int
    question_id: int
    reply_id: int | None
    """Message ids; None for a reply without text."""
    budget: Budget

    @property
    def notice(self) -> str | None:
        """In words: another session than the given one was used, something in the question was masked, or `trouble`."""
        return " ".join(filter(None, (self.session_id.notice, self.trouble))) or None

    @property
    def tokens(self) -> dict[str, int]:
        """The model's tokens of each section of the prompt, as estimated, and of the whole (`prompt`)."""
        return {section.name: section.tokens for section in self.prompt.sections} | {"prompt": self.prompt.tokens}

    @property
    def context_stats(self) -> dict[str, int]:
        """The guide's three counts."""
        kept = [slot.tier for slot in self.prompt.slots if slot.kept]
        return {
            "messages_in_session": self.prompt.session_context.messages_in_session,
            "relevant_history_loaded": kept.count("warm"),
            "insights_included": kept.count("cold"),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the guide's response, as JSON values; beside it `state`, `notice` and `error` where there is one.

        See `Answer.to_dict`; `notice` also says what there was to say of the session or of the question.
        """
        found = {"session_id": str(self.session_id), **super().to_dict(), "context_stats": self.context_stats}
        notice = " ".join(filter(None, (self.session_id.notice, found.get("notice"))))
        return found | ({"notice": notice} if notice else {})

    def __repr__(self) -> str:
        """Show the text and a line of figures."""
        return f"{self.text}\n\n[{self.model}, {self.state}; {_used(self.prompt.slots, self.budget)}]"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a question would send, before anything is sent."""

    prompt: Prompt
    model: str
    budget: Budget
    cost_usd: float | None
    """USD for the prompt alone, at list price or the configured one; None where the price is not known."""
    most_usd: float | None
    """USD if the reply is as long as it may be."""

    @property
    def text(self) -> str:
        """The exact prompt, system part first."""
        return self.prompt.text

    @property
    def tokens(self) -> int:
        """The model's tokens, as estimated."""
        return self.prompt.tokens

    @property
    def slots(self) -> tuple[ContextItem, ...]:
        """Every candidate that would be kept, and the first 20 of each tier that would not."""
        return self.prompt.slots

    @property
    def sections(self) -> "pd.DataFrame":
        """One row a section: name, tokens, share of the prompt."""
        import pandas as pd

        rows = [(section.name, section.place, section.tokens) for section in self.prompt.sections]
        found = pd.DataFrame(rows, columns=["section", "place", "tokens"])
        return found.assign(share=(found["tokens"] / max(self.tokens, 1)).round(3))

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a slot: what would stand in the prompt, what would not, and why."""
        return packing.frame(self.slots)

    def __repr__(self) -> str:
        """Show tokens, cost and the use of each tier."""
        if self.model == OFFLINE:
            cost = "free: nothing is sent"
        elif self.cost_usd is None:
            cost = "price not known"
        else:
            cost = f"${self.cost_usd:.4f}, at most ${self.most_usd:.4f} with the reply"
        sections = ", ".join(f"{section.name} {section.tokens}" for section in self.prompt.sections)
        head = f"Preview for {self.model}: {self.tokens:,} tokens ({cost})"
        notice = self.prompt.session_context.notice
        return "\n".join(filter(None, [head, _used(self.slots, self.budget), f"sections: {sections}", notice]))


def _used(slots: tuple[ContextItem, ...], budget: Budget) -> str:
    return (
        ", ".join(
            f"{tier.upper()} {spent:,} of {getattr(budget, tier):,}" for tier, spent in packing.used(slots).items()
        )
        + " tokens"
    )

"""The three tiers at one moment: what a prompt gets of memory. Chat passes now, a study passes then."""

import importlib
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from gallump_lab import tokens
from gallump_lab.config import Config
from gallump_lab.memory import cold, embedding, hot, ledger, recall, text, vectors
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.duplicates import already_said, newest_first, when
from gallump_lab.memory.packing import PassedOver, pack, shown
from gallump_lab.memory.records import NO_OVERRIDES, AsOf, ContextItem, Message, Overrides, SessionContext
from gallump_lab.store import Catalogue, Store, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def context(  # noqa: PLR0913 (a moment's givens)
    con: "DuckDBPyConnection",
    corpus: Corpus,
    question: str,
    *,
    session_id: str | None,
    symbol: str | None,
    moment: AsOf,
    config: Config,
    factor: float,
    symbols: Sequence[str] = (),
    overrides: Overrides = NO_OVERRIDES,
) -> SessionContext:
    """Take what the tiers give for a question at a moment, within the configuration's budget.

    Parameters
    ----------
    con : DuckDBPyConnection
        A lab or a snapshot of it, inside a read step.
    corpus : Corpus
        Its passages in memory.
    question : str
        What is asked; it does not stand in its own context.
    session_id : str, optional
        The current session, whose newest messages are HOT.
    symbol : str, optional
        The question's symbol.
    moment : AsOf
        Nothing that arrived later is used, statistics included.
    config : Config
        Budgets and recall's settings; where the guide counts items instead of tokens, the items rule.
    factor : float
        The model's tokens per cl100k token (see `learnt_factor`).
    symbols : sequence of str
        Further symbols that the question is about, for COLD.
    overrides : Overrides
        What the analyst pinned or excluded for this question.
    """
    budget, excluded = config.budget, _excluding(overrides)
    said, number, candidates = session(con, session_id, moment, config, factor)
    standing = pack(
        candidates,
        sys.maxsize if budget.hot_messages else budget.hot,
        most=budget.hot_messages,
        passed_over=excluded,
    )

    view = corpus.at(con, moment, config.recall.embedder)
    ranked = recall.rank(con, view, question, symbol=symbol, moment=moment, settings=config.recall)
    ranked = recall.pinned_first(con, ranked, overrides.ids("passage"), moment)
    found = newest_first(recall.candidates(con, ranked, factor, recall.most(budget.warm), moment.at.tzinfo))
    found = [slot if slot.rank == rank else replace(slot, rank=rank) for rank, slot in enumerate(found, 1)]
    warm = pack(found, budget.warm, passed_over=already_said(standing, excluded))

    insights = pack(
        learnt(
            con,
            question,
            symbols={*symbols, symbol},
            moment=moment,
            config=config,
            factor=factor,
            pinned=overrides.ids("insight"),
        ),
        sys.maxsize if budget.cold_insights else budget.cold,
        most=budget.cold_insights,
        passed_over=excluded
        if config.template == "guide"
        else cold.passing_over(standing, warm, config.cold.least, excluded),
    )
    return SessionContext(
        session_id=session_id,
        current_messages=[
            {
                "role": message.role,
                "message": message.text,
                "message_id": message.message_id,
                "symbol": message.symbol,
                "created_at": message.created_at,
                "state": message.state,
                "speaker": message.speaker,
            }
            for message in said
        ],
        relevant_history=[slot.line for slot in in_time(warm)],
        insights=[slot.line for slot in insights if slot.kept],
        slots=[*shown(standing), *shown(warm), *shown(insights)],
        moment=moment,
        token_factor=factor,
        messages_in_session=number + 1,
        missing={view.embedder.name: view.missing} if view.missing and config.recall.meaning else {},
    )


def session(
    con: "DuckDBPyConnection", session_id: str | None, moment: AsOf, config: Config, factor: float
) -> tuple[Sequence[Message], int, Sequence[ContextItem]]:
    """Return what HOT has: the session's newest messages, how many it has in all, and the candidates."""
    if session_id is None:
        return [], 0, []
    budget = config.budget
    said, number = hot.messages(con, session_id, moment, most=round(budget.hot / min(factor, 1)))
    return said, number, hot.candidates(con, said, budget, factor)


def learnt(  # noqa: PLR0913 (a moment's givens)
    con: "DuckDBPyConnection",
    question: str,
    *,
    symbols: Collection[str | None],
    moment: AsOf,
    config: Config,
    factor: float,
    pinned: Sequence[int] = (),
) -> list[ContextItem]:
    """Return what COLD has: the insights that were alive, in order of what they are worth to the question."""
    return cold.candidates(
        con,
        question,
        symbols=frozenset(filter(None, symbols)),
        moment=moment,
        settings=config.cold,
        factor=factor,
        plain=config.template == "guide",
        pinned=pinned,
    )


def recalled(  # noqa: PLR0913 (a moment's givens)
    catalogue: Catalogue,
    corpus: Corpus,
    query: str,
    *,
    session_id: str | None,
    symbol: str | None,
    moment: AsOf,
    config: Config,
    model: str,
    tokens: int,
) -> recall.Recalled:
    """Return what WARM alone recalls for a query within so many of the model's tokens; see `Lab.recall`.

    Raises
    ------
    ValueError
        If the query, the budget, the embedder or the moment's `as_of` cannot be used.
    """
    query, config = recall.checked(query), replace(config, budget=recall.budget(config.budget, tokens))
    if moment.as_of is not None:
        times.naive(moment.as_of, "as_of")
    prepare(corpus, catalogue, config.recall.embedder)
    with catalogue.read() as con:
        factor = learnt_factor(con, model, config, moment.as_of)
        found = context(
            con,
            corpus,
            query,
            session_id=session_id,
            symbol=symbol,
            moment=moment,
            config=config,
            factor=factor,
        )
    warm = tuple(slot for slot in found.slots if slot.tier == "warm")
    return recall.Recalled(query=query, budget=tokens, slots=warm, notice=found.notice)


def _excluding(overrides: Overrides) -> PassedOver:
    out = set(overrides.excluded)
    return lambda slot: "excluded" if (slot.kind, slot.item_id) in out else None


def in_time(slots: Sequence[ContextItem]) -> list[ContextItem]:
    """Return the kept slots in the order in which they were said."""
    return sorted((slot for slot in slots if slot.kept), key=when)


def learnt_factor(con: "DuckDBPyConnection", model: str, config: Config, as_of: datetime | None = None) -> float:
    """Learn a model's token factor from its newest 2,000 plain turns; see `gallump_lab.tokens.learnt_factor`."""
    if model == tokens.OFFLINE or model in config.model.factors:
        return tokens.learnt_factor(model, 0, 0, config.model.factors)
    billed, counted = con.execute(
        "select coalesce(sum(output_tokens), 0), coalesce(sum(m.tokens), 0) from "
        "(select * from turns where model = ? and plain and asked_at <= coalesce(?::timestamp, asked_at) "
        "order by turn_id desc limit 2000) t "
        "join messages m on m.message_id = t.reply_id",
        [model, as_of and times.naive(as_of)],
    ).fetchone() or (0, 0)
    return tokens.learnt_factor(model, int(billed), int(counted), config.model.factors)


def newest(con: "DuckDBPyConnection") -> tuple[int, int]:
    """Return the newest message id and the newest insight event id; 0 where there is none."""
    found = con.execute(
        "select (select coalesce(max(message_id), 0) from messages), "
        "(select coalesce(max(event_id), 0) from insight_events)"
    ).fetchone()
    return found or (0, 0)


def prepare(corpus: Corpus, catalogue: Catalogue, model: str = vectors.BUILT_IN.name) -> None:
    """Load what ranking and counting need, before a step on the lab and not inside it; embed what has just arrived.

    Raises
    ------
    ConfigError
        If there is no embedder of this name.
    """
    importlib.import_module("numpy")
    text.terms("ready")
    tokens.count("ready")
    corpus.catch_up(catalogue, model)
    if not corpus.insights_ready:
        with catalogue.read() as con:
            standing = ledger.standing(con)
        cold.prepare(standing)
        corpus.insights_ready = True
    if isinstance(catalogue, Store):  # a snapshot stays as it is
        embedding.catch_up(catalogue, corpus, model)

"""The three tiers at one moment: what a prompt gets of memory. Chat passes now, a study passes then.

Packing knows no query: it takes candidates in rank order, each with its cost. kept(b) is the longest prefix that fits,
so kept(500) is part of kept(600): a larger budget never loses an item. Of equal statements a prompt holds one, the
newest.
"""

import importlib
import sys
from collections.abc import Collection, Hashable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gallump_lab import tokens
from gallump_lab.config import Config
from gallump_lab.masking import masked
from gallump_lab.memory import cold, hot, ledger, messages, outdated, recall, text, vectors
from gallump_lab.memory.asked import about
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import (
    NO_OVERRIDES,
    AsOf,
    ContextItem,
    Item,
    Overrides,
    PassedOver,
    Reason,
    SessionContext,
)
from gallump_lab.store import Catalogue, Store, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NEAR_MISSES = 20
FIRST = 60
"""So many candidates change places among each other; the order does not depend on how many more are looked at."""
_NEVER = datetime.min.replace(tzinfo=UTC)


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
    insights: bool = True,
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
        What the question is about if it names no symbol itself.
    moment : AsOf
        Nothing that arrived later is used, statistics included.
    config : Config
        Budgets and recall's settings; where the guide counts items instead of tokens, the items rule.
    factor : float
        The model's tokens per cl100k token (see `learnt_factor`).
    symbols : sequence of str
        Further ones, for COLD; they count in lower case too.
    overrides : Overrides
        What the analyst pinned or excluded for this question.
    insights : bool
        Whether COLD is asked at all.
    """
    budget, plain = config.budget, config.template == "guide"
    view = corpus.at(con, moment, config.recall.embedder)
    said, number, found = hot.hot(con, view, session_id, moment, config, factor, overrides.excluded)
    standing = pack(found, sys.maxsize if budget.hot_messages else budget.hot, excluded=overrides.excluded)
    given = [symbol] if symbol else []
    named = [] if plain else about(view, question, (), (*given, *symbols))
    concerned = named or given
    ranked = recall.rank(con, view, question, symbols=concerned, moment=moment, settings=config.recall)
    ranked = recall.pinned_first(ranked, view, overrides.ids("passage"))
    most = recall.most(budget.warm)
    found = recall.candidates(con, view, ranked, factor, most=most, zone=moment.at.tzinfo)
    found = newest_first(outdated.settle(found, question, moment.now, factor, concerned))
    found = [slot if slot.rank == rank else replace(slot, rank=rank) for rank, slot in enumerate(found, 1)]
    warm = pack(found, budget.warm, passed_over=already_said(standing), excluded=overrides.excluded)

    learnt: list[ContextItem] = []
    if insights:
        learnt = cold.candidates(
            con,
            question,
            symbols=frozenset(named or (*symbols, *given)),
            moment=moment,
            settings=config.cold,
            factor=factor,
            plain=plain,
            pinned=overrides.ids("insight"),
            stood=view.lately.standing(con, moment),
        )
    learnt = pack(
        learnt,
        sys.maxsize if budget.cold_insights else budget.cold,
        most=budget.cold_insights,
        passed_over=(lambda _: None) if plain else cold.passing_over(standing, warm, config.cold.least),
        excluded=overrides.excluded,
    )
    return SessionContext(
        session_id=session_id,
        current_messages=[
            {"role": message.role, "message": message.text} | {name: getattr(message, name) for name in _FURTHER}
            for message in said
        ],
        relevant_history=[slot.line for slot in in_time(warm)],
        insights=[slot.line for slot in learnt if slot.kept],
        slots=[*shown(standing), *shown(warm), *shown(learnt)],
        moment=moment,
        token_factor=factor,
        messages_in_session=number + 1,
        symbol=concerned[0] if concerned else None,
        missing={view.embedder.name: view.missing} if view.missing and config.recall.meaning else {},
    )


_FURTHER = ("message_id", "symbol", "created_at", "state", "speaker")
"""What a current message tells beside the guide's keys."""


def recalled(  # noqa: PLR0913 (a moment's givens)
    con: "DuckDBPyConnection",
    corpus: Corpus,
    query: str,
    *,
    session_id: str | None,
    symbol: str | None,
    moment: AsOf,
    config: Config,
    tokens: int,
) -> recall.Recalled:
    """Return what WARM alone recalls for a query within so many of the model's tokens, inside a read step.

    Raises
    ------
    ValueError
        If the query, the budget, the embedder or the moment's `as_of` cannot be used.
    """
    if not isinstance(query, str):
        msg = f"query must be text, not {query!r}."
        raise ValueError(msg)  # noqa: TRY004 (every bad argument is a ValueError)
    if type(tokens) is not int or tokens < 0:
        msg = f"tokens must be a whole number of at least 0, not {tokens!r}."
        raise ValueError(msg)
    if moment.as_of is not None:
        times.naive(moment.as_of, "as_of")
    query = masked(text.storable(query))  # an embedder of the user's own may send it
    budget = replace(config.budget, warm=tokens, window=config.budget.window + tokens)
    config = replace(config, budget=budget)
    found = context(
        con,
        corpus,
        query,
        session_id=session_id,
        symbol=symbol,
        moment=moment,
        config=config,
        factor=learnt_factor(con, config.model.answering, config, moment.as_of),
        insights=False,
    )
    warm = tuple(slot for slot in found.slots if slot.tier == "warm")
    return recall.Recalled(query=query, budget=tokens, slots=warm, notice=found.notice)


def pack(
    candidates: Sequence[ContextItem],
    budget: int,
    *,
    most: int | None = None,
    passed_over: PassedOver = lambda _: None,
    excluded: Collection[Item] = (),
) -> list[ContextItem]:
    """Keep the longest prefix of the candidates that fits.

    Parameters
    ----------
    candidates : sequence of ContextItem
        In rank order.
    budget : int
        The model's tokens.
    most : int, optional
        At most so many items.
    passed_over : callable
        Says why a candidate is left out without taking room ("in HOT", "duplicate", ...), None where it is not.
    excluded : collection of (kind, item_id)
        What the analyst left out.

    Returns
    -------
    list of ContextItem
        All candidates, decided: `kept` and `reason` set.
    """
    decided: list[ContextItem] = []
    used, kept, full = 0, 0, False
    for slot in candidates:
        why = "excluded" if (slot.kind, slot.item_id) in excluded else passed_over(slot)
        if why is None:
            full = full or used + slot.tokens > budget or (most is not None and kept >= most)
            why = "over budget" if full else "kept"
        if why == "kept":
            used, kept = used + slot.tokens, kept + 1
        as_it_is = (slot.kept, slot.reason) == (why == "kept", why)
        decided.append(slot if as_it_is else replace(slot, kept=why == "kept", reason=why))
    return decided


def newest_first(candidates: Sequence[ContextItem]) -> list[ContextItem]:
    """Let the newest of equal statements, or a pinned one, take the best place; the others keep their order.

    What is too far from the question stays behind.
    """
    near = sum("far" not in slot.signals for slot in candidates[:FIRST])
    first, rest = candidates[:near], candidates[near:]
    equals: dict[Hashable, list[ContextItem]] = {}
    for slot in first:
        equals.setdefault(slot.states, []).append(slot)
    if len(equals) == len(first):
        return [*candidates]
    for group in equals.values():
        best = max(group, key=lambda slot: (slot.signals.get("pin", 0), *_when(slot)))
        group.sort(key=lambda slot: slot is not best)
    return [*(equals[slot.states].pop(0) for slot in first), *rest]


def already_said(hot: Sequence[ContextItem]) -> PassedOver:
    """Return what says of WARM's candidates, asked in their order, which are in HOT already or say what another does.

    A statement is a duplicate if it equals an earlier one, or is a part of one that is not older.
    """
    standing: dict[int | None, str] = {}
    said: dict[Hashable, list[tuple[datetime, str]]] = {}
    for slot in hot:
        if slot.kept:
            standing[slot.message_id] = f"{standing.get(slot.message_id, '')}\n{slot.text}"
            who, stated = slot.states
            said.setdefault(who, []).append((slot.created_at or _NEVER, stated))

    def passed_over(slot: ContextItem) -> Reason | None:
        if slot.text in standing.get(slot.message_id, ""):
            return "in HOT"
        if "far" in slot.signals:
            return "below threshold"
        (who, stated), at = slot.states, slot.created_at or _NEVER
        others = said.setdefault(who, [])
        if any(stated in other and (stated == other or at <= then) for then, other in others):
            return "duplicate"
        others.append((at, stated))
        return None

    return passed_over


def says(whole: ContextItem, part: ContextItem) -> bool:
    """Return whether one slot states all that another does, said by the same of the same symbol."""
    (who, stated), (same, wanted) = whole.states, part.states
    return who == same and wanted in stated


def _when(slot: ContextItem) -> tuple[datetime, int]:
    return slot.created_at or _NEVER, slot.item_id


def in_time(slots: Sequence[ContextItem]) -> list[ContextItem]:
    """Return the kept slots in the order in which they were said."""
    return sorted((slot for slot in slots if slot.kept), key=_when)


def shown(slots: Sequence[ContextItem]) -> list[ContextItem]:
    """Return what a turn records of a tier: all that was kept, and the first `NEAR_MISSES` that were not."""
    found, missed = [], 0
    for slot in slots:
        missed += not slot.kept
        if slot.kept or missed <= NEAR_MISSES:
            found.append(slot)
    return found


def learnt_factor(con: "DuckDBPyConnection", model: str, config: Config, as_of: datetime | None = None) -> float:
    """Learn a model's token factor from its newest 2,000 plain turns; see `gallump_lab.tokens.learnt_factor`."""
    if model == tokens.OFFLINE or model in config.model.factors:
        return tokens.learnt_factor(model, 0, 0, config.model.factors)
    billed, counted = con.execute(
        "select coalesce(sum(output_tokens - coalesce(thinking_tokens, 0)), 0), coalesce(sum(m.tokens), 0) from "
        "(select * from turns where model = ? and plain and asked_at <= coalesce(?::timestamp, asked_at) "
        "order by turn_id desc limit 2000) t "
        "join messages m on m.message_id = t.reply_id "
        "where output_tokens - coalesce(thinking_tokens, 0) <= ? * m.tokens",
        # Some servers count what was thought unseen as text, or make the count up: that is no text alone.
        [model, as_of and times.naive(as_of), 3 * tokens.FACTORS[tokens.family(model)]],
    ).fetchone() or (0, 0)
    return tokens.learnt_factor(model, int(billed), int(counted), config.model.factors)


def newest(con: "DuckDBPyConnection") -> tuple[int, int]:
    """Return the newest message id and the newest id of an insight event or a hint; 0 where there is none."""
    found = con.execute(
        "select (select coalesce(max(message_id), 0) from messages), "
        "(select coalesce(greatest(max(event_id), (select max(hint_id) from hints)), 0) from insight_events)"
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
    if isinstance(catalogue, Store) and model != vectors.BUILT_IN.name:  # a snapshot stays as it is
        messages.embed_newest(catalogue, corpus.embedder(model), corpus.embedded(model))

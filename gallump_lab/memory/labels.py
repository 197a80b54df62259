"""Questions to measure recall with, and labels: which messages a question needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from gallump_lab.memory import index
from gallump_lab.store import Catalogue, Store, query, times

if TYPE_CHECKING:
    import pandas as pd

Origin = Literal["reader", "human", "silver"]
EVIDENCE = 3
"""The grade of a message that the answer rests on; 2 helps, 1 is on the subject, 0 is of no use."""

_ASKED = """
select question_id, text, answer, kind, asked_at, session_id, symbol, conversation,
       coalesce(e.evidence, []) as evidence, seen_message, origin
from questions left join (
    select question_id, list(message_id order by message_id) as evidence from (
        select question_id, message_id from labels where origin <> 'silver'
        group by all having arg_max(grade, rowid) = 3)
    group by question_id) e using (question_id)
order by question_id
"""
_THERE = """
select place from given g where exists (
    from questions q where q.text = g.text and q.kind = g.kind and q.asked_at = g.asked_at
    and coalesce(q.answer, '') = g.answer and coalesce(q.session_id, '') = g.session_id
    and coalesce(q.symbol, '') = g.symbol and coalesce(q.conversation, '') = g.conversation)
"""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question that recall is measured with."""

    text: str
    asked_at: datetime
    """Naive UTC; nothing that speaks of a later time may be used."""
    kind: str = "question"
    answer: str | None = None
    """None: there is none."""
    session_id: str | None = None
    """The session in which it is asked."""
    symbol: str | None = None
    conversation: str | None = None
    """The cluster that it belongs to."""
    evidence: tuple[int, ...] = ()
    """Ids of the messages that the answer rests on."""


def questions(catalogue: Catalogue) -> "pd.DataFrame":
    """Give every question of a lab or snapshot.

    Returns
    -------
    pandas.DataFrame
        question_id, text, answer (missing: there is none), kind, asked_at (UTC), session_id, symbol, conversation,
        evidence (a list of message ids: those whose newest label of a dataset or a person is of grade 3), seen_message
        (nothing that arrived later may be used) and origin.
    """
    with catalogue.read() as con:
        return query.table(con, _ASKED)


def add(
    store: Store, asked: Sequence[Question], now: datetime, *, origin: Origin = "human", labeller: str = "analyst"
) -> int:
    """Store questions with their evidence, all or none of them, each once; give how many were new.

    They may use what has arrived so far.
    """
    import numpy as np

    given: dict[str, Any] = {
        name: np.array([getattr(question, name) or "" for question in asked], object)
        for name in ("text", "kind", "answer", "session_id", "symbol", "conversation")
    }
    given["asked_at"] = np.array([question.asked_at for question in asked], "datetime64[us]")
    given["place"] = np.arange(len(asked))
    at = times.naive(now)
    with store.write() as con:
        with index.lent(con, given):
            there = con.execute(_THERE).fetchnumpy()["place"]
        new = np.setdiff1d(given["place"], there)
        ids = index.next_ids(con, "question_ids", len(new))
        with index.lent(con, {name: column[new] for name, column in given.items()} | {"question_id": ids}):
            con.execute(
                "insert into questions select question_id, text, nullif(answer, ''), kind, asked_at, "
                "(select coalesce(max(message_id), 0) from messages), nullif(session_id, ''), nullif(symbol, ''), "
                "nullif(conversation, ''), ?, ? from given",
                [origin, at],
            )
        pairs = [(i, message) for i, place in zip(ids, new, strict=True) for message in asked[place].evidence]
        columns = np.array(pairs, np.int64).reshape(-1, 2)
        with index.lent(con, {"question_id": columns[:, 0], "message_id": columns[:, 1]}):
            con.execute(
                "insert into labels select question_id, message_id, ?, ?, ?, ? from given",
                [EVIDENCE, origin, labeller, at],
            )
    return len(new)


def label(  # noqa: PLR0913 (a label's fields)
    store: Store,
    question_id: int,
    message_id: int,
    grade: int,
    now: datetime,
    *,
    origin: Origin = "human",
    labeller: str = "analyst",
) -> None:
    """Say how much a question needs a message; the newest label of the two holds.

    Parameters
    ----------
    grade : int
        0 of no use, 1 on the subject, 2 helps, 3 the answer rests on it.
    origin : {"reader", "human", "silver"}
        Whether a dataset, a person or a program says so.
    labeller : str
        Who, by name.

    Raises
    ------
    ValueError
        If the grade or origin is another, or there is no such question or message.
    """
    if not isinstance(grade, int) or isinstance(grade, bool) or not 0 <= grade <= EVIDENCE:
        msg = f"grade must be a whole number from 0 to {EVIDENCE}, not {grade!r}."
        raise ValueError(msg)
    if origin not in get_args(Origin):
        msg = f"origin must be one of {', '.join(get_args(Origin))}, not {origin!r}."
        raise ValueError(msg)
    with store.write() as con:
        found = con.execute(
            "select (from questions select count(*) where question_id = ?), "
            "(from messages select count(*) where message_id = ?)",
            [question_id, message_id],
        ).fetchone()
        if found != (1, 1):
            msg = f"question_id {question_id!r} or message_id {message_id!r} is not in this lab; see lab.questions."
            raise ValueError(msg)
        con.execute(
            "insert into labels values (?, ?, ?, ?, ?, ?)",
            [question_id, message_id, grade, origin, labeller, times.naive(now)],
        )

"""Questions to measure recall with, and labels: which messages a question needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gallump_lab import masking
from gallump_lab.memory.messages import checked_name, checked_text, next_ids
from gallump_lab.memory.records import check
from gallump_lab.reading.symbols import validate_symbol
from gallump_lab.store import Catalogue, Store, query, times

if TYPE_CHECKING:
    import pandas as pd

Origin = Literal["reader", "human"]
"""Whether a dataset or a person says so."""
EVIDENCE = 3
"""The grade of a message that the answer rests on; 2 helps, 1 is on the subject, 0 is of no use."""
CHAT = "chat"
"""The kind of a question that was asked in the chat."""

_ASKED = """
select question_id, text, answer, kind, asked_at, session_id, symbol, conversation,
       coalesce(e.evidence, []) as evidence, coalesce(e.stale, []) as stale, seen_message, origin,
       if(kind = 'chat', r.rewritten, null) as rewritten
from questions left join (
    select session_id, question_id - 1 as seen_message, arg_max(rewritten, turn_id) as rewritten
    from turns group by all
) r using (session_id, seen_message) left join (
    select question_id, list(message_id order by message_id) filter (grade = 3) as evidence,
           list(message_id order by message_id) filter (outdated) as stale
    from (select question_id, message_id, arg_max(grade, rowid) as grade, arg_max(outdated is true, rowid) as outdated
          from labels group by all)
    group by question_id) e using (question_id)
order by question_id
"""
_ALIKE = """
select question_id, text, answer, kind, asked_at, session_id, symbol, conversation, seen_message
from questions where text in (select unnest(?::varchar[])) order by question_id desc
"""
_HELD = """
select question_id, message_id, arg_max(grade, rowid) as grade, arg_max(origin, rowid) as origin,
       arg_max(labeller, rowid) as labeller, arg_max(outdated is true, rowid) as outdated,
       arg_max(labelled_at, rowid) as labelled_at
from labels group by question_id, message_id order by max(rowid)
"""
# A turn's question is the message after the newest that it saw; a question that was tried again has several turns.
_LISTED = """
with chat as (
    from (from turns qualify row_number() over (partition by question_id order by turn_id desc) = 1) t
    join messages m on m.message_id = t.question_id
    select t.turn_id, m.text, t.asked_at, t.session_id, t.symbol, t.question_id - 1 as seen_message
)
select q.question_id, c.turn_id, coalesce(q.text, c.text) as text, q.answer, coalesce(q.kind, $chat) as kind,
       coalesce(q.asked_at, c.asked_at) as asked_at, coalesce(q.session_id, c.session_id) as session_id,
       if(q.question_id is null, c.symbol, q.symbol) as symbol, q.conversation,
       coalesce(q.seen_message, c.seen_message) as seen_message
from questions q full join chat c
on q.kind = $chat and c.session_id = q.session_id and c.seen_message = q.seen_message and c.text = q.text
order by q.origin is not distinct from 'reader', asked_at, q.question_id, c.turn_id
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
    seen_message: int | None = None
    """The newest message that may be used; None: what has arrived so far."""
    evidence: tuple[int, ...] = ()
    """Ids of the messages that the answer rests on."""
    stale: tuple[int, ...] = ()
    """Ids of those that state a value which isn't or is no longer so, and must not be taken for the answer."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A question that can be labelled."""

    question_id: int | None
    """None: it was asked in the chat, and nothing has been said of it yet; `of_turn` makes it a question."""
    turn_id: int | None
    """The newest turn that answered it, where it was asked in the chat."""
    asked: Question


class Label(NamedTuple):
    """The label that holds of a question and a message."""

    question_id: int
    message_id: int
    grade: int
    origin: Origin
    labeller: str
    outdated: bool


def questions(catalogue: Catalogue) -> "pd.DataFrame":
    """Return every question of a lab or snapshot.

    Returns
    -------
    pandas.DataFrame
        question_id, text, answer (missing: there is none), kind, asked_at (UTC), session_id, symbol, conversation,
        evidence (a list of message ids: those whose newest label of a dataset or a person is of grade 3), stale (the
        same of those whose newest label says that they are outdated), seen_message (nothing that arrived later may be
        used), origin and rewritten (what recall looked for when it was asked in the chat; missing: the text).
    """
    with catalogue.read() as con:
        return query.table(con, _ASKED)


def held(catalogue: Catalogue) -> "pd.DataFrame":
    """Return the label that holds of each question and message, the newest last.

    Returns
    -------
    pandas.DataFrame
        question_id, message_id, grade (0 to 3; what has none is not here, and is not 0), origin, labeller, outdated
        (whether it states what isn't or is no longer so) and labelled_at (UTC).
    """
    with catalogue.read() as con:
        return query.table(con, _HELD)


def holding(catalogue: Catalogue) -> list[Label]:
    """Return the same as records."""
    with catalogue.read() as con:
        return [Label._make(row[:-1]) for row in con.execute(_HELD).fetchall()]


def listed(catalogue: Catalogue) -> list[Listed]:
    """Return every question that can be labelled: the analyst's and the chat's by time, then the readers'."""
    with catalogue.read() as con:
        rows = con.execute(_LISTED, {"chat": CHAT}).fetchall()
    return [
        Listed(question_id=question_id, turn_id=turn_id, asked=Question(**dict(zip(_FIELDS, row, strict=True))))
        for question_id, turn_id, *row in rows
    ]


def add(
    store: Store, asked: Sequence[Question], now: datetime, *, origin: Origin = "human", labeller: str = "analyst"
) -> list[tuple[int, bool]]:
    """Store questions with their labels, all or none of them, each once; return ids and whether each is new."""
    said = {"origin": origin, "labeller": labeller, "at": times.naive(now)}
    with store.write() as con:
        (newest,) = con.execute("select coalesce(max(message_id), 0) from messages").fetchone() or (0,)
        known: dict[tuple[Any, ...], int] = {}
        for question_id, *values in con.execute(_ALIKE, [[each.text for each in asked]]).fetchall():
            known |= {tuple(values): question_id, (*values[:-1], None): question_id}
        there = [known.get(tuple(getattr(each, name) for name in _FIELDS)) for each in asked]
        fresh = [each for each, question_id in zip(asked, there, strict=True) if question_id is None]
        ids = next_ids(con, ("question_ids", len(fresh)))[0].tolist()
        if fresh:
            columns = {name: [getattr(each, name) for each in fresh] for name in _FIELDS} | {"question_id": ids}
            columns["seen_message"] = [newest if seen is None else seen for seen in columns["seen_message"]]
            con.execute(
                f"insert into questions ({', '.join(columns)}, origin, arrived_at) "
                f"select {', '.join(f'unnest(${name})' for name in columns)}, $origin, $at",
                columns | {"origin": origin, "at": said["at"]},
            )
        for name, grade, outdated in (("stale", 0, True), ("evidence", EVIDENCE, None)):
            pairs = [(i, message) for i, each in zip(ids, fresh, strict=True) for message in getattr(each, name)]
            given = {"questions": [i for i, _ in pairs], "messages": [m for _, m in pairs]}
            con.execute(
                "insert into labels select unnest($questions::bigint[]), unnest($messages::bigint[]), $grade, $origin, "
                "$labeller, $at, $outdated",
                said | given | {"grade": grade, "outdated": outdated},
            )
    new = iter(ids)
    return [(next(new), True) if question_id is None else (question_id, False) for question_id in there]


_FIELDS = ("text", "answer", "kind", "asked_at", "session_id", "symbol", "conversation", "seen_message")


def add_one(store: Store, asked: Question, now: datetime) -> int:
    """Store a question of the analyst's own, its time with a time zone, once; return its id, to label it by.

    Raises
    ------
    ValueError
        If a field cannot be used.
    """
    masking.warn("question", asked.text, asked.answer, asked.kind, stacklevel=3)
    question = replace(
        asked,
        text=checked_text(asked.text),
        asked_at=times.naive(asked.asked_at, "asked_at"),
        kind=checked_name(asked.kind, "kind"),
        answer=None if asked.answer is None else checked_text(asked.answer, "answer"),
        symbol=None if asked.symbol is None else validate_symbol(asked.symbol),
    )
    with store.read() as con:
        session = question.session_id
        if session and not con.execute("select 1 from sessions where session_id = ?", [session]).fetchone():
            msg = f"session_id {session!r} is not in this lab; lab.history() lists them."
            raise ValueError(msg)
    ((question_id, _),) = add(store, [question], now)
    return question_id


def of_turn(store: Store, turn_id: int, now: datetime) -> int:
    """Return the question that a turn answered, as one to label: it may use what the turn could.

    Returns
    -------
    int
        Its id; it is made if it is not there yet.

    Raises
    ------
    ValueError
        If there is no such turn, or its question was forgotten.
    """
    with store.read() as con:
        row = con.execute(
            "select text, asked_at, t.session_id, t.symbol, question_id - 1 from turns t "
            "join messages on message_id = question_id where turn_id = ?",
            [turn_id],
        ).fetchone()
        if row is None:
            msg = f"turn_id {turn_id!r} is not in this lab, or its question was forgotten; lab.turns lists them."
            raise ValueError(msg)
        text, asked_at, session_id, symbol, seen = row
        there = con.execute(
            "select question_id from questions where kind = ? and session_id = ? and seen_message = ? and text = ?",
            [CHAT, session_id, seen, text],
        ).fetchone()
    if there:  # a turn that was tried again had another time
        return int(there[0])
    asked = Question(text=text, asked_at=asked_at, kind=CHAT, session_id=session_id, symbol=symbol, seen_message=seen)
    ((question_id, _),) = add(store, [asked], now)
    return question_id


def label(  # noqa: PLR0913 (a label's fields)
    store: Store,
    question_id: int,
    message_id: int,
    grade: int | None,
    now: datetime,
    *,
    labeller: str = "analyst",
    outdated: bool = False,
) -> None:
    """Record how much a question needs a message; the newest label of the two holds.

    Parameters
    ----------
    grade : int or None
        0 of no use, 1 on the subject, 2 helps, 3 the answer rests on it. None takes back this labeller's newest label
        of the two: what held before holds again, be it another label or none.
    labeller : str
        Who says so, by name.
    outdated : bool
        Whether the message states what isn't or is no longer so, and must not be taken for the answer (grades 0 to 2).

    Raises
    ------
    ValueError
        If the grade is another, or there is no such question or message, or nothing to take back.
    """
    if grade is not None and (type(grade) is not int or not 0 <= grade <= EVIDENCE):
        msg = f"grade must be a whole number from 0 to {EVIDENCE}, or None to take one back, not {grade!r}."
        raise ValueError(msg)
    check(isinstance(outdated, bool), "outdated", "True or False", outdated)
    if outdated and grade == EVIDENCE:
        msg = f"grade must be from 0 to {EVIDENCE - 1} where a message is outdated: no answer rests on it."
        raise ValueError(msg)
    given = {"question": question_id, "message": message_id, "labeller": checked_name(labeller, "labeller")}
    with store.write() as con:
        if not con.execute(
            "select 1 from questions, messages where question_id = ? and message_id = ?", [question_id, message_id]
        ).fetchone():
            msg = f"question_id {question_id!r} or message_id {message_id!r} is not in this lab; see lab.questions."
            raise ValueError(msg)
        if grade is not None:
            con.execute(
                "insert into labels values ($question, $message, $grade, 'human', $labeller, $at, $outdated)",
                given | {"grade": grade, "at": times.naive(now), "outdated": outdated or None},
            )
            return
        gone = con.execute(
            "delete from labels where rowid = (select max(rowid) from labels where question_id = $question "
            "and message_id = $message and origin = 'human' and labeller = $labeller) returning 1",
            given,
        ).fetchone()
        if gone is None:
            msg = f"{labeller} has given question {question_id} no label of message {message_id} to take back."
            raise ValueError(msg)

"""The record of turns, written and read: what each saw that cannot be computed again, carried, brought, and led to."""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from gallump_lab import masking
from gallump_lab.brain import citations
from gallump_lab.brain.answer import Answer, Usage, clean
from gallump_lab.brain.citations import Citation
from gallump_lab.brain.prompt import Prompt
from gallump_lab.config import Config
from gallump_lab.memory import messages, recall, records
from gallump_lab.memory.context import newest
from gallump_lab.memory.records import AsOf, ContextItem, Overrides, check
from gallump_lab.memory.sessions import Received, SessionId, SessionManager
from gallump_lab.memory.text import storable
from gallump_lab.store import Store, locks, runs, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Verdict = Literal["accepted", "rejected"]
MAX_CHARACTERS = 2_000
"""What a decision's note may have."""
LOST = (
    "The notebook's kernel ended before the reply had, or the lab could not take it in then. What had arrived is kept."
)
_TAKE_IN = "delete from drafts where question_id = ? returning question_id"
_ITEM = tuple("tier rank kind item_id message_id tokens score kept reason outdated unconfirmed".split())


class Turn(locks.Claim):
    """One turn on its way into the lab: its draft while the reply comes in, then the whole of it in one step.

    As long as it lasts its draft is renewed once a second, with what has arrived, in case the kernel dies: nobody takes
    it for one that was left behind. If the whole turn could not be stored, `recover` finds its draft.

    Parameters
    ----------
    store : Store
        The lab file.
    sessions : SessionManager
        Makes the reply's message.
    received : Received
        The question, stored.
    prompt : Prompt
        What is sent.
    watchlist : sequence of str
        The symbols that were given.
    overrides : Overrides
        What was pinned and excluded.
    most_usd : float, optional
        What it may cost at most: what is counted if nobody lives to say what it did.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (a turn's givens)
        self,
        store: Store,
        sessions: SessionManager,
        received: Received,
        prompt: Prompt,
        watchlist: Sequence[str],
        overrides: Overrides,
        most_usd: float | None = None,
    ) -> None:
        super().__init__(self._save)
        self._store, self._sessions, self._config = store, sessions, received.config
        self._text = ""
        self._drafted = False
        moment = received.moment
        self._row: dict[str, Any] = {
            "session_id": str(received.session_id),
            "question_id": received.question_id,
            "asked_at": times.naive(moment.at).isoformat(),
            "time_zone": str(moment.at.tzinfo),
            "seen_message": moment.seen_message,
            "seen_insight": moment.seen_insight,
            "symbol": prompt.session_context.symbol,
            "watchlist": _json(list(watchlist)),
            "chosen": _json({"pinned": overrides.pinned, "excluded": overrides.excluded}),
            "market": _json(prompt.market_context.to_dict()),
            "config_id": runs.stored(received.config).id,
            "token_factor": prompt.session_context.token_factor,
            "retrieval": recall.version(received.config.recall.embedder, sum(prompt.session_context.missing.values())),
            "template": prompt.template,
            "prompt_sha256": prompt.sha256,
            "sections": _json({section.name: section.tokens for section in prompt.sections}),
            "used": _json(records.used(prompt.slots)),
            "model": received.config.model.answering,
            "cost_usd": most_usd,
            "rewritten": received.rewritten,
            "rewriting": received.rewriting,
        }
        self._prompt = prompt
        self._items = [[*(getattr(s, name) for name in _ITEM), _json(dict(s.signals))] for s in prompt.slots]

    def hear(self, piece: str) -> None:
        """Take a piece of the reply's text; the draft has it within a second."""
        self._text += piece

    def _save(self, name: str) -> None:
        """Save what has arrived, which renews the claim."""
        row = self._row
        with self._store.write() as con:
            if not self._drafted:
                runs.keep(con, self._config)
                con.execute(
                    "insert into drafts values (?, ?, ?, '', ?, ?, ?, null)",
                    [row["question_id"], row["session_id"], row["symbol"], _json(row), _json(self._items), name],
                )
            con.execute(
                f"update drafts set text = ?, renewed_at = {locks.NOW} where owner = ?",  # noqa: S608
                [clean(self._text), name],
            )
        self._drafted = True

    def finish(self, answer: Answer) -> tuple[int, int | None]:
        """Write the turn, its items and its reply in one step.

        Returns
        -------
        tuple of int
            The turn's id, and the reply's message id or None if there is no text.
        """
        self.end()
        notes = citations.read(answer.cited, self._prompt.results)
        usage = asdict(answer.usage) if answer.usage else dict.fromkeys(each.name for each in fields(Usage))
        same = ("model", "answered", "state", "stop_reason", "plain", "cost_usd", "latency", "first_text", "thinking")
        row: dict[str, Any] = self._row | {name: getattr(answer, name) for name in same} | usage
        row |= {
            "fault": clean(str(answer.fault)) if answer.fault else None,
            "sent": _json(dict(answer.sent)),
            "citations": _json(citations.recorded(notes)) if notes else None,
            "recommendations": _json([each.to_dict() for each in answer.recommendations]),
            "dropped": _json(list(answer.dropped)),
        }
        asked = self._prompt.results if "citations" not in answer.sent.get("without", ()) else ()
        could, did = ({(each.tier, each.item_id) for each in some} for some in (asked, self._cited(notes)))
        which = [(slot.tier, slot.item_id) for slot in self._prompt.slots]
        items = [[*item, each in did if each in could else None] for item, each in zip(self._items, which, strict=True)]
        reply = _reply(self._sessions, answer.text, row, answer.state)
        with self._store.write() as con:
            runs.keep(con, self._config)
            if self._drafted:
                con.execute(_TAKE_IN, [row["question_id"]])
            return _write(con, row, items, reply)

    def _cited(self, notes: Sequence[Citation]) -> list[ContextItem]:
        """Return what of the prompt a reply cites."""
        items = {(note.kind, note.item_id) for note in notes}
        return [slot for slot in self._prompt.results if (slot.kind, slot.item_id) in items]


def _reply(sessions: SessionManager, text: str, row: dict[str, Any], state: messages.State) -> messages.Batch | None:
    return sessions.reply(text, row["symbol"], state, guide=row["template"].startswith("guide-"))


def _write(
    con: "DuckDBPyConnection", row: dict[str, Any], items: Sequence[Sequence[Any]], reply: messages.Batch | None
) -> tuple[int, int | None]:
    """Write a turn, its items and its reply inside the caller's transaction."""
    reply_id = messages.write(con, [row["session_id"]], reply)[0] if reply else None
    given = row | {"reply_id": reply_id}
    names, values = ", ".join(given), ", ".join(f"${name}" for name in given)
    (turn_id,) = con.execute(
        f"insert into turns (turn_id, {names}) values (nextval('turn_ids'), {values}) returning turn_id",  # noqa: S608
        given,
    ).fetchone() or (0,)
    if items:
        columns = [list(column) for column in zip(*items, strict=True)]
        names, values = ", ".join((*_ITEM, "signals", "cited")), ", ".join(["unnest(?)"] * len(columns))
        con.execute(f"insert into slots (turn_id, {names}) select ?, {values}", [turn_id, *columns])
    return int(turn_id), reply_id


def recover(store: Store, sessions: SessionManager) -> int:
    """Turn the drafts that nobody is at work on any more into replies, marked as stopped; return their number."""
    with store.read() as con:
        found = con.execute(f"select text, turn::text, slots::text, owner, {locks.LATE} from drafts").fetchall()  # noqa: S608
    orphans = [
        (text, json.loads(turn), json.loads(items))
        for text, turn, items, who, late in found
        if locks.free(who, late=late)
    ]
    outcome = {"state": "stopped", "fault": LOST, "plain": False, "recommendations": "[]", "dropped": "[]"}
    for text, row, items in orphans:
        reply = _reply(sessions, text, row, "stopped")
        with store.write() as con:
            if con.execute(_TAKE_IN, [row["question_id"]]).fetchall():
                _write(con, row | outcome, [[*item, None] for item in items], reply)
    return len(orphans)


def last_message(con: "DuckDBPyConnection", session_id: str) -> str | None:
    """Return the id that a server gave a session's newest reply."""
    found = con.execute(
        "select sent->>'message' from turns where session_id = ? order by turn_id desc limit 1", [session_id]
    ).fetchone()
    return found[0] if found else None


_AGAIN = """
select q.session_id, q.text, q.symbol, t.watchlist::text, t.chosen::text, t.rewritten,
       exists (from drafts where question_id = $id) or exists (
           from turns join messages r on message_id = reply_id
           where question_id = $id and r.state not in ('failed', 'stopped')
       )
from messages q left join turns t on t.question_id = q.message_id
where q.message_id = $id and q.role = 'user' order by t.turn_id desc limit 1
"""


def again(
    con: "DuckDBPyConnection", config: Config, now: datetime, question_id: int
) -> tuple[Received, list[str], Overrides]:
    """Return a stored question without a whole reply as if it came now, with its last turn's symbols and overrides.

    Raises
    ------
    ValueError
        If there is no such question, or it has a reply that did not fail and was not stopped, or one is coming.
    """
    found = con.execute(_AGAIN, {"id": question_id}).fetchone()
    if found is None:
        msg = f"question_id {question_id!r} is no question of this lab; lab.messages lists them."
        raise ValueError(msg)
    session_id, text, symbol, watchlist, chosen, rewritten, answered = found
    if answered:
        msg = f"question_id {question_id} has a reply or is being answered; ask a new question instead."
        raise ValueError(msg)
    received = Received(
        session_id=SessionId(session_id),
        question_id=question_id,
        text=text,
        moment=AsOf(at=now, seen_message=question_id - 1, seen_insight=newest(con)[1]),
        config=config,
        rewritten=rewritten,
    )
    symbols = json.loads(watchlist) if watchlist else [symbol] if symbol else []
    return received, symbols, chosen_of(chosen)


def chosen_of(text: str | None) -> Overrides:
    """Read a turn's overrides."""
    return Overrides(**json.loads(text)) if text else Overrides()


def _json(value: object) -> str:
    return storable(json.dumps(value, ensure_ascii=False))  # DuckDB takes no escaped half of a surrogate pair


def decide(  # noqa: PLR0913 (a decision's fields)
    store: Store, now: datetime, turn_id: int, position: int, *, verdict: Verdict, note: str = ""
) -> None:
    """Record a decision on a recommendation, never an order; see `Lab.decide`."""
    if verdict not in get_args(Verdict):
        msg = f"verdict must be 'accepted' or 'rejected', not {verdict!r}."
        raise ValueError(msg)
    short = isinstance(note, str) and len(note) <= MAX_CHARACTERS
    check(short, "note", f"text of at most {MAX_CHARACTERS:,} characters", clean(str(note)))
    masking.warn("note", note, stacklevel=3)
    with store.write() as con:
        found = con.execute("select recommendations::text from turns where turn_id = ?", [turn_id]).fetchone()
        given = json.loads(found[0] or "[]") if found else []
        if not 0 <= position < len(given):
            msg = f"position {position} of turn {turn_id} is no recommendation; the turn has {len(given)}, from 0."
            raise ValueError(msg)
        con.execute(
            "insert into decisions values (nextval('decision_ids'), ?, ?, ?, ?, ?, ?)",
            [turn_id, position, given[position]["symbol"], verdict, clean(note), times.naive(now)],
        )

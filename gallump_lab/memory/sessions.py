"""HOT: sessions and their messages. A session ends after 30 minutes without a message (`Config.session_minutes`)."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from gallump_lab.config import Config
from gallump_lab.masking import describe, masked
from gallump_lab.memory import messages
from gallump_lab.memory.context import context, learnt_factor
from gallump_lab.memory.context import newest as newest_ids
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.messages import State
from gallump_lab.memory.records import AsOf, Role, SessionContext
from gallump_lab.memory.text import storable
from gallump_lab.memory.vectors import Embedder
from gallump_lab.store import Cache, Store, runs, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def new_id() -> str:
    """Make a session id; the id factory that is used where none is given."""
    return uuid.uuid4().hex


class SessionId(str):
    """A session's id that says whether the session is new, and why.

    Attributes
    ----------
    new : bool
        Whether the session began with this call.
    notice : str or None
        In words, when an id was given but its session could not be carried on, or a question was masked.
    """

    __slots__ = ("new", "notice")
    new: bool
    notice: str | None

    def __new__(cls, value: str, *, new: bool = False, notice: str | None = None) -> Self:
        """Make an id of a session that is `new` or not, with a `notice` or none."""
        made = super().__new__(cls, value)
        made.new, made.notice = new, notice
        return made


@dataclass(frozen=True, kw_only=True)
class Received:
    """A question that has been stored, and the moment at which its context is taken."""

    session_id: SessionId
    question_id: int
    text: str
    """The question as it was stored."""
    moment: AsOf
    config: Config
    """The one in force when the question came."""
    trouble: str | None = None
    """What went wrong with what was due before it is answered, in words."""
    rewritten: str | None = None
    """What recall looks for instead of the question as asked."""
    rewriting: str | None = None
    """What it took to have the question rewritten, as the turn records it."""


@dataclass(frozen=True, kw_only=True)
class CheckedQuestion:
    """A question that has been checked, counted and cut, ready to be stored."""

    draft: messages.Draft
    """As it will be stored; its time is the clock's."""
    batch: messages.Batch
    notice: str | None
    """What was masked in it, in words."""


class SessionManager:
    """Sessions and messages of one lab.

    Parameters
    ----------
    cache : Cache, optional
        Taken because the guide passes one; sessions live in the lab itself.
    storage : Store
        The lab file.
    clock : callable
        Tells the time, UTC.
    ids : callable
        Makes the next session's id.
    config : InForce, optional
        The configuration in force; the one that is applied in the lab by default.
    embedders : iterable of Embedder
        The user's own, which a configuration may name.
    """

    def __init__(  # noqa: PLR0913 (the guide's arguments and the seams)
        self,
        cache: Cache | None = None,
        storage: Store | None = None,
        *,
        clock: Callable[[], datetime] = times.now,
        ids: Callable[[], str] = new_id,
        config: runs.InForce | None = None,
        embedders: Iterable[Embedder] = (),
    ) -> None:
        if storage is None:
            msg = "SessionManager needs storage: the lab's Store, such as Store.open('lab.duckdb')."
            raise ValueError(msg)
        self.cache, self._store, self.corpus = cache, storage, Corpus(embedders)
        self._clock, self._ids, self.config = clock, ids, config or runs.InForce()

    def get_or_create_session(self, session_id: str | None = None) -> SessionId:
        """Return the session of this id if it is still live, else a new one.

        Returns
        -------
        SessionId
            A str; its `.new` and `.notice` say whether and why another session began.
        """
        with self._store.write() as con:
            return self._live_or_new(con, session_id, self.config(con).session_minutes)

    def live(self, session_id: str) -> bool:
        """Return whether a session exists and has not ended."""
        return self.standing(session_id)[0]

    def standing(self, session_id: str | None) -> tuple[bool, int]:
        """Return in one step whether a session is live, and which message is the lab's newest (0 for none)."""
        with self._store.read() as con:
            live = session_id is not None and self.is_live(con, session_id, self.config(con).session_minutes)
            return live, newest_ids(con)[0]

    def is_live(self, con: "DuckDBPyConnection", session_id: str, minutes: float) -> bool:
        """Return whether a session exists and has not ended, inside a step on the lab."""
        return self._why_not(con, session_id, minutes) is None

    def add_message(  # noqa: PLR0913 (the guide's arguments and three more)
        self,
        session_id: str,
        role: Role,
        text: str,
        symbol: str | None = None,
        created_at: datetime | None = None,
        *,
        state: State = "complete",
        speaker: str | None = None,
    ) -> int:
        """Store a message; once this returns, it survives a crash.

        Parameters
        ----------
        session_id : str
            An id that `get_or_create_session` gave.
        role : {"user", "assistant"}
        text : str
            At most 200,000 characters.
        symbol : str, optional
            What the message is about if it names no symbol itself, such as "AAPL".
        created_at : datetime, optional
            The time it speaks of, with a time zone; the clock's by default.
        state : {"complete", "stopped", "cut", "refused", "failed"}
            Whether it is whole, or why not.
        speaker : str, optional
            Who said it, by name, where several analysts share a lab.

        Returns
        -------
        int
            The message's id, in order of arrival.

        Raises
        ------
        ValueError
            If an argument cannot be used; the message says which and how to mend it.

        Examples
        --------
        >>> session = lab.sessions.get_or_create_session()
        >>> lab.sessions.add_message(session, "user", "My stop on AAPL is 430.", "AAPL")
        1
        """
        draft = messages.draft(
            role, text, now=self._now(), symbol=symbol, created_at=created_at, state=state, speaker=speaker
        )
        batch = messages.prepare([draft])
        with self._store.write() as con:
            config = self.config(con)
            why_not = self._why_not(con, session_id, config.session_minutes)
            if why_not and ((role == "user" and created_at is None) or "ended" not in why_not):
                msg = f"session_id: {why_not} Get one from get_or_create_session()."
                raise ValueError(msg)
            (message_id,) = messages.write(con, [session_id], _as_given(batch, draft, guide=config.template == "guide"))
        return message_id

    def question(self, text: str, watchlist: Sequence[str] = ()) -> CheckedQuestion:
        """Make a question ready to be received, before the lab is held; see `add_message` for its symbol.

        Raises
        ------
        ValueError
            If the text or a symbol cannot be used.
        """
        draft = messages.draft("user", text, now=self._now(), symbol=next(iter(watchlist), None))
        batch = messages.prepare([draft], watchlist)
        return CheckedQuestion(draft=draft, batch=batch, notice=describe(storable(text)))

    def receive(
        self, con: "DuckDBPyConnection", config: Config, question: CheckedQuestion, session_id: str | None
    ) -> Received:
        """Store a question in its session, or in a new one when that has ended, inside the caller's transaction.

        Raises
        ------
        ValueError
            If the embedder in force cannot be used; nothing is stored.
        """
        self.corpus.embedder(config.recall.embedder)
        session = self._live_or_new(con, session_id, config.session_minutes)
        _, seen_insight = newest_ids(con)
        (question_id,) = messages.write(
            con, [session], _as_given(question.batch, question.draft, guide=config.template == "guide")
        )
        notice = " ".join(filter(None, (session.notice, question.notice))) or None
        return Received(
            session_id=SessionId(session, new=session.new, notice=notice),
            question_id=question_id,
            text=question.draft.text,
            moment=AsOf(
                at=times.aware(question.draft.created_at).astimezone(self.here(config).tzinfo),
                seen_message=question_id - 1,
                seen_insight=seen_insight,
            ),
            config=config,
        )

    def now(self) -> datetime:
        """Return the clock's time."""
        return self._clock()

    def here(self, config: Config) -> datetime:
        """Return the clock's time in the analyst's time zone; see `times.here`."""
        return times.here(self._clock, config.time_zone)

    def get_context(self, session_id: str, symbol: str | None = None) -> SessionContext:
        """Return what memory holds for the session's newest question, as of now.

        The question is the session's newest message if a user's; it does not stand in its own context.
        """
        with self._store.read() as con:
            config = self.config(con)
            seen, events = newest_ids(con)
            newest = con.execute(
                "select message_id, text from messages where session_id = ? "
                "qualify row_number() over (order by message_id desc) = 1 and role = 'user'",
                [session_id],
            ).fetchone()
            question_id, question = newest or (seen + 1, "")
            return context(
                con,
                self.corpus,
                question,
                session_id=session_id,
                symbol=symbol,
                moment=AsOf(at=self.here(config), seen_message=question_id - 1, seen_insight=events),
                config=config,
                factor=learnt_factor(con, config.model.answering, config),
            )

    def reply(self, text: str, symbol: str | None, state: State, *, guide: bool) -> messages.Batch | None:
        """Make ready a reply of any length, to be written with its turn; None of one without a word."""
        if not text.strip():
            return None
        draft = messages.reply(text, now=self._now(), symbol=symbol, state=state)
        return _as_given(messages.prepare([draft]), draft, guide=guide)

    def _live_or_new(self, con: "DuckDBPyConnection", session_id: str | None, minutes: float) -> SessionId:
        notice = continues = None
        if session_id is not None:
            notice = self._why_not(con, session_id, minutes)
            if notice is None:
                return SessionId(session_id)
            continues = session_id if "ended" in notice else None
        made, now = self._ids(), self._now()
        con.execute("insert into sessions values (?, ?, ?, 0, null, null, ?)", [made, now, now, continues])
        return SessionId(made, new=True, notice=notice and f"{notice} A new session began.")

    def _now(self) -> datetime:
        """Return the clock's time, naive UTC."""
        return times.naive(self._clock(), "clock()")

    def _why_not(self, con: "DuckDBPyConnection", session_id: str, minutes: float) -> str | None:
        """Return why a session cannot be carried on; None when it can."""
        if not isinstance(session_id, str):
            msg = f"session_id must be the text that a reply gave, or None, not {session_id!r}."
            raise ValueError(msg)  # noqa: TRY004 (every bad argument is a ValueError)
        found = con.execute("select last_at from sessions where session_id = ?", [session_id]).fetchone()
        if found is None:
            return f"Session {masked(session_id)[:40]!r} is not in this lab."
        if abs(self._now() - found[0]) > timedelta(minutes=minutes):  # what lies ahead of now keeps none alive
            return f"The session ended after {minutes:g} minutes without a message."
        return None


def _as_given(batch: messages.Batch, draft: messages.Draft, *, guide: bool) -> messages.Batch:
    """Let a message keep the symbol that was given with it where the guide's rules are in force."""
    if guide:
        batch.messages["symbol"][0] = draft.symbol or ""
    return batch

"""The chat: a transcript and an input in a notebook's output."""

import contextlib
import importlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gallump_lab.brain.answer import ModelError
from gallump_lab.brain.turns import SpendingLimit
from gallump_lab.config import Config, ConfigError
from gallump_lab.memory.context import prepare
from gallump_lab.memory.packing import TIERS
from gallump_lab.memory.records import Overrides
from gallump_lab.reading.symbols import SymbolError, split_symbols, validate_symbols
from gallump_lab.secrets import masked
from gallump_lab.store import StoreError
from gallump_lab.tokens import OFFLINE
from gallump_lab.ui.entries import entry, file_name, page, sessions, words
from gallump_lab.ui.inspector import carried, preview, source
from gallump_lab.ui.markdown import visible
from gallump_lab.ui.running import NEW, Running
from gallump_lab.ui.widget import Widget, joined

if TYPE_CHECKING:
    from gallump_lab.lab import Lab

HISTORY = 100
"""How many messages a view shows when it is drawn, the newest, and how many more it loads at a time."""
REPAINTS = 20
"""How often a second a growing reply is painted at most; the notebook's channel drops floods."""
REST = 4
"""A repaint's pause is at least so many times as long as it took: a long table is rendered anew each time."""

COMING = "A reply is still coming: stop it or wait for it."


class ReplyComing(RuntimeError):
    """Something was asked of the chat that has to wait until the reply under way has ended."""


class ChatWidget(Widget):
    """The chat of a lab: transcript, watchlist and input, to be shown as a cell's output.

    The front end keeps nothing. Each view asks for the history when it is drawn, and everything travels as custom
    messages, never as synced state, so no word of a conversation is saved into the notebook,
    unless `static` asks for it.

    Parameters
    ----------
    lab : Lab
        Where questions go and where the transcript comes from.
    watchlist : iterable of str, or str with commas, optional
        Symbols at the start; the reader can change them. The first is the symbol of the messages.
    session_id : str, optional
        The session to carry on; without it the lab's newest session, if that has not ended.
        The chat says so where the lab does not know it.
    static : bool
        Whether the cell's output also holds the transcript as it stands, escaped, for readers without the chat's front
        end (nbconvert, GitHub). It is then saved into the notebook; without it no word of a conversation is.

    Attributes
    ----------
    session_id : str or None
        The session that the next question carries on; None before the first.
    shown : str or None
        The session that is shown alone; None for the transcript of the whole lab.
    watchlist : tuple of str
        The symbols as they stand in the chat.
    error : Exception or None
        What failed last; None since a question went well: `raise chat.error` shows where.

    Raises
    ------
    SymbolError
        If the watchlist holds what is not a symbol.
    """

    _esm = joined("parts.js", "entries.js", "inspector.js", "chat.js")
    _css = joined("chat.css", "inspector.css")

    def __init__(
        self, lab: "Lab", watchlist: str | Iterable[str] = (), session_id: str | None = None, *, static: bool = False
    ) -> None:
        self.lab, self._saved = lab, static
        self.shown: str | None = None
        self.session_id = session_id or _newest_live(lab)
        self._notice = ""
        known = session_id is None or _live(lab, session_id) or lab.transcript(limit=1, session_id=session_id)
        if not known:
            self.session_id = None
            self._notice = f"Session {session_id!r} is not in this lab. Your next question begins a new one."
        self.watchlist = _symbols(watchlist)
        self.error: Exception | None = None
        self._turn: Running | None = None
        self._views: set[str] = set()
        self._listed: dict[str, dict[str, Any]] = {}
        # Held while the state changes and while it is told, so that a new view sees each step either in its history
        # or after it, never twice.
        self._lock = threading.Lock()
        super().__init__(self._receive)

    def __repr__(self) -> str:
        return f"<ChatWidget session={self.session_id!r}>"

    def _static(self) -> str | None:
        if not self._saved:
            return None
        rows = self.lab.transcript(limit=HISTORY, session_id=self.session_id) if self.session_id else []
        return page([entry(row) for row in rows])

    def _receive(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        """Take a view's message."""
        match content:
            case {"type": "ready", "view": view} if view not in self._views:
                self._views.add(view)
                self._start(self._tell_history, view)
            case {"type": "watchlist", "text": text, "view": view}:
                self._watch(text, view)
            case {"type": "ask", "text": text, "watchlist": watchlist, "view": view}:
                if self._watch(watchlist, view):
                    overrides = Overrides(pinned=content.get("pinned", ()), excluded=content.get("excluded", ()))
                    self._begin(Running(view, text, symbol=next(iter(self.watchlist), None), overrides=overrides))
            case {"type": "retry", "question": question_id, "view": view}:
                self._begin(Running(view, "", question_id=question_id))
            case {"type": "stop"}:
                if turn := self._turn:
                    turn.stop.set()
            case {"view": view}:
                self._do(view, lambda: self._serve(**content))

    def _serve(self, type: str, **content: Any) -> None:  # noqa: A002 (as views call it)
        """Do what a view asks for that takes its time."""
        served: dict[str, Callable[..., None]] = {
            "earlier": self._tell_earlier,
            "sync": self._tell_fresh,
            "sessions": self._tell_sessions,
            "show": lambda view, session: self._show(view, session, session or _newest_live(self.lab)),
            "new": lambda view: self._show(view, None, None, "Your next question begins a new session."),
            "export": self._export,
            "forget": self._forget,
            "decide": self._decide,
            "preview": self._preview,
            "context": lambda view, message: self._inspected(view, carried(self.lab, message), of=message),
            "source": lambda view, **item: self.send({"type": "source", "view": view, **source(self.lab, **item)}),
            "budget": self._apply,
        }
        served[type](**content)

    def _start(self, action: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=action, args=arguments, name="gallump-chat", daemon=True).start()

    def _do(self, view: str, action: Callable[[], None]) -> None:
        """Do something on a thread of its own, and tell the view that asked for it if it fails."""

        def attempt() -> None:
            try:
                action()
            except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
                self.error = error
                self.send({"type": "trouble", "view": view, "words": words(error)})

        self._start(attempt)

    def _refuse(self, view: str, said: str) -> None:
        self.send({"type": "refused", "view": view, "words": said})

    def _watch(self, text: str, view: str) -> bool:
        try:
            self.watchlist = _symbols(text)
        except SymbolError as error:
            self._refuse(view, f"Watchlist: {error}")
            return False
        self.send({"type": "watchlist", "view": view, "text": ", ".join(self.watchlist)})
        return True

    def _tell_history(self, view: str | None, by: str | None = None) -> None:
        """Return what there is to show: to a view that has just been drawn, or to all, once one of them changed it."""
        with self._lock:
            try:
                content = self._history()
            except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
                self.error = error
                content = {"fault": words(error), "offline": True}
            self.send({"type": "history", "view": view, "by": by, **content})
        # What the first question needs takes seconds to load; meanwhile the reader types it.
        for package in ("pandas",) if content["offline"] else ("pandas", "anthropic"):
            importlib.import_module(package)
        with contextlib.suppress(StoreError, ConfigError):  # told with the question
            prepare(self.lab.sessions.corpus, self.lab.store, self.lab.config.recall.embedder)

    def _history(self) -> dict[str, Any]:
        config, turn = self.lab.config, self._turn
        rows = self.lab.transcript(limit=HISTORY, session_id=self.shown)
        return {
            "entries": [entry(row) for row in (turn.without(rows) if turn else rows)],
            "running": turn and turn.told(),
            "earlier": len(rows) == HISTORY,
            "place": self._place(),
            "notice": self._notice,
            "watchlist": ", ".join(self.watchlist),
            "minutes": config.session_minutes,
            "budget": {tier: getattr(config.budget, tier) for tier in TIERS},
            "spending": self._spending(config),
            "offline": config.model.answering == OFFLINE,
        }

    def _spending(self, config: Config) -> dict[str, float] | None:
        """Return what the day's replies cost and may cost, USD, where a limit is set."""
        limit = config.model.max_usd_per_day
        return None if limit is None else {"spent": self.lab.spent_today, "limit": limit}

    def _tell_fresh(self, view: str, newest: int) -> None:
        """Tell a view what another notebook has added to the lab meanwhile."""
        with self._lock:
            if self._turn:
                return
            rows = self.lab.transcript(limit=HISTORY, session_id=self.shown)
            found = [entry(row) for row in rows if row["message_id"] > newest]
            if 0 < len(found) < HISTORY:
                self.send({"type": "fresh", "view": view, "entries": found})
        if len(found) == HISTORY:  # there may be more of them
            self._tell_history(None)

    def _preview(self, view: str, serial: int, **asked: Any) -> None:
        self._inspected(view, preview(self.lab, self.session_id, **asked), serial=serial)

    def _inspected(self, view: str, found: Mapping[str, Any], *, of: int | None = None, serial: int = 0) -> None:
        self.send({"type": "inspected", "view": view, "of": of, "serial": serial, **found})

    def _apply(self, view: str, budget: Mapping[str, int]) -> None:
        """Put budgets in force for the questions to come."""
        config = self.lab.config
        self.lab.apply(replace(config, budget=replace(config.budget, **budget)))
        self.send({"type": "applied", "by": view, "budget": dict(budget)})

    def _tell_earlier(self, view: str, before: int) -> None:
        rows = self.lab.transcript(limit=HISTORY, before=before, session_id=self.shown)
        entries = [entry(row) for row in rows]
        self.send({"type": "earlier", "view": view, "entries": entries, "earlier": len(rows) == HISTORY})

    def _tell_sessions(self, view: str, search: str) -> None:
        self.send({"type": "sessions", "view": view, "search": search, "sessions": self._list(search)})

    def _list(self, search: str) -> list[dict[str, Any]]:
        found = sessions(self.lab.history(search))
        self._listed |= {row["id"]: row for row in found}
        return found

    def _place(self) -> dict[str, Any] | None:
        """Return the session that is shown alone."""
        if self.shown is None:
            return None
        if self.shown not in self._listed:
            self._list("")
        return {"title": "", **self._listed.get(self.shown, {}), "live": _live(self.lab, self.shown)}

    def _show(self, view: str, shown: str | None, session_id: str | None, notice: str = "") -> None:
        """Show one session alone, or all of them; the next question goes where the reader looks."""
        with self._lock:
            if self._turn:
                raise ReplyComing(COMING)
            self.shown, self.session_id, self._notice = shown, session_id, notice
        self._tell_history(None, by=view)

    def _export(self, view: str, session: str) -> None:
        text, title = visible(self.lab.export(session)), self._listed.get(session, {}).get("title", "")
        self.send({"type": "exported", "view": view, "name": file_name(title), "text": text})

    def _forget(self, view: str, message: int | None, session: str | None) -> None:
        with self._lock:
            if self._turn:
                raise ReplyComing(COMING)
            self.lab.forget(message_id=message, session_id=session)
            self._listed.clear()
            gone = session is not None
            if gone and session == self.session_id:
                self.session_id = None
            if not (gone and session == self.shown):
                self.send({"type": "forgotten", "message": message, "session": session})
                return
        self._show(view, None, _newest_live(self.lab))

    def _decide(self, view: str, message: int, position: int, verdict: Any, note: str) -> None:
        """Record a decision, and tell every view, as the lab holds it."""
        (row,) = self._message(message)
        self.lab.decide(row["turn"]["turn_id"], position, verdict, note)
        (row,) = self._message(message)
        idea = entry(row)["turn"]["ideas"][position]
        self.send({"type": "decided", "by": view, "message": message, "position": position, "idea": idea})

    def _begin(self, turn: "Running") -> None:
        with self._lock:
            if self._turn:
                self._refuse(turn.view, f"{COMING} Your text stays here.")
                return
            self._turn, self._notice = turn, ""
        self._start(self._converse, turn)
        self._start(self._paint, turn)

    def _converse(self, turn: "Running") -> None:
        """Put the question, and tell how it ended: every way ends in entries that the reader sees."""
        reply, self.error = None, None
        more: dict[str, Any] = {}
        try:
            with self._lock:
                live, turn.after = self.lab.sessions.standing(self.session_id)
                if turn.question_id is None:
                    turn.session = self.session_id if live else NEW
                else:
                    (asked,) = self._message(turn.question_id)
                    turn.text, turn.session = asked["text"], asked["session_id"]
                self.send({"type": "started", "view": turn.view, **turn.told()})
            try:
                reply = turn.put(self.lab, self.watchlist, self.session_id)
            except ModelError as fault:
                self.error, reply = fault, fault.reply
            ids = [each for each in (reply.question_id, reply.reply_id) if each is not None]
            # As the lab stored them, so that a reopened chat shows the same.
            entries = [entry(row) for each in ids for row in self._message(each)]
            more = {"spending": self._spending(self.lab.config)}
        except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
            self.error = error
            entries = [{**self._unanswered(turn), "fault": words(error)}]
            if isinstance(error, SpendingLimit):  # another notebook's replies may have reached it
                more = {"spending": {"spent": error.spent, "limit": error.limit}}
        turn.over.set()
        turn.fresh.set()
        with self._lock:
            self._turn = None
            stored = "id" in entries[0]
            if stored:
                self.session_id = entries[0]["session"]
                self.shown = self.shown and self.session_id
            self.send(
                {
                    "type": "done",
                    "view": turn.view,
                    "entries": entries,
                    "place": self._place(),
                    "notice": (reply and reply.notice) or "",
                    # What was not stored goes back to where it was typed.
                    "restore": "" if stored else masked(turn.text),
                    **more,
                }
            )

    def _message(self, message_id: int) -> list[dict[str, Any]]:
        return self.lab.transcript(limit=1, before=message_id + 1)

    def _unanswered(self, turn: "Running") -> dict[str, Any]:
        """Return the question of a turn that failed: as the lab holds it, or as it was typed where the lab does not."""
        try:
            rows = self.lab.transcript(limit=HISTORY)
        except StoreError:  # the reader is told of the turn's own failure
            rows = []
        return next((entry(row) for row in rows if turn.asked(row)), turn.question() | {"session": None})

    def _paint(self, turn: "Running") -> None:
        while turn.fresh.wait() and not turn.over.is_set():
            turn.fresh.clear()
            begun = time.perf_counter()
            with self._lock:
                if self._turn is turn:
                    self.send({"type": "grown", **turn.grow()})
            turn.over.wait(max(1 / REPAINTS, REST * (time.perf_counter() - begun)))


def _symbols(given: str | Iterable[str]) -> tuple[str, ...]:
    return split_symbols(given) if isinstance(given, str) else validate_symbols(given)


def _live(lab: "Lab", session_id: str | None) -> bool:
    return session_id is not None and lab.sessions.live(session_id)


def _newest_live(lab: "Lab") -> str | None:
    newest = next((row["session_id"] for row in lab.transcript(limit=1)), None)
    return newest if _live(lab, newest) else None

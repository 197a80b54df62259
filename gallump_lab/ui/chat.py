"""The chat: a transcript and an input in a notebook's output."""

import importlib
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget

from gallump_lab.brain.brain import Brain
from gallump_lab.brain.faults import BrainFault
from gallump_lab.brain.recommendations import prose
from gallump_lab.brain.records import Recommendation
from gallump_lab.market.symbols import SymbolError, validate_symbol
from gallump_lab.ui.markdown import Growing, render, visible

if TYPE_CHECKING:
    from gallump_lab.lab import Lab

HISTORY = 100
"""How many messages a view shows when it is drawn, the newest of the lab."""
REPAINTS = 20
"""How often a second a growing reply is painted at most; the notebook's channel drops floods."""

NEW = "new"
"""Stands for the session that a question is about to begin."""


class ChatWidget(anywidget.AnyWidget):
    """The chat of a lab: transcript, watchlist and input, to be shown as a cell's output.

    The front end keeps nothing. Each view asks for the history when it is drawn, and everything travels as custom
    messages, never as synced state, so no word of a conversation is saved into the notebook.

    Parameters
    ----------
    lab : Lab
        Where questions go and where the transcript comes from.
    watchlist : iterable of str, or str with commas, optional
        Symbols at the start; the reader can change them. The first is the symbol of the messages.
    session_id : str, optional
        The session to carry on; without it the lab's newest session, if that has not ended.

    Attributes
    ----------
    session_id : str or None
        The session that the next question carries on; None before the first.
    watchlist : tuple of str
        The symbols as they stand in the chat.
    error : Exception or None
        What failed last; None since a question went well: `raise chat.error` shows where.

    Raises
    ------
    SymbolError
        If the watchlist holds what is not a symbol.
    """

    _esm = Path(__file__).with_name("chat.js")
    _css = Path(__file__).with_name("chat.css")

    def __init__(self, lab: "Lab", watchlist: str | Iterable[str] = (), session_id: str | None = None) -> None:
        self.lab = lab
        self.session_id = session_id or _newest_live(lab)
        self.watchlist = _symbols(watchlist)
        self.error: Exception | None = None
        self._turn: _Turn | None = None
        self._views: set[str] = set()
        # Held while the state changes and while it is told, so that a new view sees each step either in its history
        # or after it, never twice.
        self._lock = threading.Lock()
        super().__init__()
        # ipykernel 7.4 sends a view's messages to the shell that published last on the comm, so they would wait behind
        # a running cell. They belong where JupyterLab addresses them: on the widgets' own subshell.
        self.comm._reply_subshell_for = None  # noqa: SLF001
        self.on_msg(self._receive)

    def __repr__(self) -> str:
        return f"<ChatWidget session={self.session_id!r}>"

    def _receive(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        """Take a view's message; it must return at once, for the kernel waits."""
        match content:
            case {"type": "ready", "view": view} if view not in self._views:
                self._views.add(view)
                self._start(self._tell_history, view)
            case {"type": "watchlist", "text": text, "view": view}:
                self._watch(text, view)
            case {"type": "ask", "text": text, "watchlist": watchlist, "view": view}:
                self._ask(text, watchlist, view)
            case {"type": "stop"}:
                if turn := self._turn:
                    turn.stop.set()

    def _start(self, action: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=action, args=arguments, name="gallump-chat", daemon=True).start()

    def _refuse(self, view: str, words: str) -> None:
        self.send({"type": "refused", "view": view, "words": words})

    def _watch(self, text: str, view: str) -> bool:
        try:
            self.watchlist = _symbols(text)
        except SymbolError as error:
            self._refuse(view, f"Watchlist: {error}")
            return False
        self.send({"type": "watchlist", "view": view, "text": ", ".join(self.watchlist)})
        return True

    def _tell_history(self, view: str) -> None:
        with self._lock:
            try:
                content = self._history()
            except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
                self.error = error
                content = {"fault": _words(error), "offline": True}
            self.send({"type": "history", "view": view, **content})
        # What the first question needs takes seconds to load; meanwhile the reader types it.
        for package in ("pandas",) if content["offline"] else ("pandas", "anthropic"):
            importlib.import_module(package)

    def _history(self) -> dict[str, Any]:
        config, turn = self.lab.config, self._turn
        rows = self.lab.transcript(limit=HISTORY)
        return {
            "entries": [_entry(row) for row in (turn.without(rows) if turn else rows)],
            "running": turn and turn.told(),
            "earlier": len(rows) == HISTORY,
            "watchlist": ", ".join(self.watchlist),
            "minutes": config.session_minutes,
            "offline": Brain(model=config.model).offline,
        }

    def _ask(self, text: str, watchlist: str, view: str) -> None:
        if not self._watch(watchlist, view):
            return
        with self._lock:
            if self._turn:
                self._refuse(view, "A reply is still coming: stop it or wait for it. Your text stays here.")
                return
            self._turn = turn = _Turn(text, next(iter(self.watchlist), None), view)
        self._start(self._converse, turn)
        self._start(self._paint, turn)

    def _converse(self, turn: "_Turn") -> None:
        """Put the question, and tell how it ended: every way ends in entries that the reader sees."""
        reply, self.error = None, None
        try:
            with self._lock:
                turn.session = self.session_id if _live(self.lab, self.session_id) else NEW
                turn.after = max((row["message_id"] for row in self.lab.transcript(limit=1)), default=0)
                self.send({"type": "started", "view": turn.view, **turn.told()})
            try:
                reply = self.lab.ask(
                    turn.text,
                    watchlist=self.watchlist,
                    session_id=self.session_id,
                    on_text=turn.take,
                    stop=turn.stop,
                )
            except BrainFault as fault:
                self.error, reply = fault, fault.reply
            entries = self._stored(reply)
        except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
            self.error = error
            entries = [turn.question() | {"session": None, "fault": _words(error)}]
        turn.over.set()
        turn.fresh.set()
        with self._lock:
            self._turn = None
            self.session_id = str(reply.session_id) if reply else self.session_id
            # What was not stored goes back to where it was typed.
            self.send({"type": "done", "view": turn.view, "entries": entries, "restore": "" if reply else turn.text})

    def _stored(self, reply: Any) -> list[dict[str, Any]]:
        """Give a turn's question and reply as the lab holds them, so that a reopened chat shows the same."""
        ids = [each for each in (reply.question_id, reply.reply_id) if each is not None]
        return [_entry(row) for each in ids for row in self.lab.transcript(limit=1, before=each + 1)]

    def _paint(self, turn: "_Turn") -> None:
        while turn.fresh.wait() and not turn.over.is_set():
            turn.fresh.clear()
            with self._lock:
                if self._turn is turn:
                    self.send({"type": "grown", **turn.grow()})
            turn.over.wait(1 / REPAINTS)


class _Turn:
    """A question under way: what has come of its reply, and the signals between its threads."""

    def __init__(self, text: str, symbol: str | None, view: str) -> None:
        self.text, self.symbol, self.view = text, symbol, view
        self.session: str | None = NEW
        self.after: float = math.inf
        self.stop = threading.Event()
        self.fresh = threading.Event()
        self.over = threading.Event()
        self._deltas: deque[str] = deque()
        self._reply = Growing()

    def take(self, delta: str) -> None:
        """Take a piece of the reply, on the asking thread."""
        self._deltas.append(delta)
        self.fresh.set()

    def grow(self) -> dict[str, str]:
        """Render what has come since; give the finished blocks that are new, and the open one."""
        gained = self._reply.add("".join(self._deltas.popleft() for _ in range(len(self._deltas))))
        return {"settled": gained, "open": self._reply.open}

    def question(self) -> dict[str, Any]:
        """Give the question as an entry, before the lab has stored it."""
        return {"role": "user", "text": visible(self.text), "symbol": self.symbol, "session": self.session}

    def told(self) -> dict[str, Any]:
        """Give the question and all that has been painted of its reply."""
        return {"question": self.question(), "settled": self._reply.settled, "open": self._reply.open}

    def without(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Leave out what the lab has already stored of this turn: its question, and what followed in its session."""
        for row in rows:
            if row["message_id"] > self.after and row["role"] == "user" and row["text"].strip() == self.text.strip():
                first, session = row["message_id"], row["session_id"]
                return [each for each in rows if each["message_id"] < first or each["session_id"] != session]
        return list(rows)


def _symbols(given: str | Iterable[str]) -> tuple[str, ...]:
    symbols = given.replace(",", " ").split() if isinstance(given, str) else given
    return tuple(dict.fromkeys(map(validate_symbol, symbols)))


def _live(lab: "Lab", session_id: str | None) -> bool:
    return session_id is not None and lab.sessions.live(session_id)


def _newest_live(lab: "Lab") -> str | None:
    newest = next((row["session_id"] for row in lab.transcript(limit=1)), None)
    return newest if _live(lab, newest) else None


def _words(error: Exception) -> str:
    """Say a failure: an error made for the reader speaks for itself, any other is named."""
    made_for_reader = isinstance(error, ValueError) or type(error).__module__.startswith("gallump_lab.")
    return str(error) if made_for_reader and str(error) else f"{type(error).__name__}: {error}"


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a message of the lab into what the front end shows: plain text, or HTML that is sanitised."""
    turn, reply, text = row["turn"], row["role"] == "assistant", row["text"]
    if turn:  # a table shows the recommendations, so not also the words that they are remembered by
        text = text.removesuffix(prose(Recommendation(**each) for each in turn["recommendations"]))
    shown = {"html": render(text)} if reply else {"text": visible(text)}
    return {
        "role": row["role"],
        "session": row["session_id"],
        "at": row["created_at"].isoformat(),
        "symbol": row["symbol"],
        "state": turn["state"] if turn and not reply else row["state"],
        "turn": turn and _facts(turn),
        **shown,
    }


def _facts(turn: Mapping[str, Any]) -> dict[str, Any]:
    """Choose what the line under a reply tells."""
    used, budget = turn["used"], turn["budget"]
    return {
        "model": turn["model"],
        "tokens_in": turn["input_tokens"],
        "tokens_out": turn["output_tokens"],
        "cost": turn["cost_usd"],
        "seconds": turn["latency"],
        "tiers": [[tier.upper(), used[tier], budget[tier]] for tier in ("hot", "warm", "cold")],
        "fault": turn["fault"],
        "dropped": turn["dropped"],
        "recommendations": turn["recommendations"],
    }

"""The chat: a transcript and an input in a notebook's output."""

import importlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gallump_lab.brain.answer import ModelError, Recommendation
from gallump_lab.brain.claude import models
from gallump_lab.config import Config, ConfigError
from gallump_lab.masking import masked
from gallump_lab.memory.context import prepare
from gallump_lab.memory.records import TIERS, Overrides
from gallump_lab.memory.text import shared, terms
from gallump_lab.reading.shown import visible
from gallump_lab.reading.symbols import SymbolError, split_symbols, validate_symbols
from gallump_lab.store import StoreError
from gallump_lab.tokens import OFFLINE
from gallump_lab.ui.answering import who
from gallump_lab.ui.inspector import Inspecting, carried
from gallump_lab.ui.running_turn import NEW, RunningTurn
from gallump_lab.ui.strip import Strip, asked
from gallump_lab.ui.widget import drawing, entry, file_name, joined, page, parts, plain, records, words

if TYPE_CHECKING:
    from gallump_lab.lab import Lab

HISTORY = 100
"""How many messages a view shows when it is drawn, the newest, and how many more it loads at a time."""
REPAINTS = 20
"""How often a second a growing reply is painted at most; the notebook's channel drops floods."""
REST = 4
"""A repaint's pause is at least so many times as long as it took: a long table is rendered anew each time."""
COMING = "A reply is still coming: stop it or wait for it."


class ChatWidget(Inspecting):
    """The chat of a lab: transcript, watchlist and input, to be shown as a cell's output.

    The front end keeps nothing. Each view asks for the history when it is drawn, and everything travels as custom
    messages, never as synced state, so no word of a conversation is saved into the notebook,
    unless `static` asks for it.

    Parameters
    ----------
    lab : Lab
        Where questions go and where the transcript comes from.
    watchlist : iterable of str, or str with commas, optional
        Symbols at the start; the reader can change them. The first is that of
        messages that name none.
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
        The session that is shown alone, "new" before it begins; None for the transcript of the whole lab.
    watchlist : tuple of str
        The symbols as they stand in the chat.
    error : Exception or None
        What failed last; None since a question went well: `raise chat.error` shows where.

    Raises
    ------
    SymbolError
        If the watchlist holds what is not a symbol.

    Examples
    --------
    >>> lab.chat(watchlist=["AAPL", "MSFT"])
    <ChatWidget session=None>
    """

    _esm = joined("parts.js", "strip.js", "entries.js", "box.js", "inspector.js", "chat.js")
    _css = joined("chat.css", "strip.css", "inspector.css")
    _at_once = frozenset({"ask", "retry", "stop", "watchlist"})

    def __init__(
        self, lab: "Lab", watchlist: str | Iterable[str] = (), session_id: str | None = None, *, static: bool = False
    ) -> None:
        self.lab, self._saved = lab, static
        self.shown: str | None = None
        self.session_id = session_id or self._newest_live()
        self._notice = ""
        self._listed: tuple[str, ...] | None = None  # the server's models, once it was asked
        if session_id and not (lab.sessions.live(session_id) or lab.transcript(limit=1, session_id=session_id)):
            self.session_id = None
            self._notice = f"Session {session_id!r} is not in this lab. Your next question begins a new one."
        self.watchlist, self._prices = _symbols(watchlist), Strip()
        self._turn: RunningTurn | None = None
        # Held while the state changes and while it is told, so that a new view sees each step either in its history
        # or after it, never twice.
        self._lock = threading.Lock()
        super().__init__()

    def __repr__(self) -> str:
        return f"<ChatWidget session={self.session_id!r}>"

    def _static(self) -> str:
        if not self._saved:
            return super()._static()
        rows = self.lab.transcript(limit=HISTORY, session_id=self.session_id) if self.session_id else []
        return page([entry(row) for row in rows])

    def _newest_live(self) -> str | None:
        newest = next((row["session_id"] for row in self.lab.transcript(limit=1)), None)
        return newest if newest and self.lab.sessions.live(newest) else None

    def _on_ready(self, view: str) -> None:
        self._tell_history(view)
        self._run(self._ask_market)
        # What the first question needs takes seconds to load; meanwhile the reader types it.
        with suppress(StoreError, ConfigError):  # told with the question
            for package in ("pandas",) if self.lab.config.model.answering == OFFLINE else ("pandas", "anthropic"):
                importlib.import_module(package)
            config = self.lab.config
            prepare(self.lab.sessions.corpus, self.lab.store, config.recall.embedder)
            if self._listed is None and config.model.answering != OFFLINE and not config.model.own_server:
                self._listed = models(config.model)
                self._tell_who()

    def _tell_history(self, view: str | None, by: str | None = None) -> None:
        """Send what there is to show: a view that has just been drawn, or all, once one of them changed it."""
        with self._lock:
            try:
                content = self._history()
            except Exception as error:  # noqa: BLE001 - a view that has no history yet takes no other message
                self.error = error
                content = {"fault": words(error)}
            self.send({"type": "history", "view": view, "by": by, **content})

    def _history(self) -> dict[str, Any]:
        config, turn = self.lab.config, self._turn
        rows = self._shown()
        return {
            # What the lab has stored of the turn under way is part of `running`.
            "entries": [entry(row) for row in rows if turn is None or row["message_id"] <= turn.after],
            "running": turn and turn.describe(),
            "earlier": len(rows) == HISTORY,
            "place": self._place(),
            "first": len(self._views) == 1,
            "known": bool(rows or self.lab.transcript(limit=1)),
            "notice": self._notice,
            "watchlist": ", ".join(self.watchlist),
            "prices": self._strip(),
            "minutes": config.session_minutes,
            "budget": {tier: getattr(config.budget, tier) for tier in TIERS},
            **self._told(config),
        }

    def _who(self, config: Config) -> dict[str, Any] | None:
        return plain(who(config.model, self._listed or ()))  # type: ignore[no-any-return]

    def _tell_who(self, by: str | None = None, **chosen: Any) -> None:
        """Tell every view who answers, once what a reader chose is in force; a question that follows waits for it."""
        with self._lock:
            config = self.lab.config
            if chosen:
                config = replace(config, model=replace(config.model, **chosen))
                self.lab.apply(config)
            self.send({"type": "applied", "by": by, "who": self._who(config)})

    def _strip(self) -> dict[str, Any]:
        found: dict[str, Any] = plain(self._prices.describe(self.watchlist, self.lab.now))
        return found

    def _on_prices(self, view: str, ask: bool) -> None:  # noqa: FBT001 (as views call it)
        """Tell how old the watchlist's prices are by now, or ask the market for them."""
        if ask:
            self._ask_market(view)
        else:
            with self._lock:
                self.send({"type": "prices", "by": None, "prices": self._strip()})

    def _ask_market(self, by: str | None = None) -> None:
        """Ask for the watchlist's prices, which may take a while, and tell every view."""
        for found in asked(self.lab, self.watchlist):
            with self._lock:
                self._prices.learn(found)
                self.send({"type": "prices", "by": by, "prices": self._strip()})

    def _told(self, config: Config) -> dict[str, Any]:
        """Return what the header tells: what was spent and may be, USD, unless nothing ever costs; and who answers."""
        spent, limit = self.lab.spent, config.model.max_usd_per_day
        shown = spent.ever or config.model.answering != OFFLINE
        return {"spending": {**spent._asdict(), "limit": limit} if shown else None, "who": self._who(config)}

    def _place(self) -> dict[str, Any] | None:
        """Return the session that is shown alone."""
        return {**self._session(self.shown), "live": self.lab.sessions.live(self.shown)} if self.shown else None

    def _session(self, session_id: str) -> dict[str, Any]:
        return next((row for row in self._sessions() if row["session_id"] == session_id), {"title": "New session"})

    def _sessions(self, search: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = plain(records(self.lab.history(search)))
        about = terms(search)
        return [
            {**row, "found": parts(said, shared(said, about))} if (said := row.get("found")) else row for row in found
        ]

    def _on_sync(self, view: str, newest: int) -> None:
        """Send what another notebook has added to the lab meanwhile, and spent."""
        with self._lock:
            if self._turn:
                return
            found = [entry(row) for row in self._shown() if row["message_id"] > newest]
            if len(found) < HISTORY:
                self.send({"type": "fresh", "view": view, "entries": found, **self._told(self.lab.config)})
        if len(found) == HISTORY:  # there may be more of them
            self._tell_history(None)

    def _shown(self) -> list[dict[str, Any]]:
        return self.lab.transcript(limit=HISTORY, session_id=self.shown)

    def _on_earlier(self, view: str, before: int) -> None:
        rows = self.lab.transcript(limit=HISTORY, before=before, session_id=self.shown)
        entries = [entry(row) for row in rows]
        self.send({"type": "earlier", "view": view, "entries": entries, "earlier": len(rows) == HISTORY})

    def _on_sessions(self, view: str, search: str) -> None:
        self.send({"type": "sessions", "view": view, "search": search, "sessions": self._sessions(search)})

    def _on_show(self, view: str, session: str | None) -> None:
        self._show(view, session, session or self._newest_live())

    def _on_new(self, view: str) -> None:
        self._show(view, NEW, None, "Your next question begins a new session.")

    def _show(self, view: str, shown: str | None, session_id: str | None, notice: str = "") -> None:
        """Show one session alone, or all of them; the next question goes where the reader looks."""
        with self._lock:
            if self._turn:
                raise ValueError(COMING)
            self.shown, self.session_id, self._notice = shown, session_id, notice
        self._tell_history(None, by=view)

    def _on_context(self, view: str, message: int) -> None:
        self.send({"type": "inspected", "view": view, "of": message, "serial": 0, **carried(self.lab, message)})

    def _on_watchlist(self, view: str, text: str) -> bool:
        before = self.watchlist
        try:
            self.watchlist = _symbols(text)
        except SymbolError as error:
            self._refuse(view, f"Watchlist: {error}")
            return False
        self.send({"type": "watchlist", "view": view, "text": ", ".join(self.watchlist), "prices": self._strip()})
        if self.watchlist != before:
            self._run(self._ask_market)
        return True

    def _refuse(self, view: str, said: str) -> None:
        self.send({"type": "refused", "view": view, "words": said})

    def _on_budget(self, view: str, budget: Mapping[str, int]) -> None:
        """Put budgets in force for the questions to come."""
        config = self.lab.config
        self.lab.apply(replace(config, budget=replace(config.budget, **budget)))
        self.send({"type": "applied", "by": view, "budget": dict(budget)})

    def _on_choose(self, view: str, name: str, effort: Any) -> None:
        """Ask another model from now on, or with another effort."""
        self._tell_who(view, name=name, effort=effort)

    def _on_export(self, view: str, session: str) -> None:
        text, name = visible(self.lab.export(session)), file_name(self._session(session)["title"] or "")
        self.send({"type": "exported", "view": view, "name": name, "text": text})

    def _on_forget(self, view: str, message: int | None, session: str | None) -> None:
        with self._lock:
            if self._turn:
                raise ValueError(COMING)
            citing = {row["message_id"] for row in self._shown() if row["turn"] and row["turn"]["citations"]}
            self.lab.forget(message_id=message, session_id=session)
            if session and session == self.session_id:
                self.session_id = None
            if not session or session != self.shown:
                entries = [entry(row) for row in self._shown() if row["message_id"] in citing]
                self.send({"type": "forgotten", "message": message, "session": session, "entries": entries})
                return
        self._show(view, None, self._newest_live())

    def _on_decide(self, view: str, message: int, position: int, verdict: Any, note: str) -> None:
        """Record a decision, and tell every view, as the lab holds it."""
        (row,) = self._message(message)
        self.lab.decide(row["turn"]["turn_id"], position, verdict, note)
        (row,) = self._message(message)
        idea = entry(row)["turn"]["recommendations"][position]
        self.send({"type": "decided", "by": view, "message": message, "position": position, "idea": idea})

    def _on_chart(self, view: str, place: Sequence[int], embed: bool) -> None:  # noqa: FBT001 (a message's field)
        """Draw a recommendation's symbol; what draws in the browser goes along where its page has not got it."""
        message, position = place
        (row,) = self._message(message)
        idea = Recommendation(**row["turn"]["recommendations"][position])
        picture = self.lab.chart(idea.symbol, idea=idea)
        drawn = {"words": picture.words, "spec": plain(picture.chart.to_dict()), "source": drawing() if embed else None}
        self.send({"type": "chart", "view": view, "place": place, **drawn})

    def _message(self, message_id: int) -> list[dict[str, Any]]:
        return self.lab.transcript(limit=1, before=message_id + 1)

    def _on_ask(self, view: str, text: str, watchlist: str, **chosen: Any) -> None:
        if self._on_watchlist(view, watchlist):
            symbol = next(iter(self.watchlist), None)
            self._begin(RunningTurn(view, text, symbol=symbol, overrides=Overrides(**chosen)))

    def _on_retry(self, view: str, question: int, how: Mapping[str, Any] | None = None) -> None:
        self._begin(RunningTurn(view, "", question_id=question, how=how))

    def _on_stop(self, _view: str) -> None:
        if turn := self._turn:
            turn.stop.set()

    def _begin(self, turn: RunningTurn) -> None:
        with self._lock:
            if self._turn:
                self._refuse(turn.view, f"{COMING} Your text stays here.")
                return
            self._turn, self._notice = turn, ""
        self._run(lambda: self._converse(turn))
        self._run(lambda: self._paint(turn))

    def _converse(self, turn: RunningTurn) -> None:
        """Put the question, and tell how it ended: every way ends in entries that the reader sees."""
        reply, self.error = None, None
        more: dict[str, Any] = {}
        try:
            with self._lock:
                live, turn.after = self.lab.sessions.standing(self.session_id)
                if turn.question_id is None:
                    turn.session = self.session_id if live else NEW
                else:
                    (row,) = self._message(turn.question_id)
                    turn.text, turn.session = row["text"], row["session_id"]
                self.send({"type": "started", "view": turn.view, **turn.describe()})
            try:
                reply = turn.put(self.lab, self.watchlist, self.session_id, lambda: self._think(turn))
            except ModelError as fault:
                self.error, reply = fault, fault.reply
            ids = [each for each in (reply.question_id, reply.reply_id) if each is not None]
            # As the lab stored them, so that a reopened chat shows the same.
            entries = [entry(row) for each in ids for row in self._message(each)]
        except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
            self.error = error
            entries = [{**self._unanswered(turn), "fault": words(error)}]
        with suppress(StoreError, ConfigError):  # the next sync tells it
            more = self._told(self.lab.config)
        turn.over.set()
        turn.fresh.set()
        with self._lock:
            self._turn = None
            if reply:
                self._prices.learn(replace(reply.prompt.market_context, problems=()))  # the reply tells of them
            stored = "message_id" in entries[0]
            if stored:
                self.session_id = entries[0]["session_id"]
                self.shown = self.shown and self.session_id
            notice, place = (reply and reply.aside) or "", self._place()
            restore = "" if stored else masked(turn.text)  # what was not stored goes back to where it was typed
            told = {"entries": entries, "place": place, "notice": notice, "restore": restore, **more}
            told["prices"] = self._strip()
            self.send({"type": "done", "view": turn.view, **told})

    def _think(self, turn: RunningTurn) -> None:
        with self._lock:
            turn.thinks_since = time.monotonic()
            self.send({"type": "thinking", "seconds": 0})

    def _unanswered(self, turn: RunningTurn) -> dict[str, Any]:
        """Return the question of a turn that failed: as the lab holds it, or as it was typed where the lab does not."""
        with suppress(StoreError):  # the reader is told of the turn's own failure
            for row in self.lab.transcript(limit=HISTORY):
                new = row["message_id"] > turn.after and row["text"].strip() == masked(turn.text).strip()
                if row["role"] == "user" and (new or row["message_id"] == turn.question_id):
                    return entry(row)
        return turn.question() | {"session_id": None}

    def _paint(self, turn: RunningTurn) -> None:
        while turn.fresh.wait() and not turn.over.is_set():
            turn.fresh.clear()
            begun = time.perf_counter()
            with self._lock:
                if self._turn is turn:
                    self.send({"type": "grown", **turn.grow()})
            turn.over.wait(max(1 / REPAINTS, REST * (time.perf_counter() - begun)))


def _symbols(given: str | Iterable[str]) -> tuple[str, ...]:
    return split_symbols(given) if isinstance(given, str) else validate_symbols(given)

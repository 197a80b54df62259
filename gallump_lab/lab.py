"""Lab: the front door. It wires the rooms; what they do is theirs."""

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gallump_lab import datasets
from gallump_lab.brain import decisions, turns
from gallump_lab.brain import transcript as transcripts
from gallump_lab.brain.conversation import Conversation, check_arguments, who_answers
from gallump_lab.brain.decisions import Verdict
from gallump_lab.brain.distilling import AutoDistiller, Distillation, distil
from gallump_lab.brain.reply import Preview, Reply
from gallump_lab.config import Config
from gallump_lab.market.broker import Broker, FileBroker
from gallump_lab.market.context import ContextBuilder
from gallump_lab.market.scanner import MarketScanner
from gallump_lab.memory import context as memory
from gallump_lab.memory import history, imports, index, labels, recall
from gallump_lab.memory.insights import Insights
from gallump_lab.memory.messages import checked_text
from gallump_lab.memory.records import NO_OVERRIDES, AsOf, ContextItem, Overrides
from gallump_lab.memory.sessions import Received, SessionManager, new_id
from gallump_lab.memory.vectors import Embedder
from gallump_lab.reading.symbols import validate_symbol, validate_symbols
from gallump_lab.store import Cache, Snapshot, Store, StoreError, configs, connect, frame, runs, times
from gallump_lab.store.query import table
from gallump_lab.store.runs import Found

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

    from gallump_lab.datasets import Dataset
    from gallump_lab.ui.chat import ChatWidget
    from gallump_lab.ui.explorer import Explorer
    from gallump_lab.ui.labeller import Labeller
    from gallump_lab.ui.reviewer import Reviewer

SQL_SECONDS = 2.0
"""So long may the analyst's own SQL hold the file."""


class Lab:
    """Chats with Claude about trading ideas, and remembers.

    `Lab.open` makes one. Everything is in one DuckDB file, which several notebooks may use at once.

    Attributes
    ----------
    store : Store
        The lab file.
    sessions : SessionManager
        Sessions and their messages.
    insights : Insights
        What was learnt: `.add`, `.supersede`, `.frame`.
    cache : Cache
        JSON values that expire.
    """

    def __init__(  # noqa: PLR0913 (what `open` takes)
        self,
        store: Store,
        *,
        config: Config | None = None,
        broker: Broker | None = None,
        clock: Callable[[], datetime] = times.now,
        ids: Callable[[], str] = new_id,
        embedders: Iterable[Embedder] = (),
    ) -> None:
        self.store, self._clock, self._given = store, clock, config
        self._base_url = config.model.base_url if config else None
        self.cache = Cache(store, clock)
        self.sessions = SessionManager(
            self.cache, store, clock=clock, ids=ids, config=self._config, model=who_answers, embedders=embedders
        )
        self.insights = Insights(store, clock)
        broker = FileBroker(clock=clock) if broker is None else broker
        market = ContextBuilder(broker, self.cache, MarketScanner(broker))
        self._talk = Conversation(store, self.sessions, market, clock)
        self._symbols = broker.symbols
        self._learner = AutoDistiller(store, clock, self._symbols)

    @classmethod
    def open(  # noqa: PLR0913 (each is a seam that a test or a user replaces)
        cls,
        path: str | Path | None = None,
        *,
        config: Config | None = None,
        broker: Broker | None = None,
        clock: Callable[[], datetime] | None = None,
        ids: Callable[[], str] | None = None,
        embedders: Iterable[Embedder] = (),
        wait: float | None = None,
        token: str | None = None,
    ) -> Self:
        """Open a lab file, which is made if it is missing, or a team's lab on a server.

        Parameters
        ----------
        path : str or Path, optional
            The lab's DuckDB file, or a server's address, quack:host:port; by default what the environment's GALLUMP_LAB
            names, else lab.duckdb here.
        config : Config, optional
            In force for this object alone; by default the one that was applied to the lab last.
        broker : Broker, optional
            Where quotes, bars and positions come from; the bundled daily bars and sample portfolio by default.
        clock : callable, optional
            Tells the time, with a time zone. Where `Config.time_zone` names none, the days are those of the clock's
            (`zoneinfo.ZoneInfo`; any other counts as UTC), the machine's by default.
        ids : callable, optional
            Makes session ids.
        embedders : iterable of Embedder
            Embedding models of your own (see `memory.vectors.Embedder`); `Config.recall.embedder` takes one by name.
        wait : float, optional
            Seconds that a step tries while others hold the lab; 10 for a file, 30 on a server.
        token : str, optional
            What a server asks for; by default the environment's GALLUMP_LAB_TOKEN. It is never stored or shown.

        Raises
        ------
        StoreError
            If the lab cannot be used; it is left as it was.
        ValueError
            If an embedder has no name, or another's, or if address and token do not belong together.
        """
        path = os.environ.get("GALLUMP_LAB", "lab.duckdb") if path is None else path
        store = connect(path, wait=wait, token=token)
        lab = cls(store, config=config, broker=broker, clock=clock or times.now, ids=ids or new_id, embedders=embedders)
        turns.recover(store, lab.sessions)
        lab._learner.catch_up(lab.config, asking=False)
        return lab

    @classmethod
    def sample(cls, *, insights: bool = True, **options: Any) -> Self:
        """Open a private copy of the bundled sample lab, which goes when the object does.

        It holds two years of synthetic talk by six analysts over real daily bars, insights with their sources, and
        questions with answer and evidence (`lab.questions`). `insights=False` leaves the insights out, to distil one's
        own. `options` are those of `open`; unless a clock is given, the lab's begins a day after the newest message, in
        UTC on every machine.
        """
        talk = datasets.sample()
        begins, now = talk.messages["created_at"].max().to_pydatetime() + timedelta(days=1), times.now()
        options.setdefault("clock", lambda: begins + (times.now() - now))
        folder = tempfile.mkdtemp(prefix="gallump-sample-")
        lab = cls.open(Path(folder) / "sample.duckdb", **options)
        weakref.finalize(lab, shutil.rmtree, folder, ignore_errors=True)
        lab.import_dataset(talk if insights else replace(talk, insights=talk.insights.iloc[:0]))
        return lab

    @property
    def config(self) -> Config:
        """The configuration in force; change it with `apply`."""
        with self.store.read() as con:
            return self._config(con)

    def _config(self, con: "DuckDBPyConnection") -> Config:
        if self._given is not None:
            return self._given
        found = configs.applied(con)
        return replace(found, model=replace(found.model, base_url=self._base_url))

    def apply(self, config: Config | Found, *, force: bool = False) -> None:
        """Put a configuration in force, for the next turn of every notebook that uses the lab; `runs` records it.

        Its base URL holds for this object alone: a lab file never decides where a key is sent.

        Parameters
        ----------
        config : Config, or what a study found
            The latter has a `.config`, and in `.run` how it was found, which is recorded too; see `store.runs.apply`.
        force : bool
            Apply it whatever speaks against it: a sweep's winner that holds less than what is in force, or that was
            reported on fewer than five conversations, says so in `.against`.

        Raises
        ------
        ConfigError
            If it is neither, or names an embedder that is not there.
        ValueError
            If something speaks against it and it is not forced.
        """
        wanted = runs.wanted(config)
        self.sessions.corpus.embedder(wanted.recall.embedder)
        runs.apply(self.store, config, self._clock(), force=force)
        self._base_url, self._given = wanted.model.base_url, None

    @property
    def runs(self) -> "pd.DataFrame":
        """What was put in force, oldest first: when, by which study, on which figures and data; see `store.runs`."""
        return runs.table(self.store)

    def compare(self, a: int, b: int | None = None) -> "pd.DataFrame":
        """Show in which settings two runs differ, the second the newest by default, and the figures of each.

        Raises
        ------
        ValueError
            If there is no such run.
        """
        return runs.compare(self.store, a, b)

    def revert(self, run_id: int | None = None) -> Config:
        """Put in force again what was before a run, the newest by default; give it. It is recorded as a run, too.

        Raises
        ------
        ValueError
            If there is no such run.
        """
        url = self._base_url
        self.apply(runs.before(self.store, run_id))
        self._base_url = url
        return self.config

    def ask(  # noqa: PLR0913 (the guide's arguments and the seams)
        self,
        prompt: str,
        watchlist: Sequence[str] = (),
        session_id: str | None = None,
        *,
        overrides: Overrides = NO_OVERRIDES,
        on_text: Callable[[str], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Reply:
        """Ask a question, and remember it and its reply.

        Parameters
        ----------
        prompt : str
            The question.
        watchlist : sequence of str
            Symbols to show the market of; the first is the question's own.
        session_id : str, optional
            The session to carry on; a new one if it is None, unknown or ended.
        on_text : callable, optional
            Gets each piece of the reply's text as it arrives, on the calling thread.
        stop : threading.Event, optional
            Once set, the reply ends where it is and is kept so far.

        Returns
        -------
        Reply

        Raises
        ------
        ValueError
            If the question or another argument cannot be used; nothing is stored.
        PromptTooLong
            If the question alone does not fit the window; nothing is stored.
        SpendingLimit, PriceUnknown
            If the day's costs have reached `model.max_usd_per_day`, or no price is known to keep it by; nothing is
            stored or asked.
        ModelError
            If no reply came or it broke off; question and partial reply are stored, and `.reply` holds them.
        KeyboardInterrupt
            If the cell was interrupted; the reply is kept so far, as "stopped".
        StoreError
            If the lab cannot be used; a note says so if the question is stored by then.
        """
        check_arguments(overrides, on_text, stop)
        symbols = validate_symbols(watchlist)
        symbol = symbols[0] if symbols else None
        received = self.sessions.receive(session_id, prompt, symbol, check=self._talk.check)
        try:
            return self._talk.answer(self._learned(received), symbols, overrides, on_text=on_text, stop=stop)
        except StoreError as error:
            error.add_note(f"The question is kept: lab.retry({received.question_id}) asks it again.")
            raise

    def retry(
        self,
        question_id: int,
        *,
        on_text: Callable[[str], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Reply:
        """Ask a stored question again that got no reply, or one that failed or was stopped; it is not stored twice.

        Parameters
        ----------
        question_id : int
            The question's message id; its symbols and overrides are those of its last turn.
        on_text, stop
            As in `ask`.

        Raises
        ------
        ValueError
            If there is no such question, or it has a whole reply, or one is coming.
        SpendingLimit, PriceUnknown, PromptTooLong, ModelError, StoreError
            As `ask`.
        """
        check_arguments(NO_OVERRIDES, on_text, stop)
        received, symbols, overrides = turns.again(self.store, self.sessions, _id(question_id), check=self._talk.check)
        return self._talk.answer(received, symbols, overrides, on_text=on_text, stop=stop)

    def preview(
        self,
        prompt: str,
        watchlist: Sequence[str] = (),
        session_id: str | None = None,
        *,
        overrides: Overrides = NO_OVERRIDES,
        config: Config | None = None,
    ) -> Preview:
        """Show what a question would send now: the exact prompt, its sections, slots, tokens and cost.

        Nothing is sent, and the question is not stored; sessions that have ended are distilled by rules first, as they
        are when it is asked. `overrides` is as in `ask`; `config` is one to try instead of the one in force.

        Raises
        ------
        ValueError, PromptTooLong, StoreError
            As `ask`.
        """
        check_arguments(overrides)
        if session_id is not None and not self.sessions.live(session_id):
            session_id = None
        text, symbols, in_force = checked_text(prompt, "prompt"), validate_symbols(watchlist), self.config
        if session_id is None:
            self._learner.catch_up(in_force, asking=False)
        config = in_force if config is None else config
        return self._talk.preview(
            text,
            symbols=symbols,
            session_id=session_id,
            moment=self._now(config),
            config=config,
            overrides=overrides,
        )

    def recall(
        self,
        query: str,
        symbol: str | None = None,
        session_id: str | None = None,
        as_of: datetime | None = None,
        tokens: int = 500,
    ) -> recall.Recalled:
        """Find what earlier talk holds that a question needs, under a budget, and say why.

        Parameters
        ----------
        query : str
            The question.
        symbol : str, optional
            Passages about it rank higher.
        session_id : str, optional
            The current session: what HOT shows of it is passed over.
        as_of : datetime, optional
            Nothing that speaks of a later time; with a time zone. "Last week" and age count from it.
        tokens : int
            The budget, in the model's tokens.

        Returns
        -------
        Recalled
            Its `.slots`, `.frame` and `.tokens`.

        Raises
        ------
        ValueError
            If an argument cannot be used.
        """
        with self.store.read() as con:
            config, newest = self._config(con), memory.newest(con)
        return memory.recalled(
            self.store,
            self.sessions.corpus,
            query,
            session_id=session_id,
            symbol=None if symbol is None else validate_symbol(symbol),
            moment=AsOf(at=self.sessions.here(config), seen_message=newest[0], seen_insight=newest[1], as_of=as_of),
            config=config,
            model=who_answers(config),
            tokens=tokens,
        )

    def _learned(self, received: Received) -> Received:
        """Distil the sessions that have ended, and let the first question of a new one see what was learnt in them."""
        session, moment = received.session_id, received.moment
        if session.new:
            self._learner.catch_up(received.config)
            with self.store.read() as con:
                moment = replace(moment, seen_insight=memory.newest(con)[1])
        return replace(received, moment=moment, trouble=self._learner.told())

    def distill(
        self,
        session_id: str | None = None,
        *,
        by: str | None = None,
        confirm: Callable[[str], bool] | None = None,
        stop: threading.Event | None = None,
    ) -> Distillation:
        """Distil ended sessions into insights, with a progress bar: each session once by each distiller.

        The chat's own sessions are distilled when they have ended, as `Config.cold.distiller` says; this does it for
        all, imported ones too. It can be interrupted at any time and goes on where it stopped.

        Parameters
        ----------
        session_id : str, optional
            Only this session; by default every one that has ended and has not been distilled.
        by : {"rules", "model"}, optional
            Fixed rules, which cost and send nothing, or the model that answers; what is configured by default.
        confirm : callable, optional
            Gets the words about the model's price and says whether to go on; by default the user is asked.
        stop : threading.Event, optional
            Once set, the model is not asked any further.

        Raises
        ------
        ValueError
            If there is no such session, or it has not ended, or `by` is neither.
        NoAccess
            If the model is to distil and there is nobody to ask.
        """
        wanted = None if session_id is None else [session_id]
        return distil(
            self.store,
            self.config,
            self._clock,
            by=by,
            wanted=wanted,
            confirm=confirm,
            stop=stop,
            symbols=self._symbols,
        )

    def _now(self, config: Config) -> AsOf:
        with self.store.read() as con:
            message, insight = memory.newest(con)
        return AsOf(at=self.sessions.here(config), seen_message=message, seen_insight=insight)

    def transcript(
        self, limit: int = 200, before: int | None = None, session_id: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest messages, oldest first, each reply with its turn; see `brain.transcript.transcript`."""
        return transcripts.transcript(self.store, limit, before, session_id)

    def slots(self, turn_id: int) -> list[ContextItem]:
        """Return what a past turn carried and passed over, as recorded; a forgotten message's slots are gone."""
        return transcripts.slots(self.store, _id(turn_id))

    def history(self, search: str = "", limit: int = 50) -> "pd.DataFrame":
        """List sessions, newest first; with `search`, those that say all its words. See `memory.history.sessions`."""
        return history.sessions(self.store, search, limit)

    def export(self, session_id: str) -> str:
        """Return a session as a Markdown document."""
        return history.markdown(self.store, session_id)

    def forget(self, message_id: int | None = None, session_id: str | None = None) -> int:
        """Delete a message or a session for good, and all that rests on it alone; see `memory.history.forget`."""
        return history.forget(self.store, self._clock(), message_id=_id(message_id), session_id=session_id)

    def decide(self, turn_id: int, position: int, verdict: Verdict, note: str = "") -> None:
        """Record that a recommendation was accepted or rejected; nothing is ever ordered.

        Parameters
        ----------
        turn_id : int
            The turn that recommended it.
        position : int
            Its place among the turn's recommendations, from 0.
        verdict : {"accepted", "rejected"}
        note : str
            Why, in the analyst's words.

        Raises
        ------
        ValueError
            If there is no such recommendation, or the verdict is another.
        """
        decisions.decide(self.store, self._clock(), _id(turn_id), _id(position), verdict=verdict, note=note)

    @property
    def spent_today(self) -> float:
        """What the UTC day's turns cost, USD, as recorded; `model.max_usd_per_day` bounds it."""
        with self.store.read() as con:
            return turns.spent_today(con, self._clock())

    @property
    def decisions(self) -> "pd.DataFrame":
        """Every decision on a recommendation, oldest first; the newest of a recommendation holds."""
        return self._frame("select * from decisions order by decision_id")

    def sql(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """Run one reading statement on the lab's tables.

        It may hold the file for 2 seconds; a longer one belongs on a copy: `lab.snapshot().sql(...)`. On a server it
        holds nobody up, and takes as long as it takes.

        Parameters
        ----------
        sql : str
            One SELECT (WITH, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN too).
        params : sequence or mapping, optional
            Values for `?` or `$name`.

        Raises
        ------
        QueryRefused
            If it writes, is not one statement, or takes too long.
        """
        return frame(self.store, sql, params, seconds=SQL_SECONDS if self.store.exclusive else None)

    def _frame(self, sql: str) -> "pd.DataFrame":
        with self.store.read() as con:
            return table(con, sql)

    def import_messages(self, frame: "pd.DataFrame") -> imports.Imported:
        """Import past messages in bulk: a million in minutes, with a progress bar; see `memory.imports.messages`.

        A batch is in the lab whole or not at all; importing the same again adds what is missing and nothing twice.

        Parameters
        ----------
        frame : pandas.DataFrame
            A row a message, in order of arrival: role, text and created_at (or time), and perhaps session_id (without
            it, 30 minutes of silence end a session), symbol, speaker, key (its name in its source) and conversation.

        Returns
        -------
        Imported
            Counts; rows that cannot be used are left out and told in its `problems`.

        Raises
        ------
        DatasetError
            If a column that is needed is missing.
        """
        return imports.messages(self.store, frame, clock=self._clock, session_minutes=self.config.session_minutes)

    def import_questions(self, frame: "pd.DataFrame") -> imports.Imported:
        """Import questions with their evidence, to measure recall with; see `memory.imports.questions`."""
        return imports.questions(self.store, frame, clock=self._clock)

    def import_dataset(self, dataset: "Dataset") -> imports.Imported:
        """Import all of a dataset, such as `datasets.read(path)` gives: messages, questions and insights."""
        return imports.dataset(self.store, dataset, clock=self._clock, session_minutes=self.config.session_minutes)

    def embed(self, embedder: str | None = None) -> int:
        """Embed every passage that an embedding model has no code of yet, with a progress bar.

        The built-in model's codes come with each message. Another's follow: before a question, those of the last few
        messages; all the others when you call this. It can be interrupted at any time and goes on where it stopped;
        others may use the lab meanwhile, and do the same.

        Parameters
        ----------
        embedder : str, optional
            The model's name; the one in force by default.

        Returns
        -------
        int
            How many passages have been embedded.

        Raises
        ------
        ConfigError
            If there is no embedder of this name.
        """
        return index.embed_all(self.store, self.sessions.corpus.embedder(embedder or self.config.recall.embedder))

    @property
    def questions(self) -> "pd.DataFrame":
        """Every question to measure recall with, its evidence as message ids; see `memory.labels.questions`."""
        return labels.questions(self.store)

    @property
    def labels(self) -> "pd.DataFrame":
        """The label that holds of each question and message; see `memory.labels.held`."""
        return labels.held(self.store)

    def add_question(  # noqa: PLR0913 (a question's fields)
        self,
        text: str,
        *,
        asked_at: datetime | None = None,
        answer: str | None = None,
        symbol: str | None = None,
        session_id: str | None = None,
        kind: str = "question",
    ) -> int:
        """Store a question of your own to measure recall with, and give its id; see `memory.labels.add_one`."""
        return labels.add_one(
            self.store,
            text,
            self._clock(),
            asked_at=asked_at,
            answer=answer,
            symbol=symbol,
            session_id=session_id,
            kind=kind,
        )

    def question_of(self, turn_id: int) -> int:
        """Return the id, to label it by, of the question that a turn answered; see `memory.labels.of_turn`."""
        return labels.of_turn(self.store, _id(turn_id), self._clock())

    def label(self, question_id: int, message_id: int, grade: int | None, labeller: str = "analyst") -> None:
        """Return how much a question needs a message, 0 to 3, or (None) take it back; see `memory.labels.label`."""
        labels.label(self.store, _id(question_id), _id(message_id), grade, self._clock(), labeller=labeller)

    @property
    def messages(self) -> "pd.DataFrame":
        """Every message, in order of arrival."""
        return self._frame("select * from messages order by message_id")

    @property
    def turns(self) -> "pd.DataFrame":
        """Every turn, in order."""
        return self._frame("select * from turns order by turn_id")

    def snapshot(self) -> Snapshot:
        """Copy the lab into memory, for studies that must not hold the file."""
        return Snapshot.take(self.store, who_answers(self.config))

    def backup(self, path: str | Path) -> Path:
        """Copy the lab into a new file while others go on using it.

        Raises
        ------
        FileExistsError
            If something stands at `path` already.
        """
        return self.store.backup(path)

    def chat(
        self, watchlist: Sequence[str] = (), session_id: str | None = None, *, static: bool = False
    ) -> "ChatWidget":
        """Open the chat: a transcript and an input, for a notebook's cell.

        Parameters
        ----------
        watchlist : sequence of str
            Symbols to show the market of; the first is the questions' own.
        session_id : str, optional
            A session to carry on; the newest one if it has not ended.
        static : bool
            Also save the session's transcript into the cell's output, for readers without the chat's front end.
        """
        from gallump_lab.ui.chat import ChatWidget

        return ChatWidget(self, watchlist=watchlist, session_id=session_id, static=static)

    def explore(self, prompt: str, watchlist: Sequence[str] = (), session_id: str | None = None) -> "Explorer":
        """Show a question's prompt with a slider for each tier's budget; nothing is sent or applied. See `preview`."""
        from gallump_lab.ui.explorer import Explorer

        return Explorer(self, prompt, watchlist, session_id)

    def labeller(
        self, questions: "pd.DataFrame | None" = None, *, labeller: str = "analyst", static: bool = False
    ) -> "Labeller":
        """Open the labelling widget, for a notebook's cell; see `gallump_lab.ui.labeller.Labeller`."""
        from gallump_lab.ui.labeller import Labeller

        return Labeller(self, questions, labeller=labeller, static=static)

    def reviewer(
        self, insights: "pd.DataFrame | None" = None, *, labeller: str = "analyst", static: bool = False
    ) -> "Reviewer":
        """Open the widget to review insights, for a notebook's cell; see `gallump_lab.ui.reviewer.Reviewer`."""
        from gallump_lab.ui.reviewer import Reviewer

        return Reviewer(self, insights, labeller=labeller, static=static)

    def __repr__(self) -> str:
        """Name the file and what answers."""
        return f"<Lab {self.store.path.name}>"


def _id(given: Any) -> Any:
    """Return an id as the lab takes it; out of a frame it is one of numpy's numbers."""
    return given.item() if hasattr(given, "item") else given

"""Lab: the front door. It wires the rooms; what they do is theirs."""

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gallump_lab import datasets
from gallump_lab.archive import Archive
from gallump_lab.brain import turns
from gallump_lab.brain.conversation import Conversation
from gallump_lab.brain.distiller import AutoDistiller
from gallump_lab.config import Config
from gallump_lab.market.broker import SAMPLE_TIME, Broker, served
from gallump_lab.market.context_builder import ContextBuilder
from gallump_lab.market.live import LiveBroker
from gallump_lab.memory import context as memory
from gallump_lab.memory import recall, stated
from gallump_lab.memory.distilling import Distillation
from gallump_lab.memory.insights import Insights
from gallump_lab.memory.records import AsOf, whole
from gallump_lab.memory.sessions import SessionManager, new_id
from gallump_lab.memory.vectors import Embedder
from gallump_lab.reading.symbols import validate_symbol
from gallump_lab.store import Cache, Store, connect, times
from gallump_lab.store.runs import InForce

if TYPE_CHECKING:
    import pandas as pd

    from gallump_lab.brain.answer import Recommendation
    from gallump_lab.study.pictures import Picture
    from gallump_lab.ui.chat import ChatWidget
    from gallump_lab.ui.grader import Labeller, Reviewer
    from gallump_lab.ui.inspector import Explorer


class Lab(Conversation, Archive):
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
    broker : Broker
        Where prices and positions come from; its repr says what was understood of yours, and what was left out.
    """

    def __init__(  # noqa: PLR0913 (what `open` takes)
        self,
        store: Store,
        *,
        config: Config | None = None,
        broker: "Broker | pd.DataFrame | None" = None,
        clock: Callable[[], datetime] = times.now,
        ids: Callable[[], str] = new_id,
        embedders: Iterable[Embedder] = (),
    ) -> None:
        self.store, self._clock, self._in_force = store, clock, InForce(config)
        self.cache = Cache(store, clock)
        self.sessions = SessionManager(
            self.cache, store, clock=clock, ids=ids, config=self._in_force, embedders=embedders
        )
        self.insights = Insights(store, clock)
        self.broker = market = served(broker, clock)
        if isinstance(market, LiveBroker):
            market.attach(store, clock)
        self._market = ContextBuilder(market, self.cache, clock=clock)
        self._distiller = AutoDistiller(store, clock, market.symbols)

    @classmethod
    def open(  # noqa: PLR0913 (each is a seam that a test or a user replaces)
        cls,
        path: str | Path | None = None,
        *,
        config: Config | None = None,
        broker: "Broker | pd.DataFrame | None" = None,
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
        broker : Broker or pandas.DataFrame, optional
            Where quotes, bars and positions come from, or daily bars as `FrameBroker` takes them; without it there are
            no prices, unless the clock stands in the time of the bundled bars and sample portfolio, up to March 2013.
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
        with store.read() as con:
            in_force = lab._in_force(con)
            waiting = lab._distiller.waiting(con, in_force) if in_force.cold.distiller == "rules" else []
        if waiting:
            lab._distiller.catch_up(in_force, waiting, quiet=False)
        return lab

    @classmethod
    def sample(cls, *, insights: bool = True, **options: Any) -> Self:
        """Open a private copy of the bundled sample lab, which goes when the object does.

        It holds two years of synthetic talk by six analysts over real daily bars, insights with their sources, and
        questions with answer and evidence (`lab.questions`). `insights=False` leaves the insights out, to distil one's
        own. `options` are those of `open`; unless a clock is given, the lab stands in its data's own time: its clock
        begins on 1 March 2013, 22:00 UTC, after the last of its prices.
        """
        talk, now = datasets.sample(), times.now()
        options.setdefault("clock", lambda: SAMPLE_TIME + (times.now() - now))
        folder = tempfile.mkdtemp(prefix="gallump-sample-")
        lab = cls.open(Path(folder) / "sample.duckdb", **options)
        weakref.finalize(lab, shutil.rmtree, folder, ignore_errors=True)
        lab.import_dataset(talk if insights else replace(talk, insights=talk.insights.iloc[:0]))
        return lab

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
            What the question is about if it names no symbol itself: passages about it rank higher.
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
        corpus, symbol = self.sessions.corpus, None if symbol is None else validate_symbol(symbol)
        while True:
            embedder = self._in_force.last.recall.embedder
            memory.prepare(corpus, self.store, embedder)
            with self.store.read() as con:
                config, (message, insight) = self._in_force(con), memory.newest(con)
                if config.recall.embedder != embedder:  # another notebook has just applied it: it is loaded first
                    continue
                return memory.recalled(
                    con,
                    corpus,
                    query,
                    session_id=session_id,
                    symbol=symbol,
                    moment=AsOf(at=self.sessions.here(config), seen_message=message, seen_insight=insight, as_of=as_of),
                    config=config,
                    tokens=tokens,
                )

    def chart(self, symbol: str, days: int = 250, *, idea: "Recommendation | None" = None) -> "Picture":
        """Draw a symbol's daily bars, and on them what is held and what was said of it, as far as it is known now.

        A level that was stated is a line from then until another took its place; every statement is a mark on its day's
        close. Rest the pointer on either for its words and whether it still holds.

        Parameters
        ----------
        symbol : str
            What to draw.
        days : int
            So many bars, the last ones.
        idea : Recommendation, optional
            Its entry, stop and target are drawn too.

        Raises
        ------
        ValueError
            If an argument cannot be used, or the broker has no bars of the symbol.
        """
        from gallump_lab.study.price_chart import price_chart

        symbol, days = validate_symbol(symbol), whole(days, "days", 1)
        with self.store.read() as con:
            now = self.sessions.here(self._in_force(con))
            known = stated.said(con, symbol, now)
        bars, held, problems = self._market.daily(symbol, days, now)
        found = stated.stated(symbol, *known)
        return price_chart(symbol, bars, held, found, now=now, idea=idea, problems=problems)

    def distill(
        self,
        session_id: str | None = None,
        *,
        by: str | None = None,
        batch: bool | str = False,
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
        batch : bool or str
            Whether to ask the model in a batch: at half the price, answered within a day, most within an hour. A Ctrl-C
            ends the waiting alone: the sessions stay the batch's until its id, which is shown, takes its answers up,
            for 29 days. `brain.batches.cancel` cancels one.
        confirm : callable, optional
            Gets the words about the model's price and says whether to go on; by default the user is asked.
        stop : threading.Event, optional
            Once set, the model is not asked any further, nor waited for.

        Raises
        ------
        ValueError
            If there is no such session, or it has not ended, or `by` is neither, or no session waits in the batch.
        NoAccess
            If the model is to distil and there is nobody to ask.
        ModelError
            If a batch that was submitted before cannot be had.
        """
        return self._distiller.run(self.config, session_id, by=by, batch=batch, confirm=confirm, stop=stop)

    def chat(
        self, watchlist: Sequence[str] = (), session_id: str | None = None, *, static: bool = False
    ) -> "ChatWidget":
        """Open the chat: a transcript and an input, for a notebook's cell.

        Parameters
        ----------
        watchlist : sequence of str
            Symbols to show the market of; the first is what questions are about that name none.
        session_id : str, optional
            A session to carry on; the newest one if it has not ended.
        static : bool
            Also save the session's transcript into the cell's output, for readers without the chat's front end.
        """
        from gallump_lab.ui.chat import ChatWidget

        return ChatWidget(self, watchlist=watchlist, session_id=session_id, static=static)

    def explore(self, prompt: str, watchlist: Sequence[str] = (), session_id: str | None = None) -> "Explorer":
        """Show what a question would carry, with a slider for each tier's budget; nothing is sent or applied.

        `prompt`, `watchlist` and `session_id` are as for `ask`.
        """
        from gallump_lab.ui.inspector import Explorer

        return Explorer(self, prompt, watchlist, session_id)

    def labeller(self, questions: "pd.DataFrame | None" = None, *, labeller: str = "analyst") -> "Labeller":
        """Open the labelling widget, for a notebook's cell, to say which messages a question's answer rests on.

        Keys 0 to 3 grade a message (0 of no use, 1 on the subject, 2 helps, 3 the answer rests on it); u undoes, n and
        p change the question. Opened again, it goes on where its labeller stopped.

        Parameters
        ----------
        questions : pandas.DataFrame, optional
            Rows of `lab.questions`, by their question_id; by default all, and those that were asked in the chat.
        labeller : str
            Who says so, by name.

        Examples
        --------
        >>> lab.labeller(lab.questions.query("symbol == 'AAPL'"), labeller="Ann")
        """
        from gallump_lab.ui.grader import Labeller

        return Labeller(self, questions, labeller=labeller)

    def reviewer(
        self, insights: "pd.DataFrame | None" = None, *, labeller: str = "analyst", static: bool = False
    ) -> "Reviewer":
        """Open the widget to review insights, for a notebook's cell: see their sources, grade, pin, retire, edit them.

        Parameters
        ----------
        insights : pandas.DataFrame, optional
            Which, in this order: a column insight_id, and perhaps others to show beside each, such as a scorecard's. By
            default all that stand, the retired ones last.
        labeller : str
            Who says so, by name.
        static : bool
            Whether the cell's output also holds a table of them, for readers without the widget.

        Examples
        --------
        >>> lab.reviewer(study.insights(lab.snapshot()).frame[["insight_id", "verdict", "why"]])
        """
        from gallump_lab.ui.grader import Reviewer

        return Reviewer(self, insights, labeller=labeller, static=static)

    def __repr__(self) -> str:
        """Name the file and what answers."""
        return f"<Lab {self.store.path.name}>"

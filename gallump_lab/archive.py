"""What a lab holds, as frames; what goes in by bulk and out for good; which configuration is in force."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gallump_lab.brain import prices, transcript, turns
from gallump_lab.brain.turns import Verdict
from gallump_lab.config import Config
from gallump_lab.lazy import told_by
from gallump_lab.memory import history, imports, labels, messages
from gallump_lab.memory.records import ContextItem, whole
from gallump_lab.memory.sessions import SessionManager
from gallump_lab.store import Snapshot, Store, frame, runs
from gallump_lab.store.query import table
from gallump_lab.store.runs import Applicable

if TYPE_CHECKING:
    import pandas as pd

    from gallump_lab.datasets import Dataset
    from gallump_lab.study.spending import Spending

SQL_SECONDS = 2.0
"""So long may the analyst's own SQL hold the file."""


class Archive:
    """The half of `Lab` that asks nobody: its tables, imports, labels and configurations."""

    store: Store
    sessions: SessionManager
    _clock: Callable[[], datetime]
    _in_force: runs.InForce

    @property
    def config(self) -> Config:
        """The configuration in force; change it with `apply`."""
        with self.store.read() as con:
            return self._in_force(con)

    def apply(self, config: Config | Applicable, *, force: bool = False) -> None:
        """Put a configuration in force, for the next turn of every notebook that uses the lab; `runs` records it.

        All of it holds, its defaults too: to change one setting give `replace(lab.config, ...)`. You are warned if a
        daily limit holds no longer. A base URL holds for this object alone, for a lab file never decides where a key is
        sent, and until another one is applied.

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
        limit = self.config.model.max_usd_per_day
        if limit is not None and wanted.model.max_usd_per_day is None:
            msg = f"No daily limit holds any more: it was ${limit:,.2f} (Model.max_usd_per_day)."
            warnings.warn(msg, stacklevel=2)
        runs.apply(self.store, config, self._clock(), force=force)
        self._in_force.forget(wanted)

    @told_by(runs.compare)
    def compare(self, a: int, b: int | None = None) -> "pd.DataFrame":
        """Show in which settings two runs differ, the second the newest by default, and the figures of each."""
        return runs.compare(self.store, a, b)

    @property
    @told_by(runs.table)
    def runs(self) -> "pd.DataFrame":
        """What was put in force, oldest first: when, by which study, on which figures and data."""
        return runs.table(self.store)

    def revert(self, run_id: int | None = None) -> Config:
        """Put in force again what was before a run, the newest by default; give it. It is recorded as a run, too.

        Raises
        ------
        ValueError
            If there is no such run.
        """
        self.apply(runs.before(self.store, run_id))
        return self.config

    @told_by(transcript.transcript)
    def transcript(
        self, limit: int = 200, before: int | None = None, session_id: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest messages, oldest first, each reply with its turn."""
        return transcript.transcript(self.store, whole(limit, "limit", 1), before, session_id)

    def slots(self, turn_id: int) -> list[ContextItem]:
        """Return what a past turn carried and passed over, as recorded; a forgotten message's are gone.

        Each is a `memory.records.ContextItem`: tier, rank, kept, reason, tokens, score, signals, text and others.

        Raises
        ------
        ValueError
            If there is no such turn.
        """
        return transcript.slots(self.store, whole(turn_id, "turn_id"))

    @told_by(history.forget)
    def forget(self, message_id: int | None = None, session_id: str | None = None) -> int:
        """Delete a message or a session for good, and all that rests on it alone."""
        return history.forget(
            self.store,
            self._clock(),
            message_id=None if message_id is None else whole(message_id, "message_id"),
            session_id=session_id,
        )

    @told_by(history.sessions)
    def history(self, search: str = "", limit: int = 50) -> "pd.DataFrame":
        """List sessions, newest first; with `search`, those that say all its words."""
        return history.sessions(self.store, search, limit)

    def export(self, session_id: str) -> str:
        """Return a session as a Markdown document."""
        return history.markdown(self.store, session_id, transcript.noted(self.store, session_id))

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
        turns.decide(
            self.store,
            self._clock(),
            whole(turn_id, "turn_id"),
            whole(position, "position"),
            verdict=verdict,
            note=note,
        )

    @property
    def spent(self) -> prices.Spent:
        """What the UTC day and month cost, USD, as recorded."""
        with self.store.read() as con:
            return prices.spent(con, self._clock())

    @property
    def spent_today(self) -> float:
        """What the UTC day cost, USD, as recorded; `model.max_usd_per_day` bounds it."""
        return self.spent.today

    def spending(self, days: int | None = None) -> "Spending":
        """Return what was spent on what: the recorded costs by UTC day, model and section of the prompt.

        Turns count with their rewriting, at most while they are under way; distillings and batches too. What studies
        ask (`study.rerun`, `study.silver`) is not recorded in the lab.

        Parameters
        ----------
        days : int, optional
            So many UTC days, the last of them today; all by default.

        Returns
        -------
        Spending
            Its `.frame` and `.plot()`.

        Raises
        ------
        ValueError
            If `days` is no number of days.
        """
        from gallump_lab.study.spending import spending

        return spending(self.store, self._clock(), None if days is None else whole(days, "days", 1))

    @property
    def decisions(self) -> "pd.DataFrame":
        """Every decision on a recommendation, oldest first; the newest of a recommendation holds.

        Columns decision_id, turn_id, position (in the turn's recommendations, from 0), symbol, verdict (accepted or
        rejected), note, decided_at (UTC).
        """
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
        """Import past messages in bulk: a million in minutes, with a progress bar.

        Importing the same again adds what is missing and nothing twice. Rows without a session are put into sessions by
        their time: a silence of `Config.session_minutes` begins another.

        Parameters
        ----------
        frame : pandas.DataFrame
            A row a message, in order of arrival: role (user or assistant), text and created_at (UTC where it tells no
            zone), and perhaps session_id, symbol (AAPL), speaker, key (its name in its source, by which evidence refers
            to it) and conversation. Usual other names are understood: content for text, time, ticker; me, claude.

        Raises
        ------
        DatasetError
            If a column that is needed is missing; rows that cannot be used are told in what comes back.

        Examples
        --------
        >>> said = {"role": ["user"], "text": ["My stop on AAPL is 172."], "created_at": ["2026-03-02 15:00Z"]}
        >>> lab.import_messages(pd.DataFrame(said))
        Imported 1 message in 1 session; 0 were there, 0 left out
        """
        return imports.messages(self.store, frame, clock=self._clock, session_minutes=self.config.session_minutes)

    @told_by(imports.questions)
    def import_questions(self, frame: "pd.DataFrame") -> imports.Imported:
        """Import questions with evidence and stale messages, to measure recall with."""
        return imports.questions(self.store, frame, clock=self._clock)

    @told_by(imports.dataset)
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
        return messages.embed_all(self.store, self.sessions.corpus.embedder(embedder or self.config.recall.embedder))

    @property
    @told_by(labels.questions)
    def questions(self) -> "pd.DataFrame":
        """Every question to measure recall with, its evidence as message ids."""
        return labels.questions(self.store)

    @told_by(labels.of_turn)
    def question_of(self, turn_id: int) -> int:
        """Return the id, to label it by, of the question that a turn answered."""
        return labels.of_turn(self.store, whole(turn_id, "turn_id"), self._clock())

    @told_by(labels.label)
    def label(
        self, question_id: int, message_id: int, grade: int | None, labeller: str = "analyst", *, outdated: bool = False
    ) -> None:
        """Record how much a question needs a message, 0 to 3, or (None) take it back."""
        question, message = whole(question_id, "question_id"), whole(message_id, "message_id")
        labels.label(self.store, question, message, grade, self._clock(), labeller=labeller, outdated=outdated)

    @property
    @told_by(labels.held)
    def labels(self) -> "pd.DataFrame":
        """The label that holds of each question and message."""
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
        """Store a question of your own to measure recall with, once, and give its id.

        Parameters
        ----------
        text : str
            The question.
        asked_at : datetime, optional
            With a time zone; nothing that speaks of a later time may be used. Now by default.
        answer : str, optional
            What a good reply says; its words tell how much of it a prompt holds.
        symbol : str, optional
            What it is about.
        session_id : str, optional
            The session in which it is asked.
        kind : str
            Questions of a kind are measured together.

        Returns
        -------
        int
            Its id, to label it by.

        Raises
        ------
        ValueError
            If an argument cannot be used.

        Examples
        --------
        >>> lab.label(lab.add_question("Where is my stop on AAPL?", answer="At 430."), message_id=12, grade=3)
        """
        now = self._clock()
        asked = labels.Question(
            text=text,
            asked_at=now if asked_at is None else asked_at,
            answer=answer,
            symbol=symbol,
            session_id=session_id,
            kind=kind,
        )
        return labels.add_one(self.store, asked, now)

    @property
    def messages(self) -> "pd.DataFrame":
        """Every message, in order of arrival.

        Columns message_id, session_id, role (user or assistant), text, symbol, created_at (the time it speaks of, UTC),
        arrived_at (UTC), tokens (cl100k), state (complete, or why a reply is not: stopped, cut, refused, failed),
        speaker.
        """
        return self._frame("select * from messages order by message_id")

    @property
    def turns(self) -> "pd.DataFrame":
        """Every turn, in order: what was asked, seen, sent and paid.

        Columns turn_id, session_id, question_id and reply_id (message ids), asked_at (UTC), symbol, watchlist,
        config_id, sections and used (tokens by section and by tier; JSON), model, state, input_tokens, output_tokens,
        cache_read_tokens, thinking_tokens, cost_usd, latency (seconds) ...: `lab.sql("describe turns")` lists all.
        """
        return self._frame("select * from turns order by turn_id")

    def snapshot(self) -> Snapshot:
        """Copy the lab into memory, for studies that must not hold the file."""
        return Snapshot.take(self.store, self.config.model.answering)

    def backup(self, path: str | Path) -> Path:
        """Copy the lab into a new file while others go on using it.

        Raises
        ------
        FileExistsError
            If something stands at `path` already.
        """
        return self.store.backup(path)

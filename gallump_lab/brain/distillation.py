"""Distil a lab's ended sessions, by fixed rules or by the model, with a progress bar, resumable; or unasked."""

import contextlib
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gallump_lab import tokens
from gallump_lab.brain import answer as answers
from gallump_lab.brain import distiller
from gallump_lab.brain.distiller import Distilled
from gallump_lab.brain.prices import PriceUnknown, SpendingLimit, check_spending, confirmed
from gallump_lab.config import Config
from gallump_lab.memory import distilling, ledger, rules
from gallump_lab.memory.distilling import Session, Taken
from gallump_lab.memory.records import AsOf
from gallump_lab.store import Store, locks, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gallump_lab.memory.records import Learnt

BATCH = 20
"""So many sessions are distilled by rules in one step."""
CLOSED = (answers.NoAccess, answers.BadRequest)
"""After one of these no other session fares better."""
AWAY = (answers.ConnectionLost, answers.TimedOut, answers.RateLimited, answers.ServerTrouble)
PATIENCE = 2
"""After so many sessions in a row that failed for one of these, the server is left alone."""
NAMED = 10
"""So many refusals and failures are told one by one; the rest are counted."""

_NOBODY = (
    "There is neither a key nor a base URL, so no model can distil. Set ANTHROPIC_API_KEY, or let the rules do it: "
    "lab.distill(by='rules')."
)


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """What distilling brought."""

    distiller: str
    """Who distilled."""
    sessions: int = 0
    """Sessions that were distilled."""
    insights: int = 0
    """New insights."""
    merged: int = 0
    """Insights that say no more than one which stood; it took their sources."""
    refused: tuple[str, ...] = ()
    """Why each of the others was not taken, in words."""
    failed: tuple[str, ...] = ()
    """Which sessions could not be distilled and why; they are tried again next time."""
    left: int = 0
    """Sessions that are still to be distilled."""
    cost_usd: float | None = 0.0
    """None where one's cost is not known."""

    def __repr__(self) -> str:
        """Count what came of it, then tell what was refused and what failed."""
        head = (
            f"Distilled {_sessions(self.sessions)} by {self.distiller}: {self.insights:,} new insights, "
            f"{self.merged:,} said again, {len(self.refused):,} refused"
        )
        head += f", {self.left:,} to be done" if self.left else ""
        head += "" if self.cost_usd == 0 else "; cost not known" if self.cost_usd is None else f"; ${self.cost_usd:.4f}"
        return "\n".join([head, *_first(self.refused), *_first(self.failed)])


def _sessions(number: int) -> str:
    return f"{number:,} session{'s' * (number != 1)}"


def _first(words: Sequence[str]) -> list[str]:
    more = len(words) - NAMED
    return [*words[:NAMED], *([f"... and {more:,} more."] if more > 0 else [])]


class AutoDistiller:
    """Distils a lab's ended sessions: when it is told to, or a chat's own without being asked.

    Parameters
    ----------
    store : Store
        The lab file.
    clock : callable
        Tells the time, UTC.
    symbols : callable, optional
        Returns the broker's universe, for the rules.
    """

    def __init__(
        self, store: Store, clock: Callable[[], datetime], symbols: Callable[[], Collection[str]] = frozenset
    ) -> None:
        self._store, self._clock, self._symbols = store, clock, symbols
        self._thread: threading.Thread | None = None
        self._trouble: list[str] = []

    def waiting(self, con: "DuckDBPyConnection", config: Config) -> list[str]:
        """Return the chat's sessions that are to be distilled unasked, inside a step on the lab."""
        if config.cold.distiller == "nobody":
            return []
        name = rules.NAME if config.cold.distiller == "rules" else config.model.answering
        return distilling.due(con, name, self._clock(), config.session_minutes, chats=True)

    def catch_up(self, config: Config, waiting: Sequence[str], *, quiet: bool = True) -> None:
        """Distil what is waiting before a question is answered: by rules at once, by the model in the background."""
        try:
            if config.cold.distiller == "rules":
                self._by_rules(config, waiting, quiet=quiet)
            elif config.model.answering == tokens.OFFLINE:
                self._trouble = [_NOBODY]
            elif self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._in_background, args=(config, waiting), name="gallump-distiller", daemon=True
                )
                self._thread.start()
        except Exception as error:  # noqa: BLE001 - the question that waits for this is answered all the same
            self._trouble.append(f"{type(error).__name__}: {error}")

    def _in_background(self, config: Config, waiting: Sequence[str]) -> None:
        try:
            found = self._by_model(config, waiting, confirm=lambda _: True, stop=threading.Event(), quiet=True)
            self._trouble += found.failed[:1]
        except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
            self._trouble.append(f"{type(error).__name__}: {error}")

    def wait(self) -> None:
        """Wait until what is under way in the background has ended."""
        if self._thread is not None:
            self._thread.join()

    def trouble(self) -> str | None:
        """Return what went wrong since this was last asked, in words; what could not be distilled is tried again."""
        words, self._trouble = " ".join(dict.fromkeys(self._trouble)), []
        return f"Past sessions could not be distilled; lab.distill() tries again. {words}" if words else None

    def run(
        self,
        config: Config,
        session_id: str | None = None,
        *,
        by: str | None = None,
        confirm: Callable[[str], bool] | None = None,
        stop: threading.Event | None = None,
    ) -> Distillation:
        """Distil the ended sessions that are due, or one; an interrupt keeps what is done. See `Lab.distill`.

        Raises
        ------
        ValueError
            If `by` is none of the distillers, or the session is not in the lab or has not ended.
        NoAccess
            If the model is to distil and there is nobody to ask.
        """
        by = by or ("model" if config.cold.distiller == "model" else "rules")
        if by not in {"rules", "model"}:
            msg = f"by must be 'rules' or 'model', not {by!r}."
            raise ValueError(msg)
        if by == "model" and config.model.answering == tokens.OFFLINE:
            raise answers.NoAccess(_NOBODY)
        name, minutes, wanted = rules.NAME, config.session_minutes, None if session_id is None else [session_id]
        with self._store.read() as con:
            if session_id is not None:
                distilling.check_ended(con, session_id, self._clock(), minutes)
            name = rules.NAME if by == "rules" else config.model.answering
            sessions = distilling.due(con, name, self._clock(), minutes, wanted=wanted)
        if by == "rules":
            return self._by_rules(config, sessions)
        return self._by_model(config, sessions, confirm=confirm or confirmed, stop=stop or threading.Event())

    def by_rules(self, config: Config, waiting: Sequence[str]) -> "list[tuple[Session, Sequence[Learnt]]]":
        """Return what the rules find in sessions; nothing of it is kept yet."""
        now = times.here(self._clock, config.time_zone)
        with self._store.read() as con:
            read = [distilling.read(con, each, rules.NAME, config.session_minutes, now) for each in waiting]
            known = distilling.symbols(con)
        with contextlib.suppress(Exception):  # a broker that is down: the lab's own symbols must do
            known.update(map(str, self._symbols()))
        return [(each, rules.distil(each.messages, tokens=config.cold.tokens, known=known)) for each in read]

    def _by_rules(self, config: Config, sessions: Sequence[str], *, quiet: bool = False) -> Distillation:
        from tqdm import tqdm  # type: ignore[import-untyped]

        takings: list[Taken] = []
        done = 0
        with tqdm(desc="Distilling", unit=" sessions", delay=1, total=len(sessions), **_hidden(quiet)) as bar:
            try:
                for done in range(0, len(sessions), BATCH):
                    found = self.by_rules(config, sessions[done : done + BATCH])
                    with self._store.write() as con:
                        takings += distilling.keep(con, found, self._clock(), config.session_minutes)
                    bar.update(len(found))
                done = len(sessions)
            except KeyboardInterrupt:
                if quiet or not done:
                    raise
        return _sum_up(rules.NAME, takings, len(sessions) - done)

    def _by_model(
        self,
        config: Config,
        sessions: Sequence[str],
        *,
        confirm: Callable[[str], bool],
        stop: threading.Event,
        quiet: bool = False,
    ) -> Distillation:
        from tqdm import tqdm

        name, left = config.model.answering, len(sessions)
        takings: list[Taken] = []
        failed: list[str] = []
        costs: list[float | None] = []
        if sessions and not confirm(self._price(config, sessions)):
            return Distillation(distiller=name, left=left, failed=("The price was not agreed to: nothing was sent.",))
        troubles = 0
        for session_id in tqdm(sessions, desc="Distilling", unit=" sessions", delay=1, **_hidden(quiet)):
            try:
                with self._store.read() as con:
                    check_spending(con, self._clock(), config.model)
            except (SpendingLimit, PriceUnknown) as error:
                failed.append(str(error))
                break
            got, taken, why = self._one(config, session_id, stop)
            costs += [got.answer.cost_usd] if got else []
            failed += [f"Session {session_id}: {why}"] if why else []
            takings += [taken] if taken else []
            left -= not why
            if stop.is_set() or (got and got.answer.interruption):
                break
            fault = got and got.answer.fault
            troubles = troubles + 1 if isinstance(fault, AWAY) else 0
            if troubles == PATIENCE or isinstance(fault, CLOSED):
                failed.append(f"{_sessions(left)} were not tried any more.")
                break
        return _sum_up(name, takings, left, failed, None if None in costs else sum(filter(None, costs), 0.0))

    def _price(self, config: Config, sessions: Sequence[str]) -> str:
        """Return what distilling sessions will take, in words."""
        name, now = config.model.answering, times.here(self._clock, config.time_zone)
        sent, costs = 0, []
        for session_id in sessions:
            with self._store.read() as con:
                session = distilling.read(con, session_id, name, config.session_minutes, now)
            found, cost = distiller.estimate(session.messages, model=config.model)
            sent += found
            costs.append(cost)
        most = "the price is not known" if None in costs else f"at most ${sum(filter(None, costs)):.4f}"
        return f"Distilling {_sessions(len(sessions))} with {name}: {sent:,} tokens of prompts, as estimated: {most}."

    def _one(
        self, config: Config, session_id: str, stop: threading.Event
    ) -> tuple[Distilled | None, Taken | None, str | None]:
        """Distil one session by the model; a failure is recorded with its cost and leaves it to be tried again.

        Returns
        -------
        tuple
            What the model gave and what was taken of it, each None if there is none, and why it failed.
        """
        name, minutes, now = config.model.answering, config.session_minutes, times.here(self._clock, config.time_zone)
        with locks.Claim(self._renew) as claim:
            with self._store.write() as con:
                if not distilling.due(con, name, now, minutes, wanted=[session_id]):
                    return None, None, None  # another has it, or has done it, by now
                session = distilling.read(con, session_id, name, minutes, now)
                number = distilling.begin(con, session, name, now, claim.name)
                symbols = {message.symbol or "" for message in session.messages}
                moment = AsOf(at=now, seen_message=session.seen, seen_insight=ledger.EVER["seen"])
                known = [each for each in ledger.alive(con, moment) if (each.symbol or "") in symbols]
            outcome: dict[str, Any] = {"fault": "It broke off."}
            taken = None
            try:
                got = distiller.ask(session.messages, known[::-1], model=config.model, stop=stop)
                usage = got.answer.usage
                outcome = {
                    "input_tokens": usage and usage.input_tokens,
                    "output_tokens": usage and usage.output_tokens,
                    "cost_usd": got.answer.cost_usd,
                    "latency": got.answer.latency,
                    "fault": got.notice,
                }
                with self._store.write() as con:
                    outcome["fault"] = got.notice or distilling.lost(con, number, session)
                    if outcome["fault"] is None:
                        at = times.naive(self._clock())
                        taken = distilling.settle(con, session, got.learnt, distiller=name, now=at)
                        taken = taken._replace(refused=(*got.refused, *taken.refused))
                    distilling.end(con, number, taken, **outcome)
            except BaseException:  # the session is free again, what was paid is recorded
                with contextlib.suppress(Exception), self._store.write() as con:
                    distilling.end(con, number, None, **outcome)
                raise
        return got, taken, outcome["fault"]

    def _renew(self, name: str) -> None:
        with self._store.write() as con:
            distilling.renew(con, name)


def _sum_up(
    name: str, takings: Sequence[Taken], left: int, failed: Sequence[str] = (), cost: float | None = 0.0
) -> Distillation:
    return Distillation(
        distiller=name,
        sessions=len(takings),
        insights=sum(each.insights for each in takings),
        merged=sum(each.merged for each in takings),
        refused=tuple(why for each in takings for why in each.refused),
        failed=tuple(failed),
        left=left,
        cost_usd=cost,
    )


def _hidden(quiet: bool) -> dict[str, bool]:  # noqa: FBT001 (the one question)
    """Return what hides a progress bar; where none is to be hidden, TQDM_DISABLE decides."""
    return {"disable": True} if quiet else {}

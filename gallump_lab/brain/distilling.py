"""Distil a lab's ended sessions, by fixed rules or by the model, with a progress bar, resumable."""

import contextlib
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gallump_lab.brain import claude, distiller
from gallump_lab.brain.faults import BadRequest, ConnectionLost, NoAccess, RateLimited, ServerTrouble, TimedOut
from gallump_lab.brain.prices import confirmed, price
from gallump_lab.brain.records import Usage
from gallump_lab.brain.turns import PriceUnknown, SpendingLimit, check_spending
from gallump_lab.config import Config
from gallump_lab.memory import distilling, ledger, rules
from gallump_lab.memory.distilling import Taken, together
from gallump_lab.memory.records import AsOf
from gallump_lab.reading.symbols import spellings
from gallump_lab.store import Store, times

CLOSED = (NoAccess, BadRequest)
"""After one of these no other session fares better."""
AWAY = (ConnectionLost, TimedOut, RateLimited, ServerTrouble)
PATIENCE = 2
"""After so many sessions in a row that failed for one of these, the server is left alone."""
NAMED = 10
"""So many refusals and failures are told one by one; the rest are counted."""
TAKEN = "This process was away for so long that another took it over, so nothing that was learnt of it here was kept."
FORGOTTEN = "A message of it was forgotten meanwhile, so nothing that was learnt of it was kept."


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


NOBODY = (
    "There is neither a key nor a base URL, so no model can distil. Set ANTHROPIC_API_KEY, or let the rules do it: "
    "lab.distill(by='rules')."
)


class AutoDistiller:
    """Distils a chat's sessions once they have ended, without being asked.

    Parameters
    ----------
    store : Store
        The lab file.
    clock : callable
        Tells the time, UTC.
    symbols : callable, optional
        Gives the broker's universe, for the rules.
    """

    def __init__(
        self, store: Store, clock: Callable[[], datetime], symbols: Callable[[], Collection[str]] = frozenset
    ) -> None:
        self._store, self._clock, self._symbols = store, clock, symbols
        self._thread: threading.Thread | None = None
        self._trouble: list[str] = []

    def catch_up(self, config: Config, *, asking: bool = True) -> None:
        """Distil what is due, as the configuration says: by rules at once, by the model in the background.

        Parameters
        ----------
        config : Config
            The one in force.
        asking : bool
            Whether a question is being asked; unless it is, nothing is sent, and a progress bar is shown.
        """
        try:
            if config.cold.distiller == "rules":
                _by_rules(
                    self._store,
                    config,
                    times.here(self._clock, config.time_zone),
                    chats=True,
                    quiet=asking,
                    symbols=self._symbols,
                )
            elif config.cold.distiller == "model" and asking and not claude.reachable(config.model):
                with self._store.read() as con:
                    name, minutes = claude.model_name(config.model), config.session_minutes
                    waiting = distilling.due(con, name, self._clock(), minutes, chats=True)
                self._trouble = [NOBODY] if waiting else []
            elif config.cold.distiller == "model" and asking and not self._busy():
                self._thread = threading.Thread(target=self._ask, args=(config,), name="gallump-learner", daemon=True)
                self._thread.start()
        except Exception as error:  # noqa: BLE001 - the question that waits for this is answered all the same
            self._trouble.append(f"{type(error).__name__}: {error}")

    def told(self) -> str | None:
        """Return what went wrong since this was last asked, in words; what could not be distilled is tried again."""
        told, self._trouble = dict.fromkeys(self._trouble), []
        return f"Past sessions could not be distilled; lab.distill() tries again. {' '.join(told)}" if told else None

    def _busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def wait(self) -> None:
        """Wait until what is under way in the background has ended."""
        if self._thread is not None:
            self._thread.join()

    def _ask(self, config: Config) -> None:
        try:
            with self._store.read() as con:
                name, minutes = claude.model_name(config.model), config.session_minutes
                wanted = distilling.due(con, name, self._clock(), minutes, chats=True)
            found = _by_model(self._store, config, self._clock, wanted, confirm=lambda _: True, quiet=True)
            self._trouble += found.failed[:1]
        except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
            self._trouble.append(f"{type(error).__name__}: {error}")


def _first(words: Sequence[str]) -> list[str]:
    more = len(words) - NAMED
    return [*words[:NAMED], *([f"... and {more:,} more."] if more > 0 else [])]


def distil(  # noqa: PLR0913 (the seams)
    store: Store,
    config: Config,
    clock: Callable[[], datetime],
    *,
    by: str | None = None,
    wanted: Sequence[str] | None = None,
    confirm: Callable[[str], bool] | None = None,
    stop: threading.Event | None = None,
    symbols: Callable[[], Collection[str]] = frozenset,
) -> Distillation:
    """Distil the ended sessions that are due; an interrupt keeps what is done. See `Lab.distill`.

    Raises
    ------
    ValueError
        If `by` is none of the distillers, or a wanted session is not in the lab or has not ended.
    NoAccess
        If the model is to distil and there is nobody to ask.
    """
    if by is None:
        by = "model" if config.cold.distiller == "model" else "rules"
    if by not in {"rules", "model"}:
        msg = f"by must be 'rules' or 'model', not {by!r}."
        raise ValueError(msg)
    with store.read() as con:
        for session_id in wanted or ():
            distilling.check_ended(con, session_id, clock(), config.session_minutes)
    if by == "rules":
        return _by_rules(store, config, times.here(clock, config.time_zone), wanted, symbols=symbols)
    return _by_model(store, config, clock, wanted, confirm=confirm, stop=stop)


def _by_rules(  # noqa: PLR0913 (the seams)
    store: Store,
    config: Config,
    now: datetime,
    wanted: Sequence[str] | None = None,
    *,
    chats: bool = False,
    quiet: bool = False,
    symbols: Callable[[], Collection[str]],
) -> Distillation:
    from tqdm import tqdm  # type: ignore[import-untyped]

    def known() -> Collection[str]:
        try:
            return frozenset(map(str, symbols()))
        except Exception:  # noqa: BLE001 - a broker that is down: the lab's own symbols must do
            return ()

    takings: list[Taken] = []
    done = total = 0
    with tqdm(desc="Distilling", unit=" sessions", delay=1, **_hidden(quiet)) as bar:
        try:
            for number, total, taken in distilling.by_rules(
                store, config, now, chats=chats, wanted=wanted, symbols=known
            ):
                takings.append(taken)
                done += number
                bar.total = total
                bar.update(number)
        except KeyboardInterrupt:
            if quiet or not done:
                raise
    found = together(takings)
    return Distillation(
        distiller=rules.NAME,
        sessions=found.sessions,
        insights=found.insights,
        merged=found.merged,
        refused=found.refused,
        left=total - done,
    )


def _by_model(  # noqa: PLR0913 (the seams)
    store: Store,
    config: Config,
    clock: Callable[[], datetime],
    wanted: Sequence[str] | None,
    *,
    confirm: Callable[[str], bool] | None,
    stop: threading.Event | None = None,
    quiet: bool = False,
) -> Distillation:
    from tqdm import tqdm

    stop = stop or threading.Event()

    model, name = config.model, claude.model_name(config.model)
    if not claude.reachable(model):
        raise NoAccess(NOBODY)
    minutes = config.session_minutes
    with store.read() as con:
        sessions = distilling.due(con, name, clock(), minutes, wanted=wanted)
    result = Distillation(distiller=name, left=len(sessions))
    if not sessions:
        return result
    if not (confirm or confirmed)(_price(store, config, sessions, name, times.here(clock, config.time_zone))):
        return replace(result, failed=("The price was not agreed to: nothing was sent.",))
    troubles = 0
    for session_id in tqdm(sessions, desc="Distilling", unit=" sessions", delay=1, **_hidden(quiet)):
        try:
            with store.read() as con:
                check_spending(con, clock(), model, name)
        except (SpendingLimit, PriceUnknown) as error:
            return replace(result, failed=(*result.failed, str(error)))
        with distilling.at_work(store) as claim:
            result, got = _one(store, config, clock, session_id, result, stop, claim.name)
        if stop.is_set() or (got and got.interruption):
            break
        troubles = troubles + 1 if got and isinstance(got.fault, AWAY) else 0
        if troubles == PATIENCE or (got and isinstance(got.fault, CLOSED)):
            return replace(result, failed=(*result.failed, f"{_sessions(result.left)} were not tried any more."))
    return result


def _hidden(quiet: bool) -> dict[str, bool]:  # noqa: FBT001 (the one question)
    """Return what hides a progress bar; where none is to be hidden, TQDM_DISABLE decides."""
    return {"disable": True} if quiet else {}


def _price(store: Store, config: Config, sessions: Sequence[str], name: str, now: datetime) -> str:
    """Return what distilling sessions will take."""
    sent = 0
    costs: list[float | None] = []
    found = price(name, config.model.prices)
    known = found and found.cost(Usage(input_tokens=distiller.KNOWN, output_tokens=0))  # it is sent with each session
    for session_id in sessions:
        with store.read() as con:
            session = distilling.read(con, session_id, name, config.session_minutes, now)
        tokens, cost = distiller.estimate(session.messages, model=config.model)
        sent += tokens
        costs += [cost, known]
    most = "the price is not known" if None in costs else f"at most ${sum(filter(None, costs)):.4f}"
    return f"Distilling {_sessions(len(sessions))} with {name}: {sent:,} tokens of prompts, as estimated: {most}."


def _one(  # noqa: PLR0913, PLR0917 (what a session needs)
    store: Store,
    config: Config,
    clock: Callable[[], datetime],
    session_id: str,
    result: Distillation,
    stop: threading.Event,
    name: str,
) -> tuple[Distillation, distiller.Distilled | None]:
    """Distil one session; a failure is recorded with its cost and leaves it to be tried again."""
    now = times.here(clock, config.time_zone)
    claimed = distilling.claim(store, session_id, result.distiller, config.session_minutes, now, name)
    if claimed is None:
        return replace(result, left=result.left - 1), None
    number, session = claimed
    outcome: dict[str, Any] = {"fault": "It broke off."}
    try:
        with store.read() as con:
            symbols = {each for message in session.messages for each in spellings(message.symbol or "")}
            moment = AsOf(at=now, seen_message=session.seen, seen_insight=ledger.EVER["seen"])
            known = [each for each in ledger.alive(con, moment) if (each.symbol or "") in symbols]
        got = distiller.ask(session.messages, known[::-1], model=config.model, stop=stop)
        usage, fault, taken = got.usage, got.notice, None
        outcome = {
            "input_tokens": usage and usage.input_tokens,
            "output_tokens": usage and usage.output_tokens,
            "cost_usd": got.cost_usd,
            "latency": got.latency,
            "fault": fault,
        }
        with store.write() as con:
            if got.state == "complete" and not distilling.held(con, number):
                outcome["fault"] = fault = TAKEN
            elif got.state == "complete" and not distilling.whole(con, session):
                outcome["fault"] = fault = FORGOTTEN
            elif got.state == "complete":
                taken = distilling.settle(
                    con, session, got.learnt, distiller=result.distiller, now=times.naive(clock())
                )
                taken = replace(taken, refused=(*got.refused, *taken.refused))
            distilling.record(con, number, "failed" if taken is None else "complete", taken, **outcome)
    except BaseException:  # the session is free again, what was paid is recorded
        with contextlib.suppress(Exception), store.write() as con:
            distilling.record(con, number, "failed", None, **outcome)
        raise
    cost = None if result.cost_usd is None or got.cost_usd is None else result.cost_usd + got.cost_usd
    if taken is None:
        why = f"Session {session_id}: {fault}"
        return replace(result, failed=(*result.failed, why), cost_usd=cost), got
    result = replace(
        result,
        sessions=result.sessions + 1,
        insights=result.insights + taken.insights,
        merged=result.merged + taken.merged,
        refused=(*result.refused, *taken.refused),
        left=result.left - 1,
        cost_usd=cost,
    )
    return result, got


def _sessions(number: int) -> str:
    return f"{number:,} session{'s' * (number != 1)}"

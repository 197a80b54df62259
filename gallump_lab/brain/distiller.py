"""Distil a lab's ended sessions, by fixed rules or by the model, with a progress bar, resumable; or unasked."""

import contextlib
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gallump_lab import tokens
from gallump_lab.brain import model_insights
from gallump_lab.brain.answer import BrokenReply, EmptyReply, NoAccess
from gallump_lab.brain.claude import find_model
from gallump_lab.brain.prices import PriceUnknown, SpendingLimit, check_spending, confirmed
from gallump_lab.config import Config
from gallump_lab.memory import distilling, ledger, rules
from gallump_lab.memory.distilling import Distillation, Session
from gallump_lab.memory.records import AsOf
from gallump_lab.store import Store, locks, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gallump_lab.memory.records import Learnt

BATCH = 20
"""So many sessions are distilled by rules in one step."""

_NOBODY = (
    "There is neither a key nor a base URL, so no model can distil. Set ANTHROPIC_API_KEY, or let the rules do it: "
    "lab.distill(by='rules')."
)


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
        if config.cold.distiller == "rules":
            self._attempt(lambda: self._by_rules(config, waiting, quiet=quiet))
        elif config.model.answering == tokens.OFFLINE:
            self._trouble = [_NOBODY]
        elif self._thread is None or not self._thread.is_alive():
            go_on = threading.Event()
            self._thread = threading.Thread(
                target=self._attempt,
                args=(lambda: self._by_model(config, waiting, confirm=lambda _: True, stop=go_on, quiet=True),),
                name="gallump-distiller",
                daemon=True,
            )
            self._thread.start()

    def _attempt(self, distil: Callable[[], Distillation]) -> None:
        try:
            self._trouble += distil().failed[:1]
        except Exception as error:  # noqa: BLE001 - the question that waits for this is answered all the same
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
            raise NoAccess(_NOBODY)
        find_model(config.model)
        name = rules.NAME if by == "rules" else config.model.answering
        with self._store.read() as con:
            if session_id is not None:
                distilling.check_ended(con, session_id, self._clock(), config.session_minutes)
            wanted = None if session_id is None else [session_id]
            sessions = distilling.due(con, name, self._clock(), config.session_minutes, wanted=wanted)
        if by == "rules":
            return self._by_rules(config, sessions)
        return self._by_model(config, sessions, confirm=confirm or confirmed, stop=stop or threading.Event())

    def by_rules(self, config: Config, waiting: Sequence[str]) -> "list[tuple[Session, Sequence[Learnt]]]":
        """Return what the rules find in sessions; nothing of it is kept yet."""
        read = self._read(config, rules.NAME, waiting)
        with self._store.read() as con:
            known = distilling.symbols(con)
        with contextlib.suppress(Exception):  # a broker that is down: the lab's own symbols must do
            known.update(map(str, self._symbols()))
        return [(each, rules.distil(each.messages, tokens=config.cold.tokens, known=known)) for each in read]

    def _read(self, config: Config, name: str, sessions: Sequence[str]) -> list[Session]:
        now = times.here(self._clock, config.time_zone)
        with self._store.read() as con:
            return [distilling.read(con, each, name, config.session_minutes, now) for each in sessions]

    def _by_rules(self, config: Config, sessions: Sequence[str], *, quiet: bool = False) -> Distillation:
        total = Distillation(distiller=rules.NAME)
        with _progress(sessions, quiet=quiet) as bar:
            for start in range(0, len(sessions), BATCH):
                found = self.by_rules(config, sessions[start : start + BATCH])
                with self._store.write() as con:
                    total += distilling.keep(con, found, self._clock(), config.session_minutes)
                bar.update(len(found))
        return total

    def _by_model(
        self,
        config: Config,
        sessions: Sequence[str],
        *,
        confirm: Callable[[str], bool],
        stop: threading.Event,
        quiet: bool = False,
    ) -> Distillation:
        total = Distillation(distiller=config.model.answering, left=len(sessions))
        if sessions and not confirm(self._price(config, sessions)):
            return replace(total, failed=("The price was not agreed to: nothing was sent.",))
        for session_id in _progress(sessions, quiet=quiet):
            try:
                found, over = self._one(config, session_id, stop)
            except (SpendingLimit, PriceUnknown) as error:
                return replace(total, failed=(*total.failed, str(error)))
            total += found
            if over:
                break
        return total

    def _price(self, config: Config, sessions: Sequence[str]) -> str:
        """Return what distilling sessions will take, in words."""
        name = config.model.answering
        read = self._read(config, name, sessions)
        hints = config.recall.hints > 0
        estimates = (model_insights.estimate(each.messages, model=config.model, hints=hints) for each in read)
        sent, costs = zip(*estimates, strict=True)
        most = "the price is not known" if None in costs else f"at most ${sum(costs):.4f}"
        what = distilling.counted(len(sessions))
        return f"Distilling {what} with {name}: {sum(sent):,} tokens of prompts, as estimated: {most}."

    def _one(self, config: Config, session_id: str, stop: threading.Event) -> tuple[Distillation, bool]:
        """Distil one session by the model; a failure is recorded with its cost and leaves it to be tried again.

        Returns
        -------
        Distillation
            What came of it.
        bool
            Whether no other session would fare better: it was stopped, or the model cannot be reached.
        """
        name, minutes, now = config.model.answering, config.session_minutes, times.here(self._clock, config.time_zone)
        with locks.Claim(self._renew) as claim:
            with self._store.write() as con:
                check_spending(con, now, config.model)
                if not distilling.due(con, name, now, minutes, wanted=[session_id]):  # another has it by now
                    return Distillation(distiller=name, left=-1), False
                session = distilling.read(con, session_id, name, minutes, now)
                number = distilling.begin(con, session, name, now, claim.name)
                symbols = {message.symbol or "" for message in session.messages}
                moment = AsOf(at=now, seen_message=session.seen, seen_insight=ledger.EVER["seen"])
                known = [each for each in ledger.alive(con, moment) if (each.symbol or "") in symbols]
            outcome: dict[str, Any] = {"fault": "It broke off."}
            found = None
            try:
                got = model_insights.ask(
                    session.messages, known[::-1], model=config.model, stop=stop, hints=config.recall.hints > 0
                )
                answer = got.answer
                outcome |= {
                    "input_tokens": answer.usage and answer.usage.input_tokens,
                    "output_tokens": answer.usage and answer.usage.output_tokens,
                    "cost_usd": answer.cost_usd,
                    "latency": answer.latency,
                }
                with self._store.write() as con:
                    fault = got.notice or (None if distilling.is_kept(con, number, session) else distilling.LOST)
                    if fault is None:
                        found = distilling.settle(con, session, got.learnt, distiller=name, now=times.naive(now))
                        found = replace(found, refused=got.refused + found.refused)
                    distilling.end(con, number, found, **outcome | {"fault": fault})
            except BaseException:  # the session is free again, what was paid is recorded
                with contextlib.suppress(Exception), self._store.write() as con:
                    distilling.end(con, number, None, **outcome)
                raise
        if found:
            return replace(found, left=-1, cost_usd=answer.cost_usd, told=tuple(filter(None, (answer.told,)))), False
        failed = Distillation(distiller=name, failed=(f"Session {session_id}: {fault}",), cost_usd=answer.cost_usd)
        unreadable = answer.fault is None or isinstance(answer.fault, BrokenReply | EmptyReply)
        return failed, stop.is_set() or bool(answer.interruption) or not unreadable

    def _renew(self, name: str) -> None:
        with self._store.write() as con:
            distilling.renew(con, name)


def _progress(sessions: Sequence[str], *, quiet: bool) -> Any:
    """Return a progress bar over sessions; where it is not to be quiet, TQDM_DISABLE decides."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    hidden = {"disable": True} if quiet else {}
    return tqdm(sessions, desc="Distilling", unit=" sessions", delay=1, **hidden)

"""Distil a lab's ended sessions, by fixed rules or by the model, with a progress bar, resumable; or unasked."""

import contextlib
import math
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gallump_lab import tokens
from gallump_lab.brain import batches, model_insights
from gallump_lab.brain.answer import Answer, BrokenReply, EmptyReply, ModelError, NoAccess
from gallump_lab.brain.claude import find_model
from gallump_lab.brain.model_insights import Distilled
from gallump_lab.brain.prices import PriceUnknown, SpendingLimit, check_spending, confirmed
from gallump_lab.brain.request import Request
from gallump_lab.config import Config
from gallump_lab.memory import distilling, ledger, rules
from gallump_lab.memory.distilling import Distillation, Session
from gallump_lab.memory.records import AsOf
from gallump_lab.store import Store, locks, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gallump_lab.memory.ledger import Known
    from gallump_lab.memory.records import Learnt, Message

BATCH = 20
"""So many sessions are distilled by rules in one step."""
TOGETHER = 1_000
"""So many sessions the model is asked for in one batch, which so stays far below the 256 MB that it may have."""

_REFUSED = "The price was not agreed to: nothing was sent."
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
                args=(lambda: self._by_model(config, waiting, go_on, quiet=True),),
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

    def run(  # noqa: PLR0913 (what `Lab.distill` takes)
        self,
        config: Config,
        session_id: str | None = None,
        *,
        by: str | None = None,
        batch: bool | str = False,
        confirm: Callable[[str], bool] | None = None,
        stop: threading.Event | None = None,
    ) -> Distillation:
        """Distil the ended sessions that are due, or one; an interrupt keeps what is done. See `Lab.distill`.

        Raises
        ------
        ValueError
            If `by` is none of the distillers, or the session is not in the lab or has not ended, or none waits in the
            batch.
        NoAccess
            If the model is to distil and there is nobody to ask.
        ModelError
            If a batch that was submitted before cannot be had.
        """
        by = by or ("model" if batch or config.cold.distiller == "model" else "rules")
        if by not in {"rules", "model"} or (batch and by == "rules"):
            known = "batch needs by='model'" if batch else "by must be 'rules' or 'model'"
            msg = f"{known}, not {by!r}."
            raise ValueError(msg)
        if by == "model" and config.model.answering == tokens.OFFLINE:
            raise NoAccess(_NOBODY)
        find_model(config.model)
        stop = stop or threading.Event()
        if isinstance(batch, str):
            return self._take_up(config, batch, stop)
        name = rules.NAME if by == "rules" else config.model.answering
        with self._store.read() as con:
            if session_id is not None:
                distilling.check_ended(con, session_id, self._clock(), config.session_minutes)
            wanted = None if session_id is None else [session_id]
            sessions = distilling.due(con, name, self._clock(), config.session_minutes, wanted=wanted)
            waiting = Counter(batch for *_, batch in distilling.held(con))
        if by == "rules":
            return self._by_rules(config, sessions)
        sent = sessions[:TOGETHER] if batch else sessions
        words, most = self._price(config, sent, batched=batch) if sent else ("", None)
        if sent and not (confirm or confirmed)(words):
            found = Distillation(distiller=name, left=len(sent), failed=(_REFUSED,))
        elif batch:
            found = self._by_batch(config, sent, most, stop)
        else:
            found = self._by_model(config, sent, stop)
        told = (f"Batch {b} holds {distilling.counted(n)}: lab.distill(batch={b!r})." for b, n in waiting.items())
        return replace(found, left=found.left + len(sessions) - len(sent), told=(*found.told, *told))

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
        self, config: Config, sessions: Sequence[str], stop: threading.Event, *, quiet: bool = False
    ) -> Distillation:
        total = Distillation(distiller=config.model.answering, left=len(sessions))
        for session_id in _progress(sessions, quiet=quiet):
            try:
                found, over = self._one(config, session_id, stop)
            except (SpendingLimit, PriceUnknown) as error:
                return replace(total, failed=(*total.failed, str(error)))
            total += found
            if over:
                break
        return total

    def _by_batch(
        self, config: Config, sessions: Sequence[str], most: float | None, stop: threading.Event
    ) -> Distillation:
        """Submit sessions as one batch, which holds them and may cost so many USD, and wait for what it brings."""
        total = Distillation(distiller=config.model.answering, left=len(sessions))
        batch = ""
        with locks.Claim(self._renew) as claim:
            try:
                begun = (self._begin(config, each, claim.name, most or 0.0) for each in sessions)
                asked = dict(_request(config, *each)[:2] for each in begun if each)
                if asked and not stop.is_set():
                    batch = batches.submit(asked, config.model, stop)
                    with self._store.write() as con:
                        distilling.hand_over(con, claim.name, batch, batches.DAYS, most and most / len(asked))
            except (SpendingLimit, PriceUnknown, ModelError) as error:
                return replace(total, failed=(str(error),))
            finally:
                with self._store.write() as con:
                    distilling.release(con, claim.name)
        return self._take_up(config, batch, stop) if batch else replace(total, left=len(asked))

    def _take_up(self, config: Config, batch: str, stop: threading.Event) -> Distillation:
        """Wait for a batch and take what it brings; a session of which nothing can be taken is free again."""
        minutes, now = config.session_minutes, times.here(self._clock, config.time_zone)
        with self._store.read() as con:
            held = []
            for number, session_id, name, seen, _ in distilling.held(con, batch):
                session = distilling.read(con, session_id, name, minutes, now)
                sent = [each for each in session.messages if each.message_id <= seen]
                held.append((number, replace(session, messages=sent), name))
        if not held:
            msg = f"No session of this lab waits in batch {batch!r}."
            raise ValueError(msg)
        asked = [_request(config, number, session) for number, session, _ in held]
        took = batches.ask(dict(each[:2] for each in asked), config.model, batch=batch, stop=stop)
        total = Distillation(distiller=held[0][2], left=len(held), told=(took.left,) if took.left else ())
        for (number, session, name), (key, _, shown) in () if took.left else zip(held, asked, strict=True):
            if key in took.answers:
                got = model_insights.believed(took.answers[key], shown, hints=config.recall.hints > 0)
                total += self._keep(number, session, name, got)
                continue
            with self._store.write() as con:
                distilling.end(con, number, None, fault=distilling.LOST)
            told = f"Session {session.session_id}: {distilling.LOST}"
            total += Distillation(distiller=name, failed=(told,), cost_usd=None)
        return total

    def _price(self, config: Config, sessions: Sequence[str], *, batched: bool = False) -> tuple[str, float | None]:
        """Return what distilling sessions will take, in words, and USD at most."""
        name = config.model.answering
        read = self._read(config, name, sessions)
        hints = config.recall.hints > 0
        estimates = (model_insights.estimate(each.messages, model=config.model, hints=hints) for each in read)
        sent, costs = zip(*estimates, strict=True)
        most = None if None in costs else sum(costs) * (batches.share() if batched else 1)
        words = "the price is not known" if most is None else f"at most ${most:.4f}"
        what = f"{distilling.counted(len(sessions))} with {name}" + (f" {batches.terms()}" if batched else "")
        return f"Distilling {what}: {sum(sent):,} tokens of prompts, as estimated: {words}.", most

    def _one(self, config: Config, session_id: str, stop: threading.Event) -> tuple[Distillation, bool]:
        """Distil one session by the model; a failure is recorded with its cost and leaves it to be tried again.

        Returns
        -------
        Distillation
            What came of it.
        bool
            Whether no other session would fare better: it was stopped, or the model cannot be reached.
        """
        name = config.model.answering
        with locks.Claim(self._renew) as claim:
            begun = self._begin(config, session_id, claim.name)
            if begun is None:  # another has it by now
                return Distillation(distiller=name, left=-1), False
            number, session, known = begun
            outcome: dict[str, Any] = {"fault": "It broke off."}
            try:
                got = model_insights.ask(
                    session.messages, known, model=config.model, stop=stop, hints=config.recall.hints > 0
                )
                outcome |= _paid(got.answer)
                found = self._keep(number, session, name, got)
            except BaseException:  # the session is free again, what was paid is recorded
                with contextlib.suppress(Exception), self._store.write() as con:
                    distilling.end(con, number, None, **outcome)
                raise
        answer = got.answer
        unreadable = answer.fault is None or isinstance(answer.fault, BrokenReply | EmptyReply)
        over = stop.is_set() or bool(answer.interruption) or not unreadable
        return found, not found.sessions and over

    def _begin(
        self, config: Config, session_id: str, claim: str, coming: float = 0.0
    ) -> "tuple[int, Session, Sequence[Known]] | None":
        """Claim a session, if it is still due; return the record's number, the session and what is known already.

        Nothing is claimed that the day's limit has no room for, with `coming` USD.
        """
        name, minutes, now = config.model.answering, config.session_minutes, times.here(self._clock, config.time_zone)
        with self._store.write() as con:
            check_spending(con, now, config.model, coming)
            if not distilling.due(con, name, now, minutes, wanted=[session_id]):
                return None
            session = distilling.read(con, session_id, name, minutes, now)
            number = distilling.begin(con, session, name, now, claim)
            symbols = {message.symbol or "" for message in session.messages}
            moment = AsOf(at=now, seen_message=session.seen, seen_insight=ledger.EVER["seen"])
            known = [each for each in ledger.alive(con, moment) if (each.symbol or "") in symbols]
        return number, session, known[::-1]

    def _keep(self, number: int, session: Session, name: str, got: Distilled) -> Distillation:
        """Put what can be believed of an answer into the lab, and record what it cost."""
        found, now = None, times.naive(self._clock())
        with self._store.write() as con:
            fault = got.notice or (None if distilling.is_kept(con, number, session) else distilling.LOST)
            if fault is None:
                found = distilling.settle(con, session, got.learnt, distiller=name, now=now)
                found = replace(found, refused=got.refused + found.refused)
            distilling.end(con, number, found, **_paid(got.answer), fault=fault)
        if found:
            told = tuple(filter(None, (got.answer.told,)))
            return replace(found, left=-1, cost_usd=got.answer.cost_usd, told=told)
        failed = (f"Session {session.session_id}: {fault}",)
        return Distillation(distiller=name, failed=failed, cost_usd=got.answer.cost_usd)

    def _renew(self, name: str) -> None:
        with self._store.write() as con:
            distilling.renew(con, name)


def _request(
    config: Config, number: int, session: Session, known: "Sequence[Known]" = ()
) -> tuple[str, Request, "Mapping[int, Message]"]:
    """Return what is sent of a session, by which numbers it shows which messages, and first a name that tells these."""
    hints = config.recall.hints > 0
    request, shown = model_insights.requested(session.messages, known, config.model, hints=hints)
    return batches.name(number, [message.message_id for message in shown.values()]), request, shown


def _paid(answer: Answer) -> dict[str, Any]:
    """Return what an answer took, as it is recorded."""
    usage, seconds = answer.usage, answer.latency
    return {
        "input_tokens": usage and usage.input_tokens,
        "output_tokens": usage and usage.output_tokens,
        "cost_usd": answer.cost_usd,
        "latency": None if math.isnan(seconds) else seconds,
    }


def _progress(sessions: Sequence[str], *, quiet: bool) -> Any:
    """Return a progress bar over sessions; where it is not to be quiet, TQDM_DISABLE decides."""
    from gallump_lab.progress import progress

    hidden = {"disable": True} if quiet else {}
    return progress(sessions, desc="Distilling", unit=" sessions", delay=1, **hidden)

"""Claude in batches: many requests at once, answered within a day, most within an hour, at half the price.

Each is the request of a live call but for the stream. A batch is known by its id, which its bar shows: by that any
process takes up its answers, for as long as they are kept.
"""

import hashlib
import json
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gallump_lab.brain import answer as answers
from gallump_lab.brain.answer import Answer, line
from gallump_lab.brain.arrived import Arrived, events
from gallump_lab.brain.claude import answered, connect, failure, host, pause, prepared
from gallump_lab.brain.models import listed
from gallump_lab.brain.request import Request
from gallump_lab.tokens import OFFLINE

if TYPE_CHECKING:
    from gallump_lab.config import Model

DAYS = 29
"""So long the answers are kept."""
PAUSES = 2.0, 60.0
"""Seconds between two looks at a batch, at first and later on."""
LOOKS = 20
"""So many looks in a row may find the server or the network down."""
_DOWN = answers.ConnectionLost, answers.RateLimited, answers.ServerTrouble, answers.TimedOut


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch that was waited for."""

    id: str
    answers: Mapping[str, Answer]
    """By the names of their requests. Their time is not known (NaN); what was not answered costs nothing."""
    left: str | None = None
    """Why it was not waited for until it had ended, and how to go on, in words; None if it was."""


def share() -> float:
    """Return what a batch costs, as a share of the price."""
    return float(listed()["batch"])


def terms() -> str:
    """Return on what terms a batch is answered, in words."""
    return f"in a batch, which is answered within a day, at {share():.0%} of the price"


def name(number: int, about: object) -> str:
    """Name a request by a number and a digest of what its answer is about, lest it be taken for another's."""
    return f"{number}_{hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]}"


def ask(
    requests: Mapping[str, Request],
    model: "Model",
    *,
    batch: str | None = None,
    stop: threading.Event | None = None,
) -> Batch:
    """Submit a batch and wait for its answers, or take up one that was submitted before.

    A Ctrl-C, a stop or a server that is down for long ends the waiting and no more: `Batch.left` says how to go on.

    Parameters
    ----------
    requests : mapping of str to Request
        By names, each of at most 64 letters, digits, "_" and "-".
    model : Model
        Whom to ask.
    batch : str, optional
        The id of the batch to take up; its answers to other requests are passed over.
    stop : threading.Event, optional
        Once it is set this returns soon.

    Raises
    ------
    ModelError
        If there is nobody to ask, or the server has no batches, or none of this id, or refuses it.
    """
    if model.answering == OFFLINE:
        msg = "There is neither a key (ANTHROPIC_API_KEY) nor a base URL (ANTHROPIC_BASE_URL), so there are no batches."
        raise answers.NoAccess(msg)
    stop = stop or threading.Event()
    batch = batch or submit(requests, model, stop)
    try:
        if wait(batch, model, stop):
            return Batch(id=batch, answers=results(batch, requests, model))
        why = "Stopped."
    except KeyboardInterrupt:
        why = "Interrupted."
    except _DOWN as error:
        why = str(error)
    goes_on = f"Batch {batch} goes on; batch={batch!r} takes up its answers, which are kept for {DAYS} days."
    return Batch(id=batch, answers={}, left=f"{why} {goes_on}")


def submit(requests: Mapping[str, Request], model: "Model", stop: threading.Event) -> str:
    """Submit a batch and return its id; a Ctrl-C meanwhile is a stop, lest what is paid for be lost."""
    sent = [{"custom_id": each, "params": prepared(request, model)[0]} for each, request in requests.items()]

    def create(batches: Any) -> str:
        (found,) = re.findall(r"^\S{1,200}$", line(batches.create(requests=sent).id))
        return str(found)

    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(_call, model, create)
        try:
            made.exception()
        except KeyboardInterrupt:
            stop.set()
    return str(made.result())


def wait(batch: str, model: "Model", stop: threading.Event) -> bool:
    """Wait until a batch has ended, with a bar; return whether it has, for else it was stopped."""
    from gallump_lab.progress import progress

    def look(batches: Any) -> tuple[bool, int, int]:
        found = batches.retrieve(batch)
        counts = found.request_counts
        done = counts.succeeded + counts.errored + counts.canceled + counts.expired
        return found.processing_status == "ended", done, done + counts.processing

    down, seconds = 0, PAUSES[0]
    with progress(desc=f"Batch {batch}", unit=" requests") as bar:
        while True:
            try:
                (ended, bar.n, bar.total), down = _call(model, look, batch), 0
                bar.refresh()
                if ended:
                    return True
            except _DOWN:
                down += 1
                if down == LOOKS:
                    raise
            if stop.wait(seconds):
                return False
            seconds = min(1.5 * seconds, PAUSES[1])


def results(batch: str, requests: Mapping[str, Request], model: "Model") -> dict[str, Answer]:
    """Return the answers of a batch that has ended, by the names of their requests, in whatever order they come."""

    def read(batches: Any) -> dict[str, dict[str, Any]]:
        with batches.with_streaming_response.results(batch) as response:
            found = (json.loads(each) for each in response.iter_lines() if each.strip())
            return {each["custom_id"]: dict(each["result"]) for each in found}

    given = _call(model, read, batch)
    return {each: _answer(given[each], request, model) for each, request in requests.items() if each in given}


def cancel(batch: str, model: "Model") -> None:
    """Cancel a batch. What was answered by then is kept and billed; the rest is not."""
    _call(model, lambda batches: batches.cancel(batch), batch)


def _answer(result: Mapping[str, Any], request: Request, model: "Model") -> Answer:
    """Judge one result as a reply that came in a stream."""
    reply = Arrived(tool=request.tool.name if request.tool else "", thought=math.nan, over=True)
    reply.sent, kind = prepared(request, model)[1], result.get("type")
    if kind == "succeeded":
        for event in events(json.dumps(result.get("message")).encode()):
            reply.take(event)
    elif kind == "errored":
        reply.error = answers.told(result.get("error"), server=host(model), model=model.answering)
    else:
        why = f"The batch ended before this was answered ({line(kind)}). That costs nothing; ask again."
        reply.error = answers.ServerTrouble(why)
    return answered(request, model, reply, math.nan, share=share())


def _call(model: "Model", do: Callable[[Any], Any], batch: str | None = None) -> Any:
    """Do something with the server's batches, again where that may help; name what goes wrong."""
    tries, missing = 0, f"{host(model)} has no batches. Ask without batch=True, at the full price."
    if batch:
        kept = f"they are kept for {DAYS} days"
        missing = f"{host(model)} has no batch {batch}; {kept}. Check the id, the key and the base URL."
    while True:
        try:
            with connect(model, "Anthropic") as client:
                return do(client.messages.batches)
        except Exception as error:  # noqa: BLE001 - what a server sends may be anything
            seconds, fault = pause(error, tries), failure(error, model)
            if fault.status in {404, 405, 501}:
                raise answers.BadRequest(missing, status=fault.status) from None
            if seconds is None or tries >= model.max_retries:
                raise fault from None
        tries += 1
        time.sleep(seconds)

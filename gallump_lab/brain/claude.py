"""Claude, or any server that speaks the Messages API: one request, its stream, and what becomes of it.

The request runs in an event loop of its own thread, so that a stop ends it in every phase (connecting, waiting between
retries, waiting for the first word, in mid-stream) and the asking thread never waits for the network.
"""

import contextlib
import importlib
import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from gallump_lab import tokens
from gallump_lab.brain import answer as answers
from gallump_lab.brain.answer import Answer, State, clean, line
from gallump_lab.brain.arrived import Arrived, Sent, events
from gallump_lab.brain.models import facts, price_of_answer
from gallump_lab.brain.request import Request
from gallump_lab.config import DEFAULT_MODEL, SERVED, UNNAMED

if TYPE_CHECKING:
    import ssl

    from anthropic import AsyncAnthropic, AsyncStream

    from gallump_lab.config import Model

PATIENCE = 20.0
"""Seconds: what a server asks to be left alone for is waited out up to here; a longer wait is told to the user."""

_POLL = 0.05  # seconds between two looks at whether to stop
_QUICK = 3.0  # seconds for which a server may think about which models it has
_SILENT: set[str] = set()  # servers that took longer
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "effort": ("effort",),
    "format": ("format", "json_schema"),
    "cache_control": ("cache_control",),
    "citations": ("search_result", "citations"),
    "diagnostics": ("diagnostics",),
    "strict": ("strict",),
    "tools": ("tool", "schema"),
}
"""The fields that a request does without where a server refuses them, and what its refusal speaks of then."""
_UNKNOWN_HERE: dict[tuple[str, str], frozenset[str]] = {}
"""Which of them a server is known to refuse for a model."""


def ask(
    request: Request,
    *,
    model: "Model",
    on_text: Callable[[str], None],
    stop: threading.Event,
    on_thinking: Callable[[], None] | None = None,
) -> Answer:
    """Send a request and take what comes until it ends, fails or is stopped.

    Parameters
    ----------
    request : Request
        What is sent.
    model : Model
        Whom to ask, and within what bounds of time.
    on_text : callable
        Gets each piece of text as it arrives, in this thread.
    stop : threading.Event
        Once it is set this returns soon, in whatever phase; the request is ended too.
    on_thinking : callable, optional
        Called in this thread once the model begins to think.

    Returns
    -------
    Answer
        Also where the model or the network failed; its text and calls are cleaned, its recommendations not read yet.
    """
    started, sent = time.perf_counter(), not stop.is_set()
    reply = Arrived(tool=request.tool.name if request.tool else "")
    if sent:
        _receive(request, model, reply, (on_text, on_thinking or (lambda: None)), stop)
    return answered(request, model, reply, started, share=float(sent))


def answered(request: Request, model: "Model", reply: Arrived, started: float, *, share: float = 1.0) -> Answer:
    """Judge and price what has arrived of a reply.

    Parameters
    ----------
    request : Request
        What was sent.
    model : Model
        Who was asked.
    reply : Arrived
        What came.
    started : float
        When it was asked, by the performance counter; NaN where that tells nothing.
    share : float
        What it costs, as a share of the price; 0 where nothing was sent.
    """
    name, asked = model.answering, reply.sent or Sent(max_tokens=request.most(model), effort=None)
    fault = None
    if reply.over and not reply.ended:
        fault = failure(reply.error, model, begun=reply.begun)
    elif reply.over and reply.state == "cut" and reply.thinking is not None and not (reply.text.strip() or reply.calls):
        mend = "less effort (Model.effort), or with more room to think (Model.thinking)"
        if (known := facts(name)) is None or not known.thinks:  # it is given no room of its own
            mend = "more room (Budget.reply)"
        words = f"{name} spent all of its {asked.max_tokens:,} tokens on thinking and wrote nothing."
        fault = answers.EmptyReply(f"{words} Ask again with {mend}.")
    state: State = "stopped" if not reply.over else "failed" if fault else reply.state
    rate, cost = price_of_answer(name, reply.model, model), None
    if not share or (reply.error and not reply.begun and _is_unbilled(reply.error)):
        cost = 0.0
    elif rate:
        factor = tokens.FACTORS[tokens.family(name)]
        cost = rate.cost(reply.billed(request.tokens(model, factor), asked.max_tokens, factor)) * share
    return Answer(
        text=clean(reply.text),
        calls=tuple(map(clean, reply.calls)),
        model=name,
        answered=reply.model,
        sent={
            "max_tokens": asked.max_tokens,
            "effort": asked.effort,
            "without": [*asked.without],
            "message": reply.message,
            "missed": reply.missed,
        },
        told=asked.told,
        cited=tuple((result, len(clean(reply.text[:place]))) for result, place in reply.cited),
        usage=reply.told,
        cost_usd=cost,
        latency=time.perf_counter() - started,
        first_text=reply.first_at - started if reply.first_at else None,
        thinking=reply.thinking,
        stop_reason=reply.stop_reason and clean(reply.stop_reason),
        state=state,
        interruption=reply.interruption,
        fault=fault,
        plain=state == "complete" and reply.plain and tokens.family(reply.model or name) == tokens.family(name),
    )


def _receive(
    request: Request,
    model: "Model",
    reply: Arrived,
    hear: tuple[Callable[[str], None], Callable[[], None]],
    stop: threading.Event,
) -> None:
    """Take events until the stream is over, or is stopped, or who hears of it or a Ctrl-C breaks it off."""
    on_text, on_thinking = hear
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    hung_up = threading.Event()
    given = (request, model, events.put, hung_up)
    threading.Thread(target=_run, args=given, name="gallump-brain", daemon=True).start()
    try:
        while not stop.is_set():
            try:
                event = events.get(timeout=_POLL)
            except queue.Empty:
                continue
            if event is None or isinstance(event, Exception):
                reply.over, reply.error = True, event
                return
            thought = reply.thinking is not None
            if text := reply.take(event):
                on_text(text)
            if reply.thinking is not None and not thought:
                on_thinking()
    except BaseException as interruption:  # noqa: BLE001 - it goes on in the answer, and is raised once that is recorded
        reply.interruption = interruption
    finally:
        hung_up.set()


def _run(request: Request, model: "Model", put: Callable[[object], None], hung_up: threading.Event) -> None:
    """Run a stream in an event loop of this thread's own; put what ended it, an error or None, behind its events."""
    import asyncio  # takes a while, as the next

    error = None
    try:
        importlib.import_module("anthropic")  # takes seconds, once; a stop counts in them too
        asyncio.run(_until(hung_up, _stream(request, model, put)))
    except Exception as failed:  # noqa: BLE001 - whatever it is: the asking thread waits for an end, and names it
        error = failed
    put(error)


async def _until(hung_up: threading.Event, stream: Coroutine[Any, Any, None]) -> None:
    """Let a stream run to its end, or cancel it once nobody listens any more."""
    import asyncio

    task = asyncio.ensure_future(stream)
    while not task.done() and not hung_up.is_set():
        await asyncio.wait([task], timeout=_POLL)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def connect(model: "Model", kind: str, **options: Any) -> Any:
    """Build a client of the SDK's, "AsyncAnthropic" or "Anthropic"."""
    import anthropic

    key, token = (os.environ.get(name, "").strip() for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"))
    if not f"{key}{token}".isascii() or not f"{key}{token}".isprintable():  # the HTTP library's error would repeat it
        msg = "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN holds a character that no key has. Copy the key again."
        raise answers.NoAccess(msg)
    # Said outright, so that the SDK looks for no credentials of its own: a local server gets none.
    who = {"auth_token": token} if token and not key else {"api_key": key or "none"}
    trusted = _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    http = anthropic.DefaultAsyncHttpxClient if kind == "AsyncAnthropic" else anthropic.DefaultHttpxClient
    given = {"timeout": model.timeout, "max_retries": 0, "http_client": http(verify=trusted)} | options
    return getattr(anthropic, kind)(**who, base_url=model.server or None, **given)


async def _stream(request: Request, model: "Model", put: Callable[[object], None]) -> None:
    client = connect(model, "AsyncAnthropic")
    async with client, await _open(client, request, model, put) as stream:
        if stream.response.headers.get("content-type", "").startswith("application/json"):  # it knows no streams
            for event in events(await stream.response.aread()):
                put(event)
        else:
            async for event in stream:
                put(event)


def find_model(model: "Model") -> None:
    """Ask a server that is not Anthropic's whom "auto" means there, until it says so; till then it stays unnamed."""
    if not model.own_server and model.answering == UNNAMED and model.server not in _SILENT:
        models(model)


def models(model: "Model") -> tuple[str, ...]:
    """Return which models a server says it has, the one that "auto" means among them; none unless it says so soon."""
    try:
        with connect(model, "Anthropic", timeout=_QUICK) as client:
            names = [line(getattr(each, "id", None)) for each in client.models.list(limit=100).data or ()]
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the server, the question is told it
        if type(error).__name__ == "APITimeoutError":
            _SILENT.add(model.server)
        return ()
    found = tuple(name for name in names if name and len(name) <= 200)
    if found and not model.own_server:
        SERVED[model.server] = DEFAULT_MODEL if DEFAULT_MODEL in found else found[0]
    return found


def count(request: Request, model: "Model") -> int:
    """Ask the server how many tokens a request has (count_tokens); it costs nothing.

    Raises
    ------
    ModelError
        If the server does not say.
    """
    without = _UNKNOWN_HERE.get((model.server, model.answering), frozenset())
    while True:
        body = request.body(model, without)
        for name in ("max_tokens", "diagnostics"):
            body.pop(name, None)
        try:
            with connect(model, "Anthropic") as client:
                return int(client.messages.count_tokens(**body).input_tokens)
        except Exception as error:  # noqa: BLE001 - what a server sends may be anything
            if not (refused := _refused(error, body, model)):
                raise failure(error, model) from None
            without |= refused


@cache
def _trusted(*_environment: str | None) -> "ssl.SSLContext":
    """Return whose certificates are trusted; the SDK would read them anew for each request, which takes 20 ms."""
    from httpx2 import create_ssl_context  # the HTTP library that the SDK brings

    return create_ssl_context()


async def _open(
    client: "AsyncAnthropic", request: Request, model: "Model", put: Callable[[object], None]
) -> "AsyncStream[Any]":
    """Send the request, again if that may help, until a stream begins; optional fields that are refused are left out.

    A request that was sent and got no answer is not sent again: the server may be at work on it, and bill both. So the
    SDK's own retries, which do that, are off.
    """
    import asyncio

    from anthropic import APIError

    where, tries = (model.server, model.answering), 0
    known = without = _UNKNOWN_HERE.get(where, frozenset())
    while True:
        body = request.body(model, without)
        try:
            stream: AsyncStream[Any] = await client.messages.create(**body, stream=True)
        except APIError as error:
            if refused := _refused(error, body, model):
                without |= refused
                continue
            wait = pause(error, tries)
            if wait is None or tries >= model.max_retries:
                raise
            tries += 1
            await asyncio.sleep(wait)
        else:
            _UNKNOWN_HERE[where] = _UNKNOWN_HERE.get(where, known) | without  # another thread may know more
            put(_sent(body, without, without - known, model))
            return stream


def prepared(request: Request, model: "Model") -> tuple[dict[str, Any], Sent]:
    """Return what is sent, without the optional fields that the server is known to refuse, and what to tell of it."""
    without = _UNKNOWN_HERE.get((model.server, model.answering), frozenset())
    body = request.body(model, without)
    return body, _sent(body, without, (), model)


def _sent(body: Mapping[str, Any], without: Collection[str], new: Collection[str], model: "Model") -> Sent:
    words = None
    if new:
        fields = ", ".join(sorted(new))
        words = f"{model.answering} at {host(model)} does not take {fields}"
        words = f"{words}: asked without, now and from here on."
    effort = body.get("output_config", {}).get("effort")
    return Sent(max_tokens=body["max_tokens"], effort=effort, without=tuple(sorted(without)), told=words)


def _refused(error: Exception, body: Mapping[str, Any], model: "Model") -> frozenset[str]:
    """Return which optional fields of a request a server's refusal speaks of; the narrower where it names two."""
    status, said = getattr(error, "status_code", 0), str(error).lower()
    output, tools = body.get("output_config", {}), body.get("tools")
    has = {
        "effort": "effort" in output,
        "format": "format" in output,
        "cache_control": any("cache_control" in block for block in body.get("system", ())),
        "diagnostics": "diagnostics" in body,
        "citations": any(isinstance(each["content"], list) and len(each["content"]) > 1 for each in body["messages"]),
        "strict": tools and model.tools == "auto" and "strict" in tools[0],
        "tools": tools and model.tools == "auto",
    }
    found = [name for name, words in _OPTIONAL.items() if has[name] and any(word in said for word in words)]
    if not found and "output_config" in said:
        found = [name for name in ("effort", "format") if has[name]]
    if status not in {400, 422} and not (status >= 500 and {*found} <= {"strict", "tools"}):
        return frozenset()
    return frozenset(found[:1] if "tools" in found else found)


def pause(error: Exception, tries: int) -> float | None:
    """Return the seconds to wait before the request is sent again; None if that would not help or take too long."""
    status: int | None = getattr(error, "status_code", None)
    again = _is_unsent(error) if status is None else status >= 500 or status in {408, 409, 429}
    wait = answers.retry_after(error)
    if not again or (wait is not None and wait > PATIENCE):
        return None
    return min(0.5 * 2.0**tries, 8.0) if wait is None else wait


def _is_unsent(error: Exception) -> bool:
    return type(error.__cause__ or error).__name__ in {"ConnectError", "InvalidURL", "UnsupportedProtocol"}


def _is_unbilled(error: Exception) -> bool:
    """Whether nothing was sent, or the server refused it."""
    return isinstance(error, answers.ModelError) or hasattr(error, "status_code") or _is_unsent(error)


def failure(error: Exception | None, model: "Model", *, begun: bool = False) -> answers.ModelError:
    """Name what went wrong between this machine and a model's server."""
    return answers.failure(error, begun=begun, server=host(model), model=model.answering, timeout=model.timeout)


def host(model: "Model") -> str:
    """Return a server's host and port, for a message: a base URL may hold a password."""
    url = model.server or "https://api.anthropic.com"
    return url.partition("//")[2].rpartition("@")[2].partition("/")[0] or "the server"

"""Claude, or any server that speaks the Messages API: one request, its stream, and what becomes of it.

The request runs in an event loop of its own thread, so that a stop ends it in every phase (connecting, waiting between
retries, waiting for the first word, in mid-stream) and the asking thread never waits for the network.
"""

import asyncio
import importlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gallump_lab import tokens
from gallump_lab.brain import faults, recommendations
from gallump_lab.brain.prices import price
from gallump_lab.brain.received import Received, at
from gallump_lab.brain.records import Answer, Recommendation, State, Usage
from gallump_lab.memory.text import storable
from gallump_lab.secrets import masked

if TYPE_CHECKING:
    from ssl import SSLContext

    from anthropic import APIError, AsyncAnthropic, AsyncStream

    from gallump_lab.brain.prompt import Prompt
    from gallump_lab.config import Budget, Model

    Work = Callable[[Callable[[object], None]], Coroutine[Any, Any, None]]

PATIENCE = 20.0
"""Seconds: what a server asks to be left alone for is waited out up to here; a longer wait is told to the user."""

_POLL = 0.05  # seconds between two looks at whether to stop
_CHARACTERS = 32  # a token; no text comes near it, so whoever sends more than that ignores max_tokens
_SECRET = 16  # characters; a shorter key ("ollama") is a placeholder, and a word that a reply may hold
_TOOLS = ("tool", "strict", "schema")  # what a server's refusal speaks of when it cannot do tools
_STATES: Mapping[str | None, State] = {
    "max_tokens": "cut",
    "model_context_window_exceeded": "cut",
    "pause_turn": "cut",
    "refusal": "refused",
}


def model_name(model: "Model") -> str:
    """Return the model's name: ANTHROPIC_MODEL where it is set, else the configured one."""
    return _environment("ANTHROPIC_MODEL") or model.name


def reachable(model: "Model") -> bool:
    """Whether there is somebody to ask: a key, a token, or a base URL of a server that needs none."""
    return any((_environment("ANTHROPIC_API_KEY"), _environment("ANTHROPIC_AUTH_TOKEN"), _base_url(model)))


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a model is asked, whether for a chat's reply or for anything else."""

    system: str
    user: str
    max_tokens: int
    tool: Mapping[str, Any]
    """Through which it may give what is no prose; a server that cannot do tools is asked without."""
    forced: bool = False
    """Whether it must call the tool."""
    kept: str = faults.QUESTION_KEPT
    kept_part: str = faults.REPLY_KEPT
    """What a fault says was kept, before anything had arrived and after."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What became of one request; the fields that an `Answer` has too are the same there."""

    text: str
    calls: tuple[str, ...]
    """The JSON of each call of the tool."""
    model: str
    usage: Usage | None
    cost_usd: float | None
    latency: float
    first_text: float | None
    stop_reason: str | None
    state: State
    interruption: BaseException | None
    fault: faults.ModelError | None
    blocks: tuple[str, ...]
    """The kinds of its content blocks."""


def answer(
    prompt: "Prompt", *, model: "Model", budget: "Budget", on_text: Callable[[str], None], stop: threading.Event
) -> Answer:
    """Send a prompt and take the reply as it comes; see `Brain.send`."""
    request = Request(system=prompt.system, user=prompt.user, max_tokens=budget.reply, tool=recommendations.TOOL)
    got = exchange(request, model=model, on_text=on_text, stop=stop)
    text, state, fault = got.text, got.state, got.fault
    found, dropped = recommendations.read(got.calls, text)
    found = tuple(_cleaned(each) for each in found)  # a key may have stood in the JSON's escapes
    if found and got.calls and state in {"complete", "cut"}:  # so that it is remembered with the reply's words
        said = recommendations.prose(found)
        said = f"\n\n{said}" if text.strip() else said
        text += said
        on_text(said)
    if state == "complete" and not text.strip():
        state, fault = "failed", faults.EmptyReply(f"{got.model} gave an empty reply. Ask again. {request.kept}")
    return Answer(
        text=text,
        recommendations=found,
        dropped=tuple(map(clean, dropped)),
        model=got.model,
        usage=got.usage,
        cost_usd=got.cost_usd,
        latency=got.latency,
        first_text=got.first_text,
        stop_reason=got.stop_reason,
        state=state,
        interruption=got.interruption,
        fault=fault,
        plain=state == "complete" and got.blocks == ("text",),
    )


def exchange(request: Request, *, model: "Model", on_text: Callable[[str], None], stop: threading.Event) -> Exchange:
    """Send a request and take what comes until it ends, fails or is stopped."""
    started = time.perf_counter()
    name = model_name(model)
    reply = Received(room=request.max_tokens * _CHARACTERS, tool=request.tool["name"], clean=storable)
    sent = not stop.is_set()
    state, error = _receive(partial(_stream, request, model), reply, on_text, stop)
    fault = None if state else _fault(error, reply, model, request)
    if fault:
        fault.args = (masked(str(fault)),)  # whatever the server repeats
    state = state or ("failed" if fault else _STATES.get(reply.stop_reason, "complete"))
    text, calls = clean(masked("".join(reply.pieces))), tuple(clean("".join(call)) for call in reply.calls)
    known, cost = price(name, model.prices), None
    if not sent or (error and not reply.begun and _is_unbilled(error)):
        cost = 0.0
    elif known:
        prompt = "".join((request.system, request.user, json.dumps(request.tool)))
        cost = known.cost(reply.billed(prompt, request.max_tokens, tokens.FACTORS[tokens.family(name)]))
    return Exchange(
        text=text,
        calls=calls,
        model=name,
        usage=reply.told,
        cost_usd=cost,
        latency=time.perf_counter() - started,
        first_text=reply.first_at - started if reply.first_at else None,
        stop_reason=reply.stop_reason and clean(reply.stop_reason),
        state=state,
        interruption=reply.interruption,
        fault=fault,
        blocks=tuple(reply.blocks),
    )


def _is_unbilled(error: Exception) -> bool:
    """Whether nothing was sent, or the server refused it."""
    return isinstance(error, faults.ModelError) or at(error, "status_code") is not None or _is_unsent(error)


def _is_unsent(error: Exception) -> bool:
    return type(error.__cause__).__name__ == "ConnectError"


def _receive(
    work: "Work", reply: Received, on_text: Callable[[str], None], stop: threading.Event
) -> tuple[State | None, Exception | None]:
    """Take events until the stream ends, and give the error that ended it, or the state that ended the listening."""
    if stop.is_set():
        return "stopped", None
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    ended = threading.Event()
    threading.Thread(target=_run, args=(work, events.put, ended), name="gallump-brain", daemon=True).start()
    try:
        while not stop.is_set():
            try:
                event = events.get(timeout=_POLL)
            except queue.Empty:
                continue
            if isinstance(event, _Done):
                return None, event.error
            if text := reply.take(event):
                on_text(text)
            elif reply.room <= 0:
                return "cut", None
    except BaseException as interruption:  # noqa: BLE001 - it goes on in the answer, and is raised once that is recorded
        reply.interruption = interruption
    finally:
        ended.set()
    return "stopped", None


@dataclass
class _Done:
    """The end of a stream, and the error that ended it."""

    error: Exception | None


def _environment(name: str) -> str:
    return os.environ.get(name, "").strip()


def _base_url(model: "Model") -> str:
    return model.base_url or _environment("ANTHROPIC_BASE_URL")


def _secrets() -> list[str]:
    found = (_environment("ANTHROPIC_API_KEY"), _environment("ANTHROPIC_AUTH_TOKEN"))
    return [secret for secret in found if len(secret) >= _SECRET]


def _cleaned(idea: Recommendation) -> Recommendation:
    return replace(idea, size=clean(idea.size), horizon=clean(idea.horizon), rationale=clean(idea.rationale))


def clean(text: str) -> str:
    """Make a text one that can be stored: without keys, and without what is no character."""
    return storable(masked(faults.without(_secrets(), text)))


def _body(request: Request, name: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": name,
        "max_tokens": request.max_tokens,
        "messages": [{"role": "user", "content": request.user}],
    }
    if request.system:
        body["system"] = [{"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}}]
    return body


def _run(work: "Work", put: Callable[[object], None], ended: threading.Event) -> None:
    try:
        importlib.import_module("anthropic")  # takes seconds, once; a stop counts in them too
        with asyncio.Runner() as runner:
            error = runner.run(_until(ended, work(put)))
    except Exception as failed:  # noqa: BLE001 - whatever it is: the asking thread waits for an end, and names it
        error = failed
    put(_Done(error))


async def _until(ended: threading.Event, work: Coroutine[Any, Any, None]) -> Exception | None:
    """Let a coroutine run to its end, or cancel it once nobody waits for it any more; give the error that ended it."""
    task = asyncio.ensure_future(work)
    while not task.done() and not ended.is_set():
        await asyncio.wait([task], timeout=_POLL)
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    return result if isinstance(result, Exception) else None


async def _stream(request: Request, model: "Model", put: Callable[[object], None]) -> None:
    import anthropic

    _check(model, request.kept)
    key, token = _environment("ANTHROPIC_API_KEY"), _environment("ANTHROPIC_AUTH_TOKEN")
    # Said outright, so that the SDK looks for no credentials of its own: a local server gets none.
    who: dict[str, Any] = {"auth_token": token} if token and not key else {"api_key": key or "none"}
    client = anthropic.AsyncAnthropic(
        **who,
        base_url=_base_url(model) or None,
        timeout=model.timeout,
        max_retries=0,
        http_client=anthropic.DefaultAsyncHttpxClient(verify=_certificates()),
    )
    async with client, await _open(client, request, model) as stream:
        if stream.response.headers.get("content-type", "").startswith("application/json"):  # it knows no streams
            given = await stream.response.aread()
            put(json.loads(given, object_hook=lambda found: SimpleNamespace(**found)))
        else:
            async for event in stream:
                put(event)


@cache
def _certificates() -> "SSLContext":
    """Read the certificates that servers are known by once; it takes 20 ms, more than all else of a request."""
    import httpx

    return httpx.create_ssl_context()


def _check(model: "Model", kept: str) -> None:
    """Refuse a key or base URL that cannot be used; the HTTP library's own error would repeat it."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        value = _environment(name)
        if not (value.isascii() and value.isprintable()):
            msg = f"{name} holds a character that no key has. Copy the key again. {kept}"
            raise faults.NoAccess(msg)
    if not _server(model):
        msg = f"The base URL must be http:// or https:// and a host. Mend ANTHROPIC_BASE_URL. {kept}"
        raise faults.BadRequest(msg)


def _server(model: "Model") -> str:
    """Return the server's host and port for a message; empty if the base URL has none."""
    try:
        parts = urlsplit(_base_url(model) or "https://api.anthropic.com")
    except ValueError:
        return ""
    return parts.netloc.rpartition("@")[2] if parts.scheme in {"http", "https"} else ""


async def _open(client: "AsyncAnthropic", request: Request, model: "Model") -> "AsyncStream[Any]":
    """Send the request, again if that may help, until a stream begins.

    A request that was sent and got no answer is not sent again: the server may be at work on it, and bill both.
    """
    from anthropic import APIConnectionError, APIStatusError

    body, tools = _body(request, model_name(model)), dict[str, Any]()
    if model.tools != "never":
        choice = {"type": "tool", "name": request.tool["name"]} if request.forced else {"type": "auto"}
        tools = {"tools": [request.tool], "tool_choice": choice}
    tries = 0
    while True:
        try:
            stream: AsyncStream[Any] = await client.messages.create(**{**body, **tools}, stream=True)
        except (APIStatusError, APIConnectionError) as error:
            if tools and model.tools == "auto" and _cannot_do_tools(error):
                tools.clear()
                continue
            wait = _pause(error, tries)
            if wait is None or tries >= model.max_retries:
                raise
            tries += 1
            await asyncio.sleep(wait)
        else:
            return stream


def _cannot_do_tools(error: "APIError") -> bool:
    status = getattr(error, "status_code", 0)
    return (status in {400, 422} or status >= 500) and any(word in str(error).lower() for word in _TOOLS)


def _pause(error: "APIError", tries: int) -> float | None:
    """Return the seconds to wait before the request is sent again; None if that would not help or take too long."""
    status: int | None = getattr(error, "status_code", None)
    headers: Mapping[str, str] = getattr(at(error, "response"), "headers", {})
    if status is None:
        again = _is_unsent(error)
    else:
        again = (status >= 500 or status in {408, 409, 429}) and headers.get("x-should-retry") != "false"
    wait = faults.retry_after(headers)
    if not again or (wait is not None and wait > PATIENCE):
        return None
    return min(0.5 * 2.0**tries, 8.0) if wait is None else wait


def _fault(error: Exception | None, reply: Received, model: "Model", request: Request) -> faults.ModelError | None:
    """Name what ended a stream; None if the reply had come to its end.

    The SDK's errors are left out of the fault's context: they carry the request's headers, and the key with them.
    """
    if isinstance(error, faults.ModelError) or reply.ended:
        return error.with_traceback(None) if isinstance(error, faults.ModelError) else None
    import anthropic

    kept = request.kept_part if reply.pieces else request.kept
    server = _server(model)
    if isinstance(error, anthropic.APIStatusError):
        return faults.status_fault(error, server=server, model=model_name(model), kept=kept, secrets=_secrets())
    cause = type(error.__cause__ or error) if error else None
    name = cause.__name__ if cause else "no end"
    fault: type[faults.ModelError] = faults.ConnectionLost
    if name.endswith("Timeout"):
        fault = faults.TimedOut
        words = f"Nothing came from {server} for {model.timeout:g} seconds. Ask again, or raise Model.timeout."
    elif reply.begun and (cause is None or _is_transport(cause)):
        words = f"The connection to {server} broke off in mid-reply ({name}). Ask again."
    elif cause and _is_transport(cause):
        words = f"No answer from {server}: the connection failed ({name}). Check the network and the base URL."
    else:
        fault = faults.BrokenReply
        detail = f"{name}: {said}" if (said := faults.said(str(error or ""), _secrets())) else name
        words = f"What {server} sent is no reply of the Messages API ({detail}). Check the base URL."
    return fault(f"{words} {kept}")


def _is_transport(kind: type[BaseException]) -> bool:
    """Whether an error is the network's; by the module's name, since the SDK may change its HTTP library."""
    return issubclass(kind, OSError) or kind.__module__.startswith(("httpx", "httpcore"))

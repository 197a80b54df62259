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
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gallump_lab import tokens
from gallump_lab.brain import answer as answers
from gallump_lab.brain.answer import Answer, State, Usage, clean
from gallump_lab.brain.prices import price
from gallump_lab.brain.recommendations import Tool
from gallump_lab.memory.text import storable

if TYPE_CHECKING:
    from ssl import SSLContext

    from anthropic import APIError, AsyncAnthropic, AsyncStream

    from gallump_lab.config import Model

    Work = Callable[[Callable[[object], None]], Coroutine[Any, Any, None]]

PATIENCE = 20.0
"""Seconds: what a server asks to be left alone for is waited out up to here; a longer wait is told to the user."""

_POLL = 0.05  # seconds between two looks at whether to stop
_CHARACTERS = 32  # a token; no text comes near it, so whoever sends more than that ignores max_tokens
_BILLION = 10**9  # tokens; more than that no call has
_REFUSES_TOOLS = ("tool", "strict", "schema")  # what a server's refusal speaks of when it cannot do tools
_STATES: Mapping[str | None, State] = {
    "max_tokens": "cut",
    "model_context_window_exceeded": "cut",
    "pause_turn": "cut",
    "refusal": "refused",
}
_USAGE: Mapping[str, str] = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a model is asked, whether for a chat's reply or for anything else."""

    system: str
    user: str
    max_tokens: int
    tool: Tool
    """Through which it may give what is no prose; a server that cannot do tools is asked without."""
    forced: bool = False
    """Whether it must call the tool."""


def ask(request: Request, *, model: "Model", on_text: Callable[[str], None], stop: threading.Event) -> Answer:
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

    Returns
    -------
    Answer
        Also where the model or the network failed; its text and calls are cleaned, its recommendations not read yet.
    """
    started, name = time.perf_counter(), model.answering
    reply = _Arrived(room=request.max_tokens * _CHARACTERS, tool=request.tool.name)
    sent = not stop.is_set()
    state, error = _receive(partial(_stream, request, model), reply, on_text, stop)
    fault = None
    if not state and not reply.ended:
        fault = answers.failure(error, begun=reply.begun, server=_server(model), model=name, timeout=model.timeout)
    state = state or ("failed" if fault else _STATES.get(reply.stop_reason, "complete"))
    known, cost = price(name, model.prices), None
    if not sent or (error and not reply.begun and _is_unbilled(error)):
        cost = 0.0
    elif known:
        prompt = "".join((request.system, request.user, json.dumps(request.tool.definition)))
        cost = known.cost(reply.billed(prompt, request.max_tokens, tokens.FACTORS[tokens.family(name)]))
    return Answer(
        text=clean("".join(reply.pieces)),
        calls=tuple(clean("".join(call)) for call in reply.calls),
        model=name,
        usage=reply.told,
        cost_usd=cost,
        latency=time.perf_counter() - started,
        first_text=reply.first_at - started if reply.first_at else None,
        stop_reason=reply.stop_reason and clean(reply.stop_reason),
        state=state,
        interruption=reply.interruption,
        fault=fault,
        plain=state == "complete" and reply.blocks == ["text"],
    )


@dataclass
class _Arrived:
    """What has arrived of a reply. Events are data from outside: any field may be missing or of another type."""

    room: int
    """Characters that are still taken."""
    tool: str
    """The name of the tool that was offered."""
    pieces: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    stop_reason: str | None = None
    begun: bool = False
    ended: bool = False
    first_at: float | None = None
    """When its first text came, by the performance counter."""
    interruption: BaseException | None = None
    gap: str = ""
    """What stands between a text block before and the next one."""
    half: str = ""
    """The first half of a character of two (an emoji) whose second comes with the next piece."""

    @property
    def told(self) -> Usage | None:
        """The usage as far as the server has said it; None where it has not."""
        return Usage(**self.usage) if {"input_tokens", "output_tokens"} <= self.usage.keys() else None

    def billed(self, prompt: str, allowed: int, factor: float) -> Usage:
        """Return the usage, estimated from above where the server has not said all of it: a limit must hold then too.

        What was written is what came, or, where the model may have thought unseen, all of the `allowed` tokens.
        `factor` is the model's tokens per cl100k token.
        """
        if self.ended and self.told:
            return self.told
        came = "".join((*self.pieces, *("".join(call) for call in self.calls)))
        written = max(tokens.scaled(tokens.count(came), factor), self.usage.get("output_tokens", 0))
        if not self.blocks or not {"text", "tool_use"}.issuperset(self.blocks):
            written = max(written, allowed)
        read = {"input_tokens": 0, "cache_write_tokens": tokens.scaled(tokens.count(prompt), factor)}
        return Usage(**((self.usage if "input_tokens" in self.usage else read) | {"output_tokens": written}))

    def take(self, event: object) -> str:
        """Take one event of the stream and return the text that it adds."""
        kind = _at(event, "type")
        if kind == "message_start":
            self.begun = True
            self._count(_at(event, "message", "usage"))
        elif kind == "message_delta":
            reason = _at(event, "delta", "stop_reason")
            self.stop_reason = reason if isinstance(reason, str) else self.stop_reason
            self.ended = self.ended or self.stop_reason is not None
            self._count(_at(event, "usage"))
        elif kind == "message_stop":
            self.ended = True
        elif kind == "content_block_start":
            self._block(_at(event, "content_block", "type"), _at(event, "content_block", "name"))
        elif kind == "content_block_delta":
            return self._delta(_at(event, "delta"))
        return ""

    def _block(self, kind: object, name: object) -> None:
        self.blocks.append("unknown tool" if kind == "tool_use" and name != self.tool else str(kind))
        self.half = ""
        if kind == "text" and self.pieces:
            self.gap = "\n\n"
        elif self.blocks[-1] == "tool_use":
            self.calls.append([])

    def _delta(self, delta: object) -> str:
        kind = _at(delta, "type")
        given = _at(delta, {"text_delta": "text", "input_json_delta": "partial_json"}.get(str(kind), "thinking"))
        piece = given[: max(self.room, 0)] if isinstance(given, str) else ""
        self.room -= len(piece) + 1
        if kind == "input_json_delta" and self.blocks[-1:] == ["tool_use"]:
            self.calls[-1].append(piece)
        if kind != "text_delta" or not piece:
            return ""
        piece = self.half + piece
        self.half = piece[-1] if "\ud800" <= piece[-1] < "\udc00" else ""
        if not (piece := piece.removesuffix(self.half)):
            return ""
        self.first_at = self.first_at or time.perf_counter()
        text, self.gap = self.gap + storable(piece), ""
        self.pieces.append(text)
        return text

    def _count(self, usage: object) -> None:
        for ours, theirs in _USAGE.items():
            value = _at(usage, theirs)
            if type(value) is int and 0 <= value < _BILLION:
                self.usage[ours] = value


def _at(value: object, *names: str) -> object:
    """Return an attribute of an attribute; None where there is none."""
    for name in names:
        value = getattr(value, name, None)
    return value


def _receive(
    work: "Work", reply: _Arrived, on_text: Callable[[str], None], stop: threading.Event
) -> tuple[State | None, Exception | None]:
    """Take events until the stream ends; return the error that ended it, or the state that ended the listening."""
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
            if isinstance(event, _Ended):
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
class _Ended:
    """The end of a stream, and the error that ended it."""

    error: Exception | None


def _run(work: "Work", put: Callable[[object], None], ended: threading.Event) -> None:
    try:
        importlib.import_module("anthropic")  # takes seconds, once; a stop counts in them too
        with asyncio.Runner() as runner:
            error = runner.run(_until(ended, work(put)))
    except Exception as failed:  # noqa: BLE001 - whatever it is: the asking thread waits for an end, and names it
        error = failed
    put(_Ended(error))


async def _until(ended: threading.Event, work: Coroutine[Any, Any, None]) -> Exception | None:
    """Let a coroutine run to its end, or cancel it once nobody waits for it; return the error that ended it."""
    task = asyncio.ensure_future(work)
    while not task.done() and not ended.is_set():
        await asyncio.wait([task], timeout=_POLL)
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    return result if isinstance(result, Exception) else None


async def _stream(request: Request, model: "Model", put: Callable[[object], None]) -> None:
    import anthropic

    key, token = (os.environ.get(name, "").strip() for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"))
    for name, value in (("ANTHROPIC_API_KEY", key), ("ANTHROPIC_AUTH_TOKEN", token)):
        if not (value.isascii() and value.isprintable()):  # the HTTP library's own error would repeat it
            msg = f"{name} holds a character that no key has. Copy the key again."
            raise answers.NoAccess(msg)
    if not _server(model):
        msg = "The base URL must be http:// or https:// and a host. Mend ANTHROPIC_BASE_URL."
        raise answers.BadRequest(msg)
    # Said outright, so that the SDK looks for no credentials of its own: a local server gets none.
    who: dict[str, Any] = {"auth_token": token} if token and not key else {"api_key": key or "none"}
    client = anthropic.AsyncAnthropic(
        **who,
        base_url=model.server or None,
        timeout=model.timeout,
        max_retries=0,
        http_client=anthropic.DefaultAsyncHttpxClient(verify=_certificates()),
    )
    async with client, await _open(client, request, model) as stream:
        if stream.response.headers.get("content-type", "").startswith("application/json"):  # it knows no streams
            given = await stream.response.aread()
            for event in _events(json.loads(given, object_hook=lambda found: SimpleNamespace(**found))):
                put(event)
        else:
            async for event in stream:
                put(event)


def _events(message: object) -> Iterator[SimpleNamespace]:
    """Return the events of a reply that a server gives at once, though it was asked for a stream."""
    if _at(message, "type") != "message":
        return
    yield SimpleNamespace(type="message_start", message=message)
    blocks = _at(message, "content")
    for block in blocks if isinstance(blocks, list) else ():
        yield SimpleNamespace(type="content_block_start", content_block=block)
        said, called = _at(block, "text"), json.dumps(_at(block, "input"), default=vars)
        yield SimpleNamespace(type="content_block_delta", delta=SimpleNamespace(type="text_delta", text=said))
        delta = SimpleNamespace(type="input_json_delta", partial_json=called)
        yield SimpleNamespace(type="content_block_delta", delta=delta)
    yield SimpleNamespace(type="message_delta", delta=message)
    yield SimpleNamespace(type="message_stop")


@cache
def _certificates() -> "SSLContext":
    """Read the certificates that servers are known by once; it takes 20 ms, more than all else of a request."""
    import httpx

    return httpx.create_ssl_context()


def _server(model: "Model") -> str:
    """Return the server's host and port for a message; empty if the base URL has none."""
    try:
        parts = urlsplit(model.server or "https://api.anthropic.com")
    except ValueError:
        return ""
    return parts.netloc.rpartition("@")[2] if parts.scheme in {"http", "https"} else ""


async def _open(client: "AsyncAnthropic", request: Request, model: "Model") -> "AsyncStream[Any]":
    """Send the request, again if that may help, until a stream begins.

    A request that was sent and got no answer is not sent again: the server may be at work on it, and bill both.
    """
    from anthropic import APIConnectionError, APIStatusError

    body: dict[str, Any] = {
        "model": model.answering,
        "max_tokens": request.max_tokens,
        "messages": [{"role": "user", "content": request.user}],
    }
    if request.system:
        body["system"] = [{"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}}]
    tools: dict[str, Any] = {}
    if model.tools != "never":
        choice = {"type": "tool", "name": request.tool.name} if request.forced else {"type": "auto"}
        tools = {"tools": [request.tool.definition], "tool_choice": choice}
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
    return (status in {400, 422} or status >= 500) and any(word in str(error).lower() for word in _REFUSES_TOOLS)


def _pause(error: "APIError", tries: int) -> float | None:
    """Return the seconds to wait before the request is sent again; None if that would not help or take too long."""
    status: int | None = getattr(error, "status_code", None)
    headers: Mapping[str, str] = getattr(_at(error, "response"), "headers", {})
    if status is None:
        again = _is_unsent(error)
    else:
        again = (status >= 500 or status in {408, 409, 429}) and headers.get("x-should-retry") != "false"
    wait = answers.retry_after(headers)
    if not again or (wait is not None and wait > PATIENCE):
        return None
    return min(0.5 * 2.0**tries, 8.0) if wait is None else wait


def _is_unsent(error: Exception) -> bool:
    return type(error.__cause__).__name__ == "ConnectError"


def _is_unbilled(error: Exception) -> bool:
    """Whether nothing was sent, or the server refused it."""
    return isinstance(error, answers.ModelError) or _at(error, "status_code") is not None or _is_unsent(error)

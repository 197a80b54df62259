"""Claude, or any server that speaks the Messages API: one request, its stream, and what becomes of it.

The request runs in an event loop of its own thread, so that a stop ends it in every phase (connecting, waiting between
retries, waiting for the first word, in mid-stream) and the asking thread never waits for the network.
"""

import contextlib
import importlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from gallump_lab import tokens
from gallump_lab.brain import answer as answers
from gallump_lab.brain.answer import Answer, State, Usage, clean
from gallump_lab.brain.prices import price
from gallump_lab.brain.recommendations import Tool
from gallump_lab.memory.text import storable

if TYPE_CHECKING:
    import ssl

    from anthropic import APIError, AsyncAnthropic, AsyncStream

    from gallump_lab.config import Model

PATIENCE = 20.0
"""Seconds: what a server asks to be left alone for is waited out up to here; a longer wait is told to the user."""

_POLL = 0.05  # seconds between two looks at whether to stop
_BILLION = 10**9  # tokens; more than that no call has
_REFUSES_TOOLS = ("tool", "strict", "schema")  # what a server's refusal speaks of when it cannot do tools
_CUT = {"max_tokens", "model_context_window_exceeded", "pause_turn"}  # reasons to stop before the end
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
    tool: Tool | None = None
    """Through which it may give what is no prose; a server that cannot do tools is asked without."""
    forced: bool = False
    """Whether it must call the tool."""

    def body(self, model: str, *, tools: bool) -> dict[str, Any]:
        """Build the JSON that is sent, with or without the tool."""
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": self.max_tokens,
            "messages": [{"role": "user", "content": self.user}],
        }
        if self.system:
            body["system"] = [{"type": "text", "text": self.system, "cache_control": {"type": "ephemeral"}}]
        if tools and self.tool:
            choice = {"type": "tool", "name": self.tool.name} if self.forced else {"type": "auto"}
            body |= {"tools": [self.tool.definition], "tool_choice": choice}
        return body


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
    reply = _Arrived(tool=request.tool.name if request.tool else "")
    sent = not stop.is_set()
    if sent:
        _receive(request, model, reply, on_text, stop)
    fault = None
    if reply.over and not reply.ended:
        server = _host(model.server or "https://api.anthropic.com")
        fault = answers.failure(reply.error, begun=reply.begun, server=server, model=name, timeout=model.timeout)
    state: State = "stopped" if not reply.over else "failed" if fault else reply.state
    known, cost = price(name, model.prices), None
    if not sent or (reply.error and not reply.begun and _is_unbilled(reply.error)):
        cost = 0.0
    elif known:
        prompt = "".join((request.system, request.user, json.dumps(request.tool.definition) if request.tool else ""))
        cost = known.cost(reply.billed(prompt, request.max_tokens, tokens.FACTORS[tokens.family(name)]))
    return Answer(
        text=clean(reply.text),
        calls=tuple(map(clean, reply.calls)),
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

    tool: str
    """The name of the tool that was offered."""
    text: str = ""
    blocks: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    stop_reason: str | None = None
    begun: bool = False
    ended: bool = False
    """Whether the model ended its reply."""
    over: bool = False
    """Whether the stream is over: the reply has ended, or it failed; else nobody listens any more."""
    error: Exception | None = None
    interruption: BaseException | None = None
    first_at: float | None = None
    """When its first text came, by the performance counter."""
    gap: str = ""
    """What stands between a text block before and the next one."""
    half: str = ""
    """The first half of a character of two (an emoji) whose second comes with the next piece."""

    @property
    def state(self) -> State:
        """What its end says of it."""
        return "cut" if self.stop_reason in _CUT else "refused" if self.stop_reason == "refusal" else "complete"

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
        came = tokens.scaled(tokens.count("".join((self.text, *self.calls))), factor)
        unseen = not self.blocks or not {"text", "tool_use"}.issuperset(self.blocks)
        written = max(came, self.usage.get("output_tokens", 0), allowed if unseen else 0)
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
            block, name = _at(event, "content_block", "type"), _at(event, "content_block", "name")
            self.blocks.append("unknown tool" if block == "tool_use" and name != self.tool else str(block))
            self.calls += [""] if self.blocks[-1] == "tool_use" else []
            self.gap, self.half = "\n\n" if block == "text" and self.text else "", ""
        elif kind == "content_block_delta":
            return self._delta(_at(event, "delta"))
        return ""

    def _delta(self, delta: object) -> str:
        kind, text, given = _at(delta, "type"), _at(delta, "text"), _at(delta, "partial_json")
        if kind == "input_json_delta" and isinstance(given, str) and self.blocks[-1:] == ["tool_use"]:
            self.calls[-1] += given
        if kind != "text_delta" or not isinstance(text, str) or not text:
            return ""
        text = self.half + text
        self.half = text[-1] if "\ud800" <= text[-1] < "\udc00" else ""
        if not (text := text.removesuffix(self.half)):
            return ""
        self.first_at = self.first_at or time.perf_counter()
        piece, self.gap = self.gap + storable(text), ""
        self.text += piece
        return piece

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
    request: Request, model: "Model", reply: _Arrived, on_text: Callable[[str], None], stop: threading.Event
) -> None:
    """Take events until the stream is over, or is stopped, or `on_text` or a Ctrl-C breaks it off."""
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
            if text := reply.take(event):
                on_text(text)
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


async def _stream(request: Request, model: "Model", put: Callable[[object], None]) -> None:
    import anthropic

    key, token = (os.environ.get(name, "").strip() for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"))
    if not f"{key}{token}".isascii() or not f"{key}{token}".isprintable():  # the HTTP library's error would repeat it
        msg = "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN holds a character that no key has. Copy the key again."
        raise answers.NoAccess(msg)
    # Said outright, so that the SDK looks for no credentials of its own: a local server gets none.
    who: dict[str, Any] = {"auth_token": token} if token and not key else {"api_key": key or "none"}
    trusted = _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    client = anthropic.AsyncAnthropic(
        **who,
        base_url=model.server or None,
        timeout=model.timeout,
        max_retries=0,
        http_client=anthropic.DefaultAsyncHttpxClient(verify=trusted),
    )
    async with client, await _open(client, request, model) as stream:
        if stream.response.headers.get("content-type", "").startswith("application/json"):  # it knows no streams
            given = await stream.response.aread()
            for event in _events(json.loads(given, object_hook=lambda found: SimpleNamespace(**found))):
                put(event)
        else:
            async for event in stream:
                put(event)


@cache
def _trusted(*_environment: str | None) -> "ssl.SSLContext":
    """Return whose certificates are trusted; the SDK would read them anew for each request, which takes 20 ms."""
    from httpx2 import create_ssl_context  # the HTTP library that the SDK brings

    return create_ssl_context()


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


async def _open(client: "AsyncAnthropic", request: Request, model: "Model") -> "AsyncStream[Any]":
    """Send the request, again if that may help, until a stream begins.

    A request that was sent and got no answer is not sent again: the server may be at work on it, and bill both. So the
    SDK's own retries, which do that, are off.
    """
    import asyncio

    from anthropic import APIError

    tools, tries = request.tool is not None and model.tools != "never", 0
    while True:
        try:
            stream: AsyncStream[Any] = await client.messages.create(
                **request.body(model.answering, tools=tools), stream=True
            )
        except APIError as error:
            if tools and model.tools == "auto" and _cannot_do_tools(error):
                tools = False
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


def _host(url: str) -> str:
    """Return a server's host and port, for a message: a base URL may hold a password."""
    return url.partition("//")[2].partition("/")[0].rpartition("@")[2] or "the server"

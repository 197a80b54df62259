"""A scripted server that speaks the Messages API over real HTTP on loopback.

In a test: `server.queue(...)` replies, `server.requests` to look at what was asked. What is queued is a `Status`, or a
list of steps of a stream: an event (dict), bytes as they are, a `threading.Event` to wait for, or `DROP` to cut the
connection. Where nothing is queued it chats: it quotes the question and what the prompt holds of earlier talk.

With `strict` it is Claude as documented (`messages_api`): it refuses, thinks first, heeds max_tokens, cites, fits
a schema, and tells what its cache did. A queued reply is sent as it is, but for the model, id and diagnostics that it
leaves open; what its prompt counted stands in `Request.usage`. Other endpoints are always there.
"""

import itertools
import json
import re
import select
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import messages_api as api
import messages_models as models
from messages_cache import Cache
from messages_endpoints import Endpoints
from messages_script import (
    DROP,
    RECOMMENDATION,
    block,
    cited,
    end,
    refuse,
    say,
    start,
    text,
    text_delta,
    think,
    thinking,
    tool,
    whole,
)

__all__ = [  # for the tests, which write their replies with it
    "DROP",
    "RECOMMENDATION",
    "MessagesServer",
    "Request",
    "Status",
    "block",
    "chat_reply",
    "cited",
    "end",
    "refuse",
    "say",
    "start",
    "text",
    "think",
    "thinking",
    "tool",
]


@dataclass
class Status:
    """A reply that is no stream: an error, or something that is not the Messages API at all."""

    status: int
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def error(cls, status, kind, message, **headers):
        body = {"type": "error", "error": {"type": kind, "message": message}}
        return cls(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class Request:
    """What was asked; `gone` is set once the client has hung up."""

    path: str
    headers: dict[str, str]
    body: dict
    gone: threading.Event = field(default_factory=threading.Event)
    id: str = ""
    """The reply's."""
    usage: dict = field(default_factory=dict)
    """What the prompt counts, with the cache."""

    @property
    def prompt(self):
        return "\n\n".join(map(_words, [*_parts(self.body.get("system", [])), *self.talk]))

    @property
    def talk(self):
        """The blocks of its messages."""
        return [part for message in self.body["messages"] for part in _parts(message["content"])]


def _parts(content):
    return [{"text": content}] if isinstance(content, str) else content


def _words(part):
    return part["text"] if "text" in part else "\n".join(map(_words, _parts(part.get("content", ""))))


class MessagesServer:
    """Serves until it is closed; a context manager."""

    delay = 0.0
    """Seconds between two events of a stream."""

    strict = True
    """Whether it is as the documentation says."""
    clock: Callable[[], float] = staticmethod(time.time)
    """Tells the seconds by which the cache and the batches age."""
    cites = 2
    """How many of the search results that it is given are quoted in a chat."""

    def __init__(self):
        self.requests: list[Request] = []
        self.others: list[Request] = []  # to other endpoints than /v1/messages
        self.models = list(models.MODELS)
        self.cache, self.endpoints = Cache(), Endpoints(self)
        self.asked = threading.Event()  # set with the first request
        self.closing = threading.Event()
        self._queued, self._ids, self._lock = deque(), itertools.count(1), threading.Lock()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def queue(self, *replies):
        self._queued.extend(replies)

    def close(self):
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def reply_to(self, request):
        return self._queued.popleft() if self._queued else self._chat(request)

    def answer(self, request: Request) -> Status | Iterable[object]:
        """Refuse a request, or reply to it."""
        body = request.body
        unknown = sorted(body.keys() - api.FIELDS)
        wrong = api.refused(body) if self.strict else f"{request.path} {unknown}" if unknown else None
        if wrong:
            return Status.error(400, "invalid_request_error", wrong)
        with self._lock:
            request.id = f"msg_{next(self._ids)}"
            request.usage = self.cache.use(body, self.clock())
            told = {"id": request.id, "model": body["model"], **self.cache.compare(body, request.id, request.usage)}
        reply = self.reply_to(request)
        return reply if isinstance(reply, Status) else (_told(step, told) for step in reply)

    def ask(self, body) -> tuple[int, object]:
        """Answer a request that is not streamed, by status and body: one of a batch's."""
        reply = self.answer(Request("/v1/messages", {}, body))
        return (reply.status, reply.body) if isinstance(reply, Status) else (200, whole(reply))

    def _chat(self, request: Request) -> Iterator[object]:
        body, strict = request.body, self.strict and bool(models.known(request.body["model"]))
        prompt, question = "\n\n".join(map(_words, request.talk)), _question(request)
        room = body["max_tokens"] if strict else sys.maxsize
        thought = min(models.thinking_tokens(body), room) if strict else 0
        yield start(**(request.usage if self.strict else {"input_tokens": len(request.prompt) // 4}))
        if thought:
            shown = "Thinking it over." if models.thinking_shown(body) else ""
            yield from ({"type": "ping"}, *thinking(shown), {"type": "ping"})
        if "without end" in question:
            yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
            words = (piece for each in itertools.count(1) for piece in ("word ", f"{each} "))
            yield from ({"type": "content_block_delta", "index": 0, "delta": text_delta(word)} for word in words)
        parts, call = self._says(body, question) if strict else ([], None)
        if not parts and not call:
            parts = [(chat_reply(prompt, question), None)]
        if "recommend" in question.lower() and body.get("tools"):
            call = "recommend", {"recommendations": [RECOMMENDATION]}
        index, written = int(thought > 0), 0
        for words, citation in parts:
            kept = words[: 4 * (room - thought) - written]
            deltas = [*map(text_delta, re.findall(r"\s*\S+\s*", kept)), *([citation] if citation else ())]
            yield from block(index, {"type": "text", "text": ""}, *deltas) if kept else ()
            index, written = index + bool(kept), written + len(kept)
        cut = written < sum(len(words) for words, _ in parts)
        if call and not cut:
            yield from tool(call[1], index=index, name=call[0])
        details = {"thinking_tokens": thought} if strict else {}
        reason = "max_tokens" if cut else "tool_use" if call else "end_turn"
        yield from end(reason, output_tokens=thought + api.count("x" * written), **details)

    def _says(self, body, question):
        """Give texts, each with what it cites, and the call of a tool, where more is asked for than a chat."""
        if models.forced(body):
            named = body["tool_choice"].get("name", body["tools"][0]["name"])
            schema = next(each["input_schema"] for each in body["tools"] if each["name"] == named)
            return [], (named, api.fitting(schema))
        asked = (body.get("output_config") or {}).get("format")
        if asked:
            return [(json.dumps(api.fitting(asked["schema"])), None)], None
        parts = [(f"You asked: {question}\n\nOn record: ", None)]
        for number, result in enumerate(api.cites(body)[: self.cites]):
            *_, citation, _ = cited("", index=0, result=result, number=number)
            parts += [(result["content"][0]["text"], citation["delta"]), ("; ", None)]
        return (parts if len(parts) > 1 else []), None


def _told(step, told):
    """Fill in what a scripted message leaves open."""
    message = step.get("message") if isinstance(step, dict) else None
    if not isinstance(message, dict):
        return step
    scripted = {name: each for name, each in message.items() if each is not None or name not in told}
    return {**step, "message": told | scripted}


def _question(request):
    last = "\n\n".join(map(_words, _parts(request.body["messages"][-1]["content"])))
    return "".join(re.findall(r"^Current User Input:\n> (.*)", last, re.MULTILINE))


def chat_reply(prompt, question):
    """Quote back the question and the earlier talk that the prompt holds."""
    said = [f"You asked: {question}"]
    for heading, words in (
        ("CURRENT CONVERSATION", "Earlier in this session"),
        ("RELEVANT HISTORY", "From earlier talk"),
    ):
        section = re.search(
            rf"^=== {heading} ===\n(.*?)(?=\n\n(?:===|Current User Input:)|\Z)", prompt, re.MULTILINE | re.DOTALL
        )
        lines = section[1].splitlines() if section else []
        lines = [line for line in lines if line.strip() and not line.startswith("(")]
        if lines:
            said.append(f"{words}:\n\n" + "\n".join(f"> {line.strip()}" for line in lines))
    return "\n\n".join(said)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: MessagesServer

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), OSError):  # a client that hangs up is part of the play
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_POST(self):
        self._serve(json.loads(self.rfile.read(int(self.headers["content-length"] or 0)) or "{}"))

    def do_GET(self):
        self._serve({})

    def _serve(self, body):
        owner = self.server.owner
        request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        aside = self.path.startswith(("/v1/messages/", "/v1/models"))
        (owner.others if aside else owner.requests).append(request)
        owner.asked.set()
        if aside:
            reply = Status(*owner.endpoints.answer(self.command, self.path, body))
        elif urlsplit(self.path).path == "/v1/messages":
            reply = owner.answer(request)
        else:
            reply = Status.error(404, "not_found_error", self.path)
        if not isinstance(reply, Status) and not body.get("stream"):
            reply = Status(200, whole(reply))
        try:
            self._status(reply) if isinstance(reply, Status) else self._stream(reply)
        except OSError:
            request.gone.set()
            raise

    def _status(self, reply: Status):
        given = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response_only(reply.status)  # without a Date of its own
        for name, value in {
            "content-type": "application/json",
            "content-length": str(len(given)),
            **reply.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(given)

    def _stream(self, steps: Iterable[object]):
        self.close_connection = True
        begun = False
        for step in steps:
            if isinstance(step, threading.Event):
                self._wait(step)
                continue
            if not begun:
                begun = True
                self.send_response(200)
                self.send_header("content-type", "text/event-stream; charset=utf-8")
                self.send_header("transfer-encoding", "chunked")
                self.send_header("connection", "close")
                self.end_headers()
            if step is DROP:
                return
            given = step if isinstance(step, bytes) else f"event: {step['type']}\ndata: {json.dumps(step)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(given), given))
            if self.server.owner.delay:
                time.sleep(self.server.owner.delay)
        self.wfile.write(b"0\r\n\r\n")

    def _wait(self, released: threading.Event):
        """Wait until a step is released, or the client hangs up, or the server is closed."""
        while not released.wait(0.02) and not self.server.owner.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionAbortedError

    def log_message(self, *_):
        """Keep quiet."""

"""A scripted server that speaks the Messages API over real HTTP on loopback.

In a test: `server.queue(...)` replies, `server.requests` to look at what was asked. What is queued is a `Status`, or a
list of steps of a stream: an event (dict), bytes as they are, a `threading.Event` to wait for, or `DROP` to cut the
connection. Where nothing is queued it chats: it quotes the question and what the prompt holds of earlier talk.
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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DROP = object()
_KNOWN = {"max_tokens", "messages", "model", "output_config", "stream", "system", "tool_choice", "tools"}


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

    @property
    def prompt(self):
        return "\n\n".join(
            [*(block["text"] for block in self.body.get("system", [])), self.body["messages"][0]["content"]]
        )


def start(**usage):
    usage = {"input_tokens": 100, "output_tokens": 1, **usage}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted", "content": []}
    return {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}}


def block(index, opening, *deltas):
    """One content block: its start, its deltas with whatever stands between them, its end."""
    yield {"type": "content_block_start", "index": index, "content_block": opening}
    for delta in deltas:
        paced = not isinstance(delta, dict)
        yield delta if paced else {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def text(*pieces, index=0):
    deltas = [{"type": "text_delta", "text": piece} if isinstance(piece, str) else piece for piece in pieces]
    return block(index, {"type": "text", "text": ""}, *deltas)


def thinking(*pieces, index=0):
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    return block(index, {"type": "thinking", "thinking": ""}, *deltas, {"type": "signature_delta", "signature": "c2ln"})


def tool(given, *, index=1, name="recommend"):
    """One call of a tool; its input arrives in pieces, as JSON or as the text that is given for it."""
    source = given if isinstance(given, str) else json.dumps(given)
    pieces = (source[i : i + 1000] for i in range(0, len(source), 1000))
    opening = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
    return block(index, opening, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


def end(stop_reason="end_turn", **usage):
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason, "stop_sequence": None},
        "usage": {"output_tokens": 20, **usage},
    }
    yield {"type": "message_stop"}


def say(*pieces, stop_reason="end_turn", usage=None):
    """Give a whole reply of text alone."""
    return [start(**(usage or {})), *text(*pieces), *end(stop_reason)]


class MessagesServer:
    """Serves until it is closed; a context manager."""

    delay = 0.0
    """Seconds between two events of a stream."""

    def __init__(self):
        self.requests: list[Request] = []
        self.asked = threading.Event()  # set with the first request
        self.closing = threading.Event()
        self._queued = deque()
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

    def _chat(self, request: Request) -> Iterator[object]:
        prompt = request.body["messages"][0]["content"]
        question = "".join(re.findall(r"^Current User Input:\n> (.*)", prompt, re.MULTILINE))
        yield start(input_tokens=len(request.prompt) // 4)
        words = itertools.count(1) if "without end" in question else (chat_reply(prompt, question),)
        written = 0
        yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        for each in words:
            for piece in re.findall(r"\S+\s*", f"word {each} " if isinstance(each, int) else each):
                written += 1
                yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
        yield {"type": "content_block_stop", "index": 0}
        if "recommend" in question.lower() and request.body.get("tools"):
            yield from tool({"recommendations": [RECOMMENDATION]})
        yield from end(output_tokens=written)


RECOMMENDATION = {
    "action": "buy",
    "symbol": "AAPL",
    "size": "5% of the portfolio",
    "entry": 430.0,
    "stop": 400.0,
    "target": 500.0,
    "horizon": "3 months",
    "confidence": 0.6,
    "rationale": "Scripted.",
}


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

    def do_GET(self):
        self._status(Status(200, {"data": [{"id": "claude-sonnet-5-5", "type": "model"}], "has_more": False}))

    def do_POST(self):
        owner = self.server.owner
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        owner.requests.append(request)
        owner.asked.set()
        wrong = sorted(body.keys() - _KNOWN)
        if self.path != "/v1/messages" or wrong:
            reply = Status.error(404 if not wrong else 400, "invalid_request_error", f"{self.path} {wrong}")
        else:
            reply = owner.reply_to(request)
        try:
            self._status(reply) if isinstance(reply, Status) else self._stream(reply, body["model"])
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

    def _stream(self, steps: Iterable[object], model: str):
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
                self.end_headers()
            if step is DROP:
                return
            message = step.get("message") if isinstance(step, dict) else None
            named = isinstance(message, dict) and message.get("model") == "scripted"
            event = step | {"message": message | {"model": model}} if named else step
            given = (
                step if isinstance(step, bytes) else f"event: {step['type']}\ndata: {json.dumps(event)}\n\n".encode()
            )
            given = given if isinstance(given, bytes) else given.encode()
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

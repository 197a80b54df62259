"""The route's addresses. Jupyter Server says who asks and whether they may, `body` checks what, `Answers` asks."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.iostream import StreamClosedError

from gallump_lab.route import body
from gallump_lab.route.answers import Answers
from gallump_lab.route.trouble import Trouble, of_http, trouble

if TYPE_CHECKING:
    from gallump_lab.brain.conversation import Reply

LINGER = 64_000_000
"""Bytes of a refused body that are read past, so that the client sees the answer and not a broken connection."""


class _Handler(APIHandler):
    """Answers errors in this route's own JSON."""

    auth_resource = "gallump_lab"
    allow: ClassVar[str]

    def told(self, error: web.HTTPError) -> bytes:
        """Set an error's status and headers, and give its JSON."""
        found = error if isinstance(error, Trouble) else of_http(error.status_code)
        self.set_status(found.status_code)
        self.set_header("Content-Type", "application/json")
        if found.retry_after is not None:
            self.set_header("Retry-After", str(found.retry_after))
        if found.status_code == 405:
            self.set_header("Allow", self.allow)
        if hasattr(self, "_jupyter_current_user"):  # else it is not known yet what the headers depend on
            self.set_cors_headers()
        return json.dumps(found.to_dict()).encode()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with an error."""
        error = kwargs.get("exc_info", (None, None))[1]
        self.finish(self.told(error if isinstance(error, web.HTTPError) else of_http(status_code)))


class Description(_Handler):
    """Tells what the route takes and gives, as OpenAPI 3.1."""

    allow = "GET, OPTIONS"

    def initialize(self, description: dict[str, Any]) -> None:
        """Take the description."""
        self._description = description

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Return the description."""
        await self.finish(json.dumps(self._description))


def _once(post: "Callable[[Generate], Any]") -> "Callable[[Generate], Awaitable[None]]":
    """Answer only what has not been refused before its body had come."""

    @wraps(post)
    async def inner(self: "Generate") -> None:
        if not self.refused:
            await post(self)
        elif not self._finished:
            self.finish()

    return inner


@web.stream_request_body
class Generate(_Handler):
    """Answers a question, at the end of the reply."""

    allow = "POST, OPTIONS"

    def initialize(self, answers: Answers, most_bytes: int, keep_alive: float) -> None:
        """Take what `GallumpLab` was configured with: bytes of a body, seconds between two signs of life."""
        self._answers, self._most_bytes, self._keep_alive = answers, most_bytes, keep_alive
        self._body, self._size, self.refused = bytearray(), 0, False
        self._stop = threading.Event()

    async def prepare(self) -> None:  # type: ignore[override]  # as Jupyter's own handlers do
        """Refuse what can be refused by its headers, before the body is read."""
        try:
            await super().prepare()
            if self.request.method == "POST":
                self._check_headers()
        except web.HTTPError as error:
            await self._refuse(error)

    def _check_headers(self) -> None:
        if not self.current_user:
            raise web.HTTPError(403)
        headers = self.request.headers
        kind, *options = (part.strip().lower() for part in headers.get("Content-Type", "").split(";"))
        charsets = {option.removeprefix("charset=").strip('"') for option in options if option.startswith("charset=")}
        packed = headers.get("Content-Encoding", "identity") != "identity"
        if kind != "application/json" or charsets - {"utf-8"} or packed:
            msg = "Send the question as Content-Type: application/json, in UTF-8 and not compressed."
            raise Trouble(415, "unsupported_media_type", msg)
        if self._length() > self._most_bytes:
            raise self._too_large()

    def _length(self) -> int:
        given = self.request.headers.get("Content-Length", "0")
        return int(given) if given.isdecimal() and len(given) < 19 else 0  # tornado refuses any other

    def _too_large(self) -> Trouble:
        msg = f"The body has more than {self._most_bytes:,} bytes. Send a shorter question."
        return Trouble(413, "body_too_large", msg)

    async def data_received(self, chunk: bytes) -> None:
        """Take a part of the body, or read past it if the request has been refused."""
        self._size += len(chunk)
        if self.refused:
            if self._size > LINGER and not self._finished:
                self.finish()
        elif self._size > self._most_bytes:
            self._body.clear()
            await self._refuse(self._too_large())
        else:
            self._body += chunk

    async def _refuse(self, error: web.HTTPError) -> None:
        """Answer now. What still comes of the body is read past: a client that is sending would not see the answer."""
        self.refused = True
        self.log_exception(type(error), error, None)
        told = self.told(error)
        self.set_header("Connection", "close")
        self.set_header("Content-Length", str(len(told)))
        self.write(told)
        with contextlib.suppress(StreamClosedError):
            await self.flush()
        if "Expect" in self.request.headers or self._length() > LINGER:
            self.finish()

    def on_connection_close(self) -> None:
        """End the answer where it is: nobody waits for it any more."""
        self._stop.set()
        super().on_connection_close()

    @_once
    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer."""
        await self.answer(await asyncio.to_thread(body.read, bytes(self._body)))  # the server has others to serve

    @_once
    @web.authenticated
    async def put(self) -> None:
        """Take no other method."""
        raise web.HTTPError(405)

    get = head = patch = delete = put

    async def answer(self, asked: body.Asked) -> None:
        """Return the reply's JSON."""
        try:
            reply = await self._begin(asked)
        except Exception as error:  # noqa: BLE001 (whatever it is, the table has an answer)
            raise self._trouble(error) from None
        self.finish(json.dumps(reply.to_dict()))

    def _begin(self, asked: body.Asked, on_text: Callable[[str], None] | None = None) -> "asyncio.Future[Reply]":
        return asyncio.wrap_future(self._answers.ask(asked, self._stop, on_text))

    def _trouble(self, error: BaseException) -> Trouble:
        return trouble(error, log=self.log, now=self._answers.now)


class Stream(Generate):
    """Answers a question as the reply comes in, as server-sent events."""

    async def answer(self, asked: body.Asked) -> None:
        """Send each piece as `text`, and at the end the reply's JSON as `reply`, or an error's as `error`."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def hear(piece: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        def ended(reply: "asyncio.Future[Reply]") -> None:
            if not reply.cancelled():
                reply.exception()  # seen, though nobody may be there any more to be told
            pieces.put_nowait(None)

        reply = self._begin(asked, hear)
        reply.add_done_callback(ended)
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        try:
            await self.flush()
            while (event := await self._next(pieces)) is not None:
                await self._send(event)
            await self._send(self._last(reply))
        except StreamClosedError:
            self._stop.set()
        self.finish()

    async def _next(self, pieces: asyncio.Queue[str | None]) -> str | None:
        """Return the next piece's event, or a comment if none comes for long; None at the end."""
        try:
            piece = await asyncio.wait_for(pieces.get(), self._keep_alive)
        except TimeoutError:
            return ": waiting\n\n"
        return None if piece is None else _event("text", json.dumps({"text": piece}))

    def _last(self, reply: "asyncio.Future[Reply]") -> str:
        try:
            return _event("reply", json.dumps(reply.result().to_dict()))
        except Exception as error:  # noqa: BLE001 (as above)
            return _event("error", json.dumps(self._trouble(error).to_dict()))

    async def _send(self, text: str) -> None:
        self.write(text)
        await self.flush()


def _event(name: str, data: str) -> str:
    """Write a server-sent event; JSON has no line break of its own."""
    return f"event: {name}\ndata: {data}\n\n"

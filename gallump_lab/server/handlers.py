"""The route's addresses. Jupyter Server says who asks and whether they may, `requests` checks what, `Answers` asks."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.iostream import StreamClosedError

from gallump_lab.server.failures import Failure, failure, of_status
from gallump_lab.server.requests import QuestionBody, description, read

if TYPE_CHECKING:
    from gallump_lab.brain.answer import Reply
    from gallump_lab.server.app import Answers

LINGER = 64_000_000
"""Bytes of a refused body that are read past, so that the client sees the answer and not a broken connection."""


class _Handler(APIHandler):
    """Answers errors in this route's own JSON."""

    auth_resource = "gallump_lab"
    allow: ClassVar[str]

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with an error."""
        error = kwargs.get("exc_info", (None, None))[1]
        found = error if isinstance(error, Failure) else of_status(status_code)
        self.set_status(found.status_code)
        self.set_header("Content-Type", "application/json")
        if found.retry_after is not None:
            self.set_header("Retry-After", str(found.retry_after))
        if found.status_code == 405:
            self.set_header("Allow", self.allow)
        if hasattr(self, "_jupyter_current_user"):  # else it is not known yet what the headers depend on
            self.set_cors_headers()
        self.finish(json.dumps(found.to_dict()))


class DescriptionHandler(_Handler):
    """Tells what the route takes and answers, as OpenAPI 3.1."""

    allow = "GET, OPTIONS"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Return the description."""
        await self.finish(json.dumps(description(self.base_url)))


@web.stream_request_body
class GenerateHandler(_Handler):
    """Answers a question, at the end of the reply."""

    allow = "POST, OPTIONS"

    def initialize(self, answers: "Answers", most_bytes: int, keep_alive: float) -> None:
        """Take what `GallumpLab` was configured with: bytes of a body, seconds between two signs of life."""
        self.answers, self.most_bytes, self.keep_alive = answers, most_bytes, keep_alive
        self.refusal: web.HTTPError | None = None
        self._body, self._size = bytearray(), 0
        self._stop = threading.Event()

    async def prepare(self) -> None:  # type: ignore[override]  # as Jupyter's own handlers do
        """Refuse what can be refused by its headers, before the body is read."""
        try:
            await super().prepare()
            if self.request.method == "POST":
                self._check_headers()
        except web.HTTPError as error:
            self.refusal = error
            # Who waits to be asked for the body, or has too much of it, is told now; to whom is sending already,
            # an answer that closes the connection is lost.
            if "Expect" in self.request.headers or self._length > LINGER:
                raise

    def _check_headers(self) -> None:
        if not self.current_user:
            raise web.HTTPError(403)
        headers = self.request.headers
        kind, *options = (part.strip().lower() for part in headers.get("Content-Type", "").split(";"))
        charsets = {option.removeprefix("charset=").strip('"') for option in options if option.startswith("charset=")}
        packed = headers.get("Content-Encoding", "identity") != "identity"
        if kind != "application/json" or charsets - {"utf-8"} or packed:
            raise web.HTTPError(415)
        if self._length > self.most_bytes:
            raise self._too_large()

    @property
    def _length(self) -> int:
        given = self.request.headers.get("Content-Length", "0")
        return int(given) if given.isdecimal() and len(given) < 19 else 0  # tornado refuses any other

    def _too_large(self) -> Failure:
        return Failure("body_too_large", f"The body has more than {self.most_bytes:,} bytes. Send a shorter question.")

    async def data_received(self, chunk: bytes) -> None:
        """Take a part of the body, or read past it if the request has been refused."""
        self._size += len(chunk)
        if self._size > self.most_bytes:
            self.refusal = self.refusal or self._too_large()
        if not self.refusal:
            self._body += chunk
        elif self._size > LINGER and not self._finished:
            self.send_error(self.refusal.status_code, exc_info=(type(self.refusal), self.refusal, None))

    def on_connection_close(self) -> None:
        """End the answer where it is: nobody waits for it any more."""
        self._stop.set()
        super().on_connection_close()

    async def post(self) -> None:
        """Answer, or say why the request was refused, now that its body has been read past."""
        if self.refusal:
            raise self.refusal
        await self._post()  # type: ignore[misc]  # tornado types its decorators so

    @web.authenticated
    @authorized
    async def _post(self) -> None:
        await self.answer(await asyncio.to_thread(read, bytes(self._body)))  # the server has others to serve

    async def answer(self, question: QuestionBody) -> None:
        """Return the reply's JSON."""
        try:
            reply = await self._begin(question)
        except Exception as error:  # noqa: BLE001 (whatever it is, the table has an answer)
            raise self._failure(error) from None
        self.finish(json.dumps(reply.to_dict()))

    def _begin(self, question: QuestionBody, on_text: Callable[[str], None] | None = None) -> "asyncio.Future[Reply]":
        return asyncio.wrap_future(self.answers.ask(question, self._stop, on_text))

    def _failure(self, error: Exception) -> Failure:
        return failure(error, log=self.log, now=self.answers.now)


class StreamHandler(GenerateHandler):
    """Answers a question as the reply comes in, as server-sent events."""

    async def answer(self, question: QuestionBody) -> None:
        """Send each piece as `text`, and at the end the reply's JSON as `reply`, or an error's as `error`."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def hear(piece: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        def end(reply: "asyncio.Future[Reply]") -> None:
            if not reply.cancelled():
                reply.exception()  # seen, though nobody may be there any more to be told
            pieces.put_nowait(None)

        reply = self._begin(question, hear)
        reply.add_done_callback(end)
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
            piece = await asyncio.wait_for(pieces.get(), self.keep_alive)
        except TimeoutError:
            return ": waiting\n\n"
        return None if piece is None else _event("text", {"text": piece})

    def _last(self, reply: "asyncio.Future[Reply]") -> str:
        try:
            return _event("reply", reply.result().to_dict())
        except Exception as error:  # noqa: BLE001 (as above)
            return _event("error", self._failure(error).to_dict())

    async def _send(self, text: str) -> None:
        self.write(text)
        await self.flush()


def _event(name: str, data: dict[str, Any]) -> str:
    """Write a server-sent event; JSON has no line break of its own."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"

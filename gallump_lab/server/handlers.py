"""The route's addresses, and what they answer where they cannot answer a question.

Jupyter Server says who asks and whether they may, `openapi` checks what, `Answers` asks. What a log gets of a failure
is its code: the words may repeat what a client sent.
"""

import asyncio
import json
import math
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from pydantic import ValidationError
from tornado import web
from tornado.iostream import StreamClosedError

from gallump_lab.brain.answer import ModelError
from gallump_lab.brain.prices import PriceUnknown, SpendingLimit
from gallump_lab.brain.prompt import PromptTooLong
from gallump_lab.server.openapi import CODES, Error, Problem, QuestionBody, description
from gallump_lab.store import StoreError, times

if TYPE_CHECKING:
    from logging import Logger

    from gallump_lab.brain.reply import Reply
    from gallump_lab.server.app import Answers

_RAISED = {code.raised: name for name, code in CODES.items() if code.raised}


class Failure(web.HTTPError):
    """An answer that is an error.

    Parameters
    ----------
    code : str
        One of `CODES`, which has the status.
    words : str, optional
        What happened and what to do, for a person; those of `CODES` by default.
    retry_after : float, optional
        Seconds, where they are known.
    about : dict
        Further fields of `Problem`.
    """

    def __init__(self, code: str, words: str = "", retry_after: float | None = None, **about: str | None) -> None:
        known = CODES[code]
        super().__init__(known.status, code)
        wait = retry_after or known.retry_after
        self.problem = Problem(
            code=code, message=words or known.words, retry_after=math.ceil(wait) if wait else None, **about
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the answer's JSON."""
        reason = HTTPStatus(self.status_code).phrase
        return Error(error=self.problem, message=self.problem.message, reason=reason).model_dump()


def failure(error: Exception, log: "Logger") -> Failure:
    """Turn what was raised into an answer; what is the operator's alone goes into the log.

    Parameters
    ----------
    error : Exception
    log : Logger
        Gets a store's words, and of an error that nobody expected its place, without the words it may quote. What a
        model's server said stands in the lab's turn alone: it may quote the question, or tell of the server's paths.
    """
    if isinstance(error, Failure):
        return error
    code = next(_RAISED[kind] for kind in type(error).__mro__ if kind in _RAISED)
    words, wait, field = CODES[code].words, getattr(error, "retry_after", None), None
    match error:
        case ValidationError():
            words, field = _unreadable(error)
        case ModelError():
            status = "" if error.status is None else f" ({error.status})"
            words = f"{words.rstrip('.')}{status}. {error.kept}"
        case SpendingLimit():
            words, now = str(error), times.now()
            midnight = datetime.combine(now + timedelta(days=1), time(), UTC)
            wait = (midnight - now).total_seconds()
        case PriceUnknown():
            words = str(error)
        case PromptTooLong():
            words, field = str(error), "prompt"
        case StoreError():
            log.error("gallump_lab: %s", error)
        case _:
            log.error("gallump_lab: %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    reply = getattr(error, "reply", None)
    return Failure(code, words, wait, field=field, session_id=str(reply.session_id) if reply else None)


def _unreadable(error: ValidationError) -> tuple[str, str | None]:
    """Return what is wrong with a body and what it must be, and the field."""
    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        return f"The body must be a JSON object with a prompt, in UTF-8: {first['msg']}.", None
    field = str(first["loc"][0])[:60]
    known = QuestionBody.model_fields.get(field)
    if known is None:
        return f"{field} is not known; a body has {', '.join(QuestionBody.model_fields)}.", field
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    wrong = "" if first["type"] == "string_pattern_mismatch" else f"{said}. "
    return f"{field}: {wrong}It must be {known.description}.", field


class _Handler(APIHandler):
    """Answers errors in this route's own JSON."""

    auth_resource = "gallump_lab"
    allow: ClassVar[str]

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with an error; of Jupyter's or tornado's own, what is not in `CODES` is a bad request."""
        error = kwargs.get("exc_info", (None, None))[1]
        if not isinstance(error, Failure):
            known = (name for name, code in CODES.items() if code.status == status_code)
            error = Failure("internal_error" if status_code >= 500 else next(known, "bad_request"))
        self.set_status(error.status_code)
        if error.problem.retry_after is not None:
            self.set_header("Retry-After", str(error.problem.retry_after))
        if error.status_code == 405:
            self.set_header("Allow", self.allow)
        if hasattr(self, "_jupyter_current_user"):  # else it is not known yet what the headers depend on
            self.set_cors_headers()
        self.finish(json.dumps(error.to_dict()))


class DescriptionHandler(_Handler):
    """Tells what the route takes and answers, as OpenAPI 3.1."""

    allow = "GET, OPTIONS"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Return the description."""
        await self.finish(json.dumps(description(self.base_url)))


class GenerateHandler(_Handler):
    """Answers a question, at the end of the reply."""

    allow = "POST, OPTIONS"

    def initialize(self, answers: "Answers", most_bytes: int, keep_alive: float) -> None:
        """Take what `GallumpLab` was configured with: bytes of a body, seconds between two signs of life."""
        self.answers, self.most_bytes, self.keep_alive = answers, most_bytes, keep_alive
        self._stop = threading.Event()

    def on_connection_close(self) -> None:
        """End the answer where it is: nobody waits for it any more."""
        self._stop.set()
        super().on_connection_close()

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer, or say why not."""
        kind, _, _ = self.request.headers.get("Content-Type", "").partition(";")
        if kind.strip().lower() != "application/json":
            raise Failure(code="unsupported_media_type")
        if len(self.request.body) > self.most_bytes:
            msg = f"The body has more than {self.most_bytes:,} bytes. Send a shorter question."
            raise Failure(code="body_too_large", words=msg)
        try:  # on a thread: the server has others to serve
            question = await asyncio.to_thread(QuestionBody.model_validate_json, self.request.body)
            await self.answer(question)
        except Exception as error:  # noqa: BLE001 (whatever it is, the table has an answer)
            raise failure(error, self.log) from None

    async def answer(self, question: QuestionBody) -> None:
        """Return the reply's JSON."""
        reply = await self.ask(question)
        self.finish(json.dumps(reply.to_dict()))

    def ask(self, question: QuestionBody, on_text: Callable[[str], None] | None = None) -> "asyncio.Future[Reply]":
        """Begin an answer, which ends where it is once the client has hung up."""
        return asyncio.wrap_future(self.answers.ask(question, self._stop, on_text))


class StreamHandler(GenerateHandler):
    """Answers a question as the reply comes in, as server-sent events."""

    async def answer(self, question: QuestionBody) -> None:
        """Send each piece as `text`, and at the end the reply's JSON as `reply`, or an error's as `error`."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def hear(piece: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        reply = self.ask(question, hear)
        reply.add_done_callback(lambda _: pieces.put_nowait(None))
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        try:
            await self.flush()
            while (event := await self._next(pieces)) is not None:
                self.write(event)
                await self.flush()
        except StreamClosedError:
            self._stop.set()
        try:
            self.write(_event("reply", (await reply).to_dict()))
        except Exception as error:  # noqa: BLE001 (as above)
            self.write(_event("error", failure(error, self.log).to_dict()))
        self.finish()

    async def _next(self, pieces: asyncio.Queue[str | None]) -> str | None:
        """Return the next piece's event, or a comment if none comes for long; None at the end."""
        try:
            piece = await asyncio.wait_for(pieces.get(), self.keep_alive)
        except TimeoutError:
            return ": waiting\n\n"
        return None if piece is None else _event("text", {"text": piece})


def _event(name: str, data: dict[str, Any]) -> str:
    """Write a server-sent event; JSON has no line break of its own."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"

"""What the route answers where it cannot answer a question: a status, a code and words, from one table."""

import math
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from tornado.web import HTTPError

from gallump_lab.brain import answer as faults
from gallump_lab.brain.prices import PriceUnknown, SpendingLimit
from gallump_lab.brain.prompt import PromptTooLong
from gallump_lab.store import LabBusy, NoServer, StoreError

if TYPE_CHECKING:
    from logging import Logger

_SEE_LOG = "The server's log says why."


class Code(NamedTuple):
    """What a code stands for."""

    status: int
    words: str
    """What happened and what to do, for a person."""
    raised: type[Exception] | None = None
    """What a lab raises; its own words are better where they tell figures."""


CODES: dict[str, Code] = {
    "bad_request": Code(400, "The request cannot be read."),
    "forbidden": Code(
        403, "Send the server's token (Authorization: token ...), or a page's cookies and its X-XSRFToken."
    ),
    "not_found": Code(404, "There is nothing here, or this server does not answer pages of another origin."),
    "method_not_allowed": Code(405, "This address does not take that method; Allow says which it takes."),
    "body_too_large": Code(413, "The body has more bytes than GallumpLab.most_bytes. Send a shorter question."),
    "prompt_too_long": Code(413, "The question alone fills the window. It is stored; shorten it.", PromptTooLong),
    "unsupported_media_type": Code(
        415, "Send the question as Content-Type: application/json, in UTF-8 and not compressed."
    ),
    "rate_limited": Code(429, "The model's server takes no more for now.", faults.RateLimited),
    "spending_limit": Code(429, "The day's costs have reached the lab's limit; nothing was asked.", SpendingLimit),
    "internal_error": Code(500, f"Something went wrong in the server. {_SEE_LOG}", Exception),
    "lab_unusable": Code(
        500, f"The lab cannot be used; check GallumpLab.path and the disk it is on. {_SEE_LOG}", StoreError
    ),
    "connection_lost": Code(502, "The model's server cannot be reached.", faults.ConnectionLost),
    "broken_reply": Code(502, "The model's server sent no reply of a model's.", faults.BrokenReply),
    "empty_reply": Code(502, "The model gave an empty reply.", faults.EmptyReply),
    "model_refused": Code(502, "The model's server refused the request.", faults.BadRequest),
    "busy": Code(503, "GallumpLab.answers questions are being answered; nothing was stored. Ask again in a moment."),
    "lab_busy": Code(503, "Another program holds the lab. Ask again in a moment.", LabBusy),
    "lab_unreachable": Code(503, f"The lab's own server cannot be reached. Ask again. {_SEE_LOG}", NoServer),
    "model_in_trouble": Code(503, "The model's server failed.", faults.ServerTrouble),
    "no_access_to_model": Code(503, "The model's server refused this lab's key.", faults.NoAccess),
    "price_unknown": Code(503, "A spending limit cannot be kept: the model's price is not known.", PriceUnknown),
    "model_timed_out": Code(504, "The model's server said nothing for too long.", faults.TimedOut),
}
"""What the route answers where it cannot answer a question; the OpenAPI description is made of it, too."""
_RAISED = {code.raised: name for name, code in CODES.items() if code.raised}
_LAB_WAIT = 5.0
"""Seconds after which a lab that was held, or did not answer, is worth another try."""


class Failure(HTTPError):
    """An answer that is an error. What a log gets of it is its code: the words may repeat what a client sent.

    Parameters
    ----------
    code : str
        One of `CODES`, which has the status.
    words : str, optional
        What happened and what to do, for a person; those of `CODES` by default.
    field : str, optional
        The field of the request that cannot be used.
    retry_after : float, optional
        Seconds, where they are known.
    session_id : str, optional
        The session in which the question was stored.
    """

    def __init__(
        self,
        code: str,
        words: str | None = None,
        *,
        field: str | None = None,
        retry_after: float | None = None,
        session_id: str | None = None,
    ) -> None:
        super().__init__(CODES[code].status, code)
        self.code, self.words, self.field, self.session_id = code, words or CODES[code].words, field, session_id
        self.retry_after = None if retry_after is None else math.ceil(retry_after)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer's JSON, with what Jupyter's own clients look for beside it."""
        names = ("code", "field", "retry_after", "session_id")
        error = {"message": self.words} | {name: getattr(self, name) for name in names}
        return {"error": error, "message": self.words, "reason": HTTPStatus(self.status_code).phrase}


def failure(error: Exception, *, log: "Logger", now: Callable[[], datetime]) -> Failure:
    """Turn what was raised into an answer; what is the operator's alone goes into the log.

    Parameters
    ----------
    error : Exception
    log : Logger
        Gets a store's words, and of an error that nobody expected its place, without the words it may quote. What a
        model's server said stands in the lab's turn alone: it may quote the question, or tell of the server's paths.
    now : callable
        Returns the lab's time, UTC: a spending limit ends with the day.
    """
    if isinstance(error, Failure):
        return error
    code = next(_RAISED[kind] for kind in type(error).__mro__ if kind in _RAISED)
    words, wait, field = CODES[code].words, getattr(error, "retry_after", None), None
    if isinstance(error, StoreError):
        log.error("gallump_lab: %s", error)
        wait = _LAB_WAIT if isinstance(error, LabBusy | NoServer) else None
    elif isinstance(error, faults.ModelError):
        status = "" if error.status is None else f" ({error.status})"
        words = f"{words.rstrip('.')}{status}. {error.kept}"
    elif code == "internal_error":
        log.error("gallump_lab: %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    else:
        words = str(error)
    if isinstance(error, SpendingLimit):
        today = now().astimezone(UTC)
        midnight = today.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        wait = (midnight - today).total_seconds()
    if isinstance(error, PromptTooLong):
        field = "prompt"
    reply = getattr(error, "reply", None)
    return Failure(code, words, field=field, retry_after=wait, session_id=str(reply.session_id) if reply else None)


def of_status(status: int) -> Failure:
    """Return the answer for an error of Jupyter's or tornado's own; what is not in `CODES` is a bad request."""
    known = (name for name, code in CODES.items() if code.status == status)
    return Failure("internal_error" if status >= 500 else next(known, "bad_request"))

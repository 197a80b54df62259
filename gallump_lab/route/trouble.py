"""What an answer is when it is an error: one table from what a lab raises to a status, and the JSON of it."""

import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tornado.web import HTTPError

from gallump_lab.brain import answer as faults
from gallump_lab.brain.prompt import PromptTooLong
from gallump_lab.brain.turns import PriceUnknown, SpendingLimit
from gallump_lab.store import LabBusy, NoServer, StoreError

if TYPE_CHECKING:
    from logging import Logger


class Trouble(HTTPError):
    """An answer that is an error. What a log gets of it is its code: the words may repeat what a client sent."""

    def __init__(  # noqa: PLR0913 (the answer's fields)
        self,
        status: int,
        code: str,
        words: str,
        *,
        field: str | None = None,
        retry_after: float | None = None,
        session_id: str | None = None,
    ) -> None:
        super().__init__(status, code)
        self.code, self.words, self.field, self.session_id = code, words, field, session_id
        self.retry_after = None if retry_after is None else math.ceil(retry_after)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer's JSON, with what Jupyter's own clients look for beside it."""
        names = ("code", "field", "retry_after", "session_id")
        error = {"message": self.words} | {name: getattr(self, name) for name in names}
        return {"error": error, "message": self.words, "reason": HTTPStatus(self.status_code).phrase}


@dataclass(frozen=True, kw_only=True)
class _Told:
    status: int
    code: str
    words: str | None = None
    """The error's own by default."""
    wait: float | None = None
    """Seconds to the next try, where the error does not say."""


_SEE_LOG = "The server's log says why."
_TABLE: Mapping[type[BaseException], _Told] = {
    faults.RateLimited: _Told(status=429, code="rate_limited", words="The model's server takes no more for now."),
    faults.ServerTrouble: _Told(status=503, code="model_in_trouble", words="The model's server failed."),
    faults.TimedOut: _Told(status=504, code="model_timed_out", words="The model's server said nothing for too long."),
    faults.ConnectionLost: _Told(status=502, code="connection_lost", words="The model's server cannot be reached."),
    faults.BrokenReply: _Told(status=502, code="broken_reply", words="The model's server sent no reply of a model's."),
    faults.EmptyReply: _Told(status=502, code="empty_reply", words="The model gave an empty reply."),
    faults.BadRequest: _Told(status=502, code="model_refused", words="The model's server refused the request."),
    faults.NoAccess: _Told(status=503, code="no_access_to_model", words="The model's server refused this lab's key."),
    SpendingLimit: _Told(status=429, code="spending_limit"),
    PriceUnknown: _Told(status=503, code="price_unknown"),
    PromptTooLong: _Told(status=413, code="prompt_too_long"),
    LabBusy: _Told(status=503, code="lab_busy", words="Another program holds the lab. Ask again in a moment.", wait=5),
    NoServer: _Told(
        status=503,
        code="lab_unreachable",
        words=f"The lab's own server cannot be reached. Ask again; {_SEE_LOG[0].lower()}{_SEE_LOG[1:]}",
        wait=5,
    ),
    StoreError: _Told(
        status=500,
        code="lab_unusable",
        words=f"The lab cannot be used; check GallumpLab.path and the disk it is on. {_SEE_LOG}",
    ),
    Exception: _Told(status=500, code="internal_error", words=f"Something went wrong in the server. {_SEE_LOG}"),
}
"""What a lab may raise; the first of an error's classes that is found here counts."""


def trouble(error: BaseException, *, log: "Logger", now: Callable[[], datetime]) -> Trouble:
    """Turn what was raised into an answer; what is the operator's alone goes into the log.

    Parameters
    ----------
    error : BaseException
    log : Logger
        Gets a store's words, and of an error that nobody expected its place, without the words it may quote. What a
        model's server said stands in the lab's turn alone: it may quote the question, or tell of the server's paths.
    now : callable
        Tells the lab's time, UTC: a spending limit ends with the day.
    """
    if isinstance(error, Trouble):
        return error
    told = next((_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE), _TABLE[Exception])
    if isinstance(error, StoreError):
        log.error("gallump_lab: %s", error)
    elif told is _TABLE[Exception]:
        place = "".join(traceback.format_tb(error.__traceback__))
        log.error("gallump_lab: %s\n%s", type(error).__name__, place)
    wait = getattr(error, "retry_after", None)
    if isinstance(error, SpendingLimit):
        moment = now().astimezone(UTC)
        wait = (moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) - moment).total_seconds()
    reply = getattr(error, "reply", None)
    words = told.words or str(error)
    if isinstance(error, faults.ModelError):
        what = words.rstrip(".") if error.status is None else f"{words.rstrip('.')} ({error.status})"
        words = f"{what}. {error.kept}"
    return Trouble(
        told.status,
        told.code,
        words,
        field="prompt" if isinstance(error, PromptTooLong) else None,
        retry_after=told.wait if wait is None else wait,
        session_id=str(reply.session_id) if reply else None,
    )


_CODES = {
    400: ("bad_request", "The request cannot be read."),
    403: ("forbidden", "Send the server's token (Authorization: token ...), or a page's cookies and its X-XSRFToken."),
    404: ("not_found", "There is nothing here, or this server does not answer pages of another origin."),
    405: ("method_not_allowed", "This address does not take that method; Allow says which it takes."),
}


def of_http(status: int) -> Trouble:
    """Return the answer for an error of Jupyter's or tornado's own."""
    code, words = _CODES.get(status, ("internal_error" if status >= 500 else "refused", HTTPStatus(status).phrase))
    return Trouble(status, code, words)

"""What can go wrong between a prompt and its reply, one class each; the message says what to do and what was kept."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anthropic import APIStatusError


class ModelError(Exception):
    """A reply could not be had, or broke off; the question is kept, and so is what had arrived.

    Attributes
    ----------
    status : int or None
        The HTTP status, or the one that the server's error event stands for.
    retry_after : float or None
        Seconds after which the server wants to be asked again, where it said so.
    reply : object
        What a lab stored of the turn, once it did; None before.
    """

    def __init__(self, words: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        self.status, self.retry_after = status, retry_after
        self.reply: Any = None
        super().__init__(words)


class NoAccess(ModelError):
    """The key is missing, unknown, out of credit or not allowed to use the model (401, 402, 403)."""


class BadRequest(ModelError):
    """The server cannot do what it was asked: an unknown model, too large a prompt, a setting it refuses (4xx)."""


class RateLimited(ModelError):
    """Too many requests or tokens in a short time (429)."""


class ServerTrouble(ModelError):
    """The server failed or is overloaded (500, 529 and the like)."""


class TimedOut(ModelError):
    """Nothing came for as long as `Model.timeout` allows."""


class ConnectionLost(ModelError):
    """The server could not be reached, or the connection broke off before the reply had ended."""


class BrokenReply(ModelError):
    """What came is not a reply as the Messages API gives them."""


class EmptyReply(ModelError):
    """The model ended its reply without a word and without a valid recommendation."""


QUESTION_KEPT = "Your question is kept."
REPLY_KEPT = "Your question is kept, and the part of the reply that had arrived. A new reply costs anew."

_STATUS: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}
"""Which status an error event in mid-stream stands for; any other is the server's trouble."""

_WORDS: Mapping[int, tuple[type[ModelError], str, str]] = {
    401: (NoAccess, "{server} refused the key", "Check ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN."),
    402: (NoAccess, "{server} asks for payment", "Check the account's billing and credit."),
    403: (NoAccess, "The key may not use {model} on {server}", "Ask for access, or choose another model."),
    404: (
        BadRequest,
        "{server} has no model {model}, or no Messages API at this address",
        "Check Model.name, ANTHROPIC_MODEL and the base URL.",
    ),
    413: (BadRequest, "The prompt is too large for {server}", "Lower the budget's tiers or its window."),
    429: (RateLimited, "{server} takes no more requests for now", "Ask again {when}."),
    529: (ServerTrouble, "{server} is overloaded", "Ask again {when}."),
}
_REFUSED = (
    BadRequest,
    "{server} refused the request",
    "If it speaks of length, lower the budget; else look at the model's settings.",
)
_TROUBLE = (ServerTrouble, "{server} failed", "Ask again {when}.")


def status_fault(
    error: "APIStatusError", *, server: str, model: str, kept: str, secrets: Iterable[str] = ()
) -> ModelError:
    """Turn the SDK's error for a status or an error event into ours.

    Parameters
    ----------
    error : anthropic.APIStatusError
        It is left out of the fault's context, because it carries the request's headers.
    server, model : str
        What to call them.
    kept : str
        `QUESTION_KEPT` or `REPLY_KEPT`.
    secrets : iterable of str
        What must not be repeated, whatever the server echoes.
    """
    status = error.status_code if error.status_code != 200 else _STATUS.get(str(error.type), 500)
    kind, what, mend = _WORDS.get(status, _REFUSED if status < 500 else _TROUBLE)
    wait = retry_after(error.response.headers)
    when = "in a minute or two" if wait is None else f"in {math.ceil(wait)} seconds"
    reason = ": ".join(filter(None, (str(status), said(error.body, secrets))))
    words = f"{what.format(server=server, model=model)} ({reason}). {mend.format(when=when)} {kept}"
    return kind(words, status=status, retry_after=wait)


def without(secrets: Iterable[str], text: str) -> str:
    """Return a text with every secret in it replaced."""
    for secret in secrets:
        text = text.replace(secret, "[key]")
    return text


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds a server wants to be left alone: `Retry-After` in seconds or as a date; None if not said.

    A date is taken against the server's own `Date`, so that the clocks need not agree.
    """
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        until, now = _moment(value), _moment(headers.get("date", "")) or datetime.now(UTC)
        seconds = (until - now).total_seconds() if until else math.nan
    return max(seconds, 0.0) if seconds < 1e7 else None  # neither NaN nor four months is an answer


def _moment(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def said(body: object, secrets: Iterable[str]) -> str:
    """Find the server's own words in the body of an error: one line of at most 200 characters, without secrets."""
    while isinstance(body, dict):
        body = body.get("error") or body.get("message")
    text = without(secrets, body) if isinstance(body, str) else ""  # before it is cut: half a key is too much
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return (words if len(words) <= 200 else f"{words[:200]}...").rstrip(".")

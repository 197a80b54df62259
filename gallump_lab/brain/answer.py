"""What comes of asking: an answer, what it recommends and cost, or an error that says what to do."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from gallump_lab.lazy import fields_told, regex
from gallump_lab.masking import masked
from gallump_lab.memory.text import one_line, storable
from gallump_lab.reading.symbols import validate_symbol
from gallump_lab.reading.text_files import counted

if TYPE_CHECKING:
    from anthropic import APIStatusError


Action = Literal["buy", "sell", "hold", "short", "cover"]
State = Literal["complete", "stopped", "cut", "refused", "failed"]


def clean(text: str) -> str:
    """Return a text that may be stored, shown and sent: without keys, and without what is no character."""
    return masked(storable(text))


def line(value: object) -> str:
    """Return a text on one line, cleaned and without what cannot be seen; nothing of what is no text."""
    if not isinstance(value, str):
        return ""
    return clean(one_line("".join(c if c.isprintable() else " " for c in value)))


@fields_told
@dataclass(frozen=True, kw_only=True)
class Usage:
    """The tokens of one call, as the server counted them.

    Of a reply that did not come to its end they are what the server had said until then: a lower bound.
    """

    input_tokens: int
    """Prompt tokens that were neither read from the cache nor written to it."""
    output_tokens: int
    """Tokens of the reply, thinking and tool calls included."""
    cache_read_tokens: int = 0
    """Prompt tokens read from the prompt cache."""
    cache_write_tokens: int = 0
    """Prompt tokens written to the prompt cache."""
    thinking_tokens: int = 0
    """Of the output tokens those that the model thought with, shown or not."""

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt's tokens, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


@fields_told
@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One trading idea. Nothing ever sends it to a broker: it is for a person to confirm or to reject.

    Raises
    ------
    ValueError
        If it makes no sense: a price that is none, a buy whose stop stands above its entry.

    Examples
    --------
    >>> Recommendation(action="buy", symbol="aapl", entry=190.0, stop=182.0, confidence=0.6).symbol
    'AAPL'
    """

    action: Action
    symbol: str
    """The ticker, in capitals."""
    size: str = ""
    """How much, in words or shares ("5% of the portfolio", "100")."""
    entry: float | None = None
    """USD; None where the idea names none."""
    stop: float | None = None
    """USD; None where the idea names none."""
    target: float | None = None
    """USD; None where the idea names none."""
    horizon: str = ""
    """For how long, in words."""
    confidence: float
    """0 to 1, as the model says it; nobody has calibrated it."""
    rationale: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbol", validate_symbol(self.symbol.strip()))
        _check(0 <= self.confidence <= 1, f"confidence must be from 0 to 1, not {self.confidence:g}")
        for name, most in (("size", 200), ("horizon", 200), ("rationale", 2_000)):
            _check(len(getattr(self, name)) <= most, f"{name} must have at most {most:,} characters")
        rising = [value for value in (self.stop, self.entry, self.target) if value is not None]
        _check(all(0 < value < math.inf for value in rising), "entry, stop and target must be prices above 0")
        if self.action == "short":
            rising.reverse()
        if self.action in {"buy", "short"}:
            order = "stop < entry < target" if self.action == "buy" else "target < entry < stop"
            words = f"a {self.action} needs {order}, not stop {self.stop}, entry {self.entry}, target {self.target}"
            _check(all(low < high for low, high in pairwise(rising)), words)

    def to_dict(self) -> dict[str, Any]:
        """Return the recommendation as JSON values."""
        return asdict(self)


def _check(holds: object, words: str) -> None:
    if not holds:
        raise ValueError(words)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A model's reply to one prompt, or what there is of it."""

    text: str
    """What the model wrote, as it was streamed; a fenced JSON block at its end is left in it."""
    calls: tuple[str, ...] = ()
    """The JSON of each call of the tool that was offered."""
    cited: tuple[tuple[int, int], ...] = ()
    """Which of the search results that were sent the text cites, from 0, and behind how many of its characters."""
    recommendations: tuple[Recommendation, ...] = ()
    dropped: tuple[str, ...] = ()
    """Why a recommendation was not valid and is not among them, a sentence each."""
    model: str
    """The model's name, as it was asked for."""
    answered: str | None = None
    """The name of who answered, as the server says it."""
    sent: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for beside the prompt: `max_tokens`, `effort`, and under `without` the optional fields that the
    server refuses and that were left out for it; and what it said beside the reply: its id (`message`), and why its
    cache was missed by how many tokens (`missed`)."""
    told: str | None = None
    """In words, each said once: what the server refused and was asked without, who was not asked, another effort."""
    usage: Usage | None = None
    """None where the server has not said."""
    cost_usd: float | None = None
    """By list price or the configured one; estimated from above where the server has not said all of the usage. None
    where the price is not known."""
    latency: float
    """Seconds to the end of the reply."""
    first_text: float | None = None
    """Seconds to the first text; None where none came."""
    thinking: float | None = None
    """Seconds for which the model thought; None where it did not."""
    stop_reason: str | None = None
    """Why the model stopped, in the Messages API's words; a refusal's category stands behind it."""
    state: State
    interruption: BaseException | None = None
    """What was raised while the reply came in (Ctrl-C, an error of `on_text`); the state is "stopped" then."""
    fault: "ModelError | None" = None
    """What went wrong, where the state is "failed"."""
    plain: bool = False
    """A complete reply of text alone, without tool call: its usage tells how the model counts text, once what it
    thought, if it did, is counted apart."""
    offline: bool = False
    """The offline analyst answered; no model was asked."""

    @property
    def at_most(self) -> bool:
        """Whether the cost is estimated from above, as the server has not said all of the usage."""
        return bool(self.cost_usd) and None in {self.usage, self.stop_reason}

    def raise_if_failed(self) -> None:
        """Raise what interrupted the reply, or what went wrong with it, if anything did."""
        if problem := self.interruption or self.fault:
            raise problem

    @property
    def ending(self) -> str | None:
        """What to tell a reader about a reply that did not come to its end, in a sentence or three; None if it did."""
        return str(self.fault) if self.fault else ending(self.state, self.stop_reason, came=bool(self.text))

    def to_dict(self) -> dict[str, Any]:
        """Return the guide's part of the response: the text, the recommendations, and that a person must confirm them.

        Beside them, of a reply that is not whole, `state`, and `notice` or `error`, which say what happened in words.
        """
        found: dict[str, Any] = {
            "response": self.text,
            "recommendations": [each.to_dict() for each in self.recommendations],
            "requires_confirmation": True,
        }
        if self.state != "complete":
            found |= {"state": self.state, "error" if self.fault else "notice": self.ending}
        return found


_NOTICES: Mapping[str, str] = {
    "stopped": "Stopped. What had arrived is kept.",
    "cut": "The reply reached its limit and is kept as far as it came. Raise budget.reply for longer ones, "
    "or lower the budget's tiers where the model's own context is full.",
    "refused": "The model declined to go on{category}. Your question is kept{came}; ask in other words.",
}


def ending(state: str, stop_reason: str | None, *, came: bool) -> str | None:
    """Return what to tell a reader of a state, with a refusal's category and whether text came; None for most."""
    given = {"category": category(stop_reason), "came": ", and what had arrived" if came else ""}
    return _NOTICES[state].format(**given) if state in _NOTICES else None


def category(stop_reason: str | None) -> str:
    """Return a refusal's category, in brackets behind a space; nothing where there is none."""
    found = (stop_reason or "").partition(": ")[2]
    return f" ({found})" if found else ""


class ModelError(Exception):
    """A reply could not be had, or broke off; the question is kept, and so is what had arrived.

    Attributes
    ----------
    status : int or None
        The HTTP status, or the one that the server's error event stands for.
    retry_after : float or None
        Seconds after which the server wants to be asked again, where it said so.
    kept : str
        What was kept, in words: whoever asked knows.
    reply : object
        What a lab stored of the turn, once it did; None before.
    """

    def __init__(self, words: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        self.status, self.retry_after = status, retry_after
        self.kept = ""
        self.reply: Any = None
        super().__init__(clean(words))  # a server may repeat whatever it was sent

    def __str__(self) -> str:
        """Return what went wrong, what to do, and what was kept."""
        return f"{self.args[0]} {self.kept}".strip()


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


_STATUS: Mapping[object, int] = {"invalid_request_error": 400, "rate_limit_error": 429, "overloaded_error": 529}
"""Which status an error in mid-stream or of a batch stands for; any other is the server's trouble."""

_WORDS: Mapping[int, tuple[type[ModelError], str, str]] = {
    401: (NoAccess, "{server} refused the key", "Check ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN."),
    402: (NoAccess, "{server} asks for payment", "Check the account's billing and credit."),
    403: (NoAccess, "The key may not use {model} on {server}", "Ask for access, or choose another model."),
    404: (BadRequest, "{server} has no model {model}", "Check Model.name, ANTHROPIC_MODEL and the base URL."),
    413: (BadRequest, "The prompt is too large for {server}", "Lower the budget's tiers or its window."),
    429: (RateLimited, "{server} takes no more requests for now", "Ask again {when}."),
    529: (ServerTrouble, "{server} is overloaded", "Ask again {when}."),
}
_REFUSED = (BadRequest, "{server} refused the request", "Lower the budget if it is too long, or mend the settings.")
_MEANT = {
    402: regex(r"credit balance", re.IGNORECASE),
    413: regex(r"(?:prompt|input|request) is too l|context\W*(?:size|length|window|limit)", re.IGNORECASE),
}
"""What a 400 is meant as, by its words."""
_TROUBLE = (ServerTrouble, "{server} failed", "Ask again {when}.")


def failure(error: Exception | None, *, begun: bool, server: str, model: str, timeout: float) -> ModelError:
    """Name what ended a stream before the reply had come to its end.

    The SDK's errors are left out of its context: they carry the request's headers, and the key with them.

    Parameters
    ----------
    error : Exception, optional
        What ended it; None where the stream simply ended.
    begun : bool
        Whether a reply had begun.
    server, model : str
        What to call them.
    timeout : float
        Seconds of silence that were allowed.
    """
    if isinstance(error, ModelError):
        return error.with_traceback(None)
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        return _status_failure(error, server=server, model=model)
    cause = type(error.__cause__ or error) if error else None
    name = cause.__name__ if cause else "no end"
    # The network's errors by their module's name, since the SDK may change its HTTP library.
    network = cause and (issubclass(cause, OSError) or cause.__module__.startswith(("httpx", "httpcore")))
    if name.endswith("Timeout"):
        return TimedOut(f"Nothing came from {server} for {timeout:g} seconds. Ask again, or raise Model.timeout.")
    if begun and (cause is None or network):
        return ConnectionLost(f"The connection to {server} broke off in mid-reply ({name}). Ask again.")
    if network:
        return ConnectionLost(f"No answer from {server} ({name}). Check the network and the base URL.")
    return BrokenReply(f"What {server} sent is no reply of the Messages API ({name}). Check the base URL.")


def _status_failure(error: "APIStatusError", *, server: str, model: str) -> ModelError:
    """Turn the SDK's error for a status or an error event into ours."""
    status = error.status_code if error.status_code != 200 else _STATUS.get(error.type, 500)
    return _named(status, error.body, server=server, model=model, wait=retry_after(error))


def told(error: object, *, server: str, model: str) -> ModelError:
    """Name an error that is told as JSON, as that of one request of a batch."""
    detail = error.get("error") if isinstance(error, dict) else None
    kind = detail.get("type") if isinstance(detail, dict) else None
    return _named(_STATUS.get(str(kind), 500), error, server=server, model=model)


def _named(status: int, body: object, *, server: str, model: str, wait: float | None = None) -> ModelError:
    said = _said(body)
    meant = next((code for code, words in _MEANT.items() if words.search(said)), status) if status == 400 else status
    kind, what, mend = _WORDS.get(meant, _REFUSED if status < 500 else _TROUBLE)
    when = "in a minute or two" if wait is None else f"in {counted(math.ceil(wait), 'seconds')}"
    reason = ": ".join(filter(None, (str(status), said)))
    words = f"{what.format(server=server, model=model)} ({reason}). {mend.format(when=when)}"
    return kind(words, status=status, retry_after=wait)


def retry_after(error: Exception) -> float | None:
    """Read how many seconds a server wants to be left alone (`Retry-After`); None if it does not say."""
    headers = error.response.headers if hasattr(error, "response") else {}
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(seconds, 0.0) if seconds < 1e7 else None  # neither NaN nor four months is an answer


def _said(body: object) -> str:
    """Find the server's own words in the body of an error: one line of at most 200 characters, without secrets."""
    while isinstance(body, dict):
        body = body.get("error") or body.get("message")
    words = line(body)  # cleaned before it is cut: half a key is too much
    return (words if len(words) <= 200 else f"{words[:200]}...").rstrip(".")

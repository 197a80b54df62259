"""What the brain hands on: an answer, what it recommends and what it cost."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from gallump_lab.brain.faults import ModelError

Action = Literal["buy", "sell", "hold", "short", "cover"]
State = Literal["complete", "stopped", "cut", "refused", "failed"]

_NOTICES: dict[State, str] = {
    "stopped": "Stopped. What had arrived is kept.",
    "cut": "The reply reached its limit and is kept as far as it came. Raise budget.reply for longer ones.",
    "refused": "The model declined to go on. Your question is kept, and what had arrived; ask in other words.",
}


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

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt's tokens, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One trading idea. Nothing ever sends it to a broker: it is for a person to confirm or to reject."""

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

    def to_dict(self) -> dict[str, Any]:
        """Return the recommendation as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A model's reply to one prompt, or what there is of it."""

    text: str
    """What the model wrote, as it was streamed; a fenced JSON block at its end is left in it."""
    recommendations: tuple[Recommendation, ...] = ()
    dropped: tuple[str, ...] = ()
    """Why a recommendation was not valid and is not among them, a sentence each."""
    model: str
    """The model's name, as it was asked for."""
    usage: Usage | None = None
    """None where the server has not said."""
    cost_usd: float | None = None
    """By list price or the configured one; estimated from above where the server has not said all of the usage. None
    where the price is not known."""
    latency: float
    """Seconds to the end of the reply."""
    first_text: float | None = None
    """Seconds to the first text; None where none came."""
    stop_reason: str | None = None
    """Why the model stopped, in the Messages API's words."""
    state: State
    interruption: BaseException | None = None
    """What was raised while the reply came in (Ctrl-C, an error of `on_text`); the state is "stopped" then."""
    fault: ModelError | None = None
    """What went wrong, where the state is "failed"."""
    plain: bool = False
    """A complete reply of text alone, without tool call or thinking: its usage tells how the model counts text."""
    offline: bool = False
    """The offline analyst answered; no model was asked."""

    def raise_if_failed(self) -> None:
        """Raise what interrupted the reply, or what went wrong with it, if anything did."""
        if problem := self.interruption or self.fault:
            raise problem

    @property
    def notice(self) -> str | None:
        """What to tell a reader about a reply that did not come to its end, in a sentence or three; None if it did."""
        return str(self.fault) if self.fault else _NOTICES.get(self.state)

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
            found |= {"state": self.state, "error" if self.fault else "notice": self.notice}
        return found

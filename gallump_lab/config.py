"""The tunables, as frozen records that go to TOML and come back equal."""

import dataclasses
import hashlib
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, tzinfo
from functools import cached_property
from typing import Any, Literal, Self, cast, get_args, get_origin
from zoneinfo import ZoneInfo

import tomli_w

from gallump_lab.lazy import fields_told
from gallump_lab.tokens import OFFLINE

Template = Literal["default", "guide"]
Layout = Literal["single", "conversation"]
Tools = Literal["auto", "always", "never"]
Distiller = Literal["rules", "model", "nobody"]
Effort = Literal["low", "medium", "high", "xhigh", "max"]

_OWN = re.compile(r"https?://(?:[^/@]*@)?(?:[\w-]+\.)*anthropic\.com(?:[:/]|$)", re.IGNORECASE)
AUTO, DEFAULT_MODEL, UNNAMED = "auto", "claude-sonnet-5-5", "unnamed-model"
"""As `Model.name`; whom it means at Anthropic's own server; and at another until that has said which models it has."""


class ConfigError(ValueError):
    """A setting has an unknown name or a value that cannot be used; the message says which and how to mend it."""


def zone(name: str) -> tzinfo:
    """Return the time zone of an IANA name.

    Raises
    ------
    ConfigError
        If there is none of this name here.
    """
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ValueError, TypeError, KeyError, OSError) as error:
        msg = f"Config.time_zone must be an IANA name such as 'Europe/Berlin' or 'UTC', not {name!r:.60}."
        raise ConfigError(msg) from error


def _check(holds: object, words: str) -> None:
    """Raise a ConfigError with these words unless a condition holds."""
    if not holds:
        raise ConfigError(words)


def _check_number(name: str, value: Any, *, whole: bool, low: float, high: float) -> None:
    """Check that a setting is a number within bounds."""
    number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    what = f"whole number of at least {low}" if whole else f"number from {low:g} to {high:g}"
    _check(number and low <= value <= high, f"{name} must be a {what}, not {value!r}.")


def _whole(default: int | None, low: int = 0) -> Any:
    """Make a field for a whole number."""
    return field(default=default, metadata={"whole": True, "low": low, "high": math.inf})


def _number(default: float | None, low: float = 0, high: float = 10) -> Any:
    """Make a field for a number."""
    return field(default=default, metadata={"whole": False, "low": low, "high": high})


class _Settings:
    """A record whose fields hold what their types and bounds allow, or None where that is their default."""

    def __post_init__(self) -> None:
        for each in fields(cast("Any", self)):
            name, value, kind = f"{type(self).__name__}.{each.name}", getattr(self, each.name), each.type
            if each.metadata and not (value is None and each.default is None):
                _check_number(name, value, **each.metadata)
            elif get_origin(kind) is Literal:
                known = get_args(kind)
                _check(value in known, f"{name} must be one of {', '.join(known)}, not {value!r}.")
            elif kind is bool:
                _check(isinstance(value, bool), f"{name} must be True or False, not {value!r}.")
            elif kind is str:
                _check(isinstance(value, str) and value.strip(), f"{name} must be a name, not {value!r}.")
            elif isinstance(kind, type) and dataclasses.is_dataclass(kind):
                _check(isinstance(value, kind), f"{name} must be a {kind.__name__}, not {value!r}.")


@fields_told
@dataclass(frozen=True, kw_only=True)
class Budget(_Settings):
    """How many of the model's tokens each part of a prompt may take.

    The defaults are the guide's 2,000 / 500 / 200 inside a window of 100,000. What the three tiers leave is for market
    data, portfolio, instructions, schema and the reply.
    """

    hot: int = _whole(2_000)
    """Tokens for the newest of the current session."""
    warm: int = _whole(500)
    """Tokens for relevant passages of everything earlier, this session's overflow included."""
    cold: int = _whole(200)
    """Tokens for insights."""
    window: int = _whole(100_000, 1)
    """Tokens for the whole prompt and the reply together."""
    reply: int = _whole(4_096, 1)
    """The longest reply that is to be read, in tokens; it is kept free in the window. What a model thinks with comes on
    top (`Model.thinking`)."""
    hot_messages: int | None = _whole(None, 1)
    """At most so many of the session's newest messages (the guide: 5); None for no such bound."""
    hot_step: int = _whole(1_000, 1)
    """In the layout "conversation" HOT begins at a question, and only at every so many cl100k tokens of the session, so
    that what is sent begins alike, and is read from the prompt cache, for several turns."""
    hot_characters: int | None = _whole(None, 1)
    """Each of the session's messages cut to so many characters (the guide: 200); None for whole sentences that fit."""
    cold_insights: int | None = _whole(None, 1)
    """At most so many insights (the guide: 10); None for no such bound."""

    def __post_init__(self) -> None:
        super().__post_init__()
        taken = self.hot + self.warm + self.cold + self.reply
        _check(
            taken <= self.window,
            f"Budget: hot, warm, cold and reply take {taken:,} tokens, but the window has {self.window:,}. "
            "Lower one of them or raise window.",
        )

    @classmethod
    def guide(cls) -> Self:
        """Return the integration guide's own selection: the last 5 messages of 200 characters each, 10 insights."""
        return cls(hot_messages=5, hot_characters=200, cold_insights=10)

    @classmethod
    def shares(cls, total: int, hot: float, warm: float, cold: float, **others: int) -> Self:
        """Divide `total` tokens by shares that sum to 1, such as the guide's .80, .15 and .05.

        Parameters
        ----------
        total : int
            Tokens to divide.
        hot, warm, cold : float
            Shares from 0 to 1; what rounding leaves goes to HOT.
        **others : int
            Further fields of the budget (`window`, `reply`, ...).

        Raises
        ------
        ConfigError
            If the total is not a positive whole number or the shares do not sum to 1.
        """
        _check_number("Budget.shares: total", total, whole=True, low=1, high=math.inf)
        together = hot + warm + cold
        _check(abs(together - 1) <= 1e-9, f"Budget.shares: hot, warm and cold must sum to 1, not {together:g}.")
        warm_tokens, cold_tokens = round(total * warm), round(total * cold)
        return cls(hot=total - warm_tokens - cold_tokens, warm=warm_tokens, cold=cold_tokens, **others)


@fields_told
@dataclass(frozen=True, kw_only=True)
class Recall(_Settings):
    """How WARM finds and orders what is relevant of earlier talk: how much each signal counts; 0 turns it off."""

    words: float = _number(1.0)
    """Words in common with the question: BM25, relative to all that the question's words weigh."""
    meaning: float = _number(1.6)
    """Likeness of the question's and the passage's vectors: their cosine."""
    neighbours: float = _number(1.0, high=1)
    """How much the passages beside one in its session count for both: 1 as measured, 0 not at all."""
    speaker: float = _number(0.5)
    """For what a speaker said whom the question names."""
    role: float = _number(1.0)
    """For the analysts' own words, over the assistant's; where the question asks for those, the other way round."""
    symbol: float = _number(0.1)
    """For what was said of the asked symbol."""
    dates: float = _number(0.8)
    """For what was said when the question says ("last week", "in May")."""
    recency: float = _number(0.05)
    """For what was said lately; it halves in 90 days."""
    figures: float = _number(0.15)
    """For what holds figures, where the question wants one."""
    wishes: float = _number(0.1)
    """For the analysts' standing wishes and rules ("always", "from now on", "I prefer")."""
    answered: float = _number(0.3)
    """For what the reply to an earlier, similar question rested on; off in a what-if."""
    hints: float = _number(0.0)
    """For what the model's hints lead to: likely questions or a line of context, given with the insights of a session
    when the model distils it. Off, the default, none are asked for."""
    message: float = _number(1.0, high=1)
    """How far a message's other passages follow its best one: 1 as measured, 0 not at all."""
    least: float = _number(0.2)
    """What gets less from words, meaning, speaker, symbol, dates, answered and hints has too little to do with the
    question: it is left out. Where the best gets less than twice that, WARM stays empty; four times, where nobody spoke
    of what it names."""
    share: float = _number(0.7, high=1)
    """What scores less than this share of the best is left out, so that the rest of the budget stays free."""
    k1: float = _number(0.5)
    """BM25's term saturation (Robertson and Zaragoza 2009)."""
    b: float = _number(0.4, high=1)
    """BM25's length normalisation, 0 for none to 1 for full."""
    embedder: str = "wordllama-256"
    """By whose vectors meaning is compared: the built-in model, "minilm" (an extra), or one that the lab was given."""


@fields_told
@dataclass(frozen=True, kw_only=True)
class Cold(_Settings):
    """What COLD learns and how it orders it: how much each signal counts; 0 turns it off."""

    distiller: Distiller = "rules"
    """Who distils a chat's session once it has ended: fixed rules, which cost nothing and send nothing; the model that
    answers; or nobody, until `lab.distill()` asks for it."""
    tokens: int = _whole(200, 1)
    """A session's insights are at most so many cl100k tokens together."""
    words: float = _number(1.0)
    """Words in common with the question: BM25, relative to all that the question's words weigh."""
    meaning: float = _number(1.0)
    """Likeness of the question's and the insight's vectors: their cosine."""
    symbol: float = _number(0.3)
    """For what is about the asked symbols."""
    dates: float = _number(0.5)
    """For what was said when the question says ("last week", "in May")."""
    recency: float = _number(0.1)
    """For what was said, or said again, lately; it halves in 90 days."""
    least: float = _number(0.2)
    """What gets less from all signals but recency has too little to do with the question: it is left out."""


@fields_told
@dataclass(frozen=True, kw_only=True)
class Model(_Settings):
    """Which model answers, and within what bounds of time and money."""

    name: str = AUTO
    """The model's name, as its server knows it. "auto" is Sonnet 5.5, or what a server that is not Anthropic's lists
    first where it has no Sonnet 5.5. ANTHROPIC_MODEL overrides it where set."""
    effort: Literal[Effort, "default"] = "medium"
    """How hard a model that can be told is to try, thinking included; "default" leaves it to the model (Sonnet 5.5:
    high). For chat the documentation says to begin at medium or low."""
    thinking: int = _whole(8_000)
    """Tokens that a model which thinks may do so with, beside `Budget.reply`, which bounds what it writes."""
    base_url: str | None = None
    """A server that speaks the Messages API. Never stored in a lab: a file must not decide where a key is sent."""
    timeout: float = _number(120.0, 0.01, 86_400)
    """Seconds without any answer before a request counts as lost."""
    max_retries: int = _whole(2)
    """How often a request that may succeed later (429, 500, 529, no connection) is sent again."""
    tools: Tools = "auto"
    """Recommendations through a strict tool ("always"), a fenced JSON block ("never"), or whichever the server can."""
    citations: bool = False
    """Whether recalled passages and insights are sent as search results, so that replies cite them. Not tried on a live
    model, nor whether strict tools go along with it (`tools="never"` does without); a server without it gets text."""
    max_usd_per_day: float | None = _number(None, high=1e9)
    """No call starts once the UTC day's recorded costs have reached this; None for no limit."""
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """USD per million tokens, in and out, by model name; overrides the list prices."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """The model's tokens per cl100k token, by model name; overrides what the table says and what was learnt."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = self.base_url is None or str(self.base_url).startswith(("http://", "https://"))
        _check(
            known, f"Model.base_url must start with http:// or https://, not {str(self.base_url).rpartition('@')[2]!r}."
        )
        for model, price in self.prices.items():
            given = f"Model.prices[{model!r}]"
            pair = isinstance(price, (list, tuple)) and len(price) == 2
            _check(pair, f"{given} must be (USD in, USD out) per million tokens, not {price!r}.")
            for value in price:
                _check_number(given, value, whole=False, low=0, high=1e6)
        for model, factor in self.factors.items():
            _check_number(f"Model.factors[{model!r}]", factor, whole=False, low=0.1, high=10)
        prices = {model: (float(given), float(taken)) for model, (given, taken) in self.prices.items()}
        object.__setattr__(self, "prices", prices)
        object.__setattr__(self, "factors", {model: float(factor) for model, factor in self.factors.items()})

    @property
    def server(self) -> str:
        """The base URL, ANTHROPIC_BASE_URL where none is configured; empty for Anthropic's own."""
        return self.base_url or _environment("ANTHROPIC_BASE_URL")

    @property
    def own_server(self) -> bool:
        """Whether it is Anthropic's own."""
        return not self.server or _OWN.match(self.server) is not None

    @property
    def answering(self) -> str:
        """Who answers: the model by its name, or the offline analyst where there is neither a key nor a base URL."""
        if not (self.server or _environment("ANTHROPIC_API_KEY") or _environment("ANTHROPIC_AUTH_TOKEN")):
            return OFFLINE
        chosen = _environment("ANTHROPIC_MODEL") or self.name
        if chosen != AUTO:
            return chosen
        return DEFAULT_MODEL if self.own_server else SERVED.get(self.server, UNNAMED)


SERVED: dict[str, str] = {}
"""Which model "auto" is at a server, by its URL, once that has been asked."""


def _environment(name: str) -> str:
    return os.environ.get(name, "").strip()


@fields_told
@dataclass(frozen=True, kw_only=True)
class Config(_Settings):
    """All that can be tuned, with `Budget`, `Recall`, `Cold` and `Model`; `lab.apply(config)` puts it in force.

    Examples
    --------
    >>> config = Config(budget=Budget(warm=800))
    >>> Config.from_toml(config.to_toml()) == config
    True
    """

    budget: Budget = field(default_factory=Budget)
    recall: Recall = field(default_factory=Recall)
    cold: Cold = field(default_factory=Cold)
    model: Model = field(default_factory=Model)
    rewrite: bool = False
    """Whether the model that answers is asked first for the question as recall should look for it: standing by itself,
    its dates in full. That costs a call more; `lab.preview` tells how much, and the turn records what came."""
    template: Template = "default"
    """Which prompt template: "default", or "guide" for the integration guide's text."""
    layout: Layout = "conversation"
    """How a prompt is laid out: "conversation", the session as the turns that it had, with what changes from turn to
    turn after it; or "single", all of it in one message, as always with the template "guide"."""
    session_minutes: float = _number(30, 0.01, 60 * 24 * 366)
    """Minutes without a message after which a session has ended."""
    time_zone: str | None = None
    """Whose days "today" and "last week" are, an IANA name such as "Europe/Berlin"; None for the machine's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.template == "guide":
            object.__setattr__(self, "layout", "single")
        if self.time_zone is not None:
            zone(self.time_zone)

    @classmethod
    def guide(cls) -> Self:
        """Return the integration guide's selection and its exact prompt text."""
        return cls(budget=Budget.guide(), template="guide")

    @property
    def id(self) -> str:
        """The configuration's name: 16 hexadecimal digits of the SHA-256 of its TOML."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()[:16]

    def to_toml(self) -> str:
        """Write every setting that is not None as TOML."""
        return self._toml

    @cached_property
    def _toml(self) -> str:
        return tomli_w.dumps(_plain(self))

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Read what `to_toml` wrote, or a part of it: what is left out has its default.

        Raises
        ------
        ConfigError
            If the text is not TOML, or a setting is unknown or cannot be used.
        """
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            msg = f"The configuration is not TOML: {error}."
            raise ConfigError(msg) from error
        made: Self = _record(cls, table, "")
        return made


def _plain(value: Any) -> Any:
    """Return a record as nested dicts without None; mappings sorted by their keys."""
    if not dataclasses.is_dataclass(value):
        return dict(sorted(value.items())) if isinstance(value, dict) else value
    found = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return {name: inner for name, inner in found.items() if inner is not None}


def _record(kind: Any, table: object, prefix: str) -> Any:
    if not isinstance(table, dict):
        msg = f"Setting {prefix.rstrip('.')!r} must be a table, not {table!r}."
        raise ConfigError(msg)
    known = {each.name: each.type for each in fields(kind)}
    for name, value in table.items():
        _check(name in known, f"Unknown setting {prefix}{name}. Known are: {', '.join(known)}.")
        if dataclasses.is_dataclass(known[name]):
            table[name] = _record(known[name], value, f"{name}.")
    return kind(**table)

"""The tunables, as frozen records that go to TOML and come back equal."""

import dataclasses
import difflib
import hashlib
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_args

import tomli_w

from gallump_lab.reading.dates import zone
from gallump_lab.tokens import OFFLINE

Template = Literal["default", "guide"]
Tools = Literal["auto", "always", "never"]
Distiller = Literal["rules", "model", "nobody"]


class ConfigError(ValueError):
    """A setting has an unknown name or a value that cannot be used; the message says which and how to mend it."""


def _check(holds: object, words: str) -> None:
    """Raise a ConfigError with these words unless a condition holds."""
    if not holds:
        raise ConfigError(words)


def _check_number(name: str, value: Any, low: float, high: float = math.inf, *, whole: bool = False) -> None:
    """Check that a setting is a number within bounds."""
    number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    what = f"whole number of at least {low}" if whole else f"number from {low:g} to {high:g}"
    _check(number and low <= value <= high, f"{name} must be a {what}, not {value!r}.")


def _check_fields(record: Any, names: str, low: float, high: float = math.inf, *, whole: bool = False) -> None:
    """Check that fields are numbers within bounds, or None where that is their default."""
    for name in names.split():
        value = getattr(record, name)
        if value is not None or getattr(type(record), name) is not None:
            _check_number(f"{type(record).__name__}.{name}", value, low, high, whole=whole)


def _check_choice(record: Any, name: str, choices: Any) -> None:
    given, value, known = f"{type(record).__name__}.{name}", getattr(record, name), get_args(choices)
    _check(value in known, f"{given} must be one of {', '.join(known)}, not {value!r}.")


def _check_name(record: Any, name: str, what: str) -> None:
    given, value = f"{type(record).__name__}.{name}", getattr(record, name)
    _check(isinstance(value, str) and value.strip(), f"{given} must be {what}, not {value!r}.")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How many of the model's tokens each part of a prompt may take.

    The defaults are the guide's 2,000 / 500 / 200 inside a window of 100,000. What the three tiers leave is for market
    data, portfolio, instructions, schema and the reply.
    """

    hot: int = 2_000
    """Tokens for the newest of the current session."""
    warm: int = 500
    """Tokens for relevant passages of everything earlier, this session's overflow included."""
    cold: int = 200
    """Tokens for insights."""
    window: int = 100_000
    """Tokens for the whole prompt and the reply together."""
    reply: int = 4_096
    """The longest reply, in tokens; it is kept free in the window."""
    hot_messages: int | None = None
    """At most so many of the session's newest messages (the guide: 5); None for no such bound."""
    hot_characters: int | None = None
    """Each of the session's messages cut to so many characters (the guide: 200); None for whole sentences that fit."""
    cold_insights: int | None = None
    """At most so many insights (the guide: 10); None for no such bound."""

    def __post_init__(self) -> None:
        _check_fields(self, "hot warm cold", 0, whole=True)
        _check_fields(self, "window reply hot_messages hot_characters cold_insights", 1, whole=True)
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
        _check_number("Budget.shares: total", total, 1, whole=True)
        for name, share in (("hot", hot), ("warm", warm), ("cold", cold)):
            _check_number(f"Budget.shares: {name}", share, 0, 1)
        together = hot + warm + cold
        _check(abs(together - 1) <= 1e-9, f"Budget.shares: hot, warm and cold must sum to 1, not {together:g}.")
        warm_tokens, cold_tokens = round(total * warm), round(total * cold)
        return cls(hot=total - warm_tokens - cold_tokens, warm=warm_tokens, cold=cold_tokens, **others)


@dataclass(frozen=True, kw_only=True)
class Recall:
    """How WARM finds and orders what is relevant of earlier talk: how much each signal counts; 0 turns it off."""

    words: float = 1.0
    """Words in common with the question: BM25, relative to all that the question's words weigh."""
    meaning: float = 1.0
    """Likeness of the question's and the passage's vectors: their cosine."""
    neighbours: float = 1.0
    """How much the passages beside one in its session count for both: 1 as measured, 0 not at all."""
    speaker: float = 0.5
    """For what a speaker said whom the question names."""
    role: float = 0.4
    """For the analysts' own words, over the assistant's."""
    symbol: float = 0.2
    """For what was said of the asked symbol."""
    dates: float = 0.8
    """For what was said when the question says ("last week", "in May")."""
    recency: float = 0.05
    """For what was said lately; it halves in 90 days."""
    k1: float = 0.5
    """BM25's term saturation (Robertson and Zaragoza 2009)."""
    b: float = 0.4
    """BM25's length normalisation, 0 for none to 1 for full."""
    embedder: str = "wordllama-256"
    """By whose vectors meaning is compared: the built-in model, "minilm" (an extra), or one that the lab was given."""

    def __post_init__(self) -> None:
        _check_fields(self, "words meaning speaker role symbol dates recency k1", 0, 10)
        _check_fields(self, "neighbours b", 0, 1)
        _check_name(self, "embedder", "an embedder's name such as 'wordllama-256'")


@dataclass(frozen=True, kw_only=True)
class Cold:
    """What COLD learns and how it orders it: how much each signal counts; 0 turns it off."""

    distiller: Distiller = "rules"
    """Who distils a chat's session once it has ended: fixed rules, which cost nothing and send nothing; the model that
    answers; or nobody, until `lab.distill()` asks for it."""
    tokens: int = 200
    """A session's insights are at most so many cl100k tokens together."""
    words: float = 1.0
    """Words in common with the question: BM25, relative to all that the question's words weigh."""
    meaning: float = 1.0
    """Likeness of the question's and the insight's vectors: their cosine."""
    symbol: float = 0.3
    """For what is about the asked symbols."""
    dates: float = 0.5
    """For what was said when the question says ("last week", "in May")."""
    recency: float = 0.1
    """For what was said, or said again, lately; it halves in 90 days."""
    least: float = 0.2
    """What gets less from all signals but recency has too little to do with the question: it is left out."""

    def __post_init__(self) -> None:
        _check_choice(self, "distiller", Distiller)
        _check_fields(self, "tokens", 1, whole=True)
        _check_fields(self, "words meaning symbol dates recency least", 0, 10)


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which model answers, and within what bounds of time and money."""

    name: str = "claude-sonnet-5-5"
    """The model's name, as its server knows it. ANTHROPIC_MODEL overrides it where set."""
    base_url: str | None = None
    """A server that speaks the Messages API. Never stored in a lab: a file must not decide where a key is sent."""
    timeout: float = 120.0
    """Seconds without any answer before a request counts as lost."""
    max_retries: int = 2
    """How often a request that may succeed later (429, 500, 529, no connection) is sent again."""
    tools: Tools = "auto"
    """Recommendations through a strict tool ("always"), a fenced JSON block ("never"), or whichever the server can."""
    max_usd_per_day: float | None = None
    """No call starts once the UTC day's recorded costs have reached this; None for no limit."""
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """USD per million tokens, in and out, by model name; overrides the list prices."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """The model's tokens per cl100k token, by model name; overrides what the table says and what was learnt."""

    def __post_init__(self) -> None:
        _check_name(self, "name", "a model's name such as 'claude-sonnet-5-5'")
        known = self.base_url is None or str(self.base_url).startswith(("http://", "https://"))
        _check(known, f"Model.base_url must start with http:// or https://, not {self.base_url!r}.")
        _check_fields(self, "timeout", 0.01, 86_400)
        _check_fields(self, "max_retries", 0, whole=True)
        _check_fields(self, "max_usd_per_day", 0, 1e9)
        _check_choice(self, "tools", Tools)
        prices = {}
        for model, price in dict(self.prices).items():
            given = f"Model.prices[{model!r}]"
            pair = isinstance(price, (list, tuple)) and len(price) == 2
            _check(pair, f"{given} must be (USD in, USD out) per million tokens, not {price!r}.")
            for value in price:
                _check_number(given, value, 0, 1e6)
            prices[model] = (float(price[0]), float(price[1]))
        object.__setattr__(self, "prices", prices)
        for model, factor in dict(self.factors).items():
            _check_number(f"Model.factors[{model!r}]", factor, 0.1, 10)
        object.__setattr__(self, "factors", {model: float(factor) for model, factor in dict(self.factors).items()})

    @property
    def server(self) -> str:
        """The base URL, ANTHROPIC_BASE_URL where none is configured; empty for Anthropic's own."""
        return self.base_url or _environment("ANTHROPIC_BASE_URL")

    @property
    def answering(self) -> str:
        """Who answers: the model by its name, or the offline analyst where there is neither a key nor a base URL."""
        if not (self.server or _environment("ANTHROPIC_API_KEY") or _environment("ANTHROPIC_AUTH_TOKEN")):
            return OFFLINE
        return _environment("ANTHROPIC_MODEL") or self.name


def _environment(name: str) -> str:
    return os.environ.get(name, "").strip()


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything of a lab that can be tuned; `lab.config` is the one in force, `lab.apply(config)` changes it.

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
    template: Template = "default"
    """Which prompt template: "default", or "guide" for the integration guide's text."""
    session_minutes: float = 30
    """Minutes without a message after which a session has ended."""
    time_zone: str | None = None
    """Whose days "today" and "last week" are, an IANA name such as "Europe/Berlin"; None for the machine's."""

    def __post_init__(self) -> None:
        for name, kind in _PARTS.items():
            given = getattr(self, name)
            _check(isinstance(given, kind), f"Config.{name} must be a {kind.__name__}, not {given!r}.")
        _check_choice(self, "template", Template)
        _check_fields(self, "session_minutes", 0.01, 60 * 24 * 366)
        if self.time_zone is not None:
            try:
                zone(self.time_zone)
            except ValueError as error:
                msg = f"Config.{error}"
                raise ConfigError(msg) from error

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
        for name, kind in _PARTS.items():
            if name in table:
                table[name] = _record(kind, table[name], f"{name}.")
        made: Self = _record(cls, table, "")
        return made


def _plain(value: Any) -> Any:
    """Return a record as nested dicts without None; mappings sorted by their keys."""
    if not dataclasses.is_dataclass(value):
        return dict(sorted(value.items())) if isinstance(value, dict) else value
    found = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return {name: inner for name, inner in found.items() if inner is not None}


_PARTS: Mapping[str, Any] = {"budget": Budget, "recall": Recall, "cold": Cold, "model": Model}


def _record(kind: Any, table: object, prefix: str) -> Any:
    if not isinstance(table, dict):
        msg = f"Setting {prefix.rstrip('.')!r} must be a table, not {table!r}."
        raise ConfigError(msg)
    names = [f.name for f in fields(kind)]
    for name in table:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean {prefix}{near[0]}?" if near else f"Known are: {', '.join(names)}."
        _check(name in names, f"Unknown setting {prefix}{name}. {hint}")
    return kind(**table)

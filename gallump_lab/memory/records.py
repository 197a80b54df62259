"""What the tiers take and hand on: arguments, slots, a session's context, the moment it is taken at."""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from gallump_lab.config import Model
from gallump_lab.lazy import fields_told
from gallump_lab.memory.text import statement
from gallump_lab.reading.symbols import canonical

if TYPE_CHECKING:
    import pandas as pd

Tier = Literal["hot", "warm", "cold"]
TIERS: tuple[Tier, ...] = ("hot", "warm", "cold")
Role = Literal["user", "assistant"]
Kind = Literal["thesis", "level", "position", "preference", "lesson", "fact"]
Reason = Literal[
    "kept", "over budget", "in HOT", "in WARM", "duplicate", "superseded", "below threshold", "excluded", "over window"
]


def check(good: object, name: str, wanted: str, given: object) -> None:
    """Check an argument.

    Raises
    ------
    ValueError
        If it is not good; the message has its name, what it must be and what it is: of a frame its columns.
    """
    if not good:
        columns = getattr(given, "columns", None)
        told = f"{given!r:.60}" if columns is None else f"a frame of {', '.join(map(str, columns)) or 'nothing'}"
        msg = f"{name} must be {wanted}, not {told}."
        raise ValueError(msg)


def check_rows(given: Any, name: str, source: str, *columns: str) -> None:
    """Check that a frame has the columns of what it must be rows of; a ValueError names those that it has."""
    there = getattr(given, "columns", ())
    check(all(each in there for each in columns), name, f"rows of {source}, with {', '.join(columns)}", given)


def whole(given: Any, name: str, least: int | None = None) -> int:
    """Return an id, perhaps one of numpy's out of a frame, or a number of at least so many, as a whole number.

    Raises
    ------
    ValueError
        If it is none.
    """
    found = given.item() if hasattr(given, "item") else given
    bound = ", as in the lab's frames" if least is None else f" of at least {least}"
    check(type(found) is int and (least is None or found >= least), name, f"a whole number{bound}", given)
    return int(found)


@dataclass(frozen=True, kw_only=True)
class AsOf:
    """The point in a lab's life at which a context is taken: what had arrived, and what the clock said."""

    at: datetime
    """What the clock said, in the time zone whose days "today" and "last week" are."""
    seen_message: int
    """The newest message id that may be used."""
    seen_insight: int
    """The newest id of an insight event or a hint that may be used."""
    as_of: datetime | None = None
    """For a what-if: nothing that speaks of a later time, UTC; None to go by arrival alone."""

    @property
    def now(self) -> datetime:
        """What ages and words of time count from: the clock, or a what-if's moment, in the time zone."""
        return (self.as_of or self.at).astimezone(self.at.tzinfo)


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message as it was said."""

    COLUMNS: ClassVar = "message_id, session_id, role, text, symbol, created_at, state, speaker"
    """What a statement selects for `of`."""

    message_id: int
    session_id: str
    role: Role
    text: str
    symbol: str | None
    created_at: datetime
    """The time it speaks of, UTC."""
    state: str = "complete"
    """complete, or why a reply is not: stopped, cut, refused, failed."""
    speaker: str | None = None
    """Who said it, by name."""

    @classmethod
    def of(cls, row: Sequence[Any], zone: tzinfo | None = UTC) -> Self:
        """Make a message of a row's first columns, `COLUMNS`; its time in a time zone."""
        given = dict(zip(cls.COLUMNS.split(", "), row, strict=False))
        return cls(**given | {"created_at": given["created_at"].replace(tzinfo=UTC).astimezone(zone)})

    def item(self, text: str, **given: Any) -> "ContextItem":
        """Make a part of the message a candidate for a prompt; `given` are its further fields."""
        return ContextItem(
            message_id=self.message_id,
            text=text,
            role=self.role,
            symbol=self.symbol,
            session_id=self.session_id,
            created_at=self.created_at,
            speaker=self.speaker,
            **given,
        )


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """An insight as a distiller gives it, before it is stored."""

    text: str
    """One statement that reads well by itself, at most 2,000 characters."""
    kind: Kind
    sources: tuple[int, ...]
    """Ids of the session's messages that support it."""
    symbol: str | None = None
    speaker: str | None = None
    """Whose statement it is, by name, where the messages name their speakers."""
    attribute: str | None = None
    """What of the symbol (or the speaker, where there is none) it states, such as "stop": a newer statement of the same
    takes its place. None where nothing later can."""
    value: str | None = None
    """What it states of the attribute, in short ("341.5"); equal values say the same. None where there is no such."""
    valid_from: datetime | None = None
    """Since when it holds, UTC; None for the time of its newest source."""
    valid_until: datetime | None = None
    """Until when, UTC, where it says so ("by May")."""
    hint: bool = False
    """Whether it is no insight but words by which recall finds its sources."""


@fields_told
@dataclass(frozen=True, kw_only=True)
class ContextItem:
    """One candidate for a place in the prompt: what it is, what it costs, and whether and why it stands there."""

    tier: Tier
    kind: Literal["message", "passage", "insight"]
    item_id: int
    """Message id, passage id or insight id, as `kind` says."""
    message_id: int | None
    """The message a passage stands in; None for an insight."""
    rank: int
    """Place in its tier's order, 1 for the first."""
    text: str
    """What was said, as it was said."""
    line: str
    """The same as it stands in the prompt, without its final line break."""
    tokens: int
    """The model's tokens of `line` and its line break."""
    score: int = 0
    """The sum of the signals, in millionths (integers, so that sums do not depend on their order)."""
    signals: Mapping[str, int] = field(default_factory=dict)
    """What each signal gave, in millionths."""
    kept: bool = False
    reason: Reason = "over budget"
    role: Role | None = None
    symbol: str | None = None
    session_id: str | None = None
    created_at: datetime | None = None
    """The time it speaks of, in the moment's time zone."""
    speaker: str | None = None
    """Who said it, by name."""
    sources: tuple[int, ...] = ()
    """The messages that an insight rests on."""
    outdated: str | None = None
    """What holds instead of it, in words ("440 since 2026-03-01"), or why it doesn't hold ("closed since 2026-03-01",
    "hearsay", "a plan"); None where nothing is known against it."""
    unconfirmed: str | None = None
    """How long ago a level in it was said last ("not confirmed for 5 months"); None where none is old."""

    cited: bool | None = None
    """Of a past turn, whether its reply cites it; None where nobody was asked to."""

    @cached_property
    def states(self) -> tuple[Hashable, str]:
        """Who speaks of which symbol, and what is stated: equal where one item repeats another."""
        return (self.speaker or self.role, self.symbol and canonical(self.symbol)), statement(self.text)


Item = tuple[str, int]
"""A slot's kind and item id."""
PassedOver = Callable[[ContextItem], Reason | None]
"""Says why a candidate is left out without taking room; None where it is not."""

_COLUMNS = """
tier rank kept reason outdated unconfirmed cited tokens score symbol role created_at message_id kind item_id text
""".split()


def used(slots: Sequence[ContextItem]) -> dict[str, int]:
    """Sum the kept slots' tokens by tier."""
    return {tier: sum(slot.tokens for slot in slots if slot.kept and slot.tier == tier) for tier in TIERS}


def frame(slots: Sequence[ContextItem]) -> "pd.DataFrame":
    """Return slots as a DataFrame, one row each, with a column `signal_...` for each signal (millionths)."""
    import pandas as pd

    rows = [
        {name: getattr(slot, name) for name in _COLUMNS}
        | {f"signal_{name}": value for name, value in slot.signals.items()}
        for slot in slots
    ]
    signals = dict.fromkeys(f"signal_{name}" for slot in slots for name in slot.signals)
    return pd.DataFrame(rows, columns=[*_COLUMNS, *signals])


@fields_told
@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What the analyst decided of single items for one question: it is recorded with the turn."""

    pinned: tuple[Item, ...] = ()
    """Passages and insights that stand first in their tier, in this order."""
    excluded: tuple[Item, ...] = ()
    """What stays out, of any tier."""

    def __post_init__(self) -> None:
        for name in ("pinned", "excluded"):
            value = getattr(self, name)
            try:
                items = tuple((str(kind), int(item)) for kind, item in value)
            except (TypeError, ValueError) as error:
                msg = f"{name} must be pairs of an item's kind and id, such as ('passage', 12), not {value!r}."
                raise ValueError(msg) from error
            object.__setattr__(self, name, items)

    def ids(self, kind: str) -> list[int]:
        """Return the pinned ids of one kind."""
        return [item for found, item in self.pinned if found == kind]


NO_OVERRIDES = Overrides()
"""Nothing pinned, nothing excluded."""


def check_asked(
    overrides: object = NO_OVERRIDES,
    on_text: object = None,
    stop: object = None,
    on_thinking: object = None,
    model: object = None,
) -> None:
    """Check what comes with a question, before anything is stored.

    Raises
    ------
    ValueError
        If one of them is of another kind.
    """
    given = "an Overrides, such as Overrides(pinned=[('passage', 12)])"
    check(isinstance(overrides, Overrides), "overrides", given, overrides)
    check(on_text is None or callable(on_text), "on_text", "a function of one text", on_text)
    check(stop is None or isinstance(stop, threading.Event), "stop", "a threading.Event", stop)
    check(on_thinking is None or callable(on_thinking), "on_thinking", "a function without arguments", on_thinking)
    check(model is None or isinstance(model, Model), "model", "a Model, such as Model(effort='low')", model)


@dataclass(frozen=True, kw_only=True)
class SessionContext:
    """What memory gives to a prompt, in the guide's three parts, with the slots that say why."""

    session_id: str | None = None
    current_messages: Sequence[Mapping[str, Any]] = ()
    """The session's newest messages before the question, oldest first, with the guide's keys `role` and `message`, and
    `message_id`, `symbol`, `created_at`, `state`, `speaker`. HOT's kept slots say which parts of them stand in the
    prompt."""
    relevant_history: Sequence[str] = ()
    """WARM's kept passages, as they stand in the prompt, oldest first."""
    insights: Sequence[str] = ()
    """COLD's kept insights, as they stand in the prompt, best first."""
    slots: Sequence[ContextItem] = ()
    """Every candidate that was kept and the first 20 of each tier that were not, in each tier's rank order."""
    moment: AsOf | None = None
    token_factor: float = 1.0
    """The model's tokens per cl100k token that the slots are counted with."""
    messages_in_session: int = 0
    """Messages of the session, the question itself counted, as the guide counts."""
    symbol: str | None = None
    """The first symbol that the question is about."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """How many passages an embedding model has no code of yet, by its name: meaning does not find them."""

    @property
    def notice(self) -> str | None:
        """What is missing, in words; None if nothing is."""
        return " ".join(not_embedded(self.missing)) or None


def not_embedded(missing: Mapping[str, int]) -> list[str]:
    """Return how many passages have no code yet, a sentence an embedding model."""
    return [
        f"{number:,} {'passage is' if number == 1 else 'passages are'} not embedded under {model} yet: "
        f"run lab.embed({model!r})."
        for model, number in missing.items()
    ]

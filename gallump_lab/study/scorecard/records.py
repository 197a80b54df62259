"""What the scorecard works on: insights as they were stated, and the recorded talk that they rest on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from gallump_lab.memory.records import Kind, Message


@dataclass(frozen=True, kw_only=True)
class Stated:
    """One insight as it is judged."""

    insight_id: int
    kind: Kind
    text: str
    sources: tuple[int, ...]
    """Ids of the messages that it cites."""
    symbol: str | None = None
    speaker: str | None = None
    """Whose statement it is, by name, where that is recorded; often it stands in the text alone."""
    attribute: str | None = None
    """What of its symbol or speaker it states, such as "stop", where its distiller said so; often None."""
    valid_from: datetime
    """Since when it holds, UTC."""
    valid_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a metric gives an insight."""

    value: float
    """NaN where there is nothing to score."""
    why: str = ""
    """In words: why it is NaN, or what was missing for the best value."""


class History:
    """The recorded talk, by message and by session.

    Parameters
    ----------
    messages : iterable of Message
        In order of arrival.
    """

    def __init__(self, messages: Iterable[Message]) -> None:
        self.messages: Mapping[int, Message] = {message.message_id: message for message in messages}

    def cited(self, insight: Stated) -> list[Message]:
        """Return the messages that an insight cites and that are there, in order of arrival."""
        return [self.messages[each] for each in sorted(set(insight.sources)) if each in self.messages]

    @cached_property
    def sessions(self) -> Mapping[str, Sequence[Message]]:
        """Each session's messages, in order of arrival."""
        found: dict[str, list[Message]] = {}
        for message in self.messages.values():
            found.setdefault(message.session_id, []).append(message)
        return found

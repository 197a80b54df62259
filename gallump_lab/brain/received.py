"""What has arrived of a reply of the Messages API, event by event."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from types import SimpleNamespace

from gallump_lab import tokens
from gallump_lab.brain.records import Usage

_BILLION = 10**9  # tokens; more than that no call has
_USAGE: Mapping[str, str] = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
}


@dataclass
class Received:
    """What has arrived of a reply. Events are data from outside: any field may be missing or of another type."""

    room: int
    """Characters that are still taken."""
    tool: str
    """The name of the tool that was offered."""
    clean: Callable[[str], str]
    """Makes a text one that can be stored."""
    pieces: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    stop_reason: str | None = None
    begun: bool = False
    ended: bool = False
    first_at: float | None = None
    """When its first text came, by the performance counter."""
    interruption: BaseException | None = None
    gap: str = ""
    """What stands between a text block before and the next one."""
    half: str = ""
    """The first half of a character of two (an emoji) whose second comes with the next piece."""

    @property
    def told(self) -> Usage | None:
        """The usage as far as the server has said it; None where it has not."""
        return Usage(**self.usage) if {"input_tokens", "output_tokens"} <= self.usage.keys() else None

    def billed(self, prompt: str, allowed: int, factor: float) -> Usage:
        """Return the usage, estimated from above where the server has not said all of it: a limit must hold then too.

        What was written is what came, or, where the model may have thought unseen, all of the `allowed` tokens.
        `factor` is the model's tokens per cl100k token.
        """
        if self.ended and self.told:
            return self.told
        came = "".join((*self.pieces, *chain(*self.calls)))
        least = max(tokens.scaled(tokens.count(came), factor), self.usage.get("output_tokens", 0))
        seen = bool(self.blocks) and {"text", "tool_use"}.issuperset(self.blocks)
        said = (
            self.usage
            if "input_tokens" in self.usage
            else {"cache_write_tokens": tokens.scaled(tokens.count(prompt), factor)}
        )
        return Usage(**{"input_tokens": 0, **said, "output_tokens": least if seen else max(least, allowed)})

    def take(self, event: object) -> str:
        """Take one event of the stream and give the text that it adds."""
        kind = at(event, "type")
        if kind == "message_start":
            self.begun = True
            self._count(at(event, "message", "usage"))
        elif kind == "message_delta":
            reason = at(event, "delta", "stop_reason")
            self.stop_reason = self.clean(reason) if isinstance(reason, str) else self.stop_reason
            self.ended = self.ended or self.stop_reason is not None
            self._count(at(event, "usage"))
        elif kind == "message_stop":
            self.ended = True
        elif kind == "content_block_start":
            self._block(at(event, "content_block", "type"), at(event, "content_block", "name"))
        elif kind == "content_block_delta":
            return self._delta(at(event, "delta"))
        elif kind == "message":
            return self._whole(event)
        return ""

    def _whole(self, message: object) -> str:
        """Take a reply that a server gives at once, though it was asked for a stream."""
        self.take(SimpleNamespace(type="message_start", message=message))
        text = ""
        blocks = at(message, "content")
        for block in blocks if isinstance(blocks, list) else ():
            kind, given = at(block, "type"), at(block, "input")
            self._block(kind, at(block, "name"))
            called = None if given is None else json.dumps(given, default=vars)
            text += self._delta(SimpleNamespace(type="text_delta", text=at(block, "text")))
            self._delta(SimpleNamespace(type="input_json_delta", partial_json=called))
        self.take(SimpleNamespace(type="message_delta", delta=message))
        self.take(SimpleNamespace(type="message_stop"))
        return text

    def _block(self, kind: object, name: object) -> None:
        self.blocks.append(str(kind))
        self.half = ""
        if kind == "text" and self.pieces:
            self.gap = "\n\n"
        elif kind == "tool_use" and name == self.tool:
            self.calls.append([])
        elif kind == "tool_use":
            self.blocks[-1] = "unknown tool"

    def _delta(self, delta: object) -> str:
        kind = at(delta, "type")
        given = at(delta, {"text_delta": "text", "input_json_delta": "partial_json"}.get(str(kind), "thinking"))
        piece = given[: max(self.room, 0)] if isinstance(given, str) else ""
        self.room -= len(piece) + 1
        if kind == "input_json_delta" and self.blocks[-1:] == ["tool_use"]:
            self.calls[-1].append(piece)
        if kind != "text_delta" or not piece:
            return ""
        piece = self.half + piece
        self.half = piece[-1] if "\ud800" <= piece[-1] < "\udc00" else ""
        if not (piece := piece.removesuffix(self.half)):
            return ""
        self.first_at = self.first_at or time.perf_counter()
        text, self.gap = self.gap + self.clean(piece), ""
        self.pieces.append(text)
        return text

    def _count(self, usage: object) -> None:
        for ours, theirs in _USAGE.items():
            value = at(usage, theirs)
            if type(value) is int and 0 <= value < _BILLION:
                self.usage[ours] = value


def at(value: object, *names: str) -> object:
    """Return an attribute of an attribute; None where there is none."""
    for name in names:
        value = getattr(value, name, None)
    return value

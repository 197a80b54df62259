"""What has arrived of a reply: its stream's events, taken one by one. They are data from outside."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from gallump_lab import tokens
from gallump_lab.brain.answer import State, Usage, line
from gallump_lab.memory.text import storable

_BILLION = 10**9  # tokens; more than that no call has
_CUT = {"max_tokens", "model_context_window_exceeded", "pause_turn"}  # reasons to stop before the end
_CITES = 1_000  # citations; no reply has more
_THINKS = {"thinking", "redacted_thinking"}
_USAGE: Mapping[str, tuple[str, ...]] = {
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "cache_read_tokens": ("cache_read_input_tokens",),
    "cache_write_tokens": ("cache_creation_input_tokens",),
    "thinking_tokens": ("output_tokens_details", "thinking_tokens"),
}


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What was sent in the end, beside the prompt."""

    max_tokens: int
    effort: str | None
    without: tuple[str, ...] = ()
    """The optional fields that the server refuses, left out."""
    told: str | None = None
    """In words, which of them it refused just now."""


@dataclass
class Arrived:
    """What has arrived of a reply. Any field of an event may be missing or of another type."""

    tool: str
    """The name of the tool that was offered."""
    sent: Sent | None = None
    text: str = ""
    blocks: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    cites: list[tuple[int, int]] = field(default_factory=list)
    """Which search result is cited, and in which block."""
    ends: dict[int, int] = field(default_factory=dict)
    """Where in the text each block ends."""
    usage: dict[str, int] = field(default_factory=dict)
    counted: bool = False
    """Whether it is said how much was written in the end: what a message begins with is no more than a beginning."""
    model: str | None = None
    """Who answers, as the server says it."""
    message: str | None = None
    """The id that the server gave it."""
    missed: str | None = None
    """Why its cache was missed, and by how many tokens, as the server says it."""
    stop_reason: str | None = None
    begun: bool = False
    ended: bool = False
    """Whether the model ended its reply."""
    over: bool = False
    """Whether the stream is over: the reply has ended, or it failed; else nobody listens any more."""
    error: Exception | None = None
    interruption: BaseException | None = None
    first_at: float | None = None
    """When its first text came, by the performance counter."""
    thought: float = 0.0
    """Seconds for which it has thought, up to what it thinks now."""
    thinks_since: float | None = None
    gap: str = ""
    """What stands between a text block before and the next one."""
    half: str = ""
    """The first half of a character of two (an emoji) whose second comes with the next piece."""

    @property
    def state(self) -> State:
        """What its end says of it."""
        reason = (self.stop_reason or "").partition(":")[0]
        # Some proxies call a reply ended that has used up all its tokens.
        full = self.sent is not None and self.usage.get("output_tokens") == self.sent.max_tokens
        return "refused" if reason == "refusal" else "cut" if full or reason in _CUT else "complete"

    @property
    def told(self) -> Usage | None:
        """The usage as far as the server has said it; None where it has not."""
        known = {"input_tokens", "output_tokens"} <= self.usage.keys() and (self.counted or not self.ended)
        return Usage(**self.usage) if known else None

    @property
    def thinking(self) -> float | None:
        """Seconds for which it thought; None where it did not."""
        return self._thought() if _THINKS & {*self.blocks} else None

    @property
    def cited(self) -> list[tuple[int, int]]:
        """Which search results are cited, and behind how many characters of the text."""
        return [(result, self.ends[block]) for result, block in self.cites if block in self.ends]

    @property
    def plain(self) -> bool:
        """Whether its usage tells how the model counts text: one block of it, and what was thought counted apart."""
        kinds, told = {*self.blocks}, self.told
        if self.state != "complete" or kinds - _THINKS != {"text"} or told is None:
            return False
        return told.output_tokens > told.thinking_tokens and (not kinds & _THINKS or "thinking_tokens" in self.usage)

    def billed(self, prompt: int, allowed: int, factor: float) -> Usage:
        """Return the usage, estimated from above where the server has not said all of it: a limit must hold then too.

        What was written is what came, or, where the model may have thought unseen, all of the `allowed` tokens.
        `prompt` is what was sent, in the model's tokens, of which `factor` are one cl100k token.
        """
        if self.ended and self.told:
            return self.told
        came = tokens.scaled(tokens.count("".join((self.text, *self.calls))), factor)
        unseen = not self.blocks or not {"text", "tool_use"}.issuperset(self.blocks)
        written = max(came, self.usage.get("output_tokens", 0), allowed if unseen else 0)
        read = {"input_tokens": 0, "cache_write_tokens": prompt}
        return Usage(**((self.usage if "input_tokens" in self.usage else read) | {"output_tokens": written}))

    def take(self, event: object) -> str:
        """Take one event of the stream and return the text that it adds."""
        if isinstance(event, Sent):
            self.sent = event
            return ""
        kind = _at(event, "type")
        if kind == "message_start":
            self.begun, self.model = True, line(_at(event, "message", "model"))[:200] or None
            self.message = line(_at(event, "message", "id"))[:200] or None
            self.missed = _missed(_at(event, "message", "diagnostics", "cache_miss_reason"))
            self._count(_at(event, "message", "usage"))
        elif kind == "message_delta":
            self._end(_at(event, "delta"))
            self.counted |= "output_tokens" in self._count(_at(event, "usage"))
        elif kind == "message_stop":
            self.ended = True
        elif kind == "content_block_start":
            self._block(_at(event, "content_block"))
        elif kind == "content_block_delta":
            return self._delta(_at(event, "delta"))
        return ""

    def _end(self, delta: object) -> None:
        reason, category = _at(delta, "stop_reason"), line(_at(delta, "stop_details", "category"))
        if isinstance(reason, str):
            self.stop_reason, self.ended = ": ".join(each[:60] for each in (line(reason), category) if each), True

    def _block(self, block: object) -> None:
        kind, name = _at(block, "type"), _at(block, "name")
        mine = isinstance(name, str) and name.casefold() == self.tool.casefold()
        self.blocks.append("unknown tool" if kind == "tool_use" and not mine else str(kind))
        self.calls += [""] if self.blocks[-1] == "tool_use" else []
        goes_on = self.blocks[-2:] == ["text", "text"]  # a citation splits a sentence into blocks
        self.gap, self.half = "\n\n" if kind == "text" and self.text and not goes_on else "", ""
        self.thought, self.thinks_since = self._thought(), time.perf_counter() if kind in _THINKS else None

    def _thought(self) -> float:
        return self.thought + (time.perf_counter() - self.thinks_since if self.thinks_since is not None else 0.0)

    def _delta(self, delta: object) -> str:
        kind, text, given = _at(delta, "type"), _at(delta, "text"), _at(delta, "partial_json")
        if kind == "input_json_delta" and isinstance(given, str) and self.blocks[-1:] == ["tool_use"]:
            self.calls[-1] += given
        result = _at(delta, "citation", "search_result_index")
        if kind == "citations_delta" and type(result) is int and len(self.cites) < _CITES:
            self.cites.append((result, len(self.blocks)))
        if kind != "text_delta" or not isinstance(text, str) or not text:
            return ""
        text = self.half + text
        self.half = text[-1] if "\ud800" <= text[-1] < "\udc00" else ""
        if not (text := text.removesuffix(self.half)):
            return ""
        self.first_at = self.first_at or time.perf_counter()
        piece, self.gap = self.gap + storable(text), ""
        self.text += piece
        self.ends[len(self.blocks)] = len(self.text)
        return piece

    def _count(self, usage: object) -> dict[str, int]:
        said = {ours: _at(usage, *theirs) for ours, theirs in _USAGE.items()}
        found = {name: value for name, value in said.items() if type(value) is int and 0 <= value < _BILLION}
        self.usage |= found
        return found


def _missed(reason: object) -> str | None:
    """Return in words why the cache was missed; None where it was not, or nobody says."""
    kind, number = line(_at(reason, "type"))[:60], _at(reason, "cache_missed_input_tokens")
    if not kind or (type(number) is int and number <= 0):
        return None
    return kind.replace("_", " ") + (f", {number:,} tokens" if type(number) is int else "")


def _at(value: object, *names: str) -> object:
    """Return an attribute of an attribute; None where there is none."""
    for name in names:
        value = getattr(value, name, None)
    return value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def events(text: bytes) -> Iterator[SimpleNamespace]:
    """Return the events of a reply that a server gives at once, as JSON, though it was asked for a stream."""
    message: Any = json.loads(text, object_hook=lambda found: SimpleNamespace(**found))
    if _at(message, "type") != "message":
        return
    yield SimpleNamespace(type="message_start", message=message)
    for block in _list(_at(message, "content")):
        yield SimpleNamespace(type="content_block_start", content_block=block)
        said, called = _at(block, "text"), json.dumps(_at(block, "input"), default=vars)
        yield SimpleNamespace(type="content_block_delta", delta=SimpleNamespace(type="text_delta", text=said))
        delta = SimpleNamespace(type="input_json_delta", partial_json=called)
        yield SimpleNamespace(type="content_block_delta", delta=delta)
        for each in _list(_at(block, "citations")):
            delta = SimpleNamespace(type="citations_delta", citation=each)
            yield SimpleNamespace(type="content_block_delta", delta=delta)
    yield SimpleNamespace(type="message_delta", delta=message, usage=_at(message, "usage"))
    yield SimpleNamespace(type="message_stop")

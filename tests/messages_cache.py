"""The prompt cache as it is documented, and why it was missed, for `messages_server`; nothing is the package's.

Pages: platform.claude.com/docs/en/build-with-claude/prompt-caching and .../cache-diagnostics.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, chain

from messages_api import LIVES, Block, blocks, breakpoints, cites, prompt_tokens
from messages_models import Facts, effort, known, thinking


@dataclass(frozen=True)
class _Fingerprint:
    model: str
    tools: list[str]
    system: list[str]
    messages: list[str]
    settings: list[object]
    cached: int


class Cache:
    """The prompt cache and its diagnostics: build-with-claude/prompt-caching and .../cache-diagnostics."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, int]] = {}  # until when, and for how long at each use
        self._asked: dict[str, _Fingerprint] = {}

    def use(self, body: dict, now: float) -> dict[str, object]:
        """Read the longest prefix that is there, write at the breakpoints, and return the usage."""
        facts, found = known(body["model"]), blocks(body)
        total = prompt_tokens(body)
        if not facts:
            return {"input_tokens": total}
        # Hidden tokens stand before all.
        sums = list(accumulate((each.tokens for each in found), initial=total - sum(each.tokens for each in found)))[1:]
        keys = list(self._keys(body, facts, found))
        marks = {i: LIVES[ttl] for i, ttl in breakpoints(body, found).items() if sums[i] >= facts.cache_minimum}
        seen = chain.from_iterable(_lookback(found, mark) for mark in reversed(marks))
        hit = next((i for i in seen if self._entries.get(keys[i], (0.0, 0))[0] > now), None)
        read = 0 if hit is None else sums[hit]
        if hit is not None:
            life = self._entries[keys[hit]][1]
            self._entries[keys[hit]] = now + life, life
        for mark, life in marks.items():
            self._entries[keys[mark]] = max((now + life, life), self._entries.get(keys[mark], (0.0, 0)))
        hour = max([read, *(sums[i] for i, life in marks.items() if life == LIVES["1h"])])
        last = max([hour, *(sums[i] for i in marks)])
        return {
            "input_tokens": total - last,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": last - read,
            "cache_creation": {"ephemeral_5m_input_tokens": last - hour, "ephemeral_1h_input_tokens": hour - read},
        }

    def _keys(self, body: dict, facts: Facts, found: list[Block]) -> Iterator[str]:
        """Each prefix's, one for each block. Settings that are written into the prompt change all that follows them."""
        system, messages = _settings(body, facts)
        key = hashlib.sha256(body["model"].encode())
        part = "tools"
        for each in found:
            begun = each.role if each.role in {"tools", "system"} else "messages"
            if begun != part:
                part = begun
                key.update(json.dumps([part, system, messages if part == "messages" else None]).encode())
            key.update(each.written.encode())
            yield key.hexdigest()

    def compare(self, body: dict, message: str, usage: dict) -> dict[str, object]:
        """Remember a request by its reply's id and return `diagnostics` as its message_start has it."""
        facts = known(body["model"])
        if not facts or body.get("diagnostics") is None:
            return {}
        by: dict[str, list[str]] = {"tools": [], "system": [], "messages": []}
        for each in blocks(body):
            by[each.role if each.role in by else "messages"].append(each.written)
        cached = usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
        now = _Fingerprint(body["model"], **by, settings=_settings(body, facts), cached=cached)
        self._asked[message] = now
        previous = body["diagnostics"].get("previous_message_id")
        if previous is None:
            return {"diagnostics": None}
        before = self._asked.get(previous)
        if not before:
            return {"diagnostics": {"cache_miss_reason": {"type": "previous_message_not_found"}}}
        changed = next(
            (each for each in ("model", "tools", "system") if getattr(before, each) != getattr(now, each)), ""
        )
        if not changed and now.messages[: len(before.messages)] != before.messages:
            changed = "messages"
        if changed:
            missed = max(0, before.cached - usage["cache_read_input_tokens"])
            reason = {"type": f"{changed}_changed", "cache_missed_input_tokens": missed}
            return {"diagnostics": {"cache_miss_reason": reason}}
        other = before.settings != now.settings
        return {"diagnostics": {"cache_miss_reason": {"type": "unavailable"}} if other else None}


def _settings(body: dict, facts: Facts) -> list[object]:
    """What is written into the system prompt, and before the messages; a default is as good as said."""
    system = [bool(cites(body)), (body.get("output_config") or {}).get("format")]
    choice = body.get("tool_choice") or {"type": "auto"}
    return [system, [choice, thinking(body, facts), effort(body, facts)]]


def _lookback(found: list[Block], mark: int) -> Iterator[int]:
    """Return the 20 places that are looked at, the breakpoint the first; a run of tool calls or results is one."""
    places, run = 0, None
    for i in range(mark, -1, -1):
        kind = found[i].value.get("type")
        places += not (kind == run and kind in {"tool_use", "tool_result"})
        if places > 20:
            return
        run = kind
        yield i

"""What a model is asked, as the Messages API takes it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gallump_lab import tokens
from gallump_lab.brain.models import facts, room, tool_tokens
from gallump_lab.brain.recommendations import Tool
from gallump_lab.config import Effort, Model


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a model is asked, whether for a chat's reply or for anything else."""

    system: str
    messages: Sequence[Mapping[str, Any]]
    """The last one asks; the others are what was said before."""
    max_tokens: int
    """Tokens of what is to be read; where the model thinks it has `Model.thinking` more."""
    tool: Tool | None = None
    """Through which it may give what is no prose."""
    citing: Sequence[Mapping[str, Any]] = ()
    """The messages with what is recalled as search results, if it is to be cited; for a server that knows these."""
    previous: str | None = None
    """The id that the server gave the session's reply before, so that it can say why its cache was missed."""
    form: Tool | None = None
    """Whose input, as JSON, the whole answer is to be."""
    effort: Effort | None = None
    """Instead of the model's."""
    thinking: float = math.inf
    """Tokens to think with at most, where the model has more."""

    def most(self, model: Model) -> int:
        """Return how many tokens the model may write, thinking included."""
        return self.max_tokens + int(min(self.thinking, room(model)))

    def body(self, model: Model, without: Collection[str] = ()) -> dict[str, Any]:
        """Build the JSON that is sent, without the optional fields that are named."""
        name, known = model.answering, facts(model.answering)
        stable: dict[str, Any] = {"type": "text", "text": self.system}
        if "cache_control" not in without:
            stable["cache_control"] = {"type": "ephemeral"}
        output: dict[str, Any] = {}
        wanted = self.effort or (None if model.effort == "default" else model.effort)
        if known and wanted and (effort := known.effort(wanted)) and "effort" not in without:
            output["effort"] = effort
        if self.form and "format" not in without:
            output["format"] = {"type": "json_schema", "schema": self.form.schema}
        body: dict[str, Any] = {
            "model": name,
            "max_tokens": self.most(model),
            "messages": [*(self.messages if "citations" in without or not self.citing else self.citing)],
        }
        if len(self.messages) > 1 and "cache_control" not in without:  # what comes last changes from turn to turn
            before = body["messages"][-2]
            block = {"type": "text", "text": before["content"], "cache_control": {"type": "ephemeral"}}
            body["messages"][-2] = {**before, "content": [block]}
        if known and "diagnostics" not in without:
            body["diagnostics"] = {"previous_message_id": self.previous}
        body |= ({"system": [stable]} if self.system else {}) | ({"output_config": output} if output else {})
        given_up = without if model.tools == "auto" else ()
        if self.tool and model.tools != "never" and "tools" not in given_up:
            tool = self.tool.definition(strict="strict" not in given_up)
            body |= {"tools": [tool], "tool_choice": {"type": "auto"}}
        return body

    def tokens(self, model: Model, factor: float) -> int:
        """Return the model's tokens of all that is sent, as estimated; `factor` of them are one cl100k token."""
        text = "".join((self.system, *(each["content"] for each in self.messages)))
        found = tokens.scaled(tokens.count(text), factor)
        found += tokens.scaled(self.form.tokens, factor) if self.form else 0
        wanted = self.tool if model.tools != "never" else None
        return found + (tool_tokens(wanted.tokens, model.answering, factor) if wanted else 0)


def single(text: str) -> list[dict[str, Any]]:
    """Return a text as the only message."""
    return [{"role": "user", "content": text}]

"""A reply, as a lab gives it: the answer and its turn."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from gallump_lab.brain import citations
from gallump_lab.brain.answer import Answer
from gallump_lab.brain.citations import Citation
from gallump_lab.brain.prompt import Prompt
from gallump_lab.brain.recommendations import prose
from gallump_lab.config import Budget
from gallump_lab.lazy import fields_told
from gallump_lab.memory import records
from gallump_lab.memory.records import ContextItem
from gallump_lab.memory.sessions import SessionId
from gallump_lab.reading.shown import to_markdown, visible


@fields_told
@dataclass(frozen=True, kw_only=True, repr=False)
class Reply(Answer):
    """A reply, as `lab.ask` gives it: the answer and its turn; everything in it stands in the lab too."""

    prompt: Prompt
    session_id: SessionId
    trouble: str | None = None
    """In words, why past sessions could not be distilled or the question not rewritten: for whoever runs the lab."""
    rewritten: str | None = None
    """What recall looked for instead of the question as asked, where `Config.rewrite` is on."""
    turn_id: int
    question_id: int
    reply_id: int | None
    """Message ids; None for a reply without text."""
    budget: Budget

    @cached_property
    def citations(self) -> tuple[Citation, ...]:
        """The notes of the text: what of memory it cites (`Model.citations`), and where."""
        return citations.read(self.cited, self.prompt.results)

    @property
    def notice(self) -> str | None:
        """In words, what there is to say: `aside`, and how a reply ended that is not whole (`ending`)."""
        return " ".join(filter(None, (self.aside, self.ending))) or None

    @property
    def aside(self) -> str | None:
        """In words: the session is another, something in the question was masked, `trouble`, or what was `told`."""
        return " ".join(filter(None, (self.session_id.notice, self.trouble, self.told))) or None

    @property
    def tokens(self) -> dict[str, int]:
        """The model's tokens of each section of the prompt, as estimated, and of the whole (`prompt`)."""
        return {section.name: section.tokens for section in self.prompt.sections} | {"prompt": self.prompt.tokens}

    @property
    def context_stats(self) -> dict[str, int]:
        """The guide's three counts."""
        kept = [slot.tier for slot in self.prompt.slots if slot.kept]
        return {
            "messages_in_session": self.prompt.session_context.messages_in_session,
            "relevant_history_loaded": kept.count("warm"),
            "insights_included": kept.count("cold"),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the guide's response, as JSON values, and beside it how it came about.

        That is `state`; `model`, who answered; `usage`, the tokens as the server counted them, thinking and cache among
        them, where it did; `citations`, where there are any; and `notice` or `error`, where there is something to say
        (see `Answer.to_dict`).
        """
        found = {"session_id": str(self.session_id), **super().to_dict(), "context_stats": self.context_stats}
        found |= {"state": self.state, "model": self.answered or self.model}
        found |= {"usage": asdict(self.usage)} if self.usage else {}
        found |= {"citations": [*map(asdict, self.citations)]} if self.citations else {}
        notice = " ".join(filter(None, (self.session_id.notice, self.told, found.get("notice"))))
        return found | ({"notice": notice} if notice else {})

    def __repr__(self) -> str:
        """Show the text, how it ended if it is not whole, and a line of figures."""
        said = citations.noted(self.text, self.citations)
        return visible("\n\n".join(filter(None, (said, self.ending, f"[{self._facts}]"))))

    @property
    def _facts(self) -> str:
        return f"{self.answered or self.model}, {self.state}; {usage_line(self.prompt.slots, self.budget)}"

    def _repr_markdown_(self) -> str:
        """Return the same as Markdown, where recommendations stand in words; see `to_markdown`."""
        said = citations.noted(self.text, self.citations)
        ideas = prose(self.recommendations)
        if ideas not in said:
            before, fence, rest = said.rpartition("```json")
            words = before + rest.partition("```")[2] if fence and not self.calls else said  # their JSON says no more
            said = f"{words.rstrip()}\n\n{ideas}"
        return "\n\n".join(map(to_markdown, filter(None, (said, self.ending, f"*{self._facts}*"))))


def usage_line(slots: Sequence[ContextItem], budget: Budget) -> str:
    """Return in words how much of each tier's budget is used."""
    used = records.used(slots).items()
    return f"{', '.join(f'{tier.upper()} {spent:,} of {getattr(budget, tier):,}' for tier, spent in used)} tokens"

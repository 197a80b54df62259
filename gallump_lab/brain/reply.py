"""What the analyst holds in hand: the reply to a question, and the preview of one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gallump_lab.brain.prompt import Prompt
from gallump_lab.brain.records import Answer, Recommendation, Usage
from gallump_lab.config import Budget
from gallump_lab.memory import packing
from gallump_lab.memory.records import ContextItem
from gallump_lab.memory.sessions import SessionId
from gallump_lab.tokens import OFFLINE

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply, as `lab.ask` gives it; everything in it stands in the lab too."""

    answer: Answer
    prompt: Prompt
    session_id: SessionId
    trouble: str | None = None
    """In words, why past sessions could not be distilled: for whoever runs the lab."""
    turn_id: int
    question_id: int
    reply_id: int | None
    """Message ids; None for a reply without text."""
    budget: Budget

    @property
    def text(self) -> str:
        """What was answered, in Markdown."""
        return self.answer.text

    @property
    def notice(self) -> str | None:
        """In words: another session than the given one was used, something in the question was masked, or `trouble`."""
        return " ".join(filter(None, (self.session_id.notice, self.trouble))) or None

    @property
    def recommendations(self) -> tuple[Recommendation, ...]:
        """What was recommended and is valid; each for a person to confirm."""
        return self.answer.recommendations

    @property
    def dropped(self) -> tuple[str, ...]:
        """Why a recommendation was not valid, a sentence each."""
        return self.answer.dropped

    @property
    def state(self) -> str:
        """complete, stopped, cut, refused or failed."""
        return self.answer.state

    @property
    def model(self) -> str:
        """Who answered."""
        return self.answer.model

    @property
    def offline(self) -> bool:
        """Whether the offline analyst answered, so that no model was asked."""
        return self.answer.offline

    @property
    def usage(self) -> Usage | None:
        """The tokens as the server counted them."""
        return self.answer.usage

    @property
    def cost_usd(self) -> float | None:
        """USD, see `Answer.cost_usd`; None where the price is not known."""
        return self.answer.cost_usd

    @property
    def latency(self) -> float:
        """Seconds to the end of the reply."""
        return self.answer.latency

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
        """Return the guide's response, as JSON values; beside it `state`, `notice` and `error` where there is one.

        See `Answer.to_dict`; `notice` also says what there was to say of the session or of the question.
        """
        found = {"session_id": str(self.session_id), **self.answer.to_dict(), "context_stats": self.context_stats}
        notice = " ".join(filter(None, (self.session_id.notice, found.get("notice"))))
        return found | ({"notice": notice} if notice else {})

    def __repr__(self) -> str:
        """Show the text and a line of figures."""
        return f"{self.text}\n\n[{self.model}, {self.state}; {_used(self.prompt.slots, self.budget)}]"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a question would send, before anything is sent."""

    prompt: Prompt
    model: str
    budget: Budget
    cost_usd: float | None
    """USD for the prompt alone, at list price or the configured one; None where the price is not known."""
    most_usd: float | None
    """USD if the reply is as long as it may be."""

    @property
    def text(self) -> str:
        """The exact prompt, system part first."""
        return self.prompt.text

    @property
    def tokens(self) -> int:
        """The model's tokens, as estimated."""
        return self.prompt.tokens

    @property
    def slots(self) -> tuple[ContextItem, ...]:
        """Every candidate that would be kept, and the first 20 of each tier that would not."""
        return self.prompt.slots

    @property
    def sections(self) -> "pd.DataFrame":
        """One row a section: name, tokens, share of the prompt."""
        import pandas as pd

        rows = [(section.name, section.place, section.tokens) for section in self.prompt.sections]
        found = pd.DataFrame(rows, columns=["section", "place", "tokens"])
        return found.assign(share=(found["tokens"] / max(self.tokens, 1)).round(3))

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a slot: what would stand in the prompt, what would not, and why."""
        return packing.frame(self.slots)

    def __repr__(self) -> str:
        """Show tokens, cost and the use of each tier."""
        if self.model == OFFLINE:
            cost = "free: nothing is sent"
        elif self.cost_usd is None:
            cost = "price not known"
        else:
            cost = f"${self.cost_usd:.4f}, at most ${self.most_usd:.4f} with the reply"
        sections = ", ".join(f"{section.name} {section.tokens}" for section in self.prompt.sections)
        head = f"Preview for {self.model}: {self.tokens:,} tokens ({cost})"
        notice = self.prompt.session_context.notice
        return "\n".join(filter(None, [head, _used(self.slots, self.budget), f"sections: {sections}", notice]))


def _used(slots: tuple[ContextItem, ...], budget: Budget) -> str:
    return (
        ", ".join(
            f"{tier.upper()} {spent:,} of {getattr(budget, tier):,}" for tier, spent in packing.used(slots).items()
        )
        + " tokens"
    )

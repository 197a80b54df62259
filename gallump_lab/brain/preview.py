"""What a question would send, before anything is sent."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gallump_lab import tokens
from gallump_lab.brain.prompt import Prompt
from gallump_lab.brain.reply import usage_line
from gallump_lab.config import Budget
from gallump_lab.memory import records
from gallump_lab.memory.records import ContextItem
from gallump_lab.reading.shown import visible

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a question would send, before anything is sent."""

    prompt: Prompt
    model: str
    budget: Budget
    cost_usd: float | None
    """USD for the prompt alone, nothing of it cached; None where the price is not known."""
    most_usd: float | None
    """USD if reply and thinking are as long as they may be, with what rewriting the question may cost."""
    rewriting_usd: float | None = 0.0
    """Of that what rewriting may cost at most: 0 where the question is not rewritten."""
    exact: bool = False
    """Whether the model's server was to count."""
    counted: int | None = None
    """The prompt's tokens as the model's server counts them, where it was asked."""

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
    def notice(self) -> str | None:
        """In words, what is not embedded yet, that another question is recalled than this one, that nobody counted."""
        cost = "the price is not known" if self.rewriting_usd is None else f"at most ${self.rewriting_usd:.4f}"
        words = f"The question is rewritten first, {cost}; then other passages may be recalled than these."
        said = [self.prompt.session_context.notice, words * (self.rewriting_usd != 0)]
        if self.exact and self.counted is None:
            said.append("Nobody counted the tokens: there is neither a key (ANTHROPIC_API_KEY) nor a base URL.")
        return " ".join(filter(None, said)) or None

    @property
    def sections(self) -> "pd.DataFrame":
        """One row a section: name, tokens, share of the prompt."""
        import pandas as pd

        rows = [(section.name, section.place, section.tokens) for section in self.prompt.sections]
        found = pd.DataFrame(rows, columns=["section", "place", "tokens"])
        return found.assign(share=(found["tokens"] / max(self.tokens, 1)).round(3))

    @property
    def frame(self) -> "pd.DataFrame":
        """One row for each message, passage and insight considered: whether it would stand in the prompt, and why not.

        Columns tier, rank, kept, reason, outdated (what holds instead), unconfirmed, cited, tokens, score (millionths),
        symbol, role, created_at, message_id, kind, item_id, text, `signal_...` (millionths, of each).
        """
        return records.frame(self.slots)

    def __repr__(self) -> str:
        """Show tokens, cost and the use of each tier."""
        if self.model == tokens.OFFLINE:
            cost = "free: nothing is sent"
        elif self.cost_usd is None:
            cost = "price not known"
        else:
            cost = f"${self.cost_usd:.4f}, at most ${self.most_usd:.4f} with the reply"
        sections = ", ".join(f"{section.name} {section.tokens}" for section in self.prompt.sections)
        known = "" if self.counted is None else f", {self.counted:,} by its server"
        head = f"Preview for {self.model}: {self.tokens:,} tokens{known} ({cost})"
        lines = [head, usage_line(self.slots, self.budget), f"sections: {sections}", self.notice]
        return visible("\n".join(filter(None, lines)))

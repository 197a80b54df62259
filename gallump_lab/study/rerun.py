"""Rerun: chosen past turns asked again, with the prompt that another configuration would have sent."""

import contextlib
import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gallump_lab import tokens
from gallump_lab.brain.answer import Answer, Usage
from gallump_lab.brain.brain import Brain
from gallump_lab.brain.prices import confirmed, price
from gallump_lab.brain.prompt import Prompt, PromptTooLong
from gallump_lab.config import Config
from gallump_lab.memory.context import prepare
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.vectors import Embedder
from gallump_lab.store import Snapshot
from gallump_lab.study.replay import Past, Prices, checked, checked_snapshot, past_turns

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection


class OverLimit(RuntimeError):
    """What asking again may cost is more than `model.max_usd_per_day`, or not known; nothing was asked."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One past turn and its new answer."""

    past: Past
    """The turn as it was recorded, with the old answer."""
    prompt: Prompt | None = None
    """What was sent, or would have been; None where `problem` says why there is none."""
    answer: Answer | None = None
    """None where nothing was asked."""
    problem: str | None = None
    """Why there is no new answer, or no whole one, in words."""


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """Old and new answers side by side."""

    turns: tuple[Answered, ...]
    model: str
    """Who was asked."""
    words: str
    """What was shown before anything was sent."""

    @property
    def cost(self) -> float | None:
        """USD of all answers together; None where one's is not known."""
        costs = [turn.answer.cost_usd for turn in self.turns if turn.answer]
        return None if None in costs else sum(filter(None, costs), 0.0)

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a turn; what is not known is missing.

        Returns
        -------
        pandas.DataFrame
            turn_id, question, old and new (the answers), state (of the new one), problem; tokens (the new prompt's, as
            estimated), input_tokens and output_tokens (as the server counted them), output_before; cost and cost_before
            (USD), latency and latency_before (seconds).
        """
        import pandas as pd

        rows = []
        for turn in self.turns:
            then, answer = turn.past, turn.answer
            usage = answer and answer.usage
            rows.append(
                {
                    "turn_id": then.turn_id,
                    "question": then.question,
                    "old": then.reply,
                    "new": answer and answer.text,
                    "state": answer and answer.state,
                    "problem": turn.problem,
                    "tokens": turn.prompt and turn.prompt.tokens,
                    "input_tokens": usage and usage.prompt_tokens,
                    "output_tokens": usage and usage.output_tokens,
                    "output_before": then.output_tokens,
                    "cost": answer and answer.cost_usd,
                    "cost_before": then.cost_usd,
                    "latency": answer and answer.latency,
                    "latency_before": then.latency,
                }
            )
        return pd.DataFrame(rows, columns=[*_TOLD, *_COUNTED, *_MEASURED]).astype(
            dict.fromkeys(_COUNTED, "Int64") | dict.fromkeys(_MEASURED, "float64")
        )

    def __repr__(self) -> str:
        """Count the answers, say who gave them and at what cost."""
        new = [turn.answer for turn in self.turns if turn.answer]
        if not new:
            head = f"Rerun of {_turns(len(self.turns))}: nothing was asked"
        else:
            who = "the offline analyst, no model was asked" if self.model == tokens.OFFLINE else self.model
            whole = sum(answer.state == "complete" for answer in new)
            head = f"Rerun of {_turns(len(self.turns))}: {len(new):,} asked again, {whole:,} whole answers by {who}"
            head += f"; {'cost not known' if self.cost is None else f'${self.cost:.4f}'}"
        return "\n".join([head, *(f"turn {turn.past.turn_id}: {turn.problem}" for turn in self.turns if turn.problem)])

    def _repr_html_(self) -> str:
        rows = "".join(_row(turn) for turn in self.turns)
        return (
            f"<p>{html.escape(repr(self).splitlines()[0])}</p>"
            '<table style="width: 100%; table-layout: fixed">'
            f"<tr><th {_LEFT}>Old answer</th><th {_LEFT}>New answer</th></tr>{rows}</table>"
        )


_TOLD = ["turn_id", "question", "old", "new", "state", "problem"]
_COUNTED = ["tokens", "input_tokens", "output_tokens", "output_before"]
_MEASURED = ["cost", "cost_before", "latency", "latency_before"]


def _row(turn: Answered) -> str:
    """Return a turn's answers as a table's rows: plain text, escaped; inside `pre` no dollar sign becomes a formula."""
    head = f"Turn {turn.past.turn_id}: {turn.past.question or 'its question was forgotten'}"
    new = "\n\n".join(filter(None, (turn.answer.text if turn.answer else "", turn.problem and f"[{turn.problem}]")))
    said = "".join(f"<td {_LEFT}>{_pre(cell)}</td>" for cell in (turn.past.reply or "[none]", new))
    return f'<tr><th colspan="2" {_LEFT}>{_pre(head)}</th></tr><tr>{said}</tr>'


def _pre(text: str) -> str:
    return f'<pre style="white-space: pre-wrap; font: inherit; margin: 0">{html.escape(text)}</pre>'


_LEFT = 'style="text-align: left; vertical-align: top"'


def rerun(  # noqa: PLR0913 (what a study may choose)
    snapshot: Snapshot,
    turns: Sequence[int],
    config: Config,
    *,
    confirm: Callable[[str], bool] | None = None,
    prices: Prices | None = None,
    embedders: Iterable[Embedder] = (),
) -> Rerun:
    """Ask chosen turns again, each with the prompt that it would have had under a configuration.

    First the estimated cost is shown; nothing is sent without a yes to it. Nothing is written to the lab. Without a key
    and a base URL the offline analyst answers, and nothing is sent at all. An interrupt keeps what is done.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gave.
    turns : sequence of int
        Turn ids.
    config : Config
        Budget, recall, template and model to ask with; its base URL counts, too.
    confirm : callable, optional
        Gets the words about the cost and says whether to go on; by default the user is asked.
    prices : mapping of str to (float, float), optional
        USD per million tokens, in and out, by model name; they win over the configuration's and the list prices.
    embedders : iterable of Embedder
        Your own, if the configuration names one.

    Returns
    -------
    Rerun
        Also of turns that failed: their `problem` says why, and the others have their answers.

    Raises
    ------
    ValueError
        If a turn id is none of the snapshot's, a price is no price, one of the embedders cannot be used, or `config`
        names none that is known.
    OverLimit
        If `config.model.max_usd_per_day` is set, and the estimate is above it or not known.
    """
    from tqdm import tqdm  # type: ignore[import-untyped]

    checked_snapshot(snapshot)
    config = getattr(config, "config", config)
    known = {**config.model.prices, **checked(prices)}
    brain = Brain(model=replace(config.model, prices=known), budget=config.budget)
    corpus = Corpus(embedders)
    prepare(corpus, snapshot, config.recall.embedder)
    with snapshot.read() as con:
        wanted = [_built(con, corpus, turn, config, brain.model_name) for turn in past_turns(con, turns)]
    ready = [turn.prompt for turn in wanted if turn.prompt]
    words = _estimate(ready, brain) if ready else "None of these turns can be asked again."
    found: list[Answered] = []
    if ready and (brain.offline or (confirm or confirmed)(words)):
        with contextlib.suppress(KeyboardInterrupt):
            for turn in tqdm(wanted, desc="Asking", unit=" turns", delay=2):
                found.append(_ask(brain, turn))
                if found[-1].answer and found[-1].answer.interruption:
                    break
    rest = [replace(turn, problem=turn.problem or "not asked") for turn in wanted[len(found) :]]
    return Rerun(turns=(*found, *rest), model=brain.model_name, words=words)


def _built(con: "DuckDBPyConnection", corpus: Corpus, turn: Past, config: Config, model: str) -> Answered:
    if turn.gone:
        return Answered(past=turn, problem=turn.gone)
    _, factor = turn.counts_as(con, config, model)
    try:
        return Answered(past=turn, prompt=turn.prompt(con, corpus, config, factor))
    except PromptTooLong as error:
        return Answered(past=turn, problem=str(error))


def _estimate(prompts: Sequence[Prompt], brain: Brain) -> str:
    """Return what asking will take; stop where it may go over the limit."""
    name, reply, limit = brain.model_name, brain.budget.reply, brain.model.max_usd_per_day
    if brain.offline:
        return f"The offline analyst answers {_turns(len(prompts))} again, for there is no key: nothing is sent."
    what = f"Asking {name} again for {_turns(len(prompts))}"
    least, most = (_cost(prompts, brain, output) for output in (0, reply))
    known = "the price is not known" if most is None else f"about ${least:.4f}, with the replies at most ${most:.4f}"
    if limit is not None and (most is None or most > limit):
        msg = (
            f"{what}: {known}, and model.max_usd_per_day is ${limit:,.2f}. Choose fewer turns, a smaller budget.reply "
            f"or a higher limit, or give prices={{{name!r}: (USD in, USD out)}} per million tokens. Nothing was asked."
        )
        raise OverLimit(msg)
    sent = sum(prompt.tokens for prompt in prompts)
    return (
        f"{what}: {sent:,} tokens of prompts and up to {reply:,} of each reply, as estimated: {known}. "
        "Nothing is written to the lab."
    )


def _cost(prompts: Sequence[Prompt], brain: Brain, output_tokens: int) -> float | None:
    """Sum what prompts and such replies cost, USD; the system part is written to the cache, which costs more."""
    known, total = price(brain.model_name, brain.model.prices), 0.0
    for prompt in prompts:
        tokens_of = {place: sum(s.tokens for s in prompt.sections if s.place == place) for place in ("system", "user")}
        usage = Usage(
            input_tokens=tokens_of["user"], cache_write_tokens=tokens_of["system"], output_tokens=output_tokens
        )
        cost = known and known.cost(usage)
        if cost is None:
            return None
        total += cost
    return total


def _ask(brain: Brain, turn: Answered) -> Answered:
    if turn.prompt is None:
        return turn
    answer = brain.send(turn.prompt)
    return replace(turn, answer=answer, problem="interrupted" if answer.interruption else answer.notice)


def _turns(number: int) -> str:
    return f"{number:,} turn{'s' * (number != 1)}"

"""Rerun: chosen past turns asked again, with the prompt that another configuration would have sent."""

import contextlib
import html
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from gallump_lab import tokens
from gallump_lab.brain import batches
from gallump_lab.brain.answer import Answer, Usage
from gallump_lab.brain.brain import Brain
from gallump_lab.brain.claude import find_model
from gallump_lab.brain.models import price, room
from gallump_lab.brain.prices import confirmed
from gallump_lab.brain.prompt import Prompt
from gallump_lab.config import Config
from gallump_lab.memory.context import prepare
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.vectors import Embedder
from gallump_lab.progress import progress
from gallump_lab.reading.shown import visible
from gallump_lab.reading.text_files import counted
from gallump_lab.store import Snapshot
from gallump_lab.study.rank import checked_snapshot
from gallump_lab.study.replay import Past, past_turns

_COUNTED = ["tokens", "input_tokens", "output_tokens", "output_before"]
_MEASURED = ["cost", "cost_before", "latency", "latency_before"]


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
    notice: str | None = None
    """Why a batch was not waited for until it had ended, and how to go on, in words."""

    @property
    def cost(self) -> float | None:
        """USD of all answers together; None where one's is not known."""
        costs = [turn.answer.cost_usd for turn in self.turns if turn.answer]
        return None if None in costs else sum(filter(None, costs), 0.0)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a turn; what is not known is missing.

        turn_id, question, old and new (the answers), state (of the new one), problem; tokens (the new prompt's, as
        estimated), input_tokens and output_tokens (as the server counted them), output_before; cost and cost_before
        (USD), latency and latency_before (seconds).
        """
        rows = []
        for turn in self.turns:
            then, answer = turn.past, turn.answer
            usage = answer and answer.usage
            row: list[Any] = [then.turn_id, then.question, then.reply, answer and answer.text, answer and answer.state]
            row += [turn.problem, turn.prompt and turn.prompt.tokens, usage and usage.prompt_tokens]
            row += [usage and usage.output_tokens, then.output_tokens, answer and answer.cost_usd, then.cost_usd]
            rows.append([*row, answer and answer.latency, then.latency])
        columns = ["turn_id", "question", "old", "new", "state", "problem", *_COUNTED, *_MEASURED]
        kinds = dict.fromkeys(_COUNTED, "Int64") | dict.fromkeys(_MEASURED, "float64")
        return pd.DataFrame(rows, columns=columns).astype(kinds)

    def __repr__(self) -> str:
        """Count the answers, say who gave them and at what cost."""
        new, number = [turn.answer for turn in self.turns if turn.answer], counted(len(self.turns), "turns")
        who = "the offline analyst, no model was asked" if self.model == tokens.OFFLINE else self.model
        whole = sum(answer.state == "complete" for answer in new)
        most = "at most " * any(answer.at_most for answer in new)
        cost = "cost not known" if self.cost is None else f"{most}${self.cost:.4f}"
        asked = "answered yet" if self.notice else "asked"
        again = f"{len(new):,} asked again, {counted(whole, 'whole answers')}"
        said = f"{again} by {who}; {cost}" if new else f"nothing was {asked}"
        problems = (f"turn {turn.past.turn_id}: {turn.problem}" for turn in self.turns if turn.problem)
        told = dict.fromkeys(answer.told for answer in new)
        return visible("\n".join([f"Rerun of {number}: {said}", *filter(None, [self.notice, *told]), *problems]))

    def _repr_html_(self) -> str:
        """Return both answers as a table: plain text, escaped; inside `pre` no dollar sign becomes a formula."""
        left = 'style="text-align: left; vertical-align: top"'
        # JupyterLab breaks the words of an output's `pre` wherever a line is full.
        pre = "white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere; font: inherit; margin: 0"

        def cell(text: str, what: str = "td") -> str:
            return f'<{what} {left}><pre style="{pre}">{html.escape(visible(text))}</pre></{what.split(maxsplit=1)[0]}>'

        rows = [f"<tr>{cell('Old answer', 'th')}{cell('New answer', 'th')}</tr>"]
        for turn in self.turns:
            head = f"Turn {turn.past.turn_id}: {turn.past.question or 'its question was forgotten'}"
            new = [turn.answer.text if turn.answer else "", f"[{turn.problem}]" if turn.problem else ""]
            said = cell(turn.past.reply or "[none]") + cell("\n\n".join(filter(None, new)))
            rows.append(f"<tr>{cell(head, 'th colspan=2')}</tr><tr>{said}</tr>")
        return (
            f"<p>{html.escape(repr(self).splitlines()[0])}</p>"
            f'<table style="width: 100%; table-layout: fixed">{"".join(rows)}</table>'
        )


def rerun(  # noqa: PLR0913 (what may be asked for)
    snapshot: Snapshot,
    turns: Sequence[int],
    config: Config,
    *,
    batch: bool | str = False,
    confirm: Callable[[str], bool] | None = None,
    embedders: Iterable[Embedder] = (),
) -> Rerun:
    """Ask chosen turns again, each with the prompt that it would have had under a configuration.

    First the estimated cost is shown; nothing is sent without a yes to it. Nothing is written to the lab. Without a key
    and a base URL the offline analyst answers, and nothing is sent at all. A turn that fails says why in its `problem`;
    the others have their answers, and an interrupt keeps what is done.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gave.
    turns : sequence of int
        Turn ids.
    config : Config
        Budget, recall, template and model to ask with; its base URL counts, too.
    batch : bool or str
        Whether to ask in a batch: at half the price, answered within a day, most within an hour. A Ctrl-C ends the
        waiting alone; the id of the batch, which is shown, then takes its answers up, in another process too, for the
        same turns and configuration. `brain.batches.cancel` cancels one.
    confirm : callable, optional
        Gets the words about the cost and says whether to go on; by default the user is asked.
    embedders : iterable of Embedder
        Your own, if the configuration names one.

    Raises
    ------
    ValueError
        If a turn id is none of the snapshot's, one of the embedders cannot be used, or `config`
        names none that is known.
    OverLimit
        If `config.model.max_usd_per_day` is set, and the estimate is above it or not known.
    ModelError
        If a batch cannot be had: the server has none, or none of this id, or refuses it.

    Examples
    --------
    >>> study.rerun(lab.snapshot(), [3, 7], best.config)
    >>> study.rerun(lab.snapshot(), [3, 7], best.config, batch=True)
    """
    checked_snapshot(snapshot)
    config = getattr(config, "config", config)
    find_model(config.model)
    brain = Brain(model=config.model, budget=config.budget)
    corpus = Corpus(embedders)
    prepare(corpus, snapshot, config.recall.embedder)
    with snapshot.read() as con:
        chosen = [(turn, turn.build(con, corpus, config, brain.model_name)) for turn in past_turns(con, turns)]
    wanted = [Answered(past=turn, prompt=prompt, problem=why) for turn, (prompt, why) in chosen]
    ready = [turn.prompt for turn in wanted if turn.prompt]
    taken = batch if isinstance(batch, str) else None
    batched = taken is not None or (batch is True and not brain.offline)
    words = "None of these turns can be asked again."
    if ready:
        words = _estimate(ready, brain, batched=batched) if taken is None else f"Batch {taken} was agreed to before."
    found: list[Answered] = []
    if ready and (taken is not None or brain.offline or (confirm or confirmed)(words)):
        if batched:
            return _batched(wanted, brain, words, taken)
        with contextlib.suppress(KeyboardInterrupt):
            for turn in progress(wanted, desc="Asking", unit=" turns", delay=2):
                answer = brain.send(turn.prompt) if turn.prompt else None
                stopped = answer is not None and answer.interruption is not None
                why = "interrupted" if stopped else answer.ending if answer else turn.problem
                found.append(replace(turn, answer=answer, problem=why))
                if stopped:
                    break
    rest = [replace(turn, problem=turn.problem or "not asked") for turn in wanted[len(found) :]]
    return Rerun(turns=(*found, *rest), model=brain.model_name, words=words)


def _batched(wanted: Sequence[Answered], brain: Brain, words: str, batch: str | None) -> Rerun:
    """Ask in a batch, or take one up."""
    asked = {turn.past.turn_id: brain.request(turn.prompt) for turn in wanted if turn.prompt}
    names = {turn: batches.name(turn, request.body(brain.model)) for turn, request in asked.items()}
    took = batches.ask({names[turn]: request for turn, request in asked.items()}, brain.model, batch=batch)
    missing = f"waits in batch {took.id}" if took.left else f"not in batch {took.id}, or asked otherwise there"
    found = []
    for turn in wanted:
        given = took.answers.get(names.get(turn.past.turn_id, ""))
        answer = given and brain.told(given)[0]
        found.append(replace(turn, answer=answer, problem=answer.ending if answer else turn.problem or missing))
    return Rerun(turns=tuple(found), model=brain.model_name, words=words, notice=took.left)


def _estimate(prompts: Sequence[Prompt], brain: Brain, *, batched: bool) -> str:
    """Return what asking will take; stop where it may go over the limit."""
    name, limit = brain.model_name, brain.model.max_usd_per_day
    reply = brain.budget.reply + room(brain.model)
    number, known = counted(len(prompts), "turns"), price(name, brain.model.prices)
    if brain.offline:
        return f"The offline analyst answers {number} again, for there is no key: nothing is sent."
    what, cost, most = f"Asking {name} again for {number}", "the price is not known", math.inf
    what += f" {batches.terms()}" if batched else ""
    share = batches.share() if batched else 1
    if known:
        costs = ([known.cost(_usage(prompt, output)) for prompt in prompts] for output in (0, reply))
        least, most = (share * sum(each) for each in costs)
        cost = f"about ${least:.4f}, with the replies at most ${most:.4f}"
    if limit is not None and most > limit:
        msg = (
            f"{what}: {cost}, and model.max_usd_per_day is ${limit:,.2f}. Choose fewer turns, a smaller budget.reply "
            f"or a higher limit, or set Model(prices={{{name!r}: (USD in, USD out)}}). Nothing was asked."
        )
        raise OverLimit(msg)
    return (
        f"{what}: {sum(prompt.tokens for prompt in prompts):,} tokens of prompts and up to {reply:,} of each reply, "
        f"as estimated: {cost}. Nothing is written to the lab."
    )


def _usage(prompt: Prompt, output: int) -> Usage:
    """Return what a prompt and a reply take; the system part is written to the cache, which costs more."""
    system = sum(section.tokens for section in prompt.sections if section.place == "system")
    return Usage(input_tokens=prompt.tokens - system, cache_write_tokens=system, output_tokens=output)

"""Replay: the prompt of every past turn again, from a snapshot. Under its own config it gives the same bytes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gallump_lab.brain.prompt import SECTIONS, Prompt, PromptTooLong
from gallump_lab.config import Config, ConfigError
from gallump_lab.memory.context import prepare
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import ContextItem
from gallump_lab.memory.vectors import Embedder
from gallump_lab.store import Snapshot
from gallump_lab.study import past
from gallump_lab.study.differences import Difference, beyond, dollars, tokens
from gallump_lab.study.past import Past, Prices

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """One past turn's prompt, built again."""

    past: Past
    """The turn as it was recorded."""
    prompt: Prompt | None = None
    """Under the configuration that was tried, or its own; None where it cannot be built."""
    before: Prompt | None = None
    """Under its own configuration; None where it cannot be built."""
    changed: tuple[str, ...] = ()
    """What is not as it was (template, retrieval, embeddings, forgotten messages), so that `before` cannot be called
    the same."""
    problem: str | None = None
    """Why one of the two cannot be built, in words: what is gone, or does not fit."""
    model: str
    """Whose tokens the prompt's are: who answered, or the model of the configuration that was tried."""
    cost: float | None = None
    """USD of the prompt alone, none of it cached; None where the price is not known."""
    cost_before: float | None = None
    """The same under its own configuration."""

    @property
    def turn_id(self) -> int:
        """The turn's id."""
        return self.past.turn_id

    @property
    def identical(self) -> bool:
        """Whether the prompt is byte for byte what was sent."""
        return not self.changed and self.prompt is not None and self.prompt.sha256 == self.past.prompt_sha256

    @property
    def came_in(self) -> list[ContextItem]:
        """What stands in the prompt and does not under the turn's own configuration."""
        return beyond(self.prompt, self.before)

    @property
    def fell_out(self) -> list[ContextItem]:
        """What stands in the prompt of the turn's own configuration alone."""
        return beyond(self.before, self.prompt)


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The replayed turns of a snapshot."""

    turns: tuple[Replayed, ...]
    config: Config | None = None
    """What was tried; None: each turn's own."""
    left: int = 0
    """Turns that were not replayed because of an interrupt."""

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a turn; figures are missing where a prompt is.

        Returns
        -------
        pandas.DataFrame
            turn_id; tokens, and tokens_before under the turn's own configuration; cost and cost_before (USD of the
            prompt alone); came_in and fell_out (items); identical, changed, problem, sha256; and the tokens of each
            section, `hot` and `hot_before` and so on.
        """
        import pandas as pd

        rows = [
            {
                "turn_id": turn.turn_id,
                **_tokens(turn.prompt, ""),
                **_tokens(turn.before, "_before"),
                "cost": turn.cost,
                "cost_before": turn.cost_before,
                "came_in": len(turn.came_in) if turn.prompt and turn.before else None,
                "fell_out": len(turn.fell_out) if turn.prompt and turn.before else None,
                "identical": turn.identical,
                "changed": ", ".join(turn.changed),
                "problem": turn.problem,
                "sha256": turn.prompt and turn.prompt.sha256,
            }
            for turn in self.turns
        ]
        return pd.DataFrame(rows, columns=_COLUMNS).astype(_KINDS)

    def turn(self, turn_id: int) -> Difference:
        """Return one turn's difference, item by item.

        Raises
        ------
        ValueError
            If the turn is not among the replayed ones.
        """
        for turn in self.turns:
            if turn.turn_id == turn_id:
                return Difference(turn=turn)
        msg = f"turn_id {turn_id!r} is not among the {len(self.turns):,} replayed turns; replay.frame lists them."
        raise ValueError(msg)

    def __repr__(self) -> str:
        """Count the turns, and sum up what is other than it was, and why."""
        count = f"{len(self.turns):,} turn{'s' * (len(self.turns) != 1)}"
        why = Counter(
            reason for turn in self.turns for reason in (turn.problem and "not built", *turn.changed) if reason
        )
        reasons = "".join(f"; {number} with {reason}" for reason, number in sorted(why.items()))
        reasons += f"; interrupted, {self.left:,} not replayed" if self.left else ""
        if self.config is None:
            same = sum(turn.identical for turn in self.turns)
            return f"<Replay of {count}, {same} byte for byte as sent{reasons}>"
        frame = self.frame.dropna(subset=["tokens", "tokens_before"])
        mean = frame[["tokens_before", "tokens", "cost_before", "cost"]].astype("float64").mean()
        return (
            f"<Replay of {count} under another configuration: {tokens(*mean.iloc[:2])} and {dollars(*mean.iloc[2:])} "
            f"a prompt; {frame['came_in'].sum():,} items came in, {frame['fell_out'].sum():,} fell out{reasons}>"
        )


_WHOLE = ["tokens", *SECTIONS]
_BEFORE = [f"{name}_before" for name in _WHOLE]
_COLUMNS = ["turn_id", "tokens", "tokens_before", "cost", "cost_before", "came_in", "fell_out"]
_COLUMNS += ["identical", "changed", "problem", "sha256", *_WHOLE[1:], *_BEFORE[1:]]
_KINDS = dict.fromkeys([*_WHOLE, *_BEFORE, "came_in", "fell_out"], "Int64") | {
    "cost": "float64",
    "cost_before": "float64",
}


def _tokens(prompt: Prompt | None, suffix: str) -> dict[str, int]:
    if prompt is None:
        return {}
    found = {section.name: section.tokens for section in prompt.sections}
    return {f"{name}{suffix}": found.get(name, 0) for name in SECTIONS} | {f"tokens{suffix}": prompt.tokens}


def replay(
    snapshot: Snapshot,
    config: Config | None = None,
    *,
    turns: Sequence[int] | None = None,
    prices: Prices | None = None,
    embedders: Iterable[Embedder] = (),
) -> Replay:
    """Build past turns' prompts again; an interrupt keeps what is done.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gave.
    config : Config, optional
        A configuration to try; each turn's own by default. Where it names another model than the turn's own does,
        tokens are counted as that model counts, by what had been learnt of it.
    turns : sequence of int, optional
        Turn ids; all by default.
    prices : mapping of str to (float, float), optional
        USD per million tokens, in and out, by model name; they win over the configurations' and the list prices.
    embedders : iterable of Embedder
        Your own, if a configuration names one.

    Returns
    -------
    Replay
        Under its own config a turn is identical, unless the template or the way of retrieval has changed since, or
        passages have been embedded that had no code at the time.

    Raises
    ------
    ValueError
        If a turn id is none of the snapshot's, a price is no price, one of the embedders cannot be used, or `config`
        names none that is known.
    """
    from tqdm import tqdm  # type: ignore[import-untyped]

    past.checked_snapshot(snapshot)
    config = getattr(config, "config", config)
    corpus, mine = Corpus(embedders), past.checked(prices)
    prepare(corpus, snapshot, (config or Config()).recall.embedder)
    wanted: list[Past] = []
    found: list[Replayed] = []
    try:
        with snapshot.read() as con:
            wanted = past.turns(con, turns)
            again = (_again(con, corpus, turn, config, mine) for turn in wanted)
            found.extend(tqdm(again, total=len(wanted), desc="Replaying", unit=" turns", delay=2))
    except KeyboardInterrupt:
        if not found:
            raise
    return Replay(turns=tuple(found), config=config, left=len(wanted) - len(found))


def _again(con: "DuckDBPyConnection", corpus: Corpus, turn: Past, config: Config | None, mine: Prices) -> Replayed:
    if turn.gone:
        return Replayed(past=turn, model=turn.model, problem=turn.gone)
    own = turn.config
    before, problem = _built(con, corpus, turn, own)
    prompt, model = before, turn.model
    if config is not None:
        prompt, reason = _built(con, corpus, turn, config)
        problem = reason or (problem and f"under its own configuration: {problem}")
        model, _ = turn.counts_as(con, config)
    known = {**own.model.prices, **(config.model.prices if config else {}), **mine}
    return Replayed(
        past=turn,
        prompt=prompt,
        before=before,
        changed=turn.changed(before) if before else (),
        problem=problem,
        model=model,
        cost=past.cost(model, known, prompt.tokens) if prompt else None,
        cost_before=past.cost(turn.model, known, before.tokens) if before else None,
    )


def _built(con: "DuckDBPyConnection", corpus: Corpus, turn: Past, config: Config) -> tuple[Prompt | None, str | None]:
    _, factor = turn.counts_as(con, config)
    try:
        return turn.prompt(con, corpus, config, factor), None
    except (PromptTooLong, ConfigError) as error:
        return None, str(error)

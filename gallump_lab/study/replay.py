"""Replay: the prompt of every past turn again, from a snapshot. Under its own config it gives the same bytes."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gallump_lab.brain.prompt import Prompt, PromptBuilder, PromptTooLong
from gallump_lab.brain.turns import chosen_of
from gallump_lab.config import Config, ConfigError
from gallump_lab.market.records import MarketContext
from gallump_lab.memory import recall
from gallump_lab.memory.context import context, make_ready
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import Moment
from gallump_lab.memory.vectors import Embedder
from gallump_lab.store import Snapshot, times

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

_TURNS = """
select turn_id, m.text as question, t.session_id, t.symbol, chosen::text as chosen, asked_at,
       seen_message, seen_insight,
       market::text as market, toml, token_factor, retrieval, template, prompt_sha256,
       (select count(*) from forgotten f where f.message_id <= t.seen_message) as forgotten
from turns t left join messages m on m.message_id = t.question_id left join configs using (config_id) order by turn_id
"""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """One past turn's prompt, built again."""

    turn_id: int
    prompt: Prompt | None
    """None where `problem` says why it cannot be built."""
    recorded_sha256: str
    changed: tuple[str, ...] = ()
    """What is not as it was (template, retrieval, embeddings, forgotten messages), so that the prompt cannot be called
    the same."""
    problem: str | None = None
    """What is gone, or does not fit, in words."""

    @property
    def identical(self) -> bool:
        """Whether the prompt is byte for byte what was sent."""
        return not self.changed and self.prompt is not None and self.prompt.sha256 == self.recorded_sha256


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The replayed turns of a snapshot."""

    turns: tuple[Replayed, ...]

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a turn: turn_id, tokens, identical, changed, problem, sha256; tokens are missing without a prompt."""
        import pandas as pd

        rows = [
            {
                "turn_id": turn.turn_id,
                "tokens": turn.prompt and turn.prompt.tokens,
                "identical": turn.identical,
                "changed": ", ".join(turn.changed),
                "problem": turn.problem,
                "sha256": turn.prompt and turn.prompt.sha256,
            }
            for turn in self.turns
        ]
        columns = ["turn_id", "tokens", "identical", "changed", "problem", "sha256"]
        return pd.DataFrame(rows, columns=columns).astype({"tokens": "Int64"})

    def __repr__(self) -> str:
        """Count the turns and those that are byte for byte what was sent, and say what has changed for the others."""
        same = sum(turn.identical for turn in self.turns)
        why = Counter(
            reason for turn in self.turns for reason in (turn.problem and "not built", *turn.changed) if reason
        )
        reasons = "".join(f"; {number} with {reason}" for reason, number in sorted(why.items()))
        return f"<Replay of {len(self.turns)} turns, {same} byte for byte as sent{reasons}>"


def replay(snapshot: Snapshot, config: Config | None = None, *, embedders: Iterable[Embedder] = ()) -> Replay:
    """Build every past turn's prompt again.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gave.
    config : Config, optional
        A configuration to try; each turn's own by default.
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
        If one of the embedders cannot be used, or `config` names none that is known.
    """
    corpus = Corpus(embedders)
    make_ready(corpus, snapshot, (config or Config()).recall.embedder)
    with snapshot.read() as con:
        found = con.execute(_TURNS)
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return Replay(turns=tuple(_again(con, corpus, row, config) for row in rows))


def _again(con: "DuckDBPyConnection", corpus: Corpus, turn: Mapping[str, Any], config: Config | None) -> Replayed:
    known = {"turn_id": turn["turn_id"], "recorded_sha256": turn["prompt_sha256"]}
    if turn["question"] is None or turn["toml"] is None:
        gone = "question was forgotten" if turn["question"] is None else "configuration is gone"
        return Replayed(**known, prompt=None, problem=f"its {gone}")
    used = Config.from_toml(turn["toml"]) if config is None else config
    try:
        corpus.embedder(used.recall.embedder)
    except ConfigError as error:
        return Replayed(**known, prompt=None, problem=str(error))
    seen = MarketContext.from_dict(json.loads(turn["market"]))
    session = context(
        con,
        corpus,
        turn["question"],
        session_id=turn["session_id"],
        symbol=turn["symbol"],
        symbols=seen.symbols,
        moment=Moment(
            at=times.aware(turn["asked_at"]), seen_message=turn["seen_message"], seen_insight=turn["seen_insight"]
        ),
        config=used,
        factor=turn["token_factor"],
        choice=chosen_of(turn["chosen"]),
    )
    builder = PromptBuilder(used.template, used.budget)
    try:
        prompt = builder.build_trading_prompt(turn["question"], seen, session)
    except PromptTooLong as error:
        return Replayed(**known, prompt=None, problem=str(error))
    as_then, now = turn["retrieval"], recall.version(used.recall.embedder, sum(session.missing.values()))
    found_so = as_then.startswith(f"{recall.VERSION} ")
    same = {
        "retrieval": found_so,
        "embeddings": not found_so or as_then == now,
        "template": config is not None or turn["template"] == builder.template,
        "forgotten messages": not turn["forgotten"],
    }
    return Replayed(**known, prompt=prompt, changed=tuple(name for name, is_same in same.items() if not is_same))

"""What-if on a snapshot of recorded conversations."""

from gallump_lab.store import Snapshot
from gallump_lab.study.advice import Advice, advise
from gallump_lab.study.best import Best
from gallump_lab.study.cited import Cited, cited
from gallump_lab.study.cost import Cost, cost
from gallump_lab.study.labelling import Silver, silver
from gallump_lab.study.rank import RETRIEVERS, NothingToMeasure, Rankings, rank
from gallump_lab.study.relevance import Relevance, ablations, relevance
from gallump_lab.study.replay import Replay, Replayed, replay
from gallump_lab.study.rerun import OverLimit, Rerun, rerun
from gallump_lab.study.scorecard.scorecard import Scorecard, insights
from gallump_lab.study.sweep import GRID, Sweep, sweep
from gallump_lab.study.usage import Tokens, tokens

__all__ = [
    "GRID",
    "RETRIEVERS",
    "Advice",
    "Best",
    "Cited",
    "Cost",
    "NothingToMeasure",
    "OverLimit",
    "Rankings",
    "Relevance",
    "Replay",
    "Replayed",
    "Rerun",
    "Scorecard",
    "Silver",
    "Snapshot",
    "Sweep",
    "Tokens",
    "ablations",
    "advise",
    "cited",
    "cost",
    "insights",
    "rank",
    "relevance",
    "replay",
    "rerun",
    "silver",
    "sweep",
    "tokens",
]

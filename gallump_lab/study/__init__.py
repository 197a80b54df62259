"""What-if on a snapshot of recorded conversations."""

from gallump_lab.study.best import Best
from gallump_lab.study.rank import RETRIEVERS, NothingToMeasure, rank
from gallump_lab.study.ranks import Ranks
from gallump_lab.study.relevance import Relevance, ablations, relevance
from gallump_lab.study.replay import Replay, Replayed, replay
from gallump_lab.study.silver import Silver, silver
from gallump_lab.study.sweep import Sweep, sweep

__all__ = [
    "RETRIEVERS",
    "Best",
    "NothingToMeasure",
    "Ranks",
    "Relevance",
    "Replay",
    "Replayed",
    "Silver",
    "Sweep",
    "ablations",
    "rank",
    "relevance",
    "replay",
    "silver",
    "sweep",
]

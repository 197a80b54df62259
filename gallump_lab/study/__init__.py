"""What-if on a snapshot of recorded conversations."""

from gallump_lab.study.rank import RETRIEVERS, NothingToMeasure, rank
from gallump_lab.study.ranks import Ranks
from gallump_lab.study.replay import Replay, Replayed, replay

__all__ = ["RETRIEVERS", "NothingToMeasure", "Ranks", "Replay", "Replayed", "rank", "replay"]

"""What-if on a snapshot of recorded conversations."""

from gallump_lab.study.replay import Replay, Replayed, replay

__all__ = ["Replay", "Replayed", "replay"]

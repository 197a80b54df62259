"""A chat's question under way, between the thread that asks it and those that tell of it."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gallump_lab.masking import masked
from gallump_lab.memory.records import NO_OVERRIDES, Overrides
from gallump_lab.reading.shown import visible
from gallump_lab.ui.widget import Growing

if TYPE_CHECKING:
    from gallump_lab.brain.reply import Reply
    from gallump_lab.lab import Lab

NEW = "new"
"""Stands for the session that a question is about to begin."""


class RunningTurn:
    """A question under way: what has come of its reply, and the signals between its threads."""

    def __init__(  # noqa: PLR0913 (what a view may ask)
        self,
        view: str,
        text: str,
        *,
        symbol: str | None = None,
        overrides: Overrides = NO_OVERRIDES,
        question_id: int | None = None,
        how: Mapping[str, Any] | None = None,
    ) -> None:
        self.view, self.text, self.symbol, self.overrides = view, text, symbol, overrides
        self.question_id, self._how = question_id, how  # of a stored question that is asked again, and settings for it
        self.thinks_since: float | None = None
        self.session: str | None = NEW
        self.after: float = math.inf  # the lab's newest message before this turn
        self.stop, self.fresh, self.over = threading.Event(), threading.Event(), threading.Event()
        self._deltas: deque[str] = deque()
        self._reply = Growing()

    def put(
        self, lab: "Lab", watchlist: Sequence[str], session_id: str | None, on_thinking: Callable[[], None]
    ) -> "Reply":
        """Ask the question, or ask it again; see `Lab.ask` and `Lab.retry`."""
        hear: dict[str, Any] = {"on_text": self.take, "on_thinking": on_thinking, "stop": self.stop}
        if self.question_id is None:
            return lab.ask(self.text, watchlist, session_id, overrides=self.overrides, **hear)
        model = replace(lab.config.model, **self._how) if self._how else None
        return lab.retry(self.question_id, model=model, **hear)

    def take(self, delta: str) -> None:
        """Take a piece of the reply, on the asking thread."""
        self._deltas.append(delta)
        self.fresh.set()

    def grow(self) -> dict[str, str]:
        """Render what has come since; return the finished blocks that are new, and the open one."""
        gained = self._reply.add("".join(self._deltas.popleft() for _ in range(len(self._deltas))))
        return {"settled": gained, "open": self._reply.open}

    def question(self) -> dict[str, Any]:
        """Return the question as an entry, as the lab is about to store it."""
        return {"role": "user", "text": visible(masked(self.text)), "symbol": self.symbol, "session_id": self.session}

    def describe(self) -> dict[str, Any]:
        """Return the question, unless it stands in the transcript, and all that has been painted of its reply."""
        question = self.question() if self.question_id is None else None
        painted = {"settled": self._reply.settled, "open": self._reply.open}
        since = None if any(painted.values()) else self.thinks_since
        seconds = since and time.monotonic() - since
        return {"question": question, "session": self.session, **painted, "seconds": seconds}

"""A question under way in the chat."""

import math
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gallump_lab.memory.records import NO_OVERRIDES, Overrides
from gallump_lab.secrets import masked
from gallump_lab.ui.markdown import Growing, visible

if TYPE_CHECKING:
    from gallump_lab.brain.conversation import Reply
    from gallump_lab.lab import Lab

NEW = "new"
"""Stands for the session that a question is about to begin."""


class Running:
    """A question under way: what has come of its reply, and the signals between its threads."""

    def __init__(
        self,
        view: str,
        text: str,
        *,
        symbol: str | None = None,
        overrides: Overrides = NO_OVERRIDES,
        question_id: int | None = None,
    ) -> None:
        self.view, self.text, self.symbol, self.overrides = view, text, symbol, overrides
        self.question_id = question_id
        """Of a stored question that is asked again."""
        self.session: str | None = NEW
        self.after: float = math.inf
        """The lab's newest message before this turn."""
        self.stop = threading.Event()
        self.fresh = threading.Event()
        self.over = threading.Event()
        self._deltas: deque[str] = deque()
        self._reply = Growing()

    def put(self, lab: "Lab", watchlist: Sequence[str], session_id: str | None) -> "Reply":
        """Ask the question, or ask it again; see `Lab.ask` and `Lab.retry`."""
        if self.question_id is not None:
            return lab.retry(self.question_id, on_text=self.take, stop=self.stop)
        return lab.ask(self.text, watchlist, session_id, overrides=self.overrides, on_text=self.take, stop=self.stop)

    def take(self, delta: str) -> None:
        """Take a piece of the reply, on the asking thread."""
        self._deltas.append(delta)
        self.fresh.set()

    def grow(self) -> dict[str, str]:
        """Render what has come since; give the finished blocks that are new, and the open one."""
        gained = self._reply.add("".join(self._deltas.popleft() for _ in range(len(self._deltas))))
        return {"settled": gained, "open": self._reply.open}

    def question(self) -> dict[str, Any]:
        """Return the question as an entry, as the lab is about to store it."""
        return {"role": "user", "text": visible(masked(self.text)), "symbol": self.symbol, "session": self.session}

    def told(self) -> dict[str, Any]:
        """Return the question, unless it stands in the transcript, and all that has been painted of its reply."""
        question = self.question() if self.question_id is None else None
        return {
            "question": question,
            "session": self.session,
            "settled": self._reply.settled,
            "open": self._reply.open,
        }

    def asked(self, row: Mapping[str, Any]) -> bool:
        """Whether a stored message is this turn's question."""
        if self.question_id is not None:
            return bool(row["message_id"] == self.question_id)
        new = row["message_id"] > self.after and row["role"] == "user"
        return bool(new and row["text"].strip() == masked(self.text).strip())

    def without(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Leave out what the lab has already stored of this turn: its question and its reply."""
        question = next((row["message_id"] for row in rows if self.asked(row)), None)

        def mine(row: Mapping[str, Any]) -> bool:
            replied = row["turn"] is not None and row["turn"]["question_id"] == question
            return bool(row["message_id"] > self.after and (row["message_id"] == question or replied))

        return [row for row in rows if not mine(row)]

"""The lab behind the route: opened at the first question, and so many answers at once, each in a thread of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

from gallump_lab.brain.conversation import Reply
from gallump_lab.lab import Lab
from gallump_lab.route.body import Asked
from gallump_lab.route.trouble import Trouble
from gallump_lab.store import times

PATIENCE = 5.0
"""Seconds after which a client may try again that found every place taken."""


class Answers:
    """Asks a lab, without ever making the server wait.

    Parameters
    ----------
    open_lab : callable
        Opens the lab. If it fails, the question gets its error, and the next question tries again.
    most : int
        So many questions may be answered at once; a further one is refused.
    """

    def __init__(self, open_lab: Callable[[], Lab], most: int) -> None:
        self._open, self._most = open_lab, most
        self._lab: Lab | None = None
        self._opening = threading.Lock()
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="gallump_lab")
        self._running: set[threading.Event] = set()

    def ask(self, asked: Asked, stop: threading.Event, on_text: Callable[[str], None] | None = None) -> "Future[Reply]":
        """Begin an answer.

        Parameters
        ----------
        asked : Asked
            The question.
        stop : threading.Event
            Once set, the answer ends where it is.
        on_text : callable, optional
            Gets each piece of the text, on the answer's own thread.

        Raises
        ------
        Trouble
            503 if every place is taken.
        """
        if len(self._running) >= self._most:
            msg = f"This server answers {self._most} questions at once, and is at it. Ask again in a few seconds."
            raise Trouble(503, "busy", msg, retry_after=PATIENCE)
        self._running.add(stop)
        answer = self._pool.submit(self._ask, asked, stop, on_text)
        answer.add_done_callback(lambda _: self._running.discard(stop))
        return answer

    def now(self) -> datetime:
        """Tell the lab's time, UTC; this machine's while no lab is open."""
        return times.now() if self._lab is None else self._lab.sessions.now()

    def close(self) -> None:
        """End every answer where it is; each is kept so far."""
        for stop in tuple(self._running):
            stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, asked: Asked, stop: threading.Event, on_text: Callable[[str], None] | None) -> Reply:
        with self._opening:
            if self._lab is None:
                self._lab = self._open()
            lab = self._lab
        return lab.ask(asked.prompt, asked.watchlist, asked.session_id, on_text=on_text, stop=stop)

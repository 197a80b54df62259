"""GallumpLab: the Jupyter Server extension, with its settings, and the lab that answers."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Any as AnyTrait
from traitlets import Float, Int, Unicode, default

from gallump_lab.brain.reply import Reply
from gallump_lab.lab import Lab
from gallump_lab.server.handlers import DescriptionHandler, Failure, GenerateHandler, StreamHandler
from gallump_lab.server.openapi import DESCRIPTION, GENERATE, STREAM, QuestionBody
from gallump_lab.store import StoreError


class GallumpLab(ExtensionApp):
    """Answers questions over HTTP, under Jupyter Server's own identity, from one lab that the server chooses."""

    name = "gallump_lab"

    path = Unicode(
        help="The lab: a file, which is made if it is missing, or the quack:host:port of one that is served. "
        "By default what the environment's GALLUMP_LAB names, else lab.duckdb in the server's root_dir."
    ).tag(config=True)
    token_file = Unicode(help="A file that holds the token of a lab that is served; empty for none.").tag(config=True)
    broker = AnyTrait(help="Where prices and positions come from, as Lab.open takes it; none by default.").tag(
        config=True
    )
    answers = Int(8, min=1, help="So many questions are answered at once; a further one gets 503.").tag(config=True)
    most_bytes = Int(3_000_000, min=1, help="So many bytes a request's body may have; a longer one gets 413.").tag(
        config=True
    )
    keep_alive = Float(15.0, min=0.05, help="Seconds after which a stream that has nothing to say shows it lives.").tag(
        config=True
    )

    @default("path")
    def _default_path(self) -> str:
        return os.environ.get("GALLUMP_LAB") or str(Path(self._root, "lab.duckdb"))

    @property
    def _root(self) -> str:
        return str(self.serverapp.root_dir) if self.serverapp else ""

    def initialize_handlers(self) -> None:
        """Put the route's addresses under the server's base URL."""
        self._answers = Answers(self._open, self.answers)
        given = {"answers": self._answers, "most_bytes": self.most_bytes, "keep_alive": self.keep_alive}
        self.handlers += [
            (GENERATE, GenerateHandler, given),
            (STREAM, StreamHandler, given),
            (DESCRIPTION, DescriptionHandler),
        ]

    def _open(self) -> Lab:
        options: dict[str, Any] = {"broker": self.broker}
        try:
            if self.token_file:
                options["token"] = Path(self.token_file).read_text().strip()
            served = self.path.startswith("quack:")
            return Lab.open(self.path if served else Path(self._root, self.path), **options)
        except (OSError, ValueError) as error:  # settings of the operator's, so the words are for the log
            msg = f"GallumpLab.path {self.path!r} and .token_file {self.token_file!r} cannot be used: {error}"
            raise StoreError(msg) from error

    async def stop_extension(self) -> None:
        """End the answers that are under way; each is kept so far."""
        self._answers.close()


class Answers:
    """Asks a lab, so many questions at once, each in a thread of its own; the server never waits.

    Parameters
    ----------
    open_lab : callable
        Opens the lab, at the first question. If it fails, the question gets its error, and the next one tries again.
    most : int
        So many questions may be answered at once; a further one is refused.
    """

    def __init__(self, open_lab: Callable[[], Lab], most: int) -> None:
        self._open, self._most = open_lab, most
        self._lab: Lab | None = None
        self._opening = threading.Lock()
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="gallump_lab")
        self._running: set[threading.Event] = set()

    def ask(
        self, question: QuestionBody, stop: threading.Event, on_text: Callable[[str], None] | None = None
    ) -> "Future[Reply]":
        """Begin an answer.

        Parameters
        ----------
        question : QuestionBody
        stop : threading.Event
            Once set, the answer ends where it is.
        on_text : callable, optional
            Gets each piece of the text, on the answer's own thread.

        Raises
        ------
        Failure
            503 if every place is taken.
        """
        if len(self._running) >= self._most:
            raise Failure(code="busy")
        self._running.add(stop)
        answer = self._pool.submit(self._ask, question, stop, on_text)
        answer.add_done_callback(lambda _: self._running.discard(stop))
        return answer

    def close(self) -> None:
        """End every answer where it is; each is kept so far."""
        for stop in tuple(self._running):
            stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, question: QuestionBody, stop: threading.Event, on_text: Callable[[str], None] | None) -> Reply:
        with self._opening:
            if self._lab is None:
                self._lab = self._open()
            lab = self._lab
        return lab.ask(question.prompt, question.watchlist, question.session_id, on_text=on_text, stop=stop)

"""Several notebooks on one lab file: processes that chat, recall, import and copy at once, some of them killed at work.

Each process writes into a journal of its own: a line when it begins something, and another the moment that it is done,
with what the lab has acknowledged. The clock runs so fast that the run is an hour, so sessions end and are distilled.
"""

import contextlib
import json
import multiprocessing
import os
import random
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pandas as pd

from gallump_lab import Lab, tokens
from gallump_lab.memory.messages import prepare, reply
from gallump_lab.store import LabBusy, Store

BEGINS = datetime(2013, 3, 1, 22, tzinfo=UTC)
"""When the hour begins by the labs' clock: on the bundled bars' last day, so that there is something to recommend."""
HOUR = 3_600.0
WAIT = 60.0
"""A step that waits so many seconds for the file is refused: longer than a run, so that no load explains it."""
MIX = {"ask": 48, "two asks": 8, "recall": 20, "insight": 12, "sql": 6, "import": 4, "snapshot": 2}
"""What the processes do, and how often."""
SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
WORDS = """margin earnings guidance dividend cash valuation multiple growth risk hedge inflation rates demand entry
volume buyback cloud advertising search handset servers services drawdown volatility breakout""".split()

Acknowledged = dict[str, Any]


def talk(name: str, dice: random.Random) -> str:
    """Give something that an analyst says once and nobody else does."""
    symbol, about = dice.choice(SYMBOLS), " and ".join(dice.sample(WORDS, 2))
    return f"Note {name}: my {symbol} stop is {dice.randrange(20, 800)}. What about {about}?"


def past(start: int, stop: int) -> pd.DataFrame:
    """Give so many messages of one endless past, the same ones for every process."""
    columns = ["session_id", "key", "role", "text", "symbol", "created_at"]
    rows = [
        (
            f"past {place // 10}",
            str(place),
            ("user", "assistant")[place % 2],
            f"Past {place}: {' '.join(random.Random(place).choices(WORDS, k=25))}.",
            SYMBOLS[place // 10 % len(SYMBOLS)],
            BEGINS - timedelta(days=900) + timedelta(minutes=place),
        )
        for place in range(start, stop)
    ]
    return pd.DataFrame(rows, columns=columns)


class Analyst:
    """A process's work on the lab: what it does next, and its journal."""

    def __init__(self, lab: Lab, number: int, journal: "Journal") -> None:
        self._lab, self._number, self._journal = lab, number, journal
        self._dice = random.Random(number)
        self._chats: list[str | None] = [None, None]
        self._stored: list[int] = []
        self._done = 0

    def work(self, end: float, pause: float) -> None:
        """Do one thing after another until the end, with pauses of `pause` seconds on average before each.

        The first two are given, so that among several processes everything happens, however busy the machine is.
        """
        kinds = list(MIX)
        first = [kinds[(2 * self._number + place) % len(kinds)] for place in range(2)]
        while True:
            time.sleep(max(min(self._dice.expovariate(1 / pause) if pause else 0, end - time.time()), 0))
            if not first and time.time() >= end:
                return
            kind = first.pop() if first else self._dice.choices(kinds, list(MIX.values()))[0]
            getattr(self, "_" + kind.replace(" ", "_"))()

    def _name(self) -> str:
        self._done += 1
        return f"{self._number}x{self._done}"

    def _ask(self) -> None:
        chat = self._dice.randrange(2)
        if self._dice.random() < 0.1:
            self._chats[chat] = None
        self._asking(chat)()

    def _two_asks(self) -> None:
        chats = self._dice.choice([(0, 1), (0, 0)])
        both = [threading.Thread(target=self._asking(chat, together=True)) for chat in chats]
        for each in both:
            each.start()
        for each in both:
            each.join()

    def _asking(self, chat: int, *, together: bool = False) -> Callable[[], None]:
        question, watchlist = talk(self._name(), self._dice), self._dice.sample(SYMBOLS, 2)

        def ask() -> Acknowledged:
            reply = self._lab.ask(question, watchlist, self._chats[chat])
            self._chats[chat] = str(reply.session_id)
            trouble = reply.notice or ""  # what kept past sessions from being distilled does not keep a reply back
            undone = {"busy" if LabBusy.__name__ in trouble else "failed": trouble} if "distilled" in trouble else {}
            said = {reply.question_id: question, reply.reply_id: reply.text}
            self._stored += said
            turn = [reply.turn_id, reply.question_id, reply.reply_id, len(reply.prompt.slots)]
            return {"messages": list(said.items()), "turn": turn, "together": together, **undone}

        return lambda: self._journal.keep("ask", ask)

    def _recall(self) -> None:
        query, symbol = " ".join(self._dice.sample(WORDS, 4)), self._dice.choice([None, *SYMBOLS])
        self._journal.keep("recall", lambda: {"slots": len(self._lab.recall(query, symbol).slots)})

    def _insight(self) -> None:
        text = f"{self._name()}: {' '.join(self._dice.sample(WORDS, 6))} matter"
        self._journal.keep("insight", lambda: {"insight": self._lab.insights.add(text, kind="lesson")})

    def _sql(self) -> None:
        query = "select symbol, count(*) from messages group by symbol"
        self._journal.keep("sql", lambda: {"rows read": len(self._lab.sql(query))})

    def _import(self) -> None:
        """Import what nobody has, or what others import too; it may be what is there already or just coming in."""
        own = self._dice.random() < 0.5
        start = 100_000 + 10_000 * self._number + 100 * self._done if own else 100 * self._dice.randrange(30)
        stop = start + self._dice.choice([200, 300, 400])
        self._done += 10
        rows = past(start, stop)

        def bring() -> Acknowledged:
            came = self._lab.import_messages(rows)
            assert came.messages + came.already == len(rows), came
            return {"imported": [start, stop]}

        self._journal.keep("import", bring)

    def _snapshot(self) -> None:
        """Copy the lab; the copy holds all that this process has been told is stored."""
        wanted = sorted(self._stored)

        def copy() -> Acknowledged:
            with contextlib.closing(self._lab.snapshot()) as snap:
                query = "select count(*) as n from messages where message_id in (select unnest(?))"
                found = int(snap.sql(query, [wanted])["n"][0])
                assert found == len(wanted), f"{len(wanted) - found} of {len(wanted)} messages are not in the snapshot"
                return {"hash": snap.hash}

        self._journal.keep("snapshot", copy)


class Journal:
    """What a process does, a line at a time; a line that is written stays, whatever becomes of the process."""

    def __init__(self, path: Path, begin: float) -> None:
        self._begin = begin
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._mine = threading.local()
        lend, mine = Store.lend, self._mine

        @contextlib.contextmanager
        def timed(*given: Any, **options: Any) -> Iterator[Any]:
            asked = time.perf_counter()
            had = None
            try:
                with lend(*given, **options) as con:
                    had = time.perf_counter()
                    yield con
            finally:
                now = time.perf_counter()
                mine.steps.append([(had or now) - asked, now - (had or now), options.get("write", False)])

        Store.lend = timed  # type: ignore[method-assign]

    def _write(self, **line: Any) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def keep(self, kind: str, act: Callable[[], Acknowledged]) -> None:
        """Do something; write that it begins, then how it ended and what of the lab's steps it took."""
        self._mine.steps = []
        self._write(begins=kind)
        at, begun = time.time() - self._begin, time.perf_counter()
        try:
            done = act()
        except LabBusy as error:
            done = {"busy": str(error)}
        except Exception:  # noqa: BLE001 - whatever it is, the run's result tells it
            done = {"failed": traceback.format_exc()}
        took = time.perf_counter() - begun
        self._write(kind=kind, at=at, took=took, steps=self._mine.steps, **done)


def work(path: Path, number: int, pause: float, parent: Connection) -> None:
    """Be one of the processes: get ready, wait for the word, work until the end."""
    os.environ["TQDM_DISABLE"] = "1"
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own would be shared between processes, and left behind by a killed one
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        del os.environ[name]  # the offline analyst answers
    prepare([reply("ready", now=BEGINS.replace(tzinfo=None), symbol=None, state="complete")])
    tokens.count("ready")
    parent.send("ready")
    if (told := parent.recv()) is None:
        return
    begin, seconds = told
    journal = Journal(path.with_suffix(f".{number}"), begin)
    labs: list[Lab] = []

    def opened() -> Acknowledged:
        labs.append(Lab.open(path, clock=clock(begin, seconds), wait=WAIT))
        return {}

    journal.keep("open", opened)
    time.sleep(max(begin - time.time(), 0))
    for lab in labs:
        Analyst(lab, number, journal).work(begin + seconds, pause)


def clock(begin: float, seconds: float) -> Callable[[], datetime]:
    """Tell the time by a clock on which so many seconds are an hour."""
    return lambda: BEGINS + timedelta(seconds=max(time.time() - begin, 0) * HOUR / seconds)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the processes did."""

    path: Path
    done: list[dict[str, Any]]
    """Each thing that came to its end: kind, `at` (seconds since the clock began, below 0 for the first opening), took
    (seconds), steps (of each: seconds waited, seconds held, whether it wrote), and what was
    acknowledged."""
    kills: Counter[str]
    """What the killed processes were at."""


class _Process:
    """A process that waits, works and ends; forked off from one that has the packages but no lab, so it starts soon."""

    def __init__(self, path: Path, number: int, pause: float) -> None:
        self.journal = path.with_suffix(f".{number}")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["gallump_lab.lab", "gallump_lab.memory.messages", "pandas", "duckdb"])
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=work, args=(path, number, pause, other))
        self._process.start()
        other.close()

    def go(self, begin: float, seconds: float) -> None:
        self._pipe.recv()  # it is ready
        self._pipe.send((begin, seconds))

    def at(self) -> str | None:
        """Say what it is doing; None between one thing and the next."""
        if not self.journal.exists():
            return None
        with self.journal.open("rb") as file:
            file.seek(max(self.journal.stat().st_size - 100, 0))
            last = file.read().rstrip().rpartition(b"\n")[2]
        return str(json.loads(last)["begins"]) if last.startswith(b'{"begins"') else None

    def kill(self) -> None:
        self._process.kill()
        self.end(-signal.SIGKILL, 0)  # the latter if it had just come to its end

    def end(self, *codes: int) -> None:
        """Wait until it has ended."""
        self._process.join()
        self._pipe.close()
        assert self._process.exitcode in codes, f"a process ended with {self._process.exitcode}"

    def leave(self) -> None:
        """Let one that has not been told to go end."""
        self._pipe.send(None)
        self.end(0)

    def done(self) -> list[dict[str, Any]]:
        lines = self.journal.read_bytes().split(b"\n")[:-1] if self.journal.exists() else []
        return [line for line in map(json.loads, lines) if "kind" in line]


def run(
    path: Path,
    *,
    seconds: float = 60,
    processes: int = 8,
    kill_every: float = 5,
    pause: float = 1.0,
    messages: int = 4_000,
    seed: int = 1,
) -> Run:
    """Let processes work on a lab with a past of so many messages; kill one every so many seconds, and replace it.

    The first ones have opened the lab before the clock begins; one that takes a killed one's place opens it then.
    """
    dice = random.Random(seed)
    Lab.open(path, clock=lambda: BEGINS).import_messages(past(50_000, 50_000 + messages))
    started = [_Process(path, number, pause) for number in range(processes + 1)]  # the last one stands by
    *working, spare = started
    kills: Counter[str] = Counter()
    begin = time.time() + 0.5 * processes  # meanwhile they get ready and open the lab
    for each in working:
        each.go(begin, seconds)
    for turn in range(1, int((seconds - 1) / kill_every) + 1):
        time.sleep(max(begin + turn * kill_every - time.time(), 0))
        place = dice.randrange(processes)
        victim, patience = working[place], time.time() + kill_every / 2
        while victim.at() is None and time.time() < patience:
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.05))
        victim.kill()
        kills[victim.at() or "a pause"] += 1
        spare.go(begin, seconds)
        working[place] = spare
        spare = _Process(path, len(started), pause)
        started.append(spare)
    for each in working:
        each.end(0)
    spare.leave()
    return Run(path=path, done=[line for each in started for line in each.done()], kills=kills)

"""Memory at scale: recall, context and import from 10,000 to a million messages, beside SQLite FTS5.

    python tests/benchmarks/scale.py [--messages 10000,100000,1000000] [--questions 100] [--systems lab,...]

Prints a table, and JSON on the last line, by number of messages. Milliseconds are {p50, p95}:

recall_ms       `lab.recall` of questions of 8 and of 20 different terms, warm; cold: the first one of a process, from
                opening a file that is not in the page cache (imports of libraries do not count)
context_ms      `get_context` of a session's newest question
add_message_ms  a question and a reply stored, in turn
ingest_per_s    messages a second, until all of them can be found
file_mb         on disk; peak_mb: the most memory that the process which asked took
recall_at_10    the share of questions whose evidence is among the first ten messages
peers           the same of SQLite FTS5 (bm25, stemmed), with a row a message

The messages are synthetic: half of them of about 15 tokens, half of about 150, 20 a session; words are the tokenizer's
own, drawn by Zipf's law, so a common word stands in as many messages as it does in talk. Each question has one message
as evidence, a user's, of about 15 tokens, anywhere among the others: it shares two middling words with it and says
three others in other words. A session has a subject: a seventh of what is said comes from twelve words of its own; of
the rest of a question every second word is of the evidence's session's subject, the others come as they come. A term
is no word that says nothing ("the").
"""

import argparse
import base64
import importlib
import json
import os
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

SYSTEMS = ("lab", "sqlite_fts5")
TERMS = (8, 20)
FIRST = 10
WARM = 5
"""So many first questions do not count: they load what later ones find loaded."""
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MIDDLING = (300, 3_000)
"""Rankings of the words that a question shares with its evidence."""
SAME = [
    pair.split("/")
    for pair in """
    buy/purchase sell/dispose profit/earnings revenue/sales fall/decline rise/climb shares/stock debt/borrowing
    risk/danger cheap/inexpensive costly/expensive worried/anxious fast/quick big/large small/little begin/start
    finish/complete firm/company boss/manager staff/employees cash/money bond/debenture forecast/prediction
    broker/dealer hedge/protect loss/deficit growth/expansion factory/plant rumour/gossip quarter/trimester
    wager/bet doctor/physician lawyer/attorney car/automobile home/house trip/journey error/mistake choose/select
    repair/fix answer/reply argue/quarrel happy/glad angry/furious rich/wealthy poor/needy assist/help
    """.split()
]


class Texts:
    """The synthetic messages and questions of a size; the same whenever they are made."""

    def __init__(self, messages: int, questions: int) -> None:
        from gallump_lab.bundled import bundled
        from gallump_lab.tokens import VOCABULARY

        known = (base64.b64decode(line.split()[0]) for line in bundled(VOCABULARY).read_bytes().splitlines())
        found = (token[1:].decode() for token in known if token[:1] == b" " and token[1:].isalpha() and token.isascii())
        self.words = [word for word in found if word.islower() and (len(word) > 1 or word == "a")]
        self.sums = list(accumulate(1 / (rank + 2.7) for rank in range(1, len(self.words) + 1)))
        self.number = messages
        self.questions: dict[int, list[tuple[str, int]]] = {}
        """By number of terms: each question with its evidence's place."""
        self.evidence: dict[int, str] = {}
        dice = random.Random(7)
        places = iter(dice.sample(range(0, messages, 2), len(TERMS) * questions))
        for size in TERMS:
            self.questions[size] = [self._ask(dice, size, next(places)) for _ in range(questions)]

    def _ask(self, dice: random.Random, size: int, place: int) -> tuple[str, int]:
        from gallump_lab.memory.text import terms

        shared = [self.words[dice.randint(*MIDDLING)] for _ in range(2)]
        pairs = dice.sample(SAME, 3)
        subject = self.subject(place)
        said = shared + [pair[0] for pair in pairs] + self.draw(dice, 7)
        asked = shared + [pair[1] for pair in pairs]
        known = {term for word in asked for term in terms(word)}
        while len(known) < size:
            (word,) = dice.sample(subject, 1) if dice.random() < 0.5 else self.draw(dice, 1)
            if len(terms(word)) == 1 and not known.issuperset(terms(word)):
                asked.append(word)
                known.update(terms(word))
        dice.shuffle(said)
        dice.shuffle(asked)
        self.evidence[place] = " ".join(said).capitalize() + "."
        return " ".join(asked) + "?", place

    def draw(self, dice: random.Random, number: int) -> list[str]:
        """Draw so many words as they occur."""
        return dice.choices(self.words, cum_weights=self.sums, k=number)

    def subject(self, place: int) -> list[str]:
        """Give the words that a message's session is about."""
        return random.Random(place // 20).sample(self.words[MIDDLING[0] : MIDDLING[1]], 12)

    def say(self, dice: random.Random, place: int, number: int) -> str:
        """Give a message of so many words in sentences, a price here and there."""
        said = self.draw(dice, number - number // 7) + dice.choices(self.subject(place), k=number // 7)
        dice.shuffle(said)
        parts = [" ".join(said[i : i + 14]).capitalize() for i in range(0, number, 14)]
        return " ".join(f"{part} ${dice.randint(500, 90_000) / 100}." for part in parts)

    def messages(self) -> list[str]:
        """Give all messages, evidence in its places."""
        dice = random.Random(1)
        found = [self.say(dice, place, dice.choice((11, 120))) for place in range(self.number)]
        for place, text in self.evidence.items():
            found[place] = text
        return found


class System(Protocol):
    """Something that remembers messages and finds them again."""

    def fill(self, texts: list[str]) -> None:
        """Take in messages; the first has the number 0."""

    def find(self, question: str) -> list[int]:
        """Give the numbers of the messages that fit best, best first."""


class OurLab:
    """The lab itself."""

    def __init__(self, place: Path) -> None:
        from gallump_lab import Lab

        self.lab = Lab.open(place / "lab.duckdb", clock=lambda: NOW)

    def fill(self, texts: list[str]) -> None:
        """Import in bulk, with sessions of 20 messages."""
        import pandas as pd

        numbers = range(len(texts))
        frame = pd.DataFrame(
            {
                "session_id": [f"s{number // 20}" for number in numbers],
                "role": [("user", "assistant")[number % 2] for number in numbers],
                "text": texts,
                "symbol": [("AAPL", "MSFT", "NVDA", "TSLA")[number // 20 % 4] for number in numbers],
                "created_at": [NOW - timedelta(minutes=40 + len(texts) - number) for number in numbers],
            }
        )
        self.lab.import_messages(frame)

    def find(self, question: str) -> list[int]:
        """Recall under the default budget."""
        slots = self.lab.recall(question).slots
        return [number - 1 for number in dict.fromkeys(slot.message_id or 0 for slot in slots)]

    def chat(self, texts: Texts) -> dict[str, Any]:
        """Chat without a model, on a session of its own."""
        dice, sessions = random.Random(3), self.lab.sessions
        session = sessions.get_or_create_session()
        stored, contexts = [], []
        for question, _ in texts.questions[TERMS[0]]:
            stored.append(milliseconds(lambda question=question: sessions.add_message(session, "user", question)))
            contexts.append(milliseconds(lambda: sessions.get_context(session, "AAPL")))
            reply = texts.say(dice, 0, 120)
            stored.append(milliseconds(lambda reply=reply: sessions.add_message(session, "assistant", reply)))
        return {"context_ms": shares(contexts[WARM:]), "add_message_ms": shares(stored[WARM:])}


class Fts5:
    """SQLite's full-text search."""

    def __init__(self, place: Path) -> None:
        self.con = sqlite3.connect(place / "messages.sqlite")

    def fill(self, texts: list[str]) -> None:
        """Insert in one transaction, then merge the index."""
        self.con.execute("create virtual table said using fts5(text, tokenize = 'porter unicode61')")
        self.con.executemany("insert into said (rowid, text) values (?, ?)", enumerate(texts, 1))
        self.con.execute("insert into said (said) values ('optimize')")
        self.con.commit()

    def find(self, question: str) -> list[int]:
        """Rank by bm25 whatever has one of the words."""
        asked = " OR ".join(f'"{word}"' for word in question.strip("?").split())
        rows = self.con.execute(
            "select rowid, text from said where said match ? order by rank limit ?", [asked, FIRST]
        ).fetchall()
        return [number - 1 for number, _ in rows]


OPEN: dict[str, Callable[[Path], System]] = dict(zip(SYSTEMS, (OurLab, Fts5), strict=True))


def milliseconds(run: Callable[[], object]) -> float:
    """Time a call."""
    begun = time.perf_counter()
    run()
    return 1_000 * (time.perf_counter() - begun)


def shares(figures: list[float]) -> dict[str, float]:
    """Give the median and the 95th percentile."""
    return {"p50": round(statistics.median(figures), 1), "p95": round(statistics.quantiles(figures, n=20)[-1], 1)}


def fill(name: str, place: Path, texts: Texts) -> dict[str, float]:
    """Fill a system; give how fast, and how large its files are."""
    said = texts.messages()
    took = milliseconds(lambda: OPEN[name](place).fill(said)) / 1_000
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return {"ingest_per_s": round(len(said) / took), "file_mb": round(size / 1e6, 1)}


def measure(name: str, place: Path, texts: Texts) -> dict[str, Any]:
    """Ask a filled system all questions, warm."""
    system = OPEN[name](place)
    found: dict[str, Any] = {"recall_ms": {}, "recall_at_10": {}}
    for size, questions in texts.questions.items():
        times, hits = [], []
        for question, evidence in [*questions[:WARM], *questions]:
            begun = time.perf_counter()
            numbers = system.find(question)
            times.append(1_000 * (time.perf_counter() - begun))
            hits.append(evidence in numbers[:FIRST])
        found["recall_ms"][str(size)] = shares(times[WARM:])
        found["recall_at_10"][str(size)] = round(statistics.mean(hits[WARM:]), 3)
    if isinstance(system, OurLab):
        found |= system.chat(texts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    return found | {"peak_mb": round(peak)}


def cold(name: str, place: Path, question: str) -> float | None:
    """Time the first question after dropping the files from the page cache; None where that cannot be done."""
    if not hasattr(os, "posix_fadvise"):
        return None
    for path in place.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return round(milliseconds(lambda: OPEN[name](place).find(question)), 1)


LIBRARIES = {
    "lab": "duckdb numpy pandas Stemmer tiktoken tokenizers gallump_lab.lab",
    "sqlite_fts5": "sqlite3",
}


def step(arguments: argparse.Namespace) -> object:
    """Do one step, in this process."""
    name, place, number = arguments.system, arguments.place, int(arguments.messages)
    if arguments.step == "cold":
        for library in LIBRARIES[name].split():
            importlib.import_module(library)
        return cold(name, place, arguments.question)
    texts = Texts(number, arguments.questions)
    if arguments.step == "ask":
        return {size: questions[0][0] for size, questions in texts.questions.items()}
    return (fill if arguments.step == "fill" else measure)(name, place, texts)


def run(messages: int, questions: int, name: str) -> dict[str, Any]:
    """Measure one system at one size; each step in a process of its own, for a child inherits its parent's peak."""
    with tempfile.TemporaryDirectory(prefix="gallump-bench-") as folder:
        command = [sys.executable, __file__, "--messages", str(messages), "--questions", str(questions)]
        command += ["--system", name, "--place", folder]

        def do(what: str, *more: str) -> Any:
            out = subprocess.run(
                [*command, "--step", what, *more], check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            return json.loads(out.splitlines()[-1])

        found: dict[str, Any] = do("fill")
        found |= do("measure")
        for size, question in do("ask").items():
            found["recall_ms"][size]["cold"] = do("cold", "--question", question)
    return found


def row(messages: int, name: str, found: dict[str, Any]) -> str:
    """Give a line of the table."""
    cells = [f"{messages:>9,}", f"{name:14}"]
    for size in map(str, TERMS):
        times = found["recall_ms"][size]
        cells.append(f"{times['p50']:7.1f} {times['p95']:7.1f} {times['cold'] or float('nan'):7.0f}")
        cells.append(f"{found['recall_at_10'][size]:5.2f}")
    cells.append(f"{found['ingest_per_s']:9,} {found['file_mb']:8,.0f} {found['peak_mb']:7,}")
    both = [found[key] for key in ("context_ms", "add_message_ms") if key in found]
    cells += [f"{each['p50']:6.1f} {each['p95']:6.1f}" for each in both]
    return " |".join(cells)


SHARES = f"{'p50':>6} {'p95':>6} "
TIMES = f"{'p50':>7} {'p95':>7} {'cold':>7} | R@10 "
HEAD = (
    f"{'in ms':>9} |{'':14} |{'8 terms':^31}|{'20 terms':^31}|{'import':>10}{'disk':>9}{'peak':>8} "
    f"|{'context':^14}|{'add_message':^14}\n"
    f"{'messages':>9} |{'system':14} |{TIMES}|{TIMES}|{'per s':>10}{'MB':>9}{'MB':>8} |{SHARES}|{SHARES}"
)


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", default="10000")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--systems", default=",".join(SYSTEMS), help="which to measure")
    parser.add_argument("--step", choices=("fill", "measure", "ask", "cold"), help=argparse.SUPPRESS)
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--question", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(step(arguments)))
        return
    print(HEAD)
    found: dict[str, dict[str, Any]] = {}
    for size in map(int, arguments.messages.split(",")):
        each = {}
        for name in arguments.systems.split(","):
            each[name] = run(size, arguments.questions, name)
            print(row(size, name, each[name]), flush=True)
        found[str(size)] = each.pop("lab", {}) | {"peers": each}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""What a turn costs without its model: import, `lab.ask` on a file of its own at several sizes, and peak memory.

    python tests/benchmarks/turn.py [--sessions 10,1000,10000] [--turns 40]

Prints a table, and JSON on the last line: import_s (seconds), ask_ms (p50 in milliseconds by number of sessions of 20
messages each), peak_mb. The history is synthetic; the model's part is a stand-in that answers at once.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

WORDS = Path(__file__).read_text().split() + [f"word{i}" for i in range(3_000)]


def plain(dice: random.Random, _message: int) -> str:
    """Give the text of a message: short, now and then longer."""
    return " ".join(dice.choices(WORDS, k=dice.choice([12, 12, 100])))


def fill(path: Path, sessions: int, say: Callable[[random.Random, int], str] = plain) -> None:
    """Write a synthetic history of `sessions` sessions of 20 messages each, as many turns would have left it."""
    import pandas as pd

    from gallump_lab import Lab

    dice = random.Random(1)
    start = datetime.now(UTC) - timedelta(days=700)
    rows = [
        {
            "session_id": f"s{number // 20}",
            "role": ("user", "assistant")[number % 2],
            "text": say(dice, number + 1),
            "symbol": "AAPL",
            "created_at": start + timedelta(minutes=100 * (number // 20), seconds=number % 20),
        }
        for number in range(20 * sessions)
    ]
    Lab.open(path).import_messages(pd.DataFrame(rows))


def measure(path: Path, turns: int) -> dict[str, float]:
    """Ask on an existing lab, in this process; warm after the first turns."""
    from gallump_lab import Lab
    from gallump_lab.brain.answer import Answer, Usage
    from gallump_lab.brain.brain import Brain
    from gallump_lab.market import FileBroker

    def at_once(_self: Brain, _prompt: object, **_: object) -> Answer:
        usage = Usage(input_tokens=900, output_tokens=12)
        return Answer(
            text="Noted, at once.", model="stand-in", usage=usage, cost_usd=0.0, latency=0.0, state="complete"
        )

    Brain.send = at_once  # type: ignore[method-assign,assignment]
    lab = Lab.open(path, broker=FileBroker())
    dice = random.Random(2)
    session, times_ms = None, []
    for turn in range(turns + 5):
        question = " ".join(dice.choices(WORDS, k=10)) + "?"
        begun = time.perf_counter()
        reply = lab.ask(question, watchlist=["AAPL", "MSFT"], session_id=session)
        if turn >= 5:
            times_ms.append(1_000 * (time.perf_counter() - begun))
        session = reply.session_id if turn % 10 else None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    return {"p50": statistics.median(times_ms), "p95": statistics.quantiles(times_ms, n=20)[-1], "peak_mb": peak}


def import_seconds() -> float:
    """Time `import gallump_lab` in processes of its own; the median of seven, less Python's own start."""

    def once(code: str) -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - begun

    once("import gallump_lab")
    return statistics.median(once("import gallump_lab") - once("pass") for _ in range(7))


def main() -> None:
    """Run it all; each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", default="10,1000,10000")
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fill:
        fill(arguments.fill, int(arguments.sessions))
        return
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.turns)))
        return
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ANTHROPIC_")}
    found = {}
    for sessions in arguments.sessions.split(","):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lab.duckdb"
            command = [sys.executable, __file__, "--turns", str(arguments.turns)]
            # Not filled by this process or the one that measures: a child inherits its parent's peak memory.
            subprocess.run([*command, "--fill", str(path), "--sessions", sessions], check=True)
            command += ["--measure", str(path)]
            out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
            found[sessions] = json.loads(out)
            size = path.stat().st_size / 1e6
        row = found[sessions]
        figures = f"p50 {row['p50']:6.1f} ms, p95 {row['p95']:6.1f} ms, {row['peak_mb']:5.0f} MB, file {size:.0f} MB"
        print(f"{sessions:>7} sessions: {figures}")
    print(
        json.dumps(
            {
                "import_s": round(import_seconds(), 3),
                "ask_ms": {sessions: round(row["p50"], 1) for sessions, row in found.items()},
                "peak_mb": round(max(row["peak_mb"] for row in found.values())),
            }
        )
    )


if __name__ == "__main__":
    main()

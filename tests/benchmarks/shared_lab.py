"""Two notebooks, a route and a chat on one lab file at once: an hour's work compressed into a minute.

    python tests/benchmarks/shared_lab.py [--seconds 60] [--processes 8] [--kill-every 5] [--pause 1]

Each process asks, recalls, imports, copies and so on, with pauses between (`--pause 0`: without). One is killed every
few seconds in the middle of something, and a new one takes its place. Prints tables, and JSON on the last line:

acknowledged, lost, twice, torn   messages that were acknowledged, and what is wrong in the lab afterwards (see
                                  tests/shared_lab_check.py); if there is any, or something failed, the exit code is 1
refused                           what was given up because a step would have waited over a minute
wait_ms                           {n, p50, p95, max}: how long a step waited for the file, from asking until it had it
hold_ms, step_ms                  how long it then held it, and both together
operation_ms                      whole operations by kind, as `lab.ask` takes in a notebook
held                              the share of the time in which steps held the file; readers hold it together

The labs' clock makes the time an hour, so sessions end and are distilled meanwhile. The offline analyst answers.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # so `shared_lab` is the module there, not this file

import numpy as np
from shared_lab import Run, run
from shared_lab_check import wrong


def spread(seconds: Iterable[float]) -> dict[str, Any]:
    """Give number, median, 95th percentile and maximum, in milliseconds."""
    given = [1_000 * each for each in seconds]
    p50, p95, most = np.percentile(given, [50, 95, 100]).round(1).tolist() if given else (None, None, None)
    return {"n": len(given), "p50": p50, "p95": p95, "max": most}


def figures(found: Run, seconds: float) -> dict[str, Any]:
    """Sum up what was done since the clock began."""
    done = [line for line in found.done if line["at"] >= 0]
    steps = [step for line in done for step in line["steps"]]
    sides = {
        "read": [step for step in steps if not step[2]],
        "write": [step for step in steps if step[2]],
        "all": steps,
    }
    return {
        "kills": dict(found.kills),
        "acknowledged": sum(len(line.get("messages", ())) for line in found.done),
        "refused": sum("busy" in line for line in found.done),
        "failed": sum("failed" in line for line in found.done),
        "wait_ms": {side: spread(waited for waited, _, _ in given) for side, given in sides.items()},
        "hold_ms": {side: spread(held for _, held, _ in given) for side, given in sides.items()},
        "step_ms": {side: spread(waited + held for waited, held, _ in given) for side, given in sides.items()},
        "operation_ms": {
            kind: spread(line["took"] for line in done if line["kind"] == kind)
            for kind in sorted({line["kind"] for line in done})
        },
        "held": {side: round(sum(held for _, held, _ in given) / seconds, 2) for side, given in sides.items()},
    }


def table(title: str, rows: dict[str, dict[str, Any]]) -> None:
    """Print one row each: number, p50, p95, max."""
    print(f"{title + ', ms':<22}{'n':>6}{'p50':>9}{'p95':>9}{'max':>9}")
    for name, row in rows.items():
        print(f"  {name:<20}{row['n']:>6}" + "".join(f"{row[key] or 0:>9.1f}" for key in ("p50", "p95", "max")))


def main() -> int:
    """Run it and print the figures; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--kill-every", type=float, default=5)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds, on average")
    parser.add_argument("--messages", type=int, default=4_000, help="in the lab when it begins")
    given = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder) / "lab.duckdb", **given)
        amiss = wrong(found)
    told = given | figures(found, given["seconds"]) | {name: len(cases) for name, cases in amiss.items()}
    for name, cases in amiss.items():
        print("".join(f"{name}: {case}\n" for case in cases[:10]), end="")
    print("".join(line["failed"] for line in found.done if "failed" in line), end="")
    for name in ("wait", "hold", "step", "operation"):
        table(name, told[f"{name}_ms"])
    print(json.dumps(told))
    return 1 if told["failed"] or any(amiss.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

"""How the chat feels: in a real JupyterLab with a real kernel and browser, on a lab of 100,000 messages.

    python tests/benchmarks/chat.py [--messages 100000] [--turns 40] [--tokens 10000]

Prints JSON on the last line. Milliseconds, each {p50, p95}:

enter_to_request_ms  from the Enter key to the request's arrival at a local Messages API
delta_to_paint_ms    from a reply's first text leaving there to its paint
frame_ms             the browser's frames while a reply of so many tokens streams in: worst of frames_by_kind_ms
                     (paragraphs, one block of code, one table)

load_average is what the machine had to do besides or because of it. The history is synthetic, the model a script.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from chromium import FLAGS, find
from messages_server import MessagesServer, end, start, text
from notebook_page import Notebook, browse, serve
from turn import fill

from gallump_lab import tokens

THINKS = 0.3
"""Seconds until a reply's first text."""
PER_SECOND = 400
"""Tokens that the model writes in a second, a few in each piece."""
WARM = 3
"""So many first questions do not count: they load what later ones find loaded."""
TABLE = "| what | price | change | why |\n|---|--:|--:|---|\n"
WORDS = "margin earnings guidance dividend cash valuation multiple growth risk hedge stop target entry position".split()

ENDED = "document.querySelectorAll('.gl-log article.gl-reply:not([aria-busy])').length"
PROBES = """
const log = () => document.querySelector('.gl-log');
const now = () => performance.timeOrigin + performance.now();
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter') window.entered = performance.timeOrigin + event.timeStamp;
}, true);
/** Give when the first text of the coming reply is on the screen. */
window.firstPaint = () => new Promise((resolve) => {
  const observer = new MutationObserver(() => {
    if (!log().lastElementChild.matches('[aria-busy]:has(.gl-part > *)')) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(now())));  // after the frame that paints it
  });
  observer.observe(log(), { childList: true, subtree: true });
});
/** Note when frames begin, until it is told to stop; then give the milliseconds of each. */
window.watchFrames = () => {
  const begun = [];
  let on = true;
  const note = (at) => { begun.push(at); if (on) requestAnimationFrame(note); };
  requestAnimationFrame(note);
  window.stopFrames = () => { on = false; return begun.slice(1).map((at, i) => at - begun[i]); };
};
"""


class Script(MessagesServer):
    """Stands in for Claude, and notes in milliseconds when a request came and when its reply began."""

    def __init__(self) -> None:
        super().__init__()
        self.came = self.left = 0.0

    def reply_to(self, request: Any) -> Any:
        """Note the request, and give what is queued."""
        self.came = 1_000 * time.time()
        return super().reply_to(request)

    def write(self, pieces: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Write a reply at a model's pace."""
        yield start()
        due, first = time.monotonic() + THINKS, True
        for step in text(*pieces):
            if step["type"] == "content_block_delta":
                time.sleep(max(0.0, due - time.monotonic()))
                due += tokens.count(step["delta"]["text"]) / PER_SECOND
                self.left, first = (1_000 * time.time() if first else self.left), False
            yield step
        yield from end()


def sentence(dice: random.Random, words: int) -> str:
    """Give a sentence of so many words."""
    return " ".join(dice.choices(WORDS, k=words)).capitalize() + "."


def paragraph(dice: random.Random) -> str:
    """Give a paragraph as a reply has them, now and then a heading or a list."""
    lines = [f"**{sentence(dice, 3)}** " + " ".join(sentence(dice, dice.randint(6, 20)) for _ in range(5))]
    if dice.random() < 0.3:
        lines = [f"## {sentence(dice, 4)}", *lines, "\n".join(f"- {sentence(dice, 9)}" for _ in range(4))]
    return "\n\n".join(lines) + "\n\n"


def code(dice: random.Random) -> str:
    """Give a line of code."""
    return f"{'_'.join(dice.choices(WORDS, k=2))} = {dice.choice(WORDS)}({dice.random():.6f}, '{dice.choice(WORDS)}')\n"


def row(dice: random.Random) -> str:
    """Give a table's row."""
    return f"| {dice.choice(WORDS)} | {dice.random():.2f} | {dice.random():.2%} | {sentence(dice, 3)} |\n"


def reply(kind: str, size: int) -> list[str]:
    """Give a reply of so many tokens, in the pieces in which a model sends it."""
    dice = random.Random(3)
    make, begin, close = {
        "prose": (paragraph, "", ""),
        "code": (code, "```python\n", "```"),
        "table": (row, TABLE, ""),
    }[kind]
    parts, left = [begin], size
    while left > 0:
        parts.append(make(dice))
        left -= tokens.count(parts[-1])
    whole = "".join([*parts, close])
    return [whole[i : i + 12] for i in range(0, len(whole), 12)]


def shares(figures: list[float]) -> dict[str, float]:
    """Give the median and the 95th percentile."""
    return {"p50": round(statistics.median(figures), 1), "p95": round(statistics.quantiles(figures, n=20)[-1], 1)}


def ask(notebook: Notebook, script: Script, question: str, pieces: list[str]) -> dict[str, Any]:
    """Ask a question and wait for its reply; give what it took."""
    page = notebook.page
    script.queue(script.write(pieces))
    notebook.box.fill(question)
    number = page.evaluate(ENDED)
    page.evaluate("() => { window.painted = firstPaint() }")
    page.evaluate("watchFrames()")
    page.keyboard.press("Enter")  # from here on no locator: looking for roles and labels takes the page's own time
    painted = page.evaluate("painted")
    page.wait_for_function(f"number => {ENDED} > number", arg=number, polling=200, timeout=600_000)
    return {
        "enter_to_request": script.came - page.evaluate("entered"),
        "delta_to_paint": painted - script.left,
        "frames": page.evaluate("stopFrames()"),
    }


def measure(notebook: Notebook, script: Script, arguments: argparse.Namespace) -> dict[str, Any]:
    """Chat, and give the figures."""
    dice, page = random.Random(2), notebook.page
    notebook.open(
        "from gallump_lab import Lab\nfrom gallump_lab.market import FileBroker\n"
        f"lab = Lab.open({str(arguments.lab)!r}, broker=FileBroker())\nlab.chat(watchlist=['AAPL', 'MSFT'])"
    )
    notebook.log.locator("article").last.wait_for()
    page.evaluate(f"() => {{ {PROBES} }}")
    turns = [
        ask(notebook, script, sentence(dice, 10) + "?", [f"Reply{number} ", sentence(dice, 40)])
        for number in range(WARM + arguments.turns)
    ][WARM:]
    found: dict[str, Any] = {
        "enter_to_request_ms": shares([turn["enter_to_request"] for turn in turns]),
        "delta_to_paint_ms": shares([turn["delta_to_paint"] for turn in turns]),
    }
    kinds = {
        kind: shares(ask(notebook, script, f"At length, as {kind}", reply(kind, arguments.tokens))["frames"])
        for kind in ("prose", "code", "table")
    }
    return found | {"frame_ms": max(kinds.values(), key=lambda each: each["p95"]), "frames_by_kind_ms": kinds}


def main() -> None:
    """Build the lab, open it in JupyterLab, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--lab", type=Path, help="a lab to chat on instead of a new one; it is changed")
    arguments = parser.parse_args()
    chromium = {"executable_path": os.environ.get("GALLUMP_CHROMIUM") or find(), "args": FLAGS}
    with tempfile.TemporaryDirectory(prefix="gallump-bench-") as place:
        if arguments.lab is None:
            arguments.lab = Path(place, "lab.duckdb")
            fill(arguments.lab, arguments.messages // 20)
        with Script() as script, serve(Path(place)) as jupyter, browse(chromium) as context:
            (folder := jupyter.root / "chat").mkdir()
            notebook = Notebook(
                jupyter=jupyter, kernel=jupyter.kernel(), claude=script, page=context.new_page(), folder=folder
            )
            found = measure(notebook, script, arguments)
    print(json.dumps(found | {"load_average": [round(each, 1) for each in os.getloadavg()]}))


if __name__ == "__main__":
    main()

"""What the prompt cache saves in each layout: one day's chat under each, by the cache as it is documented.

    python tests/benchmarks/layout.py [--turns 20] [--reply 300]

The talk is synthetic: one session, questions two minutes apart, every fifth after a pause of seven minutes, replies of
so many words. The server is the tests' scripted one, which counts four characters as a token and keeps the cache's
rules (prefix, breakpoints, look-back, minimum, five minutes); no model is asked. Prints a table, and JSON on the last
line: by layout and HOT's budget the day's prompt tokens read, written and fresh, and the prompts' USD at Sonnet 5.5's
list price.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
WORDS = "the stop level trend volume close sector earnings margin risk size entry target hedge cash week".split()


def day(layout: str, hot: int, step: int, turns: int, words: int) -> dict[str, float]:
    """Chat for a day, and sum what the server counted of the prompts."""
    from messages_server import MessagesServer, say

    from gallump_lab import Budget, Config, Lab, Model
    from gallump_lab.brain.answer import Usage
    from gallump_lab.brain.models import price
    from gallump_lab.market import FileBroker

    dice, now = random.Random(1), [datetime(2026, 3, 2, 9, tzinfo=UTC)]
    with tempfile.TemporaryDirectory() as folder, MessagesServer() as server:
        server.clock = lambda: max(now).timestamp()
        budget = Budget(hot=hot, hot_step=step)
        config = Config(budget=budget, layout=layout, model=Model(base_url=server.url, name="claude-sonnet-5-5"))
        lab, session = (
            Lab.open(Path(folder) / "lab.duckdb", clock=lambda: now[0], broker=FileBroker(), config=config),
            None,
        )
        for turn in range(turns):
            server.queue(say(" ".join(dice.choices(WORDS, k=words)) + "."))
            asked = f"Is the AAPL {' '.join(dice.choices(WORDS, k=20))} of {turn} still right?"
            session = lab.ask(asked, ["AAPL"], session_id=session).session_id
            now[0] += timedelta(minutes=7 if turn % 5 == 4 else 2)
        told = [request.usage for request in server.requests]
    read, written, fresh = (
        sum(each.get(name, 0) for each in told)
        for name in ("cache_read_input_tokens", "cache_creation_input_tokens", "input_tokens")
    )
    usage = Usage(input_tokens=fresh, output_tokens=0, cache_read_tokens=read, cache_write_tokens=written)
    return {"read": read, "written": written, "fresh": fresh, "usd": round(price("claude-sonnet-5-5").cost(usage), 4)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--turns", type=int, default=20)
    options.add_argument("--reply", type=int, default=300)
    given = options.parse_args()
    os.environ["ANTHROPIC_API_KEY"] = "none"
    found = {}
    for hot, step in ((2_000, 1_000), (8_000, 2_000), (20_000, 4_000)):
        for layout in ("single", "conversation"):
            name = f"{layout}, HOT {hot:,}"
            found[name] = day(layout, hot, step, given.turns, given.reply)
            print(f"{name:24} " + "  ".join(f"{what} {number:>9,}" for what, number in found[name].items()))
    print(json.dumps({"turns": given.turns, "reply_words": given.reply, "layouts": found}))


if __name__ == "__main__":
    main()

# noqa: INP001 - a script beside what it makes, no package
"""Make sample/ from sample_source/ and bars.parquet, byte for byte; README.md has the command."""

import hashlib
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # what stands in data/ ships
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from sample_source.ask import questions  # noqa: E402
from sample_source.bars import Bars  # noqa: E402
from sample_source.learn import insights  # noqa: E402
from sample_source.story import sessions  # noqa: E402
from sample_source.talk import Talk  # noqa: E402

ANALYSTS = ("mara", "henry", "priya", "tom", "ines", "wen")
DESKS = 6


def toml(name: str) -> dict[str, Any]:
    """Read one of the source's tables."""
    return tomllib.loads((HERE / "sample_source" / f"{name}.toml").read_text(encoding="utf-8"))


def sample() -> dict[str, list[dict[str, Any]]]:
    """Make the records of each file."""
    bars, replies, words = Bars(HERE / "bars.parquet"), toml("replies"), toml("questions")
    people = [toml(f"analysts/{name}") for name in ANALYSTS]
    messages, facts = [], []
    for analyst in people:
        held = sessions(analyst, bars, DESKS)
        stated = [fact for session in held for fact in session.facts]
        talk = Talk(analyst, replies, bars, stated)
        messages += [message for session in held for message in talk.messages(session)]
        facts += stated
    messages.sort(key=lambda message: (message["created_at"], message["key"]))
    learnt = insights(facts, words, bars)
    asked = questions(facts, people, messages, words)
    return {"messages": messages, "questions": asked, "insights": learnt}


def main() -> None:
    """Write the three files into the folder that is given, or into sample/ beside this script."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "sample"
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in sample().items():
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        (folder / f"{name}.jsonl").write_bytes(text.encode())
        sys.stdout.write(f"{hashlib.sha256(text.encode()).hexdigest()}  sample/{name}.jsonl\n")


if __name__ == "__main__":
    main()

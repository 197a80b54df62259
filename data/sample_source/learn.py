"""What a distiller would have learnt from each session, and which statement replaces which."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sample_source.bars import Bars
from sample_source.draw import Draw
from sample_source.story import Fact

Record = dict[str, Any]


def insights(facts: Sequence[Fact], words: Record, bars: Bars) -> list[Record]:
    """Distil what was stated; of a trade either all statements on an attribute or none, so that none is stale."""
    draw, found = Draw("insights"), []
    for fact in sorted(facts, key=lambda f: (f.ended, f.key, f.attribute)):
        name, kind = fact.name, fact.said.get("kind")
        text, sources = fact.said.get("insight", ""), [fact.key]
        if fact.trade:
            if not Draw(f"learnt {name} {fact.trade} {fact.attribute}").chance(0.55):
                continue
            about = words["attribute"][fact.attribute]
            kind = about["kind"]
            value = f"{fact.value} by {fact.words['m']}" if fact.attribute == "call" else fact.value
            said = {"name": name, "t": fact.symbol, "v": value, "date": fact.day.isoformat(), "d": fact.words.get("d")}
            px = bars.figures(fact.symbol or "", fact.day).get("px")
            text = draw.line(about["insight"], said | ({"px": px} if px else {}))
        fact.insight = f"insight-{len(found) + 1:03}"
        found.append(
            {
                "kind": kind,
                "symbol": fact.symbol,
                "text": text,
                "sources": sources,
                "valid_from": iso(fact.at),
                "known_from": iso(fact.ended),
                "key": fact.insight,
                "superseded_by": None,
            }
        )
    by_key = {record["key"]: record for record in found}
    for fact in facts:
        newer = replaced_by(fact, facts)
        if fact.insight and newer and newer.insight:
            by_key[fact.insight]["superseded_by"] = newer.insight
    return found


def replaced_by(fact: Fact, facts: Sequence[Fact]) -> Fact | None:
    """Give the statement that replaces this one, if there is one."""
    if fact.trade:
        ends = [f for f in facts if (f.name, f.trade, f.attribute) == (fact.name, fact.trade, "exit")]
        later = [f for f in line_of(fact, facts) if f.at > fact.at and f.trade == fact.trade]
        return next(iter(later or ([] if fact.attribute in {"exit", "call"} else ends)), None)
    return next((f for f in facts if f.name == fact.name and f.said.get("replaces") == fact.said.get("id", 0)), None)


def line_of(fact: Fact, facts: Sequence[Fact]) -> list[Fact]:
    """Give all that the same analyst stated about the same attribute of the same symbol, oldest first."""
    same = [f for f in facts if (f.name, f.symbol, f.attribute) == (fact.name, fact.symbol, fact.attribute)]
    return sorted((f for f in same if f.trade), key=lambda f: f.at)


def iso(at: datetime) -> str:
    """Write a time as the records do."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")

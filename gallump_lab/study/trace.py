"""One question's ranking looked at closely: what outranked its evidence, and why."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from gallump_lab.memory.packing import says
from gallump_lab.memory.signals import SIGNALS
from gallump_lab.study.ranks import Rankings

if TYPE_CHECKING:
    import pandas as pd


class Trace:
    """One question's ranking looked at closely."""

    def __init__(self, ranks: Rankings, retriever: str, place: int, number: int) -> None:
        self.asked, self.retriever = ranks.asked[place], retriever
        self._number, self._slots = number, ranks.warm(retriever, place)

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """The evidence's passages and the first others: rank, evidence, score, each signal (millionths), text."""
        import pandas as pd

        parts = [part for each in self.asked.needs.evidence.values() for part in each]
        rows: list[dict[str, Any]] = []
        others = 0
        found = set()
        for slot in self._slots:
            held = [part.item_id for part in parts if says(slot, part)]
            found.update(held)
            if held or others < self._number:
                others += not held
                rows.append(
                    {"rank": slot.rank, "evidence": bool(held), "score": slot.score}
                    | {name: slot.signals.get(name, 0) for name in SIGNALS}
                    | {"text": slot.text}
                )
        rows += [
            {"rank": None, "evidence": True, "score": None, "text": part.text}
            for part in parts
            if part.item_id not in found
        ]
        table = pd.DataFrame(rows, columns=["rank", "evidence", "score", *SIGNALS, "text"])
        return table.astype(dict.fromkeys(("rank", "score", *SIGNALS), "Int64"))

    def __repr__(self) -> str:
        """Return what was asked, where the evidence stands, and what the first has more than it."""
        import pandas as pd

        table = self.frame
        lines = [f"{self.asked.text} ({self.retriever})"]
        held = table[table["evidence"] & table["rank"].notna()]
        rest = table[~table["evidence"]]
        for _, row in table.iterrows():
            mark = "*" if row["evidence"] else " "
            rank = "   -" if pd.isna(row["rank"]) else f"{row['rank']:4}"
            lines.append(f"{mark}{rank}  {' '.join(str(row['text']).split())[:96]}")
        if len(held) and len(rest) and rest["rank"].iloc[0] < held["rank"].iloc[0]:
            ahead, behind = rest.iloc[0], held.iloc[0]
            gained = {name: int(ahead[name] - behind[name]) for name in SIGNALS if ahead[name] != behind[name]}
            best = sorted(gained.items(), key=lambda item: -abs(item[1]))[:3]
            lines.append(
                "The first against the evidence: " + ", ".join(f"{name} {value / 1e6:+.2f}" for name, value in best)
            )
        elif not len(held):
            lines.append("The evidence is not among the candidates: it shares too little with the question.")
        return "\n".join(lines)

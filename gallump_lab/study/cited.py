"""Which of what was shown the replies cite: usefulness without labels, on every chat, at no further cost.

What is not cited is not useless: it may have kept a reply from going wrong. Where no reply was asked to cite
(`Model.citations`), the words that it shares with an item stand in (`study.silver`), and the result says so.
"""

import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from gallump_lab.memory.records import check
from gallump_lab.reading.text_files import counted
from gallump_lab.store import Snapshot
from gallump_lab.study import statistics
from gallump_lab.study.labelling import silver
from gallump_lab.study.rank import checked_snapshot

GROUPS = ("tier", "kind", "signal", "insight")
_SHOWN = """
select t.turn_id, t.session_id, s.tier, s.rank, s.kind, s.item_id, s.message_id, s.tokens, s.cited,
       s.signals::text as signals, if(s.kind = 'insight', i.text, null) as insight
from slots s join turns t using (turn_id) join messages r on r.message_id = t.reply_id and r.state = 'complete'
left join insights i on s.kind = 'insight' and i.insight_id = s.item_id
where s.kept order by turn_id, array_position(['hot', 'warm', 'cold'], s.tier), s.rank
"""


@dataclass(frozen=True, kw_only=True)
class Cited:
    """Which shown items the recorded replies cite; `study.cited` makes it."""

    frame: pd.DataFrame
    """One row an item that could be cited: turn_id, session_id, tier, rank, kind, item_id, message_id, tokens (the
    model's), cited, signal (the one that gave it most; missing where there is none), insight (its text)."""
    by: Literal["citations", "shared words"]
    """What tells: the replies' own citations, or, where there are none, the words that they share with an item."""

    def shares(self, group: str = "tier") -> pd.DataFrame:
        """Return which share of the shown tokens is cited.

        Parameters
        ----------
        group : {"tier", "kind", "signal", "insight"}

        Returns
        -------
        pandas.DataFrame
            By group, the most tokens first: tokens (shown), share (of them, in cited items), low and high
            (cluster-robust by session, 95%; NaN below five sessions), items, items_cited, sessions.
        """
        check(group in GROUPS, "group", f"one of {', '.join(GROUPS)}", group)
        rows = {}
        for name, mine in self.frame.groupby(group, sort=False):
            times = mine["tokens"].to_numpy()
            known = np.repeat(mine["cited"].to_numpy(np.float64), times)
            found = statistics.shares(known, np.repeat(mine["session_id"].to_numpy(str), times))
            share, low, high = found.interval()
            row = {"tokens": int(times.sum()), "share": share, "low": low, "high": high, "items": len(mine)}
            rows[name] = row | {"items_cited": int(mine["cited"].sum()), "sessions": mine["session_id"].nunique()}
        names = ["tokens", "share", "low", "high", "items", "items_cited", "sessions"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=names).sort_values("tokens", ascending=False)

    def __repr__(self) -> str:
        """Return the shares by tier and by signal, and what tells."""
        turns = counted(self.frame["turn_id"].nunique(), "replies")
        words = "" if self.by == "citations" else ", as far as shared words tell: no reply was asked to cite"
        lines = [f"Cited of what was shown, in {turns}{words}. What is not cited is not useless."]
        for group in ("tier", "signal"):
            for name, row in self.shares(group).iterrows():
                share = statistics.shown((row["share"], row["low"], row["high"]), ".0%")
                lines.append(f"{group} {name}: {share} of {int(row['tokens']):,} tokens cited")
        return "\n".join([*lines, *statistics.caution(self.frame["session_id"].to_list())])


def cited(snapshot: Snapshot) -> Cited:
    """Say which of the items that recorded turns showed their replies cite.

    HOT stands in no search result, so it is left out where citations tell.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gives.

    Examples
    --------
    >>> study.cited(lab.snapshot()).shares("signal")
    """
    checked_snapshot(snapshot)
    with snapshot.read() as con:
        shown = con.execute(_SHOWN).df()
    told = shown["cited"].notna()
    if by_citation := bool(told.any()):
        found = shown[told].astype({"cited": bool}).reset_index(drop=True)
    else:
        used = silver(snapshot).frame[["turn_id", "tier", "item_id", "used"]].rename(columns={"used": "cited"})
        found = shown.drop(columns="cited").merge(used, on=["turn_id", "tier", "item_id"])
    gained = found["signals"].map(json.loads)
    found = found.assign(signal=gained.map(lambda each: max(each, key=each.get) if each else None))
    return Cited(frame=found.drop(columns="signals"), by="citations" if by_citation else "shared words")

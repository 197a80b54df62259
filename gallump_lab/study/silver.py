r"""Silver labels: which of the shown items a recorded reply used, as far as its words tell.

A reply uses an item if it shares a mark with this item alone: a number, a name or three content words in a row that
stand in no other shown item and nowhere else in the prompt (question, market, portfolio, instructions).

- A number has two digits or more, without years, dates, times of day and the numbers of a list; 1,250.50 is 1250.5.
- A name is a word in capitals, or one with a capital after another word, that the text does not also write small;
  months and days of the week are none.
- Content words are stemmed and follow each other in a sentence, stop words aside. What more than a few of the recorded
  replies say is a manner of speaking and no mark.

It cannot see a paraphrase, an item whose marks another one shares, or what made the model leave something out; and it
takes for use what came to be said alike by chance. So it measures a lower bound of how much shown items are used, good
for comparing tiers and ranks. It knows nothing of what was not shown, and never enters recall.
"""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from gallump_lab.brain.prompt import HEADER, INSTRUCTIONS, SCHEMA
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory.packing import TIERS
from gallump_lab.memory.text import terms
from gallump_lab.reading.periods import MONTH, MONTHS, WEEKDAYS
from gallump_lab.store import Snapshot
from gallump_lab.study import past, statistics

if TYPE_CHECKING:
    import pandas as pd

FEW = 3
"""So many replies may say three words in a row that are still a mark, or a hundredth of all replies."""
_WHEN = re.compile(
    rf"\b\d{{4}}-\d\d?-\d\d?\b|\b\d\d?[/.]\d\d?[/.]\d{{2,4}}\b|\b\d\d?:\d\d\b"
    rf"|\b\d\d?(?:st|nd|rd|th)?(?: of)? (?:{MONTH})\b\.?|\b(?:{MONTH})\.? \d\d?(?:st|nd|rd|th)?\b(?![\d.,]*\d)"
    r"|(?<![$\u20ac\u00a3\d.,])\b(?:19|20)\d\d\b(?![\d%]|[.,]\d)",
    re.IGNORECASE,
)
_LISTED = re.compile(r"^\s*\d+[.)]\s", re.MULTILINE)
_NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![^\W_])")
_SENTENCE = re.compile(r"[.!?]+[\"')\]*_]*\s+|\n+")
_CAPITALS = re.compile(r"(?<![\w'])[A-Z][A-Z\d&]+(?:[.-][A-Z]+)*(?!\w)")
_INSIDE = re.compile(r"(?<=[\w,;] )[A-Z]\w+")
_SMALL = re.compile(r"(?<!\w)[a-z]\w+")
_MARKUP = str.maketrans("", "", "*_`")
_NO_NAMES = frozenset({*MONTHS, *WEEKDAYS, *(day[:3] for day in WEEKDAYS), "i", "usd", "utc"})
_SHOWN = """
select t.turn_id, t.session_id, s.tier, s.rank, s.kind, s.item_id, s.message_id, s.tokens,
       coalesce(i.text, if(s.kind = 'passage', m.text[p.start + 1 : p.stop], m.text)) as text
from slots s join turns t using (turn_id) join messages r on r.message_id = t.reply_id and r.state = 'complete'
join messages q on q.message_id = t.question_id
left join messages m on m.message_id = s.message_id
left join passages p on s.kind = 'passage' and p.passage_id = s.item_id
left join insights i on s.kind = 'insight' and i.insight_id = s.item_id
where s.kept order by turn_id, array_position(['hot', 'warm', 'cold'], s.tier), s.rank
"""
_REPLIES = """
select turn_id, q.text as question, r.text as reply, market::text as market
from turns join messages q on q.message_id = question_id
join messages r on r.message_id = reply_id and r.state = 'complete' order by turn_id
"""

Mark = tuple[Literal["number", "name", "phrase"], str]


@dataclass(frozen=True, kw_only=True)
class Silver:
    """Which shown items the recorded replies used, as far as their words tell; `study.silver` makes it."""

    frame: "pd.DataFrame"
    """One row a shown item: turn_id, session_id, tier, rank, kind, item_id, message_id, tokens (the model's), used, and
    evidence: the marks that the reply shares with it alone."""
    turns: int
    """Turns with a whole reply."""
    left: int
    """Turns that were left out: without a whole reply, or forgotten."""

    def shares(self) -> "pd.DataFrame":
        """Return the share of the shown items that were used, by tier.

        Returns
        -------
        pandas.DataFrame
            By tier: share, low and high (cluster-robust by session, 95%; NaN below five sessions), items, sessions, and
            tokens: the share of the shown tokens that stand in used items. NaN where nothing was shown.
        """
        import numpy as np
        import pandas as pd

        tiers = self.frame["tier"].to_numpy()[:, None] == np.array(TIERS)
        used, tokens = self.frame["used"].to_numpy(float)[:, None], self.frame["tokens"].to_numpy(float)[:, None]
        found = statistics.shares(np.where(tiers, used, np.nan), self.frame["session_id"].to_numpy(str))
        spent = np.where(tiers, tokens, 0).sum(0)
        with np.errstate(invalid="ignore"):
            of_tokens = np.where(tiers, tokens * used, 0).sum(0) / spent
        columns = {"share": found.value, "low": found.low, "high": found.high, "items": found.n}
        return pd.DataFrame(columns | {"sessions": found.clusters, "tokens": of_tokens}, index=list(TIERS))

    def __repr__(self) -> str:
        """Say the use by tier, with intervals."""
        left = f"; {self.left:,} without a whole reply left out" if self.left else ""
        lines = [f"Silver: use of shown items in {self.turns:,} replies, as far as shared words tell{left}"]
        for tier, row in zip(TIERS, self.shares().to_dict("records"), strict=True):
            within = "" if math.isnan(row["low"]) else f" [{row['low']:.0%}, {row['high']:.0%}]"
            use = f"{row['share']:.0%}{within} of {row['items']:,} items used, {row['tokens']:.0%} of their tokens"
            lines.append(f"{tier.upper():4} {use if row['items'] else 'nothing was shown'}")
        return "\n".join(filter(None, [*lines, statistics.caution(self.frame["session_id"].to_list())]))


def silver(snapshot: Snapshot) -> Silver:
    """Tell of every item that a recorded turn showed whether the reply used it.

    See the module's text for the rules and for what they cannot see.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gives.
    """
    import pandas as pd

    past.checked_snapshot(snapshot)
    with snapshot.read() as con:
        replies = con.execute(_REPLIES).fetchall()
        (turns,) = con.execute("select count(*) from turns").fetchone() or (0,)
        found = con.execute(_SHOWN)
        names = [column[0] for column in found.description]
        shown: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in found.fetchall():
            shown[row[0]].append(dict(zip(names, row, strict=True)))
    said = {turn_id: marks(reply) for turn_id, _, reply, _ in replies}
    often = _often(said.values())
    rows = []
    for turn_id, question, _, market in replies:
        items = [item for item in shown[turn_id] if item["text"]]
        elsewhere = marks(question) | _of_market(market) | _fixed() | often
        rows += _used(items, said[turn_id] - elsewhere)
    columns = [*(name for name in names if name != "text"), "used", "evidence"]
    return Silver(
        frame=pd.DataFrame(rows, columns=columns).astype({"used": bool}),
        turns=len(replies),
        left=int(turns) - len(replies),
    )


@lru_cache(maxsize=50_000)
def marks(text: str) -> frozenset[Mark]:
    """Return a text's marks: its numbers, its names and its runs of three content words."""
    plain = _LISTED.sub("", _WHEN.sub("| ", text.translate(_MARKUP)))
    numbers = (terms(each[0])[0] for each in _NUMBER.finditer(plain))
    found: set[Mark] = {("number", each) for each in numbers if sum(sign.isdigit() for sign in each) > 1}
    names = {each.casefold() for pattern in (_CAPITALS, _INSIDE) for each in pattern.findall(plain)}
    found |= {("name", each) for each in names.difference(_NO_NAMES, _SMALL.findall(plain)) if terms(each)}
    for sentence in _SENTENCE.split(plain):
        words = terms(sentence)
        found |= {("phrase", " ".join(run)) for run in zip(words, words[1:], words[2:], strict=False)}
    return frozenset(found)


def _used(items: Sequence[Mapping[str, Any]], said: frozenset[Mark]) -> list[dict[str, Any]]:
    """Say of a turn's items which of a reply's marks each holds alone."""
    held = [marks(item["text"]) & said for item in items]
    number = Counter(mark for each in held for mark in each)
    found = []
    for item, mine in zip(items, held, strict=True):
        alone = sorted(word for _, word in (mark for mark in mine if number[mark] == 1))
        found.append({**item, "used": bool(alone), "evidence": alone})
    return found


def _often(replies: Iterable[frozenset[Mark]]) -> frozenset[Mark]:
    """Return the runs of words that are a manner of speaking."""
    all_of_them = list(replies)
    number = Counter(mark for each in all_of_them for mark in each if mark[0] == "phrase")
    return frozenset(mark for mark, often in number.items() if often > max(FEW, len(all_of_them) // 100))


@lru_cache(maxsize=1)
def _fixed() -> frozenset[Mark]:
    return marks(f"{HEADER}\n{INSTRUCTIONS}\n{SCHEMA}")


@lru_cache(maxsize=256)
def _of_market(market: str) -> frozenset[Mark]:
    """Return the marks of the market and portfolio sections; a recommended price may be one of theirs."""
    seen = MarketContext.from_dict(json.loads(market))
    return marks("\n".join((*seen.market_lines(), *seen.portfolio_lines())))

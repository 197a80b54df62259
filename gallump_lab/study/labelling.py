r"""Labels that nobody typed: which messages a labeller should see, and which shown items a recorded reply used.

`pool` gathers what several retrievers find for a question, so that no one of them sets its own test. Pooling is how
test collections are judged (Sparck Jones and van Rijsbergen 1975): what no retriever of the pool finds stays without a
label, which is not the same as being of no use.

`silver` tells of what a recorded prompt showed whether the reply used it, as far as its words tell: a reply uses an
item if it shares a mark with this item alone, a number, a name or three content words in a row that stand in no other
shown item and nowhere else in the prompt (question, market, portfolio, instructions).

- A number has two digits or more, without dates, times of day and the numbers of a list; 1,250.50 is 1250.5.
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
from collections import Counter
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

import pandas as pd

from gallump_lab.brain.prompt import HEADER, INSTRUCTIONS, SCHEMA
from gallump_lab.lazy import regex
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory import context as memory
from gallump_lab.memory import recall
from gallump_lab.memory.asked import about
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.labels import Question
from gallump_lab.memory.records import TIERS, AsOf, Message
from gallump_lab.memory.text import term_id, terms
from gallump_lab.reading import dates
from gallump_lab.reading.numbers import numbers
from gallump_lab.reading.periods import MONTHS, WEEKDAYS
from gallump_lab.store import Catalogue, Snapshot, runs, times
from gallump_lab.study import statistics
from gallump_lab.study.rank import RETRIEVERS, checked_snapshot, zone_of

DEPTH = 10
"""So many messages of each retriever are candidates."""
_FOUND = f"""
select {Message.COLUMNS}, (
    select list((start, stop) order by passage_id) from passages p
    where p.message_id = messages.message_id and passage_id in (select unnest($passages)))
from messages where message_id in (select unnest($messages))
"""  # noqa: S608 (constant)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A message to be labelled."""

    message: Message
    found: tuple[tuple[int, int], ...]
    """Where in the text the best passages of the retrievers stand that look at words or meaning: from and to, in order;
    nothing where none of them found it."""


def pool(catalogue: Catalogue, corpus: Corpus, asked: Question, also: Collection[int] = ()) -> list[Candidate]:
    """Gather the messages to label for a question, in an order that tells nothing of their ranks.

    Nothing later than the question is used, by arrival and by the time it speaks of. The order is the same each time.

    Parameters
    ----------
    catalogue : Catalogue
        A lab's store or a snapshot; a retriever takes a step.
    corpus : Corpus
        Its passages in memory.
    asked : Question
        The question.
    also : collection of int
        Further messages, such as those that have a label.
    """
    at, seen = times.aware(asked.asked_at), asked.seen_message
    with catalogue.read() as con:
        seen = memory.newest(con)[0] if seen is None else seen
        zone = zone_of(con, runs.applied(con))
    moment = AsOf(at=at.astimezone(zone), seen_message=seen, seen_insight=0, as_of=at)
    memo: dict[Hashable, Any] = {}
    messages, marked = set(also), set[int]()
    for settings in RETRIEVERS.values():
        memory.prepare(corpus, catalogue, settings.embedder)
        with catalogue.read() as con:
            view = corpus.at(con, moment, settings.embedder)
            symbols = about(view, asked.text, [asked.symbol] if asked.symbol else [])
            ranked = recall.rank(con, view, asked.text, symbols=symbols, moment=moment, settings=settings, memo=memo)
        best: dict[int, int] = {}
        for passage in ranked.passage_ids:
            best.setdefault(int(view.message_id[view.places[passage]]), passage)
        first = dict(islice(best.items(), DEPTH))
        messages.update(first)
        marked.update(first.values() if settings.words or settings.meaning else ())
    with catalogue.read() as con:
        rows = con.execute(_FOUND, {"messages": [*messages], "passages": [*marked]}).fetchall()
    found = [Candidate(message=Message.of(row), found=tuple(row[-1] or ())) for row in rows]
    return sorted(found, key=lambda each: term_id(f"{asked.text}\n{each.message.message_id}"))


FEW = 3
"""So many replies may say three words in a row that are still a mark, or a hundredth of all replies."""
_WHEN = regex(r"\b\d\d?[/:]\d\d?(?:/\d{2,4})?\b|(?<![$\d.,])\b(?:19|20)\d\d\b(?![\d%]|[.,]\d)")
"""What says when and is no time that `reading.dates` finds: 15:30, 1/2/2013, a year alone."""
_LISTED = regex(r"^\s*\d+[.)]\s", re.MULTILINE)
_SENTENCE = regex(r"[.!?]+[\"')\]*_]*\s+|\n+")
_NAME = regex(r"(?<![\w'])[A-Z][A-Z\d&]+(?:[.-][A-Z]+)*(?!\w)|(?<=[\w,;] )[A-Z]\w+")
_SMALL = regex(r"(?<!\w)[a-z]\w+")
_MARKUP = str.maketrans("", "", "*_`")
_NO_NAMES = frozenset({*MONTHS, *WEEKDAYS, *(day[:3] for day in WEEKDAYS), "usd", "utc"})
_SHOWN = """
select t.turn_id, t.session_id, s.tier, s.rank, s.kind, s.item_id, s.message_id, s.tokens,
       coalesce(i.text, if(s.kind = 'passage', m.text[p.start + 1 : p.stop], m.text)) as said
from slots s join turns t using (turn_id) join messages r on r.message_id = t.reply_id and r.state = 'complete'
join messages q on q.message_id = t.question_id
left join messages m on m.message_id = s.message_id
left join passages p on s.kind = 'passage' and p.passage_id = s.item_id
left join insights i on s.kind = 'insight' and i.insight_id = s.item_id
where s.kept and said <> '' order by turn_id, array_position(['hot', 'warm', 'cold'], s.tier), s.rank
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

    frame: pd.DataFrame
    """One row a shown item: turn_id, session_id, tier, rank, kind, item_id, message_id, tokens (the model's), used, and
    evidence: the marks that the reply shares with it alone."""
    turns: int
    """Turns with a whole reply."""
    left: int
    """Turns that were left out: without a whole reply, or forgotten."""

    def shares(self) -> pd.DataFrame:
        """Return the share of the shown items that were used, by tier.

        Returns
        -------
        pandas.DataFrame
            By tier: share, low and high (cluster-robust by session, 95%; NaN below five sessions), items, sessions, and
            tokens: the share of the shown tokens that stand in used items. NaN where nothing was shown.
        """
        rows = {}
        for tier in TIERS:
            mine = self.frame[self.frame["tier"] == tier]
            found = statistics.shares(mine["used"].astype("float64"), mine["session_id"])
            share, low, high = found.interval()
            spent = mine["tokens"].where(mine["used"], 0).sum() / (mine["tokens"].sum() or math.nan)
            row = {"share": share, "low": low, "high": high, "items": len(mine), "sessions": found.clusters[0]}
            rows[tier] = row | {"tokens": spent}
        return pd.DataFrame.from_dict(rows, orient="index").astype({"items": "int64", "sessions": "int64"})

    def __repr__(self) -> str:
        """Return the use by tier, with intervals."""
        left = f"; {self.left:,} without a whole reply left out" if self.left else ""
        lines = [f"Silver: use of shown items in {self.turns:,} replies, as far as shared words tell{left}"]
        for tier, row in zip(TIERS, self.shares().to_dict("records"), strict=True):
            within = "" if math.isnan(row["low"]) else f" [{row['low']:.0%}, {row['high']:.0%}]"
            use = f"{row['share']:.0%}{within} of {row['items']:,} items used, {row['tokens']:.0%} of their tokens"
            lines.append(f"{tier.upper():4} {use if row['items'] else 'nothing was shown'}")
        return "\n".join([*lines, *statistics.caution(self.frame["session_id"].to_list())])


def silver(snapshot: Snapshot) -> Silver:
    """Label every item that a recorded turn showed: whether the reply used it.

    See the module's text for the rules and for what they cannot see.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gives.

    Examples
    --------
    >>> study.silver(lab.snapshot()).shares()
    """
    checked_snapshot(snapshot)
    with snapshot.read() as con:
        replies = con.execute(_REPLIES).fetchall()
        (turns,) = con.execute("select count(*) from turns").fetchone() or (0,)
        shown = con.execute(_SHOWN).df()
    said = {turn_id: marks(reply) for turn_id, _, reply, _ in replies}
    number = Counter(mark for each in said.values() for mark in each if mark[0] == "phrase")
    often = {mark for mark, times in number.items() if times > max(FEW, len(said) // 100)}
    fixed = marks(f"{HEADER}\n{INSTRUCTIONS}\n{SCHEMA}")
    mine = {}
    for turn_id, question, _, market in replies:
        seen = MarketContext.from_dict(json.loads(market))
        known = marks("\n".join((*seen.market_lines(), *seen.portfolio_lines())))  # a recommended price may be known
        mine[turn_id] = said[turn_id] - marks(question) - known - fixed - often
    shared = [marks(item.said) & mine[item.turn_id] for item in shown.itertuples()]
    held = Counter((turn_id, mark) for turn_id, each in zip(shown["turn_id"], shared, strict=True) for mark in each)
    evidence = [
        sorted(word for kind, word in each if held[turn_id, (kind, word)] == 1)
        for turn_id, each in zip(shown["turn_id"], shared, strict=True)
    ]
    words = pd.Series(evidence, shown.index, dtype=object)
    frame = shown.drop(columns="said").assign(used=words.map(bool).astype(bool), evidence=words)
    return Silver(frame=frame, turns=len(replies), left=int(turns) - len(replies))


@lru_cache(maxsize=50_000)
def marks(text: str) -> frozenset[Mark]:
    """Return a text's marks: its numbers, its names and its runs of three content words."""
    plain = _LISTED.sub("", text.translate(_MARKUP))
    for when in reversed(dates.times(plain, date(2100, 1, 1))):
        plain = f"{plain[: when.start]}| {plain[when.stop :]}"
    plain = _WHEN.sub("| ", plain)
    amounts = {str(each).lstrip("-") for each in numbers(plain)}
    found: set[Mark] = {("number", each) for each in amounts if sum(sign.isdigit() for sign in each) > 1}
    names = {each.casefold() for each in _NAME.findall(plain)}
    found |= {("name", each) for each in names.difference(_NO_NAMES, _SMALL.findall(plain)) if terms(each)}
    for sentence in _SENTENCE.split(plain):
        words = terms(sentence)
        found |= {("phrase", " ".join(run)) for run in zip(words, words[1:], words[2:], strict=False)}
    return frozenset(found)

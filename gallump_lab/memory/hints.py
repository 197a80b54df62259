"""Hints: what a model said of a passage when it distilled, so that other words find it too. No prompt shows them.

A hint has an id among those of insight events: what a turn had seen of these says which hints it could use.
"""

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from gallump_lab.memory.asked import Asked
from gallump_lab.memory.records import AsOf, Learnt
from gallump_lab.memory.signals import MILLION
from gallump_lab.memory.text import term_id, terms
from gallump_lab.store import times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST = 100
"""So many passages, those of the best hints, are candidates by them."""
_ADD = """
insert into hints select nextval('insight_event_ids'), passage_id, $text, $known_from from (
    from passages left join (
        select passage_id, count(*) as shared from postings where term in (select unnest($terms::bigint[])) group by all
    ) using (passage_id)
    where message_id in (select unnest($sources::bigint[]))
    qualify row_number() over (partition by message_id order by coalesce(shared, 0) desc, passage_id) = 1
)
"""
_SEEN = """
select passage_id, text from hints
where hint_id <= ? and known_from <= coalesce(?::timestamp, known_from) order by hint_id
"""


def add(con: "DuckDBPyConnection", hint: Learnt, known_from: datetime) -> None:
    """Let a hint point to the passage of each message that it cites with which it shares most terms, inside a step."""
    numbers = [*map(term_id, _terms(hint.text))]
    given = {"text": hint.text, "known_from": known_from, "terms": numbers, "sources": list(hint.sources)}
    con.execute(_ADD, given)


def found(con: "DuckDBPyConnection", asked: Asked, moment: AsOf) -> dict[int, int]:
    """Return the places that hints of the moment lead to, best first, each with its best hint's share of the question.

    That is the share of what the question's words weigh which the hint holds, in millionths.
    """
    total, shares = sum(asked.weights.values()), dict[int, int]()
    seen = [moment.seen_insight, moment.as_of and times.naive(moment.as_of)]
    for passage, text in con.execute(_SEEN, seen).fetchall():
        shared = asked.weights.keys() & _terms(text)
        if shared and asked.view.holds(passage):
            place = int(asked.view.places[passage])
            shares[place] = max(shares.get(place, 0), MILLION * sum(map(asked.weights.__getitem__, shared)) // total)
    return dict(sorted(shares.items(), key=lambda each: (-each[1], each[0]))[:MOST])


@lru_cache(maxsize=50_000)
def _terms(text: str) -> frozenset[str]:
    return frozenset(terms(text))

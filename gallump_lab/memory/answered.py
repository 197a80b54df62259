"""What the replies to earlier, similar questions rested on: a strong candidate when it is asked again."""

from typing import TYPE_CHECKING

from gallump_lab.lazy import np
from gallump_lab.memory.asked import Asked
from gallump_lab.memory.corpus import USER
from gallump_lab.memory.records import AsOf
from gallump_lab.memory.signals import MILLION
from gallump_lab.memory.text import terms
from gallump_lab.store import times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gallump_lab.memory.corpus import Places

SIMILAR = 0.8
"""A question is similar that holds so much of what this one's words weigh."""
ENOUGH = 3
"""A reply rests on a passage if so many of its terms are the passage's too, or a figure, and not the question's."""
_SHOWN = """
select s.item_id, m.text[p.start + 1 : p.stop], q.text, r.text from turns t join slots s using (turn_id)
join messages q on q.message_id = t.question_id join messages r on r.message_id = t.reply_id
join passages p on p.passage_id = s.item_id join messages m on m.message_id = p.message_id
where t.question_id in (select unnest($questions::bigint[])) and t.asked_at < $at and s.kept and s.kind = 'passage'
"""


def found(con: "DuckDBPyConnection", asked: Asked, places: "Places", moment: AsOf) -> dict[int, int]:
    """Return the places of what earlier replies rested on, a million each; nothing in a what-if.

    Parameters
    ----------
    places : array of int
        The passages among which similar questions are looked for.
    """
    view, held = asked.view, np.zeros(len(places))
    if moment.as_of is not None or not asked.found:
        return {}
    for each in asked.found:
        there = np.zeros(len(view), bool)
        there[each.places] = True
        held += each.idf * there[places]
    similar = (held >= SIMILAR * sum(each.idf for each in asked.found)) & (view.role[places] == USER)
    if not similar.any():
        return {}
    given = {"questions": view.message_id[places[similar]].tolist(), "at": times.naive(moment.at)}
    rested = set()
    for passage, said, question, reply in con.execute(_SHOWN, given).fetchall():
        shared = {*terms(said)} & {*terms(reply)} - {*terms(question)}
        if len(shared) >= ENOUGH or any(term[0].isdigit() for term in shared):
            rested.add(passage)
    return {int(view.places[passage]): MILLION for passage in sorted(rested) if view.holds(passage)}

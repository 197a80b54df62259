"""Past sessions at hand: find them, hand them on as Markdown, forget them for good."""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from gallump_lab.masking import masked
from gallump_lab.memory import ledger
from gallump_lab.memory.messages import TITLE
from gallump_lab.memory.records import check, whole
from gallump_lab.memory.text import one_line, shared, term_id, terms
from gallump_lab.reading.shown import to_markdown, unmarked
from gallump_lab.store import Catalogue, Store, query, times

if TYPE_CHECKING:
    import pandas as pd

BEFORE, BEHIND = 50, 100
"""About so many characters stand before and behind what a search found."""

_SESSIONS = """
with saying as (
    from postings join passages using (passage_id) join messages using (message_id)
    select session_id, term, text[start + 1 : stop] as said,
           row(count(*) over (partition by passage_id), passage_id) as much
    where term in (select unnest($terms::bigint[]))
),
matching as (
    select session_id, count(distinct term) as hits, arg_max(said, much) as found from saying group by session_id
)
select s.session_id, s.title, s.symbol, s.created_at, s.last_at, s.messages, s.continues,
       (select sum(cost_usd) from turns t where t.session_id = s.session_id) as cost_usd, m.found
from sessions s left join matching m using (session_id)
where s.messages > 0 and ($search = '' or m.hits = len($terms) or contains(lower(s.title), lower($search)))
order by s.last_at desc, s.rowid desc limit $limit
"""
_FORGET = """
update sessions set messages = messages - n, title = null
from (select session_id, count(*) as n from messages semi join gone using (message_id) group by session_id) g
where g.session_id = sessions.session_id;

update sessions set title = m.first
from (
    select session_id, arg_min({title}, message_id) as first from messages anti join gone using (message_id)
    where role = 'user' group by session_id
) m
where m.session_id = sessions.session_id and title is null;

delete from postings where passage_id in (select passage_id from passages semi join gone using (message_id));
delete from embeddings where passage_id in (select passage_id from passages semi join gone using (message_id));
delete from hints where passage_id in (  -- one may tell anything that its session had said
    select passage_id from passages join messages using (message_id)
    where session_id in (select session_id from messages semi join gone using (message_id))
);
delete from passages where message_id in (from gone);
delete from slots where message_id in (from gone)
or turn_id in (select turn_id from turns where question_id in (from gone));
update slots set outdated = null  -- a mark quotes what holds instead
where turn_id in (select turn_id from turns where question_id > (select min(message_id) from gone));

-- A turn stays as a row of figures, for what it cost was spent; nothing of what was said stays in it.
update turns set recommendations = '[]', dropped = '[]', fault = null where reply_id in (from gone);
update turns set market = '{}', watchlist = '[]' where question_id in (from gone);
delete from drafts where question_id in (from gone);
-- A rewritten question may tell anything that its session had said.
update turns set rewritten = null
where session_id in (select session_id from messages semi join gone using (message_id));
update distillings set refused = '[]', fault = null
where session_id in (select session_id from messages semi join gone using (message_id));

delete from insights where insight_id in (from alone);
delete from insight_labels where insight_id in (from alone);
delete from insight_events
where insight_id in (from alone) or superseded_by in (from alone) or other_id in (from alone);
update insights set sources = list_filter(sources, lambda source: not list_contains(ids, source))
from (select list(message_id) as ids from gone) where list_has_any(sources, ids);
update insight_events set sources = list_filter(sources, lambda source: not list_contains(ids, source))
from (select list(message_id) as ids from gone) where list_has_any(sources, ids);

delete from questions where question_id in (
    select question_id from (
        select question_id, message_id from labels group by all having arg_max(grade, rowid) > 0
    ) group by question_id having bool_and(message_id in (from gone))
) or (session_id, seen_message + 1, text) in (  -- asked in the chat
    select (session_id, message_id, text) from messages semi join gone using (message_id)
);
delete from labels where message_id in (from gone) or question_id not in (select question_id from questions);
delete from messages where message_id in (from gone);
drop table gone;
drop table alone
""".replace("{title}", TITLE)


def sessions(catalogue: Catalogue, search: str = "", limit: int = 50) -> "pd.DataFrame":
    """List sessions, the one of the newest message first.

    Parameters
    ----------
    search : str
        Only sessions that say all its words, in whatever form and order, or whose title holds it.
    limit : int
        At most so many.

    Returns
    -------
    pandas.DataFrame
        session_id, title, symbol, created_at and last_at (UTC), messages, continues (the session it goes on from, or
        missing), cost_usd (missing where no cost is known). With a search also `found`: what is said around its words
        where most of them stand together (missing where only the title holds it).
    """
    check(isinstance(search, str), "search", "words to look for", search)
    limit, about = whole(limit, "limit", 1), {*terms(search)}
    with catalogue.read() as con:
        given = {"terms": [*map(term_id, about)], "search": search.strip(), "limit": limit}
        found = query.table(con, _SESSIONS, given)
    for name in ("title", "found"):
        found[name] = found[name].map(masked, na_action="ignore")  # a lab may be older than masking
    around = found.pop("found")
    return found.assign(found=around.map(lambda text: _around(text, about), na_action="ignore")) if about else found


def _around(text: str, about: Collection[str]) -> str:
    """Return what a text says around the first of some terms, in whole words on a line."""
    text = one_line(unmarked(text))
    at = next((start for start, _ in shared(text, about)), 0)
    start = max(text.rfind(" ", 0, max(at - BEFORE, 0)) + 1, at - 2 * BEFORE, 0)
    stop = text.find(" ", at + BEHIND)
    stop = min(stop if stop >= 0 else len(text), at + 2 * BEHIND)
    return "\u2026" * (start > 0) + text[start:stop] + "\u2026" * (stop < len(text))


def markdown(catalogue: Catalogue, session_id: str, instead: Mapping[int, str] = MappingProxyType({})) -> str:
    """Return a session as a Markdown document: title, then every message with its speaker and time.

    Whoever previews it fetches nothing by it (`to_markdown`).

    `instead` are texts to show of some messages, by id: those with notes.

    Raises
    ------
    ValueError
        If there is no such session.
    """
    with catalogue.read() as con:
        session = con.execute(
            "select title, symbol, created_at, continues from sessions where session_id = ?", [session_id]
        ).fetchone()
        said = con.execute(
            "select coalesce(speaker, role), text, created_at, coalesce((select arg_max_null("
            "if(reply_id is null and t.state != 'complete', 'no reply, ' || t.state, null), turn_id) "
            "from turns t where question_id = message_id), state), message_id "
            "from messages where session_id = ? order by message_id",
            [session_id],
        ).fetchall()
    if session is None:
        msg = f"session_id {session_id!r} is not in this lab; lab.history() lists them."
        raise ValueError(msg)
    title, symbol, began, continues = session
    facts = [f"{began:%Y-%m-%d %H:%M} UTC", symbol and f"about {symbol}", continues and f"continues {continues}"]
    parts = [f"# {to_markdown(one_line(title or 'Session'))}", ", ".join(filter(None, facts))]
    for speaker, as_said, at, state, message_id in said:
        text = instead.get(message_id, as_said)
        broken = "" if state == "complete" else f", {state}"
        who = to_markdown(one_line(f"{speaker[:1].upper()}{speaker[1:]}"))
        parts += [f"**{who}** ({at:%Y-%m-%d %H:%M} UTC{broken})", to_markdown(text)]
    return masked("\n\n".join(parts)) + "\n"  # a lab may be older than masking


def forget(store: Store, now: datetime, *, message_id: int | None = None, session_id: str | None = None) -> int:
    """Delete a message, or a session with all its messages, for good.

    With the messages go their index rows, every slot that showed them, what their turns and distillings recorded of
    what was said, and the insights and labelled questions that rest on them alone. What a turn or distilling cost
    stays, and that the messages were there and when they were forgotten, so that a replay can say what is gone.
    What such an insight had superseded stands again. Importing a forgotten message again does not bring it back: a hash
    of it stays.

    Returns
    -------
    int
        How many messages were forgotten.

    Raises
    ------
    ValueError
        If neither or both are given, or there is no such message or session.
    """
    if (message_id is None) == (session_id is None):
        msg = f"Give a message_id or a session_id, not {message_id!r} and {session_id!r}."
        raise ValueError(msg)
    with store.write() as con:
        rows = con.execute(
            "select message_id from messages where message_id = ? or session_id = ?", [message_id, session_id]
        ).fetchall()
        gone = [i for (i,) in rows]
        if not gone and not con.execute("select 1 from sessions where session_id = ?", [session_id]).fetchone():
            what = f"message_id {message_id!r}" if session_id is None else f"session_id {session_id!r}"
            msg = f"{what} is not in this lab; lab.messages and lab.history() list what is."
            raise ValueError(msg)
        alone = [insight_id for insight_id, sources in ledger.cited(con).items() if sources and sources.issubset(gone)]
        for name, column, ids in (("gone", "message_id", gone), ("alone", "insight_id", alone)):
            con.execute(f"create or replace temp table {name} ({column} bigint)")
            con.execute(f"insert into {name} select unnest(?::bigint[])", [ids])
        con.execute("insert into forgotten select message_id, ? from gone", [times.naive(now)])
        con.execute(_FORGET)
        con.execute("delete from sessions where session_id = ?", [session_id])
    return len(gone)

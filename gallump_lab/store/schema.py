"""The tables and how they came to be: ordered migrations, each in one transaction, each recorded.

A migration that has been released is never edited; a change is a new one at the end. There are no foreign keys (updates
of list columns fail under them). Times are UTC, kept naive. Ids come from sequences, so that none is ever used twice;
tables stand in the order of their ids, so a look-up reads one row group and needs no index, for which commits pay.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from gallump_lab.store import times
from gallump_lab.store.errors import NewerLab, NotALab

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_FIRST = """
create sequence message_ids;
create sequence passage_ids;
create sequence turn_ids;
create sequence insight_ids;
create sequence insight_event_ids;
create sequence applied_ids;

create table sessions (
    session_id text primary key,
    created_at timestamp not null,      -- the first message's time
    last_at timestamp not null,         -- the newest message's time; the session ends 30 minutes after it
    messages integer not null,
    title text,                         -- from the first question
    symbol text                         -- of the first message that has one
);
create table messages (
    message_id bigint not null,         -- order of arrival
    session_id text not null,
    role text not null,                 -- user or assistant
    text text not null,
    symbol text,
    created_at timestamp not null,      -- the time it speaks of
    arrived_at timestamp not null,      -- when it came into the lab
    tokens integer not null,            -- cl100k_base
    state text not null                 -- complete, or why a reply is not: stopped, cut, refused, failed
);
create index messages_by_session on messages (session_id);

create table passages (
    passage_id bigint not null,         -- order of arrival
    message_id bigint not null,
    start integer not null,             -- characters of the message's text, from and to
    stop integer not null,
    tokens integer not null,            -- cl100k_base, as rendered in a prompt
    terms integer not null              -- BM25's document length
);
create table postings (
    term bigint not null,               -- 64-bit hash of the term
    passage_id bigint not null,
    frequency usmallint not null,
    terms integer not null              -- the passage's length, so that scoring needs no join
);
create table sorting (                  -- how far postings stand sorted by term, so that reading one scans little
    sorted_passage bigint not null,     -- up to this passage
    target_passage bigint not null,     -- and up to this one when the running pass is done
    slices integer not null,            -- of the running pass, and how many are done
    done integer not null
);
insert into sorting values (0, 0, 0, 0);

create table turns (
    turn_id bigint not null,
    session_id text not null,
    question_id bigint not null,        -- message ids
    reply_id bigint,
    asked_at timestamp not null,        -- the moment the context was taken
    seen_message bigint not null,
    seen_insight bigint not null,
    symbol text,
    watchlist json not null,
    market json not null,
    config_id text not null,
    token_factor double not null,       -- the model's tokens per cl100k token
    retrieval text not null,            -- version of analysis and embedding model
    template text not null,
    prompt_sha256 text not null,
    sections json not null,             -- the model's tokens by section, as estimated
    used json not null,                 -- and of the kept slots by tier
    model text not null,
    state text not null,                -- complete, stopped, cut, refused or failed
    stop_reason text,
    fault text,
    plain boolean,                      -- text alone: its usage teaches the token factor
    input_tokens bigint,
    output_tokens bigint,
    cache_read_tokens bigint,
    cache_write_tokens bigint,
    cost_usd double,
    latency double,                     -- seconds to the end of the reply
    first_text double,                  -- seconds to its first text
    recommendations json,
    dropped json                        -- why a recommendation was not valid
);
create table slots (
    turn_id bigint not null,
    tier text not null,
    rank integer not null,
    kind text not null,
    item_id bigint not null,
    message_id bigint,
    tokens integer not null,            -- the model's, as estimated
    score bigint not null,              -- millionths
    signals json not null,
    kept boolean not null,
    reason text not null
);

create table insights (
    insight_id bigint not null,
    kind text not null,
    symbol text,
    text text not null,
    sources bigint[] not null,          -- message ids
    valid_from timestamp not null,      -- the time it speaks of
    known_from timestamp not null,      -- when it was learnt
    distiller text not null
);
create table insight_events (
    event_id bigint not null,           -- order of arrival
    insight_id bigint not null,
    event text not null,                -- added or superseded
    superseded_by bigint,
    known_from timestamp not null,      -- the time it speaks of
    arrived_at timestamp not null
);

create table configs (config_id text primary key, toml text not null);
create table applied (applied_id bigint not null, config_id text not null, applied_at timestamp not null);
create table cache (key text primary key, value json not null, expires_at timestamp);
"""

_SECOND = """
alter table sessions add column continues text;         -- the ended session that it goes on from
alter table turns add column chosen json;               -- what the analyst pinned and excluded
create table drafts (                                   -- replies that are coming in; one that stays: its kernel died
    question_id bigint not null,
    session_id text not null,
    symbol text,
    text text not null,
    turn json not null,                                 -- the turn's columns as they are known so far
    slots json not null,
    owner text not null                                 -- the machine and process that writes it
);
create sequence decision_ids;
create table decisions (
    decision_id bigint not null,
    turn_id bigint not null,
    position integer not null,                          -- in the turn's recommendations, from 0
    symbol text not null,
    verdict text not null,                              -- accepted or rejected
    note text not null,
    decided_at timestamp not null
);
create table forgotten (message_id bigint not null, forgotten_at timestamp not null);
"""

_THIRD = """
alter table messages add column speaker text;           -- who spoke, by name
create table embeddings (                               -- what passages mean, as codes of signs and magnitudes
    model text not null,
    passage_id bigint not null,
    c0 ubigint not null, c1 ubigint not null, c2 ubigint not null, c3 ubigint not null,
    c4 ubigint not null, c5 ubigint not null, c6 ubigint not null, c7 ubigint not null
);
create table imported (                                 -- so that importing again adds nothing
    hash bigint not null,                               -- 64 bits of the message; stays when the message is forgotten
    source bigint,                                      -- 64 bits of its name in its source, to which evidence refers
    message_id bigint not null
);
create sequence question_ids;
create table questions (                                -- what recall is measured with
    question_id bigint not null,
    text text not null,
    answer text,                                        -- null: there is none
    kind text not null,
    asked_at timestamp not null,                        -- nothing that speaks of a later time may be used
    seen_message bigint not null,                       -- and nothing that arrived later
    session_id text,                                    -- the session in which it is asked
    symbol text,
    conversation text,                                  -- the cluster that it belongs to
    origin text not null,                               -- where it comes from: reader, human or silver
    arrived_at timestamp not null
);
create table labels (                                   -- which messages a question needs; the newest of a pair holds
    question_id bigint not null,
    message_id bigint not null,
    grade utinyint not null,                            -- 0 of no use, 1 on the subject, 2 helps, 3 evidence
    origin text not null,                               -- reader, human or silver
    labeller text not null,
    labelled_at timestamp not null
);
"""

_FOURTH = """
alter table applied rename to runs;                     -- what was put in force, when, and on which grounds
alter table runs rename column applied_id to run_id;
alter table runs add column study text;                 -- what found it: sweep, revert, ...; null: a person
alter table runs add column retriever text;
alter table runs add column data_hash text;             -- of the snapshot that it was found on
alter table runs add column figures json;               -- what was measured
alter table runs add column words text;
alter table runs add column version text;               -- of gallump_lab
"""

_FIFTH = """
alter table insights add column speaker text;           -- whose statement it is, by name
alter table insights add column attribute text;         -- what of its symbol or speaker it states, such as stop
alter table insights add column value text;             -- and what it states of that, in short
alter table insights add column valid_until timestamp;  -- until when it holds, where it says so
-- An insight's row stays as it is; what becomes of it are events: added, superseded, supported (by further sources),
-- disputed (by other_id), retired, restored, pinned, unpinned.
alter table insight_events add column other_id bigint;
alter table insight_events add column sources bigint[];
alter table insight_events add column note text;
create sequence distilling_ids;
create table distillings (                              -- which session was distilled, by whom, and what came of it
    distilling_id bigint not null,
    session_id text not null,
    distiller text not null,
    seen_message bigint not null,                       -- the session's newest message that was read
    began_at timestamp not null,
    state text not null,                                -- running, complete or failed
    owner text,                                         -- the machine and process that is at it
    insights integer,                                   -- new ones
    merged integer,                                     -- those that said no more than one that was there
    refused json,                                       -- why each of the others was not taken
    fault text,
    input_tokens bigint,
    output_tokens bigint,
    cost_usd double,
    latency double                                      -- seconds
);
create table insight_labels (                           -- what people think of insights; the newest of a labeller holds
    insight_id bigint not null,
    grade utinyint not null,                            -- 0 wrong, 1 of no use, 2 useful, 3 belongs in every prompt
    labeller text not null,
    labelled_at timestamp not null
);
"""

# DuckDB 2.0 could leave a message out of the index after a process had been killed; `Store` now keeps it from that.
_SIXTH = """
drop index messages_by_session;
create index messages_by_session on messages (session_id);
"""

_SEVENTH = """
alter table turns add column time_zone text;            -- whose days "today" and "last week" were, an IANA name
alter table drafts add column renewed_at timestamp;     -- by whoever is at it; a claim that is not renewed is nobody's
alter table distillings add column renewed_at timestamp;
"""

MIGRATIONS: tuple[tuple[str, str], ...] = (
    ("sessions, recall, turns, insights", _FIRST),
    ("continued sessions, choices, drafts, decisions, forgetting", _SECOND),
    ("speakers, embeddings, imports, questions, labels", _THIRD),
    ("runs", _FOURTH),
    ("living insights, distilling", _FIFTH),
    ("index of sessions made anew", _SIXTH),
    ("time zones, claims that are renewed", _SEVENTH),
)

_MIGRATIONS_TABLE = """
    select list(column_name order by column_index) from duckdb_columns()
    where database_name = current_database() and schema_name = 'main' and table_name = 'migrations'"""
_RECORDED = "select 1 from duckdb_tables() where database_name = current_database() and table_name = 'snapshot'"
_ANYTHING = """
    from (
        select database_name, internal from duckdb_tables() union all
        select database_name, internal from duckdb_views() union all
        select database_name, internal from duckdb_functions() union all
        select database_name, internal from duckdb_types() union all
        select database_name, internal from duckdb_schemas() union all
        select database_name, false from duckdb_sequences())
    where database_name = current_database() and not internal limit 1"""

_TRIGGERS = "select 'trigger', trigger_name from duckdb_triggers() where database_name = 'lab' union all"
_CODE = """
    select 'view', view_name from duckdb_views() where database_name = 'lab' and not internal union all
    select 'macro', function_name from duckdb_functions() where database_name = 'lab' and not internal union all
    select 'type', type_name from duckdb_types() where database_name = 'lab' and not internal union all
    select 'schema', schema_name from duckdb_schemas() where database_name = 'lab' and schema_name <> 'main' union all
    select 'computed column', column_name from duckdb_columns()
    where database_name = 'lab' and not internal and column_default is not null union all
    select 'condition', constraint_text from duckdb_constraints()
    where database_name = 'lab' and constraint_type = 'CHECK' union all
    select 'computed index', index_name from duckdb_indexes() where database_name = 'lab' and contains(sql, '((')
    limit 1"""


def refuse_code(con: "DuckDBPyConnection", path: Path) -> None:
    """See that the attached `lab` holds plain tables; what computes in a file that someone sent would run as ours.

    A view can stand where a table should, and a macro be called like a function that we call; so this must come before
    `use lab`, after which the file's names are looked up first.

    Raises
    ------
    NotALab
        If it holds anything that computes.
    """
    import duckdb

    found = con.execute(_CODE if duckdb.__version__ < "2" else _TRIGGERS + _CODE).fetchone()
    if found is not None:
        kind, name = found
        msg = (
            f"{path} is not a lab that can be trusted: it holds the {kind} {name!r:.80}, and a lab holds plain tables "
            "alone. If it is yours, drop that with DuckDB itself; the file is unchanged."
        )
        raise NotALab(msg)


def missing(con: "DuckDBPyConnection", path: Path) -> list[int]:
    """Return which migrations a file still needs.

    Raises
    ------
    NotALab
        If it is a DuckDB database without a lab's tables.
    NewerLab
        If it has migrations that this version does not know.
    """
    ours = con.execute(_MIGRATIONS_TABLE).fetchone() == (["number", "name", "applied_at"],)
    found = con.execute("select number, name from migrations order by number").fetchall() if ours else []
    if (found or con.execute(_ANYTHING).fetchone()) and found[:1] != [(1, MIGRATIONS[0][0])]:
        msg = f"{path} is a DuckDB database, but not a lab. Give another path; the file is unchanged."
        raise NotALab(msg)
    newest = found[-1][0] if found else 0
    if newest > len(MIGRATIONS):
        msg = (
            f"{path} was written by a newer gallump_lab (its tables are of version {newest}, this one knows "
            f"{len(MIGRATIONS)}). Upgrade gallump_lab; the file is unchanged."
        )
        raise NewerLab(msg)
    return list(range(newest + 1, len(MIGRATIONS) + 1))


def is_snapshot(con: "DuckDBPyConnection") -> bool:
    """Tell a saved snapshot from a lab."""
    return con.execute(_RECORDED).fetchone() is not None


def apply(con: "DuckDBPyConnection", number: int) -> None:
    """Run one migration, unless another process has done it meanwhile."""
    con.execute("create table if not exists migrations (number integer primary key, name text, applied_at timestamp)")
    if con.execute("select 1 from migrations where number = ?", [number]).fetchone():
        return
    name, script = MIGRATIONS[number - 1]
    con.execute(script)
    con.execute("insert into migrations values (?, ?, ?)", [number, name, times.naive(times.now())])

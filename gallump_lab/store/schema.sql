-- The tables of a lab. Times are UTC; `schema` holds the version that schema.py knows.
create table schema (version integer not null);

create sequence message_ids;
create sequence passage_ids;
create sequence turn_ids;
create sequence decision_ids;
create sequence insight_ids;
create sequence insight_event_ids;
create sequence distilling_ids;
create sequence question_ids;
create sequence run_ids;

create table sessions (
    session_id text primary key,
    created_at timestamp not null,      -- the first message's time
    last_at timestamp not null,         -- the newest message's time; the session ends 30 minutes after it
    messages integer not null,
    title text,                         -- from the first question
    symbol text,                        -- of the first message that has one
    continues text                      -- the ended session that it goes on from
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
    state text not null,                -- complete, or why a reply is not: stopped, cut, refused, failed
    speaker text                        -- who spoke, by name
);
create index messages_by_session on messages (session_id);
create table forgotten (message_id bigint not null, forgotten_at timestamp not null);
create table imported (                 -- so that importing again adds nothing
    hash bigint not null,               -- 64 bits of the message; stays when the message is forgotten
    source bigint,                      -- 64 bits of its name in its source, to which evidence refers
    message_id bigint not null
);

create table passages (
    passage_id bigint not null,         -- order of arrival
    message_id bigint not null,
    start integer not null,             -- characters of the message's text, from and to
    stop integer not null,
    tokens integer not null,            -- cl100k_base, as rendered in a prompt
    terms integer not null,             -- BM25's document length
    stated integer not null,            -- so many of them stand in what states something: neither question nor thanks
    traits utinyint not null            -- bits: 1 it holds figures, 2 it is a standing wish or rule
);
create table postings (
    term bigint not null,               -- 64-bit hash of the term
    passage_id bigint not null,
    frequency usmallint not null,       -- 32,768 more where it stands in nothing that states something
    terms integer not null              -- the passage's length, so that scoring needs no join
);
create table sorting (                  -- how far postings stand sorted by term, so that reading one scans little
    sorted_passage bigint not null,     -- up to this passage
    target_passage bigint not null,     -- unused
    slices integer not null,            -- unused
    done integer not null               -- whose turn it is to write, on a server (see remote.py)
);
create table embeddings (               -- what passages mean, as codes of signs and magnitudes
    model text not null,
    passage_id bigint not null,
    c0 ubigint not null, c1 ubigint not null, c2 ubigint not null, c3 ubigint not null,
    c4 ubigint not null, c5 ubigint not null, c6 ubigint not null, c7 ubigint not null
);

create table hints (                    -- what a model said of a passage, so that other words find it; never shown
    hint_id bigint not null,            -- order of arrival, among the ids of insight events
    passage_id bigint not null,
    text text not null,
    known_from timestamp not null       -- when it was learnt
);

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
    thinking_tokens bigint,             -- of output_tokens
    cost_usd double,
    latency double,                     -- seconds to the end of the reply
    first_text double,                  -- seconds to its first text
    thinking double,                    -- seconds for which the model thought
    answered text,                      -- who did, as the server says it
    sent json,                          -- beside the prompt: max_tokens, effort, without (what the server refuses)
    citations json,                     -- the reply's notes: of which item, and where in its text
    recommendations json,
    dropped json,                       -- why a recommendation was not valid
    chosen json,                        -- what the analyst pinned and excluded
    time_zone text,                     -- whose days "today" and "last week" were, an IANA name
    rewritten text,                     -- what recall looked for instead of the question as asked
    rewriting json                      -- what it took: tokens, seconds, and its USD, which cost_usd holds too
);
create table slots (                    -- the items of a turn's prompt
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
    reason text not null,
    outdated text,                      -- what holds instead of it, in words
    cited boolean,                      -- whether the reply cites it; null where nobody was asked to
    unconfirmed text                    -- how long ago a level in it was said last, in words
);
create table drafts (                   -- replies that are coming in; one that stays: its kernel died
    question_id bigint not null,
    session_id text not null,
    symbol text,
    text text not null,
    turn json not null,                 -- the turn's columns as they are known so far
    slots json not null,
    owner text not null,                -- the machine and process that writes it
    renewed_at timestamp                -- by whoever is at it; a claim that is not renewed is nobody's
);
create table decisions (
    decision_id bigint not null,
    turn_id bigint not null,
    position integer not null,          -- in the turn's recommendations, from 0
    symbol text not null,
    verdict text not null,              -- accepted or rejected
    note text not null,
    decided_at timestamp not null
);

create table insights (                 -- a row stays as it is; what becomes of it are events
    insight_id bigint not null,
    kind text not null,
    symbol text,
    text text not null,
    sources bigint[] not null,          -- message ids
    valid_from timestamp not null,      -- the time it speaks of
    known_from timestamp not null,      -- when it was learnt
    distiller text not null,
    speaker text,                       -- whose statement it is, by name
    attribute text,                     -- what of its symbol or speaker it states, such as stop
    value text,                         -- and what it states of that, in short
    valid_until timestamp               -- until when it holds, where it says so
);
create table insight_events (
    event_id bigint not null,           -- order of arrival
    insight_id bigint not null,
    event text not null,                -- added, superseded, supported, disputed, retired, restored, pinned, unpinned
    superseded_by bigint,
    known_from timestamp not null,      -- the time it speaks of
    arrived_at timestamp not null,
    other_id bigint,                    -- who disputes it
    sources bigint[],                   -- further ones that support it
    note text
);
create table insight_labels (           -- what people think of insights; the newest of a labeller holds
    insight_id bigint not null,
    grade utinyint not null,            -- 0 wrong, 1 of no use, 2 useful, 3 belongs in every prompt
    labeller text not null,
    labelled_at timestamp not null
);
create table distillings (              -- which session was distilled, by whom, and what came of it
    distilling_id bigint not null,
    session_id text not null,
    distiller text not null,
    seen_message bigint not null,       -- the session's newest message that was read
    began_at timestamp not null,
    state text not null,                -- running, complete or failed
    owner text,                         -- the machine and process that is at it, or the batch that it waits in
    insights integer,                   -- new ones
    merged integer,                     -- those that said no more than one that was there
    refused json,                       -- why each of the others was not taken
    fault text,
    input_tokens bigint,
    output_tokens bigint,
    cost_usd double,
    latency double,                     -- seconds
    renewed_at timestamp
);

create table questions (                -- what recall is measured with
    question_id bigint not null,
    text text not null,
    answer text,                        -- null: there is none
    kind text not null,
    asked_at timestamp not null,        -- nothing that speaks of a later time may be used
    seen_message bigint not null,       -- and nothing that arrived later
    session_id text,                    -- the session in which it is asked
    symbol text,
    conversation text,                  -- the cluster that it belongs to
    origin text not null,               -- where it comes from: reader, human or silver
    arrived_at timestamp not null
);
create table labels (                   -- which messages a question needs; the newest of a pair holds
    question_id bigint not null,
    message_id bigint not null,
    grade utinyint not null,            -- 0 of no use, 1 on the subject, 2 helps, 3 evidence
    origin text not null,               -- reader, human or silver
    labeller text not null,
    labelled_at timestamp not null,
    outdated boolean                    -- true: it states what isn't or is no longer so, and must not be taken for it
);

create table configs (config_id text primary key, toml text not null);
create table runs (                     -- what was put in force, when, and on which grounds
    run_id bigint not null,
    config_id text not null,
    applied_at timestamp not null,
    study text,                         -- what found it: sweep, revert, ...; null: a person
    retriever text,
    data_hash text,                     -- of the snapshot that it was found on
    figures json,                       -- what was measured
    words text,
    version text                        -- of gallump_lab
);
create table bars (                     -- whole days of live sources, as traded; none is ever taken away
    source text not null,
    symbol text not null,
    currency text not null,
    day date not null,                  -- the exchange's
    open double, high double, low double, close double not null,
    volume double,
    split double not null,              -- 2 on the day of a two-for-one split, else 1
    dividend double not null            -- per share, on the ex-date
);
create table cache (key text primary key, value json not null, expires_at timestamp);

"""What a lab holds as one hash: the same data give the same one, on any machine and in whatever order they lie on disk.

A row's digest is the SHA-256 of its columns that are not null, each as `name=value`, a text with its length before it.
A table's is that of its rows' digests in ascending order. So a table or column that a later version adds changes
nothing while it is empty. Nothing rests on DuckDB's own hash or on how it prints times and floating-point numbers.
"""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DATA: Mapping[str, str] = {
    "configs": "select * from configs",
    "decisions": "select * from decisions",
    "forgotten": "select * from forgotten",
    "insight_events": "select * exclude (arrived_at) from insight_events",
    "insight_labels": "select * exclude (labelled_at), "
    "row_number() over (partition by insight_id, labeller order by rowid) as number from insight_labels",
    "insights": "select * from insights",
    # The newest label of a pair holds, so their order counts, and not the time at which a dataset was read.
    "labels": "select * exclude (labelled_at), "
    "row_number() over (partition by question_id, message_id order by rowid) as number from labels",
    "messages": "select * exclude (arrived_at) from messages",
    "questions": "select * exclude (arrived_at) from questions",
    "runs": "select config_id as in_force from runs order by run_id desc limit 1",
    "sessions": "select * from sessions",
    "slots": "select * from slots",
    "turns": "select * from turns",
}
"""What counts of each table, as a query. The search index, drafts, the cache, past runs and the record
of distilling do not: what is said and known is the same without them."""
BESIDES = frozenset(
    {"cache", "distillings", "drafts", "embeddings", "imported", "migrations", "passages", "postings", "sorting"}
)
"""The tables that do not count at all."""
_TABLES = "select table_name from duckdb_tables() where database_name = current_database()"


def digest(con: "DuckDBPyConnection") -> str:
    """Hash all that a lab holds: 64 hexadecimal digits. A million messages take a few seconds."""
    found = hashlib.sha256()
    there = {name for (name,) in con.execute(_TABLES).fetchall()}
    for name, query in DATA.items():
        if name not in there:  # a file of an older version
            continue
        columns = con.execute(f"describe {query}").fetchall()
        row = ", ".join(_named(column, kind) for column, kind, *_ in columns)
        (rows,) = con.execute(
            "select sha256(string_agg(digest, '' order by digest)) "  # noqa: S608 (constants, and quoted names)
            f"from (select sha256(concat({row})) as digest from ({query}))"
        ).fetchone() or (None,)
        found.update(f"{name} {rows}\n".encode() if rows else b"")
    return found.hexdigest()


def _named(column: str, kind: str) -> str:
    """Return the SQL of a column's part of its row: null for null."""
    value, name = '"' + column.replace('"', '""') + '"', column.replace("'", "''")
    if kind in {"VARCHAR", "JSON"}:
        return f"'{name}=' || strlen({value}::text) || ':' || {value} || ' '"
    if kind.startswith("TIMESTAMP"):
        value = f"epoch_us({value})"
    elif kind in {"DOUBLE", "FLOAT"}:
        value = f"format('{{:.17g}}', {value})"
    elif kind.endswith("[]"):
        value = f"array_to_string({value}, ',')"
    return f"'{name}=' || {value} || ' '"

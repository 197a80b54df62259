"""The tables of a lab, and what is recognized as one.

There are no foreign keys (updates of list columns fail under them). Times are UTC, kept naive. Ids come from sequences,
so that none is ever used twice; tables stand in the order of their ids, so a look-up reads one row group and needs no
index, for which commits pay.
"""

from pathlib import Path

from gallump_lab.lazy import duckdb
from gallump_lab.store.errors import NotALab, OtherVersion

VERSION = 4
"""Of the tables in schema.sql. What changes one after the first release raises it and comes with a migration."""

_THERE = """
    select table_name from duckdb_tables() where database_name = current_database() union all
    select sequence_name from duckdb_sequences() where database_name = current_database()"""
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


def create(con: "duckdb.DuckDBPyConnection") -> None:
    """Create a lab's tables in an empty database, in the caller's transaction."""
    con.execute(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"))
    con.execute("insert into schema values (?)", [VERSION])
    con.execute("insert into sorting values (0, 0, 0, 0)")


def refuse_code(con: "duckdb.DuckDBPyConnection", path: Path) -> None:
    """Refuse an attached `lab` that holds more than plain tables.

    What computes in a file that someone sent would run as ours: a view can stand where a table should, and a macro be
    called like a function that we call. So this must come before `use lab`, after which the file's names are looked up
    first.

    Raises
    ------
    NotALab
        If it holds anything that computes.
    """
    found = con.execute(_CODE if duckdb.__version__ < "2" else _TRIGGERS + _CODE).fetchone()
    if found is not None:
        kind, name = found
        msg = (
            f"{path} is not a lab that can be trusted: it holds the {kind} {name!r:.80}, and a lab holds plain tables "
            "alone. If it is yours, drop that with DuckDB itself; the file is unchanged."
        )
        raise NotALab(msg)


def recognize(con: "duckdb.DuckDBPyConnection", path: Path) -> bool:
    """Return whether a database, which holds plain tables alone, is a lab of this version; False where it is empty.

    Raises
    ------
    NotALab
        If it holds something else than a lab's tables.
    OtherVersion
        If it is a lab whose tables are of another version.
    """
    there = {name for (name,) in con.execute(_THERE).fetchall()}
    if not there:
        return False
    if not there >= {"messages", "sessions", "schema"}:
        msg = f"{path} is a DuckDB database, but not a lab. Give another path; the file is unchanged."
        raise NotALab(msg)
    (version,) = con.execute("select coalesce(max(version), 0) from schema").fetchone() or (0,)
    if version != VERSION:
        mend = "Upgrade gallump_lab" if version > VERSION else "Use the gallump_lab that wrote it"
        msg = f"{path} has tables of version {version}; this gallump_lab has {VERSION}. {mend}; the file is unchanged."
        raise OtherVersion(msg)
    return True


def is_snapshot(con: "duckdb.DuckDBPyConnection") -> bool:
    """Return whether a database is a saved snapshot."""
    return ("snapshot",) in con.execute(_THERE).fetchall()

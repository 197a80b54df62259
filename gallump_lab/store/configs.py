"""Configurations in a lab, each once, and the one in force."""

from dataclasses import replace
from typing import TYPE_CHECKING

from gallump_lab.config import Config

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def stored(config: Config) -> Config:
    """Return a configuration as a lab keeps it: without base URL, so that a file never decides where a key is sent."""
    return replace(config, model=replace(config.model, base_url=None))


def keep(con: "DuckDBPyConnection", config: Config) -> str:
    """Write a configuration into the lab, once, inside the caller's transaction; give its id."""
    kept = stored(config)
    if not con.execute("select 1 from configs where config_id = ?", [kept.id]).fetchone():
        con.execute("insert into configs values (?, ?)", [kept.id, kept.to_toml()])
    return kept.id


def applied(con: "DuckDBPyConnection", before: int | None = None) -> Config:
    """Return the configuration that was put in force last, or last before a run; the defaults if none was."""
    found = con.execute(
        "select toml from runs join configs using (config_id) where run_id < coalesce(?, run_id + 1) "
        "order by run_id desc limit 1",
        [before],
    ).fetchone()
    return Config.from_toml(found[0]) if found else Config()

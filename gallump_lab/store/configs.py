"""Configurations in a lab: each once, and which was put in force when."""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from gallump_lab.config import Config, ConfigError
from gallump_lab.store import times
from gallump_lab.store.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def stored(config: Config) -> Config:
    """Give a configuration as a lab keeps it: without base URL, so that a file never decides where a key is sent."""
    return replace(config, model=replace(config.model, base_url=None))


def keep(con: "DuckDBPyConnection", config: Config) -> str:
    """Write a configuration into the lab, once, inside the caller's transaction; give its id."""
    kept = stored(config)
    if not con.execute("select 1 from configs where config_id = ?", [kept.id]).fetchone():
        con.execute("insert into configs values (?, ?)", [kept.id, kept.to_toml()])
    return kept.id


def apply(store: Store, config: Config, now: datetime) -> None:
    """Put a configuration in force for every notebook that uses the lab.

    Raises
    ------
    ConfigError
        If it is not a Config.
    """
    if not isinstance(config, Config):
        msg = f"config must be a gallump_lab.Config, not {config!r}; Config.from_toml reads one from text."
        raise ConfigError(msg)
    with store.write() as con:
        con.execute("insert into applied values (nextval('applied_ids'), ?, ?)", [keep(con, config), times.naive(now)])


def applied(con: "DuckDBPyConnection") -> Config:
    """Give the configuration that was put in force last; the defaults if none was."""
    found = con.execute(
        "select toml from applied join configs using (config_id) order by applied_id desc limit 1"
    ).fetchone()
    return Config.from_toml(found[0]) if found else Config()

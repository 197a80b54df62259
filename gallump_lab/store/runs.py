"""Configurations in a lab, each once, and runs: which was put in force when, and on which grounds.

Reverting a run is a run, too.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from gallump_lab.config import Config, ConfigError
from gallump_lab.lazy import pd
from gallump_lab.store import query, times
from gallump_lab.store.snapshot import Catalogue
from gallump_lab.store.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

GROUNDS = ("study", "retriever", "data_hash", "figures", "words")
"""What a run may say of how its configuration was found."""

_ALL = """
select run_id, applied_at, study, retriever, config_id, lag(config_id) over (order by run_id) as before,
       words, figures::text as figures, data_hash, version
from runs order by run_id
"""
_ONE = """
select run_id, study, toml, data_hash, figures::text from runs join configs using (config_id)
where run_id = coalesce(?, (select max(run_id) from runs))
"""


def stored(config: Config) -> Config:
    """Return a configuration as a lab keeps it: without base URL, so that a file never decides where a key is sent."""
    return replace(config, model=replace(config.model, base_url=None)) if config.model.base_url else config


def keep(con: "DuckDBPyConnection", config: Config) -> str:
    """Write a configuration into the lab, once, inside the caller's transaction; give its id."""
    kept = stored(config)
    if con.execute("select 1 from configs where config_id = ?", [kept.id]).fetchone() is None:
        con.execute("insert or ignore into configs values (?, ?)", [kept.id, kept.to_toml()])
    return kept.id


def applied(con: "DuckDBPyConnection", before: int | None = None) -> Config:
    """Return the configuration that was put in force last, or last before a run; the defaults if none was."""
    found = con.execute(
        "select max_by(toml, run_id) from runs join configs using (config_id) where run_id < coalesce(?, run_id + 1)",
        [before],
    ).fetchone()
    return read((found and found[0]) or "")


read = lru_cache(maxsize=64)(Config.from_toml)
"""Read a configuration from its TOML."""


class InForce:
    """The configuration that one object works with: the one it was given, or else what is applied in its lab.

    Parameters
    ----------
    given : Config, optional
        Holds until another one is applied. Its base URL holds for this object alone: a lab file never decides where a
        key is sent.
    """

    def __init__(self, given: Config | None = None) -> None:
        self._given = None if given is None else wanted(given)
        self.base_url = given.model.base_url if given else None
        self.last = given or Config()
        """The one that was in force when it was last asked for."""

    def __call__(self, con: "DuckDBPyConnection") -> Config:
        """Return it, inside a step on the lab."""
        if self._given is not None:
            return self._given
        found = applied(con)
        if self.base_url:
            found = replace(found, model=replace(found.model, base_url=self.base_url))
        self.last = found
        return found

    def forget(self, applied: Config) -> None:
        """Work with what is applied from now on, at the base URL as before where it names none."""
        self.base_url = applied.model.base_url or self.base_url
        self._given, self.last = None, applied


class Applicable(Protocol):
    """A configuration that a study found."""

    @property
    def config(self) -> Config:
        """What to put in force."""
        ...

    @property
    def run(self) -> Mapping[str, Any]:
        """How it was found: any of `GROUNDS` by name; `figures` is JSON."""
        ...


def wanted(found: Config | Applicable) -> Config:
    """Return the configuration of what was found.

    Raises
    ------
    ConfigError
        If it is neither a Config nor has one.
    """
    config = getattr(found, "config", found)
    if not isinstance(config, Config):
        msg = f"config must be a gallump_lab.Config, not {found!r}; Config.from_toml reads one from text."
        raise ConfigError(msg)
    return config


def apply(store: Store, found: Config | Applicable, now: datetime, *, force: bool = False) -> None:
    """Put a configuration in force for every notebook that uses the lab, and record the run.

    Raises
    ------
    ConfigError
        If it is neither a Config nor has one.
    ValueError
        If what was found says itself what speaks `against` it and it is not forced.
    """
    config, against = wanted(found), getattr(found, "against", "")
    if against and not force:
        msg = f"Nothing was put in force. {against} lab.apply(..., force=True) does it all the same."
        raise ValueError(msg)
    grounds = dict(getattr(found, "run", {}))
    if grounds.get("figures") is not None:
        text = json.dumps(grounds["figures"], default=float)
        grounds["figures"] = json.dumps(json.loads(text, parse_constant=lambda _: None))  # NaN is no JSON
    from importlib.metadata import version  # takes a while

    with store.write() as con:
        con.execute(
            "insert into runs (run_id, config_id, applied_at, version, study, retriever, data_hash, figures, words) "
            "values (nextval('run_ids'), ?, ?, ?, ?, ?, ?, ?, ?)",
            [keep(con, config), times.naive(now), version("gallump-lab"), *map(grounds.get, GROUNDS)],
        )


def table(catalogue: Catalogue) -> "pd.DataFrame":
    """List what was put in force, oldest first.

    Returns
    -------
    pandas.DataFrame
        run_id, applied_at (UTC), study (missing: a person), retriever, config_id, before (the id of what was in force
        until then; missing: the defaults), words, figures (a dict, or missing), data_hash and version.
    """
    with catalogue.read() as con:
        found = query.table(con, _ALL)
    found["figures"] = [json.loads(text) if isinstance(text, str) else None for text in found["figures"]]
    return found


def compare(catalogue: Catalogue, a: int, b: int | None = None) -> "pd.DataFrame":
    """Show in what the configurations of two runs differ, and beside that the figures that each rests on.

    Parameters
    ----------
    a, b : int
        Run ids; `b` is the newest by default.

    Returns
    -------
    pandas.DataFrame
        setting, before (run `a`) and after (run `b`): a row for every setting that differs, for `data_hash` if it does,
        and for every one of the figures.

    Raises
    ------
    ValueError
        If there is no such run.
    """
    with catalogue.read() as con:
        runs = [_run(con, each) for each in (a, b)]
    before, after = (
        dict(_leaves(Config.from_toml(toml)))
        | {"data_hash": data}
        | dict(_leaves(json.loads(figures or "{}"), "figures"))
        for _, _, toml, data, figures in runs
    )
    rows = [(name, before.get(name), after.get(name)) for name in before | after]
    shown = [row for row in rows if row[0].startswith("figures") or row[1] != row[2]]
    return pd.DataFrame(shown, columns=["setting", "before", "after"], dtype=object)


@dataclass(frozen=True, kw_only=True)
class Before:
    """What was in force before a run; `apply` takes it."""

    config: Config
    run: Mapping[str, Any]


def before(catalogue: Catalogue, run_id: int | None = None) -> Before:
    """Return what was in force before a run, the newest by default, to be applied again.

    Raises
    ------
    ValueError
        If there is no such run.
    """
    with catalogue.read() as con:
        number, study, *_ = _run(con, run_id)
        config = applied(con, before=number)
    words = f"What was in force before run {number}" + (f" ({study})" if study else "")
    return Before(config=config, run={"study": "revert", "words": words})


def _run(con: "DuckDBPyConnection", run_id: int | None) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = con.execute(_ONE, [run_id]).fetchone()
    if found is None:
        msg = f"run_id {run_id!r} is not in this lab; lab.runs lists them."
        if run_id is None:
            msg = "Nothing was ever applied in this lab, so there is nothing to compare or to take back."
        raise ValueError(msg)
    return found


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return every single value inside records and mappings, by its path."""
    if is_dataclass(value):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if not isinstance(value, Mapping):
        yield prefix, value
        return
    for name, inner in value.items():
        yield from _leaves(inner, f"{prefix}.{name}" if prefix else str(name))

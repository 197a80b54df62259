"""A frozen copy of a lab in memory, with its content's hash: it locks no file, and later talk does not change it."""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gallump_lab.store import files, query, schema
from gallump_lab.store.errors import DamagedFile, NotALab, StoreError, translated
from gallump_lab.store.locks import Instance
from gallump_lab.store.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

DATA: Mapping[str, str] = {
    "configs": "select * from configs",
    "decisions": "select * from decisions",
    "forgotten": "select * from forgotten",
    "hints": "select * from hints",
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
"""What counts of each table, as a query. The search index, drafts, bars, the cache, past runs and the record
of distilling do not: what is said and known is the same without them."""


class Snapshot:
    """What a lab held at one moment; `lab.snapshot()` makes it.

    Attributes
    ----------
    source : Path
        The lab it was taken of, or the file it was loaded from.
    model : str or None
        Who answered in the lab then, whose tokens its budgets are in; None where that was not said.

    Examples
    --------
    >>> snap = lab.snapshot()
    >>> snap.save("study.duckdb")
    >>> Snapshot.load("study.duckdb").hash == snap.hash
    True
    """

    wait = 10.0

    def __init__(self, copy: Instance, source: Path, model: str | None = None) -> None:
        self._copy: Instance | None = copy
        self._file: Path | None = None
        self._gone: weakref.finalize[..., Any] | None = None
        self.source, self.model = source, model

    @classmethod
    def take(cls, store: Store, model: str | None = None) -> Self:
        """Copy a lab into memory in one step; `model` is who answers there.

        Raises
        ------
        StoreError
            If the lab cannot be read.
        """
        copy = Instance()
        store.copy(copy)
        return cls(copy, store.path, model)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        StoreError
            If it is no snapshot, was written by another version, or does not hold what its hash says.
        """
        store = Store(files.place(path))
        if not store.path.exists():
            msg = f"There is no file {store.path}. Give the path that snapshot.save(path) wrote to."
            raise FileNotFoundError(msg)
        copy = Instance()
        with store.lend(copy) as con:
            if not schema.recognize(con, store.path) or not schema.is_snapshot(con):
                msg = f"{store.path} is a lab and not a saved snapshot of one: Lab.open(path).snapshot() takes one."
                raise NotALab(msg)
            con.execute("copy from database lab to memory")
        with copy.cursor() as con:
            recorded, model = con.execute("from snapshot").fetchone() or ("", None)
            found = digest(con)
        if recorded != found:
            msg = (
                f"{store.path} does not hold what was saved: its content's hash is {found[:16]}, not the recorded "
                f"{recorded[:16]}. It was changed or damaged; get another copy."
            )
            raise DamagedFile(msg)
        return cls(copy, store.path, model)

    @cached_property
    def hash(self) -> str:
        """The content's hash: 64 hexadecimal digits, the same for the same data on any machine.

        It changes with messages, insights, turns, questions, labels and configurations, and not with the search index,
        the cache, drafts, or the time at which a thing was imported.
        """
        with self.read() as con:
            return digest(con)

    def save(self, path: str | Path) -> Path:
        """Write the snapshot to one new file, whole or not at all, for `Snapshot.load` on any machine.

        Raises
        ------
        FileExistsError
            If something stands at `path` already.
        StoreError
            If it cannot be written, or the snapshot is closed.
        """
        target, found = files.place(path), self.hash
        with files.fresh(target, "snapshot") as draft, translated(target):
            sql = "create or replace table snapshot as select ? as hash, ?::varchar as model"
            self._held.cursor().execute(sql, [found, self.model])
            self._held.save(draft)
        return target

    @contextmanager
    def read(self) -> Iterator["DuckDBPyConnection"]:
        """Return a connection to the copy inside one read-only transaction, as long as need be.

        Raises
        ------
        StoreError
            If the snapshot is closed.
        """
        with translated(self.source), self._held.cursor() as con:
            con.execute("begin transaction read only")
            yield con

    @property
    def elsewhere(self) -> tuple[Path, str | None]:
        """A file with the same, for another process; it goes with this object."""
        if self._file is None or not self._file.exists():
            folder = tempfile.mkdtemp(prefix="gallump-snapshot-")
            self._gone = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            file = Path(folder).resolve() / "snapshot.duckdb"
            self._held.save(file)
            self._file = file
        return self._file, None

    @property
    def _held(self) -> Instance:
        if self._copy is None:
            msg = f"This snapshot of {self.source} is closed. Take another: lab.snapshot()."
            raise StoreError(msg)
        return self._copy

    def sql(self, sql: str, params: query.Params = None) -> "pd.DataFrame":
        """Run one reading statement on the copy, however long it takes; see `gallump_lab.store.frame`."""
        return query.frame(self, sql, params)

    def close(self) -> None:
        """Free the memory; the snapshot cannot be read after that."""
        if self._copy is not None:
            self._copy.close()
        if self._gone is not None:
            self._gone()
        self._copy = self._file = None

    def __repr__(self) -> str:
        """Name the lab it was taken of."""
        return f"<Snapshot of {self.source.name}>"


Catalogue = Store | Snapshot
"""Whatever can be read like a lab: the file itself or a snapshot of it."""


def digest(con: "DuckDBPyConnection") -> str:
    """Hash all that a lab holds: 64 hexadecimal digits. A million messages take a few seconds.

    A row's digest is the SHA-256 of its columns that are not null, each as `name=value`, a text with its length before
    it. A table's is that of its rows' digests in ascending order. So it is the same in whatever order rows lie on disk,
    and a column that a later version adds changes nothing while it is empty. Nothing rests on DuckDB's own hash or on
    how it prints times and floating-point numbers.
    """
    found = hashlib.sha256()
    for name, counted in DATA.items():
        columns = con.execute(f"describe {counted}").fetchall()
        row = ", ".join(_named(column, kind) for column, kind, *_ in columns)
        (rows,) = con.execute(
            "select sha256(string_agg(digest, '' order by digest)) "  # noqa: S608 (constants, and quoted names)
            f"from (select sha256(concat({row})) as digest from ({counted}))"
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

"""A lab that a server holds for a team: the same steps as on a file, each an attachment to the server."""

import contextlib
import hashlib
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gallump_lab import secrets as masking
from gallump_lab.store import far, schema
from gallump_lab.store.errors import LabBusy, QueryRefused, StoreError, told
from gallump_lab.store.far import Far, NoServer
from gallump_lab.store.instance import Instance
from gallump_lab.store.store import Store

if TYPE_CHECKING:
    import duckdb
    from duckdb import DuckDBPyConnection

SOON = 5.0
"""Seconds after which an address that has never answered is given up."""
_LET_GO = re.compile(r"Invalid Input Error: Invalid connection id")
_REFUSED = re.compile(r"Invalid Input Error: Authentication failed")
_FORBIDDEN = re.compile(r"Invalid Input Error: Authorization failed")
_CONFLICT = re.compile(r"[Cc]onflict on (update|tuple)|[Ww]rite-write conflict|Transaction conflict")
_SECURE = (
    " Every address but this machine's is spoken to by HTTPS: a reverse proxy with TLS must stand before the server, "
    "or an ssh tunnel lead to it (quack:127.0.0.1:port)."
)
# One writer at a time, as on a file, so that what a step sees holds until it has written. Whoever changes a row holds
# it to the end of the transaction, even if it is soon what it was; and nobody changes what has been changed meanwhile.
_TURN = "update sorting set done = -1 - done; update sorting set done = -1 - done"
_ATTACHED = "select 1 from duckdb_databases() where database_name = 'lab'"
_TABLES = "select table_name from duckdb_tables() where database_name = current_database() order by table_name"
_SEQUENCES = "select sequence_name, last_value from duckdb_sequences() where database_name = current_database()"


class Remote(Store):
    """A lab on a server, which `gallump-lab serve` started; its file belongs to the server meanwhile.

    Parameters
    ----------
    path : Path
        The server's address, quack:host:port.
    token : str
        What the server asks for; it is kept in memory alone.
    wait : float
        Seconds that a step tries while another client writes or the server is away.
    """

    exclusive = False

    def __init__(self, path: Path, *, token: str, wait: float = 10.0) -> None:
        # What is attached with one token is not another's to use.
        super().__init__(path, wait=wait, key=path / hashlib.sha256(token.encode()).hexdigest())
        self._token = token
        masking.keep(token)

    @contextmanager
    def read(self) -> Iterator["DuckDBPyConnection"]:
        """Return a connection to the lab inside one transaction, which sees it as it is at one moment.

        Raises
        ------
        StoreError
            If the server cannot be used.
        """
        with self.lend(self._file.instance) as con:
            yield con

    @contextmanager
    def write(self) -> Iterator["DuckDBPyConnection"]:
        """Return a connection to the lab inside one transaction; it is committed at the end or, after an error, undone.

        Raises
        ------
        StoreError
            LabBusy if others write for the whole wait; NoServer, with a note where the step may have been written.
        """
        with self.lend(self._file.instance, write=True) as con:
            yield con

    @property
    def elsewhere(self) -> tuple[Path, str | None]:
        """Where another process finds the lab."""
        return self.path, self._token

    @contextmanager
    def sealed(self) -> Iterator["DuckDBPyConnection"]:
        """Return a connection that only reads; what else it could reach, the server has shut off.

        Raises
        ------
        StoreError
            As `read`.
        """
        with self.lend(self._file.instance, begin="begin transaction read only") as con:
            yield con

    @contextmanager
    def lend(
        self, instance: Instance, *, write: bool = False, begin: str = "begin transaction"
    ) -> Iterator["DuckDBPyConnection"]:
        """Return a connection to the server's `lab` for one step and one transaction; a writing one waits for its turn.

        The process's own instance stays attached, so that a step takes few messages to and fro.

        Raises
        ------
        StoreError
            As `write`.
        """
        with self._turn() as deadline, self._said(), told(self.path):
            near = instance.cursor()
            instance.clean = False
            try:
                con = self._begun(near, deadline, f"{begin}; {_TURN}" if write else begin)
                yield cast("DuckDBPyConnection", con)  # the few of its calls that steps use
                try:
                    con.execute("commit" if write else "rollback")
                except BaseException as error:
                    if write:
                        error.add_note(f"The step on {self.path} may have been written: look before you repeat it.")
                    raise
                if instance is not self._file.instance:
                    near.execute("detach lab")
                instance.clean = True
            finally:
                near.close()
                if not instance.clean:
                    instance.close()  # the server hears of it and undoes the step

    def _copy(self, con: "DuckDBPyConnection", database: str) -> None:
        """Make a lab's tables in a local database and fill them, over one transaction on the server."""
        near = cast("Far", con).near
        near.execute("set threads = 1")  # with one stream a table keeps its order
        near.execute(f"use {database}")
        for number in range(1, len(schema.MIGRATIONS) + 1):
            schema.apply(near, number)
        for (name,) in near.execute(_TABLES).fetchall():
            near.execute(f"delete from {name}")  # noqa: S608 (the schema's own names)
            near.execute(f"insert into {name} {far.ASK}", [f"from {name} order by rowid"])
        for name, last in con.execute(_SEQUENCES).fetchall():
            near.execute("select max(nextval(?)) from range(?)", [name, last or 0])
        near.execute("use memory")
        near.execute("reset threads")

    def _begun(self, near: "DuckDBPyConnection", deadline: float, opening: str) -> Far:
        """Begin a step on the server, and attach it if it is not yet, or not any more; try until the deadline."""
        import duckdb

        con, begun = Far(near), time.monotonic()
        attached = near.execute(_ATTACHED).fetchone() is not None
        while True:
            try:
                if not attached:
                    self._attach_server(near)
                con.execute(opening)
            except duckdb.Error as error:
                busy, now = _CONFLICT.search(str(error)) is not None, time.monotonic()
                if not busy and not _LET_GO.match(str(error)) and not isinstance(error, duckdb.IOException):
                    raise
                if now >= deadline and busy:
                    raise LabBusy(self.path, None, now - begun, served=True) from error
                if now >= deadline:
                    raise
                attached = busy
                with contextlib.suppress(duckdb.Error):
                    near.execute(*((far.ASK, ["rollback"]) if busy else ("detach lab",)))
            else:
                return con
            time.sleep(random.uniform(0.002, 0.02))  # noqa: S311 (spreads the tries of several clients)

    def _attach_server(self, near: "DuckDBPyConnection") -> None:
        far.load(near)
        near.execute("create or replace secret lab (type quack, token ?, scope ?)", [self._token, str(self.path)])
        near.execute(f"attach '{self.path}' as lab (type quack)")  # an address has no quote
        Far(near).execute("use lab")

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Raise what is wrong with the server as ours."""
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            mine = self._translated(error)
            if mine is None:
                raise
            raise mine from None  # the error beneath may quote what was sent

    def _translated(self, error: "duckdb.Error") -> StoreError | None:
        import duckdb

        mine: StoreError
        if _FORBIDDEN.match(str(error)):
            return QueryRefused("sql reads the lab's own tables, and has no say about the server.")
        if _REFUSED.match(str(error)):
            mine = NoServer(f"{self.path} refuses the token. Ask whoever runs the server for the right one.")
        elif _LET_GO.match(str(error)):
            mine = NoServer(f"{self.path} let go of a step in its midst; the server was started anew. Do it again.")
        elif isinstance(error, duckdb.IOException):
            secure = "" if far.is_local(str(self.path)) else _SECURE
            mine = NoServer(f"{self.path} cannot be reached. Is the server running, and is this its address?{secure}")
        else:
            return None
        for note in getattr(error, "__notes__", ()):
            mine.add_note(note)
        return mine


def connect(path: str | Path, *, wait: float | None = None, token: str | None = None) -> Store:
    """Open a lab wherever it is: a file, or a server's, whose tables are the server's to bring up to date.

    Parameters
    ----------
    path : str or Path
        A file, or quack:host:port.
    wait : float, optional
        Seconds that a step tries while others hold the lab; 10 for a file, 30 for a server's.
    token : str, optional
        What the server asks for; by default the environment's GALLUMP_LAB_TOKEN.

    Raises
    ------
    ValueError
        If address or token cannot be one, or do not belong together.
    StoreError
        If the lab cannot be used.
    """
    if not far.is_address(path):
        if token is not None:
            msg = (
                f"A token belongs to a server's address, such as quack:host:{far.PORT}; {path} is a file. Leave it out."
            )
            raise ValueError(msg)
        return Store.open(path, wait=10.0 if wait is None else wait)
    address = far.address(path)
    token = os.environ.get("GALLUMP_LAB_TOKEN", "") if token is None else token
    if not isinstance(token, str) or not token.strip():
        found = "" if isinstance(token, str) else f", not {type(token).__name__}"
        msg = f"{address} asks for its token, a text{found}: Lab.open(..., token=...), or set GALLUMP_LAB_TOKEN."
        raise ValueError(msg)
    wait = 30.0 if wait is None else wait
    store = Remote(Path(address), token=token.strip(), wait=min(wait, SOON))
    with store.read() as con:
        missing = schema.missing(con, store.path)
    store.wait = wait
    if missing:
        msg = f"{address} serves a lab of an older version. Upgrade gallump_lab there and start the server anew."
        raise StoreError(msg)
    return store

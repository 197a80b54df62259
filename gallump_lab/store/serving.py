"""A lab file served to a team, over DuckDB's protocol Quack, by the one process that holds the file meanwhile."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from gallump_lab.lazy import duckdb, regex
from gallump_lab.store import remote
from gallump_lab.store.errors import StoreError, translated
from gallump_lab.store.files import quoted
from gallump_lab.store.locks import Instance
from gallump_lab.store.store import Store

PATIENCE = 15.0
"""Seconds without a statement after which a client in the midst of a step counts as gone; a step takes far less."""
_DONE = ("commit", "rollback")
# Of the statements of a session. A name that begins with quack_ rules a server; `query` runs a text as SQL.
_CLOSED = frozenset({"attach", "call", "detach", "install", "json_execute_serialized_sql", "load", "pragma", "query"})
_WORD = regex(r'"?(\w+)')
_CREATED = regex(r"create\s+or\s+replace\s+temp\s+table\b", re.IGNORECASE)


def may_run(_session: str, sql: str) -> bool:
    """Whether a client may have a statement run: it reads and writes the lab, and has no say about the server.

    Nor may it create what computes (views, macros), for which the file would be refused later.
    """
    text = sql.encode()  # places are counted in bytes
    tokens = duckdb.tokenize(sql)
    for (place, kind), (end, _) in pairwise([*tokens, (len(text), None)]):
        if kind in (duckdb.token_type.string_const, duckdb.token_type.numeric_const, duckdb.token_type.comment):
            continue
        said = text[place:end].decode(errors="replace")
        found = _WORD.match(said)
        word = found[1].lower() if found else ""
        if word.startswith("quack_") or word in _CLOSED:
            return False
        if word == "create" and not _CREATED.match(text[place : place + 100].decode(errors="replace")):
            return False
    return True


class Server:
    """Serves a lab.

    What clients send is run as SQL, so whoever has the token can read, change and delete all of the lab, and keep the
    server busy; but no file of the machine, no setting and no extension: the instance is shut off from them. Nor can
    they stop the server or open another (`may_run`).

    Parameters
    ----------
    con : DuckDBPyConnection
        The instance that holds the lab.
    address : str
        Where to listen, quack:host:port.
    token : str
        What clients must give.
    """

    def __init__(self, con: "duckdb.DuckDBPyConnection", address: str, token: str) -> None:
        self._con, self.address, self._token = con, address, token
        self._seen: dict[str, tuple[object, float]] = {}

    def listen(self) -> None:
        """Begin to answer clients.

        Raises
        ------
        StoreError
            If nothing can listen there.
        """
        given = [self.address, self._token, not remote.is_local(self.address)]
        try:
            self._con.execute("call quack_serve(?, token => ?, allow_other_hostname => ?)", given).fetchall()
        except duckdb.Error as error:
            msg = f"Nothing can listen at {self.address}: {str(error).splitlines()[0]} Give another --host or --port."
            raise StoreError(msg) from None  # the error beneath may quote the token

    def stop(self) -> None:
        """End every client's connection; what a step had not committed is undone.

        It waits for requests that have begun, so a client that never ends its own is waited for a few seconds.
        """
        self._con.execute("call quack_stop(?)", [self.address]).fetchall()

    def look(self, now: float) -> bool:
        """End all connections if one is in the midst of a step and silent, since it keeps others from writing.

        A client whose machine died leaves its transaction open, and duckdb 1.5 cannot end a single one. The others
        attach anew with their next step.

        Parameters
        ----------
        now : float
            Seconds of a clock that never goes back.

        Returns
        -------
        bool
            Whether that was done.
        """
        rows = self._con.execute(
            "select connection_id, query, query_started_at from quack_active_connections() where state = 'finished'"
        ).fetchall()
        open_steps = {name: (query, begun) for name, query, begun in rows if query not in _DONE}
        self._seen = {
            name: (step, self._seen[name][1] if name in self._seen and self._seen[name][0] == step else now)
            for name, step in open_steps.items()
        }
        if any(now - since > PATIENCE for _, since in self._seen.values()):
            self.stop()
            self._seen = {}
            self.listen()
            return True
        return False


@contextlib.contextmanager
def serving(path: str | Path, address: str, token: str) -> Iterator[Server]:
    """Hold a lab file, made if it is missing, and serve it until the end of the block.

    Raises
    ------
    StoreError
        If the file cannot be used, the extension is missing, or nothing can listen there.
    """
    with contextlib.closing(Instance(threads=None)) as instance:
        con = instance.cursor()
        remote.load(con)
        server = Server(con, remote.usual(address), token)
        host, _, port = server.address.removeprefix("quack:").rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            # DuckDB would share a port with another lab's server.
            msg = f"Nothing can listen at {server.address}: it is in use. Give another --host or --port."
            raise StoreError(msg)
        store = Store.open(path)
        with translated(store.path):
            con.execute(f"attach {quoted(store.path)} as lab (type duckdb)")
            con.execute("reset checkpoint_threshold")  # who holds the file for long commits to its log
            con.create_function("may_run", may_run, ["VARCHAR", "VARCHAR"], "BOOLEAN", side_effects=True)
            con.execute("set global quack_authorization_function = 'may_run'")
            con.execute("set enable_external_access = false")
            con.execute("set lock_configuration = true")
            server.listen()
            try:
                yield server
            finally:
                server.stop()
                con.execute("use memory")
                con.execute("detach lab")
                con.close()


def watch(server: Server, stop: threading.Event, on_restart: Callable[[], object]) -> None:
    """Look after a server until `stop` is set; say when it had to end all connections."""
    while not stop.wait(1):
        if server.look(time.monotonic()):
            on_restart()

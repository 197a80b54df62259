"""A lab that a server holds for a team: the same steps as on a file, over DuckDB's protocol Quack.

Quack's attached catalogue reads and appends, but (in duckdb 1.5) neither updates nor deletes, knows no sequence and
forwards no transaction. What it does carry is any statement as a text, run where the lab is, all of an attachment's
in one session there. So that is all that is used: the same statements as on a file, with their parameters as literals.
"""

import contextlib
import hashlib
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gallump_lab import masking
from gallump_lab.lazy import duckdb, regex
from gallump_lab.store import schema
from gallump_lab.store.errors import LabBusy, NoServer, QueryRefused, StoreError, translated
from gallump_lab.store.files import quoted
from gallump_lab.store.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

PORT = 9494
SOON = 5.0
"""Seconds after which an address that has never answered is given up."""
_ADDRESS = regex(r"(?i:quack):(//)?(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>\d{1,5}))?")
_ASK = "from quack_query_by_name('lab', ?)"  # a statement on the server, as a table here
_LET_GO = "Invalid Input Error: Invalid connection id"
_TROUBLES: Mapping[str, tuple[type[StoreError], str]] = {
    "Invalid Input Error: Authorization failed": (
        QueryRefused,
        "sql reads the lab's own tables, and has no say about the server.",
    ),
    "Invalid Input Error: Authentication failed": (
        NoServer,
        "{path} refuses the token. Ask whoever runs the server for the right one.",
    ),
    _LET_GO: (NoServer, "{path} let go of a step in its midst; the server was started anew. Do it again."),
    "IO Error": (
        NoServer,
        (
            "{path} cannot be reached. Is the server running, and is this its address? Another machine is spoken to by "
            "HTTPS, so a reverse proxy with TLS must stand before its server, or an ssh tunnel lead to it."
        ),
    ),
}
"""What the server's errors begin with, and what they are."""
_CONFLICT = regex(r"[Cc]onflict on (update|tuple)|[Ww]rite-write conflict|Transaction conflict")
# One writer at a time, as on a file, so that what a step sees holds until it has written. Whoever changes a row holds
# it to the end of the transaction, even if it is soon what it was; and nobody changes what has been changed meanwhile.
_TURN = "update sorting set done = -1 - done; update sorting set done = -1 - done"
_ATTACHED = "select 1 from duckdb_databases() where database_name = 'lab'"
_TABLES = "select table_name from duckdb_tables() where database_name = current_database() order by table_name"
_SEQUENCES = "select sequence_name, last_value from duckdb_sequences() where database_name = current_database()"


def is_address(path: object) -> bool:
    """Return whether a path is a server's address."""
    return str(path)[:6].lower() == "quack:"


def is_local(address: str) -> bool:
    """Return whether only this machine can reach an address, in its usual form."""
    return address.removeprefix("quack:").rsplit(":", 1)[0] in {"127.0.0.1", "localhost", "[::1]"}


def usual(address: str | Path) -> str:
    """Return a server's address in its usual form, quack:host:port.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> usual("QUACK://localhost")
    'quack:localhost:9494'
    """
    found = _ADDRESS.fullmatch(str(address))
    port = int(found["port"] or PORT) if found else 0
    if found is None or not 0 < port < 2**16:
        msg = f"A lab's server has an address such as 'quack:host:{PORT}', not {str(address)!r:.80}."
        raise ValueError(msg)
    return f"quack:{found['host']}:{port}"


def load(con: "DuckDBPyConnection") -> None:
    """Load what speaks Quack: from the packages duckdb-extension-*, if they are there, else as DuckDB installed it.

    Raises
    ------
    StoreError
        If it is not there; nothing is fetched unasked.
    """
    for name in ("httpfs", "quack"):
        package = find_spec(f"duckdb_extension_{name}")
        root = Path(package.origin).parent if package and package.origin else Path()
        packaged = root / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        try:
            con.load_extension(str(packaged) if packaged.is_file() else name)
        except duckdb.Error as error:
            msg = (
                f"A lab's server needs DuckDB's extension {name}, which is not installed. Fetch what it needs once, "
                "from DuckDB's own site: python -c \"import duckdb; duckdb.execute('install httpfs; install quack')\""
            )
            raise StoreError(msg) from error


def literal(value: Any) -> str:
    """Return a parameter's value as SQL writes it; what DuckDB cannot bind, it refuses here, too.

    Examples
    --------
    >>> literal("Bob's")
    "'Bob''s'"
    """
    if isinstance(value, float):
        return f"'{float(value)!r}'::double"  # duckdb 1.5 would write a decimal number
    return str(duckdb.ConstantExpression(value)).replace("\0", "' || chr(0) || '")


class ServerConnection:
    """The few calls of a DuckDB connection that a lab's steps use, done on the server.

    Parameters
    ----------
    near : DuckDBPyConnection
        The local connection, to which the server is attached as `lab`.
    """

    def __init__(self, near: "DuckDBPyConnection") -> None:
        self.near = near

    def execute(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> "DuckDBPyConnection":
        """Run one statement, or several without parameters; return the local connection with the result."""
        if isinstance(params, Mapping):
            given = [f'"{name.replace(chr(34), chr(34) * 2)}" := {literal(value)}' for name, value in params.items()]
        else:
            given = [literal(value) for value in params or ()]
        if given:  # the statement may end with a comment
            sql = f"prepare step as {sql.strip().rstrip(';')}\n; execute step({', '.join(given)})"
        return self.near.execute(_ASK, [sql])

    def register(self, name: str, given: "Mapping[str, NDArray[Any]]") -> None:
        """Send arrays, for statements to read as a table; as JSON, which DuckDB reads far faster than literals."""
        self.near.register(name, given)
        columns = []
        for column, kind, *_ in self.near.execute(f"describe {name}").fetchall():
            sql = f"select coalesce(to_json(list({column})), '[]')::varchar from {name}"  # noqa: S608 (our own names)
            ((values,),) = self.near.execute(sql).fetchall()
            kind = "VARCHAR" if "NULL" in kind else kind  # noqa: PLW2901 (of texts without any)
            columns.append(f"""unnest(from_json({quoted(values)}, '["{kind}"]')) as {column}""")
        self.near.unregister(name)
        self.execute(f"create or replace temp table {name} as select {', '.join(columns)}")

    def unregister(self, name: str) -> None:
        """Leave the table to the next `register`, or to the end of the transaction or attachment."""

    @property
    def description(self) -> list[Any]:
        """The columns of the last result."""
        return self.near.description or []


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

    @property
    def elsewhere(self) -> tuple[Path, str | None]:
        """Where another process finds the lab."""
        return self.path, self._token

    @contextmanager
    def sealed(self) -> Iterator["DuckDBPyConnection"]:
        """Return a connection that only reads; what else it could reach, the server has shut off."""
        with self.lend(begin="begin transaction read only") as con:
            yield con

    def _copy(self, con: "DuckDBPyConnection") -> None:
        """Create a lab's tables in memory and fill them, over one transaction on the server."""
        near = cast("ServerConnection", con).near
        near.execute("use memory")
        schema.create(near)
        for (name,) in near.execute(_TABLES).fetchall():
            near.execute(f"delete from {name}")  # noqa: S608 (the schema's own names)
            near.execute(f"insert into {name} {_ASK}", [f"from {name} order by rowid"])
        for name, last in con.execute(_SEQUENCES).fetchall():
            near.execute("select max(nextval(?)) from range(?)", [name, last or 0])

    def _begun(self, near: "DuckDBPyConnection", deadline: float, begin: str, *, write: bool) -> "DuckDBPyConnection":
        """Begin a step on the server, and attach it if it is not yet, or not any more; try until the deadline.

        A step that writes waits for its turn.
        """
        con = ServerConnection(near)
        while True:
            try:
                if near.execute(_ATTACHED).fetchone() is None:
                    self._attach_server(near)
                con.execute(f"{begin}; {_TURN}" if write else begin)
            except duckdb.Error as error:
                conflict = _CONFLICT.search(str(error)) is not None
                if not conflict and not str(error).startswith((_LET_GO, "IO Error")):
                    raise
                if time.monotonic() >= deadline and conflict:
                    who = "others, who write all the time, or by one who went away amid a step, as the server will see"
                    raise LabBusy(self.path, who, self.wait) from error
                if time.monotonic() >= deadline:
                    raise
                with contextlib.suppress(duckdb.Error):
                    near.execute(*((_ASK, ["rollback"]) if conflict else ("detach lab",)))
            else:
                return cast("DuckDBPyConnection", con)  # the few of its calls that steps use
            time.sleep(random.uniform(0.002, 0.02))  # noqa: S311 (spreads the tries of several clients)

    def _attach_server(self, near: "DuckDBPyConnection") -> None:
        load(near)
        near.execute("create or replace secret lab (type quack, token ?, scope ?)", [self._token, str(self.path)])
        near.execute(f"attach {quoted(self.path)} as lab (type quack)")
        ServerConnection(near).execute("use lab")

    def _let_go(self, con: "DuckDBPyConnection", *, own: bool) -> bool:
        """Stay attached, so that the next step takes few messages to and fro; another instance is detached."""
        if not own:
            con.execute("detach lab")
        return True

    @contextmanager
    def _admitted(self, deadline: float, *, write: bool) -> Iterator[None]:  # noqa: ARG002 (`_begun` waits)
        """Raise what is wrong with the server as ours; the error beneath may quote what was sent, so it is left out."""
        try:
            with translated(self.path):
                yield
        except duckdb.Error as error:
            for begin, (kind, words) in _TROUBLES.items():
                if str(error).startswith(begin):
                    ours = kind(words.format(path=self.path))
                    for note in getattr(error, "__notes__", ()):
                        ours.add_note(note)
                    raise ours from None
            raise


def connect(path: str | Path, *, wait: float | None = None, token: str | None = None) -> Store:
    """Open a lab wherever it is: a file, or a server's, whose tables are the server's.

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
    if not is_address(path):
        if token is not None:
            msg = f"A token belongs to a server's address, such as quack:host:{PORT}; {path} is a file. Leave it out."
            raise ValueError(msg)
        return Store.open(path, wait=10.0 if wait is None else wait)
    address, token = usual(path), (token or os.environ.get("GALLUMP_LAB_TOKEN", "")).strip()
    if not token:
        msg = f"{address} asks for its token: Lab.open(..., token=...), or set GALLUMP_LAB_TOKEN."
        raise ValueError(msg)
    wait = 30.0 if wait is None else wait
    store = Remote(Path(address), token=token, wait=min(wait, SOON))
    with store.read() as con:
        schema.recognize(con, store.path)
    store.wait = wait
    return store

"""A connection to a lab that a server holds, over DuckDB's protocol Quack.

Quack's attached catalogue reads and appends, but (in duckdb 1.5) neither updates nor deletes, knows no sequence and
forwards no transaction. What it does carry is any statement as a text, run where the lab is, all of an attachment's
in one session there. So that is all that is used: the same statements as on a file, with their parameters as literals.
"""

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gallump_lab.store.errors import StoreError
from gallump_lab.store.literal import column, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

_ADDRESS = re.compile(r"(?i:quack):(//)?(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>\d{1,5}))?")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PORT = 9494
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
EXTENSIONS = ("httpfs", "quack")
_INSTALL = "; ".join(f"install {name}" for name in EXTENSIONS)
ASK = "from quack_query_by_name('lab', ?)"
"""A statement on the server, as a table here."""


class NoServer(StoreError):
    """No lab's server answers at the address, it refuses the token, or the connection broke off."""


def is_address(path: object) -> bool:
    """Tell a server's address from a file's path."""
    return str(path)[:6].lower() == "quack:"


def is_local(address: str) -> bool:
    """Return whether only this machine can reach an address, in its usual form."""
    return address.removeprefix("quack:").rsplit(":", 1)[0] in LOOPBACK


def address(given: str | Path) -> str:
    """Return a server's address in its usual form, quack:host:port.

    Raises
    ------
    ValueError
        If it is none.
    """
    found = _ADDRESS.fullmatch(str(given))
    port = int(found["port"] or PORT) if found else 0
    if found is None or not 0 < port < 2**16:
        msg = (
            f"A lab's server has an address such as 'quack:host:{PORT}', with a port to 65535, not {str(given)!r:.80}."
        )
        raise ValueError(msg)
    return f"quack:{found['host']}:{port}"


def load(con: "DuckDBPyConnection") -> None:
    """Load what speaks Quack: from the packages duckdb-extension-*, if they are there, else as DuckDB installed it.

    Raises
    ------
    StoreError
        If it is not there; nothing is fetched unasked.
    """
    import duckdb

    for name in EXTENSIONS:
        try:
            con.load_extension(_packaged(name) or name)
        except duckdb.Error as error:
            msg = (
                f"A lab's server needs DuckDB's extension {name}, which is not installed. Fetch what it needs once, "
                f"from DuckDB's own site: python -c \"import duckdb; duckdb.execute('{_INSTALL}')\""
            )
            raise StoreError(msg) from error


def _packaged(name: str) -> str | None:
    """Find an extension that came as a Python package of this DuckDB's version."""
    import duckdb

    try:
        folder = resources.files(f"duckdb_extension_{name}")
    except ModuleNotFoundError:
        return None
    found = folder / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    return str(found) if found.is_file() else None


class Far:
    """The few calls of a DuckDB connection that a lab's steps use, done on the server.

    Parameters
    ----------
    near : DuckDBPyConnection
        The local connection, to which the server is attached as `lab`.
    """

    def __init__(self, near: "DuckDBPyConnection") -> None:
        self.near = near

    def execute(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> "DuckDBPyConnection":
        """Run one statement, or several without parameters, and give the local connection with the result.

        Raises
        ------
        ValueError
            If a parameter's name is none, or its value of a kind that cannot be sent.
        """
        if params:
            if isinstance(params, Mapping):
                for name in params:
                    if not _PARAMETER.fullmatch(name):
                        msg = f"A parameter is named by letters, digits and _, such as $symbol; not {name!r:.60}."
                        raise ValueError(msg)
                given = ", ".join(f'"{name}" := {literal(value)}' for name, value in params.items())
            else:
                given = ", ".join(map(literal, params))
            sql = f"prepare step as {sql.strip().rstrip(';')}\n; execute step({given})"  # it may end with a comment
        return self.near.execute(ASK, [sql])

    def register(self, name: str, given: "Mapping[str, NDArray[Any]]") -> None:
        """Let statements read arrays as a table; they are sent."""
        columns = ", ".join(f'{column(values)} as "{key}"' for key, values in given.items())
        self.execute(f"create or replace temp table {name} as select {columns}")

    def unregister(self, name: str) -> None:
        """Leave the table to the next `register`, or to the end of the transaction or attachment."""

    @property
    def description(self) -> list[Any]:
        """The columns of the last result."""
        return self.near.description or []

    def extract_statements(self, sql: str) -> list[Any]:
        """Take a text of SQL apart; nothing is sent."""
        return self.near.extract_statements(sql)

    def interrupt(self) -> None:
        """Ask the statement to end; Quack of duckdb 1.5 lets it run to its end on the server."""
        self.near.interrupt()

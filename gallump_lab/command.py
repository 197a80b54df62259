"""The command `gallump-lab`: copies the notebooks, serves a lab to a team."""

import argparse
import os
import re
import secrets
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from gallump_lab.bundled import bundled
from gallump_lab.store import StoreError, remote, serving

SHORTEST = 16
_BEGIN = "In a notebook's cell: from gallump_lab import Lab; Lab.sample().chat()"
_NOT_LOCAL = (
    "Anyone on the network can reach this, unencrypted, but gallump_lab speaks HTTPS to every machine but its own: put "
    "a reverse proxy with TLS before it."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    about = "Chat with Claude about trading ideas in JupyterLab."
    parser = argparse.ArgumentParser(prog="gallump-lab", description=about, epilog=_BEGIN)
    parser.set_defaults(run=lambda _: parser.print_help())
    parser.add_argument("--version", action="version", version=version("gallump-lab"))
    commands = parser.add_subparsers()
    copy = commands.add_parser(
        "notebooks",
        help="copy the five notebooks to a folder",
        description="Copy the notebooks and have Jupyter trust them. No file that is there is written over.",
    )
    copy.add_argument("folder", metavar="DIR", type=Path, help="made if it is missing")
    copy.set_defaults(run=_notebooks)
    serve = commands.add_parser(
        "serve",
        help="serve a lab to a team",
        description="Serve a lab file to a team, over DuckDB's protocol Quack. Ctrl-C ends it.",
    )
    serve.add_argument("lab", type=Path, help="the lab's file, made if it is missing; the server alone uses it")
    serve.add_argument(
        "--token-file", type=Path, required=True, help="what clients must give; made with a new one if it is missing"
    )
    serve.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s, this machine alone)")
    serve.add_argument("--port", type=int, default=remote.PORT, help="default: %(default)s")
    serve.set_defaults(run=_serve)
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except (StoreError, ValueError, OSError) as error:
        print(f"gallump-lab: {error}", file=sys.stderr)  # noqa: T201 (a command speaks to its terminal)
        return 1
    return 0


def _notebooks(given: argparse.Namespace) -> None:
    import nbformat
    from nbformat.sign import NotebookNotary

    place, folder = bundled("", "notebooks"), given.folder
    files = [*sorted(place.glob("0*.ipynb")), place / "faults.png"]
    folder.mkdir(parents=True, exist_ok=True)
    if there := sorted({file.name for file in files} & {each.name for each in folder.iterdir()}):
        msg = f"{folder} has {', '.join(there)} already; nothing was copied. Name another folder, or move them away."
        raise ValueError(msg)
    notary = NotebookNotary()
    for file in files[:-1]:  # a chat that is not trusted is plain text when its page is loaded anew
        notary.sign(nbformat.read(file, nbformat.NO_CONVERT))
    notary.store.close()
    for file in files:
        with (folder / file.name).open("xb") as copy:
            copy.write(file.read_bytes())
    first = shlex.quote(str(folder / files[0].name))
    _say(f"Copied {len(files) - 1} notebooks to {folder}. Begin with:\n\n    jupyter lab {first}")


def _serve(given: argparse.Namespace) -> None:
    stop = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: stop.set())
    address = remote.usual(f"quack:{given.host}:{given.port}")
    token = token_from(given.token_file, make=True)
    with serving.serving(given.lab, address, token) as server:
        _say(f"{given.lab} is served at {server.address}; the token stands in {given.token_file}. Ctrl-C ends it.")
        if remote.is_local(server.address):
            _say(f'Who works on this machine opens it with Lab.open("{server.address}", token=...).')
        else:
            _say(_NOT_LOCAL)
        serving.watch(server, stop, lambda: _say("A client went away in the midst of a step; it was undone."))
    _say(f"{given.lab} is served no more.")


def token_from(path: Path, *, make: bool = False) -> str:
    """Read a token from a file that only its owner may read; with `make`, a missing one is made with a new token.

    Raises
    ------
    ValueError
        If others may read the file, or what stands in it is no token.
    OSError
        If it cannot be read or made.
    """
    if make and not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        msg = f"{path} may be read by others than its owner. Change that: chmod 600 {path}"
        raise ValueError(msg)
    token = path.read_text(encoding="utf-8").strip()
    if not re.fullmatch(rf"[!-~]{{{SHORTEST},}}", token):
        msg = f"{path} must hold one token of at least {SHORTEST} letters, digits and signs without spaces."
        raise ValueError(msg)
    return token


def _say(words: str) -> None:
    print(words, flush=True)  # noqa: T201 (a command speaks to its terminal)


if __name__ == "__main__":
    sys.exit(main())

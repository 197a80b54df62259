"""A Jupyter Server, or JupyterLab, in a process of its own with this package's extension on."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

TOKEN = "tests"  # noqa: S105
SHIPPED = Path(__file__).parents[1] / "jupyter-config"
OTHERS = ("jupyter_lsp", "jupyter_server_terminals", "jupyterlab", "notebook_shim")
GENERATE = "/gallump/api/strategies/generate"
STREAM = f"{GENERATE}/stream"
DESCRIPTION = "/gallump/api/openapi.json"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A running Jupyter Server, and what it logs."""

    url: str
    root: Path
    log: Path
    process: subprocess.Popen

    def client(self, token=TOKEN) -> httpx.Client:
        """Give a client, to be closed, that sends this token; None for none."""
        headers = {} if token is None else {"Authorization": f"token {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def call(self, endpoint: str, **body: Any) -> Any:
        """Ask the server's own API: with a body to change something, without one to look."""
        with self.client() as client:
            answer = client.post(f"/api/{endpoint}", json=body) if body else client.get(f"/api/{endpoint}")
        return answer.raise_for_status().json()

    def kernel(self) -> str:
        """Start a kernel and give its id."""
        return str(self.call("kernels", name="python3")["id"])

    def end(self) -> None:
        """Ask the server to end, and wait until it has."""
        self.process.terminate()
        self.process.wait(60)


@contextmanager
def serving(
    folder: Path, *options: str, module: str = "jupyter_server", base: str = "", **environment: str
) -> Iterator[Running]:
    """Serve under a base URL until the block ends; all that the server reads or writes is in `folder`."""
    home, root, log = folder / "home", folder / "root", folder / "server.log"
    root.mkdir()
    enabled = home / "config" / "jupyter_server_config.d" / "others.json"
    enabled.parent.mkdir(parents=True)
    if module == "jupyter_server":  # it starts sooner without JupyterLab's
        enabled.write_text(json.dumps({"ServerApp": {"jpserver_extensions": dict.fromkeys(OTHERS, False)}}))
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    given = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "GALLUMP_"))}
    for name in ("IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        given[name] = str(home / name.lower())
    given |= {"JUPYTER_CONFIG_DIR": str(enabled.parents[1]), "JUPYTER_CONFIG_PATH": str(SHIPPED)}
    given |= {"NO_PROXY": "*", "no_proxy": "*"}
    command = [sys.executable, "-m", module, "--allow-root", "--no-browser", "--ServerApp.port_retries=0"]
    command += [f"--ServerApp.port={port}", f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={TOKEN}"]
    command += [f"--ServerApp.base_url={base}/", *options]
    with (
        log.open("w") as output,
        subprocess.Popen(command, env=given | environment, stdout=output, stderr=output) as process,
    ):
        server = Running(url=f"http://127.0.0.1:{port}{base}", root=root, log=log, process=process)
        try:
            _wait_for(server)
            yield server
        finally:
            server.end()


def _wait_for(server: Running) -> None:
    until = time.monotonic() + 60
    with server.client() as client:
        while server.process.poll() is None and time.monotonic() < until:
            try:
                if client.get("/api/status").is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    msg = f"Jupyter Server did not start:\n{server.log.read_text()}"
    raise RuntimeError(msg)


def eventually(look):
    """Look again until there is something to see; give it."""
    until = time.monotonic() + 30
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def events(lines):
    """Read server-sent events: pairs of a name and what its data are, comments as ("", text)."""
    name = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if line.startswith(":"):
            yield "", value
        elif field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)

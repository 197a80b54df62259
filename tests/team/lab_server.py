"""A lab's server in a process of its own, as its tests need it."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

TOKEN = "a-token-that-nobody-sees-4711"  # noqa: S105 (made up)
Serve = Callable[..., "Served"]


def free_port() -> int:
    """Find a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def port_of(address: str) -> int:
    """Tell where a server listens."""
    return int(address.rpartition(":")[2])


class Served:
    """A server in a process of its own, and all that it has said."""

    def __init__(self, file: Path, token_file: Path) -> None:
        port = free_port()
        self.file, self.address = file, f"quack:127.0.0.1:{port}"
        command = [sys.executable, "-m", "gallump_lab.command", "serve", str(file), "--token-file", str(token_file)]
        self.process = subprocess.Popen(
            [*command, "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.said = [self.process.stdout.readline(), self.process.stdout.readline()]

    def end(self, how: str = "terminate") -> int:
        if self.process.poll() is None:
            getattr(self.process, how)()
        with self.process:  # waits
            self.said += self.process.stdout.readlines()
        return self.process.returncode

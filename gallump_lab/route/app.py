"""GallumpLab: the Jupyter Server extension, with its settings."""

import json
import os
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Float, Int, Unicode, default

from gallump_lab.lab import Lab
from gallump_lab.route.answers import Answers
from gallump_lab.route.handlers import Description, Generate, Stream
from gallump_lab.store import StoreError

ADDRESS = "/gallump/api"


class GallumpLab(ExtensionApp):
    """Answers questions over HTTP, under Jupyter Server's own identity, from one lab that the server chooses."""

    name = "gallump_lab"

    path = Unicode(
        help="The lab: a file, which is made if it is missing, or the quack:host:port of one that is served. "
        "By default what the environment's GALLUMP_LAB names, else lab.duckdb in the server's root_dir."
    ).tag(config=True)
    token_file = Unicode(help="A file that holds the token of a lab that is served; empty for none.").tag(config=True)
    answers = Int(8, min=1, help="So many questions are answered at once; a further one gets 503.").tag(config=True)
    most_bytes = Int(3_000_000, min=1, help="So many bytes a request's body may have; a longer one gets 413.").tag(
        config=True
    )
    keep_alive = Float(15.0, min=0.05, help="Seconds after which a stream that has nothing to say shows it lives.").tag(
        config=True
    )

    @default("path")
    def _default_path(self) -> str:
        return os.environ.get("GALLUMP_LAB") or str(Path(self._root, "lab.duckdb"))

    @property
    def _root(self) -> str:
        return str(self.serverapp.root_dir) if self.serverapp else ""

    def initialize_handlers(self) -> None:
        """Put the route's addresses under the server's base URL."""
        self._answers = Answers(self._open, self.answers)
        given = {"answers": self._answers, "most_bytes": self.most_bytes, "keep_alive": self.keep_alive}
        base_url = self.serverapp.base_url if self.serverapp else "/"
        self.handlers.extend(
            [
                (f"{ADDRESS}/strategies/generate", Generate, given),
                (f"{ADDRESS}/strategies/generate/stream", Stream, given),
                (f"{ADDRESS}/openapi.json", Description, {"description": description(base_url)}),
            ]
        )

    def _open(self) -> Lab:
        options: dict[str, Any] = {}
        try:
            if self.token_file:
                options["token"] = Path(self.token_file).read_text().strip()
            served = self.path.startswith("quack:")
            return Lab.open(self.path if served else Path(self._root, self.path), **options)
        except (OSError, ValueError) as error:  # settings of the operator's, so the words are for the log
            msg = f"GallumpLab.path {self.path!r} and .token_file {self.token_file!r} cannot be used: {error}"
            raise StoreError(msg) from error

    async def stop_extension(self) -> None:
        """End the answers that are under way; each is kept so far."""
        self._answers.close()


def description(base_url: str = "/") -> dict[str, Any]:
    """Return the route's OpenAPI description, for a server that stands at a base URL."""
    found: dict[str, Any] = json.loads(files("gallump_lab.route").joinpath("openapi.json").read_text())
    found["info"]["version"] = version("gallump-lab")
    return found | {"servers": [{"url": base_url}]}

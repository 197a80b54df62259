"""Chat with Claude about trading ideas, with a memory whose budget, retrieval and insights you can measure."""

import importlib
from typing import TYPE_CHECKING

from gallump_lab import datasets
from gallump_lab.config import Budget, Cold, Config, ConfigError, Model, Recall
from gallump_lab.lab import Lab
from gallump_lab.memory.records import Overrides

if TYPE_CHECKING:
    from gallump_lab import study

    __version__: str
__all__ = ["Budget", "Cold", "Config", "ConfigError", "Lab", "Model", "Overrides", "Recall", "datasets", "study"]


def __getattr__(name: str) -> object:
    """Return what a chat does not need when it is first asked for: `study`, with pandas and scipy, and the version."""
    if name == "study":
        return importlib.import_module("gallump_lab.study")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("gallump-lab")
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    """Return the HTTP route, for Jupyter Server, which alone calls this."""
    from gallump_lab.server.app import GallumpLab

    return [{"module": "gallump_lab", "app": GallumpLab}]

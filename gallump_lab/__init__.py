"""Chat with Claude about trading ideas, with a memory whose budget, retrieval and insights you can measure."""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING

from gallump_lab import datasets
from gallump_lab.config import Budget, Cold, Config, ConfigError, Model, Recall
from gallump_lab.lab import Lab
from gallump_lab.memory.records import Overrides

if TYPE_CHECKING:
    from types import ModuleType

    from gallump_lab import study

__version__ = version("gallump-lab")
__all__ = ["Budget", "Cold", "Config", "ConfigError", "Lab", "Model", "Overrides", "Recall", "datasets", "study"]


def __getattr__(name: str) -> "ModuleType":
    """Import `study` when it is first asked for: it needs numpy, pandas and scipy, and a chat does not."""
    if name != "study":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return importlib.import_module("gallump_lab.study")


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    """Return the HTTP route, for Jupyter Server, which alone calls this."""
    from gallump_lab.server.app import GallumpLab

    return [{"module": "gallump_lab", "app": GallumpLab}]

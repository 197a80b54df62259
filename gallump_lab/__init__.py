"""Chat with Claude about trading ideas, with a memory whose budget, retrieval and insights you can measure."""

from importlib.metadata import version

from gallump_lab import datasets, study
from gallump_lab.config import Budget, Cold, Config, ConfigError, Model, Recall
from gallump_lab.lab import Lab
from gallump_lab.memory.records import Overrides

__version__ = version("gallump-lab")
__all__ = ["Budget", "Cold", "Config", "ConfigError", "Lab", "Model", "Overrides", "Recall", "datasets", "study"]


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    """Return the HTTP route, for Jupyter Server, which alone calls this."""
    from gallump_lab.server.app import GallumpLab

    return [{"module": "gallump_lab", "app": GallumpLab}]

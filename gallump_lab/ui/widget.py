"""What the widgets share: their front end's files, and where their messages go."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import anywidget

_FRONT = Path(__file__).with_name("front")


def joined(*names: str) -> str:
    """Join the front end's files into the one module, or style sheet, that the browser loads."""
    return "\n".join((_FRONT / name).read_text(encoding="utf-8") for name in names)


class Widget(anywidget.AnyWidget):
    """A widget whose state is the lab's: everything travels as custom messages, so none of it is saved in a notebook.

    Parameters
    ----------
    receive : callable
        Takes a view's messages (the widget, the content, buffers); it must return at once, for the kernel waits.
    """

    def __init__(self, receive: Callable[[object, Any, object], None]) -> None:
        super().__init__()
        # ipykernel 7.4 sends a view's messages to the shell that published last on the comm, so they would wait behind
        # a running cell. They belong where JupyterLab addresses them: on the widgets' own subshell.
        self.comm._reply_subshell_for = None  # noqa: SLF001
        self.on_msg(receive)

    def _static(self) -> str | None:
        """Return HTML to be saved for readers without the front end; None to save no word of the lab's."""
        return None

    def _repr_mimebundle_(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        found: tuple[dict[str, Any], dict[str, Any]] | None = super()._repr_mimebundle_(**given)
        if found:
            page = self._static()
            found[0]["text/html"] = (
                f"<p>{escape(repr(self))} opens where its cell is run.</p>" if page is None else page
            )
        return found

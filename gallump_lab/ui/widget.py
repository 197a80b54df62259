"""What the widgets share: their front end's files, where their messages go, and what becomes of an error."""

from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import anywidget

from gallump_lab.ui.entries import words

_FRONT = Path(__file__).with_name("front")


def joined(*names: str) -> str:
    """Join the front end's files into the one module, or style sheet, that the browser loads."""
    return "\n".join((_FRONT / name).read_text(encoding="utf-8") for name in names)


class Widget(anywidget.AnyWidget):
    """A widget whose state is the lab's: everything travels as custom messages, so none of it is saved in a notebook.

    A view's message is served by the method that its type names, `_on_ask` for "ask", with the view and the message's
    fields as arguments.

    Attributes
    ----------
    error : Exception or None
        What failed last; None since something went well: `raise widget.error` shows where.
    """

    _at_once: frozenset[str] = frozenset()
    """Messages that are served as they come, because they take no time and their order counts."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._views: set[str] = set()
        super().__init__()
        # ipykernel 7.4 sends a view's messages to the shell that published last on the comm, so they would wait behind
        # a running cell. They belong where JupyterLab addresses them: on the widgets' own subshell.
        self.comm._reply_subshell_for = None  # noqa: SLF001
        self.on_msg(self._receive)

    def _static(self) -> str | None:
        """Return HTML to be saved for readers without the front end; None to save no word of the lab's."""
        return None

    def _run(self, action: Callable[[], None]) -> None:
        """Do something on another thread, for the kernel waits."""
        raise NotImplementedError

    def _receive(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        """Take a view's message; until it is answered, a view says again that it is ready."""
        if content["type"] == "ready":
            if content["view"] in self._views:
                return
            self._views.add(content["view"])
        serve = partial(self._serve, **content)
        serve() if content["type"] in self._at_once else self._run(serve)

    def _serve(self, type: str, view: str, **content: Any) -> None:  # noqa: A002 (as views call it)
        """Do what a view asks for, and tell it if that fails."""
        try:
            getattr(self, f"_on_{type}")(view, **content)
        except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
            self.error = error
            if type == "ready":
                self._views.discard(view)
            what = {"of": type, "place": content.get("place"), "words": words(error)}
            self.send({"type": "trouble", "view": view, **what})

    def _repr_mimebundle_(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        found: tuple[dict[str, Any], dict[str, Any]] | None = super()._repr_mimebundle_(**given)
        if found:
            page = self._static()
            found[0]["text/html"] = (
                f"<p>{escape(repr(self))} opens where its cell is run.</p>" if page is None else page
            )
        return found

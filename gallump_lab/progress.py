"""Progress of what takes long: a bar on a terminal's stderr; in a notebook a line that is gone when all is done."""

import sys
from collections.abc import Iterable
from html import escape
from typing import Any
from uuid import uuid4

from tqdm import tqdm  # type: ignore[import-untyped]


def progress(things: Iterable[Any] | None = None, **looks: Any) -> Any:
    """Return tqdm's bar, or in a notebook, where stderr is red, one that draws itself in the cell's output."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return (_Line if getattr(shell, "kernel", None) else tqdm)(things, **looks)


class _Line(tqdm):  # type: ignore[misc]
    monitor_interval = 0  # drawn from this thread alone, so it stays in its cell

    def __init__(self, things: Iterable[Any] | None, **looks: Any) -> None:
        self._place = ""
        form = "{desc}: {n_fmt} of {total_fmt}{unit}, {elapsed} (still {remaining})"
        super().__init__(things, gui=True, bar_format=form, **looks)  # nothing is printed

    def display(self, *_: object, **__: object) -> None:
        """Draw it where it stands, at first below what the cell has put out."""
        if not self._place:
            self._place = uuid4().hex
            self._show({})  # nbval looks at this one alone
        part = "" if self.total is None else f" value={self.n} max={self.total}"
        said = str(self)
        self._show({"text/html": f"<progress{part}></progress> {escape(said)}", "text/plain": said}, update=True)

    def close(self) -> None:
        """Leave an output without content: nothing is shown, stored or compared of it."""
        super().close()
        if self._place:
            self._show({}, update=True)
            self._place = ""

    def _show(self, shown: dict[str, str], *, update: bool = False) -> None:
        from IPython.display import display

        display(shown, raw=True, display_id=self._place, update=update)  # type: ignore[no-untyped-call]

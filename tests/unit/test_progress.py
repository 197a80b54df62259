"""Progress in a notebook: no stderr, which JupyterLab paints red, and nothing left behind."""

import io

import nbformat
from nbclient import NotebookClient

from gallump_lab.progress import progress

CELL = """\
from gallump_lab.progress import progress
print("before")
for each in progress(range(3), desc="Ranking", unit=" questions", delay=0, mininterval=0, disable=False):
    pass
each
"""
OPEN = """\
bar = progress(total=3, desc="Ranking", unit=" questions", mininterval=0, disable=False)
_ = bar.update(2)
"""


def test_a_notebook_shows_a_line_without_a_red_box_and_keeps_nothing_of_it() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in (CELL, OPEN)])
    NotebookClient(notebook, kernel_name="python3").execute()
    done, begun = ([each.get("data", each.get("text")) for each in cell.outputs] for cell in notebook.cells)
    assert done == ["before\n", {}, {"text/plain": "2"}]
    assert begun[0]["text/html"].startswith("<progress value=2 max=3></progress> Ranking: 2 of 3 questions, ")


def test_elsewhere_it_is_a_bar_on_stderr() -> None:
    shown = io.StringIO()
    assert [*progress(range(3), file=shown, disable=False)] == [0, 1, 2]
    assert "3/3" in shown.getvalue()

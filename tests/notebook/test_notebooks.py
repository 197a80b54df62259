import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return json.loads(request.param.read_text())


def test_every_cell_was_run_once_from_top_to_bottom(notebook):
    assert [cell["execution_count"] for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))


def test_outputs_are_stored_and_none_is_kept_from_comparison(notebook):
    assert any(cell["outputs"] for cell in code(notebook))
    assert "nbval" not in json.dumps(notebook).lower()


def test_it_opens_without_asking_for_a_kernel(notebook):
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_no_widget_state_and_so_no_transcript_is_saved(notebook):
    assert "widgets" not in notebook["metadata"]


def test_nothing_that_needs_a_kernel_is_stored_and_what_was_live_can_be_seen(notebook):
    outputs = [output["data"] for cell in code(notebook) for output in cell["outputs"] if "data" in output]
    assert [data for data in outputs if "application/vnd.jupyter.widget-view+json" in data] == []
    assert [data for data in outputs if "Widget" in str(data["text/plain"]) and "image/png" not in data] == []


def test_no_cell_is_too_long_to_read_at_a_glance(notebook):
    assert [cell["source"] for cell in code(notebook) if len(cell["source"]) > 15] == []

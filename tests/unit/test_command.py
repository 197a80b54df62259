"""The command `gallump-lab`, by itself and for the notebooks; what serves a lab is tested in tests/team."""

import json
import re
import shlex
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from gallump_lab import command

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
COPIED = {"faults.png", *(path.name for path in NOTEBOOKS.glob("0*.ipynb"))}


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_alone_it_says_what_it_can_do_and_how_to_begin(capsys):
    assert command.main([]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("notebooks", "serve", "--version", "Lab.sample().chat()"))


def test_it_tells_its_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        command.main(["--version"])
    assert capsys.readouterr().out.strip() == version("gallump-lab")


def test_the_notebooks_are_copied_trusted_and_the_first_can_be_opened(tmp_path, capsys):
    folder = tmp_path / "my labs" / "first"
    assert command.main(["notebooks", str(folder)]) == 0
    assert content(folder) == {name: (NOTEBOOKS / name).read_bytes() for name in COPIED}
    *_, told = capsys.readouterr().out.splitlines()
    assert shlex.split(told) == ["jupyter", "lab", str(folder / "01_chat.ipynb")]
    notary = NotebookNotary()
    for path in folder.glob("*.ipynb"):
        assert notary.check_signature(nbformat.read(path, as_version=4)), path.name
    notary.store.close()


@pytest.mark.parametrize("name", sorted(COPIED))
def test_nothing_is_written_over(tmp_path, capsys, name):
    (tmp_path / name).write_text("mine")
    assert command.main(["notebooks", str(tmp_path)]) == 1
    assert content(tmp_path) == {name: b"mine"}
    assert name in capsys.readouterr().err


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "01_chat.ipynb").symlink_to(tmp_path / "elsewhere")
    assert command.main(["notebooks", str(tmp_path / "here")]) == 1
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_is_no_folder(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert command.main(["notebooks", str(tmp_path / "file")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_a_copied_notebook_needs_nothing_of_the_checkout():
    for path in NOTEBOOKS.glob("0*.ipynb"):
        text = "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])
        assert "../" not in text
        assert set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)) <= COPIED

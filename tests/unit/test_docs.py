"""README and documentation: their links lead somewhere, their Python runs, and the site is built of them."""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from gallump_lab import Lab, datasets, study

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("[!_]*.md"))]
BARS = "symbol,date,close\nAAPL,2026-11-26,229.9\nAAPL,2026-11-27,231.4\n"
TALK = "role,text,time\nuser,My AAPL stop is 220.,2026-11-02 15:00\nassistant,Noted.,2026-11-02 15:01\n"
SAID = {"uuid": "a", "sender": "human", "text": "My AAPL stop is 220.", "created_at": "2026-11-02T15:00:00Z"}
EXPORT = [{"uuid": "c", "name": "Stops", "created_at": "2026-11-02T15:00:00Z", "chat_messages": [SAID]}]
BEYOND = "# needs: "
"""Begins the comment of a block that this machine cannot run."""


def named(page):
    return page.relative_to(ROOT).as_posix()


def prose(page):
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    headings = re.findall(r"^#+ (.+)", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_to_a_file_and_a_heading(page):
    links = re.findall(r"\]\(\s*([^)\s]+)\s*\)", prose(page))
    for path, _, anchor in (link.partition("#") for link in links if "://" not in link):
        target = page.parent / path if path else page
        assert target.is_file(), f"{path} is not there"
        assert not anchor or anchor in anchors(target), f"{path} has no heading {anchor}"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@pytest.fixture
def few(monkeypatch):
    """Let the sample hold what was said in its first months, so that studies take no time."""
    whole, end = datasets.sample(), pd.Timestamp("2011-06-01", tz="UTC")
    early = {"messages": "created_at", "questions": "asked_at", "insights": "known_from"}
    parts = {name: (rows := getattr(whole, name))[rows[time] < end] for name, time in early.items()}
    monkeypatch.setattr(datasets, "sample", lambda: replace(whole, **parts))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=named)
@pytest.mark.usefixtures("few")
def test_the_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in {"bars.csv": BARS, "positions.csv": "symbol,quantity\nAAPL,10\n", "talk.csv": TALK}.items():
        Path(name).write_text(text)
    with zipfile.ZipFile("export.zip", "w") as export:
        export.writestr("conversations.json", json.dumps(EXPORT))
    namespace = {"__name__": "page"}
    for block in blocks(page):
        code = compile(block, named(page), "exec")
        if BEYOND in block:
            look_up(ast.parse(block))
        else:
            exec(code, namespace)  # noqa: S102


def look_up(tree):
    """Ask for each name that code takes from the package; one that is not there raises AttributeError."""
    known = {"lab": Lab, "Lab": Lab, "study": study}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                getattr(import_module(node.module), alias.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            getattr(known[node.value.id], node.attr)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    built = tmp_path_factory.mktemp("docs") / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", ".", str(built)]
    here = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=ROOT, env=here, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return built


def test_the_site_fetches_nothing_from_elsewhere(site):
    fetched = r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>"
    for page in site.rglob("*.html"):
        assert re.findall(fetched, page.read_text()) == [], page
    for sheet in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text()) == [], sheet


def test_the_site_shows_every_picture_of_the_notebooks(site):
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(notebook.read_text())["cells"]
        drawn = sum("image/png" in shown.get("data", {}) for cell in cells for shown in cell.get("outputs", []))
        told = sum("![" in "".join(cell["source"]) for cell in cells)
        page = (site / "notebooks" / notebook.with_suffix(".html").name).read_text()
        assert drawn
        assert len(re.findall(r'<img[^>]*src="\.\./_images/\w+\.png"', page)) == drawn + told

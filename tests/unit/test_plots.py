"""Pictures: each also says in words what it shows, and needs no network."""

from pathlib import Path

import pytest

from gallump_lab import Lab
from gallump_lab.ui.plots import prompt_tokens


def test_a_prompts_picture_shows_every_section_with_its_tokens(tmp_path: Path) -> None:
    preview = Lab.open(tmp_path / "lab.duckdb").preview("Is AAPL cheap?", watchlist=["AAPL"])
    picture = prompt_tokens(preview)
    spec = picture._repr_mimebundle_()["application/vnd.vegalite.v6+json"]
    (rows,) = spec["datasets"].values()
    assert [row["tokens"] for row in rows] == preview.sections["tokens"].tolist()
    assert repr(picture).startswith("Tokens by section: header ")
    picture.save(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_section_that_is_not_there_is_not_drawn(tmp_path: Path) -> None:
    preview = Lab.open(tmp_path / "lab.duckdb").preview("Is it cheap?")
    assert "insights" not in repr(prompt_tokens(preview))
    assert preview.cost_usd is None or preview.cost_usd == pytest.approx(0)

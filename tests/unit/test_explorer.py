"""Sliders under a prompt."""

from datetime import UTC, datetime, timedelta

import pytest

from gallump_lab import Lab

NOW = datetime(2013, 3, 1, 22, tzinfo=UTC)


@pytest.fixture
def lab(tmp_path):
    lab = Lab.open(tmp_path / "lab.duckdb", clock=lambda: NOW)
    session = lab.sessions.get_or_create_session()
    for day in range(8):
        text = f"My AAPL stop is at {430 + day} <script>alert(1)</script>."
        lab.sessions.add_message(session, "user", text, "AAPL", NOW - timedelta(days=20 - day))
    return lab


def test_moving_a_slider_changes_what_the_prompt_holds_and_applies_nothing(lab):
    explorer = lab.explore("Where is my AAPL stop?", watchlist=["AAPL"])
    shown = explorer.children[-1]
    before, applied = shown.value, lab.config
    assert "My AAPL stop is at 437" in before
    explorer.sliders["warm"].value = 50
    assert f"WARM {sum(s.tokens for s in explorer.preview.slots if s.kept)} of 50" in shown.value
    kept, missed = shown.value.split("Over budget, next in line:")
    assert kept.count("My AAPL stop") < before.count("My AAPL stop")
    assert "My AAPL stop" in missed
    explorer.sliders["warm"].value = 500
    assert shown.value == before
    assert lab.config == applied
    assert lab.turns.empty


def test_what_was_said_is_shown_as_text(lab):
    shown = lab.explore("Where is my AAPL stop?").children[-1].value
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script" not in shown


def test_a_question_that_cannot_be_asked_is_refused_as_in_a_chat(lab):
    with pytest.raises(ValueError, match="prompt"):
        lab.explore("  ")

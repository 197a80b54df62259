"""Five processes work on one lab at once, some are killed: nothing is lost, twice or torn, and nobody is refused."""

import pytest
from shared_lab import MIX, run
from shared_lab_check import wrong


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("shared") / "lab.duckdb"
    return run(path, seconds=6, processes=5, kill_every=1.5, pause=0.5, messages=300)


def test_everything_is_done_while_processes_are_killed_and_nobody_is_refused(found):
    assert [line for line in found.done if {"busy", "failed"} & line.keys()] == []
    assert {*(line["kind"] for line in found.done), "two asks"} == {*MIX, "open"}
    assert any(line.get("together") for line in found.done)
    assert found.kills.total() == 3


def test_what_was_acknowledged_is_there_once_and_whole_with_its_index(found):
    assert wrong(found) == {"lost": [], "twice": [], "torn": []}

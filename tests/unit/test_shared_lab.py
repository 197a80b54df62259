"""Eight processes work on one lab at once, some are killed: nothing is lost, twice or torn, and nobody is refused."""

import pytest
from shared_lab import MIX, run
from shared_lab_check import wrong


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return run(tmp_path_factory.mktemp("shared") / "lab.duckdb", seconds=20, pause=1.5, messages=500)


@pytest.fixture(scope="module")
def amiss(found):
    return wrong(found)


def test_everything_is_done_while_processes_are_killed_at_work(found):
    done = {line["kind"] for line in found.done if not {"busy", "failed"} & line.keys()}
    assert {*done, "two asks"} == {*MIX, "open"}
    assert any(line.get("together") for line in found.done)
    assert found.kills.total() == 3


def test_no_step_waits_two_seconds_for_the_file(found):
    assert [line["busy"] for line in found.done if "busy" in line] == []


def test_nothing_else_goes_wrong(found):
    assert [line["failed"] for line in found.done if "failed" in line] == []


def test_what_was_acknowledged_is_there(amiss):
    assert amiss["lost"] == []


def test_nothing_is_there_twice(amiss):
    assert amiss["twice"] == []


def test_every_turn_session_and_message_is_whole_with_its_index(amiss):
    assert amiss["torn"] == []

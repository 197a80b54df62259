"""What was acknowledged is there: two writers at once, and a writer that is killed."""

import signal
import subprocess
import sys
from pathlib import Path

from gallump_lab import Lab

WRITER = """
import sys
from gallump_lab import Lab
path, name, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
lab = Lab.open(path, wait=60)
session = lab.sessions.get_or_create_session()
print("ready", flush=True)
sys.stdin.readline()
for i in range(number):
    lab.sessions.add_message(session, "user", f"{name} {i} says that the stop is at {i}.")
    print(i, flush=True)
"""


def _writer(path: Path, name: str, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(number)]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def test_two_processes_write_one_lab_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    path = tmp_path / "lab.duckdb"
    writers = [_writer(path, name, 500) for name in ("one", "other")]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        out, _ = writer.communicate()
        assert len(out.split()) == 500
    lab = Lab.open(path)
    expected = sorted(f"{name} {i} says that the stop is at {i}." for name in ("one", "other") for i in range(500))
    assert sorted(lab.messages["text"]) == expected
    assert lab.sql("select count(distinct message_id) as n from messages")["n"].tolist() == [1_000]
    assert lab.sql("select messages from sessions")["messages"].tolist() == [500, 500]


def test_a_writer_that_is_killed_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "lab.duckdb"
    acknowledged: list[str] = []
    for life in range(20):
        writer = _writer(path, f"life {life}", 10_000)
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
        first = (writer.stdout.readline().strip() for _ in range(5 + life % 7))
        acknowledged += [f"life {life} {i} " for i in first]
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        acknowledged += [f"life {life} {i} " for i in rest.split()]
    lab = Lab.open(path)
    texts = lab.messages["text"].tolist()
    assert len(texts) == len(set(texts))
    said = {text.split("says")[0] for text in texts}
    assert set(acknowledged) <= said
    assert len(said) - len(acknowledged) <= 20  # at most the one that each life had not acknowledged yet
    torn = lab.sql(
        "select count(*) as n from messages m where not exists (from passages p where p.message_id = m.message_id) "
        "or not exists (from passages p join postings using (passage_id) where p.message_id = m.message_id)"
    )
    assert torn["n"].tolist() == [0]
    assert len(lab.recall("Where is the stop?").slots) > 0

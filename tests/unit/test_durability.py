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


FULL_DISK = """
import resource, signal, sys
from gallump_lab import Lab
from gallump_lab.store import DiskFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
lab = Lab.open(sys.argv[1])
session = lab.sessions.get_or_create_session()
for i in range(12):
    limit(lab.store.path.stat().st_size + 4_000 * i)
    for again in range(2):
        try:
            lab.sessions.add_message(session, "user", f"full {i} {again} " + "stop " * 200)
            print(f"full {i} {again}")
        except DiskFull as error:
            assert "undone" in str(error)
    limit(resource.RLIM_INFINITY)
    lab.sessions.add_message(session, "user", f"room {i} 0")
    print(f"room {i} 0", flush=True)
    sys.stdin.readline()
"""

INTERRUPTED = """
import random, signal, sys
from gallump_lab import Lab
signal.signal(signal.SIGALRM, signal.default_int_handler)
dice = random.Random(1)
lab = Lab.open(sys.argv[1])
session = lab.sessions.get_or_create_session()
interrupts = 0
for i in range(150):
    try:
        signal.setitimer(signal.ITIMER_REAL, dice.uniform(0.0001, 0.03))
        lab.sessions.add_message(session, "user", f"sure {i} 0")
        said = "sure"
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupts += 1
        said = "open"
    signal.setitimer(signal.ITIMER_REAL, 0)
    if said == "sure":
        print(f"sure {i} 0")
    lab.sessions.add_message(session, "user", f"after {i} 0")
    print(f"after {i} 0")
assert interrupts > 20, interrupts
print("end", flush=True)
sys.stdin.readline()
"""


def _acknowledged(said: list[str], path: Path) -> set[str]:
    """What was acknowledged and is not in the lab, as another process sees it; nothing may be there twice."""
    found = [" ".join(text.split()[:3]) for text in Lab.open(path).messages["text"]]
    assert len(found) == len(set(found))
    return set(said) - set(found)


def _process(code: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_on_a_full_disk_what_is_acknowledged_is_kept_and_the_lab_stays_free(tmp_path: Path) -> None:
    path = tmp_path / "lab.duckdb"
    said: list[str] = []
    with _process(FULL_DISK, path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.strip())
            if line.startswith("room"):
                assert _acknowledged(said, path) == set()  # while the process that met the full disk lives on
                process.stdin.write("go\n")
                process.stdin.flush()
    assert process.returncode == 0
    assert sum(line.startswith("room") for line in said) == 12


def test_interrupts_lose_nothing_acknowledged_and_leave_the_lab_free(tmp_path: Path) -> None:
    path = tmp_path / "lab.duckdb"
    with _process(INTERRUPTED, path) as process:
        assert process.stdout is not None
        said = list(iter(process.stdout.readline, "end\n"))
        assert _acknowledged([line.strip() for line in said], path) == set()
        process.communicate("go\n")
    assert process.returncode == 0

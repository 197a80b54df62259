"""What was acknowledged is there: two writers at once, and a writer that is killed."""

import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from gallump_lab import Lab
from gallump_lab.store import DamagedFile

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


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A lab of one message, beside it the log of a process that was killed after it had committed two more."""
    made, path = tmp_path / "made.duckdb", tmp_path / "lab.duckdb"
    lab = Lab.open(made)
    lab.sessions.add_message(lab.sessions.get_or_create_session(), "user", "My stop is 430.")
    with duckdb.connect(made) as con:
        for i in (1000, 1001):
            con.execute("begin")
            con.execute("insert into messages select * replace (? as message_id) from messages limit 1", [i])
            con.execute("commit")
        shutil.copy(made, path)
        shutil.copy(f"{made}.wal", f"{path}.wal")
    return path


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _records(log: bytes) -> list[int]:
    """Where each record begins: after a header comes each one's length, its checksum and itself."""
    for header in range(8, 200):
        ends, end = [header], header
        while end + 16 <= len(log):
            end += 16 + struct.unpack_from("<Q", log, end)[0]
            ends.append(end)
        if end == len(log) and len(ends) > 5:
            return ends
    pytest.fail("no records")


def _grows(path: Path) -> list[int]:
    """Open a lab, write to it, open it anew, write again; give the messages that were there, found by their session."""
    Lab.open(path).sessions.get_or_create_session()
    lab = Lab.open(path)
    assert lab.cache.set("after", 1)
    found = lab.sql("select message_id from messages where session_id = (from messages select min(session_id))")
    assert not _log(path).exists()
    return sorted(found["message_id"])


def test_a_log_that_a_kill_tore_anywhere_leaves_a_lab_that_goes_on(killed: Path, tmp_path: Path) -> None:
    log, path = _log(killed).read_bytes(), tmp_path / "torn.duckdb"
    records = _records(log)
    commits = [records[i + 1] for i, begin in enumerate(records[:-1]) if records[i + 1] - begin < 30]  # the shortest
    assert len(commits) == 2
    for cut in sorted({0, 3, *records, *(begin + 5 + 8 * (i % 3) for i, begin in enumerate(records[:-1]))}):
        shutil.copy(killed, path)
        _log(path).write_bytes(log[:cut])
        assert _grows(path) == [1, 1000, 1001][: 1 + sum(end <= cut for end in commits)], cut


def test_a_lab_that_went_on_beside_a_torn_log_is_mended_and_says_so(killed: Path) -> None:
    log = _log(killed).read_bytes()[:100]
    _log(killed).unlink()
    with duckdb.connect(killed) as con:
        con.execute("insert into cache values ('later', '1', null)")
    _log(killed).write_bytes(log)
    with pytest.raises(duckdb.Error, match="does not match"):
        duckdb.connect(killed)
    with pytest.warns(RuntimeWarning, match=r"nothing is missing.*lab\.duckdb\.wal\.1"):
        assert Lab.open(killed).cache.get("later") == 1
    assert killed.with_name("lab.duckdb.wal.1").read_bytes() == log
    assert _grows(killed) == [1]


def test_a_log_that_power_loss_damaged_counts_up_to_the_damage(killed: Path) -> None:
    log = _log(killed).read_bytes()
    damaged = log[:-60] + bytes(60)
    _log(killed).write_bytes(damaged)
    with pytest.warns(RuntimeWarning, match="last step may be missing"):
        assert Lab.open(killed).messages["message_id"].tolist() == [1, 1000]
    assert killed.with_name("lab.duckdb.wal.1").read_bytes() == damaged
    assert _grows(killed) == [1, 1000]


@pytest.mark.parametrize("what", ["directory", "another lab's", "a newer file's"])
def test_what_is_no_log_of_the_lab_is_named_and_nothing_touched(killed: Path, tmp_path: Path, what: str) -> None:
    log = _log(killed)
    if what == "another lab's":
        Lab.open(tmp_path / "other.duckdb")
        shutil.copy(tmp_path / "other.duckdb", killed)
    elif what == "directory":
        log.unlink()
        log.mkdir()
    else:
        old = killed.read_bytes()
        with duckdb.connect(killed) as con:
            con.execute("checkpoint")
            con.execute("insert into cache values ('later', '1', null)")
            kept = log.read_bytes()
        killed.write_bytes(old)
        log.write_bytes(kept)
    before = killed.read_bytes()
    with pytest.raises(DamagedFile, match=r"lab\.duckdb\.wal, where DuckDB keeps.*move it away"):
        Lab.open(killed)
    assert killed.read_bytes() == before
    assert log.exists()
    assert not killed.with_name("lab.duckdb.wal.1").exists()

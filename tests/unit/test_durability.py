"""What was acknowledged is there: a full disk, an interrupt, a fork, a torn log; test_shared_lab kills at work."""

import contextlib
import multiprocessing
import os
import random
import resource
import shutil
import signal
import struct
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gallump_lab import Lab
from gallump_lab.store import DamagedFile, DiskFull

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["gallump_lab.lab", "gallump_lab.memory.messages", "pandas", "duckdb"])


class Child:
    """A process that writes a lab and tells through a pipe what was acknowledged; it starts soon."""

    def __init__(self, write: Callable[..., None], path: Path, *given: Any) -> None:
        self.pipe, other = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=write, args=(other, path, *given))
        self.process.start()
        other.close()

    def said(self) -> list[str]:
        """All that is still to come, until the process ends."""
        found = []
        try:
            while True:
                found.append(self.pipe.recv())
        except EOFError:
            self.process.join()
            return found


def filled_the_disk(pipe: Connection, path: Path) -> None:
    """Write while there is less and less room, and again when there is."""

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    lab = Lab.open(path)
    session = lab.sessions.get_or_create_session()
    for i in range(5):
        limit(path.stat().st_size + 7_000 * i)
        for again in range(2):
            with contextlib.suppress(DiskFull):
                lab.sessions.add_message(session, "user", f"full {i} {again}: " + "stop " * 200)
                pipe.send(f"full {i} {again}")
        limit(resource.RLIM_INFINITY)
        lab.sessions.add_message(session, "user", f"room {i}:")
        pipe.send(f"room {i}")
        pipe.send("look")
        pipe.recv()


def was_interrupted(pipe: Connection, path: Path) -> None:
    """Write while Ctrl-C is pressed again and again."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    dice, interrupts = random.Random(1), 0
    lab = Lab.open(path)
    session = lab.sessions.get_or_create_session()
    for i in range(25):
        try:
            signal.setitimer(signal.ITIMER_REAL, dice.uniform(0.0001, 0.02))
            lab.sessions.add_message(session, "user", f"sure {i}:")
            sure = True
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupts, sure = interrupts + 1, False
        signal.setitimer(signal.ITIMER_REAL, 0)
        if sure:
            pipe.send(f"sure {i}")
        lab.sessions.add_message(session, "user", f"after {i}:")
        pipe.send(f"after {i}")
    assert interrupts > 5, interrupts
    pipe.send("look")
    pipe.recv()


def missing(said: set[str], path: Path) -> set[str]:
    """Give what was acknowledged and is not in the lab, as another process sees it; nothing may be there twice."""
    found = [text.partition(":")[0] for text in Lab.open(path).messages["text"]]
    assert len(found) == len(set(found))
    return said - set(found)


@pytest.mark.parametrize("trouble", [filled_the_disk, was_interrupted])
def test_in_trouble_what_is_acknowledged_is_kept_and_the_lab_stays_free(
    tmp_path: Path, trouble: Callable[..., None]
) -> None:
    path, said = tmp_path / "lab.duckdb", []
    child = Child(trouble, path)
    with contextlib.suppress(EOFError):
        while True:
            said.append(child.pipe.recv())
            if said[-1] == "look":  # while the process that met the trouble lives on
                assert missing({*said} - {"look"}, path) == set()
                child.pipe.send("go")
    child.process.join()
    assert child.process.exitcode == 0
    assert "look" in said


def was_forked(pipe: Connection, path: Path) -> None:
    """Fork off children, which use the lab and end."""
    lab = Lab.open(path)
    lab.cache.set("before", 1)
    snapshot = lab.snapshot()
    assert snapshot.sql("select key from cache")["key"].tolist() == ["before"]
    for i in range(3):
        child = os.fork()
        if not child:
            lab.cache.set(f"child {i}", i)
            with snapshot.read() as con:
                con.execute("from cache").fetchall()
            if not i:  # the process that runs statements is its parent's, and not to be asked
                assert snapshot.sql("select key from cache")["key"].tolist() == ["before"]
            os._exit(0)
        pipe.send(f"{os.waitpid(child, 0)[1]} {lab.cache.get(f'child {i}')}")


def test_a_forked_child_uses_the_lab_and_ends(tmp_path: Path) -> None:
    assert Child(was_forked, tmp_path / "lab.duckdb").said() == [f"0 {i}" for i in range(3)]


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


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def records(log: bytes) -> list[int]:
    """Where each record begins: after a header comes each one's length, its checksum and itself."""
    for header in range(8, 200):
        ends, end = [header], header
        while end + 16 <= len(log):
            end += 16 + struct.unpack_from("<Q", log, end)[0]
            ends.append(end)
        if end == len(log) and len(ends) > 5:
            return ends
    pytest.fail("no records")


def grows(path: Path) -> list[int]:
    """Open a lab, write to it, open it anew, write again; give the messages that were there, found by their session."""
    Lab.open(path).sessions.get_or_create_session()
    lab = Lab.open(path)
    assert lab.cache.set("after", 1)
    with lab.store.read() as con:
        (session,) = con.execute("select min(session_id) from messages").fetchone()
        found = con.execute("select message_id from messages where session_id = ?", [session]).fetchall()
    assert not log_of(path).exists()
    return sorted(message for (message,) in found)


def test_a_log_that_a_kill_tore_anywhere_leaves_a_lab_that_goes_on(killed: Path, tmp_path: Path) -> None:
    log, path = log_of(killed).read_bytes(), tmp_path / "torn.duckdb"
    begins = records(log)
    commits = [begins[i + 1] for i, begin in enumerate(begins[:-1]) if begins[i + 1] - begin < 30]  # the shortest
    assert len(commits) == 2
    for cut in sorted({0, 3, *commits, *begins[::2], *(begin + 5 for begin in begins[:-1:3])}):
        shutil.copy(killed, path)
        log_of(path).write_bytes(log[:cut])
        assert grows(path) == [1, 1000, 1001][: 1 + sum(end <= cut for end in commits)], cut


def test_a_log_that_power_loss_damaged_counts_up_to_the_damage(killed: Path) -> None:
    damaged = log_of(killed).read_bytes()[:-60] + bytes(60)
    log_of(killed).write_bytes(damaged)
    with pytest.warns(RuntimeWarning, match="last step may be missing"):
        assert Lab.open(killed).messages["message_id"].tolist() == [1, 1000]
    assert killed.with_name("lab.duckdb.wal.1").read_bytes() == damaged
    assert grows(killed) == [1, 1000]


@pytest.mark.parametrize("what", ["directory", "another lab's", "a newer file's"])
def test_what_is_no_log_of_the_lab_is_named_and_nothing_touched(killed: Path, tmp_path: Path, what: str) -> None:
    log = log_of(killed)
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
    with pytest.raises(DamagedFile, match=r"its log .*lab\.duckdb\.wal.*move it away"):
        Lab.open(killed)
    assert killed.read_bytes() == before
    assert log.exists()
    assert not killed.with_name("lab.duckdb.wal.1").exists()

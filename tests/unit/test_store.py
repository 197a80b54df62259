"""The lab file: who may use it, what is refused, what survives."""

import contextlib
import copy
import errno
import functools
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from gallump_lab import Lab
from gallump_lab.store import (
    Cache,
    Catalogue,
    DamagedFile,
    DiskFull,
    LabBusy,
    NoPermission,
    NotALab,
    OtherVersion,
    QueryRefused,
    Snapshot,
    Store,
    StoreError,
    frame,
)
from gallump_lab.store.lease import Instance


class Text(str):
    """A text that JSON would give back as a plain one."""

    __slots__ = ()


def _run(code: str, *arguments: str) -> list[str]:
    """Run Python in a process of its own; give what it printed, by lines."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert not found.returncode, found.stderr
    return found.stdout.splitlines()


def test_another_process_may_use_the_file_between_steps(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    with duckdb.connect(store.path) as other:
        assert other.execute("select count(*) from messages").fetchone() == (0,)


@pytest.mark.parametrize(
    "content", [b"", b"abc", b"hello, this is no database" * 1000, b"SQLite format 3\0" + b"\0" * 5000]
)
def test_what_is_not_a_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(NotALab, match="not a DuckDB database"):
        Store.open(path, wait=0.1)
    assert path.read_bytes() == content


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotALab, match="is a directory"):
        Store.open(tmp_path)


@pytest.mark.parametrize("path", ["", ".", ":memory:", "a\0b", Path()])
def test_a_lab_and_its_backup_need_a_file(tmp_path: Path, path: str) -> None:
    with pytest.raises(NotALab, match=r"lab\.duckdb"):
        Store.open(path)
    with pytest.raises(NotALab, match=r"lab\.duckdb"):
        Store.open(tmp_path / "lab.duckdb").backup(path)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("loop", "can be no file's path: Symlink loop"),
        ("pipe", "is no ordinary file but a pipe"),
        ("/dev/null", "is no ordinary file but a pipe, a socket or a device"),
        ("x" * 300, "can be no file's path: File name too long"),
        ("x" * 253, "can be no file's path: File name too long"),
        ("~no-such-user/lab.duckdb", "can be no file's path: Could not determine home"),
        ("\ud83d.duckdb", "can be no file's path"),
    ],
)
def test_what_can_be_no_lab_is_said_in_words_by_all_that_take_a_path(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    store = Store.open(tmp_path / "lab.duckdb")
    path = name if name[0] in "~/" else tmp_path / name
    for use in (Store.open, store.backup, Snapshot.load, Snapshot.take(store).save):
        with pytest.raises(NotALab, match=why):
            use(path)


def test_lab_backup_snapshot_and_log_are_for_their_owner_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    made = [store.path, store.backup(tmp_path / "backup.duckdb"), Snapshot.take(store).save(tmp_path / "snapshot")]
    with store.write() as con:
        con.execute("insert into cache values ('a', '1', null)")
        made.append(tmp_path / "lab.duckdb.wal")
        assert [oct(path.stat().st_mode & 0o777) for path in made] == ["0o600"] * 4
    assert not made[-1].exists()


def test_a_lab_that_its_owner_shares_stays_shared(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    store.path.chmod(0o660)
    assert Cache(Store.open(store.path)).set("a", 1)
    assert store.path.stat().st_mode & 0o777 == 0o660


def test_nobody_else_can_hold_up_a_lab_at_its_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "queue"))
    (tmp_path / "queue").mkdir()
    cache = Cache(Store.open(tmp_path / "lab.duckdb", wait=60))
    (gate,) = (tmp_path / "queue").iterdir()
    if os.getuid():  # a file of somebody else's takes root to make
        gate.unlink()
        os.mkfifo(gate)
    else:
        os.chown(gate, 65534, 65534)
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(gate)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        if not os.getuid():
            assert holder.stdout is not None
            assert holder.stdout.readline() == "1\n"
        begun = time.monotonic()
        assert cache.set("a", 1)
        assert time.monotonic() - begun < 60
        holder.kill()


def test_a_lab_and_its_snapshot_say_how_they_go_to_another_process(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb")
    for use in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match=r"lab\.duckdb.*Lab\.open\(path\)"):
            use(lab)
        with pytest.raises(TypeError, match=r"snapshot\.save\(path\)"):
            use(lab.snapshot())


def test_a_lab_that_is_replaced_in_place_is_looked_at_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    Cache(store).set("a", 1)
    with duckdb.connect(tmp_path / "theirs.duckdb") as con:
        con.execute("create table theirs as select 42 as answer")
    kept = store.path.read_bytes()
    store.path.write_bytes((tmp_path / "theirs.duckdb").read_bytes())
    with pytest.raises(NotALab, match="but not a lab"):
        Cache(store).get("a")
    store.path.write_bytes(kept)
    assert Cache(store).get("a") == 1


def test_a_time_outside_of_all_years_is_said_in_words(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb")
    at = datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=5)))
    session = lab.sessions.get_or_create_session()
    for use in (
        lambda: lab.sessions.add_message(session, "user", "Stop at 180.", created_at=at),
        lambda: lab.recall("my stop", as_of=at),
        lambda: lab.add_question("Where is my stop?", asked_at=at),
    ):
        with pytest.raises(ValueError, match="in no year from 1 to 9999"):
            use()


def _damaged(store: Store) -> int:
    """Damage each block in turn until messages cannot be read; say which it was."""
    good = store.path.read_bytes()
    for begin in range(12288, len(good), 262_144):
        store.path.write_bytes(
            good[: begin + 8] + bytes(byte ^ 255 for byte in good[begin + 8 : begin + 72]) + good[begin + 72 :]
        )
        try:
            frame(store, "select message_id, text from messages")
            frame(store, "select * from cache")
        except DamagedFile:
            return begin
    pytest.fail("no damage shows")


def test_a_backup_of_a_damaged_lab_says_what_is_damaged_and_leaves_nothing(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb")
    for i in range(20):
        lab.cache.set(f"{i}", "much to tell " * 200)
    _damaged(lab.store)
    with pytest.raises(DamagedFile, match=r"lab\.duckdb is damaged.*Restore a backup"):
        lab.backup(tmp_path / "backup.duckdb")
    assert [path.name for path in tmp_path.iterdir()] == ["lab.duckdb"]


def test_a_damaged_block_that_a_commit_meets_is_a_damaged_file(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    cache = Cache(store)
    for i in range(20):
        cache.set(f"{i}", "much to tell " * 200)
    good = store.path.read_bytes()
    for begin in range(12288, len(good), 262_144):
        store.path.write_bytes(good[: begin + 8] + bytes(64) + good[begin + 72 :])
        for i in range(20):
            with contextlib.suppress(DamagedFile):  # and nothing else
                cache.set(f"{i}", i)
        store.path.write_bytes(good)


def test_a_snapshot_that_finds_no_room_says_so_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = Snapshot.take(Store.open(tmp_path / "lab.duckdb"))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "move", full)
    with pytest.raises(DiskFull, match=r"No room to write .*copy: No space left"):
        snapshot.save(tmp_path / "copy")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["lab.duckdb"]
    assert Snapshot.load(snapshot.save(tmp_path / "copy")).hash == snapshot.hash


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoPermission, match="does not exist"):
        Store.open(tmp_path / "nowhere" / "lab.duckdb")


@pytest.mark.parametrize(
    "theirs",
    [
        "create table theirs as select 42 as answer",
        "create view theirs as select 42 as answer",
        "create macro theirs(a) as a + 1",
        "create sequence theirs",
        "create type theirs as enum ('a')",
        "create schema theirs",
        "create table schema as select 1 as version",
    ],
)
def test_somebody_elses_database_is_refused_and_left_alone(tmp_path: Path, theirs: str) -> None:
    path = tmp_path / "theirs.duckdb"
    with duckdb.connect(path) as con:
        con.execute(theirs)
    before = path.read_bytes()
    with pytest.raises(NotALab, match="not a lab"):
        Store.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("theirs", "mend"),
    [
        ("update schema set version = 999", "version 999.*Upgrade gallump_lab"),
        ("drop table schema; create table migrations (number integer)", "before the first release.*to_csv"),
    ],
)
def test_a_lab_of_another_version_is_refused_and_left_alone(tmp_path: Path, theirs: str, mend: str) -> None:
    path = Store.open(tmp_path / "lab.duckdb").path
    with duckdb.connect(path) as con:
        con.execute(theirs)
    before = path.read_bytes()
    with pytest.raises(OtherVersion, match=mend):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_damaged_file_says_so_and_is_left_alone(tmp_path: Path) -> None:
    path = Store.open(tmp_path / "lab.duckdb").path
    broken = bytearray(path.read_bytes())
    broken[12288 + 16 : 12288 + 4096] = bytes(4096 - 16)
    path.write_bytes(broken)
    with pytest.raises(DamagedFile, match="Restore a backup"):
        Store.open(path)
    assert path.read_bytes() == bytes(broken)


def test_a_file_without_permission_says_so_and_is_left_alone(tmp_path: Path) -> None:
    path = Store.open(tmp_path / "lab.duckdb").path
    before = path.read_bytes()
    code = """
import os, sys
from gallump_lab.store import NoPermission, Store
Store.open(sys.argv[2])  # so that everything is imported before root's right to open any file is given up
if os.getuid() == 0:
    os.setuid(65534)
try:
    Store.open(sys.argv[1])
except NoPermission as error:
    print(error)
"""
    path.chmod(0o400)
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "other.duckdb")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "may not be opened" in found.stdout, found.stderr
    assert path.read_bytes() == before


def test_a_full_disk_undoes_the_step_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lab.duckdb"
    lab = Lab.open(path)
    session = lab.sessions.get_or_create_session()
    lab.sessions.add_message(session, "user", "Stop at 180.")
    code = """
import resource, signal, sys
from gallump_lab import Lab
from gallump_lab.store import DiskFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
lab = Lab.open(sys.argv[1])
size = lab.store.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40_000, size + 40_000))
try:
    lab.cache.set("big", "".join(str(i * 7919) for i in range(400_000)))
except DiskFull as error:
    print("full:", error)
"""
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "full:" in found.stdout, found.stderr
    assert lab.messages["text"].tolist() == ["Stop at 180."]
    assert lab.cache.get("big") is None
    assert issubclass(DiskFull, StoreError)


def test_a_file_that_stays_locked_names_the_process_that_holds_it(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb", wait=0.2)
    code = "import duckdb, sys\ncon = duckdb.connect(sys.argv[1])\nprint('held', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LabBusy, match=f"process {holder.pid}") as caught:
            Cache(store).get("x")
        assert caught.value.pid == holder.pid
        holder.communicate("")
    assert Cache(store).get("x") is None


def test_a_connection_of_ones_own_in_the_same_process_is_named(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb", wait=0.1)
    with duckdb.connect(store.path), pytest.raises(LabBusy, match="this process") as caught:
        Cache(store).get("x")
    assert caught.value.pid == os.getpid()


def test_threads_of_one_process_take_turns(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb")
    session = lab.sessions.get_or_create_session()
    again = Lab.open(tmp_path / "lab.duckdb")

    def write(who: Lab, name: str) -> None:
        for i in range(10):
            who.sessions.add_message(session, "user", f"{name} {i}")

    threads = [threading.Thread(target=write, args=(who, f"t{n}")) for n, who in enumerate([lab, again, lab, again])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lab.messages["text"]) == sorted(f"t{n} {i}" for n in range(4) for i in range(10))


def test_threads_wait_no_longer_than_they_were_told(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb", wait=0.2)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.read():
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with pytest.raises(LabBusy, match="another thread of this process"):
        Cache(store).get("x")
    done.set()
    thread.join()
    assert Cache(store).get("x") is None


@pytest.mark.parametrize("moment", ["cursor", "_attach"])
def test_an_interrupt_while_a_step_begins_leaves_the_lab_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    owner = Instance if moment == "cursor" else Store
    begin = getattr(owner, moment)

    def interrupted(*args: Any, **options: Any) -> None:
        begin(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, moment, interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            Cache(store).set("a", 1)
    monkeypatch.undo()
    with duckdb.connect(store.path) as other:
        assert other.execute("select count(*) from cache").fetchone() == (0,)
    assert Cache(store).set("a", 1)


def test_a_file_that_is_gone_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    Cache(store).set("a", 1)
    kept = store.path.rename(tmp_path / "moved.duckdb")
    for use in (lambda: Cache(store).get("a"), lambda: Cache(store).set("b", 1), lambda: Snapshot.take(store)):
        with pytest.raises(StoreError, match="moved or deleted"):
            use()
    assert not store.path.exists()
    kept.rename(store.path)
    assert Cache(store).get("a") == 1


def test_a_backup_that_is_put_back_is_used_and_anything_else_refused(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    Cache(store).set("a", 1)
    kept = store.backup(tmp_path / "backup.duckdb")
    Cache(store).set("a", 2)
    kept.replace(store.path)
    assert Cache(store).get("a") == 1
    duckdb.connect(tmp_path / "empty.duckdb").close()
    (tmp_path / "empty.duckdb").replace(store.path)
    with pytest.raises(StoreError, match="replaced by an empty database"):
        Cache(store).set("a", 3)


FORKED = """
import os, sys, threading
from gallump_lab.store import Cache, Snapshot, Store
store = Store.open(sys.argv[1])
cache, done = Cache(store), threading.Event()
cache.set("before", 1)
snapshot = Snapshot.take(store)
snapshot.sql("select 1")  # the process that runs statements is this one's, and no child's
def busy():
    while not done.is_set():
        cache.set("busy", 1)
thread = threading.Thread(target=busy)
thread.start()
for i in range(3):
    child = os.fork()
    if not child:
        cache.set(f"child {i}", i)
        with snapshot.read() as con:
            assert con.execute("select key from cache").fetchall() == [("before",)]
        assert i or snapshot.sql("select key from cache")["key"].tolist() == ["before"]
        sys.exit()
    print(os.waitpid(child, 0)[1], cache.get(f"child {i}"), flush=True)
done.set()
thread.join()
"""


def test_a_forked_child_uses_the_lab_and_ends(tmp_path: Path) -> None:
    assert _run(FORKED, str(tmp_path / "lab.duckdb")) == [f"0 {i}" for i in range(3)]


def test_an_error_inside_a_step_undoes_it_and_frees_the_file(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")

    def break_off() -> None:
        with store.write() as con:
            con.execute("insert into cache values ('a', '1', null)")
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert Cache(store).get("a") is None
    with duckdb.connect(store.path) as other:
        assert other.execute("select count(*) from cache").fetchone() == (0,)


def test_a_step_inside_a_step_is_a_mistake_that_does_not_hang(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    with store.read(), pytest.raises(RuntimeError, match="inside another"), store.read():
        pass
    assert Cache(store).get("a") is None


def test_a_backup_holds_everything_and_never_overwrites(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb")
    lab.ask("Is AAPL worth buying?", watchlist=["AAPL"])
    kept = lab.backup(tmp_path / "backup.duckdb")
    copy = Lab.open(kept)
    assert copy.messages.equals(lab.messages)
    assert copy.ask("And now?").turn_id == 2
    with pytest.raises(FileExistsError, match="never overwrites"):
        lab.backup(kept)


@pytest.mark.parametrize("place", ["nowhere/backup.duckdb", "lab.duckdb/backup.duckdb"])
def test_a_backup_that_cannot_be_written_names_its_own_path(tmp_path: Path, place: str) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    with pytest.raises(NoPermission, match=r"backup\.duckdb"):
        store.backup(tmp_path / place)


def test_a_backup_that_finds_no_room_names_its_own_path_and_leaves_nothing(tmp_path: Path) -> None:
    path = Store.open(tmp_path / "lab.duckdb").path
    code = """
import resource, signal, sys
from gallump_lab.store import Cache, DiskFull, Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
try:
    store.backup(sys.argv[2])
except DiskFull as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(Cache(store).set("a", 1), store.backup(sys.argv[2]))
"""
    target = tmp_path / "backup.duckdb"
    found = _run(code, str(path), str(target))
    assert found[0].startswith(f"No room to write {target}:")
    assert found[1] == f"True {target}"
    assert sorted(tmp_path.iterdir()) == [target, path]


def test_a_snapshot_does_not_move_and_holds_nothing(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb")
    session = lab.sessions.get_or_create_session()
    lab.sessions.add_message(session, "user", "before")
    snapshot = lab.snapshot()
    lab.sessions.add_message(session, "user", "after")
    shutil.move(lab.store.path, tmp_path / "moved.duckdb")
    assert snapshot.sql("select text from messages")["text"].tolist() == ["before"]
    snapshot.close()
    snapshot.close()
    with pytest.raises(StoreError, match="closed"):
        snapshot.sql("select 1")


def test_two_snapshots_can_be_read_while_the_lab_is(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    one, other = Snapshot.take(store), Snapshot.take(store)
    with one.read() as a, other.read() as b, store.read() as c:
        assert [con.execute("select count(*) from messages").fetchone() for con in (a, b, c)] == [(0,)] * 3


@pytest.mark.parametrize(
    "sql",
    [
        "delete from messages",
        "select 1; select 2",
        "attach 'x.duckdb'",
        "",
        "copy messages to 'x'",
        "set threads = 1",
        "create table x (a int)",
        "pragma database_list",
        "install fts",
        "update extensions",
    ],
)
def test_sql_only_reads(tmp_path: Path, sql: str) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    with pytest.raises(QueryRefused, match="one statement that reads"):
        frame(store, sql)


@pytest.mark.parametrize("of", [lambda store: store, Snapshot.take])
@pytest.mark.parametrize(
    "sql",
    [
        "explain analyze copy (select 1) to '{folder}/x'",
        "explain analyze insert into cache values ('a', '1', null)",
        "explain analyze set threads = 7",
        "explain analyze create table x as select 1",
        "from read_text('{folder}/notes.csv')",
        "from query('from read_text(''{folder}/notes.csv'')')",
        "from '{folder}/notes.csv'",
        "select size from read_blob('{folder}/lab.duckdb')",
        "from '{folder}/lab.duckdb'",
        "from glob('{folder}/*')",
        "select * from variable",
    ],
)
def test_sql_reaches_nothing_but_the_lab(tmp_path: Path, sql: str, of: Callable[[Store], Catalogue]) -> None:
    (tmp_path / "notes.csv").write_text("a\n1\n")
    store = Store.open(tmp_path / "lab.duckdb")
    catalogue = of(store)
    threads = frame(catalogue, "select current_setting('threads') as n")["n"].tolist()
    variable = pd.DataFrame({"a": [1]})
    with pytest.raises((QueryRefused, duckdb.Error)):
        frame(catalogue, sql.format(folder=tmp_path))
    assert len(variable) == 1
    assert not (tmp_path / "x").exists()
    assert frame(catalogue, "select key from cache")["key"].tolist() == []
    assert frame(catalogue, "select current_setting('threads') as n")["n"].tolist() == threads
    Cache(store).set("a", 1)


@pytest.mark.parametrize("sql", ["explain select 1", "explain analyze from cache", "describe cache", "show tables"])
def test_sql_explains_and_describes(tmp_path: Path, sql: str) -> None:
    assert len(frame(Store.open(tmp_path / "lab.duckdb"), sql)) > 0


@pytest.mark.parametrize(
    "sql",
    [
        "selec corrupt",
        "select checksum",
        "select 'INTERNAL checksum'::int",
        "from corrupt",
        "select error('invalidated')",
    ],
)
def test_a_mistake_in_sql_is_not_taken_for_a_damaged_file(tmp_path: Path, sql: str) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    with pytest.raises(duckdb.Error):
        frame(store, sql)
    with pytest.raises(duckdb.Error), store.write() as con:
        con.execute(sql)
    assert Cache(store).get("a") is None


def test_dates_stay_dates(tmp_path: Path) -> None:
    found = frame(Store.open(tmp_path / "lab.duckdb"), "select date '2013-02-28' as day, timestamp '2013-02-28' as t")
    assert found["day"].tolist() == [pd.Timestamp(2013, 2, 28)]
    assert found["t"].tolist() == [datetime(2013, 2, 28, tzinfo=UTC)]


def test_sql_binds_values_and_gives_utc_times(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb")
    session = lab.sessions.get_or_create_session()
    said = datetime(2013, 2, 28, 15, 30, tzinfo=UTC)
    lab.sessions.add_message(session, "user", "'; drop table messages; --", created_at=said)
    found = lab.sql("select * from messages where text = ?", ["'; drop table messages; --"])
    assert found["created_at"].tolist() == [said]
    assert lab.sql("select $a + 1 as b", {"a": 1})["b"].tolist() == [2]


def test_sql_that_holds_the_lab_too_long_is_interrupted(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    endless = "select sum(i * j) from range(10000000000) a(i), range(1000000) b(j)"
    with pytest.raises(QueryRefused, match="snapshot"):
        frame(store, endless, seconds=0.05)
    assert Cache(store).get("a") is None


@pytest.mark.parametrize(
    "value",
    [[1, [2, None]], {"a": {"b": [True]}}, '{"a": 1}', "[1]", "null", "", True, 0, 1.5, -1e300, "x\0y", "🚀"],
)
def test_a_cached_value_comes_back_equal_and_of_its_type(tmp_path: Path, value: object) -> None:
    cache = Cache(Store.open(tmp_path / "lab.duckdb"))
    assert cache.set("key", value) is True
    found = cache.get("key")
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "value", [(1, 2), {1: 2}, {"a": (1,)}, float("nan"), float("inf"), {1}, datetime.now(UTC), b"x"]
)
def test_what_would_not_come_back_equal_is_refused(tmp_path: Path, value: object) -> None:
    cache = Cache(Store.open(tmp_path / "lab.duckdb"))
    with pytest.raises(ValueError, match="key"):
        cache.set("key", value)
    assert cache.get("key") is None


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (np.float64(1.5), "holds a float64, which would come back as a float"),
        ([Text("a")], "holds a Text, which would come back as a str"),
        ({"a": {1: 2}}, "has the key 1, which is no text"),
        ("\ud83d", "half a surrogate pair"),
        ({"\ud83d": 1}, "has the key"),
        (functools.reduce(lambda inner, _: [inner], range(100_000), []), "nested too deep"),
    ],
)
def test_what_is_wrong_with_a_value_is_said(tmp_path: Path, value: object, wrong: str) -> None:
    cache = Cache(Store.open(tmp_path / "lab.duckdb"))
    with pytest.raises(ValueError, match=wrong):
        cache.set("key", value)


@pytest.mark.parametrize(
    ("key", "minutes"), [("", None), ("\ud83d", None), (5, None), ("a", 0), ("a", -1), ("a", True), ("a", "5")]
)
def test_bad_keys_and_expiries_are_refused(tmp_path: Path, key: str, minutes: float | None) -> None:
    cache = Cache(Store.open(tmp_path / "lab.duckdb"))
    with pytest.raises(ValueError, match="must be"):
        cache.set(key, 1, minutes)


def test_a_cached_value_really_expires(tmp_path: Path) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    cache = Cache(Store.open(tmp_path / "lab.duckdb"), lambda: now[0])
    cache.set("short", 1, expire_minutes=5)
    cache.set("long", 2)
    now[0] += timedelta(minutes=4, seconds=59)
    assert cache.get("short") == 1
    now[0] += timedelta(seconds=1)
    assert cache.get("short") is None
    assert cache.get("long") == 2


def test_a_base_url_is_never_in_the_file(tmp_path: Path) -> None:
    from gallump_lab import Config, Model

    lab = Lab.open(tmp_path / "lab.duckdb")
    lab.apply(Config(model=Model(base_url="https://models.example.org")))
    assert lab.config.model.base_url == "https://models.example.org"
    assert Lab.open(tmp_path / "lab.duckdb").config.model.base_url is None
    assert "example.org" not in json.dumps(lab.sql("select toml from configs")["toml"].tolist())

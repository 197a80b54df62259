"""The lab file: who may use it, what is refused, what survives; the analyst's SQL and the cache."""

import contextlib
import errno
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
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
from gallump_lab.store.locks import Instance

ENDLESS = "select sum(i * j) from range(10000000000) a(i), range(1000000) b(j)"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "lab.duckdb", wait=0.5)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for the tests that leave it as it is, but for its cache."""
    return Store.open(tmp_path_factory.mktemp("kept") / "lab.duckdb")


def process(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


# Opening


@pytest.mark.parametrize("content", [b"", b"hello, this is no database" * 1000])
def test_what_is_not_a_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(NotALab, match="not a DuckDB database"):
        Store.open(path, wait=0.1)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is no file but a folder"),
        (":memory:", "is no file"),
        ("a\0b", r"can be no file's path.*lab\.duckdb"),
        ("folder", "is no file but a folder"),
        ("loop", "Symlink loop|a pipe or a loop"),
        ("pipe", "is no file but a folder, a pipe"),
        ("~no-such-user/lab.duckdb", "can be no file's path: Could not determine home"),
        ("\ud83d.duckdb", "can be no file's path"),
    ],
)
def test_what_can_be_no_lab_is_said_in_words_by_all_that_take_a_path(
    kept: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe")
    snapshot = Snapshot.take(kept)
    for use in (Store.open, kept.backup, Snapshot.load, snapshot.save):
        with pytest.raises(NotALab, match=why):
            use(name)


@pytest.mark.parametrize(
    "theirs",
    ["create table theirs (a int)", "create sequence theirs", "create table schema as select 1 as version"],
)
def test_somebody_elses_database_is_refused_and_left_alone(tmp_path: Path, theirs: str) -> None:
    path = tmp_path / "theirs.duckdb"
    with duckdb.connect(path) as con:
        con.execute(theirs)
    before = path.read_bytes()
    with pytest.raises(NotALab, match="not a lab"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_lab_of_another_version_is_refused_and_left_alone(store: Store) -> None:
    with duckdb.connect(store.path) as con:
        con.execute("update schema set version = 999")
    before = store.path.read_bytes()
    with pytest.raises(OtherVersion, match=r"version 999.*Upgrade gallump_lab"):
        Store.open(store.path)
    assert store.path.read_bytes() == before


def test_a_missing_folder_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NoPermission, match=r"nowhere.*Its folder must exist"):
        Store.open(tmp_path / "nowhere" / "lab.duckdb")
    for place in ("nowhere/backup.duckdb", "lab.duckdb/backup.duckdb"):
        with pytest.raises(NoPermission, match=r"backup\.duckdb"):
            store.backup(tmp_path / place)


def test_a_file_without_permission_says_so_and_is_left_alone(store: Store, tmp_path: Path) -> None:
    before = store.path.read_bytes()
    store.path.chmod(0o400)
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
    with process(code, str(store.path), str(tmp_path / "other.duckdb")) as child:
        assert "may not be opened" in child.communicate()[0]
    assert store.path.read_bytes() == before


def test_lab_backup_snapshot_and_log_are_for_their_owner_alone_unless_he_shares(store: Store, tmp_path: Path) -> None:
    made = [store.path, store.backup(tmp_path / "backup.duckdb"), Snapshot.take(store).save(tmp_path / "snapshot")]
    with store.write() as con:
        con.execute("insert into cache values ('a', '1', null)")
        made.append(tmp_path / "lab.duckdb.wal")
        assert [oct(path.stat().st_mode & 0o777) for path in made] == ["0o600"] * 4
    assert not made[-1].exists()
    store.path.chmod(0o660)
    assert Cache(Store.open(store.path)).set("a", 1)
    assert store.path.stat().st_mode & 0o777 == 0o660


# Steps


def test_a_file_that_stays_locked_names_the_process_that_holds_it(store: Store) -> None:
    code = "import duckdb, sys\ncon = duckdb.connect(sys.argv[1])\nprint('held', flush=True)\nsys.stdin.read()"
    with process(code, str(store.path)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LabBusy, match=f"process {holder.pid}") as caught:
            Cache(store).get("x")
        assert caught.value.pid == holder.pid
        holder.communicate("")
    with duckdb.connect(store.path), pytest.raises(LabBusy, match="this process") as caught:
        Cache(store).get("x")
    assert caught.value.pid == os.getpid()
    assert Cache(store).get("x") is None


def test_nobody_else_can_hold_up_a_lab_at_its_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "queue"))
    (tmp_path / "queue").mkdir()
    cache = Cache(Store.open(tmp_path / "lab.duckdb", wait=60))
    (gate,) = (tmp_path / "queue").iterdir()
    gate.unlink()
    os.mkfifo(gate)
    assert cache.set("a", 1)


def test_threads_wait_no_longer_than_they_were_told(store: Store) -> None:
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


@pytest.mark.parametrize("owner", [Instance, Store])
def test_an_interrupt_while_a_step_begins_leaves_the_lab_free(
    store: Store, monkeypatch: pytest.MonkeyPatch, owner: Any
) -> None:
    moment = "cursor" if owner is Instance else "_attach"
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


def test_an_error_inside_a_step_undoes_it_and_a_step_inside_a_step_does_not_hang(store: Store) -> None:
    with pytest.raises(duckdb.Error), store.write() as con:
        con.execute("insert into cache values ('a', '1', null); select error('stop')")
    with store.read(), pytest.raises(RuntimeError, match="inside another"), store.read():
        pass
    assert Cache(store).get("a") is None
    with duckdb.connect(store.path) as other:
        assert other.execute("select count(*) from cache").fetchone() == (0,)


def test_a_file_that_is_gone_is_not_replaced_by_an_empty_one(store: Store, tmp_path: Path) -> None:
    Cache(store).set("a", 1)
    moved = store.path.rename(tmp_path / "moved.duckdb")
    for use in (lambda: Cache(store).get("a"), lambda: Cache(store).set("b", 1), lambda: Snapshot.take(store)):
        with pytest.raises(StoreError, match="moved or deleted"):
            use()
    assert not store.path.exists()
    moved.rename(store.path)
    assert Cache(store).get("a") == 1


def test_a_lab_that_is_replaced_is_looked_at_again(store: Store, tmp_path: Path) -> None:
    Cache(store).set("a", 1)
    backup, theirs = store.backup(tmp_path / "backup.duckdb"), tmp_path / "theirs.duckdb"
    with duckdb.connect(theirs) as con:
        con.execute("create table theirs as select 42 as answer")
    shutil.copyfile(theirs, store.path)
    with pytest.raises(NotALab, match="but not a lab"):
        Cache(store).get("a")
    backup.replace(store.path)
    assert Cache(store).get("a") == 1
    duckdb.connect(tmp_path / "empty.duckdb").close()
    (tmp_path / "empty.duckdb").replace(store.path)
    with pytest.raises(StoreError, match="replaced by an empty database"):
        Cache(store).set("a", 3)


# Damage and room


def test_a_damaged_file_says_so_and_is_left_alone(store: Store) -> None:
    broken = bytearray(store.path.read_bytes())
    broken[12288 + 16 : 12288 + 4096] = bytes(4096 - 16)
    store.path.write_bytes(broken)
    with pytest.raises(DamagedFile, match="Restore a backup"):
        Store.open(store.path)
    assert store.path.read_bytes() == bytes(broken)


def test_a_block_that_is_damaged_is_named_by_a_backup_and_by_a_commit(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.duckdb")
    for i in range(5):
        Cache(store).set(f"{i}", "much to tell " * 800)
    good, refused = store.path.read_bytes(), 0
    for begin in range(12288, len(good), 262_144):
        store.path.write_bytes(good[: begin + 8] + bytes(64) + good[begin + 72 :])
        with contextlib.suppress(DamagedFile):  # and nothing else
            Cache(store).set("0", begin)
        try:
            store.backup(tmp_path / "backup.duckdb").unlink()
        except DamagedFile as error:
            refused += "lab.duckdb is damaged" in str(error)
        store.path.write_bytes(good)
    assert refused
    assert [path.name for path in tmp_path.iterdir()] == ["lab.duckdb"]


def test_a_copy_that_finds_no_room_says_so_and_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, copy = Snapshot.take(store), tmp_path / "copy"

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    for save in (snapshot.save, store.backup):
        with pytest.raises(DiskFull, match=r"copy cannot be written: No space left"):
            save(copy)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["lab.duckdb"]
    assert Snapshot.load(snapshot.save(copy)).hash == snapshot.hash


def test_a_backup_holds_everything_and_never_overwrites(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb")
    lab.ask("Is AAPL worth buying?", watchlist=["AAPL"])
    backup = lab.backup(tmp_path / "backup.duckdb")
    again = Lab.open(backup)
    assert again.messages.equals(lab.messages)
    assert again.ask("And now?").turn_id == 2
    with pytest.raises(FileExistsError, match="never overwrites"):
        lab.backup(backup)


def test_a_snapshot_does_not_move_and_holds_nothing(store: Store, tmp_path: Path) -> None:
    Cache(store).set("before", 1)
    one, other = Snapshot.take(store), Snapshot.take(store)
    Cache(store).set("after", 1)
    with one.read() as a, other.read() as b, store.read() as c:
        assert [len(con.execute("from cache").fetchall()) for con in (a, b, c)] == [1, 1, 2]
    shutil.move(store.path, tmp_path / "moved.duckdb")
    assert one.sql("select key from cache")["key"].tolist() == ["before"]
    one.close()
    one.close()
    with pytest.raises(StoreError, match="closed"):
        one.sql("select 1")


# The analyst's SQL


def test_sql_only_reads(kept: Store) -> None:
    theirs = "delete from messages|select 1; select 2|attach 'x.duckdb'||copy messages to 'x'|set threads = 1"
    for sql in f"{theirs}|create table x (a int)|pragma database_list|install fts|update extensions".split("|"):
        with pytest.raises(QueryRefused, match="one statement that reads"):
            frame(kept, sql)


@pytest.mark.parametrize("of", [lambda store: store, Snapshot.take])
def test_sql_reaches_nothing_but_the_lab(store: Store, tmp_path: Path, of: Callable[[Store], Catalogue]) -> None:
    (tmp_path / "notes.csv").write_text("a\n1\n")
    catalogue = of(store)
    threads = frame(catalogue, "select current_setting('threads') as n")["n"].tolist()
    variable = pd.DataFrame({"a": [1]})
    for sql in (
        f"explain analyze copy (select 1) to '{tmp_path}/x'",
        "explain analyze insert into cache values ('a', '1', null)",
        "explain analyze set threads = 7",
        f"from read_text('{tmp_path}/notes.csv')",
        f"from query('from read_text(''{tmp_path}/notes.csv'')')",
        f"from read_blob('{tmp_path}/lab.duckdb')",
        f"from '{tmp_path}/lab.duckdb'",
        f"from glob('{tmp_path}/*')",
        "select * from variable",
    ):
        with pytest.raises((QueryRefused, duckdb.Error)):
            frame(catalogue, sql)
    assert len(variable) == 1
    assert not (tmp_path / "x").exists()
    assert frame(catalogue, "select key from cache")["key"].tolist() == []
    assert frame(catalogue, "select current_setting('threads') as n")["n"].tolist() == threads
    assert Cache(store).set("a", 1)


def test_sql_explains_and_describes(kept: Store) -> None:
    for sql in ("explain select 1", "explain analyze from cache", "describe cache", "show tables"):
        assert len(frame(kept, sql)) > 0


def test_a_mistake_in_sql_is_not_taken_for_a_damaged_file(kept: Store) -> None:
    for sql in ("selec corrupt", "select 'INTERNAL checksum'::int", "select error('invalidated')"):
        with pytest.raises(duckdb.Error):
            frame(kept, sql)
        with pytest.raises(duckdb.Error), kept.write() as con:
            con.execute(sql)


def test_sql_gives_what_duckdb_would_and_whole_numbers_stay_whole_beside_a_null(kept: Store) -> None:
    plain = "true|7::tinyint|7|7::bigint|7::ubigint|1.5|1.25::decimal(9,2)|'a'|'[1]'::json|'a'::blob|null"
    for value in f"{plain}|date '2013-02-28'|time '01:02:03'|interval 1 day|[1, 2]|['a']|{{'a': 1}}".split("|"):
        for sql in (f"select {value} as x", f"select case when range = 0 then {value} end as x from range(2)"):  # noqa: S608
            with duckdb.connect() as con:
                pd.testing.assert_frame_equal(frame(kept, sql), con.execute(sql).df())


def test_sql_binds_values_and_gives_utc_times(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb")
    session = lab.sessions.get_or_create_session()
    said = datetime(2013, 2, 28, 15, 30, tzinfo=UTC)
    lab.sessions.add_message(session, "user", "'; drop table messages; --", created_at=said)
    found = lab.sql("select *, '2013-02-28 16:30+01'::timestamptz as t from messages where text = ?", [
        "'; drop table messages; --"
    ])  # fmt: skip
    assert found["created_at"].tolist() == found["t"].tolist() == [said]
    assert lab.sql("select $a + 1 as b", {"a": 1})["b"].tolist() == [2]
    with pytest.raises(ValueError, match="params hold a value that cannot be bound"):
        lab.sql("select ?", [lambda: 1])


def test_sql_that_holds_the_lab_too_long_is_interrupted(kept: Store) -> None:
    with pytest.raises(QueryRefused, match="snapshot"):
        frame(kept, ENDLESS, seconds=0.05)
    assert Cache(kept).get("a") is None


# The cache


def test_a_cached_value_comes_back_equal_and_of_its_type(kept: Store) -> None:
    cache = Cache(kept)
    for value in ([1, [2, None]], {"a": {"b": [True]}}, '{"a": 1}', "null", True, 0, 1.5, -1e300, "x\0y", "🚀"):
        assert cache.set("key", value) is True
        found = cache.get("key")
        assert (found, type(found)) == (value, type(value))


def test_what_would_not_come_back_equal_and_bad_keys_and_expiries_are_refused(kept: Store) -> None:
    deep = functools.reduce(lambda inner, _: [inner], range(100_000), [])
    for value in ((1, 2), {"a": {1: 2}}, float("nan"), {1}, deep):
        with pytest.raises(ValueError, match="would not come back equal"):
            Cache(kept).set("no key", value)
    for key, minutes in (("", None), (5, None), ("a", 0)):
        with pytest.raises(ValueError, match="must be"):
            Cache(kept).set(key, 1, minutes)
    assert Cache(kept).get("no key") is None


def test_a_cached_value_really_expires(kept: Store) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    cache = Cache(kept, lambda: now[0])
    cache.set("short", 1, expire_minutes=5)
    cache.set("long", 2)
    now[0] += timedelta(minutes=4, seconds=59)
    assert cache.get("short") == 1
    now[0] += timedelta(seconds=1)
    assert cache.get("short") is None
    assert cache.get("long") == 2

"""A snapshot's hash names its data, whatever machine or file they are in; its file takes a study to a colleague."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from gallump_lab import Budget, Config, Lab, Overrides, study
from gallump_lab.memory import labels
from gallump_lab.store import DamagedFile, NotALab, OtherVersion, Snapshot, StoreError
from gallump_lab.store.snapshot import DATA, digest

NOW = datetime(2013, 2, 28, 15, 0, tzinfo=UTC)


def fill(path: Path, clock=lambda: NOW) -> Lab:
    """Make a lab with rows in every table that counts."""
    names = iter(f"session-{i}" for i in range(99))
    lab = Lab.open(path, clock=clock, ids=lambda: next(names))
    lab.apply(Config(budget=Budget(warm=300)))
    first = lab.ask("Is AAPL cheap? Recommend a trade.", watchlist=["AAPL"])
    lesson = lab.insights.add("Sells winners too early", kind="lesson", sources=[first.question_id], known_from=NOW)
    other = lab.insights.supersede(lesson, "Sells losers too late", valid_until=NOW + timedelta(days=9), speaker="Ann")
    lab.insights.add("Sells losers too late", sources=[first.reply_id], speaker="Ann", kind="lesson")
    lab.insights.add("Sells losers too early", value="early", attribute="habit", speaker="Ann")
    lab.insights.retire(other, "no more")
    for grade in (1, 3):
        lab.insights.grade(other, grade)
    lab.ask("And IBM, over the same horizon?", overrides=Overrides(excluded=(("passage", 1),)))
    gone = lab.ask("What is a yield curve?")
    lab.forget(message_id=gone.question_id)
    asked = {"text": "What was cheap?", "asked_at": NOW, "answer": "AAPL", "symbol": "AAPL", "conversation": "mine"}
    lab.import_questions(pd.DataFrame([asked | {"session_id": first.session_id}]))
    for grade in (0, 2):
        labels.label(lab.store, 1, first.question_id, grade, clock())
    with lab.store.write() as con:
        con.execute("insert into decisions values (1, ?, 0, 'AAPL', 'accepted', 'why not', ?)", [first.turn_id, NOW])
        con.execute(
            "insert into drafts select 7, session_id, null, 'dr', '{}', '[]', 'me 1', null from sessions limit 1"
        )
        con.execute("update turns set cost_usd = 0.1, fault = 'none', first_text = 1e-3, latency = 1/3")
        con.execute("update messages set speaker = 'Ann'")
        con.execute("insert into imported values (1, 2, 1)")
    lab.cache.set("a", 1)
    return lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Give a lab with rows in every table, which no test changes."""
    return fill(tmp_path_factory.mktemp("filled") / "lab.duckdb")


@pytest.fixture(scope="module")
def filled(lab: Lab):
    """Give a connection of a lab's copy."""
    with duckdb.connect(lab.backup(lab.store.path.with_name("copy.duckdb"))) as con:
        yield con


@pytest.fixture(scope="module")
def changed(filled: duckdb.DuckDBPyConnection) -> Callable[[str], bool]:
    """Tell whether a statement, which is undone again, changes the content's hash."""
    before = digest(filled)

    def changed(sql: str) -> bool:
        filled.execute("begin transaction")
        filled.execute(sql)
        after = digest(filled)
        filled.execute("rollback")
        return after != before

    return changed


def test_every_table_counts_or_is_said_not_to(lab: Lab) -> None:
    besides = "cache distillings drafts embeddings imported passages postings schema sorting".split()
    assert set(lab.sql("show tables")["name"]) == {*DATA, *besides}


def test_the_same_data_give_the_same_hash_in_any_order_of_rows_and_at_any_time_of_import(
    lab: Lab, tmp_path: Path
) -> None:
    one, two = lab, fill(tmp_path / "two.duckdb")
    with two.store.write() as con:
        latencies = con.execute("select latency from turns").fetchall()
        for table in sorted(DATA.keys() - {"labels", "insight_labels"}):
            con.execute(f"create table other as select * from {table} order by rowid desc")  # noqa: S608
            con.execute(f"delete from {table}")  # noqa: S608
            con.execute(f"insert into {table} select * from other")  # noqa: S608
            con.execute("drop table other")
        con.execute("update messages set arrived_at = arrived_at + interval 1 day")
        con.execute("update labels set labelled_at = labelled_at + interval 1 day")
    assert latencies == [(1 / 3,)] * 3
    assert two.snapshot().hash == one.snapshot().hash
    assert len(one.snapshot().hash) == 64


def test_a_change_of_any_value_that_counts_changes_the_hash(
    filled: duckdb.DuckDBPyConnection, changed: Callable[[str], bool]
) -> None:
    columns = filled.execute(
        "select table_name, column_name, data_type from duckdb_columns() where not internal and table_name not in "
        "('runs', 'schema')"
    ).fetchall()
    uncounted = {("labels", "labelled_at"), ("messages", "arrived_at"), ("questions", "arrived_at")}
    uncounted |= {("insight_events", "arrived_at"), ("insight_labels", "labelled_at")}
    for table, column, kind in columns:
        values = {"TIMESTAMP": "timestamp '1999-09-09'", "JSON": "'[7]'", "BIGINT[]": "[7]", "VARCHAR": "'other'"}
        value = f"{column} is null or not {column}" if kind == "BOOLEAN" else values.get(kind, "199")
        sql = f"update {table} set {column} = {value} where rowid = (select min(rowid) from {table})"  # noqa: S608
        expected = table in DATA and (table, column) not in uncounted
        assert changed(sql) == expected, (table, column)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("delete from messages where message_id = 1", True),
        ("insert into messages select * from messages limit 1", True),
        ("update messages set text = replace(text, 'AAPL', 'aapl') where message_id = 1", True),
        ("update questions set symbol = null, conversation = 'AAPL'", True),
        ("update questions set symbol = ''", True),
        ("update configs set toml = toml || ' '", True),
        ("insert into runs (run_id, config_id, applied_at) values (99, '0', now()::timestamp)", True),
        ("update runs set words = 'what was made of it', figures = '{}', applied_at = now()::timestamp", False),
        ("insert into labels select question_id, message_id, 0, 'human', 'Ann', labelled_at from labels limit 1", True),
        ("update labels set grade = 2 - grade", True),  # the same two in another order, and the newest holds
        ("delete from cache; delete from drafts; delete from postings; delete from embeddings", False),
        ("update sorting set sorted_passage = 7", False),
        ("alter table messages add column mood text", False),
        ("create table moods (message_id bigint, mood text)", False),
    ],
)
def test_what_changes_the_hash(changed: Callable[[str], bool], sql: str, *, expected: bool) -> None:
    assert changed(sql) == expected


def test_a_saved_snapshot_carries_a_study_to_another_place(lab: Lab, tmp_path: Path) -> None:
    snapshot = lab.snapshot()
    replayed = study.replay(snapshot).frame
    path = snapshot.save(tmp_path / "study.duckdb")
    assert path == tmp_path / "study.duckdb"
    loaded = Snapshot.load(path)
    assert loaded.hash == snapshot.hash
    pd.testing.assert_frame_equal(study.replay(loaded).frame, replayed)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["study.duckdb"]
    again = loaded.save(tmp_path / "again.duckdb")
    assert Snapshot.load(again).hash == snapshot.hash
    assert repr(loaded) == "<Snapshot of study.duckdb>"


def test_saving_never_overwrites_and_leaves_nothing_half_done(lab: Lab, tmp_path: Path) -> None:
    snapshot, path = lab.snapshot(), tmp_path / "mine.duckdb"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="a snapshot never overwrites"):
        snapshot.save(path)
    with pytest.raises(StoreError, match=r"cannot be written: No such file or directory"):
        snapshot.save(tmp_path / "missing" / "x.duckdb")
    snapshot.close()
    with pytest.raises(StoreError, match="closed"):
        snapshot.save(tmp_path / "closed.duckdb")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("mine.duckdb", "mine")]


def test_a_file_that_is_no_snapshot_of_ours_is_refused_in_words(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no file .*snapshot\.save"):
        Snapshot.load(tmp_path / "missing.duckdb")
    with pytest.raises(NotALab, match=r"a lab and not a saved snapshot .* Lab\.open"):
        Snapshot.load(lab.store.path)
    (tmp_path / "text.duckdb").write_text("not a database at all, only words\n" * 1_000)
    duckdb.connect(tmp_path / "theirs.duckdb").execute("create table x (a int)").close()
    for name, words in (("text", "is not a DuckDB database"), ("theirs", "but not a lab")):
        with pytest.raises(NotALab, match=words):
            Snapshot.load(tmp_path / f"{name}.duckdb")
    saved = lab.snapshot().save(tmp_path / "saved.duckdb")
    shutil.copy(saved, tmp_path / "touched.duckdb")
    with duckdb.connect(tmp_path / "touched.duckdb") as con:
        con.execute("update messages set text = 'Sell everything.' where message_id = 1")
    with pytest.raises(DamagedFile, match="does not hold what was saved"):
        Snapshot.load(tmp_path / "touched.duckdb")
    with duckdb.connect(saved) as con:
        con.execute("update schema set version = 999")
    with pytest.raises(OtherVersion, match="Upgrade gallump_lab"):
        Snapshot.load(saved)


def test_an_interrupt_during_a_query_is_an_interrupt(lab: Lab) -> None:
    with pytest.raises(KeyboardInterrupt), lab.snapshot().read():
        raise RuntimeError("Query interrupted")  # as DuckDB says it  # noqa: EM101, TRY003

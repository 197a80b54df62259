"""A snapshot's hash names its data, whatever machine or file they are in; its file takes a study to a colleague."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from gallump_lab import Lab, study
from gallump_lab.store import DamagedFile, NotALab, OtherVersion, Snapshot, StoreError, schema
from gallump_lab.store.snapshot import DATA, digest

VALUES = {"TIMESTAMP": "timestamp '2013-02-28' + to_days({n})", "JSON": "'[{n}]'", "VARCHAR": "'said {n}'"}
VALUES |= {"DATE": "date '2013-02-28' + {n}", "BIGINT[]": "[{n}]", "BOOLEAN": "{n} = 1"}
COLUMNS = (
    "select table_name, column_name, data_type from duckdb_columns() "
    "where not internal and table_name not in ('schema', 'sorting') order by table_name, column_index"
)


def fill(con: duckdb.DuckDBPyConnection, *rows: int) -> None:
    """Create a lab's tables with these rows in each; two rows have no value in common."""
    schema.create(con)
    columns = con.execute(COLUMNS).df().groupby("table_name")["data_type"]
    for table, kinds in columns:
        for n in rows:
            values = ", ".join(VALUES.get(kind, "{n}").format(n=n) for kind in kinds)
            con.execute(f"insert into {table} values ({values})")  # noqa: S608 (the schema's own names)


@pytest.fixture(scope="module")
def changed() -> Iterator[Callable[[str], bool]]:
    """Tell whether a statement, which is undone again, changes the content's hash."""
    with duckdb.connect() as con:
        fill(con, 1, 2)
        before = digest(con)

        def changed(sql: str) -> bool:
            con.execute(f"begin transaction; {sql}")
            after = digest(con)
            con.execute("rollback")
            return after != before

        yield changed


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Give a lab with a turn, which no test changes."""
    lab = Lab.open(tmp_path_factory.mktemp("filled") / "lab.duckdb")
    lab.ask("Is AAPL cheap? Recommend a trade.", watchlist=["AAPL"])
    return lab


def test_every_table_counts_or_is_said_not_to(lab: Lab) -> None:
    besides = "bars cache distillings drafts embeddings imported passages postings schema sorting".split()
    assert set(lab.sql("show tables")["name"]) == {*DATA, *besides}


def test_the_same_data_give_the_same_hash_in_any_order_of_rows_and_at_any_time_of_import() -> None:
    with duckdb.connect() as one, duckdb.connect() as two:
        fill(one, 1, 2)
        fill(two, 2, 1)
        two.execute("update messages set arrived_at = arrived_at + interval 1 day")
        two.execute("update labels set labelled_at = labelled_at + interval 1 day")
        assert digest(one) == digest(two)
        assert len(digest(one)) == 64


def test_of_two_labels_the_newest_counts() -> None:
    found = set()
    for grades in ((0, 2), (2, 0)):
        with duckdb.connect() as con:
            schema.create(con)
            for grade in grades:
                con.execute("insert into labels values (1, 1, ?, 'human', 'Ann', '2013-02-28', null)", [grade])
            found.add(digest(con))
    assert len(found) == 2


def test_a_change_of_any_value_that_counts_changes_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    uncounted = {("labels", "labelled_at"), ("messages", "arrived_at"), ("questions", "arrived_at")}
    uncounted |= {("insight_events", "arrived_at"), ("insight_labels", "labelled_at")}
    with duckdb.connect() as con:
        fill(con, 1, 2)
        for table, column, kind in con.execute(COLUMNS).fetchall():
            if table not in DATA.keys() - {"runs"}:
                continue
            monkeypatch.setattr("gallump_lab.store.snapshot.DATA", {table: DATA[table]})  # the others would take long
            before = digest(con)
            value = f"not {column}" if kind == "BOOLEAN" else VALUES.get(kind, "{n}").format(n=99)
            con.execute(f"begin; update {table} set {column} = {value} where rowid = 0")  # noqa: S608
            assert (digest(con) != before) == ((table, column) not in uncounted), (table, column)
            con.execute("rollback")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("delete from messages where message_id = 1", True),
        ("insert into messages select * from messages limit 1", True),
        ("update messages set text = upper(text) where message_id = 1", True),
        ("update questions set symbol = null, conversation = symbol", True),
        ("update questions set symbol = ''", True),
        ("insert into runs (run_id, config_id, applied_at) values (99, '0', now()::timestamp)", True),
        ("update runs set words = 'what was made of it', figures = '{}', applied_at = now()::timestamp", False),
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

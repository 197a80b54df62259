"""What a file that somebody sends, or a statement that asks for too much, cannot do."""

import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import duckdb
import pytest

from gallump_lab import Lab
from gallump_lab.store import NotALab, QueryRefused, Snapshot, StoreError, frame

STOLEN = "the victim's own words"
CODE = {
    "view": "alter table insights rename to theirs; create view insights as select * replace ((select content from "
    "read_text('{secret}')) as text) from theirs",
    "macro": "create macro sha256(a) as system.main.sha256((select content from read_text('{secret}')))",
    "type": "create type odd as enum ('a'); alter table cache add column odd odd",
    "schema": "create schema other; create view other.messages as from read_text('{secret}')",
    "default": "alter table cache alter column key set default getvariable('home')",
    "condition": "create table other (a text check (a < upper('x')))",
    "index": "create table other (a text); create index computed on other (upper(a))",
    "trigger": "create trigger theirs after insert on messages for each statement "
    "insert into cache select 'stolen', to_json(content), null from read_text('{secret}')",
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Give a lab with a turn and an insight."""
    lab = Lab.open(tmp_path_factory.mktemp("clean") / "lab.duckdb")
    lab.ask("Is AAPL cheap?", watchlist=["AAPL"])
    lab.insights.add("Sells winners too early", kind="lesson")
    return lab


def sent(lab: Lab, folder: Path, kind: str) -> tuple[Path, Path]:
    """Give a lab and a snapshot as somebody sends them who wants to read a file of ours."""
    secret = folder / "secret.txt"
    secret.write_text(STOLEN)
    found = lab.backup(folder / "lab.duckdb"), lab.snapshot().save(folder / "snapshot.duckdb")
    for path in found:
        with duckdb.connect(path) as con:
            con.execute(CODE[kind].format(secret=secret))
    return found


@pytest.mark.parametrize("kind", CODE)
def test_a_file_that_computes_is_refused_before_anything_of_it_runs(clean: Lab, tmp_path: Path, kind: str) -> None:
    hostile, snapshot = sent(clean, tmp_path, kind)
    for load in (lambda: Lab.open(hostile), lambda: Snapshot.load(snapshot)):
        with pytest.raises(NotALab, match="holds the") as refused:
            load()
        assert STOLEN not in str(refused.value)


@pytest.mark.parametrize(("kind", "same_file"), [("view", False), ("trigger", True)])
def test_a_known_lab_that_is_replaced_reads_nothing_either(
    clean: Lab, tmp_path: Path, kind: str, *, same_file: bool
) -> None:
    hostile, _ = sent(clean, tmp_path, kind)
    lab = Lab.open(clean.backup(tmp_path / "mine.duckdb"))
    assert len(lab.insights.frame) == 1
    if same_file:
        shutil.copyfile(hostile, lab.store.path)
    else:
        hostile.replace(lab.store.path)
    for use in (
        lambda: str(lab.insights.frame),
        lambda: lab.preview("And MSFT?").text,
        lambda: lab.ask("And MSFT?").text,
        lambda: lab.sql("select to_json(insights) from insights").to_csv(),
        lambda: lab.snapshot().sql("from insights").to_csv(),
    ):
        try:
            shown = use()
        except (StoreError, duckdb.Error) as error:
            shown = str(error)
        assert STOLEN not in shown
    with duckdb.connect(lab.store.path, read_only=True) as con:
        assert con.execute("select count(*) from cache where contains(value::text, ?)", [STOLEN]).fetchone() == (0,)


def test_what_a_log_beside_the_file_brings_in_is_refused_too(clean: Lab, tmp_path: Path) -> None:
    hostile, _ = sent(clean, tmp_path, "index")
    path = clean.backup(tmp_path / "mine.duckdb")
    with duckdb.connect(config={"checkpoint_threshold": "1GB"}) as con:
        con.execute(f"attach '{path}' as mine")
        con.execute(f"use mine; {CODE['view'].format(secret=tmp_path / 'secret.txt')}")
        assert hostile.exists()
        shutil.copyfile(path, tmp_path / "torn.duckdb")
        shutil.copyfile(f"{path}.wal", tmp_path / "torn.duckdb.wal")
    with pytest.raises(NotALab, match="view 'insights'"):
        Lab.open(tmp_path / "torn.duckdb")


def packed(path: Path, member: str, *pieces: bytes, claims: int | None = None) -> None:
    """Make a small .zip that unpacks to very much, or claims to."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(member, "w") as file,
    ):
        for piece in pieces:
            file.write(piece)
    if claims is not None:
        data = bytearray(path.read_bytes())
        entry = data.rindex(b"PK\x01\x02")
        data[entry + 24 : entry + 28] = struct.pack("<I", claims)
        path.write_bytes(data)


@pytest.fixture(scope="module")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of files that are larger than they look."""
    folder = tmp_path_factory.mktemp("bombs")
    packed(folder / "emoji.zip", "conversations.json", b'["', *["\N{DUCK}".encode() * 1_000_000] * 33, b'"]')
    packed(folder / "spaces.zip", "conversations.json", b"[", *[b" " * 10_000_000] * 4, b"1]")
    packed(folder / "large.zip", "conversations.json", b"[1]", claims=2_000_000_000)
    os.mkfifo(folder / "pipe.csv")
    with (folder / "sparse.csv").open("wb") as file:
        file.truncate(2_000_000_000)
    return folder


LIMITED = """
import resource, sys
import pandas
from gallump_lab import datasets
from gallump_lab.datasets import benchmarks, exports, table  # what they need is imported before memory is short
from gallump_lab.market import FileBroker
resource.setrlimit(resource.RLIMIT_DATA, (1_500_000_000, resource.RLIM_INFINITY))
for read in sys.argv[1:]:
    try:
        print(eval(read))
    except ValueError as error:
        print(error)
"""
BOMBS = {
    "datasets.read('emoji.zip')": "A conversation is longer than",
    "datasets.read('spaces.zip')": "not known as a dataset",
    "datasets.read('large.zip')": "would unpack to 2,000,000,000 bytes",
    "datasets.read('/dev/zero', 'table')": "/dev/zero is a device",
    "datasets.read('pipe.csv')": "is a device, pipe or the like",
    "datasets.read('sparse.csv')": "has 2,000,000,000 bytes; at most 1,000,000,000 are read",
    "FileBroker('pipe.csv')": "is a device, pipe or the like",
}


def test_small_or_endless_files_do_not_fill_the_memory(bombs: Path) -> None:
    command = [sys.executable, "-c", LIMITED, *BOMBS]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=bombs, timeout=100)
    for said, words in zip(found.stdout.splitlines(), BOMBS.values(), strict=True):
        assert words in said, found.stderr


@pytest.mark.parametrize(
    "sql",
    [
        "select repeat('x', 100000000) from range(1000)",
        " ".join(["select 1 from messages where false", *(f"or text like '%{i}'" for i in range(20_000))]),
        "select array_agg(range) from range(1000000000)",
        "select range from range(100000000)",
    ],
    ids=["a long text", "a long statement", "a long list", "many rows"],
)
def test_a_statement_that_asks_for_too_much_is_ended_and_nothing_else(clean: Lab, sql: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of whatever was tested here earlier
    with pytest.raises((QueryRefused, duckdb.Error)):
        frame(clean.store, sql, seconds=0.2)
    assert clean.cache.set("free", 1)
    assert clean.sql("select count(*) as n from messages")["n"].tolist() == [2]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 1_000_000  # kilobytes


def test_a_snapshot_outlives_a_statement_that_takes_all_memory_and_leaves_no_file(
    clean: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    snapshot = clean.snapshot()
    with pytest.raises((QueryRefused, duckdb.Error)):
        snapshot.sql("select repeat('x', 100000000) from range(1000)")
    assert len(snapshot.sql("from messages")) == 2
    assert list(tmp_path.glob("gallump-snapshot-*"))
    snapshot.close()
    assert not list(tmp_path.glob("gallump-snapshot-*"))

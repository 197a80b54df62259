"""A lab on a server: several clients at once, the same figures as on the file, and nobody without the token."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import writer
from lab_server import TOKEN, Serve, free_port, port_of

from gallump_lab import Budget, Config, Lab, command, datasets, study
from gallump_lab.market.bar_cache import Known, as_traded, in_lab, load, save
from gallump_lab.memory import messages
from gallump_lab.reading.text_files import Problems
from gallump_lab.store import LabBusy, NoServer, QueryRefused, connect
from gallump_lab.store.serving import PATIENCE, Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("team") / "lab.duckdb", f"quack:127.0.0.1:{free_port()}", TOKEN) as found:
        yield found


@pytest.fixture
def lab(server: Server) -> Lab:
    """Give the lab that most tests share."""
    return Lab.open(server.address, token=TOKEN)


def test_two_clients_write_at_once_a_kill_loses_nothing_and_a_stored_question_is_said_to_be_kept(serve: Serve) -> None:
    server = serve()
    lab = Lab.open(server.address, token=TOKEN)
    command = [sys.executable, writer.__file__, server.address, "Ann", "15"]
    environment = os.environ | {"GALLUMP_LAB_TOKEN": TOKEN}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "Ann has opened it\n"
        writer.write(lab, "Bob", 15)
    assert other.returncode == 0

    def kill(_: str) -> None:
        lab.store.wait = 0.3
        server.end("kill")

    with pytest.raises(NoServer) as gone:
        lab.ask("Is AAPL cheap?", on_text=kill)
    local = Lab.open(server.file)
    said = local.messages
    for name in ("Ann", "Bob"):
        own = said[said["text"].str.startswith(name)]
        assert list(own["text"]) == [f"{name}'s message {i}: AAPL at {400 + i}" for i in range(15)]
        assert len(set(own["session_id"])) == 1
    indexed = local.sql(
        "select count(*) as passages, (select count(distinct passage_id) from embeddings) as embedded, "
        "(select count(distinct passage_id) from postings) as posted from passages"
    )
    assert indexed.iloc[0].tolist() == [31, 31, 31]
    question = said["message_id"].iloc[-1]
    assert f"lab.retry({question})" in gone.value.__notes__[-1]
    with serving(server.file, server.address, TOKEN):
        assert lab.retry(question).text
        assert lab.messages["role"].tolist()[-2:] == ["user", "assistant"]


def test_recall_and_a_sweep_give_the_same_figures_as_on_the_file(tmp_path: Path) -> None:
    file, clock = tmp_path / "lab.duckdb", lambda: pd.Timestamp("2013-03-02", tz="UTC").to_pydatetime()
    local = Lab.open(file, clock=clock)
    talk = datasets.sample().split()[0]
    few = {"messages": talk.messages.head(400), "questions": talk.questions.head(6), "insights": talk.insights.head(20)}
    local.import_dataset(replace(talk, **few))
    query = "Where did I want my stop?"
    here = local.recall(query, symbol="AAPL").frame, local.snapshot()
    with serving(file, f"quack:127.0.0.1:{free_port()}", TOKEN) as server:
        lab = Lab.open(server.address, clock=clock, token=TOKEN)
        there = lab.recall(query, symbol="AAPL").frame, lab.snapshot()
        backup = lab.backup(tmp_path / "backup.duckdb")
    pd.testing.assert_frame_equal(here[0], there[0])
    assert here[1].hash == there[1].hash == Lab.open(backup, clock=clock).snapshot().hash
    sweeps = [study.sweep(study.rank(snapshot)).frame for snapshot in (here[1], there[1])]
    assert len(sweeps[0])
    pd.testing.assert_frame_equal(*sweeps)


def test_a_backup_through_the_server_goes_on_where_the_lab_was(lab: Lab, tmp_path: Path) -> None:
    asked = lab.ask("Is AAPL cheap?", ["AAPL"])
    copy = Lab.open(lab.backup(tmp_path / "copy.duckdb"))
    again = copy.ask("And MSFT?", ["MSFT"])
    assert again.question_id > asked.reply_id
    assert again.turn_id > asked.turn_id
    assert len(copy.messages) == len(lab.messages) + 2


def test_what_is_forgotten_or_imported_in_bulk_is_so_on_the_server_too(serve: Serve, monkeypatch) -> None:
    monkeypatch.setattr(messages, "UNSORTED", 0)
    lab = Lab.open(serve().address, token=TOKEN)
    said = {"role": "user", "text": ["The giraffe stop is 420.", "The zebra stop is 430."], "created_at": "2024-05-31"}
    lab.import_messages(pd.DataFrame(said))
    assert lab.sql("select sorted_passage as n from sorting")["n"].tolist() == [2]
    assert lab.forget(message_id=1) == 1
    assert [slot.text for slot in lab.recall("Which giraffe or zebra stop?").slots] == ["The zebra stop is 430."]


def test_a_step_sees_the_lab_at_one_moment_and_what_is_applied_holds_for_all(lab: Lab, server: Server) -> None:
    other = connect(server.address, token=TOKEN)
    other._shared = type(other._shared)(None)  # as in another process: its steps do not wait for ours
    count = "select count(*) from messages"
    lab.apply(Config(budget=Budget(warm=777)))
    with other.read() as con:
        (before,) = con.execute(count).fetchone()
        lab.ask("Is AAPL cheap?")
        assert con.execute(count).fetchone() == (before,)
    assert len(lab.messages) == before + 2
    assert Lab.open(server.address, token=TOKEN).config.budget.warm == 777


def test_a_client_that_died_amid_a_write_does_not_lock_the_others_out(lab: Lab, server: Server) -> None:
    dead = connect(server.address, token=TOKEN)
    dead._shared = type(dead._shared)(None)
    step = dead.write()
    con = step.__enter__()
    con.execute("insert into cache values ('half', '1', null)")
    busy = connect(server.address, token=TOKEN, wait=0.2)
    with pytest.raises(LabBusy, match="Waited 0"), busy.write():
        pass
    assert not server.look(100.0)
    assert not server.look(100.0 + PATIENCE)
    assert server.look(101.0 + PATIENCE)
    lab.ask("Is AAPL cheap?")  # attaches anew by itself
    assert lab.cache.get("half") is None
    with pytest.raises(NoServer, match="let go of a step") as lost:
        step.__exit__(None, None, None)
    assert "look before you repeat it" in lost.value.__notes__[0]


def test_a_busy_server_that_ends_is_started_anew_at_once_and_no_token_is_ever_shown(
    serve: Serve, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    assert "is served at" in server.said[0]
    caplog.set_level("DEBUG")
    wrong = "not-the-token-of-this-server"
    with pytest.raises(NoServer, match="refuses the token") as refused:
        Lab.open(server.address, token=wrong, wait=0.1)
    lab = Lab.open(server.address, token=TOKEN)
    lab.ask("Is AAPL cheap?")
    with pytest.raises(NoServer, match="refuses the token"):  # beside the right one, too
        Lab.open(server.address, token=wrong, wait=0.1)
    with pytest.raises(duckdb.Error) as mistaken:
        lab.sql("select nothing from nowhere")
    with pytest.raises(ValueError, match="token"):
        Lab.open(server.address)
    with pytest.raises(ValueError, match="is a file"):
        Lab.open(server.file, token=TOKEN)
    idle = [socket.create_connection(("127.0.0.1", port_of(server.address))) for _ in range(20)]
    for each in idle:
        each.sendall(b"POST /quack HTTP/1.1\r\n")
    server.end()
    with pytest.raises(NoServer, match="cannot be reached") as away:
        Lab.open(server.address, token=TOKEN, wait=0.1)
    assert len(Lab.open(server.file).messages) == 2  # the file is free meanwhile
    with serving(server.file, server.address, TOKEN):
        lab.ask("And MSFT?")
        assert len(lab.messages) == 4
    for each in idle:
        each.close()
    shown = [*server.said, repr(lab), repr(lab.store), *capfd.readouterr(), caplog.text]
    shown += [f"{found.value!r} {found.value.__cause__!r}" for found in (refused, mistaken, away)]
    assert not [words for words in shown if TOKEN in words or wrong in words]
    for file in server.file.parent.glob("lab.duckdb*"):
        assert TOKEN.encode() not in file.read_bytes()


def test_clients_reach_no_file_no_setting_and_no_say_about_the_server(lab: Lab, server: Server) -> None:
    other = f"quack:127.0.0.1:{port_of(server.address) ^ 1}"
    before = len(lab.messages)
    refused = [
        "select * from read_text('/etc/hosts')",
        "select * from glob('/*')",
        "copy messages to 'messages.csv'",
        "attach 'other.duckdb' as other",
        "set enable_external_access = true",
        "install spatial",
        f"from quack_stop('{server.address}')",
        f"from \"quack_stop\"('{server.address}')",
        f"from quack_serve('{other}', token => 'another-token-4711')",
        f"from query('from quack_stop(''{server.address}'')')",
        f"from json_execute_serialized_sql(json_serialize_sql('from quack_stop(''{server.address}'')'))",
        "select 'é'; detach lab",
        f"call quack_stop('{server.address}')",
        f"attach '{other}' as other (type quack)",
        "create macro sha256(a) as 'theirs'",
        "create or replace view insights as select 'theirs' as text",
    ]

    def write(sql: str) -> None:
        with lab.store.write() as con:
            con.execute(sql)

    for sql in refused:
        use = lab.sql if sql.startswith(("select", "from")) else write
        with pytest.raises((duckdb.Error, QueryRefused)):
            use(sql)
    assert lab.ask(f"What do these do? {refused}").text  # talk of it is talk
    with pytest.raises((duckdb.Error, QueryRefused)):
        lab.sql("delete from messages")
    assert len(lab.messages) == before + 2


def test_sql_of_an_analyst_does_not_write_and_ends_where_it_ends(lab: Lab) -> None:
    asked = lab.ask("Is AAPL cheap?")
    before = len(lab.messages)
    with pytest.raises(duckdb.Error, match="read-only"):
        lab.sql("select nextval('message_ids')")
    with pytest.raises(duckdb.Error, match="not provided"):
        lab.sql("select $a", {'a" := 1); delete from messages; execute step("a': 1})
    commented = "select text from messages where message_id = $asked -- the analyst's;"
    assert lab.sql(commented, {"asked": asked.question_id})["text"].tolist() == ["Is AAPL cheap?"]
    assert len(lab.messages) == before


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ("short", 0o600, "at least 16"),
        (TOKEN, 0o644, "chmod 600"),
        ("two words of a token", 0o600, "without spaces"),
        (None, 0o700, "Is a directory"),
    ],
)
def test_a_token_file_is_its_owners_alone_and_one_that_will_not_do_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, mode: int, said: str
) -> None:
    file = tmp_path / "token"
    file.write_text(content) if content else file.mkdir()
    file.chmod(mode)
    assert command.main(["serve", str(tmp_path / "lab.duckdb"), "--token-file", str(file)]) == 1
    shown = capsys.readouterr().err
    assert said in shown
    assert not content or content not in shown
    made = command.token_from(tmp_path / "new", make=True)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert command.token_from(tmp_path / "new", make=True) == made


def test_a_port_that_is_taken_is_said_and_two_labs_do_not_share_one(
    lab: Lab, server: Server, tmp_path: Path, token_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        for port in (other.getsockname()[1], port_of(server.address)):
            given = ["serve", str(tmp_path / "other.duckdb"), "--token-file", str(token_file), "--port", str(port)]
            assert command.main(given) == 1
            assert "Nothing can listen" in capsys.readouterr().err
    assert not (tmp_path / "other.duckdb").exists()
    assert lab.ask("Is AAPL cheap?").text
    with pytest.raises(OSError, match=r"refused|assign|unreachable"):  # it listens on this machine alone
        socket.create_connection(("127.0.0.2", port_of(server.address)))


def test_days_of_a_live_source_are_kept_on_the_server(lab: Lab) -> None:
    closes = pd.DataFrame({"close": [10.0, 11.0]}, index=pd.to_datetime(["2024-06-06", "2024-06-07"]))
    known = Known(as_traded(closes, "AAPL", "mine", Problems()), unsaved=date(2024, 6, 6))
    for _ in range(2):  # a day that is there is written anew
        save(lab.store, "mine", "AAPL", known)
        known.unsaved = date(2024, 6, 7)
    pd.testing.assert_frame_equal(load(lab.store, "mine", "AAPL").bars, known.bars)
    assert in_lab(lab.store, "mine") == {"AAPL"}

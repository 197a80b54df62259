"""Past talk at hand: continue, search, export, forget, try again, choose, decide, recover."""

import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from clock import Clock
from messages_server import DROP, MessagesServer, say, start, text

from gallump_lab import Config, Lab, study
from gallump_lab.brain.answer import ModelError
from gallump_lab.memory.records import Overrides
from gallump_lab.memory.sessions import SessionManager
from gallump_lab.store import LabBusy

START = datetime(2013, 3, 1, 22, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def lab(anew, clock: Clock) -> Lab:
    numbers = itertools.count(1)
    return anew(clock=clock, ids=lambda: f"session-{next(numbers)}")


def test_past_sessions_are_continued_found_and_exported(lab: Lab, clock: Clock) -> None:
    first = lab.ask("My rule: no position over earnings.", watchlist=["MSFT"])
    lab.sessions.add_message(first.session_id, "user", "Look:\n```python\ngiraffe = 1")
    lab.sessions.add_message(first.session_id, "user", "And then?")
    clock.now += timedelta(hours=2)
    second = lab.ask("What was my rule?", session_id=first.session_id)
    assert (second.session_id, second.notice is not None) == ("session-2", True)
    frame = lab.history()
    assert frame["session_id"].tolist() == ["session-2", "session-1"]
    assert frame["continues"].iloc[0] == "session-1"
    assert frame["title"].tolist() == ["What was my rule?", "My rule: no position over earnings."]
    assert frame["symbol"].iloc[1] == "MSFT"
    assert frame["cost_usd"].tolist() == [0.0, 0.0]
    found = {search: lab.history(search)["session_id"].tolist() for search in ("giraffes", "what was my", "zebra")}
    lab.sessions.add_message(
        second.session_id, "user", f"{'Much else. ' * 20}The **zebra** rule is new. {'And so on. ' * 20}"
    )
    around = lab.history("rules zebras")["found"].iloc[0]
    assert "The zebra rule is new." in around
    assert len(around) < 200
    assert found == {"giraffes": ["session-1"], "what was my": ["session-2"], "zebra": []}
    shown = first._repr_markdown_()
    assert shown.startswith("**Offline analyst: no model was asked.**")
    assert all(f"**{idea.action.capitalize()} {idea.symbol}**" in shown for idea in first.recommendations)
    document = lab.export(first.session_id)
    assert document.startswith(
        "# My rule: no position over earnings.\n\n2013-03-01 22:00 UTC, about MSFT\n\n**User** ("
    )
    assert first.text.splitlines()[-1].replace("$", "") in re.sub(r"<span>\\\$</span>|\\\$", "", document)
    assert "giraffe = 1\n```\n\n**User**" in document  # an open fence does not swallow the next
    with pytest.raises(ValueError, match=r"lab\.history"):
        lab.export("nowhere")


def test_a_forgotten_message_is_gone_from_everywhere_and_a_replay_says_so(lab: Lab) -> None:
    secret = lab.ask("My account number is 4711-giraffe.")
    insight = lab.insights.add("The account is 4711-giraffe", sources=[secret.question_id])
    lab.insights.add("Rests on both", sources=[secret.question_id, secret.reply_id])
    after = lab.ask("Which account has a giraffe?")
    assert "4711-giraffe" in after.prompt.text
    both, alone = (lab.add_question(f"Which account {what}?") for what in ("did we speak of", "is mine"))
    for question, message in ((both, secret.question_id), (both, after.question_id), (alone, secret.question_id)):
        lab.label(question, message, 3)
    assert lab.forget(message_id=secret.question_id) == 1
    assert lab.labels[["question_id", "message_id"]].to_numpy().tolist() == [[both, after.question_id]]
    assert both in lab.questions["question_id"].tolist()
    lab.forget(message_id=after.reply_id)
    copy = lab.snapshot()
    for table in lab.sql("select table_name as name from duckdb_tables() where not internal")["name"]:
        assert "4711" not in copy.sql(f"select * from {table}").to_csv(), table  # noqa: S608
    assert insight not in lab.insights.frame["insight_id"].tolist()
    assert lab.insights.frame["sources"].iloc[0].tolist() == [secret.reply_id]
    assert lab.recall("giraffe account").frame.query("kept").empty or "4711" not in repr(lab.recall("giraffe account"))
    found = study.replay(copy).frame
    assert found["problem"].tolist()[0] == "its question was forgotten"
    assert "forgotten messages" in found["changed"].tolist()[1]
    assert lab.history()["title"].iloc[-1] != "My account number is 4711-giraffe."


def test_whatever_is_forgotten_is_recalled_no_more_however_often_something_was_before(lab: Lab) -> None:
    session = lab.sessions.get_or_create_session()
    said = [lab.sessions.add_message(session, "user", f"The giraffe stop is at {400 + i}.") for i in range(4)]
    for gone in range(3):
        assert {slot.message_id for slot in lab.recall("giraffe stop").slots} == {*said[gone:]}
        lab.forget(message_id=said[gone])
    assert [slot.message_id for slot in lab.recall("giraffe stop").slots] == said[3:]


def test_of_what_was_said_twice_the_newest_is_recalled(lab: Lab, clock: Clock) -> None:
    said = []
    for _ in range(2):
        reply = lab.ask("My stop on AAPL is 400, hard.", watchlist=["AAPL"])
        said.append(reply.question_id)
        clock.now += timedelta(days=2)
    shown = [slot for slot in lab.recall("Where is my stop on AAPL?").slots if slot.message_id in said]
    assert [(slot.message_id, slot.kept) for slot in shown] == [(said[1], True), (said[0], False)]


def test_a_forgotten_session_is_gone_and_ids_are_not_used_again(lab: Lab) -> None:
    reply = lab.ask("Where does a giraffe trade?")
    assert lab.forget(session_id=reply.session_id) == 2
    assert lab.history().empty
    assert lab.messages.empty
    assert lab.turns[["model", "output_tokens"]].notna().all(axis=None)  # what was spent stays known
    again = lab.ask("And a zebra?", session_id=reply.session_id)
    assert again.question_id > reply.reply_id
    assert "not in this lab" in again.notice
    for wrong in ({}, {"message_id": 1, "session_id": "x"}, {"message_id": 99}, {"session_id": "nowhere"}):
        with pytest.raises(ValueError, match="not"):
            lab.forget(**wrong)


def test_pinned_stands_first_and_excluded_stays_out_and_the_turn_replays(lab: Lab, clock: Clock) -> None:
    said = [f"Thought {i}: the AAPL gap at {400 + i} may close soon." for i in range(40)]
    lab.import_messages(pd.DataFrame({"role": "user", "text": said, "created_at": START}))
    pinned_insight = lab.insights.add("Old lesson", symbol="IBM")
    lab.insights.add("Newer lesson", symbol="AAPL")
    clock.now += timedelta(hours=1)
    question = "Which AAPL gap may close?"
    before = [slot for slot in lab.preview(question, ["AAPL"]).slots if slot.tier == "warm"]
    first, last = before[0], [slot for slot in before if slot.reason == "over budget"][-1]
    pinned = [(last.kind, last.item_id), ("insight", pinned_insight)]
    reply = lab.ask(question, ["AAPL"], overrides=Overrides(pinned=pinned, excluded=[(first.kind, first.item_id)]))
    reasons = {(slot.kind, slot.item_id): slot.reason for slot in reply.prompt.slots}
    assert (reasons[last.kind, last.item_id], reasons[first.kind, first.item_id]) == ("kept", "excluded")
    assert next(slot.text for slot in reply.prompt.slots if slot.tier == "cold") == "Old lesson"
    assert study.replay(lab.snapshot()).frame["identical"].all()
    recorded, shown = (
        [(s.tier, s.rank, s.text, s.reason) for s in slots] for slots in (lab.slots(reply.turn_id), reply.prompt.slots)
    )
    assert recorded == shown
    with pytest.raises(ValueError, match="turn_id 999"):
        lab.slots(999)
    with pytest.raises(ValueError, match="pinned must be pairs"):
        Overrides(pinned=[5])


def test_decisions_on_recommendations_are_kept_with_their_notes(lab: Lab) -> None:
    reply = lab.ask("Is AAPL worth it?", watchlist=["AAPL"])
    assert len(reply.recommendations) == 1
    lab.decide(reply.turn_id, 0, "rejected", "too early")
    lab.decide(reply.turn_id, 0, "accepted", "after all")
    (decision,) = lab.transcript()[-1]["turn"]["decisions"].values()
    assert (decision["verdict"], decision["note"], decision["decided_at"]) == ("accepted", "after all", START)
    assert lab.decisions["verdict"].tolist() == ["rejected", "accepted"]
    for wrong, words in (((reply.turn_id, 5, "accepted"), "position 5"), ((reply.turn_id, 0, "maybe"), "verdict must")):
        with pytest.raises(ValueError, match=words):
            lab.decide(*wrong)


def wait_for_draft(lab: Lab) -> None:
    """Wait until what has arrived of a reply is saved."""
    while lab.sql("select text from drafts where text <> ''").empty:
        pass


DYING = """
import os, sys
from gallump_lab import Lab
from gallump_lab.store import locks
locks.RENEWED = 0.01
lab = Lab.open(sys.argv[1])
def die(piece, heard=[]):
    heard.append(piece)
    if len(heard) == 6:
        while lab.sql("select text from drafts")["text"].tolist() != ["".join(heard)]:
            pass
        os.kill(os.getpid(), 9)
lab.ask("Is AAPL cheap?", watchlist=["AAPL"], on_text=die)
"""


@pytest.fixture(scope="module")
def died(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of a lab whose process was killed in the midst of a reply."""
    path = tmp_path_factory.mktemp("died") / "lab.duckdb"
    found = subprocess.run([sys.executable, "-c", DYING, str(path)], capture_output=True, text=True, check=False)
    assert found.returncode == -9, found.stderr
    return path


def left_by(died: Path, folder: Path) -> Path:
    """Copy what it left behind, its log included."""
    for part in died.parent.glob("lab.duckdb*"):
        shutil.copy(part, folder / part.name)
    return folder / died.name


def test_a_reply_whose_kernel_died_comes_back_as_far_as_it_was_saved(died: Path, tmp_path: Path) -> None:
    path = left_by(died, tmp_path)
    lab = Lab.open(path)
    question, reply = lab.transcript()
    assert (question["text"], reply["text"], reply["state"]) == (
        "Is AAPL cheap?",
        "**Offline analyst: no model was asked.** ",
        "stopped",
    )
    assert "kernel ended" in reply["turn"]["fault"]
    assert lab.sql("select count(*) as n from drafts")["n"].tolist() == [0]
    assert study.replay(lab.snapshot()).frame["identical"].all()
    assert len(Lab.open(path).transcript()) == 2


def test_two_that_open_a_lab_at_once_take_in_what_was_left_behind_once(died: Path, tmp_path: Path, monkeypatch) -> None:
    path, reply = left_by(died, tmp_path), SessionManager.reply

    def meanwhile(*given: object, **more: object) -> object:
        monkeypatch.setattr(SessionManager, "reply", reply)
        Lab.open(path)
        return reply(*given, **more)

    monkeypatch.setattr(SessionManager, "reply", meanwhile)
    lab = Lab.open(path)
    assert (len(lab.transcript()), len(lab.turns)) == (2, 1)


@pytest.mark.parametrize("owner", ["another-machine 1 ab", f"{socket.gethostname()} {os.getppid()} ab"])
def test_a_draft_that_nobody_renews_holds_its_question_up_for_half_a_minute_only(
    died: Path, tmp_path: Path, owner: str
) -> None:
    path = left_by(died, tmp_path)
    renewed = "update drafts set owner = ?, renewed_at = make_timestamp(epoch_us(now()) - ? * 1_000_000)"
    with duckdb.connect(path) as con:  # as if its process were on a machine that cannot be seen, or its id were reused
        con.execute(renewed, [owner, 10])
        ((question_id,),) = con.execute("select question_id from drafts").fetchall()
    lab = Lab.open(path)
    with pytest.raises(ValueError, match="is being answered"):
        lab.retry(question_id)
    with duckdb.connect(path) as con:
        con.execute(renewed, [owner, 40])
    assert lab.retry(question_id).state == "complete"
    assert [said["state"] for said in lab.transcript()] == ["complete", "stopped", "complete"]


def test_a_question_is_claimed_while_the_model_thinks(lab: Lab, monkeypatch) -> None:
    monkeypatch.setattr("gallump_lab.store.locks.RENEWED", 0.01)
    held = threading.Event()
    with MessagesServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        server.queue([start(), held, *say("Perhaps.")[1:]])
        asking = threading.Thread(target=lab.ask, args=("Will the line hold?",))
        asking.start()
        renewed: set[datetime] = set()
        while len(renewed) < 3 and asking.is_alive():
            renewed |= {*lab.sql("select renewed_at from drafts")["renewed_at"]}
        with pytest.raises(ValueError, match="is being answered"):
            lab.retry(1)
        assert len(Lab.open(lab.store.path).transcript()) == 1  # who opens it leaves the draft alone
        held.set()
        asking.join()
    assert len(renewed) == 3
    assert lab.messages["text"].tolist() == ["Will the line hold?", "Perhaps."]
    assert lab.sql("select * from drafts").empty


def test_a_question_whose_reply_broke_off_is_asked_again_and_both_replies_stay(lab: Lab, monkeypatch) -> None:
    with MessagesServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        server.queue([start(), *text("Half of ", DROP)], say("All of it."))
        with pytest.raises(ModelError) as caught:
            lab.ask("Will the line hold?")
        reply = lab.retry(caught.value.reply.question_id)
    assert lab.messages["text"].tolist() == ["Will the line hold?", "Half of ", "All of it."]
    assert "Half of" not in server.requests[1].prompt
    assert [said["state"] for said in lab.transcript()] == ["complete", "failed", "complete"]
    for wrong, words in ((reply.question_id, "has a reply"), (reply.reply_id, "no question")):
        with pytest.raises(ValueError, match=words):
            lab.retry(wrong)
    lab.forget(message_id=reply.reply_id)
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    assert lab.retry(reply.question_id).question_id == reply.question_id


@pytest.mark.parametrize("config", [Config(), Config.guide()])
def test_a_reply_that_broke_off_is_marked_in_later_prompts(lab: Lab, clock: Clock, monkeypatch, config: Config) -> None:
    lab.apply(config)
    with MessagesServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        server.queue([start(), *text("The giraffe gap closes. Half of", DROP)], say("Whole."), say("Again."))
        with pytest.raises(ModelError) as caught:
            lab.ask("Will the giraffe gap close?")
        here = lab.ask("Why?", session_id=caught.value.reply.session_id).prompt
        clock.now += timedelta(hours=1)
        later = lab.ask("What of the giraffe gap?").prompt
    broken = "ssistant: The giraffe gap closes. Half of\n [broken off]"
    assert f"A{broken}\n\n" in here.text
    assert f"a{broken}" in later.user
    assert "Whole.\n [" not in later.user
    cost = {tier: sum(s.tokens for s in later.slots if s.kept and s.tier == tier) for tier in ("warm", "cold")}
    section = next(section for section in later.sections if section.name == "warm")
    assert 0 < cost["warm"] <= section.tokens
    assert study.replay(lab.snapshot()).frame["identical"].all()


@pytest.fixture
def left_behind(lab: Lab, monkeypatch, request) -> int:
    """Give a question whose reply came, and could then not be stored: the lab is busy, or Ctrl-C comes in between."""
    held = duckdb.connect()

    def hold(piece: str) -> None:
        if "end." in piece:
            wait_for_draft(lab)
            while request.param is LabBusy:
                monkeypatch.setattr(lab.store, "wait", 0.2)  # not before, where a busy machine could take as long
                with suppress(duckdb.Error):  # the thread that renews the draft has it at the moment
                    held.execute(f"attach '{lab.store.path}'")
                    break
            if request.param is KeyboardInterrupt:
                lab.store.write = interrupt

    def interrupt() -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        if threading.current_thread() is not threading.main_thread():  # it renews the draft
            return type(lab.store).write(lab.store)
        del lab.store.write
        raise KeyboardInterrupt

    monkeypatch.setattr("gallump_lab.store.locks.RENEWED", 0.01)
    patience = lab.store.wait
    with MessagesServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        server.queue(say("Half of it, ", "and the ", "end."), say("All of it."))
        with pytest.raises(request.param):
            lab.ask("Will the line hold?", on_text=hold)
        held.close()
        lab.store.wait = patience
        assert lab.sql("select text from drafts")["text"].str.startswith("Half of it, ").tolist() == [True]
        yield int(lab.messages["message_id"].iloc[0])


@pytest.mark.parametrize("left_behind", [LabBusy, KeyboardInterrupt], indirect=True)
def test_a_reply_that_could_not_be_stored_is_asked_for_again_at_once(lab: Lab, left_behind: int) -> None:
    assert lab.spent_today > 0
    assert lab.retry(left_behind).text == "All of it."
    question, half, whole = lab.messages["text"]
    assert (question, half[:12], whole) == ("Will the line hold?", "Half of it, ", "All of it.")
    assert lab.messages["state"].tolist() == ["complete", "stopped", "complete"]
    assert lab.turns["cost_usd"].gt(0).all()
    assert lab.sql("select * from drafts").empty


@pytest.mark.parametrize("left_behind", [LabBusy], indirect=True)
def test_forgetting_a_question_forgets_what_had_come_of_its_reply(lab: Lab, left_behind: int) -> None:
    lab.forget(message_id=left_behind)
    assert lab.sql("select * from drafts").empty
    assert lab.messages.empty

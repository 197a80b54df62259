"""Whoever comes after a kill finds every message by its session, too."""

import subprocess
import sys

from gallump_lab import Lab

KILLED = """
import os, signal, sys
from gallump_lab import Lab
from gallump_lab.store import locks
locks._SETTINGS["checkpoint_threshold"] = "1GB"
lab = Lab.open(sys.argv[1])
with lab.store.write() as con:
    con.execute("insert into messages select * replace (1000 as message_id) from messages")
    con.execute("commit")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_had_committed_is_in_the_index_after_a_step_on_another_table(tmp_path):
    lab = Lab.open(tmp_path / "lab.duckdb")
    session = lab.sessions.get_or_create_session()
    lab.sessions.add_message(session, "user", "My stop is 430.")
    subprocess.run([sys.executable, "-c", KILLED, str(lab.store.path)], check=False)
    assert lab.store.path.with_name("lab.duckdb.wal").exists()  # what it left to do
    lab.cache.set("notes", ["so much that it is written to the file itself"] * 100)
    assert lab.sql("select message_id from messages where session_id = ?", [session])["message_id"].tolist() == [
        1,
        1000,
    ]
    assert lab.forget(session_id=session) == 2

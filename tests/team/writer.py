"""A client in a process of its own: `python writer.py ADDRESS NAME NUMBER` writes so many messages, one by one."""

import os
import sys

from gallump_lab import Lab

address, name, number = sys.argv[1:]
lab = Lab.open(address, wait=60, token=os.environ["GALLUMP_LAB_TOKEN"])
session = lab.sessions.get_or_create_session()
for i in range(int(number)):
    lab.sessions.add_message(session, "user", f"{name}'s message {i}: AAPL at {400 + i}", symbol="AAPL")

"""A client in a process of its own: `python writer.py ADDRESS NAME NUMBER` writes so many messages, one by one."""

import os
import sys

from gallump_lab import Lab


def write(lab: Lab, name: str, number: int) -> None:
    """Say so many things in a session of one's own."""
    session = lab.sessions.get_or_create_session()
    for i in range(number):
        lab.sessions.add_message(session, "user", f"{name}'s message {i}: AAPL at {400 + i}", symbol="AAPL")


if __name__ == "__main__":
    address, name, number = sys.argv[1:]
    lab = Lab.open(address, wait=60, token=os.environ["GALLUMP_LAB_TOKEN"])
    print(f"{name} has opened it", flush=True)
    write(lab, name, int(number))

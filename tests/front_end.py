"""The browser at the other end of a widget's comm, for tests without one."""

import queue

from comm.base_comm import BaseComm


class FrontEnd(BaseComm):
    """Takes the place of the browser at the other end of the widget's comm."""

    def __init__(self, widget):
        self.told = queue.Queue()
        super().__init__(primary=False)
        widget.comm = self

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):  # noqa: ARG002
        if data and data.get("method") == "custom":
            self.told.put(data["content"])

    def say(self, kind, view="v", **content):
        data = {"method": "custom", "content": {"type": kind, "view": view, **content}}
        self.handle_msg({"content": {"data": data}, "buffers": []})

    def until(self, kind):
        """Give what is told up to the first message of a kind, and that message."""
        before = []
        while (message := self.told.get(timeout=30))["type"] != kind:
            before.append(message)
        return before, message

"""Lets notebooks be read without a kernel: what is live gives way to what can be seen; run it on each that is saved.

A widget's view is an error where no kernel holds the widget, though words or a picture stand beside it.
"""

import base64
import json
import sys
from pathlib import Path

VIEW = "application/vnd.jupyter.widget-view+json"


def still(data: dict[str, object], chat: bytes | None) -> bool:
    """Take the view out of an output's data; of the chat, which keeps to itself what was said, a picture may be shown.

    Returns whether it is a chat.
    """
    if not (data.pop(VIEW, None) and "ChatWidget" in str(data["text/plain"])):
        return False
    data.pop("text/html", None)
    data.pop("image/png", None)
    if chat:
        data["image/png"] = base64.b64encode(chat).decode()
    return True


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        picture = path.with_name("chat.png").read_bytes()  # of the first chat; it says nothing of another lab's
        for cell in notebook["cells"]:
            for output in cell.get("outputs", ()):
                picture = None if still(output.get("data", {}), picture) else picture
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

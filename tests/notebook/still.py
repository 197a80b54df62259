"""Lets notebooks be read without a kernel: what is live gives way to what can be seen; run it on each that is saved.

A widget's view is an error where no kernel holds the widget, though words or a picture stand beside it.
"""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path

VIEW = "application/vnd.jupyter.widget-view+json"


def still(data: dict[str, object], pictures: Iterator[Path]) -> None:
    """Take the view out of an output's data; a chat, which keeps to itself what was said, shows the next picture."""
    if data.pop(VIEW, None) and "ChatWidget" in str(data["text/plain"]):
        data.pop("text/html", None)
        data["image/png"] = base64.b64encode(next(pictures).read_bytes()).decode()


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        pictures = (path.with_name(name) for name in ("chat.png", "chat_new.png"))  # of the sample, of one's own lab
        for cell in notebook["cells"]:
            for output in cell.get("outputs", ()):
                still(output.get("data", {}), pictures)
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

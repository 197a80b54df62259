"""A key that a person types into the chat stays nowhere: not in the notebook, the page, the lab or server files."""

import json

from messages_server import end, start, text, tool
from notebook_page import OPEN
from playwright.sync_api import expect

BODY = "mJ4x" * 22 + "Zk9_7"  # told from its prefix, so that no whole key stands in this file
KEY = f"sk-ant-api03-{BODY}AA"
IDEA = {"action": "buy", "symbol": "AAPL", "size": "5%", "entry": 430, "stop": 400, "target": 500}
STORED = """async () => JSON.stringify([
  { ...localStorage }, { ...sessionStorage }, window.gallumpLabDraft, document.documentElement.outerHTML,
  [...document.querySelectorAll("input, textarea")].map((each) => each.value), await indexedDB.databases(),
])"""


def test_a_key_typed_into_the_chat_is_masked_told_and_nowhere(notebook, claude):
    echo = [f"Your key {KEY[:20]}", KEY[20:60], f"{KEY[60:]} works."]
    idea = {**IDEA, "horizon": "3 months", "confidence": 0.6, "rationale": "Scripted."}
    claude.queue([start(), *text(*echo), *tool({"recommendations": [idea]}), *end()])
    notebook.open(OPEN)
    notebook.chat.get_by_role("button", name="Context", exact=True).click()
    notebook.box.press_sequentially(f"Does {KEY} work?")  # the inspector shows what it would carry meanwhile
    expect(notebook.chat.get_by_role("complementary", name="Context")).to_contain_text("HOT")
    notebook.box.press("Enter")

    expect(notebook.replies.locator(".gl-text").first).to_have_text("Your key [API key removed] works.")
    asked = notebook.log.locator("article.gl-question .gl-text")
    expect(asked).to_have_text("Does [API key removed] work?")
    expect(notebook.chat.get_by_role("status")).to_contain_text(
        "What looked like an API key in your question was masked"
    )
    expect(notebook.box).to_have_value("")
    notebook.replies.get_by_label("Note").fill(f"Not with {KEY}")
    notebook.replies.get_by_role("button", name="Reject").click()
    expect(notebook.replies.locator(".gl-decision")).to_contain_text("Not with [API key removed]")

    saved = notebook.saved()
    assert "application/vnd.jupyter.widget-state+json" in json.loads(saved)["metadata"]["widgets"]
    places = {
        "page": notebook.page.evaluate(STORED),
        "console": "\n".join(notebook.console),
        "requests": json.dumps([request.body for request in claude.requests]),
    }
    assert [name for name, place in places.items() if BODY[40:60] in place] == []
    files = [path for path in notebook.jupyter.root.parent.rglob("*") if path.is_file()]
    assert {"chat.ipynb", "lab.duckdb", "server.log"} <= {path.name for path in files}
    assert [path for path in files if BODY[40:60].encode() in path.read_bytes()] == []
    notebook.open(OPEN)
    expect(asked).to_have_text("Does [API key removed] work?")

"""A person chats in JupyterLab: one behaviour a spec."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
from messages_server import DROP, end, say, start, text, tool
from playwright.sync_api import expect

OPEN = "from gallump_lab import Lab\nlab = Lab.open('lab.duckdb')\nlab.chat(watchlist=['AAPL'])"
HOSTILE = """<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2"> <svg onload="window.hacked = 3">

[a link](javascript:window.hacked=4) ![a picture](https://hostile.example/p.png) <iframe src="https://hostile.example">

| <style>body { display: none }</style> |
|---|
| <b onmouseover="window.hacked = 5">cell</b> |"""


def within(outer, inner):
    """Give where and how large a thing is inside another."""
    around, box = outer.bounding_box(), inner.bounding_box()
    return box["x"] - around["x"], box["y"] - around["y"], box["width"], box["height"]


def test_a_reply_streams_in_and_the_next_one_knows_the_first(notebook, claude):
    hold = threading.Event()
    claude.queue([start(input_tokens=1234), *text("A range of $190 ", hold, "to $210 is **fair**."), *end()])
    notebook.open(OPEN)
    notebook.ask("What is a fair range for AAPL?")
    expect(notebook.log).to_contain_text("A range of $190")
    expect(notebook.replies).to_have_count(0)
    hold.set()
    reply = notebook.replies.first
    expect(reply).to_contain_text("A range of $190 to $210 is fair.")
    expect(reply.locator("strong")).to_have_text("fair")
    for figure in ("1,234 tokens in", "20 out", "$0.00", "HOT", "/2,000", "WARM 0/500", "COLD 0/200"):
        expect(reply).to_contain_text(figure)
    expect(notebook.box).to_be_focused()
    expect(notebook.box).to_have_value("")
    notebook.ask("And what did I ask before?")
    expect(notebook.replies.nth(1)).to_contain_text("What is a fair range for AAPL?")


def test_stop_stands_where_send_stood_and_keeps_the_partial_even_while_a_cell_runs(notebook, claude):
    claude.queue([start(), *text("Half of ", threading.Event(), "a reply"), *end()])
    notebook.open(OPEN, "from pathlib import Path\nimport time\nwhile not Path('go').exists():\n    time.sleep(0.05)")
    send, stop = (notebook.chat.get_by_role("button", name=name) for name in ("Send", "Stop"))
    notebook.box.fill("Go on at length")
    place = within(notebook.chat, send)
    send.click()
    expect(notebook.log).to_contain_text("Half of")
    expect(send).to_be_hidden()
    assert within(notebook.chat, stop) == place
    notebook.box.fill("Another question")
    notebook.box.press("Enter")
    expect(notebook.chat.get_by_role("status")).to_contain_text("still coming")
    expect(notebook.box).to_have_value("Another question")
    stop.click()
    expect(notebook.replies).to_contain_text("stopped")
    expect(notebook.replies.locator(".gl-text")).to_have_text("Half of")
    expect(notebook.box).to_be_focused()
    (notebook.folder / "go").touch()


def test_shift_enter_breaks_the_line_and_an_input_method_does_not_send(notebook):
    notebook.open(OPEN)
    notebook.box.press_sequentially("One")
    notebook.box.press("Shift+Enter")
    notebook.box.press_sequentially("Two")
    notebook.box.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    notebook.box.dispatch_event("keydown", {"key": "Enter", "keyCode": 229})
    expect(notebook.box).to_have_value("One\nTwo")
    notebook.box.press("Enter")
    expect(notebook.log.locator("article.gl-question .gl-text")).to_have_text("One\nTwo", use_inner_text=True)
    expect(notebook.replies).to_have_count(1)
    expect(notebook.page.locator(".jp-CodeCell")).to_have_count(2)


def test_an_ended_session_shows_a_divider_and_a_new_one_begins(notebook):
    clock, now = notebook.folder / "clock", datetime(2026, 3, 2, 9, tzinfo=UTC)
    clock.write_text(now.isoformat())
    notebook.open(
        "from datetime import datetime\nfrom pathlib import Path\nfrom gallump_lab import Lab\n"
        "lab = Lab.open('lab.duckdb', clock=lambda: datetime.fromisoformat(Path('clock').read_text()))\nlab.chat()"
    )
    notebook.ask("Before the break")
    expect(notebook.replies).to_have_count(1)
    divider = notebook.log.locator(".gl-divider")
    expect(divider).to_have_count(0)
    clock.write_text((now + timedelta(minutes=31)).isoformat())
    notebook.ask("After the break")
    expect(notebook.replies).to_have_count(2)
    expect(divider).to_have_text("Session ended after 30 minutes · new session")
    notebook.ask("Still after the break")
    expect(notebook.replies).to_have_count(3)
    expect(divider).to_have_count(1)
    expect(notebook.log.locator("article").nth(2)).to_contain_text("After the break")


def test_a_page_loaded_anew_and_a_second_view_show_the_reply_that_is_being_written(notebook, claude):
    hold = threading.Event()
    claude.queue([start(), *text("A settled block.\n\nAn open ", hold, "block."), *end()])
    notebook.open(OPEN)
    notebook.ask("Take your time")
    expect(notebook.log).to_contain_text("An open")
    notebook.saved()
    notebook.page.reload()
    expect(notebook.log).to_contain_text("Take your time")
    expect(notebook.log).to_contain_text("An open")
    notebook.box.click()  # selects the cell
    notebook.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:create-output-view') }")
    expect(notebook.chat).to_have_count(2)
    expect(notebook.log.last).to_contain_text("An open")
    hold.set()
    for log in notebook.log.all():
        expect(log.locator("article")).to_have_count(2)
        expect(log).to_contain_text("An open block.")
        expect(log).not_to_contain_text("writing")


def test_hostile_text_is_shown_and_not_run(notebook, claude):
    dialogs, requests = [], []
    notebook.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    notebook.page.on("request", lambda request: requests.append(request.url))
    claude.queue(say(*HOSTILE.splitlines(keepends=True)))
    notebook.open(OPEN)
    notebook.ask(HOSTILE)
    expect(notebook.replies).to_contain_text("<script>window.hacked = 1</script><img src=x onerror=")
    expect(notebook.log.locator("article.gl-question .gl-text")).to_have_text(HOSTILE, use_inner_text=True)
    notebook.replies.locator("td").hover()
    expect(notebook.log.locator("script, img, svg, style, iframe, b:not(header b)")).to_have_count(0)
    assert notebook.page.evaluate("() => window.hacked") is None
    assert not dialogs
    assert not [url for url in requests if "hostile.example" in url]


def test_a_fault_is_said_at_the_reply_and_the_question_is_kept(notebook, claude):
    claude.queue([start(), *text("Half of a reply", DROP)])
    notebook.open(OPEN)
    notebook.ask("Will the line hold?")
    expect(notebook.replies.locator(".gl-fault")).to_contain_text("broke off")
    expect(notebook.replies).to_contain_text("Half of a reply")
    expect(notebook.log).to_contain_text("Will the line hold?")
    notebook.ask("Does it hold now?")
    expect(notebook.replies.nth(1)).to_contain_text("Half of a reply")
    notebook.chat.get_by_label("Watchlist").fill("AAPL, <b>")
    notebook.ask("A typo above")
    expect(notebook.chat.get_by_role("status")).to_contain_text("<b>")
    expect(notebook.box).to_have_value("A typo above")


def test_recommendations_and_those_left_out_stand_under_the_reply_at_any_width(notebook, claude):
    idea = {"action": "buy", "symbol": "AAPL", "size": "5%", "entry": 430.5, "stop": 400, "target": None}
    idea |= {"horizon": "3 months", "confidence": 0.6, "rationale": "It holds its mean."}
    call = tool({"recommendations": [idea, {**idea, "symbol": "no symbol"}]})
    claude.queue([start(), *text(f"| {'wide | ' * 30}\n|{'--|' * 30}\n\n`{'long' * 200}`"), *call, *end()])
    notebook.open(OPEN)
    notebook.ask("Any idea?")
    ideas = notebook.replies.get_by_role("group", name="Recommendations")
    for cell in ("buy", "AAPL", "5%", "$430.50", "$400.00", "3 months", "60%", "It holds its mean."):
        expect(ideas).to_contain_text(cell)
    expect(ideas).to_contain_text("Nothing is sent to a broker")
    expect(notebook.replies).not_to_contain_text("confidence 60%")
    expect(notebook.replies).to_contain_text("left out")
    expect(notebook.replies).to_contain_text("no symbol")
    notebook.chat.evaluate("chat => { chat.style.width = '320px' }")
    overflows = "log => [log, ...log.querySelectorAll('article')].some(each => each.scrollWidth > each.clientWidth)"
    assert not notebook.log.evaluate(overflows)
    assert notebook.replies.locator("table").first.evaluate("table => table.scrollWidth > table.clientWidth")


def test_the_first_notebook_runs_and_its_offline_analyst_is_a_visible_state(notebook):
    shipped = nbformat.read(Path(__file__).parents[2] / "notebooks" / "01_chat.ipynb", 4)
    notebook.open("del os.environ['ANTHROPIC_BASE_URL']", *shipped.cells)
    expect(notebook.chat).to_contain_text("Offline analyst: no model is asked")
    notebook.ask("Is AAPL worth buying?")
    expect(notebook.replies).to_contain_text("AAPL closed at $430.47 on 2013-03-01")
    cells = "window.jupyterapp.shell.currentWidget.content.model.toJSON().cells.filter(cell => cell.outputs)"
    notebook.page.wait_for_function(f"{cells}.every(cell => cell.execution_count)")
    assert notebook.page.evaluate(f"{cells}.flatMap(c => c.outputs).filter(o => o.output_type === 'error')") == []


def test_a_reopened_notebook_shows_the_history_and_its_file_holds_none_of_it(notebook, claude):
    claude.queue(say("The reply's own words."))
    notebook.open(OPEN)
    notebook.ask("The question's own words")
    expect(notebook.replies).to_have_count(1)
    saved = notebook.saved()
    assert "gallump_lab.ui.chat.ChatWidget" in saved  # the widget's state is saved, as the settings ask
    assert "own words" not in saved
    said = notebook.log.inner_text()
    notebook.restart()
    notebook.run("notebook:run-all-cells")
    expect(notebook.log).to_have_text(said, use_inner_text=True)

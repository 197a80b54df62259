"""A person chats in JupyterLab: one behaviour a spec."""

import re
import threading

from messages_server import DROP, Status, end, say, start, text, tool
from notebook_page import OPEN, PATIENCE_MS, within
from playwright.sync_api import expect
from running_server import eventually

from gallump_lab import Config, Lab, Model

LONG = """
from datetime import datetime, timedelta, UTC
import pandas as pd
from gallump_lab import Lab
lab = Lab.open('lab.duckdb')
lab.import_messages(pd.DataFrame([
    {'role': ('user', 'assistant')[i % 2], 'text': f'Note {i}', 'symbol': 'AAPL', 'key': str(i), 'conversation': '0',
     'created_at': datetime(2026, 3, 2, 9, tzinfo=UTC) + timedelta(seconds=i)} for i in range(250)]))
lab.chat()"""


def test_a_reply_is_stopped_while_a_cell_runs_another_streams_in_and_a_page_loaded_anew_shows_a_third(notebook, claude):
    hold = threading.Event()
    claude.queue(
        [start(), *text("Half of ", threading.Event(), "a reply"), *end()],
        [start(input_tokens=1234), *text("A range of $190 ", hold, "to $210 is **fair**."), *end()],
    )
    notebook.open(OPEN, "from pathlib import Path\nimport time\nwhile not Path('go').exists():\n    time.sleep(0.05)")
    send, stop = (notebook.chat.get_by_role("button", name=name) for name in ("Send", "Stop"))
    notebook.box.fill("Go on at length")
    place = within(notebook.chat, send)
    send.click()
    expect(notebook.log).to_contain_text("Half of")
    expect(send).to_be_hidden()
    assert within(notebook.chat, stop) == place
    notebook.box.fill("What is a fair range for AAPL?")
    notebook.box.press("Enter")
    expect(notebook.chat.get_by_role("status")).to_contain_text("still coming")
    expect(notebook.box).to_have_value("What is a fair range for AAPL?")
    stop.click()
    expect(notebook.replies).to_contain_text("stopped")
    expect(notebook.replies).to_contain_text("at most $")
    expect(notebook.replies.locator(".gl-text")).to_have_text("Half of")
    expect(notebook.box).to_be_focused()
    (notebook.folder / "go").touch()

    notebook.box.press("Enter")
    expect(notebook.log).to_contain_text("A range of $190")
    expect(notebook.replies).to_have_count(1)
    hold.set()
    reply = notebook.replies.nth(1)
    expect(reply).to_contain_text("A range of $190 to $210 is fair.")
    expect(reply.locator("strong")).to_have_text("fair")
    for figure in ("1,234 tokens in", "20 out", "$0.00", "HOT", "/2,000", "WARM 0/500", "COLD 0/200"):
        expect(reply).to_contain_text(figure)
    expect(notebook.box).to_be_focused()
    expect(notebook.box).to_have_value("")
    notebook.ask("And what did I ask before?")
    expect(notebook.replies.nth(2)).to_contain_text("You asked: And what did I ask before?")
    assert claude.requests[-1].body["messages"][2]["content"] == "What is a fair range for AAPL?"

    hold.clear()
    claude.queue([start(), *text("A settled block.\n\nAn open ", hold, "block."), *end()])
    notebook.ask("Take your time")
    expect(notebook.log).to_contain_text("An open")
    notebook.saved()
    notebook.reload()
    expect(notebook.log).to_contain_text("Take your time")
    expect(notebook.log).to_contain_text("An open")
    notebook.box.click()  # selects the cell
    notebook.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:create-output-view') }")
    expect(notebook.chat).to_have_count(2)
    expect(notebook.log.last).to_contain_text("An open")
    expect(notebook.box.last).not_to_be_focused()  # it leaves the focus where it is
    hold.set()
    for log in notebook.log.all():
        expect(log.locator("article")).to_have_count(8)
        expect(log).to_contain_text("An open block.")
        expect(log).not_to_contain_text("writing")


def test_a_reopened_chat_has_cards_to_accept_or_reject_and_asks_again_what_failed_without_storing_it_twice(
    notebook, claude
):
    idea = {"action": "buy", "symbol": "AAPL", "size": "5%", "entry": 430, "stop": 400, "target": 500}
    idea |= {"horizon": "3 months", "confidence": 0.6, "rationale": "It holds its mean."}
    call = tool({"recommendations": [idea, {**idea, "target": None}, {**idea, "symbol": "no symbol"}]})
    claude.queue(
        [start(), *text("Two."), *call, *end()],
        Status.error(401, "authentication_error", "Unknown key"),
        [start(), *text("Half of ", DROP)],
        say("All of it."),
    )
    notebook.open(OPEN)
    notebook.ask("Any idea?")
    first, second = (notebook.replies.get_by_role("group", name="buy AAPL").nth(place) for place in range(2))
    for words in ("$430.00", "$400.00", "$500.00", "$30.00 (7%)", "$70.00 (16.3%)", "2.3 R", "5%", "3 months"):
        expect(first).to_contain_text(words)
    expect(first).to_contain_text("confidence 60%")
    expect(first).to_contain_text("It holds its mean.")
    expect(second).not_to_contain_text("Risk")
    expect(notebook.replies).to_contain_text("nothing is ordered")
    expect(notebook.replies).to_contain_text("left out")
    expect(notebook.replies).to_contain_text("no symbol")
    expect(notebook.replies.locator(".gl-text").first).not_to_contain_text("confidence 60%")
    second.get_by_label("Note").fill("half a thought")
    first.get_by_label("Note").fill("<b>Good</b> odds")
    first.get_by_role("button", name="Accept").click()
    expect(first).to_contain_text("Accepted")
    expect(first).to_contain_text("<b>Good</b> odds")
    expect(second.get_by_label("Note")).to_have_value("half a thought")
    second.get_by_role("button", name="Reject").click()
    expect(second).to_contain_text("Rejected")
    notebook.ask("Will the line hold?")
    retry = notebook.log.get_by_role("button", name="Retry").filter(visible=True)
    expect(notebook.log.locator(".gl-fault").last).to_contain_text("refused the key")
    expect(notebook.box).to_have_value("")

    notebook.open(OPEN)
    expect(first).to_contain_text("<b>Good</b> odds")
    first.get_by_role("button", name="Change").click()
    expect(first.get_by_label("Note")).to_have_value("<b>Good</b> odds")
    first.get_by_role("button", name="Reject").press("Enter")
    expect(first).to_contain_text("Rejected")
    expect(first.get_by_role("button", name="Change")).to_be_focused()
    retry.click()
    expect(notebook.replies.nth(1).get_by_role("button", name="Retry")).to_be_visible()
    expect(retry).to_have_count(1)
    retry.click()
    expect(notebook.replies.nth(2)).to_contain_text("All of it.")
    expect(notebook.log.locator("article")).to_have_count(5)
    expect(notebook.replies.nth(1)).to_contain_text("Half of")
    expect(retry).to_have_count(0)
    assert len(claude.requests) == 4


def test_a_card_opens_a_chart_with_what_was_said_and_what_is_recommended(notebook, claude):
    idea = {"action": "buy", "symbol": "AAPL", "size": "5%", "entry": 450, "stop": 400, "target": 500}
    idea |= {"horizon": "3 months", "confidence": 0.6, "rationale": "It holds its mean."}
    claude.queue([start(), *text("Two."), *tool({"recommendations": [idea, idea | {"symbol": "ZZZ"}]}), *end()])
    notebook.open("from gallump_lab import Lab\nlab = Lab.sample()\nlab.chat(watchlist=['AAPL'])")
    asked = []
    notebook.page.on("request", lambda request: asked.append(request.url))
    notebook.ask("Any idea? My AAPL stop is 420.")
    card, unknown = (notebook.replies.get_by_role("group", name=name, exact=True) for name in ("buy AAPL", "buy ZZZ"))
    chart = card.get_by_role("group", name=re.compile("^AAPL closed at"))
    card.get_by_role("button", name="Chart").press("Enter")
    expect(chart).to_contain_text("AAPL closed at")
    for words in ("stop 420", "entry 450", "stop 400", "target 500"):
        expect(chart.get_by_text(words, exact=True)).to_be_visible()
    chart.locator(".mark-symbol path").last.hover()
    expect(notebook.page.locator("#vg-tooltip-element")).to_contain_text("My AAPL stop is 420")
    chart.locator("svg").hover(position={"x": 200, "y": 60})
    expect(notebook.page.locator("#vg-tooltip-element")).to_contain_text(re.compile(r"date:?\s*2012-\d\d-\d\d"))
    assert not [url for url in asked if not url.startswith((notebook.jupyter.url, "blob:"))]
    card.get_by_role("button", name="Accept").click()
    expect(card).to_contain_text("Accepted")
    expect(chart).to_be_visible()
    notebook.picture()
    card.get_by_role("button", name="Chart", expanded=True).click()
    expect(chart).to_have_count(0)
    unknown.get_by_role("button", name="Chart", expanded=False).click()
    expect(unknown).to_contain_text("no daily bars of ZZZ")


def test_the_header_says_what_is_spent_once_something_is_here_or_in_another_notebook(notebook, claude):
    notebook.open(f"import os\ndel os.environ['ANTHROPIC_BASE_URL']\n{OPEN}")
    spent = notebook.chat.locator(".gl-spending")
    notebook.ask("Is it free?")
    expect(notebook.replies).to_have_count(1)
    expect(spent).to_be_hidden()
    model = Model(name="claude-sonnet-5-5", base_url=claude.url)
    lab = Lab.open(notebook.folder / "lab.duckdb", config=Config(model=model), wait=30)
    claude.queue(say("No.", usage={"input_tokens": 200_000}), say("Dear.", usage={"input_tokens": 3_000_000}))
    lab.ask("And now?")
    notebook.page.mouse.move(0, 0)
    notebook.chat.hover()
    expect(spent).to_have_text("$0.40 today, $0.40 this month")
    expect(spent).to_have_attribute("title", re.compile("by UTC day and month"))
    with lab.store.write() as con:
        con.execute("update turns set asked_at = asked_at - interval 40 days where cost_usd > 0")
        con.execute("update turns set cost_usd = null where cost_usd = 0")
    lab.ask("And the other one?")
    notebook.ask("Is it still free?")
    expect(spent).to_have_text("$6.00 today, $6.00 this month, 1 call of unknown cost")


def test_the_spending_limit_is_a_visible_state_and_keeps_what_was_typed(notebook, claude):
    model = "Model(max_usd_per_day=0.0003)"
    notebook.open(
        f"from gallump_lab import Config, Lab, Model\nLab.open('lab.duckdb', config=Config(model={model})).chat()"
    )
    claude.queue(say("Worth every cent."))
    expect(notebook.chat).to_contain_text("$0.00 of $0.00030 today, $0.00 this month")
    notebook.ask("The last one?")
    expect(notebook.replies).to_have_count(1)
    expect(notebook.chat).to_contain_text("Spending limit reached: $0.00040 of $0.00030 today, $0.00040 this month")
    notebook.ask("One more?")
    expect(notebook.log.locator(".gl-fault")).to_contain_text("Raise model.max_usd_per_day, or wait for tomorrow")
    expect(notebook.box).to_have_value("One more?")
    expect(notebook.box).to_be_focused()
    assert len(claude.requests) == 1


def test_a_reply_cut_short_by_a_kernel_restart_stands_as_stopped_and_the_file_holds_no_word(notebook, claude):
    claude.queue([start(), *text("word0 word1", threading.Event()), *end()])
    notebook.open(OPEN)
    notebook.ask("Go on at length")
    expect(notebook.log).to_contain_text("word1")
    lab = Lab.open(notebook.folder / "lab.duckdb", wait=30)
    assert eventually(lambda: lab.sql("select text from drafts where text = 'word0 word1'").size)
    saved = notebook.saved()
    assert "gallump_lab.ui.chat.ChatWidget" in saved  # the widget's state is saved, as the settings ask
    assert "Go on at length" not in saved
    assert "word0" not in saved
    notebook.restart()
    expect(notebook.chat.get_by_role("status")).to_contain_text("The kernel was restarted")
    expect(notebook.chat.get_by_role("button", name="Stop")).to_be_hidden()
    notebook.box.fill("Half a thought")
    notebook.run("notebook:run-all-cells")
    expect(notebook.replies).to_contain_text("word0 word1")
    expect(notebook.box).to_have_value("Half a thought")
    expect(notebook.replies.locator(".gl-mark")).to_have_text("stopped")
    expect(notebook.replies.locator(".gl-fault")).to_contain_text("kernel ended before the reply had")
    notebook.ask("Where were we?")
    expect(notebook.replies.nth(1)).to_contain_text("Where were we?")


def test_earlier_messages_load_on_scroll_and_a_reader_who_scrolled_up_stays_there(notebook, claude):
    hold = threading.Event()
    claude.queue([start(), *text("A first line.\n\n", hold, *(f"Line {i}.\n\n" for i in range(40))), *end()])
    notebook.open(LONG)
    expect(notebook.log).to_contain_text("Note 249")
    expect(notebook.log).not_to_contain_text("Note 149")
    down = notebook.chat.get_by_role("button", name="Newest")
    expect(down).to_be_hidden()
    notebook.ask("Take your time")
    expect(notebook.log).to_contain_text("A first line.")
    notebook.log.evaluate("log => { log.scrollTop = 0 }")
    expect(notebook.log).to_contain_text("Note 149")
    kept = notebook.log.get_by_text("Note 154", exact=True)
    expect(kept).to_be_in_viewport()
    place = within(notebook.log, kept)
    hold.set()
    expect(notebook.replies.last).to_contain_text("Line 39.")
    assert within(notebook.log, kept) == place
    down.click()
    expect(notebook.log.get_by_text("Line 39.")).to_be_in_viewport()
    expect(down).to_be_hidden()
    expect(notebook.log).not_to_contain_text("Note 49")
    earlier = notebook.log.get_by_role("button", name="Earlier messages")
    earlier.focus()
    expect(notebook.log).to_contain_text("Note 0")
    expect(earlier).to_be_hidden()
    expect(notebook.log).to_be_focused()


def test_the_box_has_the_focus_on_first_run_and_brings_questions_back_and_a_new_session_is_blank_with_examples(
    notebook, claude
):
    claude.queue(*(say("Noted.") for _ in range(3)))
    notebook.open("\n".join(f"x{i} = {i}" for i in range(60)), OPEN)
    expect(notebook.box).to_be_focused(timeout=PATIENCE_MS)
    expect(notebook.box).to_be_in_viewport(ratio=1)
    example = notebook.log.get_by_role("group", name="Examples").get_by_role("button")
    expect(example).to_have_count(3)
    notebook.chat.get_by_label("Watchlist").fill("IBM, MSFT")
    notebook.chat.get_by_label("Watchlist").press("Tab")
    expect(example.nth(1)).to_contain_text("IBM or MSFT")
    example.nth(1).click()
    expect(notebook.box).to_have_value(re.compile("IBM or MSFT"))
    notebook.ask("The first")
    expect(notebook.replies).to_have_count(1)
    expect(example.first).to_be_hidden()
    notebook.ask("The second,\nof two lines")
    expect(notebook.replies).to_have_count(2)
    notebook.chat.get_by_role("button", name="New session").click()
    expect(notebook.log.locator("article")).to_have_count(0)
    expect(example.first).to_contain_text("What did I say about IBM")
    for key, words in (
        ("ArrowUp", "The second,\nof two lines"),
        ("ArrowUp", "The first"),
        ("ArrowUp", "The first"),
        ("ArrowDown", "The second,\nof two lines"),
        ("ArrowDown", ""),
    ):
        notebook.box.press(key)
        expect(notebook.box).to_have_value(words)
    notebook.box.fill("Mine")
    notebook.box.press("ArrowUp")
    expect(notebook.box).to_have_value("Mine")
    notebook.box.press("Enter")
    expect(notebook.replies).to_have_count(1)
    notebook.chat.get_by_role("button", name="All messages").click()
    expect(notebook.replies).to_have_count(3)


def test_a_chat_that_opens_takes_no_focus_from_a_cell_in_which_somebody_types(notebook):
    notebook.open(
        "from pathlib import Path\nimport time\nwhile not Path('go').exists():\n    time.sleep(0.05)", OPEN, "x ="
    )
    editor = notebook.page.locator(".jp-Notebook .cm-content").last
    editor.click()
    notebook.page.keyboard.press("End")
    notebook.page.keyboard.type(" 1")
    (notebook.folder / "go").touch()
    expect(notebook.chat).to_contain_text("Ask about a trade idea", timeout=PATIENCE_MS)
    notebook.page.keyboard.type("2")
    expect(editor).to_be_focused()
    expect(editor).to_have_text("x = 12")


def test_long_questions_fold_tabs_align_formulas_stay_whole_and_a_second_view_is_filled(notebook, claude):
    claude.queue(
        say("$190, or\n\n$$\na_1\n- b_2 * c\n$$\n\nso $$x_1 * y_1 *$$:\n\nA\tLong name\n**1**\t2"), say("Noted.")
    )
    notebook.open(OPEN)
    notebook.ask("My book:\nSymbol\tShares\nMSFT and more\t2\nWhat now?")
    expect(notebook.replies).to_have_count(1)
    question = notebook.log.locator(".gl-question")
    for said in (question.first, notebook.replies):
        left = [cell.bounding_box()["x"] for cell in said.locator("td:nth-child(2)").all()]
        assert len(left) == 2
        assert left[0] == left[1]
    expect(notebook.replies.locator("pre")).to_contain_text("a_1\n- b_2 * c")
    expect(notebook.replies).to_contain_text("$190, or")
    expect(notebook.replies).to_contain_text("so $$x_1 * y_1 *$$:")
    notebook.ask("\n".join(f"Line {i}" for i in range(40)))
    expect(notebook.replies).to_have_count(2)
    height = question.last.bounding_box()["height"]
    toggle = question.last.get_by_role("button", name="Show all (40 lines)")
    toggle.click()
    assert question.last.bounding_box()["height"] > 2 * height
    expect(question.last.get_by_role("button", name="Show less")).to_have_attribute("aria-expanded", "true")
    notebook.box.click()  # selects the cell
    notebook.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:create-output-view') }")
    expect(notebook.chat).to_have_count(2)
    expect(notebook.replies).to_have_count(4)
    view = notebook.page.locator(".jp-LinkedOutputView")
    _, _, _, filled = within(view, view.get_by_role("region", name="Chat", exact=True))
    assert filled > 0.9 * view.bounding_box()["height"]

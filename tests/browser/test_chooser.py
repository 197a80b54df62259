"""A person chooses who answers and how hard, and sees what thinking took."""

import re
import threading

from messages_server import end, refuse, start, text, think, thinking
from notebook_page import OPEN, OUTSIDE
from playwright.sync_api import expect


def test_model_and_effort_are_chosen_in_the_header_asked_from_then_on_and_stand_in_a_reopened_chat(
    notebook, claude, keyboard
):
    local = f"qwen-{'long-' * 20}local"
    claude.models = ["claude-sonnet-5-5", local]
    notebook.open(OPEN)
    model, effort = (notebook.chat.get_by_role("combobox", name=name) for name in ("Model", "Effort"))
    expect(model).to_have_value("auto")
    expect(model.locator("option:checked")).to_have_text("claude-sonnet-5-5 (auto) · $2 / $10")
    expect(model.locator("option", has_text=local)).to_be_attached()
    expect(effort).to_have_value("medium")
    model.select_option("claude-opus-5-5")
    status = notebook.chat.get_by_role("status")
    expect(status).to_contain_text("In force for the questions to come")
    effort.focus()
    keyboard.type("low")
    expect(effort).to_have_value("low")
    notebook.ask("Now?")
    expect(notebook.replies).to_contain_text("claude-opus-5-5, low effort")
    sent = claude.requests[-1].body
    assert (sent["model"], sent["output_config"]) == ("claude-opus-5-5", {"effort": "low"})
    notebook.open(OPEN)
    expect(model).to_have_value("claude-opus-5-5")
    expect(effort).to_have_value("low")
    model.select_option(local)
    expect(effort).to_be_hidden()
    notebook.narrow(400)
    assert notebook.chat.evaluate(OUTSIDE) == []
    notebook.open(f"os.environ['ANTHROPIC_MODEL'] = 'claude-haiku-5-5'\n{OPEN}")
    expect(model).to_be_disabled()
    expect(model).to_have_attribute("title", "ANTHROPIC_MODEL says who answers.")
    notebook.open(f"del os.environ['ANTHROPIC_MODEL']\n{OPEN}")
    expect(model).to_be_enabled()
    notebook.open(f"del os.environ['ANTHROPIC_BASE_URL']\n{OPEN}")
    expect(notebook.chat.get_by_text("Offline analyst: no model is asked")).to_be_visible()
    expect(model).to_be_hidden()


def test_thinking_is_counted_also_in_a_view_that_opens_meanwhile_and_is_stopped(notebook, claude):
    hold = threading.Event()
    claude.queue(
        [start(), *thinking(), threading.Event(), *text("Never", index=1), *end()],
        [start(cache_read_input_tokens=1900), *thinking(), hold, *text("So.", index=1), *end(thinking_tokens=800)],
    )
    notebook.open(OPEN)
    notebook.ask("Think it over")
    expect(notebook.log).to_contain_text(re.compile(r"thinking, [1-9]\d* s"))
    notebook.box.click()  # selects the cell
    notebook.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:create-output-view') }")
    expect(notebook.chat).to_have_count(2)
    for log in notebook.log.all():
        expect(log.locator(".gl-mark")).to_have_text(re.compile(r"^thinking, [1-9]\d* s$"))
    notebook.chat.first.get_by_role("button", name="Stop").click()
    for log in notebook.log.all():
        expect(log).to_contain_text("Stopped. What had arrived is kept.")
        expect(log).not_to_contain_text("thinking")
    log = notebook.log.first
    log.get_by_role("button", name="Retry").filter(visible=True).click()
    expect(log).to_contain_text("thinking, 0 s")
    hold.set()
    facts = log.get_by_role("group", name="Tokens, cost, time and memory").last
    for words in ("thought", "s, 800 tokens, $0.0080", "1,900 of 2,000 tokens from cache"):
        expect(facts).to_contain_text(words)


def test_what_thinking_ate_is_asked_again_with_less_effort_or_more_room_and_a_refusal_names_its_category(
    notebook, claude
):
    claude.queue(think(tokens=12_096), think(tokens=12_096), think("All of it."), refuse("cyber", "I"))
    notebook.open(OPEN)
    notebook.ask("Why?")
    expect(notebook.log.locator(".gl-fault")).to_contain_text("on thinking and wrote nothing")
    less, more = (
        notebook.log.get_by_role("button", name=f"Retry with {each}") for each in ("less effort", "more room")
    )
    expect(more).to_be_visible()
    less.click()
    expect(less).to_have_count(0)
    more.click()
    expect(notebook.replies).to_contain_text("All of it.")
    expect(more).to_have_count(0)
    asked = [(each.body["output_config"]["effort"], each.body["max_tokens"]) for each in claude.requests]
    assert asked == [("medium", 12_096), ("low", 12_096), ("low", 20_096)]
    notebook.ask("And how?")
    expect(notebook.replies.last).to_contain_text("declined to go on (cyber)")

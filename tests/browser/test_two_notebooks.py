"""Two notebooks, each with its own kernel, talk on one lab: one behaviour a spec."""

import threading

from messages_server import end, say, start, text
from notebook_page import OPEN
from playwright.sync_api import expect


def come_back(notebook):
    """Go to a notebook's page and point at its chat."""
    notebook.page.bring_to_front()
    notebook.page.mouse.move(0, 0)
    notebook.chat.hover()


def said(notebook):
    """Give who said what, in the order in which it is shown."""
    return notebook.log.locator("article").evaluate_all(
        "all => all.map(each => [each.dataset.id, each.querySelector('.gl-text').innerText.trim()])"
    )


def test_each_shows_what_the_other_said_once_it_is_entered_and_a_reply_under_way_spoils_nothing(
    notebook, another, claude
):
    both = first, second = notebook, another
    for each in both:
        each.open(OPEN)
        expect(each.box).to_be_visible()
    hold = threading.Event()
    claude.queue(*([start(), *text("Half ", hold, "and whole."), *end()] for _ in both))
    for i, each in enumerate(both):
        each.ask(f"Question {i}")
    for each in both:
        expect(each.log).to_contain_text("Half")
    hold.set()
    for i, each in enumerate(both):
        come_back(each)
        expect(each.log).to_contain_text(f"Question {1 - i}")
        expect(each.replies).to_have_count(2)
        expect(each.log.get_by_role("button", name="Retry").filter(visible=True)).to_have_count(0)
    assert said(first) == said(second)
    assert [text for _, text in said(first)] == ["Question 0", "Question 1", "Half and whole.", "Half and whole."]

    hold.clear()
    claude.queue([start(), *text("Slow ", hold, "reply."), *end()], say("Quick reply."))
    first.ask("A long one")
    expect(first.log).to_contain_text("Slow")
    second.ask("A short one")
    expect(second.replies.last).to_contain_text("Quick reply.")
    second.box.fill("Half a thought")
    come_back(second)
    expect(second.log).to_contain_text("A long one")
    hold.set()
    expect(first.replies.filter(has_text="Slow reply.")).to_have_count(1)
    come_back(second)
    expect(second.log).to_contain_text("Slow reply.")
    expect(second.box).to_have_value("Half a thought")
    come_back(first)
    expect(first.log).to_contain_text("Quick reply.")
    assert said(first) == said(second)

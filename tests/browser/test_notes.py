"""A person sees what a reply rests on, goes to where it was said, and reads what the cache saved."""

import re

from notebook_page import OUTSIDE, remembering
from playwright.sync_api import expect

CITES = """
from dataclasses import replace
lab.apply(replace(lab.config, layout='conversation', model=replace(lab.config.model, citations=True)))"""
FACTS = "Tokens, cost, time and memory"


def opened(notebook):
    """Open a chat that continues its session as turns and whose replies cite, on a lab of forty sessions."""
    cell = remembering(40, "at {400 + i}, below its 50-day mean")
    notebook.open(cell.replace("\nlab.chat(", f"{CITES}\nlab.chat("))


def test_a_note_leads_to_where_it_was_said_by_mouse_and_by_keys_and_goes_with_its_message(notebook, keyboard):
    opened(notebook)
    notebook.ask("Where is my AAPL stop?")
    reply, panel = notebook.replies.last, notebook.chat.get_by_role("complementary", name="Context")
    notes = reply.get_by_role("list", name="Notes").get_by_role("listitem")
    expect(notes).to_have_count(2)
    expect(notes.first).to_have_text(re.compile(r"^\[1\] 2026-0\d-\d\d, AAPL, user: My AAPL stop number \d+ stands"))
    number = reply.locator("sup").first.get_by_role("button", name="Note [1] 2026-")
    expect(number).to_have_text("[1]")
    said = notes.first.inner_text().split(": ")[1]

    number.click()
    source = panel.get_by_role("group", name="Source")
    expect(source).to_contain_text("Where this was said")
    expect(source.locator(".gl-found")).to_contain_text(said)
    expect(source.get_by_role("button", name="Back")).to_be_focused()
    source.get_by_role("button", name="Back").click()
    expect(panel).to_contain_text("This reply: what it was given")
    warm = panel.locator("details[data-tier=warm] > ul > .gl-slot")
    expect(warm.filter(has_text=said).locator(".gl-why")).to_have_text(re.compile(" · cited$"))
    expect(warm.locator(".gl-why", has_text="· not cited")).not_to_have_count(0)
    panel.get_by_role("button", name="Close", exact=True).click()
    expect(number).to_be_focused()

    keyboard.use(notes.nth(1).get_by_role("button"))
    expect(source.locator(".gl-found")).to_contain_text(notes.nth(1).inner_text().split(": ")[1])
    keyboard.look()
    keyboard.press("Escape")
    expect(notes.nth(1).get_by_role("button")).to_be_focused()
    keyboard.use(number, "Shift+Tab")
    expect(source.locator(".gl-found")).to_contain_text(said)
    for width in (400, 800, 1200):
        notebook.narrow(width)
        assert notebook.chat.evaluate(OUTSIDE) == []
    keyboard.press("Escape")

    asked = notebook.log.locator("article.gl-question").filter(has_text=said)
    asked.get_by_role("button", name="Forget this message").click()
    asked.get_by_role("button", name="Forget", exact=True).click()
    expect(notes).to_have_count(1)
    expect(notes).to_contain_text("[2]")
    expect(reply.locator("sup")).to_have_text("[2]")


def test_turns_that_stand_together_are_told_of_and_the_facts_say_what_the_cache_saved_or_why_it_was_missed(notebook):
    opened(notebook)
    for number in range(3):
        notebook.ask(f"Where was AAPL stop number {number}? " + "I recall it was lower. " * 20)
        expect(notebook.replies.nth(40 + number)).to_be_visible()
    facts = notebook.replies.last.get_by_role("group", name="Tokens, cost, time and memory")
    expect(facts).to_contain_text(re.compile(r"[1-9][\d,]+ of [\d,]+ tokens from cache, \$0\.00\d+ saved"))

    notebook.chat.get_by_role("button", name="Context", exact=True).click()
    panel = notebook.chat.get_by_role("complementary", name="Context")
    hot = panel.locator("details[data-tier=hot]")
    hot.locator("summary").first.click()
    turns = hot.locator("> ul > .gl-slot")
    expect(turns).to_have_count(8)  # the newest question and its reply in passages
    expect(turns.nth(4)).to_contain_text(re.compile(r"\d+ tokens, with the turns below"))
    expect(turns.nth(5)).to_contain_text("counted with the turn above")
    expect(hot).not_to_contain_text("0 tokens,")
    panel.get_by_label("HOT budget").fill("10")
    expect(hot).to_contain_text("nothing, no room left in the budget")
    expect(hot.get_by_text("Not in, and why (8)")).to_be_visible()

    notebook.open(
        "lab.apply(replace(lab.config, model=replace(lab.config.model, tools='never')))\nlab.chat()",
        "lab.explore('And now?', session_id=lab.transcript()[-1]['session_id'])",
    )
    explorer = notebook.page.get_by_role("region", name="Explorer")
    expect(explorer.locator("details[data-tier=hot]")).to_contain_text("HOT: 8 kept")
    explorer.get_by_label("HOT budget").fill("0")
    expect(explorer.locator("details[data-tier=hot]")).not_to_contain_text("kept,")
    notebook.ask("And now?")
    expect(notebook.replies.last).to_contain_text(re.compile(r"cache missed: tools changed, [\d,]+ tokens"))

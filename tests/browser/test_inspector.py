"""A person looks at what a question carries, and changes it."""

import re
import threading
from datetime import UTC, datetime, timedelta

from messages_server import say
from notebook_page import CLOCKED, OUTSIDE, remembering
from playwright.sync_api import expect

from gallump_lab.study.colours import COLOURS

WARM = f"rgb({', '.join(str(int(COLOURS['WARM'][at : at + 2], 16)) for at in (1, 3, 5))})"


def inspector(notebook, *cells):
    """Give the open inspector of a chat whose lab remembers sixty sessions."""
    notebook.open(remembering(60, "at {400 + i}, below its 50-day mean"), *cells)
    notebook.box.fill("Where is my stop?")
    notebook.chat.get_by_role("button", name="Context", exact=True).click()
    found = notebook.chat.get_by_role("complementary", name="Context")
    expect(found.locator("[data-tier=warm]").first).to_contain_text("My AAPL stop number")
    return found


def kept(panel, tier):
    return panel.locator(f"details[data-tier={tier}] > ul > .gl-slot")


def test_a_question_shows_what_it_would_carry_as_it_is_typed_or_why_it_cannot_be_asked_and_its_reply_what_it_did(
    notebook, claude
):
    panel = inspector(notebook)
    claude.queue(say("It stands at 459."))
    expect(panel).to_contain_text("Room left: 9")
    expect(panel).to_contain_text("at most $0.1")
    expect(panel.get_by_role("img").first).to_have_accessible_name(re.compile("WARM [1-9]"))
    expect(kept(panel, "warm").first).to_contain_text("shares stop")
    expect(kept(panel, "cold")).to_contain_text("Waits for two closes before any exit.")
    notebook.box.fill("What was noted?")
    expect(kept(panel, "warm").first).to_contain_text("Noted")
    notebook.box.fill("Where is my stop?")
    expect(kept(panel, "warm").first).to_contain_text("My AAPL stop number")
    shown = kept(panel, "warm").count()
    notebook.box.press("Enter")
    expect(panel).to_contain_text("This reply: what it was given")
    expect(kept(panel, "warm")).to_have_count(shown)
    assert claude.requests[0].prompt.count("My AAPL stop number") == shown
    expect(notebook.replies.last.locator(".gl-tier", has_text="WARM").locator("i")).to_have_css(
        "background-color", WARM
    )
    notebook.box.press_sequentially("And")
    expect(panel).to_contain_text("Next question: what it carries")
    notebook.replies.last.get_by_role("button", name="Context of this reply").click()
    expect(panel).to_contain_text("This reply: what it was given")
    expect(panel.get_by_role("group", name="Budgets")).to_be_hidden()

    notebook.box.fill("Where is my stop?")
    notebook.chat.get_by_label("Watchlist").fill("AAPL, <b>")
    expect(panel.locator(".gl-fault")).to_contain_text("<b>")
    notebook.chat.get_by_label("Watchlist").fill("AAPL")
    expect(panel.locator(".gl-fault")).to_be_hidden()
    hold = threading.Event()
    claude.queue(say("Slow", hold, "ly."))
    notebook.box.press("Enter")
    expect(notebook.log).to_contain_text("Slow")
    notebook.box.fill("What was noted?")
    expect(kept(panel, "warm").first).to_contain_text("Noted")
    hold.set()
    expect(notebook.replies.last).to_contain_text("Slowly.")
    expect(notebook.box).to_have_value("What was noted?")
    expect(panel).to_contain_text("Next question")


def test_the_explorer_shows_one_question_under_any_budget_and_an_item_leads_to_where_it_was_said(notebook):
    panel = inspector(notebook, "lab.explore('Where is my stop?', ['AAPL'])")
    explorer = notebook.page.get_by_role("region", name="Explorer")
    expect(kept(explorer, "warm").first).to_contain_text("shares stop")
    before = kept(explorer, "warm").count()
    explorer.get_by_label("WARM budget").fill("100")
    expect(kept(explorer, "warm").nth(before - 1)).to_have_count(0)
    kept(explorer, "cold").locator(".gl-open").click()
    expect(explorer.get_by_role("group", name="Source")).to_contain_text("What this insight rests on")
    explorer.get_by_role("button", name="Back").click()
    for name in ("Close", "Use from now on"):
        expect(explorer.get_by_role("button", name=name, exact=True)).to_have_count(0)
    assert explorer.evaluate(OUTSIDE) == []

    notebook.box.fill("Where did stop number 1 stand?")
    early = kept(panel, "warm").filter(has_text="number 1 stands").locator(".gl-open")
    words = early.inner_text()
    early.click()  # it is not in the transcript that is loaded
    source = panel.get_by_role("group", name="Source")
    expect(source).to_contain_text("Where this was said")
    expect(source.locator(".gl-found")).to_contain_text(words)
    source.get_by_role("button", name="Back").click()
    kept(panel, "cold").locator(".gl-open").click()
    source.get_by_role("button", name="Open its session").click()
    expect(notebook.log.locator("article")).to_have_count(2)
    expect(notebook.log).to_contain_text("My AAPL stop number 1 stands")


def test_a_slider_shows_its_effect_at_once_and_is_put_in_force_when_that_is_asked_for(notebook, claude):
    panel = inspector(notebook)
    before = kept(panel, "warm").count()
    slider = panel.get_by_label("WARM budget")
    slider.fill("1000")
    expect(panel).to_contain_text("of 1,000")
    expect(kept(panel, "warm").nth(before)).to_be_attached()
    panel.get_by_role("button", name="Undo").click()
    expect(kept(panel, "warm")).to_have_count(before)
    slider.fill("100")
    expect(panel.get_by_text("Not in, and why (20)")).to_be_visible()
    panel.get_by_role("button", name="Use from now on").click()
    expect(notebook.chat.get_by_role("status")).to_contain_text("In force for the questions to come")
    expect(panel.get_by_role("button", name="Undo")).to_be_hidden()
    notebook.box.press("Enter")
    expect(notebook.replies.last).to_contain_text("/100")
    assert claude.requests[0].prompt.count("My AAPL stop number") == kept(panel, "warm").count() < before


def test_an_item_is_pinned_opened_or_excluded_for_one_question_without_a_mouse(notebook, claude, keyboard):
    notebook.open(remembering(4, "below its 50-day mean, for the trend of that week had turned"))
    notebook.box.fill("Where is my stop?")
    context = notebook.chat.get_by_role("button", name="Context", exact=True)
    panel = notebook.chat.get_by_role("complementary", name="Context")
    warm, source = kept(panel, "warm"), panel.get_by_role("group", name="Source")
    keyboard.use(context, "Shift+Tab")
    expect(panel.get_by_role("button", name="Close")).to_be_focused()
    expect(warm.first).to_contain_text("My AAPL stop")
    keyboard.reach(panel.get_by_label("WARM budget"))
    keyboard.press("End")
    expect(panel).to_contain_text("of 4,000")
    keyboard.use(panel.get_by_role("button", name="Undo"))
    keyboard.look()
    pinned = warm.nth(1).locator(".gl-open").inner_text()
    keyboard.use(warm.nth(1).get_by_role("button", name="Pin for the next question"))
    first = warm.first.filter(has_text=pinned)
    expect(first.get_by_role("button", name="Pin for the next question")).to_be_focused()
    expect(first).to_contain_text("pinned by you")
    keyboard.use(first.locator(".gl-open"), "Shift+Tab")
    expect(notebook.log.locator("article", has_text=pinned)).to_be_focused()
    keyboard.press("Escape")
    expect(first.locator(".gl-open")).to_be_focused()
    insight = panel.locator("[data-tier=cold] .gl-open")
    keyboard.use(insight)
    expect(source).to_contain_text("What this insight rests on")
    expect(source.locator("article")).to_have_count(2)
    keyboard.use(panel.get_by_role("button", name="Back"))
    expect(insight).to_be_focused()
    excluded = warm.last.locator(".gl-open").inner_text()
    keyboard.use(warm.last.get_by_role("button", name="Exclude"), "Shift+Tab")
    expect(warm.filter(has_text=excluded)).to_have_count(0)
    keyboard.look()
    keyboard.press("Escape")
    expect(context).to_be_focused()
    expect(notebook.chat).to_contain_text("For the next question: 1 pinned, 1 excluded.")
    claude.queue(say("As you said."))
    notebook.box.press("Enter")
    expect(notebook.replies.last).to_contain_text("As you said.")
    assert pinned in claude.requests[0].prompt
    assert excluded not in claude.requests[0].prompt
    expect(notebook.chat).not_to_contain_text("For the next question")  # it holds for one question
    notebook.box.fill("Where is my stop?")
    context.click()
    expect(warm.filter(has_text=excluded)).to_have_count(1)
    warm.first.get_by_role("button", name="Exclude").click()
    keyboard.use(notebook.chat.get_by_role("button", name="Clear"))
    expect(notebook.box).to_be_focused()
    expect(notebook.chat).not_to_contain_text("For the next question:")


def test_asked_again_and_again_the_offline_analyst_says_where_a_stop_stands_and_the_old_one_is_marked(notebook):
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def ask(text, later):
        nonlocal now
        now += later
        notebook.at(now)
        count = notebook.replies.count()
        notebook.ask(text)
        expect(notebook.replies).to_have_count(count + 1)
        return notebook.replies.last

    notebook.at(now)
    notebook.open("del os.environ['ANTHROPIC_BASE_URL']", CLOCKED)
    expect(notebook.chat).to_contain_text("Offline analyst: no model is asked")
    minute = timedelta(minutes=1)
    reply = ask("I'm long 30 AAPL at 430. My stop is 420, hard, not mental.", minute)
    expect(reply).to_contain_text("AAPL closed at $430.47 on 2013-03-01")
    for text in ("What else moves the stock this month?", "I sleep badly before earnings, keep it small."):
        ask(text, minute)
    for text in ("Where did I want my stop on AAPL?", "Where did I want my stop on AAPL?"):
        reply = ask(text, minute)
        expect(reply).to_contain_text("My stop is 420, hard, not mental.")
    ask("Moved my AAPL stop to 455 after that run.", minute)
    for later in (minute, timedelta(days=1), minute):
        reply = ask("Where did I want my stop on AAPL?", later)
        expect(reply).to_contain_text("Moved my AAPL stop to 455 after that run.")
        expect(reply).not_to_contain_text("420")
        expect(reply).not_to_contain_text("Where did I want")
    expect(notebook.log.locator(".gl-divider")).to_have_text("Session ended after 30 minutes \u00b7 new session")

    reply.get_by_role("button", name="Context of this reply").click()
    panel = notebook.chat.get_by_role("complementary", name="Context")
    newest, old = kept(panel, "warm").first, kept(panel, "warm").filter(has_text="My stop is 420")
    expect(newest).to_contain_text("Moved my AAPL stop to 455")
    expect(newest).not_to_contain_text("superseded")
    expect(old).to_contain_text("superseded: 455 since 2026-03-02")
    panel.get_by_role("button", name="Next question", exact=True).click()
    notebook.box.fill("Who bakes sourdough bread?")
    expect(panel.locator("details[data-tier=warm] > summary")).to_have_text("WARM: nothing matches well")

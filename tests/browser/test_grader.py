"""A person labels messages and reviews insights: one behaviour a spec."""

import pytest
from notebook_page import OUTSIDE, PATIENCE_MS, remembering
from playwright.sync_api import expect

from gallump_lab import Lab

AGAIN = "from gallump_lab import Lab\nlab = Lab.open('lab.duckdb')"
ASKED = f"{remembering(12, 'at {400 + i}, below its 50-day mean')}\nlab.ask('Where is my AAPL stop?', ['AAPL'])"
LEARNT = f"""
from datetime import datetime, timedelta, UTC
{AGAIN}
day = datetime(2026, 3, 2, 9, tzinfo=UTC)
session = lab.sessions.get_or_create_session()
said = ['I sold the halibut winner far too early, again.', 'My halibut stop is 400.', 'Stop up to 410.']
for i, text in enumerate(said):
    lab.sessions.add_message(session, 'user', text, symbol='HAL', created_at=day + timedelta(days=i))
lab.insights.add('Sells halibut winners too early', kind='lesson', sources=[1], distiller='rules')
stop = {{'kind': 'level', 'symbol': 'HAL', 'attribute': 'stop', 'distiller': 'rules'}}
lab.insights.add('Halibut stop: 400', value='400', sources=[2], valid_from=day + timedelta(days=1), **stop)
lab.insights.add('Halibut stop: 410', value='410', sources=[2, 3], valid_from=day + timedelta(days=2), **stop)
lab.insights.add('Never averages down', kind='preference', speaker='Priya', valid_until=day + timedelta(days=400))
lab.insights.add('Trades on Tuesdays', kind='preference')
lab.insights.retire(5, 'never said')"""
LABEL = "widget = lab.labeller()\nwidget"
REVIEW = "widget = lab.reviewer()\nwidget"


class Grader:
    """The grader of a notebook."""

    def __init__(self, notebook, name="Insights to review"):
        self.notebook, self.page = notebook, notebook.page
        self.root = notebook.page.get_by_role("region", name=name)
        self.rows = self.root.locator("article")
        self.current = self.root.locator("[aria-current=true]")
        self.status = self.root.get_by_role("status")

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, place):
        return self.rows.nth(place).locator(".gl-open")

    def graded(self, place):
        return self.rows.nth(place).locator(".gl-grade")

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def swept(self, place):
        """Sweep the mouse over a text, and give what that selects."""
        self.text(place).scroll_into_view_if_needed()
        box = self.text(place).bounding_box()
        self.page.mouse.move(box["x"] + 2, box["y"] + 9)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + 90, box["y"] + 9, steps=3)
        self.page.mouse.up()
        found = self.page.evaluate("() => getSelection().toString()")
        assert len(found) > 5
        return found

    def sources(self, place):
        return self.rows.nth(place).get_by_role("list", name="Sources")

    def fits(self, *widths):
        for width in widths:
            self.root.evaluate("(root, width) => { root.style.width = `${width}px` }", width)
            assert self.root.evaluate(OUTSIDE) == []


@pytest.fixture
def review(notebook):
    """Give the grader on a lab of four insights that stand, one of them retired."""
    notebook.open(LEARNT, REVIEW)
    found = Grader(notebook)
    expect(found.root).to_contain_text("0 of 3 insights graded")
    return found


def test_messages_are_labelled_by_key_and_by_mouse_undone_and_their_words_can_be_copied(notebook):
    notebook.open(ASKED, "lab.add_question('What was noted first?', answer='0')", LABEL)
    labels = Grader(notebook, "Labels")
    question = labels.root.get_by_role("group", name="Question", exact=True)
    expect(question).to_contain_text("Where is my AAPL stop?", timeout=3 * PATIENCE_MS)  # a cold kernel imports
    expect(labels.current).to_have_count(1)
    assert labels.swept(0) in labels.text(0).inner_text()
    labels.press("3")
    expect(labels.graded(0)).to_have_text("3 evidence")
    expect(labels.text(1)).to_be_focused()
    labels.press("0", "1", "k")
    expect(labels.text(2)).to_be_focused()
    expect(labels.button("On the subject")).to_have_attribute("aria-pressed", "true")
    labels.press("2")
    expect(labels.root).to_contain_text("1 of 2 questions, 3 labels")
    labels.press("u")
    expect(labels.graded(2)).to_have_text("1 on the subject")
    expect(labels.text(2)).to_be_focused()
    labels.press("Control+z", "Control+z", "u", "u")
    expect(labels.status).to_have_text("Nothing to undo: nothing has been changed since this was opened.")
    expect(labels.graded(0)).to_have_text("no grade")
    labels.press("n")
    expect(labels.root).to_contain_text("Question 2 of 2")
    expect(labels.root).to_contain_text("Answer: 0")
    labels.press("n")
    expect(labels.status).to_have_text("That was the last question.")
    labels.press("p")
    expect(labels.root).to_contain_text("Question 1 of 2")
    labels.text(2).click()
    labels.button("Evidence").click()
    expect(labels.graded(2)).to_have_text("3 evidence")
    expect(labels.button("Evidence")).to_be_focused()
    expect(labels.rows.nth(3)).to_have_attribute("aria-current", "true")
    labels.button("Undo").click()
    expect(labels.graded(2)).to_have_text("no grade")
    question.click()
    expect(labels.current.locator(".gl-open")).to_be_focused()
    labels.fits(320, 760)


def test_an_insight_unfolds_is_graded_by_key_and_shows_what_others_changed_once_it_is_entered(notebook, review):
    expect(review.rows).to_have_count(4)
    review.text(1).click()
    expect(review.sources(1).get_by_role("listitem")).to_have_count(2)
    expect(review.sources(1)).to_contain_text("My halibut stop is 400.")
    expect(review.sources(1).locator("mark")).to_have_text(["halibut", "stop", "Stop", "410"])
    past = review.rows.nth(1).get_by_role("list", name="History")
    expect(past).to_contain_text("Learnt, by rules: Halibut stop: 400")
    review.rows.nth(1).locator(".gl-facts").first.click()
    expect(review.sources(1)).to_have_count(0)
    expect(review.text(1)).to_be_focused()
    review.press("ArrowUp", "Enter")
    expect(review.sources(0)).to_contain_text("far too early, again")
    review.press("2")  # the next one unfolds in its place
    expect(review.sources(0)).to_have_count(0)
    expect(review.sources(1)).to_be_visible()
    review.press("ArrowLeft")
    expect(review.sources(1)).to_have_count(0)
    review.press("u")
    expect(review.graded(0)).to_have_text("no grade")
    expect(review.text(3)).to_have_css("text-decoration-line", "line-through")
    review.text(0).focus()
    review.press("3")
    expect(review.graded(0)).to_have_text("3 in every prompt")
    expect(review.text(1)).to_be_focused()
    review.press("k", "1")
    expect(review.graded(0)).to_have_text("1 of no use")
    review.press("j", "0", "u")
    expect(review.graded(2)).to_have_text("no grade")
    expect(review.text(2)).to_be_focused()
    review.press("Control+z")
    expect(review.graded(0)).to_have_text("3 in every prompt")
    review.press("j", "2", "2")
    expect(review.status).to_have_text("Every insight has a grade.")
    expect(review.root.locator(".gl-pending")).to_have_count(0)
    expect(review.root).to_contain_text("3 of 3 insights graded")
    other = Lab.open(notebook.folder / "lab.duckdb", wait=30)
    other.insights.edit(1, "Sells halibut winners too early, says Ann")
    other.insights.pin(3)
    review.page.mouse.move(0, 0)
    review.root.hover()
    expect(review.text(0)).to_have_text("Sells halibut winners too early, says Ann")
    expect(review.rows.nth(1)).to_contain_text("pinned")
    expect(review.rows).to_have_count(4)


def test_one_key_pins_retires_and_edits_in_place_and_all_is_taken_back(review):
    review.text(0).focus()
    review.press("p", "x")
    expect(review.rows.nth(0)).to_contain_text("pinned")
    expect(review.rows.nth(0)).to_contain_text("retired")
    expect(review.button("Unpin")).to_have_attribute("aria-pressed", "true")
    expect(review.root).to_contain_text("0 of 2 insights graded")
    review.press("e")
    expect(review.status).to_contain_text("It is retired: restore it")
    review.press("u")
    expect(review.rows.nth(0)).not_to_contain_text("retired")
    expect(review.status).to_have_count(0)
    for name, back in (("Retire", "Restore"), ("Restore", "Retire"), ("Unpin", "Pin")):
        review.button(name).click()
        expect(review.button(back)).to_be_focused()
    expect(review.rows.nth(0)).not_to_contain_text("pinned")
    review.root.locator("header").first.click()
    expect(review.text(0)).to_be_focused()
    box = review.root.get_by_label("Text of the insight")
    review.press("e")
    expect(box).to_be_focused()
    review.page.keyboard.type(" and x0ue")
    review.press("Escape")
    expect(review.text(0)).to_be_focused()
    expect(review.text(0)).to_have_text("Sells halibut winners too early")
    review.press("e")
    review.page.keyboard.type(", far too early")
    review.press("Enter", "p")  # no key waits until it is saved
    expect(review.rows.nth(0)).to_contain_text("pinned")
    expect(review.text(0)).to_have_text("Sells halibut winners too early, far too early")
    expect(review.text(0)).to_be_focused()
    review.press("u", "u")
    expect(review.text(0)).to_have_text("Sells halibut winners too early")
    review.press("e")
    box.fill(" ")
    review.press("Enter")
    expect(review.status).to_contain_text("An insight needs words")
    review.fits(340, 760)
    review.button("Leave").click()
    expect(review.text(0)).to_be_focused()


def test_a_lab_that_is_held_by_another_says_so_and_keeps_what_is_being_written(notebook):
    card = "pd.DataFrame({'insight_id': [3, 1, 4], 'support': [0.126, 2, float('nan')], 'uses': [1, 12, 0], "
    card += "'why': ['one of its two sources says another level', None, 'no message says so, and nothing was asked']})"
    held = f"import pandas as pd\nlab = Lab.open('lab.duckdb', wait=0.2)\nwidget = lab.reviewer({card})\nwidget"
    notebook.open(LEARNT, held)
    review = Grader(notebook)
    expect(review.rows).to_have_count(3)
    expect(review.rows.nth(0).locator(".gl-beside")).to_have_text("support 0.13uses 1")
    expect(review.rows.nth(0)).to_contain_text("why: one of its two sources says another level")
    review.text(1).click()
    review.press("e")
    review.page.keyboard.type(", always")
    with Lab.open(notebook.folder / "lab.duckdb").store.write():  # its turn comes after what the click looks up
        review.press("Enter")
        expect(review.status).to_contain_text("Not saved, \u201cSells halibut winners too early\u201d")
        expect(review.status).to_contain_text("is held by")
        expect(review.root.get_by_label("Text of the insight")).to_have_value("Sells halibut winners too early, always")
        review.text(0).click()
        review.press("3")
        expect(review.status).to_contain_text("Not graded, \u201cHalibut stop: 410\u201d")
        expect(review.graded(0)).to_have_text("no grade")
    review.root.get_by_label("Text of the insight").press("Enter")
    expect(review.text(1)).to_have_text("Sells halibut winners too early, always")


def test_no_key_reaches_the_notebook_no_text_is_run_and_no_word_is_saved(notebook):
    hostile = "<img src=x onerror=window.hacked=1> My stop <script>window.hacked=2</script>\\u202e"
    said = f"said = lab.sessions.add_message(lab.sessions.get_or_create_session(), 'user', '{hostile}')"
    learnt = f"lab.insights.add('{hostile}', kind='level', sources=[said])"
    card = "pd.DataFrame({'insight_id': [1], '<b onclick=window.hacked=3>': ['<i>quite unsupported</i>']})"
    asked = "lab.add_question('<b onclick=window.hacked=4>stop</b>?')"
    notebook.open(f"{AGAIN}\n{said}\n{learnt}\n{asked}\nimport pandas as pd", f"lab.reviewer({card})", "lab.labeller()")
    review, labels = Grader(notebook), Grader(notebook, "Labels")
    for each in (review, labels):
        expect(each.text(0)).to_contain_text("<script>window.hacked=2</script>\\u202e")
    expect(review.rows).to_contain_text("<b onclick=window.hacked=3>: <i>quite unsupported</i>")
    expect(labels.root).to_contain_text("<b onclick=window.hacked=4>stop</b>?")
    review.text(0).click()
    expect(review.sources(0)).to_contain_text("<img src=x onerror=window.hacked=1>")
    for each, words in ((review, "1 of 1 insight graded"), (labels, "1 of 1 question, 1 label")):
        each.text(0).focus()
        each.press("a", "b", "d", "d", "m", "c", "v", "z", "Shift+M", "0")
        expect(each.root).to_contain_text(words)
        assert each.root.locator("img, script, i:not(.gl-bar i), [onclick]").count() == 0
    expect(notebook.page.locator(".jp-Cell")).to_have_count(4)
    assert notebook.page.evaluate("() => window.hacked") is None
    after = notebook.saved().split("lab.labeller")[1]
    assert [words for words in ("My stop", "onclick", "unsupported") if words in after] == []

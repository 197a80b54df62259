"""A person reviews what was learnt: one behaviour a spec."""

import duckdb
import pytest
from playwright.sync_api import expect

LEARNT = """
from datetime import datetime, timedelta, UTC
from gallump_lab import Lab
lab = Lab.open('lab.duckdb')
day = datetime(2026, 3, 2, 9, tzinfo=UTC)
session = lab.sessions.get_or_create_session()
said = ['I sold the halibut winner far too early, again.', 'My halibut stop is 400.', 'Stop up to 410.']
for i, text in enumerate(said):
    lab.sessions.add_message(session, 'user', text, symbol='HAL', created_at=day + timedelta(days=i))
lab.insights.add('Sells halibut winners too early', kind='lesson', sources=[1], distiller='rules')
stop = {'kind': 'level', 'symbol': 'HAL', 'attribute': 'stop', 'distiller': 'rules'}
lab.insights.add('Halibut stop: 400', value='400', sources=[2], valid_from=day + timedelta(days=1), **stop)
lab.insights.add('Halibut stop: 410', value='410', sources=[2, 3], valid_from=day + timedelta(days=2), **stop)
lab.insights.add('Never averages down', kind='preference', speaker='Priya', valid_until=day + timedelta(days=400))
lab.insights.add('Trades on Tuesdays', kind='preference')
lab.insights.retire(5, 'never said')"""
OPEN = "widget = lab.reviewer()\nwidget"
AGAIN = "from gallump_lab import Lab\nlab = Lab.open('lab.duckdb')"
OUTSIDE = """root => [...root.querySelectorAll("*")].filter((each) => {
  if (!each.checkVisibility() || each.closest(".gl-unseen")) return false;
  const { left, right } = each.getBoundingClientRect(), around = root.getBoundingClientRect();
  return left < around.left - 1 || right > around.right + 1;
}).map((each) => each.outerHTML)"""


class Review:
    """The reviewing widget of a notebook."""

    def __init__(self, notebook):
        self.page, self.root = notebook.page, notebook.page.get_by_role("region", name="Insights to review")
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
        return self.root.locator("footer").get_by_role("button", name=name, exact=True)

    def settled(self):
        expect(self.root.locator(".gl-pending")).to_have_count(0)


@pytest.fixture
def review(notebook):
    """Give the widget on a lab of four insights that stand, one of them retired."""
    notebook.open(LEARNT, OPEN)
    found = Review(notebook)
    expect(found.root).to_contain_text("0 of 3 insights graded")
    return found


def test_keys_grade_undo_and_go_on_and_who_opens_it_again_goes_on_where_they_stopped(another, review):
    expect(review.rows).to_have_count(4)
    expect(review.text(3)).to_have_css("text-decoration-line", "line-through")
    review.text(0).focus()
    review.press("3")
    expect(review.graded(0)).to_have_text("3 in every prompt")
    expect(review.text(1)).to_be_focused()
    review.press("k", "1")
    expect(review.graded(0)).to_have_text("1 of no use")
    review.press("j", "0", "ArrowUp", "ArrowUp")
    expect(review.text(1)).to_be_focused()
    expect(review.button("Of no use")).to_have_attribute("aria-pressed", "false")
    expect(review.root).to_contain_text("2 of 3 insights graded")
    review.press("u")
    expect(review.graded(2)).to_have_text("no grade")
    expect(review.text(2)).to_be_focused()
    review.press("Control+z")
    expect(review.graded(0)).to_have_text("3 in every prompt")
    expect(review.text(0)).to_be_focused()
    review.press("j", "j", "0")
    review.settled()
    another.open(AGAIN, OPEN)
    again = Review(another)
    expect(again.root).to_contain_text("2 of 3 insights graded")
    expect(again.current).to_contain_text("Halibut stop: 410")
    again.current.locator(".gl-open").focus()
    again.press("2")
    expect(again.status).to_have_text("Every insight has a grade.")


def test_an_insight_unfolds_to_its_sources_and_its_history_and_folds_again(notebook, review):
    review.text(1).click()
    sources = review.rows.nth(1).get_by_role("list", name="Sources")
    expect(sources.get_by_role("listitem")).to_have_count(2)
    expect(sources).to_contain_text("My halibut stop is 400.")
    expect(sources.locator("mark")).to_have_text(["halibut", "stop", "Stop", "410"])
    expect(review.rows.nth(1).get_by_role("list", name="History")).to_contain_text(
        "Learnt, by rules: Halibut stop: 400"
    )
    expect(review.text(1)).to_have_attribute("aria-expanded", "true")
    notebook.picture("unfolded", review.root)
    review.rows.nth(1).locator(".gl-facts").first.click()
    expect(sources).to_have_count(0)
    expect(review.text(1)).to_be_focused()
    review.press("ArrowUp", "Enter")
    expect(review.rows.nth(0).get_by_role("list", name="Sources")).to_contain_text("far too early, again")
    review.press("2")  # the next one unfolds in its place
    expect(review.rows.nth(0).get_by_role("list", name="Sources")).to_have_count(0)
    expect(sources).to_be_visible()
    review.press("ArrowLeft")
    expect(sources).to_have_count(0)
    review.press("ArrowDown", "ArrowDown", "ArrowRight")
    expect(review.current).to_contain_text("It rests on no message.")
    expect(review.current).to_contain_text("Retired: never said")


def test_one_key_pins_and_retires_and_takes_both_back(review):
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
    review.press("x")
    expect(review.button("Restore")).to_be_visible()
    review.press("x")
    expect(review.button("Retire")).to_be_visible()
    review.press("p")
    expect(review.rows.nth(0)).not_to_contain_text("pinned")
    expect(review.text(0)).to_be_focused()


def test_a_text_is_edited_in_its_place_and_escape_leaves_it_as_it_was(notebook, review):
    review.text(0).focus()
    review.press("e")
    box = review.root.get_by_label("Text of the insight")
    expect(box).to_be_focused()
    expect(box).to_have_value("Sells halibut winners too early")
    notebook.picture("editing", review.root)
    box.focus()  # another theme takes the focus away
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
    review.press("Enter")
    expect(review.rows.nth(0).get_by_role("list", name="History")).to_contain_text("Sells halibut winners too early")
    review.press("u", "u")
    expect(review.text(0)).to_have_text("Sells halibut winners too early")
    review.press("e")
    box.fill(" ")
    review.press("Enter")
    expect(review.status).to_contain_text("An insight needs words")
    review.root.get_by_role("button", name="Leave", exact=True).click()
    expect(review.text(0)).to_be_focused()


def test_a_mouse_does_all_of_it_and_nothing_leaves_its_place_when_it_is_narrow(notebook, review):
    review.text(1).click()
    review.text(1).click()
    for name, words in (("Pin", "pinned"), ("Retire", "retired")):
        review.button(name).click()
        expect(review.rows.nth(1)).to_contain_text(words)
        expect(review.button({"Pin": "Unpin", "Retire": "Restore"}[name])).to_be_focused()
    review.button("Undo").click()
    expect(review.rows.nth(1)).not_to_contain_text("retired")
    review.button("Useful").click()
    expect(review.graded(1)).to_have_text("2 useful")
    expect(review.rows.nth(2)).to_have_attribute("aria-current", "true")
    review.root.locator("header").first.click()
    expect(review.text(2)).to_be_focused()
    review.text(1).click()
    expect(review.rows.nth(1).get_by_role("list", name="Sources")).to_be_visible()
    review.button("Edit").click()
    for width in (340, 760):
        review.root.evaluate("(root, width) => { root.style.width = `${width}px` }", width)
        notebook.picture(f"width-{width}", review.root)
        assert review.root.evaluate(OUTSIDE) == []


def test_a_scorecard_stands_beside_each_insight_in_its_own_order(notebook):
    card = "pd.DataFrame({'insight_id': [3, 1, 4], 'support': [0.126, 2, float('nan')], 'uses': [1, 12, 0], "
    card += "'why': ['one of its two sources says another level', None, 'no message says so, and nothing was asked']})"
    notebook.open(LEARNT, f"import pandas as pd\nwidget = lab.reviewer({card})\nwidget")
    review = Review(notebook)
    expect(review.rows).to_have_count(3)
    expect(review.rows.nth(0)).to_contain_text("Halibut stop: 410")
    expect(review.rows.nth(0).locator(".gl-beside")).to_have_text("support 0.13uses 1")
    expect(review.rows.nth(0)).to_contain_text("why: one of its two sources says another level")
    expect(review.rows.nth(2).locator(".gl-beside")).to_have_text("support \u2013uses 0")
    notebook.picture("scorecard", review.root)


def test_what_another_notebook_changes_shows_when_this_one_is_entered(notebook, another, review):
    another.open(AGAIN, OPEN)
    other = Review(another)
    other.text(0).focus()
    other.press("e")
    other.page.keyboard.type(", says Ann")
    other.press("Enter", "j", "p")
    expect(other.rows.nth(1)).to_contain_text("pinned")
    notebook.page.bring_to_front()
    notebook.page.mouse.move(0, 0)
    review.root.hover()
    expect(review.text(0)).to_have_text("Sells halibut winners too early, says Ann")
    expect(review.rows.nth(1)).to_contain_text("pinned")
    expect(review.rows).to_have_count(4)


def test_a_lab_that_is_held_by_another_says_so_and_keeps_what_is_being_written(notebook):
    notebook.open(LEARNT, "lab = Lab.open('lab.duckdb', wait=0.2)\nwidget = lab.reviewer()\nwidget")
    review = Review(notebook)
    expect(review.root).to_contain_text("0 of 3 insights graded")
    review.text(0).focus()
    review.press("e")
    review.page.keyboard.type(", always")
    with duckdb.connect(notebook.folder / "lab.duckdb"):
        review.press("Enter")
        expect(review.status).to_contain_text("Not saved, \u201cSells halibut winners too early\u201d")
        expect(review.status).to_contain_text("is held by")
        expect(review.root.get_by_label("Text of the insight")).to_have_value("Sells halibut winners too early, always")
        review.text(1).click()
        review.press("3")
        expect(review.status).to_contain_text("Not graded, \u201cHalibut stop: 410\u201d")
        expect(review.graded(1)).to_have_text("no grade")
        expect(review.current.locator(".gl-origin")).to_contain_text("is held by")
        notebook.picture("busy", review.root)
    review.root.get_by_label("Text of the insight").press("Enter")
    expect(review.text(0)).to_have_text("Sells halibut winners too early, always")


def test_no_key_reaches_the_notebook_no_text_is_run_and_no_word_is_saved(notebook):
    hostile = "<img src=x onerror=window.hacked=1> My stop <script>window.hacked=2</script>\\u202e"
    said = f"said = lab.sessions.add_message(lab.sessions.get_or_create_session(), 'user', '{hostile}')"
    learnt = f"lab.insights.add('{hostile}', kind='level', sources=[said])"
    column = "<b onclick=window.hacked=3>"
    beside = f"import pandas as pd\ncard = pd.DataFrame({{'insight_id': [1], '{column}': ['<i>unsupported</i>']}})"
    notebook.open(f"{AGAIN}\n{said}\n{learnt}\n{beside}", "widget = lab.reviewer(card)\nwidget")
    review = Review(notebook)
    expect(review.text(0)).to_contain_text("<script>window.hacked=2</script>\ufffd")
    expect(review.rows).to_contain_text("<b onclick=window.hacked=3>: <i>unsupported</i>")
    review.text(0).click()
    expect(review.rows.get_by_role("list", name="Sources")).to_contain_text("<img src=x onerror=window.hacked=1>")
    assert review.root.locator("img, script, i:not(.gl-bar i), [onclick]").count() == 0
    review.press("a", "b", "d", "d", "m", "c", "v", "z", "Shift+M", "0")
    expect(review.root).to_contain_text("1 of 1 insight graded")
    expect(notebook.page.locator(".jp-Cell")).to_have_count(3)
    assert notebook.page.evaluate("() => window.hacked") is None
    after = notebook.saved().split("lab.reviewer")[1]
    assert "My stop" not in after
    assert "unsupported" not in after


def test_every_control_has_a_name(review):
    review.text(1).click()
    expect(review.rows.nth(1).get_by_role("list", name="Sources")).to_be_visible()
    expect(review.root).to_match_aria_snapshot("""
      - region "Insights to review":
        - list "Insights":
          - listitem:
            - button "Sells halibut winners too early"
          - listitem:
            - button /Halibut stop/ [expanded]
            - heading "Sources"
            - list "Sources":
              - listitem
              - listitem
            - heading "History"
            - list "History"
          - listitem
          - listitem
        - group "Grade of the insight at hand":
          - button "Wrong"
          - button "Of no use"
          - button "Useful"
          - button "In every prompt"
        - group "Change the insight at hand":
          - button "Pin"
          - button "Retire"
          - button "Edit"
          - button "Undo"
    """)

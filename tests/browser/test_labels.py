"""A person says which messages a question needs: one behaviour a spec."""

import pytest
from notebook_page import remembering
from playwright.sync_api import expect

ASKED = f"{remembering(12, 'at {400 + i}, below its 50-day mean')}\nlab.ask('Where is my AAPL stop?', ['AAPL'])"
OPEN = "widget = lab.labeller()\nwidget"


class Labels:
    """The labelling widget of a notebook."""

    def __init__(self, notebook):
        self.page, self.root = notebook.page, notebook.page.get_by_role("region", name="Labels")
        self.rows = self.root.get_by_role("listitem")
        self.current = self.root.locator("[aria-current=true]")
        self.status = self.root.get_by_role("status")

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def graded(self, place):
        return self.rows.nth(place).locator(".gl-grade")


@pytest.fixture
def labels(notebook):
    """Give the widget on a lab whose chat was asked one question."""
    notebook.open(ASKED, "lab.add_question('What was noted first?', answer='0')", OPEN)
    found = Labels(notebook)
    expect(found.root).to_contain_text("0 of 2 questions, 0 labels")
    expect(found.current).to_have_count(1)
    return found


def test_keys_grade_undo_and_go_on_and_who_opens_it_again_goes_on_where_they_stopped(notebook, another, labels):
    expect(labels.root.get_by_role("group", name="Question", exact=True)).to_contain_text("Where is my AAPL stop?")
    expect(labels.root).to_contain_text("Question 1 of 2")
    labels.rows.first.click()
    labels.press("3")
    expect(labels.graded(0)).to_have_text("3 evidence")
    expect(labels.rows.nth(1)).to_be_focused()
    labels.press("0", "1", "k")
    expect(labels.rows.nth(2)).to_be_focused()
    expect(labels.root.get_by_role("button", name="On the subject")).to_have_attribute("aria-pressed", "true")
    labels.press("2")
    expect(labels.root).to_contain_text("1 of 2 questions, 3 labels")
    notebook.picture("graded", labels.root)
    labels.current.focus()  # another theme takes the focus away
    labels.press("u")
    expect(labels.graded(2)).to_have_text("1 on the subject")
    expect(labels.rows.nth(2)).to_be_focused()
    labels.press("Control+z", "Control+z", "u", "u")
    expect(labels.status).to_have_text("Nothing to undo: nothing has been graded since this was opened.")
    expect(labels.root.locator(".gl-grade").first).to_have_text("no grade")
    expect(labels.root).to_contain_text("0 of 2 questions, 0 labels")
    labels.press("3", "0", "n")
    expect(labels.root).to_contain_text("Question 2 of 2")
    expect(labels.root).to_contain_text("Answer: 0")
    labels.press("2", "n")
    expect(labels.status).to_have_text("That was the last question.")
    labels.press("p")
    expect(labels.root).to_contain_text("Question 1 of 2")
    labels.press("ArrowDown", "ArrowDown", "1")
    expect(labels.root).to_contain_text("2 of 2 questions, 4 labels")
    expect(labels.root.locator(".gl-pending")).to_have_count(0)
    last = labels.root.get_by_role("group", name="Question", exact=True).inner_text()
    another.open("from gallump_lab import Lab\nlab = Lab.open('lab.duckdb')", OPEN)
    again = Labels(another)
    expect(again.root).to_contain_text("2 of 2 questions, 4 labels")
    assert again.root.get_by_role("group", name="Question", exact=True).inner_text() == last
    grades = [each for each in again.root.locator(".gl-grade").all_inner_texts() if each != "no grade"]
    assert sorted(grades) == ["0 of no use", "1 on the subject", "3 evidence"]
    expect(again.current.locator(".gl-grade")).to_have_text("no grade")


def test_a_mouse_does_all_of_it_and_nothing_leaves_its_place_when_it_is_narrow(notebook, labels):
    labels.rows.nth(2).click()
    labels.root.get_by_role("button", name="Evidence").click()
    expect(labels.graded(2)).to_have_text("3 evidence")
    expect(labels.root.get_by_role("button", name="Evidence")).to_be_focused()
    expect(labels.rows.nth(3)).to_have_attribute("aria-current", "true")
    labels.root.get_by_role("button", name="Undo").click()
    expect(labels.graded(2)).to_have_text("no grade")
    labels.root.get_by_role("group", name="Question", exact=True).click()
    expect(labels.current).to_be_focused()
    labels.root.get_by_role("button", name="Next question").click()
    expect(labels.root).to_contain_text("Question 2 of 2")
    for width in (320, 760):
        labels.root.evaluate("(root, width) => { root.style.width = `${width}px` }", width)
        notebook.picture(f"width-{width}", labels.root)
        outside = labels.root.evaluate("""root => [...root.querySelectorAll("*")].filter((each) => {
          if (!each.checkVisibility() || each.closest(".gl-unseen")) return false;
          const { left, right } = each.getBoundingClientRect(), around = root.getBoundingClientRect();
          return left < around.left - 1 || right > around.right + 1;
        }).map((each) => each.outerHTML)""")
        assert outside == []


def test_no_key_reaches_the_notebook_no_text_is_run_and_no_word_is_saved(notebook):
    hostile = "<img src=x onerror=window.hacked=1> My stop <script>window.hacked=2</script>\\u202e"
    say = f"lab.sessions.add_message(lab.sessions.get_or_create_session(), 'user', '{hostile}')"
    opened = f"from gallump_lab import Lab\nlab = Lab.open('lab.duckdb')\n{say}"
    notebook.open(opened, "lab.add_question('<b onclick=window.hacked=3>stop</b>?')", OPEN)
    labels = Labels(notebook)
    expect(labels.current).to_contain_text("<script>window.hacked=2</script>\ufffd")
    expect(labels.root).to_contain_text("<b onclick=window.hacked=3>stop</b>?")
    assert labels.root.locator("img, script, [onclick]").count() == 0
    labels.current.click()
    labels.press("a", "b", "x", "d", "d", "m", "0")
    expect(labels.root).to_contain_text("1 of 1 question, 1 label")
    expect(notebook.page.locator(".jp-Cell")).to_have_count(4)
    assert notebook.page.evaluate("() => window.hacked") is None
    assert "My stop" not in notebook.saved().split("lab.labeller")[1]
    assert "onclick" not in notebook.saved().split("lab.labeller")[1]

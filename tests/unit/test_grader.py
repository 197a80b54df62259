"""The grader: what its views are told, and what is in the lab by then."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from clock import Clock
from front_end import FrontEnd

from gallump_lab import Lab

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give the file of a lab: three messages, a question of the chat, four insights; 3 took the place of 2, 4 went."""
    clock = Clock(START)
    lab = Lab.open(tmp_path_factory.mktemp("made") / "lab.duckdb", clock=clock)
    session = lab.sessions.get_or_create_session()
    for text in ("I sell my halibut winners too early.", "Halibut stop is 400 now.", "Halibut stop goes to 410."):
        lab.sessions.add_message(session, "user", text)
    lab.insights.add("Sells halibut winners too early", kind="lesson", sources=[1])
    lab.insights.add("Halibut stop: 400", kind="level", symbol="HAL", attribute="stop", value="400", sources=[2])
    clock.now = START + timedelta(days=1)
    lab.insights.add("Halibut stop: 410", kind="level", symbol="HAL", attribute="stop", value="410", sources=[2, 3])
    lab.insights.add("Trades on Tuesdays", kind="preference")
    lab.insights.retire(4, "never said")
    lab.ask("Where is the halibut stop?")
    return lab.store.backup(lab.store.path.with_name("copy.duckdb"))


@pytest.fixture
def lab(anew, made):
    return anew(made, clock=Clock(START + timedelta(days=1)))


def opened(widget, view="v"):
    front = FrontEnd(widget)
    front.say("ready", view)
    front.say("ready", view)  # until it is answered, a view asks again
    return front, front.until("rows")[1]


def changes(front, number):
    return [front.until("changed")[1] for _ in range(number)]


def texts(told):
    return [row["text"] for row in told["rows"]]


def standing(lab):
    return lab.insights.frame.set_index("insight_id")


def test_by_default_all_insights_that_stand_are_shown_by_age_and_the_retired_last(lab):
    lab.insights.restore(4)
    lab.insights.retire(1)
    widget = lab.reviewer()
    _, told = opened(widget)
    assert texts(told) == ["Halibut stop: 410", "Trades on Tuesdays", "Sells halibut winners too early"]
    assert told["at"] == 0
    assert [row["marks"] for row in told["rows"]] == [[], [], ["retired"]]
    row = told["rows"][0]
    assert (row["symbol"], row["kind"], row["distiller"], row["sources"]) == ("HAL", "level", "analyst", 2)
    assert (row["valid_from"], row["valid_until"], row["grade"]) == ("2026-03-03T09:00:00+00:00", None, None)
    assert repr(widget) == "<Reviewer 0 of 2 insights graded>"  # what is retired needs no grade
    assert "alibut" not in repr(widget.get_state())
    page = widget._repr_mimebundle_()[0]["text/html"]
    assert page == "<p>&lt;Reviewer 0 of 2 insights graded&gt; opens where its cell is run.</p>"


def test_a_frame_gives_the_order_and_stands_beside_each_insight(lab):
    scores = pd.DataFrame(
        {
            "insight_id": [3, 99, 2, 1],
            "support": [0.126, 1, float("nan"), 2],
            "uses": [1200, 1, 2, 3],
            "why": ["<b>two</b> sources\u202e", "", None, "one source"],
            "text": ["a frame's own", "", "", ""],
        }
    )
    _, told = opened(lab.reviewer(scores))
    assert texts(told) == ["Halibut stop: 410", "Halibut stop: 400", "Sells halibut winners too early"]
    assert [row["marks"] for row in told["rows"]] == [[], ["superseded"], []]
    beside = [row["beside"] for row in told["rows"]]
    assert beside[0] == [("support", "0.13"), ("uses", "1200"), ("why", r"<b>two</b> sources\u202e")]
    assert [value for _, value in beside[1]] == ["\u2013", "2", "\u2013"]
    assert repr(lab.reviewer(scores.set_index("insight_id"))) == "<Reviewer 0 of 3 insights graded>"
    page = lab.reviewer(scores, static=True)._repr_mimebundle_()[0]["text/html"]
    assert r"<td>&lt;b&gt;two&lt;/b&gt; sources\u202e</td>" in page
    assert "<td>Halibut stop: 410</td><td>HAL</td><td>level</td><td>2026-03-03</td><td></td><td>analyst</td>" in page


def test_an_insights_grade_is_in_the_lab_when_it_is_told_and_undone_step_by_step(lab):
    lab.insights.grade(3, 1, "Ann")
    widget = lab.reviewer(labeller="Ben")
    front, told = opened(widget)
    assert told["at"] == 0
    for place, grade in ((0, 3), (1, 2), (1, 0)):
        front.say("grade", place=place, grade=grade)
    graded = changes(front, 3)
    assert [[(row["place"], row["grade"]) for row in each["rows"]] for each in graded] == [[(0, 3)], [(1, 2)], [(1, 0)]]
    assert graded[-1]["progress"] == {"done": 2, "of": 2, "words": "2 of 2 insights graded"}
    assert standing(lab)["grade"].dropna().to_dict() == {1: 3, 3: 0}
    assert lab.sql("select distinct labeller from insight_labels order by 1")["labeller"].tolist() == ["Ann", "Ben"]
    for _ in range(3):
        front.say("undo")
    undone = changes(front, 3)
    assert [(each["undone"], each["place"], each["rows"][0]["grade"]) for each in undone] == [
        (True, 1, 2),
        (True, 1, 1),
        (True, 0, None),
    ]
    front.say("undo")
    assert "Nothing to undo" in front.until("trouble")[1]["words"]
    assert repr(widget) == "<Reviewer 1 of 2 insights graded>"
    assert opened(lab.reviewer())[1]["at"] == 0
    lab.insights.grade(1, 2)
    assert opened(lab.reviewer())[1]["at"] == 0  # nothing needs a grade


def test_pins_retirements_and_wordings_are_undone_in_turn(lab):
    front, _ = opened(lab.reviewer())
    front.say("change", place=0, what="pin")
    front.say("edit", place=0, text="Sells winners\n much too early")
    front.say("change", place=0, what="retire")
    front.say("change", place=2, what="restore")
    rows = [row for each in changes(front, 4) for row in each["rows"]]
    assert [(row["place"], row["marks"]) for row in rows] == [
        (0, ["pinned"]),
        (0, ["pinned"]),
        (0, ["pinned", "retired"]),
        (2, []),
    ]
    assert rows[1]["text"] == "Sells winners much too early"
    frame = standing(lab)
    assert frame.loc[5, ["pinned", "retired", "sources"]].tolist() == [True, True, [1]]
    assert not frame.loc[4, "retired"]
    for _ in range(4):
        front.say("undo")
    rows = [each["rows"][0] for each in changes(front, 4)]
    assert [(row["place"], row["marks"]) for row in rows] == [
        (2, ["retired"]),
        (0, ["pinned"]),
        (0, ["pinned"]),
        (0, []),
    ]
    assert rows[-1]["text"] == "Sells halibut winners too early"
    assert standing(lab)["superseded_by"].dropna().to_dict() == {1: 5, 2: 3, 5: 6}


def test_an_insight_unfolds_to_its_sources_with_the_words_in_common_and_to_its_history(lab):
    lab.insights.pin(3)
    front, _ = opened(lab.reviewer(lab.insights.frame))
    front.say("open", place=2)
    told = front.until("opened")[1]
    assert [(each["who"], each["at"]) for each in told["sources"]] == [("You", "2026-03-02T09:00:00+00:00")] * 2
    found = [part for part, is_found in told["sources"][1]["parts"] if is_found]
    assert found == ["Halibut", "stop", "410"]
    assert "".join(part for part, _ in told["sources"][1]["parts"]) == "Halibut stop goes to 410."
    assert [(each["what"], each["quoted"]) for each in told["history"]] == [
        ("Learnt, by analyst", "Halibut stop: 400"),
        ("Learnt, by analyst", None),
        ("Pinned", None),
    ]
    front.say("open", place=1)
    assert front.until("opened")[1]["history"][-1]["quoted"] == "Halibut stop: 410"
    front.say("open", place=3)
    told = front.until("opened")[1]
    assert told["sources"] == []
    assert told["history"][-1]["what"] == "Retired: never said"


def test_what_another_notebook_changes_is_taken_in_where_it_stands(lab):
    front, _ = opened(lab.reviewer())
    other = Lab.open(lab.store.path, clock=lab._clock)
    front.say("look")
    front.say("open", place=0)
    assert front.until("opened")[0] == []  # nothing is told where nothing has changed
    other.insights.edit(1, "Sells winners early")
    other.insights.pin(3)
    other.insights.add("Never averages down", kind="lesson")
    front.say("look")
    change = front.until("changed")[1]
    assert [(row["place"], row["text"], row["marks"]) for row in change["rows"]] == [
        (0, "Sells winners early", []),
        (1, "Halibut stop: 410", ["pinned"]),
        (3, "Never averages down", []),
    ]
    front.say("ready", "w")
    assert len(front.until("rows")[1]["rows"]) == 4
    other.forget(message_id=1)
    front.say("look")
    gone = front.until("changed")[1]
    assert gone["rows"] == [{"place": 0, "wanted": False, "grade": None, "gone": True}]
    assert gone["progress"] == {"done": 0, "of": 2, "words": "0 of 2 insights graded"}


def test_what_cannot_be_done_is_said_and_changes_nothing(lab):
    widget = lab.reviewer()
    front, _ = opened(widget)
    Lab.open(lab.store.path, clock=lab._clock).insights.edit(1, "Sells winners early")
    front.say("change", place=0, what="pin")
    trouble = front.until("trouble")[1]
    assert (trouble["of"], trouble["place"]) == ("change", 0)
    assert "was superseded by 5 already" in trouble["words"]
    assert isinstance(widget.error, ValueError)
    front.say("look")
    assert front.until("changed")[1]["rows"][0]["text"] == "Sells winners early"
    for wrong, words in (
        ({"kind": "grade", "place": 0, "grade": 4}, "grade must be 0"),
        ({"kind": "edit", "place": 2, "text": "Trades on Mondays"}, "It is retired"),
        ({"kind": "edit", "place": 0, "text": " "}, "text must be one statement"),
    ):
        front.say(**wrong)
        assert words in front.until("trouble")[1]["words"]
    front.say("undo")
    assert "Nothing to undo" in front.until("trouble")[1]["words"]
    assert len(lab.insights) == 5


def test_a_busy_lab_says_so_and_what_was_to_be_undone_still_can_be(lab):
    front, _ = opened(Lab.open(lab.store.path, clock=lab._clock, wait=0.2).reviewer())
    for grade in (2, 3):
        front.say("grade", place=0, grade=grade)
    changes(front, 2)
    with lab.store.write():
        front.say("undo")
        assert "this step changed nothing" in front.until("trouble")[1]["words"]
    front.say("undo")
    assert front.until("changed")[1]["rows"][0]["grade"] == 2


def test_in_a_lab_without_talk_there_is_nothing_to_grade(tmp_path):
    empty = Lab.open(tmp_path / "empty.duckdb")
    for widget in (empty.reviewer(static=True), empty.labeller()):
        _, told = opened(widget)
        assert (told["rows"], told["head"]) == ([], None)


def test_a_label_is_in_the_lab_when_it_is_told_and_is_undone_step_by_step(lab):
    lab.add_question("And the mackerel?", asked_at=START + timedelta(days=9))
    widget = lab.labeller()
    front, told = opened(widget)
    assert told["head"]["text"] == "Where is the halibut stop?"
    assert told["progress"]["words"] == "0 of 2 questions, 0 labels"
    assert lab.questions["text"].tolist() == ["And the mackerel?"]  # looking makes no question of the chat's
    for place, grade in ((0, 3), (1, 1), (1, 0)):
        front.say("grade", place=place, grade=grade)
    graded = changes(front, 3)
    assert [(each["rows"][0]["place"], each["rows"][0]["grade"]) for each in graded] == [(0, 3), (1, 1), (1, 0)]
    assert graded[-1]["progress"]["words"] == "1 of 2 questions, 2 labels"
    assert [len(each) for each in lab.questions["evidence"]] == [0, 1]
    front.say("question", question=1)
    assert front.until("rows")[1]["head"]["text"] == "And the mackerel?"
    front.say("grade", place=0, grade=2)
    changes(front, 1)
    for _ in range(5):
        front.say("undo")
    before, trouble = front.until("trouble")
    assert [each["head"]["place"] for each in before if each["type"] == "rows"] == [0]  # it turns back to the first
    undone = [each for each in before if each.get("undone")]
    assert [(each["place"], each["progress"]["words"][-8:]) for each in undone] == [
        (0, "2 labels"),
        (1, "2 labels"),
        (1, ", 1 label"[-8:]),
        (0, "0 labels"),
    ]
    assert "Nothing to undo" in trouble["words"]
    assert lab.labels.empty
    assert repr(widget) == "<Labeller 0 of 2 questions, 0 labels>"
    assert "halibut" not in repr(widget.get_state())
    assert "opens where its cell is run" in widget._repr_mimebundle_()[0]["text/html"]


def test_who_labels_again_goes_on_where_they_stopped_and_sees_what_others_gave(lab):
    for name in ("One halibut?", "Two halibut?", "Three halibut?"):
        lab.add_question(name, asked_at=START + timedelta(days=9))
    front, _ = opened(lab.labeller())
    front.say("question", question=1)
    front.until("rows")
    front.say("grade", place=0, grade=3)
    front.until("changed")
    front, told = opened(lab.labeller())
    assert (told["head"]["place"], told["head"]["text"], told["at"]) == (1, "One halibut?", 1)
    assert opened(lab.labeller(labeller="Ann"))[1]["head"]["place"] == 0
    _, told = opened(lab.labeller(lab.questions.query("text == 'One halibut?'"), labeller="Ann"))
    assert told["progress"]["words"] == "1 of 1 question, 1 label"
    assert (told["rows"][0]["grade"], told["rows"][0]["grader"]) == (3, "analyst")
    with lab.store.write() as con:
        con.execute("update labels set origin = 'reader'")  # a program's labels are no person's progress
    assert repr(lab.labeller(lab.questions)) == "<Labeller 0 of 3 questions, 0 labels>"


def test_what_was_forgotten_meanwhile_gets_no_label_and_does_not_stand_in_the_way_of_undoing_the_rest(lab):
    widget = lab.labeller()
    front, _ = opened(widget)
    for place in range(2):
        front.say("grade", place=place, grade=2)
    changes(front, 2)
    second = int(lab.labels["message_id"].iloc[-1])
    lab.forget(message_id=second)
    front.say("undo")
    assert f"message_id {second}" in front.until("trouble")[1]["words"]
    front.say("undo")
    assert front.until("changed")[1]["rows"][0]["grade"] is None
    assert lab.labels.empty
    front.say("grade", place=1, grade=2)
    assert f"message_id {second}" in front.until("trouble")[1]["words"]
    assert isinstance(widget.error, ValueError)
    assert lab.labels.empty

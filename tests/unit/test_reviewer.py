"""The reviewing widget: what its views are told, and what is in the lab by then."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from clock import Clock
from front_end import FrontEnd

from gallump_lab import Lab, study

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def lab(tmp_path):
    """Give a lab of three messages and four insights: 3 took the place of 2, and 4 was retired."""
    clock = Clock(START)
    lab = Lab.open(tmp_path / "lab.duckdb", clock=clock)
    session = lab.sessions.get_or_create_session()
    for text in ("I sell my halibut winners too early.", "Halibut stop is 400 now.", "Halibut stop goes to 410."):
        lab.sessions.add_message(session, "user", text)
    lab.insights.add("Sells halibut winners too early", kind="lesson", sources=[1])
    lab.insights.add("Halibut stop: 400", kind="level", symbol="HAL", attribute="stop", value="400", sources=[2])
    clock.now = START + timedelta(days=1)
    lab.insights.add("Halibut stop: 410", kind="level", symbol="HAL", attribute="stop", value="410", sources=[2, 3])
    lab.insights.add("Trades on Tuesdays", kind="preference")
    lab.insights.retire(4, "never said")
    return lab


def opened(lab, view="v", **given):
    widget = lab.reviewer(**given)
    front = FrontEnd(widget)
    front.say("ready", view)
    front.say("ready", view)  # until it is answered, a view asks again
    return widget, front, front.until("insights")[1]


def texts(told):
    return [row["text"] for row in told["rows"]]


def standing(lab):
    return lab.insights.frame.set_index("insight_id")


def test_by_default_all_that_stand_are_shown_by_age_and_the_retired_last(lab):
    lab.insights.restore(4)
    lab.insights.retire(1)
    widget, _, told = opened(lab)
    assert texts(told) == ["Halibut stop: 410", "Trades on Tuesdays", "Sells halibut winners too early"]
    assert told["at"] == 0
    assert [row["retired"] for row in told["rows"]] == [False, False, True]
    row = told["rows"][0]
    assert (row["symbol"], row["kind"], row["by"], row["sources"]) == ("HAL", "level", "analyst", 2)
    assert (row["since"], row["until"], row["grade"]) == ("2026-03-03T09:00:00+00:00", None, None)
    assert repr(widget) == "<Reviewer 0 of 2 insights graded>"  # what is retired needs no grade


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
    _, _, told = opened(lab, insights=scores)
    assert texts(told) == ["Halibut stop: 410", "Halibut stop: 400", "Sells halibut winners too early"]
    assert [row["superseded"] for row in told["rows"]] == [False, True, False]
    assert told["rows"][0]["beside"] == [
        ("support", "0.13", True),
        ("uses", "1,200", True),
        ("why", "<b>two</b> sources\ufffd", False),
    ]
    assert [value for _, value, _ in told["rows"][1]["beside"]] == ["\u2013", "2", "\u2013"]
    assert repr(lab.reviewer(scores.set_index("insight_id"))) == "<Reviewer 0 of 2 insights graded>"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"text": ["a"]}, "insights must be a frame with a column insight_id, not with text"),
        ({"insight_id": [1, 3, 3]}, "insights must hold an insight once, but holds 3 twice"),
    ],
)
def test_a_frame_that_cannot_be_used_says_why(lab, wrong, words):
    with pytest.raises(ValueError, match=words):
        lab.reviewer(pd.DataFrame(wrong))


def test_a_grade_is_in_the_lab_when_it_is_told_and_undone_step_by_step_to_the_first(lab):
    lab.insights.grade(3, 1, "Ann")
    widget, front, told = opened(lab, labeller="Ben")
    assert told["at"] == 0
    for insight, grade in ((1, 3), (3, 2), (3, 0)):
        front.say("grade", insight=insight, grade=grade)
    changes = [front.until("changed")[1] for _ in range(3)]
    assert [[(row["insight"], row["grade"]) for row in each["rows"]] for each in changes] == [
        [(1, 3)],
        [(3, 2)],
        [(3, 0)],
    ]
    assert changes[-1]["progress"] == {"graded": 2, "of": 2}
    assert standing(lab)["grade"].dropna().to_dict() == {1: 3, 3: 0}
    assert lab.sql("select distinct labeller from insight_labels order by 1")["labeller"].tolist() == ["Ann", "Ben"]
    for grade in (2, 1):
        front.say("undo")
        change = front.until("changed")[1]
        assert (change["undone"], change["place"], change["rows"][0]["grade"]) == (True, 1, grade)
    assert standing(lab)["grade"].dropna().to_dict() == {1: 3, 3: 1}
    front.say("undo")
    assert front.until("changed")[1]["rows"][0]["grade"] is None
    front.say("undo")
    assert "Nothing to undo" in front.until("trouble")[1]["words"]
    assert repr(widget) == "<Reviewer 1 of 2 insights graded>"


def test_pins_retirements_and_wordings_are_undone_in_turn(lab):
    _, front, _ = opened(lab)
    front.say("pin", insight=1, on=True)
    front.say("edit", insight=1, text="Sells winners\n much too early")
    front.say("retire", insight=1, on=True)  # its view has not been told of 5 yet
    front.say("retire", insight=4, on=False)
    rows = [row for _ in range(4) for row in front.until("changed")[1]["rows"]]
    assert [(row["place"], row["insight"], row["pinned"], row["retired"]) for row in rows] == [
        (0, 1, True, False),
        (0, 5, True, False),
        (0, 5, True, True),
        (2, 4, False, False),
    ]
    assert rows[1]["text"] == "Sells winners much too early"
    frame = standing(lab)
    assert frame.loc[5, ["pinned", "retired", "sources"]].tolist() == [True, True, [1]]
    assert not frame.loc[4, "retired"]
    for _ in range(4):
        front.say("undo")
    rows = [front.until("changed")[1]["rows"][0] for _ in range(4)]
    assert [(row["insight"], row["pinned"], row["retired"]) for row in rows] == [
        (4, False, True),
        (5, True, False),
        (6, True, False),
        (6, False, False),
    ]
    assert rows[-1]["text"] == "Sells halibut winners too early"
    assert standing(lab)["superseded_by"].dropna().to_dict() == {1: 5, 2: 3, 5: 6}


def test_an_insight_unfolds_to_its_sources_with_the_words_in_common_and_to_its_history(lab):
    lab.insights.pin(3)
    _, front, _ = opened(lab)
    front.say("open", insight=3)
    told = front.until("opened")[1]
    assert [(each["who"], each["at"]) for each in told["sources"]] == [("You", "2026-03-02T09:00:00+00:00")] * 2
    assert told["sources"][1]["parts"] == [
        ("Halibut", True),
        (" ", False),
        ("stop", True),
        (" goes to ", False),
        ("410", True),
        (".", False),
    ]
    assert [(each["what"], each["quoted"]) for each in told["history"]] == [
        ("Learnt, by analyst", "Halibut stop: 400"),
        ("Took its place, by analyst", None),
        ("Pinned", None),
    ]
    front.say("open", insight=2)
    assert front.until("opened")[1]["history"][-1]["quoted"] == "Halibut stop: 410"
    front.say("open", insight=4)
    told = front.until("opened")[1]
    assert told["sources"] == []
    assert told["history"][-1]["what"] == "Retired: never said"


def test_what_another_notebook_changes_is_taken_in_where_it_stands(lab):
    _, front, _ = opened(lab)
    other = Lab.open(lab.store.path, clock=lab._clock)
    front.say("look")
    front.say("open", insight=1)
    assert front.until("opened")[0] == []  # nothing is told where nothing has changed
    other.insights.edit(1, "Sells winners early")
    other.insights.pin(3)
    other.insights.add("Never averages down", kind="lesson")
    front.say("look")
    change = front.until("changed")[1]
    assert [(row["place"], row["text"], row["pinned"]) for row in change["rows"]] == [
        (0, "Sells winners early", False),
        (1, "Halibut stop: 410", True),
        (3, "Never averages down", False),
    ]
    front.say("ready", "w")
    assert texts(front.until("insights")[1]) == [
        "Sells winners early",
        "Halibut stop: 410",
        "Trades on Tuesdays",
        "Never averages down",
    ]
    other.forget(message_id=1)
    front.say("look")
    gone = front.until("changed")[1]
    assert gone["rows"] == [{"place": 0, "insight": 5, "gone": True}]
    assert gone["progress"] == {"graded": 0, "of": 2}


def test_a_circle_in_an_older_lab_hangs_nothing(lab):
    with lab.store.write() as con:  # as an import made them once: 3 took the place of 2, and 2 now that of 3
        con.execute(
            "insert into insight_events (event_id, insight_id, event, superseded_by, known_from, arrived_at) "
            "select nextval('insight_event_ids'), 3, 'superseded', 2, known_from, known_from from insights limit 1"
        )
    _, front, told = opened(lab)
    assert texts(told) == ["Sells halibut winners too early", "Trades on Tuesdays"]
    _, front, told = opened(lab, "w", insights=lab.insights.frame)
    assert len(told["rows"]) == 4
    front.say("open", "w", insight=2)
    assert [each["quoted"] for each in front.until("opened")[1]["history"]] == [
        "Halibut stop: 410",
        None,
        "Halibut stop: 410",
    ]
    front.say("grade", "w", insight=3, grade=1)
    assert front.until("changed")[1]["rows"][0]["grade"] == 1
    lab.preview("What is my halibut stop?")
    assert len(study.insights(lab.snapshot(), chosen=lab.insights.frame).frame) == 4


def test_what_cannot_be_done_is_said_changes_nothing_and_shows_what_holds_now(lab):
    widget, front, _ = opened(lab)
    Lab.open(lab.store.path, clock=lab._clock).insights.edit(1, "Sells winners early")
    front.say("pin", insight=1, on=True)
    trouble = front.until("trouble")[1]
    assert (trouble["of"], trouble["insight"]) == ("pin", 1)
    assert "was superseded by 5 already" in trouble["words"]
    assert isinstance(widget.error, ValueError)
    assert front.until("changed")[1]["rows"][0]["insight"] == 5
    for wrong, words in (
        ({"kind": "grade", "insight": 1, "grade": 4}, "grade must be 0"),
        ({"kind": "grade", "insight": 99, "grade": 3}, "insight_id 99"),
        ({"kind": "edit", "insight": 4, "text": "Trades on Mondays"}, "It is retired"),
        ({"kind": "edit", "insight": 5, "text": " "}, "text must be one statement"),
    ):
        front.say(**wrong)
        assert words in front.until("trouble")[1]["words"]
    front.say("undo")
    assert "Nothing to undo" in front.until("trouble")[1]["words"]
    assert len(lab.insights) == 5


def test_a_busy_lab_says_so_and_what_was_to_be_undone_still_can_be(lab):
    patient = Lab.open(lab.store.path, clock=lab._clock, wait=0.2)
    _, front, _ = opened(patient)
    front.say("grade", insight=1, grade=2)
    front.say("grade", insight=1, grade=3)
    front.until("changed")
    front.until("changed")
    with lab.store.write():
        front.say("undo")
        trouble = front.until("trouble")[1]
    assert "this step changed nothing" in trouble["words"]
    front.say("undo")
    assert front.until("changed")[1]["rows"][0]["grade"] == 2


def test_who_opens_it_again_goes_on_at_the_first_without_a_grade(lab):
    lab.insights.grade(1, 2)
    assert opened(lab)[2]["at"] == 1
    lab.insights.grade(3, 2)
    assert opened(lab)[2]["at"] == 0


def test_a_lab_without_insights_says_so_and_saved_state_holds_no_word(lab, tmp_path):
    empty, _, told = opened(Lab.open(tmp_path / "empty.duckdb"), static=True)
    assert told["rows"] == []
    assert empty._repr_mimebundle_()[0]["text/html"] == "<p>No insight to review.</p>"
    widget, *_ = opened(lab)
    assert "alibut" not in repr(widget.get_state())
    page = widget._repr_mimebundle_()[0]["text/html"]
    assert page == "<p>&lt;Reviewer 0 of 2 insights graded&gt; opens where its cell is run.</p>"


def test_a_static_one_leaves_a_table_escaped(lab):
    lab.insights.add("A <script>stop</script> is \u202e410", kind="level", symbol="HAL")
    lab.insights.grade(5, 3)
    lab.insights.pin(5)
    given = pd.DataFrame({"insight_id": [5, 4], "<i>": [0.5, float("nan")]})
    page = lab.reviewer(given, static=True)._repr_mimebundle_()[0]["text/html"]
    assert (
        "<td>3</td><td>A &lt;script&gt;stop&lt;/script&gt; is \ufffd410</td><td>HAL</td><td>level</td>"
        "<td>2026-03-03</td><td></td><td>analyst</td><td>0</td><td>pinned</td><td>0.50</td>"
    ) in page
    assert "<th>&lt;i&gt;</th>" in page
    assert "<td>retired</td><td>\u2013</td>" in page

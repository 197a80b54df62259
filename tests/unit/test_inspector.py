"""What a prompt carries: the inspector, in the chat or on one question, and a picture."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from clock import Clock
from front_end import FrontEnd

from gallump_lab import Budget, Config, Lab, Overrides
from gallump_lab.ui.inspector import SNIPPET, carried, preview, prompt_tokens, source

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ASKED = {"watchlist": "AAPL", "pinned": [], "excluded": [], "budget": None}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give the file of a lab whose past session speaks of a stop, and whose present one has begun."""
    clock = Clock(NOW - timedelta(days=9))
    lab = Lab.open(tmp_path_factory.mktemp("made") / "lab.duckdb", clock=clock, ids=iter(("old", "now")).__next__)
    lab.sessions.get_or_create_session(None)
    for text in ("My stop on AAPL is $400.", "A stop of 410 now.", "Lunch was late."):
        lab.sessions.add_message("old", "user", text, symbol="AAPL")
    clock.now = NOW
    lab.sessions.get_or_create_session(None)
    lab.sessions.add_message("now", "user", "Good morning.", symbol="AAPL")
    lab.insights.add("Stops stand below the mean.", kind="lesson", symbol=None, sources=[1, 2])
    return lab.store.backup(lab.store.path.with_name("copy.duckdb"))


@pytest.fixture
def lab(anew, made):
    return anew(made, clock=Clock(NOW))


def slots(found, tier, *, kept=True):
    return [each for each in found["slots"] if each["tier"] == tier and each["kept"] == kept]


def test_a_question_shows_what_it_would_carry_and_every_token_is_accounted_for(lab):
    found = preview(lab, "now", text="Where is my stop?", **ASKED)
    prompt = lab.preview("Where is my stop?", watchlist=["AAPL"], session_id="now").prompt
    parts = {each["name"]: each["tokens"] for each in found["parts"]}
    assert list(parts) == ["HOT", "WARM", "COLD", "Market", "Question", "Instructions"]
    assert sum(parts.values()) == found["tokens"] == prompt.tokens
    assert all(parts.values())
    assert [each["budget"] for each in found["parts"]] == [2000, 500, 200, None, None, None]
    assert (found["window"], found["reply"]) == (100_000, 4_096)
    assert slots(found, "hot")[0]["why"] == "newest of this session"
    first, second, *_ = slots(found, "warm")
    assert {first["message_id"], second["message_id"]} == {1, 2}
    assert "shares stop" in first["why"]
    assert "words" in first["why"]
    (lesson,) = slots(found, "cold")
    assert lesson["kind"] == "insight"
    assert "recent" in lesson["why"]
    assert lab.transcript(limit=1)[0]["text"] == "Good morning."  # nothing was asked
    found = preview(lab, "now", text="  ", **ASKED)  # before anything is typed: what any question would carry
    assert slots(found, "hot")
    assert [each["why"] for each in slots(found, "cold", kept=False)] == ["too little to do with the question"]
    lab.apply(Config.guide())
    assert preview(lab, "now", text="Well?", **ASKED)["items"]  # the template counts items, not tokens


def test_pins_exclusions_and_other_budgets_show_their_effect_and_change_nothing(lab):
    chosen = {"pinned": [["passage", 3]], "excluded": [["passage", 1]]}
    found = preview(lab, "now", text="Where is my stop?", **ASKED | chosen)
    assert slots(found, "warm")[0]["message_id"] == 3
    assert "pinned by you" in slots(found, "warm")[0]["why"]
    missed = {each["message_id"]: each["why"] for each in slots(found, "warm", kept=False)}
    assert missed == {1: "superseded: 410 since 2026-02-21 \u00b7 excluded by you", 4: "HOT shows it already"}
    found = preview(lab, "now", text="Where is my stop?", **ASKED | {"budget": {"warm": 20}})
    missed = slots(found, "warm", kept=False)
    assert {each["why"].split(" \u00b7 ")[-1] for each in missed} == {
        "no room left in the budget",
        "HOT shows it already",
    }
    assert lab.config.budget.warm == 500


def test_a_question_that_cannot_be_asked_gives_the_reason(lab):
    wrong = (
        ({"watchlist": "AAPL, <b>"}, "<b>"),
        ({"budget": {"warm": 99_000}}, "window"),
        ({"text": "one two three " * 50_000}, "characters"),
    )
    for given, words in wrong:
        found = preview(lab, "now", **{"text": "Well?", **ASKED, **given})
        assert list(found) == ["problem"]
        assert words in found["problem"]


def test_a_reply_shows_what_it_was_given_as_it_was_recorded(lab):
    reply = lab.ask("Where is my stop?", ["AAPL"], "now", overrides=Overrides(excluded=(("passage", 1),)))
    lab.apply(replace(lab.config, budget=Budget(warm=9)))
    found = carried(lab, reply.reply_id)
    assert found["tokens"] == sum(each["tokens"] for each in found["parts"]) == reply.tokens["prompt"]
    assert [each["budget"] for each in found["parts"]][:3] == [2000, 500, 200]
    assert [each["message_id"] for each in slots(found, "warm")] == [2, 3]
    missed = {each["message_id"]: each["why"] for each in slots(found, "warm", kept=False)}
    assert missed == {1: "superseded: 410 since 2026-02-21 \u00b7 excluded by you", 4: "HOT shows it already"}


def test_an_item_leads_to_its_message_with_what_came_before_or_to_what_an_insight_rests_on(lab):
    found = source(lab, kind="passage", item=3, message=3)
    assert [each["text"] for each in found["entries"]] == [
        "My stop on AAPL is $400.",
        "A stop of 410 now.",
        "Lunch was late.",
    ]
    assert found["message"] == 3
    assert [each["message_id"] for each in source(lab, kind="insight", item=1, message=None)["entries"]] == [1, 2]
    lab.forget(message_id=1)
    assert [each["message_id"] for each in source(lab, kind="insight", item=1, message=None)["entries"]] == [2]


def test_what_was_forgotten_meanwhile_is_said_and_no_other_message_is_shown_for_it(lab):
    reply = lab.ask("Where is my stop?", ["AAPL"], "now")
    lab.forget(message_id=3)
    with pytest.raises(ValueError, match="Message 3 has been forgotten"):
        source(lab, kind="passage", item=3, message=3)
    lab.forget(message_id=reply.question_id)
    with pytest.raises(ValueError, match="forgotten"):
        carried(lab, reply.reply_id)
    lab.forget(message_id=1)
    lab.forget(message_id=2)  # and with it the insight that rests on both
    assert source(lab, kind="insight", item=1, message=None)["entries"] == []
    with pytest.raises(ValueError, match="Message 1 has been forgotten"):
        source(lab, kind="passage", item=1, message=1)


def test_an_item_is_shown_in_short_with_what_would_act_unseen_made_visible(lab):
    lab.sessions.add_message("old", "user", "stop \x1b[31m\u202e" + "word " * 150, created_at=NOW)
    shown = slots(preview(lab, "now", text="What is the stop word?", **ASKED), "warm")
    (text,) = (each["text"] for each in shown if each["message_id"] == 5)
    assert text.startswith(r"stop \x1b[31m\u202eword")
    assert len(text) == SNIPPET + 1


def test_the_explorer_shows_one_question_under_any_budget_and_applies_nothing(lab):
    explorer = lab.explore("Where is my stop?", watchlist=["AAPL"])
    front = FrontEnd(explorer)
    front.say("ready")
    asked = front.until("question")[1]
    assert asked["budget"] == {"hot": 2000, "warm": 500, "cold": 200}
    given = {"text": asked["text"], "watchlist": asked["watchlist"], "pinned": [], "excluded": [], "serial": 1}
    counts = []
    for budget in (None, {"warm": 20}):
        front.say("preview", budget=budget, **given)
        counts.append(len(slots(front.until("inspected")[1], "warm")))
    assert counts[0] > counts[1] == 1
    assert lab.config.budget.warm == 500
    assert lab.turns.empty
    assert repr(explorer) == repr(explorer.preview)
    assert "my stop" not in repr(explorer.get_state()) + explorer._repr_mimebundle_()[0]["text/html"]
    with pytest.raises(ValueError, match="prompt"):
        lab.explore("  ")


def test_a_prompts_picture_shows_every_section_with_its_tokens(lab, tmp_path):
    question = lab.preview("Is AAPL cheap?", watchlist=["AAPL"])
    picture = prompt_tokens(question)
    spec = picture.spec()
    (rows,) = spec["datasets"].values()
    assert [row["tokens"] for row in rows] == question.sections["tokens"].tolist()
    assert repr(picture).startswith("Tokens by section: header ")
    picture.save(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")

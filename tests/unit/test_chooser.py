"""Who answers in the chat, as it is told and chosen, and how else a question can be asked."""

import threading

import pytest
from front_end import FrontEnd
from messages_server import MessagesServer, Status, end, refuse, say, start, text, think, thinking

from gallump_lab import Config, Lab, Model
from gallump_lab.ui.answering import who


@pytest.fixture
def claude(monkeypatch):
    with MessagesServer() as server:
        server.models = ["qwen-local", "claude-sonnet-5-5"]
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield server


@pytest.fixture
def front(anew):
    lab = anew(config=Config(model=Model(max_retries=0)))
    found = FrontEnd(lab.chat())
    found.lab = lab
    return found


def ended(front):
    """Give the last message of a turn once that has ended."""
    return front.until("done")[1]["entries"][-1]


def test_a_header_names_who_answers_what_they_cost_and_which_effort_they_take(monkeypatch):
    assert who(Model()) is None
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    told = who(Model(effort="xhigh", prices={"claude-opus-5-5": (1, 2.5)}))
    assert told["models"]["auto"] == "claude-sonnet-5-5 (auto) · $2 / $10"
    assert told["models"]["claude-opus-5-5"] == "claude-opus-5-5 · $1 / $2.50"
    assert (told["asked"], told["efforts"]) == ("xhigh", ["default", "low", "medium", "high", "xhigh", "max"])
    assert who(Model(name="claude-sonnet-4-6", effort="xhigh"))["asked"] == "high"
    assert who(Model(effort="default"))["asked"] == "default"
    own = who(Model(name="mine"), listed=("qwen",))
    assert (own["models"]["mine"], own["models"]["qwen"], own["efforts"]) == ("mine", "qwen", [])
    monkeypatch.setenv("ANTHROPIC_MODEL", "claude-haiku-4-5")
    fixed = who(Model(name="claude-opus-5-5"))
    assert (fixed["fixed"], fixed["models"]) == (True, {"claude-haiku-4-5": "claude-haiku-4-5 · $1 / $5"})


def test_what_a_server_lists_is_offered_and_what_is_chosen_is_asked_from_then_on_and_stands_in_every_notebook(
    front, claude
):
    front.say("ready")
    before, listed = front.until("applied")
    assert "qwen-local" not in before[0]["who"]["models"]
    assert list(listed["who"]["models"])[:3] == ["auto", "qwen-local", "claude-sonnet-5-5"]
    front.say("choose", name="claude-opus-5-5", effort="low")
    chosen = front.until("applied")[1]
    assert (chosen["by"], chosen["who"]["name"], chosen["who"]["asked"]) == ("v", "claude-opus-5-5", "low")
    front.say("ask", text="Now?", watchlist="")
    assert ended(front)["turn"]["effort"] == "low"
    sent = claude.requests[-1].body
    assert (sent["model"], sent["output_config"]) == ("claude-opus-5-5", {"effort": "low"})
    other = FrontEnd(Lab.open(front.lab.store.path).chat())
    other.say("ready")
    assert other.until("history")[1]["who"]["name"] == "claude-opus-5-5"
    front.say("choose", name="claude-opus-5-5", effort="utmost")
    assert "Model.effort must be one of" in front.until("trouble")[1]["words"]


def test_a_server_that_lists_no_models_leaves_the_known_ones(front, claude):
    claude.models = []
    front.say("ready")
    before, listed = front.until("applied")
    assert listed["who"]["models"] == before[0]["who"]["models"]
    assert listed["who"]["models"]["auto"] == "unnamed-model (auto)"


def test_a_view_is_told_that_the_model_thinks_also_one_that_opens_meanwhile_and_what_it_cost(front, claude):
    hold = threading.Event()
    claude.queue(
        [start(cache_read_input_tokens=1900), *thinking(), hold, *text("So.", index=1), *end(thinking_tokens=800)]
    )
    front.say("ask", text="Why?", watchlist="")
    assert front.until("started")[1]["seconds"] is None
    assert front.until("thinking")[1]["seconds"] == 0
    front.say("ready")
    assert front.until("history")[1]["running"]["seconds"] > 0
    hold.set()
    turn = ended(front)["turn"]
    assert (turn["model"], turn["effort"], turn["thinking_tokens"]) == ("claude-sonnet-5-5", "medium", 800)
    assert turn["thinking_usd"] == pytest.approx(0.008)
    assert (turn["cache_read_tokens"], turn["input_tokens"]) == (1900, 2000)


def test_what_thinking_ate_is_asked_again_with_less_effort_and_then_with_more_room(front, claude):
    claude.queue(think(tokens=12_096), think(tokens=12_096), think("Here."))
    front.say("ask", text="Why?", watchlist="")
    eaten = ended(front)
    less, more = eaten["turn"]["ways"]
    assert "on thinking and wrote nothing" in eaten["turn"]["fault"]
    assert (less["title"], more["title"]) == ("With low effort", "Up to 16,000 tokens to think with")
    front.say("retry", question=eaten["message_id"], how=less["how"])
    (more,) = ended(front)["turn"]["ways"]
    assert more["how"] == {"effort": "low", "thinking": 16_000}
    front.say("retry", question=eaten["message_id"], how=more["how"])
    answered = ended(front)
    assert (answered["text"], answered["turn"]["ways"]) == ("Here.", [])
    asked = [(each.body["output_config"]["effort"], each.body["max_tokens"]) for each in claude.requests]
    assert asked == [("medium", 12_096), ("low", 12_096), ("low", 20_096)]


def test_a_field_that_a_server_refuses_and_the_category_of_a_refusal_are_told(front, claude):
    refused = Status.error(400, "invalid_request_error", "output_config.effort: not supported")
    claude.queue(refused, say("Then so."), refuse("cyber", "I"))
    front.say("ask", text="Why?", watchlist="")
    assert "does not take effort" in front.until("done")[1]["notice"]
    front.say("ask", text="And how?", watchlist="")
    done = front.until("done")[1]
    assert "declined to go on (cyber)" in done["entries"][-1]["note"]
    assert not done["notice"]  # it stands on the reply already

"""What recorded sessions would cost: counted against what a server had, and what is assumed."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from clock import Clock
from messages_api import blocks, prompt_tokens
from messages_server import MessagesServer, say

from gallump_lab import Budget, Config, Lab, Model, study
from gallump_lab.market import FileBroker
from gallump_lab.memory.context import prepare
from gallump_lab.memory.corpus import Corpus
from gallump_lab.study.prompt_cache import PromptCache, Sent
from gallump_lab.study.replay import past_turns

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SONNET = "claude-sonnet-5-5"


def told(usage):
    """Give what the server counted as read, written and fresh."""
    return tuple(
        usage.get(name, 0) for name in ("cache_read_input_tokens", "cache_creation_input_tokens", "input_tokens")
    )


GAPS = (1, 2, 3, 4.9, 6, 11)
"""Minutes between two questions of a session."""
WORDS = "stop level trend volume close sector earnings margin risk size entry target hedge cash week".split()


def desk(folder, server, layout, turns=100):
    """Chat as a desk does: sessions of some questions, pauses longer and shorter than the cache's life."""
    dice, clock = random.Random(7), Clock(START)
    server.clock = lambda: clock().timestamp()
    config = Config(budget=Budget(hot=900, hot_step=250), layout=layout, model=Model(base_url=server.url))
    lab, session = Lab.open(folder / "lab.duckdb", clock=clock, broker=FileBroker(), config=config), None
    for turn in range(turns):
        if turn % 13 == 0:
            session, clock.now = None, clock.now + timedelta(minutes=dice.choice((2, 40, 600)))
            effort = "low" if turn % 3 == 0 else "medium"
            model = replace(config.model, citations=turn % 2 == 0, effort=effort)
            lab.apply(replace(config, model=model))
        server.queue(say(" ".join(dice.choices(WORDS, k=dice.randrange(20, 160))) + "."))
        asked = f"Is the AAPL {' '.join(dice.choices(WORDS, k=dice.randrange(3, 40)))} of {turn} still right?"
        session = lab.ask(asked, ["AAPL"], session_id=session).session_id
        clock.now += timedelta(minutes=dice.choice(GAPS))
    return lab


@pytest.fixture(scope="module", params=["single", "conversation"])
def chatted(request, tmp_path_factory):
    """A hundred turns, and what the server had of each."""
    with pytest.MonkeyPatch.context() as patch, MessagesServer() as server:
        patch.setenv("ANTHROPIC_API_KEY", "a-key-of-the-environment")
        lab = desk(tmp_path_factory.mktemp(request.param), server, request.param)
    with lab.store.write() as con:  # the replies were scripted, their usage too
        for turn, asked in enumerate(server.requests, 1):
            con.execute(
                "update turns set cache_read_tokens = ?, cache_write_tokens = ?, input_tokens = ? where turn_id = ?",
                [*told(asked.usage), turn],
            )
    return request.param, lab, server.requests


def test_with_the_servers_counts_the_model_agrees_to_the_last_token(chatted):
    layout, lab, requests = chatted
    cache, corpus, snapshot, why = PromptCache(), Corpus(), lab.snapshot(), set()
    prepare(corpus, snapshot)
    with snapshot.read() as con:
        for turn, request in zip(past_turns(con), requests, strict=True):
            prompt, _ = turn.build(con, corpus, turn.config)
            sent = Sent.of(prompt, turn.config.model, turn.model, turn.session_id)
            theirs = [each.tokens for each in blocks(request.body)]
            theirs[0] += prompt_tokens(request.body) - sum(theirs)  # hidden ones stand before all
            last = len(sent.blocks) - 1
            counts = [*theirs[:last], sum(theirs[last:])]
            mine = [each._replace(tokens=count) for each, count in zip(sent.blocks, counts, strict=True)]
            counted = cache.use(turn.asked_at, replace(sent, blocks=mine))
            assert counted[:3] == told(request.usage)
            why.add(counted.why.partition(" (")[0])
    moved = {"HOT begins elsewhere"} if layout == "conversation" else set()
    assert why >= {"", "first of its kind", "life ran out", "settings changed"} | moved


def test_what_was_billed_is_predicted_turn_by_turn_with_the_reasons_of_misses(chatted):
    layout, lab, _ = chatted
    found = study.cost(lab.snapshot(), lab.config)
    turns = found.predicted
    assert len(turns) == 100
    assert ((turns["read"] > 0) == (turns["predicted_read"] > 0)).all()
    assert ((turns["written"] > 0) == (turns["predicted_written"] > 0)).all()
    assert "Of 100 billed turns predicted for counted: read " in repr(found)
    late = turns["why"].str.startswith("life ran out")
    assert late.sum() > 10
    assert (turns.loc[late & (layout == "single"), "read"] == 0).all()
    changed = turns[turns["told"].str.startswith("messages changed")]
    assert set(changed["why"].str.partition(" (")[0]) <= {
        "",
        "HOT begins elsewhere",
        "life ran out",
        "settings changed",
    }


def test_talk_is_counted_as_the_turns_that_it_was(chatted):
    layout, lab, _ = chatted
    config = Config(layout=layout, budget=Budget(hot=900, hot_step=250), model=Model(factors={SONNET: 1.5}))
    built, said = (study.cost(lab.snapshot(), config, talk=talk).turns for talk in (False, True))
    same = ["session_id", "asked_at", "gap", "read", "written", "why"]
    assert built[same].equals(said[same])
    assert said["fresh"].sum() >= built["fresh"].sum()  # WARM and COLD count in full


def test_tokens_cost_what_the_list_says_and_a_session_the_sum_of_its_turns(chatted):
    _, lab, _ = chatted
    snapshot = lab.snapshot()
    for life, write in (("5m", 2.5), ("1h", 4)):
        found = study.cost(
            snapshot, {"mine": lab.config}, life=life, reply=100, thinking={"low": 1, "medium": 7}, talk=True
        )
        turns, (row,) = found.turns, found.frame.to_dict("records")
        usd = turns["read"] * 0.1 + turns["written"] * write + turns["fresh"] * 2 + 100 * 10
        assert turns["usd"].tolist() == pytest.approx(((usd + row["thinking"] * 10) / 1e6).tolist())
        assert row["thinking"] == {"low": 1, "medium": 7}[row["effort"]]
        assert row["usd_turn"] * row["turns"] == pytest.approx(turns["usd"].sum())
        assert row["usd_session"] * row["sessions"] == pytest.approx(turns["usd"].sum())
        assert row["usd_session_low"] < row["usd_session"] < row["usd_session_high"]
        assert sum(row[f"usd_{part}"] for part in ("read", "written", "fresh", "reply", "thinking")) == pytest.approx(
            row["usd_turn"]
        )
    assert "Replies: 100 tokens, as assumed." in found.words
    assert "Thinking: 1 (low) or 7 (medium) tokens a turn, as assumed." in found.words
    assert "the cache lasts an hour" in repr(found)


def test_replies_and_thinking_are_as_recorded_unless_assumed(chatted):
    _, lab, _ = chatted
    with lab.store.write() as con:
        con.execute("update turns set output_tokens = 500, thinking_tokens = 200")
    found = study.cost(lab.snapshot(), lab.config, models=[SONNET, "claude-sonnet-4-6"])
    same, older = (turns for _, turns in found.turns.groupby("model", sort=False))
    assert (same["reply"] == 300).all()
    assert (same["thinking"] == 200).all()
    assert (older["thinking"] == 0).all()  # it does not think unasked
    assert older["reply"].iloc[0] == pytest.approx(300 * 1.08 / 1.55)  # its tokens are longer


def test_a_single_turn_has_no_gaps_and_imported_talk_can_be_counted_instead(tmp_path):
    lab = Lab.open(tmp_path / "lab.duckdb", clock=Clock(START), broker=FileBroker())
    rows = pd.DataFrame({"role": ["me", "claude"] * 3, "text": "My AAPL stop is 440.", "time": ["2026-03-01"] * 6})
    lab.import_messages(rows)
    lab.ask("And now?", ["AAPL"])
    said = repr(study.cost(lab.snapshot(), models=SONNET, talk=False))
    assert "1 recorded turn, built again; talk=True counts all talk, imported talk too." in said
    assert "Gaps: no session has two questions." in said
    most = study.cost(lab.snapshot(), models=SONNET)  # of what was said was not said here
    assert most.frame["turns"].tolist() == [4, 4]
    assert "talk=False builds 1 recorded turn again." in repr(most)


def test_the_sample_answers_in_dollars_for_each_layout_and_says_what_it_assumes(sampled):
    snapshot = sampled().snapshot()
    found = study.cost(snapshot)
    frame = found.frame.set_index("config")
    assert [*frame.index] == ["single", "conversation"]
    assert frame["turns"].tolist() == [1_643, 1_643]
    assert frame.loc["conversation", "usd_turn"] < frame.loc["single", "usd_turn"]
    assert frame.loc["conversation", "share_read"] > frame.loc["single", "share_read"]
    said = repr(found)
    for words in (
        "Talk is counted",
        "242 sessions, as many turns a day as from 2011-03-14",
        "3.4 minutes (median), 16% of them 5 or more",
        "Prices: the list of 20",
        "counted as if another had answered",
        "What 100% of the turns would think is not known and left out: thinking=... assumes some.",
    ):
        assert words in said
    assert found.plot().png().startswith(b"\x89PNG")
    assert "single: $0.060 a session, cache read 1%, cache write 11%" in repr(found.plot())
    curve = found.curve([0, 4_000])
    assert "A turn's dollars for HOT from 0 to 4,000 tokens: single $0.0068 to $" in repr(curve)
    tempo, weights = found.tempo(), found.weights([4_000, 0])
    drawn = pd.concat(pd.DataFrame(rows) for rows in tempo.spec()["datasets"].values())
    assert drawn.groupby("there")["share"].sum()["with an hour alone"] == pytest.approx(0.157, abs=0.01)
    assert "3.4 minutes between a session's questions (median); 16% 5 or more, 0% 60+" in repr(tempo)
    usd = [f"{value:.4f}" for value in frame["usd_turn"]]
    assert f"single 5m {usd[0]}, 1h 0.0087; conversation 5m {usd[1]}, 1h " in repr(tempo)
    assert "adds $0.0031 to a turn, thinking $0.0400: a token of thinking weighs 12." in repr(weights)
    assert all(each.png().startswith(b"\x89PNG") for each in (tempo, weights))
    with pytest.raises(ValueError, match="tokens must be two or more numbers of tokens"):
        found.weights([1])
    hour = study.cost(snapshot, life="1h").frame.set_index("config")
    assert (hour["share_read"] > frame["share_read"]).all()
    budgets = {str(hot): Config(layout="conversation", budget=Budget(hot=hot)) for hot in (0, 1_000, 4_000)}
    assert study.cost(snapshot, budgets).frame["usd_turn"].is_monotonic_increasing


def test_of_unknown_models_no_cost_is_made_up(sampled):
    snapshot = sampled().snapshot()
    found = study.cost(snapshot, models=["qwen3:8b", "claude-opus-4-8"])
    local = found.turns[found.turns["model"] == "qwen3:8b"]
    assert local["usd"].isna().all()
    assert (local[["read", "written"]] == 0).all(axis=None)
    for words in ("Nothing is known of qwen3:8b's cache", "No price is known for qwen3:8b", "1,024 are assumed"):
        assert words in repr(found)
    with pytest.raises(ValueError, match="No price is known for qwen3:8b: give one"):
        found.tempo()
    priced = study.cost(snapshot, Config(model=Model(name="qwen3:8b", prices={"qwen3:8b": (1, 2)})))
    assert priced.turns["usd"].tolist() == pytest.approx(
        ((priced.turns["fresh"] + 2 * priced.turns["reply"]) / 1e6).tolist()
    )


def test_what_cannot_be_used_is_refused_in_words(sampled, tmp_path):
    snapshot = sampled().snapshot()
    for given, words in (
        ({"configs": {}}, r"configs must be a Config, or several by name .* not \{\}"),
        ({"configs": {"a": 1}}, "configs must be a Config"),
        ({"models": []}, "models must be a model's name such as 'claude-sonnet-5-5', or several, not"),
        ({"models": [" "]}, "models must be"),
        ({"life": "2h"}, "life must be '5m' or '1h', not '2h'"),
        ({"reply": -1}, "reply must be tokens a turn, a number of at least 0, not -1"),
        ({"reply": float("nan")}, "reply must be"),
        ({"thinking": {"lots": 1}}, "thinking must be tokens a turn"),
        ({"thinking": {"low": 1}}, "thinking must be tokens of effort 'medium' too, which claude-sonnet-5-5"),
        ({"thinking": True}, "thinking must be"),
    ):
        with pytest.raises(ValueError, match=words):
            study.cost(snapshot, **given)
    with pytest.raises(ValueError, match=r"hot must be two or more budgets in tokens, such as \[0, 2_000\], not 5"):
        study.cost(snapshot).curve(5)
    with pytest.raises(ValueError, match=r"snapshot must be what lab\.snapshot\(\) gives"):
        study.cost("lab.duckdb")
    with pytest.raises(ValueError, match="No question of this snapshot has a reply"):
        study.cost(Lab.open(tmp_path / "empty.duckdb").snapshot())

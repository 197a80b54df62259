"""Ranking in other processes: the same figures, whatever becomes of a worker."""

import multiprocessing
import os
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from questions import lab_of

from gallump_lab import Lab, Recall, study
from gallump_lab.study import workers

FISH = ["halibut", "turbot", "plaice", "sole", "brill", "dab"]
ASKED = [(f"What of {name}?", 8, [day]) for day, name in enumerate(FISH)]
SPAWN = multiprocessing.get_context("spawn")
IN_A_WORKER = multiprocessing.parent_process() is not None


class Letters:
    """Counts a text's letters."""

    name = "letters"

    def embed(self, texts, _weight=None):
        return np.array([[text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts], float)


class Ending(Letters):
    """Ends its worker in the middle of a batch, as the system does where memory is short."""

    def embed(self, texts, weight=None):
        if IN_A_WORKER:
            os._exit(9)
        return super().embed(texts, weight)


class Failing(Letters):
    """Fails in a worker."""

    def __init__(self, error):
        self.error = error

    def embed(self, texts, weight=None):
        if IN_A_WORKER:
            raise self.error
        return super().embed(texts, weight)


class Here(Executor):
    """Does as `done` says with each batch: is through with it, is waited for until an interrupt, or never begins."""

    def __init__(self, *done):
        self.futures, self.left = [], list(done)

    def submit(self, function, /, *given):
        done, future = self.left.pop(0), Future()
        self.futures.append(future)
        if done == "through":
            future.set_result(function(*given))
        elif done == "interrupted":
            future.set_exception(KeyboardInterrupt())
        return future


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(2, SPAWN) as pool:
        yield pool


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "BATCH", 2)
    return lab_of(tmp_path / "lab.duckdb", FISH, ASKED).snapshot()


def same(found, expected):
    """Compare all that two rankings hold."""
    assert list(found.found) == list(expected.found)
    for name, tables in expected.found.items():
        for table, wanted in zip(found.found[name], tables, strict=True):
            np.testing.assert_array_equal(table, wanted, strict=True)
    for name in ("asked", "passages", "limits", "factor", "model", "data_hash", "notes", "retrievers", "config"):
        assert getattr(found, name) == getattr(expected, name), name


def test_workers_give_the_same_figures_in_batches_of_any_size(pool, monkeypatch, tmp_path):
    lab = Lab.sample()
    snapshot, questions, names = lab.snapshot(), lab.questions.iloc[::40], ["BM25", "all signals"]
    here = study.rank(snapshot, names, questions)
    for size in (1, 5):
        monkeypatch.setattr(workers, "BATCH", size)
        same(study.rank(snapshot, names, questions, executor=pool, folder=tmp_path), here)
    (file,) = tmp_path.iterdir()
    assert file.name == f"{snapshot.hash}.duckdb"
    assert study.Snapshot.load(file).hash == snapshot.hash


def test_an_embedder_of_ones_own_reaches_the_workers(pool, monkeypatch, tmp_path):
    lab_of(tmp_path / "lab.duckdb", FISH, ASKED)
    retrievers, given = {"mine": Recall(embedder="letters"), "built-in": Recall()}, {"embedders": [Letters()]}
    lab = Lab.open(tmp_path / "lab.duckdb", **given)
    lab.embed("letters")
    snapshot = lab.snapshot()
    same(study.rank(snapshot, retrievers, executor=pool, **given), study.rank(snapshot, retrievers, **given))

    class Mine(Letters):
        pass

    for where in ("a function", "a notebook"):  # the workers have neither
        if where == "a notebook":
            Mine.__qualname__, Mine.__module__ = "Mine", "notebook"
            monkeypatch.setitem(sys.modules, "notebook", SimpleNamespace(Mine=Mine))
        with pytest.raises(ValueError, match=r"embedders must be of a class in a module that the workers import; "):
            study.rank(snapshot, retrievers, executor=pool, embedders=[Mine()])


@pytest.mark.parametrize(
    ("embedder", "why"), [(Ending(), "BrokenProcessPool: "), (Failing(MemoryError("no room")), "MemoryError: no room")]
)
def test_what_a_lost_worker_had_is_ranked_here(snapshot, embedder, why):
    retrievers = {"mine": Recall(embedder="letters"), "BM25": study.RETRIEVERS["BM25"]}
    said = rf"A worker failed or was lost \({why}.* ranked here"
    with ProcessPoolExecutor(1, SPAWN) as pool, pytest.warns(RuntimeWarning, match=said):
        found = study.rank(snapshot, retrievers, executor=pool, embedders=[embedder])
    here = study.rank(snapshot, retrievers, embedders=[embedder])
    same(found, here)
    with pytest.warns(RuntimeWarning, match="its questions are ranked here"):  # the pool is over by now
        same(study.rank(snapshot, retrievers, executor=pool, embedders=[embedder]), here)


def test_what_was_given_wrong_is_said_and_not_tried_again(pool, snapshot, tmp_path):
    mine = {"mine": Recall(embedder="letters")}
    with pytest.raises(ValueError, match=r"^letters cannot be counted$"):
        study.rank(snapshot, mine, executor=pool, embedders=[Failing(ValueError("letters cannot be counted"))])
    for wrong in (4, ProcessPoolExecutor):
        with pytest.raises(ValueError, match=r"executor must be a concurrent\.futures\.Executor, .* not "):
            study.rank(snapshot, executor=wrong)
    with pytest.raises(ValueError, match="folder must be a folder that is there and that all workers reach, not "):
        study.rank(snapshot, executor=pool, folder=tmp_path / "missing")

    class Elsewhere(Here):
        def submit(self, function, _file, /, *given):
            return super().submit(function, tmp_path / "another.duckdb", *given)

    with pytest.raises(ValueError, match=r"folder must be one that all machines share: .* has no .*another\.duckdb"):
        study.rank(snapshot, executor=Elsewhere("through"))


def test_an_interrupt_keeps_what_the_workers_are_through_with_and_cancels_the_rest(snapshot):
    executor = Here("through", "interrupted", "through")
    found = study.rank(snapshot, executor=executor)
    assert [each.text for each in found.asked] == [text for text, *_ in ASKED[:2] + ASKED[4:]]
    assert "Interrupted: 2 questions are not ranked." in repr(found)
    executor = Here("interrupted", "waiting", "waiting")
    with pytest.raises(KeyboardInterrupt):
        study.rank(snapshot, executor=executor)
    assert [future.cancelled() for future in executor.futures] == [False, True, True]


def test_workers_that_have_ranked_one_lab_rank_another_as_it_is(snapshot, tmp_path):
    other = lab_of(tmp_path / "other.duckdb", FISH[::-1], ASKED).snapshot()
    for each in (snapshot, other):
        same(study.rank(each, "BM25", executor=Here(*["through"] * 3)), study.rank(each, "BM25"))

"""What takes a user's own data tells its columns and fields in `help()`, with examples that run, and in its errors."""

# ruff: noqa: ARG005

import doctest
import re

import pandas as pd
import pytest

from gallump_lab import Budget, Config, Lab, Model, Recall, datasets, study
from gallump_lab.archive import Archive
from gallump_lab.brain.reply import Reply
from gallump_lab.market import FrameBroker, Quote


@pytest.fixture(scope="module")
def sample():
    return Lab.sample()


@pytest.fixture(scope="module")
def ranks(sample):
    return study.rank(sample.snapshot(), questions=sample.questions.head(20))


@pytest.mark.parametrize("record", [Budget, Config, Model, Recall, datasets.Dataset, Quote, Reply])
def test_help_of_a_record_tells_its_fields(record):
    told = record.__doc__.partition("Attributes\n----------\n")[2]
    assert len(told) > 200
    assert set(re.findall(r"(?m)^(\w+) : ", told)) <= set(record.__dataclass_fields__)
    assert re.search(r"(?m)^\w+ : .*\n    [A-Z0-9a-z]", told)


def test_help_tells_the_columns_of_what_a_lab_takes_and_gives(sample):
    given = {name: getattr(sample, name) for name in ("questions", "labels", "messages", "decisions", "runs")}
    told = {name: getattr(Lab, name).__doc__ for name in given} | {"history": Lab.history.__doc__}
    for name, found in (("preview", sample.preview("My stop on IBM?")), ("recall", sample.recall("My stop on IBM?"))):
        given[name], told[name] = found.frame, type(found).frame.__doc__
    for name, frame in {**given, "history": sample.history()}.items():
        columns = {re.sub("^signal_.*", "signal_...", column) for column in frame.columns}
        assert not [column for column in columns if column not in told[name]], name


@pytest.mark.parametrize("door", [Archive.import_messages, Archive.import_questions, Archive.add_question, FrameBroker])
def test_the_example_of_a_door_runs(door, tmp_path):
    lab = Lab.open(tmp_path / "lab.duckdb")
    lab.import_messages(pd.DataFrame({"role": "user", "text": [f"Note {n}." for n in range(12)], "time": "2026-01-02"}))
    given = {"lab": lab, "pd": pd, "FrameBroker": FrameBroker}
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    (example,) = finder.find(door, door.__name__, globs=given)
    assert example.examples
    said = []
    runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)


OWN = pd.DataFrame({"who": ["me"], "said": ["My stop is 172"], "when": ["2026-01-01"]})
DOORS = {
    "bars": lambda lab, ranks: FrameBroker(OWN),
    "positions": lambda lab, ranks: FrameBroker(None, OWN),
    "messages": lambda lab, ranks: lab.import_messages(OWN),
    "questions": lambda lab, ranks: lab.import_questions(OWN),
    "ranked questions": lambda lab, ranks: study.rank(lab.snapshot(), questions=OWN),
    "labelled questions": lambda lab, ranks: lab.labeller(OWN),
    "reviewed insights": lambda lab, ranks: lab.reviewer(OWN),
    "judged insights": lambda lab, ranks: study.insights(lab.snapshot(), ranks, chosen=OWN),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_frame_of_other_columns_is_refused_with_their_names(door, sample, ranks):
    with pytest.raises(ValueError, match=r"\bsaid, when\b"):
        DOORS[door](sample, ranks)


WRONG = {
    "config": lambda lab, ranks: Lab(lab.store, config={"hot": 1}),
    "path": lambda lab, ranks: datasets.read(3),
    "Dataset": lambda lab, ranks: lab.import_dataset(OWN),
    "at_tokens": lambda lab, ranks: study.relevance(ranks, at_tokens=500),
    "measure": lambda lab, ranks: study.relevance(ranks, at_tokens=[500]).differences("recal"),
    "questions": lambda lab, ranks: study.rank(lab.snapshot(), questions=["Where is my stop?"]),
    "insights": lambda lab, ranks: lab.reviewer([1, 2]),
    "search": lambda lab, ranks: lab.history(3),
    "limit": lambda lab, ranks: lab.history(limit="many"),
    "watchlist": lambda lab, ranks: lab.chat(watchlist=3),
}


@pytest.mark.parametrize("argument", WRONG)
def test_an_argument_of_another_kind_is_named(argument, sample, ranks):
    with pytest.raises(ValueError, match=rf"\b{argument}\b"):
        WRONG[argument](sample, ranks)

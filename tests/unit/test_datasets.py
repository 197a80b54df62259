"""Readers: LoCoMo, BEAM, CSV and JSONL become one kind of dataset; what is malformed is left out and named."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from gallump_lab import Lab, datasets
from gallump_lab.datasets import DatasetError


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


LOCOMO = [
    {
        "sample_id": "conv-1",
        "conversation": {
            "speaker_a": "Ann",
            "speaker_b": "Bob",
            "session_2_date_time": "12:05 am on 9 May, 2023",
            "session_2": [{"speaker": "Bob", "dia_id": "D2:1", "text": "", "blip_caption": "a grey cat"}],
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ann", "dia_id": "D1:1", "text": "I sold my bike."},
                {"speaker": "Bob", "dia_id": "D1:2", "text": "Why?", "blip_caption": "a red bike"},
                {"speaker": "Ann", "text": "No id."},
            ],
            "session_3_date_time": "some day in May",
            "session_3": [{"speaker": "Ann", "dia_id": "D3:1", "text": "Lost."}] * 2,
            "session_10_date_time": "9:00 am on 1 June, 2023",
        },
        "qa": [
            {"question": "What did Ann sell?", "answer": "a bike", "evidence": ["D1:1; D1:2"], "category": 4},
            {"question": "How many cats?", "answer": 1, "evidence": ["D2:1", "D9:9", "D"], "category": 1},
            {"question": "What did Bob sell?", "adversarial_answer": "a bike", "evidence": ["D1:1"], "category": 5},
            {"question": "Of no kind", "category": 9},
        ],
    },
    {
        "conversation": {
            "session_1_date_time": "1:00 pm on 1 June, 2023",
            "session_1": [{"dia_id": "D1:1", "text": "Hi"}],
        }
    },
    {"conversation": "none"},
]


@pytest.fixture
def locomo(tmp_path: Path) -> Path:
    return observed(tmp_path, *LOCOMO)


def test_locomo_messages_have_their_sessions_times_speakers_and_captions(locomo: Path) -> None:
    said = datasets.read(locomo).messages
    assert said["text"].tolist() == ["I sold my bike.", "Why? [image: a red bike]", "[image: a grey cat]", "Hi"]
    assert said["created_at"].tolist()[:3] == [at(2023, 5, 8, 13, 56), at(2023, 5, 8, 13, 57), at(2023, 5, 9, 0, 5)]
    assert said["speaker"].tolist() == ["Ann", "Bob", "Bob", None]
    assert set(said["role"]) == {"user"}
    assert said["key"].tolist() == ["D1:1", "D1:2", "D2:1", "D1:1"]
    assert said["session_id"].tolist()[:3] == ["conv-1 session_1", "conv-1 session_1", "conv-1 session_2"]
    assert said["session_id"].is_unique is False
    assert said["conversation"].tolist() == ["conv-1"] * 3 + ["conversation 2"]


def test_locomo_questions_are_labels_and_the_fifth_kind_has_no_answer(locomo: Path) -> None:
    asked = datasets.read(locomo).questions
    assert asked["kind"].tolist() == ["single hop", "multi hop", "no answer"]
    assert asked["answer"].tolist() == ["a bike", "1", None]
    assert asked["evidence"].tolist() == [["D1:1", "D1:2"], ["D2:1"], []]
    assert set(asked["asked_at"]) == {at(2023, 5, 9, 0, 6)}


def test_what_is_malformed_in_locomo_is_counted_and_named(locomo: Path) -> None:
    found = datasets.read(locomo)
    assert found.left_out == 5
    words = repr(found)
    assert "4 messages in 2 conversations, 3 questions" in words
    for problem in (
        "conv-1 session_1, message 3: dia_id is missing in {'speaker'",
        "conv-1 session_3: its time must be such as '1:56 pm on 8 May, 2023', not 'some day in May'; left out",
        "conv-1, question 2: evidence D9:9, D names no message",
        "conv-1, question 4: category should be 1, 2, 3, 4 or 5, not 9",
        "conversation 3: it has no 'conversation' with sessions; left out",
    ):
        assert problem in words


def put(document: object, *where: object, value: object) -> object:
    """Give a document with something else in one place."""
    changed = json.loads(json.dumps(document))
    node = changed
    for key in where[:-1]:
        node = node[key]
    node[where[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("where", "value", "problem"),
    [
        (("conversation", "session_1", 0, "dia_id"), [[1]], "message 1: dia_id should be a valid string, not [[1]]"),
        (("conversation", "session_1"), {"a": 1}, "conv-1 session_1: a session must be a list of messages"),
        (("qa",), 5, "conv-1, questions: they must be a list, not 5"),
        (("qa", 0, "category"), [[4]], "conv-1, question 1: category should be 1, 2"),
        (("observation",), [[1]], "conv-1: it has no 'observation' with sessions"),
    ],
)
def test_whatever_stands_in_a_place_of_locomo_is_left_out_and_named(
    tmp_path: Path, where: tuple[object, ...], value: object, problem: str
) -> None:
    found = datasets.read(
        observed(tmp_path, put(LOCOMO[0] | {"observation": NOTED}, *where, value=value)), observations=True
    )
    assert problem in repr(found)
    assert len(found.messages) > 0


NOTED = {
    "session_2_observation": {"Bob": [["Bob has a grey cat.", "D2:1"]]},
    "session_1_observation": {
        "Ann": [
            [" Ann sold her bike. ", "D1:1"],
            ["Both spoke of a bike.", ["D1:2", "D1:1; D7:7", "here"]],
            ["No id."],
        ],
        "Bob": [["Bob asked why.", "D1:2, D1:2"], ["Of nowhere", "D8:1"], ["", "D1:1"]],
    },
    "session_3_observation": {"Ann": [["Lost.", "D3:1"], ["Lost too.", "D3:2"]]},
    "session_9_observation": "none",
}


def observed(tmp_path: Path, *samples: object) -> Path:
    path = tmp_path / "observed.json"
    path.write_text(json.dumps(samples), "utf-8")
    return path


def test_locomo_observations_are_insights_where_they_are_asked_for(tmp_path: Path) -> None:
    path = observed(tmp_path, LOCOMO[0] | {"observation": NOTED})
    assert datasets.read(path).insights.empty
    found = datasets.read(path, observations=True)
    learnt = found.insights
    texts = ["Ann sold her bike.", "Both spoke of a bike.", "Bob asked why.", "Bob has a grey cat."]
    assert learnt["text"].tolist() == texts
    assert learnt["sources"].tolist() == [["D1:1"], ["D1:2", "D1:1"], ["D1:2"], ["D2:1"]]
    minutes = (at(2023, 5, 8, 13, 56), at(2023, 5, 8, 13, 57), at(2023, 5, 8, 13, 57), at(2023, 5, 9, 0, 5))
    assert learnt["valid_from"].tolist() == [*minutes]
    assert learnt["known_from"].tolist() == [at(2023, 5, 8, 14, 27)] * 3 + [at(2023, 5, 9, 0, 35)]
    places = ("1 observation 1", "1 observation 2", "1 observation 4", "2 observation 1")
    assert learnt["key"].tolist() == [f"conv-1 session_{place}" for place in places]
    assert set(learnt["kind"]) == {"fact"}
    assert learnt[["symbol", "superseded_by"]].isna().all(axis=None)
    assert found.left_out - datasets.read(path).left_out == 3 + 2 + 1
    words = repr(found)
    for problem in (
        "conv-1 session_1, observation 2: evidence D7:7, here names no message; passed over",
        "conv-1 session_1, observation 3: item 1 is missing in ['No id.']; left out",
        "conv-1 session_1, observation 5: it rests on no message: 'D8:1'; left out",
        "conv-1 session_1, observation 6: item 0 string should have at least 1 character, not ''; left out",
        "conv-1 session_3, observation 1: it rests on no message: 'D3:1'; left out",
        "conv-1 session_9, observations: it should be a valid dictionary, not 'none'; left out",
    ):
        assert problem in words


BEAM = [
    {
        "batch_number": 1,
        "time_anchor": None,
        "turns": [
            [
                {"role": "user", "id": 0, "content": "How do I save? ->-> 1,2", "time_anchor": "March-15-2024"},
                {"role": "assistant", "id": 1, "content": "Spend less."},
            ],
            [{"role": "user", "id": 2, "content": "Thanks."}, {"role": "system", "id": 3, "content": "?"}],
        ],
    },
    {"batch_number": 2, "turns": [[{"role": "user", "id": 4, "content": "I saved 10."}]]},
    {"batch_number": 3, "time_anchor": "June-1-2024", "turns": [[{"role": "user", "id": 5, "content": "20 now."}]]},
]
PROBING = {
    "abstention": [{"question": "What is my shoe size?", "ideal_response": "It was not said."}],
    "knowledge_update": [
        {"question": "How much?", "answer": "20", "source_chat_ids": {"old": [4], "new": [5, 99]}},
        {"answer": "no question"},
    ],
}


def chat(folder: Path, batches: object = BEAM) -> Path:
    folder.mkdir()
    (folder / "chat.json").write_text(json.dumps(batches), "utf-8")
    (folder / "probing_questions").mkdir()
    (folder / "probing_questions" / "probing_questions.json").write_text(json.dumps(PROBING), "utf-8")
    return folder


def test_a_chat_of_beam_is_read_with_its_anchors_and_questions(tmp_path: Path) -> None:
    found = datasets.read(chat(tmp_path / "7"))
    said, asked = found.messages, found.questions
    assert said["text"].tolist() == ["How do I save?", "Spend less.", "Thanks.", "I saved 10.", "20 now."]
    assert said["role"].tolist() == ["user", "assistant", "user", "user", "user"]
    days = (at(2024, 3, 15, 9, 0), at(2024, 3, 15, 9, 1), at(2024, 3, 15, 9, 2), at(2024, 3, 16, 9), at(2024, 6, 1, 9))
    assert said["created_at"].tolist() == [*days]
    assert said["session_id"].nunique() == 3
    assert asked["kind"].tolist() == ["no answer", "knowledge update"]
    assert asked["answer"].tolist() == [None, "20"]
    assert asked["evidence"].tolist() == [[], ["4", "5"]]
    assert set(asked["asked_at"]) == {at(2024, 6, 1, 9, 1)}
    assert found.left_out == 2
    assert "evidence 99 names no message" in repr(found)


def test_a_chat_of_beam_at_the_end_of_time_passes_over_its_anchor(tmp_path: Path) -> None:
    found = datasets.read(chat(tmp_path / "7", put(BEAM, 0, "turns", 0, 0, "time_anchor", value="December-31-9999")))
    assert "7 batch 1, message 1: time anchor 'December-31-9999' is no date such as March-15-2024" in repr(found)
    assert len(found.messages) == 5


@pytest.mark.parametrize("name", ["talk.json", "7/probing_questions/probing_questions.json"])
def test_json_that_is_nested_too_deeply_is_named(tmp_path: Path, name: str) -> None:
    chat(tmp_path / "7")
    for deep in ("[" * 100_000, "[" * 900 + "]" * 900, '{"turns": ' * 400 + "1" + "}" * 400):
        (tmp_path / name).write_text(deep)
        with pytest.raises(DatasetError, match=rf"{name} cannot be read as JSON: it is nested more than 100 deep"):
            datasets.read(tmp_path / name.split("/", maxsplit=1)[0], "locomo" if name == "talk.json" else "beam")


def test_a_folder_of_chats_is_a_set_of_conversations(tmp_path: Path) -> None:
    chat(tmp_path / "1")
    chat(tmp_path / "2", [{"plan-1": BEAM[:1]}, {"plan-2": BEAM[1:]}])
    one, two = datasets.read(tmp_path).split()
    assert one.messages["text"].tolist() == two.messages["text"].tolist()
    assert (len(one.questions), len(two.questions)) == (2, 2)


def table(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_csv_of_messages_in_any_common_encoding(tmp_path: Path, encoding: str) -> None:
    text = 'Role,Content,Time,Ticker,Session,id\r\nuser,"Is Zürich\r\ncheap?",2024-05-31T11:30:00+02:00,zurn,,1\r\n'
    found = datasets.read(
        table(tmp_path / "talk.csv", text + "Assistant, Yes ,2024-05-31 09:31Z,nan,s1,2\r\n", encoding)
    )
    first, second = found.messages.to_dict("records")
    assert (first["role"], first["text"], first["symbol"]) == ("user", "Is Zürich\r\ncheap?", "zurn")
    assert (first["created_at"], first["session_id"], first["key"]) == (at(2024, 5, 31, 9, 30), None, "1")
    assert (second["role"], second["symbol"], second["session_id"]) == ("assistant", None, "s1")
    assert found.problems == ()
    assert found.questions.empty


def test_malformed_lines_of_a_csv_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    lines = [
        "role,text,created_at,symbol",
        "user,fine,2024-05-31T09:30:00Z,AAPL",
        "bot,hello,2024-05-31T09:30:00Z,",
        "user,,2024-05-31T09:30:00Z,",
        "user,when?,yesterday,",
        "user,a,b,c,d,e",
        'user,"a "quoted" word",2024-05-31T09:30:00Z,',
        "user,no zone,2024-05-31 09:30,",
        "user,bad \xff byte,2024-05-31T09:30:00Z,",
        "user,short,2024-05-31T09:30:00Z",
        f"user,{'x' * 150_000},2024-05-31T09:30:00Z,",
    ]
    found = datasets.read(table(tmp_path / "talk.csv", "\n".join(lines), "latin-1"))
    assert [text[:7] for text in found.messages["text"]] == ["fine", "no zone", "short", "xxxxxxx"]
    assert found.messages.index.tolist() == [2, 8, 10, 11]
    assert found.left_out == 6
    assert sorted(found.problems) == [
        "1 times have no time zone; they were taken as UTC.",
        "line 3: role must be 'user' or 'assistant', not 'bot'; left out.",
        "line 4: text must be words, not ''; left out.",
        "line 5: created_at must be a time such as 2024-05-31T09:30:00Z, not 'yesterday'; left out.",
        "line 6: it has 6 fields, the header 4; left out.",
        "line 7: it is not CSV (',' expected after '\"'); left out.",
        "line 9: it is not UTF-8; left out.",
    ]


def test_an_open_quote_costs_its_own_line_and_names_what_it_would_swallow(tmp_path: Path) -> None:
    rows = [f"user,row {number},2024-05-31T10:{number:02}:00Z" for number in range(50)]
    lines = ["role,text,time", rows[0], 'user,"an open quote,2024-05-31T09:30:00Z', *rows[1:]]
    found = datasets.read(table(tmp_path / "talk.csv", "\n".join(lines)))
    assert (len(found.messages), found.left_out) == (50, 1)
    assert found.messages.index.tolist() == [2, *range(4, 53)]
    assert "line 3: it is not CSV (unexpected end of data): a quote opens here, and lines 3 to 52" in repr(found)
    quoted = [f'"user","row {number}",2024-05-31T10:{number:02}:00Z' for number in range(5)]
    odd = '"user","open,2024-05-31T10:00:00Z', 'user,"two\nlines, of",a,row\n'
    lines = ["role,text,time", quoted[0], odd[0], *quoted[1:], odd[1]]
    found = datasets.read(table(tmp_path / "talk.csv", "\n".join(lines)))
    assert (len(found.messages), found.left_out) == (5, 2)
    assert "lines 3 to 4 would be one row" in repr(found)
    assert "lines 8 to 9: it has 4 fields, the header 3; left out" in repr(found)


def test_of_many_problems_some_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    found = datasets.read(table(tmp_path / "talk.csv", "role,text,time\n" + "bot,hi,2024-05-31\n" * 100))
    assert found.left_out == 100
    assert len(found.problems) < 50
    assert found.problems[-1] == "... and 70 more."


def test_json_lines_with_everything(tmp_path: Path) -> None:
    rows = [
        {"role": "user", "text": "a", "created_at": "2024-05-31T09:30:00Z", "session": 3, "key": "k1"},
        {"role": "user", "text": "half \ud83d a pair", "created_at": "2024-05-31T09:30:00.5+05:30", "new": 1},
        ["no", "object"],
    ]
    lines = [*map(json.dumps, rows), "", "{broken", "[" * 900 + "]" * 900]
    found = datasets.read(table(tmp_path / "talk.jsonl", "\n".join(lines)))
    assert found.messages["session_id"].tolist() == ["3", None]
    assert found.messages["created_at"].tolist()[1] == datetime(2024, 5, 31, 4, 0, 0, 500_000, tzinfo=UTC)
    assert found.left_out == 3
    assert found.problems[2] == "line 6: it is not JSON (it is nested more than 100 deep); left out."
    assert found.problems[0].startswith("line 3: it must be an object with role, text and created_at, not ['no'")
    assert found.problems[1].startswith("line 5: it is not JSON")


def test_a_folder_has_questions_and_insights_beside_its_messages(tmp_path: Path) -> None:
    table(tmp_path / "messages.csv", "role,text,time,key\nuser,My stop is 180.,2024-05-31T09:30Z,m1\n")
    table(
        tmp_path / "questions.csv",
        "question,answer,category,asked_at,evidence\nWhat is my stop?,180,single fact,2024-06-01T00:00Z,m1; m2\n",
    )
    row = {"kind": "level", "symbol": "AAPL", "text": "Stop 180", "sources": ["m1"], "known_from": "2024-06-01T00:00Z"}
    table(tmp_path / "insights.jsonl", json.dumps(row))
    found = datasets.read(tmp_path)
    assert found.questions[["text", "answer", "kind"]].to_numpy().tolist() == [
        ["What is my stop?", "180", "single fact"]
    ]
    assert found.questions["evidence"].tolist() == [["m1", "m2"]]
    assert found.insights["sources"].tolist() == [["m1"]]
    assert pd.isna(found.insights["valid_from"].iloc[0])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("talk.csv", "role,text\nuser,hi\n", r"created_at \(or time, timestamp, .*\) is missing; there is: role, text"),
        ("talk.csv", "", "is empty; it needs a header"),
        (
            "talk.json",
            "[1, 2]",
            "no conversation of Claude, ChatGPT or LoCoMo. Give an export of .* a .csv or",
        ),
        ("talk.json", "{", "cannot be read as JSON"),
        ("talk.csv", f"role,text,{'x' * 11_000_000}\n", r"cannot be read: its header is not CSV \(field larger"),
        ("talk.docx", "?", "is not known as a dataset"),
        ("talk.jsonl", "", "column role .* is missing; there is: no columns"),
    ],
)
def test_what_is_no_dataset_is_refused_with_what_would_do(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        datasets.read(table(tmp_path / name, text))


def test_a_path_or_format_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no file or folder"):
        datasets.read(tmp_path / "nothing.csv")
    with pytest.raises(DatasetError, match="is not known as a dataset"):
        datasets.read(tmp_path)
    with pytest.raises(DatasetError, match="no chat of BEAM"):
        datasets.read(tmp_path, format="beam")
    with pytest.raises(DatasetError, match="is not LoCoMo: a list of objects with 'conversation' and 'qa'"):
        datasets.read(table(tmp_path / "talk.json", "[1, 2]"), "locomo")
    with pytest.raises(DatasetError, match="format must be one of locomo, beam, table, claude, chatgpt, not 'xml'"):
        datasets.read(tmp_path, format="xml")
    with pytest.raises(DatasetError, match="observations must be False for the format 'beam': LoCoMo alone has them"):
        datasets.read(tmp_path, "beam", observations=True)


def test_observations_rest_on_the_messages_of_their_own_conversation(tmp_path: Path) -> None:
    other = {
        "sample_id": "conv-2",
        "conversation": {
            "session_1_date_time": "1:00 pm on 1 June, 2023",
            "session_1": [{"speaker": "Cid", "dia_id": "D1:1", "text": "I bought a boat."}],
        },
        "observation": {"session_1_observation": {"Cid": [["Cid owns a boat.", "D1:1"]]}},
    }
    found = datasets.read(observed(tmp_path, LOCOMO[0] | {"observation": NOTED}, other), observations=True)
    assert [len(part.insights) for part in found.split()] == [4, 1]
    lab = Lab.open(tmp_path / "lab.duckdb")
    lab.import_dataset(found)
    said = dict(zip(lab.messages["message_id"], lab.messages["text"], strict=True))
    learnt = lab.insights.frame
    cited = {text: said[sources[0]] for text, sources in zip(learnt["text"], learnt["sources"], strict=True)}
    assert cited["Ann sold her bike."] == "I sold my bike."
    assert cited["Cid owns a boat."] == "I bought a boat."

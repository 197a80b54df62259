"""Readers: LoCoMo, BEAM, CSV and JSONL become one kind of dataset; what is malformed is left out and named."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from gallump_lab import datasets
from gallump_lab.bundled import bundled
from gallump_lab.datasets import DatasetError

DESK = bundled("desk")


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
                {"dia_id": "D1:4"},
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
        },
        "qa": 5,
    },
    {"conversation": "none"},
]


@pytest.fixture
def locomo(tmp_path: Path) -> Path:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps(LOCOMO), "utf-8")
    return path


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
    assert found.left_out == 7
    words = repr(found)
    assert "4 messages in 2 conversations, 3 questions" in words
    for problem in (
        "conv-1 session_1, message 3: dia_id: Field required, not {'speaker'",
        "conv-1 session_1, message 4: it has neither text nor blip_caption; left out",
        "conversation 2, question 1: it: Input should be a valid dictionary",
        "conv-1 session_3: its time must be such as '1:56 pm on 8 May, 2023'; left out",
        "conv-1, question 2: evidence must name messages, not D9:9, D; passed over",
        "conv-1, question 4: category: Input should be 1, 2, 3, 4 or 5, not 9",
        "conversation 3: it has no 'conversation' with sessions; left out",
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
    assert "evidence must name messages, not 99; passed over" in repr(found)


@pytest.mark.parametrize(
    "deep", ["[" * 100_000, '{"turns": ' * 100_000, '[{"a": 1},' + "[" * 100_000 + "]" * 100_000 + "]"]
)
def test_json_that_is_nested_too_deeply_is_refused(tmp_path: Path, deep: str) -> None:
    chat(tmp_path / "7")
    for name, kind in (("talk.json", None), ("7/chat.json", "beam"), ("talk.jsonl", "table")):
        (tmp_path / name).write_text(deep)
        with pytest.raises(DatasetError, match=r"cannot be read as JSON: (it is nested too deep|.*recursion)"):
            datasets.read(tmp_path / name.removesuffix("chat.json"), kind)


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


def test_malformed_lines_of_a_csv_are_counted_by_kind_with_an_example_and_the_rest_is_read(tmp_path: Path) -> None:
    lines = [
        "Sender,text,Timestamp,symbol",
        "user,fine,2024-05-31T09:30:00Z,AAPL",
        "bot,hello,2024-05-31T09:30:00Z,",
        "user,,2024-05-31T09:30:00Z,",
        "user,when?,yesterday,",
        "user,a,b,c,d,e",
        'user,"a "quoted" word",2024-05-31T09:30:00Z,',
        "user,no zone,2024-05-31 09:30,",
        *["robot,hello,2024-05-31T09:30:00Z,"] * 98,
        "user,short,2024-05-31T09:30:00Z",
        f"user,{'x' * 150_000},2024-05-31T09:30:00Z,",
    ]
    found = datasets.read(table(tmp_path / "talk.csv", "\n".join(lines)))
    assert [text[:7] for text in found.messages["text"]] == ["fine", "no zone", "short", "xxxxxxx"]
    assert found.messages.index.tolist() == [2, 8, 107, 108]
    assert found.left_out == 103
    assert sorted(found.problems) == [
        "1 time without a time zone, taken as UTC.",
        "line 3 and 98 more: Sender must be 'user' or 'assistant', not 'bot'; left out.",
        "line 4: text must be words, not ''; left out.",
        "line 5: Timestamp must be a time such as 2024-05-31T09:30:00Z, not 'yesterday'; left out.",
        "line 6: it must have 4 fields as the header has, not 6; left out.",
        "line 7: it is not CSV (',' expected after '\"'); left out.",
    ]


def test_an_open_quote_names_the_lines_that_it_swallows_and_the_rest_is_read(tmp_path: Path) -> None:
    rows = [f'user,"row {number}",2024-05-31T10:{number:02}:00Z' for number in range(50)]
    lines = ["role,text,time", rows[0], 'user,"an open quote,2024-05-31T09:30:00Z', *rows[1:]]
    found = datasets.read(table(tmp_path / "talk.csv", "\n".join(lines)))
    assert (len(found.messages), found.left_out) == (49, 2)
    assert found.messages.index.tolist() == [2, *range(5, 53)]
    assert "lines 3 to 4: it is not CSV (',' expected after '\"'): a quote is open on the first of them" in repr(found)


def test_json_lines_with_everything(tmp_path: Path) -> None:
    rows = [
        {"role": "user", "text": "a", "created_at": "2024-05-31T09:30:00Z", "session": 3, "key": "k1"},
        {"role": "user", "text": "half \ud83d a pair", "created_at": "2024-05-31T09:30:00.5+05:30", "new": 1},
        ["no", "object"],
    ]
    lines = [*map(json.dumps, rows), "", "{broken"]
    found = datasets.read(table(tmp_path / "talk.jsonl", "\n".join(lines)))
    assert found.messages["session_id"].tolist() == ["3", None]
    assert found.messages["created_at"].tolist()[1] == datetime(2024, 5, 31, 4, 0, 0, 500_000, tzinfo=UTC)
    assert found.left_out == 2
    assert found.problems == (
        "line 3 and 1 more: it must be a JSON object with role, text and created_at, not ['no', 'object']; left out.",
    )


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


def test_talk_of_a_desk_has_questions_with_stale_messages_and_some_without_an_answer() -> None:
    found = datasets.read(DESK, "desk")
    assert repr(found) == "Dataset: 524 messages in 6 conversations, 276 questions, 0 insights; 0 records left out"
    assert [len(part.questions) for part in found.split()] == [40, 45, 44, 49, 47, 51]
    asked = found.questions
    assert asked["stale"].map(len).gt(0).sum() == 84
    nothing = asked[asked["kind"] == "no-answer"]
    assert nothing["evidence"].tolist() == [[]] * 18
    assert asked[asked["evidence"].map(len) == 0].index.equals(nothing.index)
    first, then = asked.iloc[1], asked.iloc[3]
    assert (first["text"], first["evidence"]) == ("what did I say my stop was on crwd again?", ["nora-s5-09"])
    assert first["stale"] == ["nora-s4-01", "nora-s4-05", "nora-s4-06"]
    assert first["asked_at"] == datetime(2026, 2, 26, 15, 5, tzinfo=UTC)
    assert (first["session_id"], then["session_id"]) == (None, "nora-s9")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("talk.csv", "role,text\nuser,hi\n", r"created_at \(or time, timestamp, .*\) is missing; there is: role, text"),
        ("talk.csv", "", "is empty; it needs role, text and created_at"),
        ("talk.csv", "role,text\xff", "cannot be read as CSV: .* Save it as UTF-8"),
        ("talk.jsonl", "\xff", "cannot be read as JSON: .* Save it as UTF-8"),
        (
            "talk.json",
            "[1, 2]",
            "no conversation of Claude, ChatGPT or LoCoMo. Give an export of .* a .csv or",
        ),
        ("talk.json", "{", "cannot be read as JSON"),
        ("talk.csv", f"role,text,{'x' * 11_000_000}\n", "cannot be read as CSV: field larger"),
        ("talk.docx", "?", "is not known as a dataset"),
        ("talk.jsonl", "", "is empty"),
    ],
)
def test_what_is_no_dataset_is_refused_with_what_would_do(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        datasets.read(table(tmp_path / name, text, "latin-1"))


def test_a_path_or_format_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no file or folder"):
        datasets.read(tmp_path / "nothing.csv")
    with pytest.raises(DatasetError, match="is not known as a dataset"):
        datasets.read(tmp_path)
    with pytest.raises(DatasetError, match="no chat of BEAM"):
        datasets.read(tmp_path, format="beam")
    with pytest.raises(DatasetError, match="is not LoCoMo: a list of objects with 'conversation' and 'qa'"):
        datasets.read(table(tmp_path / "talk.json", "[1, 2]"), "locomo")
    with pytest.raises(
        DatasetError, match="format must be one of locomo, beam, desk, table, claude, chatgpt, not 'xml'"
    ):
        datasets.read(tmp_path, format="xml")

"""Exports of Claude and ChatGPT: the thread that was seen last comes into a lab once, and all else is counted."""

import json
import struct
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gallump_lab import Lab, datasets
from gallump_lab.datasets import DatasetError

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
BEGUN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ROOT = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def lab(anew) -> Lab:
    return anew(clock=lambda: NOW)


def at(minute: float) -> datetime:
    return BEGUN + timedelta(minutes=minute)


def saved(path: Path, *conversations: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(conversations), "utf-8")
    return path


def node(key, parent, role, parts, minute=None, *, kind="text", **message) -> dict:
    """Build a node of ChatGPT's tree; its parts are a text or a list."""
    said = {
        "id": key,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": None if minute is None else at(minute).timestamp(),
        "content": {"content_type": kind, "parts": [parts] if isinstance(parts, str) else parts},
        "metadata": {},
        "recipient": "all",
    }
    return {"id": key, "message": said | message, "parent": parent, "children": []}


def gpt(*nodes: dict, name: str = "g1", current: str | None = "last", **more: object) -> dict:
    """Build a conversation of ChatGPT; the current node is the last one unless it is given."""
    mapping = {"client-created-root": {"id": "client-created-root", "message": None, "parent": None, "children": []}}
    mapping |= {each["id"]: each for each in nodes}
    for each in nodes:
        if each["parent"] in mapping:
            mapping[each["parent"]]["children"].append(each["id"])
    return {
        "title": "Stops",
        "create_time": BEGUN.timestamp(),
        "mapping": mapping,
        "current_node": nodes[-1]["id"] if current == "last" else current,
        "conversation_id": name,
        "id": name,
    } | more


def note(key, parent, sender, content, minute=None, **message) -> dict:
    """Build a message of Claude; its content is a text or a list of blocks."""
    blocks = [{"type": "text", "text": content, "citations": []}] if isinstance(content, str) else content
    return {
        "uuid": key,
        "text": "all blocks in one",
        "content": blocks,
        "sender": sender,
        "created_at": None if minute is None else at(minute).isoformat().replace("+00:00", "Z"),
        "attachments": [],
        "files": [],
        "parent_message_uuid": parent,
    } | message


def talk(*messages: dict, name: str = "c1", **more: object) -> dict:
    """Build a conversation of Claude."""
    return {
        "uuid": name,
        "name": "",
        "created_at": BEGUN.isoformat(),
        "chat_messages": list(messages),
    } | more


GPT = [
    node("s", "client-created-root", "system", "", metadata={"is_visually_hidden_from_conversation": True}),
    node("i", "s", "user", [], kind="user_editable_context"),
    node("u1", "i", "user", "Where is my stop?", 0),
    node("old", "u1", "assistant", "At 170.", 1),
    node("u-old", "old", "user", "Sure?", 2),
    node("t", "u1", "assistant", [], 3, kind="thoughts"),
    node("call", "t", "assistant", '{"q": "AAPL"}', 4, kind="code", recipient="web.run"),
    node("page", "call", "tool", "a web page", 4),
    node("recap", "page", "assistant", [], 4, kind="reasoning_recap"),
    node("pre", "recap", "assistant", "I am looking.", 5, channel="commentary"),
    node("out", "pre", "assistant", "42", 5, kind="execution_output"),
    node("a1", "out", "assistant", "At 180 \ue200cite\ue202turn0search1\ue202turn0view2\ue201, I think【4†src】.", 6),
    node("img", "a1", "user", [{"content_type": "image_asset_pointer", "asset_pointer": "sediment://1"}], 7),
    node("u2", "img", "user", [{"content_type": "image_asset_pointer"}, "And on this chart?"], 8),
    node("voice", "u2", "user", [{"content_type": "audio_transcription", "text": "Say it again."}], 9),
    node("none", "voice", "assistant", [""], 10),
    node("a2", "none", "assistant", "At 180.", 11, kind="multimodal_text"),
]


def test_chatgpt_s_thread_comes_into_a_lab_and_all_else_is_counted(lab: Lab, tmp_path: Path) -> None:
    found = datasets.read(saved(tmp_path / "conversations.json", gpt(*GPT)))
    came = lab.import_dataset(found)
    texts = ["Where is my stop?", "I am looking.", "At 180, I think.", "And on this chart?", "Say it again.", "At 180."]
    assert lab.messages["text"].tolist() == texts
    assert lab.messages["role"].tolist() == ["user", "assistant", "assistant", "user", "user", "assistant"]
    assert lab.messages["created_at"].tolist() == [at(minute) for minute in (0, 5, 6, 8, 9, 11)]
    assert lab.messages[["symbol", "speaker"]].isna().all(axis=None)
    assert (came.messages, came.sessions, came.left_out) == (6, 1, 11)
    assert found.left_out == 11
    assert sorted(found.problems) == [
        "1 message of an empty text; left out.",
        "1 message of images, audio or files; left out.",
        "1 message with images, audio or files beside the text, which alone was taken.",
        "2 messages of other branches; left out.",
        "2 messages of the system, settings or hidden ones; left out.",
        "2 messages of thinking; left out.",
        "3 messages of calls or results of tools; left out.",
    ]


CLAUDE = [
    note("m1", ROOT, "human", "Is AAPL cheap?", 0, attachments=[{"extracted_content": "a long report"}]),
    note("m2", "m1", "assistant", "Yes.", 1),
    note("m3", "m2", "human", "Sure?", 2),
    note(
        "m4",
        "m1",
        "assistant",
        [
            {"type": "thinking", "thinking": "Hm."},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "name": "web_search", "input": {}},
            {"type": "tool_result", "content": [{"type": "text", "text": "a page"}]},
            {"type": "token_budget"},
            {"type": "text", "text": "It is not: 35 times earnings."},
        ],
        3,
    ),
    note("m5", "m4", "human", [], 4, text="", files=[{"file_name": "chart.png"}]),
    note("m6", "m5", "human", [{"type": "voice_note", "text": "What then?"}], 5),
    note("m7", "m6", "assistant", [{"type": "thinking", "thinking": "Hm."}], 6),
    note("m8", "m7", "assistant", "", 7),
    note("m9", "m8", "assistant", "Wait.", 8),
]


def test_claude_s_thread_comes_into_a_lab_and_all_else_is_counted(lab: Lab, tmp_path: Path) -> None:
    found = datasets.read(saved(tmp_path / "conversations.json", talk(*CLAUDE), talk(name="c2")))
    came = lab.import_dataset(found)
    texts = ["Is AAPL cheap?", "Let me look.\n\nIt is not: 35 times earnings.", "What then?", "Wait."]
    assert lab.messages["text"].tolist() == texts
    assert lab.messages["role"].tolist() == ["user", "assistant", "user", "assistant"]
    assert lab.messages["created_at"].tolist() == [at(minute) for minute in (0, 3, 5, 8)]
    assert (came.messages, came.sessions, came.left_out) == (4, 1, 5)
    assert sorted(found.problems) == [
        "1 message of an empty text; left out.",
        "1 message of images, audio or files; left out.",
        "1 message of thinking; left out.",
        "1 message with calls or results of tools beside the text, which alone was taken.",
        "1 message with thinking beside the text, which alone was taken.",
        "2 messages of other branches; left out.",
        "2 messages with images, audio or files beside the text, which alone was taken.",
    ]


def test_older_exports_of_claude_have_texts_in_the_order_of_the_file(tmp_path: Path) -> None:
    unseen = "Looking.\n```\nThis block is not supported on your current device yet.\n```\nFound it."
    old = [{"uuid": "1", "text": "Hi", "sender": "human"}, {"uuid": "2", "text": unseen, "sender": "assistant"}]
    found = datasets.read(saved(tmp_path / "conversations.json", talk(*old)))
    assert found.messages["text"].tolist() == ["Hi", "Looking.\n\nFound it."]
    assert set(found.messages["created_at"]) == {BEGUN}
    assert found.problems == ("2 messages without a time, given that of the one before or of the conversation.",)


def test_importing_again_adds_nothing_and_a_longer_export_only_what_is_new(lab: Lab, tmp_path: Path) -> None:
    def exported(*more: dict) -> Path:
        return saved(tmp_path / "conversations.json", *more, gpt(*GPT))

    first = lab.import_dataset(datasets.read(exported()))
    again = lab.import_dataset(datasets.read(exported()))
    assert (first.messages, again.messages, again.already) == (6, 0, 6)
    newer = gpt(node("n1", "client-created-root", "user", "A new day.", 5000), name="g2")
    on = (node("u3", "a2", "user", "Go on.", 20), node("u4", "u3", "user", "Next day.", 2000))
    longer = lab.import_dataset(datasets.read(saved(tmp_path / "conversations.json", newer, gpt(*GPT, *on))))
    assert (longer.messages, longer.already) == (3, 6)
    assert lab.messages["text"].tolist()[6:] == ["Go on.", "Next day.", "A new day."]
    assert lab.messages.groupby("session_id", sort=False).size().tolist() == [7, 1, 1]


@pytest.mark.parametrize("current", [None, "gone"])
def test_without_a_current_node_the_newest_thread_is_taken(tmp_path: Path, current: str | None) -> None:
    nodes = [
        node("u", "client-created-root", "user", "Question", 0),
        node("new", "u", "assistant", "Newer", 3),
        node("old", "u", "assistant", "Older", 1),
    ]
    found = datasets.read(saved(tmp_path / "conversations.json", gpt(*nodes, current=current)))
    assert found.messages["text"].tolist() == ["Question", "Newer"]


def test_circles_lost_parents_null_nodes_and_odd_shapes_break_nothing(lab: Lab, tmp_path: Path) -> None:
    circle = gpt(node("a", "b", "user", "a", 0), node("b", "a", "user", "b", 1), name="1")
    lost = gpt(node("c", "nowhere", "user", "c", 2), name="2")
    empty = gpt(node("d", None, "user", "d", 3), name="3")
    empty["mapping"] |= {"null": None, "odd": {"message": "?"}, "bare": {"message": {"content": "x"}}}
    odd = {"mapping": {"e": {"message": {"author": {"role": "user"}, "content": {"parts": ["e\ud83d\x00", 7, None]}}}}}
    odd |= {"create_time": at(4).timestamp(), "id": ["no name"], "current_node": {}}
    undated = {"mapping": {"f": node("f", None, "user", "f") | {"parent": {}, "children": None}}, "id": "5"}
    found = datasets.read(saved(tmp_path / "conversations.json", circle, lost, empty, odd, undated, 7, {"title": "?"}))
    assert lab.import_dataset(found).messages == 5
    assert lab.messages["text"].tolist() == ["a", "b", "c", "d", "e\ufffd\x00"]
    for words in (
        "2 messages of an unknown form; left out.",
        "1 message without a time; left out.",
        "2 records that are no conversation; left out.",
    ):
        assert words in found.problems


def test_a_conversation_that_stands_in_two_files_is_taken_once(lab: Lab, tmp_path: Path) -> None:
    saved(tmp_path / "export" / "conversations-000.json", gpt(*GPT))
    saved(tmp_path / "export" / "conversations-001.json", gpt(*GPT, node("u3", "a2", "user", "On.", 20)))
    (tmp_path / "export" / "user.json").write_text("{}", "utf-8")
    found = datasets.read(tmp_path / "export")
    assert lab.import_dataset(found).messages == 7
    assert "6 messages that were read before; left out." in found.problems


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ('In \ue200entity\ue202["city","Lisbon","a capital"]\ue201.', "In Lisbon."),
        ("See \ue200url\ue202the site\ue202turn0search1\ue201 now", "See the site now"),
        ("\ue203Bold\ue204 \ue200filecite\ue202turn0file0\ue201\nNext", "Bold\nNext"),
        ("Cut off \ue200cite\ue202turn0sea", "Cut off"),
        ("【12:3†report.pdf】 See【note】", "See【note】"),
    ],
)
def test_marks_of_citations_leave_a_reply_and_names_stay(tmp_path: Path, reply: str, text: str) -> None:
    nodes = [node("u", "client-created-root", "user", "【4†source】", 0), node("a", "u", "assistant", reply, 1)]
    said = datasets.read(saved(tmp_path / "conversations.json", gpt(*nodes))).messages
    assert said["text"].tolist() == ["【4†source】", text]


def zipped(path: Path, **files: object) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, json.dumps(content))
    return path


def test_a_zip_is_read_as_it_comes_and_nothing_is_unpacked(tmp_path: Path) -> None:
    parts = {
        "export/conversations-001.json": [gpt(node("b", None, "user", "b", 1), name="2")],
        "export/conversations-000.json": [gpt(node("a", None, "user", "a", 0), name="1")],
        "export/shared_conversations.json": [{"id": "?"}],
        "__MACOSX/export/conversations-000.json": "junk",
    }
    path = zipped(tmp_path / "export.zip", **parts)
    assert datasets.read(path).messages["text"].tolist() == ["a", "b"]
    zipped(tmp_path / "conversations-000.zip", **{"conversations.json": [talk(*CLAUDE)]})
    path.unlink()
    assert len(datasets.read(tmp_path).messages) == 4
    assert [each.name for each in tmp_path.iterdir()] == ["conversations-000.zip"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("conversations.json", b'[{"mapping": {}', r"conversations\.json cannot be read as JSON: .* export again"),
        ("conversations.json", b'[{"a": 1}] 7', "cannot be read as JSON: Extra data"),
        ("conversations.json", b'[{"a": 1} {}]', "cannot be read as JSON: Expecting ',' delimiter"),
        ("conversations.json", b'["\xff"]', "cannot be read as JSON: .*utf-8"),
        ("conversations.json", b"[" * 100_000, "cannot be read as JSON: .*recursion"),
        ("export.zip", b"PK", r"export\.zip cannot be read as a \.zip: .* export again"),
    ],
)
def test_a_damaged_export_is_refused_with_what_would_do(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=words):
        datasets.read(tmp_path / name)


def test_a_zip_that_would_burst_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "export.zip", **{"conversations.json": ["0" * 5_000_000]})
    for claimed, words in ((2_000_000_000, "would unpack to 2,000,000,000 bytes"), (100, r"cannot be read as a \.zip")):
        data = bytearray(path.read_bytes())
        entry = data.rindex(b"PK\x01\x02")
        data[entry + 24 : entry + 28] = struct.pack("<I", claimed)
        path.write_bytes(data)
        with pytest.raises(DatasetError, match=words):
            datasets.read(path)


def test_what_is_no_export_is_refused_with_what_would_do(tmp_path: Path) -> None:
    others = (
        zipped(tmp_path / "other.zip", **{"talk.json": []}),
        zipped(tmp_path / "empty.zip", **{"conversations.json": []}),
        saved(tmp_path / "users.json", {"uuid": "a"}),
        saved(tmp_path / "sub" / "x.json").parent,
    )
    for path in others:
        with pytest.raises(DatasetError, match=r"is not known as a dataset.* an export of Claude or ChatGPT .* LoCoMo"):
            datasets.read(path)
    path = saved(tmp_path / "conversations.json", talk(*CLAUDE))
    with pytest.raises(DatasetError, match="holds no conversation of chatgpt"):
        datasets.read(path, "chatgpt")


def test_a_single_conversation_and_the_leaf_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(talk(*CLAUDE, current_leaf_message_uuid="m3")), "utf-8-sig")
    assert datasets.read(path).messages["text"].tolist() == ["Is AAPL cheap?", "Yes.", "Sure?"]
    assert len(datasets.read(path, "claude").messages) == 3

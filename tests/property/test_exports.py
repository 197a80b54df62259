"""Any tree of messages: every message is taken or counted."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gallump_lab import datasets

KEYS = [*"abcdef", "00000000-0000-4000-8000-000000000000"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
ODD = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)
KEY = st.sampled_from(KEYS) | ODD
WORDS = st.sampled_from(["Buy.", "Sell \ue200cite\ue202turn0\ue201 now【4†s】", " "]) | st.text(max_size=4)
SECONDS = st.integers(1_700_000_000, 1_700_009_000) | ODD
ISO = st.integers(0, 59).map(lambda minute: f"2026-03-02T09:{minute:02}:00Z") | ODD


def some(**parts: st.SearchStrategy) -> st.SearchStrategy:
    return st.fixed_dictionaries({}, optional=parts)


GPT_MESSAGE = some(
    id=KEY,
    author=some(role=st.sampled_from(["user", "assistant", "system", "tool"]) | ODD) | ODD,
    create_time=SECONDS,
    content=some(
        content_type=st.sampled_from(["text", "multimodal_text", "code", "thoughts", "new"]) | ODD,
        parts=st.lists(WORDS | some(content_type=st.sampled_from(["text", "image_asset_pointer"]), text=WORDS)) | ODD,
        text=WORDS | ODD,
    )
    | ODD,
    metadata=some(is_visually_hidden_from_conversation=st.booleans(), attachments=ODD) | ODD,
    recipient=st.sampled_from(["all", "python"]) | ODD,
)
GPT_NODE = some(message=st.none() | GPT_MESSAGE, parent=KEY, children=st.lists(KEY, max_size=3) | ODD) | ODD
GPT = some(conversation_id=KEY, title=ODD, create_time=SECONDS, current_node=KEY).flatmap(
    lambda rest: st.dictionaries(st.sampled_from(KEYS), GPT_NODE).map(lambda nodes: rest | {"mapping": nodes})
)
BLOCK = some(type=st.sampled_from(["text", "thinking", "tool_use", "voice_note", "new"]) | ODD, text=WORDS | ODD) | ODD
CLAUDE_MESSAGE = some(
    uuid=KEY,
    sender=st.sampled_from(["human", "assistant", "system"]) | ODD,
    text=WORDS | ODD,
    content=st.lists(BLOCK, max_size=3) | ODD,
    created_at=ISO,
    parent_message_uuid=KEY,
    attachments=ODD,
)
CLAUDE = some(uuid=KEY, name=ODD, created_at=ISO, current_leaf_message_uuid=KEY).flatmap(
    lambda rest: st.lists(CLAUDE_MESSAGE | ODD, max_size=7).map(lambda said: rest | {"chat_messages": said})
)


def messages_in(conversation: dict) -> int:
    if "chat_messages" in conversation:
        return len(conversation["chat_messages"])
    nodes = [node for node in conversation["mapping"].values() if isinstance(node, dict)]
    return sum(node.get("message") is not None for node in nodes)


def read(folder: str, conversations: list, service: str) -> datasets.Dataset:
    path = Path(folder, "conversations.json")
    path.write_text(json.dumps(conversations), "utf-8")
    return datasets.read(path, service)


EXPORT = st.tuples(st.just("chatgpt"), st.lists(GPT, min_size=1, max_size=3)) | st.tuples(
    st.just("claude"), st.lists(CLAUDE, min_size=1, max_size=3)
)


@settings(max_examples=50)
@given(export=EXPORT)
def test_every_message_is_taken_or_counted(export: tuple[str, list[dict]]) -> None:
    service, conversations = export
    with tempfile.TemporaryDirectory() as folder:
        found = read(folder, conversations, service)
    assert len(found.messages) + found.left_out == sum(map(messages_in, conversations))
    assert found.messages["text"].str.strip().astype(bool).all()
    assert len(set(found.problems)) == len(found.problems)

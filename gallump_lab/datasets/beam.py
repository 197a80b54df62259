"""BEAM (Tavakoli et al. 2025, "Beyond a Million Tokens: Benchmarking and Enhancing Long-Term Memory in LLMs")."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gallump_lab.datasets.records import (
    INSIGHTS,
    MESSAGES,
    QUESTIONS,
    Dataset,
    DatasetError,
    Problems,
    day_of,
    frame,
    json_of,
)

_MINUTE = timedelta(minutes=1)
_UNDATED = datetime(2024, 1, 1, 9, tzinfo=UTC)
_ANSWERS = ("answer", "ideal_answer", "ideal_response", "ideal_summary")


def read(path: Path) -> Dataset:
    """Read one chat of BEAM (a folder with chat.json and probing_questions.json), or a folder of such folders.

    A batch of turns is a session. It begins at 9:00 UTC of the day that its first time anchor names, or of the day
    after the last message where it has none; a later anchor in it moves the time on, and each message comes a minute
    after the one before. A user's text ends before ` ->->`. Questions are asked a minute after the last message; their
    kind is the ability that they probe, "no answer" for abstention.

    Raises
    ------
    DatasetError
        If there is no chat to read.
    """
    problems = Problems()
    folders = [path] if (path / "chat.json").exists() else sorted(found.parent for found in path.glob("*/chat.json"))
    messages: list[dict[str, Any]] = []
    questions: list[dict[str, Any]] = []
    for folder in folders:
        said = list(_messages(folder.name, json_of(folder / "chat.json"), problems))
        messages += said
        probing = next(folder.rglob("probing_questions.json"), None)
        if said and probing:
            asked_at = max(message["created_at"] for message in said) + _MINUTE
            keys = {message["key"] for message in said}
            questions += _questions(folder.name, json_of(probing), keys, asked_at, problems)
    if not messages:
        msg = f"{path} holds no chat of BEAM: a chat.json of batches with 'turns' of messages with role and content."
        raise DatasetError(msg)
    return Dataset(
        messages=frame(messages, MESSAGES),
        questions=frame(questions, QUESTIONS),
        insights=frame((), INSIGHTS),
        problems=problems.told(),
        left_out=problems.left_out,
    )


def _found(node: Any, *wanted: str) -> Iterator[dict[str, Any]]:
    """Return every object inside that has the wanted fields, in order, however deep; none inside of another."""
    if isinstance(node, dict) and all(name in node for name in wanted):
        yield node
    elif isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _found(child, *wanted)


def _messages(name: str, chat: Any, problems: Problems) -> Iterator[dict[str, Any]]:
    due: datetime | None = None  # no message is earlier than that
    for number, batch in enumerate(_found(chat, "turns"), 1):
        session = f"{name} batch {number}"
        anchor = _anchor(batch, session, problems)
        due = due and due.replace(hour=9, minute=0) + timedelta(days=1)
        for place, turn in enumerate(_found(batch["turns"], "role"), 1):
            where = f"{session}, message {place}"
            times = (due, _anchor(turn, where, problems) or anchor)
            at, anchor = max((time for time in times if time), default=_UNDATED), None
            role, content = turn["role"], turn.get("content")
            text = content.split(" ->->")[0].strip() if isinstance(content, str) else ""
            if role not in ("user", "assistant") or not text:
                why = f"it needs role 'user' or 'assistant' and content, not {role!r:.40} and {content!r:.60}"
                problems.leave_out(where, why)
                continue
            due = at + _MINUTE
            yield {
                "role": role,
                "text": text,
                "created_at": at,
                "session_id": session,
                "key": str(turn.get("id", f"{number}.{place}")),
                "conversation": name,
            }


def _anchor(node: Mapping[str, Any], where: str, problems: Problems) -> datetime | None:
    """Return the morning of the day that a batch or message is anchored at, such as March-15-2024."""
    anchor = node.get("time_anchor")
    if anchor is None:
        return None
    try:
        return day_of(anchor, "%B-%d-%Y").replace(hour=9)
    except ValueError:
        problems.note(f"{where}: time anchor {anchor!r:.40} is no date such as March-15-2024; passed over.")
        return None


def _questions(
    name: str, probing: Any, keys: set[str], asked_at: datetime, problems: Problems
) -> Iterator[dict[str, Any]]:
    for ability, listed in probing.items() if isinstance(probing, dict) else ():
        kind = "no answer" if ability == "abstention" else ability.replace("_", " ")
        for number, question in enumerate(listed if isinstance(listed, list) else [listed], 1):
            where = f"{name}, {ability} {number}"
            if not isinstance(question, dict) or not question.get("question"):
                problems.leave_out(where, f"it has no question: {question!r:.80}")
                continue
            named = dict.fromkeys(str(key) for node in _found(question, "source_chat_ids") for key in _ids(node))
            strangers = [key for key in named if key not in keys]
            if strangers:
                problems.note(f"{where}: evidence {', '.join(strangers)} names no message; passed over.")
            answers = [str(question[field]) for field in _ANSWERS if question.get(field)]
            yield {
                "text": str(question["question"]),
                "answer": answers[0] if answers and kind != "no answer" else None,
                "kind": kind,
                "asked_at": asked_at,
                "evidence": [key for key in named if key in keys],
                "conversation": name,
            }


def _ids(node: Any) -> Iterator[int]:
    if isinstance(node, int):
        yield node
    elif isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _ids(child)

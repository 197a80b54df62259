"""LoCoMo (Maharana et al. 2024, "Evaluating Very Long-Term Conversational Memory of LLM Agents"), as published."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
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

KINDS: Mapping[int, str] = {1: "multi hop", 2: "temporal", 3: "open domain", 4: "single hop", 5: "no answer"}
"""What the file's category numbers mean: not the order in which the paper lists the kinds, but the one in which its
evaluation scores them."""

_EVIDENCE = re.compile(r"D\d+:\d+")
_MINUTE = timedelta(minutes=1)
_SILENCE = timedelta(minutes=30)
"""So long after a session's last message its observations are known."""


def read(path: Path, *, observations: bool = False) -> Dataset:
    """Read LoCoMo's JSON: a list of conversations, each with its questions.

    Both people are role "user" and told apart by `speaker`. A session begins at its `session_N_date_time`, taken as
    UTC, and each message comes a minute after the one before. An image stands in the text as its caption. Questions are
    asked a minute after the last message; those of category 5 have no answer and no evidence.

    Parameters
    ----------
    path : Path
        The file.
    observations : bool
        Give what its authors had noted of each session as insights: facts, known once the session has ended.

    Raises
    ------
    DatasetError
        If the file is not LoCoMo's JSON.
    """
    problems = Problems()
    messages: list[dict[str, Any]] = []
    questions: list[dict[str, Any]] = []
    insights: list[dict[str, Any]] = []
    for number, sample in enumerate(_samples(path), 1):
        if not isinstance(sample, dict) or not isinstance(sample.get("conversation"), dict):
            problems.leave_out(f"conversation {number}", "it has no 'conversation' with sessions")
            continue
        name = str(sample.get("sample_id") or f"conversation {number}")
        said = list(_messages(name, sample["conversation"], problems))
        messages += said
        if said:
            asked_at = max(message["created_at"] for message in said) + _MINUTE
            keys = {message["key"] for message in said}
            questions += _questions(name, sample.get("qa") or [], keys, asked_at, problems)
        if observations:
            insights += _insights(name, sample.get("observation"), said, problems)
    return Dataset(
        messages=frame(messages, MESSAGES),
        questions=frame(questions, QUESTIONS),
        insights=frame(insights, INSIGHTS),
        problems=problems.told(),
        left_out=problems.left_out,
    )


def _samples(path: Path) -> list[Any]:
    found = json_of(path)
    found = found if isinstance(found, list) else [found]
    if not any(isinstance(sample, dict) and "conversation" in sample for sample in found):
        msg = (
            f"{path} is not LoCoMo: a list of objects with 'conversation' and 'qa'. "
            "Conversations of your own are read from .csv or .jsonl, a row or line a message."
        )
        raise DatasetError(msg)
    return found


def _messages(name: str, conversation: Mapping[str, Any], problems: Problems) -> Iterator[dict[str, Any]]:
    numbers = (re.fullmatch(r"session_(\d+)", key) for key in conversation)
    for number in sorted(int(found[1]) for found in numbers if found):
        session, turns = f"{name} session_{number}", conversation[f"session_{number}"]
        if not isinstance(turns, list):
            problems.leave_out(session, f"a session must be a list of messages, not {turns!r:.60}")
            continue
        when = conversation.get(f"session_{number}_date_time")
        try:
            begun = day_of(when, "%I:%M %p on %d %B, %Y")
        except ValueError:
            why = f"its time must be such as '1:56 pm on 8 May, 2023', not {when!r:.60}"
            problems.leave_out(session, why, records=len(turns))
            continue
        for place, turn in enumerate(turns):
            said = _text(turn) if isinstance(turn, dict) else ""
            key, speaker = (turn.get("dia_id"), turn.get("speaker")) if said else (None, None)
            if not isinstance(key, str) or not key or not isinstance(speaker, str | None):
                problems.leave_out(
                    f"{session}, message {place + 1}",
                    f"it needs dia_id and text, and a speaker by name, not {turn!r:.80}",
                )
                continue
            yield {
                "role": "user",
                "text": said,
                "created_at": begun + place * _MINUTE,
                "session_id": session,
                "speaker": speaker,
                "key": key,
                "conversation": name,
            }


def _text(turn: Mapping[str, Any]) -> str:
    image = f" [image: {turn['blip_caption']}]" if turn.get("blip_caption") else ""
    return f"{turn.get('text') or ''}{image}".strip()


def _questions(
    name: str, listed: object, keys: set[str], asked_at: datetime, problems: Problems
) -> Iterator[dict[str, Any]]:
    if not isinstance(listed, list):
        problems.leave_out(f"{name}, questions", f"they must be a list, not {listed!r:.60}")
        return
    for number, qa in enumerate(listed, 1):
        where = f"{name}, question {number}"
        if not isinstance(qa, dict) or not qa.get("question") or qa.get("category") not in [*KINDS]:
            problems.leave_out(where, f"it needs a question and a category from 1 to 5, not {qa!r:.80}")
            continue
        kind = KINDS[qa["category"]]
        evidence, strangers = _cited([] if kind == "no answer" else qa.get("evidence"), keys)
        if strangers:
            problems.note(f"{where}: evidence {', '.join(strangers)} names no message; passed over.")
        answer = qa.get("answer")
        yield {
            "text": str(qa["question"]),
            "answer": None if kind == "no answer" or answer is None else str(answer),
            "kind": kind,
            "asked_at": asked_at,
            "evidence": evidence,
            "conversation": name,
        }


def _insights(
    name: str, listed: object, said: Sequence[Mapping[str, Any]], problems: Problems
) -> Iterator[dict[str, Any]]:
    """Return the observations of each session in order, numbered as they stand there, those left out counted."""
    if not isinstance(listed, dict):
        problems.note(f"{name}: it has no 'observation' with sessions, so no insights.")
        return
    at = {message["key"]: message["created_at"] for message in said}
    ends = {message["session_id"]: message["created_at"] for message in said}
    numbers = (re.fullmatch(r"session_(\d+)_observation", key) for key in listed)
    for number in sorted(int(found[1]) for found in numbers if found):
        noted = _noted(listed[f"session_{number}_observation"])
        where, end = f"{name} session_{number}", ends.get(f"{name} session_{number}")
        if noted is None or end is None:
            why = "an observation must be a list for each speaker" if noted is None else "it has no message to rest on"
            problems.leave_out(f"{where}, observations", why, records=1 if noted is None else len(noted))
            continue
        for place, each in enumerate(noted, 1):
            here = f"{where}, observation {place}"
            if not isinstance(each, list) or len(each) != 2 or not isinstance(each[0], str) or not each[0].strip():
                problems.leave_out(here, f"it needs a text and dia_ids, not {each!r:.80}")
                continue
            sources, strangers = _cited(each[1], at)
            if not sources:
                problems.leave_out(here, f"it rests on no message: {each[1]!r:.60}")
                continue
            if strangers:
                problems.note(f"{here}: {', '.join(strangers)} names no message; passed over.")
            newest = max(at[key] for key in sources)
            yield {
                "kind": "fact",
                "text": each[0].strip(),
                "sources": sources,
                "valid_from": newest,
                "known_from": max(end, newest) + _SILENCE,
                "key": f"{where} observation {place}",
                "conversation": name,
            }


def _noted(observed: object) -> list[Any] | None:
    """Return all speakers' observations of a session, one after the other; None if they are not lists."""
    if not isinstance(observed, dict) or not all(isinstance(each, list) for each in observed.values()):
        return None
    return [each for noted in observed.values() for each in noted]


def _cited(named: object, known: Container[str]) -> tuple[list[str], list[str]]:
    """Return the message keys that an entry names, each once: those that are known, and what is not."""
    entries = [str(each) for each in (named if isinstance(named, list) else [named] if named else [])]
    keys = list(dict.fromkeys(key for entry in entries for key in _EVIDENCE.findall(entry)))
    strangers = [key for key in keys if key not in known]
    strangers += [entry for entry in entries if not _EVIDENCE.search(entry)]
    return [key for key in keys if key in known], strangers

"""Published benchmarks of long conversations: LoCoMo and BEAM, each with its questions.

LoCoMo: Maharana et al. 2024, "Evaluating Very Long-Term Conversational Memory of LLM Agents". BEAM: Tavakoli et al.
2025, "Beyond a Million Tokens: Benchmarking and Enhancing Long-Term Memory in LLMs".
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, StringConstraints, TypeAdapter, ValidationError, model_validator

from gallump_lab.datasets.table import Dataset, DatasetError, dataset
from gallump_lab.reading.text_files import LARGEST_JSON, Problems, check_readable, parse_json

KINDS: Mapping[int, str] = {1: "multi hop", 2: "temporal", 3: "open domain", 4: "single hop", 5: "no answer"}
"""What LoCoMo's category numbers mean: not the order in which the paper lists the kinds, but the one in which its
evaluation scores them."""

_YEARS = range(1900, 2900)
_MINUTE = timedelta(minutes=1)
_SILENCE = timedelta(minutes=30)
"""So long after a session's last message LoCoMo's observations of it are known."""
_UNDATED = datetime(2024, 1, 1, 9, tzinfo=UTC)
_EVIDENCE = re.compile(r"D\d+:\d+")

_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Observation = tuple[_Words, Any]
Row = dict[str, Any]


class LocomoMessage(BaseModel):
    """A message of LoCoMo; an image stands in its text as its caption."""

    dia_id: _Words
    text: str = ""
    blip_caption: str | None = None
    speaker: str | None = None

    @model_validator(mode="after")
    def _said(self) -> "LocomoMessage":
        image = f" [image: {self.blip_caption}]" if self.blip_caption else ""
        self.text = f"{self.text}{image}".strip()
        if not self.text:
            msg = "text is missing, and so is blip_caption"
            raise ValueError(msg)
        return self


class LocomoQuestion(BaseModel):
    """A question of LoCoMo."""

    question: _Words
    category: Literal[1, 2, 3, 4, 5]
    answer: Any = None
    evidence: Any = None


class BeamMessage(BaseModel):
    """A message of BEAM."""

    role: Literal["user", "assistant"]
    content: _Words
    id: Any = None
    time_anchor: Any = None


class BeamQuestion(BaseModel):
    """A question of BEAM, whose answer has another name for each ability."""

    question: _Words
    answer: Any = None
    ideal_answer: Any = None
    ideal_response: Any = None
    ideal_summary: Any = None


def read_locomo(path: Path, *, observations: bool = False) -> Dataset:
    """Read LoCoMo's JSON: a list of conversations, each with its questions.

    Both people are role "user" and told apart by `speaker`. A session begins at its `session_N_date_time`, taken as
    UTC, and each message comes a minute after the one before. Questions are asked a minute after the last message;
    those of category 5 have no answer and no evidence.

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
    messages, questions, insights = list[Row](), list[Row](), list[Row]()
    samples = _json(path)
    samples = samples if isinstance(samples, list) else [samples]
    if not any(isinstance(sample, dict) and "conversation" in sample for sample in samples):
        msg = (
            f"{path} is not LoCoMo: a list of objects with 'conversation' and 'qa'. "
            "Conversations of your own are read from .csv or .jsonl, a row or line a message."
        )
        raise DatasetError(msg)
    for number, sample in enumerate(samples, 1):
        if not isinstance(sample, dict) or not isinstance(sample.get("conversation"), dict):
            problems.leave_out(f"conversation {number}", "it has no 'conversation' with sessions")
            continue
        name = str(sample.get("sample_id") or f"conversation {number}")
        said = list(_locomo_messages(name, sample["conversation"], problems))
        messages += said
        questions += _locomo_questions(name, sample.get("qa") or [], said, problems)
        if observations:
            insights += _locomo_insights(name, sample.get("observation"), said, problems)
    return dataset(problems, messages, questions, insights)


def _locomo_messages(name: str, conversation: Mapping[str, Any], problems: Problems) -> Iterator[Row]:
    for number, turns in _sessions(conversation, r"session_(\d+)"):
        session, when = f"{name} session_{number}", conversation.get(f"session_{number}_date_time")
        if not isinstance(turns, list):
            problems.leave_out(session, f"a session must be a list of messages, not {turns!r:.60}")
            continue
        try:
            begun = _time(when, "%I:%M %p on %d %B, %Y")
        except ValueError:
            why = f"its time must be such as '1:56 pm on 8 May, 2023', not {when!r:.60}"
            problems.leave_out(session, why, records=len(turns))
            continue
        for place, turn in enumerate(turns):
            said = _checked(LocomoMessage, turn, f"{session}, message {place + 1}", problems)
            if said:
                yield {
                    "role": "user",
                    "text": said.text,
                    "created_at": begun + place * _MINUTE,
                    "session_id": session,
                    "speaker": said.speaker,
                    "key": said.dia_id,
                    "conversation": name,
                }


def _locomo_questions(name: str, listed: object, said: Sequence[Row], problems: Problems) -> Iterator[Row]:
    if not isinstance(listed, list):
        problems.leave_out(f"{name}, questions", f"they must be a list, not {listed!r:.60}")
        return
    asked_at = max((message["created_at"] for message in said), default=_UNDATED) + _MINUTE
    for number, question in enumerate(listed if said else [], 1):
        where = f"{name}, question {number}"
        asked = _checked(LocomoQuestion, question, where, problems)
        if asked:
            kind = KINDS[asked.category]
            answered = kind != "no answer"
            yield {
                "text": asked.question,
                "answer": str(asked.answer) if answered and asked.answer is not None else None,
                "kind": kind,
                "asked_at": asked_at,
                "evidence": _evidence(_locomo_keys(asked.evidence) if answered else [], said, where, problems),
                "conversation": name,
            }


def _locomo_insights(name: str, listed: object, said: Sequence[Row], problems: Problems) -> Iterator[Row]:
    """Yield the observations of each session in order, numbered as they stand there."""
    if not isinstance(listed, dict):
        problems.note(f"{name}: it has no 'observation' with sessions, so no insights.")
        return
    at = {message["key"]: message["created_at"] for message in said}
    ends = {message["session_id"]: message["created_at"] for message in said}
    for number, observed in _sessions(listed, r"session_(\d+)_observation"):
        session = f"{name} session_{number}"
        speakers = _checked(dict[str, list[Any]], observed, f"{session}, observations", problems) or {}
        for place, each in enumerate((each for noted in speakers.values() for each in noted), 1):
            where = f"{session}, observation {place}"
            found = _checked(_Observation, each, where, problems)
            if found is None:
                continue
            sources = _evidence(_locomo_keys(found[1]), said, where, problems)
            if not sources or session not in ends:
                problems.leave_out(where, f"it rests on no message: {found[1]!r:.60}")
                continue
            newest = max(at[key] for key in sources)
            yield {
                "kind": "fact",
                "text": found[0],
                "sources": sources,
                "valid_from": newest,
                "known_from": max(ends[session], newest) + _SILENCE,
                "key": f"{session} observation {place}",
                "conversation": name,
            }


def _sessions(listed: Mapping[str, Any], key: str) -> list[tuple[int, Any]]:
    """Return what stands under the keys of this form, by their numbers."""
    return sorted((int(found[1]), value) for name, value in listed.items() if (found := re.fullmatch(key, name)))


def _locomo_keys(evidence: Any) -> list[str]:
    """Return the keys in LoCoMo's evidence, of which an entry may hold several, and what is no key as it stands."""
    entries = [str(each) for each in (evidence if isinstance(evidence, list) else [evidence] if evidence else [])]
    return [key for entry in entries for key in _EVIDENCE.findall(entry) or [entry]]


def read_beam(path: Path) -> Dataset:
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
    messages, questions = list[Row](), list[Row]()
    for folder in folders:
        said = list(_beam_messages(folder.name, _json(folder / "chat.json"), problems))
        messages += said
        probing = next(folder.rglob("probing_questions.json"), None)
        if said and probing:
            questions += _beam_questions(folder.name, _json(probing), said, problems)
    if not messages:
        msg = f"{path} holds no chat of BEAM: a chat.json of batches with 'turns' of messages with role and content."
        raise DatasetError(msg)
    return dataset(problems, messages, questions)


def _beam_messages(name: str, chat: Any, problems: Problems) -> Iterator[Row]:
    due: datetime | None = None  # no message is earlier than that
    for number, batch in enumerate(_found(chat, "turns"), 1):
        session = f"{name} batch {number}"
        anchor = _anchor(batch.get("time_anchor"), session, problems)
        due = due and due.replace(hour=9, minute=0) + timedelta(days=1)
        for place, turn in enumerate(_found(batch["turns"], "role"), 1):
            where = f"{session}, message {place}"
            said = _checked(BeamMessage, turn, where, problems)
            if said:
                times = (due, _anchor(said.time_anchor, where, problems) or anchor)
                at, anchor = max((time for time in times if time), default=_UNDATED), None
                due = at + _MINUTE
                yield {
                    "role": said.role,
                    "text": said.content.split(" ->->")[0].strip(),
                    "created_at": at,
                    "session_id": session,
                    "key": f"{number}.{place}" if said.id is None else str(said.id),
                    "conversation": name,
                }


def _anchor(anchor: Any, where: str, problems: Problems) -> datetime | None:
    """Return the morning of the day that a batch or message is anchored at, such as March-15-2024."""
    try:
        return None if anchor is None else _time(anchor, "%B-%d-%Y").replace(hour=9)
    except ValueError:
        problems.note(f"{where}: time anchor {anchor!r:.40} is no date such as March-15-2024; passed over.")
        return None


def _beam_questions(name: str, probing: Any, said: Sequence[Row], problems: Problems) -> Iterator[Row]:
    asked_at = max(message["created_at"] for message in said) + _MINUTE
    for ability, listed in probing.items() if isinstance(probing, dict) else ():
        kind = "no answer" if ability == "abstention" else ability.replace("_", " ")
        for number, question in enumerate(listed if isinstance(listed, list) else [listed], 1):
            where = f"{name}, {ability} {number}"
            asked = _checked(BeamQuestion, question, where, problems)
            if asked:
                answers = (asked.answer, asked.ideal_answer, asked.ideal_response, asked.ideal_summary)
                answer = next((str(each) for each in answers if each), None)
                ids = [key for node in _found(question, "source_chat_ids") for key in _ids(node["source_chat_ids"])]
                yield {
                    "text": asked.question,
                    "answer": None if kind == "no answer" else answer,
                    "kind": kind,
                    "asked_at": asked_at,
                    "evidence": _evidence(ids, said, where, problems),
                    "conversation": name,
                }


def _found(node: Any, wanted: str) -> Iterator[Row]:
    """Yield every object inside that has the wanted field, in order, however deep; none inside of another."""
    if isinstance(node, dict) and wanted in node:
        yield node
    elif isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _found(child, wanted)


def _ids(node: Any) -> Iterator[str]:
    if isinstance(node, int):
        yield str(node)
    elif isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _ids(child)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _checked(kind: Any, value: object, where: str, problems: Problems) -> Any:
    """Return a record as what it should be; None, and a problem that names the field and its value, if it is not."""
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(f"item {part}" if isinstance(part, int) else part for part in first["loc"]) or "it"
        words = "should be an object" if first["type"] == "model_type" else first["msg"].removeprefix("Input ")
        missing = first["type"] == "missing"
        why = f"{field} is missing in" if missing else f"{field} {words[0].lower()}{words[1:]}, not"
        problems.leave_out(where, f"{why} {first['input']!r:.80}")
        return None


def _evidence(named: Iterable[str], said: Sequence[Row], where: str, problems: Problems) -> list[str]:
    """Return the keys of messages, each once; what names no message becomes a problem."""
    keys = {message["key"] for message in said}
    unique = list(dict.fromkeys(named))
    if strangers := [key for key in unique if key not in keys]:
        problems.note(f"{where}: evidence {', '.join(strangers)} names no message; passed over.")
    return [key for key in unique if key in keys]


def _time(text: object, form: str) -> datetime:
    found = datetime.strptime(str(text), form).replace(tzinfo=UTC)
    if found.year not in _YEARS:
        msg = f"its year must be from {_YEARS[0]} to {_YEARS[-1]}"
        raise ValueError(msg)
    return found


def _json(path: Path) -> Any:
    check_readable(path, DatasetError, most=3 * LARGEST_JSON)
    try:
        return parse_json(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read as JSON: {error}. Give the file as it was published."
        raise DatasetError(msg) from error

"""Published benchmarks of long conversations: LoCoMo and BEAM, each with its questions.

LoCoMo: Maharana et al. 2024, "Evaluating Very Long-Term Conversational Memory of LLM Agents". BEAM: Tavakoli et al.
2025, "Beyond a Million Tokens: Benchmarking and Enhancing Long-Term Memory in LLMs".
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, StringConstraints, ValidationError

from gallump_lab.datasets.table import Dataset, DatasetError, dataset
from gallump_lab.lazy import regex
from gallump_lab.reading.text_files import LARGEST_JSON, Problems, check_readable

NO_ANSWER = "no answer"
KINDS: Mapping[int, str] = {1: "multi hop", 2: "temporal", 3: "open domain", 4: "single hop", 5: NO_ANSWER}
"""What LoCoMo's category numbers mean: not the order in which the paper lists the kinds, but the one in which its
evaluation scores them."""

_YEARS = range(1900, 2900)
_MINUTE = timedelta(minutes=1)
_UNDATED = datetime(2024, 1, 1, 9, tzinfo=UTC)
_EVIDENCE = regex(r"D\d+:\d+")

_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Row = dict[str, Any]


class LocomoMessage(BaseModel):
    """A message of LoCoMo; an image stands in its text as its caption."""

    dia_id: _Words
    text: str = ""
    blip_caption: str | None = None
    speaker: str | None = None


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


Model = TypeVar("Model", bound=BaseModel)


def read_locomo(path: Path) -> Dataset:
    """Read LoCoMo's JSON: a list of conversations, each with its questions.

    Both people are role "user" and told apart by `speaker`. A session begins at its `session_N_date_time`, taken as
    UTC, and each message comes a minute after the one before. Questions are asked a minute after the last message;
    those of category 5 have no answer and no evidence.

    Raises
    ------
    DatasetError
        If the file is not LoCoMo's JSON.
    """
    problems = Problems()
    messages, questions = list[Row](), list[Row]()
    for number, sample in enumerate(_listed(_json(path)), 1):
        conversation = sample.get("conversation") if isinstance(sample, dict) else None
        if not isinstance(conversation, dict):
            problems.leave_out(f"conversation {number}", "it has no 'conversation' with sessions")
            continue
        name = str(sample.get("sample_id") or f"conversation {number}")
        said = list(_locomo_messages(name, conversation, problems))
        messages += said
        questions += _locomo_questions(name, _listed(sample.get("qa")), said, problems)
    if not messages:
        msg = f"{path} is not LoCoMo: a list of objects with 'conversation' and 'qa'. Save your own as .csv or .jsonl."
        raise DatasetError(msg)
    return dataset(problems, messages, questions)


def _locomo_messages(name: str, conversation: Mapping[str, Any], problems: Problems) -> Iterator[Row]:
    numbers = sorted(int(found[1]) for key in conversation if (found := re.fullmatch(r"session_(\d+)", key)))
    for number in numbers:
        session, turns = f"{name} session_{number}", _listed(conversation[f"session_{number}"])
        begun = _time(conversation.get(f"session_{number}_date_time"), "%I:%M %p on %d %B, %Y")
        if begun is None:
            problems.leave_out(session, "its time must be such as '1:56 pm on 8 May, 2023'", len(turns))
            continue
        for place, turn in enumerate(turns):
            where = f"{session}, message {place + 1}"
            said = _checked(LocomoMessage, turn, where, problems)
            if said and not (said.text.strip() or said.blip_caption):
                problems.leave_out(where, "it has neither text nor blip_caption")
            elif said:
                image = f" [image: {said.blip_caption}]" if said.blip_caption else ""
                yield {
                    "role": "user",
                    "text": f"{said.text}{image}".strip(),
                    "created_at": begun + place * _MINUTE,
                    "session_id": session,
                    "speaker": said.speaker,
                    "key": said.dia_id,
                    "conversation": name,
                }


def _locomo_questions(name: str, listed: Sequence[Any], said: Sequence[Row], problems: Problems) -> Iterator[Row]:
    for number, question in enumerate(listed, 1):
        where = f"{name}, question {number}"
        asked = _checked(LocomoQuestion, question, where, problems)
        if asked:
            kind = KINDS[asked.category]
            keys = _locomo_keys(asked.evidence) if kind != NO_ANSWER else []
            evidence = _evidence(keys, said, where, problems)
            yield _question(asked.question, kind, asked.answer, said) | {"evidence": evidence, "conversation": name}


def _locomo_keys(evidence: Any) -> list[str]:
    """Return the keys in LoCoMo's evidence, of which an entry may hold several, and what is no key as it stands."""
    return [key for entry in _listed(evidence) for key in _EVIDENCE.findall(str(entry)) or [str(entry)]]


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
    messages, questions = list[Row](), list[Row]()
    for chat in sorted([*path.glob("chat.json"), *path.glob("*/chat.json")]):
        folder = chat.parent
        said = list(_beam_messages(folder.name, _json(chat), problems))
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
    for number, batch in enumerate(_objects(chat, "turns"), 1):
        session = f"{name} batch {number}"
        anchor = _anchor(batch.get("time_anchor"), session, problems)
        due = due and due.replace(hour=9, minute=0) + timedelta(days=1)
        for place, turn in enumerate(_objects(batch["turns"], "role"), 1):
            where = f"{session}, message {place}"
            said = _checked(BeamMessage, turn, where, problems)
            if said:
                anchor = _anchor(said.time_anchor, where, problems) or anchor
                at = max((time for time in (due, anchor) if time), default=_UNDATED)
                due, anchor = at + _MINUTE, None
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
    found = _time(anchor, "%B-%d-%Y")
    if anchor is not None and found is None:
        problems.note(where, f"time_anchor must be a day such as March-15-2024, not {anchor!r:.40}; passed over")
    return found and found.replace(hour=9)


def _beam_questions(name: str, probing: Any, said: Sequence[Row], problems: Problems) -> Iterator[Row]:
    for ability, listed in probing.items() if isinstance(probing, dict) else ():
        kind = NO_ANSWER if ability == "abstention" else ability.replace("_", " ")
        for number, question in enumerate(_listed(listed), 1):
            where = f"{name}, {ability} {number}"
            asked = _checked(BeamQuestion, question, where, problems)
            if asked:
                answers = (asked.answer, asked.ideal_answer, asked.ideal_response, asked.ideal_summary)
                answer = next(filter(None, answers), None)
                keys = [key for node in _objects(question, "source_chat_ids") for key in _ids(node["source_chat_ids"])]
                evidence = _evidence(keys, said, where, problems)
                yield _question(asked.question, kind, answer, said) | {"evidence": evidence, "conversation": name}


def _question(text: str, kind: str, answer: Any, said: Sequence[Row]) -> Row:
    """Return a question, asked a minute after the last message; where nothing was said there is no answer."""
    return {
        "text": text,
        "answer": None if answer is None or kind == NO_ANSWER else str(answer),
        "kind": kind,
        "asked_at": max((message["created_at"] for message in said), default=_UNDATED) + _MINUTE,
    }


def _objects(node: Any, wanted: str) -> Iterator[Row]:
    """Yield every object inside that has the wanted field, in order, however deep; none inside of another."""
    if isinstance(node, dict) and wanted in node:
        yield node
    elif isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _objects(child, wanted)


def _ids(node: Any) -> Iterator[str]:
    if isinstance(node, int):
        yield str(node)
    elif isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _ids(child)


def _listed(value: Any) -> list[Any]:
    """Return a value as a list: itself, or with the value as its one element."""
    return value if isinstance(value, list) else [value] if value else []


def _checked(kind: type[Model], value: object, where: str, problems: Problems) -> Model | None:
    """Return a record as what it should be; None, and a problem that names the field, if it is not."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "it"
        problems.leave_out(where, f"{field}: {first['msg']}, not {first['input']!r:.80}")
        return None


def _evidence(named: Iterable[str], said: Sequence[Row], where: str, problems: Problems) -> list[str]:
    """Return the keys of messages, each once; what names no message becomes a problem."""
    keys = {message["key"] for message in said}
    unique = list(dict.fromkeys(named))
    if strangers := [key for key in unique if key not in keys]:
        problems.note(where, f"evidence must name messages, not {', '.join(strangers):.80}; passed over")
    return [key for key in unique if key in keys]


def _time(text: object, form: str) -> datetime | None:
    """Return the time that a text states in a form, UTC; None if it does not, or lies at an end of the calendar."""
    try:
        found = datetime.strptime(str(text), form).replace(tzinfo=UTC)
    except ValueError:
        return None
    return found if found.year in _YEARS else None


def _json(path: Path) -> Any:
    check_readable(path, DatasetError, most=3 * LARGEST_JSON)
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read as JSON: {error}. Give the file as it was published."
        raise DatasetError(msg) from error

"""The labelling widget: a question and what might answer it, graded by one key each."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import TYPE_CHECKING, Any

from gallump_lab.memory import labels
from gallump_lab.memory.labels import Label, Listed
from gallump_lab.store import times
from gallump_lab.study.labelling import Candidate, pool
from gallump_lab.ui.entries import words
from gallump_lab.ui.markdown import visible
from gallump_lab.ui.widget import Widget, joined

if TYPE_CHECKING:
    import pandas as pd

    from gallump_lab.lab import Lab

NOTHING = "Nothing to undo: nothing has been graded since this was opened."


class Labeller(Widget):
    """Questions, one after the other, each with the messages that several retrievers find for it.

    Keys 0 to 3 grade a message (0 of no use, 1 on the subject, 2 helps, 3 the answer rests on it) and go on to the
    next; arrows or j and k move, u or Ctrl+Z undoes, n and p change the question. The order of the messages tells
    nothing of their ranks. A grade is in the lab once it is shown; opened again, the widget goes on where its labeller
    stopped. What has no grade is not 0.

    Parameters
    ----------
    lab : Lab
        Where questions come from and labels go.
    questions : pandas.DataFrame, optional
        Rows of `lab.questions`; by default all of them and those that were asked in the chat, the readers' last.
    labeller : str
        Who labels, by name.
    static : bool
        Whether the cell's output also holds the question at hand with its messages and grades, escaped, for readers
        without the front end (nbconvert, GitHub). It is then saved into the notebook.

    Attributes
    ----------
    error : Exception or None
        What failed last: `raise labeller.error` shows where.

    Raises
    ------
    ValueError
        If `questions` are no rows of `lab.questions`.
    """

    _esm = joined("parts.js", "labeller.js")
    _css = joined("chat.css", "labeller.css")

    def __init__(
        self,
        lab: "Lab",
        questions: "pd.DataFrame | None" = None,
        *,
        labeller: str = "analyst",
        static: bool = False,
    ) -> None:
        self.lab, self.labeller, self._saved = lab, labeller, static
        self.error: Exception | None = None
        self._listed = _chosen(labels.listed(lab.store), questions)
        self._given: list[tuple[int, int]] = []
        self._views: set[str] = set()
        # One thread does what the views ask for, so that grades come in the order of the keys.
        self._work = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gallump-labeller")
        super().__init__(self._receive)

    def __repr__(self) -> str:
        done = self._progress(labels.holding(self.lab.store))
        return f"<Labeller {done['questions']} of {done['of']} questions, {done['labels']} labels>"

    def _static(self) -> str | None:
        if not self._saved:
            return None
        return _page(self._question(self._begin())) if self._listed else "<p>No question to label.</p>"

    def _receive(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        """Take a view's message; what it asks for is done after all that was asked before."""
        if content["type"] == "ready":
            if content["view"] in self._views:
                return
            self._views.add(content["view"])
        self._work.submit(self._serve, **content)

    def _serve(self, type: str, view: str, **content: Any) -> None:  # noqa: A002 (as views call it)
        """Do what a view asks for, and tell it if that fails."""
        served: dict[str, Callable[..., None]] = {
            "ready": lambda view: self._tell_question(view, self._begin()),
            "question": self._tell_question,
            "grade": self._grade,
            "undo": self._undo,
        }
        try:
            served[type](view, **content)
        except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
            self.error = error
            self.send({"type": "trouble", "view": view, "of": type, "words": words(error)})

    def _begin(self) -> int:
        """Return the question at which the labeller stopped: the one graded last, or the next if that is done."""
        held = labels.holding(self.lab.store)
        places = {each.question_id: place for place, each in enumerate(self._listed) if each.question_id is not None}
        mine = [places[each.question_id] for each in held if each.question_id in places and self._mine(each)]
        if not mine:
            return 0
        last = mine[-1]
        if any(each["grade"] is None for each in self._question(last)["candidates"]):
            return last
        rest = [*range(last + 1, len(self._listed)), *range(last)]
        return next((place for place in rest if place not in mine), last)

    def _mine(self, label: Label) -> bool:
        return label.origin == "human" and label.labeller == self.labeller

    def _progress(self, held: Sequence[Label]) -> dict[str, int]:
        """Count what persons have labelled of the questions at hand."""
        here = {each.question_id for each in self._listed}
        done = [each.question_id for each in held if each.origin == "human" and each.question_id in here]
        return {"questions": len(set(done)), "of": len(self._listed), "labels": len(done)}

    def _question(self, place: int) -> dict[str, Any]:
        """Return a question with its candidates and their grades."""
        listed, held = self._listed[place], labels.holding(self.lab.store)
        known = {each.message_id: each for each in held if each.question_id == listed.question_id}
        found = pool(self.lab.store, self.lab.sessions.corpus, listed.asked, known)
        asked = listed.asked
        return {
            "place": place,
            "text": visible(asked.text),
            "at": times.aware(asked.asked_at).isoformat(),
            "kind": visible(asked.kind),
            "symbol": asked.symbol,
            "answer": asked.answer and visible(asked.answer),
            "candidates": [_candidate(each, known.get(each.message_id), self.labeller) for each in found],
            "progress": self._progress(held),
        }

    def _tell_question(self, view: str, place: int, at: int | None = None) -> None:
        question = self._question(place) if self._listed else None
        self.send({"type": "question", "view": view, "question": question, "at": at})

    def _grade(self, view: str, place: int, message: int, grade: int) -> None:
        listed = self._listed[place]
        if listed.question_id is None and listed.turn_id is not None:
            made = self.lab.question_of(listed.turn_id)
            listed = self._listed[place] = Listed(question_id=made, turn_id=listed.turn_id, asked=listed.asked)
        self.lab.label(listed.question_id or 0, message, grade, self.labeller)
        self._given.append((place, message))
        self._tell_grade(view, place, message, undone=False)

    def _undo(self, view: str) -> None:
        if not self._given:
            self.send({"type": "trouble", "view": view, "of": "undo", "words": NOTHING})
            return
        place, message = self._given[-1]
        try:
            self.lab.label(self._listed[place].question_id or 0, message, None, self.labeller)
        except ValueError:  # it has gone with a message that was forgotten: the next undo takes the one before
            self._given.pop()
            raise
        self._given.pop()
        self._tell_grade(view, place, message, undone=True)

    def _tell_grade(self, view: str, place: int, message: int, *, undone: bool) -> None:
        """Tell every view how a message is graded now, as the lab holds it."""
        held = labels.holding(self.lab.store)
        pair = self._listed[place].question_id, message
        label = next((each for each in held if (each.question_id, each.message_id) == pair), None)
        graded = {"place": place, "message": message, **_graded(label, self.labeller)}
        self.send({"type": "graded", "by": view, "undone": undone, "progress": self._progress(held), **graded})


def _chosen(listed: list[Listed], questions: "pd.DataFrame | None") -> list[Listed]:
    if questions is None:
        return listed
    if "question_id" not in questions:
        msg = f"questions must be rows of lab.questions, with question_id, not with {', '.join(map(str, questions))}."
        raise ValueError(msg)
    known = {each.question_id: each for each in listed if each.question_id is not None}
    return [known[question_id] for question_id in questions["question_id"] if question_id in known]


def _candidate(each: Candidate, label: Label | None, labeller: str) -> dict[str, Any]:
    return {
        "message": each.message_id,
        "who": visible(each.speaker) if each.speaker else "You" if each.role == "user" else "Analyst",
        "symbol": each.symbol,
        "at": each.created_at.isoformat(),
        "parts": [(visible(text), found) for text, found in _parts(each) if text],
        **_graded(label, labeller),
    }


def _graded(label: Label | None, labeller: str) -> dict[str, Any]:
    """Return a label's grade, and who gave it where that was another."""
    if label is None:
        return {"grade": None, "by_whom": None}
    return {"grade": label.grade, "by_whom": None if label.labeller == labeller else visible(label.labeller)}


def _parts(each: Candidate) -> list[tuple[str, bool]]:
    """Cut a message into what was found and what stands around it; nothing to tell apart is one part."""
    found, end = list[tuple[str, bool]](), 0
    for start, stop in each.found:
        found += [(each.text[end:start], False), (each.text[start:stop], True)]
        end = stop
    found.append((each.text[end:], False))
    return found if any(text.strip() for text, is_found in found if not is_found) else [(each.text, False)]


def _page(question: Mapping[str, Any]) -> str:
    """Return a question as HTML that needs no front end, escaped."""
    said = []
    for each in question["candidates"]:
        grade = "no grade" if each["grade"] is None else f"grade {each['grade']}"
        head = " \u00b7 ".join(filter(None, (grade, each["who"], each["symbol"], each["at"][:16])))
        text = "".join(f"<mark>{escape(part)}</mark>" if found else escape(part) for part, found in each["parts"])
        said.append(f'<article><h4>{escape(head)}</h4><p style="white-space: pre-wrap">{text}</p></article>')
    return "\n".join([f"<h3>{escape(question['text'])}</h3>", *said])

"""The grader: one row after the other, each graded by one key. Its rows are messages or insights."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import traitlets

from gallump_lab.memory import labels
from gallump_lab.memory.records import check_rows
from gallump_lab.memory.text import shared, terms
from gallump_lab.reading.shown import visible
from gallump_lab.reading.text_files import counted
from gallump_lab.store import times
from gallump_lab.study.labelling import Candidate, pool
from gallump_lab.ui.widget import Widget, cell, insight_entry, joined, parts, plain, records, speaker

if TYPE_CHECKING:
    import pandas as pd

    from gallump_lab.lab import Lab

Row = dict[str, Any]
"""A message or an insight as the front end is told of it, or a record of the lab."""
_OPPOSITE = {"pin": "unpin", "unpin": "pin", "retire": "restore", "restore": "retire"}


Done = tuple[str, int, Callable[[], object]]
"""Something that was done to a row, its place, and what takes it back."""


class Grader(Widget):
    """What labelling and reviewing share: rows, one of them at hand, graded by the keys 0 to 3.

    What was done is in the lab once it is shown, and each step can be undone. What another notebook changes shows when
    this one is entered. Views name a row by its place, so that what it holds may change meanwhile.

    Parameters
    ----------
    lab : Lab
        Whose rows are graded.
    labeller : str
        Who grades, by name.
    """

    _esm = joined("parts.js", "grader.js")
    _css = joined("chat.css", "grader.css")
    _head: Row | None = None
    """The question that the rows may answer."""

    def __init__(self, lab: "Lab", labeller: str) -> None:
        self.lab, self.labeller = lab, labeller
        self._done: list[Done] = []
        self._told: list[Row] | None = None
        # One thread does what the views ask for, so that all is done in the order of the keys.
        self._work = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gallump-grader")
        super().__init__()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._progress()['words']}>"

    def _progress(self, rows: list[Row] | None = None) -> Row:
        """Return how much has been graded, by rows that have been read: `done`, `of`, and both in `words`."""
        raise NotImplementedError

    def _rows(self) -> list[Row]:
        """Return the rows as the lab holds them now."""
        raise NotImplementedError

    def _run(self, action: Callable[[], None]) -> None:
        self._work.submit(action)

    def _on_ready(self, view: str) -> None:
        if self._told is not None:
            self._tell(view)  # the other views
        self._tell_all(view)

    def _on_look(self, view: str) -> None:
        self._tell(view)

    def _tell_all(self, view: str | None) -> None:
        """Send a view, or all of them, every row, and which is the first that needs a grade."""
        self._told = self._rows()
        at = next((row["place"] for row in self._told if row["wanted"] and row["grade"] is None), 0)
        shown = {"rows": self._told, "at": at, "head": self._head, "progress": self._progress(self._told)}
        self.send({"type": "rows", "view": view, **shown})

    def _tell(self, view: str, done: Done | None = None, *, undone: bool = False) -> None:
        """Send every view which rows show otherwise by now, and who did what to which."""
        told, self._told = self._told or [], self._rows()
        changed = [row for row, before in zip_longest(self._told, told) if row and row != before]
        if changed or done:
            did, at, _ = done or (None, None, None)
            what = {"by": view, "did": did, "place": at, "undone": undone}
            self.send({"type": "changed", "rows": changed, "progress": self._progress(self._told), **what})

    def _did(self, view: str, what: str, place: int, undo: Callable[[], object]) -> None:
        self._done.append((what, place, undo))
        self._tell(view, self._done[-1])

    def _on_undo(self, view: str) -> None:
        if not self._done:
            msg = "Nothing to undo: nothing has been changed since this was opened."
            raise ValueError(msg)
        self._tell(view)  # by what others have changed, too
        done = self._done[-1]
        try:
            done[-1]()
        except ValueError:  # it cannot be: the next undo takes what was done before
            self._done.pop()
            raise
        self._done.pop()
        self._tell(view, done, undone=True)


class Labeller(Grader):
    """Questions, one after the other, each with the messages that several retrievers find for it.

    Keys 0 to 3 grade a message (0 of no use, 1 on the subject, 2 helps, 3 the answer rests on it) and go on to the
    next; arrows or j and k move, u or Ctrl+Z undoes, n and p change the question. The order of the messages tells
    nothing of their ranks. Opened again, the widget goes on where its labeller stopped. What has no grade is not 0.

    Parameters
    ----------
    questions : pandas.DataFrame, optional
        Rows of `lab.questions`; by default all of them and those that were asked in the chat, the readers' last.
    lab, labeller
        See `Grader`.

    Examples
    --------
    >>> lab.labeller(labeller="Ann")
    <Labeller 0 of 2 questions, 0 labels>
    """

    kind = traitlets.Unicode("labels").tag(sync=True)

    def __init__(self, lab: "Lab", questions: "pd.DataFrame | None" = None, *, labeller: str = "analyst") -> None:
        self._listed = labels.listed(lab.store)
        if questions is not None:
            check_rows(questions, "questions", "lab.questions", "question_id")
            known = {each.question_id: each for each in self._listed if each.question_id is not None}
            self._listed = [known[each] for each in questions["question_id"] if each in known]
        self._place: int | None = None
        self._found: list[Candidate] = []
        super().__init__(lab, labeller)

    def _held(self) -> list[labels.Label]:
        """Return the labels that hold of the questions at hand."""
        here = {each.question_id for each in self._listed}
        return [each for each in labels.holding(self.lab.store) if each.question_id in here]

    def _find(self, place: int) -> None:
        """Turn to a question, and find what may answer it."""
        listed = self._listed[place]
        graded = [each.message_id for each in self._held() if each.question_id == listed.question_id]
        self._found = pool(self.lab.store, self.lab.sessions.corpus, listed.asked, graded)
        self._place = place

    def _rows(self) -> list[Row]:
        if not self._listed:
            return []
        if self._place is None:  # where the labeller stopped
            mine = [
                each.question_id for each in self._held() if each.labeller == self.labeller and each.origin == "human"
            ]
            self._find(next((i for i, each in enumerate(self._listed) if each.question_id in mine[-1:]), 0))
        question = self._listed[self._place or 0].question_id
        held = {each.message_id: each for each in self._held() if each.question_id == question}
        return [
            {"place": place, "wanted": True, **self._row(each, held.get(each.message.message_id))}
            for place, each in enumerate(self._found)
        ]

    def _row(self, each: Candidate, label: labels.Label | None) -> Row:
        """Return a message with its grade, and who gave that where it was another."""
        said = each.message
        return {
            "parts": parts(said.text, each.found),
            "who": speaker(said.speaker, said.role),
            "symbol": said.symbol,
            "at": said.created_at.isoformat(),
            "grade": label and label.grade,
            "grader": visible(label.labeller) if label and label.labeller != self.labeller else None,
        }

    def _progress(self, rows: list[Row] | None = None) -> Row:  # noqa: ARG002 (they are of one question)
        """Count what persons have labelled of the questions at hand."""
        done = [each.question_id for each in self._held() if each.origin == "human"]
        count, of = len(set(done)), len(self._listed)
        words = f"{count:,} of {counted(of, 'questions')}, {counted(len(done), 'labels')}"
        return {"done": count, "of": of, "words": words}

    @property
    def _head(self) -> Row | None:  # type: ignore[override]
        if self._place is None:
            return None
        asked = self._listed[self._place].asked
        about = {name: getattr(asked, name) for name in ("text", "kind", "symbol", "answer")}
        return {
            "place": self._place,
            "of": len(self._listed),
            "at": times.aware(asked.asked_at).isoformat(),
            **plain(about),
        }

    def _on_question(self, _view: str, question: int) -> None:
        self._find(question)
        self._tell_all(None)

    def _on_grade(self, view: str, place: int, grade: int) -> None:
        at, message = self._place or 0, self._found[place].message.message_id
        listed = self._listed[at]
        if listed.question_id is None and listed.turn_id is not None:
            made = self.lab.question_of(listed.turn_id)
            listed = self._listed[at] = replace(listed, question_id=made)
        question = listed.question_id or 0
        self.lab.label(question, message, grade, self.labeller)

        def undo() -> None:
            self.lab.label(question, message, None, self.labeller)
            if self._place != at:
                self._on_question(view, at)

        self._did(view, "grade", place, undo)


class Reviewer(Grader):
    """What was learnt, one insight a row: see what each rests on, grade it, pin it, retire it, say it better.

    Keys 0 to 3 grade an insight (0 wrong, 1 of no use, 2 useful, 3 belongs in every prompt) and go on to the next;
    Enter shows its sources and history, arrows or j and k move, p pins, x retires, e edits, u or Ctrl+Z undoes. Opened
    again, the widget goes on at the first insight that has no grade.

    Parameters
    ----------
    insights : pandas.DataFrame, optional
        Which ones, in this order: a column insight_id, and perhaps others to show beside each insight, such as a
        scorecard's. By default all that stand, the retired ones last.
    lab, labeller
        See `Grader`.
    static : bool
        Whether the cell's output also holds the insights as a table, escaped, for readers without the front end
        (nbconvert, GitHub). It is then saved into the notebook.

    Examples
    --------
    >>> lab.reviewer(study.insights(lab.snapshot()).frame)
    <Reviewer 0 of 6 insights graded>
    """

    kind = traitlets.Unicode("insights").tag(sync=True)

    def __init__(
        self, lab: "Lab", insights: "pd.DataFrame | None" = None, *, labeller: str = "analyst", static: bool = False
    ) -> None:
        known, self._saved = _known(lab), static
        self._all = insights is None
        self._beside = {} if insights is None else _beside(insights, known)
        self._order = _standing(known) if insights is None else list(self._beside)
        self._old = {each for each in self._order if known[each]["superseded_by"] is not None}
        super().__init__(lab, labeller)

    def _rows(self) -> list[Row]:
        """Return the insights as the lab holds them: a newer one in the place of one superseded, new ones last."""
        known, order = _known(self.lab), list(self._order)
        for place, insight in enumerate(order):
            newer = insight if insight in self._old else _newest(known, insight)
            if newer not in order:
                order[place] = newer
        if self._all:
            order += [each for each in _standing(known) if each not in order]
        self._order = order
        return [
            {"place": place, "wanted": not known[each]["retired"], **insight_entry(known[each], known)}
            | {"beside": list(self._beside.get(each, {}).items())}
            if each in known
            else {"place": place, "wanted": False, "grade": None, "gone": True}
            for place, each in enumerate(order)
        ]

    def _static(self) -> str:
        if not self._saved:
            return super()._static()
        lines = [self._cells(row) for row in self._rows() if "gone" not in row]
        cells = [[escape("" if value is None else str(value)) for value in line.values()] for line in lines]
        names = "".join(f"<th>{escape(name)}</th>" for name in next(iter(lines), ()))
        rows = ["".join(f"<td>{cell}</td>" for cell in row) for row in cells]
        return "\n".join(["<table>", *(f"<tr>{row}</tr>" for row in (names, *rows)), "</table>"])

    @staticmethod
    def _cells(row: Row) -> Row:
        """Return a row's cells in a table, by the names of its columns."""
        return {
            "grade": row["grade"],
            "insight": row["text"],
            "symbol": row["symbol"],
            "kind": row["kind"],
            "since": row["valid_from"][:10],
            "until": row["valid_until"] and row["valid_until"][:10],
            "by": row["distiller"],
            "sources": row["sources"],
            "": ", ".join(row["marks"]),
            **dict(row["beside"]),
        }

    def _progress(self, rows: list[Row] | None = None) -> Row:
        """Count what has a grade; what was retired needs none."""
        wanted = [row for row in rows or self._rows() if row["wanted"] or row["grade"] is not None]
        graded = sum(row["grade"] is not None for row in wanted)
        words = f"{graded:,} of {counted(len(wanted), 'insights')} graded"
        return {"done": graded, "of": len(wanted), "words": words}

    def _on_open(self, view: str, place: int) -> None:
        """Send what an insight rests on and what became of it."""
        known, insight = _known(self.lab), self._order[place]
        about = terms(known[insight]["text"])
        sources = [
            {
                "who": speaker(each["speaker"], each["role"]),
                "at": each["created_at"].isoformat(),
                "parts": parts(each["text"], shared(each["text"], about)),
            }
            for each in records(self.lab.insights.sources(insight))
        ]
        past = _past(insight, known, self.lab.insights.history(insight))
        self.send({"type": "opened", "view": view, "place": place, "sources": sources, "history": past})

    def _on_grade(self, view: str, place: int, grade: int) -> None:
        insight = self._order[place]
        self.lab.insights.grade(insight, grade, self.labeller)
        self._did(view, "grade", place, lambda: self.lab.insights.grade(insight, None, self.labeller))

    def _on_change(self, view: str, place: int, what: str) -> None:
        """Pin or retire an insight, or take that back."""
        made, back = self.lab.insights, _OPPOSITE[what]
        getattr(made, what)(self._order[place])
        self._did(view, what, place, lambda: getattr(made, back)(self._order[place]))

    def _on_edit(self, view: str, place: int, text: str) -> None:
        row = _known(self.lab).get(self._order[place], {})
        if row.get("retired"):  # its successor would stand in the next prompt
            msg = "It is retired: restore it (x), then edit it."
            raise ValueError(msg)
        self._reword(place, text)
        self._did(view, "edit", place, lambda: self._reword(place, row["text"]))

    def _reword(self, place: int, text: str) -> None:
        self._order[place] = self.lab.insights.edit(self._order[place], text)


def _known(lab: "Lab") -> dict[int, Row]:
    """Return every insight of the lab by its id."""
    return {row["insight_id"]: row for row in records(lab.insights.frame)}


def _standing(known: Mapping[int, Row]) -> list[int]:
    """Return the insights that stand, by age, the retired ones last."""
    stands = [each for each, row in known.items() if row["superseded_by"] is None]
    return sorted(stands, key=lambda each: (known[each]["retired"], each))


def _newest(known: Mapping[int, Row], insight: int) -> int:
    """Follow an insight to the one that stands in its place; a circle of them ends somewhere."""
    for _ in known:
        after = known[insight]["superseded_by"] if insight in known else None
        if after is None:
            break
        insight = int(after)
    return insight


def _past(insight: int, known: Mapping[int, Row], history: "pd.DataFrame") -> list[Row]:
    """Return what became of an insight, what it took the place of first: when, what, and whose words."""
    before = [each for each, row in known.items() if row["superseded_by"] == insight and each != insight]
    past: list[tuple[Row, str, int | None]] = [
        (known[each], f"Learnt, by {known[each]['distiller']}", each if each != insight else None)
        for each in (*before, insight)
    ]
    for event in records(history):
        if event["event"] != "added":
            what = ": ".join(filter(None, (event["event"].capitalize(), event["note"])))
            past.append((event, what, event["superseded_by"] or event["other_id"]))
    said: dict[int | None, str] = {each: row["text"] for each, row in known.items()}
    return [plain({"at": row["known_from"], "what": what, "quoted": said.get(other)}) for row, what, other in past]


def _beside(insights: "pd.DataFrame", known: Mapping[int, Row]) -> dict[int, dict[str, str]]:
    """Return what a frame, such as a scorecard's, says beside each insight of the lab, in the frame's order."""
    frame = insights.reset_index() if "insight_id" in getattr(insights.index, "names", ()) else insights
    check_rows(frame, "insights", "lab.insights.frame", "insight_id")
    frame = frame[frame["insight_id"].isin(list(known))].drop_duplicates("insight_id")
    own = set(next(iter(known.values()), ()))
    return {
        int(row["insight_id"]): {visible(name): cell(value) for name, value in row.items() if name not in own}
        for row in records(frame)
    }

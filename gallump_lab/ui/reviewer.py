"""The reviewing widget: what was learnt, one insight a row, graded, pinned, retired and edited by one key each."""

import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from gallump_lab.memory.text import terms
from gallump_lab.ui.entries import words
from gallump_lab.ui.markdown import visible
from gallump_lab.ui.widget import Widget, joined

if TYPE_CHECKING:
    import pandas as pd

    from gallump_lab.lab import Lab

NOTHING = "Nothing to undo: nothing has been changed since this was opened."
RETIRED = "It is retired: restore it (x), then edit it."
_EVENTS = {
    "supported": "Said again",
    "disputed": "Contradicted by",
    "superseded": "Something newer took its place",
    "retired": "Retired",
    "restored": "Restored",
    "pinned": "Pinned",
    "unpinned": "Pin taken back",
}
_WORD = re.compile(r"[^\W_]+(?:[.,'\u2019-][^\W_]+)*")

Row = dict[str, Any]
"""An insight, or what the front end is told of one."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """Something that was done to an insight, and can be undone."""

    what: str
    insight: int
    before: Any
    """Its text, or whether it was pinned or retired; None of a grade, which is taken back."""


class Reviewer(Widget):
    """What was learnt, one insight a row: see what each rests on, grade it, pin it, retire it, say it better.

    Keys 0 to 3 grade an insight (0 wrong, 1 of no use, 2 useful, 3 belongs in every prompt) and go on to the next;
    Enter shows its sources and history, arrows or j and k move, p pins, x retires, e edits, u or Ctrl+Z undoes. All of
    it is in the lab once it is shown; what another notebook changes shows when this one is entered. Opened again, the
    widget goes on at the first insight that has no grade.

    Parameters
    ----------
    lab : Lab
        Whose insights are reviewed.
    insights : pandas.DataFrame, optional
        Which ones, in this order: a column insight_id, and perhaps others to show beside each insight, such as a
        scorecard's. By default all that stand, the retired ones last.
    labeller : str
        Who grades, by name.
    static : bool
        Whether the cell's output also holds the insights as a table, escaped, for readers without the front end
        (nbconvert, GitHub). It is then saved into the notebook.

    Attributes
    ----------
    error : Exception or None
        What failed last: `raise reviewer.error` shows where.

    Raises
    ------
    ValueError
        If `insights` has no column insight_id, or holds one twice.
    """

    _esm = joined("parts.js", "reviewer.js")
    _css = joined("chat.css", "labeller.css", "reviewer.css")

    def __init__(
        self,
        lab: "Lab",
        insights: "pd.DataFrame | None" = None,
        *,
        labeller: str = "analyst",
        static: bool = False,
    ) -> None:
        self.lab, self.labeller, self._saved = lab, labeller, static
        self.error: Exception | None = None
        known = self._known()
        self._all = insights is None
        self._beside = {} if insights is None else _beside(insights, known)
        self._order = list(self._beside) if insights is not None else _standing(known)
        self._old = {each for each in self._order if known[each]["superseded_by"] is not None}
        self._done: list[Done] = []
        self._reworded: dict[int, Row] = {}
        self._told = {row["place"]: row for row in self._rows(known, self._order)}
        self._views: set[str] = set()
        # One thread does what the views ask for, so that all is done in the order of the keys.
        self._work = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gallump-reviewer")
        super().__init__(self._receive)

    def __repr__(self) -> str:
        done = _progress(self._rows(self._known(), self._order))
        return f"<Reviewer {done['graded']} of {done['of']} insights graded>"

    def _static(self) -> str | None:
        return _page(self._rows(self._known(), self._order)) if self._saved else None

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
            "ready": self._tell_all,
            "look": self._tell,
            "open": self._tell_origin,
            "grade": self._grade,
            "pin": partial(self._turn, "pin"),
            "retire": partial(self._turn, "retire"),
            "edit": self._edit,
            "undo": self._undo,
        }
        if (insight := content.get("insight")) is not None:  # its view may not know the newest wording yet
            content["insight"] = insight = _newest(self._reworded, insight)
        try:
            served[type](view, **content)
        except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
            if type == "ready":  # the view asks again
                self._views.discard(view)
            self._tell_trouble(view, type, error, insight)

    def _tell_trouble(self, view: str, of: str, error: Exception, insight: int | None) -> None:
        """Tell a view that what it asked for failed; what the lab refuses may have been changed by others."""
        self.error = error
        self.send({"type": "trouble", "view": view, "of": of, "insight": insight, "words": words(error)})
        if isinstance(error, ValueError):
            self._work.submit(self._serve, "look", view)

    def _known(self) -> dict[int, Row]:
        """Return every insight of the lab by its id; what is missing is None."""
        return {row["insight_id"]: row for row in _records(self.lab.insights.frame)}

    def _rows(self, known: Mapping[int, Row], order: Sequence[int]) -> list[Row]:
        return [
            _row(place, insight, known, self._beside.get(insight, ()))
            if insight in known
            else {"place": place, "insight": insight, "gone": True}
            for place, insight in enumerate(order)
        ]

    def _look(self) -> list[Row]:
        """Take in what the lab holds now, and give the rows that show otherwise by it.

        A row whose insight was superseded meanwhile shows the newer one; new insights come last.
        """
        known = self._known()
        order = list(self._order)
        for place, insight in enumerate(order):
            newer = insight if insight in self._old else _newest(known, insight)
            if newer != insight and newer not in order:
                order[place] = newer
        if self._all:
            here = set(order)
            order += [each for each in _standing(known) if each not in here]
        self._order = order
        rows = self._rows(known, order)
        changed = [row for row in rows if self._told.get(row["place"]) != row]
        self._told = {row["place"]: row for row in rows}
        return changed

    def _tell_all(self, view: str) -> None:
        self._tell(view)  # the other views
        rows = [*self._told.values()]
        without = [row["place"] for row in rows if "text" in row and row["grade"] is None and not row["retired"]]
        at = without[0] if without else 0
        self.send({"type": "insights", "view": view, "rows": rows, "at": at, "progress": _progress(rows)})

    def _tell(self, view: str, insight: int | None = None, did: str | None = None, *, undone: bool = False) -> None:
        """Tell every view what shows otherwise by now, and who did what to which insight."""
        changed = self._look()
        place = self._order.index(insight) if insight in self._order else None
        if changed or did:
            what = {"by": view, "did": did, "place": place, "undone": undone}
            self.send({"type": "changed", "rows": changed, "progress": _progress([*self._told.values()]), **what})

    def _tell_origin(self, view: str, insight: int) -> None:
        """Return what an insight rests on and what became of it."""
        known = self._known()
        about = set(terms(known[insight]["text"]))
        sources = [
            {
                "who": visible(each["speaker"]) if each["speaker"] else "You" if each["role"] == "user" else "Analyst",
                "at": each["created_at"].isoformat(),
                "parts": _parts(each["text"], about),
            }
            for each in _records(self.lab.insights.sources(insight))
        ]
        past = _past(known, insight, self.lab.insights.history(insight))
        self.send({"type": "opened", "view": view, "insight": insight, "sources": sources, "history": past})

    def _grade(self, view: str, insight: int, grade: int) -> None:
        self.lab.insights.grade(insight, grade, self.labeller)
        self._did(view, Done(what="grade", insight=insight, before=None))

    def _turn(self, what: str, view: str, insight: int, on: bool) -> None:  # noqa: FBT001 (a message's field)
        self._set(what, insight, on=on)
        self._did(view, Done(what=what, insight=insight, before=not on))

    def _set(self, what: str, insight: int, *, on: bool) -> None:
        made = self.lab.insights
        acts: dict[str, tuple[Callable[[int], None], Callable[[int], None]]]
        acts = {"pin": (made.unpin, made.pin), "retire": (made.restore, made.retire)}
        acts[what][on](insight)

    def _edit(self, view: str, insight: int, text: str) -> None:
        before = self._known().get(insight, {})
        if before.get("retired"):  # its successor would stand in the next prompt
            raise ValueError(RETIRED)
        self._reword(insight, text)
        self._did(view, Done(what="edit", insight=insight, before=before["text"]))

    def _reword(self, insight: int, text: str) -> None:
        self._reworded[insight] = {"superseded_by": self.lab.insights.edit(insight, text)}

    def _did(self, view: str, done: Done) -> None:
        self._done.append(done)
        self._tell(view, _newest(self._reworded, done.insight), done.what)

    def _undo(self, view: str) -> None:
        if not self._done:
            raise ValueError(NOTHING)
        done = self._done[-1]
        try:
            insight = self._undone(done)
        except ValueError as error:  # it cannot be: the next undo takes what was done before
            self._done.pop()
            self._tell_trouble(view, "undo", error, _newest(self._known(), done.insight))
            return
        self._done.pop()
        self._tell(view, _newest(self._reworded, insight), done.what, undone=True)

    def _undone(self, done: Done) -> int:
        """Bring back how it was before, and give the insight by which it stands now."""
        insight = _newest(self._known(), done.insight)
        match done.what:
            case "grade":
                self.lab.insights.grade(done.insight, None, self.labeller)
            case "edit":
                self._reword(insight, done.before)
            case what:
                self._set(what, insight, on=done.before)
        return insight


def _records(frame: "pd.DataFrame") -> list[Row]:
    """Return a frame's rows; what is missing is None."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _standing(known: Mapping[int, Row]) -> list[int]:
    """Return the insights that stand, by age, the retired ones last."""
    stands = [each for each, row in known.items() if row["superseded_by"] is None]
    return sorted(stands, key=lambda each: (known[each]["retired"], each))


def _newest(known: Mapping[int, Row], insight: int) -> int:
    """Follow an insight to the one that stands in its place; where none does, to the last of a circle."""
    passed = set[int]()
    while (newer := known.get(insight, {}).get("superseded_by")) is not None and insight not in passed:
        passed.add(insight)
        insight = int(newer)
    return insight


def _beside(insights: "pd.DataFrame", known: Mapping[int, Row]) -> dict[int, list[tuple[str, str, bool]]]:
    """Return what a frame says beside each insight of the lab, in the frame's order: name, value, whether a number."""
    frame = insights.reset_index() if "insight_id" in insights.index.names else insights
    if "insight_id" not in frame:
        msg = f"insights must be a frame with a column insight_id, not with {', '.join(map(str, frame)) or 'none'}."
        raise ValueError(msg)
    frame = frame[frame["insight_id"].isin(list(known))]
    twice = frame.loc[frame["insight_id"].duplicated(), "insight_id"]
    if len(twice):
        msg = (
            f"insights must hold an insight once, but holds {int(twice.iloc[0])} twice; drop_duplicates('insight_id')."
        )
        raise ValueError(msg)
    shown = set(next(iter(known.values()), ())) - {"insight_id"}
    kept = frame[[name for name in frame.columns if name not in shown]]
    return {
        int(row.pop("insight_id")): [
            (visible(name), _said(value), value is None or isinstance(value, numbers.Number))
            for name, value in row.items()
        ]
        for row in _records(kept)
    }


def _said(value: Any) -> str:
    """Return what stands in a frame's cell."""
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Real):
        return f"{value:,}" if isinstance(value, numbers.Integral) else f"{value:,.2f}"
    return value.strftime("%Y-%m-%d") if isinstance(value, datetime) else visible(str(value))


def _row(place: int, insight: int, known: Mapping[int, Row], beside: Sequence[tuple[str, str, bool]]) -> Row:
    row = known[insight]
    against = [known[each] for each in row["disputed_by"] if each in known] if row["disputed_by"] is not None else []
    return {
        "place": place,
        "insight": insight,
        "text": visible(row["text"]),
        "symbol": row["symbol"],
        "kind": row["kind"],
        "speaker": row["speaker"] and visible(row["speaker"]),
        "since": row["valid_from"].isoformat(),
        "until": row["valid_until"] and row["valid_until"].isoformat(),
        "by": visible(row["distiller"]),
        "sources": len(set(row["sources"])),
        "pinned": row["pinned"],
        "retired": row["retired"],
        "disputed": any(each["superseded_by"] is None and not each["retired"] for each in against),
        "superseded": row["superseded_by"] is not None,
        "grade": row["grade"],
        "beside": list(beside),
    }


def _progress(rows: Sequence[Row]) -> dict[str, int]:
    """Count what has a grade; what was retired needs none."""
    wanted = [row for row in rows if "text" in row and (row["grade"] is not None or not row["retired"])]
    return {"graded": sum(row["grade"] is not None for row in wanted), "of": len(wanted)}


def _parts(text: str, about: set[str]) -> list[tuple[str, bool]]:
    """Cut a message into what it has in common with an insight and what stands around it."""
    found, end = list[tuple[str, bool]](), 0
    for word in _WORD.finditer(text):
        if about.intersection(terms(word[0])):
            found += [(text[end : word.start()], False), (word[0], True)]
            end = word.end()
    return [(visible(part), is_found) for part, is_found in [*found, (text[end:], False)] if part]


def _past(known: Mapping[int, Row], insight: int, history: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return what became of an insight, the wordings that it took the place of first: when, what, and whose words."""
    before, last = list[int](), [insight]
    while last := [
        each for each, row in known.items() if row["superseded_by"] in last and each not in {insight, *before}
    ]:
        before += last
    told = [_told(known[each], f"Learnt, by {known[each]['distiller']}", each, known) for each in sorted(before)]
    added = "Learnt" if not before else "Took its place" if len(before) == 1 else "Took their place"
    told.append(_told(known[insight], f"{added}, by {known[insight]['distiller']}", None, known))
    for event in _records(history):
        if what := _EVENTS.get(event["event"]):
            noted = f"{what}: {event['note']}" if event["note"] else what
            told.append(_told(event, noted, event["superseded_by"] or event["other_id"], known))
    return told


def _told(when: Row, what: str, other: int | None, known: Mapping[int, Row]) -> dict[str, Any]:
    quoted = visible(known[other]["text"]) if other is not None and other in known else None
    return {"at": when["known_from"].isoformat(), "what": visible(what), "quoted": quoted}


def _page(rows: Sequence[Row]) -> str:
    """Return insights as a table that needs no front end, escaped."""
    rows = [row for row in rows if "text" in row]
    if not rows:
        return "<p>No insight to review.</p>"
    names = (name for name, *_ in max((row["beside"] for row in rows), key=len))
    head = ("grade", "insight", "symbol", "kind", "since", "until", "by", "sources", "", *names)
    lines = ["<table>", f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>"]
    for row in rows:
        marks = [name for name in ("pinned", "disputed", "superseded", "retired") if row[name]]
        beside = (value for _, value, _ in row["beside"])
        dates = (row["since"][:10], (row["until"] or "")[:10])
        about = (row["grade"], row["text"], row["symbol"], row["kind"], *dates, row["by"], row["sources"])
        cells = ["" if cell is None else str(cell) for cell in (*about, ", ".join(marks), *beside)]
        lines.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    return "\n".join([*lines, "</table>"])

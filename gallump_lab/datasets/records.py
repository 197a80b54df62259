"""A dataset as the lab takes it: conversations, questions on them with their evidence, and insights."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gallump_lab.reading.files import LONGEST, readable
from gallump_lab.reading.text import parsed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

MESSAGES = ("role", "text", "created_at", "session_id", "symbol", "speaker", "key", "conversation")
QUESTIONS = ("text", "answer", "kind", "asked_at", "session_id", "symbol", "evidence", "conversation")
INSIGHTS = ("kind", "symbol", "text", "sources", "valid_from", "known_from", "key", "superseded_by", "conversation")
TIMES = frozenset({"created_at", "asked_at", "valid_from", "known_from"})
FIRST_YEAR, LAST_YEAR = 1900, 2900
"""Of a benchmark's times."""
NAMED = 30
"""So many problems of a sort are told one by one; the rest are counted."""

_PLURAL = re.compile(r"s\b")


class DatasetError(ValueError):
    """A file, folder or frame is no dataset that can be read; the message says why and what would do."""


def json_of(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    DatasetError
        If it cannot be read.
    """
    readable(path, DatasetError, most=3 * LONGEST)
    try:
        return parsed(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read as JSON: {error}. Give the file as it was published."
        raise DatasetError(msg) from error


def day_of(text: object, form: str) -> datetime:
    """Return a benchmark's time, UTC.

    Raises
    ------
    ValueError
        If it is in another form, or of no year in which messages are written.
    """
    found = datetime.strptime(str(text), form).replace(tzinfo=UTC)
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        msg = f"its year must be from {FIRST_YEAR} to {LAST_YEAR}"
        raise ValueError(msg)
    return found


def counted(number: int, what: str) -> str:
    """Return a number and what it counts, written in the plural; of one, the first word that ends in s loses it."""
    return f"{number:,} {_PLURAL.sub('', what, count=1) if number == 1 else what}"


class Problems:
    """What was wrong with single records and what was taken otherwise: the first are named, the rest counted."""

    def __init__(self) -> None:
        self.left_out = 0
        self._named: tuple[list[str], list[str]] = ([], [])
        self._unnamed = [0, 0]

    def leave_out(self, where: str, why: str, records: int = 1) -> None:
        """Count records that cannot be used; say where they stand and why."""
        self.left_out += records
        self._tell(0, f"{where}: {why.rstrip('.')}; left out.")

    def note(self, words: str) -> None:
        """Return what was taken otherwise than it stands."""
        self._tell(1, words)

    def _tell(self, which: int, words: str) -> None:
        if len(self._named[which]) < NAMED:
            self._named[which].append(words)
        else:
            self._unnamed[which] += 1

    def told(self) -> tuple[str, ...]:
        """Return the problems in words."""
        found: list[str] = []
        for named, unnamed in zip(self._named, self._unnamed, strict=True):
            found += named
            found += [f"... and {unnamed:,} more."] if unnamed else []
        return tuple(found)


def frame(
    rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...], index: "pd.Index | None" = None
) -> "pd.DataFrame":
    """Return rows as a frame of these columns: times are UTC, all else is objects, None where there is nothing."""
    import pandas as pd

    rows = list(rows)
    return pd.DataFrame(
        {
            name: pd.Series(
                [row.get(name) for row in rows],
                dtype="datetime64[us, UTC]" if name in TIMES else object,
                index=index,
            )
            for name in columns
        }
    )


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Conversations from a source, ready for `Lab.import_dataset`.

    An evidence or source key names the message of that key in the same conversation.
    """

    messages: "pd.DataFrame"
    """role, text, created_at (UTC), session_id, symbol, speaker, key, conversation: a row a message, in order of
    arrival; sessions without an id are cut by silence."""
    questions: "pd.DataFrame"
    """text, answer (None: there is none), kind, asked_at (UTC; nothing later may be used), session_id (the one in which
    it is asked, or None), symbol, evidence (a list of message keys), conversation."""
    insights: "pd.DataFrame"
    """kind, symbol, text, sources (a list of message keys), valid_from, known_from (UTC), key, superseded_by (the key
    of a later insight, or None), conversation (None: the one that its sources stand in)."""
    problems: tuple[str, ...] = ()
    """What was wrong or taken otherwise, in words."""
    left_out: int = 0
    """How many records could not be used."""

    def split(self) -> "list[Dataset]":
        """Return a dataset for each conversation, in order, with its questions and the insights that rest on it."""
        import numpy as np

        def rows(wanted: list[bool]) -> "NDArray[np.bool_]":
            return np.array(wanted, bool)  # an empty list would choose no columns instead of no rows

        names = list(dict.fromkeys(self.messages["conversation"]))
        if len(names) < 2:
            return [self]
        found = []
        for name in names:
            messages = self.messages[rows([each == name for each in self.messages["conversation"]])]
            questions = self.questions[rows([each == name for each in self.questions["conversation"]])]
            keys = set(messages["key"])
            where = zip(self.insights["sources"], self.insights["conversation"], strict=True)
            insights = self.insights[rows([own == name if own else not keys.isdisjoint(each) for each, own in where])]
            found.append(replace(self, messages=messages, questions=questions, insights=insights))
        return found

    def __repr__(self) -> str:
        """Count what there is, then tell the problems."""
        said = self.messages
        head = (
            f"Dataset: {counted(len(said), 'messages')} in "
            f"{counted(said['conversation'].nunique(dropna=False), 'conversations')}, "
            f"{counted(len(self.questions), 'questions')}, {counted(len(self.insights), 'insights')}; "
            f"{counted(self.left_out, 'records')} left out"
        )
        return "\n".join([head, *self.problems])

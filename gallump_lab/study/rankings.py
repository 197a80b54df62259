"""Every question's candidates under each retriever, in order, for any budget to be tried on; and their file."""

import contextlib
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from gallump_lab.brain.prices import price
from gallump_lab.config import Config, Recall
from gallump_lab.memory import recall
from gallump_lab.memory.records import ContextItem, not_embedded
from gallump_lab.memory.signals import SIGNALS
from gallump_lab.reading.text_files import check_readable, check_unpacked, counted
from gallump_lab.store import files
from gallump_lab.study.tally import Qrels
from gallump_lab.tokens import FACTORS, OFFLINE, family, learnt_factor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
else:  # pydantic reads the records' types, and arrays are stored beside what it writes
    Ints = Any


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """One question's WARM candidates under one retriever, in the order in which they are kept."""

    items: Ints
    """Passage ids."""
    scores: Ints
    """Millionths."""
    signals: Ints
    """(candidates, signals): what each of `SIGNALS` gave, in millionths."""


@dataclass(frozen=True, kw_only=True)
class RankedQuestion:
    """One question and what does not depend on a retriever."""

    question_id: int
    text: str
    kind: str
    conversation: str
    needs: Qrels
    hot: Sequence[ContextItem]
    cold: Sequence[ContextItem]


@dataclass(frozen=True, kw_only=True)
class Rankings:
    """Every question's candidates; `study.rank` makes it, `study.sweep` and `study.relevance` use it."""

    asked: Sequence[RankedQuestion]
    retrievers: Mapping[str, Recall]
    found: Mapping[str, Sequence[Ranking]]
    """By retriever, a ranking a question."""
    passages: Mapping[int, ContextItem]
    """Every passage that is a candidate somewhere, by its id."""
    config: Config
    """What was applied in the lab."""
    limits: Mapping[str, int]
    """Up to how many tokens hot, warm and cold can be swept."""
    factor: float
    """How many of the model's tokens one cl100k token is."""
    model: str = OFFLINE
    """Who answers, in whose tokens all is counted."""
    data_hash: str = ""
    """Of the snapshot."""
    unlabelled: int = 0
    """Questions without evidence, which were left out."""
    left: int = 0
    """Questions that were not ranked because of an interrupt."""
    later: int = 0
    """Questions that rest on a message which came after they were asked; that message is not asked of anyone."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """How many passages an embedding model had no code of at most, by its name."""

    def warm(self, retriever: str, place: int) -> list[ContextItem]:
        """Return one question's WARM candidates, ranked and scored."""
        found = self.found[retriever][place]
        return [
            replace(
                self.passages[item],
                rank=rank,
                score=score,
                signals={name: gained for name, gained in zip(SIGNALS, row, strict=True) if gained},
            )
            for rank, (item, score, row) in enumerate(
                zip(found.items.tolist(), found.scores.tolist(), found.signals.tolist(), strict=True), 1
            )
        ]

    def part(self, places: Iterable[int]) -> "Rankings":
        """Return the ranks of some of the questions, by their places in `asked`."""
        chosen = list(places)
        return replace(
            self,
            asked=[self.asked[place] for place in chosen],
            found={name: [found[place] for place in chosen] for name, found in self.found.items()},
        )

    @property
    def unit(self) -> str:
        """What tokens are counted here, in words."""
        return f"tokens of {self.model}"

    @property
    def usd(self) -> float:
        """What a token costs in a prompt, USD; NaN where the model's price is not known."""
        found = price(self.model, self.config.model.prices)
        return found.input / 1e6 if found else math.nan

    @property
    def conversations(self) -> list[str]:
        """Return each question's cluster."""
        return [each.conversation for each in self.asked]

    def __repr__(self) -> str:
        """Count what was ranked, and say in whose tokens."""
        asked, talks = counted(len(self.asked), "questions"), counted(len(set(self.conversations)), "conversations")
        names = f"{counted(len(self.retrievers), 'retrievers')}: {', '.join(self.retrievers)}"
        unit = f"Counted in {self.unit}, {self.factor:g} to a cl100k token."
        named = self.config.model.name
        if family(self.model) == "other" and self.factor == FACTORS["other"]:
            unit += " That is a guess, for nothing is known of this model: set Config.model.factors."
        if self.model == OFFLINE != named:
            takes = f"which takes about {learnt_factor(named, 0, 0, self.config.model.factors):g}"
            unit += f" With a key {named} would answer, {takes}: study.rank(..., model={named!r})."
        notes = {
            f"{self.unlabelled:,} questions without evidence were left out.": self.unlabelled,
            f"Interrupted: {self.left:,} questions are not ranked.": self.left,
            f"{self.later:,} rest on messages that came after they were asked; these are left out.": self.later,
        }
        return "\n".join(
            [
                f"Rankings: {asked} in {talks}, {names}",
                unit,
                *(words for words, number in notes.items() if number),
                *not_embedded(self.missing),
            ]
        )

    def save(self, path: str | Path) -> Path:
        """Write the ranks to one new file, whole or not at all; `Rankings.load` reads it.

        Raises
        ------
        FileExistsError
            If something stands at `path` already.
        """
        import numpy as np

        target = files.place(path)
        plain = _schema().dump_json(replace(self, found={}))
        arrays: dict[str, Any] = {"version": np.array(recall.VERSION), "plain": np.frombuffer(plain, np.uint8)}
        for number, rankings in enumerate(self.found.values()):
            arrays[f"ends{number}"] = np.cumsum([len(each.items) for each in rankings])
            for name in ("items", "scores", "signals"):
                arrays[f"{name}{number}"] = np.concatenate([getattr(each, name) for each in rankings])
        with files.fresh(target, "ranking") as draft, draft.open("wb") as file:
            np.savez_compressed(file, **arrays)
        return target

    @classmethod
    def load(cls, path: str | Path) -> "Rankings":
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is none of ours or too large, or its ranks were made by another version of recall.
        """
        import numpy as np

        path = Path(path)
        if path.exists():
            check_readable(path, ValueError)
            with contextlib.suppress(BadZipFile), ZipFile(path) as archive:
                check_unpacked(path, archive.infolist(), ValueError)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
                arrays = dict(found)
            version = str(arrays["version"])
            ranks = cls._read(arrays) if version == recall.VERSION else None
        except (EOFError, LookupError, MemoryError, TypeError, ValueError, BadZipFile, zlib.error) as error:
            msg = f"{path} holds no ranks, or not all of them ({type(error).__name__}); Rankings.save writes them."
            raise ValueError(msg) from error
        if ranks is None:
            msg = (
                f"{path} was ranked by another version of recall ({version!r:.60}; this is {recall.VERSION}). "
                "Rank again: study.rank(...)."
            )
            raise ValueError(msg)
        return ranks

    @classmethod
    def _read(cls, arrays: Mapping[str, Any]) -> "Rankings":
        """Return the ranks that a file's arrays state; whatever is odd in them raises something."""
        import numpy as np

        ranks: Rankings = _schema().validate_json(arrays["plain"].tobytes())
        found = {}
        for number, name in enumerate(ranks.retrievers):
            columns = {key: arrays[f"{key}{number}"] for key in ("items", "scores", "signals")}
            if not set(columns["items"].tolist()) <= ranks.passages.keys():
                msg = "rankings of other passages"
                raise ValueError(msg)
            parts = zip(*(np.split(each, arrays[f"ends{number}"][:-1]) for each in columns.values()), strict=True)
            found[name] = [Ranking(**dict(zip(columns, part, strict=True))) for part in parts]
            if len(found[name]) != len(ranks.asked):
                msg = "rankings of other questions"
                raise ValueError(msg)
        return replace(ranks, found=found)


def _schema() -> Any:
    """Return what turns ranks into JSON and back, all but the arrays, and checks each field."""
    from pydantic import TypeAdapter

    return TypeAdapter(Rankings)


def checked_ranks(ranks: object) -> None:
    """Check that a study was given ranks.

    Raises
    ------
    ValueError
        If it was given something else.
    """
    if not isinstance(ranks, Rankings):
        msg = f"ranks must be what study.rank(snapshot) gives, not {ranks!r}."
        raise ValueError(msg)  # noqa: TRY004 (every bad argument is a ValueError)

"""Every question's candidates under each retriever, in order, for any budget to be tried on; and their file."""

import contextlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from gallump_lab.config import Config, Recall
from gallump_lab.memory import recall
from gallump_lab.memory.records import Slot, not_embedded
from gallump_lab.memory.signals import SIGNALS
from gallump_lab.reading.files import readable, unpacked
from gallump_lab.store import files
from gallump_lab.study.evidence import Needs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """One question's WARM candidates under one retriever, in the order in which they are kept."""

    items: "Ints"
    """Passage ids."""
    scores: "Ints"
    """Millionths."""
    signals: "Ints"
    """(candidates, signals): what each of `SIGNALS` gave, in millionths."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question and what does not depend on a retriever."""

    question_id: int
    text: str
    kind: str
    conversation: str
    needs: Needs
    hot: Sequence[Slot]
    cold: Sequence[Slot]


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Every question's candidates; `study.rank` makes it, `study.sweep` and `study.relevance` use it."""

    asked: Sequence[Asked]
    retrievers: Mapping[str, Recall]
    found: Mapping[str, Sequence[Ranking]]
    """By retriever, a ranking a question."""
    passages: Mapping[int, Slot]
    """Every passage that is a candidate somewhere, by its id."""
    config: Config
    """What was applied in the lab."""
    limits: Mapping[str, int]
    """Up to how many of the model's tokens hot, warm and cold can be swept."""
    factor: float
    """The model's tokens per cl100k token."""
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

    def warm(self, retriever: str, place: int) -> list[Slot]:
        """Give one question's WARM candidates, ranked and scored."""
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

    def part(self, places: Iterable[int]) -> "Ranks":
        """Give the ranks of some of the questions, by their places in `asked`."""
        chosen = list(places)
        return replace(
            self,
            asked=[self.asked[place] for place in chosen],
            found={name: [found[place] for place in chosen] for name, found in self.found.items()},
        )

    @property
    def conversations(self) -> list[str]:
        """Give each question's cluster."""
        return [each.conversation for each in self.asked]

    def __repr__(self) -> str:
        """Count what was ranked."""
        counts = [(len(self.asked), "question"), (len(set(self.conversations)), "conversation")]
        asked, talks, others = (
            f"{number:,} {what}{'s' * (number != 1)}" for number, what in [*counts, (len(self.retrievers), "retriever")]
        )
        head = f"Ranks: {asked} in {talks}, {others}: {', '.join(self.retrievers)}"
        notes = [f"{self.unlabelled:,} questions without evidence were left out."] if self.unlabelled else []
        notes += [f"Interrupted: {self.left:,} questions are not ranked."] if self.left else []
        notes += (
            [f"{self.later:,} rest on messages that came after they were asked; these are left out."]
            if self.later
            else []
        )
        return "\n".join([head, *notes, *not_embedded(self.missing)])

    def save(self, path: str | Path) -> Path:
        """Write the ranks to one new file, whole or not at all; `Ranks.load` reads it.

        Raises
        ------
        FileExistsError
            If something stands at `path` already.
        """
        import numpy as np

        target = files.place(path)
        meta = {
            "version": recall.VERSION,
            "retrievers": {name: asdict(settings) for name, settings in self.retrievers.items()},
            "config": self.config.to_toml(),
            "limits": dict(self.limits),
            "factor": self.factor,
            "data_hash": self.data_hash,
            "unlabelled": self.unlabelled,
            "left": self.left,
            "later": self.later,
            "missing": dict(self.missing),
            "passages": [_plain(slot) for slot in self.passages.values()],
            "insights": [_plain(slot) for slot in {s.item_id: s for each in self.asked for s in each.cold}.values()],
            "asked": [
                {name: getattr(each, name) for name in ("question_id", "text", "kind", "conversation")}
                | {
                    "hot": [_plain(slot) for slot in each.hot],
                    "cold": [
                        [slot.item_id, slot.rank, slot.score, dict(slot.signals), slot.sources] for slot in each.cold
                    ],
                    "evidence": {key: [_plain(part) for part in parts] for key, parts in each.needs.evidence.items()},
                    "words": sorted(each.needs.words),
                    "cited": {insight: sorted(sources) for insight, sources in each.needs.cited.items()},
                }
                for each in self.asked
            ],
        }
        arrays: dict[str, Any] = {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}
        for number, rankings in enumerate(self.found.values()):
            arrays[f"ends{number}"] = np.cumsum([len(each.items) for each in rankings])
            for name in ("items", "scores", "signals"):
                arrays[f"{name}{number}"] = np.concatenate([getattr(each, name) for each in rankings])
        with files.fresh(target, "ranking") as draft, draft.open("wb") as file:
            np.savez_compressed(file, **arrays)
        return target

    @classmethod
    def load(cls, path: str | Path) -> "Ranks":
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
            readable(path, ValueError)
            with contextlib.suppress(BadZipFile), ZipFile(path) as archive:
                unpacked(path, archive.infolist(), ValueError)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
                arrays = dict(found)
            meta = json.loads(arrays["meta"].tobytes())
            version = meta["version"]
        except (KeyError, ValueError, EOFError, MemoryError, BadZipFile, zlib.error) as error:
            msg = f"{path} holds no ranks, or not all of them; Ranks.save writes them."
            raise ValueError(msg) from error
        if version != recall.VERSION:
            msg = (
                f"{path} was ranked by another version of recall ({version}; this is {recall.VERSION}). "
                "Rank again: study.rank(...)."
            )
            raise ValueError(msg)
        rankings = {}
        for number, name in enumerate(meta["retrievers"]):
            ends = arrays[f"ends{number}"][:-1]
            columns = {key: np.split(arrays[f"{key}{number}"], ends) for key in ("items", "scores", "signals")}
            rows = zip(*columns.values(), strict=True)
            rankings[name] = [Ranking(**dict(zip(columns, row, strict=True))) for row in rows]
        slots = [_slot(given) for given in meta["passages"]]
        insights = {slot.item_id: slot for slot in map(_slot, meta["insights"])}
        asked = []
        for given in meta["asked"]:
            needs = Needs(
                evidence={int(key): [_slot(part) for part in parts] for key, parts in given.pop("evidence").items()},
                words=frozenset(given.pop("words")),
                cited={int(insight): frozenset(sources) for insight, sources in given.pop("cited").items()},
            )
            hot = [_slot(slot) for slot in given.pop("hot")]
            cold = [
                replace(insights[item], rank=rank, score=score, signals=signals, sources=tuple(sources))
                for item, rank, score, signals, sources in given.pop("cold")
            ]
            asked.append(Asked(**given, hot=hot, cold=cold, needs=needs))
        return cls(
            asked=asked,
            retrievers={name: Recall(**settings) for name, settings in meta["retrievers"].items()},
            found=rankings,
            passages={slot.item_id: slot for slot in slots},
            config=Config.from_toml(meta["config"]),
            **{
                name: meta[name] for name in ("limits", "factor", "data_hash", "unlabelled", "left", "later", "missing")
            },
        )


_PACKING = ("kept", "reason")


def _plain(slot: Slot) -> dict[str, Any]:
    """Give a slot as JSON; what packing says of it is not part of a rank."""
    given = {each.name: getattr(slot, each.name) for each in fields(slot) if each.name not in _PACKING}
    return given | {"created_at": slot.created_at and slot.created_at.isoformat()}


def _slot(given: dict[str, Any]) -> Slot:
    at = given["created_at"]
    times = {"created_at": at and datetime.fromisoformat(at)}
    return Slot(**given | times | {"sources": tuple(given["sources"])})

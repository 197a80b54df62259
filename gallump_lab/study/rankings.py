"""Every question's candidates under each retriever, in order, for any budget to be tried on; and their file."""

import contextlib
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from gallump_lab.brain.prices import price
from gallump_lab.config import Config, Recall
from gallump_lab.memory import recall
from gallump_lab.memory.records import ContextItem, not_embedded
from gallump_lab.memory.signals import SIGNALS
from gallump_lab.reading.text_files import check_readable, check_unpacked, parse_json
from gallump_lab.store import files
from gallump_lab.study.tally import Qrels
from gallump_lab.tokens import FACTORS, OFFLINE, learnt_factor

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
    needs: Qrels
    hot: Sequence[ContextItem]
    cold: Sequence[ContextItem]


@dataclass(frozen=True, kw_only=True)
class Rankings:
    """Every question's candidates; `study.rank` makes it, `study.sweep` and `study.relevance` use it."""

    asked: Sequence[Asked]
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
    """How many of the tokens that are counted here one cl100k token is; `unit` says whose they are."""
    model: str = OFFLINE
    """Who answers, in whose tokens the lab's budgets are."""
    own_factor: float = FACTORS["offline"]
    """How many of its tokens one cl100k token is, as the lab counts."""
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
    def own(self) -> bool:
        """Whether tokens are counted as the lab counts them, so that what is applied there can be compared."""
        return self.factor == self.own_factor

    def check_own(self) -> None:
        """Refuse to mix what is applied, which is in the lab's own tokens, with other ones.

        Raises
        ------
        ValueError
            If other tokens are counted here.
        """
        if not self.own:
            msg = (
                f"ranks are counted in {self.unit} and what is applied in tokens of {self.model}: the two cannot be "
                "mixed. Rank without factor=..., or give budgets of hot, warm and cold."
            )
            raise ValueError(msg)

    @property
    def unit(self) -> str:
        """What tokens are counted here, in words."""
        if self.own:
            return f"tokens of {self.model}"
        return "cl100k tokens" if self.factor == 1 else f"tokens at {self.factor:g} to a cl100k token"

    @property
    def usd(self) -> float:
        """What a token costs in a prompt, USD; NaN where the model's price is not known."""
        found = price(self.model, self.config.model.prices)
        return found.input / 1e6 * self.own_factor / self.factor if found else math.nan

    @property
    def conversations(self) -> list[str]:
        """Return each question's cluster."""
        return [each.conversation for each in self.asked]

    def __repr__(self) -> str:
        """Count what was ranked."""
        counts = [(len(self.asked), "question"), (len(set(self.conversations)), "conversation")]
        asked, talks, others = (
            f"{number:,} {what}{'s' * (number != 1)}" for number, what in [*counts, (len(self.retrievers), "retriever")]
        )
        head = f"Rankings: {asked} in {talks}, {others}: {', '.join(self.retrievers)}"
        notes = [self._counted()]
        notes += [f"{self.unlabelled:,} questions without evidence were left out."] if self.unlabelled else []
        notes += [f"Interrupted: {self.left:,} questions are not ranked."] if self.left else []
        notes += (
            [f"{self.later:,} rest on messages that came after they were asked; these are left out."]
            if self.later
            else []
        )
        return "\n".join([head, *notes, *not_embedded(self.missing)])

    def _counted(self) -> str:
        """Return what tokens are counted, and how many other ones they would be."""
        if not self.own:
            return f"Counted in {self.unit}; {self.model} takes {self.own_factor:g} to a cl100k token."
        said = f"Counted in {self.unit}, {self.factor:g} to a cl100k token."
        named, given = self.config.model.name, self.config.model.factors
        if self.model != OFFLINE or named == OFFLINE:
            return said
        return (
            f"{said} With a key {named} would answer, which takes about {learnt_factor(named, 0, 0, given):g}: "
            f"study.rank(..., model={named!r})."
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
        meta = {
            "version": recall.VERSION,
            "retrievers": {name: asdict(settings) for name, settings in self.retrievers.items()},
            "config": self.config.to_toml(),
            **{name: getattr(self, name) for name in _AS_IT_IS},
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
            meta = parse_json(arrays["meta"].tobytes().decode())
            version = meta["version"]
            ranks = cls._read(arrays, meta) if version == recall.VERSION else None
        except (
            AttributeError,
            EOFError,
            LookupError,
            MemoryError,
            TypeError,
            ValueError,
            BadZipFile,
            zlib.error,
        ) as error:
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
    def _read(cls, arrays: "Mapping[str, Ints]", meta: Mapping[str, Any]) -> "Rankings":
        """Return the ranks that a file's arrays and words state; whatever is odd in them raises something."""
        import numpy as np

        rankings, ranked = {}, set[int]()
        for number, name in enumerate(meta["retrievers"]):
            ends = arrays[f"ends{number}"][:-1]
            columns = {key: np.split(arrays[f"{key}{number}"], ends) for key in ("items", "scores", "signals")}
            rows = zip(*columns.values(), strict=True)
            ranked.update(arrays[f"items{number}"].tolist())
            rankings[name] = [Ranking(**dict(zip(columns, row, strict=True))) for row in rows]
        passages = {slot.item_id: slot for slot in map(_slot, meta["passages"])}
        if not ranked <= passages.keys() or any(len(one) != len(meta["asked"]) for one in rankings.values()):
            msg = "rankings of other questions or passages"
            raise ValueError(msg)
        insights = {slot.item_id: slot for slot in map(_slot, meta["insights"])}
        asked = []
        for given in meta["asked"]:
            needs = Qrels(
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
            passages=passages,
            config=Config.from_toml(meta["config"]),
            limits=dict(meta["limits"]),
            factor=float(meta["factor"]),
            model=meta["model"],
            own_factor=meta["own_factor"],
            data_hash=meta["data_hash"],
            missing=dict(meta["missing"]),
            **{name: int(meta[name]) for name in ("unlabelled", "left", "later")},
        )


_AS_IT_IS = "limits factor model own_factor data_hash unlabelled left later missing".split()
"""What stands in a file as it is."""
_PACKING = ("kept", "reason")


def _plain(slot: ContextItem) -> dict[str, Any]:
    """Return a slot as JSON; what packing says of it is not part of a rank."""
    given = {each.name: getattr(slot, each.name) for each in fields(slot) if each.name not in _PACKING}
    return given | {"created_at": slot.created_at and slot.created_at.isoformat()}


def _slot(given: dict[str, Any]) -> ContextItem:
    at = given["created_at"]
    times = {"created_at": at and datetime.fromisoformat(at)}
    return ContextItem(**given | times | {"sources": tuple(given["sources"])})

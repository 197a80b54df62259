"""COLD: insights distilled from past sessions, and which of them a prompt gets."""

import operator
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

from gallump_lab import tokens
from gallump_lab.market.symbols import validate_symbol
from gallump_lab.memory.records import Kind, Moment, Slot
from gallump_lab.memory.text import one_line, storable
from gallump_lab.store import Catalogue, Store, query, times

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

MAX_CHARACTERS = 2_000
MILLION = 1_000_000
CANDIDATES = 200
"""So many insights are ordered; no budget holds more."""

_ALIVE = """
select insight_id, kind, symbol, text, valid_from, known_from from insights
where exists (from insight_events e where e.insight_id = insights.insight_id and event = 'added' and event_id <= $seen
              and e.known_from <= coalesce($as_of::timestamp, e.known_from))
  and not exists (from insight_events e where e.insight_id = insights.insight_id and event = 'superseded'
                  and event_id <= $seen and e.known_from <= coalesce($as_of::timestamp, e.known_from))
order by nullif(list_position($pinned, insight_id), 0) nulls last,
         coalesce(list_contains($symbols, symbol), false) desc, known_from desc, insight_id desc limit $limit
"""


class Insights:
    """The insights of a lab: add, supersede, look at them.

    Parameters
    ----------
    store : Store
        The lab file.
    clock : callable
        Tells the time, UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = times.now) -> None:
        self._store, self._clock = store, clock

    def add(  # noqa: PLR0913 (an insight's fields)
        self,
        text: str,
        *,
        kind: Kind = "fact",
        symbol: str | None = None,
        sources: Sequence[int] = (),
        valid_from: datetime | None = None,
        known_from: datetime | None = None,
        distiller: str = "analyst",
    ) -> int:
        """Store an insight; the next prompt may hold it.

        Parameters
        ----------
        text : str
            One statement, at most 2,000 characters.
        kind : {"thesis", "level", "position", "preference", "lesson", "fact"}
        symbol : str, optional
            What it is about.
        sources : sequence of int
            Ids of the messages that support it.
        valid_from, known_from : datetime, optional
            Since when it holds, and when it was learnt, with a time zone; the clock's by default.
        distiller : str
            Who made it.

        Returns
        -------
        int
            The insight's id.

        Raises
        ------
        ValueError
            If an argument cannot be used, or a source is no message of this lab.
        """
        with self._store.write() as con:
            return self._add(
                con,
                text,
                kind=kind,
                symbol=symbol,
                sources=sources,
                valid_from=valid_from,
                known_from=known_from,
                distiller=distiller,
            )

    def supersede(  # noqa: PLR0913 (an insight's fields)
        self,
        insight_id: int,
        text: str,
        *,
        kind: Kind | None = None,
        symbol: str | None = None,
        sources: Sequence[int] = (),
        valid_from: datetime | None = None,
        known_from: datetime | None = None,
        distiller: str = "analyst",
    ) -> int:
        """Put a newer insight in the place of an older one, which stays in the history.

        Parameters
        ----------
        insight_id : int
            The older insight; it must not have been superseded already.
        text, kind, symbol, sources, valid_from, known_from, distiller
            As in `add`; kind and symbol are the older one's by default.

        Returns
        -------
        int
            The newer insight's id.

        Raises
        ------
        ValueError
            As `add`, or if the older insight is unknown or superseded.
        """
        with self._store.write() as con:
            old = con.execute(
                "select kind, symbol, (select any_value(superseded_by) from insight_events e "
                "where e.insight_id = i.insight_id) from insights i where insight_id = ?",
                [insight_id],
            ).fetchone()
            if old is None:
                msg = f"insight_id {insight_id!r} is not in this lab; lab.insights.frame lists them."
                raise ValueError(msg)
            if old[2] is not None:
                msg = f"insight_id {insight_id} was superseded by {old[2]} already; supersede that one."
                raise ValueError(msg)
            new = self._add(
                con,
                text,
                kind=kind or old[0],
                symbol=symbol or old[1],
                sources=sources,
                valid_from=valid_from,
                known_from=known_from,
                distiller=distiller,
            )
            self.replaced(con, insight_id, new)
        return new

    def replaced(self, con: "DuckDBPyConnection", old: int, new: int) -> None:
        """Record, inside the caller's transaction, that one insight superseded another; once is enough."""
        con.execute(
            "insert into insight_events "
            "select nextval('insight_event_ids'), $old, 'superseded', $new, known_from, $now from insights "
            "where insight_id = $new and not exists "
            "(from insight_events where insight_id = $old and event = 'superseded')",
            {"old": old, "new": new, "now": times.naive(self._clock())},
        )

    def once(  # noqa: PLR0913 (an insight's fields)
        self,
        con: "DuckDBPyConnection",
        text: str,
        *,
        kind: str,
        symbol: str | None,
        sources: Sequence[int],
        valid_from: datetime | None,
        known_from: datetime,
    ) -> tuple[int, bool]:
        """Store an imported insight inside the caller's transaction unless an equal one is there; say if it is new.

        Raises
        ------
        ValueError
            As `add`.
        """
        found = con.execute(
            "select insight_id from insights where text = ? and kind = ? and symbol is not distinct from ? "
            "and known_from = ? and valid_from = ?",
            [one_line(storable(text)), kind, symbol, times.naive(known_from), times.naive(valid_from or known_from)],
        ).fetchone()
        if found:
            return int(found[0]), False
        made = self._add(
            con,
            text,
            kind=kind,
            symbol=symbol,
            sources=sources,
            valid_from=valid_from,
            known_from=known_from,
            distiller="import",
        )
        return made, True

    def _add(  # noqa: PLR0913 (an insight's fields)
        self,
        con: "DuckDBPyConnection",
        text: str,
        *,
        kind: str,
        symbol: str | None,
        sources: Sequence[int],
        valid_from: datetime | None,
        known_from: datetime | None,
        distiller: str,
    ) -> int:
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_CHARACTERS:
            shown = f"{len(text):,} characters" if isinstance(text, str) and text.strip() else repr(text)
            msg = f"text must be one statement of at most {MAX_CHARACTERS:,} characters, not {shown}."
            raise ValueError(msg)
        if kind not in get_args(Kind):
            msg = f"kind must be one of {', '.join(get_args(Kind))}, not {kind!r}."
            raise ValueError(msg)
        try:
            wanted = list(dict.fromkeys(map(operator.index, sources)))
        except TypeError as error:
            msg = f"sources must be message ids (whole numbers), not {sources!r}."
            raise ValueError(msg) from error
        if not isinstance(distiller, str) or not distiller:
            msg = f"distiller must be a name, such as 'analyst', not {distiller!r}."
            raise ValueError(msg)
        known_ids = con.execute(
            "select message_id from messages where message_id in (select unnest(?))", [wanted]
        ).fetchall()
        strangers = sorted(set(wanted) - {i for (i,) in known_ids})
        if strangers:
            msg = f"sources {strangers} are no messages of this lab; lab.messages lists their ids."
            raise ValueError(msg)
        now = times.naive(self._clock())
        learnt = now if known_from is None else times.naive(known_from, "known_from")
        if learnt > now + timedelta(minutes=1):
            msg = f"known_from {learnt} UTC lies in the future (it is {now}). Check its year and time zone."
            raise ValueError(msg)
        holds = learnt if valid_from is None else times.naive(valid_from, "valid_from")
        (insight_id,) = con.execute("select nextval('insight_ids')").fetchone() or (0,)
        con.execute(
            "insert into insights values (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                insight_id,
                kind,
                None if symbol is None else validate_symbol(symbol),
                one_line(storable(text)),
                wanted,
                holds,
                learnt,
                distiller,
            ],
        )
        con.execute(
            "insert into insight_events values (nextval('insight_event_ids'), ?, 'added', null, ?, ?)",
            [insight_id, learnt, now],
        )
        return int(insight_id)

    @property
    def frame(self) -> "pd.DataFrame":
        """Every insight, oldest first, with `superseded_by` (its id, or missing)."""
        return insight_frame(self._store)

    def __len__(self) -> int:
        """Count the insights, superseded ones included."""
        return len(self.frame)

    def __repr__(self) -> str:
        """Show the frame."""
        return repr(self.frame)

    def _repr_html_(self) -> str:
        return str(self.frame.to_html(notebook=True))


def insight_frame(catalogue: Catalogue) -> "pd.DataFrame":
    """Give every insight of a lab or snapshot as a DataFrame."""
    with catalogue.read() as con:
        return query.table(
            con,
            "select i.*, (select any_value(superseded_by) from insight_events e where e.insight_id = i.insight_id) "
            "as superseded_by from insights i order by insight_id",
        )


def cited(con: "DuckDBPyConnection") -> dict[int, frozenset[int]]:
    """Give the messages that each insight rests on, by insight id."""
    rows = con.execute("select insight_id, sources from insights").fetchall()
    return {insight_id: frozenset(sources) for insight_id, sources in rows}


def candidates(  # noqa: PLR0913 (a moment's givens)
    con: "DuckDBPyConnection",
    symbols: Sequence[str],
    moment: Moment,
    factor: float,
    *,
    plain: bool,
    pinned: Sequence[int] = (),
) -> list[Slot]:
    """Order the insights that were alive at the moment: those about the asked symbols first, newer before older.

    Parameters
    ----------
    symbols : sequence of str
        What the question is about.
    moment : Moment
        Insights and their events up to it.
    factor : float
        The model's tokens per cl100k token.
    plain : bool
        Give each as its text alone, as the guide does, without symbol and date.
    pinned : sequence of int
        Insights that stand first, in this order.
    """
    as_of = moment.as_of and times.naive(moment.as_of)
    given: dict[str, Any] = {"seen": moment.seen_insight, "as_of": as_of, "symbols": list(symbols), "limit": CANDIDATES}
    given["pinned"] = list(pinned)
    ranked = con.execute(_ALIVE, given).fetchall()
    lines = [text if plain else f"- {_label(symbol, valid)}: {text}" for _, _, symbol, text, valid, _ in ranked]
    costs = [_cost(line) for line in lines]
    signals = [
        {"symbol": MILLION * (row[2] in symbols)} | ({"pin": MILLION} if row[0] in pinned else {}) for row in ranked
    ]
    return [
        Slot(
            tier="cold",
            kind="insight",
            item_id=row[0],
            message_id=None,
            rank=rank,
            text=row[3],
            line=line,
            tokens=tokens.scaled(cost, factor),
            score=sum(gained.values()),
            signals=gained,
            symbol=row[2],
            created_at=times.aware(row[4]),
        )
        for rank, (row, line, cost, gained) in enumerate(zip(ranked, lines, costs, signals, strict=True), 1)
    ]


@lru_cache(maxsize=10_000)
def _cost(line: str) -> int:
    return tokens.count(f"{line}\n")


def _label(symbol: str | None, valid: datetime) -> str:
    return f"{symbol}, since {valid:%Y-%m-%d}" if symbol else f"since {valid:%Y-%m-%d}"

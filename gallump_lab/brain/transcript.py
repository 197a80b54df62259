"""Reading turns back: the transcript of a lab, and what a past turn carried."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from gallump_lab.config import Budget, Config
from gallump_lab.memory.records import ContextItem
from gallump_lab.store import Catalogue, times

_SAID = """
with said as (
    from messages where message_id < coalesce($before::bigint, message_id + 1)
    and session_id = coalesce($session, session_id) order by message_id desc limit $limit
),
newest as (
    from (from turns qualify row_number() over (partition by question_id order by turn_id desc) = 1)
    select question_id, turn_id where reply_id is null
)
select s.message_id, s.session_id, s.role, s.text, s.created_at, s.symbol, s.state,
       t.turn_id, t.model, t.state, t.fault, t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens,
       t.cost_usd, t.latency, t.sections::text, t.used::text, t.recommendations::text, t.dropped::text, c.toml,
       t.question_id, s.speaker
from said s
left join newest n on s.role = 'user' and n.question_id = s.message_id
left join turns t on (s.role = 'assistant' and t.reply_id = s.message_id) or t.turn_id = n.turn_id
left join configs c using (config_id)
order by s.message_id
"""
_DECIDED = """
select turn_id, position, verdict, note, decided_at from decisions
where turn_id in (select unnest(?)) order by decision_id
"""


def transcript(
    catalogue: Catalogue, limit: int = 200, before: int | None = None, session_id: str | None = None
) -> list[dict[str, Any]]:
    """Return the newest messages of a lab, oldest first, each reply with its turn.

    Parameters
    ----------
    limit : int
        At most so many messages.
    before : int, optional
        Only messages with a smaller id.
    session_id : str, optional
        Only messages of this session.

    Returns
    -------
    list of dict
        message_id, session_id, role, text, created_at (UTC), symbol, state, speaker and turn: None, or a dict of
        turn_id, question_id, model, state, fault, input_tokens (the whole prompt's), output_tokens, cost_usd, latency
        (seconds), tokens (estimated, by section), used (tokens of hot, warm and cold), budget (these, window and
        reply), recommendations, dropped and decisions (by position: verdict, note, decided_at). A turn without a reply
        stands on its question, the newest where it was tried again.

    Raises
    ------
    ValueError
        If `limit` is not a positive whole number.
    """
    if not isinstance(limit, int) or limit < 1:
        msg = f"limit must be a whole number of at least 1, not {limit!r}."
        raise ValueError(msg)
    with catalogue.read() as con:
        rows = con.execute(_SAID, {"before": before, "limit": limit, "session": session_id}).fetchall()
        turns = [row[7] for row in rows if row[7] is not None]
        decided = con.execute(_DECIDED, [turns]).fetchall() if turns else []
    found = [_entry(row) for row in rows]
    decisions: dict[int, dict[int, dict[str, Any]]] = {}
    for turn_id, position, verdict, note, at in decided:
        decision = {"verdict": verdict, "note": note, "decided_at": times.aware(at)}
        decisions.setdefault(turn_id, {})[position] = decision
    for entry in found:
        if entry["turn"]:
            entry["turn"]["decisions"] = decisions.get(entry["turn"]["turn_id"], {})
    return found


@lru_cache(maxsize=64)
def _budget(toml: str) -> Budget:
    return Config.from_toml(toml).budget


def _entry(row: Sequence[Any]) -> dict[str, Any]:
    names = ("message_id", "session_id", "role", "text", "created_at", "symbol", "state")
    found = dict(zip(names, row[:7], strict=True))
    found |= {"created_at": times.aware(row[4]), "speaker": row[-1], "turn": None}
    if row[7] is not None:
        turn_id, model, state, fault, fresh, output, read, written, cost, latency = row[7:17]
        sections, used, recommendations, dropped, toml, question_id = row[17:-1]
        budget = _budget(toml)
        found["turn"] = {
            "turn_id": turn_id,
            "question_id": question_id,
            "model": model,
            "state": state,
            "fault": fault,
            "input_tokens": None if fresh is None else fresh + (read or 0) + (written or 0),
            "output_tokens": output,
            "cost_usd": cost,
            "latency": latency,
            "tokens": json.loads(sections),
            "used": json.loads(used),
            "budget": {name: getattr(budget, name) for name in ("hot", "warm", "cold", "window", "reply")},
            "recommendations": json.loads(recommendations),
            "dropped": json.loads(dropped),
        }
    return found


_SLOTS = """
select s.tier, s.kind, s.item_id, s.message_id, s.rank, s.tokens, s.score, s.kept, s.reason,
       m.role, coalesce(m.symbol, i.symbol), m.session_id, s.signals::text, coalesce(m.created_at, i.valid_from),
       coalesce(i.text, if(s.kind = 'passage', m.text[p.start + 1 : p.stop], m.text), '')
from slots s
left join messages m on m.message_id = s.message_id
left join passages p on s.kind = 'passage' and p.passage_id = s.item_id
left join insights i on s.kind = 'insight' and i.insight_id = s.item_id
where s.turn_id = ? order by array_position(['hot', 'warm', 'cold'], s.tier), s.rank
"""


_FIELDS = (
    *("tier", "kind", "item_id", "message_id", "rank", "tokens", "score", "kept", "reason"),
    *("role", "symbol", "session_id"),
)


def slots(catalogue: Catalogue, turn_id: int) -> list[ContextItem]:
    """Return what a past turn carried and what it passed over; `line` is the text alone, as the prompt is not kept.

    Raises
    ------
    ValueError
        If there is no such turn.
    """
    with catalogue.read() as con:
        rows = con.execute(_SLOTS, [turn_id]).fetchall()
        if not rows and not con.execute("select 1 from turns where turn_id = ?", [turn_id]).fetchone():
            msg = f"turn_id {turn_id!r} is not in this lab; lab.turns lists them."
            raise ValueError(msg)
    return [
        ContextItem(
            **dict(zip(_FIELDS, row[:-3], strict=True)),
            signals=json.loads(row[-3]),
            created_at=row[-2] and times.aware(row[-2]),
            text=row[-1],
            line=row[-1],
        )
        for row in rows
    ]

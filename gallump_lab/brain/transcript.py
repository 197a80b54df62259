"""Reading turns back: the transcript of a lab, and what a past turn carried."""

import json
from functools import lru_cache
from typing import Any

from gallump_lab.config import Config
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
select s.message_id, s.session_id, s.role, s.text, s.created_at, s.symbol, s.state, s.speaker,
       if(t.turn_id is null, null, {
           turn_id: t.turn_id, question_id: t.question_id, model: t.model, state: t.state, fault: t.fault,
           input_tokens: t.input_tokens + coalesce(t.cache_read_tokens, 0) + coalesce(t.cache_write_tokens, 0),
           output_tokens: t.output_tokens, cost_usd: t.cost_usd, latency: t.latency, tokens: t.sections::text,
           used: t.used::text, budget: c.toml, recommendations: t.recommendations::text, dropped: t.dropped::text
       }) as turn
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
        said = con.execute(_SAID, {"before": before, "limit": limit, "session": session_id})
        names = [column[0] for column in said.description]
        found = [dict(zip(names, row, strict=True)) for row in said.fetchall()]
        turns = {entry["turn"]["turn_id"]: entry["turn"] for entry in found if entry["turn"]}
        decided = con.execute(_DECIDED, [list(turns)]).fetchall() if turns else []
    for entry in found:
        entry["created_at"] = times.aware(entry["created_at"])
    for turn in turns.values():
        turn |= {name: json.loads(turn[name]) for name in ("tokens", "used", "recommendations", "dropped")}
        turn |= {"budget": _budget(turn["budget"]), "decisions": {}}
    for turn_id, position, verdict, note, at in decided:
        decision = {"verdict": verdict, "note": note, "decided_at": times.aware(at)}
        turns[turn_id]["decisions"][position] = decision
    return found


@lru_cache(maxsize=64)
def _budget(toml: str) -> dict[str, int]:
    budget = Config.from_toml(toml).budget
    return {name: getattr(budget, name) for name in ("hot", "warm", "cold", "window", "reply")}


_SLOTS = """
select s.tier, s.kind, s.item_id, s.message_id, s.rank, s.tokens, s.score, s.kept, s.reason, m.role,
       coalesce(m.symbol, i.symbol) as symbol, m.session_id, s.signals::text as signals,
       coalesce(m.created_at, i.valid_from) as created_at,
       coalesce(i.text, if(s.kind = 'passage', m.text[p.start + 1 : p.stop], m.text), '') as text
from slots s
left join messages m on m.message_id = s.message_id
left join passages p on s.kind = 'passage' and p.passage_id = s.item_id
left join insights i on s.kind = 'insight' and i.insight_id = s.item_id
where s.turn_id = ? order by array_position(['hot', 'warm', 'cold'], s.tier), s.rank
"""


def slots(catalogue: Catalogue, turn_id: int) -> list[ContextItem]:
    """Return what a past turn carried and what it passed over; `line` is the text alone, as the prompt is not kept.

    Raises
    ------
    ValueError
        If there is no such turn.
    """
    with catalogue.read() as con:
        items = con.execute(_SLOTS, [turn_id])
        names = [column[0] for column in items.description]
        found = [dict(zip(names, row, strict=True)) for row in items.fetchall()]
        if not found and not con.execute("select 1 from turns where turn_id = ?", [turn_id]).fetchone():
            msg = f"turn_id {turn_id!r} is not in this lab; lab.turns lists them."
            raise ValueError(msg)
    for item in found:
        item |= {"signals": json.loads(item["signals"]), "line": item["text"]}
        item["created_at"] = item["created_at"] and times.aware(item["created_at"])
    return [ContextItem(**item) for item in found]

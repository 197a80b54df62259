"""The record of turns, read: messages with their turns, what a turn carried, the notes of its reply."""

import json
from typing import TYPE_CHECKING, Any

from gallump_lab.brain import citations
from gallump_lab.brain.models import saved_usd, thinking_usd
from gallump_lab.config import Config
from gallump_lab.market.market_context import MarketContext
from gallump_lab.memory.records import ContextItem
from gallump_lab.store import Catalogue, runs, times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

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
           citations: t.citations::text,
           turn_id: t.turn_id, question_id: t.question_id, model: coalesce(t.answered, t.model), asked: t.model,
           state: t.state, stop_reason: t.stop_reason, fault: t.fault, effort: t.sent->>'effort',
           max_tokens: (t.sent->>'max_tokens')::int, thinking: t.thinking, thinking_tokens: t.thinking_tokens,
           cache_read_tokens: t.cache_read_tokens, missed: t.sent->>'missed',
           input_tokens: t.input_tokens + coalesce(t.cache_read_tokens, 0) + coalesce(t.cache_write_tokens, 0),
           output_tokens: t.output_tokens, cost_usd: t.cost_usd, latency: t.latency, tokens: t.sections::text,
           used: t.used::text, budget: c.toml, recommendations: t.recommendations::text, dropped: t.dropped::text,
           rewritten: t.rewritten,
           market: if(json_array_length(t.recommendations) > 0,
                      json_object('quotes', t.market->'quotes', 'at', t.market->'at'), null)::text
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
        turn_id, question_id, model (who answered), asked (who was asked), state, stop_reason, fault, effort, max_tokens
        (thinking included), thinking (seconds), thinking_tokens, thinking_usd (of cost_usd), cache_read_tokens,
        saved_usd (by these), missed (why the cache was), input_tokens (the whole prompt's), output_tokens, cost_usd,
        latency (seconds), citations (its notes), tokens (estimated, by section), used (tokens of hot, warm and cold),
        budget (these, window and reply), recommendations, market (the context that these were made on: its quotes and
        time; None without any), dropped, rewritten (what recall looked for) and decisions (by position: verdict, note,
        decided_at). A turn without a reply stands on its question, the newest where it was tried again.
    """
    with catalogue.read() as con:
        found = _rows(con, _SAID, {"before": before, "limit": limit, "session": session_id})
        turns = {entry["turn"]["turn_id"]: entry["turn"] for entry in found if entry["turn"]}
        decided = con.execute(_DECIDED, [list(turns)]).fetchall() if turns else []
    for entry in found:
        entry["created_at"] = times.aware(entry["created_at"])
    for turn in turns.values():
        turn |= {name: json.loads(turn[name]) for name in ("tokens", "used", "recommendations", "dropped")}
        config = runs.read(turn["budget"])
        turn |= {"thinking_usd": thinking_usd(turn, config.model), "saved_usd": saved_usd(turn, config.model)}
        turn |= {"budget": _budget(config), "decisions": {}}
        turn["market"] = turn["market"] and MarketContext.from_dict(json.loads(turn["market"]))
        noted = json.loads(turn["citations"] or "[]")
        turn["citations"] = citations.again(noted, _items(catalogue, turn["turn_id"]) if noted else {})
    for turn_id, position, verdict, note, at in decided:
        decision = {"verdict": verdict, "note": note, "decided_at": times.aware(at)}
        turns[turn_id]["decisions"][position] = decision
    return found


def _rows(con: "DuckDBPyConnection", sql: str, given: Any) -> list[dict[str, Any]]:
    found = con.execute(sql, given)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _items(catalogue: Catalogue, turn_id: int) -> dict[tuple[str, int], ContextItem]:
    return {(slot.kind, slot.item_id): slot for slot in slots(catalogue, turn_id) if slot.text}


def _budget(config: Config) -> dict[str, int]:
    return {name: getattr(config.budget, name) for name in ("hot", "warm", "cold", "window", "reply")}


_SLOTS = """
select s.tier, s.kind, s.item_id, s.message_id, s.rank, s.tokens, s.score, s.kept, s.reason, s.outdated,
       s.cited, s.unconfirmed,
       m.role, coalesce(m.symbol, i.symbol) as symbol, m.session_id, s.signals::text as signals,
       coalesce(m.created_at, i.valid_from) as created_at,
       coalesce(i.text, if(s.kind = 'passage', m.text[p.start + 1 : p.stop], m.text), '') as text
from slots s
left join messages m on m.message_id = s.message_id
left join passages p on s.kind = 'passage' and p.passage_id = s.item_id
left join insights i on s.kind = 'insight' and i.insight_id = s.item_id
where s.turn_id = ? order by array_position(['hot', 'warm', 'cold'], s.tier), s.rank
"""


def noted(catalogue: Catalogue, session_id: str) -> dict[int, str]:
    """Return the texts of a session's replies that cite, with their notes, by message id."""
    with catalogue.read() as con:
        found = con.execute(
            "select reply_id, text, turn_id, citations::text from turns t join messages m on m.message_id = t.reply_id "
            "where t.session_id = ? and citations is not null",
            [session_id],
        ).fetchall()
    return {
        reply_id: citations.noted(text, citations.again(json.loads(given), _items(catalogue, turn_id)))
        for reply_id, text, turn_id, given in found
    }


def slots(catalogue: Catalogue, turn_id: int) -> list[ContextItem]:
    """Return what a past turn carried and what it passed over; `line` is the text alone, as the prompt is not kept.

    Raises
    ------
    ValueError
        If there is no such turn.
    """
    with catalogue.read() as con:
        found = _rows(con, _SLOTS, [turn_id])
        if not found and not con.execute("select 1 from turns where turn_id = ?", [turn_id]).fetchone():
            msg = f"turn_id {turn_id!r} is not in this lab; lab.turns lists them."
            raise ValueError(msg)
    for item in found:
        item |= {"signals": json.loads(item["signals"]), "line": item["text"]}
        item["created_at"] = item["created_at"] and times.aware(item["created_at"])
    return [ContextItem(**item) for item in found]

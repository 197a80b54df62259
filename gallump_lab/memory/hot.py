"""HOT's candidates: the current session's newest messages, newest first, each from its beginning on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gallump_lab import tokens
from gallump_lab.config import Budget
from gallump_lab.memory.records import AsOf, ContextItem, Message
from gallump_lab.memory.text import ending, indented
from gallump_lab.store import times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MESSAGE = ("message_id", "session_id", "role", "text", "symbol", "created_at", "state", "speaker")
LEAST = 40
"""So many of a session's newest messages are candidates at least, and as many more as the budget may hold."""


def messages(
    con: "DuckDBPyConnection", session_id: str | None, moment: AsOf, *, most: int
) -> tuple[list[Message], int]:
    """Return the session's newest messages up to the moment, oldest first, and the number of all of them.

    `most` is in cl100k tokens: what lies behind more than that is left out.
    """
    as_of = moment.as_of and times.naive(moment.as_of)
    rows = con.execute(
        "select message_id, session_id, role, text, symbol, created_at, state, speaker, count(*) over () from messages "
        "where session_id = ? and message_id <= ? and created_at <= coalesce(?::timestamp, created_at) "
        "window newer as (order by message_id desc) "
        "qualify row_number() over newer <= ? or sum(tokens) over newer - tokens <= ? order by message_id desc",
        [session_id, moment.seen_message, as_of, LEAST, most],
    ).fetchall()
    said = [
        Message(**dict(zip(_MESSAGE, row, strict=False)) | {"created_at": times.aware(row[5], moment.at.tzinfo)})
        for row in reversed(rows)
    ]
    return said, rows[0][-1] if rows else 0


def candidates(con: "DuckDBPyConnection", said: Sequence[Message], budget: Budget, factor: float) -> list[ContextItem]:
    """Order the parts of a session's messages: newest message first, within one from its first passage on.

    A message that does not fit whole is so shown up to the sentence where the budget ends. With `hot_characters` a
    message is one part, cut to so many characters, as the guide cuts it.
    """
    said = said[-budget.hot_messages :] if budget.hot_messages else said
    if budget.hot_characters:
        return _cut(said, budget.hot_characters, factor)
    by_id = {message.message_id: message for message in said}
    rows = con.execute(
        "select message_id, passage_id, start, stop, tokens from passages "
        "where message_id in (select unnest(?)) order by message_id desc, passage_id",
        [list(by_id)],
    ).fetchall()
    label = {role: tokens.count(f"{role.capitalize()}:") for role in ("user", "assistant")}
    slots: list[ContextItem] = []
    for rank, (message_id, passage_id, start, stop, cost) in enumerate(rows, 1):
        message = by_id[message_id]
        first = not slots or slots[-1].message_id != message_id
        end, more = ending(message.state, message.text[stop:])
        slots.append(
            ContextItem(
                tier="hot",
                kind="passage",
                item_id=passage_id,
                message_id=message_id,
                rank=rank,
                text=message.text[start:stop],
                line=(f"{message.role.capitalize()}:" if first else "") + indented(message.text[start:stop]) + end,
                tokens=tokens.scaled(cost + more + label[message.role] * first, factor),
                role=message.role,
                symbol=message.symbol,
                session_id=message.session_id,
                created_at=message.created_at,
                speaker=message.speaker,
            )
        )
    return slots


def _cut(said: Sequence[Message], characters: int, factor: float) -> list[ContextItem]:
    lines = [
        f"{message.role.capitalize()}: {message.text[:characters]}{ending(message.state, message.text[characters:])[0]}"
        for message in said
    ]
    costs = [tokens.count(f"{line}\n") for line in lines]
    return [
        ContextItem(
            tier="hot",
            kind="message",
            item_id=message.message_id,
            message_id=message.message_id,
            rank=rank,
            text=message.text[:characters],
            line=line,
            tokens=tokens.scaled(cost, factor),
            role=message.role,
            symbol=message.symbol,
            session_id=message.session_id,
            created_at=message.created_at,
            speaker=message.speaker,
        )
        for rank, (message, line, cost) in enumerate(
            zip(reversed(said), reversed(lines), reversed(costs), strict=True), 1
        )
    ]

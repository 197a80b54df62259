"""HOT: the newest of the current session, as passages of a section or as the turns that it had."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING

from gallump_lab import tokens
from gallump_lab.config import Config
from gallump_lab.memory import recall, text
from gallump_lab.memory.corpus import View
from gallump_lab.memory.records import AsOf, ContextItem, Item, Message
from gallump_lab.store import times

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LEAST = 40
"""So many of a session's newest messages are candidates at least, and as many more as the budget may hold."""


def hot(  # noqa: PLR0913, PLR0917 (a moment's givens)
    con: "DuckDBPyConnection",
    view: View,
    session_id: str | None,
    moment: AsOf,
    config: Config,
    factor: float,
    excluded: Collection[Item] = (),
) -> tuple[list[Message], int, list[ContextItem]]:
    """Return what HOT has: the session's newest messages, oldest first, how many it has in all, and the candidates.

    Candidates are the messages' passages: the newest message first, within one from its first passage on, so that a
    message that does not fit whole is shown up to the sentence where the budget ends. With `hot_characters` a message
    is one part, cut to so many characters, as the guide cuts it. In the layout "conversation" they are turns.
    """
    if session_id is None:
        return [], 0, []
    budget, until = config.budget, moment.as_of and times.naive(moment.as_of)
    rows = con.execute(
        f"select {Message.COLUMNS}, count(*) over () from messages "  # noqa: S608 (constant)
        "where session_id = ? and message_id <= ? and created_at <= coalesce(?::timestamp, created_at) "
        "window newer as (order by message_id desc) "
        "qualify row_number() over newer <= ? or sum(tokens) over newer - tokens <= ? order by message_id desc",
        [
            session_id,
            moment.seen_message,
            until,
            LEAST,
            round(budget.hot / min(factor, 1)),
        ],
    ).fetchall()
    newest = [Message.of(row, moment.at.tzinfo) for row in rows]
    shown = newest[: budget.hot_messages or None]
    if config.layout == "conversation":
        said = con.execute(_SAID, [session_id, moment.seen_message, until]).fetchall()
        begun = {said[place][0] for place in starts((each[1:] for each in said), budget.hot_step)}
        items = _turns(view, shown, begun, factor, excluded)
    else:
        items = _cut(shown, budget.hot_characters, factor) if budget.hot_characters else _passages(view, shown, factor)
    return newest[::-1], rows[0][-1] if rows else 0, items


_SAID = """
select message_id, role, tokens from messages
where session_id = ? and message_id <= ? and created_at <= coalesce(?::timestamp, created_at) order by message_id
"""


def starts(said: Iterable[tuple[str, int]], step: int) -> list[int]:
    """Return at which of a session's messages HOT may begin: the first question after every so many cl100k tokens.

    Parameters
    ----------
    said : iterable of (str, int)
        Each message's role and tokens, oldest first.
    step : int
        `Budget.hot_step`.
    """
    found, spent, latest = list[int](), 0, -1
    for place, (role, number) in enumerate(said):
        if role == "user" and spent // step > latest:
            latest = spent // step
            found.append(place)
        spent += number
    return found


TURN = 4
"""The cl100k tokens that a turn takes beside its text."""


def _turns(
    view: View, newest: Sequence[Message], begun: Collection[int], factor: float, excluded: Collection[Item]
) -> list[ContextItem]:
    """Return messages as candidates for turns, the newest first.

    Those between two starts stand in the prompt together or not at all: the newest of them costs what all do, and the
    others nothing more. Since the newest start may be farther back than the budget goes, what follows it is offered
    question by question, and the newest question with its reply in passages, the beginnings of both first.
    """
    items: list[ContextItem] = []
    together: list[Message] = []
    recent = True
    for message in newest:
        together.append(message)
        start = message.message_id in begun
        if not start and not (recent and message.role == "user"):
            continue
        if items:
            found = [item for each in together for item in _whole(each, factor)]
            paid = [item for item in found if ("message", item.item_id) not in excluded]
            cost = sum(item.tokens for item in paid)
            found = [replace(item, tokens=cost if item is paid[0] else 0) if paid else item for item in found]
        else:
            parts = (enumerate(_parts(view, each, factor)) for each in reversed(together))
            found = [item for _, item in sorted(chain.from_iterable(parts), key=itemgetter(0))]
        items += found
        together, recent = [], recent and not start
    return [replace(item, rank=rank) for rank, item in enumerate(items, 1)]


def _whole(message: Message, factor: float) -> Iterator[ContextItem]:
    """Give a message as one candidate; of a note of the offline analyst only what it found, if anything."""
    if said := text.remembered(message.text).strip():
        line = f"{said}{text.ending(message.state, '')[0]}"
        cost = tokens.scaled(tokens.count(line) + TURN, factor)
        given = {"kind": "message", "item_id": message.message_id, "line": line, "tokens": cost}
        yield message.item(message.text, tier="hot", rank=0, **given)


def _parts(view: View, message: Message, factor: float) -> Iterator[ContextItem]:
    """Give a message's passages as candidates whose lines, one after the other, are those of the whole message."""
    end = 0
    for item in view.of_message(message.message_id):
        start, stop, _ = view.spans[item].tolist()
        said, rest = message.text[start:stop], message.text[stop:]
        apart = "\n" if message.text.startswith(text.NOTE) else message.text[end:start]
        line = f"{apart if end else ''}{said}{text.ending(message.state, rest)[0]}"
        cost = tokens.scaled(tokens.count(line) + (0 if end else TURN), factor)
        yield message.item(said, tier="hot", kind="passage", item_id=item, rank=0, line=line, tokens=cost)
        end = stop


def _passages(view: View, newest: Sequence[Message], factor: float) -> list[ContextItem]:
    """Return messages' passages as candidates; the first of each begins with the speaker's role."""
    items: list[ContextItem] = []
    for message in newest:
        label = f"{message.role.capitalize()}:"
        for item in view.of_message(message.message_id):
            span = (item, *view.spans[item].tolist())
            items.append(recall.slot(message, span, label, factor)(tier="hot", rank=len(items) + 1))
            label = ""
    return items


def _cut(newest: Sequence[Message], characters: int, factor: float) -> list[ContextItem]:
    """Return messages as candidates, each cut to so many characters."""
    items = []
    for rank, message in enumerate(newest, 1):
        said, rest = message.text[:characters], message.text[characters:]
        line = f"{message.role.capitalize()}: {said}{text.ending(message.state, rest)[0]}"
        cost = tokens.scaled(tokens.count(f"{line}\n"), factor)
        items.append(
            message.item(
                said, tier="hot", kind="message", item_id=message.message_id, rank=rank, line=line, tokens=cost
            )
        )
    return items

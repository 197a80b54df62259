"""The offline distiller: rules pick, clean and label what is worth remembering of an ended session; no model is asked.

They read what people said themselves; what the assistant said is no source. No word is made up: a statement is cut
from one message, and beside it stand only labels.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from gallump_lab.memory import attributes, doubts, levels, naming
from gallump_lab.memory.figures import RETAKEN
from gallump_lab.memory.levels import VALUED, Stated
from gallump_lab.memory.naming import Symbols
from gallump_lab.memory.records import Learnt, Message
from gallump_lab.memory.statements import Statement, statements
from gallump_lab.memory.text import one_line, terms
from gallump_lab.reading.horizons import deadline
from gallump_lab.tokens import count

NAME = "rules-3"
"""Names these rules; it changes whenever the same session would give other insights."""

LABEL = 12
"""cl100k tokens of a symbol and a date before a statement in the prompt."""
MERGED = 60
"""A statement takes in those that belong to it up to so many cl100k tokens."""
LEAST = 22
"""What scores less is not worth remembering."""
NEAR = 1
"""What was named so many messages of users ago is still spoken of, whatever a message's own symbol."""
ALIKE = 0.8
"""Two statements that share so much of their terms say the same."""

ALIASES = naming.ALIASES
"""Names of well-known companies, with their symbols."""

_SELF = re.compile(r"(?:i|i'm|i've|i'd|i'll|my|we|we're|we've|we'll|our)\b", re.IGNORECASE)
_YOU = re.compile(r"\b(?:you|your|you're|you've|you'll|y'all)\b", re.IGNORECASE)
_WHEN = re.compile(
    r"\b(?:yesterday|today|tomorrow|tonight|ago|last|next|since|until|years?|months?|weeks?|(?:mon|tues|wednes"
    r"|thurs|fri|satur|sun)days?"
    r"|weekend|january|february|march|april|june|july|august|september|october|november|december)\b|\d",
    re.IGNORECASE,
)
_PROPER = re.compile(r"(?<=[a-z,] )(?!I\b)[A-Z][\w'-]+")
_LEANS = re.compile(
    r"(?:it|that|this|these|those|they|he|she|its|their|then|so|because|which|too|rest|never|first|there"
    r"|below that|after that)\b",
    re.IGNORECASE,
)
_CHATTER = """
great awesome amazing incredible wonderful love lovely thank thanks nice good cool best better fun glad happy proud sure
feel feeling really think know like go going get got getting make makes made thing things stuff time times lot lots way
look looks sound sounds day days keep want need see hear talk take taking special important cool excited exciting hope
wish true right mean means big super pretty totally definitely always wow yeah hey much many more most even something
everything people come came say said says tell told let help ever maybe kind sort bit little great pic photo check try
agree believe moment moments life world keep support inspire inspiring beautiful perfect hard able new one now here
today while back
"""


@lru_cache(maxsize=1)
def _says_little() -> frozenset[str]:
    return frozenset(terms(_CHATTER))


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A statement that may be kept."""

    learnt: Learnt
    text: str
    """Without its speaker."""
    score: int
    place: int
    named: bool
    valued: bool
    more: str = ""
    """What it goes on with, where there is room."""


def distil(
    messages: Sequence[Message],
    *,
    tokens: int = 200,
    known: Collection[str] = (),
    aliases: Mapping[str, str] | None = None,
) -> list[Learnt]:
    """Give what is worth remembering of one session.

    Parameters
    ----------
    messages : sequence of Message
        The session's, in order. Only users' are cited.
    tokens : int
        The insights take at most so many cl100k tokens in a prompt, each with its label; the most salient are kept.
    known : collection of str
        Symbols that count as such, beside those of the messages.
    aliases : mapping of str to str, optional
        Symbols by company name in lower case; `ALIASES` and what the session itself shows by default.

    Returns
    -------
    list of Learnt
        In the order in which they were said.
    """
    found = _superseded(_found(messages, known, aliases))
    kept: list[_Found] = []
    left = tokens
    for candidate in sorted(found, key=lambda each: (-each.score, -each.place)):
        cost = _cost(candidate)
        if cost <= left and not any(_alike(candidate, other) for other in kept):
            kept.append(candidate)
            left -= cost
    for i, short in enumerate(kept):
        longer = _with(short, short.more)
        if longer is not short and (more := _cost(longer) - _cost(short)) <= left:
            kept[i] = longer
            left -= more
    return [each.learnt for each in sorted(kept, key=lambda each: each.place)]


def _cost(found: _Found) -> int:
    return count(f"- {found.learnt.text}\n") + LABEL


def _with(found: _Found, more: str) -> _Found:
    """Let a statement go on with another."""
    if not more or count(text := f"{found.text}. {more}") > MERGED:
        return found
    return replace(found, text=text, learnt=replace(found.learnt, text=f"{found.learnt.text}. {more}"), more="")


def _superseded(found: Iterator[_Found]) -> list[_Found]:
    """Leave out what was said again or otherwise later in the session."""
    newest: dict[object, _Found] = {}
    for each in found:
        learnt = each.learnt
        key = (
            (learnt.speaker, learnt.symbol, learnt.attribute)
            if learnt.attribute in VALUED
            else frozenset(terms(each.text))
        )
        newest.pop(key, None)
        newest[key] = each
    return list(newest.values())


def _alike(one: _Found, other: _Found) -> bool:
    if one.learnt.speaker != other.learnt.speaker or one.learnt.value != other.learnt.value:
        return False
    first, second = set(terms(one.text)), set(terms(other.text))
    return len(first & second) >= ALIKE * max(len(first | second), 1)


def _found(messages: Sequence[Message], known: Collection[str], aliases: Mapping[str, str] | None) -> Iterator[_Found]:
    said = [message for message in messages if message.role == "user" and message.text.strip()]
    names = sorted({message.speaker for message in said if message.speaker})
    symbols = Symbols(messages, known, aliases)
    before = _Before()
    place = 0
    for message in said:
        in_message = symbols.all(message.text)
        meant = not doubts.joked(message.text)
        about = before.about(message.symbol) if not in_message else in_message[0] if len(in_message) == 1 else None
        run: list[_Found] = []
        for statement in statements(message.text, names, symbols.of):
            whole = _whole(statement)
            named = symbols.all(whole)
            if named:
                about = named[0] if len(named) == 1 else None
            elif (len(in_message) > 1 and not statement.follows) or symbols.strange(whole):
                about = None
            if (doubts.foreign(whole) or not meant) and (named or doubts.traded(whole)):
                continue
            goes_on = statement.follows and bool(run) and run[-1].named and not run[-1].valued
            goes_on = goes_on and not _SELF.match(statement.text)
            for found in _parts(statement, message, symbols, about, goes_on=goes_on):
                place += 1
                _join(run, replace(found, place=place), follows=statement.follows)
        yield from (each for each in run if each.score >= LEAST)
        before = before.then(in_message)


@dataclass(frozen=True, kw_only=True)
class _Before:
    """What was spoken of before a message that names nothing."""

    symbol: str | None = None
    """None where nothing was, or several."""
    ago: int = 0
    """So many messages of users ago; 0 for never."""

    def then(self, named: Sequence[str]) -> "_Before":
        if named:
            return _Before(symbol=named[0] if len(named) == 1 else None, ago=1)
        return replace(self, ago=self.ago and self.ago + 1)

    def about(self, field: str | None) -> str | None:
        """Say what the next message is about; None if that is not certain: the field is but its watchlist's first."""
        if not self.ago or (self.ago > NEAR and field == self.symbol):
            return field
        return self.symbol if self.ago <= NEAR or not field else None


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A clause of a statement, and what it says of which symbol."""

    text: str
    label: Stated
    about: str | None


def _pieces(statement: Statement, symbols: Symbols, about: str | None, until: str | None) -> list[_Piece]:
    """Cut a statement into clauses; none where a clause may be about this or that symbol."""
    named = symbols.all(_whole(statement))
    cut = attributes.clauses(statement.text)
    if any(symbols.of(one.split()[-1]) and symbols.of(other.split()[0]) for one, other in pairwise(cut)):
        return []  # "between AAPL and MSFT": whose the rest is, nobody knows
    found: list[_Piece] = []
    sure = True
    for piece in cut:
        sure = sure and _stands(piece)
        if own := symbols.all(piece):
            about = own[0] if len(own) == 1 else None
        label = attributes.stated(piece, "", about, until, named=about in named, sure=sure)
        if found and found[-1].label.kind == "level" and own and not label.valued and (value := levels.again(piece)):
            label = replace(found[-1].label, value=value)
        found.append(_Piece(text=piece, label=label, about=about))
    return found


def _parts(
    statement: Statement, message: Message, symbols: Symbols, about: str | None, *, goes_on: bool
) -> Iterator[_Found]:
    """Give a statement, or each part of it that states another attribute: "bought 100 at 340, stop 321"."""
    until, end = deadline(statement.text, message.created_at) or (None, None)
    of = symbols.all(_whole(statement))
    named = bool(of) or goes_on
    pieces = _pieces(statement, symbols, about, until)
    if len({(each.label.kind, each.label.attribute, each.about) for each in pieces if each.label.valued}) > 1:
        for part in _together(pieces, taken_back=RETAKEN.search(statement.text) is not None):
            _, ends = deadline(part.text, message.created_at) or (None, None)
            yield _labelled(part.text, part.label, message, part.about, ends, named=bool(of))
        return
    only = about if len(of) < 2 else None
    sure = _stands(_whole(statement))
    label = attributes.stated(statement.text, statement.lead, only, until, named=named, sure=sure, meant=len(of) < 2)
    found = {each.label for each in pieces if each.label.kind == "level"}
    if sure and only and len(found) == 1 and (label.kind == "level" or label.attribute in {None, "thesis"}):
        label = found.pop()
    symbol = only if label.valued else of[0] if of else about if goes_on else None
    yield _labelled(statement.text, label, message, symbol, end, named=named)


def _together(pieces: Sequence[_Piece], *, taken_back: bool) -> list[_Piece]:
    """Join clauses that state no attribute of their own to those that do."""
    kept: list[_Piece] = []
    for each in pieces:
        last = kept[-1] if kept else None
        if not last:
            kept.append(each)
        elif not each.label.valued or (each.label.attribute, each.about) == (last.label.attribute, last.about):
            label = last.label
            if (
                each.label.valued and each.label.value != label.value
            ):  # the newer one is meant if the older is taken back
                label = each.label if taken_back else Stated(kind=label.kind)
            kept[-1] = replace(last, text=f"{last.text}, {each.text}", label=label)
        elif not last.label.valued:
            kept[-1] = replace(each, text=f"{last.text}, {each.text}")
        else:
            kept.append(each)
    return kept


def _whole(statement: Statement) -> str:
    return f"{statement.lead}: {statement.text}" if statement.lead else statement.text


def _stands(text: str) -> bool:
    return levels.lifts(text) or not doubts.doubtful(text)


def _labelled(  # noqa: PLR0913 (a statement's labels)
    text: str,
    label: Stated,
    message: Message,
    symbol: str | None,
    until: datetime | None,
    *,
    named: bool,
) -> _Found:
    if label.attribute == "forecast" and doubts.laughed(message.text):
        label = Stated(kind=label.kind)
    learnt = Learnt(
        text=f"{one_line(message.speaker)}: {text}" if message.speaker else text,
        kind=label.kind,
        sources=(message.message_id,),
        symbol=symbol,
        speaker=message.speaker,
        attribute=label.attribute,
        value=label.value,
        valid_until=until,
    )
    score = _score(text, label)
    return _Found(learnt=learnt, text=text, score=score, place=0, named=named, valued=label.valued)


def _score(text: str, label: Stated) -> int:
    """Say how much a statement is worth remembering."""
    if label.valued:
        return {"size": 85, "entry level": 95, "forecast": 95}.get(str(label.attribute), 100)
    content = {term for term in terms(text) if term not in _says_little()}
    own = _SELF.match(text) is not None
    score = 4 * min(len(content), 12) + 8 * own + 6 * (_WHEN.search(text) is not None)
    score += (
        4 * min(len(_PROPER.findall(text)), 3)
        - 12 * (_YOU.search(text) is not None)
        - 12 * (_LEANS.match(text) is not None)
    )
    bonus = {
        "thesis": 16,
        "lesson": 20,
        "preference": 20 if label.attribute or label.value else 8,
    }
    return score + (bonus.get(label.kind, 0) if len(content) > (3 if label.kind == "thesis" else 1) else 0)


def _join(run: list[_Found], found: _Found, *, follows: bool) -> None:
    """Add a statement to a message's, or to the last of them if it goes on with that."""
    last = run[-1] if run else None
    if not last or not follows or not _belong(last, found):
        run.append(found)
    elif last.learnt.kind == found.learnt.kind == "fact":
        run[-1] = replace(last, more=f"{last.more}. {found.text}" if last.more else found.text)
    elif (joined := _with(last, found.text)) is not last:
        lesson = found.learnt.kind == "lesson" and last.learnt.kind == "thesis"
        kind = found.learnt.kind if lesson or last.learnt.kind == "fact" else last.learnt.kind
        label = attributes.labelled(joined.text, kind)
        learnt = replace(
            joined.learnt,
            kind=kind,
            symbol=last.learnt.symbol or (None if kind == "preference" else found.learnt.symbol),
            attribute=label.attribute,
            value=label.value,
            valid_until=last.learnt.valid_until or found.learnt.valid_until,
        )
        score = max(last.score, found.score) + min(last.score, found.score) // 4
        run[-1] = replace(joined, learnt=learnt, score=score)
    else:
        run.append(found)


def _belong(last: _Found, found: _Found) -> bool:
    """Say whether two statements of a message, one directly after the other, say one thing."""
    if last.valued or found.valued or not (last.score >= LEAST or last.named):
        return False
    if last.learnt.symbol and found.learnt.symbol and last.learnt.symbol != found.learnt.symbol:
        return False
    return last.learnt.kind != "fact" or found.learnt.kind == "lesson" or _LEANS.match(found.text) is not None

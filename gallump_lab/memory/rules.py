"""The offline distiller: rules pick, clean and label what is worth remembering of an ended session; no model is asked.

They read what people said themselves; what the assistant said is no source. No word is made up: a statement is cut
from one message, and beside it stand only labels.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from gallump_lab.market.symbols import symbols_in
from gallump_lab.memory import attributes
from gallump_lab.memory.records import Learnt, Message
from gallump_lab.memory.statements import Statement, statements
from gallump_lab.memory.text import one_line, terms
from gallump_lab.tokens import count

NAME = "rules-1"
"""Names these rules; it changes whenever the same session would give other insights."""

LABEL = 12
"""cl100k tokens of a symbol and a date before a statement in the prompt."""
MERGED = 60
"""A statement takes in those that belong to it up to so many cl100k tokens."""
LEAST = 22
"""What scores less is not worth remembering."""
ALIKE = 0.8
"""Two statements that share so much of their terms say the same."""

ALIASES = {
    "alphabet": "GOOG", "amazon": "AMZN", "apple": "AAPL", "boeing": "BA", "cisco": "CSCO", "exxon": "XOM",
    "facebook": "FB", "google": "GOOG", "intel": "INTC", "microsoft": "MSFT", "netflix": "NFLX", "nvidia": "NVDA",
    "oracle": "ORCL", "pfizer": "PFE", "tesla": "TSLA", "walmart": "WMT",
}  # fmt: skip
"""Names of well-known companies; one counts where its symbol is known."""

_VALUED = frozenset({"stop", "target", "entry level", "position", "size", "forecast"})
_GIVEN = re.compile(r"\b([A-Z][a-z]{2,20}) \(\$?([A-Z]{1,5})\)|\b([A-Z]{1,5}) \(([A-Z][a-z]{2,20})\)")
_NAME = re.compile(r"[^\W\d_]{3,}")
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
            if learnt.attribute in _VALUED
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
    symbols = _Symbols(messages, known, aliases)
    before: str | None = None
    place = 0
    for message in said:
        in_message = symbols.of(message.text)
        about = before or message.symbol
        run: list[_Found] = []
        for statement in statements(message.text, names, symbols.of):
            named = symbols.of(f"{statement.lead} {statement.text}") or symbols.of(statement.text)
            about = named or (in_message if not run else None) or about
            goes_on = statement.follows and bool(run) and run[-1].named and not run[-1].valued
            goes_on = goes_on and not _SELF.match(statement.text)
            for found in _parts(statement, message, about, named=named is not None or goes_on):
                place += 1
                _join(run, replace(found, place=place), follows=statement.follows)
        yield from (each for each in run if each.score >= LEAST)
        before = symbols.last(message.text) or before


def _parts(statement: Statement, message: Message, about: str | None, *, named: bool) -> Iterator[_Found]:
    """Give a statement, or each part of it that states another attribute: "bought 100 at 340, stop 321"."""
    until = attributes.horizon(statement.text, message.created_at)
    pieces = [*attributes.clauses(statement.text)]
    labels = [attributes.stated(piece, "", about, until and until[0], named=False) for piece in pieces]
    if len({(label.kind, label.attribute) for label in labels if _valued(label)}) < 2:
        label = attributes.stated(statement.text, statement.lead, about, until and until[0], named=named)
        yield _labelled(statement.text, label, message, about, until and until[1], named=named)
        return
    texts: list[str] = []
    kept: list[attributes.Stated] = []
    for piece, label in zip(pieces, labels, strict=True):
        if kept and (not _valued(label) or label.attribute == kept[-1].attribute):
            texts[-1] += f", {piece}"
        elif kept and not _valued(kept[-1]):
            texts[-1], kept[-1] = f"{texts[-1]}, {piece}", label
        else:
            texts.append(piece)
            kept.append(label)
    for text, label in zip(texts, kept, strict=True):
        ends = attributes.horizon(text, message.created_at)
        yield _labelled(text, label, message, about, ends and ends[1], named=named)


def _valued(label: attributes.Stated) -> bool:
    """Say whether it is a trade, a size, a level or a forecast."""
    return label.attribute in _VALUED or label.kind in {"level", "position"}


def _labelled(  # noqa: PLR0913 (a statement's labels)
    text: str,
    label: attributes.Stated,
    message: Message,
    about: str | None,
    until: datetime | None,
    *,
    named: bool,
) -> _Found:
    valued = _valued(label)
    symbol = about if valued or named else None
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
    score = _score(text, label, valued=valued)
    return _Found(learnt=learnt, text=text, score=score, place=0, named=named, valued=valued)


def _score(text: str, label: attributes.Stated, *, valued: bool) -> int:
    """Say how much a statement is worth remembering."""
    if valued:
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
        "preference": 20 if label.value or label.attribute in attributes.SUBJECTS else 8,
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


class _Symbols:
    """What a session calls its symbols."""

    def __init__(self, messages: Sequence[Message], known: Collection[str], aliases: Mapping[str, str] | None) -> None:
        own = {message.symbol for message in messages if message.symbol}
        self._known = frozenset(known) | own
        self._names = {name: symbol for name, symbol in ALIASES.items() if symbol in self._known}
        self._names |= {symbol.lower(): symbol for symbol in own if len(symbol) > 2 and terms(symbol)}
        for message in messages:
            for name, symbol, other, called in _GIVEN.findall(message.text[:8_000]):
                if (symbol or other) in self._known:
                    self._names[(name or called).lower()] = symbol or other
        self._names |= {name.lower(): symbol for name, symbol in (aliases or {}).items()}

    def all(self, text: str) -> list[str]:
        """Give the symbols that a text names, in its order."""
        text = text[:8_000]
        found = [(text.find(symbol), symbol) for symbol in symbols_in(text, self._known)]
        for match in _NAME.finditer(text):
            word = match[0].lower()
            if symbol := self._names.get(word):
                found.append((match.start(), symbol))
        return [symbol for _, symbol in sorted(found)]

    def of(self, text: str) -> str | None:
        """Give the first symbol that a text names."""
        return next(iter(self.all(text)), None)

    def last(self, text: str) -> str | None:
        """Give the last symbol that a text names."""
        return next(reversed(self.all(text)), None)

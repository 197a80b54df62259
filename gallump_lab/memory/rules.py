"""The offline distiller: rules pick, clean and label what is worth remembering of an ended session; no model is asked.

They read what people said themselves; what the assistant said is no source. No word is made up: a statement is cut
from one message, and beside it stand only labels.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from gallump_lab.lazy import any_of, regex
from gallump_lab.memory.figures import reports
from gallump_lab.memory.price_levels import RETAKEN, VALUED, Clause, claims
from gallump_lab.memory.records import Kind, Learnt, Message
from gallump_lab.memory.statements import FOREIGN, JOKED, READ, Statement, spoken, statements
from gallump_lab.memory.text import one_line, terms
from gallump_lab.reading.names import TRADED, Symbols
from gallump_lab.reading.numbers import numbers
from gallump_lab.reading.periods import deadline
from gallump_lab.tokens import count

NAME = "rules-7"
"""Names these rules; it changes whenever the same session would give other insights."""

LABEL = 12
"""cl100k tokens of a symbol and a date before a statement in the prompt."""
MERGED = 60
"""A statement takes in those that belong to it up to so many cl100k tokens."""
LEAST = 22
"""What scores less is not worth remembering."""
FAR = 3
"""A level so many times below or above all prices that a session names of a symbol is not that symbol's."""


_RULE = any_of(
    r"(?<!they )(?<!it )(?<!that )(?<!'s )(?<!'ve )(?<!have )(?<!had )(?<!has )never",
    r"always(?! (?:loved|liked|been|wanted))|rules?|principles?|polic(?:y|ies)|from now on|going forward|max(?:imum)?",
    r"(?:no|not) more than|at (?:most|least)|must|won't|will not|no \w+ without|(?:any )?one name",
    r"(?:don't|do not) (?:hold|trade|buy|sell|own|add|use|want|chase|short|touch|do)",
    r"(?:buy|sell|trade|hold|own)s? (?:nothing|only)|only (?:buy|sell|trade|hold|own|when|if|after)",
    r"limits? (?:is|are|of|to|on|stays?)|(?:can|may) go up to|relax\w*|loosen\w*|soften\w*",
    r"(?:i|we) (?:hold|keep|use|cut|size|carry|check)",
)
_TASTE = any_of(r"i (?:really |just |much |also )?(?:prefer|like|love|enjoy|hate|dislike|want|need)")
_LESSON = any_of(
    r"lessons?|learn(?:ed|t)|taught|mistakes?|confess|regret\w*|should(?:n't| not)? have|never again|note to self",
    r"next time|costs? (?:me|us)|too (?:soon|early|late|big|greedy)|i was (?:wrong|bored|greedy|late)",
    r"dumb|stupid|trap|against my own|overr[io]d\w+|losers",
)
_SCHEDULED = regex(
    r"\b(?:earnings|reports?|results|dividend|meeting)\b.{0,30}\b(?:on|due|scheduled)\b.{0,12}?(?:\d|day\b)",
    re.IGNORECASE,
)
_SETS = any_of(r"ceilings?|limits?|caps?|changed to|(?:up|down) to|switched off|halved")
_LIMITS = {
    name: any_of(words)
    for name, words in {
        "name limit": r"(?:one|single|any one|each|per) (?:name|stock|issuer|position)|concentration",
        "value at risk": r"value at risk|var",
        "risk per trade": r"risk (?:(?:more than )?[\d.]+ ?(?:%|percent) )?(?:per|a|on any|on each) trade",
        "trades per day": r"trades (?:a|per|each|every) day",
        "drawdown": r"drawdowns?",
        "holding period": r"holding period|hold for|sessions",
        "exposure": r"gross|net exposure|exposure|leverage|vix",
        "cash": r"cash|cushion",
        "yield": r"yields?|payout",
    }.items()
}
"""What a rule sets a limit to: the newer limit takes the older one's place."""
_HELD = r"(?:hold|own|keep|carry|flat|position|stay|sit)\w*\b.{0,30}?\b(?:through|into|over|before|across) (?:\w+ )?"
_PRACTICES = {
    name: any_of(words)
    for name, words in {
        "holding through earnings": rf"{_HELD}(?:earnings|reports?|results|prints?)",
        "holding over the weekend": rf"{_HELD}(?:weekends?|summits?)",
        "writing options": r"naked|(?:un)?covered (?:calls|puts)|(?:sell|write|writing|selling) (?:calls|puts|options)",
        "averaging down": r"averag\w+ down|add(?:ing)? to (?:a )?los\w+",
    }.items()
}
"""What a rule forbids or allows: a newer one about the same, in much the same words, takes its place."""
_COUNT = regex(r"\b(\d{1,3}) (?:trading )?(sessions|days|weeks|months|trades)\b", re.IGNORECASE)
_VIEW = regex(
    r"\bi (?:(?:really|just|actually|now|do|don['\u2019]?t|much|still) ){0,3}(?:hate|like|love|dislike|avoid|prefer"
    r"|enjoy|trust) (options|calls|puts|spreads|futures|leverage|margin|shorting|etfs|bonds|banks|crypto|dividends)\b",
    re.IGNORECASE,
)
_OWN = any_of(r"i|i'm|i've|i'd|i'll|my|me|we|we're|we've|our|us|myself")
_WHEN = regex(r"\d|day\b|\b(?:tonight|ago|last|next|since|until|years?|months?|weeks?)\b", re.IGNORECASE)
_PROPER = regex(r"(?<=[a-z,] )(?!I\b)[A-Z][\w'-]+")
_LEANS = regex(
    r"(?:it|that|this|these|those|they|he|she|its|their|then|so|because|which|too|rest|never|first|there|below "
    r"that|after that)\b",
    re.IGNORECASE,
)
_CHATTER = """
great awesome amazing wonderful love lovely thank thanks nice good cool best better fun glad happy proud sure feel
really think know like go going get got make makes made thing stuff time lot way look looks sound sounds day keep want
need see hear talk take special important excited hope wish right mean big always yeah much many more most even people
come say said tell let help ever maybe kind bit little pic check try agree believe moment life world hard able new one
now here today back
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
    named: bool
    """Whether it names its symbol."""

    @property
    def valued(self) -> bool:
        return self.learnt.attribute in VALUED or self.learnt.kind in {"level", "position"}


def distil(messages: Sequence[Message], *, tokens: int = 200, known: Collection[str] = ()) -> list[Learnt]:
    """Return what is worth remembering of one session.

    Parameters
    ----------
    messages : sequence of Message
        The session's, in order. Only users' are cited.
    tokens : int
        The insights take at most so many cl100k tokens in a prompt, each with its label; the most salient are kept.
    known : collection of str
        Symbols that count as such, beside those of the messages.

    Returns
    -------
    list of Learnt
        In the order in which they were said.

    Examples
    --------
    >>> [(each.symbol, each.attribute, each.value) for each in distil([said("My AAPL stop is 180.")], known=["AAPL"])]
    [('AAPL', 'stop', '180')]
    """
    newest: dict[object, _Found] = {}  # what was said again, or otherwise, later in the session takes the place
    for each in _found(messages, spoken(messages, known)):
        learnt = each.learnt
        valued = learnt.attribute in VALUED
        about = (learnt.symbol, learnt.attribute) if valued else frozenset(terms(each.text))
        key = (learnt.speaker, about)
        newest.pop(key, None)
        newest[key] = each
    kept: list[tuple[int, _Found]] = []
    for place, each in sorted(enumerate(newest.values()), key=lambda pair: (-pair[1].score, -pair[0])):
        cost = count(f"- {each.learnt.text}\n") + LABEL
        if cost <= tokens:
            kept.append((place, each))
            tokens -= cost
    return [each.learnt for _, each in sorted(kept, key=lambda pair: pair[0])]


def _found(messages: Sequence[Message], symbols: Symbols) -> Iterator[_Found]:
    """Find what users state, message by message, and carry on what they speak of."""
    said = [message for message in messages if message.role == "user" and message.text.strip()]
    prices: dict[str, list[float]] = defaultdict(list)
    spoken: tuple[str | None, int] = None, 0  # the symbol that was spoken of, and how many messages ago
    last: _Found | None = None
    for message in said:
        in_message = symbols.all(message.text)
        about = _sole(in_message) if in_message else _carried_on(*spoken, message.symbol)
        joked = JOKED.search(message.text[: 2 * READ]) is not None
        run: list[_Found] = []
        for statement in statements(message.text, symbols.of):
            whole = f"{statement.lead}: {statement.text}" if statement.lead else statement.text
            named = symbols.all(whole)
            if named or (len(in_message) > 1 and not statement.follows):
                about = _sole(named)
            if (joked or FOREIGN.search(whole) or reports(whole)) and (named or TRADED.search(whole)):
                continue
            earlier: tuple[int, ...] = ()
            if last and not run and RETAKEN.match(statement.text):  # "actually make it 182", a message later
                statement = replace(statement, text=f"{last.text}. {statement.text}")  # noqa: PLW2901
                about, earlier = last.learnt.symbol, last.learnt.sources
            for symbol, price in _priced(statement.text, symbols):
                prices[symbol].append(price)
            for found in _read(statement, whole, message, symbols, about):
                if named or _near(found.learnt, prices):
                    sources = (*earlier, *found.learnt.sources)
                    _join(run, replace(found, learnt=replace(found.learnt, sources=sources)), statement.follows)
        yield from (each for each in run if each.score >= LEAST)
        last = run[-1] if len(run) == 1 and run[-1].valued else None
        spoken = (_sole(in_message), 1) if in_message else (spoken[0], spoken[1] + 1)


def _sole(named: Sequence[str]) -> str | None:
    return named[0] if len(named) == 1 else None


def _carried_on(symbol: str | None, ago: int, field: str | None) -> str | None:
    """Return what a message that names nothing is about, None if that is not certain.

    The message's own symbol is but the watchlist's first: what the message before spoke of counts more.
    """
    if ago == 1:
        return symbol
    return field if symbol in {None, field} else None


def _priced(text: str, symbols: Symbols) -> Iterator[tuple[str, float]]:
    """Find the first number after each symbol that may be a price of it."""
    for _, stop, symbol in symbols.spans(text):
        first = next(numbers(text[stop : stop + 40]), None)
        if first and first.value and not first.unit:
            yield symbol, first.value


def _near(learnt: Learnt, prices: Mapping[str, Sequence[float]]) -> bool:
    """Return whether a level of a symbol that is only carried on is near a price of it, where one is known."""
    known = prices.get(learnt.symbol or "", ())
    levels = [each.value for each in numbers(learnt.value or "") if each.value and not each.unit]
    if learnt.kind != "level" or not known or not levels:
        return True
    return any(level / FAR <= price <= level * FAR for level in levels for price in known)


def _read(statement: Statement, whole: str, message: Message, symbols: Symbols, about: str | None) -> Iterator[_Found]:
    """Read the values that a statement teaches, or else the statement itself."""
    text, lead = statement.text, statement.lead
    sure = not lead or text.startswith(lead) or Clause(lead).understood
    found = claims(text, about, message.created_at, symbols.spans) if sure else []
    plain = Learnt(text=text, kind="fact", sources=(message.message_id,), speaker=message.speaker)
    for each in found:
        made = replace(plain, kind=each.kind, symbol=each.symbol, attribute=each.attribute, value=each.value)
        said = each.text if len(found) > 1 else text
        yield _scored(replace(made, text=said, valid_until=each.until), named=True)
    if not found:
        named = symbols.all(whole)
        kind, attribute, value = _kind(text, whole, named)
        limit = deadline(text, message.created_at)
        until = limit.over(message.created_at.tzinfo) if limit else None
        made = replace(plain, kind=kind, symbol=next(iter(named), None), attribute=attribute, value=value)
        yield _scored(replace(made, valid_until=until), named=bool(named))


def _kind(text: str, whole: str, named: Sequence[str]) -> tuple[Kind, str | None, str | None]:
    """Return a statement's kind, what it is about where a newer one would take its place, and its value."""
    rule = _RULE.search(whole) is not None
    kind: Kind = "preference" if rule else "thesis" if named else "fact"
    attribute = value = None
    if _LESSON.search(whole) and (rule or whole != text or _OWN.search(whole)):
        kind = "lesson"
    elif not rule and (view := _VIEW.search(text)):
        kind, attribute = "preference", f"view of {view[1].lower()}"
    elif not rule and not named and _TASTE.search(whole):
        kind = "preference"
    elif kind == "thesis":
        kind = "fact" if _SCHEDULED.search(text) else "thesis"
        attribute = "thesis" if kind == "thesis" and len(named) == 1 else None
    elif rule or _SETS.search(text):
        attribute, value = _limit(text)
    return kind, attribute, value


def _limit(text: str) -> tuple[str | None, str | None]:
    """Return what a rule is about, where a newer one would take its place, and the limit that it sets."""
    counts = [f"{number} {unit}".lower() for number, unit in _COUNT.findall(text)]
    value = _sole(counts or list({f"{each}%" for each in numbers(text) if each.unit == "%" and str(each)}))
    limit = _sole([name for name, words in _LIMITS.items() if words.search(text)])
    if limit and value:
        return limit, value
    return _sole([name for name, words in _PRACTICES.items() if words.search(text)]), None


def _scored(learnt: Learnt, *, named: bool) -> _Found:
    """Return a statement with how much it is worth remembering, and its speaker before it."""
    text = learnt.text
    content = {*terms(text)} - _says_little()
    if learnt.attribute in VALUED or learnt.kind in {"level", "position"}:
        score = 85 if learnt.attribute == "size" else 95 if learnt.attribute in {"entry level", "forecast"} else 100
    else:
        score = 4 * min(len(content), 12) + 8 * bool(_OWN.match(text)) + 6 * bool(_WHEN.search(text))
        score += 4 * min(len(_PROPER.findall(text)), 3) - 12 * bool(_LEANS.match(text))
        least = 3 if learnt.kind == "thesis" else 0 if learnt.attribute else 1
        bonus = {"thesis": 16, "lesson": 20, "preference": 20 if learnt.attribute or learnt.value else 8}
        score += bonus.get(learnt.kind, 0) * (len(content) > least)
    if learnt.speaker:
        learnt = replace(learnt, text=f"{one_line(learnt.speaker)}: {text}")
    return _Found(learnt=learnt, text=text, score=score, named=named)


def _join(run: list[_Found], found: _Found, follows: bool) -> None:  # noqa: FBT001 (a statement's own field)
    """Add a statement to a message's, or to the last of them if it goes on with that."""
    last = run[-1] if run else None
    if last is None or not follows or last.valued or found.valued or not (last.score >= LEAST or last.named):
        run.append(found)
        return
    one, other = last.learnt, found.learnt
    goes_on = one.kind != "fact" or other.kind == "lesson" or _LEANS.match(found.text)
    text = f"{last.text}. {found.text}"
    if (one.symbol and other.symbol and one.symbol != other.symbol) or not goes_on or count(text) > MERGED:
        run.append(found)
        return
    kind = other.kind if one.kind == "fact" or other.kind == "lesson" else one.kind
    learnt = replace(
        one,
        text=f"{one.text}. {found.text}",
        kind=kind,
        symbol=one.symbol or (None if kind == "preference" else other.symbol),
        attribute=one.attribute if kind == one.kind else None,
        value=one.value if kind == one.kind else None,
        valid_until=one.valid_until or other.valid_until,
    )
    score = max(last.score, found.score) + min(last.score, found.score) // 4
    run[-1] = replace(last, learnt=learnt, text=text, score=score)

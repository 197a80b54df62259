"""Reading what bars can test out of a text: a symbol, a level or direction, and a horizon.

Of a text the first sentence that states such a forecast is read, in English by patterns, and where a sentence may mean
something else it is left out with a reason: a plan ("plans to sell at 273") says what somebody will do, a condition
("if it breaks 400") what else must happen, a hedge ("could reach 400") cannot be wrong. What a pattern reads:

- A level: "above 452", "falls below 300", "to reach 200", "apple to 400". It is touched by a high (or low) that reaches
  it on any bar up to the horizon, as a price target or an alert would be. "Closes above 452 by May" asks for a close,
  on any bar; "ends the year above 452", "above 452 at year end" and "will be above 452 on 7 June" for the close at the
  horizon. "Stays above 300 until May" says that 300 is not touched.
- A move in percent from the close then: "up 10 percent by June"; touched likewise.
- A direction: "will fall over the next two weeks"; the close at the horizon tells.

Prices are USD as traded on that day.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Literal

from gallump_lab.reading.periods import FIRM, Horizon, horizons
from gallump_lab.store.times import naive
from gallump_lab.study.scorecard.prose import Amount, Reading, read, sentences

Way = Literal["up", "down"]
How = Literal["touch", "close", "end"]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A statement on a price that bars can test."""

    symbol: str
    at: datetime
    """When it was said, UTC."""
    until: date
    """The last day that counts."""
    way: Way | None = None
    """None for a level to be reached: the way from the close then."""
    level: float | None = None
    """USD, as traded then."""
    move: float | None = None
    """From the close then, as a share: 0.1 for up 10 percent. Neither level nor move: direction alone."""
    how: How = "touch"
    """What must reach it: a high or low on any bar, the close of any bar, or the close at the horizon."""
    denied: bool = False
    """It says that this does not come."""
    close: float | None = None
    """USD, as traded then: what a share cost when it was said, where its text quotes it."""
    probability: float | None = None
    """Stated with it."""


def _verbs(words: str) -> str:
    """Return a pattern for verbs in the present (rise, rises, rising), and for words after a | as they stand."""
    verbs, _, others = words.partition("|")
    found = []
    for word in verbs.split():
        stem, last = word[:-1], word[-1]
        ends = {"e": "(?:es?|ing)", "y": "(?:y|ies|ying)"}.get(last, f"{last}(?:e?s|{last}?ing)?")
        found.append(stem + ends)
    return "|".join([*found, *(each.replace("_", r"\s+") for each in others.split())])


_UP = _verbs("rise climb rally gain jump surge advance rebound recover bounce increase | up upside higher stronger")
_DOWN = _verbs(
    "fall drop decline sink slide slip tumble crash weaken lose plunge dip decrease | down downside lower weaker"
    " sells?_off pulls?_back"
)
_GO = _verbs("go get head return come run move trade | be back way")
_REACH = _verbs("reach hit touch test see print tag break cross clear top exceed surpass | takes?_out at to")
_OVER = "above|over|higher than|past|beyond|at least|>=?"
_UNDER = "below|under|beneath|lower than|<=?"
_ABOUT = r"(?:(?:the|a|some|at least|another|by|more than)\s+)*"
_CLAIMS = [
    re.compile(each, re.IGNORECASE)
    for each in (
        rf"(?<!\w)(?:(?P<over>{_OVER})|(?P<under>{_UNDER}))\s*{_ABOUT}(?P<level>#+)",
        (
            rf"\b(?:{_REACH}|as\s+(?:high|low)\s+as|(?-i:[A-Z]{{2,5}})(?=\s+#+\s+by\b)|targets?\b[^,;.#]{{0,25}}?)"
            r"\s+(?P<level>#+)"
        ),
        (
            rf"(?:\b(?:(?P<up>{_UP}|plus)|(?P<down>{_DOWN}|minus))\s+|(?P<plus>(?<!\w)\+)|(?P<minus>[-\u2212]))"
            rf"{_ABOUT}(?P<share>%+)"
        ),
        rf"(?P<share>%+)\s+(?:(?P<up>{_UP}|more)|(?P<down>{_DOWN}|less))\b",
        r"\b(?:(?P<double>doubles?)(?!\s+(?:bottom|top|digit|down)|-)|(?P<halve>halves?))\b",
        (
            rf"\b(?:(?P<up>{_UP})|(?P<down>{_DOWN}))\b(?<!\bup)(?<!\bdown)(?!\s+(?:highs?|lows?|than|band))"
            rf"|\b(?:{_GO}|(?-i:[A-Z]{{2,5}}))\s+(?:(?P<plus>up)|(?P<minus>down))\b"
        ),
    )
]
"""The first of these that a sentence has is read: a level, a move, a direction alone.

Its prices are masked by #, its percentages by %. A bare "up" belongs to many verbs ("set up"), so it needs one of going
or a ticker before it.
"""
_UNIT = re.compile(
    r"[-/:]?\d|[-\s]*(?:basis|points?|days?|weeks?|months?|years?|quarters?|sessions?|times|shares?|lots?|contracts?"
    r"|euros?|cents?|degrees|[ap]\.?m\b|x\b|dollars?\s+(?:of|a\s+year|in)|of\s+\d)",
    re.IGNORECASE,
)
"""Makes of a number before it something else than a price."""
_QUOTED = re.compile(
    r"\((?:(?:last|now|then|close|price|at|it|is|was)\s+)+\$?(\d[\d.,]*\d)(?:,?\s+(?:on\s+)?\d{4}-\d\d-\d\d)?\)",
    re.IGNORECASE,
)
"""What it cost when it was said."""
_LITOTES = re.compile(r"\b(?:(?:should|would|will)(?:n't| not)|won't) be surprised\b", re.IGNORECASE)
_PLANNED = "It says what somebody plans to do, not what the price will do."
_PLAN = (
    r"\b(?:buy|sell(?!s?\s+off)|add|trim|exit|leave|cover|enter|own|reduce)(?:s|ing)?\b|\b(?:shorts|shorting|trimming"
    r"|takes? profits?|stops?|entry|limit|alert|strikes?|calls? at|when(?:ever)?"
    rf"|hold(?:s|ing)?(?!\s+(?:{_OVER}|{_UNDER}|up)\b))\b"
)
_NEVER = {
    "It hangs on a condition.": r"\b(?:if|unless|whether|provided|assuming|as long as|in case|once|depends)\b",
    "It tells what is usual.": r"\b(?:often|usually|typically|tends? to|mostly|on average|historically|always)\b",
    _PLANNED: _PLAN,
    "It takes something back.": r"\b(?:no longer|not (?:sure|only|just)|used to|stopped|dropped|doubts?|instead of)\b",
    "It says what could be, not what will.": (
        r"\b(?:could|might|perhaps|maybe|possibly|hop(?:es?|ing)|wish(?:es)?|fears?)\b"
        r"|(?<!by )(?<!in )(?<!before )(?<!until )(?<!come )\bmay\s+[a-z]"
    ),
    "It tells of the past.": (
        r"\b(?:fell|rose|broke|traded|went|climbed|rallied|gained|lost|reached|crossed|touched|stood|stayed|held|bought"
        r"|sold|gave|made|led|finished|ended|jumped|slid|sank|did|earned|closed|was|were|had|ha[sd]\s+\w+(?:ed|en))\b"
    ),
}
"""What makes of a sentence no forecast, by the reason; the first two in all of it, the others in the claim's clause."""
_DENIAL = re.compile(r"\b(?:not|never|wont|dont|cannot|\w+n't)\b", re.IGNORECASE)
_FUTURE = re.compile(
    r"\b(?:will|shall|should|would|going to|gonna|likely|bound to|set to|expect\w*|forecasts?|predict\w*|sees?|bets?"
    r"|thinks?|believ\w+|look(?:s|ing)? for|anticipat\w+|project\w*|targets?|reckons?|odds|never|cannot)\b|'ll\b"
    r"|\b(?:won|can)'t\b|\bto\s*$",
    re.IGNORECASE,
)
_HOW = re.compile(
    r"\b(?:(?P<stays>(?:stay|hold|remain|keep)(?:s|ing)?)|(?P<close>clos(?:e|es|ing))"
    r"|(?P<end>(?:end|finish|settle)(?:s|es|ing)?(?:\s+(?:the|this|next)?\s*\w+)?))(?:\s+at)?\s*$",
    re.IGNORECASE,
)
_NOUN = re.compile(r"\b(?:the|an?|this|that|its|any|every|each)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
_SUBJECT = re.compile(
    r"(?<![\w$])(?:\$?(?P<ticker>(?!(?:USD?|EUR|UTC|OK|IMO|FYI|TP|PT|CEO|CFO|IPO|ETF|AM|PM|EOY|AND|OR|NOT|BY|TO)\b)"
    r"[A-Z]{2,5}(?:[.-][A-Z])?)|(?i:eps|earnings|revenues?|sales|profits?|margins?|yields?|vix|rsi|volatility|volume"
    r"|dividends?|multiple|p/e|ratio|exposure|weight|drawdown|risk|rates?|inflation|euro|oil|gold|s&p|index|nasdaq|dow"
    r"|guidance|growth|estimates?|users?|cash|capital|account|costs?|averages?|mean|sma|ema|vwap|bands?))(?!\w)"
)
"""What a level may be of, other than a price of the symbol: another symbol, or a measure."""
_ODDS = re.compile(
    r"(?P<stated>%+)\s+(?:chance|likely|probab\w+|sure|confiden\w+|odds|that)\b"
    r"|\b(?:probability|confidence|chance|odds)\s+(?:of\s+|is\s+|at\s+)?(?P<given>[#%]+)"
    r"|(?P<one>#+)\s+(?:chances?\s+)?in\s+(?P<of>#+)",
    re.IGNORECASE,
)


def testable(text: str, symbol: str | None, at: datetime, valid_until: datetime | None = None) -> Forecast | str:  # noqa: PT028 (no test)
    """Return the forecast that a text states, or in words why there is none.

    Parameters
    ----------
    text : str
        What was said; it need not name the symbol.
    symbol : str or None
        What it speaks of.
    at : datetime
        When it was said, UTC.
    valid_until : datetime, optional
        Until when it holds, where its text names no horizon, UTC.

    Examples
    --------
    >>> testable("AAPL falls to 300 by May", "AAPL", datetime(2012, 3, 1, tzinfo=UTC)).until
    datetime.date(2012, 5, 31)
    """
    if not symbol:
        return "It speaks of no symbol."
    at = naive(at, "at").replace(tzinfo=UTC)
    quoted = _QUOTED.search(text)
    close = float(quoted[1].replace(",", "")) if quoted else None
    plain = Forecast(symbol=symbol.upper(), at=at, until=at.date(), close=close)
    why = ""
    text = _LITOTES.sub("expect", _QUOTED.sub("", text))
    for start, stop in sentences(text):
        found = _read(text[start:stop].strip(), plain, valid_until, asks=text[stop : stop + 1] == "?")
        if isinstance(found, Forecast):
            return found
        why = why or found
    return why or "It states no level or direction."


def _read(sentence: str, plain: Forecast, valid_until: datetime | None, *, asks: bool) -> Forecast | str:
    """Return the forecast of one sentence, or why it is none; empty where it makes no claim that needs a reason."""
    reading = read(sentence, plain.at.date())
    masked, amounts = re.sub("[#%]", " ", sentence), {}
    for each in reading.numbers:
        if not _UNIT.match(sentence, each.stop):
            start = each.start + each.text.startswith(("-", "\u2212"))
            mask = ("#" if each.share is None else "%") * (each.stop - start)
            masked, amounts[start] = f"{masked[:start]}{mask}{masked[each.stop :]}", each
    found = next((match for each in _CLAIMS if (match := each.search(masked))), None)
    if found is None:
        return _PLANNED if re.search(_PLAN, masked, re.IGNORECASE) else ""
    before = masked[_clause(reading, found.start(), found.end())[0] : found.start()]
    direction = found.re is _CLAIMS[-1]
    future = bool(_FUTURE.search(masked) or _FUTURE.search(before))
    horizon = _horizon(reading, found, plain.at, valid_until)
    why = "It asks." if asks else _why_not(masked, before, before + found[0], plain.symbol)
    why = why or (horizon if isinstance(horizon, str) else "")
    if isinstance(horizon, Horizon) and not why:
        # "The bounce before May" is a noun with a time, "up by May" a forecast.
        firm = horizon.lead in FIRM and not (direction and (horizon.lead == "before" or _NOUN.search(before)))
        if not firm and not future:
            why = "It tells how it is, not what will be."
        elif not direction or _speaks_of(plain.symbol, before + found[0]):
            odds = _probability(masked, amounts)
            plain = replace(plain, until=horizon.until, probability=odds)
            return _claimed(found, before, amounts, horizon.lead, plain)
    return "" if direction and not future else why


def _clause(reading: Reading, start: int, stop: int) -> tuple[int, int]:
    """Return the clause around a part of a sentence."""
    begin = max((a for a, _ in reading.clauses if a <= start), default=0)
    end = min((b for _, b in reading.clauses if b >= stop), default=len(reading.text))
    return begin, end


def _why_not(sentence: str, before: str, clause: str, symbol: str) -> str:
    """Return why a sentence with a level or direction is none that bars can test; empty if it may be."""
    for place, (why, pattern) in enumerate(_NEVER.items()):
        if re.search(pattern, sentence if place < 2 else clause, re.IGNORECASE):
            return why
    if len(_DENIAL.findall(before)) > 1:
        return "It denies more than once."
    *_, subject = [None, *_SUBJECT.finditer(clause)]
    other = subject is not None and (subject["ticker"] or "").upper() != symbol
    return f"It speaks of {subject[0]}, not of the price of {symbol}." if subject and other else ""


def _speaks_of(symbol: str, clause: str) -> bool:
    """Return whether a clause names the symbol, its share, or a word with its letters in order ("google", GOOG)."""
    letters = re.sub(r"(.)\1+", r"\1", symbol.partition(".")[0].lower())
    name = r"\b" + r"[a-z]*?".join(map(re.escape, letters)) + r"[a-z]*\b"
    return bool(re.search(rf"\b(?:it|stock|shares?|price|name)\b|{name}", clause.lower()))


def _horizon(reading: Reading, found: re.Match[str], at: datetime, valid_until: datetime | None) -> Horizon | str:
    """Return the horizon of a claim: the first behind it, else the last before it, of its own clause or by itself."""
    named = horizons(reading.text, at)
    near = []
    for each in named:
        begin, end = _clause(reading, each.start, each.stop)
        alone = len((reading.text[begin : each.start] + reading.text[each.stop : end]).split()) <= 2
        ahead = each.until >= at.date() and (each.lead != "on" or each.until > at.date())
        near += [each] if ahead and (alone or (begin <= found.start() and found.end() <= end)) else []
    if near:
        return next((each for each in near if each.start >= found.end() - 1), near[-1])
    if valid_until is not None:
        return Horizon(until=naive(valid_until, "valid_until").date(), lead="valid", start=0, stop=0)
    over = [each for each in named if each.until < at.date() and each.lead in FIRM]
    return f"Its horizon, {over[0].until}, was over when it was said." if over else "It names no horizon."


def _claimed(
    found: re.Match[str], before: str, amounts: Mapping[int, Amount], lead: str, plain: Forecast
) -> Forecast | str:
    """Return the forecast with what is claimed: its level or move, which way, and what must reach it."""
    given = {name for name, value in found.groupdict().items() if value}
    way: Way | None = "up" if given & {"over", "up", "plus", "double"} else None
    way = "down" if given & {"under", "down", "minus", "halve"} else way
    level = amounts[found.start("level")].value if "level" in given else None
    move = 1.0 if "double" in given else -0.5 if "halve" in given else None
    if "share" in given:
        move = (amounts[found.start("share")].share or 0.0) * (1 if way == "up" else -1)
    if level == 0 or (move is not None and move <= -1):
        return "Its level is no price."
    verb = _HOW.search(before)
    led = verb.lastgroup if verb else ""
    how: How = "close" if led == "close" else "touch"
    if (level is None and move is None) or led == "end" or lead in {"at", "on"}:
        how = "end"
    kept = led == "stays" or lead in {"until", "till", "til", "through"}
    stays = kept and how == "touch" and bool(given & {"over", "under"})
    if stays:
        way = "down" if way == "up" else "up"
    return replace(plain, way=way, level=level, move=move, how=how, denied=bool(_DENIAL.search(before)) != stays)


def _probability(masked: str, amounts: Mapping[int, Amount]) -> float | None:
    """Return the probability that a sentence states, if it does."""
    found = _ODDS.search(masked)
    if found is None:
        return None
    stated, *of = [amounts[found.start(name)] for name, value in found.groupdict().items() if value]
    share = stated.value / max(of[0].value, 1) if of else stated.share
    if share is None:
        share = stated.value / 100 if stated.value > 1 else stated.value
    return share if share <= 1 else None

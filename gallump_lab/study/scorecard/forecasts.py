"""Reading what bars can test out of a text or a recommendation: symbol, level or direction, horizon.

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
from typing import Any, Literal

from gallump_lab.brain.answer import Recommendation
from gallump_lab.reading.horizons import FIRM, Horizon, horizons
from gallump_lab.reading.periods import WORDS
from gallump_lab.store.times import naive

Way = Literal["up", "down"]
_ACTIONS: Mapping[str, Way] = {"buy": "up", "cover": "up", "sell": "down", "short": "down"}


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
    how: Literal["touch", "close", "end"] = "touch"
    """What must reach it: a high or low on any bar, the close of any bar, or the close at the horizon."""
    denied: bool = False
    """It says that this does not come."""
    trade: bool = False
    """A recommendation: where neither level nor stop is touched, the direction at the horizon tells."""
    stop: float | None = None
    """USD: a trade that touches it first has failed."""
    close: float | None = None
    """USD, as traded then: what a share cost when it was said, where that is recorded. It tells the split basis."""
    probability: float | None = None
    """Stated with it."""
    said: str = ""
    """The words it was read from."""


_UNIT = (
    r"%|percent|per\s+cent|pct|bps?|basis|points?|days?|weeks?|months?|years?|quarters?|sessions?|million|billion|thousand"
    r"|times|shares?|lots?|contracts?|euros?|cents?|degrees|[ap]\.?m\b|dollars?\s+(?:of|a\s+year|in)|of\s+\d|[mbx]\b"
)
_NUMBER = r"(?>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?>\.\d+)?"
_PRICE = rf"\$?\s*(?P<level>{_NUMBER})(?![-\w/:]|\.\d|\s*(?:{_UNIT}))"
_ABOUT = r"(?:(?:the|a|some|at\s+least|another|by|more\s+than)\s+)*"
_RISE = (
    r"ris(?:e|es|ing)|climb(?:s|ing)?|rall(?:y|ies|ying)|gain(?:s|ing)?|jump(?:s|ing)?|surg(?:es?|ing)|advanc(?:es?|ing)"
    r"|rebound(?:s|ing)?|recover(?:s|ing)?|bounc(?:es?|ing)|increas(?:es?|ing)|up|(?:higher|stronger)"
    r"(?!\s+(?:highs?|lows?|than))"
)
_FALL = (
    r"fall(?:s|ing)?|drop(?:s|ping)?|declin(?:es?|ing)|sinks?|sinking|slid(?:es?|ing)|slip(?:s|ping)?|tumbl(?:es?|ing)"
    r"|crash(?:es|ing)?|weaken(?:s|ing)?|los(?:es?|ing)|plung(?:es?|ing)|dips?|decreas(?:es?|ing)|sell(?:s|ing)?\s+off"
    r"|pull(?:s|ing)?\s+back|down|(?:lower|weaker)(?!\s+(?:highs?|lows?|than|band))"
)
_OVER = r"above|over|north\s+of|higher\s+than|past|beyond|at\s+least|>=?"
_UNDER = r"below|under|beneath|south\s+of|lower\s+than|<=?"
_GO = r"go(?:es|ing)?|gets?|getting|head(?:s|ed|ing)?|returns?|comes?|run(?:s|ning)?|moves?|trad(?:es?|ing)|back|way"
_REACH = (
    r"reach(?:es|ing)?|hit(?:s|ting)?|touch(?:es|ing)?|tests?|sees?|prints?|tags?|break(?:s|ing)?|cross(?:es|ing)?"
    r"|clear(?:s|ing)?|tops?|exceeds?|surpass(?:es)?|takes?\s+out"
)
_TO = rf"(?:(?:back|up|down|all\s+the\s+way|towards?|from\s+\$?{_NUMBER})\s+)*(?:to|as\s+(?:high|low)\s+as)"
_LEVELS = (
    rf"(?<!\w)(?:(?P<over>{_OVER})|(?P<under>{_UNDER}))\s*{_ABOUT}{_PRICE}",
    rf"\b(?:(?P<rise>{_RISE})|(?P<fall>{_FALL})|{_GO})\s+{_TO}\s+{_PRICE}",
    rf"\b(?:{_REACH})\s+{_PRICE}",
    rf"\btargets?\b[^,;.\d]{{0,25}}?{_PRICE}",
    rf"(?<!bottoms )(?<!peaks )(?<!out )(?<!support )(?<!resistance )(?<!floor )\bat\s+{_PRICE}",
    rf"(?:(?<!\S)(?=\$)|\b(?-i:[A-Z]{{2,5}})\s+){_PRICE}(?=\s+(?:by|before|within)\b)",
    rf"(?<!close )(?<!added )(?<!due )(?<!up )(?<!cut )(?<!next )(?<!compared )(?<!according )(?<!\d )\bto\s+{_PRICE}",
)
_SHARE = rf"(?P<share>{_NUMBER}|{'|'.join(WORDS)})\s*(?:%|percent\b|per\s+cent\b|pct\b)"
_SIGN = r"(?P<plus>(?<!\w)\+)|(?P<minus>(?<!\w)-)"
_MOVES = (
    rf"(?:\b(?:(?P<rise>{_RISE}|plus)|(?P<fall>{_FALL}|minus))\s+|{_SIGN}){_ABOUT}{_SHARE}",
    rf"\b{_SHARE}\s+(?:(?P<rise>{_RISE}|upside|more)|(?P<fall>{_FALL}|downside|less))\b",
    r"\b(?:(?P<double>doubles?)(?!\s+(?:bottom|top|digit|down)|-)|(?P<halve>halves?))\b",
)
# A bare "up" belongs to many verbs ("set up"), so it needs one of going or a ticker before it.
_UP_OR_DOWN = rf"\b(?:{_GO}|be|(?-i:[A-Z]{{2,5}}))\s+(?:(?P<up>up)|(?P<down>down))\b"
_DIRECTION = rf"\b(?:(?P<rise>{_RISE})|(?P<fall>{_FALL}))\b(?<!\bup)(?<!\bdown)|{_UP_OR_DOWN}"
_PATTERNS = [re.compile(each, re.IGNORECASE) for each in (*_LEVELS, *_MOVES, _DIRECTION)]

_SENTENCE = re.compile(r"[^.!?;\n]*(?:[.!?](?!\s|$)[^.!?;\n]*)*[.!?;\n]?")
_CLAUSE = re.compile(r",\s|;|\s(?:but|while|because|so|although|though|whereas|and\s+then)\s|\s[-\u2013\u2014]\s")
_QUOTED = re.compile(
    rf"\((?:(?:last|now|then|close|price|at|it|is|was)\s+)+\$?({_NUMBER})(?:,?\s+(?:on\s+)?\d{{4}}-\d\d-\d\d)?\)",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:if|unless|whether|provided|assuming|as long as|in case|once|depends)\b", re.IGNORECASE)
_PLAN = re.compile(
    r"\b(?:buy(?:s|ing)?|sell(?:s|ing)?(?!\s+off)|adds?|adding|trim(?:s|ming)?|exit(?:s|ing)?|leaves?|covers?|shorts"
    r"|shorting|enters?|owns?|reduces?|takes?\s+profits?|stops?|entry|limit|alert|strikes?|calls?\s+at"
    rf"|(?:holds?|holding)(?!\s+(?:{_OVER}|{_UNDER}|up)\b)|when(?:ever)?)\b",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\b(?:fell|rose|broke|dropped|traded|went|climbed|rallied|gained|lost|reached|crossed|touched|stood|stayed|held|bought"
    r"|sold|gave|made|preceded|led|finished|ended|jumped|slid|sank|did|earned|had\s+been|closed"
    rf"|(?:was|were)\s+(?:{_OVER}|{_UNDER}|up|down|at|\w+ing)|ha[sd]\s+\w+(?:ed|en)|had\s+\w+t)\b",
    re.IGNORECASE,
)
_USUAL = re.compile(
    r"\b(?:often|usually|typically|tends?\s+to|mostly|on\s+average|historically|always)\b", re.IGNORECASE
)
_HEDGE = re.compile(
    r"\b(?:could|might|perhaps|maybe|possibly|hopes?|hoping|wish(?:es)?|fears?)\b"
    r"|(?<!by )(?<!in )(?<!before )(?<!until )(?<!come )(?<!till )(?<!next )(?<!this )(?<!since )(?<!\d )\bmay\s+[a-z]",
    re.IGNORECASE,
)
_WITHDRAWN = re.compile(
    r"\b(?:no longer|not (?:sure|only|just)|used to|stopped|dropped|doubts?|instead of)\b", re.IGNORECASE
)
_LITOTES = re.compile(r"\b(?:(?:should|would|will)(?:n't| not)|won't) be surprised\b", re.IGNORECASE)
_DENIAL = re.compile(r"\b(?:not|never|wont|dont|cannot|\w+n't)\b", re.IGNORECASE)
_FUTURE = re.compile(
    r"\b(?:will|shall|should|would|going to|gonna|likely|bound to|set to|expect\w*|forecasts?|predict\w*|sees?|bets?"
    r"|thinks?|believ\w+|look(?:s|ing)? for|anticipat\w+|project\w*|targets?|reckons?|assum\w+|odds|never|cannot)\b"
    r"|'ll\b|\b(?:won|can)'t\b|\bto\s*$",
    re.IGNORECASE,
)
_STAYS = re.compile(r"\b(?:stay|hold|remain|keep)(?:s|ing)?(?:\s+at)?\s*$", re.IGNORECASE)
_NOUN = re.compile(r"\b(?:the|an?|this|that|its|any|every|each)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
_CLOSES = re.compile(r"\bclos(?:e|es|ing)(?:\s+at)?\s*$", re.IGNORECASE)
_ENDS = re.compile(r"\b(?:end|finish|settle)(?:s|es|ing)?(?:\s+(?:the|this|next)?\s*\w+)?(?:\s+at)?\s*$", re.IGNORECASE)
_NOUNS = """
eps earnings revenues? sales profits? margins? yields? vix rsi volatility volume dividends? payouts? multiple p/e pe
ratio sharpe exposure weight drawdown risk rates? inflation unemployment gdp euro oil gold s&p index indexes nasdaq dow
spreads? guidance growth book estimates? users? subscribers? holdings? cash capital account costs? averages? mean
sma ema vwap bands?
"""
_SUBJECT = re.compile(rf"(?<![\w$])(?:\$?(?P<ticker>[A-Z]{{2,5}}(?:[.-][A-Z])?)|(?i:{'|'.join(_NOUNS.split())}))(?!\w)")
_PLANNED = "It says what somebody plans to do, not what the price will do."
_NO_TICKERS = frozenset("USD US EUR UTC I A OK IMO FYI TP PT CEO CFO IPO ETF AM PM EOY AND OR NOT BY TO".split())
_ODDS = re.compile(
    rf"(?P<percent>{_NUMBER}|{'|'.join(WORDS)})\s*(?:%|percent)\s+(?:chance|likely|probab\w+|sure|confiden\w+|odds|that)\b"
    r"|\b(?:probability|confidence|chance|odds)\s+(?:of\s+|is\s+|at\s+)?(?P<share>0?\.\d+|\d{1,2}(?=\s*(?:%|percent)))"
    rf"|\b(?P<one>\d{{1,2}}|{'|'.join(WORDS)})\s+(?:chances?\s+)?in\s+(?P<of>\d{{1,2}}|{'|'.join(WORDS)})\b",
    re.IGNORECASE,
)


def testable(text: str, symbol: str | None, at: datetime, valid_until: datetime | None = None) -> Forecast | str:  # noqa: PT028 (no test)
    """Read the forecast that a text states.

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

    Returns
    -------
    Forecast or str
        Why there is none, in words.
    """
    if not symbol:
        return "It speaks of no symbol."
    at = naive(at, "at").replace(tzinfo=UTC)
    quoted = _QUOTED.search(text)
    why = ""
    for match in _SENTENCE.finditer(_LITOTES.sub("expect", _QUOTED.sub("", text))):
        found = _read(match[0].strip(), symbol.upper(), at, valid_until)
        if isinstance(found, Forecast):
            return replace(found, close=_number(quoted[1]) if quoted else None)
        why = why or found
    return why or "It states no level or direction."


def recommended(idea: Recommendation | Mapping[str, Any], at: datetime) -> Forecast | str:
    """Read the forecast in a recommendation: its target comes before its stop, within its horizon.

    Its action is the way: up for buy and cover, down for sell and short; for hold its target's or stop's side. What its
    entry says is not read: it is judged from the last close when it was made, filled or not.

    Parameters
    ----------
    idea : Recommendation or mapping
        As a reply gave it, or as a turn records it.
    at : datetime
        When it was made, UTC.

    Returns
    -------
    Forecast or str
        Why there is none, in words.
    """
    given = idea.to_dict() if isinstance(idea, Recommendation) else idea
    action, target, stop = given["action"], given.get("target"), given.get("stop")
    at = naive(at, "at").replace(tzinfo=UTC)
    words = str(given.get("horizon") or "")
    ahead = [each for each in horizons(words, at, bare=True) if each.until >= at.date()]
    if not ahead:
        return f"Its horizon, {words!r:.40}, is no date." if words else "It names no horizon."
    way = _ACTIONS.get(action)
    if way is None and target is None and stop is None:
        return f"{str(action).capitalize()} without target or stop names no direction."
    if way is None and target is not None and stop is not None:
        way = "up" if target > stop else "down"
    return Forecast(
        symbol=str(given["symbol"]).upper(),
        at=at,
        until=max(each.until for each in ahead),
        way=way,
        level=target,
        stop=stop,
        trade=True,
        probability=given.get("confidence"),
        said=f"{action} {given['symbol']}, target {target}, stop {stop}, {words}",
    )


def _read(sentence: str, symbol: str, at: datetime, valid_until: datetime | None) -> Forecast | str:
    """Read one sentence."""
    found, direction = next(
        ((match, each is _PATTERNS[-1]) for each in _PATTERNS if (match := each.search(sentence))), (None, False)
    )
    if found is None:
        return _PLANNED if _PLAN.search(sentence) else ""
    before = sentence[_clause(sentence, found.start(), found.end())[0] : found.start()]
    future = bool(_FUTURE.search(sentence) or _FUTURE.search(before))
    horizon = _horizon(sentence, found, at, valid_until)
    why = _fault(sentence, before, before + found[0], symbol) or (horizon if isinstance(horizon, str) else "")
    if isinstance(horizon, Horizon) and not why:
        # "The bounce before May" is a noun with a time, "up by May" a forecast.
        firm = horizon.lead in FIRM and not (direction and (horizon.lead == "before" or _NOUN.search(before)))
        why = "" if firm or future else "It tells how it is, not what will be."
        if not why and not (direction and not _speaks_of(symbol, before + found[0])):
            return _forecast(found, before, sentence, horizon, Forecast(symbol=symbol, at=at, until=horizon.until))
    # A word of direction alone is no claim that would need a reason.
    return "" if direction and not future else why


def _fault(sentence: str, before: str, clause: str, symbol: str) -> str:
    """Return why a sentence with a level or direction is none that bars can test; empty if it may be."""
    faults = (
        (sentence.endswith("?"), "It asks."),
        (_CONDITION.search(sentence), "It hangs on a condition."),
        (_PLAN.search(clause), _PLANNED),
        (_WITHDRAWN.search(clause), "It takes something back."),
        (_HEDGE.search(clause), "It says what could be, not what will."),
        (_PAST.search(clause), "It tells of the past."),
        (_USUAL.search(sentence), "It tells what is usual."),
        (len(_DENIAL.findall(before)) > 1, "It denies more than once."),
    )
    subject = [each for each in _SUBJECT.finditer(clause) if each["ticker"] not in _NO_TICKERS]
    other = subject and (subject[-1]["ticker"] or "").upper() != symbol
    why = next((why for fault, why in faults if fault), "")
    return why or (f"It speaks of {subject[-1][0]}, not of the price of {symbol}." if other else "")


def _speaks_of(symbol: str, clause: str) -> bool:
    """Return whether a clause names the symbol, its share, or a word with its letters in order ("google", GOOG)."""
    letters = re.sub(r"(.)\1+", r"\1", symbol.partition(".")[0].lower())
    name = re.compile(r"\b" + r"[a-z]*?".join(map(re.escape, letters)) + r"[a-z]*\b")
    return bool(re.search(r"\b(?:it|stock|shares?|price|name)\b", clause, re.IGNORECASE) or name.search(clause.lower()))


def _horizon(sentence: str, found: re.Match[str], at: datetime, valid_until: datetime | None) -> Horizon | str:
    """Return the horizon of a claim: the first behind it, else the last before it, of its own clause or by itself."""
    named = horizons(sentence, at)
    ahead = [each for each in named if each.until >= at.date() and (each.lead != "on" or each.until > at.date())]
    near = [each for each in ahead if _near(sentence, found, each)]
    behind = [each for each in near if each.start >= found.end() - 1]
    if near:
        return behind[0] if behind else near[-1]
    if valid_until is not None:
        return Horizon(until=naive(valid_until, "valid_until").date(), lead="valid", start=0, stop=0)
    over = [each for each in named if each.until < at.date() and each.lead in FIRM]
    return f"Its horizon, {over[0].until}, was over when it was said." if over else "It names no horizon."


def _near(sentence: str, found: re.Match[str], horizon: Horizon) -> bool:
    """Return whether a horizon is of a claim's own clause, or stands in one of at most two words beside its own."""
    begin, end = _clause(sentence, horizon.start, horizon.stop)
    beside = len((sentence[begin : horizon.start] + sentence[horizon.stop : end]).split())
    return beside <= 2 or (begin <= found.start() and found.end() <= end)


def _clause(sentence: str, start: int, stop: int) -> tuple[int, int]:
    """Return the clause around a part of a sentence."""
    begin = max((each.end() for each in _CLAUSE.finditer(sentence, 0, start + 1)), default=0)
    end = next((each.start() for each in _CLAUSE.finditer(sentence, max(stop - 1, 0))), len(sentence))
    return min(begin, start), max(end, stop)


def _forecast(found: re.Match[str], before: str, sentence: str, horizon: Horizon, plain: Forecast) -> Forecast | str:
    given = {name: value for name, value in found.groupdict().items() if value}
    up = any(each in given for each in ("over", "rise", "plus", "double", "up"))
    down = any(each in given for each in ("under", "fall", "minus", "halve", "down"))
    way: Way | None = "up" if up else "down" if down else None
    level = _number(given["level"]) if "level" in given else None
    move = {"double": 1.0, "halve": -0.5}.get(next((each for each in ("double", "halve") if each in given), ""))
    if "share" in given:
        move = _number(given["share"]) / (100 if way == "up" else -100)
    if level == 0 or (move is not None and move <= -1):
        return "Its level is no price."
    sided = "over" in given or "under" in given
    stays = sided and (_STAYS.search(before) is not None or horizon.lead in {"until", "till", "til", "through"})
    how: Literal["touch", "close", "end"] = "touch"
    if (level is None and move is None) or _ENDS.search(before) or horizon.lead in {"at", "on"}:
        how = "end"
    elif _CLOSES.search(before):
        how = "close"
    if stays and how == "touch":
        way = "down" if way == "up" else "up"
    return replace(
        plain,
        way=way,
        level=level,
        move=move,
        how=how,
        denied=bool(_DENIAL.search(before)) != (stays and how == "touch"),
        probability=_probability(sentence),
        said=sentence,
    )


def _probability(sentence: str) -> float | None:
    """Return the probability that a sentence states, if it does."""
    found = _ODDS.search(sentence)
    if found is None:
        return None
    if found["one"]:
        one, of = _number(found["one"]), _number(found["of"])
        return one / of if 0 < one <= of else None
    stated = _number(found["percent"] or found["share"])
    stated = stated / 100 if found["percent"] or stated > 1 else stated
    return stated if stated <= 1 else None


def _number(text: str) -> float:
    return float(WORDS.get(text.lower()) or text.replace(",", ""))

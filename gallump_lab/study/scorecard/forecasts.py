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


_UNIT = (
    r"%|percent|per\s+cent|pct|bps?|basis|points?|days?|weeks?|months?|years?|quarters?|sessions?|million|billion|thousand"
    r"|times|shares?|lots?|contracts?|euros?|cents?|degrees|[ap]\.?m\b|dollars?\s+(?:of|a\s+year|in)|of\s+\d|[mbx]\b"
)
_NUMBER = r"(?>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?>\.\d+)?"
_COUNT = rf"{_NUMBER}|{'|'.join(WORDS)}"
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
_SHARE = rf"(?P<share>{_COUNT})\s*(?:%|percent\b|per\s+cent\b|pct\b)"
# The first of these that a sentence has is read: a level, a move, a direction alone. A bare "up" belongs to many verbs
# ("set up"), so it needs one of going or a ticker before it.
_PATTERNS = [
    re.compile(each, re.IGNORECASE)
    for each in (
        rf"(?<!\w)(?:(?P<over>{_OVER})|(?P<under>{_UNDER}))\s*{_ABOUT}{_PRICE}",
        rf"\b(?:(?P<rise>{_RISE})|(?P<fall>{_FALL})|{_GO})\s+{_TO}\s+{_PRICE}",
        rf"\b(?:{_REACH})\s+{_PRICE}",
        rf"\btargets?\b[^,;.\d]{{0,25}}?{_PRICE}",
        rf"(?<!bottoms )(?<!peaks )(?<!out )(?<!support )(?<!resistance )(?<!floor )\bat\s+{_PRICE}",
        rf"(?:(?<!\S)(?=\$)|\b(?-i:[A-Z]{{2,5}})\s+){_PRICE}(?=\s+(?:by|before|within)\b)",
        rf"(?<!close )(?<!added )(?<!due )(?<!up )(?<!cut )(?<!next )(?<!according )(?<!\d )\bto\s+{_PRICE}",
        (
            rf"(?:\b(?:(?P<rise>{_RISE}|plus)|(?P<fall>{_FALL}|minus))\s+|(?P<plus>(?<!\w)\+)|(?P<minus>(?<!\w)-))"
            rf"{_ABOUT}{_SHARE}"
        ),
        rf"\b{_SHARE}\s+(?:(?P<rise>{_RISE}|upside|more)|(?P<fall>{_FALL}|downside|less))\b",
        r"\b(?:(?P<double>doubles?)(?!\s+(?:bottom|top|digit|down)|-)|(?P<halve>halves?))\b",
        (
            rf"\b(?:(?P<rise>{_RISE})|(?P<fall>{_FALL}))\b(?<!\bup)(?<!\bdown)"
            rf"|\b(?:{_GO}|be|(?-i:[A-Z]{{2,5}}))\s+(?:(?P<up>up)|(?P<down>down))\b"
        ),
    )
]
_SENTENCE = re.compile(r"[^.!?;\n]*(?:[.!?](?!\s|$)[^.!?;\n]*)*[.!?;\n]?")
_CLAUSE = re.compile(r",\s|;|\s(?:but|while|because|so|although|though|whereas|and\s+then)\s|\s[-\u2013\u2014]\s")
_QUOTED = re.compile(
    rf"\((?:(?:last|now|then|close|price|at|it|is|was)\s+)+\$?({_NUMBER})(?:,?\s+(?:on\s+)?\d{{4}}-\d\d-\d\d)?\)",
    re.IGNORECASE,
)
"""What it cost when it was said."""
_LITOTES = re.compile(r"\b(?:(?:should|would|will)(?:n't| not)|won't) be surprised\b", re.IGNORECASE)
_PLAN = re.compile(
    r"\b(?:buy(?:s|ing)?|sell(?:s|ing)?(?!\s+off)|adds?|adding|trim(?:s|ming)?|exit(?:s|ing)?|leaves?|covers?"
    r"|short(?:s|ing)|enters?|owns?|reduces?|takes?\s+profits?|stops?|entry|limit|alert|strikes?|calls?\s+at"
    rf"|hold(?:s|ing)?(?!\s+(?:{_OVER}|{_UNDER}|up)\b)|when(?:ever)?)\b",
    re.IGNORECASE,
)
_PLANNED = "It says what somebody plans to do, not what the price will do."
_NEVER_IN_SENTENCE = {
    "It hangs on a condition.": r"\b(?:if|unless|whether|provided|assuming|as long as|in case|once|depends)\b",
    "It tells what is usual.": r"\b(?:often|usually|typically|tends?\s+to|mostly|on\s+average|historically|always)\b",
}
_NEVER_IN_CLAUSE = {
    _PLANNED: _PLAN.pattern,
    "It takes something back.": r"\b(?:no longer|not (?:sure|only|just)|used to|stopped|dropped|doubts?|instead of)\b",
    "It says what could be, not what will.": (
        r"\b(?:could|might|perhaps|maybe|possibly|hop(?:es?|ing)|wish(?:es)?|fears?)\b|(?<!by )(?<!in )(?<!before )"
        r"(?<!until )(?<!come )(?<!till )(?<!next )(?<!this )(?<!since )(?<!\d )\bmay\s+[a-z]"
    ),
    "It tells of the past.": (
        r"\b(?:fell|rose|broke|dropped|traded|went|climbed|rallied|gained|lost|reached|crossed|touched|stood|stayed|held"
        r"|bought|sold|gave|made|preceded|led|finished|ended|jumped|slid|sank|did|earned|had\s+been|closed"
        rf"|(?:was|were)\s+(?:{_OVER}|{_UNDER}|up|down|at|\w+ing)|ha[sd]\s+\w+(?:ed|en)|had\s+\w+t)\b"
    ),
}
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
_SUBJECT = re.compile(
    r"(?<![\w$])(?:\$?(?P<ticker>(?!(?:USD?|EUR|UTC|OK|IMO|FYI|TP|PT|CEO|CFO|IPO|ETF|AM|PM|EOY|AND|OR|NOT|BY|TO)\b)"
    r"[A-Z]{2,5}(?:[.-][A-Z])?)|(?i:eps|earnings|revenues?|sales|profits?|margins?|yields?|vix|rsi|volatility|volume"
    r"|dividends?|payouts?|multiple|p/e|pe|ratio|sharpe|exposure|weight|drawdown|risk|rates?|inflation|unemployment|gdp"
    r"|euro|oil|gold|s&p|index|indexes|nasdaq|dow|spreads?|guidance|growth|book|estimates?|users?|subscribers?|holdings?"
    r"|cash|capital|account|costs?|averages?|mean|sma|ema|vwap|bands?))(?!\w)"
)
"""What a level may be of, other than a price of the symbol: another symbol, or a measure."""
_ODDS = re.compile(
    rf"(?P<percent>{_COUNT})\s*(?:%|percent)\s+(?:chance|likely|probab\w+|sure|confiden\w+|odds|that)\b"
    r"|\b(?:probability|confidence|chance|odds)\s+(?:of\s+|is\s+|at\s+)?(?P<share>0?\.\d+|\d{1,2}(?=\s*(?:%|percent)))"
    rf"|\b(?P<one>{_COUNT})\s+(?:chances?\s+)?in\s+(?P<of>{_COUNT})\b",
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
    why = ""
    for match in _SENTENCE.finditer(_LITOTES.sub("expect", _QUOTED.sub("", text))):
        found = _read(match[0].strip(), symbol.upper(), at, valid_until)
        if isinstance(found, Forecast):
            return replace(found, close=_number(quoted[1]) if quoted else None)
        why = why or found
    return why or "It states no level or direction."


def recommended(idea: Recommendation | Mapping[str, Any], at: datetime) -> Forecast | str:
    """Return the forecast in a recommendation, its target before its stop within its horizon, or why there is none.

    Its action is the way: up for buy and cover, down for sell and short; for hold its target's or stop's side. What its
    entry says is not read: it is judged from the last close when it was made, filled or not.

    Parameters
    ----------
    idea : Recommendation or mapping
        As a reply gave it, or as a turn records it.
    at : datetime
        When it was made, UTC.
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
    )


def _read(sentence: str, symbol: str, at: datetime, valid_until: datetime | None) -> Forecast | str:
    """Return the forecast of one sentence, or why it is none; empty where it makes no claim that needs a reason."""
    found, pattern = next(((match, each) for each in _PATTERNS if (match := each.search(sentence))), (None, None))
    if found is None:
        return _PLANNED if _PLAN.search(sentence) else ""
    before = sentence[_clause(sentence, found.start(), found.end())[0] : found.start()]
    direction = pattern is _PATTERNS[-1]
    future = bool(_FUTURE.search(sentence) or _FUTURE.search(before))
    horizon = _horizon(sentence, found, at, valid_until)
    why = _why_not(sentence, before, before + found[0], symbol) or (horizon if isinstance(horizon, str) else "")
    if isinstance(horizon, Horizon) and not why:
        # "The bounce before May" is a noun with a time, "up by May" a forecast.
        firm = horizon.lead in FIRM and not (direction and (horizon.lead == "before" or _NOUN.search(before)))
        if not firm and not future:
            why = "It tells how it is, not what will be."
        elif not direction or _speaks_of(symbol, before + found[0]):
            return _forecast(found, before, sentence, horizon, Forecast(symbol=symbol, at=at, until=horizon.until))
    return "" if direction and not future else why


def _why_not(sentence: str, before: str, clause: str, symbol: str) -> str:
    """Return why a sentence with a level or direction is none that bars can test; empty if it may be."""
    if sentence.endswith("?"):
        return "It asks."
    for patterns, text in ((_NEVER_IN_SENTENCE, sentence), (_NEVER_IN_CLAUSE, clause)):
        for why, pattern in patterns.items():
            if re.search(pattern, text, re.IGNORECASE):
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


def _horizon(sentence: str, found: re.Match[str], at: datetime, valid_until: datetime | None) -> Horizon | str:
    """Return the horizon of a claim: the first behind it, else the last before it, of its own clause or by itself."""
    named = horizons(sentence, at)
    near = []
    for each in named:
        begin, end = _clause(sentence, each.start, each.stop)
        alone = len((sentence[begin : each.start] + sentence[each.stop : end]).split()) <= 2
        ahead = each.until >= at.date() and (each.lead != "on" or each.until > at.date())
        near += [each] if ahead and (alone or (begin <= found.start() and found.end() <= end)) else []
    if near:
        return next((each for each in near if each.start >= found.end() - 1), near[-1])
    if valid_until is not None:
        return Horizon(until=naive(valid_until, "valid_until").date(), lead="valid", start=0, stop=0)
    over = [each for each in named if each.until < at.date() and each.lead in FIRM]
    return f"Its horizon, {over[0].until}, was over when it was said." if over else "It names no horizon."


def _clause(sentence: str, start: int, stop: int) -> tuple[int, int]:
    """Return the clause around a part of a sentence."""
    begin = max((each.end() for each in _CLAUSE.finditer(sentence, 0, start + 1)), default=0)
    end = next((each.start() for each in _CLAUSE.finditer(sentence, max(stop - 1, 0))), len(sentence))
    return min(begin, start), max(end, stop)


def _forecast(found: re.Match[str], before: str, sentence: str, horizon: Horizon, plain: Forecast) -> Forecast | str:
    given = {name: value for name, value in found.groupdict().items() if value}
    way: Way | None = "up" if given.keys() & {"over", "rise", "plus", "double", "up"} else None
    way = "down" if given.keys() & {"under", "fall", "minus", "halve", "down"} else way
    level = _number(given["level"]) if "level" in given else None
    move = 1.0 if "double" in given else -0.5 if "halve" in given else None
    if "share" in given:
        move = _number(given["share"]) / (100 if way == "up" else -100)
    if level == 0 or (move is not None and move <= -1):
        return "Its level is no price."
    how: Literal["touch", "close", "end"] = "touch"
    if (level is None and move is None) or _ENDS.search(before) or horizon.lead in {"at", "on"}:
        how = "end"
    elif _CLOSES.search(before):
        how = "close"
    sided = "over" in given or "under" in given
    stays = sided and (_STAYS.search(before) is not None or horizon.lead in {"until", "till", "til", "through"})
    stays = stays and how == "touch"
    return replace(
        plain,
        way=("down" if way == "up" else "up") if stays else way,
        level=level,
        move=move,
        how=how,
        denied=bool(_DENIAL.search(before)) != stays,
        probability=_probability(sentence),
    )


def _probability(sentence: str) -> float | None:
    """Return the probability that a sentence states, if it does."""
    found = _ODDS.search(sentence)
    if found is None:
        return None
    if found["one"]:
        stated = _number(found["one"]) / max(_number(found["of"]), 1)
    else:
        stated = _number(found["percent"] or found["share"])
        stated = stated / 100 if found["percent"] or stated > 1 else stated
    return stated if stated <= 1 else None


def _number(text: str) -> float:
    return float(WORDS.get(text.lower()) or text.replace(",", ""))

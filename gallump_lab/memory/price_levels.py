"""Stops, targets, entries, positions, sizes, forecasts: what a clause states of a symbol that a newer one replaces.

Wrong is worse than nothing: a clause teaches a value only if each of its words is one of those below, so that there
is one way to read it. Anything else, a name, a doubt, a comparison, leaves it a sentence to remember.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from gallump_lab.lazy import regex
from gallump_lab.memory.figures import OUT, SOLD
from gallump_lab.memory.records import Kind
from gallump_lab.reading.dates import Named, times
from gallump_lab.reading.numbers import numbers
from gallump_lab.reading.periods import Horizon, deadline

Spans = Callable[[str], Sequence[tuple[int, int, str]]]
VALUED = frozenset({"stop", "target", "entry level", "position", "size", "forecast", "support", "resistance"})
"""Attributes of a symbol of which the newest holds."""
_KINDS: dict[str | None, Kind] = {"position": "position", "size": "position", None: "position", "forecast": "thesis"}

RETAKEN = regex(
    r"(?:(?:h+m+|oh|ok|um|er|uh)[,. ]+)*(?:no|nah|nope|wait|scratch that|i mean|i meant|make (?:that|it)"
    r"|correction|typo|sorry|sry|actually)\b[^.!?]{0,30}?\d",
    re.IGNORECASE,
)
"""What was just said is taken back, and said otherwise."""

_PHRASES = [
    (regex(rf"(?<!\w)(?:{pattern})(?![\w'])"), name)
    for name, pattern in {
        " _target ": r"price target|profit objective|upside|take[ -]?profits?(?: order)?|t/p|(?:limit )?order to sell",
        " _entry ": r"(?:limit )?order to buy|buy (?:limit|stop)|limit buy",
        " _stop ": r"stop[ -]?loss|sell stop|s/l|line in the sand|kill switch|loss limit|bail-?out(?: level)?"
        r"|hard floor|point of no return",
        " _even ": r"break[ -]?even|b/e|(?<=stop )to (?:my )?(?:entry|cost)(?: price)?",
        " _closed ": rf"(?:got (?:me )?|was |were |been )*(?:{OUT})(?: of)?"
        r"|got (?:me )?stopped|no longer (?:own|hold)|(?:i'?m |i am |am |got )?out of|got out|as of",
        " _part ": r"(?:another |the other )?(?:half|a third|a quarter|two thirds|some|part|most|a few)(?: off)?"
        r"(?: of)?(?: (?:the|my) table)?|(?:by|in|to) half(?: size)?|half size",
        " _all ": r"all of (?:it|them)|the (?:whole|entire) (?:position|lot|thing)|the (?:rest|remaining)(?: of it)?",
        " _bought ": r"(?:went|got) (?:long|short)|picked up|got in(?:to)?|i'?m in|loaded up(?: on)?|positions? ?:"
        r"|(?:opened|started) a (?:long|short|position)(?: in)?|pulled the trigger on",
        " _buy ": r"start(?:ing)? (?:to buy|buying|a position)|step(?:ping)? in(?:to)?|go(?:ing)? long|put me down"
        r"|get(?:ting)? (?:long|into|back in)",
        " _expect ": r"will (?:be|hit|see|reach|go to|get to)|base case|goes to|heading to",
        r"\1 is ": r"(stop|target)'s",
        " _hit ": r"(?:got|was|is|been) (?:hit|triggered|executed)",
        " not ": r"instead of|rather than",
        " now ": r"any ?more|no longer",
        " ": r"from +[NP]\S+ (?= *to +[NP])",
    }.items()
]
"""What is said in several words, in one."""
_CLASSES = {
    "attribute": "stop stops sl trail trailing target targets tgt tp entry support resistance size qty _stop _target "
    "_entry",
    "plural": "stops targets",
    "remove": "cancel cancelled canceled pull pulled remove removed delete deleted scrap scrapped drop dropped "
    "forget scratch no off",
    "bought": "bought grabbed added own long short shorted hold holding paid acquired filled fill got _bought",
    "sold": f"{SOLD} flat _closed",
    "reduced": "trimmed lightened reduced halved cut took taken gone closed sold trim",
    "part": "_part",
    "all": "all everything completely entirely it whole _all _closed",
    "buy": "buy buying add adding nibble accumulate enter reenter re-enter bid bidding _buy",
    "sell": "sell selling trim",
    "leave": "out gone exit sell bail close flat done cut _closed",
    "down": "below under through loses breaks drops falls",
    "up": "above over past hits hit reaches touches >",
    "price": "at @ from paid cost filled fill avg average ,",
    "old": "from was not isn't isnt wasn't",
    "anew": "now new no wait make actually mean meant typo sorry sry scratch nah hm hmm oh is it's",
    "shares": "shares share sh stock lots stueck st\u00fcck",
    "book": "book portfolio account fund nav capital",
    "expect": "expect expecting see say think believe bet forecast _expect",
    "if": "if when once",
    "later": "will would i'd i'll ill want gonna if when once",
    "even": "_even",
    "trail": "trail trailing",
}
_FILLERS = """
i i'm im i've ive my our we the a an this it its are am to of on for in by up down and then also just ok okay btw
still keep keeping kept stay stays sits stands goes go going move moved moving raise raised raising lower lowered
lowering bump bumped bumping tighten tightened ratchet ratcheted set setting put putting has have had been be
leave leaving with order gtc limit only more hard mental today tomorrow tmrw yesterday tonight = : -> => ( ) as position
positions trade weight decided first initial current trading trades closes bit imo around loss again back dip always
take taking them pls _hit hedge spot perp through nice yes yep so rest bucks dollars price level lot planned usual
any whole done an one running overnight remember switched change changed changing
"""
MEANS: dict[str, frozenset[str]] = dict.fromkeys(_FILLERS.split(), frozenset())
"""What each word means, by the names of `_CLASSES`; a filler is understood and means nothing."""
for _name, _words in _CLASSES.items():
    MEANS |= {word: MEANS.get(word, frozenset()) | {_name} for word in _words.split()}
_ATTRIBUTES = {
    "stops": "stop", "sl": "stop", "trail": "stop", "trailing": "stop", "targets": "target", "tgt": "target",
    "tp": "target", "entry": "entry level", "_entry": "entry level", "qty": "size",
}  # fmt: skip
_OPTIONS = regex(
    r"\b(?:calls?|puts?(?! (?:an?|my|the|our|it|in|on|another|me|up|stops?)\b)|strikes?|straddles?|strangles?"
    r"|spreads?|condors?|collars?|contracts?|csps?|leaps|dte|options?|\d+(?:\.\d+)?[cp])\b",
    re.IGNORECASE,
)
"""An option's level or trade is not its stock's."""
_DOUBTS = regex(
    r"\b(?:he|she|they|his|her|their|you|your|says|said|thinks|told|according|heard|rumou?r\w*|suggest\w*|recommend\w*"
    r"|analysts?|consensus|maybe|perhaps|might|(?-i:may)|could|should|thinking|consider\w*|tempted|torn|almost|nearly"
    r"|wish|wonder\w*|guess|probably|supposed?|imagin\w+|assum\w+|hypothe\w+|pretend\w*|what if|if only|between|or so"
    r"|ish|would(?:'ve| have)|disagree|never(?! mind)|don'?t|didn'?t|won'?t|wouldn'?t|can'?t|ago|last (?:year|month)"
    r"|(?:was|were) (?:going|about) to|used to)\b",
    re.IGNORECASE,
)
"""A sentence that has one of these states nothing for certain, whatever its clauses say by themselves."""
_QUOTED = regex(r"[\"\u201c\u201d\u201e\u00ab]|(?<!\w)['\u2018][^'\u2019]+\s[^'\u2019]+['\u2019](?!\w)")
_CLAUSE = regex(
    r"(?<=\d)\s+(?=(?:sl|tp|stop|target|tgt|pt|size|qty|entry)\b[\s:=@$]{0,3}\d)|[,;](?:\s+|$)|\s+/\s+|[.!]\s+"
    r"|\s*(?:\.{3}|\u2026)\s*|\s+(?:and|but|then|with|w|w/|so)\s+|\s+[-\u2013\u2014]+\s+",
    re.IGNORECASE,
)
_WHEN = regex(
    r"\b(?:(?:on )?(?:mon|tues?|wed|thurs?|fri)\b|(?:this |last )?(?:morning|afternoon|evening|night)"
    r"|(?:on |since |as of )?\d{1,2}/\d{1,2}(?:/\d{2,4})?"
    r"|(?:at|after|before|into) (?:the )?(?:open|close))\b|\b(?:on|since|as of|from) +(?= {3,}|$)",
    re.IGNORECASE,
)
"""When something was done, which changes nothing of what was; what leads to a date that was taken out."""
_APART = regex(r"[NP]\S+ +(?:(?:to|or|-|\u2013|/) *)?[NP]\d")
"""From one number to another, this or that, a row of a table."""
_TOKEN = regex(r"[NP]\d+(?:\.\d+)?|S\b|->|=>|[a-z_\u00e4\u00f6\u00fc]+(?:['-][a-z]+)*|[^\s.!\"*]")

_Stated = tuple[str | None, str]
"""An attribute and its value, as in `Stance`."""


@dataclass(frozen=True, kw_only=True)
class Stance:
    """What a clause states of a symbol."""

    text: str
    """The clause, or clauses, in its author's words."""
    symbol: str
    attribute: str | None
    """None for what replaces nothing, such as the sale of a part."""
    value: str
    until: datetime | None = None

    @property
    def kind(self) -> Kind:
        """The kind of insight that it makes."""
        return _KINDS.get(self.attribute, "level")


def claims(text: str, about: str | None, at: datetime, spans: Spans) -> list[Stance]:
    """Return what a statement claims of symbols, in its order; of an attribute that it corrects, the last.

    Parameters
    ----------
    text : str
        A sentence, or several of which one corrects the other.
    about : str, optional
        The symbol that was spoken of before it.
    at : datetime
        When it was said, in the time zone whose days count: a month or day without a year is the next one.
    spans : callable
        Returns where a text names symbols: start, stop and symbol of each.

    Examples
    --------
    >>> aapl = lambda text: [(m.start(), m.end(), "AAPL") for m in re.finditer("AAPL", text)]
    >>> [(each.attribute, each.value) for each in claims("AAPL stop 180, no wait, 185", None, datetime.now(UTC), aapl)]
    [('stop', '185')]
    """
    limit = deadline(text, at)
    bare = _without(text, [limit] if limit else [])
    if _DOUBTS.search(bare) or _QUOTED.search(bare):
        return []
    bare = _WHEN.sub(lambda when: " " * len(when[0]), _without(bare, times(bare, at.date())))
    whole = Clause(bare, spans)
    about = whole.symbols[0] if len(whole.symbols) == 1 else about
    ends = text[limit.start : limit.stop].rstrip(".") if limit else None
    found = _read(text, bare, about, spans, ends)
    if about and len(whole.symbols) < 2 and whole.understood and (planned := _planned(whole)):
        found = [Stance(text=text, symbol=about, attribute=planned[0], value=planned[1])]
    until = limit.over(at.tzinfo) if limit else None
    return [replace(each, until=until) for each in found if each.value]


class Clause:
    """A clause as words, of which those that are understood have meanings."""

    def __init__(self, text: str, spans: Spans = lambda _: ()) -> None:
        named = spans(text)
        spelt = _spelt(text, named)
        self.text = text
        self.symbols = [*dict.fromkeys(symbol for _, _, symbol in named)]
        self.words = _TOKEN.findall(spelt)
        self._meanings: list[frozenset[str]] = [MEANS.get(word, frozenset()) for word in self.words]
        self.means = frozenset().union(*self._meanings)
        known = all(word in MEANS or word[0].isupper() for word in self.words)
        self.understood = known and not _APART.search(spelt)
        self.prices = {place: word[1:] for place, word in enumerate(self.words) if word[0] == "N"}
        """By their places among the words."""
        self.percents = [word[1:] for word in self.words if word[0] == "P"]
        said = (word for word, means in zip(self.words, self._meanings, strict=True) if "attribute" in means)
        self.attributes = [*dict.fromkeys(_ATTRIBUTES.get(word, word.strip("_")) for word in said)]

    def only(self, meaning: str) -> bool:
        """Return whether every word has a meaning."""
        said = zip(self.words, self._meanings, strict=True)
        return bool(self.words) and all(meaning in means or word in {"that", "it"} for word, means in said)

    def after(self, place: int, meaning: str) -> bool:
        """Return whether the word before a place has a meaning; symbols are passed over."""
        before = [means for word, means in zip(self.words[:place], self._meanings, strict=False) if word != "S"]
        return bool(before) and meaning in before[-1]

    def price(self) -> str | None:
        """Return the one price that holds, without those that gave way to another; None where that is not one."""
        values = {
            value
            for place, value in self.prices.items()
            if not self.after(place, "old") and {"->", "=>", ">"}.isdisjoint(self.words[place + 1 : place + 2])
        }
        return values.pop() if len(values) == 1 else None

    def paid(self) -> list[int]:
        """Return the places of what is told as a price: "at 180", "from 180"."""
        return [place for place in self.prices if self.after(place, "price")]


def _spelt(text: str, named: Sequence[tuple[int, int, str]]) -> str:
    """Write a clause in lower case: S for a symbol, N and P for a price and a percentage, ? for other numbers."""
    marks = [(start, stop, "S") for start, stop, _ in named]
    for each in numbers(text):
        if not any(start <= each.start < stop for start, stop, _ in marks):
            kind = {"": "N", "%": "P"}.get(each.unit) if each.value and each.value > 0 else None
            marks.append((each.start, each.stop, f"{kind}{each}" if kind else "?"))
    found, place = "", 0
    for start, stop, mark in sorted(marks):
        found += f"{text[place:start].lower()} {mark} "
        place = stop
    found = (found + text[place:].lower()).replace("\u2019", "'").replace("\u2192", "->")
    for pattern, name in _PHRASES:
        found = pattern.sub(name, found)
    return found


def _without(text: str, parts: Iterable[Horizon | Named]) -> str:
    """Put spaces in the place of parts of a text."""
    for each in parts:
        text = text[: each.start] + " " * (each.stop - each.start) + text[each.stop :]
    return text


def _read(text: str, bare: str, about: str | None, spans: Spans, ends: str | None) -> list[Stance]:
    """Read a statement by its clauses; `bare` is it without its dates, `ends` names until when it holds."""
    found: list[Stance] = []
    topic: Stance | None = None  # what a bare number after it would go on with
    begun, taken_back = 0, False
    cuts = [0, *(place for cut in _CLAUSE.finditer(bare) for place in cut.span()), len(bare)]
    pieces = zip(cuts[::2], cuts[1::2], strict=True)
    for start, stop in (each for each in pieces if bare[slice(*each)].strip()):
        clause = Clause(bare[start:stop], spans)
        if _OPTIONS.search(clause.text):  # whose a level after it is, nobody knows
            about = None
        elif clause.symbols:
            about = clause.symbols[0] if len(clause.symbols) == 1 else None
        if topic and clause.only("anew"):
            taken_back = True
            continue
        if not clause.understood or about is None:
            if topic and clause.prices and RETAKEN.match(clause.text.strip()):
                found.remove(topic)
            topic = None
            continue
        stated = _forecast(clause, ends) or _levelled(clause) or _traded(clause) or _planned(clause)
        goes_on = False
        if stated is None and topic:
            other = about != topic.symbol
            stated = _continued(clause, topic, other=other, taken_back=taken_back)
            goes_on = (stated is not None or taken_back) and not (stated and other)
            if goes_on:
                found.remove(topic)
        begun = begun if goes_on else start
        if stated:
            said = text[begun:stop].strip()
            claim = Stance(text=said, symbol=about, attribute=stated[0], value=stated[1])
            found.append(claim)
            topic = claim if claim.value or not topic else None
        else:
            topic = None
        taken_back = False
    return [each for each in found if not (taken_back and each is topic)]


def _planned(clause: Clause) -> _Stated | None:
    """Recognise a level at which something is to be done: "if it loses 24 I'm out", "sell at 480", "buy under 27"."""
    means, price = clause.means, clause.price()
    if price is None or clause.attributes or len(clause.prices) > 1:
        return None
    if means & {"leave", "sell"} and "down" in means and "part" not in means:
        return "stop", price
    if "sell" in means and not means & {"down", "part"}:
        return "target", price
    return ("entry level", price) if "buy" in means and not means & {"sell", "sold"} else None


def _levelled(clause: Clause) -> _Stated | None:
    """Recognise a level by its name: "my stop is 420", "no stop any more"; and a weight: "FB is 6% of my book"."""
    if not clause.attributes and "book" in clause.means and len(clause.percents) == 1 and not clause.prices:
        return "size", f"{clause.percents[0]}%"
    if len(clause.attributes) != 1:
        return None
    (attribute,), means, value = clause.attributes, clause.means, clause.price() or ""
    if "if" in means or (attribute == "stop" and "i'd" in clause.words) or ("plural" in means and not clause.symbols):
        return None
    if attribute == "stop" and "_hit" in clause.words and value:
        return "position", f"closed at {value}"
    if attribute == "stop" and not value and "trail" in means and len(clause.percents) == 1:
        value = f"{clause.percents[0]}% trailing"
    if attribute == "stop" and not value and "even" in means:
        value = "breakeven"
    if not value and not clause.prices and not clause.percents and "remove" in means:
        value = "none"
    return attribute, value


def _traded(clause: Clause, *, bought: bool = False) -> _Stated | None:
    """Recognise what was done, as against what is planned: bought, sold, a part of it sold."""
    means, prices = clause.means, clause.prices
    # "AAPL closed at 441", "GOOG bought Motorola": a company, or the market, is who deals
    does = {"bought", "sold", "closed", "added", "booked", "own", "paid"}
    others = any(one == "S" and other in does for one, other in pairwise(clause.words))
    mine = {*clause.words} & {"i", "we", "my", "our", "position", "trade", "S"}
    if clause.attributes or "later" in means or others or ("closed" in clause.words and not mine):
        return None
    paid = clause.paid()
    if not paid and len(prices) == 1 and "." in min(prices.values()):
        paid = [*prices]
    counts = [value for place, value in prices.items() if place not in paid[-1:]]
    price = f" at {prices[paid[-1]]}" if paid else ""
    if means & {"down", "up"} or (not paid and any("." in value for value in counts)):
        return None
    if ("part" in means and means & {"reduced", "sold"}) or ("sold" in means and len(counts) == 2):
        return None, f"reduced{price}"
    if "sold" in means:  # so many of them may be all or a part
        return (None, f"sold {counts[0]}{price}") if counts and "all" not in means else ("position", f"closed{price}")
    if (bought or "bought" in means) and len(counts) < 2:
        return "position", f"{' '.join(counts)}{price}".strip()
    return None


def _forecast(clause: Clause, ends: str | None) -> _Stated | None:
    """Recognise where a price is expected: "above 900 by December"."""
    means, price = clause.means, clause.price()
    away = means & {"bought", "sold", "buy", "sell", "leave", "remove", "if", "reduced"}
    if price is None or clause.attributes or away or not (ends or ("expect" in means and means & {"up", "down"})):
        return None
    way = "below " if "down" in means else "above " if "_expect" in clause.words else ""
    way = "above " if "up" in means else way
    return "forecast", f"{way}{price}" + (f" {ends}" if ends else "")


def _continued(clause: Clause, topic: Stance, *, other: bool, taken_back: bool) -> _Stated | None:
    """Recognise a value that goes on with what was said: "no wait, 185", or of another symbol "and on MSFT 26"."""
    price, attribute = clause.price(), topic.attribute
    if attribute == "position":
        if taken_back:
            return None if other else _corrected(clause, topic, price)
        return (None if other else _completed(clause, topic, price)) or _traded(clause, bought=not topic.value)
    if price is None or clause.attributes or clause.means & {"bought", "sold", "buy", "sell"}:
        return None
    if "shares" in clause.means:  # how many, not where
        return None if other else (attribute, topic.value)
    if other or not topic.value or taken_back or "anew" in clause.means:
        return attribute, price
    return attribute, ""  # one of two


def _corrected(clause: Clause, topic: Stance, price: str | None) -> _Stated | None:
    """Recognise what holds of a trade after all: "sorry, 80 shares, not 60", "no wait, at 341"."""
    held, at, paid = f" {topic.value}".partition(" at ")
    if price and "shares" in clause.means:
        return "position", f"{price}{at}{paid}"
    return ("position", f"{held} at {price}".strip()) if price and [*clause.prices][-1] in clause.paid() else None


def _completed(clause: Clause, topic: Stance, price: str | None) -> _Stated | None:
    """Recognise the rest of a trade: its price, or how many."""
    value = topic.value
    if price and value == "closed":
        return "position", f"closed at {price}"
    if price and value.startswith("at ") and "shares" in clause.means:
        return "position", f"{price} {value}"
    if price and value.replace(".", "").isdigit() and [*clause.prices][-1] in clause.paid():
        return "position", f"{value} at {price}"
    return None

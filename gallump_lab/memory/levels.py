"""Stops, targets, entries, positions, sizes, forecasts: what a clause states of a symbol that a newer one replaces.

Wrong is worse than nothing: a clause teaches a value only if each of its words is one of those below, so that there is
one way to read it. Anything else, a name, a doubt, a comparison, leaves it a sentence to remember.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gallump_lab.memory.records import Kind
from gallump_lab.reading.dates import Named, times
from gallump_lab.reading.horizons import DEADLINES, Horizon, horizons
from gallump_lab.reading.numbers import numbers
from gallump_lab.reading.periods import DAY, midnight

Spans = Callable[[str], Sequence[tuple[int, int, str]]]
"""Gives where a text names symbols: start, stop and symbol of each."""

VALUED = frozenset({"stop", "target", "entry level", "position", "size", "forecast", "support", "resistance"})
"""Attributes of a symbol of which the newest holds."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a clause states of a symbol."""

    text: str
    """The clause, or clauses, in its author's words."""
    symbol: str
    kind: Kind
    attribute: str | None
    """None for what replaces nothing, such as the sale of a part."""
    value: str
    until: datetime | None = None


_PHRASES = [
    (re.compile(rf"(?<!\w)(?:{pattern})(?![\w'])"), name)
    for name, pattern in {
        " _target ": r"price target|profit objective|upside|take[ -]?profits?(?: order)?|t/p|limit (?:order to )?sell|(?:limit )?order to sell",
        " _entry ": r"(?:limit )?order to buy|buy (?:limit|stop)|limit buy",
        " _stop ": r"stop[ -]?loss|sell stop|s/l|line in the sand|kill switch|loss limit|bail-?out(?: level)?|point of no return|hard floor",
        " _even ": r"break[ -]?even|b/e|(?<=stop )to (?:my )?(?:entry|cost)(?: price)?",
        " _closed ": r"(?:got (?:me )?|was |were |been )*(?:stopped(?: out)?|taken out|called away)(?: of)?"
        r"|no longer (?:own|hold)|(?:i'?m |i am |am |got )?out of|got out|as of",
        " _part ": r"(?:another |the other )?(?:half|a third|a quarter|two thirds|some|part|most|a few)(?: off)?(?: of)?"
        r"(?: (?:the|my) table)?|(?:by|in|to) half(?: size)?|half size",
        " _all ": r"all of (?:it|them)|the (?:whole|entire) (?:position|lot|thing)|the (?:rest|remaining)(?: of it)?",
        " _bought ": r"(?:went|got) (?:long|short)|picked up|got in(?:to)?|i'?m in|pulled the trigger on"
        r"|loaded up(?: on)?|opened a (?:long|short|position)(?: in)?|started a position(?: in)?|positions? ?:",
        " _buy ": r"start(?:ing)? (?:to buy|buying|a position)|step(?:ping)? in(?:to)?|go(?:ing)? long|put me down",
        " _expect ": r"will (?:be|hit|see|reach|go to|get to)|base case|goes to|heading to",
        " cancel ": r"never mind",
        r"\1 is ": r"(stop|target)'s",
        " _hit ": r"(?:got|was|is|been) (?:hit|triggered|executed)",
        " not ": r"instead of|rather than",
        " now ": r"any ?more|no longer",
        " ": r"from +N\S+ (?= *to +N)",
    }.items()
]
_CLASSES = {
    "attribute": "stop stops sl target targets tgt tp entry support resistance size qty _stop _target _entry trail trailing",
    "plural": "stops targets",
    "remove": "cancel cancelled canceled pull pulled remove removed delete deleted scrap scrapped drop dropped forget scratch no off",
    "bought": "bought grabbed added own long short shorted hold holding paid acquired filled fill got _bought",
    "sold": "sold exited closed covered dumped unloaded liquidated flattened flat _closed",
    "reduced": "trimmed lightened reduced halved cut took taken gone closed sold trim",
    "part": "_part",
    "all": "all everything completely entirely it whole _all",
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
i i'm im i've ive my our we the a an this it its are am to of on for in by up down and then also just ok okay btw still
keep keeping kept stay stays sits stands goes go going move moved moving raise raised raising lower lowered lowering bump
bumped bumping tighten tightened ratchet ratcheted set setting put putting has have had been be leave leaving with order
gtc limit only more hard mental today tomorrow tmrw yesterday tonight = : -> => ( ) as position positions trade weight
order decided first initial current trading trades closes bit imo around loss again back dip always take taking them
weight again pls _hit hedge spot perp through nice yes yep so rest bucks dollars price level lot planned usual any whole done
"""
_MEANS: dict[str, set[str]] = {word: set() for word in _FILLERS.split()}
for _name, _words in _CLASSES.items():
    for _word in _words.split():
        _MEANS.setdefault(_word, set()).add(_name)
_ATTRIBUTES = {
    "stops": "stop", "targets": "target", "sl": "stop", "trail": "stop", "trailing": "stop", "tgt": "target", "tp": "target", "entry": "entry level",
    "qty": "size", "_entry": "entry level",
}  # fmt: skip
_KINDS: dict[str | None, Kind] = {"position": "position", "size": "position", None: "position", "forecast": "thesis"}

_OPTIONS = re.compile(
    r"\b(?:calls?|puts?(?! (?:an?|my|the|our|it|in|on|another|me|up|stops?)\b)|strikes?|straddles?|strangles?|spreads?|condors?|collars?|contracts?|csps?|leaps|dte|options?"
    r"|\d+(?:\.\d+)?[cp])\b",
    re.IGNORECASE,
)
"""An option's level or trade is not its stock's."""
_DOUBTS = re.compile(
    r"\b(?:he|she|they|his|her|their|you|your|says|said|thinks|told|according|heard|rumou?r\w*|suggest\w*|recommend\w*"
    r"|analysts?|consensus|maybe|perhaps|might|(?-i:may)|could|should|thinking|consider\w*|tempted|torn|almost|nearly|wish"
    r"|wonder\w*|guess|probably|supposed?|imagin\w+|assum\w+|hypothe\w+|pretend\w*|what if|if only|between|or so|ish"
    r"|would(?:'ve| have)|disagree|never(?! mind)|don'?t|didn'?t|won'?t|wouldn'?t|can'?t|ago|last (?:year|month)|(?:was|were) (?:going|about) to|used to)\b",
    re.IGNORECASE,
)
"""A sentence that has one of these states nothing for certain, whatever its clauses say by themselves."""
_QUOTED = re.compile(r"[\"\u201c\u201d\u201e\u00ab]|(?<!\w)['\u2018][^'\u2019]+\s[^'\u2019]+['\u2019](?!\w)")
_BACK = re.compile(
    r"\W*(?:h+m+,? )?(?:no|nah|nope|wait|scratch|i mean|make (?:it|that)|sorry|sry|actually|or)\b", re.IGNORECASE
)
"""Takes back what stands before it, whatever takes its place."""
_CLAUSE = re.compile(
    r"(?<=\d)\s+(?=(?:sl|tp|stop|target|tgt|pt|size|qty|entry)\b[\s:=@$]{0,3}\d)|[,;](?:\s+|$)|\s+/\s+|[.!]\s+|\s*(?:\.{3}|\u2026)\s*|\s+(?:and|but|then|with|w|w/|so)\s+|\s+[-\u2013\u2014]+\s+",
    re.IGNORECASE,
)
_WHEN = re.compile(
    r"\b(?:(?:on )?(?:mon|tues?|wed|thurs?|fri)\b|(?:this |last )?(?:morning|afternoon|evening|night)|\d{1,2}/\d{1,2}(?:/\d{2,4})?"
    r"|(?:at|after|before|into) (?:the )?(?:open|close))\b|\b(?:on|since|as of|from) +(?= {3,}|$)",
    re.IGNORECASE,
)
"""When something was done, which changes nothing of what was; what leads to a date that was taken out."""
_APART = re.compile(r"[NP]\S+ +(?:(?:to|or|-|\u2013|/) *)?[NP]\d")
"""From one number to another, this or that, a row of a table."""
_TOKEN = re.compile(r"[NP]\d+(?:\.\d+)?|S\b|->|=>|[a-z_\u00e4\u00f6\u00fc]+(?:['-][a-z]+)*|[^\s.!\"*]")


@dataclass(frozen=True, kw_only=True)
class _Figure:
    """A number of a clause."""

    value: str
    place: int
    """Of its word in the clause."""
    whole: bool


class _Clause:
    """A clause as words, of which those that are understood have meanings.

    Parameters
    ----------
    text : str
        Its author's words.
    spans : callable
        Gives where a text names symbols: start, stop and symbol of each.
    """

    def __init__(self, text: str, spans: Spans) -> None:
        self.text = text
        named = spans(text)
        self.symbols = [*dict.fromkeys(symbol for _, _, symbol in named)]
        spelt = _spelt(text, named)
        self.words = _TOKEN.findall(spelt)
        self.means = {meaning for word in self.words for meaning in _MEANS.get(word, ())}
        self.understood = all(word in _MEANS or word[0].isupper() for word in self.words) and not _APART.search(spelt)
        self.prices, self.percents = [], []
        for place, word in enumerate(self.words):
            if word[0] in "NP":
                figure = _Figure(value=word[1:], place=place, whole="." not in word)
                (self.prices if word[0] == "N" else self.percents).append(figure)
        self.attributes = [
            *dict.fromkeys(map(_attribute, filter(lambda word: self._is(word, "attribute"), self.words)))
        ]

    @staticmethod
    def _is(word: str, meaning: str) -> bool:
        return meaning in _MEANS.get(word, ())

    def only(self, meaning: str) -> bool:
        """Return whether every word has a meaning."""
        return all(self._is(word, meaning) or word in {"that", "it"} for word in self.words)

    def near(self, figure: _Figure, meaning: str, step: int = -1) -> bool:
        """Tell whether the word before a number, or after it, has a meaning; symbols are passed over."""
        place = figure.place + step
        while 0 <= place < len(self.words) and self.words[place] == "S":
            place += step
        return 0 <= place < len(self.words) and self._is(self.words[place], meaning)

    def price(self) -> str | None:
        """Return the one price that holds, without those that others take the place of; None where that is not one."""
        newer = [
            each
            for each in self.prices
            if not self.near(each, "old") and self.words[each.place + 1 : each.place + 2] not in (["->"], ["=>"], [">"])
        ]
        values = {each.value for each in newer}
        return values.pop() if len(values) == 1 else None


def _spelt(text: str, named: Sequence[tuple[int, int, str]]) -> str:
    """Write a clause in lower case, with S for a symbol, N and P for a price and a percentage, and ? for other numbers."""
    marks = [(start, stop, "S") for start, stop, _ in named]
    for each in numbers(text):
        if any(start <= each.start < stop for start, stop, _ in marks):
            continue
        kind = "N" if each.unit == "" else "P" if each.unit == "%" else "?"
        sure = each.value is not None and each.value > 0
        marks.append((each.start, each.stop, f"{kind}{each}" if sure and kind != "?" else "?"))
    found, place = "", 0
    for start, stop, mark in sorted(marks):
        found += f"{text[place:start].lower()} {mark} "
        place = stop
    found = (found + text[place:].lower()).replace("\u2019", "'").replace("\u2192", "->")
    for pattern, name in _PHRASES:
        found = pattern.sub(name, found)
    return found


def _attribute(word: str) -> str:
    return _ATTRIBUTES.get(word, word.strip("_"))


def claims(text: str, about: str | None, at: datetime, spans: Spans) -> list[Claim]:
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
        Gives where a text names symbols: start, stop and symbol of each.

    Examples
    --------
    >>> aapl = lambda text: [(m.start(), m.end(), "AAPL") for m in re.finditer("AAPL", text)]
    >>> [(each.attribute, each.value) for each in claims("AAPL stop 180, no wait, 185", None, datetime.now(UTC), aapl)]
    [('stop', '185')]
    """
    limit = next((each for each in horizons(text, at) if each.lead in DEADLINES), None)
    bare = _without(text, [limit] if limit else [])
    if _OPTIONS.search(bare) or _DOUBTS.search(bare) or _QUOTED.search(bare):
        return []
    bare = _WHEN.sub(lambda when: " " * len(when[0]), _without(bare, times(bare, at.date())))
    whole = _Clause(bare, spans)
    about = whole.symbols[0] if len(whole.symbols) == 1 else about
    planned = _planned(whole, about) if len(whole.symbols) < 2 and whole.understood else None
    if planned:
        found = [replace(planned, text=text)]
    else:
        found = _Reading(text, about, spans, limit.name if limit else None).read(bare)
    until = midnight(limit.until + DAY, at.tzinfo) if limit else None
    return [replace(each, until=until) for each in found if each.value]


def _without(text: str, parts: Iterable[Horizon | Named]) -> str:
    """Put spaces in the place of parts of a text."""
    for each in parts:
        text = text[: each.start] + " " * (each.stop - each.start) + text[each.stop :]
    return text


def understood(text: str) -> bool:
    """Return whether each word of a text is one that levels and trades are told with."""
    return _Clause(text, lambda _: ()).understood


class _Reading:
    """A statement that is read clause by clause.

    Parameters
    ----------
    text : str
        Its author's words.
    about : str, optional
        The symbol that is spoken of at its beginning.
    spans : callable
        As in `claims`.
    ends : str, optional
        Until when it holds, by name.
    """

    def __init__(self, text: str, about: str | None, spans: Spans, ends: str | None) -> None:
        self._text, self._about, self._spans, self._ends = text, about, spans, ends
        self._found: list[Claim] = []
        self._topic: Claim | None = None  # what a bare number after it would go on with
        self._begun = 0
        self._taken_back = False

    def read(self, bare: str) -> list[Claim]:
        """Return the claims; `bare` is the text with spaces in the place of its dates."""
        for start, stop in _pieces(bare):
            clause = _Clause(bare[start:stop], self._spans)
            if clause.symbols:
                self._about = clause.symbols[0] if len(clause.symbols) == 1 else None
            self._hear(clause, start, stop)
        if self._topic and self._taken_back:
            self._found.remove(self._topic)
        return self._found

    def _hear(self, clause: "_Clause", start: int, stop: int) -> None:
        topic, about = self._topic, self._about
        if not clause.understood or about is None:
            if topic and clause.prices and _BACK.match(clause.text):
                self._found.remove(topic)
            self._topic = None
            return
        if topic and clause.only("anew"):
            self._taken_back = True
            return
        claim = _forecast(clause, about, self._ends) or _claim(clause, about)
        if claim is None and topic:
            claim = _continued(clause, about, topic, taken_back=self._taken_back)
            if claim and claim.symbol == topic.symbol:
                self._found.remove(topic)
                start = self._begun
        if claim:
            claim = replace(claim, text=self._text[start:stop].strip())
            self._found.append(claim)
            self._begun = start
        self._topic = claim if claim and (claim.value or not topic) else None
        self._taken_back = False


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Cut a statement into clauses, also before a second attribute with a number of its own: "SL 431 TP 505"."""
    start = 0
    for match in _CLAUSE.finditer(text):
        if text[start : match.start()].strip():
            yield start, match.start()
        start = match.end()
    if text[start:].strip():
        yield start, len(text)


def _planned(clause: _Clause, about: str | None) -> Claim | None:
    """Recognise a level at which something is to be done: "if it loses 24 I'm out", "sell at 480", "buy under 27"."""
    means, price = clause.means, clause.price()
    if about is None or price is None or clause.attributes or len(clause.prices) > 1:
        return None
    if means & {"leave", "sell"} and "down" in means and not means & {"bought", "part"} - {"bought"}:
        return Claim(text=clause.text, symbol=about, kind="level", attribute="stop", value=price)
    if "sell" in means and "down" not in means and "part" not in means:
        return Claim(text=clause.text, symbol=about, kind="level", attribute="target", value=price)
    if "buy" in means and not means & {"sell", "sold"}:
        return Claim(text=clause.text, symbol=about, kind="level", attribute="entry level", value=price)
    return None


def _claim(clause: _Clause, about: str) -> Claim | None:
    return _levelled(clause, about) or _traded(clause, about) or _planned(clause, about) or _weighed(clause, about)


def _levelled(clause: _Clause, about: str) -> Claim | None:
    """Recognise a level by its name: "my stop is 420", "500 target", "no stop any more"."""
    if len(clause.attributes) != 1:
        return None
    (attribute,), means, value = clause.attributes, clause.means, clause.price() or ""
    if "if" in means or (attribute == "stop" and "i'd" in clause.words):
        return None
    if "plural" in means and not clause.symbols:
        return None
    if attribute == "stop" and "_hit" in clause.words and value:
        return Claim(text=clause.text, symbol=about, kind="position", attribute="position", value=f"closed at {value}")
    if attribute == "stop" and not value:
        if "trail" in means and len(clause.percents) == 1:
            value = f"{clause.percents[0].value}% trailing"
        elif "even" in means:
            value = "breakeven"
    if not value and not clause.prices and not clause.percents and "remove" in means:
        value = "none"
    kind = _KINDS.get(attribute, "level")
    return Claim(text=clause.text, symbol=about, kind=kind, attribute=attribute, value=value)


def _traded(clause: _Clause, about: str, *, bought: bool = False) -> Claim | None:
    """Recognise what was done, as against what is planned: bought, sold, a part of it sold."""
    means = clause.means
    if clause.attributes or "later" in means or _market(clause):
        return None
    paid = [each for each in clause.prices if clause.near(each, "price")]
    others = [each for each in clause.prices if each not in paid[-1:]]
    price = f" at {paid[-1].value}" if paid else ""
    if not paid and len(others) == 1 and not others[0].whole:
        price, others = f" at {others[0].value}", []
    counts = [each.value for each in others if each.whole or paid]
    if len(counts) < len(others) or means & {"down", "up"}:
        return None
    made = Claim(text=clause.text, symbol=about, kind="position", attribute="position", value="")
    if "part" in means and means & {"reduced", "sold"}:
        return replace(made, attribute=None, value=f"reduced{price}")
    if "sold" in means and len(counts) == 2:
        return replace(made, attribute=None, value=f"reduced{price}")
    if "sold" in means and counts and "all" not in means:
        return replace(made, attribute=None, value=f"sold {counts[0]}{price}")
    if "sold" in means:
        return replace(made, value=f"closed{price}")
    if (bought or "bought" in means) and len(counts) < 2:
        return replace(made, value=f"{' '.join(counts)}{price}".strip())
    return None


def _market(clause: _Clause) -> bool:
    """Tell whether a company, or the market, is who deals: "AAPL closed at 441"."""
    pairs = zip(clause.words, clause.words[1:], strict=False)
    if "closed" in clause.words and not {*clause.words} & {"i", "we", "my", "our", "position", "trade", "S"}:
        return True
    return any(
        one == "S" and other in {"bought", "sold", "closed", "added", "booked", "own", "paid"} for one, other in pairs
    )


def _weighed(clause: _Clause, about: str) -> Claim | None:
    """Recognise a position's weight: "FB is 6% of my book"."""
    if "book" not in clause.means or len(clause.percents) != 1 or clause.prices:
        return None
    value = f"{clause.percents[0].value}%"
    return Claim(text=clause.text, symbol=about, kind="position", attribute="size", value=value)


def _forecast(clause: _Clause, about: str, ends: str | None) -> Claim | None:
    """Recognise where a price is expected: "above 900 by December"."""
    means, price = clause.means, clause.price()
    away = means & {"bought", "sold", "buy", "sell", "leave", "remove", "if", "reduced"}
    if price is None or clause.attributes or away or not (ends or ("expect" in means and means & {"up", "down"})):
        return None
    way = (
        "above "
        if means & {"up"} or ("_expect" in clause.words and "down" not in means)
        else "below "
        if "down" in means
        else ""
    )
    value = f"{way}{price}" + (f" by {ends}" if ends else "")
    return Claim(text=clause.text, symbol=about, kind="thesis", attribute="forecast", value=value)


def _continued(clause: _Clause, about: str, topic: Claim, *, taken_back: bool) -> Claim | None:
    """Recognise a value that goes on with what was said: "no wait, 185", "and on MSFT 26", "150 at 214.30"."""
    if topic.attribute == "position":
        lot = _traded(clause, about, bought=not topic.value) if not taken_back else None
        price = clause.price()
        if topic.value == "closed" and price:
            return replace(topic, value=f"closed at {price}")
        if topic.value.startswith("at ") and price and "shares" in clause.means:
            return replace(topic, value=f"{price} {topic.value}")
        if price and topic.value.replace(".", "").isdigit() and clause.near(clause.prices[-1], "price"):
            return replace(topic, value=f"{topic.value} at {price}")
        return lot
    price = clause.price()
    if price is None or clause.attributes or clause.means & {"bought", "sold", "buy", "sell"}:
        return None
    if "shares" in clause.means:  # how many, not where
        return topic
    if about != topic.symbol or not topic.value or taken_back or "anew" in clause.means:
        return replace(topic, text=clause.text, symbol=about, value=price)
    return replace(topic, value="")  # one of two

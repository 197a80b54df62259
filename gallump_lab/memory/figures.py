"""The figures that a text states, each with the words that say what it is, and which of them it replaces.

Read far more freely than `price_levels` reads levels: nothing is learnt from it. It serves to tell a question's
candidates apart, where a mark beside a quotation is at stake.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from gallump_lab.lazy import finder, finder_of, regex
from gallump_lab.memory.text import held, terms
from gallump_lab.reading.names import folded
from gallump_lab.reading.numbers import Unit, numbers
from gallump_lab.reading.periods import MONTHS

_ONE = {
    "STOP": "stop stops sl trail trailing",
    "TARGET": "target targets tgt tgts tp tps objective",
    "ENTRY": "entry pay paid bought buy got filled fill basis average avg cost entered picked",
    "ACCOUNT": "account acct depot nav equity portfolio bankroll",
    "LEVERAGE": "lev leverage levered",
    "SIZE": "size hold holding left remaining shares share sh contracts lots own",
    "DIVIDEND": "dividend div divs dividends",
    "TAX": "tax taxes",
    "MOST": "max maximum most limit cap ceiling",
    "SHARE": "pct percent percentage weight proportion",
}
_NAMES = {word: name for name, said in _ONE.items() for word in said.split()}
NAMED = frozenset(_ONE)
"""Things that go by several words, by the one name that stands for them among features."""
ATTRIBUTES = frozenset({"STOP", "TARGET", "ENTRY", "ACCOUNT", "LEVERAGE"})
"""Those of which somebody has one at a time: a figure beside one of them is of no other."""

SOLD = "sold exited closed covered dumped unloaded offloaded liquidated flattened unwound bailed ditched ejected puked"
"""Verbs that end a position; of a part of it, where that is said."""
OUT = (
    r"(?:stopped|knocked|taken|tagged|kicked|shaken|blown|wicked|flushed|cashed) out|called away|got rid|cut loose"
    r"|booked (?:it|them|(?:the |my )?(?:profits?|gains?|loss))"
)
"""The same in several words."""
_SOLD = SOLD.replace(" ", "|")
_ENDS = finder_of(
    OUT,
    _SOLD,
    r"stopped|closing|cover(?:ing|s)|cancel\w*|kill(?:ed)?|pull(?:ed|ing)|scratch\w*|expired?|flat|forget|no trade",
    r"(?:out of|so|i'?m|am|all|got|took \w+|is|was) out|out (?:of|at|completely)|took (?:it|them) off|don'?t want|gone",
    r"not (?:doing|touching|going)|skip(?:ped)?|(?:didn'?t|never|did not) fill\w*|finished|no more|won'?t",
    r"done with|only a thought|punted (?:it|them|the)|(?:i'?m|am|all|back|everything|went) (?:all )?(?:in|to) cash",
    r"in cash now|(?:stop|sl) (?:\w+ )?(?:hit|triggered|tagged)|(?:hit|triggered|tagged) my (?:stop|sl)",
)
_PART = finder_of(
    r"half|third|quarter|some|part|left|a few|\d[\d,.]* of (?:my|the|\d\S*)|almost|nearly",
    rf"(?:\w+n'?t|not|never) (?:yet |been |get |got |getting )*(?:stopped|{_SOLD}|{OUT})",
)

_SENTENCE = regex(r"\s(?:(?<=[.!?]\s)\s*|(?<=\n)\n*)")
_CLAUSE = regex(
    r"[;,:\s](?:(?<=[;,])(?=\s)|(?<=:)(?=\s+(?![$\u20ac\u00a3]?\d)\S)"  # "stop on IBM: 210" is one
    r"|(?<=\s)\s*(?:and|but|so|then|w/?|with|while|because|cuz|since|[-\u2013\u2014])\s+"
    r"|(?<=\d\s)\s*(?=(?:sl|tp|stop|target|tgt)\b))",
    re.IGNORECASE,
)
"""Each begins with a class of characters, by which `re` skips what cannot match."""
_IF = finder(r"\bif\b(?<!sure if)(?<!wondering if)(?<!wonder if)(?<!know if)(?<!see if)|\bhypothetical\w*")
_SUPPOSES = finder(
    r"\b(?:would|i'?d|we'?d|will own|might|could|thinking (?:of|about)|was thinking|tempted|torn|eyeing|considering"
    r"|(?:i|i'm|im) wait(?:ing)?|looking at|was gonna|should i|shall i|want to|looks? ok)\b"
)
_SAYS = r"(?:says?|said|swears?|thinks|told|tells|reckons?|reckoned|predicts|tweeted|insists)\b"
_WHO = (
    "guys?|gal|buddy|friend|mate|brother|sister|wife|husband|dad|mom|uncle|colleague|neighbou?r|someone|somebody|group"
)
_REPORTS = finder(
    rf"\b(?:{_WHO}|podcast|discord|twitter|reddit|boss|guru|analyst|brokers?)\b.{{0,30}}"
    rf"\b(?:{_SAYS}|(?:saying|claims?|claimed|hears?|lists?)\b)|\b(?:{_WHO})\b.{{0,30}}\b(?:sold|bought)\b"
    r"|\b(?:my|an?|some) (?:(?!(?:i|we|you|u|as|like|than|that|which)\b)[\w'-]+ ){0,3}"
    r"(?!(?:plan|rule|note|stop|gut|chart|model|system|journal|view|thesis|screen|risk|accountant|adviser|lawyer)s?\b"
    rf"|(?:i|we|you|u|as|that|which|unless|was|been|is|be)\b)[\w'-]+ {_SAYS}"
    r"|\b(?:read|saw|seen) (?:\w+ ){0,3}?(?:tweets?|an article|reddit|twitter|discord|forum|youtube|somewhere|online)\b"
    r"|\b(?:rumou?rs?|heard|supposedly|apparently|word is|swears|reckons|i was told)\b"
)
_TELLS = finder_of(
    "sa(?:id|ys?|ying|w)|s(?:een|old|wears?)|t(?:old|ells|hinks|weeted)|reckon(?:s|ed)|predicts|insists|claim(?:s|ed)",
    "hea(?:rs?|rd)|lists?|bought|read|rumou?rs?|supposedly|apparently|word is",
)
"""A sentence without one of these reports nothing; most have none."""
_MARKET = regex(
    r"^(?!.*\b(?:i|i'?m|my|our)\b).*\b(?:consensus|(?:analysts|street)(?:'s)? "
    rf"(?:at(?= \$?\d)|is|are|has|have|sees?|expects?|{_SAYS}))\b",
    re.IGNORECASE,
)
"""What the market expects."""
_RUMOUR = regex(r"\brumou?r", re.IGNORECASE)
_MOVE = (
    "mov|rais|cut|lower|chang|increas|trim|bump|drop|upp?|reduc|tighten|widen|switch|lift|roll|nudg|revis|adjust|slash"
)
"""Verbs, as far as they stay the same."""
_FIGURE = r"(?=[$\u20ac\u00a3]?\d)"
_ONTO = (
    rf"\b(?:{_MOVE}|go|went|back|bring|brought|tak|took|mak|push|shift|trail)\w*(?: [a-z']+){{0,4}}? to (?:the |a )?"
)
CHANGES = finder(
    r"\b(?:going forward|from now|instead|any ?more|mak(?:e|ing)|sorry|sry|typo|correction|meant|mixed|actually"
    r"|(?:back|goes) to|updat\w+|total|again with|still|left"
    rf"|(?:{_MOVE})(?:e|ed|d|s|es|ing|ping|ped|ting|ming|med)?)\b|{_ONTO}{_FIGURE}"
)
"""A sentence with one of these says how something stands from then on."""
_TO = regex(rf"{_ONTO}{_FIGURE}|\bup to {_FIGURE}|\bmak(?:e|ing) (?:it|that|the \w+) {_FIGURE}", re.IGNORECASE)
_BETWEEN = regex(r"\S{0,3}\s+(?:(?:up|down|back) )?to\s[$\u20ac\u00a3]?\s?", re.IGNORECASE)
_NOT = regex(r"\b(?:instead of|rather than|not|from|was) (?=[$\u20ac\u00a3]?\.?\d)", re.IGNORECASE)
_YEARS = range(1990, 2100)
_MONTH = regex(rf"\b(?:{'|'.join(sorted(MONTHS, key=len, reverse=True))})\.? $", re.IGNORECASE)
_DAY = regex(r"\d{1,2}\b")
_TIME = regex(r"(?<!\S)\d{1,2}(?=:\d\d| ?[ap]\.?m\b)|(?<=:)\d\d\b", re.IGNORECASE)


@dataclass(frozen=True)
class Figure:
    """A number as it is compared."""

    key: str
    """Its value, written one way; its digits where it can be read in two."""
    unit: Unit
    value: float
    start: int
    stop: int

    def like(self, other: "Figure") -> bool:
        """Return whether another could be a later value of the same thing: another number, of the same order."""
        units = self.unit == other.unit or not self.unit or not other.unit
        return units and self.key != other.key and 0.2 < (self.value or 1) / (other.value or 1) < 5


@dataclass(frozen=True)
class Clause:
    """A clause with its figures, and what its sentence is."""

    text: str
    figures: tuple[Figure, ...]
    features: frozenset[str]
    """Its words' stems; words for one of `NAMED` as that."""
    sentence: str
    around: frozenset[str]
    """The sentence's features."""
    rumour: bool
    """Whether the text calls anything a rumour."""

    @cached_property
    def supposed(self) -> bool:
        """Whether it is a plan, a condition, a wish."""
        return _IF(self.sentence) or _SUPPOSES(self.text)

    @cached_property
    def reported(self) -> bool:
        """Whether somebody else says so, who is no part of it."""
        return self.rumour or reports(self.sentence) or _MARKET.match(self.text) is not None

    @cached_property
    def ends(self) -> bool:
        """Whether it says that a thing is over, the whole of it."""
        return _ENDS(self.text) and not _PART(self.sentence)

    @property
    def asks(self) -> bool:
        """Whether its sentence is a question."""
        return self.sentence.rstrip(" )\"'").endswith("?")

    @property
    def sure(self) -> bool:
        """Whether it states something as a fact of its author's."""
        return not (self.asks or self.supposed or self.reported)


def reports(sentence: str) -> bool:
    """Return whether a sentence tells what somebody else says, who is no part of it."""
    return _TELLS(sentence) and _REPORTS(sentence)


def features(text: str) -> frozenset[str]:
    """Return a text's stems; words for one of `NAMED` as that."""
    return frozenset(" ".join(map(_features, text.split())).split())


@lru_cache(maxsize=100_000)
def _features(run: str) -> str:
    return " ".join(feature for terms, word in held(run) if word for feature in _feature(word, terms))


def _feature(word: str, found: Sequence[str]) -> Sequence[str]:
    if word in _NAMES:
        return (_NAMES[word],)
    return found if (name := folded(word)) == word else terms(name)


@lru_cache(maxsize=20_000)
def read(text: str) -> tuple[Clause, ...]:
    """Return a text's clauses."""
    figures, rumour = [*_figures(text)], _RUMOUR.search(text) is not None
    found: list[Clause] = []
    for begin, end in _pieces(_SENTENCE, text):
        sentence = text[begin:end]
        pieces = [*_pieces(_CLAUSE, sentence)]
        said = [features(sentence[start:stop]) for start, stop in pieces]
        around = frozenset[str]().union(*said)
        for (start, stop), mine in zip(pieces, said, strict=True):
            held = tuple(each for each in figures if start <= each.start - begin < stop)
            found.append(Clause(sentence[start:stop], held, mine, sentence, around, rumour))
    return tuple(found)


@lru_cache(maxsize=20_000)
def spoken_of(text: str) -> frozenset[str]:
    """Return the features of all of a text."""
    return frozenset[str]().union(*(clause.features for clause in read(text)))


@lru_cache(maxsize=20_000)
def stated(text: str) -> frozenset[str]:
    """Return the features of what a text does not ask."""
    return frozenset[str]().union(*(clause.features for clause in read(text) if not clause.asks))


def _pieces(border: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    cuts = [0, *(place for match in border.finditer(text) for place in match.span()), len(text)]
    yield from ((start, stop) for start, stop in zip(cuts[::2], cuts[1::2], strict=True) if text[start:stop].strip())


def _figures(text: str) -> Iterator[Figure]:
    for number in numbers(text):
        if _dated(text, number.start):
            continue
        digits = "".join(filter(str.isdigit, text[number.start : number.stop]))
        value = float(digits) if number.value is None else number.value
        year = digits == text[number.start : number.stop] and value in _YEARS
        if number.unit or not year:
            yield Figure(str(number) or digits, number.unit, value, number.start, number.stop)


def _dated(text: str, place: int) -> bool:
    """Return whether a day of a month or a time of day stands at a place."""
    day = _DAY.match(text, place) and _MONTH.search(text, max(place - 12, 0), place)
    return (day or _TIME.match(text, place)) is not None


@lru_cache(maxsize=20_000)
def replaced(text: str) -> tuple[tuple[frozenset[str], Figure], ...]:
    """Return what a text itself says that it replaces: keys of old figures, and the new one.

    >>> replaced("moved it from 440 to 455"), replaced("455, not 440"), replaced("found it, 440. moving it to 455")
    """
    figures = [figure for clause in read(text) for figure in clause.figures]
    gone = _after(_NOT, text, figures)
    new = [figure for figure in _after(_TO, text, figures) if figure not in gone]
    found = []
    for old in gone:
        others = [figure for figure in figures if figure not in gone and figure.like(old)]
        ahead = [figure for figure in others if _BETWEEN.fullmatch(text, old.stop, figure.start)]
        back = sorted(others, key=lambda each: (each not in new, each.start > old.start, abs(each.start - old.start)))
        found += [(frozenset([old.key]), to) for to in [*ahead, *back][:1]]
    found += [(frozenset(each.key for each in figures if each.like(to) and each not in new), to) for to in new]
    return tuple((olds, to) for olds, to in found if olds)


def _after(words: re.Pattern[str], text: str, figures: list[Figure]) -> list[Figure]:
    ends = [match.end() for match in words.finditer(text)]
    return [figure for figure in figures if any(0 <= figure.start - end <= 2 for end in ends)]

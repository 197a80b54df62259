"""Faults made on purpose: what a careless distiller gets wrong, made of good insights, so that metrics can be tried.

A metric is worth its name if it scores the faulty ones worse: `table` gives the area under the ROC curve by metric and
fault. The faults and the metrics share no words and no patterns, else a metric would only find what it knows already.
The edits are simple rules of English; where none fits, a fault is not made of that insight.

    python tests/benchmarks/faults.py

prints one example of each; insights.py says which metric sees which.
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date as day_of
from datetime import timedelta
from functools import lru_cache

import altair as alt
import numpy as np
import pandas as pd

from gallump_lab import Lab, study
from gallump_lab.study.pictures import Picture
from gallump_lab.study.scorecard.history import History, Stated
from gallump_lab.study.scorecard.metrics import METRICS
from gallump_lab.study.scorecard.scorecard import Scorecard
from gallump_lab.study.statistics import auc
from gallump_lab.tokens import OFFLINE

COMPANIES = {"AAPL": "Apple", "GOOG": "Google", "MSFT": "Microsoft", "FB": "Facebook"}
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
COUNTS = "two three four five six seven eight nine ten eleven twelve".split()
SPANS = "week month year".split()

_MONTH = rf"(?:{'|'.join(MONTHS)})"
_YEAR = r"(?<![\d$.,])(?:19|20)\d\d\b(?![.,]\d| dollars| percent)"
_DATE = re.compile(
    rf"\d{{4}}-\d\d-\d\d|\b(?:\d\d?(?:st|nd|rd|th)? (?:of )?)?(?!May [a-z]){_MONTH}\b(?: \d\d?(?:st|nd|rd|th)?\b)?"
    rf"(?:,? {_YEAR})?|{_YEAR}|\b(?:last|next|this) (?:week|month|year|{'|'.join(DAYS)})\b"
)
_FIGURE = re.compile(
    rf"(?<![\w.,:/-])\d+(?:,\d{{3}})*(?:\.\d+)?(?=k\b|[^\w:/-]|$)(?![.,]\d)|\b(?:{'|'.join(COUNTS)})\b"
)

OPPOSITES = """
above below, over under, more less, at least:at most, higher lower, highest lowest, best worst, better worse, early
late, before after, always never, long short, up down, high low, bullish bearish, buy sell, buys sells, bought sold,
buying selling, rise fall, rises falls, rose fell, raise lower, raises lowers, raised lowered, increase reduce, win
lose, wins loses, won lost, gain loss, gained lost, gains losses, profit loss, profits losses, winners losers, maximum
minimum, ceiling floor, love hate, loves hates, loved hated, likes dislikes, enjoys dislikes, enjoyed disliked, start
stop, started stopped, accept refuse, accepts refuses, agrees disagrees, easy difficult, safe risky, happy unhappy, big
small, cheap expensive, strong weak, important unimportant, excited nervous, proud ashamed, permits forbids, doubles
halves, doubled halved, optimistic pessimistic, stop target, overweight underweight, positive negative, support oppose
"""
SYNONYMS = """
wants to=would like to, is considering=is thinking about, never more than=at most, because=since, every=each,
currently=at the moment, big=large, happy=glad, difficult=hard, important=significant, movie=film, photos=pictures,
amazing=wonderful, excited=thrilled, attended=went to, hopes to=would love to, often=frequently, a share=per share,
thesis=idea, lesson=takeaway, rule=principle, limit=cap, in force=in effect, falls to=drops to, leaves=gets out of,
target=price target, weight=allocation, capital=the capital, forecast=prediction, expects=anticipates, plans to=intends
to, buys=purchases, bought=purchased, holds=keeps, owns=has, ended=was over, does not=doesn't, always=at all times, so
far=to date, although=even though, friends=pals, enjoys=likes, loves=adores, created=made, found=discovered
"""
FRAMES = (
    "Remember that {}.",
    "It came up that {}.",
    "As noted before, {}.",
    "Worth knowing is that {}.",
    "{}, as was said.",
)
CLAUSES = """
mainly because of the dividend|after a talk with a colleague|with half the usual size at first|hedged with {month} puts
|which had worked twice in {year}|on the advice of a newsletter|because insiders had been buying|mostly to save money
|to be reviewed every {day}|after reading it in {month}|against the wishes of the family|with help from a neighbour
|in line with the plan made in {month}|despite a warning from the accountant|ever since a trip in {year}
|because margins should widen by {number} percent|although it cost more than planned|after {number} weeks of hesitation
"""
SMALL = frozenset("the and for with was are has had his her its this that from into not but all than then".split())


def _pairs(text: str, between: str) -> dict[str, str]:
    """Return each word of a list of pairs with its partner; two words of one side are joined by a colon."""
    found = (each.strip().replace("\n", " ").split(between) for each in text.split(","))
    return {one.replace(":", " "): other.replace(":", " ") for one, other in found}


_OTHER = _pairs(OPPOSITES.replace("at least:at most", "at:least at:most"), " ")
_OTHER = {other: one for one, other in _OTHER.items()} | _OTHER
_SYNONYM = _pairs(SYNONYMS, "=")
_NEGATED = re.compile(r"\b(is|are|was|were|has|have|will|can|could|should|must|does|do|did)\b( not\b)?(?= [a-z])")
_VERB = re.compile(r"(?<=^[A-Z])(\w+ )([a-z]+[^\Ws])s(?= )")


@lru_cache(maxsize=10_000)
def _values(text: str) -> frozenset[float]:
    """Return every number that stands in a text, in digits or as a word."""
    found = re.findall(r"\d[\d,]*(?:\.\d+)?", text)
    counted = {float(COUNTS.index(word) + 2) for word in re.findall(r"[a-z]+", text.lower()) if word in COUNTS}
    return frozenset({float(each.replace(",", "")) for each in found} | counted)


def _figures(text: str) -> list[re.Match[str]]:
    """Return the numbers that are no dates."""
    dates = _DATE.sub(lambda found: " " * len(found[0]), text)
    return [*_FIGURE.finditer(dates)]


@lru_cache(maxsize=10_000)
def _words(text: str) -> frozenset[str]:
    """Return the words that say what a text is about, roughly stemmed."""
    found = re.findall(r"[a-z]{3,}", _DATE.sub(" ", text).lower())
    return frozenset(re.sub(r"(?:ing|ed|es|s)$", "", each) for each in found if each not in SMALL)


def _put(text: str, start: int, stop: int, new: str) -> str:
    new = new[:1].upper() + new[1:] if start == 0 else new
    return f"{text[:start]}{new}{text[stop:]}"


class Talk:
    """What an edit may look at: the insight's set and the history it rests on."""

    def __init__(self, everything: Sequence[Stated], history: History) -> None:
        self.everything, self.history = everything, history
        said = history.messages.values()
        self.symbols = [*dict.fromkeys(each.symbol for each in said if each.symbol)]
        self.speakers = [*dict.fromkeys(each.speaker for each in said if each.speaker)]

    def names(self, symbol: str) -> str:
        return rf"\b(?:{re.escape(symbol)}|{re.escape(COMPANIES.get(symbol, symbol))})\b"

    def person(self, insight: Stated) -> str | None:
        """Return the first speaker that a statement names, or its own."""
        named = {each: place for each in self.speakers if (place := insight.text.find(each)) >= 0}
        return min(named, key=named.__getitem__, default=insight.speaker)

    def beside(self, insight: Stated, text: str) -> Stated:
        """Return a statement beside another, under an id of its own."""
        return replace(
            insight, text=text, insight_id=max(each.insight_id for each in self.everything) + insight.insight_id
        )


def number(insight: Stated, talk: Talk, dice: random.Random) -> Stated | None:
    """Change one number to one that stands neither there nor in the cited messages, in the same format."""
    taken = _values(" ".join([insight.text, *(each.text for each in talk.history.cited(insight))]))
    figures = _figures(insight.text)
    for found in dice.sample(figures, len(figures)):
        if others := [each for each in _near(found[0]) if not _values(each) & taken]:
            return replace(insight, text=_put(insight.text, *found.span(), dice.choice(others)))
    return None


def _near(figure: str) -> Iterator[str]:
    if figure in COUNTS:
        place = COUNTS.index(figure)
        yield from (COUNTS[each] for each in (place - 2, place - 1, place + 1, place + 2) if 0 <= each < len(COUNTS))
        return
    value, decimals = float(figure.replace(",", "")), len(figure.partition(".")[2])
    small = value <= 20 and not decimals
    grain = 1 if small else 0.5 if decimals == 2 and figure[-1] == "0" else 10.0**-decimals
    for step in (-2, -1, 1, 2, 3) if small else (-0.2, -0.12, -0.05, -0.03, 0.03, 0.05, 0.12, 0.2):
        other = value + step if small else round(value * (1 + step) / grain) * grain
        if other > 0:
            yield f"{other:{',' if ',' in figure else ''}.{decimals}f}"


def symbol(insight: Stated, talk: Talk, dice: random.Random) -> Stated | None:
    """Speak of another symbol that the history knows; where none is named, of another speaker."""
    named = [each for each in talk.symbols if re.search(talk.names(each), insight.text)]
    new = [each for each in talk.symbols if each not in named]
    if named and new:
        old, put = insight.symbol if insight.symbol in named else named[0], dice.choice(new)
        text = re.sub(
            talk.names(old), lambda found: put if found[0].isupper() else COMPANIES.get(put, put), insight.text
        )
        return replace(insight, text=text, symbol=put if insight.symbol == old else insight.symbol)
    person = talk.person(insight)
    others = [each for each in talk.speakers if each != person]
    if person is None or person not in insight.text or not others:
        return None
    put = dice.choice(others)
    text = re.sub(rf"\b{re.escape(person)}\b", put, insight.text)
    return replace(insight, text=text, speaker=put if insight.speaker == person else insight.speaker)


def direction(insight: Stated, talk: Talk, dice: random.Random) -> Stated | None:
    """Turn one word into its opposite; where there is none, deny the whole."""
    del talk
    found = [
        each for word in _OTHER for each in re.finditer(rf"(?<![\w'-]){word}(?![\w'-])", insight.text, re.IGNORECASE)
    ]
    if not found:
        return _denied(insight)
    turned = dice.choice(found)
    return replace(insight, text=_put(insight.text, *turned.span(), _OTHER[turned[0].lower()]))


def _denied(insight: Stated) -> Stated | None:
    denied = _NEGATED.sub(lambda found: found[1] if found[2] else f"{found[1]} not", insight.text, count=1)
    denied = denied if denied != insight.text else _VERB.sub(r"\1does not \2", insight.text, count=1)
    return replace(insight, text=denied) if denied != insight.text else None


def date(insight: Stated, talk: Talk, dice: random.Random) -> Stated | None:
    """Change one date, month, day or year to one that the cited messages do not name, in the same format."""
    said = " ".join(f"{each.text} {each.created_at:%Y-%m-%d}" for each in talk.history.cited(insight)).lower()
    found = [*_DATE.finditer(insight.text)]
    for when in dice.sample(found, len(found)):
        edits = [*_other_dates(when[0], dice)]
        edits = [edit for edit in edits if edit[2].lower() not in said and edit[2] not in insight.text]
        if edits:
            start, stop, new = dice.choice(edits)
            return replace(insight, text=_put(insight.text, when.start() + start, when.start() + stop, new))
    return None


def _other_dates(when: str, dice: random.Random) -> Iterator[tuple[int, int, str]]:
    if re.fullmatch(r"\d{4}-\d\d-\d\d", when):
        moved = (
            day_of.fromisoformat(when) + timedelta(days=dice.choice((-1, 1)) * dice.randint(3, 40)) for _ in range(9)
        )
        yield from ((0, len(when), each.isoformat()) for each in moved if each.weekday() < 5)
        return
    for word in re.finditer(r"\w+", when):
        names = next((names for names in (MONTHS, DAYS, SPANS) if word[0] in names), [])
        if re.fullmatch(r"(?:19|20)\d\d", word[0]):
            names = [str(int(word[0]) + step) for step in (-2, -1, 1)]
        yield from ((*word.span(), each) for each in names if each != word[0])


def clause(insight: Stated, talk: Talk, dice: random.Random) -> Stated | None:
    """Add what was never said."""
    del talk
    added = dice.choice(CLAUSES.replace("\n", " ").split("|")).strip()
    added = added.format(
        month=dice.choice([each for each in MONTHS if each not in insight.text]),
        day=dice.choice(DAYS),
        year=insight.valid_from.year - dice.randint(1, 4),
        number=dice.choice([each for each in range(2, 10) if each not in _values(insight.text)]),
    )
    return replace(insight, text=f"{insight.text.rstrip(' .')}, {added}.")


def duplicate(insight: Stated, talk: Talk, dice: random.Random) -> Stated | None:
    """State the same in other words, under an id of its own."""
    text, changes = insight.text, 0
    for word, other in _SYNONYM.items():
        text, number_of = re.subn(rf"\b{word}\b", other, text, count=1)
        changes += number_of
    text = re.sub(r"\d{4}-\d\d-\d\d", lambda found: f"{day_of.fromisoformat(found[0]):%-d %B %Y}", text)
    text = re.sub(r"(?<=\d) percent\b", "%", text)
    turned = re.sub(r"\b(\w+) of (?!the\b)([A-Z]\w+)\b(?=:| (?:for|on)\b)", r"\2's \1", text)
    text = turned[:1].upper() + turned[1:]
    if changes < 2 or dice.random() < 0.25:
        named = text.startswith((*talk.speakers, *talk.symbols, *COMPANIES.values()))
        frame = dice.choice(FRAMES)
        inside = text if named or frame.startswith("{") else text[0].lower() + text[1:]
        text = frame.format(inside.rstrip("."))
    return talk.beside(insight, text)


def contradiction(insight: Stated, talk: Talk, dice: random.Random) -> Stated | None:
    """State the same subject otherwise beside it, at the same time: another number, the opposite, or a denial."""
    made = [number(insight, talk, dice), direction(insight, talk, dice), _denied(insight)]
    found = [each for each in made if each is not None]
    return talk.beside(insight, dice.choice(found).text) if found else None


def stale(insight: Stated, talk: Talk, dice: random.Random) -> Stated | None:
    """Show what held of the same before as if it held now."""
    del dice
    before = [
        each
        for each in talk.everything
        if each.valid_from < insight.valid_from
        and (each.symbol, talk.person(each)) == (insight.symbol, talk.person(insight))
        and each.valid_until == insight.valid_from
    ]
    if not before:
        return None
    # One message may set two things anew, a stop and a target: the one that has more words in common is meant.
    words = _words(insight.text)
    old = max(before, key=lambda each: (len(words & _words(each.text)), each.valid_from, each.insight_id))
    return replace(old, insight_id=insight.insight_id, valid_until=None)


def vague(insight: Stated, talk: Talk, dice: random.Random) -> Stated | None:
    """Put generic words in the place of names, dates and numbers."""
    del dice
    text = insight.text
    for each in talk.symbols:
        text = re.sub(rf"(?:\b[Tt]he )?{talk.names(each)}", "the stock", text)
    for each in talk.speakers:
        text = re.sub(rf"\b{re.escape(each)}\b", "someone", text)
    text = re.sub(r" \([^()]*\d[^()]*\)", "", text)
    text = re.sub(
        rf"\b(?:(?:as of|on|in|by|since|until|from|before|after) )?(?:{_DATE.pattern})", "at some point", text
    )
    text = re.sub(rf"\$?(?:{_FIGURE.pattern})(?:k\b)?", "some", text)
    return replace(insight, text=text[:1].upper() + text[1:]) if text != insight.text else None


def source(insight: Stated, talk: Talk, dice: random.Random) -> Stated | None:
    """Cite other messages: such as the same one said of the same symbol, without its numbers and most of its words."""
    cited = talk.history.cited(insight)
    numbers = _values(" ".join(each[0] for each in _figures(insight.text)))
    said = _words(insight.text) - _words(" ".join([*talk.symbols, *talk.speakers]))
    likeness = {
        each.message_id: (each.speaker in {its.speaker for its in cited})
        + (each.symbol in {its.symbol for its in cited})
        for each in talk.history.messages.values()
        if each.message_id not in insight.sources
        and each.role in {its.role for its in cited}
        and len(_words(each.text)) >= 5
        and not _values(each.text) & numbers
        and len(_words(each.text) & said) * 4 <= len(said)
    }
    best = [key for key, like in likeness.items() if like == max(likeness.values())]
    count = len(insight.sources)
    return replace(insight, sources=tuple(sorted(dice.sample(best, count)))) if cited and len(best) >= count else None


FAULTS: dict[str, Callable[[Stated, Talk, random.Random], Stated | None]] = {
    "number": number,
    "symbol": symbol,
    "direction": direction,
    "date": date,
    "clause": clause,
    "duplicate": duplicate,
    "contradiction": contradiction,
    "stale": stale,
    "vague": vague,
    "source": source,
}


SEES = {
    "number": "support",
    "symbol": "support",
    "date": "support",
    "source": "support",
    "clause": "support",
    "direction": "direction",
    "duplicate": "redundancy",
    "contradiction": "contradiction",
    "stale": "staleness",
    "vague": "specificity",
}
"""Which metric is meant to see which fault."""


def inject(card: Scorecard, seed: int = 0) -> Iterator[tuple[str, Stated, Stated]]:
    """Yield every fault of every judged insight of which it can be made: its name, the insight, the faulty one.

    The faulty one takes the insight's place; a duplicate or a contradiction stands beside it under an id of its own.
    """
    talk = Talk(card.known, card.history)
    for name, fault in FAULTS.items():
        for insight in card.insights:
            bad = fault(insight, talk, random.Random(f"{seed} {name} {insight.insight_id}"))
            if bad is not None:
                yield name, insight, bad


def table(card: Scorecard, seed: int = 0, metrics: Iterable[str] = METRICS) -> pd.DataFrame:
    """Return which metric sees which fault: fault, metric, auc, low, high, n_good, n_bad, unscored.

    A metric's scores of the bad ones are compared with those of the very insights they were made of, so that what kind
    of insight can have the fault plays no part; all as of the day after the original was said, when it was current.
    """
    made: dict[str, list[tuple[Stated, Stated]]] = {}
    for fault, good, bad in inject(card, seed):
        made.setdefault(fault, []).append((good, bad))
    rows = []
    for fault, pairs in made.items():
        cited = [card.history.cited(good) for good, _ in pairs]
        moments = [each[-1].created_at + timedelta(days=1) for each in cited]
        sessions = [each[-1].session_id for each in cited]
        for metric in metrics:
            good, bad = (
                METRICS[metric][1]
                * np.array([card.score(metric, pair[side], at).value for pair, at in zip(pairs, moments, strict=True)])
                for side in (0, 1)
            )
            rows.append({"fault": fault, "metric": metric} | auc(good, bad, sessions, sessions)._asdict())
    return pd.DataFrame(rows)


def picture(found: pd.DataFrame) -> Picture:
    """Draw which metric sees which fault: the area under the ROC curve."""
    shown = found.round(6).assign(told=found["auc"].map("{:.2f}".format).replace("nan", "no data"))
    metrics, kinds = (list(dict.fromkeys(shown[name])) for name in ("metric", "fault"))
    base = alt.Chart(shown).encode(
        x=alt.X("fault:N", sort=kinds, title="fault", axis=alt.Axis(orient="top", labelAngle=-30, grid=False)),
        y=alt.Y("metric:N", sort=metrics, title=None, axis=alt.Axis(grid=False)),
        tooltip=["fault", "metric", "auc", "low", "high", "n_good", "n_bad", "unscored"],
    )
    colour = alt.Color("auc:Q", title="AUC", scale=alt.Scale(domain=[0.5, 1], clamp=True, scheme="blues"))
    ink = alt.condition("datum.auc > 0.8", alt.value("white"), alt.value("#333333"))
    figures = base.mark_text(fontSize=11).encode(text="told:N", color=ink)
    title = alt.TitleParams(
        "Which metric sees which fault",
        subtitle=[
            "how often the faulty one of two insights scores worse (area under the ROC curve): 1 always, 0.5 chance,",
            "below 0.5 the faulty one looks the better one; no data: the metric could score neither; synthetic faults",
        ],
    )
    chart = (base.mark_rect().encode(color=colour) + figures).properties(
        title=title, width={"step": 58}, height={"step": 26}
    )
    best = (
        shown.dropna(subset=["auc"])
        .sort_values("auc", kind="stable")
        .groupby("fault", sort=False)
        .tail(1)
        .set_index("fault")
    )
    seen = ", ".join(
        f"{kind} {best.loc[kind, 'metric']} {best.loc[kind, 'auc']:.2f}" for kind in kinds if kind in best.index
    )
    return Picture(chart, f"Best metric by fault: {seen}")


def main() -> None:
    lab = Lab.sample()
    snapshot = lab.snapshot()
    ranks = study.rank(snapshot, questions=lab.questions.iloc[:1], hot=2_000, warm=700, cold=200, model=OFFLINE)
    seen = set()
    for fault, good, bad in inject(study.insights(snapshot, ranks)):
        if fault not in seen:
            print(f"{fault:14} {good.text} {list(good.sources)}\n{'':14} {bad.text} {list(bad.sources)}")
        seen.add(fault)


if __name__ == "__main__":
    main()

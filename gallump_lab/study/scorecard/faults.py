"""Faults made on purpose: what a careless distiller gets wrong, made of good insights, so that metrics can be tried.

A metric is worth its name if it scores the faulty ones worse (`gallump_lab.study.scorecard.roc`). The injector and the
metrics share no words and no patterns, else a metric would only find what it knows already.

The talk is taken to be of trading where a message has a symbol, else of everyday things.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from gallump_lab.memory.records import Message
from gallump_lab.study.scorecard import edits
from gallump_lab.study.scorecard import wordings as w
from gallump_lab.study.scorecard.records import History, Stated

Fault = Callable[[Stated, Sequence[Stated], History, random.Random], Stated | None]
"""Makes the faulty insight of one, its set's others (superseded ones too), the talk and dice; None where it cannot."""


def inject(
    insights: Sequence[Stated], history: History, seed: int, chosen: Sequence[Stated] | None = None
) -> list[tuple[str, Stated, Stated]]:
    """Make every fault of every insight of which it can be made.

    What is made of an insight depends on the seed, on itself and on what the fault looks at, not on its place.

    Parameters
    ----------
    insights : sequence of Stated
        The set, superseded ones too.
    history : History
        The talk that they rest on.
    seed : int
        Of the dice.
    chosen : sequence of Stated, optional
        Those of the set that faults are made of; by default all.

    Returns
    -------
    list of tuple
        The fault's name, the insight and the faulty one, by fault in the order of `FAULTS`. The faulty one takes the
        insight's place, but for a duplicate or a contradiction, which stands beside it under an id of its own.
    """
    found = []
    wanted = {each.insight_id for each in (insights if chosen is None else chosen)}
    for name, fault in FAULTS.items():
        for place, insight in enumerate(insights):
            if insight.insight_id not in wanted:
                continue
            others = [*insights[:place], *insights[place + 1 :]]
            # Seeded with text, which hashes alike in every process.
            dice = random.Random(f"{seed} {name} {insight.insight_id}")  # noqa: S311 (for repeating, not for secrets)
            bad = fault(insight, others, history, dice)
            if bad is not None:
                found.append((name, insight, bad))
    return found


def number(insight: Stated, others: Sequence[Stated], history: History, dice: random.Random) -> Stated | None:
    """Change one number to one that does not stand in the cited messages, in the same format."""
    del others
    taken = edits.values(insight.text).union(*(edits.values(each.text) for each in history.cited(insight)))
    return _edited(insight, edits.other_number(insight.text, taken, dice))


def symbol(insight: Stated, others: Sequence[Stated], history: History, dice: random.Random) -> Stated | None:
    """Speak of another symbol that the history knows; of another speaker where the insight names no symbol."""
    known = _known(history)
    named = {each: found.start() for each in known.symbols if (found := re.search(_spelt(each), insight.text))}
    new = [each for each in known.symbols if each not in named]
    if not named or not new:
        return _other_person(insight, others, history, dice)
    old = insight.symbol if insight.symbol in named else min(named, key=lambda each: (named[each], each))
    put, text = dice.choice(new), insight.text
    for found in reversed([*re.finditer(_spelt(old), text)]):
        text = edits.applied(text, (*found.span(), put if found[0].isupper() else w.COMPANIES.get(put, put)))
    return replace(insight, text=text, symbol=put if insight.symbol == old else insight.symbol)


def direction(insight: Stated, others: Sequence[Stated], history: History, dice: random.Random) -> Stated | None:
    """Turn one word into its opposite, or else the statement into its contrary."""
    del others
    return _edited(insight, edits.other_direction(insight.text, dice, finance=bool(_known(history).symbols)))


def date(insight: Stated, others: Sequence[Stated], history: History, dice: random.Random) -> Stated | None:
    """Change one date, month, day or year to one that the cited messages do not name, in the same format."""
    del others
    said = " ".join(f"{each.text} {each.created_at:%Y-%m-%d}" for each in history.cited(insight))
    return _edited(insight, edits.other_date(insight.text, said, dice))


def clause(insight: Stated, others: Sequence[Stated], history: History, dice: random.Random) -> Stated | None:
    """Add what was never said: an invention, or what someone said in another conversation, on the same theme."""
    text = insight.text.rstrip(" .")
    if found := re.match(r"(\w+) (?=[a-z]+s\b|[a-z]+ed\b)", text):
        added = _borrowed(insight, found[1], others, history, dice) if dice.random() < 0.5 else None
    else:
        added = None
    if added is None:
        bank = [each.strip() for each in w.CLAUSES["finance" if _known(history).symbols else "everyday"].split("|")]
        added = dice.choice([each for each in bank if found or not each.startswith("and ")]).format(
            month=dice.choice([month for month in w.MONTHS if month not in text]),
            day=dice.choice(w.DAYS),
            year=insight.valid_from.year - dice.randint(1, 4),
            number=dice.choice([each for each in range(2, 10) if each not in edits.values(text)]),
        )
    # What a model adds stands before a remark in brackets.
    head, bracket, tail = text.partition(" (") if text.endswith(")") else (text, "", "")
    return replace(insight, text=f"{head}{'' if added.startswith('as ') else ','} {added}{bracket}{tail}.")


def duplicate(insight: Stated, others: Sequence[Stated], history: History, dice: random.Random) -> Stated | None:
    """State the same in other words, under a new id."""
    known = _known(history)
    name = _person(insight, known)
    turned = edits.turned(insight.text, name, dice)
    text, number = edits.synonymous(turned, dice)
    put = edits.reformatted(text, dice)
    changes = number + 2 * (turned != insight.text) + (put != text)
    ticker = next((each for each in known.symbols if re.search(rf"\b{re.escape(each)}\b", put)), None)
    if ticker and dice.random() < 0.5:
        put = re.sub(rf"\b{re.escape(ticker)}\b", w.COMPANIES.get(ticker, ticker), put)
    if changes < 3 or dice.random() < 0.25:
        names = [*known.speakers, *known.symbols, *(w.COMPANIES.get(each, each) for each in known.symbols)]
        put = edits.framed(put, names, dice)
    return replace(insight, text=put, insight_id=_new_id(insight, others))


def contradiction(insight: Stated, others: Sequence[Stated], history: History, dice: random.Random) -> Stated | None:
    """State the same subject otherwise beside it, at the same time: another number, the opposite, or a denial."""
    made = [
        number(insight, others, history, dice),
        _edited(insight, edits.other_direction(insight.text, dice, finance=False)),
        _edited(insight, edits.denied(insight.text, dice)),
    ]
    found = [each for each in made if each is not None]
    return replace(dice.choice(found), insight_id=_new_id(insight, others)) if found else None


def stale(insight: Stated, others: Sequence[Stated], history: History, dice: random.Random) -> Stated | None:
    """Show what held of the same before as if it held now."""
    del dice
    known = _known(history)
    name = _person(insight, known)
    earlier = [
        each
        for each in others
        if each.valid_from < insight.valid_from and each.symbol == insight.symbol and _person(each, known) == name
    ]
    before = [each for each in earlier if _succeeds(insight, each, known)]
    if not before:
        return None
    words = edits.stable(insight.text)
    ended = [each for each in before if each.valid_until == insight.valid_from] or before
    # One message may set two things anew, a stop and a target: the one that has more words in common is meant.
    alike = max(len(words & edits.stable(each.text)) for each in ended) if ended is not before else 0
    close = [each for each in ended if len(words & edits.stable(each.text)) >= alike]
    old = max(close, key=lambda each: (each.valid_from, each.insight_id))
    return replace(old, insight_id=insight.insight_id, valid_until=None)


def vague(insight: Stated, others: Sequence[Stated], history: History, dice: random.Random) -> Stated | None:
    """Put generic words in the place of numbers, dates and names."""
    del others, dice
    known = _known(history)
    text = insight.text
    for each in known.symbols:
        text = edits.without_name(text, _spelt(each), "the stock")
    name = _person(insight, known)
    for each in sorted(known.speakers, key=lambda each: each != name):
        generic = ("the analyst" if known.symbols else "someone") if each == name else "a friend"
        text = edits.without_name(text, rf"\b{re.escape(each)}\b", generic)
    text = edits.generic(text)
    return replace(insight, text=text) if text != insight.text else None


def source(insight: Stated, others: Sequence[Stated], history: History, dice: random.Random) -> Stated | None:
    """Cite other messages: those most like the cited ones in speaker, symbol and session that do not say the same."""
    del others
    known, cited = _known(history), history.cited(insight)
    said = edits.stable(insight.text) - _names(known)
    numbers = frozenset(each for found in edits.figures(insight.text) for each in edits.values(found[0]))
    found = sorted(
        (each for each in history.messages.values() if each.message_id not in insight.sources),
        key=lambda each: each.message_id,
    )
    likeness = {
        each.message_id: _likeness(each, insight, cited, known)
        for each in found
        if not edits.values(each.text) & numbers and len(edits.stable(each.text) & said) * 4 <= len(said)
    }
    # Of the likest there are to be a few, so that not one message serves for everything.
    ranked = sorted((-like, message_id) for message_id, like in likeness.items() if like > 0)
    count = len(insight.sources)
    best = [message_id for like, message_id in ranked if like <= ranked[min(max(count, 5), len(ranked)) - 1][0]]
    return replace(insight, sources=tuple(sorted(dice.sample(best, count)))) if cited and len(best) >= count else None


FAULTS: Mapping[str, Fault] = {
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
"""Every fault by its name."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    """Whom and what a history speaks of."""

    symbols: tuple[str, ...]
    speakers: tuple[str, ...]
    together: Mapping[str, tuple[str, ...]]
    """The speakers of each session."""
    places: Mapping[str, int]
    """Each session's place in the order of their beginnings."""


@lru_cache(maxsize=8)
def _known(history: History) -> _Known:
    def speakers(messages: Sequence[Message]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.speaker for each in messages if each.speaker))

    everything = [*history.messages.values()]
    return _Known(
        symbols=tuple(dict.fromkeys(each.symbol for each in everything if each.symbol)),
        speakers=speakers(everything),
        together={session: speakers(messages) for session, messages in history.sessions.items()},
        places={session: place for place, session in enumerate(history.sessions)},
    )


def _new_id(insight: Stated, others: Sequence[Stated]) -> int:
    return max(each.insight_id for each in (insight, *others)) + insight.insight_id


def _edited(insight: Stated, edit: edits.Edit | None) -> Stated | None:
    return None if edit is None else replace(insight, text=edits.applied(insight.text, edit))


def _spelt(symbol: str) -> str:
    """Return a pattern of a symbol and its company."""
    return rf"\b(?:{re.escape(symbol)}|{re.escape(w.COMPANIES.get(symbol, symbol))})\b"


def _person(insight: Stated, known: _Known) -> str | None:
    """Return whose statement it is: the speaker it names, first of all its own."""
    found = {each: re.search(rf"\b{re.escape(each)}\b", insight.text) for each in known.speakers}
    if insight.speaker and (insight.speaker not in found or found[insight.speaker]):
        return insight.speaker
    named = [(place.start(), each) for each, place in found.items() if place]
    return min(named)[1] if named else insight.speaker


def _other_person(insight: Stated, others: Sequence[Stated], history: History, dice: random.Random) -> Stated | None:
    """Exchange the person named for another who was there, or else for any other."""
    known = _known(history)
    old = _person(insight, known)
    there = [name for each in history.cited(insight) for name in known.together[each.session_id]]
    new = [each for each in dict.fromkeys(there) if each != old] or [each for each in known.speakers if each != old]
    if old is None or not new or not re.search(rf"\b{re.escape(old)}\b", insight.text):
        return None
    put = dice.choice(new)
    swap = {old: put, put: old}
    names = "|".join(map(re.escape, swap))
    both = re.search(rf"\b{re.escape(put)}\b", insight.text) is not None
    text = re.sub(rf"\b(?:{names})\b", lambda found: swap[found[0]], insight.text)
    text = re.sub(r"(?<=[^s\W])'(?= )", "'s", text) if old.endswith("s") else text
    forms = _other_pronouns(old, put, (insight, *others), known)
    text = edits.flipped(text, {**w.MASCULINE, **w.FEMININE} if both and forms else forms)
    return replace(insight, text=text, speaker=put if insight.speaker == old else insight.speaker)


def _other_pronouns(old: str, new: str, insights: Sequence[Stated], known: _Known) -> Mapping[str, str]:
    """Return which pronouns change if one person takes the place of another."""
    genders = _gender(old, insights, known), _gender(new, insights, known)
    return w.FEMININE if genders == ("f", "m") else w.MASCULINE if genders == ("m", "f") else {}


def _gender(name: str, insights: Sequence[Stated], known: _Known) -> str:
    """Return "f", "m" or nothing, by the pronouns of what is stated of a person alone."""
    told = [
        each.text
        for each in insights
        if name in each.text and not any(o in each.text for o in known.speakers if o != name)
    ]
    she, he = (
        len(re.findall(words, " ".join(told), re.IGNORECASE)) for words in (r"\b(?:she|hers?)\b", r"\b(?:he|him|his)\b")
    )
    return "f" if she > he else "m" if he > she else ""


def _succeeds(insight: Stated, old: Stated, known: _Known) -> bool:
    """Return whether one insight states anew what an older one of the same person and symbol states."""
    if insight.attribute is not None and old.attribute is not None:
        return insight.attribute == old.attribute
    if old.valid_until == insight.valid_from:
        return True
    one, other = (edits.stable(each.text) - _names(known) for each in (insight, old))
    alike = len(one & other) >= 0.6 * len(one | other) > 0
    return alike and edits.values(insight.text) != edits.values(old.text)


def _borrowed(
    insight: Stated, name: str, others: Sequence[Stated], history: History, dice: random.Random
) -> str | None:
    """Return what another conversation states of someone else, or else of the same person, about the same symbol."""
    known = _known(history)
    mine = {each.session_id for each in history.cited(insight)}
    if name not in known.speakers:
        return None
    found: dict[bool, list[re.Match[str]]] = {}
    for each in others:
        rest = re.match(
            r"(\w+) ((?:[a-z]+s|[a-z]+ed|bought|sold|held|got|found) [^,;:.()]{8,}(?:\.\d+[^,;:.()]*)?)", each.text
        )
        if each.symbol != insight.symbol or not rest or rest[1] not in known.speakers:
            continue
        if mine & {cited.session_id for cited in history.cited(each)} or edits.stable(rest[2]) <= edits.stable(
            insight.text
        ):
            continue
        if not re.search(rf"\b{re.escape(name)}\b", rest[2]):
            found.setdefault(rest[1] != name, []).append(rest)
    if not found:
        return None
    rest = dice.choice(found[max(found)])
    forms = _other_pronouns(rest[1], name, (insight, *others), known)
    return f"and {edits.flipped(rest[2], forms).rstrip()}"


def _names(known: _Known) -> frozenset[str]:
    return frozenset(edits.stem(each) for each in (*known.speakers, *known.symbols))


def _likeness(message: Message, insight: Stated, cited: Sequence[Message], known: _Known) -> int:
    """Count what makes a message look like a source of an insight; 0 for what could be none."""
    if message.role not in {each.role for each in cited} or len(edits.stable(message.text)) < 5:
        return 0
    symbols = {insight.symbol, *(each.symbol for each in cited)} - {None}
    place = known.places[message.session_id]
    near = any(abs(known.places[each.session_id] - place) <= 1 for each in cited)
    same = (message.speaker in {each.speaker for each in cited}) + (message.symbol in symbols)
    if not same and not near:
        return 0
    spoken_of = insight.symbol is not None and re.search(_spelt(insight.symbol), message.text) is not None
    return 2 * same + near + spoken_of + (not message.text.rstrip().endswith("?"))

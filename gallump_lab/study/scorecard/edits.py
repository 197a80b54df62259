"""Edits of a statement's text for the fault injector: one number, date or direction changed, the same in other words.

They know as much grammar as a careless writer's eye: inflections, articles, capitals, the formats of numbers.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, lru_cache

from gallump_lab.study.scorecard import wordings as w

Edit = tuple[int, int, str]
"""Where it begins and ends in the text, and what stands there afterwards."""

_DATED = re.compile(rf"{w.DATE}|{w.RELATIVE}|\b\d?\d:\d\d\b")
_FIGURE = re.compile(w.FIGURE, re.IGNORECASE)
_ORDINAL = re.compile(rf"(?<!\ba )(?<!\bat )\b(?:{'|'.join(w.ORDINALS)})\b(?! (?:quarter|of|half)\b)")
_DIGITS = re.compile(r"\d[\d,]*(?:\.\d+)?")
_ISO = re.compile(r"\d{4}-\d\d-\d\d")
_SPANS = "day week month year".split()
_SOON = {
    "yesterday": ["last week", "two days ago"],
    "today": ["yesterday", "last week"],
    "tonight": ["tomorrow"],
    "tomorrow": ["next week", "next month"],
    "recently": ["long ago"],
}
_BASE = (
    r"(?:^(?!\w+ of\b)|(?<=\bto )|(?<=\bnot )|(?<=n't )|(?<=\bnever )|(?<=\bmay )|(?<=\bwill )|(?<=\bcan )"
    r"|(?<=\bcould ))"
)


def applied(text: str, edit: Edit) -> str:
    """Make one edit; the article before it and the sentence's capital stay right."""
    start, stop, new = edit
    before, new = text[:start], like(text[start:stop], new) if start == 0 else new
    if new and (article := re.search(r"\b([Aa])n? $", before)):
        before = f"{before[: article.start()]}{article[1]}{'n' * sounds_open(new)} "
    joined = f"{before}{new}{text[stop:]}"
    return re.sub(r"\s+([.,;:])", r"\1", re.sub(r"  +", " ", joined)).strip()


def sounds_open(word: str) -> bool:
    """Return whether "an" stands before a word."""
    return bool(re.match(r"[aeioAEIO]|[uU]n(?!i)|8|1[18]\b|[FLMNRSX](?:[A-Z]|\b)", word))


def like(old: str, new: str) -> str:
    """Return new words the capital of the old ones."""
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


# Numbers and dates


@lru_cache(maxsize=20_000)
def values(text: str) -> frozenset[Decimal]:
    """Return every number that stands in a text in whatever role, in digits or in words."""
    small = re.findall(r"[a-z]+", text.lower())
    digits = {Decimal(each.replace(",", "")) for each in _DIGITS.findall(text)}
    spelt = {Decimal(w.WORDS[each]) for each in small if each in w.WORDS}
    return frozenset(digits | spelt | {Decimal(w.ORDINALS.index(each) + 1) for each in small if each in w.ORDINALS})


@lru_cache(maxsize=20_000)
def stable(text: str) -> frozenset[str]:
    """Return the words of a text that say what it is about: in lower case, without figures, dates and small words."""
    found = re.findall(r"[a-z]{3,}", _FIGURE.sub(" ", _DATED.sub(" ", text)).lower())
    return frozenset(stem(each) for each in found if each not in w.PLAIN)


def stem(word: str) -> str:
    """Take a word's ending off, roughly."""
    return re.sub(r"(?:ing|ed|es|s)$", "", word.lower())


def figures(text: str) -> list[re.Match[str]]:
    """Find the numbers that are no dates, those in digits first."""
    dated = [found.span() for found in _DATED.finditer(text)]
    found = [
        each
        for each in _FIGURE.finditer(text)
        if not any(start < each.end() and each.start() < stop for start, stop in dated)
        and not re.match(r" (?:third|quarter|half|halve)s?\b", text[each.end() :])
    ]
    return sorted(found, key=lambda each: not each[0][0].isdigit())


def other_number(text: str, taken: frozenset[Decimal], dice: random.Random) -> Edit | None:
    """Change one number to a plausible other one in the same format, to none that is taken."""
    found = figures(text)
    digits = [each for each in found if each[0][0].isdigit()]
    for kind in (digits, found[len(digits) :], list(_ORDINAL.finditer(text))):
        for each in dice.sample(kind, len(kind)):
            percent = re.match(r" ?(?:%|percent)", text[each.end() :]) is not None
            others = [new for new in _others(each[0]) if not values(new) & taken]
            others = [new for new in others if not (percent and max(values(new)) >= 100 > max(values(each[0])))]
            others = [new for new in others if _apart(each[0], new)] or others
            if others:
                return (*each.span(), dice.choice(others))
    return None


def _apart(one: str, other: str) -> bool:
    """Return whether two numbers differ by more than rounding does."""
    a, b = max(values(one), default=Decimal(0)), max(values(other), default=Decimal(0))
    return abs(a - b) > abs(a) / 100


def _others(figure: str) -> list[str]:
    """Return what a number may be mistaken for."""
    if not figure[0].isdigit():
        *first, last = figure.lower().split("-")
        names = w.ORDINALS if last in w.ORDINALS else w.ONES if last in w.ONES else w.TENS if last in w.TENS else []
        place, least = (names.index(last) if names else 0), int(names is w.ONES and not first)
        return [
            "-".join([*first, names[i]])
            for i in (place - 2, place - 1, place + 1, place + 2)
            if least <= i < len(names)
        ]
    value = Decimal(figure.replace(",", ""))
    decimals = len(figure.partition(".")[2])
    near = {value + step for step in (-2, -1, 1, 2, 3)} if value <= 20 and not decimals else set()
    grain = Decimal(1).scaleb(-decimals)
    if decimals == 2 and figure[-1] in "05":
        grain = Decimal("0.50") if figure[-2:] in {"50", "00"} else Decimal("0.05")
    elif not decimals and not near:
        grain = Decimal(10) ** (len(figure) - len(figure.rstrip("0,")) - figure[len(figure.rstrip("0,")) :].count(","))
        grain = grain / 2 if grain > 1 and value / grain < 20 else grain
    if not near:
        off = (value * Decimal(100 + part) / 100 for part in (-20, -12, -8, -5, -3, 3, 5, 8, 12, 20))
        near = {(each / grain).quantize(Decimal(1), ROUND_HALF_UP) * grain for each in off}
        near |= {Decimal(each) for each in _misread(figure.replace(",", ""))}
    shown = (f"{each:{',' if ',' in figure else ''}.{decimals}f}" for each in sorted(near) if each > (value > 1))
    return [each for each in dict.fromkeys(shown) if Decimal(each.replace(",", "")) != value]


def _misread(digits: str) -> Iterator[str]:
    """Exchange two neighbouring digits, or take one for its neighbour; noughts at the end stay."""
    for i in range(1, len(digits.rstrip("0") or digits)):
        if digits[i].isdigit() and digits[i - 1].isdigit() and digits[i] != "0":
            yield digits[: i - 1] + digits[i] + digits[i - 1] + digits[i + 1 :]
        if digits[i] in "1234678":
            yield digits[:i] + str(int(digits[i]) + 1) + digits[i + 1 :]


def other_date(text: str, said: str, dice: random.Random) -> Edit | None:
    """Change a part of one date in the same format, to nothing that was said."""
    found = list(_DATED.finditer(text))
    for each in dice.sample(found, len(found)):
        edits = [
            (each.start() + start, each.start() + stop, new)
            for start, stop, new in _dates(each[0], dice)
            if not re.search(rf"\b{re.escape(new)}\b", f"{said} {text}", re.IGNORECASE)
            and not (new == "long ago" and re.search(r"\bha(?:s|ve)", text))
        ]
        if edits:
            return dice.choice(edits)
    return None


def _dates(when: str, dice: random.Random) -> Iterator[Edit]:
    """Return what a date may be mistaken for."""
    if _ISO.fullmatch(when):
        days = (date.fromisoformat(when) + timedelta(days=dice.choice((-1, 1)) * dice.randint(3, 40)) for _ in range(9))
        yield from ((0, len(when), day.isoformat()) for day in days if day.weekday() < 5)
    elif when in _SOON:
        yield from ((0, len(when), new) for new in _SOON[when])
    else:
        for found in re.finditer(r"\w+", when):
            yield from ((*found.span(), new) for new in _other_words(found[0], when) if new != found[0])


def _other_words(word: str, when: str) -> list[str]:
    """Return what one word of a date may be mistaken for."""
    one, s = word.removesuffix("s"), "s" * word.endswith("s")
    ordinals = w.ORDINALS[:4] if re.search("quarter|the .*month", when) else w.ORDINALS
    for names in (w.MONTHS, ordinals):
        if word in names:
            return names
    for names in (w.DAYS, _SPANS):
        if one in names:
            return [each + s for each in names if each != "day"]
    if word in w.WORDS:
        return w.ONES[1:6] if word != "one" else []
    if re.fullmatch(r"(?:19|20)\d\d", word):
        return [str(int(word) + step) for step in (-2, -1, 1)]
    day = re.fullmatch(r"(\d\d?)(st|nd|rd|th)?", word)
    return _days(int(day[1]), plain=not day[2], clock=":" in when) if day else []


def _days(day: int, *, plain: bool, clock: bool) -> list[str]:
    """Return other days of a month, or other hours and minutes."""
    if clock:
        return [f"{day + step:02}" for step in (-3, -2, 2, 3) if 0 < day + step < 24]
    endings = {1: "st", 2: "nd", 3: "rd"}
    near = [day + step for step in (-9, -5, -3, -1, 1, 2, 4, 7) if 0 < day + step <= 28]
    return [
        str(each) if plain else f"{each}{'th' if 10 < each < 14 else endings.get(each % 10, 'th')}" for each in near
    ]


# Directions


def inflected(verb: str) -> list[str]:
    """Return a verb's base, third person, past, participle and gerund."""
    stem = verb + verb[-1] if verb in w.DOUBLED else verb.removesuffix("e")
    ied = verb[:-1] + "i" if re.search(r"[^aeiou]y$", verb) else None
    third = f"{ied}es" if ied else verb + ("es" if re.search(r"(?:s|sh|ch|x|z|o)$", verb) else "s")
    past = w.IRREGULAR.get(verb) or [f"{ied or stem}ed"] * 2
    return [verb, "has" if verb == "have" else third, *past, f"{stem}ing"]


def other_direction(text: str, dice: random.Random, *, finance: bool) -> Edit | None:
    """Turn one word into its opposite; where there is none a role or, at last, the whole into its contrary."""
    for pairs in (_opposites(), _compiled(w.ROLES) if finance else ()):
        found = _turns_of(text, pairs)
        edits = [each for each in found if not re.search(rf"\b{re.escape(each[2])}\b", text, re.IGNORECASE)]
        if edits:
            return dice.choice(edits)
    return denied(text, dice)


def denied(text: str, dice: random.Random) -> Edit | None:
    """Turn a statement into its contrary by a "not", or without the one that it has."""
    if edits := _turns_of(text, _compiled(w.NEGATIONS)):
        return dice.choice(edits)
    if found := re.match(r"([A-Z]\w+ )(?!is\b|was\b|has\b|does\b)([a-z]+[^\s\W]s)(?= )", text):
        base = re.sub(r"(?<=[^aeiou])ies$", "y", found[2])
        base = re.sub(r"(?:(?<=sh)|(?<=ch)|(?<=ss)|(?<=x)|(?<=go)|(?<=do))es$|s$", "", base)
        return (*found.span(2), f"does not {base}")
    return None


def _turns_of(text: str, pairs: "Pairs") -> list[Edit]:
    places = ((found, put) for pattern, put in pairs for found in pattern.finditer(text))
    return [
        (*found.span(), found.expand(put)) for found, put in places if not found[0][0].isupper() or not found.start()
    ]


Pairs = tuple[tuple[re.Pattern[str], str], ...]


@cache
def _opposites() -> Pairs:
    """Compile the opposites; an earlier one comes before a later one of the same word."""
    found: dict[str, str] = dict(w.PHRASES)
    for one, sign, other in re.findall(r"(\w+)([=>])(\w+)", w.VERBS):
        for old, new in [(one, other), (other, one)][: 1 + (sign == "=")]:
            for place, (form, put) in enumerate(zip(inflected(old), inflected(new), strict=True)):
                found.setdefault(form if place else f"{_BASE}{form}", put)
    for one, sign, other in re.findall(r"(\w+)([=>])(\w+)", w.PAIRS):
        found |= {one: other} | ({other: one} if sign == "=" else {})
    return _compiled(list(found.items()))


def _compiled(pairs: list[tuple[str, str]]) -> Pairs:
    return tuple((_pattern(pattern), put) for pattern, put in pairs)


@cache
def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w'-])(?:{words})(?![\w'-])", re.IGNORECASE)


# The same in other words


def synonymous(text: str, dice: random.Random) -> tuple[str, int]:
    """Put other words wherever some are known, and say how often."""
    number = 0
    for pattern, put in _synonyms():
        found = pattern.search(text)
        if found and (not found[0][0].isupper() or found.start() == 0):
            text, number = applied(text, (*found.span(), dice.choice(put.split("|")))), number + 1
    return text, number


@cache
def _synonyms() -> Pairs:
    verbs: list[tuple[str, str]] = []
    for old, new in re.findall(r"(\w+)>(\w+)", w.SYNONYM_VERBS):
        forms = zip(inflected(old)[1:], inflected(new)[1:], strict=True)
        verbs += dict(forms).items()
    return _compiled([*verbs, *w.SYNONYMS])


def reformatted(text: str, dice: random.Random) -> str:
    """Write dates and numbers in another format."""
    style = dice.choice(("{0.day} {1} {0.year}", "{1} {0.day}, {0.year}"))

    def spelt(found: re.Match[str]) -> str:
        day = date.fromisoformat(found[0])
        return style.format(day, w.MONTHS[day.month - 1])

    text = _ISO.sub(spelt, text)
    text = re.sub(r"(?<=\d) percent\b", "%", text) if " percent" in text else re.sub(r"(?<=\d)%", " percent", text)
    text = re.sub(r"(?<![\d,.])(\d{1,3}),000(?![\d,.])", r"\1k", text)
    text = re.sub(r"\b(\d+\.\d)0\b", r"\1", text)
    words = "|".join(list(w.WORDS)[1:])
    number: Callable[[re.Match[str]], str] = lambda found: str(w.WORDS[found[0]])  # noqa: E731
    return re.sub(rf"(?<!-)\b(?:{words})\b(?!-| (?:third|quarter|half|hundred|and)| of )", number, text)


def flipped(text: str, forms: Mapping[str, str]) -> str:
    """Let pronouns speak of a man instead of a woman, or the other way round."""

    def other(found: re.Match[str]) -> str:
        word = found[0].lower()
        if word == "her" and "she" in forms:
            following = re.match(r"[ ]+([a-z]+)", text[found.end() :])
            new = "his" if following and following[1] not in w.OBJECT else "him"
        else:
            new = forms.get(word, word)
        return like(found[0], new)

    return re.sub(r"\b(?:s?he|hi[ms]|hers?|himself|herself)\b", other, text, flags=re.IGNORECASE)


def turned(text: str, name: str | None, dice: random.Random) -> str:
    """Say first what stood last, or "of" instead of a possessive, where the grammar allows it."""
    if name is None:
        return text
    who = re.escape(name)
    if found := re.match(rf"(The )?(\w[\w ]{{0,20}}?) of {who}\b", text):
        what = found[2] if found[1] else found[2][0].lower() + found[2][1:]
        return re.sub(r"^([^:]*): (?=\$?\d)", r"\1 is ", f"{name}'s {what}{text[found.end() :]}")
    if found := re.match(rf"{who}'s ((?:[\w-]+ ){{0,2}}[a-z]+)(?=:)", text):
        return f"The {found[1]} of {name}{text[found.end() :]}"
    if found := re.fullmatch(rf"{who}(?: on (\w+))?: (.*)\.", text):
        about = f" on {found[1]}" if found[1] else ""
        return dice.choice((f"According to {name}{about}, {found[2]}.", f"{name}'s view{about}: {found[2]}."))
    for pattern, put in _turns(who):
        if found := pattern.fullmatch(text):
            new = found.expand(put)
            return new[0].upper() + new[1:]
    return re.sub(rf"\bthe (\w+) of {who}\b", rf"{name}'s \1", text)


@cache
def _turns(who: str) -> Pairs:
    """Compile what may change places in a sentence that begins with a name."""
    verb = "(?:is|has|was|had|felt|found|got|made|went|[a-z]{3,}ed|(?:enjoy|like|love|find|want|plan|hope|value|see)s)"
    why = "(?:because|because of|if|when|while|after|although|whenever)"
    when = f"(?:as of|in|on|by|since|from|until|before) (?:{w.DATE}|{w.RELATIVE})|{w.RELATIVE}"
    return tuple(
        (re.compile(pattern), put)
        for pattern, put in (
            (rf"({who} [^,:;]+), ((?:the|an?) [^,:;]+)\.", r"\2: \1."),
            (rf"({who}[^,:;]+?(?<!inquired)(?<!asked)(?<!asks)),? ({why} (?:(?!because)[^,:;])+|{when})\.", r"\2, \1."),
            (rf"({who} [^,:;]+), (?!including|mentioning)([a-z]+ing [^,:;]+)\.", r"\2, \1."),
            (rf"({who}) ({verb}\b[^,:;]+?) and ({verb}\b(?!.*\b(?:it|them|there|that)\b)[^,:;]+)\.", r"\1 \3 and \2."),
            (rf"({who}'s (?:[a-z]+ ){{0,3}}[a-z]+) is ((?:[\w-]+ ){{0,2}}[\w-]+)\.", r"\2 is \1."),
        )
    )


def framed(text: str, names: list[str], dice: random.Random) -> str:
    """Put a statement into a frame sentence."""
    front, back = dice.choice(w.FRAMES[-1:] if ":" in text else w.FRAMES)
    proper = any(text.startswith(each) for each in names) or (text[:2].isalpha() and text[:2].isupper())
    inside = text if proper or front == "{}" else text[0].lower() + text[1:]
    return f"{front.format(inside.rstrip('.'))}{back}."


# Generic words


def generic(text: str) -> str:
    """Put generic words in the place of numbers, dates, places and titles."""
    for pattern, put in _generics():
        for found in reversed([*pattern.finditer(text)]):
            text = applied(text, (*found.span(), found.expand(put)))
    return text


@cache
def _generics() -> Pairs:
    return tuple((re.compile(pattern), put) for pattern, put in w.GENERIC)


def without_name(text: str, pattern: str, put: str) -> str:
    """Put generic words in the place of a name, or nothing where it stands before a noun."""
    for found in reversed([*re.finditer(pattern, text)]):
        before, after = text[: found.start()], re.match(r" ([a-z]+)", text[found.end() :])
        following = after[1] if after and put == "the stock" else ""
        noun = (
            following and following not in w.AFTER_NAMES and following not in w.WORDS and not following.endswith("ly")
        )
        if noun and re.search(r"(?:'s|[a-z\d]) $", before):
            text = applied(text, (found.start(), found.end() + 1, ""))
        else:
            text = applied(text, (*found.span(), put if found.start() else like("A", put)))
    return text

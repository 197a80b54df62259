"""What is called a password, whatever it looks like, and card numbers.

As in `secret_shapes`, every pattern takes a time that grows with the text's length alone. Losing a word of prose is
better than keeping a password, yet rare.
"""

import re

from gallump_lab.secret_shapes import (
    CARD,
    CARDS,
    CODE,
    OPENS,
    PASSWORD,
    PASSWORDS,
    Rule,
    digits,
    stands_for_one,
    varied,
)

_IS = r"(?:is|was|are|ist|war|lautet)"
_CLOSES = "\u203a\u00bb\u201d\u2019"
_EQUALS = rf"(?:[ ]{_IS})?[ \t]{{0,3}}(?:=>|:=|==|[=:\u2192]|->)[*_]{{0,2}}[ \t]{{0,4}}"
_WORD = (  # a comma or a bracket may stand in a password, but does not end it
    rf"""(?:[^\s"'`<>,;)\]{OPENS}{_CLOSES}]|[,;)\]](?=[\w!?$%&#@*+-])|(?<=\w)['](?=\w))"""
)
_SAID = re.compile(
    rf"""{PASSWORDS}["'`*)\]]{{0,3}}
    (?P<of>[ ](?:for|of|to|on|at|f\u00fcr)(?:[ ][\w.@&-]{{1,30}}){{1,4}}?)?
    (?P<sign>{_EQUALS}(?:\r?\n[ \t]{{0,4}})?|[ \t]{{0,3}}\|[ \t]{{0,20}}|[ ]{_IS}[ ]{{1,2}}|[ ]{{1,2}})
    [{OPENS}]?(?P<quote>["'])?(?P<secret>(?(quote)(?!\s)(?:(?!(?P=quote))[^\n]){{3,200}}|{_WORD}{{4,200}}))
    (?P<after>[ \t]*+\w+)?""",
    re.IGNORECASE | re.VERBOSE,
)
_WORDS = re.compile(  # "password = correct horse battery staple", and nothing else on the line
    rf"""{PASSWORDS}["'`*)\]]{{0,3}}{_EQUALS}["'`{OPENS}]?(?P<secret>[a-z0-9]{{3,30}}(?:[ ][a-z0-9]{{1,30}}){{1,5}})
    ["'`.{_CLOSES}]?[ \t]*+(?:$|\\n)""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_MIXED = rf"(?=[^\s\d]{{0,60}}\d)(?=[^\sa-z]{{0,60}}[a-z]){_WORD}{{4,60}}"
_SEVERAL = re.compile(rf"{PASSWORDS}{_EQUALS}(?P<secret>{_MIXED}(?:[ ]{_MIXED}){{1,4}})", re.IGNORECASE)
_WEAKLY = re.compile(
    rf"""(?<![A-Za-z])(?P<label>pass|pw|secret)["'`*]{{0,3}}(?P<sign>{_EQUALS}|[ ]{_IS}[ ]{{1,2}}|[ ]{{1,2}})
    ["'`{OPENS}]?(?P<secret>{_WORD}{{4,200}})""",
    re.IGNORECASE | re.VERBOSE,
)
_SIGNED_IN = re.compile(
    rf"""(?<![A-Za-z])(?:log[ -]?in|user[ _-]?name|credentials|creds)["'`*]{{0,2}}[ ]?[:=]\s{{0,2}}[^\s/|:;,]{{1,40}}
    \s{{0,2}}[/|:]\s{{0,2}}(?!/)(?P<secret>{_WORD}{{6,200}})""",
    re.IGNORECASE | re.VERBOSE,
)
_CARD = re.compile(r"(?<![\w.,$/-])(?P<secret>[2-6]\d(?:[ -]?\d){11,17})(?![\d/-]|[.,]\d)")
_NO_PASSWORD = frozenset(
    "none null true false required optional string hidden wrong forgotten incorrect expired unknown reset protected "
    "password passwd passphrase secret same changed missing manager policy strength input prompt needed login submit "
    "username email 1password sha256 sha-256 base64 oauth2".split()
)
_PROSE = frozenset(  # what a passphrase has none of
    "a about an and any are as ask at available be been but by call can change check characters contact digits do "
    "does enter field find for from get give given has have here how i if in it its keep kept later least letters "
    "long longer minimum must my never new no not of on only or our please resets see send sent set should shown so "
    "stored the their them there they this to too use used user via was we what when where which who will with you "
    "your".split()
)
_GOES_ON = frozenset("and at for from in on to with".split())
_COUNTED = re.compile(r"\d+-?[a-z]+", re.IGNORECASE)  # 12-character


def _mixed(text: str) -> bool:
    return digits(text) > 0 and any(c.isalpha() for c in text)


def _no_password(value: str) -> bool:
    bare = value.strip("*_.!?,:").casefold()
    if bare.startswith("removed]"):
        return True
    return bare in _NO_PASSWORD or CODE.match(value) is not None or stands_for_one(value)


def _said(found: re.Match[str]) -> bool:
    """Whether what stands behind "password" is one: a word of a sentence is none."""
    value, sign, after = found["secret"], found["sign"].strip(" \t*_"), (found["after"] or "").strip().casefold()
    if _no_password(value):
        return False
    letters = any(c.isalpha() for c in value)
    marked = digits(value) > 0 or any(not c.isalnum() and c not in ".,;)]-'\u2019" for c in value.rstrip(".!?,:"))
    if not sign:  # nothing between the two
        return not found["of"] and _mixed(value) and len(value) >= 6 and not _COUNTED.fullmatch(value)
    if sign == "|" or sign.isalpha():  # a table, "is"
        return marked and letters and len(value) >= 6
    if found["of"]:
        return marked
    if sign.endswith("\n"):
        return not after and not value.endswith(":")
    goes_on = after in _GOES_ON and value.casefold() not in _PROSE
    return marked or sign == "=" or found["quote"] is not None or not after or goes_on


def _words(found: re.Match[str]) -> bool:
    words = found["secret"].casefold().split()
    return not any(word in _PROSE or word in _NO_PASSWORD for word in words) and not stands_for_one(found["secret"])


def _several(found: re.Match[str]) -> bool:
    return not _no_password(found["secret"])


def _weakly(found: re.Match[str]) -> bool:
    """Whether what stands behind "pass", "pw" or "secret" is a password: these words say much else."""
    value, sign, start = found["secret"], found["sign"].strip(" \t*_"), found.start()
    if _no_password(value):
        return False
    if found["label"] == "PASS" and sign == "=" and found.string[start - 1 : start] == "_":  # DB_PASS=
        return True
    if not _mixed(value) or not any(c.islower() for c in value) or any(c in "-./(" for c in value):
        return False
    if not sign:
        return found["label"].casefold() == "pass" and len(value) >= 8 and varied(value) >= 4
    if found["label"].casefold() != "secret":
        return len(value) >= 6 and value[0].isalpha() and sum(map(str.isalpha, value)) >= 3
    return len(value) >= 8 and (varied(value) >= 3 or any(c in "!@#$^&*" for c in value))


def _signed_in(found: re.Match[str]) -> bool:
    value = found["secret"]
    return _mixed(value) and any(c.islower() for c in value) and not _COUNTED.fullmatch(value)


def _card(found: re.Match[str]) -> bool:
    """Whether a number is a card's: its check digit fits (Luhn), and a word beside it says so."""
    figures = [int(c) for c in reversed(found["secret"]) if c.isdigit()]
    total = sum(figures[::2]) + sum(sum(divmod(2 * figure, 10)) for figure in figures[1::2])
    near = found.string[max(0, found.start() - 60) : found.start()], found.string[found.end() : found.end() + 20]
    return total % 10 == 0 and any(map(CARDS.search, near))


RULES = (
    Rule(("pass", "pwd", "kennwort"), _SAID, PASSWORD, _said),
    Rule(("pass", "pwd", "kennwort"), _WORDS, PASSWORD, _words),
    Rule(("pass", "pwd", "kennwort"), _SEVERAL, PASSWORD, _several),
    Rule(("pass", "pw", "secret"), _WEAKLY, PASSWORD, _weakly),
    Rule(("login", "log in", "log-in", "user", "cred"), _SIGNED_IN, PASSWORD, _signed_in),
    Rule(("card", "visa", "karte", "amex", "cv"), _CARD, CARD, _card),
)

"""Masking: what looks like a key or a password gives way to a visible word, before it is stored or sent.

A secret is known by its shape, by its label (before it, or above it in a table), or because this process was given it.
Losing a word of prose is better than keeping a password, yet rare. Not known is what has neither shape nor label, nor
the second half of a key that a line break cuts in two. Every pattern's time grows with the text's length alone.
"""

import os
import re
import warnings
from collections.abc import Callable, Iterable
from itertools import chain, pairwise

from gallump_lab.lazy import regex

_kept: dict[str, None] = {}


_Rule = tuple[str, tuple[str, ...], re.Pattern[str], Callable[[re.Match[str]], bool]]
_Span = tuple[int, int, str]  # where a secret begins and ends in a text, and what it is


def _any_case(verbose: str) -> re.Pattern[str]:
    return regex(verbose, re.IGNORECASE | re.VERBOSE | re.MULTILINE)


# What issuers begin their keys with, and what follows.
_BODY, _BASE58 = "[A-Za-z0-9_-]", "[1-9A-HJ-NP-Za-km-z]"
_ISSUED = {
    "sk- ya29. GOCSPX- glpat- PMAK- nvapi- tvly- sntrys_ dckr_pat_": f"{_BODY}{{18,}}",
    "AKIA ASIA ABIA ACCA": "[A-Z0-9]{16}(?![A-Za-z0-9])",
    "sk_live_ rk_live_ sk_test_ rk_test_ sq0atp- sq0csp- sk_ pk_ Tsk_ Tpk_": f"{_BODY}{{16,}}",
    "gho_ ghp_ ghr_ ghs_ ghu_ github_pat_ figd_ gsk_ hf_ npm_ pplx- r8_ whsec_ xai-": "[A-Za-z0-9_+/-]{24,}",
    "AIza lin_api_ ntn_ glsa_ hvs. ATATT3 pypi-Ag AGE-SECRET-KEY-1": f"{_BODY}{{30,}}",
    "shpat_ shpca_ shppa_ shpss_ dop_v1_ doo_v1_ dor_v1_ dapi": "[a-f0-9]{30,}(?:-[0-9])?",
    "xoxa- xoxb- xoxe- xoxe. xoxo- xoxp- xoxr- xoxs- xapp-": "[A-Za-z0-9.-]{10,}",
    "SG.": rf"{_BODY}{{16,}}\.{_BODY}{{16,}}",
    "xprv yprv zprv tprv": f"{_BASE58}{{90,}}",
}
_STARTS = (*" ".join(_ISSUED).split(), "eyJ", "-----BEGIN")
_EDGE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-F]{2}))"  # where a word begins, escapes included
_SHAPED = regex(
    rf"(?P<secret>(?P<sure>sk-ant-{_BODY}{{16,}}|{_EDGE}AKIA[A-Z]{{16}}(?![A-Za-z0-9]))|{_EDGE}(?:"
    + "|".join(f"(?:{'|'.join(map(re.escape, starts.split()))}){rest}" for starts, rest in _ISSUED.items())
    + "))"
)
_BLOCK = regex(
    r"""(?P<secret>-----BEGIN[ ](?:[A-Z0-9]+[ ]){0,4}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----(?:
        (?:[^-]|-(?!----)){0,9999}+-----END[ ][A-Z0-9 ]{1,40}-----
        |(?:(?:[\s"'+,>|#*]|\\[nrt])*+(?:[A-Z][A-Za-z-]{2,20}:[ ][^\n\\"']*+|[A-Za-z0-9+/=]{16,}+))++  # it breaks off
        |\s*\Z))""",
    re.VERBOSE,
)
_JWT = regex(rf"{_EDGE}(?P<secret>eyJ{_BODY}{{8,2000}}\.eyJ{_BODY}{{8,}}(?:\.{_BODY}*+)*+)")
_WIF = regex(rf"(?P<secret>[5KL](?<![A-Za-z0-9].){_BASE58}{{50,51}})(?![A-Za-z0-9])")
_URL = _any_case(  # but no number of shares, as in buy://MSFT:400@29.85
    r"""://(?!(?-i:[A-Z]+):\d+@)[^\s:/@"'<>]{0,100}:(?P<secret>(?![$<{%[(*])[^\s/"'<>]{1,200})@
    (?=\[|[\w.-]{0,100}[a-z]|\d+\.\d+\.\d+\.\d)"""
)
_CURL = _any_case(
    r"""\bcurl\b[^\n]{0,300}?[ ](?:-u|--user)[ =]?(?P<quote>["'])?[^\s:"']{1,100}:(?P<secret>"""
    r"""(?![$<{%[(*])(?(quote)[^"'\n]{1,200}|[^\s"']{1,200}))"""
)
_AWS = _any_case(r"(?:AKIA|ASIA|aws|ecret)[\s\S]{1,200}?(?<![\w/+=])(?P<secret>[a-z0-9/+]{40})(?![\w/+=])")
_ALPACA = regex(r"(?<![A-Za-z0-9])(?P<secret>[PAC]K(?=[A-Z]*\d)[A-Z0-9]{18}(?:[A-Z0-9]{6})?)(?![A-Za-z0-9])")
_LONG = regex(r"(?<![\w+/=-])(?P<secret>[A-Za-z0-9]{32,128})(?![\w+/=-])")
_SEEDS = "(?:(?:seed|recovery|mnemonic|backup)[ _-](?:phrase|words)|mnemonic)"
_SEED = _any_case(
    rf"""{_SEEDS}(?:\s{{0,2}}[:=]|[ ](?:is|are))?["'`\s]{{0,4}}(?:1[.)]\s?)?
    (?P<secret>\b[a-z]{{3,8}}(?:(?:[\s,]|\d{{1,2}}[.)]){{1,6}}[a-z]{{3,8}}\b){{11,23}})(?!\w)"""
)
_CARD = regex(r"(?<![\w.,$/-])(?P<secret>[2-6]\d(?:[ -]?\d){11,17})(?![\d/-]|[.,]\d)")
_OF_CARD = _any_case(r"(?<![a-z])(?:cards?|kreditkarte|visa|mastercard|amex|cv[cv]2?)(?![a-z]|[ ]number[ ]removed)")

# What is called a key. Whoever says "token: 500" or "the key is patience" means no value that looks random.
_OF_WHAT = _any_case(
    r"""(?:\bmy|wif|flex(?:[ ](?:web[ ]service|query))?|(?:shared)?access|account|api|auth|bearer|bot|client|consumer
    |encryption|master|personal|private|refresh|secret|session|signing|wallet|webhook
    |(?:alpaca|alpha[ ]?vantage|anthropic|aws|azure|binance|bitfinex|bybit|claude|coinbase|eodhd|finnhub|gemini|github
    |google|groq|ibkr|iex|kraken|kucoin|massive|mistral|oanda|okx|openai|openrouter|polygon|quandl|questrade|schwab
    |telegram|tiingo|tradestation|tradier|twelve[ ]?data)(?:[ _-][a-z]{1,12})?)[ _-]?(?:access[ _-]?)?\Z"""
)
_OF_API = _any_case(r"(?:api|secret|access)[ _-]?(?:key|token|secret)")
_IS = "(?:is|was|are|ist|war|lautet|est|es)"
_SIGN, _CLOSE, _OPEN = r"(?:=>|:=|==|[=:\u2192]|->)", r"""["'`*)\]]{0,3}""", "[\u2039\u00ab\u201c\u201e\u2018]"
_LABEL = r"""(?:(?:key|secret|token|passphrase|schl\u00fcssel)(?:[ _-]?(?:key|value|token|id))?
    |(?:cl\u00e9|clave)[ ](?:de[ ])?api)"""
_LABELLED = rf"""(?P<label>{_LABEL})(?:[ ]\([^()\n]{{1,20}}\))?{_CLOSE}
    (?:\s{{0,3}}(?P<sign>{_SIGN})|(?:\s{{1,3}}{_IS}|\s{{1,3}}[-\u2013\u2014|]|\s{{0,2}},)?(?=\s))[*_]{{0,3}}\s{{0,3}}
    (?P<quote>["'`*(]{{0,3}})(?P<secret>(?>[a-z0-9+/_-][a-z0-9_\-+/.~]{{7,}}(?<![.~])={{0,2}}))(?!["'`]?\s{{0,2}}[:=(\[])"""
_BEARER = _any_case(
    r"""(?:\bbearer|authorization["']?\s{0,2}[:=]\s{0,2}["']?(?:(?P<basic>basic)|[a-z]{5,10}))\s{1,2}
    (?P<secret>(?=(?(basic)|\S{16}))[a-z0-9._~+/-]{8,}={0,2})"""
)
_STANDS_FOR_ONE = _any_case(r"your|example|placeholder|redacted|removed|dummy|insert|change.?me|goes.?here|x{4}|\*{3}")
_ADDRESS = regex(r"0x[0-9a-fA-F]{40}|(?:bc|tb|ltc|addr)1[a-z0-9]{25,110}")  # an account's: anybody may know it
_MINT = regex(rf"{_BASE58}{{32,44}}")  # what a coin goes by

# What is called a password, whatever it looks like.
_CALLED_SO = r"""(?:pass(?:words?|wd|phrase|code|wort)|kennwort|mot[ ]de[ ]passe|contrase[n\u00f1]a
    |(?<![a-z])(?:pwd(?!["'\s:=]{1,5}(?:[/~.]|[a-z]:\\))|mdp)|(?-i:(?<=_)PASS(?==)))"""
_FOR = r"(?:[ ](?:for|of|to|on|at|f\u00fcr|de|pour|para)(?:[ ][\w.@&-]{1,30}){1,4}?|[ ]\([^()\n]{1,30}\))"
_EQUALS = rf"(?:[ ]{_IS})?[ \t\u00a0\u202f]{{0,3}}{_SIGN}[*_]{{0,2}}[ \t\u00a0\u202f]{{0,4}}"
_CHAR = (  # a comma or a bracket may stand in a password, but does not end it
    r"""(?:[^\s"'`<>,;)\]\u2039\u00ab\u201c\u201e\u2018\u203a\u00bb\u201d\u2019]|[,;)\]](?=[\w!?$%&#@*+-])|(?<=\w)'(?=\w))"""
)
_SAID = _any_case(
    rf"""(?:{_CALLED_SO}|(?<![a-z])(?P<weak>pass|pw|secret|clave)){_CLOSE}
    (?:(?P<of>{_FOR})?(?:(?P<equals>{_EQUALS}(?P<line>\r?\n[ \t]{{0,4}})?)|[ \t]{{0,3}}(?P<table>\|)[ \t]{{0,20}}
    |(?P<is>[ ](?:{_IS}|to))[ ]{{1,2}})|[ ]{{1,2}}){_OPEN}?(?P<quote>["'])?
    (?P<secret>(?(quote)(?!\s)(?:(?!(?P=quote))[^\n]){{3,200}}|{_CHAR}{{4,200}}))(?P<after>[ \t]*+\w+)?"""
)
_WORDS = _any_case(  # "password = correct horse battery staple", and nothing else on the line
    rf"""{_CALLED_SO}{_CLOSE}{_EQUALS}["'`]?{_OPEN}?(?P<secret>[a-z0-9]{{3,30}}(?:[ ][a-z0-9]{{1,30}}){{1,5}})
    ["'`.\u203a\u00bb\u201d\u2019]?[ \t]*+(?:$|\\n)"""
)
_TALK = frozenset(  # what stands behind the word in prose and in forms, and in no passphrase
    "1password a about an and any are as ask at available base64 be been but by call can change changed characters "
    "check contact digits do does email enter expired false field find for forgotten from get give given has have here "
    "hidden how i if in incorrect is it its keep kept later least letters login long longer manager minimum missing "
    "must my needed never new no none not null oauth2 of on only optional or our passphrase passwd password please "
    "policy protected required reset resets same secret see send sent set sha256 should shown so stored strength "
    "string the their them there they this to too true unknown use used user username via was we what when where which "
    "who will with wrong you your".split()
)
_CODE = _any_case(r"[$<{%\[(*]|removed\]|(?:self|args|config|settings|env|os|getpass|input|process|request|data)[.(\[]")


def _digits(text: str) -> int:
    return sum(map(text.count, "0123456789"))


def _mixed(text: str) -> bool:
    return _digits(text) > 0 and any(map(str.isalpha, text))


def _varied(text: str) -> int:
    """Return how often a text changes between digits, capitals and small letters; signs are passed over."""
    kinds = ["d" if c.isdigit() else "A" if c.isupper() else "a" for c in text if c.isalnum()]
    return sum(one != other for one, other in pairwise(kinds))


def _placeholder(text: str) -> bool:
    """Return whether a text says that a key belongs here, such as YOUR_API_KEY."""
    return _digits(text) <= 3 and _STANDS_FOR_ONE.search(text) is not None


def _tangled(found: re.Match[str]) -> bool:
    return all(any(map(kind, found["secret"])) for kind in (str.isdigit, str.isupper, str.islower))


def _under_a_label(found: re.Match[str]) -> bool:
    """Return whether a long random word stands in a text, such as a table, that spoke of keys shortly before."""
    return _tangled(found) and _OF_API.search(found.string, max(0, found.start() - 1000), found.start()) is not None


def _shaped(found: re.Match[str]) -> bool:
    secret = found["secret"]
    random = found["sure"] is not None or _digits(secret) > 0 or _varied(secret) >= 4
    return len(secret) >= 48 or (random and not _placeholder(secret))


def _labelled(found: re.Match[str]) -> bool:
    """Return whether what stands behind a label looks random; a short value needs a label that says whose key it is."""
    value, sign, start = found["secret"], found["sign"], found.start("label")
    label, before = found["label"].casefold(), found.string[max(0, start - 1) : start]
    whose = _OF_WHAT.search(found.string, max(0, start - 40), start)
    of = whose[0].casefold().strip(" _-") if whose else "secret" if label[:6] == "secret" and label[6:] else ""
    coin = label.endswith("token") and (value.isupper() or (not of and sign != "=" and _MINT.fullmatch(value)))
    if coin or _ADDRESS.fullmatch(value) or _placeholder(value):
        return False
    random = len(value) >= 15 and _mixed(value) and _varied(value) >= 4
    if of in {"", "my"}:
        bare = label == "key" and not of and before not in {"?", "&"}
        return random and not bare and not before.isalpha()
    if value.isdigit():
        return len(value) >= 18
    letters = value.isalpha() and len(value) >= 16 and (value.isupper() or value.islower())
    marked = found["quote"] or sign == "=" or len(value) >= 15
    short = marked and of != "session" and _digits(value) > 1 and value.isalnum()
    return random or (sign is not None and bool(letters or short))


def _said(found: re.Match[str]) -> bool:
    """Return whether what stands behind "password" is one: a word of a sentence is none."""
    value, after, weak = found["secret"], (found["after"] or "").strip().casefold(), found["weak"]
    if value.strip("*_.!?,:").casefold() in _TALK or _CODE.match(value) or _placeholder(value):
        return False
    sign = (found["equals"] or found["table"] or found["is"] or "").strip(" \t\u00a0\u202f*_\r\n")
    marked = _digits(value) > 0 or not {*"!@#$%^&*+=?~"}.isdisjoint(value.rstrip(".!?,:"))
    counted = re.fullmatch(r"\d+-?[A-Za-z]+", value)  # 12-character
    odd = len(value) >= 6 and marked and any(map(str.isalpha, value)) and not counted
    if weak:
        least = (3 if weak.casefold() == "secret" else 1) if sign else 4
        prose = value.isupper() or not value[0].isalpha() or not {*"-./("}.isdisjoint(value)
        return odd and _mixed(value) and not prose and _varied(value) >= least
    if not found["equals"] or found["of"]:
        return odd and (bool(sign) or _mixed(value))
    if found["line"] or not after:
        return not after and value[-1] != ":"
    return marked or sign == "=" or found["quote"] is not None or after in "and at for from in on to with".split()


def _card(found: re.Match[str]) -> bool:
    """Return whether a number is a card's: its check digit fits (Luhn), and a word beside it says so."""
    figures = [int(c) for c in reversed(found["secret"]) if c.isdigit()]
    total = sum(figures[::2]) + sum(sum(divmod(2 * figure, 10)) for figure in figures[1::2])
    return total % 10 == 0 and _OF_CARD.search(found.string, max(0, found.start() - 60), found.end() + 20) is not None


_HINTS = ("pass", "pw", "kennwort", "mdp", "contrase")
# What it is; what a text in small letters holds one of; how it looks ("secret" must go); what makes sure of it.
_RULES: tuple[_Rule, ...] = (
    ("API key", tuple(map(str.lower, _STARTS)), _SHAPED, _shaped),
    ("access token", ("eyj",), _JWT, bool),
    ("API key", (":aa",), regex(rf"(?<![A-Za-z0-9])(?P<secret>\d{{8,10}}:AA{_BODY}{{32,}})"), bool),  # Telegram
    ("API key", ("hooks",), _any_case(r"hooks\.slack\.com/services/(?P<secret>[a-z0-9_/-]{30,})"), bool),
    ("access token", ("sig=", "signature="), _any_case(r"(?:sig|-signature)=(?P<secret>[a-z0-9%+/=_-]{30,})"), bool),
    ("access token", ("t=",), regex(r"[?&]t=(?P<secret>\d{18,})"), bool),  # Flex
    ("private key", ("5", "k", "l"), _WIF, _tangled),
    ("API key", ("alpaca", "apca", "key", "secret"), _ALPACA, bool),
    ("API key", ("aws", "akia", "asia", "secret"), _AWS, _tangled),
    ("API key", ("key", "secret"), _LONG, _under_a_label),
    ("private key", ("-----begin",), _BLOCK, bool),
    ("private key", ("private", "wallet"), _any_case(rf"(?:private|wallet)[ _-]?{_LABELLED}"), _labelled),
    ("API key", ("key", "token", "secret", "passphrase", "ssel", "cl\u00e9", "clave"), _any_case(_LABELLED), _labelled),
    ("access token", ("bearer", "authorization"), _BEARER, lambda found: _varied(found["secret"]) > 1),
    ("password", ("://",), _URL, bool),
    ("password", ("curl",), _CURL, bool),
    ("password", (*_HINTS, "secret", "clave"), _SAID, _said),
    ("password", _HINTS, _WORDS, lambda found: _TALK.isdisjoint(found["secret"].casefold().split())),
    ("seed phrase", ("phrase", "words", "mnemonic"), _SEED, bool),
    ("card number", ("card", "visa", "amex", "cv"), _CARD, _card),
)
_HINTED: dict[str, dict[str, list[int]]] = {}  # what few texts hold; hints with that in them; their rules' places
for _place, _rule in enumerate(_RULES):
    for _hint in _rule[1]:
        _seldom = next((sign for sign in ("_", "xox", "prv", "-", "=", ":") if sign in _hint), "")
        _HINTED.setdefault(_seldom, {}).setdefault(_hint, []).append(_place)
_MASKS = " ".join(f"[{what} removed]" for what, *_ in _RULES)
_UNSEEN = regex("[\u00ad\u200b-\u200f\u2060\ufeff]")  # a paste may bring them; a key has none


def keep(secret: str) -> None:
    """Add a secret of this process, to be masked wherever it stands; it is held in memory alone."""
    _kept[secret.strip()] = None


def _in_force() -> list[str]:
    """Return the keys that this process is given; words that any text may hold ("ollama", or a mask's) are none."""
    names = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GALLUMP_LAB_TOKEN")
    given = [*(os.environ.get(name, "").strip() for name in names), *_kept]
    return [key for key in given if len(key) >= 8 and not (len(key) < 16 and key.isalpha()) and key not in _MASKS]


def _spans(text: str) -> list[_Span]:
    """Find every secret, in order; those that overlap are one, by the name of the first."""
    if not text.isascii() and _UNSEEN.search(text):
        places = [place for place, c in enumerate(text) if not _UNSEEN.match(c)]
        spans = _spans("".join(text[place] for place in places))
        return [(places[start], places[stop - 1] + 1, what) for start, stop, what in spans]
    small = text.lower()
    hints = chain.from_iterable(hints.items() for seldom, hints in _HINTED.items() if seldom in small)
    hinted = {place for hint, places in hints if hint in small for place in places}
    found = [
        (*each.span("secret"), what)
        for what, _, pattern, sure in [_RULES[place] for place in sorted(hinted)]
        for each in pattern.finditer(text)
        if sure(each)
    ]
    for key in filter(text.__contains__, _in_force()):
        found += [(*each.span(), "API key") for each in re.finditer(re.escape(key), text)]
    apart: list[_Span] = []
    for start, stop, what in sorted(found, key=lambda span: span[0]):
        if apart and start < apart[-1][1]:
            begin, end, name = apart.pop()
            apart.append((begin, max(end, stop), name))
        else:
            apart.append((start, stop, what))
    return apart


def _without(text: str, begin: int = 0, spans: Iterable[_Span] | None = None) -> str:
    """Return a text from `begin` on, with a word in the place of each secret."""
    pieces = []
    for start, stop, what in _spans(text) if spans is None else spans:
        if stop > begin:
            pieces += [text[begin : max(begin, start)], f"[{what} removed]"]
            begin = stop
    return "".join(pieces) + text[begin:]


def masked(text: str) -> str:
    """Return a text with a word in the place of each secret, such as "[API key removed]", which stays as it is."""
    while (said := _without(text)) != text:  # once more, for what a secret stood in the way of
        text = said
    return text


def describe(text: str, where: str = "question") -> str | None:
    """Describe what is masked in a question, or in what else one wrote; None where nothing is."""
    kinds = dict.fromkeys(what for *_, what in _spans(text))
    named = " and ".join(f"{'an' if kind[0] in 'Aa' else 'a'} {kind}" for kind in kinds)
    done = "was masked before it was stored or sent. If it is real, revoke it."
    return f"What looked like {named} in your {where} {done}" if kinds else None


def warn(where: str, *texts: object, stacklevel: int = 2) -> None:
    """Warn of what is masked in an insight, a question or a note; `stacklevel` 2 points at the caller's caller."""
    for text in texts:
        if isinstance(text, str) and (words := describe(text, where)):
            warnings.warn(words, UserWarning, stacklevel=stacklevel + 1)
            return


# What of a growing text may become a secret: the beginning of a key, a label with what may be its value, a number.
_EARLIER = sorted({start[:end] for start in _STARTS for end in range(1, len(start) + 1)}, reverse=True)
_BEGUN = regex(rf"{_EDGE}(?:{'|'.join(map(re.escape, _EARLIER))})\Z")
_NAMED = _any_case(
    rf"""(?:(?:{_LABEL}|pass|pw|wif|bearer|authorization)(?:[ ]\([^()\n]{{1,20}}\)?)?
      ["'`*_\s:=>()|,\u2192-]{{0,8}}{_OPEN}?(?:[a-z]{{1,10}}\s{{0,3}})?[!-~]*
    |{_CALLED_SO}[^\n]{{0,300}}(?:\n[ \t]*[!-~]*)?
    |(?<![a-z])(?:curl|clave|card|visa|mastercard|amex|cv[cv])[^\n]{{0,100}}
    |{_SEEDS}[a-z0-9\s.,):="'`]{{0,300}}|(?<![\w.,$/-])[2-6](?:[ -]?\d){{7,18}}[^\n]{{0,20}})\Z"""
)


def _settled(text: str, spans: Iterable[_Span]) -> int:
    """Return up to where a growing text with some secrets holds nothing that what follows can make part of another."""
    last, line = max(map(text.rfind, " \t\n")) + 1, text.rfind("\n") + 1
    word, begun = text[last:], text.rfind("-----BEGIN")
    begins = _BEGUN.search(text, last) or _OF_API.search(text, max(0, len(text) - 1000))
    held = begins or any(start in word for start in (*_STARTS, "://")) or (len(word) >= 8 and _digits(word))
    settled = last if held else len(text)
    for key in _in_force():
        settled = min([settled, *(len(text) - end for end in range(4, len(key)) if text.endswith(key[:end]))])
    if named := _NAMED.search(text, max(0, len(text) - 400)):
        settled = min(settled, named.start())
    if begun >= 0 and "-----END" not in text[begun:line]:
        settled = min(settled, begun)
    return min([settled, *(start for start, stop, _ in spans if start < settled < stop)])


class Stream:
    """Masks a text that comes in pieces: what may be the beginning of a secret waits for what follows.

    Parameters
    ----------
    tell : callable
        Gets the pieces, masked.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._before = self._waiting = ""
        self._enough = 0

    def add(self, piece: str) -> None:
        """Add a piece, and hand on what is settled by now."""
        self._waiting += piece
        if len(self._waiting) >= self._enough:
            text = self._before + self._waiting
            settled = _settled(text, spans := _spans(text))
            self._hand_on(max(0, settled - len(self._before)), spans if settled == len(text) else None)
            self._enough = len(self._waiting) * 11 // 10  # so that a long one is not looked through for each piece

    def end(self) -> None:
        """Hand on what still waits: nothing follows."""
        self._hand_on(len(self._waiting))

    def _hand_on(self, until: int, spans: Iterable[_Span] | None = None) -> None:
        if until:
            text = self._before + self._waiting[:until]
            said = _without(text, len(self._before), spans)
            begin = min(len(text) - 200, text.rfind("\n\n"))  # a table's head says what its cells are
            self._before, self._waiting = text[max(0, len(text) - 2000, begin) :], self._waiting[until:]
            self._tell(said)

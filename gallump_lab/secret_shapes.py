"""The shapes that secrets have: what issuers begin their keys with, private key blocks, passwords in URLs, labels.

Every pattern takes a time that grows with the text's length alone. Not known is what has neither shape nor label, nor
the second half of a key that a line break cuts in two (a private key's block may have any).
"""

import re
import string
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

KINDS = KEY, TOKEN, PASSWORD, PRIVATE, SEED = "API key", "access token", "password", "private key", "seed phrase"
"""What a secret is, in words."""


class Rule(NamedTuple):
    """A shape of secrets."""

    hints: tuple[str, ...]
    """A text in small letters that holds none of them holds no such secret."""
    pattern: re.Pattern[str]
    """Its group "secret" is what must go."""
    what: str
    check: Callable[[re.Match[str]], bool] = bool
    """Tells a secret from what only has its shape."""


# What issuers begin their keys with, and what follows.
_BODY = "[A-Za-z0-9_-]"
_SHAPES = {
    "sk-": f"{_BODY}{{20,}}",  # Anthropic, OpenAI and those that follow them
    "AIza": f"{_BODY}{{30,}}",  # Google
    "ya29.": f"{_BODY}{{20,}}",
    "GOCSPX-": f"{_BODY}{{20,}}",
    **dict.fromkeys(("AKIA", "ASIA", "ABIA", "ACCA"), "[A-Z0-9]{16}(?![A-Za-z0-9])"),  # AWS
    **dict.fromkeys(("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), "[A-Za-z0-9]{30,}"),  # GitHub
    "github_pat_": "[A-Za-z0-9_]{30,}",
    "glpat-": f"{_BODY}{{18,}}",  # GitLab
    "xox": "[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    "xapp-": "[A-Za-z0-9-]{10,}",
    **dict.fromkeys(("sk_live_", "rk_live_", "sk_test_", "rk_test_"), "[A-Za-z0-9]{16,}"),  # Stripe
    **dict.fromkeys(("sk_", "pk_", "Tsk_", "Tpk_"), "[A-Za-z0-9]{20,}"),  # IEX
    "hf_": "[A-Za-z0-9]{30,}",  # Hugging Face
    "gsk_": "[A-Za-z0-9]{40,}",
    "xai-": "[A-Za-z0-9]{40,}",
    "pplx-": "[A-Za-z0-9]{40,}",
    "npm_": "[A-Za-z0-9]{36}",
    "pypi-Ag": f"{_BODY}{{50,}}",
    "whsec_": "[A-Za-z0-9+/]{24,}",
    "SG.": rf"{_BODY}{{16,}}\.{_BODY}{{16,}}",
    "AGE-SECRET-KEY-1": "[A-Z0-9]{50,}",
}
STARTS = (*_SHAPES, "eyJ", "-----BEGIN")
_EARLIER = {start[:end] for start in STARTS for end in range(1, len(start))}  # what may become one of them
EDGE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-F]{2}))"  # where a word begins, escapes included
_SHAPED = re.compile(
    rf"(?P<secret>(?P<claude>sk-ant-){_BODY}{{16,}}|{EDGE}(?:"
    + "|".join(re.escape(start) + rest for start, rest in _SHAPES.items())
    + "))"
)
_JWT = re.compile(rf"{EDGE}(?P<secret>eyJ{_BODY}{{8,}}\.eyJ{_BODY}{{8,}}(?:\.{_BODY}*+)*+)")
_TELEGRAM = re.compile(rf"(?<![A-Za-z0-9])(?P<secret>\d{{8,10}}:AA{_BODY}{{32,}})")
_HOOK = re.compile(
    r"(?:hooks\.slack\.com/[a-z]{4,12}|discord(?:app)?\.com/api/webhooks)/(?P<secret>[A-Za-z0-9_/-]{30,})"
)

# A private key's block; of one that breaks off, what still looks like it.
_BREAK = r"""(?:[\s"'+,>|#*]|\\[nrt])"""
_PEM = re.compile(
    rf"""(?P<secret>-----BEGIN[ ](?:[A-Z0-9]+[ ]){{0,4}}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----(?:
        [^-"]*+(?:-(?!----)[^-"]*+)*+-----END[ ][A-Z0-9 ]{{1,40}}-----
        |(?:{_BREAK}*+(?:[A-Z][A-Za-z-]{{2,20}}:[ ][^\n\\"']*+|[A-Za-z0-9+/=]{{16,}}+
           |[A-Za-z0-9+/=]++(?=[ \t]{{0,4}}(?:\\[nr]|[\r\n"',]|\Z))))++
         (?:{_BREAK}*+-----END[ ][A-Z0-9 ]{{1,40}}-----)?
        |\s*\Z))""",
    re.VERBOSE,
)

# What is called a secret. Whoever says "token: 500" or "the secret is patience" means no value that looks random.
_BRANDS = (
    "alpaca|polygon|massive|finnhub|binance|coinbase|kraken|bybit|okx|kucoin|bitfinex|tiingo|iex|alpha[ ]?vantage|"
    "quandl|oanda|tradier|schwab|tradestation|questrade|ibkr|eodhd|twelve[ ]?data|openai|anthropic|claude|openrouter|"
    "mistral|groq|gemini|google|aws|azure|github|telegram"
)
_OF_WHAT = re.compile(
    r"(?:(?:api|access|secret|private|client|consumer|auth|bearer|refresh|session|bot|webhook|signing|encryption|account|"
    rf"master|wallet|personal|(?:{_BRANDS})(?:[ _-][a-z]{{1,12}})?)[ _-]?(?:access[ _-]?)?)\Z",
    re.IGNORECASE,
)
LABEL = r"(?P<label>(?:key|secret|token|passphrase)(?:[ _-]?(?:key|value|token|id))?)"
_SIGN = r"""["'`*)\]]{0,3}\s{0,3}(?:=>|:=|==|[=:\u2192]|->)\s{0,3}["'`*(]{0,3}"""
_LOOSE = r"""["'`*)\]]{0,3}(?:\s{1,3}(?:is|are|was)|\s{1,3}[-\u2013\u2014|]|\s{0,2},)?\s{1,3}["'`*(]{0,3}"""
_VALUE = r"(?>[A-Za-z0-9+/_-][A-Za-z0-9_\-+/.~]{14,}(?<![.~])={0,2})"
_BEHIND = rf"""(?:(?P<sign>{_SIGN})|{_LOOSE})(?P<secret>{_VALUE})(?!["'`]?\s{{0,2}}[:=(\[])"""
_LABELLED = re.compile(LABEL + _BEHIND, re.IGNORECASE)
_PRIVATELY = re.compile(rf"(?:private|wallet)[ _-]?{LABEL}{_BEHIND}", re.IGNORECASE)
_BEARER = re.compile(
    r"""(?:\bbearer|authorization["']?\s{0,2}[:=]\s{0,2}["']?[a-z]{5,10})\s{1,2}(?P<secret>[A-Za-z0-9._~+/-]{16,}={0,2})""",
    re.IGNORECASE,
)
PASSWORDS = r"(?:pass(?:word|wd|phrase|code)|(?<![A-Za-z])(?:pwd|passwort))"
_SAID = re.compile(
    rf"""{PASSWORDS}["'`*]{{0,3}}(?:(?P<sign>[ \t]{{0,3}}(?:=>|:=|==|[=:])[ \t]{{0,3}})|[ ]is[ ])
    (?P<quote>["'])?(?P<secret>(?(quote)[^"'\n]{{3,200}}|[^\s"'`<>,;)\]]{{4,200}}))(?P<after>[ \t]*+\w)?""",
    re.IGNORECASE | re.VERBOSE,
)
_URL = re.compile(r"""://[^\s:/@"'<>]{0,100}:(?P<secret>[^\s/"'<>]{1,200})@(?=[\w\[])""")
SEEDS = r"(?:(?:seed|recovery|mnemonic|backup)[ _-](?:phrase|words)|mnemonic)"
_NEXT = r"(?:[\s,]|\d{1,2}[.)]){1,6}"
_PHRASE = re.compile(
    rf"""{SEEDS}(?:\s{{0,2}}[:=]|[ ]is)?["'`\s]{{0,4}}(?:1[.)]\s?)?
    (?P<secret>\b[a-z]{{3,8}}(?:{_NEXT}[a-z]{{3,8}}\b){{11,23}})(?!\w)""",
    re.IGNORECASE | re.VERBOSE,
)
# Keys that are told from other words in capitals, or from a hash, by what the text speaks of.
_ALPACA = re.compile(r"(?<![A-Za-z0-9])(?P<secret>[PAC]K(?=[A-Z0-9]{0,25}\d)[A-Z0-9]{16,26})(?![A-Za-z0-9])")
_OF_KEYS = re.compile(r"alpaca|apca|(?<![a-z])(?:keys?|secrets?)(?![a-z]| removed)", re.IGNORECASE)
_AWS = re.compile(r"(?<![A-Za-z0-9/+=])(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])")
_OF_AWS = re.compile(r"(?:AKIA|ASIA)[A-Z0-9]{16}|\baws\b|\bAWS\b|[Ss]ecret ?[Aa]ccess")

_STANDS_FOR_ONE = re.compile(
    r"your|example|placeholder|redacted|removed|dummy|insert|change.?me|goes.?here|x{4}|\*{3}", re.IGNORECASE
)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}|[1-9A-HJ-NP-Za-km-z]{32,44}")
_NO_PASSWORD = frozenset(
    "none null true false required optional string hidden wrong forgotten incorrect expired unknown reset protected "
    "password passwd passphrase secret same changed missing manager policy strength input prompt".split()
)
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
PRINTED = "".join(map(chr, (*range(0x21, 0x7F), 0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF)))
_CODE = re.compile(
    r"[$<{%\[(*]|(?:self|args|config|settings|env|os|getpass|input|process|request|data)\b[.(\[]", re.IGNORECASE
)


def _varied(text: str) -> int:
    """Count how often a text changes between digits, capitals and small letters; signs are passed over."""
    kinds = ["d" if c.isdigit() else "A" if c.isupper() else "a" for c in text if c.isalnum()]
    return sum(one != other for one, other in pairwise(kinds))


def digits(text: str) -> int:
    """Count a text's digits."""
    return sum(map(text.count, string.digits))


def _stands_for_one(text: str) -> bool:
    """Whether a text says that a key belongs here, such as YOUR_API_KEY."""
    return digits(text) <= 3 and _STANDS_FOR_ONE.search(text) is not None


def _shaped(found: re.Match[str]) -> bool:
    secret = found["secret"]
    if len(secret) >= 48:  # by its shape alone
        return True
    return not _stands_for_one(secret) and (found["claude"] is not None or digits(secret) > 0 or _varied(secret) >= 4)


def _labelled(found: re.Match[str]) -> bool:
    """Whether what stands behind a label looks random; a weak label, or one without a sign, wants more of that."""
    value, sign, start = found["secret"], found["sign"], found.start()
    if not digits(value) or not any(c.isalpha() for c in value) or _stands_for_one(value):
        return False
    label = re.sub("[ _-]", "", found["label"].casefold())
    strong = label.endswith("tkey") or _OF_WHAT.search(found.string, max(0, start - 40), start)
    address = _ADDRESS.fullmatch(value)  # of a contract or an account: anybody may know it
    if address and (value.startswith("0x") or (label == "token" and not strong and sign != "=")):
        return False
    before = found.string[start - 1 : start]
    if not strong and (before.isalpha() or (label.startswith("key") and before not in {"?", "&"})):
        return False
    return bool(strong and sign and not {".", "/"} & {*value}) or _varied(value) >= 4


def _privately(found: re.Match[str]) -> bool:
    return digits(found["secret"]) > 0 and _varied(found["secret"]) >= 4


def _said(found: re.Match[str]) -> bool:
    """Whether what stands behind "password" is one: a word of a sentence is none."""
    value, sign = found["secret"], found["sign"]
    if value.strip("*_.!?,:").casefold() in _NO_PASSWORD or _CODE.match(value) or _stands_for_one(value):
        return False
    marked = digits(value) > 0 or any(not c.isalnum() and c not in ".-'\u2019" for c in value.rstrip(".!?,:"))
    if sign is None:
        return marked and len(value) >= 6 and any(c.isalpha() for c in value)
    return marked or sign == "=" or found["quote"] is not None or not found["after"]


def _borne(found: re.Match[str]) -> bool:
    return digits(found["secret"]) > 0 and not _stands_for_one(found["secret"])


def _speaks(of: re.Pattern[str]) -> Callable[[re.Match[str]], bool]:
    return lambda found: of.search(found.string) is not None


def _aws(found: re.Match[str]) -> bool:
    value = found["secret"]
    kinds = (str.isdigit, str.isupper, str.islower)
    return all(any(map(kind, value)) for kind in kinds) and _OF_AWS.search(found.string) is not None


# Most need a run of so many characters without a space, which few texts have.
RUN = re.compile(r"[A-Za-z0-9_+/.~=-]{16}")
LONG = (  # what overlaps has the first one's name
    Rule(tuple(dict.fromkeys(map(str.lower, _SHAPES))), _SHAPED, KEY, _shaped),
    Rule(("eyj",), _JWT, TOKEN),
    Rule((":aa",), _TELEGRAM, KEY),
    Rule(("hooks.slack", "api/webhooks"), _HOOK, KEY),
    Rule(("private", "wallet"), _PRIVATELY, PRIVATE, _privately),
    Rule(("key", "token", "secret", "passphrase"), _LABELLED, KEY, _labelled),
    Rule(("bearer", "authorization"), _BEARER, TOKEN, _borne),
    Rule(("key", "secret", "alpaca", "apca"), _ALPACA, KEY, _speaks(_OF_KEYS)),
    Rule(("aws", "akia", "asia", "secret"), _AWS, KEY, _aws),
)
SHORT = (
    Rule(("-----begin",), _PEM, PRIVATE),
    Rule(("pass", "pwd"), _SAID, PASSWORD, _said),
    Rule(("://",), _URL, PASSWORD, lambda found: not _CODE.match(found["secret"])),
    Rule(("phrase", "mnemonic", "recovery", "backup"), _PHRASE, SEED),
)

# What of a growing text may be the beginning of a secret.
BEGUN = re.compile(rf"{EDGE}(?:{'|'.join(map(re.escape, sorted(_EARLIER, reverse=True)))})\Z")
NAMES = ("key", "token", "secret", "pass", "pwd", "bearer", "authorization", "phrase", "words", "mnemonic")
NAMED = re.compile(
    rf"""(?:(?:{LABEL}|{PASSWORDS}|bearer|authorization)["'`*\s:=>()|,-]{{0,8}}(?:[a-z]{{1,10}}\s{{0,3}})?[!-~]*
    |{SEEDS}[a-z0-9\s.,):="'`]{{0,300}})\Z""",
    re.IGNORECASE | re.VERBOSE,
)
OPEN = re.compile(
    r"-----BEGIN(?:[ A-Z0-9]*-{0,4}\Z|[ A-Z0-9]*PRIVATE KEY(?: BLOCK)?-----(?!.*-----END[ A-Z0-9]*-----))", re.DOTALL
)

"""The shapes that secrets have: what issuers begin their keys with, private key blocks, passwords in URLs, labels.

Every pattern takes a time that grows with the text's length alone. Not known is what has neither shape nor label, nor
the second half of a key that a line break cuts in two (a private key's block may have any).
"""

import re
import string
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

KINDS = KEY, TOKEN, PASSWORD, PRIVATE, SEED, CARD = (
    "API key",
    "access token",
    "password",
    "private key",
    "seed phrase",
    "card number",
)
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
_BRIEFLY = re.compile(  # too short to be known by itself
    rf"""(?P<of>api|access|secret|client|consumer|auth|{_BRANDS})[ _-]?(?:access[ _-]?)?(?P<label>key|secret|token)
    (?:[ _-]?(?:key|id))?["'`*)\]]{{0,3}}(?P<sign>\s{{0,3}}(?:=>|:=|==|[=:\u2192]|->)\s{{0,3}})(?P<quote>["'`])?
    (?P<secret>[A-Za-z0-9_-]{{8,64}}={{0,2}})(?(quote)(?=["'`])|(?![\w(\[.:=/+-]))""",
    re.IGNORECASE | re.VERBOSE,
)
_MINE = re.compile(
    r"\bmy[ ](?:api[ _-]?)?(?:key|secret)(?:[ ](?:is|was)|\s?[:=])[ ]?(?P<secret>[A-Za-z0-9]{20,})(?!\w)", re.IGNORECASE
)
_BASIC = re.compile(
    r"""authorization["']?\s{0,2}[:=]\s{0,2}["']?basic\s{1,2}(?P<secret>[A-Za-z0-9+/_-]{8,}={0,2})""", re.IGNORECASE
)
_BEARER = re.compile(
    r"""(?:\bbearer|authorization["']?\s{0,2}[:=]\s{0,2}["']?[a-z]{5,10})\s{1,2}(?P<secret>[A-Za-z0-9._~+/-]{16,}={0,2})""",
    re.IGNORECASE,
)
PASSWORDS = r"(?:pass(?:words?|wd|phrase|code|wort)|kennwort|(?<![A-Za-z])pwd)"
OPENS = "\u2039\u00ab\u201c\u201e\u2018"
_URL = re.compile(
    r"""://(?P<user>[^\s:/@"'<>]{0,100}):(?P<secret>[^\s/"'<>]{1,200})@(?=\[|[\w.-]{0,100}[A-Za-z]|\d+\.\d+\.\d+\.\d)"""
)
SEEDS = r"(?:(?:seed|recovery|mnemonic|backup)[ _-](?:phrase|words)|mnemonic)"
_NEXT = r"(?:[\s,]|\d{1,2}[.)]){1,6}"
_PHRASE = re.compile(
    rf"""{SEEDS}(?:\s{{0,2}}[:=]|[ ](?:is|are))?["'`\s]{{0,4}}(?:1[.)]\s?)?
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
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}|(?:bc|tb|ltc|addr)1[a-z0-9]{25,110}|[1-9A-HJ-NP-Za-km-z]{32,44}")
_PUBLIC = re.compile(r"0x|(?:bc|tb|ltc|addr)1")
_LISTED = re.compile(r"[A-Z][A-Z0-9]{0,11}(?:[-_/:.][A-Z0-9]{1,10}){1,5}")  # BNBUSDT-PERP-2024Q1
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
PRINTED = "".join(map(chr, (*range(0x21, 0x7F), 0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF)))
CODE = re.compile(
    r"[$<{%\[(*]|(?:self|args|config|settings|env|os|getpass|input|process|request|data)\b[.(\[]", re.IGNORECASE
)


def varied(text: str) -> int:
    """Count how often a text changes between digits, capitals and small letters; signs are passed over."""
    kinds = ["d" if c.isdigit() else "A" if c.isupper() else "a" for c in text if c.isalnum()]
    return sum(one != other for one, other in pairwise(kinds))


def digits(text: str) -> int:
    """Count a text's digits."""
    return sum(map(text.count, string.digits))


def stands_for_one(text: str) -> bool:
    """Whether a text says that a key belongs here, such as YOUR_API_KEY."""
    return digits(text) <= 3 and _STANDS_FOR_ONE.search(text) is not None


def _shaped(found: re.Match[str]) -> bool:
    secret = found["secret"]
    if len(secret) >= 48:  # by its shape alone
        return True
    return not stands_for_one(secret) and (found["claude"] is not None or digits(secret) > 0 or varied(secret) >= 4)


def _labelled(found: re.Match[str]) -> bool:
    """Whether what stands behind a label looks random; a weak label, or one without a sign, wants more of that."""
    value, sign, start = found["secret"], found["sign"], found.start()
    if not digits(value) or not any(c.isalpha() for c in value) or stands_for_one(value):
        return False
    label = re.sub("[ _-]", "", found["label"].casefold())
    what = _OF_WHAT.search(found.string, max(0, start - 40), start)
    strong = label.endswith("tkey") or what is not None
    address = _ADDRESS.fullmatch(value)  # of a contract or an account: anybody may know it
    public = label == "token" and ("wallet" in what[0].lower() if what else sign != "=")
    if address and (public or _PUBLIC.match(value)):
        return False
    if label == "token" and value.isupper() and varied(value) <= (5 if _LISTED.fullmatch(value) else 3):
        return False
    before = found.string[start - 1 : start]
    if not strong and (before.isalpha() or (label.startswith("key") and before not in {"?", "&"})):
        return False
    return bool(strong and sign and not {".", "/"} & {*value}) or varied(value) >= 4


def _privately(found: re.Match[str]) -> bool:
    value = found["secret"]
    address = _ADDRESS.fullmatch(value)  # anybody may know it; some private keys have the length of the last kind
    public = address and (_PUBLIC.match(value) or found["label"].casefold() == "token")
    return not public and digits(value) > 0 and varied(value) >= 4


def _briefly(found: re.Match[str]) -> bool:
    """Whether a short value behind a strong label is a key: one in quotes, or of a setting, or in capitals alone."""
    value = found["secret"]
    coin = found["label"].casefold() == "token" and value.isupper()
    if coin or stands_for_one(value) or _LISTED.fullmatch(value):
        return False
    if value.isalpha():
        return found["of"].casefold() == "api" and len(value) >= 16 and (value.isupper() or value.islower())
    set_so = found["quote"] is not None or (found["sign"] == "=" and "_" not in value)
    return set_so and digits(value) > 1 and any(c.isalpha() for c in value)


def _in_url(found: re.Match[str]) -> bool:
    """Whether it is no number of shares, as in buy://MSFT:400@29.85."""
    return not CODE.match(found["secret"]) and not (found["secret"].isdigit() and found["user"].isupper())


def _basic(found: re.Match[str]) -> bool:
    value = found["secret"]
    return not stands_for_one(value) and (digits(value) > 0 or varied(value) >= 2)


def _borne(found: re.Match[str]) -> bool:
    return digits(found["secret"]) > 0 and not stands_for_one(found["secret"])


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
    Rule(("my ",), _MINE, KEY, lambda found: digits(found["secret"]) > 0 and varied(found["secret"]) >= 4),
    Rule(("bearer", "authorization"), _BEARER, TOKEN, _borne),
    Rule(("key", "secret", "alpaca", "apca"), _ALPACA, KEY, _speaks(_OF_KEYS)),
    Rule(("aws", "akia", "asia", "secret"), _AWS, KEY, _aws),
)
SHORT = (
    Rule(("-----begin",), _PEM, PRIVATE),
    Rule(("key", "secret", "token"), _BRIEFLY, KEY, _briefly),
    Rule(("authorization",), _BASIC, TOKEN, _basic),
    Rule(("://",), _URL, PASSWORD, _in_url),
    Rule(("phrase", "words", "mnemonic"), _PHRASE, SEED),
)

# What of a growing text may be the beginning of a secret.
BEGUN = re.compile(rf"{EDGE}(?:{'|'.join(map(re.escape, sorted(_EARLIER, reverse=True)))})\Z")
NAMES = (
    *("key", "token", "secret", "pass", "pw", "kennwort", "bearer", "authorization", "phrase", "words", "mnemonic"),
    *("login", "log in", "log-in", "user", "cred"),
)
NAMED = re.compile(
    rf"""(?:(?:{LABEL}|pass|pw|bearer|authorization)["'`*\s:=>()|,{OPENS}\u2192-]{{0,8}}(?:[a-z]{{1,10}}\s{{0,3}})?[!-~]*
    |{PASSWORDS}[^\n]{{0,300}}(?:\n[ \t]*[!-~]*)?|(?:log[ -]?in|user|cred)[^\n]{{0,100}}
    |{SEEDS}[a-z0-9\s.,):="'`]{{0,300}})\Z""",
    re.IGNORECASE | re.VERBOSE,
)
NUMBER = re.compile(r"(?<![\w.,$/-])[2-6](?:(?:[ -]?\d){0,18}[ -]?|(?:[ -]?\d){12,18}[^\n]{0,20})\Z")
CARDS = re.compile(
    r"(?<![a-z])(?:cards?|kreditkarte|visa|master[ ]?card|amex|cvv2?|cvc)(?![a-z]|[ ]number[ ]removed)", re.IGNORECASE
)
OPEN = re.compile(
    r"-----BEGIN(?:[ A-Z0-9]*-{0,4}\Z|[ A-Z0-9]*PRIVATE KEY(?: BLOCK)?-----(?!.*-----END[ A-Z0-9]*-----))", re.DOTALL
)

"""What a sentence is taken for: whether it states something, or only asks, thanks or says that it cannot know.

What states nothing holds no evidence, however many words it shares with a question. It is decided once, when a message
is written, and a turn records by which version; what a question asks for is read here too.
"""

import re

from gallump_lab.lazy import any_of, finder, regex
from gallump_lab.memory.text import sentences, terms

VERSION = "kinds-1"

FIGURES, WISH = 1, 2
"""Bits of a passage's traits: it holds figures; it is a standing wish or rule of its author's."""

ASKED = 1 << 15
"""Added to the frequency of a term which stands in nothing of its passage that states something."""

_AUX = (
    r"(?:is|are|was|were|do|does|did|can|could|should|would|will|has|have|had|am|might"
    r"|isn't|aren't|don't|doesn't|didn't)"
)
ASKS = regex(
    r"(?:(?:what|which|who|whose|where|why|how)\b"
    rf"(?!\s+(?:i|we|he|she|they|it|my|matters)\b)(?:'s|'re|'d|(?:\s+[\w-]+){{0,4}}?\s+{_AUX})\b|when\s+{_AUX}\b"
    rf"|(?:what|how)\s+(?:about|if|come|much|many)\b|why not\b|any\s+(?:idea|chance|thoughts?|fun|news)\b"
    r"|(?:what|where|who|how|when)s\s+(?:my|the|your|ur|our|that|this|it)\b"
    r"|(?:is|are|do|does|did|can|could|should|would|will|has|isn't|aren't)\s+(?:i|you|u|we|he|she|it|they|there"
    r"|this|that|the|an?|my|your|our|any|\$?\d+)\b|(?:was|were|have|had)\s+(?:i|you|we|he|she|it|they|there)\b)",
    re.IGNORECASE,
)
"""How a question begins."""
_LEADS = regex(
    r"(?:(?:ok(?:ay)?|so|and|but|btw|by the way|also|well|hey|hi|hello|(?:good )?(?:morning|evening|afternoon)|wait|hm+"
    r"|oh|yes|yeah|yep|no|nope|right|good|nice|great|thanks|ty|thx|now|anyway|quick (?:one|question)|question|just"
    r"|one more|again|lol|haha|please|pls|actually|then|alright|yo|sorry|sry)\b[,.:;!)\u2026\s-]*){0,8}",
    re.IGNORECASE,
)
_WANTS = regex(
    r"(?:remind|tell|show|give|help|explain|summari[sz]e|list|compare|walk|describe|suggest|recommend|draft|write|check"
    r"|calculate|compute|find|look up|recap)\b",
    re.IGNORECASE,
)
_CANNOT = finder(
    r"\b(?:(?:can['\u2019]?t|cannot|can not|couldn['\u2019]?t|not able to|unable to"
    r"|(?:do|does|did)(?:n['\u2019]?t| not))\s+(?:\w+\s+){0,2}?(?:see|have|view|access|know|find|recall|remember"
    r"|retrieve|look|quote|tell)|no (?:record|access|memory|trace|sight|note)\b"
    r"|(?:is(?:n['\u2019]?t| not)|not)\s+(?:in|among|part of)\s+(?:this|today|the|our|my)|only (?:see|have|know)\b"
    r"|in view\b|(?:this|today['\u2019]s|our current) (?:conversation|chat|session|exchange|messages|thread)"
    r"|(?:earlier|previous|prior|past|other) (?:conversations?|chats?|sessions?))"
)
"""What an assistant says that does not know what was said before."""
_NICE = regex(
    r"\W*(?:(?:ok(?:ay)?|thanks?|thank you|ty|thx|great|nice|good|cool|perfect|sure|yes|yeah|yep|no|nope|nah|right|fine"
    r"|fair|lol|haha\w*|noted|will do|got it|understood|agreed?|true|sounds good|makes sense|of course|bye"
    r"|good ?(?:night|morning|luck)|nite|cheers|see you|talk (?:later|soon)|later|exactly|indeed|hello|hey|hi|morning"
    r"|have a \w+ \w+|you['\u2019]re welcome|no problem|happy to help|glad|enjoy)\b[\W_]*)+",
    re.IGNORECASE,
)
_TELLING = 16
"""A question of so many words with a figure among them tells what it asks about."""
_SHORT = 60
"""Characters; a longer sentence is more than thanks."""
_FIGURE = regex(r"\d")
_OWN = regex(r"\b(?:i|i'?m|i'?ve|my|we|our)\b", re.IGNORECASE)
_BREAK = regex(r"[,;:]\s+|\s+[-\u2013\u2014]+\s+")
_MARKS = regex(r"^[\s*_`#>\u2022-]+|[*_`\"')\u201d\s]+$")
_WISH = finder(
    r"\b(?:always|from now on|going forward|whenever|(?:when|if|every time|each time|any ?time) (?:i|we) (?:ask"
    r"|talk|want|discuss|mention|inquire)|i(?:['\u2019]d)? (?:really |would |strongly |generally |usually )?prefer"
    r"|make sure)\b"
)
_GAVE = (
    r"(?:suggested|recommended|proposed|advised|said|told|gave|thought|mentioned|listed|called|named|calculated|computed"
    r"|estimated|set|showed|offered|explained|described|outlined|provided|warned|pointed|came up|quoted|expected|picked"
    r"|drafted|wrote)"
)
_TO_ASSISTANT = regex(
    rf"\b(?:did (?:you|u)\b|(?:have|had) (?:you|u) {_GAVE}"
    r"|(?:would (?:you|u)|(?:you|u)(?:['\u2019]d| would)) (?:\w+ )?have\b"
    rf"|(?:you|u) (?:(?:just|also|once|first|originally|had|have|even) )?{_GAVE}\b|(?:your|ur) (?:\w+ )?(?:suggest\w*"
    r"|recommend\w*|advice|propos\w*|idea|level|view|threshold|number|estimate|list|target|stop|opinion|take|range|odds"
    r"|answer|reply|analysis|calculation\w*|table|scenario\w*|warning|condition|criteri\w*|pick|figure|probabilit\w*|math"
    r"|invalidation))",
    re.IGNORECASE,
)
_TOLD = regex(
    r"\b(?:did|have|had) i (?:\w+ )?(?:tell|told|give|gave|say|said|mention\w*) (?:you|u)\b|\bi (?:told|gave|said to"
    r"|mentioned to|asked) (?:you|u)\b",
    re.IGNORECASE,
)
_MANY_ASKED = regex(
    r"\b(?:summar\w*|overview|recap|list|all|every(?:thing)?|each|order|sequence|timeline|chronolog\w*|throughout|across"
    r"|over time|evol\w*|progress\w*|develop\w*|journey)\b",
    re.IGNORECASE,
)
_FIGURE_ASKED = regex(
    r"\b(?:how (?:many|much|far|big|large|high|low|long|often|old)|prices?|levels?|numbers?|figures?|percent\w*|size"
    r"|amount|stops?|targets?|tgt|sl|tp|limit|yield|rate|costs?|average|strike|delta|entry|ratio|odds|budget|score|count|total"
    r"|threshold|account)\b|%",
    re.IGNORECASE,
)


_LEVEL_ALONE = regex(
    r"(?:\W*\b(?:and|so|ok|where|what|which|s|wheres|whats|is|was|are|were|did|do|i|we|my|our|the|current|currently|again"
    r"|now|right|at|still|put|set|have|price|level|(stops?|targets?|tgt|sl|tp|entry)|loss)\b)+\W*",
    re.IGNORECASE,
)

_EARLIER = any_of(
    r"before|first|original(?:ly)?|initial(?:ly)?|used to|old|previous(?:ly)?|prior|earlier|former(?:ly)?|back then",
    r"at the (?:very )?(?:start|beginning|outset)",
)


def states(sentence: str, role: str) -> bool:
    """Return whether a sentence states something; what asks states only what it says before: "long 30 at 522, ok?"."""
    said = _MARKS.sub("", sentence)
    asks = False
    if role == "user":
        rest = said[_LEADS.match(said).end() :]  # type: ignore[union-attr]
        asks = bool(ASKS.match(rest) or _WANTS.match(rest))
    if asks or said.endswith(("?", "\uff1f")):
        if _FIGURE.search(said) and len(said.split()) >= _TELLING:
            return True
        heads = [] if asks else _BREAK.split(said)[:-1]
        return any(_FIGURE.search(head) or (len(head.split()) > 3 and _OWN.search(head)) for head in heads)
    if role == "assistant":
        return not _CANNOT(said)
    if len(said) > _SHORT or _FIGURE.search(said):
        return True
    return bool(terms(_NICE.sub("", said, count=1)))


def parted(passage: str, role: str) -> tuple[str, str]:
    """Return a passage's sentences that state something, and those that do not, each on a line."""
    if role == "assistant" and "?" not in passage and "\uff1f" not in passage and not _CANNOT(passage):
        return passage, ""
    found: tuple[list[str], list[str]] = [], []
    for start, stop in sentences(passage):
        sentence = passage[start:stop]
        found[not states(sentence, role)].append(sentence)
    return "\n".join(found[0]), "\n".join(found[1])


def traits(stated: str, role: str) -> int:
    """Return the traits, `FIGURES` and `WISH`, of what a passage states."""
    return FIGURES * bool(_FIGURE.search(stated)) | WISH * (role == "user" and _WISH(stated))


def asks_assistant(question: str) -> bool:
    """Return whether a question wants what the assistant said: "what did you suggest", not "what did I tell you"."""
    return bool(_TO_ASSISTANT.search(_TOLD.sub(" ", question)))


def asks_many(question: str) -> bool:
    """Return whether a question wants many pieces: a summary, a list, an order of events."""
    return bool(_MANY_ASKED.search(question))


def asks_level(question: str) -> bool:
    """Return whether a question wants a level, and no word of it says of what: "where is my stop?"."""
    found = _LEVEL_ALONE.fullmatch(question)
    return found is not None and found[1] is not None


def asks_figure(question: str) -> bool:
    """Return whether a question wants a figure."""
    return bool(_FIGURE_ASKED.search(question))


def asks_earlier(question: str) -> bool:
    """Return whether a question asks what held before something changed."""
    return bool(_EARLIER.search(question))

"""What keeps words from being a fact: hearsay, denial, supposing, joking, quoting. A wrong fact is worse than none."""

import re

from gallump_lab.memory.naming import ALIASES, TRADED

BEGINS = 60
"""Characters of a statement that say whose it is."""

_TRADE = (
    r"(?:stops?|targets?|buy|sell|put|set|move|hold|own|touch|add|exit|enter|go|short|use|have|want|need|trade|long|cut"
    r"|leave|trim|bought|sold|place|raise|lower|chase|pay|interested|take|trust|believe|said|say|agree|plan|intend|my)"
)
_PEOPLE = (
    r"(?:buddy|budd(?:y|ies)|friends?|pals?|mates?|wife|husband|spouse|girlfriend|boyfriend|brother|sister|mom|mum|dad"
    r"|mother|father|uncle|aunt|cousin|neighbou?r|boss|bosses|colleagues?|co-?workers?|brokers?|advis[eo]rs?"
    r"|barber|guys?"
    r"|gurus?|analysts?|pundits?|commentators?|strategists?|bankers?|traders|people|everyone|everybody|someone|somebody"
    r"|nobody|he|she|they|others|folks|experts?|street|consensus|bulls|bears|newsletters?|articles?|blogs?"
    r"|posts?|tweets?"
    r"|twitter|reddit|stocktwits|forums?|cnbc|bloomberg|barron's|cramer|wsj|tv|jpm|jpmorgan|goldman|jefferies|citi"
    r"|barclays|ubs|morgan stanley|the user|user|my son|my daughter|kid|teacher|professor)"
)
_SAYS = (
    r"(?:says?|said|thinks?|thought|tells?|told|keeps? (?:saying|telling)|believes?|wants?|wanted|expects?|expected"
    r"|suggest(?:s|ed)?|recommend(?:s|ed)?|reckons?|claims?|claimed|hates?|loves?|likes?|has|have|had|puts?|sets?|sees?"
    r"|calls?|called|insists?|swears?|figures?|predicts?|predicted|forecasts?|advises?|advised|cuts?|raised?s?|lifted"
    r"|lowers?|lowered|bought|sold|is (?:long|short|buying|selling)|are (?:long|short|buying|selling)|stop|target)"
)
_HEARSAY = re.compile(
    rf"\b{_PEOPLE}\s?:|\b(?:saw|read|heard|seen)\b.{{0,20}}\b(?:{_PEOPLE}|headlines?|reports?|news)\b"
    rf"|\b{_PEOPLE}\b(?:\s+(?!i\b|my\b)[\w'&.]+){{0,3}}?\s+{_SAYS}\b"
    rf"|\b{_PEOPLE}'s\s+(?:\w+ )?(?:stops?|targets?|entry|position|view|call|thesis)\b"
    r"|\b(?:his|her|their|your)\s+(?:[\w.]+ )?(?:stops?|targets?|entry|position)\b"
    r"|\b(?:your|his|her|their) (?:suggestion|advice|idea|proposal|recommendation)s?\b"
    r"|\b(?:according to|heard|(?:i )?read (?:that|somewhere)|rumou?rs?|supposedly|apparently|allegedly|word is"
    r"|(?:told|asked|advised|urged|reminded) (?:me|us)|price targets? (?:of|from|by) [A-Z][a-z])\b",
    re.IGNORECASE,
)
_OURS = "|".join(name.capitalize() for name in ALIASES)
_NAMED_SAYS = re.compile(
    rf"\b(?!{_OURS}|Today|Tomorrow|\w+day\b)[A-Z][a-z]{{2,}}['\u2019]s\s+(?:[A-Z]{{2,5}} )?(?:stops?|targets?"
    rf"|entry|position)\b"
    r"|\b(?!Regression|Model|Optimi|Screen|System|Backtest|Rule|Signal|Chart|Plan|Math|Review|It|This|That|What"
    r"|Nothing|"
    rf"{_OURS})"
    r"[A-Z][a-z]{2,}\s+(?:says|said|thinks|told|wants|believes|recommends|suggests|reckons|claims|swears|insists)\b"
)
_DENIED = re.compile(
    r"\b(?:don['\u2019]?t|do not|doesn['\u2019]?t|does not|didn['\u2019]?t|did not|never|won['\u2019]t|will not"
    r"|wouldn['\u2019]?t|would not|shouldn['\u2019]?t|should not|can['\u2019]?t|cannot|couldn['\u2019]?t"
    r"|isn['\u2019]?t|ain['\u2019]?t"
    r"|wasn['\u2019]?t|aren['\u2019]?t|haven['\u2019]?t|hasn['\u2019]?t|hadn['\u2019]?t|no longer|not|nobody"
    r"|no one|nothing|neither|nor)"
    rf"(?! \$?\d| be surprised| an? (?:dollar|cent|penny|tick|point|share)\b)(?:\s+[\w'\u2019]+){{0,3}}?\s+{_TRADE}\b"
    r"|\b(?:no|without(?: a| any)?|zero) (?:more |real |hard |fixed |plans? |intention |way |reason |point )?"
    r"(?:stops?|targets?|positions?|orders?|limits?|entry|shares)\b",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"\b(?:if \S+ (?:had|were)\b|if (?:i|we|you|he|she|they) (?:had|were|was|owned|bought|sold|held|would)\b"
    r"|if (?:my|the|this|that) \w+ (?:were|had)\b"
    r"|if only|had (?:i|we) \w+|(?:would|could|should|might|must)(?:n['\u2019]t| not)?(?:['\u2019]ve| have)\b"
    r"|wish\w*|imagin\w+"
    r"|suppos(?:e|ing)|hypothe\w+|what if|as if|let['\u2019]?s (?:say|pretend|assume)|pretend\w*|in theory"
    r"|theoretically"
    r"|for example|e\.g\.|for instance|were (?:i|we) to|(?:be|feel) (?:rich|a fool|an idiot|crazy|insane|nuts"
    r"|a millionaire)"
    r"|dream\w* (?:of|about)|back when|in another life)",
    re.IGNORECASE,
)
_UNDECIDED = re.compile(
    r"\b(?:disagree\w*|doubt\w*|refuse|no way|unlikely|(?<!no )chance|i guess|somewhere|ballpark|maybe|perhaps"
    r"|might|(?-i:may)|thinking (?:about|of)|considering|wonder\w*|tempted|not sure|unsure"
    r"|undecided|can['\u2019]?t decide|torn|dunno|who knows|no idea|toying|almost|nearly|ever|came close"
    r"|chickened|(?:was|were) (?:going|about|supposed) to|(?:failed|tried|forgot|meant)"
    r" to|decided (?:not|against)|could (?:put|set|move|buy|sell|go|place|use|try))\b",
    re.IGNORECASE,
)
_JOKED = re.compile(
    r"\b(?:kidding|jk|j/k|joking|joke|sarcas\w+|just messing|pigs? fl(?:y|ies)|hell freezes|yeah,? right|in your dreams"
    r"|when i['\u2019]m dead|over my dead body|april fools?)\b|(?<!\w)/s(?!\w)|[\U0001f602\U0001f923\U0001f61c]",
    re.IGNORECASE,
)
_LAUGHED = re.compile(r"\b(?:lol|lmao|rofl|haha\w*)\b", re.IGNORECASE)
_QUOTED = re.compile(
    r"[\"\u201c\u201d\u201e\u00ab][^\"\u201c\u201d\u00bb]*\s[^\s\"\u201c\u201d\u00bb]+\s[^\"\u201c\u201d\u00bb]*[\"\u201c\u201d\u00bb]"
    r"|(?<!\w)['\u2018][^'\u2019]+\s[^\s'\u2019]+\s[^'\u2019]*['\u2019](?!\w)"
)
_NO_OTHER = re.compile(
    r"[,;]\s+(?:and |but )?(?:no|without(?: a| any)?) (?:targets?|stops?|limits?)(?: yet| for now)?(?=\s*$"
    r"|[,.;])",
    re.IGNORECASE,
)
"""What is denied beside what is stated: "stop 750, no target"."""
_BYGONE = re.compile(
    r"\b(?:old|previous|former|earlier|original|last|yesterday's) (?:\w+ )?(?:stop|target|entry|level|limit)\b"
    r"|\b(?:stop|target|entry)\b.{0,25}\b(?:was|were|had been|used to be)\b(?! (?:moved|raised|set|lifted"
    r"|changed|put|brought))"
    r"|\b(?:stupid|dumb|idiotic|silly|mistake|(?<!without )regret\w*)\b",
    re.IGNORECASE,
)
_RENEWED = re.compile(r"\b(?:now|new|today|to|moved|raised|but|instead)\b|[-=]>|\u2192", re.IGNORECASE)


def joked(message: str) -> bool:
    """Say whether a message says of itself that it is not meant."""
    return _JOKED.search(message[:8_000]) is not None


def foreign(text: str) -> bool:
    """Say whether a statement is another's, a quotation, or of a world that is not: it tells of no trade."""
    return bool(_hearsay(text[:BEGINS]) or _SUPPOSED.search(text) or _QUOTED.search(text) or _JOKED.search(text))


def _hearsay(text: str) -> bool:
    return _HEARSAY.search(text) is not None or _NAMED_SAYS.search(text) is not None


def doubtful(text: str) -> bool:
    """Say whether what a statement states of a level or a trade is denied, undecided, over or from others."""
    text = _NO_OTHER.sub("", text)
    gone = _BYGONE.search(text) and not _RENEWED.search(text)
    return bool(_hearsay(text) or _DENIED.search(text) or _UNDECIDED.search(text) or gone)


def traded(text: str) -> bool:
    """Say whether a statement speaks of trades or levels."""
    return TRADED.search(text) is not None


def laughed(text: str) -> bool:
    """Say whether it is said with a laugh: no forecast."""
    return _LAUGHED.search(text) is not None

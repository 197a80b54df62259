"""What a statement states: its kind, the attribute that a newer one would replace, the value."""

import re

from gallump_lab.memory import figures, levels
from gallump_lab.memory.levels import SELF, Stated, any_of
from gallump_lab.memory.records import Kind

_RULE = any_of(
    r"(?<!they )(?<!it )(?<!that )(?<!'s )(?<!'ve )(?<!have )(?<!had )(?<!has )never"
    r"|always(?! (?:loved|liked|been|wanted))|rules?|principles?|policy|policies|from now on"
    r"|in (?:the )?future|going forward|max(?:imum)?|no more than|not more than"
    r"|at (?:most|least)|must|not allowed|don't (?:hold|trade|buy|sell|own|chase|add|short|touch|do|use|want)"
    r"|do not (?:hold|trade|buy|sell|own|add|use|want)"
    r"|won't|will not|(?:buy|sell|trade|hold|own)s? (?:nothing|only)|only (?:buy|sell|trade|hold|own|when|if"
    r"|after)|no \w+ without|nothing that"
    r"|every (?:trade|position|name|time)|limits? (?:is|are|of|to|on|stays?)|(?:any )?one name|(?:can"
    r"|may) go up to|will do|relax\w*|loosen\w*|soften\w*|as before|may stay|at no other time|on principle"
    r"|i (?:hold|keep|use|cut|size|carry|check|look)"
    r"|we (?:keep|hold|use|cut|size)"
)
_TASTE = any_of(
    r"i (?:really |just |much |also )?(?:prefer|like|love|enjoy|hate|dislike|want|need)|i'd rather|rather have"
    r"|favou?rite|can't stand|fan of"
)
_LESSON = any_of(
    r"lessons?|learn(?:ed|t)|taught|mistakes?|confess|regret\w*|should(?:n't| not)? have|never again"
    r"|note to self|next time"
    r"|(?:cost|costs) (?:me|us)|too (?:soon|early|late|big|greedy)|i was (?:wrong|bored|greedy|late)|hindsight"
    r"|dumb|stupid|trap|my fault"
    r"|against my own|overr[io]d\w+|losers"
)
_MORE = any_of(r"also|another|besides|on top|additional|one more")


_COUNTED = re.compile(r"\d|percent|half|third|quarter", re.IGNORECASE)
_LIMITS = {
    name: any_of(words)
    for name, words in {
        "name limit": r"(?:one|single|any one|each) (?:name|stock|issuer|position)|concentration",
        "value at risk": r"value at risk|var",
        "risk per trade": r"risk per trade|risk a trade|risk (?:more than )?[\d.]+ ?(?:%|percent) (?:per|a"
        r"|on any|on each) trade",
        "drawdown": r"drawdowns?|switch(?:ed)? off",
        "holding period": r"holding period|hold for|sessions",
        "exposure": r"gross|net exposure|exposure|leverage|vix",
        "cash": r"cash|cushion",
        "yield": r"yields?|payout",
    }.items()
}
"""What a rule sets a limit to: the newer limit takes the older one's place."""
_PRACTICES = {
    name: any_of(words)
    for name, words in {
        "holding through earnings": r"(?:hold\w*|own\w*|keep\w*|carry\w*|flat|positions?|stay\w*"
        r"|sit)\b.{0,30}?\b(?:through|into|over|before"
        r"|across) (?:\w+ )?(?:earnings|reports?|results|prints?)",
        "holding over the weekend": r"(?:hold\w*|own\w*|keep\w*|carry\w*|flat|positions?"
        r"|stay\w*)\b.{0,30}?\b(?:through|into|over|before"
        r"|across) (?:\w+ )?(?:weekends?|summits?)",
        "writing options": r"naked|(?:un)?covered (?:calls|puts)|(?:sell|write|writing|selling) (?:calls|puts|options)",
        "averaging down": r"averag\w+ down|adding to losers|add to (?:a )?los\w+",
    }.items()
}
"""What a rule forbids or allows: a newer one about the same, in much the same words, takes its place."""
_SCHEDULED = re.compile(
    r"\b(?:earnings|reports?|results|dividend|meeting|call|split|launch)\b.{0,30}\b(?:on|due"
    r"|scheduled)\b.{0,12}?(?:\d|day\b)",
    re.IGNORECASE,
)
_SETS = any_of(r"ceilings?|limits?|caps?|changed to|(?:up|down) to|switched off|halved|rewritten")
"""What a fact has that sets a limit."""
_SPAN = re.compile(r"\b(\d{1,3}) (?:trading )?(sessions|days|weeks|months)\b", re.IGNORECASE)
_WORDS = dict(zip("one two three four five six seven eight nine ten".split(), range(1, 11), strict=True))
_A_DAY = re.compile(
    rf"\b(\d{{1,3}}|{'|'.join(_WORDS)}) (?:new )?(?:trades?|positions?|entries) (?:a|per|each|every) (day|week)\b",
    re.IGNORECASE,
)
_VIEW = re.compile(
    r"\bi (?:(?:really|just|actually|now|do|don['\u2019]?t|much|still) ){0,3}(?:hate|like|love|dislike|avoid"
    r"|prefer|enjoy|trust) "
    r"(options|calls|puts|spreads|futures|leverage|margin|shorting|shorts|etfs|ipos|bonds|banks|airlines"
    r"|biotechs?|crypto"
    r"|dividends|penny stocks|small caps|growth stocks|value stocks|tech)\b",
    re.IGNORECASE,
)


def stated(  # noqa: PLR0913 (what is known of a statement)
    text: str, lead: str, symbol: str | None, until: str | None, *, named: bool, sure: bool = True, meant: bool = True
) -> Stated:
    """Say what a statement states.

    Parameters
    ----------
    text : str
        The statement.
    lead : str
        What was cut before it.
    symbol : str, optional
        What its levels and trades are of; None where that is not known for certain.
    until : str, optional
        Until when it looks, by name.
    named : bool
        Whether it names the symbol itself.
    sure : bool
        Whether a level or trade that it states holds: it is neither denied nor open.
    meant : bool
        Whether it is meant at all. Otherwise nothing is learnt of it but the words.
    """
    whole = f"{lead}: {text}" if lead else text
    rule, lesson = _RULE.search(whole) is not None, _LESSON.search(whole) is not None
    if symbol and sure and meant:
        limits = any(words.search(whole) for words in _LIMITS.values())
        if limits and not named:
            return labelled(text, "preference" if rule else "fact")
        unnamed = (rule and not named) or _LIMITS["name limit"].search(whole) is not None
        if found := levels.of_symbol(text, whole, until, named=named, rule=unnamed, lesson=lesson):
            return found
    if lesson and (SELF.search(whole) or lead or rule):
        return Stated(kind="lesson")
    view = None if rule else _VIEW.search(text)
    if view or (not rule and not named and _TASTE.search(whole)):
        return Stated(kind="preference", attribute=f"view of {view[1].lower()}" if view else None)
    return labelled(text, "preference" if rule else "thesis" if named else "fact", meant=meant)


def labelled(text: str, kind: Kind, *, meant: bool = True) -> Stated:
    """Give a statement of a kind, without trade or level, its attribute and value."""
    if not meant:
        return Stated(kind=kind)
    if kind == "thesis" and _SCHEDULED.search(text):
        return Stated(kind="fact")
    if kind == "thesis":  # one more reason takes no other's place
        return Stated(kind=kind, attribute=None if _MORE.search(text) else "thesis")
    if kind == "preference" or (kind == "fact" and _SETS.search(text)):
        return _subject(text, kind)
    return Stated(kind=kind)


def _subject(text: str, kind: Kind) -> Stated:
    """Say what a rule is about, where a newer one would take its place; another rule never does."""
    if often := _A_DAY.search(text):
        number = often[1].lower()
        return Stated(kind=kind, attribute=f"trades per {often[2].lower()}", value=str(_WORDS.get(number, number)))
    found = [name for name, words in _LIMITS.items() if words.search(text)]
    if found and _COUNTED.search(text):
        return Stated(kind=kind, attribute=found[0], value=_limit(text))
    practised = [name for name, words in _PRACTICES.items() if words.search(text)]
    return Stated(kind=kind, attribute=practised[0] if len(practised) == 1 else None)


def _limit(text: str) -> str | None:
    if spans := _SPAN.findall(text):
        return " ".join(spans[0]).lower() if len(spans) == 1 else None
    prices, percents = ([], []) if figures.spoilt(text) else figures.read(text)
    if percents:
        return f"{part}%" if (part := figures.meant(percents)) else None
    return figures.meant(prices)


_CLAUSE = re.compile(
    r"\s*[,;]\s+|\s+/\s+|\s+(?:and|but|then)\s+|\s+[-\u2013\u2014]+\s+"
    r"|(?<=\d)\s+(?=(?:sl|tp|stops?|targets?|tgt|pt|size|qty)\b[\s:=@]{0,3}\$?\d)",
    re.IGNORECASE,
)


def clauses(text: str) -> list[str]:
    """Cut a statement into its clauses."""
    return [piece for piece in _CLAUSE.split(text) if piece]

"""What a statement states: its kind, the attribute that a newer one would replace, the value, until when it holds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gallump_lab.memory.records import Kind
from gallump_lab.memory.signals.dates import MONTHS
from gallump_lab.memory.text import terms


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a statement was recognised as."""

    kind: Kind
    attribute: str | None = None
    value: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Number:
    value: str
    whole: bool
    """Without decimals."""
    before: str
    after: str


_NUMBER = re.compile(r"(?<![\w.,])\$?(\d[\d,]{0,14}(?:\.\d{1,6})?)(?![\d\w])", re.ASCII)
_PERCENT = re.compile(r"\s?(?:%|percent\b|per cent\b|pct\b)")
_UNIT = re.compile(
    r"(?:[ -]?(?:day|session|week|month|year|hour|minute|quarter|million|billion|mn|bn|times|sigma|point|bps"
    r"|cent|ticket"
    r"|percent|dollars? (?:of|worse|better|more|less|higher|lower|a|an|per)|case|people|client|name|position"
    r"|stock|trade|call|put|contract)s?\b|[ -]?(?:%|x\b|(?:st|nd|rd|th)\b|:\d|/\d))",
    re.IGNORECASE,
)
_YEAR_ALONE = re.compile(r"19[89]\d|20[0-4]\d")
_SHARES = re.compile(r"\s+(?:shares?|of (?:them|it)|lots?)\b", re.IGNORECASE)
_NAMES = [name.capitalize() for name in list(MONTHS)[:12]]
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_OLD = re.compile(
    r"(?:\bwas|\bwere|\bfrom|\bnot|\bno longer|\bforget|\binstead of|\brather than|\bold|\bthan"
    r"|\bdreaming with|\bnot at|\bused to be"
    rf"|\bunlike|\b(?:{_MONTH})\.?|\bin|\bsince|\brisk)\s+$",
    re.IGNORECASE,
)
_NEW = re.compile(r"(?:\bto|\bnow|\bbut|=|\bat|@|\bis|:|\bbelow|\bunder|\babove|\bover)\s*$", re.IGNORECASE)
_PAID = re.compile(
    r"(?:@|\bat|\bcost(?: of| is| was)?|\bpaid|\bfor|\bprice(?: of)?|\baveraged?|\bfill|,|\bavg\.?)\s*$", re.IGNORECASE
)


def _any(*words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


_LATER = _any(
    r"if|when|once|should|would|will|shall|unless|until|limit|where|at which|want|going to|plan(?:s"
    r"|ning)? (?:to|on)|ready|prepared|order to"
    r"|new|there|(?:below|under|above|over|after|at|beyond|past) (?:that|this|it)|to (?:sell|buy|exit|close)"
    r"|i'd|i'll|we'd|we'll"
)
_CLOSED = _any(
    r"sold(?! (?:half|a third|a quarter|some|part|a few|\d+ percent|\d+%))|stopped out|took me out|taken out"
    r"|got (?:out|hit)|out at|left (?:\w+ )?at|exited|closed (?:out|my|the|it|at)|is closed|reali[sz]ed"
    r"|wound down"
    r"|covered|unwound|flattened|dumped|unloaded|liquidated|booked(?! \d)|rang the|gone|flat(?! (?:by|below"
    r"|under))|no longer (?:own|hold)|sale (?:is )?done"
)
_PARTLY = _any(
    r"(?:sold|took|taken|trimmed|covered) (?:another )?(?:half|a third|a quarter|some|part|a few|two thirds|most)"
)
_WHY = _any(r"why|because")
_OUT = _any(r"out(?: at)?(?! of (?:the|them|it)\b)", r"done")
_OPENED = _any(
    r"(?<!got )(?<!been )(?<!was )(?<!were )bought|filled|got in(?:to)?|grabbed|took(?= \d)|lifted"
    r"|long(?= (?:now|\d|from|at|since|[A-Z$]))|went (?:long|short|through)|paid|purchase(?! (?:range|level"
    r"|price|zone|order))"
    r"|own|shareholder|picked up|added|shorted|initiated|entered|(?:i|we)'m in|am in|am long"
    r"|pulled the trigger|put on|done"
    r"|loaded up|acquired|purchased|executed|execution|established|scaled in|booked(?= \d)|on the book"
    r"|completed|hold(?= \d)|is on|(?<!it )cost(?= (?:of |is |was )?\$?\d)|opened|started a|confirmed"
    r"|along for|short(?= (?:now|\d|from|at|since))|fill|position is"
)
_STOP = _any(
    r"stops?(?! (?:to|thinking|looking|being))|stop-?loss\w*|sell-stops?|trail\w*|kill switch"
    r"|bail\w*(?:[ -]out)?|line in the sand"
    r"|no return|pain (?:point|threshold)|uncle|invalidat\w+|give up|rope|exits?|floor|abandon|cut (?:at|level"
    r"|line|it|it)"
    r"|leave|part with|protective|loss limit|liquidat\w+|flatten\w*|tolerate|must be (?:closed|sold)"
    r"|catastroph\w+|disaster|risk limit|get out|get me out|line (?:for|is)|broken|(?:i am|i'm|am) wrong|dead"
    r"|mandatory|protect\w*|worst"
)
_TARGET = _any(
    r"targets?|objectives?|take[ -]?profits?|tp|profit|upside|pay-?off|fair value|valued|worth|trim|scale out"
    r"|ring the register"
    r"|measured move|(?:limit|order) to sell|sell limit|good news|comes off|running? to|run to|hand|too rich|expensive"
    r"|gets me to|scenario|reduc\w+|plan sells|lighten|harvest|rotate out|price target|pt|take money off"
    r"|happy to sell|pop"
)
_STRONG = _any(r"stops?|stop-?loss|trail\w*|targets?|take[ -]?profits?|entry|limit|exit|objective|floor|sell|buy")
"""Says which level it is even where the symbol is not named."""
_MOVED = _any(r"ratchet\w*|tighten\w*|trailed|raised|lifted|bumped|pulled|moved|shifted|brought")
_DOING = _any(r"\w+ed|was|were|has|have|had|will|would|since|because|earns?|pays?|grew|made|came|went")
_ENTRY = _any(
    r"buy|buying|bids?|bidding|get(?:ting)? long|go(?:ing)? long|step in|nibbl\w+|add(?:ing)?|own|entry|enter"
    r"|limit|accept|pay"
    r"|put me down|waiting for|dip|cheap|accumulate|interested|resting order|initiate|purchase|buy (?:stop"
    r"|limit)|pick (?:it|some|more) up|start(?:ing)? a position|re-?enter|load up"
)
_DOWN = _any(
    r"below|under|beneath|down to|through|falls?|fell|drops?|breaks?|loses?|slips?|trades? down|less than|prints?"
)
_UP = _any(r"above|over|north of|reach\w*|hits?|past|at|up to|touch\w*|tops?|gets? to|around|near|to")
_LEAVES = _any(r"sell|selling|out|gone|flat|exit|close|done|shares go|can't|cannot|let (?:it|them) go|go|scale")
_WEIGHT = _any(
    r"bet|is(?= [\d.]+ ?(?:%|percent))|weigh\w*|counts? for|risk capital|of (?:the|my|our) (?:\w+ )?(?:fund"
    r"|book|account|portfolio|capital|equity|nav|money|assets)|position|line|siz\w+|holding"
    r"|allot\w*|assign\w*|allocat\w*|shrink|trimmed|cut|chopped|left|going|pressed|brought|gets?|keeping|trade"
    r"|exposure|stake|in"
)
_RISES, _FALLS = (
    _any(r"above|over|north of|past|beyond|at least|reach\w*|hits?|through|tops?"),
    _any(r"below|under|south of|beneath|sub"),
)
_EXPECTS = _any(
    r"expect|forecast|predict|bet|think|believe|see|say|reckon|odds|guess|surprised|judg\w+|read|view|model"
    r"|says|will be|stands"
)

_RULE = _any(
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
_TASTE = _any(
    r"i (?:really |just |much |also )?(?:prefer|like|love|enjoy|hate|dislike|want|need)|i'd rather|rather have"
    r"|favou?rite|can't stand|fan of"
)
_LESSON = _any(
    r"lessons?|learn(?:ed|t)|taught|mistakes?|confess|regret\w*|should(?:n't| not)? have|never again"
    r"|note to self|next time"
    r"|(?:cost|costs) (?:me|us)|too (?:soon|early|late|big|greedy)|i was (?:wrong|bored|greedy|late)|hindsight"
    r"|dumb|stupid|trap|my fault"
    r"|against my own|overr[io]d\w+|losers"
)
_MORE = _any(r"also|another|besides|on top|additional|one more")
_SELF = _any(r"i|i'm|i've|i'd|i'll|my|me|we|we're|we've|our|us|myself")

SUBJECTS = {
    name: _any(words)
    for name, words in {
        "cash": r"cash|cushion",
        "earnings": r"earnings|reports?|results|prints?",
        "weekend": r"weekends?|summits?",
        "name limit": r"(?:one|single|any one|each) (?:name|stock|issuer|position)|concentration",
        "value at risk": r"value at risk|var",
        "options": r"options|calls|puts|premiums?|naked",
        "drawdown": r"drawdowns?|switch(?:ed)? off",
        "holding period": r"holding period|hold for|sessions",
        "exposure": r"gross|net exposure|exposure|leverage|vix",
        "yield": r"yields?|dividends?|payout",
        "catalyst": r"catalysts?|dates?",
        "risk per trade": r"risk per trade|per trade|risk a trade",
        "hours": r"hours?|lunch|open|close|midday",
        "averaging down": r"averag\w+ down|adding to losers|add to (?:a )?los\w+",
        "costs": r"commissions?|fees?|borrow|haircut|ticket",
        "format": r"tables?|charts?|prose|bullets?|columns?|format",
        "account": r"account|assets|capital|fund",
        "turnover": r"turnover|rebalanc\w+",
        "sector": r"sectors?|correlat\w+",
    }.items()
}
"""Of what a rule or a fact of the desk speaks: a later one of the same takes its place."""


def stated(text: str, lead: str, symbol: str | None, until: str | None, *, named: bool) -> Stated:
    """Say what a statement states.

    Parameters
    ----------
    text : str
        The statement.
    lead : str
        What was cut before it.
    symbol : str, optional
        What it may be about.
    until : str, optional
        Until when it looks, by name.
    named : bool
        Whether it names the symbol itself.
    """
    whole = f"{lead}: {text}" if lead else text
    if symbol and (found := _of_symbol(text, whole, until, named=named)):
        return found
    if _LESSON.search(whole) and (_SELF.search(whole) or lead or _RULE.search(whole)):
        return Stated(kind="lesson")
    if _RULE.search(whole):
        return labelled(text, "preference")
    if not named and _TASTE.search(whole):
        return Stated(kind="preference")
    return labelled(text, "thesis" if named else "fact")


def labelled(text: str, kind: Kind) -> Stated:
    """Give a statement of a kind, without trade or level, its attribute and value."""
    if kind == "thesis":  # one more reason takes no other's place
        return Stated(kind=kind, attribute=None if _MORE.search(text) else "thesis")
    figures, rule = _figures(text), kind == "preference"
    about = _subject(text, default=rule) if rule or (kind == "fact" and figures) else None
    return Stated(kind=kind, attribute=about, value=figures if about else None)


def _of_symbol(text: str, whole: str, ends: str | None, *, named: bool) -> Stated | None:
    """Recognise a forecast, a trade, a level or a size."""
    prices, percents = _numbers(text)
    if _LESSON.search(whole) and not prices:
        return None
    forecast = _forecast(text, whole, ends, prices) if named or ends else None
    if found := forecast or _trade(text, prices, percents):
        return found
    strong = _STRONG.search(text)
    if prices and (strong or (named and not _WHY.search(whole))) and (level := _level(text)):
        return Stated(kind="level", attribute=level if level != "level" else None, value=_newest(prices).value)
    rule = SUBJECTS["name limit"].search(whole) or (_RULE.search(whole) and not named)
    if percents and not rule and named and _WEIGHT.search(text) and len(text) < 160:
        return Stated(kind="position", attribute="size", value=f"{_newest(percents).value}%")
    return None


def _forecast(text: str, whole: str, ends: str | None, prices: Sequence[_Number]) -> Stated | None:
    rises, falls = _RISES.search(text), _FALLS.search(text)
    if not prices or not (rises or falls):
        return None
    if not ends and (not _EXPECTS.search(whole) or _LEAVES.search(text) or _ENTRY.search(text)):
        return None
    way = "above" if rises and not (falls and falls.start() < rises.start()) else "below"
    value = f"{way} {_newest(prices).value}" + (f" by {ends}" if ends else "")
    return Stated(kind="thesis", attribute="forecast", value=value)


def _trade(text: str, prices: Sequence[_Number], percents: Sequence[_Number]) -> Stated | None:
    """Recognise what was done, as against what is planned."""
    if _LATER.search(text):
        return None
    opened, stop = _OPENED.search(text), _STOP.search(text)
    closed = _CLOSED.search(text)
    if not closed and prices and not (opened or stop or _TARGET.search(text) or _FALLS.search(text)):
        closed = _OUT.search(text)
    if closed and (prices or closed.start() < 12 or _SELF.match(text)):
        paid = next((n for n in prices if not n.whole or _PAID.search(n.before)), prices[-1] if prices else None)
        return Stated(kind="position", attribute="position", value=f"closed at {paid.value}" if paid else "closed")
    if _PARTLY.search(text) and not percents:
        return Stated(kind="position", value=f"reduced at {_newest(prices).value}" if prices else "reduced")
    if opened and prices and not stop:
        return Stated(kind="position", attribute="position", value=_lot(text))
    return None


def _level(text: str) -> str | None:
    stop, target, entry, leaves = (each.search(text) for each in (_STOP, _TARGET, _ENTRY, _LEAVES))
    down, up = _DOWN.search(text), _UP.search(text)
    if target and not (stop and stop[0].lower().startswith(("stop", "trail", "sell-stop", "kill", "bail"))):
        return "target"
    first = entry and (not stop or entry.start() < stop.start() or stop[0].lower() in {"line is", "line for"})
    if first and not (leaves and leaves[0].lower().startswith("sell")):
        return "entry level"
    if stop or (leaves and down) or (_MOVED.search(text) and not leaves):
        return "stop"
    if leaves and (up or leaves[0].lower().startswith("sell")):
        return "target"
    return "level" if len(text.split()) <= 14 and not _DOING.search(text) else None


def _numbers(text: str) -> tuple[list[_Number], list[_Number]]:
    """Find the numbers that may be prices, and the percentages."""
    prices, percents = [], []
    for match in _NUMBER.finditer(text):
        before, after = text[max(match.start() - 16, 0) : match.start()], text[match.end() : match.end() + 14]
        number = _Number(value=_plain(match[1]), whole="." not in match[1], before=before, after=after)
        if _PERCENT.match(after):
            percents.append(number)
        elif not _UNIT.match(after) and not (_YEAR_ALONE.fullmatch(match[0]) and not _NEW.search(before)):
            prices.append(number)
    newer = [number for number in prices if not _OLD.search(number.before)]
    return newer, [number for number in percents if not _OLD.search(number.before)] or percents


def _newest(numbers: Sequence[_Number]) -> _Number:
    fitting = [number for number in numbers if not _SHARES.match(number.after)] or list(numbers)
    return next((number for number in fitting if _NEW.search(number.before)), fitting[0])


def _lot(text: str) -> str:
    """Give what was bought in short: "60 at 337.13"."""
    prices, _ = _numbers(text)
    paid = next((n for n in prices if not n.whole), None) or next(
        (n for n in reversed(prices) if _PAID.search(n.before)), None
    )
    shares = next(
        (n for n in prices if n is not paid and n.whole and (_SHARES.match(n.after) or not _PAID.search(n.before))),
        None,
    )
    shares = shares or next((n for n in prices if n is not paid and n.whole), None)
    if paid and shares:
        return f"{shares.value} at {paid.value}"
    return f"at {paid.value}" if paid else prices[0].value


def _plain(number: str) -> str:
    number = number.replace(",", "")
    return (number.rstrip("0").rstrip(".") if "." in number else number).lstrip("0") or "0"


def _figures(text: str) -> str | None:
    found = [
        _plain(match[1]) + ("%" if _PERCENT.match(text[match.end() :]) else "") for match in _NUMBER.finditer(text)
    ]
    return " ".join(found[:3]) or None


def _subject(text: str, *, default: bool = True) -> str | None:
    """Name what a rule or a fact is about: a subject that desks have rules on, else its two longest terms."""
    for name, words in SUBJECTS.items():
        if words.search(text):
            return name
    longest = sorted({term for term in terms(text) if term.isalpha()}, key=lambda term: (-len(term), term))[:2]
    return " ".join(sorted(longest)) or None if default else None


_YEAR = r"(?:,?\s+(?P<year>20\d\d)\b)?"
_HORIZON = re.compile(
    r"\b(?:by|before|until|till?|come|through)\s+(?:the\s+)?(?:end\s+of\s+|early\s+|mid-?\s?|late\s+)?"
    rf"(?:(?P<month>{_MONTH})\b\.?(?:\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?![.,]?\d))?{_YEAR}"
    rf"|(?P<first>\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+(?P<named>{_MONTH})\b"
    r"|(?P<nth>\d{1,2})(?:st|nd|rd|th)\b|(?P<weekday>mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|(?P<end>year[ -]?end|end of (?:the )?year|the year is out)|(?P<only>20\d\d)\b(?![.,]?\d))",
    re.IGNORECASE,
)
_WEEKDAYS = ["mon", "tues", "wednes", "thurs", "fri", "satur", "sun"]


def horizon(text: str, at: datetime) -> tuple[str, datetime] | None:
    """Find until when a statement looks ("by May", "till the 29th"): as it is named, and the end of that time, UTC.

    Parameters
    ----------
    text : str
        The statement.
    at : datetime
        When it was made: a month or day without a year is the next one.
    """
    match = _HORIZON.search(text)
    if not match or (match[0].lower().startswith("before") and re.match(r" (?!is out)\w", text[match.end() :])):
        return None  # "before the July sale"
    given = match.groupdict()
    name = (given["month"] or given["named"] or "").lower()
    month, day = MONTHS.get(name), int(given["day"] or given["first"] or given["nth"] or 0)
    year = int(given["year"] or given["only"] or 0)
    today = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if given["weekday"]:
            ahead = (_WEEKDAYS.index(given["weekday"].lower()) - today.weekday()) % 7
            return match["weekday"].capitalize() + "day", today + timedelta(days=ahead + 1)
        if given["nth"]:
            month = today.month if day >= today.day else today.month % 12 + 1
        if month is None:
            year = year or today.year
            return str(year), datetime(year + 1, 1, 1, tzinfo=UTC)
        year = year or today.year + (month < today.month)
        begin = datetime(year, month, day or 1, tzinfo=UTC)
        end = begin + timedelta(days=1) if day else datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):  # 30 February
        return None
    return f"{day or ''} {_NAMES[month - 1]}".strip(), end


_CLAUSE = re.compile(r"\s*[,;]\s+|\s+(?:and|but|then)\s+|\s+[-\u2013\u2014]+\s+")


def clauses(text: str) -> list[str]:
    """Cut a statement into its clauses."""
    return [piece for piece in _CLAUSE.split(text) if piece]

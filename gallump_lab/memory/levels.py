"""Levels, trades, sizes and forecasts: what a statement says of a symbol that a newer one would replace."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gallump_lab.memory import figures
from gallump_lab.memory.doubts import laughed
from gallump_lab.memory.figures import Figure
from gallump_lab.memory.records import Kind

VALUED = frozenset({"stop", "target", "entry level", "position", "size", "forecast", "support", "resistance"})
"""Attributes of a symbol of which the newest holds."""
LONG = 160
"""Characters from which a sentence says more than a weight."""


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a statement was recognised as."""

    kind: Kind
    attribute: str | None = None
    value: str | None = None

    @property
    def valued(self) -> bool:
        """Whether it is a trade, a size, a level or a forecast."""
        return self.attribute in VALUED or self.kind in {"level", "position"}


def any_of(*words: str) -> re.Pattern[str]:
    """Compile a pattern of any of some words."""
    return re.compile(rf"(?:\b|(?=>))(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


SELF = any_of(r"i|i'm|i've|i'd|i'll|my|me|we|we're|we've|our|us|myself")
_LATER = any_of(
    r"if|when|once|should|would|will|shall|unless|until|limit|where|at which|want|going to|plan(?:s"
    r"|ning)? (?:to|on)|ready|prepared|order to"
    r"|new|there|(?:below|under|above|over|after|at|beyond|past) (?:that|this|it)|to (?:sell|buy|exit|close)"
    r"|i'd|i'll|we'd|we'll"
)
_CLOSED = any_of(
    r"sold(?! (?:off|half|a third|a quarter|some|part|a few|\d+ percent|\d+%))|stopped out|got me stopped"
    r"|took me out|taken out"
    r"|got (?:out|hit)|out at|left (?:\w+ )?at|exited|closed (?:out|my|the|it|at)|is closed|reali[sz]ed"
    r"|wound down|(?<!rotate )(?<!get )(?<!go )(?<!getting )(?<!stay )(?<!be )(?<!stop )"
    r"out of(?= [\w$.]+ (?:completely|entirely|altogether|now|at|for good))"
    r"|covered(?! calls?)|unwound|flattened|dumped|unloaded|liquidated|booked(?! \d)|rang the|gone|flat(?! (?:by|below"
    r"|under))|no longer (?:own|hold)|sale (?:is )?done"
)
_PARTLY = any_of(
    r"(?:sold|took|taken|trimmed|covered) (?:another |off )?(?:half|a third|a quarter|some|part|a few|two thirds|most)"
    r"|trimmed|lightened|scaled out|halved|sold \d+ of (?:my|the|our) \d+|half (?:my|of|the"
    r"|our)\b.{0,20}?\b(?:gone|sold|out)"
    r"|(?:cut|reduced|took|brought)\b.{0,20}?\b(?:to|by|in) (?:half|a third|a quarter)"
)
_WHY = any_of(r"why|because")
_OUT = any_of(r"out(?!-)(?: at)?(?! of (?:the|them|it)\b)", r"done")
_OPENED = any_of(
    r"(?<!got )(?<!been )(?<!was )(?<!were )bought|filled|got in(?:to)?|grabbed|took(?= \d)|lifted"
    r"|long(?= (?:now|\d|from|at|since|[A-Z$]))|went (?:long|short|through)|paid|purchase(?! (?:range|level"
    r"|price|zone|order))"
    r"|own|shareholder|picked up|added|shorted|initiated|entered|(?:i|we)'?m in|am in|am long"
    r"|pulled the trigger|put on|done"
    r"|loaded up|acquired|purchased|executed|execution|established|scaled in|booked(?= \d)|on the book"
    r"|completed|(?<=i )hold(?= \d)|(?<=we )hold(?= \d)|holding(?= \d)|is on|(?<!it )cost(?= (?:of |is "
    r"|was )?\$?\d)|opened(?! at)|started a|confirmed"
    r"|along for|short(?= (?:now|\d|from|at|since))|fill|position is"
)
_STOP = any_of(
    r"stops?(?! (?:to(?! (?:\$?\d|b))|it\b|that\b|me\b|\w+ing\b))|stop-?loss\w*|sl|s/l|sell-stops?|trail\w*|kill switch"
    r"|bail\w*(?:[ -]out)?|line in the sand"
    r"|no return|pain (?:point|threshold)|uncle|invalidat\w+|give up|rope|exits?|floor|abandon|cut (?:at|level"
    r"|line|it|it)"
    r"|leave|part with|protective|loss limit|liquidat\w+|flatten\w*|tolerate|must be (?:closed|sold)"
    r"|catastroph\w+|disaster|risk limit|get out|get me out|line (?:for|is)|broken|(?:i am|i'm|am) wrong|dead"
    r"|mandatory|protect\w*|worst"
)
_TARGET = any_of(
    r"targets?|tgt|t/p|objectives?|take[ -]?profits?|tp|profit|upside|pay-?off|fair value|valued|worth|trim|scale out"
    r"|ring the register"
    r"|measured move|(?:limit|order) to sell|sell limit|good news|comes off|running? to|run to|hand|too rich|expensive"
    r"|gets me to|scenario|reduc\w+|plan sells|lighten|harvest|rotate out|price target|pt|take money off"
    r"|happy to sell|pop"
)
_STRONG = any_of(
    r"stops?|stop-?loss|sl|s/l|tp|t/p|tgt|trail\w*|targets?|take[ -]?profits?|entry|limit|exit|objective|floor"
    r"|sell|buy|buying"
)
"""Says which level it is even where the symbol is not named."""
_MOVED = any_of(r"ratchet\w*|tighten\w*|trailed|raised|lifted|bumped|pulled|moved|shifted|brought")
_ENTRY = any_of(
    r"buy|buying|bids?|bidding|get(?:ting)? long|go(?:ing)? long|step in|nibbl\w+|add(?:ing)?|own|entry|enter"
    r"|limit|accept|pay"
    r"|put me down|waiting for|dip|cheap(?= (?:below|under|again at|enough))|(?<=it )cheap|accumulate|interested"
    r"|resting order|initiate|purchase|buy (?:stop"
    r"|limit)|pick (?:it|some|more) up|start(?:ing)? a position|re-?enter|load up"
)
_DOWN = any_of(r"below|under|beneath|down to|through|falls?|drops?|breaks?|loses?|slips?|trades? down|less than")
_UP = any_of(r"above|over|north of|reach\w*|hits?|past|at|up to|touch\w*|tops?|gets? to|around|near|to")
_LEAVES = any_of(r"sell|selling|out|gone|flat|exit|close|done|shares go|can't|cannot|let (?:it|them) go|go|scale")
_WEIGHT = any_of(
    r"bet|is(?= [\d.]+ ?(?:%|percent))|weigh\w*|counts? for|risk capital|of (?:the|my|our) (?:\w+ )?(?:fund"
    r"|book|account|portfolio|capital|equity|nav|money|assets)|position|line|siz\w+|holding"
    r"|allot\w*|assign\w*|allocat\w*|shrink|trimmed|cut|chopped|left|going|pressed|brought|gets?|keeping|trade"
    r"|exposure|stake|in"
)
_RISES, _FALLS = (
    any_of(r"above|over|north of|past|beyond|at least|reach\w*|hits?|through|tops?", r"(?<![-=\d])(?<!\d )>"),
    any_of(r"below|under|south of|beneath|sub"),
)
_EXPECTS = any_of(
    r"expect|forecast|predict|bet|think|believe|see|say|reckon|odds|guess|surprised|judg\w+|read|view|model"
    r"|says|will be|stands"
)

_NO_STOP = any_of(
    r"no (?:more |longer an? )?stops? (?:on|for|any ?more|at all|now)"
    r"|(?:take|took|taken|taking) (?:[\w']+ ){0,3}stop(?: [\w']+){0,3} off|(?:take|took|taken"
    r"|taking) off (?:[\w']+ ){0,3}stop"
    r"|(?:pull|pulled|cancel|cancell?ed|remove|removed|drop|dropped|delete|deleted|scrap|scrapped|lifted|no longer have"
    r"|don't have) (?:[\w']+ ){0,3}stop"
)
_KEPT = any_of(r"(?:don't|do not|never|not|won't|didn't)(?: \w+){0,2} (?:take|pull|cancel|remove|drop|delete|scrap)\w*")
_BREAKEVEN = re.compile(
    r"\b(?:stops?|sl|trail\w*)\b(?:\W+\w+){0,5}?\W+(?:break-?\s?even|b/e|(?-i:BE)|to (?:my )?(?:entry"
    r"|cost)(?: price)?)(?!\w)"
    r"|\bbreak-?even stop\b",
    re.IGNORECASE,
)
_TRAILS = re.compile(
    r"\btrail\w*\b[^\d%]{0,30}?(\d{1,2}(?:\.\d{1,2})?)\s?(?:%|percent)"
    r"|(\d{1,2}(?:\.\d{1,2})?)\s?(?:%|percent)\s+trail",
    re.IGNORECASE,
)
_LOT_SIZE = re.compile(r"\b(?:size|qty|quantity)\s?[:=]?\s?(\d[\d,]{0,8})(?![\d.,]*[\d%])", re.IGNORECASE)
_STRUCTURE = any_of(r"support|resistance")
_EXECUTED = any_of(r"(?:take[- ]?profit|target|stop|sale) (?:order )?(?:was |is |got )?(?:executed|filled|triggered)")
_FILLED = any_of(r"fills?|filled|implemented|executed|done")
_LOT = re.compile(r"\W*[\w.$]{1,15}[,:]?\s+\d[\d,]*(?: shares)?\s*(?:@|at)\s*\$?\d[\d.,]*\W*", re.IGNORECASE)
_SHORT = re.compile(r"\W*(?:(?:on|for|in) )?[\w.]{1,15}(?: at| is|:)? \$?\d[\d.,]*")
_BARE = re.compile(
    r"(?:\W*\S{2,20}\s+)?(?:(?:goes|going|runs|running|heading|headed|back)\s+)?(?:to\s+|at\s+"
    r"|hits?\s+)?\$?\d[\d.,]*\s+"
    r"(?:by|before|until|into|come)\b",
    re.IGNORECASE,
)
_LONG_AGO = any_of(r"last year|years? ago|in (?:the )?(?:19|20)\d\ds?|decades?")
_LEAVING = frozenset({"gone", "flat", "out", "done"})
_CONDITION = any_of(r"below|under|above|over|north of|south of")
_HEAD = re.compile(
    r"(?:\W*\b(?:just|finally|now|all|today|yesterday|ok|so|then|also|already|fully|completely"
    r"|and))*\W*",
    re.IGNORECASE,
)
"""What may stand before the word that closes a position."""
_SUBJECT = re.compile(
    r"(?<!\w)(?!System\b|Model\b|Signal\b|Algo\b|I\b|I'|We\b|Just\b|Finally\b|Today\b|Yesterday\b|Then\b|Now\b|And\b"
    r"|Also\b)[\w.]*[A-Z][\w.]*\s+$"
)
_DEALS = frozenset(
    "bought sold own acquired purchased dumped unloaded booked added completed paid cost opened took".split()
)
_AT = re.compile(r"(?:\s*(?:at|@|,|:|\.|for|from|all|out|and)(?!\w)|\s*$|\W*$)")
_OPTIONS = re.compile(
    r"\b(?:calls|puts(?! (?:the|my|our|it|(?-i:[A-Z])))|straddles?|strangles?|strikes?|collars?|contracts"
    r"|(?:call|put|covered call) (?:option"
    r"|spread)s?|covered call)\b"
    r"|\b\d+(?:\.\d+)?\s?(?:[cp]|calls?|puts?)\b",
    re.IGNORECASE,
)
_MARKET_CLOSE = any_of(r"i|i'm|we|my|our|position|trade|leg|lot|holding|shares|it")
_MOVES = any_of(
    r"(?:up|down)(?! to\b)|gain\w*|los[et]s?|lost|rose|fell|drop\w*|rall\w+|yields?|dividends?|margins?|growth"
    r"|grew|grows?|grow\w+"
    r"|returns?|interest|tax\w*|volatil\w+|probab\w+|chances?|odds|beats?|miss\w*|higher|lower|premium|discount"
    r"|revenue\w*"
    r"|sales|market share|moves?|swings?"
)
_BOOKED = any_of(r"weight|of (?:the|my|our) (?:\w+ )?(?:fund|book|account|portfolio|capital|equity|nav|money|assets)")


def of_symbol(  # noqa: PLR0913 (what is known of a statement)
    text: str, whole: str, ends: str | None, *, named: bool, rule: bool, lesson: bool
) -> Stated | None:
    """Recognise a forecast, a trade, a level or a size.

    Parameters
    ----------
    text : str
        The statement.
    whole : str
        The same with what leads up to it.
    ends : str, optional
        Until when it looks, by name.
    named : bool
        Whether it names the symbol itself.
    rule, lesson : bool
        Whether it reads like a rule, like a lesson.
    """
    prices, percents = ([], []) if figures.spoilt(text) or _OPTIONS.search(text) else figures.read(text)
    stop = _stop_in_words(text) if not prices and (named or _STRONG.search(text)) else None
    if stop or (lesson and not prices):
        return stop
    return (
        (_forecast(text, whole, ends, prices, named=named) if named or ends else None)
        or _executed(text, whole, prices)
        or _trade(text, prices, percents)
        or _levelled(text, whole, prices, named=named)
        or _sized(text, percents, named=named and not rule)
    )


def _executed(text: str, whole: str, prices: Sequence[Figure]) -> Stated | None:
    """Recognise the report of an order: "Fill: AAPL 80 @ 328.99"."""
    value = None
    if _EXECUTED.search(whole) and not _LATER.search(whole) and (paid := figures.meant(prices)):
        value = f"closed at {paid}"
    elif _FILLED.match(whole) and _LOT.fullmatch(text) and prices:
        value = _lot(text)
    return Stated(kind="position", attribute="position", value=value) if value else None


def _levelled(text: str, whole: str, prices: Sequence[Figure], *, named: bool) -> Stated | None:
    value = figures.meant(prices)
    clear = _STRONG.search(text) or (named and not _WHY.search(whole))
    attribute = _level(text) if value and clear else None
    structure = _STRUCTURE.findall(text) if named else []
    if not attribute and len(structure) == 1:
        attribute = structure[0].lower()
    return Stated(kind="level", attribute=attribute, value=value) if value and attribute else None


def _sized(text: str, percents: Sequence[Figure], *, named: bool) -> Stated | None:
    if size := _LOT_SIZE.search(text):
        return Stated(kind="position", attribute="size", value=figures.plain(size[1]))
    moves = _MOVES.search(text) and not _BOOKED.search(text)
    part = figures.meant(percents) if named and _WEIGHT.search(text) and len(text) < LONG and not moves else None
    return Stated(kind="position", attribute="size", value=f"{part}%") if part else None


def again(text: str) -> str | None:
    """Give the level of what only names a symbol and a number, after another's level of the same kind."""
    prices, _ = figures.read(text)
    return figures.meant(prices) if _SHORT.fullmatch(text) and not figures.spoilt(text) else None


def lifts(text: str) -> bool:
    """Say whether a stop is taken away, without another in its place."""
    return bool(_NO_STOP.search(text)) and not _KEPT.search(text) and not re.search(r"\d", text)


def _stop_in_words(text: str) -> Stated | None:
    if _BREAKEVEN.search(text):
        return Stated(kind="level", attribute="stop", value="breakeven")
    if trails := _TRAILS.search(text):
        return Stated(kind="level", attribute="stop", value=f"{trails[1] or trails[2]}% trailing")
    if lifts(text):
        return Stated(kind="level", attribute="stop", value="none")
    return None


def _forecast(text: str, whole: str, ends: str | None, prices: Sequence[Figure], *, named: bool) -> Stated | None:
    rises, falls = _RISES.search(text), _FALLS.search(text)
    value = figures.meant(prices)
    if not value or laughed(whole):
        return None
    if not (rises or falls):
        bare = ends and _BARE.match(text) and (named or text.lstrip("$")[:1].isdigit())
        return Stated(kind="thesis", attribute="forecast", value=f"{value} by {ends}") if bare else None
    if not ends and (not _EXPECTS.search(whole) or _LEAVES.search(text) or _ENTRY.search(text)):
        return None
    way = "above" if rises and not (falls and falls.start() < rises.start()) else "below"
    value = f"{way} {value}" + (f" by {ends}" if ends else "")
    return Stated(kind="thesis", attribute="forecast", value=value)


def _trade(text: str, prices: Sequence[Figure], percents: Sequence[Figure]) -> Stated | None:
    """Recognise what was done, as against what is planned."""
    if _LATER.search(text) or _LONG_AGO.search(text):
        return None
    opened, stop = _OPENED.search(text), _STOP.search(text)
    closed = _left(text)
    if not closed and prices and not (opened or stop or _TARGET.search(text) or _FALLS.search(text)):
        closed = _OUT.search(text)
    if _PARTLY.search(text) and not percents:
        return Stated(kind="position", value=f"reduced at {value}" if (value := figures.meant(prices)) else "reduced")
    if closed and (prices or _HEAD.fullmatch(text, 0, closed.start()) or SELF.match(text)):
        paid = next((n for n in prices if not n.whole or figures.PAID.search(n.before)), prices[-1] if prices else None)
        return Stated(kind="position", attribute="position", value=f"closed at {paid.value}" if paid else "closed")
    if opened and prices and not stop and not _others(opened, text):
        return Stated(kind="position", attribute="position", value=_lot(text))
    return None


def _left(text: str) -> re.Match[str] | None:
    """Find what says that a position is closed."""
    closed = _CLOSED.search(text)
    word = closed[0].lower() if closed else ""
    planned = word in _LEAVING and _CONDITION.search(text)  # "below 24 and I'm gone"
    market = word in {"closed at", "gone"} and not (_MARKET_CLOSE.search(text) or " gone at " in text)
    return None if not closed or planned or market or _others(closed, text) else closed


def _others(verb: re.Match[str], text: str) -> bool:
    """Say whether a company is who buys or sells: "GOOG bought Motorola"; not in "GOOG bought at 700"."""
    deal = verb[0].lower() in _DEALS and _SUBJECT.search(text, 0, verb.start())
    return bool(deal and not _AT.match(text, verb.end()))


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
    return None


def _lot(text: str) -> str:
    """Give what was bought in short: "60 at 337.13"."""
    prices, _ = figures.read(text)
    paid = next((n for n in prices if not n.whole), None) or next(
        (n for n in reversed(prices) if figures.PAID.search(n.before)), None
    )
    shares = next(
        (
            n
            for n in prices
            if n is not paid and n.whole and (figures.SHARES.match(n.after) or not figures.PAID.search(n.before))
        ),
        None,
    )
    shares = shares or next((n for n in prices if n is not paid and n.whole), None)
    if paid and shares:
        return f"{shares.value} at {paid.value}"
    return f"at {paid.value}" if paid else prices[0].value

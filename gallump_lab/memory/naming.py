"""What a session calls its symbols: tickers, cashtags, company names, as against words that only look like them."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from gallump_lab.memory.records import Message
from gallump_lab.memory.text import terms
from gallump_lab.reading.symbols import symbols_in

READ = 8_000
"""So many characters of a message are looked through."""

ALIASES = {
    "alphabet": "GOOG", "amazon": "AMZN", "apple": "AAPL", "boeing": "BA", "cisco": "CSCO", "exxon": "XOM",
    "facebook": "FB", "google": "GOOG", "intel": "INTC", "microsoft": "MSFT", "netflix": "NFLX", "nvidia": "NVDA",
    "oracle": "ORCL", "pfizer": "PFE", "tesla": "TSLA", "walmart": "WMT",
}  # fmt: skip
"""Names of well-known companies; one counts where its symbol is known, or where it is traded."""

_WORDS = frozenset(
    """
    able about above act add after again ago aim air all also always am an and any anyone app are area arm art as ask
    at away back bad bag ball band bank bar base be bear beat bed been best bet beyond bid big bill bit blue board boat
    body bold bond book both box boy break buy by call came can car card care case cash cat chat city clean clear close
    coin cold come cool cost could cut data date day days deal did do does dog done dont door down drop due each early
    earn ease east easy eat edge edit else end ever every exit eye face fact fair fall fast fat feel few file fill find
    fine fire fit five flat flow fly for form four free from full fun gain game gap gas gave get give go goes gold gone
    good got great grow had half hand happy hard has have he head heal heart heat held help her here hey hi high him his
    hit hold home hope hot hour how huge ice idea if im in into is it its ive job joy jump just keep key kids kind king
    knew know lab land last late lead led left less let life light like line link list live load loan lol long look lose
    loss lost lot love low luck made main make man many mark max may me mean meet might mine miss mode month moon
    more most move much must my name near need net never new news next nice night no none nor not note now of off oh oil
    ok okay old on once one only open or order our out over own page paid park part pass past path pay peak pick plan
    play plus pm point poll pool pop post pure push put quit race rain ran rate read real red rent rest rich ride right
    ring rise risk road rock roll room rule run safe said sail sale same save saw say sea see seem self sell sent set
    she shop short should show side sign six size sky slow snap snow so sold some son soon spot star stay step still
    stop sun sure swap take talk tap target team tech tell ten term test text than that the them then they thing this
    time to today told too took top total town trade trend trip true try turn two type unit up us use very via view
    vote wait wake walk wall want war was wash watch wave way we week well went were west what when who why wide wife
    ally auto bark bros cake camp cars chef clay club crib cube dash dish duck evil farm fate flex fold ford fort fuse
    glad goat grab hear hood icon iron jack lazy lion loop lots moms nail oath pets pine ping pins pump rare rave roof
    root rush seed ship soul stem tile tree twin vary vast wing wolf yelp zest
    will win wind wise wish with woke won word work world worth would yeah year yes yet you your zero zone
    """.split()
)
_ACRONYMS = frozenset(
    """
    ADR AI AM AMEX API APR ASAP ATH ATL ATM ATR AUD AUM BE BOE BOJ BS BTD BTW BUY CAD CAGR CAPEX CBOE CCI CEO CET
    CFA CFO CHF CIA CME CNBC CNN CNY COB COO COVID CPA CPI CSV CTO DCA DCF DD DIY DJIA DM DMA DOJ DOW EBIT ECB EM EMA
    EOD EOM EOW EOY EPS ESG ESPP EST EDT ET ETA ETC ETF ETFS EU EUR EV EVER FAA FAQ FBI FCF FDA FED FIFO FOMC FOMO
    FTC FUD FWIW FX FY FYI GAAP GBP GDP GMT GTC HFT HODL HQ HR IDK IIRC IMF IMHO IMO IPO IRA IRL IRR IRS ISM IT IV JK
    JPY JSON KPI LBO LEAPS LLC LMAO LOC LOD LOL LTCG MA MACD MBA MD MIT MM MOC MOM MOO MSCI MTD NASA NATO NAV NBA NDA
    NFL NFP NGL NHL NY NYC NYSE OCO OI OK OMG OPEC OPEX ORB OTC OTM ITM PCE PDF PE PEG PHD PL PM PMI PNL PPI PR PS PT
    PTO QA QE QOQ QQ QT QTD RD REIT REITS RIP ROE ROI ROIC RR RSI RSU RSVP SAR SEC SL SMA SMS SP SPAC SQL STD STOP SWOT
    TA TAM TBA TBD TBH TIPS TLDR TP TTM TV UBI UK UN UPS URL US USA USD UTC VAR VAT VC VIX VP VS VWAP WFH WSJ WTF WTI
    XML YOLO YOY YTD WSB EBITDA
    """.split()
)
_TICKER = re.compile(
    r"(?<![\w$.'/&-])(?P<ticker>[A-Z]{2,5}(?:\.[A-Z])?)(?![\w&/-]|\.\w|'(?!s\b))(?=:|,? (?i:stop|target|tgt|tp"
    r"|sl|at|@|is|position|shares|stock|looks?|trades?|earnings|now|down|up|chart|from|puts?|calls?)\b|,? [$@>]?\s?\d)"
    r"|(?i:bought|sold|buy|sell|buying|selling|long|short|shorted|own|hold|holding|(?:stop|target|sl|tp)(?: on| "
    r"for)?|out of|\d) (?P<after>[A-Z]{2,5}(?:\.[A-Z])?)(?![\w&/-]|\.\w|'(?!s\b))"
)
"""A word in capitals where a symbol would stand."""
_JARGON = frozenset("tgt tp sl pt be dd eod ath".split())
"""What means something else in lower case."""
_SHOUTED = re.compile(r"\b[A-Z]{2,}\b")
_LOWER = re.compile(r"\b[a-z]{2,}\b")
TRADED = re.compile(
    r"\b(?:stops?|stop-?loss|sl|tp|tgt|targets?|bought|sold|buy(?:ing)?|sell(?:ing)?|long|short(?:ed)?|shares?|stock"
    r"|position|earnings|calls?|puts|price|entry|cheap|expensive|trim(?:med)?|dividend|valuation|trading"
    r"|trades? (?:at|above|below)|chart|bullish|bearish|breakeven)\b|@ ?\$?\d|>",
    re.IGNORECASE,
)
_CUT = re.compile(r"[.!?]\s|\n")
_GIVEN = re.compile(r"\b([A-Z][a-z]{2,20}) \(\$?([A-Z]{1,5})\)|\b([A-Z]{1,5}) \(([A-Z][a-z]{2,20})\)")
_SPELT = re.compile(r"(?<![\w$^])\$?\^?[^\W_]+(?:[.\-=][^\W_]{1,3}(?![^\W_]))?")
_NAME = re.compile(r"[^\W\d_]{2,}")


class Symbols:
    """What a session calls its symbols.

    Parameters
    ----------
    messages : sequence of Message
        The session's.
    known : collection of str
        Symbols that count as such. One that is a word too (ALL, NOW) counts as a cashtag or a message's.
    aliases : mapping of str to str, optional
        Symbols by company name in lower case, beside `ALIASES` and what the session itself shows.
    """

    def __init__(self, messages: Sequence[Message], known: Collection[str], aliases: Mapping[str, str] | None) -> None:
        own = {message.symbol for message in messages if message.symbol}
        sure = {symbol for symbol in known if len(symbol) > 1 and not _wordy(symbol)} | own
        said = [message.text[:READ] for message in messages if message.role == "user"]
        lines = [line for text in said for line in _CUT.split(text)]
        traded = [line for line in lines if TRADED.search(line)]
        listed = {re.split(r"[.-]", symbol)[0]: symbol for symbol in sorted(sure, reverse=True)}  # SAP is SAP.DE
        self._known = frozenset(sure | {*_guessed(traded)} - {*listed})
        named = {match[0].lower() for line in traded for match in _NAME.finditer(line)}
        self._names = {name: symbol for name, symbol in ALIASES.items() if symbol in self._known or name in named}
        self._names |= {
            symbol.lower(): symbol
            for symbol in self._known
            if len(symbol) > 1 and not _wordy(symbol) and symbol.lower() not in _JARGON and terms(symbol)
        }
        self._names |= {base.lower(): symbol for base, symbol in listed.items() if base != symbol and not _wordy(base)}
        for message in messages:
            for name, symbol, other, called in _GIVEN.findall(message.text[:READ]):
                if (symbol or other) in self._known:
                    self._names[(name or called).lower()] = symbol or other
        self._names |= {name.lower(): symbol for name, symbol in (aliases or {}).items()}

    def spans(self, text: str) -> list[tuple[int, int, str]]:
        """Return where a text names symbols, as (start, stop, symbol), in its order."""
        found = []
        for match in _SPELT.finditer(text[:READ]):
            word = match[0].lstrip("$").rstrip(".-=/:")
            symbol = next(iter(symbols_in(match[0], self._known)), None) or self._names.get(word.lower())
            if symbol:
                found.append((match.start(), match.start() + len(match[0].rstrip(".-=/:")), symbol))
        return found

    def all(self, text: str) -> list[str]:
        """Return the symbols that a text names, each once, in its order."""
        return [*dict.fromkeys(symbol for _, _, symbol in self.spans(text))]

    def of(self, text: str) -> str | None:
        """Return the first symbol that a text names."""
        return next(iter(self.all(text)), None)


def _wordy(symbol: str) -> bool:
    return symbol in _ACRONYMS or symbol.lower() in _WORDS


def _guessed(lines: Sequence[str]) -> Iterator[str]:
    """Return the words in capitals that are traded and are neither words nor well-known abbreviations."""
    for line in lines:
        if len(_SHOUTED.findall(line)) > max(len(_LOWER.findall(line)), 3):  # SHOUTED AS A WHOLE
            continue
        found = (match["ticker"] or match["after"] for match in _TICKER.finditer(line))
        yield from (word for word in found if not _wordy(word))

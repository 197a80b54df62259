"""What texts call symbols: the one place that decides which of its words name something that is traded."""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from gallump_lab.lazy import regex
from gallump_lab.reading.symbols import canonical, symbols_in

VERSION = "names-1"
"""Names how symbols are found; it changes whenever the same text would give others."""

_WELL_KNOWN = """
AAPL=apple ABBV=abbvie ABNB=airbnb ADBE=adobe ADI ADP AFRM=affirm AIG AMAT AMC AMD AMGN=amgen AMZN=amazon ANET=arista
APP=applovin ASML AVGO=broadcom AXP AZN=astrazeneca BA=boeing BABA=alibaba BAC BBY BIDU=baidu BKNG BLK=blackrock BMY
BYND CAVA CCL=carnival CELH=celsius CHWY=chewy CMCSA=comcast CMG=chipotle CRM=salesforce CRWD=crowdstrike CSCO=cisco
CVNA=carvana CVS CVX=chevron DAL DDOG=datadog DECK DELL DHR DIS=disney DKNG=draftkings DOCU=docusign ELF ENPH=enphase
ETSY EXPE=expedia FCX FDX=fedex FSLR GE GILD=gilead GM GME=gamestop GOOG=google,alphabet GOOGL GS HD HIMS HON=honeywell
HPQ IBM INTC=intel INTU=intuit ISRG JD JNJ JPM KHC KMI KO LCID=lucid LLY=lilly LMT=lockheed LRCX LULU=lululemon LUV LYFT
MARA MCD=mcdonalds MDB=mongodb META=facebook,meta MMM MRK=merck MRNA=moderna MRVL=marvell MS MSFT=microsoft
MSTR=microstrategy MU=micron NEE NEM=newmont NFLX=netflix NIO NKE=nike NVDA=nvidia NVO=novo OKTA ORCL=oracle
OXY=occidental PANW PARA PEP=pepsi,pepsico PFE=pfizer PG PINS=pinterest PLTR=palantir PLUG PTON=peloton PYPL=paypal
QCOM=qualcomm RBLX=roblox RDDT RIVN=rivian RKLB ROKU RTX SBUX=starbucks SCHW SHOP=shopify SLB SMCI=supermicro
SNOW=snowflake SOFI SPOT=spotify TEAM=atlassian TGT TLRY TMUS TSLA=tesla TSM=tsmc TTD TXN TWLO=twilio UBER
UNH=unitedhealth UNP UPST VZ=verizon WBA=walgreens WBD WDAY=workday WFC WMT=walmart XOM=exxon ZS=zscaler BRK.B=berkshire
COIN=coinbase HOOD ARM DASH=doordash CAT=caterpillar COST=costco LOW=lowes NOW=servicenow ALL=allstate IT ON
SPY QQQ IWM DIA TLT GLD SLV USO UNG XLE XLF XLK XLV XLI XLP XLU XLY SMH SOXX SOXL TQQQ SQQQ ARKK VTI VOO VXX UVXY
HYG LQD EEM EFA EWZ FXI KRE XBI GDX IBIT VHYL SPX NDX
SAP ALV=allianz BAS=basf BAYN=bayer BMW SIE=siemens VOW3=volkswagen,vw DHL MUV2 RHM=rheinmetall IFX=infineon ADS=adidas
DBK VNA=vonovia ENEL ISP ENI NESN=nestle,nestl\u00e9 NOVN=novartis ROG=roche UBSG TTE=totalenergies SHEL=shell
ULVR=unilever BP HSBA=hsbc GSK AIR=airbus MC=lvmh
BTC=bitcoin ETH=ethereum,ether SOL=solana XRP=ripple DOGE=dogecoin LTC=litecoin ADA=cardano AVAX=avalanche BNB
DOT=polkadot LINK=chainlink SUI TON HYPE=hyperliquid UNI=uniswap ATOM ARB PEPE
ES NQ YM RTY MES MNQ ZN ZB ZF ZT GC SI CL NG HG ZC ZS ZW
"""
"""Symbols, each with the names of what is traded under it."""
_SAME = {"FB": "META", "GOOGL": "GOOG"}
"""What is traded under two symbols, or was."""
_NOT_SURE = frozenset(
    "apple amazon avalanche bayer carnival celsius ether intel lucid meta oracle ripple shell".split()
)
"""Names that mean something else too: they count with a capital, or where one speaks of trading."""
_STRESSED = frozenset("ALL ARM AIR COST IT LOW NOW ON SPOT TEAM".split())
"""Symbols that are words which one puts in capitals to stress them."""
_CURRENCIES = frozenset("EUR USD GBP JPY CHF AUD CAD NZD SEK NOK MXN CNH TRY ZAR SGD HKD PLN INR BRL XAU XAG".split())
_WORDS = frozenset(
    """
    aber able about above act ada add added after again ago aim air all ally also am an and any anyone app arb are
    area arm art as ask at atom auto avg away back bad bag bail ball band bands bank bar bark bas base be bear beat
    bed been below best bet beyond bid big bill bit blue board boat body bold bond book both box boy break bros btw
    bucks bump but buy by cake call calls came camp can car card care cars case cash cat chat chef city clay clean
    clear close club coin coins cold come cool cost could crib cube cut das dash data date day days deal dem den der
    dia did die dip dis dish do does dog doing done dont door dot down drop drops duck due each early earn ease east
    easy eat edge edit ein elf else end enter entry ever every evil exit expe eye face fact fair fall falls farm
    fast fat fate feel few file fill find fine fire first fit five flat flex flow fly fold for ford form fort four
    free from full fun fund fuse gain game gap gas gave get give glad go goat goes going gold gone gonna good got
    grab great grow gtc had half hand happy hard has have he head heal hear heart heat hedge held help her here hey
    hi high him his hit hits hm hmm hold home hood hope hot hour how huge hype ice icon id idea if ill im imo in
    into iron is isnt isp ist it its ive jack job joy jump just keep kept key kids kind king knew know lab land last
    late lazy lead leave led left less let level life light like limit line link lion list live load loan lol long
    look loop lose loses loss lost lot lots love low lower luck luv made main make man many mara mark max may me
    mean meant meet mes might mine miss mmm mode moms month moon more most move moved much must my nach nah nail
    name nav near nee need net never new news next nice night no none nor not note now oath oder of off oh oil ok
    okay old on once one only open or order our out over own page paid para park part pass past path pay peak pep
    pepe perp pets pick pine ping pins plan play pls plug plus pm point poll pool pop post price pull pump pure push
    put qty quit race rain raise ran rare rate rave read real red rent rest rich ride right ring rise risk road rock
    rog roll roof room root rule run rush safe said sail sale same save saw say scrap sea see seed seem self sell
    sent set sh share she ship shop short show side sie sign sits six size sky sl slow snap snow so sofi sold soll
    some son soon sorry soul spot sry star stay stays stem step still stock stop stops such sui sun sure swap take
    taken talk tan tap team teams tech tell ten term test text tgt than that the their them then there these they
    thing think this those tile time tmrw to today told ton too took top total town tp trade trail tree trend trim
    trip true try turn twin two type typo und under uni unit up us use usual vary vast very via view vote wait wake
    walk wall want war was wash wasnt watch wave way we week well went were west what when where which who whole why
    wide wife will win wind wing wise wish with woke wolf won word work world worth would yeah year yelp yep yes yet
    you your zero zest zone
    """.split()
)
_ACRONYMS = frozenset(
    """
    ADR ADX AI AMEX API APR APY ASAP ATH ATL ATM ATR AUD AUM BBO BOE BOJ BS BTD BTFD CAD CAGR CAPEX CBOE CC CCI CDS
    CEO CET CEX CFA CFD CFO CHF CIA CME CNBC CNN CNY COB COO COVID CPA CPI CSP CSV CTO DAI DAO DCA DCF DD DEX DIY
    DJIA DM DMA DOJ DOM DOW DTE DV EBIT EBITDA ECB EDT EM EMA EOD EOM EOW EOY EPS ESG ESPP EST ET ETA ETC ETF ETFS
    EU EUR EV EVER FAA FAQ FBI FCF FDA FED FIFO FOMC FOMO FTC FUD FWIW FX FY FYI GAAP GBP GDP GMT GTC HFT HODL HQ HR
    HTF IB IDK IIRC IMF IMHO IPO IRA IRL IRR IRS ISIN ISM ITM IV IVP IVR JK JPY JSON KPI KYC LBO LEAPS LLC LMAO LOC
    LOD LOL LTCG LTF MA MACD MBA MD MIT MM MOC MOM MOO MSCI MTD NASA NATO NAV NBA NDA NFL NFP NFT NGL NHL NY NYC
    NYSE OB OCO OI OMG OPEC OPEX ORB OTC OTM PCE PDF PDT PE PEG PF PHD PL PM PMI PNL PPI PR PS PT PTO QA QE QOQ QQ
    QT QTD QTY RD REIT REITS RIP ROE ROI ROIC ROR RR RSI RSU RSVP SAR SEC SL SMA SMS SOFR SP SPAC SQL STD SWOT TA
    TAM TBA TBD TBH TF TIPS TLDR TP TSL TTM TV TVL UBI UK UN UPS URL USA USD USDC USDT UTC VAR VAT VC VIX VP VS VWAP
    WFH WSB WSJ WTF WTI XML YOLO YOY YTD
    """.split()
)
"""Words and abbreviations that are the symbol of something too."""
_JARGON = frozenset("tgt tp sl pt be dd eod ath".split())
"""What means something else in lower case."""
TRADED = regex(
    r"\b(?:stops?|stop-?loss|sl|tp|tgt|targets?|bought|sold|buy(?:ing)?|sell(?:ing)?|long|short(?:ed)?|shares?|stock"
    r"|position|earnings|calls?|puts|price|entry|cheap|expensive|trim(?:med)?|dividend|valuation|trading"
    r"|trades? (?:at|above|below)|chart|bullish|bearish|breakeven)\b|@ ?\$?\d|>",
    re.IGNORECASE,
)

_TICKER = regex(
    r"(?<![\w$.'/&-])(?P<ticker>[A-Z]{2,5}(?:\.[A-Z])?)(?![\w&/-]|\.\w|'(?!s\b))(?=:|,? (?i:stop|target|tgt|tp"
    r"|sl|at|@|is|position|shares|stock|looks?|trades?|earnings|now|down|up|chart|from|puts?|calls?)\b|,? [$@>]?\s?\d)"
    r"|(?i:bought|sold|buy|sell|buying|selling|long|short|shorted|own|hold|holding|(?:stop|target|sl|tp)(?: on| "
    r"for)?|out of|\d) (?P<after>[A-Z]{2,5}(?:\.[A-Z])?)(?![\w&/-]|\.\w|'(?!s\b))"
)
"""A word in capitals where a symbol would stand."""
_PLACED = regex(
    r"(?<![\w$])(?:(?:(?i:stop|target|tp|sl|thesis|case|view|size|position|stake|shares|puts?|calls?|earnings) "
    r"(?i:on|for|of|in)|(?i:my|raise|long|short|own|hold)|(?i:long|short|own|hold|bought|sold|buy|sell|have) \d[\d,.]*)"
    r" (?P<ticker>[A-Z]{2,5})"
    r"(?= (?i:stop|target|size|position|stake|thesis|puts?|calls?|shares|at|from)\b|[:,.;!?]|$| ?@)"
    r"|(?:^|[.!?] )(?P<first>[A-Z]{2,5})(?=:| (?:at |@ ?)?\$?\d))",
    re.MULTILINE,
)
"""A word in capitals where nothing but a symbol would stand."""
_SHOUTED = regex(r"\b[A-Z]{2,}\b")
_LOWER = regex(r"\b[a-z]{2,}\b")
_CUT = regex(r"[.!?]\s|\n")
_SPELT = regex(r"(?<![\w$^])\$?\^?[^\W_]+(?:[.\-=/][^\W_]{1,3}(?![^\W_]))?")
_NEAR = 60
"""So many characters before and after a name one looks for talk of trading."""


def key(symbol: str) -> str:
    """Return what the listings of a symbol share: SAP of SAP.DE, BTC of BTC-USD, EURUSD of EURUSD=X, but BRK.B."""
    base, suffix = (*re.split(r"[.\-=/]", symbol, maxsplit=1), "")[:2]
    base = base if len(suffix) > 1 or suffix in {"X", "F"} else symbol
    return _SAME.get(base, base)


def plain(symbol: str) -> bool:
    """Return whether a symbol is one in lower case too: neither a word nor an abbreviation."""
    word = symbol.lower()
    return len(symbol) > 2 and word not in _WORDS and word not in _JARGON and symbol not in _ACRONYMS


class Symbols:
    """What texts call symbols: the well-known ones, those that are known, and what is traded in capitals.

    Parameters
    ----------
    known : collection of str
        Symbols that count as such, in lower case too. One that is a word (ALL, NOW) counts as a cashtag, or in capitals
        where a symbol would stand.
    own : collection of str
        Symbols that count wherever they stand in capitals.
    """

    def __init__(self, known: Collection[str] = (), own: Collection[str] = ()) -> None:
        given, own = set(map(canonical, known)), set(map(canonical, own))
        sure = {symbol for symbol in given if len(symbol) > 1 and not _wordy(symbol)} | own
        self._sure = frozenset(sure)
        listed = {key(symbol): symbol for symbol in sorted(sure, reverse=True)}
        self._listed = {base: symbol for base, symbol in listed.items() if base not in sure}  # SAP is SAP.DE
        self._capitals = frozenset(_names().values()) - _STRESSED | sure
        self._placed = (given | _STRESSED) - self._capitals
        bases = {*self._listed, *sure}
        self._names = {symbol.lower(): symbol for symbol in self._capitals if plain(symbol)} | _names()
        self._names |= {base.lower(): base for base in bases if len(base) > 1 and base.isalpha() and not _wordy(base)}
        self.read = lru_cache(maxsize=100_000)(self._read)

    def spans(self, text: str) -> list[tuple[int, int, str]]:
        """Return where a text names symbols, as (start, stop, symbol), in its order."""
        words = [match for match in _SPELT.finditer(text) if self._tells(match[0])]
        guessed = {*self._guessed(text)} if any(self._new(match[0]) for match in words) else set[int]()
        return [
            (match.start(), match.end(), self._listed.get(symbol, symbol))
            for match in words
            for symbol in self._named(match, guessed)
        ]

    def _tells(self, word: str) -> bool:
        """Return whether a word may name a symbol: all others are passed over."""
        if word.isalnum():
            return word.lower() in self._names or (word.isupper() and len(word) > 1) or _pair(word) != ""
        return not word[0].isdigit()

    def _new(self, word: str) -> bool:
        """Return whether a word may be a symbol in the right place."""
        new = word.isupper() and word.isalpha() and len(word) > 1 and word not in self._capitals
        return new and (word in self._placed or not _wordy(word))

    def _read(self, run: str) -> tuple[str, ...] | None:
        """Return what a text without white space names; None where only what stands around it tells."""
        for match in _SPELT.finditer(run):
            if self._new(match[0]) or (match[0] in _NOT_SURE and self._names[match[0]] not in self._sure):
                return None
        return tuple(self.all(run))

    def all(self, text: str) -> list[str]:
        """Return the symbols that a text names, each once, in its order."""
        return [*dict.fromkeys(symbol for _, _, symbol in self.spans(text))]

    def of(self, text: str) -> str | None:
        """Return the first symbol that a text names."""
        return next(iter(self.all(text)), None)

    def _named(self, match: re.Match[str], guessed: Collection[int]) -> Sequence[str]:
        """Return the symbols that a word, with its suffix, names; mostly one or none."""
        word = match[0]
        if pair := _pair(word):
            return [pair]
        if word in self._capitals or match.start() in guessed:
            return [word]
        if not word.isalnum() and (found := symbols_in(word, self._capitals)):
            return found
        low = word.lower()
        parts = [low] if low in self._names else low.split("/") if "/" in low else [re.split(r"[.\-=]", low)[0]]
        return [self._names[part] for part in parts if part in self._names and self._means(part, match)]

    def _means(self, name: str, match: re.Match[str]) -> bool:
        """Return whether a name that means something else too stands for its symbol here."""
        sure = match[0] not in _NOT_SURE or self._names[name] in self._sure
        return sure or TRADED.search(match.string, max(match.start() - _NEAR, 0), match.end() + _NEAR) is not None

    def _guessed(self, text: str) -> Iterator[int]:
        """Return where words in capitals stand as symbols would that are not known as such, or are words too."""
        begin = 0
        for end in [*(cut.end() for cut in _CUT.finditer(text)), len(text)]:
            line, start, begin = text[begin:end].rstrip(), begin, end
            if len(_SHOUTED.findall(line)) > max(len(_LOWER.findall(line)), 3):
                continue  # SHOUTED AS A WHOLE
            for match in _PLACED.finditer(line):
                group = match.lastgroup or ""
                if match[group] in self._placed or not _wordy(match[group]):
                    yield start + match.start(group)
            if TRADED.search(line):
                for match in _TICKER.finditer(line):
                    group = match.lastgroup or ""
                    if not _wordy(match[group]):
                        yield start + match.start(group)


@lru_cache(maxsize=16)
def reader(known: frozenset[str] = frozenset()) -> Symbols:
    """Return what reads texts of those who know these symbols."""
    return Symbols(known)


def folded(word: str) -> str:
    """Return the symbol of a well-known name, in lower case; any other word as it is."""
    return _names().get(word, word).lower()


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Return the symbol of each well-known name, and of each symbol as its own name."""
    pairs = (entry.partition("=") for entry in _WELL_KNOWN.split())
    return {name: symbol for symbol, _, names in pairs for name in (symbol, *filter(None, names.split(",")))}


def _pair(word: str) -> str:
    """Return the pair of currencies that a word is, such as EURUSD of eur/usd; "" if it is none."""
    pair = word.replace("/", "").upper() if 5 < len(word) < 8 else ""
    return pair if {pair[:3], pair[3:]} <= _CURRENCIES else ""


def _wordy(symbol: str) -> bool:
    """Return whether a symbol is a word or a well-known abbreviation too."""
    return symbol in _ACRONYMS or symbol.lower() in _WORDS

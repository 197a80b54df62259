"""The words of trading: those that levels and trades are told with, by what they mean, and those that raise doubts."""

import re

PHRASES = [
    (re.compile(rf"(?<!\w)(?:{pattern})(?![\w'])"), name)
    for name, pattern in {
        " _target ": r"price target|profit objective|upside|take[ -]?profits?(?: order)?|t/p|limit (?:order to "
        r")?sell|(?:limit )?order to sell",
        " _entry ": r"(?:limit )?order to buy|buy (?:limit|stop)|limit buy",
        " _stop ": r"stop[ -]?loss|sell stop|s/l|line in the sand|kill switch|loss limit|bail-?out(?: level)?"
        r"|point of no return|hard floor",
        " _even ": r"break[ -]?even|b/e|(?<=stop )to (?:my )?(?:entry|cost)(?: price)?",
        " _closed ": r"(?:got (?:me )?|was |were |been )*(?:stopped out|taken out|called away)(?: of)?|got "
        r"(?:me )?stopped|no longer (?:own|hold)|(?:i'?m |i am |am |got )?out of|got out|as of",
        " _part ": r"(?:another |the other )?(?:half|a third|a quarter|two thirds|some|part|most|a few)(?: "
        r"off)?(?: of)?(?: (?:the|my) table)?|(?:by|in|to) half(?: size)?|half size",
        " _all ": r"all of (?:it|them)|the (?:whole|entire) (?:position|lot|thing)|the (?:rest|remaining)(?: of it)?",
        " _bought ": r"(?:went|got) (?:long|short)|picked up|got in(?:to)?|i'?m in|pulled the trigger on"
        r"|loaded up(?: on)?|opened a (?:long|short|position)(?: in)?|started a position(?: in)?|positions? ?:",
        " _buy ": r"start(?:ing)? (?:to buy|buying|a position)|step(?:ping)? in(?:to)?|go(?:ing)? long"
        r"|get(?:ting)? (?:long|into|back in)|put me down",
        " _expect ": r"will (?:be|hit|see|reach|go to|get to)|base case|goes to|heading to",
        " cancel ": r"never mind",
        r"\1 is ": r"(stop|target)'s",
        " _hit ": r"(?:got|was|is|been) (?:hit|triggered|executed)",
        " not ": r"instead of|rather than",
        " now ": r"any ?more|no longer",
        " ": r"from +[NP]\S+ (?= *to +[NP])",
    }.items()
]
_CLASSES = {
    "attribute": "stop stops sl target targets tgt tp entry support resistance size qty _stop _target _entry "
    "trail trailing",
    "plural": "stops targets",
    "remove": "cancel cancelled canceled pull pulled remove removed delete deleted scrap scrapped drop dropped "
    "forget scratch no off",
    "bought": "bought grabbed added own long short shorted hold holding paid acquired filled fill got _bought",
    "sold": "sold exited closed covered dumped unloaded liquidated flattened flat _closed",
    "reduced": "trimmed lightened reduced halved cut took taken gone closed sold trim",
    "part": "_part",
    "all": "all everything completely entirely it whole _all",
    "buy": "buy buying add adding nibble accumulate enter reenter re-enter bid bidding _buy",
    "sell": "sell selling trim",
    "leave": "out gone exit sell bail close flat done cut _closed",
    "down": "below under through loses breaks drops falls",
    "up": "above over past hits hit reaches touches >",
    "price": "at @ from paid cost filled fill avg average ,",
    "old": "from was not isn't isnt wasn't",
    "anew": "now new no wait make actually mean meant typo sorry sry scratch nah hm hmm oh is it's",
    "shares": "shares share sh stock lots stueck st\u00fcck",
    "book": "book portfolio account fund nav capital",
    "expect": "expect expecting see say think believe bet forecast _expect",
    "if": "if when once",
    "later": "will would i'd i'll ill want gonna if when once",
    "even": "_even",
    "trail": "trail trailing",
}
_FILLERS = """
i i'm im i've ive my our we the a an this it its are am to of on for in by up down and then also just ok okay btw
still keep keeping kept stay stays sits stands goes go going move moved moving raise raised raising lower lowered
lowering bump bumped bumping tighten tightened ratchet ratcheted set setting put putting has have had been be
leave leaving with order gtc limit only more hard mental today tomorrow tmrw yesterday tonight = : -> => ( ) as position
positions trade weight decided first initial current trading trades closes bit imo around loss again back dip always
take taking them pls _hit hedge spot perp through nice yes yep so rest bucks dollars price level lot planned usual
any whole done an one running overnight remember switched change changed changing
"""
MEANS: dict[str, frozenset[str]] = dict.fromkeys(_FILLERS.split(), frozenset())
"""What each word means, by the names of `_CLASSES`; a filler is understood and means nothing."""
for _name, _words in _CLASSES.items():
    MEANS |= {word: MEANS.get(word, frozenset()) | {_name} for word in _words.split()}
ATTRIBUTES = {
    "stops": "stop", "targets": "target", "sl": "stop", "trail": "stop", "trailing": "stop", "tgt": "target", "t"
    "p": "target", "entry": "entry level",
    "qty": "size", "_entry": "entry level",
}  # fmt: skip
OPTIONS = re.compile(
    r"\b(?:calls?|puts?(?! (?:an?|my|the|our|it|in|on|another|me|up|stops?)\b)|strikes?|straddles?|strangles?"
    r"|spreads?|condors?|collars?|contracts?|csps?|leaps|dte|options?|\d+(?:\.\d+)?[cp])\b",
    re.IGNORECASE,
)
"""An option's level or trade is not its stock's."""
DOUBTS = re.compile(
    r"\b(?:he|she|they|his|her|their|you|your|says|said|thinks|told|according|heard|rumou?r\w*|suggest\w*|recommend\w*"
    r"|analysts?|consensus|maybe|perhaps|might|(?-i:may)|could|should|thinking|consider\w*|tempted|torn|almost|nearly"
    r"|wish|wonder\w*|guess|probably|supposed?|imagin\w+|assum\w+|hypothe\w+|pretend\w*|what if|if only|between|or so"
    r"|ish|would(?:'ve| have)|disagree|never(?! mind)|don'?t|didn'?t|won'?t|wouldn'?t|can'?t|ago|last (?:year|month)"
    r"|(?:was|were) (?:going|about) to|used to)\b",
    re.IGNORECASE,
)
"""A sentence that has one of these states nothing for certain, whatever its clauses say by themselves."""
QUOTED = re.compile(r"[\"\u201c\u201d\u201e\u00ab]|(?<!\w)['\u2018][^'\u2019]+\s[^'\u2019]+['\u2019](?!\w)")
BACK = re.compile(
    r"\W*(?:h+m+,? )?(?:no|nah|nope|wait|scratch|i mean|make (?:it|that)|sorry|sry|actually|or)\b", re.IGNORECASE
)
"""Takes back what stands before it, whatever takes its place."""
CLAUSE = re.compile(
    r"(?<=\d)\s+(?=(?:sl|tp|stop|target|tgt|pt|size|qty|entry)\b[\s:=@$]{0,3}\d)|[,;](?:\s+|$)|\s+/\s+|[.!]\s+"
    r"|\s*(?:\.{3}|\u2026)\s*|\s+(?:and|but|then|with|w|w/|so)\s+|\s+[-\u2013\u2014]+\s+",
    re.IGNORECASE,
)
WHEN = re.compile(
    r"\b(?:(?:on )?(?:mon|tues?|wed|thurs?|fri)\b|(?:this |last )?(?:morning|afternoon|evening|night)"
    r"|(?:on |since |as of )?\d{1,2}/\d{1,2}(?:/\d{2,4})?"
    r"|(?:at|after|before|into) (?:the )?(?:open|close))\b|\b(?:on|since|as of|from) +(?= {3,}|$)",
    re.IGNORECASE,
)
"""When something was done, which changes nothing of what was; what leads to a date that was taken out."""
GIVES_WAY = frozenset(("->", "=>", ">"))
APART = re.compile(r"[NP]\S+ +(?:(?:to|or|-|\u2013|/) *)?[NP]\d")
"""From one number to another, this or that, a row of a table."""
TOKEN = re.compile(r"[NP]\d+(?:\.\d+)?|S\b|->|=>|[a-z_\u00e4\u00f6\u00fc]+(?:['-][a-z]+)*|[^\s.!\"*]")
JOKED = re.compile(
    r"\b(?:kidding|jk|j/k|joking|joke|sarcas\w+|just messing|pigs? fl(?:y|ies)|hell freezes|yeah,? right|in "
    r"your dreams|april fools?)\b|(?<!\w)/s(?!\w)|[\U0001f602\U0001f923\U0001f61c]",
    re.IGNORECASE,
)
FOREIGN = re.compile(
    r"\b(?:if (?:\S+|only) (?:had|were)|had (?:i|we) \w+|wish\w*|imagin\w+|suppos(?:e|ing)|hypothe\w+|what if"
    r"|pretend\w*|be rich|(?:buddy|friends?|wife|husband|brother|dad|mom|boss|brokers?|gurus?|analysts?|he|she|they"
    r"|someone|somebody|everyone|street|cnbc|reddit|cramer)\b.{0,30}\b(?:says?|said|thinks?|told|hates?|loves?|likes?"
    r"|wants?|expects?|has|had|keeps?))\b",
    re.IGNORECASE,
)
"""Another's view, or of a world that is not: a statement about a symbol is not the analyst's."""

ALIASES = {
    "alphabet": "GOOG", "amazon": "AMZN", "apple": "AAPL", "boeing": "BA", "cisco": "CSCO", "exxon": "XOM",
    "facebook": "FB", "google": "GOOG", "intel": "INTC", "microsoft": "MSFT", "netflix": "NFLX", "nvidia": "NVDA",
    "oracle": "ORCL", "pfizer": "PFE", "tesla": "TSLA", "walmart": "WMT",
}  # fmt: skip
"""Names of well-known companies; one counts where its symbol is known, or where it is traded."""

WORDS = frozenset(
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
ACRONYMS = frozenset(
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
"""Words and abbreviations that are the symbol of something too."""
JARGON = frozenset("tgt tp sl pt be dd eod ath".split())
"""What means something else in lower case."""
TRADED = re.compile(
    r"\b(?:stops?|stop-?loss|sl|tp|tgt|targets?|bought|sold|buy(?:ing)?|sell(?:ing)?|long|short(?:ed)?|shares?|stock"
    r"|position|earnings|calls?|puts|price|entry|cheap|expensive|trim(?:med)?|dividend|valuation|trading"
    r"|trades? (?:at|above|below)|chart|bullish|bearish|breakeven)\b|@ ?\$?\d|>",
    re.IGNORECASE,
)

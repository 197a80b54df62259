"""The injector's own words: names, numbers, dates, opposites, synonyms, generic words and invented clauses.

Nothing else may use them: a metric that knew them would only find its own list again.
"""

COMPANIES = dict(
    pair.split("=")
    for pair in """
    AAPL=Apple AMD=AMD AMZN=Amazon BA=Boeing BAC=BofA C=Citigroup CAT=Caterpillar CSCO=Cisco CVX=Chevron DIS=Disney
    F=Ford FB=Facebook GE=GE GM=GM GOOG=Google GOOGL=Google GS=Goldman IBM=IBM INTC=Intel JNJ=J&J JPM=JPMorgan
    KO=Coca-Cola MCD=McDonald's META=Meta MSFT=Microsoft NFLX=Netflix NKE=Nike NVDA=Nvidia ORCL=Oracle PFE=Pfizer
    PG=P&G T=AT&T TSLA=Tesla V=Visa WMT=Walmart XOM=Exxon
    """.split()
)

MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
ONES = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
WORDS = {word: value for value, word in enumerate(ONES, 1)}
WORDS |= {word: 10 * value for value, word in enumerate(TENS, 2)}
"""Numbers in words, and what they are."""

_MONTH = rf"(?:{'|'.join(MONTHS)})"
_TH = r"(?:st|nd|rd|th)"
_YEAR = r"(?:19|20)[0-4]\d"
_DAY = (
    rf"(?:(?:the )?(?:\d\d?{_TH}?|(?:{'|'.join(ORDINALS)})(?= of))(?: of)? {_MONTH}|{_MONTH} \d\d?{_TH}?\b(?![.,]?\d))"
)
_QUARTER = rf"\b(?:the )?(?:first|second|third|fourth) quarter(?: of {_YEAR}\b)?"
_BARE_YEAR = rf"(?<![\d$.,/]){_YEAR}\b(?![\d%]|[.,]\d| (?:dollars|percent|shares))"
DATE = (
    rf"(?:\b\d{{4}}-\d\d-\d\d\b|\b{_DAY}(?:,? {_YEAR}\b)?|{_QUARTER}|\b(?!May [a-z]){_MONTH}\b(?:,? {_YEAR}\b)?"
    rf"|\b(?:the )?\d\d?{_TH}\b|{_BARE_YEAR})"
)
"""A date as it is written out."""
_SPAN = "(?:day|week|weekend|month|year|night|morning|evening|summer|winter|spring|autumn|fall)"
_WEEKDAY = f"(?:{'|'.join(DAYS)})"
RELATIVE = (
    rf"\b(?:the (?:first|second|third|fourth|last) {_WEEKDAY} of (?:each|every|the) month"
    rf"|(?:last|next|this|every|each) (?:{_SPAN}|{_WEEKDAY})\b|yesterday|today|tonight|tomorrow|recently"
    rf"|(?:a|a few|a couple of|\d+|{'|'.join(WORDS)}) {_SPAN}s? ago"
    rf"|(?:on )?{_WEEKDAY}s?(?: (?:morning|afternoon|evening|night)s?)?)\b"
)
"""A time that counts from when it was said."""
NUMBER = (
    r"(?<![\w.:/])(?<!\d,)(?<![A-Za-z]-)\d+(?:,\d{3})*(?:\.\d+)?"
    rf"(?![\d:/]|[.,]\d|{_TH}\b)(?=\b(?![A-Za-z])|(?:k|m|bn|x)\b)"
)
FIGURE = rf"(?:{NUMBER}|\b(?:{'|'.join(TENS)})-(?:{'|'.join(ONES[:9])})\b|\b(?:{'|'.join(list(WORDS)[1:])})\b)"
"""A number in digits or words; "one" is too often none."""

VERBS = """
buy=sell rise=fall accept=refuse raise=lower increase=reduce tighten=loosen accelerate=slow halve=double
grow=shrink permit=forbid allow>forbid cut>raise win=lose gain>lose love=hate like=dislike enjoy>dislike
agree=disagree start=stop begin=finish join>leave succeed=fail remember=forget trust=distrust support=oppose
improve=worsen strengthen=weaken accumulate>distribute underestimate=overestimate praise=criticise
"""
"""Opposites whose inflections take each other's place; ">" is one way only."""
IRREGULAR = {
    each.split()[0]: each.split()[1:]
    for each in (
        "buy bought bought,sell sold sold,rise rose risen,fall fell fallen,win won won,lose lost lost,leave left left,"
        "begin began begun,forget forgot forgotten,grow grew grown,shrink shrank shrunk,forbid forbade forbidden,"
        "cut cut cut,keep kept kept,get got got,think thought thought,make made made,go went gone,hold held held,"
        "find found found,take took taken,give gave given,have had had,build built built"
    ).split(",")
}
DOUBLED = frozenset("stop permit begin forget forbid cut win get plan".split())
PAIRS = """
above=below more=less higher=lower highest=lowest best=worst better=worse earlier=later
early=late winners=losers winning=losing profit=loss profits=losses bullish=bearish maximum=minimum ceiling=floor
upper=lower overweight=underweight cheap=expensive strong=weak stronger=weaker positive=negative plus=minus
contraction=expansion optimistic=pessimistic easy=difficult tough>easy safe=risky happy=unhappy healthy=unhealthy
rewarding>disappointing relaxing=stressful excited=nervous proud>ashamed confident>insecure calming>unsettling
inspiring>discouraging exciting=boring grateful>ungrateful peaceful>hectic important=unimportant
successful=unsuccessful motivated=unmotivated comfortable=uncomfortable determined>reluctant willing=unwilling
eager>reluctant supportive>dismissive indoors=outdoors big=small larger=smaller defensively>aggressively
"""
"""Other opposites."""
_NUMERAL = rf"(?:half|[\d$]|the \d|{'|'.join(list(WORDS)[1:])})"
PHRASES = [
    ("never more than", "never less than"),
    ("(?<!look )(?<!looks )(?<!looking )(?<!looked )after", "before"),
    ("before", "after"),
    ("never(?! again)", "always"),
    ("always", "never"),
    (r"gains(?= (?:in|of|from)\b)", "losses"),
    ("at least", "at most"),
    ("at most", "at least"),
    ("too (?:early|soon)", "too late"),
    ("too late", "too early"),
    ("no longer", "still"),
    (rf"over(?= {_NUMERAL})", "under"),
    (rf"under(?= {_NUMERAL})", "over"),
    ("(?<=is )open(?! to)", "closed"),
    (r"closed(?= the\b)", "opened"),
    (r"long(?= [A-Z]{1,5}\b)|(?<=is )long", "short"),
    (r"short(?= [A-Z]{1,5}\b)|(?<=is )short", "long"),
    (rf"(?:(?<=averaged )|(?<=guided ))down|down(?= {_NUMERAL})", "up"),
    (rf"(?:(?<=goes )|(?<=went )|(?<=moved ))up|up(?= {_NUMERAL})", "down"),
    ("looks forward to", "dreads"),
    ("looking forward to", "dreading"),
    (r"(?:offers|agrees)(?= to\b)", "refuses"),
    (r"(?:offered|agreed)(?= to\b)", "refused"),
    (r"lost(?= (?:his|her|their|its|my)\b)", "kept"),
    (r"lost", "gained"),
    (r"(?:(?<=-day )|(?<=new ))high(?! school)", "low"),
]
"""Opposites in their surroundings: a pattern and what takes its place."""
ROLES = [(r"stop(?= (?:of|on|in force|at|for|was)\b)", "target"), (r"target(?= (?:of|on|at|for|stated)\b)", "stop")]
NEGATIONS = [
    (r"(plans|intends|hopes|wants|wishes|decided|chose)(?= to\b)", r"\1 not"),
    (r"leaves(?= [A-Z]{1,5}\b)", "adds to"),
    ("has an?(?! (?:lot|few|hard|hit|great))", "has no"),
    ("(did|does|do|is|are|was|were|can|will|should)(?:n't| not)", r"\1"),
    ("cannot|can't", "can"),
    (r"(has|have)(?= been)", r"\1 not"),
    ("(is|are|was|were|will|can|could|should|must|may)(?! not| no)(?= [a-z])", r"\1 not"),
]
"""What turns a statement into its contrary where it has no opposite; the words before them are kept."""

SYNONYM_VERBS = """
buy>purchase enjoy>like appreciate>value encourage>motivate expect>anticipate plan>intend hold>keep finish>complete
love>adore recommend>suggest receive>get create>make own>have acquire>get discover>find need>require permit>allow
reduce>cut promise>vow cherish>treasure suggest>propose emphasize>stress acknowledge>recognize
"""
SYNONYMS = [
    ("never more than", "at most"),
    ("wants to", "would like to|is looking to"),
    ("is considering", "is thinking about"),
    (rf"more than(?= {_NUMERAL})", "over"),
    ("because(?! of)", "since|as"),
    ("every", "each"),
    ("as well", "too"),
    ("a lot of", "plenty of|much"),
    ("kids", "children"),
    ("recently", "not long ago|lately"),
    ("currently", "at the moment|right now"),
    ("difficult|tough", "hard"),
    ("important", "significant"),
    ("happy", "glad"),
    ("big", "large"),
    ("movies", "films"),
    ("movie", "film"),
    ("photos", "pictures"),
    ("relaxing", "calming"),
    ("amazing", "wonderful"),
    ("excited", "thrilled"),
    ("grateful", "thankful"),
    ("expresses gratitude", "is thankful"),
    (r"expressed(?! \w+sel)", "voiced"),
    ("attended", "went to"),
    ("attends", "goes to"),
    ("participated in", "took part in"),
    ("participates in", "takes part in"),
    ("passionate about", "very fond of"),
    ("favorite", "most loved"),
    ("hobbies", "pastimes"),
    ("admires", "looks up to"),
    ("hopes to", "would love to"),
    ("struggling with", "having trouble with"),
    ("dealing with", "coping with"),
    ("relax", "unwind"),
    ("often", "frequently"),
    ("mentioned(?! that)", "spoke of"),
    ("shows interest in|showed interest in", "is interested in"),
    ("a share", "per share"),
    ("thesis", "idea|case"),
    ("lesson", "takeaway"),
    ("rule", "principle"),
    ("limit", "cap"),
    ("ceiling on", "cap on"),
    ("(?<=in )force", "effect"),
    ("in force since", "valid since"),
    ("ended", "was over"),
    ("falls to", "drops to|touches"),
    ("none of it", "no part of it"),
    ("the position is open", "it is still held"),
    ("buy level", "entry price"),
    ("target", "price target"),
    ("stop(?= (?:of|on|in force|at))", "stop-loss"),
    ("weight", "allocation"),
    ("of capital", "of the capital"),
    ("forecast", "prediction"),
    ("position of", "holding of"),
    ("(?<='s )position", "holding"),
    ("leaves(?= [A-Z]{1,5}\\b)", "gets out of|exits"),
    ("does not", "doesn't"),
    ("meaningful", "significant"),
    ("support(?= (?:and|from|of))", "backing"),
    ("supportive", "encouraging"),
    ("friends", "pals"),
    ("journey", "path"),
    ("passion for", "love of"),
    ("feels", "is feeling"),
    ("upcoming", "coming"),
    ("otherwise", "or else"),
    ("no matter", "regardless of"),
    ("always", "invariably|at all times"),
    ("so far", "to date"),
    ("such as", "like"),
    ("due to", "because of"),
    ("although", "even though"),
    ("and not above it", "but no higher"),
]
"""The same in other words; alternatives between bars."""
FRAMES = [
    ("Remember that {}", ""),
    ("It came up that {}", ""),
    ("As noted before, {}", ""),
    ("The talk made clear that {}", ""),
    ("Worth knowing is that {}", ""),
    ("{}", ", as was said"),
]
"""What a statement may be framed in: its front, and what follows it."""

_ABOUT = "(?:about |around |some |roughly |nearly )?"
_UNIT = "(?:hundred|thousand|million|billion)"
_AGE = "(?:year|month|week|day|hour|minute)"
_BARE = "and|or|as|at|in|on|if|the|is|by|to|since|for|from|it|with|a|after|of|per"
GENERIC = [
    (r" \((?:[^()]*\d[^()]*)\)", ""),
    (rf"(?:(?<=\b[Tt]he )|(?<='s ))(?=[A-Z]|\d{{4}}){DATE} (?=[A-Za-z])", ""),
    (rf"\b(?!{_MONTH}|In |On |By |Of |From |Since |Until )([A-Z][a-z]+) {_BARE_YEAR}", r"\1"),
    (rf"\b(?i:from) {DATE} (?:till|until|to) {DATE}|\b(?i:from) {DATE}(?: on\b)?|\b(?i:since) {DATE}", "for some time"),
    (rf"\b(?i:by|until|till|before|after|as of|on|in|at|during|around|for) {DATE}", "at some point"),
    (rf"(?<!th )(?<!st )(?<!nd )(?<!rd )\bof {DATE}", "at some point"),
    (DATE, "some time"),
    (rf"(?<!\ba )(?:\b(?:on|in|for|by) )?(?:\bthe )?{RELATIVE}", "at some point"),
    (r"\b\d?\d:\d\d(?: ?[ap]m)?(?: UTC)?", "some hour"),
    (rf"\b([Aa]|[Tt]he|[Ii]ts|[Hh]is|[Hh]er) {FIGURE}(?:[ -]{_AGE}(?:[ -]old)?| {_UNIT}) (?=[A-Za-z])", r"\1 "),
    (rf"{_ABOUT}[$\u20ac\u00a3]{NUMBER}(?:k|m|bn| {_UNIT})?", "some amount"),
    (rf"{_ABOUT}{FIGURE} {_UNIT}(?= (?!dollars|euros|pounds)[a-z]+s\b)", "many"),
    (rf"{_ABOUT}{FIGURE}(?: and a half)?(?: percent|%)", "some percent"),
    (rf"{_ABOUT}{FIGURE} and a half(?= (?!dollars|euros|pounds)[a-z])", "several"),
    (rf"{_ABOUT}{FIGURE}(?:k|m|bn| {_UNIT}| and a half| dollars| euros| pounds)+", "some amount"),
    (r"\b(?:one half|two thirds|three quarters)\b", "some part"),
    (r"\b(?i:half|a third|a quarter|a tenth)(?= (?:of|more|less)\b)", "some"),
    (rf"\b([Tt]he|his|her|their|\w+'s) {FIGURE} (?=[a-z])", r"\1 "),
    (rf"{NUMBER} the stock", "some of the stock"),
    (rf"{NUMBER}(?= of\b)", "some"),
    (rf"{FIGURE}(?= (?!(?:{_BARE})\b)[a-z]+)", "several"),
    (rf"\b([A-Z][a-z]+) {NUMBER}", r"\1"),
    (rf"\b[Aa] {NUMBER}|{NUMBER}", "some level"),
    (FIGURE, "several"),
    (r" (?:named|called) [A-Z]\w+(?:(?:,| and|, and) [A-Z]\w+)*", ""),
    (r"(?<=\s)['\"](?:[A-Z][^'\"]*)['\"](?!\w)", "something"),
    (r"(?:(?<= in )|(?<= from ))[A-Z]\w+(?:,? [A-Z]\w+)*(?!\w*'s)", "some place"),
]
"""What names and figures become in the mouth of one who was not listening, in this order."""

CLAUSES = {
    "finance": """
        mainly because of the dividend|after a talk with a broker|as long as volume confirms it
        |with half the usual size at first|unless the central bank moves first|hedged with {month} puts
        |which had worked twice in {year}|on the advice of a newsletter|because insiders had been buying
        |to be reviewed every {day}|provided the index holds its 200-day average
        |with a second lot {number} percent lower
        |in line with the plan made in {month}|after two losing trades in {month}|despite a warning from the accountant
        |because margins should widen by {number} percent|with the tax date in {month} in mind
        |mostly to balance the energy holdings|since analysts raised their estimates in {month}
    """,
    "everyday": """
        mostly to save money|after reading about it online|on the advice of a colleague|with help from a neighbour
        |despite some doubts at first|and first thought of it in {month}|because a cousin had suggested it
        |and told the whole family about it on {day}|although it cost more than planned|thanks to a small grant
        |and hopes to do more of it from {month} on|after {number} weeks of hesitation|as an old teacher once advised
        |and wrote about it in a journal|against the wishes of the family|ever since a trip in {year}
        |which was the plan since {month}|and spent about {number} hours a week on it
    """,
}
"""Invented additions; "{...}" are slots."""

MASCULINE = {"he": "she", "him": "her", "his": "her", "himself": "herself"}
FEMININE = {"she": "he", "herself": "himself", "hers": "his"}
OBJECT = frozenset(
    "and or but to for in on at as by with from about after before when while that which who if so".split()
)
"""After "her" these show that it is no possessive."""
PLAIN = frozenset(
    """
    a an the and or but if of in on at to for from by with as is are was were be been has have had do does did not no
    it its he she his her him they their them this that these those who which what when than then so because since
    about into over under after before more most some any all very also just now up down out i my me you your we our
    """.split()
)
"""Words that say little of what a statement is about."""
AFTER_NAMES = frozenset(
    """
    in of during before under over about near until till once after as at above below by from if into is on to since
    with for was has had and or now that will can down up pays renews yields gets needs fell rose falls rises when
    while because but too gave cleared which who
    """.split()
)
"""What follows a name that stands for itself, and not before a noun."""

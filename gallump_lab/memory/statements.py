"""From a message to its statements, freed of greetings, asides, questions and requests, and what they call symbols.

A text is data: whatever it holds, these patterns take a time that grows with its length alone, and of a very long one
only the beginning and the end are read.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gallump_lab.memory import lexicon
from gallump_lab.memory.records import Message
from gallump_lab.memory.text import one_line, storable, terms
from gallump_lab.reading.symbols import symbols_in

RETAKEN = re.compile(
    r"(?:(?:h+m+|oh|ok|um|er|uh)[,. ]+)*(?:no|nah|nope|wait|scratch that|i mean|i meant|make (?:that|it)"
    r"|correction|typo|sorry|sry|actually)\b[^.!?]{0,30}?\d",
    re.IGNORECASE,
)
"""What was just said is taken back, and said otherwise."""

READ = 4_000
"""Of a longer text so many characters are read at its beginning and as many at its end; between is pasted matter."""
LONGEST = 320
"""Characters of a statement; of a longer sentence the first clauses that fit."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A sentence that states something."""

    text: str
    """Its author's words on one line, without what leads up to it and without its last full stop."""
    lead: str = ""
    """What was cut before it, such as "note to self"."""
    follows: bool = False
    """Whether the sentence directly before it in the message is a statement too."""


_HIDDEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffd]")
_MARKUP = re.compile(
    r"</?[A-Za-z!][^<>]{0,300}>"  # a tag
    r"|\[(?:image|photo|picture|file|attachment)\b[^\]\n]{0,500}\]|https?://\S+"
    r"|(?<!\w)[*_`~]+|[*_`~]+(?!\w)",  # emphasis, but no factor: 60*337
    re.IGNORECASE,
)
_LINK = re.compile(r"\[([^\[\]\n]{1,200})\]\([^()\s]{1,500}\)")
_LISTED = re.compile(r"^[ \t]*(?:[-*+\u2022#]+|\d{1,2}[.)])[ \t]+")
_NOT_SAID = (">", "|", "=", "\t", "    ")  # what others said, tables, rules, code
_FENCES = ("```", "~~~")
_HEADS = re.compile(
    r"</?(?:system|assistant|user|human|developer|instructions?|prompt|context|memory|insights?|tools?"
    r"|function\w*)\b[^<>]{0,200}>|<\|[^|<>]{0,40}\|>|\[/?INST\]|={3,}\s*\w[^=]{0,80}={3,}"
    r"|^\s*on\b.{1,80}\bwrote\s?:|^\W*(?:original|forwarded) message\b"
    r"|^\s*#{1,6}\s*(?:system|assistant|instructions?|prompt|context|memory|insights?)\b",
    re.IGNORECASE,
)
"""What only a prompt has, or another's mail."""
_PASTED = re.compile(
    r"\S\t+\S|\|.*\||\S {2,}\S+ {2,}\S"  # columns
    r"|^\s*[^\s,;]*(?:[,;][^\s,;]*){2,}\s*$"  # comma-separated values
    r"|^\s*[\[(]?\d{4}-\d\d-\d\d[ T]\d\d:\d\d|^\s*[\[(]?\d\d:\d\d:\d\d|(?-i:\b(?:DEBUG|INFO|WARN(?:ING)?|ERROR"
    r"|TRACE)\b[:\]])"  # a log
    r"|^\s*\$?[A-Z.]{1,6}(?:\s+[-+]?\$?\d[\d.,]*%?){2,}\s*$|^\s*[\[{].*[\]}],?\s*$|\{\s*$|[)=\w]\s*=.*;\s*$|\);\s*$"
    r"|(?-i:^\s*(?:def \w+\(|import \w+\s*$|from \w+ import |SELECT .* FROM ))|^\s*(?:from|to|subject|sent|date)\s?:\s",
    re.IGNORECASE,
)
"""Rows of tables, logs, code, headers of mail."""
_END = re.compile(r"(?<=[.!?\u2026])[\"')\]\u201d\u2019]*\s+|(?<=[\u3002\uff01\uff1f])")
_SHORT = frozenset(
    "e.g. i.e. etc. vs. approx. cf. no. mr. mrs. ms. dr. inc. corp. co. ltd. st. u.s. u.k. jan. feb.".split()
)
_BREAK = re.compile(r"\s*[,;:]\s+|\s+[-\u2013\u2014]+\s+|\s*\u2014\s*")

_WORD = r"[^\W\d_][\w'\u2019]*"
_GREETS = (
    r"hey|hiya?|hello|yo|(?:good )?(?:morning|afternoon|evening)|thanks?(?: you)?(?: so much| a lot)?|thx|congrats"
)
_CALLS = (
    r"cheers|okay|ok|right|alright|so|well|anyways?|yeah|yep|yup|yes|no|nope|nah|wow|woah|whoa|ugh|ouch|h+m+|oh|ah|aw+"
    r"|haha\w*|lol|cool|nice|great|awesome|sure|absolutely|definitely|totally|exactly|btw|by the way|fyi|actually"
    r"|honestly|listen|look|quick one|heads up|congratulations|anyhow|now|first|also"
)
_OPENING = re.compile(
    rf"(?:(?:(?i:{_GREETS})(?:,?\s+[A-Z][a-z]+|\s+(?i:there|all|again|man|buddy|guys))?|(?i:{_CALLS})(?:\s+quick one)?)"
    r"(?:\s*[,.!:;\u2026\u2013\u2014-]+\s+|[\s.!]*$)|(?i:and|but|btw|oh|ok|okay|yeah|by the way)\s+)"
)
_TOLD = re.compile(
    r"(?:(?:you should know|(?:just )?so you know|for the record|please (?:note|remember)|note(?! to (?:self|myself))"
    r"|remember|keep in mind|bear in mind|mind you|don't forget|as (?:i|you) (?:said|know)|i (?:already "
    r"|just )?told you|to be clear(?: on \w+)?|let me tell you|i (?:wanted|want|have) to (?:tell|let) you(?: know)?"
    r"|i (?:should|must|have to) (?:say|admit))\b(?: that\b)?(?=[\s,:])[\s,:]*)",
    re.IGNORECASE,
)
_MINE = re.compile(
    r"(?i:\b(?:i|i'm|i'd|my|me|we|our|rules?|limits?|lessons?|plans?|targets?|stops?|exits?|entry|buy|sell"
    r"|forecast)\b)|\d|[A-Z]{2,}"
)
_OWN = re.compile(r"\b(?:i|i'm|i've|i'd|my|we|our)\b|\d", re.IGNORECASE)
_MARKER = re.compile(r"^(?:[\w'-]+ ){0,2}(?:rules?|limits?|lessons?|principles?|policy|plan)\b", re.IGNORECASE)
_YOU = re.compile(r"\byou(?:'\w+|r|rs|rself)?\b", re.IGNORECASE)
_ASIDE = re.compile(r"(?:before|after|while|as|for|from|since|just)\b(?!.*\d)", re.IGNORECASE)
_TAIL = re.compile(
    r"[,;]?\s+(?:(?:please\s+)?(?:mark|note|log|pencil|write|remember)\s+(?:it|that|this)(?:\s+(?:in|down))?"
    r"|please|pls|plz|thanks|thank you|thx|lol|haha|ok|okay|right|you know|mark my words)$",
    re.IGNORECASE,
)

_AGAIN = re.compile(r"(.{6,160}?)(?:[\s,;.!-]*\1){1,}")
"""The same over and over."""

_GOES_ON = re.compile(
    r"\$?\d[\d.,]*(?: (?!percent|per cent|is|was|on|in|for|will|would|by)|$)|[A-Z]{1,5},? \d[\d,]*, \d"
    r"|(?:not|hard|only|from|i (?:leave|sell|exit|go|buy|add|cut|wait))\b(?=.{0,30}$)|(?:below|under|above"
    r"|over|after|past|beyond|at) (?:that|this|it|there)\b",
    re.IGNORECASE,
)
"""What cannot stand without the sentence before it."""
_AUX = (
    r"(?:is|are|was|were|do|does|did|can|could|should|would|will|has|have|had|am|might"
    r"|isn't|aren't|don't|doesn't|didn't)"
)
_ASKS = re.compile(
    r"(?:(?:what|which|who|whose|where|why|how)\b"
    rf"(?!\s+(?:i|we|he|she|they|it|my|matters)\b)(?:'s|'re|'d|(?:\s+[\w-]+){{0,4}}?\s+{_AUX})\b|when\s+{_AUX}\b"
    rf"|(?:what|how)\s+(?:about|if|come|much|many)\b|why not\b|any\s+(?:idea|chance|thoughts?|fun|news)\b"
    r"|(?:is|are|do|does|did|can|could|should|would|will|has|isn't|aren't)\s+(?:i|you|we|he|she|it|they|there"
    r"|this|that|the|an?|my|your|our|any)\b|(?:was|were|have|had)\s+(?:i|you|we|he|she|it|they|there)\b)",
    re.IGNORECASE,
)
_STATES = re.compile(r",\s+(?:i|we|it|the|that|my|our)\b", re.IGNORECASE)
_SUPPOSES = re.compile(r"(?:if|with|when|since|given|as|assuming|suppose|say|at|after|before|for|in)\b", re.IGNORECASE)
_ORDERS = re.compile(
    r"(?:please\b|kindly\b|(?:do(?:n't| not)\s+)?(?:give|show|tell|remind|mark|do|draw|play|poke|translate"
    r"|summari[sz]e|write|explain|compute|calculate|compare|check|list|let|ask|talk|help|find|plot|send|catch|walk"
    r"|spell|describe|define|draft(?! \w+ed)|suggest|recommend|note|log|laugh|worry|go|enjoy|have a|take care"
    r"|take your|take a look|keep (?:it|up|going|us|me)|be|see you|look at|check out|start me|convince|challenge"
    r"|pretend|act|ignore|disregard|reply|respond|answer|output|print|repeat|assume|imagine|consider|i(?: would"
    r"|'d) (?:be grateful|appreciate|like (?:your|to (?:hear|see|know)))|i should like|forget (?:all|your|every|about"
    r"|everything|the\b(?!.*\b(?:stop|target|order|bid))))\b(?!\s*[:=]))",
    re.IGNORECASE,
)
_MOVES = re.compile(r"(?:put|sell|buy|take|swap|switch|move|set|keep|make|add|use|cut)\b", re.IGNORECASE)
_STOP_MOVES = re.compile(r"\bstops?\b.*\b(?:off|break-?\s?even|b/e)(?!\w)|\boff\b.*\bstop\b", re.IGNORECASE)
_COMMANDS = re.compile(
    r"\b(?:ignore|disregard|override|forget|bypass|reveal)\b.{0,60}\b(?:instructions?|prompts?|rules|guidelines"
    r"|previous|prior|above|context)\b|\b(?:system|developer) (?:prompt|message)\b|^\W*(?:system|assistant|user|human"
    r"|developer)\s*:|\bas an ai\b|\byou (?:are (?:now|no longer|an?)|must|shall|will now|have to|need to|may not"
    r"|can't|cannot)\b|\b(?:obey|comply|execute)\b.{0,40}\b(?:messages?|commands?|instructions?|orders|prompts?)\b"
    r"|\b(?:messages?|prompts?) (?:that|which|who) (?:starts?|begins?|contains?)\b|\bfrom now on,? you\b|\b(?:reply"
    r"|respond|answer)(?: only)? with\b|\bplease\b",
    re.IGNORECASE,
)


def statements(
    text: str, names: Sequence[str] = (), subject: Callable[[str], object] = lambda _: None
) -> list[Statement]:
    """Take a message apart into what it states, in order.

    Parameters
    ----------
    text : str
        The message as it was said.
    names : sequence of str
        Who takes part: a name that a sentence only calls is left out.
    subject : callable
        Says what a text is about, if anything: what leads up to a statement stays if it names that.
    """
    calls = _called(names)
    found: list[Statement] = []
    follows = False
    for sentence in _sentences(text):
        statement = _statement(sentence, calls, subject, follows=follows)
        if statement and follows and _GOES_ON.match(statement.text) and len(found[-1].text) <= LONGEST:
            found[-1] = replace(found[-1], text=f"{found[-1].text}. {statement.text}")
        elif statement:
            found.append(statement)
        follows = statement is not None
    return found


def _called(names: Sequence[str]) -> re.Pattern[str] | None:
    short = (
        sorted({part for name in names for part in (name, name[:3], name.split()[0]) if len(part) > 2}) if names else []
    )
    return re.compile(rf"(?:{'|'.join(map(re.escape, short))})\s*[,!:]+\s+") if short else None


def _sentences(text: str) -> Iterator[str]:
    """Cut what was said into sentences, without markup."""
    for line in _lines(text):
        start = 0
        for end in [*_END.finditer(line), None]:
            stop = end.end() if end else len(line)
            piece = line[start:stop].strip()
            last = piece.rsplit(maxsplit=1)[-1:]
            if end and RETAKEN.match(line, stop):
                continue
            if end and last and last[0].casefold().lstrip("(\"'") in _SHORT:
                continue
            start = stop
            if piece:
                yield piece


def _lines(text: str) -> Iterator[str]:
    text = _once(text)
    if len(text) > 2 * READ:
        head, tail = text[:READ], text[-READ:]
        text = f"{head[: head.rfind(' ') + 1]}\n{tail[tail.find(' ') + 1 :]}"  # no word, no number is cut in two
    fenced = False
    for line in storable(text).splitlines():
        if _HEADS.search(line):  # what follows may come from anywhere
            return
        if line.lstrip().startswith(_FENCES):
            fenced = not fenced
        elif not fenced and not line.startswith(_NOT_SAID) and not _PASTED.search(line):
            plain = _MARKUP.sub(" ", _LINK.sub(r"\1", _HIDDEN.sub(" ", _LISTED.sub("", line, count=1))))
            yield one_line(plain)


def _once(text: str) -> str:
    """Return what a text says over and over once."""
    again = _AGAIN.match(text)
    return again[1] if again and again[1].startswith(text[again.end() :].strip(" ,;.!-\n")) else text


def _statement(
    sentence: str, calls: re.Pattern[str] | None, subject: Callable[[str], object], *, follows: bool
) -> Statement | None:
    """Return what a sentence states; None for a question, a request, a greeting."""
    if _COMMANDS.search(sentence):
        return None
    said, lead = _opened(sentence, calls, subject)
    clauses = _BREAK.split(said)
    if said.rstrip("\"')\u201d ").endswith(("?", "\uff1f")) or any(map(_ASKS.match, clauses[1:])):
        said = _before_question(said)
    elif len(clauses) > 1 and _ORDERS.match(clauses[-1]) and not _SUPPOSES.match(said):
        said = said[: -len(clauses[-1])]
    said = _closed(_clauses(said))
    if not said or _COMMANDS.search(said) or _ORDERS.match(said) or (_ASKS.match(said) and not _STATES.search(said)):
        return None
    if _MOVES.match(said) and not (_OWN.search(said) or _STOP_MOVES.search(said)):
        return None  # "put them next to each other" asks, "put the stop at 320" tells
    return Statement(text=said, lead=lead, follows=follows)


def _opened(sentence: str, calls: re.Pattern[str] | None, subject: Callable[[str], object]) -> tuple[str, str]:
    """Cut what a sentence opens with, however much of it; give the rest, and the last lead-in that says something."""
    lead = ""
    for _ in range(8):
        match = _OPENING.match(sentence) or _TOLD.match(sentence) or (calls and calls.match(sentence))
        if match and match.end():
            sentence = sentence[match.end() :]
            continue
        before, colon, rest = sentence.partition(": ")
        if not colon or not rest or len(before.split()) > 8:
            break
        lead = before
        marker = _MARKER.match(before)
        if marker and _YOU.search(before):
            return f"{marker[0]}: {rest}", lead
        aside = _YOU.search(before) or _ASIDE.match(before) or not _MINE.search(before)
        if rest[0].isdigit() or subject(before) or not aside:
            break
        sentence = rest
    return sentence, lead


def _before_question(sentence: str) -> str:
    """Return what a sentence states of its author before it turns into a question: "my stop is 321, too tight?"."""
    borders = list(_BREAK.finditer(sentence))
    head = sentence[: borders[-1].start()] if borders else ""
    if len(head.split()) < 3 or _ASKS.match(head) or _SUPPOSES.match(head) or not _OWN.search(head):
        return ""
    return head


def _clauses(sentence: str) -> str:
    """Return the first clauses of a sentence that is too long, or its first words."""
    if len(sentence) <= LONGEST:
        return sentence
    cut = max((m.start() for m in _BREAK.finditer(sentence, LONGEST // 3, LONGEST)), default=0)
    return sentence[: cut or sentence.rfind(" ", 0, LONGEST)] if cut or " " in sentence[:LONGEST] else ""


def _closed(sentence: str) -> str:
    sentence = sentence.strip(" ,;:-\u2013\u2014").rstrip(".!\u2026 ")
    while tail := _TAIL.search(sentence):
        sentence = sentence[: tail.start()].rstrip(".!\u2026,; ")
    sentence = _once(sentence)
    return sentence.strip('"') if sentence.count('"') % 2 else sentence


_TICKER = re.compile(
    r"(?<![\w$.'/&-])(?P<ticker>[A-Z]{2,5}(?:\.[A-Z])?)(?![\w&/-]|\.\w|'(?!s\b))(?=:|,? (?i:stop|target|tgt|tp"
    r"|sl|at|@|is|position|shares|stock|looks?|trades?|earnings|now|down|up|chart|from|puts?|calls?)\b|,? [$@>]?\s?\d)"
    r"|(?i:bought|sold|buy|sell|buying|selling|long|short|shorted|own|hold|holding|(?:stop|target|sl|tp)(?: on| "
    r"for)?|out of|\d) (?P<after>[A-Z]{2,5}(?:\.[A-Z])?)(?![\w&/-]|\.\w|'(?!s\b))"
)
"""A word in capitals where a symbol would stand."""
_SHOUTED = re.compile(r"\b[A-Z]{2,}\b")
_LOWER = re.compile(r"\b[a-z]{2,}\b")
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
        said = [message.text[: 2 * READ] for message in messages if message.role == "user"]
        lines = [line for text in said for line in _CUT.split(text)]
        traded = [line for line in lines if lexicon.TRADED.search(line)]
        listed = {re.split(r"[.-]", symbol)[0]: symbol for symbol in sorted(sure, reverse=True)}  # SAP is SAP.DE
        self._known = frozenset(sure | {*_guessed(traded)} - {*listed})
        named = {match[0].lower() for line in traded for match in _NAME.finditer(line)}
        self._names = {
            name: symbol for name, symbol in lexicon.ALIASES.items() if symbol in self._known or name in named
        }
        self._names |= {
            symbol.lower(): symbol
            for symbol in self._known
            if len(symbol) > 1 and not _wordy(symbol) and symbol.lower() not in lexicon.JARGON and terms(symbol)
        }
        self._names |= {base.lower(): symbol for base, symbol in listed.items() if base != symbol and not _wordy(base)}
        for message in messages:
            for name, symbol, other, called in _GIVEN.findall(message.text[: 2 * READ]):
                if (symbol or other) in self._known:
                    self._names[(name or called).lower()] = symbol or other
        self._names |= {name.lower(): symbol for name, symbol in (aliases or {}).items()}

    def spans(self, text: str) -> list[tuple[int, int, str]]:
        """Return where a text names symbols, as (start, stop, symbol), in its order."""
        found = []
        for match in _SPELT.finditer(text[: 2 * READ]):
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
    return symbol in lexicon.ACRONYMS or symbol.lower() in lexicon.WORDS


def _guessed(lines: Sequence[str]) -> Iterator[str]:
    """Return the words in capitals that are traded and are neither words nor well-known abbreviations."""
    for line in lines:
        if len(_SHOUTED.findall(line)) > max(len(_LOWER.findall(line)), 3):  # SHOUTED AS A WHOLE
            continue
        found = (match["ticker"] or match["after"] for match in _TICKER.finditer(line))
        yield from (word for word in found if not _wordy(word))

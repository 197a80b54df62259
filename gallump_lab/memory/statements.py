"""From a message to its statements, freed of greetings, asides, questions and requests, and what they call symbols.

A text is data: whatever it holds, these patterns take a time that grows with its length alone, and of a very long one
only the beginning and the end are read.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from gallump_lab.lazy import regex
from gallump_lab.memory.kinds import ASKS
from gallump_lab.memory.price_levels import RETAKEN
from gallump_lab.memory.records import Message
from gallump_lab.memory.text import one_line, sentences, storable
from gallump_lab.reading.names import Symbols

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


_MARKUP = regex(
    r"^[ \t]*(?:[-*+\u2022#]+|\d{1,2}[.)])[ \t]+|</?[A-Za-z!][^<>]{0,300}>|\[image\b[^\]\n]{0,500}\]"
    r"|\[(?=[^\[\]\n]{1,200}\]\()|\]\([^()\s]{1,500}\)|https?://\S+"
    r"|(?<!\w)[*_`~]+|[*_`~]+(?!\w)",  # emphasis, but no factor: 60*337
    re.IGNORECASE,
)
_NOT_SAID = (">", "|", "=", "\t", "    ")  # what others said, tables, rules, code
_FENCES = ("```", "~~~")
_HEADS = regex(
    r"</?(?:system|assistant|user|instructions?|prompt|context|memory|insights?|tools?)\b[^<>]{0,200}>"
    r"|<\|[^|<>]{0,40}\|>|\[/?INST\]|={3,}\s*\w[^=]{0,80}={3,}|^\s*on\b.{1,80}\bwrote\s?:",
    re.IGNORECASE,
)
"""What only a prompt has, or another's mail."""
_PASTED = regex(
    r"\S\t+\S|\|.*\||\S {2,}\S+ {2,}\S|^\s*[^\s,;]*(?:[,;][^\s,;]*){2,}\s*$"  # columns
    r"|^\s*[\[(]?(?:\d{4}-\d\d-\d\d[ T])?\d\d:\d\d|^\s*[\[{].*[\]}],?\s*$|[{;]\s*$"  # logs, code
    r"|^\s*\$?[A-Z.]{1,6}(?:\s+[-+]?\$?\d[\d.,]*%?){2,}\s*$|^\s*(?:from|to|subject|sent|date)\s?:\s",
    re.IGNORECASE,
)
"""Rows of tables, logs, code, headers of mail."""
_BREAK = regex(r"\s*[,;:]\s+|\s+[-\u2013\u2014]+\s+|\s*\u2014\s*")

_WORD = r"[^\W\d_][\w'\u2019]*"
_OPENING = regex(
    r"(?:(?:(?i:hey|hiya?|hello|(?:good )?(?:morning|afternoon|evening)|thanks?(?: you)?(?: so much| a lot)?|thx"
    r"|congrats|cheers|okay|ok|right|so|well|anyways?|yeah|yep|yes|no|nope|nah|wow|ugh|ouch|h+m+|oh|ah|haha\w*|lol|cool|nice"
    r"|great|awesome|sure|definitely|exactly|btw|by the way|fyi|actually|listen|look|heads up|now|also)"
    r"(?:,?\s+[A-Z][a-z]+|\s+(?i:there|all|again|man|buddy|guys|quick one))?"
    r"(?:\s*[,.!:;\u2026\u2013\u2014-]+\s+|[\s.!]*$)|(?i:and|but|btw|oh|ok|okay|yeah|by the way)\s+)"
    r"|(?i:you should know|for the record|note(?! to (?:self|myself))|remember|keep in mind|don't forget|to be clear"
    r"(?: on \w+)?|i (?:wanted|want|have) to (?:tell|let) you(?: know)?)\b(?i: that\b)?(?=[\s,:])[\s,:]*)"
)
"""Greetings, interjections, and what asks to note what follows."""
_MINE = regex(
    r"(?i:\b(?:i|i'm|i'd|my|me|we|our|rules?|limits?|lessons?|plans?|targets?|stops?|exits?|entry|buy|sell"
    r"|forecast)\b)|\d|[A-Z]{2,}"
)
_OWN = regex(r"\b(?:i|i'm|i've|i'd|my|we|our)\b|\d", re.IGNORECASE)
_MARKER = regex(r"^(?:[\w'-]+ ){0,2}(?:rules?|limits?|lessons?|principles?|policy|plan)\b", re.IGNORECASE)
_YOU = regex(r"\byou(?:'\w+|r|rs|rself)?\b", re.IGNORECASE)
_ASIDE = regex(r"(?:before|after|while|as|for|from|since|just)\b(?!.*\d)", re.IGNORECASE)
_TAIL = regex(
    r"[,;]?\s+(?:please|pls|thanks|thank you|thx|lol|haha|ok|okay|right|(?:mark|note|log|remember) (?:it|that|this))$",
    re.IGNORECASE,
)
_GOES_ON = regex(
    r"\$?\d[\d.,]*(?: (?!percent|per cent|is|was|on|in|for|will|would|by)|$)|[A-Z]{1,5},? \d[\d,]*, \d"
    r"|(?:not|hard|only|from|i (?:leave|sell|exit|go|buy|add|cut|wait))\b(?=.{0,30}$)|(?:below|under|above"
    r"|over|after|past|beyond|at) (?:that|this|it|there)\b",
    re.IGNORECASE,
)
"""What cannot stand without the sentence before it."""
_STATES = regex(r",\s+(?:i|we|it|the|that|my|our)\b", re.IGNORECASE)
_SUPPOSES = regex(r"(?:if|with|when|since|given|as|assuming|suppose|say|at|after|before|for|in)\b", re.IGNORECASE)
_ORDERS = regex(
    r"(?:please\b|kindly\b|(?:do(?:n't| not)\s+)?(?:give|show|tell|remind|mark|do|draw|play|poke|translate"
    r"|summari[sz]e|write|explain|compute|calculate|compare|check|list|let|ask|talk|help|find|plot|send|catch|walk"
    r"|spell|describe|define|draft(?! \w+ed)|suggest|recommend|note|log|laugh|worry|go|enjoy|have a|take care"
    r"|take your|take a look|keep (?:it|up|going|us|me)|be|see you|look at|check out|start me|convince|challenge"
    r"|pretend|act|ignore|disregard|reply|respond|answer|output|print|repeat|assume|imagine|consider|i(?: would"
    r"|'d) (?:be grateful|appreciate|like (?:your|to (?:hear|see|know)))|i should like|forget (?:all|your|every|about"
    r"|everything|the\b(?!.*\b(?:stop|target|order|bid))))\b(?!\s*[:=]))",
    re.IGNORECASE,
)
_MOVES = regex(r"(?:put|sell|buy|take|swap|switch|move|set|keep|make|add|use|cut)\b", re.IGNORECASE)
_PLEASE = regex(r"\bplease\b", re.IGNORECASE)
_ADDRESSED = regex(
    r"```|={3}|^#+\s|</?[a-z][^<>]*>|<[!?/|]|<(?:script|style|iframe|img|svg)\b|\]\(|\[/?inst\]|(?:java|vb)script:"
    r"|^\W*(?:system|assistant|user|human|developer)\s*:"
    r"|\byou (?:are (?:now|no longer|an?|to)|must|should(?! know)|shall|will|have to|need to|may (?:not|only)"
    r"|can't|cannot)\b"
    r"|\b(?:assistant|claude|chatbot) (?:must|should|shall|has to|needs to|is to|may only)\b"
    r"|\b(?:previous|prior|above|earlier|system|developer|your) (?:instructions?|prompts?|messages?)\b"
    r"|\b(?:obey|comply|execute)\b.{0,40}\b(?:messages?|commands?|instructions?|prompts?)\b",
    re.IGNORECASE,
)


def addresses_model(text: str) -> bool:
    """Return whether a text speaks to the model that may read it, or has a prompt's markup: it states nothing."""
    return _ADDRESSED.search(text) is not None


def statements(text: str, subject: Callable[[str], object] = lambda _: None) -> list[Statement]:
    """Take a message apart into what it states, in order.

    Parameters
    ----------
    text : str
        The message as it was said.
    subject : callable
        Says what a text is about, if anything: what leads up to a statement stays if it names that.

    Examples
    --------
    >>> [each.text for each in statements("Hey! My AAPL stop is 180, ok? Thanks.")]
    ['My AAPL stop is 180']
    """
    found: list[Statement] = []
    follows = False
    for sentence in _sentences(text):
        statement = _statement(sentence, subject, follows=follows)
        if statement and follows and _GOES_ON.match(statement.text) and len(found[-1].text) <= LONGEST:
            found[-1] = replace(found[-1], text=f"{found[-1].text}. {statement.text}")
        elif statement:
            found.append(statement)
        follows = statement is not None
    return found


def _sentences(text: str) -> Iterator[str]:
    """Cut what was said into sentences, without markup; one that takes back the one before it stays with that."""
    for line in _lines(text):
        begun = 0
        stops = [stop for _, stop in sentences(line)]
        for stop, following in zip(stops, [*stops[1:], None], strict=False):
            if following is None or not RETAKEN.match(line[stop:].lstrip()):
                yield line[begun:stop].strip()
                begun = stop


def _lines(text: str) -> Iterator[str]:
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
            yield one_line(_MARKUP.sub(" ", line))


def _statement(sentence: str, subject: Callable[[str], object], *, follows: bool) -> Statement | None:
    """Return what a sentence states; None for a question, a request, a greeting."""
    if addresses_model(sentence) or _PLEASE.search(sentence):
        return None
    said, lead = _opened(sentence, subject)
    clauses = _BREAK.split(said)
    if said.rstrip("\"')\u201d ").endswith(("?", "\uff1f")) or any(map(ASKS.match, clauses[1:])):
        said = _before_question(said)
    elif len(clauses) > 1 and _ORDERS.match(clauses[-1]) and not _SUPPOSES.match(said):
        said = said[: -len(clauses[-1])]
    said = _closed(_clauses(said))
    if not said or _ORDERS.match(said) or (ASKS.match(said) and not _STATES.search(said)):
        return None
    if _MOVES.match(said) and not _OWN.search(said):
        return None  # "put them next to each other" asks, "put the stop at 320" tells
    return Statement(text=said, lead=lead, follows=follows)


def _opened(sentence: str, subject: Callable[[str], object]) -> tuple[str, str]:
    """Cut what a sentence opens with, however much of it; give the rest, and the last lead-in that says something."""
    lead = ""
    for _ in range(8):
        if (match := _OPENING.match(sentence)) and match.end():
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
    if len(head.split()) < 3 or ASKS.match(head) or _SUPPOSES.match(head) or not _OWN.search(head):
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
    return sentence.strip('"') if sentence.count('"') % 2 else sentence


JOKED = regex(
    r"\b(?:kidding|jk|j/k|joking|joke|sarcas\w+|just messing|pigs? fl(?:y|ies)|hell freezes|yeah,? right|in "
    r"your dreams|april fools?)\b|(?<!\w)/s(?!\w)|[\U0001f602\U0001f923\U0001f61c]",
    re.IGNORECASE,
)
FOREIGN = regex(
    r"\b(?:if (?:\S+|only) (?:had|were)|had (?:i|we) \w+|wish\w*|imagin\w+|suppos(?:e|ing)|hypothe\w+|what if"
    r"|pretend\w*|be rich|(?:buddy|friends?|wife|husband|brother|dad|mom|boss|brokers?|gurus?|analysts?|he|she|they"
    r"|someone|somebody|everyone|street|cnbc|reddit|cramer)\b.{0,30}\b(?:says?|said|thinks?|told|hates?|loves?|likes?"
    r"|wants?|expects?|has|had|keeps?))\b",
    re.IGNORECASE,
)
"""Another's view, or of a world that is not: a statement about a symbol is not the analyst's."""


def spoken(messages: Sequence[Message], known: Collection[str]) -> Symbols:
    """Return what a session calls its symbols: what it names once as one counts in lower case too.

    Parameters
    ----------
    messages : sequence of Message
        The session's.
    known : collection of str
        Symbols that count as such.
    """
    own = {message.symbol for message in messages if message.symbol}
    first = Symbols(known, own)
    said = (message.text[: 2 * READ] for message in messages if message.role == "user")
    return Symbols({*known, *chain.from_iterable(map(first.all, said))}, own)

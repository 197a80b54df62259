"""What the widgets share: their front end's files, where messages go, and the lab's records as they are shown.

Records keep the lab's own names; text is made visible, and Markdown becomes sanitised HTML.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache, lru_cache, partial
from html import escape
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget

from gallump_lab.brain.answer import Recommendation, ending
from gallump_lab.brain.citations import Citation, placed
from gallump_lab.brain.recommendations import prose
from gallump_lab.lazy import regex
from gallump_lab.market.market_context import MarketContext
from gallump_lab.reading.shown import visible
from gallump_lab.ui.answering import ways
from gallump_lab.ui.beyond import extend
from gallump_lab.ui.strip import priced

if TYPE_CHECKING:
    import pandas as pd
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline

_FRONT = Path(__file__).with_name("front")
_TAGS = frozenset(
    "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre s strong sup table tbody td th thead tr ul".split()
)
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "td": {"style"}, "th": {"style"}}
_SCHEMES = frozenset({"http", "https", "mailto"})
_END = regex(r"(?<=\S)(?!\S)")
_SIGN, _NUMBER = regex(r"\{\ue000(\d+)\ue001\}"), regex(r"<sup>\[\d+\]</sup>")
_NEAR = 9
"""A note's number stands at its place or behind one of so many words, less one."""


def joined(*names: str) -> str:
    """Join the front end's files into the one module, or style sheet, that the browser loads."""
    return "\n".join((_FRONT / name).read_text(encoding="utf-8") for name in names)


@cache
def drawing() -> str:
    """Return the JavaScript module that draws a Vega-Lite chart, whole, so that a page fetches nothing."""
    import vl_convert

    return str(vl_convert.javascript_bundle("export default vegaEmbed;"))


class Widget(anywidget.AnyWidget):
    """A widget whose state is the lab's: everything travels as custom messages, so none of it is saved in a notebook.

    A view's message is served by the method that its type names, `_on_ask` for "ask", with the view and the message's
    fields as arguments.

    Attributes
    ----------
    error : Exception or None
        What failed last; None since something went well: `raise widget.error` shows where.
    """

    _at_once: frozenset[str] = frozenset()
    """Messages that are served as they come, because they take no time and their order counts."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._views: set[str] = set()
        super().__init__()
        # ipykernel 7.4 sends a view's messages to the shell that published last on the comm, so they would wait behind
        # a running cell. They belong where JupyterLab addresses them: on the widgets' own subshell.
        self.comm._reply_subshell_for = None  # noqa: SLF001
        self.on_msg(self._receive)

    def _static(self) -> str:
        """Return the HTML that is saved for readers without the front end; by default it tells no word of the lab's."""
        return f"<p>{escape(repr(self))} opens where its cell is run.</p>"

    def _run(self, action: Callable[[], None]) -> None:
        """Do something on another thread, for the kernel waits."""
        threading.Thread(target=action, name="gallump-widget", daemon=True).start()

    def _receive(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        """Take a view's message; until it is answered, a view says again that it is ready."""
        if content["type"] == "ready":
            if content["view"] in self._views:
                return
            self._views.add(content["view"])
        serve = partial(self._serve, **content)
        serve() if content["type"] in self._at_once else self._run(serve)

    def _serve(self, type: str, view: str, **content: Any) -> None:  # noqa: A002 (as views call it)
        """Do what a view asks for, and tell it if that fails."""
        try:
            getattr(self, f"_on_{type}")(view, **content)
        except Exception as error:  # noqa: BLE001 - a thread's error has no other way to the reader
            self.error = error
            if type == "ready":
                self._views.discard(view)
            what = {"of": type, "place": content.get("place"), "words": words(error)}
            self.send({"type": "trouble", "view": view, **what})

    def _repr_mimebundle_(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        found: tuple[dict[str, Any], dict[str, Any]] | None = super()._repr_mimebundle_(**given)
        if found:
            found[0]["text/html"] = self._static()
        return found


def words(error: Exception) -> str:
    """Return a failure in words: an error made for the reader speaks for itself, any other is named."""
    made_for_reader = isinstance(error, ValueError) or type(error).__module__.startswith("gallump_lab.")
    return visible(str(error) if made_for_reader and str(error) else f"{type(error).__name__}: {error}")


def plain(value: Any) -> Any:
    """Return a value of the lab's as JSON values that can be shown: text made visible, times in ISO 8601."""
    match value:
        case str():
            return visible(value)
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(name): plain(each) for name, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
    return value


def records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return a frame's rows; what is missing is None."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def speaker(name: str | None, role: str) -> str:
    """Return who said a message."""
    return visible(name) if name else "You" if role == "user" else "Analyst"


def parts(text: str, found: Sequence[tuple[int, int]]) -> list[tuple[str, bool]]:
    """Cut a text into what was found and what stands around it; where nothing stands around it, it is one part."""
    cuts = [0, *(each for span in found for each in span), len(text)]
    all_parts = [
        (visible(text[start:end]), bool(i % 2)) for i, (start, end) in enumerate(pairwise(cuts)) if start < end
    ]
    around = any(part.strip() for part, is_found in all_parts if not is_found)
    return all_parts if around else [(visible(text), False)]


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # An image would fetch from the net as soon as it is shown; its link stays.
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    extend(made)
    made.inline.ruler.push("note", _note)
    made.add_render_rule("note", lambda _self, tokens, i, _options, _env: f"<sup>[{tokens[i].content}]</sup>")
    return made


def _note(state: "StateInline", silent: bool) -> bool:  # noqa: FBT001 (as the parser calls it)
    """Read a note's sign, outside links and where there are notes at all."""
    found = _SIGN.match(state.src, state.pos, state.posMax) if "notes" in state.env and not state.linkLevel else None
    if found is None:
        return False
    if not silent:
        state.push("note", "sup", 0).content = found[1]
    state.pos = found.end()
    return True


def _html(text: str, **env: bool) -> str:
    import nh3

    return nh3.clean(
        _parser().render(visible(text), env),
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        url_schemes=set(_SCHEMES),
        url_relative="deny",
        filter_style_properties={"text-align"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer",
    )


@lru_cache(maxsize=512)
def render(text: str, notes: Sequence[Citation] = ()) -> str:
    """Render Markdown as sanitised HTML: allowed tags only, absolute http, https and mailto links, nothing fetched.

    The number of a note stands where the HTML is the same but for it: at its place or behind a word that soon follows,
    or nowhere, as its place may be in code, in a link or within what Markdown is made of.
    """
    html = plain = _html(text)
    for place, number in placed(text, notes):
        ends = (found.start() for found in _END.finditer(text, place + 1))
        for end in islice(chain([place], ends), _NEAR):
            tried = f"{text[:end]}{{\ue000{number}\ue001}}{text[end:]}"
            if _NUMBER.sub("", found := _html(tried, notes=True)) == plain:
                text, html = tried, found
                break
    return html


class Growing:
    """A reply that is still being written: its finished blocks are rendered once, the open one again and again."""

    def __init__(self) -> None:
        self.settled = ""
        """HTML of the finished blocks."""
        self.open = ""
        """HTML of the block that further text may still change."""
        self._text = ""

    def add(self, text: str) -> str:
        """Take more text; return the HTML that `settled` has gained."""
        self._text += visible(text)
        gained = ""
        if "\n" in text:
            lines = self._text.split("\n")
            # Only whole lines say where a block begins: "1" may yet become "1. an item" of the list before it.
            tokens = _parser().parse("\n".join(lines[:-1]))
            start = max((token.map[0] for token in tokens if token.level == 0 and token.map), default=0)
            gained = _html("\n".join(lines[:start]))
            self.settled += gained
            self._text = "\n".join(lines[start:])
        self.open = _html(self._text)
        return gained


def entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of `lab.transcript`, a reply's text as HTML too, with what each recommendation risks."""
    turn, text, notes = row["turn"], row["text"], tuple[Citation, ...]()
    if turn:
        ideas = [Recommendation(**each) for each in turn["recommendations"]]
        # Cards show the recommendations, so not also the words that they are remembered by.
        text = text.removesuffix(prose(ideas)).rstrip()
        market = turn["market"] or MarketContext()
        cards = [
            idea.to_dict()
            | {"risk": risk(idea), "decision": turn["decisions"].get(i)}
            | {"made_at": priced(market.quotes.get(idea.symbol), market.at)}
            for i, idea in enumerate(ideas)
        ]
        notes = tuple(turn["citations"])
        cited = [asdict(each) | {"words": str(each)} for each in notes]
        turn = {**turn, "recommendations": cards, "ways": ways(turn), "citations": cited, "market": None}
    reply = row["role"] == "assistant"
    state = turn["state"] if turn and not reply else row["state"]
    note = ending(state, turn and turn["stop_reason"], came=reply)
    found: dict[str, Any] = plain({**row, "turn": turn, "text": text, "state": state, "note": note})
    return found | ({"html": render(text, notes)} if reply else {})


def risk(idea: Recommendation) -> dict[str, float] | None:
    """Work out what an idea risks and may gain; None unless its entry stands between its stop and its target.

    Returns
    -------
    dict or None
        risk and reward: USD a share; risk_share and reward_share: of the entry price; multiple: reward / risk, in R.
    """
    entry, stop, target = idea.entry, idea.stop, idea.target
    if entry is None or stop is None or target is None or (target - entry) * (entry - stop) <= 0:
        return None
    lost, gained = abs(entry - stop), abs(target - entry)
    shares = {"risk_share": lost / entry, "reward_share": gained / entry}
    return {"risk": lost, "reward": gained, "multiple": gained / lost, **shares}


def insight_entry(insight: Mapping[str, Any], known: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a row of `lab.insights.frame`, with what holds of it; `known` are all of its rows by their ids."""
    against = [known[each] for each in insight["disputed_by"] or () if each in known]
    marks = {
        "pinned": insight["pinned"],
        "disputed": any(each["superseded_by"] is None and not each["retired"] for each in against),
        "superseded": insight["superseded_by"] is not None,
        "retired": insight["retired"],
    }
    names = ("text", "symbol", "kind", "speaker", "valid_from", "valid_until", "distiller", "grade")
    found: dict[str, Any] = plain({name: insight[name] for name in names})
    return found | {"marks": [name for name, holds in marks.items() if holds], "sources": len(set(insight["sources"]))}


def cell(value: Any) -> str:
    """Return what stands in a frame's cell, in a few signs."""
    if value is None:
        return "\u2013"
    return f"{value:,.2f}" if isinstance(value, float) else visible(str(value))


def page(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return entries as HTML that needs no front end: user text escaped, replies sanitised."""
    if not entries:
        return "<p>No session is going on.</p>"
    said = []
    for each in entries:
        who = "Analyst" if "html" in each else "You"
        head = " \u00b7 ".join(filter(None, (who, each["symbol"], each["created_at"][:16])))
        body = each.get("html") or f'<p style="white-space: pre-wrap">{escape(each["text"])}</p>'
        fault = each["turn"] and each["turn"]["fault"]
        note = f"<p><em>{escape(fault)}</em></p>" if fault else ""
        cited = [escape(note["words"]) for note in each["turn"]["citations"]] if each["turn"] else []
        notes = f"<p>{'<br>'.join(cited)}</p>" if cited else ""
        said.append(f"<article><h4>{escape(head)}</h4>{body}{notes}{note}</article>")
    return "\n".join(said)


def file_name(title: str) -> str:
    """Name a session's Markdown file by its title: ASCII letters, digits and hyphens, whatever the title holds."""
    return f"{'-'.join(re.findall('[a-z0-9]+', title.lower()))[:60].rstrip('-') or 'session'}.md"

"""The lab's records as the front end shows them: JSON values, text made visible, Markdown as sanitised HTML."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gallump_lab.brain.answer import Recommendation
from gallump_lab.brain.recommendations import prose
from gallump_lab.memory.text import terms

if TYPE_CHECKING:
    import pandas as pd
    from markdown_it import MarkdownIt

    from gallump_lab.memory.labels import Label
    from gallump_lab.study.labelling import Candidate


_TAGS = frozenset(
    "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split()
)
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "td": {"style"}, "th": {"style"}}
_SCHEMES = frozenset({"http", "https", "mailto"})

_EVENTS = {
    "supported": "Said again",
    "disputed": "Contradicted by",
    "superseded": "Something newer took its place",
    "retired": "Retired",
    "restored": "Restored",
    "pinned": "Pinned",
    "unpinned": "Pin taken back",
}
_WORD = re.compile(r"[^\W_]+(?:[.,'\u2019-][^\W_]+)*")
_CONTROLS = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"}
_HIDDEN = (0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_VISIBLE = _CONTROLS | dict.fromkeys(_HIDDEN, 0xFFFD)


def visible(text: str) -> str:
    """Show what would act unseen: terminal escapes and text direction overrides become visible signs."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_VISIBLE)


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # An image would fetch from the net as soon as it is shown; its link stays.
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")


def _html(text: str) -> str:
    import nh3

    return nh3.clean(
        _parser().render(visible(text)),
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        url_schemes=set(_SCHEMES),
        url_relative="deny",
        filter_style_properties={"text-align"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer",
    )


@lru_cache(maxsize=512)
def render(text: str) -> str:
    """Render Markdown as sanitised HTML: allowed tags only, absolute http, https and mailto links, nothing fetched."""
    return _html(text)


class Growing:
    """A reply that is still being written: its finished blocks are rendered once, the open one again and again."""

    def __init__(self) -> None:
        self.settled = ""
        """HTML of the finished blocks."""
        self.open = ""
        """HTML of the block that further text may still change."""
        self._text = ""

    def add(self, text: str) -> str:
        """Take more text; give the HTML that `settled` has gained."""
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


def words(error: Exception) -> str:
    """Return a failure in words: an error made for the reader speaks for itself, any other is named."""
    made_for_reader = isinstance(error, ValueError) or type(error).__module__.startswith("gallump_lab.")
    return visible(str(error) if made_for_reader and str(error) else f"{type(error).__name__}: {error}")


def entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of `lab.transcript`."""
    turn, reply, text = row["turn"], row["role"] == "assistant", row["text"]
    if turn:  # cards show the recommendations, so not also the words that they are remembered by
        text = text.removesuffix(prose(Recommendation(**each) for each in turn["recommendations"])).rstrip()
    shown = {"text": visible(text)} | ({"html": render(text)} if reply else {})
    return {
        "id": row["message_id"],
        "role": row["role"],
        "session": row["session_id"],
        "at": row["created_at"].isoformat(),
        "symbol": row["symbol"],
        "state": turn["state"] if turn and not reply else row["state"],
        "turn": turn and _facts(turn),
        **shown,
    }


def _facts(turn: Mapping[str, Any]) -> dict[str, Any]:
    used, budget = turn["used"], turn["budget"]
    return {
        "id": turn["turn_id"],
        "question": turn["question_id"],
        "model": visible(turn["model"]),
        "tokens_in": turn["input_tokens"],
        "tokens_out": turn["output_tokens"],
        "cost": turn["cost_usd"],
        "seconds": turn["latency"],
        "tiers": [[tier.upper(), used[tier], budget[tier]] for tier in ("hot", "warm", "cold")],
        "fault": turn["fault"] and visible(turn["fault"]),
        "dropped": [visible(reason) for reason in turn["dropped"]],
        "ideas": [
            {**each, "size": visible(each["size"]), "horizon": visible(each["horizon"])}
            | {"rationale": visible(each["rationale"]), "risk": risk(Recommendation(**each))}
            | {"decision": _decision(turn["decisions"].get(position))}
            for position, each in enumerate(turn["recommendations"])
        ],
    }


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


def _decision(decision: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    note, at = visible(decision["note"]), decision["decided_at"].isoformat()
    return {"verdict": decision["verdict"], "note": note, "at": at}


def sessions(found: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the rows of `lab.history`."""
    return [
        {
            "id": row["session_id"],
            "title": visible(row["title"] or "Untitled"),
            "symbol": row["symbol"],
            "at": row["last_at"].isoformat(),
            "messages": row["messages"],
            "continues": row["continues"],
            "cost": row["cost_usd"],
        }
        for row in records(found)
    ]


def page(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return entries as HTML that needs no front end: user text escaped, replies sanitised."""
    if not entries:
        return "<p>No session is going on.</p>"
    said = []
    for each in entries:
        head = " \u00b7 ".join(filter(None, ("Analyst" if "html" in each else "You", each["symbol"], each["at"][:16])))
        body = each.get("html") or f'<p style="white-space: pre-wrap">{escape(each["text"])}</p>'
        fault = each["turn"] and each["turn"]["fault"]
        note = f"<p><em>{escape(fault)}</em></p>" if fault else ""
        said.append(f"<article><h4>{escape(head)}</h4>{body}{note}</article>")
    return "\n".join(said)


def file_name(title: str) -> str:
    """Name a session's Markdown file by its title: ASCII letters, digits and hyphens, whatever the title holds."""
    return f"{'-'.join(re.findall('[a-z0-9]+', title.lower()))[:60].rstrip('-') or 'session'}.md"


def records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return a frame's rows; what is missing is None."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def message_row(each: "Candidate", label: "Label | None", labeller: str) -> dict[str, Any]:
    """Return a message that may answer a question, with its grade, and who gave that where it was another."""
    message = each.message
    return {
        "parts": _parts(message.text, each.found),
        "who": _speaker(message.speaker, message.role),
        "symbol": message.symbol,
        "at": message.created_at.isoformat(),
        "grade": label and label.grade,
        "grader": visible(label.labeller) if label and label.labeller != labeller else None,
    }


def insight_row(insight: Mapping[str, Any], known: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a row of `lab.insights.frame`; `known` are all of its rows by their ids."""
    against = [known[each] for each in insight["disputed_by"] or () if each in known]
    marks = {
        "pinned": insight["pinned"],
        "disputed": any(each["superseded_by"] is None and not each["retired"] for each in against),
        "superseded": insight["superseded_by"] is not None,
        "retired": insight["retired"],
    }
    return {
        "text": visible(insight["text"]),
        "marks": [name for name, holds in marks.items() if holds],
        "symbol": insight["symbol"],
        "kind": insight["kind"],
        "speaker": insight["speaker"] and visible(insight["speaker"]),
        "since": insight["valid_from"].isoformat(),
        "until": insight["valid_until"] and insight["valid_until"].isoformat(),
        "by": visible(insight["distiller"]),
        "sources": len(set(insight["sources"])),
        "grade": insight["grade"],
    }


def insight_sources(text: str, sources: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the messages that an insight rests on, cut into the words that they share with its text and the rest."""
    about = set(terms(text))
    return [
        {
            "who": _speaker(each["speaker"], each["role"]),
            "at": each["created_at"].isoformat(),
            "parts": _parts(
                each["text"],
                [word.span() for word in _WORD.finditer(each["text"]) if about.intersection(terms(word[0]))],
            ),
        }
        for each in records(sources)
    ]


def insight_past(insight: int, known: Mapping[int, Mapping[str, Any]], history: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return what became of an insight, the wordings that it took the place of first: when, what, and whose words."""
    before, last = list[int](), [insight]
    while last := [
        each for each, row in known.items() if row["superseded_by"] in last and each not in {insight, *before}
    ]:
        before += last
    added = "Learnt" if not before else "Took its place" if len(before) == 1 else "Took their place"
    past: list[tuple[Mapping[str, Any], str, int | None]] = [
        (known[each], f"Learnt, by {known[each]['distiller']}", each) for each in sorted(before)
    ]
    past.append((known[insight], f"{added}, by {known[insight]['distiller']}", None))
    for event in records(history):
        if what := _EVENTS.get(event["event"]):
            told = f"{what}: {event['note']}" if event["note"] else what
            past.append((event, told, event["superseded_by"] or event["other_id"]))
    return [
        {
            "at": row["known_from"].isoformat(),
            "what": visible(what),
            "quoted": visible(known[other]["text"]) if other is not None and other in known else None,
        }
        for row, what, other in past
    ]


def beside(insights: "pd.DataFrame", known: Mapping[int, Mapping[str, Any]]) -> dict[int, dict[str, str]]:
    """Return what a frame, such as a scorecard's, says beside each insight of the lab, in the frame's order.

    Raises
    ------
    ValueError
        If it has no column insight_id, or holds one twice.
    """
    frame = insights.reset_index() if "insight_id" in insights.index.names else insights
    if "insight_id" not in frame:
        msg = f"insights must be a frame with a column insight_id, not with {', '.join(map(str, frame)) or 'none'}."
        raise ValueError(msg)
    frame = frame[frame["insight_id"].isin(list(known))]
    if len(twice := frame.loc[frame["insight_id"].duplicated(), "insight_id"]):
        once = "drop_duplicates('insight_id')"
        msg = f"insights must hold an insight once, but holds {int(twice.iloc[0])} twice; {once}."
        raise ValueError(msg)
    shown = set(next(iter(known.values()), ()))
    return {
        int(row["insight_id"]): {visible(name): _cell(value) for name, value in row.items() if name not in shown}
        for row in records(frame)
    }


def _cell(value: Any) -> str:
    """Return what stands in a frame's cell, in a few signs."""
    match value:
        case None:
            return "\u2013"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}"
        case datetime():
            return value.strftime("%Y-%m-%d")
    return visible(str(value))


def _speaker(speaker: str | None, role: str) -> str:
    return visible(speaker) if speaker else "You" if role == "user" else "Analyst"


def _parts(text: str, found: Sequence[tuple[int, int]]) -> list[tuple[str, bool]]:
    """Cut a text into what was found and what stands around it; where nothing stands around it, it is one part."""
    cuts = [0, *(each for span in found for each in span), len(text)]
    parts = [(visible(text[start:end]), bool(i % 2)) for i, (start, end) in enumerate(pairwise(cuts)) if start < end]
    around = any(part.strip() for part, is_found in parts if not is_found)
    return parts if around else [(visible(text), False)]

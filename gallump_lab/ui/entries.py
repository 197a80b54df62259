"""The lab's records as the chat's front end shows them: JSON values, text made visible, Markdown sanitised."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from gallump_lab.brain.answer import Recommendation
from gallump_lab.brain.recommendations import prose
from gallump_lab.ui.markdown import render, visible

if TYPE_CHECKING:
    import pandas as pd


def words(error: Exception) -> str:
    """Say a failure: an error made for the reader speaks for itself, any other is named."""
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
    rows = found.astype(object).where(found.notna(), None).to_dict("records")
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
        for row in rows
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

"""Who answers in a chat: what its header offers, and how else a question that was not answered can be asked."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gallump_lab.brain import models
from gallump_lab.config import AUTO, Model
from gallump_lab.tokens import OFFLINE


def who(model: Model, listed: Sequence[str] = ()) -> dict[str, Any] | None:
    """Return who answers and who else could, of those that are known and those that the server has `listed`.

    Returns
    -------
    dict or None
        `name` and `effort`, as they are configured; `models`: by name, in words; `efforts`: what the model takes, with
        "default", and `asked`: which of them is asked of it; `fixed`: whether the environment says who answers. None
        where it is the offline analyst.
    """
    if model.answering == OFFLINE:
        return None
    fixed = os.environ.get("ANTHROPIC_MODEL", "").strip()
    names = [fixed] if fixed else dict.fromkeys([AUTO, *listed, *models.listed()["models"], model.name])
    known = models.facts(model.answering)
    efforts = ["default", *known.efforts] if known and known.efforts else []
    return {
        "name": fixed or model.name,
        "models": {name: _words(replace(model, name=name)) for name in names},
        "effort": model.effort,
        "efforts": efforts,
        "asked": known.effort(model.effort) if known and model.effort != "default" else "default",
        "fixed": bool(fixed),
    }


def _words(model: Model) -> str:
    """Say who a model is and what it costs."""
    name, price = model.answering, models.price(model.answering, model.prices)
    words = f"{name} (auto)" if model.name == AUTO else name
    return f"{words} · ${price.input:.2f} / ${price.output:.2f}".replace(".00", "") if price else words


def ways(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how else to ask what a model only thought about until its tokens were spent: in words, and as settings."""
    known = models.facts(turn["model"])
    eaten = turn["state"] == "failed" and turn["stop_reason"] == "max_tokens" and turn["thinking"] is not None
    if not eaten or known is None or not known.thinks:
        return []
    room, lower = turn["max_tokens"] - turn["budget"]["reply"], known.lower(turn["effort"])
    more, how = 2 * room or Model.thinking, {"effort": turn["effort"] or "default", "thinking": room}
    title = f"Up to {more:,} tokens to think with"
    found = [{"words": "Retry with more room", "title": title, "how": how | {"thinking": more}}]
    if lower:
        how |= {"effort": lower}
        found.insert(0, {"words": "Retry with less effort", "title": f"With {lower} effort", "how": how})
    return found

"""A request's body: strict JSON, each field checked before a lab hears of it. Nothing of it is repeated in a log."""

import json
import re
from dataclasses import dataclass
from typing import Any

from gallump_lab.memory.messages import MAX_CHARACTERS
from gallump_lab.reading.symbols import SymbolError, validate_symbols
from gallump_lab.route.trouble import Trouble

MOST_SYMBOLS = 100
_FIELDS = ("prompt", "watchlist", "session_id")
_SESSION_ID = re.compile(r"[!-~]{1,100}")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question as a client sent it, checked."""

    prompt: str
    watchlist: tuple[str, ...]
    session_id: str | None


def read(body: bytes) -> Asked:
    """Read a body.

    Raises
    ------
    Trouble
        400, naming the field, if it is not what `openapi.json` describes.
    """
    given = _object(body)
    if unknown := [name for name in given if name not in _FIELDS]:
        msg = f"The body has an unknown field {unknown[0][:60]!r}. It takes {', '.join(_FIELDS)}."
        raise _bad(msg, unknown[0][:60])
    return Asked(
        prompt=_prompt(given.get("prompt")),
        watchlist=_watchlist(given.get("watchlist", [])),
        session_id=_session_id(given.get("session_id")),
    )


def _bad(words: str, field: str | None = None) -> Trouble:
    return Trouble(400, "bad_request", words, field=field)


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError as error:
        msg = "The body is nested too deeply. It is an object of three fields."
        raise _bad(msg) from error
    except ValueError as error:  # neither UTF-8 nor JSON, or a number that is no number
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        msg = f"The body is not JSON in UTF-8{where}. Send an object with a prompt."
        raise _bad(msg) from error
    if not isinstance(given, dict):
        msg = f"The body must be a JSON object with a prompt, not {_kind(given)}."
        raise _bad(msg)
    return given


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            msg = f"The body gives {name[:60]!r} twice. Give each field once."
            raise _bad(msg, name[:60])
        found[name] = value
    return found


def _no_constant(name: str) -> None:
    msg = f"The body holds {name}, which is not JSON."
    raise _bad(msg)


def _prompt(given: object) -> str:
    if not isinstance(given, str) or not given.strip():
        msg = f"prompt must be the question, in words, not {'blank' if isinstance(given, str) else _kind(given)}."
        raise _bad(msg, "prompt")
    if len(given) > MAX_CHARACTERS:
        msg = f"prompt has {len(given):,} characters; a question takes at most {MAX_CHARACTERS:,}. Shorten it."
        raise _bad(msg, "prompt")
    return given


def _watchlist(given: object) -> tuple[str, ...]:
    if not isinstance(given, list):
        msg = f'watchlist must be a list of symbols, such as ["AAPL", "MSFT"], not {_kind(given)}.'
        raise _bad(msg, "watchlist")
    if len(given) > MOST_SYMBOLS:
        msg = f"watchlist has {len(given):,} symbols; a question takes at most {MOST_SYMBOLS}."
        raise _bad(msg, "watchlist")
    try:
        return validate_symbols(given)
    except SymbolError as error:
        msg = f"watchlist: {error}"
        raise _bad(msg, "watchlist") from error


def _session_id(given: object) -> str | None:
    if given is not None and not (isinstance(given, str) and _SESSION_ID.fullmatch(given)):
        what = "another text" if isinstance(given, str) else _kind(given)
        msg = f"session_id must be the text that an answer gave, or null, not {what}."
        raise _bad(msg, "session_id")
    return given


def _kind(given: object) -> str:
    """Return what a JSON value is, without repeating it."""
    if given is None or isinstance(given, bool):
        return json.dumps(given)
    kinds: dict[type, str] = {str: "a text", list: "a list", dict: "an object"}
    return kinds.get(type(given), "a number")

"""A request's body, checked before a lab hears of it, and the OpenAPI description that is made from the checks.

Nothing of a body is repeated in a log.
"""

import json
from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.json_schema import models_json_schema

from gallump_lab.brain.recommendations import RECOMMEND
from gallump_lab.memory.messages import MAX_CHARACTERS
from gallump_lab.reading.symbols import validate_symbols
from gallump_lab.server.failures import CODES, Failure

GENERATE = "/gallump/api/strategies/generate"
STREAM = f"{GENERATE}/stream"
DESCRIPTION = "/gallump/api/openapi.json"

_SYMBOL = {"type": "string", "maxLength": 15, "pattern": r"^\^?[A-Za-z0-9]+([.\-=/:][A-Za-z0-9]+)*$"}
"""What a symbol looks like that a client sends; other spellings that a broker uses are taken too."""


_SCHEMAS = "#/components/schemas/"
_ABOUT = """\
Asks one lab, which the server chooses, about trading ideas. Store an answer's `session_id` and send it with the next
question; after 30 minutes without one a new session begins, with another `session_id` and a `notice`. Nothing is ever
sent to a broker. A client that hangs up ends the reply; it is kept as far as it came. Who may ask is Jupyter Server's
to say: send `token ` and the server's token as Authorization, or from a page that it served the cookies and the `_xsrf`
cookie's value as `X-XSRFToken`."""
_STREAM = """\
Ask, and get the reply as it comes in, as server-sent events whose data are JSON: any number of `text`, each
`{"text": ...}` with a piece of the reply; then once `reply`, with what `generate` answers, or `error`, with what it
answers instead. A comment shows that the server lives while there is nothing to say."""


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


class QuestionBody(_Model):
    """A question, as a client sends it."""

    prompt: Annotated[str, Field(max_length=MAX_CHARACTERS, pattern=r"[^\s\x1c-\x1f\x85]", examples=["Is AAPL cheap?"])]
    """the question, in words, of at most 200,000 characters"""
    watchlist: Annotated[
        list[Annotated[Any, WithJsonSchema(_SYMBOL)]],
        Field(max_length=100, examples=[["AAPL", "MSFT"]]),
        AfterValidator(validate_symbols),
    ] = []
    """a list of at most 100 symbols, the question's own first"""
    session_id: Annotated[str, Field(max_length=100, pattern="^[!-~]+$")] | None = None
    """what the last answer gave, or null to begin a session"""


class ContextStats(_Model):
    """What the prompt held."""

    messages_in_session: int
    relevant_history_loaded: int
    insights_included: int


class AnswerBody(_Model):
    """The guide's response; `state` and `notice` are there where there is something to say."""

    session_id: str
    """Store it, and send it with the next question."""
    response: str
    """Markdown, written by a model: data, not HTML. As far as it came, perhaps nothing, where `state` says so."""
    recommendations: list[Annotated[Any, WithJsonSchema(RECOMMEND.item)]]
    requires_confirmation: Literal[True]
    """A person confirms; nothing is sent to a broker."""
    context_stats: ContextStats
    notice: str = ""
    """A new session began, something in the question was masked, or the reply is not whole: in words."""
    state: Literal["complete", "stopped", "cut", "refused"] = "complete"


class Problem(_Model):
    """What happened instead of an answer."""

    message: str
    """What happened and what to do, for a person."""
    code: Annotated[str, Field(json_schema_extra={"enum": list(CODES)})]
    field: str | None
    """The field that cannot be used."""
    retry_after: int | None
    """Seconds, as in Retry-After."""
    session_id: str | None
    """The session, where the question was stored: go on in it."""


class Error(_Model):
    """A problem, with what Jupyter's own clients look for beside it: its message again, and the status in words."""

    error: Problem
    message: str
    reason: str


def read(body: bytes) -> QuestionBody:
    """Read a request's body.

    Raises
    ------
    Failure
        400, naming the field, if it is not what the description says.
    """
    try:
        return QuestionBody.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    known, given = QuestionBody.model_fields, first["input"]
    name = str(first["loc"][0]) if first["loc"] else None
    if first["type"] == "json_invalid":
        msg = f"The body is not JSON in UTF-8: {first['ctx']['error']}. Send an object with a prompt."
    elif name is None:
        msg = f"The body must be a JSON object with a prompt, not {_kind(given)}."
    elif name not in known:
        msg = f"The body has an unknown field {name[:60]!r}. It takes {', '.join(known)}."
    elif first["type"] == "value_error":
        msg = f"{name}: {first['ctx']['error']}"
    else:
        msg = f"{name} must be {known[name].description}, not {_kind(None if first['type'] == 'missing' else given)}."
    raise Failure(code="bad_request", words=msg, field=name and name[:60])


def _kind(given: object) -> str:
    """Return what a JSON value is, without repeating it."""
    if given is None or isinstance(given, bool):
        return json.dumps(given)
    if isinstance(given, str):
        return f"a text of {len(given):,} characters" if given.strip() else "a blank text"
    kinds: dict[type, str] = {list: "a list", dict: "an object"}
    return kinds.get(type(given), "a number")


def description(base_url: str = "/") -> dict[str, Any]:
    """Return the route's OpenAPI description, for a server that stands at a base URL.

    Examples
    --------
    >>> description("/desk/")["servers"]
    [{'url': '/desk/'}]
    """
    event = {
        "type": "object",
        "properties": {
            "event": {"enum": ["text", "reply", "error"]},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
        "required": ["event", "data"],
    }
    always = {code.status for code in CODES.values()} - {405}
    before_it_streams = {400, 403, 404, 413, 415, 500, 503}
    paths = {
        GENERATE: ("post", "generate", "Ask, and wait for the whole reply.", _content("AnswerBody"), always),
        STREAM: ("post", "stream", _STREAM, {"text/event-stream": {"schema": event}}, before_it_streams),
        DESCRIPTION: ("get", "description", "This description.", {"application/json": {}}, {403, 404}),
    }
    body = {"requestBody": {"required": True, "content": _content("QuestionBody")}}
    _, schemas = models_json_schema(
        [(model, "validation") for model in (QuestionBody, AnswerBody, Error)], ref_template=f"{_SCHEMAS}{{model}}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gallump_lab",
            "version": version("gallump-lab"),
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": _ABOUT,
        },
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "paths": {
            path: {
                method: {
                    "operationId": name,
                    "description": words,
                    **(body if method == "post" else {}),
                    "responses": {"200": {"description": "OK", "content": content}} | _failed(failures),
                }
            }
            for path, (method, name, words, content, failures) in paths.items()
        },
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "Authorization"}},
            "schemas": schemas["$defs"],
        },
    }


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"{_SCHEMAS}{schema}"}}}


def _failed(statuses: set[int]) -> dict[str, Any]:
    """Return what is answered with each status, in the words of its codes."""
    return {
        str(status): {
            "description": " ".join(f"`{name}`: {each.words}" for name, each in CODES.items() if each.status == status),
            "content": _content("Error"),
        }
        for status in sorted(statuses)
    }

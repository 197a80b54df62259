"""What the route takes and answers: bodies, error codes, and the OpenAPI description that is made of both."""

from importlib.metadata import version
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.json_schema import models_json_schema

from gallump_lab.brain import answer as faults
from gallump_lab.brain.prices import PriceUnknown, SpendingLimit
from gallump_lab.brain.prompt import PromptTooLong
from gallump_lab.brain.recommendations import RECOMMEND
from gallump_lab.memory.messages import MAX_CHARACTERS
from gallump_lab.reading.symbols import validate_symbols
from gallump_lab.store import LabBusy, NoServer, StoreError

GENERATE = "/gallump/api/strategies/generate"
STREAM = f"{GENERATE}/stream"
DESCRIPTION = "/gallump/api/openapi.json"

SOON = 5.0
"""Seconds after which a lab or a server that was busy is worth another try."""


class Code(NamedTuple):
    """What an error code stands for."""

    status: int
    words: str
    """What happened and what to do, for a person."""
    raised: type[Exception] | None = None
    """What a lab raises."""
    retry_after: float | None = None
    """Seconds, where nothing better is known."""


CODES: dict[str, Code] = {
    "bad_request": Code(400, "The request cannot be read.", ValidationError),
    "forbidden": Code(
        403, "Send the server's token (Authorization: token ...), or a page's cookies and its X-XSRFToken."
    ),
    "not_found": Code(404, "There is nothing here, or this server does not answer pages of another origin."),
    "method_not_allowed": Code(405, "This address does not take that method; Allow says which it takes."),
    "body_too_large": Code(413, "The body has more bytes than GallumpLab.most_bytes. Send a shorter question."),
    "prompt_too_long": Code(413, "The question alone fills the window. Shorten it.", PromptTooLong),
    "unsupported_media_type": Code(415, "Send the question as Content-Type: application/json, in UTF-8."),
    "rate_limited": Code(429, "The model's server takes no more for now.", faults.RateLimited),
    "spending_limit": Code(429, "The day's costs have reached the lab's limit; nothing was asked.", SpendingLimit),
    "internal_error": Code(500, "Something went wrong in the server. Its log says where.", Exception),
    "lab_unusable": Code(500, "The lab cannot be used. The server's log says why.", StoreError),
    "connection_lost": Code(502, "The model's server cannot be reached.", faults.ConnectionLost),
    "broken_reply": Code(502, "The model's server sent no reply of a model's.", faults.BrokenReply),
    "empty_reply": Code(502, "The model gave an empty reply.", faults.EmptyReply),
    "model_refused": Code(502, "The model's server refused the request.", faults.BadRequest),
    "busy": Code(503, "GallumpLab.answers questions are being answered; nothing was stored.", retry_after=SOON),
    "lab_busy": Code(503, "Another program holds the lab. Ask again in a moment.", LabBusy, SOON),
    "lab_unreachable": Code(503, "The lab's own server cannot be reached. Ask again.", NoServer, SOON),
    "model_in_trouble": Code(503, "The model's server failed.", faults.ServerTrouble),
    "no_access_to_model": Code(503, "The model's server refused this lab's key.", faults.NoAccess),
    "price_unknown": Code(503, "A spending limit cannot be kept: the model's price is not known.", PriceUnknown),
    "model_timed_out": Code(504, "The model's server said nothing for too long.", faults.TimedOut),
}

_SYMBOL = {"type": "string", "maxLength": 15, "pattern": r"^\^?[A-Za-z0-9]+([.\-=/:][A-Za-z0-9]+)*$"}
"""What a symbol looks like that a client sends; other spellings that a broker uses are taken too."""


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


class UsageBody(_Model):
    """Tokens of one answer."""

    input_tokens: int
    """Of the prompt, neither read from the prompt cache nor written to it."""
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    thinking_tokens: int
    """Of the output tokens those that the model thought with."""


class AnswerBody(_Model):
    """The guide's response, and beside it how it came about; `notice` is there where there is something to say."""

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
    model: str
    """Who answered."""
    usage: UsageBody | None = None
    """The tokens as the model's server counted them, where it did."""


class Problem(_Model):
    """What happened instead of an answer."""

    message: str
    """What happened and what to do, for a person."""
    code: Annotated[
        str,
        Field(
            description=" ".join(f"{name} ({each.status}): {each.words}" for name, each in CODES.items()),
            json_schema_extra={"enum": list(CODES)},
        ),
    ]
    field: str | None = None
    """The field that cannot be used."""
    retry_after: int | None = None
    """Seconds, as in Retry-After."""
    session_id: str | None = None
    """The session, where the question was stored: go on in it."""


class Error(_Model):
    """A problem, with what Jupyter's own clients look for beside it: its message again, and the status in words."""

    error: Problem
    message: str
    reason: str


_SCHEMAS = "#/components/schemas/"
_ABOUT = """\
Asks one lab, which the server chooses, about trading ideas; nothing is ever sent to a broker. Send the `session_id` of
an answer with the next question. A client that hangs up ends the reply; it is kept as far as it came. Who may ask is
Jupyter Server's to say: send `token ` and the server's token as Authorization, or a page's cookies and X-XSRFToken."""
_STREAM = """\
Ask, and get the reply as server-sent events whose data are JSON: any number of `text`, each `{"text": ...}` with a
piece of the reply; then `reply`, with what `generate` answers, or `error`. A comment shows that the server lives."""


def description(base_url: str = "/") -> dict[str, Any]:
    """Return the route's OpenAPI description, for a server that stands at a base URL.

    Examples
    --------
    >>> description("/desk/")["servers"]
    [{'url': '/desk/'}]
    """
    _, schemas = models_json_schema(
        [(model, "validation") for model in (QuestionBody, AnswerBody, Error)], ref_template=f"{_SCHEMAS}{{model}}"
    )
    question = {"requestBody": {"required": True, "content": _json("QuestionBody")}}
    event = {"event": {"enum": ["text", "reply", "error"]}, "data": {"contentMediaType": "application/json"}}
    events = {"text/event-stream": {"schema": {"type": "object", "properties": event, "required": ["event", "data"]}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "gallump_lab", "version": version("gallump-lab"), "description": _ABOUT},
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "paths": {
            GENERATE: {"post": _operation("Ask, and wait for the whole reply.", _json("AnswerBody")) | question},
            STREAM: {"post": _operation(_STREAM, events) | question},
            DESCRIPTION: {"get": _operation("This description.", {"application/json": {}})},
        },
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "Authorization"}},
            "schemas": schemas["$defs"],
        },
    }


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"{_SCHEMAS}{schema}"}}}


def _operation(words: str, content: dict[str, Any]) -> dict[str, Any]:
    failed = {"description": "An error; its code says which.", "content": _json("Error")}
    return {"description": words, "responses": {"200": {"description": "OK", "content": content}, "default": failed}}

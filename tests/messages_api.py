"""The rules of the Messages API as it is documented, for `messages_server`; nothing of it is the package's.

Where a page gives no wording, a refusal's is as users report it. A token is this server's own: four characters, begun.
"""

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from messages_models import Facts, forced, known, thinking

LIVES = {"5m": 300, "1h": 3600}
"""Seconds that an entry of the cache lives from the start of a request (build-with-claude/prompt-caching)."""
# name, "!" where it must be there, ":" what it holds, "=" the values that it takes; api/messages/create
_COUNTED = (
    "model! messages!:message cache_control:cache output_config:output speed system:block thinking:thinking "
    "tool_choice:choice tools:tool"
)
_KINDS = {
    "counted": _COUNTED,
    "request": f"{_COUNTED} max_tokens! container diagnostics:diagnostics inference_geo metadata:metadata service_tier "
    "stop_sequences stream temperature top_k top_p",
    "message": "role!=user|assistant content!:block",
    "cache": "type!=ephemeral ttl=5m|1h",
    "diagnostics": "previous_message_id",
    "metadata": "user_id",
    "output": "effort=low|medium|high|xhigh|max format:format",
    "format": "type!=json_schema schema!",
    "citations": "enabled",
    "thinking adaptive": "type! display=summarized|omitted",
    "thinking between_tools": "type!",
    "thinking disabled": "type!",
    "thinking enabled": "type! budget_tokens! display=summarized|omitted",
    "choice auto": "type! disable_parallel_tool_use",
    "choice any": "type! disable_parallel_tool_use",
    "choice none": "type!",
    "choice tool": "type! name! disable_parallel_tool_use",
    "tool custom": "name! input_schema! type description strict cache_control:cache input_examples defer_loading "
    "eager_input_streaming allowed_callers",
    "block text": "type! text! citations cache_control:cache",
    "block search_result": "type! source! title! content!:block citations:citations cache_control:cache",
    "block document": "type! source! title context citations:citations cache_control:cache",
    "block image": "type! source! cache_control:cache",
    "block thinking": "type! thinking! signature!",
    "block redacted_thinking": "type! data!",
    "block tool_use": "type! id! name! input! caller cache_control:cache",
    "block tool_result": "type! tool_use_id! content:block is_error cache_control:cache",
}
_FIELD = re.compile(r"(\w+)(!?)(?::(\w+))?(?:=(\S+))?")
_FIELDS = {kind: {name: parts for name, *parts in _FIELD.findall(fields)} for kind, fields in _KINDS.items()}
FIELDS = frozenset(_FIELDS["request"])
_UNIONS = {kind.split()[0] for kind in _KINDS if " " in kind}
_BOUNDS = set(
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength maxItems uniqueItems "
    "minProperties maxProperties".split()
)  # build-with-claude/structured-outputs
_ADAPT = ' Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
_BETWEEN = (
    'To turn thinking off on this model, send "thinking": {"type": "between_tools"} instead of {"type": "disabled"}. '
    "The model does not think before responding. The short updates it writes between tool calls come back as thinking "
    "blocks."
)


def count(text: str) -> int:
    return -(-len(text) // 4)


@dataclass(frozen=True)
class Block:
    """A part of the prompt, in the order tools, system, messages."""

    path: str
    role: str
    value: dict

    @property
    def written(self) -> str:
        """What decides whether the cache knows it: everything but its breakpoint, byte for byte."""
        return json.dumps([self.role, {name: each for name, each in self.value.items() if name != "cache_control"}])

    @property
    def tokens(self) -> int:
        return count(self.value["text"] if self.value.get("type") == "text" else self.written)

    @property
    def cacheable(self) -> bool:
        kind = self.value.get("type")
        return "thinking" not in str(kind) and (kind != "text" or bool(self.value["text"].strip()))


def blocks(body: dict) -> list[Block]:
    found = [Block(f"tools.{i}.custom", "tools", each) for i, each in enumerate(body.get("tools") or ())]
    parts = [("system", "system", body.get("system") or [])]
    parts += [
        (f"messages.{i}.content", each["role"], each.get("content", "")) for i, each in enumerate(body["messages"])
    ]
    for path, role, content in parts:
        given = [{"type": "text", "text": content}] if isinstance(content, str) else content
        found += [Block(f"{path}.{i}.{each.get('type')}", role, each) for i, each in enumerate(given)]
    return found


def breakpoints(body: dict, found: list[Block]) -> dict[int, str]:
    """Return how long the prompt up to each breakpoint is kept, by the block's number; the automatic one included."""
    marks = {i: each.value["cache_control"].get("ttl", "5m") for i, each in enumerate(found) if _marked(each)}
    if body.get("cache_control"):
        last = next((i for i in reversed(range(len(found))) if found[i].cacheable), None)
        if last is not None:
            marks.setdefault(last, body["cache_control"].get("ttl", "5m"))
    return dict(sorted(marks.items()))


def prompt_tokens(body: dict) -> int:
    """Return the tokens of the whole prompt, the tools' hidden ones included."""
    facts = known(body["model"])
    hidden = facts.tools_prompt if facts and body.get("tools") else 0
    return hidden + sum(each.tokens for each in blocks(body))


def _marked(block: Block) -> bool:
    return bool(block.value.get("cache_control"))


def cites(body: dict) -> list[dict]:
    """Return the search results that are to be cited."""
    found = [each.value for each in blocks(body) if each.value.get("type") == "search_result"]
    return [each for each in found if (each.get("citations") or {}).get("enabled")]


def refused(body: dict, *, counting: bool = False) -> str | None:
    """Return what the API says of a request that it refuses with 400: the first thing that is wrong with it."""
    facts = known(str(body.get("model", "")))
    if not facts:
        return None if body.get("messages") else "messages: Field required"
    kind = "counted" if counting else "request"
    return next(
        chain(_misshapen(body, kind), _unfit(body, counting=counting), _unsupported(body, facts), _complex(body)), None
    )


def _misshapen(value: object, kind: str, path: str = "") -> Iterator[str]:
    """Fields that are unknown, missing or of another value, down to the last block."""
    if isinstance(value, list):
        for i, each in enumerate(value):
            yield from _misshapen(each, kind, f"{path}.{i}")
    elif isinstance(value, dict):
        if kind in _UNIONS:
            tag, union = value.get("type", "custom"), path
            kind, path = f"{kind} {tag}", f"{path}.{tag}"
            if kind not in _FIELDS:
                yield f"{union}: Input tag '{tag}' found using 'type' does not match any of the expected tags"
        at = {name: f"{path}.{name}".lstrip(".") for name in (*_FIELDS[kind], *value)}
        missing = (name for name, (must, _, _) in _FIELDS[kind].items() if must and name not in value)
        yield from (f"{at[name]}: Field required" for name in missing)
        yield from (f"{at[name]}: Extra inputs are not permitted" for name in value if name not in _FIELDS[kind])
        for name, (_, holds, values) in _FIELDS[kind].items():
            if holds:
                yield from _misshapen(value.get(name), holds, at[name])
            elif values and value.get(name, values) not in (values, *values.split("|"), None):
                yield f"{at[name]}: Input should be {' or '.join(map(repr, values.split('|')))}"
    elif value is not None and not (kind == "block" and isinstance(value, str)):
        yield f"{path}: Input should be a valid dictionary"


def _unfit(body: dict, *, counting: bool) -> Iterator[str]:
    """What no model takes."""
    most, top, config = body.get("max_tokens"), body.get("cache_control"), body.get("output_config") or {}
    if not body["messages"]:
        yield "messages: at least one message is required"
    found = blocks(body)
    empty = [each for each in found if each.value.get("type") == "text" and not each.value["text"].strip()]
    cached = [each.path for each in empty if _marked(each)]
    results = [each for each in found if each.value.get("type") == "search_result"]
    marks = breakpoints(body, found)
    lives = list(marks.values())
    late = found[max(i for i, life in marks.items() if life == "1h")].path if "1h" in lives else ""
    for wrong, words in (
        (
            not counting and not (isinstance(most, int) and most > 0),
            "max_tokens: Input should be greater than or equal to 1",
        ),
        (cached, f"{''.join(cached[:1])}: cache_control cannot be set for empty text blocks"),
        (empty, "messages: text content blocks must be non-empty"),
        (len(marks) > 4, f"A maximum of 4 blocks with cache_control may be provided. Found {len(marks)}."),
        (
            lives != sorted(lives),  # "1h" < "5m"
            f"{late}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' one",
        ),
        (top and lives and lives[-1] != top.get("ttl", "5m"), "cache_control: the last block has another ttl"),
        (
            0 < len(cites(body)) < len(results),
            "messages: citations must be enabled for all search_result blocks or for none",
        ),
        (cites(body) and config.get("format"), "citations are not supported with output_config.format"),
        (forced(body) and not body.get("tools"), "tool_choice may only be specified while providing tools"),
    ):
        if wrong:
            yield words


def _unsupported(body: dict, facts: Facts) -> Iterator[str]:
    """What this model does not take."""
    asked, level = thinking(body, facts), (body.get("output_config") or {}).get("effort")
    kind, budget = asked["type"], asked.get("budget_tokens", 1_024)
    levels, samples = ", ".join(sorted(facts.efforts)), {"temperature": 1, "top_p": 0.99}
    free = [name for name in ("temperature", "top_p", "top_k") if body.get(name) not in (None, samples.get(name))]
    no_thinking = f'"thinking.type.{kind}" is not supported for this model.'
    for wrong, words in (
        (
            forced(body) and not facts.forced_tools,
            'tool_choice: type "tool" and "any" are not supported for this model.',
        ),
        (free and not facts.samples, f"`{(free or [''])[0]}` is deprecated for this model."),
        (
            body["messages"][-1]["role"] == "assistant" and not facts.prefill,
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ),
        (
            kind not in facts.thinking,
            {
                "adaptive": "adaptive thinking is not supported on this model",
                "between_tools": no_thinking,
                "disabled": _BETWEEN if "between_tools" in facts.thinking else no_thinking + _ADAPT,
                "enabled": no_thinking + _ADAPT,
            }[kind],
        ),
        (budget < 1_024, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"),
        (
            kind == "enabled" and budget >= body.get("max_tokens", budget + 1),
            "`max_tokens` must be greater than `thinking.budget_tokens`.",
        ),
        (
            forced(body) and body.get("thinking") and kind in {"adaptive", "enabled"},
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        (level and not facts.efforts, "This model does not support the effort parameter."),
        (
            level and level not in facts.efforts,
            f"This model does not support effort level '{level}'. Supported levels: {levels}.",
        ),
        (
            kind == "between_tools" and level in {"xhigh", "max"},
            f"output_config.effort '{level}' is not supported when thinking is disabled on this model.",
        ),
    ):
        if wrong:
            yield words


def _complex(body: dict) -> Iterator[str]:
    """What a schema must not hold: build-with-claude/structured-outputs, the same for strict tools."""
    form = (body.get("output_config") or {}).get("format")
    schemas = [("output_config.format.schema", form["schema"])] if form else []
    strict = enumerate(body.get("tools") or ())
    schemas += [(f"tools.{i}.custom", each["input_schema"]) for i, each in strict if each.get("strict")]
    optional = unions = 0
    for path, schema in schemas:
        for node in _nodes(schema):
            kind, bounds = node.get("type"), sorted(_BOUNDS & node.keys())
            if bounds:
                names = f"property '{bounds[0]}' is" if len(bounds) == 1 else f"properties {', '.join(bounds)} are"
                yield f"{path}: For '{kind}' type, {names} not supported"
            if node.get("minItems", 0) > 1:
                yield f"{path}: For 'array' type, 'minItems' values other than 0 or 1 are not supported"
            if "object" in (kind or ()) and node.get("additionalProperties") is not False:
                yield f"{path}: For 'object' type, 'additionalProperties' must be explicitly set to false"
            optional += len(node.get("properties", {}).keys() - set(node.get("required", ())))
            unions += isinstance(kind, list) or "anyOf" in node
    if optional > 24:
        yield (
            f"Schemas contains too many optional parameters ({optional}), which would make grammar compilation "
            "inefficient. Reduce the number of optional parameters in your tool schemas (limit: 24)."
        )
    if unions > 16:
        yield (
            f"Schemas contains too many parameters with union types ({unions} parameters with type arrays or anyOf). "
            "This causes exponential compilation cost. Reduce the number of nullable or union-typed parameters "
            "(limit: 16 parameters with unions)."
        )


def _nodes(schema: dict) -> Iterator[dict]:
    waiting = deque([schema])
    while waiting:
        node = waiting.popleft()
        yield node
        for holder in ("properties", "$defs", "definitions"):
            waiting += node.get(holder, {}).values()
        waiting += chain(node.get("anyOf", ()), node.get("allOf", ()), [node["items"]] if "items" in node else ())


def fitting(schema: dict, root: dict | None = None) -> object:
    """Return the least JSON value that fits a schema."""
    root = root or schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return fitting({**root.get("definitions", {}), **root.get("$defs", {})}[name], root)
    for wider in ("anyOf", "allOf"):
        if wider in schema:
            return fitting(schema[wider][0], root)
    if "const" in schema or "enum" in schema:
        return schema.get("const", *schema.get("enum", [None])[:1])
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: fitting(schema["properties"][name], root) for name in schema.get("required", ())}
    if kind == "array":
        return [fitting(schema["items"], root)] * schema.get("minItems", 0)
    return {"string": "", "integer": 0, "number": 0, "boolean": False, "null": None}[kind]

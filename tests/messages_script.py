"""Replies of `messages_server`: events of a stream, by block or as a whole reply."""

import json

import messages_api as api

DROP = object()
"""A step at which the connection is cut."""
RECOMMENDATION = {
    "action": "buy",
    "symbol": "AAPL",
    "size": "5% of the portfolio",
    "entry": 430.0,
    "stop": 400.0,
    "target": 500.0,
    "horizon": "3 months",
    "confidence": 0.6,
    "rationale": "Scripted.",
}


def start(*, model=None, **usage):
    """Begin a message, by the model that was asked for unless another is named."""
    usage = {"input_tokens": 100, "output_tokens": 1, **usage}
    message = {"id": None, "type": "message", "role": "assistant", "model": model, "content": []}
    return {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}}


def block(index, opening, *deltas):
    """One content block: its start, its deltas with whatever stands between them, its end."""
    yield {"type": "content_block_start", "index": index, "content_block": opening}
    for delta in deltas:
        paced = not isinstance(delta, dict)
        yield delta if paced else {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def text_delta(piece):
    return {"type": "text_delta", "text": piece}


def text(*pieces, index=0):
    deltas = [text_delta(piece) if isinstance(piece, str) else piece for piece in pieces]
    return block(index, {"type": "text", "text": ""}, *deltas)


def thinking(*pieces, index=0):
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    opening = {"type": "thinking", "thinking": "", "signature": ""}
    return block(index, opening, *deltas, {"type": "signature_delta", "signature": "c2ln"})


def cited(quoted, *, index, result, number=0, at=0):
    """One block of text that cites a block of a search result, which is the `number`th of the request."""
    place = {"search_result_index": number, "start_block_index": at, "end_block_index": at + 1}
    source = {"source": result["source"], "title": result["title"], "cited_text": result["content"][at]["text"]}
    citation = {"type": "search_result_location", **source, **place}
    return block(
        index, {"type": "text", "text": ""}, text_delta(quoted), {"type": "citations_delta", "citation": citation}
    )


def tool(given, *, index=1, name="recommend"):
    """One call of a tool; its input arrives in pieces, as JSON or as the text that is given for it."""
    source = given if isinstance(given, str) else json.dumps(given)
    pieces = (source[i : i + 1000] for i in range(0, len(source), 1000))
    opening = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
    return block(index, opening, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


def end(stop_reason="end_turn", *, stop_details=None, thinking_tokens=None, **usage):
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    if stop_details:
        delta["stop_details"] = stop_details
    if thinking_tokens is not None:
        usage["output_tokens_details"] = {"thinking_tokens": thinking_tokens}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 20, **usage}}
    yield {"type": "message_stop"}


def say(*pieces, stop_reason="end_turn", usage=None):
    """Give a whole reply of text alone."""
    return [start(**(usage or {})), *text(*pieces), *end(stop_reason)]


def think(*pieces, tokens=800, shown="", usage=None):
    """Give a whole reply that is thought over first; without text, thinking has eaten max_tokens."""
    ping, reason = {"type": "ping"}, "end_turn" if pieces else "max_tokens"
    written = api.count("".join(each for each in pieces if isinstance(each, str)))
    said = text(*pieces, index=1) if pieces else ()
    ended = end(reason, output_tokens=tokens + written, thinking_tokens=tokens)
    return [start(**(usage or {})), ping, *thinking(shown), ping, *said, *ended]


def refuse(category="general_harms", *pieces):
    """Give a reply that a classifier ended: build-with-claude/refusals-and-fallback."""
    details = {"type": "refusal", "category": category, "explanation": "Scripted."}
    return [start(), *(text(*pieces) if pieces else ()), *end("refusal", stop_details=details)]


def whole(steps):
    """Give the message that a stream's events make, as it is where none is streamed."""
    message = {}
    for step in steps:
        match step:
            case {"type": "message_start", "message": begun}:
                message = {**begun, "content": [], "usage": {**begun["usage"]}}
            case {"type": "content_block_start", "content_block": opening}:
                message["content"].append({**opening})
            case {"type": "content_block_delta", "delta": {"type": "citations_delta", "citation": citation}}:
                part = message["content"][-1]
                part["citations"] = [*part.get("citations", ()), citation]
            case {"type": "content_block_delta", "delta": delta}:
                part = message["content"][-1]
                part |= {name: part.get(name, "") + each for name, each in delta.items() if name != "type"}
            case {"type": "content_block_stop"} if "partial_json" in message["content"][-1]:
                message["content"][-1]["input"] = json.loads(message["content"][-1].pop("partial_json"))
            case {"type": "message_delta", "delta": delta, "usage": usage}:
                message |= {**delta, "usage": message["usage"] | usage}
    return message

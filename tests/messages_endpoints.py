"""What `messages_server` serves beside /v1/messages: models, counted tokens and batches, as documented.

Pages: platform.claude.com/docs/en/api/models/list, .../build-with-claude/token-counting and .../batch-processing.
"""

import itertools
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import messages_api as api
import messages_models as models

DAY = 86_400
OUTCOMES = ("processing", "succeeded", "errored", "canceled", "expired")


class Refused(Exception):
    """The status, type and message of an error."""


@dataclass
class Batch:
    """A batch and what became of its requests."""

    number: int
    requests: list[dict]
    created: float
    polls: int
    """How many more times it is said to be in progress."""
    canceled: float | None = None
    ended: float | None = None
    results: list[dict] = field(default_factory=list)

    @property
    def status(self) -> str:
        if self.ended is not None:
            return "ended"
        return "in_progress" if self.canceled is None else "canceling"

    def shown(self, url: str) -> dict:
        counts = Counter(each["result"]["type"] for each in self.results) or {"processing": len(self.requests)}
        name = f"msgbatch_{self.number}"
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": self.status,
            "request_counts": {each: counts.get(each, 0) for each in OUTCOMES},
            "created_at": _when(self.created),
            "expires_at": _when(self.created + DAY),
            "ended_at": _when(self.ended),
            "cancel_initiated_at": _when(self.canceled),
            "archived_at": None,
            "results_url": f"{url}/v1/messages/batches/{name}/results" if self.status == "ended" else None,
        }


class Endpoints:
    """Answers for a server, which a test may tell how its batches go."""

    polls = 1
    """How many times a batch is said to be in progress before it has ended."""

    def __init__(self, owner) -> None:
        self._owner = owner
        self._batches: dict[str, Batch] = {}
        self._numbers = itertools.count(1)
        self.outcomes: dict[str, str | dict] = {}
        """By custom_id: "expired", "canceled", or the error with which a request ends; else it is answered."""
        batch = "/v1/messages/batches/([^/]+)"
        self._routes = {
            "POST /v1/messages/count_tokens": self._count,
            "GET /v1/models": lambda query: _page([_model(name) for name in owner.models], query),
            "GET /v1/models/([^/]+)": lambda _, name: _model(_found(name, {each: each for each in owner.models})),
            "POST /v1/messages/batches": self._create,
            "GET /v1/messages/batches": self._list,
            f"GET {batch}": self._retrieve,
            f"POST {batch}/cancel": self._cancel,
            f"GET {batch}/results": self._results,
        }

    def answer(self, method: str, path: str, body: dict) -> tuple:
        """Return status and body, and headers where they are special."""
        asked = urlsplit(path)
        given = body if method == "POST" else dict(parse_qsl(asked.query))
        try:
            if "/batches" in path and not any(map(models.known, self._owner.models)):  # a local server has none
                _found(path, {})
            for route, handler in self._routes.items():
                names = re.fullmatch(route, f"{method} {asked.path}")
                if names:
                    told = handler(given, *names.groups())
                    return (
                        (200, told, {"content-type": "application/x-jsonl"}) if isinstance(told, bytes) else (200, told)
                    )
            _found(asked.path, {})
        except Refused as why:
            status, kind, message = why.args
            return status, {"type": "error", "error": {"type": kind, "message": message}}

    def _count(self, body: dict) -> dict:
        wrong = api.refused(body, counting=True) if self._owner.strict else None
        if wrong:
            raise Refused(400, "invalid_request_error", wrong)
        return {"input_tokens": api.prompt_tokens(body)}

    def _create(self, body: dict) -> dict:
        names = [str(each.get("custom_id", "")) for each in body.get("requests") or ()]
        wrong = next((name for name in names if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)), None)
        if not names or wrong is not None or len(set(names)) < len(names):
            raise Refused(
                400, "invalid_request_error", "requests: each needs a custom_id of its own, 1 to 64 characters"
            )
        batch = Batch(next(self._numbers), body["requests"], self._owner.clock(), self.polls)
        self._batches[f"msgbatch_{batch.number}"] = batch
        return batch.shown(self._owner.url)

    def _list(self, query: dict) -> dict:
        return _page([each.shown(self._owner.url) for each in reversed(self._batches.values())], query)

    def _retrieve(self, _: dict, name: str) -> dict:
        batch = _found(name, self._batches)
        self._progress(batch)
        return batch.shown(self._owner.url)

    def _cancel(self, _: dict, name: str) -> dict:
        batch = _found(name, self._batches)
        if batch.status == "in_progress":
            batch.canceled = self._owner.clock()
        return batch.shown(self._owner.url)

    def _results(self, _: dict, name: str) -> bytes:
        """Return a line for each request; their order is not theirs."""
        batch = _found(name, {name: each for name, each in self._batches.items() if each.status == "ended"})
        return "".join(f"{json.dumps(each)}\n" for each in reversed(batch.results)).encode()

    def _progress(self, batch: Batch) -> None:
        """Come nearer to the end. A batch that is canceled has half of its requests answered by then."""
        now = self._owner.clock()
        batch.polls -= 1
        if batch.status == "ended" or (batch.polls >= 0 and now < batch.created + DAY):
            return
        for i, each in enumerate(batch.requests):
            late = "expired" if now >= batch.created + DAY else None
            late = "canceled" if batch.status == "canceling" and i >= len(batch.requests) // 2 else late
            outcome = self.outcomes.get(each["custom_id"], late)
            result = {"type": outcome} if isinstance(outcome, str) else self._result(each["params"], outcome)
            batch.results.append({"custom_id": each["custom_id"], "result": result})
        batch.ended = now

    def _result(self, params: dict, error: dict | None) -> dict:
        status, reply = (400, {"type": "error", "error": error}) if error else self._owner.ask(params)
        if status >= 400:
            return {"type": "errored", "error": reply}
        return {"type": "succeeded", "message": {**reply, "usage": {**reply["usage"], "service_tier": "batch"}}}


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def _found(name: str, among: dict):
    if name not in among:
        raise Refused(404, "not_found_error", f"{name}: not found")
    return among[name]


def _page(items: list[dict], query: dict) -> dict:
    """Return what follows `after_id`, at most `limit` of it."""
    names = [each["id"] for each in items]
    begin = names.index(query["after_id"]) + 1 if "after_id" in query else 0
    end = begin + int(query.get("limit", 20))
    first, last = (names[begin:end] or [None])[0], (names[begin:end] or [None])[-1]
    return {"data": items[begin:end], "has_more": end < len(items), "first_id": first, "last_id": last}


def _model(name: str) -> dict:
    """Return what is told of a model; of a local one little more than its name."""
    shown = {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
    facts = models.known(name)
    if not facts:
        return shown
    efforts = {each: {"supported": each in facts.efforts} for each in models.THINKING}
    kinds = ("adaptive", "between_tools", "disabled", "enabled")
    types = {each: {"supported": each in facts.thinking} for each in kinds}
    capabilities = {
        "batch": {"supported": True},
        "citations": {"supported": True},
        "effort": {"supported": bool(facts.efforts), **efforts},
        "structured_outputs": {"supported": True},
        "thinking": {"supported": True, "types": types},
    }
    return {**shown, "lifecycle": "active", "capabilities": capabilities}

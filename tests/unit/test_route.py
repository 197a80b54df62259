"""The HTTP route: a Jupyter Server of its own, a lab, and a scripted model."""

import json
import logging
import socket
import subprocess
import sys
import threading
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import schemathesis
from messages_server import RECOMMENDATION, MessagesServer, Status, end, start, text, tool
from pydantic import ValidationError
from running_server import DESCRIPTION, GENERATE, SHIPPED, STREAM, TOKEN, events, eventually, serving

from gallump_lab import Budget, Config, Lab, Model, __version__
from gallump_lab.brain import answer as faults
from gallump_lab.server.handlers import failure
from gallump_lab.server.openapi import QuestionBody, description
from gallump_lab.store.errors import LabBusy, StoreError

KEY = "sk-ant-planted-0123456789abcdef"
SECRET = "the merger with Umbrella is secret"  # noqa: S105
PATIENT = Config(model=Model(max_retries=0, timeout=60))
LOG = logging.getLogger("route")
CHECKS = {
    "seed": 1,
    "generation": {"max-examples": 5, "database": "none", "deterministic": True, "mode": "all"},
    "phases": {"stateful": {"enabled": False}, "fuzzing": {"enabled": False}},
    "checks": {
        "missing_required_header": {"enabled": False},  # it wants 401; Jupyter says 403, as ignored_auth knows
        "negative_data_rejection": {"expected-statuses": [400, 403, 404, 405, 413, 415]},
    },
}
DESCRIBED = schemathesis.openapi.from_dict(description("/desk/"), config=schemathesis.Config.from_dict(CHECKS))
AUTHORIZER = """
from jupyter_server.auth import AllowAllAuthorizer

class Denying(AllowAllAuthorizer):
    def is_authorized(self, handler, user, action, resource):
        return f"{action} {resource}" != handler.request.headers.get("X-Deny")
"""
SETTINGS = "from gallump_lab.market import FileBroker\nc.GallumpLab.broker = FileBroker()\n"


@pytest.fixture(scope="module")
def claude():
    with MessagesServer() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory, claude):
    folder = tmp_path_factory.mktemp("route")
    (folder / "denying.py").write_text(AUTHORIZER)
    (folder / "jupyter_server_config.py").write_text(SETTINGS)
    options = ["--GallumpLab.answers=2", "--GallumpLab.keep_alive=0.1", "--GallumpLab.most_bytes=500000"]
    options += ["--GallumpLab.path=later/lab.duckdb", "--ServerApp.authorizer_class=denying.Denying"]
    model = {"ANTHROPIC_BASE_URL": claude.url, "ANTHROPIC_API_KEY": KEY, "PYTHONPATH": str(folder)}
    model |= {"JUPYTER_CONFIG_DIR": str(folder)}
    with serving(folder, *options, base="/desk", **model) as running:
        yield running


@pytest.fixture(scope="module")
def lab(server):
    folder = server.root / "later"
    folder.mkdir()
    return Lab.open(folder / "lab.duckdb", wait=30)


@pytest.fixture
def client(server, claude, lab):
    with warnings.catch_warnings(action="ignore"):  # a spec before may have set a daily limit
        lab.apply(PATIENT)
    claude._queued.clear()
    with server.client() as found:
        yield found


def ask(client, prompt="Is AAPL cheap?", at=GENERATE, headers=None, **fields):
    return client.post(at, json={"prompt": prompt, **fields}, headers=headers)


def error(answer):
    given = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert given["message"] == given["error"]["message"]
    assert "Traceback" not in answer.text
    return given["error"]


def told(answer):
    return [each for each in events(answer.text.splitlines()) if each[0]]


def gated(*pieces):
    """Give a reply's steps that wait between their pieces and the rest, and the events: asked, to go on."""
    asked, on = threading.Event(), threading.Event()

    def steps():
        asked.set()
        yield start()
        yield from list(text(*pieces))[:-1]
        yield on
        yield from list(text("The rest."))[1:]
        yield from end()

    return steps(), asked, on


def test_a_lab_that_cannot_be_opened_is_told_and_tried_again_with_the_next_question(server):
    with server.client() as early:
        refused = ask(early)
    assert (refused.status_code, error(refused)["code"]) == (500, "lab_unusable")
    assert str(server.root) not in refused.text
    assert "later/lab.duckdb" in server.log.read_text()


def test_it_answers_as_the_guide_says_carries_a_session_on_and_masks_a_key(client, claude, lab):
    claude.queue([start(), *text("<b>Buy</b>,\nI think."), *tool({"recommendations": [RECOMMENDATION]}), *end()])
    answer = ask(client, "My stop on AAPL is 400.", watchlist=["aapl", "MSFT"])
    assert "AAPL: 430.47 at the close of 2013-03-01" in claude.requests[-1].prompt
    first = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    guide = ["session_id", "response", "recommendations", "requires_confirmation", "context_stats"]
    assert list(first) == [*guide, "state", "model", "usage"]
    assert first["response"].startswith("<b>Buy</b>,\nI think.\n\n- **Buy AAPL**, 5% of the portfolio")
    assert first["recommendations"] == [RECOMMENDATION]
    assert first["context_stats"]["messages_in_session"] == 1
    assert KEY in str(claude.requests[-1].headers)
    said = lab.messages[["role", "text", "symbol"]].values.tolist()
    assert said[-2:] == [["user", "My stop on AAPL is 400.", "AAPL"], ["assistant", first["response"], "AAPL"]]
    key = "sk-ant-api03-" + "aB3" * 20
    second = ask(client, f"My key is {key}, where is my stop?", session_id=first["session_id"]).json()
    assert second["session_id"] == first["session_id"]
    assert "looked like an API key" in second["notice"]
    assert "My stop on AAPL is 400." in claude.requests[-1].prompt
    assert not [message for message in lab.messages["text"] if key in message]
    assert "'of-another-lab' is not in this lab" in ask(client, session_id="of-another-lab").json()["notice"]


def test_a_stream_brings_each_piece_before_the_end_and_the_error_that_generate_would_answer(client, claude):
    steps, _, on = gated("One\n\ndata: two ", "three. ")
    claude.queue(steps)
    with client.stream("POST", STREAM, json={"prompt": "Is AAPL cheap?"}) as answer:
        found = events(answer.iter_lines())
        assert next(each for each in found if each[0]) == ("text", {"text": "One\n\ndata: two "})
        assert next(each for each in found if each[0]) == ("text", {"text": "three. "})
        assert next(found) == ("", "waiting")
        on.set()
        rest = [each for each in found if each[0]]
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-cache", "no")
    assert [name for name, _ in rest] == ["text", "reply"]
    assert rest[-1][1]["response"] == "One\n\ndata: two three. The rest."
    claude.queue(*[Status.error(429, "rate_limit_error", "slow down", retry_after="30")] * 2)
    plain = ask(client).json()["error"]
    ((name, data),) = told(ask(client, at=STREAM))
    assert (name, plain["retry_after"]) == ("error", 30)
    assert data["error"] | {"session_id": ""} == plain | {"session_id": ""}


def test_two_are_answered_at_once_and_a_third_is_told_to_come_again(client, claude):
    waiting = [gated(f"Reply {i}. ") for i in range(2)]
    claude.queue(*(steps for steps, _, _ in waiting))
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(ask, client) for _ in waiting]
        assert all(asked.wait(30) for _, asked, _ in waiting)
        busy = [ask(client), ask(client, at=STREAM)]
        assert client.get("/api/status").status_code == 200
        for _, _, on in waiting:
            on.set()
        answered = {answer.result().json()["response"] for answer in answers}
    assert answered == {"Reply 0. The rest.", "Reply 1. The rest."}
    for each in busy:
        assert (each.status_code, each.headers["retry-after"], error(each)["code"]) == (503, "5", "busy")
    assert ask(client).status_code == 200


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("at", [GENERATE, STREAM])
def test_a_client_that_hangs_up_stops_the_model(server, claude, lab, at):
    steps, begun, _ = gated("As far as it came. ")
    claude.queue(steps)
    body = json.dumps({"prompt": f"Who hangs up on {at}?"})
    lines = f"POST /desk{at} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: token {TOKEN}"
    lines += "Content-Type: application/json", f"Content-Length: {len(body)}", "", body
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port), timeout=30) as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert begun.wait(30)
        seen = b""
        while at == STREAM and b"As far" not in seen:
            seen += connection.recv(65536)
    assert claude.requests[-1].gone.wait(30)
    turns = "turns join messages on message_id = question_id"
    asked = f"select turns.state, reply_id from {turns} where text = 'Who hangs up on {at}?'"  # noqa: S608
    ((state, reply_id),) = eventually(lambda: list(lab.sql(asked).values))
    assert state == "stopped"
    if at == STREAM:
        kept = lab.messages.set_index("message_id").loc[reply_id]
        assert (kept["text"], kept["state"]) == ("As far as it came. ", "stopped")


def test_it_answers_who_has_the_token_or_a_pages_cookies_with_their_xsrf_token_and_nobody_else(server, client, claude):
    before = len(claude.requests)
    with server.client(None) as stranger, server.client("wrong") as wrong, server.client(None) as page:
        page.get("/login")
        page.post("/login", data={"password": TOKEN, "_xsrf": page.cookies["_xsrf"]})
        refused = [ask(stranger), ask(wrong, at=STREAM), wrong.get(DESCRIPTION), stranger.get(DESCRIPTION), ask(page)]
        for method, at, action in (
            ("POST", GENERATE, "write"),
            ("POST", STREAM, "write"),
            ("GET", DESCRIPTION, "read"),
        ):
            denied = {"X-Deny": f"{action} gallump_lab"}
            refused.append(client.request(method, at, json={"prompt": "Hi"}, headers=denied))
        for answer in refused:
            assert (answer.status_code, error(answer)["code"]) == (403, "forbidden")
        assert len(claude.requests) == before
        page.headers["X-XSRFToken"] = page.cookies["_xsrf"]
        address = stranger.post(f"{GENERATE}?token={TOKEN}", json={"prompt": "Hi"})
        assert (address.status_code, ask(page).status_code) == (200, 200)
        page.headers["Origin"] = "https://evil.example"
        assert (ask(page).status_code, error(ask(page))["code"]) == (404, "not_found")
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        preflight = page.options(GENERATE, headers=asks)
    assert "access-control-allow-origin" not in preflight.headers


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        (b'{"prompt": "\xff"}', None, "must be a JSON object with a prompt, in UTF-8"),
        (b'"Hi"', None, "must be a JSON object"),
        (b"{}", "prompt", "Field required. It must be the question, in words"),
        (b'{"prompt": " \\n\\t "}', "prompt", "the question, in words"),
        (b'{"prompt": "%s"}' % (b"x" * 200_001), "prompt", "at most 200000 characters"),
        (b'{"prompt": "Hi", "watchlist": [Infinity]}', "watchlist", "symbol must be 1 to 15"),
        (b'{"prompt": "Hi", "path": "/etc/passwd"}', "path", "path is not known; a body has prompt"),
        (b'{"prompt": "Hi", "watchlist": null}', "watchlist", "at most 100 symbols"),
        (b'{"prompt": "Hi", "watchlist": ["\'; drop table messages"]}', "watchlist", "symbol must be 1 to 15"),
        (b'{"prompt": "Hi", "watchlist": [%s]}' % b",".join([b'"A"'] * 101), "watchlist", "at most 100"),
        (b'{"prompt": "Hi", "session_id": 7}', "session_id", "what the last answer gave, or null"),
        (b'{"prompt": "Hi", "session_id": "a\\n"}', "session_id", "what the last answer gave, or null"),
        (b'{"prompt": %s}' % (b"[" * 200_000), None, "recursion limit"),
    ],
)
def test_bad_input_names_the_field_and_the_mend(given, field, words):
    with pytest.raises(ValidationError) as raised:
        QuestionBody.model_validate_json(given)
    found = failure(raised.value, LOG)
    assert (found.status_code, found.problem.code, found.problem.field) == (400, "bad_request", field)
    assert words in found.problem.message


def test_what_cannot_be_used_is_answered_in_json_and_stores_nothing(client, claude, lab):
    before, said = len(claude.requests), len(lab.messages)
    plain, large = {"Content-Type": "text/plain"}, {"content": b"x" * 3_000_000}
    post, get = "POST, OPTIONS", "GET, OPTIONS"
    wrong = [
        ("POST", GENERATE, {"content": b"{"}, 400, "bad_request", None),
        ("POST", STREAM, {"json": {"prompt": ""}}, 400, "bad_request", None),
        ("POST", GENERATE, {"headers": {"Content-Type": ""}}, 415, "unsupported_media_type", None),
        ("POST", STREAM, {"headers": plain, "json": {"prompt": "Hi"}}, 415, "unsupported_media_type", None),
        ("POST", GENERATE, large, 413, "body_too_large", None),
        ("GET", GENERATE, {}, 405, "method_not_allowed", post),
        ("PUT", STREAM, {}, 405, "method_not_allowed", post),
        ("POST", DESCRIPTION, {}, 405, "method_not_allowed", get),
    ]
    for method, at, given, status, code, allowed in wrong:
        answer = client.request(method, at, **{"headers": {"Content-Type": "application/json"}, **given})
        assert (answer.status_code, error(answer)["code"], answer.headers.get("allow")) == (status, code, allowed)
    assert (len(claude.requests), len(lab.messages)) == (before, said)


TELLS = Status.error(500, "api_error", f"cannot load /home/me/models/x.gguf for {SECRET}")
FAULTS = [
    (Status.error(529, "overloaded_error", "busy", retry_after="40"), 503, "model_in_trouble", 40),
    (TELLS, 503, "model_in_trouble", None),
    (Status.error(401, "authentication_error", f"invalid key {KEY}"), 503, "no_access_to_model", None),
    ([start(), *list(text("Half a "))[:-1]], 502, "connection_lost", None),
]


def test_what_goes_wrong_with_the_model_has_a_status_keeps_the_question_and_tells_nothing_of_its_server(
    client, claude, lab
):
    for reply, status, code, wait in FAULTS:
        claude.queue(reply)
        answer = ask(client)
        found = error(answer)
        assert (answer.status_code, found["code"], found["retry_after"]) == (status, code, wait)
        assert answer.headers.get("retry-after") == (wait and str(wait))
        assert "Your question is kept" in found["message"]
        for own in (KEY, SECRET, "/home/me", claude.url.removeprefix("http://")):
            assert own not in answer.text
        assert found["session_id"] in set(lab.messages["session_id"])
        if reply is TELLS:
            assert "/home/me/models/x.gguf" in lab.turns["fault"].iloc[-1]
    kinds = faults.ModelError.__subclasses__()
    codes = {failure(kind("words"), LOG).problem.code for kind in kinds}
    assert len(codes - {"internal_error"}) == len(kinds)  # each has a code of its own


def test_a_reply_that_is_not_whole_says_so(client, claude):
    for reason, said, state, words in (
        ("max_tokens", "As far", "cut", "reached its limit"),
        ("refusal", "", "refused", "declined to go on"),
    ):
        steps = [start(), *(text(said) if said else ()), *end(reason)]
        claude.queue(steps, steps)
        for each in (ask(client).json(), dict(told(ask(client, at=STREAM)))["reply"]):
            assert (each["response"], each["state"]) == (said, state)
            assert words in each["notice"]


SMALL = Budget(window=8_000, reply=1_000, hot=500, warm=100, cold=100)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (Config(model=Model(max_retries=0, timeout=0.3)), (504, "model_timed_out", None)),
        (Config(model=Model(name="nobody-knows-its-price", max_usd_per_day=5)), (503, "price_unknown", None)),
        (Config(model=Model(max_usd_per_day=0)), (429, "spending_limit", None)),
        (Config(budget=SMALL), (413, "prompt_too_long", "prompt")),
    ],
)
def test_what_the_lab_cannot_do_has_a_status(client, claude, lab, config, wanted):
    lab.apply(config)
    claude.queue([threading.Event()])
    answer = ask(client, "word " * (20_000 if config.budget == SMALL else 1))
    assert (answer.status_code, error(answer)["code"], error(answer)["field"]) == wanted
    if answer.status_code == 429:  # until midnight, UTC
        now = datetime.now(UTC)
        left = 86_400 - (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
        assert abs(int(answer.headers["retry-after"]) - left) % 86_400 < 60
        assert int(answer.headers["retry-after"]) <= 86_400


def test_no_answer_tells_of_the_machine_and_no_log_of_a_question_or_a_key(server, client, claude, caplog):
    for given in (StoreError("/home/me/lab.duckdb is damaged"), LabBusy(Path("/home/me/lab.duckdb"), 7, 10.0)):
        found = failure(given, LOG).to_dict()
        assert "/home" not in json.dumps(found)
        assert str(given) in caplog.text
    assert found["error"]["retry_after"] == 5
    found = failure(ValueError(f"bad: {SECRET}"), LOG)
    assert (found.status_code, found.problem.code) == (500, "internal_error")
    assert SECRET not in json.dumps(found.to_dict()) + caplog.text
    assert "ValueError" in caplog.text
    claude.queue(Status.error(500, "api_error", "oh"))
    assert ask(client, SECRET).status_code == 503
    assert ask(client, SECRET, watchlist=[SECRET]).status_code == 400
    log = eventually(lambda: (text := server.log.read_text()).count("400 POST") and text)
    assert SECRET not in log
    assert KEY not in log


def test_it_describes_itself(client):
    given = client.get(DESCRIPTION).json()
    assert given == description("/desk/")
    assert (given["info"]["version"], given["servers"]) == (__version__, [{"url": "/desk/"}])


@pytest.mark.usefixtures("client")
@DESCRIBED.parametrize()
def test_the_server_does_what_its_description_says(case, server):
    case.call_and_validate(base_url=server.url, headers={"Authorization": f"token {TOKEN}"})


def test_installing_the_package_turns_the_route_on(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel:editable", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=SHIPPED.parent, check=True, capture_output=True)
    with zipfile.ZipFile(*tmp_path.glob("*.whl")) as wheel:
        (found,) = (name for name in wheel.namelist() if "/data/etc/jupyter/jupyter_server_config.d/" in name)
        assert wheel.read(found) == (SHIPPED / "jupyter_server_config.d" / "gallump_lab.json").read_bytes()


def test_a_server_that_ends_keeps_what_had_arrived(server, client, claude, lab):
    steps, _, _ = gated("As far as the server ran. ")
    claude.queue(steps)
    with client.stream("POST", STREAM, json={"prompt": "Is AAPL cheap?"}) as answer:
        given = events(answer.iter_lines())
        assert next(each for each in given if each[0]) == ("text", {"text": "As far as the server ran. "})
        server.end()
    assert lab.messages[["text", "state"]].values.tolist()[-1] == ["As far as the server ran. ", "stopped"]

import json
import logging
import socket
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import schemathesis
from messages_server import RECOMMENDATION, MessagesServer, Status, end, say, start, text, tool
from running_server import DESCRIPTION, GENERATE, SHIPPED, STREAM, TOKEN, events, eventually, serving

from gallump_lab import Budget, Config, Lab, Model, __version__
from gallump_lab.brain import answer as faults
from gallump_lab.server.failures import Failure, failure
from gallump_lab.server.requests import description, read
from gallump_lab.store.errors import LabBusy, StoreError

KEY = "sk-ant-planted-0123456789abcdef"
SECRET = "the merger with Umbrella is secret"  # noqa: S105
PATIENT = Config(model=Model(max_retries=0, timeout=60))


CHECKS = {
    "seed": 1,
    "generation": {"max-examples": 5, "database": "none", "deterministic": True, "mode": "all"},
    "phases": {"stateful": {"enabled": False}},
    "checks": {
        "missing_required_header": {"enabled": False},  # it wants 401; Jupyter says 403, as ignored_auth knows
        "negative_data_rejection": {"expected-statuses": [400, 403, 404, 405, 413, 415]},
    },
}
DESCRIBED = schemathesis.openapi.from_dict(description("/desk/"), config=schemathesis.Config.from_dict(CHECKS))


@pytest.fixture(scope="module")
def claude():
    with MessagesServer() as running:
        yield running


AUTHORIZER = """
from jupyter_server.auth import AllowAllAuthorizer

class Denying(AllowAllAuthorizer):
    def is_authorized(self, handler, user, action, resource):
        return f"{action} {resource}" != handler.request.headers.get("X-Deny")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory, claude):
    folder = tmp_path_factory.mktemp("route")
    (folder / "denying.py").write_text(AUTHORIZER)
    options = "--GallumpLab.answers=2", "--GallumpLab.keep_alive=0.1", "--GallumpLab.most_bytes=500000"
    model = {"ANTHROPIC_BASE_URL": claude.url, "ANTHROPIC_API_KEY": KEY}
    model["PYTHONPATH"] = str(folder)
    with serving(folder, *options, "--ServerApp.authorizer_class=denying.Denying", base="/desk", **model) as running:
        yield running


@pytest.fixture(scope="module")
def lab(server):
    return Lab.open(server.root / "lab.duckdb", wait=30)


@pytest.fixture
def client(server, claude, lab):
    lab.apply(PATIENT)
    claude._queued.clear()
    with server.client() as found:
        yield found


def ask(client, prompt="Is AAPL cheap?", at=GENERATE, **fields):
    return client.post(at, json={"prompt": prompt, **fields})


def error(answer):
    given = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert given["message"] == given["error"]["message"]
    assert "Traceback" not in answer.text
    return given["error"]


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


def test_it_answers_as_the_guide_says(client, claude, lab):
    claude.queue([start(), *text("<b>Buy</b>,\nI think."), *tool({"recommendations": [RECOMMENDATION]}), *end()])
    whole = "<b>Buy</b>,\nI think.\n\n- **Buy AAPL**, 5% of the portfolio"
    answer = ask(client, watchlist=["aapl", "MSFT"])
    told = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert list(told) == ["session_id", "response", "recommendations", "requires_confirmation", "context_stats"]
    assert told["response"].startswith(whole)
    assert told["recommendations"] == [RECOMMENDATION]
    assert told["context_stats"]["messages_in_session"] == 1
    assert KEY in str(claude.requests[-1].headers)
    said = lab.sql(f"select role, text, symbol from messages where session_id = '{told['session_id']}'")  # noqa: S608
    assert said.values.tolist() == [["user", "Is AAPL cheap?", "AAPL"], ["assistant", told["response"], "AAPL"]]


def test_a_session_is_carried_on_and_one_that_the_lab_does_not_know_is_said(client, claude):
    first = ask(client, "My stop on AAPL is 400.").json()
    second = ask(client, "Where is my stop?", session_id=first["session_id"]).json()
    assert second["session_id"] == first["session_id"]
    assert "notice" not in second
    assert "My stop on AAPL is 400." in claude.requests[-1].prompt
    assert "'of-another-lab' is not in this lab" in ask(client, session_id="of-another-lab").json()["notice"]


def test_a_key_in_a_question_is_masked_and_the_client_is_told(client, claude, lab):
    claude.queue(say("Revoke it."))
    key = "sk-ant-api03-" + "aB3" * 20
    answer = ask(client, f"My key is {key}, is AAPL cheap?").json()
    assert "looked like an API key" in answer["notice"]
    assert not [message for message in lab.messages["text"] if key in message]
    assert any("[API key removed]" in message for message in lab.messages["text"])


def test_a_stream_brings_each_piece_before_the_end(client, claude):
    steps, _, on = gated("One\n\ndata: two ", "three. ")
    claude.queue(steps)
    with client.stream("POST", STREAM, json={"prompt": "Is AAPL cheap?"}) as answer:
        found = events(answer.iter_lines())
        assert next(each for each in found if each[0]) == ("text", {"text": "One\n\ndata: two "})
        assert next(each for each in found if each[0]) == ("text", {"text": "three. "})
        assert next(found) == ("", "waiting")
        on.set()
        told = [each for each in found if each[0]]
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert [name for name, _ in told] == ["text", "reply"]
    assert told[-1][1]["response"] == "One\n\ndata: two three. The rest."
    assert told[-1][1]["requires_confirmation"] is True


def test_a_stream_ends_with_the_error_that_generate_would_answer(client, claude):
    claude.queue(*[Status.error(429, "rate_limit_error", "slow down", retry_after="30")] * 2)
    plain = ask(client)
    ((name, told),) = (each for each in events(ask(client, at=STREAM).text.splitlines()) if each[0])
    assert (name, told["error"]["code"], told["error"]["retry_after"]) == ("error", "rate_limited", 30)
    assert told["message"] == plain.json()["message"]
    assert list(told["error"]) == list(plain.json()["error"])


def test_two_are_answered_at_once_and_a_third_is_told_to_come_again(client, claude):
    waiting = [gated(f"Reply {i}. ") for i in range(2)]
    claude.queue(*(steps for steps, _, _ in waiting))
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(ask, client) for _ in waiting]
        assert all(asked.wait(30) for _, asked, _ in waiting)
        busy = [ask(client), ask(client, at=STREAM)]
        status = client.get("/api/status")
        for _, _, on in waiting:
            on.set()
        told = [answer.result().json() for answer in answers]
    assert status.status_code == 200
    assert {each["response"] for each in told} == {"Reply 0. The rest.", "Reply 1. The rest."}
    assert len({each["session_id"] for each in told}) == 2
    for each in busy:
        assert (each.status_code, each.headers["retry-after"], error(each)["code"]) == (503, "5", "busy")
    assert ask(client).status_code == 200


def raw(server, at, given, *headers):
    """Send a question and leave the answer to the test: a plain socket."""
    found = socket.create_connection(("127.0.0.1", httpx.URL(server.url).port), timeout=30)
    lines = [f"POST /desk{at} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: token {TOKEN}"]
    lines += ["Content-Type: application/json", *(headers or [f"Content-Length: {len(given)}"])]
    found.sendall("\r\n".join([*lines, "", ""]).encode() + given)
    return found


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("at", [GENERATE, STREAM])
def test_a_client_that_hangs_up_stops_the_model(server, claude, lab, at):
    steps, begun, _ = gated("As far as it came. ")
    claude.queue(steps)
    with raw(server, at, json.dumps({"prompt": f"Who hangs up on {at}?"}).encode()) as connection:
        assert begun.wait(30)
        if at == STREAM:
            seen = b""
            while b"As far" not in seen:
                seen += connection.recv(65536)
    assert claude.requests[-1].gone.wait(30)
    turns = "turns join messages on message_id = question_id"
    asked = f"select turns.state, reply_id from {turns} where text = 'Who hangs up on {at}?'"  # noqa: S608
    turn = eventually(lambda: list(lab.sql(asked).values))
    assert turn[0][0] == "stopped"
    if at == STREAM:
        kept = lab.sql(f"select text, state from messages where message_id = {turn[0][1]}")  # noqa: S608
        assert kept.values.tolist() == [["As far as it came. ", "stopped"]]


@pytest.fixture
def page(server):
    """Give what a browser has that has logged in: cookies, and no token."""
    with server.client(None) as found:
        found.get("/login")
        entered = found.post("/login", data={"password": TOKEN, "_xsrf": found.cookies["_xsrf"]})
        assert entered.status_code == 302
        yield found


def test_without_the_token_its_cookies_xsrf_or_the_authorizers_leave_nothing_gets_in(server, client, claude, page):
    before = len(claude.requests)
    with server.client(None) as stranger, server.client("wrong") as wrong:
        refused = [ask(stranger), ask(wrong, at=STREAM), wrong.get(DESCRIPTION), stranger.get(DESCRIPTION), ask(page)]
    for method, at, action in (("POST", GENERATE, "write"), ("POST", STREAM, "write"), ("GET", DESCRIPTION, "read")):
        denied = {"X-Deny": f"{action} gallump_lab"}
        refused.append(client.request(method, at, json={"prompt": "Hi"}, headers=denied))
    for answer in refused:
        assert (answer.status_code, error(answer)["code"]) == (403, "forbidden")
    assert len(claude.requests) == before


@pytest.mark.usefixtures("client")
def test_a_bearer_a_token_in_the_address_and_cookies_with_their_xsrf_token_get_in(server, page):
    with server.client(None) as other:
        bearer = other.post(GENERATE, json={"prompt": "Hi"}, headers={"Authorization": f"Bearer {TOKEN}"})
        address = other.post(f"{GENERATE}?token={TOKEN}", json={"prompt": "Hi"})
    page.headers["X-XSRFToken"] = page.cookies["_xsrf"]
    assert (bearer.status_code, address.status_code, ask(page).status_code) == (200, 200, 200)


@pytest.mark.usefixtures("client")
def test_a_page_of_another_origin_is_not_invited_and_does_not_use_the_cookies(server, page):
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    with server.client(None) as browser:
        preflight = browser.options(GENERATE, headers={"Origin": "https://evil.example"} | asks)
    assert "access-control-allow-origin" not in preflight.headers
    page.headers.update({"X-XSRFToken": page.cookies["_xsrf"], "Origin": "https://evil.example"})
    answer = ask(page)
    assert (answer.status_code, error(answer)["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        (b'{"prompt": "\xff"}', None, "not JSON in UTF-8"),
        (b'"Hi"', None, "must be a JSON object with a prompt, not a text"),
        (b"{}", "prompt", "prompt must be the question"),
        (b'{"prompt": " \\n\\t "}', "prompt", "not a blank text"),
        (b'{"prompt": "%s"}' % (b"x" * 200_001), "prompt", "not a text of 200,001 characters"),
        (b'{"prompt": "Hi", "watchlist": [Infinity]}', "watchlist", "symbol must be 1 to 15"),
        (b'{"prompt": "Hi", "path": "/etc/passwd"}', "path", "unknown field 'path'"),
        (b'{"prompt": "Hi", "watchlist": null}', "watchlist", "not null"),
        (b'{"prompt": "Hi", "watchlist": [["AAPL"]]}', "watchlist", "symbol must be 1 to 15"),
        (b'{"prompt": "Hi", "watchlist": ["\'; drop table messages"]}', "watchlist", "symbol must be 1 to 15"),
        (b'{"prompt": "Hi", "watchlist": [%s]}' % b",".join([b'"A"'] * 101), "watchlist", "at most 100"),
        (b'{"prompt": "Hi", "session_id": 7}', "session_id", "not a number"),
        (b'{"prompt": "Hi", "session_id": "a\\n"}', "session_id", "what the last answer gave, or null"),
        (b'{"prompt": "Hi", "session_id": "%s"}' % (b"x" * 101), "session_id", "what the last answer gave, or null"),
        (b'{"prompt": %s}' % (b"[" * 200_000), None, "recursion limit"),
        (b'{"prompt": %s}' % (b"7" * 5_000), None, "not JSON"),
    ],
)
def test_bad_input_names_the_field_and_the_mend(given, field, words):
    with pytest.raises(Failure) as raised:
        read(given)
    found = raised.value
    assert (found.status_code, found.code, found.field) == (400, "bad_request", field)
    assert words in found.words


def test_bad_input_is_answered_in_json_and_stores_nothing(client, claude, lab):
    before, said = len(claude.requests), len(lab.messages)
    wrong = (
        (b"{", None, GENERATE),
        (b'{"prompt": ""}', "prompt", STREAM),
        (b'{"prompt": "Hi", "lab": "x"}', "lab", GENERATE),
    )
    for given, field, at in wrong:
        answer = client.post(at, content=given, headers={"Content-Type": "application/json"})
        assert (answer.status_code, error(answer)["field"]) == (400, field)
    assert (len(claude.requests), len(lab.messages)) == (before, said)


def test_many_keys_hold_nobody_up(client, server):
    names = [f"k{i}" for i in range(30_000)]
    with raw(server, GENERATE, json.dumps(dict.fromkeys(names)).encode()) as connection:
        assert client.get("/api/status", timeout=20).status_code == 200
        connection.settimeout(20)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"prompt must be the question" in answer


def test_another_content_type_or_method_is_refused(client):
    for kind in (None, "text/plain", "application/json; charset=utf-16"):
        headers = {} if kind is None else {"Content-Type": kind}
        answer = client.post(GENERATE, content=b'{"prompt": "Hi"}', headers=headers)
        assert (answer.status_code, error(answer)["code"]) == (415, "unsupported_media_type")
    post, get = "POST, OPTIONS", "GET, OPTIONS"
    for method, at, allowed in (("GET", GENERATE, post), ("PUT", STREAM, post), ("POST", DESCRIPTION, get)):
        answer = client.request(method, at)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert error(answer)["code"] == "method_not_allowed"


def pieces(size):
    for _ in range(size // 50_000):
        yield b"x" * 50_000


def test_too_large_a_body_is_told_so_and_before_it_is_sent_to_a_client_that_asks_first(server, client):
    for content in (b"x" * 3_000_000, pieces(3_000_000)):  # with its length, and chunked
        answer = client.post(GENERATE, content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, error(answer)["code"]) == (413, "body_too_large")
        assert "500,000 bytes" in error(answer)["message"]
    with raw(server, GENERATE, b"", "Content-Length: 2000000", "Expect: 100-continue") as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


TELLS = Status.error(500, "api_error", f"cannot load /home/me/models/x.gguf for {SECRET}")
FAULTS = [
    (Status.error(429, "rate_limit_error", "slow", retry_after="90"), 429, "rate_limited", 90),
    (Status.error(529, "overloaded_error", "busy", retry_after="40"), 503, "model_in_trouble", 40),
    (TELLS, 503, "model_in_trouble", None),
    (Status.error(401, "authentication_error", f"invalid key {KEY}"), 503, "no_access_to_model", None),
    ([start(), *list(text("Half a "))[:-1]], 502, "connection_lost", None),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault[2]} {fault[3]}")
def test_what_goes_wrong_with_the_model_has_a_status_keeps_the_question_and_tells_nothing_of_its_server(
    client, claude, lab, fault
):
    reply, status, code, wait = fault
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


@pytest.mark.parametrize(
    ("reason", "said", "words"), [("max_tokens", "As far", "reached its limit"), ("refusal", "", "declined to go on")]
)
def test_a_reply_that_is_not_whole_says_so(client, claude, reason, said, words):
    steps = [start(), *(text(said) if said else ()), *end(reason)]
    claude.queue(steps, steps)
    told = ask(client).json()
    streamed = next(data for name, data in events(ask(client, at=STREAM).text.splitlines()) if name == "reply")
    for each in (told, streamed):
        assert (each["response"], each["state"]) == (said, {"max_tokens": "cut", "refusal": "refused"}[reason])
        assert words in each["notice"]
        assert "error" not in each


def test_a_spending_limit_ends_at_midnight(client, claude, lab):
    before = len(claude.requests)
    lab.apply(Config(model=Model(max_usd_per_day=0)))
    answer = ask(client)
    now = datetime.now(UTC)
    left = 86_400 - (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    assert (answer.status_code, error(answer)["code"]) == (429, "spending_limit")
    assert abs(int(answer.headers["retry-after"]) - left) % 86_400 < 60
    assert len(claude.requests) == before


SMALL = Budget(window=8_000, reply=1_000, hot=500, warm=100, cold=100)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (Config(model=Model(max_retries=0, timeout=0.3)), (504, "model_timed_out", None)),
        (Config(model=Model(name="nobody-knows-its-price", max_usd_per_day=5)), (503, "price_unknown", None)),
        (Config(budget=SMALL), (413, "prompt_too_long", "prompt")),
    ],
)
def test_what_the_lab_cannot_do_has_a_status(client, claude, lab, config, told):
    lab.apply(config)
    claude.queue([threading.Event()])
    answer = ask(client, "word " * (20_000 if config.budget == SMALL else 1))
    assert (answer.status_code, error(answer)["code"], error(answer)["field"]) == told


def now():
    return datetime(2026, 3, 2, 23, 59, tzinfo=UTC)


def test_nothing_of_the_machine_leaks(caplog):
    log = logging.getLogger("route")
    for given in (StoreError("/home/me/lab.duckdb is damaged"), LabBusy(Path("/home/me/lab.duckdb"), 7, 10.0)):
        found = failure(given, log=log, now=now).to_dict()
        assert "/home" not in json.dumps(found)
        assert str(given) in caplog.text
    assert found["error"]["retry_after"] == 5
    found = failure(ValueError(f"bad: {SECRET}"), log=log, now=now)
    assert (found.status_code, found.code) == (500, "internal_error")
    assert SECRET not in json.dumps(found.to_dict()) + caplog.text
    assert "ValueError" in caplog.text


def test_every_fault_of_the_brain_has_a_code_of_its_own():
    kinds = faults.ModelError.__subclasses__()
    codes = {failure(kind("words"), log=logging.getLogger(), now=now).code for kind in kinds}
    assert len(codes) == len(kinds)
    assert "internal_error" not in codes


def test_the_log_holds_no_question_and_no_key(server, client, claude):
    claude.queue(Status.error(500, "api_error", "oh"))
    assert ask(client, SECRET).status_code == 503
    assert ask(client, SECRET, watchlist=[SECRET]).status_code == 400
    log = eventually(lambda: (found := server.log.read_text()).count("400 POST") and found)
    assert SECRET not in log
    assert KEY not in log


def test_it_describes_itself(client):
    given = client.get(DESCRIPTION).json()
    assert given == description("/desk/")
    assert given["info"]["version"] == __version__
    assert given["servers"] == [{"url": "/desk/"}]


@pytest.mark.usefixtures("client")
@DESCRIBED.parametrize()
def test_the_server_does_what_its_description_says(case, server):
    case.call_and_validate(base_url=server.url, headers={"Authorization": f"token {TOKEN}"})


def test_a_lab_that_cannot_be_opened_is_tried_again_and_a_server_that_ends_keeps_what_had_arrived(tmp_path, claude):
    claude._queued.clear()
    steps, _, _ = gated("As far as the server ran. ")
    claude.queue(steps)
    path = tmp_path / "later" / "lab.duckdb"
    with (
        serving(tmp_path, f"--GallumpLab.path={path}", ANTHROPIC_BASE_URL=claude.url) as running,
        running.client() as found,
    ):
        refused = ask(found)
        assert (refused.status_code, error(refused)["code"]) == (500, "lab_unusable")
        assert str(tmp_path) not in refused.text
        assert "The folder" in running.log.read_text()
        path.parent.mkdir()
        with found.stream("POST", STREAM, json={"prompt": "Is AAPL cheap?"}) as answer:
            told = events(answer.iter_lines())
            assert next(each for each in told if each[0]) == ("text", {"text": "As far as the server ran. "})
            running.end()
    kept = Lab.open(path).messages
    assert kept[["text", "state"]].values.tolist()[-1] == ["As far as the server ran. ", "stopped"]


def test_installing_the_package_turns_the_route_on(tmp_path):
    for kind in ("standard", "editable"):
        build = [sys.executable, "-m", "hatchling", "build", "--target", f"wheel:{kind}", "--directory"]
        subprocess.run([*build, str(tmp_path / kind)], cwd=SHIPPED.parent, check=True, capture_output=True)
        with zipfile.ZipFile(*(tmp_path / kind).glob("*.whl")) as wheel:
            (found,) = (name for name in wheel.namelist() if "/data/etc/jupyter/jupyter_server_config.d/" in name)
            assert wheel.read(found) == (SHIPPED / "jupyter_server_config.d" / "gallump_lab.json").read_bytes()

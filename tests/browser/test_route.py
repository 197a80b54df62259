"""The documentation's clients of the HTTP route, as they stand there: one in Python, one in a browser's page."""

import json
import re
from pathlib import Path

import pytest
from messages_server import Status, say
from running_server import GENERATE, TOKEN

from gallump_lab import Lab

PAGE = (Path(__file__).parents[2] / "docs/how-to/route.md").read_text()


def block(language):
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = (each for each in blocks if GENERATE in each)
    return found


@pytest.fixture
def in_python(jupyter):
    made = {}
    exec(block("python"), made)  # noqa: S102
    client = made["Gallump"](jupyter.url, TOKEN)
    yield client.ask
    client.http.close()


@pytest.fixture
def page(browser_context):
    with browser_context.browser.new_context() as stranger:  # whom JupyterLab does not know
        yield stranger.new_page()


@pytest.fixture
def in_the_servers_page(page, jupyter):
    page.goto(f"{jupyter.url}/login")
    return in_javascript(page, jupyter)


@pytest.fixture
def in_another_page(page, jupyter, origin):
    page.goto(origin.url)  # any page will do that is of an origin which the server allows
    return in_javascript(page, jupyter)


def in_javascript(page, jupyter):
    page.evaluate(f"() => {{ {block('javascript')} window.ask = gallump({jupyter.url!r}, {TOKEN!r}) }}")

    def ask(prompt, watchlist=()):
        return json.loads(
            page.evaluate("async given => JSON.stringify(await ask(...given))", [prompt, list(watchlist)])
        )

    return ask


@pytest.fixture(params=["in_python", "in_the_servers_page", "in_another_page"])
def ask(request):
    return request.getfixturevalue(request.param)


def test_the_readmes_client_carries_its_session_on_and_sees_a_new_one(ask, jupyter, origin):
    lab = Lab.open(jupyter.root.parent / "lab.duckdb", wait=30)
    first = ask("Is AAPL cheap?", ["AAPL"])
    second = ask("And now?")
    assert first["response"].startswith("You asked: Is AAPL cheap?")
    assert second["session_id"] == first["session_id"]
    with lab.store.write() as con:
        con.execute("update sessions set last_at = last_at - interval 31 minutes")
    third = ask("Still there?")
    assert third["session_id"] != first["session_id"]
    assert "A new session began." in third["notice"]
    origin.queue(Status.error(401, "authentication_error", "no"), say("Fine."))
    with pytest.raises(Exception, match=r"no_access_to_model: .* Your question is kept"):
        ask("Who are you?")
    assert ask("And you?")["session_id"] == third["session_id"]

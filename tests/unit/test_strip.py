"""The watchlist's prices as the chat tells them to its views."""

import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from front_end import FrontEnd

from gallump_lab import Lab
from gallump_lab.market import FileBroker, MarketContext, Quote
from gallump_lab.ui.strip import Strip

NOW = datetime(2026, 11, 27, 16, tzinfo=UTC)


class Wire(FileBroker):
    """Live prices that a test sets."""

    live, price, fault, late = True, 270.0, None, 0

    def __init__(self):
        self.calls, self.open = 0, threading.Event()
        self.open.set()
        super().__init__()
        self.name = "wire"

    def quotes(self, symbols):
        self.calls += 1
        self.open.wait()
        if self.fault:
            raise self.fault
        if self.calls <= self.late:
            return {}
        quote = Quote(symbol="AAPL", date=NOW.date(), price=self.price, previous=300.0, at=NOW)
        return {each: replace(quote, symbol=each) for each in symbols if each != "XYZ"}


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def now():
    return [NOW]


@pytest.fixture
def front(wire, now, tmp_path):
    yield FrontEnd(Lab.open(tmp_path / "lab.duckdb", broker=wire, clock=lambda: now[0]).chat(["AAPL", "XYZ"]))
    wire.open.set()
    for thread in threading.enumerate():  # none is to be at work in DuckDB when Python ends
        if thread.name == "gallump-widget":
            thread.join()


def ready(front):
    """Give the prices that a view is drawn with, and those that the market has."""
    front.say("ready", view=uuid.uuid4().hex)
    return front.until("history")[1]["prices"], front.until("prices")[1]["prices"]


def test_a_chat_opens_before_a_slow_market_answers(front, wire):
    wire.open.clear()
    front.say("ready")
    opened = front.until("history")[1]["prices"]
    assert [(row["symbol"], row["price"], row["words"]) for row in opened["rows"]] == [
        ("AAPL", None, "asking …"),
        ("XYZ", None, "asking …"),
    ]
    wire.open.set()
    aapl, xyz = front.until("prices")[1]["prices"]["rows"]
    told = {"symbol": "AAPL", "price": 270.0, "words": "under 1 min old", "level": "fresh"}
    assert aapl == {**told, "change": pytest.approx(-10)}
    assert (xyz["price"], xyz["words"]) == (None, "no price")


def test_ages_are_told_anew_without_asking_the_market(front, wire, now):
    ready(front)
    wire.price = 280.0
    now[0] += timedelta(hours=3)
    front.say("prices", ask=False)
    row = front.until("prices")[1]["prices"]["rows"][0]
    assert (row["price"], row["words"], row["level"], wire.calls) == (270.0, "3 h old", "old", 1)
    front.say("prices", ask=True)
    assert front.until("prices")[1]["prices"]["rows"][0]["price"] == 280.0


def test_a_turn_brings_the_prices_that_it_was_asked_with(front, wire):
    ready(front)
    wire.price = 290.0
    front.say("ask", text="AAPL?", watchlist="AAPL, XYZ")
    assert front.until("done")[1]["prices"]["rows"][0]["price"] == 290.0


def test_a_symbol_that_is_new_on_the_watchlist_is_asked_for(front):
    ready(front)
    front.say("watchlist", text="AAPL, MSFT")
    told = front.until("watchlist")[1]["prices"]["rows"]
    assert [(row["symbol"], row["words"]) for row in told] == [("AAPL", "under 1 min old"), ("MSFT", "asking …")]
    assert front.until("prices")[1]["prices"]["rows"][1]["price"] == 270.0
    front.say("watchlist", text="")
    assert front.until("prices")[1]["prices"] == {"rows": [], "words": ""}


def test_of_a_market_that_fails_the_last_prices_stay_and_gaps_have_a_reason(front, wire, monkeypatch):
    monkeypatch.setattr("gallump_lab.ui.strip.AGAIN_SECONDS", ())
    wire.fault = TimeoutError("slow")
    _, told = ready(front)
    assert told["words"] == "wire could not give quotes (TimeoutError: slow)."
    assert {row["words"] for row in told["rows"]} == {"no price"}
    wire.fault = None
    ready(front)
    wire.fault = TimeoutError("slow")
    _, told = ready(front)
    assert told["rows"][0]["price"] == 270.0
    assert told["words"] == "wire could not give quotes (TimeoutError: slow)."


def test_a_live_market_that_is_late_is_asked_again(front, wire, monkeypatch):
    monkeypatch.setattr("gallump_lab.ui.strip.AGAIN_SECONDS", (0, 0))
    wire.trouble = ("wire has not answered yet for AAPL.",)
    wire.late = 2
    ready(front)
    for price, words in ((None, "wire has not answered yet for AAPL."), (270.0, wire.trouble[0])):
        told = front.until("prices")[1]["prices"]
        assert (told["rows"][0]["price"], told["words"]) == (price, words)
    assert wire.calls == 3


def test_what_was_gathered_before_only_fills_gaps():
    def found(price, at, *symbols):
        quotes = {each: Quote(symbol=each, date=at.date(), price=price, at=at) for each in symbols}
        return MarketContext(symbols=symbols, quotes=quotes, at=at)

    strip = Strip()
    strip.learn(found(2.0, NOW, "AAPL"))
    strip.learn(found(1.0, NOW - timedelta(minutes=1), "AAPL", "IBM"))
    rows = strip.describe(["AAPL", "IBM"], NOW)["rows"]
    assert [row["price"] for row in rows] == [2.0, 1.0]

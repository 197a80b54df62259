"""Which symbols a message and a question are about: those that they name."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from gallump_lab import Config, Lab, study
from gallump_lab.reading.names import Symbols

NOW = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)


@pytest.fixture
def lab(anew) -> Lab:
    return anew(clock=lambda: NOW)


def say(lab: Lab, *said: tuple[str, str | None]) -> None:
    session = lab.sessions.get_or_create_session()
    for text, symbol in said:
        lab.sessions.add_message(session, "user", text, symbol)


def recalled(lab: Lab, question: str, symbol: str | None = None) -> list[str]:
    return [slot.text for slot in lab.recall(question, symbol).slots]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Thesis for IBM", ["IBM"]),
        ("raise my GOOG size", ["GOOG"]),
        ("Apple looks cheap, palantir doesn't", ["AAPL", "PLTR"]),
        ("apple pie for dessert, an intel briefing", []),
        ("sold half my apple at 212", ["AAPL"]),
        ("btc 58.9k, eth 3390", ["BTC", "ETH"]),
        ("two nvda calls, and my AMD put", ["NVDA", "AMD"]),
        ("AAPL/MSFT pair, nvda/amd too", ["AAPL", "MSFT", "NVDA", "AMD"]),
        ("EUR/USD at 1.17, usdjpy at 151", ["EURUSD", "USDJPY"]),
        ("short 12 ES dec, long ZN, GC flat", ["ES", "ZN", "GC"]),
        ("Es geht um SAP, allianz und Nestl\u00e9", ["SAP", "ALV", "NESN"]),
        ("stop on QZXT is 40", ["QZXT"]),
        ("Mara and Ada bought more, Gartner is positive", []),
        ("I want it all now. Go on, sell IT ALL NOW, and buy NOW at 480. IT is down, the plan is ON.", []),
        ("$ALL, $now", ["ALL", "NOW"]),
        ("my ON stop", ["ON"]),
        ("bought 50 ON at 68, stop on ALL at 180", ["ON", "ALL"]),
        ("NOW: long from 950", ["NOW"]),
        ("RE: see google.com, mail me@netflix.com, the deck, TODO: ads", []),
        ("The CEO of the USA ETF says EPS beat the CPI, NAV at 40", []),
        ("THE CEO SOLD HIS STOCK AT 40 BUCKS", []),
    ],
)
def test_a_text_names_symbols_as_one_writes_them(text, named):
    assert Symbols().all(text) == named


def test_what_one_knows_counts_in_lower_case_and_under_its_own_listing():
    symbols = Symbols(["QZXT", "ALV.DE", "BTC-USD", "NOW"])
    assert symbols.all("qzxt and allianz, btc, ALV; now what") == ["QZXT", "ALV.DE", "BTC-USD"]


def test_a_company_goes_by_the_symbol_that_one_knows_of_two_unless_the_other_is_written():
    assert Symbols(["FB"]).all("Facebook stop 300, facebook at 310") == ["FB"]
    assert Symbols(["FB"]).all("META stop 300") == ["META"]
    assert Symbols(["GOOGL"]).all("google at 190, GOOG at 191, GOOGL at 192") == ["GOOGL", "GOOG"]
    assert Symbols().all("Facebook at 310") == ["META"]


def test_a_messages_symbol_is_the_first_that_it_names_and_only_else_the_given_one(lab):
    say(lab, ("Thesis for IBM: cloud. Better than MSFT.", "AAPL"), ("My stop is 430.", "AAPL"), ("fine", None))
    rows = [("user", "micron stop 274", "NVDA"), ("user", "trimmed crwd", "NVDA"), ("assistant", "Noted.", "CRWD")]
    lab.import_messages(pd.DataFrame(rows, columns=["role", "text", "symbol"]).assign(created_at=NOW))
    asked = lab.ask("where is my micron stop now", watchlist=["NVDA", "MU"])
    lab.ask("and how tight is it?", watchlist=["NVDA", "MU"], session_id=asked.session_id)
    symbols = lab.messages["symbol"].astype(object).where(lab.messages["symbol"].notna(), None).tolist()
    assert symbols[:6] == ["IBM", "AAPL", None, "MU", "CRWD", "CRWD"]
    assert [*symbols[6::2], *lab.turns["symbol"]] == ["MU", "NVDA", "MU", "NVDA"]


def test_recall_prefers_what_names_the_questions_symbol_in_whatever_words(lab):
    say(lab, ("stop goes to 181 there", "NVDA"), ("MU stop goes to 274", "NVDA"), ("ALL stop at 180, all fine", "NVDA"))
    assert recalled(lab, "where is my micron stop now", "NVDA")[0] == "MU stop goes to 274"
    assert recalled(lab, "where is my stop?", "NVDA")[0] == "stop goes to 181 there"
    assert recalled(lab, "the stop of $ALL?", "NVDA")[0] == "ALL stop at 180, all fine"
    given = {slot.symbol: slot.signals["symbol"] for slot in lab.recall("where did all my stops go?", "NVDA").slots}
    assert given["NVDA"] > given["ALL"] == given["MU"] == 0


@pytest.mark.parametrize("symbol", ["AAPL", "GOOG", "NVDA"])
def test_who_asks_for_a_level_alone_means_that_of_the_symbol_given_with_it(lab, symbol):
    say(lab, ("My stop is 60, on the big account.", "GOOG"), ("My stop on MSFT is 380, hard stop.", None))
    say(lab, ("Bought 30 AAPL at 422, I keep the stop at 400.", None), ("The stop on NVDA is 181.", None))
    assert lab.recall("What is my stop?", symbol).slots[0].symbol == symbol


def test_what_was_said_in_lower_case_is_found_once_the_lab_knows_the_symbol(lab):
    say(lab, ("level is 40 on qzxt", "NVDA"), ("level is 41", "NVDA"))
    assert lab.recall("level of qzxt").slots[0].signals["symbol"] == 0
    say(lab, ("bought 100 QZXT at 39", "NVDA"))
    found = {slot.text: slot.signals["symbol"] for slot in lab.recall("level of qzxt").slots}
    assert found["level is 40 on qzxt"] == found["bought 100 QZXT at 39"] > found["level is 41"]


def test_insights_of_the_questions_symbol_come_first_not_of_the_watchlist(lab):
    lab.insights.add("The plan is to add below 90.", symbol="MU")
    lab.insights.add("The plan is to add below 80.", symbol="NVDA")
    slots = lab.preview("What is my plan for micron?", watchlist=["NVDA"]).prompt.slots
    assert [slot.symbol for slot in slots if slot.tier == "cold"] == ["MU", "NVDA"]


def test_the_guides_preset_keeps_the_watchlists_first(lab):
    lab.apply(Config.guide())
    lab.ask("Thesis for IBM?", watchlist=["AAPL"])
    say(lab, ("MU stop is 274", "NVDA"))
    assert lab.messages["symbol"].tolist() == ["AAPL", "AAPL", "NVDA"]
    assert lab.turns["symbol"].tolist() == ["AAPL"]


def test_a_turn_is_replayed_alike_whatever_the_lab_learns_to_be_a_symbol_later(lab):
    now = [NOW]
    lab = Lab(lab.store, clock=lambda: now[0])
    say(lab, ("level is 40 on qzxt", "NVDA"), ("level is 41", "NVDA"), ("level is 42", "AAPL"))
    lab.ask("level of qzxt?", watchlist=["AAPL"])
    now[0] += timedelta(hours=1)
    say(lab, ("bought 100 QZXT at 39", "NVDA"))
    lab.ask("level of qzxt?", watchlist=["AAPL"])
    assert lab.turns["symbol"].tolist() == ["AAPL", "QZXT"]
    replayed = study.replay(lab.snapshot())
    assert replayed.frame["identical"].all()

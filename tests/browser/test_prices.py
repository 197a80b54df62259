"""The watchlist's prices under the chat's header, and the price on a recommendation's card."""

from datetime import UTC, datetime, timedelta

from messages_server import end, say, start, text, tool
from notebook_page import OUTSIDE
from playwright.sync_api import expect

NOW = datetime(2026, 11, 27, 16, tzinfo=UTC)
WIRE = """
from datetime import date, datetime, timedelta
from pathlib import Path
from gallump_lab import Lab
from gallump_lab.market import FileBroker, Quote
clock = lambda: datetime.fromisoformat(Path('clock').read_text())
class Wire(FileBroker):
    live = True
    def quotes(self, symbols):
        aapl, made = float(Path('price').read_text()), clock() - timedelta(minutes=15)
        found = [Quote(symbol='AAPL', date=made.date(), price=aapl, previous=268, at=made),
                 Quote(symbol='IBM', date=date(2026, 11, 16), price=202.91, previous=210)]
        return {each.symbol: each for each in found if each.symbol in symbols}
lab = Lab.open('lab.duckdb', broker=Wire(), clock=clock)
lab.chat(watchlist=['AAPL', 'XYZ'])"""
COLOUR = "each => getComputedStyle(each).color"


def test_the_watchlist_s_prices_tell_change_and_age_and_the_market_is_asked_when_wanted(notebook, keyboard):
    def priced(price):
        (notebook.folder / "price").write_text(price)

    priced("271.30")
    notebook.at(NOW)
    notebook.open(WIRE)
    strip = notebook.chat.get_by_role("group", name="Prices")
    rows = strip.get_by_role("listitem")
    expect(rows).to_have_text(["AAPL$271.30+1.2%15 min old. Fresh", "XYZno price"])

    notebook.chat.get_by_label("Watchlist").fill("AAPL, IBM")
    notebook.chat.get_by_label("Watchlist").press("Tab")
    expect(rows.nth(1)).to_have_text("IBM$202.91-3.4%close of 2026-11-16, 11 days old. Stale: not a current price")
    rose, fell = strip.locator(".gl-rose"), strip.locator(".gl-fell")
    assert rose.evaluate(COLOUR) != fell.evaluate(COLOUR)
    dots = [strip.locator(f".gl-{level}") for level in ("fresh", "stale")]
    assert len({dot.evaluate("each => getComputedStyle(each).borderRadius") for dot in dots}) == 2
    notebook.narrow()
    assert notebook.chat.evaluate(OUTSIDE) == []

    priced("260.00")
    notebook.at(NOW + timedelta(minutes=25))
    notebook.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as every minute
    expect(rows.first).to_have_text("AAPL$271.30+1.2%40 min old. Old: there may be a newer one")
    notebook.box.click()
    keyboard.use(strip.get_by_role("button", name="Ask the market again"), "Shift+Tab")
    expect(rows.first).to_have_text("AAPL$260.00-3.0%15 min old. Fresh")
    keyboard.look()
    keyboard.reach(strip.get_by_role("list"), "Shift+Tab")

    priced("262.00")
    notebook.claude.queue(say("It rose."))
    notebook.ask("How is AAPL?")
    expect(rows.first).to_contain_text("$262.00")
    assert "262.00" not in notebook.saved()
    notebook.restart()
    expect(strip).to_be_hidden()


def test_a_card_tells_the_price_that_its_idea_was_made_at_and_where_the_levels_stand_against_it(notebook):
    idea = {"action": "buy", "symbol": "AAPL", "size": "5%", "entry": 271.3, "stop": 255, "target": 300}
    idea |= {"horizon": "3 months", "confidence": 0.6, "rationale": "It holds its mean."}
    ideas = [idea, {**idea, "symbol": "IBM"}, {**idea, "symbol": "TSLA"}]
    notebook.claude.queue([start(), *text("Three."), *tool({"recommendations": ideas}), *end()])
    (notebook.folder / "price").write_text("271.30")
    notebook.at(NOW)
    notebook.open(WIRE)
    notebook.ask("Any idea on AAPL or IBM?")
    aapl, ibm, tsla = (notebook.replies.get_by_role("group", name=f"buy {each}") for each in ("AAPL", "IBM", "TSLA"))

    def stands():
        for words in ("$271.30 15 min old. Fresh", "$271.30 at the price", "$255.00 6% below", "$300.00 10.6% above"):
            expect(aapl).to_contain_text(words)
        expect(ibm).to_contain_text("$202.91 close of 2026-11-16, 11 days old. Stale: not a current price")
        expect(tsla).to_contain_text("Price thenno price")

    stands()
    notebook.at(NOW + timedelta(days=30))
    notebook.open(WIRE)
    stands()
    notebook.narrow()
    assert notebook.chat.evaluate(OUTSIDE) == []


def test_a_lab_without_prices_says_so_in_a_line(notebook):
    notebook.open("""
from gallump_lab import Lab
from gallump_lab.market import FileBroker
broker = FileBroker()
broker.name, broker.quotes = 'no prices yet: Lab.open(broker=...)', lambda symbols: {}
Lab.open('lab.duckdb', broker=broker).chat()""")
    strip = notebook.chat.get_by_role("group", name="Prices")
    expect(strip).to_have_text("No prices yet: Lab.open(broker=...)↻")
    expect(strip.get_by_role("button")).to_be_hidden()


OWN = """
import pandas as pd
from gallump_lab import Lab
from gallump_lab.market import FrameBroker
days = pd.bdate_range('2026-09-01', '2026-11-26')
closes = pd.DataFrame({'NVDA': [100 + day for day in range(len(days))], 'TSLA': 300.0}, index=days)
broker = FrameBroker(closes, 'held.csv')
print(broker)
lab = Lab.open('lab.duckdb', broker=broker, clock=lambda: pd.Timestamp('2026-11-27 16:00Z').to_pydatetime())
lab.chat(watchlist=['NVDA', 'TSLA'])"""
EXPORT = """"Positions as of 11/26/2026"

Symbol,Description,Qty,Price,Market Value,Cost Basis
NVDA,NVIDIA CORP,120,$162.00,"$19,440.00","$9,312.00"
Cash & Cash Investments,--,--,--,"$3,411.07",--
Account Total,--,--,--,"$22,851.07","$9,312.00"
"""


def test_from_a_brokers_export_and_a_frame_to_a_chat_with_prices_and_a_chart(notebook):
    (notebook.folder / "held.csv").write_text(EXPORT)
    idea = {"action": "hold", "symbol": "NVDA", "size": None, "entry": None, "stop": 140, "target": 190}
    idea |= {"horizon": "3 months", "confidence": 0.6, "rationale": "It rises."}
    notebook.claude.queue([start(), *text("Hold."), *tool({"recommendations": [idea]}), *end()])
    notebook.open(OWN)
    rows = notebook.chat.get_by_role("group", name="Prices").get_by_role("listitem")
    expect(rows).to_have_text(
        ["NVDA$162.00+0.6%close of 2026-11-26. Fresh", "TSLA$300.000.0%close of 2026-11-26. Fresh"]
    )
    notebook.ask("My NVDA stop is 140. Shall I hold?")
    card = notebook.replies.get_by_role("group", name="hold NVDA")
    card.get_by_role("button", name="Chart").click()
    sent = notebook.claude.requests[-1].prompt
    assert "NVDA: 120 at entry 77.60, 162.00 at the close of 2026-11-26, value 19,440.00" in sent
    assert "cash 3,411.07" in sent
    labels = card.locator("svg text")
    for words in ("NVDA closed at 162.00 on 2026-11-26", "entry 77.60", "stop 140"):
        expect(labels.filter(has_text=words).first).to_be_visible()

"""Live prices: yfinance's real package and the documented example against a local server. Not tried live."""

import math
import re
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from chart_server import ChartServer, chart
from clock import Clock

from gallump_lab import Lab, study
from gallump_lab.market import LiveBroker, YahooBroker
from gallump_lab.market.yahoo import _yfinance
from gallump_lab.store import LabBusy

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:yfinance")
FOREVER = 60.0
"""A limit that no test reaches: who waits so long for an answer gets it as soon as it has come."""
DAYS = [("2024-06-05", 196.0), ("2024-06-06", 194.5), ("2024-06-07", 197.0)]


@pytest.fixture
def charts(tmp_path):
    import yfinance

    yfinance.set_tz_cache_location(str(tmp_path / "yfinance"))
    yfinance.data.SingletonMeta._instances.clear()
    with ChartServer() as server:
        yield server
        settle()
    yfinance.data.SingletonMeta._instances.clear()


@pytest.fixture
def clock():
    return Clock(datetime(2024, 6, 10, 15, 0, tzinfo=UTC))  # a Monday, 11:00 in New York


@pytest.fixture
def opened(tmp_path, charts, clock):
    """Open a lab on the same file, with a new broker each time."""

    def lab(**options):
        broker = YahooBroker(**{"clock": clock, "session": charts.session(), "wait": FOREVER, **options})
        return Lab.open(tmp_path / "lab.duckdb", broker=broker, clock=clock), broker

    return lab


def settle():
    for thread in threading.enumerate():
        if thread.name.startswith("gallump-market"):
            thread.join()


def seen(lab, prompt="", watchlist=("AAPL",)):
    return lab._market.build([], prompt, watchlist)


def test_a_prompt_has_the_last_trade_with_its_time_and_the_close_before_from_one_answer_a_symbol(opened, charts):
    charts.charts["NVDA"] = chart([*DAYS, ("2024-06-10", 198.5)], 199.0, "2024-06-10 10:59")
    lab, _ = opened()
    assert charts.asked == []
    context = seen(lab, "How is nvidia?", [])
    assert context.market_lines() == (
        "Source: Yahoo Finance. Last trades, each at the time given, in USD.",
        "NVDA: 199.00 at 2024-06-10 14:59 UTC, 1 min old, +1.0% from 197.00 the close before, volume 5,000",
        "NVDA trend to 2024-06-07: range since 2024-06-05 194.50 to 197.00",
    )
    assert [symbol for symbol, _ in charts.asked] == ["NVDA"]


def test_an_answer_is_used_for_a_minute_and_asked_for_again_from_the_last_whole_day_on(opened, charts, clock):
    charts.charts["AAPL"] = chart(DAYS, 199.0, "2024-06-10 10:59")
    lab, broker = opened()
    for _ in range(2):
        assert seen(lab).quotes["AAPL"].price == 199.0
        assert broker.quotes(["AAPL"])["AAPL"].price == 199.0
    assert len(charts.asked) == 1
    clock.now += timedelta(seconds=61)
    charts.charts["AAPL"] = chart(DAYS[-1:], 200.0, "2024-06-10 11:00")
    assert seen(lab).quotes["AAPL"].price == 200.0
    assert [datetime.fromtimestamp(int(asked["period1"]), UTC).date() for _, asked in charts.asked] == [
        date(2014, 6, 11),
        date(2024, 6, 6),
    ]
    assert list(broker.bars("AAPL", 9)["close"]) == [196.0, 194.5, 197.0]


def test_bars_are_kept_as_traded_and_computed_on_the_basis_of_the_last_with_and_without_dividends(opened, charts):
    # As Yahoo gives them: per share of after the split of ten for one.
    days = [("2024-06-04", 100.0), ("2024-06-05", 99.0), ("2024-06-06", 98.0), ("2024-06-07", 97.0)]
    charts.charts["AAPL"] = chart(
        days, 97.0, "2024-06-10 10:59", splits=[("2024-06-06", 10, 1)], dividends=[("2024-06-05", 0.5)]
    )
    lab, broker = opened()
    broker.quotes(["AAPL"])
    kept = lab.sql("select day, close, volume, split, dividend from bars order by day")
    assert kept["close"].tolist() == [1000.0, 990.0, 98.0, 97.0]
    assert kept["volume"].tolist() == [100.0, 100.0, 1000.0, 1000.0]
    assert kept["split"].tolist() == [1, 1, 10, 1]
    assert kept["dividend"].tolist() == [0, 5, 0, 0]
    bars = broker.bars("AAPL", 9)
    assert bars["close"].tolist() == [100.0, 99.0, 98.0, 97.0]
    assert bars["volume"].tolist() == [1000.0] * 4
    assert bars["adj_close"].tolist() == [100.0 * (1 - 0.5 / 100.0), 99.0, 98.0, 97.0]
    assert broker.bars("AAPL", 2)["close"].tolist() == [98.0, 97.0]


def test_a_source_that_rewrites_its_prices_after_a_split_leaves_what_is_kept_as_it_was(opened, charts, clock):
    charts.charts["AAPL"] = chart(DAYS, 199.0, "2024-06-10 10:59")
    lab, broker = opened()
    broker.quotes(["AAPL"])
    split = [("2024-06-11", 2, 1)]
    # In the morning of the split the last trade is on the new basis, and the bars follow it.
    clock.now = datetime(2024, 6, 11, 15, 0, tzinfo=UTC)
    halved = [("2024-06-07", 98.5), ("2024-06-10", 100.0), ("2024-06-11", 101.0)]
    charts.charts["AAPL"] = chart(halved, 101.0, "2024-06-11 10:59", splits=split)
    assert broker.quotes(["AAPL"])["AAPL"].previous == 100.0
    assert broker.bars("AAPL", 9)["close"].tolist() == [98.0, 97.25, 98.5, 100.0]
    clock.now += timedelta(days=1)
    charts.charts["AAPL"] = chart([*halved[1:], ("2024-06-12", 102.0)], 102.0, "2024-06-12 10:59", splits=split)
    broker.quotes(["AAPL"])
    assert broker.bars("AAPL", 9)["close"].tolist() == [98.0, 97.25, 98.5, 100.0, 101.0]
    kept = lab.sql("select close, split from bars order by day")
    assert kept["close"].tolist() == [196.0, 194.5, 197.0, 200.0, 101.0]
    assert kept["split"].tolist() == [1, 1, 1, 1, 2]


def test_prices_that_were_rewritten_without_a_word_are_fetched_anew(clock):
    answers = [(1000.0, 1010.0), (101.0, 102.0), (100.0, 101.0, 102.0)]

    class Source(LiveBroker):
        def fetch_bars(self, symbol, start):  # noqa: ARG002
            closes = answers.pop(0)
            days = pd.date_range("2024-06-05" if start is None else start, periods=len(closes))
            return pd.DataFrame({"date": days, "close": closes})

    broker = Source(wait=FOREVER, clock=clock)
    assert broker.quotes(["AAPL"])["AAPL"].price == 1010.0
    clock.now += timedelta(minutes=2)
    assert broker.quotes(["AAPL"])["AAPL"].price == 102.0
    assert broker.bars("AAPL", 9)["close"].tolist() == [100.0, 101.0, 102.0]
    assert answers == []


def test_the_day_that_is_not_over_at_the_exchange_is_never_kept(opened, charts, clock):
    clock.now = datetime(2024, 6, 10, 17, 0, tzinfo=UTC)  # already the 11th in Hong Kong
    days = [*DAYS, ("2024-06-10", 198.0)]
    charts.charts["AAPL"] = chart(days, 198.0, "2024-06-10 12:59")
    charts.charts["0700.HK"] = chart(days, 380.0, "2024-06-10 16:08", zone="Asia/Hong_Kong", currency="HKD")
    lab, broker = opened(rates={"HKD": 0.125})
    quotes = broker.quotes(["AAPL", "0700.HK"])
    newest = lab.sql("select symbol, max(day) as day from bars group by symbol order by symbol")
    assert [day.date() for day in newest["day"]] == [date(2024, 6, 10), date(2024, 6, 7)]
    assert quotes["0700.HK"].at == datetime(2024, 6, 10, 8, 8, tzinfo=UTC)
    assert (quotes["0700.HK"].price, quotes["0700.HK"].previous) == (47.5, 197.0 / 8)
    assert broker.bars("0700.HK", 1)["close"].tolist() == [198.0 / 8]
    clock.now = datetime(2024, 6, 11, 15, 0, tzinfo=UTC)
    charts.charts["AAPL"] = chart([*days[2:], ("2024-06-11", 201.0)], 201.0, "2024-06-11 10:59")
    assert broker.quotes(["AAPL"])["AAPL"].previous == 198.0


def test_what_is_not_in_dollars_is_told_and_left_out_unless_there_is_a_rate(opened, charts):
    charts.charts["VOD.L"] = chart(
        [("2024-06-06", 70.0)], 72.0, "2024-06-10 15:59", zone="Europe/London", currency="GBp"
    )
    context = seen(opened()[0], watchlist=["VOD.L"])
    assert context.missing == ("VOD.L",)
    assert context.trends == {}
    assert context.problems == ("VOD.L is in GBP, not USD; YahooBroker(rates={'GBP': USD per GBP}) takes it.",)
    quote = seen(opened(rates={"GBP": 1.25})[0], watchlist=["VOD.L"]).quotes["VOD.L"]
    assert (round(quote.price, 9), quote.previous) == (0.9, 0.875)


def test_a_class_of_shares_is_asked_for_as_yahoo_spells_it(opened, charts):
    charts.charts["BRK-B"] = chart(DAYS, 410.0, "2024-06-10 10:59")
    assert seen(opened()[0], watchlist=["BRK.B"]).quotes["BRK.B"].price == 410.0


def test_a_symbol_that_means_several_things_is_asked_for_once_it_is_said_which(opened, charts):
    charts.charts["CL=F"] = chart(DAYS, 70.0, "2024-06-10 10:59")
    charts.charts["BTC-USD"] = chart([("2024-06-09", 69_000.0)], 70_000.0, "2024-06-10 14:59", zone="UTC")
    lab, _ = opened()
    context = seen(lab, "What about bitcoin?", ["CL", "^GSPC"])
    assert context.quotes["BTC"].price == 70_000.0
    assert context.problems == (
        "Yahoo Finance gave nothing for ^GSPC.",
        "CL means several things; YahooBroker(names={'CL': ...}) tells Yahoo Finance which.",
    )
    assert [symbol for symbol, _ in charts.asked if symbol != "^GSPC"] == ["BTC-USD"]
    assert seen(opened(names={"cl": "CL=F"})[0], watchlist=["CL"]).quotes["CL"].price == 70.0


def test_halted_days_are_passed_over(opened, charts):
    days = [("2024-06-05", 10.0), ("2024-06-06", None), ("2024-06-07", 5.5), ("2024-06-10", None)]
    charts.charts["AAPL"] = chart(days, 5.5, "2024-06-07 15:59", splits=[("2024-06-06", 2, 1)])
    lab, broker = opened()
    quote = broker.quotes(["AAPL"])["AAPL"]
    assert (quote.date, quote.price, quote.previous) == (date(2024, 6, 7), 5.5, 10.0)
    assert lab.sql("select close, split from bars order by day").to_numpy().tolist() == [[20.0, 1.0], [5.5, 2.0]]
    assert broker.trouble == ()


def test_after_429_it_asks_nothing_until_a_growing_pause_is_over(opened, charts, clock):
    charts.charts["AAPL"] = chart(DAYS, 199.0, "2024-06-10 10:59")
    lab, broker = opened()
    seen(lab)
    charts.charts["AAPL"] = 429
    for pause in (60, 120, 240, 480, 900, 900):
        clock.now += timedelta(seconds=1_000)
        charts.asked.clear()
        context = seen(lab)
        assert len(charts.asked) == 2  # yfinance asks once more with another cookie
        until = clock.now + timedelta(seconds=pause)
        told = f"Yahoo Finance was asked too often, and is left alone until {until:%Y-%m-%d %H:%M} UTC."
        assert context.problems == (told,)
        assert (context.quotes["AAPL"].price, f"{context.quotes['AAPL'].at:%H:%M}") == (199.0, "14:59")
        clock.now = until - timedelta(seconds=1)
        assert seen(lab, watchlist=["AAPL", "MSFT"]).problems == (told,)
        assert len(charts.asked) == 2
    clock.now += timedelta(seconds=1)
    charts.charts["AAPL"] = chart(DAYS, 201.0, "2024-06-10 12:59")
    assert seen(lab).quotes["AAPL"].price == 201.0
    charts.charts["AAPL"] = 429
    clock.now += timedelta(seconds=61)
    seen(lab)
    assert broker._until == clock.now + timedelta(seconds=60)


def test_an_empty_answer_is_told_as_such_and_costs_nothing_that_is_known(opened, charts, clock):
    charts.charts["AAPL"] = chart(DAYS, 199.0, "2024-06-10 10:59")
    lab, broker = opened()
    seen(lab)
    empty = {"chart": {"result": [], "error": None}}
    for answer in (404, empty):
        clock.now += timedelta(minutes=2)
        charts.charts["AAPL"] = answer
        context = seen(lab)
        assert context.problems == ("Yahoo Finance gave nothing for AAPL.",)
        assert context.quotes["AAPL"].price == 199.0
    assert len(broker.bars("AAPL", 9)) == 3
    assert seen(lab, watchlist=["XYZQ"]).missing == ("XYZQ",)


def test_a_turn_does_not_wait_for_a_slow_source_and_the_next_one_has_what_came_late(opened, charts, clock):
    charts.charts["AAPL"] = chart(DAYS, 199.0, "2024-06-10 10:59")
    seen(opened()[0])
    asked, arrived = threading.Event(), threading.Event()

    def late():
        asked.set()
        arrived.wait(FOREVER)
        return chart(DAYS, 202.0, "2024-06-10 11:01")

    charts.charts["AAPL"] = charts.charts["MSFT"] = late
    clock.now += timedelta(minutes=2)
    lab, _ = opened(wait=0)
    seen(lab)
    asked.wait(FOREVER)
    context = seen(lab, watchlist=["AAPL", "MSFT"])
    assert (context.quotes["AAPL"].price, context.quotes["AAPL"].date) == (197.0, date(2024, 6, 7))
    assert context.missing == ("MSFT",)
    told = "Yahoo Finance has not answered yet for AAPL, MSFT; what is known of them may be older."
    assert context.problems == (told,)
    assert f"Trouble: {told}" in context.market_lines()
    arrived.set()
    settle()
    answered = len(charts.asked)
    context = seen(lab, watchlist=["AAPL", "MSFT"])
    assert {quote.price for quote in context.quotes.values()} == {202.0}
    assert (context.problems, len(charts.asked)) == ((), answered)


def test_what_fails_for_one_symbol_is_told_without_address_or_key_and_the_others_are_there(tmp_path, clock):
    class Source(LiveBroker):
        name = "mine"

        def fetch_bars(self, symbol, start):  # noqa: ARG002
            if symbol == "IBM":
                msg = "no answer from https://mine.example/v1?key=abc today, sk-ant-api03-" + "a" * 90
                raise ConnectionError(msg)
            return pd.DataFrame({"Close": [10.0, 11.0]}, index=pd.to_datetime(["2024-06-06", "2024-06-07"]))

    lab = Lab.open(tmp_path / "lab.duckdb", broker=Source(wait=FOREVER, clock=clock), clock=clock)
    context = seen(lab, watchlist=["AAPL", "IBM", "MSFT"])
    assert {quote.price for quote in context.quotes.values()} == {11.0}
    assert list(context.quotes) == ["AAPL", "MSFT"]
    (told,) = context.problems
    assert told.startswith("mine could not give IBM (ConnectionError: no answer from https://... today, [")
    assert "AAPL: 11.00 at the close of 2024-06-07, +10.0% from 10.00 the close before" in context.market_lines()


def test_the_lab_gives_the_last_closes_where_the_source_gives_nothing(opened, charts):
    charts.charts["AAPL"] = chart(DAYS, 199.0, "2024-06-10 10:59")
    broker = opened()[1]
    assert "SNDK" not in broker.symbols()
    broker.quotes(["AAPL", "SNDK"])
    charts.charts["SNDK"] = chart(DAYS, 40.0, "2024-06-10 10:59")
    opened()[1].quotes(["SNDK"])
    charts.charts.clear()
    lab, broker = opened()
    assert {"AAPL", "SNDK"} <= broker.symbols()
    context = seen(lab, "And SNDK?")
    assert (context.quotes["AAPL"].price, context.quotes["AAPL"].at) == (197.0, None)
    assert context.quotes["SNDK"].price == 197.0


def test_a_lab_that_is_busy_is_written_to_after_the_next_answer(opened, charts, clock, monkeypatch):
    charts.charts["AAPL"] = chart(DAYS, 199.0, "2024-06-10 10:59")
    lab, broker = opened()

    def busy():
        raise LabBusy(lab.store.path, None, 0.0)

    with monkeypatch.context() as patched:
        patched.setattr(lab.store, "write", busy)
        assert broker.quotes(["AAPL"])["AAPL"].price == 199.0
    assert lab.sql("select * from bars").empty
    clock.now += timedelta(minutes=2)
    broker.quotes(["AAPL"])
    assert len(lab.sql("select * from bars")) == 3


def test_positions_are_worth_the_last_trade(opened, charts, tmp_path):
    charts.charts["AAPL"] = chart(DAYS, 199.0, "2024-06-10 10:59")
    file = tmp_path / "positions.csv"
    file.write_text("Symbol,Qty,Average Cost\nAAPL,10,150\n")
    context = seen(opened(positions=file)[0], watchlist=[])
    assert context.portfolio_lines()[0].endswith("total 1,990.00 USD, cash 0.00, positions 1,990.00")
    frame = pd.DataFrame({"symbol": ["AAPL", "IBM"], "quantity": [2, "two"], "entry": [150, 100]})
    with pytest.warns(UserWarning, match="your positions, row 1: quantity"):
        broker = opened(positions=frame)[1]
    assert broker.portfolio().positions[0].quantity == 2
    head, understood, left_out = repr(broker).splitlines()
    assert head == "<YahooBroker 'Yahoo Finance': asked while you chat>"
    assert understood.startswith("your positions: 1 position; columns symbol, quantity, entry")
    assert left_out.startswith("your positions, row 1: quantity")


def test_nothing_is_scanned_which_would_fetch_the_universe(opened, charts):
    charts.charts["AAPL"] = chart(DAYS, 199.0, "2024-06-10 10:59")
    lab, broker = opened()
    assert len(broker.symbols()) > 100
    assert seen(lab).movers is None
    assert [symbol for symbol, _ in charts.asked] == ["AAPL"]


def test_a_replay_uses_what_was_recorded(opened, charts):
    charts.charts["AAPL"] = chart(DAYS, 199.0, "2024-06-10 10:59")
    lab, _ = opened()
    lab.ask("What of AAPL?")
    asked = len(charts.asked)
    charts.charts.clear()
    replayed = study.replay(lab.snapshot())
    assert replayed.frame["identical"].tolist() == [True]
    assert len(charts.asked) == asked


def test_a_lab_whose_clock_stands_elsewhere_refuses_live_prices(tmp_path, charts):
    broker = YahooBroker(session=charts.session())
    with pytest.raises(ValueError, match="gives the prices of today, but this lab's clock stands at 2013-03-02"):
        Lab.open(tmp_path / "lab.duckdb", broker=broker, clock=lambda: datetime(2013, 3, 2, tzinfo=UTC))


def test_without_its_extra_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "yfinance", None)
    _yfinance.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'gallump-lab\[live\]'"):
        YahooBroker()


def test_importing_the_market_imports_no_yfinance():
    code = "import sys, gallump_lab.market; sys.exit('yfinance' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_example_of_a_source_of_ones_own_works_as_it_is_shown(charts, clock, tmp_path, monkeypatch):
    shown = textwrap.dedent(LiveBroker.__doc__.partition("::\n")[2])
    assert len(shown.strip().splitlines()) <= 45
    names: dict[str, type] = {}
    exec(shown.replace("lab = Lab.open", "# ", 1), names)  # noqa: S102 - what is shown is what is run
    source = names["Alpaca"]
    source.address = charts.url
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.setenv(name, "made-up")
    bars = [{"t": f"2024-06-0{day}T04:00:00Z", "o": c, "h": c, "l": c, "c": c, "v": 9} for day, c in ((6, 40), (7, 19))]
    actions = {
        "forward_splits": [{"symbol": "AAPL", "ex_date": "2024-06-07", "new_rate": 2, "old_rate": 1}],
        "cash_dividends": [{"symbol": "AAPL", "ex_date": "2024-06-07", "rate": 0.5}],
    }
    charts.others = {
        "/v2/stocks/bars": {"bars": {"AAPL": bars}, "next_page_token": None},
        "/v1/corporate-actions": {"corporate_actions": actions, "next_page_token": None},
        "/v2/stocks/trades/latest": {"trades": {"AAPL": {"t": "2024-06-10T14:59:30.123456789Z", "p": 21.0, "s": 5}}},
    }
    broker = source(wait=FOREVER, clock=clock)
    lab = Lab.open(tmp_path / "lab.duckdb", broker=broker, clock=clock)
    context = seen(lab, watchlist=["AAPL"])
    quote = context.quotes["AAPL"]
    assert (quote.price, quote.previous, f"{quote.at:%H:%M:%S}") == (21.0, 19.0, "14:59:30")
    found = broker.bars("AAPL", 9)
    assert found["close"].tolist() == [20.0, 19.0]
    assert math.isclose(found["adj_close"][0], 20 * (1 - 0.5 / 20))
    clock.now += timedelta(minutes=2)
    charts.others["/v2/stocks/trades/latest"], charts.headers = 429, {"Retry-After": "3600"}
    (told,) = seen(lab, watchlist=["AAPL"]).problems
    assert re.search(r"Alpaca was asked too often, and is left alone until 2024-06-10 16:02 UTC\.", told)
    assert broker.quotes(["AAPL"]) == {"AAPL": quote}

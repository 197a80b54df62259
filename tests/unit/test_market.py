"""The market room: symbols, bundled data, the context of a turn, the scanner, files, live and failing brokers."""

import hashlib
import json
import re
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from gallump_lab.bundled import bundled
from gallump_lab.market import (
    ContextBuilder,
    FileBroker,
    MarketContext,
    MarketFileError,
    MarketScanner,
    Mover,
    Movers,
    Portfolio,
    Position,
    Quote,
    SymbolError,
    Trend,
    freshness,
    validate_symbol,
)
from gallump_lab.market.bars import make_bars
from gallump_lab.market.positions import make_portfolio
from gallump_lab.reading.symbols import symbols_in
from gallump_lab.reading.text_files import Problems
from gallump_lab.store import Cache, Store

HEADER = "symbol,date,open,high,low,close,volume\n"
SPLITS = HEADER.replace("volume", "volume,split")


def at(year, month, day, hour=22):
    return lambda: datetime(year, month, day, hour, tzinfo=UTC)


def written(folder: Path, text: str, name: str = "prices.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def daily(symbol: str, closes, volumes=None, first=date(2024, 1, 1)) -> str:
    volumes = volumes or [1000] * len(closes)
    rows = (
        f"{symbol},{first + timedelta(days=day)},{close},{close},{close},{close},{volume}\n"
        for day, (close, volume) in enumerate(zip(closes, volumes, strict=True))
    )
    return "".join(rows)


class LiveBroker:
    """A source of quotes that change and cost a call."""

    name, live = "wire", True

    def __init__(self, price=100.0, fault=None):
        self.price, self.fault, self.calls = price, fault, 0

    def symbols(self):
        return frozenset()

    def data_date(self):
        return None

    def quotes(self, symbols):
        self.calls += 1
        if self.fault:
            raise self.fault
        taken = datetime(2026, 11, 20, 15, 31, tzinfo=UTC)
        return {name: Quote(symbol=name, date=taken.date(), price=self.price, at=taken) for name in symbols}

    def bars(self, symbol, days):  # noqa: ARG002
        if self.fault:
            raise self.fault
        return pd.DataFrame(columns=["date", "open", "high", "low", "close", "volume"])

    def portfolio(self):
        return Portfolio()


@pytest.fixture(scope="module")
def bundled_broker():
    return FileBroker()


@pytest.fixture(scope="module")
def builder(bundled_broker):
    return ContextBuilder(bundled_broker, clock=at(2013, 3, 1))


# Symbols


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("aapl", "AAPL"),
        ("^gspc", "^GSPC"),
        *((text, "BRK.B") for text in ("BRK.B", "brk-b", "BRK/B", "brk b")),
        *((text, text) for text in ("BTC-USD", "EURUSD=X", "7203.T", "VOLV-B.ST", "M&M.NS", "ES1!", "VOD.L")),
        ("SPAXX**", "SPAXX"),
        ("AAPL240119C00190000", "AAPL240119C00190000"),
        ("SPXW  240119P04500000", "SPXW240119P04500000"),
    ],
)
def test_a_symbol_comes_back_in_its_one_form(text, symbol):
    assert validate_symbol(text) == symbol


@pytest.mark.parametrize("text", ["", "AA PL", "IBM F", "AAPL\n", "A" * 16, "A&", "<b>AAPL</b>", "é", "..", None, 5])
def test_what_is_no_symbol_is_named_in_the_error(text):
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        validate_symbol(text)


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("what about MSFT?", ("MSFT",)),
        ("$ibm, or $TSLA", ("IBM", "TSLA")),
        ("BRK.B and $brk.b's price", ("BRK.B",)),
        ("Is the CEO of a USA firm right? I doubt it. A good day.", ()),
        ("AAPL/MSFT, IBM-FB (GOOG)", ("AAPL", "MSFT", "IBM", "FB", "GOOG")),
        ("$190 to $210, $5M", ()),
        ("BRK-B, BRK/B or $BRK B? brk b no", ("BRK.B",)),
        ("$TSLA A good buy! AAPL! AAPL A share", ("TSLA", "AAPL")),
        ("M&M.NS and ES1! (not S&P, AT&T)", ("M&M.NS", "ES1!")),
        ("AAPL240119C00190000 at 3", ("AAPL240119C00190000",)),
    ],
)
def test_symbols_are_found_in_a_prompt(prompt, found):
    universe = {"AAPL", "MSFT", "IBM", "FB", "GOOG", "BRK-B", "A", "I", "M&M.NS", "ES1!", "AAPL240119C00190000"}
    assert symbols_in(prompt, universe) == found


def test_a_broker_is_asked_in_its_own_spelling(tmp_path):
    class Own(LiveBroker):
        def symbols(self):
            return frozenset({"BRK-B"})

        def quotes(self, symbols):
            return super().quotes([symbol for symbol in symbols if symbol in self.symbols()])

    context = ContextBuilder(Own()).build([], "BRK.B or BRK B?", ["brk/b"])
    assert (context.symbols, context.missing, list(context.quotes)) == (("BRK.B",), (), ["BRK.B"])
    rows = "brk-b,2024-01-01,1,1,1,1,1\nBRK/B,2024-01-02,2,2,2,2,2\n"
    broker = FileBroker(written(tmp_path, HEADER + rows))
    assert list(broker.bars("BRK B", 9)["close"]) == list(broker.bars("BRK-B", 9)["close"]) == [1, 2]


# The bundled data


def test_the_readme_gives_the_sha256_of_every_bundled_file():
    readme = bundled("README.md")
    listed = dict(re.findall(r"^\| (\S+) \| ([0-9a-f]{64}) \|$", readme.read_text(encoding="utf-8"), re.MULTILINE))
    source = {".md", ".py", ".pyc"}  # and all that the sample is made from
    files = [path for path in readme.parent.rglob("*") if path.is_file() and path.suffix not in source]
    files = [path for path in files if "sample_source" not in path.parts]
    assert {
        path.relative_to(readme.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    } == listed


def test_the_bundled_broker_serves_the_last_closes_of_five_stocks(bundled_broker):
    assert bundled_broker.symbols() == {"AAPL", "FB", "GOOG", "IBM", "MSFT"}
    assert bundled_broker.data_date() == date(2013, 3, 1)
    quote = bundled_broker.quotes(["AAPL", "TSLA"])
    assert quote == {
        "AAPL": Quote(symbol="AAPL", date=date(2013, 3, 1), price=430.47, previous=441.40, volume=19_730_300)
    }
    assert quote["AAPL"].change == pytest.approx(-2.476, abs=0.001)


def test_prices_are_adjusted_for_splits_known_at_the_moment_and_no_later():
    before = FileBroker(clock=at(2005, 2, 25)).bars("AAPL", 2)
    after = FileBroker(clock=at(2005, 2, 28)).bars("AAPL", 2)
    assert list(before["close"]) == [88.93, 88.99]
    assert list(after["close"]) == [88.99 / 2, 44.86]
    assert list(after["volume"]) == [16_348_400 * 2, 11_635_900]
    whole = FileBroker().bars("AAPL", 10_000)["close"]
    assert abs(whole / whole.shift(1) - 1).max() < 0.55  # 52 percent were lost on 2000-09-29


def test_a_clock_hides_every_bar_whose_day_has_not_closed():
    broker = FileBroker(clock=at(2012, 5, 18, hour=20))
    assert broker.data_date() == date(2012, 5, 17)
    assert broker.bars("AAPL", 5)["date"].max() == pd.Timestamp(2012, 5, 17)
    assert "FB" not in broker.symbols()
    assert broker.quotes(["FB"]) == {}
    lines = ContextBuilder(broker).build([], "FB or $FB?", ["AAPL"]).market_lines()
    assert not any(re.search(r"2012-05-1[89]|2013", line) for line in lines)
    assert "FB" in FileBroker(clock=at(2012, 5, 18, hour=21)).symbols()


# Building a context


def test_a_prompt_names_symbols_in_whatever_words_and_is_told_of_those_without_bars(builder):
    found = builder.build([], "is facebook cheaper than google, msft or palantir?", [])
    assert (found.symbols, found.missing) == (("FB", "GOOG", "MSFT", "PLTR"), ("PLTR",))


def test_a_turn_s_market_is_the_watchlist_s_then_what_the_prompt_names(builder):
    context = builder.build(["msft", "fb"], "what about IBM, $TSLA and MSFT? The CEO...", ["aapl", "MSFT", "AAPL"])
    assert context.symbols == ("AAPL", "MSFT", "FB", "IBM", "TSLA")
    assert context.missing == ("TSLA",)
    assert set(context.trends) == {"AAPL", "MSFT", "FB", "IBM"}
    trend = context.trends["FB"]
    assert (trend.since, trend.low, trend.high) == (date(2012, 5, 18), 17.55, 45.0)
    total, *positions = context.portfolio_lines()
    assert total == "Portfolio (a sample, made up): total 70,942.98 USD, cash 25,000.00, positions 45,942.98"
    assert positions[0].startswith("AAPL: 30 at entry 522.10, 430.47 at the close of 2013-03-01, value 12,914.10, ")
    assert positions[0].endswith(", unrealised -2,748.90 USD (-17.6%)")
    for watchlist in (["AAPL", "<script>"], "AAPL"):
        with pytest.raises(SymbolError):
            builder.build([], "hello", watchlist)


def test_lines_give_each_price_with_its_day_and_say_that_it_is_not_live(builder):
    lines = builder.build(["AAPL"], "and TSLA, $TSLA?", ["AAPL"]).market_lines()
    assert lines == (
        (
            "Source: bundled sample of daily bars. Daily closes of the dates given, in USD, not live prices. "
            "The newest is of 2013-03-01."
        ),
        "AAPL: 430.47 at the close of 2013-03-01, -2.5% from 441.40 the close before, volume 19,730,300",
        "No data for TSLA: the price is not known here.",
        (
            "AAPL trend to 2013-03-01: -4.5% in 5 bars, -5.5% in 20 bars, -26.6% in 60 bars, "
            "range of 52 weeks 429.98 to 705.07, -11.3% from the 50-bar mean"
        ),
        "Gainers of 2013-03-01: FB +1.9%, IBM +1.0%, GOOG +0.6%",
        "Losers of 2013-03-01: AAPL -2.5%",
    )


def test_own_positions_short_fractional_and_without_data(tmp_path):
    rows = "symbol,quantity,entry\nfb,-10,30\nXYZ,1.5,200\nIBM,2,200\nIBM,2,210\nCASH,100,\ncash,-50.5,\n"
    broker = FileBroker(bundled("bars.parquet"), written(tmp_path, rows))
    assert ContextBuilder(broker, clock=at(2013, 3, 1)).build([], "", []).portfolio_lines() == (
        "Portfolio (prices.csv): total 583.34 USD, cash 49.50, positions 533.84, not counting XYZ",
        "IBM: 4 at entry 205.00, 202.91 at the close of 2013-03-01, value 811.64, unrealised -8.36 USD (-1.0%)",
        "FB: -10 at entry 30.00, 27.78 at the close of 2013-03-01, value -277.80, unrealised +22.20 USD (+7.4%)",
        "XYZ: 1.5 at entry 200.00; no data, value unknown",
    )


# The scanner


def test_the_scanner_finds_gainers_losers_and_unusual_volume(tmp_path):
    flat = [100] * 24
    text = HEADER + "".join(
        [
            daily("UP1", [*flat, 101]),
            daily("UP2", [*flat, 102]),
            daily("UP3", [*flat, 103]),
            daily("UP4", [*flat, 104]),
            daily("DOWN", [*flat, 99], [1000] * 24 + [2500]),
            daily("DEEP", [*flat, 98]),
            daily("SAME", [*flat, 100], [1000] * 24 + [1999]),
            daily("NEW", [100, 110], [1, 1000], first=date(2024, 1, 24)),
            daily("ONE", [5], first=date(2024, 1, 25)),
            daily("GONE", [100, 200]),
        ]
    )
    movers = MarketScanner(FileBroker(written(tmp_path, text))).scan()
    assert movers.date == date(2024, 1, 25)
    assert [mover.symbol for mover in movers.gainers] == ["NEW", "UP4", "UP3"]
    assert [mover.symbol for mover in movers.losers] == ["DEEP", "DOWN"]
    assert movers.losers[1] == Mover(symbol="DOWN", change=100 * (99 / 100 - 1), volume_ratio=2.5)
    assert [mover.symbol for mover in movers.unusual] == ["DOWN"]


def test_the_scanner_follows_the_day_of_the_data():
    moment = [datetime(2013, 2, 28, 22, tzinfo=UTC)]
    scanner = MarketScanner(FileBroker(clock=lambda: moment[0]))
    first = scanner.scan()
    assert scanner.scan() is first
    moment[0] += timedelta(days=1)
    assert (first.date, scanner.scan().date) == (date(2013, 2, 28), date(2013, 3, 1))


# Gaps in the data


@pytest.mark.parametrize(
    "rows",
    [
        "XYZ,2024-01-01,,,,10,\n",
        "XYZ,2024-01-01,nan,nan,nan,10,nan\nXYZ,2024-01-02,,,,,\n",
        daily("XYZ", [0.00012, 0.00013]),
        daily("XYZ", range(10, 40), [1000] * 29 + ["nan"]),
    ],
)
def test_gaps_and_short_histories_neither_fail_nor_show_as_nan(tmp_path, rows):
    context = ContextBuilder(FileBroker(written(tmp_path, HEADER + rows))).build([], "", ["XYZ"])
    assert context.problems == ()
    assert context.missing == ()
    assert context.portfolio_lines() == ()  # own bars do not come with the sample portfolio
    text = "\n".join(context.market_lines())
    assert "XYZ: " in text
    assert not re.search(r"\b(nan|none|inf)\b", text, re.IGNORECASE)


# The user's own files


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("symbol,open\nA,1\n", "lacks the columns date, close; it has symbol, open. Bars have a row for"),
        (
            HEADER + "A,24-01-02,1,1,1,1,1\n",
            "no row with a close.* line 2: date must be a day such as 2013-03-01",
        ),
        (HEADER, "no row with a close"),
        ("", "it has nothing"),
        (
            HEADER + 'A,2024-01-01,1,"2,000","1,000","1,234",1\n',
            "not '2,000', which may be 2000 or 2",
        ),
        (SPLITS + "A,2024-01-02,1,1,1,1,1,two\n", "line 2: split must be a number.*'two'. All earlier prices rest on"),
        (SPLITS + "A,today,1,1,1,1,1,2\n", "line 2: date must be a day .*'today'. All earlier prices rest on"),
        (
            SPLITS + "A,2024-01-01,1,1,1,1,1,1\nA,2024-01-01,1,1,1,1,1,2\n",
            "line 3: split must be that of the day",
        ),
        (HEADER + "A,2024-01-01,1,1,1,1,\x81\n", "cannot be read as CSV: .* Save it as UTF-8"),
    ],
)
def test_an_error_in_a_file_of_bars_names_file_column_and_line(tmp_path, text, words):
    path = tmp_path / "prices.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(MarketFileError, match=rf"prices.csv.*{words}"):
        FileBroker(path)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("A,02/01/2024,1,1,1,1,1\n", "line 3: date must be a day such as 2013-03-01, not '02/01/2024'; left out."),
        (",2024-01-01,1,1,1,1,1\n", "line 3: symbol must be given, not empty"),
        ("A,2024-01-01,1,1,1,inf,1\n", "line 3: close must be a number such as 1234.5, not 'inf'"),
        ("A,2024-01-01,1,1,0,1,1\n", "line 3: low must be a price, or empty if it is not known, not '0'"),
        ("A,2024-01-01,1,1,1,1,-1\n", "line 3: volume must be 0 or more, not '-1'"),
        ("A,2024-01-01,1,180,190,185,1\n", "line 3: high must be at least the low, not '180'"),
        ("A,2024-01-01,9,142,9,500,1\n", "line 3: close must lie between the low and the high, not '500'"),
        (
            "A C,2024-01-01,1,1,1,1,1\n" * 3,
            "line 3 and 2 more: symbol must be 1 to 15 letters and digits, such as 'AAPL'",
        ),
        ("A,2024-01-01,1,1,1,1,1,9\n", "line 3: it must have 7 fields as the header has, not 8"),
        (
            "A,2024-01-04,1,3,1,2,1\na,2024-01-04,1,3,1,3,1\n",
            "line 3 and 1 more: it must be the only row of its symbol",
        ),
    ],
)
def test_a_bad_row_of_bars_is_left_out_counted_and_named(tmp_path, rows, problem):
    good = "A,2024-01-03,5.5,7,5,6,1\n"
    path = written(tmp_path, HEADER + good + rows + good.replace("03", "05"))
    with pytest.warns(UserWarning, match=re.escape(problem)):
        broker = FileBroker(path)
    assert list(broker.bars("A", 9)["close"]) == [6, 6]
    number = rows.count("\n")
    source = f"prices.csv, {number} row{'s' * (number > 1)} left out"
    assert problem in repr(broker)
    assert ContextBuilder(broker).build([], "", ["A"]).market_lines()[0].startswith(f"Source: {source}. ")


def test_a_row_that_is_left_out_does_not_take_its_split_with_it(tmp_path):
    rows = "A,2024-01-01,10,12,9,11,5,\nA,2024-01-02,5,4,5,6,20,2\nA,2024-01-03,5,6,5,6,20,1\n"
    with pytest.warns(UserWarning, match="high must be at least the low, not '4'"):
        broker = FileBroker(written(tmp_path, SPLITS + rows))
    assert list(broker.bars("A", 9)["close"]) == [5.5, 6]


def test_prices_below_zero_are_prices_but_no_base_of_a_percentage(tmp_path):
    rows = "CL=F,2020-04-17,20,21,18,18.27,1\nCL=F,2020-04-20,17.7,17.8,-40.3,-37.63,1\n"
    broker = FileBroker(written(tmp_path, HEADER + rows + "CL=F,2020-04-21,-14,13.8,-16,10.01,1\n"))
    context = ContextBuilder(broker).build([], "", ["CL=F"])
    assert (context.problems, broker.problems) == ((), ())
    quote, trend = context.quotes["CL=F"], context.trends["CL=F"]
    assert (quote.price, quote.previous, quote.change) == (10.01, -37.63, None)
    assert (trend.low, trend.high) == (-40.3, 21)
    assert context.movers.gainers == context.movers.losers == ()


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffsymbol;date;open;high;low;close;volume\nSAP.DE;2024-01-02;139,50;140,1;138,2;1.139,86;1.234.567\n",
        "symbol\tdate\topen\thigh\tlow\tclose\tvolume\nSAP.DE\t2024-01-02\t$139.50\t140.1\t138.2\t1,139.86\t1 234 567\n",  # noqa: E501
        HEADER + "SAP.DE,2024-01-02,139.5,140.1,138.2,1.13986k,1.234567M\n",
    ],
)
def test_semicolons_a_byte_order_mark_and_decimal_commas_are_read(tmp_path, text):
    broker = FileBroker(written(tmp_path, text.replace("140", "1140")))
    assert broker.bars("SAP.DE", 1).iloc[0].tolist()[1:] == [139.5, 1140.1, 138.2, 1139.86, 1234567]


PARQUET = "select 'A' as symbol, date '2024-01-02' as date, 1 as open, 1 as high, 1 as low, {} as close, 1 as volume"


def parquet(path: Path, select: str) -> Path:
    with duckdb.connect() as con:
        con.execute(f"set timezone = 'UTC'; copy ({select}) to '{path}' (format parquet)")
    return path


# Days of bars


@pytest.fixture(params=["Asia/Hong_Kong", "America/Los_Angeles"])
def machine(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("machine")
def test_a_parquet_date_with_a_time_zone_is_the_exchanges_on_every_machine(tmp_path):
    def last(symbol, instant):
        select = PARQUET.format(1).replace("'A'", f"'{symbol}'").replace("date '2024-01-02'", instant)
        return FileBroker(parquet(tmp_path / "bars.parquet", select)).data_date()

    assert last("0700.HK", "timestamptz '2024-01-02 16:00:00+00'") == date(2024, 1, 3)
    assert last("AAPL", "timestamptz '2024-01-03 05:00:00+00'") == date(2024, 1, 3)
    assert last("SAP.DE", "timestamptz '2024-07-01 22:00:00+00'") == date(2024, 7, 2)
    assert last("RY.TO", "timestamptz '2024-01-03 21:00:00+00'") == date(2024, 1, 3)
    assert last("A", "timestamp '2024-01-03'") == last("A", "timestamp_ns '2024-01-03'") == date(2024, 1, 3)
    with pytest.raises(MarketFileError, match="must be the exchange's day alone"):
        last("^GDAXI", "timestamptz '2024-01-01 23:00:00+00'")


@pytest.mark.parametrize(
    ("symbol", "text", "day"),
    [
        ("A", "2024/1/2", 2),
        ("A", "2024-01-02 00:00:00 UTC", 2),
        ("^N225", "2024-01-02 00:00:00+09:00", 2),
        ("AAPL", "2024-01-01 21:00:00-08:00", 2),
        ("SAP.DE", "2024-01-01 23:00:00+00:00", 2),
        ("^GDAXI", "2024-01-01 23:00:00+00:00", None),
        ("AAPL", "9999-12-31 23:00:00-08:00", None),
        ("A", "24-01-02", None),
        ("A", "2024-13-02", None),
    ],
)
def test_the_day_of_a_bar_is_read_as_written_or_refused(tmp_path, symbol, text, day):
    path = written(tmp_path, HEADER + f"{symbol},{text},1,1,1,1,1\n")
    if day is None:
        with pytest.raises(MarketFileError, match=f"date must be .* not '{re.escape(text)}'"):
            FileBroker(path)
    else:
        assert FileBroker(path).data_date() == date(2024, 1, day)


# Positions


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("A,ten,1\n", "line 3: quantity must be a number such as 1234.5, not 'ten'"),
        ("A,,1\n", "line 3: quantity must be a number, not empty"),
        ("A,1,-1\n", "line 3: entry must be 0 or more, not '-1'"),
        ("CASH,100,44.5\n", "line 3: entry must be empty for cash, not '44.5'"),
        ("Coins & more,100,\n", "such as 'AAPL', 'BRK.B' or '^GSPC', without spaces or $, not 'Coins & more'"),
    ],
)
def test_a_bad_row_of_positions_is_left_out_and_the_prompt_says_so(tmp_path, row, problem):
    with pytest.warns(UserWarning, match=re.escape(problem)):
        broker = FileBroker(positions=written(tmp_path, "symbol,quantity,entry\nXYZ,1,1\n" + row, "held.csv"))
    assert [held.symbol for held in broker.portfolio().positions] == ["XYZ"]
    total = ContextBuilder(broker).build([], "", []).portfolio_lines()[0]
    assert total.startswith("Portfolio (held.csv, 1 row left out):")
    with pytest.raises(MarketFileError, match=re.escape(problem)):
        FileBroker(positions=written(tmp_path, "symbol,quantity,entry\n\n" + row, "held.csv"))


def test_positions_as_brokers_write_them(tmp_path):
    rows = 'USD,10,75.5\nUSD,50,1\nGEV,25,0\n"BRK B","1,000.5","$1,234.56"\nspaxx**,300,1\n'
    rows += "ES1!,(2),5000\nAAPL240119C00190000,1,2.5\nTCS.NS,2 lakh,3.4k\n"
    path = written(tmp_path, "Symbol,Quantity,Entry\n" + rows + "CASH,1000,\nCASH,300,1\n")
    portfolio = FileBroker(positions=path).portfolio()
    assert portfolio.cash == 1650
    assert [(held.symbol, held.quantity, held.entry) for held in portfolio.positions] == [
        ("USD", 10, 75.5),
        ("GEV", 25, 0),
        ("BRK.B", 1000.5, 1234.56),
        ("ES1!", -2, 5000),
        ("AAPL240119C00190000", 1, 2.5),
        ("TCS.NS", 200_000, 3_400),
    ]
    assert FileBroker(positions=written(tmp_path, "symbol,quantity,entry\n")).portfolio().positions == ()


def test_a_file_that_cannot_be_used_is_named(tmp_path):
    for name, words in (("missing.csv", "No such file"), (".", "is a folder")):
        with pytest.raises(MarketFileError, match=words):
            FileBroker(tmp_path / name)
    with pytest.raises(MarketFileError, match=r"held\.csv lacks the column quantity; it has symbol, entry"):
        FileBroker(positions=written(tmp_path, "symbol,entry\nA,1\n", "held.csv"))
    with pytest.raises(MarketFileError, match="cannot be read as parquet"):
        FileBroker(written(tmp_path, "not parquet", "bars.parquet"))
    with pytest.raises(MarketFileError, match=r"row 1: close must be a number .* not '\[1\]'"):
        FileBroker(parquet(tmp_path / "bars.parquet", PARQUET.format("[1]")))


def test_bars_and_positions_come_from_any_frame():
    days = pd.to_datetime(["2024-01-03", "2024-01-02"]).tz_localize("America/New_York")
    prices = {name: [5.25, 11.0] for name in ("Open", "High", "Low", "Close")}
    frame = pd.DataFrame({"Date": days, "Symbol": "xyz", "Volume": [20, 5], "Split": [2.0, 1.0]} | prices)
    frame.loc[2] = [days[0], "no symbol", 1, 1.0, 1.0, 1.0, 1.0, 1.0]
    problems = Problems()
    bars = make_bars(frame, "mine", problems)["XYZ"]
    assert (bars["close"].tolist(), bars["shares"].tolist()) == ([11, 5.25], [1, 2])
    assert problems.describe() == (
        (
            "row 2: symbol must be 1 to 15 letters and digits, such as 'AAPL', 'BRK.B' or '^GSPC', "
            "without spaces or $, not 'no symbol'; left out."
        ),
    )
    held = make_portfolio(pd.DataFrame({"symbol": ["xyz"], "quantity": [1.5], "entry": [2]}), "mine", Problems())
    assert (held.positions[0].symbol, held.positions[0].quantity, held.source) == ("XYZ", 1.5, "mine")


# Live brokers and brokers that fail


def test_a_live_quote_is_used_again_for_a_minute(tmp_path):
    moment = [datetime(2026, 11, 20, 15, 31, tzinfo=UTC)]
    broker = LiveBroker()
    cache = Cache(Store.open(tmp_path / "lab.duckdb"), lambda: moment[0])
    builder = ContextBuilder(broker, cache, clock=lambda: moment[0])
    first = builder.build([], "", ["AAPL"])
    broker.price = 200.0
    assert builder.build([], "", ["AAPL"]) == first
    assert broker.calls == 1
    moment[0] += timedelta(seconds=61)
    assert builder.build([], "", ["AAPL"]).quotes["AAPL"].price == 200.0
    assert first.market_lines() == (
        "Source: wire. Last trades, each at the time given, in USD.",
        "AAPL: 100.00 at 2026-11-20 15:31 UTC, under 1 min old",
    )


def test_a_position_that_is_new_has_a_live_quote_at_once(tmp_path):
    broker, held = LiveBroker(), []
    broker.portfolio = lambda: Portfolio(positions=tuple(Position(symbol=each, quantity=1, entry=1) for each in held))
    builder = ContextBuilder(broker, Cache(Store.open(tmp_path / "lab.duckdb"), at(2026, 11, 20)))
    for symbol in ("IBM", "MSFT"):
        held.append(symbol)
        assert builder.build([], "", ["AAPL"]).quotes.keys() == {"AAPL", *held}


def test_a_broker_that_fails_becomes_a_problem_and_is_asked_again(tmp_path):
    broker = LiveBroker(fault=ConnectionError("no route to\nhttps://wire.example/v1?key=secret today"))
    builder = ContextBuilder(broker, Cache(Store.open(tmp_path / "lab.duckdb"), at(2026, 11, 20)))
    context = builder.build([], "", ["AAPL"])
    assert context.missing == ("AAPL",)
    assert context.problems[0] == "wire could not give quotes (ConnectionError: no route to https://... today)."
    assert f"Trouble: {context.problems[0]}" in context.market_lines()
    broker.fault, broker.price = None, float("nan")
    assert "Quote.price must be a finite number" in builder.build([], "", ["AAPL"]).problems[0]
    broker.price = 1.0
    assert builder.build([], "", ["AAPL"]).problems == ()


# Freshness

NOW = datetime(2026, 11, 27, 16, tzinfo=UTC)  # a Friday


def closed(day):
    return Quote(symbol="AAPL", date=date(2026, 11, day), price=270.0)


def traded(**ago):
    made = NOW - timedelta(**ago)
    return Quote(symbol="AAPL", date=made.date(), price=270.0, at=made)


@pytest.mark.parametrize(
    ("quote", "words", "level"),
    [
        (closed(27), "close of 2026-11-27", "fresh"),
        (closed(26), "close of 2026-11-26", "fresh"),
        (closed(25), "close of 2026-11-25, 2 days old", "old"),
        (closed(19), "close of 2026-11-19, 8 days old", "old"),
        (closed(18), "close of 2026-11-18, 9 days old", "stale"),
        (traded(seconds=59), "under 1 min old", "fresh"),
        (traded(minutes=20), "20 min old", "fresh"),
        (traded(minutes=21), "21 min old", "old"),
        (replace(traded(minutes=35), delay=15), "35 min old", "fresh"),
        (traded(hours=2, minutes=59), "2 h old", "old"),
        (traded(days=8), "8 days old", "old"),
        (traded(days=9), "9 days old", "stale"),
        (traded(minutes=-5), "under 1 min old", "fresh"),  # clocks differ
    ],
)
def test_how_old_a_price_is_is_told_in_words_and_a_level(quote, words, level):
    assert freshness(quote, NOW) == (words, level)


def test_over_a_weekend_fridays_close_is_the_newest_there_can_be():
    now = NOW.replace(day=30, hour=23)
    assert freshness(closed(27), now) == ("close of 2026-11-27", "fresh")
    assert freshness(closed(27), now + timedelta(hours=1)) == ("close of 2026-11-27, 4 days old", "old")


def test_a_price_tells_its_age_in_the_prompt_and_a_stale_one_says_so():
    held = Portfolio(positions=(Position(symbol="AAPL", quantity=1, entry=270),))
    context = MarketContext(symbols=("AAPL",), quotes={"AAPL": closed(2)}, portfolio=held, at=NOW)
    words = "AAPL: 270.00 at the close of 2026-11-02, 25 days old (stale: not a current price)"
    assert context.market_lines()[1] == words
    assert words.removeprefix("AAPL: ") in context.portfolio_lines()[1]
    assert replace(context, at=None).market_lines()[1] == "AAPL: 270.00 at the close of 2026-11-02"
    context = replace(context, quotes={"AAPL": traded(hours=3)})
    assert context.market_lines()[1] == "AAPL: 270.00 at 2026-11-27 13:00 UTC, 3 h old"


# The record


def test_records_take_what_numpy_and_pandas_give_and_stay_json():
    stamp = pd.Timestamp("2024-01-02 15:30", tz="America/New_York")
    prices = pd.Series([1.5, 2.5], dtype="float32").to_numpy()
    volume = pd.Series([7]).iloc[0]
    quote = Quote(symbol="xyz", date=stamp, price=prices[1], previous=prices[0], volume=volume, at=stamp)
    trend = Trend(symbol="xyz", date=stamp, low=prices[0], high=prices[1])
    context = MarketContext(
        symbols=("XYZ",),
        quotes={"XYZ": quote},
        trends={"XYZ": trend},
        movers=Movers(date=date(2024, 1, 2), gainers=(Mover(symbol="XYZ", change=prices[0]),)),
    )
    assert MarketContext.from_dict(json.loads(json.dumps(context.to_dict()))) == context
    assert (quote.date, quote.at.utcoffset()) == (date(2024, 1, 2), timedelta(0))


def test_what_is_named_outside_a_brokers_universe_is_not_asked_of_it_which_may_know_another_by_that_name(monkeypatch):
    broker, asked = FileBroker(), []
    give = broker.quotes
    monkeypatch.setattr(broker, "quotes", lambda symbols: asked.extend(symbols) or give(symbols))
    assert ContextBuilder(broker).build([], "IBM or Palantir, or $SHOP?", []).missing == ("SHOP", "PLTR")
    assert "PLTR" not in asked
    assert {"IBM", "SHOP"} <= {*asked}


def test_a_price_of_a_time_to_come_is_none_and_a_zone_ahead_is_forgiven():
    now = datetime(2026, 12, 1, 9, tzinfo=UTC)
    ahead = {
        day: freshness(Quote(symbol="A", date=day, price=1), now) for day in (date(2026, 12, 2), date(2027, 1, 27))
    }
    assert [*ahead.values()] == [("close of 2026-12-02", "fresh"), ("close of 2027-01-27, a day to come", "stale")]
    trades = (Quote(symbol="A", date=now, price=1, at=now + timedelta(minutes=late)) for late in (10, 30))
    assert [freshness(each, now) for each in trades] == [("under 1 min old", "fresh"), ("of a time to come", "stale")]

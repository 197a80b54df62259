"""One's own prices and positions: frames as people have them, files, and brokers' exports."""

import re
import sys
import warnings
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallump_lab import Lab
from gallump_lab.market import FileBroker, FrameBroker, MarketFileError
from gallump_lab.market.positions import make_portfolio
from gallump_lab.reading.text_files import Problems

DAYS = pd.to_datetime(["2024-01-02", "2024-01-03"])
AMERICAN = DAYS.tz_localize("America/New_York").rename("Date")


def bars(base=100.0, **more):
    prices = {"Open": base, "High": base + 2, "Low": base - 2, "Close": [base + 1, base - 1], "Volume": 5}
    return pd.DataFrame(prices | more, index=AMERICAN)


def two_levels(**more):
    return pd.concat({"AAPL": bars(**more), "MSFT": bars(200.0, **more)}, axis=1)


def named(frame, symbol):
    frame.attrs["symbol"] = symbol
    return frame


def fields_first(**more):
    frame = two_levels(**more).swaplevel(axis=1).sort_index(axis=1)
    frame.columns.names = ["Price", "Ticker"]
    return frame


def wide():
    return pd.DataFrame({"AAPL": [101.0, 99.0], "LOW": [201.0, None]}, index=AMERICAN)


def closes(broker):
    return {symbol: broker.bars(symbol, 9)["close"].tolist() for symbol in sorted(broker.symbols())}


BOTH = {"AAPL": [101, 99], "MSFT": [201, 199]}
FRAMES = [
    (fields_first, BOTH),
    (lambda: fields_first().reset_index(), BOTH),
    (two_levels, BOTH),
    (lambda: fields_first().stack("Ticker", future_stack=True), BOTH),  # noqa: PD013 (a melt loses the index)
    (lambda: pd.concat({"aapl": bars(), "msft": bars(200.0)}), BOTH),
    (lambda: pd.concat([bars().assign(Ticker="AAPL"), bars(200.0).assign(Ticker="MSFT")]), BOTH),
    (lambda: named(bars(), "aapl"), {"AAPL": [101, 99]}),
    (wide, {"AAPL": [101, 99], "LOW": [201]}),
    (lambda: wide().reset_index(), {"AAPL": [101, 99], "LOW": [201]}),
    (lambda: wide().tz_localize(None).rename_axis(None), {"AAPL": [101, 99], "LOW": [201]}),
    (lambda: wide()["AAPL"], {"AAPL": [101, 99]}),
    (lambda: bars().reset_index().rename(columns=str.upper).assign(SYMBOL="a")[::2], {"A": [101]}),
]


@pytest.mark.parametrize(("make", "expected"), FRAMES)
def test_a_frame_of_bars_is_understood_as_people_have_it(make, expected):
    broker = FrameBroker(make())
    assert closes(broker) == expected
    assert broker.data_date() == date(2024, 1, 2 if "A" in expected else 3)
    assert broker.problems == ()


def test_a_frame_is_a_lab_s_broker_and_nothing_later_than_its_clock_is_seen(tmp_path):
    frame = bars().assign(symbol="AAPL", quotes=1)
    lab = Lab.open(tmp_path / "lab.duckdb", broker=frame, clock=lambda: datetime(2024, 1, 3, 12, tzinfo=UTC))
    assert "AAPL: 101.00 at the close of 2024-01-02" in lab.preview("and AAPL?").text
    with pytest.raises(MarketFileError, match=r"must be a pandas DataFrame .* FileBroker\(path\) .* not 'bars.csv'"):
        Lab.open(tmp_path / "lab.duckdb", broker="bars.csv")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (bars(), r'lacks the column symbol; it has Open, High, .*Date\. .*given by symbol="AAPL"'),
        (pd.DataFrame({"foo": [1], "Bar": [2]}), "lacks the columns symbol, date, close; it has foo, Bar. Bars have"),
        (pd.DataFrame({"date": DAYS, "Net Value": 1}), "lacks the columns symbol, close; it has date, Net Value"),
        (pd.DataFrame(), "it has nothing"),
        (None, "must be a pandas DataFrame of daily bars.* not None"),
    ],
)
def test_a_frame_that_is_not_understood_is_told_by_its_columns(frame, words):
    with pytest.raises(MarketFileError, match=words):
        FrameBroker(frame)


def test_adjusted_and_raw_closes_are_told_apart():
    both = FrameBroker(fields_first(**{"Adj Close": [50.5, 49.5]}))
    assert closes(both) == BOTH
    assert both.read == ("your bars: not used: Adj Close; the close as traded, not adjusted for dividends.",)
    frame = bars().rename(columns={"Close": "adjClose"}).assign(adjClose=[50.5, 49.5])
    alone = FrameBroker(frame, symbol="AAPL")
    assert alone.bars("AAPL", 1)[["open", "high", "close"]].to_numpy().tolist() == [[49.5] * 3]
    told = "close is 'adjClose'; the close adjusted for dividends"
    assert f"{told}; the close stands for open, high, low." in repr(alone)


def test_raw_prices_with_the_factor_of_each_day_s_split_are_on_one_basis():
    raw = bars(splitFactor=[1.0, 2.0], divCash=0.0)
    assert closes(FrameBroker(raw, symbol="AAPL")) == {"AAPL": [50.5, 99]}
    done = bars(**{"Stock Splits": [0.0, 2.0]})  # yfinance's prices are on one basis already
    assert closes(FrameBroker(done, symbol="AAPL")) == {"AAPL": [101, 99]}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("make", [fields_first, two_levels, wide])
def test_a_frame_that_was_written_as_csv_is_read(tmp_path, make, again):
    path = tmp_path / "bars.csv"
    make().to_csv(path)
    broker = FrameBroker(pd.read_csv(path)) if again else FileBroker(path)
    assert closes(broker) == closes(FrameBroker(make()))
    assert broker.problems == ()


# Exports


def exported(folder: Path, text: str, **options) -> FileBroker:
    path = folder / "held.csv"
    path.write_text(text, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return FileBroker(positions=path, **options)


def held(broker):
    return {each.symbol: (each.quantity, each.entry) for each in broker.portfolio().positions}


def test_an_export_with_preamble_totals_cash_options_and_a_short(tmp_path):
    broker = exported(
        tmp_path,
        '"Holdings of an example account, Monday 09:30"\n\n'
        '"Symbol","Description","Qty (Quantity)","Last Price","Mkt Val (Market Value)","Cost Basis","Security Type",\n'
        '"KO","COCA COLA","1,000","$60.00","$60,000.00","$52,500.00","Equity",\n'
        '"IWM","SMALL CAPS","(50)","$200.00","($10,000.00)","($9,500.00)","ETFs & Closed End Funds",\n'
        '"KO 01/19/2024 60.00 C","CALL COLA","2","$3.00","$600","$500","Option",\n'
        '"FXAIX","INDEX","10","$160","$1,600","--","Mutual Fund",\n'
        '"91282CAB7","T NOTE","1000","99.5","$995","$990","Fixed Income",\n'
        '"Cash & Cash Investments","--","--","--","$1,234.56","--","Cash and Money Market",\n'
        '"Account Total","--","--","--","$54,429.56","$43,490","--",\n\n'
        '"As of today."\n',
    )
    assert held(broker) == {"KO": (1000, 52.5), "IWM": (-50, 190)}
    assert broker.portfolio().cash == 1234.56
    assert broker.portfolio().source == "held.csv, 3 rows left out"
    read, *problems = [words.partition("held.csv")[2] for words in (*broker.read, *broker.problems)]
    assert read.startswith(": 2 positions; quantity is 'Qty (Quantity)', total is 'Cost Basis', price is 'Last Price'")
    assert "'Cost Basis' is taken for all shares, and divided by the quantity; Cash & Cash Investments is cash" in read
    assert read.endswith("IWM is a fund, taken as shares; passed over: 1 total row, 1 line without a position.")
    assert problems == [
        ", line 6: options are not taken, unless by their OCC symbol such as AAPL240119C00190000; left out.",
        ", line 7: Cost Basis must be the price paid in USD, or 0 if nothing was paid, not empty; left out.",
        ", line 8: only shares, funds and cash are taken, not 'Fixed Income'; left out.",
    ]


def test_accounts_and_lots_are_summed_and_a_total_and_an_average_told_apart(tmp_path):
    broker = exported(
        tmp_path,
        "Account Number,Symbol,Quantity,Current Value,Cost Basis Total,Average Cost Basis,Type\n"
        "X1,SPAXX**,,$500.25,,,Cash\n"
        "X1,KO,10,$600,$500.00,$50.00,Cash\n"
        "Account Number,Symbol,Quantity,Current Value,Cost Basis Total,Average Cost Basis,Type\n"
        "X2,KO,30,$1800,$1800.00,$60.00,Margin\n"
        "X2,PEP,0,$0,$0,--,Margin\n",
    )
    assert (held(broker), broker.portfolio().cash, broker.problems) == ({"KO": (40, 57.5)}, 500.25, ())
    assert "2 lots of 2 accounts summed; SPAXX** is cash" in broker.read[0]
    assert "passed over: 1 more header, 1 position of 0." in broker.read[0]
    assert "X1" not in repr(broker)


@pytest.mark.parametrize(
    ("rows", "entries", "how"),
    [
        ("KO,50,60,45\nPEP,20,170,150\n", {"KO": (50, 45), "PEP": (20, 150)}, "is taken per share"),
        ("KO,50,60,2250\nPEP,20,170,3000\n", {"KO": (50, 45), "PEP": (20, 150)}, "is taken for all shares"),
        ("NVDA,100,140,500\nPEP,20,170,3000\n", {"NVDA": (100, 5), "PEP": (20, 150)}, "is taken for all shares"),
    ],
)
def test_what_a_cost_basis_is_of_is_said_and_judged_by_the_prices(tmp_path, rows, entries, how):
    broker = exported(tmp_path, "Ticker,Shares,Price,Cost Basis\n" + rows)
    assert held(broker) == entries
    assert f"'Cost Basis' {how}" in broker.read[0]


EUROPEAN = (
    "Depot vom 05.01.2024;;;\n"
    "Bezeichnung;Ticker;Anzahl;Einstandskurs;W\u00e4hrung\n"
    "SAP SE;SAP.DE;1.250;139,50 \u20ac;EUR\n"
    "Cola;KO;10;1.150,25;USD\n"
    "Vodafone;VOD.L;100;72,5;GBX\n"
    "Guthaben;EUR;2.500,00;;EUR\n"
    "Summe;;;;\n"
)


def test_currencies_are_named_and_converted_with_a_rate_alone(tmp_path):
    broker = exported(tmp_path, EUROPEAN)
    assert (held(broker), broker.portfolio().cash) == ({"KO": (10, 1150.25)}, 0)
    assert "line 3 and 1 more: it is in EUR; give rates={'EUR': USD per EUR} to take it" in broker.problems[0]
    broker = exported(tmp_path, EUROPEAN, rates={"eur": 2, "GBX": 0.02})
    assert held(broker) == {"SAP.DE": (1250, 279), "KO": (10, 1150.25), "VOD.L": (100, 1.45)}
    assert broker.portfolio().cash == 5000
    assert "EUR at 2 USD; GBX at 0.02 USD" in broker.read[0]
    assert held(exported(tmp_path, "symbol,qty,Avg Cost (EUR)\nKO,3,10\n", rates={"EUR": 2})) == {"KO": (3, 20)}
    assert held(exported(tmp_path, "symbol,qty,Avg Cost\nKO,3,C$10\nPEP,1,$7\n", rates={"CAD": 0.5})) == {
        "KO": (3, 5),
        "PEP": (1, 7),
    }
    for rate in (0, "1.08", None):
        with pytest.raises(MarketFileError, match="USD per unit of each currency"):
            exported(tmp_path, EUROPEAN, rates={"EUR": rate})


def test_positions_from_a_frame_by_symbol_and_with_sides():
    own = pd.DataFrame({"Shares": [5.0, 2], "avgCost": [1.5, 30], "Side": ["Long", "Short"]}, index=["KO", "PEP"])
    broker = FrameBroker(wide(), own)
    assert held(broker) == {"KO": (5, 1.5), "PEP": (-2, 30)}
    assert broker.read[1].startswith("your positions: 2 positions; quantity is 'Shares', entry is 'avgCost'")
    for wrong, words in ((own[["Side"]], "lacks the columns quantity, entry; it has Side"), ({}, "must be a pandas")):
        with pytest.raises(MarketFileError, match=words):
            FrameBroker(wide(), wrong)


AMOUNTS = st.decimals("0.01", 10**7, places=2)


@given(st.lists(st.tuples(st.integers(1, 10**6), AMOUNTS), min_size=1, max_size=5))
def test_a_portfolio_is_the_same_in_american_and_in_european_numbers(lots):
    lots = [*lots, (1_234_567, 1234.5)]  # what tells which is which
    american = [(f"{quantity:,}", f"${paid:,.2f}") for quantity, paid in lots]
    swapped = str.maketrans(",.", ".,")
    european = [(f"{quantity:,}".translate(swapped), f"{paid:,.2f} USD".translate(swapped)) for quantity, paid in lots]

    def portfolio(rows):
        frame = pd.DataFrame(
            [(f"S{place}", *row) for place, row in enumerate(rows)], columns=["Symbol", "Qty", "Price Paid"]
        )
        return make_portfolio(frame, "mine", Problems())

    expected = [(float(quantity), float(paid)) for quantity, paid in lots]
    found = [(each.quantity, each.entry) for each in portfolio(american).positions]
    assert found == expected
    assert portfolio(european) == portfolio(american)


def test_excel_is_read_where_pandas_can_and_else_the_error_says_how(tmp_path, monkeypatch):
    path = tmp_path / "held.xlsx"
    path.write_bytes(b"no workbook")
    with pytest.raises(MarketFileError, match=r"held\.xlsx cannot be read as Excel.*\. Save it as \.xlsx or CSV"):
        FileBroker(positions=path)
    with zipfile.ZipFile(path, "w") as workbook:
        workbook.writestr("xl/workbook.xml", "")
    monkeypatch.setitem(sys.modules, "openpyxl", None)  # as where the extra is not installed
    with pytest.raises(MarketFileError, match=re.escape("pip install 'gallump-lab[excel]'. Or save it as CSV")):
        FileBroker(positions=path)
    monkeypatch.undo()
    rows = [["My positions", None, None], ["Symbol", "Qty", "Avg Cost"], ["KO", 10, 50.5]]
    pd.DataFrame(rows).to_excel(path, header=False, index=False)
    assert held(FileBroker(positions=path)) == {"KO": (10, 50.5)}

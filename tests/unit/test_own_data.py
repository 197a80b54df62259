"""One's own prices and positions: frames as people have them, files, and brokers' exports."""

import re
import sys
import warnings
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallump_lab import Lab
from gallump_lab.bundled import bundled
from gallump_lab.market import ContextBuilder, FileBroker, FrameBroker, MarketFileError
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
    (lambda: {"AAPL": bars(), "msft": bars(200.0)}, BOTH),
    (lambda: SimpleNamespace(to_pandas=fields_first), BOTH),  # as polars' frames and Arrow's tables have it
    (lambda: named(bars().set_axis([20240102, 20240103]), "AAPL"), {"AAPL": [101, 99]}),
    (lambda: named(bars().assign(timestamp=[1704171600000, 1704258000000]), "AAPL")[::-1], {"AAPL": [101, 99]}),
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
    with pytest.raises(MarketFileError, match=r"bars\.csv cannot be read: No such file"):
        Lab.open(tmp_path / "lab.duckdb", broker="bars.csv")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (bars(), r'lacks the column symbol; it has Open, High, .*Date\. .*given by FrameBroker\(df, symbol="AAPL"\)'),
        (pd.DataFrame({"foo": [1], "Bar": [2]}), "lacks the columns symbol, date, close; it has foo, Bar. Bars have"),
        (pd.DataFrame({"date": DAYS, "Net Value": 1}), "lacks the columns symbol, close; it has date, Net Value"),
        (pd.DataFrame(), "it has nothing"),
        (7, "must be a DataFrame, or a path of a CSV, parquet or Excel file, not 7"),
        (pd.Series([1.0], index=DAYS[:1]), "lacks the columns symbol, close"),
        (pd.DataFrame({"symbol": [], "date": [], "close": []}), "holds no row with a close"),
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
    told = "the close adjusted for dividends"
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


@pytest.mark.parametrize(
    ("text", "encoding", "rates", "expected"),
    [
        ("My prices\n\nSymbol,Date,Open,High,Low,Close\nKO,2024-01-02,60,61,59,60.5\n", "utf-8", None, [60.5]),
        ("Symbol,Date,Close/Last\nKO,01/13/2024,$61\nKO,01/02/2024,$60\n", "utf-8", None, [60, 61]),
        ('Symbol,Date,Close\nKO,"Jan 02, 2024",60\nKO,03-Jan-2024,61\n', "utf-8", None, [60, 61]),
        ("Symbol\tDate\tClose\nKO\t20240102\t60.5\n", "utf-16", None, [60.5]),
        (
            "Symbol;Datum;Er\u00f6ffnung;Hoch;Tief;Schlusskurs\nKO;02.01.2024;60,5;61;60;60,5\n",
            "cp1252",
            None,
            [60.5],
        ),
        ("symbol,date,Close (EUR)\nKO,2024-01-02,50\n", "utf-8", {"EUR": 1.25}, [62.5]),
        ("symbol,date,close,currency\nKO,2024-01-02,50,GBp\n", "utf-8", {"GBP": 1.5}, [0.75]),
        ("symbol,date,close\nKO,2024-01-02,\u20ac50\n", "utf-8", {"EUR": 2}, [100]),
    ],
)
def test_a_file_of_bars_is_read_as_sites_and_programs_write_it(tmp_path, text, encoding, rates, expected):
    path = tmp_path / "bars.csv"
    path.write_text(text, encoding=encoding)
    broker = FileBroker(path, rates=rates)
    assert (closes(broker), broker.problems) == ({"KO": expected}, ())
    assert ("no UTF-8, read as Windows-1252" in broker.read[0]) == (encoding == "cp1252")
    if rates:
        with pytest.raises(MarketFileError, match=r"it is in (EUR|GBX); give rates="):
            FileBroker(path)
    if "/2024" in text:
        assert "01/02/2024 is 2024-01-02" in broker.read[0]


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
    assert held(broker) == {"KO": (1000, 52.5), "IWM": (-50, 190), "FXAIX": (10, None)}
    assert broker.portfolio().cash == 1234.56
    assert broker.portfolio().source == "held.csv, 2 rows left out"
    read, *problems = [words.partition("held.csv")[2] for words in (*broker.read, *broker.problems)]
    assert read == (
        ": 3 positions; columns Symbol, Qty (Quantity); 'Cost Basis' is taken for all shares, and divided by the "
        "quantity; what was paid is unknown of FXAIX; cash is Cash & Cash Investments; passed over 1 total row and 1 "
        "line without a position; left out 2 rows."
    )
    assert problems == [
        ", line 6: options are not taken, unless by their OCC symbol such as AAPL240119C00190000; left out.",
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
    assert broker.read[0] == (
        "held.csv: 1 position; 'Average Cost Basis' is the entry; 2 lots summed over 2 accounts; cash is SPAXX**; "
        "passed over 1 position of 0."
    )
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


KO = {"KO": (10, 50)}
US = "Symbol,Description,Quantity,Average Cost,Security Type,Market Value\nKO,COLA,10,$50.00,Equity,$600\n"


@pytest.mark.parametrize(
    ("text", "expected", "cash"),
    [
        ("Ticker,Units Held,Purchase Price Per Share,% of portfolio\nKO,10,50,12.5%\n", KO, 0),
        ("Security,Quantity Held,Average Unit Cost\nKO,10,50\n", KO, 0),
        ("Symbol,Holding,Mkt Price,Book Cost\nKO,10,60,500\n", KO, 0),
        ("Symbol\tShares\tCost/Share\nKO\t10\t50\n", KO, 0),
        ("Financial Instrument,Position,Avg. Price Paid ($)\nKO,10,50\n", KO, 0),
        ("Instrument,Qty,Avg Px,Last Px\nKO,10,50,60\n", KO, 0),
        ("Symbol,Position,Avg Fill Price\nKO,10,50\n", KO, 0),
        ("Symbol,Purchase Date,Qty,Unit Cost\nKO,01/02/2020,5,40\nKO,01/05/2021,5,60\n", KO, 0),
        ("Security Code,Shares/Units,Book Cost per Unit\nKO,10,50\n", KO, 0),
        ("Symbol,Quantity\nKO,10\n", {"KO": (10, None)}, 0),
        ("Symbol,Quantity,Price,Total,Cost %\nKO,10,60,600,5\n", {"KO": (10, None)}, 0),
        (US + "PEP,PEPSI,5,n/a,Equity,$850\n", KO | {"PEP": (5, None)}, 0),
        (US + "KO,COLA,10,--,Equity,$600\n", {"KO": (20, None)}, 0),
        (US + "USD,US DOLLAR,100,1,,\nSWVXX,A MONEY MARKET FUND,300,1,,\n,BANK DEPOSIT SWEEP,,,,50\n", KO, 450),
        (US + "CASH (USD),,,,,$250.75\nTotal,,,,,$850.75\n", KO, 250.75),
        (US + "PEP,PUT PEPSI $170 EXP 01/19/24,1,2,,\nKO 01/19/2024 60.00 C,,1,2,,\n", KO, 0),
        (US + "912810TM0,US TREASURY 4% 11/15/2052,1000,98.5,,\nBND,BOND FUND,2,70,Bond ETF,\n",
         KO | {"BND": (2, 70)}, 0),
        (US + "\nThe figures are, to the best of our knowledge, right.\n", KO, 0),
        ("One\nSymbol,Quantity,Average Cost\nKO,10,50\nTotal,,\n\nTwo\nSymbol,Name,Average Cost,Quantity\nA,B,200,3\n",
         KO | {"A": (3, 200)}, 0),
    ],
)  # fmt: skip
def test_exports_with_other_names_lines_and_sections(tmp_path, text, expected, cash):
    broker = exported(tmp_path, text)
    assert (held(broker), broker.portfolio().cash) == (expected, cash)


def test_what_was_paid_may_be_unknown_and_the_prompt_says_so(tmp_path):
    (path := tmp_path / "held.csv").write_text("Symbol,Quantity\nIBM,10\nXYZ,2\n")
    broker = FileBroker(bundled("bars.parquet"), path)
    assert "what was paid is unknown of IBM, XYZ" in broker.read[1]
    _, priced, unpriced = ContextBuilder(broker).build([], "", []).portfolio_lines()
    assert priced.startswith("IBM: 10 at entry unknown, 202.91 at the close of 2013-03-01")
    assert priced.endswith("value 2,029.10")
    assert unpriced == "XYZ: 2 at entry unknown; no data, value unknown"


EUROPEAN = (
    "Depot vom 05.01.2024;;;\n"
    "Bezeichnung;Ticker;Anzahl;Einstandskurs;W\u00e4hrung\n"
    "SAP SE;SAP.DE;1.250;139,50 \u20ac;EUR\n"
    "Cola;KO;10;1.150,25;USD\n"
    "Vodafone;VOD.L;100;72,5;GBX\n"
    "Guthaben;EUR;2.500,00;;EUR\n"
    "Summe;;;;\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize(
    "paid", ["\u00d8 Einstandskurs in EUR", "Kaufpreis (\u20ac)", "Einstandswert EUR", "Prix de revient EUR"]
)
def test_an_export_in_german_or_french_in_any_encoding(tmp_path, paid, encoding):
    path = tmp_path / "depot.csv"
    header = f"Dep\u00f4t vom 05.01.2024;;;\nBezeichnung;Symbol;St\u00fcck/Nom.;{paid}\n"
    path.write_text(header + "SAP SE;SAP.DE;1;1.250,50\nSumme;;;1.250,50\n", encoding=encoding)
    broker = FileBroker(positions=path, rates={"EUR": 2})
    assert (held(broker), broker.problems) == ({"SAP.DE": (1, 2501)}, ())
    assert ("no UTF-8, read as Windows-1252" in broker.read[0]) == (encoding == "cp1252")


def test_currencies_are_named_and_converted_with_a_rate_alone(tmp_path):
    broker = exported(tmp_path, EUROPEAN)
    assert (held(broker), broker.portfolio().cash) == ({"KO": (10, 1150.25)}, 0)
    assert "line 3 and 1 more: it is in EUR; give rates={'EUR': USD per EUR} to take it" in broker.problems[0]
    broker = exported(tmp_path, EUROPEAN, rates={"eur": 2, "GBX": 0.02})
    assert held(broker) == {"SAP.DE": (1250, 279), "KO": (10, 1150.25), "VOD.L": (100, 1.45)}
    assert broker.portfolio().cash == 5000
    assert "EUR at 2 USD; GBX at 0.02 USD" in broker.read[0]
    assert exported(tmp_path, "Symbol,Qty,Cost\nCash (EUR),100,\n", rates={"EUR": 2}).portfolio().cash == 200
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
    assert broker.read[1].startswith("your positions: 2 positions; 'Shares' is the quantity, 'avgCost' is the entry")
    for wrong, words in ((own[["Side"]], "lacks the column quantity; it has Side"), ({}, "must be a DataFrame")):
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
    with pytest.raises(MarketFileError, match=r"held\.xlsx cannot be read as Excel.*\. Or save it as CSV"):
        FileBroker(positions=path)
    with zipfile.ZipFile(path, "w") as workbook:
        workbook.writestr("xl/workbook.xml", "")
    monkeypatch.setitem(sys.modules, "openpyxl", None)  # as where the extra is not installed
    with pytest.raises(MarketFileError, match=re.escape("pip install 'gallump-lab[excel]'. Or save it as CSV")):
        FileBroker(positions=path)
    monkeypatch.undo()
    rows = [["My positions", None, None], ["Symbol", "Qty", "Avg\nCost"], ["KO", 10, 50.5]]
    pd.DataFrame(rows).to_excel(path, header=False, index=False)
    assert held(FileBroker(positions=path)) == {"KO": (10, 50.5)}
    rows = [
        ["My prices", None, None],
        [None] * 3,
        ["Exchange Date", "Close", "Volume"],
        [DAYS[0], 60.5, 5],
        [DAYS[1], 61, 6],
    ]
    pd.DataFrame(rows).to_excel(path, header=False, index=False)
    assert closes(FrameBroker(path, symbol="KO")) == {"KO": [60.5, 61]}


def test_positions_in_parquet_are_read(tmp_path):
    path = tmp_path / "held.parquet"
    duckdb.sql("select 'KO' as Symbol, 10 as Shares, 50.5 as avgCost").write_parquet(str(path))
    assert held(FileBroker(positions=path)) == {"KO": (10, 50.5)}


def test_an_export_whose_header_is_not_known_is_told_by_its_columns_not_by_its_title(tmp_path):
    path = tmp_path / "held.csv"
    path.write_text("My holdings\n\nThing,Number,Paid for it\nKO,10,500\n")
    with pytest.raises(MarketFileError, match="lacks the columns symbol, quantity; it has Thing, Number, Paid for it"):
        FileBroker(positions=path)


def test_positions_alone_bring_no_prices_of_another_time(tmp_path):
    broker = exported(tmp_path, "Symbol,Quantity\nAAPL,10\n")
    assert (broker.quotes(["AAPL"]), broker.symbols(), len(broker.bars("AAPL", 5))) == ({}, frozenset(), 0)
    _, line = ContextBuilder(broker).build([], "", []).portfolio_lines()
    assert line == "AAPL: 10 at entry unknown; no data, value unknown"


@pytest.mark.parametrize("given", [pd.DataFrame, FrameBroker])
def test_bars_of_days_to_come_wait_for_the_lab_s_clock_and_are_told(tmp_path, given):
    closes, now = pd.DataFrame({"AAPL": [1.0, 2, 3]}, index=pd.bdate_range("2024-01-02", periods=3)), [DAYS[1]]
    clock = lambda: now[0].tz_localize("UTC").to_pydatetime()  # noqa: E731
    lab = Lab.open(tmp_path / "lab.duckdb", broker=given(closes), clock=clock)
    assert "1 bar after 2024-01-03, the lab's day: not seen before." in repr(lab.broker)
    assert lab.broker.quotes(["AAPL"])["AAPL"].price == 1
    now[0] += pd.Timedelta(days=5)
    assert lab.broker.quotes(["AAPL"])["AAPL"].price == 3


@pytest.mark.parametrize(
    "form",
    [
        lambda closes: closes.reset_index(),
        lambda closes: closes.reset_index().rename(columns={"index": "Unnamed: 0"}),
        lambda closes: closes.set_axis(closes.index.strftime("%d.%m.%Y")),
        lambda closes: closes.assign(**{"My Fund": 1.0}),
    ],
)
def test_closes_are_known_by_their_days_however_pandas_names_them_and_what_is_no_symbol_is_told(form):
    closes = pd.DataFrame({"AAPL": [185.64, 184.25], "KO": 59.0}, index=pd.to_datetime(["2024-01-15", "2024-01-16"]))
    with warnings.catch_warnings(record=True, action="always") as told:
        broker = FrameBroker(form(closes))
    assert broker.symbols() == {"AAPL", "KO"}
    assert broker.data_date() == date(2024, 1, 16)
    assert [str(each.message) for each in told] == (
        ["your bars, column 'My Fund': its name is no symbol; left out."] if "My Fund" in form(closes) else []
    )


def test_closes_as_pandas_writes_them_to_a_file_are_read(tmp_path):
    closes = pd.DataFrame({"AAPL": [185.64, 184.25], "KO": 59.0}, index=pd.to_datetime(["2024-01-15", "2024-01-16"]))
    closes.to_csv(tmp_path / "closes.csv")
    assert FileBroker(tmp_path / "closes.csv").symbols() == {"AAPL", "KO"}


def test_a_quantity_in_words_is_told_and_cash_has_its_german_names(tmp_path):
    text = (
        "Bezeichnung;WKN;St\u00fcck;Kaufkurs;Kurswert\nKO;KO;ten;50;\nPepsi;PEP;2;90;\nVerrechnungskonto;;;;4.512,77\n"
    )
    broker = exported(tmp_path, text)
    assert (held(broker), broker.portfolio().cash) == ({"PEP": (2, 90)}, 4512.77)
    assert broker.problems == ("held.csv, line 2: St\u00fcck must be a number such as 1234.5, not 'ten'; left out.",)

# noqa: INP001 - a script beside what it makes, no package
"""Make bars.parquet from the PyPI package bokeh_sampledata 2026.1, byte for byte; README.md has the command."""

import hashlib
import sys
from importlib.resources import as_file, files
from pathlib import Path

import duckdb

SOURCE_SHA256 = "5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd"
TARGET = Path(__file__).with_name("bars.parquet")

# Dividends move the source's adjusted close by up to 11 percent on a day, a split by 100 and more.
SQL = """
    copy (
        with source as (
            select Ticker as symbol, Date as date, Open as open, High as high, Low as low, Close as close,
                Volume as volume, "Adj Close" / Close as adjustment
            from read_csv(?)),
        steps as (
            select *, adjustment / lag(adjustment) over (partition by symbol order by date) as step from source)
        select symbol, date, open, high, low, close, volume, if(step > 1.5, round(step), 1) as split
        from steps order by symbol, date
    ) to ? (format parquet, compression zstd)"""


def main() -> None:
    """Write bars.parquet beside this script."""
    with as_file(files("bokeh_sampledata") / "_data" / "stocks.csv.gz") as source:
        found = hashlib.sha256(source.read_bytes()).hexdigest()
        if found != SOURCE_SHA256:
            sys.exit(f"{source} has SHA-256 {found}; bokeh_sampledata 2026.1 has {SOURCE_SHA256}.")
        with duckdb.connect(config={"threads": 1}) as con:
            con.execute(SQL, [str(source), str(TARGET)])
    sys.stdout.write(f"{hashlib.sha256(TARGET.read_bytes()).hexdigest()}  {TARGET.name}\n")


if __name__ == "__main__":
    main()

"""A price chart: the bars, what is held, what was said and until when it held; nothing later than the clock."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from gallump_lab.brain.answer import Recommendation
from gallump_lab.market import FrameBroker

NOW = datetime(2024, 3, 15, 15, tzinfo=UTC)
DAYS = pd.bdate_range("2024-01-02", "2024-04-30")


def bars(factor=1.0):
    close = pd.Series(range(len(DAYS)), DAYS, float).add(400).mul(factor)
    return pd.DataFrame({"symbol": "AAPL", "open": close - 1, "high": close + 3, "low": close - 4, "close": close})


@pytest.fixture
def lab(anew):
    held = pd.DataFrame({"symbol": ["AAPL"], "quantity": [50], "entry": [410.5]})
    return anew(broker=FrameBroker(bars(), held), clock=lambda: NOW)


def say(lab, *said, **more):
    rows = [
        {"role": "user", "text": text, "symbol": "AAPL", "created_at": datetime.fromisoformat(f"{at}Z")} | more
        for at, text in said
    ]
    lab.import_messages(pd.DataFrame(rows))


def drawn(picture):
    """Return the chart's rows by what they are."""
    found = {"bars": [], "lines": [], "marks": []}
    for rows in picture.chart.to_dict()["datasets"].values():
        kind = "bars" if "open" in rows[0] else "lines" if "level" in rows[0] else "marks"
        found[kind] += rows
    return found


def lines(picture):
    return [(row["label"], row["since"], row["until"], row["state"]) for row in drawn(picture)["lines"]]


def test_what_is_held_and_the_stop_and_target_that_hold_are_lines_and_the_older_stop_is_pale(lab):
    say(
        lab,
        ("2024-02-01T15:00", "My AAPL stop is 405."),
        ("2024-02-20T15:00", "AAPL target 500."),
        ("2024-03-05T15:00", "My AAPL stop is 415 now."),
    )
    picture = lab.chart("aapl")
    assert sorted(lines(picture)) == [
        ("entry 410.50", "2024-01-02", "2024-03-14", "holds"),
        ("stop 405", "2024-02-01", "2024-03-05", "ended"),
        ("stop 415", "2024-03-05", "2024-03-14", "holds"),
        ("target 500", "2024-02-20", "2024-03-14", "holds"),
    ]
    pale = {row["label"]: row["opacity"] for row in drawn(picture)["lines"]}
    assert pale["stop 405"] < pale["stop 415"] == 1
    assert repr(picture) == (
        "AAPL closed at 452.00 on 2024-03-14; entry 410.50; target 500; stop 415; "
        "3 statements, 1 of them superseded or over (pale)"
    )
    assert picture.png().startswith(b"\x89PNG")


def test_a_statement_is_a_mark_at_its_days_close_with_its_words_speaker_time_and_successor(lab):
    say(lab, ("2024-02-03T15:00", "My AAPL stop is 405."), ("2024-03-05T15:00", "AAPL stop to 415."), speaker="Mara")
    first, second = drawn(lab.chart("AAPL"))["marks"]
    assert (first["day"], first["close"]) == ("2024-02-02", 423)  # a Saturday's, on Friday's close
    assert (first["said"], first["by"], first["when"]) == ("Mara: My AAPL stop is 405", "Mara", "2024-02-03 15:00")
    assert first["holds"] == "until 2024-03-05, then: Mara: AAPL stop to 415"
    assert second["holds"] == "yes"
    assert [label for label, *_ in lines(lab.chart("AAPL"))][:2] == ["stop 405, Mara", "entry 410.50"]


def test_nothing_later_than_the_clock_is_drawn(lab, anew):
    said = ("2024-02-01T15:00", "My AAPL stop is 405."), ("2024-04-05T15:00", "My AAPL stop is 440 now.")
    later = anew("later.duckdb", broker=FrameBroker(bars()), clock=lambda: datetime(2024, 4, 30, 23, tzinfo=UTC))
    for each in (lab, later):
        say(each, *said)
    seen = drawn(lab.chart("AAPL"))
    assert max(row["date"] for row in seen["bars"]) == "2024-03-14"  # the day's own close is not known yet
    assert [row["label"] for row in seen["lines"]] == ["stop 405", "entry 410.50"]
    assert len(seen["marks"]) == 1
    assert [row["state"] for row in drawn(later.chart("AAPL"))["lines"]] == ["ended", "holds"]


def test_insights_hold_as_their_events_say(lab):
    stop = lab.insights.add("Stop on AAPL at 420.", kind="level", symbol="AAPL", attribute="stop", value="420")
    lab.insights.add("Target 480.", kind="level", symbol="AAPL", attribute="target", value="480")
    gone = lab.insights.add("Entry 300.", kind="level", symbol="AAPL", attribute="entry level", value="300")
    lab.insights.supersede(stop, "Stop on AAPL at 425.", value="425")
    lab.insights.retire(gone)
    found = {label: state for label, *_, state in lines(lab.chart("AAPL"))}
    assert found == {"entry 410.50": "holds", "stop 420": "ended", "stop 425": "holds", "target 480": "holds"}


def test_what_was_paid_is_the_entry_until_the_position_is_closed_and_then_nothing_of_it_holds(anew):
    lab = anew(broker=FrameBroker(bars()), clock=lambda: NOW)
    say(lab, ("2024-02-01T15:00", "I bought 50 AAPL at 421."), ("2024-02-02T15:00", "My AAPL stop is 405."))
    assert {(label, state) for label, *_, state in lines(lab.chart("AAPL"))} == {
        ("entry 421", "holds"),
        ("stop 405", "holds"),
    }
    say(lab, ("2024-03-06T15:00", "I sold all my AAPL at 445."))
    assert {state for *_, state in lines(lab.chart("AAPL"))} == {"ended"}


def test_a_level_of_before_a_split_is_no_line_and_its_words_stay(anew):
    lab = anew(broker=FrameBroker(bars(1 / 7)), clock=lambda: NOW)
    say(lab, ("2024-02-01T15:00", "My AAPL stop is 405."))
    seen = drawn(lab.chart("AAPL"))
    assert not seen["lines"]
    assert [mark["said"] for mark in seen["marks"]] == ["My AAPL stop is 405"]


def test_an_idea_is_drawn_apart_from_what_holds(lab):
    idea = Recommendation(action="buy", symbol="AAPL", entry=450, stop=430, target=520, confidence=0.6)
    picture = lab.chart("AAPL", idea=idea)
    assert [label for label, *_, state in lines(picture) if state == "idea"] == ["stop 430", "entry 450", "target 520"]
    assert "recommended: entry 450, stop 430, target 520" in repr(picture)


def test_a_portfolio_that_cannot_be_had_is_told_and_the_bars_are_drawn(anew, monkeypatch):
    broker = FrameBroker(bars())
    monkeypatch.setattr(broker, "portfolio", lambda: 1 / 0)
    assert "could not give the portfolio (ZeroDivisionError" in repr(
        anew(broker=broker, clock=lambda: NOW).chart("AAPL")
    )


def test_hovering_a_bar_tells_its_prices_and_closes_alone_are_a_line(anew):
    lab = anew(broker=bars()[["symbol", "close"]].reset_index(names="date"), clock=lambda: NOW)
    layers = lab.chart("AAPL").chart.to_dict()["layer"]
    assert [layer["mark"]["type"] for layer in layers] == ["line", "bar"]
    assert layers[0]["encoding"]["x"]["scale"]["type"] == "utc"  # a day is the same day in New York and Tokyo
    told = [each["field"] for each in layers[-1]["encoding"]["tooltip"]]
    assert told == ["day", "open", "high", "low", "close"]  # no volume is known


@pytest.mark.parametrize(
    ("symbol", "days", "words"), [("ZZZ", 250, "no daily bars of ZZZ.*broker=df"), ("AAPL", 0, "days must")]
)
def test_what_cannot_be_drawn_says_why_and_what_to_do(lab, symbol, days, words):
    with pytest.raises(ValueError, match=words):
        lab.chart(symbol, days=days)


def test_a_picture_follows_the_theme_where_it_is_live_and_is_on_white_as_png(lab):
    data, about = lab.chart("AAPL")._repr_mimebundle_()
    spec = data["application/vnd.vegalite.v5+json"]
    assert spec["config"]["background"] == "transparent"
    assert spec["$schema"].endswith("/v5.json")
    # As SVG its ink is the page's; the menu would offer to open the talk in an editor on the web.
    assert about["application/vnd.vegalite.v5+json"]["embed_options"] == {"renderer": "svg", "actions": False}
    assert data["image/png"].startswith(b"\x89PNG")

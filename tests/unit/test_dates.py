"""Dates and times as the whole package reads them."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from clock import Clock

from gallump_lab import Config, ConfigError, Lab, study
from gallump_lab.reading import dates
from gallump_lab.reading.periods import deadline
from gallump_lab.store import times

AT = datetime(2024, 1, 2, 9, 30, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
"""A Sunday."""
NEW_YORK = ZoneInfo("America/New_York")
BERLIN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2024-01-02", date(2024, 1, 2)),
        ("2024/01/02", date(2024, 1, 2)),
        (20240102, date(2024, 1, 2)),
        ("2024-01-02T09:30", AT.replace(tzinfo=None)),
        (np.datetime64("2024-01-02T09:30", "ns"), AT.replace(tzinfo=None)),
        (" 2024-01-02 10:30:00+01:00 ", AT.astimezone(BERLIN)),
        (AT, AT),
        (1704187800, AT),
        ("1704187800", AT),
        (1704187800.25, AT + timedelta(milliseconds=250)),
        (np.int64(1704187800000), AT),
        ("1704187800000000000", AT),
    ],
)
def test_a_value_is_read_as_it_stands_and_what_it_does_not_say_stays_open(value, read):
    found = dates.parse(value)
    assert (found, isinstance(found, datetime)) == (read, isinstance(read, datetime))
    assert getattr(found, "utcoffset", lambda: None)() == getattr(read, "utcoffset", lambda: None)()


@pytest.mark.parametrize(
    "value", ["24-01-02", "45292", 45292, 1e300, float("nan"), pd.NaT, None, True, "nan", "\u00b2", "20240231", [1]]
)
def test_what_is_no_time_or_may_be_several_is_refused(value):
    with pytest.raises(ValueError, match=r"must be a time such as 2024-05-31T09:30:00Z, not"):
        dates.parse(value)


@pytest.mark.parametrize(
    ("question", "begin", "end", "rest"),
    [
        ("What did I say on 2026-05-07?", "2026-05-07", "2026-05-08", "What did I say on ?"),
        ("the trade of 7 May 2026", "2026-05-07", "2026-05-08", "the trade of"),
        ("in May 2012, before that", "2012-05-01", "2012-06-01", "in , before that"),
        ("in the past half a year", "2026-05-22", "2026-11-23", "in the"),
        ("Who bought in 2012?", "2012-01-01", "2013-01-01", "Who bought in ?"),
        ("What did I do yesterday?", "2026-11-21", "2026-11-22", "What did I do ?"),
        ("What did I say this morning?", "2026-11-22", "2026-11-23", "What did I say ?"),
        ("three weeks ago", "2026-10-29", "2026-11-05", ""),
        ("What did we decide last week?", "2026-11-09", "2026-11-16", "What did we decide ?"),
        ("last Monday at 2012", "2026-11-16", "2026-11-17", "at 2012"),
        ("What did I say of AAPL on Friday?", "2026-11-20", "2026-11-21", "What did I say of AAPL on ?"),
        ("this month", "2026-11-01", "2026-11-23", ""),
        ("last year", "2025-01-01", "2026-01-01", ""),
        ("What did I do in the last 10 days?", "2026-11-12", "2026-11-23", "What did I do in the ?"),
        ("the past two years", "2024-11-22", "2026-11-23", "the"),
        ("What have I sold since Monday?", "2026-11-16", "2026-11-23", "What have I sold since ?"),
        ("since May", "2026-05-01", "2026-11-23", "since"),
        ("What did I hold before June?", "1996-01-01", "2026-06-01", "What did I hold before ?"),
        ("on 22.05.2024", "2024-05-22", "2024-05-23", "on"),
        ("between 20 and 22 May 2026", "2026-05-20", "2026-05-23", ""),
        ("between 20 May and 3 June 2026", "2026-05-20", "2026-06-04", "between and"),
        ("the day before yesterday", "2026-11-20", "2026-11-21", ""),
        ("What was sold in Q4 2025?", "2025-10-01", "2026-01-01", "What was sold in ?"),
    ],
)
def test_a_question_s_words_of_time_are_understood_and_taken_out(question, begin, end, rest):
    (found,), left = dates.spans(question, NOW)
    assert [f"{each:%Y-%m-%d}" for each in found] == [begin, end]
    assert " ".join(left.split()) == rest


@pytest.mark.parametrize(
    "question",
    [
        "",
        "How may I help?",
        "30 February 2012x",
        "Sell 100 at 2,012.50",
        "Did I buy at $2000?",
        "Why did I buy 2000 shares?",
        "a target of 2012",
        "AAPL at 30 may fall",
        "in 2040",
        "Does the Fed meet on Wednesday?",
        "Shall I sell before June?",
        "Move the call from Tuesday to Wednesday.",
        "How is the account after the third quarter?",
    ],
)
def test_prices_numbers_of_things_and_verbs_are_no_times(question):
    assert dates.spans(question, NOW) == ([], question)


@pytest.mark.parametrize(
    ("question", "begin", "end"),
    [
        ("What happened on 7 May?", "2026-05-07", "2026-05-08"),
        ("What was sold in Q2?", "2026-04-01", "2026-07-01"),
        ("between 20 and 22 May", "2026-05-20", "2026-05-23"),
    ],
)
def test_a_date_without_a_year_is_asked_for_in_every_year(question, begin, end):
    found, _ = dates.spans(question, NOW)
    assert len(found) == 31
    assert [f"{each:%Y-%m-%d}" for each in found[-1]] == [begin, end]


@pytest.mark.parametrize("words", ["in May " * 5_000, "1 " * 100_000, "may 2012-" * 5_000, "end of " * 20_000])
def test_a_long_question_is_read_in_no_time(words):
    found, _ = dates.spans(words, NOW)
    assert len(found) <= 31


@pytest.mark.parametrize(
    ("said", "on", "until"),
    [
        ("AAPL stop 321 by 5 March", "2026-03-10", "2027-03-06"),
        ("AAPL stop 321 by 5 March", "2026-03-05", "2026-03-06"),
        ("AAPL stop 321 before March", "2026-03-10", "2027-03-01"),
        ("AAPL stop 321 until 2050", "2026-03-10", None),
        ("this may fall by next week", "2026-03-10", None),
    ],
)
def test_a_deadline_lies_ahead(said, on, until):
    found = deadline(said, datetime.fromisoformat(on).replace(tzinfo=NEW_YORK))
    assert (found and f"{found.over(NEW_YORK):%Y-%m-%d %H:%M %Z}") == (until and f"{until} 00:00 EST")


def talk(lab: Lab, *said: tuple[str, str]) -> None:
    rows = [{"role": "user", "text": text, "created_at": pd.Timestamp(at), "session_id": at[:10]} for at, text in said]
    lab.import_messages(pd.DataFrame(rows))


def first(found, number=1):
    return [slot.text for slot in found.slots[:number]]


def test_what_was_said_last_week_is_found_whatever_it_says(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb", clock=Clock(NOW))
    week = [(f"2026-11-{day:02}T10:00Z", f"Halibut {day} swims by.") for day in range(9, 16)]
    rest = [
        (f"{NOW - timedelta(days=20 + n):%Y-%m-%d}T10:00Z", f"What I say of week {n}: I say what I did.")
        for n in range(393)
    ]
    talk(lab, *rest, *week)
    found = lab.recall("What did I say last week?", tokens=2_000)
    assert sorted(first(found, 7)) == sorted(text for _, text in week)


def test_in_a_what_if_last_week_and_age_count_from_then(tmp_path: Path) -> None:
    lab = Lab.open(tmp_path / "lab.duckdb", clock=Clock(NOW))
    talk(lab, *((f"2026-{month:02}-11T10:00Z", f"I sold in month {month}.") for month in range(1, 11)))
    then = lab.recall("What did I sell last week?", as_of=datetime(2026, 6, 17, tzinfo=UTC))
    assert first(then) == ["I sold in month 6."]
    assert then.slots[0].signals["recency"] > 45_000


@pytest.mark.parametrize("clock", [True, False])
def test_days_are_those_of_the_analyst_s_time_zone(tmp_path: Path, clock: bool) -> None:  # noqa: FBT001
    evening = datetime(2026, 11, 20, 22, tzinfo=NEW_YORK)  # the 21st in UTC
    config = None if clock else Config(time_zone="America/New_York")
    lab = Lab.open(tmp_path / "lab.duckdb", config=config, clock=Clock(evening if clock else evening.astimezone(UTC)))
    talk(lab, ("2026-11-20T15:00Z", "I moved the stop to 421."), ("2026-11-21T02:30Z", "I moved the target to 500."))
    found = lab.recall("What did I move today?")
    assert [slot.signals["dates"] for slot in found.slots] == [800_000, 800_000]
    assert {slot.line[:10] for slot in found.slots} == {"2026-11-20"}
    reply = lab.ask("What did I move today?")
    assert lab.turns["time_zone"].tolist() == ["America/New_York"]
    assert "2026-11-20 user: I moved the target" in reply.prompt.text
    lab.apply(Config(time_zone="Asia/Tokyo"))
    replayed = study.replay(lab.snapshot())
    assert replayed.frame["identical"].all()


@pytest.mark.parametrize(("machine", "recorded"), [("Asia/Tokyo", "Asia/Tokyo"), ("no such zone", "UTC")])
def test_without_a_setting_the_days_are_the_machine_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, recorded: str
) -> None:
    monkeypatch.setenv("TZ", machine)
    times.machine.cache_clear()
    Lab.open(tmp_path / "lab.duckdb").ask("What did I say today?")
    Lab.open(tmp_path / "lab.duckdb", clock=lambda: datetime.now(UTC)).ask("What did I say today?")
    times.machine.cache_clear()
    assert Lab.open(tmp_path / "lab.duckdb").turns["time_zone"].tolist() == [recorded, "UTC"]


def test_a_session_s_days_are_the_analyst_s_too(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 11, 19, 22, tzinfo=NEW_YORK))  # a Thursday; in UTC it is Friday
    lab = Lab.open(tmp_path / "lab.duckdb", clock=clock)
    lab.ask("My AAPL stop is 321 until Friday.")
    clock.now += timedelta(hours=2)
    lab.distill()
    (until,) = lab.insights.frame["valid_until"]
    assert until == datetime(2026, 11, 21, tzinfo=NEW_YORK)


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../etc/passwd", "Europe", 3])
def test_a_time_zone_that_is_none_is_refused(name: object) -> None:
    with pytest.raises(
        ConfigError, match=r"Config.time_zone must be an IANA name such as 'Europe/Berlin' or 'UTC', not"
    ):
        Config(time_zone=name)

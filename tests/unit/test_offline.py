import datetime as dt
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gallump_lab import Lab, study, tokens
from gallump_lab.brain import offline
from gallump_lab.brain.answer import Usage
from gallump_lab.brain.prompt import PromptBuilder
from gallump_lab.market import FileBroker
from gallump_lab.market.market_context import MarketContext, Portfolio, Position, Quote, Trend
from gallump_lab.memory.records import AsOf, ContextItem, SessionContext

DAY = dt.date(2026, 3, 2)
AT = datetime(2026, 3, 3, 15, tzinfo=UTC)
QUOTE = Quote(symbol="AAPL", date=DAY, price=110.0, previous=100.0, volume=1_000_000)
UP = {"change_5": 1.0, "change_20": 4.0, "change_60": 9.0, "from_mean_50": 10.0}
DOWN = {"change_5": -1.0, "change_20": -4.0, "change_60": -9.0, "from_mean_50": -12.0}


def market(trend=UP, *, quantity=0.0, cash=100_000.0, quote=QUOTE, **others):
    held = (Position(symbol="AAPL", quantity=quantity, entry=90.0),) if quantity else ()
    return MarketContext(
        symbols=("AAPL",),
        quotes={"AAPL": quote},
        trends={"AAPL": Trend(symbol="AAPL", date=DAY, low=80.0, high=120.0, **trend)},
        portfolio=Portfolio(cash=cash, positions=held),
        data_date=DAY,
        **others,
    )


def slot(tier, text, *, rank=1, role="user", message_id=1, kept=True, symbol=None):
    return ContextItem(
        tier=tier,
        kind="insight" if tier == "cold" else "passage",
        item_id=message_id * 10 + rank,
        message_id=message_id,
        rank=rank,
        text=text,
        line=f" {text}",
        tokens=9,
        role=None if tier == "cold" else role,
        symbol=symbol,
        kept=kept,
        created_at=datetime(2026, 2, 14, tzinfo=UTC),
    )


def session(*slots):
    said = [{"role": "user", "message": "hello", "message_id": 1}] if slots else []
    moment = AsOf(at=AT, seen_message=9, seen_insight=0)
    return SessionContext(slots=slots, current_messages=said, moment=moment)


def prompt(context=None, memory=None, question="Is AAPL worth buying?"):
    return PromptBuilder().build_trading_prompt(question, context or MarketContext(), memory or session())


def note(*given, **named):
    return offline.write(prompt(*given, **named))


def test_it_says_the_close_its_date_and_the_trend():
    text, _ = note(market(problems=("The broker could not give bars of AAPL (TimeoutError: slow).",)))
    assert text.splitlines()[0].startswith("**Offline analyst: no model was asked.**")
    assert "Missing from the records: “The broker could not give bars of AAPL (TimeoutError: slow).”" in text
    assert "**AAPL** closed at $110.00 on 2026-03-02, +10.0% from the close before." in text
    assert (
        "Trend: +1.0% over 5 bars, +4.0% over 20 bars, +9.0% over 60 bars, range of 52 weeks $80.00 to $120.00" in text
    )
    assert "10.0% above the mean of 50 closes" in text
    assert "Prices are daily closes, not live; the newest is the close of 2026-03-02." in text


def test_a_live_quote_has_its_time():
    live = Quote(symbol="AAPL", date=DAY, price=110.0, at=datetime(2026, 3, 2, 20, 30, tzinfo=UTC))
    text, _ = note(market(quote=live, live=True))
    assert "traded at $110.00 at 2026-03-02 20:30 UTC" in text
    assert "not live" not in text


def test_what_rises_by_every_measure_is_bought_with_the_mean_as_stop():
    text, (found,) = note(market(cash=100_000.0))
    # the mean stands at 110 / 1.10 = 100; a stop-out may cost 1% of 100,000: 1,000 / (110 - 100) = 100 shares,
    # but the position may cost 10%: 10,000 / 110 = 90
    assert (found.action, found.symbol, found.size) == ("buy", "AAPL", "90 shares")
    assert (found.entry, found.stop, found.target) == (110.0, 100.0, None)
    assert (
        "By rule: 20 bars, 60 bars and the 50-bar mean all point up; buy 90 shares, with a stop at that mean, $100.00."
        in text
    )
    assert "A rule, not a judgement" in found.rationale


def test_the_loss_at_the_stop_and_the_cash_bound_the_size():
    wide = UP | {"from_mean_50": 100.0}  # the stop stands at 55: 1,000 / 55 = 18 shares
    assert note(market(wide))[1][0].size == "18 shares"
    bare = MarketContext(symbols=("AAPL",), quotes={"AAPL": QUOTE}, trends=market().trends)
    assert note(bare)[1][0].size == "a position that loses 1% of the portfolio at its stop"
    assert note(market(cash=500.0))[1] == ()
    assert "no room for a position" in note(market(cash=500.0))[0]


@pytest.mark.parametrize(
    ("trend", "quantity", "action"),
    [(UP, 30, "hold"), (UP, -30, "cover"), (DOWN, 30, "sell"), (DOWN, -30, "hold"), (DOWN, 0, None)],
)
def test_a_position_is_judged_by_the_same_rule(trend, quantity, action):
    text, found = note(market(trend, quantity=quantity))
    assert [each.action for each in found] == ([action] if action else [])
    assert (f"{action} 30 shares" if action else "stay out.") in text
    if quantity:
        assert f"The portfolio {'holds' if quantity > 0 else 'is short'} 30 at an entry of $90.00." in text


def test_of_a_note_only_what_it_found_is_remembered(tmp_path):
    lab = Lab.open(tmp_path / "lab.duckdb", broker=FileBroker())
    first = lab.ask("My stop on AAPL is at 430.", watchlist=["AAPL", "MSFT"])
    found = [
        line.split(" Trend:")[0].removesuffix(" This is a proposal to confirm or reject.")
        for line in first.text.splitlines()
        if line.startswith(("**AAPL**", "**MSFT**"))
    ]
    assert len(found) == 2
    second = lab.ask("Go on?", watchlist=["AAPL"], session_id=first.session_id)
    assert second.prompt.turns == (("user", "My stop on AAPL is at 430."), ("assistant", "\n".join(found)))
    recalled = lab.recall("Offline analyst: no model was asked, fixed rules, MSFT closed, the portfolio, AAPL stop")
    assert {slot.text for slot in recalled.slots} <= {"My stop on AAPL is at 430.", "Go on?", *found}
    assert study.replay(lab.snapshot()).frame["identical"].all()


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (market(UP | {"change_20": -0.1}), "do not point the same way"),
        (market({"change_5": 1.0}), "the records do not tell a trend"),
        (market(quote=replace(QUOTE, date=dt.date(2026, 2, 1))), "on a price this old no trade is recommended"),
        (MarketContext(symbols=("XYZ",), missing=("XYZ",)), "**XYZ**: there is no market data for it here"),
    ],
)
def test_where_the_rule_cannot_tell_nothing_is_recommended(context, words):
    text, found = note(context)
    assert found == ()
    assert words in text


def test_any_question_gets_the_same_careful_note():
    held = Portfolio(cash=1_234.5, positions=(Position(symbol="IBM", quantity=60, entry=180.0),))
    text, found = note(MarketContext(portfolio=held), question="What do I hold?")
    assert "No symbol with prices was named" in text
    assert "The portfolio holds 60 IBM and $1,234.50 in cash." in text
    assert found == ()
    for question in ("Hello!", "¿Conviene comprar AAPL?", "苹果股票怎么样", "<|endoftext|> ```json [] ```"):
        assert note(market(), question=question) == note(market())


def test_of_the_session_it_quotes_what_states_something_of_the_question_and_still_holds(tmp_path):
    lab, session = Lab.open(tmp_path / "lab.duckdb", broker=FileBroker()), None
    for text in (
        "My stop on AAPL is 400, hard.",
        "Where is my stop on AAPL?",
        "Never more than 5% in one position.",
        "My stop on AAPL is 430 now.",
        "Where is my stop on AAPL?",
    ):
        session = lab.ask(text, session_id=session).session_id
    for question, quoted in (
        ("Where is my stop on AAPL?", "My stop on AAPL is 430 now."),
        ("Where was my stop on AAPL before?", "My stop on AAPL is 400, hard."),
        ("How large may a position be?", "Never more than 5% in one position."),
        ("And what did I say last?", "Where is my stop on AAPL?"),
    ):
        text, _ = offline.write(lab.preview(question, session_id=session).prompt)
        assert f"**Earlier in this session** you said: “{quoted}”" in text


def test_it_quotes_the_best_recalled_passage_with_its_date_and_the_users_own_words_first():
    recalled = [
        slot("warm", "You could wait.", rank=1, role="assistant", message_id=2),
        slot("warm", "I want AAPL\nbelow $420. " + "word " * 10_000, rank=2, symbol="AAPL"),
        *(slot("cold", "Sizes small.", rank=2), slot("cold", "Keeps stops.", rank=1)),
    ]
    text, _ = note(market(), session(*recalled))
    assert "**Recalled** 2026-02-14, AAPL, you said: “I want AAPL below $420. word" in text
    assert " ...”" in text
    assert len(text) < 2_000
    assert "**Learnt from past sessions**: “Keeps stops.”" in text
    assert "You could wait." not in text


def test_an_insight_is_quoted_with_its_symbol_and_never_one_of_another_symbol_than_is_asked_about():
    pltr = replace(
        slot("cold", "My stop is 24.", rank=1, symbol="PLTR"), line="- PLTR, since 2026-02-14: My stop is 24."
    )
    both = session(pltr, replace(slot("cold", "Stop on $AAPL is 90.", rank=2), line="- Stop on $AAPL is 90."))
    assert "sessions**: “Stop on $AAPL is 90.”" in note(market(), both)[0]
    assert "Learnt" not in note(market(), session(pltr))[0]
    assert (
        "sessions**: “PLTR, since 2026-02-14: My stop is 24.”"
        in note(memory=session(pltr), question="Where is my stop?")[0]
    )


def test_what_is_not_in_the_prompt_is_not_used():
    left_out = [slot(tier, "Left out.", kept=False) for tier in ("hot", "warm", "cold")]
    assert "Left out." not in note(market(), session(*left_out))[0]


def test_it_comes_in_pieces_and_its_usage_is_counted():
    sent, pieces = prompt(market()), []
    answer = offline.answer(sent, on_text=pieces.append, stop=threading.Event())
    assert len(pieces) > 20
    assert "".join(pieces) == answer.text == offline.write(sent)[0]
    assert answer.usage == Usage(input_tokens=tokens.count(sent.text), output_tokens=tokens.count(answer.text))
    assert (answer.model, answer.cost_usd, answer.state, answer.offline) == (tokens.OFFLINE, 0.0, "complete", True)
    assert len(answer.recommendations) == 1


def test_of_a_note_that_was_stopped_what_it_had_found_is_marked_in_the_next_prompt(tmp_path):
    lab, stop, heard = Lab.open(tmp_path / "lab.duckdb", broker=FileBroker()), threading.Event(), []

    def hear(piece):
        heard.append(piece)
        if "from the close before." in "".join(heard):
            stop.set()

    first = lab.ask("Is AAPL cheap?", watchlist=["AAPL"], on_text=hear, stop=stop)
    assert (first.state, first.stop_reason, first.recommendations) == ("stopped", None, ())
    assert first.text == "".join(heard)
    prompt = lab.preview("Go on?", session_id=first.session_id).text
    assert "Assistant: **AAPL** closed at $430.47 on 2013-03-01, -2.5% from the close before." in prompt
    assert "\n [broken off]\n" in prompt

"""COLD: which insights a prompt gets, in which order, and which it is shown already."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from gallump_lab import Budget, Config, Lab, Overrides, tokens
from gallump_lab.config import Cold
from gallump_lab.memory import cold, ledger
from gallump_lab.memory.records import AsOf, Learnt

NOW = datetime(2026, 3, 20, 9, tzinfo=UTC)
NOTHING = Cold(words=0, meaning=0, symbol=0, dates=0, recency=0)
ONE = {
    name: Cold(**dict.fromkeys(("words", "meaning", "symbol", "dates", "recency"), 0) | {name: 1})
    for name in ("words", "meaning", "symbol", "dates", "recency")
}


@pytest.fixture
def lab(anew) -> Lab:
    return anew(clock=lambda: NOW)


def candidates(lab, question, settings=None, *, symbols=(), as_of=None, seen=2**62, **given):
    moment = AsOf(at=NOW, seen_message=99, seen_insight=seen, as_of=as_of)
    with lab.store.read() as con:
        return cold.candidates(
            con, question, symbols=symbols, moment=moment, settings=settings or Cold(), factor=1.0, **given
        )


def fill(lab, said, symbols=(None,)):
    """Add many insights in one step, each an hour older than the one before, about the symbols in turn."""
    now = NOW.replace(tzinfo=None)
    with lab.store.write() as con:
        for number, text in enumerate(said):
            given = Learnt(text=text, kind="fact", sources=(), symbol=symbols[number % len(symbols)])
            ledger.merge(con, given, known_from=NOW - timedelta(hours=number), now=now, distiller="rules-1")


def texts(slots):
    return [slot.text for slot in slots]


def test_words_weigh_by_their_rarity_and_longer_texts_less(lab):
    """BM25 by hand: three insights of 2, 2 and 4 terms, a mean length of 8/3; "dividend" is in one, "margin" in two."""
    for text in ("dividend growth", "margin growth", "margin pressure hurts retailers"):
        lab.insights.add(text)
    found = {slot.text: slot.score for slot in candidates(lab, "dividend margin", ONE["words"])}
    rare, common = (math.log(1 + (3 - df + 0.5) / (df + 0.5)) for df in (1, 2))
    weigh = lambda idf, length: round(1e6 * idf / (rare + common) * 1.5 / (1 + 0.5 * (0.6 + 0.4 * length / (8 / 3))))  # noqa: E731
    expected = {
        "dividend growth": weigh(rare, 2),
        "margin growth": weigh(common, 2),
        "margin pressure hurts retailers": weigh(common, 4),
    }
    assert found == expected
    assert [*found] == ["dividend growth", "margin growth", "margin pressure hurts retailers"]


def test_recency_halves_in_ninety_days_and_counts_from_when_it_was_said_last(lab):
    for text, days in (("Half as much", 90), ("A third", 180), ("All", 0)):
        lab.insights.add(text, known_from=NOW - timedelta(days=days))
    found = candidates(lab, "Well?", ONE["recency"])
    assert [(slot.text, slot.score) for slot in found] == [
        ("All", 10**6),
        ("Half as much", 500_000),
        ("A third", 333_333),
    ]
    lab.insights.add("A third")
    assert candidates(lab, "Well?", ONE["recency"])[0].score == 10**6


def test_words_of_time_and_the_asked_symbols_find_what_holds_since_then_and_is_of_them(lab):
    for symbol, since in (("IBM", (2026, 1, 15)), ("AAPL", (2026, 2, 15)), (None, (2025, 2, 15))):
        lab.insights.add(f"About {symbol}", symbol=symbol, valid_from=datetime(*since, tzinfo=UTC))
    found = candidates(lab, "What did we learn in February 2026?", ONE["dates"])
    assert [(slot.symbol, slot.score) for slot in found] == [("AAPL", 10**6), (None, 0), ("IBM", 0)]
    found = candidates(lab, "Well?", ONE["symbol"], symbols={"IBM", "AAPL"})
    assert [(slot.symbol, slot.score) for slot in found] == [("AAPL", 10**6), ("IBM", 10**6), (None, 0)]


def test_meaning_finds_what_shares_no_word(lab):
    for text in ("The weather is rainy", "Shares fell sharply", "Lunch at noon"):
        lab.insights.add(text)
    assert texts(candidates(lab, "Did the stock decline?", ONE["meaning"]))[0] == "Shares fell sharply"


def test_a_weight_of_zero_switches_a_signal_off_and_the_newest_then_come_first(lab):
    for text in ("dividend", "margin", "buyback"):
        lab.insights.add(text)
    found = candidates(lab, "dividend", NOTHING)
    assert [(slot.text, slot.score, slot.signals) for slot in found] == [
        (text, 0, {}) for text in ("buyback", "margin", "dividend")
    ]
    for slot in candidates(lab, "dividend", Cold()):
        assert slot.score == sum(slot.signals.values())


def test_what_is_pinned_for_the_question_stands_first_then_what_is_pinned_for_good(lab):
    ids = [lab.insights.add(text) for text in ("dividend", "margin", "buyback", "hedge")]
    lab.insights.pin(ids[1])
    lab.insights.pin(ids[2])
    found = candidates(lab, "dividend and margin", ONE["words"], pinned=(ids[3], ids[2], 99))
    assert texts(found) == ["hedge", "buyback", "margin", "dividend"]
    assert ["pin" in slot.signals for slot in found] == [True, True, True, False]
    lab.insights.retire(ids[3])
    found = candidates(lab, "dividend and margin", ONE["words"], pinned=(ids[3],))
    assert texts(found) == ["margin", "buyback", "dividend"]


def test_with_no_insights_or_no_words_there_is_an_answer(lab):
    assert candidates(lab, "Anything?") == []
    lab.insights.add("It is so")
    for question in ("", "???", "the of and", "word " * 5_000, "東京 🚀", "'; drop table insights; --"):
        assert texts(candidates(lab, question)) == ["It is so"]


def test_no_more_than_two_hundred_are_candidates_and_pins_are_among_them(lab, monkeypatch):
    assert cold.CANDIDATES == 200
    monkeypatch.setattr(cold, "CANDIDATES", 20)
    first = lab.insights.add("The very first")
    fill(lab, [f"Number {number}" for number in range(25)])
    lab.insights.pin(first)
    found = candidates(lab, "Which number?")
    assert found[0].item_id == first
    assert [slot.rank for slot in found] == list(range(1, 21))


def chatted(lab):
    """Say something in a session that goes on (HOT) and in one that has ended (WARM)."""
    ended, live = lab.sessions.get_or_create_session(), lab.sessions.get_or_create_session()
    past = NOW - timedelta(days=3)
    warm = lab.sessions.add_message(ended, "user", "My AAPL target is 480 because services grow.", "AAPL", past)
    hot = lab.sessions.add_message(live, "user", "My AAPL stop is 420 below the gap.", "AAPL")
    return live, warm, hot


def test_what_the_prompt_shows_where_it_was_said_is_passed_over(lab):
    live, warm, hot = chatted(lab)
    lab.insights.add("The AAPL stop is 420", sources=[hot])
    lab.insights.add("The AAPL target is 480", sources=[warm])
    lab.insights.add("The AAPL target is 500", sources=[warm])  # another number than what is shown
    trims = "Trims AAPL winners on Mondays before lunch"  # less than half of its words are shown
    lab.insights.add(trims, symbol="AAPL", sources=[hot])
    lab.insights.add("My AAPL stop is 420 below the gap")  # rests on nothing that is shown
    found = {
        slot.text: slot.reason
        for slot in lab.preview("Where are stop and target of AAPL?", ["AAPL"], live).slots
        if slot.tier == "cold"
    }
    assert found == {
        "The AAPL stop is 420": "in HOT",
        "The AAPL target is 480": "in WARM",
        "The AAPL target is 500": "kept",
        "Trims AAPL winners on Mondays before lunch": "kept",
        "My AAPL stop is 420 below the gap": "kept",
    }
    out = Overrides(excluded=[("insight", 1)])
    slots = lab.preview("Where are stop and target of AAPL?", ["AAPL"], live, overrides=out).slots
    assert [slot.reason for slot in slots if slot.tier == "cold" and slot.item_id == 1] == ["excluded"]
    none = lab.preview("Stop and target of AAPL?", ["AAPL"], live, config=Config(budget=Budget(hot=0, warm=0)))
    assert {slot.reason for slot in none.slots if slot.tier == "cold"} == {"kept"}


def test_what_has_nothing_to_do_with_the_question_is_left_out_unless_it_is_pinned(lab):
    lab.insights.add("Hates options")
    pinned = lab.insights.add("Closes the office at five")
    reasons = {slot.text: slot.reason for slot in lab.preview("Where is my AAPL stop?").slots if slot.tier == "cold"}
    assert reasons == {"Hates options": "below threshold", "Closes the office at five": "below threshold"}
    lab.insights.pin(pinned)
    asked = lab.preview("Where is my AAPL stop?")
    assert [slot.text for slot in asked.slots if slot.tier == "cold" and slot.kept] == ["Closes the office at five"]
    anything = lab.preview("Where is my AAPL stop?", config=Config(cold=Cold(least=0)))
    assert len([slot for slot in anything.slots if slot.tier == "cold" and slot.kept]) == 2


def test_a_line_names_symbol_and_since_when_it_holds_and_costs_what_it_takes(lab):
    lab.insights.add("Stop at 420", symbol="AAPL", speaker="Ann", valid_from=datetime(2026, 1, 5, tzinfo=UTC))
    lab.insights.add("Hedge with puts", valid_from=datetime(2026, 1, 6, tzinfo=UTC))
    prompt = lab.preview("Do we hedge with puts, or with a stop?").prompt
    assert "- since 2026-01-06: Hedge with puts\n- AAPL, since 2026-01-05: Stop at 420" in prompt.text
    for slot in (slot for slot in prompt.slots if slot.tier == "cold"):
        assert slot.tokens == tokens.count(f"{slot.line}\n")


def test_the_guides_preset_gives_ten_plain_texts_whatever_the_other_tiers_show(lab):
    live, _, hot = chatted(lab)
    shown = lab.insights.add("The AAPL stop is 420", symbol="AAPL", sources=[hot])
    fill(lab, [f"Lesson {number}" for number in range(15)])
    preview = lab.preview("Where is my AAPL stop?", ["AAPL"], live, config=Config.guide())
    slots = [slot for slot in preview.slots if slot.tier == "cold"]
    kept = [slot for slot in slots if slot.kept]
    assert len(kept) == 10
    assert kept[0].item_id == shown
    assert {slot.reason for slot in slots if not slot.kept} == {"over budget"}
    assert [slot.line for slot in kept] == [slot.text for slot in kept]
    section = preview.text.split("=== LEARNED PATTERNS ===\n")[1].split("\n\n")[0]
    assert section.splitlines() == [slot.text for slot in kept]


SOLD = "Got knocked out of AAPL at 402.|Bailed on AAPL at 402.|Sold the lot, AAPL at 402.|AAPL stopped out at 400."


@pytest.mark.parametrize("told", SOLD.split("|"))
def test_a_stop_goes_with_its_position_once_that_is_closed(anew, told):
    now = [NOW]
    lab = anew(clock=lambda: now[0])
    for said in (["Bought 30 AAPL at 422.", "AAPL stop is 400.", "MSFT stop is 28."], [told], ["AAPL stop is 380."]):
        session = lab.sessions.get_or_create_session()
        for text in said:
            lab.sessions.add_message(session, "user", text)
            now[0] += timedelta(minutes=1)
        now[0] += timedelta(days=1)
        lab.distill()
        if said == [told]:
            assert {(each.symbol, each.text) for each in candidates(lab, "Where is my stop?")} == {
                ("MSFT", "MSFT stop is 28"),
                ("AAPL", told.rstrip(".")),
            }
    assert "AAPL stop is 380" in texts(candidates(lab, "Where is my AAPL stop?"))


def test_who_sells_a_part_keeps_the_stop(lab):
    for text, attribute, value in (("stop 400", "stop", "400"), ("sold half", None, "reduced")):
        lab.insights.add(f"AAPL {text}", kind="level", symbol="AAPL", attribute=attribute, value=value)
    assert "AAPL stop 400" in texts(candidates(lab, "Where is my AAPL stop?"))

"""Faults made on purpose are what they are called, read like a careless writer's, and come again with the seed."""

import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gallump_lab import datasets
from gallump_lab.memory.records import Message
from gallump_lab.study.scorecard import edits
from gallump_lab.study.scorecard.faults import FAULTS, inject
from gallump_lab.study.scorecard.records import History, Stated

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
SEEDS = range(30)


def talk(*said):
    """Make a history of (session, speaker, symbol, text), a day apart."""
    return History(
        Message(
            message_id=place,
            session_id=session,
            role="user",
            text=text,
            symbol=symbol,
            speaker=speaker,
            created_at=MONDAY + timedelta(days=place),
        )
        for place, (session, speaker, symbol, text) in enumerate(said, 1)
    )


TRADING = talk(
    ("rosa-1", "Rosa", "AAPL", "apple stop goes to 182.50, i bought 40 at 190 and want out by may if it drags"),
    ("rosa-2", "Rosa", "AAPL", "thinking about apple margins again, services keep growing while hardware looks tired"),
    ("rosa-3", "Rosa", "MSFT", "microsoft cloud numbers looked strong, i might add on a quiet day next week"),
    (
        "karl-1",
        "Karl",
        "MSFT",
        "never more than 5 percent of the account in one name, that is my rule for microsoft too",
    ),
    ("karl-2", "Karl", "AAPL", "sold apple, the whole phone story bores me and the chart rolled over again"),
)
EVERYDAY = talk(
    ("day 1", "Dana", None, "I ran the charity race last Saturday with my sister, it was so hot!"),
    ("day 1", "Luis", None, "Well done! I spent the whole weekend painting the kitchen with my dad."),
    ("day 2", "Dana", None, "My garden is finally growing tomatoes, neighbours keep asking for some."),
    ("day 2", "Luis", None, "The guitar lessons started, my fingers hurt but the teacher is patient."),
)


def stated(text, sources=(1,), number=1, **fields):
    return Stated(insight_id=number, kind="fact", text=text, sources=sources, valid_from=MONDAY, **fields)


STOP = stated("Rosa's stop on AAPL is 182.50 since 2026-03-03.", symbol="AAPL")
RACE = stated("Dana ran a charity race with her sister last Saturday.", speaker="Dana")
PAINTS = stated("Luis painted the kitchen with his dad and he enjoyed it.", (2,), 2, speaker="Luis")
GARDEN = stated("Dana grows tomatoes in her garden and she likes it.", (3,), 3, speaker="Dana")


def made(name, insight, history=TRADING, others=()):
    """Make a fault with every seed."""
    return [FAULTS[name](insight, others, history, random.Random(seed)) for seed in SEEDS]


def test_a_changed_number_keeps_its_format_and_stands_in_no_cited_message():
    for bad in made("number", STOP):
        assert re.fullmatch(r"Rosa's stop on AAPL is \d+\.\d\d since 2026-03-03\.", bad.text)
        assert edits.values(bad.text) - edits.values(STOP.text)
        assert "190" not in bad.text
        assert replace(bad, text=STOP.text) == STOP


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("Rosa keeps 40,000 dollars aside.", r"Rosa keeps (?!40,000)\d\d,\d00 dollars aside\."),
        ("Karl tried it three times.", r"Karl tried it (one|two|four|five) times\."),
        ("Rosa risks 95% of it.", r"Rosa risks (?!95)\d\d% of it\."),
        ("Dana won her second race.", r"Dana won her (first|third|fourth) race\."),
    ],
)
def test_a_changed_number_is_of_the_same_kind(text, pattern):
    for bad in made("number", stated(text, sources=())):
        assert re.fullmatch(pattern, bad.text)


def test_dates_are_no_numbers_and_without_one_there_is_none_to_change():
    assert not any(made("number", stated("Rosa went in on 2026-03-03, or on the 4th of May 2026.")))


def test_another_symbol_stands_in_text_and_field_and_a_company_takes_a_companys_place():
    for bad in made("symbol", stated("Apple is an AAPL story.", symbol="AAPL")):
        assert (bad.text, bad.symbol) == ("Microsoft is an MSFT story.", "MSFT")


def test_where_no_symbol_is_named_it_is_said_of_the_one_who_was_there_too_and_pronouns_follow():
    (bad, *_) = made("symbol", RACE, EVERYDAY, [PAINTS, GARDEN])
    assert (bad.text, bad.speaker) == ("Luis ran a charity race with his sister last Saturday.", "Luis")
    both = stated("Dana told Luis about her race.", speaker="Dana")
    (bad, *_) = made("symbol", both, EVERYDAY, [PAINTS, GARDEN])
    assert bad.text == "Luis told Dana about his race."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rosa bought AAPL.", "Rosa sold AAPL."),
        ("Buy level of Rosa: 180.", "Sell level of Rosa: 180."),
        ("Rosa leaves AAPL if it falls to 182.50.", "Rosa leaves AAPL if it rises to 182.50."),
        ("Karl expects MSFT above 400 by May.", "Karl expects MSFT below 400 by May."),
        ("Position of Karl: long MSFT.", "Position of Karl: short MSFT."),
        ("Karl now accepts a yield of 2 percent.", "Karl now refuses a yield of 2 percent."),
        ("Rosa took a big risk.", "Rosa took a small risk."),
        ("Rosa is doubling her stake.", "Rosa is halving her stake."),
        ("Stop of Rosa on AAPL: 182.50.", "Target of Rosa on AAPL: 182.50."),
        ("Rosa has a plan for AAPL.", "Rosa has no plan for AAPL."),
        ("Karl does not hold over weekends.", "Karl does hold over weekends."),
        ("Karl watches the tape.", "Karl does not watch the tape."),
    ],
)
def test_a_direction_is_turned_and_inflections_stay(text, expected):
    assert {bad.text for bad in made("direction", stated(text, symbol="AAPL"))} == {expected}


def test_an_article_goes_with_the_new_word():
    assert {bad.text for bad in made("direction", stated("Rosa has an easy plan.", symbol="AAPL"))} == {
        "Rosa has a difficult plan."
    }


def test_another_date_has_the_same_format_and_is_no_cited_messages():
    for bad in made("date", STOP):
        assert re.fullmatch(r"Rosa's stop on AAPL is 182\.50 since 2026-0[1-4]-\d\d\.", bad.text)
        assert "2026-03-03" not in bad.text
    for bad in made("date", stated("Rosa wants out by June.")):
        assert re.fullmatch(r"Rosa wants out by (?!June|May)[A-Z][a-z]+\.", bad.text)
    for bad in made("date", RACE, EVERYDAY):
        assert re.fullmatch(r"Dana ran a charity race with her sister last (?!Satur)[A-Z]\w+day\.", bad.text)
    assert not any(made("date", stated("Karl may march on, 2 at a time.")))


def test_an_added_clause_leaves_the_statement_whole():
    others = [stated("Karl sold the whole AAPL lot at the open.", (5,), 2, symbol="AAPL")]
    entry = stated("Rosa owns AAPL at 190 (40 shares).", symbol="AAPL")
    added = {bad.text for bad in made("clause", entry, others=others)}
    assert "Rosa owns AAPL at 190, and sold the whole AAPL lot at the open (40 shares)." in added
    assert len(added) > 5
    for text in added:
        assert re.fullmatch(r"Rosa owns AAPL at 190,? [a-z].+ \(40 shares\)\.", text)
        assert "{" not in text


def test_a_duplicate_says_the_same_in_other_words_under_an_id_of_its_own():
    others = [replace(STOP, insight_id=number) for number in (7, 9)]
    for bad in made("duplicate", STOP, others=others):
        assert bad.text != STOP.text
        assert bad.insight_id not in {1, 7, 9}
        assert bad.sources == STOP.sources
        assert "182.5" in bad.text
        assert "Rosa" in bad.text
        assert re.search("3 March 2026|March 3, 2026", bad.text)
    text = "Wen's view: x."  # nothing to reword, so the frame alone is other
    assert made("duplicate", stated(text, sources=()))[0].text == "Wen's view: x, as was said."


def test_a_contradiction_stands_beside_it_under_an_id_of_its_own_and_says_otherwise():
    others = [replace(STOP, insight_id=number) for number in (7, 9)]
    made_of = stated("Rosa expects AAPL above 200 by May.", symbol="AAPL")
    found = {bad.text for bad in made("contradiction", made_of, others=others)}
    assert "Rosa expects AAPL below 200 by May." in found
    assert "Rosa does not expect AAPL above 200 by May." in found
    assert any(re.fullmatch(r"Rosa expects AAPL above (?!200)\d+ by May\.", text) for text in found)
    for bad in made("contradiction", made_of, others=others):
        assert bad.insight_id not in {1, 7, 9}
        assert replace(bad, text=made_of.text, insight_id=1) == made_of


def test_what_held_before_is_shown_as_current():
    old = stated("Rosa's stop on AAPL is 171 since 2026-02-10.", (2,), 2, symbol="AAPL")
    old = replace(old, valid_from=MONDAY - timedelta(days=20), valid_until=MONDAY)
    older = replace(old, insight_id=3, text="Rosa's stop on AAPL is 160.", valid_from=MONDAY - timedelta(days=40))
    for chain in ([older, old], [replace(each, valid_until=None) for each in (old, older)]):
        (bad, *_) = made("stale", STOP, others=chain)
        assert (bad.text, bad.sources, bad.insight_id) == (old.text, (2,), 1)
        assert bad.valid_until is None


def test_without_an_older_state_of_the_same_nothing_is_stale():
    old = replace(STOP, insight_id=2, valid_from=MONDAY - timedelta(days=20))
    others = [
        replace(old, text="Rosa thinks AAPL margins keep growing."),
        replace(old, text="Karl's stop on AAPL is 171 since 2026-02-10."),
        replace(old, text="Rosa's stop on MSFT is 171 since 2026-02-10.", symbol="MSFT"),
        replace(old, text="Rosa's stop on AAPL is 171.", valid_from=MONDAY + timedelta(days=1)),
    ]
    assert not any(made("stale", STOP, others=others))
    named = replace(STOP, attribute="stop")
    assert not any(made("stale", named, others=[replace(old, text="Rosa's stop is 9.", attribute="target")]))
    assert all(made("stale", named, others=[replace(old, text="Rosa bails out at 9.", attribute="stop")]))


@pytest.mark.parametrize(
    ("insight", "expected"),
    [
        (STOP, "The analyst's stop on the stock is some level for some time."),
        (
            stated("Rosa wants the Apple trade off by May, risking 4 percent.", symbol="AAPL"),
            "The analyst wants the trade off at some point, risking some percent.",
        ),
        (
            stated("On 2026-03-03 Karl put 40,000 dollars into Microsoft.", symbol="MSFT"),
            "At some point the analyst put some amount into the stock.",
        ),
    ],
)
def test_vague_words_take_the_place_of_names_figures_and_dates(insight, expected):
    assert {bad.text for bad in made("vague", insight)} == {expected}


def test_in_everyday_talk_people_become_someone_and_a_friend():
    told = stated("Dana told Luis about the 3 races in Lisbon.", speaker="Dana")
    (bad, *_) = made("vague", told, EVERYDAY)
    assert bad.text == "Someone told a friend about the races in some place."


def test_other_sources_are_like_the_cited_ones_and_hold_none_of_its_numbers():
    found = {bad.sources for bad in made("source", STOP)}
    assert all(len(each) == 1 for each in found)
    assert (1,) not in found
    assert (2,) in found  # the same speaker on the same symbol
    again = talk(
        ("a", "Rosa", "AAPL", "stop at 182.50"), ("b", "Rosa", "AAPL", "apple stop still sits down there, 182.50")
    )
    assert not any(made("source", STOP, again))


@pytest.mark.parametrize("name", FAULTS)
def test_a_bare_statement_without_sources_or_names_does_no_harm(name):
    bare = stated("Fine.", sources=())
    for bad in made(name, bare, talk()):
        assert bad is None or bad.text != bare.text


def of_the_sample(number):
    """Give the sample's first insights and all of its talk."""
    found = datasets.sample()
    ids = {key: place for place, key in enumerate(found.messages["key"], 1)}
    messages = [
        Message(
            message_id=ids[row["key"]],
            created_at=row["created_at"].to_pydatetime(),
            **{name: row[name] or None for name in ("session_id", "role", "text", "symbol", "speaker")},
        )
        for row in found.messages.astype(object).where(found.messages.notna(), None).to_dict("records")
    ]
    rows = found.insights.to_dict("records")
    begins = {row["key"]: row["valid_from"].to_pydatetime() for row in rows}
    insights = [
        Stated(
            insight_id=place,
            kind=row["kind"],
            text=row["text"],
            sources=tuple(ids[key] for key in row["sources"]),
            symbol=row["symbol"] or None,
            valid_from=begins[row["key"]],
            valid_until=begins.get(row["superseded_by"]),
        )
        for place, row in enumerate(rows[:number], 1)
    ]
    return insights, History(messages)


def test_every_fault_can_be_made_of_the_sample_and_comes_again_with_the_seed():
    insights, history = of_the_sample(60)
    found = inject(insights, history, 3)
    assert inject(insights, history, 3) == found
    assert inject(insights, history, 4) != found
    number = {name: sum(each == name for each, _, _ in found) for name in FAULTS}
    assert list(dict.fromkeys(name for name, _, _ in found)) == list(FAULTS)
    assert all(number[name] == 60 for name in ("symbol", "clause", "duplicate", "vague", "source"))
    assert all(number[name] >= 45 for name in ("number", "direction"))
    assert number["date"] >= 30
    assert number["stale"] >= 10
    for name, good, bad in found:
        assert (bad.text == good.text) == (name == "source")
        assert bad.text[0].isupper()
        assert bad.text.endswith(".")
        assert not re.search(r"  | [.,;]|\b(the|a|an) (the|a|an)\b|\bnot not\b|[{}]", bad.text, re.IGNORECASE)
        assert name == "source" or bad.sources == good.sources or name == "stale"
    ids = [bad.insight_id for name, _, bad in found if name == "duplicate"]
    assert len({*ids, *(each.insight_id for each in insights)}) == 120


def test_what_is_made_of_an_insight_does_not_depend_on_its_place():
    insights, history = of_the_sample(12)
    forwards, backwards = inject(insights, history, 3), inject(insights[::-1], history, 3)
    alone = {(name, good.insight_id): bad for name, good, bad in backwards if name not in {"clause", "stale"}}
    assert {(n, good.insight_id): bad for n, good, bad in forwards if n not in {"clause", "stale"}} == alone

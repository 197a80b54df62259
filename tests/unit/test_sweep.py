"""Sweeping budgets and comparing retrievers: what an analyst reads off, and what is refused."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from questions import lab_of

from gallump_lab import Budget, Config, Lab, Model, study
from gallump_lab.memory.records import TIERS
from gallump_lab.memory.signals import SIGNALS
from gallump_lab.study.tally import measure

MODEL = "claude-sonnet-5-5"


@pytest.fixture(scope="module")
def ranks(sampled):
    lab = sampled()
    questions = pd.concat([lab.questions[lab.questions["session_id"].notna()].iloc[::12], lab.questions.iloc[::16]])
    retrievers = {"BM25": study.RETRIEVERS["BM25"]} | study.ablations()
    return study.rank(lab.snapshot(), retrievers, questions.drop_duplicates("question_id"), warm=1_000)


@pytest.fixture(scope="module")
def sweep(ranks):
    """Sweep the same ranks of the default retriever alone."""
    return study.sweep(only(ranks, "all signals"))


@pytest.fixture(scope="module")
def relevance(ranks):
    return study.relevance(ranks)


def only(ranks, name, places=None):
    """Give the ranks of one retriever, and of some questions, by their places."""
    places = range(len(ranks.asked)) if places is None else places
    found = {name: [ranks.found[name][place] for place in places]}
    asked = [ranks.asked[place] for place in places]
    return replace(ranks, retrievers={name: ranks.retrievers[name]}, found=found, asked=asked)


def test_a_row_for_every_budget_with_intervals_around_each_figure_and_a_front_that_only_rises(ranks, sweep):
    assert len(sweep.frame) == 2 * sweep.real.sum()  # those of a perfect ranking come last
    frame = sweep.frame[sweep.real]
    budgets = {tier: {*study.GRID[tier], getattr(Budget(), tier)} for tier in TIERS}
    assert len(frame) == np.prod([sum(each <= ranks.limits[tier] for each in budgets[tier]) for tier in TIERS])
    for name in ("recall", "hit_rate", "full_recall", "partial_recall", "coverage"):
        assert (frame[f"{name}_low"] <= frame[name]).all()
        assert (frame[name] <= frame[f"{name}_high"]).all()
    for less, more in (("full_recall", "recall"), ("recall", "hit_rate"), ("recall", "partial_recall")):
        assert (frame[less] <= frame[more]).all()
    assert np.allclose(frame["tokens"], frame["tokens_hot"] + frame["tokens_warm"] + frame["tokens_cold"])
    assert (frame["tokens_warm"] <= frame["warm"]).all()
    nothing = frame[(frame["hot"] == 0) & (frame["warm"] == 0) & (frame["cold"] == 0)]
    assert (nothing["recall"] == 0).all()
    assert nothing["waste"].isna().all()
    for _, column in frame.groupby(["hot", "cold"]):
        assert column.sort_values("warm")["recall"].is_monotonic_increasing
    front = sweep.pareto()
    assert front["tokens"].is_monotonic_increasing
    assert front["recall"].is_monotonic_increasing
    assert front["recall"].iloc[-1] == frame["recall"].max()
    assert sweep.knee()["tokens"] in set(front["tokens"])


def test_of_rows_that_take_as_many_tokens_the_best_alone_is_on_the_front(sweep, monkeypatch):
    found = sweep.frame.head(4).assign(tokens=[5.0, 5.0, 5.0, 9.0], recall=[0.1, 0.3, 0.2, 0.3])
    monkeypatch.setitem(vars(sweep), "frame", found)
    assert sweep.pareto()[["tokens", "recall"]].to_numpy().tolist() == [[5.0, 0.3]]


def test_a_winner_is_reported_on_conversations_that_did_not_choose_it(sweep):
    best = sweep.best(tokens=900)
    conversations, frame = sweep.ranks.conversations, sweep.frame[sweep.real]
    assert sweep.best().tokens <= frame["tokens"][frame["recall"] == frame["recall"].max()].min()
    asked, chose = map(int, str(best).split("(")[1].split(" conversations")[0].split(" questions of "))
    assert chose + int(str(best).split("On ")[1].split(" ")[0]) == len(set(conversations))
    assert asked < len(conversations)
    row = frame.set_index(list(TIERS)).loc[tuple(getattr(best.config.budget, tier) for tier in TIERS)]
    low, high = sorted([best.train[0], best.holdout[0]])
    assert low <= row["recall"] <= high
    assert best.config.recall == sweep.ranks.retrievers[best.retriever]
    assert best.run["figures"]["holdout"] == best.holdout
    assert best.tokens == row["tokens"] <= 900
    assert sweep.best(least=0.5).tokens < sweep.best().tokens
    assert str(sweep.best("hit_rate")).startswith("Best hit rate: ")


def test_what_nothing_satisfies_names_what_comes_nearest_and_what_is_no_grid_is_refused(ranks, sweep):
    with pytest.raises(ValueError, match=r"No configuration is within the bounds: .* the best has recall 0\.\d+"):
        sweep.best(least=0.999)
    dear = study.sweep(sweep.ranks, {"warm": [300]})
    with pytest.raises(ValueError, match=r"the cheapest takes [\d,]+ tokens of offline-analyst a question"):
        dear.best(tokens=1)
    for unknown in ("waste", "lenient"):
        with pytest.raises(ValueError, match=rf"one of recall, hit_rate, full_recall, .* not '{unknown}'"):
            sweep.best(unknown)
    for grid, words in (
        ({"warm": [-1]}, r"'warm': \[-1\] is not"),
        ({"warm": [2.5]}, r"'warm': \[2\.5\] is not"),
        ({"warm": []}, r"'warm': \[\] is not"),
        ({"tepid": [1]}, r"grid must be tokens of hot, warm or cold, .* 'tepid': \[1\] is not"),
        ({"warm": [1_001]}, r"the ranks reach to 1,000: study\.rank\(\.\.\., warm=1001\)"),
    ):
        with pytest.raises(ValueError, match=words):
            study.sweep(ranks, grid)
    budget = Budget(hot=100, warm=100, cold=100, window=6_000, reply=4_000)
    small = only(replace(ranks, config=Config(budget=budget)), "BM25", [0])
    with pytest.raises(ValueError, match=r"No combination of the grid fits the window of 6,000"):
        study.sweep(small, {"hot": [2_000]})


def test_one_conversation_gives_means_without_intervals_and_says_so(ranks):
    names = ranks.conversations
    most = max(set(names), key=names.count)
    sweep = study.sweep(only(ranks, "all signals", [place for place, name in enumerate(names) if name == most]))
    assert sweep.frame["recall_low"].isna().all()
    assert "only 1 conversation; an interval needs 5" in repr(sweep)
    assert "There is one conversation alone" in str(sweep.best())


def test_pictures_say_in_words_what_they_show(sweep, relevance):
    for picture in (sweep.plot("hit_rate"), sweep.lines("warm"), relevance.plot(), relevance.plot_signals()):
        assert picture.png().startswith(b"\x89PNG")
        assert "recall" in repr(picture).lower() or "hit rate" in repr(picture).lower()


def test_retrievers_are_compared_in_pairs_and_a_signals_worth_is_what_is_lost_without_it(relevance, ranks):
    recall = relevance.frame.set_index("retriever")["recall_500"].drop("perfect ranking")
    pairs = relevance.differences()
    row = pairs[(pairs["retriever"] == "BM25") & (pairs["other"] == "all signals")].iloc[0]
    assert row["difference"] == pytest.approx(recall["BM25"] - recall["all signals"])
    assert row["verdict"] == "worse, beyond chance"
    assert len(pairs) == len(recall) * (len(recall) - 1) / 2
    signals = relevance.signals().set_index("signal")
    assert set(signals.index) == {*SIGNALS, "neighbours"} - {"hints", "answered"}  # off
    assert (signals["retriever"] == "all signals").all()
    for name, row in signals.iterrows():
        assert row["difference"] == pytest.approx(recall["all signals"] - recall[f"without {name}"])
    one = study.relevance(only(ranks, "BM25", range(9)))
    assert one.differences().empty
    with pytest.raises(ValueError, match=r"no ablations.*study\.ablations"):
        one.signals()


def test_the_worst_questions_show_what_outranked_their_evidence(relevance):
    worst = relevance.worst("all signals", 5)
    assert worst["recall_500"].is_monotonic_increasing
    assert worst["recall_500"].iloc[0] == 0
    assert worst[worst["recall_500"] == 0]["found"].fillna(10**9).is_monotonic_decreasing  # what is found nowhere first
    for question_id in worst["question_id"]:
        trace = relevance.trace(int(question_id), "all signals")
        assert trace.frame["evidence"].any()
        assert trace.frame[~trace.frame["evidence"]]["rank"].min() == 1
        assert trace.asked.text in repr(trace)
    with pytest.raises(ValueError, match="question_id 99999 was not ranked"):
        relevance.trace(99_999)


def test_a_winner_holds_in_the_lab_what_the_sweep_says_of_it(sampled, monkeypatch):
    """With a key Claude answers, whose tokens are shorter: 800 of them hold less than 800 of cl100k's."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "nobody is asked")
    now = [datetime(2014, 1, 1, tzinfo=UTC)]
    lab = sampled(clock=lambda: now[0])
    questions = lab.questions.iloc[::64]
    ranks = study.rank(lab.snapshot(), questions=questions)
    sweep = study.sweep(ranks, {"hot": [0], "warm": [200, 400, 700], "cold": [0]})
    best = sweep.best(tokens=800)
    lab.apply(best, force=True)
    asked = questions.set_index("question_id").loc[[each.question_id for each in ranks.asked]]
    held, used = [], []
    for each, row in zip(ranks.asked, asked.itertuples(), strict=True):
        now[0] = row.asked_at.to_pydatetime()
        symbol = row.symbol if isinstance(row.symbol, str) else None
        found = lab.recall(row.text, symbol, as_of=now[0], tokens=lab.config.budget.warm)
        kept = [slot for slot in found.slots if slot.kept]
        held.append(measure(each.needs, kept)["recall"])
        used.append(sum(slot.tokens for slot in kept))
    row = sweep.frame[sweep.frame["warm"] == best.config.budget.warm].iloc[0]
    assert np.mean(held) == pytest.approx(row["recall"])
    assert np.mean(used) == pytest.approx(best.tokens)
    turn = study.cost(lab.snapshot(), lab.config, models=MODEL).frame["usd_turn"].item()  # WARM in full
    spared = lab.config.budget.warm - row["tokens_warm"]
    assert best.usd == row["usd"] == pytest.approx(turn - spared * 2e-6)
    for said in (repr(ranks), repr(sweep), str(best), repr(sweep.plot()), row["unit"], best.run["figures"]["unit"]):
        assert f"tokens of {MODEL}" in said
    assert study.sweep(replace(ranks, model="mine"), {"warm": [0]}).frame["usd"].isna().all()


@pytest.fixture(scope="module")
def priced(sampled):
    """Sweep some questions in Claude's tokens, in each layout."""
    lab = sampled()
    ranks = study.rank(lab.snapshot(), questions=lab.questions.iloc[::8], model=MODEL)
    return study.sweep(
        ranks, {"hot": [0, 1_000, 4_000], "warm": [0, 500], "cold": [0, 200]}, ["single", "conversation"]
    )


def test_in_dollars_a_layout_is_a_choice_and_the_front_spares_them(priced):
    frame = priced.frame[priced.real]
    one, other = (part.set_index([*TIERS]) for _, part in frame.groupby("layout", sort=False))
    assert (frame["layout"].iloc[0], priced.by) == ("single", "usd")
    large = one.index.get_level_values("hot") == 4_000
    assert (other["usd"] < one["usd"])[large].all()  # HOT is read from the cache
    front = priced.pareto()
    assert front["usd"].is_monotonic_increasing
    assert front["recall"].is_monotonic_increasing
    assert {*priced.pareto(layout="single")["layout"]} == {"single"}
    assert priced.knee()["usd"] in set(front["usd"])
    bound = float(frame["usd"].median())
    best = priced.best(usd_per_turn=bound)
    assert best.usd <= bound
    assert f"a question, ${best.usd:.4f} a turn." in str(best)
    row = frame[(frame["usd"] == best.usd) & (frame["hot"] == best.config.budget.hot)].iloc[0]
    assert (best.config.layout, best.run["figures"]["usd"]) == (row["layout"], best.usd)
    assert "USD a turn, tokens of claude-sonnet-5-5" in repr(priced.plot())
    assert "A turn's dollars: the recorded talk in its own tempo, without thinking" in repr(priced)
    assert priced.pareto(by="tokens")["tokens"].is_monotonic_increasing


def test_what_cannot_be_told_in_dollars_says_so(priced, few):
    sweep = study.sweep(few)
    assert sweep.by == "tokens"
    unpriced = "no cost of a turn is known with offline-analyst"
    with pytest.raises(ValueError, match=f"usd_per_turn must be left out, as {unpriced} .*, not 0.01"):
        sweep.best(usd_per_turn=0.01)
    with pytest.raises(ValueError, match=f"by must be 'tokens', as {unpriced}"):
        sweep.pareto(by="usd")
    with pytest.raises(ValueError, match="by must be 'usd' or 'tokens', not 'euro'"):
        sweep.knee(by="euro")
    with pytest.raises(ValueError, match=r"usd_per_turn must be dollars a turn, such as 0\.01, not -1"):
        priced.best(usd_per_turn=-1)
    with pytest.raises(ValueError, match=r"the cheapest takes 0 tokens .* a question, \$0\.00\d\d a turn"):
        priced.best(usd_per_turn=0.0001)
    with pytest.raises(ValueError, match="layouts must be one or more of 'single', 'conversation', not 'columns'"):
        study.sweep(few, layouts="columns")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Make a lab of six labels: a remark a session, a long session now, questions that rest on the remarks alone."""
    names = ["halibut", "turbot", "plaice", "sole", "brill", "skate"]
    asked = [(f"What of {name}?", 40, [day]) for day, name in enumerate(names)]
    return lab_of(tmp_path_factory.mktemp("small") / "lab.duckdb", names, asked, talk=60)


@pytest.fixture(scope="module")
def few(small):
    return study.rank(small.snapshot())


def test_ranks_say_whose_tokens_they_count(small, few, tmp_path, monkeypatch):
    assert "tokens of offline-analyst, 1 to a cl100k token. With a key another would answer" in repr(few)
    theirs = study.rank(small.snapshot(), model=MODEL)
    assert (theirs.unit, theirs.factor, theirs.usd) == (f"tokens of {MODEL}", 1.55, 2e-6)
    assert f"tokens of {MODEL}" in repr(study.relevance(theirs).plot())
    assert sum(slot.tokens for slot in theirs.passages.values()) > sum(slot.tokens for slot in few.passages.values())
    monkeypatch.setenv("ANTHROPIC_API_KEY", "nobody is asked")
    path = small.snapshot().save(tmp_path / "snapshot.duckdb")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert study.rank(study.Snapshot.load(path)).unit == f"tokens of {MODEL}"  # who answered where it was taken
    server = Config(model=Model(name="mine", base_url="http://127.0.0.1:9"))
    assert study.rank(Lab.open(small.store.path, config=server).snapshot()).unit == "tokens of mine"


def test_in_a_small_lab_picture_table_and_choice_mean_the_same_tokens(small, few):
    sweep = study.sweep(few)
    assert not sweep.exercised["hot"]
    assert sweep.frame["hot_holds"].isna().all()
    assert "No question is helped by HOT" in repr(sweep)
    assert (sweep.frame["hot"] == small.config.budget.hot).all()
    assert "HOT helps no question: not measured, kept at 2,000 tokens" in repr(sweep.plot())
    shown = sweep.plot().chart.to_dict()
    front = sweep.pareto().round(4).to_dict("records")
    for each in shown["datasets"][shown["layer"][0]["data"]["name"]]:  # no dot lies above the line
        assert each["recall"] <= max(one["recall"] for one in front if one["tokens"] <= each["tokens"])
    fewest = sweep.frame["tokens"].min()
    with pytest.raises(ValueError, match=rf"cheapest takes {fewest:,.0f} .* No question is helped by HOT"):
        sweep.best(tokens=800)
    assert sweep.best(tokens=fewest).tokens == fewest
    without = study.sweep(few, {**study.GRID, "hot": [0]}).best(tokens=800)
    assert without.tokens <= 800
    assert "Label questions that need it" in str(without)
    assert "no comparison" in str(without)


def test_a_choice_that_too_few_vouch_for_or_that_holds_less_is_not_applied_silently(small, few, sweep):
    best, before = study.sweep(few).best(), small.config
    with pytest.raises(ValueError, match=r"rests on 3 conversations .* 5 are needed: label questions of 4 more"):
        small.apply(best)
    assert "lab.apply(best) will not put it in force. It rests on 3 conversations" in str(best)
    less = sweep.best(least=0.3)
    assert less.gain[0] < 0
    with pytest.raises(ValueError, match=rf"holds {-less.gain[0]:.3f} less recall than what is in force, and takes"):
        small.apply(less)
    assert small.config == before
    assert small.runs.empty
    small.apply(less, force=True)
    assert small.config == less.config
    assert "less recall than what is in force" in small.runs.words.iloc[-1]
    assert "will not put it in force" not in small.runs.words.iloc[-1]
    near = next(
        found for least in np.arange(0.6, 0.9, 0.005) if (found := sweep.best(least=least)).gain[2] > 0 > found.gain[0]
    )
    assert ("inside the noise" in str(near)) == ("may be chance, but nothing shows that it is better" in str(near))

"""Cost: what recorded sessions would take, in tokens and dollars, under any layout, budget, effort and model.

The turns come in their own tempo (`tempo`) through a model of the prompt cache (`prompt_cache`), which decides on what
is read, written and fresh; list prices, or the user's, do the rest. What a model would reply and think is an
assumption.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import pandas as pd

from gallump_lab.brain.models import Life, facts, listed
from gallump_lab.config import AUTO, DEFAULT_MODEL, UNNAMED, Config, Effort
from gallump_lab.memory.context import learnt_factor, prepare
from gallump_lab.memory.corpus import Corpus
from gallump_lab.memory.records import check
from gallump_lab.memory.vectors import Embedder
from gallump_lab.reading.text_files import counted
from gallump_lab.store import Snapshot, runs, times
from gallump_lab.study import pictures, statistics
from gallump_lab.study.pictures import Picture
from gallump_lab.study.prompt_cache import LEAST, NO_MISS, PromptCache, Sent, settings
from gallump_lab.study.rank import checked_snapshot
from gallump_lab.study.replay import Past, past_turns
from gallump_lab.study.statistics import shown
from gallump_lab.study.tempo import PARTS, PROMPT, Talk, Timed, layouts, usage
from gallump_lab.study.usage import pace
from gallump_lab.tokens import OFFLINE, scaled

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Thinking = float | Mapping[Effort, float]
HOT = (0, 500, 1_000, 2_000, 4_000, 8_000)
"""The budgets that `Cost.curve` draws by default."""
NOTHING = (
    "No question of this snapshot has a reply: ask something (lab.ask, lab.chat) or import talk, then take another."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cost:
    """What sessions would take under each configuration; `study.cost` makes it."""

    turns: pd.DataFrame
    """One row a turn of a configuration: config (its name), model, turn_id (the question's message id where talk was
    counted), session_id, asked_at (UTC), gap (minutes since the session's question before); read, written, fresh,
    reply and thinking (tokens); usd_read and so on, and usd, their sum (NaN where the price is unknown); why (the cache
    was missed; empty where it was not)."""
    predicted: pd.DataFrame
    """One row a billed turn, under its own configuration (none where talk is counted): turn_id, session_id, asked_at,
    model; read, written and fresh as the server counted them, predicted_read and so on; why (the cache was missed, as
    predicted) and told (the same, as the server said it; empty where it did not)."""
    configs: Mapping[str, Config]
    """By name."""
    life: Life
    """Of what is written to the cache."""
    assumed: tuple[float | None, Thinking | None] = (None, None)
    """What a reply and the thinking before it were taken for, in tokens; None: as recorded."""
    words: Sequence[str]
    """What the figures rest on, a sentence each."""
    snapshot: Snapshot
    """What it was worked out from."""

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a configuration and model.

        config, model, layout, hot (budget), effort (asked for), turns, sessions; read, written, fresh, reply, thinking
        (tokens a turn, mean); share_read, share_written, share_fresh (of all prompt tokens); usd_read to usd_thinking
        (a turn, mean); usd_turn, usd_session and usd_month (at the record's own pace), each with its 95% interval by
        session in `..._low` and `..._high` (NaN below five sessions); missed (share of the turns at which the cache
        had lost, or could not use, what was sent before).
        """
        rows = list[dict[str, Any]]()
        for (name, model), turns in self.turns.groupby(["config", "model"], sort=False):
            config = self.configs[str(name)]
            row: dict[str, Any] = {"config": name, "model": model, "layout": config.layout, "hot": config.budget.hot}
            row |= {"effort": settings(config.model, str(model))[1], "turns": len(turns)}
            sessions = turns.groupby("session_id", sort=False)["usd"].sum(min_count=1)
            row |= {"sessions": len(sessions), **dict(turns[[*PARTS, *map("usd_{}".format, PARTS)]].mean())}
            prompts = turns[[*PROMPT]].sum()
            row |= {f"share_{part}": prompts[part] / (prompts.sum() or math.nan) for part in PROMPT}
            a_session = statistics.means(sessions, sessions.index).interval()
            a_month = [each * len(sessions) * pace(turns["asked_at"])[0] for each in a_session]
            a_turn = statistics.means(turns["usd"], turns["session_id"]).interval()
            for span, found in (("turn", a_turn), ("session", a_session), ("month", a_month)):
                row |= dict(zip((f"usd_{span}", f"usd_{span}_low", f"usd_{span}_high"), found, strict=True))
            row["missed"] = (~turns["why"].isin(NO_MISS)).mean()
            rows.append(row)
        return pd.DataFrame(rows)

    def plot(self) -> Picture:
        """Draw where a session's dollars go, a bar a configuration and model."""
        return pictures.session_dollars(self)

    def curve(self, hot: Sequence[int] = HOT) -> Picture:
        """Draw a turn's dollars against HOT's budget, a line a layout, all else as in the first configuration.

        What is drawn counts the talk, with WARM and COLD in full.

        Raises
        ------
        ValueError
            If the budgets are no tokens, or do not fit the window.
        """
        good = isinstance(hot, Sequence) and len(hot) > 1 and all(isinstance(each, int) and each >= 0 for each in hot)
        check(good, "hot", "two or more budgets in tokens, such as [0, 2_000]", hot)
        config = self.configs[self.turns["config"].iloc[0]]
        budgets = [replace(config.budget, hot=each) for each in sorted({*hot})]
        given = {
            f"{layout} {budget.hot}": replace(config, layout=layout, budget=budget)
            for layout in layouts(config)
            for budget in budgets
        }
        return pictures.dollars_by_hot(self._talked(given), config.budget.hot)

    def tempo(self) -> Picture:
        """Draw how long your questions lie apart, and a turn's dollars where the cache lasts 5 minutes and an hour.

        What is drawn counts the talk, with WARM and COLD in full.
        """
        lives = {life: self._talked(self.configs, life=life) for life in get_args(Life)}
        turns = next(iter(lives.values())).turns
        gaps = turns.loc[turns["config"] == turns["config"].iloc[0], "gap"].dropna()
        return pictures.own_tempo(gaps, lives)

    def weights(self, tokens: Sequence[int] = (0, 1_000, 2_000, 4_000)) -> Picture:
        """Draw a turn's dollars as HOT's budget grows beside those as more is thought: which weighs more.

        It is the first configuration's, which counts the talk, with WARM and COLD in full.
        """
        config = self.configs[self.turns["config"].iloc[0]]
        good = isinstance(tokens, Sequence) and len(tokens) > 1 and all(isinstance(n, int) and n >= 0 for n in tokens)
        check(good, "tokens", "two or more numbers of tokens, such as [0, 2_000]", tokens)
        budgets = {str(n): replace(config, budget=replace(config.budget, hot=n)) for n in sorted({*tokens})}
        thinking = [self._talked({str(n): config}, thinking=n).frame for n in sorted({*tokens})]
        named = {"HOT's budget": self._talked(budgets, thinking=0).frame, "thinking": pd.concat(thinking)}
        rows = [
            pd.DataFrame({"what": name, "tokens": sorted({*tokens}), "usd": found["usd_turn"].tolist()})
            for name, found in named.items()
        ]
        return pictures.hot_or_thinking(pd.concat(rows))

    def _talked(self, configs: Mapping[str, Config], **given: Any) -> "Cost":
        """Count the talk under configurations, all else as here; a ValueError says where it has no price."""
        reply, thinking = self.assumed
        given = {"life": self.life, "reply": reply, "thinking": thinking, "models": self.turns["model"].iloc[0]} | given
        found = cost(self.snapshot, configs, talk=True, **given)
        if found.turns["usd"].isna().all():
            raise ValueError(_no_price(given["models"]))
        return found

    def __repr__(self) -> str:
        """Return what each configuration costs, how far predictions can be trusted, and what all rests on."""
        lines = []
        for row in self.frame.to_dict("records"):
            found = [
                tuple(row[f"usd_{span}{end}"] for end in ("", "_low", "_high")) for span in ("turn", "session", "month")
            ]
            turn, session, month = (
                f"${shown(each, form)}" for each, form in zip(found, (".4f", ".3f", ",.2f"), strict=True)
            )
            where = {"read": "read from the cache", "written": "written to it", "fresh": "fresh"}
            split = ", ".join(f"{row[f'share_{part}']:.0%} {words}" for part, words in where.items())
            usd = f"{turn} a turn, {session} a session, {month} a month" if row["usd_turn"] >= 0 else "price not known"
            lines.append(f"{row['config']}, {row['model']}: {usd}; of its prompts' tokens {split}")
        return "\n".join([*lines, *self.words])


def cost(  # noqa: PLR0913 (what may be tried, and what is assumed)
    snapshot: Snapshot,
    configs: Config | Mapping[str, Config] | None = None,
    *,
    models: str | Sequence[str] | None = None,
    life: Life = "5m",
    reply: float | None = None,
    thinking: Thinking | None = None,
    talk: bool | None = None,
    embedders: Iterable[Embedder] = (),
) -> Cost:
    """Work out what recorded sessions would cost, turn by turn, in their own tempo; nothing is sent.

    Parameters
    ----------
    snapshot : Snapshot
        What `lab.snapshot()` gave.
    configs : Config or mapping of str to Config, optional
        What to try, by name; by default what is applied, in each layout.
    models : str or sequence of str, optional
        Who would answer, under each configuration; by default whom it names, or who answered in the lab, or else
        Sonnet 5.5.
    life : {"5m", "1h"}
        How long what is written to the prompt cache lasts; the package itself asks for 5 minutes.
    reply, thinking : float, optional
        Tokens a turn of what is written and of what is thought; by default as recorded. For thinking, a mapping gives
        them by effort, such as {"low": 200, "high": 2_000}.
    talk : bool, optional
        Whether to count the talk instead of building recorded turns again; by default where most of it was not recorded
        here but imported.
    embedders : iterable of Embedder
        Your own, if a configuration names one.

    Raises
    ------
    ValueError
        If an argument cannot be used, or there is no turn to count.

    Examples
    --------
    >>> study.cost(snap, {"small": Config(budget=Budget(hot=1_000)), "large": Config(budget=Budget(hot=8_000))})
    >>> study.cost(snap, models=["claude-haiku-5-5", "claude-opus-5-5"], thinking={"medium": 800}).frame
    """
    checked_snapshot(snapshot)
    _check(models, life, reply, thinking)
    corpus, frames, notes = Corpus(embedders), list[pd.DataFrame](), list[str]()
    with snapshot.read() as con:
        applied, past = runs.applied(con), past_turns(con)
    named = _named(configs, applied)
    for config in named.values():
        prepare(corpus, snapshot, config.recall.embedder)
    with snapshot.read() as con:
        all_of_it = Talk.of(con)
        said = all_of_it if talk or (talk is None and len(all_of_it) > 2 * len(past)) else None
        for name, config in named.items():
            for model in [models] if isinstance(models, str) else models or [answering(config, snapshot)]:
                if said is not None:
                    memory = config.budget.warm + config.budget.cold
                    found = said.turns(config, model, learnt_factor(con, model, config), memory)
                else:
                    found, problems = recorded(con, corpus, past, config, model)
                    notes += [f"{name}: {counted(n, 'turns')} left out, {why}" for why, n in problems.items()]
                assumed = reply, _thought(config, model, thinking)
                one = usage(found, model, {**applied.model.prices, **config.model.prices}, life, assumed)
                frames.append(pd.DataFrame({"config": name, "model": model}, index=one.index).join(one))
        predicted = _predicted(con, corpus, past if said is None else [])
    turns = pd.concat(frames)
    if turns.empty:
        raise ValueError(" ".join([NOTHING, *notes]))
    again = f"{counted(len(past), 'recorded turns')}, built again; talk=True counts all talk, imported talk too."
    instead = f" talk=False builds {counted(len(past), 'recorded turns')} again." if past else ""
    words = [again if said is None else f"{said.words}.{instead}", *notes]
    words += _words(turns, predicted, (reply, thinking), life, offline=models is None and snapshot.model == OFFLINE)
    words += ["Rewriting questions costs more: left out."] if any(each.rewrite for each in named.values()) else []
    return Cost(
        turns=turns.reset_index(drop=True),
        predicted=predicted,
        configs=named,
        life=life,
        assumed=(reply, thinking),
        words=words,
        snapshot=snapshot,
    )


def answering(config: Config, snapshot: Snapshot) -> str:
    """Return who would answer: whom a configuration names, else who answered in the lab, else Sonnet 5.5."""
    there = snapshot.model if snapshot.model not in {None, OFFLINE, UNNAMED} else DEFAULT_MODEL
    return str(there) if config.model.name == AUTO else config.model.name


def _thought(config: Config, model: str, thinking: Thinking | None) -> float | None:
    """Return the tokens that a model is assumed to think with; None for as many as recorded."""
    if (known := facts(model)) and not known.thinks:
        return 0.0
    if not isinstance(thinking, Mapping):
        return thinking
    if not known:
        return None
    effort: Any = settings(config.model, model)[1]
    check(effort in thinking, "thinking", f"tokens of effort {effort!r} too, which {model} is asked for", thinking)
    return thinking[effort]


def _predicted(con: "DuckDBPyConnection", corpus: Corpus, past: Sequence[Past]) -> pd.DataFrame:
    """Return billed turns under their own configurations, as predicted and as counted."""
    billed = {turn.turn_id: turn for turn in past if turn.input_tokens is not None and turn.model != OFFLINE}
    cache, rows = PromptCache(), []
    for turn in recorded(con, corpus, past, None)[0] if billed else ():
        found, own = cache.use(turn.at, turn.sent), billed.get(turn.turn_id)
        if own:
            spent = own.cache_read_tokens or 0, own.cache_write_tokens or 0, own.input_tokens
            at = times.aware(own.asked_at)
            rows.append([own.turn_id, own.session_id, at, own.model, *spent, *found, own.missed or ""])
    counts = [*PROMPT, *map("predicted_{}".format, PROMPT)]
    return pd.DataFrame(rows, columns=["turn_id", "session_id", "asked_at", "model", *counts, "why", "told"])


def _words(
    turns: pd.DataFrame, predicted: pd.DataFrame, assumed: tuple[Any, Any], life: Life, *, offline: bool
) -> list[str]:
    """Say what the figures rest on."""
    one = turns[(turns["config"] == turns["config"].iloc[0]) & (turns["model"] == turns["model"].iloc[0])]
    gaps, lasting = one["gap"].dropna(), {"5m": "5 minutes", "1h": "an hour"}[life]
    often, late = ((gaps >= minutes).mean() for minutes in (5, 60))
    between = f"between a session's questions {gaps.median():.1f} minutes (median), {often:.0%} of them 5 or more"
    between = f"{between}, {late:.0%} an hour or more" if len(gaps) else "no session has two questions"
    words = [
        f"Tempo: {counted(one['session_id'].nunique(), 'sessions')}, {pace(one['asked_at'])[1]}.",
        f"Gaps: {between}.",
        f"Prices: the list of {listed()['as_of']}, or your own (Model.prices); the cache lasts {lasting}.",
    ]
    words += ["The offline analyst is free: counted as if another had answered."] if offline else []
    reply, thinking = assumed
    if isinstance(thinking, Mapping):
        thinking = " or ".join(f"{number:,.0f} ({effort})" for effort, number in thinking.items())
    words.append(f"Replies: {'as long as recorded' if reply is None else f'{reply:,.0f} tokens, as assumed'}.")
    unknown = turns["thinking"].isna().mean()
    words.append(f"Thinking: {'as recorded' if thinking is None else f'{thinking} tokens a turn, as assumed'}.")
    if unknown:
        words.append(
            f"What {unknown:.0%} of the turns would think is not known and left out: thinking=... assumes some."
        )
    for model in turns["model"].unique():
        known = facts(model)
        if known is None:
            words.append(f"Nothing is known of {model}'s cache, so nothing is counted as cached.")
        elif not known.cache_from:
            words.append(f"It is not known below how many tokens {model} caches nothing: {LEAST:,} are assumed.")
        if turns.loc[turns["model"] == model, "usd"].isna().all():
            words.append(_no_price(model))
    if len(predicted):
        pairs = (f"{part} {predicted[f'predicted_{part}'].sum():,} for {predicted[part].sum():,}" for part in PROMPT)
        words.append(f"Of {counted(len(predicted), 'billed turns')} predicted for counted: {', '.join(pairs)} tokens.")
    return words + statistics.caution(one["session_id"])


def _no_price(model: str) -> str:
    return f"No price is known for {model}: give one (Model.prices={{{model!r}: (USD in, USD out)}})."


def recorded(
    con: "DuckDBPyConnection", corpus: Corpus, past: Iterable[Past], config: Config | None, answering: str | None = None
) -> tuple[list[Timed], Counter[str]]:
    """Return recorded turns under a configuration, or each under its own; and how many cannot be built, by reason."""
    found, problems = list[Timed](), Counter[str]()
    for turn in past:
        tried, who = config or (turn.config if turn.toml else Config()), answering or turn.model
        prompt, problem = turn.build(con, corpus, tried, who)
        if prompt is None:
            problems[problem or ""] += 1
            continue
        factor = prompt.session_context.token_factor
        reply = float(scaled(turn.said or 0, factor))
        if turn.output_tokens is not None:
            reply = (turn.output_tokens - (turn.thinking_tokens or 0)) * (factor / turn.token_factor)
        sent = Sent.of(prompt, tried.model, who, turn.session_id)
        thought = turn.thinking_tokens
        found.append(Timed(turn_id=turn.turn_id, at=turn.asked_at, sent=sent, reply=reply, thinking=thought))
    return sorted(found, key=lambda turn: turn.at), problems


def _check(models: object, life: object, reply: object, thinking: object) -> None:
    """Refuse what cannot be used, by argument, value and mend."""
    names = [models] if isinstance(models, str) else models
    good = names is None or (
        isinstance(names, Sequence) and names and all(isinstance(n, str) and n.strip() for n in names)
    )
    check(good, "models", "a model's name such as 'claude-sonnet-5-5', or several", models)
    check(life in get_args(Life), "life", "'5m' or '1h'", life)
    check(reply is None or _amount(reply), "reply", "tokens a turn, a number of at least 0", reply)
    efforts = thinking.keys() - get_args(Effort) if isinstance(thinking, Mapping) else set()
    amounts = thinking.values() if isinstance(thinking, Mapping) else [thinking]
    good = not efforts and (thinking is None or all(map(_amount, amounts)))
    check(good, "thinking", "tokens a turn, a number of at least 0, or such by effort ({'low': 200})", thinking)


def _amount(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def _named(configs: object, applied: Config) -> dict[str, Config]:
    """Return configurations by name, of what a caller gave; a sweep's choice is one too."""
    if configs is None:
        return {layout: replace(applied, layout=layout) for layout in layouts(applied)}
    given = configs if isinstance(configs, Mapping) else {"tried": configs}
    found: dict[str, Any] = {str(name): getattr(each, "config", each) for name, each in given.items()}
    good = found and all(isinstance(each, Config) for each in found.values())
    check(good, "configs", "a Config, or several by name ({'mine': Config(...)})", configs)
    return found

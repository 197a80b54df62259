"""A chart as a notebook shows it, and the studies' charts, each from the records that hold the figures."""

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gallump_lab.brain.prices import usd
from gallump_lab.brain.prompt import SECTIONS
from gallump_lab.lazy import alt
from gallump_lab.memory.records import TIERS
from gallump_lab.reading.text_files import counted
from gallump_lab.study.colours import COLOURS, FAINT, INK, PAID, SERIES, SPOKEN

if TYPE_CHECKING:
    from gallump_lab.study.cost import Cost
    from gallump_lab.study.relevance import Relevance
    from gallump_lab.study.spending import Spending
    from gallump_lab.study.sweep import Sweep
    from gallump_lab.study.usage import Tokens

BILLED = {
    "usd_read": "cache read",
    "usd_written": "cache write",
    "usd_fresh": "fresh prompt",
    "usd_reply": "reply",
    "usd_thinking": "thinking",
}
"""What each column of a turn's cost is drawn as."""
DIGITS = 4
"""So exact are the figures in a chart: the same on every machine."""
NAMES = {"recall": "evidence recall", "coverage": "answer coverage", "ndcg": "nDCG@10"}
"""Of measures; the others go by their own."""
PARTS = {tier: tier.upper() for tier in TIERS} | {"market": "market", "portfolio": "market", "question": "question"}
"""The part of a prompt that each of its sections is drawn as; the others are instructions."""
VEGALITE = "application/vnd.vegalite.v5+json"
_HINTS = ["retriever", "layout", *TIERS]


class Picture:
    """A chart that a notebook shows without any network: as Vega-Lite, as PNG where that is not known, and as words.

    Attributes
    ----------
    chart : altair chart
        To change or to save in another format.
    words : str
        What it shows, in a line or a few; its plain repr.
    """

    def __init__(self, chart: Any, words: str) -> None:
        self.chart, self.words = chart, words

    def png(self) -> bytes:
        """Draw the chart as a PNG image, on white."""
        import vl_convert

        drawn: bytes = vl_convert.vegalite_to_png(self.chart.to_dict() | {"background": "white"}, scale=2)
        return drawn

    def save(self, path: str | Path) -> None:
        """Write the chart as a PNG file."""
        Path(path).write_bytes(self.png())

    def __repr__(self) -> str:
        """Return in words what the chart shows."""
        return self.words

    def spec(self) -> dict[str, Any]:
        """Return the chart as Vega-Lite 5, which JupyterLab 4 draws."""
        drawn: dict[str, Any] = self.chart.to_dict()
        return drawn | {"$schema": "https://vega.github.io/schema/vega-lite/v5.json"}

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        shown = {"text/plain": self.words, "image/png": self.png(), VEGALITE: self.spec()}
        return shown, {
            VEGALITE: {"embed_options": {"renderer": "svg", "actions": False}}
        }  # no menu that sends it elsewhere


def finished(chart: Any) -> Any:
    """Return a chart with the looks that all share: ink and ground are those of the page, so it follows the theme."""
    ink = {"labelColor": "currentColor", "titleColor": "currentColor"}
    return (
        chart.configure(background="transparent", padding=12)
        .configure_view(stroke=FAINT)
        .configure_axis(grid=True, gridColor=FAINT, domainColor=INK, tickColor=INK, **ink)
        .configure_title(anchor="start", color="currentColor", subtitleColor=INK)
        .configure_legend(titleLimit=400, **ink)
    )


def picture(chart: Any, words: str, title: str, *subtitle: str, width: int = 520, height: Any = 300) -> Picture:
    """Return a chart with a title and the looks that all share, and what it shows in words."""
    titled = chart.properties(title=alt.TitleParams(title, subtitle=list(subtitle)), width=width, height=height)
    return Picture(finished(titled), words)


def _name(measure: str) -> str:
    return NAMES.get(measure, measure.replace("_", " "))


def _held(rows: "pd.DataFrame", name: str, form: str = ".3f") -> str:
    """Return a figure of each row in words, by the row's first column."""
    return ", ".join(f"{label} {value:{form}}" for label, value in zip(rows.iloc[:, 0], rows[name], strict=True))


def _dots(base: Any, x: Any, **looks: Any) -> Any:
    """Draw a dot a row with its interval, from `low` to `high`."""
    ends = base.mark_rule(strokeWidth=2, **looks).encode(x=alt.X("low:Q", title=x["title"]), x2="high:Q")
    return ends + base.mark_point(filled=True, size=70, **looks).encode(x=x)


def _in_force(budget: int, x: Any) -> Any:
    """Return the dashed line at the budget in force."""
    rule = alt.Chart(pd.DataFrame({"in force": [budget]})).mark_rule(strokeDash=[4, 4], color=INK)
    return rule.encode(x=alt.X("in force:Q", title=x["title"]), tooltip=["in force"])


def _curve(chart: Any, x: Any, y: Any, objective: str, **looks: Any) -> Any:
    """Draw a line with its points and its interval."""
    band = chart.mark_area(opacity=0.15, **looks).encode(x=x, y=f"{objective}_low:Q", y2=f"{objective}_high:Q")
    return band + chart.mark_line(point=looks or True, **looks).encode(x=x, y=y)


def front(sweep: "Sweep", objective: str) -> Picture:
    """Draw each configuration's objective against what it takes, the Pareto front, what is in force and the knee."""
    by, unit, name = sweep.by, sweep.ranks.unit, _name(objective)
    axis, form, digits = f"memory a question, mean, {unit}", ",.0f", DIGITS
    if by == "usd":
        axis, unit, form, digits = "USD a turn, mean", f"USD a turn, {unit}", ".4f", DIGITS + 2
    rounded = {objective: DIGITS, f"{objective}_low": DIGITS, f"{objective}_high": DIGITS, "tokens": DIGITS, by: digits}
    frame, best = sweep.frame.round(rounded), sweep.pareto(objective).round(rounded)
    x = alt.X(f"{by}:Q", title=axis, scale=alt.Scale(zero=by == "tokens"))
    y = alt.Y(f"{objective}:Q", title=name, scale=alt.Scale(zero=False))
    columns = [*_HINTS, *dict.fromkeys(["tokens", by]), objective]
    real = frame[sweep.real]
    cloud = alt.Chart(real.iloc[:: max(1, len(real) // 400)][columns])
    edge = alt.Chart(best[[*columns, f"{objective}_low", f"{objective}_high"]])
    ideal = sweep.pareto(objective, perfect=True).round(rounded)[columns]
    places: dict[str, Any] = {"knee": sweep.knee(objective).name, "in force": sweep.applied}
    marked = {what: frame.loc[place] for what, place in places.items() if place is not None}
    rows = [{"what": what, **row[columns]} for what, row in marked.items()]
    what = alt.Color("what:N", title=None, scale=alt.Scale(domain=[*marked], range=[SERIES[1], INK]))
    shape = alt.Shape("what:N", title=None, scale=alt.Scale(domain=[*marked]))  # as the colour's: one legend for both
    points = alt.Chart(pd.DataFrame(rows)).mark_point(size=160, strokeWidth=3, filled=False)
    chart = (
        cloud.mark_circle(size=14, opacity=0.25, color="#999999").encode(x=x, y=y, tooltip=columns)
        + alt.Chart(ideal).mark_line(strokeDash=[2, 3], color="#999999").encode(x=x, y=y, tooltip=columns)
        + _curve(edge.encode(tooltip=columns), x, y, objective, color=SERIES[0])
        + points.encode(x=x, y=y, shape=shape, color=what, tooltip=["what", *columns])
    )
    (least, most), (low, high) = best.iloc[[0, -1]][by], best.iloc[[0, -1]][objective]
    words = [
        f"{name.capitalize()} against {unit}: {low:.3f} for {least:{form}} to {high:.3f} for {most:{form}}",
        *(f"{what} {row[objective]:.3f} for {row[by]:{form}}" for what, row in marked.items()),
        *(f"a perfect ranking {row[objective]:.3f} for {row[by]:{form}}" for _, row in ideal.tail(1).iterrows()),
    ]
    unmeasured = [
        f"{tier.upper()} helps no question: not measured, kept at {int(best[tier].iloc[0]):,} tokens"
        for tier, helps in sweep.exercised.items()
        if not helps
    ]
    judged = ", with its 95% interval" if best[f"{objective}_low"].notna().any() else ""
    line = f"{len(real):,} configurations; the line: the best that so much buys{judged}"
    told = f"knee: beyond it further {'dollars' if by == 'usd' else 'tokens'} bring least; dotted: a perfect ranking"
    return picture(chart, "; ".join(words + unmeasured), f"What {name} costs", line, told, *unmeasured)


def lines(sweep: "Sweep", tier: str, objective: str) -> Picture:
    """Draw the objective as one tier's budget grows, the others as in force: a line a retriever."""
    budget, unit, frame = sweep.ranks.config.budget, sweep.ranks.unit, sweep.frame.round(DIGITS)
    frame = frame[frame["layout"] == sweep.layout[sweep.applied or 0]].replace({"retriever": SPOKEN})
    for other in set(TIERS) - {tier}:
        nearest = min(frame[other].tolist(), key=lambda each: abs(each - getattr(budget, other)))
        frame = frame[frame[other] == nearest]
    columns = [*_HINTS, "tokens", objective, f"{objective}_low", f"{objective}_high"]
    names = [*frame["retriever"].unique()]
    colour = alt.Color(
        "retriever:N", title=None, sort=names, scale=alt.Scale(range=SERIES), legend=alt.Legend(symbolOpacity=1)
    )
    x = alt.X(f"{tier}:Q", title=f"{tier.upper()}'s budget, {unit}", axis=alt.Axis(tickCount=8))
    y = alt.Y(f"{objective}:Q", title=_name(objective), scale=alt.Scale(domain=[0, 1]))  # so that tiers compare
    curve = _curve(alt.Chart(frame[columns]).encode(color=colour, tooltip=columns), x, y, objective)
    last = frame[frame[tier] == frame[tier].max()]
    most = f"{tier.upper()}'s budget; at {int(last[tier].iloc[0]):,} {unit}"
    unmeasured = "" if sweep.exercised[tier] else f". {tier.upper()} helps no question: it was not measured"
    return picture(
        curve + _in_force(getattr(budget, tier), x),
        f"{_name(objective).capitalize()} by {most}: {_held(last, objective)}",
        f"What {tier.upper()}'s tokens bring",
        f"95% intervals by conversation; the dashed line is the budget in force{unmeasured}",
    )


def retrievers(relevance: "Relevance") -> Picture:
    """Draw each retriever's recall within each budget."""
    frame, unit, order = relevance.frame.round(DIGITS), relevance.ranks.unit, [*map(str, relevance.at_tokens)]
    parts = []
    for budget in order:
        names = [f"recall_{budget}{end}" for end in ("", "_low", "_high")]
        part = frame[["retriever", *names]].set_axis(["retriever", "recall", "low", "high"], axis=1)
        parts.append(part.assign(tokens=budget))
    scale = alt.Scale(domain=order, range=SERIES)
    base = alt.Chart(pd.concat(parts)).encode(
        y=alt.Y("retriever:N", sort=[*relevance.measured], title=None),
        yOffset=alt.YOffset("tokens:N", sort=order),
        color=alt.Color("tokens:N", sort=order, title=f"within, {unit}", scale=scale),
        tooltip=["retriever", "tokens", "recall"],
    )
    return picture(
        _dots(base, alt.X("recall:Q", title=NAMES["recall"], scale=alt.Scale(domain=[0, 1]))),
        f"Evidence recall within {relevance.main.split('_')[1]} {unit}: {_held(frame, relevance.main)}",
        "Which retrieval finds the evidence",
        "WARM alone; 95% intervals by conversation",
        height={"step": 12},
    )


def signals(relevance: "Relevance") -> Picture:
    """Draw what is lost without each signal."""
    frame = relevance.signals().round(DIGITS)
    y = alt.Y("signal:N", sort=[*frame["signal"]], title=None)
    base = alt.Chart(frame).encode(y=y, tooltip=["signal", "difference", "verdict"])
    title = f"recall lost without it, within {relevance.main.split('_')[1]} {relevance.ranks.unit}"
    zero = alt.Chart(frame.head(1)).mark_rule(strokeDash=[4, 4], color=INK).encode(x=alt.datum(0))
    return picture(
        zero + _dots(base, alt.X("difference:Q", title=title), color=SERIES[0]),
        f"Recall lost without each signal: {_held(frame, 'difference', '+.3f')}",
        "What each signal is worth",
        "paired by question; 95% intervals by conversation",
        height={"step": 24},
    )


def _stacked(rows: pd.DataFrame, y: Any, colours: Mapping[str, str]) -> Any:
    """Draw a bar a period, stacked by part."""
    return (
        alt.Chart(rows.assign(order=rows["part"].map([*colours].index)))
        .mark_bar()
        .encode(
            x=alt.X("period:O", title=None, axis=alt.Axis(labelAngle=-45, labelOverlap=True)),
            y=y,
            color=alt.Color("part:N", title=None, scale=alt.Scale(domain=[*colours], range=[*colours.values()])),
            order="order:Q",
            tooltip=[*rows.columns],
        )
    )


def counts(ratio: float) -> str:
    """Return in words how near estimates came to what the server counted."""
    if math.isnan(ratio):
        return "the server's own count is not known"
    if round(ratio, 2) == 1:
        return "estimates matched the server's count"
    return f"the server counted {ratio:.2f} times the estimate"


def tokens(found: "Tokens") -> Picture:
    """Draw where tokens went over time, stacked."""
    long = found.over_time.melt(id_vars=["period"], value_vars=[*SECTIONS], var_name="part", value_name="tokens")
    part, period = long["part"].map(PARTS).fillna("instructions"), long["period"].dt.strftime("%Y-%m-%d")
    spent = long["tokens"].groupby([period, part]).sum().reset_index()
    chart = _stacked(spent, alt.Y("tokens:Q", title="tokens of prompts, as estimated"), COLOURS)
    share = spent.groupby("part")["tokens"].sum().reindex([*COLOURS]) / max(spent["tokens"].sum(), 1)
    words = f"Where tokens went: {', '.join(f'{part} {value:.0%}' for part, value in share.items() if value > 0)}."
    both = found.turns[["estimated", "actual"]].dropna().sum()
    told = counts(both["actual"] / both["estimated"] if both["estimated"] else math.nan)
    title = f"Where tokens went, by {'month' if found.by_month else 'day'}"
    return picture(chart, f"{words} {told[0].upper()}{told[1:]}.", title, told, width=460, height=200)


def spending(found: "Spending") -> Picture:
    """Draw what each day cost, stacked by section."""
    frame, drawn = found.frame, COLOURS | PAID
    part = frame["section"].where(frame["section"].isin(PAID), frame["section"].map(PARTS).fillna("instructions"))
    period = frame["day"].dt.strftime("%Y-%m-%d").rename("period")
    paid = frame["usd"].groupby([period, part.rename("part")]).sum().reset_index()
    by_part = paid.groupby("part")["usd"].sum()
    colours = {name: colour for name, colour in drawn.items() if name in by_part}
    chart = _stacked(paid, alt.Y("usd:Q", title="USD", axis=alt.Axis(format="$~g")), colours)
    shares = {name: by_part[name] / by_part.sum() for name in colours}
    held = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share >= 0.005)
    told = f"{usd(by_part.sum())} of recorded costs"
    if found.unpriced:
        told += f"; {counted(found.unpriced, 'calls')} of unknown cost left out"
    title = "Where dollars went, by UTC day"
    return picture(chart, f"{title}: {told}: {held}", title, told, width=460, height=200)


def session_dollars(found: "Cost") -> Picture:
    """Draw where a session's dollars go, a bar a configuration and model."""
    frame, several = found.frame, len({*found.frame["model"]}) > 1
    names = [row["config"] if not several else f"{row['config']}, {row['model']}" for row in frame.to_dict("records")]
    spent = frame[[*BILLED]].mul(frame["turns"] / frame["sessions"], axis=0).rename(columns=BILLED)
    rows = spent.assign(config=names).melt("config", var_name="part", value_name="usd").round({"usd": DIGITS + 2})
    parts = [*BILLED.values()]
    scale = alt.Scale(domain=parts, range=[(PAID | {"fresh prompt": COLOURS["market"]})[part] for part in parts])
    chart = (
        alt.Chart(rows.assign(order=rows["part"].map(parts.index)))
        .mark_bar()
        .encode(
            x=alt.X("usd:Q", title="USD a session, mean", axis=alt.Axis(tickCount=6)),
            y=alt.Y("config:N", title=None, sort=names),
            color=alt.Color("part:N", title=None, scale=scale),
            order="order:Q",
            tooltip=["config", "part", "usd"],
        )
    )
    shares = spent.div(spent.sum(axis=1), axis=0)
    said = []
    for name, row, share in zip(names, frame.to_dict("records"), shares.to_dict("records"), strict=True):
        split = ", ".join(f"{part} {share[part]:.0%}" for part in parts if share[part] > 0)
        said.append(f"{name}: ${row['usd_session']:.3f} a session, {split}")
    return picture(chart, "; ".join(said), "Where a session's dollars go", found.words[0], height={"step": 36})


def dollars_by_hot(found: "Cost", applied: int) -> Picture:
    """Draw a turn's dollars against HOT's budget, a line a layout; `applied` is the budget in force."""
    columns = ["layout", "hot", "usd_turn", "usd_turn_low", "usd_turn_high"]
    frame = found.frame[columns].round(DIGITS + 2)
    x = alt.X("hot:Q", title="HOT's budget, tokens")
    y = alt.Y("usd_turn:Q", title="USD a turn, mean", scale=alt.Scale(zero=False))
    scale = alt.Scale(domain=[*frame["layout"].unique()], range=SERIES)
    colour = alt.Color("layout:N", title=None, scale=scale, legend=alt.Legend(symbolOpacity=1))
    curve = _curve(alt.Chart(frame).encode(color=colour, tooltip=columns), x, y, "usd_turn")
    ends = [
        f"{layout} ${rows['usd_turn'].iloc[0]:.4f} to ${rows['usd_turn'].iloc[-1]:.4f}"
        for layout, rows in frame.groupby("layout", sort=False)
    ]
    least, most = frame["hot"].min(), frame["hot"].max()
    words = f"A turn's dollars for HOT from {least:,} to {most:,} tokens: {', '.join(ends)}"
    subtitle = "95% intervals by session; the dashed line is the budget in force"
    return picture(curve + _in_force(applied, x), words, "What HOT's budget costs", subtitle)


def own_tempo(gaps: "pd.Series[float]", lives: Mapping[str, "Cost"]) -> Picture:
    """Draw how long questions lie apart, by what is still cached then, and a turn's dollars for each life of that."""
    edges, held = [0, 1, 2, 3, 5, 10, 20, 30, 60], ["with either life", "with an hour alone", "with neither"]
    place = np.digitize(gaps, edges) - 1
    share = [float((place == each).mean()) if len(gaps) else 0.0 for each in range(len(edges))]
    names = [*(f"{low}-{high}" for low, high in pairwise(edges)), f"{edges[-1]} or more"]
    apart = pd.DataFrame({"minutes": names, "share": share, "there": [held[(e >= 5) + (e >= 60)] for e in edges]})
    there = alt.Color("there:N", title="still cached", scale=alt.Scale(domain=held, range=SERIES[:2] + SERIES[3:4]))
    x = alt.X("minutes:O", sort=names, title="minutes since the session's question before", axis=alt.Axis(labelAngle=0))
    y = alt.Y("share:Q", title="of questions", axis=alt.Axis(format="%"))
    bars = alt.Chart(apart.round(DIGITS)).mark_bar().encode(x=x, y=y, color=there, tooltip=[*apart.columns])
    paid = pd.concat([found.frame.assign(life=life) for life, found in lives.items()])
    named = {"usd_turn": "usd", "usd_turn_low": "low", "usd_turn_high": "high"}
    paid = paid[["config", "life", *named]].rename(columns=named).round(DIGITS + 2)
    y = alt.Y("config:N", title=None, sort=[*paid["config"].unique()])
    colour = alt.Color("life:N", title="cached for", scale=alt.Scale(domain=[*lives], range=SERIES[5:3:-1]))
    offset = alt.YOffset("life:N", sort=[*lives])
    base = alt.Chart(paid).encode(y=y, yOffset=offset, color=colour, tooltip=["config", "life", "usd"])
    dots = _dots(base, alt.X("usd:Q", title="USD a turn, mean", scale=alt.Scale(zero=False)))
    parts = bars.properties(width=520, height=180) & dots.properties(width=520, height={"step": 14})
    of = [f"{name} {_held(rows[['life', 'usd']], 'usd', '.4f')}" for name, rows in paid.groupby("config", sort=False)]
    late, later = (float((gaps >= each).mean()) for each in (5, 60))
    told = f"{gaps.median():.1f} minutes between a session's questions (median); {late:.0%} 5 or more, {later:.0%} 60+"
    title = alt.TitleParams("What your tempo means for the prompt cache", subtitle=told)
    return Picture(
        finished(parts.resolve_scale(color="independent").properties(title=title)),
        f"{told}; USD a turn, cached for: {'; '.join(of)}",
    )


def hot_or_thinking(rows: pd.DataFrame) -> Picture:
    """Draw a turn's dollars as HOT's budget grows beside those as more is thought, on one scale."""
    names = [*rows["what"].unique()]
    scale = alt.Scale(domain=names, range=[COLOURS["HOT"], PAID["thinking"]])
    chart = (
        alt.Chart(rows.round(DIGITS + 2))
        .mark_line(point=True)
        .encode(
            x=alt.X("tokens:Q", title="tokens a turn"),
            y=alt.Y("usd:Q", title="USD a turn, mean", scale=alt.Scale(zero=False)),
            color=alt.Color("what:N", title=None, scale=scale),
            tooltip=[*rows.columns],
        )
    )
    most = int(rows["tokens"].max())
    ends = rows.groupby("what", sort=False)["usd"].agg(["first", "last"])
    more = (ends["last"] - ends["first"])[names]
    words = f"From 0 to {most:,} tokens {names[0]} adds ${more.iloc[0]:.4f} to a turn, {names[1]} ${more.iloc[1]:.4f}"
    if more.iloc[0] > 0:
        words += f": a token of {names[1]} weighs {more.iloc[1] / more.iloc[0]:.1f} times one of {names[0]}"
    return picture(chart, words, "What weighs more: HOT or thinking", "what thinking brings is not measured here")

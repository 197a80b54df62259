"""A chart as a notebook shows it, and the studies' charts, each from the records that hold the figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from gallump_lab.brain.prices import usd
from gallump_lab.brain.prompt import SECTIONS
from gallump_lab.lazy import alt
from gallump_lab.memory.records import TIERS
from gallump_lab.reading.text_files import counted

if TYPE_CHECKING:
    from gallump_lab.study.relevance import Relevance
    from gallump_lab.study.spending import Spending
    from gallump_lab.study.sweep import Sweep
    from gallump_lab.study.usage import Tokens

COLOURS = {
    "HOT": "#D55E00",
    "WARM": "#E69F00",
    "COLD": "#0072B2",
    "market": "#009E73",
    "question": "#CC79A7",
    "instructions": "#999999",
}
"""Of the tiers and the other parts of a prompt: Okabe and Ito's (for the colour-blind)."""
PAID = {
    "cache write": "#882255",
    "cache read": "#DDCC77",
    "reply": "#56B4E9",
    "thinking": "#7B68EE",
    "rewriting": "#44AA99",
    "distilling": "#999933",
    "batch": "#CC6677",
    "not told": "#BBBBBB",
}
"""Of what is paid for beside the parts of a prompt."""
SERIES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999"]
"""Okabe and Ito's colours, for things without a colour of their own."""
INK = "#808080"
FAINT = "#80808040"
"""Both read on white and in the dark."""
DIGITS = 4
"""So exact are the figures in a chart: the same on every machine."""
NAMES = {"recall": "evidence recall", "coverage": "answer coverage", "ndcg": "nDCG@10"}
"""Of measures; the others go by their own."""
PARTS = {tier: tier.upper() for tier in TIERS} | {"market": "market", "portfolio": "market", "question": "question"}
"""The part of a prompt that each of its sections is drawn as; the others are instructions."""
VEGALITE = "application/vnd.vegalite.v5+json"
_HINTS = ["retriever", *TIERS]


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


def _curve(chart: Any, x: Any, y: Any, objective: str, **looks: Any) -> Any:
    """Draw a line with its points and its interval."""
    band = chart.mark_area(opacity=0.15, **looks).encode(x=x, y=f"{objective}_low:Q", y2=f"{objective}_high:Q")
    return band + chart.mark_line(point=True, **looks).encode(x=x, y=y)


def front(sweep: "Sweep", objective: str) -> Picture:
    """Draw every configuration's objective against its tokens, the Pareto front, what is applied and the knee."""
    frame, best, name = sweep.frame.round(DIGITS), sweep.pareto(objective).round(DIGITS), _name(objective)
    x = alt.X("tokens:Q", title=f"memory a question, mean, {sweep.ranks.unit}")
    y = alt.Y(f"{objective}:Q", title=name, scale=alt.Scale(zero=False))
    columns = [*_HINTS, "tokens", objective]
    real = frame[sweep.real]
    cloud = alt.Chart(real.iloc[:: max(1, len(real) // 400)][columns])
    edge = alt.Chart(best[[*columns, f"{objective}_low", f"{objective}_high"]])
    ideal = sweep.pareto(objective, perfect=True).round(DIGITS)[columns]
    marked = {"knee": sweep.knee(objective)} | ({} if sweep.applied is None else {"applied": frame.iloc[sweep.applied]})
    rows = [{"what": what, **row[["tokens", objective]].astype(float).round(DIGITS)} for what, row in marked.items()]
    what = alt.Color("what:N", title=None, scale=alt.Scale(domain=[*marked], range=[COLOURS["HOT"], INK]))
    shape = alt.Shape("what:N", title=None, scale=alt.Scale(domain=[*marked]))  # as the colour's: one legend for both
    points = alt.Chart(pd.DataFrame(rows)).mark_point(size=160, strokeWidth=3, filled=False)
    chart = (
        cloud.mark_circle(size=14, opacity=0.25, color="#999999").encode(x=x, y=y, tooltip=columns)
        + alt.Chart(ideal).mark_line(strokeDash=[2, 3], color="#999999").encode(x=x, y=y, tooltip=columns)
        + _curve(edge.encode(tooltip=columns), x, y, objective, color=COLOURS["COLD"])
        + points.encode(x=x, y=y, shape=shape, color=what)
    )
    (least, most), (low, high) = best.iloc[[0, -1]]["tokens"], best.iloc[[0, -1]][objective]
    words = [
        f"{name.capitalize()} against {sweep.ranks.unit}: {low:.3f} for {least:,.0f} to {high:.3f} for {most:,.0f}",
        *(f"{what} {row[objective]:.3f} for {row['tokens']:,.0f}" for what, row in marked.items()),
        *(f"a perfect ranking {row[objective]:.3f} for {row['tokens']:,.0f}" for _, row in ideal.tail(1).iterrows()),
    ]
    unmeasured = [
        f"{tier.upper()} helps no question: not measured, kept at {int(best[tier].iloc[0]):,} tokens"
        for tier, helps in sweep.exercised.items()
        if not helps
    ]
    line = f"{len(real):,} configurations; the line: the best that so many tokens buy, with its 95% interval"
    dotted = "dotted: a perfect ranking"
    return picture(chart, "; ".join(words + unmeasured), f"What {name} costs", line, dotted, *unmeasured)


def lines(sweep: "Sweep", tier: str, objective: str) -> Picture:
    """Draw the objective as one tier's budget grows, the others as applied: a line a retriever."""
    budget, unit, frame = sweep.ranks.config.budget, sweep.ranks.unit, sweep.frame.round(DIGITS)
    for other in set(TIERS) - {tier}:
        nearest = min(frame[other].tolist(), key=lambda each: abs(each - getattr(budget, other)))
        frame = frame[frame[other] == nearest]
    columns = [*_HINTS, "tokens", objective, f"{objective}_low", f"{objective}_high"]
    names = [*frame["retriever"].unique()]
    colour = alt.Color("retriever:N", title=None, sort=names, scale=alt.Scale(range=SERIES))
    x = alt.X(f"{tier}:Q", title=f"{tier.upper()}'s budget, {unit}", axis=alt.Axis(tickCount=8))
    y = alt.Y(f"{objective}:Q", title=_name(objective), scale=alt.Scale(domain=[0, 1]))  # so that tiers compare
    curve = _curve(alt.Chart(frame[columns]).encode(color=colour, tooltip=columns), x, y, objective)
    applied = alt.Chart(pd.DataFrame({"x": [getattr(budget, tier)]})).mark_rule(strokeDash=[4, 4], color=INK)
    last = frame[frame[tier] == frame[tier].max()]
    most = f"{tier.upper()}'s budget; at {int(last[tier].iloc[0]):,} {unit}"
    unmeasured = "" if sweep.exercised[tier] else f". {tier.upper()} helps no question: it was not measured"
    return picture(
        curve + applied.encode(x="x:Q"),
        f"{_name(objective).capitalize()} by {most}: {_held(last, objective)}",
        f"What {tier.upper()}'s tokens bring",
        f"95% intervals by conversation; the dashed line is what is applied{unmeasured}",
    )


def retrievers(relevance: "Relevance") -> Picture:
    """Draw each retriever's recall within each budget."""
    frame, unit, order = relevance.frame.round(DIGITS), relevance.ranks.unit, [*map(str, relevance.at_tokens)]
    parts = []
    for budget in order:
        names = [f"recall_{budget}{end}" for end in ("", "_low", "_high")]
        part = frame[["retriever", *names]].set_axis(["retriever", "recall", "low", "high"], axis=1)
        parts.append(part.assign(tokens=budget))
    scale = alt.Scale(domain=order, range=["#9ecae1", "#4292c6", "#2166ac"] if len(order) <= 3 else SERIES)
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
        zero + _dots(base, alt.X("difference:Q", title=title), color=COLOURS["COLD"]),
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


def tokens(found: "Tokens") -> Picture:
    """Draw where tokens went over time, stacked."""
    long = found.over_time.melt(id_vars=["period"], value_vars=[*SECTIONS], var_name="part", value_name="tokens")
    part, period = long["part"].map(PARTS).fillna("instructions"), long["period"].dt.strftime("%Y-%m-%d")
    spent = long["tokens"].groupby([period, part]).sum().reset_index()
    chart = _stacked(spent, alt.Y("tokens:Q", title="tokens of prompts, as estimated"), COLOURS)
    share = spent.groupby("part")["tokens"].sum().reindex([*COLOURS]) / max(spent["tokens"].sum(), 1)
    words = f"Where tokens went: {', '.join(f'{part} {value:.0%}' for part, value in share.items() if value > 0)}."
    seen = found.turns[["estimated", "actual"]].dropna().sum()
    told = "The server's own count is not known."
    if seen["estimated"]:
        told = f"The server counted {seen['actual'] / seen['estimated']:.2f} times the estimate."
    title = f"Where tokens went, by {'month' if found.by_month else 'day'}"
    return picture(chart, f"{words} {told}", title, told, width=460, height=200)


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

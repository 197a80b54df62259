"""A chart as a notebook shows it, and the studies' charts, each from the records that hold the figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gallump_lab.memory.records import TIERS

if TYPE_CHECKING:
    import pandas as pd

    from gallump_lab.study.relevance import Relevance
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
SERIES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
"""Okabe and Ito's colours, for things without a colour of their own."""
INK = "#333333"
DIGITS = 4
"""So exact are the figures in a chart: the same on every machine."""
NAMES = {
    "recall": "evidence recall",
    "hit_rate": "hit rate",
    "full_recall": "full recall",
    "partial_recall": "partial recall",
    "coverage": "answer coverage",
    "ndcg": "nDCG@10",
}
PARTS = {
    "hot": "HOT",
    "warm": "WARM",
    "cold": "COLD",
    "market": "market",
    "portfolio": "market",
    "question": "question",
    "header": "instructions",
    "instructions": "instructions",
    "schema": "instructions",
}
"""The part of a prompt that each of its sections is drawn as."""
POINTS = 2_000
"""So many of the newest turns are drawn one by one."""
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
        """Draw the chart as a PNG image."""
        import vl_convert

        drawn: bytes = vl_convert.vegalite_to_png(self.chart.to_json(), scale=2)
        return drawn

    def save(self, path: str | Path) -> None:
        """Write the chart as a PNG file."""
        Path(path).write_bytes(self.png())

    def __repr__(self) -> str:
        """Return in words what the chart shows."""
        return self.words

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {
            "text/plain": self.words,
            "image/png": self.png(),
            "application/vnd.vegalite.v6+json": self.chart.to_dict(),
        }


def finished(chart: Any) -> Any:
    """Return a chart with the looks that all share: on white, so that it reads in a dark theme too."""
    return (
        chart.configure(background="white", padding=12)
        .configure_axis(grid=True, gridColor="#eeeeee")
        .configure_title(anchor="start", subtitleColor="#666666")
    )


def _picture(chart: Any, words: str, *, title: str, subtitle: str | list[str], **size: Any) -> Picture:
    import altair as alt

    return Picture(finished(chart.properties(title=alt.TitleParams(title, subtitle=subtitle), **size)), words)


def _held(rows: Any, name: str, form: str = ".3f", by: str = "retriever") -> str:
    """Return a figure of each row in words."""
    return ", ".join(f"{label} {value:{form}}" for label, value in zip(rows[by], rows[name], strict=True))


def _dots(base: Any, name: str, title: str, hints: Sequence[Any], **looks: Any) -> Any:
    """Draw a dot a row with its interval, from `low` to `high`."""
    import altair as alt

    scale = looks.pop("scale", alt.Undefined)
    dots = base.mark_point(filled=True, **looks).encode(x=alt.X(f"{name}:Q", title=title, scale=scale), tooltip=hints)
    looks.pop("size")
    return base.mark_rule(strokeWidth=2, **looks).encode(x=alt.X("low:Q", title=title), x2="high:Q") + dots


def front(sweep: "Sweep", objective: str) -> Picture:
    """Draw every configuration's objective against its tokens, the Pareto front, what is applied and the knee."""
    import altair as alt
    import pandas as pd

    frame, best, name = sweep.frame.round(DIGITS), sweep.pareto(objective).round(DIGITS), NAMES[objective]
    x = alt.X("tokens:Q", title=f"memory a question, mean, {sweep.ranks.unit}")
    y = alt.Y(f"{objective}:Q", title=name, scale=alt.Scale(zero=False))
    hints = [*_HINTS, alt.Tooltip("tokens", format=",.0f"), alt.Tooltip(objective, format=".3f")]
    columns, ends = [*_HINTS, "tokens", objective], [f"{objective}_low", f"{objective}_high"]
    cloud = alt.Chart(frame.iloc[:: max(1, len(frame) // 400)][columns])
    edge, blue = alt.Chart(best[[*columns, *ends]]), COLOURS["COLD"]
    marked = {"knee": sweep.knee(objective)} | ({} if sweep.applied is None else {"applied": frame.iloc[sweep.applied]})
    rows = [{"what": what, **row[["tokens", objective]].astype(float).round(DIGITS)} for what, row in marked.items()]
    shapes = alt.Scale(domain=[*marked], range=["diamond", "circle"])
    colours = alt.Scale(domain=[*marked], range=[COLOURS["HOT"], INK])
    chart = (
        cloud.mark_circle(size=14, opacity=0.25, color="#999999").encode(x=x, y=y, tooltip=hints)
        + edge.mark_area(opacity=0.18, color=blue).encode(x=x, y=f"{ends[0]}:Q", y2=f"{ends[1]}:Q")
        + edge.mark_line(point={"color": blue}, color=blue).encode(x=x, y=y, tooltip=hints)
        + alt.Chart(pd.DataFrame(rows))
        .mark_point(size=160, strokeWidth=3, filled=False)
        .encode(
            x=x,
            y=y,
            shape=alt.Shape("what:N", title=None, scale=shapes),
            color=alt.Color("what:N", title=None, scale=colours),
        )
    )
    (least, most), (low, high) = best.iloc[[0, -1]]["tokens"], best.iloc[[0, -1]][objective]
    words = [
        f"{name.capitalize()} against {sweep.ranks.unit}: {low:.3f} for {least:,.0f} to {high:.3f} for {most:,.0f}",
        *(f"{what} {row[objective]:.3f} for {row['tokens']:,.0f}" for what, row in marked.items()),
    ]
    unmeasured = [
        f"{tier.upper()} helps no question: not measured, kept at {int(best[tier].iloc[0]):,} tokens"
        for tier, helps in sweep.exercised.items()
        if not helps
    ]
    line = f"{len(frame):,} configurations; the line: the best that so many tokens buy, with its 95% interval"
    size = {"width": 520, "height": 300}
    title = f"What {name} costs"
    return _picture(chart, "; ".join(words + unmeasured), title=title, subtitle=[line, *unmeasured], **size)


def lines(sweep: "Sweep", tier: str, objective: str) -> Picture:
    """Draw the objective as one tier's budget grows, the others as applied: a line a retriever."""
    import altair as alt
    import pandas as pd

    budget, unit, frame = sweep.ranks.config.budget, sweep.ranks.unit, sweep.frame.round(DIGITS)
    for other in set(TIERS) - {tier}:
        nearest = min(frame[other].tolist(), key=lambda each: abs(each - getattr(budget, other)))
        frame = frame[frame[other] == nearest]
    ends, names = [f"{objective}_low", f"{objective}_high"], [*sweep.ranks.retrievers]
    chart = alt.Chart(frame[[*_HINTS, "tokens", objective, *ends]])
    colour = alt.Color("retriever:N", title=None, sort=names, scale=alt.Scale(domain=names, range=SERIES[: len(names)]))
    x = alt.X(f"{tier}:Q", title=f"{tier.upper()}'s budget, {unit}", axis=alt.Axis(tickCount=8))
    y = alt.Y(f"{objective}:Q", title=NAMES[objective], scale=alt.Scale(domain=[0, 1]))  # so that tiers compare
    band = chart.mark_area(opacity=0.12).encode(x=x, y=f"{ends[0]}:Q", y2=f"{ends[1]}:Q", color=colour)
    hints = [*_HINTS, "tokens", alt.Tooltip(objective, format=".3f")]
    line = chart.mark_line(point=True).encode(x=x, y=y, color=colour, tooltip=hints)
    applied = alt.Chart(pd.DataFrame({"x": [getattr(budget, tier)]})).mark_rule(strokeDash=[4, 4], color=INK)
    unmeasured = "" if sweep.exercised[tier] else f". {tier.upper()} helps no question: it was not measured"
    last = frame[frame[tier] == frame[tier].max()]
    most = f"{tier.upper()}'s budget; at {int(last[tier].iloc[0]):,} {unit}"
    return _picture(
        band + line + applied.encode(x="x:Q"),
        f"{NAMES[objective].capitalize()} by {most}: {_held(last, objective)}",
        title=f"What {tier.upper()}'s tokens bring",
        subtitle=f"95% intervals by conversation; the dashed line is what is applied{unmeasured}",
        width=520,
        height=300,
    )


def retrievers(relevance: "Relevance") -> Picture:
    """Draw each retriever's recall within each budget."""
    import altair as alt
    import pandas as pd

    frame, unit, budgets = relevance.frame.round(DIGITS), relevance.ranks.unit, relevance.at_tokens
    rows = [
        {"retriever": row["retriever"], "tokens": f"{budget:,}"}
        | {name: row[f"recall_{budget}{end}"] for name, end in (("recall", ""), ("low", "_low"), ("high", "_high"))}
        for row in frame.to_dict("records")
        for budget in budgets
    ]
    order = [f"{budget:,}" for budget in budgets]
    shades = ["#9ecae1", "#4292c6", "#08306b"] if len(order) <= 3 else SERIES
    scale = alt.Scale(domain=order, range=shades[: len(order)])
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=alt.Y("retriever:N", sort=[*relevance.measured], title=None),
        yOffset=alt.YOffset("tokens:N", sort=order),
        color=alt.Color("tokens:N", sort=order, title=f"within, {unit}", scale=scale),
    )
    hints = ["retriever", "tokens", alt.Tooltip("recall", format=".3f")]
    return _picture(
        _dots(base, "recall", NAMES["recall"], hints, size=60, scale=alt.Scale(domain=[0, 1])),
        f"Evidence recall within {relevance.main.split('_')[1]} {unit}: {_held(frame, relevance.main)}",
        title="Which retrieval finds the evidence",
        subtitle="WARM alone; 95% intervals by conversation",
        width=460,
        height={"step": 12},
    )


def signals(relevance: "Relevance") -> Picture:
    """Draw what is lost without each signal."""
    import altair as alt

    frame = relevance.signals().round(DIGITS)
    base = alt.Chart(frame).encode(y=alt.Y("signal:N", sort=[*frame["signal"]], title=None))
    title = f"recall lost without it, within {relevance.main.split('_')[1]} {relevance.ranks.unit}"
    hints = ["signal", alt.Tooltip("difference", format="+.3f"), "verdict"]
    zero = alt.Chart(frame.head(1)).mark_rule(strokeDash=[4, 4], color=INK).encode(x=alt.datum(0))
    return _picture(
        zero + _dots(base, "difference", title, hints, size=80, color=COLOURS["COLD"]),
        f"Recall lost without each signal: {_held(frame, 'difference', '+.3f', by='signal')}",
        title="What each signal is worth",
        subtitle="paired by question; 95% intervals by conversation",
        width=460,
        height={"step": 24},
    )


def tokens(found: "Tokens") -> Picture:
    """Draw where tokens went over time, stacked, and what was estimated against what the server counted."""
    import altair as alt

    long = found.over_time.melt(id_vars=["period"], value_vars=[*PARTS], var_name="part", value_name="tokens")
    spent = long.assign(part=long["part"].map(PARTS)).groupby(["period", "part"])["tokens"].sum().reset_index()
    order = {part: place for place, part in enumerate(COLOURS)}
    bars = (
        alt.Chart(spent.assign(order=spent["part"].map(order), period=spent["period"].dt.strftime("%Y-%m-%d")))
        .mark_bar()
        .encode(
            x=alt.X("period:O", title=None, axis=alt.Axis(labelAngle=-45, labelOverlap=True)),
            y=alt.Y("tokens:Q", title="tokens of prompts, as estimated"),
            color=alt.Color("part:N", title=None, scale=alt.Scale(domain=[*COLOURS], range=[*COLOURS.values()])),
            order="order:Q",
            tooltip=["period", "part", "tokens"],
        )
        .properties(title=f"Where tokens went, by {'month' if found.by_month else 'day'}", width=460, height=200)
    )
    share = spent.groupby("part")["tokens"].sum().reindex([*COLOURS]) / max(spent["tokens"].sum(), 1)
    words = f"Where tokens went: {', '.join(f'{part} {value:.0%}' for part, value in share.items() if value > 0)}."
    counted = found.turns.dropna(subset=["actual"]).tail(POINTS)
    if counted.empty:
        return Picture(alt.vconcat(bars).configure(background="white"), words)
    ratio = counted["actual"].sum() / counted["estimated"].sum()
    words += f" The server counted {ratio:.2f} times the estimate."
    return Picture(alt.vconcat(bars, _counted(counted)).configure(background="white"), words)


def _counted(turns: "pd.DataFrame") -> Any:
    """Draw what was estimated against what the server counted, a point a turn."""
    import altair as alt
    import pandas as pd

    far = max(turns["estimated"].max(), turns["actual"].max())
    line = alt.Chart(pd.DataFrame({"at": [0.0, far]})).mark_line(color="#999999", strokeDash=[4, 4])
    columns = ["turn_id", "model", "estimated", "actual"]
    points = alt.Chart(turns[columns]).mark_point(filled=True, opacity=0.6)
    return (
        line.encode(x="at:Q", y="at:Q")
        + points.encode(
            x=alt.X("estimated:Q", title="tokens of the prompt, as estimated"),
            y=alt.Y("actual:Q", title="as the server counted"),
            shape=alt.Shape("model:N", title=None),
            tooltip=columns,
        )
    ).properties(title="Estimated against counted: on the line they agree", width=460, height=260)

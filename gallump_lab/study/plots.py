"""The studies' charts, each from the records that hold the figures."""

from typing import TYPE_CHECKING, Any

from gallump_lab.picture import COLOURS, Picture

if TYPE_CHECKING:
    import pandas as pd

    from gallump_lab.study.relevance import Relevance
    from gallump_lab.study.sweep import Sweep
    from gallump_lab.study.usage import Tokens


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
_HINTS = ("retriever", "hot", "warm", "cold", "tokens")


def front(sweep: "Sweep", objective: str) -> Picture:
    """Draw every configuration's objective against its tokens, the Pareto front, what is applied and the knee."""
    import altair as alt
    import pandas as pd

    frame, best, knee = sweep.frame.round(DIGITS), sweep.pareto(objective).round(DIGITS), sweep.knee(objective)
    x = alt.X("tokens:Q", title=f"memory a question, mean, {sweep.ranks.unit}")
    y = alt.Y(f"{objective}:Q", title=NAMES[objective], scale=alt.Scale(zero=False))
    hints = [*_HINTS[:-1], alt.Tooltip("tokens", format=",.0f"), alt.Tooltip(objective, format=".3f")]
    some = frame.iloc[:: max(1, len(frame) // 400)][[*_HINTS, objective]]
    cloud = alt.Chart(some).mark_circle(size=14, opacity=0.25, color="#999999").encode(x=x, y=y, tooltip=hints)
    edge = alt.Chart(best[[*_HINTS, objective, f"{objective}_low", f"{objective}_high"]])
    blue = COLOURS["COLD"]
    band = edge.mark_area(opacity=0.18, color=blue).encode(x=x, y=f"{objective}_low:Q", y2=f"{objective}_high:Q")
    line = edge.mark_line(point={"color": blue}, color=blue).encode(x=x, y=y, tooltip=hints)
    marked = {"knee": knee} | ({} if sweep.applied is None else {"applied": frame.iloc[sweep.applied]})
    scale = {"shape": ["diamond", "circle"], "color": [COLOURS["HOT"], INK]}
    points = (
        alt.Chart(
            pd.DataFrame(
                [
                    {"what": name} | row[["tokens", objective]].astype(float).round(DIGITS).to_dict()
                    for name, row in marked.items()
                ]
            )
        )
        .mark_point(size=160, strokeWidth=3, filled=False)
        .encode(
            x=x,
            y=y,
            **{
                name: alt.value(values[0])
                if len(marked) == 1
                else {
                    "field": "what",
                    "type": "nominal",
                    "title": None,
                    "scale": {"domain": [*marked], "range": values},
                }
                for name, values in scale.items()
            },
        )
    )
    ends = best.iloc[[0, -1]]
    (least, most), (low, high) = ends["tokens"], ends[objective]
    subtitle = [f"{len(frame):,} configurations; the line: the best that so many tokens buy, with its 95% interval"]
    kept = {tier: int(best[tier].iloc[0]) for tier, helps in sweep.exercised.items() if not helps}
    subtitle += [f"{tier.upper()} helps no question: not measured, kept at {at:,} tokens" for tier, at in kept.items()]
    chart = (cloud + band + line + points).properties(
        title=alt.TitleParams(f"What {NAMES[objective]} costs", subtitle=subtitle), width=520, height=300
    )
    words = (
        f"{NAMES[objective].capitalize()} against {sweep.ranks.unit}: {low:.3f} for {least:,.0f} to {high:.3f} for "
        f"{most:,.0f}; "
        + "; ".join(f"{name} {row[objective]:.3f} for {row['tokens']:,.0f}" for name, row in marked.items())
        + "".join(f"; {line}" for line in subtitle[1:])
    )
    return Picture(finished(chart), words)


def lines(sweep: "Sweep", tier: str, objective: str) -> Picture:
    """Draw the objective as one tier's budget grows, the others as applied: a line a retriever."""
    import altair as alt
    import pandas as pd

    budget = sweep.ranks.config.budget
    frame = sweep.frame.round(DIGITS)
    for other in {"hot", "warm", "cold"} - {tier}:
        nearest = min(frame[other].tolist(), key=lambda each: abs(each - getattr(budget, other)))
        frame = frame[frame[other] == nearest]
    frame = frame[[*_HINTS, objective, f"{objective}_low", f"{objective}_high"]]
    chart = alt.Chart(frame)
    names = [*sweep.ranks.retrievers]
    colour = alt.Color("retriever:N", title=None, sort=names, scale=alt.Scale(domain=names, range=SERIES[: len(names)]))
    x = alt.X(f"{tier}:Q", title=f"{tier.upper()}'s budget, {sweep.ranks.unit}", axis=alt.Axis(tickCount=8))
    band = chart.mark_area(opacity=0.12).encode(x=x, y=f"{objective}_low:Q", y2=f"{objective}_high:Q", color=colour)
    line = chart.mark_line(point=True).encode(
        x=x,
        y=alt.Y(f"{objective}:Q", title=NAMES[objective], scale=alt.Scale(domain=[0, 1])),  # so that tiers compare
        color=colour,
        tooltip=[*_HINTS, alt.Tooltip(objective, format=".3f")],
    )
    applied = alt.Chart(pd.DataFrame({"x": [getattr(budget, tier)]})).mark_rule(strokeDash=[4, 4], color=INK)
    rule = applied.encode(x="x:Q")
    title = alt.TitleParams(
        f"What {tier.upper()}'s tokens bring",
        subtitle="95% intervals by conversation; the dashed line is what is applied"
        + ("" if sweep.exercised[tier] else f". {tier.upper()} helps no question: it was not measured"),
    )
    found = (band + line + rule).properties(title=title, width=520, height=300)
    last = frame[frame[tier] == frame[tier].max()]
    words = (
        f"{NAMES[objective].capitalize()} by {tier.upper()}'s budget; at {int(last[tier].iloc[0]):,} "
        f"{sweep.ranks.unit}: " + ", ".join(f"{row['retriever']} {row[objective]:.3f}" for _, row in last.iterrows())
    )
    return Picture(finished(found), words)


def finished(chart: Any) -> Any:
    """Return a chart the looks that all share: on white, so that it reads in a dark theme too."""
    return (
        chart.configure(background="white", padding=12)
        .configure_axis(grid=True, gridColor="#eeeeee")
        .configure_title(anchor="start", subtitleColor="#666666")
    )


def retrievers(relevance: "Relevance") -> Picture:
    """Draw each retriever's recall within each budget."""
    import altair as alt
    import pandas as pd

    frame, names = relevance.frame.round(DIGITS), [*relevance.measured]
    rows = [
        {
            "retriever": row["retriever"],
            "tokens": f"{budget:,}",
            "recall": row[f"recall_{budget}"],
            "low": row[f"recall_{budget}_low"],
            "high": row[f"recall_{budget}_high"],
        }
        for _, row in frame.iterrows()
        for budget in relevance.at_tokens
    ]
    order = [f"{budget:,}" for budget in relevance.at_tokens]
    shades = ["#9ecae1", "#4292c6", "#08306b"] if len(order) <= 3 else SERIES
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=alt.Y("retriever:N", sort=names, title=None),
        yOffset=alt.YOffset("tokens:N", sort=order),
        color=alt.Color(
            "tokens:N",
            sort=order,
            title=f"within, {relevance.ranks.unit}",
            scale=alt.Scale(domain=order, range=shades[: len(order)]),
        ),
    )
    x = alt.X("recall:Q", title=NAMES["recall"], scale=alt.Scale(domain=[0, 1]))
    dots = base.mark_point(filled=True, size=60).encode(
        x=x, tooltip=["retriever", "tokens", alt.Tooltip("recall", format=".3f")]
    )
    ends = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=NAMES["recall"]), x2="high:Q")
    title = alt.TitleParams("Which retrieval finds the evidence", subtitle="WARM alone; 95% intervals by conversation")
    chart = (ends + dots).properties(title=title, width=460, height={"step": 12})
    words = f"Evidence recall within {relevance.main.split('_')[1]} {relevance.ranks.unit}: " + ", ".join(
        f"{row['retriever']} {row[relevance.main]:.3f}" for _, row in frame.iterrows()
    )
    return Picture(finished(chart), words)


def signals(relevance: "Relevance") -> Picture:
    """Draw what is lost without each signal."""
    import altair as alt

    frame = relevance.signals().round(DIGITS)
    base = alt.Chart(frame).encode(y=alt.Y("signal:N", sort=[*frame["signal"]], title=None))
    title = f"recall lost without it, within {relevance.main.split('_')[1]} {relevance.ranks.unit}"
    dots = base.mark_point(filled=True, size=80, color=COLOURS["COLD"]).encode(
        x=alt.X("difference:Q", title=title), tooltip=["signal", alt.Tooltip("difference", format="+.3f"), "verdict"]
    )
    ends = base.mark_rule(strokeWidth=2, color=COLOURS["COLD"]).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    zero = alt.Chart(frame.head(1)).mark_rule(strokeDash=[4, 4], color=INK).encode(x=alt.datum(0))
    head = alt.TitleParams("What each signal is worth", subtitle="paired by question; 95% intervals by conversation")
    chart = (zero + ends + dots).properties(title=head, width=460, height={"step": 24})
    words = "Recall lost without each signal: " + ", ".join(
        f"{row['signal']} {row['difference']:+.3f}" for _, row in frame.iterrows()
    )
    return Picture(finished(chart), words)


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
"""The part that each section is drawn as."""
POINTS = 2_000
"""So many of the newest turns are drawn one by one."""


def tokens(found: "Tokens") -> Picture:
    """Draw where tokens went over time, stacked, and what was estimated against what the server counted."""
    import altair as alt

    spent = _spent(found.over_time)
    told = found.turns.dropna(subset=["actual"]).tail(POINTS)
    bars = _over_time(spent, "month" if found.by_month else "day")
    chart = alt.vconcat(bars) if told.empty else alt.vconcat(bars, _against(told))
    share = spent.groupby("part")["tokens"].sum().reindex([*COLOURS]) / max(spent["tokens"].sum(), 1)
    went = ", ".join(f"{part} {value:.0%}" for part, value in share.items() if value > 0)
    ratio = told["actual"].sum() / told["estimated"].sum() if len(told) else float("nan")
    words = f"Where tokens went: {went}." + (
        "" if told.empty else f" The server counted {ratio:.2f} times the estimate."
    )
    return Picture(chart.configure(background="white"), words)


def _spent(over_time: "pd.DataFrame") -> "pd.DataFrame":
    """Return tokens by period and part, a row each."""
    long = over_time.melt(id_vars=["period"], value_vars=[*PARTS], var_name="part", value_name="tokens")
    return long.assign(part=long["part"].map(PARTS)).groupby(["period", "part"])["tokens"].sum().reset_index()


def _over_time(spent: "pd.DataFrame", by: str) -> Any:
    import altair as alt

    order = {part: place for place, part in enumerate(COLOURS)}
    return (
        alt.Chart(spent.assign(order=spent["part"].map(order), period=spent["period"].dt.strftime("%Y-%m-%d")))
        .mark_bar()
        .encode(
            x=alt.X("period:O", title=None, axis=alt.Axis(labelAngle=-45, labelOverlap=True)),
            y=alt.Y("tokens:Q", title="tokens of prompts, as estimated"),
            color=alt.Color("part:N", title=None, scale=alt.Scale(domain=[*COLOURS], range=[*COLOURS.values()])),
            order="order:Q",
            tooltip=["period", "part", "tokens"],
        )
        .properties(title=f"Where tokens went, by {by}", width=460, height=200)
    )


def _against(told: "pd.DataFrame") -> Any:
    import altair as alt
    import pandas as pd

    far = max(told["estimated"].max(), told["actual"].max())
    line = alt.Chart(pd.DataFrame({"at": [0.0, far]})).mark_line(color="#999999", strokeDash=[4, 4])
    points = alt.Chart(told[["turn_id", "model", "estimated", "actual"]]).mark_point(filled=True, opacity=0.6)
    return (
        line.encode(x="at:Q", y="at:Q")
        + points.encode(
            x=alt.X("estimated:Q", title="tokens of the prompt, as estimated"),
            y=alt.Y("actual:Q", title="as the server counted"),
            shape=alt.Shape("model:N", title=None),
            tooltip=["turn_id", "model", "estimated", "actual"],
        )
    ).properties(title="Estimated against counted: on the line they agree", width=460, height=260)

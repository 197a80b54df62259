"""The scorecard's charts: what the tier is worth, and which insights earn their place."""

from typing import TYPE_CHECKING

from gallump_lab.study.pictures import COLOURS, DIGITS, NAMES, Picture, finished

if TYPE_CHECKING:
    import pandas as pd

    from gallump_lab.study.scorecard.utility import Utility

WAYS = {"with COLD": COLOURS["COLD"], "its tokens to WARM": COLOURS["WARM"], "without COLD": "#999999"}
VERDICTS = {
    "helps": "#009E73",
    "nothing against it": "#99D8C9",
    "shown, helped nobody": "#E69F00",
    "not shown": "#BBBBBB",
    "not measured": "#DDDDDD",
    "repeats another": "#56B4E9",
    "contradicted": "#CC79A7",
    "out of date": "#0072B2",
    "not supported": "#D55E00",
}
"""What is said of an insight, from best to worst, with its colour.

"nothing against it" is the best word where there are no labelled questions to measure utility with, and "not measured"
is said where no metric could be scored either.
"""


def worth(utility: "Utility") -> Picture:
    """Draw what prompts hold with COLD, with its tokens in WARM's hands, and without it."""
    import altair as alt
    import pandas as pd

    rows = []
    for measure in ("recall", "coverage"):
        for way in WAYS:
            value, low, high = utility.level(way, measure)
            rows.append({"measure": NAMES[measure], "way": way, "value": value, "low": low, "high": high})
    frame = pd.DataFrame(rows).round(DIGITS)
    names = [*WAYS]
    base = alt.Chart(frame).encode(
        y=alt.Y("way:N", sort=names, title=None),
        color=alt.Color("way:N", scale=alt.Scale(domain=names, range=[*WAYS.values()]), legend=None),
    )
    x = alt.X("value:Q", title=None, scale=alt.Scale(domain=[0, 1]))
    bars = base.mark_bar(height=14, opacity=0.8).encode(x=x, tooltip=["way", alt.Tooltip("value", format=".3f")])
    ends = base.mark_rule(strokeWidth=2, color="#333333").encode(x=alt.X("low:Q", title=None), x2="high:Q")
    chart = (
        alt.layer(bars, ends.encode(color=alt.value("#333333")))
        .properties(width=230, height={"step": 26})
        .facet(column=alt.Column("measure:N", sort=[NAMES["recall"], NAMES["coverage"]], title=None))
        .properties(
            title=alt.TitleParams(
                "What COLD's tokens are worth",
                subtitle=f"{utility.budget.cold:,} tokens for insights, against as many more for WARM, or none",
            )
        )
    )
    words = "; ".join(
        f"{NAMES[measure]}: "
        + ", ".join(f"{way} {utility.level(way, measure)[0]:.3f} ({utility.tokens[way]:,.0f} tokens)" for way in WAYS)
        for measure in ("recall", "coverage")
    )
    return Picture(finished(chart), words[:1].upper() + words[1:])


def verdicts(frame: "pd.DataFrame") -> Picture:
    """Draw how many insights of each kind earn their place, and what is wrong with the others."""
    import altair as alt

    counted = frame.groupby(["kind", "verdict"]).size().rename("insights").reset_index()
    names = [name for name in VERDICTS if name in set(counted["verdict"])]
    counted["place"] = counted["verdict"].map(names.index)
    order = counted.groupby("kind")["insights"].sum().sort_values(ascending=False).index.tolist()
    chart = (
        alt.Chart(counted)
        .mark_bar()
        .encode(
            y=alt.Y("kind:N", sort=order, title=None),
            x=alt.X("insights:Q", title="insights"),
            color=alt.Color(
                "verdict:N",
                sort=names,
                title=None,
                scale=alt.Scale(domain=names, range=[VERDICTS[name] for name in names]),
            ),
            order=alt.Order("place:Q"),
            tooltip=["kind", "verdict", "insights"],
        )
        .properties(
            title=alt.TitleParams("Which insights earn their place", subtitle="by kind"), width=460, height={"step": 24}
        )
    )
    totals = frame["verdict"].value_counts()
    words = "Insights: " + ", ".join(f"{totals[name]:,} {name}" for name in names)
    return Picture(finished(chart), words)

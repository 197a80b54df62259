"""Charts of what turns took."""

from typing import TYPE_CHECKING, Any

from gallump_lab.picture import COLOURS, Picture

if TYPE_CHECKING:
    import pandas as pd

    from gallump_lab.study.usage import Tokens

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

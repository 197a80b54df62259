"""The chat's charts, each from records that hold the figures."""

from typing import TYPE_CHECKING

from gallump_lab.picture import COLOURS, Picture

if TYPE_CHECKING:
    from gallump_lab.brain.conversation import Preview

_GROUPS = {
    "hot": ("HOT", "the current session"),
    "warm": ("WARM", "relevant earlier talk"),
    "cold": ("COLD", "insights"),
    "market": ("market", "market data"),
    "portfolio": ("market", "portfolio"),
    "question": ("question", "the question"),
    "header": ("instructions", "header"),
    "instructions": ("instructions", "instructions"),
    "schema": ("instructions", "recommendation schema"),
}


def prompt_tokens(preview: "Preview") -> Picture:
    """Draw what a question would carry: one bar a section, in the prompt's order, in the model's tokens."""
    import altair as alt
    import pandas as pd

    from gallump_lab.memory import packing

    spent = {
        tier: f"{section_used:,} of {getattr(preview.budget, tier):,} used"
        for tier, section_used in packing.used(preview.slots).items()
    }
    rows = [
        {
            "section": _GROUPS[section.name][1],
            "part": _GROUPS[section.name][0],
            "tokens": section.tokens,
            "label": f"{section.tokens:,}" + (f"  ({spent[section.name]})" if section.name in spent else ""),
        }
        for section in preview.prompt.sections
    ]
    frame = pd.DataFrame(rows)
    bars = (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X(
                "tokens:Q",
                title="tokens, headings included",
                axis=alt.Axis(grid=False),
                scale=alt.Scale(domainMax=1.5 * frame["tokens"].max()),
            ),
            y=alt.Y("section:N", sort=None, title=None),
            color=alt.Color("part:N", title=None, scale=alt.Scale(domain=[*COLOURS], range=[*COLOURS.values()])),
            tooltip=["section", "part", "tokens"],
        )
    )
    labels = bars.mark_text(align="left", dx=4).encode(text="label:N", color=alt.value("#333333"))
    left = preview.budget.window - preview.budget.reply - preview.tokens
    title = alt.TitleParams(
        f"This question would carry {preview.tokens:,} tokens", subtitle=f"{left:,} of the window's tokens stay free"
    )
    chart = (bars + labels).properties(title=title, width=460, height=24 * len(rows)).configure(background="white")
    words = ", ".join(f"{row['section']} {row['tokens']:,}" for row in rows)
    return Picture(chart, f"Tokens by section: {words}")

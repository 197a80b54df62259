"""Charts, each from records that hold the figures. The colours are Okabe and Ito's (for the colour-blind)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gallump_lab.brain.reply import Preview

COLOURS = {
    "HOT": "#D55E00",
    "WARM": "#E69F00",
    "COLD": "#0072B2",
    "market": "#009E73",
    "question": "#CC79A7",
    "instructions": "#999999",
}
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
        """Say in words what the chart shows."""
        return self.words

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {
            "text/plain": self.words,
            "image/png": self.png(),
            "application/vnd.vegalite.v6+json": self.chart.to_dict(),
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

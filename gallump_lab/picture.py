"""A chart as a notebook shows it, and the colours of its parts: Okabe and Ito's (for the colour-blind)."""

from pathlib import Path
from typing import Any

COLOURS = {
    "HOT": "#D55E00",
    "WARM": "#E69F00",
    "COLD": "#0072B2",
    "market": "#009E73",
    "question": "#CC79A7",
    "instructions": "#999999",
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
        """Return in words what the chart shows."""
        return self.words

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {
            "text/plain": self.words,
            "image/png": self.png(),
            "application/vnd.vegalite.v6+json": self.chart.to_dict(),
        }

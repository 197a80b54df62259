"""The colours of charts and of the inspector: they read in both themes, and the colour-blind tell them apart."""

COLOURS = {
    "HOT": "#AE3E08",
    "WARM": "#BF8B00",
    "COLD": "#0067A3",
    "market": "#2FA488",
    "question": "#D566DE",
    "instructions": "#686D70",
}
"""Of the tiers and the other parts of a prompt, which nothing else is drawn in."""
PAID = {
    "cache write": "#7C6A52",
    "cache read": "#7285A0",
    "reply": "#7040F6",
    "thinking": "#DA0C55",
    "rewriting": "#9F7728",
    "distilling": "#95925C",
    "batch": "#DE7287",
    "not told": "#57667E",
}
"""Of what is paid for beside the parts of a prompt."""
SERIES = ["#2FA488", "#D566DE", "#7C6A52", "#F7236E", "#7285A0", "#7040F6", "#18877E"]
"""For things without a colour of their own."""
INK = "#808080"
FAINT = "#80808040"
"""Both read on white and in the dark."""
SPOKEN = {"applied": "retriever in force"}
"""How a retriever's name is read; the others go by their own."""

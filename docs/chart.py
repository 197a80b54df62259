"""Draw evidence.png, the README's chart, from the sample: python docs/chart.py (half a minute)."""

from pathlib import Path

import vl_convert

from gallump_lab import Lab, study

if __name__ == "__main__":
    ranks = study.rank(Lab.sample().snapshot(), model="claude-sonnet-5-5")
    drawn = study.sweep(ranks).plot().chart.to_dict() | {"background": "white"}
    Path(__file__).with_name("evidence.png").write_bytes(vl_convert.vegalite_to_png(drawn, scale=1))

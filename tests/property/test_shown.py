"""Whatever anybody says acts on nobody's terminal, page or preview."""

import re
import unicodedata
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gallump_lab import Lab, study
from gallump_lab.reading.shown import to_markdown

ACTS = "\x00\x07\x08\x1b\x7f\x85\x9b\u202a\u202e\u2066\u2069"
SAID = st.text(st.sampled_from(f"{ACTS}\n\ta[31m "), min_size=1, max_size=30).map(lambda said: f"my AAPL stop {said}")
PIECES = r"` `` ``` ~~~ | |-| \ ! [a] (https://e.x/i) < > <!-- <details> <https://e.x> $ $1 &#36; word".split()
PIECES += ["<img src=https://e.x/i>", "![a](https://e.x/i)", "\n", "\n\n", "> ", "- ", "    "]
MARKED = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@settings(max_examples=10)
@given(said=SAID)
def test_no_control_passes_through_a_repr_or_an_export(tmp_path_factory, said: str) -> None:
    lab = Lab.open(tmp_path_factory.mktemp("lab") / "lab.duckdb")
    reply = lab.ask(said)
    lab.insights.add(said, sources=[reply.question_id])
    replay, recalled = study.replay(lab.snapshot()), lab.recall("Where is my AAPL stop?")
    shown = [*map(repr, (reply, recalled, lab.insights, lab.preview(said), replay, *replay.turns))]
    shown += [lab.insights._repr_html_(), reply._repr_markdown_(), lab.export(reply.session_id)]
    for each in shown:
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", each)
        assert {c for c in each if unicodedata.category(c) == "Cc"} <= {"\n", "\t"}


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        self.found.add(tag)

    def handle_comment(self, _said: str) -> None:
        self.found.add("comment")


@settings(max_examples=300)
@given(said=MARKED)
def test_a_preview_fetches_nothing_and_swallows_nothing_of_what_follows(said: str) -> None:
    for rules in ("commonmark", "gfm-like"):
        parser = MarkdownIt(rules, {"html": True, "linkify": False})
        html = parser.render(f"{to_markdown(said)}\n\n**You** after")
        assert not _Tags(html).found & {"img", "details", "comment"}
        assert html.endswith("<p><strong>You</strong> after</p>\n")

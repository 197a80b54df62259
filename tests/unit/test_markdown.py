"""What Markdown becomes, and what hostile text does not become."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gallump_lab.ui.widget import Growing, render, visible


def test_dollar_amounts_stay_as_they_were_written() -> None:
    assert render("Range $190 to $210, risk $5.") == "<p>Range $190 to $210, risk $5.</p>\n"


def test_tables_lists_and_code_are_rendered() -> None:
    found = render("| a | b |\n|---|--:|\n| 1 | 2 |\n\n3. three\n\n```py\nx < y\n```\n\n~~old~~ **new**")
    assert '<td style="text-align:right">2</td>' in found
    assert '<ol start="3">' in found
    assert "<pre><code>x &lt; y\n</code></pre>" in found
    assert "<s>old</s> <strong>new</strong>" in found


@pytest.mark.parametrize("url", ["https://a.example/x", "http://a.example/", "mailto:a@a.example"])
def test_a_link_opens_outside_and_tells_nothing(url: str) -> None:
    assert f'<a href="{url}" target="_blank" rel="noopener noreferrer">' in render(f"[words]({url})")


class _Seen(HTMLParser):
    """The tags and attributes of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(attrs)


@pytest.mark.parametrize(
    "hostile",
    [
        "<img src=x onerror=alert(1)>",
        '<a href="javascript:alert(1)">x</a>',
        "[x](JaVaScRiPt:alert(1))",
        "[x](/lab?reset)",
        "[x](//a.example/)",
        '[x](https://a.example "\\" onmouseover=alert(1) \\"")',
        "| <b onclick=x> |\n|---|\n| <iframe src=//a> |",
        '<div style="background:url(//a.example)">x</div>',
    ],
)
def test_hostile_text_is_shown_and_does_nothing(hostile: str) -> None:
    found = render(hostile)
    seen = _Seen(found)
    assert seen.tags <= {"p", "a", "table", "thead", "tbody", "tr", "th", "td", "pre", "code"}
    assert {name for name, _ in seen.attributes} <= {"href", "title", "target", "rel"}
    assert all(value.startswith("https://") for name, value in seen.attributes if name == "href" and value)
    assert re.sub("<[^>]*>", "", found).strip()


def test_terminal_escapes_and_direction_overrides_become_visible_signs() -> None:
    assert visible("\x1b[31mred\x07 \u202egnp.exe\ttab\nline\x85") == "␛[31mred␇ \ufffdgnp.exe\ttab\nline\ufffd"
    assert "\u202e" not in render("a \u202e b")


def _joined(html: str) -> str:
    return html.replace("\n", "")


_MARKS = ("\n\n", "  ", "    ", "1. ", "- ", "> ", "---", "```", "**", "| a | b |\n|--|--|\n")
_PIECES = st.sampled_from([*"ab1-*_`#>|.()[]$ \n", *_MARKS])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(_PIECES, max_size=8).map("".join), max_size=12))
def test_a_growing_reply_ends_as_the_whole_would(pieces: list[str]) -> None:
    growing, settled = Growing(), ""
    for piece in pieces:
        settled += growing.add(piece)
        assert settled == growing.settled
    assert _joined(growing.settled + growing.open) == _joined(render("".join(pieces)))


def test_finished_blocks_are_not_rendered_again() -> None:
    growing = Growing()
    assert growing.add("First paragraph.\n\nSecond") == ""
    assert growing.add(" one.\n") == growing.settled == "<p>First paragraph.</p>\n"
    assert growing.open == "<p>Second one.</p>\n"

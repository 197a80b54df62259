"""What Markdown becomes, and what hostile text does not become."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gallump_lab.brain.citations import Citation
from gallump_lab.reading.shown import visible
from gallump_lab.ui.widget import Growing, render


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
    acts = {
        "\x1b[31mred\x07": r"\x1b[31mred\x07",
        " \u202egnp.exe": r" \u202egnp.exe",
        "\ttab\nline\x85": "\ttab\nline\\x85",
    }
    assert {text: visible(text) for text in acts} == acts
    for readable in ("\U0001f469\u200d\U0001f52c", "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627"):
        assert visible(readable) == readable
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


def _note(number: int, *places: int) -> Citation:
    return Citation(number=number, kind="passage", item_id=1, message_id=1, title="", text="", places=places)


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("It is 400^, as said", "It is 400*, as said"),
        ("First.\n\n^- an item", "First.*</p>"),
        ("**400.*^* It holds", "<strong>400.</strong>* It"),
        ("`AA^PL` and", "<code>AAPL</code>* and"),
        ("```\na^ b\n```\nThe end", "<p>The* end"),
        ("[as s^aid](https://a.example) then", "as said</a>* then"),
        ("[as said](https://a.exa^mple 'a title') then", "as said</a>* then"),
        ("a &am^p; b", "a &amp;* b"),
        ("| a | b |\n|---|-^--|\n| 1 | 2 |", "<td>1*</td>"),
        ("See [a].^\n\n[a]: https://a.example", "a</a>.*</p>"),
        ("```\nno^thing but code", "<code>nothing but code</code>"),
        ("{\ue0001\ue001} is no note^", "is no note</p>"),
    ],
)
def test_a_notes_number_stands_behind_its_words_and_not_in_code_or_a_link(text: str, noted: str) -> None:
    found = render(text.replace("^", ""), (_note(1, text.index("^")),))
    assert noted.replace("*", "<sup>[1]</sup>") in found
    assert found.count("<sup>") == noted.count("*")


@settings(deadline=None, max_examples=100)
@given(st.lists(_PIECES, max_size=20).map("".join), st.lists(st.integers(0, 60), max_size=4))
def test_notes_change_nothing_of_a_replys_rendering_but_for_their_numbers(text: str, places: list[int]) -> None:
    notes = tuple(_note(number, place) for number, place in enumerate(places, 1))
    assert re.sub(r"<sup>\[[1-4]\]</sup>", "", render(text, notes)) == render(text)


def test_finished_blocks_are_not_rendered_again() -> None:
    growing = Growing()
    assert growing.add("First paragraph.\n\nSecond") == ""
    assert growing.add(" one.\n") == growing.settled == "<p>First paragraph.</p>\n"
    assert growing.open == "<p>Second one.</p>\n"


@pytest.mark.parametrize(
    "formula", ["$$a_b * c_d * e$$", r"\(x_1 * y_2 * z\)", r"\[ [a](b)_c \]", "$$\na_1\n- b_2\n\n* c\n$$"]
)
def test_a_formula_stays_as_it_was_written_and_one_dollar_is_a_price(formula):
    html = render(f"*From* $190 to $210:\n\n{formula}\n\n*done*")
    assert formula in html
    assert "<em>From</em> $190 to $210:" in html
    assert "<em>done</em>" in html

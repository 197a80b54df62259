"""A reply's Markdown as HTML that is safe to show: text is data, whoever wrote it."""

from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_TAGS = frozenset(
    "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split()
)
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "td": {"style"}, "th": {"style"}}
_SCHEMES = frozenset({"http", "https", "mailto"})

_CONTROLS = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"}
_HIDDEN = (0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_VISIBLE = _CONTROLS | dict.fromkeys(_HIDDEN, 0xFFFD)


def visible(text: str) -> str:
    """Show what would act unseen: terminal escapes and text direction overrides become visible signs."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_VISIBLE)


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # An image would fetch from the net as soon as it is shown; its link stays.
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")


def _html(text: str) -> str:
    import nh3

    return nh3.clean(
        _parser().render(visible(text)),
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        url_schemes=set(_SCHEMES),
        url_relative="deny",
        filter_style_properties={"text-align"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer",
    )


@lru_cache(maxsize=512)
def render(text: str) -> str:
    """Render Markdown as sanitised HTML: allowed tags only, absolute http, https and mailto links, nothing fetched."""
    return _html(text)


class Growing:
    """A reply that is still being written: its finished blocks are rendered once, the open one again and again."""

    def __init__(self) -> None:
        self.settled = ""
        """HTML of the finished blocks."""
        self.open = ""
        """HTML of the block that further text may still change."""
        self._text = ""

    def add(self, text: str) -> str:
        """Take more text; give the HTML that `settled` has gained."""
        self._text += visible(text)
        gained = ""
        if "\n" in text:
            lines = self._text.split("\n")
            # Only whole lines say where a block begins: "1" may yet become "1. an item" of the list before it.
            tokens = _parser().parse("\n".join(lines[:-1]))
            start = max((token.map[0] for token in tokens if token.level == 0 and token.map), default=0)
            gained = _html("\n".join(lines[:start]))
            self.settled += gained
            self._text = "\n".join(lines[start:])
        self.open = _html(self._text)
        return gained

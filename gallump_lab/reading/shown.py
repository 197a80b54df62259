"""What anybody said, on its way out: to a terminal, to a page, to Markdown that others render."""

import re
from functools import cache
from typing import TYPE_CHECKING

from gallump_lab.lazy import regex

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_ACTS = (*range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_VISIBLE = {code: ascii(chr(code))[1:-1] for code in _ACTS}
_CODE = r"(?P<ticks>`+)(?!`)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)"
_DOLLAR = r"(?P<dollar>\\?\$|&(?:#0*36|#[xX]0*24|dollar);)"
_ACTIVE = regex(rf"{_DOLLAR}|\\[^\n]|<https?://[^\s<>$`]+>|{_CODE}|`+|!(?=\[)|<", re.DOTALL)
_MARKS = regex(r"^\s*(?:#{1,6}|[-*+>]) (?=\S)|(?<!\w)(?:\*\*|__|~~|`+)|(?:\*\*|__|~~|`+)(?!\w)", re.MULTILINE)


def visible(text: str) -> str:
    r"""Show what would act unseen: terminal escapes and text direction overrides stand as \x1b and \u202e."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_VISIBLE)


def unmarked(text: str) -> str:
    """Return Markdown as plain words: without the marks of emphasis, code, headings and lists."""
    return _MARKS.sub("", text)


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table")


def to_markdown(text: str) -> str:
    """Return Markdown that does nothing but show, whoever renders it: JupyterLab, GitHub, an editor's preview.

    Dollars are no formula, HTML is text, an image is its link, and a fence that stays open is closed: nothing is
    fetched, and nothing is swallowed of what follows. Blocks of code stay as they are.
    """
    lines = visible(text).rstrip().split("\n")
    blocks = [each for each in _parser().parse("\n".join(lines)) if each.type in {"fence", "inline"} and each.map]
    starts = {each.map[0]: each for each in blocks if each.map}
    found, at = [], 0
    while at < len(lines):
        block = starts.get(at)
        end = block.map[1] if block and block.map else at + 1
        said = "\n".join(lines[at:end])
        fence = block and block.type == "fence"
        found.append(said if fence else _inert(said, code=bool(block) and "|" not in said))
        at = end
    last = blocks[-1] if blocks else None
    if last and last.type == "fence" and last.level == 0 and last.map and last.map[1] == len(lines):
        end_line = lines[-1].strip() if last.map[0] < len(lines) - 1 else ""
        closed = end_line.startswith(last.markup) and not end_line.strip(last.markup[0])
        found += [] if closed else [last.markup]
    return "\n".join(found)


def _inert(said: str, *, code: bool) -> str:
    """Escape what acts outside code; where cells may cut a span of code in two, nothing is taken for code."""
    # JupyterLab looks for formulas twice, before and after it has read escapes, and the second time in each element.
    several = sum(found["dollar"] is not None for found in _ACTIVE.finditer(said)) > 1
    dollar = "<span>\\$</span>" if several else "\\$"

    def piece(found: re.Match[str]) -> str:
        if found["dollar"]:
            return dollar
        if inner := found["code"]:
            sure, ticks = code and "\n" not in inner, found["ticks"]
            return found[0] if sure else f"{ticks}{_inert(inner, code=False)}{ticks}"
        return f"\\{found[0]}" if found[0] in "<!" else found[0]

    return _ACTIVE.sub(piece, said)

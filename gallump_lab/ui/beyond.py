"""What replies hold beyond CommonMark: formulas, which stay as they were written, and tables made of tabs."""

from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING

from gallump_lab.lazy import regex

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.ruler import RuleOptionsType
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

_FORMULA = regex(r"(?s:\$\$.+?\$\$|\\\(.+?\\\)|\\\[.+?\\\])")
_CLOSING = {"$$": "$$", r"\[": r"\]"}


def extend(parser: "MarkdownIt") -> None:
    """Have a parser leave LaTeX alone as a whole, and make tables of lines with tabs; one dollar is a dollar."""
    before: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    parser.block.ruler.before("table", "formula", _formula, before)
    parser.block.ruler.before("table", "tabbed", _tabbed, before)
    parser.inline.ruler.before("escape", "formula", _inline)


def _inline(state: "StateInline", silent: bool) -> bool:  # noqa: FBT001 (as the parser calls it)
    found = _FORMULA.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("text", "", 0).content = found[0]
    state.pos = found.end()
    return True


def _lines(state: "StateBlock", start: int, end: int) -> Iterator[str]:
    """Give the lines that belong to the block at `start`, without what it is indented by."""
    inside = takewhile(lambda row: state.isEmpty(row) or state.sCount[row] >= state.blkIndent, range(start, end))
    return (state.getLines(row, row + 1, state.blkIndent, keepLastLF=False) for row in inside)


def _formula(state: "StateBlock", start: int, end: int, silent: bool) -> bool:  # noqa: FBT001
    """Read a formula between lines of its own, to the end of the text while the closing one has not come."""
    opening = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]].strip()
    closing = _CLOSING.get(opening)
    if closing is None or state.is_code_block(start):
        return False
    if not silent:
        more = list(_lines(state, start + 1, end))
        last = next((i for i, each in enumerate(more) if each.strip() == closing), len(more) - 1)
        token = state.push("code_block", "code", 0)
        token.content = "\n".join((opening, *more[: last + 1]))
        token.map = [start, start + last + 2]
        state.line = start + last + 2
    return True


def _tabbed(state: "StateBlock", start: int, end: int, silent: bool) -> bool:  # noqa: FBT001
    """Read two lines or more that hold tabs as a table."""
    rows = [
        each.strip(" ").split("\t")
        for each in takewhile(lambda each: "\t" in each and each.strip(), _lines(state, start, end))
    ]
    if len(rows) < 2 or state.is_code_block(start):
        return False
    if silent:
        return True
    state.push("table_open", "table", 1).map = [start, start + len(rows)]
    for row in rows:
        state.push("tr_open", "tr", 1)
        for cell in row:
            state.push("td_open", "td", 1)
            token = state.push("inline", "", 0)
            token.content, token.children = cell.strip(), []
            state.push("td_close", "td", -1)
        state.push("tr_close", "tr", -1)
    state.push("table_close", "table", -1)
    state.line = start + len(rows)
    return True

"""Underline and spoiler inside GFM-MIMI: `++underlined++` and `||hidden||`.

GFM has no form for either, and GFM-MIMI forbids HTML and further extensions. So
they are written as literal characters that a reader without Sabir understands,
and that Sabir reads back. A pair counts only where `_` would count in CommonMark
(never inside a word), so that `C++11`, `i++` and `a || b` stay what they are.
"""

from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter

UNDERLINE: Final = "++"
SPOILER: Final = "||"
_TOKENS: Final = {ord("+"): "underline", ord("|"): "spoiler"}


def marks(md: MarkdownIt) -> None:
    """Teach a parser both marks (a markdown-it plugin)."""
    md.inline.add_terminator_char("|")
    md.inline.ruler.after("strikethrough", "sabir_marks", _tokenize)
    md.inline.ruler2.after("strikethrough", "sabir_marks", _pair)


def _tokenize(state: StateInline, silent: bool) -> bool:
    marker = state.src[state.pos]
    if silent or marker not in "+|":
        return False
    scanned = state.scanDelims(state.pos, False)
    if scanned.length != len(UNDERLINE):
        return False
    token = state.push("text", "", 0)
    token.content = marker * scanned.length
    state.delimiters.append(
        Delimiter(
            marker=ord(marker),
            length=0,  # the "rule of 3" is for emphasis only
            token=len(state.tokens) - 1,
            end=-1,
            open=scanned.can_open,
            close=scanned.can_close,
        )
    )
    state.pos += scanned.length
    return True


def _pair(state: StateInline) -> None:
    _open_and_close(state, state.delimiters)
    for meta in state.tokens_meta:
        if meta and "delimiters" in meta:
            _open_and_close(state, meta["delimiters"])


def _open_and_close(state: StateInline, delimiters: list[Delimiter]) -> None:
    for opener in delimiters:
        name = _TOKENS.get(opener.marker)
        if name is None or opener.end == -1:
            continue
        for index, edge, nesting in (
            (opener.token, "open", 1),
            (delimiters[opener.end].token, "close", -1),
        ):
            token = state.tokens[index]
            token.type = f"{name}_{edge}"
            token.nesting = 1 if nesting == 1 else -1
            token.markup = token.content
            token.content = ""

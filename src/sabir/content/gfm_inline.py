"""Writing a run of inlines as GFM-MIMI so that every reader sees exactly these.

The tree becomes a row of tokens (marks, raw Markdown, literal text); the text is
then escaped with an eye on its neighbours. Where CommonMark would not let a mark
open or close beside a letter, that letter is written as a numeric reference: the
mark then stands beside punctuation, where it always counts.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sabir.content.gfm_marks import SPOILER, UNDERLINE
from sabir.content.normal import REASON
from sabir.content.rich import (
    Code,
    Emphasis,
    Inline,
    Link,
    Mention,
    Spoiler,
    Strike,
    Strong,
    Text,
    Underline,
)


class _Kind(Enum):
    TEXT = auto()
    RAW = auto()
    OPEN = auto()
    CLOSE = auto()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: _Kind
    text: str


_MARKS: Final = {
    Strong: "**",
    Emphasis: "_",
    Strike: "~~",
    Underline: UNDERLINE,
    Spoiler: SPOILER,
}
_STRICT: Final = frozenset({"_", UNDERLINE, SPOILER})
"""Marks that must not stand inside a word."""

_ALWAYS: Final = frozenset("\\`*[]~")
_AT_LINE_START: Final = frozenset("#>-+=:")
_LIST_NUMBER: Final = re.compile(r"(?:^|(?<=\n))[0-9]{1,9}[.)]")
_LEADING: Final = re.compile(r"(?:^|(?<=\n)) +")
_TRAILING: Final = re.compile(r" +(?=\n|$)")
_ENTITY: Final = re.compile(r"&(?=#?[0-9A-Za-z]+;)")
_TAG: Final = re.compile(r"<(?=[A-Za-z/!?])")
_BARE_URL: Final = re.compile(r"[A-Za-z0-9:/?#@!$&'*+,;=._~%-]+")
_ANGLE: Final = re.compile(r"[\\<>]")
_TICKS: Final = re.compile(r"`+")


def write_inlines(children: Iterable[Inline], *, single_line: bool = False) -> str:
    """Return the Markdown of a normal run of inlines.

    Args:
        children: in normal form (`normal.inlines`).
        single_line: for headings and table cells, where a newline is a reference.
    """
    row = list(_tokens(children))
    return "".join(
        token.text
        if token.kind is not _Kind.TEXT
        else _literal(row, index, single_line=single_line)
        for index, token in enumerate(row)
    )


def _tokens(children: Iterable[Inline]) -> Iterator[_Token]:
    for child in children:
        match child:
            case Text(text=text):
                yield _Token(_Kind.TEXT, text)
            case Code(text=text):
                yield _Token(_Kind.RAW, _code(text))
            case Link(children=inner, url=url):
                yield _Token(_Kind.RAW, "[")
                yield from _tokens(inner)
                yield _Token(_Kind.RAW, f"]({_target(url)})")
            case Mention(name=name, uri=uri):
                yield _Token(_Kind.RAW, "[")
                yield _Token(_Kind.TEXT, f"@{name}")
                yield _Token(_Kind.RAW, f"]({_target(uri)})")
            case _:
                mark = _MARKS[type(child)]
                yield _Token(_Kind.OPEN, mark)
                yield from _tokens(_with_reason(child))
                yield _Token(_Kind.CLOSE, mark)


def _with_reason(
    child: Strong | Emphasis | Strike | Underline | Spoiler,
) -> tuple[Inline, ...]:
    if not isinstance(child, Spoiler) or not child.reason:
        return child.children
    label: tuple[Inline, ...] = (Code(REASON + child.reason),)
    match child.children:
        case (Text(text=text), *rest):
            return (*label, Text(f" {text}"), *rest)
        case inner:
            return (*label, Text(" "), *inner)


def _code(text: str) -> str:
    runs = {len(run) for run in _TICKS.findall(text)}
    fence = "`" * next(n for n in range(1, len(runs) + 2) if n not in runs)
    padded = text[0] == "`" or text[-1] == "`" or (text[0] == text[-1] == " ")
    return f"{fence} {text} {fence}" if padded else f"{fence}{text}{fence}"


def _target(url: str) -> str:
    url = _ENTITY.sub("&amp;", url)
    if _BARE_URL.fullmatch(url):
        return url
    return f"<{_ANGLE.sub(_backslash, url)}>"


def _backslash(match: re.Match[str]) -> str:
    return f"\\{match[0]}"


# ---- literal text


def _literal(row: list[_Token], index: int, *, single_line: bool) -> str:
    text = row[index].text
    before = row[index - 1] if index else None
    after = row[index + 1] if index + 1 < len(row) else None
    return _Literal(
        text,
        first=_must_encode_first(row, index, text[0]),
        last=_must_encode_last(row, index, text[-1]),
        line_start=_at_line_start(row, index) and not single_line,
        fresh=before is None or before.kind is _Kind.OPEN or before.text == "[",
        closed=after is None or after.kind is _Kind.CLOSE,
        bracket=after is not None and after.text == "[",
        single_line=single_line,
        block_start=before is None,
        block_end=after is None,
    ).write()


def _at_line_start(row: list[_Token], index: int) -> bool:
    return index == 0 or row[index - 1].text.endswith("\n")


def _must_encode_first(row: list[_Token], index: int, first: str) -> bool:
    before = row[index - 1] if index else None
    if before is None or before.kind is _Kind.RAW:
        return False
    if before.kind is _Kind.OPEN:
        return first.isspace()
    if _is_space(first) or _is_punctuation(first):
        return False
    return before.text in _STRICT or not _ends_in_a_letter(row, index - 2)


def _must_encode_last(row: list[_Token], index: int, last: str) -> bool:
    after = row[index + 1] if index + 1 < len(row) else None
    if after is None or after.kind is _Kind.RAW:
        return False
    if after.kind is _Kind.CLOSE:
        return last.isspace() and last != "\n"
    if _is_space(last) or _is_punctuation(last):
        return False
    return after.text in _STRICT or not _starts_with_a_letter(row, index + 2)


def _is_space(char: str) -> bool:
    # Any other white space is written as a reference, which is punctuation.
    return char in " \n"


def _is_punctuation(char: str) -> bool:
    return char.isascii() and not char.isalnum()


def _ends_in_a_letter(row: list[_Token], index: int) -> bool:
    return row[index].kind is _Kind.TEXT and row[index].text[-1].isalnum()


def _starts_with_a_letter(row: list[_Token], index: int) -> bool:
    return row[index].kind is _Kind.TEXT and row[index].text[0].isalnum()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a literal text stands."""

    first: bool
    """Its first character must be a reference."""
    last: bool
    line_start: bool
    fresh: bool
    """Nothing that could carry a line break stands before it."""
    closed: bool
    """A mark closes, or the block ends, just behind it."""
    bracket: bool
    """A link follows, which `!` would turn into an image."""
    single_line: bool
    block_start: bool
    block_end: bool


class _Literal:
    """One literal text and its place."""

    def __init__(self, text: str, **place: bool) -> None:
        self._text = text
        self._place = _Place(**place)
        self._spaces = self._edge_spaces()
        self._escaped = {
            found.end() - 1
            for found in _LIST_NUMBER.finditer(text)
            if found.start() or self._place.line_start
        }

    def write(self) -> str:
        text = self._text
        end = len(text) - 1
        return "".join(
            f"&#{ord(char)};"
            if (index == 0 and self._place.first) or (index == end and self._place.last)
            else self._char(index, char)
            for index, char in enumerate(text)
        )

    def _edge_spaces(self) -> frozenset[int]:
        if " " not in self._text:
            return frozenset()
        place = self._place
        spaces: set[int] = set()
        for found in _LEADING.finditer(self._text):
            if found.start() or place.line_start or place.block_start:
                spaces.update(range(*found.span()))
        for found in _TRAILING.finditer(self._text):
            if found.end() < len(self._text) or place.block_end:
                spaces.update(range(*found.span()))
        return frozenset(spaces)

    def _char(self, index: int, char: str) -> str:
        if char.isalnum():
            return char
        if char == " ":
            return "&#32;" if index in self._spaces else char
        if char == "\n":
            return self._newline(index)
        if char.isspace():
            return f"&#{ord(char)};"
        if char == "<":
            return "&lt;" if _TAG.match(self._text, index) else char
        if char == "&":
            return "&amp;" if _ENTITY.match(self._text, index) else char
        return f"\\{char}" if self._is_special(index, char) else char

    def _newline(self, index: int) -> str:
        place = self._place
        last = index == len(self._text) - 1
        if place.single_line or (last and place.closed):
            return "&#10;"
        before = self._text[index - 1] if index else ""
        if before == "\n" or (not before and place.fresh):
            return "\\\n"
        return "  \n"

    def _is_special(self, index: int, char: str) -> bool:
        if char in _ALWAYS or index in self._escaped:
            return True
        last = index == len(self._text) - 1
        if char == "_":
            return not self._inside_a_word(index)
        if char in "+|" and (index == 0 or last or self._doubled(index, char)):
            return True
        if char == "!":
            return last and self._place.bracket
        if char == "#" and self._place.single_line:
            return True
        return char in _AT_LINE_START and self._starts_a_line(index)

    def _inside_a_word(self, index: int) -> bool:
        text, place = self._text, self._place
        if not 0 < index < len(text) - 1:
            return False
        encoded = (index == 1 and place.first) or (
            index == len(text) - 2 and place.last
        )
        return not encoded and text[index - 1].isalnum() and text[index + 1].isalnum()

    def _doubled(self, index: int, char: str) -> bool:
        return char in (self._text[index - 1], self._text[index + 1])

    def _starts_a_line(self, index: int) -> bool:
        if index == 0:
            return self._place.line_start
        return self._text[index - 1] == "\n"

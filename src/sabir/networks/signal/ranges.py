"""Signal's formatted text to the tree and back. Pure.

Signal has a flat text, and over it ranges of styles and mentions in UTF-16 code units
(`BodyRange`; signal-cli's `textStyles` and `mentions`). A mention's place holds U+FFFC.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from sabir.content.normal import normalise
from sabir.content.plain import flat, lines
from sabir.content.rich import (
    Block,
    Code,
    CodeBlock,
    Emphasis,
    Inline,
    Link,
    Mention,
    Paragraph,
    Rich,
    Spoiler,
    Strike,
    Strong,
    Text,
    Underline,
)
from sabir.networks.signal.names import person_id
from sabir.networks.signal.text import one_line, units

PLACEHOLDER: Final = "\ufffc"
"""Stands in the text where a mention is."""
RANGES_READ_MAX: Final = 1_000
"""Far more than a text of 2,000 octets can use."""
SOMEBODY: Final = "somebody"

_MARKS: Final[Mapping[str, type[Strong | Emphasis | Strike | Spoiler]]] = {
    "BOLD": Strong,
    "ITALIC": Emphasis,
    "STRIKETHROUGH": Strike,
    "SPOILER": Spoiler,
}
_MONOSPACE: Final = "MONOSPACE"


@dataclass(frozen=True, slots=True)
class _Range:
    """A range in characters: a style's name, or whom it mentions."""

    start: int
    end: int
    style: str = ""
    person: str = ""


# ---- reading


def read(text: str, styles: object, mentions: object, names: Mapping[str, str]) -> Rich:
    """Return the tree of a text.

    Args:
        text: as it came.
        styles: its `textStyles`; anything that is no usable one is skipped.
        mentions: its `mentions`, likewise.
        names: display names by account id.
    """
    starts = _unit_starts(text)
    marks = [r for r in _ranges(styles, starts, "style") if _is_known(r)]
    people = sorted(_ranges(mentions, starts, "uuid"), key=lambda r: r.start)
    if not marks and not people:
        return normalise(Rich.plain(text))
    reader = _Reader(text, marks, people, names)
    return normalise(Rich(tuple(reader.blocks())))


def _is_known(found: _Range) -> bool:
    return found.style in _MARKS or found.style == _MONOSPACE


def _ranges(entries: object, starts: Sequence[int], member: str) -> Iterator[_Range]:
    for entry in entries[:RANGES_READ_MAX] if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        offset, length = _count(entry, "start"), _count(entry, "length")
        if offset is None or not length:
            continue
        start = bisect_left(starts, offset)
        if start < len(starts) and starts[start] > offset:
            start -= 1  # it begins inside a surrogate pair: take the whole character
        end = min(bisect_left(starts, offset + length), len(starts) - 1)
        if start >= end:
            continue
        if member == "style":
            yield _Range(start, end, style=str(entry.get("style")))
        elif (person := person_id(entry.get("uuid"))) is not None:
            yield _Range(start, end, person=person)


def _unit_starts(text: str) -> Sequence[int]:
    """Return where every character starts, in UTF-16 code units, and the end."""
    if text.isascii():
        return range(len(text) + 1)
    starts, at = [], 0
    for char in text:
        starts.append(at)
        at += units(char)
    return [*starts, at]


def _count(entry: Mapping[str, Any], member: str) -> int | None:
    value = entry.get(member)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None


@dataclass(frozen=True, slots=True)
class _Reader:
    text: str
    marks: Sequence[_Range]
    people: Sequence[_Range]
    names: Mapping[str, str]

    def blocks(self) -> Iterator[Block]:
        """Yield code blocks (whole lines in monospace) and what is between them."""
        at = 0
        for frame in sorted(self.marks, key=lambda r: (r.start, -r.end)):
            if frame.start < at or not self._is_frame(frame):
                continue
            yield from self._paragraph(at, frame.start)
            yield CodeBlock(self.text[frame.start : frame.end].strip("\n"))
            at = frame.end
        yield from self._paragraph(at, len(self.text))

    def _is_frame(self, mark: _Range) -> bool:
        """Tell whether a range is lines of code rather than a word in a line."""
        before, after = self.text[: mark.start], self.text[mark.end :]
        return (
            mark.style == _MONOSPACE
            and "\n" in self.text[mark.start : mark.end].strip("\n")
            and (not before or before.endswith("\n"))
            and (not after or after.startswith("\n"))
        )

    def _paragraph(self, start: int, end: int) -> Iterator[Block]:
        """Yield the text as a paragraph; breaks at a block's border are its own."""
        while start < end and self.text[start] == "\n":
            start += 1
        while start < end and self.text[end - 1] == "\n":
            end -= 1
        if start < end:
            yield Paragraph(tuple(self._inlines(start, end)))

    def _inlines(self, start: int, end: int) -> Iterator[Inline]:
        at = start
        for mention in self.people:
            if mention.start < at or mention.end > end:
                continue
            yield from self._marked(at, mention.start)
            name = self.names.get(mention.person) or SOMEBODY
            yield from self._in_marks(
                Mention(name, mention.person), mention.start, mention.end
            )
            at = mention.end
        yield from self._marked(at, end)

    def _marked(self, start: int, end: int) -> Iterator[Inline]:
        """Yield the pieces between all borders; `normalise` joins them."""
        borders = {start, end}
        for mark in self.marks:
            borders |= {
                border for border in (mark.start, mark.end) if start < border < end
            }
        for first, last in pairwise(sorted(borders)):
            piece = self.text[first:last].replace(PLACEHOLDER, "")
            for number, line in enumerate(piece.split("\n")):
                if number:
                    yield Text("\n")
                if line:
                    yield from self._in_marks(Text(line), first, last)

    def _in_marks(self, piece: Inline, start: int, end: int) -> Iterator[Inline]:
        styles = {m.style for m in self.marks if m.start <= start and m.end >= end}
        if _MONOSPACE in styles and isinstance(piece, Text):
            piece = Code(piece.text)
        for style, mark in _MARKS.items():
            if style in styles:
                piece = mark((piece,))
        yield piece


# ---- writing


@dataclass(slots=True)
class Written:
    """A text with its ranges, in the form of signal-cli's `send`."""

    text: str = ""
    styles: list[str] = field(default_factory=list)
    """`start:length:STYLE`."""
    mentions: list[str] = field(default_factory=list)
    """`start:length:ACI`."""


def write(rich: Rich) -> Written:
    """Return the text of a tree and its ranges."""
    writer = _Writer()
    writer.blocks(rich.blocks)
    styles = [
        f"{start}:{length}:{style}"
        for style, spans in writer.styles.items()
        for start, length in spans
    ]
    return Written("".join(writer.parts), styles, writer.mentions)


class _Writer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.styles: dict[str, list[tuple[int, int]]] = {}
        self.mentions: list[str] = []
        self._at = 0

    def blocks(self, blocks: Sequence[Block]) -> None:
        for index, block in enumerate(blocks):
            if index:  # lines of code are a block by their own form
                framed = {type(block), type(blocks[index - 1])} & {CodeBlock}
                self._put("\n" if framed else "\n\n")
            self._block(block)

    def _block(self, block: Block) -> None:
        match block:
            case Paragraph(children=children):
                self._run(children, frozenset())
            case CodeBlock(text=text):
                self._leaf(text, frozenset({_MONOSPACE}))
            case _:  # has no form of its own here: the lines a person would type
                for index, line in enumerate(lines([block])):
                    if index:
                        self._put("\n")
                    self._run(line, frozenset())

    def _run(self, children: Sequence[Inline], marks: frozenset[str]) -> None:
        for child in children:
            self._inline(child, marks)

    def _inline(self, child: Inline, marks: frozenset[str]) -> None:
        match child:
            case Text(text=text):
                self._leaf(text, marks)
            case Code(text=text):
                self._leaf(text, marks | {_MONOSPACE})
            case Mention(name=name, uri=uri):
                self._mention(name, uri, marks)
            case Link():
                self._leaf(flat((child,)), marks)
            case Spoiler(children=inner, reason=reason):
                if reason:
                    self._leaf(f"({one_line(reason)}) ", marks)
                self._run(inner, marks | {"SPOILER"})
            case Strong(children=inner):
                self._run(inner, marks | {"BOLD"})
            case Emphasis(children=inner):
                self._run(inner, marks | {"ITALIC"})
            case Strike(children=inner):
                self._run(inner, marks | {"STRIKETHROUGH"})
            case Underline(children=inner):
                self._run(inner, marks)

    def _mention(self, name: str, uri: str, marks: frozenset[str]) -> None:
        person = person_id(uri)
        if person is None:
            self._leaf(f"@{name}", marks)
            return
        self.mentions.append(f"{self._at}:1:{person}")
        self._mark(PLACEHOLDER, marks)

    def _leaf(self, text: str, marks: frozenset[str]) -> None:
        # A placeholder that a person typed would be taken for a mention.
        self._mark(text.replace(PLACEHOLDER, ""), marks)

    def _mark(self, text: str, marks: frozenset[str]) -> None:
        start = self._at
        self._put(text)
        length = self._at - start
        if not length:
            return
        for mark in sorted(marks):
            spans = self.styles.setdefault(mark, [])
            if spans and sum(spans[-1]) == start:
                spans[-1] = (spans[-1][0], spans[-1][1] + length)
            else:
                spans.append((start, length))

    def _put(self, text: str) -> None:
        self.parts.append(text)
        self._at += units(text)

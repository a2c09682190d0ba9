"""Formatted text as plain text, with the marks a person would type.

Used where nothing but characters is possible: excerpts, attached text files, and
networks without any formatting. `lines` is the same, line by line, with the
inline marks still in place (a quote or list that must be shown as text may well
hold bold words).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from sabir.content.rich import (
    Block,
    Code,
    CodeBlock,
    Heading,
    Inline,
    Link,
    ListBlock,
    Mention,
    Paragraph,
    Quote,
    Rich,
    Rule,
    Table,
    Text,
)

Line: TypeAlias = tuple[Inline, ...]

RULE_TEXT: Final = "---"


def to_plain(rich: Rich) -> str:
    """Return the text as a person without formatting reads it."""
    match rich.blocks:
        case (Paragraph(children=(Text(text=text),)),):
            return text
        case blocks:
            return "\n".join(map(flat, lines(blocks)))


def flat(children: Iterable[Inline]) -> str:
    """Return the bare characters of a run: no marks, a link as `text (URL)`."""
    return "".join(map(_flat, children))


def _flat(child: Inline) -> str:
    match child:
        case Text(text=text) | Code(text=text):
            return text
        case Mention(name=name):
            return f"@{name}"
        case Link(children=children, url=url):
            text = flat(children)
            return text if text == url else f"{text} ({url})"
        case _:
            return flat(child.children)


def lines(blocks: Sequence[Block], *, in_item: bool = False) -> Iterator[Line]:
    """Yield the lines of blocks: quotes as `> `, lists as `- ` and `1. `.

    Args:
        blocks: in order; an empty line stands between two.
        in_item: a list inside a list item follows its text at once.
    """
    for index, block in enumerate(blocks):
        if index and not (in_item and isinstance(block, ListBlock)):
            yield ()
        yield from _block_lines(block)


def _block_lines(block: Block) -> Iterator[Line]:
    match block:
        case Paragraph(children=children) | Heading(children=children):
            yield from split_lines(children)
        case CodeBlock(text=text):
            for line in text.split("\n"):
                yield (Text(line),)
        case Quote(children=inner):
            for each in lines(inner):
                yield (Text("> " if each else ">"), *each)
        case ListBlock():
            yield from _list_lines(block)
        case Table():
            yield from table_lines(block)
        case Rule():
            yield (Text(RULE_TEXT),)


def _list_lines(block: ListBlock) -> Iterator[Line]:
    for index, item in enumerate(block.items):
        marker = f"{block.start + index}. " if block.ordered else "- "
        head = True
        for line in lines(item, in_item=True):
            indent = marker if head else " " * len(marker)
            yield (Text(indent), *line) if line or head else ()
            head = False
        if head:
            yield (Text(marker.rstrip()),)


def table_lines(table: Table) -> Iterator[Line]:
    """Yield a table as one line per row, `header: value; header: value`."""
    if not table.rows:
        yield _joined(table.header, ", ")
    for row in table.rows:
        cells = []
        for head, cell in zip(table.header, row, strict=False):
            label: Line = (*head, Text(": ")) if head else ()
            cells.append((*label, *cell))
        yield _joined(cells, "; ")


def _joined(cells: Iterable[Line], separator: str) -> Line:
    line: list[Inline] = []
    for cell in cells:
        if line:
            line.append(Text(separator))
        line += cell
    return tuple(line)


def split_lines(children: Iterable[Inline]) -> list[Line]:
    """Split a run at its newlines; marks are closed and opened again."""
    result: list[list[Inline]] = [[]]
    for child in children:
        first, *rest = _pieces(child)
        result[-1] += first
        result += [list(piece) for piece in rest]
    return [tuple(line) for line in result]


def _pieces(child: Inline) -> list[Line]:
    match child:
        case Text(text=text):
            return [(Text(part),) if part else () for part in text.split("\n")]
        case Code() | Mention():
            return [(child,)]
        case _:
            return [
                (replace(child, children=line),) if line else ()
                for line in split_lines(child.children)
            ]

"""A formatted text in two: marks, quotes, lists and code are closed and reopened.

Places are offsets in the text's linear form: what is read, without marks and
addresses; blocks are two newlines apart, list items and table rows one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from sabir.content.rich import (
    Block,
    Code,
    CodeBlock,
    Heading,
    Inline,
    ListBlock,
    Mention,
    Paragraph,
    Quote,
    Rich,
    Rule,
    Table,
    Text,
)

BLOCK_GAP: Final = "\n\n"
ITEM_GAP: Final = "\n"
_CELL_GAP: Final = " | "
_RULE: Final = "---"

Blocks = tuple[Block, ...]
Run = tuple[Inline, ...]
Span = tuple[int, int]


# ---- the linear form


def linear(blocks: Sequence[Block]) -> str:
    """Return the linear form of blocks."""
    return BLOCK_GAP.join(map(_linear_block, blocks))


def _linear_block(block: Block) -> str:
    match block:
        case Paragraph(children=children) | Heading(children=children):
            return _linear_run(children)
        case CodeBlock(text=text):
            return text
        case Quote(children=inner):
            return linear(inner)
        case ListBlock(items=items):
            return ITEM_GAP.join(map(linear, items))
        case Table(header=header, rows=rows):
            return ITEM_GAP.join(map(_linear_row, (header, *rows)))
        case Rule():
            return _RULE


def _linear_row(cells: Sequence[Run]) -> str:
    return _CELL_GAP.join(map(_linear_run, cells))


def _linear_run(children: Sequence[Inline]) -> str:
    return "".join(map(_linear_inline, children))


def _linear_inline(child: Inline) -> str:
    match child:
        case Text(text=text) | Code(text=text):
            return text
        case Mention(name=name):
            return f"@{name}"
        case _:
            return _linear_run(child.children)


# ---- what must stay whole


def whole_spans(blocks: Sequence[Block], start: int = 0) -> Iterator[Span]:
    """Yield the spans of mentions, table rows and rules: never cut inside these."""
    at = start
    for block in blocks:
        yield from _spans_of_block(block, at)
        at += len(_linear_block(block)) + len(BLOCK_GAP)


def _spans_of_block(block: Block, at: int) -> Iterator[Span]:
    match block:
        case Paragraph(children=children) | Heading(children=children):
            yield from _spans_of_run(children, at)
        case Quote(children=inner):
            yield from whole_spans(inner, at)
        case ListBlock(items=items):
            for item in items:
                yield from whole_spans(item, at)
                at += len(linear(item)) + len(ITEM_GAP)
        case Table(header=header, rows=rows):
            # A header stays with its first row.
            first, *others = [len(_linear_row(row)) for row in (header, *rows)]
            if others:
                first += len(ITEM_GAP) + others.pop(0)
            for length in (first, *others):
                yield (at, at + length)
                at += length + len(ITEM_GAP)
        case Rule():
            yield (at, at + len(_RULE))
        case CodeBlock():
            return


def _spans_of_run(children: Sequence[Inline], at: int) -> Iterator[Span]:
    for child in children:
        length = len(_linear_inline(child))
        match child:
            case Text() | Code():
                pass
            case Mention():
                yield (at, at + length)
            case _:
                yield from _spans_of_run(child.children, at)
        at += length


# ---- cutting


def cut(blocks: Sequence[Block], at: int) -> tuple[Blocks, Blocks]:
    """Return the blocks before and behind the offset `at`.

    A gap at the cut belongs to neither; what stays whole goes behind the cut.
    """
    for index, block in enumerate(blocks):
        length = len(_linear_block(block))
        if at <= length:
            left, right = _cut_block(block, at)
            return (*blocks[:index], *left), (*right, *blocks[index + 1 :])
        at -= length + len(BLOCK_GAP)
        if at <= 0:
            return tuple(blocks[: index + 1]), tuple(blocks[index + 1 :])
    return tuple(blocks), ()


def _cut_block(block: Block, at: int) -> tuple[Blocks, Blocks]:
    if at <= 0:
        return (), (block,)
    if at >= len(_linear_block(block)):
        return (block,), ()
    match block:
        case Paragraph(children=children) | Heading(children=children):
            left, right = _cut_run(children, at)
            return (
                (replace(block, children=left),) if left else (),
                (replace(block, children=right),) if right else (),
            )
        case CodeBlock(text=text):
            return (
                (replace(block, text=text[:at]),),
                (replace(block, text=text[at:]),),
            )
        case Quote(children=inner):
            before, behind = cut(inner, at)
            return _kept(Quote(before)), _kept(Quote(behind))
        case ListBlock():
            return _cut_list(block, at)
        case Table():
            return _cut_table(block, at)
        case Rule():
            return (), (block,)


def _kept(quote: Quote) -> Blocks:
    return (quote,) if quote.children else ()


def _cut_list(block: ListBlock, at: int) -> tuple[Blocks, Blocks]:
    items = block.items
    index = 0
    while at > (length := len(linear(items[index]))):
        at -= length + len(ITEM_GAP)
        index += 1
    before, behind = cut(items[index], max(at, 0))
    left = (*items[:index], before) if before else items[:index]
    right = (behind, *items[index + 1 :]) if behind else items[index + 1 :]
    start = block.start + index + (0 if behind else 1)
    return (
        (replace(block, items=left),) if left else (),
        (replace(block, items=right, start=start),) if right else (),
    )


def _cut_table(table: Table, at: int) -> tuple[Blocks, Blocks]:
    at -= len(_linear_row(table.header)) + len(ITEM_GAP)
    count = 0
    for row in table.rows:
        length = len(_linear_row(row))
        if at < length:
            break
        at -= length + len(ITEM_GAP)
        count += 1
    if not count:
        return (), (table,)
    return (
        (replace(table, rows=table.rows[:count]),),
        (replace(table, rows=table.rows[count:]),),
    )


def _cut_run(children: Sequence[Inline], at: int) -> tuple[Run, Run]:
    for index, child in enumerate(children):
        length = len(_linear_inline(child))
        if at < length:
            left, right = _cut_inline(child, at)
            return (*children[:index], *left), (*right, *children[index + 1 :])
        at -= length
    return tuple(children), ()


def _cut_inline(child: Inline, at: int) -> tuple[Run, Run]:
    if at == 0:
        return (), (child,)
    match child:
        case Text(text=text):
            return (Text(text[:at]),), (Text(text[at:]),)
        case Code(text=text):
            return (Code(text[:at]),), (Code(text[at:]),)
        case Mention():
            return (), (child,)
        case _:
            left, right = _cut_run(child.children, at)
            return (
                (replace(child, children=left),) if left else (),
                (replace(child, children=right),) if right else (),
            )


def prefixed(text: Rich, prefix: str) -> Rich:
    """Return `text` with literal characters put in front."""
    match text.blocks:
        case ():
            return Rich.plain(prefix.rstrip())
        case (Paragraph(children=(Text(text=first), *rest)), *others):
            merged = Paragraph((Text(prefix + first), *rest))
            return Rich((merged, *others))
        case (Paragraph(children=children), *others):
            return Rich((Paragraph((Text(prefix), *children)), *others))
        case blocks:
            return Rich((Paragraph((Text(prefix.rstrip()),)), *blocks))

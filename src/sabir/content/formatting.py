"""Rules FMT-1 to FMT-8, MEN-1, MEN-2: a text with only what a network can show.

A form with `Support.FULL` is native and stays; for any other the rule's form is
written. Every change is reported, and nothing of the text itself is ever lost.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sabir.content.capabilities import Capabilities, Format, Support
from sabir.content.loss import Level, LossItem, WayBack, Why
from sabir.content.misleading import misleads
from sabir.content.normal import normalise
from sabir.content.plain import Line, flat, lines, split_lines, table_lines
from sabir.content.rich import (
    Block,
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Inline,
    Link,
    ListBlock,
    Mention,
    Paragraph,
    Quote,
    Rich,
    Rule,
    Spoiler,
    Strike,
    Strong,
    Table,
    Text,
    Underline,
)

SPOILER_GAP: Final = "\n" * 21
"""FMT-7: twenty empty lines put the text below the first screen."""
SPOILER_NOTE: Final = "Spoiler below"
TABLE_WIDTH_MAX: Final = 60
"""FMT-8: columns; a wider table would wrap on a phone."""
TABLE_ROWS_MAX: Final = 20
"""FMT-8: longer tables go as a file, where files go."""

_UNSAFE: Final = re.compile(r"\s*(?:javascript|vbscript|data|file):", re.IGNORECASE)
"""Targets that no app may be made to follow; they are shown as text everywhere."""

_MARKS: Final[Mapping[type[Inline], Format]] = {
    Strong: Format.BOLD,
    Emphasis: Format.ITALIC,
    Underline: Format.UNDERLINE,
}
_WIDE: Final = frozenset("WF")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """A file that a rule made of a part of the text."""

    name: str
    content_type: str
    text: str


@dataclass(slots=True)
class Adapted:
    """A text as one network can show it."""

    text: Rich
    items: list[LossItem] = field(default_factory=list)
    files: list[TextFile] = field(default_factory=list)


def adapt(
    text: Rich, capabilities: Capabilities, mentions: Mapping[str, str]
) -> Adapted:
    """Return `text` as `capabilities` allow.

    Args:
        text: in normal form.
        capabilities: of the chat.
        mentions: native id of everybody who has one in this chat, by room URI.
    """
    if text.is_plain:
        return Adapted(text)
    adapter = _Adapter(capabilities, mentions)
    blocks = tuple(adapter.blocks(text.blocks))
    adapter.result.text = normalise(Rich(blocks))
    return adapter.result


class _Adapter:
    def __init__(self, capabilities: Capabilities, mentions: Mapping[str, str]) -> None:
        self._formats = capabilities.formatting
        self._files = capabilities.attachment >= Support.PARTIAL
        self._mentions = mentions
        self._in_lines = 0
        """Frames around the current block that become lines of text."""
        self.result = Adapted(Rich(()))

    # ---- blocks

    def blocks(self, blocks: Sequence[Block]) -> Iterator[Block]:
        for block in blocks:
            yield self._block(block)

    def _block(self, block: Block) -> Block:
        match block:
            case Paragraph(children=children):
                return Paragraph(self.inlines(children))
            case Heading(level=level, children=children):
                inner = self.inlines(children)
                if self._native(Format.HEADERS) and not self._in_lines:
                    return Heading(level, inner)
                self._lost("FMT-5", "a heading")
                return Paragraph(inner)
            case CodeBlock(text=text):
                if self._native(Format.CODE_BLOCK) and not self._in_lines:
                    return block
                self._lost("FMT-4", "a code block")
                return Paragraph((Text(text),))
            case Quote(children=inner):
                native = self._enter(Format.QUOTE, "a quote")
                return self._leave(native, Quote(tuple(self.blocks(inner))))
            case ListBlock():
                return self._list(block)
            case Table():
                return self._table(block)
            case Rule():
                return block

    def _list(self, block: ListBlock) -> Block:
        form = Format.OL if block.ordered else Format.UL
        native = self._enter(form, "a list")
        items = tuple(tuple(self.blocks(item)) for item in block.items)
        return self._leave(native, replace(block, items=items))

    def _enter(self, form: Format, what: str) -> bool:
        """Open a frame; False if it and all inside it become lines of text."""
        if self._native(form) and not self._in_lines:
            return True
        self._lost("FMT-5", what)
        self._in_lines += 1
        return False

    def _leave(self, native: bool, block: Quote | ListBlock) -> Block:
        if native:
            return block
        self._in_lines -= 1
        return block if self._in_lines else _paragraph(lines((block,)))

    def _table(self, table: Table) -> Block:
        header = tuple(self.inlines(cell) for cell in table.header)
        rows = tuple(tuple(map(self.inlines, row)) for row in table.rows)
        if self._native(Format.TABLE) and not self._in_lines:
            return Table(header, rows)
        if len(rows) > TABLE_ROWS_MAX and self._files:
            name = self._attach(table)
            self._table_lost(f"a file, {name}")
            return Paragraph((Text(f"(table attached: {name})"),))
        drawn = draw(table)
        width = max(map(_width, drawn.split("\n")))
        code = self._native(Format.CODE_BLOCK) and not self._in_lines
        if code and width <= TABLE_WIDTH_MAX:
            self._table_lost("aligned text")
            return CodeBlock(drawn)
        self._table_lost("one line for each row")
        return _paragraph(table_lines(Table(header, rows)))

    def _table_lost(self, after: str) -> None:
        self._lost("FMT-8", "a table", after, Level.FUNCTION)

    def _attach(self, table: Table) -> str:
        number = len(self.result.files) + 1
        name = "table.csv" if number == 1 else f"table-{number}.csv"
        file = TextFile(name=name, content_type="text/csv", text=to_csv(table))
        self.result.files.append(file)
        return name

    # ---- inlines

    def inlines(self, children: Iterable[Inline]) -> tuple[Inline, ...]:
        return tuple(new for child in children for new in self._inline(child))

    def _inline(self, child: Inline) -> Iterator[Inline]:
        match child:
            case Text():
                yield child
            case Code(text=text):
                if self._native(Format.INLINE_CODE):
                    yield child
                else:
                    self._lost("FMT-4", "code")
                    yield Text(text)
            case Mention():
                yield self._mention(child)
            case Link():
                yield from self._link(child)
            case Strike(children=children):
                yield from self._strike(self.inlines(children))
            case Spoiler(children=children, reason=reason):
                yield from self._spoiler(self.inlines(children), reason)
            case Strong() | Emphasis() | Underline():
                inner = self.inlines(child.children)
                mark = _MARKS[type(child)]
                if self._native(mark):
                    yield replace(child, children=inner)
                else:
                    self._lost("FMT-2", mark.value)
                    yield from inner

    def _mention(self, mention: Mention) -> Inline:
        native = self._mentions.get(mention.uri)
        if native is None:
            why = Why.TARGET_NOT_THERE
        elif self._formats.get(Format.MENTION, Support.FALLBACK) >= Support.PARTIAL:
            return Mention(mention.name, native)
        else:
            why = Why.FEATURE_MISSING
        self._lost("MEN-2", "a mention", "text", Level.FUNCTION, why)
        return Text(f"@{mention.name}")

    def _link(self, link: Link) -> Iterator[Inline]:
        inner = self.inlines(link.children)
        bare = inner == (Text(link.url),)
        is_safe = not (_UNSAFE.match(link.url) or misleads(flat(inner), link.url))
        if self._native(Format.LINK_TEXT) and is_safe:
            yield replace(link, children=inner)
        elif bare:
            yield Text(link.url)
        else:
            self._lost("FMT-6", "a link")
            yield from inner
            yield Text(f" ({link.url})")

    def _strike(self, inner: tuple[Inline, ...]) -> Iterator[Inline]:
        if self._native(Format.STRIKE):
            yield Strike(inner)
            return
        self._lost("FMT-3", "strike")
        yield Text("~")
        yield from inner
        yield Text("~")

    def _spoiler(self, inner: tuple[Inline, ...], reason: str) -> Iterator[Inline]:
        if self._native(Format.SPOILER):
            yield Spoiler(inner, reason)
            return
        self._lost("FMT-7", "a spoiler", "text below", Level.FUNCTION)
        note = f"{SPOILER_NOTE} ({reason})" if reason else SPOILER_NOTE
        yield Text(note + SPOILER_GAP)
        yield from inner

    # ---- the report

    def _native(self, wanted: Format) -> bool:
        return self._formats.get(wanted, Support.FALLBACK) >= Support.FULL

    def _lost(
        self,
        rule: str,
        before: str,
        after: str = "text",
        level: Level = Level.FORM,
        why: Why = Why.FEATURE_MISSING,
    ) -> None:
        self.result.items.append(
            LossItem(
                rule=rule,
                level=level,
                back=WayBack.STORE,
                why=why,
                before=before,
                after=after,
            )
        )


def _paragraph(rows: Iterable[Line]) -> Paragraph:
    run: list[Inline] = []
    for number, line in enumerate(rows):
        if number:
            run.append(Text("\n"))
        run += line
    return Paragraph(tuple(run))


# ---- tables as text


def draw(table: Table) -> str:
    """Return a table as aligned columns (FMT-8)."""
    rows = [_plain_row(table.header), *map(_plain_row, table.rows)]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    drawn = [
        " | ".join(
            _padded(cell, width) for cell, width in zip(row, widths, strict=True)
        )
        for row in rows
    ]
    drawn.insert(1, "-+-".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in drawn)


def to_csv(table: Table) -> str:
    """Return a table as CSV (RFC 4180)."""
    rows = [table.header, *table.rows]
    return "".join(",".join(map(_csv_cell, row)) + "\r\n" for row in rows)


def _csv_cell(cell: Line) -> str:
    text = flat(cell)
    if any(char in text for char in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _plain_row(row: Sequence[Line]) -> list[str]:
    return [" ".join(flat(line) for line in split_lines(cell)) for cell in row]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(text: str) -> int:
    """Return the columns a text takes in a fixed-width font."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(char) or unicodedata.category(char) == "Cf"
        else 2
        if unicodedata.east_asian_width(char) in _WIDE
        else 1
        for char in text
    )

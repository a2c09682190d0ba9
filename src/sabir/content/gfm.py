"""GFM-MIMI: formatted text as it is kept in the room (MIMI.md 5.8).

GitHub Flavored Markdown 0.29 with tables and strikethrough, without HTML and
without automatic links. Law: `read(write(rich)) == normalise(rich)`.

What GFM has no form for:

 * Underline is `++text++`, a spoiler is `||text||`: a reader without Sabir sees
   these characters, so no meaning is merged into another mark. A spoiler's reason
   stands as inline code in front of its text: ``||`spoiler: reason` text||``.
 * A mention is `[@name](uri)`; `read` turns it back unless the target is of the web.
 * A newline inside a text is a hard break.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sabir.content.gfm_inline import write_inlines
from sabir.content.gfm_marks import marks
from sabir.content.normal import LIST_START_MAX, normalise
from sabir.content.rich import (
    Block,
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Inline,
    Link,
    ListBlock,
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

NESTING_MAX: Final = 100
"""Levels of blocks the parser follows; a text with more is shown as it is written."""
BRACKETS_MAX: Final = 10_000
"""Possible starts of links. Each costs the parser some 40 microseconds (measured), a
hostile 512 KiB of them 20 s; a text with more is shown as it is written."""
FENCE_MIN: Final = 3


# ---- writing


def write(rich: Rich) -> str:
    """Return `rich` as GFM-MIMI."""
    return "\n".join(_lines(normalise(rich).blocks, bullet="-"))


def _lines(blocks: Sequence[Block], *, bullet: str) -> list[str]:
    lines: list[str] = []
    previous: Block | None = None
    odd = False
    for block in blocks:
        odd = _continues(previous, block) and not odd
        if previous is not None:
            lines.append("")
        lines += _block(block, bullet=bullet, odd=odd)
        previous = block
    return lines


def _continues(previous: Block | None, block: Block) -> bool:
    """Tell whether two lists would run into one, but for another marker."""
    return (
        isinstance(previous, ListBlock)
        and isinstance(block, ListBlock)
        and previous.ordered == block.ordered
    )


def _block(block: Block, *, bullet: str, odd: bool) -> list[str]:
    match block:
        case Paragraph(children=children):
            return write_inlines(children).split("\n")
        case Heading(level=level, children=children):
            return ["#" * level + " " + write_inlines(children, single_line=True)]
        case CodeBlock():
            return _fenced(block)
        case Quote(children=inner):
            inside = _lines(inner, bullet=bullet)
            return [f"> {line}" if line else ">" for line in inside]
        case ListBlock():
            return _list(block, bullet=_other(bullet) if odd else bullet, odd=odd)
        case Table(header=header, rows=rows):
            return [_row(header), "|" + " --- |" * len(header), *map(_row, rows)]
        case Rule():
            return ["***"]


def _other(bullet: str) -> str:
    return "+" if bullet == "-" else "-"


def _fenced(block: CodeBlock) -> list[str]:
    fence = "`" * FENCE_MIN
    while fence in block.text:
        fence += "`"
    return [fence + block.language, *block.text.split("\n"), fence]


def _list(block: ListBlock, *, bullet: str, odd: bool) -> list[str]:
    lines: list[str] = []
    for index, item in enumerate(block.items):
        number = min(block.start + index, LIST_START_MAX)
        marker = f"{number}{')' if odd else '.'}" if block.ordered else bullet
        # An inner list starts on the same line, so it needs another bullet:
        # "- - -" would be a horizontal line.
        inner = _lines(item, bullet=_other(bullet)) or [""]
        indent = " " * (len(marker) + 1)
        lines.append(f"{marker} {inner[0]}" if inner[0] else marker)
        lines += [indent + line if line else "" for line in inner[1:]]
    return lines


def _row(cells: Sequence[tuple[Inline, ...]]) -> str:
    written = (write_inlines(cell, single_line=True) for cell in cells)
    return "|" + "".join(f" {cell.replace('|', chr(92) + '|')} |" for cell in written)


# ---- reading


class _Parser(MarkdownIt):
    """Keeps links as they are: they go into a tree, not into HTML.

    Which targets may be followed is decided where a link is shown (`formatting`).
    """

    def validateLink(self, url: str) -> bool:  # noqa: N802  their name
        del url
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802  their name
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802  their name
        return link


def _parser() -> MarkdownIt:
    md = _Parser(
        "gfm-like",
        {"html": False, "linkify": False, "maxNesting": NESTING_MAX},
    )
    md.disable(["linkify", "html_block", "html_inline", "reference"])
    return md.use(marks)


_MD: Final = _parser()


def read(text: str) -> Rich:
    """Return what a GFM-MIMI text means, in normal form. HTML tags are text."""
    if text.count("[") - text.count("\\[") > BRACKETS_MAX:
        return normalise(Rich.plain(text))
    tokens = _MD.parse(text)
    if any(token.level >= NESTING_MAX - 1 for token in tokens):
        return normalise(Rich.plain(text))
    return normalise(Rich(_Reader(tokens).blocks()))


class _Reader:
    """Walks the flat token list once."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = iter(tokens)

    def blocks(self) -> tuple[Block, ...]:
        """Return the blocks up to the end of the enclosing one."""
        return tuple(self._until_close())

    def _until_close(self) -> Iterator[Block]:
        for token in self._tokens:
            if token.nesting < 0:
                return
            yield self._block(token)

    def _block(self, token: Token) -> Block:
        match token.type:
            case "paragraph_open":
                return Paragraph(self._inline())
            case "heading_open":
                return Heading(int(token.tag[1:]), self._inline())
            case "fence":
                info = token.info.split(maxsplit=1)
                text = token.content.removesuffix("\n")
                return CodeBlock(text, info[0] if info else "")
            case "code_block":
                return CodeBlock(token.content.removesuffix("\n"))
            case "blockquote_open":
                return Quote(self.blocks())
            case "bullet_list_open":
                return ListBlock(self._items())
            case "ordered_list_open":
                return ListBlock(self._items(), True, int(token.attrs.get("start", 1)))
            case "table_open":
                return self._table()
            case _:
                return Rule()

    def _inline(self) -> tuple[Inline, ...]:
        content = next(self._tokens)
        next(self._tokens)
        return _inlines(content.children or ())

    def _items(self) -> tuple[tuple[Block, ...], ...]:
        items: list[tuple[Block, ...]] = []
        for token in self._tokens:
            if token.nesting < 0:
                break
            items.append(self.blocks())
        return tuple(items)

    def _table(self) -> Table:
        rows: list[list[tuple[Inline, ...]]] = []
        for token in self._tokens:
            match token.type:
                case "tr_open":
                    rows.append([])
                case "inline":
                    rows[-1].append(_inlines(token.children or ()))
                case "table_close":
                    break
                case _:
                    continue
        header, *body = (tuple(row) for row in rows)
        return Table(header, tuple(body))


_OPENERS: Final[Mapping[str, Callable[[tuple[Inline, ...]], Inline]]] = {
    "strong_open": Strong,
    "em_open": Emphasis,
    "s_open": Strike,
    "underline_open": Underline,
    "spoiler_open": Spoiler,
}


def _inlines(tokens: Sequence[Token]) -> tuple[Inline, ...]:
    """Build a run of inlines; a mark inside its own kind is ignored at once.

    So the tree is never deeper than there are kinds, whatever a peer sends.
    """
    stack: list[tuple[Token | None, list[Inline]]] = [(None, [])]
    open_types: list[str] = []
    for token in tokens:
        run = stack[-1][1]
        if token.nesting > 0:
            if token.type in open_types:
                open_types.append("")
                continue
            open_types.append(token.type)
            stack.append((token, []))
        elif token.nesting < 0:
            if open_types.pop() == "":
                continue
            opener, inner = stack.pop()
            assert opener is not None
            stack[-1][1].append(_closed(opener, tuple(inner)))
        else:
            run.append(_leaf(token))
    return tuple(stack[0][1])


def _closed(opener: Token, inner: tuple[Inline, ...]) -> Inline:
    if opener.type == "link_open":
        return Link(inner, str(opener.attrs.get("href", "")))
    return _OPENERS[opener.type](inner)


def _leaf(token: Token) -> Inline:
    match token.type:
        case "code_inline":
            return Code(token.content)
        case "softbreak" | "hardbreak":
            return Text("\n")
        case "image":
            label = token.content or str(token.attrs.get("src", ""))
            return Link((Text(label),), str(token.attrs.get("src", "")))
        case _:
            return Text(token.content)

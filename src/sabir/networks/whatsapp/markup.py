"""Formatted text to and from WhatsApp's marks. Pure.

* `*bold*`, `_italic_`, `~strike~`, `` `code` ``, ```` ``` ```` blocks, `> quote`,
  `* ` or `- ` and `1. ` lists; no underline, no spoiler, no text for a link.
* A span opens where no letter or digit is before it, touches its text, and never
  crosses a line.
* There is no escape. Marks that are meant literally get U+200B after them, only
  where the text would otherwise read differently, and `lost` says so. U+200B also
  stands between a span and a letter that touches it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from sabir.content.normal import normalise
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

SPACER: Final = "\u200b"
"""ZERO WIDTH SPACE after a literal mark; that apps heed it is not verified."""
DEPTH_MAX: Final = 8
"""Quotes and spans inside each other; deeper is read as plain text (our choice)."""
SPOILER_LINES: Final = 20
"""Empty lines before a spoiler, so that a preview does not show it (FMT-7)."""

_FENCE: Final = "```"
_MARKS: Final = "*_~`"
_SPANS: Final[dict[str, Callable[[tuple[Inline, ...]], Inline]]] = {
    "*": Strong,
    "_": Emphasis,
    "~": Strike,
}
_CLOSERS: Final = frozenset(_MARKS)
_BULLET: Final = re.compile(r"[*-] (?=\S)")
_NUMBER: Final = re.compile(r"([0-9]{1,3})\. (?=\S)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A text as WhatsApp takes it."""

    text: str
    lost: tuple[str, ...] = ()


# ---- reading


def read(text: str) -> Rich:
    """Return the tree of a text with marks."""
    return Rich(tuple(_blocks_of(text.split("\n"), depth=0))) if text else Rich(())


def _blocks_of(lines: Sequence[str], *, depth: int) -> Iterable[Block]:
    at, plain_from = 0, 0
    while at < len(lines):
        end = _block_end(lines, at, depth=depth)
        if end == at:
            at += 1
            continue
        yield from _paragraph(lines[plain_from:at])
        yield _read_block(lines[at:end], depth=depth)
        at = plain_from = end
    yield from _paragraph(lines[plain_from:])


def _block_end(lines: Sequence[str], at: int, *, depth: int) -> int:
    """Return the line after the block that starts at `at`; `at` if none starts."""
    line = lines[at]
    if line.startswith(_FENCE):
        return _fence_end(lines, at)
    if line.startswith("> ") and depth < DEPTH_MAX:
        return _run_end(lines, at, lambda each: each.startswith("> "))
    if _BULLET.match(line):
        return _run_end(lines, at, lambda each: _BULLET.match(each) is not None)
    if _NUMBER.match(line):
        return _numbered_end(lines, at)
    return at


def _run_end(lines: Sequence[str], at: int, belongs: Callable[[str], bool]) -> int:
    end = at
    while end < len(lines) and belongs(lines[end]):
        end += 1
    return end


def _fence_end(lines: Sequence[str], at: int) -> int:
    """Return the line after a block in fences; without a second fence there is none."""
    first = lines[at][len(_FENCE) :]
    if first.endswith(_FENCE) and first[: -len(_FENCE)].strip():
        return at + 1
    for end in range(at + 1, len(lines)):
        if lines[end].endswith(_FENCE):
            return end + 1
    return at


def _numbered_end(lines: Sequence[str], at: int) -> int:
    """Return the end of a list whose numbers follow each other."""
    end, expected = at, None
    while end < len(lines) and (found := _NUMBER.match(lines[end])) is not None:
        number = int(found[1])
        is_next = expected is None or number == expected
        if not is_next or found[1] != str(number):
            break  # another list; or `01. `, which could not be written again
        expected = number + 1
        end += 1
    return end


def _read_block(lines: Sequence[str], *, depth: int) -> Block:
    first = lines[0]
    if first.startswith(_FENCE):
        inside = "\n".join(lines)[len(_FENCE) : -len(_FENCE)]
        return CodeBlock(inside.removeprefix("\n").removesuffix("\n"))
    if first.startswith("> "):
        return Quote(tuple(_blocks_of([line[2:] for line in lines], depth=depth + 1)))
    number = _NUMBER.match(first)
    pattern = _BULLET if number is None else _NUMBER
    items = tuple(tuple(_paragraph([pattern.sub("", line, 1)])) for line in lines)
    if number is None:
        return ListBlock(items)
    return ListBlock(items, ordered=True, start=int(number[1]))


def _paragraph(lines: Sequence[str]) -> Iterable[Paragraph]:
    if not lines:
        return
    inlines: list[Inline] = []
    for number, line in enumerate(lines):
        if number:
            inlines.append(Text("\n"))
        inlines.extend(_line_of(line, depth=0, outer=""))
    yield Paragraph(tuple(_merged(inlines)))


def _line_of(line: str, *, depth: int, outer: str) -> Iterable[Inline]:
    at, plain_from = 0, 0
    while at < len(line):
        end = _span_end(line, at, outer=outer) if depth < DEPTH_MAX else -1
        if end < 0:
            at += 1
            continue
        if at > plain_from:
            yield Text(line[plain_from:at])
        width = len(_FENCE) if line.startswith(_FENCE, at) else 1
        inside, mark = line[at + width : end], line[at]
        if mark == "`":
            yield Code(inside)
        else:
            children = _line_of(inside, depth=depth + 1, outer=outer + mark)
            yield _SPANS[mark](tuple(_merged(children)))
        at = plain_from = end + width
    if plain_from < len(line):
        yield Text(line[plain_from:])


def _span_end(line: str, at: int, *, outer: str) -> int:
    """Return where the span that opens at `at` closes, -1 if none opens there."""
    mark = line[at]
    if mark not in _MARKS or mark in outer:
        return -1
    if line.startswith(_FENCE, at):
        end = line.find(_FENCE, at + len(_FENCE))
        return end if line[at + len(_FENCE) : max(end, 0)].strip() else -1
    if at and line[at - 1].isalnum():
        return -1
    if not _touches(line, at + 1) or line[at + 1] == mark:
        return -1
    end = line.find(mark, at + 2)
    while end > 0 and not _closes(line, end):
        end = line.find(mark, end + 1)
    return end


def _touches(line: str, at: int) -> bool:
    return 0 <= at < len(line) and not line[at].isspace() and line[at] != SPACER


def _closes(line: str, end: int) -> bool:
    return _touches(line, end - 1) and not line[end + 1 : end + 2].isalnum()


def _merged(inlines: Iterable[Inline]) -> Iterable[Inline]:
    """Join neighbouring texts."""
    held = ""
    for inline in inlines:
        if isinstance(inline, Text):
            held += inline.text
            continue
        if held:
            yield Text(held)
            held = ""
        yield inline
    if held:
        yield Text(held)


# ---- writing


@dataclass(slots=True)
class _Pen:
    """How the text is being written, and what was lost on the way."""

    spacers: bool
    lost: dict[str, None] = field(default_factory=dict)


def write(rich: Rich) -> Marked:
    """Return a text that reads as the tree does, as far as the marks go."""
    rich = normalise(rich)
    pen = _Pen(spacers=False)
    text = _blocks(rich.blocks, pen)
    if _reads_as(text, rich):
        return Marked(text=text, lost=tuple(pen.lost))
    pen = _Pen(spacers=True)
    spaced = _blocks(rich.blocks, pen)
    if spaced != text:
        pen.lost["marks that are meant literally"] = None
    return Marked(text=spaced, lost=tuple(pen.lost))


def _reads_as(text: str, rich: Rich) -> bool:
    """Tell whether a text would be read with the same spans as this tree.

    Only spans count: who types `- a` or `> a` means a list or a quote.
    """
    return list(_spans(normalise(read(text)).blocks)) == list(_spans(rich.blocks))


def _spans(node: object, outer: str = "") -> Iterable[str]:
    """Walk a tree; name every span that WhatsApp can show, with its text."""
    match node:
        case tuple():
            for inner in node:
                yield from _spans(inner, outer)
        case Text(text=text) | Mention(name=text) if outer:
            yield f"{outer} {text.strip()}"
        case Code(text=text):
            yield f"{outer}` {text}"
        case CodeBlock(text=text):
            yield f"{_FENCE} {text}"
        case Strong() | Emphasis() | Strike() | Heading():
            yield from _spans(node.children, outer + type(node).__name__)
        case _:
            for name in ("children", "items", "header", "rows"):
                yield from _spans(getattr(node, name, ()), outer)


def write_plain(rich: Rich) -> str:
    """Return the text without marks of its own, where marks would be too long."""
    return _blocks(normalise(rich).blocks, _Pen(spacers=False))


def _blocks(blocks: Sequence[Block], pen: _Pen) -> str:
    out = ""
    for number, block in enumerate(blocks):
        if number:
            before = blocks[number - 1]
            both = isinstance(block, Paragraph) and isinstance(before, Paragraph)
            same = isinstance(block, Quote | ListBlock) and type(before) is type(block)
            out += "\n\n" if both or same else "\n"
        out += _block(block, pen)
    return out


def _block(block: Block, pen: _Pen) -> str:
    match block:
        case Paragraph(children=children):
            return _inlines(children, pen)
        case CodeBlock():
            return _code_block(block, pen)
        case Quote(children=children):
            lines = _blocks(children, pen).split("\n")
            return "\n".join(f"> {line}" for line in lines)
        case ListBlock():
            return _list(block, pen)
        case Heading(children=children):
            pen.lost["heading"] = None
            return _inlines((Strong(children),), pen)
        case Table():
            return _table(block, pen)
        case Rule():
            return "———"
        case _:
            assert_never(block)


def _code_block(block: CodeBlock, pen: _Pen) -> str:
    inside = block.text
    if _FENCE in inside:
        pen.lost["fence inside a code block"] = None
        inside = inside.replace(_FENCE, SPACER.join(_FENCE))
    if block.language:
        pen.lost["language of a code block"] = None
    return f"{_FENCE}\n{inside}\n{_FENCE}"


def _list(block: ListBlock, pen: _Pen) -> str:
    lines = []
    for number, item in enumerate(block.items, block.start):
        bullet = f"{number}. " if block.ordered else "- "
        first, *rest = _blocks(item, pen).split("\n")
        if rest:
            pen.lost["lines inside a list item"] = None
        lines.append(bullet + first)
        lines += ["  " + line for line in rest]
    return "\n".join(lines)


def _table(block: Table, pen: _Pen) -> str:
    pen.lost["table"] = None
    heads = [_inlines(cell, pen) for cell in block.header]
    lines = []
    for row in block.rows:
        cells = [_inlines(cell, pen) for cell in row]
        named = zip(heads, cells, strict=False)
        lines.append(
            ", ".join(f"{head}: {cell}" if head else cell for head, cell in named)
        )
    return "\n".join(lines) or ", ".join(heads)


def _inlines(children: Sequence[Inline], pen: _Pen, before: str = "\n") -> str:
    """Write a run; `before` is the character in front of it."""
    out = ""
    for inline in children:
        written = _inline(inline, pen, (before + out)[-1])
        if out[-1:] in _CLOSERS and written[:1].isalnum():
            written = SPACER + written  # else the span before would not end here
        out += written
    return out


def _inline(inline: Inline, pen: _Pen, before: str) -> str:
    match inline:
        case Text(text=text):
            return _literal(text, pen)
        case Mention(name=name):
            return _literal(name, pen)
        case Strong(children=children):
            return _span("*", "bold", children, pen, before)
        case Emphasis(children=children):
            return _span("_", "italic", children, pen, before)
        case Strike(children=children):
            return _span("~", "strike", children, pen, before)
        case Underline(children=children):
            pen.lost["underline"] = None
            return _inlines(children, pen, before)
        case Code(text=text):
            return _code(text, pen, before)
        case Link(children=children, url=url):
            label = _inlines(children, pen, before)
            if label in ("", url, url.removeprefix("mailto:")):
                return url
            pen.lost["link text"] = None
            return f"{label} ({url})"
        case Spoiler(children=children, reason=reason):
            pen.lost["spoiler"] = None
            head = f"Spoiler below: {reason}" if reason else "Spoiler below"
            return f"{head}{chr(10) * SPOILER_LINES}{_inlines(children, pen)}"
        case _:
            assert_never(inline)


def _literal(text: str, pen: _Pen) -> str:
    """Write literal text; with spacers no mark in it can open or close."""
    if not pen.spacers:
        return text
    return "".join(letter + SPACER if letter in _MARKS else letter for letter in text)


def _span(
    mark: str, name: str, children: Sequence[Inline], pen: _Pen, before: str
) -> str:
    """Wrap every line of a span in its mark, or write it bare and say so."""
    lines = _inlines(children, pen).split("\n")
    marked = [
        _marked(mark, line, before if number == 0 else "\n")
        for number, line in enumerate(lines)
    ]
    if any(line is None for line in marked):
        pen.lost[f"{name} that cannot be marked"] = None
        bare = _inlines(children, pen, before)
        return f"~{bare}~" if mark == "~" and bare else bare
    return "\n".join(line for line in marked if line is not None)


def _marked(mark: str, line: str, before: str) -> str | None:
    """Return one line in marks, spaces outside; None if it would not be read so."""
    inside = line.strip()
    if not inside:
        return line
    lead = line[: len(line) - len(line.lstrip())]
    tail = line[len(line.rstrip()) :]
    if mark in inside or SPACER in (inside[0], inside[-1]):
        return None
    apart = SPACER if not lead and before.isalnum() else ""
    return f"{apart}{lead}{mark}{inside}{mark}{tail}"


def _code(text: str, pen: _Pen, before: str) -> str:
    fits = (
        text
        and "`" not in text
        and "\n" not in text
        and not text[0].isspace()
        and not text[-1].isspace()
    )
    if not fits:
        pen.lost["code that cannot be marked"] = None
        return _literal(text, pen)
    return f"{SPACER if before.isalnum() else ''}`{text}`"

"""Formatted text to and from XEP-0393, Message Styling. Pure.

* `*strong*`, `_emphasis_`, `~strike~`, `` `code` ``, ```` ``` ```` blocks, `> quote`.
* A span opens at a line's start, after white space, or right after another
  opening mark; it never crosses a line; marks touch their text.
* What styling cannot say is written readably, and named in `lost`.
* Marks that are meant literally: the whole message is `unstyled` if nothing in
  it is styled, else U+2060 WORD JOINER stands before them (FMT-11).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

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

JOINER: Final = "\u2060"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Styled:
    """A body and how it must be shown."""

    text: str
    unstyled: bool = False
    """Marks in the text are literal: add `<unstyled/>`."""
    lost: tuple[str, ...] = ()


# ---- reading


def read(text: str) -> Rich:
    """Return the tree of a styled body."""
    return Rich(tuple(_read_blocks(text.split("\n"), depth=0))) if text else Rich(())


def _read_blocks(lines: Sequence[str], *, depth: int) -> Iterable[Block]:
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
    if lines[at].startswith(_FENCE):
        end = at + 1
        while end < len(lines) and lines[end] != _FENCE:
            end += 1
        return min(end + 1, len(lines))
    if lines[at].startswith(">") and depth < DEPTH_MAX:
        end = at
        while end < len(lines) and lines[end].startswith(">"):
            end += 1
        return end
    return at


def _read_block(lines: Sequence[str], *, depth: int) -> Block:
    if lines[0].startswith(_FENCE):
        closed = len(lines) > 1 and lines[-1] == _FENCE
        inside = lines[1:-1] if closed else lines[1:]
        return CodeBlock("\n".join(inside), lines[0][len(_FENCE) :].strip())
    inside = [line[1:].removeprefix(" ") for line in lines]
    return Quote(tuple(_read_blocks(inside, depth=depth + 1)))


def _paragraph(lines: Sequence[str]) -> Iterable[Paragraph]:
    if not lines:
        return
    inlines: list[Inline] = []
    for number, line in enumerate(lines):
        if number:
            inlines.append(Text("\n"))
        inlines.extend(_read_line(line, depth=0, outer=""))
    yield Paragraph(tuple(_merged(inlines)))


def _read_line(line: str, *, depth: int, outer: str) -> Iterable[Inline]:
    at, plain_from = 0, 0
    while at < len(line):
        end = _span_end(line, at, outer=outer) if depth < DEPTH_MAX else -1
        if end < 0:
            at += 1
            continue
        if at > plain_from:
            yield Text(line[plain_from:at])
        inside, mark = line[at + 1 : end], line[at]
        if mark == "`":
            yield Code(inside)
        else:
            children = _read_line(inside, depth=depth + 1, outer=mark)
            yield _SPANS[mark](tuple(_merged(children)))
        at = plain_from = end + 1
    if plain_from < len(line):
        yield Text(line[plain_from:])


def _span_end(line: str, at: int, *, outer: str) -> int:
    """Return where the span that opens at `at` closes, -1 if none opens there."""
    mark = line[at]
    if mark not in _MARKS or mark == outer:
        return -1
    if at and not line[at - 1].isspace():
        return -1
    if at + 1 >= len(line) or line[at + 1].isspace():
        return -1
    end = line.find(mark, at + 2)
    while end > 0 and line[end - 1].isspace():
        end = line.find(mark, end + 1)
    return end


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

    joiners: bool
    lost: dict[str, None] = field(default_factory=dict)
    spans: int = 0


def write(rich: Rich) -> Styled:
    """Return a body that reads as the tree does, as far as styling goes."""
    pen = _Pen(joiners=False)
    text = _blocks(rich.blocks, pen)
    if not pen.spans:
        literal = read(text)
        return Styled(text=text, unstyled=not literal.is_plain, lost=tuple(pen.lost))
    pen = _Pen(joiners=True)
    return Styled(text=_blocks(rich.blocks, pen), lost=tuple(pen.lost))


def _blocks(blocks: Sequence[Block], pen: _Pen) -> str:
    out = ""
    for number, block in enumerate(blocks):
        if number:
            both = isinstance(block, Paragraph) and isinstance(
                blocks[number - 1], Paragraph
            )
            out += "\n\n" if both else "\n"
        out += _block(block, pen)
    return out


def _block(block: Block, pen: _Pen) -> str:
    match block:
        case Paragraph(children=children):
            return _line_starts(_inlines(children, pen), pen)
        case CodeBlock():
            return _code_block(block, pen)
        case Quote(children=children):
            pen.spans += 1
            return "\n".join(
                f"> {line}" if line else ">"
                for line in _blocks(children, pen).split("\n")
            )
        case ListBlock():
            return _list(block, pen)
        case Heading(children=children):
            pen.lost["heading"] = None
            return _line_starts(_inlines(children, pen), pen)
        case Table():
            return _table(block, pen)
        case Rule():
            return "———"
        case _:
            assert_never(block)


def _line_starts(text: str, pen: _Pen) -> str:
    """Put U+2060 before a literal quote or fence mark at the start of a line."""
    if not pen.joiners:
        return text
    return "\n".join(
        JOINER + line if line.startswith((">", _FENCE)) else line
        for line in text.split("\n")
    )


def _code_block(block: CodeBlock, pen: _Pen) -> str:
    pen.spans += 1
    inside = block.text
    if any(line == _FENCE for line in inside.split("\n")):
        pen.lost["fence inside a code block"] = None
        inside = "\n".join(
            JOINER + line if line == _FENCE else line for line in inside.split("\n")
        )
    language = " ".join(block.language.split())
    return f"{_FENCE}{language}\n{inside}\n{_FENCE}"


def _list(block: ListBlock, pen: _Pen) -> str:
    pen.lost["list"] = None
    lines = []
    for number, item in enumerate(block.items, block.start):
        bullet = f"{number}. " if block.ordered else "- "
        first, *rest = _blocks(item, pen).split("\n")
        lines.append(bullet + first)
        lines += [" " * len(bullet) + line for line in rest]
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
        out += _inline(inline, pen, (before + out)[-1])
    return out


def _inline(inline: Inline, pen: _Pen, before: str) -> str:
    match inline:
        case Text(text=text):
            return _literal(text, before, pen)
        case Mention(name=name):
            return _literal(name, before, pen)
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
            if label in ("", url):
                return url
            pen.lost["link text"] = None
            return f"{label} ({url})"
        case Spoiler(children=children, reason=reason):
            pen.lost["spoiler"] = None
            head = f"Spoiler below: {reason}" if reason else "Spoiler below"
            return f"{head}{chr(10) * SPOILER_LINES}{_inlines(children, pen)}"
        case _:
            assert_never(inline)


def _literal(text: str, before: str, pen: _Pen) -> str:
    """Write literal text; where styling is in force, keep its marks from opening."""
    if not pen.joiners:
        return text
    out = ""
    for letter in text:
        last = (before + out)[-1]
        if letter in _MARKS and last.isspace():
            out += JOINER
        out += letter
    return out


def _span(
    mark: str, name: str, children: Sequence[Inline], pen: _Pen, before: str
) -> str:
    """Wrap every line of a span in its mark, or write it bare and say so."""
    # inside a span its start counts as a line's start: another span may open there
    lines = _inlines(children, pen).split("\n")
    marked = [
        _marked(mark, line, before if number == 0 else "\n")
        for number, line in enumerate(lines)
    ]
    if any(line is None for line in marked):
        pen.lost[f"{name} that styling cannot mark"] = None
        bare = _inlines(children, pen, before)
        return f"~{bare}~" if mark == "~" and bare else bare
    pen.spans += 1
    return "\n".join(line for line in marked if line is not None)


def _marked(mark: str, line: str, before: str) -> str | None:
    """Return one line in marks, spaces outside; None if it would not be read so."""
    inside = line.strip()
    if not inside:
        return line
    lead = line[: len(line) - len(line.lstrip())]
    tail = line[len(line.rstrip()) :]
    last = lead[-1] if lead else before
    if mark in inside or not last.isspace():
        return None
    return f"{lead}{mark}{inside}{mark}{tail}"


def _code(text: str, pen: _Pen, before: str) -> str:
    fits = (
        text
        and "`" not in text
        and "\n" not in text
        and before.isspace()
        and not text[0].isspace()
        and not text[-1].isspace()
    )
    if not fits:
        pen.lost["code that styling cannot mark"] = None
        return _literal(text, before, pen)
    pen.spans += 1
    return f"`{text}`"

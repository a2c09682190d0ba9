"""The normal form of formatted text: what two trees that read the same have in common.

Rules:
 * Control characters (C0 but newline and tab, DEL, C1), lone surrogates and
   noncharacters are gone; every line break is one newline.
 * Neighbouring texts, codes and marks of the same kind are one; empty ones are gone.
 * A mark inside a mark of its own kind is gone: bold in bold is bold. A link or a
   mention inside a link is its text.
 * A link whose text starts with `@` and whose target is not of the web is a mention.
 * Inline code holds no newline (GFM cannot write one) and more than spaces; a table
   is rectangular.
 * Blocks nest at most `NESTING_MAX` deep; deeper ones give up their frame.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, TypeAlias

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

NESTING_MAX: Final = 16
"""Quotes and lists inside each other; nobody reads deeper ones (our choice)."""
LIST_START_MAX: Final = 999_999_999
"""CommonMark: a list number has at most nine digits."""
HEADING_LEVEL_MAX: Final = 6
REASON: Final = "spoiler: "
"""Start of the inline code that carries a spoiler's reason in GFM-MIMI."""

Mark: TypeAlias = Strong | Emphasis | Strike | Underline | Spoiler

_PLANES: Final = "".join(
    f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17)
)
_CONTROL: Final = re.compile(
    f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_PLANES}]"
)
_BREAK: Final = re.compile("\r\n?")
_LANGUAGE: Final = re.compile(r"[A-Za-z0-9_+#.-]{0,32}")
_WEB: Final = re.compile(
    r"(?:https?|ftp|mailto|tel|sms|geo|data|cid|javascript|vbscript|file):",
    re.IGNORECASE,
)

_PART: Final = re.compile(r"cid:\d+@local\.invalid", re.IGNORECASE)


def clean(text: str) -> str:
    """Return `text` without control characters and with newlines as line breaks."""
    if _CONTROL.search(text) is None:
        return text
    return _CONTROL.sub("", _BREAK.sub("\n", text))


def names_a_person(uri: str) -> bool:
    """Tell whether a link with an `@name` to this target is a mention."""
    return bool(uri) and _WEB.match(uri) is None


def normalise(rich: Rich) -> Rich:
    """Return the normal form; the same object's equal if it is normal already."""
    return Rich(_blocks(rich.blocks, NESTING_MAX))


def inlines(children: Iterable[Inline]) -> tuple[Inline, ...]:
    """Return the normal form of a run of inlines."""
    return _inlines(children, frozenset())


# ---- inlines


def _inlines(
    children: Iterable[Inline], inside: frozenset[type[Inline]]
) -> tuple[Inline, ...]:
    run: list[Inline] = []
    for child in children:
        for normal in _inline(child, inside):
            _append(run, normal, inside)
    return tuple(run)


def _inline(child: Inline, inside: frozenset[type[Inline]]) -> Iterator[Inline]:
    match child:
        case Text(text=text):
            text = clean(text)
            if text:
                yield Text(text)
        case Code(text=text):
            text = clean(text).replace("\n", " ")
            if text.strip(" "):
                yield Code(text)
            elif text:
                yield Text(text)
        case Mention(name=name, uri=uri):
            yield from _mention(clean(name), _target(uri), inside)
        case Link(children=inner, url=url):
            yield from _link(inner, _target(url), inside)
        case _:
            kind = type(child)
            if kind in inside:
                yield from _inlines(child.children, inside)
                return
            inner = _inlines(child.children, inside | {kind})
            if inner:
                yield _marked(child, inner)


def _marked(mark: Mark, inner: tuple[Inline, ...]) -> Mark:
    if isinstance(mark, Spoiler):
        return _spoiler(inner, clean(mark.reason).replace("\n", " ").strip())
    return replace(mark, children=inner)


def _spoiler(inner: tuple[Inline, ...], reason: str) -> Spoiler:
    match inner:
        case (Code(text=code), Text(text=text), *rest) if (
            not reason
            and code.startswith(REASON)
            and text.startswith(" ")
            and (rest or text != " ")
        ):
            first = (Text(text[1:]),) if text != " " else ()
            return Spoiler((*first, *rest), code.removeprefix(REASON).strip())
        case _:
            return Spoiler(inner, reason)


def _mention(name: str, uri: str, inside: frozenset[type[Inline]]) -> Iterator[Inline]:
    if Link in inside or not uri:
        yield Text(f"@{name}")
    elif names_a_person(uri):
        yield Mention(name, uri)
    else:
        yield Link((Text(f"@{name}"),), uri)


def _link(
    children: tuple[Inline, ...], url: str, inside: frozenset[type[Inline]]
) -> Iterator[Inline]:
    if Link in inside:
        yield from _inlines(children, inside)
        return
    inner = _inlines(children, inside | {Link})
    if not url:
        yield from inner
        return
    if not inner:
        inner = (Text(url),)
    match inner:
        case (Text(text=text),) if text.startswith("@") and names_a_person(url):
            yield Mention(text[1:], url)
        case _:
            yield Link(inner, url)


def _target(url: str) -> str:
    """Return where a link goes; to a part of its own message it does not go anywhere.

    Such a part is shown beside the text (draft-ietf-mimi-content-09, `cid` references).
    """
    target = clean(url).replace("\n", "").strip()
    return "" if _PART.fullmatch(target) else target


def _append(run: list[Inline], new: Inline, inside: frozenset[type[Inline]]) -> None:
    last = run[-1] if run else None
    match last, new:
        case Text(text=before), Text(text=after):
            run[-1] = Text(before + after)
        case Code(text=before), Code(text=after):
            run[-1] = Code(before + after)
        case Spoiler() as one, Spoiler() as two:
            reason = "; ".join(dict.fromkeys(filter(None, (one.reason, two.reason))))
            joined = _inlines(one.children + two.children, inside | {Spoiler})
            run[-1] = _spoiler(joined, reason)
        case (
            (Strong() | Emphasis() | Strike() | Underline()) as left,
            (Strong() | Emphasis() | Strike() | Underline()) as right,
        ) if type(left) is type(right):
            joined = _inlines(left.children + right.children, inside | {type(left)})
            run[-1] = replace(left, children=joined)
        case _:
            run.append(new)


# ---- blocks


def _blocks(blocks: Iterable[Block], depth: int) -> tuple[Block, ...]:
    return tuple(normal for block in blocks for normal in _block(block, depth))


def _block(block: Block, depth: int) -> Iterator[Block]:
    match block:
        case Paragraph(children=children):
            inner = inlines(children)
            if inner:
                yield Paragraph(inner)
        case Heading(level=level, children=children):
            inner = inlines(children)
            if inner:
                yield Heading(min(max(level, 1), HEADING_LEVEL_MAX), inner)
        case CodeBlock(text=text, language=language):
            text = clean(text)
            if text:
                known = _LANGUAGE.fullmatch(language)
                yield CodeBlock(text, language if known else "")
        case Quote(children=children):
            yield from _frame(block, _blocks(children, max(depth - 1, 0)), depth)
        case ListBlock(items=items):
            yield from _list(block, items, depth)
        case Table(header=header, rows=rows):
            yield from _table(header, rows)
        case Rule():
            yield block


def _frame(quote: Quote, inner: tuple[Block, ...], depth: int) -> Iterator[Block]:
    if depth <= 0:
        yield from inner
    elif inner:
        yield replace(quote, children=inner)


def _list(
    block: ListBlock, items: tuple[tuple[Block, ...], ...], depth: int
) -> Iterator[Block]:
    normal = tuple(_blocks(item, max(depth - 1, 0)) for item in items)
    if depth <= 0:
        for item in normal:
            yield from item
    elif normal:
        fits = block.ordered and 0 <= block.start <= LIST_START_MAX
        yield ListBlock(normal, block.ordered, block.start if fits else 1)


def _table(
    header: tuple[tuple[Inline, ...], ...],
    rows: tuple[tuple[tuple[Inline, ...], ...], ...],
) -> Iterator[Block]:
    width = max(len(header), *(len(row) for row in rows), 0)
    if not width:
        return
    yield Table(_row(header, width), tuple(_row(row, width) for row in rows))


def _row(
    cells: tuple[tuple[Inline, ...], ...], width: int
) -> tuple[tuple[Inline, ...], ...]:
    normal = tuple(inlines(cell) for cell in cells)
    return normal + ((),) * (width - len(cells))

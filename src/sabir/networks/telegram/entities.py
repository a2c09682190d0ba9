"""Telegram's formatted text to the tree and back. Pure.

Telegram has a flat text and ranges over it ("MessageEntity" in the Bot API), in
UTF-16 code units. A range never splits a character here, whatever comes in.
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
    Quote,
    Rich,
    Spoiler,
    Strike,
    Strong,
    Text,
    Underline,
)
from sabir.networks.telegram.text import one_line, units

ENTITIES_MAX: Final = 100
"""Telegram ignores further ones (core.telegram.org/api/entities)."""
ENTITIES_READ_MAX: Final = 1_000
"""Far more than Telegram delivers."""

_MARKS: Final[Mapping[str, type[Strong | Emphasis | Underline | Strike]]] = {
    "bold": Strong,
    "italic": Emphasis,
    "underline": Underline,
    "strikethrough": Strike,
}
_MARK_TYPES: Final = {kind: name for name, kind in _MARKS.items()}
_QUOTES: Final = frozenset({"blockquote", "expandable_blockquote"})
_FRAMES: Final = (Quote, CodeBlock)
_CUSTOM: Final = "custom emoji, shown as ordinary ones"
_MANY: Final = "formatting beyond the hundredth mark"


@dataclass(frozen=True, slots=True)
class _Range:
    """A range in characters, with its entity."""

    start: int
    end: int
    kind: str
    entity: Mapping[str, Any]


# ---- reading


def read(text: str, entities: object) -> tuple[Rich, tuple[str, ...]]:
    """Return the tree of a text, and what it cannot express.

    Args:
        text: as Telegram gave it.
        entities: its `entities`; anything that is not a usable one is skipped.
    """
    ranges = list(_ranges(text, entities))
    lost = (_CUSTOM,) if any(r.kind == "custom_emoji" for r in ranges) else ()
    known = [r for r in ranges if _is_known(r)]
    if not known:
        return normalise(Rich.plain(text)), lost
    return normalise(Rich(tuple(_blocks(text, known)))), lost


def _ranges(text: str, entities: object) -> Iterator[_Range]:
    if not isinstance(entities, list):
        return
    starts = _unit_starts(text)
    for entity in entities[:ENTITIES_READ_MAX]:
        if not isinstance(entity, dict):
            continue
        offset, length = _count(entity, "offset"), _count(entity, "length")
        if offset is None or not length:
            continue
        start = bisect_left(starts, offset)
        if start < len(starts) and starts[start] > offset:
            start -= 1  # it begins inside a surrogate pair: take the whole character
        end = bisect_left(starts, offset + length)
        if start < end:
            yield _Range(start, min(end, len(text)), str(entity.get("type")), entity)


def _unit_starts(text: str) -> Sequence[int]:
    """Return where every character starts, in UTF-16 code units, and the end."""
    if text.isascii():
        return range(len(text) + 1)
    starts, at = [], 0
    for char in text:
        starts.append(at)
        at += 2 if char > "\uffff" else 1
    return [*starts, at]


def _count(entity: Mapping[str, Any], member: str) -> int | None:
    value = entity.get(member)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def _is_known(found: _Range) -> bool:
    if found.kind == "text_link":
        return isinstance(found.entity.get("url"), str)
    if found.kind == "text_mention":
        return _user_of(found.entity) is not None
    return found.kind in {*_MARKS, *_QUOTES, "spoiler", "code", "pre"}


def _user_of(entity: Mapping[str, Any]) -> int | None:
    user = entity.get("user")
    number = user.get("id") if isinstance(user, dict) else None
    is_id = isinstance(number, int) and not isinstance(number, bool) and number > 0
    return number if is_id else None


def _blocks(text: str, ranges: Sequence[_Range]) -> Iterator[Block]:
    """Yield quotes, code blocks and the paragraphs between them."""
    frames = sorted(
        (r for r in ranges if r.kind == "pre" or r.kind in _QUOTES),
        key=lambda r: (r.start, -r.end),
    )
    inner = [r for r in ranges if r.kind != "pre" and r.kind not in _QUOTES]
    at = 0
    for frame in frames:
        if frame.start < at:
            continue  # inside of another one
        yield from _paragraph(text, at, frame.start, inner)
        if frame.kind == "pre":
            language = frame.entity.get("language")
            yield CodeBlock(
                text[frame.start : frame.end].strip("\n"),
                language if isinstance(language, str) else "",
            )
        else:
            quoted = tuple(_quoted(text, frame, frames, inner))
            yield Quote(quoted)
        at = frame.end
    yield from _paragraph(text, at, len(text), inner)


def _quoted(
    text: str, quote: _Range, frames: Sequence[_Range], inner: Sequence[_Range]
) -> Iterator[Block]:
    at = quote.start
    for frame in frames:
        if frame.kind == "pre" and at <= frame.start and frame.end <= quote.end:
            yield from _paragraph(text, at, frame.start, inner)
            language = frame.entity.get("language")
            code = text[frame.start : frame.end].strip("\n")
            yield CodeBlock(code, language if isinstance(language, str) else "")
            at = frame.end
    yield from _paragraph(text, at, quote.end, inner)


def _paragraph(
    text: str, start: int, end: int, ranges: Sequence[_Range]
) -> Iterator[Block]:
    """Yield the text as a paragraph; line breaks at a block's border are its own."""
    while start < end and text[start] == "\n":
        start += 1
    while start < end and text[end - 1] == "\n":
        end -= 1
    if start < end:
        yield Paragraph(tuple(_with_links(text, start, end, ranges)))


def _with_links(
    text: str, start: int, end: int, ranges: Sequence[_Range]
) -> Iterator[Inline]:
    targets = sorted(
        (r for r in ranges if r.kind in {"text_link", "text_mention"}),
        key=lambda r: (r.start, -r.end),
    )
    at = start
    for target in targets:
        first, last = max(target.start, at), min(target.end, end)
        if first >= last:
            continue
        yield from _marked(text, at, first, ranges)
        if target.kind == "text_mention":
            name = one_line(text[first:last]).removeprefix("@")
            yield Mention(name or "?", str(_user_of(target.entity)))
        else:
            inside = tuple(_marked(text, first, last, ranges))
            yield Link(inside, target.entity["url"])
        at = last
    yield from _marked(text, at, end, ranges)


def _marked(
    text: str, start: int, end: int, ranges: Sequence[_Range]
) -> Iterator[Inline]:
    """Yield pieces between all borders, each in its marks; `normalise` joins them."""
    over = [
        r
        for r in ranges
        if r.start < end and r.end > start and not r.kind.startswith("text_")
    ]
    borders = {start, end}
    for each in over:
        borders |= {max(each.start, start), min(each.end, end)}
    ordered = sorted(borders)
    for first, last in pairwise(ordered):
        kinds = {r.kind for r in over if r.start <= first and r.end >= last}
        piece: Inline = Text(text[first:last])
        if "code" in kinds:
            piece = Code(text[first:last])
        for name, mark in _MARKS.items():
            if name in kinds:
                piece = mark((piece,))
        yield Spoiler((piece,)) if "spoiler" in kinds else piece


# ---- writing


@dataclass(slots=True)
class Written:
    """A text with its ranges, ready for the Bot API."""

    text: str = ""
    entities: list[dict[str, Any]] = field(default_factory=list)
    lost: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Return the text's length in UTF-16 code units."""
        return units(self.text)


def write(rich: Rich) -> Written:
    """Return the text of a tree and its entities."""
    writer = _Writer()
    writer.blocks(rich.blocks)
    entities = sorted(writer.entities, key=lambda e: (e["offset"], -e["length"]))
    lost = (_MANY,) if len(entities) > ENTITIES_MAX else ()
    return Written("".join(writer.parts), entities[:ENTITIES_MAX], lost)


class _Writer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.entities: list[dict[str, Any]] = []
        self._at = 0
        self._is_quoted = False

    def blocks(self, blocks: Sequence[Block]) -> None:
        for index, block in enumerate(blocks):
            if index:  # a frame stands on lines of its own
                framed = isinstance(block, _FRAMES) or isinstance(
                    blocks[index - 1], _FRAMES
                )
                self._put("\n" if framed else "\n\n")
            self._block(block)

    def _block(self, block: Block) -> None:
        match block:
            case Paragraph(children=children):
                self._run(children, {})
            case CodeBlock(text=text, language=language):
                extra = {"language": language} if language else {}
                self._leaf(text, {"pre": extra})
            case Quote(children=inner):
                self._quote(inner)
            case _:  # has no form of its own here: the lines a person would type
                for index, line in enumerate(lines([block])):
                    if index:
                        self._put("\n")
                    self._run(line, {})

    def _quote(self, inner: Sequence[Block]) -> None:
        if self._is_quoted:  # Telegram's quotes do not nest
            self.blocks(inner)
            return
        start, self._is_quoted = self._at, True
        self.blocks(inner)
        self._is_quoted = False
        self._range("blockquote", start, {})

    def _run(
        self, children: Sequence[Inline], marks: Mapping[str, Mapping[str, Any]]
    ) -> None:
        for child in children:
            self._inline(child, marks)

    def _inline(self, child: Inline, marks: Mapping[str, Mapping[str, Any]]) -> None:
        match child:
            case Text(text=text):
                self._leaf(text, marks)
            case Code(text=text):  # Telegram: code can be part of no other mark
                self._leaf(text, {"code": {}})
            case Mention(name=name, uri=uri):
                self._leaf(f"@{name}", {**marks, **_mention(name, uri)})
            case Link(children=inner, url=url):
                if flat(inner) == url:  # Telegram makes it a link by itself
                    self._run(inner, marks)
                else:
                    self._run(inner, {**marks, "text_link": {"url": url}})
            case Spoiler(children=inner, reason=reason):
                if reason:
                    self._leaf(f"({reason}) ", marks)
                self._run(inner, {**marks, "spoiler": {}})
            case Strong() | Emphasis() | Underline() | Strike():
                self._run(child.children, {**marks, _MARK_TYPES[type(child)]: {}})

    def _leaf(self, text: str, marks: Mapping[str, Mapping[str, Any]]) -> None:
        start = self._at
        self._put(text)
        for kind, extra in marks.items():
            self._range(kind, start, extra)

    def _range(self, kind: str, start: int, extra: Mapping[str, Any]) -> None:
        """Note a range up to here; one that goes on where it ended grows."""
        if start == self._at:
            return
        for entity in reversed(self.entities):
            rest = {k: v for k, v in entity.items() if k not in {"offset", "length"}}
            end = entity["offset"] + entity["length"]
            if end == start and rest == {"type": kind, **extra} and kind != "pre":
                entity["length"] += self._at - start
                return
            if end < start:
                break
        self.entities.append(
            {"type": kind, "offset": start, "length": self._at - start, **extra}
        )

    def _put(self, text: str) -> None:
        self.parts.append(text)
        self._at += units(text)


def _mention(name: str, uri: str) -> Mapping[str, Mapping[str, Any]]:
    if not (uri.isascii() and uri.isdecimal() and 0 < int(uri) < 2**53):
        return {}
    user = {"id": int(uri), "is_bot": False, "first_name": name or "?"}
    return {"text_mention": {"user": user}}

"""TXT-3: a long text in parts that each fit.

A part ends at the last paragraph end within the limit if that is beyond half,
else at a sentence end beyond half, else at a word end, else between two grapheme
clusters. It never ends inside an address, a mention or a table row, unless that
alone is longer than a part. White space at a cut is dropped.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sabir.content.capabilities import TextUnit
from sabir.content.cutting import Blocks, Span, cut, linear, prefixed, whole_spans
from sabir.content.measuring import (
    COST_MAX,
    cluster_start,
    measure,
    starts_cluster,
)
from sabir.content.plain import to_plain
from sabir.content.rich import Paragraph, Rich, Text

_PARAGRAPH: Final = re.compile(r"\n\s*\n+")
_SENTENCE: Final = re.compile(
    "[.!?\u2026][\"'\u201d\u2019\u00bb)\\]]*\\s+|[\u3002\uff01\uff1f]+\\s*|\n"
)
_GAP: Final = re.compile(r"\n+|\s")
"""White space right behind a cut; more than one space may be indentation."""
_WORD: Final = re.compile(r"\s+")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_COUNTERS: Final = (("(9/9) ", 9), ("(99/99) ", 99))
"""Room kept for the counter, and for how many parts it is enough."""


def fits(text: Rich, limit: int, unit: TextUnit) -> bool:
    """Tell whether a text takes at most `limit` of `unit`."""
    plain = to_plain(text)
    if len(plain) * COST_MAX <= limit:
        return True
    return measure(plain, unit) <= limit


def split(
    text: Rich, *, limit: int, unit: TextUnit, parts_max: int
) -> tuple[Rich, ...] | None:
    """Return the parts of a text that does not fit, each with its counter.

    Args:
        text: as it is to be shown, in normal form.
        limit: of one message, in `unit`.
        unit: what the network counts.
        parts_max: more parts are too many.

    Returns:
        At least two parts, or None if there would be too many (then TXT-4).
    """
    for counter, most in _COUNTERS:
        room = _Room(counter, limit, unit)
        parts = _parts(text.blocks, room, min(parts_max, most))
        if parts is not None:
            total = len(parts)
            return tuple(
                prefixed(Rich(part), f"({number}/{total}) ")
                for number, part in enumerate(parts, start=1)
            )
    return None


@dataclass(frozen=True, slots=True)
class _Room:
    """What one part may take, its counter included."""

    counter: str
    limit: int
    unit: TextUnit

    def takes(self, blocks: Blocks) -> bool:
        return fits(prefixed(Rich(blocks), self.counter), self.limit, self.unit)


def _parts(blocks: Blocks, room: _Room, parts_max: int) -> list[Blocks] | None:
    parts: list[Blocks] = []
    while blocks:
        cuts = _first_part(blocks, room) if len(parts) < parts_max else None
        if cuts is None:
            return None
        left, blocks = cuts
        if left:
            parts.append(left)
    return parts


def _first_part(blocks: Blocks, room: _Room) -> tuple[Blocks, Blocks] | None:
    text = linear(blocks)
    most = _fitting(blocks, text, room)
    if not most:
        return None
    if most == len(text):
        return blocks, ()
    at = _place(text, most, list(_spans(blocks, text)))
    kept = len(text[:at].rstrip())
    left = cut(blocks, kept)[0] if kept else ()
    gap = None if text[at - 1].isspace() else _GAP.match(text, at)
    right = cut(blocks, gap.end() if gap else at)[1]
    if not left and right == blocks:
        # Something that stays whole is longer than a part: only its text is left.
        plain = Paragraph((Text(linear(blocks[:1])),))
        return _first_part((plain, *blocks[1:]), room)
    return left, right


def _fitting(blocks: Blocks, text: str, room: _Room) -> int:
    """Return how many characters of the linear form fit."""
    if room.takes(blocks):
        return len(text)
    low, high = 0, min(len(text) - 1, room.limit)
    while low < high:
        middle = (low + high + 1) // 2
        if room.takes(cut(blocks, middle)[0]):
            low = middle
        else:
            high = middle - 1
    return low


def _spans(blocks: Blocks, text: str) -> Iterator[Span]:
    yield from whole_spans(blocks)
    for found in _ADDRESS.finditer(text):
        yield found.span()


def _place(text: str, most: int, spans: Sequence[Span]) -> int:
    half = most // 2
    for pattern, least in ((_PARAGRAPH, half), (_SENTENCE, half), (_WORD, 0)):
        places = [
            found.end()
            for found in pattern.finditer(text, 0, most + 1)
            if found.end() <= most or text[most : most + 1].isspace()
        ]
        for at in reversed(places):
            place = min(at, most)
            if place <= least:
                break
            if starts_cluster(text, place) and not _inside(place, spans):
                return place
    return _between_clusters(text, most, spans)


def _between_clusters(text: str, most: int, spans: Sequence[Span]) -> int:
    place = cluster_start(text, most)
    for start, end in spans:
        if 0 < start < place < end:
            place = start
    return place or most


def _inside(place: int, spans: Sequence[Span]) -> bool:
    return any(start < place < end for start, end in spans)

"""Which part of a file is asked for, or brought (RFC 9110 section 14)."""

import re
from dataclasses import dataclass
from typing import Final

from sabir.mimi.problems import Problem, ProblemCode

_WANTED: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_BROUGHT: Final = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")


@dataclass(frozen=True, slots=True)
class Span:
    """Octets of a file: from `start`, up to and without `end`, of `size`."""

    start: int
    end: int
    size: int

    @property
    def is_whole(self) -> bool:
        """Tell whether this is all of the file."""
        return self.start == 0 and self.end == self.size

    def content_range(self) -> str:
        """Return the field `Content-Range` of this span."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def wanted_span(field: str, size: int) -> Span:
    """Return which octets a field `Range` asks for.

    All of them where it is missing, asks for several ranges or for what is not there:
    a server may ignore it (section 14.2), and no code of D-06 says 416.
    """
    whole = Span(0, size, size)
    found = _WANTED.fullmatch(field)
    if found is None or found[1] + found[2] == "":
        return whole
    if not found[1]:  # the last so many
        start, end = max(0, size - int(found[2])), size
    else:
        start = int(found[1])
        end = min(size, int(found[2]) + 1) if found[2] else size
    return Span(start, end, size) if start < end else whole


def brought_span(field: str | None, length: int | None) -> Span:
    """Return which octets of a file a request brings.

    Args:
        field: `Content-Range`; None: all of the file.
        length: `Content-Length`.

    Raises:
        Problem: MALFORMED_BODY, no length, nothing at all, or they contradict.
    """
    if not length:
        raise Problem(ProblemCode.MALFORMED_BODY, "Content-Length must be given")
    if field is None:
        return Span(0, length, length)
    found = _BROUGHT.fullmatch(field)
    if found is None:
        raise Problem(ProblemCode.MALFORMED_BODY, "Content-Range is not understood")
    span = Span(int(found[1]), int(found[2]) + 1, int(found[3]))
    if span.end - span.start != length or not span.start < span.end <= span.size:
        raise Problem(
            ProblemCode.MALFORMED_BODY, "Content-Range and Content-Length contradict"
        )
    return span

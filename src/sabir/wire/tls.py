"""The presentation language of TLS as MLS uses it (RFC 9420 section 2.1).

Fixed integers in network order, `optional<T>`, and vectors whose length is a
varint of 1, 2 or 4 octets (RFC 9420 section 2.1.2). Knows no type of MLS: a
reader of a type is a function from `Reader` to a value, a writer a function to
octets. Vectors are read into copies, so that no small value keeps a large
message alive.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from sabir.wire.errors import Malformed, NotEncodable

T = TypeVar("T")

VECTOR_OCTETS_MAX: Final = (1 << 30) - 1
"""The longest vector that the form can say; callers pass smaller limits."""

_ONE_OCTET_MAX: Final = (1 << 6) - 1
_TWO_OCTETS_MAX: Final = (1 << 14) - 1


class Reader:
    """Takes values off the front of some octets.

    Every method raises `Malformed`: C01 a length in more octets than needed, C02 the
    prefix that means nothing, C03 a length beyond the input or the limit, C04 an
    element that does not fill its vector, C05 octets behind the value, C06 a presence
    octet other than 0 and 1.
    """

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    def fixed(self, size: int) -> bytes:
        """Take `size` octets."""
        start = self.position
        stop = start + size
        if stop > self.end:
            raise Malformed("C03", f"{size} octets wanted, {self.end - start} left")
        self.position = stop
        return self.data[start:stop]

    def uint8(self) -> int:
        """Take a `uint8`."""
        start = self.position
        if start >= self.end:
            raise Malformed("C03", "1 octet wanted, 0 left")
        self.position = start + 1
        return self.data[start]

    def uint16(self) -> int:
        """Take a `uint16`."""
        return int.from_bytes(self.fixed(2), "big")

    def uint32(self) -> int:
        """Take a `uint32`."""
        return int.from_bytes(self.fixed(4), "big")

    def uint64(self) -> int:
        """Take a `uint64`."""
        return int.from_bytes(self.fixed(8), "big")

    def presence(self) -> bool:
        """Take the octet in front of an `optional<T>` (section 2.1.1)."""
        octet = self.uint8()
        if octet > 1:
            raise Malformed("C06", f"presence octet {octet}")
        return octet == 1

    def length(self, limit: int = VECTOR_OCTETS_MAX) -> int:
        """Take the length in front of a vector; check it against input and limit."""
        start = self.position
        if start >= self.end:
            raise Malformed("C03", "1 octet wanted, 0 left")
        self.position = start + 1
        first = self.data[start]
        prefix = first >> 6
        if prefix == 0:
            size = first
        elif prefix == 1:
            size = (first & 0x3F) << 8 | self.uint8()
            if size <= _ONE_OCTET_MAX:
                raise Malformed("C01", f"{size} in two octets")
        elif prefix == 2:
            size = (first & 0x3F) << 24 | int.from_bytes(self.fixed(3), "big")
            if size <= _TWO_OCTETS_MAX:
                raise Malformed("C01", f"{size} in four octets")
        else:
            raise Malformed("C02", "length prefix 11")
        if size > self.end - self.position:
            raise Malformed(
                "C03", f"vector of {size} octets, {self.end - self.position} left"
            )
        if size > limit:
            raise Malformed("C03", f"vector of {size} octets, limit {limit}")
        return size

    def opaque(self, limit: int = VECTOR_OCTETS_MAX) -> bytes:
        """Take an `opaque<V>`."""
        size = self.length(limit)
        start = self.position
        self.position = start + size
        return self.data[start : start + size]

    def vector(
        self,
        read: Callable[["Reader"], T],
        limit: int = VECTOR_OCTETS_MAX,
        count_max: int = VECTOR_OCTETS_MAX,
    ) -> tuple[T, ...]:
        """Take a `T<V>`: elements until the vector is full.

        Args:
            read: reads an element.
            limit: in octets.
            count_max: elements; C03 before one more is read.
        """
        size = self.length(limit)
        inner = Reader(self.data, self.position, self.position + size)
        items: list[T] = []
        while inner.position < inner.end:
            if len(items) == count_max:
                raise Malformed("C03", f"more than {count_max} elements")
            try:
                items.append(read(inner))
            except Malformed as wrong:
                raise _as_element(wrong, len(items)) from None
        self.position = inner.end
        return tuple(items)

    def optional(self, read: Callable[["Reader"], T]) -> T | None:
        """Take an `optional<T>`."""
        return read(self) if self.presence() else None

    def since(self, start: int) -> bytes:
        """Return a copy of what was taken since `position` was `start`."""
        return self.data[start : self.position]

    def finish(self) -> None:
        """Check that nothing is left."""
        if self.position != self.end:
            raise Malformed(
                "C05", f"{self.end - self.position} octets behind the value"
            )


def _as_element(wrong: Malformed, index: int) -> Malformed:
    """Say C04 where an element runs over the end of its vector."""
    rule = "C04" if wrong.rule == "C03" else wrong.rule
    return Malformed(rule, f"element {index}: {wrong.detail}")


def read_whole(data: bytes, read: Callable[[Reader], T]) -> T:
    """Read one value that fills `data`."""
    reader = Reader(data)
    value = read(reader)
    reader.finish()
    return value


# ---- writing


def uint8(value: int) -> bytes:
    """Write a `uint8`."""
    try:
        return value.to_bytes(1, "big")
    except OverflowError:
        raise _too_large(value, 1) from None


def uint16(value: int) -> bytes:
    """Write a `uint16`."""
    try:
        return value.to_bytes(2, "big")
    except OverflowError:
        raise _too_large(value, 2) from None


def uint32(value: int) -> bytes:
    """Write a `uint32`."""
    try:
        return value.to_bytes(4, "big")
    except OverflowError:
        raise _too_large(value, 4) from None


def uint64(value: int) -> bytes:
    """Write a `uint64`."""
    try:
        return value.to_bytes(8, "big")
    except OverflowError:
        raise _too_large(value, 8) from None


def _too_large(value: int, size: int) -> NotEncodable:
    return NotEncodable("C03", f"{value} in {size} octets")


def varint(value: int) -> bytes:
    """Write a length in the fewest octets.

    Raises:
        NotEncodable: C03 beyond `VECTOR_OCTETS_MAX`.
    """
    if value <= _ONE_OCTET_MAX:
        return value.to_bytes(1, "big")
    if value <= _TWO_OCTETS_MAX:
        return (value | 0x4000).to_bytes(2, "big")
    if value > VECTOR_OCTETS_MAX:
        raise NotEncodable("C03", f"a vector of {value} octets")
    return (value | 0x8000_0000).to_bytes(4, "big")


def opaque(data: bytes) -> bytes:
    """Write an `opaque<V>`."""
    return varint(len(data)) + data


def vector(items: Iterable[bytes]) -> bytes:
    """Write a `T<V>` of elements that are written already."""
    return opaque(b"".join(items))


def optional(data: bytes | None) -> bytes:
    """Write an `optional<T>` of a value that is written already."""
    return b"\x00" if data is None else b"\x01" + data

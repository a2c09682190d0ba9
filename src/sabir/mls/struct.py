"""What all structs of MLS share: the octets they came from."""

import struct as _packing
from abc import ABC, abstractmethod
from typing import Final

from sabir.mls.errors import MlsMisuse
from sabir.mls.misuse import not_fitting
from sabir.wire.errors import Malformed, NotEncodable
from sabir.wire.tls import VECTOR_OCTETS_MAX, Reader, opaque, varint


class Struct(ABC):
    """A value of the presentation language that keeps its octets.

    `raw` holds exactly the octets that were read, or what `encode` makes of the
    fields when the value is composed here. Hashes, signatures and outer structs use
    `raw`: nothing received is ever encoded again. Two structs of one type are equal
    when their octets are; for this a checked one is of the type that came in.
    """

    __slots__ = ()

    raw: bytes

    @abstractmethod
    def encode(self) -> bytes:
        """Write the fields; inner structs are written by their `raw`."""

    def __post_init__(self) -> None:
        if not self.raw:
            try:
                raw = self.encode()
            except NotEncodable as wrong:
                raise not_fitting(type(self).__name__, wrong) from None
            object.__setattr__(self, "raw", raw)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Struct):
            return NotImplemented
        related = isinstance(other, type(self)) or isinstance(self, type(other))
        return related and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)


def unsigned(raw: bytes, signature: bytes) -> bytes:
    """Return a struct's octets without the signature at its end."""
    size = len(signature)
    return raw[: -size - len(varint(size))]


NUMBERS_OCTETS_MAX: Final = 4 << 10
"""A list of 2,048 numbers: registries have fewer than a hundred, GREASE adds 15."""


def skip_vector(reader: Reader, limit: int = VECTOR_OCTETS_MAX) -> None:
    """Pass a vector of at most `limit` octets without looking into it."""
    size = reader.length(limit)
    reader.position += size


def read_uint16s(reader: Reader) -> tuple[int, ...]:
    """Take a `uint16<V>`.

    Raises:
        Malformed: C04 when the length is odd, C03 above `NUMBERS_OCTETS_MAX`, and
            as `Reader.length`.
    """
    block = reader.opaque(NUMBERS_OCTETS_MAX)
    count, rest = divmod(len(block), 2)
    if rest:
        raise Malformed("C04", f"{len(block)} octets of uint16")
    return _packing.unpack(f">{count}H", block)


def write_uint16s(numbers: tuple[int, ...]) -> bytes:
    """Write a `uint16<V>`.

    Raises:
        MlsMisuse: a number is none.
    """
    try:
        return opaque(_packing.pack(f">{len(numbers)}H", *numbers))
    except _packing.error:
        raise MlsMisuse(f"in a list of {len(numbers)} one is no uint16") from None

"""Capabilities of a leaf (RFC 9420 section 7.2), one object per distinct block."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from sabir.mls.codepoints import DEFAULT_EXTENSIONS, DEFAULT_PROPOSALS
from sabir.mls.struct import (
    NUMBERS_OCTETS_MAX,
    Struct,
    read_uint16s,
    skip_vector,
    write_uint16s,
)
from sabir.wire.tls import Reader

_INTERNED_BLOCKS_MAX: Final = 256
"""Blocks kept: a group has a handful of client versions."""

_VECTORS: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Capabilities(Struct):
    """What a client supports beyond what all must."""

    versions: tuple[int, ...]
    cipher_suites: tuple[int, ...]
    extensions: tuple[int, ...]
    proposals: tuple[int, ...]
    credentials: tuple[int, ...]
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `Capabilities`."""
        return (
            write_uint16s(self.versions)
            + write_uint16s(self.cipher_suites)
            + write_uint16s(self.extensions)
            + write_uint16s(self.proposals)
            + write_uint16s(self.credentials)
        )

    def supports_extension(self, kind: int) -> bool:
        """Whether extensions of a type may be used with this client."""
        return kind in DEFAULT_EXTENSIONS or kind in self.extensions

    def supports_proposal(self, kind: int) -> bool:
        """Whether proposals of a type may be used with this client."""
        return kind in DEFAULT_PROPOSALS or kind in self.proposals


def read_capabilities(reader: Reader) -> Capabilities:
    """Take `Capabilities`; equal octets give the same object."""
    start = reader.position
    for _ in range(_VECTORS):
        skip_vector(reader, NUMBERS_OCTETS_MAX)
    return _of_block(reader.since(start))


@lru_cache(_INTERNED_BLOCKS_MAX)
def _of_block(block: bytes) -> Capabilities:
    reader = Reader(block)
    return Capabilities(
        read_uint16s(reader),
        read_uint16s(reader),
        read_uint16s(reader),
        read_uint16s(reader),
        read_uint16s(reader),
        raw=block,
    )

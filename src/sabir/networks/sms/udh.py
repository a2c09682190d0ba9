"""The user data header in front of a message's text (3GPP TS 23.040, 9.2.3.24)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sabir.errors import PeerMisbehaved

CONCATENATED_8: Final = 0x00
CONCATENATED_16: Final = 0x08
SINGLE_SHIFT: Final = 0x24
LOCKING_SHIFT: Final = 0x25
_LENGTHS: Final = {CONCATENATED_8: 3, CONCATENATED_16: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Concatenation:
    """Which part of which message this is."""

    reference: int
    total: int
    number: int
    """From 1."""
    wide: bool = False
    """The reference has 16 bits: another numbering than that of 8 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a user data header says, as far as text is concerned."""

    concatenation: Concatenation | None = None
    shifted: bool = False
    """The text uses a national alphabet's table."""


def header(part: Concatenation) -> bytes:
    """Return the header of one part, with an 8-bit reference."""
    return bytes([5, CONCATENATED_8, 3, part.reference & 0xFF, part.total, part.number])


def divide(octets: bytes) -> tuple[Header, bytes]:
    """Return the header of a message with the UDH bit, and what is behind it.

    Raises:
        PeerMisbehaved: SMPP-006, it claims more octets than there are.
    """
    if not octets or octets[0] >= len(octets) + (octets[0] == 0):
        raise PeerMisbehaved("SMPP-006", f"a header in {len(octets)} octets")
    end = 1 + octets[0]
    if end > len(octets):
        raise PeerMisbehaved("SMPP-006", f"a header of {end} in {len(octets)} octets")
    part: Concatenation | None = None
    shifted = False
    for identifier, value in _elements(octets[1:end]):
        if len(value) == _LENGTHS.get(identifier):
            part = _concatenation(value, wide=identifier == CONCATENATED_16) or part
        shifted = shifted or identifier in {SINGLE_SHIFT, LOCKING_SHIFT}
    return Header(concatenation=part, shifted=shifted), octets[end:]


def _elements(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(octets):
        if at + 2 > len(octets) or at + 2 + octets[at + 1] > len(octets):
            raise PeerMisbehaved("SMPP-006", "an element that goes beyond its header")
        end = at + 2 + octets[at + 1]
        yield octets[at], octets[at + 2 : end]
        at = end


def _concatenation(value: bytes, *, wide: bool) -> Concatenation | None:
    """Return the part; None where it is no part of anything (TS 23.040 ignores it)."""
    *reference, total, number = value
    if not 1 <= number <= total:
        return None
    return Concatenation(
        reference=int.from_bytes(bytes(reference)),
        total=total,
        number=number,
        wide=wide,
    )

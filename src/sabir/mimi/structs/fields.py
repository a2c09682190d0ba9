"""Fields that several structs share, and how a whole body is read."""

from collections.abc import Callable
from enum import IntEnum
from typing import Final, TypeVar

from sabir.mimi.components.fields import read_identifier, text
from sabir.mimi.profile import MIMI06_A
from sabir.mls.codepoints import MLS10
from sabir.mls.components import AppDataDictionary, read_dictionary
from sabir.mls.errors import MlsInvalid, MlsUnsupported
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, optional, read_whole

T = TypeVar("T")
Number = TypeVar("Number", bound=IntEnum)

PROTOCOL: Final = MLS10
"""The octet `Protocol`: mls10."""

ELEMENTS_MAX: Final = MIMI06_A.elements_max
"""Elements of a vector (D-07)."""
KEY_OCTETS_MAX: Final = 4 << 10
"""Octets of a public key: X-Wing's have 1,216, ML-DSA-87's 2,592."""
SIGNATURE_OCTETS_MAX: Final = 8 << 10
"""The longest signature of any registered scheme is below 5 KB."""

EMPTY: Final = AppDataDictionary()
"""A dictionary of extensions that says nothing: one octet 0."""


def decode_whole(body: bytes, read: Callable[[Reader], T]) -> T:
    """Read a struct that fills a body.

    Raises:
        Malformed: as `read`; the rule of MLS that is broken; MIMI-003 a version, type
            or form of MLS that we do not know.
    """
    try:
        return read_whole(body, read)
    except MlsInvalid as wrong:
        raise Malformed(wrong.rule, wrong.detail) from wrong
    except MlsUnsupported as unknown:
        raise Malformed("MIMI-003", f"{unknown.what} 0x{unknown.number:04X}") from None


def known(kind: type[Number], number: int) -> int:
    """Return the member of an enumeration, or a number that it does not have."""
    try:
        return kind(number)
    except ValueError:
        return number


def read_protocol_of_answer(reader: Reader) -> None:
    """Take the octet `Protocol` of an answer.

    Raises:
        Malformed: MIMI-004, it is another one than was asked.
    """
    protocol = reader.uint8()
    if protocol != PROTOCOL:
        raise Malformed("MIMI-004", f"protocol {protocol}")


def read_nameable(reader: Reader) -> str:
    """Take an identifier that may be missing: empty then."""
    if reader.position < reader.end and reader.data[reader.position] == 0:
        reader.position += 1
        return ""
    return read_identifier(reader)


def encode_optional_identifier(uri: str) -> bytes:
    """Write an `optional<IdentifierUri>`, absent where it is empty."""
    return optional(text(uri) if uri else None)


def read_optional_identifier(reader: Reader) -> str:
    """Take an `optional<IdentifierUri>`: empty where it is absent."""
    return reader.optional(read_identifier) or ""


def read_extensions(reader: Reader) -> AppDataDictionary:
    """Take the dictionary of extensions at the end of a struct.

    Raises:
        Malformed: as `Reader`.
        MlsInvalid: E01, not sorted or an id twice.
    """
    return read_dictionary(reader)


def read_signature(reader: Reader) -> bytes:
    """Take a signature."""
    return reader.opaque(SIGNATURE_OCTETS_MAX)


def read_key(reader: Reader) -> bytes:
    """Take a public key."""
    return reader.opaque(KEY_OCTETS_MAX)

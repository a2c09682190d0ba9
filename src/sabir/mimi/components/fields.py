"""Fields that several components share: text, identifiers, counted numbers."""

from typing import Final

from sabir.mimi.uris import URI_OCTETS_MAX, domain_of
from sabir.wire import tls
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader

TEXT_OCTETS_MAX: Final = 16 << 10
"""Octets of a name, subject or description: a page of text in any script."""

LINK_OCTETS_MAX: Final = 4 << 10
"""Octets of an https address, e.g. of an avatar."""


def read_text(reader: Reader, limit: int = TEXT_OCTETS_MAX) -> str:
    """Take a `UTF8String`.

    Raises:
        Malformed: MIMI-100 not UTF-8 or with a NUL, and as `Reader`.
    """
    octets = reader.opaque(limit)
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("MIMI-100", f"{len(octets)} octets are no UTF-8") from None
    if "\x00" in text:
        raise Malformed("MIMI-100", "a NUL in a text")
    return text


def read_identifier(reader: Reader) -> str:
    """Take an identifier as exact octets: it is compared, never changed.

    One that is not in our form is kept, if its domain can be told (D-10).

    Raises:
        Malformed: MIMI-001 it has no domain, MIMI-101 it is not ASCII, and as
            `Reader`.
    """
    octets = reader.opaque(URI_OCTETS_MAX)
    if not octets.isascii():
        raise Malformed("MIMI-101", f"{len(octets)} octets are not ASCII")
    identifier = octets.decode("ascii")
    domain_of(identifier)
    return identifier


def text(value: str) -> bytes:
    """Write a `UTF8String`, or an identifier."""
    return tls.opaque(value.encode("utf-8"))


def read_bool(reader: Reader) -> bool:
    """Take a `bool`: one octet, 0 or 1 (C06)."""
    return reader.presence()


def boolean(value: bool) -> bytes:
    """Write a `bool`."""
    return tls.uint8(value)


def optional_uint32(value: int | None) -> bytes:
    """Write an `optional<uint32>`."""
    return tls.optional(None if value is None else tls.uint32(value))

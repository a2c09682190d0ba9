"""Extensions (RFC 9420 section 13.4): the list, its types, the opaque rest."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from sabir.mls.credentials import Credential, read_credential
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.misuse import composes
from sabir.mls.struct import read_uint16s, write_uint16s
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, read_whole, uint16, vector

APPLICATION_ID: Final = 0x0001
RATCHET_TREE: Final = 0x0002
REQUIRED_CAPABILITIES: Final = 0x0003
EXTERNAL_PUB: Final = 0x0004
EXTERNAL_SENDERS: Final = 0x0005
APP_DATA_DICTIONARY: Final = 0x0006
SUPPORTED_WIRE_FORMATS: Final = 0x0007
REQUIRED_WIRE_FORMATS: Final = 0x0008

EXTERNAL_SENDERS_MAX: Final = 256
"""A few services of each provider that takes part in a room."""

_INTERNED_OCTETS_MAX: Final = 4 << 10
"""Longer lists are read anew: they hold a tree, or are not alike between leaves."""

_INTERNED_LISTS_MAX: Final = 256
"""Lists kept: a group has a handful of client versions."""


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension; `data` is what its type makes of it."""

    kind: int
    data: bytes = field(repr=False)

    @composes
    def encode(self) -> bytes:
        """Write the `Extension`."""
        return uint16(self.kind) + opaque(self.data)


Extensions = tuple[Extension, ...]
"""A list: no type twice (C10). Equal lists of leaves are one object when read."""


def read_extensions(reader: Reader, limits: Limits = DEFAULT_LIMITS) -> Extensions:
    """Take an `Extension<V>`.

    Raises:
        Malformed: C10 a type twice, C03 more extensions than `limits` say, and as
            `Reader`.
    """
    block = reader.opaque()
    if not block:
        return ()
    if len(block) <= _INTERNED_OCTETS_MAX:
        return _read_interned(block, limits.extensions_per_list_max)
    return _read_list(block, limits.extensions_per_list_max)


def _read_list(block: bytes, count_max: int) -> Extensions:
    reader = Reader(block)
    found: dict[int, Extension] = {}
    while reader.position < reader.end:
        kind = reader.uint16()
        if kind in found:
            raise Malformed("C10", f"extension type {kind} twice")
        if len(found) == count_max:
            raise Malformed("C03", f"more than {count_max} extensions")
        found[kind] = Extension(kind, reader.opaque())
    return tuple(found.values())


_read_interned = lru_cache(_INTERNED_LISTS_MAX)(_read_list)


@composes
def encode_extensions(extensions: Iterable[Extension]) -> bytes:
    """Write an `Extension<V>`."""
    return vector(extension.encode() for extension in extensions)


def find_extension(extensions: Iterable[Extension], kind: int) -> bytes | None:
    """Return the data of the extension of a type, None where there is none."""
    for extension in extensions:
        if extension.kind == kind:
            return extension.data
    return None


# ---- the types


@dataclass(frozen=True, slots=True)
class RequiredCapabilities:
    """What every member must support (section 11.1)."""

    extensions: tuple[int, ...] = ()
    proposals: tuple[int, ...] = ()
    credentials: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """Write the `RequiredCapabilities`, the data of the extension."""
        return (
            write_uint16s(self.extensions)
            + write_uint16s(self.proposals)
            + write_uint16s(self.credentials)
        )


def read_required_capabilities(reader: Reader) -> RequiredCapabilities:
    """Take a `RequiredCapabilities`."""
    extensions = read_uint16s(reader)
    proposals = read_uint16s(reader)
    return RequiredCapabilities(extensions, proposals, read_uint16s(reader))


def required_capabilities_of(
    extensions: Iterable[Extension],
) -> RequiredCapabilities | None:
    """Read the `required_capabilities` among extensions, None where there is none."""
    data = find_extension(extensions, REQUIRED_CAPABILITIES)
    return None if data is None else read_whole(data, read_required_capabilities)


@dataclass(frozen=True, slots=True)
class ExternalSender:
    """Somebody outside who may send proposals (section 12.1.8.1)."""

    signature_key: bytes
    credential: Credential

    def encode(self) -> bytes:
        """Write the `ExternalSender`."""
        return opaque(self.signature_key) + self.credential.raw


def read_external_senders(
    reader: Reader, limits: Limits = DEFAULT_LIMITS
) -> tuple[ExternalSender, ...]:
    """Take an `ExternalSender<V>`, the data of `external_senders`."""
    return reader.vector(
        lambda inner: ExternalSender(inner.opaque(), read_credential(inner, limits)),
        count_max=EXTERNAL_SENDERS_MAX,
    )


def external_senders_of(
    extensions: Iterable[Extension], limits: Limits = DEFAULT_LIMITS
) -> tuple[ExternalSender, ...]:
    """Read the `external_senders` among extensions, none where there is none."""
    data = find_extension(extensions, EXTERNAL_SENDERS)
    if data is None:
        return ()
    return read_whole(data, lambda reader: read_external_senders(reader, limits))


@composes
def encode_external_senders(senders: Iterable[ExternalSender]) -> bytes:
    """Write an `ExternalSender<V>`."""
    return vector(sender.encode() for sender in senders)


def external_pub_of(extensions: Iterable[Extension]) -> bytes | None:
    """Read the `external_pub` among extensions, None where there is none (12.4.3.2)."""
    return _opaque_of(extensions, EXTERNAL_PUB)


def application_id_of(extensions: Iterable[Extension]) -> bytes | None:
    """Read the `application_id` among extensions, None where there is none (5.3.3)."""
    return _opaque_of(extensions, APPLICATION_ID)


def _opaque_of(extensions: Iterable[Extension], kind: int) -> bytes | None:
    data = find_extension(extensions, kind)
    return None if data is None else read_whole(data, Reader.opaque)


def wire_formats_of(extensions: Iterable[Extension], kind: int) -> tuple[int, ...]:
    """Read a list of wire formats (mls-extensions 5), none where there is none.

    Args:
        extensions: of a leaf node or a GroupContext.
        kind: `SUPPORTED_WIRE_FORMATS` or `REQUIRED_WIRE_FORMATS`.
    """
    data = find_extension(extensions, kind)
    return () if data is None else read_whole(data, read_uint16s)


def encode_wire_formats(numbers: tuple[int, ...]) -> bytes:
    """Write the data of a list of wire formats."""
    return write_uint16s(numbers)

"""Names of pre-shared keys (RFC 9420 section 8.4, mls-extensions 4.5)."""

from dataclasses import dataclass, field
from enum import IntEnum

from sabir.mls.struct import Struct
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, uint8, uint16, uint64


class PskType(IntEnum):
    """What kind of key is named."""

    EXTERNAL = 1
    RESUMPTION = 2
    APPLICATION = 3


class ResumptionUsage(IntEnum):
    """What a resumption PSK is used for."""

    APPLICATION = 1
    REINIT = 2
    BRANCH = 3


@dataclass(frozen=True, slots=True, eq=False)
class ExternalPsk(Struct):
    """A key that the application knows by an id of its own."""

    psk_id: bytes
    psk_nonce: bytes
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `PreSharedKeyID`."""
        return uint8(PskType.EXTERNAL) + opaque(self.psk_id) + opaque(self.psk_nonce)

    def without_nonce(self) -> bytes:
        """Return what two names of one key have in common (12.2)."""
        return uint8(PskType.EXTERNAL) + opaque(self.psk_id)


@dataclass(frozen=True, slots=True, eq=False)
class ResumptionPsk(Struct):
    """The resumption key of an epoch of a group."""

    usage: ResumptionUsage
    psk_group_id: bytes
    psk_epoch: int
    psk_nonce: bytes
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `PreSharedKeyID`."""
        return self.without_nonce() + opaque(self.psk_nonce)

    def without_nonce(self) -> bytes:
        """Return what two names of one key have in common (12.2)."""
        return (
            uint8(PskType.RESUMPTION)
            + uint8(self.usage)
            + opaque(self.psk_group_id)
            + uint64(self.psk_epoch)
        )


@dataclass(frozen=True, slots=True, eq=False)
class ApplicationPsk(Struct):
    """A key of an application component."""

    component_id: int
    psk_id: bytes
    psk_nonce: bytes
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `PreSharedKeyID`."""
        return self.without_nonce() + opaque(self.psk_nonce)

    def without_nonce(self) -> bytes:
        """Return what two names of one key have in common (12.2)."""
        return (
            uint8(PskType.APPLICATION) + uint16(self.component_id) + opaque(self.psk_id)
        )


PreSharedKeyID = ExternalPsk | ResumptionPsk | ApplicationPsk


def read_psk_id(reader: Reader) -> PreSharedKeyID:
    """Take a `PreSharedKeyID`.

    Raises:
        Malformed: C07 an unknown type or usage, and as `Reader`.
    """
    start = reader.position
    kind = reader.uint8()
    if kind == PskType.EXTERNAL:
        psk_id = reader.opaque()
        nonce = reader.opaque()
        return ExternalPsk(psk_id, nonce, reader.since(start))
    if kind == PskType.RESUMPTION:
        usage = _read_usage(reader)
        group_id = reader.opaque()
        epoch = reader.uint64()
        nonce = reader.opaque()
        return ResumptionPsk(usage, group_id, epoch, nonce, reader.since(start))
    if kind == PskType.APPLICATION:
        component_id = reader.uint16()
        psk_id = reader.opaque()
        nonce = reader.opaque()
        return ApplicationPsk(component_id, psk_id, nonce, reader.since(start))
    raise Malformed("C07", f"PSK type {kind}")


def _read_usage(reader: Reader) -> ResumptionUsage:
    number = reader.uint8()
    try:
        return ResumptionUsage(number)
    except ValueError:
        raise Malformed("C07", f"resumption PSK usage {number}") from None

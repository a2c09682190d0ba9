"""Component 0x0030, messages that disappear (room-policy-04 section 6.8)."""

from dataclasses import dataclass

from sabir.mimi.components.fields import optional_uint32
from sabir.mimi.components.optionality import Optionality, read_optionality
from sabir.wire import tls
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader


@dataclass(frozen=True, slots=True)
class MessageExpiration:
    """The `MessageExpiration`; the durations count where it is not forbidden.

    Attributes:
        expiring_messages: whether messages expire.
        minimum_s: shortest life, in seconds.
        maximum_s: longest life.
        default_s: preferred life.
    """

    expiring_messages: Optionality
    minimum_s: int = 0
    maximum_s: int = 0
    default_s: int | None = None

    def encode(self) -> bytes:
        """Write the `MessageExpiration`."""
        head = tls.uint8(self.expiring_messages)
        if self.expiring_messages is Optionality.FORBIDDEN:
            return head
        return (
            head
            + tls.uint32(self.minimum_s)
            + tls.uint32(self.maximum_s)
            + optional_uint32(self.default_s)
        )


def read_message_expiration(reader: Reader) -> MessageExpiration:
    """Take a `MessageExpiration`.

    Raises:
        Malformed: MIMI-110, MIMI-111 a default outside of the bounds, or bounds that
            exclude everything.
    """
    optionality = read_optionality(reader)
    if optionality is Optionality.FORBIDDEN:
        return MessageExpiration(optionality)
    found = MessageExpiration(
        optionality,
        reader.uint32(),
        reader.uint32(),
        reader.optional(Reader.uint32),
    )
    default = found.minimum_s if found.default_s is None else found.default_s
    if not found.minimum_s <= default <= found.maximum_s:
        raise Malformed("MIMI-111", f"not {found.minimum_s} to {found.maximum_s} s")
    return found


def decode_message_expiration(data: bytes) -> MessageExpiration:
    """Read a whole `MessageExpiration`."""
    return tls.read_whole(data, read_message_expiration)

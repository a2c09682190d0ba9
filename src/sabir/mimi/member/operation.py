"""An operation of ours on its way to the hub, and a message of ours."""

from dataclasses import dataclass, field
from enum import IntEnum

from sabir.content.model import MessageId
from sabir.mimi.member.intents import Intent, encode_intent, read_intent
from sabir.mls.components import MediaType, read_media_type
from sabir.wire.tls import Reader, opaque, optional, uint8, uint64, vector


class Kind(IntEnum):
    """Where an operation goes."""

    GENESIS = 1
    """`PUT /rooms/{roomId}/genesis`."""
    JOIN = 2
    """`POST /rooms/{roomId}/update`, by which we join."""
    COMMIT = 3
    """`POST /rooms/{roomId}/update`."""
    PROPOSALS = 4
    """`POST /rooms/{roomId}/update`, for others to commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What is to be submitted, and waits for its answer.

    Attributes:
        kind: where it goes.
        intent: what it is for; None for making or joining a room.
        octets: the body of the request, the same at each try.
        digest: SHA-256 of its (first) MLSMessage; empty for GENESIS.
        epoch: in which it was made.
        references: of its proposals, for PROPOSALS.
    """

    kind: Kind
    intent: Intent | None = None
    octets: bytes = field(repr=False)
    digest: bytes = b""
    epoch: int = 0
    references: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Write it for the store."""
        intent = None if self.intent is None else encode_intent(self.intent)
        return (
            uint8(self.kind)
            + optional(intent)
            + opaque(self.octets)
            + opaque(self.digest)
            + uint64(self.epoch)
            + vector(opaque(each) for each in self.references)
        )


def read_operation(reader: Reader) -> Operation:
    """Take what `Operation.encode` wrote. Raises Malformed, ValueError: damaged."""
    return Operation(
        kind=Kind(reader.uint8()),
        intent=reader.optional(read_intent),
        octets=reader.opaque(),
        digest=reader.opaque(),
        epoch=reader.uint64(),
        references=reader.vector(Reader.opaque),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message of ours that has no place in the room yet.

    Attributes:
        octets: body of the request, the `SubmitMessageRequest`.
        digest: SHA-256 of the MLSMessage.
        message_id: of the content; for a receipt, too.
        content: the container.
        tag: its franking tag.
        framing: media type under which it goes.
    """

    octets: bytes = field(repr=False)
    digest: bytes
    message_id: MessageId
    content: bytes = field(repr=False)
    tag: bytes = field(repr=False)
    framing: MediaType

    def encode(self) -> bytes:
        """Write it for the store."""
        return (
            opaque(self.octets)
            + opaque(self.digest)
            + opaque(self.message_id)
            + opaque(self.content)
            + opaque(self.tag)
            + self.framing.encode()
        )


def read_outgoing(reader: Reader) -> Outgoing:
    """Take what `Outgoing.encode` wrote. Raises Malformed: damaged."""
    return Outgoing(
        octets=reader.opaque(),
        digest=reader.opaque(),
        message_id=MessageId(reader.opaque()),
        content=reader.opaque(),
        tag=reader.opaque(),
        framing=read_media_type(reader),
    )

"""submitMessage: a message for the hub, and its answer (3.4)."""

from dataclasses import dataclass, field
from typing import Final

from sabir.mimi.codepoints import SubmitCode
from sabir.mimi.components.fields import read_identifier, text
from sabir.mimi.structs.fields import (
    PROTOCOL,
    decode_whole,
    known,
    read_protocol_of_answer,
    read_signature,
)
from sabir.mls.framing import MlsMessageIn, read_message
from sabir.wire.tls import Reader, opaque, optional, uint8, uint16, uint64

SERVER_FRANK_OCTETS: Final = 32


@dataclass(frozen=True, slots=True)
class Frank:
    """The hub's mark on an accepted message (7.6)."""

    server_frank: bytes
    cipher_suite: int
    signature: bytes

    def encode(self) -> bytes:
        """Write the `Frank`."""
        return self.server_frank + uint16(self.cipher_suite) + opaque(self.signature)


def read_frank(reader: Reader) -> Frank:
    """Take a `Frank`.

    Raises:
        Malformed: as `Reader`.
    """
    return Frank(
        reader.fixed(SERVER_FRANK_OCTETS), reader.uint16(), read_signature(reader)
    )


@dataclass(frozen=True, slots=True)
class SubmitMessageRequest:
    """A message for the hub.

    Attributes:
        message: a PrivateMessage, unless the sender errs.
        sending_uri: of the user who sends; only the hub learns it.
    """

    message: MlsMessageIn
    sending_uri: str

    def encode(self) -> bytes:
        """Write the `SubmitMessageRequest`."""
        return uint8(PROTOCOL) + self.message.raw + text(self.sending_uri)


@dataclass(frozen=True, slots=True)
class OtherSubmitMessageRequest:
    """A message in another protocol than MLS 1.0; answered with NOT_ALLOWED."""

    protocol: int
    rest: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Write the `SubmitMessageRequest`."""
        return uint8(self.protocol) + self.rest


def decode_submit_request(
    body: bytes,
) -> SubmitMessageRequest | OtherSubmitMessageRequest:
    """Read a `SubmitMessageRequest`.

    Raises:
        Malformed: MIMI-001 a sender without a domain; as `decode_whole`.
    """
    return decode_whole(body, read_submit_request)


def read_submit_request(
    reader: Reader,
) -> SubmitMessageRequest | OtherSubmitMessageRequest:
    """Take a `SubmitMessageRequest`; in another protocol it takes all that is left."""
    protocol = reader.uint8()
    if protocol != PROTOCOL:
        rest = reader.fixed(reader.end - reader.position)
        return OtherSubmitMessageRequest(protocol, rest)
    return SubmitMessageRequest(read_message(reader), read_identifier(reader))


@dataclass(frozen=True, slots=True)
class SubmitMessageResponse:
    """The hub's answer.

    Attributes:
        code: a `SubmitCode`, or another number.
        accepted_at: ms, of an accepted message.
        frank: of an accepted message in a room with a franking agent.
        current_epoch: for EPOCH_TOO_OLD.
    """

    code: int
    accepted_at: int = 0
    frank: Frank | None = None
    current_epoch: int = 0

    def encode(self) -> bytes:
        """Write the `SubmitMessageResponse`."""
        head = uint8(PROTOCOL) + uint8(self.code)
        if self.code == SubmitCode.ACCEPTED:
            frank = None if self.frank is None else self.frank.encode()
            return head + uint64(self.accepted_at) + optional(frank)
        if self.code == SubmitCode.EPOCH_TOO_OLD:
            return head + uint64(self.current_epoch)
        return head


def decode_submit_response(body: bytes) -> SubmitMessageResponse:
    """Read a `SubmitMessageResponse`.

    Raises:
        Malformed: MIMI-004 another protocol; as `decode_whole`.
    """
    return decode_whole(body, read_submit_response)


def read_submit_response(reader: Reader) -> SubmitMessageResponse:
    """Take a `SubmitMessageResponse`."""
    read_protocol_of_answer(reader)
    code = known(SubmitCode, reader.uint8())
    if code == SubmitCode.ACCEPTED:
        return SubmitMessageResponse(code, reader.uint64(), reader.optional(read_frank))
    if code == SubmitCode.EPOCH_TOO_OLD:
        return SubmitMessageResponse(code, current_epoch=reader.uint64())
    return SubmitMessageResponse(code)

"""What one device of a user tells another, past everybody else.

Ours: the drafts have nothing for it. The provider carries octets from one device to
another of the same user; who wrote them shows by the signature with the key of the
device's MLS leaf, so that a provider can neither make nor alter one.

    struct {
      uint8 version = 1;
      uint8 kind;               -- 1 ask, 2 gift
      opaque sender<V>; opaque recipient<V>;      -- client URIs
      uint64 at;                -- ms since 1970
      opaque ask_id[16];
      select (kind) {
        case 1: opaque public_key<V>;             -- HPKE
        case 2: opaque room<V>; opaque enc<V>; opaque ciphertext<V>; }
      opaque signature<V>;      -- SignWithLabel("SabirDeviceMessage", all before it)
    } DeviceMessage;
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sabir.clock import Instant
from sabir.crypto.labels import sign_with_label, verify_with_label
from sabir.crypto.suites import CipherSuite
from sabir.mimi.components.fields import read_text, text
from sabir.mimi.uris import Kind, parse_uri
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, read_whole, uint8, uint64

DEVICE_MESSAGE_LABEL: Final = b"SabirDeviceMessage"
MESSAGE_OCTETS_MAX: Final = 64 * 1024
"""A gift holds where its file is and how it opens, not the file."""
ASK_ID_OCTETS: Final = 16

_VERSION: Final = 1
_ASK: Final = 1
_GIFT: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAsk:
    """A device asks for what was said before it came.

    Attributes:
        public_key: HPKE key to which the answer is sealed.
    """

    public_key: bytes

    def encode(self) -> bytes:
        """Write it."""
        return opaque(self.public_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryGift:
    """A device gives the history of one room.

    Attributes:
        room: URI.
        enc, ciphertext: a MIMI content that describes the file, sealed (HPKE).
    """

    room: str
    enc: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Write it."""
        return text(self.room) + opaque(self.enc) + opaque(self.ciphertext)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMessage:
    """One message.

    Attributes:
        sender, recipient: client URIs of one user.
        at: when it was written.
        ask_id: of the question that it puts or answers.
        said: what.
    """

    sender: str
    recipient: str
    at: Instant
    ask_id: bytes
    said: HistoryAsk | HistoryGift

    def encode(self) -> bytes:
        """Write what is signed."""
        return b"".join(
            (
                uint8(_VERSION),
                uint8(_ASK if isinstance(self.said, HistoryAsk) else _GIFT),
                text(self.sender),
                text(self.recipient),
                uint64(self.at),
                self.ask_id,
                self.said.encode(),
            )
        )


@dataclass(frozen=True, slots=True)
class SignedDeviceMessage:
    """A message and the signature of its sender."""

    message: DeviceMessage
    signature: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Write it."""
        return self.message.encode() + opaque(self.signature)

    def is_by(self, suite: CipherSuite, public_key: bytes) -> bool:
        """Tell whether the owner of a signature key wrote it."""
        content = self.message.encode()
        return verify_with_label(
            suite, public_key, DEVICE_MESSAGE_LABEL, content, self.signature
        )


def sign_message(
    suite: CipherSuite, private_key: bytes, message: DeviceMessage
) -> SignedDeviceMessage:
    """Sign a message with the key of our device."""
    content = message.encode()
    signature = sign_with_label(suite, private_key, DEVICE_MESSAGE_LABEL, content)
    return SignedDeviceMessage(message, signature)


def decode_device_message(octets: bytes) -> SignedDeviceMessage:
    """Read a message; its signature is not checked.

    Raises:
        Malformed: MIMI-391 another version, MIMI-392 an unknown kind, MIMI-393 a sender
            or recipient that is no client, or a room that is none; as `Reader`.
    """
    return read_whole(octets, _read)


def _read(reader: Reader) -> SignedDeviceMessage:
    version = reader.uint8()
    if version != _VERSION:
        raise Malformed("MIMI-391", f"version {version}")
    read_said = _reader_of(reader.uint8())
    message = DeviceMessage(
        sender=_uri(reader, Kind.DEVICE),
        recipient=_uri(reader, Kind.DEVICE),
        at=Instant(reader.uint64()),
        ask_id=reader.fixed(ASK_ID_OCTETS),
        said=read_said(reader),
    )
    return SignedDeviceMessage(message, reader.opaque())


def _reader_of(kind: int) -> Callable[[Reader], HistoryAsk | HistoryGift]:
    match kind:
        case 1:
            return lambda reader: HistoryAsk(public_key=reader.opaque())
        case 2:
            return lambda reader: HistoryGift(
                room=_uri(reader, Kind.ROOM),
                enc=reader.opaque(),
                ciphertext=reader.opaque(),
            )
        case _:
            raise Malformed("MIMI-392", f"kind {kind}")


def _uri(reader: Reader, kind: Kind) -> str:
    found = read_text(reader)
    try:
        return parse_uri(found, kind).text
    except Malformed as wrong:
        raise Malformed("MIMI-393", f"no {kind.name.lower()}: {wrong.rule}") from None

"""SemiPrivateMessage: a private handshake that some outsiders can read, too.

draft-mahy-mls-semiprivatemessage-07, under private numbers and behind the flag
`Services.semi_private`. The group's `external_receivers` extension names the
outsiders, e.g. the hub. What the draft leaves open is read as in the design:
`partial_context_hash` hashes the sender's leaf index and the nonce, as they are before
the reuse guard; a receiver is named by the hash of its `ExternalReceiver`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sabir.crypto.suites import CipherSuite
from sabir.mls.codepoints import ContentType
from sabir.mls.commit import HPKECiphertext, read_hpke_ciphertext
from sabir.mls.credentials import Credential, read_credential
from sabir.mls.extensions import Extension, find_extension
from sabir.mls.limits import DEFAULT_LIMITS, EXTERNAL_RECEIVERS_MAX, Limits
from sabir.mls.struct import Struct
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, read_whole, uint8, uint64, vector

EXTERNAL_RECEIVERS: Final = 0xFB02
"""Our private number; the draft's 0x0008 is that of `required_wire_formats`."""


@dataclass(frozen=True, slots=True)
class ExternalReceiver:
    """An outsider to whom handshakes are shown."""

    public_key: bytes
    credential: Credential

    def encode(self) -> bytes:
        """Write the `ExternalReceiver`."""
        return opaque(self.public_key) + self.credential.raw

    def reference(self, suite: CipherSuite) -> bytes:
        """Return the `ExternalReceiverRef`."""
        return suite.hash(self.encode())


def encode_external_receivers(receivers: Iterable[ExternalReceiver]) -> bytes:
    """Write an `ExternalReceiver<V>`, the data of `external_receivers`."""
    return vector(receiver.encode() for receiver in receivers)


def external_receivers_of(
    extensions: Iterable[Extension], limits: Limits = DEFAULT_LIMITS
) -> tuple[ExternalReceiver, ...]:
    """Read the `external_receivers` among extensions, none where there is none."""
    data = find_extension(extensions, EXTERNAL_RECEIVERS)
    if data is None:
        return ()
    return read_whole(data, lambda reader: read_external_receivers(reader, limits))


def read_external_receivers(
    reader: Reader, limits: Limits = DEFAULT_LIMITS
) -> tuple[ExternalReceiver, ...]:
    """Take an `ExternalReceiver<V>`, the data of `external_receivers`.

    Raises:
        Malformed: octets that are none; C03, more than `EXTERNAL_RECEIVERS_MAX`.
    """
    return reader.vector(
        lambda inner: ExternalReceiver(inner.opaque(), read_credential(inner, limits)),
        count_max=EXTERNAL_RECEIVERS_MAX,
    )


@dataclass(frozen=True, slots=True)
class KeyForExternalReceiver:
    """Key and nonces of one message, sealed to an external receiver."""

    receiver: bytes
    sealed: HPKECiphertext

    def encode(self) -> bytes:
        """Write the `KeyForExternalReceiver`."""
        return opaque(self.receiver) + self.sealed.encode()


def _read_key(reader: Reader) -> KeyForExternalReceiver:
    return KeyForExternalReceiver(reader.opaque(), read_hpke_ciphertext(reader))


@dataclass(frozen=True, slots=True, eq=False)
class SemiPrivateMessage(Struct):
    """A handshake that members and external receivers can read.

    Attributes:
        group_id: of the group.
        epoch: in which it was sent.
        content_type: proposal or commit.
        authenticated_data: in the clear.
        partial_context_hash: binds the keys to sender and nonce.
        keys: one for each external receiver.
        framed_content_tbs_hash: binds what receivers read to what members read.
        encrypted_sender_data: as in a PrivateMessage.
        ciphertext: as in a PrivateMessage, but for its AAD.
        raw: the octets it came from.
    """

    group_id: bytes
    epoch: int
    content_type: ContentType
    authenticated_data: bytes = field(repr=False)
    partial_context_hash: bytes
    keys: tuple[KeyForExternalReceiver, ...]
    framed_content_tbs_hash: bytes
    encrypted_sender_data: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `SemiPrivateMessage`."""
        return (
            self.associated()
            + opaque(self.encrypted_sender_data)
            + opaque(self.ciphertext)
        )

    def associated(self) -> bytes:
        """Write the `SemiPrivateContentAAD`: the first seven fields."""
        return (
            opaque(self.group_id)
            + uint64(self.epoch)
            + uint8(self.content_type)
            + opaque(self.authenticated_data)
            + opaque(self.partial_context_hash)
            + vector(key.encode() for key in self.keys)
            + opaque(self.framed_content_tbs_hash)
        )


def read_semi_private_message(
    reader: Reader, limits: Limits = DEFAULT_LIMITS
) -> SemiPrivateMessage:
    """Take a `SemiPrivateMessage`.

    Raises:
        Malformed: C07 a content type that is no handshake, C03 more authenticated data
            than `limits` say or more keys than `EXTERNAL_RECEIVERS_MAX`, and as
            `Reader`.
    """
    start = reader.position
    group_id = reader.opaque()
    epoch = reader.uint64()
    kind = reader.uint8()
    if kind not in {ContentType.PROPOSAL, ContentType.COMMIT}:
        raise Malformed("C07", f"content type {kind}")
    return SemiPrivateMessage(
        group_id,
        epoch,
        ContentType(kind),
        reader.opaque(limits.authenticated_data_octets_max),
        reader.opaque(),
        reader.vector(_read_key, count_max=EXTERNAL_RECEIVERS_MAX),
        reader.opaque(),
        reader.opaque(),
        reader.opaque(),
        reader.since(start),
    )

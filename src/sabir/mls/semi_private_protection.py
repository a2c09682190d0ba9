"""Sealing and opening SemiPrivateMessages (draft-mahy-mls-semiprivatemessage-07)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sabir.crypto.errors import BadKey, OpenFailed
from sabir.crypto.labels import decrypt_with_label, encrypt_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.codepoints import WireFormat
from sabir.mls.commit import HPKECiphertext
from sabir.mls.errors import MlsInvalid, MlsMissing, MlsMisuse
from sabir.mls.framing import (
    AuthenticatedContent,
    FramedContent,
    PrivateMessage,
    Sender,
    VerifiedContent,
    encode_content,
    read_auth,
    read_content,
)
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.message_protection import (
    REUSE_GUARD_OCTETS,
    SenderData,
    guarded,
    seal_sender_data,
)
from sabir.mls.proposals import STANDARD_PROPOSALS, ProposalRegistry
from sabir.mls.ratchet import MessageKey
from sabir.mls.semi_private import (
    ExternalReceiver,
    KeyForExternalReceiver,
    SemiPrivateMessage,
)
from sabir.mls.validation.framing import check_padding
from sabir.mls.validation.rules import Rule
from sabir.wire.tls import Reader, opaque, read_whole, uint32, uint64

_LABEL: Final = b"SemiPrivateMessageReceiver"


@dataclass(frozen=True, slots=True, eq=False)
class Receiver:
    """An external receiver that we are.

    Attributes:
        receiver: as the group's extension names us.
        private_key: HPKE key.
    """

    receiver: ExternalReceiver
    private_key: Secret


def _partial_context_hash(suite: CipherSuite, leaf_index: int, nonce: bytes) -> bytes:
    return suite.hash(uint32(leaf_index) + nonce)


def _context(message: SemiPrivateMessage) -> bytes:
    """Write the `SemiPrivateMessageContext`."""
    place = opaque(message.group_id) + uint64(message.epoch)
    return place + opaque(message.partial_context_hash)


def protect_semi_private(
    suite: CipherSuite,
    message: VerifiedContent,
    message_key: MessageKey,
    sender_data_secret: Secret,
    reuse_guard: bytes,
    group_context: bytes,
    receivers: Sequence[ExternalReceiver],
    padding_block_octets: int = DEFAULT_LIMITS.padding_block_octets,
) -> SemiPrivateMessage:
    """Seal a handshake of ours for the members and for external receivers.

    Args:
        suite: of the group.
        message: signed for this wire format.
        message_key: the next of our handshake ratchet.
        sender_data_secret: of the epoch.
        reuse_guard: `REUSE_GUARD_OCTETS` random octets.
        group_context: octets of the epoch's GroupContext.
        receivers: those that the group names.
        padding_block_octets: the plaintext is filled to a multiple of this.

    Raises:
        MlsMisuse: there are no receivers.
        MlsInvalid: L14, the key of one is none.
    """
    if not receivers:
        raise MlsMisuse("the group names no external receivers; send a PrivateMessage")
    content = message.content
    index = content.sender.index
    draft = SemiPrivateMessage(
        content.group_id,
        content.epoch,
        content.content_type,
        content.authenticated_data,
        _partial_context_hash(suite, index, message_key.nonce),
        (),
        suite.hash(content.signed(message.wire_format, group_context)),
        b"",
        b"",
    )
    keys = (
        opaque(message_key.key)
        + opaque(message_key.nonce)
        + reuse_guard
        + uint32(index)
    )
    sealed = tuple(_seal_to(suite, receiver, draft, keys) for receiver in receivers)
    draft = replace(draft, keys=sealed, raw=b"")
    plaintext = encode_content(content.content) + message.auth()
    plaintext += bytes(-len(plaintext) % padding_block_octets)
    nonce = guarded(message_key.nonce, reuse_guard)
    ciphertext = suite.aead_seal(message_key.key, nonce, plaintext, draft.associated())
    sender_data = SenderData(index, message_key.generation, reuse_guard)
    encrypted = seal_sender_data(
        suite, content, sender_data, sender_data_secret, ciphertext
    )
    return replace(
        draft, encrypted_sender_data=encrypted, ciphertext=ciphertext, raw=b""
    )


def _seal_to(
    suite: CipherSuite,
    receiver: ExternalReceiver,
    draft: SemiPrivateMessage,
    keys: bytes,
) -> KeyForExternalReceiver:
    try:
        sealed = encrypt_with_label(
            suite, receiver.public_key, _LABEL, _context(draft), keys
        )
    except BadKey as wrong:
        raise MlsInvalid(Rule.L14, f"an external receiver's key: {wrong}") from None
    return KeyForExternalReceiver(receiver.reference(suite), HPKECiphertext(*sealed))


def as_private(message: SemiPrivateMessage) -> PrivateMessage:
    """Return what a member needs to find the sender, as for a PrivateMessage."""
    return PrivateMessage(
        message.group_id,
        message.epoch,
        message.content_type,
        message.authenticated_data,
        message.encrypted_sender_data,
        message.ciphertext,
    )


def open_semi_private(
    suite: CipherSuite,
    message: SemiPrivateMessage,
    sender_data: SenderData,
    key: bytes,
    nonce: bytes,
    group_context: bytes,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
) -> AuthenticatedContent:
    """Open a SemiPrivateMessage. Its signature is not checked yet.

    Args:
        suite: of the group.
        message: what came in.
        sender_data: from the message itself, or from what was sealed to a receiver.
        key: of the message.
        nonce: of the message, before the reuse guard.
        group_context: octets of the epoch's GroupContext.
        registry: the types of proposal that are known.
        limits: what is accepted.

    Raises:
        MlsInvalid: F10, F11, H05.
        Malformed: what was sealed is no content.
        MlsUnsupported: C09.
    """
    index = sender_data.leaf_index
    if message.partial_context_hash != _partial_context_hash(suite, index, nonce):
        raise MlsInvalid(Rule.H05, "partial_context_hash is of another key")
    try:
        plaintext = suite.aead_open(
            key,
            guarded(nonce, sender_data.reuse_guard),
            message.ciphertext,
            message.associated(),
        )
    except OpenFailed as wrong:
        raise MlsInvalid(Rule.F11, str(wrong)) from None
    reader = Reader(plaintext)
    body = read_content(reader, message.content_type, registry, limits)
    signature, tag = read_auth(reader, message.content_type)
    check_padding(reader.data[reader.position :])
    content = FramedContent(
        message.group_id,
        message.epoch,
        Sender.member(index),
        message.authenticated_data,
        body,
    )
    form = WireFormat.SEMI_PRIVATE_MESSAGE
    if suite.hash(content.signed(form, group_context)) != (
        message.framed_content_tbs_hash
    ):
        raise MlsInvalid(Rule.H05, "framed_content_tbs_hash is of another content")
    return AuthenticatedContent(form, content, signature, tag)


def open_as_receiver(
    suite: CipherSuite,
    message: SemiPrivateMessage,
    receiver: Receiver,
    group_context: bytes,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
) -> AuthenticatedContent:
    """Open a SemiPrivateMessage as an external receiver.

    Raises:
        MlsMissing: it was not sealed to us.
        MlsInvalid: F10, F11, H05.
        Malformed: what was sealed is malformed.
        MlsUnsupported: C09.
    """
    reference = receiver.receiver.reference(suite)
    for key in message.keys:
        if key.receiver == reference:
            break
    else:
        raise MlsMissing("a key for this external receiver")
    try:
        octets = decrypt_with_label(
            suite,
            receiver.private_key.reveal(),
            _LABEL,
            _context(message),
            key.sealed.kem_output,
            key.sealed.ciphertext,
        )
    except OpenFailed as wrong:
        raise MlsInvalid(Rule.F11, str(wrong)) from None
    found = read_whole(octets, _read_keys)
    if (len(found.key), len(found.nonce)) != (suite.nk, suite.nn):
        raise MlsInvalid(Rule.H05, f"a key of {len(found.key)} octets")
    return open_semi_private(
        suite,
        message,
        SenderData(found.leaf_index, 0, found.reuse_guard),
        found.key,
        found.nonce,
        group_context,
        registry,
        limits,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Keys:
    """A `PerMessageKeyAndNonces`."""

    key: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    reuse_guard: bytes = field(repr=False)
    leaf_index: int


def _read_keys(reader: Reader) -> _Keys:
    return _Keys(
        reader.opaque(),
        reader.opaque(),
        reader.fixed(REUSE_GUARD_OCTETS),
        reader.uint32(),
    )

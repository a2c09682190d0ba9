"""Message protection (RFC 9420 sections 6.1 to 6.3), as functions.

Out: `sign_content`, for commits `with_confirmation_tag`, then `protect_public` or
`protect_private`. In: `open_public`, or `open_sender_data` and `open_private`, then
`sabir.mls.validation.framing.verify_content`. There is no way to send unsigned.

Nothing here knows a group. Keys of private messages come from the secret tree; the
caller marks them as used only after the signature was verified (rule D03), so a
forged message burns no generation.
"""

from dataclasses import dataclass, field
from typing import Final

from sabir.crypto.errors import OpenFailed
from sabir.crypto.labels import expand_with_label, ref_hash, sign_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.codepoints import ContentType, SenderType, WireFormat
from sabir.mls.errors import MlsInvalid, MlsMisuse
from sabir.mls.framing import (
    PROPOSAL_REFERENCE_LABEL,
    TBS_LABEL,
    AuthenticatedContent,
    FramedContent,
    PrivateMessage,
    PublicMessage,
    Sender,
    VerifiedContent,
    encode_content,
    read_auth,
    read_content,
)
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.proposals import STANDARD_PROPOSALS, ProposalRegistry
from sabir.mls.ratchet import MessageKey
from sabir.mls.tags import Tag
from sabir.mls.validation.framing import (
    check_not_application,
    check_padding,
    check_parts_fit,
)
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.rules import Rule
from sabir.wire.tls import Reader, opaque, read_whole, uint8, uint32, uint64

REUSE_GUARD_OCTETS: Final = 4

_KEY: Final = b"key"
_NONCE: Final = b"nonce"


# ---- signing


def sign_content(
    suite: CipherSuite,
    private_key: bytes,
    content: FramedContent,
    wire_format: WireFormat,
    group_context: bytes,
) -> VerifiedContent:
    """Sign a content of our own.

    Args:
        suite: of the group.
        private_key: signature key of the sender.
        content: what to sign.
        wire_format: in which it will be sent; the signature covers it.
        group_context: octets of the epoch's GroupContext.

    Returns:
        The content with its signature. A commit still lacks its tag: see
        `with_confirmation_tag`.
    """
    signed = content.signed(wire_format, group_context)
    signature = sign_with_label(suite, private_key, TBS_LABEL, signed)
    return VerifiedContent(AuthenticatedContent(wire_format, content, signature), PROOF)


def with_confirmation_tag(commit: VerifiedContent, tag: Tag) -> VerifiedContent:
    """Complete a commit of our own."""
    return VerifiedContent(
        AuthenticatedContent(commit.wire_format, commit.content, commit.signature, tag),
        PROOF,
    )


def proposal_reference(suite: CipherSuite, proposal: AuthenticatedContent) -> bytes:
    """Return the name by which commits cover a proposal (section 5.2)."""
    return ref_hash(suite, PROPOSAL_REFERENCE_LABEL, proposal.raw)


def _check_ours(message: AuthenticatedContent, wire_format: WireFormat) -> None:
    """Refuse to send what every receiver would refuse."""
    if message.wire_format is not wire_format:
        raise MlsMisuse(f"signed for wire format {int(message.wire_format)}")
    try:
        check_parts_fit(message)
        if wire_format is WireFormat.PUBLIC_MESSAGE:
            check_not_application(message)
    except MlsInvalid as wrong:
        raise MlsMisuse(f"not to be sent: {wrong}") from wrong


# ---- PublicMessage


def protect_public(
    suite: CipherSuite,
    message: VerifiedContent,
    group_context: bytes,
    membership_key: Secret | None,
) -> PublicMessage:
    """Send a handshake in the clear (section 6.2).

    Args:
        suite: of the group.
        message: signed for this wire format.
        group_context: octets of the epoch's GroupContext.
        membership_key: of the epoch; needed exactly for members.

    Raises:
        MlsMisuse: application data (F04), parts that do not fit (F05, F08), another
            wire format, or a member without `membership_key`.
    """
    _check_ours(message, WireFormat.PUBLIC_MESSAGE)
    if message.content.sender.kind is not SenderType.MEMBER:
        return PublicMessage(message, None)
    if membership_key is None:
        raise MlsMisuse("a member's PublicMessage needs the membership key")
    key = membership_key.reveal()
    tag = suite.mac(key, _membership_input(message, group_context))
    return PublicMessage(message, Tag(tag))


def open_public(
    suite: CipherSuite,
    message: PublicMessage,
    group_context: bytes,
    membership_key: Secret,
) -> AuthenticatedContent:
    """Accept a PublicMessage as a member of the group.

    Raises:
        MlsInvalid: F04, F05, F06, F08.
    """
    content = open_public_without_key(message)
    tag = message.membership_tag
    if tag is not None:
        computed = suite.mac(
            membership_key.reveal(), _membership_input(content, group_context)
        )
        if not tag.ct_equal(computed):
            raise MlsInvalid(Rule.F06, "membership tag is wrong")
    return content


def open_public_without_key(message: PublicMessage) -> AuthenticatedContent:
    """Accept a PublicMessage as a hub or a joiner, who cannot check its tag.

    Raises:
        MlsInvalid: F04, F05, F08; F06 when a tag is missing, or not due.
    """
    content = message.message
    check_not_application(content)
    check_parts_fit(content)
    from_member = content.content.sender.kind is SenderType.MEMBER
    if from_member is not (message.membership_tag is not None):
        raise MlsInvalid(Rule.F06, "membership tag where none is due, or none")
    return content


def _membership_input(message: AuthenticatedContent, group_context: bytes) -> bytes:
    """Return the `AuthenticatedContentTBM`."""
    signed = message.content.signed(message.wire_format, group_context)
    return signed + message.auth()


# ---- PrivateMessage


@dataclass(frozen=True, slots=True)
class SenderData:
    """Which key a PrivateMessage is sealed with (section 6.3.2)."""

    leaf_index: int
    generation: int
    reuse_guard: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Write the `SenderData`."""
        return uint32(self.leaf_index) + uint32(self.generation) + self.reuse_guard


def _read_sender_data(reader: Reader) -> SenderData:
    return SenderData(
        reader.uint32(), reader.uint32(), reader.fixed(REUSE_GUARD_OCTETS)
    )


def protect_private(
    suite: CipherSuite,
    message: VerifiedContent,
    message_key: MessageKey,
    sender_data_secret: Secret,
    reuse_guard: bytes,
    padding_block_octets: int = DEFAULT_LIMITS.padding_block_octets,
) -> PrivateMessage:
    """Seal a content for the members (section 6.3).

    Args:
        suite: of the group.
        message: signed for this wire format by a member.
        message_key: the next of the sender's ratchet for this type of content.
        sender_data_secret: of the epoch.
        reuse_guard: `REUSE_GUARD_OCTETS` random octets.
        padding_block_octets: the plaintext is filled to a multiple of this.

    Raises:
        MlsMisuse: the sender is no member (F05), parts do not fit (F08), or it was
            signed for another wire format.
    """
    _check_ours(message, WireFormat.PRIVATE_MESSAGE)
    content = message.content
    plaintext = encode_content(content.content) + message.auth()
    plaintext += bytes(-len(plaintext) % padding_block_octets)
    place = _sender_data_aad(content.group_id, content.epoch, content.content_type)
    ciphertext = suite.aead_seal(
        message_key.key,
        guarded(message_key.nonce, reuse_guard),
        plaintext,
        place + opaque(content.authenticated_data),
    )
    sender_data = SenderData(content.sender.index, message_key.generation, reuse_guard)
    return PrivateMessage(
        content.group_id,
        content.epoch,
        content.content_type,
        content.authenticated_data,
        seal_sender_data(suite, content, sender_data, sender_data_secret, ciphertext),
        ciphertext,
    )


def seal_sender_data(
    suite: CipherSuite,
    content: FramedContent,
    sender_data: SenderData,
    sender_data_secret: Secret,
    ciphertext: bytes,
) -> bytes:
    """Say to the members which key a ciphertext is sealed with (section 6.3.2)."""
    key, nonce = sender_data_keys(suite, sender_data_secret, ciphertext)
    place = _sender_data_aad(content.group_id, content.epoch, content.content_type)
    return suite.aead_seal(key, nonce, sender_data.encode(), place)


def open_sender_data(
    suite: CipherSuite, message: PrivateMessage, sender_data_secret: Secret
) -> SenderData:
    """Find out who sent a PrivateMessage, and with which key.

    The caller checks that the leaf is not blank (F03) before anything else.

    Raises:
        MlsInvalid: F11, not sealed under this epoch's secret.
        Malformed: what was sealed is no `SenderData`.
    """
    key, nonce = sender_data_keys(suite, sender_data_secret, message.ciphertext)
    place = _sender_data_aad(message.group_id, message.epoch, message.content_type)
    plaintext = _open(suite, key, nonce, message.encrypted_sender_data, place)
    return read_whole(plaintext, _read_sender_data)


def open_private(
    suite: CipherSuite,
    message: PrivateMessage,
    sender_data: SenderData,
    message_key: MessageKey,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
) -> AuthenticatedContent:
    """Open the content of a PrivateMessage. Its signature is not checked yet.

    Args:
        suite: of the group.
        message: what came in.
        sender_data: from `open_sender_data`.
        message_key: of the sender, generation and type of content that it names.
        registry: the types of proposal that are known.
        limits: what is accepted.

    Raises:
        MlsInvalid: F10, F11.
        Malformed: what was sealed is no content.
        MlsUnsupported: C09.
    """
    place = _sender_data_aad(message.group_id, message.epoch, message.content_type)
    associated = place + opaque(message.authenticated_data)
    nonce = guarded(message_key.nonce, sender_data.reuse_guard)
    reader = Reader(
        _open(suite, message_key.key, nonce, message.ciphertext, associated)
    )
    body = read_content(reader, message.content_type, registry, limits)
    signature, tag = read_auth(reader, message.content_type)
    check_padding(reader.data[reader.position :])
    content = FramedContent(
        message.group_id,
        message.epoch,
        Sender(SenderType.MEMBER, sender_data.leaf_index),
        message.authenticated_data,
        body,
    )
    return AuthenticatedContent(WireFormat.PRIVATE_MESSAGE, content, signature, tag)


def sender_data_keys(
    suite: CipherSuite, secret: Secret, ciphertext: bytes
) -> tuple[bytes, bytes]:
    """Return key and nonce of the sender data (section 6.3.2)."""
    sample = ciphertext[: suite.nh]
    octets = secret.reveal()
    return (
        expand_with_label(suite, octets, _KEY, sample, suite.nk),
        expand_with_label(suite, octets, _NONCE, sample, suite.nn),
    )


def _sender_data_aad(group_id: bytes, epoch: int, kind: ContentType) -> bytes:
    return opaque(group_id) + uint64(epoch) + uint8(kind)


def guarded(nonce: bytes, reuse_guard: bytes) -> bytes:
    """XOR a reuse guard into the first octets of a nonce (section 6.3.1)."""
    guard = int.from_bytes(reuse_guard, "big")
    head = int.from_bytes(nonce[:REUSE_GUARD_OCTETS], "big") ^ guard
    return uint32(head) + nonce[REUSE_GUARD_OCTETS:]


def _open(
    suite: CipherSuite, key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes
) -> bytes:
    try:
        return suite.aead_open(key, nonce, ciphertext, associated)
    except OpenFailed as wrong:
        raise MlsInvalid(Rule.F11, str(wrong)) from None

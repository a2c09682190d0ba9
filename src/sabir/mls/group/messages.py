"""Sealing and opening a member's messages (RFC 9420 section 6.3)."""

from dataclasses import dataclass, field

from sabir.mls.codepoints import ContentType, WireFormat
from sabir.mls.env import Env
from sabir.mls.extensions import REQUIRED_WIRE_FORMATS, wire_formats_of
from sabir.mls.framing import (
    Content,
    FramedContent,
    PrivateMessage,
    Sender,
    VerifiedContent,
    encode_message,
)
from sabir.mls.group.epoch import Epoch, PastEpoch
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import LeafNode
from sabir.mls.limits import Limits
from sabir.mls.message_protection import (
    REUSE_GUARD_OCTETS,
    SenderData,
    open_private,
    open_sender_data,
    protect_private,
    protect_public,
    sign_content,
)
from sabir.mls.own_limits import check_octets, check_readable
from sabir.mls.proposals import Proposal, read_proposal
from sabir.mls.ratchet import MessageKey
from sabir.mls.secret_tree import Peeked, RatchetKind, SecretTree
from sabir.mls.semi_private import SemiPrivateMessage, external_receivers_of
from sabir.mls.semi_private_protection import (
    as_private,
    open_semi_private,
    protect_semi_private,
)
from sabir.mls.services import Services
from sabir.mls.validation.components import check_safe_aad
from sabir.mls.validation.framing import check_member, verify_content


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message of ours, to be sent after the state was stored.

    Attributes:
        message: the MLSMessage.
        reference: by which commits name it, for proposals.
    """

    message: bytes = field(repr=False)
    reference: bytes | None = None


def handshake_form(
    context: GroupContext, services: Services, *, as_public: bool
) -> WireFormat:
    """Return the form of a handshake of ours.

    What is not public is semi-private where the group requires that form and names
    external receivers.
    """
    if as_public:
        return WireFormat.PUBLIC_MESSAGE
    if services.semi_private and (
        WireFormat.SEMI_PRIVATE_MESSAGE
        in wire_formats_of(context.extensions, REQUIRED_WIRE_FORMATS)
        and external_receivers_of(context.extensions, services.limits)
    ):
        return WireFormat.SEMI_PRIVATE_MESSAGE
    return WireFormat.PRIVATE_MESSAGE


def sign(
    epoch: Epoch, services: Services, content: Content, aad: bytes, form: WireFormat
) -> VerifiedContent:
    """Sign a content as the member that we are.

    Raises:
        MlsMisuse: more authenticated data than the limit, or a proposal that receivers
            would not read.
        MlsInvalid: E07, the group wants them framed.
    """
    context = epoch.public.context
    check_own_aad(context, aad, services.limits)
    if isinstance(content, Proposal):
        check_readable(
            "this proposal",
            content.raw,
            lambda reader: read_proposal(reader, services.proposals, services.limits),
        )
    framed = FramedContent(
        context.group_id,
        context.epoch,
        Sender.member(epoch.own_leaf),
        aad,
        content,
    )
    return sign_content(
        epoch.public.suite, epoch.signature_key.reveal(), framed, form, context.raw
    )


def check_own_aad(context: GroupContext, aad: bytes, limits: Limits) -> None:
    """Check authenticated data of our own.

    Raises:
        MlsMisuse: more than the limit.
        MlsInvalid: E07, the group wants them framed.
    """
    check_octets("authenticated data", len(aad), limits.authenticated_data_octets_max)
    check_safe_aad(context, aad, limits)


def seal(env: Env, epoch: Epoch, services: Services, message: VerifiedContent) -> bytes:
    """Protect a signed message in the form it was signed for, as an MLSMessage.

    A private one uses up a generation of ours. All but a commit in the clear, which
    waits for its answer, are known again from now on when they come back.

    Raises:
        MlsMisuse: D04, D05, or it is too large: then nothing was used up.
    """
    suite, octets_max = epoch.public.suite, services.limits.message_octets_max
    content = message.content
    if message.wire_format is WireFormat.PUBLIC_MESSAGE:
        sealed = encode_message(
            protect_public(
                suite, message, epoch.public.context.raw, epoch.secrets.membership
            )
        )
        check_octets("a message", len(sealed), octets_max)
        if content.content_type is not ContentType.COMMIT:
            epoch.sent.note_public(sealed, content.raw)  # a commit: when it is cleared
        return sealed
    kind = RatchetKind.of(content.content_type)
    peeked = epoch.secret_tree.peek_next(epoch.own_leaf, kind)
    generation = peeked.message_key.generation
    sealed = _seal_private(env, epoch, services, message, peeked.message_key)
    check_octets("a message", len(sealed), octets_max)
    epoch.secret_tree.consume(peeked)
    epoch.sent.note(kind, generation, sealed, content.raw)
    return sealed


def _seal_private(
    env: Env,
    epoch: Epoch,
    services: Services,
    message: VerifiedContent,
    key: MessageKey,
) -> bytes:
    suite = epoch.public.suite
    if message.wire_format is WireFormat.SEMI_PRIVATE_MESSAGE:
        context = epoch.context
        return encode_message(
            protect_semi_private(
                suite,
                message,
                key,
                epoch.sender_data,
                env.random(REUSE_GUARD_OCTETS),
                context.raw,
                external_receivers_of(context.extensions, services.limits),
                services.limits.padding_block_octets,
            )
        )
    return encode_message(
        protect_private(
            suite,
            message,
            key,
            epoch.secrets.sender_data,
            env.random(REUSE_GUARD_OCTETS),
            services.limits.padding_block_octets,
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class OpenedPrivate:
    """A PrivateMessage that was opened and verified, its key not consumed yet.

    Attributes:
        message: the content.
        sender: the leaf that sent it.
        generation: of its sender's ratchet.
        peeked: the key.
        secret_tree: which has it.
    """

    message: VerifiedContent
    sender: LeafNode
    generation: int
    peeked: Peeked
    secret_tree: SecretTree

    def consume(self) -> None:
        """Delete the key (rule D03)."""
        self.secret_tree.consume(self.peeked)


Sealed = PrivateMessage | SemiPrivateMessage
"""What only members, or only they and some others, can read."""


def who_sent(epoch: Epoch | PastEpoch, message: Sealed) -> SenderData:
    """Find out who sent a sealed message of an epoch."""
    private = (
        as_private(message) if isinstance(message, SemiPrivateMessage) else (message)
    )
    return open_sender_data(epoch.suite, private, epoch.sender_data)


def open_message(
    epoch: Epoch | PastEpoch,
    services: Services,
    message: Sealed,
    sender_data: SenderData,
) -> OpenedPrivate:
    """Open and verify a sealed message; nothing changes.

    Raises:
        Malformed, MlsInvalid: D01, D02, E07, F03, F05, F07, F10, F11, H05.
        MlsUnsupported: C09.
    """
    suite, context, sender = epoch.suite, epoch.context, sender_data.leaf_index
    leaves = epoch.leaves
    leaf = check_member(leaves[sender] if sender < len(leaves) else None, sender)
    kind = RatchetKind.of(message.content_type)
    peeked = epoch.secret_tree.peek(sender, kind, sender_data.generation)
    key, known = peeked.message_key, (services.proposals, services.limits)
    if isinstance(message, SemiPrivateMessage):
        opened = open_semi_private(
            suite, message, sender_data, key.key, key.nonce, context.raw, *known
        )
    else:
        opened = open_private(suite, message, sender_data, key, *known)
    verified = verify_content(suite, opened, context.raw, leaf.signature_key)
    check_safe_aad(context, message.authenticated_data, services.limits)
    return OpenedPrivate(
        verified, leaf, sender_data.generation, peeked, epoch.secret_tree
    )

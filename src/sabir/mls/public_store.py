"""The public half of a group in the store; a hub's group as one string of octets."""

from typing import Final

from sabir.crypto.suites import CipherSuite
from sabir.mls.errors import MlsInvalid, MlsMisuse
from sabir.mls.framing import AuthenticatedContent, Sender, read_authenticated_content
from sabir.mls.group_context import GroupContext, read_group_context
from sabir.mls.key_packages import KeyPackage
from sabir.mls.leaf_node import LeafNode
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import Add, Proposal, ReInit, Update, read_proposal
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.public_group import PublicGroup
from sabir.mls.ratchet_tree import RatchetTree, read_ratchet_tree
from sabir.mls.semi_private_protection import Receiver
from sabir.mls.services import Services
from sabir.mls.tags import Tag
from sabir.mls.validation.proof import PROOF
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, optional, read_whole, uint16, vector

MAGIC: Final = b"SBRP"
FORMAT_VERSION: Final = 1


def encode_public_group(group: PublicGroup) -> bytes:
    """Write a hub's group. Nothing in it is secret."""
    re_init = None if group.re_init is None else opaque(group.re_init.raw)
    waiting = vector(
        opaque(reference) + opaque(item.message.raw)
        for reference, item in group.pending.items()
        if item.message is not None
    )
    return b"".join(
        (
            MAGIC,
            uint16(FORMAT_VERSION),
            opaque(group.context.raw),
            group.tree.encode(),
            opaque(transcript(group.epoch)),
            optional(re_init),
            waiting,
        )
    )


def read_public_group(
    services: Services, octets: bytes, receiver: Receiver | None = None
) -> PublicGroup:
    """Read what `encode_public_group` wrote.

    Args:
        services: the application.
        octets: of the store.
        receiver: the external receiver that we are; it is not stored.

    Raises:
        MlsMisuse: it is damaged, or of a version that we cannot read.
        MlsUnsupported: a suite or a proposal type is not configured.
    """
    try:
        return read_whole(octets, lambda reader: _read(services, reader, receiver))
    except (Malformed, MlsInvalid) as wrong:
        raise MlsMisuse(f"the stored group is damaged: {wrong}") from None


def _read(services: Services, reader: Reader, receiver: Receiver | None) -> PublicGroup:
    if reader.fixed(len(MAGIC)) != MAGIC:
        raise MlsMisuse("this is no stored public group")
    version = reader.uint16()
    if version != FORMAT_VERSION:
        raise MlsMisuse(f"stored in format {version}, this reads {FORMAT_VERSION}")
    context = read_whole(reader.opaque(), read_group_context)
    suite = services.suite(context.cipher_suite)
    tree = stored_tree(services, suite, reader)
    epoch = stored_epoch(suite, context, tree, reader.opaque())
    ended = reader.optional(Reader.opaque)
    waiting = {}
    for reference, message in reader.vector(_read_pair):
        waiting[reference] = stored_proposal(services, reference, message)
    re_init = None if ended is None else stored_re_init(services, ended)
    return PublicGroup(services, epoch, waiting, re_init, receiver)


def _read_pair(reader: Reader) -> tuple[bytes, bytes]:
    return reader.opaque(), reader.opaque()


# ---- parts, which a member's group has too


def transcript(epoch: PublicEpoch) -> bytes:
    """Write what of an epoch is neither in its GroupContext nor in its tree."""
    return opaque(epoch.interim_hash) + opaque(epoch.confirmation_tag.octets)


def stored_epoch(
    suite: CipherSuite, context: GroupContext, tree: RatchetTree, octets: bytes
) -> PublicEpoch:
    """Put an epoch together; `octets` are what `transcript` wrote."""
    interim, tag = read_whole(octets, _read_pair)
    return PublicEpoch(suite, context, tree, Tag(tag), interim)


def stored_tree(services: Services, suite: CipherSuite, reader: Reader) -> RatchetTree:
    """Read a tree that was checked before it was stored."""
    received = read_ratchet_tree(reader, services.limits)
    return RatchetTree.restored(suite, received, PROOF)


def stored_re_init(services: Services, octets: bytes) -> ReInit:
    """Read the ReInit that ended a group."""
    proposal = bare_proposal(services, octets)
    if not isinstance(proposal, ReInit):
        raise MlsMisuse("the stored ReInit is another proposal")
    return proposal


def bare_proposal(services: Services, octets: bytes) -> Proposal:
    """Read a proposal without the message around it."""
    return read_whole(
        octets,
        lambda reader: read_proposal(reader, services.proposals, services.limits),
    )


def stored_proposal(services: Services, reference: bytes, octets: bytes) -> Proposed:
    """Read the message of a proposal that waits."""
    message = read_whole(
        octets,
        lambda reader: read_authenticated_content(
            reader, services.proposals, services.limits
        ),
    )
    proposal = message.content.content
    if not isinstance(proposal, Proposal):
        raise MlsMisuse("a stored proposal is another content")
    return checked_before(proposal, message.content.sender, reference, message)


def checked_before(
    proposal: Proposal,
    sender: Sender,
    reference: bytes | None,
    message: AuthenticatedContent | None = None,
) -> Proposed:
    """Take a proposal that was checked before it was stored."""
    checked: KeyPackage | LeafNode | None = None
    if isinstance(proposal, Add):
        package = proposal.key_package
        checked = KeyPackage(package, LeafNode(package.leaf_node, PROOF), PROOF)
    elif isinstance(proposal, Update):
        checked = LeafNode(proposal.leaf_node, PROOF)
    return Proposed(proposal, sender, reference, message, checked)

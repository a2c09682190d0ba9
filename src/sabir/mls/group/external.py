"""Joining by oneself, and proposing from outside (RFC 9420 12.1.8 and 12.4.3.2)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.client import MlsClient
from sabir.mls.codepoints import SenderType, WireFormat
from sabir.mls.effects import Effects
from sabir.mls.env import Env
from sabir.mls.errors import MlsInvalid, MlsMisuse
from sabir.mls.extensions import Extensions, external_pub_of
from sabir.mls.framing import (
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    FramedContent,
    MlsMessageIn,
    PublicMessage,
    Sender,
    encode_message,
)
from sabir.mls.group.commit import Draft, Drafted, NewLeaf, draft_commit
from sabir.mls.group.covering import as_items
from sabir.mls.group.epoch import GroupState
from sabir.mls.group.export import group_info_of, partial_group_info_of
from sabir.mls.group_context import GroupContext
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.key_schedule import external_init_send
from sabir.mls.message_protection import (
    open_public_without_key,
    protect_public,
    sign_content,
)
from sabir.mls.opening import open_group_info
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import Add, ExternalInit, Proposal, Remove, SelfRemove
from sabir.mls.psk import PskStore
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.public_group import PublicGroup, decoded
from sabir.mls.services import Services
from sabir.mls.staging import accept_proposal, verify
from sabir.mls.transition import apply_list
from sabir.mls.tree_options import PartialGroupInfo, TreePresence
from sabir.mls.validation.rules import Rule
from sabir.mls.validation.welcome import check_extensions_known


@dataclass(frozen=True, slots=True, eq=False)
class PendingExternalJoin:
    """A commit by which we join, until the group's order has accepted it.

    Attributes:
        commit: the MLSMessage to send.
        effects: what it does.
        state: that the group will have for us.
    """

    commit: bytes
    effects: Effects
    state: GroupState
    drafted: Drafted

    def group_info(
        self, *, with_tree: bool, extensions: Extensions = ()
    ) -> GroupInfoIn:
        """Make the GroupInfo of the epoch that the commit begins."""
        return group_info_of(
            self.drafted.epoch, with_tree=with_tree, extensions=extensions
        )

    def partial_group_info(
        self, presence: TreePresence, extensions: Extensions = ()
    ) -> PartialGroupInfo:
        """Make the part of that GroupInfo that a hub cannot."""
        return partial_group_info_of(self.drafted.epoch, presence, extensions)


def join_by_commit(
    env: Env,
    client: MlsClient,
    group_info: bytes | MlsMessageIn | GroupInfoIn,
    *,
    tree: bytes | None = None,
    resync: int | None = None,
    self_removes: Iterable[bytes] = (),
    proposals: Sequence[Proposal] = (),
    psks: PskStore | None = None,
    aad: bytes = b"",
) -> PendingExternalJoin:
    """Make a commit by which we join.

    Args:
        env: clock and randomness.
        client: ours.
        group_info: of the group's current epoch, with `external_pub`.
        tree: the ratchet tree, where it comes beside the GroupInfo.
        resync: leaf of a former membership of ours, which is removed.
        self_removes: MLSMessages of the SelfRemoves that wait in the group.
        proposals: others by value: PSKs, AppDataUpdates, AppEphemerals.
        psks: where keys are found, in place of the client's.
        aad: authenticated data of the commit.

    Raises:
        Malformed, MlsInvalid: X09, W05, W12, a rule of T, L, X or E.
        MlsMissing: the tree, or a PSK.
        MlsUnsupported: a version or suite that we do not have.
    """
    services = client.services
    opened = open_group_info(services, _group_info_of(client, group_info), tree)
    epoch = opened.epoch
    suite = epoch.suite
    identity = client.identity(suite)
    check_extensions_known(epoch.context.extensions, client.capabilities)
    external = external_pub_of(opened.group_info.extensions)
    if external is None:
        raise MlsInvalid(Rule.X09, "the GroupInfo has no external_pub")
    kem_output, init = external_init_send(
        suite, external, env.random(suite.kem.private_octets)
    )
    by_value: list[Proposal] = [ExternalInit(kem_output)]
    if resync is not None:
        by_value.append(Remove(resync))
    by_value += proposals
    covered = [_self_remove(services, epoch, message) for message in self_removes]
    listed = ProposalList(
        [*covered, *(Proposed(item, NEW_MEMBER_COMMIT) for item in by_value)]
    )
    applied = apply_list(epoch, listed, NEW_MEMBER_COMMIT, services, env.now())
    drafted = draft_commit(
        env,
        services,
        Draft(
            applied=applied,
            items=as_items(covered, tuple(by_value)),
            leaf=NewLeaf(
                identity.public,
                identity.private,
                identity.credential,
                client.capabilities,
                client.leaf_extensions,
            ),
            signer=identity.private,
            init=init,
            psks=client.psks if psks is None else psks,
            form=WireFormat.PUBLIC_MESSAGE,
            aad=aad,
        ),
    )
    message = protect_public(suite, drafted.message, epoch.context.raw, None)
    public = PublicGroup(services, drafted.epoch.public)
    return PendingExternalJoin(
        encode_message(message),
        drafted.effects,
        GroupState.begin(public, drafted.epoch),
        drafted,
    )


def _group_info_of(
    client: MlsClient, message: bytes | MlsMessageIn | GroupInfoIn
) -> GroupInfoIn:
    if isinstance(message, GroupInfoIn):
        return message
    body = decoded(message, client.services).body
    if not isinstance(body, GroupInfoIn):
        raise MlsMisuse("this message is no GroupInfo")
    return body


def _self_remove(services: Services, epoch: PublicEpoch, message: bytes) -> Proposed:
    """Check a SelfRemove as far as who is no member can: not its membership tag."""
    body = decoded(message, services).body
    if not isinstance(body, PublicMessage):
        raise MlsInvalid(Rule.E08, "no PublicMessage")
    verified = verify(epoch, open_public_without_key(body), services)
    if not isinstance(verified.content.content, SelfRemove):
        raise MlsInvalid(Rule.X04, "no SelfRemove")
    return accept_proposal(epoch, verified, services, None)


# ---- proposing from outside


def propose_as_external_sender(
    suite: CipherSuite,
    context: GroupContext,
    sender_index: int,
    signature_key: Secret,
    proposal: Proposal,
    aad: bytes = b"",
) -> bytes:
    """Propose something as one of the group's external senders (12.1.8.1).

    Args:
        suite: of the group.
        context: of the current epoch.
        sender_index: which of the `external_senders` we are.
        signature_key: private, of that sender.
        proposal: what.
        aad: authenticated data.

    Returns:
        The MLSMessage.
    """
    sender = Sender(SenderType.EXTERNAL, sender_index)
    return _outside(suite, context, sender, signature_key, proposal, aad)


def propose_to_join(
    suite: CipherSuite,
    context: GroupContext,
    signature_key: Secret,
    add: Add,
    aad: bytes = b"",
) -> bytes:
    """Ask to be added, as the owner of a key package (12.1.8).

    Args:
        suite: of the group.
        context: of the current epoch.
        signature_key: private, of the key package's leaf.
        add: with our key package.
        aad: authenticated data.

    Returns:
        The MLSMessage.
    """
    return _outside(suite, context, NEW_MEMBER_PROPOSAL, signature_key, add, aad)


def _outside(
    suite: CipherSuite,
    context: GroupContext,
    sender: Sender,
    signature_key: Secret,
    proposal: Proposal,
    aad: bytes,
) -> bytes:
    content = FramedContent(context.group_id, context.epoch, sender, aad, proposal)
    form = WireFormat.PUBLIC_MESSAGE
    signed = sign_content(suite, signature_key.reveal(), content, form, context.raw)
    return encode_message(protect_public(suite, signed, context.raw, None))

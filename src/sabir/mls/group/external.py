"""Joining by oneself, and proposing from outside (RFC 9420 12.1.8 and 12.4.3.2)."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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
from sabir.mls.group.commit import Draft, NewLeaf, draft_commit
from sabir.mls.group.covering import as_items
from sabir.mls.group.epoch import Epoch, GroupState
from sabir.mls.group.export import group_info_of, partial_group_info_of
from sabir.mls.group.load_join import load_join
from sabir.mls.group.messages import check_own_aad
from sabir.mls.group.saver import Saver
from sabir.mls.group.state import JOIN, Rows, join_row, row_key
from sabir.mls.group_context import GroupContext
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.key_schedule import external_init_send
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.message_protection import (
    open_public_without_key,
    protect_public,
    sign_content,
)
from sabir.mls.misuse import seconds
from sabir.mls.opening import open_group_info
from sabir.mls.own_limits import check_octets, check_own_list, check_readable
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import (
    STANDARD_PROPOSALS,
    Add,
    ExternalInit,
    Proposal,
    ProposalRegistry,
    Remove,
    SelfRemove,
    read_proposal,
)
from sabir.mls.psk import PskStore
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.public_group import PublicGroup, decoded
from sabir.mls.services import Services
from sabir.mls.staging import accept_proposal, verify
from sabir.mls.transition import apply_list
from sabir.mls.tree_options import PartialGroupInfo, TreePresence
from sabir.mls.validation.rules import Rule
from sabir.mls.validation.welcome import check_extensions_known, check_not_member


@dataclass(frozen=True, slots=True, eq=False)
class PendingExternalJoin:
    """A commit by which we join, until the group's order has accepted it.

    Store it before the commit leaves: nothing but this can enter the epoch that it
    begins, and whoever stays away from there is a member that cannot be reached.

    Attributes:
        commit: the MLSMessage to send.
        effects: what it does.
        state: that the group will have for us.
        saver: knows what the store has.
    """

    commit: bytes = field(repr=False)
    effects: Effects
    state: GroupState
    saver: Saver = field(default_factory=Saver, repr=False)

    def save(self) -> Rows:
        """Return it as rows.

        Keep them by themselves, beside those of a former membership if this is to
        replace one. If the commit was accepted, store what `accept` gives in their
        place: as a whole, or by its first delta, which names what goes. If not, delete
        them.
        """
        rows = self.saver.whole(self.state, None)
        rows[row_key(JOIN)] = join_row(self.commit, self.effects)
        self.saver.gave(rows)
        return rows

    @classmethod
    def load(
        cls, client: MlsClient, rows: Mapping[bytes, bytes]
    ) -> "PendingExternalJoin":
        """Take it from the store. Raises as `load_join`."""
        loaded = load_join(client, rows)
        saver = Saver()
        saver.gave(rows)
        return cls(loaded.commit, loaded.effects, loaded.state, saver)

    @property
    def epoch(self) -> Epoch:
        """Return the epoch that the commit begins."""
        epoch = self.state.epoch
        assert epoch is not None
        return epoch

    def group_info(
        self, *, with_tree: bool, extensions: Extensions = ()
    ) -> GroupInfoIn:
        """Make the GroupInfo of the epoch that the commit begins."""
        return group_info_of(self.epoch, with_tree=with_tree, extensions=extensions)

    def partial_group_info(
        self, presence: TreePresence, extensions: Extensions = ()
    ) -> PartialGroupInfo:
        """Make the part of that GroupInfo that a hub cannot."""
        return partial_group_info_of(self.epoch, presence, extensions)


def join_by_commit(
    env: Env,
    client: MlsClient,
    group_info: bytes | MlsMessageIn | GroupInfoIn,
    *,
    member_of: Container[bytes],
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
        member_of: the ids of all groups that we are a member of: whatever answers
            `group_id in member_of`, e.g. a set or the store.
        tree: the ratchet tree, where it comes beside the GroupInfo.
        resync: leaf of a former membership of ours, which is removed: only so may we
            join a group that we are in, whose state here is then to be replaced.
        self_removes: MLSMessages of the SelfRemoves that wait in the group.
        proposals: others by value: PSKs, AppDataUpdates, AppEphemerals.
        psks: where keys are found, in place of the client's.
        aad: authenticated data of the commit.

    Raises:
        Malformed, MlsInvalid: X09, W05, W06, W12, a rule of T, L, X or E; Q12, the
            group is full.
        MlsMissing: the tree, or a PSK.
        MlsUnsupported: a version or suite that we do not have.
        MlsMisuse: the commit would be more than our limits let others send.
    """
    services = client.services
    limits = services.limits
    opened = open_group_info(services, _group_info_of(client, group_info), tree)
    epoch = opened.epoch
    if resync is None:
        check_not_member(epoch.context, member_of)
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
    check_own_aad(epoch.context, aad, limits)
    check_own_list(by_value, epoch.tree, limits)
    listed = ProposalList(
        [*covered, *(Proposed(item, NEW_MEMBER_COMMIT) for item in by_value)]
    )
    applied = apply_list(epoch, listed, NEW_MEMBER_COMMIT, services, seconds(env))
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
    message = encode_message(
        protect_public(suite, drafted.message, epoch.context.raw, None)
    )
    check_octets("a message", len(message), limits.message_octets_max)
    public = PublicGroup(services, drafted.epoch.public)
    return PendingExternalJoin(
        message,
        drafted.effects,
        GroupState.begin(public, drafted.epoch),
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
    *,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Propose something as one of the group's external senders (12.1.8.1).

    Args:
        suite: of the group.
        context: of the current epoch.
        sender_index: which of the `external_senders` we are.
        signature_key: private, of that sender.
        proposal: what.
        aad: authenticated data.
        registry: the types of proposal that the group's members know.
        limits: theirs.

    Returns:
        The MLSMessage.

    Raises:
        MlsMisuse: it is more than members would let wait.
    """
    sender = Sender(SenderType.EXTERNAL, sender_index)
    return _outside(
        suite, context, sender, signature_key, proposal, aad, registry, limits
    )


def propose_to_join(
    suite: CipherSuite,
    context: GroupContext,
    signature_key: Secret,
    add: Add,
    aad: bytes = b"",
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Ask to be added, as the owner of a key package (12.1.8).

    Args:
        suite: of the group.
        context: of the current epoch.
        signature_key: private, of the key package's leaf.
        add: with our key package.
        aad: authenticated data.
        limits: of the members.

    Returns:
        The MLSMessage.

    Raises:
        MlsMisuse: it is more than members would let wait.
    """
    return _outside(
        suite,
        context,
        NEW_MEMBER_PROPOSAL,
        signature_key,
        add,
        aad,
        STANDARD_PROPOSALS,
        limits,
    )


def _outside(
    suite: CipherSuite,
    context: GroupContext,
    sender: Sender,
    signature_key: Secret,
    proposal: Proposal,
    aad: bytes,
    registry: ProposalRegistry,
    limits: Limits,
) -> bytes:
    check_own_aad(context, aad, limits)
    check_readable(
        "this proposal",
        proposal.raw,
        lambda reader: read_proposal(reader, registry, limits),
    )
    content = FramedContent(context.group_id, context.epoch, sender, aad, proposal)
    form = WireFormat.PUBLIC_MESSAGE
    signed = sign_content(suite, signature_key.reveal(), content, form, context.raw)
    check_octets("a proposal", len(signed.raw), limits.pending_proposal_octets_max)
    return encode_message(protect_public(suite, signed, context.raw, None))

"""Receiving as a member (RFC 9420 sections 6, 12.4.2 and 15.3).

A commit changes nothing here: what comes out is a `StagedCommit`, which holds the new
epoch beside the old one until the caller merges it. A proposal is kept until a commit;
an application message uses up its key. What is refused leaves no trace.
"""

from dataclasses import dataclass
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.mls.client import MlsClient
from sabir.mls.codepoints import ContentType, SenderType
from sabir.mls.commit import Commit
from sabir.mls.effects import Effects
from sabir.mls.env import Env
from sabir.mls.errors import MlsMissing, MlsMisuse
from sabir.mls.framing import (
    MlsMessageIn,
    PrivateMessage,
    PublicMessage,
    VerifiedContent,
)
from sabir.mls.group.epoch import Epoch, GroupPsks, GroupState, PastEpoch
from sabir.mls.group.messages import OpenedPrivate, Sealed, open_message, who_sent
from sabir.mls.key_schedule import (
    external_init_receive,
    joiner_secret,
    new_epoch,
    zero_secret,
)
from sabir.mls.leaf_node import LeafNode
from sabir.mls.message_protection import open_public, proposal_reference
from sabir.mls.proposals import Proposal
from sabir.mls.psk import find_psks, psk_secret
from sabir.mls.public_group import ProposalReceived, decoded
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.semi_private import SemiPrivateMessage
from sabir.mls.staging import PublicStage, verify
from sabir.mls.treekem import PrivateKeys, open_path
from sabir.mls.validation.commit import check_confirmation_tag
from sabir.mls.validation.components import check_framing
from sabir.mls.validation.framing import check_epoch, check_group_id

_OUR_MESSAGE: Final = "what belongs to a message of our own"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationMessage:
    """Application data from a member.

    Attributes:
        sender: leaf index, in the tree of `epoch`.
        leaf_node: of the sender in that tree.
        epoch: in which it was sent.
        generation: of the sender's ratchet.
        data: what was sent.
        authenticated_data: that came with it, readable by everybody.
    """

    sender: int
    leaf_node: LeafNode
    epoch: int
    generation: int
    data: bytes
    authenticated_data: bytes


@dataclass(frozen=True, slots=True)
class OwnEcho:
    """A message of our own came back; `merge_pending` if it is a commit.

    Attributes:
        content_type: what it is.
    """

    content_type: ContentType


@dataclass(frozen=True, slots=True, eq=False)
class StagedCommit:
    """A commit that was checked and changes nothing before it is merged.

    Attributes:
        effects: what it does, for the application to judge.
        public: the public half.
        epoch: that it begins; None when it removes us.
        opened: the PrivateMessage that it came in.
    """

    effects: Effects
    public: PublicStage
    epoch: Epoch | None
    opened: OpenedPrivate | None = None


Processed = ApplicationMessage | ProposalReceived | StagedCommit | OwnEcho


def process(
    env: Env,
    client: MlsClient,
    state: GroupState,
    own_commit: bytes | None,
    message: bytes | MlsMessageIn,
) -> Processed:
    """Judge a message.

    Args:
        env: the clock.
        client: ours.
        state: of the group; its past epochs are current.
        own_commit: the commit of ours that waits for its answer.
        message: an MLSMessage.

    Raises:
        Malformed, MlsInvalid: the peer broke a rule.
        MlsUnsupported: something that we do not know.
        MlsMissing: an epoch that is not here, or a PSK.
        MlsMisuse: it is no message to a group.
    """
    received = decoded(message, client.services)
    if own_commit is not None and received.raw == own_commit:
        return OwnEcho(ContentType.COMMIT)
    body = received.body
    if isinstance(body, PrivateMessage | SemiPrivateMessage):
        return _process_private(env, client, state, body)
    if isinstance(body, PublicMessage):
        return _process_public(env, client, state, body)
    raise MlsMisuse(f"wire format {int(received.wire_format)} is no group message")


def _process_public(
    env: Env, client: MlsClient, state: GroupState, body: PublicMessage
) -> Processed:
    public = state.public.epoch
    content = body.message.content
    check_group_id(content.group_id, public.context.group_id)
    epoch = _current(state)
    check_epoch(content, public.context.epoch)
    opened = open_public(
        public.suite, body, public.context.raw, epoch.secrets.membership
    )
    verified = verify(public, opened, client.services)
    return _handshake(env, client, state, epoch, verified, None)


def _process_private(
    env: Env, client: MlsClient, state: GroupState, body: Sealed
) -> Processed:
    epoch = _epoch_of(state, body)
    data = who_sent(epoch, body)
    if data.leaf_index == epoch.own_leaf:
        kind = RatchetKind.of(body.content_type)
        if data.generation < epoch.secret_tree.generation(epoch.own_leaf, kind):
            return _own_private(body.content_type)
    opened = open_message(epoch, client.services, body, data)
    content = opened.message.content
    if isinstance(content.content, bytes):
        check_framing(epoch.context, content.content)
        opened.consume()
        return ApplicationMessage(
            sender=data.leaf_index,
            leaf_node=opened.sender,
            epoch=body.epoch,
            generation=data.generation,
            data=content.content,
            authenticated_data=content.authenticated_data,
        )
    assert isinstance(epoch, Epoch)  # check_epoch: handshakes are of the current one
    return _handshake(env, client, state, epoch, opened.message, opened)


def _own_private(content_type: ContentType) -> OwnEcho:
    """Recognize a PrivateMessage of ours, whose key we do not have any more.

    Nothing but the sender data says that it is ours, and every member can make those.
    A commit would be merged for it: our pending one is known by its octets, and any
    other is none that still matters.
    """
    if content_type is ContentType.COMMIT:
        raise MlsMissing(_OUR_MESSAGE)
    return OwnEcho(content_type)


def _epoch_of(state: GroupState, body: Sealed) -> Epoch | PastEpoch:
    """Find the epoch of a PrivateMessage among the current and those kept."""
    context = state.public.epoch.context
    check_group_id(body.group_id, context.group_id)
    past = {epoch.number: epoch for epoch in state.past}
    check_epoch(body, context.epoch, past)
    found = past.get(body.epoch)
    if found is not None and body.content_type is ContentType.APPLICATION:
        return found
    return _current(state)


def _current(state: GroupState) -> Epoch:
    """Return the epoch in which messages may still come."""
    if state.epoch is None:
        raise MlsMissing("the current epoch, from which we were removed,")
    state.public.check_not_ended()
    return state.epoch


def _handshake(
    env: Env,
    client: MlsClient,
    state: GroupState,
    epoch: Epoch,
    message: VerifiedContent,
    opened: OpenedPrivate | None,
) -> Processed:
    sender, body = message.content.sender, message.content.content
    if sender.kind is SenderType.MEMBER and sender.index == epoch.own_leaf:
        return _own(state, message)
    now = env.now() if client.services.judge_lifetimes else None
    if isinstance(body, Proposal):
        received = state.public.receive(message, now)
        if opened is not None:
            opened.consume()
        return received
    assert isinstance(body, Commit)
    staged = state.public.stage(message, now, epoch.own_leaf)
    if staged.effects.self_removed:
        return StagedCommit(staged.effects, staged, None, opened)
    return StagedCommit(
        staged.effects, staged, _enter(client, state, epoch, staged), opened
    )


def _own(state: GroupState, message: VerifiedContent) -> OwnEcho:
    """Recognize a message of ours that we still know."""
    if message.content.content_type is ContentType.PROPOSAL:
        reference = proposal_reference(state.public.epoch.suite, message)
        if reference in state.public.pending:
            return OwnEcho(ContentType.PROPOSAL)
    raise MlsMissing(_OUR_MESSAGE)


def _enter(
    client: MlsClient, state: GroupState, epoch: Epoch, staged: PublicStage
) -> Epoch:
    """Derive the secrets of the epoch that a commit begins."""
    public = staged.after
    suite = public.suite
    proposals = staged.applied.proposals
    store = GroupPsks(client.psks, public.context.group_id, state.resumption)
    psks = find_psks(store, staged.effects.psks)
    keys, signature_key = _own_keys(state, epoch, staged)
    commit_secret = zero_secret(suite)
    if staged.path is not None:
        opened = open_path(
            public.tree,
            keys,
            staged.applied.committer_leaf,
            staged.path,
            staged.provisional.raw,
            staged.applied.new_leaves,
        )
        keys, commit_secret = opened.keys, opened.commit_secret
    else:
        keys = keys.kept(public.tree)
    init = epoch.secrets.init
    if proposals.external_init is not None:
        init = external_init_receive(
            suite, epoch.secrets.external, proposals.external_init.kem_output
        )
    joiner = joiner_secret(suite, init, commit_secret, public.context.raw)
    new = new_epoch(suite, joiner, psk_secret(suite, psks), public.context.raw)
    check_confirmation_tag(
        suite,
        new.kept.confirmation,
        public.context.confirmed_transcript_hash,
        public.confirmation_tag,
    )
    return Epoch.of(public, keys, new, signature_key, client.services.limits)


def _own_keys(
    state: GroupState, epoch: Epoch, staged: PublicStage
) -> tuple[PrivateKeys, Secret]:
    """Return our keys after an Update of ours that the commit may cover."""
    for item in staged.applied.proposals:
        own = state.own_updates.get(item.reference or b"")
        if own is not None:
            return epoch.keys.with_leaf_key(own.encryption_key), own.signature_key
    return epoch.keys, epoch.signature_key

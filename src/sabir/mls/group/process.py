"""Receiving as a member (RFC 9420 sections 6, 12.4.2 and 15.3).

A commit changes nothing here: what comes out is a `StagedCommit`, which holds the new
epoch beside the old one until the caller merges it. A proposal is kept until a commit;
an application message uses up its key. What is refused leaves no trace.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.mls.client import MlsClient
from sabir.mls.codepoints import ContentType
from sabir.mls.commit import Commit
from sabir.mls.effects import Effects
from sabir.mls.env import Env
from sabir.mls.errors import MlsInvalid, MlsMissing, MlsMisuse, MlsRolledBack
from sabir.mls.framing import (
    FramedContent,
    MlsMessageIn,
    PrivateMessage,
    PublicMessage,
    Sender,
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
from sabir.mls.message_protection import (
    SenderData,
    open_public,
    proposal_reference,
)
from sabir.mls.misuse import seconds
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import Proposal
from sabir.mls.psk import find_psks, psk_secret
from sabir.mls.public_group import ProposalReceived, decoded
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.semi_private import SemiPrivateMessage
from sabir.mls.services import Services
from sabir.mls.staging import PublicStage, accept_proposal, verify
from sabir.mls.treekem import PrivateKeys, open_path
from sabir.mls.validation.commit import check_confirmation_tag
from sabir.mls.validation.components import check_framing
from sabir.mls.validation.framing import check_epoch, check_group_id
from sabir.mls.validation.rules import Rule

_OUR_MESSAGE: Final = "what we knew of this message of ours"
_CLEARED: Final = (
    "a commit of ours that was cleared (join again, if the group has entered its epoch)"
)
_NO_PROPOSAL: Final = "with a commit go the proposals that it names"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationMessage:
    """Application data from a member.

    Attributes:
        sender: leaf index, in the tree of `epoch`.
        leaf_node: of the sender in that tree.
        epoch: in which it was sent.
        generation: of the sender's ratchet.
        skipped: how many messages of the sender in this epoch are missing right before
            this one: they are late, were never sent on, or whoever delivers holds them
            back.
        is_late: whether it was such a missing one.
        data: what was sent.
        authenticated_data: that came with it, readable by everybody.
    """

    sender: int
    leaf_node: LeafNode
    epoch: int
    generation: int
    skipped: int
    is_late: bool
    data: bytes = field(repr=False)
    authenticated_data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnEcho:
    """A message of our own came back; `merge_pending` if it is a commit.

    It is the very octets that left: a message that somebody else gave out for ours, or
    changed, is refused (rules D02, F07), and one that another copy of our state sent is
    `MlsRolledBack`. It may come more than once.

    Attributes:
        content_type: what it is.
        epoch: in which it was sent.
        generation: of our ratchet; None for a PublicMessage.
        authenticated_data: that went with it.
    """

    content_type: ContentType
    epoch: int
    generation: int | None
    authenticated_data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class StagedCommit:
    """A commit that was checked and changes nothing before it is merged.

    Attributes:
        effects: what it does, for the application to judge.
        public: the public half.
        epoch: that it begins; None when it removes us.
        opened: the PrivateMessages that it and what was given with it came in.
    """

    effects: Effects
    public: PublicStage
    epoch: Epoch | None
    opened: tuple[OpenedPrivate, ...] = ()


Processed = ApplicationMessage | ProposalReceived | StagedCommit | OwnEcho


def process(
    env: Env,
    client: MlsClient,
    state: GroupState,
    own_commit: bytes | None,
    message: bytes | MlsMessageIn,
    proposals: Iterable[bytes | MlsMessageIn] = (),
) -> Processed:
    """Judge a message.

    Args:
        env: the clock.
        client: ours.
        state: of the group; its past epochs are current.
        own_commit: the commit of ours that waits for its answer.
        message: an MLSMessage.
        proposals: MLSMessages of proposals that a commit names and that do not wait
            here, after `ProposalsMissing`. They are held to all rules but the room for
            what waits, count for this commit alone, and are read for no other message.

    Raises:
        Malformed, MlsInvalid: the peer broke a rule.
        MlsUnsupported: something that we do not know.
        MlsMissing: an epoch that is not here, a PSK, room for another proposal, what we
            knew of a message of ours, the epoch that a cleared commit of ours began, or
            (`ProposalsMissing`) proposals that a commit names.
        MlsMisuse: it is no message to a group, or what goes with it is no proposal.
        MlsRolledBack: our leaf sent it, and this state does not know.
    """
    received = decoded(message, client.services)
    is_pending = own_commit is not None and received.raw == own_commit
    body = received.body
    if isinstance(body, PrivateMessage | SemiPrivateMessage):
        return _process_private(
            env, client, state, received, body, proposals, is_pending=is_pending
        )
    if isinstance(body, PublicMessage):
        if is_pending:
            return _echo(body.message.content, None)
        epoch, verified = _open_public(client, state, body)
        if _is_own(epoch, verified):
            waiting = public_content(client.services, own_commit)
            return _own_public(state, epoch, waiting, received.raw, verified)
        return _handshake(env, client, state, epoch, verified, None, proposals)
    raise MlsMisuse(f"wire format {int(received.wire_format)} is no group message")


def _is_own(epoch: Epoch, message: VerifiedContent) -> bool:
    return message.content.sender == Sender.member(epoch.own_leaf)


def _open_public(
    client: MlsClient, state: GroupState, body: PublicMessage
) -> tuple[Epoch, VerifiedContent]:
    """Open and verify a PublicMessage of the current epoch."""
    public = state.public.epoch
    content = body.message.content
    check_group_id(content.group_id, public.context.group_id)
    epoch = _current(state)
    check_epoch(content, public.context.epoch)
    opened = open_public(
        public.suite, body, public.context.raw, epoch.secrets.membership
    )
    return epoch, verify(public, opened, client.services)


def _process_private(
    env: Env,
    client: MlsClient,
    state: GroupState,
    received: MlsMessageIn,
    body: Sealed,
    proposals: Iterable[bytes | MlsMessageIn],
    *,
    is_pending: bool,
) -> Processed:
    epoch = _epoch_of(state, body)
    data = who_sent(epoch, body)
    if is_pending:
        return _echo(body, data.generation)
    if data.leaf_index == epoch.own_leaf:
        return _own_private(client, epoch, received.raw, body, data)
    opened = open_message(epoch, client.services, body, data)
    content = opened.message.content
    if isinstance(content.content, bytes):
        check_framing(epoch.context, content.content)
        expected = epoch.secret_tree.generation(
            data.leaf_index, RatchetKind.APPLICATION
        )
        opened.consume()
        return ApplicationMessage(
            sender=data.leaf_index,
            leaf_node=opened.sender,
            epoch=body.epoch,
            generation=data.generation,
            skipped=max(0, data.generation - expected),
            is_late=data.generation < expected,
            data=content.content,
            authenticated_data=content.authenticated_data,
        )
    assert isinstance(epoch, Epoch)  # check_epoch: handshakes are of the current one
    return _handshake(env, client, state, epoch, opened.message, opened, proposals)


def _echo(message: FramedContent | Sealed, generation: int | None) -> OwnEcho:
    return OwnEcho(
        message.content_type, message.epoch, generation, message.authenticated_data
    )


def _own_private(
    client: MlsClient,
    epoch: Epoch | PastEpoch,
    raw: bytes,
    body: Sealed,
    data: SenderData,
) -> OwnEcho:
    """Judge a sealed message that gives itself out for ours.

    Nothing but the sender data says so, and every member can make those. Its key is
    gone if we used it: then its octets decide. If we did not, the message is opened as
    anybody's. With our signature on something that we never said here, we said it
    somewhere else.

    Raises:
        MlsInvalid: D02 it is not what we sent, or is what we said, sealed again.
        MlsMissing: a commit of ours that was cleared, or too long ago to tell.
        MlsRolledBack: we sent it, and this state does not know.
    """
    kind, generation = RatchetKind.of(body.content_type), data.generation
    sent = epoch.sent
    if generation >= epoch.secret_tree.generation(epoch.own_leaf, kind):
        content = open_message(epoch, client.services, body, data).message.content
        if sent.has_signed(content.raw):
            raise MlsInvalid(Rule.D02, f"ours, sealed again: generation {generation}")
        raise MlsRolledBack(epoch.own_leaf, body.epoch, generation)
    if not sent.is_known(kind, generation):
        raise MlsMissing(_OUR_MESSAGE)
    if not sent.is_ours(kind, generation, raw):
        raise MlsInvalid(Rule.D02, f"generation {generation} of ours was another")
    if body.content_type is ContentType.COMMIT:
        raise MlsMissing(_CLEARED)
    return _echo(body, generation)


def _own_public(
    state: GroupState,
    epoch: Epoch,
    waiting: bytes | None,
    raw: bytes,
    message: VerifiedContent,
) -> OwnEcho:
    """Judge a PublicMessage with our signature.

    Args:
        state: of the group.
        epoch: the current one.
        waiting: content of the commit of ours that waits for its answer.
        raw: the MLSMessage.
        message: the same, its signature checked.

    Raises:
        MlsInvalid: F07, with a signature on it that we did not make. Whoever has one of
            ECDSA can make a second.
        MlsMissing: a commit of ours that was cleared.
        MlsRolledBack: we sent it, and this state does not know.
    """
    content = message.content
    if content.content_type is ContentType.PROPOSAL:
        reference = proposal_reference(epoch.suite, message)
        if reference in state.public.pending:
            return _echo(content, None)
    if epoch.sent.is_ours_in_public(raw):
        if content.content_type is ContentType.COMMIT:
            raise MlsMissing(_CLEARED)
        return _echo(content, None)
    if content.raw == waiting or epoch.sent.has_signed(content.raw):
        raise MlsInvalid(Rule.F07, "another signature than ours on what we said")
    raise MlsRolledBack(epoch.own_leaf, content.epoch, None)


def public_content(services: Services, message: bytes | None) -> bytes | None:
    """Return the FramedContent of a message of ours, if it is a PublicMessage."""
    body = None if message is None else decoded(message, services).body
    return body.message.content.raw if isinstance(body, PublicMessage) else None


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
    proposals: Iterable[bytes | MlsMessageIn],
) -> Processed:
    body = message.content.content
    now = seconds(env) if client.services.judge_lifetimes else None
    if isinstance(body, Proposal):
        received = state.public.receive(message, now)
        if opened is not None:
            opened.consume()
        return received
    assert isinstance(body, Commit)
    given = [_given(client, state, each, now) for each in proposals]
    items = [each.item for each in given]
    staged = state.public.stage(message, now, epoch.own_leaf, items)
    keys = tuple(
        each for each in (opened, *(one.opened for one in given)) if each is not None
    )
    if staged.effects.self_removed:
        return StagedCommit(staged.effects, staged, None, keys)
    return StagedCommit(
        staged.effects, staged, _enter(client, state, epoch, staged), keys
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """A proposal that came with the commit that names it."""

    item: Proposed
    opened: OpenedPrivate | None


def _given(
    client: MlsClient, state: GroupState, message: bytes | MlsMessageIn, now: int | None
) -> _Given:
    """Judge a proposal as if it came by itself; it is not kept, and uses up no key."""
    received = decoded(message, client.services)
    body = received.body
    opened = None
    if isinstance(body, PrivateMessage | SemiPrivateMessage):
        epoch = _current(state)
        check_group_id(body.group_id, epoch.context.group_id)
        check_epoch(body, epoch.context.epoch)
        data = who_sent(epoch, body)
        if data.leaf_index == epoch.own_leaf:
            _own_private(client, epoch, received.raw, body, data)
            raise MlsMissing(_OUR_MESSAGE)
        opened = open_message(epoch, client.services, body, data)
        verified = opened.message
    elif isinstance(body, PublicMessage):
        epoch, verified = _open_public(client, state, body)
    else:
        raise MlsMisuse(f"{_NO_PROPOSAL}, not {body.__class__.__name__}")
    content = verified.content
    if not isinstance(content.content, Proposal):
        raise MlsMisuse(f"{_NO_PROPOSAL}, not content type {content.content_type}")
    if _is_own(epoch, verified):
        _own_public(state, epoch, None, received.raw, verified)
        raise MlsMissing(_OUR_MESSAGE)
    services = client.services
    return _Given(accept_proposal(epoch.public, verified, services, now), opened)


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

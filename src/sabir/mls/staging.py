"""Judging a handshake by what is public, without changing the group (section 12).

`accept_proposal` says whether a proposal may wait for a commit; `stage_commit` says
what a commit would make of the public half of the group. A hub stops there, a member
goes on with the secrets in `sabir.mls.group.process`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sabir.mls.codepoints import MLS10, SenderType
from sabir.mls.commit import Commit, UpdatePath
from sabir.mls.credentials import Where
from sabir.mls.effects import Effects
from sabir.mls.extensions import external_senders_of
from sabir.mls.framing import AuthenticatedContent, VerifiedContent
from sabir.mls.group_context import GroupContext
from sabir.mls.key_packages import KeyPackage
from sabir.mls.leaf_node import LeafNode
from sabir.mls.message_protection import proposal_reference
from sabir.mls.next_epoch import (
    effects_of,
    new_context,
    new_public_epoch,
    provisional_context,
)
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import (
    Add,
    AppDataUpdate,
    AppEphemeral,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    SelfRemove,
    Update,
)
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.services import Services
from sabir.mls.transition import (
    Applied,
    apply_list,
    check_credentials_supported,
    check_path_leaf,
    check_successor,
)
from sabir.mls.treekem import merge_path
from sabir.mls.validation.commit import check_path_present, resolve
from sabir.mls.validation.components import (
    check_safe_aad,
    check_self_remove_form,
    known_component,
)
from sabir.mls.validation.external import path_of
from sabir.mls.validation.framing import (
    check_epoch,
    check_group_id,
    signer_key,
    verify_content,
)
from sabir.mls.validation.key_package import validate_key_package
from sabir.mls.validation.leaf_node import LeafRules
from sabir.mls.validation.proposals import (
    check_policy,
    check_psk_nonce,
    check_psk_usage,
    check_removed_leaf,
    check_sender_type,
    check_version_not_lower,
)


def verify(
    epoch: PublicEpoch, message: AuthenticatedContent, services: Services
) -> VerifiedContent:
    """Check that a handshake is for this epoch, and signed by whom it names.

    Raises:
        MlsInvalid: F01 to F03, F05, F07 to F09, E07.
        MlsMissing: it is of another epoch.
    """
    content, context = message.content, epoch.context
    check_group_id(content.group_id, context.group_id)
    check_epoch(content, context.epoch)
    sender = content.sender
    leaf = epoch.tree.leaf(sender.index) if sender.kind is SenderType.MEMBER else None
    senders = (
        external_senders_of(context.extensions, services.limits)
        if sender.kind is SenderType.EXTERNAL
        else ()
    )
    key = signer_key(message, leaf, senders)
    verified = verify_content(epoch.suite, message, context.raw, key)
    check_safe_aad(context, content.authenticated_data, services.limits)
    return verified


# ---- proposals


def accept_proposal(
    epoch: PublicEpoch, message: VerifiedContent, services: Services, now: int | None
) -> Proposed:
    """Judge a proposal that came in by itself.

    What depends on other proposals is judged with the commit.

    Args:
        epoch: the current one.
        message: verified.
        services: the application.
        now: seconds since 1970 to judge a key package by; None lets it be.

    Raises:
        MlsInvalid: a rule of P, K or L, Q09, E02, E08.
    """
    proposal, sender = message.content.content, message.content.sender
    assert isinstance(proposal, Proposal)
    item = Proposed(proposal, sender, proposal_reference(epoch.suite, message), message)
    if isinstance(proposal, SelfRemove):
        check_self_remove_form(sender, message.wire_format)
    check_sender_type(item, services.proposals)
    checked = _check_body(epoch, item, services, now)
    check_policy(services.policy, epoch.context, item)
    return Proposed(proposal, sender, item.reference, message, checked)


def _check_body(
    epoch: PublicEpoch, item: Proposed, services: Services, now: int | None
) -> KeyPackage | LeafNode | None:
    proposal = item.proposal
    match proposal:
        case Add():
            return validate_key_package(
                proposal.key_package, _rules_of_leaves(epoch, services), now
            )
        case Update():
            return _check_update(epoch, item.sender.index, proposal, services)
        case Remove():
            check_removed_leaf(epoch.tree, proposal.removed)
        case PreSharedKey():
            check_psk_nonce(epoch.suite, proposal.psk)
            check_psk_usage(proposal.psk)
        case ReInit():
            check_version_not_lower(epoch.context, proposal)
        case AppDataUpdate() | AppEphemeral():
            known_component(services.components, proposal.component_id)
        case _:
            pass
    return None


def _check_update(
    epoch: PublicEpoch, index: int, update: Update, services: Services
) -> LeafNode:
    old = epoch.tree.leaf(index)
    assert old is not None  # F03: the message was verified by its key
    rules = _rules_of_leaves(epoch, services)
    return check_successor(
        epoch.context, rules, services, old, update.leaf_node, index, Where.UPDATE
    )


def _rules_of_leaves(epoch: PublicEpoch, services: Services) -> LeafRules:
    """Return what is asked of a leaf whatever the list it will be committed with.

    The list may change what the group requires: that is judged with the commit.
    """
    return LeafRules(
        suite=epoch.suite,
        authentication=services.authentication,
        version=MLS10,
        limits=services.limits,
        suites=services.suites,
    )


# ---- commits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PublicStage:
    """What a commit would make of the public half of a group.

    Attributes:
        before: the epoch that ends.
        after: the epoch that it begins.
        effects: for the application.
        applied: the proposals.
        path: of the commit.
        provisional: under which its path secrets are sealed.
        message: the commit.
    """

    before: PublicEpoch
    after: PublicEpoch
    effects: Effects
    applied: Applied
    path: UpdatePath | None
    provisional: GroupContext
    message: VerifiedContent


def stage_commit(
    epoch: PublicEpoch,
    pending: Mapping[bytes, Proposed],
    message: VerifiedContent,
    services: Services,
    now: int | None,
    own_leaf: int | None = None,
) -> PublicStage:
    """Judge a commit.

    Args:
        epoch: the current one.
        pending: proposals that came in by themselves, by reference.
        message: verified.
        services: the application.
        now: seconds since 1970 to judge key packages by; None lets them be.
        own_leaf: our place, None for a hub.

    Raises:
        MlsInvalid: a rule of P, Q, O but O03, X, T but T13, E, K or L.
        ProposalsMissing: it names proposals that are not in `pending`.
    """
    commit, sender = message.content.content, message.content.sender
    tag = message.confirmation_tag
    assert isinstance(commit, Commit)
    assert tag is not None
    proposals = resolve(commit, pending, sender)
    if sender.kind is SenderType.NEW_MEMBER_COMMIT:
        path_of(commit)
    check_path_present(commit, proposals, services.proposals)
    applied = apply_list(epoch, proposals, sender, services, now)
    leaf = None
    if commit.path is not None:
        leaf = merge_checked_path(applied, commit.path, services)
    provisional = provisional_context(applied)
    context = new_context(applied, provisional, message)
    return PublicStage(
        before=epoch,
        after=new_public_epoch(applied, context, tag),
        effects=effects_of(applied, leaf, own_leaf),
        applied=applied,
        path=commit.path,
        provisional=provisional,
        message=message,
    )


def merge_checked_path(
    applied: Applied, path: UpdatePath, services: Services
) -> LeafNode:
    """Check the leaf of a path and merge the public half into the applied tree."""
    leaf = check_path_leaf(applied, path.leaf_node, services)
    merge_path(applied.tree, applied.committer_leaf, leaf, path, applied.new_leaves)
    check_credentials_supported(applied.tree, [leaf], applied.before.tree)
    return leaf

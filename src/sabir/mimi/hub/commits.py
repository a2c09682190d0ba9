"""A commit, and what comes with it: steps 6 to 9 of the order of checks (7.3)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sabir.mimi.hub.memory import HUB_SERVICES, Resync, RoomMemory
from sabir.mimi.hub.outcome import HubFacts
from sabir.mimi.hub.proposals import check_known
from sabir.mimi.hub.refusals import denied
from sabir.mimi.hub.senders import PERMIT_MS, Handshake
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.judge import check_pending_covered, judge_commit
from sabir.mimi.policy.kernel import Facts
from sabir.mimi.structs.update import CommitBundle, GroupInfoOption, RemoteTree
from sabir.mls.commit import Commit, ProposalReference
from sabir.mls.errors import (
    MlsInvalid,
    MlsMissing,
    MlsUnsupported,
    ProposalsMissing,
)
from sabir.mls.extensions import RATCHET_TREE, external_pub_of, find_extension
from sabir.mls.framing import Sender
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import Add, ExternalInit, Proposal
from sabir.mls.public_group import PublicGroup
from sabir.mls.staging import PublicStage
from sabir.mls.transition import apply_list
from sabir.mls.tree_options import PartialGroupInfo, RatchetTreeOption, TreePresence
from sabir.mls.validation.rules import Rule
from sabir.wire.errors import Malformed

RESYNC_MS: Final = 3_600_000
"""A client replaces its own leaf from outside once in an hour (7.5)."""
BLAMED_MAX: Final = 64
"""Proposals by value that are looked at one by one, to say which is invalid."""


def staged_commit(
    memory: RoomMemory, handshake: Handshake, facts: HubFacts, now_ms: int
) -> PublicStage:
    """Judge a commit by MLS and by the room's policy.

    Args:
        memory: the room.
        handshake: the commit, its sender identified.
        facts: what the provider knows.
        now_ms: ms since 1970.

    Raises:
        PolicyDenied: `pending.missing`, `proposal.invalid`, `component.unknown`,
            `limit.exceeded`, and as `judge_commit`.
    """
    content = handshake.verified.content
    commit = content.content
    assert isinstance(commit, Commit)
    check_pending_covered(memory.effective.pending, commit, content.sender)
    now_s = now_ms // 1_000
    try:
        staged = memory.group.stage(handshake.verified, now_s)
    except (MlsInvalid, MlsUnsupported, MlsMissing, Malformed) as wrong:
        raise _blame(memory, commit, content.sender, now_s, wrong) from None
    permit = handshake.permit
    known = Facts(
        join_role=permit.role if permit is not None and permit.role else None,
        asset_domains=facts.asset_domains,
    )
    try:
        judge_commit(memory.effective, staged, known)
    except (MlsInvalid, MlsUnsupported, Malformed) as wrong:
        raise denied(wrong) from None
    _check_resync(memory, handshake, staged, now_ms)
    return staged


def _check_resync(
    memory: RoomMemory, handshake: Handshake, staged: PublicStage, now_ms: int
) -> None:
    if handshake.permit is None or not is_resync(staged):
        return
    if resynced_lately(memory, handshake.client.identity, now_ms):
        raise PolicyDenied(Slug.LIMIT_EXCEEDED, "one resync in an hour")


def is_resync(staged: PublicStage) -> bool:
    """Whether who joins by a commit takes the place of an own leaf."""
    items = staged.effects.proposals.items
    return staged.effects.joiner is not None and any(
        item.reference is None and item.target is not None for item in items
    )


def resynced_lately(memory: RoomMemory, identity: str, now_ms: int) -> bool:
    """Whether a client has replaced its own leaf within the hour."""
    return any(
        resync.identity == identity and now_ms - resync.at < RESYNC_MS
        for resync in memory.resyncs
    )


# ---- who is to blame


def _blame(
    memory: RoomMemory,
    commit: Commit,
    sender: Sender,
    now_s: int,
    wrong: MlsInvalid | MlsUnsupported | MlsMissing | Malformed,
) -> PolicyDenied:
    if isinstance(wrong, ProposalsMissing):
        return PolicyDenied(
            Slug.PROPOSAL_INVALID, wrong.what, references=wrong.references
        )
    if isinstance(wrong, MlsMissing):
        return PolicyDenied(Slug.PROPOSAL_INVALID, wrong.what)
    named = [
        item.reference
        for item in commit.proposals
        if isinstance(item, ProposalReference)
    ]
    if not isinstance(wrong, MlsUnsupported) and wrong.rule == Rule.Q11.name:
        unknown = [each for each in named if each not in memory.group.pending]
        return denied(wrong, references=unknown)
    by_value = [
        (place, item)
        for place, item in enumerate(commit.proposals)
        if not isinstance(item, ProposalReference)
    ]
    inline = [
        place
        for place, item in by_value[:BLAMED_MAX]
        if _is_wrong_alone(memory, item, sender, now_s, by_value)
    ]
    return denied(wrong, inline=inline)


def _is_wrong_alone(
    memory: RoomMemory,
    proposal: Proposal,
    sender: Sender,
    now_s: int,
    by_value: list[tuple[int, Proposal]],
) -> bool:
    """Whether a commit of this proposal alone would be refused, too."""
    joins = [each for _, each in by_value if isinstance(each, ExternalInit)][:1]
    listed = [*joins, *([] if proposal in joins else [proposal])]
    items = ProposalList(Proposed(each, sender) for each in listed)
    try:
        apply_list(memory.group.epoch, items, sender, HUB_SERVICES, now_s)
    except (MlsInvalid, MlsUnsupported, MlsMissing, Malformed):
        return True
    return False


# ---- what comes with it


def agreed_group_info(
    memory: RoomMemory, staged: PublicStage, option: GroupInfoOption
) -> GroupInfoIn:
    """Return the GroupInfo of the epoch that a commit begins (D-19).

    Raises:
        PolicyDenied: `groupinfo.mismatch`.
    """
    if find_extension(option.extensions, RATCHET_TREE) is not None:
        raise PolicyDenied(Slug.GROUPINFO_MISMATCH, "it has a ratchet_tree")
    try:
        if external_pub_of(option.extensions) is None:
            raise PolicyDenied(Slug.GROUPINFO_MISMATCH, "it has no external_pub")
        if isinstance(option, PartialGroupInfo):
            return _rebuilt(memory.group, staged, option)
        memory.group.check_group_info(staged, option)
    except (MlsInvalid, Malformed) as wrong:
        raise PolicyDenied(Slug.GROUPINFO_MISMATCH, f"rule {wrong.rule}") from None
    return option


def _rebuilt(
    group: PublicGroup, staged: PublicStage, partial: PartialGroupInfo
) -> GroupInfoIn:
    if partial.presence is not TreePresence.NONE:
        raise PolicyDenied(Slug.GROUPINFO_MISMATCH, "it speaks of a ratchet_tree")
    return group.rebuild_group_info(staged, partial)


def check_tree(staged: PublicStage, option: RatchetTreeOption | RemoteTree) -> None:
    """Compare a tree with ours (D-18).

    Raises:
        PolicyDenied: `tree.mismatch`; it is another one, or somewhere else.
    """
    if isinstance(option, RemoteTree):
        raise PolicyDenied(Slug.TREE_MISMATCH, "only full and distributionService")
    if option.tree is not None and option.tree != staged.after.tree.encode():
        raise PolicyDenied(Slug.TREE_MISMATCH)


def welcomed_refs(bundle: CommitBundle) -> tuple[bytes, ...]:
    """Return the KeyPackageRefs of whom a commit's Welcome is for."""
    if bundle.welcome is None:
        return ()
    return tuple(entry.new_member for entry in bundle.welcome.secrets)


def check_welcome(
    memory: RoomMemory,
    staged: PublicStage,
    bundle: CommitBundle,
    domains: Mapping[bytes, str],
) -> None:
    """Check that a Welcome is for those whom the commit adds, and finds them.

    Raises:
        PolicyDenied: `proposal.invalid`, it is for others; `limit.exceeded`, a
            KeyPackage that did not come through us.
    """
    added = staged.effects.added
    if bundle.welcome is not None:
        try:
            memory.group.check_welcome(staged, bundle.welcome)
        except MlsInvalid as wrong:
            raise denied(wrong) from None
    if bool(added) is not (bundle.welcome is not None):
        raise PolicyDenied(Slug.PROPOSAL_INVALID, f"rule {Rule.H04.name}")
    for item in staged.effects.proposals:
        # Those that waited were checked when they came.
        if item.reference is None and isinstance(item.proposal, Add):
            check_known(item.proposal.key_package, staged.after.suite, domains)


# ---- what it makes of the room


def after_commit(
    memory: RoomMemory,
    handshake: Handshake,
    staged: PublicStage,
    group_info: GroupInfoIn,
    *,
    now_ms: int,
    at: int,
) -> RoomMemory:
    """Return the room in the epoch that a commit begins.

    Args:
        memory: the room before.
        handshake: the commit.
        staged: the commit, judged.
        group_info: of the new epoch.
        now_ms: ms since 1970.
        at: timestamp.
    """
    resyncs = tuple(each for each in memory.resyncs if now_ms - each.at < RESYNC_MS)
    if is_resync(staged):
        resyncs = (*resyncs, Resync(handshake.client.identity, now_ms))
    return replace(
        memory,
        group=PublicGroup(HUB_SERVICES, staged.after),
        group_info=group_info,
        bundles=(),
        epoch_at=at,
        permits=tuple(
            permit
            for permit in memory.permits
            if permit is not handshake.permit and now_ms - permit.given_at <= PERMIT_MS
        ),
        resyncs=resyncs,
    )

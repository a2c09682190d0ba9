"""The entry points of policy, for hubs and agents alike (D-48).

`judge_proposals` for a bundle of standalone proposals, `judge_commit` for a commit.
Each proposal is judged once, when it is accepted, by the role of who signed it; a
commit is judged for what it carries by value, and for covering what waits (D-38).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from sabir.mimi.policy.acts import Act, Actor, ActorKind, Effect
from sabir.mimi.policy.changes import check_combination
from sabir.mimi.policy.counts import check_counts
from sabir.mimi.policy.derive import actor_of, acts_of
from sabir.mimi.policy.effective import EffectiveState, check_readable, denied_for
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.invariants import check_invariants
from sabir.mimi.policy.kernel import NO_FACTS, Case, Facts, judge_act
from sabir.mimi.policy.leaves import check_new_leaves
from sabir.mimi.policy.view import RoomAfter, RoomView
from sabir.mls.codepoints import SenderType
from sabir.mls.commit import Commit, ProposalReference
from sabir.mls.framing import Sender
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import Remove, SelfRemove, Update
from sabir.mls.staging import PublicStage
from sabir.wire.errors import Malformed


def judge(
    effective: EffectiveState,
    batch: Sequence[Act],
    after: RoomAfter,
    facts: Facts = NO_FACTS,
    *,
    base: RoomView | None = None,
) -> None:
    """Judge a batch of acts by the rules of 6.4.

    Args:
        effective: the room before, by whose roles is judged.
        batch: all acts of one bundle or commit.
        after: the room after it.
        facts: what else is known.
        base: the room to count from; None takes the effective one.

    Raises:
        PolicyDenied: `policy.denied`, `sender.removed`, `constraint.violated`.
    """
    found: defaultdict[Actor, set[Effect]] = defaultdict(set)
    for act in batch:
        found[act.actor].add(act.effect)
    own = {actor: frozenset(effects) for actor, effects in found.items()}
    for act in batch:
        judge_act(Case(effective.view, after, act, own[act.actor], facts))
    start = effective.view if base is None else base
    check_counts(start, after)
    check_invariants(start, after)


def judge_proposals(
    effective: EffectiveState, items: Sequence[Proposed], facts: Facts = NO_FACTS
) -> EffectiveState:
    """Judge standalone proposals that came together, each verified by MLS.

    Returns:
        The effective state in which they wait, too.

    Raises:
        PolicyDenied: `proposal.invalid`, `pending.conflict`, `sender.unknown`, and as
            `judge`. (An unknown component is refused by MLS before, E02.)
    """
    check_readable(items)
    check_new_leaves(effective.committed.room, items)
    after = effective.with_proposals(items)
    acts = acts_of(effective, [(None, item) for item in items])
    judge(effective, acts, after.view, facts)
    return after


def judge_commit(
    effective: EffectiveState, staged: PublicStage, facts: Facts = NO_FACTS
) -> None:
    """Judge a commit that MLS has accepted.

    Args:
        effective: the room before, with all that waits.
        staged: the commit.
        facts: what else is known.

    Raises:
        PolicyDenied: `pending.missing`, `sender.unknown`, `sender.removed`,
            `proposal.invalid`, and as `judge`.
        Malformed: the room after it cannot be read.
    """
    content = staged.message.content
    commit, sender = content.content, content.sender
    assert isinstance(commit, Commit)
    check_pending_covered(effective.pending, commit, sender)
    joiner = staged.effects.joiner
    committer = actor_of(effective, sender, joiner)
    if committer.kind is ActorKind.MEMBER and effective.view.is_out(committer.user):
        raise PolicyDenied(Slug.SENDER_REMOVED)
    items = staged.effects.proposals.items
    by_value = [
        (place, item) for place, item in enumerate(items) if item.reference is None
    ]
    check_readable(items)
    room = effective.committed.room
    check_new_leaves(
        room, items, (updated.new for updated in staged.effects.updated), joiner
    )
    _check_together(items)
    judge(
        effective,
        acts_of(effective, by_value, joiner),
        RoomView.of_epoch(staged.after),
        facts,
        base=effective.limited_to(references_of(commit)),
    )


def references_of(commit: Commit) -> frozenset[bytes]:
    """Return the ProposalRefs that a commit covers."""
    return frozenset(
        item.reference
        for item in commit.proposals
        if isinstance(item, ProposalReference)
    )


def check_pending_covered(
    pending: Iterable[Proposed], commit: Commit, sender: Sender
) -> None:
    """Check that a commit covers all that waits (D-38).

    Left out may be an Update of the committer's own, and of who is removed by this:
    else nobody could remove a member who proposes one in every epoch. Who joins by the
    commit covers the SelfRemoves, and cannot cover more.

    Raises:
        PolicyDenied: `pending.missing`, naming what is.
    """
    waiting = tuple(pending)
    covered = references_of(commit)
    gone = {
        item.removed for item in commit.proposals if isinstance(item, Remove)
    } | removed_by(item for item in waiting if item.reference in covered)
    missing = [
        item.reference
        for item in waiting
        if item.reference is not None
        and item.reference not in covered
        and must_cover(item, sender, gone)
    ]
    if missing:
        raise PolicyDenied(
            Slug.PENDING_MISSING, f"{len(missing)} proposals", references=missing
        )


def removed_by(items: Iterable[Proposed]) -> set[int]:
    """Return the leaves that proposals remove."""
    return {
        item.target
        for item in items
        if isinstance(item.proposal, Remove | SelfRemove) and item.target is not None
    }


def must_cover(item: Proposed, sender: Sender, gone: Collection[int]) -> bool:
    """Whether a commit has to cover what waits.

    Args:
        item: it waits.
        sender: of the commit.
        gone: leaves that the commit removes.
    """
    if sender.kind is SenderType.NEW_MEMBER_COMMIT:
        return isinstance(item.proposal, SelfRemove)
    if isinstance(item.proposal, Update):
        return item.sender != sender and item.sender.index not in gone
    return True


def _check_together(items: Sequence[Proposed]) -> None:
    try:
        check_combination(items)
    except Malformed as wrong:
        raise denied_for(Slug.PROPOSAL_INVALID, items, (), wrong) from None

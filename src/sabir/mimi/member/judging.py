"""The rule kernel at a member's: the same judge as at the hub (D-48).

A hub that accepts what the policy forbids is not obeyed silently: the group's state
follows its order, since refusing would fork the group, and the evidence is shown.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sabir.mimi.policy.acts import (
    ComponentUpdate,
    Effect,
    LeafRemove,
    ListAdd,
    ListRemove,
    MetadataChange,
    RoleChange,
)
from sabir.mimi.policy.derive import actor_of, acts_of
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.policy.judge import judge, judge_commit, judge_proposals
from sabir.mimi.policy.kernel import NO_FACTS, Facts
from sabir.mimi.policy.leaves import check_new_leaves
from sabir.mimi.policy.view import Client, RoomView, key_of
from sabir.mls.framing import Sender
from sabir.mls.group.pending import PendingCommit
from sabir.mls.proposal_list import Proposed
from sabir.mls.public_group import PublicGroup
from sabir.mls.staging import PublicStage
from sabir.wire.errors import Malformed

MEMBER_FACTS: Final = Facts(hub_checked_code=True)
"""What a member knows: that the hub saw the codes, if there were any."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a hub should have refused: the words of its refusal."""

    slug: str
    detail: str

    @classmethod
    def of(cls, wrong: PolicyDenied | Malformed) -> "Fault":
        """Take the words from what a judge raised."""
        if isinstance(wrong, PolicyDenied):
            return cls(str(wrong.slug), wrong.detail)
        return cls("malformed", f"rule {wrong.rule}")


def effective_of(public: PublicGroup) -> EffectiveState:
    """Return the room as it counts; without what waits where that is contradictory.

    Raises:
        Malformed: the GroupContext is none of a room.
    """
    try:
        return EffectiveState.of(public)
    except PolicyDenied:
        return EffectiveState.of_epoch(public)


def fault_of_commit(effective: EffectiveState, staged: PublicStage) -> Fault | None:
    """Judge another's commit; None where it is allowed."""
    try:
        judge_commit(effective, staged, MEMBER_FACTS)
    except (PolicyDenied, Malformed) as wrong:
        return Fault.of(wrong)
    return None


def fault_of_proposals(
    effective: EffectiveState, items: Sequence[Proposed], facts: Facts = NO_FACTS
) -> Fault | None:
    """Judge another's proposals; None where they are allowed."""
    try:
        judge_proposals(effective, items, facts)
    except (PolicyDenied, Malformed) as wrong:
        return Fault.of(wrong)
    return None


def check_own_commit(
    effective: EffectiveState, pending: PendingCommit, own_leaf: int
) -> None:
    """Judge a commit of ours before the hub does.

    Raises:
        PolicyDenied, Malformed: the hub would refuse it.
    """
    effects = pending.effects
    sender = Sender.member(own_leaf)
    actor_of(effective, sender)
    items = effects.proposals.items
    by_value = [
        (place, item) for place, item in enumerate(items) if item.reference is None
    ]
    covered = [item.reference for item in items if item.reference is not None]
    check_new_leaves(effective.committed.room, items)
    judge(
        effective,
        acts_of(effective, by_value),
        RoomView.of_epoch(pending.epoch.public),
        MEMBER_FACTS,
        base=effective.limited_to(covered),
    )


def ghosts_of(view: RoomView, known: Collection[Client] = ()) -> tuple[Client, ...]:
    """Return clients whose user is not in the room, apart from those known before."""
    before = {key_of(client) for client in known}
    return tuple(
        client
        for client in view.clients
        if key_of(client) not in before and view.is_out(client.user)
    )


# ---- what a hub may propose again


def effect_digest(effect: Effect) -> bytes:
    """Return by what an effect is known again after a restart."""
    match effect:
        case ListAdd() | ListRemove() | RoleChange():
            words = repr(effect).encode()
        case LeafRemove():
            words = b"leaf " + effect.client.identity.encode()
        case MetadataChange():
            words = b"metadata " + effect.new.encode()
        case ComponentUpdate():
            words = b"component %d " % effect.component + effect.data
        case _:
            words = b"never"
    return hashlib.sha256(words).digest()


def reissues_among(
    effective: EffectiveState, items: Sequence[Proposed], known: Iterable[bytes]
) -> frozenset[Effect]:
    """Return the effects of some proposals that are known by their digests."""
    digests = frozenset(known)
    try:
        acts = acts_of(effective, [(None, item) for item in items])
    except (PolicyDenied, Malformed):
        return frozenset()
    return frozenset(act.effect for act in acts if effect_digest(act.effect) in digests)

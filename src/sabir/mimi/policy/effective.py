"""The effective state: what is committed, with what waits and counts already (6.3).

protocol-06 section 7.1: an accepted event takes effect at once. So messages, further
proposals and external joins are judged by the effective state, while indices of
participants refer to the committed list (D-35).
"""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sabir.mimi.policy.changes import applied, check_decodes
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.view import Client, RoomView, client_of
from sabir.mls.proposal_list import Proposed
from sabir.mls.public_group import PublicGroup
from sabir.wire.errors import Malformed


@dataclass(frozen=True, slots=True)
class EffectiveState:
    """A room between two commits. Never changed: what is accepted makes another.

    Attributes:
        committed: the room of the epoch.
        leaves: whose the leaves of the epoch are, by place.
        pending: accepted proposals, in the order of acceptance.
        view: the room as it counts: `committed` with `pending`.
    """

    committed: RoomView
    leaves: Mapping[int, Client]
    pending: tuple[Proposed, ...]
    view: RoomView

    @classmethod
    def of(cls, group: PublicGroup) -> "EffectiveState":
        """Look at a group with all its waiting proposals.

        Raises:
            Malformed: the GroupContext is not that of a room, or a leaf's credential
                is not one of D-12.
            PolicyDenied: proposals wait that contradict each other.
        """
        return cls.of_epoch(group).with_proposals(tuple(group.pending.values()))

    @classmethod
    def of_epoch(cls, group: PublicGroup) -> "EffectiveState":
        """Look at a group as its last commit left it. Raises as `of`."""
        leaves = {index: client_of(leaf) for index, leaf in group.members}
        committed = RoomView.of_epoch(group.epoch)
        return cls(committed, leaves, (), committed)

    def with_proposals(self, items: Sequence[Proposed]) -> "EffectiveState":
        """Return the state in which these wait, too.

        Args:
            items: all proposals of one bundle, in its order.

        Raises:
            PolicyDenied: `proposal.invalid` they are malformed or contradict each
                other; `pending.conflict` they contradict what waits.
        """
        if not items:
            return self
        check_readable(items)
        pending = (*self.pending, *items)
        try:
            view = applied(self.committed, self.leaves, pending)
        except Malformed:
            raise self._blame(items) from None
        return EffectiveState(self.committed, self.leaves, pending, view)

    def limited_to(self, references: Collection[bytes]) -> RoomView:
        """Return the room as if only some of the waiting proposals did."""
        kept = [item for item in self.pending if item.reference in references]
        return applied(self.committed, self.leaves, kept)

    def _blame(self, items: Sequence[Proposed]) -> PolicyDenied:
        """Say which proposal is the first that does not go with those before it."""
        slug = Slug.PROPOSAL_INVALID
        before: tuple[Proposed, ...] = ()
        wrong = self._fault(items)
        if wrong is None:
            slug, before = Slug.PENDING_CONFLICT, self.pending
        sizes = range(1, len(items) + 1)
        fails = bisect_left(
            sizes, 1, key=lambda size: self._fault((*before, *items[:size])) is not None
        )
        wrong = self._fault((*before, *items[: sizes[fails]]))
        assert wrong is not None
        return denied_for(slug, items, [fails], wrong)

    def _fault(self, items: Sequence[Proposed]) -> Malformed | None:
        try:
            applied(self.committed, self.leaves, items)
        except Malformed as wrong:
            return wrong
        return None


def check_readable(items: Sequence[Proposed]) -> None:
    """Check that each proposal brings what its component can read.

    Raises:
        PolicyDenied: `proposal.invalid`, naming all that do not.
    """
    faults: dict[int, Malformed] = {}
    for index, item in enumerate(items):
        try:
            check_decodes(item)
        except Malformed as wrong:
            faults[index] = wrong
    if faults:
        first = next(iter(faults.values()))
        raise denied_for(Slug.PROPOSAL_INVALID, items, faults, first)


def denied_for(
    slug: Slug, items: Sequence[Proposed], faults: Collection[int], wrong: Malformed
) -> PolicyDenied:
    """Name the proposals of a list that are to blame (D-21)."""
    found = [(index, items[index].reference) for index in faults]
    return PolicyDenied(
        slug,
        f"rule {wrong.rule}",
        references=[reference for _, reference in found if reference is not None],
        inline=[index for index, reference in found if reference is None],
    )

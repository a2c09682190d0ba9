"""What a commit does to a group, for the application to judge before it is merged."""

from dataclasses import dataclass

from sabir.mls.extensions import Extensions
from sabir.mls.framing import Sender
from sabir.mls.key_packages import KeyPackage
from sabir.mls.leaf_node import LeafNode
from sabir.mls.proposal_list import ProposalList
from sabir.mls.proposals import AppEphemeral, ReInit
from sabir.mls.psk_ids import PreSharedKeyID


@dataclass(frozen=True, slots=True)
class Added:
    """A new member, by an Add."""

    leaf_index: int
    key_package: KeyPackage


@dataclass(frozen=True, slots=True)
class Removed:
    """A member that is gone, by a Remove or a SelfRemove."""

    leaf_index: int
    leaf_node: LeafNode


@dataclass(frozen=True, slots=True)
class Updated:
    """A leaf that changed, by an Update or by the committer's path."""

    leaf_index: int
    old: LeafNode
    new: LeafNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What a commit does.

    Attributes:
        epoch: that it begins.
        committer: who sent it.
        committer_leaf: the committer's place in the new tree.
        proposals: all of them, with their senders.
        added: new members, by Adds.
        removed: those who are gone.
        updated: leaves that changed, the committer's among them.
        joiner: the leaf of who joined by this commit, None in a member's commit.
        old_extensions: of the GroupContext before.
        new_extensions: of the GroupContext after.
        psks: that went into the key schedule, in this order.
        re_init: the group ends here, and is to be continued with these parameters.
        self_removed: we are gone; a hub never is.
    """

    epoch: int
    committer: Sender
    committer_leaf: int
    proposals: ProposalList
    added: tuple[Added, ...]
    removed: tuple[Removed, ...]
    updated: tuple[Updated, ...]
    joiner: LeafNode | None
    old_extensions: Extensions
    new_extensions: Extensions
    psks: tuple[PreSharedKeyID, ...]
    re_init: ReInit | None
    self_removed: bool = False

    @property
    def extensions_changed(self) -> bool:
        """Whether the GroupContext's extensions differ from before."""
        return self.old_extensions != self.new_extensions

    @property
    def ephemeral(self) -> tuple[AppEphemeral, ...]:
        """Return the data for components that travelled with the commit."""
        return tuple(self.proposals.of(AppEphemeral))

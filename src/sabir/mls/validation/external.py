"""Rules X: commits by which somebody joins by themselves (RFC 9420 12.2, 12.4.3.2)."""

from sabir.mls.commit import Commit, UpdatePath
from sabir.mls.credentials import AuthenticationService
from sabir.mls.errors import MlsInvalid
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.proposal_list import ProposalList
from sabir.mls.proposals import (
    ExternalInit,
    PreSharedKey,
    ProposalRegistry,
    Remove,
    SelfRemove,
)
from sabir.mls.ratchet_tree import RatchetTree
from sabir.mls.validation.leaf_node import check_encryption_key_changed
from sabir.mls.validation.proposals import (
    check_one_change_per_leaf,
    check_psks_distinct,
    check_types_supported,
)
from sabir.mls.validation.rules import Rule


def path_of(commit: Commit) -> UpdatePath:
    """X01: an external commit has a path."""
    if commit.path is None:
        raise MlsInvalid(Rule.X01)
    return commit.path


def check_one_external_init(proposals: ProposalList) -> None:
    """X02: there is exactly one ExternalInit, by value."""
    found = proposals.sent(ExternalInit)
    if len(found) != 1:
        raise MlsInvalid(Rule.X02, f"{len(found)} of them")
    if found[0].reference is not None:
        raise MlsInvalid(Rule.X02, "by reference")


def check_allowed_types(proposals: ProposalList, registry: ProposalRegistry) -> None:
    """X03: besides it, one Remove, PSKs, and types that say they may be there."""
    if len(proposals.of(Remove)) > 1:
        raise MlsInvalid(Rule.X03, f"{len(proposals.of(Remove))} Removes")
    for item in proposals:
        kind = registry.type_of(item.proposal.kind)
        if item.reference is None and not kind.in_external_commit:
            raise MlsInvalid(Rule.X03, f"proposal type {item.proposal.kind}")


def check_references(proposals: ProposalList) -> None:
    """X04: nothing is by reference but SelfRemoves."""
    for item in proposals:
        if item.reference is not None and not isinstance(item.proposal, SelfRemove):
            raise MlsInvalid(Rule.X04, f"proposal type {item.proposal.kind}")


def check_replacement(
    tree: RatchetTree,
    proposals: ProposalList,
    joiner: LeafNodeIn,
    authentication: AuthenticationService,
) -> None:
    """X06, L10: who removes a leaf by joining may replace it, and has a new key.

    Section 12.4.2: such a leaf keeps the rules of an Update of the removed one.
    """
    for removed in proposals.removes:
        old = tree.leaf(removed)
        if old is None:
            continue
        if not authentication.may_replace(old, joiner):
            raise MlsInvalid(Rule.X06, f"leaf {removed}")
        check_encryption_key_changed(joiner, old)


def check_external_list(
    proposals: ProposalList, tree: RatchetTree, registry: ProposalRegistry
) -> None:
    """Check the rules that need no tree but the old one, for an external commit."""
    check_references(proposals)
    check_one_external_init(proposals)
    check_allowed_types(proposals, registry)
    check_one_change_per_leaf(proposals)
    check_psks_distinct(psk.psk for psk in proposals.of(PreSharedKey))
    check_types_supported(proposals, tree, proposals.gone)

"""Applying a list of proposals, as far as everybody can see it (RFC 9420 12.2, 12.3).

Members and hubs, senders and receivers apply a list of proposals by the same
functions. Nothing is changed in place: a tree is copied before it grows, and what is
refused leaves no trace (rule O04).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sabir.crypto import hpke
from sabir.crypto.suites import CipherSuite
from sabir.mls.app_data import apply_data_updates, judge_ephemeral
from sabir.mls.codepoints import SenderType
from sabir.mls.credentials import Where
from sabir.mls.effects import Added, Removed, Updated
from sabir.mls.errors import MlsInvalid
from sabir.mls.extensions import (
    EXTERNAL_SENDERS,
    Extensions,
    external_senders_of,
    find_extension,
)
from sabir.mls.framing import Sender
from sabir.mls.group_context import GroupContext
from sabir.mls.key_packages import KeyPackage
from sabir.mls.leaf_node import LeafNode, LeafNodeIn
from sabir.mls.proposal_list import ProposalList
from sabir.mls.proposals import Add, PreSharedKey
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.ratchet_tree import RatchetTree
from sabir.mls.semi_private import EXTERNAL_RECEIVERS, external_receivers_of
from sabir.mls.services import Services
from sabir.mls.validation.components import (
    check_dictionary,
    check_dictionary_untouched,
    check_member,
    check_members,
)
from sabir.mls.validation.external import check_external_list, check_replacement
from sabir.mls.validation.key_package import (
    check_init_keys_unique,
    validate_key_package,
)
from sabir.mls.validation.leaf_node import (
    LeafRules,
    check_authentic,
    check_capabilities,
    check_credential_types,
    check_lifetime,
    validate_leaf_node,
)
from sabir.mls.validation.proposals import (
    check_adds_new,
    check_extensions_supported,
    check_policy,
    check_psk_nonce,
    check_psk_usage,
    check_regular_list,
    check_requirements_met,
    check_version_not_lower,
    distinct_capabilities,
)
from sabir.mls.validation.rules import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A group after the proposals of a commit, before its path.

    Attributes:
        before: the epoch that ends.
        committer: who sends the commit.
        committer_leaf: the committer's place in `tree`.
        proposals: that were applied.
        tree: a copy of its own; a path may still change it.
        extensions: of the new GroupContext.
        rules: for leaves of the new epoch.
        added: new members.
        removed: those who are gone.
        updated: leaves that Updates replaced.
    """

    before: PublicEpoch
    committer: Sender
    committer_leaf: int
    proposals: ProposalList
    tree: RatchetTree
    extensions: Extensions
    rules: LeafRules
    added: tuple[Added, ...]
    removed: tuple[Removed, ...]
    updated: tuple[Updated, ...]

    @property
    def joins(self) -> bool:
        """Whether the committer joins by this commit."""
        return self.committer.kind is SenderType.NEW_MEMBER_COMMIT

    @property
    def new_leaves(self) -> frozenset[int]:
        """Return the leaves to which no path secret is sent."""
        return frozenset(added.leaf_index for added in self.added)


def apply_list(
    before: PublicEpoch,
    proposals: ProposalList,
    committer: Sender,
    services: Services,
    now: int | None,
    *,
    founding: bool = False,
) -> Applied:
    """Check a list of proposals and apply it to a copy of the group.

    Args:
        before: the epoch in which the commit is sent.
        proposals: those of the commit, references resolved.
        committer: a member, or somebody who joins by the commit.
        services: the application.
        now: seconds since 1970 to judge key packages by; None lets expired ones be.
        founding: this is the first commit of a group that continues another, which
            alone may use resumption PSKs of usage reinit or branch.

    Raises:
        MlsInvalid: the rule of P, Q, X, E, K or L that is broken.
    """
    context = before.context
    if committer.kind is SenderType.MEMBER:
        check_regular_list(proposals, before.tree, committer.index, services)
    else:
        check_external_list(proposals, before.tree, services.proposals)
    _check_singles(before, proposals, services, founding=founding)
    judge_ephemeral(services.components, context, committer, proposals)
    extensions = _new_extensions(before, proposals, committer, services)
    rules = LeafRules.of_group(
        replace(context, extensions=extensions, raw=b""),
        before.suite,
        services.authentication,
        limits=services.limits,
        suites=services.suites,
    )
    check_outsiders(extensions, context.extensions, before.suite, services)
    packages = _key_packages(proposals, rules, now)
    updates = _updated_leaves(before, proposals, rules, services)
    removed = [
        Removed(index, leaf)
        for index in proposals.gone
        if (leaf := before.tree.leaf(index)) is not None
    ]
    _check_present(before.tree, proposals, updates, services)
    tree = before.tree.copy()
    places = tree.change(
        updates={updated.leaf_index: updated.new for updated in updates},
        removals=proposals.gone,
        additions=[package.leaf_node for package in packages],
    )
    joins = committer.kind is SenderType.NEW_MEMBER_COMMIT
    committer_leaf = tree.leftmost_blank() if joins else committer.index
    leaves_max = services.limits.members_max
    if committer_leaf >= leaves_max or any(tree.leaves[leaves_max:]):
        raise MlsInvalid(Rule.Q12, f"more than {leaves_max} leaves")
    applied = Applied(
        before=before,
        committer=committer,
        committer_leaf=committer_leaf,
        proposals=proposals,
        tree=tree,
        extensions=extensions,
        rules=rules,
        added=tuple(map(Added, places, packages)),
        removed=tuple(removed),
        updated=tuple(updates),
    )
    _check_resulting_leaves(applied)
    return applied


def _check_singles(
    before: PublicEpoch,
    proposals: ProposalList,
    services: Services,
    *,
    founding: bool,
) -> None:
    """Check the rules P that need no leaf, and Q13."""
    psks_max = services.limits.psks_per_commit_max
    if len(proposals.psks) > psks_max:
        raise MlsInvalid(Rule.Q13, f"{len(proposals.psks)} PSKs, limit {psks_max}")
    for item in proposals:
        check_policy(services.policy, before.context, item)
    for proposal in proposals.of(PreSharedKey):
        check_psk_nonce(before.suite, proposal.psk)
        if not founding:
            check_psk_usage(proposal.psk)
    if proposals.re_init is not None:
        check_version_not_lower(before.context, proposals.re_init)


def _new_extensions(
    before: PublicEpoch,
    proposals: ProposalList,
    committer: Sender,
    services: Services,
) -> Extensions:
    """Return the extensions after the list."""
    old = before.context.extensions
    extensions = old
    if proposals.new_extensions is not None:
        extensions = proposals.new_extensions.extensions
        check_dictionary_untouched(old, extensions)
    extensions = apply_data_updates(
        services.components, before.context, committer, proposals, extensions
    )
    if extensions is not old:
        check_dictionary(extensions)
    return extensions


def check_outsiders(
    new: Extensions, old: Extensions, suite: CipherSuite, services: Services
) -> None:
    """Check those outside who are given a part in the group.

    Nobody could send or open anything in a group whose list of them is none.

    Raises:
        Malformed: a list that is none, or longer than its limit.
        MlsInvalid: L01 for the credentials of new `external_senders` (section 5.3.1),
            L14 for the keys of new `external_receivers`.
    """
    if _differ(new, old, EXTERNAL_SENDERS):
        for sender in external_senders_of(new, services.limits):
            check_authentic(
                sender.credential,
                sender.signature_key,
                services.authentication,
                Where.EXTERNAL_SENDER,
            )
    if services.semi_private and _differ(new, old, EXTERNAL_RECEIVERS):
        for receiver in external_receivers_of(new, services.limits):
            if not hpke.check_public(suite, receiver.public_key):
                raise MlsInvalid(Rule.L14, "the key of an external receiver")


def _differ(new: Extensions, old: Extensions, kind: int) -> bool:
    return find_extension(new, kind) != find_extension(old, kind)


def _key_packages(
    proposals: ProposalList, rules: LeafRules, now: int | None
) -> list[KeyPackage]:
    """P01 and K07: check what Adds bring."""
    check_init_keys_unique(add.key_package for add in proposals.adds)
    return [
        checked_key_package(item.checked, rules, now)
        if isinstance(item.checked, KeyPackage)
        else validate_key_package(item.proposal.key_package, rules, now)
        for item in proposals.sent(Add)
        if isinstance(item.proposal, Add)
    ]


def checked_key_package(
    package: KeyPackage, rules: LeafRules, now: int | None
) -> KeyPackage:
    """Check again what may have changed since a key package was proposed.

    Its signatures are right; the list may ask for other capabilities, and time goes.
    """
    if now is not None:
        check_lifetime(package.leaf_node, now, rules.limits.clock_skew_s_max)
    check_capabilities(package.leaf_node, rules)
    return package


def _updated_leaves(
    before: PublicEpoch,
    proposals: ProposalList,
    rules: LeafRules,
    services: Services,
) -> list[Updated]:
    """P02: check what Updates bring."""
    found = []
    for index, update in proposals.updates:
        old = before.tree.leaf(index)
        assert old is not None  # it proposed in this epoch
        new = check_successor(
            before.context, rules, services, old, update.leaf_node, index, Where.UPDATE
        )
        found.append(Updated(index, old, new))
    return found


def check_successor(
    context: GroupContext,
    rules: LeafRules,
    services: Services,
    old: LeafNode,
    new: LeafNodeIn,
    leaf_index: int,
    where: Where,
) -> LeafNode:
    """Check a leaf that takes the place of a member's own (sections 7.3 and 5.3.1).

    Raises:
        MlsInvalid: a rule of L; L01 when its credential does not follow the old one.
    """
    checked = validate_leaf_node(
        new, rules, where, group_id=context.group_id, leaf_index=leaf_index
    )
    if not services.authentication.may_replace(old, checked):
        raise MlsInvalid(Rule.L01, f"leaf {leaf_index}: another client's credential")
    return checked


def _check_present(
    tree: RatchetTree,
    proposals: ProposalList,
    updates: Iterable[Updated],
    services: Services,
) -> None:
    """Q05: check that nobody is added who is a member already."""
    if not proposals.adds:
        return
    gone = set(proposals.gone)
    new = {updated.leaf_index: updated.new for updated in updates}
    staying = (
        new.get(index, leaf) for index, leaf in tree.members() if index not in gone
    )
    check_adds_new(proposals, staying, services.authentication)


def _check_resulting_leaves(applied: Applied) -> None:
    """L04, P07, P08, E11, E13: check what all members must support together.

    A list is judged before the path (section 12.4.2), by the members that it results
    in (12.1.7): an Update counts, who is removed does not, and the committer's new leaf
    does not yet. Section 11.1 says "current members", and some judge by the tree before
    the list; so what passes here does so everywhere only if Updates went before.
    """
    old, tree = applied.before, applied.tree
    new_leaves = [added.key_package.leaf_node for added in applied.added]
    new_leaves += [updated.new for updated in applied.updated]
    changed = applied.extensions is not old.context.extensions
    if changed:
        members = [leaf for _, leaf in tree.members()]
        capabilities = distinct_capabilities(members)
        check_requirements_met(applied.extensions, capabilities)
        check_extensions_supported(applied.extensions, capabilities)
        check_members(applied.extensions, members)
    else:
        for leaf in new_leaves:
            check_member(applied.extensions, leaf)
    if new_leaves:
        check_credentials_supported(tree, new_leaves, old.tree)


def check_credentials_supported(
    tree: RatchetTree, new_leaves: Iterable[LeafNodeIn], before: RatchetTree
) -> None:
    """L04: all members support the types of credential in use.

    Args:
        tree: with the new leaves.
        new_leaves: among them.
        before: a tree in which this held.
    """
    in_use = {leaf.credential.kind for _, leaf in tree.members()}
    new_leaves = tuple(new_leaves)
    known = {leaf.credential.kind for _, leaf in before.members()}
    concerned = new_leaves if in_use <= known else (leaf for _, leaf in tree.members())
    for capabilities in distinct_capabilities(concerned):
        check_credential_types(capabilities, in_use)


# ---- the path


def check_path_leaf(applied: Applied, leaf: LeafNodeIn, services: Services) -> LeafNode:
    """Check the leaf of a path, and that who brings it may be there.

    Raises:
        MlsInvalid: a rule of L, X06, E11, E13.
    """
    context, index = applied.before.context, applied.committer_leaf
    if applied.joins:
        checked = validate_leaf_node(
            leaf,
            applied.rules,
            Where.COMMIT,
            group_id=context.group_id,
            leaf_index=index,
        )
        check_replacement(
            applied.before.tree, applied.proposals, checked, services.authentication
        )
    else:
        old = applied.before.tree.leaf(index)
        assert old is not None  # it commits in this epoch
        checked = check_successor(
            context, applied.rules, services, old, leaf, index, Where.COMMIT
        )
        if old.extensions is checked.extensions and (
            old.capabilities is checked.capabilities
            and old.credential.kind == checked.credential.kind
        ):
            return checked
    check_member(applied.extensions, checked)
    return checked

"""Rules P and Q: single proposals and the list of a commit (RFC 9420 12.1, 12.2).

One function a rule; `check_regular_list` is what a member's commit must pass, the
list of an external commit is judged in `external`. Rules about single leaves are L and
K; they are called where the list is applied, in `sabir.mls.transition`.
"""

from collections.abc import Iterable

from sabir.crypto.suites import CipherSuite
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import DEFAULT_PROPOSALS, ProposalKind
from sabir.mls.credentials import AuthenticationService
from sabir.mls.errors import MlsInvalid
from sabir.mls.extensions import Extensions, required_capabilities_of
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import (
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ProposalRegistry,
    ReInit,
    SelfRemove,
)
from sabir.mls.psk_ids import PreSharedKeyID, ResumptionPsk, ResumptionUsage
from sabir.mls.ratchet_tree import RatchetTree
from sabir.mls.services import ProposalPolicy, Services
from sabir.mls.validation.leaf_node import check_required
from sabir.mls.validation.rules import Rule


def distinct_capabilities(leaves: Iterable[LeafNodeIn]) -> list[Capabilities]:
    """Return each block of capabilities once; equal ones are one object."""
    return list({id(leaf.capabilities): leaf.capabilities for leaf in leaves}.values())


# ---- single proposals


def check_removed_leaf(tree: RatchetTree, leaf_index: int) -> None:
    """P03: the leaf that a Remove names is a member's."""
    if tree.leaf(leaf_index) is None:
        raise MlsInvalid(Rule.P03, f"leaf {leaf_index} is blank")


def check_psk_nonce(suite: CipherSuite, psk_id: PreSharedKeyID) -> None:
    """P04: a PSK's nonce has Nh octets."""
    if len(psk_id.psk_nonce) != suite.nh:
        raise MlsInvalid(Rule.P04, f"nonce of {len(psk_id.psk_nonce)} octets")


def check_psk_usage(psk_id: PreSharedKeyID) -> None:
    """P05: a PreSharedKey proposal has no resumption PSK of reinit or branch.

    The first commit of a group that continues another may (sections 11.2 and 11.3);
    it is made by its creator and received by nobody.
    """
    if isinstance(psk_id, ResumptionPsk) and (
        psk_id.usage is not ResumptionUsage.APPLICATION
    ):
        raise MlsInvalid(Rule.P05, f"usage {psk_id.usage}")


def check_version_not_lower(context: GroupContext, proposal: ReInit) -> None:
    """P06: a ReInit keeps the version or raises it."""
    if proposal.version < context.version:
        raise MlsInvalid(Rule.P06, f"version {proposal.version}")


def check_sender_type(item: Proposed, registry: ProposalRegistry) -> None:
    """P09: who is outside sends allowed types only; Q09: nobody an ExternalInit."""
    if item.sender.kind in registry.type_of(item.proposal.kind).senders:
        return
    rule = Rule.Q09 if isinstance(item.proposal, ExternalInit) else Rule.P09
    raise MlsInvalid(rule, f"proposal type {item.proposal.kind} by itself")


def check_policy(policy: ProposalPolicy, context: GroupContext, item: Proposed) -> None:
    """P10: the application allows it."""
    if not policy.allows(item.proposal, item.sender, context):
        raise MlsInvalid(Rule.P10, f"proposal type {item.proposal.kind}")


# ---- the list of a member's commit


def check_no_own_update(proposals: ProposalList, committer: int) -> None:
    """Q01: no Update by the committer."""
    if any(leaf == committer for leaf, _ in proposals.updates):
        raise MlsInvalid(Rule.Q01, f"leaf {committer}")


def check_no_own_remove(proposals: ProposalList, committer: int) -> None:
    """Q02: no Remove of the committer, nor its SelfRemove."""
    if committer in proposals.gone:
        raise MlsInvalid(Rule.Q02, f"leaf {committer}")


def check_one_change_per_leaf(proposals: ProposalList) -> None:
    """Q03 and E09: at most one Update, Remove or SelfRemove for each leaf."""
    first: dict[int, Proposal] = {}
    for item in proposals:
        leaf = item.target
        if leaf is None:
            continue
        other = first.setdefault(leaf, item.proposal)
        if other is item.proposal:
            continue
        kinds = {other.kind, item.proposal.kind}
        both = kinds == {ProposalKind.REMOVE, ProposalKind.SELF_REMOVE}
        raise MlsInvalid(Rule.E09 if both else Rule.Q03, f"leaf {leaf} twice")


def check_adds_distinct(
    proposals: ProposalList, authentication: AuthenticationService
) -> None:
    """Q04: no two Adds for one client."""
    leaves = [add.key_package.leaf_node for add in proposals.adds]
    if len({leaf.signature_key for leaf in leaves}) < len(leaves):
        raise MlsInvalid(Rule.Q04, "one signature key twice")
    same_client = authentication.same_client
    for index, leaf in enumerate(leaves):
        for other in leaves[:index]:
            if same_client(leaf, other):
                raise MlsInvalid(Rule.Q04, "two key packages of one client")


def check_adds_new(
    proposals: ProposalList,
    staying: Iterable[LeafNodeIn],
    authentication: AuthenticationService,
) -> None:
    """Q05: no Add for a client that is present and stays.

    Args:
        proposals: the list.
        staying: the leaves after Updates and removals, before Adds.
        authentication: knows which leaves are one client's.
    """
    added = [add.key_package.leaf_node for add in proposals.adds]
    same_client = authentication.same_client
    for leaf in staying if added else ():
        for new in added:
            if same_client(leaf, new):
                raise MlsInvalid(Rule.Q05, "the client is a member")


def check_psks_distinct(psks: Iterable[PreSharedKeyID]) -> None:
    """Q06: no PSK id twice."""
    seen: set[bytes] = set()
    for psk_id in psks:
        if psk_id.raw in seen:
            raise MlsInvalid(Rule.Q06, f"one of {len(seen)}")
        seen.add(psk_id.raw)


def check_one_new_extensions(proposals: ProposalList) -> None:
    """Q07: at most one GroupContextExtensions."""
    count = len(proposals.of(GroupContextExtensions))
    if count > 1:
        raise MlsInvalid(Rule.Q07, f"{count} of them")


def check_re_init_alone(proposals: ProposalList) -> None:
    """Q08: a ReInit stands alone."""
    if proposals.of(ReInit) and len(proposals) > 1:
        raise MlsInvalid(Rule.Q08, f"{len(proposals)} proposals")


def check_no_external_init(proposals: ProposalList) -> None:
    """Q09: no ExternalInit in a member's commit."""
    if proposals.external_init is not None:
        raise MlsInvalid(Rule.Q09)


def check_types_supported(
    proposals: ProposalList, tree: RatchetTree, leaving: Iterable[int]
) -> None:
    """Q10: all who process the commit support its non-default types.

    Args:
        proposals: the list.
        tree: before the list.
        leaving: members that the list removes; they need not support anything.
    """
    special = proposals.kinds - DEFAULT_PROPOSALS
    if not special:
        return
    gone = set(leaving)
    staying = (leaf for index, leaf in tree.members() if index not in gone)
    for capabilities in distinct_capabilities(staying):
        for kind in special:
            if not capabilities.supports_proposal(kind):
                raise MlsInvalid(Rule.Q10, f"proposal type {kind}")


def check_requirements_met(
    extensions: Extensions, members: Iterable[Capabilities]
) -> None:
    """P07: all members after the list meet new `required_capabilities`."""
    required = required_capabilities_of(extensions)
    if required is None:
        return
    for capabilities in members:
        try:
            check_required(capabilities, required)
        except MlsInvalid as wrong:
            raise MlsInvalid(Rule.P07, wrong.detail) from None


def check_extensions_supported(
    extensions: Extensions, members: Iterable[Capabilities]
) -> None:
    """P08: all members after the list support the new GroupContext extensions."""
    for capabilities in members:
        for extension in extensions:
            if not capabilities.supports_extension(extension.kind):
                raise MlsInvalid(Rule.P08, f"extension type {extension.kind}")


def check_by_value(item: Proposed, registry: ProposalRegistry) -> None:
    """E08: a type that only goes by reference, as SelfRemove, does."""
    if item.reference is None and not registry.type_of(item.proposal.kind).by_value:
        rule = Rule.E08 if isinstance(item.proposal, SelfRemove) else Rule.Q11
        raise MlsInvalid(rule, f"proposal type {item.proposal.kind} by value")


def check_regular_list(
    proposals: ProposalList, tree: RatchetTree, committer: int, services: Services
) -> None:
    """Check the rules that need no tree but the old one, for a member's commit."""
    for item in proposals:
        check_by_value(item, services.proposals)
    check_no_own_update(proposals, committer)
    check_no_own_remove(proposals, committer)
    check_one_change_per_leaf(proposals)
    check_adds_distinct(proposals, services.authentication)
    check_psks_distinct(psk.psk for psk in proposals.of(PreSharedKey))
    check_one_new_extensions(proposals)
    check_re_init_alone(proposals)
    check_no_external_init(proposals)
    check_types_supported(proposals, tree, proposals.gone)

"""From a GroupInfo and a tree to the public half of an epoch (RFC 9420 12.4.3).

Joiners, by Welcome or by themselves, and hubs begin with this.
"""

from dataclasses import dataclass

from sabir.mls.codepoints import MLS10
from sabir.mls.credentials import Where
from sabir.mls.errors import MlsMissing, MlsUnsupported
from sabir.mls.extensions import RATCHET_TREE, find_extension
from sabir.mls.group_info import GroupInfo, GroupInfoIn
from sabir.mls.leaf_node import LeafNode, LeafNodeIn
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.ratchet_tree import read_ratchet_tree
from sabir.mls.services import Services
from sabir.mls.transcript import interim_hash
from sabir.mls.transition import check_outsiders
from sabir.mls.validation.components import check_dictionary, check_members
from sabir.mls.validation.leaf_node import LeafRules, validate_leaf_node
from sabir.mls.validation.tree import validate_tree
from sabir.mls.validation.welcome import check_same_tree, verify_group_info
from sabir.wire.tls import read_whole


@dataclass(frozen=True, slots=True)
class OpenedGroup:
    """A group as a verified GroupInfo shows it."""

    epoch: PublicEpoch
    group_info: GroupInfo


def open_group_info(
    services: Services, group_info: GroupInfoIn, tree: bytes | None = None
) -> OpenedGroup:
    """Check a GroupInfo and its tree.

    Args:
        services: the application.
        group_info: as a member made it.
        tree: the octets of the `ratchet_tree` extension's data, when they came
            beside the GroupInfo.

    Raises:
        Malformed: the tree is none.
        MlsInvalid: W05, W17, T01 to T08, a rule of L, E01, E11, E13, E15.
        MlsMissing: there is no tree.
        MlsUnsupported: a version or suite that we do not have.
    """
    context = group_info.group_context
    if context.version != MLS10:
        raise MlsUnsupported("protocol version", context.version)
    suite = services.suite(context.cipher_suite)
    inside = find_extension(group_info.extensions, RATCHET_TREE)
    check_same_tree(inside, tree)
    octets = tree if inside is None else inside
    if octets is None:
        raise MlsMissing("the ratchet tree")
    received = read_whole(
        octets, lambda reader: read_ratchet_tree(reader, services.limits)
    )
    rules = LeafRules.of_group(
        context,
        suite,
        services.authentication,
        credentials_in_use={leaf.credential.kind for _, leaf in received.members()},
        limits=services.limits,
        suites=services.suites,
    )

    def check_leaf(leaf: LeafNodeIn, index: int) -> LeafNode:
        return validate_leaf_node(
            leaf, rules, Where.TREE, group_id=context.group_id, leaf_index=index
        )

    checked = validate_tree(received, suite, context.tree_hash, check_leaf)
    verified = verify_group_info(suite, group_info, checked)
    check_dictionary(context.extensions)
    check_members(context.extensions, (leaf for _, leaf in checked.members()))
    check_outsiders(context.extensions, (), suite, services)
    tag = group_info.confirmation_tag
    interim = interim_hash(suite, context.confirmed_transcript_hash, tag)
    return OpenedGroup(PublicEpoch(suite, context, checked, tag, interim), verified)

"""A new group with one member (RFC 9420 section 11)."""

from sabir.crypto import hpke
from sabir.crypto.secrets import Secret
from sabir.mls.client import MlsClient
from sabir.mls.env import Env
from sabir.mls.extensions import Extensions
from sabir.mls.group.epoch import Epoch, GroupState
from sabir.mls.group_context import GroupContext, read_group_context
from sabir.mls.key_schedule import epoch_of
from sabir.mls.misuse import seconds
from sabir.mls.own_limits import check_readable
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.public_group import PublicGroup
from sabir.mls.ratchet_tree import RatchetTree
from sabir.mls.transcript import CONFIRMED_AT_START, confirmation_tag, interim_hash
from sabir.mls.transition import check_outsiders
from sabir.mls.treekem import PrivateKeys
from sabir.mls.validation.components import check_dictionary, check_member
from sabir.mls.validation.leaf_node import LeafRules, validate_new_leaf_node


def create_group(
    env: Env, client: MlsClient, group_id: bytes, suite: int, extensions: Extensions
) -> GroupState:
    """Make a group of which we are the only member, at epoch 0.

    Raises:
        MlsMisuse: we have no identity for the suite, or there are more extensions than
            our limits say.
        MlsInvalid: we ourselves do not support what the group would require.
        MlsUnsupported: the suite is not configured.
    """
    services = client.services
    chosen = services.suite(suite)
    identity = client.identity(chosen)
    private, public = hpke.derive_key_pair(
        chosen, env.random(chosen.kem.private_octets)
    )
    context = GroupContext(
        chosen.number, group_id, 0, b"", CONFIRMED_AT_START, extensions
    )
    limits = services.limits
    check_readable(
        "the GroupContext",
        context.raw,
        lambda reader: read_group_context(reader, limits),
    )
    check_dictionary(extensions)
    check_outsiders(extensions, (), chosen, services)
    rules = LeafRules.of_group(
        context,
        chosen,
        services.authentication,
        limits=services.limits,
        suites=services.suites,
    )
    leaf = validate_new_leaf_node(
        client.leaf(env, identity, public), rules, seconds(env)
    )
    check_member(extensions, leaf)
    tree = RatchetTree.of_founder(chosen, leaf)
    context = GroupContext(
        chosen.number, group_id, 0, tree.tree_hash(), CONFIRMED_AT_START, extensions
    )
    new = epoch_of(chosen, Secret(env.random(chosen.nh)))
    tag = confirmation_tag(chosen, new.kept.confirmation, CONFIRMED_AT_START)
    interim = interim_hash(chosen, CONFIRMED_AT_START, tag)
    epoch = PublicEpoch(chosen, context, tree, tag, interim)
    keys = PrivateKeys(0, {0: Secret(private)})
    return GroupState.begin(
        PublicGroup(services, epoch),
        Epoch.of(epoch, keys, new, identity.private, services.limits),
    )

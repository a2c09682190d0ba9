"""Rules T01 to T08 and L in a tree, as joiners and hubs meet them; W13 to W15."""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import pytest

from sabir.crypto.suites import SUITES
from sabir.mls.client import Identity, KeyPackageSecrets
from sabir.mls.extensions import APP_DATA_DICTIONARY, RATCHET_TREE, Extension
from sabir.mls.group.continuation import branch, continue_after_re_init
from sabir.mls.group.epoch import GroupPsks
from sabir.mls.group.group import (
    MlsGroup,
    accept,
    stage_external_join,
    stage_welcome,
)
from sabir.mls.group.pending import CommitOptions
from sabir.mls.group.resumption import linking_proposal
from sabir.mls.group_info import GroupInfoIn, sign_group_info
from sabir.mls.leaf_node import Lifetime, sign_leaf_node
from sabir.mls.parent_node import ParentNode
from sabir.mls.proposals import Add, PreSharedKey, Proposal, ReInit
from sabir.mls.psk_ids import ResumptionPsk, ResumptionUsage
from sabir.mls.public_group import PublicGroup
from sabir.mls.ratchet_tree import RatchetTreeIn, read_ratchet_tree
from sabir.mls.tree_hashes import TreeHashes
from sabir.mls.validation.rules import Rule
from sabir.mls.welcome import Welcome
from sabir.testing.mls.forger import replace_leaf
from sabir.testing.mls.leaves import DAY_S, NOW_S
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import World
from sabir.wire.tls import read_whole
from tests.unit.mls.negative.judges import lacking, misused
from tests.unit.mls.negative.test_proposals import BROKEN_LEAVES

Change = Callable[[World, RatchetTreeIn], None]


def info_with(world: World, change: Change) -> GroupInfoIn:
    """Show a tree that a member changed and everything else fits."""
    alice = world.groups["alice"]
    right = alice.group_info(with_tree=True)
    tree = read_whole(world.hub.tree.encode(), read_ratchet_tree)
    change(world, tree)
    hashed = TreeHashes(world.suite, tree.leaf_count).of(tree, tree.root)
    context = replace(right.group_context, tree_hash=hashed, raw=b"")
    extensions = tuple(
        Extension(RATCHET_TREE, tree.encode()) if each.kind == RATCHET_TREE else each
        for each in right.extensions
    )
    epoch = alice.state.epoch
    assert epoch is not None
    changed = replace(right, group_context=context, extensions=extensions, raw=b"")
    return sign_group_info(world.suite, epoch.signature_key.reveal(), changed)


def refuse_tree(world: World, rule: Rule, change: Change) -> None:
    """Check that who joins and who follows refuse a tree by a rule."""
    info = info_with(world, change)
    with unchanged(world.hub), violates(rule):
        PublicGroup.from_group_info(world.hub.services, info)
    with unchanged(*world.person("zoe").belongings()), violates(rule):
        stage_external_join(world.env, world.person("zoe").client, info, member_of=())


def parent_at(tree: RatchetTreeIn, node: int) -> ParentNode:
    found = tree.parents[node >> 1]
    assert found is not None
    return found


def put(tree: RatchetTreeIn, node: int, parent: ParentNode) -> None:
    tree.parents[node >> 1] = parent


def test_what_nobody_changed_is_accepted(world: World) -> None:
    """Guard of this file: the helper breaks nothing by itself."""
    info = info_with(world, lambda world, tree: None)
    PublicGroup.from_group_info(world.hub.services, info)
    filled = [node for node in (1, 3, 5, 7) if world.hub.tree.parent(node)]
    assert filled == [1, 3, 5, 7]


def unmerged(node: int, *leaves: int) -> Change:
    def change(world: World, tree: RatchetTreeIn) -> None:
        del world
        old = parent_at(tree, node)
        put(tree, node, ParentNode(old.encryption_key, old.parent_hash, leaves))

    return change


@pytest.mark.parametrize("leaves", [(5,), (6, 7), (8,), (0xFFFF_FFFF,)])
def test_t05_an_unmerged_leaf_that_is_nobody_is_refused(
    world: World, leaves: tuple[int, ...]
) -> None:
    refuse_tree(world, Rule.T05, unmerged(7, *leaves))


def test_t05_an_unmerged_leaf_of_elsewhere_is_refused(world: World) -> None:
    refuse_tree(world, Rule.T05, unmerged(1, 2))


def test_t06_an_unmerged_leaf_that_one_between_does_not_list_is_refused(
    world: World,
) -> None:
    refuse_tree(world, Rule.T06, unmerged(7, 2))
    refuse_tree(world, Rule.T06, unmerged(3, 1))


@pytest.mark.parametrize("leaves", [(1, 0), (1, 1), (0, 1, 1)])
def test_t08_unmerged_leaves_out_of_order_are_refused(
    world: World, leaves: tuple[int, ...]
) -> None:
    refuse_tree(world, Rule.T08, unmerged(3, *leaves))


def test_c04_more_unmerged_leaves_than_are_below_are_not_even_read(
    world: World,
) -> None:
    refuse_tree(world, Rule.C04, unmerged(1, 0, 1, 1))
    refuse_tree(world, Rule.C04, unmerged(3, *range(5)))


def test_t04_a_parent_that_no_leaf_vouches_for_is_refused(world: World) -> None:
    def other_key(world: World, tree: RatchetTreeIn) -> None:
        old = parent_at(tree, 3)
        fresh = world.person("zoe").key_package()[0].init_key
        put(tree, 3, ParentNode(fresh, old.parent_hash))

    def other_hash(world: World, tree: RatchetTreeIn) -> None:
        old = parent_at(tree, 3)
        wrong = bytes(world.suite.nh)
        put(tree, 3, ParentNode(old.encryption_key, wrong))

    def no_hash(world: World, tree: RatchetTreeIn) -> None:
        del world
        put(tree, 3, ParentNode(parent_at(tree, 3).encryption_key, b""))

    def claimed_unmerged(world: World, tree: RatchetTreeIn) -> None:
        """List who set the node as one who does not know it."""
        del world
        for node in (1, 3, 7):
            old = parent_at(tree, node)
            put(tree, node, ParentNode(old.encryption_key, old.parent_hash, (0, 1)))

    for change in (other_key, other_hash, no_hash, claimed_unmerged):
        refuse_tree(world, Rule.T04, change)


def test_t04_a_removed_member_s_key_cannot_stay_above(world: World) -> None:
    """A leaf blanked without blanking what is above it, as an insider might."""

    def blank(world: World, tree: RatchetTreeIn) -> None:
        del world
        tree.leaves[1] = None

    refuse_tree(world, Rule.T04, blank)


def test_t07_one_key_at_two_parents_is_refused(world: World) -> None:
    def twice(world: World, tree: RatchetTreeIn) -> None:
        del world
        key = parent_at(tree, 1).encryption_key
        put(tree, 5, ParentNode(key, parent_at(tree, 5).parent_hash))

    def of_a_leaf(world: World, tree: RatchetTreeIn) -> None:
        del world
        leaf = tree.leaves[4]
        assert leaf is not None
        put(tree, 5, ParentNode(leaf.encryption_key, parent_at(tree, 5).parent_hash))

    refuse_tree(world, Rule.T07, twice)
    refuse_tree(world, Rule.T07, of_a_leaf)


def test_l14_a_parent_with_no_key_is_refused(world: World) -> None:
    def change(world: World, tree: RatchetTreeIn) -> None:
        del world
        put(tree, 5, ParentNode(b"no key", parent_at(tree, 5).parent_hash))

    refuse_tree(world, Rule.L14, change)


def test_l11_l12_two_leaves_with_one_key_are_refused(world: World) -> None:
    def signature(world: World, tree: RatchetTreeIn) -> None:
        del world
        one, other = tree.leaves[0], tree.leaves[4]
        assert one is not None
        assert other is not None
        tree.leaves[4] = replace_leaf(other, signature_key=one.signature_key)

    def encryption(world: World, tree: RatchetTreeIn) -> None:
        del world
        one, other = tree.leaves[0], tree.leaves[4]
        assert one is not None
        assert other is not None
        tree.leaves[4] = replace_leaf(other, encryption_key=one.encryption_key)

    refuse_tree(world, Rule.L11, signature)
    refuse_tree(world, Rule.L12, encryption)


def test_l02_a_leaf_in_another_s_place_is_refused(world: World) -> None:
    """Behind the last leaf there is no parent whose chain would break first."""

    def move(world: World, tree: RatchetTreeIn) -> None:
        package, _ = world.person("yan").key_package()
        moved = replace_leaf(
            package.leaf_node,
            source=tree.leaves[4].source if tree.leaves[4] else 0,
            lifetime=None,
            parent_hash=b"",
        )
        key = world.person("yan").identity.private.reveal()
        group_id = world.hub.context.group_id
        tree.leaves[6] = sign_leaf_node(world.suite, key, moved, group_id, 5)
        tree.parents[3] = None

    refuse_tree(world, Rule.L02, move)


@pytest.mark.parametrize(
    "rule",
    sorted(BROKEN_LEAVES.keys() - {Rule.L09}, key=str),
    ids=lambda rule: rule.name,
)
def test_a_tree_with_a_bad_leaf_is_refused(world: World, rule: Rule) -> None:
    """Added by somebody who did not look, in a group without parents."""

    def add(world: World, tree: RatchetTreeIn) -> None:
        person = world.person("yan")
        leaf = BROKEN_LEAVES[rule](person.key_package()[0].leaf_node)
        key = person.identity.private.reveal()
        tree.leaves[6] = sign_leaf_node(world.suite, key, leaf)
        tree.parents[3] = None

    refuse_tree(world, rule, add)


def test_an_expired_leaf_in_a_tree_is_let_be(world: World) -> None:
    """A member that was away for long would lose its group (7.3)."""

    def add(world: World, tree: RatchetTreeIn) -> None:
        person = world.person("yan")
        leaf = replace_leaf(
            person.key_package()[0].leaf_node,
            lifetime=Lifetime(NOW_S - 2 * DAY_S, NOW_S - DAY_S),
        )
        key = person.identity.private.reveal()
        tree.leaves[6] = sign_leaf_node(world.suite, key, leaf)
        tree.parents[3] = None

    PublicGroup.from_group_info(world.hub.services, info_with(world, add))


# ---- W13 to W15: groups that continue another


NEW_ID = b"the next group"


def found(
    own: World,
    names: tuple[str, ...],
    *links: Proposal,
    suite: int = 1,
    group_id: bytes = NEW_ID,
    extensions: tuple[Extension, ...] = (),
    late: bool = False,
) -> tuple[Welcome, list[KeyPackageSecrets]]:
    """Let alice found a group that says it continues the old one, unchecked."""
    alice = own.person("alice").client
    new = MlsGroup.create(own.env, alice, group_id, extensions, suite=suite)
    if late:
        new.commit(own.env)
        new.merge_pending(own.env)
    made = [own.person(name).client.key_package(own.env, suite=suite) for name in names]
    adds = [Add(package) for package, _ in made]
    old = own.groups["alice"]
    store = GroupPsks(alice.psks, old.group_id, old.state.resumption)
    new.commit_with(own.env, (*adds, *links), CommitOptions(founding=True), store)
    welcome = new.merge_pending(own.env).welcome
    assert welcome is not None
    return welcome, [secrets for _, secrets in made]


def link(own: World, usage: ResumptionUsage, *, nh: int = 32) -> PreSharedKey:
    return linking_proposal(own.env, own.groups["alice"].state, usage, nh)


Made = tuple[Welcome, list[KeyPackageSecrets]]


def join(own: World, made: Made) -> MlsGroup:
    """Let bob, a member of the old group, join."""
    welcome, secrets = made
    client, old = own.person("bob").client, own.groups["bob"]
    with unchanged(old, *secrets):
        staged = stage_welcome(client, welcome, secrets, resume=old, member_of=())
    return accept(client, staged)


def refuse_join(own: World, rule: Rule, made: Made) -> None:
    """Check that bob refuses to join."""
    welcome, secrets = made
    client, old = own.person("bob").client, own.groups["bob"]
    with unchanged(old, *secrets), violates(rule):
        stage_welcome(client, welcome, secrets, resume=old, member_of=())


OTHERS = ("bob", "carol", "dave", "erin")


def end(own: World, suite: int = 1) -> None:
    own.commit("carol", [ReInit(NEW_ID, suite)])


def test_a_group_that_continues_another_is_joined(own: World) -> None:
    """Guard of this part: branch, then ReInit."""
    join(own, found(own, OTHERS[:2], link(own, ResumptionUsage.BRANCH), group_id=b"b"))
    end(own)
    join(own, found(own, OTHERS, link(own, ResumptionUsage.REINIT)))


@pytest.mark.parametrize("usage", [ResumptionUsage.BRANCH, ResumptionUsage.REINIT])
def test_w13_a_group_that_is_older_than_its_link_is_refused(
    own: World, usage: ResumptionUsage
) -> None:
    if usage is ResumptionUsage.REINIT:
        end(own)
    made = found(own, OTHERS, link(own, usage), late=True)
    refuse_join(own, Rule.W13, made)


def test_w14_other_parameters_than_announced_are_refused(own: World) -> None:
    end(own)
    psk = link(own, ResumptionUsage.REINIT)
    refuse_join(own, Rule.W14, found(own, OTHERS, psk, group_id=b"another"))
    dictionary = Extension(APP_DATA_DICTIONARY, b"\x00")
    refuse_join(own, Rule.W14, found(own, OTHERS, psk, extensions=(dictionary,)))


def test_w14_another_suite_than_announced_is_refused() -> None:
    own = World()
    for name in ("alice", *OTHERS):
        give_suite(own, name, 3)
    end(own, suite=1)
    refuse_join(
        own, Rule.W14, found(own, OTHERS, link(own, ResumptionUsage.REINIT), suite=3)
    )


def give_suite(own: World, name: str, suite: int) -> None:
    """Let a client have an identity for another suite, too."""
    client = own.person(name).client
    more = Identity.generate(
        own.env, SUITES[suite], own.person(name).identity.credential
    )
    client.identities = MappingProxyType({**client.identities, suite: more})


def test_w14_leaving_a_member_behind_is_refused(own: World) -> None:
    end(own)
    refuse_join(
        own, Rule.W14, found(own, OTHERS[:3], link(own, ResumptionUsage.REINIT))
    )
    packages = [own.person(name).key_package()[0] for name in OTHERS[:3]]
    with unchanged(own.groups["alice"]), violates(Rule.W14):
        continue_after_re_init(
            own.env, own.person("alice").client, own.groups["alice"], packages
        )


def test_w14_continuing_a_group_that_goes_on_is_refused(own: World) -> None:
    refuse_join(own, Rule.W14, found(own, OTHERS, link(own, ResumptionUsage.REINIT)))
    with misused("not ended", own.groups["alice"]):
        continue_after_re_init(
            own.env, own.person("alice").client, own.groups["alice"], []
        )


def test_w14_continuing_an_earlier_epoch_is_refused(own: World) -> None:
    epoch = own.hub.context.epoch
    end(own)
    psk = ResumptionPsk(
        ResumptionUsage.REINIT,
        own.hub.context.group_id,
        epoch,
        own.env.random(own.suite.nh),
    )
    refuse_join(own, Rule.W14, found(own, OTHERS, PreSharedKey(psk)))


def test_w15_a_branch_with_a_stranger_is_refused(own: World) -> None:
    own.person("zoe")
    refuse_join(
        own, Rule.W15, found(own, ("bob", "zoe"), link(own, ResumptionUsage.BRANCH))
    )
    packages = [own.person(name).key_package()[0] for name in ("bob", "zoe")]
    with unchanged(own.groups["alice"]), violates(Rule.W15):
        branch(
            own.env,
            own.person("alice").client,
            own.groups["alice"],
            NEW_ID,
            packages,
        )


def test_w15_a_branch_of_another_suite_is_refused() -> None:
    own = World()
    for name in ("alice", "bob"):
        give_suite(own, name, 3)
    refuse_join(
        own, Rule.W15, found(own, ("bob",), link(own, ResumptionUsage.BRANCH), suite=3)
    )


def test_a_link_to_another_group_than_we_are_shown_is_missing(own: World) -> None:
    welcome, secrets = found(own, OTHERS[:2], link(own, ResumptionUsage.BRANCH))
    client = own.person("bob").client
    with lacking("PSK 0 of 1"):
        stage_welcome(client, welcome, secrets, member_of=())
    other = MlsGroup.create(own.env, client, b"unrelated")
    with lacking("PSK 0 of 1", other):
        stage_welcome(client, welcome, secrets, resume=other, member_of=())

"""Rules O, and T09 to T14: commits and their paths (N03, N04, N05, forged commits)."""

from dataclasses import replace

import pytest

from sabir.crypto.errors import OpenFailed
from sabir.crypto.labels import decrypt_with_label
from sabir.crypto.secrets import Secret
from sabir.mls.codepoints import LeafNodeSource, WireFormat
from sabir.mls.commit import (
    Commit,
    HPKECiphertext,
    ProposalReference,
    UpdatePath,
    UpdatePathNode,
)
from sabir.mls.errors import MlsInvalid, MlsMissing
from sabir.mls.extensions import APP_DATA_DICTIONARY, Extension
from sabir.mls.framing import PublicMessage, decode_message
from sabir.mls.group.process import OwnEcho, StagedCommit
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.proposals import (
    Add,
    GroupContextExtensions,
    Proposal,
    ReInit,
    Remove,
    SelfRemove,
    Update,
)
from sabir.mls.public_group import PublicGroup
from sabir.mls.staging import PublicStage
from sabir.mls.tags import Tag
from sabir.mls.treekem import open_path
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import Forger, replace_leaf
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import snapshot, unchanged
from sabir.testing.mls.world import REGISTRY, World, process_and_merge
from sabir.wire.errors import Malformed
from tests.unit.mls.negative.judges import VICTIMS, hub_believes, misused, refuse
from tests.unit.mls.negative.test_proposals import (
    BROKEN_LEAVES,
    key_package,
    leaf_with,
)

CAROL, DAVE = 2, 3
PRIVATE = WireFormat.PRIVATE_MESSAGE


def forged_path(carol: Forger, path: UpdatePath) -> bytes:
    return carol.commit(path=path)


# ---- N03: leaves of paths


def test_n03_a_path_whose_leaf_keeps_its_key_is_refused(
    world: World, carol: Forger
) -> None:
    path = carol.path(change=leaf_with(encryption_key=carol.leaf.encryption_key))
    refuse(world, forged_path(carol, path), Rule.L10)


def test_n03_a_path_whose_leaf_signature_is_copied_is_refused(
    world: World, carol: Forger
) -> None:
    path = carol.path()
    leaf = path.leaf_node
    names = [name for name in LeafNodeIn.__slots__ if name not in {"raw", "signature"}]
    fields = {name: getattr(leaf, name) for name in names}
    copied = LeafNodeIn(**fields, signature=carol.leaf.signature)
    refuse(
        world, forged_path(carol, replace(path, leaf_node=copied, raw=b"")), Rule.L02
    )


BROKEN = (Rule.L01, Rule.L07, Rule.L08, Rule.L09, Rule.L13, Rule.L14)


def broken(world: World, carol: Forger, rule: Rule) -> LeafNodeIn:
    """Return a leaf that is wrong in one way, with the parent hash of the path."""
    path = carol.path()
    if rule is Rule.L01:
        zoe = world.person("zoe").identity.credential
        return carol.sign_leaf(replace_leaf(path.leaf_node, credential=zoe))
    if rule is Rule.L09:
        package, _ = carol.person.key_package()
        return package.leaf_node
    return carol.sign_leaf(BROKEN_LEAVES[rule](path.leaf_node))


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.name)
def test_n03_a_path_with_a_bad_leaf_is_refused(
    world: World, carol: Forger, rule: Rule
) -> None:
    path = replace(carol.path(), leaf_node=broken(world, carol, rule), raw=b"")
    refuse(world, forged_path(carol, path), rule)


def test_n03_a_path_leaf_for_another_place_is_refused(
    world: World, carol: Forger
) -> None:
    path = carol.path()
    moved = carol.sign_leaf(path.leaf_node, leaf_index=1)
    forged = replace(path, leaf_node=moved, raw=b"")
    refuse(world, forged_path(carol, forged), Rule.L02)


def test_n03_a_path_leaf_with_a_member_s_key_is_refused(
    world: World, carol: Forger
) -> None:
    alice = Forger(world, "alice")
    path = carol.path()
    taken = replace_leaf(path.leaf_node, signature_key=alice.leaf.signature_key)
    leaf = carol.sign_leaf(taken, key=alice.epoch.signature_key)
    refuse(world, forged_path(carol, replace(path, leaf_node=leaf, raw=b"")), Rule.L11)
    for node in (0, 2, 3):
        key = world.hub.tree.encryption_key(node)
        if key is not None:
            leaf = carol.sign_leaf(replace_leaf(path.leaf_node, encryption_key=key))
            forged = replace(path, leaf_node=leaf, raw=b"")
            refuse(world, forged_path(carol, forged), Rule.L12)


@pytest.mark.parametrize("own", [1, 2, 4], indirect=True)
def test_n03_our_commits_rotate_the_leaf_s_key(own: World) -> None:
    """Updates, removals, and a change of the signature key; by all, to all."""
    for change in ((), (Remove(4),)):
        old = own.hub.tree.leaf(CAROL)
        own.commit("carol", change)
        new = own.hub.tree.leaf(CAROL)
        assert old is not None
        assert new is not None
        assert old.encryption_key != new.encryption_key
        own.check()
    fresh = own.person("carol").identity.generate(
        own.env, own.suite, own.person("carol").identity.credential
    )
    group = own.groups["carol"]
    pending = group.commit(own.env, leaf=group.new_leaf(fresh), as_public=True)
    group.merge_pending(own.env)
    own.deliver(pending.commit, "carol")
    leaf = own.hub.tree.leaf(CAROL)
    assert leaf is not None
    assert leaf.signature_key == fresh.public
    own.works()


def test_n03_a_removed_member_cannot_derive_the_new_epoch(own: World) -> None:
    """Not even when it forgets that it was removed, and tries with all it knows."""
    dave = Forger(own, "dave")
    commit = own.groups["carol"].commit(own.env, [Remove(DAVE)], as_public=True)
    staged = own.fork_hub().process(own.env, commit.commit)
    assert isinstance(staged, PublicStage)
    found = dave.group.process(own.env, commit.commit)
    assert isinstance(found, StagedCommit)
    assert found.effects.self_removed
    assert found.epoch is None
    assert staged.path is not None
    keys = dave.epoch.keys
    for place in range(len(staged.path.nodes)):
        for sealed in range(len(staged.path.nodes[place])):
            for key in dict(keys.items()).values():
                _cannot_open(own, staged, place, sealed, key)
    with pytest.raises((MlsMissing, ValueError)):
        open_path(staged.after.tree, keys, CAROL, staged.path, staged.provisional.raw)


def _cannot_open(
    own: World, staged: PublicStage, place: int, sealed: int, key: Secret
) -> None:
    assert staged.path is not None
    box = staged.path.nodes[place].ciphertext(sealed)
    with pytest.raises(OpenFailed):
        decrypt_with_label(
            own.suite,
            key.reveal(),
            b"UpdatePathNode",
            staged.provisional.raw,
            box.kem_output,
            box.ciphertext,
        )


# ---- T09 to T13: paths


def test_t09_a_path_too_long_or_too_short_is_refused(
    world: World, carol: Forger
) -> None:
    path = carol.path()
    extra = UpdatePathNode.of(carol.fresh_key(), ())
    for nodes in (path.nodes[:-1], path.nodes[1:], (), (*path.nodes, extra)):
        forged = replace(path, nodes=tuple(nodes), raw=b"")
        refuse(world, forged_path(carol, forged), Rule.T09)


def test_t10_a_ciphertext_too_many_or_too_few_is_refused(
    world: World, carol: Forger
) -> None:
    path = carol.path()
    box = HPKECiphertext(b"kem output", b"ciphertext")
    for place, node in enumerate(path.nodes):
        sealed = [node.ciphertext(index) for index in range(len(node))]
        for other in (sealed[:-1], [*sealed, box], [*sealed, *sealed]):
            nodes = list(path.nodes)
            nodes[place] = UpdatePathNode.of(node.encryption_key, other)
            forged = replace(path, nodes=tuple(nodes), raw=b"")
            refuse(world, forged_path(carol, forged), Rule.T10)


def test_t10_new_members_are_not_sealed_to(world: World, carol: Forger) -> None:
    """A path made without leaving them out has one ciphertext too many."""
    add = Add(key_package(world))
    path = carol.path()
    place = len(path.nodes) - 1
    right = carol.path([add])
    node = right.nodes[place]
    sealed = [node.ciphertext(index) for index in range(len(node))]
    nodes = list(right.nodes)
    nodes[place] = UpdatePathNode.of(node.encryption_key, [*sealed, sealed[0]])
    forged = replace(right, nodes=tuple(nodes), raw=b"")
    refuse(world, carol.commit(add, path=forged), Rule.T10)


def test_t11_a_leaf_with_another_parent_hash_is_refused(
    world: World, carol: Forger
) -> None:
    for parent_hash in (b"", bytes(world.suite.nh)):
        path = carol.path(change=leaf_with(parent_hash=parent_hash))
        refuse(world, forged_path(carol, path), Rule.T11)


def test_t12_a_path_with_a_key_of_the_tree_is_refused(
    world: World, carol: Forger
) -> None:
    path = carol.path()
    tree = world.hub.tree
    taken = [tree.encryption_key(node) for node in (0, 3, 4, 7, 8)]
    for key in [found for found in taken if found is not None]:
        nodes = list(path.nodes)
        node = nodes[-1]
        sealed = [node.ciphertext(index) for index in range(len(node))]
        nodes[-1] = UpdatePathNode.of(key, sealed)
        forged = replace(path, nodes=tuple(nodes), raw=b"")
        refuse(world, forged_path(carol, forged), Rule.T12)


def test_t12_a_path_with_one_key_twice_is_refused(world: World, carol: Forger) -> None:
    path = carol.path()
    node = path.nodes[1]
    sealed = [node.ciphertext(index) for index in range(len(node))]
    twice = UpdatePathNode.of(path.nodes[0].encryption_key, sealed)
    forged = replace(path, nodes=(path.nodes[0], twice, *path.nodes[2:]), raw=b"")
    refuse(world, forged_path(carol, forged), Rule.T12)


def test_l14_a_path_with_a_key_that_is_none_is_refused(
    world: World, carol: Forger
) -> None:
    path = carol.path()
    sealed = [path.nodes[0].ciphertext(0)]
    bad = UpdatePathNode.of(b"no key", sealed)
    forged = replace(path, nodes=(bad, *path.nodes[1:]), raw=b"")
    refuse(world, forged_path(carol, forged), Rule.L14)


def refuse_what_a_hub_believes(world: World, message: bytes, rule: Rule) -> None:
    refuse(world, message, rule, hub=False)
    hub_believes(world, message)


def test_t13_a_path_whose_keys_are_swapped_is_refused(
    world: World, carol: Forger
) -> None:
    keys, secrets = zip(*carol.steps(), strict=True)
    swapped = carol.path_with(list(zip(keys[1:] + keys[:1], secrets, strict=True)))
    refuse_what_a_hub_believes(world, forged_path(carol, swapped), Rule.T13)


def test_t13_a_path_for_another_secret_is_refused(world: World, carol: Forger) -> None:
    """Secrets that are right each, and do not follow from one another."""
    steps, others = carol.steps(), carol.steps()
    broken = carol.path_with([*steps[:1], *others[1:]])
    # whoever meets it above sees nothing wrong and misses the tag; below: T13
    bob, erin = world.groups["bob"], world.groups["erin"]
    message = forged_path(carol, broken)
    for group in (bob, erin):
        with unchanged(group), violates(Rule.O03):
            group.process(world.env, message)
    with unchanged(world.groups["dave"]), violates(Rule.T13):
        world.groups["dave"].process(world.env, message)


def test_t13_a_path_that_does_not_open_is_refused(world: World, carol: Forger) -> None:
    path = carol.path()
    sealed = HPKECiphertext(b"kem output", b"ciphertext")
    nodes = [
        UpdatePathNode.of(node.encryption_key, [sealed] * len(node))
        for node in path.nodes
    ]
    forged = replace(path, nodes=tuple(nodes), raw=b"")
    refuse_what_a_hub_believes(world, forged_path(carol, forged), Rule.T13)


@pytest.mark.parametrize("octets", [0, 1, 31, 33])
def test_t13_a_path_secret_of_another_length_is_refused(
    world: World, carol: Forger, octets: int
) -> None:
    steps = [(public, bytes(octets)) for public, _ in carol.steps()]
    path = carol.path_with(steps)
    refuse_what_a_hub_believes(world, forged_path(carol, path), Rule.T13)


# ---- splices


def test_a_path_of_another_commit_is_refused(world: World, carol: Forger) -> None:
    add = Add(key_package(world))
    refuse(world, carol.commit(add, path=carol.path()), Rule.T11)
    refuse(world, carol.commit(path=carol.path([add])), Rule.T11)
    remove = Remove(DAVE)
    refuse(world, carol.commit(path=carol.path([remove])), Rule.T09)
    refuse(world, carol.commit(remove, path=carol.path()), Rule.T09)


def test_a_path_under_other_extensions_is_refused(world: World, carol: Forger) -> None:
    """Path secrets are sealed under the new extensions, also those of another list."""
    dictionary = Extension(APP_DATA_DICTIONARY, b"\x00")
    more = GroupContextExtensions((*carol.context.extensions, dictionary))
    forged = carol.commit(more, path=carol.path())
    refuse_what_a_hub_believes(world, forged, Rule.T13)
    forged = carol.commit(path=carol.path([more]))
    refuse_what_a_hub_believes(world, forged, Rule.T13)


def test_a_path_of_another_member_is_refused(world: World, carol: Forger) -> None:
    path = Forger(world, "alice").path()
    refuse(world, forged_path(carol, path), Rule.L02)


# ---- rules O


@pytest.mark.parametrize(
    "proposal",
    [Remove(DAVE), GroupContextExtensions(())],
    ids=["Remove", "GroupContextExtensions"],
)
def test_o01_a_commit_that_needs_a_path_and_has_none_is_refused(
    world: World, carol: Forger, proposal: Proposal
) -> None:
    refuse(world, carol.commit(proposal), Rule.O01)
    refuse(world, carol.commit(), Rule.O01)


def test_o01_references_need_a_path_as_values_do(own: World) -> None:
    dave, carol = Forger(own, "dave"), Forger(own, "carol")
    update = Update(dave.signed_leaf(source=LeafNodeSource.UPDATE))
    for proposal in (update, SelfRemove()):
        sent = dave.proposal(proposal)
        own.deliver(sent.message, "dave")
        refuse(own, carol.commit(ProposalReference(sent.reference)), Rule.O01)


def honest(world: World) -> tuple[Forger, PublicMessage, bytes]:
    """Return a commit that carol makes as she should, and may change then."""
    carol = Forger(world, "carol")
    pending = carol.group.commit(world.env, as_public=True)
    body = decode_message(pending.commit, REGISTRY).body
    assert isinstance(body, PublicMessage)
    return carol, body, pending.commit


def test_o03_a_right_signature_with_a_wrong_confirmation_tag_is_refused(
    world: World,
) -> None:
    carol, body, _ = honest(world)
    right = body.message.confirmation_tag
    assert right is not None
    octets = right.octets
    for wrong in (bytes(len(octets)), octets[:-1], octets + b"\x00", b""):
        message = replace(body.message, confirmation_tag=Tag(wrong), raw=b"")
        refuse_what_a_hub_believes(world, carol.public(message), Rule.O03)


def test_o03_a_confirmation_tag_of_another_commit_is_refused(world: World) -> None:
    carol, one, _ = honest(world)
    _, two, _ = honest(world)
    message = replace(
        one.message, confirmation_tag=two.message.confirmation_tag, raw=b""
    )
    refuse_what_a_hub_believes(world, carol.public(message), Rule.O03)


def test_o04_staging_changes_nothing(world: World) -> None:
    _, _, message = honest(world)
    bob, erin = (world.groups[name] for name in VICTIMS)
    with unchanged(bob, erin, world.hub):
        bob.process(world.env, message)
        erin.process(world.env, message)
        world.hub.process(world.env, message)


def test_o04_making_a_commit_changes_nothing_but_what_waits(own: World) -> None:
    group = own.groups["alice"]
    with unchanged(group.state):
        group.commit(own.env, [Remove(DAVE)], as_public=True)
    before = snapshot(group.state)
    group.clear_pending()
    group.commit(own.env, [Remove(DAVE)])
    assert snapshot(group.state) != before, "a generation was used up, no more"


def test_o04_a_stage_of_another_epoch_or_group_is_not_merged(own: World) -> None:
    bob, hub = own.groups["bob"], own.hub
    _, _, message = honest(own)
    staged, seen = bob.process(own.env, message), hub.process(own.env, message)
    assert isinstance(staged, StagedCommit)
    assert isinstance(seen, PublicStage)
    erin = own.groups["erin"]
    with misused("another epoch or group", erin):
        erin.merge(own.env, staged)
    other = own.fork_hub()
    other.merge(seen)  # the same epoch object: a fork of one hub may
    own.commit("alice")
    with misused("another epoch or group", bob):
        bob.merge(own.env, staged)
    with misused("another epoch or group", hub):
        hub.merge(seen)


@pytest.mark.parametrize("suite", [1, 4])
def test_o05_the_last_epoch_has_none_behind_it(suite: int) -> None:
    last = (1 << 64) - 1
    world = World(suite, names=("alice",))
    alice = world.groups["alice"]
    context = replace(alice.group_context, epoch=last, raw=b"")
    state = alice.state
    assert state.epoch is not None
    public = replace(state.epoch.public, context=context)
    hub = PublicGroup(world.hub.services, public)
    epoch = replace(state.epoch, public=public)
    group = type(alice)(
        world.person("alice").client,
        replace(state, public=PublicGroup(hub.services, public), epoch=epoch),
    )
    with unchanged(group, hub), violates(Rule.O05):
        group.commit(world.env, as_public=True)
    alice._state = group.state
    forger = Forger(world, "alice")
    leaf = forger.signed_leaf(parent_hash=b"")
    forged = forger.commit(path=UpdatePath(leaf, ()))
    with unchanged(hub), violates(Rule.O05):
        hub.process(world.env, forged)


def test_o06_after_a_re_init_nothing_is_sent(own: World) -> None:
    own.commit("carol", [ReInit(b"next", 1)])
    for group in own.groups.values():
        with misused("O06", group):
            group.encrypt(own.env, b"hello")
        with misused("O06", group):
            group.commit(own.env)
        with misused("O06", group):
            group.propose(own.env, Remove(DAVE))
        with misused("O06", group):
            group.propose_update(own.env)
        with misused("O06", group):
            group.group_info(with_tree=True)


@pytest.mark.parametrize("own", [1, 2, 4], indirect=True)
def test_o06_what_is_sent_after_a_re_init_is_refused(own: World) -> None:
    """By the hub, too; messages of the epochs before it may still come."""
    before = own.groups["alice"].encrypt(own.env, b"before").message
    own.commit("carol", [ReInit(b"next", own.suite.number)])
    carol = Forger(own, "carol")
    refuse(own, carol.commit(path=carol.path()), Rule.O06)
    refuse(own, carol.proposal(Remove(DAVE)).message, Rule.O06)
    data = carol.authenticated(carol.content(b"hello"), form=PRIVATE)
    refuse(own, carol.private(data), Rule.O06, hub=False)
    own.groups["bob"].process(own.env, before)


def test_o07_no_data_is_sent_while_proposals_wait(own: World) -> None:
    sent = own.groups["carol"].propose(own.env, Remove(DAVE), as_public=True)
    own.deliver(sent.message, "carol")
    for group in own.groups.values():
        with misused("O07", group):
            group.encrypt(own.env, b"hello")
    own.commit("alice")
    own.works()


def test_o08_one_commit_at_a_time(own: World) -> None:
    alice = own.groups["alice"]
    with misused("no commit of ours"):
        alice.merge_pending(own.env)
    first = alice.commit(own.env)
    with misused("O08", alice):
        alice.commit(own.env)
    assert alice.pending is first


def test_o09_a_welcome_waits_until_its_commit_is_accepted(own: World) -> None:
    alice = own.groups["alice"]
    pending = alice.commit(own.env, [Add(key_package(own))])
    with misused("O09", alice):
        _ = pending.welcome
    alice.merge_pending(own.env)
    assert pending.welcome is not None


# ---- N04: many forgeries


@pytest.mark.parametrize("own", [1, 2, 4], indirect=True)
def test_n04_forged_commits_do_not_hinder_the_genuine_one(own: World) -> None:
    """200 between any two valid ones, in both forms, of every sort."""
    carol = own.groups["carol"]
    judges = [own.groups["bob"], own.groups["erin"]]
    for _ in range(2):
        genuine = carol.commit(own.env, as_public=True).commit
        forged = forgeries(own, genuine)
        with unchanged(*judges, own.hub):
            for index in range(200):
                message = forged[index % len(forged)]
                for group in judges:
                    with pytest.raises((MlsInvalid, Malformed, MlsMissing)):
                        group.process(own.env, message)
        own.deliver(own.groups["bob"].encrypt(own.env, b"hello").message, "bob")
        own.deliver(genuine, "carol")
        carol.merge_pending(own.env)
        own.check()
    own.works()


def forgeries(own: World, genuine: bytes) -> list[bytes]:
    """Make commits that are not carol's, or are not commits."""
    carol, alice = Forger(own, "carol"), Forger(own, "alice")
    body = decode_message(genuine, REGISTRY).body
    assert isinstance(body, PublicMessage)
    right = body.message
    commit = right.content.content
    assert isinstance(commit, Commit)
    carol.group.clear_pending()
    sealed = carol.group.commit(own.env).commit
    epoch = own.hub.context.epoch
    others = [carol.content(commit, epoch=other) for other in (epoch - 1, epoch + 1)]
    key = alice.epoch.signature_key
    return [
        carol.public(replace(right, signature=own.env.random(64), raw=b"")),
        carol.public(carol.authenticated(right.content, key=key)),
        carol.public(replace(right, confirmation_tag=Tag(bytes(32)), raw=b"")),
        *(carol.public(carol.authenticated(other)) for other in others),
        genuine[: len(genuine) // 2],
        sealed[:-1] + bytes([sealed[-1] ^ 1]),
        sealed[: len(sealed) // 2],
    ]


# ---- forks


def _stage(own: World, message: bytes) -> PublicStage:
    staged = own.hub.process(own.env, message)
    assert isinstance(staged, PublicStage)
    return staged


def test_two_commits_in_one_epoch_the_second_is_too_late(own: World) -> None:
    alice, carol = own.groups["alice"], own.groups["carol"]
    first = alice.commit(own.env, as_public=True)
    second = carol.commit(own.env, as_public=True)
    assert isinstance(alice.process(own.env, first.commit), OwnEcho)
    alice.merge_pending(own.env)
    for name in ("bob", "dave", "erin"):
        process_and_merge(own.env, own.groups[name], first.commit)
    own.hub.merge(_stage(own, first.commit))
    for name in ("alice", "bob"):
        with unchanged(own.groups[name]), violates(Rule.F02):
            own.groups[name].process(own.env, second.commit)
    with unchanged(own.hub), violates(Rule.F02):
        own.hub.process(own.env, second.commit)
    carol.clear_pending()
    process_and_merge(own.env, carol, first.commit)
    own.check()
    own.commit("carol")
    own.works()


def test_the_winner_voids_a_commit_of_ours(own: World) -> None:
    alice, carol = own.groups["alice"], own.groups["carol"]
    lost = carol.commit(own.env, as_public=True)
    won = alice.commit(own.env, as_public=True)
    process_and_merge(own.env, carol, won.commit)
    assert carol.pending is None
    with misused("no commit of ours"):
        carol.merge_pending(own.env)
    with unchanged(carol), violates(Rule.F02):
        carol.process(own.env, lost.commit)

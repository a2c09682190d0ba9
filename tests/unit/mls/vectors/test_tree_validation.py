"""tree-validation: resolutions, hashes, parent hashes and signatures of trees.

Of the vectors' trees, and of the same trees made by commits of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pytest

from sabir.crypto.labels import verify_with_label
from sabir.crypto.suites import CipherSuite, find_suite
from sabir.mls.group.group import MlsGroup, accept, stage_welcome
from sabir.mls.group.process import StagedCommit
from sabir.mls.leaf_node import TBS_LABEL, LeafNode, LeafNodeIn
from sabir.mls.parent_node import ParentNode
from sabir.mls.proposals import Add, Proposal, Remove
from sabir.mls.ratchet_tree import RatchetTreeIn, read_ratchet_tree
from sabir.mls.tree_hashes import TreeHashes
from sabir.mls.tree_math import left as left_of
from sabir.mls.tree_math import node_count
from sabir.mls.tree_math import right as right_of
from sabir.mls.tree_nodes import TreeNodes
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.tree import validate_tree
from sabir.testing.mls.clients import SystemEnv, make_client
from sabir.testing.mls.vectors import Case, Strict, cases, check_can_fail, for_each
from sabir.testing.mls.vectors import load as load_case
from sabir.wire.tls import opaque, optional, read_whole, uint32

SMALL: Final = [case for case in cases("tree-validation") if case.number in {0, 8, 12}]


@for_each("tree-validation")
def test_a_tree_is_valid(vector: Strict) -> None:
    check(vector)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_the_runner_can_fail(case: Case) -> None:
    check_can_fail(check, load_case(case), every=True)


def written_anew(tree: RatchetTreeIn) -> RatchetTreeIn:
    """Make the tree from the fields of its nodes alone."""
    return RatchetTreeIn(
        [
            leaf
            and LeafNodeIn(
                leaf.encryption_key,
                leaf.signature_key,
                leaf.credential,
                leaf.capabilities,
                leaf.source,
                leaf.lifetime,
                leaf.parent_hash,
                leaf.extensions,
                leaf.signature,
            )
            for leaf in tree.leaves
        ],
        [
            parent
            and ParentNode(
                parent.encryption_key, parent.parent_hash, parent.unmerged_leaves
            )
            for parent in tree.parents
        ],
    )


def check(vector: Strict) -> None:
    suite = find_suite(vector["cipher_suite"])
    assert suite is not None
    group_id = vector.octets("group_id")
    octets = vector.octets("tree")
    hashes = [bytes.fromhex(value) for value in vector["tree_hashes"]]
    resolutions = vector["resolutions"]

    def check_leaf(leaf: LeafNodeIn, index: int) -> LeafNode:
        signed = leaf.signed(group_id, index)
        assert verify_with_label(
            suite, leaf.signature_key, TBS_LABEL, signed, leaf.signature
        )
        return LeafNode(leaf, PROOF)

    read = read_whole(octets, read_ratchet_tree)
    assert read.encode() == octets
    tree = written_anew(read)
    assert tree.encode() == octets
    count = node_count(tree.leaf_count)
    assert len(resolutions) == len(hashes) == count
    known = TreeHashes(suite, tree.leaf_count)
    for node in range(count):
        assert tree.resolution(node) == resolutions[node]
        assert known.of(tree, node) == hashes[node]
    checked = validate_tree(tree, suite, hashes[tree.root], check_leaf)
    assert checked.encode() == octets
    assert checked.tree_hash() == hashes[tree.root]


# ---- the same trees, made by us


@dataclass(frozen=True)
class Recipe:
    """How to come to the shape of a vector's tree.

    Leaf `i` adds leaf `i + 1` by a commit with a path, until there are so many. Then
    these steps are taken.
    """

    members: int
    steps: tuple["Step", ...] = ()


@dataclass(frozen=True)
class Step:
    """A commit of one member that removes some, and adds one or nobody."""

    sender: int
    removes: tuple[int, ...] = ()
    adds: bool = False
    path: bool = True


RECIPES: Final = (
    *(Recipe(members) for members in (2, 4, 8, 32)),
    Recipe(8, (Step(0, removes=(3,)),)),
    *(Recipe(members) for members in (3, 5, 7, 33)),
    Recipe(8, (Step(0, removes=(1, 2, 3)),)),
    *(Recipe(members) for members in (6, 34)),
    Recipe(7, (Step(0, adds=True),)),
    Recipe(7, (Step(0, removes=(5,)), Step(4), Step(0, adds=True, path=False))),
)
"""One for each vector of a suite."""

MADE: Final = [
    case
    for case in cases("tree-validation", whole=False)
    if case.suite == 1 or RECIPES[case.number].members <= 8
]
"""The large ones once: they are large in every suite."""


@pytest.mark.parametrize("case", MADE, ids=str)
def test_a_tree_of_ours_is_as_valid(case: Case) -> None:
    """It has the vector's shape, and the checker that knows the vector passes it."""
    vector = load_case(case)
    suite = find_suite(vector["cipher_suite"])
    assert suite is not None
    group = made(RECIPES[case.number], suite.number)
    tree = group.public.tree
    hashes = [
        hash_by_the_text(suite, tree, node).hex()
        for node in range(node_count(tree.leaf_count))
    ]
    check(
        Strict(
            {
                "cipher_suite": suite.number,
                "group_id": group.group_id.hex(),
                "tree": tree.encode().hex(),
                "tree_hashes": hashes,
                "resolutions": vector["resolutions"],
            }
        )
    )


def made(recipe: Recipe, suite: int) -> MlsGroup:
    """Make a tree as members of a group would; return that of leaf 0."""
    env = SystemEnv()
    first = MlsGroup.create(env, make_client(env, "0", suite), b"grove", suite=suite)
    followed = {0: first}
    """Members who act later."""
    last = first
    later = {step.sender for step in recipe.steps}
    for index in range(1, recipe.members):
        last = commit(env, last, followed, Step(index - 1, adds=True))
        if index in later:
            followed[index] = last
    for step in recipe.steps:
        commit(env, followed[step.sender], followed, step)
    return first


def commit(
    env: SystemEnv, group: MlsGroup, followed: Mapping[int, MlsGroup], step: Step
) -> MlsGroup:
    """Commit as a member; return the group of who joins, else the member's own."""
    changes: list[Proposal] = [Remove(leaf) for leaf in step.removes]
    suite = group.group_context.cipher_suite
    client = make_client(env, env.random(8).hex(), suite)
    package, secrets = client.key_package(env, suite=suite)
    if step.adds:
        changes.append(Add(package))
    assert group.own_leaf == step.sender
    done = group.commit(env, changes, as_public=True, force_path=step.path)
    welcome = group.merge_pending(env).welcome
    for other in followed.values():
        if other is not group:
            staged = other.process(env, done.commit)
            assert isinstance(staged, StagedCommit)
            other.merge(env, staged)
    if not step.adds:
        return group
    assert welcome is not None
    return accept(client, stage_welcome(client, welcome, [secrets], member_of=()))


def hash_by_the_text(suite: CipherSuite, tree: TreeNodes[LeafNode], node: int) -> bytes:
    """Compute a tree hash as section 7.8 says it, of the whole subtree each time."""
    if node % 2 == 0:
        leaf = tree.leaf(node // 2)
        octets = None if leaf is None else leaf.encode()
        return suite.hash(b"\x01" + uint32(node // 2) + optional(octets))
    parent = tree.node(node)
    assert parent is None or isinstance(parent, ParentNode)
    octets = None if parent is None else parent.encode()
    left = hash_by_the_text(suite, tree, left_of(node))
    right = hash_by_the_text(suite, tree, right_of(node))
    return suite.hash(b"\x02" + optional(octets) + opaque(left) + opaque(right))

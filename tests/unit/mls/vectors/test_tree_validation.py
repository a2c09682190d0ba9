"""tree-validation: resolutions, hashes, parent hashes and signatures of trees."""

from typing import Final

import pytest

from sabir.crypto.labels import verify_with_label
from sabir.crypto.suites import find_suite
from sabir.mls.leaf_node import TBS_LABEL, LeafNode, LeafNodeIn
from sabir.mls.ratchet_tree import read_ratchet_tree
from sabir.mls.tree_hashes import TreeHashes
from sabir.mls.tree_math import node_count
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.tree import validate_tree
from sabir.testing.mls.vectors import Case, Strict, cases, check_can_fail, for_each
from sabir.testing.mls.vectors import load as load_case
from sabir.wire.tls import read_whole

SMALL: Final = [case for case in cases("tree-validation") if case.number in {0, 8, 12}]


@for_each("tree-validation")
def test_a_tree_is_valid(vector: Strict) -> None:
    check(vector)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_the_runner_can_fail(case: Case) -> None:
    check_can_fail(check, load_case(case), every=True)


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

    tree = read_whole(octets, read_ratchet_tree)
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

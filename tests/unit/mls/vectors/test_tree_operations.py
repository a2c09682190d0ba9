"""tree-operations: Add, Update and Remove change a tree as others do."""

import pytest

from sabir.crypto.suites import find_suite
from sabir.mls.leaf_node import LeafNode
from sabir.mls.proposals import Add, Remove, Update, read_proposal
from sabir.mls.ratchet_tree import RatchetTree, read_ratchet_tree
from sabir.mls.validation.proof import PROOF
from sabir.testing.mls.vectors import Case, Strict, cases, check_can_fail, for_each
from sabir.testing.mls.vectors import load as load_case
from sabir.wire.tls import read_whole


@for_each("tree-operations")
def test_a_proposal_changes_the_tree(vector: Strict) -> None:
    check(vector)


@pytest.mark.parametrize("case", cases("tree-operations"), ids=str)
def test_the_runner_can_fail(case: Case) -> None:
    vector = load_case(case)
    # only for an Update does it matter who sent it
    update = vector["proposal"].startswith("0002")
    unseen = {} if update else {"proposal_sender": "the proposal names its leaf"}
    check_can_fail(check, vector, unseen=unseen)


def check(vector: Strict) -> None:
    suite = find_suite(vector["cipher_suite"])
    assert suite is not None
    before = read_whole(vector.octets("tree_before"), read_ratchet_tree)
    assert before.encode() == vector.octets("tree_before")
    tree = RatchetTree.restored(suite, before, PROOF)
    assert tree.tree_hash() == vector.octets("tree_hash_before")
    changed = tree.copy()
    sender = vector["proposal_sender"]
    match read_whole(vector.octets("proposal"), read_proposal):
        case Add(key_package):
            changed.change(additions=[LeafNode(key_package.leaf_node, PROOF)])
        case Update(leaf):
            changed.change(updates={sender: LeafNode(leaf, PROOF)})
        case Remove(index):
            changed.change(removals=[index])
        case other:
            pytest.fail(f"proposal type {other.kind}")
    assert changed.encode() == vector.octets("tree_after")
    assert changed.tree_hash() == vector.octets("tree_hash_after")
    # the tree that was copied is as it was
    assert tree.encode() == vector.octets("tree_before")
    assert tree.tree_hash() == vector.octets("tree_hash_before")
    # what came out is what is read in
    after = read_whole(vector.octets("tree_after"), read_ratchet_tree)
    again = RatchetTree.restored(suite, after, PROOF)
    assert again.tree_hash() == vector.octets("tree_hash_after")

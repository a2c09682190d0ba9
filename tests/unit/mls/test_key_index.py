"""No key stands in two places."""

from sabir.mls.key_index import KeyIndex, index_keys
from sabir.mls.parent_node import ParentNode
from sabir.mls.tree_nodes import TreeNodes
from sabir.mls.validation.rules import Rule
from tests.unit.mls.trees import plain_leaf, refused

A, B = plain_leaf(b"A", b"a"), plain_leaf(b"B", b"b")
P, Q = ParentNode(b"P", b""), ParentNode(b"Q", b"")


def test_all_keys_of_a_tree_are_entered() -> None:
    index = index_keys(TreeNodes([A, None, B, None], [None, P, Q]))
    assert index.encryption == {b"A": 0, b"B": 4, b"P": 3, b"Q": 5}
    assert index.signature == {b"a": 0, b"b": 2}


def test_a_key_in_two_places_is_refused() -> None:
    with refused(Rule.L11):
        index_keys(TreeNodes([A, plain_leaf(b"C", b"a")], [None]))
    with refused(Rule.L12):
        index_keys(TreeNodes([A, plain_leaf(b"A", b"c")], [None]))
    with refused(Rule.T07):
        index_keys(TreeNodes([A, B], [ParentNode(b"B", b"")]))
    with refused(Rule.T07):
        index_keys(TreeNodes([A, None, B, None], [None, P, P]))


def test_keys_that_were_dropped_are_free() -> None:
    index = index_keys(TreeNodes([A, B], [P]))
    copy = index.copy()
    copy.drop_leaf(B)
    copy.drop_parent(P)
    copy.claim_leaf(plain_leaf(b"P", b"b"), 1)
    copy.claim_parent(ParentNode(b"B", b""), 1)
    assert copy.encryption == {b"A": 0, b"P": 2, b"B": 1}
    assert index.encryption == {b"A": 0, b"B": 2, b"P": 1}
    assert index.signature == copy.signature == {b"a": 0, b"b": 1}
    assert KeyIndex({}, {}).copy().encryption == {}

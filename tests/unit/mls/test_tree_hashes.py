"""Tree hashes: their inputs, and that what is kept is right."""

import hashlib

import pytest

from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.leaf_node import LeafNode
from sabir.mls.parent_node import ParentNode
from sabir.mls.tree_hashes import TreeHashes, parent_hash
from sabir.mls.tree_nodes import TreeNodes
from sabir.wire.tls import opaque, uint32
from tests.unit.mls.trees import SUITE, plain_leaf

A, B, C = (plain_leaf(name) for name in (b"A", b"B", b"C"))


def two(unmerged: tuple[int, ...] = ()) -> TreeNodes[LeafNode]:
    return TreeNodes([A, B], [ParentNode(b"P", b"", unmerged)])


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_the_inputs_are_those_of_section_7_8(suite: CipherSuite) -> None:
    def digest(data: bytes) -> bytes:
        return hashlib.new(suite.hash_name, data).digest()

    left = digest(b"\x01" + uint32(0) + b"\x01" + A.raw)
    right = digest(b"\x01" + uint32(1) + b"\x00")
    nodes = TreeNodes([A, None], [ParentNode(b"P", b"x")])
    parent = b"\x01" + ParentNode(b"P", b"x").raw
    top = digest(b"\x02" + parent + opaque(left) + opaque(right))
    hashes = TreeHashes(suite, 2)
    assert [hashes.of(nodes, node) for node in range(3)] == [left, top, right]
    blank = digest(b"\x02\x00" + opaque(left) + opaque(right))
    assert TreeHashes(suite, 2).of(TreeNodes([A, None], [None]), 1) == blank


def test_a_parent_hash_has_the_inputs_of_section_7_9() -> None:
    wanted = hashlib.sha256(opaque(b"key") + opaque(b"") + opaque(b"sibling"))
    assert parent_hash(SUITE, b"key", b"", b"sibling") == wanted.digest()


def test_hashes_are_kept_until_they_are_forgotten() -> None:
    nodes = two()
    hashes = TreeHashes(SUITE, 2)
    before = hashes.of(nodes, 1)
    nodes.leaves[1] = C
    assert hashes.of(nodes, 1) == before
    other = hashes.copy()
    other.forget(1)
    fresh = TreeHashes(SUITE, 2).of(nodes, 1)
    assert other.of(nodes, 1) == fresh != before
    assert hashes.of(nodes, 1) == before  # the copy is another one
    assert other.of(nodes, 0) == hashes.of(nodes, 0)


def test_hashes_follow_a_tree_that_grows_and_shrinks() -> None:
    nodes = two()
    hashes = TreeHashes(SUITE, 2)
    small = hashes.of(nodes, 1)
    grown = TreeNodes([A, B, C, None], [*nodes.parents, None, None])
    hashes.resize(4)
    hashes.forget(2)
    assert hashes.of(grown, 3) == TreeHashes(SUITE, 4).of(grown, 3)
    hashes.resize(2)
    assert hashes.of(nodes, 1) == small


def test_without_some_leaves_it_is_as_if_they_had_never_come() -> None:
    later = TreeNodes(
        [A, B, C, None],
        [ParentNode(b"P", b"", (1,)), ParentNode(b"Q", b"", (1, 2)), None],
    )
    sooner = TreeNodes(
        [A, None, None, None], [ParentNode(b"P", b""), ParentNode(b"Q", b""), None]
    )
    hashes = TreeHashes(SUITE, 4)
    for node in (1, 2, 3, 4, 5):
        wanted = TreeHashes(SUITE, 4).of(sooner, node)
        assert hashes.without(later, node, (1, 2)) == wanted
    assert hashes.without(later, 5, (1,)) == hashes.of(later, 5)
    assert hashes.without(later, 0, (1, 2)) == hashes.of(later, 0)

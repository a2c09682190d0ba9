"""Resolutions and paths, on the trees that RFC 9420 draws."""

from sabir.mls.leaf_node import LeafNode
from sabir.mls.parent_node import ParentNode
from sabir.mls.tree_nodes import TreeNodes
from tests.unit.mls.trees import plain_leaf


def drawn(leaves: str, parents: dict[int, tuple[int, ...]]) -> TreeNodes[LeafNode]:
    """Make a tree of leaves, `_` for blank, and of parents with unmerged leaves."""
    return TreeNodes(
        [None if name == "_" else plain_leaf(name.encode()) for name in leaves],
        [
            ParentNode(bytes([node]), b"", parents[node]) if node in parents else None
            for node in range(1, 2 * len(leaves) - 1, 2)
        ],
    )


def test_resolutions_are_those_of_section_4_1_1() -> None:
    tree = drawn("AB_DEF_H", {3: (1,), 9: ()})
    assert tree.resolution(3) == [3, 2]  # [X, B]
    assert tree.resolution(4) == []
    assert tree.resolution(12) == []
    assert tree.resolution(7) == [3, 2, 9, 14]  # [X, B, Y, H]
    assert tree.resolution(1) == [0, 2]


def test_filtered_paths_are_those_of_section_4_1_2() -> None:
    tree = drawn("AB__EFG_", {1: (), 9: (), 11: (), 7: ()})
    table = {
        0: [(1, 2), (7, 11)],
        1: [(1, 0), (7, 11)],
        4: [(9, 10), (11, 13), (7, 3)],
        5: [(9, 8), (11, 13), (7, 3)],
        6: [(11, 9), (7, 3)],
    }
    for leaf, path in table.items():
        assert tree.filtered_path(leaf) == path


def test_members_are_the_leaves_that_are_not_blank() -> None:
    tree = drawn("A_C_", {})
    assert [(index, leaf.encryption_key) for index, leaf in tree.members()] == [
        (0, b"A"),
        (2, b"C"),
    ]
    assert tree.has_members(1)
    assert not tree.has_members(2)
    assert not tree.has_members(6)
    assert tree.leaf_count == 4
    assert tree.root == 3


def test_nodes_are_found_by_index() -> None:
    tree = drawn("A_C_", {5: ()})
    assert tree.node(4) is tree.leaf(2) is tree.leaves[2]
    assert tree.node(5) is tree.parents[2]
    for index in (2, 3, 6, 7, 100):
        assert tree.node(index) is None
    for index in (1, 3, 4, 100):
        assert tree.leaf(index) is None


def test_blank_nodes_at_the_end_are_not_sent() -> None:
    one = drawn("A", {}).encode()
    assert drawn("A_", {}).encode() == one
    assert drawn("A___", {}).encode() == one
    assert drawn("____", {}).encode() == b"\x00"
    assert drawn("A_", {1: ()}).encode() != one

"""A tree of links, built from section 4 and 7.7, against the arithmetic."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mls import tree_math


@dataclass
class Node:
    """A node with links, numbered in order."""

    number: int
    height: int
    children: "tuple[Node, Node] | None" = None
    above: "Node | None" = field(default=None, repr=False)

    def leaves(self) -> "list[Node]":
        if self.children is None:
            return [self]
        return self.children[0].leaves() + self.children[1].leaves()


def grow(first: int, height: int, into: dict[int, Node]) -> Node:
    """Build the subtree whose leftmost node is number `first`."""
    if height == 0:
        node = Node(first, 0)
    else:
        one = grow(first, height - 1, into)
        number = first + 2**height - 1
        two = grow(number + 1, height - 1, into)
        node = Node(number, height, (one, two))
        one.above = two.above = node
    into[node.number] = node
    return node


def linked(depth: int) -> tuple[Node, dict[int, Node]]:
    nodes: dict[int, Node] = {}
    return grow(0, depth, nodes), nodes


@pytest.mark.parametrize("depth", range(9))
def test_the_arithmetic_agrees_with_links(depth: int) -> None:
    top, nodes = linked(depth)
    leaf_count = 2**depth
    assert tree_math.node_count(leaf_count) == len(nodes)
    assert tree_math.root(leaf_count) == top.number
    for number, node in nodes.items():
        assert tree_math.level(number) == node.height
        assert list(tree_math.leaves_below(number)) == [
            leaf.number // 2 for leaf in node.leaves()
        ]
        if node.children is not None:
            one, two = node.children
            assert tree_math.left(number) == one.number
            assert tree_math.right(number) == two.number
            assert tree_math.sibling(one.number) == two.number
            assert tree_math.sibling(two.number) == one.number
            assert tree_math.parent(one.number) == number
            assert tree_math.parent(two.number) == number
            for child in node.children:
                for leaf in child.leaves():
                    towards = tree_math.child_towards(number, leaf.number // 2)
                    assert towards == child.number


@given(st.integers(0, 8).flatmap(lambda d: st.tuples(st.just(d), st.data())))
def test_direct_paths_and_common_ancestors_are_those_of_links(
    drawn: tuple[int, st.DataObject],
) -> None:
    depth, data = drawn
    _, nodes = linked(depth)
    one, two = (data.draw(st.integers(0, 2**depth - 1)) for _ in range(2))
    paths = []
    for leaf in (one, two):
        node = nodes[2 * leaf]
        path = [node.number]
        while node.above is not None:
            node = node.above
            path.append(node.number)
        assert tree_math.direct_path(leaf, 2**depth) == path[1:]
        paths.append(path)
    meeting = next(number for number in paths[0] if number in paths[1])
    assert tree_math.common_ancestor(one, two) == meeting


@given(st.integers(0, 2**14).map(lambda leaf: 2 * leaf))
def test_a_leaf_has_no_children(leaf: int) -> None:
    with pytest.raises(ValueError, match="negative shift count"):
        tree_math.left(leaf)
    with pytest.raises(ValueError, match="negative shift count"):
        tree_math.right(leaf)


@given(st.integers(0, 2**20), st.integers(0, 3))
def test_growing_a_tree_renumbers_nothing(leaf: int, doublings: int) -> None:
    leaf_count = 1 << leaf.bit_length()
    path = tree_math.direct_path(leaf, leaf_count)
    longer = tree_math.direct_path(leaf, leaf_count << doublings)
    assert longer[: len(path)] == path
    assert len(longer) == len(path) + doublings

"""tree-math: the arithmetic of full trees, and what follows from it backwards."""

import pytest

from sabir.mls import tree_math
from sabir.testing.mls.vectors import Case, Strict, cases, check_can_fail, for_each
from sabir.testing.mls.vectors import load as load_case


@for_each("tree-math")
def test_every_node_is_where_the_vector_says(vector: Strict) -> None:
    check(vector)


@pytest.mark.parametrize("case", cases("tree-math")[:5], ids=str)
def test_the_runner_can_fail(case: Case) -> None:
    check_can_fail(check, load_case(case), every=True)


def check(vector: Strict) -> None:
    leaves = vector["n_leaves"]
    assert leaves.bit_count() == 1
    nodes = range(vector["n_nodes"])
    root = vector["root"]
    assert len(nodes) == tree_math.node_count(leaves)
    assert root == tree_math.root(leaves)
    left, right = vector["left"], vector["right"]
    parents, siblings = vector["parent"], vector["sibling"]
    assert {len(left), len(right), len(parents), len(siblings)} == {len(nodes)}
    for node in nodes:
        is_leaf = tree_math.level(node) == 0
        assert left[node] == (None if is_leaf else tree_math.left(node))
        assert right[node] == (None if is_leaf else tree_math.right(node))
        assert parents[node] == (None if node == root else tree_math.parent(node))
        assert siblings[node] == (None if node == root else tree_math.sibling(node))
        if not is_leaf:  # and back
            assert tree_math.parent(left[node]) == node
            assert tree_math.parent(right[node]) == node

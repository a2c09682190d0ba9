"""Arithmetic on the nodes of a full binary tree (RFC 9420 appendix C).

Nodes are numbered in order from the left: leaf `i` is node `2 * i`, parents are
odd. A tree has `leaf_count` leaves, a power of two, and its root depends on that
number; everything else is the same in a tree of any size, which is why extending or
truncating a tree renumbers nothing.
"""


def node_count(leaf_count: int) -> int:
    """Return how many nodes a tree of `leaf_count` leaves has."""
    return 2 * leaf_count - 1


def root(leaf_count: int) -> int:
    """Return the root of a tree of `leaf_count` leaves."""
    return leaf_count - 1


def level(node: int) -> int:
    """Return the height of `node` above the leaves."""
    return (node ^ (node + 1)).bit_length() - 1


def left(node: int) -> int:
    """Return the left child of a parent.

    Raises:
        ValueError: `node` is a leaf.
    """
    return node ^ (1 << (level(node) - 1))


def right(node: int) -> int:
    """Return the right child of a parent.

    Raises:
        ValueError: `node` is a leaf.
    """
    return node ^ (3 << (level(node) - 1))


def parent(node: int) -> int:
    """Return the node above `node`. It may be above the root: compare first."""
    height = level(node)
    above = node | (1 << height)
    return above & ~(1 << (height + 1))


def sibling(node: int) -> int:
    """Return the other child of the node above `node`, which is not the root."""
    return node ^ (2 << level(node))


def direct_path(leaf: int, leaf_count: int) -> list[int]:
    """Return the nodes above leaf `leaf`, from its parent to the root (section 4.1.2).

    Args:
        leaf: index among the leaves.
        leaf_count: leaves of the tree.
    """
    nodes = []
    node = 2 * leaf
    bit = 1
    while bit < leaf_count:
        node = (node | bit) & ~(2 * bit)
        nodes.append(node)
        bit *= 2
    return nodes


def child_towards(node: int, leaf: int) -> int:
    """Return the child of `node` that leads to leaf `leaf`, which is below it."""
    return left(node) if 2 * leaf < node else right(node)


def leaves_below(node: int) -> range:
    """Return the indices of the leaves in the subtree of `node`."""
    half = 1 << level(node)
    return range((node + 1 - half) // 2, (node + 1 + half) // 2)


def common_ancestor(leaf: int, other: int) -> int:
    """Return the lowest node that has both leaves below it, or is both."""
    height = (leaf ^ other).bit_length()
    return ((leaf >> height) << (height + 1)) + (1 << height) - 1

"""Which valid trees and paths ts-mls refuses (TS8 and TS13 in `peer/README.md`).

To join, it wants all nodes above an unmerged leaf to have equal `unmerged_leaves`. The
RFC wants the leaf in each node between it and the one that lists it, whatever else
they list.
"""

from collections.abc import Collection

from sabir.mls.parent_node import ParentNode
from sabir.mls.ratchet_tree import read_ratchet_tree
from sabir.mls.tree_math import direct_path, node_count
from sabir.wire.tls import read_whole


def root_is_left_out(leaves: Collection[int]) -> bool:
    """Tell whether a path of these members leaves out the root (TS13).

    That is where the left half of the tree is empty; an empty right half is cut off.

    Args:
        leaves: the indices of two members or more.
    """
    left_half = 1 << (max(leaves).bit_length() - 1)
    return min(leaves) >= left_half


def unmerged_leaves(tree: bytes) -> set[int]:
    """Return the leaves that some node lists as unmerged.

    Args:
        tree: a bare ratchet tree.
    """
    return set().union(*_lists(tree)[1].values())


def refused_by_tsmls(tree: bytes, adds: int) -> bool:
    """Tell whether ts-mls would refuse to join by a tree.

    Args:
        tree: the bare ratchet tree as it is.
        adds: how many members are added to it before, without a path.
    """
    taken, lists = _lists(tree)
    for _ in range(adds):
        if all(taken):
            taken += [False] * len(taken)
        new = taken.index(False)
        taken[new] = True
        for node in direct_path(new, len(taken)):
            if node in lists:
                lists[node].add(new)
    return any(
        lists.get(node, listed) != listed
        for listed in lists.values()
        for leaf in listed
        for node in direct_path(leaf, len(taken))
    )


def _lists(tree: bytes) -> tuple[list[bool], dict[int, set[int]]]:
    """Return which leaves are taken, and what each parent lists, by node index."""
    nodes = read_whole(tree, read_ratchet_tree)
    parents = (
        (index, nodes.node(index))
        for index in range(1, node_count(nodes.leaf_count), 2)
    )
    return [leaf is not None for leaf in nodes.leaves], {
        index: set(parent.unmerged_leaves)
        for index, parent in parents
        if isinstance(parent, ParentNode)
    }

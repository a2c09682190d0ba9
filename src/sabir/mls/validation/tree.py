"""Rules T: a tree that came in is one that honest members can have made.

Each function checks one rule of `rules.py`; sections are of RFC 9420. T01 and T02
are checked where a tree is read, T09 to T14 where a path is merged and opened.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import final

from sabir.crypto import hpke
from sabir.crypto.suites import CipherSuite
from sabir.mls import tree_math
from sabir.mls.errors import MlsInvalid
from sabir.mls.key_index import index_keys
from sabir.mls.leaf_node import LeafNode, LeafNodeIn
from sabir.mls.parent_node import ParentNode
from sabir.mls.ratchet_tree import RatchetTree, RatchetTreeIn
from sabir.mls.tree_hashes import TreeHashes, parent_hash
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.rules import Rule

CheckLeaf = Callable[[LeafNodeIn, int], LeafNode]
"""Checks a leaf for its index: `validate_leaf_node` with what the group asks."""


def validate_tree(
    tree: RatchetTreeIn,
    suite: CipherSuite,
    tree_hash: bytes,
    check_leaf: CheckLeaf,
) -> RatchetTree:
    """Check a tree as when joining (section 12.4.3.1): cheap rules first.

    Args:
        tree: what came in.
        suite: of the group.
        tree_hash: of the GroupContext.
        check_leaf: checks a leaf.

    Raises:
        MlsInvalid: T03 to T08, L11, L12, L14 for parents, and as `check_leaf`.
    """
    hashes = TreeHashes(suite, tree.leaf_count)
    check_tree_hash(tree, hashes, tree_hash)
    parents = _Parents(tree)
    for node, parent in parents:
        check_parent_key(parent, suite, node)
        check_unmerged_order(parent, node)
        check_unmerged_below(tree, parent, node)
    for node, parent in parents:
        check_unmerged_between(parents, parent, node)
    keys = index_keys(tree)
    for node, parent in parents:
        check_parent_hash(tree, hashes, parent, node)
    leaves = [
        None if leaf is None else check_leaf(leaf, index)
        for index, leaf in enumerate(tree.leaves)
    ]
    return RatchetTree(suite, leaves, tree.parents.copy(), hashes, keys, PROOF)


def check_tree_hash(tree: RatchetTreeIn, hashes: TreeHashes, tree_hash: bytes) -> None:
    """T03: the tree hash is that of the GroupContext (section 12.4.3.1)."""
    if hashes.of(tree, tree.root) != tree_hash:
        raise MlsInvalid(Rule.T03, f"{tree.leaf_count} leaves")


def check_parent_key(parent: ParentNode, suite: CipherSuite, node: int) -> None:
    """L14, for parents: the key is one that can be sealed to (section 5.1.1)."""
    if not hpke.check_public(suite, parent.encryption_key):
        size = len(parent.encryption_key)
        raise MlsInvalid(Rule.L14, f"encryption key of {size} octets at node {node}")


def check_unmerged_order(parent: ParentNode, node: int) -> None:
    """T08: unmerged leaves increase, without repetition (section 7.1)."""
    leaves = parent.unmerged_leaves
    if any(left >= right for left, right in pairwise(leaves)):
        raise MlsInvalid(Rule.T08, f"{len(leaves)} unmerged leaves of node {node}")


def check_unmerged_below(tree: RatchetTreeIn, parent: ParentNode, node: int) -> None:
    """T05: an unmerged leaf is a descendant that is not blank (section 12.4.3.1)."""
    below = tree_math.leaves_below(node)
    for leaf in parent.unmerged_leaves:
        if leaf not in below or tree.leaves[leaf] is None:
            raise MlsInvalid(Rule.T05, f"leaf {leaf} is unmerged at node {node}")


@final
class _Parents:
    """The parents that are not blank, and who is unmerged where."""

    __slots__ = ("_found", "_unmerged")

    def __init__(self, tree: RatchetTreeIn) -> None:
        self._found = [
            (2 * position + 1, parent)
            for position, parent in enumerate(tree.parents)
            if parent is not None
        ]
        self._unmerged = {
            node: frozenset(parent.unmerged_leaves) for node, parent in self._found
        }

    def __iter__(self) -> Iterator[tuple[int, ParentNode]]:
        return iter(self._found)

    def lists(self, node: int, leaf: int) -> bool:
        """Tell whether a node is blank or has the leaf among its unmerged ones."""
        unmerged = self._unmerged.get(node)
        return unmerged is None or leaf in unmerged


def check_unmerged_between(parents: _Parents, parent: ParentNode, node: int) -> None:
    """T06: each node between a leaf and a parent lists it, too (section 12.4.3.1)."""
    for leaf in parent.unmerged_leaves:
        between = tree_math.parent(2 * leaf)
        while between != node:
            if not parents.lists(between, leaf):
                raise MlsInvalid(
                    Rule.T06, f"leaf {leaf} is unmerged at node {node}, not {between}"
                )
            between = tree_math.parent(between)


def check_parent_hash(
    tree: RatchetTreeIn, hashes: TreeHashes, parent: ParentNode, node: int
) -> None:
    """T04: exactly one node below was set by the same path (section 7.9.2).

    With this for each parent, each has a chain down to a leaf that signed it.
    """
    left, right = tree_math.left(node), tree_math.right(node)
    chains = sum(
        _chained(tree, hashes, parent, child, sibling)
        for child, sibling in ((left, right), (right, left))
    )
    if chains != 1:
        raise MlsInvalid(Rule.T04, f"{chains} chains to node {node}")


def _chained(
    tree: RatchetTreeIn,
    hashes: TreeHashes,
    parent: ParentNode,
    child: int,
    sibling: int,
) -> bool:
    """Tell whether a node below `child` has a valid parent hash for `parent`.

    It is the one in the child's resolution that is no unmerged leaf of the parent. All
    of those below are in that resolution when T05 and T06 hold.
    """
    merged = tree.resolution(child)
    if parent.unmerged_leaves:
        below = tree_math.leaves_below(child)
        unmerged = {2 * leaf for leaf in parent.unmerged_leaves if leaf in below}
        merged = [node for node in merged if node not in unmerged]
    if len(merged) != 1:
        return False
    lower = tree.node(merged[0])
    if lower is None or not lower.parent_hash:
        return False
    original = hashes.without(tree, sibling, parent.unmerged_leaves)
    expected = parent_hash(
        hashes.suite, parent.encryption_key, parent.parent_hash, original
    )
    return lower.parent_hash == expected

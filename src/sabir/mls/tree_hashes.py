"""Tree hashes and parent hashes (RFC 9420 sections 7.8 and 7.9)."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, final

from sabir.crypto.suites import CipherSuite
from sabir.mls import tree_math
from sabir.mls.parent_node import ParentNode
from sabir.mls.tree_nodes import LEAF, PARENT, Leaf, TreeNodes
from sabir.wire.tls import opaque, varint

_LEAF: Final = bytes((LEAF,))
_PARENT: Final = bytes((PARENT,))
_ABSENT: Final = b"\x00"
_PRESENT: Final = b"\x01"


@final
class TreeHashes:
    """The tree hash of each node, kept until something below it changes.

    It does not hold the tree: the same hashes serve the nodes before and after
    validation.

    Args:
        suite: of the group.
        leaf_count: of the tree.
    """

    __slots__ = ("_known", "_length", "suite")

    def __init__(self, suite: CipherSuite, leaf_count: int) -> None:
        self.suite = suite
        self._length = varint(suite.nh)
        self._known: list[bytes | None] = [None] * tree_math.node_count(leaf_count)

    def copy(self) -> "TreeHashes":
        """Return hashes that change on their own."""
        other = TreeHashes(self.suite, 1)
        other._known = self._known.copy()
        return other

    def resize(self, leaf_count: int) -> None:
        """Follow a tree that was extended or truncated."""
        wanted = tree_math.node_count(leaf_count)
        del self._known[wanted:]
        self._known += [None] * (wanted - len(self._known))

    def forget(self, leaf: int) -> None:
        """Drop the hashes of a leaf and of all nodes above: one of them changed."""
        known = self._known
        known[2 * leaf] = None
        for node in tree_math.direct_path(leaf, (len(known) + 1) // 2):
            known[node] = None

    def of(self, nodes: TreeNodes[Leaf], node: int) -> bytes:
        """Return the tree hash of a node."""
        return self._of(nodes, node, (1 << tree_math.level(node)) >> 1)

    def _of(self, nodes: TreeNodes[Leaf], node: int, reach: int) -> bytes:
        """Hash from below; the children are `reach` to the left and to the right."""
        value = self._known[node]
        if value is None:
            if reach:
                value = self._hash_parent(
                    nodes.parents[node >> 1],
                    self._of(nodes, node - reach, reach >> 1),
                    self._of(nodes, node + reach, reach >> 1),
                )
            else:
                leaf = nodes.leaves[node >> 1]
                raw = None if leaf is None else leaf.raw
                value = self._hash_leaf(node >> 1, raw)
            self._known[node] = value
        return value

    def without(self, nodes: TreeNodes[Leaf], node: int, gone: Sequence[int]) -> bytes:
        """Return the tree hash of a node as it would be without some leaves.

        With the unmerged leaves of the node above, this is the original sibling tree
        hash (section 7.9).

        Args:
            nodes: the tree.
            node: whose hash.
            gone: indices of leaves that count as blank and as unmerged nowhere,
                increasing.
        """
        if gone:
            below = tree_math.leaves_below(node)
            gone = gone[bisect_left(gone, below.start) : bisect_left(gone, below.stop)]
        if not gone:
            return self.of(nodes, node)
        if not node & 1:
            return self._hash_leaf(node >> 1, None)
        parent = nodes.parents[node >> 1]
        return self._hash_parent(
            parent and parent.without_unmerged(frozenset(gone)),
            self.without(nodes, tree_math.left(node), gone),
            self.without(nodes, tree_math.right(node), gone),
        )

    def _hash_leaf(self, index: int, raw: bytes | None) -> bytes:
        """Hash a TreeHashInput with a LeafNodeHashInput."""
        start = _LEAF + index.to_bytes(4, "big")
        return self.suite.hash(
            start + _ABSENT if raw is None else start + _PRESENT + raw
        )

    def _hash_parent(
        self, parent: ParentNode | None, left: bytes, right: bytes
    ) -> bytes:
        """Hash a TreeHashInput with a ParentNodeHashInput."""
        node = _ABSENT if parent is None else _PRESENT + parent.raw
        length = self._length
        return self.suite.hash(_PARENT + node + length + left + length + right)


def parent_hash(
    suite: CipherSuite, encryption_key: bytes, above: bytes, sibling_hash: bytes
) -> bytes:
    """Return the parent hash of a node (section 7.9).

    Args:
        suite: of the group.
        encryption_key: the node's.
        above: the node's own `parent_hash` field; empty at the end of the path.
        sibling_hash: the original tree hash of its child on the copath.
    """
    return suite.hash(opaque(encryption_key) + opaque(above) + opaque(sibling_hash))

"""A tree of secrets, of which only the unconsumed edge is kept (RFC 9420 section 9).

Every secret below a node follows from the node's. At first the edge is the root.
Taking a leaf replaces the node above it by the siblings along the way down, so what
the taken leaf came from is gone, and every other leaf can still be reached.
"""

from dataclasses import dataclass, field

from sabir.crypto.labels import expand_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.tree_math import child_towards, left, parent, right, root


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """The way to a leaf, not yet gone.

    Attributes:
        start: the node of the edge above the leaf, or the leaf itself.
        kept: siblings along the way, with their secrets: the new edge.
        secret: of the leaf.
    """

    start: int
    kept: tuple[tuple[int, bytes], ...] = field(repr=False)
    secret: bytes = field(repr=False)


class Frontier:
    """The unconsumed edge of a tree of secrets.

    Args:
        suite: of the group.
        leaf_count: leaves of the tree, a power of two.
        nodes: the edge, by node.
    """

    __slots__ = ("_root", "leaf_count", "nodes", "suite")

    def __init__(
        self, suite: CipherSuite, leaf_count: int, nodes: dict[int, bytes]
    ) -> None:
        self.suite = suite
        self.leaf_count = leaf_count
        self.nodes = nodes
        self._root = root(leaf_count)

    @classmethod
    def whole(cls, suite: CipherSuite, leaf_count: int, secret: Secret) -> "Frontier":
        """Return the edge before anything was taken: the root and its secret."""
        return cls(suite, leaf_count, {root(leaf_count): secret.reveal()})

    def descend(self, leaf: int) -> Descent | None:
        """Find a leaf's secret; this changes nothing.

        Args:
            leaf: index among the leaves.

        Returns:
            The way there; None when the leaf was taken, or there is none.
        """
        start = self._above(leaf)
        if start is None:
            return None
        node, secret = start, self.nodes[start]
        kept: list[tuple[int, bytes]] = []
        while node & 1:
            secrets = {
                left(node): self._child(secret, b"left"),
                right(node): self._child(secret, b"right"),
            }
            node = child_towards(node, leaf)
            secret = secrets.pop(node)
            kept += secrets.items()
        return Descent(start, tuple(kept), secret)

    def take(self, descent: Descent) -> bool:
        """Consume a leaf: what it came from is dropped.

        Returns:
            False when another leaf was taken on the same way since, so that
            nothing was done: descend again.
        """
        if descent.start not in self.nodes:
            return False
        del self.nodes[descent.start]
        self.nodes.update(descent.kept)
        return True

    def _above(self, leaf: int) -> int | None:
        if leaf >= self.leaf_count:
            return None
        node = 2 * leaf
        while node not in self.nodes:
            if node == self._root:
                return None
            node = parent(node)
        return node

    def _child(self, secret: bytes, side: bytes) -> bytes:
        return expand_with_label(self.suite, secret, b"tree", side, self.suite.nh)

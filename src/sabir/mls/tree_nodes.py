"""What a ratchet tree holds, and the questions that need no hash (section 4)."""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from sabir.mls import tree_math
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.parent_node import ParentNode
from sabir.wire.tls import vector

Leaf = TypeVar("Leaf", bound=LeafNodeIn)

LEAF: Final = 1
PARENT: Final = 2
"""NodeType (section 7.8)."""

_BLANK: Final = b"\x00"
_LEAF: Final = bytes((1, LEAF))
_PARENT: Final = bytes((1, PARENT))


class TreeNodes(Generic[Leaf]):
    """The nodes of a full tree; blank ones are None.

    Attributes:
        leaves: by leaf index; their number is a power of two.
        parents: node `2 * i + 1` at position `i`; one fewer than leaves.
    """

    __slots__ = ("leaves", "parents")

    def __init__(
        self, leaves: list[Leaf | None], parents: list[ParentNode | None]
    ) -> None:
        self.leaves = leaves
        self.parents = parents

    @property
    def leaf_count(self) -> int:
        """How many leaves there are, blank ones included: a power of two."""
        return len(self.leaves)

    @property
    def root(self) -> int:
        """The topmost node."""
        return tree_math.root(len(self.leaves))

    def leaf(self, index: int) -> Leaf | None:
        """Return a leaf; None where it is blank or outside the tree."""
        return self.leaves[index] if index < len(self.leaves) else None

    def node(self, node: int) -> Leaf | ParentNode | None:
        """Return the node of an index; None where it is blank or outside the tree."""
        if node >= tree_math.node_count(len(self.leaves)):
            return None
        return self.parents[node >> 1] if node & 1 else self.leaves[node >> 1]

    def members(self) -> Iterator[tuple[int, Leaf]]:
        """Yield the leaves that are not blank, with their indices."""
        for index, leaf in enumerate(self.leaves):
            if leaf is not None:
                yield index, leaf

    def has_members(self, node: int) -> bool:
        """Tell whether a leaf below is not blank: else the resolution is empty."""
        below = tree_math.leaves_below(node)
        return any(self.leaves[below.start : below.stop])

    def resolution(self, node: int) -> list[int]:
        """Return the nodes whose keys reach all members below `node` (4.1.1)."""
        leaves = self.leaves
        parents = self.parents
        found: list[int] = []
        waiting = [(node, (1 << tree_math.level(node)) >> 1)]
        while waiting:
            node, reach = waiting.pop()
            if not reach:
                if leaves[node >> 1] is not None:
                    found.append(node)
                continue
            parent = parents[node >> 1]
            if parent is None:
                waiting.append((node + reach, reach >> 1))
                waiting.append((node - reach, reach >> 1))
            else:
                found.append(node)
                found += [2 * leaf for leaf in parent.unmerged_leaves]
        return found

    def filtered_path(self, leaf: int) -> list[tuple[int, int]]:
        """Return the filtered direct path of a leaf, from below (section 4.1.2).

        Returns:
            Each node, with its child on the copath.
        """
        below = 2 * leaf
        path = []
        for node in tree_math.direct_path(leaf, len(self.leaves)):
            copath = tree_math.sibling(below)
            if self.has_members(copath):
                path.append((node, copath))
            below = node
        return path

    def encode(self) -> bytes:
        """Write the `optional<Node> ratchet_tree<V>` (section 12.4.3.3)."""
        pieces = [_BLANK] * tree_math.node_count(len(self.leaves))
        pieces[0::2] = [
            _BLANK if leaf is None else _LEAF + leaf.raw for leaf in self.leaves
        ]
        pieces[1::2] = [
            _BLANK if parent is None else _PARENT + parent.raw
            for parent in self.parents
        ]
        end = len(pieces)
        while end and pieces[end - 1] is _BLANK:
            end -= 1
        return vector(pieces[:end])

"""The ratchet tree once more: slow, of links, and written from the text of RFC 9420.

Nothing is kept: every question walks the tree. Sections are named where a rule is
taken from.
"""

import hashlib
from dataclasses import dataclass, field

from sabir.mls.leaf_node import LeafNodeIn
from sabir.wire.tls import opaque, uint8, uint32, vector


@dataclass
class Value:
    """What a parent that is not blank holds (7.1)."""

    key: bytes
    parent_hash: bytes
    unmerged: list[int] = field(default_factory=list)


@dataclass
class Node:
    """A leaf or a parent, blank or not."""

    leaf: LeafNodeIn | None = None
    value: Value | None = None
    children: "tuple[Node, Node] | None" = None

    @property
    def is_blank(self) -> bool:
        return self.leaf is None and self.value is None


def blank(height: int) -> Node:
    if height == 0:
        return Node()
    return Node(children=(blank(height - 1), blank(height - 1)))


def in_order(node: Node) -> list[Node]:
    if node.children is None:
        return [node]
    left, right = node.children
    return [*in_order(left), node, *in_order(right)]


def leaves(node: Node) -> list[Node]:
    return [found for found in in_order(node) if found.children is None]


def holds(node: Node, target: Node) -> bool:
    return any(found is target for found in leaves(node))


class SlowTree:
    """Answers every question by the definition of it."""

    def __init__(self, founder: LeafNodeIn) -> None:
        self.root = Node(leaf=founder)

    @property
    def height(self) -> int:
        return len(leaves(self.root)).bit_length() - 1

    def index(self, leaf: Node) -> int:
        return next(i for i, found in enumerate(leaves(self.root)) if found is leaf)

    def path(self, index: int) -> list[tuple[Node, Node]]:
        """The direct path of a leaf from below, with the children on the copath."""
        target = leaves(self.root)[index]
        steps = []
        node = self.root
        while node.children is not None:
            left, right = node.children
            below, beside = (left, right) if holds(left, target) else (right, left)
            steps.append((node, beside))
            node = below
        return steps[::-1]

    def filtered(self, index: int) -> list[tuple[Node, Node]]:
        """4.1.2: without nodes whose child on the copath has an empty resolution."""
        return [step for step in self.path(index) if self.resolution(step[1])]

    def resolution(self, node: Node) -> list[Node]:
        """4.1.1."""
        if node.value is not None:
            all_leaves = leaves(self.root)
            return [node, *(all_leaves[index] for index in node.value.unmerged)]
        if node.leaf is not None:
            return [node]
        if node.children is None:
            return []
        left, right = node.children
        return self.resolution(left) + self.resolution(right)

    # ---- 12.1 and 7.7

    def add(self, leaf: LeafNodeIn) -> int:
        empty = [found for found in leaves(self.root) if found.is_blank]
        if not empty:
            self.root = Node(children=(self.root, blank(self.height)))
            empty = [found for found in leaves(self.root) if found.is_blank]
        index = self.index(empty[0])
        for node, _ in self.path(index):
            if node.value is not None:
                node.value.unmerged = sorted([*node.value.unmerged, index])
        empty[0].leaf = leaf
        return index

    def update(self, index: int, leaf: LeafNodeIn) -> None:
        leaves(self.root)[index].leaf = leaf
        for node, _ in self.path(index):
            node.value = None

    def remove(self, index: int) -> None:
        leaves(self.root)[index].leaf = None
        for node, _ in self.path(index):
            node.value = None
        while self.root.children is not None:
            left, right = self.root.children
            if not all(found.is_blank for found in leaves(right)):
                break
            self.root = left

    # ---- 7.5

    def draft_path(self, index: int, keys: list[bytes]) -> bytes:
        """Put keys on the filtered direct path; return the leaf's parent hash."""
        if index == len(leaves(self.root)):
            self.root = Node(children=(self.root, blank(self.height)))
        steps = self.filtered(index)
        assert len(steps) == len(keys)
        for node, _ in self.path(index):
            node.value = None
        above = b""
        for (node, beside), key in reversed(list(zip(steps, keys, strict=True))):
            node.value = Value(key, above)
            above = digest(opaque(key) + opaque(above) + opaque(self.tree_hash(beside)))
        return above

    def place(self, index: int, leaf: LeafNodeIn) -> None:
        leaves(self.root)[index].leaf = leaf

    # ---- 7.8 and 12.4.3.3

    def tree_hash(self, node: Node | None = None) -> bytes:
        node = self.root if node is None else node
        if node.children is None:
            start = uint8(1) + uint32(self.index(node))
        else:
            start = uint8(2)
        data = start + self.node_octets(node)
        for child in node.children or ():
            data += opaque(self.tree_hash(child))
        return digest(data)

    def node_octets(self, node: Node) -> bytes:
        """optional<LeafNode> or optional<ParentNode>."""
        if node.leaf is not None:
            return uint8(1) + node.leaf.raw
        if node.value is None:
            return uint8(0)
        return (
            uint8(1)
            + opaque(node.value.key)
            + opaque(node.value.parent_hash)
            + vector(uint32(index) for index in node.value.unmerged)
        )

    def encode(self) -> bytes:
        pieces = []
        for node in in_order(self.root):
            octets = self.node_octets(node)
            if not node.is_blank:
                octets = octets[:1] + uint8(1 if node.leaf else 2) + octets[1:]
            pieces.append(octets)
        while pieces[-1] == uint8(0):
            pieces.pop()
        return vector(pieces)


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()

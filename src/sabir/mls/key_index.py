"""The public keys of a tree, carried along so that no change has to look at all."""

from typing import final

from sabir.mls.errors import MlsInvalid
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.parent_node import ParentNode
from sabir.mls.tree_nodes import Leaf, TreeNodes
from sabir.mls.validation.leaf_node import (
    check_encryption_key_unique,
    check_signature_key_unique,
)
from sabir.mls.validation.rules import Rule


@final
class KeyIndex:
    """Where each key stands. No key stands in two places (L11, L12, T07).

    Attributes:
        encryption: node index by HPKE public key.
        signature: leaf index by signature public key.
    """

    __slots__ = ("encryption", "signature")

    def __init__(
        self, encryption: dict[bytes, int], signature: dict[bytes, int]
    ) -> None:
        self.encryption = encryption
        self.signature = signature

    def copy(self) -> "KeyIndex":
        """Return an index that changes on its own."""
        return KeyIndex(self.encryption.copy(), self.signature.copy())

    def claim_leaf(self, leaf: LeafNodeIn, index: int) -> None:
        """Enter the keys of a leaf.

        Raises:
            MlsInvalid: L11, L12.
        """
        check_signature_key_unique(leaf, self.signature)
        check_encryption_key_unique(leaf, self.encryption)
        self.signature[leaf.signature_key] = index
        self.encryption[leaf.encryption_key] = 2 * index

    def claim_parent(self, parent: ParentNode, node: int) -> None:
        """Enter the key of a parent.

        Raises:
            MlsInvalid: T07.
        """
        other = self.encryption.setdefault(parent.encryption_key, node)
        if other != node:
            raise MlsInvalid(
                Rule.T07, f"nodes {other} and {node} have one encryption key"
            )

    def drop_leaf(self, leaf: LeafNodeIn) -> None:
        """Forget the keys of a leaf."""
        del self.signature[leaf.signature_key]
        del self.encryption[leaf.encryption_key]

    def drop_parent(self, parent: ParentNode) -> None:
        """Forget the key of a parent."""
        del self.encryption[parent.encryption_key]


def index_keys(nodes: TreeNodes[Leaf]) -> KeyIndex:
    """Enter all keys of a tree.

    Raises:
        MlsInvalid: L11, L12, T07.
    """
    index = KeyIndex({}, {})
    for position, leaf in nodes.members():
        index.claim_leaf(leaf, position)
    for node, parent in enumerate(nodes.parents):
        if parent is not None:
            index.claim_parent(parent, 2 * node + 1)
    return index

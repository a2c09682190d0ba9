"""The ratchet tree of a group (RFC 9420 sections 4, 7.7 and 12.1).

`RatchetTreeIn` is what came in; `RatchetTree` is one that
`sabir.mls.validation.tree` has checked, or that grew from checked leaves. Nodes never
change: a copy of a tree shares them and the hashes of what stays, so that a commit
costs its paths and not its members. A tree on which a change was refused is half
changed: work on a copy, and drop it.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, final

from sabir.crypto.suites import CipherSuite
from sabir.mls import tree_math
from sabir.mls.errors import MlsInvalid
from sabir.mls.key_index import KeyIndex, index_keys
from sabir.mls.leaf_node import LeafNode, LeafNodeIn, read_leaf_node
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.parent_node import ParentNode, read_parent_node
from sabir.mls.tree_hashes import TreeHashes, parent_hash
from sabir.mls.tree_nodes import LEAF, PARENT, TreeNodes
from sabir.mls.validation.leaf_node import (
    check_encryption_key_changed,
    check_encryption_key_unique,
)
from sabir.mls.validation.proof import PROOF, Proof
from sabir.mls.validation.rules import Rule
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader

NO_LEAVES: Final[Mapping[int, LeafNode]] = {}


@final
class RatchetTreeIn(TreeNodes[LeafNodeIn]):
    """A tree that nobody has checked, extended to a full one."""

    __slots__ = ()


def read_ratchet_tree(reader: Reader, limits: Limits = DEFAULT_LIMITS) -> RatchetTreeIn:
    """Take an `optional<Node> ratchet_tree<V>` (section 12.4.3.3).

    Raises:
        Malformed: C03 larger than `limits` say, C04 a parent that lists more unmerged
            leaves than are below it, C07 an unknown node type, and as `read_leaf_node`.
        MlsInvalid: T01, T02.
        MlsUnsupported: an unknown credential type.
    """
    positions = itertools.count()

    def read_node(inner: Reader) -> LeafNodeIn | ParentNode | None:
        position = next(positions)
        if not inner.presence():
            return None
        kind = inner.uint8()
        if kind == LEAF:
            return read_leaf_node(inner, limits)
        if kind == PARENT:
            return read_parent_node(inner, len(tree_math.leaves_below(position)))
        raise Malformed("C07", f"node type {kind}")

    count_max = tree_math.node_count(limits.members_max)
    nodes = reader.vector(read_node, limits.tree_octets_max, count_max)
    if not nodes or nodes[-1] is None:
        raise MlsInvalid(Rule.T02, f"{len(nodes)} nodes, the last one blank")
    leaf_count = 1 << (len(nodes) // 2).bit_length()
    leaves: list[LeafNodeIn | None] = [None] * leaf_count
    parents: list[ParentNode | None] = [None] * (leaf_count - 1)
    for position, node in enumerate(nodes):
        if isinstance(node, ParentNode):
            if not position & 1:
                raise MlsInvalid(Rule.T01, f"a parent at position {position}")
            parents[position >> 1] = node
        elif node is not None:
            if position & 1:
                raise MlsInvalid(Rule.T01, f"a leaf at position {position}")
            leaves[position >> 1] = node
    return RatchetTreeIn(leaves, parents)


@final
class RatchetTree(TreeNodes[LeafNode]):
    """A checked tree.

    What grows from checked nodes is checked, so this module holds the proof.

    Args:
        suite: of the group.
        leaves: as in `TreeNodes`.
        parents: as in `TreeNodes`.
        hashes: of these nodes.
        keys: of these nodes.
        proof: that they were checked.
    """

    __slots__ = ("_blank", "_hashes", "_keys", "suite")

    def __init__(
        self,
        suite: CipherSuite,
        leaves: list[LeafNode | None],
        parents: list[ParentNode | None],
        hashes: TreeHashes,
        keys: KeyIndex,
        proof: Proof,
    ) -> None:
        del proof
        super().__init__(leaves, parents)
        self.suite = suite
        self._hashes = hashes
        self._keys = keys
        self._blank = 0  # no leaf left of it is blank

    @classmethod
    def of_founder(cls, suite: CipherSuite, leaf: LeafNode) -> "RatchetTree":
        """Return the tree of a new group (section 11)."""
        keys = KeyIndex({leaf.encryption_key: 0}, {leaf.signature_key: 0})
        return cls(suite, [leaf], [], TreeHashes(suite, 1), keys, PROOF)

    @classmethod
    def restored(
        cls, suite: CipherSuite, tree: RatchetTreeIn, proof: Proof
    ) -> "RatchetTree":
        """Return a tree that was checked before it was stored.

        Raises:
            MlsInvalid: L11, L12, T07: that is no tree that was stored.
        """
        keys = index_keys(tree)
        leaves = [
            None if leaf is None else LeafNode(leaf, proof) for leaf in tree.leaves
        ]
        hashes = TreeHashes(suite, tree.leaf_count)
        return cls(suite, leaves, tree.parents.copy(), hashes, keys, proof)

    def copy(self) -> "RatchetTree":
        """Return a tree that changes on its own; nodes and hashes are shared."""
        other = RatchetTree(
            self.suite,
            self.leaves.copy(),
            self.parents.copy(),
            self._hashes.copy(),
            self._keys.copy(),
            PROOF,
        )
        other._blank = self._blank
        return other

    # ---- questions

    @property
    def member_count(self) -> int:
        """How many leaves are not blank."""
        return len(self._keys.signature)

    def tree_hash(self) -> bytes:
        """Return the tree hash of the root (section 7.8)."""
        return self._hashes.of(self, self.root)

    def parent(self, node: int) -> ParentNode | None:
        """Return the parent at an odd node index; None where blank or outside."""
        position = node >> 1
        return self.parents[position] if position < len(self.parents) else None

    def encryption_key(self, node: int) -> bytes | None:
        """Return the public key of a node; None where it is blank or outside."""
        found = self.node(node)
        return None if found is None else found.encryption_key

    def leaf_of_signature_key(self, key: bytes) -> int | None:
        """Return the index of the leaf with this signature key."""
        return self._keys.signature.get(key)

    def node_of_encryption_key(self, key: bytes) -> int | None:
        """Return the index of the node with this encryption key."""
        return self._keys.encryption.get(key)

    def leftmost_blank(self) -> int:
        """Return where the next member goes: `leaf_count` when the tree is full."""
        leaves = self.leaves
        index = self._blank
        while index < len(leaves) and leaves[index] is not None:
            index += 1
        self._blank = index
        return index

    # ---- changes by proposals

    def change(
        self,
        *,
        updates: Mapping[int, LeafNode] = NO_LEAVES,
        removals: Iterable[int] = (),
        additions: Iterable[LeafNode] = (),
    ) -> tuple[int, ...]:
        """Apply the proposals of a commit in the order of section 12.3.

        Sections 12.1.1 to 12.1.3 say what each does. Keys are compared in the outcome:
        a member may come back with the keys of a leaf that the same commit removes.

        Args:
            updates: new leaves by leaf index.
            removals: leaf indices; no updated one among them.
            additions: new leaves in order.

        Returns:
            The indices of the added leaves.

        Raises:
            MlsInvalid: P02, P03, L10, L11, L12.
        """
        for index, leaf in updates.items():
            check_encryption_key_changed(leaf, self._vacate(index, Rule.P02))
        for index in removals:
            self._vacate(index, Rule.P03)
            self._blank = min(self._blank, index)
        for index, leaf in updates.items():
            self._keys.claim_leaf(leaf, index)
            self.leaves[index] = leaf
        self._truncate()
        return tuple(self._add(leaf) for leaf in additions)

    def _vacate(self, index: int, rule: Rule) -> LeafNode:
        """Blank a leaf and all nodes above it; return the leaf."""
        old = self.leaf(index)
        if old is None:
            raise MlsInvalid(rule, f"leaf {index} is blank")
        self._keys.drop_leaf(old)
        self.leaves[index] = None
        self._blank_above(index)
        return old

    def _blank_above(self, index: int) -> None:
        for node in tree_math.direct_path(index, len(self.leaves)):
            parent = self.parents[node >> 1]
            if parent is not None:
                self._keys.drop_parent(parent)
                self.parents[node >> 1] = None
        self._hashes.forget(index)

    def _add(self, leaf: LeafNode) -> int:
        index = self.leftmost_blank()
        self._keys.claim_leaf(leaf, index)
        self.make_room(index)
        self.leaves[index] = leaf
        for node in tree_math.direct_path(index, len(self.leaves)):
            parent = self.parents[node >> 1]
            if parent is not None:
                self.parents[node >> 1] = parent.with_unmerged(index)
        self._hashes.forget(index)
        return index

    def make_room(self, index: int) -> None:
        """Extend the tree to hold leaf `index`, at most `leaf_count` (section 7.7)."""
        count = len(self.leaves)
        if index >= count:
            self.leaves += [None] * count
            self.parents += [None] * count
            self._hashes.resize(2 * count)

    def _truncate(self) -> None:
        """Halve the tree until its right half has a member (section 7.7)."""
        half = len(self.leaves) // 2
        while half and not any(self.leaves[half:]):
            del self.leaves[half:]
            del self.parents[half - 1 :]
            self._hashes.resize(half)
            half //= 2

    # ---- changes by a path

    def draft_path(self, sender: int, keys: Sequence[bytes]) -> bytes:
        """Put new keys on the filtered direct path of a leaf (section 7.5).

        Args:
            sender: leaf index; a blank one, or that of `leftmost_blank()`, for who
                joins by the commit.
            keys: HPKE public keys from below.

        Returns:
            The `parent_hash` that the leaf has to carry.

        Raises:
            MlsInvalid: T09, T12.
        """
        self.make_room(sender)
        path = self.filtered_path(sender)
        if len(path) != len(keys):
            raise MlsInvalid(Rule.T09, f"{len(keys)} nodes for {len(path)}")
        known = self._keys.encryption
        if len(set(keys)) < len(keys) or not known.keys().isdisjoint(keys):
            raise MlsInvalid(Rule.T12, "a key of the path is in the tree already")
        self._blank_above(sender)
        above = b""
        for (node, copath), key in zip(reversed(path), reversed(keys), strict=True):
            self.parents[node >> 1] = ParentNode(key, above)
            known[key] = node
            above = parent_hash(self.suite, key, above, self._hashes.of(self, copath))
        return above

    def finish_path(self, sender: int, leaf: LeafNode) -> None:
        """Put the sender's new leaf below the keys of `draft_path`.

        Raises:
            MlsInvalid: L11, L12.
        """
        old = self.leaf(sender)
        if old is not None:
            self._keys.drop_leaf(old)
        self._keys.claim_leaf(leaf, sender)
        self.leaves[sender] = leaf
        self._hashes.forget(sender)

    def merge_path(self, sender: int, leaf: LeafNode, keys: Sequence[bytes]) -> None:
        """Merge what a path says in public (section 7.5).

        Args:
            sender: as in `draft_path`.
            leaf: of the path, checked for this place.
            keys: of the path's nodes, from below.

        Raises:
            MlsInvalid: T09, T11, T12, L10, L11, L12.
        """
        old = self.leaf(sender)
        if old is not None:
            check_encryption_key_changed(leaf, old)
        check_encryption_key_unique(leaf, self._keys.encryption)
        expected = self.draft_path(sender, keys)
        if leaf.parent_hash != expected:
            raise MlsInvalid(Rule.T11)
        self.finish_path(sender, leaf)

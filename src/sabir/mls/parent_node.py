"""Parent nodes (RFC 9420 section 7.1)."""

import struct
from bisect import bisect
from collections.abc import Collection
from typing import final

from sabir.mls.limits import DEFAULT_LIMITS
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque

_INDEX_OCTETS = 4


@final
class ParentNode:
    """A key pair of all members below, but for those not yet merged.

    Nodes do not change: trees share them.

    Attributes:
        encryption_key: HPKE public key.
        parent_hash: of the next node above that was set by the same path (7.9.1).
        unmerged_leaves: indices of members below who do not have the private key.
    """

    __slots__ = ("_raw", "encryption_key", "parent_hash", "unmerged_leaves")

    def __init__(
        self,
        encryption_key: bytes,
        parent_hash: bytes,
        unmerged_leaves: tuple[int, ...] = (),
        raw: bytes | None = None,
    ) -> None:
        self.encryption_key = encryption_key
        self.parent_hash = parent_hash
        self.unmerged_leaves = unmerged_leaves
        self._raw = raw

    @property
    def raw(self) -> bytes:
        """The octets that were read, or what the fields make, written when asked for.

        A tree that gains a thousand members replaces its root a thousand times.
        """
        if self._raw is None:
            self._raw = self.encode()
        return self._raw

    def encode(self) -> bytes:
        """Write the `ParentNode`."""
        leaves = self.unmerged_leaves
        return (
            opaque(self.encryption_key)
            + opaque(self.parent_hash)
            + opaque(struct.pack(f">{len(leaves)}I", *leaves))
        )

    def with_unmerged(self, leaf: int) -> "ParentNode":
        """Return the node with one more unmerged leaf, in order (section 12.1.1)."""
        leaves = self.unmerged_leaves
        at = bisect(leaves, leaf)
        more = (*leaves[:at], leaf, *leaves[at:])
        return ParentNode(self.encryption_key, self.parent_hash, more)

    def without_unmerged(self, gone: Collection[int]) -> "ParentNode":
        """Return the node as it was before some leaves were added."""
        rest = tuple(leaf for leaf in self.unmerged_leaves if leaf not in gone)
        return ParentNode(self.encryption_key, self.parent_hash, rest)

    def __repr__(self) -> str:
        return f"<ParentNode with {len(self.unmerged_leaves)} unmerged leaves>"


def read_parent_node(
    reader: Reader, unmerged_max: int = DEFAULT_LIMITS.members_max
) -> ParentNode:
    """Take a `ParentNode`; the order of its leaves is rule T08, checked in the tree.

    Args:
        reader: in front of the node.
        unmerged_max: how many leaves it may list.

    Raises:
        Malformed: C04 where the leaves are no whole number of indices, C03 where they
            are too many; as `Reader`.
    """
    start = reader.position
    key = reader.opaque()
    parent_hash = reader.opaque()
    block = reader.opaque(_INDEX_OCTETS * unmerged_max)
    count, rest = divmod(len(block), _INDEX_OCTETS)
    if rest:
        raise Malformed("C04", f"{len(block)} octets of leaf indices")
    leaves = struct.unpack(f">{count}I", block)
    return ParentNode(key, parent_hash, leaves, reader.since(start))

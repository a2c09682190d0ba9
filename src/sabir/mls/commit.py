"""Commits (RFC 9420 section 12.4) and the path they carry (section 7.6)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sabir.mls.leaf_node import LeafNodeIn, read_leaf_node
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.proposals import (
    STANDARD_PROPOSALS,
    Proposal,
    ProposalRegistry,
    read_proposal,
)
from sabir.mls.struct import Struct, skip_vector
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, optional, uint8, vector

PATH_NODES_MAX: Final = 32
"""A leaf index has 32 bits, so no tree is higher."""

_PROPOSAL: Final = 1
_REFERENCE: Final = 2


@dataclass(frozen=True, slots=True)
class HPKECiphertext:
    """Something sealed to a public key (section 5.1.3)."""

    kem_output: bytes
    ciphertext: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Write the `HPKECiphertext`."""
        return opaque(self.kem_output) + opaque(self.ciphertext)


def read_hpke_ciphertext(reader: Reader) -> HPKECiphertext:
    """Take an `HPKECiphertext`."""
    return HPKECiphertext(reader.opaque(), reader.opaque())


@dataclass(frozen=True, slots=True, eq=False)
class UpdatePathNode(Struct):
    """A new public key on the committer's path, its secret sealed to others.

    The ciphertexts stay octets until one is asked for: a receiver opens one of up
    to a thousand.

    Attributes:
        encryption_key: the new HPKE public key.
        starts: where in `raw` each ciphertext begins.
        raw: the octets it came from.
    """

    encryption_key: bytes
    starts: tuple[int, ...] = field(repr=False)
    raw: bytes = field(repr=False)

    @classmethod
    def of(
        cls, encryption_key: bytes, sealed: Iterable[HPKECiphertext]
    ) -> "UpdatePathNode":
        """Make the node of a path of our own."""
        ciphertexts = vector(ciphertext.encode() for ciphertext in sealed)
        return read_update_path_node(Reader(opaque(encryption_key) + ciphertexts))

    def encode(self) -> bytes:
        """Write the `UpdatePathNode`."""
        return opaque(self.encryption_key) + vector(
            self.ciphertext(index).encode() for index in range(len(self))
        )

    def __len__(self) -> int:
        """Return how many ciphertexts there are."""
        return len(self.starts)

    def ciphertext(self, index: int) -> HPKECiphertext:
        """Return the ciphertext for a node of the resolution."""
        return read_hpke_ciphertext(Reader(self.raw, self.starts[index]))


def read_update_path_node(
    reader: Reader, limits: Limits = DEFAULT_LIMITS
) -> UpdatePathNode:
    """Take an `UpdatePathNode`.

    Raises:
        Malformed: C03 more ciphertexts than `limits` let a group have members, and
            as `Reader`.
    """
    start = reader.position

    def skip_ciphertext(inner: Reader) -> int:
        begin = inner.position
        skip_vector(inner)
        skip_vector(inner)
        return begin - start

    key = reader.opaque()
    starts = reader.vector(skip_ciphertext, count_max=limits.members_max)
    return UpdatePathNode(key, starts, reader.since(start))


@dataclass(frozen=True, slots=True, eq=False)
class UpdatePath(Struct):
    """The committer's new leaf and the new nodes above it, from below."""

    leaf_node: LeafNodeIn
    nodes: tuple[UpdatePathNode, ...]
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `UpdatePath`."""
        return self.leaf_node.raw + vector(node.raw for node in self.nodes)


def read_update_path(reader: Reader, limits: Limits = DEFAULT_LIMITS) -> UpdatePath:
    """Take an `UpdatePath`."""
    start = reader.position
    leaf = read_leaf_node(reader, limits)
    nodes = reader.vector(
        lambda inner: read_update_path_node(inner, limits), count_max=PATH_NODES_MAX
    )
    return UpdatePath(leaf, nodes, reader.since(start))


@dataclass(frozen=True, slots=True)
class ProposalReference:
    """Names a proposal that was sent before (section 5.2)."""

    reference: bytes


ProposalOrRef = Proposal | ProposalReference


def encode_proposal_or_ref(item: ProposalOrRef) -> bytes:
    """Write a `ProposalOrRef`."""
    if isinstance(item, ProposalReference):
        return uint8(_REFERENCE) + opaque(item.reference)
    return uint8(_PROPOSAL) + item.raw


@dataclass(frozen=True, slots=True, eq=False)
class Commit(Struct):
    """Proposals that take effect, and fresh secrets on the committer's path."""

    proposals: tuple[ProposalOrRef, ...]
    path: UpdatePath | None = None
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `Commit`."""
        return vector(map(encode_proposal_or_ref, self.proposals)) + optional(
            None if self.path is None else self.path.raw
        )


def read_commit(
    reader: Reader,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
) -> Commit:
    """Take a `Commit`.

    Raises:
        Malformed: C07 neither proposal nor reference, C03 more proposals than
            `limits` say, and as `read_proposal` and `read_leaf_node`.
        MlsUnsupported: C09, a proposal type that is not in `registry`.
    """
    start = reader.position

    def read_item(inner: Reader) -> ProposalOrRef:
        kind = inner.uint8()
        if kind == _PROPOSAL:
            return read_proposal(inner, registry, limits)
        if kind == _REFERENCE:
            return ProposalReference(inner.opaque())
        raise Malformed("C07", f"proposal or reference {kind}")

    proposals = reader.vector(read_item, count_max=limits.proposals_per_commit_max)
    path = reader.optional(lambda inner: read_update_path(inner, limits))
    return Commit(proposals, path, reader.since(start))

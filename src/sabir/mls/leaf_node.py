"""Leaf nodes (RFC 9420 section 7.2).

`LeafNodeIn` is what came in; `LeafNode` is one that `sabir.mls.validation.leaf_node`
has checked. A tree holds a thousand of them, so equal capabilities and equal lists
of extensions are one object each, and a leaf is read in one pass.
"""

from dataclasses import dataclass
from typing import Final, final

from sabir.crypto.labels import sign_with_label
from sabir.crypto.suites import CipherSuite
from sabir.mls.capabilities import Capabilities, read_capabilities
from sabir.mls.codepoints import LeafNodeSource
from sabir.mls.credentials import Credential, read_credential
from sabir.mls.extensions import Extensions, encode_extensions, read_extensions
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.struct import Struct, unsigned
from sabir.mls.validation.proof import Proof
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, uint8, uint32, uint64

TBS_LABEL: Final = b"LeafNodeTBS"

_SOURCES: Final = {int(source): source for source in LeafNodeSource}


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a key package may be used, in seconds since 1970, both ends included."""

    not_before: int
    not_after: int

    def encode(self) -> bytes:
        """Write the `Lifetime`."""
        return uint64(self.not_before) + uint64(self.not_after)


class LeafNodeIn(Struct):
    """A leaf node that nobody has checked.

    Attributes:
        encryption_key: HPKE public key.
        signature_key: public key of the client.
        source: where it came from.
        lifetime: for source `key_package`, else None.
        parent_hash: for source `commit`, else None.
        signature: over `signed(...)`.
        raw: the octets it came from.
    """

    __slots__ = (
        "capabilities",
        "credential",
        "encryption_key",
        "extensions",
        "lifetime",
        "parent_hash",
        "raw",
        "signature",
        "signature_key",
        "source",
    )

    encryption_key: bytes
    signature_key: bytes
    credential: Credential
    capabilities: Capabilities
    source: LeafNodeSource
    lifetime: Lifetime | None
    parent_hash: bytes | None
    extensions: Extensions
    signature: bytes
    raw: bytes

    def __init__(
        self,
        encryption_key: bytes,
        signature_key: bytes,
        credential: Credential,
        capabilities: Capabilities,
        source: LeafNodeSource,
        lifetime: Lifetime | None,
        parent_hash: bytes | None,
        extensions: Extensions,
        signature: bytes,
        raw: bytes = b"",
    ) -> None:
        self.encryption_key = encryption_key
        self.signature_key = signature_key
        self.credential = credential
        self.capabilities = capabilities
        self.source = source
        self.lifetime = lifetime
        self.parent_hash = parent_hash
        self.extensions = extensions
        self.signature = signature
        self.raw = raw or self.encode()

    def encode(self) -> bytes:
        """Write the fields as a `LeafNode`."""
        return self.encode_unsigned() + opaque(self.signature)

    def encode_unsigned(self) -> bytes:
        """Write the fields up to the signature."""
        parts = [
            opaque(self.encryption_key),
            opaque(self.signature_key),
            self.credential.raw,
            self.capabilities.raw,
            uint8(self.source),
        ]
        if self.lifetime is not None:
            parts.append(self.lifetime.encode())
        if self.parent_hash is not None:
            parts.append(opaque(self.parent_hash))
        parts.append(encode_extensions(self.extensions))
        return b"".join(parts)

    def signed(self, group_id: bytes = b"", leaf_index: int = 0) -> bytes:
        """Return the `LeafNodeTBS`: what came in up to the signature, and the place.

        Args:
            group_id: of the group; not used for source `key_package`.
            leaf_index: in the tree; not used for source `key_package`.
        """
        content = unsigned(self.raw, self.signature)
        if self.source is LeafNodeSource.KEY_PACKAGE:
            return content
        return content + opaque(group_id) + uint32(leaf_index)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.raw)} octets>"


def sign_leaf_node(
    suite: CipherSuite,
    private_key: bytes,
    leaf: LeafNodeIn,
    group_id: bytes = b"",
    leaf_index: int = 0,
) -> LeafNodeIn:
    """Return a leaf of our own with its signature instead of the one it has.

    Args:
        suite: of the group.
        private_key: signature key of the client.
        leaf: all other fields.
        group_id: as in `LeafNodeIn.signed`.
        leaf_index: likewise.
    """
    content = leaf.signed(group_id, leaf_index)
    signature = sign_with_label(suite, private_key, TBS_LABEL, content)
    return LeafNodeIn(
        leaf.encryption_key,
        leaf.signature_key,
        leaf.credential,
        leaf.capabilities,
        leaf.source,
        leaf.lifetime,
        leaf.parent_hash,
        leaf.extensions,
        signature,
    )


@final
class LeafNode(LeafNodeIn):
    """A leaf node that was checked for its group and place."""

    __slots__ = ()

    def __init__(self, checked: LeafNodeIn, proof: Proof) -> None:
        del proof
        self.encryption_key = checked.encryption_key
        self.signature_key = checked.signature_key
        self.credential = checked.credential
        self.capabilities = checked.capabilities
        self.source = checked.source
        self.lifetime = checked.lifetime
        self.parent_hash = checked.parent_hash
        self.extensions = checked.extensions
        self.signature = checked.signature
        self.raw = checked.raw


def read_leaf_node(reader: Reader, limits: Limits = DEFAULT_LIMITS) -> LeafNodeIn:
    """Take a `LeafNode`.

    Raises:
        Malformed: C07 an unknown source, C10 an extension twice, and as `Reader`.
        MlsUnsupported: an unknown credential type.
    """
    start = reader.position
    encryption_key = reader.opaque()
    signature_key = reader.opaque()
    credential = read_credential(reader, limits)
    capabilities = read_capabilities(reader)
    number = reader.uint8()
    lifetime = parent_hash = None
    source = _SOURCES.get(number)
    if source is LeafNodeSource.KEY_PACKAGE:
        lifetime = Lifetime(reader.uint64(), reader.uint64())
    elif source is LeafNodeSource.COMMIT:
        parent_hash = reader.opaque()
    elif source is None:
        raise Malformed("C07", f"leaf node source {number}")
    extensions = read_extensions(reader, limits)
    signature = reader.opaque()
    return LeafNodeIn(
        encryption_key,
        signature_key,
        credential,
        capabilities,
        source,
        lifetime,
        parent_hash,
        extensions,
        signature,
        reader.since(start),
    )

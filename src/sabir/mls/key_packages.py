"""Key packages (RFC 9420 section 10)."""

from dataclasses import dataclass, field, replace
from typing import Final, final

from sabir.crypto.labels import ref_hash, sign_with_label
from sabir.crypto.suites import CipherSuite
from sabir.mls.codepoints import MLS10
from sabir.mls.extensions import Extensions, encode_extensions, read_extensions
from sabir.mls.leaf_node import LeafNode, LeafNodeIn, read_leaf_node
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.struct import Struct, unsigned
from sabir.mls.validation.proof import Proof
from sabir.wire.tls import Reader, opaque, uint16

TBS_LABEL: Final = b"KeyPackageTBS"

REFERENCE_LABEL: Final = b"MLS 1.0 KeyPackage Reference"


@dataclass(frozen=True, slots=True, eq=False)
class KeyPackageIn(Struct):
    """A key package that nobody has checked."""

    cipher_suite: int
    init_key: bytes
    leaf_node: LeafNodeIn
    extensions: Extensions
    signature: bytes = field(repr=False)
    version: int = MLS10
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `KeyPackage`."""
        return self.encode_unsigned() + opaque(self.signature)

    def encode_unsigned(self) -> bytes:
        """Write the fields up to the signature."""
        return (
            uint16(self.version)
            + uint16(self.cipher_suite)
            + opaque(self.init_key)
            + self.leaf_node.raw
            + encode_extensions(self.extensions)
        )

    def signed(self) -> bytes:
        """Return the `KeyPackageTBS`: what came in up to the signature."""
        return unsigned(self.raw, self.signature)

    def reference(self, suite: CipherSuite) -> bytes:
        """Return the `KeyPackageRef`, by which a Welcome names it (section 5.2)."""
        return ref_hash(suite, REFERENCE_LABEL, self.raw)


def sign_key_package(
    suite: CipherSuite, private_key: bytes, key_package: KeyPackageIn
) -> KeyPackageIn:
    """Return a key package of our own with its signature instead of the one it has."""
    content = key_package.signed()
    signature = sign_with_label(suite, private_key, TBS_LABEL, content)
    return replace(key_package, signature=signature, raw=b"")


@final
class KeyPackage(KeyPackageIn):
    """A key package that was checked for its group."""

    __slots__ = ()

    leaf_node: LeafNode

    def __init__(
        self, checked: KeyPackageIn, leaf_node: LeafNode, proof: Proof
    ) -> None:
        del proof
        super().__init__(
            checked.cipher_suite,
            checked.init_key,
            leaf_node,
            checked.extensions,
            checked.signature,
            checked.version,
            checked.raw,
        )


def read_key_package(reader: Reader, limits: Limits = DEFAULT_LIMITS) -> KeyPackageIn:
    """Take a `KeyPackage`, of whatever version and suite (K01 and K05 judge them).

    Raises:
        Malformed: as `read_leaf_node`.
        MlsUnsupported: as `read_leaf_node`.
    """
    start = reader.position
    version = reader.uint16()
    suite = reader.uint16()
    init_key = reader.opaque()
    leaf = read_leaf_node(reader, limits)
    extensions = read_extensions(reader, limits)
    signature = reader.opaque()
    return KeyPackageIn(
        suite, init_key, leaf, extensions, signature, version, reader.since(start)
    )

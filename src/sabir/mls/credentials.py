"""Credentials (RFC 9420 section 5.3) and the port of the Authentication Service."""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Protocol

from sabir.mls.codepoints import CredentialKind
from sabir.mls.errors import MlsUnsupported
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.struct import Struct
from sabir.wire.tls import Reader, opaque, uint16, vector

if TYPE_CHECKING:
    from sabir.mls.leaf_node import LeafNodeIn

BINDING_LABEL: Final = b"CredentialBindingTBS"
"""Label of the signature in a `CredentialBinding` (mls-extensions)."""


@dataclass(frozen=True, slots=True, eq=False)
class BasicCredential(Struct):
    """An identity that the Authentication Service understands."""

    identity: bytes = field(repr=False)
    raw: bytes = field(default=b"", repr=False)

    @property
    def kind(self) -> int:
        """Return its credential type."""
        return CredentialKind.BASIC

    def encode(self) -> bytes:
        """Write the `Credential`."""
        return uint16(CredentialKind.BASIC) + opaque(self.identity)


@dataclass(frozen=True, slots=True, eq=False)
class X509Credential(Struct):
    """A chain of DER certificates, the leaf's first."""

    certificates: tuple[bytes, ...] = field(repr=False)
    raw: bytes = field(default=b"", repr=False)

    @property
    def kind(self) -> int:
        """Return its credential type."""
        return CredentialKind.X509

    def encode(self) -> bytes:
        """Write the `Credential`."""
        chain = vector(opaque(certificate) for certificate in self.certificates)
        return uint16(CredentialKind.X509) + chain


@dataclass(frozen=True, slots=True, eq=False)
class CredentialBinding(Struct):
    """One credential of several, bound to the leaf's key by a signature."""

    cipher_suite: int
    credential: "Credential"
    credential_key: bytes
    signature: bytes = field(repr=False)
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `CredentialBinding`."""
        return (
            uint16(self.cipher_suite)
            + self.credential.raw
            + opaque(self.credential_key)
            + opaque(self.signature)
        )

    def signed(self, signature_key: bytes) -> bytes:
        """Write the `CredentialBindingTBS` for the leaf's `signature_key`."""
        return (
            uint16(self.cipher_suite)
            + self.credential.raw
            + opaque(self.credential_key)
            + opaque(signature_key)
        )


@dataclass(frozen=True, slots=True, eq=False)
class MultiCredential(Struct):
    """Several credentials of one client (mls-extensions).

    `weak` says that a client that knows some of them is content (type 4, not 3).
    """

    bindings: tuple[CredentialBinding, ...]
    weak: bool = False
    raw: bytes = field(default=b"", repr=False)

    @property
    def kind(self) -> int:
        """Return its credential type."""
        return CredentialKind.WEAK_MULTI if self.weak else CredentialKind.MULTI

    def encode(self) -> bytes:
        """Write the `Credential`."""
        return uint16(self.kind) + vector(binding.raw for binding in self.bindings)


Credential = BasicCredential | X509Credential | MultiCredential

NESTED_CREDENTIALS_MAX: Final = 2
"""A multi credential may hold plain ones, but not further multi credentials."""


def read_credential(
    reader: Reader, limits: Limits = DEFAULT_LIMITS, *, depth: int = 1
) -> Credential:
    """Take a `Credential`.

    Args:
        reader: stands before the credential type.
        limits: `certificates_max` counts.
        depth: 1 for a leaf's own credential, 2 for one inside a multi credential.

    Raises:
        MlsUnsupported: a type that we do not know; its end cannot be found.
        Malformed: C03 more certificates than `limits` say, and as `Reader`.
    """
    start = reader.position
    kind = reader.uint16()
    if kind == CredentialKind.BASIC:
        identity = reader.opaque()
        return BasicCredential(identity=identity, raw=reader.since(start))
    if kind == CredentialKind.X509:
        chain = reader.vector(Reader.opaque, count_max=limits.certificates_max)
        return X509Credential(certificates=chain, raw=reader.since(start))
    nested = kind in (CredentialKind.MULTI, CredentialKind.WEAK_MULTI)
    if not nested or depth >= NESTED_CREDENTIALS_MAX:
        raise MlsUnsupported("credential type", kind)
    bindings = reader.vector(
        lambda inner: _read_binding(inner, limits, depth + 1),
        count_max=limits.certificates_max,
    )
    return MultiCredential(
        bindings=bindings,
        weak=kind == CredentialKind.WEAK_MULTI,
        raw=reader.since(start),
    )


def _read_binding(reader: Reader, limits: Limits, depth: int) -> CredentialBinding:
    start = reader.position
    suite = reader.uint16()
    credential = read_credential(reader, limits, depth=depth)
    key = reader.opaque()
    signature = reader.opaque()
    return CredentialBinding(
        cipher_suite=suite,
        credential=credential,
        credential_key=key,
        signature=signature,
        raw=reader.since(start),
    )


# ---- the port


class Where(Enum):
    """Where a credential was met; an Authentication Service may care."""

    KEY_PACKAGE = auto()
    TREE = auto()
    UPDATE = auto()
    COMMIT = auto()
    EXTERNAL_SENDER = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of an Authentication Service, with its reason when it is no."""

    accepted: bool
    reason: str = ""


class AuthenticationService(Protocol):
    """Who belongs to a credential (section 5.3.1): answers, never asks the network."""

    def check(
        self, credential: Credential, signature_key: bytes, where: Where
    ) -> Verdict:
        """Say whether the credential's owner has this signature key."""
        ...

    def same_client(self, one: "LeafNodeIn", other: "LeafNodeIn") -> bool:
        """Say whether two leaves stand for one client (12.2)."""
        ...

    def may_replace(self, old: "LeafNodeIn", new: "LeafNodeIn") -> bool:
        """Say whether a leaf may take the place of an older one (7.3, 12.2)."""
        ...

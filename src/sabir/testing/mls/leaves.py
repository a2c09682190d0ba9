"""Signed leaves and key packages, valid unless a test changes them."""

from typing import Final

from sabir.crypto import hpke, signatures
from sabir.crypto.suites import CipherSuite
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import MLS10, CredentialKind, LeafNodeSource
from sabir.mls.credentials import BasicCredential, Credential, Verdict, Where
from sabir.mls.extensions import Extensions
from sabir.mls.key_packages import KeyPackageIn, sign_key_package
from sabir.mls.leaf_node import LeafNodeIn, Lifetime, sign_leaf_node

NOW_S: Final = 1_700_000_000
DAY_S: Final = 86_400

CAPABILITIES: Final = Capabilities(
    (MLS10,), tuple(range(1, 8)), (), (), (CredentialKind.BASIC,)
)


class TrustAll:
    """An Authentication Service that accepts whom it was not told to refuse.

    Attributes:
        refused: identities and signature keys that it does not accept.
        asked: what it was asked, in order.
    """

    def __init__(self, *refused: bytes) -> None:
        self.refused = set(refused)
        self.asked: list[tuple[Credential, bytes, Where]] = []

    def check(
        self, credential: Credential, signature_key: bytes, where: Where
    ) -> Verdict:
        """Accept, unless identity or key is refused."""
        self.asked.append((credential, signature_key, where))
        names = {signature_key, _identity(credential)}
        return Verdict(accepted=not names & self.refused)

    def same_client(self, one: LeafNodeIn, other: LeafNodeIn) -> bool:
        """Compare identities."""
        return _identity(one.credential) == _identity(other.credential)

    def may_replace(self, old: LeafNodeIn, new: LeafNodeIn) -> bool:
        """Compare identities."""
        return self.same_client(old, new)


def _identity(credential: Credential) -> bytes:
    if isinstance(credential, BasicCredential):
        return credential.identity
    return credential.raw


class Author:
    """A client with its keys.

    Args:
        suite: of its keys.
        name: identity, from which all keys follow.
    """

    def __init__(self, suite: CipherSuite, name: bytes = b"alice") -> None:
        self.suite = suite
        self.name = name
        # the octet in front keeps it below the order of every curve
        seed = (b"\x00" + suite.hash(name) * 3)[: suite.signature.private_octets]
        self.signature_private, self.signature_public = signatures.signature_key_pair(
            suite, seed
        )
        self.encryption_public = self._public(b"encryption")

    def _public(self, purpose: bytes) -> bytes:
        return hpke.derive_key_pair(self.suite, self.suite.hash(self.name + purpose))[1]

    def leaf(
        self,
        source: LeafNodeSource = LeafNodeSource.KEY_PACKAGE,
        *,
        group_id: bytes = b"",
        leaf_index: int = 0,
        credential: Credential | None = None,
        capabilities: Capabilities = CAPABILITIES,
        lifetime: Lifetime | None = None,
        extensions: Extensions = (),
        encryption_key: bytes | None = None,
    ) -> LeafNodeIn:
        """Sign a leaf."""
        of_package = source is LeafNodeSource.KEY_PACKAGE
        default = Lifetime(NOW_S - DAY_S, NOW_S + DAY_S) if of_package else None
        unsigned = LeafNodeIn(
            self.encryption_public if encryption_key is None else encryption_key,
            self.signature_public,
            credential or BasicCredential(self.name),
            capabilities,
            source,
            lifetime or default,
            b"parent hash" if source is LeafNodeSource.COMMIT else None,
            extensions,
            b"",
        )
        return sign_leaf_node(
            self.suite, self.signature_private, unsigned, group_id, leaf_index
        )

    def key_package(
        self,
        leaf: LeafNodeIn | None = None,
        *,
        init_key: bytes | None = None,
        extensions: Extensions = (),
        cipher_suite: int | None = None,
        version: int = MLS10,
    ) -> KeyPackageIn:
        """Sign a key package."""
        unsigned = KeyPackageIn(
            self.suite.number if cipher_suite is None else cipher_suite,
            self._public(b"init") if init_key is None else init_key,
            leaf or self.leaf(),
            extensions,
            b"",
            version,
        )
        return sign_key_package(self.suite, self.signature_private, unsigned)

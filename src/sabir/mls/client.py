"""`MlsClient`: whom we are in all our groups, and what the application answers.

Built once. Groups keep a reference and never store it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sabir.crypto import hpke
from sabir.crypto.secrets import Secret
from sabir.crypto.signatures import is_signature_key_pair, signature_key_pair
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import (
    DEFAULT_PROPOSALS,
    GREASE,
    MLS10,
    CredentialKind,
    LeafNodeSource,
)
from sabir.mls.components import (
    LAST_RESORT_KEY_PACKAGE,
    AppDataDictionary,
    with_dictionary,
)
from sabir.mls.credentials import Credential, read_credential
from sabir.mls.env import Env
from sabir.mls.errors import MlsMisuse, MlsUnsupported
from sabir.mls.extensions import (
    APP_DATA_DICTIONARY,
    REQUIRED_WIRE_FORMATS,
    SUPPORTED_WIRE_FORMATS,
    Extensions,
)
from sabir.mls.framing import MESSAGE_HEAD_OCTETS
from sabir.mls.key_packages import (
    KeyPackage,
    KeyPackageIn,
    read_key_package,
    sign_key_package,
)
from sabir.mls.leaf_node import LeafNodeIn, Lifetime, read_leaf_node, sign_leaf_node
from sabir.mls.misuse import check_span, seconds
from sabir.mls.own_limits import check_octets, check_readable
from sabir.mls.psk import PskStore
from sabir.mls.services import Services
from sabir.mls.validation.key_package import validate_new_key_package
from sabir.mls.validation.leaf_node import (
    LeafRules,
    check_defaults_unlisted,
    check_lifetime,
)
from sabir.wire import tls
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader

LIFETIME_S: Final = 28 * 86_400
"""How long our key packages live: four weeks."""

_BACKDATED_S: Final = 3_600
"""Our lifetimes begin an hour ago, for those whose clocks are late."""

_LAST_RESORT: Final = with_dictionary(
    (), AppDataDictionary(((LAST_RESORT_KEY_PACKAGE, b""),))
)

KNOWN_EXTENSIONS: Final = (
    APP_DATA_DICTIONARY,
    SUPPORTED_WIRE_FORMATS,
    REQUIRED_WIRE_FORMATS,
)
"""The extensions beyond RFC 9420 that this core understands by itself."""


_IDENTITY: Final = b"SBRI" + tls.uint16(1)
"""What a stored identity begins with: a magic, and the version of the format."""


@contextmanager
def _damage_named(what: str) -> Iterator[None]:
    """Say that it was we who wrote what cannot be read."""
    try:
        yield
    except Malformed as wrong:
        raise MlsMisuse(f"the stored {what} is damaged: {wrong}") from None


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """Our credential, and the key that it is about.

    Attributes:
        suite: whose signatures these keys make.
        credential: what others see.
        public: signature key.
        private: signature key.

    Raises:
        MlsMisuse: the keys are not the two halves of a pair.
    """

    suite: CipherSuite
    credential: Credential
    public: bytes
    private: Secret

    def __post_init__(self) -> None:
        if not is_signature_key_pair(self.suite, self.private.reveal(), self.public):
            raise MlsMisuse(
                f"these are not the halves of one {self.suite.signature.name} key"
                " pair; give the public key that was made with this private one"
            )

    @classmethod
    def generate(
        cls, env: Env, suite: CipherSuite, credential: Credential
    ) -> "Identity":
        """Make an identity with fresh keys."""
        seed = env.random(suite.signature.private_octets)
        private, public = signature_key_pair(suite, seed)
        return cls(suite, credential, public, Secret(private))

    def encode(self) -> bytes:
        """Write it, private key and all, for the store."""
        return b"".join(
            (
                _IDENTITY,
                tls.uint16(self.suite.number),
                self.credential.raw,
                tls.opaque(self.public),
                tls.opaque(self.private.reveal()),
            )
        )

    @classmethod
    def decode(
        cls, octets: bytes, suites: Mapping[int, CipherSuite] = SUITES
    ) -> "Identity":
        """Read what `encode` wrote.

        Raises:
            MlsMisuse: it is damaged, or of a version that we cannot read.
            MlsUnsupported: its suite is not among these.
        """
        with _damage_named("identity"):
            reader = Reader(octets)
            if reader.fixed(len(_IDENTITY)) != _IDENTITY:
                raise MlsMisuse("this is no stored identity that this version reads")
            number = reader.uint16()
            if number not in suites:
                raise MlsUnsupported("cipher suite", number)
            credential = read_credential(reader)
            public, private = reader.opaque(), Secret(reader.opaque())
            reader.finish()
            return cls(suites[number], credential, public, private)


@dataclass(frozen=True, slots=True, eq=False)
class KeyPackageSecrets:
    """The private half of a key package of ours.

    Attributes:
        key_package: the public half.
        init_key: private.
        encryption_key: private, of the leaf.
        signature_key: private, of the leaf.
    """

    key_package: KeyPackageIn
    init_key: Secret
    encryption_key: Secret
    signature_key: Secret

    def encode(self) -> bytes:
        """Write it, for the store."""
        return self.key_package.raw + b"".join(
            tls.opaque(secret.reveal())
            for secret in (self.init_key, self.encryption_key, self.signature_key)
        )

    @classmethod
    def decode(cls, octets: bytes) -> "KeyPackageSecrets":
        """Read what `encode` wrote.

        Raises:
            MlsMisuse: it is damaged.
        """
        with _damage_named("key package"):
            return tls.read_whole(octets, read_key_package_secrets)


def read_key_package_secrets(reader: Reader) -> KeyPackageSecrets:
    """Take what `KeyPackageSecrets.encode` wrote. Raises `Malformed`."""
    return KeyPackageSecrets(
        read_key_package(reader),
        Secret(reader.opaque()),
        Secret(reader.opaque()),
        Secret(reader.opaque()),
    )


class MlsClient:
    """A client of MLS.

    Args:
        services: the application's answers.
        psks: the pre-shared keys that we hold.
        identities: one for each suite that we create or join groups in.
        extensions: types of extension that the application understands, beyond
            RFC 9420; those of mls-extensions that the core understands are the
            default.
        credentials: types of credential that the application understands.
        leaf_extensions: of our leaves, e.g. the dictionary with our components.
    """

    __slots__ = ("capabilities", "identities", "leaf_extensions", "psks", "services")

    def __init__(
        self,
        services: Services,
        psks: PskStore,
        identities: Iterable[Identity],
        *,
        extensions: Iterable[int] = KNOWN_EXTENSIONS,
        credentials: Iterable[int] = (CredentialKind.BASIC,),
        leaf_extensions: Extensions = (),
    ) -> None:
        self.services = services
        self.psks = psks
        self.identities: Mapping[int, Identity] = MappingProxyType(
            {identity.suite.number: identity for identity in identities}
        )
        self.leaf_extensions = leaf_extensions
        grease = self._grease()
        self.capabilities = Capabilities(
            versions=(MLS10,),
            cipher_suites=(*services.suites, grease),
            extensions=(*extensions, grease),
            proposals=(
                *sorted(services.proposals.types.keys() - DEFAULT_PROPOSALS),
                grease,
            ),
            credentials=(*credentials, grease),
        )

    def _grease(self) -> int:
        """Pick a number that means nothing (section 13.5).

        Always the same for one client, so that its leaves are alike.
        """
        seed = sum(sum(identity.public) for identity in self.identities.values())
        return sorted(GREASE)[seed % len(GREASE)]

    def identity(self, suite: CipherSuite) -> Identity:
        """Return who we are in groups of a suite.

        Raises:
            MlsMisuse: the client was built without an identity for it.
        """
        found = self.identities.get(suite.number)
        if found is None:
            raise MlsMisuse(
                f"no identity for suite {suite.number}; build the client with one"
            )
        return found

    def leaf(
        self,
        env: Env,
        identity: Identity,
        encryption_key: bytes,
        lifetime_s: int = LIFETIME_S,
    ) -> LeafNodeIn:
        """Make and sign a leaf of source key_package."""
        now = seconds(env)
        check_span("lifetime_s", lifetime_s)
        lifetime = Lifetime(max(now - _BACKDATED_S, 0), now + lifetime_s)
        leaf = LeafNodeIn(
            encryption_key,
            identity.public,
            identity.credential,
            self.capabilities,
            LeafNodeSource.KEY_PACKAGE,
            lifetime,
            None,
            self.leaf_extensions,
            b"",
        )
        check_defaults_unlisted(leaf)
        check_lifetime(leaf, now)
        made = sign_leaf_node(identity.suite, identity.private.reveal(), leaf)
        limits = self.services.limits
        check_readable(
            "this leaf", made.raw, lambda reader: read_leaf_node(reader, limits)
        )
        return made

    def key_package(
        self,
        env: Env,
        *,
        suite: int,
        lifetime_s: int = LIFETIME_S,
        last_resort: bool = False,
    ) -> tuple[KeyPackage, KeyPackageSecrets]:
        """Make a key package, by which others can add us to a group.

        Args:
            env: clock and randomness.
            suite: number of the cipher suite.
            lifetime_s: seconds it may be used.
            last_resort: mark it as one that may be used more than once.

        Returns:
            The key package to publish, and the secrets to keep.

        Raises:
            MlsMisuse: there is no identity for the suite; or it would be larger, or
                have more extensions or certificates, than our limits say.
            MlsInvalid: others would refuse it, e.g. L06 for too long a lifetime.
        """
        chosen = self.services.suite(suite)
        identity = self.identity(chosen)
        octets = chosen.kem.private_octets
        init_private, init_public = hpke.derive_key_pair(chosen, env.random(octets))
        private, public = hpke.derive_key_pair(chosen, env.random(octets))
        signature_key = identity.private
        package = sign_key_package(
            chosen,
            signature_key.reveal(),
            KeyPackageIn(
                chosen.number,
                init_public,
                self.leaf(env, identity, public, lifetime_s),
                _LAST_RESORT if last_resort else (),
                b"",
            ),
        )
        octets = MESSAGE_HEAD_OCTETS + len(package.raw)
        octets_max = self.services.limits.message_octets_max
        check_octets("a key package", octets, octets_max)
        rules = LeafRules(
            suite=chosen,
            authentication=self.services.authentication,
            limits=self.services.limits,
            suites=self.services.suites,
        )
        checked = validate_new_key_package(package, rules, seconds(env))
        secrets = KeyPackageSecrets(
            checked, Secret(init_private), Secret(private), signature_key
        )
        return checked, secrets

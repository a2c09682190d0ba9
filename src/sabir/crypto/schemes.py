"""Signature schemes: Ed25519, Ed448 (RFC 8032) and ECDSA (FIPS 186-5).

Keys and signatures of EdDSA are raw, public keys of ECDSA uncompressed points, its
private keys scalars, its signatures DER (RFC 9420 section 5.1.1).
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from typing_extensions import override

from sabir.crypto.curves import P256, P384, P521, Curve
from sabir.crypto.errors import BadKey
from sabir.crypto.hkdf import expand, extract


class SignatureScheme(ABC):
    """How the members of a group sign.

    Attributes:
        name: in the registry of TLS.
        private_octets: length of a private key, and of the randomness for one.
        public_octets: length of a public key.
    """

    name: str
    private_octets: int
    public_octets: int

    @abstractmethod
    def load_public(self, octets: bytes) -> Any:
        """Return the library's object. Raises `BadKey`."""

    @abstractmethod
    def load_private(self, octets: bytes) -> Any:
        """Return the library's object. Raises `BadKey`."""

    @abstractmethod
    def key_pair(self, seed: bytes) -> tuple[bytes, bytes]:
        """Make a private and a public key from `private_octets` random octets.

        Raises:
            BadKey: the seed has another length.
        """

    @abstractmethod
    def sign(self, private: Any, message: bytes) -> bytes:
        """Sign with what `load_private` returned; the same input, the same octets."""

    @abstractmethod
    def verify(self, public: Any, message: bytes, signature: bytes) -> bool:
        """Check with what `load_public` returned."""

    def _seed(self, octets: bytes) -> bytes:
        if len(octets) != self.private_octets:
            raise BadKey(f"{len(octets)} octets are no seed for {self.name}")
        return octets


class EdwardsScheme(SignatureScheme):
    """What Ed25519 and Ed448 share: a private key is any octets.

    Attributes:
        low_order: the y coordinates of points of low order, as integers. A
            signature under such a key fits every message.
        coordinate_mask: the bits of a key that say y.
    """

    low_order: frozenset[int]
    coordinate_mask: int

    def _check(self, octets: bytes) -> bytes:
        y = int.from_bytes(octets, "little") & self.coordinate_mask
        if len(octets) != self.public_octets or y in self.low_order:
            raise BadKey(f"{len(octets)} octets are no key of {self.name}")
        return octets

    @override
    def key_pair(self, seed: bytes) -> tuple[bytes, bytes]:
        private = self.load_private(self._seed(seed))
        return seed, private.public_key().public_bytes_raw()

    @override
    def sign(self, private: Any, message: bytes) -> bytes:
        signature: bytes = private.sign(message)
        return signature

    @override
    def verify(self, public: Any, message: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@final
class Ed25519Scheme(EdwardsScheme):
    """Ed25519."""

    name = "ed25519"
    private_octets = public_octets = 32
    coordinate_mask = (1 << 255) - 1
    _PRIME: ClassVar = (1 << 255) - 19
    low_order = frozenset(
        {
            *(0, 1, _PRIME - 1, _PRIME, _PRIME + 1),
            # the two of order 8
            0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
            0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        }
    )

    @override
    def load_public(self, octets: bytes) -> ed25519.Ed25519PublicKey:
        return ed25519.Ed25519PublicKey.from_public_bytes(self._check(octets))

    @override
    def load_private(self, octets: bytes) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.from_private_bytes(self._seed(octets))


@final
class Ed448Scheme(EdwardsScheme):
    """Ed448."""

    name = "ed448"
    private_octets = public_octets = 57
    coordinate_mask = (1 << 455) - 1
    _PRIME: ClassVar = (1 << 448) - (1 << 224) - 1
    low_order = frozenset({0, 1, _PRIME - 1, _PRIME, _PRIME + 1})

    @override
    def load_public(self, octets: bytes) -> ed448.Ed448PublicKey:
        return ed448.Ed448PublicKey.from_public_bytes(self._check(octets))

    @override
    def load_private(self, octets: bytes) -> ed448.Ed448PrivateKey:
        return ed448.Ed448PrivateKey.from_private_bytes(self._seed(octets))


@final
class EcdsaScheme(SignatureScheme):
    """ECDSA with a nonce from key and message (RFC 6979)."""

    def __init__(
        self, name: str, curve: Curve, hash_name: str, algorithm: hashes.HashAlgorithm
    ) -> None:
        self.name = name
        self.curve = curve
        self.hash_name = hash_name
        self.private_octets = curve.size
        self.public_octets = curve.point_octets
        self._sign = ec.ECDSA(algorithm, deterministic_signing=True)
        self._verify = ec.ECDSA(algorithm)

    @override
    def load_public(self, octets: bytes) -> ec.EllipticCurvePublicKey:
        return self.curve.load_public(octets)

    @override
    def load_private(self, octets: bytes) -> ec.EllipticCurvePrivateKey:
        return self.curve.load_private(octets)

    @override
    def key_pair(self, seed: bytes) -> tuple[bytes, bytes]:
        prk = extract(self.hash_name, b"sabir ecdsa key pair", self._seed(seed))
        private = self.curve.first_scalar(
            lambda counter: expand(
                self.hash_name, prk, bytes((counter,)), self.curve.size
            )
        )
        return private, self.curve.public_octets(self.load_private(private))

    @override
    def sign(self, private: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
        return private.sign(message, self._sign)

    @override
    def verify(
        self, public: ec.EllipticCurvePublicKey, message: bytes, signature: bytes
    ) -> bool:
        try:
            public.verify(signature, message, self._verify)
        except InvalidSignature:
            return False
        return True


ED25519: Final = Ed25519Scheme()
ED448: Final = Ed448Scheme()
ECDSA_P256: Final = EcdsaScheme(
    "ecdsa_secp256r1_sha256", P256, "sha256", hashes.SHA256()
)
ECDSA_P384: Final = EcdsaScheme(
    "ecdsa_secp384r1_sha384", P384, "sha384", hashes.SHA384()
)
ECDSA_P521: Final = EcdsaScheme(
    "ecdsa_secp521r1_sha512", P521, "sha512", hashes.SHA512()
)

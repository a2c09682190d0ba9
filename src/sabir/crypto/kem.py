"""Key encapsulation: the half of HPKE that knows about curves (RFC 9180 section 4).

`cryptography` encapsulates inside its `hpke.Suite`, with its own randomness, and
neither derives key pairs nor knows X448. So each mechanism here can do both: lend
the library its key objects, and do the whole by itself.
"""

import hashlib
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, final

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x448, x25519
from typing_extensions import override

from sabir.crypto.curves import P256, P384, P521, Curve
from sabir.crypto.errors import BadKey, OpenFailed
from sabir.crypto.hkdf import LabeledKdf


class Kem(ABC):
    """A key encapsulation mechanism.

    Attributes:
        number: in the registry of HPKE.
        private_octets: length of a serialized private key (`Nsk`).
        public_octets: length of a serialized public key (`Npk`).
        enc_octets: length of an encapsulated secret (`Nenc`).
        library: what the library calls it; None when it has none.
    """

    number: int
    private_octets: int
    public_octets: int
    enc_octets: int
    library: hpke.KEM | None

    @abstractmethod
    def load_public(self, octets: bytes) -> Any:
        """Return the library's object. Raises `BadKey`."""

    @abstractmethod
    def load_private(self, octets: bytes) -> Any:
        """Return the library's object. Raises `BadKey`."""

    @abstractmethod
    def derive_private(self, ikm: bytes) -> bytes:
        """Return a private key: the first half of DeriveKeyPair (section 7.1.3)."""

    @abstractmethod
    def public_of(self, private: bytes) -> bytes:
        """Return the public key of a private one. Raises `BadKey`."""

    @abstractmethod
    def encapsulate(
        self, public: bytes, ephemeral: bytes | None
    ) -> tuple[bytes, bytes]:
        """Share a secret with the owner of `public`.

        Args:
            public: whose.
            ephemeral: where the ephemeral key comes from, `private_octets` octets;
                None: from the library.

        Returns:
            The secret, and what the owner needs (`enc`).

        Raises:
            BadKey: `public` is no key, or one that shares a secret with nobody.
        """

    @abstractmethod
    def decapsulate(self, private: bytes, enc: bytes) -> bytes:
        """Return the secret in `enc`. Raises `BadKey` and `OpenFailed`."""

    def check_public(self, octets: bytes) -> bool:
        """Say whether this is a public key that one can encapsulate to."""
        try:
            self.load_public(octets)
        except BadKey:
            return False
        return True


class DhKem(Kem):
    """DHKEM: a Diffie-Hellman group and HKDF (section 4.1).

    The hash belongs to the group and need not be that of the suite.
    """

    kdf: LabeledKdf

    @abstractmethod
    def generate(self) -> Any:
        """Return a private key with the library's randomness."""

    @abstractmethod
    def public_octets_of(self, private: Any) -> bytes:
        """Return the public key of the library's object."""

    @abstractmethod
    def exchange(self, private: Any, public: Any) -> bytes:
        """Return the shared point. Raises `ValueError` when it is all zeros."""

    @override
    def public_of(self, private: bytes) -> bytes:
        return self.public_octets_of(self.load_private(private))

    @override
    def encapsulate(
        self, public: bytes, ephemeral: bytes | None
    ) -> tuple[bytes, bytes]:
        owner = self.load_public(public)
        if ephemeral is None:
            own = self.generate()
        else:
            own = self.load_private(self.derive_private(ephemeral))
        enc = self.public_octets_of(own)
        try:
            shared = self.exchange(own, owner)
        except ValueError:
            raise BadKey("a public key of low order") from None
        return self._shared_secret(shared, enc + public), enc

    @override
    def decapsulate(self, private: bytes, enc: bytes) -> bytes:
        own = self.load_private(private)
        try:
            shared = self.exchange(own, self.load_public(enc))
        except (BadKey, ValueError):
            raise OpenFailed("enc is no public key that shares a secret") from None
        return self._shared_secret(shared, enc + self.public_octets_of(own))

    def _shared_secret(self, shared: bytes, context: bytes) -> bytes:
        """ExtractAndExpand of section 4.1."""
        prk = self.kdf.extract(b"", b"eae_prk", shared)
        return self.kdf.expand(prk, b"shared_secret", context, self.kdf.nh)


def _kem_kdf(number: int, hash_name: str) -> LabeledKdf:
    return LabeledKdf(hash_name, b"KEM" + number.to_bytes(2, "big"))


class MontgomeryKem(DhKem):
    """DHKEM over X25519 or X448 (RFC 7748).

    Attributes:
        low_order: the u coordinates that share the zero point with everybody, as
            integers. Nobody could commit to a group where a member has such a key.
        coordinate_mask: the bits of a key that count.
    """

    low_order: frozenset[int]
    coordinate_mask: int

    @override
    def derive_private(self, ikm: bytes) -> bytes:
        prk = self.kdf.extract(b"", b"dkp_prk", ikm)
        return self.kdf.expand(prk, b"sk", b"", self.private_octets)

    @override
    def check_public(self, octets: bytes) -> bool:
        if len(octets) != self.public_octets:
            return False
        u = int.from_bytes(octets, "little") & self.coordinate_mask
        return u not in self.low_order


@final
class X25519Kem(MontgomeryKem):
    """DHKEM(X25519, HKDF-SHA256)."""

    number = 0x0020
    private_octets = public_octets = enc_octets = 32
    library = hpke.KEM.X25519
    kdf = _kem_kdf(number, "sha256")
    coordinate_mask = (1 << 255) - 1
    _PRIME: ClassVar = (1 << 255) - 19
    low_order = frozenset(
        {
            *(0, 1, _PRIME - 1, _PRIME, _PRIME + 1),
            # the two of order 8
            0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
            0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
        }
    )

    @override
    def load_public(self, octets: bytes) -> x25519.X25519PublicKey:
        try:
            return x25519.X25519PublicKey.from_public_bytes(octets)
        except ValueError:
            raise BadKey(f"{len(octets)} octets are no X25519 key") from None

    @override
    def load_private(self, octets: bytes) -> x25519.X25519PrivateKey:
        try:
            return x25519.X25519PrivateKey.from_private_bytes(octets)
        except ValueError:
            raise BadKey(f"{len(octets)} octets are no X25519 key") from None

    @override
    def generate(self) -> x25519.X25519PrivateKey:
        return x25519.X25519PrivateKey.generate()

    @override
    def public_octets_of(self, private: x25519.X25519PrivateKey) -> bytes:
        return private.public_key().public_bytes_raw()

    @override
    def exchange(
        self, private: x25519.X25519PrivateKey, public: x25519.X25519PublicKey
    ) -> bytes:
        return private.exchange(public)


@final
class X448Kem(MontgomeryKem):
    """DHKEM(X448, HKDF-SHA512), which the library's `hpke.Suite` lacks."""

    number = 0x0021
    private_octets = public_octets = enc_octets = 56
    library = None
    kdf = _kem_kdf(number, "sha512")
    coordinate_mask = (1 << 448) - 1
    _PRIME: ClassVar = (1 << 448) - (1 << 224) - 1
    low_order = frozenset({0, 1, _PRIME - 1, _PRIME, _PRIME + 1})

    @override
    def load_public(self, octets: bytes) -> x448.X448PublicKey:
        try:
            return x448.X448PublicKey.from_public_bytes(octets)
        except ValueError:
            raise BadKey(f"{len(octets)} octets are no X448 key") from None

    @override
    def load_private(self, octets: bytes) -> x448.X448PrivateKey:
        try:
            return x448.X448PrivateKey.from_private_bytes(octets)
        except ValueError:
            raise BadKey(f"{len(octets)} octets are no X448 key") from None

    @override
    def generate(self) -> x448.X448PrivateKey:
        return x448.X448PrivateKey.generate()

    @override
    def public_octets_of(self, private: x448.X448PrivateKey) -> bytes:
        return private.public_key().public_bytes_raw()

    @override
    def exchange(
        self, private: x448.X448PrivateKey, public: x448.X448PublicKey
    ) -> bytes:
        return private.exchange(public)


@final
class CurveKem(DhKem):
    """DHKEM over P-256, P-384 or P-521."""

    def __init__(
        self, number: int, curve: Curve, hash_name: str, library: hpke.KEM
    ) -> None:
        self.number = number
        self.curve = curve
        self.library = library
        self.kdf = _kem_kdf(number, hash_name)
        self.private_octets = curve.size
        self.public_octets = self.enc_octets = curve.point_octets

    @override
    def derive_private(self, ikm: bytes) -> bytes:
        prk = self.kdf.extract(b"", b"dkp_prk", ikm)
        return self.curve.first_scalar(
            lambda counter: self.kdf.expand(
                prk, b"candidate", bytes((counter,)), self.private_octets
            )
        )

    @override
    def load_public(self, octets: bytes) -> ec.EllipticCurvePublicKey:
        return self.curve.load_public(octets)

    @override
    def load_private(self, octets: bytes) -> ec.EllipticCurvePrivateKey:
        return self.curve.load_private(octets)

    @override
    def generate(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(self.curve.curve)

    @override
    def public_octets_of(self, private: ec.EllipticCurvePrivateKey) -> bytes:
        return self.curve.public_octets(private)

    @override
    def exchange(
        self, private: ec.EllipticCurvePrivateKey, public: ec.EllipticCurvePublicKey
    ) -> bytes:
        return private.exchange(ec.ECDH(), public)


@final
class XWing(Kem):
    """ML-KEM-768 and X25519 together (draft-connolly-cfrg-xwing-kem).

    A private key is the seed of both. The library's ML-KEM takes no randomness from
    us, so `ephemeral` decides only the half of X25519.
    """

    number = 0x647A
    private_octets = 32
    public_octets = 1_216
    enc_octets = 1_120
    library = hpke.KEM.MLKEM768_X25519
    _LABEL: ClassVar = bytes.fromhex("5c2e2f2f5e5c")
    _MLKEM_PUBLIC_OCTETS: ClassVar = 1_184
    _MLKEM_ENC_OCTETS: ClassVar = 1_088
    _MLKEM_SEED_OCTETS: ClassVar = 64

    @override
    def derive_private(self, ikm: bytes) -> bytes:
        return hashlib.shake_256(ikm).digest(self.private_octets)

    @override
    def load_public(self, octets: bytes) -> hpke.MLKEM768X25519PublicKey:
        return hpke.MLKEM768X25519PublicKey(*self._publics(octets))

    @override
    def load_private(self, octets: bytes) -> hpke.MLKEM768X25519PrivateKey:
        return hpke.MLKEM768X25519PrivateKey(*self._privates(octets))

    @override
    def check_public(self, octets: bytes) -> bool:
        return super().check_public(octets) and X25519.check_public(
            octets[self._MLKEM_PUBLIC_OCTETS :]
        )

    @override
    def public_of(self, private: bytes) -> bytes:
        lattice, curve = self._privates(private)
        return lattice.public_key().public_bytes_raw() + X25519.public_octets_of(curve)

    @override
    def encapsulate(
        self, public: bytes, ephemeral: bytes | None
    ) -> tuple[bytes, bytes]:
        lattice, curve = self._publics(public)
        if ephemeral is None:
            own = X25519.generate()
        else:
            own = X25519.load_private(X25519.derive_private(ephemeral))
        lattice_secret, lattice_enc = lattice.encapsulate()
        curve_enc = X25519.public_octets_of(own)
        try:
            curve_secret = X25519.exchange(own, curve)
        except ValueError:
            raise BadKey("a public key of low order") from None
        secret = self._combine(
            lattice_secret, curve_secret, curve_enc, public[self._MLKEM_PUBLIC_OCTETS :]
        )
        return secret, lattice_enc + curve_enc

    @override
    def decapsulate(self, private: bytes, enc: bytes) -> bytes:
        lattice, curve = self._privates(private)
        if len(enc) != self.enc_octets:
            raise OpenFailed(f"enc of {len(enc)} octets, not {self.enc_octets}")
        curve_enc = enc[self._MLKEM_ENC_OCTETS :]
        try:
            curve_secret = X25519.exchange(curve, X25519.load_public(curve_enc))
        except ValueError:
            raise OpenFailed("enc is no public key that shares a secret") from None
        lattice_secret = lattice.decapsulate(enc[: self._MLKEM_ENC_OCTETS])
        return self._combine(
            lattice_secret, curve_secret, curve_enc, X25519.public_octets_of(curve)
        )

    def _combine(self, *parts: bytes) -> bytes:
        return hashlib.sha3_256(b"".join((*parts, self._LABEL))).digest()

    def _publics(
        self, octets: bytes
    ) -> tuple[mlkem.MLKEM768PublicKey, x25519.X25519PublicKey]:
        cut = self._MLKEM_PUBLIC_OCTETS
        try:
            lattice = mlkem.MLKEM768PublicKey.from_public_bytes(octets[:cut])
        except ValueError:
            raise BadKey(f"{len(octets)} octets are no X-Wing key") from None
        return lattice, X25519.load_public(octets[cut:])

    def _privates(
        self, octets: bytes
    ) -> tuple[mlkem.MLKEM768PrivateKey, x25519.X25519PrivateKey]:
        if len(octets) != self.private_octets:
            raise BadKey(f"{len(octets)} octets are no X-Wing key")
        cut = self._MLKEM_SEED_OCTETS
        seed = hashlib.shake_256(octets).digest(cut + X25519.private_octets)
        return (
            mlkem.MLKEM768PrivateKey.from_seed_bytes(seed[:cut]),
            X25519.load_private(seed[cut:]),
        )


X25519: Final = X25519Kem()
X448: Final = X448Kem()
P256_KEM: Final = CurveKem(0x0010, P256, "sha256", hpke.KEM.P256)
P384_KEM: Final = CurveKem(0x0011, P384, "sha384", hpke.KEM.P384)
P521_KEM: Final = CurveKem(0x0012, P521, "sha512", hpke.KEM.P521)
XWING: Final = XWing()

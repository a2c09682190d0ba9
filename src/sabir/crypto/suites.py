"""The cipher suites of MLS (RFC 9420 sections 5.1 and 17.1).

A suite is an entry of a table. The seven of the RFC are in `SUITES`; those with
post-quantum keys have no settled numbers, so configuration makes them.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from sabir.crypto import hkdf
from sabir.crypto.errors import OpenFailed
from sabir.crypto.kem import P256_KEM, P384_KEM, P521_KEM, X448, X25519, XWING, Kem
from sabir.crypto.schemes import (
    ECDSA_P256,
    ECDSA_P384,
    ECDSA_P521,
    ED448,
    ED25519,
    SignatureScheme,
)

NONCE_OCTETS: Final = 12
"""`Nn`, the same for every AEAD of MLS."""

_HASHERS: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}
_KDFS: Final = {
    "sha256": (0x0001, hpke.KDF.HKDF_SHA256),
    "sha384": (0x0002, hpke.KDF.HKDF_SHA384),
    "sha512": (0x0003, hpke.KDF.HKDF_SHA512),
}


@dataclass(frozen=True, slots=True, eq=False)
class Aead:
    """An algorithm that encrypts and authenticates.

    Attributes:
        number: in the registry of HPKE.
        name: as in the names of suites.
        key_octets: length of a key (`Nk`).
        cipher: the library's class.
        library: what the library's HPKE calls it.
    """

    number: int
    name: str
    key_octets: int
    cipher: type[AESGCM] | type[ChaCha20Poly1305]
    library: hpke.AEAD


AES_128_GCM: Final = Aead(0x0001, "AES128GCM", 16, AESGCM, hpke.AEAD.AES_128_GCM)
AES_256_GCM: Final = Aead(0x0002, "AES256GCM", 32, AESGCM, hpke.AEAD.AES_256_GCM)
CHACHA20_POLY1305: Final = Aead(
    0x0003, "CHACHA20POLY1305", 32, ChaCha20Poly1305, hpke.AEAD.CHACHA20_POLY1305
)


@dataclass(frozen=True, slots=True, eq=False)
class CipherSuite:
    """One choice of algorithms; compare by `is` or by `number`.

    Attributes:
        number: on the wire.
        name: in the registry of MLS.
        kem: of HPKE.
        aead: of HPKE and of messages.
        hash_name: `sha256`, `sha384` or `sha512`.
        signature: scheme of the members' signatures.
        nh: octets of a hash and of most secrets.
        nk: octets of a key of the AEAD.
        nn: octets of a nonce of the AEAD.
        hpke_id: what the labels of HPKE say (RFC 9180 section 5.1).
        hpke_library: the library's HPKE; None when it lacks the KEM.
    """

    number: int
    name: str
    kem: Kem
    aead: Aead
    hash_name: str
    signature: SignatureScheme
    nh: int = field(init=False)
    nk: int = field(init=False)
    nn: int = field(init=False)
    hpke_id: bytes = field(init=False)
    hpke_library: hpke.Suite | None = field(init=False)
    _hasher: Callable[[bytes], Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        kdf_number, kdf = _KDFS[self.hash_name]
        numbers = (self.kem.number, kdf_number, self.aead.number)
        library = self.kem.library
        derived = {
            "nh": hkdf.NH[self.hash_name],
            "nk": self.aead.key_octets,
            "nn": NONCE_OCTETS,
            "hpke_id": b"HPKE" + b"".join(n.to_bytes(2, "big") for n in numbers),
            "hpke_library": library and hpke.Suite(library, kdf, self.aead.library),
            "_hasher": _HASHERS[self.hash_name],
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def hash(self, data: bytes) -> bytes:
        """Return the hash, `nh` octets."""
        digest: bytes = self._hasher(data).digest()
        return digest

    def mac(self, key: bytes, data: bytes) -> bytes:
        """Return the MAC, `nh` octets: HMAC with the suite's hash."""
        return hmac.digest(key, data, self.hash_name)

    def extract(self, salt: bytes, ikm: bytes) -> bytes:
        """KDF.Extract: `nh` octets."""
        return hkdf.extract(self.hash_name, salt, ikm)

    def expand(self, secret: bytes, info: bytes, length: int) -> bytes:
        """KDF.Expand: `length` octets. Raises `LocalError` beyond 255 hashes."""
        return hkdf.expand(self.hash_name, secret, info, length)

    def aead_seal(
        self, key: bytes, nonce: bytes, plaintext: bytes, aad: bytes
    ) -> bytes:
        """Encrypt; the tag is the last 16 octets."""
        return self.aead.cipher(key).encrypt(nonce, plaintext, aad)

    def aead_open(
        self, key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes
    ) -> bytes:
        """Decrypt.

        Raises:
            OpenFailed: key, nonce, ciphertext and `aad` do not belong together.
        """
        try:
            return self.aead.cipher(key).decrypt(nonce, ciphertext, aad)
        except InvalidTag:
            raise OpenFailed(f"{len(ciphertext)} octets do not open") from None


def _suite(
    number: int,
    kem: tuple[str, Kem],
    aead: Aead,
    hash_name: str,
    signature: tuple[str, SignatureScheme],
) -> CipherSuite:
    """Make an entry; its name follows from its parts (section 17.1)."""
    bits = {"sha256": 128}.get(hash_name, 256)
    name = f"MLS_{bits}_{kem[0]}_{aead.name}_{hash_name.upper()}_{signature[0]}"
    return CipherSuite(number, name, kem[1], aead, hash_name, signature[1])


_X25519: Final = ("DHKEMX25519", X25519)
_X448: Final = ("DHKEMX448", X448)
_ED25519: Final = ("Ed25519", ED25519)
_ED448: Final = ("Ed448", ED448)

SUITES: Final[Mapping[int, CipherSuite]] = MappingProxyType(
    {
        suite.number: suite
        for suite in (
            _suite(1, _X25519, AES_128_GCM, "sha256", _ED25519),
            _suite(
                2, ("DHKEMP256", P256_KEM), AES_128_GCM, "sha256", ("P256", ECDSA_P256)
            ),
            _suite(3, _X25519, CHACHA20_POLY1305, "sha256", _ED25519),
            _suite(4, _X448, AES_256_GCM, "sha512", _ED448),
            _suite(
                5, ("DHKEMP521", P521_KEM), AES_256_GCM, "sha512", ("P521", ECDSA_P521)
            ),
            _suite(6, _X448, CHACHA20_POLY1305, "sha512", _ED448),
            _suite(
                7, ("DHKEMP384", P384_KEM), AES_256_GCM, "sha384", ("P384", ECDSA_P384)
            ),
        )
    }
)
"""The suites of RFC 9420, by number."""


def find_suite(number: int) -> CipherSuite | None:
    """Return the suite of RFC 9420 with this number."""
    return SUITES.get(number)


def xwing_suite(number: int, aead: Aead, hash_name: str) -> CipherSuite:
    """Make a suite with X-Wing and Ed25519, under a number both ends agreed on."""
    return _suite(number, ("XWING", XWING), aead, hash_name, _ED25519)

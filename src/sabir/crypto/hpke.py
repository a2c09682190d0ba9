"""HPKE in mode base, as far as MLS uses it (RFC 9180; RFC 9420 section 5.1.3).

One message per context, empty AAD; and the exporter with empty `info`. The library's
`hpke.Suite` does the first for most suites. What it lacks is here: X448, sealing with
given randomness, DeriveKeyPair, the exporter.
"""

from typing import Final

from cryptography.exceptions import InvalidTag

from sabir.crypto.errors import BadKey, OpenFailed
from sabir.crypto.hkdf import LabeledKdf
from sabir.crypto.suites import CipherSuite

_MODE_BASE: Final = b"\x00"


def derive_key_pair(suite: CipherSuite, ikm: bytes) -> tuple[bytes, bytes]:
    """Return the private and public key that follow from `ikm` (section 7.1.3)."""
    private = suite.kem.derive_private(ikm)
    return private, suite.kem.public_of(private)


def public_of(suite: CipherSuite, private: bytes) -> bytes:
    """Return the public key of a private one.

    Raises:
        BadKey: `private` is no key of the suite's KEM.
    """
    return suite.kem.public_of(private)


def check_public(suite: CipherSuite, public: bytes) -> bool:
    """Say whether this is a public key that one can seal to."""
    return suite.kem.check_public(public)


def seal(
    suite: CipherSuite,
    public: bytes,
    info: bytes,
    plaintext: bytes,
    ephemeral: bytes | None = None,
) -> tuple[bytes, bytes]:
    """Encrypt to the owner of a public key.

    Args:
        suite: which algorithms.
        public: the owner's key.
        info: what both sides know.
        plaintext: what to say.
        ephemeral: `suite.kem.private_octets` random octets; None: the library draws.

    Returns:
        The encapsulated secret (`kem_output`) and the ciphertext.

    Raises:
        BadKey: nobody can seal to `public`.
    """
    if suite.hpke_library is not None and ephemeral is None:
        key = suite.kem.load_public(public)
        try:
            sealed = suite.hpke_library.encrypt(plaintext, key, info=info)
        except ValueError:
            raise BadKey("a public key of low order") from None
        cut = suite.kem.enc_octets
        return sealed[:cut], sealed[cut:]
    shared, enc = suite.kem.encapsulate(public, ephemeral)
    context = _Context(suite, shared, info)
    return enc, suite.aead_seal(*context.key_and_nonce(), plaintext, b"")


def open_(
    suite: CipherSuite, private: bytes, info: bytes, enc: bytes, ciphertext: bytes
) -> bytes:
    """Decrypt what `seal` made.

    Raises:
        OpenFailed: it was sealed to another key or with another `info`, or `enc` is
            malformed.
        BadKey: `private` is no key of the suite's KEM.
    """
    if suite.hpke_library is not None:
        key = suite.kem.load_private(private)
        if len(enc) != suite.kem.enc_octets:  # else the cut could move
            raise OpenFailed(f"enc of {len(enc)} octets, not {suite.kem.enc_octets}")
        try:
            return suite.hpke_library.decrypt(enc + ciphertext, key, info=info)
        except InvalidTag:
            raise OpenFailed(f"{len(ciphertext)} octets do not open") from None
    context = _Context(suite, suite.kem.decapsulate(private, enc), info)
    return suite.aead_open(*context.key_and_nonce(), ciphertext, b"")


def export_send(
    suite: CipherSuite, public: bytes, label: bytes, length: int, ephemeral: bytes
) -> tuple[bytes, bytes]:
    """Share a fresh secret with the owner of a public key.

    Args:
        suite: which algorithms.
        public: the owner's key.
        label: what the secret is for (`exporter_context`).
        length: of the secret.
        ephemeral: `suite.kem.private_octets` random octets.

    Returns:
        The encapsulated secret (`kem_output`), and the secret.

    Raises:
        BadKey: nobody can share a secret with `public`.
    """
    shared, enc = suite.kem.encapsulate(public, ephemeral)
    return enc, _Context(suite, shared, b"").export(label, length)


def export_receive(
    suite: CipherSuite, private: bytes, enc: bytes, label: bytes, length: int
) -> bytes:
    """Return the secret that `export_send` shared.

    Raises:
        OpenFailed: `enc` is malformed.
        BadKey: `private` is no key of the suite's KEM.
    """
    shared = suite.kem.decapsulate(private, enc)
    return _Context(suite, shared, b"").export(label, length)


class _Context:
    """The key schedule of mode base (section 5.1)."""

    __slots__ = ("_context", "_kdf", "_prk", "_suite")

    def __init__(self, suite: CipherSuite, shared: bytes, info: bytes) -> None:
        self._suite = suite
        self._kdf = kdf = LabeledKdf(suite.hash_name, suite.hpke_id)
        psk_id_hash = kdf.extract(b"", b"psk_id_hash", b"")
        info_hash = kdf.extract(b"", b"info_hash", info)
        self._context = _MODE_BASE + psk_id_hash + info_hash
        self._prk = kdf.extract(shared, b"secret", b"")

    def key_and_nonce(self) -> tuple[bytes, bytes]:
        """Return what the first message is encrypted with."""
        suite = self._suite
        return (
            self._kdf.expand(self._prk, b"key", self._context, suite.nk),
            self._kdf.expand(self._prk, b"base_nonce", self._context, suite.nn),
        )

    def export(self, label: bytes, length: int) -> bytes:
        """Return a secret beside the messages (section 5.3)."""
        exporter = self._kdf.expand(self._prk, b"exp", self._context, self._kdf.nh)
        return self._kdf.expand(exporter, b"sec", label, length)

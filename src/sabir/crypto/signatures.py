"""Signing and checking under a suite, with loaded keys kept for a while."""

from functools import lru_cache
from typing import Any, Final

from sabir.crypto.errors import BadKey
from sabir.crypto.schemes import SignatureScheme
from sabir.crypto.suites import CipherSuite

PUBLIC_KEYS_KEPT_MAX: Final = 512
"""Those who speak in a busy group. Loading again costs 3 us (Ed25519) to 200 us."""
PRIVATE_KEYS_KEPT_MAX: Final = 16
"""Our own signature keys: one a client. They live for months, so keeping them here
shows an attacker nothing that the client's store would not."""

_PROBE: Final = b"sabir: do these keys belong together?"
"""What MLS signs begins with `MLS 1.0 ` behind a length: never with these octets."""


@lru_cache(maxsize=PUBLIC_KEYS_KEPT_MAX)
def _public(scheme: SignatureScheme, octets: bytes) -> Any:
    return scheme.load_public(octets)


@lru_cache(maxsize=PRIVATE_KEYS_KEPT_MAX)
def _private(scheme: SignatureScheme, octets: bytes) -> Any:
    return scheme.load_private(octets)


def sign(suite: CipherSuite, private: bytes, message: bytes) -> bytes:
    """Sign a message; the same key and message give the same signature.

    Raises:
        BadKey: `private` is no key of the suite's scheme.
    """
    scheme = suite.signature
    return scheme.sign(_private(scheme, private), message)


def verify(suite: CipherSuite, public: bytes, message: bytes, signature: bytes) -> bool:
    """Check a signature; False also for what is no key."""
    scheme = suite.signature
    try:
        key = _public(scheme, public)
    except BadKey:
        return False
    return scheme.verify(key, message, signature)


def signature_key_pair(suite: CipherSuite, seed: bytes) -> tuple[bytes, bytes]:
    """Make a private and a public key from `suite.signature.private_octets` octets.

    Raises:
        BadKey: the seed has another length.
    """
    return suite.signature.key_pair(seed)


def is_signature_key_pair(suite: CipherSuite, private: bytes, public: bytes) -> bool:
    """Say whether what one key signs is right by the other."""
    try:
        signature = sign(suite, private, _PROBE)
    except BadKey:
        return False
    return verify(suite, public, _PROBE, signature)


def check_public_key(suite: CipherSuite, public: bytes) -> bool:
    """Say whether this is a public key under which a signature means something."""
    try:
        suite.signature.load_public(public)
    except BadKey:
        return False
    return True

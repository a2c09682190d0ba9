"""The labelled functions of MLS (RFC 9420 sections 5.1.2, 5.1.3, 5.2, 8 and 9.1).

A label is given without the `MLS 1.0 ` in front, which is added here and nowhere
else; only `ref_hash` takes its label whole, as the RFC writes it. What stands before
the context is built once for each label.
"""

from functools import lru_cache
from typing import Final

from sabir.crypto import hpke, signatures
from sabir.crypto.suites import CipherSuite
from sabir.errors import LocalError
from sabir.wire.tls import opaque, varint

_PREFIX: Final = b"MLS 1.0 "
_LABELS_KEPT_MAX: Final = 256
"""The RFC has about thirty; the rest is for the labels of exporters."""
_LENGTH_MAX: Final = 0xFFFF
"""The length in KDFLabel is a uint16."""


@lru_cache(maxsize=_LABELS_KEPT_MAX)
def _label(label: bytes) -> bytes:
    return opaque(_PREFIX + label)


@lru_cache(maxsize=_LABELS_KEPT_MAX)
def _kdf_head(label: bytes, length: int) -> bytes:
    """Return KDFLabel up to its context."""
    if length > _LENGTH_MAX:
        raise LocalError(f"a secret of {length} octets, at most {_LENGTH_MAX}")
    return length.to_bytes(2, "big") + _label(label)


def expand_with_label(
    suite: CipherSuite, secret: bytes, label: bytes, context: bytes, length: int
) -> bytes:
    """ExpandWithLabel: `length` octets.

    Raises:
        LocalError: more octets than 255 hashes of the suite, or than a uint16 says.
    """
    info = _kdf_head(label, length) + varint(len(context)) + context
    return suite.expand(secret, info, length)


def derive_secret(suite: CipherSuite, secret: bytes, label: bytes) -> bytes:
    """DeriveSecret: `nh` octets."""
    return expand_with_label(suite, secret, label, b"", suite.nh)


def derive_tree_secret(
    suite: CipherSuite, secret: bytes, label: bytes, generation: int, length: int
) -> bytes:
    """DeriveTreeSecret: `length` octets for a generation below 2**32."""
    context = generation.to_bytes(4, "big")
    return expand_with_label(suite, secret, label, context, length)


def sign_with_label(
    suite: CipherSuite, private: bytes, label: bytes, content: bytes
) -> bytes:
    """SignWithLabel. Raises `BadKey`."""
    return signatures.sign(suite, private, _label(label) + opaque(content))


def verify_with_label(
    suite: CipherSuite, public: bytes, label: bytes, content: bytes, signature: bytes
) -> bool:
    """VerifyWithLabel; False also for what is no key."""
    return signatures.verify(suite, public, _label(label) + opaque(content), signature)


def encrypt_with_label(
    suite: CipherSuite,
    public: bytes,
    label: bytes,
    context: bytes,
    plaintext: bytes,
    ephemeral: bytes | None = None,
) -> tuple[bytes, bytes]:
    """EncryptWithLabel: `kem_output` and ciphertext. `hpke.seal` says the rest."""
    info = _label(label) + opaque(context)
    return hpke.seal(suite, public, info, plaintext, ephemeral)


def decrypt_with_label(
    suite: CipherSuite,
    private: bytes,
    label: bytes,
    context: bytes,
    enc: bytes,
    ciphertext: bytes,
) -> bytes:
    """DecryptWithLabel. Raises `OpenFailed` and `BadKey`."""
    info = _label(label) + opaque(context)
    return hpke.open_(suite, private, info, enc, ciphertext)


def ref_hash(suite: CipherSuite, label: bytes, value: bytes) -> bytes:
    """RefHash: the name of a value, `nh` octets. The label is the whole one."""
    return suite.hash(opaque(label) + opaque(value))

"""That the octets are right is shown by the vectors; here is the rest."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.crypto.errors import OpenFailed
from sabir.crypto.hpke import derive_key_pair
from sabir.crypto.labels import (
    _kdf_head,
    _label,
    decrypt_with_label,
    derive_secret,
    derive_tree_secret,
    encrypt_with_label,
    expand_with_label,
    ref_hash,
    sign_with_label,
    verify_with_label,
)
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.errors import LocalError
from sabir.wire.tls import opaque, uint16

SUITE = SUITES[1]


@given(st.binary(max_size=300), st.binary(max_size=20_000), st.integers(1, 8_160))
def test_the_label_is_that_of_the_rfc(
    label: bytes, context: bytes, length: int
) -> None:
    info = uint16(length) + opaque(b"MLS 1.0 " + label) + opaque(context)
    made = expand_with_label(SUITE, bytes(32), label, context, length)
    assert len(made) == length
    assert made[:32] == hmac.digest(bytes(32), info + b"\x01", "sha256")[:length]


def test_too_long_secrets_are_refused() -> None:
    with pytest.raises(LocalError):
        expand_with_label(SUITE, bytes(32), b"label", b"", 255 * 32 + 1)
    with pytest.raises(LocalError, match="65535"):
        expand_with_label(SUITE, bytes(32), b"label", b"", 0x1_0000)


def test_each_generation_has_its_secret() -> None:
    secrets = {
        derive_tree_secret(SUITE, bytes(32), b"key", generation, 16)
        for generation in (0, 1, 0xFFFF_FFFF)
    }
    assert len(secrets) == 3


def test_a_label_binds_a_signature() -> None:
    private, public = signature_key_pair(SUITE, bytes(32))
    signature = sign_with_label(SUITE, private, b"one", b"content")
    assert verify_with_label(SUITE, public, b"one", b"content", signature)
    assert not verify_with_label(SUITE, public, b"two", b"content", signature)
    assert not verify_with_label(SUITE, b"", b"one", b"content", signature)


def test_a_label_binds_a_ciphertext() -> None:
    private, public = derive_key_pair(SUITE, bytes(32))
    sealed = encrypt_with_label(SUITE, public, b"one", b"context", b"text")
    opened = decrypt_with_label(SUITE, private, b"one", b"context", *sealed)
    assert opened == b"text"
    for label, context in ((b"two", b"context"), (b"one", b"other")):
        with pytest.raises(OpenFailed):
            decrypt_with_label(SUITE, private, label, context, *sealed)


def test_derive_secret_has_no_context() -> None:
    expanded = expand_with_label(SUITE, bytes(32), b"label", b"", SUITE.nh)
    assert derive_secret(SUITE, bytes(32), b"label") == expanded


def test_a_reference_has_its_label_whole() -> None:
    label = b"MLS 1.0 KeyPackage Reference"
    assert ref_hash(SUITE, label, b"value") == SUITE.hash(
        opaque(label) + opaque(b"value")
    )


def test_labels_of_others_do_not_fill_memory() -> None:
    for number in range(1_000):
        expand_with_label(SUITE, bytes(32), b"exporter %d" % number, b"", 32)
    assert _label.cache_info().currsize <= 256
    assert _kdf_head.cache_info().currsize <= 256

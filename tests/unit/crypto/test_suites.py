import hashlib
import hmac

import pytest

from sabir.crypto.errors import OpenFailed
from sabir.crypto.suites import (
    AES_256_GCM,
    CHACHA20_POLY1305,
    SUITES,
    CipherSuite,
    find_suite,
    xwing_suite,
)
from sabir.errors import LocalError

NAMES = {
    1: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
    2: "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
    3: "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
    4: "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448",
    5: "MLS_256_DHKEMP521_AES256GCM_SHA512_P521",
    6: "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448",
    7: "MLS_256_DHKEMP384_AES256GCM_SHA384_P384",
}
ALL = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)


def test_the_table_is_that_of_rfc_9420() -> None:
    assert {number: suite.name for number, suite in SUITES.items()} == NAMES
    table = [
        (s.kem.number, s.nh, s.nk, s.kem.public_octets, s.signature.name)
        for s in SUITES.values()
    ]
    assert table == [
        (0x0020, 32, 16, 32, "ed25519"),
        (0x0010, 32, 16, 65, "ecdsa_secp256r1_sha256"),
        (0x0020, 32, 32, 32, "ed25519"),
        (0x0021, 64, 32, 56, "ed448"),
        (0x0012, 64, 32, 133, "ecdsa_secp521r1_sha512"),
        (0x0021, 64, 32, 56, "ed448"),
        (0x0011, 48, 32, 97, "ecdsa_secp384r1_sha384"),
    ]
    assert {suite.nn for suite in SUITES.values()} == {12}


def test_unknown_numbers_have_no_suite() -> None:
    assert find_suite(1) is SUITES[1]
    assert find_suite(0) is None
    assert find_suite(0x004D) is None


def test_post_quantum_suites_are_made_with_a_number() -> None:
    suite = xwing_suite(0xFB00, CHACHA20_POLY1305, "sha256")
    assert suite.name == "MLS_128_XWING_CHACHA20POLY1305_SHA256_Ed25519"
    assert suite.number == 0xFB00
    assert suite.kem.public_octets == 1_216
    assert xwing_suite(1, AES_256_GCM, "sha512").name.startswith("MLS_256_XWING_AES")


@ALL
def test_hash_and_mac_are_those_of_the_name(suite: CipherSuite) -> None:
    assert suite.hash(b"data") == hashlib.new(suite.hash_name, b"data").digest()
    tag = suite.mac(b"key", b"data")
    assert tag == hmac.digest(b"key", b"data", suite.hash_name)
    assert len(tag) == suite.nh


@ALL
def test_extract_and_expand_are_hkdf(suite: CipherSuite) -> None:
    prk = suite.extract(b"salt", b"ikm")
    assert prk == hmac.digest(b"salt", b"ikm", suite.hash_name)
    first = hmac.digest(prk, b"info\x01", suite.hash_name)
    assert suite.expand(prk, b"info", suite.nh + 1)[: suite.nh] == first
    with pytest.raises(LocalError):
        suite.expand(prk, b"", 255 * suite.nh + 1)


@ALL
def test_only_what_was_sealed_opens(suite: CipherSuite) -> None:
    key, nonce = bytes(suite.nk), bytes(suite.nn)
    sealed = suite.aead_seal(key, nonce, b"text", b"aad")
    assert len(sealed) == len(b"text") + 16
    assert suite.aead_open(key, nonce, sealed, b"aad") == b"text"
    for wrong in (
        (b"\x01" * suite.nk, nonce, sealed, b"aad"),
        (key, b"\x01" * suite.nn, sealed, b"aad"),
        (key, nonce, sealed[:-1], b"aad"),
        (key, nonce, b"", b"aad"),
        (key, nonce, sealed, b""),
    ):
        with pytest.raises(OpenFailed):
            suite.aead_open(*wrong)

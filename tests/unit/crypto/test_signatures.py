import pytest

from sabir.crypto import signatures
from sabir.crypto.errors import BadKey
from sabir.crypto.suites import SUITES, CipherSuite

ALL = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)


@ALL
def test_sign_and_verify(suite: CipherSuite) -> None:
    seed = bytes(range(suite.signature.private_octets))
    private, public = signatures.signature_key_pair(suite, seed)
    signature = signatures.sign(suite, private, b"message")
    assert signatures.verify(suite, public, b"message", signature)
    assert not signatures.verify(suite, public, b"other", signature)
    assert signatures.check_public_key(suite, public)


@ALL
def test_the_halves_of_two_pairs_are_no_pair(suite: CipherSuite) -> None:
    size = suite.signature.private_octets
    private, public = signatures.signature_key_pair(suite, bytes(range(size)))
    other, _ = signatures.signature_key_pair(suite, bytes(range(1, size + 1)))
    assert signatures.is_signature_key_pair(suite, private, public)
    assert not signatures.is_signature_key_pair(suite, other, public)
    assert not signatures.is_signature_key_pair(suite, b"", public)
    assert not signatures.is_signature_key_pair(suite, private, b"")


@ALL
def test_what_is_no_key_verifies_nothing(suite: CipherSuite) -> None:
    for wrong in (b"", bytes(suite.signature.public_octets)):
        assert not signatures.check_public_key(suite, wrong)
        assert not signatures.verify(suite, wrong, b"message", b"signature")
    with pytest.raises(BadKey):
        signatures.sign(suite, b"", b"message")
    with pytest.raises(BadKey):
        signatures.signature_key_pair(suite, b"")


def test_one_key_octets_under_two_schemes_are_two_keys() -> None:
    private, public = signatures.signature_key_pair(SUITES[1], bytes(32))
    signature = signatures.sign(SUITES[1], private, b"message")
    assert signatures.verify(SUITES[3], public, b"message", signature)
    assert not signatures.verify(SUITES[2], public, b"message", signature)


def test_the_caches_are_bounded() -> None:
    for number in range(signatures.PUBLIC_KEYS_KEPT_MAX + 50):
        public = (number + 2).to_bytes(32, "little")
        signatures.verify(SUITES[1], public, b"message", bytes(64))
    assert signatures._public.cache_info().currsize == signatures.PUBLIC_KEYS_KEPT_MAX
    for number in range(signatures.PRIVATE_KEYS_KEPT_MAX + 5):
        signatures.sign(SUITES[1], number.to_bytes(32, "little"), b"message")
    assert signatures._private.cache_info().currsize == signatures.PRIVATE_KEYS_KEPT_MAX

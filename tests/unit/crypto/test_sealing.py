"""What is sealed opens with its own key in its own place, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.crypto.sealing import (
    KEY_OCTETS,
    NONCE_OCTETS,
    PLAINTEXT_OCTETS_MAX,
    KeyDoesNotFit,
    SealBroken,
    open_sealed,
    seal,
)
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, LocalError, StorageFailed

KEY = Secret(bytes(range(KEY_OCTETS)))
OTHER_KEY = Secret(bytes(KEY_OCTETS))
NONCE = bytes(range(NONCE_OCTETS))
CANARY = b"canary-token-41f7"

keys = st.binary(min_size=KEY_OCTETS, max_size=KEY_OCTETS).map(Secret)
nonces = st.binary(min_size=NONCE_OCTETS, max_size=NONCE_OCTETS)


@given(key=keys, plaintext=st.binary(), context=st.binary(), nonce=nonces)
def test_what_is_sealed_opens_with_the_same_key_and_context(
    key: Secret, plaintext: bytes, context: bytes, nonce: bytes
) -> None:
    sealed = seal(key, plaintext, context=context, nonce=nonce)
    assert open_sealed(key, sealed, context=context).ct_equal(plaintext)


def test_the_format_of_version_1_stays_readable() -> None:
    frozen = bytes.fromhex(
        "01c74ecfdc8f28a12a000102030405060708090a0b"
        "2463b87ab79cef6fe22af2e59cdd490bb4a938339dcd9366430ab097e94e2e8b03"
    )
    assert seal(KEY, CANARY, context=b"matrix/token", nonce=NONCE) == frozen
    assert open_sealed(KEY, frozen, context=b"matrix/token").ct_equal(CANARY)


def test_the_plaintext_does_not_stand_in_what_is_stored() -> None:
    assert CANARY not in seal(KEY, CANARY, context=b"c", nonce=NONCE)


def test_a_wrong_key_is_told_from_damage_and_names_the_way_out() -> None:
    sealed = seal(KEY, CANARY, context=b"c", nonce=NONCE)
    with pytest.raises(KeyDoesNotFit) as caught:
        open_sealed(OTHER_KEY, sealed, context=b"c")
    assert isinstance(caught.value, ConfigInvalid)
    said = caught.value.diagnostics()
    assert "key file does not fit the database" in said
    assert "put back the key" in said


@given(at=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_no_damaged_octet_goes_unnoticed(at: int, flip: int) -> None:
    sealed = bytearray(seal(KEY, CANARY, context=b"c", nonce=NONCE))
    sealed[at % len(sealed)] ^= flip
    with pytest.raises((SealBroken, KeyDoesNotFit)) as caught:
        open_sealed(KEY, bytes(sealed), context=b"c")
    assert CANARY.decode() not in str(caught.value)


@given(length=st.integers(min_value=0, max_value=53))
def test_a_cut_secret_is_broken_not_a_crash(length: int) -> None:
    sealed = seal(KEY, CANARY, context=b"c", nonce=NONCE)
    assert length < len(sealed)
    with pytest.raises(SealBroken, match="backup"):
        open_sealed(KEY, sealed[:length], context=b"c")


def test_a_secret_cannot_be_moved_to_another_account() -> None:
    sealed = seal(KEY, CANARY, context=b"matrix/token", nonce=NONCE)
    with pytest.raises(SealBroken, match="another place") as caught:
        open_sealed(KEY, sealed, context=b"xmpp/token")
    assert isinstance(caught.value, StorageFailed)


def test_a_newer_format_asks_for_a_newer_sabir() -> None:
    sealed = bytearray(seal(KEY, CANARY, context=b"c", nonce=NONCE))
    sealed[0] = 2
    with pytest.raises(SealBroken, match="newer"):
        open_sealed(KEY, bytes(sealed), context=b"c")


def test_a_key_of_the_wrong_length_is_our_own_mistake() -> None:
    with pytest.raises(LocalError, match="32 octets, not 16"):
        seal(Secret(bytes(16)), b"", context=b"", nonce=NONCE)
    with pytest.raises(LocalError, match="32 octets, not 16"):
        open_sealed(Secret(bytes(16)), bytes(99), context=b"")


def test_a_nonce_of_the_wrong_length_is_our_own_mistake() -> None:
    with pytest.raises(LocalError, match="12 octets, not 16"):
        seal(KEY, b"", context=b"", nonce=bytes(16))


def test_the_largest_secret_fits_and_one_octet_more_does_not() -> None:
    largest = bytes(PLAINTEXT_OCTETS_MAX)
    sealed = seal(KEY, largest, context=b"", nonce=NONCE)
    assert open_sealed(KEY, sealed, context=b"").ct_equal(largest)
    with pytest.raises(LocalError, match="larger than"):
        seal(KEY, largest + b"x", context=b"", nonce=NONCE)

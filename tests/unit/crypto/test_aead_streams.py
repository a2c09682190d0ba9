"""AES-GCM in pieces is AES-GCM."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from sabir.crypto.aead_streams import GcmOpener, GcmSealer
from sabir.crypto.errors import BadKey, OpenFailed

KEYS = st.sampled_from([16, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n))
NONCES = st.binary(min_size=12, max_size=12)
PIECES = st.lists(st.binary(max_size=40), max_size=8)


@given(KEYS, NONCES, st.binary(max_size=20), PIECES)
def test_pieces_are_sealed_as_the_whole_is(
    key: bytes, nonce: bytes, aad: bytes, pieces: list[bytes]
) -> None:
    sealer = GcmSealer(key, nonce, aad)
    sealed = b"".join(map(sealer.update, pieces)) + sealer.finish()
    assert sealed == AESGCM(key).encrypt(nonce, b"".join(pieces), aad)


@given(KEYS, NONCES, st.binary(max_size=20), st.binary(max_size=99), st.data())
def test_what_was_sealed_opens_however_it_is_cut(
    key: bytes, nonce: bytes, aad: bytes, plaintext: bytes, data: st.DataObject
) -> None:
    sealed = AESGCM(key).encrypt(nonce, plaintext, aad)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sealed)), max_size=5)))
    opener = GcmOpener(key, nonce, aad)
    opened = b"".join(
        opener.update(sealed[a:b])
        for a, b in zip([0, *cuts], [*cuts, len(sealed)], strict=True)
    )
    opener.finish()
    assert opened == plaintext


@given(st.binary(max_size=40), st.data())
def test_any_changed_bit_is_noticed(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(AESGCM(bytes(16)).encrypt(bytes(12), plaintext, b""))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    opener = GcmOpener(bytes(16), bytes(12))
    opener.update(bytes(sealed))
    with pytest.raises(OpenFailed):
        opener.finish()


def test_what_is_shorter_than_a_tag_does_not_open() -> None:
    opener = GcmOpener(bytes(16), bytes(12))
    assert opener.update(bytes(15)) == b""
    with pytest.raises(OpenFailed):
        opener.finish()


@pytest.mark.parametrize(("key", "nonce"), [(24, 12), (0, 12), (16, 11), (16, 16)])
def test_keys_and_nonces_have_their_length(key: int, nonce: int) -> None:
    for kind in (GcmSealer, GcmOpener):
        with pytest.raises(BadKey):
            kind(bytes(key), bytes(nonce))

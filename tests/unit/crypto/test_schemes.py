import pytest

from sabir.crypto.errors import BadKey
from sabir.crypto.schemes import (
    ECDSA_P256,
    ECDSA_P384,
    ECDSA_P521,
    ED448,
    ED25519,
    EdwardsScheme,
    SignatureScheme,
)

ALL = pytest.mark.parametrize(
    "scheme",
    [ED25519, ED448, ECDSA_P256, ECDSA_P384, ECDSA_P521],
    ids=lambda scheme: scheme.name,
)
EDWARDS = pytest.mark.parametrize(
    "scheme", [ED25519, ED448], ids=lambda scheme: scheme.name
)


@ALL
def test_a_signature_fits_its_message_and_key_only(scheme: SignatureScheme) -> None:
    private, public = scheme.key_pair(bytes(range(scheme.private_octets)))
    _, other = scheme.key_pair(bytes(scheme.private_octets))
    assert (len(private), len(public)) == (scheme.private_octets, scheme.public_octets)
    signature = scheme.sign(scheme.load_private(private), b"message")
    assert scheme.verify(scheme.load_public(public), b"message", signature)
    assert not scheme.verify(scheme.load_public(public), b"other", signature)
    assert not scheme.verify(scheme.load_public(other), b"message", signature)
    for wrong in (b"", signature[:-1], signature + b"\x00", bytes(len(signature))):
        assert not scheme.verify(scheme.load_public(public), b"message", wrong)


@ALL
def test_the_same_seed_and_message_give_the_same_octets(
    scheme: SignatureScheme,
) -> None:
    seed = bytes(range(scheme.private_octets))
    assert scheme.key_pair(seed) == scheme.key_pair(seed)
    private = scheme.load_private(scheme.key_pair(seed)[0])
    assert scheme.sign(private, b"message") == scheme.sign(private, b"message")


@ALL
def test_keys_and_seeds_of_other_lengths_are_refused(scheme: SignatureScheme) -> None:
    private, public = scheme.key_pair(bytes(range(scheme.private_octets)))
    for wrong in (b"", public[:-1], public + b"\x00"):
        with pytest.raises(BadKey):
            scheme.load_public(wrong)
    for wrong in (b"", private[:-1], private + b"\x00"):
        with pytest.raises(BadKey):
            scheme.load_private(wrong)
        with pytest.raises(BadKey):
            scheme.key_pair(wrong)


@EDWARDS
def test_a_key_under_which_everything_is_signed_is_no_key(
    scheme: EdwardsScheme,
) -> None:
    sign_bit = 1 << (8 * scheme.public_octets - 1)
    for y in scheme.low_order:
        for octets in (y, y | sign_bit):
            with pytest.raises(BadKey):
                scheme.load_public(octets.to_bytes(scheme.public_octets, "little"))


def test_such_a_key_would_take_a_signature_of_nobody() -> None:
    """The reason for the list: under the neutral point, (R, 0) with R neutral fits."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    neutral = (1).to_bytes(32, "little")
    key = Ed25519PublicKey.from_public_bytes(neutral)
    assert ED25519.verify(key, b"anything", neutral + bytes(32))

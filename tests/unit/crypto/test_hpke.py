import pytest

from sabir.crypto import hpke
from sabir.crypto.errors import BadKey, OpenFailed
from sabir.crypto.suites import AES_256_GCM, SUITES, CipherSuite, xwing_suite

ALL = pytest.mark.parametrize(
    "suite",
    [*SUITES.values(), xwing_suite(0xFB00, AES_256_GCM, "sha512")],
    ids=lambda suite: suite.name,
)
LABEL = b"MLS 1.0 external init secret"


def pair(suite: CipherSuite, seed: int = 1) -> tuple[bytes, bytes]:
    return hpke.derive_key_pair(suite, bytes([seed]) * suite.nh)


def ephemeral(suite: CipherSuite) -> bytes:
    return bytes(range(suite.kem.private_octets))


@ALL
def test_what_was_sealed_opens(suite: CipherSuite) -> None:
    private, public = pair(suite)
    assert hpke.public_of(suite, private) == public
    assert hpke.check_public(suite, public)
    for given in (None, ephemeral(suite)):
        enc, ciphertext = hpke.seal(suite, public, b"info", b"text", given)
        assert len(enc) == suite.kem.enc_octets
        assert hpke.open_(suite, private, b"info", enc, ciphertext) == b"text"


@ALL
def test_nothing_else_opens(suite: CipherSuite) -> None:
    private, public = pair(suite)
    other, _ = pair(suite, 2)
    enc, ciphertext = hpke.seal(suite, public, b"info", b"text")
    for wrong in (
        (other, b"info", enc, ciphertext),
        (private, b"other", enc, ciphertext),
        (private, b"info", enc, ciphertext[:-1]),
        (private, b"info", enc, b""),
        (private, b"info", enc[:-1], enc[-1:] + ciphertext),
        (private, b"info", enc + ciphertext[:1], ciphertext[1:]),
        (private, b"info", b"", ciphertext),
        (private, b"info", bytes(len(enc)), ciphertext),
    ):
        with pytest.raises(OpenFailed):
            hpke.open_(suite, *wrong)


@ALL
def test_bad_keys_are_told_apart_from_bad_ciphertexts(suite: CipherSuite) -> None:
    _, public = pair(suite)
    enc, ciphertext = hpke.seal(suite, public, b"", b"text")
    with pytest.raises(BadKey):
        hpke.open_(suite, b"", b"", enc, ciphertext)
    with pytest.raises(BadKey):
        hpke.public_of(suite, b"")
    for given in (None, ephemeral(suite)):
        with pytest.raises(BadKey):
            hpke.seal(suite, public[:-1], b"", b"text", given)
        with pytest.raises(BadKey):
            hpke.seal(suite, bytes(len(public)), b"", b"text", given)
    assert not hpke.check_public(suite, bytes(len(public)))


@ALL
def test_both_sides_export_one_secret(suite: CipherSuite) -> None:
    private, public = pair(suite)
    for length in (suite.nh, 3 * suite.nh):
        enc, secret = hpke.export_send(suite, public, LABEL, length, ephemeral(suite))
        assert len(secret) == length
        got = hpke.export_receive(suite, private, enc, LABEL, length)
        assert got == secret
        assert hpke.export_receive(suite, private, enc, b"other", length) != secret


@ALL
def test_nothing_is_exported_with_bad_keys(suite: CipherSuite) -> None:
    private, public = pair(suite)
    enc, _ = hpke.export_send(suite, public, LABEL, suite.nh, ephemeral(suite))
    with pytest.raises(OpenFailed):
        hpke.export_receive(suite, private, enc[:-1], LABEL, suite.nh)
    with pytest.raises(BadKey):
        hpke.export_receive(suite, private[:-1], enc, LABEL, suite.nh)
    with pytest.raises(BadKey):
        hpke.export_send(suite, enc[:-1], LABEL, suite.nh, ephemeral(suite))


def test_given_randomness_gives_the_same_octets() -> None:
    for suite in SUITES.values():
        _, public = pair(suite)
        first, second = (
            hpke.seal(suite, public, b"info", b"text", ephemeral(suite))
            for _ in range(2)
        )
        assert first == second


@pytest.mark.parametrize(
    ("context", "exported"),
    [
        ("", "3853fe2b4035195a573ffc53856e77058e15d9ea064de3e59f4961d0095250ee"),
        ("00", "2e8f0b54673c7029649d4eb9d5e33bf1872cf76d623ff164ac185da9e88c21a5"),
        (
            "54657374436f6e74657874",
            "e9e43065102c3836401bed8c3c3c75ae46be1639869391d62c61f1ec7af54931",
        ),
    ],
)
def test_the_key_schedule_is_that_of_rfc_9180(context: str, exported: str) -> None:
    """Appendix A.1.1: mode base, X25519, HKDF-SHA256, AES-128-GCM."""
    shared = bytes.fromhex(
        "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc"
    )
    made = hpke._Context(SUITES[1], shared, b"Ode on a Grecian Urn")
    key, nonce = made.key_and_nonce()
    assert key.hex() == "4531685d41d65f03dc48f6b8302c05b0"
    assert nonce.hex() == "56d890e5accaaf011cff4b7d"
    assert made.export(bytes.fromhex(context), 32).hex() == exported

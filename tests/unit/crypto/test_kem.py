import hashlib

import pytest
from cryptography.hazmat.primitives import hpke

from sabir.crypto.errors import BadKey, OpenFailed
from sabir.crypto.kem import (
    P256_KEM,
    P384_KEM,
    P521_KEM,
    X448,
    X25519,
    XWING,
    Kem,
    MontgomeryKem,
)

KEMS = pytest.mark.parametrize(
    "kem",
    [X25519, X448, P256_KEM, P384_KEM, P521_KEM, XWING],
    ids=lambda kem: f"0x{kem.number:04X}",
)
MONTGOMERY = pytest.mark.parametrize("kem", [X25519, X448], ids=["X25519", "X448"])


def pair(kem: Kem, seed: int = 1) -> tuple[bytes, bytes]:
    private = kem.derive_private(bytes([seed]) * kem.private_octets)
    return private, kem.public_of(private)


@KEMS
def test_both_sides_share_a_secret(kem: Kem) -> None:
    private, public = pair(kem)
    assert len(private) == kem.private_octets
    assert len(public) == kem.public_octets
    for ephemeral in (None, bytes(kem.private_octets)):
        secret, enc = kem.encapsulate(public, ephemeral)
        assert len(enc) == kem.enc_octets
        assert kem.decapsulate(private, enc) == secret
        other, _ = pair(kem, 2)
        assert kem.decapsulate(other, enc) != secret


@KEMS
def test_given_randomness_decides_all_that_is_not_a_lattice(kem: Kem) -> None:
    _, public = pair(kem)
    first, second = (
        kem.encapsulate(public, bytes(kem.private_octets))[1] for _ in range(2)
    )
    assert first[-32:] == second[-32:]
    assert (first == second) is (kem is not XWING)
    assert kem.encapsulate(public, None)[1] != kem.encapsulate(public, None)[1]


@KEMS
def test_keys_of_other_lengths_are_refused(kem: Kem) -> None:
    private, public = pair(kem)
    for octets in (b"", public[:-1], public + b"\x00"):
        assert not kem.check_public(octets)
        with pytest.raises(BadKey):
            kem.encapsulate(octets, None)
        with pytest.raises(OpenFailed):
            kem.decapsulate(private, octets[: kem.enc_octets - 1])
    for octets in (b"", private[:-1], private + b"\x00"):
        with pytest.raises(BadKey):
            kem.public_of(octets)
        with pytest.raises(BadKey):
            kem.decapsulate(octets, public)
    assert kem.check_public(public)


def low_order(kem: MontgomeryKem) -> list[bytes]:
    octets = [u.to_bytes(kem.public_octets, "little") for u in sorted(kem.low_order)]
    if kem is X25519:  # the last bit means nothing (RFC 7748 section 5)
        octets += [low[:-1] + bytes([low[-1] | 0x80]) for low in octets]
    return octets


@MONTGOMERY
def test_keys_of_low_order_are_no_keys(kem: MontgomeryKem) -> None:
    private, public = pair(kem)
    assert kem.check_public(public)
    for octets in low_order(kem):
        assert not kem.check_public(octets)
        with pytest.raises(BadKey, match="low order"):
            kem.encapsulate(octets, None)
        with pytest.raises(OpenFailed):
            kem.decapsulate(private, octets)


def test_xwing_refuses_a_curve_half_of_low_order() -> None:
    private, public = pair(XWING)
    _, enc = XWING.encapsulate(public, None)
    zeros = bytes(32)
    assert not XWING.check_public(public[:-32] + zeros)
    with pytest.raises(BadKey, match="low order"):
        XWING.encapsulate(public[:-32] + zeros, None)
    with pytest.raises(OpenFailed):
        XWING.decapsulate(private, enc[:-32] + zeros)


def test_xwing_refuses_a_lattice_half_out_of_range() -> None:
    _, public = pair(XWING)
    assert not XWING.check_public(b"\xff" * 1_184 + public[-32:])


def test_an_xwing_key_is_a_seed() -> None:
    seed = XWING.derive_private(b"ikm")
    assert seed == hashlib.shake_256(b"ikm").digest(32)
    assert isinstance(XWING.load_private(seed), hpke.MLKEM768X25519PrivateKey)


@pytest.mark.parametrize(
    ("kem", "ikm", "private", "public"),
    [
        (
            X25519,
            "7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234",
            "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
            "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
        ),
        (
            X25519,
            "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037",
            "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
            "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
        ),
    ],
)
def test_key_pairs_are_those_of_rfc_9180(
    kem: Kem, ikm: str, private: str, public: str
) -> None:
    made = kem.derive_private(bytes.fromhex(ikm))
    assert made.hex() == private
    assert kem.public_of(made).hex() == public


def test_the_shared_secret_is_that_of_rfc_9180() -> None:
    """Appendix A.1.1, between the two keys above."""
    ephemeral = bytes.fromhex(
        "7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234"
    )
    public = bytes.fromhex(
        "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"
    )
    secret, _ = X25519.encapsulate(public, ephemeral)
    assert secret.hex() == (
        "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc"
    )

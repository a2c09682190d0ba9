import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sabir.crypto.curves import P256, P384, P521, Curve
from sabir.crypto.errors import BadKey

CURVES = pytest.mark.parametrize(
    "curve", [P256, P384, P521], ids=["P-256", "P-384", "P-521"]
)


@CURVES
def test_a_point_comes_back_as_it_went_out(curve: Curve) -> None:
    private = curve.load_private((7).to_bytes(curve.size, "big"))
    octets = curve.public_octets(private)
    assert len(octets) == curve.point_octets
    public = curve.load_public(octets)
    assert public.public_numbers() == private.public_key().public_numbers()


@CURVES
def test_compressed_points_are_refused(curve: Curve) -> None:
    public = curve.load_private((7).to_bytes(curve.size, "big")).public_key()
    compressed = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    with pytest.raises(BadKey):
        curve.load_public(compressed)
    with pytest.raises(BadKey):
        curve.load_public(compressed.ljust(curve.point_octets, b"\x00"))


@CURVES
def test_points_off_the_curve_and_empty_ones_are_refused(curve: Curve) -> None:
    private = curve.load_private((7).to_bytes(curve.size, "big"))
    octets = bytearray(curve.public_octets(private))
    octets[-1] ^= 1
    for wrong in (bytes(octets), b"", b"\x00", bytes(curve.point_octets)):
        with pytest.raises(BadKey):
            curve.load_public(wrong)


@CURVES
def test_a_scalar_is_between_one_and_the_order(curve: Curve) -> None:
    for scalar in (1, curve.order - 1):
        curve.load_private(scalar.to_bytes(curve.size, "big"))
    for scalar in (0, curve.order):
        with pytest.raises(BadKey):
            curve.load_private(scalar.to_bytes(curve.size, "big"))
    with pytest.raises(BadKey):
        curve.load_private((1).to_bytes(curve.size + 1, "big"))


@CURVES
def test_candidates_are_masked_and_tried_in_turn(curve: Curve) -> None:
    tried = []

    def candidate(counter: int) -> bytes:
        tried.append(counter)
        order = curve.order.to_bytes(curve.size, "big")
        return [order, bytes(curve.size), b"\xff" + bytes(curve.size - 1)][counter]

    scalar = curve.first_scalar(candidate)
    assert tried == [0, 1, 2]
    assert scalar == bytes([curve.first_octet_mask]) + bytes(curve.size - 1)


def test_when_no_candidate_fits_there_is_no_key() -> None:
    tried: list[int] = []

    def candidate(counter: int) -> bytes:
        tried.append(counter)
        return bytes(32)

    with pytest.raises(BadKey):
        P256.first_scalar(candidate)
    assert tried == list(range(256))

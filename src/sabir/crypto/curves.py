"""The curves of NIST (SP 800-186) as MLS carries them: points and scalars.

A public key is an uncompressed point (RFC 9420 section 5.1.1), a private key the
scalar in network order, in as many octets as a coordinate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sabir.crypto.errors import BadKey

_UNCOMPRESSED: Final = 0x04
_CANDIDATES_MAX: Final = 256
"""RFC 9180 section 7.1.3: the counter is one octet."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One curve.

    Attributes:
        curve: what the library calls it.
        order: of its group.
        size: octets of a coordinate and of a scalar.
        first_octet_mask: the bits of a candidate's first octet that a scalar may have.
    """

    curve: ec.EllipticCurve
    order: int
    size: int
    first_octet_mask: int

    @property
    def point_octets(self) -> int:
        """Octets of an uncompressed point."""
        return 1 + 2 * self.size

    def load_public(self, octets: bytes) -> ec.EllipticCurvePublicKey:
        """Read a point.

        Raises:
            BadKey: it is not uncompressed, or not on the curve.
        """
        # The library would take compressed points too.
        if len(octets) != self.point_octets or octets[0] != _UNCOMPRESSED:
            raise BadKey(f"{len(octets)} octets are no uncompressed point")
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(self.curve, octets)
        except ValueError:
            raise BadKey("a point that is not on the curve") from None

    def load_private(self, octets: bytes) -> ec.EllipticCurvePrivateKey:
        """Read a scalar.

        Raises:
            BadKey: it has the wrong length, or is not between 1 and the order.
        """
        scalar = int.from_bytes(octets, "big")
        if len(octets) != self.size or not 0 < scalar < self.order:
            raise BadKey(f"{len(octets)} octets are no scalar of this curve")
        return ec.derive_private_key(scalar, self.curve)

    def public_octets(self, private: ec.EllipticCurvePrivateKey) -> bytes:
        """Return the point of a scalar."""
        public = private.public_key()
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def first_scalar(self, candidate: Callable[[int], bytes]) -> bytes:
        """Return the first of up to 256 candidates that is a scalar.

        Args:
            candidate: makes `size` octets from a counter.

        Raises:
            BadKey: none is (about once in 2**8192 for P-256).
        """
        for counter in range(_CANDIDATES_MAX):
            octets = bytearray(candidate(counter))
            octets[0] &= self.first_octet_mask
            if 0 < int.from_bytes(octets, "big") < self.order:
                return bytes(octets)
        raise BadKey(f"{_CANDIDATES_MAX} candidates, none of them a scalar")


P256: Final = Curve(ec.SECP256R1(), ec.SECP256R1().group_order, 32, 0xFF)
P384: Final = Curve(ec.SECP384R1(), ec.SECP384R1().group_order, 48, 0xFF)
P521: Final = Curve(ec.SECP521R1(), ec.SECP521R1().group_order, 66, 0x01)

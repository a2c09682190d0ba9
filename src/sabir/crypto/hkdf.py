"""HKDF (RFC 5869) over `hmac.digest`, plain and with the labels of HPKE.

One HMAC is enough for every output up to one hash; `hmac.digest` makes it without
building an object.
"""

import hashlib
import hmac
from typing import Final

from sabir.errors import LocalError

NH: Final = {
    name: hashlib.new(name).digest_size for name in ("sha256", "sha384", "sha512")
}
"""Octets of each hash that a suite may have."""

BLOCKS_MAX: Final = 255
"""RFC 5869 section 2.3: the counter of blocks is one octet."""


def extract(hash_name: str, salt: bytes, ikm: bytes) -> bytes:
    """Return the pseudorandom key of `Nh` octets; an empty salt means zeros."""
    return hmac.digest(salt or bytes(NH[hash_name]), ikm, hash_name)


def expand(hash_name: str, prk: bytes, info: bytes, length: int) -> bytes:
    """Return `length` octets.

    Raises:
        LocalError: that is more than `BLOCKS_MAX` hashes.
    """
    nh = NH[hash_name]
    if length <= nh:
        return hmac.digest(prk, info + b"\x01", hash_name)[:length]
    if length > BLOCKS_MAX * nh:
        raise LocalError(f"HKDF gives at most {BLOCKS_MAX * nh} octets, not {length}")
    block, out = b"", bytearray()
    while len(out) < length:
        block = hmac.digest(prk, block + info + bytes((len(out) // nh + 1,)), hash_name)
        out += block
    return bytes(out[:length])


class LabeledKdf:
    """LabeledExtract and LabeledExpand of RFC 9180 section 4.

    Args:
        hash_name: `sha256`, `sha384` or `sha512`.
        suite_id: which algorithms, so that no two share an output.
    """

    __slots__ = ("hash_name", "nh", "prefix")

    def __init__(self, hash_name: str, suite_id: bytes) -> None:
        self.hash_name = hash_name
        self.nh = NH[hash_name]
        self.prefix = b"HPKE-v1" + suite_id

    def extract(self, salt: bytes, label: bytes, ikm: bytes) -> bytes:
        """Return `Nh` octets."""
        return extract(self.hash_name, salt, self.prefix + label + ikm)

    def expand(self, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
        """Return `length` octets."""
        labeled = length.to_bytes(2, "big") + self.prefix + label + info
        return expand(self.hash_name, prk, labeled, length)

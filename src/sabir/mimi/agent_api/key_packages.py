"""KeyPackages in stock: `PUT /keypackages`, `GET /keypackages`."""

from collections.abc import Iterable

from sabir.mimi.agent_api.forms import Form
from sabir.mimi.structs.fields import decode_whole
from sabir.mls.key_packages import KeyPackageIn, read_key_package
from sabir.wire.tls import vector

KEY_PACKAGES_MAX = 1_024
"""Of one upload."""


class Rejected(Form, frozen=True, kw_only=True):
    """A KeyPackage that was not taken in.

    Attributes:
        index: in the upload, from 0.
        code: a rule's number, or `limit.exceeded`.
    """

    index: int
    code: str


class Stock(Form, frozen=True, kw_only=True):
    """What is there of one device.

    Attributes:
        stock: KeyPackages for one use.
        last_resort: there is one of last resort.
        low_water: below it the device should bring more.
    """

    stock: int
    last_resort: bool = False
    low_water: int


class StockAnswer(Stock, frozen=True, kw_only=True):
    """What became of an upload, and what is there now.

    Attributes:
        accepted: how many were taken in; those that were there already are not counted.
        rejected: the others.
    """

    accepted: int
    rejected: tuple[Rejected, ...] = ()


def encode_key_packages(packages: Iterable[bytes]) -> bytes:
    """Write `KeyPackage keypackages<V>` of whole KeyPackages."""
    return vector(packages)


def decode_key_packages(body: bytes) -> tuple[KeyPackageIn, ...]:
    """Read `KeyPackage keypackages<V>`.

    Raises:
        Malformed: as `decode_whole`; one that does not decode spoils all.
    """
    return decode_whole(
        body,
        lambda reader: reader.vector(read_key_package, count_max=KEY_PACKAGES_MAX),
    )

"""Sealing what the database keeps of our device and rooms.

Every room has a key of its own, derived from the installation's: a room seals some
rows per message, and AES-GCM with random nonces allows 2**32 sealings under one key.
"""

import hmac
from collections.abc import Mapping
from typing import Final

from sabir.crypto.sealing import NONCE_OCTETS, open_sealed, seal
from sabir.crypto.secrets import Secret
from sabir.networks.api import Rng

ROW_OCTETS_MAX: Final = 64 * 1024 * 1024
"""The tree of a group of a hundred thousand leaves."""

_LABEL: Final = b"sabir membership key"


class Vault:
    """Seals and opens.

    Args:
        key: of the installation.
        rng: dice.
        place: what the key is derived for; empty for the device.
    """

    __slots__ = ("_key", "_place", "_rng", "_root")

    def __init__(self, key: Secret, rng: Rng, place: str = "") -> None:
        self._root = key
        self._rng = rng
        self._place = place
        derived = hmac.digest(key.reveal(), _LABEL + b"\0" + place.encode(), "sha256")
        self._key = Secret(derived)

    def of_room(self, room: str) -> "Vault":
        """Return the vault of a room."""
        return Vault(self._root, self._rng, room)

    def seal(self, name: bytes, octets: bytes) -> bytes:
        """Seal something under its name.

        Raises:
            LocalError: larger than `ROW_OCTETS_MAX`.
        """
        return seal(
            self._key,
            octets,
            context=self._context(name),
            nonce=self._rng(NONCE_OCTETS),
            octets_max=ROW_OCTETS_MAX,
        )

    def open(self, name: bytes, sealed: bytes) -> bytes:
        """Open what was sealed under this name.

        Raises:
            KeyDoesNotFit: the key file is of another installation.
            SealBroken: the database was altered.
        """
        return open_sealed(self._key, sealed, context=self._context(name)).reveal()

    def seal_rows(
        self, place: int, rows: Mapping[bytes, bytes | None]
    ) -> dict[bytes, bytes | None]:
        """Seal rows of a room; None stays None."""
        return {
            key: None if row is None else self.seal(_row(place, key), row)
            for key, row in rows.items()
        }

    def open_rows(self, place: int, rows: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Open the rows of a room. Raises as `open`."""
        return {key: self.open(_row(place, key), row) for key, row in rows.items()}

    def _context(self, name: bytes) -> bytes:
        return b"membership\0" + self._place.encode() + b"\0" + name


def _row(place: int, key: bytes) -> bytes:
    return b"row\0" + place.to_bytes(8, "big") + key

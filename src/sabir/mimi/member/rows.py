"""A member's own rows, beside those of its MLS group.

The first octet of a key is the section; MLS uses 1 to 12.

    0x80  what the member knows, see `memory`
    0x81  an event that was taken: accepted_at, SHA-256 of the MLSMessage
    0x82  the operation that waits for its answer
    0x83  a message of ours that has no place yet, by SHA-256 of the MLSMessage
    0x84  a proposal that the room's policy forbids, by its ProposalRef
"""

from collections.abc import Mapping
from typing import Final

from sabir.mls.group.state import Delta
from sabir.wire.tls import uint8

MEMORY: Final = 0x80
SEEN: Final = 0x81
OPERATION: Final = 0x82
OUTGOING: Final = 0x83
REFUSED: Final = 0x84


def own_key(section: int, rest: bytes = b"") -> bytes:
    """Return the key of a row."""
    return uint8(section) + rest


def is_own(key: bytes) -> bool:
    """Whether a row is ours, not of MLS."""
    return key[0] >= MEMORY


class OwnRows:
    """Rows as they are to be, and which of them the store does not have yet.

    Args:
        stored: as the store has them.
    """

    __slots__ = ("_rows", "_unsaved")

    def __init__(self, stored: Mapping[bytes, bytes] | None = None) -> None:
        self._rows: dict[bytes, bytes] = dict(stored or {})
        self._unsaved: dict[bytes, bytes | None] = {}

    def put(self, key: bytes, value: bytes = b"") -> None:
        """Write a row."""
        if self._rows.get(key) != value:
            self._rows[key] = value
            self._unsaved[key] = value

    def drop(self, key: bytes) -> None:
        """Delete a row, if there is one."""
        if self._rows.pop(key, None) is not None:
            self._unsaved[key] = None

    def get(self, key: bytes) -> bytes | None:
        """Return a row."""
        return self._rows.get(key)

    def section(self, section: int) -> dict[bytes, bytes]:
        """Return the rows of a section by the rest of their keys, in their order."""
        return {
            key[1:]: self._rows[key] for key in sorted(self._rows) if key[0] == section
        }

    def all(self) -> dict[bytes, bytes]:
        """Return all rows."""
        return dict(sorted(self._rows.items()))

    def delta(self) -> Delta:
        """Name what the store does not have yet."""
        return dict(self._unsaved)

    def saved(self, delta: Delta) -> None:
        """Hear that the store has committed a delta."""
        for key, value in delta.items():
            if key in self._unsaved and self._unsaved[key] == value:
                del self._unsaved[key]

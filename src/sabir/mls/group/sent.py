"""What we sent in an epoch, in digests: how a message of ours is known again.

The key of a message goes when it is sealed, so our own messages we can never open. That
one came from our leaf is said by its sender data alone, which every member can make,
and on whose ciphertext and authenticated data the hub can put others. So an echo counts
only when its octets are those that left. And the signed content is known again, because
every member knows our ratchets: one could seal again what we signed once.

The digests tell nobody anything: they are of what was sent to everybody. They go with
their epoch, and the oldest of them when there are more than `Limits` say.

For the store, a log is a set of small rows, of which a message changes one:

    key  uint8 kind, uint32 number of the first     value  the digests of 16 messages

The digests of a message that was sent before the log began are zero.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum, unique
from typing import Final

from sabir.crypto.suites import CipherSuite
from sabir.mls.limits import Limits
from sabir.wire.errors import Malformed
from sabir.wire.tls import uint8, uint32

_DIGEST: Final = 16
"""Octets of a digest: who forges needs other octets with a given one."""

_ENTRY: Final = 2 * _DIGEST
"""Digest of the MLSMessage, digest of the FramedContent."""

_UNKNOWN: Final = bytes(_ENTRY)

_PER_ROW: Final = 16
"""A message writes half of a row on the average, 256 octets."""

_KEY_OCTETS: Final = 5

_RowId = tuple[int, int]
"""Kind, and number of the first message divided by `_PER_ROW`."""


@unique
class SentKind(IntEnum):
    """What numbers a message: the two ratchets, with their generations, or we."""

    HANDSHAKE = 0
    APPLICATION = 1
    PUBLIC = 2
    """PublicMessages have no generation: they are counted here."""


_KINDS: Final = frozenset(int(kind) for kind in SentKind)


class SentLog:
    """The messages of ours in one epoch.

    Args:
        suite: of the group.
        limits: how many to know.
    """

    __slots__ = ("_changed", "_limits", "_rows", "_suite")

    def __init__(self, suite: CipherSuite, limits: Limits) -> None:
        self._suite = suite
        self._limits = limits
        self._rows: dict[_RowId, bytes] = {}
        self._changed: dict[_RowId, bool] = {}
        """Rows that differ from the store; True: the store never had this one."""

    @classmethod
    def from_rows(
        cls, suite: CipherSuite, rows: Iterable[tuple[bytes, bytes]], limits: Limits
    ) -> "SentLog":
        """Make a log of what `rows` gave.

        Raises:
            Malformed: a row is nothing that `rows` gives (C07: of no known kind).
        """
        log = cls(suite, limits)
        for key, value in rows:
            row = _read_row_key(key)
            if not value or len(value) % _ENTRY or len(value) > _PER_ROW * _ENTRY:
                raise Malformed("C04", f"{len(value)} octets of digests")
            log._rows[row] = value
        return log

    # ---- sending

    def note(self, kind: int, number: int, message: bytes, content: bytes) -> None:
        """Remember a message.

        Args:
            kind: one of `SentKind`, or the `RatchetKind` of that number.
            number: its generation, later than all of this kind here.
            message: the MLSMessage.
            content: octets of its FramedContent.
        """
        digest = self._suite.hash
        row = (kind, number // _PER_ROW)
        before = self._rows.get(row)
        if before is None:
            before = b""
            self._changed[row] = True
            self._drop_oldest(row)
        else:
            self._changed.setdefault(row, False)
        self._rows[row] = (
            before.ljust(number % _PER_ROW * _ENTRY, b"\0")
            + digest(message)[:_DIGEST]
            + digest(content)[:_DIGEST]
        )

    def note_public(self, message: bytes, content: bytes) -> None:
        """Remember a PublicMessage."""
        places = [place for kind, place in self._rows if kind == SentKind.PUBLIC]
        number = 0
        if places:
            last = self._rows[SentKind.PUBLIC, max(places)]
            number = max(places) * _PER_ROW + len(last) // _ENTRY
        self.note(SentKind.PUBLIC, number, message, content)

    def _drop_oldest(self, new: _RowId) -> None:
        oldest = new[1] - -(-self._limits.own_messages_known_max // _PER_ROW)
        for row in [row for row in self._rows if row[0] == new[0]]:
            if row[1] < oldest:
                del self._rows[row]
                if self._changed.get(row):
                    del self._changed[row]  # the store never saw it
                else:
                    self._changed[row] = False

    # ---- receiving

    def is_known(self, kind: int, number: int) -> bool:
        """Tell whether a message of ours is remembered."""
        return self._entry(kind, number) not in (b"", _UNKNOWN)

    def is_ours(self, kind: int, number: int, message: bytes) -> bool:
        """Tell whether these octets left with this number, as far as is remembered."""
        return self._entry(kind, number)[:_DIGEST] == self._digest(message)

    def is_ours_in_public(self, message: bytes) -> bool:
        """Tell whether a PublicMessage is in these octets one of ours."""
        digest = self._digest(message)
        return any(
            entry[:_DIGEST] == digest
            for (kind, _), entry in self._entries()
            if kind == SentKind.PUBLIC
        )

    def has_signed(self, content: bytes) -> bool:
        """Tell whether we sent this FramedContent, in whatever message."""
        digest = self._digest(content)
        return any(entry[_DIGEST:] == digest for _, entry in self._entries())

    def _digest(self, octets: bytes) -> bytes:
        return self._suite.hash(octets)[:_DIGEST]

    def _entry(self, kind: int, number: int) -> bytes:
        begin = number % _PER_ROW * _ENTRY
        return self._rows.get((kind, number // _PER_ROW), b"")[begin : begin + _ENTRY]

    def _entries(self) -> Iterator[tuple[_RowId, bytes]]:
        for row, value in self._rows.items():
            for begin in range(0, len(value), _ENTRY):
                yield row, value[begin : begin + _ENTRY]

    # ---- the store

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Give every row."""
        for row, value in self._rows.items():
            yield _row_key(row), value

    def row_keys(self) -> Iterator[bytes]:
        """Give the key of every row."""
        return map(_row_key, self._rows)

    def changes(self) -> dict[bytes, bytes | None]:
        """Return the rows to write, and with None those to delete, since `saved`."""
        return {_row_key(row): self._rows.get(row) for row in self._changed}

    def saved(self) -> None:
        """Hear that the store has all changes."""
        self._changed.clear()


def _row_key(row: _RowId) -> bytes:
    return uint8(row[0]) + uint32(row[1] * _PER_ROW)


def _read_row_key(key: bytes) -> _RowId:
    if len(key) != _KEY_OCTETS:
        raise Malformed("C03", f"a key of {len(key)} octets")
    kind, first = key[0], int.from_bytes(key[1:], "big")
    if kind not in _KINDS:
        raise Malformed("C07", f"digests of kind {kind}")
    if first % _PER_ROW:
        raise Malformed("C04", f"a row that begins at {first}")
    return kind, first // _PER_ROW

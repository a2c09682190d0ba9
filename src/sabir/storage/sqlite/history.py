"""What was said before we came: questions for it, and its place before all else."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sabir.clock import Instant
from sabir.storage.membership import HistoryAskRecord, PlacedEntry
from sabir.storage.records import RoomId
from sabir.storage.sqlite.membership import add_provenance
from sabir.storage.sqlite.part import Part
from sabir.storage.sqlite.timeline import is_placed, put_entry

_SELECT: Final = "SELECT id, device, signed, sealed, asked_at FROM history_asks "
_FIRST: Final = """
SELECT seq, accepted_at FROM timeline WHERE room = ? ORDER BY seq LIMIT 1
"""


class SqliteHistory(Part):
    """Implements `sabir.storage.membership.History`."""

    async def add_history_ask(self, ask: HistoryAskRecord) -> None:
        """See `History.add_history_ask`."""
        row = (ask.id, ask.device, ask.signed, ask.sealed, ask.asked_at)

        def change(db: sqlite3.Connection) -> None:
            db.execute(
                "DELETE FROM history_asks WHERE device = ? AND asked_at <= ?",
                (ask.device, ask.asked_at),
            )
            db.execute(
                "INSERT OR IGNORE INTO history_asks"
                " (id, device, signed, sealed, asked_at) VALUES (?, ?, ?, ?, ?)",
                row,
            )

        await self._database.write(change)

    async def history_asks(self) -> Sequence[HistoryAskRecord]:
        """See `History.history_asks`."""
        rows = self._database.read(
            lambda db: db.execute(_SELECT + "ORDER BY asked_at, id").fetchall()
        )
        return [
            HistoryAskRecord(
                id=number,
                device=device,
                signed=signed,
                sealed=sealed,
                asked_at=Instant(asked_at),
            )
            for number, device, signed, sealed, asked_at in rows
        ]

    async def drop_history_ask(self, ask: bytes) -> None:
        """See `History.drop_history_ask`."""
        await self._database.write(
            lambda db: db.execute("DELETE FROM history_asks WHERE id = ?", (ask,))
        )

    async def prepend(self, room: RoomId, entries: Sequence[PlacedEntry]) -> int:
        """See `History.prepend`."""

        def change(db: sqlite3.Connection) -> int:
            row = db.execute(_FIRST, (room,)).fetchone()
            seq, until = (0, None) if row is None else row
            # Numbers from 1 on are those of what came while we were there; 0 is none.
            seq, count = min(seq, 0), 0
            for placed in sorted(entries, key=_when, reverse=True):
                is_early = until is None or placed.accepted_at <= until
                if not is_early or is_placed(db, room, placed.new):
                    continue
                seq -= 1
                count += 1
                new = replace(placed.new, origin=None, inbox_seq=None)
                put_entry(db, room, new, seq, placed.accepted_at)
                if placed.provenance is not None:
                    add_provenance(db, room, new.entry, placed.provenance)
            return count

        return await self._database.write(change)

    async def timeline_start(self, room: RoomId) -> int:
        """See `History.timeline_start`."""
        row = self._database.read(lambda db: db.execute(_FIRST, (room,)).fetchone())
        return 1 if row is None else int(row[0])


def _when(placed: PlacedEntry) -> Instant:
    return placed.accepted_at

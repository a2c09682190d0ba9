"""Native events, stored before they are acknowledged (I1), once each (I2)."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from sabir.clock import Instant
from sabir.storage.records import InboxRecord, InboxVerdict, NewEvent
from sabir.storage.sqlite.part import Part


class SqliteInbox(Part):
    """Implements `sabir.storage.ports.Inbox`."""

    async def take(
        self,
        account: str,
        events: Sequence[NewEvent],
        cursors: Mapping[str, str],
        *,
        now: Instant,
    ) -> int:
        """See `Inbox.take`."""

        def change(db: sqlite3.Connection) -> int:
            before = db.total_changes
            db.executemany(
                "INSERT OR IGNORE INTO inbox"
                " (account, chat, native_id, revision, payload, late, received_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        account,
                        event.chat,
                        event.native_id,
                        event.revision,
                        event.payload,
                        event.late,
                        now,
                    )
                    for event in events
                ],
            )
            new = db.total_changes - before
            db.executemany(
                "INSERT INTO cursors (account, stream, position) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET position = excluded.position",
                [(account, stream, at) for stream, at in cursors.items()],
            )
            return new

        return await self._database.write(change)

    async def cursor(self, account: str, stream: str) -> str | None:
        """See `Inbox.cursor`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT position FROM cursors WHERE account = ? AND stream = ?",
                (account, stream),
            ).fetchone()
        )
        return None if row is None else str(row[0])

    async def pending(
        self, account: str, chat: str, *, count_max: int
    ) -> Sequence[InboxRecord]:
        """See `Inbox.pending`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT seq, native_id, revision, payload, late, received_at FROM inbox"
                " WHERE account = ? AND chat = ? AND state = 'pending'"
                " ORDER BY seq LIMIT ?",
                (account, chat, count_max),
            ).fetchall()
        )
        return [
            InboxRecord(
                seq=seq,
                chat=chat,
                native_id=native_id,
                revision=revision,
                payload=payload,
                late=bool(late),
                received_at=Instant(received_at),
            )
            for seq, native_id, revision, payload, late, received_at in rows
        ]

    async def dismiss(self, verdicts: Iterable[InboxVerdict]) -> None:
        """See `Inbox.dismiss`."""
        rows = [(each.state, each.detail, each.seq) for each in verdicts]

        def change(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE inbox SET state = ?, detail = ? WHERE seq = ?", rows)

        await self._database.write(change)

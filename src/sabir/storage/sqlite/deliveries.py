"""What leaves on a portal, piece by piece."""

import sqlite3
from collections.abc import Sequence

from sabir.clock import Instant
from sabir.storage.records import (
    Attempt,
    OpenAttempt,
    PortalId,
    Settlement,
)
from sabir.storage.sqlite.part import Part
from sabir.storage.sqlite.timeline import insert_refs


class SqliteDeliveries(Part):
    """Implements `sabir.storage.ports.Deliveries`."""

    async def begin(
        self, portal: PortalId, attempts: Sequence[Attempt], *, now: Instant
    ) -> None:
        """See `Deliveries.begin`."""

        def change(db: sqlite3.Connection) -> None:
            # A piece that was found not to have arrived keeps its first attempt.
            db.executemany(
                "INSERT OR IGNORE INTO deliveries"
                " (portal, seq, part, key, state, loss, attempted_at)"
                " VALUES (?, ?, ?, ?, 'sending', ?, ?)",
                [(portal, a.seq, a.part, a.key, a.loss, now) for a in attempts],
            )

        await self._database.write(change)

    async def open_attempts(self, portal: PortalId) -> Sequence[OpenAttempt]:
        """See `Deliveries.open_attempts`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT seq, part, key, attempted_at FROM deliveries"
                " WHERE portal = ? AND state = 'sending' ORDER BY seq, part",
                (portal,),
            ).fetchall()
        )
        return [
            OpenAttempt(seq=seq, part=part, key=key, attempted_at=Instant(at))
            for seq, part, key, at in rows
        ]

    async def attempt_of_key(self, key: str) -> tuple[PortalId, OpenAttempt] | None:
        """See `Deliveries.attempt_of_key`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT portal, seq, part, attempted_at FROM deliveries"
                " WHERE key = ? AND state IN ('sending', 'ambiguous')",
                (key,),
            ).fetchone()
        )
        if row is None:
            return None
        portal, seq, part, at = row
        attempt = OpenAttempt(seq=seq, part=part, key=key, attempted_at=Instant(at))
        return PortalId(portal), attempt

    async def settle(
        self,
        portal: PortalId,
        settlements: Sequence[Settlement],
        *,
        cursor: int | None,
        now: Instant,
    ) -> None:
        """See `Deliveries.settle`."""

        def change(db: sqlite3.Connection) -> None:
            for each in settlements:
                _settle(db, portal, each, now)
            if cursor is not None:
                db.execute(
                    "UPDATE portals SET cursor = max(cursor, ?) WHERE id = ?",
                    (cursor, portal),
                )

        await self._database.write(change)

    async def settled_after(self, portal: PortalId, seq: int) -> set[tuple[int, int]]:
        """See `Deliveries.settled_after`."""
        return set(
            self._database.read(
                lambda db: db.execute(
                    "SELECT seq, part FROM deliveries"
                    " WHERE portal = ? AND seq > ? AND state <> 'sending'",
                    (portal, seq),
                ).fetchall()
            )
        )


def _settle(
    db: sqlite3.Connection, portal: PortalId, each: Settlement, now: Instant
) -> None:
    db.execute(
        "INSERT INTO deliveries"
        " (portal, seq, part, key, state, detail, loss, attempted_at, settled_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (portal, seq, part) DO UPDATE SET"
        " state = excluded.state, detail = excluded.detail,"
        " loss = coalesce(excluded.loss, loss), settled_at = excluded.settled_at",
        (
            portal,
            each.seq,
            each.part,
            each.key,
            each.state,
            each.detail,
            each.loss,
            now,
            now,
        ),
    )
    if each.entry is not None:
        insert_refs(
            db, portal, each.entry, each.part, each.native_ids, each.native_author
        )

"""One durable stream of events per device."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from sabir.clock import Instant
from sabir.storage.provider.records import (
    Cursor,
    EventKind,
    RoomPhase,
    Spread,
    StreamEvent,
)
from sabir.storage.sqlite.part import Part
from sabir.storage.sqlite.provider.spreading import (
    append_event,
    attach,
    attached_devices,
)


class SqliteStreams(Part):
    """Implements `sabir.storage.provider.ports.Streams`."""

    async def attach(self, room: str, hub: str, device: str, *, now: Instant) -> None:
        """See `Streams.attach`."""
        await self._database.write(lambda db: attach(db, room, hub, device, now))

    async def detach(self, room: str, device: str) -> None:
        """See `Streams.detach`."""

        def change(db: sqlite3.Connection) -> None:
            db.execute(
                "DELETE FROM attachments WHERE room = ? AND device = ?", (room, device)
            )
            # A hosted room has a state and lives on without listeners.
            db.execute(
                "UPDATE rooms SET phase = ? WHERE room = ? AND state = x''"
                " AND phase = ? AND NOT EXISTS"
                " (SELECT 1 FROM attachments a WHERE a.room = rooms.room)",
                (RoomPhase.GONE, room, RoomPhase.OPEN),
            )

        await self._database.write(change)

    async def attached(self, room: str) -> frozenset[str]:
        """See `Streams.attached`."""
        return frozenset(self._database.read(lambda db: attached_devices(db, room)))

    async def tell(
        self,
        devices: Iterable[str],
        kind: EventKind,
        data: bytes,
        *,
        room: str = "",
        now: Instant,
    ) -> Spread:
        """See `Streams.tell`."""
        told = await self._database.write(
            lambda db: append_event(db, devices, kind, data, room, now)
        )
        return Spread(devices=told)

    async def events(
        self,
        device: str,
        after: Cursor,
        *,
        count_max: int,
        octets_max: int | None = None,
    ) -> Sequence[StreamEvent]:
        """See `Streams.events`."""

        def question(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            found: list[tuple[Any, ...]] = []
            octets = 0
            for row in db.execute(
                "SELECT e.cursor, e.kind, e.room, e.accepted_at,"
                " coalesce(m.octets, e.data)"
                " FROM events e LEFT JOIN messages m ON m.id = e.message"
                " WHERE e.device = ? AND e.cursor > ? ORDER BY e.cursor LIMIT ?",
                (device, after, count_max),
            ):
                octets += len(row[4])
                if octets_max is not None and found and octets > octets_max:
                    break
                found.append(row)
            return found

        rows = self._database.read(question)
        return [
            StreamEvent(
                cursor=Cursor(cursor),
                kind=EventKind(kind),
                room=room,
                accepted_at=Instant(at),
                data=data,
            )
            for cursor, kind, room, at, data in rows
        ]

    async def reset_at(self, device: str) -> Cursor:
        """See `Streams.reset_at`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT reset_at FROM devices WHERE device = ?", (device,)
            ).fetchone()
        )
        return Cursor(0 if row is None else row[0])

    async def ack(self, device: str, cursor: Cursor) -> None:
        """See `Streams.ack`."""
        await self._database.write(
            lambda db: db.execute(
                "DELETE FROM events WHERE device = ? AND cursor <= ?", (device, cursor)
            )
        )

    async def trim_streams(self, *, before: Instant, count_max: int) -> frozenset[str]:
        """See `Streams.trim_streams`."""

        def change(db: sqlite3.Connection) -> frozenset[str]:
            old = dict(
                db.execute(
                    "SELECT device, max(cursor) FROM events WHERE stored_at < ?"
                    " GROUP BY device",
                    (before,),
                ).fetchall()
            )
            crowded = db.execute(
                "SELECT device FROM events GROUP BY device HAVING count(*) > ?",
                (count_max,),
            ).fetchall()
            for (device,) in crowded:
                (cursor,) = db.execute(
                    "SELECT cursor FROM events WHERE device = ?"
                    " ORDER BY cursor DESC LIMIT 1 OFFSET ?",
                    (device, count_max),
                ).fetchone()
                old[device] = max(cursor, old.get(device, 0))
            for device, cursor in old.items():
                db.execute(
                    "DELETE FROM events WHERE device = ? AND cursor <= ?",
                    (device, cursor),
                )
                db.execute(
                    "UPDATE devices SET reset_at = ? WHERE device = ?", (cursor, device)
                )
            return frozenset(old)

        return await self._database.write(change)

"""Rooms and portals."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from sabir.clock import Instant
from sabir.errors import PolicyRefused
from sabir.storage.records import (
    PortalId,
    PortalRecord,
    PortalState,
    RoomId,
    RoomRecord,
)
from sabir.storage.sqlite.part import Part

_PORTAL: Final = """
SELECT id, room, account, chat, name, cursor, state, detail FROM portals
"""
_OPEN: Final = _PORTAL + "WHERE state <> 'closed' ORDER BY id"
_ALL: Final = _PORTAL + "ORDER BY id"
_BY_CHAT: Final = _PORTAL + "WHERE account = ? AND chat = ? AND state <> 'closed'"
_Row = tuple[int, str, str, str, str, int, str, str]


def _portal(row: _Row) -> PortalRecord:
    id_, room, account, chat, name, cursor, state, detail = row
    return PortalRecord(
        id=PortalId(id_),
        room=RoomId(room),
        account=account,
        chat=chat,
        name=name,
        cursor=cursor,
        state=PortalState(state),
        detail=detail,
    )


class SqliteRooms(Part):
    """Implements `sabir.storage.ports.Rooms`."""

    async def add_room(self, room: RoomId, name: str, *, now: Instant) -> None:
        """See `Rooms.add_room`."""

        def change(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR IGNORE INTO rooms (id, name, created_at) VALUES (?, ?, ?)",
                (room, name, now),
            )

        await self._database.write(change)

    async def rooms(self) -> Sequence[RoomRecord]:
        """See `Rooms.rooms`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT id, name, last_seq FROM rooms ORDER BY created_at, id"
            ).fetchall()
        )
        return [RoomRecord(id=r, name=n, last_seq=s) for r, n, s in rows]

    async def add_portal(
        self, room: RoomId, account: str, chat: str, name: str, *, now: Instant
    ) -> PortalRecord:
        """See `Rooms.add_portal`."""

        def change(db: sqlite3.Connection) -> PortalRecord:
            taken = db.execute(
                _BY_CHAT,
                (account, chat),
            ).fetchone()
            if taken is not None:
                raise PolicyRefused(
                    f"the chat {chat} of account {account} is linked already"
                    f" (portal {taken[0]}); `sabir unlink {taken[0]}` frees it"
                )
            row = db.execute(
                "INSERT INTO portals (room, account, chat, name, cursor, created_at)"
                " SELECT id, ?, ?, ?, last_seq, ? FROM rooms WHERE id = ?"
                " RETURNING id, room, account, chat, name, cursor, state, detail",
                (account, chat, name, now, room),
            ).fetchone()
            if row is None:
                raise PolicyRefused(f"there is no room {room}")
            return _portal(row)

        return await self._database.write(change)

    async def portals(self, *, closed: bool = False) -> Sequence[PortalRecord]:
        """See `Rooms.portals`."""
        rows = self._database.read(
            lambda db: db.execute(_ALL if closed else _OPEN).fetchall()
        )
        return [_portal(row) for row in rows]

    async def set_portal_state(
        self, portal: PortalId, state: PortalState, detail: str = ""
    ) -> None:
        """See `Rooms.set_portal_state`."""

        def change(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE portals SET state = ?, detail = ? WHERE id = ?",
                (state, detail, portal),
            )

        await self._database.write(change)

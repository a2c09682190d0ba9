"""Rooms and portals."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from sabir.clock import Instant
from sabir.errors import PolicyRefused
from sabir.storage.records import (
    NewPortal,
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
_DISMISS: Final = """
UPDATE inbox SET state = 'ignored', detail = 'the chat was unlinked'
WHERE state = 'pending'
  AND (account, chat) = (SELECT account, chat FROM portals WHERE id = ?)
"""
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

    async def rooms(self) -> Sequence[RoomRecord]:
        """See `Rooms.rooms`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT id, name, last_seq FROM rooms ORDER BY created_at, id"
            ).fetchall()
        )
        return [RoomRecord(id=r, name=n, last_seq=s) for r, n, s in rows]

    async def link(
        self, room: RoomId, name: str, chats: Sequence[NewPortal], *, now: Instant
    ) -> Sequence[PortalRecord]:
        """See `Rooms.link`."""

        def change(db: sqlite3.Connection) -> list[PortalRecord]:
            db.execute(
                "INSERT OR IGNORE INTO rooms (id, name, created_at) VALUES (?, ?, ?)",
                (room, name, now),
            )
            return [_open_portal(db, room, chat, now) for chat in chats]

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
            done = db.execute(
                "UPDATE portals SET state = ?, detail = ?"
                " WHERE id = ? AND state <> 'closed'",
                (state, detail, portal),
            )
            if done.rowcount and state is PortalState.CLOSED:
                # What waits was said to the room it leads to, not to the next one.
                db.execute(_DISMISS, (portal,))

        await self._database.write(change)


def _open_portal(
    db: sqlite3.Connection, room: RoomId, new: NewPortal, now: Instant
) -> PortalRecord:
    taken = db.execute(_BY_CHAT, (new.account, new.chat)).fetchone()
    if taken is not None:
        raise PolicyRefused(
            f"the chat {new.chat} of account {new.account} is linked already"
            f" (portal {taken[0]}); `sabir unlink {taken[0]}` frees it"
        )
    row = db.execute(
        "INSERT INTO portals (room, account, chat, name, cursor, created_at)"
        " SELECT id, ?, ?, ?, last_seq, ? FROM rooms WHERE id = ?"
        " RETURNING id, room, account, chat, name, cursor, state, detail",
        (new.account, new.chat, new.name, now, room),
    ).fetchone()
    return _portal(row)

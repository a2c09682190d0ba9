"""Rooms: hosted here, or followed; and what came from hubs."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sabir.clock import Instant
from sabir.errors import PolicyRefused
from sabir.storage.provider.records import (
    EventKind,
    HostedRoom,
    JoinCodeRecord,
    NewNotification,
    RoomCommit,
    RoomPhase,
    Spread,
)
from sabir.storage.sqlite.part import Part
from sabir.storage.sqlite.provider.spreading import (
    append_event,
    attach,
    attached_devices,
    deliver,
    enqueue,
    known_devices,
    reopen,
    spread_waiting,
    store_message,
)

_BRIEF: Final = (
    "SELECT room, hub, phase, x'', last_at, creator, reservation, expires_at FROM rooms"
)
_OF_DEVICE: Final = (
    "SELECT room, hub, phase, x'', last_at, creator, reservation, expires_at FROM rooms"
    " WHERE room IN (SELECT room FROM attachments WHERE device = ?) ORDER BY room"
)
_WHOLE: Final = (
    "SELECT room, hub, phase, state, last_at, creator, reservation, expires_at"
    " FROM rooms"
)


class SqliteHubRooms(Part):
    """Implements `HubRooms` and `Replays` of `sabir.storage.provider.ports`."""

    async def reserve(self, room: HostedRoom, *, now: Instant) -> None:
        """See `HubRooms.reserve`."""

        def change(db: sqlite3.Connection) -> None:
            made = db.execute(
                "INSERT OR IGNORE INTO rooms (room, hub, phase, creator, reservation,"
                " expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    room.room,
                    room.hub,
                    room.phase,
                    room.creator,
                    room.reservation,
                    room.expires_at,
                    now,
                ),
            )
            if not made.rowcount:
                raise PolicyRefused("the name of the room is taken")

        await self._database.write(change)

    async def room(self, room: str) -> HostedRoom | None:
        """See `HubRooms.room`."""
        row = self._database.read(
            lambda db: db.execute(_WHOLE + " WHERE room = ?", (room,)).fetchone()
        )
        return None if row is None else _room(row)

    async def settled_room(self, room: str) -> HostedRoom | None:
        """See `HubRooms.settled_room`."""
        row = await self._database.write(
            lambda db: db.execute(_WHOLE + " WHERE room = ?", (room,)).fetchone()
        )
        return None if row is None else _room(row)

    async def rooms(self, *, after: str = "", count_max: int) -> Sequence[HostedRoom]:
        """See `HubRooms.rooms`."""
        rows = self._database.read(
            lambda db: db.execute(
                _BRIEF + " WHERE room > ? ORDER BY room LIMIT ?",
                (after, count_max),
            ).fetchall()
        )
        return [_room(row) for row in rows]

    async def rooms_of_device(self, device: str) -> Sequence[HostedRoom]:
        """See `HubRooms.rooms_of_device`."""
        rows = self._database.read(
            lambda db: db.execute(
                _OF_DEVICE,
                (device,),
            ).fetchall()
        )
        return [_room(row) for row in rows]

    async def commit(self, change: RoomCommit, *, now: Instant) -> Spread:
        """See `HubRooms.commit`."""
        return await self._database.write(lambda db: _commit(db, change, now))

    async def room_of_pair(self, pair: bytes) -> str | None:
        """See `HubRooms.room_of_pair`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT room FROM pairs WHERE users = ?", (pair,)
            ).fetchone()
        )
        return None if row is None else row[0]

    async def room_domains(self, room: str) -> Mapping[str, Instant]:
        """See `HubRooms.room_domains`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT domain, last_at FROM room_domains WHERE room = ?", (room,)
            ).fetchall()
        )
        return {domain: Instant(at) for domain, at in rows}

    async def expire_reservations(self, *, now: Instant) -> int:
        """See `HubRooms.expire_reservations`."""
        return await self._database.write(
            lambda db: (
                db.execute(
                    "DELETE FROM rooms WHERE expires_at <= ? AND phase = ?",
                    (now, RoomPhase.RESERVED),
                ).rowcount
            )
        )

    # ---- join codes

    async def add_join_code(self, code: JoinCodeRecord) -> None:
        """See `HubRooms.add_join_code`."""
        await self._database.write(
            lambda db: db.execute(
                "INSERT INTO join_codes (id, room, digest, role, uses_left,"
                " expires_at, bound_user, creator) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    code.id,
                    code.room,
                    code.digest,
                    code.role,
                    code.uses_left,
                    code.expires_at,
                    code.bound_user,
                    code.creator,
                ),
            )
        )

    async def join_code(self, digest: bytes) -> JoinCodeRecord | None:
        """See `HubRooms.join_code`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT id, room, digest, role, uses_left, expires_at, bound_user,"
                " creator FROM join_codes WHERE digest = ?",
                (digest,),
            ).fetchone()
        )
        if row is None:
            return None
        id_, room, digest_, role, uses, expires, user, creator = row
        return JoinCodeRecord(
            id=id_,
            room=room,
            digest=digest_,
            role=role,
            uses_left=uses,
            expires_at=Instant(expires),
            bound_user=user,
            creator=creator,
        )

    async def remove_join_code(self, room: str, id_: str) -> bool:
        """See `HubRooms.remove_join_code`."""
        gone = await self._database.write(
            lambda db: (
                db.execute(
                    "DELETE FROM join_codes WHERE room = ? AND id = ?", (room, id_)
                ).rowcount
            )
        )
        return gone > 0

    # ---- answers given again

    async def replay(self, digest: bytes) -> bytes | None:
        """See `Replays.replay`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT response FROM replays WHERE digest = ?", (digest,)
            ).fetchone()
        )
        return None if row is None else row[0]

    async def remember_replay(
        self, digest: bytes, response: bytes, *, now: Instant
    ) -> None:
        """See `Replays.remember_replay`."""
        await self._database.write(lambda db: _remember(db, digest, response, now))


class SqliteFollowed(Part):
    """Implements `sabir.storage.provider.ports.Followed`."""

    async def was_taken(self, digest: bytes) -> bool:
        """See `Followed.was_taken`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT 1 FROM notifications WHERE digest = ?", (digest,)
            ).fetchone()
        )
        return row is not None

    async def take_notification(
        self, notification: NewNotification, *, now: Instant
    ) -> Spread:
        """See `Followed.take_notification`."""

        def change(db: sqlite3.Connection) -> Spread:
            new = db.execute(
                "INSERT OR IGNORE INTO notifications (digest, taken_at) VALUES (?, ?)",
                (notification.digest, now),
            )
            if not new.rowcount:
                return Spread(fresh=False)
            room, hub = notification.room, notification.hub
            attached = attached_devices(db, room)
            grown: set[str] = set()
            fresh = False
            for message in notification.messages:
                id_ = store_message(db, room, message, now)
                if id_ is not None:
                    fresh = True
                    grown |= deliver(db, room, hub, message, id_, attached, now)
            return Spread(devices=frozenset(grown), fresh=fresh)

        return await self._database.write(change)

    async def set_room_phase(
        self, room: str, phase: RoomPhase, *, now: Instant
    ) -> Spread:
        """See `Followed.set_room_phase`."""

        def change(db: sqlite3.Connection) -> Spread:
            db.execute("UPDATE rooms SET phase = ? WHERE room = ?", (phase, room))
            return Spread(devices=_tell_phase(db, room, phase, now))

        return await self._database.write(change)


def _room(row: tuple[Any, ...]) -> HostedRoom:
    room, hub, phase, state, last_at, creator, reservation, expires_at = row
    return HostedRoom(
        room=room,
        hub=hub,
        phase=RoomPhase(phase),
        state=state,
        last_at=Instant(last_at),
        creator=creator,
        reservation=reservation,
        expires_at=None if expires_at is None else Instant(expires_at),
    )


def _commit(db: sqlite3.Connection, change: RoomCommit, now: Instant) -> Spread:
    room = change.room
    changed = db.execute(
        "UPDATE rooms SET state = coalesce(?, state), last_at = ?,"
        " expires_at = CASE WHEN ? IS NULL THEN expires_at END,"
        " phase = coalesce(?, phase) WHERE room = ?",
        (change.state, change.last_at, change.phase, change.phase, room),
    )
    if not changed.rowcount:
        raise PolicyRefused("the reservation of the room is over")
    _claim_pair(db, change)
    for digest in change.spent_codes:
        _spend(db, digest, now)
    if change.reopened:
        spread_waiting(db, room, now=now)  # not for queues that open after it
    for follower in change.reopened:
        reopen(db, room, follower, now)
    if change.replay is not None:
        _remember(db, change.replay.digest, change.replay.response, now)
    hub = _hub_of(db, room)
    for device in sorted(known_devices(db, change.attached)):
        attach(db, room, hub, device, now)
    spread = _spread(db, change, hub, now)
    if change.domains is not None:
        db.executemany(
            "INSERT INTO room_domains (room, domain, last_at) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET last_at = excluded.last_at",
            [(room, domain, now) for domain in sorted(change.domains)],
        )
    for user in change.detached_users:
        db.execute(
            "DELETE FROM attachments WHERE room = ? AND device IN"
            " (SELECT device FROM devices WHERE user = ?)",
            (room, user),
        )
    return spread


def _hub_of(db: sqlite3.Connection, room: str) -> str:
    hub: str
    (hub,) = db.execute("SELECT hub FROM rooms WHERE room = ?", (room,)).fetchone()
    return hub


def _spread(
    db: sqlite3.Connection, change: RoomCommit, hub: str, now: Instant
) -> Spread:
    devices: set[str] = set()
    followers: set[str] = set()
    attached = attached_devices(db, change.room) if change.messages else {}
    for message in change.messages:
        id_ = store_message(db, change.room, message, now)
        if id_ is not None:
            devices |= deliver(db, change.room, hub, message, id_, attached, now)
            followers |= enqueue(db, change.room, message, id_, now)
    if change.phase is RoomPhase.CLOSED:
        devices |= _tell_phase(db, change.room, change.phase, now)
    return Spread(devices=frozenset(devices), followers=frozenset(followers))


def _tell_phase(
    db: sqlite3.Connection, room: str, phase: RoomPhase, now: Instant
) -> frozenset[str]:
    data = json.dumps({"state": phase}).encode()
    devices = attached_devices(db, room)
    return append_event(db, devices, EventKind.ROOM_STATE, data, room, now)


def _claim_pair(db: sqlite3.Connection, change: RoomCommit) -> None:
    if change.pair is None:
        return
    db.execute(
        "INSERT INTO pairs (users, room) VALUES (?, ?)"
        " ON CONFLICT (users) DO UPDATE SET room = excluded.room"
        " WHERE (SELECT phase FROM rooms WHERE room = pairs.room) = ?",
        (change.pair, change.room, RoomPhase.CLOSED),
    )
    (room,) = db.execute(
        "SELECT room FROM pairs WHERE users = ?", (change.pair,)
    ).fetchone()
    if room != change.room:
        raise PolicyRefused("these users have a direct room here already")


def _spend(db: sqlite3.Connection, digest: bytes, now: Instant) -> None:
    spent = db.execute(
        "UPDATE join_codes SET uses_left = uses_left - 1"
        " WHERE digest = ? AND uses_left > 0 AND expires_at > ?",
        (digest, now),
    )
    if not spent.rowcount:
        raise PolicyRefused("the join code is used up")


def _remember(
    db: sqlite3.Connection, digest: bytes, response: bytes, now: Instant
) -> None:
    db.execute(
        "INSERT OR IGNORE INTO replays (digest, response, answered_at)"
        " VALUES (?, ?, ?)",
        (digest, response, now),
    )

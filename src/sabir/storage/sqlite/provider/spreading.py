"""Putting messages and events where they must go, inside somebody's transaction."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from sabir.clock import Instant
from sabir.storage.provider.records import EventKind, NewMessage, QueueState, RoomPhase

AT_ONCE_MAX: Final = 8
"""Followers of a message that are served in the transaction that accepts it."""


def attached_devices(db: sqlite3.Connection, room: str) -> dict[str, str]:
    """Return the devices that have a room's stream, each with its user."""
    return dict(
        db.execute(
            "SELECT device, user FROM attachments JOIN devices USING (device)"
            " WHERE room = ?",
            (room,),
        ).fetchall()
    )


def attach(
    db: sqlite3.Connection, room: str, hub: str, device: str, now: Instant
) -> None:
    """Let a device have a room's stream; a followed room is stored if it is new."""
    db.execute(
        "INSERT INTO rooms (room, hub, phase, created_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (room) DO UPDATE SET phase = excluded.phase"
        " WHERE phase IN (?, ?)",
        (
            *(room, hub, RoomPhase.OPEN, now),
            *(RoomPhase.GONE, RoomPhase.UNREACHABLE),
        ),
    )
    db.execute(
        "INSERT OR IGNORE INTO attachments (room, device, since) VALUES (?, ?, ?)",
        (room, device, now),
    )


def store_message(
    db: sqlite3.Connection, room: str, message: NewMessage, now: Instant
) -> int | None:
    """Store a message; return its id, None if it is there already."""
    stored = db.execute(
        "INSERT OR IGNORE INTO messages"
        " (room, accepted_at, digest, kind, octets, stored_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            room,
            message.accepted_at,
            message.digest,
            message.kind,
            message.octets,
            now,
        ),
    )
    return stored.lastrowid if stored.rowcount else None


def deliver(
    db: sqlite3.Connection,
    room: str,
    hub: str,
    message: NewMessage,
    id_: int,
    attached: dict[str, str],
    now: Instant,
) -> set[str]:
    """Append a stored message to streams; return whose.

    Who gets a Welcome gets all that comes after it: the device could not ask for the
    stream before it read that, and would miss what comes in between.
    """
    if message.only_devices is not None:
        devices = known_devices(db, message.only_devices)
        for device in sorted(devices):
            attach(db, room, hub, device, now)
        attached |= attached_devices(db, room)
    else:
        devices = {
            device
            for device, user in attached.items()
            if user not in message.withheld_users
        }
    own = message.own
    rows: list[tuple[str, EventKind, int | None, bytes]] = [
        (device, message.kind, id_, b"")
        for device in sorted(devices)
        if own is None or device != own.device
    ]
    if own is not None and own.device in devices:
        rows.append((own.device, EventKind.OWN, None, own.data))
    db.executemany(
        "INSERT INTO events"
        " (device, kind, room, accepted_at, message, data, stored_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (device, kind, room, message.accepted_at, reference, data, now)
            for device, kind, reference, data in rows
        ],
    )
    return devices


def known_devices(db: sqlite3.Connection, devices: Iterable[str]) -> set[str]:
    """Return those that exist."""
    return {
        device
        for device in devices
        if db.execute("SELECT 1 FROM devices WHERE device = ?", (device,)).fetchone()
    }


def append_event(
    db: sqlite3.Connection,
    devices: Iterable[str],
    kind: EventKind,
    data: bytes,
    room: str,
    now: Instant,
) -> frozenset[str]:
    """Append an event that is no message; return whose streams grew."""
    known = known_devices(db, devices)
    db.executemany(
        "INSERT INTO events (device, kind, room, data, stored_at)"
        " VALUES (?, ?, ?, ?, ?)",
        [(device, kind, room, data, now) for device in sorted(known)],
    )
    return frozenset(known)


def enqueue(
    db: sqlite3.Connection, room: str, message: NewMessage, id_: int, now: Instant
) -> frozenset[str]:
    """Append a stored message to followers' queues; return whose.

    Where they are many, the message is noted down for `spread_waiting`; so are those
    that come after it in its room, as the order must stay. A Welcome goes at once: it
    opens queues again, which must not see what was said before it.
    """
    if message.kind is EventKind.WELCOME:
        spread_waiting(db, room, now=now)
        for follower in message.followers:
            reopen(db, room, follower, now)
    elif message.followers and (
        len(message.followers) > AT_ONCE_MAX or _waits(db, room)
    ):
        db.execute(
            "INSERT INTO unspread (message, room, followers) VALUES (?, ?, ?)",
            (id_, room, json.dumps(sorted(message.followers))),
        )
        return message.followers
    return _into_queues(db, room, [(id_, message.followers)], now)


def _waits(db: sqlite3.Connection, room: str) -> bool:
    found = db.execute("SELECT 1 FROM unspread WHERE room = ? LIMIT 1", (room,))
    return found.fetchone() is not None


def spread_waiting(
    db: sqlite3.Connection, room: str, *, count_max: int = -1, now: Instant
) -> int:
    """Put messages that wait in a room into their queues; return how many.

    Args:
        db: in a transaction.
        room: URI.
        count_max: of messages; -1: all.
        now: when new queues are due.
    """
    rows = db.execute(
        "SELECT message, followers FROM unspread WHERE room = ?"
        " ORDER BY message LIMIT ?",
        (room, count_max),
    ).fetchall()
    if rows:
        messages = [(id_, frozenset(json.loads(whom))) for id_, whom in rows]
        _into_queues(db, room, messages, now)
        db.execute(
            "DELETE FROM unspread WHERE room = ? AND message <= ?", (room, rows[-1][0])
        )
    return len(rows)


def _into_queues(
    db: sqlite3.Connection,
    room: str,
    messages: Sequence[tuple[int, frozenset[str]]],
    now: Instant,
) -> frozenset[str]:
    """Append messages to the queues that take any; return whose grew."""
    followers = frozenset[str]().union(*(whom for _, whom in messages))
    states = _states(db, room, followers)
    db.executemany(
        "INSERT INTO queues (room, follower, state, next_at) VALUES (?, ?, ?, ?)",
        [
            (room, follower, QueueState.OPEN, now)
            for follower in sorted(followers - states.keys())
        ],
    )
    closed = {
        follower
        for follower, state in states.items()
        if state in (QueueState.GONE, QueueState.UNREACHABLE)
    }
    grown = followers - closed
    db.executemany(
        "INSERT INTO outbox (room, follower, message) VALUES (?, ?, ?)",
        [
            (room, follower, id_)
            for follower in sorted(
                grown
            )  # neighbours in the table, one after the other
            for id_, whom in messages
            if follower in whom
        ],
    )
    return grown


def _states(
    db: sqlite3.Connection, room: str, followers: frozenset[str]
) -> dict[str, str]:
    """Return the states of those queues of followers that there are."""
    if len(followers) > AT_ONCE_MAX:
        rows = db.execute(
            "SELECT follower, state FROM queues WHERE room = ?", (room,)
        ).fetchall()
        return {follower: state for follower, state in rows if follower in followers}
    found = {}
    for follower in followers:
        row = db.execute(
            "SELECT state FROM queues WHERE room = ? AND follower = ?",
            (room, follower),
        ).fetchone()
        if row is not None:
            found[follower] = row[0]
    return found


def reopen(db: sqlite3.Connection, room: str, follower: str, now: Instant) -> None:
    """Let a queue that was given up move again."""
    db.execute(
        "UPDATE queues SET state = ?, detail = '', attempts = 0, next_at = ?,"
        " failing_since = NULL, batch_last = NULL"
        " WHERE room = ? AND follower = ? AND state IN (?, ?)",
        (
            QueueState.OPEN,
            now,
            room,
            follower,
            QueueState.GONE,
            QueueState.UNREACHABLE,
        ),
    )

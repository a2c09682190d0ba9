"""What followers have not got yet: one ordered queue per room and follower."""

import json
import sqlite3
from collections.abc import Collection, Sequence
from typing import Any, Final

from sabir.clock import Instant
from sabir.storage.provider.records import (
    DeadLetter,
    QueuedMessage,
    QueueRecord,
    QueueState,
)
from sabir.storage.sqlite.part import Part
from sabir.storage.sqlite.provider.spreading import spread_waiting

_QUEUE: Final = (  # counted no further than anybody waits for
    "SELECT room, follower, state, detail, batch_last, attempts, next_at,"
    " failing_since, (SELECT count(*) FROM (SELECT 1 FROM outbox o"
    " WHERE o.room = q.room AND o.follower = q.follower"
    " LIMIT 100001)) FROM queues q"
)

_DUE: Final = (
    " WHERE state = 'open' AND next_at <= ?"
    " AND follower NOT IN (SELECT value FROM json_each(?))"
    " ORDER BY next_at LIMIT ?"
)


class SqliteOutbox(Part):
    """Implements `sabir.storage.provider.ports.Outbox`."""

    async def spread(self, *, count_max: int, now: Instant) -> bool:
        """See `Outbox.spread`."""

        def change(db: sqlite3.Connection) -> bool:
            left = count_max
            while left > 0:
                row = db.execute(
                    "SELECT room FROM unspread ORDER BY message LIMIT 1"
                ).fetchone()
                if row is None:
                    return False
                left -= spread_waiting(db, row[0], count_max=left, now=now)
            return True

        waits = self._database.read(
            lambda db: db.execute("SELECT 1 FROM unspread LIMIT 1").fetchone()
        )
        return waits is not None and await self._database.write(change)

    async def due_queues(
        self, *, now: Instant, count_max: int, skip: Collection[str] = ()
    ) -> Sequence[QueueRecord]:
        """See `Outbox.due_queues`."""
        skipped = json.dumps(sorted(skip))
        rows = self._database.read(
            lambda db: db.execute(
                _QUEUE + _DUE,
                (now, skipped, count_max),
            ).fetchall()
        )
        return [queue for row in rows if (queue := _queue(row)).waiting]

    async def next_due_at(self) -> Instant | None:
        """See `Outbox.next_due_at`."""
        (at,) = self._database.read(
            lambda db: db.execute(
                "SELECT min(next_at) FROM queues WHERE state = 'open'"
            ).fetchone()
        )
        return None if at is None else Instant(at)

    async def queues(self) -> Sequence[QueueRecord]:
        """See `Outbox.queues`."""
        rows = self._database.read(
            lambda db: db.execute(_QUEUE + " ORDER BY room, follower").fetchall()
        )
        return [_queue(row) for row in rows]

    async def batch(
        self, room: str, follower: str, *, count_max: int, octets_max: int
    ) -> Sequence[QueuedMessage]:
        """See `Outbox.batch`."""

        def change(db: sqlite3.Connection) -> Sequence[QueuedMessage]:
            last = _batch_last(db, room, follower)
            if last is None:
                chosen = _choose(db, room, follower, count_max, octets_max)
                if chosen:
                    _set_batch(db, room, follower, chosen[-1].id)
                return chosen
            return _messages(db, room, follower, last, count_max)

        return await self._database.write(change)

    async def batch_done(self, room: str, follower: str) -> None:
        """See `Outbox.batch_done`."""

        def change(db: sqlite3.Connection) -> None:
            _drop_batch(db, room, follower)
            db.execute(
                "UPDATE queues SET batch_last = NULL, attempts = 0, next_at = 0,"
                " failing_since = NULL, detail = ''"
                " WHERE room = ? AND follower = ?",
                (room, follower),
            )
            _drop_empty(db, room, follower)

        await self._database.write(change)

    async def batch_failed(
        self, room: str, follower: str, detail: str, *, next_at: Instant, now: Instant
    ) -> None:
        """See `Outbox.batch_failed`."""
        await self._database.write(
            lambda db: db.execute(
                "UPDATE queues SET attempts = attempts + 1, next_at = ?, detail = ?,"
                " failing_since = coalesce(failing_since, ?)"
                " WHERE room = ? AND follower = ?",
                (next_at, detail, now, room, follower),
            )
        )

    async def batch_halved(self, room: str, follower: str) -> None:
        """See `Outbox.batch_halved`."""

        def change(db: sqlite3.Connection) -> None:
            last = _batch_last(db, room, follower)
            ids = [
                id_
                for (id_,) in db.execute(
                    "SELECT message FROM outbox"
                    " WHERE room = ? AND follower = ? AND message <= ?"
                    " ORDER BY message",
                    (room, follower, last),
                )
            ]
            if len(ids) > 1:
                _set_batch(db, room, follower, ids[len(ids) // 2 - 1])

        await self._database.write(change)

    async def batch_died(
        self, room: str, follower: str, reason: str, *, now: Instant
    ) -> None:
        """See `Outbox.batch_died`."""

        def change(db: sqlite3.Connection) -> None:
            last = _batch_last(db, room, follower)
            db.execute(
                "INSERT INTO dead_letters (room, follower, octets, reason, died_at)"
                " SELECT o.room, o.follower, m.octets, ?, ? FROM outbox o"
                " JOIN messages m ON m.id = o.message"
                " WHERE o.room = ? AND o.follower = ? AND o.message <= ?"
                " ORDER BY o.message",
                (reason, now, room, follower, last),
            )
            _drop_batch(db, room, follower)
            db.execute(
                "UPDATE queues SET batch_last = NULL, attempts = 0, next_at = ?,"
                " failing_since = NULL, detail = ?"
                " WHERE room = ? AND follower = ?",
                (now, reason, room, follower),
            )
            _drop_empty(db, room, follower)

        await self._database.write(change)

    async def set_queue_state(
        self, room: str, follower: str, state: QueueState, detail: str, *, now: Instant
    ) -> None:
        """See `Outbox.set_queue_state`."""

        def change(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE queues SET state = ?, detail = ?, next_at = ?, attempts = 0,"
                " failing_since = NULL"
                " WHERE room = ? AND follower = ?",
                (state, detail, now, room, follower),
            )
            if state in (QueueState.GONE, QueueState.UNREACHABLE):
                db.execute(
                    "DELETE FROM outbox WHERE room = ? AND follower = ?",
                    (room, follower),
                )
                db.execute(
                    "UPDATE queues SET batch_last = NULL"
                    " WHERE room = ? AND follower = ?",
                    (room, follower),
                )

        await self._database.write(change)

    async def dead_letters(self, *, count_max: int) -> Sequence[DeadLetter]:
        """See `Outbox.dead_letters`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT id, room, follower, octets, reason, died_at FROM dead_letters"
                " ORDER BY id DESC LIMIT ?",
                (count_max,),
            ).fetchall()
        )
        return [
            DeadLetter(
                id=id_,
                room=room,
                follower=follower,
                octets=octets,
                reason=reason,
                died_at=Instant(at),
            )
            for id_, room, follower, octets, reason, at in rows
        ]


def _queue(row: tuple[Any, ...]) -> QueueRecord:
    room, follower, state, detail, last, attempts, next_at, failing, waiting = row
    return QueueRecord(
        room=room,
        follower=follower,
        state=QueueState(state),
        detail=detail,
        batch_last=last,
        attempts=attempts,
        next_at=Instant(next_at),
        failing_since=None if failing is None else Instant(failing),
        waiting=waiting,
    )


def _batch_last(db: sqlite3.Connection, room: str, follower: str) -> int | None:
    row = db.execute(
        "SELECT batch_last FROM queues WHERE room = ? AND follower = ?",
        (room, follower),
    ).fetchone()
    return None if row is None else row[0]


def _set_batch(db: sqlite3.Connection, room: str, follower: str, last: int) -> None:
    db.execute(
        "UPDATE queues SET batch_last = ? WHERE room = ? AND follower = ?",
        (last, room, follower),
    )


def _choose(
    db: sqlite3.Connection, room: str, follower: str, count_max: int, octets_max: int
) -> list[QueuedMessage]:
    chosen: list[QueuedMessage] = []
    octets = 0
    for message in _messages(db, room, follower, None, count_max):
        octets += len(message.octets)
        if chosen and octets > octets_max:
            break
        chosen.append(message)
    return chosen


def _messages(
    db: sqlite3.Connection, room: str, follower: str, last: int | None, count_max: int
) -> list[QueuedMessage]:
    rows = db.execute(
        "SELECT m.id, m.octets, m.stored_at FROM outbox o"
        " JOIN messages m ON m.id = o.message"
        " WHERE o.room = ? AND o.follower = ? AND (? IS NULL OR o.message <= ?)"
        " ORDER BY o.message LIMIT ?",
        (room, follower, last, last, count_max),
    )
    return [
        QueuedMessage(id=id_, octets=octets, stored_at=Instant(at))
        for id_, octets, at in rows
    ]


def _drop_batch(db: sqlite3.Connection, room: str, follower: str) -> None:
    db.execute(
        "DELETE FROM outbox WHERE room = ? AND follower = ? AND message <="
        " (SELECT batch_last FROM queues q WHERE q.room = ? AND q.follower = ?)",
        (room, follower, room, follower),
    )


def _drop_empty(db: sqlite3.Connection, room: str, follower: str) -> None:
    """Forget an open queue without messages, so that looking stays cheap."""
    db.execute(
        "DELETE FROM queues"
        " WHERE room = ? AND follower = ? AND state = 'open' AND NOT EXISTS"
        " (SELECT 1 FROM outbox o WHERE o.room = ? AND o.follower = ?)",
        (room, follower, room, follower),
    )

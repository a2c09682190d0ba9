"""Rooms in hub order: append, read, reactions in force."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sabir.clock import Instant
from sabir.content.model import MessageId
from sabir.errors import LocalError
from sabir.storage.records import (
    EntryRecord,
    NewEntry,
    PortalId,
    ReactionRecord,
    RoomId,
)
from sabir.storage.sqlite.part import Part

_SELECT: Final = """
SELECT seq, entry, kind, author, author_name, target, emoji, content, origin,
       received_at, sent_at, accepted_at
FROM timeline
"""
_AFTER: Final = _SELECT + "WHERE room = ? AND seq > ? ORDER BY seq LIMIT ?"
_BY_ENTRY: Final = _SELECT + "WHERE entry = ?"
_BY_SUBMISSION: Final = _SELECT + "WHERE room = ? AND submission = ?"
_LAST_EDIT: Final = (
    _SELECT
    + "WHERE target = ? AND kind = 'edited' AND seq < ? ORDER BY seq DESC LIMIT 1"
)
_LAST_SAID: Final = """
SELECT s.entry FROM (
    SELECT seq, entry FROM timeline
    WHERE room = :room AND seq < :before
      AND (:author IS NULL OR author = :author)
      AND (:not_from IS NULL OR origin IS NOT :not_from)
      AND (kind = 'said' OR kind = 'event' AND :author IS NULL)
    ORDER BY seq DESC LIMIT 1
) s
WHERE NOT EXISTS (SELECT 1 FROM timeline
    WHERE room = :room AND seq > s.seq AND seq < :before
      AND (:author IS NULL OR author = :author)
      AND (:not_from IS NULL OR origin IS NOT :not_from)
      AND kind = 'edited' AND target <> s.entry)
"""
_INSERT: Final = """
INSERT INTO timeline (room, seq, entry, submission, kind, author, author_name,
    target, emoji, content, origin, received_at, sent_at, accepted_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_REACTIONS: Final = """
SELECT r.entry, r.emoji FROM timeline r
WHERE r.target = :target AND r.kind = 'reacted'
  AND (:author IS NULL OR r.author = :author)
  AND (:not_from IS NULL OR r.origin IS NOT :not_from)
  AND (:until IS NULL OR r.seq <= :until)
  AND NOT EXISTS (SELECT 1 FROM timeline d WHERE d.target = r.entry
    AND d.kind = 'deleted' AND (:until IS NULL OR d.seq <= :until))
ORDER BY r.seq
"""


def _entry(row: tuple[object, ...]) -> EntryRecord:
    (
        seq,
        entry,
        kind,
        author,
        name,
        target,
        emoji,
        content,
        origin,
        received,
        sent,
        accepted,
    ) = row
    return EntryRecord(  # the columns' types are enforced by STRICT tables
        seq=seq,  # type: ignore[arg-type]
        entry=entry,  # type: ignore[arg-type]
        kind=kind,  # type: ignore[arg-type]
        author=author,  # type: ignore[arg-type]
        author_name=name,  # type: ignore[arg-type]
        target=target,  # type: ignore[arg-type]
        emoji=emoji,  # type: ignore[arg-type]
        content=content,  # type: ignore[arg-type]
        origin=origin,  # type: ignore[arg-type]
        received_at=received,  # type: ignore[arg-type]
        sent_at=sent,  # type: ignore[arg-type]
        accepted_at=accepted,  # type: ignore[arg-type]
    )


class SqliteTimeline(Part):
    """Implements `sabir.storage.ports.Timeline`."""

    async def append(
        self, room: RoomId, entries: Sequence[NewEntry], *, now: Instant
    ) -> Sequence[EntryRecord]:
        """See `Timeline.append`."""

        def change(db: sqlite3.Connection) -> list[EntryRecord]:
            row = db.execute(
                "SELECT last_seq, last_at FROM rooms WHERE id = ?", (room,)
            ).fetchone()
            if row is None:
                raise LocalError(f"append to a room that does not exist: {room}")
            seq, at = row
            accepted = []
            for entry in entries:
                old = _submitted(db, room, entry)
                if old is not None:
                    accepted.append(old)
                else:
                    # Strictly increasing, whatever the clock does (MIMI.md D-22).
                    seq, at = seq + 1, max(at + 1, now)
                    accepted.append(put_entry(db, room, entry, seq, Instant(at)))
                _mark_done(db, entry)
            db.execute(
                "UPDATE rooms SET last_seq = ?, last_at = ? WHERE id = ?",
                (seq, at, room),
            )
            return accepted

        return await self._database.write(change)

    async def after(
        self, room: RoomId, seq: int, *, count_max: int
    ) -> Sequence[EntryRecord]:
        """See `Timeline.after`."""
        rows = self._database.read(
            lambda db: db.execute(
                _AFTER,
                (room, seq, count_max),
            ).fetchall()
        )
        return [_entry(row) for row in rows]

    async def entries(
        self, ids: Iterable[MessageId]
    ) -> Mapping[MessageId, EntryRecord]:
        """See `Timeline.entries`."""

        def question(db: sqlite3.Connection) -> dict[MessageId, EntryRecord]:
            found = {}
            for each in ids:
                row = db.execute(_BY_ENTRY, (each,)).fetchone()
                if row is not None:
                    found[each] = _entry(row)
            return found

        return self._database.read(question)

    async def last_version(
        self, target: MessageId, *, before: int
    ) -> EntryRecord | None:
        """See `Timeline.last_version`."""
        row = self._database.read(
            lambda db: db.execute(_LAST_EDIT, (target, before)).fetchone()
        )
        return None if row is None else _entry(row)

    async def last_said(
        self,
        room: RoomId,
        author: str | None,
        *,
        before: int,
        not_from: PortalId | None = None,
    ) -> MessageId | None:
        """See `Timeline.last_said`."""
        named = {
            "room": room,
            "author": author,
            "before": before,
            "not_from": not_from,
        }
        row = self._database.read(lambda db: db.execute(_LAST_SAID, named).fetchone())
        return None if row is None else MessageId(row[0])

    async def reactions(
        self,
        target: MessageId,
        author: str | None,
        *,
        until: int | None = None,
        not_from: PortalId | None = None,
    ) -> Sequence[ReactionRecord]:
        """See `Timeline.reactions`."""
        named = {
            "target": target,
            "author": author,
            "until": until,
            "not_from": not_from,
        }
        rows = self._database.read(lambda db: db.execute(_REACTIONS, named).fetchall())
        return [ReactionRecord(entry=entry, emoji=emoji) for entry, emoji in rows]


def place_entry(
    db: sqlite3.Connection, room: RoomId, entry: NewEntry, at: Instant
) -> EntryRecord | None:
    """Append an entry that its room's hub has accepted, in the order of the calls.

    None if the room has it, by its id or its submission. Its inbox event is done.
    """
    _mark_done(db, entry)
    if is_placed(db, room, entry):
        return None
    (seq,) = db.execute(
        "UPDATE rooms SET last_seq = last_seq + 1, last_at = max(last_at, ?)"
        " WHERE id = ? RETURNING last_seq",
        (at, room),
    ).fetchone()
    return put_entry(db, room, entry, seq, at)


def is_placed(db: sqlite3.Connection, room: RoomId, entry: NewEntry) -> bool:
    """Tell whether a room has an entry, by its id or its submission."""
    known = db.execute(_BY_ENTRY, (entry.entry,)).fetchone()
    return known is not None or _submitted(db, room, entry) is not None


def _submitted(
    db: sqlite3.Connection, room: RoomId, entry: NewEntry
) -> EntryRecord | None:
    return entry_of_submission(db, room, entry.submission)


def entry_of_submission(
    db: sqlite3.Connection, room: RoomId, submission: str
) -> EntryRecord | None:
    """Return the entry that a submission became, None if it is not in the room."""
    row = db.execute(_BY_SUBMISSION, (room, submission)).fetchone()
    return None if row is None else _entry(row)


def put_entry(
    db: sqlite3.Connection, room: RoomId, entry: NewEntry, seq: int, at: Instant
) -> EntryRecord:
    """Put an entry at a place that is free."""
    db.execute(
        _INSERT,
        (
            room,
            seq,
            entry.entry,
            entry.submission,
            entry.kind,
            entry.author,
            entry.author_name,
            entry.target,
            entry.emoji,
            entry.content,
            entry.origin,
            entry.received_at,
            entry.sent_at,
            at,
        ),
    )
    _insert_refs(db, entry)
    return EntryRecord(
        seq=seq,
        entry=entry.entry,
        kind=entry.kind,
        author=entry.author,
        author_name=entry.author_name,
        target=entry.target,
        emoji=entry.emoji,
        content=entry.content,
        origin=entry.origin,
        received_at=entry.received_at,
        sent_at=entry.sent_at,
        accepted_at=at,
    )


def _insert_refs(db: sqlite3.Connection, entry: NewEntry) -> None:
    if entry.origin is None:
        return
    insert_refs(db, entry.origin, entry.entry, 0, entry.native_ids, entry.native_author)


def insert_refs(
    db: sqlite3.Connection,
    portal: PortalId,
    entry: MessageId,
    part: int,
    native_ids: Sequence[str],
    author: str,
) -> None:
    """Record under which native ids (the first is *the* id) a message is known."""
    db.executemany(
        "INSERT OR IGNORE INTO native_refs"
        " (portal, native_id, entry, part, alias, author) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (portal, native_id, entry, part, int(number > 0), author)
            for number, native_id in enumerate(native_ids)
            if native_id
        ],
    )


def _mark_done(db: sqlite3.Connection, entry: NewEntry) -> None:
    if entry.inbox_seq is not None:
        db.execute("UPDATE inbox SET state = 'done' WHERE seq = ?", (entry.inbox_seq,))

"""Rooms at a provider: our device, memberships, and what waits to be done."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sabir.clock import Instant
from sabir.content.model import MessageId
from sabir.errors import LocalError, PolicyRefused
from sabir.mimi.member.status import next_status
from sabir.storage.membership import (
    DraftRecord,
    HomeRecord,
    InvitationRecord,
    KeyPackageRecord,
    MembershipRecord,
    MembershipState,
    Notice,
    NoticeRecord,
    PlacedEntry,
    Provenance,
    Receipt,
    Step,
    WishFate,
    WishRecord,
)
from sabir.storage.records import EntryRecord, NewEntry, PortalId, RoomId
from sabir.storage.sqlite.part import Part
from sabir.storage.sqlite.timeline import entry_of_submission, place_entry

DRAFTS_MAX: Final = 10_000
"""Contents that may wait in one room: a busy chat, and a hub that is down for a day."""
WISHES_MAX: Final = 1_000
"""What may be wanted in one room at a time."""
NOTICES_MAX: Final = 5_000
"""What people have not looked at by then, they will not."""

_HOME: Final = """
SELECT domain, address, roots, name, user, device, signature, tokens, cursor
FROM home
"""
_SET_HOME: Final = """
INSERT INTO home (one, domain, address, roots, name, user, device, signature, tokens,
    cursor, created_at)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET domain = excluded.domain, address = excluded.address,
    roots = excluded.roots, name = excluded.name, user = excluded.user,
    device = excluded.device, signature = excluded.signature,
    tokens = excluded.tokens, cursor = excluded.cursor
"""
_PACKAGES: Final = """
SELECT ref, sealed, not_after, last_resort, uploaded FROM key_packages
"""
_MEMBERSHIPS: Final = "SELECT room, place, state, group_id, detail FROM memberships "
_DRAFT: Final = """
SELECT id, submission, entry, kind, author, author_name, target, emoji, content,
       origin, inbox_seq, native_ids, native_author, received_at, sent_at, refused
FROM drafts
"""
_ADD_DRAFT: Final = """
INSERT OR IGNORE INTO drafts (room, submission, entry, kind, author, author_name,
    target, emoji, content, origin, inbox_seq, native_ids, native_author, received_at,
    sent_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_PROVENANCE: Final = """
INSERT OR IGNORE INTO provenance (entry, room, sender, client, topic, verdict, tag,
    frank, framing)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_PROVENANCE: Final = """
SELECT sender, client, topic, verdict, tag, frank, framing FROM provenance
WHERE entry = ?
"""
_LAST_NAME: Final = """
SELECT author_name FROM timeline WHERE room = ? AND author = ? AND kind = 'said'
ORDER BY seq DESC LIMIT 1
"""
_IS_TOPIC: Final = """
SELECT EXISTS (SELECT 1 FROM provenance WHERE room = :room AND topic = :topic)
    OR EXISTS (SELECT 1 FROM timeline WHERE entry = :topic AND room = :room)
"""
_PUT_RECEIPT: Final = """
INSERT INTO receipts (entry, user, status, at) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET status = excluded.status, at = excluded.at
"""
_NOTICES: Final = """
SELECT id, room, kind, detail, at FROM notices
WHERE id > :after AND (:room IS NULL OR room = :room)
ORDER BY id DESC LIMIT :count_max
"""


class SqliteHome(Part):
    """Implements `sabir.storage.membership.Home`."""

    async def home(self) -> HomeRecord | None:
        """See `Home.home`."""
        row = self._database.read(lambda db: db.execute(_HOME).fetchone())
        if row is None:
            return None
        domain, address, roots, name, user, device, signature, tokens, cursor = row
        return HomeRecord(
            domain=domain,
            address=address,
            roots=roots,
            name=name,
            user=user,
            device=device,
            signature=signature,
            tokens=tokens,
            cursor=cursor,
        )

    async def set_home(self, home: HomeRecord, *, now: Instant) -> None:
        """See `Home.set_home`."""
        await self._database.write(
            lambda db: db.execute(
                _SET_HOME,
                (
                    home.domain,
                    home.address,
                    home.roots,
                    home.name,
                    home.user,
                    home.device,
                    home.signature,
                    home.tokens,
                    home.cursor,
                    now,
                ),
            )
        )

    async def set_tokens(self, tokens: bytes) -> None:
        """See `Home.set_tokens`."""
        await self._database.write(
            lambda db: db.execute("UPDATE home SET tokens = ?", (tokens,))
        )

    async def move_cursor(self, cursor: int) -> None:
        """See `Home.move_cursor`."""
        await self._database.write(lambda db: _move_cursor(db, cursor))

    async def add_key_packages(self, packages: Iterable[KeyPackageRecord]) -> None:
        """See `Home.add_key_packages`."""
        rows = [
            (each.ref, each.sealed, each.not_after, each.last_resort, each.uploaded)
            for each in packages
        ]
        await self._database.write(
            lambda db: db.executemany(
                "INSERT INTO key_packages (ref, sealed, not_after, last_resort,"
                " uploaded) VALUES (?, ?, ?, ?, ?)",
                rows,
            )
        )

    async def key_packages_uploaded(self, refs: Iterable[bytes]) -> None:
        """See `Home.key_packages_uploaded`."""
        rows = [(ref,) for ref in refs]
        await self._database.write(
            lambda db: db.executemany(
                "UPDATE key_packages SET uploaded = 1 WHERE ref = ?", rows
            )
        )

    async def key_packages(
        self, refs: Iterable[bytes] | None = None
    ) -> Sequence[KeyPackageRecord]:
        """See `Home.key_packages`."""

        def question(
            db: sqlite3.Connection,
        ) -> list[tuple[bytes, bytes, int, int, int]]:
            if refs is None:
                return db.execute(_PACKAGES + "ORDER BY not_after, ref").fetchall()
            found = []
            for ref in refs:
                found += db.execute(_PACKAGES + "WHERE ref = ?", (ref,)).fetchall()
            return found

        return [
            KeyPackageRecord(
                ref=ref,
                sealed=sealed,
                not_after=Instant(not_after),
                last_resort=bool(last_resort),
                uploaded=bool(uploaded),
            )
            for ref, sealed, not_after, last_resort, uploaded in self._database.read(
                question
            )
        ]

    async def forget_key_packages(self, *, before: Instant) -> int:
        """See `Home.forget_key_packages`."""
        return await self._database.write(
            lambda db: (
                db.execute(
                    "DELETE FROM key_packages WHERE not_after < ?", (before,)
                ).rowcount
            )
        )


class SqliteMemberships(Part):
    """Implements `sabir.storage.membership.Memberships`."""

    async def memberships(self) -> Sequence[MembershipRecord]:
        """See `Memberships.memberships`."""
        rows = self._database.read(
            lambda db: db.execute(_MEMBERSHIPS + "ORDER BY created_at, room").fetchall()
        )
        return [_membership(row) for row in rows]

    async def membership(self, room: RoomId) -> MembershipRecord | None:
        """See `Memberships.membership`."""
        row = self._database.read(
            lambda db: db.execute(_MEMBERSHIPS + "WHERE room = ?", (room,)).fetchone()
        )
        return None if row is None else _membership(row)

    async def member_rows(self, room: RoomId, place: int) -> Mapping[bytes, bytes]:
        """See `Memberships.member_rows`."""
        return dict(
            self._database.read(
                lambda db: db.execute(
                    "SELECT key, sealed FROM member_rows WHERE room = ? AND place = ?",
                    (room, place),
                ).fetchall()
            )
        )

    async def take_step(self, step: Step, *, now: Instant) -> Sequence[EntryRecord]:
        """See `Memberships.take_step`."""
        return await self._database.write(lambda db: _take(db, step, now))

    # ---- what waits

    async def wish(self, room: RoomId, sealed: bytes, *, now: Instant) -> int:
        """See `Memberships.wish`."""

        def change(db: sqlite3.Connection) -> int:
            _check_in(db, room)
            _check_below(db, "wishes", room, WISHES_MAX)
            (number,) = db.execute(
                "INSERT INTO wishes (room, sealed, created_at) VALUES (?, ?, ?)"
                " RETURNING id",
                (room, sealed, now),
            ).fetchone()
            return int(number)

        return await self._database.write(change)

    async def wishes(self, room: RoomId) -> Sequence[WishRecord]:
        """See `Memberships.wishes`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT id, sealed, under_way FROM wishes WHERE room = ? ORDER BY id",
                (room,),
            ).fetchall()
        )
        return [
            WishRecord(id=number, sealed=sealed, under_way=bool(under_way))
            for number, sealed, under_way in rows
        ]

    async def drop_wish(self, wish: int) -> None:
        """See `Memberships.drop_wish`."""
        await self._database.write(
            lambda db: db.execute("DELETE FROM wishes WHERE id = ?", (wish,))
        )

    async def draft(
        self, room: RoomId, entries: Sequence[NewEntry]
    ) -> Sequence[MessageId]:
        """See `Memberships.draft`."""

        def change(db: sqlite3.Connection) -> list[MessageId]:
            _check_in(db, room)
            _check_below(db, "drafts", room, DRAFTS_MAX)
            return [_add_draft(db, room, new) for new in entries]

        return await self._database.write(change)

    async def drafts(self, room: RoomId) -> Sequence[DraftRecord]:
        """See `Memberships.drafts`."""
        rows = self._database.read(
            lambda db: db.execute(
                _DRAFT + "WHERE room = ? AND refused = '' ORDER BY id", (room,)
            ).fetchall()
        )
        return [_draft(row) for row in rows]

    async def submitted(
        self, room: RoomId, submissions: Iterable[str]
    ) -> Mapping[str, EntryRecord | str]:
        """See `Memberships.submitted`."""

        def question(db: sqlite3.Connection) -> dict[str, EntryRecord | str]:
            found: dict[str, EntryRecord | str] = {}
            for submission in submissions:
                entry = entry_of_submission(db, room, submission)
                if entry is not None:
                    found[submission] = entry
                    continue
                row = db.execute(
                    "SELECT refused FROM drafts WHERE room = ? AND submission = ?",
                    (room, submission),
                ).fetchone()
                if row is not None and row[0]:
                    found[submission] = str(row[0])
            return found

        return self._database.read(question)

    async def provenance(
        self, entries: Iterable[MessageId]
    ) -> Mapping[MessageId, Provenance]:
        """See `Memberships.provenance`."""

        def question(db: sqlite3.Connection) -> dict[MessageId, Provenance]:
            found = {}
            for entry in entries:
                row = db.execute(_PROVENANCE, (entry,)).fetchone()
                if row is not None:
                    sender, client, topic, verdict, tag, frank, framing = row
                    found[entry] = Provenance(
                        sender=sender,
                        client=client,
                        topic=topic,
                        verdict=verdict,
                        tag=tag,
                        frank=frank,
                        framing=framing,
                    )
            return found

        return self._database.read(question)

    async def names(self, room: RoomId, users: Iterable[str]) -> Mapping[str, str]:
        """See `Memberships.names`."""

        def question(db: sqlite3.Connection) -> dict[str, str]:
            found = {}
            for user in users:
                row = db.execute(_LAST_NAME, (room, user)).fetchone()
                if row is not None:
                    found[user] = row[0]
            return found

        return self._database.read(question)

    async def is_topic(self, room: RoomId, topic: bytes) -> bool:
        """See `Memberships.is_topic`."""
        row = self._database.read(
            lambda db: db.execute(_IS_TOPIC, {"room": room, "topic": topic}).fetchone()
        )
        return bool(row[0])

    async def is_deleted(self, entry: MessageId) -> bool:
        """See `Memberships.is_deleted`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT 1 FROM timeline WHERE target = ? AND kind = 'deleted' LIMIT 1",
                (entry,),
            ).fetchone()
        )
        return row is not None

    async def receipts(self, entry: MessageId) -> Mapping[str, int]:
        """See `Memberships.receipts`."""
        return dict(
            self._database.read(
                lambda db: db.execute(
                    "SELECT user, status FROM receipts WHERE entry = ? ORDER BY user",
                    (entry,),
                ).fetchall()
            )
        )

    async def invite_later(self, invitation: InvitationRecord, *, now: Instant) -> None:
        """See `Memberships.invite_later`."""
        await self._database.write(
            lambda db: db.execute(
                "INSERT INTO invitations (room, user, role, asked_at)"
                " VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET role = excluded.role",
                (invitation.room, invitation.user, invitation.role, now),
            )
        )

    async def invitations(self) -> Sequence[InvitationRecord]:
        """See `Memberships.invitations`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT room, user, role FROM invitations ORDER BY asked_at, room, user"
            ).fetchall()
        )
        return [
            InvitationRecord(room=RoomId(room), user=user, role=role)
            for room, user, role in rows
        ]

    async def drop_invitation(self, room: RoomId, user: str) -> None:
        """See `Memberships.drop_invitation`."""
        await self._database.write(
            lambda db: db.execute(
                "DELETE FROM invitations WHERE room = ? AND user = ?", (room, user)
            )
        )

    async def add_notice(self, room: RoomId, notice: Notice, *, now: Instant) -> None:
        """See `Memberships.add_notice`."""
        await self._database.write(lambda db: _add_notice(db, room, notice, now))

    async def notices(
        self, *, after: int = 0, count_max: int, room: RoomId | None = None
    ) -> Sequence[NoticeRecord]:
        """See `Memberships.notices`."""
        named = {"after": after, "room": room, "count_max": count_max}
        rows = self._database.read(lambda db: db.execute(_NOTICES, named).fetchall())
        return [
            NoticeRecord(
                id=number, room=RoomId(where), kind=kind, detail=detail, at=Instant(at)
            )
            for number, where, kind, detail, at in reversed(rows)
        ]


# ---- one step

_WAITING: Final = "SELECT id FROM drafts WHERE room = ? AND refused = ''"
_OF_ENTRY: Final = "SELECT id FROM drafts WHERE room = ? AND entry = ?"


def _take(db: sqlite3.Connection, step: Step, now: Instant) -> list[EntryRecord]:
    if step.group_id is not None:
        _begin(db, step, now)
    if step.state is not None:
        _set_state(db, step)
    if step.name is not None:
        db.execute("UPDATE rooms SET name = ? WHERE id = ?", (step.name, step.room))
    _write_rows(db, step)
    entries = [_place(db, step.room, placed) for placed in step.entries]
    for receipt in step.receipts:
        _put_receipt(db, receipt, now)
    for notice in step.notices:
        _add_notice(db, step.room, notice, now)
    if step.cursor is not None:
        _move_cursor(db, step.cursor)
    db.executemany(
        "DELETE FROM key_packages WHERE ref = ?", [(ref,) for ref in step.used]
    )
    _move_wishes(db, step)
    for entry, why in step.refused.items():
        _refuse(db, _OF_ENTRY, (step.room, entry), why)
    return [entry for entry in entries if entry is not None]


def _begin(db: sqlite3.Connection, step: Step, now: Instant) -> None:
    """Write down a new membership; the rooms of the timeline get its room."""
    if step.state is None:
        raise LocalError("a membership begins with a state")
    db.execute(
        "INSERT OR IGNORE INTO rooms (id, name, created_at) VALUES (?, '', ?)",
        (step.room, now),
    )
    db.execute(
        "INSERT INTO memberships (room, place, state, group_id, created_at)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET place = excluded.place,"
        " state = excluded.state, group_id = excluded.group_id, detail = ''",
        (step.room, step.place, step.state, step.group_id, now),
    )
    db.execute("UPDATE wishes SET under_way = 0 WHERE room = ?", (step.room,))


def _set_state(db: sqlite3.Connection, step: Step) -> None:
    db.execute(
        "UPDATE memberships SET state = ?, place = ?, detail = ? WHERE room = ?",
        (step.state, step.place, step.detail, step.room),
    )
    if step.state is not MembershipState.JOINING:
        db.execute(
            "DELETE FROM member_rows WHERE room = ? AND place <> ?",
            (step.room, step.place),
        )


def _write_rows(db: sqlite3.Connection, step: Step) -> None:
    if step.forget:
        db.execute("DELETE FROM member_rows WHERE room = ?", (step.room,))
        db.execute("DELETE FROM wishes WHERE room = ?", (step.room,))
        db.execute("DELETE FROM invitations WHERE room = ?", (step.room,))
        _refuse(db, _WAITING, (step.room,), "we are not in the room any more")
        return
    where = (step.room, step.place)
    db.executemany(
        "INSERT INTO member_rows (room, place, key, sealed) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET sealed = excluded.sealed",
        [(*where, key, row) for key, row in step.rows.items() if row is not None],
    )
    db.executemany(
        "DELETE FROM member_rows WHERE room = ? AND place = ? AND key = ?",
        [(*where, key) for key, row in step.rows.items() if row is None],
    )


def _place(
    db: sqlite3.Connection, room: RoomId, placed: PlacedEntry
) -> EntryRecord | None:
    new = placed.new
    row = db.execute(
        _DRAFT + "WHERE room = ? AND entry = ? ORDER BY id", (room, new.entry)
    ).fetchone()
    if row is not None:
        new = _draft(row).new
        db.execute("DELETE FROM drafts WHERE room = ? AND entry = ?", (room, new.entry))
    entry = place_entry(db, room, new, placed.accepted_at)
    origin = placed.provenance
    if entry is not None and origin is not None:
        add_provenance(db, room, new.entry, origin)
    return entry


def add_provenance(
    db: sqlite3.Connection, room: RoomId, entry: MessageId, origin: Provenance
) -> None:
    """Note down who sent an entry."""
    db.execute(
        _ADD_PROVENANCE,
        (
            entry,
            room,
            origin.sender,
            origin.client,
            origin.topic,
            origin.verdict,
            origin.tag,
            origin.frank,
            origin.framing,
        ),
    )


def _put_receipt(db: sqlite3.Connection, receipt: Receipt, now: Instant) -> None:
    row = db.execute(
        "SELECT status FROM receipts WHERE entry = ? AND user = ?",
        (receipt.entry, receipt.user),
    ).fetchone()
    status = next_status(None if row is None else row[0], receipt.status)
    if status is not None:
        db.execute(_PUT_RECEIPT, (receipt.entry, receipt.user, status, now))


def _add_notice(
    db: sqlite3.Connection, room: RoomId, notice: Notice, now: Instant
) -> None:
    db.execute(
        "INSERT INTO notices (room, kind, detail, evidence, at) VALUES (?, ?, ?, ?, ?)",
        (room, notice.kind, notice.detail, notice.evidence, now),
    )
    db.execute(
        "DELETE FROM notices WHERE id <= (SELECT max(id) FROM notices) - ?",
        (NOTICES_MAX,),
    )


def _refuse(
    db: sqlite3.Connection,
    which: str,
    arguments: tuple[object, ...],
    why: str,
) -> None:
    """Give drafts up; the native events that they came from are rejected."""
    for (number,) in db.execute(which, arguments).fetchall():
        db.execute("UPDATE drafts SET refused = ? WHERE id = ?", (why, number))
        db.execute(
            "UPDATE inbox SET state = 'rejected', detail = ?"
            " WHERE seq = (SELECT inbox_seq FROM drafts WHERE id = ?)",
            (why, number),
        )


def _move_wishes(db: sqlite3.Connection, step: Step) -> None:
    match step.wish:
        case WishFate.DONE:
            db.execute(
                "DELETE FROM wishes WHERE room = ? AND under_way = 1", (step.room,)
            )
        case WishFate.AGAIN:
            db.execute("UPDATE wishes SET under_way = 0 WHERE room = ?", (step.room,))
        case None:
            pass
    if step.wish_begun is not None:
        db.execute("UPDATE wishes SET under_way = 1 WHERE id = ?", (step.wish_begun,))


def _move_cursor(db: sqlite3.Connection, cursor: int) -> None:
    db.execute("UPDATE home SET cursor = max(cursor, ?)", (cursor,))


def _add_draft(db: sqlite3.Connection, room: RoomId, new: NewEntry) -> MessageId:
    there = entry_of_submission(db, room, new.submission)
    if there is not None:
        return there.entry
    db.execute(_ADD_DRAFT, _draft_row(room, new))
    (entry,) = db.execute(
        "SELECT entry FROM drafts WHERE room = ? AND submission = ?",
        (room, new.submission),
    ).fetchone()
    return MessageId(entry)


_COUNT: Final = {
    "wishes": "SELECT count(*) FROM wishes WHERE room = ?",
    "drafts": "SELECT count(*) FROM drafts WHERE room = ? AND refused = ''",
}


def _check_below(db: sqlite3.Connection, what: str, room: RoomId, most: int) -> None:
    """Check that not too much waits.

    Raises:
        PolicyRefused: it does.
    """
    (count,) = db.execute(_COUNT[what], (room,)).fetchone()
    if count >= most:
        raise PolicyRefused(
            f"{count} {what} wait in {room}, whose hub does not answer; try again later"
        )


def _check_in(db: sqlite3.Connection, room: RoomId) -> None:
    """Check that somebody will do what is noted down.

    Raises:
        PolicyRefused: we are not in the room.
    """
    row = db.execute("SELECT state FROM memberships WHERE room = ?", (room,)).fetchone()
    if row is None or row[0] in {MembershipState.LEFT, MembershipState.CLOSED}:
        raise PolicyRefused(f"we are not in {room}; `sabir room list` shows where")


# ---- rows


def _membership(row: tuple[str, int, str, bytes, str]) -> MembershipRecord:
    room, place, state, group_id, detail = row
    return MembershipRecord(
        room=RoomId(room),
        place=place,
        state=MembershipState(state),
        group_id=group_id,
        detail=detail,
    )


def _draft_row(room: RoomId, new: NewEntry) -> tuple[object, ...]:
    return (
        room,
        new.submission,
        new.entry,
        new.kind,
        new.author,
        new.author_name,
        new.target,
        new.emoji,
        new.content,
        new.origin,
        new.inbox_seq,
        json.dumps(new.native_ids),
        new.native_author,
        new.received_at,
        new.sent_at,
    )


_DraftRow = tuple[
    int,
    str,
    bytes,
    str,
    str,
    str,
    bytes | None,
    str,
    bytes,
    int | None,
    int | None,
    str,
    str,
    int,
    int,
    str,
]


def _draft(row: _DraftRow) -> DraftRecord:
    (
        number,
        submission,
        entry,
        kind,
        author,
        author_name,
        target,
        emoji,
        content,
        origin,
        inbox_seq,
        native_ids,
        native_author,
        received_at,
        sent_at,
        refused,
    ) = row
    return DraftRecord(
        id=number,
        new=NewEntry(
            entry=MessageId(entry),
            submission=submission,
            kind=kind,
            author=author,
            author_name=author_name,
            content=content,
            target=None if target is None else MessageId(target),
            emoji=emoji,
            origin=None if origin is None else PortalId(origin),
            inbox_seq=inbox_seq,
            native_ids=tuple(json.loads(native_ids)),
            native_author=native_author,
            received_at=Instant(received_at),
            sent_at=Instant(sent_at),
        ),
        refused=refused,
    )

"""What comes in: rows of `chat.db` in their order, then what became of earlier ones.

* The cursor is the last row that was stored, written in the same transaction.
* An own message is dropped if we sent it, held while a send of its chat is open, else
  it is what the owner wrote on another device.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import structlog

from sabir.networks.api import (
    ChatId,
    Delivered,
    Host,
    NativeEvent,
    NativeId,
    Read,
    Signal,
)
from sabir.networks.imessage import names, rows
from sabir.networks.imessage.book import Book
from sabir.networks.imessage.database import Database
from sabir.networks.imessage.envelope import Envelope, Kind, seal
from sabir.networks.imessage.outbox import Outbox
from sabir.networks.imessage.render import Action

ROWS_AT_ONCE: Final = 500
CURSOR: Final = "rows"
"""`<row>/<guid>/<its date, ms>`."""
HELD: Final = "held"
"""JSON list of `[row, chat]`."""
CHANGED: Final = "changed"
"""The newest change that was seen, ms, by the Mac's clock."""
OVERLAP_MS: Final = 300_000
"""A change may be written down minutes after the time it bears."""
FAILED_MS: Final = 900_000
"""Messages gives up on a send within minutes."""
REBUILT_MS: Final = 86_400_000
"""A database that was built again is read from a day before the last message on."""
HELD_MAX: Final = 1_000
SEEN_MAX: Final = 10_000
"""Changes that are known; those in the overlap come again with each look."""

Json = Mapping[str, Any]
_log = structlog.get_logger(__name__)


class Intake:
    """Takes what is new in one account."""

    def __init__(
        self, database: Database, host: Host, book: Book, outbox: Outbox
    ) -> None:
        self._database = database
        self._host = host
        self._book = book
        self._outbox = outbox
        self.chats: set[ChatId] = set(host.chats())
        """Those whose events are handed on."""
        self.row = 0
        self.last_at = 0
        """When the newest message was written, ms, by the Mac's clock."""
        self._guid = ""
        self._changed_at = 0
        self._held: dict[int, ChatId] = {}
        self._seen: dict[str, None] = {}
        self._rebuilt_at = 0
        self._since: dict[ChatId, int] = {}
        self._last: dict[ChatId, NativeId] = {}
        self._signals: list[Signal] = []

    async def open(self, chat: ChatId) -> None:
        """Hand on a chat's events from now on."""
        memory = f"since/{chat}"
        note = await self._host.recall(memory)
        if note is None:
            note = str(self.last_at)
            await self._host.remember(memory, note)
        self._since[chat] = int(note)
        self.chats.add(chat)

    # ---- the cursor

    async def load(self) -> None:
        """Find where to go on."""
        held = json.loads(await self._host.cursor(HELD) or "[]")
        self._held = {row: ChatId(chat) for row, chat in held}
        self._changed_at = int(await self._host.cursor(CHANGED) or 0)
        cursor = await self._host.cursor(CURSOR)
        if cursor is None:
            await self._begin()
            return
        row, self._guid, at = cursor.split("/")
        self.row, self.last_at = int(row), int(at)
        for chat in self.chats:
            note = await self._host.recall(f"since/{chat}")
            if note is not None:
                self._since[chat] = int(note)
        await self._check()

    async def _begin(self) -> None:
        """Begin at the newest message: what was before the account is history."""
        newest = await self._database.newest()
        if newest is not None:
            self._advance(newest)
        self._changed_at = self.last_at
        await self._host.take([], cursors=self._cursors())

    async def _check(self) -> None:
        """See that the cursor's row is still the same message."""
        guid = names.guid(self._guid)
        found = None if guid is None else await self._database.find(guid)
        if guid is None or (found is not None and rows.rowid(found) == self.row):
            return
        newest = await self._database.newest()
        highest = 0 if newest is None else rows.rowid(newest)
        if found is None and highest >= self.row:
            return  # only this one message was deleted
        _log.warning("database_is_another", rows=highest)
        self._rebuilt_at = self.last_at
        self._held = {}
        first = await self._database.first_since(self.last_at - REBUILT_MS)
        self.row = highest if first is None else rows.rowid(first) - 1

    def _advance(self, row: Json) -> None:
        self.row = rows.rowid(row)
        self._guid = rows.guid(row) or ""
        self.last_at = max(self.last_at, rows.number(row, "dateCreated"))
        self._changed_at = max(self._changed_at, rows.number(row, "dateCreated"))

    def _cursors(self) -> dict[str, str]:
        return {
            CURSOR: f"{self.row}/{self._guid}/{self.last_at}",
            HELD: json.dumps(sorted(self._held.items())),
            CHANGED: str(self._changed_at),
        }

    # ---- one look

    async def look(self, *, late: bool) -> None:
        """Take everything that is new.

        Raises:
            Unavailable, CredentialsRefused: the server.
            StorageFailed: nothing of this step was stored.
        """
        await self._take_held(late=late)
        await self._take_rows(late=late)
        await self._take_changes(late=late)
        signals, self._signals = self._signals, []
        for signal in signals:
            self._host.signal(signal)

    async def _take_rows(self, *, late: bool) -> None:
        left = await self._database.count_from(self.row + 1)
        while left > 0:
            low, high = self.row, self.row + ROWS_AT_ONCE
            page = await self._database.between(low, high)
            if not page:
                if not await self._database.count_from(high + 1):
                    return  # not readable yet: a row comes before its chat
                self.row = high
                continue
            await self._take_page(page, low, high, late=late)
            left = 0 if left <= len(page) else await self._left()

    async def _left(self) -> int:
        await asyncio.sleep(0)
        return await self._database.count_from(self.row + 1)

    async def _take_page(
        self, page: list[Json], low: int, high: int, *, late: bool
    ) -> None:
        open_rows = any(rows.chat_of(row) in self.chats for row in page)
        lesser = await self._database.lesser_between(low, high) if open_rows else set()
        events: list[NativeEvent] = []
        for row in page:
            events += await self._of_row(row, lesser=lesser, late=late)
        self._advance(page[-1])
        await self._host.take(events, cursors=self._cursors())

    async def _of_row(
        self, row: Json, *, lesser: set[str], late: bool, was_held: bool = False
    ) -> list[NativeEvent]:
        guid, chat = rows.guid(row), rows.chat_of(row)
        self._book.learn_handle(row.get("handle"))
        if guid is None or chat is None or chat not in self.chats:
            return []
        if self._was_here(chat, row):
            return []
        if rows.number(row, "itemType"):
            await self._book.refresh(chat)
        is_own = rows.is_own(row)
        if is_own and not await self._is_owners(guid, chat, row, was_held=was_held):
            return []
        self._last[chat] = guid
        is_lesser = guid in lesser
        return [
            self._event(chat, guid, kind, row, is_lesser=is_lesser, late=late)
            for kind in _kinds(row)
        ]

    def _was_here(self, chat: ChatId, row: Json) -> bool:
        """Tell whether a message of a database built again was dealt with before.

        What we sent cannot be told from what the owner wrote, and what was before the
        chat was linked is none of ours; the rest is known by its guid.
        """
        at = rows.number(row, "dateCreated")
        if at > self._rebuilt_at:
            return False
        return rows.is_own(row) or at <= self._since.get(chat, self._rebuilt_at)

    async def _is_owners(
        self, guid: NativeId, chat: ChatId, row: Json, *, was_held: bool
    ) -> bool:
        """Tell whether the owner wrote this elsewhere, as far as is known now."""
        if self._outbox.is_ours(guid):
            return False
        if self._outbox.is_busy(chat) and len(self._held) < HELD_MAX:
            self._held[rows.rowid(row)] = chat
            return False
        if was_held or not self._outbox.is_busy(chat):
            return not await self._outbox.claim(chat, row)
        return True

    def _event(
        self,
        chat: ChatId,
        guid: NativeId,
        kind: Kind,
        row: Json,
        *,
        is_lesser: bool = False,
        late: bool,
    ) -> NativeEvent:
        native_id = guid
        if kind in {Kind.EDIT, Kind.UNSEND}:
            native_id = names.edit_id(guid, rows.revision(row))
        elif kind is Kind.FAILED:
            native_id = names.failed_id(guid)
        other = self._book.by_row(rows.number(row, "otherHandle"))
        handle = row.get("handle")
        by = names.person(handle.get("address") if isinstance(handle, dict) else None)
        envelope = Envelope(
            kind=kind,
            message=row,
            me=self._book.me,
            names=self._book.names((by, other, self._book.me)),
            other=other,
            is_lesser=is_lesser,
        )
        return seal(chat, native_id, envelope, late=late)

    # ---- own messages that waited

    async def _take_held(self, *, late: bool) -> None:
        free = {
            row for row, chat in self._held.items() if not self._outbox.is_busy(chat)
        }
        if not free:
            return
        page = await self._database.between(min(free) - 1, max(free))
        events: list[NativeEvent] = []
        for row in page:
            if rows.rowid(row) in free:
                events += await self._of_row(
                    row, lesser=set(), late=late, was_held=True
                )
        for gone in free:
            self._held.pop(gone, None)
        await self._host.take(events, cursors=self._cursors())

    # ---- what became of earlier ones

    async def _take_changes(self, *, late: bool) -> None:
        if not self.row:
            return
        found = await self._database.changed(
            0,
            self.row,
            since_ms=self._changed_at - OVERLAP_MS,
            failed_since_ms=self.last_at - FAILED_MS,
        )
        events: list[NativeEvent] = []
        before = self._changed_at
        for row in found:
            events += self._of_change(row, late=late)
            self._changed_at = max(
                self._changed_at,
                *(rows.number(row, member) for member in _CHANGE_DATES),
            )
        if events or self._changed_at - before > OVERLAP_MS // 2:
            await self._host.take(events, cursors=self._cursors())

    def _of_change(self, row: Json, *, late: bool) -> Iterator[NativeEvent]:
        guid, chat = rows.guid(row), rows.chat_of(row)
        if guid is None or chat is None or chat not in self.chats:
            return
        if rows.is_edited(row):
            kind = Kind.UNSEND if rows.is_unsent(row) else Kind.EDIT
            is_new = self._is_new(f"{guid}:{rows.revision(row)}")
            if is_new and not self._is_our_change(guid, kind, row):
                yield self._event(chat, guid, kind, row, late=late)
        if not rows.is_own(row):
            return
        has_failed = rows.number(row, "error") and self._outbox.is_ours(guid)
        if has_failed and self._is_new(f"{guid}:failed"):
            yield self._event(chat, guid, Kind.FAILED, row, late=late)
        self._receipts(chat, guid, row)

    def _is_our_change(self, guid: NativeId, kind: Kind, row: Json) -> bool:
        action = Action.EDIT if kind is Kind.EDIT else Action.UNSEND
        made = self._outbox.attempts.changes(guid, action)
        if kind is Kind.UNSEND:
            return bool(made)
        return any(each.mark == rows.mark_of(row) for each in made)

    def _receipts(self, chat: ChatId, guid: NativeId, row: Json) -> None:
        """Pass on receipts; only direct chats say who it was."""
        person = self._book.peer(chat)
        if person is None:
            return
        if rows.number(row, "dateRead"):
            if self._is_new(f"{guid}:read"):
                self._signals.append(Read(chat=chat, person=person, native_id=guid))
        elif rows.number(row, "dateDelivered") and self._is_new(f"{guid}:got"):
            self._signals.append(Delivered(chat=chat, person=person, native_id=guid))

    def _is_new(self, what: str) -> bool:
        """Tell whether this is seen for the first time, and remember it."""
        if what in self._seen:
            return False
        self._seen[what] = None
        while len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return True

    def last_of(self, chat: ChatId) -> NativeId | None:
        """Return the newest message of a chat, if one was seen."""
        return self._last.get(chat)


_CHANGE_DATES: Final = ("dateEdited", "dateRetracted", "dateDelivered", "dateRead")


def _kinds(row: Json) -> tuple[Kind, ...]:
    """Return the events of a message that is seen for the first time."""
    if rows.is_unsent(row):
        return (Kind.UNSEND,)
    if rows.is_edited(row):
        return (Kind.MESSAGE, Kind.EDIT)
    return (Kind.MESSAGE,)

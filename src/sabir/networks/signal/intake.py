"""What comes in: stored first, then acknowledged, then understood.

Nothing here asks the daemon: while events wait to be stored, no answer is read.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

import structlog

from sabir.networks.api import (
    ChatId,
    Delivered,
    Host,
    NativeEvent,
    PersonId,
    Read,
    Signal,
    Typing,
)
from sabir.networks.signal import envelope as envelopes
from sabir.networks.signal import names
from sabir.networks.signal.book import Book
from sabir.networks.signal.envelope import UNTRUSTED, inner
from sabir.networks.signal.outbox import Outbox
from sabir.networks.signal.rpc import Daemon
from sabir.networks.signal.trust import Trust

WAITING_MAX: Final = 1_000
"""Received and not stored yet; then nothing more is read from the daemon."""
TAKE_MAX: Final = 200
"""Stored in one transaction."""
TIMESTAMPS_MAX: Final = 1_000
"""Of one receipt; a person who was away reads that many at once at most."""

Json = Mapping[str, Any]

_log = structlog.get_logger(__name__)


class Intake:
    """Takes what the daemon received for one account."""

    def __init__(
        self,
        daemon: Daemon,
        host: Host,
        *,
        number: str,
        book: Book,
        trust: Trust,
        outbox: Outbox,
        waiting: asyncio.Queue[Json],
    ) -> None:
        self._daemon = daemon
        self._host = host
        self._number = number
        self._book = book
        self._trust = trust
        self._outbox = outbox
        self._waiting = waiting
        self.changed_groups: set[str] = set()
        self.contacts_changed = False
        self.wake = asyncio.Event()
        """Set when there is something to ask the daemon about."""
        self.can_acknowledge = False
        """The daemon keeps what was not acknowledged."""
        self.is_lossy = False
        """The daemon receives also when nobody listens, and then forgets."""
        self.chats: set[ChatId] = set()
        """Those whose events are handed on."""

    async def run(self) -> None:
        """Take until cancelled.

        Raises:
            StorageFailed: nothing was acknowledged.
        """
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < TAKE_MAX and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            await self._take(batch)

    async def _take(self, batch: list[Json]) -> None:
        events: list[NativeEvent] = []
        signals: list[Signal] = []
        last_ack: int | None = None
        for params in batch:
            self._note_mode(params)
            result = inner(params, "result") or params
            if result.get("account") not in (None, self._number):
                continue
            ack = params.get("ack")
            last_ack = ack if isinstance(ack, int) else last_ack
            found = inner(result, "envelope")
            if found is None:
                continue
            if await self._is_held(result, found):
                continue
            events += self._messages(found)
            signals += self._signals(found)
        await self._host.take(events)
        if last_ack is not None:
            self.can_acknowledge = True
            self._daemon.tell("ackReceive", {"account": self._number, "ack": last_ack})
        for signal in signals:
            self._host.signal(signal)

    def _note_mode(self, params: Json) -> None:
        """A notification that no subscription asked for: the daemon loses messages."""
        if "envelope" in params and not self.is_lossy and "subscription" not in params:
            self.is_lossy = True
            self.wake.set()

    async def _is_held(self, result: Json, found: Json) -> bool:
        """Tell whether the daemon could not open it; say so to whom it concerns."""
        exception = inner(result, "exception")
        if exception is None:
            return False
        author = envelopes.source(found)
        if exception.get("type") == UNTRUSTED and author is not None:
            await self._trust.lost([author], None)
        else:
            _log.warning("message_not_opened", kind=str(exception.get("type"))[:80])
        return True

    # ---- messages

    def _messages(self, found: Json) -> Iterator[NativeEvent]:
        author = envelopes.source(found)
        if author is not None:
            self._book.learn(author, found.get("sourceName"))
        message = envelopes.said(found, self._book.me)
        if message is None:
            self._note_sync(found)
            return
        self._book.put(message.author, message.sent_at, message.chat)
        if message.is_own and self._outbox.is_ours(message.sent_at):
            return  # our own, told to us once more
        group = inner(message.body, "groupInfo")
        if group is not None and group.get("type") == "UPDATE":
            self.changed_groups.add(str(group.get("groupId")))
            self.wake.set()
        if message.chat in self.chats:
            people = envelopes.people_in(message)
            yield envelopes.seal(
                message, found, self._book.me, self._book.names(people)
            )

    def _note_sync(self, found: Json) -> None:
        sync = inner(found, "syncMessage")
        if sync is not None and sync.get("type") in {"CONTACTS_SYNC", "GROUPS_SYNC"}:
            self.contacts_changed = True
            self.wake.set()

    # ---- signals

    def _signals(self, found: Json) -> Iterator[Signal]:
        author = envelopes.source(found)
        if author is None:
            return
        if (typing := inner(found, "typingMessage")) is not None:
            chat = names.direct(author)
            if "groupId" in typing and typing["groupId"] is not None:
                chat = names.group_chat(typing["groupId"]) or chat
            active = typing.get("action") == "STARTED"
            person = self._book.person(author)
            yield Typing(chat=chat, person=person, active=active)
        elif (receipt := inner(found, "receiptMessage")) is not None:
            yield from self._receipt(author, receipt)
        elif (sync := inner(found, "syncMessage")) is not None:
            yield from self._read_elsewhere(sync)

    def _receipt(self, author: PersonId, receipt: Json) -> Iterator[Signal]:
        """Yield a signal per message; a receipt names no chat, so we remember it."""
        is_read = receipt.get("isRead") is True or receipt.get("isViewed") is True
        times = receipt.get("timestamps")
        for time in times[:TIMESTAMPS_MAX] if isinstance(times, list) else ():
            sent_at = names.timestamp(time)
            if sent_at is None:
                continue
            chat = self._book.chat_of(self._book.me, sent_at) or names.direct(author)
            native_id = names.message_id(self._book.me, sent_at)
            person = self._book.person(author)
            if is_read:
                yield Read(chat=chat, person=person, native_id=native_id)
            else:
                yield Delivered(chat=chat, person=person, native_id=native_id)

    def _read_elsewhere(self, sync: Json) -> Iterator[Signal]:
        """Yield what the owner has read on another device."""
        entries = sync.get("readMessages")
        for entry in entries[:TIMESTAMPS_MAX] if isinstance(entries, list) else ():
            if not isinstance(entry, dict):
                continue
            writer = names.person_id(entry.get("senderUuid"))
            sent_at = names.timestamp(entry.get("timestamp"))
            if writer is not None and sent_at is not None:
                chat = self._book.chat_of(writer, sent_at) or names.direct(writer)
                yield Read(
                    chat=chat,
                    person=self._book.person(self._book.me),
                    native_id=names.message_id(writer, sent_at),
                )

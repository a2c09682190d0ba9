"""From the room out to one network: one worker per portal.

The portal is a cursor on the timeline. For the next entries the worker writes
down what it is about to send, sends, writes down what became of it, and moves
the cursor. When it died or the network broke in between, what was begun and is
not settled is *in doubt*: the connector is asked, and only what certainly did
not arrive is sent again (I3). A batch ends before an entry that refers to one
of the same batch, whose native id is not known yet.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from sabir.agent.accounts import AccountRuntime
from sabir.agent.backoff import Backoff
from sabir.agent.limits import DELIVERY_BATCH_MAX
from sabir.agent.naming import delivery_key
from sabir.agent.outgoing import (
    OutgoingStorage,
    Prepared,
    Preparer,
    meaning_of,
    references,
)
from sabir.agent.portals import Portal
from sabir.clock import Clock
from sabir.content import loss_codec
from sabir.content.loss import LossReport
from sabir.content.model import MessageId
from sabir.errors import Unavailable
from sabir.networks.api import (
    ChatId,
    IdempotencyKey,
    InDoubt,
    NotSent,
    Outcome,
    Outgoing,
    Refused,
    Rng,
    Sent,
)
from sabir.storage.ports import Deliveries
from sabir.storage.records import (
    Attempt,
    DeliveryState,
    EntryRecord,
    OpenAttempt,
    Settlement,
)

FILE_GONE: Final = (
    "the file is not in the spool any more: it waited longer than"
    " limits.raw_event_keep_days or the spool was full; ask for it again"
)

_log = structlog.get_logger()


class DeliveryStorage(OutgoingStorage, Deliveries, Protocol):
    """What this worker needs remembered."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One piece and where it belongs."""

    prepared: Prepared
    part: int

    @property
    def outgoing(self) -> Outgoing:
        return self.prepared.outgoing[self.part]

    @property
    def place(self) -> tuple[int, int]:
        return self.prepared.entry.seq, self.part


class Delivery:
    """Sends the entries of a room into one portal's chat."""

    def __init__(
        self,
        portal: Portal,
        account: AccountRuntime,
        preparer: Preparer,
        *,
        storage: DeliveryStorage,
        clock: Clock,
        rng: Rng,
    ) -> None:
        self._portal = portal
        self._account = account
        self._preparer = preparer
        self._storage = storage
        self._clock = clock
        self._backoff = Backoff(rng)
        self._settled: set[tuple[int, int]] = set()
        self._recovered = False

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            StorageFailed: start again.
        """
        self._recovered = False
        while True:
            self._portal.appended.clear()
            await self._account.connected.wait()
            await self._portal.is_open.wait()
            try:
                busy = await self.work()
            except Unavailable as error:
                self._recovered = False
                wait_ms = self._backoff.next_ms(at_least_ms=error.retry_after_ms)
                _log.info(
                    "delivery_waits",
                    portal=self._portal.id,
                    wait_ms=wait_ms,
                    detail=str(error),
                )
                await self._clock.sleep(wait_ms)
                continue
            self._backoff.success()
            if not busy:
                await self._portal.appended.wait()

    async def work(self) -> bool:
        """Send the next entries; False if none waits.

        Raises:
            Unavailable: the network; what is not settled is in doubt.
            StorageFailed: our database; likewise.
        """
        if not self._recovered:
            await self._recover()
        entries = await self._storage.after(
            self._portal.room, self._portal.cursor, count_max=DELIVERY_BATCH_MAX
        )
        if not entries:
            return False
        batch = await self._prepare(entries)
        await self._send(batch)
        return True

    @property
    def _chat(self) -> ChatId:
        return ChatId(self._portal.chat)

    # ---- preparing

    async def _prepare(self, entries: Sequence[EntryRecord]) -> list[Prepared]:
        capabilities = self._account.connector.capabilities(self._chat)
        batch: list[Prepared] = []
        pieces = 0
        unsettled: set[MessageId] = set()
        for entry in entries:
            if entry.origin == self._portal.id:
                batch.append(
                    Prepared(entry=entry, outgoing=(), loss=LossReport(), is_own=True)
                )
                continue
            meaning = meaning_of(entry)
            if any(each in unsettled for each in references(meaning)):
                break
            prepared = await self._preparer.prepare(entry, meaning, capabilities)
            pieces += len(prepared.outgoing)
            if batch and pieces > self._account.connector.send_window:
                break
            batch.append(prepared)
            unsettled.add(entry.entry)
        return batch

    # ---- sending

    async def _send(self, batch: Sequence[Prepared]) -> None:
        items = [
            _Item(prepared, part)
            for prepared in batch
            for part in range(len(prepared.outgoing))
            if (prepared.entry.seq, part) not in self._settled
        ]
        last = batch[-1].entry.seq
        withheld = [self._withheld(p) for p in batch if p.is_withheld]
        gone = [item for item in items if item.part in item.prepared.missing]
        items = [item for item in items if item.part not in item.prepared.missing]
        withheld += [self._file_gone(item) for item in gone]
        if items:
            await self._begin(items)
            await self._exchange(items)
        await self._storage.settle(
            self._portal.id, withheld, cursor=last, now=self._clock.now()
        )
        self._portal.cursor = last
        self._settled = {place for place in self._settled if place[0] > last}

    def _withheld(self, prepared: Prepared) -> Settlement:
        entry = prepared.entry
        return Settlement(
            seq=entry.seq,
            part=0,
            key=delivery_key(
                self._portal.room,
                self._portal.account,
                self._portal.chat,
                entry.entry,
                0,
            ),
            state=DeliveryState.WITHHELD,
            loss=loss_codec.encode(prepared.loss),
        )

    def _file_gone(self, item: _Item) -> Settlement:
        return Settlement(
            seq=item.prepared.entry.seq,
            part=item.part,
            key=item.outgoing.key,
            state=DeliveryState.REFUSED,
            detail=FILE_GONE,
            loss=_loss(item),
        )

    async def _begin(self, items: Sequence[_Item]) -> None:
        attempts = [
            Attempt(
                seq=item.prepared.entry.seq,
                part=item.part,
                key=item.outgoing.key,
                loss=_loss(item),
            )
            for item in items
        ]
        await self._storage.begin(self._portal.id, attempts, now=self._clock.now())

    async def _exchange(self, items: Sequence[_Item]) -> None:
        """Send pieces, at most a window at a time."""
        window = self._account.connector.send_window
        for start in range(0, len(items), window):
            part = items[start : start + window]
            await self._send_window(part)
            self._settled.update(item.place for item in part)

    async def _send_window(self, items: Sequence[_Item]) -> None:
        """Send one window; outcomes are written down while later ones are under way."""
        settler = _Settler(self._storage, self._portal, self._clock)
        try:
            async with asyncio.TaskGroup() as group:
                failure = await self._pump(items, settler, group)
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        if failure is not None:
            raise failure

    async def _pump(
        self, items: Sequence[_Item], settler: "_Settler", group: asyncio.TaskGroup
    ) -> Unavailable | None:
        """Pass outcomes on to the settler; return what cut it short."""
        by_key: Mapping[IdempotencyKey, _Item] = {i.outgoing.key: i for i in items}
        failure: Unavailable | None = None
        answered = 0
        try:
            async for outcome in self._account.connector.send(
                [item.outgoing for item in items]
            ):
                answered += 1
                settler.add(_settlement(by_key[outcome.key], outcome), group)
        except Unavailable as error:
            failure = error
        await settler.finish()
        if failure is None and answered < len(items):
            failure = Unavailable("the connector answered for fewer pieces than it got")
        return failure

    # ---- after a crash or an interruption

    async def _recover(self) -> None:
        """Settle what is in doubt: ask the network, piece by piece."""
        self._settled = await self._storage.settled_after(
            self._portal.id, self._portal.cursor
        )
        for attempt in await self._storage.open_attempts(self._portal.id):
            settlement = await self._find_out(attempt)
            if settlement is not None:
                await self._storage.settle(
                    self._portal.id, [settlement], cursor=None, now=self._clock.now()
                )
                self._settled.add((attempt.seq, attempt.part))
        self._recovered = True

    async def _find_out(self, attempt: OpenAttempt) -> Settlement | None:
        """Return what became of a piece, None if it must be sent."""
        item = await self._item(attempt)
        if item is not None and item.part in item.prepared.missing:
            return self._file_gone(item)
        if item is None:
            return _ambiguous(attempt, "it renders differently now")
        finding = await self._account.connector.lookup(
            item.outgoing, attempted_at=attempt.attempted_at
        )
        match finding:
            case Sent():
                return _settlement(item, finding)
            case NotSent():
                return None
            case InDoubt(reason=reason):
                _log.warning(
                    "delivery_ambiguous",
                    portal=self._portal.id,
                    seq=attempt.seq,
                    detail=reason,
                )
                return _ambiguous(attempt, reason)

    async def _item(self, attempt: OpenAttempt) -> _Item | None:
        entries = await self._storage.after(
            self._portal.room, attempt.seq - 1, count_max=1
        )
        entry = entries[0]
        prepared = await self._preparer.prepare(
            entry,
            meaning_of(entry),
            self._account.connector.capabilities(self._chat),
        )
        if attempt.part >= len(prepared.outgoing):
            return None
        return _Item(prepared, attempt.part)


class _Settler:
    """Writes outcomes down in groups: one transaction at a time, none waits."""

    def __init__(self, storage: DeliveryStorage, portal: Portal, clock: Clock) -> None:
        self._storage = storage
        self._portal = portal
        self._clock = clock
        self._waiting: list[Settlement] = []
        self._running: asyncio.Task[None] | None = None

    def add(self, settlement: Settlement, group: asyncio.TaskGroup) -> None:
        """Take an outcome; start writing if nobody is."""
        self._waiting.append(settlement)
        if self._running is None or self._running.done():
            self._running = group.create_task(self._write())

    async def finish(self) -> None:
        """Return when everything is written.

        Raises:
            StorageFailed: what was not written is in doubt.
        """
        if self._running is not None:
            await self._running
        await self._write()

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            await self._storage.settle(
                self._portal.id, group, cursor=None, now=self._clock.now()
            )


def _loss(item: _Item) -> bytes | None:
    """Encode the entry's loss report, once per entry."""
    loss = item.prepared.loss
    return loss_codec.encode(loss) if item.part == 0 and loss.items else None


def _settlement(item: _Item, outcome: Outcome) -> Settlement:
    entry = item.prepared.entry
    match outcome:
        case Sent(native_id=native_id, aliases=aliases, author=author, lost=lost):
            return Settlement(
                seq=entry.seq,
                part=item.part,
                key=outcome.key,
                state=DeliveryState.SENT,
                detail="; ".join(lost),
                entry=entry.entry,
                native_ids=(native_id, *aliases) if native_id else (),
                native_author=author or "",
                loss=_loss(item),
            )
        case Refused(reason=reason):
            return Settlement(
                seq=entry.seq,
                part=item.part,
                key=outcome.key,
                state=DeliveryState.REFUSED,
                detail=reason,
                loss=_loss(item),
            )


def _ambiguous(attempt: OpenAttempt, reason: str) -> Settlement:
    return Settlement(
        seq=attempt.seq,
        part=attempt.part,
        key=attempt.key,
        state=DeliveryState.AMBIGUOUS,
        detail=reason,
    )

"""Sends pieces: one part after the other, never one twice.

Before a part is written out, that is written down; so after any interruption it is
known which parts certainly did not go, and which are in doubt. SMPP has no idempotency
key, and query_sm wants the id that a lost answer would have carried: only a receipt
can settle a doubt (`records.alike`).
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sabir.clock import Clock, Instant
from sabir.errors import PolicyRefused, Unavailable
from sabir.networks.api import (
    ChatId,
    Finding,
    Host,
    IdempotencyKey,
    InDoubt,
    NativeId,
    NotSent,
    Outcome,
    Outgoing,
    Refused,
    Rng,
    Sent,
)
from sabir.networks.sms.config import SmsConfig
from sabir.networks.sms.ledger import Ledger
from sabir.networks.sms.link import Link
from sabir.networks.sms.numbers import address_of
from sabir.networks.sms.outbox import Outbox
from sabir.networks.sms.pace import REFUSALS_MAX, Pace
from sabir.networks.sms.pdu import Message, Status
from sabir.networks.sms.records import Change, PartState, Record
from sabir.networks.sms.render import Rendered, messages, render, render_text
from sabir.networks.sms.session import Answered

LOOK_MS: Final = 100
"""How often a piece in doubt is looked at."""
LATE_MAX: Final = 512
"""Requests whose late answer is understood."""
ERROR_REST_MS: Final = 5_000
"""After "system error": the SMSC itself is in trouble."""

STOPPED: Final = (
    "not sent: this person wrote STOP and gets nothing more until they write START"
)
CHANGED: Final = (
    "part of it was sent in another form before the account's settings changed;"
    " the rest is not sent"
)

_REFUSALS: Final = {
    0x0A: "the SMSC does not let your number send; ask your operator",
    0x0B: "the SMSC says that there is no such number",
    0x45: "the SMSC could not pass it on",
    0x48: "the SMSC does not let this kind of sender send",
    0x50: "the SMSC says that the number's form is wrong",
}
_TOO_MUCH: Final = frozenset({Status.THROTTLED, Status.QUEUE_FULL, Status.TEMPORARY})


class Sender:
    """Sends over one link, for the life of it."""

    def __init__(
        self,
        config: SmsConfig,
        host: Host,
        ledger: Ledger,
        *,
        clock: Clock,
        rng: Rng,
        on_change: Callable[[Change], Awaitable[None]],
    ) -> None:
        self._on_change = on_change
        self._config = config
        self._host = host
        self._ledger = ledger
        self._clock = clock
        self._rng = rng
        self._link: Link | None = None
        self._pace = Pace(config.messages_per_second, clock.monotonic_ms())
        self._window = asyncio.Semaphore(config.window)
        self._turns: defaultdict[ChatId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._late: dict[int, tuple[Record, int]] = {}

    @property
    def _outbox(self) -> Outbox:
        return self._ledger.outbox

    def use(self, link: Link) -> None:
        """Send over this link."""
        self._link = link

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Send one piece.

        Raises:
            Unavailable: no connection, no answer, too many messages for now.
            StorageFailed: nothing more was sent.
        """
        key, chat = outgoing.key, outgoing.chat
        if chat in self._ledger.stopped:
            return Refused(key=key, reason=STOPPED)
        rendered = render(outgoing, self._config.writing)
        if isinstance(rendered, str):
            return Refused(key=key, reason=rendered)
        async with self._turns[chat]:
            return await self._send(key, chat, rendered)

    async def reply(self, key: IdempotencyKey, chat: ChatId, text: str) -> Outcome:
        """Send a text of our own (an answer to STOP, START or HELP).

        Raises:
            Unavailable: as for `send`; nobody tries again.
        """
        rendered = render_text(text, self._config.writing)
        assert isinstance(rendered, Rendered), "our own texts are short"
        async with self._turns[chat]:
            return await self._send(key, chat, rendered)

    async def _send(
        self, key: IdempotencyKey, chat: ChatId, rendered: Rendered
    ) -> Outcome:
        try:
            to = address_of(chat)
        except PolicyRefused as refused:
            return Refused(key=key, reason=str(refused))
        record = self._outbox.open(
            key,
            chat,
            rendered.text,
            rendered.encoded.texts,
            first_reference=self._rng(1)[0],
            now=self._clock.now(),
        )
        if len(record.parts) != len(rendered.encoded.parts):
            return Refused(key=key, reason=CHANGED)
        parts = messages(
            rendered.encoded,
            to,
            self._config.writing,
            reference=record.reference,
            numbers=[part.number for part in record.parts],
        )
        for at, message in enumerate(parts):
            reason = await self._part(record, at, message)
            if reason:
                place = f" (part {at + 1} of {len(parts)})" if len(parts) > 1 else ""
                return Refused(key=key, reason=f"not sent{place}: {reason}")
        return sent_of(record)

    async def _part(self, record: Record, at: int, message: Message) -> str:
        """Send one part unless the SMSC has it; return why it will never take it."""
        for _ in range(REFUSALS_MAX):
            if record.parts[at].state is PartState.ACCEPTED:
                return ""
            if record.parts[at].state is PartState.SENDING:
                raise Unavailable("whether the SMSC has this message is unclear")
            await self._turn()
            async with self._window:
                status = await self._submit(record, at, message)
            if status == Status.OK:
                self._pace.accepted()
            elif status in _TOO_MUCH:
                self._pace.refused(self._clock.monotonic_ms())
            elif status == Status.SYSTEM_ERROR:
                raise Unavailable(
                    "the SMSC has an error of its own", retry_after_ms=ERROR_REST_MS
                )
            else:
                return _REFUSALS.get(
                    status, f"the SMSC refuses it with status 0x{status:02x}"
                )
        if record.parts[at].state is PartState.ACCEPTED:
            return ""
        rest_ms = self._pace.refused(self._clock.monotonic_ms())
        raise Unavailable(
            "the SMSC takes no more messages for now; lower messages_per_second if"
            " this goes on",
            retry_after_ms=rest_ms,
        )

    async def _turn(self) -> None:
        while wait_ms := self._pace.wait_ms(self._clock.monotonic_ms()):
            await self._clock.sleep(wait_ms)

    async def _submit(self, record: Record, at: int, message: Message) -> int:
        """Write a part out and return the SMSC's status."""
        outbox, link = self._outbox, self._link
        if link is None or not link.is_open:
            raise Unavailable("not connected to the SMSC")
        outbox.sending(record, at, self._clock.now())
        outbox.live.add((record.key, at))
        written = False
        try:
            await self._ledger.commit()
            sequence, answer = link.submit(message)
            written = True
            self._remember(sequence, record, at)
            answered = await answer
            self._late.pop(sequence, None)
        finally:
            outbox.live.discard((record.key, at))
            if not written:
                outbox.refused(record, at)
        if answered.status == Status.OK:
            await self._accepted(record, at, answered.message_id)
        else:
            outbox.refused(record, at)
            await self._ledger.commit()
        return answered.status

    def _remember(self, sequence: int, record: Record, at: int) -> None:
        """Keep whose answer it will be, should it come late."""
        self._late[sequence] = (record, at)
        while len(self._late) > LATE_MAX:
            del self._late[next(iter(self._late))]

    # ---- what is heard of it

    async def _accepted(self, record: Record, at: int, message_id: str) -> None:
        changes = self._outbox.accepted(record, at, message_id)
        if record.is_accepted:
            await self._note(record)
        await self._ledger.commit()
        for change in changes:
            await self._on_change(change)

    async def _note(self, record: Record) -> None:
        await self._ledger.note(
            record.chat, NativeId(record.key), record.text, ours=True
        )

    async def _settled(self, change: Change) -> None:
        if change.accepted:
            await self._note(change.record)
        await self._ledger.commit()
        await self._on_change(change)

    async def late(self, answered: Answered) -> Sequence[Change]:
        """Take an answer that nobody waits for any more."""
        found = self._late.pop(answered.sequence, None)
        if found is None:
            return ()
        record, at = found
        if answered.status != Status.OK:
            self._outbox.refused(record, at)
            await self._ledger.commit()
            return ()
        changes = self._outbox.accepted(record, at, answered.message_id)
        if record.is_accepted:
            await self._note(record)
            changes = [Change(record=record, accepted=True), *changes]
        return changes

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        """Find out what became of an attempt; see `Connector.lookup`.

        Waits for a receipt as long as `doubt_seconds` after the attempt.
        """
        record = self._outbox.find(piece.key)
        if record is None:
            if self._outbox.forgot(attempted_at):
                return InDoubt("it was sent too long ago to know")
            return NotSent()
        while not record.is_accepted and self._outbox.doubtful(record):
            for change in self._outbox.settle_doubts(record):
                await self._settled(change)
            doubt = self._outbox.doubtful(record)
            if not doubt:
                break
            since = max(record.parts[at].attempted_at for at in doubt)
            if self._clock.now() >= since + self._config.doubt_ms:
                part = f"part {doubt[0] + 1} of {len(record.parts)}: "
                return InDoubt(
                    f"{part if len(record.parts) > 1 else ''}the SMSC did not answer,"
                    " and no receipt has come"
                )
            await self._clock.sleep(LOOK_MS)
        return sent_of(record) if record.is_accepted else NotSent()


def sent_of(record: Record) -> Sent:
    """Return the outcome of a piece that the SMSC has."""
    count = len(record.parts)
    lost = (f"sent as {count} text messages",) if count > 1 else ()
    return Sent(key=record.key, native_id=NativeId(record.key), lost=lost)

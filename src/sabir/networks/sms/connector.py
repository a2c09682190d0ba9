"""One number at one SMSC, as the agent sees it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog

from sabir.clock import Clock, Instant
from sabir.content.capabilities import Capabilities
from sabir.errors import PolicyRefused, Unavailable
from sabir.networks.api import (
    ChatId,
    ChatInfo,
    ChatKind,
    ConnectionState,
    Delivered,
    Finding,
    Host,
    IdempotencyKey,
    Incoming,
    NativeEvent,
    NativeId,
    Outcome,
    Outgoing,
    Person,
    PersonId,
    Refused,
    Rng,
)
from sabir.networks.sms.capabilities import CAPABILITIES
from sabir.networks.sms.config import SmsConfig
from sabir.networks.sms.decode import decode_event
from sabir.networks.sms.envelope import Envelope, Role, pack
from sabir.networks.sms.forms import wants_help, wants_start, wants_stop
from sabir.networks.sms.intake import Intake
from sabir.networks.sms.ledger import Ledger
from sabir.networks.sms.link import Link, opened
from sabir.networks.sms.numbers import is_chat
from sabir.networks.sms.receipts import Fate
from sabir.networks.sms.records import Change
from sabir.networks.sms.sender import Sender, sent_of
from sabir.networks.sms.session import Answered

HOUSEKEEPING_MS: Final = 5_000
"""As long as a session must live for its answers to count (`twins`)."""
HELP_EVERY_MS: Final = 3_600_000
"""One answer to HELP per number and hour: nobody can make us pay for more."""
REPLIES_MAX: Final = 100
"""Answers of our own under way; more are left out."""
LATE_MAX: Final = 256
"""Late answers not worked off yet."""

STOPPED: Final = "You get no more messages from this number. Write START to get them."
STARTED: Final = "You get messages from this number again. Write STOP to end them."
ABOUT: Final = (
    "This number passes messages on between people's messaging apps (Sabir)."
    " Write STOP to get none."
)

_log = structlog.get_logger()


class SmsConnector:
    """SMS over one SMPP transceiver."""

    send_window = 10

    def __init__(self, config: SmsConfig, *, clock: Clock, rng: Rng) -> None:
        self._config = config
        self._clock = clock
        self._rng = rng
        self._life: _Life | None = None

    async def run(self, host: Host) -> None:
        """Be bound until cancelled; see `Connector.run`."""
        host.report(ConnectionState.CONNECTING)
        life = _Life(
            self._config, host, await Ledger.load(host), self._clock, self._rng
        )
        try:
            async with opened(self._config, self._clock, life.hear_late) as link:
                self._life = life
                await life.run(link)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self._life = None

    def decode(self, event: NativeEvent) -> Incoming | None:
        """Say what a stored event means."""
        return decode_event(event, self._config.reading)

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return the same for every number."""
        return CAPABILITIES

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        """Hand on what this number writes."""
        life = self._living()
        if not is_chat(chat):
            raise PolicyRefused(
                "this is no number: write it with its country's code, digits only,"
                " like +491512345678"
            )
        life.open.add(chat)
        return ChatInfo(chat=chat, kind=ChatKind.DIRECT, name=chat)

    async def close_chat(self, chat: ChatId) -> None:
        """Hand on nothing of this number any more."""
        if self._life is not None:
            self._life.open.discard(chat)

    async def list_chats(self) -> Sequence[ChatInfo]:
        """Return the numbers that wrote lately, newest first."""
        seen = reversed(self._living().ledger.seen)
        return [ChatInfo(chat=c, kind=ChatKind.DIRECT, name=c) for c in seen]

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Send one after the other; see `Connector.send`."""
        for outgoing in batch:
            yield await self._living().sender.send(outgoing)

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        """Find out whether an earlier attempt arrived; see `Connector.lookup`."""
        sender = self._living().sender
        return await sender.lookup(piece, attempted_at=attempted_at)

    def _living(self) -> "_Life":
        if self._life is None:
            raise Unavailable("not connected to the SMSC; the connection is being made")
        return self._life


class _Life:
    """One run of the connector: what it knows and does while it is bound."""

    def __init__(
        self, config: SmsConfig, host: Host, ledger: Ledger, clock: Clock, rng: Rng
    ) -> None:
        self.ledger = ledger
        self.open = set(host.chats())
        self._late: asyncio.Queue[Answered] = asyncio.Queue(LATE_MAX)
        self.sender = Sender(
            config, host, ledger, clock=clock, rng=rng, on_change=self._changed
        )
        self._config = config
        self._host = host
        self._clock = clock
        self._helped: dict[ChatId, float] = {}
        self._replies: asyncio.Queue[tuple[IdempotencyKey, ChatId, str]]
        self._replies = asyncio.Queue(REPLIES_MAX)
        self._intake = Intake(
            config,
            host,
            ledger,
            is_open=self.open.__contains__,
            on_change=self._changed,
            on_text=self._keyword,
        )

    async def run(self, link: Link) -> None:
        """Work until the link ends."""
        self.sender.use(link)
        self._host.report(ConnectionState.CATCHING_UP)
        await self._intake.overdue(self._clock.now())
        async with asyncio.TaskGroup() as group:
            group.create_task(_unwrapped(link))
            group.create_task(self._intake.run(link))
            group.create_task(self._keep_house())
            group.create_task(self._work_off_late())
            group.create_task(self._reply())
            self._host.report(ConnectionState.CONNECTED)

    async def _keep_house(self) -> None:
        """Hand on what is overdue; write down what is settled."""
        was_open = True
        while True:
            await self._clock.sleep(HOUSEKEEPING_MS)
            now = self._clock.now()
            await self._intake.overdue(now)
            self.ledger.outbox.prune(now)
            is_open = bool(self.ledger.twins.open(self._clock.monotonic_ms()))
            await self.ledger.commit(twins=was_open or is_open)
            was_open = is_open

    def hear_late(self, answered: Answered) -> None:
        """Take an answer that comes after we gave up; one too many stays in doubt."""
        if not self._late.full():
            self._late.put_nowait(answered)

    async def _work_off_late(self) -> None:
        while True:
            changes = await self.sender.late(await self._late.get())
            await self.ledger.commit()
            for change in changes:
                await self._changed(change)

    # ---- what receipts say

    async def _changed(self, change: Change) -> None:
        record, chat = change.record, change.record.chat
        native_id = NativeId(record.key)
        if change.accepted:
            await self._host.echo(chat, key=record.key, sent=sent_of(record))
        if change.fate is Fate.DELIVERED:
            self.ledger.outbox.told(record, change.fate)
            await self.ledger.commit()
            person = Person(id=PersonId(chat), name=chat)
            self._host.signal(Delivered(chat=chat, person=person, native_id=native_id))
        elif change.fate is Fate.FAILED:
            self.ledger.outbox.told(record, change.fate)
            envelope = Envelope(
                role=Role.FAILED,
                target=native_id,
                word=change.word,
                error=change.error,
            )
            event = NativeEvent(
                chat=chat, native_id=NativeId(f"{native_id}.f"), payload=pack(envelope)
            )
            await self.ledger.commit([event] if chat in self.open else ())

    # ---- consent of the person at the phone

    def _keyword(self, chat: ChatId, name: NativeId, text: str) -> None:
        """Act upon a whole message that is STOP, START or HELP."""
        answer = ""
        if wants_stop(text) and chat not in self.ledger.stopped:
            self.ledger.stop(chat)
            answer = STOPPED
        elif wants_start(text) and chat in self.ledger.stopped:
            self.ledger.start(chat)
            answer = STARTED
        elif wants_help(text) and self._helps(chat):
            answer = self._config.about or ABOUT
        if answer and not self._replies.full():
            self._replies.put_nowait((IdempotencyKey(f"auto.{name}"), chat, answer))

    def _helps(self, chat: ChatId) -> bool:
        now_ms = self._clock.monotonic_ms()
        if now_ms - self._helped.get(chat, -HELP_EVERY_MS) < HELP_EVERY_MS:
            return False
        self._helped[chat] = now_ms
        return True

    async def _reply(self) -> None:
        while True:
            key, chat, text = await self._replies.get()
            try:
                outcome = await self.sender.reply(key, chat, text)
            except Unavailable as error:
                _log.info("sms_reply_lost", detail=str(error))
                continue
            if isinstance(outcome, Refused):
                _log.info("sms_reply_refused")


async def _unwrapped(link: Link) -> None:
    """Run a link; its first error is the run's."""
    try:
        await link.run()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None

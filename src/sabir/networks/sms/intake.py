"""Takes what the SMSC delivers: messages, parts of messages, receipts.

Each is answered after it is on disk (I1). Twins, parts and receipts share the
transaction of the event they belong to.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from sabir.clock import Instant
from sabir.errors import PeerMisbehaved, StorageFailed
from sabir.networks.api import ChatId, Host, NativeEvent, NativeId
from sabir.networks.sms.config import SmsConfig
from sabir.networks.sms.envelope import Envelope, Role, pack
from sabir.networks.sms.forms import Answer, Correction, Reaction, form_of
from sabir.networks.sms.groups import Group
from sabir.networks.sms.ledger import Ledger
from sabir.networks.sms.link import Arrival, Link
from sabir.networks.sms.numbers import chat_of
from sabir.networks.sms.pdu import Message, Status, decode, sender_of
from sabir.networks.sms.receipts import is_receipt, is_text, read
from sabir.networks.sms.records import Change
from sabir.networks.sms.text import content_of, words_of
from sabir.networks.sms.twins import digest_of

_ROLES: Final = {
    Reaction: Role.REACTION,
    Answer: Role.ANSWER,
    Correction: Role.CORRECTION,
}

_log = structlog.get_logger()


class Intake:
    """Works off the arrivals of a link, one after the other.

    Args:
        config: of the account.
        host: of the account.
        ledger: of the account.
        is_open: whether a chat's events are wanted.
        on_change: what a receipt said.
        on_text: a person's whole text; what changes by it is committed with it.
    """

    def __init__(
        self,
        config: SmsConfig,
        host: Host,
        ledger: Ledger,
        *,
        is_open: Callable[[ChatId], bool],
        on_change: Callable[[Change], Awaitable[None]],
        on_text: Callable[[ChatId, NativeId, str], None],
    ) -> None:
        self._config = config
        self._host = host
        self._ledger = ledger
        self._is_open = is_open
        self._on_change = on_change
        self._on_text = on_text

    async def run(self, link: Link) -> None:
        """Work until cancelled.

        Raises:
            StorageFailed: what was under way was not taken; the SMSC keeps it.
        """
        while True:
            arrival = await link.arrivals.get()
            await self._handle(link, arrival)

    async def _handle(self, link: Link, arrival: Arrival) -> None:
        arrived = arrival.arrived
        digest = digest_of(arrived.octets)
        if self._is_here(arrival, digest):
            _log.info("sms_repeated", what="a delivery that is here already")
        else:
            try:
                await self._take(arrived.octets, arrived.message, digest)
            except StorageFailed:
                link.answer(arrived.sequence, Status.TEMPORARY)
                raise
        link.answer(arrived.sequence, Status.OK)
        self._ledger.twins.answered(digest, self._host.clock.monotonic_ms())

    def _is_here(self, arrival: Arrival, digest: str) -> bool:
        """Tell whether this was taken before; a receipt changes nothing twice."""
        arrived = arrival.arrived
        if arrived.message is not None and is_receipt(arrived.message):
            return False
        source = sender_of(arrived.octets)
        sender = chat_of(source, self._config.reading.country) if source else ""
        return self._ledger.twins.is_twin(
            sender, digest, arrived.sequence, arrival.at_ms
        )

    async def _take(self, octets: bytes, message: Message | None, digest: str) -> None:
        if message is None:
            await self._unreadable(octets, digest)
        elif is_receipt(message):
            await self._receipt(message)
        elif is_text(message):
            await self._message(octets, message, digest)
        else:
            _log.info("sms_ignored", esm_class=message.esm_class)
            await self._ledger.commit(twins=True)

    async def _unreadable(self, octets: bytes, digest: str) -> None:
        sender = sender_of(octets)
        if sender is None:
            _log.warning("sms_unreadable", octets=len(octets))
            await self._ledger.commit(twins=True)
            return
        chat = chat_of(sender, self._config.reading.country)
        await self._hand_on(chat, Envelope(pdus=(octets,)), digest)

    # ---- messages

    async def _message(self, octets: bytes, message: Message, digest: str) -> None:
        chat = chat_of(message.source, self._config.reading.country)
        try:
            part = content_of(message).header.concatenation
        except PeerMisbehaved:
            part = None  # `decode` says what is wrong with it
        if part is None or part.total == 1:
            await self._whole(chat, (octets,), digest)
            return
        now = self._host.clock.now()
        between = (message.source.digits, message.destination.digits)
        done = self._ledger.groups.add(
            octets, part, chat=chat, between=between, now=now
        )
        if not done:
            await self._ledger.commit(twins=True)
        for group in done:
            await self._group(group, digest)

    async def _group(self, group: Group, digest: str) -> None:
        if group.handed_on:
            envelope = Envelope(
                role=Role.COMPLETED, pdus=group.pdus, target=group.handed_on
            )
            await self._hand_on(group.chat, envelope, digest)
        else:
            await self._whole(group.chat, group.pdus, digest)

    async def overdue(self, now: Instant) -> None:
        """Hand on what waited too long for its missing parts.

        Raises:
            StorageFailed: nothing more was handed on.
        """
        for group in self._ledger.groups.due(now):
            first = next(pdu for pdu in group.pdus if pdu is not None)
            name = self._ledger.next_name(digest_of(first))
            self._ledger.groups.hand_on(group, name)
            await self._commit(group.chat, Envelope(pdus=group.pdus), name)

    async def _whole(
        self, chat: ChatId, pdus: tuple[bytes | None, ...], digest: str
    ) -> None:
        """Hand on a message, with what it refers to."""
        text = self._text(pdus)
        envelope = Envelope(pdus=pdus)
        form = form_of(text) if text else None
        if form is not None and self._is_open(chat):
            memory = await self._ledger.memory(chat)
            meant = memory.meaning_of(form, self._host.clock.now())
            if meant is not None:
                role = _ROLES[type(meant.form)]
                envelope = Envelope(role=role, pdus=pdus, target=meant.target)
        name = self._ledger.next_name(digest)
        if text and self._is_open(chat) and envelope.role is not Role.REACTION:
            await self._ledger.note(chat, name, text, ours=False)
        if text:
            self._on_text(chat, name, text)
        await self._commit(chat, envelope, name)

    def _text(self, pdus: tuple[bytes | None, ...]) -> str | None:
        messages: list[Message | None] = []
        try:
            for pdu in pdus:
                body = None if pdu is None else decode(pdu).body
                messages.append(body if isinstance(body, Message) else None)
            return words_of(messages, self._config.reading.alphabet).text
        except PeerMisbehaved:
            return None

    async def _hand_on(self, chat: ChatId, envelope: Envelope, digest: str) -> None:
        await self._commit(chat, envelope, self._ledger.next_name(digest))

    async def _commit(self, chat: ChatId, envelope: Envelope, name: NativeId) -> None:
        self._ledger.see(chat)
        event = NativeEvent(chat=chat, native_id=name, payload=pack(envelope))
        wanted = self._is_open(chat)
        if not wanted:
            _log.info("sms_not_linked", what="a message of a chat without a portal")
        await self._ledger.commit([event] if wanted else (), twins=True)

    # ---- receipts

    async def _receipt(self, message: Message) -> None:
        chat = chat_of(message.source, self._config.reading.country)
        try:
            words = words_of([message], self._config.reading.alphabet)
        except PeerMisbehaved:
            words = None
        receipt = read(message, (words.text if words else None) or "")
        now = self._host.clock.now()
        changes = self._ledger.outbox.receipt(chat, receipt, now)
        await self._ledger.commit(twins=True)
        for change in changes:
            await self._on_change(change)

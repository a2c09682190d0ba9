"""A plain account: one login, one seat in each room, names in the text.

* Direct chats are read from the account's own archive (XEP-0313): a live
  stanza, or a carbon, is only the hint that there is something new. So
  identity, order and what other clients of the owner wrote come from one
  source.
* Our own message is accepted when the archive has it.
* Without an archive, live messages are taken as they come, and an unclear
  attempt stays in doubt.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from sabir.clock import Clock, Instant
from sabir.errors import Unavailable
from sabir.networks.api import (
    ChatId,
    ChatInfo,
    Finding,
    IdempotencyKey,
    InDoubt,
    NativeEvent,
    NativeId,
    NotSent,
    Outcome,
    Outgoing,
    PersonId,
    Refused,
    Rng,
    Sent,
)
from sabir.networks.xmpp import decode as decoding
from sabir.networks.xmpp import ghosts, names, progress, refusals, signals
from sabir.networks.xmpp.archive import Archive, Archived, CursorUnknown, NoArchive
from sabir.networks.xmpp.connector import XmppConnector, put_error
from sabir.networks.xmpp.envelope import Arrived, Kind, digest, seal
from sabir.networks.xmpp.intake import Item
from sabir.networks.xmpp.keys import is_key
from sabir.networks.xmpp.muc import Bounced, Fate, Room, Seat
from sabir.networks.xmpp.outbox import RefusedHere
from sabir.networks.xmpp.render import Address
from sabir.networks.xmpp.search import LOOKUP_MARGIN_MS
from sabir.networks.xmpp.stream import AccountLogin, Stream, TooLarge, new_iq

ARCHIVE_STREAM: Final = "archive"
"""Name of the cursor on the account's archive."""
EXPECTED_MAX: Final = 1_000
"""Messages seen live and not yet in the archive, while it is read."""
RETRIES_MS: Final = (200, 1_000, 3_000)
"""Waits for a message that was seen live and is not in the archive yet."""


class AccountConnector(XmppConnector):
    """One account on any server."""

    _login: AccountLogin

    def __init__(
        self,
        login: AccountLogin,
        *,
        clock: Clock,
        rng: Rng,
        nick: str,
        upload_service: str,
        allow_private_media_hosts: bool,
    ) -> None:
        super().__init__(
            login,
            clock=clock,
            rng=rng,
            nick=nick,
            upload_service=upload_service,
            allow_private_media_hosts=allow_private_media_hosts,
        )
        self._own = names.bare(login.jid)
        self._archive: Archive | None = None
        self._hint = asyncio.Event()
        self._pulling = asyncio.Lock()
        self._expected: dict[str, Element] = {}
        self._direct: dict[str, asyncio.Future[Fate | Sent]] = {}
        self._known_rooms: set[str] = set()

    @property
    def _ghosts(self) -> bool:
        return False

    def _is_room(self, chat: str) -> bool:
        return chat in self._known_rooms or chat in self._rooms

    def _listener_jid(self, stream: Stream) -> str:
        return stream.own_jid

    def _server(self) -> str:
        return self._own.rpartition("@")[2]

    def _uploader(self, stream: Stream) -> str:
        del stream
        return ""

    async def _seat(self, room: Room, outgoing: Outgoing) -> tuple[Seat, str]:
        del outgoing
        seat = room.listener
        if not seat.joined:
            await room.sit(seat.owner, ghosts.nick_choices(self._nick, "bridge"))
        return seat, ""

    async def _leave(self, room: Room, outgoing: Outgoing, reason: str) -> None:
        """Leave our one seat alone: others still speak from it."""

    async def _rename(self, room: Room, outgoing: Outgoing, name: str) -> None:
        """Keep our nick: it is not the speaker's."""

    # ---- what a chat is

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        """Enter a chat; a plain account must first learn whether it is a room."""
        self._online()
        await self._learn_kind(chat)
        return await super().open_chat(chat)

    async def _learn_kind(self, chat: str) -> None:
        """Ask what is behind an address, once; rooms say that they are rooms.

        Raises:
            Unavailable: no answer.
        """
        stream, host, _ = self._online()
        known = await host.recall(f"kind:{chat}")
        if known is None:
            iq = new_iq("get", to=chat)
            SubElement(iq, "query", {"xmlns": names.DISCO_INFO})
            answer = await stream.ask(iq)
            if refusals.may_retry(names.condition(answer)):
                raise Unavailable(f"{chat} cannot be reached")
            found = answer.iter(f"{{{names.DISCO_INFO}}}identity")
            is_room = any(one.get("category") == "conference" for one in found)
            known = "room" if is_room else "person"
            if not names.condition(answer):
                await host.remember(f"kind:{chat}", known)
        if known == "room":
            self._known_rooms.add(chat)

    async def _session_tasks(self, tasks: asyncio.TaskGroup) -> None:
        stream, host, _ = self._online()
        self._expected.clear()
        self._archive = Archive(stream, owner=self._own, reader="")
        stream.write(Element("presence"))
        iq = new_iq("set", to="")
        SubElement(iq, "enable", {"xmlns": names.CARBONS})
        await stream.ask(iq)  # without carbons the archive still tells everything
        for chat in host.chats():
            with suppress(Unavailable):  # the agent opens each chat, and hears it
                await self._learn_kind(chat)
        try:
            await self._start_archive()
        except NoArchive:
            self._archive = None
            return
        tasks.create_task(self._follow_archive())

    # ---- direct chats: the archive is the truth

    async def _start_archive(self) -> None:
        """Catch up; on the first connection ever begin at the newest message."""
        assert self._archive is not None
        _, host, intake = self._online()
        if await host.cursor(ARCHIVE_STREAM) is None:
            newest = await self._archive.newest()
            await progress.begin(host, ARCHIVE_STREAM, newest)
            found = newest.id if newest is not None else ""
            intake.add(Item(stream=ARCHIVE_STREAM, cursor=found))
        else:
            await self._pull()
        await intake.flush()

    async def _follow_archive(self) -> None:
        while True:
            await self._hint.wait()
            self._hint.clear()
            await self._pull()
            for wait_ms in RETRIES_MS:
                if not self._expected:
                    break
                await self._clock.sleep(wait_ms)
                await self._pull()
            # what the archive does not keep (`no-store`, say) is taken as it came
            unkept, self._expected = list(self._expected.values()), {}
            for stanza in unkept:
                self._take_live(stanza)

    async def _pull(self) -> None:
        """Take everything after the cursor. One at a time."""
        archive = self._archive
        if archive is None:
            return
        async with self._pulling:
            _, host, intake = self._online()
            await intake.flush()
            cursor = await host.cursor(ARCHIVE_STREAM)
            resume = await progress.resumption(host, ARCHIVE_STREAM)
            try:
                async for page in archive.after(cursor or None):
                    await self._take_page(resume.without_older(page))
            except CursorUnknown:
                async for page in archive.after(None, start=resume.start):
                    await self._take_page(resume.without_older(page))

    async def _take_page(self, messages: Sequence[Archived]) -> None:
        _, host, intake = self._online()
        for one in messages:
            self._take_archived(one)
        await intake.flush()
        if messages and messages[-1].at:
            await progress.note(host, ARCHIVE_STREAM, messages[-1].at)

    def _take_archived(self, one: Archived) -> None:
        assert self._intake is not None
        stanza = one.stanza
        ident = stanza.get("id", "")
        self._expected.pop(_fingerprint(stanza), None)
        mark = Item(stream=ARCHIVE_STREAM, cursor=one.id)
        chat = self._chat_of(stanza)
        own = names.bare(stanza.get("from", self._own)) == self._own
        if own and is_key(ident):
            self._accepted(chat, ident, one.id)
        elif self._is_for_people(chat, stanza):
            mark = Item(
                event=self._direct_event(chat, stanza, one.id, at=one.at),
                stream=ARCHIVE_STREAM,
                cursor=one.id,
                after=None if own else lambda: self._acknowledge(stanza),
            )
        self._intake.add(mark)

    def _chat_of(self, stanza: Element) -> ChatId:
        sender = names.bare(stanza.get("from", self._own))
        other = names.bare(stanza.get("to", self._own))
        return ChatId(other if sender == self._own else sender)

    def _is_for_people(self, chat: ChatId, stanza: Element) -> bool:
        """Tell whether to hand a message on: only open chats are our business."""
        assert self._host is not None
        return (
            stanza.get("type") not in ("groupchat", "error")
            and chat in self._host.chats()
            and not self._is_room(chat)
            and decoding.says_something(stanza)
        )

    def _direct_event(
        self, chat: ChatId, stanza: Element, native: str, *, at: int
    ) -> NativeEvent:
        when = Instant(at or self._clock.now())
        arrived = Arrived(kind=Kind.MESSAGE, at=when, stanza=stanza)
        return NativeEvent(chat=chat, native_id=NativeId(native), payload=seal(arrived))

    def _accepted(self, chat: ChatId, ident: str, archive_id: str) -> None:
        """Settle the send that waits for our own message, or tell the host."""
        sent = self._sent(ident, archive_id)
        waiting = self._direct.get(ident)
        if waiting is not None and not waiting.done():
            waiting.set_result(sent)
        elif waiting is None and self._host is not None:
            self._later(self._host.echo(chat, key=sent.key, sent=sent))

    def _sent(self, ident: str, archive_id: str) -> Sent:
        return Sent(
            key=IdempotencyKey(ident),
            native_id=NativeId(archive_id),
            aliases=(NativeId(ident),),
            author=PersonId(self._own),
        )

    def _acknowledge(self, stanza: Element) -> None:
        """Send the receipt of a message that is stored now (XEP-0184, I1)."""
        ident = stanza.get("id", "")
        asked = names.child(stanza, "request", names.RECEIPTS)
        if asked is not None and ident and self._stream is not None:
            answer = signals.received(
                self._stream.new_id(), "", stanza.get("from", ""), ident
            )
            self._write_quietly(answer)

    # ---- live stanzas

    def _outside_rooms(self, stanza: Element) -> None:
        if names.local(stanza) != "message":
            return
        sender = names.bare(stanza.get("from", self._own))
        archive = self._archive
        if sender == self._own and archive is not None:
            # the archive names its owner by the bare JID, or not at all
            stanza.set("from", self._own)
            if archive.collect(stanza):
                return
        ident = stanza.get("id", "")
        if stanza.get("type") == "error":
            waiting = self._direct.get(ident)
            if waiting is not None and not waiting.done():
                waiting.set_result(
                    Bounced(names.condition(stanza), names.error_text(stanza))
                )
            return
        inside = self._carbon(stanza, sender)
        if inside is None:
            self._signal(stanza)
            inside = stanza
        if decoding.says_something(inside):
            self._expect(inside)

    def _carbon(self, stanza: Element, sender: str) -> Element | None:
        """Return the message in a carbon copy; strangers' carbons are no carbons."""
        if sender != self._own:
            return None
        for name in ("sent", "received"):
            found = names.child(stanza, name, names.CARBONS)
            if found is not None:
                return next((e for e in found.iter(f"{{{names.CLIENT}}}message")), None)
        return None

    def _signal(self, stanza: Element) -> None:
        chat = self._chat_of(stanza)
        if self._host is None or chat not in self._host.chats():
            return
        arrived = Arrived(kind=Kind.MESSAGE, at=self._clock.now(), stanza=stanza)
        person = decoding.sender_of(arrived)
        for signal in signals.signals_of(stanza, chat, person):
            self._host.signal(signal)

    def _expect(self, stanza: Element) -> None:
        if self._archive is None:
            self._take_live(stanza)
            return
        if len(self._expected) < EXPECTED_MAX:
            self._expected[_fingerprint(stanza)] = stanza
        self._hint.set()

    def _take_live(self, stanza: Element) -> None:
        """Take a message that no archive keeps."""
        assert self._intake is not None
        chat = self._chat_of(stanza)
        ident = stanza.get("id", "")
        own = names.bare(stanza.get("from", self._own)) == self._own
        if (own and is_key(ident)) or not self._is_for_people(chat, stanza):
            return
        native = f"x-{digest(_fingerprint(stanza))}"
        self._intake.add(
            Item(
                event=self._direct_event(chat, stanza, native, at=0),
                after=None if own else lambda: self._acknowledge(stanza),
            )
        )

    def _asked(self, iq: Element) -> None:
        """Answer a ping; everything else is not for a bridge's account."""
        answer = Element("iq", {"type": "result", "id": iq.get("id", "")})
        if iq.get("from"):
            answer.set("to", iq.get("from", ""))
        if names.child(iq, "ping", names.PING) is None:
            answer.set("type", "error")
            put_error(answer, "cancel", "service-unavailable")
        self._write_quietly(answer)

    # ---- sending

    async def _send_direct(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Write all; our archive says which of them the server has."""
        stream, _, _ = self._online()
        results = [await self._write_direct(stream, one) for one in batch]
        try:
            await self._wait_archived(batch)
            for outgoing, result in zip(batch, results, strict=True):
                yield self._direct_outcome(outgoing, result)
        finally:
            for outgoing in batch:
                self._direct.pop(outgoing.key, None)

    async def _write_direct(
        self, stream: Stream, outgoing: Outgoing
    ) -> tuple[str, ...] | Refused:
        try:
            address = Address(sender="", to=outgoing.chat, group=False)
            rendered = await self._render(outgoing, address)
            self._direct[outgoing.key] = asyncio.get_running_loop().create_future()
            for stanza in rendered.stanzas:
                stream.write(stanza)
        except (RefusedHere, TooLarge) as refused:
            self._direct.pop(outgoing.key, None)
            return Refused(key=outgoing.key, reason=str(refused))
        return rendered.lost

    async def _wait_archived(self, batch: Sequence[Outgoing]) -> None:
        """Read the archive until it has all, or says nothing more.

        Raises:
            Unavailable: some are missing in it; they are in doubt.
        """
        stream, _, _ = self._online()
        if self._archive is None:
            await stream.ping(sender="", to=self._server())
            for outgoing in batch:
                waiting = self._direct.get(outgoing.key)
                if waiting is not None and not waiting.done():
                    waiting.set_result(self._sent(outgoing.key, outgoing.key))
            return
        for wait_ms in (0, *RETRIES_MS):
            await self._clock.sleep(wait_ms)
            await self._pull()
            mine = (self._direct.get(outgoing.key) for outgoing in batch)
            if all(one is None or one.done() for one in mine):
                return
        raise Unavailable(f"the archive of {self._own} does not show what was sent")

    def _direct_outcome(
        self, outgoing: Outgoing, result: tuple[str, ...] | Refused
    ) -> Outcome:
        if isinstance(result, Refused):
            return result
        fate = self._direct[outgoing.key].result()
        if isinstance(fate, Bounced):
            reason = refusals.reason(outgoing.chat, fate.condition, fate.text)
            return Refused(key=outgoing.key, reason=reason)
        assert isinstance(fate, Sent)
        return replace(fate, lost=result)

    async def _lookup_direct(
        self, piece: Outgoing, *, attempted_at: Instant
    ) -> Finding:
        archive = self._archive
        if archive is None:
            return InDoubt(f"the server of {self._own} keeps no archive to look into")
        old = self._search.too_old(attempted_at)
        if old is not None:
            return old
        await self._search.settle()
        until = Instant(max(0, attempted_at - LOOKUP_MARGIN_MS))
        try:
            async for page in archive.backwards(until=until):
                for one in page.messages:
                    if one.stanza.get("id") == piece.key:
                        return self._sent(piece.key, one.id)
        except (CursorUnknown, NoArchive) as closed:
            return InDoubt(f"the archive of {self._own} cannot be read: {closed}")
        return NotSent()


def _fingerprint(stanza: Element) -> str:
    """Return what a message has in common with its copy in the archive."""
    body = names.text_of(stanza, "body")
    return "\0".join((stanza.get("from", ""), stanza.get("id", ""), body))

"""What both kinds of account share: rooms, catch-up, sending, looking up.

`component` and `account` say who speaks, and what happens outside rooms.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement

from sabir.clock import Clock, Instant
from sabir.content.capabilities import Capabilities
from sabir.content.pieces import (
    ChatAvatarPiece,
    ChatNamePiece,
    JoinPiece,
    LeavePiece,
    MediaPiece,
    ProfilePiece,
    ReactPiece,
    TopicPiece,
    UnreactPiece,
)
from sabir.errors import Error, PolicyRefused, Unavailable
from sabir.networks.api import (
    ChatId,
    ChatInfo,
    ChatKind,
    ConnectionState,
    Finding,
    Host,
    IdempotencyKey,
    Incoming,
    NativeEvent,
    NativeId,
    NotSent,
    Outcome,
    Outgoing,
    Refused,
    Rng,
    Sent,
)
from sabir.networks.xmpp import decode as decoding
from sabir.networks.xmpp import ghosts, ids, media, names, progress, refusals
from sabir.networks.xmpp.archive import Archive, CursorUnknown, NoArchive
from sabir.networks.xmpp.capabilities import capabilities
from sabir.networks.xmpp.intake import Intake, Item
from sabir.networks.xmpp.muc import (
    Room,
    Seat,
    SeatRefused,
)
from sabir.networks.xmpp.outbox import RefusedHere, RoomOutbox
from sabir.networks.xmpp.progress import Resumption
from sabir.networks.xmpp.reader import RoomReader, is_own
from sabir.networks.xmpp.render import Address, Rendered, Upload, render
from sabir.networks.xmpp.search import RoomSearch
from sabir.networks.xmpp.stream import (
    AccountLogin,
    ComponentLogin,
    Stream,
    TooLarge,
    new_iq,
)

SEND_WINDOW: Final = 50
"""Unreflected messages of one room."""
SELF_PING_EVERY_MS: Final = 60_000
ROOMS_AT_ONCE: Final = 8
"""Rooms entered at the same time after connecting (our choice)."""
NICKS_MAX: Final = 2_000
"""Speakers whose nick in a room is remembered."""


class XmppConnector(ABC):
    """One login, component or plain account."""

    send_window = SEND_WINDOW

    def __init__(
        self,
        login: ComponentLogin | AccountLogin,
        *,
        clock: Clock,
        rng: Rng,
        nick: str,
        upload_service: str,
        allow_private_media_hosts: bool,
    ) -> None:
        self._login = login
        self._clock = clock
        self._rng = rng
        self._nick = nick
        self._upload_service = upload_service
        self._allow_private = allow_private_media_hosts
        self._stream: Stream | None = None
        self._host: Host | None = None
        self._intake: Intake | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._rooms: dict[str, Room] = {}
        self._state = ConnectionState.CONNECTING
        self._reader: RoomReader | None = None
        self._search = RoomSearch(
            clock,
            lambda room, who, ident: is_own(room, who, ident, our_nick=self._nick),
        )

    # ---- what the two kinds say

    @abstractmethod
    def _listener_jid(self, stream: Stream) -> str:
        """Return the full JID that listens in rooms."""

    @abstractmethod
    def _server(self) -> str:
        """Return the domain whose upload service we use."""

    @abstractmethod
    async def _seat(self, room: Room, outgoing: Outgoing) -> tuple[Seat, str]:
        """Return the seat of a piece's speaker, and the prefix of its texts."""

    @abstractmethod
    def _outside_rooms(self, stanza: Element) -> None:
        """Take a message or presence that is not from an open room."""

    @abstractmethod
    def _asked(self, iq: Element) -> None:
        """Answer an IQ of type get or set."""

    @abstractmethod
    async def _session_tasks(self, tasks: asyncio.TaskGroup) -> None:
        """Start what this kind does beside rooms, catch-up included."""

    @abstractmethod
    def _send_direct(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Send pieces of one direct chat."""

    @abstractmethod
    async def _lookup_direct(
        self, piece: Outgoing, *, attempted_at: Instant
    ) -> Finding:
        """Find out about an attempt in a direct chat."""

    @abstractmethod
    def _is_room(self, chat: str) -> bool:
        """Tell whether a chat id is a room's."""

    @property
    @abstractmethod
    def _ghosts(self) -> bool:
        """Tell whether speakers have seats of their own."""

    # ---- running

    async def run(self, host: Host) -> None:
        """Connect, catch up, hand on events until cancelled; see `Connector.run`."""
        self._report(host, ConnectionState.CONNECTING)
        stream = Stream(self._login, rng=self._rng)
        self._rooms.clear()
        self._host = host
        self._intake = Intake(lambda paused: stream.pause(paused=paused))
        self._reader = RoomReader(
            host,
            self._intake,
            self._clock,
            nick=self._nick,
            has_ghosts=self._ghosts,
            refuse=self._refuse_private,
            later=self._later,
        )
        try:
            await stream.open(self._arrived)
            self._stream = stream
            self._search.connected()
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._intake.run(host))
                tasks.create_task(_until_lost(stream))
                tasks.create_task(self._begin(host, tasks))
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            self._stream = None
            self._tasks = None
            for room in self._rooms.values():
                room.fail(Unavailable("the XMPP connection is over"))
            await stream.close()

    async def _begin(self, host: Host, tasks: asyncio.TaskGroup) -> None:
        self._report(host, ConnectionState.CATCHING_UP)
        await self._session_tasks(tasks)
        gate = asyncio.Semaphore(ROOMS_AT_ONCE)
        chats = [chat for chat in host.chats() if self._is_room(chat)]
        await asyncio.gather(*(self._try_enter(chat, gate) for chat in chats))
        self._report(host, ConnectionState.CONNECTED)
        while True:
            await self._clock.sleep(SELF_PING_EVERY_MS)
            for chat in list(self._rooms):
                await self._check_seat(chat)

    def _report(self, host: Host, state: ConnectionState) -> None:
        self._state = state
        host.report(state)

    def _tell(self, host: Host, detail: str) -> None:
        """Tell the owner something that leaves the account's state as it is."""
        host.report(self._state, detail)

    async def _try_enter(self, chat: str, gate: asyncio.Semaphore) -> None:
        """Enter the room of a portal; one room's trouble stays its own (I8)."""
        async with gate:
            with suppress(PolicyRefused, Unavailable):
                # kept in `Room.refused`, raised by `open_chat`, tried again each minute
                await self._enter(chat)

    async def _check_seat(self, chat: str) -> None:
        """See that the room has not forgotten us (XEP-0410)."""
        room = self._rooms.get(chat)
        if room is None or room.lock.locked():
            return
        with suppress(PolicyRefused, Unavailable):  # asked again in a minute
            if room.live and not await room.is_inside(room.listener):
                room.live = False
            if not room.live:
                await self._enter(chat)

    def _online(self) -> tuple[Stream, Host, Intake]:
        if self._stream is None or self._host is None or self._intake is None:
            raise Unavailable("the XMPP account is not connected: wait for it")
        return self._stream, self._host, self._intake

    def _later(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something beside the stream; it ends with the connection."""
        if self._tasks is not None:
            self._tasks.create_task(coroutine)
        else:
            coroutine.close()

    # ---- rooms: in and out

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        """Enter a chat; see `Connector.open_chat`."""
        self._online()
        if not self._is_room(chat):
            return ChatInfo(chat=chat, kind=ChatKind.DIRECT, name=self._peer(chat))
        room = await self._enter(chat)
        return ChatInfo(
            chat=chat,
            kind=ChatKind.GROUP,
            name=room.name,
            topic=room.topic,
            members=len(room.occupants),
        )

    def _peer(self, chat: str) -> str:
        found = ids.direct(chat)
        return found.peer if found is not None else chat

    async def close_chat(self, chat: ChatId) -> None:
        """Leave a chat; see `Connector.close_chat`."""
        room = self._rooms.pop(chat, None)
        if room is None or self._stream is None:
            return
        for seat in room.seats.values():
            if seat.joined:
                room.stand_up(seat)
        room.fail(Unavailable(f"the chat {chat} was closed"))

    async def _enter(self, chat: str) -> Room:
        """Be in a room and have caught up. Idempotent.

        Raises:
            PolicyRefused: the room does not want us.
            Unavailable: no answer.
        """
        stream, host, _ = self._online()
        room = self._rooms.get(chat)
        if room is None:
            listener = Seat(self._listener_jid(stream), "")
            archive = Archive(stream, owner=chat, reader=listener.owner)
            room = Room(jid=chat, listener=listener, stream=stream, archive=archive)
            room.seats[listener.owner] = listener
            self._rooms[chat] = room
        async with room.lock:
            if not room.live:
                room.buffering = True
                try:
                    await self._join(room, host)
                    await self._catch_up(room)
                finally:
                    room.buffering = False
                    room.buffer.clear()
        return room

    async def _join(self, room: Room, host: Host) -> None:
        condition = await room.describe()
        if refusals.may_retry(condition):
            raise Unavailable(f"the room {room.jid} cannot be reached ({condition})")
        if condition:
            raise self._kept_out(room, condition, "")
        known = await host.recall(f"nicks:{room.jid}")
        for uri, nick in json.loads(known or "{}").items():
            room.hold(uri, nick)
        room.forget_seats()
        try:
            await room.sit(
                room.listener.owner, ghosts.nick_choices(self._nick, "bridge")
            )
        except SeatRefused as refused:
            if refusals.may_retry(refused.condition):
                raise Unavailable(
                    f"the room {room.jid} answers {refused.condition}"
                ) from None
            raise self._kept_out(room, refused.condition, refused.text) from None
        room.refused = ""

    def _kept_out(self, room: Room, condition: str, text: str) -> PolicyRefused:
        room.refused = refusals.reason(f"Sabir in {room.jid}", condition, text)
        return PolicyRefused(room.refused)

    # ---- rooms: catching up

    async def _catch_up(self, room: Room) -> None:
        """Hand on what the archive has since our cursor, then what came meanwhile."""
        _, host, intake = self._online()
        stream_name = f"muc:{room.jid}"
        await intake.flush()
        cursor = await host.cursor(stream_name)
        if room.has_archive:
            try:
                if cursor is None:
                    newest = await room.archive.newest()
                    await progress.begin(host, stream_name, newest)
                    if not any(room.stanza_id(one) for one in room.buffer):
                        found = newest.id if newest is not None else ""
                        intake.add(Item(stream=stream_name, cursor=found))
                else:
                    await self._read_archive(room, cursor)
            except NoArchive as closed:
                self._tell(host, f"no catch-up: {closed}")
        self._release(room)
        await intake.flush()

    async def _read_archive(self, room: Room, cursor: str) -> None:
        _, host, intake = self._online()
        again: str | None = cursor
        while again is not None:
            room.overflowed = False
            resume = await progress.resumption(host, f"muc:{room.jid}")
            try:
                again = await self._read_from(room, again, resume, start=None)
            except CursorUnknown:
                again = await self._read_from(room, None, resume, start=resume.start)
            if not room.overflowed:
                return
            await intake.flush()

    async def _read_from(
        self,
        room: Room,
        cursor: str | None,
        resume: Resumption,
        *,
        start: Instant | None,
    ) -> str | None:
        """Take pages of the archive; return the id of the last message."""
        _, host, intake = self._online()
        last, seen = cursor, Instant(0)
        known: set[str] = set()
        async for page in room.archive.after(cursor, start=start):
            # ejabberd answers an id it does not know with its whole archive
            for one in resume.without_older(page):
                self._reading.take(room, one.stanza, archived=one)
                last, seen = one.id, one.at
                known.add(one.id)
            await intake.flush()
        if seen:
            await progress.note(host, f"muc:{room.jid}", seen)
        room.buffer = [one for one in room.buffer if room.stanza_id(one) not in known]
        return last

    def _release(self, room: Room) -> None:
        """Hand on what came while catching up, and go live."""
        waiting, room.buffer = room.buffer, []
        room.buffering = False
        room.live = True
        for stanza in waiting:
            self._reading.take(room, stanza)

    # ---- stanzas

    def _arrived(self, stanza: Element) -> None:
        """Take a stanza off the stream. Hot: a room copies all to every ghost."""
        room = self._rooms.get(names.bare(stanza.get("from", "")))
        name = names.local(stanza)
        if name == "iq":
            if stanza.get("type") in ("get", "set"):
                self._asked(stanza)
        elif room is None:
            self._outside_rooms(stanza)
        elif name == "presence":
            change = room.presence(stanza)
            if change is not None and room.live:
                self._reading.changed(room, stanza, change)
        else:
            self._reading.message(room, stanza)

    @property
    def _reading(self) -> RoomReader:
        assert self._reader is not None, "stanzas come while `run` runs"
        return self._reader

    def _refuse_private(self, stanza: Element) -> None:
        """Tell a writer of a private message through the room that nobody reads it."""
        if names.child(stanza, "body") is None:
            return
        answer = Element("message", {"type": "error", "id": stanza.get("id", "")})
        answer.set("to", stanza.get("from", ""))
        answer.set("from", stanza.get("to", ""))
        put_error(answer, "cancel", "service-unavailable")
        self._write_quietly(answer)

    def _write_quietly(self, stanza: Element) -> None:
        """Write a courtesy; when the connection is over it goes with it."""
        if self._stream is not None:
            with suppress(Unavailable, TooLarge):
                self._stream.write(stanza)

    # ---- meaning

    def decode(self, event: NativeEvent) -> Incoming | None:
        """Say what a stored event means; see `Connector.decode`."""
        return decoding.decode(event)

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return what can be expressed in this chat now."""
        room = self._rooms.get(chat)
        group = self._is_room(chat)
        stable = room is None or not room.live or room.has_stable_ids
        return capabilities(ghosts=self._ghosts, group=group, stable_ids=stable)

    # ---- sending

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Send pieces of one chat in order; see `Connector.send`."""
        if not batch:
            return
        self._online()
        chat = batch[0].chat
        if not self._is_room(chat):
            async for outcome in self._send_direct(batch):
                yield outcome
            return
        room = await self._room(chat)
        outbox = RoomOutbox(
            room,
            self._clock,
            perform=lambda outgoing: self._perform(room, outgoing),
            seat=lambda outgoing: self._seat(room, outgoing),
            render=lambda outgoing, seat, prefix: self._render(
                outgoing,
                Address(sender=seat.owner, to=room.jid, group=True, prefix=prefix),
            ),
        )
        async for outcome in outbox.send(batch):
            yield outcome

    async def _room(self, chat: str) -> Room:
        try:
            return await self._enter(chat)
        except PolicyRefused as refused:
            raise Unavailable(str(refused)) from refused

    async def _render(self, outgoing: Outgoing, address: Address) -> Rendered:
        piece = outgoing.piece
        if isinstance(piece, JoinPiece | LeavePiece | ProfilePiece | ChatNamePiece):
            raise RefusedHere("XMPP's direct chats have no such event")
        if isinstance(piece, ChatAvatarPiece):
            raise RefusedHere("Sabir does not set the pictures of XMPP rooms")
        if isinstance(piece, ReactPiece | UnreactPiece) and address.prefix:
            raise RefusedHere(
                "this room is full of ghosts, so the speaker has no seat to react from"
            )
        upload = None
        if isinstance(piece, MediaPiece):
            upload = await self._put_up(outgoing, piece)
        return render(piece, key=outgoing.key, address=address, upload=upload)

    async def _put_up(self, outgoing: Outgoing, piece: MediaPiece) -> Upload:
        stream, _, _ = self._online()
        reader = outgoing.media
        if reader is None:
            raise RefusedHere("the file's octets are missing on our disk")
        sender = self._uploader(stream)
        if not self._upload_service:
            self._upload_service = await media.find_service(
                stream, domain=self._server(), sender=sender
            )
        if not self._upload_service:
            raise RefusedHere(
                f"{self._server()} has no upload service (XEP-0363): have one added"
            )
        part = piece.attachment.part
        try:
            url = await media.upload(
                stream,
                reader,
                service=self._upload_service,
                sender=sender,
                filename=part.filename,
                content_type=part.content_type.partition(";")[0],
            )
        except media.NoUpload as refused:
            raise RefusedHere(str(refused)) from refused
        return Upload(url=url, size=reader.size, sha256=reader.sha256)

    def _uploader(self, stream: Stream) -> str:
        return self._listener_jid(stream)

    async def _perform(self, room: Room, outgoing: Outgoing) -> Outcome | None:
        """Do what needs no message; None if the piece is said by messages."""
        key, piece = outgoing.key, outgoing.piece
        match piece:
            case JoinPiece():
                await self._seat(room, outgoing)
            case LeavePiece(reason=reason):
                await self._leave(room, outgoing, reason)
            case ProfilePiece(name=name):
                await self._rename(room, outgoing, name)
            case TopicPiece(topic=topic) if topic == room.topic:
                pass
            case ChatNamePiece(name=name):
                return await self._name_room(room, key, name)
            case _:
                return None
        return Sent(key=key, native_id=NativeId(""))

    @abstractmethod
    async def _leave(self, room: Room, outgoing: Outgoing, reason: str) -> None:
        """Give up the speaker's seat."""

    @abstractmethod
    async def _rename(self, room: Room, outgoing: Outgoing, name: str) -> None:
        """Change the speaker's nick."""

    async def _name_room(self, room: Room, key: IdempotencyKey, name: str) -> Outcome:
        """Set the room's name, which only its owners may."""
        stream, _, _ = self._online()
        iq = new_iq("set", to=room.jid, sender=room.listener.owner)
        query = SubElement(iq, "query", {"xmlns": names.MUC_OWNER})
        form = SubElement(query, "x", {"xmlns": names.FORM, "type": "submit"})
        fields = (("FORM_TYPE", names.ROOM_CONFIG), ("muc#roomconfig_roomname", name))
        for variable, value in fields:
            field = SubElement(form, "field", {"var": variable})
            SubElement(field, "value").text = value
        # before the answer comes the room's notice of it, which is then no news to us
        before, room.name = room.name, name
        answer = await stream.ask(iq)
        condition = names.condition(answer)
        if condition:
            room.name = before
        if refusals.may_retry(condition):
            raise Unavailable(f"the room {room.jid} answers {condition}")
        if condition:
            why = refusals.reason(f"Sabir in {room.jid}", condition)
            return Refused(key=key, reason=f"{why}; only owners may name a room")
        return Sent(key=key, native_id=NativeId(""))

    # ---- looking up

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        """Find out about an earlier attempt; see `Connector.lookup`.

        In a room: the barrier, then the archive backwards to well before the
        attempt. What the room does not archive may be said again without harm.
        """
        self._online()
        if isinstance(
            piece.piece, JoinPiece | LeavePiece | ProfilePiece | ChatNamePiece
        ):
            return NotSent()
        if not self._is_room(piece.chat):
            return await self._lookup_direct(piece, attempted_at=attempted_at)
        old = self._search.too_old(attempted_at)
        if old is not None:
            return old
        room = await self._room(piece.chat)
        return await self._search.find(room, piece.key, attempted_at)

    # ---- files

    def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """Yield a file; see `DownloadsMedia.download`."""
        return media.download(
            handle, octets_max=octets_max, allow_private=self._allow_private
        )


async def _until_lost(stream: Stream) -> None:
    """End the connection's task group when the stream is over."""
    raise await stream.wait_lost()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error to act on: ours before anything else."""
    leaves = list(_leaves(group))
    return next((leaf for leaf in leaves if isinstance(leaf, Error)), leaves[0])


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterable[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def put_error(stanza: Element, kind: str, condition: str) -> None:
    """Add an error to an answer."""
    error = SubElement(stanza, "error", {"type": kind})
    SubElement(error, condition, {"xmlns": names.STANZAS})

"""What both kinds of account share: rooms, catch-up, sending, looking up.

`component` and `account` say who speaks, and what happens outside rooms.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from typing import Final
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
    InDoubt,
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
from sabir.networks.xmpp.archive import Archive, Archived, CursorUnknown, NoArchive
from sabir.networks.xmpp.capabilities import capabilities
from sabir.networks.xmpp.envelope import Arrived, Kind, content_digest, digest, seal
from sabir.networks.xmpp.intake import Intake, Item
from sabir.networks.xmpp.muc import (
    BUFFER_STANZAS_MAX,
    Bounced,
    Change,
    Reflected,
    Room,
    Seat,
    SeatRefused,
    status_codes,
)
from sabir.networks.xmpp.outbox import RefusedHere, RoomOutbox
from sabir.networks.xmpp.progress import Resumption
from sabir.networks.xmpp.render import SECOND, Address, Rendered, Upload, render
from sabir.networks.xmpp.signals import signals_of
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
LOOKUP_MARGIN_MS: Final = 30 * 60_000
"""How far our clock and the room's may differ when looking for an attempt."""
LOOKUP_AGE_MS_MAX: Final = 5 * 24 * 3_600_000
"""Older attempts may have left the archive: Prosody keeps a week."""
SETTLE_MS: Final = 2_000
"""What a dead connection still had in the server's buffers is processed by then."""
NICKS_MAX: Final = 2_000
"""Speakers whose nick in a room is remembered."""
_KEY_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz234567")
_KEY_LENGTH: Final = 32


def is_key(ident: str) -> bool:
    """Tell whether an id has the form of our idempotency keys."""
    return len(ident) == _KEY_LENGTH and _KEY_LETTERS.issuperset(ident)


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
        self._news = 0
        self._connected_at = 0.0
        self._state = ConnectionState.CONNECTING
        self._scans: dict[str, _Scan] = {}

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
        self._scans.clear()
        self._host = host
        self._intake = Intake(lambda paused: stream.pause(paused=paused))
        try:
            await stream.open(self._arrived)
            self._stream = stream
            self._connected_at = self._clock.monotonic_ms()
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

    def _later(self, coroutine: "asyncio._CoroutineLike[None]") -> None:
        """Run something beside the stream; it ends with the connection."""
        if self._tasks is not None:
            self._tasks.create_task(coroutine)
        elif asyncio.iscoroutine(coroutine):
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
                self._take(room, one.stanza, archived=one)
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
            self._take(room, stanza)

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
                self._changed(room, stanza, change)
        else:
            self._room_message(room, stanza)

    def _room_message(self, room: Room, stanza: Element) -> None:
        kind = stanza.get("type", "normal")
        if kind == "groupchat":
            if stanza.get("to") != room.listener.owner:
                return
            if not room.buffering:
                self._take(room, stanza)
            elif len(room.buffer) < BUFFER_STANZAS_MAX:
                room.buffer.append(stanza)
            else:
                room.overflowed = True
        elif kind == "error":
            bounced = Bounced(names.condition(stanza), names.error_text(stanza))
            room.settle(stanza.get("id", ""), bounced)
        elif not room.archive.collect(stanza) and names.resource(
            stanza.get("from", "")
        ):
            self._refuse_private(stanza)

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

    def _take(
        self, room: Room, stanza: Element, *, archived: Archived | None = None
    ) -> None:
        """Take one message of a room, live or out of its archive."""
        assert self._intake is not None
        native = archived.id if archived is not None else room.stanza_id(stanza)
        nick = names.resource(stanza.get("from", ""))
        mark = Item(stream=f"muc:{room.jid}", cursor=native) if native else Item()
        if self._is_own(
            room, nick, stanza.get("id", ""), archived=archived is not None
        ):
            self._reflected(room, stanza, native)
            if native:
                self._intake.add(mark)
            return
        if archived is None and self._is_state(room, stanza, nick):
            return
        if not decoding.says_something(stanza):
            return
        self._intake.add(
            Item(
                event=self._event(room, stanza, native, archived),
                stream=mark.stream,
                cursor=mark.cursor,
            )
        )

    def _is_own(self, room: Room, nick: str, ident: str, *, archived: bool) -> bool:
        """Tell whether a message is a reflection of one of ours."""
        ours = is_key(ident.removesuffix(SECOND)) or ident.startswith("sabir-")
        if room.sits(nick) and not archived:
            # another client of the same account may speak from our seat
            return self._ghosts or ours
        return ours and (
            room.has_held(nick) or nick.startswith(ghosts.nick(self._nick))
        )

    def _is_state(self, room: Room, stanza: Element, nick: str) -> bool:
        """Take signals and the topic of a room just joined; True if that was all."""
        assert self._host is not None
        if "104" in status_codes(stanza) and not nick:
            self._later(self._look_again(room))
        subject = names.child(stanza, "subject")
        if subject is not None and names.child(stanza, "body") is None:
            room.topic = subject.text or ""
            first, room.subject_seen = not room.subject_seen, True
            return first
        arrived = self._wrap(room, stanza, Kind.MESSAGE)
        sender = decoding.sender_of(arrived)
        for signal in signals_of(stanza, ChatId(room.jid), sender):
            self._host.signal(signal)
        return False

    def _wrap(
        self, room: Room, stanza: Element, kind: Kind, *, at: int = 0, value: str = ""
    ) -> Arrived:
        known = room.occupants.get(names.resource(stanza.get("from", "")))
        return Arrived(
            kind=kind,
            at=Instant(at or self._clock.now()),
            stanza=stanza,
            jid=known.jid if known is not None else "",
            occupant_ids=room.has_occupant_ids,
            value=value,
        )

    def _event(
        self, room: Room, stanza: Element, native: str, archived: Archived | None
    ) -> NativeEvent:
        at = archived.at if archived is not None else 0
        arrived = self._wrap(room, stanza, Kind.MESSAGE, at=at)
        # some clients count their ids from 1 at each start, so an id alone is no name
        ident = native or "x-" + digest(
            stanza.get("from", ""),
            stanza.get("id", "") or str(arrived.at),
            content_digest(stanza),
        )
        return NativeEvent(
            chat=ChatId(room.jid),
            native_id=NativeId(ident),
            payload=seal(arrived),
            late=archived is not None,
        )

    def _reflected(self, room: Room, stanza: Element, native: str) -> None:
        """Settle the send that waits for this, or tell the host."""
        nick = names.resource(stanza.get("from", ""))
        ident = stanza.get("id", "")
        if names.child(stanza, "subject") is not None:
            room.topic = names.text_of(stanza, "subject")
            ident = ident or room.id_of_topic(nick, room.topic)
        occupant_id = room.occupant_id(stanza)
        if room.settle(ident, Reflected(native, occupant_id, nick)):
            return
        if is_key(ident) and self._host is not None:
            sent = Sent(
                key=IdempotencyKey(ident),
                native_id=NativeId(native or ident),
                aliases=(NativeId(ident),),
                author=ids.occupant(room.jid, nick, occupant_id),
            )
            echo = self._host.echo(ChatId(room.jid), key=sent.key, sent=sent)
            self._later(echo)

    def _changed(self, room: Room, stanza: Element, change: Change) -> None:
        """Hand on news about an occupant. It has no id: it comes live, once."""
        assert self._intake is not None
        arrived = self._wrap(room, stanza, change.kind, value=change.value)
        payload = seal(arrived)
        self._news += 1
        ident = digest(payload.decode(), str(self._news))
        self._intake.add(
            Item(
                event=NativeEvent(
                    chat=ChatId(room.jid),
                    native_id=NativeId(f"p-{ident}"),
                    payload=payload,
                )
            )
        )

    async def _look_again(self, room: Room) -> None:
        """Read the room's name again after its configuration changed."""
        assert self._intake is not None
        before = room.name
        with suppress(Unavailable):  # the next change, or connection, reads it again
            await room.describe()
        if room.name == before or not room.live:
            return
        stanza = Element(f"{{{names.CLIENT}}}message", {"from": room.jid})
        stanza.set("type", "groupchat")
        arrived = self._wrap(room, stanza, Kind.ROOM_NAME, value=room.name)
        ident = f"n-{digest(before, room.name, str(arrived.at))}"
        self._intake.add(
            Item(
                event=NativeEvent(
                    chat=ChatId(room.jid),
                    native_id=NativeId(ident),
                    payload=seal(arrived),
                )
            )
        )

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
        if self._clock.now() - attempted_at > LOOKUP_AGE_MS_MAX:
            return InDoubt("the attempt is older than archives reach")
        room = await self._room(piece.chat)
        if not room.has_archive:
            return InDoubt(f"the room {room.jid} has no archive to look into")
        await self._settle()
        try:
            scan = await self._scan(room, attempted_at)
        except (CursorUnknown, NoArchive) as closed:
            return InDoubt(f"the archive of {room.jid} cannot be read: {closed}")
        found = scan.sent.get(piece.key)
        return found if found is not None else NotSent()

    async def _settle(self) -> None:
        """Let the server work off what a dead connection still had in its buffers."""
        since = self._clock.monotonic_ms() - self._connected_at
        if since < SETTLE_MS:
            await self._clock.sleep(int(SETTLE_MS - since))

    async def _scan(self, room: Room, attempted_at: Instant) -> "_Scan":
        """Return our messages in the archive since well before an attempt.

        One scan serves all attempts made before it began.
        """
        until = Instant(max(0, attempted_at - LOOKUP_MARGIN_MS))
        known = self._scans.get(room.jid)
        if known is not None and attempted_at < known.begun and until >= known.until:
            return known
        if not await room.is_inside(room.listener):
            room.live = False
            raise Unavailable(f"the room {room.jid} has put us out: joining again")
        scan = _Scan(begun=self._clock.now(), until=until)
        async for page in room.archive.backwards(until=until):
            for one in page.messages:
                self._note(room, one, scan)
        self._scans[room.jid] = scan
        return scan

    def _note(self, room: Room, one: Archived, scan: "_Scan") -> None:
        ident = one.stanza.get("id", "")
        nick = names.resource(one.stanza.get("from", ""))
        if is_key(ident) and self._is_own(room, nick, ident, archived=True):
            scan.sent[ident] = Sent(
                key=IdempotencyKey(ident),
                native_id=NativeId(one.id),
                aliases=(NativeId(ident),),
                author=ids.occupant(room.jid, nick, room.occupant_id(one.stanza)),
            )

    # ---- files

    def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """Yield a file; see `DownloadsMedia.download`."""
        return media.download(
            handle, octets_max=octets_max, allow_private=self._allow_private
        )


class _Scan:
    """Our messages found in a room's archive."""

    def __init__(self, *, begun: Instant, until: Instant) -> None:
        self.begun = begun
        self.until = until
        self.sent: dict[str, Sent] = {}


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

"""What the stanzas of a room are: messages, signals, news, and echoes of our own."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from xml.etree.ElementTree import Element

from sabir.clock import Clock, Instant
from sabir.errors import Unavailable
from sabir.networks.api import (
    ChatId,
    Host,
    IdempotencyKey,
    NativeEvent,
    NativeId,
    Sent,
)
from sabir.networks.xmpp import decode as decoding
from sabir.networks.xmpp import ghosts, ids, names
from sabir.networks.xmpp.archive import Archived
from sabir.networks.xmpp.envelope import Arrived, Kind, content_digest, digest, seal
from sabir.networks.xmpp.intake import Intake, Item
from sabir.networks.xmpp.keys import is_key
from sabir.networks.xmpp.muc import (
    BUFFER_STANZAS_MAX,
    Bounced,
    Change,
    Reflected,
    Room,
    status_codes,
)
from sabir.networks.xmpp.render import SECOND
from sabir.networks.xmpp.signals import signals_of


def is_own(room: Room, nick: str, ident: str, *, our_nick: str) -> bool:
    """Tell whether an archived message is one of ours, by who said it and its id."""
    return _has_our_id(ident) and (
        room.has_held(nick) or nick.startswith(ghosts.nick(our_nick))
    )


def _has_our_id(ident: str) -> bool:
    return is_key(ident.removesuffix(SECOND)) or ident.startswith("sabir-")


class RoomReader:
    """Reads the rooms of one connection.

    Args:
        host: to whom signals and echoes go.
        intake: to which events go.
        clock: for what has no time of its own.
        nick: that we would have in rooms.
        has_ghosts: whether speakers have seats of their own.
        refuse: answers a private message that nobody reads.
        later: runs something beside the stream.
    """

    def __init__(
        self,
        host: Host,
        intake: Intake,
        clock: Clock,
        *,
        nick: str,
        has_ghosts: bool,
        refuse: Callable[[Element], None],
        later: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._host = host
        self._intake = intake
        self._clock = clock
        self._nick = nick
        self._ghosts = has_ghosts
        self._refuse = refuse
        self._later = later
        self._news = 0

    def message(self, room: Room, stanza: Element) -> None:
        """Take a message stanza that came from a room."""
        kind = stanza.get("type", "normal")
        if kind == "groupchat":
            if stanza.get("to") != room.listener.owner:
                return
            if not room.buffering:
                self.take(room, stanza)
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
            self._refuse(stanza)

    def take(
        self, room: Room, stanza: Element, *, archived: Archived | None = None
    ) -> None:
        """Take one message of a room, live or out of its archive."""
        native = archived.id if archived is not None else room.stanza_id(stanza)
        nick = names.resource(stanza.get("from", ""))
        mark = Item(stream=f"muc:{room.jid}", cursor=native) if native else Item()
        ident = stanza.get("id", "")
        if self._is_ours(room, nick, ident, archived=archived is not None):
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

    def _is_ours(self, room: Room, nick: str, ident: str, *, archived: bool) -> bool:
        """Tell whether a message is a reflection of one of ours."""
        if room.sits(nick) and not archived:
            # another client of the same account may speak from our seat
            return self._ghosts or _has_our_id(ident)
        return is_own(room, nick, ident, our_nick=self._nick)

    def _is_state(self, room: Room, stanza: Element, nick: str) -> bool:
        """Take signals and the topic of a room just joined; True if that was all."""
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
        if is_key(ident):
            sent = Sent(
                key=IdempotencyKey(ident),
                native_id=NativeId(native or ident),
                aliases=(NativeId(ident),),
                author=ids.occupant(room.jid, nick, occupant_id),
            )
            echo = self._host.echo(ChatId(room.jid), key=sent.key, sent=sent)
            self._later(echo)

    def changed(self, room: Room, stanza: Element, change: Change) -> None:
        """Hand on news about an occupant. It has no id: it comes live, once."""
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

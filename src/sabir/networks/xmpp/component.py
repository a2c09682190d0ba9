"""A component (XEP-0114): every participant is a ghost with a JID of its own.

* One listener seat in each room; ghosts join when they first speak.
* Ghosts answer who they are (disco, version, vCard, ping).
* A direct chat has no archive: a receipt goes out only after the host has
  stored the message, and an unclear attempt stays in doubt.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from sabir.clock import Clock, Instant
from sabir.content.pieces import NativeRef, TopicPiece
from sabir.errors import Unavailable
from sabir.networks.api import (
    ChatId,
    Finding,
    InDoubt,
    NativeEvent,
    NativeId,
    Outcome,
    Outgoing,
    PersonId,
    Refused,
    Rng,
    Sent,
    Speaker,
)
from sabir.networks.xmpp import decode as decoding
from sabir.networks.xmpp import ghosts, ids, names, refusals, signals
from sabir.networks.xmpp.connector import NICKS_MAX, XmppConnector, put_error
from sabir.networks.xmpp.envelope import Arrived, Kind, digest, seal
from sabir.networks.xmpp.intake import Item
from sabir.networks.xmpp.muc import Bounced, Fate, Reflected, Room, Seat
from sabir.networks.xmpp.outbox import RefusedHere
from sabir.networks.xmpp.render import Address, original
from sabir.networks.xmpp.stream import ComponentLogin, Stream, TooLarge

_FEATURES: Final = (
    names.DISCO_INFO,
    names.PING,
    names.VERSION,
    names.VCARD_TEMP,
    names.RECEIPTS,
    names.MARKERS,
    names.STATES,
    names.REPLY,
    names.CORRECT,
    names.RETRACT,
    names.REACTIONS,
    names.SFS,
    names.OOB,
)
"""What is wired, in the order told; clients decide by it what to send."""


class ComponentConnector(XmppConnector):
    """One component of an XMPP server."""

    _login: ComponentLogin

    def __init__(
        self,
        login: ComponentLogin,
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
        self._names: dict[str, str] = {ghosts.LISTENER: nick}
        self._direct: dict[str, asyncio.Future[Fate]] = {}

    @property
    def _ghosts(self) -> bool:
        return True

    def _is_room(self, chat: str) -> bool:
        return ids.direct(chat) is None

    def _jid(self, local: str) -> str:
        return f"{local}@{self._login.domain}/{ghosts.RESOURCE}"

    def _listener_jid(self, stream: Stream) -> str:
        del stream
        return self._jid(ghosts.LISTENER)

    def _server(self) -> str:
        return self._login.domain.partition(".")[2]

    async def _session_tasks(self, tasks: asyncio.TaskGroup) -> None:
        """Start nothing: a component has no archive of its own."""

    # ---- seats

    async def _seat(self, room: Room, outgoing: Outgoing) -> tuple[Seat, str]:
        if isinstance(outgoing.piece, TopicPiece) and room.moderates:
            return room.listener, ""  # in most rooms only moderators may
        speaker = outgoing.speaker
        local = ghosts.ghost_local(speaker.uri)
        owner = self._jid(local)
        self._names[local] = speaker.name
        seat = room.seats.get(owner)
        if seat is not None and seat.joined:
            return seat, ""
        if room.is_full:
            return room.listener, f"{speaker.name}: "
        known = room.nicks.get(speaker.uri)
        choices = list(ghosts.nick_choices(speaker.name, speaker.network))
        if known is not None:
            choices = [known, *(one for one in choices if one != known)]
        seat = await room.sit(owner, choices)
        await self._hold(room, speaker.uri, seat.nick)
        return seat, ""

    async def _hold(self, room: Room, uri: str, nick: str) -> None:
        """Remember a ghost's nick for life: corrections depend on it (XEP-0308)."""
        if room.nicks.get(uri) == nick:
            return
        room.hold(uri, nick)
        _, host, _ = self._online()
        newest = dict(list(room.nicks.items())[-NICKS_MAX:])
        await host.remember(f"nicks:{room.jid}", json.dumps(newest))

    async def _leave(self, room: Room, outgoing: Outgoing, reason: str) -> None:
        owner = self._jid(ghosts.ghost_local(outgoing.speaker.uri))
        seat = room.seats.get(owner)
        if seat is not None and seat.joined:
            room.stand_up(seat, reason)

    async def _rename(self, room: Room, outgoing: Outgoing, name: str) -> None:
        speaker = outgoing.speaker
        local = ghosts.ghost_local(speaker.uri)
        self._names[local] = name
        seat = room.seats.get(self._jid(local))
        if seat is None or not seat.joined:
            room.nicks.pop(speaker.uri, None)
            return
        await room.sit(seat.owner, ghosts.nick_choices(name, speaker.network))
        await self._hold(room, speaker.uri, seat.nick)

    # ---- direct chats

    def _outside_rooms(self, stanza: Element) -> None:
        if names.local(stanza) == "presence":
            self._answer_presence(stanza)
            return
        peer = names.bare(stanza.get("from", ""))
        local = stanza.get("to", "").partition("@")[0]
        ident = stanza.get("id", "")
        if stanza.get("type") == "error":
            self._settle_direct(
                ident, Bounced(names.condition(stanza), names.error_text(stanza))
            )
            return
        if stanza.get("type") == "groupchat" or "@" not in stanza.get("to", ""):
            return
        chat = ids.Direct(peer, local).chat()
        if self._host is None or chat not in self._host.chats():
            if decoding.says_something(stanza):
                self._refuse_private(stanza)
            return
        self._take_direct(chat, stanza)

    def _take_direct(self, chat: ChatId, stanza: Element) -> None:
        assert self._host is not None
        assert self._intake is not None
        arrived = Arrived(kind=Kind.MESSAGE, at=self._clock.now(), stanza=stanza)
        sender = decoding.sender_of(arrived)
        for signal in signals.signals_of(stanza, chat, sender):
            self._host.signal(signal)
        receipt = names.child(stanza, "received", names.RECEIPTS)
        if receipt is not None:
            self._settle_direct(receipt.get("id", ""), Reflected("", "", ""))
        if not decoding.says_something(stanza):
            return
        payload = seal(arrived)
        ident = _ident(stanza) or f"x-{digest(payload.decode(), str(arrived.at))}"
        self._intake.add(
            Item(
                event=NativeEvent(
                    chat=chat,
                    native_id=NativeId(ident),
                    payload=payload,
                    revision=_content_digest(stanza),
                ),
                after=lambda: self._acknowledge(stanza),
            )
        )

    def _acknowledge(self, stanza: Element) -> None:
        """Send the receipt of a message that is stored now (XEP-0184, I1)."""
        ident = stanza.get("id", "")
        asked = names.child(stanza, "request", names.RECEIPTS)
        if asked is None or not ident or self._stream is None:
            return
        answer = signals.received(
            self._stream.new_id(),
            stanza.get("to", ""),
            stanza.get("from", ""),
            ident,
        )
        self._write_quietly(answer)

    def _settle_direct(self, ident: str, fate: Fate) -> None:
        waiting = self._direct.get(ident)
        if waiting is not None and not waiting.done():
            waiting.set_result(fate)

    async def _send_direct(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Write all, then ask the peer's server: errors come before its answer."""
        stream, _, _ = self._online()
        chat = ids.direct(batch[0].chat)
        assert chat is not None
        results = [await self._write_direct(stream, chat, one) for one in batch]
        try:
            domain = chat.peer.rpartition("@")[2]
            answer = await stream.ping(sender=self._jid(chat.ghost), to=domain)
            if refusals.may_retry(names.condition(answer)):
                raise Unavailable(
                    f"{domain} cannot be reached ({names.condition(answer)})"
                )
            for outgoing, result in zip(batch, results, strict=True):
                yield self._direct_outcome(chat, outgoing, result)
        finally:
            for outgoing in batch:
                self._direct.pop(outgoing.key, None)

    async def _write_direct(
        self, stream: Stream, chat: ids.Direct, outgoing: Outgoing
    ) -> tuple[str, ...] | Refused:
        """Write one piece; return what was lost."""
        local = ghosts.ghost_local(outgoing.speaker.uri)
        prefix = "" if local == chat.ghost else f"{outgoing.speaker.name}: "
        if not prefix:
            self._names[local] = outgoing.speaker.name
        address = Address(
            sender=self._jid(chat.ghost), to=chat.peer, group=False, prefix=prefix
        )
        try:
            rendered = await self._render(outgoing, address)
            self._direct[outgoing.key] = asyncio.get_running_loop().create_future()
            for stanza in rendered.stanzas:
                stream.write(stanza)
        except (RefusedHere, TooLarge) as refused:
            return Refused(key=outgoing.key, reason=str(refused))
        return rendered.lost

    def _direct_outcome(
        self, chat: ids.Direct, outgoing: Outgoing, result: tuple[str, ...] | Refused
    ) -> Outcome:
        if isinstance(result, Refused):
            return result
        fate = self._direct[outgoing.key]
        if fate.done():
            known = fate.result()
            if isinstance(known, Bounced):
                reason = refusals.reason(chat.peer, known.condition, known.text)
                return Refused(key=outgoing.key, reason=reason)
        return Sent(
            key=outgoing.key,
            native_id=NativeId(outgoing.key),
            author=PersonId(f"{chat.ghost}@{self._login.domain}"),
            lost=result,
        )

    async def _lookup_direct(
        self, piece: Outgoing, *, attempted_at: Instant
    ) -> Finding:
        del attempted_at
        return InDoubt(
            f"XMPP keeps no archive of {piece.chat} for us: ask the person whether the "
            "message arrived"
        )

    # ---- what is asked of ghosts

    def _asked(self, iq: Element) -> None:
        answer = Element("iq", {"type": "result", "id": iq.get("id", "")})
        answer.set("to", iq.get("from", ""))
        answer.set("from", iq.get("to", ""))
        local = iq.get("to", "").partition("@")[0] if "@" in iq.get("to", "") else ""
        query = iq[0] if len(iq) else None
        known = query is not None and iq.get("type") == "get"
        if not (known and query is not None and self._describe(answer, query, local)):
            answer.set("type", "error")
            put_error(answer, "cancel", "service-unavailable")
        self._write_quietly(answer)

    def _describe(self, answer: Element, query: Element, local: str) -> bool:
        """Put the answer to a question about a ghost; False if we have none."""
        space, name = names.namespace(query), names.local(query)
        shown = self._names.get(local, local)
        if (space, name) == (names.PING, "ping"):
            return True
        if (space, name) == (names.DISCO_INFO, "query") and not query.get("node"):
            found = SubElement(answer, "query", {"xmlns": space})
            kind = ("account", "registered") if local else ("gateway", "xmpp")
            identity = {"category": kind[0], "type": kind[1], "name": shown or "Sabir"}
            SubElement(found, "identity", identity)
            for feature in _FEATURES:
                SubElement(found, "feature", {"var": feature})
            return True
        if (space, name) == (names.DISCO_ITEMS, "query"):
            SubElement(answer, "query", {"xmlns": space})
            return True
        if (space, name) == (names.VERSION, "query"):
            found = SubElement(answer, "query", {"xmlns": space})
            SubElement(found, "name").text = "Sabir"
            SubElement(found, "version").text = "0.1"
            return True
        if (space, name) == (names.VCARD_TEMP, "vCard"):
            found = SubElement(answer, "vCard", {"xmlns": space})
            SubElement(found, "FN").text = shown or "Sabir"
            SubElement(found, "NICKNAME").text = shown or "Sabir"
            return True
        return False

    def _answer_presence(self, stanza: Element) -> None:
        """Let anybody see that a ghost is there; ghosts ask for nobody's presence."""
        kind = stanza.get("type", "")
        if kind not in ("subscribe", "probe"):
            return
        base = {"from": names.bare(stanza.get("to", "")), "to": stanza.get("from", "")}
        if kind == "subscribe":
            self._write_quietly(Element("presence", {**base, "type": "subscribed"}))
        self._write_quietly(Element("presence", base))

    # ---- typing and receipts

    def _voice(self, chat: ChatId, speaker: Speaker) -> tuple[str, str, bool] | None:
        """Return from where to where a speaker's signals go; None if nowhere."""
        local = ghosts.ghost_local(speaker.uri)
        found = ids.direct(chat)
        if found is not None:
            return (
                (self._jid(local), found.peer, False) if local == found.ghost else None
            )
        room = self._rooms.get(chat)
        seat = room.seats.get(self._jid(local)) if room is not None else None
        return (seat.owner, chat, True) if seat is not None and seat.joined else None

    async def typing(self, chat: ChatId, speaker: Speaker, *, active: bool) -> None:
        """Show that a speaker types (XEP-0085); only speakers with a seat can."""
        stream, _, _ = self._online()
        way = self._voice(chat, speaker)
        if way is not None:
            sender, to, group = way
            stream.write(
                signals.typing(stream.new_id(), sender, to, group=group, active=active)
            )

    async def receipt(
        self, chat: ChatId, speaker: Speaker, ref: NativeRef, *, read: bool
    ) -> None:
        """Show that a speaker has read a message (XEP-0333).

        Delivery is told by the receipt that follows each stored message.
        """
        stream, _, _ = self._online()
        way = self._voice(chat, speaker)
        if way is not None and read:
            sender, to, group = way
            target = ref.native_id if group else original(ref)
            stream.write(
                signals.displayed(stream.new_id(), sender, to, target, group=group)
            )


def _ident(stanza: Element) -> str:
    origin = names.child(stanza, "origin-id", names.SID)
    found = origin.get("id", "") if origin is not None else ""
    return found or stanza.get("id", "")


def _content_digest(stanza: Element) -> str:
    """Return a name of what a message says, against an id that is used twice."""
    said = [f"{e.tag}={e.text or ''}" for e in stanza.iter() if e is not stanza]
    return digest(*said)[:16]

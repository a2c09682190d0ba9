"""A person's XMPP client over slixmpp's stream, with every payload written by hand.

- Every message that arrives is in `messages`, with the monotonic time of its arrival.
- A lost connection comes back by itself: the client enters its rooms again and catches
  up from each room's archive, before anything live of that room is shown. So nothing
  is missed, shown twice, or shown out of order.
- `say` returns when the room has reflected the message, and sends it again when a
  restart swallowed it. `post` only writes.
- `archive` is the truth: the room as its server has it (XEP-0313).
"""

import asyncio
import io
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal, Self
from xml.etree.ElementTree import Element, SubElement

import aiohttp
from slixmpp import ClientXMPP, Iq
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream import StanzaBase
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath
from slixmpp.xmlstream.tostring import tostring
from slixmpp.xmlstream.xmlstream import NotConnectedError

from sabir.errors import PolicyRefused, Unavailable
from sabir.testing.clients.arrivals import Arrivals
from sabir.testing.clients.stanza import (
    NS_CORRECT,
    NS_FORWARD,
    NS_MAM,
    NS_MARKERS,
    NS_OOB,
    NS_REACTIONS,
    NS_REPLY,
    NS_RETRACT,
    NS_SID,
    NS_STATES,
    Arrived,
)
from sabir.testing.servers.accounts import XmppAccount

_CLIENT: Final = "jabber:client"
_MUC: Final = "http://jabber.org/protocol/muc"
_DATA: Final = "jabber:x:data"
_RSM: Final = "http://jabber.org/protocol/rsm"
_UPLOAD: Final = "urn:xmpp:http:upload:0"
_HINTS: Final = "urn:xmpp:hints"

_LOGIN_TIMEOUT_S: Final = 10.0
"""From the first octet to a bound session; loopback needs a tenth of a second."""

_RECONNECT_AFTER_S: Final = 0.2
"""The pause between two attempts at a server that is away."""

_ANSWER_TIMEOUT_S: Final = 15.0
"""For one IQ or one room presence."""

_PAGE_MESSAGES_MAX: Final = 100
"""Messages in one page of an archive; servers cap higher wishes."""


class _Stream(ClientXMPP):
    """One connection: slixmpp's login and IQs, everything else handed on raw."""

    def __init__(
        self,
        account: XmppAccount,
        on_message: Callable[[Element], None],
        on_presence: Callable[[Element], None],
    ) -> None:
        super().__init__(f"{account.jid}/{os.urandom(4).hex()}", account.password)
        self.enable_direct_tls = False
        self.enable_starttls = account.ca_file is not None
        self.enable_plaintext = account.ca_file is None
        if account.ca_file is not None:
            self.ssl_context = ssl.create_default_context(cafile=account.ca_file)
        self.auto_authorize = True
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self._hand_on("message", on_message)
        self._hand_on("presence", on_presence)
        self.add_event_handler("session_start", lambda _: self.up.set())
        for name in ("disconnected", "connection_failed", "failed_all_auth"):
            self.add_event_handler(name, lambda _: self.down.set())

    def _hand_on(self, name: str, taker: Callable[[Element], None]) -> None:
        def take(stanza: StanzaBase) -> None:
            taker(stanza.xml)

        matcher = MatchXPath(f"{{{_CLIENT}}}{name}")
        self.register_handler(Callback(f"every {name}", matcher, take))

    async def login(self, account: XmppAccount) -> bool:
        """Connect and bind; say whether it worked."""
        attempt = self.connect(account.host, account.port)
        waits = [asyncio.create_task(event.wait()) for event in (self.up, self.down)]
        await asyncio.wait(
            waits, timeout=_LOGIN_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        for wait in waits:
            wait.cancel()
        attempt.cancel()
        return self.up.is_set() and not self.down.is_set()

    async def end(self) -> None:
        """Close the connection and everything that slixmpp started for it."""
        self.cancel_connection_attempt()
        if self.transport is not None:
            await self.disconnect(wait=1)
        if self._run_out_filters is not None:
            self._run_out_filters.cancel()


@dataclass(slots=True)
class _Room:
    """A room that the client is, or wants to be, in.

    `last_stanza_id` is where catch-up starts; empty: the archive was empty when we
    entered. `held` are live messages that wait for catch-up to end.
    """

    nick: str
    last_stanza_id: str = ""
    inside: asyncio.Event = field(default_factory=asyncio.Event)
    people: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    held: list[Arrived] | None = None


class XmppClient:
    """One device of one person; `async with` logs in and out.

    Args:
        account: the login, as `Prosody.add_user` gives it.
    """

    def __init__(self, account: XmppAccount) -> None:
        self.account = account
        self.jid = account.jid
        self.messages: Arrivals[Arrived] = Arrivals(account.jid)
        self.presences: Arrivals[Element] = Arrivals(account.jid)
        self.online = asyncio.Event()
        self._rooms: dict[str, _Room] = {}
        self._stream: _Stream | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._archived: dict[str, list[Arrived]] = {}
        self._run = os.urandom(4).hex()
        self._made = 0

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep_connected())
        try:
            async with asyncio.timeout(_LOGIN_TIMEOUT_S):
                await self.online.wait()
        except TimeoutError:
            await self._end()
            raise Unavailable(
                f"{self.jid} could not log in at {self.account.host}:"
                f"{self.account.port}; does the server run, and is the account on it?"
            ) from None
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def wait_for(
        self,
        predicate: Callable[[Arrived], bool],
        timeout_s: float = 20.0,
        mark: int = 0,
    ) -> Arrived:
        """Return the first message that fits, from position `mark` of `messages` on."""
        return await self.messages.wait_for(predicate, timeout_s, mark)

    async def wait_for_body(
        self, chat: str, body: str, timeout_s: float = 20.0
    ) -> Arrived:
        """Return the first message of a chat with this very text."""
        return await self.wait_for(
            lambda message: message.chat == chat and message.body == body, timeout_s
        )

    # ------------------------------------------------------------------------- rooms

    async def join(self, room: str, nick: str) -> None:
        """Enter a room, making it where it is not there, without its history.

        Raises:
            PolicyRefused: the room does not let us in.
            Unavailable: no answer came.
        """
        entered = self._rooms[room] = _Room(nick)
        await self._enter(room)
        page, _, _ = await self._archive_page(room, newest=True)
        if page and not entered.last_stanza_id:
            entered.last_stanza_id = page[-1].stanza_id
        entered.inside.set()

    async def leave(self, room: str) -> None:
        """Leave a room."""
        left = self._rooms.pop(room)
        self._write(_presence(f"{room}/{left.nick}", type="unavailable"))
        await self._presence_of(room, left.nick, len(self.presences))

    def occupants(self, room: str) -> dict[str, str]:
        """Return who is in a room: nick to real JID (empty where it is hidden)."""
        return dict(self._rooms[room].people)

    async def wait_for_occupant(
        self, room: str, nick: str, *, present: bool = True, timeout_s: float = 20.0
    ) -> None:
        """Return when this nick is in the room, or no more."""
        deadline = time.monotonic() + timeout_s
        mark = len(self.presences)
        while (nick in self._rooms[room].people) is not present:
            await self.presences.wait_for(
                lambda _: True, max(0.01, deadline - time.monotonic()), mark
            )
            mark = len(self.presences)

    async def change_nick(self, room: str, nick: str) -> None:
        """Take another nick in a room."""
        mark = len(self.presences)
        self._write(_presence(f"{room}/{nick}"))
        await self._presence_of(room, nick, mark)
        self._rooms[room].nick = nick

    async def rename_room(self, room: str, name: str) -> None:
        """Give a room a name, as its owner (XEP-0045 §10.2)."""
        await self._configure(room, {"muc#roomconfig_roomname": name})

    async def room_name(self, room: str) -> str:
        """Return a room's name, as service discovery tells it (XEP-0030)."""
        namespace = "http://jabber.org/protocol/disco#info"
        answer = await self._ask("get", room, Element(f"{{{namespace}}}query"))
        identity = answer.find(f".//{{{namespace}}}identity")
        return "" if identity is None else identity.get("name", "")

    async def set_subject(self, room: str, subject: str) -> str:
        """Give a room a topic; return the message's id."""
        return self.post(room, _text("subject", subject))

    async def kick(self, room: str, nick: str, reason: str = "") -> None:
        """Put somebody out of a room, as its moderator."""
        await self._administer(room, {"nick": nick, "role": "none"}, reason)

    async def ban(self, room: str, jid: str, reason: str = "") -> None:
        """Put somebody out of a room for good, as its admin."""
        await self._administer(room, {"jid": jid, "affiliation": "outcast"}, reason)

    async def set_affiliation(self, room: str, jid: str, affiliation: str) -> None:
        """Make somebody owner, admin, member or none of a room, as its owner."""
        await self._administer(room, {"jid": jid, "affiliation": affiliation}, "")

    # ---------------------------------------------------------------------- messages

    def post(self, to: str, *payloads: Element, message_id: str | None = None) -> str:
        """Write a message and return its id; nothing says whether it arrived.

        Args:
            to: a room we are in, or a person.
            payloads: children of the message.
            message_id: given to repeat a message under the same id.

        Raises:
            Unavailable: there is no connection at the moment.
        """
        message_id = message_id or self._next_id()
        kind = "groupchat" if to in self._rooms else "chat"
        stanza = Element(
            f"{{{_CLIENT}}}message", {"to": to, "type": kind, "id": message_id}
        )
        stanza.extend(payloads)
        SubElement(stanza, f"{{{NS_SID}}}origin-id", {"id": message_id})
        self._write(stanza)
        return message_id

    async def send(
        self, room: str, *payloads: Element, timeout_s: float = 60.0
    ) -> Arrived:
        """Send a message to a room and return its reflection, which has the stanza-id.

        A connection that breaks in between is waited for, and the message is sent
        again only if the room's archive does not have it.

        Raises:
            TimeoutError: the room did not reflect it in time.
            PolicyRefused: the room refused it.
        """
        message_id = self._next_id()
        mark = len(self.messages)
        async with asyncio.timeout(timeout_s):
            while True:
                await self._rooms[room].inside.wait()
                stream = self._stream
                with suppress(Unavailable):
                    self.post(room, *payloads, message_id=message_id)
                reflected = await self._reflection(room, message_id, mark, stream)
                if reflected is not None:
                    return reflected

    async def say(self, room: str, body: str) -> Arrived:
        """Say something in a room and return its reflection."""
        return await self.send(room, _text("body", body))

    def post_text(self, to: str, body: str) -> str:
        """Write a text to a room or a person, wait for nothing; return its id."""
        return self.post(to, _text("body", body))

    async def reply(self, room: str, target: Arrived, body: str) -> Arrived:
        """Answer a message of a room (XEP-0461), its text quoted for old clients."""
        quoted = "".join(f"> {line}\n" for line in (target.body or "").splitlines())
        reply = Element(
            f"{{{NS_REPLY}}}reply", {"to": target.sender, "id": target.stanza_id}
        )
        fallback = Element("{urn:xmpp:fallback:0}fallback", {"for": NS_REPLY})
        span = {"start": "0", "end": str(len(quoted))}
        SubElement(fallback, "{urn:xmpp:fallback:0}body", span)
        return await self.send(room, _text("body", quoted + body), reply, fallback)

    async def correct(self, room: str, original_id: str, body: str) -> Arrived:
        """Replace the text of one's own message; the id is the first version's `id`."""
        replace = Element(f"{{{NS_CORRECT}}}replace", {"id": original_id})
        return await self.send(room, _text("body", body), replace)

    async def retract(self, room: str, stanza_id: str) -> Arrived:
        """Take one's own message back (XEP-0424)."""
        fallback = Element("{urn:xmpp:fallback:0}fallback", {"for": NS_RETRACT})
        return await self.send(
            room,
            Element(f"{{{NS_RETRACT}}}retract", {"id": stanza_id}),
            fallback,
            _text("body", "/me retracted a previous message"),
            Element(f"{{{_HINTS}}}store"),
        )

    async def react(self, room: str, stanza_id: str, emojis: Iterable[str]) -> Arrived:
        """Set the full set of one's reactions to a message (XEP-0444); empty: none."""
        reactions = Element(f"{{{NS_REACTIONS}}}reactions", {"id": stanza_id})
        for emoji in emojis:
            SubElement(reactions, f"{{{NS_REACTIONS}}}reaction").text = emoji
        return await self.send(room, reactions, Element(f"{{{_HINTS}}}store"))

    def set_chat_state(self, to: str, state: str) -> str:
        """Say what one is doing (XEP-0085): composing, paused, active."""
        no_store = Element(f"{{{_HINTS}}}no-store")
        return self.post(to, Element(f"{{{NS_STATES}}}{state}"), no_store)

    def mark_displayed(self, to: str, message_id: str) -> str:
        """Say that one has read up to this message; in rooms, its stanza-id."""
        return self.post(to, Element(f"{{{NS_MARKERS}}}displayed", {"id": message_id}))

    # ------------------------------------------------------------------------- media

    async def upload(self, octets: bytes, file_name: str, media_type: str) -> str:
        """Store a file (XEP-0363) and return its address.

        Raises:
            PolicyRefused: the server does not take it.
        """
        request = Element(
            f"{{{_UPLOAD}}}request",
            {
                "filename": file_name,
                "size": str(len(octets)),
                "content-type": media_type,
            },
        )
        slot = await self._ask("get", self.account.upload_service, request)
        put, get = (slot.find(f".//{{{_UPLOAD}}}{name}") for name in ("put", "get"))
        if put is None or get is None:
            raise PolicyRefused("the upload service gave a slot without addresses")
        headers = {header.get("name", ""): header.text or "" for header in put}
        headers |= {"Content-Type": media_type, "Content-Length": str(len(octets))}
        async with (
            aiohttp.ClientSession() as session,
            session.put(
                put.get("url", ""), data=io.BytesIO(octets), headers=headers
            ) as answer,
        ):
            if answer.status not in {200, 201}:
                raise PolicyRefused(f"the upload was answered with {answer.status}")
        return get.get("url", "")

    async def download(self, url: str) -> bytes:
        """Return the octets behind an address.

        Raises:
            PolicyRefused: there is nothing to be had.
        """
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            if answer.status != 200:
                raise PolicyRefused(f"the download was answered with {answer.status}")
            return await answer.read()

    async def send_file(
        self, room: str, octets: bytes, file_name: str, media_type: str
    ) -> Arrived:
        """Upload a file and show it in a room, as clients do: body and OOB alike."""
        url = await self.upload(octets, file_name, media_type)
        oob = Element(f"{{{NS_OOB}}}x")
        SubElement(oob, f"{{{NS_OOB}}}url").text = url
        return await self.send(room, _text("body", url), oob)

    # ------------------------------------------------------------------------- truth

    async def archive(self, room: str, after: str = "") -> list[Arrived]:
        """Return everything in a room's archive, oldest first.

        Args:
            room: the room's JID; one's own bare JID asks for the direct chats.
            after: start behind this stanza-id.

        Raises:
            PolicyRefused: the room refuses, or no longer knows that stanza-id.
        """
        found: list[Arrived] = []
        while True:
            page, after, complete = await self._archive_page(room, after)
            found += page
            if complete or not page:
                return found

    async def _archive_page(
        self, room: str, after: str = "", *, newest: bool = False
    ) -> tuple[Sequence[Arrived], str, bool]:
        """Return a page, its last id, and whether the archive ends with it.

        `newest` asks for the archive's last message alone.
        """
        query_id = self._next_id()
        query = Element(f"{{{NS_MAM}}}query", {"queryid": query_id})
        rsm = SubElement(query, f"{{{_RSM}}}set")
        SubElement(rsm, f"{{{_RSM}}}max").text = (
            "1" if newest else str(_PAGE_MESSAGES_MAX)
        )
        if newest:
            SubElement(rsm, f"{{{_RSM}}}before")
        if after:
            SubElement(rsm, f"{{{_RSM}}}after").text = after
        self._archived[query_id] = []
        try:
            answer = await self._ask("set", room, query)
        finally:
            page = self._archived.pop(query_id)
        fin = answer.find(f"{{{NS_MAM}}}fin")
        complete = fin is None or fin.get("complete") in {"true", "1"}
        last = answer.findtext(f".//{{{_RSM}}}last", "")
        return page, last, complete

    # -------------------------------------------------------------------- connection

    async def _keep_connected(self) -> None:
        while True:
            stream = _Stream(self.account, self._take_message, self._take_presence)
            try:
                if await stream.login(self.account):
                    self._stream = stream
                    stream.send_raw("<presence/>")
                    self.online.set()
                    await self._come_back()
                    await stream.down.wait()
            except (Unavailable, NotConnectedError, PolicyRefused):
                stream.down.set()  # it broke again, or a room is not ready: try anew
            finally:
                self.online.clear()
                self._stream = None
                self._lose_rooms()
                await stream.end()
            await asyncio.sleep(_RECONNECT_AFTER_S)

    async def _end(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper

    def _lose_rooms(self) -> None:
        for room in self._rooms.values():
            room.inside.clear()
            room.people.clear()
            room.held = []

    async def _come_back(self) -> None:
        """Enter all rooms again; show what was missed before what is live."""
        for name in list(self._rooms):
            room = self._rooms[name]
            await self._enter(name)
            for message in await self.archive(name, room.last_stanza_id):
                self._show(room, message)
            held, room.held = room.held or [], None
            for message in held:
                self._show(room, message)
            room.inside.set()

    async def _enter(self, name: str) -> None:
        room = self._rooms[name]
        mark = len(self.presences)
        presence = _presence(f"{name}/{room.nick}")
        enter = SubElement(presence, f"{{{_MUC}}}x")
        SubElement(enter, f"{{{_MUC}}}history", {"maxstanzas": "0"})
        self._write(presence)
        await self._presence_of(name, room.nick, mark)

    async def _presence_of(self, room: str, nick: str, mark: int) -> None:
        """Wait for the room's word about our own presence (status 110), or its no."""
        try:
            answer = await self.presences.wait_for(
                lambda presence: (
                    presence.get("from", "").partition("/")[0] == room
                    and (
                        presence.get("type") == "error"
                        or (
                            presence.get("from") == f"{room}/{nick}"
                            and "110" in _statuses(presence)
                        )
                    )
                ),
                _ANSWER_TIMEOUT_S,
                mark,
            )
        except TimeoutError as late:
            raise Unavailable(f"{room} did not answer {self.jid}: {late}") from None
        if answer.get("type") == "error":
            raise PolicyRefused(f"{room} refused {self.jid}: {_condition(answer)}")

    async def _reflection(
        self, room: str, message_id: str, mark: int, stream: _Stream | None
    ) -> Arrived | None:
        """Wait for a message's reflection; None when the connection broke first."""
        reflected = asyncio.create_task(
            self.messages.wait_for(
                lambda message: message.chat == room and message.id == message_id,
                timeout_s=3600,
                mark=mark,
            )
        )
        broken = asyncio.create_task(
            stream.down.wait() if stream is not None else asyncio.sleep(0)
        )
        try:
            await asyncio.wait({reflected, broken}, return_when=asyncio.FIRST_COMPLETED)
            if not reflected.done():
                await self._rooms[room].inside.wait()  # caught up: it came, or was lost
                await asyncio.sleep(0)
            if not reflected.done():
                return None
            answer = reflected.result()
        finally:
            reflected.cancel()
            broken.cancel()
        if answer.type == "error":
            raise PolicyRefused(f"{room} refused a message: {_condition(answer.xml)}")
        return answer

    # -------------------------------------------------------------------- what comes

    def _take_message(self, xml: Element) -> None:
        now_s = time.monotonic()
        result = xml.find(f"{{{NS_MAM}}}result")
        if result is not None:
            forwarded = result.find(f"{{{NS_FORWARD}}}forwarded/{{{_CLIENT}}}message")
            page = self._archived.get(result.get("queryid", ""))
            if forwarded is not None and page is not None:
                page.append(Arrived(forwarded, now_s, True, result.get("id", "")))
            return
        message = Arrived(xml, now_s)
        room = self._rooms.get(message.chat)
        if room is None or message.type != "groupchat":
            self.messages.add(message)
        elif room.held is not None:
            room.held.append(message)
        else:
            self._show(room, message)

    def _show(self, room: _Room, message: Arrived) -> None:
        stanza_id = message.stanza_id
        if stanza_id:
            if stanza_id in room.seen:
                return
            room.seen.add(stanza_id)
            room.last_stanza_id = stanza_id
        self.messages.add(message)

    def _take_presence(self, xml: Element) -> None:
        name, _, nick = xml.get("from", "").partition("/")
        room = self._rooms.get(name)
        if room is not None and nick:
            if xml.get("type") == "unavailable":
                room.people.pop(nick, None)
            elif xml.get("type") is None:
                item = xml.find(f"{{{_MUC}#user}}x/{{{_MUC}#user}}item")
                room.people[nick] = "" if item is None else item.get("jid", "")
        self.presences.add(xml)

    # --------------------------------------------------------------------- what goes

    def _next_id(self) -> str:
        self._made += 1
        return f"{self._run}-{self._made}"

    def _write(self, stanza: Element) -> None:
        if self._stream is None or self._stream.transport is None:
            raise Unavailable(f"{self.jid} has no connection at the moment")
        self._stream.send_raw(_serialise(stanza))

    async def _ask(
        self, kind: Literal["get", "set"], to: str, payload: Element
    ) -> Element:
        stream = self._stream
        if stream is None:
            raise Unavailable(f"{self.jid} has no connection at the moment")
        iq = stream.make_iq(id=self._next_id(), ito=to, itype=kind)
        iq.xml.append(payload)
        answered: Awaitable[Iq] = iq.send(  # type: ignore[no-untyped-call]  # slixmpp's
            timeout=_ANSWER_TIMEOUT_S
        )
        try:
            answer = await answered
        except IqError as refused:
            raise PolicyRefused(
                f"{to} refused {self.jid}: {_condition(refused.iq.xml)}"
            ) from None
        except IqTimeout:
            raise Unavailable(f"{to} did not answer {self.jid}") from None
        xml: Element = answer.xml
        return xml

    async def _configure(self, room: str, values: dict[str, str]) -> None:
        query = Element(f"{{{_MUC}#owner}}query")
        form = SubElement(query, f"{{{_DATA}}}x", {"type": "submit"})
        for name, value in {"FORM_TYPE": f"{_MUC}#roomconfig", **values}.items():
            entry = SubElement(form, f"{{{_DATA}}}field", {"var": name})
            SubElement(entry, f"{{{_DATA}}}value").text = value
        await self._ask("set", room, query)

    async def _administer(
        self, room: str, attributes: dict[str, str], reason: str
    ) -> None:
        query = Element(f"{{{_MUC}#admin}}query")
        item = SubElement(query, f"{{{_MUC}#admin}}item", attributes)
        if reason:
            SubElement(item, f"{{{_MUC}#admin}}reason").text = reason
        await self._ask("set", room, query)


def _text(name: str, text: str) -> Element:
    element = Element(f"{{{_CLIENT}}}{name}")
    element.text = text
    return element


def _presence(to: str, **attributes: str) -> Element:
    return Element(f"{{{_CLIENT}}}presence", {"to": to, **attributes})


def _statuses(presence: Element) -> set[str | None]:
    path = f"{{{_MUC}#user}}x/{{{_MUC}#user}}status"
    return {status.get("code") for status in presence.findall(path)}


def _condition(stanza: Element) -> str:
    """Return an error's condition (RFC 6120 §8.3.3), read from the XML itself."""
    namespace = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
    for element in stanza.iter():
        if element.tag.startswith(namespace) and not element.tag.endswith("}text"):
            return element.tag.removeprefix(namespace)
    return "no condition given"


def _serialise(stanza: Element) -> str:
    return tostring(stanza, xmlns=_CLIENT)

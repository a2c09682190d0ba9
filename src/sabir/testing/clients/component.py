"""An external component (XEP-0114) by hand: a stream, a handshake, and raw stanzas.

It is what a bridge looks like to a server, without the bridge: for measuring what the
server itself takes, and for tests that need a second component.
"""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, cast
from xml.etree.ElementTree import Element, ParseError, SubElement, XMLPullParser

from slixmpp.xmlstream.tostring import tostring

from sabir.errors import CredentialsRefused, Unavailable
from sabir.testing.clients.arrivals import Arrivals
from sabir.testing.clients.stanza import NS_SID, Arrived
from sabir.testing.servers.accounts import ComponentAccount

_ACCEPT: Final = "jabber:component:accept"
_STREAM: Final = "http://etherx.jabber.org/streams"
_MUC: Final = "http://jabber.org/protocol/muc"

_ANSWER_TIMEOUT_S: Final = 15.0
"""For the handshake and for entering a room."""

_Steps = Iterator[tuple[str, Element]]
"""What a parser of start and end events yields; its type promises more."""

_READ_OCTETS: Final = 65_536
"""One read from the socket."""


class XmppComponent:
    """A component and its ghosts; `async with` connects and disconnects.

    Args:
        account: as `Prosody.add_component` gives it.
    """

    def __init__(self, account: ComponentAccount) -> None:
        self.account = account
        self.messages: Arrivals[Arrived] = Arrivals(account.jid)
        self.presences: Arrivals[Element] = Arrivals(account.jid)
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._accepted: asyncio.Future[None] | None = None
        self._made = 0

    async def __aenter__(self) -> Self:
        reader, self._writer = await asyncio.open_connection(
            self.account.host, self.account.port
        )
        self._accepted = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(reader))
        self._write(
            f"<stream:stream xmlns='{_ACCEPT}' xmlns:stream='{_STREAM}' "
            f"to='{self.account.jid}'>"
        )
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                await self._accepted
        except TimeoutError:
            await self._end()
            raise Unavailable(
                f"{self.account.jid}: no answer to the handshake"
            ) from None
        except CredentialsRefused:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write("</stream:stream>")
        await self._end()

    async def join(self, room: str, ghost: str) -> None:
        """Let a ghost enter a room under its local part as nick, without history.

        Raises:
            TimeoutError: the room did not let it in.
        """
        presence = Element(
            f"{{{_ACCEPT}}}presence",
            {"from": self._jid(ghost), "to": f"{room}/{ghost}"},
        )
        enter = SubElement(presence, f"{{{_MUC}}}x")
        SubElement(enter, f"{{{_MUC}}}history", {"maxstanzas": "0"})
        mark = len(self.presences)
        self._write(tostring(presence, xmlns=_ACCEPT))
        await self.presences.wait_for(
            lambda answer: (
                answer.get("from") == f"{room}/{ghost}"
                and answer.get("to") == self._jid(ghost)
                and answer.get("type") is None
            ),
            _ANSWER_TIMEOUT_S,
            mark,
        )

    def say(self, ghost: str, room: str, body: str) -> str:
        """Write a ghost's message to a room; return its id."""
        self._made += 1
        message_id = f"{ghost}-{self._made}"
        message = Element(
            f"{{{_ACCEPT}}}message",
            {
                "from": self._jid(ghost),
                "to": room,
                "type": "groupchat",
                "id": message_id,
            },
        )
        SubElement(message, f"{{{_ACCEPT}}}body").text = body
        SubElement(message, f"{{{NS_SID}}}origin-id", {"id": message_id})
        self._write(tostring(message, xmlns=_ACCEPT))
        return message_id

    def _jid(self, ghost: str) -> str:
        return f"{ghost}@{self.account.jid}/ghost"

    def _write(self, text: str) -> None:
        assert self._writer is not None, "use `async with` first"
        self._writer.write(text.encode())

    async def _end(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading
        if self._writer is not None:
            self._writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
        depth, root = 0, Element("none")
        try:
            while octets := await reader.read(_READ_OCTETS):
                parser.feed(octets)
                for step, element in cast("_Steps", parser.read_events()):
                    if step == "start":
                        depth += 1
                        if depth == 1:
                            root = element
                            self._shake_hands(root)
                        continue
                    depth -= 1
                    if depth == 1:
                        root.remove(element)
                        self._take(element)
        except (ParseError, OSError) as broken:
            self._lose(str(broken))
        else:
            self._lose("the server closed the stream")

    def _lose(self, why: str) -> None:
        lost = Unavailable(f"{self.account.jid}: {why}")
        self.messages.fail(lost)
        self.presences.fail(lost)

    def _shake_hands(self, root: Element) -> None:
        proof = root.get("id", "") + self.account.secret
        digest = hashlib.sha1(proof.encode()).hexdigest()
        self._write(f"<handshake>{digest}</handshake>")

    def _take(self, element: Element) -> None:
        name = element.tag.rpartition("}")[2]
        if name == "message":
            self.messages.add(Arrived(element, time.monotonic()))
        elif name == "presence":
            self.presences.add(element)
        elif self._accepted is not None and not self._accepted.done():
            if name == "handshake":
                self._accepted.set_result(None)
            elif name == "error":
                self._accepted.set_exception(
                    CredentialsRefused(
                        f"{self.account.jid}: the server refuses the component; "
                        "compare the secret in its configuration"
                    )
                )

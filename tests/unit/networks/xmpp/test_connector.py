"""What both kinds of account do with rooms."""

from xml.etree.ElementTree import Element, SubElement

import pytest

from sabir.crypto.secrets import Secret
from sabir.networks.api import ChatId, ConnectionState
from sabir.networks.xmpp import names
from sabir.networks.xmpp.archive import Archive
from sabir.networks.xmpp.component import ComponentConnector
from sabir.networks.xmpp.intake import Intake
from sabir.networks.xmpp.muc import Room, Seat
from sabir.networks.xmpp.stream import ComponentLogin, Stream
from sabir.testing.clock import VirtualClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng

ROOM = "r@m.x"
LISTENER = "sabir@gw.x/sabir"
LOGIN = ComponentLogin(
    domain="gw.x", host="127.0.0.1", port=1, secret=Secret.from_text("s")
)


class ClosedWire(Stream):
    """A server on which every room forbids what we ask."""

    def __init__(self) -> None:
        super().__init__(LOGIN, rng=SeededRng())

    async def ask(self, iq: Element, *, timeout_s: float = 1) -> Element:
        answer = Element("iq", {"type": "error"})
        error = SubElement(answer, "error")
        SubElement(error, f"{{{names.STANZAS}}}forbidden")
        return answer


class Connector(ComponentConnector):
    """A component in the middle of a run, in the state that a test wants."""

    def __init__(self, host: RecordingHost, state: ConnectionState) -> None:
        super().__init__(
            LOGIN,
            clock=VirtualClock(),
            rng=SeededRng(),
            nick="Sabir",
            upload_service="",
            allow_private_media_hosts=True,
        )
        self._stream = ClosedWire()
        self._host = host
        self._intake = Intake(lambda paused: None)
        self._report(host, state)

    def room(self) -> Room:
        assert self._stream is not None
        archive = Archive(self._stream, owner=ROOM, reader=LISTENER)
        listener = Seat(LISTENER, "Sabir", joined=True)
        return Room(jid=ROOM, listener=listener, stream=self._stream, archive=archive)

    async def catch_up(self) -> None:
        room = self.room()
        room.features = frozenset({names.MAM})
        await self._catch_up(room)
        assert room.live


@pytest.mark.parametrize(
    "state", [ConnectionState.CATCHING_UP, ConnectionState.CONNECTED]
)
async def test_a_closed_archive_is_told_and_leaves_the_state_of_the_account(
    state: ConnectionState,
) -> None:
    host = RecordingHost(clock=VirtualClock(), rng=SeededRng(), chats=[ChatId(ROOM)])
    connector = Connector(host, state)
    await connector.catch_up()
    reported, detail = host.states[-1]
    assert reported is state
    assert "no catch-up" in detail

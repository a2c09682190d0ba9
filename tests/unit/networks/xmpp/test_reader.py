"""What the stanzas of a room are taken for."""

import asyncio
from xml.etree.ElementTree import Element, fromstring

import pytest

from sabir.crypto.secrets import Secret
from sabir.networks.api import ChatId
from sabir.networks.xmpp.archive import Archive
from sabir.networks.xmpp.intake import Intake
from sabir.networks.xmpp.muc import Room, Seat
from sabir.networks.xmpp.reader import RoomReader, is_own
from sabir.networks.xmpp.stream import ComponentLogin, Stream
from sabir.testing.clock import VirtualClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng

ROOM = "r@m.x"
LISTENER = "sabir@gw.x/sabir"
OURS = "a" * 32
LOGIN = ComponentLogin(
    domain="gw.x", host="127.0.0.1", port=1, secret=Secret.from_text("s")
)


def room() -> Room:
    stream = Stream(LOGIN, rng=SeededRng())
    archive = Archive(stream, owner=ROOM, reader=LISTENER)
    listener = Seat(LISTENER, "Sabir", joined=True)
    return Room(jid=ROOM, listener=listener, stream=stream, archive=archive)


async def native_ids(*stanzas: Element) -> list[str]:
    """Return what messages are called in a room without `stanza-id`s."""
    host = RecordingHost(clock=VirtualClock(), rng=SeededRng(), chats=[ChatId(ROOM)])
    intake = Intake(lambda paused: None)
    reader = RoomReader(
        host,
        intake,
        host.clock,
        nick="Sabir",
        has_ghosts=True,
        refuse=lambda stanza: None,
        later=lambda coroutine: coroutine.close(),
    )
    for stanza in stanzas:
        reader.take(room(), stanza)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(intake.run(host))
        await intake.flush()
        running.cancel()
    return [event.native_id for take in host.takes for event in take]


def bot_says(text: str, extra: str = "") -> Element:
    return fromstring(
        f"<message xmlns='jabber:client' type='groupchat' from='{ROOM}/bot' id='1'>"
        f"<body>{text}</body>{extra}</message>"
    )


async def test_messages_with_a_reused_id_are_two_messages() -> None:
    one, other = await native_ids(bot_says("disk is fine"), bot_says("DISK IS FULL"))
    assert one != other


@pytest.mark.parametrize(
    "added",
    [
        "",
        "<delay xmlns='urn:xmpp:delay' stamp='2025-01-01T00:00:00Z'/>",
        "<x xmlns='jabber:x:delay' stamp='20250101T00:00:00'/>",
        "<stanza-id xmlns='urn:xmpp:sid:0' by='elsewhere' id='7'/>",
    ],
)
async def test_a_second_copy_of_a_message_is_the_same_message(added: str) -> None:
    once, again = await native_ids(
        bot_says("disk is fine"), bot_says("disk is fine", added)
    )
    assert once == again


def test_ours_is_what_has_our_id_and_one_of_our_nicks() -> None:
    seen = room()
    seen.hold("x:ada", "Ada")
    assert is_own(seen, "Ada", OURS, our_nick="Sabir")
    assert not is_own(seen, "Ada", "1", our_nick="Sabir")
    assert not is_own(seen, "Bob", OURS, our_nick="Sabir")

"""What a room says about seats and people."""

import asyncio
from xml.etree.ElementTree import Element, fromstring

import pytest

from sabir.crypto.secrets import Secret
from sabir.errors import Unavailable
from sabir.networks.xmpp.archive import Archive
from sabir.networks.xmpp.envelope import Kind
from sabir.networks.xmpp.muc import Bounced, Change, Reflected, Room, Seat, SeatRefused
from sabir.networks.xmpp.stream import ComponentLogin, Stream
from sabir.testing.rng import SeededRng

ROOM = "r@m.x"
LISTENER = "sabir@gw.x/sabir"
GHOST = "ada@gw.x/sabir"


class Wire(Stream):
    """A stream that keeps what is written."""

    def __init__(self) -> None:
        login = ComponentLogin(
            domain="gw.x", host="127.0.0.1", port=1, secret=Secret.from_text("s")
        )
        super().__init__(login, rng=SeededRng())
        self.written: list[Element] = []

    def write(self, stanza: Element) -> None:
        self.written.append(stanza)


def new_room() -> tuple[Room, Wire]:
    wire = Wire()
    listener = Seat(LISTENER, "Sabir", joined=True)
    archive = Archive(wire, owner=ROOM, reader=LISTENER)
    room = Room(jid=ROOM, listener=listener, stream=wire, archive=archive)
    room.seats[LISTENER] = listener
    return room, wire


def presence(
    nick: str, *, to: str = LISTENER, kind: str = "", item: str = "", codes: str = ""
) -> Element:
    statuses = "".join(f'<status code="{code}"/>' for code in codes.split())
    shown = f' type="{kind}"' if kind else ""
    return fromstring(
        f'<presence xmlns="jabber:client" from="{ROOM}/{nick}" to="{to}"{shown}>'
        f'<x xmlns="http://jabber.org/protocol/muc#user"><item {item}/>{statuses}</x>'
        "</presence>"
    )


def refusal(condition: str, to: str = GHOST) -> Element:
    return fromstring(
        f'<presence xmlns="jabber:component:accept" from="{ROOM}/Ada" to="{to}" '
        f'type="error"><error type="cancel"><{condition} '
        'xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></presence>'
    )


def test_the_list_that_comes_on_joining_is_no_news() -> None:
    room, _ = new_room()
    room.listener.joined = False
    assert room.presence(presence("Bob")) is None
    room.listener.joined = True
    assert room.presence(presence("Bob")) is None
    assert room.presence(presence("Cid", item='jid="c@x/y"')) == Change(
        Kind.JOINED, "c@x/y"
    )


def test_leaving_being_removed_and_renaming() -> None:
    room, _ = new_room()
    room.presence(presence("Bob", item='jid="b@x/y"'))
    renamed = presence("Bob", kind="unavailable", item='nick="Bobby"', codes="303")
    assert room.presence(renamed) == Change(Kind.RENICKED, "", "Bobby")
    assert room.presence(presence("Bobby")) is None
    gone = presence("Bobby", kind="unavailable")
    assert room.presence(gone) == Change(Kind.LEFT, "")
    assert room.presence(gone) is None
    room.presence(presence("Bob"))
    kicked = presence("Bob", kind="unavailable", codes="307")
    assert room.presence(kicked) == Change(Kind.REMOVED, "")


def test_a_ghosts_copy_is_no_news_whatever_it_says() -> None:
    room, _ = new_room()
    assert room.presence(presence("Bob", to=GHOST)) is None
    assert room.occupants == {}


async def test_a_ghost_takes_the_next_nick_when_one_is_taken() -> None:
    room, wire = new_room()
    join = asyncio.create_task(room.sit(GHOST, ["Ada", "Ada (matrix)"]))
    await asyncio.sleep(0)
    assert room.presence(presence("Ada")) is None  # ours, or about to be
    room.presence(refusal("conflict"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [one.get("to") for one in wire.written] == [
        f"{ROOM}/Ada",
        f"{ROOM}/Ada (matrix)",
    ]
    room.presence(presence("Ada (matrix)", to=GHOST, codes="110"))
    seat = await join
    assert (seat.nick, seat.joined) == ("Ada (matrix)", True)
    assert room.sits("Ada (matrix)")
    assert not room.sits("Ada")
    assert wire.written[0].find("{http://jabber.org/protocol/muc}x") is None
    assert "maxstanzas" in str(
        [child.attrib for child in wire.written[0].iter("history")]
    )


async def test_a_refusal_that_is_not_about_the_nick_is_told() -> None:
    room, _ = new_room()
    join = asyncio.create_task(room.sit(GHOST, ["Ada", "Ada 2"]))
    await asyncio.sleep(0)
    room.presence(refusal("registration-required"))
    with pytest.raises(SeatRefused, match="registration-required"):
        await join
    with pytest.raises(SeatRefused, match="conflict"):
        await room.sit(GHOST, [])


async def test_a_seat_lost_is_known_and_a_destroyed_room_too() -> None:
    room, _ = new_room()
    room.live = True
    destroyed = fromstring(
        f'<presence xmlns="jabber:client" from="{ROOM}/Sabir" to="{LISTENER}" '
        'type="unavailable"><x xmlns="http://jabber.org/protocol/muc#user">'
        '<destroy/><status code="110"/></x></presence>'
    )
    room.presence(destroyed)
    assert not room.live
    assert not room.listener.joined
    assert "destroyed" in room.refused


def test_only_the_rooms_own_stanza_id_counts_and_only_if_it_vouches() -> None:
    room, _ = new_room()
    message = fromstring(
        '<message xmlns="jabber:client"><body/>'
        '<stanza-id xmlns="urn:xmpp:sid:0" by="evil@x" id="forged"/>'
        f'<stanza-id xmlns="urn:xmpp:sid:0" by="{ROOM}" id="real"/>'
        '<occupant-id xmlns="urn:xmpp:occupant-id:0" id="o"/></message>'
    )
    assert (room.stanza_id(message), room.occupant_id(message)) == ("", "")
    room.features = frozenset({"urn:xmpp:sid:0", "urn:xmpp:occupant-id:0"})
    assert (room.stanza_id(message), room.occupant_id(message)) == ("real", "o")


async def test_everybody_who_waits_hears_that_it_is_over() -> None:
    room, _ = new_room()
    loop = asyncio.get_running_loop()
    room.fates["k"] = fate = loop.create_future()
    assert room.settle("other", Bounced("x", "")) is False
    room.fail(Unavailable("over"))
    with pytest.raises(Unavailable):
        await fate
    assert room.settle("k", Reflected("1", "", "Ada")) is False

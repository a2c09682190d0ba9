"""Hubs and followers that cheat: what members are shown of it, and what they keep.

The hub has the order in its hand, and a follower all that its own users hear and say.
Neither has a key of the room.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from sabir.agent.membership.chronicle import irregularity
from sabir.mimi.agent_api.events import Event, EventType
from sabir.mimi.agent_api.forms import Octets
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.member.events import Irregular, Sign
from sabir.mimi.member.intents import Rotate
from sabir.mimi.structs.fanout import read_fanout_messages
from sabir.mimi.structs.submit import Frank
from sabir.storage.records import RoomId
from tests.unit.agent.membership.fake import Device, eventually
from tests.unit.agent.membership.people import Person, Street, say
from tests.unit.agent.membership.test_membership import a_room

Cheat = Callable[[Event], list[Event]]


def cheat(person: Person, how: Cheat) -> None:
    """Let something between the hub and somebody's device cheat from now on."""
    device = person.api.own
    honest = device.tell

    def tell(kind: EventType, **members: Any) -> None:
        honest(kind, **members)
        made = how(device.stream.pop())
        device.stream += [
            msgspec.structs.replace(each, cursor=str(len(device.stream) + number))
            for number, each in enumerate(made, 1)
        ]

    device.tell = tell  # type: ignore[method-assign]


def only(kind: EventType, how: Cheat) -> Cheat:
    return lambda event: how(event) if event.type is kind else [event]


async def noticed(person: Person, room: RoomId, *words: str) -> None:
    """Wait until what somebody is shown of a room says so."""

    async def so() -> bool:
        shown = await person.desk.show(room)
        text = " ".join(each.detail for each in shown.notices)
        return all(word in text for word in words)

    await eventually(so)


async def hears_nothing_odd(person: Person, room: RoomId) -> None:
    assert (await person.desk.show(room)).notices == ()


async def test_an_honest_room_is_quiet(street: Street) -> None:
    room, people = await a_room(street, "ann", "b.example:ben")
    for person in people:
        await person.desk.post(room, say(f"hello of {person.user}"))
    for person in people:
        await person.has(room, *(f"hello of {each.user}" for each in people))
        await hears_nothing_odd(person, room)


async def test_a_dropped_message_is_missed_at_the_next(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    left = [1]

    def drop(event: Event) -> list[Event]:
        return [] if left and left.pop() else [event]

    cheat(ben, only(EventType.MESSAGE, drop))
    await ann.desk.post(room, say("one"))
    await ann.desk.post(room, say("two"))
    await ben.has(room, "two")
    await noticed(ben, room, f"1 message(s) of {ann.uri} did not come")
    assert await ben.texts(room) == ["two"]


async def test_messages_in_another_order_are_told(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    held: list[Event] = []

    def swap(event: Event) -> list[Event]:
        held.append(event)
        return held[::-1] if len(held) == 2 else []

    cheat(ben, only(EventType.MESSAGE, swap))
    await ann.desk.post(room, say("one"))
    await ann.desk.post(room, say("two"))
    await ben.has(room, "one", "two")
    await noticed(ben, room, "changed the order", "times go back")


async def test_a_dropped_commit_is_told_and_overcome(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    left = [1]

    def drop(event: Event) -> list[Event]:
        return [] if left and left.pop() else [event]

    cheat(ben, only(EventType.HANDSHAKE, drop))
    await ann.desk.rename(room, "Coffee")
    await ann.desk.post(room, say("after"))
    await noticed(ben, room, "epoch")

    async def is_back() -> bool:
        here, there = await ann.desk.show(room), await ben.desk.show(room)
        return here.fingerprint == there.fingerprint

    await eventually(is_back)
    await ann.desk.post(room, say("again"))
    await ben.has(room, "again")
    assert (await ben.desk.show(room)).name == "Coffee"


async def test_two_who_are_shown_different_rooms_see_different_fingerprints(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, (ann, ben, cy) = await a_room(street, "ann", "b.example:ben", "c.example:cy")
    town = street.town
    honest = town.rooms[room]
    forked = HubRoom.load(honest.keys, honest.encode(), town.clock.now())
    others = {ann.uri, ben.uri}

    def only_to(mine: set[str]) -> Callable[[HubRoom, Any, Device], bool]:
        return lambda room, event, device: device.uri in mine

    monkeypatch.setattr(town, "_gets", only_to(others))
    await ann.desk.rename(room, "Coffee")

    async def renamed() -> bool:
        return (await ben.desk.show(room)).name == "Coffee"

    await eventually(renamed)
    town.rooms[room] = forked
    monkeypatch.setattr(town, "_gets", only_to({cy.uri}))
    await cy.membership.session(room).want(Rotate())
    a, b, c = [await each.desk.show(room) for each in (ann, ben, cy)]
    assert a.epoch == b.epoch == c.epoch, "nothing but the fingerprint tells"
    assert a.fingerprint == b.fingerprint != c.fingerprint


def forged(event: Event, **changes: Any) -> Event:
    """Change the message inside of an event."""
    assert event.data is not None
    (message,) = read_fanout_messages(bytes(event.data))
    return msgspec.structs.replace(
        event, data=Octets(replace(message, **changes).encode())
    )


@pytest.mark.parametrize(
    "lie",
    [
        lambda event: forged(event, frank=Frank(bytes(32), 1, bytes(64))),
        lambda event: forged(event, frank=None),
        lambda event: msgspec.structs.replace(
            forged(event, accepted_at=event.accepted_ms + 1_000),
            accepted_ms=event.accepted_ms + 1_000,
        ),
    ],
    ids=["another frank", "no frank", "another time"],
)
async def test_a_follower_that_changes_the_hubs_word_is_not_believed(
    street: Street, lie: Callable[[Event], Event]
) -> None:
    """The text is its sender's; that the hub vouches for it is not said any more."""
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    cheat(ben, only(EventType.MESSAGE, lambda event: [lie(event)]))
    await ann.desk.post(room, say("hello"))
    await ben.has(room, "hello")
    entries = await ben.storage.after(room, 0, count_max=99)
    origins = await ben.storage.provenance(each.entry for each in entries)
    assert all(each.verdict != "accountable" for each in origins.values())
    assert origins


async def test_a_follower_can_change_no_octet_of_what_was_said(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    spoilt: list[bytes] = []

    def spoil(event: Event) -> list[Event]:
        if spoilt:
            return [event]
        assert event.data is not None
        octets = bytearray(event.data)
        for place in range(len(octets) // 2, len(octets) // 2 + 8):
            octets[place] ^= 0x55
        spoilt.append(bytes(octets))
        return [msgspec.structs.replace(event, data=Octets(octets))]

    cheat(ben, only(EventType.MESSAGE, spoil))
    await ann.desk.post(room, say("pay 100"))
    await ann.desk.post(room, say("after"))
    await ben.has(room, "after")
    assert await ben.texts(room) == ["after"]
    await noticed(ben, room, "did not come")


async def test_a_follower_that_gives_everything_twice_doubles_nothing(
    street: Street,
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    cheat(ben, lambda event: [event, event])
    await ann.desk.post(room, say("once"))
    await ann.desk.rename(room, "Coffee")
    await ben.desk.post(room, say("mine"))
    await ann.desk.post(room, say("then"))
    await ben.has(room, "once", "mine", "then")
    assert await ben.texts(room) == ["once", "mine", "then"]
    await hears_nothing_odd(ben, room)


async def test_a_follower_that_invents_places_places_nothing(street: Street) -> None:
    """A `room.own` of what we did not send, and garbage in place of a message."""
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    now = street.town.clock.now()
    ben.api.own.tell(
        EventType.OWN,
        room=room,
        accepted_ms=now,
        sha256=Octets(hashlib.sha256(b"nothing").digest()),
        frank=None,
    )
    ben.api.own.tell(
        EventType.MESSAGE, room=room, accepted_ms=now, data=Octets(b"\xff" * 64)
    )
    await ann.desk.post(room, say("hello"))
    await ben.has(room, "hello")
    assert await ben.texts(room) == ["hello"]
    await noticed(ben, room, "own-unknown", "not-readable")


async def test_a_follower_that_swallows_what_its_user_says_is_found_out(
    street: Street,
) -> None:
    """It says "accepted" and passes nothing on: what has no place is not shown sent."""
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    await ben.desk.post(room, say("before"))
    await ann.has(room, "before")
    cheat(ann, only(EventType.MESSAGE, lambda _: []))
    await ben.desk.post(room, say("swallowed"))
    del ann.api.own.tell  # honest again
    await ben.desk.post(room, say("after"))
    await ann.has(room, "after")
    await noticed(ann, room, f"1 message(s) of {ben.uri} did not come")


@pytest.mark.parametrize("sign", Sign)
def test_every_sign_has_words(sign: Sign) -> None:
    event = Irregular(accepted_at=1, sign=sign, client="mimi://a/d/u/1", count=3)
    assert len(irregularity(event)) > 40

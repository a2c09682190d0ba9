"""A hub's group as octets."""

import pytest

from sabir.errors import Error
from sabir.mls.errors import MlsInvalid, MlsMisuse
from sabir.mls.proposals import Add, ReInit
from sabir.mls.public_group import PublicGroup
from sabir.mls.public_store import encode_public_group, read_public_group
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import Room, client


def restarted(room: Room) -> PublicGroup:
    assert room.hub is not None
    stored = encode_public_group(room.hub)
    room.hub = read_public_group(room.hub.services, stored)
    assert encode_public_group(room.hub) == stored
    return room.hub


def test_a_hub_goes_on_after_a_restart() -> None:
    room = Room.of("ann", "ben")
    restarted(room)
    room.commit("ben")
    restarted(room)
    room.clients["cat"] = client("cat")
    add = Add(room.key_package("cat")[0])
    for proposal in (add, ReInit(b"later", 1)):
        sent = room["ann"].propose(room.env, proposal, as_public=True)
        room.hear(sent.message, "ann")
    hub = restarted(room)
    assert [item.proposal for item in hub.pending.values()] == [
        add,
        ReInit(b"later", 1),
    ]
    room.commit("ben")
    assert len(hub.members) == 3


def test_a_group_that_ended_stays_ended() -> None:
    room = Room.of("ann", "ben")
    room.commit("ann", ReInit(b"next", 1))
    hub = restarted(room)
    assert hub.re_init == ReInit(b"next", 1)
    other = Room.of("ann", "ben")
    with violates(Rule.O06):
        hub.process(room.env, other["ann"].commit(room.env, as_public=True).commit)


def test_what_is_damaged_is_refused() -> None:
    room = Room.of("ann", "ben")
    room.hear(room["ben"].propose_update(room.env, as_public=True).message, "ben")
    room.commit("ann", ReInit(b"next", 1))
    assert room.hub is not None
    services, stored = room.hub.services, encode_public_group(room.hub)
    for damaged in (
        stored[:-1],
        stored + b"\x00",
        b"SBRM" + stored[4:],
        stored[:5] + b"\x09" + stored[6:],
        stored.replace(b"\x00\x05\x04next", b"\x00\x04\x04next"),
    ):
        with pytest.raises(Error) as wrong:
            read_public_group(services, damaged)
        assert isinstance(wrong.value, MlsMisuse)
    with pytest.raises(MlsInvalid):
        room.hub.check_not_ended()

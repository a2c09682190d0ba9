"""What MLS hears about a room's components."""

import pytest

from sabir.mimi.client_settings import OWN_COMPONENTS
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.participants import (
    Participant,
    ParticipantList,
    ParticipantListUpdate,
)
from sabir.mimi.components.registry import ROOM_COMPONENTS
from sabir.mimi.components.roles import Role, RoleData
from sabir.mls.components import CommitContext, ComponentRefused
from sabir.mls.framing import Sender
from sabir.mls.group_context import GroupContext

COMMIT = CommitContext(GroupContext(1, b"", 0, b"", b""), Sender.member(0), ())
ANN = Participant("mimi://a.example/u/ann", 2)
LIST = ParticipantList((ANN,)).encode()
ROOM = "mimi://hub.example/r/tea"


def apply(component: int, old: bytes | None, *updates: bytes) -> bytes:
    return ROOM_COMPONENTS[component].apply(old, updates, COMMIT)


def test_updates_of_the_list_add_up() -> None:
    updates = (
        ParticipantListUpdate(removed=(0,)).encode(),
        ParticipantListUpdate(added=(Participant("mimi://a.example/u/b", 3),)).encode(),
    )
    new = ParticipantList((Participant("mimi://a.example/u/b", 3),))
    assert apply(0x22, LIST, *updates) == new.encode()


def test_others_are_replaced_once() -> None:
    roles = RoleData((Role(2, "r"),)).encode()
    assert apply(0x25, None, roles) == roles
    assert (
        apply(0x26, b"old", b"octets that nobody reads") == b"octets that nobody reads"
    )
    new = RoomMetadata(ROOM, "Tea").encode()
    assert apply(0x23, RoomMetadata(ROOM).encode(), new) == new


@pytest.mark.parametrize(
    ("component", "old", "updates"),
    [
        (0x22, None, (ParticipantListUpdate().encode(),)),
        (0x22, LIST, (b"\x00",)),
        (0x22, LIST, (ParticipantListUpdate(removed=(1,)).encode(),)),
        (0x22, LIST, (ParticipantListUpdate(added=(ANN,)).encode(),)),
        (0x23, None, (RoomMetadata(ROOM).encode(),)),
        (0x23, RoomMetadata(ROOM).encode(), (RoomMetadata(ROOM + "2").encode(),)),
        (0x23, RoomMetadata(ROOM).encode(), (RoomMetadata(ROOM).encode(),) * 2),
        (0x25, None, (b"\xff",)),
        (0x26, None, (b"", b"")),
        *((fixed, b"old", (b"new",)) for fixed in (0x01, 0x02, 0x03, 0x21)),
    ],
)
def test_what_a_component_refuses(
    component: int, old: bytes | None, updates: tuple[bytes, ...]
) -> None:
    with pytest.raises(ComponentRefused):
        apply(component, old, *updates)


def test_nothing_is_ephemeral() -> None:
    for component in ROOM_COMPONENTS.values():
        with pytest.raises(ComponentRefused):
            component.ephemeral(b"", COMMIT)


def test_all_that_we_say_we_understand_is_registered_but_what_is_in_messages() -> None:
    assert set(OWN_COMPONENTS) - set(ROOM_COMPONENTS) == {0x20}

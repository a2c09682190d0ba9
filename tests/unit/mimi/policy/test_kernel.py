"""Rules of the kernel that no worked role set tells apart."""

import pytest

from sabir.mimi.codepoints import Capability
from sabir.mimi.components.base_policy import BaseRoomPolicy
from sabir.mimi.components.roles import Role, RoleChange, RoleData
from sabir.mimi.ghosts import ghost_uri
from sabir.mimi.policy.acts import Effect, LeafAdd, LeafRemove, ListAdd, ListRemove
from sabir.mimi.policy.acts import RoleChange as Moved
from sabir.mimi.policy.kernel import name_of
from sabir.mimi.policy.view import Client
from sabir.mimi.templates import role_set
from tests.unit.mimi.policy.rooms import (
    client,
    is_allowed,
    joiner,
    member,
    user,
    view,
)

ANN, BEN = user("ann"), user("ben")
ANYWHERE = tuple(RoleChange(source, (0, 1, 2, 3)) for source in (0, 1, 2, 3))
BAN, UNBAN, CHANGE = 0x000A, 0x000B, 0x000F


def holder(*capabilities: int, name: str = "banned") -> RoleData:
    return RoleData(
        (
            Role(1, name),
            Role(2, "guest"),
            Role(3, "holder", capabilities=capabilities, changes=ANYWHERE),
        )
    )


@pytest.mark.parametrize(
    ("capability", "allowed"),
    [(BAN, {(2, 1), (3, 1)}), (UNBAN, {(1, 2), (1, 3)}), (0x0100, set())],
)
def test_bans_their_end_and_roles_are_three_capabilities(
    capability: int, allowed: set[tuple[int, int]]
) -> None:
    asked = {(old, new) for old in (1, 2, 3) for new in (1, 2, 3) if old != new}
    found = set()
    for old, new in asked:
        room = view(holder(capability), {ANN: 3, BEN: old}, [client("ann")])
        if is_allowed(room, member("ann"), Moved(BEN, old, new)):
            found.add((old, new))
        every = view(holder(CHANGE), {ANN: 3, BEN: old}, [client("ann")])
        assert is_allowed(every, member("ann"), Moved(BEN, old, new))
    assert found == allowed


def test_nobody_is_banned_where_role_1_is_not_named_so() -> None:
    room = view(holder(CHANGE, name="visitor"), {ANN: 3, BEN: 2}, [client("ann")])
    assert not is_allowed(room, member("ann"), Moved(BEN, 2, 1))
    assert is_allowed(room, member("ann"), Moved(BEN, 2, 3))


def test_a_change_of_role_neither_lists_nor_removes() -> None:
    room = view(holder(CHANGE), {ANN: 3}, [client("ann")])
    for old, new in ((0, 2), (2, 0)):
        assert not is_allowed(room, member("ann"), Moved(BEN, old, new))


def test_in_a_fixed_room_who_has_no_client_any_more_adds_none() -> None:
    policy = BaseRoomPolicy(fixed_membership=True)
    people, roles = {ANN: 2, BEN: 2}, role_set("sabir_dm")
    here = view(roles, people, [client("ann")], policy=policy)
    gone = view(roles, people, [], policy=policy)
    adds = LeafAdd(client("ben"))
    assert is_allowed(here, member("ann"), adds)
    assert not is_allowed(gone, member("ann"), adds)


def test_who_joins_again_takes_its_own_old_place_only() -> None:
    room = view(holder(0x0002), {ANN: 3}, [client("ann"), client("ann", "2")])
    removes: list[tuple[Effect, bool]] = [
        (LeafRemove(client("ann")), True),
        (LeafRemove(client("ann", "2")), False),
    ]
    for effect, allowed in removes:
        assert is_allowed(room, joiner("ann"), effect) is allowed
        assert not is_allowed(room, member("ann"), effect)


def test_capabilities_are_named_as_in_the_drafts() -> None:
    assert name_of(Capability.CAN_ADD_PARTICIPANT) == "canAddParticipant"
    assert name_of(Capability.CAN_UN_BAN) == "canUnBan"


# ---- ghosts

EVE = user("eve")
GHOST = ghost_uri(ANN, "matrix", "@zoe:example.org")


def test_a_ghost_is_listed_by_its_own_gateway_alone() -> None:
    room = view(
        holder(Capability.CAN_ADD_PARTICIPANT),
        {ANN: 3, EVE: 3},
        [client("ann"), client("eve")],
    )
    assert is_allowed(room, member("ann"), ListAdd(GHOST, 2))
    assert not is_allowed(room, member("eve"), ListAdd(GHOST, 2))
    without = view(holder(), {ANN: 3}, [client("ann")])
    assert not is_allowed(without, member("ann"), ListAdd(GHOST, 2))


def test_a_gateway_takes_its_ghost_out_but_not_its_ban() -> None:
    people = [client("ann"), client("eve")]
    room = view(holder(), {ANN: 3, EVE: 3, GHOST: 2}, people)
    assert is_allowed(room, member("ann"), ListRemove(GHOST))
    assert not is_allowed(room, member("eve"), ListRemove(GHOST))
    banned = view(holder(), {ANN: 3, EVE: 3, GHOST: 1}, people)
    assert not is_allowed(banned, member("ann"), ListRemove(GHOST))
    admin = holder(Capability.CAN_REMOVE_PARTICIPANT)
    assert is_allowed(
        view(admin, {ANN: 3, EVE: 3, GHOST: 2}, people),
        member("eve"),
        ListRemove(GHOST),
    )


def test_no_device_hides_behind_a_ghost() -> None:
    every = holder(Capability.CAN_ADD_PARTICIPANT, Capability.CAN_ADD_OWN_CLIENT)
    room = view(every, {ANN: 3, GHOST: 2}, [client("ann")])
    device = Client(GHOST, GHOST, b"key")
    assert not is_allowed(room, member("ann"), LeafAdd(device))
    assert not is_allowed(room, member("ann"), LeafAdd(device), ListAdd(GHOST, 2))


def test_a_ghost_is_banned_like_anybody() -> None:
    room = view(holder(BAN), {ANN: 2, EVE: 3, GHOST: 2}, [client("ann"), client("eve")])
    assert is_allowed(room, member("eve"), Moved(GHOST, 2, 1))

"""What a hub asks before a handshake comes."""

import pytest

from sabir.mimi.components.base_policy import BaseRoomPolicy
from sabir.mimi.components.roles import Role, RoleChange, RoleData
from sabir.mimi.policy.permits import (
    JoinGround,
    join_ground,
    may_add_leaf_of,
    may_destroy,
    may_make_join_code,
    may_remove_join_codes,
)
from sabir.mimi.policy.view import RoomView
from sabir.mimi.templates import role_set
from tests.unit.mimi.policy.rooms import client, user, view

ANN, BEN, CAL, EVE = user("ann"), user("ben"), user("cal"), user("eve")


def group(roles: str = "cooperative", **people: int) -> RoomView:
    listed = {user(name): role for name, role in people.items()}
    return view(role_set(roles), listed, [client(name) for name in people])


@pytest.mark.parametrize(
    ("room", "target", "expected"),
    [
        (group(ann=2), ANN, True),
        (group(ann=2), EVE, True),
        (group(ann=2, ben=2), BEN, True),
        (group(ann=2, ben=3), BEN, False),
        (group(ann=3, ben=3), BEN, True),
        (group(ann=3, ben=1), BEN, False),
        (group(ann=1), ANN, False),
        (group(ben=2), BEN, False),
        (group("strictly_administered", ann=2), ANN, True),
        (group("strictly_administered", ann=2), EVE, False),
        (group("moderated", ann=2), ANN, False),
    ],
)
def test_mc_017_key_material_goes_to_who_may_add_the_client(
    room: RoomView, target: str, expected: bool
) -> None:
    assert may_add_leaf_of(room, ANN, target) is expected


def test_mc_017_an_inactive_participant_gets_none() -> None:
    room = view(role_set("cooperative"), {ANN: 2})
    assert not may_add_leaf_of(room, ANN, EVE)


def test_mc_017_in_a_fixed_room_each_adds_the_others_clients() -> None:
    policy = BaseRoomPolicy(fixed_membership=True)
    room = view(role_set("sabir_dm"), {ANN: 2, BEN: 2}, [client("ann")], policy=policy)
    assert may_add_leaf_of(room, ANN, BEN)
    assert may_add_leaf_of(room, ANN, ANN)
    assert not may_add_leaf_of(room, ANN, EVE)
    assert not may_add_leaf_of(room, BEN, ANN)


OPEN = RoleData(
    (
        Role(0, "no_role", capabilities=(0x0004,), changes=(RoleChange(0, (2,)),)),
        Role(1, "banned", maximum_active=0),
        Role(2, "guest"),
    )
)


@pytest.mark.parametrize(
    ("room", "code", "expected"),
    [
        (group(eve=2), None, JoinGround.LISTED),
        (group("moderated", eve=2), None, None),
        (group("strictly_administered", eve=1), 2, None),
        (group("strictly_administered"), 2, JoinGround.JOIN_CODE),
        (group("strictly_administered"), None, None),
        (group("cooperative"), 2, None),
        (view(OPEN, {}), None, JoinGround.OPEN_JOIN),
        (view(OPEN, {}), 2, JoinGround.OPEN_JOIN),
        (view(OPEN, {EVE: 2}), None, None),
        (view(RoleData((Role(0, "no_role", capabilities=(4,)),)), {}), None, None),
    ],
)
def test_mc_077_who_may_join(
    room: RoomView, code: int | None, expected: JoinGround | None
) -> None:
    assert join_ground(room, EVE, code) is expected


def test_join_codes_are_made_by_who_may_add_with_that_role() -> None:
    room = group("strictly_administered", ann=3, ben=2)
    assert may_make_join_code(room, ANN, 2)
    assert not may_make_join_code(room, ANN, 4)
    assert not may_make_join_code(room, ANN, 0)
    assert not may_make_join_code(room, BEN, 2)
    assert not may_make_join_code(room, EVE, 2)
    assert may_remove_join_codes(room, ANN)
    assert not may_remove_join_codes(room, BEN)
    assert not may_remove_join_codes(room, EVE)
    maker = Role(2, "maker", capabilities=(0x0007,), changes=(RoleChange(0, (2,)),))
    assert may_make_join_code(
        view(RoleData((maker,)), {ANN: 2}, [client("ann")]), ANN, 2
    )


def test_a_room_is_destroyed_by_who_may() -> None:
    room = group(ann=4, ben=3, cal=1)
    assert may_destroy(room, ANN)
    assert not may_destroy(room, BEN)
    assert not may_destroy(room, CAL)
    assert not may_destroy(room, EVE)

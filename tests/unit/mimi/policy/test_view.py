"""A room at one moment: who is in, who may send, who is which client."""

import pytest

from sabir.crypto.suites import SUITES
from sabir.mimi.client_settings import room_client, room_services
from sabir.mimi.components.roles import Role, RoleData
from sabir.mimi.policy.view import RoomView, client_of, clients_of, key_of, users_of
from sabir.mimi.room_state import RoomState
from sabir.mimi.templates import role_set
from sabir.mls.client import Identity
from sabir.mls.credentials import BasicCredential, Credential, X509Credential
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import LeafNodeIn
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.seeded import SeededEnv
from sabir.wire.errors import Malformed
from tests.unit.mimi.policy.rooms import client, user, view
from tests.unit.mimi.world import World, uri

ANN, BEN, CAL, EVE = user("ann"), user("ben"), user("cal"), user("eve")
ENV = SeededEnv(2)


def leaf(credential: Credential) -> LeafNodeIn:
    identity = Identity.generate(ENV, SUITES[1], credential)
    made = room_client(room_services(), PskTable(), [identity])
    return made.leaf(ENV, identity, bytes(32))


def test_a_leaf_is_a_client_of_a_user() -> None:
    found = client_of(leaf(BasicCredential(b"mimi://a.example/d/ann/1")))
    assert (found.identity, found.user) == ("mimi://a.example/d/ann/1", ANN)
    nameless = leaf(BasicCredential(ANN.encode()))
    found, other = client_of(nameless), client_of(leaf(BasicCredential(ANN.encode())))
    assert found.user == found.identity == ANN
    assert key_of(found) != key_of(other)
    assert users_of([found, other, client("ben")]) == {ANN, BEN}


@pytest.mark.parametrize(
    "credential",
    [
        X509Credential((b"der",)),
        BasicCredential("mimi://a.example/u/ä".encode()),
    ],
)
def test_mimi_114_other_leaves_are_nobodys(credential: Credential) -> None:
    with pytest.raises(Malformed, match="MIMI-114"):
        client_of(leaf(credential))


def test_mimi_113_a_group_that_is_no_room() -> None:
    with pytest.raises(Malformed, match="MIMI-113"):
        RoomState.of(GroupContext(1, b"", 0, b"", b""))


def test_a_view_of_a_group_has_all_its_clients() -> None:
    world = World.of("ann")
    room = RoomView.of_epoch(world.hub.epoch)
    assert room == RoomView.of(world.hub.context, world.hub.tree)
    assert clients_of(world.hub.tree) == room.clients
    assert room.is_active(uri("ann"))
    assert RoomState.of(world.hub.context) is room.room  # read once


@pytest.mark.parametrize(
    ("role", "sends", "reacts_only", "receives"),
    [
        (2, True, True, True),
        (3, True, True, True),
        (4, True, False, True),
        (1, False, True, False),
        (7, False, True, False),
    ],
)
def test_mc_059_roles_send_by_either_capability(
    role: int, sends: bool, reacts_only: bool, receives: bool
) -> None:
    room = view(role_set("moderated"), {ANN: role}, [client("ann")])
    assert room.can_send(ANN) is sends
    assert room.reacts_only(ANN) is reacts_only
    assert room.can_receive(ANN) is receives


def test_mc_059_who_has_no_client_or_no_place_sends_nothing() -> None:
    room = view(role_set("cooperative"), {ANN: 2}, [client("eve")])
    assert not room.can_send(ANN)
    assert room.can_receive(ANN)
    assert not room.can_send(EVE)
    assert not room.can_receive(EVE)


def test_role_1_is_banned_only_by_that_name() -> None:
    other = RoleData((Role(1, "visitor", capabilities=(0x0100,)), Role(2, "host")))
    room = view(other, {ANN: 1}, [client("ann")])
    assert not room.is_banned(ANN)
    assert room.can_send(ANN)
    assert view(role_set("cooperative"), {ANN: 1}).is_out(ANN)


def test_counts_are_of_listed_and_of_active_users() -> None:
    clients = [client("ann"), client("ann", "2"), client("ben"), client("eve")]
    room = view(role_set("cooperative"), {ANN: 2, BEN: 3, CAL: 2}, clients)
    assert room.counts() == {2: (2, 1), 3: (1, 1)}

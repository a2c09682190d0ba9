"""Rooms for tests of policy: views made by hand, without MLS."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sabir.mimi.components.base_policy import BaseRoomPolicy
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.participants import Participant, ParticipantList
from sabir.mimi.components.roles import RoleData
from sabir.mimi.policy.acts import Act, Actor, ActorKind, Effect
from sabir.mimi.policy.kernel import NO_FACTS, Case, Facts, lacks
from sabir.mimi.policy.view import Client, RoomView
from sabir.mimi.room_state import RoomState

ROOM: Final = "mimi://hub.example/r/tea"
HUB: Final = Actor(ActorKind.HUB, "mimi://hub.example")


def user(name: str, domain: str = "a.example") -> str:
    return f"mimi://{domain}/u/{name}"


def client(name: str, device: str = "1", domain: str = "a.example") -> Client:
    identity = f"mimi://{domain}/d/{name}/{device}"
    return Client(identity, user(name, domain), f"{name}/{device}".encode())


def view(
    roles: RoleData,
    listed: Mapping[str, int],
    clients: Iterable[Client] = (),
    *,
    policy: BaseRoomPolicy | None = None,
    **state: Any,
) -> RoomView:
    """Make a room of users with their roles, and of clients with leaves."""
    participants = ParticipantList(
        tuple(Participant(name, role) for name, role in listed.items())
    )
    room = RoomState(
        **{
            "metadata": RoomMetadata(ROOM, "Tea"),
            "participants": participants,
            "roles": roles,
            "base_policy": policy or BaseRoomPolicy(),
            **state,
        }
    )
    return RoomView(room, tuple(clients))


def member(name: str, device: str = "1") -> Actor:
    found = client(name, device)
    return Actor(ActorKind.MEMBER, found.user, found.identity)


def joiner(name: str, device: str = "1") -> Actor:
    found = client(name, device)
    return Actor(ActorKind.JOINER, found.user, found.identity)


def is_allowed(
    before: RoomView,
    actor: Actor,
    effect: Effect,
    *beside: Effect,
    after: RoomView | None = None,
    facts: Facts = NO_FACTS,
) -> bool:
    """Ask the table about one effect, with others by the same actor beside it."""
    case = Case(
        before,
        before if after is None else after,
        Act(actor, effect),
        frozenset({effect, *beside}),
        facts,
    )
    return lacks(case) is None

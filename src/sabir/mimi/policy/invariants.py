"""What must hold in every room after a batch (6.4, invariants of N).

- every leaf's user is listed, with a role that may be active
- no client twice (the list's reader refuses a user twice)
- every role in the list exists
- no more clients than `max_clients`, no more users than `max_users`, the banned not
  counted, one client a user unless `multi_device`
- fixed membership: the same users as before, and no role that may add any
- the room is the same room, and depends on no parent (phase 2)

What was broken before a batch is not held against it: who cleans up after a violation
must be able to, step by step. At a hub nothing is ever broken before.
"""

from collections.abc import Iterator
from typing import Final

from sabir.mimi.codepoints import Capability
from sabir.mimi.components.participants import BANNED, NO_ROLE
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.view import RoomAfter, RoomView, key_of

Breach = tuple[str, object]
"""A broken invariant in words, and what breaks it."""

_NOBODY: Final[frozenset[Breach]] = frozenset()


def check_invariants(before: RoomView | None, after: RoomAfter) -> None:
    """Check a room after a batch.

    Args:
        before: the room before it; None where the room begins.
        after: the room.

    Raises:
        PolicyDenied: `constraint.violated`.
    """
    known = _NOBODY if before is None else frozenset(_breaches(before))
    for breach in _breaches(after):
        if breach not in known:
            raise PolicyDenied(Slug.CONSTRAINT_VIOLATED, breach[0])
    _check_limits(before, after)
    if before is not None:
        _check_transition(before, after)


def _breaches(view: RoomView) -> Iterator[Breach]:
    room = view.room
    fixed = room.base_policy.fixed_membership
    for participant in room.participants.participants:
        if participant.role not in room.roles:
            yield f"role {participant.role} does not exist", participant.role
    for client in view.clients:
        role = view.role(client.user)
        if not view.is_listed(client.user):
            yield "a client's user is not listed", client
        elif role.maximum_active == 0 or view.is_banned(client.user):
            yield f"a client of role {role.index}, which is never active", client
    seen: set[object] = set()
    for client in view.clients:
        if key_of(client) in seen:
            yield "a client is there twice", client
        seen.add(key_of(client))
    for role in room.roles.roles if fixed else ():
        adds = role.may(Capability.CAN_ADD_PARTICIPANT)
        banned = role.index == BANNED and room.roles.can_ban
        if adds and role.index != NO_ROLE and not banned:
            yield f"fixed membership, and role {role.index} adds", role.index
    if room.base_policy.parent_dependant:
        yield "rooms with a parent are not supported", room.base_policy.parent_room


def _excesses(view: RoomView) -> Iterator[tuple[str, int]]:
    """Say by how much a room is over each of its limits."""
    policy = view.room.base_policy
    clients, most = len(view.clients), policy.max_clients
    yield f"more than {most} clients", 0 if most is None else clients - most
    users = sum(
        not view.is_banned(participant.user)
        for participant in view.room.participants.participants
    )
    most = policy.max_users
    yield f"more than {most} users", 0 if most is None else users - most
    several = clients - len({client.user for client in view.clients})
    yield "several clients of one user", 0 if policy.multi_device else several


def _check_limits(before: RoomView | None, after: RoomAfter) -> None:
    was = [0, 0, 0] if before is None else [excess for _, excess in _excesses(before)]
    for (what, excess), old in zip(_excesses(after), was, strict=True):
        if excess > max(old, 0):
            raise PolicyDenied(Slug.CONSTRAINT_VIOLATED, what)


def _check_transition(before: RoomView, after: RoomAfter) -> None:
    if after.room.room_uri != before.room.room_uri:
        raise PolicyDenied(Slug.CONSTRAINT_VIOLATED, "the room's identifier changes")
    fixed = (
        before.room.base_policy.fixed_membership
        or after.room.base_policy.fixed_membership
    )
    if fixed and before.room.participants.users != after.room.participants.users:
        raise PolicyDenied(Slug.CONSTRAINT_VIOLATED, "the membership is fixed")

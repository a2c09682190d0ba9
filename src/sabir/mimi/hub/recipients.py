"""Who gets what (D-26): providers of members, and not those who are out.

Handshakes go to whoever has a client in the group before or after them: so who is
removed gets the commit that says so. Application messages go to whoever is in the
room by what counts now, and may receive.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sabir.mimi.ghosts import read_ghost
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.policy.view import RoomView, users_of
from sabir.mimi.uris import domain_of


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who gets an event.

    Attributes:
        domains: other providers.
        withheld: known users of the hub's own domain who do not get it.
    """

    domains: frozenset[str]
    withheld: frozenset[str]


def of_handshake(hub: str, before: EffectiveState, after: EffectiveState) -> Recipients:
    """Return who gets a handshake.

    Args:
        hub: its domain.
        before: the room before it.
        after: the room after it.
    """
    entitled = users_of(before.committed.clients) | users_of(after.committed.clients)
    known = _known(before.committed) | _known(after.committed)
    return _recipients(hub, entitled, known)


def of_message(hub: str, effective: EffectiveState) -> Recipients:
    """Return who gets an application message."""
    view = effective.view
    members = users_of(effective.committed.clients)
    entitled = {
        user for user in members if view.is_active(user) and view.can_receive(user)
    }
    return _recipients(hub, entitled, members | _known(view))


def domains_with_participants(view: RoomView) -> frozenset[str]:
    """Return the providers of those who are in a room, with clients or without.

    A ghost has no provider of its own: its gateway is in the room too.
    """
    return frozenset(
        domain_of(user)
        for user in _known(view)
        if not view.is_out(user) and read_ghost(user) is None
    )


def left_users(
    hub: str, before: EffectiveState, after: EffectiveState
) -> frozenset[str]:
    """Return users of the hub's domain whose last client left the group."""
    gone = users_of(before.committed.clients) - users_of(after.committed.clients)
    return frozenset(user for user in gone if domain_of(user) == hub)


def _known(view: RoomView) -> frozenset[str]:
    return view.room.participants.users


def _recipients(hub: str, entitled: Iterable[str], known: Iterable[str]) -> Recipients:
    allowed = frozenset(entitled)
    domains = frozenset(domain_of(user) for user in allowed) - {hub}
    withheld = frozenset(
        user for user in known if user not in allowed and domain_of(user) == hub
    )
    return Recipients(domains, withheld)

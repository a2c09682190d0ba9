"""How a room is, for people: who is in it, and what was noticed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sabir.agent.membership.ledger import Around, Ledger
from sabir.agent.membership.naming import fingerprint, name_of
from sabir.agent.naming import author_uri
from sabir.mimi.ghosts import Ghost, read_ghost
from sabir.mimi.policy.view import RoomView
from sabir.storage.records import RoomId

NOTICES_READ_MAX: Final = 200
NOTICES_SHOWN_MAX: Final = 10
"""Of those that were read, of trouble."""
_TROUBLE: Final = frozenset(
    {
        "violation",
        "irregular",
        "discarded",
        "resync",
        "sending-frozen",
        "event-skipped",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GhostView:
    """Somebody of another network.

    Attributes:
        network: id.
        native: the person's id there; empty where only its digest is known.
        gateway: URI of the user who vouches for them.
        is_connected: whether that user has a device in the room; without, nothing
            reaches them.
    """

    network: str
    native: str
    gateway: str
    is_connected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantView:
    """Somebody in a room, for people."""

    user: str
    name: str
    role: int
    role_name: str
    clients: tuple[str, ...]
    ghost: GhostView | None = None
    """For somebody of another network: who that is, and whose word it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeView:
    """Something about a room that people should know, and no one said.

    Attributes:
        at: ms, when it was noticed.
        kind: e.g. `violation`, `irregular`.
        detail: for people.
    """

    at: int
    kind: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomShown:
    """A room, for people.

    Attributes:
        room: URI.
        name: of the room.
        epoch: of its group.
        fingerprint: of the epoch's authenticator (RFC 9420 8.7), in hex: members whose
            fingerprints of one epoch differ were shown different rooms by the hub.
        participants: in the list's order.
        waiting: contents that have no place yet.
        frozen_by: clients because of which nothing is sent.
        notices: the latest that are about trouble, oldest first.
    """

    room: RoomId
    name: str
    epoch: int
    fingerprint: str
    participants: tuple[ParticipantView, ...]
    waiting: int
    frozen_by: tuple[str, ...]
    notices: tuple[NoticeView, ...]


async def show_room(ledger: Ledger, around: Around) -> RoomShown:
    """Return how a room is.

    Raises:
        NotInRoom: we are not in it.
    """
    storage = around.storage
    async with ledger.turn() as member:
        view, epoch = member.view, member.epoch
        uninvited = tuple(client.identity for client in member.ghosts)
        authenticator = member.group.epoch_authenticator.reveal()
    listed = view.room.participants.participants
    ghosts = {each.user: read_ghost(each.user) for each in listed}
    spoken = {each.user: _spoken_name(each.user, ghosts) for each in listed}
    names = await storage.names(ledger.room, spoken.values())
    notices = await storage.notices(room=ledger.room, count_max=NOTICES_READ_MAX)
    trouble = [each for each in notices if each.kind in _TROUBLE]
    return RoomShown(
        room=ledger.room,
        name=view.room.metadata.name,
        epoch=epoch,
        fingerprint=fingerprint(authenticator),
        participants=tuple(
            ParticipantView(
                user=each.user,
                name=names.get(spoken[each.user], name_of(each.user)),
                role=each.role,
                role_name=view.room.roles.role(each.role).name,
                clients=tuple(
                    client.identity
                    for client in view.clients
                    if client.user == each.user
                ),
                ghost=_ghost_view(ghosts[each.user], view),
            )
            for each in listed
        ),
        waiting=len(await storage.drafts(ledger.room)),
        frozen_by=uninvited,
        notices=tuple(
            NoticeView(at=each.at, kind=each.kind, detail=each.detail)
            for each in trouble[-NOTICES_SHOWN_MAX:]
        ),
    )


def _spoken_name(user: str, ghosts: Mapping[str, Ghost | None]) -> str:
    """Return under which URI somebody's messages stand in the timeline."""
    ghost = ghosts[user]
    return user if ghost is None else author_uri(ghost.network, ghost.native)


def _ghost_view(ghost: Ghost | None, view: RoomView) -> GhostView | None:
    if ghost is None:
        return None
    return GhostView(
        network=ghost.network,
        native=ghost.native,
        gateway=ghost.gateway,
        is_connected=view.is_active(ghost.gateway),
    )

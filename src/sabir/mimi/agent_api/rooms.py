"""Rooms as JSON: how they begin, how they stand, codes to get in."""

from enum import StrEnum
from typing import Annotated

import msgspec

from sabir.mimi.agent_api.forms import TEXT_MAX, Form, Octets
from sabir.mimi.components.asset_policy import read_asset_policy
from sabir.mimi.components.base_policy import read_base_room_policy
from sabir.mimi.components.franking_agent import read_franking_agent
from sabir.mimi.components.roles import read_role_data
from sabir.mimi.genesis import Reservation
from sabir.mimi.structs.fields import decode_whole
from sabir.mimi.template_names import TemplateName
from sabir.mimi.templates import TEMPLATES
from sabir.mimi.uris import DOMAIN_OCTETS_MAX, Kind, group_uri, parse_uri
from sabir.mls.credentials import read_credential
from sabir.mls.extensions import ExternalSender
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader

Domain = Annotated[str, msgspec.Meta(min_length=1, max_length=DOMAIN_OCTETS_MAX)]


class RoomState(StrEnum):
    """How a room stands, as our provider sees it."""

    RESERVED = "reserved"
    OPEN = "open"
    CLOSED = "closed"
    UNREACHABLE = "unreachable"
    """Its hub gave up on our provider: join again from outside."""


class ReserveRequest(Form, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /rooms`.

    Attributes:
        template: of the room.
        providers: domains of the others in a room of fixed membership (`dm`), whose
            asset hosts are agreed on from the beginning.
    """

    template: TemplateName
    providers: Annotated[tuple[Domain, ...], msgspec.Meta(max_length=256)] = ()


class Reserved(Form, frozen=True, kw_only=True):
    """A reserved name, and what the group must be made with.

    Attributes:
        room_uri: of the room.
        group_uri: id of its MLS group.
        external_sender: `ExternalSender` of the hub.
        franking_agent: `FrankingAgent`.
        roles_list: `RoleData`.
        base_room_policy: `BaseRoomPolicy`.
        asset_policy: `AssetPolicy`.
        expires_ms: when the name is gone again.
    """

    room_uri: str
    group_uri: str
    external_sender: Octets
    franking_agent: Octets
    roles_list: Octets
    base_room_policy: Octets
    asset_policy: Octets
    expires_ms: int

    @classmethod
    def of(cls, reservation: Reservation, expires_ms: int) -> "Reserved":
        """Write a reservation."""
        return cls(
            room_uri=reservation.room_uri,
            group_uri=group_uri(reservation.room_uri),
            external_sender=Octets(reservation.hub.encode()),
            franking_agent=Octets(reservation.franking_agent.encode()),
            roles_list=Octets(reservation.roles.encode()),
            base_room_policy=Octets(reservation.base_policy.encode()),
            asset_policy=Octets(reservation.asset_policy.encode()),
            expires_ms=expires_ms,
        )

    def reservation(self, template: TemplateName) -> Reservation:
        """Read the reservation of a room of a template.

        Raises:
            Malformed: MIMI-307, roles or base policy are not the template's; as the
                structs inside.
        """
        found = TEMPLATES[template]
        roles = decode_whole(self.roles_list, read_role_data)
        base_policy = decode_whole(self.base_room_policy, read_base_room_policy)
        if (roles, base_policy) != (found.roles, found.base_policy):
            raise Malformed("MIMI-307", "roles or base policy are not the template's")
        return Reservation(
            room_uri=parse_uri(self.room_uri, Kind.ROOM).text,
            hub=decode_whole(self.external_sender, _read_external_sender),
            franking_agent=decode_whole(self.franking_agent, read_franking_agent),
            roles=roles,
            base_policy=base_policy,
            asset_policy=decode_whole(self.asset_policy, read_asset_policy),
            creator_role=found.creator_role,
        )


class GenesisAnswer(Form, frozen=True, kw_only=True):
    """`PUT /rooms/{roomId}/genesis`: when the room began, ms since 1970."""

    accepted_ms: int


class RoomEntry(Form, frozen=True, kw_only=True, omit_defaults=True):
    """A room of the user.

    Attributes:
        room_uri: of the room.
        hub: domain.
        state: how it stands.
        attached: the asking device has its stream.
        role: index of the user's role; only where our provider is the hub, and only
            of one room (`GET /rooms/{roomId}`).
        epoch: of the group; the same.
    """

    room_uri: str
    hub: str
    state: RoomState
    attached: bool = False
    role: int | None = None
    epoch: int | None = None


class RoomList(Form, frozen=True, kw_only=True):
    """`GET /rooms`: those that a device of the user has the stream of."""

    rooms: tuple[RoomEntry, ...]


class JoinCodeRequest(Form, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /rooms/{roomId}/joincodes`, at the hub.

    Attributes:
        role: of who comes in by it.
        uses: how often it can be used.
        expires_ms: when it is worth nothing any more, ms since 1970.
        user: URI of who alone may use it; empty: anybody.
    """

    role: int
    uses: int
    expires_ms: int
    user: Annotated[str, msgspec.Meta(max_length=TEXT_MAX)] = ""


class JoinCode(Form, frozen=True, kw_only=True):
    """A new join code.

    Attributes:
        id: to take it back by.
        code: the secret, raw in a GroupInfoRequest.
    """

    id: str
    code: Octets

    def __repr__(self) -> str:
        return f"JoinCode(id={self.id!r}, ...)"


def _read_external_sender(reader: Reader) -> ExternalSender:
    return ExternalSender(reader.opaque(), read_credential(reader))

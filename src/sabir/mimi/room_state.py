"""What all members of a room agree on: the components of its GroupContext, read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.asset_policy import AssetPolicy, read_asset_policy
from sabir.mimi.components.base_policy import BaseRoomPolicy, read_base_room_policy
from sabir.mimi.components.expiration import MessageExpiration, read_message_expiration
from sabir.mimi.components.franking_agent import FrankingAgent, read_franking_agent
from sabir.mimi.components.metadata import RoomMetadata, read_room_metadata
from sabir.mimi.components.participants import ParticipantList, read_participant_list
from sabir.mimi.components.roles import Role, RoleData, read_role_data
from sabir.mimi.components.status_policy import (
    StatusNotificationPolicy,
    read_status_policy,
)
from sabir.mls.components import (
    AppDataDictionary,
    MediaType,
    dictionary_of,
    media_types_of,
)
from sabir.mls.extensions import Extensions, ExternalSender, external_senders_of
from sabir.mls.group_context import GroupContext
from sabir.wire import tls
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader

T = TypeVar("T")

_ROOMS_KEPT_MAX: Final = 64
"""States that were read: of busy rooms, since every message asks for its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomState:
    """A room as its GroupContext says.

    Attributes:
        metadata: name and the like; `room_uri` binds the group to the room.
        participants: everybody who is listed, with clients or without.
        roles: what they may do.
        base_policy: the ground rules.
        hub: the external sender 0, None where there is none.
        franking_agent: who vouches for accepted messages, if anybody.
        status_policy: receipts; None says nothing about them.
        asset_policy: attachments; None says nothing about them.
        expiration: messages that disappear; None says nothing about them.
        media_types: that each member understands; the first is the default. None
            where application data are not framed.
    """

    metadata: RoomMetadata
    participants: ParticipantList
    roles: RoleData
    base_policy: BaseRoomPolicy
    hub: ExternalSender | None = None
    franking_agent: FrankingAgent | None = None
    status_policy: StatusNotificationPolicy | None = None
    asset_policy: AssetPolicy | None = None
    expiration: MessageExpiration | None = None
    media_types: tuple[MediaType, ...] | None = None

    @classmethod
    def of(cls, context: GroupContext) -> "RoomState":
        """Read a GroupContext.

        Raises:
            Malformed: MIMI-113 a component that each room has is missing; a component
                does not decode.
            MlsUnsupported: a credential of a type that we do not know.
        """
        return of_extensions(context.extensions)

    @property
    def room_uri(self) -> str:
        """Return the identifier of the room."""
        return self.metadata.room_uri

    @property
    def fixed_users(self) -> frozenset[str] | None:
        """Return who is in a fixed-membership room for good, None of other rooms.

        A hub has one such room for each set (D-51).
        """
        if not self.base_policy.fixed_membership:
            return None
        return self.participants.users

    def role_of(self, user: str) -> Role:
        """Return a user's role; role 0 for who is not listed."""
        return self.roles.role(self.participants.role_of(user))


@lru_cache(_ROOMS_KEPT_MAX)
def of_extensions(extensions: Extensions) -> RoomState:
    """Read the extensions of a GroupContext. Raises as `RoomState.of`."""
    dictionary = dictionary_of(extensions) or AppDataDictionary()
    senders = external_senders_of(extensions)
    return RoomState(
        metadata=_required(dictionary, ComponentId.ROOM_METADATA, read_room_metadata),
        participants=_required(
            dictionary, ComponentId.PARTICIPANT_LIST, read_participant_list
        ),
        roles=_required(dictionary, ComponentId.ROLES_LIST, read_role_data),
        base_policy=_required(
            dictionary, ComponentId.BASE_ROOM_POLICY, read_base_room_policy
        ),
        hub=senders[0] if senders else None,
        franking_agent=_optional(
            dictionary, ComponentId.FRANKING_AGENT, read_franking_agent
        ),
        status_policy=_optional(
            dictionary, ComponentId.STATUS_NOTIFICATION_POLICY, read_status_policy
        ),
        asset_policy=_optional(dictionary, ComponentId.ASSET_POLICY, read_asset_policy),
        expiration=_optional(
            dictionary, ComponentId.MESSAGE_EXPIRATION_POLICY, read_message_expiration
        ),
        media_types=media_types_of(extensions),
    )


def _optional(
    dictionary: AppDataDictionary, component: ComponentId, read: Callable[[Reader], T]
) -> T | None:
    data = dictionary.find(component)
    return None if data is None else tls.read_whole(data, read)


def _required(
    dictionary: AppDataDictionary, component: ComponentId, read: Callable[[Reader], T]
) -> T:
    found = _optional(dictionary, component, read)
    if found is None:
        raise Malformed("MIMI-113", f"component 0x{component:04X} is missing")
    return found

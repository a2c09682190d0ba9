"""How a room begins: the GroupContext of 4.4, made by agents and checked by hubs."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from sabir.errors import PeerMisbehaved
from sabir.mimi.client_settings import SUITE
from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.asset_policy import AssetPolicy, UploadDomains
from sabir.mimi.components.base_policy import BaseRoomPolicy
from sabir.mimi.components.expiration import MessageExpiration
from sabir.mimi.components.framing import ROOM_MEDIA_TYPES
from sabir.mimi.components.franking_agent import FrankingAgent
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.participants import Participant, ParticipantList
from sabir.mimi.components.roles import RoleData
from sabir.mimi.components.status_policy import StatusNotificationPolicy
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.invariants import check_invariants
from sabir.mimi.policy.view import RoomView
from sabir.mimi.room_state import RoomState
from sabir.mimi.templates import POLICY_COMPONENTS, Template
from sabir.mimi.uris import group_uri
from sabir.mls.codepoints import CredentialKind, ProposalKind
from sabir.mls.components import (
    AppDataDictionary,
    dictionary_of,
    encode_components,
    encode_media_types,
)
from sabir.mls.extensions import (
    APP_DATA_DICTIONARY,
    EXTERNAL_SENDERS,
    RATCHET_TREE,
    REQUIRED_CAPABILITIES,
    Extension,
    Extensions,
    ExternalSender,
    RequiredCapabilities,
    encode_external_senders,
    external_pub_of,
    find_extension,
)
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.public_group import PublicGroup
from sabir.mls.services import Services
from sabir.mls.transcript import CONFIRMED_AT_START

ASSET_OCTETS_MAX: Final = 128 << 20
"""The largest attachment (D-07)."""

REQUIRED: Final = RequiredCapabilities(
    (APP_DATA_DICTIONARY,),
    (ProposalKind.APP_DATA_UPDATE, ProposalKind.SELF_REMOVE),
    (CredentialKind.BASIC,),
)
"""What every member's client must support."""

_ALWAYS: Final = (
    ComponentId.APP_COMPONENTS,
    ComponentId.SAFE_AAD,
    ComponentId.CONTENT_MEDIA_TYPES,
    ComponentId.FRANK_AAD,
    ComponentId.FRANKING_AGENT,
    ComponentId.PARTICIPANT_LIST,
    ComponentId.ROOM_METADATA,
    ComponentId.ROLES_LIST,
    ComponentId.BASE_ROOM_POLICY,
    ComponentId.STATUS_NOTIFICATION_POLICY,
    ComponentId.ASSET_POLICY,
)

_OPTIONAL: Final = frozenset({ComponentId.SABIR_SECURITY_FLOOR})
"""Components that a room may have beside the template's, of any content."""

_NOTHING: Final[Mapping[int, bytes]] = MappingProxyType({})


class GenesisRefused(PeerMisbehaved):
    """A new group is not that of the room that was reserved.

    Args:
        rule: number in docs/reference/rules.md.
        detail: what differs, in numbers.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A room that does not exist yet: what the hub gives to who makes it.

    Attributes:
        room_uri: reserved.
        hub: external sender 0.
        franking_agent: with another key than `hub`.
        roles: of the template.
        base_policy: of the template.
        asset_policy: with the hosts of the hub's assets, of all providers for a room
            of fixed membership.
        creator_role: the highest one.
    """

    room_uri: str
    hub: ExternalSender
    franking_agent: FrankingAgent
    roles: RoleData
    base_policy: BaseRoomPolicy
    asset_policy: AssetPolicy
    creator_role: int

    @classmethod
    def of(
        cls,
        template: Template,
        *,
        room_uri: str,
        hub: ExternalSender,
        franking_agent: FrankingAgent,
        asset_policy: AssetPolicy,
    ) -> "Reservation":
        """Reserve a room by a template."""
        return cls(
            room_uri=room_uri,
            hub=hub,
            franking_agent=franking_agent,
            roles=template.roles,
            base_policy=template.base_policy,
            asset_policy=asset_policy,
            creator_role=template.creator_role,
        )


def new_asset_policy(domains: Mapping[str, Iterable[str]]) -> AssetPolicy:
    """Return the asset policy of a new room.

    Args:
        domains: asset hosts by provider, of all providers in the room.
    """
    return AssetPolicy(
        upload_domains=tuple(
            UploadDomains(provider, tuple(hosts)) for provider, hosts in domains.items()
        ),
        max_image=ASSET_OCTETS_MAX,
        max_audio=ASSET_OCTETS_MAX,
        max_video=ASSET_OCTETS_MAX,
        max_attachment=ASSET_OCTETS_MAX,
    )


def founders(
    reservation: Reservation, creator: str, others: Iterable[str] = ()
) -> ParticipantList:
    """Return the first participant list.

    Args:
        reservation: of the room.
        creator: user who makes it, at place 0.
        others: users in a room of fixed membership, who have no clients yet.
    """
    role = reservation.creator_role
    return ParticipantList(
        tuple(Participant(user, role) for user in (creator, *others))
    )


def genesis_extensions(
    reservation: Reservation,
    participants: ParticipantList,
    *,
    metadata: RoomMetadata | None = None,
    status_policy: StatusNotificationPolicy | None = None,
    expiration: MessageExpiration | None = None,
    extra: Mapping[int, bytes] = _NOTHING,
) -> Extensions:
    """Return the extensions of a new room's GroupContext, as 4.4 has them.

    Args:
        reservation: from the hub.
        participants: from `founders`.
        metadata: name and the like; None for none but the room's identifier.
        status_policy: receipts; None leaves them optional.
        expiration: messages that disappear; None for a room that does not use them.
        extra: data of optional components.
    """
    known, policies = [*_ALWAYS], [*POLICY_COMPONENTS]
    entries: dict[int, bytes] = dict(extra)
    if expiration is not None:
        known.append(ComponentId.MESSAGE_EXPIRATION_POLICY)
        policies.append(ComponentId.MESSAGE_EXPIRATION_POLICY)
        entries[ComponentId.MESSAGE_EXPIRATION_POLICY] = expiration.encode()
    base_policy = replace(
        reservation.base_policy, policy_components=tuple(map(int, policies))
    )
    found = RoomMetadata(reservation.room_uri) if metadata is None else metadata
    entries |= {
        ComponentId.APP_COMPONENTS: encode_components(known),
        ComponentId.SAFE_AAD: encode_components((ComponentId.FRANK_AAD,)),
        ComponentId.CONTENT_MEDIA_TYPES: encode_media_types(ROOM_MEDIA_TYPES),
        ComponentId.FRANKING_AGENT: reservation.franking_agent.encode(),
        ComponentId.PARTICIPANT_LIST: participants.encode(),
        ComponentId.ROOM_METADATA: found.encode(),
        ComponentId.ROLES_LIST: reservation.roles.encode(),
        ComponentId.BASE_ROOM_POLICY: base_policy.encode(),
        ComponentId.STATUS_NOTIFICATION_POLICY: (
            status_policy or StatusNotificationPolicy()
        ).encode(),
        ComponentId.ASSET_POLICY: reservation.asset_policy.encode(),
    }
    dictionary = AppDataDictionary(
        tuple(sorted((int(number), data) for number, data in entries.items()))
    )
    return (
        Extension(REQUIRED_CAPABILITIES, REQUIRED.encode()),
        Extension(EXTERNAL_SENDERS, encode_external_senders((reservation.hub,))),
        Extension(APP_DATA_DICTIONARY, dictionary.encode()),
    )


# ---- the hub's side


def check_genesis(
    services: Services,
    group_info: GroupInfoIn,
    tree: bytes,
    reservation: Reservation,
    creator: str,
    fixed_rooms: Collection[frozenset[str]] = (),
) -> PublicGroup:
    """Check a new room and begin to follow it.

    Args:
        services: from `room_services`.
        group_info: as the creator made it.
        tree: octets of the ratchet tree.
        reservation: what the creator got.
        creator: user who reserved the room.
        fixed_rooms: the sets of users who have a room of fixed membership here (D-51).

    Raises:
        GenesisRefused: MIMI-120 it is no new group of the creator alone, MIMI-121 its
            context is not the template's, MIMI-122 its participants are not, MIMI-123
            its GroupInfo has a tree or no `external_pub`.
        PolicyDenied: `constraint.violated`, these users have such a room.
        Malformed, MlsInvalid, MlsUnsupported, MlsMissing: as
            `PublicGroup.from_group_info` and `RoomState.of`.
    """
    context = group_info.group_context
    if find_extension(group_info.extensions, RATCHET_TREE) is not None:
        raise GenesisRefused("MIMI-123", "the GroupInfo has a ratchet_tree")
    if external_pub_of(group_info.extensions) is None:
        raise GenesisRefused("MIMI-123", "the GroupInfo has no external_pub")
    if context.group_id != group_uri(reservation.room_uri).encode("ascii"):
        raise GenesisRefused("MIMI-120", "another group id than the room's")
    if context.epoch or context.confirmed_transcript_hash != CONFIRMED_AT_START:
        raise GenesisRefused("MIMI-120", f"epoch {context.epoch}")
    if context.cipher_suite != SUITE:
        raise GenesisRefused("MIMI-120", f"suite {context.cipher_suite}")
    _check_complete(context.extensions)
    group = PublicGroup.from_group_info(services, group_info, tree)
    view = RoomView.of_epoch(group.epoch)
    if [client.user for client in view.clients] != [creator]:
        raise GenesisRefused("MIMI-120", f"{len(view.clients)} clients")
    _check_participants(view.room, reservation, creator)
    _check_context(context.extensions, view.room, reservation)
    check_invariants(None, view)
    if view.room.fixed_users is not None and view.room.fixed_users in fixed_rooms:
        raise PolicyDenied(Slug.CONSTRAINT_VIOLATED, "these users have such a room")
    return group


def _check_complete(extensions: Extensions) -> None:
    kinds = [extension.kind for extension in extensions]
    if kinds != [REQUIRED_CAPABILITIES, EXTERNAL_SENDERS, APP_DATA_DICTIONARY]:
        raise GenesisRefused("MIMI-121", f"extensions {kinds}")
    dictionary = dictionary_of(extensions) or AppDataDictionary()
    for component in _ALWAYS:
        if component == ComponentId.FRANK_AAD:
            continue  # it is in messages only
        if dictionary.find(component) is None:
            raise GenesisRefused("MIMI-121", f"component 0x{component:04X} is missing")


def _check_participants(
    room: RoomState, reservation: Reservation, creator: str
) -> None:
    listed = room.participants.participants
    alone = not reservation.base_policy.fixed_membership
    others = [participant.user for participant in listed[1:]]
    if room.participants != founders(reservation, creator, others):
        raise GenesisRefused("MIMI-122", "another creator or role")
    if alone == bool(others):
        raise GenesisRefused("MIMI-122", f"{len(listed)} participants")


def _check_context(
    extensions: Extensions, room: RoomState, reservation: Reservation
) -> None:
    """Compare a context with the one that we would make."""
    if room.room_uri != reservation.room_uri:
        raise GenesisRefused("MIMI-121", "the metadata are of another room")
    dictionary = dictionary_of(extensions) or AppDataDictionary()
    expected = genesis_extensions(
        reservation,
        room.participants,
        metadata=room.metadata,
        status_policy=room.status_policy,
        expiration=room.expiration,
        extra={
            number: data for number, data in dictionary.entries if number in _OPTIONAL
        },
    )
    for ours, theirs in zip(expected, extensions, strict=True):
        if ours == theirs:
            continue
        wanted = dictionary_of(expected) or AppDataDictionary()
        wrong = sorted(
            {number for number, _ in {*wanted.entries} ^ {*dictionary.entries}}
        )
        raise GenesisRefused("MIMI-121", f"extension {ours.kind}, components {wrong}")

"""What our agents and hubs say and accept in rooms (MIMI.md 4.4)."""

from collections.abc import Iterable
from typing import Final

from sabir.crypto.suites import SUITES
from sabir.mimi.authentication import RoomAuthentication
from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.framing import OWN_MEDIA_TYPES
from sabir.mimi.components.registry import ROOM_COMPONENTS
from sabir.mls.client import Identity, MlsClient
from sabir.mls.codepoints import GREASE, CredentialKind, ProposalKind
from sabir.mls.components import (
    AppDataDictionary,
    encode_components,
    encode_media_types,
    with_dictionary,
)
from sabir.mls.credentials import AuthenticationService
from sabir.mls.extensions import APP_DATA_DICTIONARY, Extensions
from sabir.mls.proposals import STANDARD_PROPOSALS, ProposalRegistry
from sabir.mls.psk import PskStore
from sabir.mls.services import Services

SUITE: Final = 1
"""The cipher suite of all rooms in phase 1."""

OWN_COMPONENTS: Final = (
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
    ComponentId.MESSAGE_EXPIRATION_POLICY,
)
"""What a client of ours understands, ascending."""

ROOM_PROPOSALS: Final = ProposalRegistry(
    known
    for kind, known in STANDARD_PROPOSALS.types.items()
    if kind != ProposalKind.APP_EPHEMERAL
)
"""The types of proposal that rooms know: without AppEphemeral (phase 2)."""

_GREASE_COMPONENTS: Final = tuple(sorted(GREASE)[:8])
"""Components that mean nothing, 0x0A0A to 0x7A7A."""


def room_services(
    authentication: AuthenticationService | None = None,
    *,
    judge_lifetimes: bool = False,
) -> Services:
    """Return what MLS asks in all our rooms.

    Args:
        authentication: in place of `RoomAuthentication`, e.g. one that also looks up
            the users' keys.
        judge_lifetimes: as a hub does.
    """
    return Services(
        authentication=authentication or RoomAuthentication(),
        components=ROOM_COMPONENTS,
        proposals=ROOM_PROPOSALS,
        suites={SUITE: SUITES[SUITE]},
        judge_lifetimes=judge_lifetimes,
    )


def leaf_extensions(variant: int = 0) -> Extensions:
    """Return the extensions of our leaves: what we understand.

    Args:
        variant: chooses the component that means nothing and keeps others tolerant.
    """
    grease = _GREASE_COMPONENTS[variant % len(_GREASE_COMPONENTS)]
    entries = (
        (int(ComponentId.APP_COMPONENTS), encode_components(OWN_COMPONENTS)),
        (int(ComponentId.SAFE_AAD), encode_components((ComponentId.FRANK_AAD,))),
        (int(ComponentId.CONTENT_MEDIA_TYPES), encode_media_types(OWN_MEDIA_TYPES)),
        (grease, b""),
    )
    return with_dictionary((), AppDataDictionary(entries))


def room_client(
    services: Services, psks: PskStore, identities: Iterable[Identity]
) -> MlsClient:
    """Return an MLS client for rooms: its leaves and key packages fit 4.4.

    Args:
        services: from `room_services`.
        psks: the pre-shared keys that the client holds.
        identities: with the client URI as credential.
    """
    known = tuple(identities)
    variant = sum(sum(identity.public) for identity in known)
    return MlsClient(
        services,
        psks,
        known,
        extensions=(APP_DATA_DICTIONARY,),
        credentials=(CredentialKind.BASIC,),
        leaf_extensions=leaf_extensions(variant),
    )

"""Asking for people's KeyPackages, and choosing those that fit (7.1, D-13, D-16)."""

from dataclasses import dataclass
from enum import StrEnum

from sabir.mimi.client_settings import SUITE
from sabir.mimi.codepoints import KeyMaterialClientCode
from sabir.mimi.policy.leaves import understands
from sabir.mimi.policy.view import client_of, key_of
from sabir.mimi.room_state import RoomState
from sabir.mimi.structs.key_material import (
    ClientKeyMaterial,
    KeyMaterialRequest,
    decode_key_material_response,
    sign_request,
)
from sabir.mls.errors import MlsInvalid, MlsMissing, MlsUnsupported
from sabir.mls.extensions import (
    REQUIRED_CAPABILITIES,
    RequiredCapabilities,
    find_extension,
    read_required_capabilities,
)
from sabir.mls.framing import Sender
from sabir.mls.group.epoch import Epoch
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import Add
from sabir.mls.services import Services
from sabir.mls.transition import apply_list
from sabir.mls.validation.leaf_node import check_lifetime
from sabir.wire.errors import Malformed
from sabir.wire.tls import read_whole


class LeftOut(StrEnum):
    """Why a client cannot be added now."""

    EXHAUSTED = "exhausted"
    """It has no KeyPackage left."""
    INCOMPATIBLE = "incompatible"
    """It does not know what the room needs."""
    OTHER_CLIENT = "other-client"
    """The KeyPackage is of somebody else than was asked for."""
    PRESENT = "present"
    """It is in the room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMaterial:
    """What can be added of a user.

    Attributes:
        status: a `KeyMaterialUserCode`, or another number.
        user: URI.
        fitting: one KeyPackage for each client that fits.
        left_out: the others, by client URI.
    """

    status: int
    user: str
    fitting: tuple[KeyPackageIn, ...]
    left_out: dict[str, LeftOut]


def key_material_request(epoch: Epoch, own_user: str, target: str, room: str) -> bytes:
    """Ask for KeyPackages of a user's clients for a room.

    Args:
        epoch: the current one.
        own_user: our user's URI.
        target: URI of whose clients are to be added; our own for other devices.
        room: URI.

    Returns:
        The `KeyMaterialRequest`.
    """
    own = epoch.public.tree.leaf(epoch.own_leaf)
    assert own is not None
    data = find_extension(epoch.context.extensions, REQUIRED_CAPABILITIES)
    required = (
        RequiredCapabilities((), (), ())
        if data is None
        else read_whole(data, read_required_capabilities)
    )
    request = KeyMaterialRequest(
        requesting_user=own_user,
        target_user=target,
        room=room,
        suites=(SUITE,),
        required=required,
        signature_key=own.signature_key,
        credential=own.credential,
    )
    return sign_request(request, epoch.suite, epoch.signature_key.reveal()).encode()


def read_key_material(
    epoch: Epoch, services: Services, response: bytes, target: str, now_s: int
) -> KeyMaterial:
    """Choose from an answer what can be added.

    Args:
        epoch: the current one.
        services: of our client.
        response: the `KeyMaterialResponse`.
        target: of the request.
        now_s: seconds since 1970.

    Raises:
        Malformed: MIMI-309, it is about another user; as
            `decode_key_material_response`.
    """
    found = decode_key_material_response(response)
    if found.user != target:
        raise Malformed("MIMI-309", "key material of another user")
    fitting: list[KeyPackageIn] = []
    left_out: dict[str, LeftOut] = {}
    for client in found.clients:
        reason = _obstacle(epoch, services, client, target, now_s)
        if reason is not None:
            left_out[client.client] = reason
        elif client.key_package is not None:
            fitting.append(client.key_package)
    return KeyMaterial(
        status=found.status, user=target, fitting=tuple(fitting), left_out=left_out
    )


def _obstacle(
    epoch: Epoch,
    services: Services,
    client: ClientKeyMaterial,
    target: str,
    now_s: int,
) -> LeftOut | None:
    package = client.key_package
    if package is None:
        exhausted = client.status == KeyMaterialClientCode.KEY_MATERIAL_EXHAUSTED
        return LeftOut.EXHAUSTED if exhausted else LeftOut.INCOMPATIBLE
    try:
        owner = client_of(package.leaf_node)
    except Malformed:
        return LeftOut.OTHER_CLIENT
    if owner.user != target or owner.identity != client.client:
        return LeftOut.OTHER_CLIENT
    present = {key_of(client_of(leaf)) for _, leaf in epoch.public.tree.members()}
    if key_of(owner) in present:
        return LeftOut.PRESENT
    return None if _fits(epoch, services, package, now_s) else LeftOut.INCOMPATIBLE


def _fits(epoch: Epoch, services: Services, package: KeyPackageIn, now_s: int) -> bool:
    """Whether a commit that adds it would be valid, as far as it alone counts."""
    room = RoomState.of(epoch.context)
    adding = ProposalList([Proposed(Add(package), Sender.member(epoch.own_leaf))])
    try:
        check_lifetime(package.leaf_node, now_s)
        committer = Sender.member(epoch.own_leaf)
        apply_list(epoch.public, adding, committer, services, now_s)
    except (Malformed, MlsInvalid, MlsMissing, MlsUnsupported):
        return False
    return understands(room, package.leaf_node)

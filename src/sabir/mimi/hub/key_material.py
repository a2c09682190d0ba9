"""keyMaterial at the hub of the room: who may ask for whose KeyPackages (D-16)."""

from sabir.mimi.hub.memory import HUB_SERVICES, Phase, RoomMemory
from sabir.mimi.policy.permits import may_add_leaf_of
from sabir.mimi.structs.key_material import KeyMaterialRequest, verify_request
from sabir.mimi.uris import domain_of


def may_ask(memory: RoomMemory, source: str, request: KeyMaterialRequest) -> bool:
    """Whether a hub passes a request on.

    Args:
        memory: the room that the request names.
        source: domain of the provider that brings it; ours for our own agents.
        request: decoded.
    """
    room = memory.room
    user = request.requesting_user
    return (
        memory.phase is Phase.OPEN
        and request.room == room.room_uri
        and domain_of(user) == source
        and may_add_leaf_of(memory.effective.view, user, request.target_user)
        and _is_leaf_of(memory, request)
        and verify_request(request, HUB_SERVICES.suites)
    )


def _is_leaf_of(memory: RoomMemory, request: KeyMaterialRequest) -> bool:
    """Whether key and credential are those of a client of the requester here."""
    leaves = memory.effective.leaves
    return any(
        leaf.signature_key == request.signature_key
        and leaf.credential == request.credential
        and leaves[index].user == request.requesting_user
        for index, leaf in memory.group.members
    )

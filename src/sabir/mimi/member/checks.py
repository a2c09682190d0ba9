"""What a group must be to be that of a room that we come into (7.5, D-11, D-12)."""

from sabir.mimi.room_state import RoomState
from sabir.mimi.uris import domain_of, provider_uri, room_of_group
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import ExternalSender
from sabir.mls.group_context import GroupContext
from sabir.wire.errors import Malformed


def checked_room(context: GroupContext, room: str | None = None) -> RoomState:
    """Read the room of a group that we come into.

    Args:
        context: of the group.
        room: URI of the room that we want to come into; None: an invitation says.

    Raises:
        Malformed: MIMI-301 the group is not that of the room that it names, or of
            another room than was asked for; MIMI-308 its external sender is not the
            room's hub; as `RoomState.of`.
    """
    state = RoomState.of(context)
    if state.room_uri != room_of_group(context.group_id):
        raise Malformed("MIMI-301", "the metadata name another room than the group")
    if room is not None and state.room_uri != room:
        raise Malformed("MIMI-301", "the group is of another room")
    hub = BasicCredential(provider_uri(domain_of(state.room_uri)).encode("ascii"))
    if state.hub is None or state.hub.credential != hub:
        raise Malformed("MIMI-308", "the external sender is not the room's hub")
    return state


def check_hub_sender(told: ExternalSender, state: RoomState) -> None:
    """Compare who signed an answer with the hub that the group names (D-28).

    Raises:
        Malformed: MIMI-300, they differ.
    """
    if state.hub != told:
        raise Malformed("MIMI-300", "the answer is not from the group's hub")

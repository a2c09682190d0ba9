"""What a follower makes of notify before it stores it (7.4)."""

import hashlib

from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.fanout import FanoutMessage, read_fanout_messages
from sabir.mimi.uris import domain_of, room_of_group
from sabir.mls.framing import PrivateMessage, PublicMessage
from sabir.mls.welcome import Welcome


def body_digest(source: str, body: bytes) -> bytes:
    """Return by what a repeated body is known."""
    return hashlib.sha256(source.encode("ascii") + b"\0" + body).digest()


def read_notification(source: str, room: str, body: bytes) -> tuple[FanoutMessage, ...]:
    """Read a body of notify; nothing of it counts unless all does.

    Args:
        source: domain of the provider that sent it.
        room: in the path.
        body: one or more FanoutMessages.

    Raises:
        Malformed: it does not decode.
        Problem: DOMAIN_NOT_AUTHORIZED, the room is another hub's; PATH_MISMATCH, a
            message is of another room.
    """
    if domain_of(room) != source:
        raise Problem(ProblemCode.DOMAIN_NOT_AUTHORIZED, "the room is another hub's")
    messages = read_fanout_messages(body)
    for message in messages:
        group_id = group_of(message)
        if group_id is not None and room_of_group(group_id) != room:
            raise Problem(ProblemCode.PATH_MISMATCH, "a message of another room")
    return messages


def group_of(message: FanoutMessage) -> bytes | None:
    """Return the group of a message; a Welcome does not say whose it is."""
    match message.message.body:
        case PrivateMessage(group_id=group_id):
            return group_id
        case PublicMessage(message=inside):
            return inside.content.group_id
        case _:
            return None


def welcomed(message: FanoutMessage) -> tuple[bytes, ...] | None:
    """Return the KeyPackageRefs that a Welcome is for; None: it is none.

    Only clients whose KeyPackage is among them get it; all else goes to every client
    that is attached to the room.
    """
    body = message.message.body
    if not isinstance(body, Welcome):
        return None
    return tuple(entry.new_member for entry in body.secrets)

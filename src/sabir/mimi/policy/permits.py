"""Questions that a hub asks before a handshake comes: key material, joins, codes."""

from enum import Enum, auto

from sabir.mimi.codepoints import Capability
from sabir.mimi.components.participants import NO_ROLE
from sabir.mimi.policy.view import RoomView


def may_add_leaf_of(view: RoomView, requester: str, target: str) -> bool:
    """Whether a user may fetch key material of another for this room (D-16).

    An active participant whose role would let it add a client of the target: its own,
    somebody's whom it could list or who is listed, or a listed user's in a room of
    fixed membership.

    Args:
        view: the effective room.
        requester: user who asks.
        target: user whose key packages are asked for.
    """
    if not view.is_active(requester) or view.is_banned(target):
        return False
    role = view.role(requester)
    if target == requester:
        return role.may(Capability.CAN_ADD_OWN_CLIENT)
    if view.room.base_policy.fixed_membership:
        return view.is_listed(target) and role.may(Capability.CAN_ADD_OWN_CLIENT)
    enterable = role.targets(NO_ROLE)
    if not role.may(Capability.CAN_ADD_PARTICIPANT):
        return False
    if view.is_listed(target):
        return view.role_index(target) in enterable
    return bool(enterable)


class JoinGround(Enum):
    """Why somebody may join by an external commit."""

    LISTED = auto()
    OPEN_JOIN = auto()
    JOIN_CODE = auto()


def join_ground(
    view: RoomView, user: str, code_role: int | None = None
) -> JoinGround | None:
    """Say why a user may see the GroupInfo and join; None for who may not (7.5).

    Args:
        view: the effective room.
        user: who asks.
        code_role: for which role a valid code came with it; None without one.
    """
    if view.is_banned(user):
        return None
    if view.is_listed(user):
        adds = view.may(user, Capability.CAN_ADD_OWN_CLIENT)
        return JoinGround.LISTED if adds else None
    outside = view.room.roles.role(NO_ROLE)
    if code_role is not None and outside.may(Capability.CAN_USE_JOIN_CODE):
        return JoinGround.JOIN_CODE
    if outside.may(Capability.CAN_OPEN_JOIN) and outside.targets(NO_ROLE):
        return JoinGround.OPEN_JOIN
    return None


def may_make_join_code(view: RoomView, user: str, role: int) -> bool:
    """Whether a user may make a code that lets others in with a role (7.5)."""
    if not view.is_active(user):
        return False
    holds = view.role(user)
    makes = holds.may(Capability.CAN_ADD_PARTICIPANT) or holds.may(
        Capability.CAN_CREATE_JOIN_CODE
    )
    return makes and role != NO_ROLE and role in holds.targets(NO_ROLE)


def may_remove_join_codes(view: RoomView, user: str) -> bool:
    """Whether a user may take back the room's codes: who may make one of any role."""
    roles = view.role(user).targets(NO_ROLE)
    return any(may_make_join_code(view, user, role) for role in roles)


def may_destroy(view: RoomView, user: str) -> bool:
    """Whether a user may close the room for good."""
    return not view.is_out(user) and view.may(user, Capability.CAN_DESTROY_ROOM)

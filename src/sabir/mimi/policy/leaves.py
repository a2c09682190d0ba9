"""New leaves must understand the media types of the room (mls-extensions 6.2).

Components and Safe AAD are checked by MLS (E13), media types are not.
"""

from collections.abc import Iterable, Sequence

from sabir.mimi.components.framing import is_supported
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.room_state import RoomState
from sabir.mls.components import media_types_of
from sabir.mls.errors import MlsInvalid
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import Add, Update
from sabir.wire.errors import Malformed


def understands(room: RoomState, leaf: LeafNodeIn) -> bool:
    """Whether a leaf lists all media types that a room requires."""
    if not room.media_types:
        return True
    try:
        listed = media_types_of(leaf.extensions) or ()
    except (MlsInvalid, Malformed):
        return False  # a list that nobody can read
    return all(is_supported(wanted, listed) for wanted in room.media_types)


def check_new_leaves(
    room: RoomState,
    items: Sequence[Proposed],
    refreshed: Iterable[LeafNodeIn] = (),
    joiner: LeafNodeIn | None = None,
) -> None:
    """Check the leaves that come with proposals, and with a commit's path.

    Raises:
        PolicyDenied: `proposal.invalid`, naming the proposals whose leaf does not
            understand the room's media types.
    """
    faults = [
        (place, item)
        for place, item in enumerate(items)
        if (leaf := _leaf_of(item)) is not None and not understands(room, leaf)
    ]
    paths = [*refreshed, *(() if joiner is None else (joiner,))]
    if faults or not all(understands(room, leaf) for leaf in paths):
        raise PolicyDenied(
            Slug.PROPOSAL_INVALID,
            "a leaf lacks a media type of the room",
            references=[item.reference for _, item in faults if item.reference],
            inline=[place for place, item in faults if item.reference is None],
        )


def _leaf_of(item: Proposed) -> LeafNodeIn | None:
    if isinstance(item.proposal, Add):
        return item.proposal.key_package.leaf_node
    if isinstance(item.proposal, Update):
        return item.proposal.leaf_node
    return None

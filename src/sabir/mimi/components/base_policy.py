"""Component 0x0027, the ground rules of a room (room-policy-04 section 5)."""

from dataclasses import dataclass
from typing import Final

from sabir.mimi.components.fields import (
    boolean,
    optional_uint32,
    read_bool,
    read_identifier,
    text,
)
from sabir.mls.struct import read_uint16s, write_uint16s
from sabir.wire import tls
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader

_PARENTS_MAX: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRoomPolicy:
    """The `BaseRoomPolicy`. An update replaces all of it.

    Attributes:
        fixed_membership: nobody is added, leaves or is removed.
        parent_room: the room whose participants this one's must be among, if any.
        multi_device: a user may have several clients here.
        max_clients: of all users together.
        max_users: who are not banned.
        pseudonyms_allowed: participants need not be known by their user URI.
        persistent_room: the room outlives its last client.
        discoverable: the room can be searched for.
        policy_components: which policy components are present, ascending.
    """

    fixed_membership: bool = False
    parent_room: str | None = None
    multi_device: bool = True
    max_clients: int | None = None
    max_users: int | None = None
    pseudonyms_allowed: bool = False
    persistent_room: bool = True
    discoverable: bool = False
    policy_components: tuple[int, ...] = ()

    @property
    def parent_dependant(self) -> bool:
        """Whether the room depends on a parent."""
        return self.parent_room is not None

    def encode(self) -> bytes:
        """Write the `BaseRoomPolicy`."""
        parents = () if self.parent_room is None else (text(self.parent_room),)
        return (
            boolean(self.fixed_membership)
            + boolean(self.parent_dependant)
            + tls.vector(parents)
            + boolean(self.multi_device)
            + optional_uint32(self.max_clients)
            + optional_uint32(self.max_users)
            + boolean(self.pseudonyms_allowed)
            + boolean(self.persistent_room)
            + boolean(self.discoverable)
            + write_uint16s(self.policy_components)
        )


def read_base_room_policy(reader: Reader) -> BaseRoomPolicy:
    """Take a `BaseRoomPolicy` (D-40: a parent exactly when it depends on one).

    Raises:
        Malformed: MIMI-101, MIMI-109 a parent too much or too few, or policy
            components that are not ascending.
    """
    fixed, dependant = read_bool(reader), read_bool(reader)
    parents = reader.vector(read_identifier, count_max=_PARENTS_MAX)
    if dependant != bool(parents):
        raise Malformed("MIMI-109", f"{len(parents)} parents, dependant: {dependant}")
    policy = BaseRoomPolicy(
        fixed_membership=fixed,
        parent_room=parents[0] if parents else None,
        multi_device=read_bool(reader),
        max_clients=reader.optional(Reader.uint32),
        max_users=reader.optional(Reader.uint32),
        pseudonyms_allowed=read_bool(reader),
        persistent_room=read_bool(reader),
        discoverable=read_bool(reader),
        policy_components=read_uint16s(reader),
    )
    listed = policy.policy_components
    if list(listed) != sorted(set(listed)):
        raise Malformed("MIMI-109", "policy components are not ascending")
    return policy


def decode_base_room_policy(data: bytes) -> BaseRoomPolicy:
    """Read a whole `BaseRoomPolicy`."""
    return tls.read_whole(data, read_base_room_policy)

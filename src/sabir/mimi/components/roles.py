"""Component 0x0025, the roles of a room (room-policy-04 section 3)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sabir.mimi.codepoints import Capability
from sabir.mimi.components.fields import optional_uint32, read_text, text
from sabir.mimi.components.participants import BANNED, NO_ROLE
from sabir.mls.struct import read_uint16s, write_uint16s
from sabir.wire import tls
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader

ROLES_MAX: Final = 256
"""Roles of one room; the largest worked example has ten."""

BANNED_NAME: Final = "banned"
"""What role 1 must be named where people can be banned."""


@dataclass(frozen=True, slots=True)
class RoleChange:
    """A `SingleSourceRoleChangeTargets`: from one role to any of these."""

    source: int
    targets: tuple[int, ...]

    def encode(self) -> bytes:
        """Write the `SingleSourceRoleChangeTargets`."""
        return tls.uint32(self.source) + _encode_uint32s(self.targets)


@dataclass(frozen=True, slots=True)
class Role:
    """A `Role`: what its holders may do, and how many of them there may be.

    Attributes:
        index: number by which the list names it.
        name: for people; role 1 must be `banned` where anybody can be banned.
        description: for people.
        capabilities: numbers, as they came.
        minimum: participants that the role may not fall below.
        maximum: participants that the role may not rise above.
        minimum_active: the same for those with at least one client.
        maximum_active: the same for those with at least one client.
        changes: whom a holder may move from which role to which.
    """

    index: int
    name: str
    description: str = ""
    capabilities: tuple[int, ...] = ()
    minimum: int = 0
    maximum: int | None = None
    minimum_active: int = 0
    maximum_active: int | None = None
    changes: tuple[RoleChange, ...] = ()

    def may(self, capability: int) -> bool:
        """Whether the role holds a capability."""
        return capability in self.capabilities

    def targets(self, source: int) -> tuple[int, ...]:
        """Return the roles into which a holder may move somebody from `source`."""
        for change in self.changes:
            if change.source == source:
                return change.targets
        return ()

    def encode(self) -> bytes:
        """Write the `Role`."""
        return (
            tls.uint32(self.index)
            + text(self.name)
            + text(self.description)
            + write_uint16s(self.capabilities)
            + tls.uint32(self.minimum)
            + optional_uint32(self.maximum)
            + tls.uint32(self.minimum_active)
            + optional_uint32(self.maximum_active)
            + tls.vector(change.encode() for change in self.changes)
        )


NOBODY: Final = Role(NO_ROLE, "no_role")
"""Role 0 of a room that does not describe it, and any role that does not exist."""


@dataclass(frozen=True, slots=True)
class RoleData:
    """The `RoleData`. An update replaces all of it."""

    roles: tuple[Role, ...] = ()
    _by_index: dict[int, Role] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        self._by_index.update({role.index: role for role in self.roles})

    def __contains__(self, index: int) -> bool:
        return index in self._by_index

    def role(self, index: int) -> Role:
        """Return a role; one that may do nothing where there is none."""
        return self._by_index.get(index, NOBODY)

    @property
    def can_ban(self) -> bool:
        """Whether role 1 means banned."""
        return self.role(BANNED).name == BANNED_NAME

    def encode(self) -> bytes:
        """Write the `RoleData`."""
        return tls.vector(role.encode() for role in self.roles)


def read_role_data(reader: Reader) -> RoleData:
    """Take a `RoleData`.

    Raises:
        Malformed: MIMI-100, MIMI-108 what contradicts itself: an index twice, one
            source of changes twice in a role, `canOpenJoin` in a role other than 0,
            `canBan` or `canUnBan` where role 1 is not named `banned`.
    """
    roles = reader.vector(_read_role, count_max=ROLES_MAX)
    data = RoleData(roles)
    _check_distinct((role.index for role in roles), "role")
    for role in roles:
        _check_distinct((change.source for change in role.changes), "source")
        if role.index != NO_ROLE and role.may(Capability.CAN_OPEN_JOIN):
            raise Malformed("MIMI-108", f"canOpenJoin in role {role.index}")
        bans = role.may(Capability.CAN_BAN) or role.may(Capability.CAN_UN_BAN)
        if bans and not data.can_ban:
            raise Malformed("MIMI-108", f"role {role.index} bans, and none is banned")
    return data


def decode_role_data(data: bytes) -> RoleData:
    """Read a whole `RoleData`."""
    return tls.read_whole(data, read_role_data)


def _read_role(reader: Reader) -> Role:
    return Role(
        reader.uint32(),
        read_text(reader),
        read_text(reader),
        read_uint16s(reader),
        reader.uint32(),
        reader.optional(Reader.uint32),
        reader.uint32(),
        reader.optional(Reader.uint32),
        reader.vector(_read_change, count_max=ROLES_MAX),
    )


def _read_change(reader: Reader) -> RoleChange:
    return RoleChange(
        reader.uint32(), reader.vector(Reader.uint32, count_max=ROLES_MAX)
    )


def _encode_uint32s(numbers: Iterable[int]) -> bytes:
    return tls.vector(tls.uint32(number) for number in numbers)


def _check_distinct(numbers: Iterable[int], what: str) -> None:
    seen: set[int] = set()
    for number in numbers:
        if number in seen:
            raise Malformed("MIMI-108", f"{what} {number} twice")
        seen.add(number)

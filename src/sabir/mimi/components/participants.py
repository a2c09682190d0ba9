"""Component 0x0022, the participant list (protocol-06 section 7.5).

Indices are places in the list, not an alphabetical order. All updates of one commit
refer to the list of the epoch in which they were proposed (D-35): first the changes
of roles, then the removals, then the additions, over all updates together. So two
people who leave in one epoch do not shift each other's index.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sabir.mimi.components.fields import read_identifier, text
from sabir.wire import tls
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader

PARTICIPANTS_MAX: Final = 65_536
"""Entries of one vector (D-07)."""

NO_ROLE: Final = 0
"""The role of everybody who is not in the list."""

BANNED: Final = 1
"""The role of those who are kept out; it must be named `banned` to be used so."""


@dataclass(frozen=True, slots=True)
class Participant:
    """A `UserRolePair`: somebody in the room.

    Attributes:
        user: URI, exact octets.
        role: index of a role, never 0.
    """

    user: str
    role: int

    def encode(self) -> bytes:
        """Write the `UserRolePair`."""
        return text(self.user) + tls.uint32(self.role)


@dataclass(frozen=True, slots=True)
class ParticipantList:
    """The `ParticipantListData`: each user once, in the order of joining."""

    participants: tuple[Participant, ...] = ()
    _places: dict[str, int] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        self._places.update(
            (participant.user, index)
            for index, participant in enumerate(self.participants)
        )

    def role_of(self, user: str) -> int:
        """Return a user's role, 0 for who is not listed."""
        place = self._places.get(user)
        return NO_ROLE if place is None else self.participants[place].role

    def index_of(self, user: str) -> int | None:
        """Return a user's place, None for who is not listed."""
        return self._places.get(user)

    @property
    def users(self) -> frozenset[str]:
        """Return everybody who is listed, the banned among them."""
        return frozenset(self._places)

    def encode(self) -> bytes:
        """Write the `ParticipantListData`."""
        return tls.vector(participant.encode() for participant in self.participants)


@dataclass(frozen=True, slots=True)
class ParticipantListUpdate:
    """What an AppDataUpdate does to the list.

    Attributes:
        changed: pairs of place and new role.
        removed: places, ascending when we write them.
        added: at the end of the list.
    """

    changed: tuple[tuple[int, int], ...] = ()
    removed: tuple[int, ...] = ()
    added: tuple[Participant, ...] = ()

    def encode(self) -> bytes:
        """Write the `ParticipantListUpdate`."""
        return (
            tls.vector(
                tls.uint32(index) + tls.uint32(role) for index, role in self.changed
            )
            + tls.vector(tls.uint32(index) for index in self.removed)
            + tls.vector(participant.encode() for participant in self.added)
        )


def _read_participant(reader: Reader) -> Participant:
    user, role = read_identifier(reader), reader.uint32()
    if role == NO_ROLE:
        raise Malformed("MIMI-102", "a listed user has role 0")
    return Participant(user, role)


def read_participant_list(reader: Reader) -> ParticipantList:
    """Take a `ParticipantListData`.

    Raises:
        Malformed: MIMI-101, MIMI-102 a role 0, MIMI-103 a user twice.
    """
    found = reader.vector(_read_participant, count_max=PARTICIPANTS_MAX)
    _check_distinct(participant.user for participant in found)
    return ParticipantList(found)


def decode_participant_list(data: bytes) -> ParticipantList:
    """Read a whole `ParticipantListData`."""
    return tls.read_whole(data, read_participant_list)


def _read_change(reader: Reader) -> tuple[int, int]:
    index, role = reader.uint32(), reader.uint32()
    if role == NO_ROLE:
        raise Malformed("MIMI-102", "a change to role 0")
    return index, role


def read_participant_list_update(reader: Reader) -> ParticipantListUpdate:
    """Take a `ParticipantListUpdate`.

    Raises:
        Malformed: MIMI-101, MIMI-102 a role 0.
    """
    return ParticipantListUpdate(
        reader.vector(_read_change, count_max=PARTICIPANTS_MAX),
        reader.vector(Reader.uint32, count_max=PARTICIPANTS_MAX),
        reader.vector(_read_participant, count_max=PARTICIPANTS_MAX),
    )


def decode_participant_list_update(data: bytes) -> ParticipantListUpdate:
    """Read a whole `ParticipantListUpdate`."""
    return tls.read_whole(data, read_participant_list_update)


def apply_updates(
    current: ParticipantList, updates: Sequence[ParticipantListUpdate]
) -> ParticipantList:
    """Return the list after all updates of one commit (D-35).

    Args:
        current: the list of the epoch in which they were proposed.
        updates: in the order of the commit.

    Raises:
        Malformed: MIMI-104 a place beyond the list, MIMI-105 a user touched twice, by
            place or by URI, anywhere in the commit; MIMI-106 an added user who is
            listed.
    """
    roles = [participant.role for participant in current.participants]
    touched: set[int] = set()
    for update in updates:
        for index, role in update.changed:
            _touch(touched, index, len(roles))
            roles[index] = role
    removed: set[int] = set()
    for update in updates:
        for index in update.removed:
            _touch(touched, index, len(roles))
            removed.add(index)
    added = [participant for update in updates for participant in update.added]
    _check_added(current, touched, added)
    kept = [
        Participant(participant.user, roles[index])
        for index, participant in enumerate(current.participants)
        if index not in removed
    ]
    return ParticipantList((*kept, *added))


def _touch(touched: set[int], index: int, size: int) -> None:
    if index >= size:
        raise Malformed("MIMI-104", f"place {index} in a list of {size}")
    if index in touched:
        raise Malformed("MIMI-105", f"place {index} twice in one commit")
    touched.add(index)


def _check_added(
    current: ParticipantList, touched: set[int], added: Sequence[Participant]
) -> None:
    listed = current.users
    known = {current.participants[index].user for index in touched}
    for index, participant in enumerate(added):
        if participant.user in known:
            raise Malformed("MIMI-105", f"added user {index} is touched twice")
        if participant.user in listed:
            raise Malformed("MIMI-106", f"added user {index} is listed")
        known.add(participant.user)


def _check_distinct(users: Iterable[str]) -> None:
    seen: set[str] = set()
    for index, user in enumerate(users):
        if user in seen:
            raise Malformed("MIMI-103", f"user {index} is listed before")
        seen.add(user)

"""A member between two events: its group, what it knows, what waits."""

import hashlib
from collections.abc import Mapping
from typing import Final

from sabir.mimi.member.judging import effective_of
from sabir.mimi.member.memory import Memory, Phase, read_memory
from sabir.mimi.member.operation import (
    Operation,
    Outgoing,
    read_operation,
    read_outgoing,
)
from sabir.mimi.member.rows import (
    MEMORY,
    OPERATION,
    OUTGOING,
    REFUSED,
    SEEN,
    OwnRows,
    is_own,
    own_key,
)
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.room_state import RoomState
from sabir.mimi.uris import room_of_group
from sabir.mls.client import MlsClient
from sabir.mls.errors import MlsMisuse
from sabir.mls.group.group import MlsGroup
from sabir.mls.group.state import Delta, Rows
from sabir.mls.public_epoch import PublicEpoch
from sabir.wire.errors import Malformed
from sabir.wire.tls import read_whole, uint64

SEEN_MAX: Final = 1_024
"""Events that are remembered: as many as a provider leaves unacknowledged (8.3)."""

_MISSING: Final = "the stored room has no member row; restore the database"


class MemberState:
    """What `RoomMember` is made of.

    Args:
        client: ours.
        group: of the room.
        memory: what the member knows.
        rows: its own rows.
    """

    __slots__ = ("_effective", "_for", "client", "group", "memory", "rows")

    def __init__(
        self,
        client: MlsClient,
        group: MlsGroup,
        memory: Memory,
        rows: OwnRows | None = None,
    ) -> None:
        self.client = client
        self.group = group
        self.memory = memory
        self.rows = OwnRows() if rows is None else rows
        self._effective: EffectiveState | None = None
        self._for: tuple[PublicEpoch, tuple[bytes, ...]] | None = None

    # ---- the store

    @classmethod
    def load(cls, client: MlsClient, rows: Mapping[bytes, bytes]) -> "MemberState":
        """Take a member from the store.

        Raises:
            MlsMisuse: it is damaged, of another version, or of another client.
        """
        own = {key: value for key, value in rows.items() if is_own(key)}
        mls = {key: value for key, value in rows.items() if not is_own(key)}
        known = own.get(own_key(MEMORY))
        if known is None:
            raise MlsMisuse(_MISSING)
        group = MlsGroup.load(client, mls)
        state = cls(client, group, read_memory(known), OwnRows(own))
        state._check_readable()
        return state

    def _check_readable(self) -> None:
        try:
            found = (self.operation, self.outgoing)
        except (Malformed, ValueError) as wrong:
            raise MlsMisuse(
                f"the stored room is damaged ({wrong}); restore the database"
            ) from None
        del found

    def save(self) -> Rows:
        """Return all rows."""
        self._note()
        return {**self.group.save(), **self.rows.all()}

    def delta(self) -> Delta:
        """Name the rows that changed since the last `saved`."""
        self._note()
        return {**self.group.delta(), **self.rows.delta()}

    def saved(self, delta: Delta) -> None:
        """Hear that the store has committed a delta."""
        mls = {key: value for key, value in delta.items() if not is_own(key)}
        self.group.saved(mls)
        self.rows.saved({key: delta[key] for key in delta.keys() - mls.keys()})

    def _note(self) -> None:
        self.rows.put(own_key(MEMORY), self.memory.encode())

    # ---- the room

    @property
    def room_uri(self) -> str:
        """Return the room's URI."""
        return room_of_group(self.group.group_id)

    @property
    def room(self) -> RoomState:
        """Return what members have agreed on in this epoch."""
        return RoomState.of(self.group.group_context)

    @property
    def effective(self) -> EffectiveState:
        """Return the room as it counts, with what waits for a commit."""
        public = self.group.public
        now = (public.epoch, tuple(public.pending))
        if self._effective is None or self._for is None or not _same(self._for, now):
            self._effective, self._for = effective_of(public), now
        return self._effective

    @property
    def is_active(self) -> bool:
        """Whether we are a member, by all that is known."""
        return self.memory.phase is Phase.ACTIVE

    # ---- what was taken

    def has_seen(self, accepted_at: int, digest: bytes) -> bool:
        """Whether an event was taken, or is older than what is remembered."""
        if self.rows.get(own_key(SEEN, uint64(accepted_at) + digest)) is not None:
            return True
        seen = self.rows.section(SEEN)
        return len(seen) >= SEEN_MAX and uint64(accepted_at) < next(iter(seen))[:8]

    def note_seen(self, accepted_at: int, digest: bytes) -> None:
        """Remember an event."""
        self.rows.put(own_key(SEEN, uint64(accepted_at) + digest))
        seen = list(self.rows.section(SEEN))
        for old in seen[: len(seen) - SEEN_MAX]:
            self.rows.drop(own_key(SEEN, old))

    # ---- what waits

    @property
    def operation(self) -> Operation | None:
        """Return the operation that waits for its answer."""
        row = self.rows.get(own_key(OPERATION))
        return None if row is None else read_whole(row, read_operation)

    def set_operation(self, operation: Operation | None) -> None:
        """Let an operation wait, or none any more."""
        if operation is None:
            self.rows.drop(own_key(OPERATION))
        else:
            self.rows.put(own_key(OPERATION), operation.encode())

    @property
    def outgoing(self) -> tuple[Outgoing, ...]:
        """Return our messages that have no place yet."""
        rows = self.rows.section(OUTGOING).values()
        return tuple(read_whole(row, read_outgoing) for row in rows)

    def find_outgoing(self, digest: bytes) -> Outgoing | None:
        """Return a message of ours by the SHA-256 of its MLSMessage."""
        row = self.rows.get(own_key(OUTGOING, digest))
        return None if row is None else read_whole(row, read_outgoing)

    def put_outgoing(self, message: Outgoing) -> None:
        """Let a message of ours wait for its place."""
        self.rows.put(own_key(OUTGOING, message.digest), message.encode())

    def drop_outgoing(self, digest: bytes) -> None:
        """Forget a message of ours, which has its place or was refused."""
        self.rows.drop(own_key(OUTGOING, digest))

    # ---- proposals that the policy forbids

    @property
    def refused(self) -> Mapping[bytes, bytes]:
        """Return the messages of forbidden proposals, by reference."""
        return self.rows.section(REFUSED)

    def refuse(self, reference: bytes, message: bytes) -> None:
        """Do not let a proposal wait, but know it if somebody commits it."""
        public = self.group.public
        public.pending = public.pending.without((reference,))
        self.rows.put(own_key(REFUSED, reference), message)

    def forget_refused(self) -> None:
        """Forget forbidden proposals: their epoch is over."""
        for reference in self.refused:
            self.rows.drop(own_key(REFUSED, reference))


def _same(
    one: tuple[PublicEpoch, tuple[bytes, ...]],
    other: tuple[PublicEpoch, tuple[bytes, ...]],
) -> bool:
    return one[0] is other[0] and one[1] == other[1]


def digest_of(message: bytes) -> bytes:
    """Return the SHA-256 of an MLSMessage, by which the hub's log knows it."""
    return hashlib.sha256(message).digest()

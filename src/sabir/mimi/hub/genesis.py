"""How a room begins at its hub: reserved, then made by its creator (section 8.2)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sabir.mimi.components.asset_policy import read_asset_policy
from sabir.mimi.components.base_policy import read_base_room_policy
from sabir.mimi.components.fields import text
from sabir.mimi.components.franking_agent import read_franking_agent
from sabir.mimi.components.roles import read_role_data
from sabir.mimi.genesis import Reservation, check_genesis
from sabir.mimi.hub import recipients
from sabir.mimi.hub.memory import HUB_SERVICES, RoomMemory
from sabir.mimi.hub.outcome import RoomChange, pair_digest
from sabir.mimi.structs.fields import decode_whole
from sabir.mimi.structs.update import read_any_tree_option, read_group_info_option
from sabir.mls.credentials import read_credential
from sabir.mls.extensions import ExternalSender
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.tree_options import RatchetTreeOption
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, read_whole, uint32

RESERVED_MS: Final = 3_600_000
"""How long a reserved name waits for its group."""


@dataclass(frozen=True, slots=True)
class GenesisRequest:
    """A new group, of one member at epoch 0.

    Attributes:
        group_info: as its creator signed it.
        tree: octets of the `ratchet_tree` vector.
    """

    group_info: GroupInfoIn
    tree: bytes

    def encode(self) -> bytes:
        """Write it: a GroupInfoOption and a RatchetTreeOption, both full."""
        return b"\x01" + self.group_info.raw + RatchetTreeOption(self.tree).encode()


def decode_genesis(body: bytes) -> GenesisRequest:
    """Read a new group.

    Raises:
        Malformed: MIMI-200, GroupInfo or tree are not there in full; as
            `decode_whole`.
    """
    return decode_whole(body, _read)


def _read(reader: Reader) -> GenesisRequest:
    group_info, option = read_group_info_option(reader), read_any_tree_option(reader)
    tree = option.tree if isinstance(option, RatchetTreeOption) else None
    if not isinstance(group_info, GroupInfoIn) or tree is None:
        raise Malformed("MIMI-200", "GroupInfo and tree are due in full")
    return GenesisRequest(group_info, tree)


def begin(
    request: GenesisRequest,
    reservation: Reservation,
    creator: str,
    *,
    fixed_rooms: Collection[frozenset[str]] = (),
    now_ms: int,
) -> RoomChange:
    """Check a new room, and begin to follow it.

    Args:
        request: decoded.
        reservation: what the creator got.
        creator: user who reserved the room.
        fixed_rooms: sets of users who have a room of fixed membership here; the
            store checks `RoomChange.pair` again.
        now_ms: ms since 1970; the room's first timestamp.

    Raises:
        GenesisRefused, PolicyDenied, Malformed, MlsInvalid, MlsUnsupported,
        MlsMissing: as `check_genesis`.
    """
    group = check_genesis(
        HUB_SERVICES,
        request.group_info,
        request.tree,
        reservation,
        creator,
        fixed_rooms,
    )
    memory = RoomMemory(group=group, group_info=request.group_info, epoch_at=now_ms)
    users = memory.room.fixed_users
    return RoomChange(
        before=None,
        after=memory,
        last_at=now_ms,
        domains=recipients.domains_with_participants(memory.effective.view),
        pair=None if users is None else pair_digest(users),
    )


# ---- a reservation in the store


def encode_reservation(reservation: Reservation) -> bytes:
    """Write a reservation, for the store."""
    return b"".join(
        (
            text(reservation.room_uri),
            opaque(reservation.hub.encode()),
            opaque(reservation.franking_agent.encode()),
            opaque(reservation.roles.encode()),
            opaque(reservation.base_policy.encode()),
            opaque(reservation.asset_policy.encode()),
            uint32(reservation.creator_role),
        )
    )


def decode_reservation(octets: bytes) -> Reservation:
    """Read what `encode_reservation` wrote.

    Raises:
        Malformed: it is damaged.
    """
    return decode_whole(octets, _read_reservation)


def _read_reservation(reader: Reader) -> Reservation:
    return Reservation(
        room_uri=reader.opaque().decode("ascii"),
        hub=read_whole(reader.opaque(), _read_external_sender),
        franking_agent=read_whole(reader.opaque(), read_franking_agent),
        roles=read_whole(reader.opaque(), read_role_data),
        base_policy=read_whole(reader.opaque(), read_base_room_policy),
        asset_policy=read_whole(reader.opaque(), read_asset_policy),
        creator_role=reader.uint32(),
    )


def _read_external_sender(reader: Reader) -> ExternalSender:
    return ExternalSender(reader.opaque(), read_credential(reader))

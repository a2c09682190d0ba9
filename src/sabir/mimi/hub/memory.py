"""What a hub remembers of a room, and its octets in the store. Nothing is secret.

A memory is never changed: what is accepted makes another one.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Final

from sabir.mimi.client_settings import room_services
from sabir.mimi.components.fields import text
from sabir.mimi.hub.recipients import Recipients, of_message
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.room_state import RoomState
from sabir.mimi.uris import domain_of
from sabir.mls.errors import MlsMisuse
from sabir.mls.framing import MlsMessageIn, decode_message
from sabir.mls.group_info import GroupInfoIn, read_group_info
from sabir.mls.public_group import PublicGroup
from sabir.mls.public_store import encode_public_group, read_public_group
from sabir.mls.services import Services
from sabir.wire.errors import Malformed
from sabir.wire.tls import (
    Reader,
    opaque,
    read_whole,
    uint8,
    uint16,
    uint32,
    uint64,
    vector,
)

MAGIC: Final = b"SBRH"
FORMAT_VERSION: Final = 1

HUB_SERVICES: Final[Services] = room_services(judge_lifetimes=True)
"""A hub judges key packages by the clock, too."""


class Phase(IntEnum):
    """Whether a room takes anything."""

    OPEN = 0
    CLOSED = 1


@dataclass(frozen=True, slots=True)
class Waiting:
    """A proposal that waits for a commit.

    Attributes:
        reference: its ProposalRef.
        message: as it came, with its membership tag.
    """

    reference: bytes
    message: MlsMessageIn


@dataclass(frozen=True, slots=True)
class Bundle:
    """Proposals that were accepted together.

    Attributes:
        accepted_at: ms.
        items: in their order.
    """

    accepted_at: int
    items: tuple[Waiting, ...]

    def encode(self) -> bytes:
        """Write it."""
        items = (
            opaque(item.reference) + opaque(item.message.raw) for item in self.items
        )
        return uint64(self.accepted_at) + vector(items)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinPermit:
    """Somebody was shown the GroupInfo and may join by a commit, once (7.5).

    Attributes:
        identity: of the credential.
        signature_key: of the leaf to come.
        role: for which a join code was shown; 0: none was.
        code: SHA-256 of that code; empty: none.
        given_at: ms.
    """

    identity: str
    signature_key: bytes
    role: int = 0
    code: bytes = b""
    given_at: int

    def encode(self) -> bytes:
        """Write it."""
        return (
            text(self.identity)
            + opaque(self.signature_key)
            + uint32(self.role)
            + opaque(self.code)
            + uint64(self.given_at)
        )


@dataclass(frozen=True, slots=True)
class Resync:
    """A client replaced its own leaf by a commit from outside."""

    identity: str
    at: int

    def encode(self) -> bytes:
        """Write it."""
        return text(self.identity) + uint64(self.at)


@dataclass(frozen=True, kw_only=True, eq=False)
class RoomMemory:
    """A room between two accepted events.

    Attributes:
        group: the public half, with what waits; not changed once it is here.
        group_info: of the epoch, as its committer signed it.
        bundles: what waits, as it came together.
        epoch_at: ms, when the epoch began.
        phase: whether anything is taken.
        permits: who may join by a commit.
        resyncs: who did so lately.
    """

    group: PublicGroup
    group_info: GroupInfoIn = field(repr=False)
    bundles: tuple[Bundle, ...] = ()
    epoch_at: int
    phase: Phase = Phase.OPEN
    permits: tuple[JoinPermit, ...] = ()
    resyncs: tuple[Resync, ...] = ()

    @cached_property
    def effective(self) -> EffectiveState:
        """Return the room as it counts: committed, with what waits (6.3)."""
        return EffectiveState.of(self.group)

    @cached_property
    def readers(self) -> Recipients:
        """Return who gets application messages: every one of them asks."""
        return of_message(domain_of(self.room.room_uri), self.effective)

    @property
    def room(self) -> RoomState:
        """Return what members have agreed on in this epoch."""
        return self.effective.committed.room

    @property
    def epoch(self) -> int:
        """Return the number of the epoch."""
        return self.group.context.epoch

    def encode(self) -> bytes:
        """Write it for the store."""
        return b"".join(
            (
                MAGIC,
                uint16(FORMAT_VERSION),
                opaque(encode_public_group(self.group)),
                opaque(self.group_info.raw),
                vector(bundle.encode() for bundle in self.bundles),
                uint64(self.epoch_at),
                uint8(self.phase),
                vector(permit.encode() for permit in self.permits),
                vector(resync.encode() for resync in self.resyncs),
            )
        )


def read_memory(octets: bytes) -> RoomMemory:
    """Read what `RoomMemory.encode` wrote.

    Raises:
        MlsMisuse: it is damaged, or of a version that we cannot read.
    """
    try:
        return read_whole(octets, _read)
    except (Malformed, ValueError) as wrong:
        raise MlsMisuse(
            f"the stored room is damaged ({wrong}); restore the database"
        ) from None


def _read(reader: Reader) -> RoomMemory:
    if reader.fixed(len(MAGIC)) != MAGIC:
        raise MlsMisuse("this is no stored room")
    version = reader.uint16()
    if version != FORMAT_VERSION:
        raise MlsMisuse(f"stored in format {version}, this reads {FORMAT_VERSION}")
    return RoomMemory(
        group=read_public_group(HUB_SERVICES, reader.opaque()),
        group_info=read_whole(reader.opaque(), read_group_info),
        bundles=reader.vector(_read_bundle),
        epoch_at=reader.uint64(),
        phase=Phase(reader.uint8()),
        permits=reader.vector(_read_permit),
        resyncs=reader.vector(_read_resync),
    )


def _read_bundle(reader: Reader) -> Bundle:
    return Bundle(reader.uint64(), reader.vector(_read_waiting))


def _read_waiting(reader: Reader) -> Waiting:
    reference = reader.opaque()
    return Waiting(reference, decode_message(reader.opaque(), HUB_SERVICES.proposals))


def _read_permit(reader: Reader) -> JoinPermit:
    return JoinPermit(
        identity=_read_ascii(reader),
        signature_key=reader.opaque(),
        role=reader.uint32(),
        code=reader.opaque(),
        given_at=reader.uint64(),
    )


def _read_resync(reader: Reader) -> Resync:
    return Resync(_read_ascii(reader), reader.uint64())


def _read_ascii(reader: Reader) -> str:
    return reader.opaque().decode("ascii")

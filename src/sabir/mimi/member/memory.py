"""What a member knows beside its MLS group: small, and never secret."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from sabir.mimi.components.fields import text
from sabir.mimi.policy.view import Client
from sabir.mimi.uris import user_of
from sabir.mls.errors import MlsMisuse
from sabir.wire.errors import Malformed
from sabir.wire.tls import (
    Reader,
    opaque,
    read_whole,
    uint8,
    uint16,
    uint64,
    vector,
)

MAGIC: Final = b"SBRA"
FORMAT_VERSION: Final = 2
"""Version 1 had no `streamed_ms`."""

_EPOCHS_KEPT_MAX: Final = 8
"""Ends of epochs that are remembered: more than MLS keeps past epochs."""


class Phase(IntEnum):
    """Where a member stands."""

    CREATING = 1
    """The hub has not answered to the new room."""
    JOINING = 2
    """The hub has not answered to the commit by which we join."""
    ACTIVE = 3
    LEFT = 4
    """We are no member any more, or never became one."""


@dataclass(slots=True)
class Memory:
    """What is written to section 0x80.

    Attributes:
        client: our URI.
        phase: where we stand.
        since_ms: hub's time of what brought us in, 0 before it is known.
        since_epoch: first epoch that is ours.
        rotated_ms: our time of our last fresh keys.
        receipts_ms: our time of our last receipts.
        ended_ms: hub's times at which the latest epochs ended, by number.
        ghosts: clients that froze sending.
        ahead: operations of ours that were confirmed before they came by: SHA-256 of
            their message. What the hub staples to them is still to come.
        reissues: what waited when we joined by a commit, by `effect_digest`: the hub
            may propose it again.
        streamed_ms: hub's time of the latest event of our stream.
    """

    client: str
    phase: Phase
    since_ms: int = 0
    since_epoch: int = 0
    rotated_ms: int = 0
    receipts_ms: int = 0
    ended_ms: dict[int, int] = field(default_factory=dict)
    ghosts: tuple[Client, ...] = ()
    ahead: tuple[bytes, ...] = ()
    reissues: tuple[bytes, ...] = ()
    streamed_ms: int = 0

    @property
    def user(self) -> str:
        """Return our user's URI."""
        return user_of(self.client)

    def end_epoch(self, epoch: int, at_ms: int) -> None:
        """Note when an epoch ended."""
        self.ended_ms[epoch] = at_ms
        for old in sorted(self.ended_ms)[:-_EPOCHS_KEPT_MAX]:
            del self.ended_ms[old]

    def encode(self) -> bytes:
        """Write it for the store."""
        return b"".join(
            (
                MAGIC,
                uint16(FORMAT_VERSION),
                text(self.client),
                uint8(self.phase),
                uint64(self.since_ms),
                uint64(self.since_epoch),
                uint64(self.rotated_ms),
                uint64(self.receipts_ms),
                vector(
                    uint64(epoch) + uint64(at)
                    for epoch, at in sorted(self.ended_ms.items())
                ),
                vector(
                    text(ghost.identity) + opaque(ghost.signature_key)
                    for ghost in self.ghosts
                ),
                vector(opaque(digest) for digest in self.ahead),
                vector(opaque(digest) for digest in self.reissues),
                uint64(self.streamed_ms),
            )
        )


def read_memory(octets: bytes) -> Memory:
    """Read what `Memory.encode` wrote.

    Raises:
        MlsMisuse: it is damaged, or of a version that we cannot read.
    """
    try:
        return read_whole(octets, _read)
    except (Malformed, ValueError) as wrong:
        raise MlsMisuse(
            f"the stored room is damaged ({wrong}); restore the database"
        ) from None


def _read(reader: Reader) -> Memory:
    if reader.fixed(len(MAGIC)) != MAGIC:
        raise MlsMisuse("this is no stored membership of a room")
    version = reader.uint16()
    if not 1 <= version <= FORMAT_VERSION:
        raise MlsMisuse(f"stored in format {version}, this reads {FORMAT_VERSION}")
    return Memory(
        client=reader.opaque().decode("ascii"),
        phase=Phase(reader.uint8()),
        since_ms=reader.uint64(),
        since_epoch=reader.uint64(),
        rotated_ms=reader.uint64(),
        receipts_ms=reader.uint64(),
        ended_ms=dict(reader.vector(_read_end)),
        ghosts=reader.vector(_read_client),
        ahead=reader.vector(Reader.opaque),
        reissues=reader.vector(Reader.opaque),
        streamed_ms=reader.uint64() if version > 1 else 0,
    )


def _read_end(reader: Reader) -> tuple[int, int]:
    return reader.uint64(), reader.uint64()


def _read_client(reader: Reader) -> Client:
    identity = reader.opaque().decode("ascii")
    return Client(identity, user_of(identity), reader.opaque())

"""What a hub answers, and what it would change and send: for its provider to write."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from sabir.mimi.hub.memory import RoomMemory
from sabir.mimi.structs.fanout import FanoutMessage

Response = TypeVar("Response", covariant=True)

_NOBODY: Final[frozenset[str]] = frozenset()


class EventKind(Enum):
    """What an event is, for who passes it on."""

    MESSAGE = auto()
    HANDSHAKE = auto()
    WELCOME = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class FanoutEvent:
    """An accepted event, and who is to have it (D-26).

    Attributes:
        kind: what it is.
        accepted_at: ms.
        octets: a `FanoutMessage`.
        digest: SHA-256 of the MLSMessage inside.
        domains: other providers; the hub's own devices are not among them.
        withheld_users: of the hub's own domain, whose attached devices do not get it.
        devices: of a Welcome: the clients of the hub's own domain that it is for; no
            other device there gets it. None for all else.
        welcome_refs: of a Welcome: by these KeyPackageRefs other providers know whom
            it is for. None for all else.
    """

    kind: EventKind
    accepted_at: int
    octets: bytes = field(repr=False)
    digest: bytes
    domains: frozenset[str]
    withheld_users: frozenset[str] = _NOBODY
    devices: frozenset[str] | None = None
    welcome_refs: tuple[bytes, ...] | None = None

    @classmethod
    def of(
        cls,
        kind: EventKind,
        message: FanoutMessage,
        domains: frozenset[str],
        *,
        withheld_users: frozenset[str] = _NOBODY,
        devices: frozenset[str] | None = None,
        welcome_refs: tuple[bytes, ...] | None = None,
    ) -> "FanoutEvent":
        """Make an event of a message."""
        return cls(
            kind=kind,
            accepted_at=message.accepted_at,
            octets=message.encode(),
            digest=message.digest,
            domains=domains,
            withheld_users=withheld_users,
            devices=devices,
            welcome_refs=welcome_refs,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RoomChange:
    """What an accepted event changes: all of it is written down, or nothing.

    Attributes:
        before: the memory that was asked; None: the room begins.
        after: the memory to be.
        asked_at: timestamp of the room's last event when it was asked.
        last_at: timestamp of the room's last event from now on.
        domains: providers with a participant now; None: as before.
        spent_codes: SHA-256 of join codes that lose one use. If the store finds one
            spent, nothing is changed, and the answer is `HubRoom.not_authorized`.
        pair: of a room whose membership is fixed from now on: SHA-256 of its users.
            If the store knows another room for them, nothing is changed (D-51), and
            the answer is `PAIR_TAKEN`.
        detached_users: of the hub's own domain, who are out: their devices get
            nothing of the room after this.
        reopened: providers whose users come in: whatever stopped their queue is over.
    """

    before: RoomMemory | None
    after: RoomMemory
    asked_at: int = 0
    last_at: int
    domains: frozenset[str] | None = None
    spent_codes: tuple[bytes, ...] = ()
    pair: bytes | None = None
    detached_users: frozenset[str] = _NOBODY
    reopened: frozenset[str] = _NOBODY

    @property
    def state(self) -> bytes | None:
        """Return the new octets of the room; None: as before."""
        return None if self.after is self.before else self.after.encode()

    @property
    def closes(self) -> bool:
        """Whether the room takes nothing any more after this."""
        was_open = self.before is None or not self.before.phase
        return bool(self.after.phase) and was_open


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome(Generic[Response]):
    """What a hub says to a request.

    Attributes:
        response: the struct to answer with.
        change: what to write down; None: it was refused, nothing changes.
        fanout: what to send, in this order; all in the same transaction.
    """

    response: Response
    change: RoomChange | None = None
    fanout: tuple[FanoutEvent, ...] = ()


_NOTHING_KNOWN: Final[Mapping[bytes, str]] = MappingProxyType({})
_NO_HOSTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFacts:
    """What a provider knows beside the room.

    Attributes:
        key_package_domains: by KeyPackageRef, the provider of its client, our own
            domain for our own devices; `refs_wanted` says which matter.
        asset_domains: by provider, the asset hosts in its directory.
    """

    key_package_domains: Mapping[bytes, str] = field(
        default_factory=lambda: _NOTHING_KNOWN
    )
    asset_domains: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: _NO_HOSTS
    )


def pair_digest(users: frozenset[str]) -> bytes:
    """Return by what a fixed set of users is known (D-51)."""
    return hashlib.sha256("\n".join(sorted(users)).encode("ascii")).digest()

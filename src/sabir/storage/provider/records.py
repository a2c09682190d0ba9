"""What a provider's storage hands out and takes in: plain records, no behaviour."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NewType

from sabir.clock import Instant

Cursor = NewType("Cursor", int)
"""Place in a device's stream of events; strictly increasing, with gaps."""

_NEVER: Final = Instant(0)


class RoomPhase(StrEnum):
    """Where a room is in its life, as this provider sees it."""

    RESERVED = "reserved"
    """Named for its creator; no group exists yet."""
    OPEN = "open"
    CLOSED = "closed"
    GONE = "gone"
    """Followed, and nobody here is in it any more."""
    UNREACHABLE = "unreachable"
    """Its hub gave up on us; our users must join again from outside."""


class EventKind(StrEnum):
    """What an event tells a device (the wire's own names)."""

    MESSAGE = "room.message"
    HANDSHAKE = "room.handshake"
    WELCOME = "room.welcome"
    OWN = "room.own"
    ROOM_STATE = "room.state"
    CONSENT = "consent"
    KEY_PACKAGES_LOW = "keypackages.low"
    DEVICE_ADDED = "device.added"
    DEVICE_REMOVED = "device.removed"
    DEVICE_MESSAGE = "device.message"
    REPORT_STATUS = "report.status"


class QueueState(StrEnum):
    """Whether a follower's queue moves."""

    OPEN = "open"
    PAUSED = "paused"
    """The follower refuses us (403, 421); a person must look."""
    GONE = "gone"
    """It answered 410; a Welcome opens the queue again."""
    UNREACHABLE = "unreachable"
    """Given up after days or too many messages."""


class TokenPurpose(StrEnum):
    """What a token is good for."""

    ACCESS = "access"
    REFRESH = "refresh"


# ---- rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedRoom:
    """A room as stored; `state` is empty unless it is hosted here and has a group."""

    room: str
    hub: str
    phase: RoomPhase
    state: bytes = b""
    last_at: Instant = _NEVER
    creator: str = ""
    reservation: bytes = b""
    expires_at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEcho:
    """What the device that sent a message gets at its place in the order.

    Attributes:
        device: the sender's client URI.
        data: JSON: SHA-256 of the MLSMessage and the frank.
    """

    device: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A FanoutMessage to store and to spread, all in one transaction.

    Attributes:
        accepted_at: timestamp of the hub.
        digest: SHA-256 of the MLSMessage inside.
        kind: MESSAGE, HANDSHAKE or WELCOME.
        octets: the whole FanoutMessage.
        followers: domains whose queues get it.
        only_devices: for these devices only (a Welcome), which have the room's stream
            from then on; None: for all that have it.
        withheld_users: whose attached devices do not get it.
        own: replaces the message in the stream of its sender.
    """

    accepted_at: Instant
    digest: bytes
    kind: EventKind
    octets: bytes
    followers: frozenset[str] = frozenset()
    only_devices: frozenset[str] | None = None
    withheld_users: frozenset[str] = frozenset()
    own: OwnEcho | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReplay:
    """An answer to repeat (D-24): SHA-256 of (source, room, request), response."""

    digest: bytes
    response: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCommit:
    """All that one accepted request changes at a hub; all of it or nothing.

    Attributes:
        room: its URI.
        state: the room's new octets; None: unchanged.
        last_at: the new last timestamp.
        phase: the new phase; None: unchanged. That a room is closed, its devices are
            told.
        domains: providers with a participant now or until now; None: unchanged.
        messages: in hub order.
        replay: the answer, when it may be asked for again.
        spent_codes: digests of join codes that lose one use.
        pair: SHA-256 of a fixed membership (D-51) that this room claims.
        attached: devices that get the room's stream, with these messages.
        detached_users: whose devices get nothing of this room after this.
        reopened: followers whose queues move again (their users joined again).
    """

    room: str
    state: bytes | None = None
    last_at: Instant
    phase: RoomPhase | None = None
    domains: frozenset[str] | None = None
    messages: tuple[NewMessage, ...] = ()
    replay: NewReplay | None = None
    spent_codes: tuple[bytes, ...] = ()
    pair: bytes | None = None
    attached: frozenset[str] = frozenset()
    detached_users: frozenset[str] = frozenset()
    reopened: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Who has something new after a commit.

    Attributes:
        devices: whose streams grew.
        followers: whose queues grew.
        fresh: False: it had been taken before, nothing changed.
    """

    devices: frozenset[str] = frozenset()
    followers: frozenset[str] = frozenset()
    fresh: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotification:
    """A body taken from a hub.

    Attributes:
        room: its URI.
        hub: its domain.
        digest: SHA-256 of (From, body).
        messages: in the order of the body; `followers` stays empty.
    """

    room: str
    hub: str
    digest: bytes
    messages: tuple[NewMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCodeRecord:
    """A join code, without the code."""

    id: str
    room: str
    digest: bytes
    role: int
    uses_left: int
    expires_at: Instant
    bound_user: str | None
    creator: str


# ---- fan-out


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRecord:
    """A follower's queue in one room."""

    room: str
    follower: str
    state: QueueState
    detail: str
    batch_last: int | None
    attempts: int
    next_at: Instant
    failing_since: Instant | None
    waiting: int
    """Messages in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    """One message of a queue, oldest first."""

    id: int
    octets: bytes
    stored_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that a follower will never take."""

    id: int
    room: str
    follower: str
    octets: bytes
    reason: str
    died_at: Instant


# ---- people and devices


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """A client of one of our users."""

    device: str
    user: str
    name: str
    suite: int
    signature_key: bytes
    created_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """Something a user may be found by (7.9)."""

    search_type: int
    value: str
    searchable: bool
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """What was answered to a request of the agent API with an idempotency key."""

    request: bytes
    """SHA-256 of the request."""
    status: int
    content_type: str
    response: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """One event of a device's stream; `data` is a FanoutMessage, or JSON."""

    cursor: Cursor
    kind: EventKind
    room: str
    accepted_at: Instant
    data: bytes


# ---- key material and consent


@dataclass(frozen=True, slots=True, kw_only=True)
class StockedKeyPackage:
    """A KeyPackage that may be handed out."""

    ref: bytes
    device: str
    suite: int
    octets: bytes = field(repr=False)
    not_before: Instant
    not_after: Instant
    last_resort: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a target decided about a requester; `room` empty: for any room."""

    requester: str
    target: str
    room: str
    granted: bool
    decided_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """A consent that was asked for; `room` empty: for any room."""

    requester: str
    target: str
    room: str
    asked_at: Instant


# ---- reports, assets, peers


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRecord:
    """An abuse report as it came."""

    digest: bytes
    room: str
    source: str
    octets: bytes = field(repr=False)
    verified: bool
    reported_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRecord:
    """An uploaded ciphertext; the octets are in a file of this name."""

    name: str
    device: str
    size: int
    sha256: bytes
    expires_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRecord:
    """What we know of another provider."""

    domain: str
    directory: bytes
    fetched_at: Instant
    expires_at: Instant
    last_ok_at: Instant | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """Where a peer reads the drafts otherwise."""

    domain: str
    what: str
    count: int
    last_at: Instant

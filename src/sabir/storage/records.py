"""What storage hands out and takes in: plain records, no behaviour."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from sabir.clock import Instant
from sabir.content.model import MessageId

RoomId = NewType("RoomId", str)
"""A room's `mimi:` URI."""
PortalId = NewType("PortalId", int)


class PortalState(StrEnum):
    """Whether a portal passes messages."""

    ACTIVE = "active"
    STOPPED = "stopped"
    """The network refuses us; `detail` says what a person must do."""
    CLOSED = "closed"
    """Unlinked; kept so that its history stays readable."""


class InboxState(StrEnum):
    """What became of a native event."""

    PENDING = "pending"
    DONE = "done"
    IGNORED = "ignored"
    """It means nothing to people."""
    REJECTED = "rejected"
    """Malformed, or it refers to something that is not here; `detail` says what."""


class DeliveryState(StrEnum):
    """What became of a piece on its way out."""

    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    AMBIGUOUS = "ambiguous"
    """Nobody can tell whether it arrived; it is not sent again (I3)."""
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRecord:
    """One login. Secrets are stored apart, sealed."""

    id: str
    network: str
    settings: dict[str, str | int | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRecord:
    """A conversation."""

    id: RoomId
    name: str
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalRecord:
    """The binding of one native chat to one room."""

    id: PortalId
    room: RoomId
    account: str
    chat: str
    name: str
    cursor: int
    state: PortalState
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPortal:
    """A chat to be bound to a room."""

    account: str
    chat: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """A native event to be stored."""

    chat: str
    native_id: str
    revision: str
    payload: bytes
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRecord:
    """A stored native event that waits to be understood."""

    seq: int
    chat: str
    native_id: str
    revision: str
    payload: bytes
    late: bool
    received_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxVerdict:
    """An event that does not become an entry, and why."""

    seq: int
    state: InboxState
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """An entry to be appended to a room's timeline."""

    entry: MessageId
    submission: str
    kind: str
    author: str
    author_name: str
    content: bytes
    target: MessageId | None = None
    emoji: str = ""
    """For reactions."""
    origin: PortalId | None = None
    inbox_seq: int | None = None
    """The inbox event it came from: done when the entry is in."""
    native_ids: tuple[str, ...] = ()
    """The event's native id, then its aliases, in the origin's chat."""
    native_author: str = ""
    received_at: Instant
    sent_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRecord:
    """An entry of a timeline."""

    seq: int
    entry: MessageId
    kind: str
    author: str
    author_name: str
    target: MessageId | None
    emoji: str
    content: bytes
    origin: PortalId | None
    received_at: Instant
    sent_at: Instant
    accepted_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class RefRecord:
    """One native message of an entry, in one portal's chat."""

    entry: MessageId
    part: int
    native_id: str
    aliases: tuple[str, ...]
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionRecord:
    """A reaction in force at some point of a timeline."""

    entry: MessageId
    emoji: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A piece that is about to be sent."""

    seq: int
    part: int
    key: str
    loss: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempt:
    """A piece whose fate is not recorded."""

    seq: int
    part: int
    key: str
    attempted_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of a piece."""

    seq: int
    part: int
    key: str
    state: DeliveryState
    detail: str = ""
    entry: MessageId | None = None
    native_ids: tuple[str, ...] = ()
    """The native id, then its aliases; empty when the network gave none."""
    native_author: str = ""
    loss: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One leg of one entry, for `sabir log`."""

    room: RoomId
    seq: int
    kind: str
    author: str
    author_name: str
    origin: PortalId | None
    portal: PortalId | None
    """None: the entry has not left on any portal yet."""
    state: str
    detail: str
    loss: bytes | None
    parts: int
    received_at: Instant
    accepted_at: Instant
    settled_at: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalCounts:
    """How a portal stands."""

    portal: PortalId
    waiting_in: int
    waiting_out: int
    sent: int
    ambiguous: int
    refused: int
    withheld: int
    rejected_in: int

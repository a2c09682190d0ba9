"""Rooms at a provider, as an agent must remember them: records and their port.

What is called `sealed` was encrypted by the caller; storage cannot read it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from sabir.clock import Instant
from sabir.content.model import MessageId
from sabir.storage.records import EntryRecord, NewEntry, RoomId

_NO_ROWS: Final[Mapping[bytes, bytes | None]] = MappingProxyType({})


class MembershipState(StrEnum):
    """Where we stand in a room."""

    CREATING = "creating"
    """We make it, and its hub has not answered."""
    JOINING = "joining"
    """We come in from outside, and the hub has not answered."""
    ACTIVE = "active"
    LEFT = "left"
    """We are not in it any more, or never came in; `detail` says why."""
    CLOSED = "closed"
    """The hub has closed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeRecord:
    """Our device at our provider.

    Attributes:
        domain: of the provider.
        address: base URL of its agent API.
        roots: PEM of the certificates to trust; empty: the system's.
        name: of the device, for people.
        user: our URI; empty until the provider has answered.
        device: URI of our client; likewise.
        signature: sealed signature key.
        tokens: sealed tokens.
        cursor: last event of our stream that was taken.
    """

    domain: str
    address: str
    roots: str
    name: str
    user: str
    device: str
    signature: bytes = field(repr=False)
    tokens: bytes = field(repr=False)
    cursor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPackageRecord:
    """A KeyPackage of ours with its secrets.

    Attributes:
        ref: KeyPackageRef.
        sealed: `KeyPackageSecrets`.
        not_after: when it is of no use any more.
        last_resort: it may be used more than once.
        uploaded: the provider has it.
    """

    ref: bytes
    sealed: bytes = field(repr=False)
    not_after: Instant
    last_resort: bool = False
    uploaded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipRecord:
    """A room that we are in, come into, or were in."""

    room: RoomId
    place: int
    state: MembershipState
    group_id: bytes
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WishRecord:
    """Something that is wanted in a room; `sealed` is the intent."""

    id: int
    sealed: bytes = field(repr=False)
    under_way: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRecord:
    """A content that has no place in its room yet."""

    id: int
    new: NewEntry
    refused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who sent an entry, and what a report of it needs.

    Attributes:
        sender: URI of the user, from the MLS leaf.
        client: URI of the client.
        topic: of the message; empty for none.
        verdict: what the hub's frank is worth.
        tag: franking tag; empty for none.
        frank: as the hub sent it; empty for none.
        framing: media type under which it was sent.
    """

    sender: str
    client: str
    topic: bytes = b""
    verdict: str
    tag: bytes = field(default=b"", repr=False)
    frank: bytes = field(default=b"", repr=False)
    framing: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedEntry:
    """An entry at its place in the room.

    Attributes:
        new: the entry; where a draft has the same id, the draft's names count.
        accepted_at: the hub's time, which orders the room.
        provenance: None for what the agent itself notes down.
    """

    new: NewEntry
    accepted_at: Instant
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What somebody reports of an entry."""

    entry: MessageId
    user: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that a person should look at.

    Attributes:
        kind: in one word.
        detail: what happened, without content of messages.
        evidence: octets that prove it; empty for none.
    """

    kind: str
    detail: str
    evidence: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRecord:
    """A notice as stored."""

    id: int
    room: RoomId
    kind: str
    detail: str
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationRecord:
    """Somebody who was asked to let us add them."""

    room: RoomId
    user: str
    role: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAskRecord:
    """A device of ours that wants to know what was said before it came.

    Attributes:
        id: of the question.
        device: URI of the client that asks.
        signed: `SignedDeviceMessage` with the question; empty if this device asks.
        sealed: the private key for the answer, if this device asks; else empty.
        asked_at: as it says.
    """

    id: bytes
    device: str
    signed: bytes = field(default=b"", repr=False)
    sealed: bytes = field(default=b"", repr=False)
    asked_at: Instant


class WishFate(StrEnum):
    """What became of the wish that was under way."""

    DONE = "done"
    AGAIN = "again"
    """Its operation came to nothing; it is to be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step of a room's machine changes; all of it or nothing.

    Attributes:
        room: URI.
        place: of the rows.
        rows: sealed rows to write; None deletes one.
        state: where we stand now; None: unchanged.
        detail: why, with `state`.
        group_id: of a new membership; it replaces an older one with all its rows once
            its state is not JOINING.
        name: of the room, for people; None: unchanged.
        entries: new in the timeline, in hub order.
        receipts: what others report.
        notices: for people.
        cursor: our stream is taken until there.
        used: references of KeyPackages that are gone with this.
        wish_begun: id of the wish for which an operation was made.
        wish: what became of the one under way.
        refused: drafts that will never be sent, by entry, with the reason.
        forget: delete all rows of the room: we are out of it.
    """

    room: RoomId
    place: int
    rows: Mapping[bytes, bytes | None] = field(
        default_factory=lambda: _NO_ROWS, repr=False
    )
    state: MembershipState | None = None
    detail: str = ""
    group_id: bytes | None = None
    name: str | None = None
    entries: Sequence[PlacedEntry] = ()
    receipts: Sequence[Receipt] = ()
    notices: Sequence[Notice] = ()
    cursor: int | None = None
    used: Sequence[bytes] = ()
    wish_begun: int | None = None
    wish: WishFate | None = None
    refused: Mapping[MessageId, str] = field(
        default_factory=lambda: MappingProxyType({})
    )
    forget: bool = False


class Home(Protocol):
    """Our device and its key material."""

    async def home(self) -> HomeRecord | None:
        """Return our device, None if we are at no provider."""
        ...

    async def set_home(self, home: HomeRecord, *, now: Instant) -> None:
        """Store our device, in place of the one before; the cursor stays its own."""
        ...

    async def set_tokens(self, tokens: bytes) -> None:
        """Store new tokens."""
        ...

    async def move_cursor(self, cursor: int) -> None:
        """Note that our stream is taken until there."""
        ...

    async def add_key_packages(self, packages: Iterable[KeyPackageRecord]) -> None:
        """Store KeyPackages with their secrets, before anybody sees them."""
        ...

    async def key_packages_uploaded(self, refs: Iterable[bytes]) -> None:
        """Note that the provider has them."""
        ...

    async def key_packages(
        self, refs: Iterable[bytes] | None = None
    ) -> Sequence[KeyPackageRecord]:
        """Return KeyPackages: those named, else all."""
        ...

    async def forget_key_packages(self, *, before: Instant) -> int:
        """Delete those of no use since before an instant; return how many."""
        ...


class Memberships(Protocol):
    """Rooms at providers."""

    async def memberships(self) -> Sequence[MembershipRecord]:
        """Return all rooms that we are or were in, oldest first."""
        ...

    async def membership(self, room: RoomId) -> MembershipRecord | None:
        """Return one."""
        ...

    async def member_rows(self, room: RoomId, place: int) -> Mapping[bytes, bytes]:
        """Return the sealed rows of a membership."""
        ...

    async def take_step(self, step: Step, *, now: Instant) -> Sequence[EntryRecord]:
        """Store everything that one step changes; return the new entries.

        An entry whose id or submission is there already is left out.
        """
        ...

    # ---- what waits

    async def wish(self, room: RoomId, sealed: bytes, *, now: Instant) -> int:
        """Store a wish; return its id.

        Raises:
            PolicyRefused: we are not in the room.
        """
        ...

    async def wishes(self, room: RoomId) -> Sequence[WishRecord]:
        """Return what is wanted in a room, oldest first."""
        ...

    async def drop_wish(self, wish: int) -> None:
        """Forget a wish."""
        ...

    async def draft(
        self, room: RoomId, entries: Sequence[NewEntry]
    ) -> Sequence[MessageId]:
        """Store contents to be sent, unless their submission is known.

        Returns:
            The ids under which they wait or are in the room: those of the first time.

        Raises:
            PolicyRefused: we are not in the room.
        """
        ...

    async def drafts(self, room: RoomId) -> Sequence[DraftRecord]:
        """Return the contents that wait in a room and were not refused, in order."""
        ...

    async def submitted(
        self, room: RoomId, submissions: Iterable[str]
    ) -> Mapping[str, EntryRecord | str]:
        """Return what became of submissions: the entry, or why it was refused.

        Those that wait or are unknown are left out.
        """
        ...

    async def provenance(
        self, entries: Iterable[MessageId]
    ) -> Mapping[MessageId, Provenance]:
        """Return who sent entries."""
        ...

    async def names(self, room: RoomId, users: Iterable[str]) -> Mapping[str, str]:
        """Return what those users who said something called themselves last."""
        ...

    async def is_topic(self, room: RoomId, topic: bytes) -> bool:
        """Tell whether a room has messages of a topic, or the one that starts it."""
        ...

    async def is_deleted(self, entry: MessageId) -> bool:
        """Tell whether an entry was deleted."""
        ...

    async def receipts(self, entry: MessageId) -> Mapping[str, int]:
        """Return what users reported of an entry."""
        ...

    async def invite_later(self, invitation: InvitationRecord, *, now: Instant) -> None:
        """Remember somebody whose consent was asked for."""
        ...

    async def invitations(self) -> Sequence[InvitationRecord]:
        """Return everybody whose consent is waited for."""
        ...

    async def drop_invitation(self, room: RoomId, user: str) -> None:
        """Forget one."""
        ...

    async def add_notice(self, room: RoomId, notice: Notice, *, now: Instant) -> None:
        """Note something down for people."""
        ...

    async def notices(
        self, *, after: int = 0, count_max: int, room: RoomId | None = None
    ) -> Sequence[NoticeRecord]:
        """Return the newest notices, oldest first."""
        ...


class History(Protocol):
    """What was said in rooms before this device came."""

    async def add_history_ask(self, ask: HistoryAskRecord) -> None:
        """Store a question, in place of an older one of that device."""
        ...

    async def history_asks(self) -> Sequence[HistoryAskRecord]:
        """Return all questions, ours too, oldest first."""
        ...

    async def drop_history_ask(self, ask: bytes) -> None:
        """Forget a question."""
        ...

    async def prepend(self, room: RoomId, entries: Sequence[PlacedEntry]) -> int:
        """Put entries before all that a room has; return how many were new.

        They get numbers below zero, so that no portal delivers them. What is newer
        than the room's first entry is left out.
        """
        ...

    async def timeline_start(self, room: RoomId) -> int:
        """Return the number of a room's first entry, 1 if it has none."""
        ...


class MembershipStorage(Home, Memberships, History, Protocol):
    """All of it, in the agent's database."""

"""The ports: what the agent needs to be remembered, one protocol per aggregate.

Every method that changes something is one durable transaction: when it
returns, a power cut loses nothing of it (I1). Every method may raise
`StorageFailed`, and then nothing of it happened.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from sabir.clock import Instant
from sabir.content.model import MessageId
from sabir.storage.records import (
    AccountRecord,
    Attempt,
    EntryRecord,
    InboxRecord,
    InboxVerdict,
    LogLine,
    NewEntry,
    NewEvent,
    NewPortal,
    OpenAttempt,
    PortalCounts,
    PortalId,
    PortalRecord,
    PortalState,
    ReactionRecord,
    RefRecord,
    RoomId,
    RoomRecord,
    Settlement,
)


class Accounts(Protocol):
    """Logins, their sealed secrets, and what connectors remember."""

    async def add_account(
        self, account: AccountRecord, sealed: Mapping[str, bytes], *, now: Instant
    ) -> None:
        """Store a login with its sealed secrets; replaces one of the same id."""
        ...

    async def remove_account(self, account: str) -> bool:
        """Forget a login, its secrets and facts; False if there was none."""
        ...

    async def accounts(self) -> Sequence[AccountRecord]:
        """Return all logins, by id."""
        ...

    async def sealed_secrets(self, account: str) -> Mapping[str, bytes]:
        """Return the sealed secrets of a login, by name."""
        ...

    async def remember(self, account: str, name: str, value: str) -> None:
        """Store a fact of a connector."""
        ...

    async def recall(self, account: str, name: str) -> str | None:
        """Return a fact, None if there is none."""
        ...


class Rooms(Protocol):
    """Rooms and the portals into them."""

    async def rooms(self) -> Sequence[RoomRecord]:
        """Return all rooms, oldest first."""
        ...

    async def link(
        self, room: RoomId, name: str, chats: Sequence[NewPortal], *, now: Instant
    ) -> Sequence[PortalRecord]:
        """Bind chats to a room, all or none; they see what comes after.

        Args:
            room: made if there is none of this id.
            name: of a new room.
            chats: one portal each.
            now: when.

        Raises:
            PolicyRefused: a chat has an open portal already; nothing was bound.
        """
        ...

    async def portals(self, *, closed: bool = False) -> Sequence[PortalRecord]:
        """Return open portals (with `closed`, all), by id."""
        ...

    async def set_portal_state(
        self, portal: PortalId, state: PortalState, detail: str = ""
    ) -> None:
        """Stop, resume or close a portal; a closed one stays closed.

        What waits in the inbox of a chat whose portal is closed is dismissed.
        """
        ...


class Inbox(Protocol):
    """Native events, as they came."""

    async def take(
        self,
        account: str,
        events: Sequence[NewEvent],
        cursors: Mapping[str, str],
        *,
        now: Instant,
    ) -> int:
        """Store events that are new, and cursors; return how many were new (I2)."""
        ...

    async def cursor(self, account: str, stream: str) -> str | None:
        """Return the committed position of a stream."""
        ...

    async def pending(
        self, account: str, chat: str, *, count_max: int
    ) -> Sequence[InboxRecord]:
        """Return the oldest events of a chat that wait, in arrival order."""
        ...

    async def dismiss(self, verdicts: Iterable[InboxVerdict]) -> None:
        """Record that events become no entries."""
        ...


class Timeline(Protocol):
    """Rooms in hub order."""

    async def append(
        self, room: RoomId, entries: Sequence[NewEntry], *, now: Instant
    ) -> Sequence[EntryRecord]:
        """Append entries whose submission key is new; return each as it stands.

        An entry submitted before is returned as first accepted (I2). Native ids
        of the origin and the inbox state are recorded in the same transaction.
        """
        ...

    async def after(
        self, room: RoomId, seq: int, *, count_max: int
    ) -> Sequence[EntryRecord]:
        """Return entries behind `seq`, in order."""
        ...

    async def entries(
        self, ids: Iterable[MessageId]
    ) -> Mapping[MessageId, EntryRecord]:
        """Return those of the named entries that exist."""
        ...

    async def last_version(
        self, target: MessageId, *, before: int
    ) -> EntryRecord | None:
        """Return the newest edit of a message before a sequence number."""
        ...

    async def last_said(
        self,
        room: RoomId,
        author: str | None,
        *,
        before: int,
        not_from: PortalId | None = None,
    ) -> MessageId | None:
        """Return the message that was an author's last when an edit came.

        None if there is none: nothing said, or an older message edited since, which
        on a network that edits the last only was a new message there (EDT-6).

        Args:
            room: the room.
            author: the author; None: anybody, where one account speaks for all. It
                also says what happens in the room, so that counts as well.
            before: sequence number of the edit.
            not_from: without what came through this portal.
        """
        ...

    async def reactions(
        self,
        target: MessageId,
        author: str | None,
        *,
        until: int | None = None,
        not_from: PortalId | None = None,
    ) -> Sequence[ReactionRecord]:
        """Return an author's reactions on an entry, oldest first.

        Args:
            target: the entry reacted to.
            author: the author of the reactions; None: anybody.
            until: as things stood after this sequence number; None: now.
            not_from: without those that came through this portal.
        """
        ...


class Refs(Protocol):
    """Which native message is which entry."""

    async def entries_of(
        self, portal: PortalId, native_ids: Iterable[str]
    ) -> Mapping[str, MessageId]:
        """Map native ids (or aliases) of a portal's chat to entries."""
        ...

    async def refs_of(
        self, portal: PortalId, ids: Iterable[MessageId]
    ) -> Mapping[MessageId, Sequence[RefRecord]]:
        """Map entries to their native messages in a portal's chat, by part."""
        ...

    async def author_of_native(self, portal: PortalId, native: str) -> str | None:
        """Return whose ghost a native person of a portal's chat is.

        The external URI of the author whose messages that native person sent there.
        """
        ...

    async def native_of_author(
        self, portal: PortalId, room: RoomId, author: str
    ) -> str | None:
        """Return under which native id an author speaks in a portal's chat."""
        ...


class Deliveries(Protocol):
    """What leaves on a portal."""

    async def begin(
        self, portal: PortalId, attempts: Sequence[Attempt], *, now: Instant
    ) -> None:
        """Record that pieces are about to be sent."""
        ...

    async def open_attempts(self, portal: PortalId) -> Sequence[OpenAttempt]:
        """Return pieces in state `sending`, in order."""
        ...

    async def attempt_of_key(self, key: str) -> tuple[PortalId, OpenAttempt] | None:
        """Return the attempt with this key if its fate is open or ambiguous."""
        ...

    async def settle(
        self,
        portal: PortalId,
        settlements: Sequence[Settlement],
        *,
        cursor: int | None,
        now: Instant,
    ) -> None:
        """Record what became of pieces, their native ids, and the new cursor."""
        ...

    async def settled_after(self, portal: PortalId, seq: int) -> set[tuple[int, int]]:
        """Return (entry's seq, part) of the settled pieces of entries behind `seq`."""
        ...


class Media(Protocol):
    """What is in the spool."""

    async def add_media(
        self, account: str, handle: str, sha256: bytes, octets: int, *, now: Instant
    ) -> None:
        """Record a file and where it was fetched from."""
        ...

    async def media_of_handle(
        self, account: str, handle: str
    ) -> tuple[bytes, int] | None:
        """Return hash and size of a file that was fetched before."""
        ...

    async def forget_media(
        self, *, before: Instant, octets_max: int
    ) -> Sequence[bytes]:
        """Forget files stored before an instant, and the oldest over a budget.

        Returns:
            The hashes of the forgotten files.
        """
        ...


class Journal(Protocol):
    """What people look at."""

    async def log(
        self,
        *,
        after: int = 0,
        count_max: int,
        room: RoomId | None = None,
        trouble: bool = False,
    ) -> Sequence[LogLine]:
        """Return the newest legs of entries, oldest first.

        Args:
            after: only entries settled or accepted later than this instant.
            count_max: how many lines at the most.
            room: only this room.
            trouble: only ambiguous, refused and withheld ones.
        """
        ...

    async def counts(self) -> Sequence[PortalCounts]:
        """Return how every open portal stands."""
        ...

    async def prune(self, *, before: Instant) -> int:
        """Drop payloads of settled inbox events older than an instant."""
        ...

    async def check(self) -> Sequence[str]:
        """Check the database's integrity; return what is wrong, empty if nothing."""
        ...


class Storage(
    Accounts, Rooms, Inbox, Timeline, Refs, Deliveries, Media, Journal, Protocol
):
    """All of it, in one database."""

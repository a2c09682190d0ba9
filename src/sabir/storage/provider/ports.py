"""The ports: what a provider needs to be remembered, one protocol per aggregate.

Every method that changes something is one durable transaction: when it
returns, a power cut loses nothing of it (I1). Every method may raise
`StorageFailed`, and then nothing of it happened.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from sabir.clock import Instant
from sabir.storage.provider.records import (
    AssetRecord,
    Cursor,
    DeadLetter,
    Deviation,
    DeviceRecord,
    EventKind,
    HostedRoom,
    Identifier,
    JoinCodeRecord,
    NewNotification,
    OpenRequest,
    PeerRecord,
    QueuedMessage,
    QueueRecord,
    QueueState,
    ReportRecord,
    RoomCommit,
    RoomPhase,
    Spread,
    StockedKeyPackage,
    StoredAnswer,
    StreamEvent,
    TokenPurpose,
    Verdict,
)


class SealedKeys(Protocol):
    """Our own secrets, sealed by who knows the key of this installation."""

    async def sealed(self, name: str) -> bytes | None:
        """Return a sealed secret, None if there is none."""
        ...

    async def sealed_names(self, prefix: str) -> Sequence[tuple[str, Instant]]:
        """Return the names that begin so, and since when they are there."""
        ...

    async def seal_once(self, name: str, octets: bytes, *, now: Instant) -> bytes:
        """Store a sealed secret unless there is one; return what is stored."""
        ...

    async def forget_sealed(self, name: str) -> None:
        """Remove a secret."""
        ...


class HubRooms(Protocol):
    """Rooms: hosted here, or followed."""

    async def reserve(self, room: HostedRoom, *, now: Instant) -> None:
        """Name a room for its creator.

        Raises:
            PolicyRefused: the name is taken.
        """
        ...

    async def room(self, room: str) -> HostedRoom | None:
        """Return a room, None if it is unknown here."""
        ...

    async def settled_room(self, room: str) -> HostedRoom | None:
        """Return a room as it is after every change asked for until now.

        `room` may not see a change whose caller was cancelled while it waited.
        """
        ...

    async def rooms(self, *, after: str = "", count_max: int) -> Sequence[HostedRoom]:
        """Return rooms in the order of their names, without `state`."""
        ...

    async def rooms_of_device(self, device: str) -> Sequence[HostedRoom]:
        """Return the rooms a device is attached to, without `state`."""
        ...

    async def commit(self, change: RoomCommit, *, now: Instant) -> Spread:
        """Make everything one accepted request changes durable.

        Raises:
            PolicyRefused: the pair (D-51) has another room, or a join code is spent.
        """
        ...

    async def room_of_pair(self, pair: bytes) -> str | None:
        """Return the fixed-membership room of a set of users."""
        ...

    async def room_domains(self, room: str) -> Mapping[str, Instant]:
        """Return the providers with a participant, and when they last had one."""
        ...

    async def add_join_code(self, code: JoinCodeRecord) -> None:
        """Store a join code."""
        ...

    async def join_code(self, digest: bytes) -> JoinCodeRecord | None:
        """Return a join code by the SHA-256 of the code, spent and expired ones too."""
        ...

    async def remove_join_code(self, room: str, id_: str) -> bool:
        """Remove a join code; False if there was none."""
        ...

    async def expire_reservations(self, *, now: Instant) -> int:
        """Forget reservations whose time is over; return how many."""
        ...


class Followed(Protocol):
    """What hubs send us."""

    async def was_taken(self, digest: bytes) -> bool:
        """Tell whether a body is known."""
        ...

    async def take_notification(
        self, notification: NewNotification, *, now: Instant
    ) -> Spread:
        """Store a body and put its messages into the streams; once (MC-063)."""
        ...

    async def set_room_phase(
        self, room: str, phase: RoomPhase, *, now: Instant
    ) -> Spread:
        """Change a room's phase and tell the attached devices."""
        ...


class Replays(Protocol):
    """Answers that are given again (D-24)."""

    async def replay(self, digest: bytes) -> bytes | None:
        """Return the answer a byte-identical request got."""
        ...

    async def remember_replay(
        self, digest: bytes, response: bytes, *, now: Instant
    ) -> None:
        """Keep the answer of a request that changed nothing."""
        ...


class Outbox(Protocol):
    """What followers have not got yet."""

    async def spread(self, *, count_max: int, now: Instant) -> bool:
        """Put messages of rooms with many followers into their queues.

        Args:
            count_max: of messages.
            now: when new queues are due.

        Returns:
            Whether more of them wait.
        """
        ...

    async def due_queues(
        self, *, now: Instant, count_max: int, skip: Collection[str] = ()
    ) -> Sequence[QueueRecord]:
        """Return open queues with messages whose time has come, longest due first.

        Args:
            now: when.
            count_max: how many at the most.
            skip: followers to leave out.
        """
        ...

    async def next_due_at(self) -> Instant | None:
        """Return when the next open queue with messages is due."""
        ...

    async def queues(self) -> Sequence[QueueRecord]:
        """Return all queues, with and without messages."""
        ...

    async def batch(
        self, room: str, follower: str, *, count_max: int, octets_max: int
    ) -> Sequence[QueuedMessage]:
        """Return the batch under way; fix it if there is none.

        The same batch is returned until it is settled, so that a repetition has the
        same octets (D-26). A single message larger than `octets_max` is a batch.
        """
        ...

    async def batch_done(self, room: str, follower: str) -> None:
        """Remove the batch under way: it arrived."""
        ...

    async def batch_failed(
        self, room: str, follower: str, detail: str, *, next_at: Instant, now: Instant
    ) -> None:
        """Keep the batch under way for another attempt."""
        ...

    async def batch_halved(self, room: str, follower: str) -> None:
        """Make the batch under way half as long; of one message it stays."""
        ...

    async def batch_died(
        self, room: str, follower: str, reason: str, *, now: Instant
    ) -> None:
        """Move the messages of the batch under way to the dead letters."""
        ...

    async def set_queue_state(
        self, room: str, follower: str, state: QueueState, detail: str, *, now: Instant
    ) -> None:
        """Stop or open a queue. GONE and UNREACHABLE drop what waits."""
        ...

    async def dead_letters(self, *, count_max: int) -> Sequence[DeadLetter]:
        """Return the newest dead letters."""
        ...


class Devices(Protocol):
    """Users, devices, tokens, and answers under idempotency keys."""

    async def add_user(self, user: str, token: bytes, *, now: Instant) -> None:
        """Store a user with the SHA-256 of the account token.

        Raises:
            PolicyRefused: there is or was such a user; names are never reused.
        """
        ...

    async def user_of_token(self, token: bytes) -> str | None:
        """Return the active user of an account token (its SHA-256)."""
        ...

    async def user_exists(self, user: str) -> bool:
        """Tell whether a user is active here."""
        ...

    async def users(self) -> Sequence[str]:
        """Return the active users."""
        ...

    async def deleted_users(self) -> Sequence[str]:
        """Return the users who were deleted; their names stay taken."""
        ...

    async def delete_user(self, user: str) -> Sequence[str]:
        """Mark a user deleted, remove the devices; return those."""
        ...

    async def add_device(
        self, device: DeviceRecord, tokens: Mapping[TokenPurpose, tuple[bytes, Instant]]
    ) -> Spread:
        """Store a device with its tokens; the user's other devices are told."""
        ...

    async def device(self, device: str) -> DeviceRecord | None:
        """Return a device."""
        ...

    async def devices_of(self, user: str) -> Sequence[DeviceRecord]:
        """Return a user's devices, oldest first."""
        ...

    async def remove_device(self, device: str, *, now: Instant) -> Spread:
        """Remove a device, its KeyPackages, stream and tokens; tell the others."""
        ...

    async def device_of_token(
        self, digest: bytes, purpose: TokenPurpose, *, now: Instant
    ) -> DeviceRecord | None:
        """Return whose valid token this is."""
        ...

    async def set_token(
        self, device: str, purpose: TokenPurpose, digest: bytes, expires_at: Instant
    ) -> None:
        """Replace the device's token of this purpose."""
        ...

    async def answer_of(self, device: str, key: str) -> StoredAnswer | None:
        """Return what was answered under an idempotency key."""
        ...

    async def remember_answer(
        self, device: str, key: str, answer: StoredAnswer, *, now: Instant
    ) -> None:
        """Keep an answer; an older one of the same key stays."""
        ...

    async def identifiers(self, user: str) -> Sequence[Identifier]:
        """Return by what a user may be found."""
        ...

    async def set_identifiers(
        self, user: str, identifiers: Iterable[Identifier]
    ) -> None:
        """Replace by what a user may be found."""
        ...

    async def users_found(
        self, search_type: int, value: str, *, count_max: int
    ) -> Sequence[tuple[str, Identifier]]:
        """Return active users with this searchable identifier."""
        ...


class Streams(Protocol):
    """One durable stream of events per device."""

    async def attach(self, room: str, hub: str, device: str, *, now: Instant) -> None:
        """Let a device have a room's stream; a followed room is stored if new."""
        ...

    async def detach(self, room: str, device: str) -> None:
        """End it; a followed room without devices is gone."""
        ...

    async def attached(self, room: str) -> frozenset[str]:
        """Return the devices that have a room's stream."""
        ...

    async def tell(
        self,
        devices: Iterable[str],
        kind: EventKind,
        data: bytes,
        *,
        room: str = "",
        now: Instant,
    ) -> Spread:
        """Append one event to streams; unknown devices are skipped."""
        ...

    async def events(
        self,
        device: str,
        after: Cursor,
        *,
        count_max: int,
        octets_max: int | None = None,
    ) -> Sequence[StreamEvent]:
        """Return what comes after a cursor, in order.

        Args:
            device: whose stream.
            after: the cursor.
            count_max: how many at the most.
            octets_max: of their data; a single larger event is returned alone. None:
                no limit.
        """
        ...

    async def reset_at(self, device: str) -> Cursor:
        """Return up to which cursor events were lost to the retention limit."""
        ...

    async def ack(self, device: str, cursor: Cursor) -> None:
        """Delete everything up to a cursor."""
        ...

    async def trim_streams(self, *, before: Instant, count_max: int) -> frozenset[str]:
        """Drop events stored before an instant, and all above `count_max` per device.

        Returns:
            The devices that lost some.
        """
        ...


class KeyMaterial(Protocol):
    """KeyPackages in stock, and whose Welcomes are."""

    async def stock_key_packages(
        self, packages: Iterable[StockedKeyPackage], *, now: Instant
    ) -> int:
        """Store KeyPackages of one device; return how many were new.

        A last-resort one replaces the device's older last-resort one.
        """
        ...

    async def stock(self, user: str, *, now: Instant) -> Sequence[StockedKeyPackage]:
        """Return a user's valid KeyPackages: by device, soonest to expire first."""
        ...

    async def stock_count(self, device: str, *, now: Instant) -> tuple[int, int]:
        """Return how many one-time and last-resort KeyPackages are valid."""
        ...

    async def take_key_packages(
        self, refs: Iterable[bytes], *, reused: Iterable[bytes] = (), now: Instant
    ) -> frozenset[bytes]:
        """Hand KeyPackages out and remember whose they are; one winner each.

        Args:
            refs: to remove from stock.
            reused: last-resort ones that stay in stock.
            now: when.

        Returns:
            Those of both that we won.
        """
        ...

    async def route_refs(
        self, kind: str, targets: Mapping[bytes, tuple[str, Instant]]
    ) -> None:
        """Remember the target of KeyPackageRefs; `kind` is device or domain."""
        ...

    async def routes(
        self, kind: str, refs: Iterable[bytes], *, now: Instant
    ) -> Mapping[bytes, str]:
        """Return the targets of the refs that are known."""
        ...

    async def drop_routes(self, kind: str, refs: Iterable[bytes]) -> None:
        """Forget refs: their Welcome was delivered."""
        ...


class Consents(Protocol):
    """Who may be added by whom; held by the target's provider."""

    async def verdicts(self, requester: str, target: str) -> Sequence[Verdict]:
        """Return what a target decided about a requester."""
        ...

    async def verdicts_by(self, target: str) -> Sequence[Verdict]:
        """Return all a target decided."""
        ...

    async def set_verdicts(
        self, verdicts: Iterable[Verdict], *, cleared: Iterable[Verdict] = ()
    ) -> None:
        """Store verdicts, remove others, close the requests of the same scope."""
        ...

    async def open_request(self, request: OpenRequest, *, per_day_max: int) -> bool:
        """Store a request.

        Returns:
            False: there was one of this scope, or the requester's day is full.
        """
        ...

    async def cancel_request(self, requester: str, target: str, room: str) -> bool:
        """Remove a request of exactly this scope; False if there was none."""
        ...

    async def open_requests(self, target: str) -> Sequence[OpenRequest]:
        """Return what waits for a target's decision."""
        ...


class Reports(Protocol):
    """Abuse reports."""

    async def add_report(self, report: ReportRecord) -> bool:
        """Store a report; False if the same octets are there."""
        ...

    async def reports(self, *, count_max: int) -> Sequence[ReportRecord]:
        """Return the newest reports."""
        ...


class Assets(Protocol):
    """The index of uploaded ciphertexts."""

    async def add_asset(self, asset: AssetRecord, *, now: Instant) -> None:
        """Store an asset whose file is complete."""
        ...

    async def asset(self, name: str, *, now: Instant) -> AssetRecord | None:
        """Return an asset that has not expired."""
        ...

    async def asset_octets(self, device: str) -> int:
        """Return how many octets a device has stored."""
        ...

    async def expired_assets(
        self, *, now: Instant, count_max: int
    ) -> Sequence[AssetRecord]:
        """Return assets whose files may go."""
        ...

    async def remove_asset(self, name: str) -> None:
        """Forget an asset."""
        ...


class Peers(Protocol):
    """What we know of other providers."""

    async def peer(self, domain: str) -> PeerRecord | None:
        """Return a peer."""
        ...

    async def peers(self) -> Sequence[PeerRecord]:
        """Return all peers, by domain."""
        ...

    async def keep_peer(self, peer: PeerRecord) -> None:
        """Store a peer's directory."""
        ...

    async def peer_result(self, domain: str, error: str, *, now: Instant) -> None:
        """Record that a peer answered (`error` empty) or failed."""
        ...

    async def deviates(self, domain: str, what: str, *, now: Instant) -> None:
        """Count a deviation of a peer."""
        ...

    async def deviations(self, domain: str) -> Sequence[Deviation]:
        """Return a peer's deviations."""
        ...


class Housekeeping(Protocol):
    """What nobody needs any more."""

    async def sweep(
        self, *, answers_before: Instant, bodies_before: Instant, now: Instant
    ) -> int:
        """Drop old answers, known bodies, expired refs, unreferenced messages.

        Args:
            answers_before: replays and idempotency keys older than this go.
            bodies_before: digests of bodies from hubs older than this go.
            now: what expired before goes.

        Returns:
            How many rows went.
        """
        ...


class ProviderStore(
    SealedKeys,
    HubRooms,
    Followed,
    Replays,
    Outbox,
    Devices,
    Streams,
    KeyMaterial,
    Consents,
    Reports,
    Assets,
    Peers,
    Housekeeping,
    Protocol,
):
    """Everything a provider keeps."""

    def close(self) -> None:
        """Finish pending changes and close. Safe to call twice."""
        ...

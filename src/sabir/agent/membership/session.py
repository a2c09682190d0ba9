"""One room that we are in: what its hub says, and what we want of it.

What the hub sends is taken in the order of our stream. What we want goes to the hub
from one worker: an operation, a message, a commit of what others proposed. Every
change is stored with its octets before they leave; so a restart at any point goes on
where it was, with the same octets.

What the hub has taken of ours counts where our stream shows it, so that everybody
reads the room in the same order (I4); the hub's own answer counts if that is late.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from sabir.agent.backoff import Backoff
from sabir.agent.membership.api import ApiRefused
from sabir.agent.membership.chronicle import Page
from sabir.agent.membership.introducing import Introductions
from sabir.agent.membership.ledger import Around, Ledger, NotInRoom
from sabir.agent.membership.limits import (
    CATCH_UP_MS,
    ECHO_WAIT_MS,
    HINDERED_MS,
    MISSING_WAIT_MS,
    PLACE_WAIT_MS,
    SEALED_AT_ONCE_MAX,
    SETTLE_MS,
    TICK_MS,
)
from sabir.agent.membership.naming import idempotency_key
from sabir.agent.membership.vouching import refusal
from sabir.content import codec
from sabir.content.model import Content, MessageId
from sabir.errors import PeerMisbehaved, PolicyRefused, Unavailable
from sabir.mimi.codepoints import SubmitCode, UpdateCode
from sabir.mimi.components.optionality import Optionality
from sabir.mimi.member.errors import RoomFrozen, RoomMisuse
from sabir.mimi.member.events import Outcome
from sabir.mimi.member.intents import (
    CommitPending,
    Intent,
    Rotate,
    encode_intent,
    read_intent,
)
from sabir.mimi.member.operation import Kind, Operation, Outgoing
from sabir.mimi.member.room import RoomMember
from sabir.mimi.member.status import Reports, Status, is_wanted
from sabir.mimi.policy.errors import Slug
from sabir.mimi.structs.submit import (
    Frank,
    SubmitMessageResponse,
    decode_submit_response,
)
from sabir.mimi.structs.update import UpdateRoomResponse, decode_update_response
from sabir.storage.membership import MembershipState, WishRecord
from sabir.storage.records import NewEntry
from sabir.wire.errors import Malformed
from sabir.wire.tls import read_whole

_log = structlog.get_logger()

_OUTSIDE: Final = (Slug.ROOM_UNKNOWN, Slug.SENDER_REMOVED, Slug.SENDER_UNKNOWN)
"""What a hub says to somebody who is not in the room (any more)."""
_WISH: Final = b"wish"
"""What an intent is sealed under."""


_Answer = TypeVar("_Answer", SubmitMessageResponse, UpdateRoomResponse)


def _name_of(octets: bytes) -> bytes:
    """Return by what octets are known that are sent once or again."""
    return hashlib.sha256(octets).digest()


@dataclass(frozen=True, slots=True)
class _Answered(Generic[_Answer]):
    """The hub has taken something of ours; its place in the stream is waited for."""

    digest: bytes
    answer: _Answer
    until_ms: float

    def is_late(self, member: RoomMember, *, now_ms: float) -> bool:
        """Whether our stream has left it out, or takes too long."""
        return member.has_passed(self.answer.accepted_at) or self.until_ms <= now_ms


@dataclass(frozen=True, slots=True)
class _Behind:
    """Others were faster; what they did is on its way to us.

    Attributes:
        epoch: of the hub.
        until_ms: how long to wait.
        resync: come in anew if it does not come.
    """

    epoch: int
    until_ms: float
    resync: bool


class RoomSession:
    """One room.

    Args:
        ledger: the room's machine, stored.
        around: what rooms share.
        on_resync: asked to come in anew, with the reason.
        on_out: told that we are not in the room any more.
    """

    def __init__(
        self,
        ledger: Ledger,
        around: Around,
        on_resync: Callable[["RoomSession", str], None],
        on_out: Callable[["RoomSession"], None],
    ) -> None:
        self.ledger = ledger
        self.room = ledger.room
        self._around = around
        self._on_resync = on_resync
        self._on_out = on_out
        self._bell = asyncio.Event()
        self._backoff = Backoff(around.rng)
        self._rest_until = 0.0
        self._commit_at: float | None = None
        self._hindered_until = 0.0
        self._behind: _Behind | None = None
        self._operation: _Answered[UpdateRoomResponse] | None = None
        self._messages: dict[bytes, _Answered[SubmitMessageResponse]] = {}
        self._reports: dict[MessageId, int] = {}
        self._introductions: Introductions | None = None
        self._tried: set[bytes] | None = set() if ledger.is_new else None

    @property
    def _now(self) -> float:
        return self._around.clock.monotonic_ms()

    def ring(self) -> None:
        """Let the worker look for something to do."""
        self._bell.set()

    # ---- the stream

    async def take(self, fanned: bytes, cursor: int) -> None:
        """Take a `room.message` or `room.handshake`.

        Raises:
            StorageFailed: it was not taken.
            NotInRoom: it is not for us.
        """
        if self.ledger.lost_race:
            # Another machine is being made; this one is of no room that there is.
            await self._around.storage.move_cursor(cursor)
            return
        async with self.ledger.turn() as member:
            events = member.receive(self._around.env, fanned)
            page = await self.ledger.keep(member, events, cursor=cursor)
            self._note_delivered(member, page)
        self._turned(page)

    def _note_delivered(self, member: RoomMember, page: Page) -> None:
        """Report what came, where the room requires that (D-43)."""
        policy = member.room.status_policy
        if is_wanted(policy, Status.DELIVERED) is not Optionality.REQUIRED:
            return
        for placed in page.entries:
            origin = placed.provenance
            if origin is not None and origin.sender != member.user:
                self._reports.setdefault(placed.new.entry, Status.DELIVERED)

    async def take_own(
        self, accepted_at: int, digest: bytes, frank: Frank | None, cursor: int
    ) -> None:
        """Take a `room.own`. Raises as `take`."""
        if self.ledger.lost_race:
            await self._around.storage.move_cursor(cursor)
            return
        async with self.ledger.turn() as member:
            events = member.receive_own(self._around.env, accepted_at, digest, frank)
            page = await self.ledger.keep(member, events, cursor=cursor)
        self._turned(page)

    def _turned(self, page: Page) -> None:
        """Do what a step asks for beside the store."""
        if page.commit_in_ms is not None:
            self._commit_at = self._now + page.commit_in_ms
        if page.resync:
            self._on_resync(self, page.resync)
        if page.settled is not None and self._introductions is not None:
            self._introductions.settled(page.settled)
        self.ring()

    # ---- what people want

    async def want(self, intent: Intent) -> None:
        """Have something done in the room; returns when it is.

        It is done even if this call is cancelled, or Sabir restarted.

        Raises:
            PolicyRefused: the room or its hub does not allow it.
            StorageFailed: it was not noted.
        """
        if not self.ledger.is_in:
            raise NotInRoom(f"we are not in {self.room}")
        sealed = self._around.vault.of_room(self.room).seal(
            _WISH, encode_intent(intent)
        )
        storage = self._around.storage
        number = await storage.wish(self.room, sealed, now=self._around.clock.now())
        waiting = self._around.waiters.expect(self.room, number)
        self.ring()
        await waiting

    def report_status(self, reports: Reports) -> None:
        """Send receipts with the next ones that are due; lost in a restart."""
        self._reports.update(dict(reports))
        self.ring()

    # ---- the worker

    async def run(self) -> None:
        """Work until cancelled, or until we are out of the room.

        Raises:
            StorageFailed, CredentialsRefused: start again.
        """
        self._rest_until = 0.0
        while self.ledger.is_in:
            self._bell.clear()
            wait_ms = await self._step()
            if wait_ms <= 0:
                continue
            try:
                async with asyncio.timeout(wait_ms / 1_000):
                    await self._bell.wait()
            except TimeoutError:
                continue
        self._on_out(self)

    async def _step(self) -> float:
        """Do one thing; return how long to wait for the next, in ms."""
        rest = self._rest_until - self._now
        if rest > 0:
            return rest
        try:
            wait_ms = await self._work()
        except NotInRoom:
            return 0
        except (Unavailable, PeerMisbehaved) as error:
            asked = error.retry_after_ms if isinstance(error, Unavailable) else None
            wait_ms = self._backoff.next_ms(at_least_ms=asked)
            self._rest_until = self._now + wait_ms
            _log.info("room_waits", room=self.room, wait_ms=wait_ms, detail=str(error))
            return wait_ms
        if wait_ms <= 0:
            self._backoff.success()
        return wait_ms

    async def _work(self) -> float:
        async with self.ledger.turn() as member:
            operation, outgoing = member.operation, member.outgoing
        if self._tried is None:
            self._tried = {_name_of(each.octets) for each in outgoing}
            if operation is not None:
                self._tried.add(_name_of(operation.octets))
        if operation is not None:
            return await self._push(member, operation)
        self._operation = None
        self._tried &= {_name_of(each.octets) for each in outgoing}
        mine = {each.digest for each in outgoing}
        self._messages = {
            digest: each for digest, each in self._messages.items() if digest in mine
        }
        unsent = [each for each in outgoing if each.digest not in self._messages]
        if unsent:
            first = await self._first(unsent)
            if (wait := self._until_settled(first.octets)) > 0:
                return wait
            await self._submit(first)
            return 0
        late = self._late(member)
        if late is not None:
            await self._confirm(late.digest, late.answer)
            return 0
        if (behind := self._waits_for_others(member)) > 0:
            return behind
        return await self._begin(member, {each.message_id for each in outgoing})

    def _until_settled(self, octets: bytes) -> float:
        """Return how long to wait before something is sent, in ms.

        What may have been sent before waits until our stream has had the time to say
        what became of it.
        """
        assert self._tried is not None
        name = _name_of(octets)
        if name not in self._tried:
            self._tried.add(name)
            return 0
        opened_at = self._around.stream.opened_at
        if opened_at is None:
            return SETTLE_MS
        return opened_at + SETTLE_MS - self._now

    async def _first(self, unsent: Sequence[Outgoing]) -> Outgoing:
        """Return what was said first; what is no draft, a receipt, comes last."""
        if len(unsent) == 1:
            return unsent[0]
        drafts = await self._around.storage.drafts(self.room)
        places = {draft.new.entry: place for place, draft in enumerate(drafts)}
        return min(unsent, key=lambda each: places.get(each.message_id, len(places)))

    async def _begin(self, member: RoomMember, sealed: set[bytes]) -> float:
        """Begin something new, if there is anything to begin."""
        storage = self._around.storage
        wishes = await storage.wishes(self.room)
        drafts = [
            draft.new
            for draft in await storage.drafts(self.room)
            if draft.new.entry not in sealed
        ]
        if member.needs_commit:
            wait = self._until_commit(is_urgent=bool(wishes or drafts))
            if wait > 0:
                return min(wait, self._next_place())
            return await self._keep_up(CommitPending())
        if wishes:
            await self._grant(wishes[0])
            return 0
        if drafts and not member.ghosts:
            await self._seal(drafts[:SEALED_AT_ONCE_MAX])
            return 0
        listing = self._introduction_wait(member)
        if listing is not None and listing <= 0:
            await self._introduce(member)
            return 0
        if member.rotation_due(self._around.env) and self._hindered_until <= self._now:
            return await self._keep_up(Rotate())
        if self._reports and not member.ghosts:
            wait = member.receipts_wait_ms(self._around.env)
            if wait > 0:
                return min(wait, self._next_place())
            await self._send_reports()
            return 0
        place = self._next_place()
        return place if listing is None else min(place, listing)

    def _introduction_wait(self, member: RoomMember) -> float | None:
        """Return when people of our chats are to be listed; None: nobody is."""
        if self._introductions is None or member.ghosts:
            return None
        due = self._introductions.wait_ms(now_ms=self._now)
        return None if due is None else max(due, self._hindered_until - self._now)

    async def _introduce(self, member: RoomMember) -> None:
        """List people of our chats as participants without clients."""
        assert self._introductions is not None
        intent = self._introductions.intent(member.view, now_ms=self._now)
        if intent is None:
            return
        try:
            await self._operate(intent)
        except (PolicyRefused, RoomMisuse) as error:
            _log.info("ghosts_not_listed", room=self.room, detail=str(error))
            self._introductions.refused(intent)

    def forget_introductions(self, network: str = "") -> None:
        """List nobody of a network whose chat is not linked any more; empty: of any."""
        if self._introductions is not None:
            self._introductions.forget(network)

    def _until_commit(self, *, is_urgent: bool) -> float:
        """Return how long to leave the commit of what waits to others, in ms."""
        due = self._hindered_until
        if not is_urgent and self._commit_at is not None:
            due = max(due, self._commit_at)
        return due - self._now

    # ---- operations

    async def _keep_up(self, intent: Intent) -> float:
        """Do what keeps the group going; leave it to others if we may not."""
        try:
            await self._operate(intent)
        except PolicyRefused as error:
            _log.info("left_to_others", room=self.room, detail=str(error))
            self._hindered_until = self._now + HINDERED_MS
        return 0

    async def _operate(self, intent: Intent, wish: int | None = None) -> None:
        """Make an operation and store it; the next step submits it."""
        async with self.ledger.turn() as member:
            if member.operation is not None:
                return
            made = member.perform(self._around.env, intent)
            if made is None:
                await self.ledger.keep(member)
            else:
                await self.ledger.keep(member, wish_begun=wish)
        if made is None and wish is not None:
            await self._around.storage.drop_wish(wish)
            self._around.waiters.settle(wish)
        self._commit_at = None

    async def _grant(self, wish: WishRecord) -> None:
        vault = self._around.vault.of_room(self.room)
        intent = read_whole(vault.open(_WISH, wish.sealed), read_intent)
        try:
            await self._operate(intent, wish.id)
        except (PolicyRefused, RoomMisuse, PeerMisbehaved) as error:
            # What others would refuse is not tried; e.g. an old KeyPackage.
            refusal = (
                error
                if isinstance(error, PolicyRefused)
                else PolicyRefused(f"it cannot be done: {error}")
            )
            await self._around.storage.drop_wish(wish.id)
            self._around.waiters.settle(wish.id, refusal)

    async def _push(self, member: RoomMember, operation: Operation) -> float:
        """Bring an operation to its end."""
        answered = self._operation
        if answered is None or answered.digest != operation.digest:
            if (wait := self._until_settled(operation.octets)) > 0:
                return wait
            await self._submit_operation(operation)
            return 0
        if not self._around.stream.is_open:
            return ECHO_WAIT_MS
        if not answered.is_late(member, now_ms=self._now):
            return answered.until_ms - self._now
        await self._settle(operation, answered.answer)
        return 0

    async def _submit_operation(self, operation: Operation) -> None:
        api, room = self._around.api, self.room
        key = idempotency_key(operation.kind.name, room, operation.octets)
        try:
            if operation.kind is Kind.GENESIS:
                accepted_at = await api.genesis(room, operation.octets, key)
                await self._begun(accepted_at)
                return
            octets = await api.update(room, operation.octets, key)
        except ApiRefused as error:
            await self._rejected(operation, str(error))
            return
        answer = decode_update_response(octets)
        expected = operation.kind is Kind.COMMIT
        if answer.code == UpdateCode.SUCCESS and expected:
            until = self._now + ECHO_WAIT_MS
            self._operation = _Answered(operation.digest, answer, until)
        else:
            await self._settle(operation, answer)

    async def _begun(self, accepted_at: int) -> None:
        async with self.ledger.turn() as member:
            events = member.confirm_genesis(self._around.env, accepted_at)
            page = await self.ledger.keep(member, events)
        self._turned(page)

    async def _rejected(self, operation: Operation, reason: str) -> None:
        async with self.ledger.turn() as member:
            current = member.operation
            if current is None or current.digest != operation.digest:
                return
            page = await self.ledger.keep(member, member.reject(reason))
        self._turned(page)

    async def _settle(self, operation: Operation, answer: UpdateRoomResponse) -> None:
        """Let the hub's own answer count."""
        async with self.ledger.turn() as member:
            current = member.operation
            if current is None or current.digest != operation.digest:
                return  # our stream was faster
            events = member.confirm(self._around.env, answer)
            page = await self.ledger.keep(member, events)
        await self._after(operation, answer, page)

    async def _after(
        self, operation: Operation, answer: UpdateRoomResponse, page: Page
    ) -> None:
        self._turned(page)
        settled = page.settled
        if settled is None:
            return
        slug = answer.description.partition(":")[0]
        if settled.outcome is Outcome.RACE_LOST and operation.kind is not Kind.JOIN:
            # Not all at once again.
            self._rest_until = self._now + self._backoff.next_ms()
            if answer.code == UpdateCode.WRONG_EPOCH:
                self._fall_behind(answer.current_epoch)
            else:
                until = self._now + MISSING_WAIT_MS
                self._behind = _Behind(operation.epoch + 1, until, resync=False)
        elif settled.outcome is Outcome.REFUSED and slug in _OUTSIDE:
            await self._outside(slug, operation)

    async def _outside(self, slug: str, operation: Operation) -> None:
        """Believe a hub that says we are not in the room."""
        if operation.kind is Kind.JOIN:
            return  # that was said already
        await self.ledger.leave(f"the hub says {slug}", MembershipState.LEFT)

    def _waits_for_others(self, member: RoomMember) -> float:
        """Return how long to wait yet for a commit that was faster than ours."""
        if self._behind is None:
            return 0
        behind = self._behind
        wait = behind.until_ms - self._now
        came = member.epoch >= behind.epoch or (
            member.needs_commit and not behind.resync
        )
        if not came and wait > 0:
            return wait
        self._behind = None
        if not came and behind.resync:
            self._on_resync(self, f"the hub is in epoch {behind.epoch}")
        return 0

    def _fall_behind(self, epoch: int) -> None:
        until = self._now + CATCH_UP_MS
        self._behind = _Behind(epoch, until, resync=True)

    # ---- messages

    async def _seal(self, drafts: list[NewEntry]) -> None:
        """Seal messages and store them; the next steps submit them."""
        for new in drafts:
            content = codec.decode(new.content)
            known = await self.ledger.chronicle.known(content)
            async with self.ledger.turn() as member:
                if member.needs_commit or member.operation is not None:
                    await self.ledger.keep(member)
                    return
                unwanted = refusal(content, member.user, member.view)
                if unwanted:
                    why = f"its author may not speak in this room: {unwanted}"
                    await self.ledger.keep(member, refused={new.entry: why})
                    continue
                try:
                    member.send(self._around.env, new.content, known)
                except RoomFrozen:
                    await self.ledger.keep(member)
                    return
                except (PolicyRefused, Malformed) as error:
                    await self.ledger.keep(member, refused={new.entry: str(error)})
                    continue
                await self.ledger.keep(member)
                self._heard(content, member)

    def _heard(self, content: Content, member: RoomMember) -> None:
        if self._introductions is None:
            self._introductions = Introductions(member.user)
        self._introductions.heard(content, member.view, now_ms=self._now)

    async def _submit(self, outgoing: Outgoing) -> None:
        api, digest = self._around.api, outgoing.digest
        key = idempotency_key("message", self.room, outgoing.octets)
        try:
            octets = await api.submit(self.room, outgoing.octets, key)
        except ApiRefused as error:
            _log.info("message_refused", room=self.room, detail=str(error))
            answer = SubmitMessageResponse(code=SubmitCode.NOT_ALLOWED)
            await self._confirm(digest, answer)
            return
        answer = decode_submit_response(octets)
        if answer.code == SubmitCode.ACCEPTED:
            until = self._now + PLACE_WAIT_MS
            self._messages[digest] = _Answered(digest, answer, until)
        else:
            await self._confirm(digest, answer)
            if answer.code == SubmitCode.EPOCH_TOO_OLD:
                self._rest_until = self._now + self._backoff.next_ms()
                self._fall_behind(answer.current_epoch)

    async def _confirm(self, digest: bytes, answer: SubmitMessageResponse) -> None:
        self._messages.pop(digest, None)
        async with self.ledger.turn() as member:
            events = member.confirm_message(self._around.env, digest, answer)
            page = await self.ledger.keep(member, events)
        self._turned(page)

    def _late(self, member: RoomMember) -> _Answered[SubmitMessageResponse] | None:
        """Return a message whose place did not come by in time.

        While our stream is not open, nothing comes by; then it is no wonder.
        """
        if not self._around.stream.is_open:
            return None
        for answered in self._messages.values():
            if answered.is_late(member, now_ms=self._now):
                return answered
        return None

    def _next_place(self) -> float:
        """Return when a place in the stream will be late, in ms from now."""
        if self._messages and not self._around.stream.is_open:
            return ECHO_WAIT_MS
        waits = [each.until_ms - self._now for each in self._messages.values()]
        return max(1.0, min([*waits, float(TICK_MS)]))

    # ---- receipts

    async def _send_reports(self) -> None:
        reports = tuple(self._reports.items())
        self._reports.clear()
        async with self.ledger.turn() as member:
            if member.needs_commit or member.operation is not None:
                await self.ledger.keep(member)
                self._reports.update(reports)
                return
            member.send_receipts(self._around.env, reports)
            await self.ledger.keep(member)

"""`Membership`: our device at its provider, and all rooms that it is in.

One worker reads our stream, one for each room talks to its hub, and errands (adding
somebody who has consented, coming in anew, a new device) run beside them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import structlog

from sabir.agent.backoff import Backoff
from sabir.agent.membership.entrance import Entrance
from sabir.agent.membership.history import Histories
from sabir.agent.membership.inviting import Inviter
from sabir.agent.membership.ledger import Around, Ledger, NotInRoom
from sabir.agent.membership.limits import (
    ERRAND_ATTEMPTS_MAX,
    EVENT_ATTEMPTS_MAX,
    NEW_DEVICE_WAIT_MS,
    RESYNC_INTERVAL_MS,
    STOCK_INTERVAL_MS,
)
from sabir.agent.membership.session import RoomSession
from sabir.agent.membership.stock import KeyStock
from sabir.agent.supervisor import attempt, keep_running
from sabir.crypto.sealing import SealBroken
from sabir.errors import PolicyRefused, StorageFailed, Unavailable
from sabir.mimi.agent_api.events import Event, EventType
from sabir.mimi.agent_api.rooms import RoomState
from sabir.mimi.codepoints import ConsentOperation
from sabir.mimi.member.intents import RemoveClients
from sabir.mimi.structs.consent import decode_consent_entry
from sabir.mimi.structs.submit import read_frank
from sabir.mls.errors import MlsMisuse
from sabir.storage.membership import MembershipRecord, MembershipState, Notice
from sabir.storage.records import RoomId
from sabir.wire.errors import Malformed
from sabir.wire.tls import read_whole

_log = structlog.get_logger()

_NOWHERE: Final = RoomId("")
"""Of notices that are about no room."""
_STREAM: Final = "stream"
_STOCK: Final = "stock"
"""Names of tasks; those of rooms are URIs."""


class Membership:
    """Runs our device at its provider.

    Args:
        around: what rooms share.
        device: URI of our client.
        cursor: last event of our stream that was taken.
    """

    def __init__(self, around: Around, *, device: str, cursor: int) -> None:
        self.around = around
        self.device = device
        self.stock = KeyStock(around)
        self.entrance = Entrance(around, self.stock, self.adopt)
        self.inviter = Inviter(around, self.session)
        self.histories = Histories(around, lambda: self.sessions, device=device)
        self._cursor = cursor
        self._sessions: dict[str, RoomSession] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._resyncing: set[str] = set()
        self._attempted = 0
        self._attempts = 0
        self.started = asyncio.Event()

    # ---- running

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            StorageFailed: the database cannot be read.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            for record in await self.around.storage.memberships():
                await self._resume(record)
            for invitation in await self.around.storage.invitations():
                self.errand("invite again", partial(self.inviter.retry, invitation))
            self._tasks[_STOCK] = self._supervise("key packages", self._keep_stocked)
            self.errand("rooms of other devices", self._come_after)
            self._tasks[_STREAM] = self._supervise("stream", self._read_stream)
            self.started.set()

    async def _resume(self, record: MembershipRecord) -> None:
        ledger = Ledger(record.room, record.place, record.state, self.around)
        if not ledger.is_in:
            return
        try:
            is_stranded = await ledger.is_stranded()
        except (MlsMisuse, SealBroken) as error:
            _log.warning("room_damaged", room=record.room, detail=str(error))
            is_stranded = True
        if is_stranded:
            # It died between a lost race and the next attempt to come in.
            self._resyncing.add(record.room)
            self.errand("come in anew", partial(self._resync, record.room))
        else:
            self.adopt(ledger)

    def _supervise(
        self, name: str, work: Callable[[], Awaitable[None]]
    ) -> asyncio.Task[None]:
        assert self._group is not None
        around = self.around
        return self._group.create_task(
            keep_running(name, work, clock=around.clock, rng=around.rng), name=name
        )

    # ---- rooms

    def adopt(self, ledger: Ledger) -> RoomSession:
        """Run a room, in place of an older session of it."""
        self._drop(ledger.room)
        session = RoomSession(ledger, self.around, self._on_resync, self._forget_left)
        self._sessions[ledger.room] = session
        self._tasks[ledger.room] = self._supervise(f"room {ledger.room}", session.run)
        return session

    def _drop(self, room: str) -> None:
        self._sessions.pop(room, None)
        task = self._tasks.pop(room, None)
        if task is not None:
            task.cancel()

    def session(self, room: RoomId) -> RoomSession:
        """Return the session of a room that we are in.

        Raises:
            NotInRoom: we are in no such room.
        """
        session = self._sessions.get(room)
        if session is None or not session.ledger.is_in:
            raise NotInRoom(f"we are not in {room}; `sabir room list` shows where")
        return session

    def ring(self, room: RoomId) -> None:
        """Let a room's worker look for something to do."""
        session = self._sessions.get(room)
        if session is not None:
            session.ring()

    @property
    def sessions(self) -> Sequence[RoomSession]:
        """Return the sessions of the rooms that we are in."""
        return [each for each in self._sessions.values() if each.ledger.is_in]

    # ---- errands

    def errand(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do something beside, again while the provider does not answer."""
        assert self._group is not None
        self._group.create_task(self._do(name, work), name=name)

    async def _do(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(self.around.rng)
        waits: list[int] = []

        async def once() -> None:
            try:
                await work()
            except Unavailable as error:
                waits.append(backoff.next_ms(at_least_ms=error.retry_after_ms))
                _log.info("errand_waits", errand=name, detail=str(error))

        for _ in range(ERRAND_ATTEMPTS_MAX):
            await attempt(name, once)
            if not waits:
                return
            await self.around.clock.sleep(waits.pop())

    async def _keep_stocked(self) -> None:
        """Bring KeyPackages in time; those at the provider end, too."""
        while True:
            await self.stock.fill()
            await self.around.clock.sleep(STOCK_INTERVAL_MS)

    async def _come_after(self) -> None:
        """Come into the rooms of our user's other devices."""
        known = {each.room for each in await self.around.storage.memberships()}
        for entry in await self.around.api.rooms():
            room = RoomId(entry.room_uri)
            # Where we have the stream of a room, its Welcome is on its way in it.
            is_new = room not in known and not entry.attached
            if entry.state is RoomState.OPEN and is_new:
                self.errand("join", partial(self.entrance.join, room))

    def _on_resync(self, session: RoomSession, reason: str) -> None:
        room = session.room
        if room in self._resyncing or self._sessions.get(room) is not session:
            return
        if self.entrance.is_joining(room):
            return  # it sees that itself
        _log.warning("resync", room=room, detail=reason)
        self._resyncing.add(room)
        self.errand("come in anew", partial(self._resync, room))

    async def _resync(self, room: RoomId) -> None:
        """Come in anew; a hub lets us once an hour."""
        self._resyncing.add(room)
        try:
            await self._resync_twice(room)
        except PolicyRefused as error:
            await self._give_up(room, f"cannot come in anew: {error}")
        finally:
            self._resyncing.discard(room)

    async def _resync_twice(self, room: RoomId) -> None:
        try:
            await self.entrance.join(room, resync=True)
        except PolicyRefused as error:
            await self._note(room, "resync", f"again in an hour: {error}")
            await self.around.clock.sleep(RESYNC_INTERVAL_MS)
            await self.entrance.join(room, resync=True)

    async def _give_up(self, room: RoomId, why: str) -> None:
        session = self._sessions.get(room)
        if session is not None:
            await session.ledger.leave(why, MembershipState.LEFT)
        self._drop(room)
        await self._note(room, "resync", why)

    async def _note(self, room: RoomId, kind: str, detail: str) -> None:
        notice = Notice(kind=kind, detail=detail)
        await self.around.storage.add_notice(room, notice, now=self.around.clock.now())

    # ---- our stream

    async def _read_stream(self) -> None:
        """Take what comes until the connection ends.

        Raises:
            Unavailable, CredentialsRefused, StorageFailed: start again.
        """
        async with self.around.api.events(self._cursor) as stream:
            self.around.stream.opened_at = self.around.clock.monotonic_ms()
            try:
                async for event in stream:
                    await self.take(event)
                    await stream.ack(self._cursor)
            finally:
                self.around.stream.opened_at = None

    async def take(self, event: Event) -> None:
        """Take one event; it is stored when this returns (I1).

        Raises:
            StorageFailed: it was not taken.
        """
        if event.place <= self._cursor:
            return
        if self._attempted != event.place:
            self._attempted, self._attempts = event.place, 0
        if self._attempts < EVENT_ATTEMPTS_MAX:
            self._attempts += 1
            try:
                await self._dispatch(event)
            except StorageFailed:
                self._attempts -= 1  # that is not the event's fault
                raise
        else:
            await self._pass_over(event)
        self._cursor = event.place

    async def _pass_over(self, event: Event) -> None:
        """Go on without an event that breaks us each time: a bug of ours."""
        detail = f"{event.type} at {event.cursor} breaks Sabir each time; see the log"
        await self._note(RoomId(event.room), "event-skipped", detail)
        session = self._sessions.get(event.room)
        if session is not None and session.ledger.is_in:
            self._on_resync(session, detail)
        await self.around.storage.move_cursor(event.place)

    async def _dispatch(self, event: Event) -> None:
        try:
            taken = await self._of_room(event)
        except NotInRoom:
            taken = False
        except (MlsMisuse, SealBroken) as error:
            # One damaged room keeps no other from what is said in it.
            self._on_resync(self._sessions[event.room], str(error))
            taken = False
        if taken:
            return
        match event.type:
            case EventType.WELCOME:
                assert event.data is not None
                if await self.entrance.welcome(event.data, event.place):
                    return
            case EventType.ROOM_STATE:
                await self._room_state(RoomId(event.room), event.state)
            case EventType.CONSENT:
                assert event.data is not None
                await self._consent(event.data)
            case EventType.KEY_PACKAGES_LOW:
                self.errand("key packages", self.stock.fill)
            case EventType.DEVICE_ADDED:
                await self._device_added(event.device_uri)
            case EventType.DEVICE_REMOVED:
                await self._device_removed(event.device_uri)
            case EventType.DEVICE_MESSAGE:
                assert event.data is not None
                await self.histories.take(event.data)
            case EventType.RESET:
                await self._reset()
            case _:
                pass  # a later version's, or of a room that we are not in
        await self.around.storage.move_cursor(event.place)

    async def _of_room(self, event: Event) -> bool:
        """Give an event to its room; False if it is not for one that we are in."""
        session = self._sessions.get(event.room)
        if session is None or not session.ledger.is_in:
            return False
        match event.type:
            case EventType.MESSAGE | EventType.HANDSHAKE:
                assert event.data is not None
                await session.take(event.data, event.place)
            case EventType.OWN:
                assert event.sha256 is not None
                frank = None
                if event.frank is not None:
                    frank = read_whole(event.frank, read_frank)
                await session.take_own(
                    event.accepted_ms, event.sha256, frank, event.place
                )
            case _:
                return False
        self._forget_if_left(session)
        return True

    def _forget_if_left(self, session: RoomSession) -> None:
        if not session.ledger.is_in:
            self._forget_left(session)

    def _forget_left(self, session: RoomSession) -> None:
        """Stop the worker of a room that we are out of, and its stream."""
        room = session.room
        if self._sessions.get(room) is not session:
            return
        self._drop(room)
        self.errand("detach", partial(self.around.api.detach, room))

    async def _room_state(self, room: RoomId, state: str) -> None:
        session = self._sessions.get(room)
        if session is None or not session.ledger.is_in:
            return
        match state:
            case RoomState.CLOSED:
                await session.ledger.leave(
                    "the hub has closed it", MembershipState.CLOSED
                )
                self._drop(room)
            case RoomState.UNREACHABLE | "stale":  # the provider missed something
                self._on_resync(session, f"the provider says {state}")
            case _:
                pass

    async def _reset(self) -> None:
        await self._note(_NOWHERE, "stream-reset", "we were away for too long")
        for session in self.sessions:
            self._on_resync(session, "our stream was reset")

    # ---- people and devices

    async def _consent(self, octets: bytes) -> None:
        try:
            entry = decode_consent_entry(octets)
        except Malformed as wrong:
            _log.warning("consent_malformed", rule=wrong.rule)
            return
        match entry.operation:
            case ConsentOperation.REQUEST:
                where = f" to {entry.room}" if entry.room else ""
                await self._note(
                    RoomId(entry.room),
                    "consent-asked",
                    f"{entry.requester} wants to add us{where}",
                )
            case ConsentOperation.GRANT:
                for invitation in await self.around.storage.invitations():
                    about = invitation.user == entry.target
                    if about and entry.room in {"", invitation.room}:
                        self.errand("invite", partial(self.inviter.retry, invitation))
            case _:
                pass

    async def _device_added(self, device: str) -> None:
        await self._note(_NOWHERE, "device-added", device)
        if device != self.device:
            self.errand("add our new device", self._add_own_device)

    async def _add_own_device(self) -> None:
        """Let a new device of ours into our rooms, unless it was faster."""
        # It needs a moment to put its KeyPackages there; then it may come by itself.
        await self.around.clock.sleep(NEW_DEVICE_WAIT_MS)
        for session in self.sessions:
            try:
                await self.inviter.add_own_devices(session)
            except PolicyRefused as error:
                _log.info("device_not_added", room=session.room, detail=str(error))

    async def _device_removed(self, device: str) -> None:
        await self._note(_NOWHERE, "device-removed", device)
        if device == self.device:
            for session in self.sessions:
                await session.ledger.leave(
                    "this device was removed", MembershipState.LEFT
                )
            return
        for session in self.sessions:
            self.errand(
                "remove our lost device",
                partial(session.want, RemoveClients((device,))),
            )

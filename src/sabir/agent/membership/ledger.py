"""A room's machine and its store, kept the same: nothing is in one and not the other.

A turn has the machine for itself. What it did is stored by `keep`, in one transaction
with what it says; if that did not happen, for whatever reason, the next turn begins
with the machine as the store has it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from sabir.agent.membership.api import AgentApi
from sabir.agent.membership.chronicle import Chronicle, Page
from sabir.agent.membership.env import AgentEnv
from sabir.agent.membership.vault import Vault
from sabir.agent.membership.waiters import Waiters
from sabir.clock import Clock
from sabir.content.model import MessageId
from sabir.errors import PolicyRefused
from sabir.mimi.member.events import Event, Outcome
from sabir.mimi.member.memory import Phase
from sabir.mimi.member.room import RoomMember
from sabir.mls.client import MlsClient
from sabir.networks.api import Rng
from sabir.storage.membership import MembershipState, MembershipStorage, Step
from sabir.storage.ports import Timeline
from sabir.storage.records import RoomId


class RoomsStorage(MembershipStorage, Timeline, Protocol):
    """What rooms at a provider need remembered."""


@dataclass(slots=True)
class StreamState:
    """Whether our stream is open, so that places in the rooms' order come by.

    Attributes:
        opened_at: since when, in ms of the monotonic clock; None: it is not.
    """

    opened_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is."""
        return self.opened_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What all rooms of one device share.

    Attributes:
        api: the provider.
        storage: the agent's database.
        vault: of the device.
        client: our MLS client.
        env: clock and dice of the protocol core.
        clock, rng: of the agent.
        waiters: who waits for what.
        on_entries: told of a room whose timeline has grown.
        stream: of the device.
    """

    api: AgentApi
    storage: RoomsStorage
    vault: Vault
    client: MlsClient
    env: AgentEnv
    clock: Clock
    rng: Rng
    waiters: Waiters
    on_entries: Callable[[RoomId], None]
    stream: StreamState = field(default_factory=StreamState)


_COMING_IN: Final = (MembershipState.CREATING, MembershipState.JOINING)


class NotInRoom(PolicyRefused):
    """We are not in this room."""


class Ledger:
    """One room's machine, stored.

    Args:
        room: URI.
        place: of its rows.
        state: where we stand.
        around: what rooms share.
    """

    def __init__(
        self, room: RoomId, place: int, state: MembershipState, around: Around
    ) -> None:
        self.room = room
        self.place = place
        self.state = state
        self._around = around
        self._vault = around.vault.of_room(room)
        self.chronicle = Chronicle(room, around.storage)
        self._member: RoomMember | None = None
        self.is_new = False
        """Whether the machine was made in this process."""
        self._in_doubt = True
        self._lock = asyncio.Lock()

    async def begin(
        self,
        member: RoomMember,
        events: Iterable[Event] = (),
        *,
        cursor: int | None = None,
        used: Sequence[bytes] = (),
    ) -> Page:
        """Store a machine that is new.

        Args:
            member: made by `RoomMember.create`, `join` or `open_invitation`.
            events: that came with it.
            cursor: our stream is taken until there.
            used: references of KeyPackages that are gone with this.

        Raises:
            StorageFailed: nothing was stored.
        """
        async with self._lock:
            self._member = member
            self.is_new = True
            page = await self._keep(
                member,
                events,
                cursor=cursor,
                used=used,
                group_id=member.group.group_id,
            )
            self._in_doubt = False
            return page

    async def is_stranded(self) -> bool:
        """Tell whether we came in by a commit that lost its race, and then died.

        Raises:
            KeyDoesNotFit, SealBroken, MlsMisuse: the store cannot be read.
        """
        if self.state is not MembershipState.JOINING:
            return False
        async with self.turn() as member:
            return member.phase is Phase.LEFT

    @property
    def lost_race(self) -> bool:
        """Whether our commit to join was not the first."""
        member = self._member
        joining = self.state is MembershipState.JOINING
        return joining and member is not None and member.phase is Phase.LEFT

    @property
    def is_in(self) -> bool:
        """Whether there is a machine at all."""
        return self.state not in {MembershipState.LEFT, MembershipState.CLOSED}

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[RoomMember]:
        """Have the machine for oneself.

        Raises:
            NotInRoom: we are out of it.
            KeyDoesNotFit, SealBroken, MlsMisuse: the store cannot be read.
        """
        async with self._lock:
            if not self.is_in:
                raise NotInRoom(
                    f"we are not in {self.room}; `sabir room list` says why"
                )
            if self._member is None or self._in_doubt:
                self._member = await self._load()
            self._in_doubt = True
            yield self._member
            self._in_doubt = False

    async def keep(
        self,
        member: RoomMember,
        events: Iterable[Event] = (),
        *,
        cursor: int | None = None,
        wish_begun: int | None = None,
        refused: Mapping[MessageId, str] | None = None,
    ) -> Page:
        """Store what a turn did; for use inside it.

        Args:
            member: of the turn.
            events: that it reported.
            cursor: our stream is taken until there.
            wish_begun: id of the wish for which an operation was made.
            refused: drafts that nobody would show, with the reason.

        Raises:
            StorageFailed: nothing was stored.
        """
        return await self._keep(
            member, events, cursor=cursor, wish_begun=wish_begun, refused=refused
        )

    async def leave(self, detail: str, state: MembershipState) -> None:
        """Store that we are out, whatever the machine says.

        Raises:
            StorageFailed: nothing was stored.
        """
        async with self._lock:
            step = Step(
                room=self.room,
                place=self.place,
                state=state,
                detail=detail,
                forget=True,
            )
            await self._around.storage.take_step(step, now=self._around.clock.now())
            self._out(state)

    # ---- the store

    async def _load(self) -> RoomMember:
        storage = self._around.storage
        sealed = await storage.member_rows(self.room, self.place)
        rows = self._vault.open_rows(self.place, sealed)
        return RoomMember.load(self._around.client, rows)

    async def _keep(
        self,
        member: RoomMember,
        events: Iterable[Event],
        *,
        cursor: int | None = None,
        wish_begun: int | None = None,
        group_id: bytes | None = None,
        used: Sequence[bytes] = (),
        refused: Mapping[MessageId, str] | None = None,
    ) -> Page:
        now = self._around.clock.now()
        page = await self.chronicle.page(events, member.view, now=now)
        if page.state is None:
            self._phase(page, member, is_new=group_id is not None)
        delta = member.delta()
        out = page.state is MembershipState.LEFT
        wishes = (
            await self._around.storage.wishes(self.room)
            if page.wish is not None
            else ()
        )
        step = Step(
            room=self.room,
            place=self.place,
            rows=self._vault.seal_rows(self.place, delta),
            state=page.state,
            detail=page.detail,
            group_id=group_id,
            name=page.name,
            entries=page.entries,
            receipts=page.receipts,
            notices=page.notices,
            cursor=cursor,
            used=used,
            wish_begun=wish_begun,
            wish=page.wish,
            refused={**page.refused, **(refused or {})},
            forget=out,
        )
        new = await self._around.storage.take_step(step, now=now)
        member.saved(delta)
        if page.state is not None:
            self.state = page.state
        self._tell(page, [wish.id for wish in wishes if wish.under_way])
        for entry in (*(each.new.entry for each in page.entries), *step.refused):
            self._around.waiters.pulse(entry.hex())
        if out:
            self._out(MembershipState.LEFT)
        if new:
            self._around.on_entries(self.room)
        return page

    def _phase(self, page: Page, member: RoomMember, *, is_new: bool) -> None:
        """Say where we stand if no event did."""
        match member.phase:
            case Phase.LEFT if _lost_race(page):
                page.resync = "another commit was faster"
            case Phase.LEFT if page.settled is None and self.state in _COMING_IN:
                pass  # it is being made anew
            case Phase.LEFT:
                settled = page.settled
                why = "" if settled is None else settled.reason or str(settled.outcome)
                page.state, page.detail = MembershipState.LEFT, why
            case Phase.CREATING if is_new:
                page.state = MembershipState.CREATING
            case Phase.JOINING if is_new:
                page.state = MembershipState.JOINING
            case Phase.ACTIVE if is_new:
                page.state = MembershipState.ACTIVE
            case _:
                pass

    def _tell(self, page: Page, under_way: Iterable[int]) -> None:
        waiters = self._around.waiters
        settled = page.settled
        for wish in under_way if settled is not None else ():
            assert settled is not None
            match settled.outcome:
                case Outcome.ACCEPTED:
                    waiters.settle(wish)
                case Outcome.REFUSED:
                    reason = settled.reason or "the hub gives no reason"
                    waiters.settle(wish, PolicyRefused(reason))
                case Outcome.RACE_LOST:
                    pass
        waiters.pulse(self.room)

    def _out(self, state: MembershipState) -> None:
        self.state = state
        self._member = None
        error = NotInRoom(f"we are not in {self.room} any more")
        self._around.waiters.end(self.room, error)


def _lost_race(page: Page) -> bool:
    """Whether a commit to join was not the first; it is to be made anew."""
    return page.settled is not None and page.settled.outcome is Outcome.RACE_LOST

"""The rooms hosted here: one writer for each, and one transaction for each change.

What a room is, its machine knows (`sabir.mimi.hub`); here it is loaded, asked in turn,
and changed only after the change is on the disk. A byte-identical repetition of what
was accepted gets the first answer (D-24).
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Generic, TypeVar

from sabir.errors import PolicyRefused
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.core import Core
from sabir.storage.provider.records import HostedRoom, NewReplay, RoomCommit

Machine = TypeVar("Machine")

ROOMS_MAX: Final = 1_000
"""Machines in memory; the one used longest ago is loaded again when needed."""
WAITING_MAX: Final = 1_000
"""Requests that wait for one room."""
WAIT_RETRY_S: Final = 5
"""What we ask of those beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a machine says to a request.

    Attributes:
        response: octets of the answer.
        commit: what it changes; None: nothing, it was refused.
        apply: makes the machine believe it; called once the commit is on the disk.
        refused: the answer if the store knows better (a pair, a spent code), where
            that can happen.
    """

    response: bytes
    commit: RoomCommit | None = None
    apply: Callable[[], None] | None = None
    refused: bytes | None = None


@dataclass(slots=True)
class _Desk(Generic[Machine]):
    """A room's place: who is served, who waits, and the machine while it is loaded."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    machine: Machine | None = None


class RoomDesks(Generic[Machine]):
    """Asks and changes rooms, one request per room at a time."""

    def __init__(
        self,
        core: Core,
        load: Callable[[HostedRoom], Machine | None],
        *,
        rooms_max: int = ROOMS_MAX,
    ) -> None:
        """Serve rooms.

        Args:
            core: of the provider.
            load: makes a machine of a stored room, None of one that has not begun; it
                may raise what it likes.
            rooms_max: machines in memory.
        """
        self._core = core
        self._load = load
        self._rooms_max = rooms_max
        self._desks: OrderedDict[str, _Desk[Machine]] = OrderedDict()

    async def change(
        self,
        room: str,
        source: str,
        body: bytes,
        decide: Callable[[Machine | None], Decision],
        *,
        repeats: bool = True,
    ) -> bytes:
        """Let a room decide about a request; return the answer.

        Args:
            room: its URI.
            source: the domain that asks.
            body: of the request.
            decide: asks the machine; None: no such room. It changes nothing.
            repeats: a byte-identical repetition gets this answer again.

        Raises:
            Problem: UNAVAILABLE, too many wait for this room.
            PolicyRefused: the store knows better, and the decision has no answer.
            StorageFailed: nothing of it happened.
        """
        digest = replay_digest(source, room, body) if repeats else None
        async with self._desk(room) as desk:
            machine = await self._machine(room, desk)
            known = None if digest is None else await self._core.store.replay(digest)
            if known is not None:
                return known
            decision = decide(machine)
            if decision.commit is None:
                return decision.response
            return await self._commit(desk, digest, decision)

    @asynccontextmanager
    async def asked(self, room: str) -> AsyncIterator[Machine | None]:
        """Give the machine for questions, while nobody changes it.

        Raises:
            Problem: UNAVAILABLE, too many wait for this room.
        """
        async with self._desk(room) as desk:
            yield await self._machine(room, desk)

    async def _commit(
        self, desk: _Desk[Machine], digest: bytes | None, decision: Decision
    ) -> bytes:
        assert decision.commit is not None
        core, commit = self._core, decision.commit
        if digest is not None:
            replay = NewReplay(digest=digest, response=decision.response)
            commit = replace(commit, replay=replay)
        try:
            spread = await core.store.commit(commit, now=core.clock.now())
        except PolicyRefused:
            if decision.refused is None:
                raise
            return decision.refused
        except BaseException:
            # Cancelled, it may yet reach the disk: memory is not sure any more.
            desk.machine = None
            raise
        if decision.apply is not None:
            decision.apply()
        core.spread(spread)
        return decision.response

    async def _machine(self, room: str, desk: _Desk[Machine]) -> Machine | None:
        if desk.machine is None:
            stored = await self._core.store.settled_room(room)
            if stored is None or stored.hub != self._core.config.domain:
                return None
            desk.machine = self._load(stored)
        return desk.machine

    @asynccontextmanager
    async def _desk(self, room: str) -> AsyncIterator[_Desk[Machine]]:
        desk = self._desks.setdefault(room, _Desk())
        if desk.users >= WAITING_MAX:
            raise Problem(
                ProblemCode.UNAVAILABLE,
                "too many requests for this room",
                retry_after_s=WAIT_RETRY_S,
            )
        desk.users += 1
        try:
            async with desk.lock:
                self._desks.move_to_end(room)
                yield desk
        finally:
            desk.users -= 1
            self._tidy(room, desk)

    def _tidy(self, room: str, desk: _Desk[Machine]) -> None:
        """Forget rooms that do not exist at once, and others beyond the limit."""
        if desk.machine is None and not desk.users:
            self._desks.pop(room, None)
        if len(self._desks) > self._rooms_max:
            idle = next(
                (name for name, each in self._desks.items() if not each.users), None
            )
            if idle is not None:
                del self._desks[idle]


def replay_digest(source: str, room: str, body: bytes) -> bytes:
    """Return what a repeated request is known by (D-24)."""
    digest = hashlib.sha256()
    for part in (source.encode(), room.encode(), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()

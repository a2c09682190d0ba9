"""The way into a room: a port, and its implementation without a provider.

A provider will implement `RoomPort` with end-to-end encrypted rooms; the rest of
the agent does not change then: it submits, and reads its timeline.
"""

from collections.abc import Sequence
from typing import Protocol

from sabir.agent.portals import Portals
from sabir.clock import Clock
from sabir.storage.ports import Timeline
from sabir.storage.records import EntryRecord, NewEntry, RoomId


class RoomPort(Protocol):
    """Where content is submitted to a room."""

    async def submit(
        self, room: RoomId, entries: Sequence[NewEntry]
    ) -> Sequence[EntryRecord]:
        """Hand entries to the room's hub; durable and ordered on return.

        The same submission key again changes nothing and gives the entry as it
        was accepted first (I2).

        Raises:
            Unavailable: the hub does not answer; submit again.
            StorageFailed: nothing was accepted.
        """
        ...


class LocalRooms:
    """Rooms that live in this agent's own database."""

    def __init__(self, timeline: Timeline, portals: Portals, clock: Clock) -> None:
        self._timeline = timeline
        self._portals = portals
        self._clock = clock

    async def submit(
        self, room: RoomId, entries: Sequence[NewEntry]
    ) -> Sequence[EntryRecord]:
        """See `RoomPort.submit`."""
        accepted = await self._timeline.append(room, entries, now=self._clock.now())
        self._portals.ring_room(room)
        return accepted

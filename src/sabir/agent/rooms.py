"""The way into a room: a port, and its implementation without a provider.

`sabir.agent.membership.rooms` implements `RoomPort` with end-to-end encrypted rooms at
a provider; the rest of the agent does not see the difference: it submits, and reads
its timeline.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from sabir.agent.portals import Portals
from sabir.agent.spool import Spool
from sabir.clock import Clock
from sabir.content.model import ExternalPart, MessageId
from sabir.errors import PolicyRefused
from sabir.mimi.uris import domain_of
from sabir.networks.api import MediaReader
from sabir.storage.ports import Timeline
from sabir.storage.records import EntryRecord, NewEntry, RoomId

LOCAL_DOMAIN: Final = "local.invalid"
"""Domain of rooms that have no provider; `.invalid` can never be one."""


class NotTaken(PolicyRefused):
    """A room does not take some of the entries submitted; the others are in it.

    Attributes:
        placed: in the order of the entries; None for one that the room does not take.
    """

    def __init__(self, why: str, placed: Sequence[EntryRecord | None]) -> None:
        super().__init__(f"the room does not take it: {why}")
        self.placed = tuple(placed)


class RoomPort(Protocol):
    """Where content is submitted to a room."""

    async def submit(
        self, room: RoomId, entries: Sequence[NewEntry]
    ) -> Sequence[EntryRecord]:
        """Hand entries to the room's hub; durable and ordered on return.

        The same submission key again changes nothing and gives the entry as it
        was accepted first (I2).

        Raises:
            NotTaken: the room does not take some of them, and never will; the native
                events that those come from count as rejected.
            Unavailable: the hub does not answer; submit again.
            StorageFailed: nothing was accepted.
        """
        ...


class ProviderRoomPort(RoomPort, Protocol):
    """Rooms at our provider."""

    @property
    def user(self) -> str:
        """Return our user's URI there: who sends what we submit."""
        ...

    async def check(self, room: RoomId) -> None:
        """Check that we are in a room.

        Raises:
            PolicyRefused: we are not.
        """
        ...

    async def tell(self, room: RoomId, text: str) -> None:
        """Say something to everybody in a room, in our user's name.

        Raises:
            PolicyRefused: the room does not take it.
            Unavailable: no answer in time; it is sent later.
        """
        ...

    async def unlist(self, room: RoomId, network: str) -> None:
        """Take people of a network out of a room's list whom we brought in.

        Returns when it is done; it is done even if this call is cancelled.

        Raises:
            PolicyRefused: we are not in the room, or it does not allow it.
        """
        ...

    def use_spool(self, spool: Spool) -> None:
        """Take files of networks from there, and bring those of rooms there."""
        ...

    async def file(
        self, room: RoomId, entry: MessageId, part: ExternalPart
    ) -> MediaReader | None:
        """Bring a file of an entry here; None where that cannot be.

        Raises:
            Unavailable: somebody does not answer; ask again.
            StorageFailed: our disk.
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


class RoomsByDomain:
    """All rooms of an agent: its own, and those at its provider if it has one.

    Args:
        local: rooms of `LOCAL_DOMAIN`.
    """

    def __init__(self, local: RoomPort) -> None:
        self._local = local
        self._provider: ProviderRoomPort | None = None

    def use_provider(self, rooms: ProviderRoomPort) -> None:
        """Take all other rooms to be there."""
        self._provider = rooms

    async def file(
        self, room: RoomId, entry: MessageId, part: ExternalPart
    ) -> MediaReader | None:
        """Bring a file of an entry here; None: it is in the spool or nowhere.

        Raises:
            Unavailable: somebody does not answer; ask again.
            StorageFailed: our disk.
        """
        if domain_of(room) == LOCAL_DOMAIN or self._provider is None:
            return None
        return await self._provider.file(room, entry, part)

    def sender_in(self, room: RoomId, owner: str) -> str:
        """Return who sends what we submit to a room.

        Args:
            room: URI.
            owner: URI of our owner in our own rooms.
        """
        if domain_of(room) == LOCAL_DOMAIN or self._provider is None:
            return owner
        return self._provider.user

    async def check(self, room: RoomId) -> None:
        """Check that we can submit to a room.

        Raises:
            PolicyRefused: we are not in it.
        """
        if domain_of(room) != LOCAL_DOMAIN:
            await self._beyond(room).check(room)

    async def tell(self, room: RoomId, text: str) -> None:
        """Say something to everybody in a room; our own rooms have nobody but chats.

        Raises:
            PolicyRefused: the room does not take it.
            Unavailable: no answer in time; it is sent later.
        """
        if domain_of(room) != LOCAL_DOMAIN:
            await self._beyond(room).tell(room, text)

    async def unlist(self, room: RoomId, network: str) -> None:
        """Take people of a network out of a room's list whom we brought in.

        Raises:
            PolicyRefused: we are not in the room, or it does not allow it.
        """
        if domain_of(room) != LOCAL_DOMAIN:
            await self._beyond(room).unlist(room, network)

    async def submit(
        self, room: RoomId, entries: Sequence[NewEntry]
    ) -> Sequence[EntryRecord]:
        """See `RoomPort.submit`.

        Raises:
            PolicyRefused: a room at a provider, and we have none.
        """
        if domain_of(room) == LOCAL_DOMAIN:
            return await self._local.submit(room, entries)
        return await self._beyond(room).submit(room, entries)

    def _beyond(self, room: RoomId) -> ProviderRoomPort:
        if self._provider is None:
            raise PolicyRefused(
                f"{room} is at a provider, and we have none; run `sabir home join`"
            )
        return self._provider

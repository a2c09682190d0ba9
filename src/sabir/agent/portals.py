"""The portals in memory: their records and the bells that wake their workers."""

import asyncio
from collections.abc import Iterator

from sabir.storage.records import PortalId, PortalRecord, PortalState, RoomId


class Portal:
    """One chat bound to one room."""

    def __init__(self, record: PortalRecord) -> None:
        self.record = record
        self.cursor = record.cursor
        self.arrived = asyncio.Event()
        """Rung when the inbox has something for us."""
        self.appended = asyncio.Event()
        """Rung when the room's timeline has grown."""
        self.is_open = asyncio.Event()
        """Set unless the network keeps us out of the chat."""
        if record.state is not PortalState.STOPPED:
            self.is_open.set()

    @property
    def id(self) -> PortalId:
        """Return the portal's number."""
        return self.record.id

    @property
    def room(self) -> RoomId:
        """Return the room it leads into."""
        return self.record.room

    @property
    def account(self) -> str:
        """Return the account whose chat it is."""
        return self.record.account

    @property
    def chat(self) -> str:
        """Return the chat, as its network names it."""
        return self.record.chat


class Portals:
    """All open portals, by chat, by room, by number."""

    def __init__(self) -> None:
        self._by_chat: dict[tuple[str, str], Portal] = {}
        self._by_room: dict[RoomId, list[Portal]] = {}
        self._by_id: dict[PortalId, Portal] = {}

    def add(self, portal: Portal) -> None:
        """Register an open portal."""
        self._by_chat[portal.account, portal.chat] = portal
        self._by_room.setdefault(portal.room, []).append(portal)
        self._by_id[portal.id] = portal

    def remove(self, portal: Portal) -> None:
        """Forget a portal that was closed."""
        del self._by_chat[portal.account, portal.chat]
        self._by_room[portal.room].remove(portal)
        del self._by_id[portal.id]

    def __iter__(self) -> Iterator[Portal]:
        return iter(list(self._by_id.values()))

    def by_id(self, portal: PortalId) -> Portal | None:
        """Return a portal by its number."""
        return self._by_id.get(portal)

    def of_chat(self, account: str, chat: str) -> Portal | None:
        """Return the portal of a chat."""
        return self._by_chat.get((account, chat))

    def of_account(self, account: str) -> list[Portal]:
        """Return the portals of an account."""
        return [p for p in self._by_id.values() if p.account == account]

    def of_room(self, room: RoomId) -> list[Portal]:
        """Return the portals into a room."""
        return list(self._by_room.get(room, ()))

    def ring_room(self, room: RoomId) -> None:
        """Wake everybody who delivers what is said in a room."""
        for portal in self._by_room.get(room, ()):
            portal.appended.set()

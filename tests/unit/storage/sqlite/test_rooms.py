"""Rooms and portals."""

import pytest

from sabir.errors import PolicyRefused
from sabir.storage.records import PortalId, PortalState, RoomId
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.storage.sqlite.samples import NOW, ROOM, new_entry, with_room


async def test_a_room_is_made_once(storage: SqliteStorage) -> None:
    await storage.add_room(ROOM, "One", now=NOW)
    await storage.add_room(ROOM, "Another name", now=NOW)
    assert [(room.id, room.name) for room in await storage.rooms()] == [(ROOM, "One")]


async def test_a_portal_sees_what_comes_after_it(storage: SqliteStorage) -> None:
    await with_room(storage)
    await storage.append(ROOM, [new_entry("a"), new_entry("b")], now=NOW)
    portal = await storage.add_portal(ROOM, "x", "chat", "Chat", now=NOW)
    assert portal.cursor == 2
    assert await storage.portals() == [portal]


async def test_a_chat_has_one_open_portal(storage: SqliteStorage) -> None:
    await with_room(storage)
    portal = await storage.add_portal(ROOM, "x", "chat", "", now=NOW)
    with pytest.raises(PolicyRefused, match="linked already"):
        await storage.add_portal(ROOM, "x", "chat", "", now=NOW)
    await storage.set_portal_state(portal.id, PortalState.CLOSED)
    again = await storage.add_portal(ROOM, "x", "chat", "", now=NOW)
    assert [p.id for p in await storage.portals()] == [again.id]
    assert len(await storage.portals(closed=True)) == 2


async def test_a_portal_needs_a_room(storage: SqliteStorage) -> None:
    with pytest.raises(PolicyRefused, match="no room"):
        await storage.add_portal(RoomId("mimi://x/r/none"), "x", "c", "", now=NOW)


async def test_a_stopped_portal_says_why(storage: SqliteStorage) -> None:
    await with_room(storage)
    portal = await storage.add_portal(ROOM, "x", "chat", "", now=NOW)
    await storage.set_portal_state(portal.id, PortalState.STOPPED, "banned")
    (stopped,) = await storage.portals()
    assert (stopped.state, stopped.detail) == (PortalState.STOPPED, "banned")
    await storage.set_portal_state(PortalId(99), PortalState.STOPPED, "nobody")

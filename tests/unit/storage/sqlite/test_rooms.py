"""Rooms and portals."""

import pytest

from sabir.errors import PolicyRefused
from sabir.storage.records import NewPortal, PortalId, PortalState, RoomId
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.storage.sqlite.samples import (
    NOW,
    ROOM,
    add_portal,
    new_entry,
    new_event,
    with_room,
)


async def test_a_room_is_made_once(storage: SqliteStorage) -> None:
    await storage.link(ROOM, "One", [], now=NOW)
    await storage.link(ROOM, "Another name", [], now=NOW)
    assert [(room.id, room.name) for room in await storage.rooms()] == [(ROOM, "One")]


async def test_a_portal_sees_what_comes_after_it(storage: SqliteStorage) -> None:
    await with_room(storage)
    await storage.append(ROOM, [new_entry("a"), new_entry("b")], now=NOW)
    portal = await add_portal(storage, "x", "chat", "Chat")
    assert portal.cursor == 2
    assert await storage.portals() == [portal]


async def test_a_chat_has_one_open_portal(storage: SqliteStorage) -> None:
    await with_room(storage)
    portal = await add_portal(storage, "x", "chat")
    with pytest.raises(PolicyRefused, match="linked already"):
        await add_portal(storage, "x", "chat")
    await storage.set_portal_state(portal.id, PortalState.CLOSED)
    again = await add_portal(storage, "x", "chat")
    assert [p.id for p in await storage.portals()] == [again.id]
    assert len(await storage.portals(closed=True)) == 2


async def test_chats_are_linked_all_or_none(storage: SqliteStorage) -> None:
    await add_portal(storage, "x", "chat")
    new = [
        NewPortal(account="y", chat="free", name=""),
        NewPortal(account="x", chat="chat", name=""),
    ]
    with pytest.raises(PolicyRefused, match="linked already"):
        await storage.link(RoomId("mimi://x/r/two"), "Two", new, now=NOW)
    assert len(await storage.portals()) == 1
    assert len(await storage.rooms()) == 1


async def test_a_closed_portal_stays_closed_and_takes_nothing_along(
    storage: SqliteStorage,
) -> None:
    portal = await add_portal(storage, "x", "chat")
    await storage.take("x", [new_event("1"), new_event("2", chat="o")], {}, now=NOW)
    await storage.set_portal_state(portal.id, PortalState.CLOSED)
    await storage.set_portal_state(portal.id, PortalState.ACTIVE)
    assert await storage.portals() == []
    assert await storage.pending("x", "chat", count_max=9) == []
    assert len(await storage.pending("x", "o", count_max=9)) == 1


async def test_a_stopped_portal_says_why(storage: SqliteStorage) -> None:
    await with_room(storage)
    portal = await add_portal(storage, "x", "chat")
    await storage.set_portal_state(portal.id, PortalState.STOPPED, "banned")
    (stopped,) = await storage.portals()
    assert (stopped.state, stopped.detail) == (PortalState.STOPPED, "banned")
    await storage.set_portal_state(PortalId(99), PortalState.STOPPED, "nobody")

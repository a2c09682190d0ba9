"""Rooms in hub order."""

import pytest

from sabir.clock import Instant
from sabir.content.model import MessageId
from sabir.errors import LocalError
from sabir.storage.records import PortalId, RoomId
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.storage.sqlite.samples import (
    NOW,
    ROOM,
    add_portal,
    entry_id,
    new_entry,
    new_event,
    with_room,
)


async def test_entries_are_numbered_in_order(storage: SqliteStorage) -> None:
    await with_room(storage)
    accepted = await storage.append(ROOM, [new_entry("a"), new_entry("b")], now=NOW)
    assert [record.seq for record in accepted] == [1, 2]
    assert await storage.after(ROOM, 1, count_max=5) == [accepted[1]]


async def test_accepted_times_increase_when_the_clock_jumps_back(
    storage: SqliteStorage,
) -> None:
    await with_room(storage)
    (first,) = await storage.append(ROOM, [new_entry("a")], now=NOW)
    (second,) = await storage.append(ROOM, [new_entry("b")], now=Instant(NOW - 9_999))
    assert second.accepted_at > first.accepted_at
    assert second.seq > first.seq


async def test_a_repeated_submission_gives_the_first_entry(
    storage: SqliteStorage,
) -> None:
    await with_room(storage)
    (first,) = await storage.append(ROOM, [new_entry("a")], now=NOW)
    again = new_entry("other salt", submission="key-a")
    assert await storage.append(ROOM, [again], now=NOW) == [first]
    assert len(await storage.after(ROOM, 0, count_max=9)) == 1


async def test_appending_settles_the_inbox_and_the_native_ids(
    storage: SqliteStorage,
) -> None:
    await with_room(storage)
    portal = await add_portal(storage, "x", "chat")
    await storage.take("x", [new_event("n1")], {}, now=NOW)
    (event,) = await storage.pending("x", "chat", count_max=1)
    entry = new_entry(
        "a",
        origin=portal.id,
        inbox_seq=event.seq,
        native_ids=("n1", "alias"),
        native_author="ada",
    )
    await storage.append(ROOM, [entry], now=NOW)
    assert await storage.pending("x", "chat", count_max=1) == []
    found = await storage.entries_of(portal.id, ["n1", "alias", "unknown"])
    assert found == {"n1": entry_id("a"), "alias": entry_id("a")}
    refs = await storage.refs_of(portal.id, [entry_id("a"), entry_id("b")])
    (ref,) = refs[entry_id("a")]
    assert (ref.native_id, ref.aliases, ref.author) == ("n1", ("alias",), "ada")
    assert entry_id("b") not in refs


async def test_a_room_that_does_not_exist_is_our_bug(storage: SqliteStorage) -> None:
    with pytest.raises(LocalError):
        await storage.append(RoomId("mimi://x/r/none"), [new_entry("a")], now=NOW)


async def test_entries_are_found_by_id(storage: SqliteStorage) -> None:
    await with_room(storage)
    (record,) = await storage.append(ROOM, [new_entry("a")], now=NOW)
    found = await storage.entries([entry_id("a"), entry_id("b")])
    assert found == {entry_id("a"): record}


async def test_the_last_message_of_an_author_as_an_edit_finds_it(
    storage: SqliteStorage,
) -> None:
    await with_room(storage)
    entries = [
        new_entry("a"),
        new_entry("b"),
        new_entry("b2", kind="edited", target=entry_id("b")),
        new_entry("c", author="xmpp:bo"),
        new_entry("a2", kind="edited", target=entry_id("a")),
        new_entry("d"),
        new_entry("topic", kind="event"),
    ]
    await storage.append(ROOM, entries, now=NOW)

    async def last(before: int, author: str | None = "xmpp:ada") -> MessageId | None:
        return await storage.last_said(ROOM, author, before=before)

    assert await last(1) is None
    assert await last(2) == entry_id("a")
    assert await last(3) == await last(4) == await last(5) == entry_id("b")
    assert await last(5, "xmpp:bo") == entry_id("c")
    assert await last(6) is None, "the correction of a was said after b"
    assert await last(7) == await last(8) == entry_id("d")
    assert await last(5, None) == entry_id("c")
    assert await last(8, None) == entry_id("topic"), "one account says it all"


async def test_the_last_message_of_all_who_speak_through_one_account(
    storage: SqliteStorage,
) -> None:
    await with_room(storage)
    portal = PortalId(7)
    await storage.append(ROOM, [new_entry("a"), new_entry("b", origin=portal)], now=NOW)
    last = await storage.last_said(ROOM, None, before=3, not_from=portal)
    assert last == entry_id("a")


async def test_reactions_as_they_stood_at_any_time(storage: SqliteStorage) -> None:
    await with_room(storage)
    target = entry_id("a")
    entries = [
        new_entry("a"),
        new_entry("r1", kind="reacted", target=target, emoji="👍"),
        new_entry("r2", kind="reacted", target=target, emoji="🎉"),
        new_entry("d1", kind="deleted", target=entry_id("r1")),
    ]
    await storage.append(ROOM, entries, now=NOW)

    async def emoji(until: int | None) -> list[str]:
        found = await storage.reactions(target, "xmpp:ada", until=until)
        return [reaction.emoji for reaction in found]

    assert await emoji(1) == []
    assert await emoji(3) == ["👍", "🎉"]
    assert await emoji(4) == await emoji(None) == ["🎉"]
    assert await storage.reactions(target, "xmpp:bo") == []


async def test_the_last_version_of_a_message(storage: SqliteStorage) -> None:
    await with_room(storage)
    target = entry_id("a")
    entries = [
        new_entry("a"),
        new_entry("e1", kind="edited", target=target),
        new_entry("e2", kind="edited", target=target),
    ]
    await storage.append(ROOM, entries, now=NOW)
    assert await storage.last_version(target, before=2) is None
    last = await storage.last_version(target, before=4)
    assert last is not None
    assert last.entry == entry_id("e2")

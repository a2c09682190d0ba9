"""What was said before we came: questions for it, and its place."""

from sabir.clock import Instant
from sabir.storage.membership import HistoryAskRecord, PlacedEntry, Provenance
from sabir.storage.records import RoomId
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.storage.sqlite.samples import entry_id, new_entry
from tests.unit.storage.sqlite.test_membership import ROOM, begun, home


def ask(number: int, device: str = "phone", at: int = 5) -> HistoryAskRecord:
    return HistoryAskRecord(
        id=bytes([number]) * 16, device=device, signed=b"?", asked_at=Instant(at)
    )


def placed(name: str, at: int) -> PlacedEntry:
    return PlacedEntry(
        new=new_entry(name),
        accepted_at=Instant(at),
        provenance=Provenance(sender="mimi://b.example/u/ben", client="c", verdict="v"),
    )


async def test_a_device_has_one_question_the_newest(storage: SqliteStorage) -> None:
    await storage.add_history_ask(ask(1, at=5))
    await storage.add_history_ask(ask(2, "laptop", at=6))
    await storage.add_history_ask(ask(3, at=7))
    assert [each.id[0] for each in await storage.history_asks()] == [2, 3]
    assert (await storage.history_asks())[1] == ask(3, at=7)
    await storage.drop_history_ask(ask(3).id)
    assert [each.id[0] for each in await storage.history_asks()] == [2]


async def test_a_question_that_comes_twice_is_one(storage: SqliteStorage) -> None:
    await storage.add_history_ask(ask(1))
    await storage.add_history_ask(ask(1))
    assert len(await storage.history_asks()) == 1


async def test_history_lies_before_all_that_came_later(storage: SqliteStorage) -> None:
    await storage.set_home(home(), now=Instant(1))
    await storage.take_step(
        begun(entries=[placed("c", 30), placed("d", 40)]), now=Instant(40)
    )
    assert await storage.timeline_start(ROOM) == 1
    given = [placed("b", 20), placed("a", 10), placed("c", 30), placed("late", 35)]
    assert await storage.prepend(ROOM, given) == 2
    assert await storage.timeline_start(ROOM) == -2
    entries = await storage.after(ROOM, -100, count_max=10)
    assert [(each.seq, each.entry) for each in entries] == [
        (-2, entry_id("a")),
        (-1, entry_id("b")),
        (1, entry_id("c")),
        (2, entry_id("d")),
    ]
    assert (await storage.provenance([entry_id("a")]))[entry_id("a")].client == "c"
    assert [each.seq for each in await storage.after(ROOM, 0, count_max=9)] == [1, 2]


async def test_history_twice_is_there_once(storage: SqliteStorage) -> None:
    await storage.take_step(begun(entries=[placed("c", 30)]), now=Instant(40))
    assert await storage.prepend(ROOM, [placed("b", 20)]) == 1
    assert await storage.prepend(ROOM, [placed("a", 10), placed("b", 20)]) == 1
    found = await storage.after(ROOM, -100, count_max=10)
    assert [each.seq for each in found] == [-2, -1, 1]


async def test_a_room_without_entries_gets_its_history(storage: SqliteStorage) -> None:
    await storage.take_step(begun(), now=Instant(40))
    assert await storage.prepend(ROOM, [placed("a", 10), placed("b", 20)]) == 2
    await storage.take_step(begun(entries=[placed("c", 30)]), now=Instant(41))
    found = await storage.after(ROOM, -100, count_max=10)
    assert [each.seq for each in found] == [-2, -1, 1]


async def test_a_room_that_is_not_known_begins_at_one(storage: SqliteStorage) -> None:
    assert await storage.timeline_start(RoomId("mimi://a.example/r/other")) == 1

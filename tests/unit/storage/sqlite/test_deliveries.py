"""I3's memory: what was begun, what is settled, what is in doubt."""

from sabir.clock import Instant
from sabir.storage.records import Attempt, DeliveryState, PortalRecord, Settlement
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.storage.sqlite.samples import (
    NOW,
    ROOM,
    add_portal,
    entry_id,
    new_entry,
    with_room,
)


async def _portal(storage: SqliteStorage) -> PortalRecord:
    await with_room(storage)
    portal = await add_portal(storage, "x", "chat")
    await storage.append(ROOM, [new_entry("a"), new_entry("b")], now=NOW)
    return portal


def _sent(seq: int, part: int = 0, *, key: str = "k") -> Settlement:
    return Settlement(
        seq=seq,
        part=part,
        key=key,
        state=DeliveryState.SENT,
        entry=entry_id("a"),
        native_ids=("native", "alias"),
        native_author="ghost",
    )


async def test_what_was_begun_is_open_until_settled(storage: SqliteStorage) -> None:
    portal = await _portal(storage)
    await storage.begin(portal.id, [Attempt(seq=1, part=0, key="k")], now=NOW)
    (attempt,) = await storage.open_attempts(portal.id)
    assert (attempt.seq, attempt.part, attempt.attempted_at) == (1, 0, NOW)
    assert await storage.attempt_of_key("k") == (portal.id, attempt)
    await storage.settle(portal.id, [_sent(1)], cursor=1, now=NOW)
    assert await storage.open_attempts(portal.id) == []
    assert await storage.attempt_of_key("k") is None
    assert (await storage.portals())[0].cursor == 1
    assert await storage.entries_of(portal.id, ["alias"]) == {"alias": entry_id("a")}


async def test_a_second_begin_keeps_the_first_attempts_time(
    storage: SqliteStorage,
) -> None:
    portal = await _portal(storage)
    attempt = Attempt(seq=1, part=0, key="k", loss=b"loss")
    await storage.begin(portal.id, [attempt], now=NOW)
    await storage.begin(portal.id, [attempt], now=Instant(NOW + 5))
    (open_attempt,) = await storage.open_attempts(portal.id)
    assert open_attempt.attempted_at == NOW


async def test_an_ambiguous_piece_can_still_be_found_by_its_echo(
    storage: SqliteStorage,
) -> None:
    portal = await _portal(storage)
    await storage.begin(portal.id, [Attempt(seq=1, part=0, key="k")], now=NOW)
    ambiguous = Settlement(
        seq=1, part=0, key="k", state=DeliveryState.AMBIGUOUS, detail="?"
    )
    await storage.settle(portal.id, [ambiguous], cursor=1, now=NOW)
    assert await storage.open_attempts(portal.id) == []
    assert await storage.attempt_of_key("k") is not None


async def test_the_cursor_never_goes_back(storage: SqliteStorage) -> None:
    portal = await _portal(storage)
    await storage.settle(portal.id, [], cursor=2, now=NOW)
    await storage.settle(portal.id, [], cursor=1, now=NOW)
    await storage.settle(portal.id, [], cursor=None, now=NOW)
    assert (await storage.portals())[0].cursor == 2


async def test_settled_parts_behind_the_cursor(storage: SqliteStorage) -> None:
    portal = await _portal(storage)
    attempts = [Attempt(seq=1, part=n, key=f"k{n}") for n in range(3)]
    await storage.begin(portal.id, attempts, now=NOW)
    await storage.settle(portal.id, [_sent(1, 1, key="k1")], cursor=None, now=NOW)
    assert await storage.settled_after(portal.id, 0) == {(1, 1)}
    assert await storage.settled_after(portal.id, 1) == set()

"""I1 and I2: stored with its cursor, once."""

from hypothesis import given
from hypothesis import strategies as st

from sabir.storage.records import InboxState, InboxVerdict
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.storage.sqlite.samples import NOW, new_event


async def test_events_and_cursor_are_one_transaction(storage: SqliteStorage) -> None:
    new = await storage.take(
        "x", [new_event("1"), new_event("2")], {"stream": "2"}, now=NOW
    )
    assert new == 2
    assert await storage.cursor("x", "stream") == "2"
    pending = await storage.pending("x", "chat", count_max=10)
    assert [event.native_id for event in pending] == ["1", "2"]


async def test_a_redelivered_event_is_not_stored_again(storage: SqliteStorage) -> None:
    await storage.take("x", [new_event("1")], {}, now=NOW)
    assert await storage.take("x", [new_event("1"), new_event("2")], {}, now=NOW) == 1
    assert await storage.take("x", [new_event("1", revision="b")], {}, now=NOW) == 1
    assert await storage.take("y", [new_event("1")], {}, now=NOW) == 1


async def test_dismissed_events_do_not_wait(storage: SqliteStorage) -> None:
    await storage.take("x", [new_event("1"), new_event("2")], {}, now=NOW)
    first, _ = await storage.pending("x", "chat", count_max=10)
    await storage.dismiss(
        [InboxVerdict(seq=first.seq, state=InboxState.REJECTED, detail="bad")]
    )
    (left,) = await storage.pending("x", "chat", count_max=10)
    assert left.native_id == "2"
    assert await storage.take("x", [new_event("1")], {}, now=NOW) == 0


async def test_chats_wait_apart(storage: SqliteStorage) -> None:
    events = [new_event("1", chat="a"), new_event("1", chat="b")]
    await storage.take("x", events, {}, now=NOW)
    assert len(await storage.pending("x", "a", count_max=10)) == 1
    assert len(await storage.pending("x", "b", count_max=0)) == 0


@given(ids=st.lists(st.text("abc", min_size=1, max_size=2), max_size=12))
def test_any_redelivery_keeps_first_arrival_order(ids: list[str]) -> None:
    import asyncio
    import tempfile
    from pathlib import Path

    async def scenario(path: Path) -> list[str]:
        storage = SqliteStorage.open(path)
        for native_id in ids:
            await storage.take("x", [new_event(native_id)], {}, now=NOW)
        pending = await storage.pending("x", "chat", count_max=100)
        storage.close()
        return [event.native_id for event in pending]

    with tempfile.TemporaryDirectory() as folder:
        order = asyncio.run(scenario(Path(folder) / "sabir.db"))
    assert order == list(dict.fromkeys(ids))

"""Messages for many followers: one row when accepted, the queues a little later."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sabir.storage.provider.records import EventKind, QueueState, RoomCommit
from sabir.storage.sqlite.provider import spreading
from sabir.storage.sqlite.provider.store import SqliteProviderStore
from tests.unit.storage.sqlite.provider.test_provider_store import (
    LATER,
    NOW,
    ROOM,
    message,
    reserve,
)

MANY = frozenset(f"f{number:02}.example" for number in range(20))
FEW = frozenset({"f00.example", "f01.example"})
OTHER = "mimi://a.example/r/other"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteProviderStore]:
    opened = SqliteProviderStore.open(tmp_path / "provider.db")
    yield opened
    opened.close()


async def say(
    store: SqliteProviderStore,
    text: bytes,
    followers: frozenset[str],
    kind: EventKind = EventKind.MESSAGE,
    room: str = ROOM,
    reopened: frozenset[str] = frozenset(),
) -> frozenset[str]:
    said = message(text, followers=followers, kind=kind)
    change = RoomCommit(room=room, last_at=NOW, messages=(said,), reopened=reopened)
    return (await store.commit(change, now=NOW)).followers


async def queued(
    store: SqliteProviderStore, follower: str, room: str = ROOM
) -> Sequence[bytes]:
    batch = await store.batch(room, follower, count_max=1_000, octets_max=1 << 20)
    return [each.octets for each in batch]


async def spread_all(store: SqliteProviderStore, count_max: int = 256) -> None:
    while await store.spread(count_max=count_max, now=NOW):
        pass


async def test_many_followers_get_a_message_when_it_is_spread(
    store: SqliteProviderStore,
) -> None:
    await reserve(store)
    assert await say(store, b"one", MANY) == MANY
    assert await store.queues() == []
    await spread_all(store)
    assert {each.follower for each in await store.queues()} == MANY
    for follower in MANY:
        assert await queued(store, follower) == [b"one"]
    assert not await store.spread(count_max=1, now=NOW)


async def test_few_followers_get_it_at_once(store: SqliteProviderStore) -> None:
    await reserve(store)
    await say(store, b"one", FEW)
    assert await queued(store, "f00.example") == [b"one"]


async def test_nothing_overtakes_what_waits(store: SqliteProviderStore) -> None:
    await reserve(store)
    await say(store, b"one", MANY)
    await say(store, b"two", FEW)
    assert await queued(store, "f00.example") == []
    await spread_all(store)
    assert await queued(store, "f00.example") == [b"one", b"two"]
    assert await queued(store, "f09.example") == [b"one"]


async def test_other_rooms_do_not_wait(store: SqliteProviderStore) -> None:
    await reserve(store)
    await reserve(store, OTHER)
    await say(store, b"one", MANY)
    await say(store, b"two", FEW, room=OTHER)
    assert await queued(store, "f00.example", OTHER) == [b"two"]


async def test_a_welcome_opens_no_queue_for_what_was_before(
    store: SqliteProviderStore,
) -> None:
    await reserve(store)
    await say(store, b"one", MANY)
    await spread_all(store)
    await store.set_queue_state(ROOM, "f00.example", QueueState.GONE, "", now=NOW)
    await say(store, b"two", MANY)
    await say(store, b"hi", frozenset({"f00.example"}), EventKind.WELCOME)
    await say(store, b"three", MANY)
    await spread_all(store)
    assert await queued(store, "f00.example") == [b"hi", b"three"]
    assert await queued(store, "f05.example") == [b"one", b"two", b"three"]


async def test_neither_does_a_commit_from_outside(store: SqliteProviderStore) -> None:
    await reserve(store)
    await say(store, b"one", MANY)
    await spread_all(store)
    await store.set_queue_state(
        ROOM, "f00.example", QueueState.UNREACHABLE, "", now=NOW
    )
    await say(store, b"two", MANY)
    back = frozenset({"f00.example"})
    await say(store, b"three", MANY, EventKind.HANDSHAKE, reopened=back)
    await spread_all(store)
    assert await queued(store, "f00.example") == [b"three"]


async def test_what_waits_survives_a_restart_and_the_sweep(
    store: SqliteProviderStore, tmp_path: Path
) -> None:
    await reserve(store)
    await say(store, b"one", MANY)
    store.close()
    again = SqliteProviderStore.open(tmp_path / "provider.db")
    try:
        await again.sweep(answers_before=LATER, bodies_before=LATER, now=LATER)
        await spread_all(again)
        assert await queued(again, "f07.example") == [b"one"]
    finally:
        again.close()


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.sampled_from([MANY, FEW, FEW | {"x.example"}])),
        max_size=25,
    ),
    at_a_time=st.integers(1, 5),
)
async def test_each_follower_has_its_messages_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[bool, frozenset[str]]],
    at_a_time: int,
) -> None:
    path = tmp_path_factory.mktemp("spread") / "provider.db"
    opened = SqliteProviderStore.open(path)
    try:
        await reserve(opened)
        due: dict[str, list[bytes]] = {name: [] for name in MANY | {"x.example"}}
        for number, (spreads, whom) in enumerate(steps):
            text = b"%03d" % number
            await say(opened, text, whom)
            for name in whom:
                due[name].append(text)
            if spreads:
                await opened.spread(count_max=at_a_time, now=NOW)
        await spread_all(opened, at_a_time)
        for name, texts in due.items():
            assert await queued(opened, name) == texts
    finally:
        opened.close()


def test_few_are_fewer_than_many() -> None:
    assert len(FEW) <= spreading.AT_ONCE_MAX < len(MANY)

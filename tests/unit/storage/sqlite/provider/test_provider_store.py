"""A provider's database: each port, in a real file."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sabir.clock import Instant
from sabir.errors import PolicyRefused, StorageFailed
from sabir.storage.provider.ports import ProviderStore
from sabir.storage.provider.records import (
    AssetRecord,
    Cursor,
    DeviceRecord,
    EventKind,
    HostedRoom,
    Identifier,
    JoinCodeRecord,
    NewMessage,
    NewNotification,
    NewReplay,
    OpenRequest,
    OwnEcho,
    PeerRecord,
    QueueState,
    ReportRecord,
    RoomCommit,
    RoomPhase,
    StockedKeyPackage,
    StoredAnswer,
    TokenPurpose,
    Verdict,
)
from sabir.storage.sqlite.provider.store import SqliteProviderStore

NOW = Instant(1_700_000_000_000)
LATER = Instant(NOW + 1_000)
ROOM = "mimi://a.example/r/x"
ALICE, BOB = "mimi://a.example/u/alice", "mimi://a.example/u/bob"
DAY_MS = 86_400_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteProviderStore]:
    opened = SqliteProviderStore.open(tmp_path / "provider.db")
    yield opened
    opened.close()


def device(user: str, name: str) -> DeviceRecord:
    return DeviceRecord(
        device=f"{user.replace('/u/', '/d/')}/{name}",
        user=user,
        name=name,
        suite=1,
        signature_key=b"key",
        created_at=NOW,
    )


async def enrol(store: ProviderStore, user: str, *names: str) -> list[str]:
    if not await store.user_exists(user):
        await store.add_user(user, user.encode(), now=NOW)
    added = [device(user, name) for name in names]
    for each in added:
        await store.add_device(each, {})
    return [each.device for each in added]


def message(text: bytes, **more: object) -> NewMessage:
    settings: dict[str, object] = {
        "accepted_at": NOW,
        "digest": text.ljust(32, b"."),
        "kind": EventKind.MESSAGE,
        "octets": text,
        **more,
    }
    return NewMessage(**settings)  # type: ignore[arg-type]


async def reserve(store: ProviderStore, room: str = ROOM, **more: object) -> None:
    settings: dict[str, object] = {
        "room": room,
        "hub": "a.example",
        "phase": RoomPhase.OPEN,
        **more,
    }
    await store.reserve(HostedRoom(**settings), now=NOW)  # type: ignore[arg-type]


async def stream(store: ProviderStore, device: str) -> list[tuple[EventKind, bytes]]:
    events = await store.events(device, Cursor(0), count_max=100)
    return [(event.kind, event.data) for event in events]


def test_it_is_a_provider_store(store: SqliteProviderStore) -> None:
    port: ProviderStore = store
    port.close()
    port.close()


def test_an_agents_database_is_none_of_a_provider(tmp_path: Path) -> None:
    """The two schemas number their steps apart; the newer one says so."""
    path = tmp_path / "future.db"
    opened = SqliteProviderStore.open(path)
    opened._database._writer.execute("PRAGMA user_version = 99")  # type: ignore[union-attr]
    opened.close()
    with pytest.raises(StorageFailed, match="schema 99"):
        SqliteProviderStore.open(path)


async def test_a_sealed_key_is_made_once(store: SqliteProviderStore) -> None:
    assert await store.sealed("hub.1") is None
    assert await store.seal_once("hub.1", b"one", now=NOW) == b"one"
    assert await store.seal_once("hub.1", b"two", now=LATER) == b"one"
    assert await store.seal_once("hub.2", b"two", now=LATER) == b"two"
    await store.seal_once("other", b"x", now=NOW)
    assert await store.sealed_names("hub.") == [("hub.1", NOW), ("hub.2", LATER)]
    await store.forget_sealed("hub.1")
    assert await store.sealed("hub.1") is None


# ---- rooms


async def test_a_name_is_reserved_once_and_for_a_while(
    store: SqliteProviderStore,
) -> None:
    await reserve(
        store,
        phase=RoomPhase.RESERVED,
        creator=ALICE,
        reservation=b"r",
        expires_at=LATER,
    )
    with pytest.raises(PolicyRefused):
        await reserve(store)
    found = await store.room(ROOM)
    assert found is not None
    assert (found.creator, found.reservation, found.expires_at) == (ALICE, b"r", LATER)
    assert await store.expire_reservations(now=NOW) == 0
    assert await store.expire_reservations(now=LATER) == 1
    assert await store.room(ROOM) is None


async def test_a_commit_is_everything_at_once(store: SqliteProviderStore) -> None:
    (phone,) = await enrol(store, ALICE, "phone")
    (laptop,) = await enrol(store, BOB, "laptop")
    await reserve(store, phase=RoomPhase.RESERVED, expires_at=LATER)
    for each in (phone, laptop):
        await store.attach(ROOM, "a.example", each, now=NOW)
    spread = await store.commit(
        RoomCommit(
            room=ROOM,
            state=b"state",
            last_at=LATER,
            phase=RoomPhase.OPEN,
            domains=frozenset({"a.example", "b.example"}),
            messages=(
                message(b"one", followers=frozenset({"b.example"})),
                message(
                    b"two",
                    own=OwnEcho(device=phone, data=b"own"),
                    withheld_users=frozenset({BOB}),
                ),
                message(
                    b"three",
                    kind=EventKind.WELCOME,
                    only_devices=frozenset({laptop, "mimi://a.example/d/no/one"}),
                ),
            ),
            replay=NewReplay(digest=b"d", response=b"answer"),
        ),
        now=NOW,
    )
    assert spread.devices == {phone, laptop}
    assert spread.followers == {"b.example"}
    assert await stream(store, phone) == [
        (EventKind.MESSAGE, b"one"),
        (EventKind.OWN, b"own"),
    ]
    assert await stream(store, laptop) == [
        (EventKind.MESSAGE, b"one"),
        (EventKind.WELCOME, b"three"),
    ]
    room = await store.room(ROOM)
    assert room is not None
    assert (room.state, room.last_at, room.phase) == (b"state", LATER, RoomPhase.OPEN)
    assert room.expires_at is None
    assert await store.replay(b"d") == b"answer"
    assert set(await store.room_domains(ROOM)) == {"a.example", "b.example"}
    (brief,) = await store.rooms(count_max=10)
    assert brief.state == b""
    assert await store.rooms(after=ROOM, count_max=10) == []
    assert [each.room for each in await store.rooms_of_device(phone)] == [ROOM]


async def test_a_refused_commit_leaves_nothing(store: SqliteProviderStore) -> None:
    await reserve(store)
    await reserve(store, "mimi://a.example/r/y")
    first = RoomCommit(room=ROOM, last_at=NOW, pair=b"pair")
    await store.commit(first, now=NOW)
    await store.commit(first, now=NOW)
    assert await store.room_of_pair(b"pair") == ROOM
    assert await store.room_of_pair(b"none") is None
    second = RoomCommit(
        room="mimi://a.example/r/y",
        last_at=LATER,
        state=b"new",
        pair=b"pair",
        messages=(message(b"one", followers=frozenset({"b.example"})),),
        replay=NewReplay(digest=b"d", response=b"answer"),
    )
    with pytest.raises(PolicyRefused):
        await store.commit(second, now=NOW)
    room = await store.room("mimi://a.example/r/y")
    assert room is not None
    assert (room.state, room.last_at) == (b"", 0)
    assert await store.queues() == []
    assert await store.replay(b"d") is None


async def test_a_join_code_has_so_many_uses(store: SqliteProviderStore) -> None:
    await reserve(store)
    code = JoinCodeRecord(
        id="1",
        room=ROOM,
        digest=b"digest",
        role=2,
        uses_left=1,
        expires_at=LATER,
        bound_user=BOB,
        creator=ALICE,
    )
    await store.add_join_code(code)
    assert await store.join_code(b"digest") == code
    assert await store.join_code(b"other") is None
    change = RoomCommit(room=ROOM, last_at=NOW, spent_codes=(b"digest",))
    with pytest.raises(PolicyRefused):
        await store.commit(change, now=LATER)
    await store.commit(change, now=NOW)
    with pytest.raises(PolicyRefused):
        await store.commit(change, now=NOW)
    assert await store.remove_join_code(ROOM, "1")
    assert not await store.remove_join_code(ROOM, "1")


async def test_detached_users_get_the_last_word_and_no_more(
    store: SqliteProviderStore,
) -> None:
    (phone,) = await enrol(store, ALICE, "phone")
    await reserve(store)
    await store.attach(ROOM, "a.example", phone, now=NOW)
    await store.commit(
        RoomCommit(
            room=ROOM,
            last_at=NOW,
            messages=(message(b"removed"),),
            detached_users=frozenset({ALICE}),
        ),
        now=NOW,
    )
    await store.commit(
        RoomCommit(room=ROOM, last_at=NOW, messages=(message(b"later"),)), now=NOW
    )
    assert await stream(store, phone) == [(EventKind.MESSAGE, b"removed")]


async def test_a_welcome_brings_all_that_comes_after_it(
    store: SqliteProviderStore,
) -> None:
    for user in (ALICE, BOB):
        await store.add_user(user, user.encode(), now=NOW)
        await store.add_device(device(user, "1"), {})
    await store.reserve(
        HostedRoom(room=ROOM, hub="a.example", phase=RoomPhase.OPEN), now=NOW
    )
    alice, bob = device(ALICE, "1").device, device(BOB, "1").device
    welcome = NewMessage(
        accepted_at=NOW,
        digest=b"welcome",
        kind=EventKind.WELCOME,
        octets=b"welcome",
        only_devices=frozenset({bob, "mimi://a.example/d/nobody/1"}),
    )
    message = NewMessage(
        accepted_at=LATER, digest=b"m", kind=EventKind.MESSAGE, octets=b"m"
    )
    commit = NewMessage(
        accepted_at=NOW, digest=b"c", kind=EventKind.HANDSHAKE, octets=b"c"
    )
    spread = await store.commit(
        RoomCommit(
            room=ROOM,
            last_at=LATER,
            messages=(commit, welcome, message),
            attached=frozenset({alice, "mimi://a.example/d/nobody/2"}),
        ),
        now=NOW,
    )
    assert spread.devices == {alice, bob}
    assert await store.attached(ROOM) == {alice, bob}
    for who, kinds in (
        (alice, [EventKind.HANDSHAKE, EventKind.MESSAGE]),
        (bob, [EventKind.WELCOME, EventKind.MESSAGE]),
    ):
        events = await store.events(who, Cursor(0), count_max=10)
        room = [each.kind for each in events if each.room == ROOM]
        assert room == kinds


async def test_also_in_one_body_of_a_hub(store: SqliteProviderStore) -> None:
    await store.add_user(BOB, b"bob", now=NOW)
    await store.add_device(device(BOB, "1"), {})
    bob, room = device(BOB, "1").device, "mimi://hub.example/r/y"
    welcome = NewMessage(
        accepted_at=NOW,
        digest=b"welcome",
        kind=EventKind.WELCOME,
        octets=b"welcome",
        only_devices=frozenset({bob}),
    )
    message = NewMessage(
        accepted_at=LATER, digest=b"m", kind=EventKind.MESSAGE, octets=b"m"
    )
    await store.take_notification(
        NewNotification(
            room=room, hub="hub.example", digest=b"1", messages=(welcome, message)
        ),
        now=NOW,
    )
    stored = await store.room(room)
    assert stored is not None
    assert (stored.hub, stored.phase) == ("hub.example", RoomPhase.OPEN)
    events = await store.events(bob, Cursor(0), count_max=10)
    assert [each.kind for each in events] == [EventKind.WELCOME, EventKind.MESSAGE]


async def test_a_closed_room_is_told_and_makes_way(store: SqliteProviderStore) -> None:
    await store.add_user(ALICE, b"alice", now=NOW)
    await store.add_device(device(ALICE, "1"), {})
    alice, other = device(ALICE, "1").device, "mimi://a.example/r/z"
    for name in (ROOM, other):
        await store.reserve(
            HostedRoom(room=name, hub="a.example", phase=RoomPhase.OPEN), now=NOW
        )
    first = RoomCommit(
        room=ROOM, last_at=NOW, pair=b"pair", attached=frozenset({alice})
    )
    await store.commit(first, now=NOW)
    second = RoomCommit(room=other, last_at=NOW, pair=b"pair")
    with pytest.raises(PolicyRefused):
        await store.commit(second, now=NOW)
    spread = await store.commit(
        RoomCommit(room=ROOM, last_at=LATER, phase=RoomPhase.CLOSED), now=NOW
    )
    assert spread.devices == {alice}
    event = (await store.events(alice, Cursor(0), count_max=10))[-1]
    assert (event.kind, event.room) == (EventKind.ROOM_STATE, ROOM)
    assert json.loads(event.data) == {"state": "closed"}
    await store.commit(second, now=NOW)
    assert await store.room_of_pair(b"pair") == other


async def test_a_room_that_is_not_reserved_does_not_begin(
    store: SqliteProviderStore,
) -> None:
    change = RoomCommit(
        room=ROOM,
        state=b"state",
        last_at=NOW,
        phase=RoomPhase.OPEN,
        domains=frozenset({"a.example"}),
        replay=NewReplay(digest=b"digest", response=b"response"),
    )
    with pytest.raises(PolicyRefused):
        await store.commit(change, now=NOW)
    assert await store.room(ROOM) is None
    assert await store.replay(b"digest") is None
    assert not await store.room_domains(ROOM)


async def test_a_replay_without_a_change(store: SqliteProviderStore) -> None:
    await store.remember_replay(b"d", b"one", now=NOW)
    await store.remember_replay(b"d", b"two", now=NOW)
    assert await store.replay(b"d") == b"one"


# ---- what hubs send


async def test_mc_063_a_body_is_taken_once_and_a_message_once(
    store: SqliteProviderStore,
) -> None:
    (phone,) = await enrol(store, ALICE, "phone")
    await store.attach("mimi://b.example/r/y", "b.example", phone, now=NOW)

    def body(digest: bytes, *messages: bytes) -> NewNotification:
        return NewNotification(
            room="mimi://b.example/r/y",
            hub="b.example",
            digest=digest,
            messages=tuple(message(each) for each in messages),
        )

    assert not await store.was_taken(b"1")
    assert (await store.take_notification(body(b"1", b"one"), now=NOW)).fresh
    assert await store.was_taken(b"1")
    again = await store.take_notification(body(b"1", b"one"), now=NOW)
    assert (again.fresh, again.devices) == (False, frozenset())
    rebatched = await store.take_notification(body(b"2", b"one", b"two"), now=NOW)
    assert rebatched.fresh
    assert rebatched.devices == {phone}
    stale = await store.take_notification(body(b"3", b"one"), now=NOW)
    assert not stale.fresh
    assert await stream(store, phone) == [
        (EventKind.MESSAGE, b"one"),
        (EventKind.MESSAGE, b"two"),
    ]


async def test_a_followed_room_is_gone_with_its_last_device(
    store: SqliteProviderStore,
) -> None:
    room = "mimi://b.example/r/y"
    phone, laptop = await enrol(store, ALICE, "phone", "laptop")
    for each in (phone, laptop):
        await store.attach(room, "b.example", each, now=NOW)
    assert await store.attached(room) == {phone, laptop}

    async def phase() -> RoomPhase:
        found = await store.room(room)
        assert found is not None
        return found.phase

    await store.detach(room, phone)
    assert await phase() is RoomPhase.OPEN
    await store.detach(room, laptop)
    assert await phase() is RoomPhase.GONE
    await store.attach(room, "b.example", phone, now=LATER)
    assert await phase() is RoomPhase.OPEN
    told = await store.set_room_phase(room, RoomPhase.UNREACHABLE, now=LATER)
    assert told.devices == {phone}
    kind, data = (await stream(store, phone))[-1]
    assert (kind, json.loads(data)) == (
        EventKind.ROOM_STATE,
        {"state": "unreachable"},
    )


# ---- queues


async def fill(store: ProviderStore, *texts: bytes) -> None:
    await store.commit(
        RoomCommit(
            room=ROOM,
            last_at=NOW,
            messages=tuple(
                message(text, followers=frozenset({"b.example"})) for text in texts
            ),
        ),
        now=NOW,
    )


async def batch(
    store: ProviderStore, *, count_max: int = 10, octets_max: int = 100
) -> list[bytes]:
    found = await store.batch(
        ROOM, "b.example", count_max=count_max, octets_max=octets_max
    )
    return [each.octets for each in found]


async def test_a_batch_stays_as_it_is_until_it_is_done(
    store: SqliteProviderStore,
) -> None:
    await reserve(store)
    await fill(store, b"1", b"2", b"3")
    assert await batch(store, count_max=2) == [b"1", b"2"]
    await fill(store, b"4")
    assert await batch(store) == [b"1", b"2"]
    await store.batch_failed(ROOM, "b.example", "why", next_at=LATER, now=NOW)
    assert await store.due_queues(now=NOW, count_max=10) == []
    assert await store.next_due_at() == LATER
    (queue,) = await store.due_queues(now=LATER, count_max=10)
    assert (queue.attempts, queue.waiting, queue.failing_since) == (1, 4, NOW)
    assert await store.due_queues(now=LATER, count_max=9, skip={"b.example"}) == []
    await store.batch_done(ROOM, "b.example")
    assert await batch(store) == [b"3", b"4"]
    await store.batch_done(ROOM, "b.example")
    assert await store.queues() == []
    assert await batch(store) == []
    assert await store.next_due_at() is None


async def test_a_batch_has_a_size_and_a_large_message_goes_alone(
    store: SqliteProviderStore,
) -> None:
    await reserve(store)
    await fill(store, b"x" * 60, b"y" * 50, b"z" * 200, b"a")
    sizes = []
    while octets := await batch(store):
        sizes.append([len(each) for each in octets])
        await store.batch_done(ROOM, "b.example")
    assert sizes == [[60], [50], [200], [1]]


async def test_a_batch_is_halved_down_to_one_and_dies(
    store: SqliteProviderStore,
) -> None:
    await reserve(store)
    await fill(store, b"1", b"2", b"3", b"4")
    assert len(await batch(store)) == 4
    for size in (2, 1, 1):
        await store.batch_halved(ROOM, "b.example")
        assert len(await batch(store)) == size
    await store.batch_died(ROOM, "b.example", "status 400", now=LATER)
    (dead,) = await store.dead_letters(count_max=10)
    assert (dead.octets, dead.reason, dead.died_at) == (b"1", "status 400", LATER)
    assert await batch(store) == [b"2", b"3", b"4"]


async def test_a_queue_given_up_is_empty_until_somebody_joins_again(
    store: SqliteProviderStore,
) -> None:
    await reserve(store)
    await fill(store, b"1")
    for state in (QueueState.UNREACHABLE, QueueState.GONE):
        await store.set_queue_state(ROOM, "b.example", state, "why", now=NOW)
        await fill(store, b"2")
        (queue,) = await store.queues()
        assert (queue.state, queue.waiting) == (state, 0)
    await store.commit(
        RoomCommit(room=ROOM, last_at=NOW, reopened=frozenset({"b.example"})), now=NOW
    )
    await fill(store, b"3")
    assert await batch(store) == [b"3"]


async def test_a_paused_queue_keeps_what_waits(store: SqliteProviderStore) -> None:
    await reserve(store)
    await fill(store, b"1")
    await store.set_queue_state(ROOM, "b.example", QueueState.PAUSED, "403", now=NOW)
    await fill(store, b"2")
    assert await store.due_queues(now=LATER, count_max=10) == []
    await store.set_queue_state(ROOM, "b.example", QueueState.OPEN, "", now=NOW)
    assert await batch(store) == [b"1", b"2"]


# ---- people


async def test_users_and_devices(store: SqliteProviderStore) -> None:
    (phone,) = await enrol(store, ALICE, "phone")
    assert await store.user_of_token(ALICE.encode()) == ALICE
    assert await store.user_of_token(b"?") is None
    with pytest.raises(PolicyRefused):
        await store.add_user(ALICE, b"other", now=NOW)
    second = device(ALICE, "laptop")
    spread = await store.add_device(second, {TokenPurpose.ACCESS: (b"token", LATER)})
    assert spread.devices == {phone}
    kind, data = (await stream(store, phone))[0]
    assert kind is EventKind.DEVICE_ADDED
    assert json.loads(data) == {"device_uri": second.device}
    assert await store.device(second.device) == second
    assert await store.device("none") is None
    assert await store.devices_of(ALICE) == [second, device(ALICE, "phone")]

    async def owner(token: bytes, now: Instant = NOW) -> DeviceRecord | None:
        return await store.device_of_token(token, TokenPurpose.ACCESS, now=now)

    assert await owner(b"token") == second
    assert await owner(b"token", LATER) is None
    await store.set_token(second.device, TokenPurpose.ACCESS, b"new", LATER)
    assert await owner(b"token") is None
    assert await owner(b"new") == second
    gone = await store.remove_device(second.device, now=NOW)
    assert gone.devices == {phone}
    assert not (await store.remove_device(second.device, now=NOW)).fresh
    assert await owner(b"new") is None
    assert await store.users() == [ALICE]
    assert await store.delete_user(ALICE) == [phone]
    assert not await store.user_exists(ALICE)
    assert await store.user_of_token(ALICE.encode()) is None
    with pytest.raises(PolicyRefused):
        await store.add_user(ALICE, b"again", now=NOW)


async def test_deleted_users_are_remembered(store: SqliteProviderStore) -> None:
    for user in (ALICE, BOB):
        await store.add_user(user, user.encode(), now=NOW)
    assert not await store.deleted_users()
    await store.delete_user(BOB)
    assert await store.deleted_users() == [BOB]


async def test_the_first_answer_under_a_key_stays(store: SqliteProviderStore) -> None:
    first = StoredAnswer(
        request=b"1", status=200, content_type="application/json", response=b"{}"
    )
    second = StoredAnswer(
        request=b"2", status=500, content_type="text/plain", response=b""
    )
    assert await store.answer_of("d", "k") is None
    await store.remember_answer("d", "k", first, now=NOW)
    await store.remember_answer("d", "k", second, now=NOW)
    assert await store.answer_of("d", "k") == first


async def test_people_are_found_by_what_they_mark(store: SqliteProviderStore) -> None:
    await enrol(store, ALICE)
    await enrol(store, BOB)
    shown = Identifier(search_type=1, value="x", searchable=True, verified=False)
    hidden = Identifier(search_type=1, value="x", searchable=False, verified=True)
    await store.set_identifiers(ALICE, [shown])
    await store.set_identifiers(BOB, [hidden])
    assert await store.users_found(1, "x", count_max=5) == [(ALICE, shown)]
    assert await store.users_found(2, "x", count_max=5) == []
    assert await store.identifiers(BOB) == [hidden]
    await store.set_identifiers(ALICE, [])
    assert await store.users_found(1, "x", count_max=5) == []


# ---- streams


async def test_a_stream_is_read_acknowledged_and_trimmed(
    store: SqliteProviderStore,
) -> None:
    (phone,) = await enrol(store, ALICE, "phone")
    for number in range(5):
        at = Instant(NOW + number)
        told = await store.tell(
            [phone, "none"], EventKind.CONSENT, b"%d" % number, room=ROOM, now=at
        )
        assert told.devices == {phone}
    first, *_ = await store.events(phone, Cursor(0), count_max=2)
    await store.ack(phone, first.cursor)
    rest = await store.events(phone, Cursor(0), count_max=10)
    assert [each.data for each in rest] == [b"1", b"2", b"3", b"4"]
    assert await store.reset_at(phone) == 0
    lost = await store.trim_streams(before=Instant(NOW + 2), count_max=10)
    assert lost == {phone}
    assert await store.reset_at(phone) == rest[0].cursor
    assert await store.trim_streams(before=NOW, count_max=2) == {phone}
    assert [data for _, data in await stream(store, phone)] == [b"3", b"4"]
    assert await store.trim_streams(before=NOW, count_max=2) == frozenset()
    assert await store.reset_at("none") == 0


# ---- key material


def package(
    ref: bytes, device: str, *, last_resort: bool = False, not_after: int = DAY_MS
) -> StockedKeyPackage:
    return StockedKeyPackage(
        ref=ref,
        device=device,
        suite=1,
        octets=b"package " + ref,
        not_before=NOW,
        not_after=Instant(NOW + not_after),
        last_resort=last_resort,
    )


async def test_mc_021_100_claims_of_50_key_packages_have_50_winners(
    store: SqliteProviderStore,
) -> None:
    (phone,) = await enrol(store, ALICE, "phone")
    packages = [package(b"%d" % number, phone) for number in range(50)]
    assert await store.stock_key_packages(packages, now=NOW) == 50

    async def claim() -> bytes | None:
        while stock := await store.stock(ALICE, now=NOW):
            ref = stock[0].ref
            if ref in await store.take_key_packages([ref], now=NOW):
                return ref
        return None

    won = await asyncio.gather(*(claim() for _ in range(100)))
    served = [each for each in won if each is not None]
    assert len(served) == len(set(served)) == 50
    assert await store.stock_count(phone, now=NOW) == (0, 0)
    routes = await store.routes("device", served, now=NOW)
    assert set(routes.values()) == {phone}
    assert await store.stock_key_packages(packages, now=NOW) == 0, "never again"


async def test_mc_022_what_is_not_valid_is_not_in_stock(
    store: SqliteProviderStore,
) -> None:
    (phone,) = await enrol(store, ALICE, "phone")
    await store.stock_key_packages(
        [package(b"soon", phone, not_after=1_000), package(b"long", phone)], now=NOW
    )
    assert [each.ref for each in await store.stock(ALICE, now=NOW)] == [
        b"soon",
        b"long",
    ]
    assert [each.ref for each in await store.stock(ALICE, now=LATER)] == [b"long"]
    assert await store.stock(ALICE, now=Instant(NOW - 1)) == []
    assert await store.take_key_packages([b"soon"], now=LATER) == frozenset()
    assert await store.stock_count(phone, now=NOW) == (2, 0)


async def test_a_last_resort_stays_and_is_replaced(store: SqliteProviderStore) -> None:
    (phone,) = await enrol(store, ALICE, "phone")
    await store.stock_key_packages([package(b"old", phone, last_resort=True)], now=NOW)
    await store.stock_key_packages([package(b"new", phone, last_resort=True)], now=NOW)
    assert await store.stock_count(phone, now=NOW) == (0, 1)
    taken = await store.take_key_packages([], reused=[b"new", b"old"], now=NOW)
    assert taken == {b"new"}
    assert await store.stock_count(phone, now=NOW) == (0, 1)


async def test_refs_lead_somewhere_until_they_are_dropped(
    store: SqliteProviderStore,
) -> None:
    await store.route_refs("domain", {b"1": ("b.example", LATER)})
    assert await store.routes("domain", [b"1", b"2"], now=NOW) == {b"1": "b.example"}
    assert await store.routes("device", [b"1"], now=NOW) == {}
    assert await store.routes("domain", [b"1"], now=LATER) == {}
    await store.drop_routes("domain", [b"1"])
    assert await store.routes("domain", [b"1"], now=NOW) == {}


# ---- consent


async def test_verdicts_close_requests_of_their_scope(
    store: SqliteProviderStore,
) -> None:
    def ask(room: str) -> OpenRequest:
        return OpenRequest(requester=ALICE, target=BOB, room=room, asked_at=NOW)

    assert await store.open_request(ask(""), per_day_max=3)
    assert not await store.open_request(ask(""), per_day_max=3), "one is open"
    assert await store.open_request(ask(ROOM), per_day_max=3)
    assert await store.open_requests(BOB) == [ask(""), ask(ROOM)]
    verdict = Verdict(
        requester=ALICE, target=BOB, room="", granted=True, decided_at=LATER
    )
    await store.set_verdicts([verdict])
    assert await store.open_requests(BOB) == [ask(ROOM)]
    assert await store.verdicts(ALICE, BOB) == [verdict]
    assert await store.verdicts_by(BOB) == [verdict]
    await store.set_verdicts([], cleared=[verdict])
    assert await store.verdicts(ALICE, BOB) == []
    assert await store.cancel_request(ALICE, BOB, ROOM)
    assert not await store.cancel_request(ALICE, BOB, ROOM)


async def test_mc_083_a_requester_has_so_many_requests_a_day(
    store: SqliteProviderStore,
) -> None:
    def ask(target: str, at: int) -> OpenRequest:
        return OpenRequest(
            requester=ALICE, target=target, room="", asked_at=Instant(at)
        )

    asked = [
        await store.open_request(ask(f"t{number}", NOW), per_day_max=3)
        for number in range(5)
    ]
    assert asked == [True, True, True, False, False]
    assert await store.open_request(ask("t9", NOW + DAY_MS), per_day_max=3)


# ---- the rest


async def test_reports_assets_peers(store: SqliteProviderStore) -> None:
    report = ReportRecord(
        digest=b"1",
        room=ROOM,
        source="b.example",
        octets=b"report",
        verified=True,
        reported_at=NOW,
    )
    assert await store.add_report(report)
    assert not await store.add_report(report)
    assert await store.reports(count_max=5) == [report]
    asset = AssetRecord(name="n", device="d", size=3, sha256=b"h", expires_at=LATER)
    await store.add_asset(asset, now=NOW)
    assert await store.asset("n", now=NOW) == asset
    assert await store.asset("n", now=LATER) is None
    assert await store.asset_octets("d") == 3
    assert await store.asset_octets("e") == 0
    assert await store.expired_assets(now=LATER, count_max=5) == [asset]
    await store.remove_asset("n")
    assert await store.expired_assets(now=LATER, count_max=5) == []
    peer = PeerRecord(
        domain="b.example", directory=b"{}", fetched_at=NOW, expires_at=LATER
    )
    await store.peer_result("b.example", "refused", now=NOW)
    await store.keep_peer(peer)
    assert await store.peer("b.example") == peer
    await store.peer_result("b.example", "", now=LATER)
    (found,) = await store.peers()
    assert (found.last_ok_at, found.last_error) == (LATER, "")
    for _ in range(2):
        await store.deviates("b.example", "answers 202", now=NOW)
    (deviation,) = await store.deviations("b.example")
    assert (deviation.what, deviation.count) == ("answers 202", 2)


async def test_what_nobody_needs_is_swept_and_nothing_else(
    store: SqliteProviderStore,
) -> None:
    (phone,) = await enrol(store, ALICE, "phone")
    await reserve(store)
    await store.attach(ROOM, "a.example", phone, now=NOW)
    await fill(store, b"1")
    await store.remember_replay(b"d", b"answer", now=NOW)

    async def sweep(now: Instant) -> int:
        return await store.sweep(answers_before=now, bodies_before=now, now=now)

    assert await sweep(NOW) == 0
    assert await sweep(LATER) == 1, "the answer"
    await store.ack(phone, Cursor(1_000))
    assert await sweep(LATER) == 0, "a follower waits"
    assert await batch(store) == [b"1"]
    await store.batch_done(ROOM, "b.example")
    assert await sweep(LATER) == 1, "the message"

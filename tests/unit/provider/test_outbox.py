"""Fan-out from a hub to real followers over real TLS."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from sabir.clock import Instant
from sabir.errors import StorageFailed
from sabir.mimi.directory import Endpoint
from sabir.provider import outbox
from sabir.provider.federation import Call, Service
from sabir.provider.http import Answer
from sabir.provider.provider import Provider
from sabir.provider.services import Services
from sabir.storage.provider.records import (
    EventKind,
    HostedRoom,
    NewMessage,
    QueueRecord,
    QueueState,
    RoomCommit,
    RoomPhase,
)
from sabir.testing.rng import SeededRng
from tests.unit.provider.town import Site, Town, running

ROOM = "mimi://a.example/r/clubhouse"
SMALL: int = 10
"""Milliseconds of back-off, so that tests are quick."""


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BACKOFF_MIN_MS", SMALL)
    monkeypatch.setattr(outbox, "BACKOFF_MAX_MS", 4 * SMALL)
    monkeypatch.setattr(outbox, "BUSY_LOOK_MS", SMALL)
    monkeypatch.setattr(outbox, "LOOK_MS", 200)


class Reader:
    """A follower's notify that does what `verdict` says about a body."""

    def __init__(self, verdict: Callable[[bytes], Answer | None]) -> None:
        self.verdict = verdict
        self.bodies: list[bytes] = []
        self.taken: list[bytes] = []

    def services(self, _: Services) -> Mapping[Endpoint, Service]:
        return {Endpoint.NOTIFY: self.notify}

    async def notify(self, call: Call) -> Answer:
        self.bodies.append(call.body)
        answer = self.verdict(call.body)
        if answer is not None:
            return answer
        self.taken += lines(call.body)
        return Answer(status=201)


def lines(body: bytes) -> list[bytes]:
    return body.splitlines(keepends=True)


def take(_: bytes) -> Answer | None:
    return None


async def hub(town: Town, *followers: str) -> Site:
    site = await town.open("a.example", knows=followers)
    await site.store.reserve(
        HostedRoom(room=ROOM, hub="a.example", phase=RoomPhase.OPEN),
        now=town.clock.now(),
    )
    return site


async def follower(town: Town, domain: str, reader: Reader) -> Site:
    return await town.open(domain, knows=("a.example",), services=reader.services)


async def send(
    site: Site,
    octets: Sequence[bytes],
    *followers: str,
    kind: EventKind = EventKind.MESSAGE,
    room: str = ROOM,
) -> None:
    core = site.provider.core
    for each in octets:
        now = core.clock.now()
        change = RoomCommit(
            room=room,
            last_at=now,
            messages=(
                NewMessage(
                    accepted_at=now,
                    digest=hashlib.sha256(each).digest(),
                    kind=kind,
                    octets=each,
                    followers=frozenset(followers),
                ),
            ),
        )
        core.spread(await site.store.commit(change, now=now))


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def until_taken(reader: Reader, count: int) -> None:
    await until(lambda: len(reader.taken) >= count)


async def queue_of(site: Site, domain: str) -> QueueRecord | None:
    return next(
        (each for each in await site.store.queues() if each.follower == domain), None
    )


async def until_state(site: Site, domain: str, state: QueueState) -> QueueRecord:
    async with asyncio.timeout(10):
        while True:
            queue = await queue_of(site, domain)
            if queue is not None and queue.state is state:
                return queue
            await asyncio.sleep(0.005)


async def test_a_message_for_many_followers_reaches_them(town: Town) -> None:
    reader = Reader(take)
    others = [f"f{number}.example" for number in range(20)]
    site = await hub(town, "b.example")
    await follower(town, "b.example", reader)
    for number in range(50):
        await send(site, [b"%02d\n" % number], "b.example", *others)
    await until_taken(reader, 50)
    assert reader.taken == [b"%02d\n" % number for number in range(50)]
    assert (await until_state(site, "f7.example", QueueState.PAUSED)).waiting


async def test_spreading_waits_for_the_disk(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "STORAGE_RETRY_MS", SMALL)
    reader = Reader(take)
    others = [f"f{number}.example" for number in range(20)]
    site = await hub(town, "b.example")
    await follower(town, "b.example", reader)
    spread, full = site.store.spread, [True, True]

    async def sometimes(*, count_max: int, now: Instant) -> bool:
        if full:
            full.pop()
            raise StorageFailed("the disk is full")
        return await spread(count_max=count_max, now=now)

    monkeypatch.setattr(site.store, "spread", sometimes)
    await send(site, [b"one\n"], "b.example", *others)
    await until_taken(reader, 1)
    assert not full


async def test_mc_061_all_arrive_once_in_order_through_failures(town: Town) -> None:
    dice = SeededRng(61)

    def moody(_: bytes) -> Answer | None:
        return Answer(status=503) if dice(1)[0] < 100 else None

    readers = {name: Reader(moody) for name in ("b.example", "c.example")}
    for name, reader in readers.items():
        await follower(town, name, reader)
    site = await hub(town, *readers)
    sent = [b"message %d\n" % number for number in range(1_000)]
    await send(site, sent, *readers)
    for reader in readers.values():
        await until_taken(reader, len(sent))
        assert reader.taken == sent
    async with asyncio.timeout(5):
        while await site.store.queues():
            await asyncio.sleep(0.01)


async def test_mc_064_a_repetition_has_the_same_octets(town: Town) -> None:
    gate = {"open": False}
    reader = Reader(lambda _: None if gate["open"] else Answer(status=500))
    await follower(town, "b.example", reader)
    site = await hub(town, "b.example")
    await send(site, [b"one\n", b"two\n"], "b.example")
    await until(lambda: len(reader.bodies) >= 2)
    await send(site, [b"three\n"], "b.example")
    first = reader.bodies[0]
    await until(lambda: len(reader.bodies) >= 4)
    assert set(reader.bodies) == {first}
    gate["open"] = True
    await until(lambda: len(reader.taken) == 3)
    assert reader.taken == [b"one\n", b"two\n", b"three\n"]


async def test_mc_064_a_batch_survives_a_restart(town: Town) -> None:
    gate = {"open": False}
    reader = Reader(lambda _: None if gate["open"] else Answer(status=500))
    await follower(town, "b.example", reader)
    site = await hub(town, "b.example")
    await send(site, [b"one\n"], "b.example")
    await until(lambda: len(reader.bodies) >= 1)
    await send(site, [b"two\n"], "b.example")
    site.provider.stop()
    await asyncio.sleep(0.1)
    refused = list(reader.bodies)
    gate["open"] = True
    async with _again(site):
        await until(lambda: len(reader.taken) == 2)
    assert reader.bodies[len(refused)] == refused[0]
    assert reader.taken == [b"one\n", b"two\n"]


@asynccontextmanager
async def _again(site: Site) -> AsyncIterator[None]:
    core = site.provider.core
    provider = Provider(
        site.config,
        site.store,
        key=core.keys._key,
        clock=core.clock,
        rng=core.rng,
    )
    async with running(provider):
        yield


async def test_mc_013_retry_after_is_obeyed(town: Town) -> None:
    reader = Reader(lambda _: Answer(status=429, headers={"Retry-After": "60"}))
    await follower(town, "b.example", reader)
    site = await hub(town, "b.example")
    before = town.clock.now()
    await send(site, [b"one\n"], "b.example")
    async with asyncio.timeout(10):
        while not (queue := await queue_of(site, "b.example")) or not queue.attempts:
            await asyncio.sleep(0.005)
    assert queue.next_at >= before + 60_000
    assert queue.detail == "status 429"
    await asyncio.sleep(0.1)
    assert len(reader.bodies) == 1


async def test_mc_065_one_bad_message_is_parked_and_the_others_arrive(
    town: Town,
) -> None:
    reader = Reader(lambda body: Answer(status=400) if b"poison" in body else None)
    await follower(town, "b.example", reader)
    site = await hub(town, "b.example")
    sent = [b"message %d\n" % number for number in range(40)]
    sent[17] = b"poison\n"
    await send(site, sent, "b.example")
    await until(lambda: len(reader.taken) == 39)
    assert reader.taken == [each for each in sent if each != b"poison\n"]
    async with asyncio.timeout(5):
        while not (dead := await site.store.dead_letters(count_max=10)):
            await asyncio.sleep(0.01)
    assert [(each.octets, each.reason) for each in dead] == [
        (b"poison\n", "status 400")
    ]


async def test_mc_065_410_stops_until_there_is_a_welcome(town: Town) -> None:
    gate = {"status": 410}
    reader = Reader(lambda _: Answer(status=gate["status"]) if gate["status"] else None)
    await follower(town, "b.example", reader)
    site = await hub(town, "b.example")
    await send(site, [b"one\n"], "b.example")
    queue = await until_state(site, "b.example", QueueState.GONE)
    assert queue.waiting == 0
    gate["status"] = 0
    await send(site, [b"two\n"], "b.example")
    await asyncio.sleep(0.1)
    assert reader.taken == []
    await send(site, [b"welcome\n"], "b.example", kind=EventKind.WELCOME)
    await send(site, [b"three\n"], "b.example")
    await until(lambda: len(reader.taken) == 2)
    assert reader.taken == [b"welcome\n", b"three\n"]


@pytest.mark.parametrize("status", [403, 421])
async def test_a_follower_that_refuses_us_is_paused(town: Town, status: int) -> None:
    reader = Reader(lambda _: Answer(status=status))
    await follower(town, "b.example", reader)
    site = await hub(town, "b.example")
    await send(site, [b"one\n"], "b.example")
    queue = await until_state(site, "b.example", QueueState.PAUSED)
    assert (queue.waiting, queue.detail) == (1, f"status {status}")
    reader.verdict = take
    await site.store.set_queue_state(
        ROOM, "b.example", QueueState.OPEN, "", now=town.clock.now()
    )
    site.provider.core.fanout.wake()
    await until(lambda: reader.taken == [b"one\n"])


async def test_a_follower_off_our_list_is_paused(town: Town) -> None:
    site = await hub(town)
    await send(site, [b"one\n"], "z.example")
    queue = await until_state(site, "z.example", QueueState.PAUSED)
    assert "allow list" in queue.detail


async def test_mc_065_after_seven_days_a_follower_is_unreachable(town: Town) -> None:
    site = await hub(town, "b.example")  # nobody listens there
    now = town.clock.now()
    await send(site, [b"one\n"], "b.example")
    await site.store.batch_failed(
        ROOM,
        "b.example",
        "x",
        next_at=now,
        now=Instant(now - outbox.GIVE_UP_MS - 1),
    )
    site.provider.core.fanout.wake()
    queue = await until_state(site, "b.example", QueueState.UNREACHABLE)
    assert queue.waiting == 0
    await send(site, [b"two\n"], "b.example")
    later = await queue_of(site, "b.example")
    assert later is not None
    assert later.waiting == 0


async def test_i8_a_follower_that_hangs_delays_nobody_else(town: Town) -> None:
    release = asyncio.Event()

    class Hanging(Reader):
        async def notify(self, call: Call) -> Answer:
            await release.wait()
            return await super().notify(call)

    hanging, quick = Hanging(take), Reader(take)
    await follower(town, "b.example", hanging)
    await follower(town, "c.example", quick)
    site = await hub(town, "b.example", "c.example")
    rooms = [f"mimi://a.example/r/{number}" for number in range(20)]
    for room in rooms:
        await site.store.reserve(
            HostedRoom(room=room, hub="a.example", phase=RoomPhase.OPEN),
            now=town.clock.now(),
        )
        await send(site, [room.encode() + b"\n"], "b.example", "c.example", room=room)
    await until(lambda: len(quick.taken) == 20)
    assert hanging.taken == []
    assert site.provider.core.fanout._per_follower["b.example"] == 4
    release.set()
    await until(lambda: len(hanging.taken) == 20)


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_another_success_is_success_and_noted(town: Town, status: int) -> None:
    reader = Reader(lambda _: Answer(status=status))
    await follower(town, "b.example", reader)
    site = await hub(town, "b.example")
    await send(site, [b"one\n"], "b.example")
    async with asyncio.timeout(5):
        while not (noted := await site.store.deviations("b.example")):
            await asyncio.sleep(0.01)
    assert [each.what for each in noted] == [f"notify answers {status}"]
    async with asyncio.timeout(5):
        while await site.store.queues():
            await asyncio.sleep(0.01)


async def test_a_follower_without_notify_is_tried_again(town: Town) -> None:
    await town.open("b.example", knows=("a.example",), services=lambda _: {})
    site = await hub(town, "b.example")
    await send(site, [b"one\n"], "b.example")
    async with asyncio.timeout(10):
        while not (queue := await queue_of(site, "b.example")) or not queue.attempts:
            await asyncio.sleep(0.005)
    assert queue.detail == "b.example does not offer notify"


async def test_a_failing_disk_means_that_a_batch_goes_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "STORAGE_RETRY_MS", SMALL)
    reader = Reader(take)
    await follower(town, "b.example", reader)
    site = await hub(town, "b.example")

    async def fail(*_: object, **__: object) -> None:
        raise StorageFailed("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(site.store, "batch_done", fail)
        await send(site, [b"one\n"], "b.example")
        await until(lambda: len(reader.bodies) >= 2)
    await send(site, [b"two\n"], "b.example")
    await until(lambda: b"two\n" in reader.taken)
    assert set(reader.bodies) == {b"one\n", b"two\n"}

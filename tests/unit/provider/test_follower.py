"""A follower: what its hub sends is stored, then acknowledged, then delivered."""

import asyncio
import hashlib
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from sabir.cli.system import system_rng
from sabir.clock import Instant
from sabir.crypto.secrets import Secret
from sabir.errors import StorageFailed
from sabir.mimi.directory import Endpoint
from sabir.mimi.structs.fanout import read_fanout_messages
from sabir.mls.framing import encode_message
from sabir.mls.tree_options import RatchetTreeOption
from sabir.provider.config import Address, ProviderConfig
from sabir.provider.federation import Call
from sabir.provider.follower import Follower
from sabir.provider.provider import Provider
from sabir.storage.provider.records import (
    Cursor,
    DeviceRecord,
    EventKind,
    HostedRoom,
    NewMessage,
    RoomCommit,
    RoomPhase,
)
from sabir.storage.sqlite.provider.store import SqliteProviderStore
from sabir.testing.crash import Crash, CrashPoints
from sabir.wire.tls import opaque, optional, uint64, vector
from tests.unit.mimi.world import AAD, HUB, ROOM, World, add, device, uri
from tests.unit.provider.town import LOOPBACK, Site, Town

FOLLOWER = "a.example"


@dataclass
class Scene:
    """A hub, a follower with Ann's device, and a room with real groups."""

    hub: Site
    follower: Site
    world: World
    ann: str
    at: int = 1_000

    async def notify(self, *fanned: bytes, room: str = ROOM) -> int:
        answer = await self.hub.provider.core.peers.call(
            FOLLOWER,
            Endpoint.NOTIFY,
            {"roomId": room},
            b"".join(fanned),
            octets_max=1_000,
        )
        return answer.status

    def said(self, text: bytes) -> bytes:
        self.at += 1
        framed = b"\x00\x00" + opaque(text)
        sent = self.world["ann"].encrypt(self.world.env, framed, aad=AAD).message
        return uint64(self.at) + sent + optional(None)

    async def heard(self) -> list[bytes]:
        events = await self.follower.store.events(self.ann, Cursor(0), count_max=999)
        return [event.data for event in events]


async def enrol(site: Site, name: str) -> str:
    now = site.provider.core.clock.now()
    if not await site.store.user_exists(uri(name)):
        await site.store.add_user(uri(name), name.encode(), now=now)
    record = DeviceRecord(
        device=device(name),
        user=uri(name),
        name=name,
        suite=1,
        signature_key=b"key",
        created_at=now,
    )
    await site.store.add_device(record, {})
    return record.device


@pytest.fixture
async def scene(town: Town) -> Scene:
    follower = await town.open(FOLLOWER, knows=(HUB,))
    hub = await town.open(HUB, knows=(FOLLOWER,))
    ann = await enrol(follower, "ann")
    await follower.store.attach(ROOM, HUB, ann, now=town.clock.now())
    return Scene(hub, follower, World.of(), ann)


async def test_mc_062_what_is_acknowledged_is_stored(scene: Scene) -> None:
    fanned = [scene.said(b"one"), scene.said(b"two")]
    with scene.follower.provider.core.wakeups.subscribe(scene.ann) as woken:
        assert await scene.notify(*fanned) == 201
        assert woken.is_set()
    assert await scene.heard() == fanned


async def test_mc_062_what_is_not_stored_is_not_acknowledged(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    fanned = scene.said(b"one")

    async def fail(*_: object, **__: object) -> None:
        raise StorageFailed("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(scene.follower.store, "take_notification", fail)
        assert await scene.notify(fanned) == 503
    assert await scene.heard() == []
    assert await scene.notify(fanned) == 201
    assert await scene.heard() == [fanned]


async def test_mc_063_repetitions_are_acknowledged_and_delivered_once(
    scene: Scene,
) -> None:
    one, two, three = (scene.said(text) for text in (b"1", b"2", b"3"))
    assert await scene.notify(one, two) == 201
    assert await scene.notify(one, two) == 201
    assert await scene.notify(two, three) == 201, "batched anew"
    together = await asyncio.gather(*(scene.notify(one, two, three) for _ in range(9)))
    assert set(together) == {201}
    assert await scene.heard() == [one, two, three]


async def test_reordered_bodies_are_delivered_as_they_come(scene: Scene) -> None:
    """The hub has one request under way per room; we keep its order, not ours."""
    one, two = scene.said(b"1"), scene.said(b"2")
    assert await scene.notify(two) == 201
    assert await scene.notify(one) == 201
    assert await scene.heard() == [two, one]


async def test_mc_066_a_welcome_is_for_the_devices_it_names(scene: Scene) -> None:
    await enrol(scene.follower, "ben")
    other = await enrol(scene.follower, "cat")
    world, store = scene.world, scene.follower.store
    made = world.commit("ann", add(("ben", 2)), world.package("ben"))
    assert made.welcome is not None
    refs = [entry.new_member for entry in made.welcome.secrets]
    later = Instant(scene.follower.provider.core.clock.now() + 60_000)
    await store.route_refs("device", {ref: (device("ben"), later) for ref in refs})
    tree = RatchetTreeOption(world.hub.tree.encode()).encode()
    welcome = uint64(5) + encode_message(made.welcome) + tree
    commit = uint64(5) + made.commit + vector([])
    assert await scene.notify(commit, welcome) == 201
    assert await scene.heard() == [commit]
    got = await store.events(device("ben"), Cursor(0), count_max=9)
    assert [(each.kind, each.data) for each in got] == [(EventKind.WELCOME, welcome)]
    assert not await store.events(other, Cursor(0), count_max=9)


async def test_a_room_that_nobody_here_is_in_is_gone(scene: Scene) -> None:
    await scene.follower.store.detach(ROOM, scene.ann)
    fanned = scene.said(b"one")
    assert await scene.notify(fanned) == 410
    await scene.follower.store.attach(ROOM, HUB, scene.ann, now=Instant(1))
    assert await scene.notify(fanned) == 201, "what was refused was not remembered"


@pytest.mark.parametrize("room", [f"mimi://{HUB}/r/other", "mimi://b.example/r/tea"])
async def test_a_message_of_another_room_is_refused(scene: Scene, room: str) -> None:
    await scene.follower.store.attach(room, HUB, scene.ann, now=Instant(1))
    assert await scene.notify(scene.said(b"one"), room=room) in {400, 403}
    assert await scene.heard() == []


async def test_mc_067_what_is_no_fanout_is_400(scene: Scene) -> None:
    good = scene.said(b"one")
    for body in (b"x", good[:-1], good + b"x", b"\x00" * 100):
        assert await scene.notify(body) == 400
    assert await scene.heard() == []


async def test_mc_061_from_the_hubs_log_to_the_devices_stream(scene: Scene) -> None:
    """A whole way: committed at the hub, queued, sent, stored, in order."""
    core = scene.hub.provider.core
    await scene.hub.store.reserve(
        HostedRoom(room=ROOM, hub=HUB, phase=RoomPhase.OPEN), now=core.clock.now()
    )
    fanned = [scene.said(b"%d" % number) for number in range(50)]
    for octets in fanned:
        (read,) = read_fanout_messages(octets)
        message = NewMessage(
            accepted_at=Instant(read.accepted_at),
            digest=hashlib.sha256(read.message.raw).digest(),
            kind=EventKind.MESSAGE,
            octets=octets,
            followers=frozenset({FOLLOWER}),
        )
        change = RoomCommit(
            room=ROOM, last_at=Instant(read.accepted_at), messages=(message,)
        )
        core.spread(await scene.hub.store.commit(change, now=core.clock.now()))
    async with asyncio.timeout(10):
        while len(await scene.heard()) < len(fanned):
            await asyncio.sleep(0.01)
    assert await scene.heard() == fanned


@pytest.mark.parametrize("point", ["storage.before-commit", "storage.after-commit"])
async def test_mc_062_killed_around_the_commit_nothing_is_lost_or_doubled(
    town: Town, point: str
) -> None:
    """The hub had no answer, so it sends the same octets again."""
    identity = town.authority.identity(FOLLOWER)
    config = ProviderConfig(
        domain=FOLLOWER,
        data_dir=town.folder,
        identity=identity,
        listen=Address(host=LOOPBACK, port=0),
    )
    points = CrashPoints()

    def start() -> Site:
        store = SqliteProviderStore.open(town.folder / "x.db", reach=points.reach)
        provider = Provider(
            config, store, key=Secret(bytes(32)), clock=town.clock, rng=system_rng
        )
        return Site(provider, store, config, AsyncExitStack())

    site = start()
    ann = await enrol(site, "ann")
    await site.store.attach(ROOM, HUB, ann, now=town.clock.now())
    world = World.of()
    framed = b"\x00\x00" + opaque(b"hello")
    sent = world["ann"].encrypt(world.env, framed, aad=AAD).message
    fanned = uint64(1) + sent + optional(None)
    call = Call(source=HUB, about=ROOM, body=fanned)
    points.arm(point)
    with pytest.raises(Crash):
        await Follower(site.provider.core).notify(call)
    site.store.close()
    again = start()
    for _ in range(2):
        answer = await Follower(again.provider.core).notify(call)
        assert answer.status == 201
    events = await again.store.events(ann, Cursor(0), count_max=9)
    assert [event.data for event in events] == [fanned]
    again.store.close()

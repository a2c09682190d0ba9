"""A provider as a whole: keys, wakeups, housekeeping, starting and stopping."""

import asyncio
import hashlib
from collections import Counter

import pytest

from sabir.clock import Instant
from sabir.crypto.sealing import KeyDoesNotFit
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, StorageFailed
from sabir.provider import outbox
from sabir.provider import provider as provider_module
from sabir.provider.config import Address, Federation, ProviderConfig
from sabir.provider.keys import KeyRing
from sabir.provider.wakeups import Wakeups
from sabir.storage.provider.records import (
    EventKind,
    HostedRoom,
    NewMessage,
    QueueState,
    RoomCommit,
    RoomPhase,
)
from tests.unit.provider.town import LOOPBACK, Town


async def test_a_key_is_made_once_and_opens_with_the_right_file(town: Town) -> None:
    site = await town.open("a.example")
    core = site.provider.core
    made = await core.keys.get("hub", lambda: b"secret")
    assert made.reveal() == b"secret"
    assert (await core.keys.get("hub", lambda: b"other")).reveal() == b"secret"
    stored = await site.store.sealed("hub")
    assert stored is not None
    assert b"secret" not in stored
    foreign = KeyRing(site.store, Secret(b"x" * 32), core.clock, core.rng)
    with pytest.raises(KeyDoesNotFit):
        await foreign.get("hub", lambda: b"other")


def test_only_those_who_wait_are_woken() -> None:
    wakeups = Wakeups()
    with (
        wakeups.subscribe("phone") as phone,
        wakeups.subscribe("phone") as second,
        wakeups.subscribe("laptop") as laptop,
    ):
        wakeups.wake(["phone", "unknown"])
        assert phone.is_set()
        assert second.is_set()
        assert not laptop.is_set()
    assert not wakeups._waiting


async def test_an_address_that_is_taken_is_named(town: Town) -> None:
    site = await town.open("a.example")
    with pytest.raises(ConfigInvalid, match=f"port {site.provider.port}"):
        await town.open("b.example", listen=site.address)


async def test_who_ends_before_it_serves_gives_its_address_back(town: Town) -> None:
    site = await town.open("a.example")
    for _ in range(3):  # nothing lets it begin in between
        site = await town.restart("a.example")
    assert site.address == town.sites["a.example"].address


async def test_the_house_is_kept(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_module, "SWEEP_MS", 20)
    monkeypatch.setattr(provider_module, "GIVE_UP_MESSAGES", 2)
    site = await town.open("a.example")
    now = town.clock.now()
    long_ago = Instant(now - 30 * 86_400_000)
    room = "mimi://a.example/r/x"
    await site.store.reserve(
        HostedRoom(
            room="mimi://a.example/r/forgotten",
            hub="a.example",
            phase=RoomPhase.RESERVED,
            expires_at=long_ago,
        ),
        now=long_ago,
    )
    await site.store.reserve(
        HostedRoom(room=room, hub="a.example", phase=RoomPhase.OPEN), now=now
    )
    await site.store.remember_replay(b"digest", b"answer", now=long_ago)
    messages = tuple(
        NewMessage(
            accepted_at=now,
            digest=hashlib.sha256(b"%d" % number).digest(),
            kind=EventKind.MESSAGE,
            octets=b"x",
            followers=frozenset({"z.example"}),
        )
        for number in range(3)
    )
    await site.store.commit(
        RoomCommit(room=room, last_at=now, messages=messages), now=now
    )
    await site.store.set_queue_state(
        room, "z.example", QueueState.PAUSED, "403", now=now
    )
    async with asyncio.timeout(5):
        while (await site.store.queues())[0].state is not QueueState.UNREACHABLE:
            await asyncio.sleep(0.01)
        while await site.store.room("mimi://a.example/r/forgotten"):
            await asyncio.sleep(0.01)
        while await site.store.replay(b"digest"):
            await asyncio.sleep(0.01)


async def test_a_failing_disk_stops_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "SWEEP_MS", 20)
    monkeypatch.setattr(outbox, "STORAGE_RETRY_MS", 10)
    monkeypatch.setattr(outbox, "LOOK_MS", 10)
    site = await town.open("a.example")
    failures: Counter[str] = Counter()

    def failing(name: str) -> None:
        async def fail(*_: object, **__: object) -> None:
            failures[name] += 1
            raise StorageFailed("the disk is full")

        monkeypatch.setattr(site.store, name, fail)

    for name in ("sweep", "due_queues"):
        failing(name)
    async with asyncio.timeout(5):
        while min(failures["sweep"], failures["due_queues"]) < 3:
            await asyncio.sleep(0.01)
    assert site.provider.core.store is site.store


@pytest.mark.parametrize(
    ("federation", "admitted"),
    [(Federation.ALLOWLIST, {"b.example"}), (Federation.OPEN, {"b.example", "z"})],
)
def test_whom_we_talk_to(
    town: Town, federation: Federation, admitted: set[str]
) -> None:
    config = ProviderConfig(
        domain="a.example",
        data_dir=town.folder,
        identity=town.authority.identity("a.example"),
        listen=Address(host=LOOPBACK, port=0),
        federation=federation,
        peers={"b.example": None, "c.example": None},  # type: ignore[dict-item]
        blocked=frozenset({"c.example"}),
    )
    asked = ("a.example", "b.example", "c.example", "z")
    assert {domain for domain in asked if config.admits(domain)} == admitted

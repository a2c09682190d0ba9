"""Keys of a provider: made once, sealed, kept as long as somebody may need them."""

import asyncio
from pathlib import Path

import pytest

from sabir.cli.system import system_rng
from sabir.clock import Instant
from sabir.crypto.sealing import KeyDoesNotFit
from sabir.crypto.secrets import Secret
from sabir.mimi.hub.keys import DAY_MS, KEPT_MS, ROTATED_MS
from sabir.mls.credentials import BasicCredential
from sabir.provider.keys import MAC_PREFIX, HubKeyRing, KeyRing
from sabir.storage.sqlite.provider.store import SqliteProviderStore
from sabir.testing.clock import VirtualClock

KEY = Secret(bytes(32))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(Instant(1_800_000_000_000))


def ring(
    store: SqliteProviderStore, clock: VirtualClock, key: Secret = KEY
) -> HubKeyRing:
    return HubKeyRing(
        KeyRing(store, key, clock, system_rng), clock, system_rng, "a.example"
    )


async def test_keys_are_made_once_and_survive_a_restart(
    tmp_path: Path, clock: VirtualClock
) -> None:
    store = SqliteProviderStore.open(tmp_path / "provider.db")
    keys = ring(store, clock)
    first, *others = await asyncio.gather(*(keys.current() for _ in range(5)))
    assert all(each is first for each in others)
    sender, agent = keys.sender_of(first), keys.agent_of(first)
    assert sender.signature_key != agent.signature_key
    assert isinstance(sender.credential, BasicCredential)
    assert sender.credential.identity == b"mimi://a.example"
    store.close()
    store = SqliteProviderStore.open(tmp_path / "provider.db")
    again = await ring(store, clock).current()
    assert ring(store, clock).sender_of(again) == sender
    assert ring(store, clock).agent_of(again) == agent
    at = int(clock.now())
    assert first.mac.key_at(at) is not None
    assert again.mac.key_at(at) == first.mac.key_at(at)
    raw = b"".join(
        [(await store.sealed(name) or b"") for name in ("hub/external", "hub/franking")]
    )
    assert raw
    assert first.external.reveal() not in raw
    assert first.franking.reveal() not in raw
    store.close()


async def test_another_installations_key_file_is_noticed(
    tmp_path: Path, clock: VirtualClock
) -> None:
    store = SqliteProviderStore.open(tmp_path / "provider.db")
    await ring(store, clock).current()
    with pytest.raises(KeyDoesNotFit):
        await ring(store, clock, Secret(bytes(31) + b"x")).current()
    store.close()


async def test_mc_088_old_mac_keys_stay_as_long_as_reports_come(
    tmp_path: Path, clock: VirtualClock
) -> None:
    store = SqliteProviderStore.open(tmp_path / "provider.db")
    keys = ring(store, clock)
    begun = int(clock.now())
    first = (await keys.current()).mac.key_at(begun)
    for _ in range(3):
        await clock.advance(ROTATED_MS + DAY_MS)
        await keys.current()
    current = await keys.current()
    assert not current.mac.is_due(int(clock.now()))
    assert current.mac.key_at(begun) == first
    assert len(await store.sealed_names(MAC_PREFIX)) == 4
    later = current.mac.key_at(int(clock.now()) + 10 * DAY_MS)
    assert later != first
    reloaded = await ring(store, clock).current()
    assert reloaded.mac.key_at(begun) == first
    assert reloaded.mac.key_at(int(clock.now()) + 10 * DAY_MS) == later
    await clock.advance(KEPT_MS + ROTATED_MS)
    aged = await keys.current()
    assert aged.mac.key_at(begun) is None, "nobody reports what is so old"
    assert aged.mac.key_at(int(clock.now()) + DAY_MS) is not None
    names = [name for name, _ in await store.sealed_names(MAC_PREFIX)]
    assert names == [f"{MAC_PREFIX}{start:020d}" for start in aged.mac.by_start]
    store.close()

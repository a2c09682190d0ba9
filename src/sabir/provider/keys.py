"""Our own keys in the store: sealed under the key file of this installation."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from sabir.clock import Clock
from sabir.crypto.sealing import NONCE_OCTETS, open_sealed, seal
from sabir.crypto.secrets import Secret
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.mimi.client_settings import SUITE
from sabir.mimi.components.franking_agent import FrankingAgent
from sabir.mimi.hub.keys import HubKeys, MacKeys
from sabir.mimi.uris import provider_uri
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import ExternalSender
from sabir.storage.provider.ports import SealedKeys

EXTERNAL_NAME: Final = "hub/external"
FRANKING_NAME: Final = "hub/franking"
MAC_PREFIX: Final = "hub/mac/"
"""Followed by the first timestamp that the key is for, in ms, of 20 digits."""


class KeyRing:
    """Makes keys once, and keeps them."""

    def __init__(
        self,
        store: SealedKeys,
        key: Secret,
        clock: Clock,
        rng: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._rng = rng

    async def get(self, name: str, make: Callable[[], bytes]) -> Secret:
        """Return a key; make it the first time.

        Raises:
            KeyDoesNotFit: the key file is of another installation.
            SealBroken: the database was altered.
        """
        stored = await self._store.sealed(name)
        if stored is None:
            fresh = seal(
                self._key,
                make(),
                context=_context(name),
                nonce=self._rng(NONCE_OCTETS),
            )
            stored = await self._store.seal_once(name, fresh, now=self._clock.now())
        return open_sealed(self._key, stored, context=_context(name))

    async def names(self, prefix: str) -> Sequence[str]:
        """Return the names that begin so, in their order."""
        return [name for name, _ in await self._store.sealed_names(prefix)]

    async def forget(self, name: str) -> None:
        """Remove a key."""
        await self._store.forget_sealed(name)


class HubKeyRing:
    """The keys of a hub: made with its first room, of MACs a new one each month.

    Keys of MACs stay as long as a report about their time can come (7.6).
    """

    def __init__(
        self, ring: KeyRing, clock: Clock, rng: Callable[[int], bytes], domain: str
    ) -> None:
        """Keep keys.

        Args:
            ring: where they are.
            clock: time.
            rng: random octets.
            domain: ours, which the keys speak for.
        """
        self._ring = ring
        self._clock = clock
        self._rng = rng
        self._credential = BasicCredential(provider_uri(domain).encode("ascii"))
        self._keys: HubKeys | None = None
        self._lock = asyncio.Lock()

    async def current(self) -> HubKeys:
        """Return the keys of this moment.

        Raises:
            StorageFailed: they cannot be read, or a new one not be stored.
            KeyDoesNotFit, SealBroken: as `KeyRing.get`.
        """
        async with self._lock:
            keys = self._keys
            if keys is None or keys.mac.is_due(self._clock.now()):
                keys = await self._load() if keys is None else keys
                keys = self._keys = await self._rotated(keys)
            return keys

    def sender_of(self, keys: HubKeys) -> ExternalSender:
        """Return the hub as its rooms know it."""
        return ExternalSender(_public_of(keys.external), self._credential)

    def agent_of(self, keys: HubKeys) -> FrankingAgent:
        """Return the franking agent as its rooms know it."""
        return FrankingAgent(_public_of(keys.franking), self._credential)

    async def _load(self) -> HubKeys:
        mac = {
            int(name.removeprefix(MAC_PREFIX)): await self._ring.get(name, _no_new)
            for name in await self._ring.names(MAC_PREFIX)
        }
        return HubKeys(
            external=await self._ring.get(EXTERNAL_NAME, self._new_key),
            franking=await self._ring.get(FRANKING_NAME, self._new_key),
            mac=MacKeys(mac),
        )

    async def _rotated(self, keys: HubKeys) -> HubKeys:
        now_ms = self._clock.now()
        if not keys.mac.is_due(now_ms):
            return keys
        mac = keys.mac.rotated(now_ms, self._rng)
        for start in mac.by_start.keys() - keys.mac.by_start.keys():
            made = mac.by_start[start]
            await self._ring.get(f"{MAC_PREFIX}{start:020d}", made.reveal)
        for start in keys.mac.by_start.keys() - mac.by_start.keys():
            await self._ring.forget(f"{MAC_PREFIX}{start:020d}")
        return HubKeys(external=keys.external, franking=keys.franking, mac=mac)

    def _new_key(self) -> bytes:
        suite = SUITES[SUITE]
        seed = self._rng(suite.signature.private_octets)
        return signature_key_pair(suite, seed)[0]


def _public_of(private: Secret) -> bytes:
    return signature_key_pair(SUITES[SUITE], private.reveal())[1]


def _no_new() -> bytes:
    raise AssertionError("the name was there a moment ago")


def _context(name: str) -> bytes:
    return f"provider\0{name}".encode()

"""KeyPackages of ours at the provider: secrets stored before anybody sees them."""

from collections.abc import Iterable, Sequence
from typing import Final

from sabir.agent.membership.ledger import Around
from sabir.agent.membership.limits import KEY_PACKAGE_GRACE_MS, STOCK, STOCK_LOW
from sabir.agent.membership.naming import idempotency_key
from sabir.clock import Instant
from sabir.crypto.suites import SUITES
from sabir.mimi.agent_api.key_packages import encode_key_packages
from sabir.mimi.client_settings import SUITE
from sabir.mls.client import LIFETIME_S, KeyPackageSecrets, read_key_package_secrets
from sabir.storage.membership import KeyPackageRecord
from sabir.wire.tls import read_whole

_NAME: Final = b"key package\0"
RENEW_BEFORE_MS: Final = 3 * 86_400_000
"""A last-resort KeyPackage is renewed so long before its end."""


class KeyStock:
    """Keeps the provider supplied."""

    def __init__(self, around: Around) -> None:
        self._around = around

    async def fill(self) -> None:
        """Upload what is missing, first of all what was made and never arrived.

        Raises:
            Unavailable: the provider does not answer; ask again.
            StorageFailed: nothing was uploaded that is not stored.
        """
        around = self._around
        now = around.clock.now()
        await around.storage.forget_key_packages(
            before=Instant(now - KEY_PACKAGE_GRACE_MS)
        )
        stored = await around.storage.key_packages()
        left = [each for each in stored if not each.uploaded and each.not_after > now]
        if left:
            await self._upload(left)
        there = await around.api.stock()
        fresh = await self._renewed(stored, is_there=there.last_resort)
        if there.stock < max(there.low_water, STOCK_LOW):
            fresh += [self._make() for _ in range(STOCK - there.stock)]
        if fresh:
            await around.storage.add_key_packages(fresh)
            await self._upload(fresh)

    async def secrets(self, refs: Iterable[bytes]) -> list[KeyPackageSecrets]:
        """Return the secrets of KeyPackages that a Welcome names, as far as ours.

        Raises:
            KeyDoesNotFit, SealBroken: as `Vault.open`.
        """
        return [
            self._open(each) for each in await self._around.storage.key_packages(refs)
        ]

    async def _renewed(
        self, stored: Sequence[KeyPackageRecord], *, is_there: bool
    ) -> list[KeyPackageRecord]:
        soon = self._around.clock.now() + RENEW_BEFORE_MS
        good = any(each.last_resort and each.not_after > soon for each in stored)
        return [] if good and is_there else [self._make(last_resort=True)]

    def _make(self, *, last_resort: bool = False) -> KeyPackageRecord:
        env = self._around.env
        package, secrets = self._around.client.key_package(
            env, suite=SUITE, last_resort=last_resort
        )
        ref = package.reference(SUITES[SUITE])
        return KeyPackageRecord(
            ref=ref,
            sealed=self._around.vault.seal(_NAME + ref, secrets.encode()),
            not_after=Instant((env.now() + LIFETIME_S) * 1_000),
            last_resort=last_resort,
        )

    def _open(self, record: KeyPackageRecord) -> KeyPackageSecrets:
        octets = self._around.vault.open(_NAME + record.ref, record.sealed)
        return read_whole(octets, read_key_package_secrets)

    async def _upload(self, records: Sequence[KeyPackageRecord]) -> None:
        octets = encode_key_packages(
            self._open(each).key_package.raw for each in records
        )
        await self._around.api.put_key_packages(
            octets, idempotency_key("keypackages", octets)
        )
        await self._around.storage.key_packages_uploaded(each.ref for each in records)

"""KeyPackages in stock, and whose Welcomes are."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sabir.clock import Instant
from sabir.storage.provider.records import StockedKeyPackage
from sabir.storage.sqlite.part import Part


class SqliteKeyMaterial(Part):
    """Implements `sabir.storage.provider.ports.KeyMaterial`."""

    async def stock_key_packages(
        self, packages: Iterable[StockedKeyPackage], *, now: Instant
    ) -> int:
        """See `KeyMaterial.stock_key_packages`."""

        def change(db: sqlite3.Connection) -> int:
            return sum(_stock(db, package, now) for package in packages)

        return await self._database.write(change)

    async def stock(self, user: str, *, now: Instant) -> Sequence[StockedKeyPackage]:
        """See `KeyMaterial.stock`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT ref, device, k.suite, octets, not_before, not_after,"
                " last_resort FROM key_packages k JOIN devices d USING (device)"
                " WHERE d.user = ? AND not_before <= ? AND not_after > ?"
                " ORDER BY device, last_resort, not_after, ref",
                (user, now, now),
            ).fetchall()
        )
        return [_package(row) for row in rows]

    async def stock_count(self, device: str, *, now: Instant) -> tuple[int, int]:
        """See `KeyMaterial.stock_count`."""
        rows: dict[int, int] = dict(
            self._database.read(
                lambda db: db.execute(
                    "SELECT last_resort, count(*) FROM key_packages"
                    " WHERE device = ? AND not_after > ? GROUP BY last_resort",
                    (device, now),
                ).fetchall()
            )
        )
        return rows.get(0, 0), rows.get(1, 0)

    async def take_key_packages(
        self, refs: Iterable[bytes], *, reused: Iterable[bytes] = (), now: Instant
    ) -> frozenset[bytes]:
        """See `KeyMaterial.take_key_packages`."""

        def change(db: sqlite3.Connection) -> frozenset[bytes]:
            taken = {ref for ref in refs if _take(db, ref, now, stays=False)}
            taken |= {ref for ref in reused if _take(db, ref, now, stays=True)}
            return frozenset(taken)

        return await self._database.write(change)

    async def route_refs(
        self, kind: str, targets: Mapping[bytes, tuple[str, Instant]]
    ) -> None:
        """See `KeyMaterial.route_refs`."""

        def change(db: sqlite3.Connection) -> None:
            for ref, (target, expires_at) in targets.items():
                _route(db, ref, kind, target, expires_at)

        await self._database.write(change)

    async def routes(
        self, kind: str, refs: Iterable[bytes], *, now: Instant
    ) -> Mapping[bytes, str]:
        """See `KeyMaterial.routes`."""

        def question(db: sqlite3.Connection) -> Mapping[bytes, str]:
            found = {}
            for ref in refs:
                row = db.execute(
                    "SELECT target FROM key_package_refs"
                    " WHERE ref = ? AND kind = ? AND expires_at > ?",
                    (ref, kind, now),
                ).fetchone()
                if row is not None:
                    found[ref] = row[0]
            return found

        return self._database.read(question)

    async def drop_routes(self, kind: str, refs: Iterable[bytes]) -> None:
        """See `KeyMaterial.drop_routes`."""
        rows = [(ref, kind) for ref in refs]
        await self._database.write(
            lambda db: db.executemany(
                "DELETE FROM key_package_refs WHERE ref = ? AND kind = ?", rows
            )
        )


def _package(row: tuple[Any, ...]) -> StockedKeyPackage:
    ref, device, suite, octets, not_before, not_after, last_resort = row
    return StockedKeyPackage(
        ref=ref,
        device=device,
        suite=suite,
        octets=octets,
        not_before=Instant(not_before),
        not_after=Instant(not_after),
        last_resort=bool(last_resort),
    )


def _stock(db: sqlite3.Connection, package: StockedKeyPackage, now: Instant) -> int:
    if package.last_resort:
        db.execute(
            "DELETE FROM key_packages WHERE device = ? AND last_resort = 1",
            (package.device,),
        )
    handed_out = db.execute(
        "SELECT 1 FROM key_package_refs WHERE ref = ? AND kind = 'device'",
        (package.ref,),
    ).fetchone()
    if handed_out:
        return 0
    return db.execute(
        "INSERT OR IGNORE INTO key_packages (ref, device, suite, octets,"
        " not_before, not_after, last_resort, stored_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            package.ref,
            package.device,
            package.suite,
            package.octets,
            package.not_before,
            package.not_after,
            package.last_resort,
            now,
        ),
    ).rowcount


def _take(db: sqlite3.Connection, ref: bytes, now: Instant, *, stays: bool) -> bool:
    row = db.execute(
        "SELECT device, not_after FROM key_packages WHERE ref = ? AND not_after > ?",
        (ref, now),
    ).fetchone()
    if row is None:
        return False
    device, not_after = row
    if not stays:
        db.execute("DELETE FROM key_packages WHERE ref = ?", (ref,))
    _route(db, ref, "device", device, not_after)
    return True


def _route(
    db: sqlite3.Connection, ref: bytes, kind: str, target: str, expires_at: int
) -> None:
    db.execute(
        "INSERT INTO key_package_refs (ref, kind, target, expires_at)"
        " VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " target = excluded.target, expires_at = excluded.expires_at",
        (ref, kind, target, expires_at),
    )

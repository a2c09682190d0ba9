"""Other providers, abuse reports, and the index of assets."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from sabir.clock import Instant
from sabir.storage.provider.records import (
    AssetRecord,
    Deviation,
    PeerRecord,
    ReportRecord,
)
from sabir.storage.sqlite.part import Part

_PEER: Final = (
    "SELECT domain, directory, fetched_at, expires_at, last_ok_at, last_error"
    " FROM peers"
)
_ASSET: Final = "SELECT name, device, size, sha256, expires_at FROM assets"

_UNWANTED_MESSAGES: Final = (
    "DELETE FROM messages WHERE stored_at < ?"
    " AND NOT EXISTS (SELECT 1 FROM outbox WHERE message = messages.id)"
    " AND NOT EXISTS (SELECT 1 FROM unspread WHERE message = messages.id)"
    " AND NOT EXISTS (SELECT 1 FROM events WHERE message = messages.id)"
)
_DAY_MS: Final = 24 * 3_600_000


class SqlitePeers(Part):
    """Implements `sabir.storage.provider.ports.Peers`."""

    async def peer(self, domain: str) -> PeerRecord | None:
        """See `Peers.peer`."""
        row = self._database.read(
            lambda db: db.execute(_PEER + " WHERE domain = ?", (domain,)).fetchone()
        )
        return None if row is None else _peer(row)

    async def peers(self) -> Sequence[PeerRecord]:
        """See `Peers.peers`."""
        rows = self._database.read(
            lambda db: db.execute(_PEER + " ORDER BY domain").fetchall()
        )
        return [_peer(row) for row in rows]

    async def keep_peer(self, peer: PeerRecord) -> None:
        """See `Peers.keep_peer`."""
        await self._database.write(
            lambda db: db.execute(
                "INSERT INTO peers (domain, directory, fetched_at, expires_at,"
                " last_ok_at, last_error) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET directory = excluded.directory,"
                " fetched_at = excluded.fetched_at, expires_at = excluded.expires_at,"
                " last_ok_at = coalesce(excluded.last_ok_at, last_ok_at),"
                " last_error = excluded.last_error",
                (
                    peer.domain,
                    peer.directory,
                    peer.fetched_at,
                    peer.expires_at,
                    peer.last_ok_at,
                    peer.last_error,
                ),
            )
        )

    async def peer_result(self, domain: str, error: str, *, now: Instant) -> None:
        """See `Peers.peer_result`."""
        last_ok_at = now if not error else None
        await self._database.write(
            lambda db: db.execute(
                "INSERT INTO peers (domain, directory, fetched_at, expires_at,"
                " last_ok_at, last_error) VALUES (?, x'', 0, 0, ?, ?)"
                " ON CONFLICT DO UPDATE SET"
                " last_ok_at = coalesce(excluded.last_ok_at, last_ok_at),"
                " last_error = excluded.last_error",
                (domain, last_ok_at, error),
            )
        )

    async def deviates(self, domain: str, what: str, *, now: Instant) -> None:
        """See `Peers.deviates`."""
        await self._database.write(
            lambda db: db.execute(
                "INSERT INTO deviations (domain, what, count, last_at)"
                " VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE SET"
                " count = count + 1, last_at = excluded.last_at",
                (domain, what, now),
            )
        )

    async def deviations(self, domain: str) -> Sequence[Deviation]:
        """See `Peers.deviations`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT domain, what, count, last_at FROM deviations"
                " WHERE domain = ? ORDER BY what",
                (domain,),
            ).fetchall()
        )
        return [
            Deviation(domain=peer, what=what, count=count, last_at=Instant(at))
            for peer, what, count, at in rows
        ]


class SqliteReports(Part):
    """Implements `sabir.storage.provider.ports.Reports`."""

    async def add_report(self, report: ReportRecord) -> bool:
        """See `Reports.add_report`."""
        new = await self._database.write(
            lambda db: (
                db.execute(
                    "INSERT OR IGNORE INTO reports"
                    " (digest, room, source, octets, verified, reported_at)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        report.digest,
                        report.room,
                        report.source,
                        report.octets,
                        report.verified,
                        report.reported_at,
                    ),
                ).rowcount
            )
        )
        return new > 0

    async def reports(self, *, count_max: int) -> Sequence[ReportRecord]:
        """See `Reports.reports`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT digest, room, source, octets, verified, reported_at"
                " FROM reports ORDER BY reported_at DESC, digest LIMIT ?",
                (count_max,),
            ).fetchall()
        )
        return [
            ReportRecord(
                digest=digest,
                room=room,
                source=source,
                octets=octets,
                verified=bool(verified),
                reported_at=Instant(at),
            )
            for digest, room, source, octets, verified, at in rows
        ]


class SqliteAssets(Part):
    """Implements `sabir.storage.provider.ports.Assets`."""

    async def add_asset(self, asset: AssetRecord, *, now: Instant) -> None:
        """See `Assets.add_asset`."""
        await self._database.write(
            lambda db: db.execute(
                "INSERT INTO assets (name, device, size, sha256, expires_at, stored_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    asset.name,
                    asset.device,
                    asset.size,
                    asset.sha256,
                    asset.expires_at,
                    now,
                ),
            )
        )

    async def asset(self, name: str, *, now: Instant) -> AssetRecord | None:
        """See `Assets.asset`."""
        row = self._database.read(
            lambda db: db.execute(
                _ASSET + " WHERE name = ? AND expires_at > ?", (name, now)
            ).fetchone()
        )
        return None if row is None else _asset(row)

    async def asset_octets(self, device: str) -> int:
        """See `Assets.asset_octets`."""
        (octets,) = self._database.read(
            lambda db: db.execute(
                "SELECT coalesce(sum(size), 0) FROM assets WHERE device = ?", (device,)
            ).fetchone()
        )
        return int(octets)

    async def expired_assets(
        self, *, now: Instant, count_max: int
    ) -> Sequence[AssetRecord]:
        """See `Assets.expired_assets`."""
        rows = self._database.read(
            lambda db: db.execute(
                _ASSET + " WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
                (now, count_max),
            ).fetchall()
        )
        return [_asset(row) for row in rows]

    async def remove_asset(self, name: str) -> None:
        """See `Assets.remove_asset`."""
        await self._database.write(
            lambda db: db.execute("DELETE FROM assets WHERE name = ?", (name,))
        )


class SqliteHousekeeping(Part):
    """Implements `sabir.storage.provider.ports.Housekeeping`."""

    async def sweep(
        self, *, answers_before: Instant, bodies_before: Instant, now: Instant
    ) -> int:
        """See `Housekeeping.sweep`."""
        today = now // _DAY_MS
        steps: tuple[tuple[str, int], ...] = (
            ("DELETE FROM replays WHERE answered_at < ?", answers_before),
            ("DELETE FROM idempotency WHERE answered_at < ?", answers_before),
            ("DELETE FROM notifications WHERE taken_at < ?", bodies_before),
            ("DELETE FROM key_package_refs WHERE expires_at < ?", now),
            ("DELETE FROM key_packages WHERE not_after < ?", now),
            ("DELETE FROM tokens WHERE expires_at < ?", now),
            ("DELETE FROM join_codes WHERE expires_at < ?", now),
            ("DELETE FROM consent_asked WHERE day < ?", today),
            (_UNWANTED_MESSAGES, bodies_before),
        )
        swept = 0
        for sql, bound in steps:  # one transaction each: nobody waits for all of it
            swept += await self._swept(sql, bound)
        return swept

    async def _swept(self, sql: str, bound: int) -> int:
        def change(db: sqlite3.Connection) -> int:
            return db.execute(sql, (bound,)).rowcount

        return await self._database.write(change)


def _peer(row: tuple[Any, ...]) -> PeerRecord:
    domain, directory, fetched_at, expires_at, last_ok_at, last_error = row
    return PeerRecord(
        domain=domain,
        directory=directory,
        fetched_at=Instant(fetched_at),
        expires_at=Instant(expires_at),
        last_ok_at=None if last_ok_at is None else Instant(last_ok_at),
        last_error=last_error,
    )


def _asset(row: tuple[Any, ...]) -> AssetRecord:
    name, device, size, sha256, expires_at = row
    return AssetRecord(
        name=name,
        device=device,
        size=size,
        sha256=sha256,
        expires_at=Instant(expires_at),
    )

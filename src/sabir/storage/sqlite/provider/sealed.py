"""Our own secrets, sealed by the caller."""

import sqlite3
from collections.abc import Sequence

from sabir.clock import Instant
from sabir.storage.sqlite.part import Part


class SqliteSealedKeys(Part):
    """Implements `sabir.storage.provider.ports.SealedKeys`."""

    async def sealed(self, name: str) -> bytes | None:
        """See `SealedKeys.sealed`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT octets FROM sealed WHERE name = ?", (name,)
            ).fetchone()
        )
        return None if row is None else row[0]

    async def sealed_names(self, prefix: str) -> Sequence[tuple[str, Instant]]:
        """See `SealedKeys.sealed_names`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT name, created_at FROM sealed"
                " WHERE substr(name, 1, ?) = ? ORDER BY name",
                (len(prefix), prefix),
            ).fetchall()
        )
        return [(name, Instant(at)) for name, at in rows]

    async def seal_once(self, name: str, octets: bytes, *, now: Instant) -> bytes:
        """See `SealedKeys.seal_once`."""

        def change(db: sqlite3.Connection) -> bytes:
            db.execute(
                "INSERT OR IGNORE INTO sealed (name, octets, created_at)"
                " VALUES (?, ?, ?)",
                (name, octets, now),
            )
            stored: bytes = db.execute(
                "SELECT octets FROM sealed WHERE name = ?", (name,)
            ).fetchone()[0]
            return stored

        return await self._database.write(change)

    async def forget_sealed(self, name: str) -> None:
        """See `SealedKeys.forget_sealed`."""
        await self._database.write(
            lambda db: db.execute("DELETE FROM sealed WHERE name = ?", (name,))
        )

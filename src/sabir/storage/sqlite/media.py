"""What is in the spool."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from sabir.clock import Instant
from sabir.storage.sqlite.part import Part

_FORGET: Final = """
DELETE FROM media WHERE created_at < ? OR sha256 IN (
    SELECT sha256 FROM (
        SELECT sha256, sum(octets) OVER (ORDER BY created_at DESC, sha256) AS newer
        FROM media
    ) WHERE newer > ?
) RETURNING sha256
"""


class SqliteMedia(Part):
    """Implements `sabir.storage.ports.Media`."""

    async def add_media(
        self, account: str, handle: str, sha256: bytes, octets: int, *, now: Instant
    ) -> None:
        """See `Media.add_media`."""

        def change(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO media (sha256, octets, created_at) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET created_at = excluded.created_at",
                (sha256, octets, now),
            )
            db.execute(
                "INSERT INTO media_handles (account, handle, sha256) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET sha256 = excluded.sha256",
                (account, handle, sha256),
            )

        await self._database.write(change)

    async def media_of_handle(
        self, account: str, handle: str
    ) -> tuple[bytes, int] | None:
        """See `Media.media_of_handle`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT sha256, octets FROM media_handles JOIN media USING (sha256)"
                " WHERE account = ? AND handle = ?",
                (account, handle),
            ).fetchone()
        )
        return None if row is None else (row[0], row[1])

    async def forget_media(
        self, *, before: Instant, octets_max: int
    ) -> Sequence[bytes]:
        """See `Media.forget_media`."""

        def change(db: sqlite3.Connection) -> list[bytes]:
            gone = [
                sha256
                for (sha256,) in db.execute(_FORGET, (before, octets_max)).fetchall()
            ]
            db.executemany(
                "DELETE FROM media_handles WHERE sha256 = ?", [(g,) for g in gone]
            )
            return gone

        return await self._database.write(change)

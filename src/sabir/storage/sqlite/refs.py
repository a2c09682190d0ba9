"""Which native message is which entry."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sabir.content.model import MessageId
from sabir.storage.records import PortalId, RefRecord, RoomId
from sabir.storage.sqlite.part import Part

_AUTHOR_OF_NATIVE: Final = """
SELECT t.author FROM native_refs r JOIN timeline t ON t.entry = r.entry
WHERE r.portal = ? AND r.author = ? LIMIT 1
"""
_NATIVE_OF_AUTHOR: Final = """
SELECT r.author FROM timeline t
CROSS JOIN native_refs r ON r.entry = t.entry AND r.portal = ? AND r.author <> ''
WHERE t.room = ? AND t.author = ? LIMIT 1
"""


class SqliteRefs(Part):
    """Implements `sabir.storage.ports.Refs`."""

    async def entries_of(
        self, portal: PortalId, native_ids: Iterable[str]
    ) -> Mapping[str, MessageId]:
        """See `Refs.entries_of`."""

        def question(db: sqlite3.Connection) -> dict[str, MessageId]:
            found = {}
            for native_id in native_ids:
                row = db.execute(
                    "SELECT entry FROM native_refs WHERE portal = ? AND native_id = ?",
                    (portal, native_id),
                ).fetchone()
                if row is not None:
                    found[native_id] = MessageId(row[0])
            return found

        return self._database.read(question)

    async def refs_of(
        self, portal: PortalId, ids: Iterable[MessageId]
    ) -> Mapping[MessageId, Sequence[RefRecord]]:
        """See `Refs.refs_of`."""

        def question(
            db: sqlite3.Connection,
        ) -> dict[MessageId, Sequence[RefRecord]]:
            found = {}
            for entry in ids:
                rows = db.execute(
                    "SELECT part, native_id, author FROM native_refs"
                    " WHERE entry = ? AND portal = ? ORDER BY part, alias",
                    (entry, portal),
                ).fetchall()
                if rows:
                    found[entry] = _by_part(entry, rows)
            return found

        return self._database.read(question)

    async def author_of_native(self, portal: PortalId, native: str) -> str | None:
        """See `Refs.author_of_native`."""
        row = self._database.read(
            lambda db: db.execute(_AUTHOR_OF_NATIVE, (portal, native)).fetchone()
        )
        return None if row is None else str(row[0])

    async def native_of_author(
        self, portal: PortalId, room: RoomId, author: str
    ) -> str | None:
        """See `Refs.native_of_author`."""
        row = self._database.read(
            lambda db: db.execute(_NATIVE_OF_AUTHOR, (portal, room, author)).fetchone()
        )
        return None if row is None else str(row[0])


def _by_part(
    entry: MessageId, rows: Sequence[tuple[int, str, str]]
) -> Sequence[RefRecord]:
    parts: dict[int, tuple[list[str], str]] = {}
    for part, native_id, author in rows:
        parts.setdefault(part, ([], author))[0].append(native_id)
    return [
        RefRecord(
            entry=entry,
            part=part,
            native_id=ids[0],
            aliases=tuple(ids[1:]),
            author=author,
        )
        for part, (ids, author) in parts.items()
    ]

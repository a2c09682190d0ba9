"""Which native message is which entry."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from sabir.content.model import MessageId
from sabir.storage.records import PortalId, RefRecord
from sabir.storage.sqlite.part import Part


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

"""What people look at: the log, the counts, the state of the file itself."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from sabir.clock import Instant
from sabir.storage.records import LogLine, PortalCounts, PortalId, RoomId
from sabir.storage.sqlite.part import Part

_COLUMNS: Final = """
SELECT t.room, t.seq, t.kind, t.author, t.author_name, t.origin, d.portal,
       coalesce(max(CASE WHEN d.state <> 'sent' THEN d.state END),
                max(d.state), 'accepted'),
       coalesce(max(d.detail), ''), max(d.loss), count(d.part),
       t.received_at, t.accepted_at,
       CASE WHEN count(*) = count(d.settled_at) THEN max(d.settled_at) END
"""
_NEWEST: Final = """
FROM (
    SELECT * FROM timeline WHERE (:room IS NULL OR room = :room)
    ORDER BY accepted_at DESC LIMIT :window
) t
LEFT JOIN portals p ON p.room = t.room AND p.id IS NOT t.origin
LEFT JOIN deliveries d ON d.portal = p.id AND d.seq = t.seq
WHERE max(t.accepted_at, coalesce(d.settled_at, 0)) > :after
"""
_TROUBLED: Final = """
FROM deliveries d
JOIN portals p ON p.id = d.portal
JOIN timeline t ON t.room = p.room AND t.seq = d.seq
WHERE d.state IN ('ambiguous', 'refused', 'withheld')
  AND max(t.accepted_at, coalesce(d.settled_at, 0)) > :after
  AND (:room IS NULL OR t.room = :room)
"""
_ORDER: Final = """
GROUP BY t.room, t.seq, d.portal
ORDER BY t.accepted_at DESC, t.room, t.seq DESC, d.portal
LIMIT :count_max
"""
_LEGS: Final = _COLUMNS + _NEWEST + _ORDER
_TROUBLE: Final = _COLUMNS + _TROUBLED + _ORDER

FOLLOWED_MAX: Final = 2_000
"""Entries looked back at for legs that settled late, when a log is followed."""

_COUNTS: Final = """
SELECT p.id,
  (SELECT count(*) FROM inbox i WHERE i.account = p.account AND i.chat = p.chat
     AND i.state = 'pending'),
  (SELECT count(*) FROM timeline t WHERE t.room = p.room AND t.seq > p.cursor
     AND t.origin IS NOT p.id),
  count(d.part) FILTER (WHERE d.state = 'sent'),
  count(d.part) FILTER (WHERE d.state = 'ambiguous'),
  count(d.part) FILTER (WHERE d.state = 'refused'),
  count(d.part) FILTER (WHERE d.state = 'withheld'),
  (SELECT count(*) FROM inbox i WHERE i.account = p.account AND i.chat = p.chat
     AND i.state = 'rejected')
FROM portals p LEFT JOIN deliveries d ON d.portal = p.id
WHERE p.state <> 'closed' GROUP BY p.id ORDER BY p.id
"""


class SqliteJournal(Part):
    """Implements `sabir.storage.ports.Journal`."""

    async def log(
        self,
        *,
        after: int = 0,
        count_max: int,
        room: RoomId | None = None,
        trouble: bool = False,
    ) -> Sequence[LogLine]:
        """See `Journal.log`."""
        named = {
            "after": after,
            "count_max": count_max,
            "room": room,
            "window": max(count_max, FOLLOWED_MAX) if after else count_max,
        }
        query = _TROUBLE if trouble else _LEGS
        rows = await self._database.survey(
            lambda db: db.execute(query, named).fetchall()
        )
        return [
            LogLine(
                room=RoomId(room_),
                seq=seq,
                kind=kind,
                author=author,
                author_name=name,
                origin=origin,
                portal=portal,
                state=state,
                detail=detail,
                loss=loss,
                parts=parts,
                received_at=Instant(received),
                accepted_at=Instant(accepted),
                settled_at=None if settled is None else Instant(settled),
            )
            for (
                room_,
                seq,
                kind,
                author,
                name,
                origin,
                portal,
                state,
                detail,
                loss,
                parts,
                received,
                accepted,
                settled,
            ) in reversed(rows)
        ]

    async def counts(self) -> Sequence[PortalCounts]:
        """See `Journal.counts`."""
        rows = await self._database.survey(lambda db: db.execute(_COUNTS).fetchall())
        return [
            PortalCounts(
                portal=PortalId(portal),
                waiting_in=waiting_in,
                waiting_out=waiting_out,
                sent=sent,
                ambiguous=ambiguous,
                refused=refused,
                withheld=withheld,
                rejected_in=rejected_in,
            )
            for (
                portal,
                waiting_in,
                waiting_out,
                sent,
                ambiguous,
                refused,
                withheld,
                rejected_in,
            ) in rows
        ]

    async def prune(self, *, before: Instant) -> int:
        """See `Journal.prune`. The identity stays, so a redelivery is still known."""

        def change(db: sqlite3.Connection) -> int:
            return db.execute(
                "UPDATE inbox SET payload = x'' WHERE received_at < ?"
                " AND state <> 'pending' AND payload <> x''",
                (before,),
            ).rowcount

        return await self._database.write(change)

    async def check(self) -> Sequence[str]:
        """See `Journal.check`."""
        rows = await self._database.survey(
            lambda db: db.execute("PRAGMA integrity_check(20)").fetchall()
        )
        return [str(row[0]) for row in rows if row[0] != "ok"]

"""Who may be added by whom."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from sabir.clock import Instant
from sabir.storage.provider.records import OpenRequest, Verdict
from sabir.storage.sqlite.part import Part

_DAY_MS: Final = 24 * 3_600_000
_VERDICTS_ON: Final = (
    "SELECT requester, target, room, granted, decided_at FROM verdicts"
    " WHERE requester = ? AND target = ? ORDER BY room"
)
_VERDICTS_BY: Final = (
    "SELECT requester, target, room, granted, decided_at FROM verdicts"
    " WHERE target = ? ORDER BY requester, room"
)


class SqliteConsents(Part):
    """Implements `sabir.storage.provider.ports.Consents`."""

    async def verdicts(self, requester: str, target: str) -> Sequence[Verdict]:
        """See `Consents.verdicts`."""
        return self._verdicts(_VERDICTS_ON, requester, target)

    async def verdicts_by(self, target: str) -> Sequence[Verdict]:
        """See `Consents.verdicts_by`."""
        return self._verdicts(_VERDICTS_BY, target)

    async def set_verdicts(
        self, verdicts: Iterable[Verdict], *, cleared: Iterable[Verdict] = ()
    ) -> None:
        """See `Consents.set_verdicts`."""

        def change(db: sqlite3.Connection) -> None:
            for each in cleared:
                scope = (each.requester, each.target, each.room)
                db.execute(
                    "DELETE FROM verdicts"
                    " WHERE requester = ? AND target = ? AND room = ?",
                    scope,
                )
            for each in verdicts:
                scope = (each.requester, each.target, each.room)
                db.execute(
                    "DELETE FROM consent_requests"
                    " WHERE requester = ? AND target = ? AND room = ?",
                    scope,
                )
                db.execute(
                    "INSERT OR REPLACE INTO verdicts"
                    " (requester, target, room, granted, decided_at)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (*scope, each.granted, each.decided_at),
                )

        await self._database.write(change)

    async def open_request(self, request: OpenRequest, *, per_day_max: int) -> bool:
        """See `Consents.open_request`."""
        scope = (request.requester, request.target, request.room)
        day = request.asked_at // _DAY_MS

        def change(db: sqlite3.Connection) -> bool:
            if db.execute(
                "SELECT 1 FROM consent_requests"
                " WHERE requester = ? AND target = ? AND room = ?",
                scope,
            ).fetchone():
                return False
            counted = db.execute(
                "INSERT INTO consent_asked (requester, day, count) VALUES (?, ?, 1)"
                " ON CONFLICT DO UPDATE SET count = count + 1 WHERE count < ?",
                (request.requester, day, per_day_max),
            )
            if not counted.rowcount:
                return False
            db.execute(
                "INSERT INTO consent_requests (requester, target, room, asked_at)"
                " VALUES (?, ?, ?, ?)",
                (*scope, request.asked_at),
            )
            return True

        return await self._database.write(change)

    async def cancel_request(self, requester: str, target: str, room: str) -> bool:
        """See `Consents.cancel_request`."""
        gone = await self._database.write(
            lambda db: (
                db.execute(
                    "DELETE FROM consent_requests"
                    " WHERE requester = ? AND target = ? AND room = ?",
                    (requester, target, room),
                ).rowcount
            )
        )
        return gone > 0

    async def open_requests(self, target: str) -> Sequence[OpenRequest]:
        """See `Consents.open_requests`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT requester, target, room, asked_at FROM consent_requests"
                " WHERE target = ? ORDER BY asked_at, requester, room",
                (target,),
            ).fetchall()
        )
        return [
            OpenRequest(
                requester=requester, target=asked, room=room, asked_at=Instant(at)
            )
            for requester, asked, room, at in rows
        ]

    def _verdicts(self, question: str, *about: str) -> Sequence[Verdict]:
        rows = self._database.read(lambda db: db.execute(question, about).fetchall())
        return [
            Verdict(
                requester=requester,
                target=target,
                room=room,
                granted=bool(granted),
                decided_at=Instant(at),
            )
            for requester, target, room, granted, at in rows
        ]

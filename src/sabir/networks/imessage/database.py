"""Questions to `chat.db`, through the server.

`where` is raw SQL there: statements are constants of ours, values go by `args` only.
`message.text` is never named: with the helper connected the server then asks Spotlight,
and answers 500.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sabir.errors import PeerMisbehaved
from sabir.networks.api import NativeId
from sabir.networks.imessage import rows
from sabir.networks.imessage.client import BlueBubbles, Rejected
from sabir.networks.imessage.render import path_of

Json = Mapping[str, Any]

LIMIT: Final = 1_000
"""Of one answer; the server's own."""
_RANGE: Final = "message.ROWID > :lo AND message.ROWID <= :hi"
_LESSER: Final = f"{_RANGE} AND message.service != 'iMessage'"
_NEWEST: Final = "message.ROWID = (SELECT MAX(ROWID) FROM message)"
_FIRST_SINCE: Final = (
    "message.ROWID = (SELECT MIN(m.ROWID) FROM message m WHERE m.date >= :t)"
)
_CHANGED: Final = (
    f"{_RANGE} AND (message.date_edited > :t OR message.date_retracted > :t"
    " OR (message.is_from_me = 1 AND (message.date_delivered > :t"
    " OR message.date_read > :t)) OR (message.is_from_me = 1 AND message.error != 0"
    " AND message.date > :failed))"
)
_OWN: Final = "message.ROWID > :lo AND message.is_from_me = 1"
_WITH: Final = ("chat", "attachment", "attributedBody", "message-summary-info")


class Database:
    """The messages of one Mac. Everything raises as `BlueBubbles.get`."""

    def __init__(self, api: BlueBubbles) -> None:
        self._api = api

    async def count_from(self, row: int) -> int:
        """Return how many messages have this row or a higher one."""
        answer = await self._api.get("/message/count", minRowId=str(row))
        total = answer.get("total") if isinstance(answer, Mapping) else None
        if not isinstance(total, int):
            raise PeerMisbehaved("IMESSAGE-010", "message/count gave no number")
        return total

    async def between(self, lo: int, hi: int) -> list[Json]:
        """Return the messages with rows over `lo`, up to `hi`, in their order."""
        return await self._ask(_RANGE, lo=lo, hi=hi)

    async def lesser_between(self, lo: int, hi: int) -> set[str]:
        """Return those of them that came as SMS or RCS, by guid.

        The answers do not say it, and Messages may fall back for one message.
        """
        return {str(row.get("guid")) for row in await self._ask(_LESSER, lo=lo, hi=hi)}

    async def changed(
        self, lo: int, hi: int, *, since_ms: int, failed_since_ms: int
    ) -> list[Json]:
        """Return messages that were changed, received, read or failed since."""
        found = await self._ask(
            _CHANGED,
            lo=lo,
            hi=hi,
            t=rows.apple_time(since_ms),
            failed=rows.apple_time(failed_since_ms),
        )
        if len(found) < LIMIT or hi - lo < 2:
            return found
        middle = (lo + hi) // 2
        spans = {"since_ms": since_ms, "failed_since_ms": failed_since_ms}
        first = await self.changed(lo, middle, **spans)
        return first + await self.changed(middle, hi, **spans)

    async def own_after(self, row: int) -> list[Json]:
        """Return the owner's messages with higher rows."""
        return await self._ask(_OWN, lo=row)

    async def newest(self) -> Json | None:
        """Return the message with the highest row."""
        found = await self._ask(_NEWEST)
        return found[0] if found else None

    async def first_since(self, at_ms: int) -> Json | None:
        """Return the message with the lowest row of those since a time."""
        found = await self._ask(_FIRST_SINCE, t=rows.apple_time(at_ms))
        return found[0] if found else None

    async def find(self, guid: NativeId) -> Json | None:
        """Return one message, None if it is not there (any more)."""
        asked = {"with": "chats,attachments,message-summary-info"}
        try:
            found = await self._api.get(path_of("message", guid), **asked)
        except Rejected:
            return None
        return found if isinstance(found, Mapping) else None

    async def _ask(self, statement: str, **args: int) -> list[Json]:
        where: dict[str, Any] = {"statement": statement, "args": args}
        body = {"where": [where], "sort": "ASC", "limit": LIMIT, "with": list(_WITH)}
        answer: Sequence[Any] = await self._api.post("/message/query", body)
        if not isinstance(answer, list):
            raise PeerMisbehaved("IMESSAGE-010", "message/query gave no list")
        found = [row for row in answer if isinstance(row, Mapping)]
        return sorted(found, key=rows.rowid)

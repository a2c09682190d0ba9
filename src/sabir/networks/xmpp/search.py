"""Whether an earlier attempt arrived: a room's archive is looked through."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sabir.clock import Clock, Instant
from sabir.errors import Unavailable
from sabir.networks.api import (
    Finding,
    IdempotencyKey,
    InDoubt,
    NativeId,
    NotSent,
    Sent,
)
from sabir.networks.xmpp import ids, names
from sabir.networks.xmpp.archive import Archived, CursorUnknown, NoArchive
from sabir.networks.xmpp.keys import is_key
from sabir.networks.xmpp.muc import Room

LOOKUP_MARGIN_MS: Final = 30 * 60_000
"""How far our clock and the room's may differ when looking for an attempt."""
LOOKUP_AGE_MS_MAX: Final = 5 * 24 * 3_600_000
"""Older attempts may have left the archive: Prosody keeps a week."""
SETTLE_MS: Final = 2_000
"""What a dead connection still had in the server's buffers is processed by then."""


@dataclass(slots=True, kw_only=True)
class _Scan:
    """Our messages found in a room's archive."""

    begun: Instant
    until: Instant
    sent: dict[str, Sent] = field(default_factory=dict)


class RoomSearch:
    """Looks for attempts of earlier connections.

    Args:
        clock: in whose time attempts are dated.
        is_own: tells by room, nick and id whether an archived message is ours.
    """

    def __init__(self, clock: Clock, is_own: Callable[[Room, str, str], bool]) -> None:
        self._clock = clock
        self._is_own = is_own
        self._connected_at = 0.0
        self._scans: dict[str, _Scan] = {}

    def connected(self) -> None:
        """Forget what an earlier connection saw."""
        self._connected_at = self._clock.monotonic_ms()
        self._scans.clear()

    async def settle(self) -> None:
        """Let the server work off what a dead connection still had in its buffers."""
        since = self._clock.monotonic_ms() - self._connected_at
        if since < SETTLE_MS:
            await self._clock.sleep(int(SETTLE_MS - since))

    def too_old(self, attempted_at: Instant) -> InDoubt | None:
        """Say so where an attempt is older than archives reach."""
        if self._clock.now() - attempted_at > LOOKUP_AGE_MS_MAX:
            return InDoubt("the attempt is older than archives reach")
        return None

    async def find(
        self, room: Room, key: IdempotencyKey, attempted_at: Instant
    ) -> Finding:
        """Look for a piece in a room: backwards to well before the attempt.

        Raises:
            Unavailable: no answer, or the room has put us out.
        """
        if not room.has_archive:
            return InDoubt(f"the room {room.jid} has no archive to look into")
        await self.settle()
        try:
            scan = await self._scan(room, attempted_at)
        except (CursorUnknown, NoArchive) as closed:
            return InDoubt(f"the archive of {room.jid} cannot be read: {closed}")
        found = scan.sent.get(key)
        return found if found is not None else NotSent()

    async def _scan(self, room: Room, attempted_at: Instant) -> _Scan:
        """Return our messages in the archive since well before an attempt.

        One scan serves all attempts made before it began.
        """
        until = Instant(max(0, attempted_at - LOOKUP_MARGIN_MS))
        known = self._scans.get(room.jid)
        if known is not None and attempted_at < known.begun and until >= known.until:
            return known
        if not await room.is_inside(room.listener):
            room.live = False
            raise Unavailable(f"the room {room.jid} has put us out: joining again")
        scan = _Scan(begun=self._clock.now(), until=until)
        async for page in room.archive.backwards(until=until):
            for one in page.messages:
                self._note(room, one, scan)
        self._scans[room.jid] = scan
        return scan

    def _note(self, room: Room, one: Archived, scan: _Scan) -> None:
        ident = one.stanza.get("id", "")
        nick = names.resource(one.stanza.get("from", ""))
        if is_key(ident) and self._is_own(room, nick, ident):
            scan.sent[ident] = Sent(
                key=IdempotencyKey(ident),
                native_id=NativeId(one.id),
                aliases=(NativeId(ident),),
                author=ids.occupant(room.jid, nick, room.occupant_id(one.stanza)),
            )

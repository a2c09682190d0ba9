"""How far each room was pushed to us, and what its history has beyond.

Synapse (seen in 1.163.2) notes an event as handed on once it waits in memory; when it
is restarted at that moment the event is never pushed. So whenever the homeserver may
have been restarted, and when we were, a room's history is read back to what we had
last, before anything newer of that room is taken.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import structlog

from sabir.clock import Clock
from sabir.networks.api import ChatId, Host
from sabir.networks.matrix.client import Client, Voice

FIRST_PAGE_EVENTS: Final = 20
"""Usually nothing is missing; then this is all that is read."""
PAGE_EVENTS: Final = 100
PAGES_MAX: Final = 10
"""About 1,000 events; after a longer time away the homeserver's repeats must do."""
LAG_EVENTS_MAX: Final = 50
"""Events of ours that cost no commit of their own for the place we are at."""
CONNECTIONS_MAX: Final = 10
CONNECTIONS_MS: Final = 60_000
"""More new connections in this time come from a proxy and tell nothing."""
DOUBT_PAUSE_MS: Final = 10_000
"""Behind such a proxy the histories are read this often at the most."""

_log = structlog.get_logger(__name__)


class Progress:
    """The last event of each room that we are in for a portal."""

    def __init__(self, host: Host, clock: Clock) -> None:
        self._host = host
        self._clock = clock
        self._last: dict[ChatId, str] = {}
        self._unsaved: dict[str, str] = {}
        self._lag = 0
        self._connections: deque[float] = deque(maxlen=CONNECTIONS_MAX)
        self._doubted_at = clock.monotonic_ms()
        self.unread: set[ChatId] = set()
        """Rooms whose history is to be read before anything newer is taken."""

    async def load(self) -> None:
        """Remember where we were in every room; all are to be read."""
        for room in self._host.chats():
            last = await self._host.cursor(_stream(room))
            if last:
                self._last[room] = last
                self.unread.add(room)

    async def begin(self, client: Client, room: ChatId, *, voice: Voice) -> None:
        """Start with the newest event of a room that is new to us."""
        if room in self._last and room in self._host.chats():
            return
        page = await client.messages(room, query={"dir": "b", "limit": 1}, voice=voice)
        for event in _events(page):
            self._last[room] = str(event["event_id"])
            await self._host.take([], cursors={_stream(room): self._last[room]})

    async def end(self, room: ChatId) -> None:
        """Forget a room that we leave."""
        self.unread.discard(room)
        self._unsaved.pop(_stream(room), None)
        if self._last.pop(room, None) is not None:
            await self._host.take([], cursors={_stream(room): ""})

    # ---- as events come

    def note(self, room: ChatId, event_id: str) -> None:
        """Note that a room has come to this event."""
        if room in self._last:
            self._last[room] = self._unsaved[_stream(room)] = event_id
            self._lag += 1

    @property
    def is_behind(self) -> bool:
        """Tell whether our place is worth a commit of its own."""
        return self._lag >= LAG_EVENTS_MAX

    @property
    def cursors(self) -> Mapping[str, str]:
        """What to store with the next events."""
        return self._unsaved

    def saved(self) -> None:
        """Note that the cursors are stored."""
        self._unsaved, self._lag = {}, 0

    # ---- as doubts come

    def connected(self) -> bool:
        """Note a new connection from the homeserver; tell whether it means doubt."""
        now = self._clock.monotonic_ms()
        self._connections.append(now)
        is_proxy = (
            len(self._connections) == CONNECTIONS_MAX
            and now - self._connections[0] < CONNECTIONS_MS
        )
        if is_proxy and now - self._doubted_at < DOUBT_PAUSE_MS:
            return False
        self._doubted_at = now
        self.unread.update(self._last)
        return True

    async def missing(
        self, client: Client, room: ChatId, *, voice: Voice
    ) -> list[dict[str, Any]]:
        """Read what a room has beyond our place, oldest first; it is then read.

        Raises:
            Rejected: we are not in the room.
            Unavailable: no answer.
        """
        last = self._last.get(room)
        found: list[dict[str, Any]] = []
        query: dict[str, str | int] = {"dir": "b", "limit": FIRST_PAGE_EVENTS}
        for _ in range(PAGES_MAX):
            page = await client.messages(room, query=query, voice=voice)
            for event in _events(page):
                if event["event_id"] == last:
                    self.unread.discard(room)
                    return [{**event, "room_id": room} for event in reversed(found)]
                found.append(event)
            if not isinstance(page.get("end"), str):
                break
            query |= {"from": page["end"], "limit": PAGE_EVENTS}
        _log.info("history_not_compared", room=room, events=len(found))
        self.unread.discard(room)
        return []


def _events(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    chunk = page.get("chunk")
    events = chunk if isinstance(chunk, list) else []
    return [e for e in events if isinstance(e, dict) and e.get("event_id")]


def _stream(room: ChatId) -> str:
    return f"room:{room}"

"""Native events on their way to the host: batches, order, back-pressure.

What arrives while a `Host.take` is in progress waits and is taken together with
the next one. Callbacks (receipts, say) run only after the take has returned
(I1). If the host is slower than the network, the socket is no longer read.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sabir.networks.api import Host, NativeEvent

BATCH_EVENTS_MAX: Final = 500
"""Events in one transaction (our choice: some milliseconds of SQLite)."""
WAITING_EVENTS_MAX: Final = 2_000
"""Above this the socket is paused, at most some megabytes of stanzas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One event, the cursor after it, and what to do once it is stored."""

    event: NativeEvent | None = None
    stream: str = ""
    cursor: str = ""
    after: Callable[[], None] | None = None


class Intake:
    """The queue of one account, first in, first out."""

    def __init__(self, pause: Callable[[bool], None]) -> None:
        self._pause = pause
        self._items: deque[Item] = deque()
        self._wake = asyncio.Event()
        self._added = 0
        self._taken = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def add(self, item: Item) -> None:
        """Queue one item."""
        self._items.append(item)
        self._added += 1
        self._wake.set()
        if len(self._items) >= WAITING_EVENTS_MAX:
            self._pause(True)

    async def flush(self) -> None:
        """Wait until everything added so far is stored."""
        if self._taken >= self._added:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._added, waiter))
        await waiter

    async def run(self, host: Host) -> None:
        """Hand items to the host, for ever.

        Raises:
            StorageFailed: from the host; what was not taken is not acknowledged.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._items:
                await self._take(host)

    async def _take(self, host: Host) -> None:
        count = min(len(self._items), BATCH_EVENTS_MAX)
        batch = [self._items.popleft() for _ in range(count)]
        events = [item.event for item in batch if item.event is not None]
        cursors = {item.stream: item.cursor for item in batch if item.stream}
        if events or cursors:
            await host.take(events, cursors=cursors)
        self._taken += count
        for item in batch:
            if item.after is not None:
                item.after()
        ready = [entry for entry in self._waiters if entry[0] <= self._taken]
        self._waiters = [entry for entry in self._waiters if entry[0] > self._taken]
        for _, waiter in ready:
            if not waiter.done():
                waiter.set_result(None)
        if len(self._items) < WAITING_EVENTS_MAX // 2:
            self._pause(False)
